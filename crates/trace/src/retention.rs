//! How long the trace is kept: each tenant's rows as long as its plan says, what is nobody's as
//! long as the operator says.
//!
//! There is no index by tenant: it would cost every delivery a page. So all tenants that keep
//! their rows equally long are one class, by its number of days, and a class has a mark, the id
//! up to which it was looked through. A round looks through what has passed the class's age
//! since the last round. Invariants:
//! - of a tenant that is written down with a class, no row lies below the class's mark; so a
//!   tenant that changes its class takes the lower mark of both with it, in one transaction;
//! - a step is a bounded transaction that removes rows and moves the mark together: a round that
//!   was ended anywhere goes on there, and one that runs twice does no harm;
//! - no row is removed that is younger than its tenant's days, whatever its class was before.
//!
//! Ids tell the time. Rows come with ids of their time, minutes late at most, and a class has a
//! day at least: nothing comes in below a mark.
//!
//! Known weakness: a plan that is shortened costs one look through all the rows that the old one
//! kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_store::{Dialect, Row, Scope, ServiceScope, ServiceTx, Sql, Store, StoreError};
use hikyaku_types::{Actor, RisingIds, Service, ShardId, TenantId, Timestamp};

const JOBS: Actor = Actor::Service(Service::Jobs);
/// Rows of each of the two tables that one step looks at.
const STEP: u16 = 400;
/// Tenants that are read or written down at once.
const TENANTS: u16 = 400;

const TERMS: Sql = Sql::new("SELECT tenant, days FROM trace_term WHERE tenant > $1 ORDER BY tenant LIMIT $2");
const KEEP_TERM: Sql = Sql::new(
    "INSERT INTO trace_term (tenant, days) VALUES ($1, $2)
     ON CONFLICT (tenant) DO UPDATE SET days = excluded.days",
);
const FORGET_TERM: Sql = Sql::new("DELETE FROM trace_term WHERE tenant = $1");
const MARK: Sql = Sql::new("SELECT below FROM trace_mark WHERE days = $1");
const SET_MARK: Sql = Sql::new(
    "INSERT INTO trace_mark (days, below) VALUES ($1, $2)
     ON CONFLICT (days) DO UPDATE SET below = excluded.below",
);
const TRACE: Sql = Sql::new("SELECT id, tenant FROM trace WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3");
const REFUSAL: Sql =
    Sql::new("SELECT id, tenant FROM refusal WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3");
const REMOVE_TRACE: Sql = Sql::new("DELETE FROM trace WHERE id BETWEEN $1 AND $2");
const REMOVE_REFUSAL: Sql = Sql::new("DELETE FROM refusal WHERE id BETWEEN $1 AND $2");
const DROP_PARTITIONS: Sql = Sql::new("SELECT trace_drop_partitions($1)");

/// How many days the rows of each tenant are kept, one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    by_tenant: HashMap<TenantId, u32>,
    nobodys: u32,
}

impl Terms {
    /// No tenant is known yet. What is nobody's, or of a tenant that there is no more, is kept
    /// for `nobodys` days.
    pub fn new(nobodys: u32) -> Self {
        let nobodys = nobodys.max(1);
        // Its own row, so that a change of it is noticed like that of a tenant.
        Self { by_tenant: HashMap::from([(TenantId::PLATFORM, nobodys)]), nobodys }
    }

    /// A tenant's rows are kept for so many days.
    pub fn set(&mut self, tenant: TenantId, days: u32) {
        self.by_tenant.insert(tenant, days.max(1));
    }

    fn of(&self, tenant: TenantId) -> u32 {
        self.by_tenant.get(&tenant).copied().unwrap_or(self.nobodys)
    }

    /// Every class, the shortest first.
    fn classes(&self) -> BTreeSet<u32> {
        self.by_tenant.values().copied().collect()
    }
}

/// Removes what has served its time from one shard; how many rows.
///
/// # Errors
/// [`StoreError`]: what is left is removed by the next round.
pub async fn expire(
    store: &Store,
    shard: ShardId,
    terms: Arc<Terms>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    write_down(store, shard, &terms).await?;
    let mut removed = 0;
    let mut lowest = i64::MAX;
    for days in terms.classes() {
        let end = RisingIds::floor_at(now.before(Duration::from_secs(u64::from(days) * 24 * 3600)));
        removed += look_through(store, shard, &terms, days, end).await?;
        lowest = lowest.min(end);
    }
    store.write(scope(shard), "trace.drop_partitions", move |tx| drop_partitions(tx, lowest)).await?;
    Ok(removed)
}

/// A tenant whose class is new, has changed, or is gone with it.
#[derive(Debug, Clone, Copy)]
struct Move {
    tenant: TenantId,
    from: Option<u32>,
    to: u32,
    /// There is such a tenant.
    is_known: bool,
}

/// Writes down which class each tenant is in, where that has changed.
async fn write_down(store: &Store, shard: ShardId, terms: &Terms) -> Result<(), StoreError> {
    let written = written(store, shard).await?;
    let mut moves: Vec<Move> = Vec::new();
    for (&tenant, &to) in &terms.by_tenant {
        let from = written.get(&tenant).copied();
        if from != Some(to) {
            moves.push(Move { tenant, from, to, is_known: true });
        }
    }
    for (&tenant, &days) in written.iter().filter(|(tenant, _)| !terms.by_tenant.contains_key(tenant)) {
        moves.push(Move { tenant, from: Some(days), to: terms.nobodys, is_known: false });
    }
    for step in moves.chunks(usize::from(TENANTS)) {
        let step = step.to_vec();
        let write = store.write(scope(shard), "trace.terms", move |tx| {
            step.iter().try_for_each(|one| carry_out(tx, *one))
        });
        write.await?;
    }
    Ok(())
}

async fn written(store: &Store, shard: ShardId) -> Result<HashMap<TenantId, u32>, StoreError> {
    let mut all = HashMap::new();
    let mut last = 0;
    loop {
        let page = store.read(scope(shard), "trace.terms", move |tx| {
            tx.rows(TERMS, &[last.into(), TENANTS.into()], |row| Ok((row.get::<TenantId>(0)?, row.get(1)?)))
        });
        let page: Vec<(TenantId, u32)> = page.await?;
        let Some((tenant, _)) = page.last() else { return Ok(all) };
        last = tenant.as_i64();
        all.extend(page);
    }
}

fn carry_out(tx: &mut ServiceTx<'_>, one: Move) -> Result<(), StoreError> {
    if let Some(from) = one.from {
        let (of_old, of_new) = (mark(tx, from)?, mark(tx, one.to)?);
        if of_old < of_new {
            tx.execute(SET_MARK, &[one.to.into(), of_old.into()])?;
        }
    }
    match one.is_known {
        true => tx.execute(KEEP_TERM, &[one.tenant.into(), one.to.into()])?,
        false => tx.execute(FORGET_TERM, &[one.tenant.into()])?,
    };
    Ok(())
}

/// Where to begin with a class: at the beginning if it is new.
fn mark(tx: &mut ServiceTx<'_>, days: u32) -> Result<i64, StoreError> {
    Ok(tx.row(MARK, &[days.into()], |row| row.get(0))?.unwrap_or(0))
}

/// Removes what lies below `end` and is in this class or a shorter one.
async fn look_through(
    store: &Store,
    shard: ShardId,
    terms: &Arc<Terms>,
    days: u32,
    end: i64,
) -> Result<u64, StoreError> {
    let begin = store.read(scope(shard), "trace.mark", move |tx| mark(tx, days)).await?;
    let (mut from, mut removed) = (begin, 0);
    while from < end {
        let terms = Arc::clone(terms);
        let look = move |tx: &mut ServiceTx<'_>| window(tx, &terms, days, from, end);
        let window = store.read(scope(shard), "trace.expired", look).await?;
        from = window.end;
        // Where everything stays, there is nothing to write until the end.
        if from == end || !window.is_empty() {
            let remove = move |tx: &mut ServiceTx<'_>| window.remove(tx, days);
            removed += store.write(scope(shard), "trace.expire", remove).await?;
        }
    }
    Ok(removed)
}

/// What of one part of the ids has served its time.
#[derive(Debug)]
struct Window {
    /// The id before which it ends.
    end: i64,
    trace: Vec<Run>,
    refusals: Vec<Run>,
}

/// From the first to the last id of rows that all go.
type Run = (i64, i64);

/// At most [`STEP`] rows of each table from `from` on.
fn window(
    tx: &mut ServiceTx<'_>,
    terms: &Terms,
    days: u32,
    from: i64,
    end: i64,
) -> Result<Window, StoreError> {
    let params = [from.into(), end.into(), STEP.into()];
    let trace = tx.rows(TRACE, &params, read)?;
    let refusals = tx.rows(REFUSAL, &params, read)?;
    let seen = end_of(&trace, end).min(end_of(&refusals, end));
    let gone = |tenant| terms.of(tenant) <= days;
    Ok(Window { end: seen, trace: runs(&trace, seen, gone), refusals: runs(&refusals, seen, gone) })
}

fn read(row: Row<'_>) -> Result<(i64, TenantId), StoreError> {
    Ok((row.get(0)?, row.get(1)?))
}

/// The id before which all rows were read.
fn end_of(rows: &[(i64, TenantId)], end: i64) -> i64 {
    match rows.last() {
        Some((last, _)) if rows.len() == usize::from(STEP) => last + 1,
        _ => end,
    }
}

/// The rows before `end` that go, each uninterrupted row of them as one.
fn runs(rows: &[(i64, TenantId)], end: i64, gone: impl Fn(TenantId) -> bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut is_running = false;
    for (id, tenant) in rows.iter().filter(|(id, _)| *id < end) {
        let goes = gone(*tenant);
        match runs.last_mut() {
            Some(run) if goes && is_running => run.1 = *id,
            _ if goes => runs.push((*id, *id)),
            _ => {}
        }
        is_running = goes;
    }
    runs
}

impl Window {
    fn is_empty(&self) -> bool {
        self.trace.is_empty() && self.refusals.is_empty()
    }

    fn remove(&self, tx: &mut ServiceTx<'_>, days: u32) -> Result<u64, StoreError> {
        let mut removed = 0;
        for (sql, runs) in [(REMOVE_TRACE, &self.trace), (REMOVE_REFUSAL, &self.refusals)] {
            for (first, last) in runs {
                removed += tx.execute(sql, &[(*first).into(), (*last).into()])?;
            }
        }
        tx.execute(SET_MARK, &[days.into(), self.end.into()])?;
        Ok(removed)
    }
}

/// Nothing lies below the marks of all classes: partitions there are empty.
fn drop_partitions(tx: &mut ServiceTx<'_>, below: i64) -> Result<(), StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    tx.row(DROP_PARTITIONS, &[below.into()], |_| Ok(())).map(drop)
}

fn scope(shard: ShardId) -> ServiceScope {
    Scope::service(&JOBS, shard, None).expect("jobs are a service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_go_are_runs() {
        let [stays, goes] = [1, 2].map(|number| TenantId::from_i64(number).unwrap());
        let rows =
            [(1, goes), (2, goes), (4, stays), (7, goes), (8, stays), (9, goes), (11, goes), (12, goes)];
        for (end, expected) in [
            (13, vec![(1, 2), (7, 7), (9, 12)]),
            (12, vec![(1, 2), (7, 7), (9, 11)]),
            (5, vec![(1, 2)]),
            (1, vec![]),
        ] {
            assert_eq!(runs(&rows, end, |tenant| tenant == goes), expected, "before {end}");
        }
    }

    #[test]
    fn what_is_nobodys_has_a_term_of_its_own() {
        let tenant = |number| TenantId::from_i64(number).unwrap();
        let mut terms = Terms::new(30);
        terms.set(tenant(1), 7);
        terms.set(tenant(2), 0);
        let days = [tenant(1), tenant(2), tenant(3), TenantId::PLATFORM].map(|tenant| terms.of(tenant));
        assert_eq!(days, [7, 1, 30, 30]);
        assert_eq!(terms.classes().into_iter().collect::<Vec<_>>(), [1, 7, 30]);
    }
}
