//! Change hints: after a commit, whoever watches an account learns that it changed.
//!
//! A hint says "look again up to this modseq", never what changed; a lost hint costs
//! nothing but time, since watchers also look by themselves now and then. Hints of one
//! account coalesce: a watcher that is slow sees only the newest.
//!
//! [`Hints::publish`] is the one door. A node's own commits go through it now; hints that
//! other nodes send (PostgreSQL NOTIFY) will go through it too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hikyaku_types::AccountId;
use tokio::sync::watch;

/// An account changed, up to this modseq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The account.
    pub account: AccountId,
    /// Its highest modseq after the change.
    pub modseq: i64,
}

/// Locks are per stripe, so that a busy server's sessions rarely meet.
const STRIPES: usize = 64;

type Stripe = Mutex<HashMap<AccountId, watch::Sender<i64>>>;

/// Who watches what.
#[derive(Debug, Clone)]
pub struct Hints(Arc<[Stripe]>);

/// One watcher of one account. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    account: AccountId,
    receiver: Option<watch::Receiver<i64>>,
    hints: Hints,
}

impl Default for Hints {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Mutex::default()).collect())
    }
}

impl Hints {
    fn stripe(&self, account: AccountId) -> &Stripe {
        // Account ids are random: their low bits are spread.
        &self.0[account.as_i64() as usize % STRIPES]
    }

    /// Begins to watch an account.
    pub fn watch(&self, account: AccountId) -> Watch {
        let mut stripe = self.stripe(account).lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = stripe.entry(account).or_insert_with(|| watch::channel(0).0).subscribe();
        Watch { account, receiver: Some(receiver), hints: self.clone() }
    }

    /// Tells watchers. Called after the commit.
    pub fn publish(&self, hints: &[Hint]) {
        for hint in hints {
            let stripe = self.stripe(hint.account).lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sender) = stripe.get(&hint.account) {
                sender.send_if_modified(|newest| {
                    let newer = hint.modseq > *newest;
                    *newest = hint.modseq.max(*newest);
                    newer
                });
            }
        }
    }

    /// How many accounts are watched.
    pub fn watched(&self) -> usize {
        self.0.iter().map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl Watch {
    /// Waits until the account changed since the last call (or since the watch began), and
    /// returns the newest modseq told.
    pub async fn changed(&mut self) -> i64 {
        let Some(receiver) = &mut self.receiver else { return std::future::pending().await };
        match receiver.changed().await {
            Ok(()) => *receiver.borrow_and_update(),
            // The sender lives as long as there are watchers.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut stripe = self.hints.stripe(self.account).lock().unwrap_or_else(PoisonError::into_inner);
        self.receiver = None;
        if stripe.get(&self.account).is_some_and(|sender| sender.receiver_count() == 0) {
            stripe.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn watchers_see_the_newest_hint_once() {
        let hints = Hints::default();
        let account = AccountId::from_i64(7).unwrap();
        let other = AccountId::from_i64(7 + STRIPES as i64).unwrap();
        let mut watch = hints.watch(account);
        hints.publish(&[
            Hint { account, modseq: 3 },
            Hint { account, modseq: 5 },
            Hint { account: other, modseq: 9 },
        ]);
        assert_eq!(watch.changed().await, 5);
        hints.publish(&[Hint { account, modseq: 4 }]);
        let waits = tokio::time::timeout(std::time::Duration::ZERO, watch.changed()).await;
        assert!(waits.is_err(), "an older hint tells nothing new");
        hints.publish(&[Hint { account, modseq: 6 }]);
        assert_eq!(watch.changed().await, 6);
    }

    #[test]
    fn a_dropped_watch_leaves_nothing() {
        let hints = Hints::default();
        let account = AccountId::from_i64(1).unwrap();
        let (first, second) = (hints.watch(account), hints.watch(account));
        drop(first);
        assert_eq!(hints.watched(), 1);
        drop(second);
        assert_eq!(hints.watched(), 0);
    }
}
