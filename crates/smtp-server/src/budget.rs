//! Room for content in memory, shared by all sessions.
//!
//! Sessions that each hold a part and wait for more would wait for each other for ever. So
//! there is one lane that is as wide as the largest content: a session that finds no room
//! waits for room or for the lane, whichever comes first, and whoever has the lane needs no
//! more room and gives back what it held. Somebody can always go on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pool::{Pool, Share, Sharer};

/// Room is given out in steps of this many bytes.
const STEP: usize = 64 << 10;

/// Memory for content that is coming in.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Arc<Pool>,
    lane: Arc<Semaphore>,
}

/// What one session has. Dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) enum Room {
    #[default]
    None,
    Steps(Share),
    /// Enough for any content.
    Lane(#[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
}

impl Budget {
    /// Room for so many bytes altogether, of which the lane takes `largest`, the size of the
    /// largest content. At least two of those fit in any case.
    pub(crate) fn new(bytes: usize, largest: usize) -> Self {
        let steps = bytes.saturating_sub(largest).max(largest).div_ceil(STEP);
        Self { steps: Pool::new(steps), lane: Arc::new(Semaphore::new(1)) }
    }
}

impl Room {
    /// Waits until there is room for `bytes` altogether, on the account of `sharers`. Was
    /// there none at once?
    pub(crate) async fn grow(
        &mut self,
        budget: &Budget,
        bytes: usize,
        sharers: impl FnOnce() -> Vec<Sharer>,
    ) -> bool {
        if let Self::None = self {
            *self = Self::Steps(budget.steps.share(sharers()));
        }
        let Self::Steps(share) = self else { return false };
        let more = bytes.div_ceil(STEP).saturating_sub(share.taken());
        if more == 0 || share.try_grow(more).is_ok() {
            return false;
        }
        // The lane's semaphore is never closed.
        tokio::select! {
            biased;
            () = share.grow(more) => {}
            Ok(lane) = Arc::clone(&budget.lane).acquire_owned() => *self = Self::Lane(lane),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_types::TenantId;

    async fn grows(room: &mut Room, budget: &Budget, tenant: i64, steps: usize) -> bool {
        let sharers = || vec![Sharer::Tenant(TenantId::from_i64(tenant).unwrap())];
        let growing = room.grow(budget, steps * STEP, sharers);
        tokio::time::timeout(std::time::Duration::ZERO, growing).await.is_ok()
    }

    #[tokio::test]
    async fn a_session_waits_for_room() {
        let budget = Budget::new(9 * STEP, STEP);
        let [mut first, mut second, mut third] = [Room::None, Room::None, Room::None];
        assert!(grows(&mut first, &budget, 1, 3).await);
        assert!(grows(&mut first, &budget, 1, 4).await, "half of eight");
        assert!(grows(&mut second, &budget, 1, 1).await, "the lane is free");
        assert!(grows(&mut second, &budget, 1, 1_000).await, "and wide enough for all");
        assert!(!grows(&mut third, &budget, 1, 1).await);
        drop(first);
        assert!(grows(&mut third, &budget, 1, 2).await);
    }

    #[tokio::test]
    async fn sessions_that_hold_everything_do_not_wait_for_each_other() {
        let budget = Budget::new(9 * STEP, STEP);
        let [mut first, mut second, mut third] = [Room::None, Room::None, Room::None];
        assert!(grows(&mut first, &budget, 1, 2).await && grows(&mut second, &budget, 1, 2).await);
        assert!(grows(&mut first, &budget, 1, 3).await, "it gets the lane");
        assert!(grows(&mut second, &budget, 1, 4).await, "and gives back what it had");
        assert!(!grows(&mut third, &budget, 1, 1).await);
        drop(first);
        assert!(grows(&mut third, &budget, 1, 1).await);
    }

    #[tokio::test]
    async fn a_tenant_that_waits_leaves_room_for_others() {
        let budget = Budget::new(9 * STEP, STEP);
        let mut flood: Vec<Room> = (0..6).map(|_| Room::None).collect();
        for room in &mut flood {
            grows(room, &budget, 1, 1).await;
        }
        assert!(grows(&mut Room::None, &budget, 2, 1).await);
    }
}
