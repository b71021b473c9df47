//! A map that holds at most so many bytes and forgets what was used least
//! recently.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Bounded by bytes, not by entries; see the module.
#[derive(Debug)]
pub(crate) struct ByteLru<K, V> {
    limit: u64,
    used: u64,
    clock: u64,
    entries: HashMap<K, Entry<V>>,
    /// Keys by when they were last used.
    by_use: BTreeMap<u64, K>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: u64,
    used_at: u64,
}

impl<K: Clone + Eq + Hash, V> ByteLru<K, V> {
    pub(crate) fn new(limit: u64) -> Self {
        ByteLru {
            limit,
            used: 0,
            clock: 0,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// The value of `key`, which counts as a use.
    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        if let Some(key) = self.by_use.remove(&entry.used_at) {
            self.by_use.insert(self.clock, key);
        }
        entry.used_at = self.clock;
        Some(&entry.value)
    }

    /// Puts in a value that weighs `bytes`, in place of what was there, and
    /// lets go of others until all fit. A value heavier than the limit is not
    /// kept.
    pub(crate) fn insert(&mut self, key: K, value: V, bytes: u64) {
        self.remove(&key);
        if bytes > self.limit {
            return;
        }
        while self.used + bytes > self.limit {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.used -= entry.bytes;
            }
        }
        self.clock += 1;
        self.used += bytes;
        self.by_use.insert(self.clock, key.clone());
        self.entries.insert(
            key,
            Entry {
                value,
                bytes,
                used_at: self.clock,
            },
        );
    }

    /// Lets go of `key`.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.used_at);
        self.used -= entry.bytes;
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_was_used_least_recently() {
        let mut lru = ByteLru::new(10);
        lru.insert("a", 1, 4);
        lru.insert("b", 2, 4);
        assert_eq!(lru.get("a"), Some(&1));
        lru.insert("c", 3, 4);
        assert_eq!(
            ["a", "b", "c"].map(|key| lru.get(key).copied()),
            [Some(1), None, Some(3)]
        );
        lru.insert("a", 9, 1);
        assert_eq!((lru.used, lru.get("a")), (5, Some(&9)));
        lru.insert("too heavy", 0, 11);
        assert_eq!((lru.used, lru.get("too heavy")), (5, None));
        assert_eq!((lru.remove("c"), lru.used), (Some(3), 1));
    }
}
