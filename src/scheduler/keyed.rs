//! The uniform random walk with every decision keyed by name.
//!
//! Each offered action draws a waiting time from its identity, exponentially distributed, and the
//! earliest is next. Because exponential times have no memory, the next action is uniform among
//! the enabled ones, exactly as if it were drawn afresh at each step; but nothing depends on how
//! many others there are or in which order they are listed, so a new listener or message leaves
//! all other decisions alone.
//!
//! A seed also slows some lanes (a subject on its way to a group) down: bugs that need one late
//! message are found by starving its lane, and hardly ever by drawing each step evenly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, FaultPlan};
use crate::prng::{Purpose, RunKey};

/// Picks uniformly, or with some lanes slowed down, by identity.
#[derive(Clone, Debug)]
pub struct Keyed {
    key: RunKey,
    plan: FaultPlan,
    slow_lanes: bool,
    /// The time of the last action picked, in units of 2^-16 mean waits.
    now: u64,
    /// Offers by time. One that is not enabled when its turn comes was overtaken by events.
    queue: BinaryHeap<Reverse<(u64, u64, Action)>>,
    /// When the clock moves, and for which timer that was drawn.
    clock: Option<(u64, u64)>,
}

impl Keyed {
    /// A walk for `seed` with the faults it draws from `plan`.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Keyed {
        // Half of the seeds walk evenly: slow lanes find one kind of bug and hide another.
        let key = RunKey::new(seed);
        let slow_lanes = key.draw(Purpose::Lane, 0) >> 63 == 1;
        Keyed { key, plan: plan.for_seed(seed), slow_lanes, now: 0, queue: BinaryHeap::new(), clock: None }
    }

    /// The same walk with no lane slowed down, for whatever seed.
    #[must_use]
    pub fn evenly(seed: u64, plan: FaultPlan) -> Keyed {
        Keyed { slow_lanes: false, ..Keyed::new(seed, plan) }
    }

    /// The time at which what `key` names happens if it is offered now.
    fn time_of(&self, key: u64, lane: u64) -> u64 {
        let wait = exponential(self.key.draw(Purpose::Order, key));
        // One lane in four is 32 times slower than the others.
        let slow = self.slow_lanes && self.key.draw(Purpose::Lane, lane) >> 62 == 0;
        self.now + if slow { wait << 5 } else { wait }
    }
}

impl Scheduler for Keyed {
    fn offer(&mut self, offer: Offer) {
        let time = self.time_of(offer.key, offer.lane);
        self.queue.push(Reverse((time, offer.key, offer.action)));
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let clock = enabled.clock().map(|key| match self.clock {
            Some((known, time)) if known == key => time,
            _ => {
                let time = self.time_of(key, key);
                self.clock = Some((key, time));
                time
            }
        });
        while let Some(Reverse((time, _, action))) = self.queue.peek().copied() {
            if clock.is_some_and(|clock| clock < time) {
                break;
            }
            self.queue.pop();
            if enabled.has(action) {
                self.now = time;
                return action;
            }
        }
        assert!(clock.is_some(), "every enabled action except the clock was offered");
        self.now = clock.unwrap_or(self.now).max(self.now);
        self.clock = None;
        Action::Advance
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.plan, self.key)
    }
}

/// An exponentially distributed number with mean 2^16 from a random word: -ln(u), in integers.
fn exponential(word: u64) -> u64 {
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
