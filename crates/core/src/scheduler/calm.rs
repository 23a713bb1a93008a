//! The calm run: everything at once, in publish order, nothing goes wrong.

use super::calm_order::CalmOrder;
use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::prng::RunKey;

/// Delivers at once and in publish order, settles between two commands, moves the clock last.
/// Faults, if the plan has any, fall on that calm order.
#[derive(Clone, Debug)]
pub struct Calm {
    fates: Fates,
    order: CalmOrder,
}

impl Calm {
    /// The calm order with the faults `seed` draws from `plan`.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Calm {
        // Where nothing is drawn, no seed need be turned into a key.
        let key = if plan.is_calm() { RunKey::NONE } else { RunKey::new(seed) };
        Calm { fates: Fates::new(&plan.for_seed(seed), key), order: CalmOrder::default() }
    }
}

impl Scheduler for Calm {
    fn offer(&mut self, offer: Offer) {
        self.order.offer(offer.action);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        self.order.calm(enabled).expect("a scheduler is asked only when something may happen")
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
