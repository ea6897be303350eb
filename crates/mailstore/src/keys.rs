//! Forgetting delivery keys in the background.
//!
//! A server hands over the keys of a delivery once the peer has shown that it had our reply.
//! One write is under way at a time and takes all keys that gathered meanwhile, so that a
//! busy server forgets hundreds with each group commit.
//!
//! Known weakness: keys that were handed over in the moment before a crash are kept until
//! they expire after a day; meanwhile an equal message from the same sender counts as a
//! repeated one.

use std::collections::BTreeMap;
use std::sync::Arc;

use hikyaku_store::{Scope, Store};
use hikyaku_types::{Actor, Service, ShardId};
use tokio::sync::mpsc;

use crate::deliver::{DeliveryKey, forget_keys};

/// Most keys that wait; what is beyond is left to expire.
const WAITING: usize = 10_000;
/// Most keys in one write.
const STEP: usize = 500;

/// Takes keys that may be forgotten. When the last clone is dropped, the cleaner ends.
#[derive(Debug, Clone)]
pub struct KeyCleaner(mpsc::Sender<(ShardId, DeliveryKey)>);

impl KeyCleaner {
    /// A cleaner, and the work to be spawned for it.
    pub fn new(store: Arc<Store>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), clean(store, receiver))
    }

    /// Lets the key be forgotten soon.
    pub fn forget(&self, shard: ShardId, key: DeliveryKey) {
        // Full or ended: the key expires by itself.
        let _ = self.0.try_send((shard, key));
    }
}

async fn clean(store: Arc<Store>, mut keys: mpsc::Receiver<(ShardId, DeliveryKey)>) {
    let mut gathered = Vec::with_capacity(STEP);
    while keys.recv_many(&mut gathered, STEP).await > 0 {
        let mut by_shard: BTreeMap<ShardId, Vec<DeliveryKey>> = BTreeMap::new();
        for (shard, key) in gathered.drain(..) {
            by_shard.entry(shard).or_default().push(key);
        }
        for (shard, keys) in by_shard {
            let scope = Scope::service(&Actor::Service(Service::Delivery), shard, None)
                .expect("delivery is a service");
            // A failure was logged by the store; the keys expire.
            let _ = store.write(scope, "mailstore.forget_keys", move |tx| forget_keys(tx, &keys)).await;
        }
    }
}
