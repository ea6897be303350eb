//! What administrators do to sessions and blocks, as the directory's audit log tells it.
//!
//! What ends by itself (a tenant exempts a network, an account is suspended) has its line there
//! already: that of the change.

use std::collections::BTreeMap;

use hikyaku_access::block::Block;
use hikyaku_directory::Act;
use hikyaku_store::StoreError;
use hikyaku_types::{AccountId, TenantId};

use crate::gate::Gate;
use crate::sessions::{Session, Which};

/// Sources that a line names; of more only the number.
const NAMED: usize = 5;

impl Gate {
    /// Somebody ends `count` sessions, of which this is one.
    pub(crate) async fn audit_ending(
        &self,
        which: Which,
        session: &Session,
        count: usize,
        who: &str,
        why: Option<&str>,
    ) -> Result<(), StoreError> {
        let (account, what) = match which {
            Which::One(id) => (Some(session.account), format!("session {id} from {}", session.ip)),
            Which::Account(account) => (Some(account), counted(count, "session")),
            Which::Tenant(_) => (None, counted(count, "session")),
        };
        let reason = why.map(str::to_owned);
        let act = Act { tenant: session.tenant, account, action: "end-sessions", what, reason };
        self.directory.note_act(who, &act).await
    }

    /// Somebody lifts blocks: those of one account, or all of tenants.
    pub(crate) async fn audit_lifts(
        &self,
        blocks: &[Block],
        account: Option<AccountId>,
        who: &str,
        why: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut tenants: BTreeMap<TenantId, Vec<&Block>> = BTreeMap::new();
        for block in blocks {
            // Names in nobody's domain are the platform's.
            tenants.entry(block.key.tenant.unwrap_or(TenantId::PLATFORM)).or_default().push(block);
        }
        for (tenant, blocks) in tenants {
            let sources: Vec<String> = blocks.iter().map(|block| block.key.source.to_string()).collect();
            let what = match sources.len() {
                0..=NAMED => format!("blocks of {}", sources.join(", ")),
                count => counted(count, "block"),
            };
            let act = Act { tenant, account, action: "lift-blocks", what, reason: why.map(str::to_owned) };
            self.directory.note_act(who, &act).await?;
        }
        Ok(())
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
