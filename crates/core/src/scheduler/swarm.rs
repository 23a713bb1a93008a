//! Swarm testing of lanes: each seed has relative speeds of its own.
//!
//! What is offered waits for a time drawn by its name, as under [`Keyed`](super::Keyed), and each lane
//! (a subject on its way to a group, or a client), each handler that paused and each late ack is
//! slowed down by a factor between 1 and 1,024 that the seed draws for it; so is the clock. So some
//! seeds starve what others hurry, without anybody saying what is worth starving.

use super::queue::Queue;
use super::speeds::Speeds;
use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::prng::{Purpose, RunKey, below};

/// A lane is slowed down by a power of two below this one.
const SPEEDS: u32 = 11;

/// Picks at random, each lane with a speed of its own.
#[derive(Clone, Debug)]
pub struct Swarm {
    fates: Fates,
    key: RunKey,
    /// The time of the last action picked, in units of 2^-16 mean waits of the fastest.
    now: u64,
    queue: Queue,
}

impl Swarm {
    /// Speeds for `seed` with the faults it draws from `plan`.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Swarm {
        let key = RunKey::new(seed);
        Swarm { fates: Fates::new(&plan.for_seed(seed), key), key, now: 0, queue: Queue::default() }
    }
}

impl Scheduler for Swarm {
    fn offer(&mut self, offer: Offer) {
        let slow = below(self.key.draw(Purpose::Lane, offer.lane), SPEEDS);
        self.queue.push(self.now + (Speeds(self.key).wait(&offer) << slow), offer.key, offer.action);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let (speeds, now) = (Speeds(self.key), self.now);
        let (time, _, action) = self.queue.pop(enabled, |timer| now + speeds.wait_of_clock(timer));
        self.now = now.max(time);
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
