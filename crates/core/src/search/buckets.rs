//! Deduplication of failures by signature: the first of each bucket is shown, and all are counted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A bucket: the number of failures with the same signature, and the first of them.
pub(super) trait Counted {
    /// Where the first of them comes among all that was played.
    fn place(&self) -> u64;

    /// How many they are.
    fn count(&mut self) -> &mut u64;
}

/// Puts failures to those with the same signature.
pub(super) fn add<B: Counted>(buckets: &mut BTreeMap<String, B>, signature: String, mut bucket: B) {
    match buckets.entry(signature) {
        Entry::Vacant(slot) => {
            slot.insert(bucket);
        }
        Entry::Occupied(mut slot) => {
            let known = slot.get_mut();
            if bucket.place() < known.place() {
                std::mem::swap(known, &mut bucket);
            }
            *known.count() += *bucket.count();
        }
    }
}
