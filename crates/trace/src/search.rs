//! Searching the trace and the refusals for a mail: one list of both, in the order of time.
//!
//! There is no index by address: the newest rows are looked at first, in windows of ids, until
//! enough is found, or [`MOST_WINDOWS`] were looked at; the answer says how far that was, and
//! where to go on.
//!
//! Refusals that are alike are one row, which names only the first of their addresses. An
//! address that is looked for may be among the others: of several, the domain decides.

use std::sync::Arc;

use hikyaku_store::{Scope, ServiceTx, Sql, Store, StoreError, TenantSql};
use hikyaku_types::{Actor, RisingIds, Service, ShardId, TenantId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};

use crate::refusals::{self, Refusal, domain_of};
use crate::{Record, find, read};

/// Rows of each of the two tables that one read looks at.
const WINDOW: i64 = 400;
/// Most reads of one search.
const MOST_WINDOWS: usize = 250;
/// Most rows of one answer.
const MOST: u16 = 1_000;
const USUAL: u16 = 100;

const JOBS: Actor = Actor::Service(Service::Maintenance);

const TRACE_FLOOR: Sql = Sql::new("SELECT id FROM trace WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2");
const REFUSAL_FLOOR: Sql =
    Sql::new("SELECT id FROM refusal WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2");
const TRACE: Sql = Sql::new(
    "SELECT id, tenant, account, email, event, size, reverse_path, recipient, message_id, peer, note
     FROM trace WHERE id < $1 AND id >= $2",
);
const TRACE_OF: TenantSql = TenantSql::new(
    "SELECT id, tenant, account, email, event, size, reverse_path, recipient, message_id, peer, note
     FROM trace WHERE tenant = $1 AND id < $2 AND id >= $3",
);
const REFUSAL: Sql = Sql::new(
    "SELECT id, tenant, source, listener, reason, finding, reverse_path, recipient, count, last_at
     FROM refusal WHERE id < $1 AND id >= $2",
);
const REFUSAL_OF: TenantSql = TenantSql::new(
    "SELECT id, tenant, source, listener, reason, finding, reverse_path, recipient, count, last_at
     FROM refusal WHERE tenant = $1 AND id < $2 AND id >= $3",
);
const REFUSAL_ONE: TenantSql = TenantSql::new(
    "SELECT id, tenant, source, listener, reason, finding, reverse_path, recipient, count, last_at
     FROM refusal WHERE tenant = $1 AND id = $2",
);
const WHOSE_TRACE: Sql = Sql::new("SELECT tenant FROM trace WHERE id = $1");
const WHOSE_REFUSAL: Sql = Sql::new("SELECT tenant FROM refusal WHERE id = $1");

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    /// Only with this recipient: an address, or a domain.
    pub recipient: Option<String>,
    /// Only with this reverse-path: an address, a domain, or nothing for the null one.
    pub reverse_path: Option<String>,
    /// Only what happened since, in milliseconds.
    pub since_ms: Option<i64>,
    /// Only what was refused.
    pub is_refused: bool,
    /// Only what was before this id: where an earlier search ended.
    pub before: Option<String>,
    /// How many; 100, and at most 1,000.
    pub limit: Option<u16>,
}

/// One thing that happened to a mail, or to some that were refused alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The id that the 250 told the sender; of a refusal, one that only we know.
    pub id: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Whose it is; nobody's is a refusal for an address that is not ours.
    pub tenant: Option<String>,
    /// `delivered`, `duplicate`, `queued`, `removed`, `refused`.
    pub event: String,
    /// Empty for the null reverse-path.
    pub reverse_path: String,
    /// As the peer gave it.
    pub recipient: String,
    /// Where it came from.
    pub peer: Option<String>,
    /// Why it was refused or went to Junk.
    pub why: Option<String>,
    /// What the checks of the sender found, if it was refused for that.
    pub finding: Option<String>,
    /// How many were refused alike within a minute; else 1.
    pub count: u64,
    /// When the last of them was.
    pub last_at: Option<String>,
    /// Which listener refused it.
    pub listener: Option<String>,
    /// The account that received or sent it.
    pub account: Option<String>,
    /// The email that came of it.
    pub email: Option<String>,
    /// Size of the content in bytes.
    pub size_bytes: Option<u64>,
    /// The content's Message-ID.
    pub message_id: Option<String>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Found {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// How far it looked back, in RFC 3339; `None`: to the beginning, or to `since`.
    pub looked_back_to: Option<String>,
    /// The [`Filter::before`] that goes on from there.
    pub next: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Not there, or not theirs.
    #[error("there is nothing called {0} in the trace")]
    NotFound(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Request(String),
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The trace and the refusals of all shards, for those who may read them.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<Store>,
}

impl Archive {
    /// Over these databases.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// The newest that fit the filter: of one tenant, or of all that the actor administers.
    ///
    /// # Errors
    /// [`TraceError`].
    pub async fn search(
        &self,
        actor: &Actor,
        tenant: Option<TenantId>,
        filter: &Filter,
    ) -> Result<Found, TraceError> {
        let tenant = within(actor, tenant)?;
        let wanted = Wanted::of(filter)?;
        let most = usize::from(filter.limit.unwrap_or(USUAL).clamp(1, MOST));
        let mut before = filter.before.as_deref().map(id_of).transpose()?.map_or(i64::MAX, TraceId::as_i64);
        let mut entries = Vec::new();
        let mut looked_at = 0;
        // Ids of all shards rise with one clock: a window of one is a window of all.
        while before > wanted.since {
            if looked_at == MOST_WINDOWS || entries.len() >= most {
                return Ok(found(entries, most, Some(before)));
            }
            let window = self.window(tenant, before, &wanted).await?;
            before = window.from;
            entries.extend(window.entries);
            looked_at += 1;
        }
        Ok(found(entries, most, None))
    }

    /// What of one window of ids is wanted, the newest first.
    async fn window(
        &self,
        tenant: Option<TenantId>,
        before: i64,
        wanted: &Wanted,
    ) -> Result<Window, StoreError> {
        let (since, is_refused) = (wanted.since, wanted.is_refused);
        let mut from = since;
        for shard in self.store.shards() {
            let find = move |tx: &mut ServiceTx<'_>| floor(tx, before, is_refused);
            from = from.max(self.store.read(service(shard), "trace.window", find).await?);
        }
        let mut entries = Vec::new();
        for shard in self.store.shards() {
            let wanted = wanted.clone();
            let look = move |tx: &mut ServiceTx<'_>| entries_of(tx, tenant, before, from, &wanted);
            entries.extend(self.store.read(service(shard), "trace.search", look).await?);
        }
        entries.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Ok(Window { from, entries })
    }

    /// One entry.
    ///
    /// # Errors
    /// [`TraceError`].
    pub async fn show(&self, actor: &Actor, tenant: Option<TenantId>, id: &str) -> Result<Entry, TraceError> {
        let within = within(actor, tenant)?;
        let wanted = id_of(id)?;
        for shard in self.store.shards() {
            let show = move |tx: &mut ServiceTx<'_>| one(tx, within, wanted);
            if let Some(entry) = self.store.read(service(shard), "trace.show", show).await? {
                return Ok(entry);
            }
        }
        Err(TraceError::NotFound(id.to_owned()))
    }
}

/// A part of the ids that was looked at.
struct Window {
    /// Its lowest id.
    from: i64,
    entries: Vec<(TraceId, Entry)>,
}

/// Cuts the newest off; `rest` is the id before which nothing was looked at.
fn found(mut newest_first: Vec<(TraceId, Entry)>, most: usize, rest: Option<i64>) -> Found {
    let is_cut = newest_first.len() > most;
    newest_first.truncate(most);
    let last = newest_first.last().map(|(id, _)| id.as_i64()).filter(|_| is_cut);
    let next = last.or(rest).and_then(TraceId::from_i64);
    Found {
        entries: newest_first.into_iter().rev().map(|(_, entry)| entry).collect(),
        looked_back_to: next.map(|id| RisingIds::time_of(id.as_i64()).to_string()),
        next: next.map(|id| id.to_string()),
    }
}

/// A filter that was understood.
#[derive(Debug, Clone)]
struct Wanted {
    recipient: Option<Pattern>,
    reverse_path: Option<Pattern>,
    /// No id below it.
    since: i64,
    is_refused: bool,
}

impl Wanted {
    fn of(filter: &Filter) -> Result<Self, TraceError> {
        let since = filter.since_ms.map(Timestamp::from_millis).map_or(0, RisingIds::floor_at);
        if filter.recipient.as_deref().is_some_and(str::is_empty) {
            return Err(TraceError::Request("a recipient is an address or a domain".to_owned()));
        }
        Ok(Self {
            recipient: filter.recipient.as_deref().map(Pattern::of),
            reverse_path: filter.reverse_path.as_deref().map(Pattern::of),
            since,
            is_refused: filter.is_refused,
        })
    }

    fn takes(&self, reverse_path: &str, recipient: &str, is_several: bool) -> bool {
        self.reverse_path.as_ref().is_none_or(|pattern| pattern.takes(reverse_path, is_several))
            && self.recipient.as_ref().is_none_or(|pattern| pattern.takes(recipient, is_several))
    }
}

/// An address, in lower case; a domain; or nothing, which is the null reverse-path.
#[derive(Debug, Clone)]
enum Pattern {
    Null,
    Address(String),
    Domain(String),
}

impl Pattern {
    fn of(text: &str) -> Self {
        let text = text.to_lowercase();
        match text.strip_prefix('@').unwrap_or(&text) {
            "" => Self::Null,
            address if address.contains('@') => Self::Address(address.to_owned()),
            domain => Self::Domain(domain.to_owned()),
        }
    }

    /// `is_several`: the address is one of several in its domain.
    fn takes(&self, address: &str, is_several: bool) -> bool {
        match self {
            Self::Null => address.is_empty(),
            Self::Domain(domain) => domain_of(address) == *domain,
            Self::Address(wanted) if is_several => domain_of(address) == domain_of(wanted),
            Self::Address(wanted) => address.to_lowercase() == *wanted,
        }
    }
}

/// The lowest id of the window below `before`: 0 if it is the last one.
fn floor(tx: &mut ServiceTx<'_>, before: i64, is_refused: bool) -> Result<i64, StoreError> {
    let mut of = |sql: Sql| tx.row(sql, &[before.into(), (WINDOW - 1).into()], |row| row.get::<i64>(0));
    let refusal = of(REFUSAL_FLOOR)?;
    let trace = if is_refused { None } else { of(TRACE_FLOOR)? };
    Ok(refusal.max(trace).unwrap_or(0))
}

fn entries_of(
    tx: &mut ServiceTx<'_>,
    tenant: Option<TenantId>,
    before: i64,
    from: i64,
    wanted: &Wanted,
) -> Result<Vec<(TraceId, Entry)>, StoreError> {
    let params = [before.into(), from.into()];
    let (records, refusals) = match tenant {
        Some(tenant) => {
            let mut tx = tx.tenant(tenant);
            let refusals = tx.rows(REFUSAL_OF, &params, refusals::read)?;
            (if wanted.is_refused { Vec::new() } else { tx.rows(TRACE_OF, &params, read)? }, refusals)
        }
        None => {
            let refusals = tx.rows(REFUSAL, &params, refusals::read)?;
            (if wanted.is_refused { Vec::new() } else { tx.rows(TRACE, &params, read)? }, refusals)
        }
    };
    let records = records.into_iter().filter(|one| wanted.takes(&one.reverse_path, &one.recipient, false));
    let refusals =
        refusals.into_iter().filter(|one| wanted.takes(&one.reverse_path, &one.recipient, one.count > 1));
    let records = records.map(|one| (one.id, Entry::of_record(one)));
    Ok(records.chain(refusals.map(|one| (one.id, Entry::of_refusal(one)))).collect())
}

/// The entry with this id, if it is of the tenant that the reader is kept to.
fn one(tx: &mut ServiceTx<'_>, within: Option<TenantId>, id: TraceId) -> Result<Option<Entry>, StoreError> {
    let is_theirs = |tenant: &TenantId| within.is_none_or(|within| within == *tenant);
    let owner = tx.row(WHOSE_TRACE, &[id.into()], |row| row.get::<TenantId>(0))?;
    if let Some(tenant) = owner.filter(is_theirs) {
        return Ok(find(&mut tx.tenant(tenant), id)?.map(Entry::of_record));
    }
    let owner = tx.row(WHOSE_REFUSAL, &[id.into()], |row| row.get::<TenantId>(0))?;
    let Some(tenant) = owner.filter(is_theirs) else { return Ok(None) };
    let refusal = tx.tenant(tenant).row(REFUSAL_ONE, &[id.into()], refusals::read)?;
    Ok(refusal.map(Entry::of_refusal))
}

impl Entry {
    fn of_record(record: Record) -> Self {
        Self {
            id: record.id.to_string(),
            at: record.at().to_string(),
            tenant: Some(record.tenant.to_string()),
            event: record.event.word().to_owned(),
            reverse_path: record.reverse_path,
            recipient: record.recipient,
            peer: record.peer,
            why: record.note,
            finding: None,
            count: 1,
            last_at: None,
            listener: None,
            account: record.account.map(|account| account.to_string()),
            email: record.email.map(|email| email.to_string()),
            size_bytes: Some(record.size),
            message_id: record.message_id,
        }
    }

    fn of_refusal(refusal: Refusal) -> Self {
        let tenant = Some(refusal.tenant).filter(|tenant| *tenant != TenantId::PLATFORM);
        Self {
            id: refusal.id.to_string(),
            at: RisingIds::time_of(refusal.id.as_i64()).to_string(),
            tenant: tenant.map(|tenant| tenant.to_string()),
            event: "refused".to_owned(),
            reverse_path: refusal.reverse_path,
            recipient: refusal.recipient,
            peer: Some(refusal.source),
            why: Some(refusal.reason),
            finding: refusal.finding,
            count: refusal.count,
            last_at: Some(refusal.last_at.to_string()),
            listener: Some(refusal.listener),
            account: None,
            email: None,
            size_bytes: None,
            message_id: None,
        }
    }
}

/// The tenant that the actor is kept to, if any.
fn within(actor: &Actor, tenant: Option<TenantId>) -> Result<Option<TenantId>, TraceError> {
    match tenant.or(actor.tenant()) {
        Some(tenant) if actor.may_administer(tenant) => Ok(Some(tenant)),
        None if actor.may_operate() => Ok(None),
        _ => Err(TraceError::NotFound("like this".to_owned())),
    }
}

fn id_of(text: &str) -> Result<TraceId, TraceError> {
    text.parse().map_err(|error| TraceError::Request(format!("{error}")))
}

fn service(shard: ShardId) -> hikyaku_store::ServiceScope {
    Scope::service(&JOBS, shard, None).expect("maintenance is a service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, address, is_several, expected) in [
            ("ann@example.org", "Ann@Example.ORG", false, true),
            ("ann@example.org", "bob@example.org", false, false),
            ("ann@example.org", "bob@example.org", true, true),
            ("ann@example.org", "bob@example.net", true, false),
            ("example.org", "bob@EXAMPLE.org", false, true),
            ("@example.org", "bob@example.org", false, true),
            ("example.org", "bob@sub.example.org", false, false),
            ("例え.example", "田中@例え.example", false, true),
            ("", "", false, true),
            ("", "ann@example.org", false, false),
            ("ann@example.org", "", false, false),
        ] {
            assert_eq!(Pattern::of(pattern).takes(address, is_several), expected, "{pattern} {address}");
        }
    }
}
