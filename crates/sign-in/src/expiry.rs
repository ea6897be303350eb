//! What is too old to matter is forgotten, in memory and in the access database.
//!
//! The history of a tenant is kept as its plan says, of names in nobody's domain and of tenants
//! that are gone as a plan says that says nothing.
//!
//! Invariants:
//! - a statement removes at most [`STEP`] rows, and each is a transaction of its own, so that
//!   sign-ins are written between;
//! - nothing is remembered of how far it came: a round that was interrupted begins again, and finds
//!   less to do;
//! - lines of which state is made stay as long as state needs them, whatever a plan says.

use std::time::Duration;

use hikyaku_directory::kind::plan::Plan;
use hikyaku_store::{Param, Sql, StoreError};
use hikyaku_types::{TenantId, Timestamp};

use crate::cluster;
use crate::gate::Gate;
use crate::line::floor;

const DAY: Duration = Duration::from_secs(86_400);
/// How long is known who lifted a block and who ended a session.
const DEEDS: Duration = Duration::from_secs(90 * 86_400);
/// How long a block is remembered that ended: the next one lasts longer.
const BLOCKS: Duration = Duration::from_secs(7 * 86_400);
/// Rows of one statement; the statements below say it too.
const STEP: u64 = 500;
/// Tenants of one look.
const TENANTS: usize = 200;

/// Whose lines there are, and the oldest of each: a look at the index for each, however many lines
/// they have.
const WHOSE: Sql = Sql::new(
    "WITH RECURSIVE whose (tenant, place) AS (
        SELECT MIN(tenant), 1 FROM signin WHERE tenant > $1
        UNION ALL
        SELECT (SELECT MIN(s.tenant) FROM signin s WHERE s.tenant > whose.tenant), place + 1
        FROM whose WHERE whose.tenant IS NOT NULL AND place < 200
     )
     SELECT tenant, (SELECT MIN(s.id) FROM signin s WHERE s.tenant = whose.tenant)
     FROM whose WHERE tenant IS NOT NULL ORDER BY tenant",
);
const LINES: Sql = Sql::new(
    "DELETE FROM signin WHERE id IN
        (SELECT id FROM signin WHERE tenant = $1 AND id < $2 ORDER BY id LIMIT 500)",
);
const KNOWN: Sql = Sql::new(
    "DELETE FROM known WHERE (account, source) IN
        (SELECT account, source FROM known WHERE last < $1 ORDER BY last LIMIT 500)",
);
const ENDED_BLOCKS: Sql = Sql::new(
    "DELETE FROM block WHERE (tenant, account, name, source, class) IN
        (SELECT tenant, account, name, source, class FROM block WHERE until < $1 ORDER BY until LIMIT 500)",
);
const LIFTS: Sql =
    Sql::new("DELETE FROM lift WHERE id IN (SELECT id FROM lift WHERE id < $1 ORDER BY id LIMIT 500)");
const ENDINGS: Sql =
    Sql::new("DELETE FROM ending WHERE id IN (SELECT id FROM ending WHERE id < $1 ORDER BY id LIMIT 500)");

impl Gate {
    /// Forgets what is too old to matter, in memory and in the access database.
    ///
    /// # Errors
    /// [`StoreError`]: what is left is forgotten next time.
    pub async fn expire(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.sweep(now).await;
        let known_for = self.state().limits.known_for;
        self.expire_history(now).await?;
        while self.write("sign-in.expire_sessions", move |tx| cluster::expire_lost(tx, now)).await? {}
        self.expire_recovery().await?;
        let deeds = floor(now.before(DEEDS));
        self.remove("sign-in.expire_known", KNOWN, [now.before(known_for).into()]).await?;
        self.remove("sign-in.expire_blocks", ENDED_BLOCKS, [now.before(BLOCKS).into()]).await?;
        self.remove("sign-in.expire_lifts", LIFTS, [deeds.into()]).await?;
        self.remove("sign-in.expire_endings", ENDINGS, [deeds.into()]).await
    }

    /// In memory. Whoever signs in waits for one step at most.
    async fn sweep(&self, now: Timestamp) {
        let mut step = 0;
        while self.sweep_step(step, now) {
            step += 1;
            tokio::task::yield_now().await;
        }
    }

    fn sweep_step(&self, step: usize, now: Timestamp) -> bool {
        self.state().sweep(step, now)
    }

    async fn expire_history(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut last = -1;
        loop {
            let read = self.read("sign-in.whose", move |tx| {
                tx.rows(WHOSE, &[last.into()], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))
            });
            let found = read.await?;
            for &(tenant, oldest) in &found {
                let kept = self.history_kept(TenantId::from_i64(tenant)).await?;
                let before = floor(now.before(kept));
                if oldest < before {
                    self.remove("sign-in.expire", LINES, [tenant.into(), before.into()]).await?;
                }
            }
            match found.last() {
                Some(&(tenant, _)) if found.len() == TENANTS => last = tenant,
                _ => return Ok(()),
            }
        }
    }

    /// How long the history of a tenant is kept.
    async fn history_kept(&self, tenant: Option<TenantId>) -> Result<Duration, StoreError> {
        let facts = match tenant {
            Some(tenant) => self.directory.tenant(tenant).await?,
            None => None,
        };
        let days = facts.map_or(Plan::default().history_days, |facts| facts.plan.history_days);
        Ok((DAY * days.0).max(self.state().limits.suspect_for))
    }

    /// Runs a statement until it finds nothing more to remove.
    async fn remove<const N: usize>(
        &self,
        label: &'static str,
        sql: Sql,
        values: [Param<'static>; N],
    ) -> Result<(), StoreError> {
        while self.write(label, move |tx| tx.execute(sql, &values)).await? == STEP {}
        Ok(())
    }
}
