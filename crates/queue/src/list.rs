//! What is in the queue, oldest first.

use hikyaku_store::{Param, Row, ServiceTx, Sql, StoreError, TenantSql, TenantTx};
use hikyaku_types::{AccountId, RisingIds, TenantId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};

use crate::outgoing::{HELD, Kind, WAITING, notify_of_number};

/// Recipients of a message that a list shows.
const SHOWN_IN_LIST: i64 = 5;
/// Messages of one page at most: each reads a handful of rows of the thousand that one may.
const MOST: u16 = 100;

/// What a recipient does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is sent when its time comes.
    Waiting,
    /// It is not sent until somebody releases it.
    Held,
}

impl State {
    /// As it is shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Waiting => WAITING,
            Self::Held => HELD,
        }
    }
}

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Only with a recipient in this domain.
    pub destination: Option<String>,
    /// Only with this reverse-path; the empty one is the null reverse-path.
    pub reverse_path: Option<String>,
    /// Only with a recipient in this state.
    pub state: Option<State>,
    /// Only what was accepted before.
    pub before_ms: Option<i64>,
    /// Behind the page that ended with this id.
    pub after: Option<String>,
    /// How many; 100 and at most 100.
    pub limit: Option<u16>,
}

impl Filter {
    pub(crate) fn limit(&self) -> u16 {
        self.limit.unwrap_or(MOST).clamp(1, MOST)
    }
}

/// One message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What it is called by: the trace id of its first recipient.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// Who sends it, or whose forward it is.
    pub account: Option<String>,
    /// `submission`, `forward`, `report`.
    pub kind: String,
    /// When it was accepted, in RFC 3339.
    pub queued_at: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Empty for the null reverse-path.
    pub reverse_path: String,
    /// The sender's own name for it (RFC 3461 section 4.4).
    pub envid: Option<String>,
    /// `FULL` or `HDRS`, if asked for.
    pub ret: Option<String>,
    /// How many recipients wait, those held too.
    pub recipient_count: u64,
    /// The first of them in a list; all of them when it is shown by itself.
    pub recipients: Vec<ItemRecipient>,
}

/// One recipient of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRecipient {
    /// Its trace id.
    pub id: String,
    /// Who receives it.
    pub address: String,
    /// The domain that it is sent to.
    pub destination: String,
    /// What it does.
    pub state: State,
    /// From when on it may be sent, in RFC 3339.
    pub due_at: String,
    /// NOTIFY as it was asked for.
    pub notify: Option<String>,
    /// ORCPT as it was given.
    pub original_recipient: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<Item>,
    /// Where the next page begins, if there may be one.
    pub next: Option<String>,
}

/// A message's own row.
pub(crate) struct Found {
    pub(crate) id: TraceId,
    pub(crate) tenant: TenantId,
    account: Option<AccountId>,
    kind: Option<Kind>,
    size: u64,
    reverse_path: String,
    envid: Option<String>,
    ret: Option<i64>,
}

const ALL: Sql = Sql::new(
    "SELECT m.id, m.tenant, m.account, m.kind, m.size, m.reverse_path, m.envid, m.ret
     FROM queue_message m
     WHERE m.id > $1 AND m.id < $2 AND ($3 = 0 OR m.reverse_path = $4)
        AND ($5 = '' AND $6 < 0 OR EXISTS (
            SELECT 1 FROM queue_recipient r
            WHERE r.message = m.id AND ($5 = '' OR r.destination = $5) AND ($6 < 0 OR r.state = $6)))
     ORDER BY m.id LIMIT $7",
);
const OF_TENANT: TenantSql = TenantSql::new(
    "SELECT m.id, m.tenant, m.account, m.kind, m.size, m.reverse_path, m.envid, m.ret
     FROM queue_message m
     WHERE m.tenant = $1 AND m.id > $2 AND m.id < $3 AND ($4 = 0 OR m.reverse_path = $5)
        AND ($6 = '' AND $7 < 0 OR EXISTS (
            SELECT 1 FROM queue_recipient r
            WHERE r.tenant = $1 AND r.message = m.id AND ($6 = '' OR r.destination = $6)
                AND ($7 < 0 OR r.state = $7)))
     ORDER BY m.id LIMIT $8",
);
const ONE: TenantSql = TenantSql::new(
    "SELECT id, tenant, account, kind, size, reverse_path, envid, ret
     FROM queue_message WHERE tenant = $1 AND id = $2",
);
const TENANT: Sql = Sql::new("SELECT tenant FROM queue_message WHERE id = $1");
const RECIPIENTS: TenantSql = TenantSql::new(
    "SELECT id, address, destination, state, due_at, notify, original_recipient
     FROM queue_recipient WHERE tenant = $1 AND message = $2 ORDER BY id LIMIT $3",
);
const COUNT: TenantSql =
    TenantSql::new("SELECT count(*) FROM queue_recipient WHERE tenant = $1 AND message = $2");

/// A page over all tenants.
pub(crate) fn all(tx: &mut ServiceTx<'_>, filter: &Filter, after: i64) -> Result<Vec<Item>, StoreError> {
    let found = tx.rows(ALL, &params(filter, after), read)?;
    found.into_iter().map(|one| item(&mut tx.tenant(one.tenant), one, SHOWN_IN_LIST)).collect()
}

/// A page of the transaction's tenant.
pub(crate) fn of_tenant(tx: &mut TenantTx<'_>, filter: &Filter, after: i64) -> Result<Vec<Item>, StoreError> {
    let found = tx.rows(OF_TENANT, &params(filter, after), read)?;
    found.into_iter().map(|one| item(tx, one, SHOWN_IN_LIST)).collect()
}

/// Ids are times, so an age is a bound of ids; no state is -1.
fn params(filter: &Filter, after: i64) -> [Param<'_>; 7] {
    let before = filter.before_ms.map_or(i64::MAX, |ms| RisingIds::floor_at(Timestamp::from_millis(ms)));
    [
        after.into(),
        before.into(),
        i64::from(filter.reverse_path.is_some()).into(),
        filter.reverse_path.as_deref().unwrap_or_default().into(),
        filter.destination.as_deref().unwrap_or_default().into(),
        filter.state.map_or(-1, State::number).into(),
        filter.limit().into(),
    ]
}

/// The message with this id and all its recipients, if it is the tenant's.
pub(crate) fn one(tx: &mut TenantTx<'_>, id: TraceId) -> Result<Option<Item>, StoreError> {
    match tx.row(ONE, &[id.into()], read)? {
        Some(found) => item(tx, found, i64::MAX).map(Some),
        None => Ok(None),
    }
}

/// Whose message this is.
pub(crate) fn tenant_of(tx: &mut ServiceTx<'_>, id: TraceId) -> Result<Option<TenantId>, StoreError> {
    tx.row(TENANT, &[id.into()], |row| row.get(0))
}

fn item(tx: &mut TenantTx<'_>, found: Found, most: i64) -> Result<Item, StoreError> {
    let recipients = tx.rows(RECIPIENTS, &[found.id.into(), most.into()], read_recipient)?;
    let count = tx.row(COUNT, &[found.id.into()], |row| row.get(0))?;
    Ok(Item {
        id: found.id.to_string(),
        tenant: found.tenant.to_string(),
        account: found.account.map(|account| account.to_string()),
        kind: found.kind.map_or("unknown", Kind::word).to_owned(),
        queued_at: RisingIds::time_of(found.id.as_i64()).to_string(),
        size_bytes: found.size,
        reverse_path: found.reverse_path,
        envid: found.envid,
        ret: found.ret.map(|ret| if ret == 1 { "FULL" } else { "HDRS" }.to_owned()),
        recipient_count: count.unwrap_or(0),
        recipients,
    })
}

fn read(row: Row<'_>) -> Result<Found, StoreError> {
    Ok(Found {
        id: row.get(0)?,
        tenant: row.get(1)?,
        account: row.get(2)?,
        kind: Kind::from_number(row.get(3)?),
        size: row.get(4)?,
        reverse_path: row.get(5)?,
        envid: row.get(6)?,
        ret: row.get(7)?,
    })
}

fn read_recipient(row: Row<'_>) -> Result<ItemRecipient, StoreError> {
    Ok(ItemRecipient {
        id: row.get::<TraceId>(0)?.to_string(),
        address: row.get(1)?,
        destination: row.get(2)?,
        state: if row.get::<i64>(3)? == HELD { State::Held } else { State::Waiting },
        due_at: row.get::<Timestamp>(4)?.to_string(),
        notify: row.get::<Option<i64>>(5)?.map(|number| notify_of_number(number).to_string()),
        original_recipient: row.get(6)?,
    })
}
