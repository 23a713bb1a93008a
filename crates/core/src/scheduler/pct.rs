//! PCT for chains of messages: random priorities, so that what is late stays late, however long the chain
//! that overtakes it.
//!
//! After Ozkan, Majumdar, Niksic, Tabaei Befrouei and Weissenbacher, "Randomized testing of
//! distributed systems with probabilistic guarantees" (OOPSLA 2018). The actions of a run fall into
//! chains: of what a delivery makes possible one first attempt of another continues its chain, and
//! each of the others begins one. A chain has a random priority, and the enabled action of the chain
//! with the highest priority is next; so a message in a chain of low priority waits until the others
//! have ended, whether they are 2 deliveries long or 20. At d - 1 priority change points the running chain
//! is demoted.
//!
//! Everything is drawn by name. The priority of a chain is drawn by the name of what begins it; of
//! several first attempts the one whose draw is smallest continues the chain, so a new listener
//! changes at most which that is. Commands, retries, late acks and handlers that paused begin chains:
//! they are there to be late. Services, clients and the clock have speeds of their own as well (see
//! `speeds`), and half of the seeds let one client after the other speak (see `InTurn`).
//!
//! The paper draws d - 1 change points out of n steps. Steps are positions; here each action
//! is a change point with probability (d - 1)/n, by its name, so that their number is d - 1 on average. And
//! n, the number of actions to expect, is drawn by the seed: 8, 32, 128 or 512. So the paper's
//! guarantee does not hold as it stands: priorities are not even, and a run of n actions in which some
//! d - 1 must be change points is met with probability about ((d - 1)/n)^(d - 1) · e^-(d - 1), if the seed
//! has drawn about the right n, which one in 4 does. For that a scheduler needs not be told how long
//! the run is going to be. What keeps to the papers is [`Pctcp`](super::Pctcp). With d = 1 the
//! probability is 1/1024 instead of none, so that services
//! which talk to each other until something else happens cannot keep that waiting for ever.

use super::queue::{Queue, exponential};
use super::speeds::Speeds;
use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::hash;
use crate::prng::{Prng, Purpose, Ratio, RunKey, Stream, below};

/// Picks the action of the chain with the highest priority.
#[derive(Clone, Debug)]
pub struct Pct {
    fates: Fates,
    drawing: Drawing,
    queue: Queue,
    /// What became possible by the last action.
    fresh: Vec<Offer>,
    /// The last action and the urgency of its chain.
    running: Option<(Action, u64)>,
}

/// What the urgency of a chain is drawn from; smaller numbers are more urgent.
#[derive(Clone, Copy, Debug)]
struct Drawing {
    key: RunKey,
    change: Ratio,
    /// The hash of the timers that fired, by name: a timer that fires again is another chain.
    fired: u64,
}

impl Drawing {
    /// The urgency of the chain that begins with an action that `key` names.
    fn first(self, offer: &Offer) -> u64 {
        self.then(Speeds(self.key).wait(offer), offer.key)
    }

    /// The urgency of the clock, which moves to a timer.
    fn of_clock(self, timer: u64) -> u64 {
        let key = hash::mix(self.fired, timer);
        self.then(Speeds(self.key).wait_of_clock(key), key)
    }

    /// The urgency of a chain from what `key` names on.
    fn then(self, urgency: u64, key: u64) -> u64 {
        let word = self.key.draw(Purpose::Change, key);
        if !self.change.holds(word) {
            return urgency;
        }
        let word = hash::mix(word, key);
        exponential(word) << (4 + below(hash::mix(word, key), 16))
    }
}

impl Pct {
    /// Chains for `seed` with the faults it draws from `plan`, and `depth` - 1 priority change points on average.
    ///
    /// # Panics
    /// If `depth` is not from 1 to 4.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan, depth: u32) -> Pct {
        assert!((1..=4).contains(&depth), "the depth is from 1 to 4, not {depth}");
        let expected = 8 << (2 * Prng::new(seed, Stream::Change).below(4));
        let change = if depth == 1 { Ratio::new(1, 1024) } else { Ratio::new(depth - 1, expected) };
        let drawing = Drawing { key: RunKey::new(seed), change, fired: 0 };
        let fates = Fates::new(&plan.for_seed(seed), drawing.key);
        Pct { fates, drawing, queue: Queue::default(), fresh: Vec::new(), running: None }
    }

    /// Puts what became possible by the last action into chains.
    fn chain(&mut self, enabled: &Enabled<'_>) {
        let (drawing, running) = (self.drawing, self.running.map(|(action, _)| action));
        let goes_on = |offer: &&Offer| match (running, offer.action) {
            (Some(Action::Deliver(_) | Action::Resume(_) | Action::Publish(_)), Action::Deliver(index)) => {
                enabled.delivery(index).attempt == 1
            }
            _ => false,
        };
        let continuing = continuing(drawing.key, self.fresh.iter().filter(goes_on));
        for offer in self.fresh.drain(..) {
            let urgency = match self.running {
                Some((_, urgency)) if continuing == Some(offer.key) => drawing.then(urgency, offer.key),
                _ => drawing.first(&offer),
            };
            self.queue.push(urgency, offer.key, offer.action);
        }
    }
}

/// Of what could continue a chain, the key of what does.
pub(super) fn continuing<'a>(key: RunKey, offers: impl Iterator<Item = &'a Offer>) -> Option<u64> {
    offers.map(|offer| offer.key).min_by_key(|offer| key.draw(Purpose::Chain, *offer))
}

impl Scheduler for Pct {
    fn offer(&mut self, offer: Offer) {
        self.fresh.push(offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        self.chain(enabled);
        let drawing = self.drawing;
        let (urgency, _, action) = self.queue.pop(enabled, |clock| drawing.of_clock(clock));
        if let (Action::Advance, Some(timer)) = (action, enabled.clock()) {
            self.drawing.fired = hash::mix(drawing.fired, timer);
        }
        self.running = Some((action, urgency));
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
