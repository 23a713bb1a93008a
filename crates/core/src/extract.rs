//! Extraction: any run, whoever picked its steps, as departures from the calm run.
//!
//! Beside the run that is played stands the calm one. Wherever the calm run would do something first
//! that the run does later, or never, that is held until the last step before which it would have been
//! done; each fault of a step becomes a departure of its own. So the departures are those of this
//! run and no other, and there are many of them:
//! [`shrink`](crate::shrink) makes them few.

use std::collections::BTreeMap;
use std::fmt;

use crate::event::System;
use crate::faults::{AckFate, Fate};
use crate::run::{Judges, Limits, Observer, Report, run};
use crate::schedule::{Departure, Target};
use crate::scheduler::{Action, Chosen, Departing, Enabled, Move, Offer, Scheduler, Tie};
use crate::service::Awaits;
use crate::simulation::Simulation;
use crate::world::{Step, World};

/// A run as departures.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Extracted {
    /// The departures with which [`Departing`] takes the same steps.
    pub departures: Vec<Departure>,
    /// The steps.
    pub steps: Vec<Move>,
    /// The report of the run.
    pub report: Report,
}

/// A run that its departures do not give again: two things in it have the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractError {
    /// The first step that is another one.
    pub step: u64,
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the departures of this run lead to another one at step {}: a name in it is not unique", self.step)
    }
}

impl std::error::Error for ExtractError {}

/// Plays a run and returns the departures that give it again, for a calm run with this `tie`.
///
/// # Errors
/// If they do not, which is found out by playing them.
pub fn extract<S: System>(
    simulation: &Simulation<S>,
    scheduler: impl Scheduler,
    judges: &Judges<S>,
    limits: Limits,
    tie: Tie,
) -> Result<Extracted, ExtractError> {
    let mut beside = Beside { tie, ..Beside::default() };
    let mut recording = Recording { scheduler, steps: Vec::new() };
    let report = run(&mut simulation.world(), &mut recording, judges, limits, &mut beside);
    let steps = recording.steps;
    let departures = beside.departures(&steps);
    let mut again = Recording { scheduler: Departing::with_tie(departures.clone(), tie), steps: Vec::new() };
    let report_again = run(&mut simulation.world(), &mut again, judges, limits, &mut ());
    // At which awaits a handler was to be interrupted shows only at those that it came to.
    let is_same = |(one, other): (&Move, &Move)| one.came_to() == other.came_to();
    let same = steps.iter().zip(&again.steps).take_while(|pair| is_same(*pair)).count();
    if (same, steps.len(), report_again.fingerprint) != (steps.len(), again.steps.len(), report.fingerprint) {
        return Err(ExtractError { step: same as u64 + 1 });
    }
    Ok(Extracted { departures, steps, report })
}

impl Move {
    /// It without what does not show in its step.
    fn came_to(&self) -> Move {
        Move { fate: Fate { awaits: Awaits::NONE, ..self.fate }, ..*self }
    }
}

/// Records what a scheduler decides.
struct Recording<T> {
    scheduler: T,
    steps: Vec<Move>,
}

impl<T: Scheduler> Scheduler for Recording<T> {
    fn offer(&mut self, offer: Offer) {
        self.scheduler.offer(offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let action = self.scheduler.pick(enabled);
        self.steps.push(Move::calm(action));
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        let fate = self.scheduler.fate(chosen);
        if let Some(step) = self.steps.last_mut() {
            step.fate = fate;
        }
        fate
    }

    fn in_rounds(&self) -> bool {
        self.scheduler.in_rounds()
    }
}

/// What identifies an action: of two that are about the same, one may begin and one go on.
type Key = (u8, u64);

/// An action that the calm run would have done before another one.
#[derive(Debug)]
struct Held {
    action: Action,
    what: Target,
    /// The last step before which it would have been done.
    until: usize,
}

/// A clock that moves to the end of an ack wait while other actions are enabled.
#[derive(Debug)]
struct EarlyClock {
    step: usize,
    others: Vec<Key>,
}

/// Stands beside a run and compares it to the calm one.
#[derive(Debug, Default)]
struct Beside {
    tie: Tie,
    /// What happened, step by step, and whose handler ran for it.
    targets: Vec<Target>,
    /// Whether a handler began to work in it, and goes on in it that had begun before.
    works: Vec<(bool, bool)>,
    /// Whether a handler was interrupted in it.
    paused: Vec<bool>,
    services: Vec<Option<String>>,
    /// In the order in which they were held.
    keys: Vec<Key>,
    held: BTreeMap<Key, Held>,
    clocks: Vec<EarlyClock>,
}

impl<S: System> Observer<S> for Beside {
    fn before(&mut self, world: &World<S>, action: Action) {
        let enabled = world.enabled();
        let (rank, step) = (enabled.calm_rank(action, self.tie), self.targets.len());
        let mut others = Vec::new();
        for other in enabled.iter().filter(|other| enabled.calm_rank(*other, self.tie) < rank) {
            let Some(key) = key_of(world, other) else { continue };
            others.push(key);
            match self.held.get_mut(&key) {
                Some(held) => held.until = step,
                None => {
                    let Some(what) = world.target(other) else { continue };
                    self.held.insert(key, Held { action: other, what, until: step });
                    self.keys.push(key);
                }
            }
        }
        let moves_anyway = enabled.has_service_timer() || enabled.works;
        if enabled.ack_wait().is_some() && action == Action::Advance && !moves_anyway {
            self.clocks.push(EarlyClock { step, others });
        }
        self.targets.extend(world.target(action));
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        self.paused.push(step.pauses());
        self.works.push((step.works(), step.goes_on_with()));
        self.services.push(step.actor.map(|actor| world.service_name(actor.service).to_owned()));
    }

    fn panicked(&mut self, world: &World<S>, step: &Step, _: &str) {
        self.after(world, step);
    }
}

/// The departure by which an action waits.
fn waiting(held: &Held, until: Option<Target>) -> Departure {
    match (held.action, held.what.clone()) {
        (Action::Resume(_), Target::Start(what)) => Departure::Pause { what: *what, until },
        (Action::Resume(_), what) => Departure::Pause { what, until },
        (_, Target::Ack(what)) => Departure::DelayAck { what, until },
        (_, Target::Publish(what)) => Departure::SlowPublish { what: *what, until },
        (_, what) => Departure::Hold { what, until },
    }
}

fn key_of<S: System>(world: &World<S>, action: Action) -> Option<Key> {
    let key = match action {
        Action::Deliver(index) => world.broker().delivery(index).key,
        action => world.target(action)?.key(),
    };
    Some((u8::from(matches!(action, Action::Resume(_))), key))
}

impl Beside {
    /// The departures of a run that took these steps.
    fn departures(self, steps: &[Move]) -> Vec<Departure> {
        let mut departures: Vec<Departure> = Vec::new();
        let ends = self.ends(steps);
        for key in &self.keys {
            let held = &self.held[key];
            let until = Some(ends[held.until].clone());
            departures.push(waiting(held, until));
        }
        for clock in &self.clocks {
            // The clock moves that far only if somebody waits for it.
            let waits = |key: &&Key| {
                let until = self.held[*key].until;
                until >= clock.step && matches!(self.targets[until], Target::AckWait(_))
            };
            if let Some(first) = clock.others.first().filter(|_| !clock.others.iter().any(|key| waits(&key))) {
                departures.push(waiting(&self.held[first], Some(self.targets[clock.step].clone())));
            }
        }
        for (place, Move { action, fate }) in steps.iter().enumerate().take(self.targets.len()) {
            if let (Action::Resume(_), what @ Target::Await { what: handled, .. }) = (action, &self.targets[place])
                && !self.held.contains_key(&(1, what.key()))
            {
                let until = Some(Target::Pause(handled.clone()));
                departures.push(Departure::Pause { what: what.clone(), until });
            }
            if !matches!(action, Action::Resume(_)) && *fate != Fate::CALM {
                self.add_fate(&mut departures, place, *fate);
            }
        }
        departures
    }

    /// How departures name the steps that others wait for.
    fn ends(&self, steps: &[Move]) -> Vec<Target> {
        let ends = self.targets.iter().zip(steps).enumerate().map(|(place, (target, Move { action, fate }))| {
            let begins = !matches!(action, Action::Resume(_));
            match self.works.get(place) {
                _ if begins && self.pauses(place, *fate) => Target::Pause(Box::new(target.clone())),
                Some((true, false)) => Target::Start(Box::new(target.clone())),
                _ => target.clone(),
            }
        });
        ends.collect()
    }

    /// Whether a handler was interrupted in a step; one that was not taken to its end was to be.
    fn pauses(&self, place: usize, fate: Fate) -> bool {
        self.paused.get(place).copied().unwrap_or(fate.pause)
    }

    /// Adds the departures for the faults of a step.
    fn add_fate(&self, departures: &mut Vec<Departure>, place: usize, fate: Fate) {
        let what = &self.targets[place];
        let is_held = |key: Key| self.held.contains_key(&key);
        let resumes = [what.key(), Target::Start(Box::new(what.clone())).key()];
        if fate.pause && self.pauses(place, fate) && !resumes.into_iter().any(|key| is_held((1, key))) {
            let until = Some(Target::Pause(Box::new(what.clone())));
            departures.push(Departure::Pause { what: what.clone(), until });
        }
        if fate.slow_publish && !is_held((0, Target::Publish(Box::new(what.clone())).key())) {
            departures.push(Departure::SlowPublish { what: what.clone(), until: Some(what.clone()) });
        }
        if let Target::Delivery(delivery) = what {
            match fate.ack {
                AckFate::Prompt => {}
                AckFate::Lost => departures.push(Departure::LoseAck(delivery.clone())),
                AckFate::Late if is_held((0, Target::Ack(delivery.clone()).key())) => {}
                AckFate::Late => {
                    departures.push(Departure::DelayAck { what: delivery.clone(), until: Some(what.clone()) });
                }
            }
            if fate.duplicate {
                departures.push(Departure::Duplicate(delivery.clone()));
            }
            if fate.lose {
                departures.push(Departure::Lose(delivery.clone()));
            }
            if fate.fetch > 0 {
                departures.push(Departure::Fetch { inbox: fate.fetch, what: delivery.clone() });
            }
            if let Some(change) = fate.change {
                departures.push(Departure::MemberChange { change, what: delivery.clone() });
            }
        }
        if fate.republish {
            departures.push(Departure::Republish(what.clone()));
        }
        if let Some(fault) = fate.answer {
            departures.push(Departure::Answer { fault, what: what.clone() });
        }
        if let Some(window) = fate.crash {
            let service = self.services.get(place).cloned().flatten().unwrap_or_default();
            departures.push(Departure::Crash { service, window, what: what.clone() });
        }
    }
}
