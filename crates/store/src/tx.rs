//! Transactions as closures see them: one base over both engines, and a typed handle for
//! each scope, whose statements carry the scope's id as `$1`.

use hikyaku_types::{AccountId, TenantId};

use crate::dialect::{self, Dialect};
use crate::error::Failure;
use crate::hints::Hint;
use crate::job::Waiting;
use crate::postgres::Session;
use crate::sql::{AccountSql, Sql, TenantSql};
use crate::value::{Param, Row};
use crate::{StoreError, sqlite};

/// Most rows a closure reads and writes before it counts as too long, and what a scope
/// marked long may do.
const ROW_BUDGET: u64 = 1_000;
const LONG_ROW_BUDGET: u64 = 10_000;

/// What the worker keeps about the closure that is running.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Label of the call.
    pub(crate) label: &'static str,
    /// Allowed to be long.
    pub(crate) long: bool,
    /// Rows read and written.
    rows: u64,
    /// The first statement that failed, and how. The closure may have turned the error into
    /// its own, so it is kept here too.
    pub(crate) failure: Option<EngineError>,
    /// What to announce after the commit.
    pub(crate) hints: Vec<Hint>,
}

impl Frame {
    pub(crate) fn new(waiting: &Waiting) -> Self {
        Self { label: waiting.label, long: waiting.route.long, rows: 0, failure: None, hints: Vec::new() }
    }

    pub(crate) fn is_over_budget(&self) -> bool {
        self.rows > if self.long { LONG_ROW_BUDGET } else { ROW_BUDGET }
    }

    /// In debug builds a closure that does too much fails, so that a test finds it.
    fn count(&mut self, rows: u64) {
        self.rows += rows;
        debug_assert!(!self.is_over_budget(), "{} touches too many rows: split it into steps", self.label);
    }
}

/// An open transaction of one of the engines.
#[derive(Debug)]
pub struct Tx<'t> {
    engine: EngineTx<'t>,
    frame: &'t mut Frame,
}

#[derive(Debug)]
pub(crate) enum EngineTx<'t> {
    Sqlite(&'t rusqlite::Connection),
    Postgres(&'t mut Session),
}

impl<'t> Tx<'t> {
    pub(crate) fn new(engine: EngineTx<'t>, frame: &'t mut Frame) -> Self {
        Self { engine, frame }
    }

    fn reborrow(&mut self) -> Tx<'_> {
        let engine = match &mut self.engine {
            EngineTx::Sqlite(connection) => EngineTx::Sqlite(connection),
            EngineTx::Postgres(session) => EngineTx::Postgres(session),
        };
        Tx { engine, frame: self.frame }
    }

    fn dialect(&self) -> Dialect {
        match self.engine {
            EngineTx::Sqlite(_) => Dialect::Sqlite,
            EngineTx::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs a statement; returns how many rows it changed.
    fn execute(&mut self, sql: Sql, first: Option<i64>, params: &[Param<'_>]) -> Result<u64, StoreError> {
        let result = match &mut self.engine {
            EngineTx::Sqlite(connection) => sqlite::execute(connection, sql, first, params),
            EngineTx::Postgres(session) => session.execute(sql, first, params),
        };
        match result {
            Ok(count) => {
                self.frame.count(count);
                Ok(count)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Runs a query and hands each row to `each`.
    fn query(
        &mut self,
        sql: Sql,
        first: Option<i64>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = 0;
        let mut counted = |row: Row<'_>| {
            rows += 1;
            each(row)
        };
        let result = match &mut self.engine {
            EngineTx::Sqlite(connection) => sqlite::query(connection, sql, first, params, &mut counted),
            EngineTx::Postgres(session) => session.query(sql, first, params, &mut counted),
        };
        self.frame.count(rows);
        result.map_err(|error| self.failed(error))
    }

    fn failed(&mut self, error: EngineError) -> StoreError {
        self.frame.failure.get_or_insert_with(|| error.clone());
        StoreError::Failed { label: self.frame.label, cause: error.cause }
    }
}

/// A statement that failed in its engine.
#[derive(Debug, Clone)]
pub(crate) struct EngineError {
    pub(crate) failure: Failure,
    pub(crate) cause: String,
}

/// A row that could not be read is the row's fault, not the connection's.
impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        let cause = match error {
            StoreError::Failed { cause, .. } => cause,
            other => other.to_string(),
        };
        Self { failure: Failure::Other, cause }
    }
}

macro_rules! statements {
    ($sql:ty, |$self:ident| $first:expr, |$text:ident| $plain:expr) => {
        /// Runs a statement; returns how many rows it changed.
        ///
        /// # Errors
        /// [`StoreError::Failed`]; the transaction will be rolled back.
        pub fn execute(&mut self, $text: $sql, params: &[Param<'_>]) -> Result<u64, StoreError> {
            let $self = &*self;
            let first = $first;
            self.tx.execute($plain, first, params)
        }

        /// All rows of a query, each read by `read`.
        ///
        /// # Errors
        /// [`StoreError::Failed`]; the transaction will be rolled back.
        pub fn rows<T>(
            &mut self,
            $text: $sql,
            params: &[Param<'_>],
            mut read: impl FnMut(Row<'_>) -> Result<T, StoreError>,
        ) -> Result<Vec<T>, StoreError> {
            let $self = &*self;
            let first = $first;
            let mut all = Vec::new();
            self.tx.query($plain, first, params, &mut |row| {
                all.push(read(row)?);
                Ok(())
            })?;
            Ok(all)
        }

        /// The only row of a query, or none.
        ///
        /// # Errors
        /// [`StoreError::Failed`]; the transaction will be rolled back.
        pub fn row<T>(
            &mut self,
            $text: $sql,
            params: &[Param<'_>],
            mut read: impl FnMut(Row<'_>) -> Result<T, StoreError>,
        ) -> Result<Option<T>, StoreError> {
            let $self = &*self;
            let first = $first;
            let mut one = None;
            self.tx.query($plain, first, params, &mut |row| {
                one = Some(read(row)?);
                Ok(())
            })?;
            Ok(one)
        }

        /// Which engine runs it, for the few statements that `dialect` writes in two ways.
        pub fn dialect(&self) -> Dialect {
            self.tx.dialect()
        }
    };
}

/// The mail of one account.
#[derive(Debug)]
pub struct AccountTx<'t> {
    tx: Tx<'t>,
    tenant: TenantId,
    account: AccountId,
}

impl<'t> AccountTx<'t> {
    pub(crate) fn new(tx: Tx<'t>, tenant: TenantId, account: AccountId) -> Self {
        Self { tx, tenant, account }
    }

    /// Whose mail it is.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The account's tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's rows that an account's work must count on: content and usage.
    ///
    /// On PostgreSQL their policies admit the account's scope too, for its own tenant only.
    pub fn tenant_rows(&mut self) -> TenantTx<'_> {
        let tenant = self.tenant;
        TenantTx::new(self.tx.reborrow(), tenant)
    }

    /// After the commit, tell sessions that the account changed up to `modseq`.
    pub fn announce(&mut self, modseq: i64) {
        let account = self.account;
        self.tx.frame.hints.push(Hint { account, modseq });
    }

    statements!(AccountSql, |this| Some(this.account.as_i64()), |text| text.sql());
}

/// The rows of one tenant.
#[derive(Debug)]
pub struct TenantTx<'t> {
    tx: Tx<'t>,
    tenant: TenantId,
}

impl<'t> TenantTx<'t> {
    pub(crate) fn new(tx: Tx<'t>, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Whose rows they are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    statements!(TenantSql, |this| Some(this.tenant.as_i64()), |text| text.sql());
}

/// The whole control database.
#[derive(Debug)]
pub struct ControlTx<'t> {
    tx: Tx<'t>,
}

impl<'t> ControlTx<'t> {
    pub(crate) fn new(tx: Tx<'t>) -> Self {
        Self { tx }
    }

    /// The rows of one tenant.
    pub fn tenant(&mut self, tenant: TenantId) -> TenantTx<'_> {
        TenantTx::new(self.tx.reborrow(), tenant)
    }

    statements!(Sql, |_this| None, |text| text);
}

/// A whole shard or the access database: deliveries, the queue, jobs.
#[derive(Debug)]
pub struct ServiceTx<'t> {
    tx: Tx<'t>,
}

impl<'t> ServiceTx<'t> {
    pub(crate) fn new(tx: Tx<'t>) -> Self {
        Self { tx }
    }

    /// The mail of one account.
    pub fn account(&mut self, tenant: TenantId, account: AccountId) -> AccountTx<'_> {
        AccountTx::new(self.tx.reborrow(), tenant, account)
    }

    /// The rows of one tenant.
    pub fn tenant(&mut self, tenant: TenantId) -> TenantTx<'_> {
        TenantTx::new(self.tx.reborrow(), tenant)
    }

    /// Locks several accounts in their one order, before anything else is written, so that
    /// two transactions over the same accounts never wait for each other in a circle.
    ///
    /// Returns how many of them exist. On SQLite the writer is alone and nothing is locked.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn lock_accounts(&mut self, accounts: &[AccountId]) -> Result<(), StoreError> {
        if self.tx.dialect() == Dialect::Sqlite || accounts.len() < 2 {
            return Ok(());
        }
        let mut ids: Vec<i64> = accounts.iter().map(|account| account.as_i64()).collect();
        ids.sort_unstable();
        self.rows(dialect::LOCK_ACCOUNTS, &[Param::Ints(&ids)], |_| Ok(())).map(drop)
    }

    statements!(Sql, |_this| None, |text| text);
}
