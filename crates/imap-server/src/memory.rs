//! Memory for messages that come in and go out, shared by all sessions.
//!
//! A message takes memory several times over: as it came or was read, and as it is stored or
//! printed. What a command is about to hold is taken from here first and given back when it
//! was committed or sent. So however many clients append slowly, or ask for much and read
//! nothing, the server holds no more than it was given.
//!
//! Invariants:
//! - an account never has more than its largest part, so no session can take everything;
//! - while more than half of the whole is taken, nobody gets anything beyond its fair part:
//!   whoever has little is served from the other half;
//! - the largest message fits into either part, so that it can always be served at some time;
//! - who finds no room waits, for so long as the listener says, and is then told to come again;
//! - what a session takes is in whole steps; one that does nothing has taken nothing.
//!
//! Not counted are the bounded buffers of a session: its command (128 KiB at most), what waits
//! to be sent (64 KiB), the packs it lists from.
//!
//! Known weaknesses: whoever waits is not served in order, so one that needs much may be
//! overtaken until it is refused; a message larger than its account's part, which only an
//! import can bring, counts as that part; four tenants that flood together take everything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hikyaku_store::AccountHome;
use hikyaku_types::{AccountId, TenantId};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Memory is given out in steps of this many bytes.
const STEP: u64 = 64 << 10;

/// How often a message is in memory at most: as it was read, and as it is printed or worked
/// on, which is twice its size where several of its parts are asked for.
const MOST_COPIES: u64 = 3;

/// Memory of all sessions.
#[derive(Debug)]
pub struct Memory {
    /// In steps, as all counts here.
    whole: u64,
    /// What the largest message takes.
    largest: u64,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    altogether: u64,
    most: u64,
    by: HashMap<Sharer, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sharer {
    Tenant(TenantId),
    Account(AccountId),
}

/// What one command has taken. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Room {
    memory: Arc<Memory>,
    home: AccountHome,
    bytes: u64,
    steps: u64,
}

/// There is none at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl Memory {
    /// So many bytes for all sessions, or enough for two of the largest message.
    pub fn new(bytes: u64, largest_message: u64) -> Self {
        let largest = steps_of(largest_message.saturating_mul(MOST_COPIES));
        let whole = steps_of(bytes).max(largest.saturating_mul(2));
        Self { whole, largest, taken: Mutex::default(), freed: Notify::new() }
    }

    /// Bytes that are taken now.
    pub fn taken_bytes(&self) -> u64 {
        self.taken().altogether * STEP
    }

    /// The most bytes that were ever taken at once.
    pub fn most_bytes(&self) -> u64 {
        self.taken().most * STEP
    }

    /// For a session of this account, nothing yet.
    pub(crate) fn room(self: &Arc<Self>, home: AccountHome) -> Room {
        Room { memory: Arc::clone(self), home, bytes: 0, steps: 0 }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The largest part that it may have, and the fair one.
    fn parts(&self, sharer: Sharer) -> (u64, u64) {
        let (largest, fair) = match sharer {
            Sharer::Tenant(_) => (self.whole / 2, self.whole / 8),
            Sharer::Account(_) => (self.whole / 4, self.whole / 16),
        };
        (largest.max(self.largest), fair.max(self.largest))
    }
}

impl Room {
    /// Takes `bytes` more, or nothing.
    pub(crate) fn try_grow(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let memory = &*self.memory;
        let sharers = sharers(self.home);
        let bytes = self.bytes.saturating_add(bytes);
        let more = steps_of(bytes) - self.steps;
        let mut taken = memory.taken();
        let altogether = taken.altogether.saturating_add(more);
        if altogether > memory.whole {
            return Err(NoRoom);
        }
        for sharer in sharers {
            let (largest, fair) = memory.parts(sharer);
            let most = if altogether > memory.whole / 2 { fair } else { largest };
            let has = taken.by.get(&sharer).copied().unwrap_or(0);
            if has.saturating_add(more) > most {
                return Err(NoRoom);
            }
        }
        for sharer in sharers {
            *taken.by.entry(sharer).or_insert(0) += more;
        }
        taken.altogether = altogether;
        taken.most = taken.most.max(altogether);
        self.bytes = bytes;
        self.steps += more;
        Ok(())
    }

    /// Takes `bytes` more as soon as it can have them, and waits at most so long for them.
    /// What would never fit takes all that its account can have.
    pub(crate) async fn grow(&mut self, bytes: u64, wait: Duration) -> Result<(), NoRoom> {
        let (most, _) = self.memory.parts(Sharer::Account(self.home.account));
        let bytes = bytes.min((most * STEP).saturating_sub(self.bytes));
        if self.try_grow(bytes).is_ok() {
            return Ok(());
        }
        let (memory, deadline) = (Arc::clone(&self.memory), Instant::now() + wait);
        loop {
            let mut freed = std::pin::pin!(memory.freed.notified());
            freed.as_mut().enable();
            if self.try_grow(bytes).is_ok() {
                return Ok(());
            }
            timeout_at(deadline, freed).await.map_err(|_| NoRoom)?;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.steps == 0 {
            return;
        }
        let mut taken = self.memory.taken();
        taken.altogether -= self.steps;
        for sharer in sharers(self.home) {
            if let Some(has) = taken.by.get_mut(&sharer) {
                *has -= self.steps;
                if *has == 0 {
                    taken.by.remove(&sharer);
                }
            }
        }
        drop(taken);
        self.memory.freed.notify_waiters();
    }
}

fn sharers(home: AccountHome) -> [Sharer; 2] {
    [Sharer::Tenant(home.tenant), Sharer::Account(home.account)]
}

fn steps_of(bytes: u64) -> u64 {
    bytes.div_ceil(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_types::ShardId;

    /// Memory of so many steps, in which the largest message takes `largest` of them.
    fn memory(whole: u64, largest: u64) -> Arc<Memory> {
        Arc::new(Memory::new(whole * STEP, largest * STEP / MOST_COPIES))
    }

    fn home(tenant: i64, account: i64) -> AccountHome {
        AccountHome {
            tenant: TenantId::from_i64(tenant).unwrap(),
            account: AccountId::from_i64(account).unwrap(),
            shard: ShardId(0),
        }
    }

    /// How many rooms of one step there are for this account.
    fn flood(memory: &Arc<Memory>, home: AccountHome) -> Vec<Room> {
        let mut rooms = Vec::new();
        loop {
            let mut room = memory.room(home);
            if room.try_grow(1).is_err() {
                return rooms;
            }
            rooms.push(room);
        }
    }

    #[test]
    fn an_account_and_a_tenant_have_parts_and_leave_the_rest() {
        let memory = memory(64, 1);
        let first = flood(&memory, home(1, 1));
        assert_eq!(first.len(), 16, "a quarter for an account");
        let second = flood(&memory, home(1, 2));
        assert_eq!(second.len(), 16, "a half for a tenant");
        assert!(flood(&memory, home(1, 3)).is_empty());
        let other = flood(&memory, home(2, 4));
        assert_eq!(other.len(), 4, "above the half its fair part");
        drop(first);
        assert_eq!(flood(&memory, home(2, 5)).len(), 12, "room up to the half again");
    }

    #[test]
    fn the_largest_message_fits_into_each_part() {
        for whole in [0, 8, 64] {
            let memory = memory(whole, 8);
            let mut room = memory.room(home(1, 1));
            assert_eq!(room.try_grow(8 * STEP), Ok(()));
            let mut other = memory.room(home(2, 2));
            assert_eq!(other.try_grow(8 * STEP), Ok(()), "of another, too");
        }
    }

    #[tokio::test]
    async fn a_message_that_never_fits_takes_the_part_of_its_account() {
        let memory = memory(64, 1);
        let mut room = memory.room(home(1, 1));
        assert_eq!(room.try_grow(1_000 * STEP), Err(NoRoom));
        assert_eq!(room.grow(1_000 * STEP, Duration::ZERO).await, Ok(()));
        assert_eq!(memory.taken_bytes(), 16 * STEP);
    }

    #[test]
    fn many_that_are_small_share_steps() {
        let memory = memory(64, 1);
        let mut room = memory.room(home(1, 1));
        for _ in 0..1_000 {
            assert_eq!(room.try_grow(STEP / 100), Ok(()));
        }
        assert_eq!(memory.taken_bytes(), 10 * STEP);
    }

    #[test]
    fn what_is_dropped_is_given_back_and_the_most_is_kept() {
        let memory = memory(64, 1);
        let rooms = flood(&memory, home(1, 1));
        assert_eq!((memory.taken_bytes(), memory.most_bytes()), (16 * STEP, 16 * STEP));
        drop(rooms);
        assert_eq!((memory.taken_bytes(), memory.most_bytes()), (0, 16 * STEP));
        assert!(memory.taken().by.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_goes_on_or_is_told_to_come_again() {
        let memory = memory(64, 1);
        let mut rooms = flood(&memory, home(1, 1));
        let mut waiting = memory.room(home(1, 1));
        assert_eq!(waiting.grow(1, Duration::from_secs(5)).await, Err(NoRoom));
        let mut growing = std::pin::pin!(waiting.grow(2 * STEP, Duration::from_secs(5)));
        assert!(timeout_at(Instant::now(), growing.as_mut()).await.is_err());
        rooms.pop();
        assert!(timeout_at(Instant::now(), growing.as_mut()).await.is_err(), "one is not enough");
        rooms.pop();
        assert_eq!(growing.await, Ok(()));
    }
}
