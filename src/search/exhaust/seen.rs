//! The states that were looked at, as hashes, in bounded memory.

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

/// The states that were looked at.
///
/// A state is known by 64 bits. The table's order never shows.
pub(super) struct Seen {
    looks: HashTable<Look>,
    bytes_max: u64,
    states: u64,
}

/// What one look takes: itself and the table's note of where it is.
const LOOK_BYTES: u64 = size_of::<Look>() as u64 + 1;

impl Seen {
    pub(super) fn new(bytes_max: u64) -> Seen {
        Seen { looks: HashTable::new(), bytes_max, states: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.looks.clear();
        self.states = 0;
    }

    /// How many states there are.
    pub(super) fn states(&self) -> u64 {
        self.states
    }

    /// How many bytes the table takes.
    pub(super) fn bytes(&self) -> u64 {
        bytes_of(self.looks.capacity())
    }

    /// Notes that a state is looked at with so much left.
    #[inline]
    pub(super) fn look(&mut self, key: u64, left: Left) -> News {
        let mut is_first = true;
        let mut worse = None;
        for (_, other) in self.looks.iter_hash(key).filter(|(other, _)| *other == key) {
            is_first = false;
            if other.covers(left) {
                return News::Known;
            }
            if left.covers(*other) {
                worse = Some(*other);
            }
        }
        if let Some(worse) = worse {
            let place = self.looks.find_mut(key, |look| *look == (key, worse));
            place.into_iter().for_each(|look| look.1 = left);
            return News::More;
        }
        if self.looks.len() == self.looks.capacity() && !self.has_room_to_grow() {
            return News::Full;
        }
        self.looks.insert_unique(key, (key, left), |(key, _)| *key);
        self.states += u64::from(is_first);
        if is_first { News::First } else { News::More }
    }

    /// A table grows to twice its size, and for a moment there are both.
    fn has_room_to_grow(&self) -> bool {
        let capacity = self.looks.capacity();
        bytes_of(capacity) + bytes_of((2 * capacity).max(4)) <= self.bytes_max
    }
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
        let mut seen = Seen::new(1 << 20);
        let key = hash::mix(1, 2);
        assert_eq!(seen.look(key, left(1, 0)), News::First);
        assert_eq!(seen.look(key, left(1, 0)), News::Known);
        assert_eq!(seen.look(key, left(0, 0)), News::Known);
        assert_eq!(seen.look(key, left(0, 1)), News::More, "more of one, less of the other");
        assert_eq!(seen.look(key, left(1, 0)), News::Known);
        assert_eq!(seen.look(key, left(2, 2)), News::More);
        assert_eq!(seen.look(key, left(0, 1)), News::Known);
        assert_eq!(seen.states(), 1);
    }

    #[test]
    fn the_memory_is_not_exceeded() {
        let mut seen = Seen::new(10_000);
        let full = (0..).find(|word| seen.look(hash::mix(*word, 7), left(0, 0)) == News::Full);
        assert!(full.is_some_and(|full| full > 100), "{full:?}");
        assert!(seen.bytes() <= 10_000, "{}", seen.bytes());
        assert_eq!(seen.look(hash::mix(0, 7), left(0, 0)), News::Known, "what was seen is still known");
    }
}
