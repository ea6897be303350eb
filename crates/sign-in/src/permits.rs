//! How many attempts of one source are under way at once, those that wait for their answer
//! among them: what bounds how fast it can guess.
//!
//! Invariant: a source that nobody uses takes no memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hikyaku_access::source_of;
use hikyaku_types::Network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many at once: an office of 200 that comes back after a power cut waits for seconds.
const EACH: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Permits {
    sources: Arc<Mutex<HashMap<Network, Arc<Semaphore>>>>,
}

/// One attempt may be made as long as this lives.
#[derive(Debug)]
pub(crate) struct Permit {
    source: Network,
    sources: Arc<Mutex<HashMap<Network, Arc<Semaphore>>>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// Waits until the source of `ip` may try. Others wait behind it, in their order.
    pub(crate) async fn of(&self, ip: IpAddr) -> Permit {
        let source = source_of(ip);
        let semaphore = {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sources.entry(source).or_insert_with(|| Arc::new(Semaphore::new(EACH))))
        };
        // There before it has its permit: whoever stops waiting leaves nothing behind either.
        let mut permit = Permit { source, sources: Arc::clone(&self.sources), permit: None };
        // It is never closed.
        permit.permit = semaphore.acquire_owned().await.ok();
        permit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.permit.take());
        // One in the map, and one for each that holds or waits for a permit.
        if sources.get(&self.source).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            sources.remove(&self.source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stops_waiting_leaves_nothing_behind() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let permits = Permits::default();
            let one = "192.0.2.1".parse().unwrap();
            let mut held = Vec::new();
            for _ in 0..EACH {
                held.push(permits.of(one).await);
            }
            let mut waits = Box::pin(permits.of(one));
            let waiting = std::future::poll_fn(|context| {
                std::task::Poll::Ready(waits.as_mut().poll(context).is_pending())
            });
            assert!(waiting.await);
            drop(held);
            drop(waits);
            assert!(permits.sources.lock().unwrap().is_empty());
        });
    }

    #[test]
    fn a_source_has_so_many_at_once_and_others_have_their_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let permits = Permits::default();
            let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
            let mut held = Vec::new();
            for _ in 0..EACH {
                held.push(permits.of(one).await);
            }
            let mut waits = std::pin::pin!(permits.of(one));
            let waiting = std::future::poll_fn(|context| {
                std::task::Poll::Ready(waits.as_mut().poll(context).is_pending())
            });
            assert!(waiting.await);
            drop(permits.of(other).await);
            assert_eq!(permits.sources.lock().unwrap().len(), 1);
            held.pop();
            held.push(waits.await);
            drop(held);
            assert!(permits.sources.lock().unwrap().is_empty());
        });
    }
}
