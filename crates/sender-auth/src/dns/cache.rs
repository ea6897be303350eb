//! Answers that are still good.
//!
//! The resolver library keeps no negative answers while it validates, and most of what DMARC
//! asks for is not there. This cache keeps both kinds, in front of the library.
//! Invariants: bounded in entries and in bytes; nothing temporary is kept.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Data, DnsError, Kind, Records};
use crate::Name;

/// Larger answers are not kept, so that 16,384 of them have at most 32 MiB.
const MAX_BYTES: usize = 2048;

/// However long a zone says that an answer holds: not longer than this.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Two generations: what is used moves to the young one, and when that is full the old one
/// goes as a whole. No list of ages is needed, and nothing is searched.
#[derive(Debug)]
pub(super) struct Cache {
    /// The most entries of one generation.
    generation: usize,
    young: HashMap<(Name, Kind), Kept>,
    old: HashMap<(Name, Kind), Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    answer: Result<Records, DnsError>,
    until: Instant,
}

impl Cache {
    /// An empty one of at most so many entries.
    pub(super) fn new(entries: usize) -> Self {
        Self { generation: entries.div_ceil(2), young: HashMap::new(), old: HashMap::new() }
    }

    /// The answer, if it is kept and still good.
    pub(super) fn get(&mut self, name: &Name, kind: Kind, now: Instant) -> Option<Result<Records, DnsError>> {
        let key = (name.clone(), kind);
        if let Some(kept) = self.young.get(&key) {
            return (now < kept.until).then(|| kept.answer.clone());
        }
        let kept = self.old.remove(&key).filter(|kept| now < kept.until)?;
        let answer = kept.answer.clone();
        self.keep(key, kept);
        Some(answer)
    }

    /// Keeps an answer for `age`.
    pub(super) fn put(
        &mut self,
        name: &Name,
        kind: Kind,
        answer: &Result<Records, DnsError>,
        now: Instant,
        age: Duration,
    ) {
        let worth_keeping = match answer {
            Ok(records) => records.iter().map(bytes_of).sum::<usize>() <= MAX_BYTES,
            Err(error) => error.is_void(),
        };
        if worth_keeping && !age.is_zero() {
            let kept = Kept { answer: answer.clone(), until: now + age.min(MAX_AGE) };
            self.keep((name.clone(), kind), kept);
        }
    }

    fn keep(&mut self, key: (Name, Kind), kept: Kept) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, kept);
    }
}

fn bytes_of(data: &Data) -> usize {
    let more = match data {
        Data::Txt(text) => text.len(),
        Data::Ptr(name) => name.as_str().len(),
        Data::Mx { exchange, .. } => exchange.as_ref().map_or(0, |name| name.as_str().len()),
        Data::Address(_) => 0,
    };
    size_of::<Data>() + more
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: usize = 100;
    const NEVER: Result<Records, DnsError> = Err(DnsError::NoName);

    fn name(number: usize) -> Name {
        Name::parse(&format!("n{number}.example")).unwrap()
    }

    #[test]
    fn answers_age() {
        let (mut cache, start) = (Cache::new(2 * GENERATION), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        cache.put(&name(1), Kind::A, &NEVER, start, Duration::from_secs(60));
        assert_eq!(cache.get(&name(1), Kind::A, later(59)), Some(NEVER));
        assert_eq!(cache.get(&name(1), Kind::A, later(60)), None);
        assert_eq!(cache.get(&name(1), Kind::Mx, start), None);
        cache.put(&name(2), Kind::A, &NEVER, start, Duration::from_secs(86_400));
        assert_eq!(cache.get(&name(2), Kind::A, later(3600)), None);
    }

    #[test]
    fn what_is_temporary_or_huge_is_not_kept() {
        let (mut cache, now) = (Cache::new(2 * GENERATION), Instant::now());
        let huge: Records = [Data::Txt(vec![b'a'; 4000].into())].into();
        for answer in [Err(DnsError::Timeout), Err(DnsError::ServFail), Err(DnsError::Spent), Ok(huge)] {
            cache.put(&name(1), Kind::Txt, &answer, now, Duration::from_secs(60));
            assert_eq!(cache.get(&name(1), Kind::Txt, now), None);
        }
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let (mut cache, now) = (Cache::new(2 * GENERATION), Instant::now());
        for number in 0..5 * GENERATION {
            cache.put(&name(number), Kind::A, &NEVER, now, Duration::from_secs(60));
            assert_eq!(cache.get(&name(0), Kind::A, now), Some(NEVER), "{number}");
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        assert_eq!(cache.get(&name(GENERATION), Kind::A, now), None);
    }
}
