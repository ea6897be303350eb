//! The answer to "where is my mail?": one row for each thing that happened to a message.
//!
//! A mail that is accepted writes its rows in the transaction that accepts it, so that a 250
//! and its trace id stand or fall together. Ids rise with time; the newest rows are found
//! without an index.
//!
//! What is refused gets no row of its own: anybody can be refused, as often as they like. It
//! is counted by source, reason and minute ([`RefusalLog`]) and written later.
//!
//! Both are kept as long as the tenant's plan says ([`expire`]).
//!
//! Trust: reverse-paths and Message-IDs come from strangers. They are stored cut to
//! [`MOST_TEXT`] octets and shown, never interpreted.

mod refusals;
mod retention;
mod search;

use hikyaku_store::{
    By, Component, Database, Migration, Row, ServiceTx, Sql, StoreError, TenantSql, TenantTx,
};
use hikyaku_types::{AccountId, EmailId, RisingIds, TenantId, Timestamp, TraceId};

pub use refusals::{Refusal, RefusalLog, Refused};
pub use retention::{Terms, expire};
pub use search::{Archive, Entry, Filter, Found, TraceError};

/// Longer texts are cut to this many octets (a reverse-path has at most 256).
pub const MOST_TEXT: usize = 512;

/// The tables of the trace.
pub const SCHEMA: Component = Component {
    name: "trace",
    within: |database| matches!(database, Database::Shard(_)),
    migrations: &[Migration {
        number: 1,
        name: "what happened to a message",
        sql: "
            CREATE TABLE trace (
                id {rowid} PRIMARY KEY,
                tenant {int} NOT NULL,
                account {int},
                email {int},
                event {int} NOT NULL,
                size {int} NOT NULL,
                reverse_path TEXT NOT NULL,
                recipient TEXT NOT NULL,
                message_id TEXT,
                peer TEXT
            ) {by_id};
        ",
        // Partitions of a week, made ahead: a row that finds none is an error, which defers
        // its mail, so they reach far. Ids are milliseconds << 22.
        postgres: "
            CREATE FUNCTION trace_partitions(now_ms bigint, weeks int) RETURNS int LANGUAGE plpgsql AS $$
            DECLARE
                week CONSTANT bigint := 7 * 24 * 3600 * 1000::bigint;
                first bigint := greatest(now_ms / week - 1, 0);
                made int := 0;
            BEGIN
                FOR n IN first .. first + weeks LOOP
                    IF to_regclass('trace_w' || n) IS NULL THEN
                        EXECUTE format('CREATE TABLE trace_w%s PARTITION OF trace FOR VALUES FROM (%s) TO (%s)',
                            n, (n * week) << 22, ((n + 1) * week) << 22);
                        made := made + 1;
                    END IF;
                END LOOP;
                RETURN made;
            END $$;
        ",
        tables: &[("trace", By::Tenant)],
    }, Migration {
        number: 2,
        name: "what was refused, and why",
        // A refusal of nobody's belongs to the platform. Without partitions: there is at most
        // a row for each source, reason, minute and pair of domains, and each goes after a month.
        sql: "
            ALTER TABLE trace ADD COLUMN note TEXT;
            CREATE TABLE refusal (
                id {rowid} PRIMARY KEY,
                tenant {int} NOT NULL,
                source TEXT NOT NULL,
                listener TEXT NOT NULL,
                reason TEXT NOT NULL,
                finding TEXT,
                reverse_path TEXT NOT NULL,
                recipient TEXT NOT NULL,
                count {int} NOT NULL,
                last_at {int} NOT NULL
            );
        ",
        postgres: "",
        tables: &[("refusal", By::Tenant)],
    }, Migration {
        number: 3,
        name: "how long the trace is kept",
        sql: "
            CREATE TABLE trace_term (
                tenant {int} NOT NULL PRIMARY KEY,
                days {int} NOT NULL
            );
            CREATE TABLE trace_mark (
                days {int} NOT NULL PRIMARY KEY,
                below {int} NOT NULL
            );
        ",
        // A partition that is not empty stays: what is in it is then removed row by row.
        postgres: "
            CREATE FUNCTION trace_drop_partitions(below bigint) RETURNS int LANGUAGE plpgsql AS $$
            DECLARE
                week CONSTANT bigint := 7 * 24 * 3600 * 1000::bigint;
                name text;
                is_used boolean;
                dropped int := 0;
            BEGIN
                FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                    WHERE i.inhparent = 'trace'::regclass AND c.relname ~ '^trace_w[0-9]+$'
                LOOP
                    CONTINUE WHEN (substr(name, 8)::bigint + 1) * week << 22 > below;
                    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', name) INTO is_used;
                    CONTINUE WHEN is_used;
                    EXECUTE format('DROP TABLE %I', name);
                    dropped := dropped + 1;
                END LOOP;
                RETURN dropped;
            END $$;
        ",
        tables: &[("trace_term", By::Platform), ("trace_mark", By::Platform)],
    }],
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Put into a mailbox.
    Delivered,
    /// Not put in a second time: the peer had lost our reply.
    Duplicate,
    /// Put into the queue, to be sent on.
    Queued,
    /// Taken out of the queue by an administrator.
    Removed,
}

impl Event {
    const ALL: [Self; 4] = [Self::Delivered, Self::Duplicate, Self::Queued, Self::Removed];

    const fn number(self) -> i64 {
        match self {
            Self::Delivered => 1,
            Self::Duplicate => 2,
            Self::Queued => 20,
            Self::Removed => 21,
        }
    }

    /// As it is shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Duplicate => "duplicate",
            Self::Queued => "queued",
            Self::Removed => "removed",
        }
    }

    fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.number() == number)
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id; the time is in it.
    pub id: TraceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The account it concerns.
    pub account: Option<AccountId>,
    /// The email that came of it.
    pub email: Option<EmailId>,
    /// What happened.
    pub event: Event,
    /// Size of the content in bytes.
    pub size: u64,
    /// As the peer gave it; empty for the null reverse-path.
    pub reverse_path: String,
    /// As the peer gave it.
    pub recipient: String,
    /// The content's Message-ID.
    pub message_id: Option<String>,
    /// Address of the peer.
    pub peer: Option<String>,
    /// What somebody who asks for it should know: why it went to Junk, or was accepted in
    /// spite of a failure.
    pub note: Option<String>,
}

impl Record {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        RisingIds::time_of(self.id.as_i64())
    }
}

const INSERT: TenantSql = TenantSql::new(
    "INSERT INTO trace (id, tenant, account, email, event, size, reverse_path, recipient, message_id, peer,
        note)
     VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
);
const FIND: TenantSql = TenantSql::new(
    "SELECT id, tenant, account, email, event, size, reverse_path, recipient, message_id, peer, note
     FROM trace WHERE tenant = $1 AND id = $2",
);
const NEWEST: TenantSql = TenantSql::new(
    "SELECT id, tenant, account, email, event, size, reverse_path, recipient, message_id, peer, note
     FROM trace WHERE tenant = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
);
const LAST_ID: Sql = Sql::new("SELECT MAX(id) FROM trace");
const LAST_REFUSAL: Sql = Sql::new("SELECT MAX(id) FROM refusal");
const PARTITIONS: Sql = Sql::new("SELECT trace_partitions($1, $2)");

/// Weeks of partitions that are kept ready ahead.
const WEEKS_AHEAD: i64 = 9;

/// Writes a row, unless there is one with its id: a delivery may be carried out again after an
/// unknown outcome. `record.tenant` must be the transaction's.
///
/// # Errors
/// [`StoreError`].
pub fn record(tx: &mut TenantTx<'_>, record: &Record) -> Result<(), StoreError> {
    debug_assert_eq!(tx.tenant(), record.tenant, "a trace row is its tenant's");
    let params = [
        record.id.into(),
        record.account.into(),
        record.email.into(),
        record.event.number().into(),
        i64::try_from(record.size).unwrap_or(i64::MAX).into(),
        cut(&record.reverse_path).into(),
        cut(&record.recipient).into(),
        record.message_id.as_deref().map(cut).into(),
        record.peer.as_deref().map(cut).into(),
        record.note.as_deref().map(cut).into(),
    ];
    tx.execute(INSERT, &params).map(drop)
}

/// The row with this id, if it is this tenant's.
///
/// # Errors
/// [`StoreError`].
pub fn find(tx: &mut TenantTx<'_>, id: TraceId) -> Result<Option<Record>, StoreError> {
    tx.row(FIND, &[id.into()], read)
}

/// The tenant's newest rows before `before`, newest first.
///
/// # Errors
/// [`StoreError`].
pub fn newest(tx: &mut TenantTx<'_>, before: Option<TraceId>, limit: u16) -> Result<Vec<Record>, StoreError> {
    let before = before.map_or(i64::MAX, TraceId::as_i64);
    tx.rows(NEWEST, &[before.into(), limit.into()], read)
}

/// The highest id written, so that ids made after a restart rise above it.
///
/// # Errors
/// [`StoreError`].
pub fn last_id(tx: &mut ServiceTx<'_>) -> Result<i64, StoreError> {
    let trace = tx.row(LAST_ID, &[], |row| row.get::<Option<i64>>(0))?.flatten();
    let refusal = tx.row(LAST_REFUSAL, &[], |row| row.get::<Option<i64>>(0))?.flatten();
    Ok(trace.max(refusal).unwrap_or(0))
}

/// Makes the partitions that the coming weeks need (PostgreSQL; nothing to do on SQLite).
/// To be called at start and every day: it is idempotent.
///
/// # Errors
/// [`StoreError`].
pub fn make_partitions(tx: &mut ServiceTx<'_>, now: Timestamp) -> Result<(), StoreError> {
    if tx.dialect() == hikyaku_store::Dialect::Sqlite {
        return Ok(());
    }
    tx.row(PARTITIONS, &[now.into(), WEEKS_AHEAD.into()], |_| Ok(())).map(drop)
}

/// At most [`MOST_TEXT`] octets, cut between characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_TEXT)]
}

fn read(row: Row<'_>) -> Result<Record, StoreError> {
    let event = row.get(4)?;
    Ok(Record {
        id: row.get(0)?,
        tenant: row.get(1)?,
        account: row.get(2)?,
        email: row.get(3)?,
        event: Event::from_number(event)
            .ok_or_else(|| StoreError::Failed { label: "trace", cause: format!("unknown event {event}") })?,
        size: row.get(5)?,
        reverse_path: row.get(6)?,
        recipient: row.get(7)?,
        message_id: row.get(8)?,
        peer: row.get(9)?,
        note: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "田".repeat(300);
        assert_eq!(cut(&text).len(), 510);
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"a".repeat(600)).len(), MOST_TEXT);
    }
}
