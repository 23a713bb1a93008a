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

use super::queue::{Queue, exponential};
use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::prng::{Purpose, RunKey};

/// Picks uniformly, or with some lanes slowed down, by identity.
#[derive(Clone, Debug)]
pub struct Keyed {
    fates: Fates,
    pace: Pace,
    /// The time of the last action picked, in units of 2^-16 mean waits.
    now: u64,
    queue: Queue,
}

/// How long what is offered waits.
#[derive(Clone, Copy, Debug)]
struct Pace {
    key: RunKey,
    slow_lanes: bool,
}

impl Pace {
    fn wait(self, key: u64, lane: u64) -> u64 {
        let wait = exponential(self.key.draw(Purpose::Order, key));
        // One lane in four is 32 times slower than the others.
        let slow = self.slow_lanes && self.key.draw(Purpose::Lane, lane) >> 62 == 0;
        if slow { wait << 5 } else { wait }
    }
}

impl Keyed {
    /// A walk for `seed` with the faults it draws from `plan`.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Keyed {
        // Half of the seeds walk evenly: slow lanes find one kind of bug and hide another.
        let key = RunKey::new(seed);
        let slow_lanes = key.draw(Purpose::Lane, 0) >> 63 == 1;
        Keyed {
            fates: Fates::new(&plan.for_seed(seed), key),
            pace: Pace { key, slow_lanes },
            now: 0,
            queue: Queue::default(),
        }
    }

    /// The same walk with no lane slowed down, for whatever seed.
    #[must_use]
    pub fn evenly(seed: u64, plan: FaultPlan) -> Keyed {
        let mut walk = Keyed::new(seed, plan);
        walk.pace.slow_lanes = false;
        walk
    }
}

impl Scheduler for Keyed {
    fn offer(&mut self, offer: Offer) {
        self.queue.push(self.now + self.pace.wait(offer.key, offer.lane), offer.key, offer.action);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let (pace, now) = (self.pace, self.now);
        let (time, _, action) = self.queue.pop(enabled, |clock| now + pace.wait(clock, clock));
        self.now = now.max(time);
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
