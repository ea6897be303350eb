//! What administrators do to a message in the queue. Each deed leaves a line that says who
//! did it and why, in the same transaction.

use hikyaku_store::{Row, ServiceTx, Sql, StoreError, TenantSql, TenantTx, release};
use hikyaku_trace as trace;
use hikyaku_types::{AccountId, AuditId, ContentId, RisingIds, TenantId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};

use crate::outgoing::{HELD, WAITING};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Its recipients are not sent to until they are released.
    Hold,
    /// Its held recipients are due now.
    Release,
    /// It goes for good; nobody is told.
    Delete,
}

impl Deed {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Release, Self::Delete];

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Delete => "delete",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Hold => 1,
            Self::Release => 2,
            Self::Delete => 3,
        }
    }
}

/// A deed with all that a transaction must not ask for itself.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) deed: Deed,
    pub(crate) message: TraceId,
    /// Who stands in the log.
    pub(crate) who: String,
    pub(crate) reason: Option<String>,
    pub(crate) log: AuditId,
    /// Ids of trace rows, one for each recipient that there can be.
    pub(crate) traces: Vec<TraceId>,
    pub(crate) now: Timestamp,
}

/// One line of the queue's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its id.
    pub id: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Whose message it was.
    pub tenant: String,
    /// The message.
    pub message: String,
    /// Who did it.
    pub actor: String,
    /// What.
    pub deed: String,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// To how many of its recipients.
    pub recipients: u64,
    /// The message's.
    pub reverse_path: String,
}

const FIND: TenantSql = TenantSql::new(
    "SELECT account, content, size, reverse_path FROM queue_message WHERE tenant = $1 AND id = $2",
);
const HOLD: TenantSql =
    TenantSql::new("UPDATE queue_recipient SET state = $3 WHERE tenant = $1 AND message = $2 AND state = $4");
const RELEASE: TenantSql = TenantSql::new(
    "UPDATE queue_recipient SET state = $3, due_at = $5 WHERE tenant = $1 AND message = $2 AND state = $4",
);
const ADDRESSES: TenantSql =
    TenantSql::new("SELECT address FROM queue_recipient WHERE tenant = $1 AND message = $2 ORDER BY id");
const DELETE_RECIPIENTS: TenantSql =
    TenantSql::new("DELETE FROM queue_recipient WHERE tenant = $1 AND message = $2");
const DELETE: TenantSql = TenantSql::new("DELETE FROM queue_message WHERE tenant = $1 AND id = $2");
const LOG: TenantSql = TenantSql::new(
    "INSERT INTO queue_log (tenant, id, message, actor, deed, reason, recipients, reverse_path)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);
const LOG_OF_TENANT: TenantSql = TenantSql::new(
    "SELECT id, tenant, message, actor, deed, reason, recipients, reverse_path FROM queue_log
     WHERE tenant = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
);
const LOG_OF_ALL: Sql = Sql::new(
    "SELECT id, tenant, message, actor, deed, reason, recipients, reverse_path FROM queue_log
     WHERE id < $1 ORDER BY id DESC LIMIT $2",
);
const LAST: Sql = Sql::new("SELECT MAX(id) FROM queue_log");

/// Does it to the tenant's message; how many recipients it changed. `None` if the tenant has
/// no such message.
pub(crate) fn carry_out(tx: &mut TenantTx<'_>, order: &Order) -> Result<Option<u64>, StoreError> {
    let id = order.message;
    let read = |row: Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found: Option<(Option<AccountId>, ContentId, u64, String)> = tx.row(FIND, &[id.into()], read)?;
    let Some((account, content, size, reverse_path)) = found else { return Ok(None) };
    let changed = match order.deed {
        Deed::Hold => tx.execute(HOLD, &[id.into(), HELD.into(), WAITING.into()])?,
        Deed::Release => tx.execute(RELEASE, &[id.into(), WAITING.into(), HELD.into(), order.now.into()])?,
        Deed::Delete => {
            let addresses: Vec<String> = tx.rows(ADDRESSES, &[id.into()], |row| row.get(0))?;
            for (recipient, trace) in addresses.into_iter().zip(&order.traces) {
                let removed = trace::Record {
                    id: *trace,
                    tenant: tx.tenant(),
                    account,
                    email: None,
                    event: trace::Event::Removed,
                    size,
                    reverse_path: reverse_path.clone(),
                    recipient,
                    message_id: None,
                    peer: None,
                    note: None,
                };
                trace::record(tx, &removed)?;
            }
            let changed = tx.execute(DELETE_RECIPIENTS, &[id.into()])?;
            // Two who delete at once: the second finds nothing.
            if tx.execute(DELETE, &[id.into()])? == 0 {
                return Ok(None);
            }
            release(tx, content, 1, order.now)?;
            changed
        }
    };
    let params = [
        order.log.into(),
        id.into(),
        (&order.who).into(),
        order.deed.number().into(),
        order.reason.as_deref().into(),
        i64::try_from(changed).unwrap_or(i64::MAX).into(),
        (&reverse_path).into(),
    ];
    tx.execute(LOG, &params)?;
    Ok(Some(changed))
}

/// The tenant's newest lines before `before`.
pub(crate) fn log_of_tenant(
    tx: &mut TenantTx<'_>,
    before: i64,
    most: u16,
) -> Result<Vec<LogLine>, StoreError> {
    tx.rows(LOG_OF_TENANT, &[before.into(), most.into()], read_line)
}

/// The newest lines of all tenants before `before`.
pub(crate) fn log_of_all(tx: &mut ServiceTx<'_>, before: i64, most: u16) -> Result<Vec<LogLine>, StoreError> {
    tx.rows(LOG_OF_ALL, &[before.into(), most.into()], read_line)
}

/// The highest rising number that the queue's log has used; those of messages are the
/// trace's.
///
/// # Errors
/// [`StoreError`].
pub fn last_id(tx: &mut ServiceTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row(LAST, &[], |row| row.get::<Option<i64>>(0))?.flatten().unwrap_or(0))
}

fn read_line(row: Row<'_>) -> Result<LogLine, StoreError> {
    let id: AuditId = row.get(0)?;
    let deed: i64 = row.get(4)?;
    Ok(LogLine {
        id: id.to_string(),
        at: RisingIds::time_of(id.as_i64()).to_string(),
        tenant: row.get::<TenantId>(1)?.to_string(),
        message: row.get::<TraceId>(2)?.to_string(),
        actor: row.get(3)?,
        deed: Deed::ALL.into_iter().find(|one| one.number() == deed).map_or("unknown", Deed::word).to_owned(),
        reason: row.get(5)?,
        recipients: row.get(6)?,
        reverse_path: row.get(7)?,
    })
}
