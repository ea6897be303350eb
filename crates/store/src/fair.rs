//! The queue in front of an engine: bounded, and fair over tenants.
//!
//! Work waits in one line per tenant; workers take from the lines in turn, so that a tenant
//! that sends a thousand at once delays another by one job, not by a thousand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A bounded queue of `T`, fair over turns.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    lines: Mutex<Lines<T>>,
    /// Signalled when work arrives or the queue is closed.
    arrived: Condvar,
    /// Most that may wait altogether, and for one tenant.
    most: usize,
    most_each: usize,
}

#[derive(Debug)]
struct Lines<T> {
    /// Lines that are not empty.
    waiting: HashMap<i64, VecDeque<(usize, T)>>,
    /// Whose turn it is, in order: each key of `waiting` once.
    turns: VecDeque<i64>,
    count: usize,
    closed: bool,
}

/// Why nothing more is taken in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

impl<T> FairQueue<T> {
    pub(crate) fn new(most: usize, most_each: usize) -> Self {
        let lines = Lines { waiting: HashMap::new(), turns: VecDeque::new(), count: 0, closed: false };
        Self { lines: Mutex::new(lines), arrived: Condvar::new(), most, most_each }
    }

    fn lock(&self) -> MutexGuard<'_, Lines<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work on a tenant's turn; gives it back if the bound is reached.
    pub(crate) fn push(&self, turn: i64, weight: usize, work: T) -> Result<(), (Refused, T)> {
        let mut lines = self.lock();
        if lines.closed {
            return Err((Refused::Closed, work));
        }
        if lines.count >= self.most {
            return Err((Refused::Full, work));
        }
        let line = lines.waiting.entry(turn).or_default();
        if line.len() >= self.most_each {
            return Err((Refused::Full, work));
        }
        line.push_back((weight, work));
        if line.len() == 1 {
            lines.turns.push_back(turn);
        }
        lines.count += 1;
        drop(lines);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for work, then takes what waits at this moment: at most `most` pieces, or until
    /// their weights pass `weight`. Empty only when the queue is closed and drained.
    pub(crate) fn take(&self, most: usize, weight: usize) -> Vec<T> {
        let mut lines = self.lock();
        while lines.count == 0 && !lines.closed {
            lines = self.arrived.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        let mut taken = Vec::new();
        let mut weighs = 0;
        while taken.len() < most && weighs < weight {
            let Some((weight, work)) = lines.next() else { break };
            weighs += weight;
            taken.push(work);
        }
        taken
    }

    /// Takes in nothing more; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// How many pieces wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().count
    }
}

impl<T> Lines<T> {
    fn next(&mut self) -> Option<(usize, T)> {
        let turn = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&turn)?;
        let work = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(&turn);
        } else {
            self.turns.push_back(turn);
        }
        self.count -= 1;
        Some(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_take_turns() {
        let queue = FairQueue::new(100, 100);
        for n in 0..5 {
            queue.push(1, 1, format!("a{n}")).unwrap();
        }
        queue.push(2, 1, "b0".into()).unwrap();
        queue.push(3, 1, "c0".into()).unwrap();
        assert_eq!(queue.take(4, 100), ["a0", "b0", "c0", "a1"]);
        queue.push(2, 1, "b1".into()).unwrap();
        assert_eq!(queue.take(100, 100), ["a2", "b1", "a3", "a4"]);
    }

    #[test]
    fn a_batch_ends_at_its_weight() {
        let queue = FairQueue::new(100, 100);
        for n in 0..4 {
            queue.push(n, 3, n).unwrap();
        }
        assert_eq!(queue.take(100, 5), [0, 1]);
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn bounds_hold_and_spare_the_others() {
        let queue = FairQueue::new(4, 2);
        queue.push(1, 1, 0).unwrap();
        queue.push(1, 1, 1).unwrap();
        assert_eq!(queue.push(1, 1, 2), Err((Refused::Full, 2)));
        queue.push(2, 1, 3).unwrap();
        queue.push(3, 1, 4).unwrap();
        assert_eq!(queue.push(4, 1, 5), Err((Refused::Full, 5)));
    }

    #[test]
    fn closing_drains() {
        let queue = FairQueue::new(4, 4);
        queue.push(1, 1, "last").unwrap();
        queue.close();
        assert_eq!(queue.push(1, 1, "late"), Err((Refused::Closed, "late")));
        assert_eq!(queue.take(10, 10), ["last"]);
        assert!(queue.take(10, 10).is_empty());
    }

    #[test]
    fn a_worker_waits_for_work() {
        let queue = FairQueue::new(4, 4);
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| queue.take(10, 10));
            queue.push(1, 1, 42).unwrap();
            assert_eq!(worker.join().unwrap(), [42]);
        });
    }
}
