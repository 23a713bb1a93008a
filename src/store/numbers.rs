//! A set of record numbers that is walked in order and emptied in the time its members take.

use super::heap_bytes_of;

/// A bit for each number, a bit for each word of those that has any, and one for each word of these.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    levels: [Vec<u64>; 3],
}

impl Clone for Numbers {
    fn clone(&self) -> Numbers {
        Numbers { levels: self.levels.clone() }
    }

    fn clone_from(&mut self, source: &Numbers) {
        self.levels.clone_from(&source.levels);
    }
}

impl Numbers {
    #[inline]
    pub(super) fn insert(&mut self, number: usize) {
        let mut place = number;
        for level in &mut self.levels {
            let (word, bit) = (place / 64, 1 << (place % 64));
            if word >= level.len() {
                level.resize(word + 1, 0);
            }
            let had_any = level[word] != 0;
            level[word] |= bit;
            if had_any {
                // The levels above know of this word.
                return;
            }
            place = word;
        }
    }

    /// What it has taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        self.levels.iter().map(heap_bytes_of).sum()
    }

    /// The members, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let [low, middle, high] = &self.levels;
        let middles = (0..high.len()).flat_map(|place| bits(high[place], place));
        let lows = middles.flat_map(|place| bits(middle[place], place));
        lows.flat_map(|place| bits(low[place], place))
    }

    pub(super) fn clear(&mut self) {
        let [low, middle, high] = &mut self.levels;
        for (at, word) in high.iter_mut().enumerate() {
            for place in bits(std::mem::take(word), at) {
                for place in bits(std::mem::take(&mut middle[place]), place) {
                    low[place] = 0;
                }
            }
        }
    }
}

/// What the bits of the word at `place` stand for.
fn bits(word: u64, place: usize) -> impl Iterator<Item = usize> {
    let mut left = word;
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        let has_more = left != 0;
        left &= left.wrapping_sub(1);
        has_more.then_some(place * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_has_what_a_set_has_in_the_same_order_also_after_it_was_emptied(
            rounds in prop::collection::vec(prop::collection::vec(0usize..300_000, 0..20), 1..4),
        ) {
            let mut numbers = Numbers::default();
            for members in rounds {
                members.iter().for_each(|number| numbers.insert(*number));
                let set: BTreeSet<usize> = members.into_iter().collect();
                prop_assert!(numbers.iter().eq(set));
                numbers.clear();
                prop_assert_eq!(numbers.iter().next(), None);
            }
        }
    }
}
