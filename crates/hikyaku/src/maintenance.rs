//! What must be done now and then: partitions made ahead, keys and content that have served
//! their time removed.
//!
//! Each task is idempotent and goes in steps; a failure is logged and tried again next hour.
//! This is the place of the `jobs` crate until there is one.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_mailstore::{deliver, mailbox};
use hikyaku_store::{Content, ContentError, Scope, ServiceScope, Store, StoreError};
use hikyaku_types::{Actor, Clock, Service, ShardId, SystemClock};

const INTERVAL: Duration = Duration::from_secs(3600);
/// A peer that lost our reply gives up after this long.
const KEEP_KEYS: Duration = Duration::from_secs(24 * 3600);

/// Runs until it is dropped. The first round begins at once: what a crash left is old then.
pub(crate) async fn run(store: Arc<Store>, content: Arc<Content>) {
    let shards: Vec<ShardId> = store.shards().collect();
    loop {
        for shard in &shards {
            if let Err(error) = round(&store, &content, *shard).await {
                tracing::error!(%shard, %error, "maintenance failed, will be tried again");
            }
        }
        match content.sweep_uploads(&store, SystemClock.now()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed uploads that no row names"),
            Err(error) => tracing::error!(%error, "maintenance failed, will be tried again"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// One round over a shard.
pub(crate) async fn round(store: &Store, content: &Content, shard: ShardId) -> Result<(), ContentError> {
    let now = SystemClock.now();
    store.write(scope(shard), "trace.partitions", move |tx| hikyaku_trace::make_partitions(tx, now)).await?;
    let before = now.before(KEEP_KEYS);
    while store
        .write(scope(shard), "mailstore.expire_keys", move |tx| deliver::expire_keys(tx, before))
        .await?
        > 0
    {}
    purge(store, shard).await?;
    while content.sweep(store, shard, now).await? > 0 {}
    Ok(())
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
