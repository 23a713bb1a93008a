//! The calm run with departures.

use std::collections::BTreeSet;

use super::{Action, Chosen, Enabled, Offer, PauseIndex, Scheduler};
use crate::broker::DeliveryIndex;
use crate::faults::{AckFate, Fate};
use crate::schedule::{Departure, Target};

/// A departure with what is worked out of it once.
#[derive(Clone, Debug)]
struct Planned {
    departure: Departure,
    /// The key of what it is about.
    what: u64,
    /// The key of what ends it.
    until: Option<u64>,
    used: bool,
}

/// For what something waits, from what waits least to what waits longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    Nothing,
    Quiescence,
    Handling,
}

/// Plays the calm run, departing from it where the schedule says so. A departure that names
/// something which never comes has no effect; [`Departing::unused`] tells.
#[derive(Clone, Debug)]
pub struct Departing {
    schedule: Vec<Planned>,
    /// The keys of the deliveries, commands and timers whose handlers are done.
    handled: BTreeSet<u64>,
    /// The key of what was told to pause in the running step.
    pausing: Option<u64>,
    /// The handlers that paused, and the keys of what they handle.
    paused: Vec<(PauseIndex, u64)>,
}

impl Departing {
    /// The calm run with these departures.
    #[must_use]
    pub fn new(schedule: Vec<Departure>) -> Departing {
        let planned = schedule.into_iter().map(|departure| {
            let (what, until) = (departure.what().key(), departure.until().map(Target::key));
            Planned { departure, what, until, used: false }
        });
        Departing { schedule: planned.collect(), handled: BTreeSet::new(), pausing: None, paused: Vec::new() }
    }

    /// The departures that have had no effect so far.
    pub fn unused(&self) -> impl Iterator<Item = &Departure> {
        self.schedule.iter().filter(|planned| !planned.used).map(|planned| &planned.departure)
    }

    /// What the schedule lets a delivery or a paused handler wait for.
    fn wait_of(&self, action: Action, enabled: &Enabled<'_>) -> Wait {
        match action {
            Action::Deliver(index) => {
                let holds = |departure: &Departure| matches!(departure, Departure::Hold { .. });
                self.longest_wait(enabled.delivery(index).key, holds)
            }
            Action::Resume(index) => {
                let key = self.paused.iter().find(|(paused, _)| *paused == index).map(|(_, key)| *key);
                let pauses = |departure: &Departure| matches!(departure, Departure::Pause { .. });
                key.map_or(Wait::Nothing, |key| self.longest_wait(key, pauses))
            }
            _ => Wait::Nothing,
        }
    }

    fn longest_wait(&self, key: u64, kind: impl Fn(&Departure) -> bool) -> Wait {
        let here = self.schedule.iter().filter(|planned| planned.what == key && kind(&planned.departure));
        let waits = here.map(|planned| match planned.until {
            None => Wait::Quiescence,
            Some(until) if self.handled.contains(&until) => Wait::Nothing,
            Some(_) => Wait::Handling,
        });
        waits.max().unwrap_or(Wait::Nothing)
    }

    fn runs_past(&self, key: u64) -> bool {
        self.schedule.iter().any(|planned| planned.what == key && matches!(planned.departure, Departure::RunPast(_)))
    }

    /// Notes which holds are met, so that they count as used.
    fn note_holds(&mut self, enabled: &Enabled<'_>) {
        for planned in &mut self.schedule {
            if matches!(planned.departure, Departure::Hold { .. }) && !planned.used {
                planned.used = enabled.ready().iter().any(|index| enabled.delivery(*index).key == planned.what);
            }
        }
    }

    /// The next action: what the calm run does with what does not wait; then what waits for
    /// quiescence, which this is; then the clock, if a service's timer may bring about what the
    /// others wait for; then those others, whose time will not come.
    fn next(&self, enabled: &Enabled<'_>) -> Option<Action> {
        let wait = |action| self.wait_of(action, enabled);
        let past = |index: DeliveryIndex| self.runs_past(enabled.delivery(index).key);
        let clock = || enabled.clock().map(|_| Action::Advance);
        enabled
            .calm_before_clock(|action| wait(action) == Wait::Nothing, past)
            .or_else(|| enabled.first_waiting(|action| wait(action) == Wait::Quiescence))
            .or_else(|| clock().filter(|_| enabled.has_service_timer()))
            .or_else(|| enabled.first_waiting(|_| true))
            .or_else(clock)
            // A late ack whose ack wait never ends.
            .or_else(|| enabled.calm())
    }

    /// Notes what is done with the picked action. What has a fate is noted when that is decided.
    fn note_picked(&mut self, action: Action) {
        if let Action::Resume(index) = action
            && let Some(place) = self.paused.iter().position(|(paused, _)| *paused == index)
        {
            self.handled.insert(self.paused.remove(place).1);
        }
    }
}

impl Scheduler for Departing {
    fn offer(&mut self, offer: Offer) {
        if let Action::Resume(index) = offer.action
            && let Some(key) = self.pausing.take()
        {
            self.paused.push((index, key));
        }
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        self.note_holds(enabled);
        let action = self.next(enabled).expect("a scheduler is asked only when something may happen");
        self.note_picked(action);
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        let mut fate = Fate::CALM;
        for planned in self.schedule.iter_mut().filter(|planned| planned.what == chosen.key) {
            match &planned.departure {
                Departure::Hold { .. } => continue,
                Departure::Pause { .. } if !chosen.may_pause => continue,
                Departure::Pause { .. } => {
                    fate.pause |= planned.until.is_none_or(|until| !self.handled.contains(&until));
                }
                Departure::Duplicate(_) => fate.duplicate = true,
                Departure::LoseAck(_) => fate.ack = AckFate::Lost,
                Departure::Crash { window, .. } => fate.crash = Some(*window),
                Departure::RunPast(_) => fate.ack = AckFate::Late,
                Departure::Lose(_) => fate.lose = true,
            }
            planned.used = true;
        }
        let fate = chosen.restrict(fate);
        if fate.pause {
            self.pausing = Some(chosen.key);
        } else if !fate.lose {
            self.handled.insert(chosen.key);
        }
        fate
    }
}
