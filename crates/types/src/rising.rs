//! Rising ids: milliseconds, node, counter. A table led by them grows at its end.
//!
//! Invariants:
//! - two calls never give the same number, on one node or on several;
//! - one node's numbers rise, also when the clock is set back: then the last
//!   millisecond is kept and counted on;
//! - after a restart they rise above what was stored, if [`RisingIds::start_above`] is told
//!   the newest stored id (the store does this when it opens a shard).

use std::sync::atomic::{AtomicI64, Ordering};

use crate::{NodeId, Timestamp};

/// Bits below the milliseconds: 10 for the node, 12 for the counter.
const NODE_SHIFT: u32 = 12;
const TIME_SHIFT: u32 = 22;

/// Maker of rising ids for one node.
#[derive(Debug)]
pub struct RisingIds {
    node: i64,
    /// Milliseconds and counter of the last id, without the node: `ms << 12 | counter`.
    last: AtomicI64,
}

impl RisingIds {
    /// A maker whose ids carry `node`.
    pub fn new(node: NodeId) -> Self {
        Self { node: i64::from(node.number()), last: AtomicI64::new(0) }
    }

    /// From now on every id is above `stored`, whatever the clock says.
    pub fn start_above(&self, stored: i64) {
        self.last.fetch_max((stored >> TIME_SHIFT) << NODE_SHIFT | 0xfff, Ordering::Relaxed);
    }

    /// The next number, for [`crate::EmailId::from_i64`] and its sisters: always positive.
    ///
    /// More than 4,096 in one millisecond borrow from the next one.
    pub fn next(&self, now: Timestamp) -> i64 {
        let floor = now.as_millis().max(1) << NODE_SHIFT;
        let previous = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(floor.max(last + 1)))
            .expect("the closure always answers");
        let stamp = floor.max(previous + 1);
        (stamp >> NODE_SHIFT) << TIME_SHIFT | self.node << NODE_SHIFT | (stamp & 0xfff)
    }

    /// When the id was made, to the millisecond (later than true after a clock set back).
    pub fn time_of(id: i64) -> Timestamp {
        Timestamp::from_millis(id >> TIME_SHIFT)
    }

    /// The smallest id that can be made at `time`: ids made earlier are below it.
    pub fn floor_at(time: Timestamp) -> i64 {
        time.as_millis().max(0) << TIME_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maker(node: u16) -> RisingIds {
        RisingIds::new(NodeId::new(node).unwrap())
    }

    #[test]
    fn ids_rise_when_the_clock_does_not() {
        let ids = maker(3);
        let mut last = 0;
        for millis in [1_000, 1_000, 5_000, 4_000, 1, -7, 5_000, 5_001] {
            for _ in 0..5_000 {
                let id = ids.next(Timestamp::from_millis(millis));
                assert!(id > last, "{id} after {last} at {millis}");
                last = id;
            }
        }
    }

    #[test]
    fn nodes_never_collide() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (a, b) = (maker(0), maker(1023));
        let all: std::collections::HashSet<i64> =
            (0..10_000).flat_map(|_| [a.next(now), b.next(now)]).collect();
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn a_restart_with_an_earlier_clock_goes_on_above() {
        let before = maker(0);
        let stored = before.next(Timestamp::from_millis(2_000_000));
        let after = maker(0);
        after.start_above(stored);
        assert!(after.next(Timestamp::from_millis(1_000)) > stored);
    }

    #[test]
    fn time_can_be_read_back() {
        let now = Timestamp::from_millis(1_800_000_000_123);
        let id = maker(9).next(now);
        assert_eq!(RisingIds::time_of(id), now);
        assert!(
            RisingIds::floor_at(now) <= id
                && id < RisingIds::floor_at(Timestamp::from_millis(1_800_000_000_124))
        );
    }

    #[test]
    fn many_threads_never_collide() {
        let ids = maker(1);
        let mut all: Vec<i64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..10_000).map(|_| ids.next(Timestamp::from_millis(50))).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 40_000);
    }
}
