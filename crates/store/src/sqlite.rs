//! The SQLite engine: one writer thread a file with group commit, reader threads on
//! snapshots, and a checkpointer.
//!
//! The writer takes what waits (it never lingers for more), runs each closure in a savepoint
//! of one transaction, and gives out the results after the one COMMIT: many messages share a
//! flush. `synchronous=FULL` makes that COMMIT durable.
//!
//! Invariants:
//! - a result is given out only after the COMMIT that holds it returned;
//! - a closure that fails or panics is rolled back to its savepoint; its neighbours stand;
//! - if an error ended the whole transaction (disk full, I/O), every waiter of the batch
//!   gets a temporary error, and nothing of the batch stands;
//! - a flush that failed ends the process: after it the kernel may have dropped the pages
//!   that it could not write, and a second flush would say "done". Recovery at the next
//!   start reads what the disk really has;
//! - what recovery found is flushed before the first call.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::Failure;
use crate::fair::FairQueue;
use crate::hints::Hints;
use crate::job::{Verdict, Waiting};
use crate::metrics::DatabaseMetrics;
use crate::sql::Sql;
use crate::tx::{EngineError, EngineTx, Frame, Tx};
use crate::value::{Param, Row, RowOf};
use crate::{Options, StoreError};

/// Most closures in one group commit, and about how many bytes they may write.
const BATCH_JOBS: usize = 128;
const BATCH_BYTES: usize = 4 << 20;

const PAGE: u32 = 4096;
/// The checkpointer copies pages back to the database file each time this much was written.
const CHECKPOINT_PAGES: u32 = (16 << 20) / PAGE;
/// From this size on the writer itself ends the log, waiting for the readers.
const RESTART_PAGES: u32 = (256 << 20) / PAGE;

/// One SQLite file with its threads.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writes: Arc<FairQueue<Waiting>>,
    reads: Arc<FairQueue<Waiting>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Sqlite {
    pub(crate) fn open(
        path: &Path,
        options: &Options,
        hints: &Hints,
        metrics: &DatabaseMetrics,
    ) -> Result<Self, rusqlite::Error> {
        let writes = Arc::new(FairQueue::new(options.waiting, options.waiting_each));
        let reads = Arc::new(FairQueue::new(options.waiting, options.waiting_each));
        let (wal, checkpoints) = (Arc::new(AtomicU32::new(0)), Checkpoints::new(metrics));
        let (wake, woken) = sync_channel(1);
        let mut connection = connect(path, options.writer_cache_kib)?;
        flush_log(path)?;
        watch_wal(&mut connection, &wal, metrics, wake)?;
        let writer = Writer {
            connection,
            queue: Arc::clone(&writes),
            hints: hints.clone(),
            metrics: metrics.clone(),
            checkpoints: checkpoints.clone(),
            wal,
        };
        let checkpointer = connect(path, 1024)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut threads = vec![
            spawn(format!("{name}-write"), move || writer.run()),
            spawn(format!("{name}-ckpt"), move || {
                while woken.recv().is_ok() {
                    checkpoints.run(&checkpointer, CheckpointMode::PASSIVE);
                }
            }),
        ];
        for number in 0..options.readers {
            let reader = connect(path, options.reader_cache_kib)?;
            reader.pragma_update(None, "query_only", true)?;
            let (queue, metrics) = (Arc::clone(&reads), metrics.clone());
            threads.push(spawn(format!("{name}-read{number}"), move || read(&reader, &queue, &metrics)));
        }
        Ok(Self { writes, reads, threads: Mutex::new(threads) })
    }

    pub(crate) fn writes(&self) -> &FairQueue<Waiting> {
        &self.writes
    }

    pub(crate) fn reads(&self) -> &FairQueue<Waiting> {
        &self.reads
    }

    /// Finishes what waits, ends the threads, closes the file.
    pub(crate) fn close(&self) {
        self.writes.close();
        self.reads.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name).spawn(run).expect("the system starts a thread")
}

/// Opens a database file as all of the platform does; made if it is not there.
pub(crate) fn connect(path: &Path, cache_kib: u32) -> Result<Connection, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Cheap sanity check of each page as it is read: damage is an error, not a crash.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

/// Makes durable what recovery found in the log. A process that was killed may have written a
/// commit and not flushed it: it is read back as if it stood, and a repeated delivery is
/// acknowledged on the strength of it, although nothing new is written then.
fn flush_log(database: &Path) -> Result<(), rusqlite::Error> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    match std::fs::File::open(log).and_then(|log| log.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            Err(rusqlite::Error::SqliteFailure(code, Some(format!("cannot flush the log: {error}"))))
        }
        _ => Ok(()),
    }
}

/// Counts the log's pages at each commit, and wakes the checkpointer.
fn watch_wal(
    connection: &mut Connection,
    wal: &Arc<AtomicU32>,
    metrics: &DatabaseMetrics,
    wake: SyncSender<()>,
) -> Result<(), rusqlite::Error> {
    let (wal, metrics) = (Arc::clone(wal), metrics.clone());
    let mut checkpointed_at = 0;
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
        let pages = u32::try_from(pages).unwrap_or(0);
        let before = wal.swap(pages, Ordering::Relaxed);
        // A log that was ended starts again at its beginning.
        metrics.wal_pages.inc_by(u64::from(if pages >= before { pages - before } else { pages }));
        if pages < before {
            checkpointed_at = 0;
        }
        if pages >= checkpointed_at + CHECKPOINT_PAGES {
            checkpointed_at = pages;
            // Full: it is awake already. Disconnected: the store is closing.
            let _ = wake.try_send(());
        }
        Ok(())
    }))
}

/// The checkpoints of one file, one at a time: SQLite refuses a second one at once ("database
/// is locked"), without the patience of `busy_timeout`. The writer, whose turn comes when the
/// log is large, waits for the one that is making it smaller.
#[derive(Debug, Clone)]
struct Checkpoints {
    turn: Arc<Mutex<()>>,
    metrics: DatabaseMetrics,
}

impl Checkpoints {
    fn new(metrics: &DatabaseMetrics) -> Self {
        Self { turn: Arc::new(Mutex::new(())), metrics: metrics.clone() }
    }

    /// True if it was done.
    fn run(&self, connection: &Connection, mode: CheckpointMode) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.checkpoints.inc();
        match connection.wal_checkpoint_v2(None::<&str>, mode) {
            Ok(_) => true,
            Err(error) if is_flush_failure(&error) => die_of_flush(&error),
            // Readers that stay, or a full disk: the log grows on and the next turn tries again.
            Err(error) => {
                tracing::warn!(%error, "checkpoint failed, will be tried again");
                false
            }
        }
    }
}

/// How one closure of a batch ended.
type Ended = Result<Verdict, StoreError>;

/// The one thread that writes a file.
struct Writer {
    connection: Connection,
    queue: Arc<FairQueue<Waiting>>,
    hints: Hints,
    metrics: DatabaseMetrics,
    checkpoints: Checkpoints,
    /// Pages in the log, kept by the hook.
    wal: Arc<AtomicU32>,
}

impl Writer {
    fn run(self) {
        loop {
            let batch = self.queue.take(BATCH_JOBS, BATCH_BYTES);
            if batch.is_empty() {
                return;
            }
            if self.wal.load(Ordering::Relaxed) >= RESTART_PAGES {
                self.checkpoints.run(&self.connection, CheckpointMode::RESTART);
            }
            self.metrics.batch.observe(batch.len() as f64);
            self.commit(batch);
        }
    }

    fn commit(&self, mut batch: Vec<Waiting>) {
        for waiting in &batch {
            self.metrics.started(waiting);
        }
        let mut hints = Vec::new();
        let outcome = self.transaction(&mut batch, &mut hints);
        match outcome {
            Ok(verdicts) => {
                self.hints.publish(&hints);
                for (waiting, ended) in batch.into_iter().zip(verdicts) {
                    let outcome = ended.map(|verdict| self.metrics.ended(waiting.label, verdict));
                    waiting.job.finish(outcome);
                }
            }
            Err(error) => {
                tracing::error!(error = %error, closures = batch.len(), "nothing of this group commit stands");
                for waiting in batch {
                    self.metrics.failed(waiting.label);
                    let cause = error.to_string();
                    waiting.job.finish(Err(StoreError::Failed { label: waiting.label, cause }));
                }
            }
        }
    }

    /// Runs the batch and commits it. On an error nothing of it stands.
    fn transaction(
        &self,
        batch: &mut [Waiting],
        hints: &mut Vec<crate::Hint>,
    ) -> Result<Vec<Ended>, rusqlite::Error> {
        self.run_sql("BEGIN IMMEDIATE")?;
        let result = self.closures(batch, hints).and_then(|verdicts| {
            self.run_sql("COMMIT")?;
            Ok(verdicts)
        });
        if let Err(error) = &result {
            if is_flush_failure(error) {
                die_of_flush(error);
            }
            if !self.connection.is_autocommit()
                && let Err(error) = self.run_sql("ROLLBACK")
            {
                tracing::error!(%error, "cannot roll back");
            }
        }
        result
    }

    fn closures(
        &self,
        batch: &mut [Waiting],
        hints: &mut Vec<crate::Hint>,
    ) -> Result<Vec<Ended>, rusqlite::Error> {
        let mut verdicts = Vec::with_capacity(batch.len());
        for waiting in batch {
            self.run_sql("SAVEPOINT closure")?;
            let mut frame = Frame::new(waiting);
            let begun = Instant::now();
            let verdict = waiting.job.run(Tx::new(EngineTx::Sqlite(&self.connection), &mut frame));
            self.metrics.ran(&frame, begun.elapsed());
            // Disk full and I/O errors end the transaction behind our back. Going on would
            // run the rest outside any transaction.
            if self.connection.is_autocommit() {
                return Err(lost_transaction(waiting.label));
            }
            let stands = verdict == Verdict::Commit && frame.failure.is_none();
            if stands {
                hints.append(&mut frame.hints);
            } else {
                self.run_sql("ROLLBACK TO closure")?;
            }
            self.run_sql("RELEASE closure")?;
            // A closure that swallowed a failed statement is not believed.
            verdicts.push(if stands || verdict != Verdict::Commit {
                Ok(verdict)
            } else {
                Err(swallowed(waiting.label))
            });
        }
        Ok(verdicts)
    }

    fn run_sql(&self, text: &str) -> Result<(), rusqlite::Error> {
        self.connection.prepare_cached(text)?.raw_execute().map(drop)
    }
}

fn swallowed(label: &'static str) -> StoreError {
    StoreError::Failed { label, cause: "a statement failed and the closure went on".into() }
}

fn lost_transaction(label: &str) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
    rusqlite::Error::SqliteFailure(code, Some(format!("{label} lost the transaction")))
}

fn read(connection: &Connection, queue: &FairQueue<Waiting>, metrics: &DatabaseMetrics) {
    loop {
        let mut taken = queue.take(1, 1);
        let Some(mut waiting) = taken.pop() else { return };
        metrics.started(&waiting);
        let mut frame = Frame::new(&waiting);
        let begun = Instant::now();
        let outcome = snapshot(connection, &mut waiting, &mut frame);
        metrics.ran(&frame, begun.elapsed());
        let outcome = match outcome {
            Ok(Verdict::Commit) if frame.failure.is_some() => Err(swallowed(waiting.label)),
            Ok(verdict) => {
                metrics.ended(waiting.label, verdict);
                Ok(())
            }
            Err(error) => Err(StoreError::Failed { label: waiting.label, cause: error.to_string() }),
        };
        if let Err(error) = &outcome {
            tracing::error!(%error, label = waiting.label, "a read failed");
            metrics.failed(waiting.label);
        }
        waiting.job.finish(outcome);
    }
}

/// Runs a reading closure on one snapshot, which is let go before the answer is given.
fn snapshot(
    connection: &Connection,
    waiting: &mut Waiting,
    frame: &mut Frame,
) -> Result<Verdict, rusqlite::Error> {
    connection.prepare_cached("BEGIN")?.raw_execute()?;
    let verdict = waiting.job.run(Tx::new(EngineTx::Sqlite(connection), frame));
    if !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK")?.raw_execute()?;
    }
    Ok(verdict)
}

/// `$1`, `$2`, … : in SQLite a `$` placeholder is named, and is bound by its name.
const NAMES: [&str; 32] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16",
    "$17", "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26", "$27", "$28", "$29", "$30", "$31",
    "$32",
];

fn bind(
    statement: &mut rusqlite::Statement<'_>,
    first: Option<i64>,
    params: &[Param<'_>],
) -> rusqlite::Result<()> {
    let first = first.map(Param::Int);
    let all = first.iter().chain(params);
    let mut count = 0;
    for (name, param) in NAMES.iter().zip(all) {
        statement.raw_bind_parameter(*name, param)?;
        count += 1;
    }
    // PostgreSQL refuses a wrong count; so do we, or a forgotten one would be NULL.
    if statement.parameter_count() != count {
        return Err(rusqlite::Error::InvalidParameterCount(count, statement.parameter_count()));
    }
    Ok(())
}

pub(crate) fn execute(
    connection: &Connection,
    sql: Sql,
    first: Option<i64>,
    params: &[Param<'_>],
) -> Result<u64, EngineError> {
    let mut statement = connection.prepare_cached(sql.text())?;
    bind(&mut statement, first, params)?;
    Ok(statement.raw_execute()? as u64)
}

pub(crate) fn query(
    connection: &Connection,
    sql: Sql,
    first: Option<i64>,
    params: &[Param<'_>],
    each: &mut dyn FnMut(Row<'_>) -> Result<(), StoreError>,
) -> Result<(), EngineError> {
    let mut statement = connection.prepare_cached(sql.text())?;
    bind(&mut statement, first, params)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        each(Row(RowOf::Sqlite(row)))?;
    }
    Ok(())
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        if is_flush_failure(&error) {
            die_of_flush(&error);
        }
        Self { failure: Failure::Other, cause: error.to_string() }
    }
}

fn is_flush_failure(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
    error.sqlite_error().is_some_and(|error| {
        error.code == ErrorCode::SystemIoFailure
            && matches!(error.extended_code, SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC)
    })
}

fn die_of_flush(error: &rusqlite::Error) -> ! {
    tracing::error!(%error, "a flush to disk failed: what the disk holds is unknown, so the process ends; \
        it recovers when it is started again");
    std::process::abort();
}

/// Problems that SQLite's own check finds in a file; empty if it is sound.
pub(crate) fn integrity(path: &Path) -> Result<Vec<String>, rusqlite::Error> {
    match check(path) {
        // Damage in some places ends the check itself.
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ) =>
        {
            Ok(vec![error.to_string()])
        }
        other => other,
    }
}

fn check(path: &Path) -> Result<Vec<String>, rusqlite::Error> {
    let connection = connect(path, 64 << 10)?;
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Where a database of this name lies in the data folder.
pub(crate) fn file(folder: &Path, database: &str) -> PathBuf {
    folder.join(format!("{}.db", database.replace('_', "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_do_not_meet() {
        // A seed run logged "checkpoint failed: database is locked".
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let checkpoints = Checkpoints::new(&DatabaseMetrics::new(&mut Default::default()));
        let writer = connect(&path, 1024).unwrap();
        writer.execute_batch("CREATE TABLE t (b BLOB)").unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let checkpointer = connect(&path, 1024).unwrap();
            let passive = scope.spawn(|| {
                let checkpointer = checkpointer;
                let mut all = true;
                while !is_over.load(Ordering::Relaxed) {
                    all &= checkpoints.run(&checkpointer, CheckpointMode::PASSIVE);
                }
                all
            });
            let mut all = true;
            for _ in 0..50 {
                writer.execute_batch("INSERT INTO t VALUES (zeroblob(1000000))").unwrap();
                all &= checkpoints.run(&writer, CheckpointMode::RESTART);
            }
            is_over.store(true, Ordering::Relaxed);
            assert!(all && passive.join().unwrap());
        });
    }
}
