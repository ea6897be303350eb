//! Room for content in memory, shared by all sessions.
//!
//! Sessions that each hold a part and wait for more would wait for each other for ever. So
//! there is one lane that is as wide as the largest content: a session that finds no room
//! waits for room or for the lane, whichever comes first, and whoever has the lane needs no
//! more room and gives back what it held. Somebody can always go on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given out in steps of this many bytes.
const STEP: usize = 64 << 10;

/// Memory for content that is coming in.
#[derive(Debug, Clone)]
pub struct Budget {
    steps: Arc<Semaphore>,
    lane: Arc<Semaphore>,
}

/// What one session has. Dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) enum Room {
    #[default]
    None,
    Steps(OwnedSemaphorePermit),
    /// Enough for any content.
    Lane(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
}

impl Budget {
    /// Room for so many bytes altogether, of which the lane takes `largest`, the size of the
    /// largest content. At least two of those fit in any case.
    pub fn new(bytes: usize, largest: usize) -> Self {
        let steps = bytes.saturating_sub(largest).max(largest).div_ceil(STEP);
        Self {
            steps: Arc::new(Semaphore::new(steps.min(Semaphore::MAX_PERMITS))),
            lane: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Room {
    /// Waits until there is room for `bytes` altogether.
    pub(crate) async fn grow(&mut self, budget: &Budget, bytes: usize) {
        let has = match self {
            Self::None => 0,
            Self::Steps(permit) => permit.num_permits(),
            Self::Lane(_) => return,
        };
        let more = bytes.div_ceil(STEP).saturating_sub(has);
        if more == 0 {
            return;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // Neither semaphore is ever closed.
        tokio::select! {
            biased;
            Ok(more) = Arc::clone(&budget.steps).acquire_many_owned(more) => match self {
                Self::Steps(permit) => permit.merge(more),
                _ => *self = Self::Steps(more),
            },
            Ok(lane) = Arc::clone(&budget.lane).acquire_owned() => *self = Self::Lane(lane),
            else => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn grows(room: &mut Room, budget: &Budget, steps: usize) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, room.grow(budget, steps * STEP)).await.is_ok()
    }

    #[tokio::test]
    async fn a_session_waits_for_room() {
        let budget = Budget::new(5 * STEP, STEP);
        let [mut first, mut second, mut third] = [Room::None, Room::None, Room::None];
        assert!(grows(&mut first, &budget, 3).await);
        assert!(grows(&mut first, &budget, 4).await);
        assert!(grows(&mut second, &budget, 1).await, "the lane is free");
        assert!(grows(&mut second, &budget, 1_000).await, "and wide enough for all");
        assert!(!grows(&mut third, &budget, 1).await);
        drop(first);
        assert!(grows(&mut third, &budget, 2).await);
        assert_eq!(budget.steps.available_permits(), 2);
    }

    #[tokio::test]
    async fn sessions_that_hold_everything_do_not_wait_for_each_other() {
        let budget = Budget::new(5 * STEP, STEP);
        let [mut first, mut second, mut third] = [Room::None, Room::None, Room::None];
        assert!(grows(&mut first, &budget, 2).await && grows(&mut second, &budget, 2).await);
        assert!(grows(&mut first, &budget, 3).await, "it gets the lane");
        assert!(grows(&mut second, &budget, 4).await, "and gives back what it had");
        assert!(!grows(&mut third, &budget, 1).await);
        drop(first);
        assert!(grows(&mut third, &budget, 1).await);
    }
}
