//! A map with a bound: what was written last stays, the rest goes half by half.
//!
//! A large map is made of parts, by the hash of the key, so that whatever goes over all of it can be
//! done part by part, and sign-ins come between. In each part there are two ordinary maps, young
//! and old. Whatever is written lands in the young one; when that is full it becomes the old one,
//! and the old one is forgotten at once. So the map never holds more than its bound, at least
//! half of a part is what was written last to it, and no entry pays for a list of who was used when.
//! Nobody outside knows the hash, so nobody can fill one part alone.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// About so many entries make a part: two maps, each as full as one of 2048 buckets gets before it
/// grows. A few entries more, and half of the memory of all parts would be empty.
const PART: usize = 2 * 2048 * 7 / 8;

/// The map.
#[derive(Debug, Clone)]
pub(crate) struct Generations<K, V> {
    parts: Vec<Part<K, V>>,
    hasher: RandomState,
}

/// Those entries whose keys have hashes that belong together.
#[derive(Debug, Clone)]
struct Part<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq + Clone, V> Generations<K, V> {
    /// A map of at most `most` entries.
    pub(crate) fn new(most: usize) -> Self {
        let parts = most.div_ceil(PART).max(1);
        let part = || Part { young: HashMap::new(), old: HashMap::new(), half: (most / parts / 2).max(1) };
        Self { parts: std::iter::repeat_with(part).take(parts).collect(), hasher: RandomState::new() }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let part = &self.parts[self.part_of(key)];
        part.young.get(key).or_else(|| part.old.get(key))
    }

    /// The value to be changed, made if it is missing.
    pub(crate) fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = self.part_of(&key);
        let part = &mut self.parts[at];
        if !part.young.contains_key(&key) {
            let value = part.old.remove(&key).unwrap_or_default();
            part.make_room();
            part.young.insert(key.clone(), value);
        }
        part.young.entry(key).or_default()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        let at = self.part_of(&key);
        let part = &mut self.parts[at];
        part.old.remove(&key);
        if !part.young.contains_key(&key) {
            part.make_room();
        }
        part.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.part_of(key);
        let part = &mut self.parts[at];
        part.young.remove(key).or_else(|| part.old.remove(key))
    }

    /// Keeps what `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.parts.iter_mut().for_each(|part| part.retain(&mut keep));
    }

    /// The same in one part, the first of which is 0. Is there one after it?
    pub(crate) fn retain_in(&mut self, part: usize, mut keep: impl FnMut(&K, &V) -> bool) -> bool {
        if let Some(part) = self.parts.get_mut(part) {
            part.retain(&mut keep);
        }
        part + 1 < self.parts.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.young.iter().chain(&part.old))
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.young.len() + part.old.len()).sum()
    }

    fn part_of(&self, key: &K) -> usize {
        match self.parts.len() {
            1 => 0,
            parts => usize::try_from(self.hasher.hash_one(key) % parts as u64).unwrap_or(0),
        }
    }
}

impl<K: Hash + Eq, V> Part<K, V> {
    fn retain(&mut self, keep: &mut impl FnMut(&K, &V) -> bool) {
        self.young.retain(|key, value| keep(key, value));
        self.old.retain(|key, value| keep(key, value));
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_used_stays() {
        let mut map = Generations::new(100);
        for number in 0..10_000u32 {
            *map.entry(number) += 1u32;
            *map.entry(0) += 1;
        }
        assert_eq!(map.get(&0), Some(&10_001));
        assert_eq!(map.get(&9_999), Some(&1));
        assert_eq!(map.get(&5_000), None);
        assert_eq!(map.remove(&0), Some(10_001));
        assert_eq!(map.get(&0), None);
    }

    #[test]
    fn a_large_map_is_gone_over_part_by_part() {
        let mut map = Generations::new(1 << 16);
        (0..20_000u32).for_each(|number| map.insert(number, ()));
        assert_eq!(map.len(), 20_000, "less than a quarter of what fits, so no part is full");
        let (mut part, mut seen, mut most) = (0, 0, 0);
        loop {
            let mut here = 0;
            let is_more = map.retain_in(part, |number, ()| {
                here += 1;
                number % 2 == 0
            });
            (seen, most) = (seen + here, most.max(here));
            if !is_more {
                break;
            }
            part += 1;
        }
        assert_eq!((part + 1, seen, map.len()), (19, 20_000, 10_000));
        assert!(most <= PART, "a step looks at {most}");
        assert_eq!((map.get(&2), map.get(&3)), (Some(&()), None));
        (0..1_000_000u32).for_each(|number| map.insert(number, ()));
        assert!(map.len() <= 1 << 16 && map.get(&999_999).is_some());
    }

    #[test]
    fn a_part_is_full_when_its_buckets_are() {
        for most in [1 << 15, 1 << 18, 1 << 20, 3 << 20] {
            let mut map = Generations::new(most);
            let part = &mut map.parts[0];
            part.young.extend((0..part.half).map(|number| (number, ())));
            assert!(part.half * 9 / 8 >= part.young.capacity(), "{most}: {}", part.young.capacity());
        }
    }

    proptest! {
        #[test]
        fn never_more_than_its_bound_and_the_latest_half_is_there(
            keys in prop::collection::vec(0u8..40, 0..200), most in 2usize..20,
        ) {
            let mut map = Generations::new(most);
            for (at, &key) in keys.iter().enumerate() {
                map.insert(key, at);
                prop_assert!(map.len() <= most);
                let mut latest: Vec<u8> = Vec::new();
                for &key in keys[..=at].iter().rev() {
                    if !latest.contains(&key) {
                        latest.push(key);
                    }
                }
                prop_assert!(latest.iter().take(most / 2).all(|key| map.get(key).is_some()));
            }
        }
    }
}
