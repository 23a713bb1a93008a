//! The states that were looked at, as hashes, in bounded memory.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::bounds::Left;

/// Looks of one state: its hash, and what was left of the bounds then.
type Look = (u64, Left);

/// What a look at a state is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nobody was here before.
    First,
    /// Others were here, none with as much left of everything.
    More,
    /// Somebody was here with at least as much left: whatever is done from here was done then.
    Known,
    /// There is no memory to note that somebody was here.
    Full,
}

/// The states that were looked at, by any of the walks through them.
///
/// A state is known by 64 bits. The tables' order never shows.
pub(super) struct Seen {
    /// By six bits of the hash, so that walks seldom wait for each other, and so that little memory
    /// is taken twice while a table grows.
    parts: [Mutex<Part>; PARTS],
    states: AtomicU64,
    /// How many bytes the tables take, and whatever else was counted.
    bytes: AtomicU64,
    bytes_max: u64,
}

type Part = HashTable<Look>;

const PARTS: usize = 64;

/// How a walk looks at what was seen: one that is alone has all of it as long as it goes, and takes no
/// lock for each look.
pub(super) struct Looks<'s> {
    seen: &'s Seen,
    all: Option<[MutexGuard<'s, Part>; PARTS]>,
}

/// What one look takes: itself and the table's note of where it is.
const LOOK_BYTES: u64 = size_of::<Look>() as u64 + 1;

impl Seen {
    pub(super) fn new(bytes_max: u64) -> Seen {
        let parts = std::array::from_fn(|_| Mutex::default());
        Seen { parts, states: AtomicU64::new(0), bytes: AtomicU64::new(0), bytes_max }
    }

    pub(super) fn clear(&self) {
        self.parts.iter().for_each(|part| locked(part).clear());
        self.states.store(0, Relaxed);
    }

    /// How many states there are.
    pub(super) fn states(&self) -> u64 {
        self.states.load(Relaxed)
    }

    /// How many bytes the tables take, and whatever else was counted.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Counts bytes that somebody takes besides the tables, if there are so many left.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let more = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= self.bytes_max);
        self.bytes.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// For a walk that is alone, or for one of several.
    pub(super) fn looks(&self, is_alone: bool) -> Looks<'_> {
        Looks { seen: self, all: is_alone.then(|| self.parts.each_ref().map(locked)) }
    }

    fn look_in(&self, part: &mut Part, key: u64, left: Left) -> News {
        let mut is_first = true;
        let mut worse = None;
        for (_, other) in part.iter_hash(key).filter(|(other, _)| *other == key) {
            is_first = false;
            if other.covers(left) {
                return News::Known;
            }
            if left.covers(*other) {
                worse = Some(*other);
            }
        }
        if let Some(worse) = worse {
            let place = part.find_mut(key, |look| *look == (key, worse));
            place.into_iter().for_each(|look| look.1 = left);
            return News::More;
        }
        if part.len() == part.capacity() && !self.grow(part) {
            return News::Full;
        }
        part.insert_unique(key, (key, left), |(key, _)| *key);
        if !is_first {
            return News::More;
        }
        self.states.fetch_add(1, Relaxed);
        News::First
    }

    /// Makes a table larger, if there is memory. It grows to twice its size, and for a moment there
    /// are both.
    fn grow(&self, looks: &mut HashTable<Look>) -> bool {
        let capacity = looks.capacity();
        let (before, after) = (bytes_of(capacity), bytes_of((2 * capacity).max(4)));
        if !self.take(after) {
            return false;
        }
        looks.reserve(1, |(key, _)| *key);
        self.bytes.fetch_sub(before, Relaxed);
        true
    }
}

impl Looks<'_> {
    /// Notes that a state is looked at with so much left.
    #[inline]
    pub(super) fn look(&mut self, key: u64, left: Left) -> News {
        // A table finds places by the lowest bits, and tells neighbours apart by the highest.
        let place = (key >> 40) as usize % PARTS;
        match &mut self.all {
            Some(parts) => self.seen.look_in(&mut parts[place], key, left),
            None => self.seen.look_in(&mut locked(&self.seen.parts[place]), key, left),
        }
    }
}

/// Nothing panics half way through a change.
fn locked(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table is full at seven eighths, and its places are a power of two.
fn bytes_of(capacity: usize) -> u64 {
    match capacity {
        0 => 0,
        capacity => (capacity as u64 * 8 / 7).next_power_of_two() * LOOK_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::shortest::Order;
    use super::super::bounds::{Bounds, Most};
    use super::*;
    use crate::hash;

    fn left(lost_acks: u8, crashes: u8) -> Left {
        let bounds = Bounds { lost_acks: Most::Of(lost_acks), crashes: Most::Of(crashes), ..Bounds::of(Order::Any) };
        Left::of(&bounds, 0)
    }

    #[test]
    fn a_state_is_looked_at_again_only_if_more_is_left_of_something() {
        let seen = Seen::new(1 << 20);
        let mut looks = seen.looks(true);
        let key = hash::mix(1, 2);
        assert_eq!(looks.look(key, left(1, 0)), News::First);
        assert_eq!(looks.look(key, left(1, 0)), News::Known);
        assert_eq!(looks.look(key, left(0, 0)), News::Known);
        assert_eq!(looks.look(key, left(0, 1)), News::More, "more of one, less of the other");
        assert_eq!(looks.look(key, left(1, 0)), News::Known);
        assert_eq!(looks.look(key, left(2, 2)), News::More);
        assert_eq!(looks.look(key, left(0, 1)), News::Known);
        assert_eq!(seen.states(), 1);
    }

    #[test]
    fn states_whose_hashes_differ_in_any_bit_are_two() {
        for bit in 0..u64::BITS {
            let seen = Seen::new(1 << 20);
            let mut looks = seen.looks(true);
            let key = hash::mix(1, 2);
            assert_eq!(looks.look(key, left(1, 0)), News::First);
            assert_eq!(looks.look(key ^ 1 << bit, left(1, 0)), News::First, "bit {bit}");
            assert_eq!(looks.look(key, left(1, 0)), News::Known);
            assert_eq!(seen.states(), 2, "bit {bit}");
        }
    }

    #[test]
    fn the_memory_is_not_exceeded() {
        let seen = Seen::new(10_000);
        let full = (0..).find(|word| seen.looks(false).look(hash::mix(*word, 7), left(0, 0)) == News::Full);
        assert!(full.is_some_and(|full| full > 100), "{full:?}");
        let bytes: u64 = seen.parts.iter().map(|part| bytes_of(locked(part).capacity())).sum();
        assert_eq!(seen.bytes(), bytes, "what is counted is what is there");
        assert!(seen.bytes() <= 10_000, "{}", seen.bytes());
        assert_eq!(seen.looks(true).look(hash::mix(0, 7), left(0, 0)), News::Known, "what was seen is still known");
    }
}
