//! A priority queue of offers, in the order in which they happen.
//!
//! Schedulers that give each action a number when it is offered share this: the smallest is next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Action, Enabled};

/// Offers by number, and the clock among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// Number, key and action. What is not enabled when its turn comes was overtaken by events.
    offers: BinaryHeap<Reverse<(u64, u64, Action)>>,
    /// For which timer the clock has a number, and which.
    clock: Option<(u64, u64)>,
}

impl Queue {
    /// Puts an action, by its key, in its place.
    pub(super) fn push(&mut self, number: u64, key: u64, action: Action) {
        match action {
            Action::Advance => self.clock = Some((key, number)),
            _ => self.offers.push(Reverse((number, key, action))),
        }
    }

    /// Takes the enabled action with the smallest number, with that and its key. Of the clock nobody is
    /// told, so it is given its number, by the key of the timer, when it is first seen here.
    pub(super) fn pop(&mut self, enabled: &Enabled<'_>, number_of: impl FnOnce(u64) -> u64) -> (u64, u64, Action) {
        let clock = enabled.clock().map(|key| match self.clock {
            Some((known, number)) if known == key => number,
            _ => {
                let number = number_of(key);
                self.clock = Some((key, number));
                number
            }
        });
        while let Some(Reverse((number, key, action))) = self.offers.peek().copied() {
            if clock.is_some_and(|clock| clock < number) {
                break;
            }
            self.offers.pop();
            if enabled.has(action) {
                return (number, key, action);
            }
        }
        let (key, number) = self.clock.take().expect("every enabled action except the clock was offered");
        (number, key, Action::Advance)
    }
}

/// An exponentially distributed number with mean 2^16 from a random word: -ln(u), in integers.
pub(super) fn exponential(word: u64) -> u64 {
    /// ln 2 in units of 2^-16.
    const LN_2: u64 = 45_426;
    let word = word | 1;
    // u = 2^-(zeros + 1) · (1 + fraction): the logarithm of the power is exact, that of the
    // fraction is log2(1 + f) ≈ f + 0.3431 f (1 - f), off by less than 1 %.
    let zeros = u64::from(word.leading_zeros());
    let fraction = ((word << zeros) << 1) >> 48;
    let curve = (fraction * (65_536 - fraction)) >> 16;
    let log2_of_fraction = fraction + ((curve * 22_487) >> 16);
    let bits = ((zeros + 1) << 16) - log2_of_fraction;
    (bits * LN_2) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    #[test]
    fn waiting_times_have_mean_and_tail_of_an_exponential() {
        let draws: Vec<u64> = (0..100_000u64).map(|i| exponential(hash::mix(i, 9))).collect();
        let mean = draws.iter().sum::<u64>() / draws.len() as u64;
        assert!((64_500..66_500).contains(&mean), "mean {mean}, expected about 65536");
        let beyond_two_means = draws.iter().filter(|wait| **wait > 2 * 65_536).count();
        assert!((13_000..14_100).contains(&beyond_two_means), "{beyond_two_means}, expected about 13534 (e^-2)");
    }

    #[test]
    fn the_extreme_words_have_times_too() {
        assert!(exponential(u64::MAX) < 8);
        assert!((2_800_000..3_000_000).contains(&exponential(0)), "{}", exponential(0));
    }
}
