//! The calm run with departures.

use std::collections::BTreeSet;

use super::{Action, Chosen, Enabled, Scheduler};
use crate::broker::{Delivery, DeliveryIndex};
use crate::faults::{AckFate, Fate};
use crate::schedule::Departure;

/// Plays the calm run, departing from it where the schedule says so. A departure that names a
/// delivery which never comes has no effect; [`Departing::unused`] tells.
#[derive(Clone, Debug)]
pub struct Departing {
    schedule: Vec<Departure>,
    used: Vec<bool>,
    /// The keys of the deliveries handled so far.
    handled: BTreeSet<u64>,
}

impl Departing {
    /// The calm run with these departures.
    #[must_use]
    pub fn new(schedule: Vec<Departure>) -> Departing {
        Departing { used: vec![false; schedule.len()], schedule, handled: BTreeSet::new() }
    }

    /// The departures that have had no effect so far.
    pub fn unused(&self) -> impl Iterator<Item = &Departure> {
        self.schedule.iter().zip(&self.used).filter(|(_, used)| !**used).map(|(departure, _)| departure)
    }

    fn is_held(&self, delivery: &Delivery) -> bool {
        self.schedule.iter().any(|departure| match departure {
            Departure::Hold { what, until } => {
                let over = until.as_ref().is_some_and(|until| self.handled.contains(&until.key()));
                !over && what.key() == delivery.key
            }
            _ => false,
        })
    }

    fn runs_past(&self, delivery: &Delivery) -> bool {
        self.schedule
            .iter()
            .any(|departure| matches!(departure, Departure::RunPast(what) if what.key() == delivery.key))
    }

    /// Notes which holds are in force, so that they count as used.
    fn note_holds(&mut self, enabled: &Enabled<'_>) {
        for (departure, used) in self.schedule.iter().zip(&mut self.used) {
            if let Departure::Hold { what, .. } = departure
                && !*used
            {
                let key = what.key();
                *used = enabled.ready().iter().any(|index| enabled.delivery(*index).key == key);
            }
        }
    }
}

impl Scheduler for Departing {
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        self.note_holds(enabled);
        let held = |index: DeliveryIndex| self.is_held(enabled.delivery(index));
        let past = |index: DeliveryIndex| self.runs_past(enabled.delivery(index));
        let calm = enabled.calm_but(held, past).or_else(|| enabled.calm());
        calm.expect("a scheduler is asked only when something may happen")
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        let mut fate = Fate::CALM;
        if chosen.is_delivery {
            self.handled.insert(chosen.key);
        }
        for (departure, used) in self.schedule.iter().zip(&mut self.used) {
            let here = departure.deliveries().next().is_some_and(|what| what.key() == chosen.key);
            match departure {
                _ if !here => continue,
                Departure::Hold { .. } => continue,
                Departure::Duplicate(_) => fate.duplicate = true,
                Departure::LoseAck(_) => fate.ack = AckFate::Lost,
                Departure::Crash { window, .. } => fate.crash = Some(*window),
                Departure::RunPast(_) => fate.ack = AckFate::Late,
            }
            *used = true;
        }
        fate
    }
}
