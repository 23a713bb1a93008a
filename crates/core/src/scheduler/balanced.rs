//! The random walk that makes each interleaving about equally likely.
//!
//! After Zhao and others, "Selectively uniform concurrency testing" (ASPLOS 2025), whose uniform random
//! walk picks a thread in proportion to the events it still has. Drawn evenly at each step, a message
//! is behind a chain of 20 deliveries with probability 2^-20, although that is one of only 21 ways to
//! place it. Here an action stands for itself and for all that it is going to bring about, and is
//! picked in proportion to how many these are. If the actions of a run are a forest and their numbers
//! are right, then all orders of them are equally likely.
//!
//! To pick in proportion and yet by name, each action waits for an exponential time, drawn by its name,
//! whose mean is inverse to its number. The numbers are those of the calm run, which a [`Census`]
//! plays along with: of the same action there, or else the mean of its lane; an action that has no
//! like in the calm run counts 1.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calm_order::CalmOrder;
use super::queue::Queue;
use super::speeds::Speeds;
use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::prng::RunKey;

/// How many actions what is offered stands for.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// In the order of the keys.
    by_key: Vec<(u64, u64)>,
    /// For each lane the sum over its actions, and how many these are.
    by_lane: BTreeMap<u64, (u64, u64)>,
}

impl Expected {
    /// How many actions are expected in all.
    #[must_use]
    pub fn actions(&self) -> u64 {
        self.by_lane.values().map(|(_, count)| count).sum()
    }

    /// The number for an action by its key and its lane, at least 1.
    #[must_use]
    pub fn of(&self, key: u64, lane: u64) -> u64 {
        let of_lane = || self.by_lane.get(&lane).map(|(sum, count)| sum / count);
        let of_key = self.by_key.binary_search_by_key(&key, |(known, _)| *known).ok().map(|place| self.by_key[place].1);
        of_key.or_else(of_lane).unwrap_or(1)
    }
}

/// Plays the calm run and counts what each action brings about.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// What was offered, and the action that made it possible.
    offered: BTreeMap<Action, (Offer, Option<usize>)>,
    /// What happened: its key, its lane, and the action that made it possible.
    happened: Vec<(u64, u64, Option<usize>)>,
    order: CalmOrder,
}

impl Census {
    /// What it counted so far.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let mut sizes = vec![1u64; self.happened.len()];
        let (mut expected, mut by_key) = (Expected::default(), BTreeMap::new());
        // What an action brings about comes after it.
        for (place, (key, lane, cause)) in self.happened.iter().enumerate().rev() {
            let size = sizes[place];
            if let Some(cause) = cause {
                sizes[*cause] += size;
            }
            by_key.insert(*key, size);
            let (sum, count) = expected.by_lane.entry(*lane).or_default();
            *sum += size;
            *count += 1;
        }
        expected.by_key = by_key.into_iter().collect();
        expected
    }
}

impl Scheduler for Census {
    fn offer(&mut self, offer: Offer) {
        self.order.offer(offer.action);
        self.offered.insert(offer.action, (offer, self.happened.len().checked_sub(1)));
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let action = self.order.calm(enabled).expect("a scheduler is asked only when something may happen");
        let timer = enabled.clock().map(|key| (key, key, None));
        let offered = self.offered.remove(&action).map(|(offer, cause)| (offer.key, offer.lane, cause));
        self.happened.extend(offered.or(timer));
        action
    }
}

/// Picks in proportion to what is expected to follow.
#[derive(Clone, Debug)]
pub struct Balanced {
    fates: Fates,
    key: RunKey,
    expected: Arc<Expected>,
    /// The time of the last action picked, in units of 2^-32 mean waits of an action that stands alone.
    now: u64,
    queue: Queue,
}

impl Balanced {
    /// A walk for `seed` with the faults it draws from `plan`, where so much is to be expected.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan, expected: Arc<Expected>) -> Balanced {
        let key = RunKey::new(seed);
        Balanced { fates: Fates::new(&plan.for_seed(seed), key), key, expected, now: 0, queue: Queue::default() }
    }
}

impl Scheduler for Balanced {
    fn offer(&mut self, offer: Offer) {
        let wait = (Speeds(self.key).wait(&offer) << 16) / self.expected.of(offer.key, offer.lane);
        self.queue.push(self.now + wait, offer.key, offer.action);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let (speeds, expected, now) = (Speeds(self.key), &self.expected, self.now);
        let wait = |timer| (speeds.wait_of_clock(timer) << 16) / expected.of(timer, timer);
        let (time, _, action) = self.queue.pop(enabled, |timer| now + wait(timer));
        self.now = self.now.max(time);
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
