//! A set of record numbers that is walked in order and emptied in the time its members take.

use super::by_number::ByNumber;
use super::heap_bytes_of;

/// A bit for each number, a bit for each word of those that has any, and one for each word of these.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    low: ByNumber<u64>,
    above: [Vec<u64>; 2],
}

impl Clone for Numbers {
    fn clone(&self) -> Numbers {
        Numbers { low: self.low.clone(), above: self.above.clone() }
    }

    fn clone_from(&mut self, source: &Numbers) {
        self.low.clone_from(&source.low);
        self.above.clone_from(&source.above);
    }
}

impl Numbers {
    /// Inserts a number; says whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, number: usize) -> bool {
        let mut place = number / 64;
        let (low, bit) = (self.low.entry(place), 1 << (number % 64));
        let is_new = *low & bit == 0;
        let mut had_any = *low != 0;
        *low |= bit;
        for level in &mut self.above {
            if had_any {
                // The levels above know of this word.
                break;
            }
            let (word, bit) = (place / 64, 1 << (place % 64));
            if word >= level.len() {
                level.resize(word + 1, 0);
            }
            had_any = level[word] != 0;
            level[word] |= bit;
            place = word;
        }
        is_new
    }

    /// Takes a number out that is there.
    pub(super) fn remove(&mut self, number: usize) {
        let mut place = number / 64;
        let low = self.low.entry(place);
        *low &= !(1 << (number % 64));
        let mut has_any = *low != 0;
        for level in &mut self.above {
            if has_any {
                // The levels above still know of this word.
                return;
            }
            let word = place / 64;
            level[word] &= !(1 << (place % 64));
            has_any = level[word] != 0;
            place = word;
        }
    }

    /// What it has taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        self.low.heap_bytes() + self.above.iter().map(heap_bytes_of).sum::<u64>()
    }

    /// The members, in order.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let [middle, high] = &self.above;
        // Nearly always all there is is in the first words.
        let first = |level: &[u64]| Bits { word: level.first().copied().unwrap_or_default(), place: 0 };
        let mut lows = Bits { word: self.low.get(0).copied().unwrap_or_default(), place: 0 };
        let (mut middles, mut highs, mut next_high) = (first(middle).beyond_first(), first(high).beyond_first(), 1);
        std::iter::from_fn(move || {
            loop {
                if let Some(number) = lows.next() {
                    return Some(number);
                }
                if let Some(place) = middles.next() {
                    lows = Bits { word: self.low.get(place).copied().unwrap_or_default(), place };
                } else if let Some(place) = highs.next() {
                    middles = Bits { word: middle[place], place };
                } else {
                    highs = Bits { word: *high.get(next_high)?, place: next_high };
                    next_high += 1;
                }
            }
        })
    }

    pub(super) fn clear(&mut self) {
        let [middle, high] = &mut self.above;
        for (at, word) in high.iter_mut().enumerate() {
            for place in (Bits { word: std::mem::take(word), place: at }) {
                for place in (Bits { word: std::mem::take(&mut middle[place]), place }) {
                    *self.low.entry(place) = 0;
                }
            }
        }
    }
}

/// What the bits of the word at `place` stand for.
struct Bits {
    word: u64,
    place: usize,
}

impl Bits {
    /// The same without what the first one stands for.
    fn beyond_first(self) -> Bits {
        Bits { word: self.word & !1, ..self }
    }
}

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let bit = self.word.trailing_zeros() as usize;
        let has_more = self.word != 0;
        self.word &= self.word.wrapping_sub(1);
        has_more.then_some(self.place * 64 + bit)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_has_what_a_set_has_in_the_same_order_also_after_it_was_emptied(
            rounds in {
                let number = prop_oneof![0usize..300_000, 0usize..2_000_001];
                prop::collection::vec(prop::collection::vec(number, 0..20), 1..4)
            },
        ) {
            let mut numbers = Numbers::default();
            for members in rounds {
                for number in &members {
                    numbers.insert(*number);
                }
                let mut set: BTreeSet<usize> = members.into_iter().collect();
                prop_assert!(set.iter().all(|number| !numbers.insert(*number)));
                prop_assert!(numbers.iter().eq(set.iter().copied()));
                let gone: Vec<usize> = set.iter().copied().filter(|number| number % 3 == 0).collect();
                for number in gone {
                    set.remove(&number);
                    numbers.remove(number);
                    prop_assert!(numbers.iter().eq(set.iter().copied()));
                }
                numbers.clear();
                prop_assert_eq!(numbers.iter().next(), None);
            }
        }
    }
}
