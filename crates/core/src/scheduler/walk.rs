//! The plain random walk: each step picks one of the enabled actions by its place in the list.
//!
//! It is the fastest way to play at random and what other tools do, so benchmarks use it. Its
//! decisions are numbered, not named: one message more shifts all of them. [`Keyed`](super::Keyed)
//! walks the same way without that fault.

use super::{Action, Chosen, Enabled, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::hash;
use crate::prng::{Purpose, RunKey, below};

/// Picks uniformly by position.
#[derive(Clone, Debug)]
pub struct Walk {
    fates: Fates,
    state: u64,
    commands_first: bool,
}

impl Walk {
    /// A walk for `seed`. With `commands_first`, all commands are sent before the first delivery.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan, commands_first: bool) -> Walk {
        let key = RunKey::new(seed);
        let fates = Fates::new(&plan.for_seed(seed), key);
        Walk { fates, state: key.draw(Purpose::Order, 0), commands_first }
    }
}

impl Scheduler for Walk {
    #[inline(always)]
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        if self.commands_first
            && let Some(client) = enabled.commands().first()
        {
            return Action::Command(*client);
        }
        self.state = hash::mix(self.state, enabled.len() as u64);
        enabled.get(below(self.state, enabled.len() as u32) as usize)
    }

    #[inline(always)]
    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
