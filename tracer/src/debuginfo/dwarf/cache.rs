//! A map of values that were read. Threads share it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::RwLock;

/// Values by key. Each is read on first use.
pub(in crate::debuginfo) struct Cache<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    /// Returns the value of `key`, if it is in the cache.
    pub(in crate::debuginfo) fn get(&self, key: &K) -> Option<V> {
        self.0.read().ok()?.get(key).cloned()
    }

    /// Returns the value of `key`. If it is not in the cache, `read` makes it.
    ///
    /// The cache keeps at most `most` values; one more drops all of them. If the lock is
    /// poisoned, nothing is kept.
    pub(in crate::debuginfo) fn get_or_read(
        &self,
        most: usize,
        key: K,
        read: impl FnOnce() -> V,
    ) -> V {
        if let Some(value) = self.get(&key) {
            return value;
        }
        let value = read();
        if let Ok(mut map) = self.0.write() {
            if map.len() >= most {
                map.clear();
            }
            map.insert(key, value.clone());
        }
        value
    }
}
