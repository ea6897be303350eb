//! A clock that stands still until the test moves it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hikyaku_types::{Clock, Timestamp};

/// Shows the time it was set to. Share it with the code under test in an `Arc`.
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { millis: AtomicI64::new(now.as_millis()) }
    }

    /// Goes forward by `step`, and shows the new time.
    pub fn advance(&self, step: Duration) -> Timestamp {
        let now = self.now().after(step);
        self.set(now);
        now
    }

    /// Jumps to `now`, which may lie in the past: clocks are set back.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }
}

/// A Tuesday in November 2026, with milliseconds that show when they are cut off.
impl Default for ManualClock {
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_795_491_267_045))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_by_hand() {
        let clock = ManualClock::at(Timestamp::from_secs(10));
        assert_eq!(clock.now(), Timestamp::from_secs(10));
        assert_eq!(clock.advance(Duration::from_millis(1500)), Timestamp::from_millis(11_500));
        assert_eq!(clock.now(), Timestamp::from_millis(11_500));
        clock.set(Timestamp::from_secs(3));
        assert_eq!(clock.now(), Timestamp::from_secs(3));
    }
}
