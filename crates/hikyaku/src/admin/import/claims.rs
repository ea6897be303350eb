//! One import into an account at a time: two would put their messages among each other, and each
//! would tell half of what was done.
//!
//! An import is a connection to the desk, and its claim ends with it. One that was killed a moment
//! ago may not be gone yet, so the next one waits a little before it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hikyaku_types::AccountId;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a connection that has ended may take to be noticed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one connection has claimed, beside those of others.
#[derive(Clone, Default)]
pub(super) struct Claims {
    all: Arc<All>,
    own: Arc<Mutex<BTreeMap<AccountId, Claim>>>,
}

#[derive(Default)]
struct All {
    claimed: Mutex<BTreeSet<AccountId>>,
    freed: Notify,
}

/// An account that nobody else imports into.
struct Claim {
    all: Arc<All>,
    account: AccountId,
}

impl Claims {
    /// Those of another connection, which has none yet.
    pub(super) fn of_another(&self) -> Self {
        Self { all: Arc::clone(&self.all), own: Arc::default() }
    }

    /// Claims the account until this connection ends; false if another one has it.
    pub(super) async fn take(&self, account: AccountId) -> bool {
        if locked(&self.own).contains_key(&account) {
            return true;
        }
        let Ok(claim) = timeout(PATIENCE, Claim::wait_for(&self.all, account)).await else { return false };
        locked(&self.own).insert(account, claim);
        true
    }
}

impl Claim {
    async fn wait_for(all: &Arc<All>, account: AccountId) -> Self {
        loop {
            // Listening before looking: what is freed in between is heard.
            let mut freed = std::pin::pin!(all.freed.notified());
            freed.as_mut().enable();
            if locked(&all.claimed).insert(account) {
                return Self { all: Arc::clone(all), account };
            }
            freed.await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        locked(&self.all.claimed).remove(&self.account);
        self.all.freed.notify_waiters();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_account_is_one_connections_until_it_ends() {
        let [ann, bob] = [1, 2].map(|number| AccountId::from_i64(number).unwrap());
        let first = Claims::default();
        let second = first.of_another();
        assert!(first.take(ann).await && first.take(ann).await);
        assert!(!second.take(ann).await);
        assert!(second.take(bob).await && !first.take(bob).await);
        // Who waits gets it as soon as it is free.
        let waiting = tokio::spawn({
            let second = second.clone();
            async move { second.take(ann).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        drop(second);
        assert!(Claims::default().take(ann).await);
    }
}
