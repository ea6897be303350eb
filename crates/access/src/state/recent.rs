//! Short lists of what happened lately: bounded, without duplicates, and small in memory.

use std::time::Duration;

use hikyaku_types::Timestamp;

/// A moment to the second, in four bytes: seconds since 1970 until 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Second(u32);

impl Second {
    pub(crate) fn of(moment: Timestamp) -> Self {
        Self(u32::try_from(moment.as_secs().max(0)).unwrap_or(u32::MAX))
    }

    /// Is it at most `span` ago? What lies ahead is: another node's clock is faster.
    pub(crate) fn within(self, span: Duration, now: Timestamp) -> bool {
        let age = i64::from(Self::of(now).0) - i64::from(self.0);
        age < i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Something that happened, and when last.
pub(crate) trait Happening: Copy {
    /// Are these two the same thing, at different times?
    fn same(&self, other: &Self) -> bool;
    /// When it happened last.
    fn last(&self) -> Second;
    /// Takes over what a later report of the same thing says.
    fn merge(&mut self, other: &Self);
}

/// A list of at most `most` different happenings; the ones that happened last stay.
///
/// There are millions, most of them empty or with one entry or two, and their entries come seconds
/// apart: so each is a slice that is as long as it must be, and is moved when it grows.
#[derive(Debug, Clone)]
pub(crate) struct Recent<T>(Box<[T]>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<T: Happening> Recent<T> {
    /// Notes `item`; gives whether it was not in the list.
    pub(crate) fn note(&mut self, item: T, most: usize) -> bool {
        if let Some(found) = self.0.iter_mut().find(|found| found.same(&item)) {
            found.merge(&item);
            return false;
        }
        if self.0.len() >= most {
            let Some(oldest) = (0..self.0.len()).min_by_key(|&at| self.0[at].last()) else { return true };
            if self.0[oldest].last() <= item.last() {
                self.0[oldest] = item;
            }
            return true;
        }
        self.change(|items| {
            items.reserve_exact(1);
            items.push(item);
        });
        true
    }

    /// Those that happened within `span`.
    pub(crate) fn within(&self, span: Duration, now: Timestamp) -> impl Iterator<Item = &T> {
        self.0.iter().filter(move |item| item.last().within(span, now))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// Takes out what `gone` says.
    pub(crate) fn remove(&mut self, gone: impl Fn(&T) -> bool) {
        if self.0.iter().any(&gone) {
            self.change(|items| items.retain(|item| !gone(item)));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<T>)) {
        let mut items = std::mem::take(&mut self.0).into_vec();
        change(&mut items);
        self.0 = items.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Happening for (char, Second) {
        fn same(&self, other: &Self) -> bool {
            self.0 == other.0
        }
        fn last(&self) -> Second {
            self.1
        }
        fn merge(&mut self, other: &Self) {
            self.1 = self.1.max(other.1);
        }
    }

    fn list(items: &[(char, u32)], most: usize) -> String {
        let mut recent = Recent::default();
        for &(letter, at) in items {
            recent.note((letter, Second(at)), most);
        }
        let mut letters: Vec<char> = recent.iter().map(|item| item.0).collect();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    #[test]
    fn the_latest_stay_in_any_order() {
        assert_eq!(list(&[('a', 1), ('b', 2), ('a', 3), ('c', 4)], 2), "ac");
        assert_eq!(list(&[('c', 4), ('a', 3), ('b', 2), ('a', 1)], 2), "ac");
        assert_eq!(list(&[], 2), "");
    }

    #[test]
    fn what_lies_ahead_is_recent() {
        let now = Timestamp::from_secs(1000);
        let hour = Duration::from_secs(3600);
        assert!(Second::of(Timestamp::from_secs(1002)).within(Duration::from_secs(1), now));
        assert!(Second::of(Timestamp::from_secs(999)).within(Duration::from_secs(2), now));
        assert!(!Second::of(Timestamp::from_secs(998)).within(Duration::from_secs(2), now));
        assert!(Second::of(Timestamp::from_secs(-5)).within(hour, now));
    }
}
