//! A map with a bound: what was written last stays, the rest goes half by half.
//!
//! Two ordinary maps, young and old. Whatever is written lands in the young one; when that
//! is full it becomes the old one, and the old one is forgotten at once. So the map never
//! holds more than its bound, at least half of it is what was written last, and no entry
//! pays for a list of who was used when.

use std::collections::HashMap;
use std::hash::Hash;

/// The map.
#[derive(Debug, Clone)]
pub(crate) struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Hash + Eq + Clone, V> Generations<K, V> {
    /// A map of at most `most` entries.
    pub(crate) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (most / 2).max(1) }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// The value to be changed, made if it is missing.
    pub(crate) fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        if !self.young.contains_key(&key) {
            let value = self.old.remove(&key).unwrap_or_default();
            self.make_room();
            self.young.insert(key.clone(), value);
        }
        self.young.entry(key).or_default()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if !self.young.contains_key(&key) {
            self.make_room();
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    /// Keeps what `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.young.retain(|key, value| keep(key, value));
        self.old.retain(|key, value| keep(key, value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.young.iter().chain(&self.old)
    }

    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
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
