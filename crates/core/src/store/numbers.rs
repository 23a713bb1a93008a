//! A set of record numbers that is walked in order and emptied in the time its members take.

use super::by_number::ByNumber;
use super::heap_bytes_of;

/// A bit for each number, a bit for each word of those that has any, and one for each word of these.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    low: ByNumber<u64>,
    above: [Vec<u64>; 2],
    len: usize,
}

impl Clone for Numbers {
    fn clone(&self) -> Numbers {
        Numbers { low: self.low.clone(), above: self.above.clone(), len: self.len }
    }

    fn clone_from(&mut self, source: &Numbers) {
        self.low.clone_from(&source.low);
        self.above.clone_from(&source.above);
        self.len = source.len;
    }
}

impl Numbers {
    /// Inserts a number; says whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, number: usize) -> bool {
        let mut place = number / 64;
        let (low, bit) = (self.low.entry(place), 1 << (number % 64));
        let is_new = *low & bit == 0;
        self.len += usize::from(is_new);
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
        self.len -= 1;
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

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first member that is not below a number.
    #[inline]
    pub(super) fn first_from(&self, number: usize) -> Option<usize> {
        let in_word = |word: u64, place: usize| {
            let left = word >> (place % 64);
            (left != 0).then(|| place + left.trailing_zeros() as usize)
        };
        in_word(self.low(number / 64), number).or_else(|| {
            let [middle, high] = &self.above;
            // The next word of the lowest level, or else the next one of the level above.
            let next = number / 64 + 1;
            let place = in_word(middle.get(next / 64).copied().unwrap_or_default(), next).or_else(|| {
                let next = next / 64 + 1;
                let words = (next / 64..high.len()).map(|word| in_word(high[word], next.max(64 * word)));
                let place = words.flatten().next()?;
                in_word(middle[place], 64 * place)
            })?;
            in_word(self.low(place), 64 * place)
        })
    }

    #[inline]
    fn low(&self, place: usize) -> u64 {
        self.low.get(place).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.len) == 0 {
            return;
        }
        match &mut self.above {
            // Nearly always all there is is in the first words.
            [middle, high] if matches!(high[..], [1]) && middle[0] == 1 => {
                (*self.low.entry(0), middle[0], high[0]) = (0, 0, 0);
            }
            _ => self.clear_words(),
        }
    }

    fn clear_words(&mut self) {
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

    fn all(numbers: &Numbers) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(numbers.first_from(0), |member| numbers.first_from(member + 1))
    }

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
                prop_assert!(all(&numbers).eq(set.iter().copied()));
                let gone: Vec<usize> = set.iter().copied().filter(|number| number % 3 == 0).collect();
                for number in gone {
                    set.remove(&number);
                    numbers.remove(number);
                    prop_assert!(all(&numbers).eq(set.iter().copied()));
                }
                numbers.clear();
                prop_assert_eq!(all(&numbers).next(), None);
            }
        }
    }
}
