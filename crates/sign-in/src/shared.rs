//! What nodes share through the access database: read at the start and each half second, and
//! written with each attempt that others must know of.

use std::time::Duration;

use hikyaku_access::block::Block;
use hikyaku_access::event::{Event, What};
use hikyaku_access::policy::Limits;
use hikyaku_store::{Scope, ServiceTx, Sql, StoreError};
use hikyaku_types::{AccountId, Network, TenantId, Timestamp};

use crate::PLATFORM;
use crate::blocks::{self, Stored};
use crate::gate::Gate;
use crate::line::{self, Line, columns, damaged, floor};

/// Clocks differ, and a transaction may commit after a later one: so far back is read again.
const LOOK_BACK: Duration = Duration::from_secs(5);
/// Rows of one step.
const PAGE: usize = 500;

/// How far this node has read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    line: i64,
    block: Option<Timestamp>,
}

const LEARNED: Sql = Sql::new(concat!(
    "SELECT ",
    columns!(),
    " FROM signin WHERE id > $1 AND learned <> '' ORDER BY id LIMIT 500"
));
const KNOWN: Sql = Sql::new(
    "SELECT account, source, tenant, since, last, vouches FROM known
     WHERE (account > $1 OR account = $1 AND source > $2) AND last >= $3 ORDER BY account, source LIMIT 500",
);

/// A source that an account signed in well from.
struct Known {
    account: AccountId,
    source: Network,
    tenant: TenantId,
    since: Timestamp,
    last: Timestamp,
    vouches: bool,
}

impl Gate {
    /// Makes the state of what is stored, as after a restart.
    pub(crate) async fn remember(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Limits { known_for, suspect_for, .. } = self.state().limits;
        self.learn_known(now.before(known_for)).await?;
        self.learn_lines(floor(now.before(suspect_for))).await?;
        self.learn_blocks(Timestamp::from_millis(0)).await
    }

    /// Takes in what other nodes did. To be called each half second where there are others.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let (line, block) = {
            let seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (seen.line, seen.block)
        };
        let now = self.clock.now();
        let newest = hikyaku_types::RisingIds::time_of(line).min(now);
        self.learn_lines(floor(newest.before(LOOK_BACK))).await?;
        self.learn_blocks(block.unwrap_or(now).min(now).before(LOOK_BACK)).await?;
        self.meet().await
    }

    async fn learn_known(&self, since: Timestamp) -> Result<(), StoreError> {
        let mut last = (0, String::new());
        loop {
            let (account, source) = last.clone();
            let page = self
                .read("sign-in.known", move |tx| {
                    tx.rows(KNOWN, &[account.into(), (&source).into(), since.into()], |row| {
                        Ok(Known {
                            account: row.get(0)?,
                            source: Network::parse(&row.get::<String>(1)?).map_err(|_| damaged("source"))?,
                            tenant: row.get(2)?,
                            since: row.get(3)?,
                            last: row.get(4)?,
                            vouches: row.get(5)?,
                        })
                    })
                })
                .await?;
            let mut state = self.state();
            let node = state.node();
            for known in &page {
                let Known { tenant, account, vouches, .. } = *known;
                let what = What::Good { tenant, account, vouches };
                for at in [known.since, known.last] {
                    state.apply(&Event { at, node, ip: known.source.address(), what });
                }
            }
            match page.last() {
                Some(known) if page.len() == PAGE => {
                    last = (known.account.as_i64(), known.source.to_string());
                }
                _ => return Ok(()),
            }
        }
    }

    async fn learn_lines(&self, after: i64) -> Result<(), StoreError> {
        let mut after = after;
        loop {
            let page =
                self.read("sign-in.learned", move |tx| tx.rows(LEARNED, &[after.into()], line::read)).await?;
            let mut state = self.state();
            page.iter().filter_map(Line::event).for_each(|event| state.apply(&event));
            drop(state);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            seen.line = seen.line.max(after);
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    async fn learn_blocks(&self, since: Timestamp) -> Result<(), StoreError> {
        let mut skip = 0u32;
        loop {
            let page = self.read("sign-in.blocks", move |tx| blocks::changed(tx, since, skip)).await?;
            let count = page.len();
            for stored in page {
                self.learn_block(&stored);
            }
            if count < 1000 {
                return Ok(());
            }
            skip = skip.saturating_add(1000);
        }
    }

    fn learn_block(&self, stored: &Stored) {
        let mut state = self.state();
        if stored.lifted {
            state.blocks.lift(&stored.block.key);
        } else {
            state.blocks.add(stored.block);
        }
        drop(state);
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.block = seen.block.max(Some(stored.changed));
    }

    /// One statement, with what follows from it.
    pub(crate) async fn write_shared(&self, line: Line, block: Option<Block>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let known_since = now.before(self.state().limits.known_for);
        self.write("sign-in.attempt", move |tx| {
            line.write(tx, known_since)?;
            block.map_or(Ok(()), |block| blocks::write(tx, &block, now))
        })
        .await
    }

    /// Writes what waits. To be called each second, and at the end.
    ///
    /// # Errors
    /// [`StoreError`]: what could not be written waits again.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let (lines, lost) = self.pending().take();
        if lost > 0 {
            tracing::warn!(attempts = lost, "more sign-ins than the history can take were not written");
        }
        let known_since = self.clock.now().before(self.state().limits.known_for);
        let mut pages = line::pages(&lines);
        while let Some(page) = pages.next() {
            let these = page.to_vec();
            let written = self
                .write("sign-in.flush", move |tx| {
                    these.iter().try_for_each(|line| line.write(tx, known_since))
                })
                .await;
            if let Err(error) = written {
                let mut pending = self.pending();
                page.iter().chain(pages.flatten()).for_each(|line| pending.add(line.clone()));
                return Err(error);
            }
        }
        // After their lines.
        self.flush_names().await
    }

    pub(crate) async fn read<T, F>(&self, label: &'static str, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut ServiceTx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let scope = Scope::access(&PLATFORM).map_err(|_| StoreError::Closed)?;
        self.store.read(scope, label, closure).await
    }

    pub(crate) async fn write<T, F>(&self, label: &'static str, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut ServiceTx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let scope = Scope::access(&PLATFORM).map_err(|_| StoreError::Closed)?;
        self.store.write(scope, label, closure).await
    }
}
