//! Sorted sets of UIDs or sequence numbers, kept as runs: `1:3,5`.
//!
//! Standards: RFC 4315 section 3 (`uid-set`), RFC 4731 section 3.1 (`ALL` of ESEARCH).
//! Invariants:
//! - runs are ascending, do not overlap and do not touch: equal sets are equal values;
//! - there is no `*`: what a client may write is a [`crate::SequenceSet`].

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

use crate::{Number, SeqNum, Uid};

/// An ascending set of numbers of one kind.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NumberSet<N> {
    runs: Vec<(NonZeroU32, NonZeroU32)>,
    kind: PhantomData<N>,
}

/// `uid-set`, RFC 4315 section 3.
pub type UidSet = NumberSet<Uid>;
/// A set of message sequence numbers.
pub type SeqSet = NumberSet<SeqNum>;

impl<N> Default for NumberSet<N> {
    fn default() -> Self {
        Self { runs: Vec::new(), kind: PhantomData }
    }
}

impl<N: Number> NumberSet<N> {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of these ranges, in any order and overlapping as they like.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (N, N)>) -> Self {
        let mut sorted: Vec<_> =
            ranges.into_iter().map(|(a, b)| (a.min(b).to_nonzero(), a.max(b).to_nonzero())).collect();
        sorted.sort_unstable();
        let mut set = Self::new();
        for (first, last) in sorted {
            set.push_run(first, last);
        }
        set
    }

    /// Adds a run that starts no earlier than the last run of the set does.
    fn push_run(&mut self, first: NonZeroU32, last: NonZeroU32) {
        match self.runs.last_mut() {
            Some((_, end)) if first.get() <= end.get().saturating_add(1) => *end = last.max(*end),
            _ => self.runs.push((first, last)),
        }
    }

    /// Index of the run that holds `number`, or of the one before which it would stand.
    fn find(&self, number: NonZeroU32) -> Result<usize, usize> {
        let index = self.runs.partition_point(|(_, last)| *last < number);
        match self.runs.get(index) {
            Some((first, _)) if *first <= number => Ok(index),
            _ => Err(index),
        }
    }

    /// Index of the run that holds `number`.
    pub(crate) fn run_of(&self, number: N) -> Option<usize> {
        self.find(number.to_nonzero()).ok()
    }

    /// First and last number of a run.
    pub(crate) fn run(&self, index: usize) -> Option<(N, N)> {
        self.runs.get(index).map(|(first, last)| (N::from_nonzero(*first), N::from_nonzero(*last)))
    }

    /// Adds `number`; says whether it was new.
    pub fn insert(&mut self, number: N) -> bool {
        let number = number.to_nonzero();
        let Err(index) = self.find(number) else { return false };
        let joins_previous = index > 0
            && self
                .runs
                .get(index - 1)
                .is_some_and(|(_, last)| last.get().checked_add(1) == Some(number.get()));
        let joins_next =
            self.runs.get(index).is_some_and(|(first, _)| number.get().checked_add(1) == Some(first.get()));
        match (joins_previous, joins_next) {
            (true, true) => {
                let (_, last) = self.runs.remove(index);
                self.runs[index - 1].1 = last;
            }
            (true, false) => self.runs[index - 1].1 = number,
            (false, true) => self.runs[index].0 = number,
            (false, false) => self.runs.insert(index, (number, number)),
        }
        true
    }

    /// Is `number` in the set?
    pub fn contains(&self, number: N) -> bool {
        self.find(number.to_nonzero()).is_ok()
    }

    /// Has the set no numbers?
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many numbers the set has.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|(first, last)| u64::from(last.get() - first.get()) + 1).sum()
    }

    /// The smallest number.
    pub fn first(&self) -> Option<N> {
        self.runs.first().map(|(first, _)| N::from_nonzero(*first))
    }

    /// The largest number.
    pub fn last(&self) -> Option<N> {
        self.runs.last().map(|(_, last)| N::from_nonzero(*last))
    }

    /// The runs, ascending, both ends included.
    pub fn ranges(&self) -> impl Iterator<Item = (N, N)> + '_ {
        self.runs.iter().map(|(first, last)| (N::from_nonzero(*first), N::from_nonzero(*last)))
    }

    /// Every number, ascending. A client can name four thousand million of them:
    /// intersect with what exists first.
    pub fn iter(&self) -> impl Iterator<Item = N> + '_ {
        self.runs
            .iter()
            .flat_map(|(first, last)| first.get()..=last.get())
            .filter_map(NonZeroU32::new)
            .map(N::from_nonzero)
    }

    /// What is in this set and not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        let mut left_over = Self::new();
        let mut holes = other.runs.iter().peekable();
        for (first, last) in &self.runs {
            let mut from = Some(*first);
            while let (Some(start), Some((hole_first, hole_last))) = (from, holes.peek()) {
                if hole_first > last {
                    break;
                }
                if let Some(before) = NonZeroU32::new(hole_first.get() - 1).filter(|before| *before >= start)
                {
                    left_over.push_run(start, before);
                }
                from = hole_last.checked_add(1).map(|next| next.max(start)).filter(|next| next <= last);
                if hole_last > last {
                    // It may reach into the next run.
                    break;
                }
                holes.next();
            }
            if let Some(start) = from {
                left_over.push_run(start, *last);
            }
        }
        left_over
    }

    /// What is in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::new();
        let (mut left, mut right) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        while let (Some((a, b)), Some((c, d))) = (left.peek(), right.peek()) {
            if a.max(c) <= b.min(d) {
                both.push_run(*a.max(c), *b.min(d));
            }
            if b < d {
                left.next();
            } else {
                right.next();
            }
        }
        both
    }
}

/// Makes the set of these numbers, in any order; ascending input costs least.
impl<N: Number> FromIterator<N> for NumberSet<N> {
    fn from_iter<I: IntoIterator<Item = N>>(numbers: I) -> Self {
        let mut set = Self::new();
        for number in numbers {
            let nonzero = number.to_nonzero();
            match set.runs.last() {
                Some((_, last)) if nonzero <= *last => {
                    set.insert(number);
                }
                _ => set.push_run(nonzero, nonzero),
            }
        }
        set
    }
}

/// `1:3,5`. The empty set prints as nothing, which is not in the grammar: printers leave
/// the whole item out.
impl<N: Number> fmt::Display for NumberSet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.runs.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{first}")?;
            if last > first {
                write!(f, ":{last}")?;
            }
        }
        Ok(())
    }
}

impl<N: Number> fmt::Debug for NumberSet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(numbers: &[u32]) -> UidSet {
        numbers.iter().filter_map(|number| Uid::new(*number)).collect()
    }

    #[test]
    fn prints_runs() {
        for (numbers, expected) in [
            (&[][..], ""),
            (&[7], "7"),
            (&[1, 2, 3, 5], "1:3,5"),
            (&[5, 3, 1, 2, 2], "1:3,5"),
            (&[1, 3, 2], "1:3"),
            (&[u32::MAX, u32::MAX - 1, u32::MAX], "4294967294:4294967295"),
        ] {
            assert_eq!(set(numbers).to_string(), expected, "{numbers:?}");
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_plain_set(
            left in prop::collection::vec(1u32..60, 0..40),
            right in prop::collection::vec(1u32..60, 0..40),
        ) {
            let (a, b) = (set(&left), set(&right));
            let (plain_a, plain_b): (BTreeSet<u32>, BTreeSet<u32>) =
                (left.iter().copied().collect(), right.iter().copied().collect());
            let numbers = |set: &UidSet| set.iter().map(Uid::get).collect::<Vec<_>>();
            prop_assert_eq!(numbers(&a), plain_a.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.len(), plain_a.len() as u64);
            prop_assert_eq!(numbers(&a.intersection(&b)), plain_a.intersection(&plain_b).copied().collect::<Vec<_>>());
            prop_assert_eq!(numbers(&a.difference(&b)), plain_a.difference(&plain_b).copied().collect::<Vec<_>>());
            prop_assert_eq!(&UidSet::from_ranges(a.ranges()), &a);
            for number in 1..60 {
                prop_assert_eq!(a.contains(Uid::new(number).unwrap()), plain_a.contains(&number));
            }
            let gaps = a.runs.windows(2).all(|pair| pair[0].1.get() + 1 < pair[1].0.get());
            prop_assert!(gaps, "runs touch: {}", a);
        }
    }
}
