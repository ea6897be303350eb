//! Something that there is only so much of, shared by sources, tenants and listeners.
//!
//! Two rules, for each who shares ([`Sharer`]):
//! - it never has more than its largest part of the whole, so that one alone cannot take all;
//! - while more than half of the whole is taken, it gets nothing beyond its fair part. So who
//!   floods is refused first, and those who have little are served from the other half.
//!
//! Known weakness: four tenants that flood together take everything; then all are refused
//! until some of it is given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hikyaku_smtp_proto::Listener;
use hikyaku_types::{Network, TenantId};
use tokio::sync::Notify;

/// Who has a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sharer {
    Source(Network),
    Tenant(TenantId),
    Listener(Listener),
}

/// Whose part, or that of all, is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UsedUp {
    Source,
    Tenant,
    Listener,
    All,
}

impl Sharer {
    /// Its largest part and its fair part, of a whole.
    fn parts(self, whole: usize) -> (usize, usize) {
        let (largest, fair) = match self {
            Self::Source(_) => (whole / 4, whole / 16),
            Self::Tenant(_) => (whole / 2, whole / 8),
            Self::Listener(_) => (whole / 4 * 3, whole / 4 * 3),
        };
        (largest.max(1), fair.max(1))
    }

    fn used_up(self) -> UsedUp {
        match self {
            Self::Source(_) => UsedUp::Source,
            Self::Tenant(_) => UsedUp::Tenant,
            Self::Listener(_) => UsedUp::Listener,
        }
    }
}

/// The whole.
#[derive(Debug)]
pub(crate) struct Pool {
    whole: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    altogether: usize,
    by: HashMap<Sharer, usize>,
}

/// What one session has of a pool, on the account of some sharers. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    pool: Arc<Pool>,
    sharers: Vec<Sharer>,
    taken: usize,
}

impl Pool {
    pub(crate) fn new(whole: usize) -> Arc<Self> {
        Arc::new(Self { whole, taken: Mutex::default(), freed: Notify::new() })
    }

    /// Nothing yet.
    pub(crate) fn share(self: &Arc<Self>, sharers: Vec<Sharer>) -> Share {
        Share { pool: Arc::clone(self), sharers, taken: 0 }
    }

    /// One unit.
    pub(crate) fn one(self: &Arc<Self>, sharers: Vec<Sharer>) -> Result<Share, UsedUp> {
        let mut share = self.share(sharers);
        share.try_grow(1)?;
        Ok(share)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Units that it has.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Takes `more` units, or none.
    pub(crate) fn try_grow(&mut self, more: usize) -> Result<(), UsedUp> {
        let mut taken = self.pool.taken();
        let whole = self.pool.whole;
        let altogether = taken.altogether.saturating_add(more);
        if altogether > whole {
            return Err(UsedUp::All);
        }
        for sharer in &self.sharers {
            let (largest, fair) = sharer.parts(whole);
            let most = if altogether > whole / 2 { fair } else { largest };
            let has = taken.by.get(sharer).copied().unwrap_or(0);
            if has.saturating_add(more) > most {
                return Err(sharer.used_up());
            }
        }
        for sharer in &self.sharers {
            *taken.by.entry(*sharer).or_insert(0) += more;
        }
        taken.altogether = altogether;
        self.taken += more;
        Ok(())
    }

    /// Takes `more` units as soon as it can have them.
    pub(crate) async fn grow(&mut self, more: usize) {
        let pool = Arc::clone(&self.pool);
        loop {
            let mut freed = std::pin::pin!(pool.freed.notified());
            freed.as_mut().enable();
            if self.try_grow(more).is_ok() {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.taken == 0 {
            return;
        }
        let mut taken = self.pool.taken();
        taken.altogether -= self.taken;
        for sharer in &self.sharers {
            if let Some(has) = taken.by.get_mut(sharer) {
                *has -= self.taken;
                if *has == 0 {
                    taken.by.remove(sharer);
                }
            }
        }
        drop(taken);
        self.pool.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u8) -> Sharer {
        Sharer::Source(format!("192.0.2.{number}").parse().unwrap())
    }

    fn tenant(number: i64) -> Sharer {
        Sharer::Tenant(TenantId::from_i64(number).unwrap())
    }

    /// Takes units one by one until it may not; how many, and why no more.
    fn flood(pool: &Arc<Pool>, sharers: &[Sharer]) -> (Vec<Share>, UsedUp) {
        let mut shares = Vec::new();
        loop {
            match pool.one(sharers.to_vec()) {
                Ok(share) => shares.push(share),
                Err(why) => return (shares, why),
            }
        }
    }

    #[test]
    fn one_alone_takes_its_largest_part() {
        for (sharer, most, why) in [
            (source(1), 16, UsedUp::Source),
            (tenant(1), 32, UsedUp::Tenant),
            (Sharer::Listener(Listener::Mx), 48, UsedUp::Listener),
        ] {
            let (shares, found) = flood(&Pool::new(64), &[sharer]);
            assert_eq!((shares.len(), found), (most, why), "{sharer:?}");
        }
    }

    #[test]
    fn who_floods_leaves_room_for_those_who_have_little() {
        let pool = Pool::new(64);
        let (_flooding, _) = flood(&pool, &[tenant(1)]);
        let (others, why) = flood(&pool, &[tenant(2)]);
        assert_eq!((others.len(), why), (8, UsedUp::Tenant), "its fair part, in spite of the flood");
        let (third, _) = flood(&pool, &[tenant(3)]);
        assert_eq!(third.len(), 8);
    }

    #[test]
    fn under_pressure_nobody_grows_beyond_the_fair_part() {
        let pool = Pool::new(64);
        let (mut flooding, _) = flood(&pool, &[tenant(1)]);
        let (_little, _) = flood(&pool, &[tenant(2)]);
        flooding.truncate(25);
        // 25 + 8 are more than half: the flood waits although it had 32 before.
        assert_eq!(pool.one(vec![tenant(1)]).unwrap_err(), UsedUp::Tenant);
        flooding.truncate(20);
        assert!(pool.one(vec![tenant(1)]).is_ok(), "no pressure any more");
    }

    #[test]
    fn every_sharer_must_have_room_and_nothing_is_taken_otherwise() {
        let pool = Pool::new(64);
        let (_shares, _) = flood(&pool, &[source(1), tenant(1)]);
        assert_eq!(pool.one(vec![source(1), tenant(2)]).unwrap_err(), UsedUp::Source);
        assert_eq!(pool.taken().by.get(&tenant(2)), None);
        assert!(pool.one(vec![source(2), tenant(1)]).is_ok());
        assert_eq!(pool.taken().altogether, 16);
    }

    #[test]
    fn the_whole_is_the_end() {
        let pool = Pool::new(64);
        let shares: Vec<_> = (1..=9).map(|number| flood(&pool, &[tenant(number)])).collect();
        assert_eq!(pool.taken().altogether, 64);
        assert_eq!(shares[8].1, UsedUp::All);
        drop(shares);
        assert_eq!(pool.taken().altogether, 0);
        assert!(pool.taken().by.is_empty());
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_something_is_given_back() {
        let pool = Pool::new(64);
        let (mut shares, _) = flood(&pool, &[source(1)]);
        let mut waiting = pool.share(vec![source(1)]);
        {
            let mut growing = std::pin::pin!(waiting.grow(2));
            shares.pop();
            let is_over = tokio::time::timeout(std::time::Duration::ZERO, growing.as_mut()).await.is_ok();
            assert!(!is_over, "one is not enough");
            shares.pop();
            growing.await;
        }
        assert_eq!(waiting.taken(), 2);
    }
}
