//! Priorities that are drawn again where actions race.
//!
//! After Yuan, Yang and Gu, "Partial order aware concurrency sampling" (CAV 2018). Each action has a
//! random priority, and the most urgent enabled one is next. When it has happened, the priorities of
//! those that race with it are drawn again: otherwise what lost one race would go on to lose most of
//! the others, and orders in which it loses some and wins some would hardly be met.
//!
//! Two actions race if handlers of one service run in both: they read and save in one store. That
//! is more than those that touch a common record, because an order is handled by reading a ticket,
//! and which records a handler is going to touch nobody knows before. Late acks, joins of groups, and
//! deliveries to a group that several services share race with nothing.
//!
//! A priority is drawn by the name of the action, and again by the names of both.

use super::haste::Haste;
use super::{Action, Chosen, Enabled, Offer, Scheduler};
use crate::faults::{Fate, Fates, FaultPlan};
use crate::hash;
use crate::prng::{Purpose, RunKey};

/// Picks the most urgent action, and draws again the urgency of those that race with it.
#[derive(Clone, Debug)]
pub struct Pos {
    key: RunKey,
    fates: Fates,
    /// The offers with their urgency; smaller numbers are more urgent. One that is not enabled when
    /// its turn comes was overtaken by events.
    pending: Vec<(u64, Offer)>,
    /// The hash of the timers that fired, by name: a timer that fires again is drawn anew.
    fired: u64,
}

impl Pos {
    /// Priorities for `seed` with the faults it draws from `plan`.
    #[must_use]
    pub fn new(seed: u64, plan: FaultPlan) -> Pos {
        let key = RunKey::new(seed);
        Pos { key, fates: Fates::new(&plan.for_seed(seed), key), pending: Vec::new(), fired: 0 }
    }

    /// Draws again what races with what has happened.
    fn race(&mut self, happened: &Offer) {
        for (urgency, offer) in self.pending.iter_mut().filter(|(_, offer)| offer.place == happened.place) {
            let word = self.key.draw(Purpose::Race, hash::mix(happened.key, offer.key));
            *urgency = Haste(self.key).wait_drawn(offer, word);
        }
    }
}

impl Scheduler for Pos {
    fn offer(&mut self, offer: Offer) {
        self.pending.push((Haste(self.key).wait(&offer), offer));
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let clock = enabled.clock().map(|timer| Haste(self.key).wait_of_clock(hash::mix(self.fired, timer)));
        loop {
            let ranked = self.pending.iter().enumerate();
            let first = ranked.min_by_key(|(_, (urgency, offer))| (*urgency, offer.key, offer.action));
            match first.map(|(place, (urgency, _))| (place, *urgency)) {
                Some((place, urgency)) if clock.is_none_or(|clock| urgency <= clock) => {
                    let (_, offer) = self.pending.swap_remove(place);
                    if enabled.has(offer.action) {
                        self.race(&offer);
                        return offer.action;
                    }
                }
                _ => {
                    let timer = enabled.clock().expect("every enabled action except the clock was offered");
                    self.fired = hash::mix(self.fired, timer);
                    return Action::Advance;
                }
            }
        }
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.draw(&mut self.fates)
    }
}
