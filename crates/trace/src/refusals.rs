//! What was refused: counted by source, listener, reason, domains and minute, and written
//! a while after the reply.
//!
//! Invariants:
//! - no reply waits for this: noting a refusal takes a lock and no I/O;
//! - memory is bounded: [`MOST`] refusals that differ wait, what is beyond is only counted;
//! - a refusal is written once: its id is given when it is noted first, and a write that may
//!   have come about is repeated with the same ids.
//!
//! Known weaknesses: what waits is lost at a crash, a minute of it at most. A flood that is
//! refused for ever new domains or from ever new sources fills what waits; others' refusals
//! of that moment are then counted and not told apart.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hikyaku_store::{Row, Scope, ServiceTx, Store, StoreError, TenantSql};
use hikyaku_types::{Actor, Network, RisingIds, Service, ShardId, TenantId, Timestamp, TraceId};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::cut;

/// So many that differ are written at once.
const ENOUGH: usize = 1_000;
/// Most that wait.
const MOST: usize = 4 * ENOUGH;
/// Rows of one transaction.
const STEP: usize = 500;
/// Otherwise they are written so often.
const EVERY: Duration = Duration::from_secs(60);
/// But never more often than this: a flood must not become a flood of writes.
const AT_MOST_EVERY: Duration = Duration::from_secs(5);

const DELIVERY: Actor = Actor::Service(Service::Delivery);

const INSERT: TenantSql = TenantSql::new(
    "INSERT INTO refusal (id, tenant, source, listener, reason, finding, reverse_path, recipient, count,
        last_at)
     VALUES ($2, $1, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
);

/// One refusal, as it is noted.
#[derive(Debug, Clone)]
pub struct Refused<'r> {
    /// Whose mail it would have been, and where that tenant's mail is; `None` if nobody's.
    pub home: Option<(TenantId, ShardId)>,
    /// Where it came from.
    pub source: Network,
    /// Which listener refused it.
    pub listener: &'static str,
    /// What the peer was told: code, enhanced code and words.
    pub reason: &'r str,
    /// What the checks of its sender found, if that is why.
    pub finding: Option<&'r str>,
    /// As the peer gave it; empty for the null reverse-path.
    pub reverse_path: &'r str,
    /// As the peer gave it; empty if it had named none yet.
    pub recipient: &'r str,
}

/// Refusals of one minute that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its id; the time of the first is in it.
    pub id: TraceId,
    /// Whose mail it would have been; [`TenantId::PLATFORM`] if nobody's.
    pub tenant: TenantId,
    /// An IPv4 address or an IPv6 /64.
    pub source: String,
    /// Which listener refused it.
    pub listener: String,
    /// What the peer was told.
    pub reason: String,
    /// What the checks of its sender found, if that is why.
    pub finding: Option<String>,
    /// Of the first one. The others have one of the same domain.
    pub reverse_path: String,
    /// Of the first one. The others have one of the same domain.
    pub recipient: String,
    /// How many.
    pub count: u64,
    /// When the last was.
    pub last_at: Timestamp,
}

/// What refusals that are counted together have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    home: Option<(TenantId, ShardId)>,
    source: Network,
    listener: &'static str,
    reason: String,
    finding: Option<String>,
    sender_domain: String,
    recipient_domain: String,
    minute: i64,
}

impl Key {
    fn of(refused: &Refused<'_>, now: Timestamp) -> Self {
        Self {
            home: refused.home,
            source: refused.source,
            listener: refused.listener,
            reason: cut(refused.reason).to_owned(),
            finding: refused.finding.map(|finding| cut(finding).to_owned()),
            sender_domain: domain_of(cut(refused.reverse_path)),
            recipient_domain: domain_of(cut(refused.recipient)),
            minute: now.as_millis().div_euclid(60_000),
        }
    }
}

/// In lower case; empty if there is none.
pub(crate) fn domain_of(address: &str) -> String {
    address.rsplit_once('@').map_or_else(String::new, |(_, domain)| domain.to_lowercase())
}

/// Notes refusals and writes them later. Clones note into the same.
#[derive(Debug, Clone)]
pub struct RefusalLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    ids: Arc<RisingIds>,
    noted: Mutex<Noted>,
    has_enough: Notify,
    /// Taken out of `noted` and not known to be written. Its lock is held while writing, so
    /// that there is one who writes.
    unwritten: tokio::sync::Mutex<Vec<(ShardId, Refusal)>>,
}

#[derive(Debug, Default)]
struct Noted {
    alike: HashMap<Key, Refusal>,
    /// How many found no place.
    lost: u64,
}

impl RefusalLog {
    /// Nothing is noted yet. [`run`](Self::run) must be run for anything to be written.
    pub fn new(store: Arc<Store>, ids: Arc<RisingIds>) -> Self {
        Self(Arc::new(Inner {
            store,
            ids,
            noted: Mutex::default(),
            has_enough: Notify::new(),
            unwritten: tokio::sync::Mutex::default(),
        }))
    }

    /// Counts one.
    pub fn note(&self, refused: &Refused<'_>, now: Timestamp) {
        let key = Key::of(refused, now);
        let mut noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(alike) = noted.alike.get_mut(&key) {
            alike.count = alike.count.saturating_add(1);
            alike.last_at = alike.last_at.max(now);
            return;
        }
        if noted.alike.len() >= MOST {
            noted.lost = noted.lost.saturating_add(1);
            return;
        }
        let refusal = Refusal {
            id: TraceId::from_i64(self.0.ids.next(now)).expect("rising ids are positive"),
            tenant: key.home.map_or(TenantId::PLATFORM, |(tenant, _)| tenant),
            source: key.source.to_string(),
            listener: key.listener.to_owned(),
            reason: key.reason.clone(),
            finding: key.finding.clone(),
            reverse_path: cut(refused.reverse_path).to_owned(),
            recipient: cut(refused.recipient).to_owned(),
            count: 1,
            last_at: now,
        };
        noted.alike.insert(key, refusal);
        if noted.alike.len() >= ENOUGH {
            self.0.has_enough.notify_one();
        }
    }

    /// Writes what was noted, each minute or as soon as there is enough of it, until it is
    /// dropped.
    pub async fn run(&self) {
        loop {
            sleep(AT_MOST_EVERY).await;
            // Either is a reason to write.
            let _ = timeout(EVERY.saturating_sub(AT_MOST_EVERY), self.0.has_enough.notified()).await;
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "refusals cannot be written, will be tried again");
            }
        }
    }

    /// Writes what was noted, now: at the end of the process.
    ///
    /// # Errors
    /// [`StoreError`]: what is not written waits for the next time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut unwritten = self.0.unwritten.lock().await;
        // What an earlier write left comes first, and nothing is added to it: so it is bounded.
        if unwritten.is_empty() {
            unwritten.extend(self.take());
        }
        while let Some(shard) = unwritten.first().map(|(shard, _)| *shard) {
            let count = unwritten.iter().take(STEP).take_while(|(of, _)| *of == shard).count();
            let step: Vec<Refusal> = unwritten.iter().take(count).map(|(_, one)| one.clone()).collect();
            let scope = Scope::service(&DELIVERY, shard, None).expect("delivery is a service");
            self.0.store.write(scope, "trace.refusals", move |tx| write(tx, &step)).await?;
            unwritten.drain(..count);
        }
        Ok(())
    }

    /// What is noted, shard by shard, in the order of time.
    fn take(&self) -> Vec<(ShardId, Refusal)> {
        let Noted { alike, lost } =
            std::mem::take(&mut *self.0.noted.lock().unwrap_or_else(PoisonError::into_inner));
        if lost > 0 {
            tracing::warn!(count = lost, "so many refusals at once that some are not in the trace");
        }
        // What is nobody's is kept where it is looked for first.
        let first = self.0.store.shards().next();
        let mut by_shard: BTreeMap<ShardId, Vec<Refusal>> = BTreeMap::new();
        for (key, refusal) in alike {
            if let Some(shard) = key.home.map(|(_, shard)| shard).or(first) {
                by_shard.entry(shard).or_default().push(refusal);
            }
        }
        let in_order = |(shard, mut refusals): (ShardId, Vec<Refusal>)| {
            refusals.sort_by_key(|refusal| refusal.id);
            refusals.into_iter().map(move |refusal| (shard, refusal))
        };
        by_shard.into_iter().flat_map(in_order).collect()
    }
}

fn write(tx: &mut ServiceTx<'_>, refusals: &[Refusal]) -> Result<(), StoreError> {
    for refusal in refusals {
        let params = [
            refusal.id.into(),
            refusal.source.as_str().into(),
            refusal.listener.as_str().into(),
            refusal.reason.as_str().into(),
            refusal.finding.as_deref().into(),
            refusal.reverse_path.as_str().into(),
            refusal.recipient.as_str().into(),
            i64::try_from(refusal.count).unwrap_or(i64::MAX).into(),
            refusal.last_at.into(),
        ];
        tx.tenant(refusal.tenant).execute(INSERT, &params)?;
    }
    Ok(())
}

pub(crate) fn read(row: Row<'_>) -> Result<Refusal, StoreError> {
    Ok(Refusal {
        id: row.get(0)?,
        tenant: row.get(1)?,
        source: row.get(2)?,
        listener: row.get(3)?,
        reason: row.get(4)?,
        finding: row.get(5)?,
        reverse_path: row.get(6)?,
        recipient: row.get(7)?,
        count: row.get(8)?,
        last_at: row.get(9)?,
    })
}
