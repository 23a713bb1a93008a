//! The visited set: hashes of states, in bounded memory.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::bounds::Budget;

/// A state that was visited: its hash, and the remaining budget then.
type VisitedState = (u64, Budget);

/// Result of a visited-set lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// The state is new.
    New,
    /// The state was visited, never with a budget that dominates this one: it is expanded again.
    MoreBudget,
    /// The state was visited with a budget that dominates this one: whatever follows now followed then.
    Dominated,
    /// There is no memory to note the visit.
    OutOfMemory,
}

/// The states that were visited by any of the workers.
///
/// A state is known by 64 bits. The tables' order never shows.
pub(super) struct Visited {
    /// By six bits of the hash, so that workers seldom wait for each other, and so that little memory
    /// is taken twice while a table grows.
    tables: [Mutex<Table>; TABLES],
    states: AtomicU64,
    /// How many bytes the tables take, and whatever else was counted.
    bytes: AtomicU64,
    bytes_max: u64,
}

/// One of the hash tables.
type Table = HashTable<VisitedState>;

const TABLES: usize = 64;

/// A worker's access to the visited set: one that is alone locks all of it as long as it runs, and takes no
/// lock for each visit.
pub(super) struct Access<'s> {
    visited: &'s Visited,
    all: Option<[MutexGuard<'s, Table>; TABLES]>,
}

/// What one entry takes: itself and the table's note of where it is.
const STATE_BYTES: u64 = size_of::<VisitedState>() as u64 + 1;

impl Visited {
    pub(super) fn new(bytes_max: u64) -> Visited {
        let tables = std::array::from_fn(|_| Mutex::default());
        Visited { tables, states: AtomicU64::new(0), bytes: AtomicU64::new(0), bytes_max }
    }

    pub(super) fn clear(&self) {
        self.tables.iter().for_each(|table| locked(table).clear());
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

    /// For a worker that is alone, or for one of several.
    pub(super) fn access(&self, is_alone: bool) -> Access<'_> {
        Access { visited: self, all: is_alone.then(|| self.tables.each_ref().map(locked)) }
    }

    fn visit_in(&self, table: &mut Table, key: u64, budget: Budget) -> Visit {
        let mut is_new = true;
        let mut worse = None;
        for (_, other) in table.iter_hash(key).filter(|(other, _)| *other == key) {
            is_new = false;
            if other.dominates(budget) {
                return Visit::Dominated;
            }
            if budget.dominates(*other) {
                worse = Some(*other);
            }
        }
        if let Some(worse) = worse {
            let place = table.find_mut(key, |entry| *entry == (key, worse));
            place.into_iter().for_each(|entry| entry.1 = budget);
            return Visit::MoreBudget;
        }
        if table.len() == table.capacity() && !self.grow(table) {
            return Visit::OutOfMemory;
        }
        table.insert_unique(key, (key, budget), |(key, _)| *key);
        if !is_new {
            return Visit::MoreBudget;
        }
        self.states.fetch_add(1, Relaxed);
        Visit::New
    }

    /// Makes a table larger, if there is memory. It grows to twice its size, and for a moment there
    /// are both.
    fn grow(&self, table: &mut Table) -> bool {
        let capacity = table.capacity();
        let (before, after) = (bytes_of(capacity), bytes_of((2 * capacity).max(4)));
        if !self.take(after) {
            return false;
        }
        table.reserve(1, |(key, _)| *key);
        self.bytes.fetch_sub(before, Relaxed);
        true
    }
}

impl Access<'_> {
    /// Notes that a state is visited with this remaining budget.
    #[inline]
    pub(super) fn visit(&mut self, key: u64, budget: Budget) -> Visit {
        // A table finds places by the lowest bits, and tells neighbours apart by the highest.
        let place = (key >> 40) as usize % TABLES;
        match &mut self.all {
            Some(tables) => self.visited.visit_in(&mut tables[place], key, budget),
            None => self.visited.visit_in(&mut locked(&self.visited.tables[place]), key, budget),
        }
    }
}

/// Nothing panics half way through a change.
fn locked(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table is full at seven eighths, and its places are a power of two.
fn bytes_of(capacity: usize) -> u64 {
    match capacity {
        0 => 0,
        capacity => (capacity as u64 * 8 / 7).next_power_of_two() * STATE_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::shortest::DeliveryOrder;
    use super::super::bounds::{Bounds, Most};
    use super::*;
    use crate::hash;

    fn budget(lost_acks: u8, crashes: u8) -> Budget {
        let bounds =
            Bounds { lost_acks: Most::Of(lost_acks), crashes: Most::Of(crashes), ..Bounds::of(DeliveryOrder::Any) };
        Budget::of(&bounds, 0)
    }

    #[test]
    fn a_state_is_expanded_again_only_if_the_budget_is_larger_in_something() {
        let visited = Visited::new(1 << 20);
        let mut access = visited.access(true);
        let key = hash::mix(1, 2);
        assert_eq!(access.visit(key, budget(1, 0)), Visit::New);
        assert_eq!(access.visit(key, budget(1, 0)), Visit::Dominated);
        assert_eq!(access.visit(key, budget(0, 0)), Visit::Dominated);
        assert_eq!(access.visit(key, budget(0, 1)), Visit::MoreBudget, "more of one, less of the other");
        assert_eq!(access.visit(key, budget(1, 0)), Visit::Dominated);
        assert_eq!(access.visit(key, budget(2, 2)), Visit::MoreBudget);
        assert_eq!(access.visit(key, budget(0, 1)), Visit::Dominated);
        assert_eq!(visited.states(), 1);
    }

    #[test]
    fn states_whose_hashes_differ_in_any_bit_are_two() {
        for bit in 0..u64::BITS {
            let visited = Visited::new(1 << 20);
            let mut access = visited.access(true);
            let key = hash::mix(1, 2);
            assert_eq!(access.visit(key, budget(1, 0)), Visit::New);
            assert_eq!(access.visit(key ^ 1 << bit, budget(1, 0)), Visit::New, "bit {bit}");
            assert_eq!(access.visit(key, budget(1, 0)), Visit::Dominated);
            assert_eq!(visited.states(), 2, "bit {bit}");
        }
    }

    #[test]
    fn the_memory_is_not_exceeded() {
        let visited = Visited::new(10_000);
        let full =
            (0..).find(|word| visited.access(false).visit(hash::mix(*word, 7), budget(0, 0)) == Visit::OutOfMemory);
        assert!(full.is_some_and(|full| full > 100), "{full:?}");
        let bytes: u64 = visited.tables.iter().map(|table| bytes_of(locked(table).capacity())).sum();
        assert_eq!(visited.bytes(), bytes, "what is counted is what is there");
        assert!(visited.bytes() <= 10_000, "{}", visited.bytes());
        assert_eq!(
            visited.access(true).visit(hash::mix(0, 7), budget(0, 0)),
            Visit::Dominated,
            "what was visited is still known"
        );
    }
}
