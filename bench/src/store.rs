//! Part *store*: deliveries of 4 KB mails by 64 producers into a store that has many
//! accounts already.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use hikyaku_mailstore::{Delivery, KeyCleaner, MessageHash, Threading, deliver};
use hikyaku_store::{AccountHome, Location, Options, Scope};
use hikyaku_testkit::postgres::{Cluster, Options as ClusterOptions};
use hikyaku_testkit::{DELIVERY, Rng, SHARD, TestStore, scratch_dir};
use hikyaku_types::TenantId;

use crate::mail::Writer;
use crate::measure::{Stopwatch, cpu_of_tree, flush_rate};

/// Accounts of one tenant.
const TENANT_SIZE: i64 = 32;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Accounts that are there already.
    #[arg(long, default_value_t = 100_000)]
    accounts: i64,
    /// Messages that each has already.
    #[arg(long, default_value_t = 20)]
    messages: u32,
    /// A second, smaller store to compare with.
    #[arg(long, default_value_t = 10_000)]
    small: i64,
    /// Deliveries to measure.
    #[arg(long, default_value_t = 40_000)]
    deliveries: u64,
    /// Producers at once.
    #[arg(long, default_value_t = 64)]
    producers: u64,
    /// Size of a mail in bytes.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Only this engine.
    #[arg(long)]
    engine: Option<Engine>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!(
        "store: {} producers, mails of {} bytes, {} messages an account already there",
        arguments.producers, arguments.size, arguments.messages
    );
    if arguments.engine != Some(Engine::Postgres) {
        let large = sqlite(arguments, arguments.accounts)?;
        if arguments.small > 0 && arguments.small < arguments.accounts {
            let small = sqlite(arguments, arguments.small)?;
            println!(
                "sqlite: CPU at {} accounts is {:.2} times that at {} (goal: at most 1.30)",
                arguments.accounts,
                large / small,
                arguments.small
            );
        }
    }
    if arguments.engine != Some(Engine::Sqlite) {
        postgres(arguments)?;
    }
    Ok(())
}

fn home(account: i64) -> AccountHome {
    TestStore::home(1 + account / TENANT_SIZE, 1 + account)
}

/// Returns CPU-seconds for 1,000 deliveries.
fn sqlite(arguments: &Arguments, accounts: i64) -> anyhow::Result<f64> {
    let folder = scratch_dir();
    let place: PathBuf = folder.path().to_owned();
    let options = Options { writer_cache_kib: 256 << 10, ..Options::default() };
    let store = Arc::new(TestStore::migrated(Location::Folder(place.clone()), folder, None, options));
    fill(&store, accounts, arguments.messages)?;
    let flushes_before = flush_rate(&place)?;
    let (pages, commits, checkpoints) = counters(&store);
    let stopwatch = Stopwatch::start();
    produce(&store, arguments, accounts);
    let (wall, cpu) = stopwatch.stop();
    let (pages, commits, checkpoints) = {
        let now = counters(&store);
        (now.0 - pages, now.1 - commits, now.2 - checkpoints)
    };
    let flushes_after = flush_rate(&place)?;
    let count = arguments.deliveries as f64;
    let per_thousand = cpu.as_secs_f64() / count * 1000.0;
    // A checkpoint flushes the log, then the file.
    let flushes = commits + 2.0 * checkpoints;
    let rate = count / wall.as_secs_f64();
    let disk = f64::midpoint(flushes_before, flushes_after);
    println!(
        "sqlite, {accounts} accounts: {count} deliveries in {:.1} s, {rate:.0}/s\n\
         \x20 CPU {per_thousand:.3} s per 1,000 (goal 0.15)\n\
         \x20 WAL {:.1} KB per message (goal 30)\n\
         \x20 flushes {:.3} per message (goal 0.05), {commits} commits, {checkpoints} checkpoints\n\
         \x20 this disk: {disk:.0} append+fdatasync/s ({flushes_before:.0} before, {flushes_after:.0} after), \
         {:.2} deliveries per such flush",
        wall.as_secs_f64(),
        pages * 4.096 / count,
        flushes / count,
        rate / disk,
    );
    Ok(per_thousand)
}

fn postgres(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::private(ClusterOptions { fsync: true, synchronous_commit: true });
    let database = cluster.create_database(None);
    let location = Location::Postgres { url: database.url().to_owned() };
    let store = Arc::new(TestStore::migrated(location, scratch_dir(), None, Options::default()));
    fill(&store, arguments.accounts, arguments.messages)?;
    let server = cpu_of_tree(cluster.pid());
    let stopwatch = Stopwatch::start();
    produce(&store, arguments, arguments.accounts);
    let (wall, cpu) = stopwatch.stop();
    let server = cpu_of_tree(cluster.pid()).saturating_sub(server);
    let count = arguments.deliveries as f64;
    println!(
        "postgres, {} accounts, 16 connections: {:.0} deliveries/s, CPU-ms each: client {:.2}, server {:.2}, \
         together {:.2}",
        arguments.accounts,
        count / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1000.0 / count,
        server.as_secs_f64() * 1000.0 / count,
        (cpu + server).as_secs_f64() * 1000.0 / count,
    );
    Ok(())
}

/// Pages written to the log, group commits, checkpoints so far.
fn counters(store: &TestStore) -> (f64, f64, f64) {
    let text = store.metrics();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    };
    (
        value("hikyaku_store_wal_pages_total"),
        value("hikyaku_store_batch_count"),
        value("hikyaku_store_checkpoints_total"),
    )
}

/// Messages in every account, in the order in which mail comes: mixed.
fn fill(store: &Arc<TestStore>, accounts: i64, messages: u32) -> anyhow::Result<()> {
    let stopwatch = Stopwatch::start();
    let mut writer = Writer::new(1);
    for _ in 0..messages {
        let mut order: Vec<i64> = (0..accounts).collect();
        Rng::new(u64::from(messages)).shuffle(&mut order);
        for some in order.chunks(400) {
            let homes: Vec<AccountHome> = some.iter().map(|account| home(*account)).collect();
            let (content, id) = writer.mail(1_000);
            let mut delivery = store.delivery(&content, &homes);
            for recipient in delivery.parts.iter_mut().flat_map(|part| &mut part.recipients) {
                recipient.key = None;
            }
            delivery.threading = Threading { own: Some(MessageHash::of(id.as_bytes())), parents: Vec::new() };
            store.carry_out(delivery)?;
        }
    }
    let (wall, _) = stopwatch.stop();
    println!("filled {accounts} accounts with {messages} messages each in {:.0} s", wall.as_secs_f64());
    Ok(())
}

/// The measured work: each producer prepares, delivers, and forgets its keys as a server
/// does, some at a time.
fn produce(store: &Arc<TestStore>, arguments: &Arguments, accounts: i64) {
    let done = Arc::new(AtomicU64::new(0));
    let deliveries = arguments.deliveries;
    store.block_on(async {
        let (cleaner, cleaning) = KeyCleaner::new(Arc::clone(&store.store));
        let cleaning = tokio::spawn(cleaning);
        let tasks: Vec<_> = (0..arguments.producers)
            .map(|number| {
                let (store, done, cleaner) = (Arc::clone(store), Arc::clone(&done), cleaner.clone());
                let mut writer = Writer::new(100 + number);
                let mut rng = Rng::new(200 + number);
                // Writing mails is not what is measured.
                let mails: Vec<_> = (0..64).map(|_| writer.mail(arguments.size)).collect();
                tokio::spawn(async move {
                    let mut round = 0u32;
                    while done.fetch_add(1, Ordering::Relaxed) < deliveries {
                        let (content, id) = &mails[(round % 64) as usize];
                        let account = i64::try_from(rng.below(accounts.unsigned_abs())).unwrap_or(0);
                        let mut content = content.clone();
                        content.extend_from_slice(format!("{number}.{round}\r\n").as_bytes());
                        let id = format!("{round}.{id}");
                        one(&store, &cleaner, &content, &id, home(account)).await;
                        round += 1;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a producer ends");
        }
        drop(cleaner);
        cleaning.await.expect("the cleaner ends");
    });
}

async fn one(store: &TestStore, cleaner: &KeyCleaner, content: &[u8], id: &str, home: AccountHome) {
    let mut delivery: Delivery = store.delivery_async(content, &[home], true).await;
    delivery.threading = Threading { own: Some(MessageHash::of(id.as_bytes())), parents: Vec::new() };
    delivery.message_id = Some(id.to_owned());
    let keys: Vec<_> =
        delivery.parts.iter().flat_map(|part| &part.recipients).filter_map(|to| to.key).collect();
    let weight = delivery.parts.iter().map(|part| part.content.weight()).sum();
    let scope = |tenant: TenantId| {
        Scope::service(&DELIVERY, SHARD, Some(tenant)).expect("a service").weighing(weight)
    };
    let delivered =
        store.store.write(scope(home.tenant), "mailstore.deliver", move |tx| deliver(tx, &delivery)).await;
    delivered.expect("the delivery succeeds");
    // The peer's next command shows that it had our reply.
    for key in keys {
        cleaner.forget(SHARD, key);
    }
}
