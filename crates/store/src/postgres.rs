//! The PostgreSQL engine: a pool of connections, each with a thread of its own, that take
//! work from one fair queue. One closure is one transaction, at READ COMMITTED if it writes; a
//! reading one sees one snapshot. The server groups the flushes.
//!
//! Invariants:
//! - a closure is run again only if its COMMIT was never sent: after a deadlock or a
//!   serialization failure (at most [`MOST_RUNS`] times altogether), or once on a new
//!   connection when the old one was lost;
//! - a COMMIT whose answer never came is [`StoreError::OutcomeUnknown`];
//! - an account's or a tenant's transaction runs under the scoped role, which row-level
//!   security binds to `app.account` and `app.tenant`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::ToSql;
use ::postgres::{Client, Config, NoTls, Statement};

use crate::dialect::SCOPED_ROLE;
use crate::error::Failure;
use crate::fair::FairQueue;
use crate::hints::Hints;
use crate::job::{Access, Verdict, Waiting};
use crate::metrics::DatabaseMetrics;
use crate::scope::Visible;
use crate::sql::Sql;
use crate::tx::{EngineError, EngineTx, Frame, Tx};
use crate::value::{Param, Row, RowOf};
use crate::{Options, StoreError};

/// How often a closure is run at the most.
const MOST_RUNS: u32 = 5;
/// How long a transaction that met another one waits before its second run; each further
/// wait is twice as long. Without it, it can take a lock that it has just lost before the
/// other one, which waits for that lock, is awake: they would meet again, five times in a row.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// How long a server that does not answer on the network level is believed to be there.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One PostgreSQL schema with its connections.
#[derive(Debug)]
pub(crate) struct Postgres {
    queue: Arc<FairQueue<Waiting>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Postgres {
    /// Opens the pool. The first connection is made here, so that a wrong URL is an error at
    /// start and not at the first mail.
    pub(crate) fn open(
        url: &str,
        schema: &str,
        options: &Options,
        hints: &Hints,
        metrics: &DatabaseMetrics,
    ) -> Result<Self, ::postgres::Error> {
        let mut first = Some(connect(url, schema)?);
        let queue = Arc::new(FairQueue::new(options.waiting, options.waiting_each));
        let threads = (0..options.connections.max(1))
            .map(|number| {
                let mut worker = Worker {
                    url: url.to_owned(),
                    schema: schema.to_owned(),
                    session: first.take().map(Session::new),
                    queue: Arc::clone(&queue),
                    hints: hints.clone(),
                    metrics: metrics.clone(),
                };
                std::thread::Builder::new()
                    .name(format!("{schema}-pg{number}"))
                    .spawn(move || worker.run())
                    .expect("the system starts a thread")
            })
            .collect();
        Ok(Self { queue, threads: Mutex::new(threads) })
    }

    pub(crate) fn queue(&self) -> &FairQueue<Waiting> {
        &self.queue
    }

    /// Finishes what waits and closes the connections.
    pub(crate) fn close(&self) {
        self.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// A COMMIT waits for its flush, whatever a role or the server has set: a 250 means durable.
/// Standby servers that are waited for (`remote_write`, `remote_apply`) stay the operator's choice.
const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'";

/// Connects and makes `schema` the only one that names are looked up in.
pub(crate) fn connect(url: &str, schema: &str) -> Result<Client, ::postgres::Error> {
    let mut config: Config = url.parse()?;
    config.connect_timeout(CONNECT_TIMEOUT).application_name("hikyaku");
    // A server that vanished without a word is noticed in a minute, not in two hours.
    config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 3).keepalives_retries(3);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    let mut client = config.connect(NoTls)?;
    client.batch_execute(&format!(
        "SET search_path TO {schema}; SET client_min_messages TO warning; {DURABLE}"
    ))?;
    Ok(client)
}

/// A connection with the statements that it has prepared, by the address of their text.
pub(crate) struct Session {
    client: Client,
    statements: HashMap<usize, Statement>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("statements", &self.statements.len()).finish_non_exhaustive()
    }
}

impl Session {
    fn new(client: Client) -> Self {
        Self { client, statements: HashMap::new() }
    }

    fn prepared(&mut self, sql: Sql) -> Result<Statement, ::postgres::Error> {
        // Texts are `'static`, so an address stands for one text as long as we run.
        let key = sql.text().as_ptr() as usize;
        if let Some(statement) = self.statements.get(&key) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql.text())?;
        self.statements.insert(key, statement.clone());
        Ok(statement)
    }

    pub(crate) fn execute(
        &mut self,
        sql: Sql,
        first: Option<i64>,
        params: &[Param<'_>],
    ) -> Result<u64, EngineError> {
        let statement = self.prepared(sql)?;
        let first = first.map(Param::Int);
        let all: Vec<&(dyn ToSql + Sync)> =
            first.iter().chain(params).map(|param| param as &(dyn ToSql + Sync)).collect();
        Ok(self.client.execute(&statement, &all)?)
    }

    pub(crate) fn query(
        &mut self,
        sql: Sql,
        first: Option<i64>,
        params: &[Param<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), StoreError>,
    ) -> Result<(), EngineError> {
        let statement = self.prepared(sql)?;
        let first = first.map(Param::Int);
        let all: Vec<&(dyn ToSql + Sync)> =
            first.iter().chain(params).map(|param| param as &(dyn ToSql + Sync)).collect();
        for row in self.client.query(&statement, &all)? {
            each(Row(RowOf::Postgres(&row)))?;
        }
        Ok(())
    }
}

impl From<::postgres::Error> for EngineError {
    fn from(error: ::postgres::Error) -> Self {
        let failure = match error.code() {
            Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => Failure::Retry,
            // The server ends a connection with a code (57P01 and its like) or without one.
            Some(code) if code.code().starts_with("57P") || code.code().starts_with("08") => {
                Failure::Connection
            }
            None if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|cause| cause.is::<std::io::Error>()) =>
            {
                Failure::Connection
            }
            _ => Failure::Other,
        };
        Self { failure, cause: describe(&error) }
    }
}

/// The driver's own text says only "db error".
pub(crate) fn describe(error: &::postgres::Error) -> String {
    match error.as_db_error() {
        Some(inner) => format!("{} ({})", inner.message(), inner.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

struct Worker {
    url: String,
    schema: String,
    /// `None` before the first work, and after the connection was lost.
    session: Option<Session>,
    queue: Arc<FairQueue<Waiting>>,
    hints: Hints,
    metrics: DatabaseMetrics,
}

/// How one run of a closure ended.
enum Run {
    Ended(Verdict),
    /// Nothing of it stands and it may be run again.
    Again(Failure, String),
    Failed(StoreError),
}

impl Worker {
    fn run(&mut self) {
        loop {
            let Some(mut waiting) = self.queue.take(1, 1).pop() else { return };
            self.metrics.started(&waiting);
            let outcome = self.until_it_ends(&mut waiting);
            match &outcome {
                Ok(verdict) => self.metrics.ended(waiting.label, *verdict),
                Err(error) => {
                    tracing::error!(label = waiting.label, %error, "a transaction failed");
                    self.metrics.failed(waiting.label);
                }
            }
            waiting.job.finish(outcome.map(drop));
        }
    }

    fn until_it_ends(&mut self, waiting: &mut Waiting) -> Result<Verdict, StoreError> {
        let label = waiting.label;
        let mut lost_once = false;
        let mut runs_left = MOST_RUNS;
        loop {
            runs_left -= 1;
            let mut frame = Frame::new(waiting);
            let begun = Instant::now();
            let run = self.once(waiting, &mut frame);
            self.metrics.ran(&frame, begun.elapsed());
            match run {
                Run::Ended(verdict) => {
                    if verdict == Verdict::Commit {
                        self.hints.publish(&frame.hints);
                    }
                    return Ok(verdict);
                }
                Run::Failed(error) => return Err(error),
                Run::Again(Failure::Connection, cause) => {
                    self.session = None;
                    if lost_once || runs_left == 0 {
                        return Err(StoreError::Failed { label, cause });
                    }
                    tracing::warn!(label, error = %cause, "lost the connection to PostgreSQL, connecting again");
                    lost_once = true;
                }
                Run::Again(_, cause) if runs_left == 0 => return Err(StoreError::Failed { label, cause }),
                Run::Again(..) => {
                    self.metrics.retries.inc();
                    std::thread::sleep(RETRY_PAUSE * 2u32.pow(MOST_RUNS - runs_left - 1));
                }
            }
        }
    }

    /// Runs the closure in one transaction.
    fn once(&mut self, waiting: &mut Waiting, frame: &mut Frame) -> Run {
        if self.session.is_none() {
            match connect(&self.url, &self.schema) {
                Ok(client) => {
                    self.metrics.reconnects.inc();
                    self.session = Some(Session::new(client));
                }
                Err(error) => return Run::Again(Failure::Connection, describe(&error)),
            }
        }
        let Some(session) = &mut self.session else { unreachable!("connected just above") };
        if let Err(error) = session.client.batch_execute(&begin(waiting.access, waiting.route.visible)) {
            let error = EngineError::from(error);
            return Run::Again(error.failure, error.cause);
        }
        let verdict = waiting.job.run(Tx::new(EngineTx::Postgres(session), frame));
        let failed = frame.failure.take();
        match (verdict, failed.as_ref().map(|error| error.failure)) {
            (Verdict::Commit, None) => match session.client.batch_execute("COMMIT") {
                Ok(()) => Run::Ended(Verdict::Commit),
                Err(error) => self.commit_failed(waiting.label, &error),
            },
            (_, Some(failure @ (Failure::Retry | Failure::Connection))) => {
                self.roll_back();
                Run::Again(failure, failed.map(|error| error.cause).unwrap_or_default())
            }
            (Verdict::Commit, Some(Failure::Other)) => {
                // The closure swallowed an error; the server would turn COMMIT into ROLLBACK.
                self.roll_back();
                Run::Failed(StoreError::Failed { label: waiting.label, cause: "a statement failed".into() })
            }
            (verdict, _) => {
                self.roll_back();
                Run::Ended(verdict)
            }
        }
    }

    /// An error that the server gave in answer to COMMIT means that nothing stands. No answer
    /// means that nobody knows.
    fn commit_failed(&mut self, label: &'static str, error: &::postgres::Error) -> Run {
        let cause = describe(error);
        match error.code() {
            Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
                self.roll_back();
                Run::Again(Failure::Retry, cause)
            }
            // 57P01: the server is stopping, and may say so after it has committed.
            Some(code) if !code.code().starts_with("57P") => {
                self.roll_back();
                Run::Failed(StoreError::Failed { label, cause })
            }
            _ => {
                self.session = None;
                Run::Failed(StoreError::OutcomeUnknown { label, cause })
            }
        }
    }

    fn roll_back(&mut self) {
        if let Some(session) = &mut self.session
            && session.client.batch_execute("ROLLBACK").is_err()
        {
            self.session = None;
        }
    }
}

/// Opens a transaction that sees what its scope may see, in one round trip.
fn begin(access: Access, visible: Visible) -> String {
    let begin = match access {
        Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Access::Write => "BEGIN",
    };
    match visible {
        Visible::All => begin.into(),
        Visible::Tenant(tenant) => {
            format!("{begin}; SET LOCAL ROLE {SCOPED_ROLE}; SET LOCAL app.tenant = '{}'", tenant.as_i64())
        }
        Visible::Account(tenant, account) => format!(
            "{begin}; SET LOCAL ROLE {SCOPED_ROLE}; SET LOCAL app.tenant = '{}'; SET LOCAL app.account = '{}'",
            tenant.as_i64(),
            account.as_i64()
        ),
    }
}
