//! Who guesses addresses: recipients refused to each source, in windows of ten minutes.
//!
//! A mailing list with dead addresses is refused often, too, and its good addresses should
//! get their mail. So good recipients are never refused for this; a source that has been
//! refused too often only loses its connection with each further bad one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hikyaku_types::{Network, Timestamp};

const WINDOW: Duration = Duration::from_secs(10 * 60);
/// Sources remembered at once. Beyond them new ones are not counted: an attack from so many
/// places is not found by counting places.
const SOURCES: usize = 100_000;

/// The counts.
#[derive(Debug)]
pub(crate) struct Refusals {
    most: u32,
    by_source: Mutex<HashMap<Network, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Timestamp,
    count: u32,
}

impl Refusals {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, by_source: Mutex::default() }
    }

    /// Counts one refused recipient. Are they too many?
    pub(crate) fn count(&self, source: Network, now: Timestamp) -> bool {
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if by_source.len() >= SOURCES && !by_source.contains_key(&source) {
            by_source.retain(|_, window| !window.is_over(now));
            if by_source.len() >= SOURCES {
                return false;
            }
        }
        let window = by_source.entry(source).or_insert(Window { began: now, count: 0 });
        if window.is_over(now) {
            *window = Window { began: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        window.count > self.most
    }
}

impl Window {
    fn is_over(&self, now: Timestamp) -> bool {
        self.began.after(WINDOW) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_counts_for_itself_and_time_heals() {
        let refusals = Refusals::new(2);
        let [first, second]: [Network; 2] = ["192.0.2.1", "2001:db8::/64"].map(|text| text.parse().unwrap());
        let at = |seconds: i64| Timestamp::from_secs(1_795_491_267 + seconds);
        for (source, seconds, is_too_many) in [
            (first, 0, false),
            (first, 1, false),
            (first, 2, true),
            (second, 2, false),
            (first, 599, true),
            (first, 600, false),
            (first, 601, false),
            (first, 602, true),
        ] {
            assert_eq!(refusals.count(source, at(seconds)), is_too_many, "{source} {seconds}");
        }
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let refusals = Refusals::new(0);
        let now = Timestamp::from_secs(1_795_491_267);
        let source = |number: u32| {
            let [a, b, c, d] = number.to_be_bytes();
            format!("{}.{b}.{c}.{d}", a + 10).parse::<Network>().unwrap()
        };
        for number in 0..u32::try_from(SOURCES).unwrap() {
            assert!(refusals.count(source(number), now));
        }
        assert!(!refusals.count(source(1 << 20), now), "full");
        assert!(refusals.count(source(7), now), "known ones still count");
        assert!(refusals.count(source(1 << 20), now.after(WINDOW)), "old ones make room");
    }
}
