//! A sparse array: something for each record of a kind, by number, in memory that grows with how many
//! there are and not with how large their numbers are.

use std::collections::BTreeMap;
use std::mem;

use super::heap_bytes_of;

/// How far a vector reaches beyond its end without more ado.
const STEP: usize = 4096;
/// How many places a vector may grow for each entry that is too far for it.
const PLACES_PER_ENTRY: usize = 64;

/// A vector for the low numbers, a tree for those far above them. All numbers in the tree are above
/// those of the vector, which takes them over when there are so many that it costs little.
#[derive(Debug)]
pub(crate) struct ByNumber<T> {
    near: Vec<T>,
    far: BTreeMap<usize, T>,
}

impl<T> Default for ByNumber<T> {
    fn default() -> ByNumber<T> {
        ByNumber { near: Vec::new(), far: BTreeMap::new() }
    }
}

impl<T: Clone> Clone for ByNumber<T> {
    fn clone(&self) -> ByNumber<T> {
        ByNumber { near: self.near.clone(), far: self.far.clone() }
    }

    fn clone_from(&mut self, source: &ByNumber<T>) {
        self.near.clone_from(&source.near);
        self.far.clone_from(&source.far);
    }
}

impl<T: Default> ByNumber<T> {
    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        match self.near.get(number) {
            None => self.get_far(number),
            found => found,
        }
    }

    /// What is there for a number that is not far above the others.
    #[inline]
    pub(super) fn near(&self, number: usize) -> Option<&T> {
        self.near.get(number)
    }

    #[cold]
    fn get_far(&self, number: usize) -> Option<&T> {
        self.far.get(&number)
    }

    /// What is there for a number; the default if nothing was.
    #[inline]
    pub(crate) fn entry(&mut self, number: usize) -> &mut T {
        if number >= self.near.len() {
            return self.entry_beyond(number);
        }
        &mut self.near[number]
    }

    #[cold]
    fn entry_beyond(&mut self, number: usize) -> &mut T {
        if number >= self.near.len() + STEP + PLACES_PER_ENTRY * self.far.len() {
            return self.far.entry(number).or_default();
        }
        self.reach(number + 1);
        &mut self.near[number]
    }

    /// Makes the vector so long, and lets it take over what then is its own.
    fn reach(&mut self, length: usize) {
        self.near.resize_with(length, T::default);
        if self.far.first_key_value().is_some_and(|(number, _)| *number < length) {
            let beyond = self.far.split_off(&length);
            for (number, value) in mem::replace(&mut self.far, beyond) {
                self.near[number] = value;
            }
        }
    }

    /// The numbers for which there may be something, in order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.near.len()).chain(self.far.keys().copied())
    }

    /// What is there, in the order of the numbers.
    #[cfg(test)]
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.near.iter().chain(self.far.values())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.near.iter_mut().chain(self.far.values_mut())
    }

    /// What it has taken of the heap at most, in bytes.
    pub(crate) fn heap_bytes(&self) -> u64 {
        // A node of the tree has room for eleven, and five of them at least unless it is alone.
        let node = 11 * (size_of::<T>() + size_of::<usize>()) + 14 * size_of::<usize>();
        let nodes = if self.far.is_empty() { 0 } else { self.far.len() / 5 + 1 };
        heap_bytes_of(&self.near) + (nodes * node) as u64
    }

    pub(crate) fn clear(&mut self) {
        self.near.clear();
        if !self.far.is_empty() {
            self.far.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers() -> impl Strategy<Value = Vec<usize>> {
        let number = prop_oneof![0usize..20, 0usize..10_000, 0usize..2_000_000, Just(2_000_000)];
        prop::collection::vec(number, 0..200)
    }

    fn filled(numbers: &[usize]) -> ByNumber<usize> {
        let mut filled = ByNumber::default();
        numbers.iter().for_each(|number| *filled.entry(*number) = number + 1);
        filled
    }

    proptest! {
        #[test]
        fn it_has_what_a_map_has_in_the_same_order(numbers in numbers()) {
            let by_number = filled(&numbers);
            let map: BTreeMap<usize, usize> = numbers.iter().map(|number| (*number, number + 1)).collect();
            let held = |number: usize| by_number.get(number).copied().unwrap_or_default();
            prop_assert!(map.iter().all(|(number, value)| held(*number) == *value));
            let there: Vec<usize> = by_number.numbers().filter(|number| held(*number) > 0).collect();
            prop_assert!(there.iter().eq(map.keys()));
            prop_assert!(by_number.values().filter(|value| **value > 0).eq(map.values()));
            prop_assert!(by_number.far.keys().all(|number| *number >= by_number.near.len()));
        }
    }

    #[test]
    fn memory_grows_with_how_many_there_are() {
        let few = filled(&[2_000_000, 1, 1_999_999, 70_000]);
        assert!(few.near.len() <= STEP && few.far.len() == 3);
        // In whatever order they come.
        let mut many: Vec<usize> = (0..100_000).map(|place| place * 7_919 % 100_003).collect();
        assert!(filled(&many).near.len() > 99_000);
        many.sort_unstable();
        assert!(filled(&many).far.is_empty());
    }
}
