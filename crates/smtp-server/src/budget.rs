//! Room for content in memory, shared by all sessions.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given out in steps of this many bytes.
const STEP: usize = 64 << 10;

/// Memory for content that is coming in.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

/// Room that one session has. Dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) struct Room {
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Room for so many bytes altogether; at least for one content of `largest` bytes, or
    /// nobody could ever send one.
    pub fn new(bytes: usize, largest: usize) -> Self {
        let steps = bytes.max(2 * largest).div_ceil(STEP);
        Self(Arc::new(Semaphore::new(steps.min(Semaphore::MAX_PERMITS))))
    }
}

impl Room {
    /// Waits until there is room for `bytes` altogether.
    pub(crate) async fn grow(&mut self, budget: &Budget, bytes: usize) {
        let has = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needs = bytes.div_ceil(STEP);
        let Some(more) = needs.checked_sub(has).filter(|more| *more > 0) else { return };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let Ok(more) = Arc::clone(&budget.0).acquire_many_owned(more).await else { return };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_waits_for_room() {
        let budget = Budget::new(4 * STEP, STEP);
        let (mut first, mut second) = (Room::default(), Room::default());
        first.grow(&budget, 3 * STEP).await;
        first.grow(&budget, STEP).await;
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, second.grow(&budget, 2 * STEP)).await.is_err()
        );
        drop(first);
        second.grow(&budget, 2 * STEP).await;
        assert_eq!(budget.0.available_permits(), 2);
    }
}
