//! What must be done now and then: partitions made ahead, keys and content that have served
//! their time removed.
//!
//! Each task is idempotent and goes in steps; a failure is logged and tried again next hour.
//! This is the place of the `jobs` crate until there is one.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::Directory;
use hikyaku_mailstore::search::Indexer;
use hikyaku_mailstore::{MailboxId, account, deliver, entry, mailbox, pack};
use hikyaku_sign_in::Gate;
use hikyaku_store::{AccountHome, Content, ContentError, Scope, ServiceScope, Store, StoreError};
use hikyaku_types::{Actor, Clock, Service, ShardId, SystemClock, TenantId, Timestamp};

const INTERVAL: Duration = Duration::from_secs(3600);
/// How soon a node knows what another has changed.
const KEEP_UP: Duration = Duration::from_millis(500);
/// How soon a change of an account ends its sessions, besides the former.
const WATCH: Duration = Duration::from_millis(250);
/// How long history that nobody waits for is gathered.
const FLUSH: Duration = Duration::from_secs(1);
/// How long a client may be away and still be told what was expunged (RFC 7162 section 3.2.5.1).
const KEEP_EXPUNGES: Duration = Duration::from_secs(30 * 24 * 3600);
/// A peer that lost our reply gives up after this long.
const KEEP_KEYS: Duration = Duration::from_secs(24 * 3600);

/// What the operator says about the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceSettings {
    /// How many days what is no tenant's is kept.
    pub(crate) nobodys_days: u32,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { nobodys_days: 30 }
    }
}

/// Runs until it is dropped. The first round begins at once: what a crash left is old then.
pub(crate) async fn run(
    store: Arc<Store>,
    content: Arc<Content>,
    directory: Arc<Directory>,
    gate: Arc<Gate>,
    search: Indexer,
    trace: TraceSettings,
) {
    let shards: Vec<ShardId> = store.shards().collect();
    loop {
        report("what was deleted", remove_deleted(&store, &directory).await);
        report("the log of changes", trim(&directory).await);
        report("old sign-ins", gate.expire().await);
        report("old habits", gate.expire_habits().await);
        for &shard in &shards {
            // Each by itself: one that fails must not keep the others from their work.
            report("partitions of the trace", partitions(&store, shard).await);
            report("the old trace", expire_trace(&store, &directory, trace, shard, SystemClock.now()).await);
            report("expired delivery keys", expire_keys(&store, shard).await);
            report("deleted mailboxes", purge(&store, shard).await);
            report("old expunges", forget_expunges(&store, shard).await);
            report("packs with what was expunged", tidy_packs(&store, shard).await);
            report("the search index", search.round(shard, SystemClock.now()).await);
            report("dead content", sweep(&store, &content, shard).await);
        }
        report("uploads that no row names", content.sweep_uploads(&store, SystemClock.now()).await.map(drop));
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Nodes that share a database learn of each other's changes.
pub(crate) async fn keep_up(directory: Arc<Directory>, gate: Arc<Gate>) {
    let mut failed = false;
    loop {
        let heard = match directory.catch_up().await {
            Ok(()) => gate.catch_up().await,
            Err(error) => Err(error),
        };
        match heard {
            Ok(()) => failed = false,
            Err(error) => {
                if !failed {
                    tracing::error!(%error, "changes of other nodes cannot be read");
                }
                failed = true;
            }
        }
        tokio::time::sleep(KEEP_UP).await;
    }
}

/// Who may not sign in any more loses what is open.
pub(crate) async fn watch_sessions(gate: Arc<Gate>) {
    let mut failed = false;
    loop {
        tokio::time::sleep(WATCH).await;
        let looked = gate.recheck().await;
        if let (Err(error), false) = (&looked, failed) {
            tracing::error!(%error, "whether sessions may go on cannot be told");
        }
        failed = looked.is_err();
    }
}

/// Sign-ins that did not have to be written at once are a second later.
pub(crate) async fn write_history(gate: Arc<Gate>) {
    let mut failed = false;
    loop {
        tokio::time::sleep(FLUSH).await;
        let flushed = gate.flush().await;
        if let (Err(error), false) = (&flushed, failed) {
            tracing::error!(%error, "sign-ins cannot be written to the history");
        }
        failed = flushed.is_err();
    }
}

/// Objects whose grace period is over: an account's mail first, then the object. A tenant
/// waits until its accounts are gone.
async fn remove_deleted(store: &Store, directory: &Directory) -> Result<(), StoreError> {
    loop {
        let dying = directory.dying().await?;
        if dying.is_empty() {
            return Ok(());
        }
        for removal in dying {
            for home in &removal.homes {
                remove_mail(store, *home).await?;
            }
            while !directory.remove(&removal).await? {}
        }
    }
}

async fn remove_mail(store: &Store, home: AccountHome) -> Result<(), StoreError> {
    let now = SystemClock.now();
    let step = || {
        store.write(scope(home.shard), "mailstore.remove", move |tx| {
            account::remove(&mut tx.account(home.tenant, home.account), now)
        })
    };
    while !step().await? {}
    let forget = store.write(scope(home.shard), "queue.forget", move |tx| {
        hikyaku_queue::forget_account(&mut tx.account(home.tenant, home.account))
    });
    forget.await
}

async fn trim(directory: &Directory) -> Result<(), StoreError> {
    while directory.trim().await? {}
    Ok(())
}

fn report(what: &str, done: Result<(), impl std::fmt::Display>) {
    if let Err(error) = done {
        tracing::error!(what, %error, "maintenance failed, will be tried again");
    }
}

async fn partitions(store: &Store, shard: ShardId) -> Result<(), StoreError> {
    let now = SystemClock.now();
    store.write(scope(shard), "trace.partitions", move |tx| hikyaku_trace::make_partitions(tx, now)).await
}

/// A tenant's trace and refusals are kept as long as its plan says. If the directory does not
/// answer, nothing is removed.
async fn expire_trace(
    store: &Store,
    directory: &Directory,
    settings: TraceSettings,
    shard: ShardId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut terms = hikyaku_trace::Terms::new(settings.nobodys_days);
    for of in directory.plans().await?.iter().filter(|of| of.shard == shard) {
        terms.set(of.tenant, of.plan.trace_days.0);
    }
    hikyaku_trace::expire(store, shard, Arc::new(terms), now).await.map(drop)
}

async fn expire_keys(store: &Store, shard: ShardId) -> Result<(), StoreError> {
    let before = SystemClock.now().before(KEEP_KEYS);
    let step =
        || store.write(scope(shard), "mailstore.expire_keys", move |tx| deliver::expire_keys(tx, before));
    while step().await? > 0 {}
    Ok(())
}

async fn sweep(store: &Store, content: &Content, shard: ShardId) -> Result<(), ContentError> {
    while content.sweep(store, shard, SystemClock.now()).await? > 0 {}
    Ok(())
}

/// Clients that were away for longer get a full answer.
async fn forget_expunges(store: &Store, shard: ShardId) -> Result<(), StoreError> {
    let before = SystemClock.now().before(KEEP_EXPUNGES);
    let mut last = (0, MailboxId::ROOT);
    loop {
        let find = store
            .read(scope(shard), "mailstore.old_expunges", move |tx| entry::old_expunges(tx, before, last));
        let found = find.await?;
        let Some((account, mailbox)) = found.last().copied() else { return Ok(()) };
        last = (account.as_i64(), mailbox);
        for (account, mailbox) in found {
            let step = || {
                store.write(scope(shard), "mailstore.forget_expunges", move |tx| {
                    // Expunges are the account's alone: nothing of its tenant's is touched.
                    entry::forget_expunges(&mut tx.account(TenantId::PLATFORM, account), mailbox, before)
                })
            };
            while !step().await? {}
        }
    }
}

/// What was expunged is not kept in packs.
async fn tidy_packs(store: &Store, shard: ShardId) -> Result<(), StoreError> {
    let mut last = None;
    loop {
        let found =
            store.read(scope(shard), "mailstore.untidy_packs", move |tx| pack::untidy(tx, last)).await?;
        if found.is_empty() {
            return Ok(());
        }
        last = found.last().copied();
        for place in found {
            let step = store.write(scope(shard), "mailstore.tidy_pack", move |tx| {
                // Packs are the account's alone: nothing of its tenant's is touched.
                pack::tidy(&mut tx.account(TenantId::PLATFORM, place.account), place.mailbox, place.last_uid)
            });
            step.await?;
        }
    }
}

/// Mailboxes that were deleted and not emptied before the process ended.
async fn purge(store: &Store, shard: ShardId) -> Result<(), StoreError> {
    let now = SystemClock.now();
    let hidden = store.read(scope(shard), "mailstore.hidden", mailbox::hidden).await?;
    for (tenant, account, id) in hidden {
        let step = || {
            store.write(scope(shard), "mailstore.purge", move |tx| {
                mailbox::purge(&mut tx.account(tenant, account), id, now)
            })
        };
        while !step().await? {}
    }
    Ok(())
}

fn scope(shard: ShardId) -> ServiceScope {
    Scope::service(&Actor::Service(Service::Jobs), shard, None).expect("jobs are a service")
}

#[cfg(test)]
mod tests {
    use hikyaku_directory::Kind;
    use hikyaku_testkit::{SHARD, TestDirectory, TestStore, both_engines, set};
    use hikyaku_trace::{Archive, Filter, RefusalLog, Refused};
    use hikyaku_types::{NodeId, RisingIds};

    use super::*;

    both_engines! { the_trace_goes_by_the_plans_in_the_directory }

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn the_trace_goes_by_the_plans_in_the_directory(mail: TestStore) {
        let test = TestDirectory::new(&mail);
        mail.block_on(async {
            test.create(Kind::Plan, "short", None, None, vec![set("trace_days", "3")]).await;
            test.create(Kind::Plan, "long", None, None, vec![set("trace_days", "9")]).await;
            test.create(Kind::Tenant, "acme", None, None, vec![set("plan", "short")]).await;
            test.create(Kind::Tenant, "other", None, None, vec![set("plan", "long")]).await;
        });
        let plans = mail.block_on(test.directory.plans()).unwrap();
        let log = RefusalLog::new(Arc::clone(&mail.store), Arc::new(RisingIds::new(NodeId::new(3).unwrap())));
        for _ in 0..12 {
            let homes = plans.iter().map(|of| Some((of.tenant, SHARD))).chain([None]);
            for home in homes {
                let refused = Refused {
                    home,
                    source: "192.0.2.1".parse().unwrap(),
                    listener: "smtp",
                    reason: "550 5.1.1 No such mailbox",
                    finding: None,
                    reverse_path: "a@client.example",
                    recipient: "ann@example.org",
                };
                log.note(&refused, mail.clock.now());
            }
            mail.clock.advance(DAY);
        }
        mail.block_on(log.flush()).unwrap();
        let settings = TraceSettings { nobodys_days: 5 };
        let expire = expire_trace(&mail.store, &test.directory, settings, SHARD, mail.clock.now());
        mail.block_on(expire).unwrap();
        let archive = Archive::new(Arc::clone(&mail.store));
        let found = mail.block_on(archive.search(&Actor::Operator, None, &Filter::default())).unwrap();
        let count = |of: Option<String>| found.entries.iter().filter(|entry| entry.tenant == of).count();
        for of in &plans {
            let days = usize::try_from(of.plan.trace_days.0).unwrap();
            assert_eq!(count(Some(of.tenant.to_string())), days);
        }
        assert_eq!(count(None), 5);
    }
}
