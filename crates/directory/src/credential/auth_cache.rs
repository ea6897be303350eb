//! The authentication cache: spares the next Argon2id after a success.
//!
//! A mail program signs in again and again with one password. After a success the cache keeps
//! a MAC of that password under a key that this process made and never shows; for an hour the
//! same password is right again without a new hash.
//!
//! Invariants:
//! - only right passwords are kept, so a guess always costs a full hash and is counted;
//! - an entry belongs to one version of the account's credentials: any change of password,
//!   state or policy raises the version, and the entry is nothing any more;
//! - at most so many entries, and none older than an hour, by the `now` of the caller;
//! - it answers nothing but "this was the password": source rules, counters and suspension
//!   come first, and whoever asks here has asked `access` before.
//!
//! Known weakness: who reads the memory of the process has key and MACs, and can try guesses
//! fast. Such a reader also sees passwords as they arrive.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hikyaku_types::{AccountId, Random, Timestamp};
use subtle::ConstantTimeEq;

/// How long a success counts.
const TTL: Duration = Duration::from_secs(3600);

/// 128 bits: more than anybody can forge by trying.
const MAC_OCTETS: usize = 16;

/// The cache of one process.
pub struct AuthCache {
    node_secret: [u8; 32],
    generations: Mutex<Generations>,
}

/// Entries in two generations. New and used ones stand in the young; when that is full it
/// becomes the old one, and what was still in the old one goes. So those that sign in often
/// stay, and nothing has to be sorted.
#[derive(Default)]
struct Generations {
    young: HashMap<AccountId, Entry>,
    old: HashMap<AccountId, Entry>,
    most_each: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    credential_version: i64,
    succeeded_at: Timestamp,
    mac: [u8; MAC_OCTETS],
}

impl AuthCache {
    /// An empty cache with a new node secret, for at most `most_entries` accounts.
    pub fn new(most_entries: usize, random: &dyn Random) -> Self {
        let mut node_secret = [0; 32];
        random.fill(&mut node_secret);
        let generations = Generations { most_each: most_entries.div_ceil(2), ..Generations::default() };
        Self { node_secret, generations: Mutex::new(generations) }
    }

    /// Was `password` right within the last hour, for this version of the account's
    /// credentials?
    pub fn knows(
        &self,
        account: AccountId,
        credential_version: i64,
        password: &[u8],
        now: Timestamp,
    ) -> bool {
        let mac = self.mac(account, credential_version, password);
        let Some(entry) = self.generations().find(account) else { return false };
        // After the clock was set back, what lies ahead is not trusted.
        let is_fresh = entry.succeeded_at <= now && now.since(entry.succeeded_at) < TTL;
        let is_same: bool = entry.mac.ct_eq(&mac).into();
        is_fresh && entry.credential_version == credential_version && is_same
    }

    /// Keeps a password that was just found right.
    pub fn succeeded(&self, account: AccountId, credential_version: i64, password: &[u8], now: Timestamp) {
        let mac = self.mac(account, credential_version, password);
        self.generations().insert(account, Entry { credential_version, succeeded_at: now, mac });
    }

    /// Forgets an account, when it is known to have changed.
    pub fn forget(&self, account: AccountId) {
        let mut generations = self.generations();
        generations.young.remove(&account);
        generations.old.remove(&account);
    }

    /// How many entries there are, fresh or not.
    pub fn len(&self) -> usize {
        let generations = self.generations();
        generations.young.len() + generations.old.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn mac(&self, account: AccountId, credential_version: i64, password: &[u8]) -> [u8; MAC_OCTETS] {
        let mut hasher = blake3::Hasher::new_keyed(&self.node_secret);
        hasher.update(&account.as_i64().to_le_bytes());
        hasher.update(&credential_version.to_le_bytes());
        hasher.update(password);
        let mut mac = [0; MAC_OCTETS];
        hasher.finalize_xof().fill(&mut mac);
        mac
    }

    fn generations(&self) -> MutexGuard<'_, Generations> {
        // No holder leaves an entry half written.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn find(&mut self, account: AccountId) -> Option<Entry> {
        if let Some(entry) = self.young.get(&account) {
            return Some(*entry);
        }
        let entry = self.old.remove(&account)?;
        self.insert(account, entry);
        Some(entry)
    }

    fn insert(&mut self, account: AccountId, entry: Entry) {
        if self.most_each == 0 {
            return;
        }
        self.old.remove(&account);
        if self.young.len() >= self.most_each && !self.young.contains_key(&account) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(account, entry);
    }
}

/// Shows how full it is.
impl fmt::Debug for AuthCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthCache").field("entries", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_testkit::SeededRandom;
    use proptest::prelude::*;

    fn cache(most: usize) -> AuthCache {
        AuthCache::new(most, &SeededRandom::new(1))
    }

    fn account(number: i64) -> AccountId {
        AccountId::from_i64(number).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    #[test]
    fn what_is_known_and_what_is_not() {
        let cache = cache(10);
        assert!(!cache.knows(account(1), 5, b"secret", at(1000)));
        cache.succeeded(account(1), 5, b"secret", at(1000));
        for (number, version, password, seconds, expected) in [
            (1, 5, "secret", 1000, true),
            (1, 5, "secret", 1000 + 3599, true),
            (1, 5, "secret", 1000 + 3600, false),
            (1, 5, "secret", 999, false),
            (1, 6, "secret", 1000, false),
            (1, 4, "secret", 1000, false),
            (1, 5, "secreT", 1000, false),
            (1, 5, "", 1000, false),
            (2, 5, "secret", 1000, false),
        ] {
            let known = cache.knows(account(number), version, password.as_bytes(), at(seconds));
            assert_eq!(known, expected, "{number} {version} {password:?} {seconds}");
        }
        cache.forget(account(1));
        assert!(!cache.knows(account(1), 5, b"secret", at(1000)));
        assert!(cache.is_empty());
    }

    #[test]
    fn asking_does_not_prolong() {
        let cache = cache(10);
        cache.succeeded(account(1), 1, b"secret", at(0));
        assert!(cache.knows(account(1), 1, b"secret", at(3599)));
        assert!(!cache.knows(account(1), 1, b"secret", at(3601)));
    }

    #[test]
    fn those_that_sign_in_often_stay() {
        let cache = cache(20);
        cache.succeeded(account(1), 1, b"secret", at(0));
        for number in 2..100 {
            cache.succeeded(account(number), 1, b"secret", at(0));
            assert!(cache.knows(account(1), 1, b"secret", at(0)), "pushed out by {number}");
        }
        assert!(!cache.knows(account(2), 1, b"secret", at(0)), "long unused");
    }

    #[test]
    fn processes_do_not_share_macs_and_debug_shows_none() {
        let other = AuthCache::new(10, &SeededRandom::new(2));
        let cache = cache(10);
        assert_ne!(cache.mac(account(1), 1, b"secret"), other.mac(account(1), 1, b"secret"));
        cache.succeeded(account(1), 1, b"secret", at(0));
        assert_eq!(format!("{cache:?}"), "AuthCache { entries: 1, .. }");
    }

    #[test]
    fn an_entry_with_its_key_has_40_octets() {
        // A map needs 41 for each of its places, and half of them may be free.
        assert_eq!(size_of::<(AccountId, Entry)>(), 40);
    }

    proptest! {
        /// The cache forgets at will, but never knows what the model does not.
        #[test]
        fn never_knows_more_than_everything(
            most in 0usize..8,
            steps in prop::collection::vec((0u8..3, 1i64..12, 0i64..3, 0u8..3, 0i64..8000), 1..80)
        ) {
            let cache = cache(most);
            let mut model: HashMap<i64, (i64, u8, i64)> = HashMap::new();
            for (what, number, version, password, now) in steps {
                match what {
                    0 => {
                        cache.succeeded(account(number), version, &[password], at(now));
                        model.insert(number, (version, password, now));
                        if most > 0 {
                            prop_assert!(cache.knows(account(number), version, &[password], at(now)));
                        }
                    }
                    1 => {
                        cache.forget(account(number));
                        model.remove(&number);
                    }
                    _ => {
                        let right = model.get(&number).is_some_and(|(v, p, then)| {
                            (*v, *p) == (version, password) && *then <= now && now - then < 3600
                        });
                        let known = cache.knows(account(number), version, &[password], at(now));
                        prop_assert!(right || !known);
                    }
                }
                prop_assert!(cache.len() <= most + 1, "{} of {}", cache.len(), most);
            }
        }
    }
}
