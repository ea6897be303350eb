//! What administrators ask: lines of history, forgotten devices, and the live list of blocks.

use hikyaku_access::block::Block;
use hikyaku_access::facts::SubjectKey;
use hikyaku_access::history::stale::{StaleDevice, stale_devices};
use hikyaku_access::policy::Exempt;
use hikyaku_store::{Sql, StoreError};
use hikyaku_types::{AccountId, TenantId, Timestamp};

use crate::blocks;
use crate::gate::Gate;
use crate::lifts::{self, Lift};
use crate::line::{self, Line, columns, floor};

/// Whose lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One account's.
    Account(AccountId),
    /// One tenant's.
    Tenant(TenantId),
    /// Everybody's.
    All,
}

/// Lines of one page.
const PAGE: u16 = 500;
/// Who lifts what a tenant exempts: the audit log says who exempted it.
const EXEMPTED: &str = "exempt network";
/// Blocks that one transaction lifts.
const LIFTED_AT_ONCE: usize = 200;
/// Most lines that a search looks at.
const MOST: usize = 50_000;

const OF_ACCOUNT: Sql = Sql::new(concat!(
    "SELECT ",
    columns!(),
    " FROM signin WHERE account = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4"
));
const OF_TENANT: Sql = Sql::new(concat!(
    "SELECT ",
    columns!(),
    " FROM signin WHERE tenant = $1 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4"
));
const OF_ALL: Sql = Sql::new(concat!(
    "SELECT ",
    columns!(),
    " FROM signin WHERE $1 = 0 AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4"
));

impl Gate {
    /// At most `limit` (and 500) lines of history since `since`, before the id `before` if
    /// one is named; the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(
        &self,
        wanted: Wanted,
        since: Timestamp,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<Line>, StoreError> {
        self.flush().await?;
        let (sql, whose) = match wanted {
            Wanted::Account(account) => (OF_ACCOUNT, account.as_i64()),
            Wanted::Tenant(tenant) => (OF_TENANT, tenant.as_i64()),
            Wanted::All => (OF_ALL, 0),
        };
        let (before, since) = (before.unwrap_or(i64::MAX), floor(since));
        self.read("sign-in.history", move |tx| {
            let values = [whose.into(), before.into(), since.into(), limit.min(PAGE).into()];
            tx.rows(sql, &values, line::read)
        })
        .await
    }

    /// Forgotten devices, the most stubborn first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stale(&self, wanted: Wanted, since: Timestamp) -> Result<Vec<StaleDevice>, StoreError> {
        let (mut records, mut before) = (Vec::new(), None);
        loop {
            let page = self.history(wanted, since, before, PAGE).await?;
            before = page.last().map(|line| line.id);
            let is_last = page.len() < usize::from(PAGE);
            records.extend(page.into_iter().map(|line| line.record));
            if is_last || records.len() >= MOST {
                return Ok(stale_devices(&records));
            }
        }
    }

    /// The blocks that hold now, of a tenant or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn blocks(&self, tenant: Option<TenantId>) -> Result<Vec<Block>, StoreError> {
        self.lift_exempt(tenant).await?;
        Ok(self.live(tenant))
    }

    fn live(&self, tenant: Option<TenantId>) -> Vec<Block> {
        self.state().blocks.list(tenant, self.clock.now())
    }

    /// Lifts blocks of sources that their tenant has exempted meanwhile. Nobody who comes from
    /// there feels them any more in any case: this ends them for good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lift_exempt(&self, tenant: Option<TenantId>) -> Result<(), StoreError> {
        let now = self.clock.now();
        for block in self.live(tenant) {
            let settings = self.settings(block.key.tenant).await?;
            let source = block.key.source;
            let covers =
                |exempt: &&Exempt| exempt.network.covers(&source) && exempt.holds_for(source.address(), now);
            if let Some(exempt) = settings.exempt.iter().find(covers) {
                self.lift(&[block], EXEMPTED, Some(exempt.note.as_str())).await?;
            }
        }
        Ok(())
    }

    /// Ends blocks of a tenant: those of one account, or all; `who` and why is written down
    /// with it, in the audit log too. Gives what was lifted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unblock(
        &self,
        tenant: Option<TenantId>,
        account: Option<AccountId>,
        who: &str,
        why: Option<&str>,
    ) -> Result<Vec<Block>, StoreError> {
        let subject = account.map(SubjectKey::Account);
        let mut lifted = self.live(tenant);
        lifted.retain(|block| blocks::is_about(block, subject));
        self.audit_lifts(&lifted, account, who, why).await?;
        self.lift(&lifted, who, why).await?;
        Ok(lifted)
    }

    async fn lift(&self, blocks: &[Block], who: &str, why: Option<&str>) -> Result<(), StoreError> {
        let now = self.clock.now();
        for page in blocks.chunks(LIFTED_AT_ONCE) {
            let told: Vec<_> =
                page.iter().map(|block| Lift::of(self.ids.next(now), block, now, who, why)).collect();
            self.write("sign-in.unblock", move |tx| {
                told.iter().try_for_each(|lift| {
                    blocks::lift(tx, &lift.key, now)?;
                    lifts::write(tx, lift)
                })
            })
            .await?;
            let mut state = self.state();
            for block in page {
                state.blocks.lift(&block.key);
            }
        }
        Ok(())
    }

    /// At most `limit` (and 500) blocks that were lifted, of a tenant or of all, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lifts(&self, tenant: Option<TenantId>, limit: u16) -> Result<Vec<Lift>, StoreError> {
        self.read("sign-in.lifts", move |tx| lifts::list(tx, tenant, limit.min(PAGE))).await
    }
}
