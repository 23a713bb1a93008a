//! Checks that a simulation is deterministic: two runs, compared at every step.
//!
//! What a service could smuggle in (an order that a hash map made up, the wall clock, the thread it
//! runs on, an address) differs between two runs in different threads of one process, so the second
//! run is made in a thread of its own while the first one's world is still alive.
//!
//! What a service keeps elsewhere than in its store (a cache, a counter) differs between two runs of one
//! seed if other seeds were played between them. So of many seeds a [`Sample`] is played a second time
//! when all are done, the last one first.

use std::fmt;
use std::ops::Range;

use crate::event::System;
use crate::hash;
use crate::run::{Judges, Limits, Observer, run};
use crate::scheduler::{Action, Scheduler};
use crate::service::Outcome;
use crate::simulation::Simulation;
use crate::store::{RowText, Store};
use crate::world::{Answer, Step, World};

/// The first step at which two runs of the same thing differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Divergence {
    /// The step, from 1.
    pub step: u64,
    /// What differs.
    pub what: &'static str,
    /// What the first run did in this step.
    pub first: String,
    /// What the second run did in this step.
    pub second: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two runs differ at step {} in {}: first {}, then {}", self.step, self.what, self.first, self.second)
    }
}

impl std::error::Error for Divergence {}

/// What is compared of each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Footprint {
    action: String,
    /// What the handler answered, with its reason.
    answer: String,
    /// What it saved, removed, did outside and published, a line each.
    did: String,
    enabled: u64,
    state: u64,
    fingerprint: u64,
}

/// How the answer of a step begins whose handler panicked.
const PANICS: &str = "panics: ";

impl Footprint {
    fn panics(&self) -> bool {
        self.answer.starts_with(PANICS)
    }
}

/// What a run did, step by step, to be compared with another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprints {
    steps: Vec<Footprint>,
    next: Footprint,
    /// Whether what is enabled and the whole state are compared, which takes longer than a step.
    is_thorough: bool,
}

/// How much is shown of what a step did.
const DID_MAX: usize = 400;

/// How many steps of a run are kept to be compared.
const STEPS_MAX: usize = 10_000;

impl<S: System> Observer<S> for Footprints {
    fn before(&mut self, world: &World<S>, action: Action) {
        if !self.is_thorough && self.steps.len() >= STEPS_MAX {
            return;
        }
        self.next.action = world.describe(action);
        if self.is_thorough {
            let enabled = world.enabled().iter().map(|action| hash::of_name(&world.describe(action)));
            // A sum, because the list's order is no part of the set.
            self.next.enabled = enabled.fold(0, u64::wrapping_add);
        }
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        if !self.is_thorough && self.steps.len() >= STEPS_MAX {
            return;
        }
        let mut taken = std::mem::take(&mut self.next);
        taken.answer = step.answer.map(in_words).unwrap_or_default();
        taken.did = did(world, step);
        taken.fingerprint = world.fingerprint();
        if self.is_thorough {
            taken.state = world.digest();
        }
        self.steps.push(taken);
    }

    fn panicked(&mut self, world: &World<S>, step: &Step, message: &str) {
        let steps = self.steps.len();
        self.after(world, step);
        if let Some(last) = self.steps.get_mut(steps) {
            last.answer = format!("{PANICS}{message}");
        }
    }
}

/// What a step's handler did, a line each.
fn did<S: System>(world: &World<S>, step: &Step) -> String {
    let store = step.actor.filter(|_| step.ran()).map(|actor| world.store(actor.service));
    let mut did = String::new();
    for RowText { id, version, fields, removed, .. } in store.map(Store::changed_texts).unwrap_or_default() {
        did += &match removed {
            true => format!("removes {id}@{version}\n"),
            false => format!("saves {id}@{version} {fields}\n"),
        };
    }
    for outside in world.outside_in(step) {
        did += &format!("does {outside}\n");
    }
    for message in &world.broker().messages()[step.published.clone()] {
        // An event is in the trace of its own accord; one that cannot be written is there by name.
        let body = serde_json::to_string(&message.event).unwrap_or_default();
        did += &format!("publishes {} {body}\n", message.name);
    }
    did
}

/// The first lines in which two texts differ that say what was done; where one of them ends, it does nothing more.
#[must_use]
pub fn first_difference<'t>(one: &'t str, other: &'t str) -> (&'t str, &'t str) {
    let (mut ones, mut others) = (one.lines(), other.lines());
    loop {
        match (ones.next(), others.next()) {
            (Some(one), Some(other)) if one == other => {}
            (one, other) => return (one.unwrap_or("nothing more"), other.unwrap_or("nothing more")),
        }
    }
}

/// An answer with its reason, if it has one.
fn in_words(answer: Answer) -> String {
    match answer {
        Answer::Delivery(Outcome::Ack) => "ack".to_owned(),
        Answer::Delivery(Outcome::Nak { reason, delay: None }) => format!("nak ({reason})"),
        Answer::Delivery(Outcome::Nak { reason, delay: Some(delay) }) => format!("nak after {delay:?} ({reason})"),
        Answer::Delivery(Outcome::Silent(reason)) => format!("no answer ({reason})"),
        Answer::Command(Ok(())) => "accepted".to_owned(),
        Answer::Command(Err(rejection)) => format!("refused with {} ({})", rejection.status, rejection.reason),
        Answer::Timer => "done".to_owned(),
        Answer::Paused => "paused".to_owned(),
        Answer::Works => "works".to_owned(),
        Answer::Crashed { .. } | Answer::CrashedBetween { .. } => "crashed".to_owned(),
        Answer::Lost => "lost".to_owned(),
    }
}

/// The runs of some seeds, to be compared with second ones.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<(u64, Footprints)>);

/// How many seeds are played twice.
const SAMPLE: u64 = 5;

impl Sample {
    /// The seeds of a range that are played twice: the first, which nothing was played before, and some
    /// spread over the rest.
    pub(crate) fn of(seeds: &Range<u64>) -> Vec<u64> {
        let length = seeds.end.saturating_sub(seeds.start);
        let step = (length / SAMPLE).max(1);
        (0..SAMPLE.min(length)).map(|place| seeds.start + place * step).collect()
    }

    /// Keeps the run of a seed.
    pub(crate) fn keep(&mut self, seed: u64, footprints: Footprints) {
        self.0.push((seed, footprints));
    }

    /// Plays the seeds again, in a thread of its own and the last one first.
    ///
    /// # Errors
    /// The smallest seed of which a step differs, and the first step that does.
    pub(crate) fn compare(&self, play: impl Fn(u64, &mut Footprints) + Sync) -> Result<(), (u64, Divergence)> {
        let again = || {
            let mut differing = None;
            for (seed, first) in self.0.iter().rev() {
                let mut second = Footprints::default();
                play(*seed, &mut second);
                if let Err(divergence) = compare(&first.steps, &second.steps) {
                    differing = Some((*seed, divergence));
                }
            }
            differing.map_or(Ok(()), Err)
        };
        let compared = std::thread::scope(|scope| scope.spawn(again).join());
        compared.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Runs the same simulation under the same schedule twice and compares what was enabled, what was
/// picked, what was answered with which reason and what the state became, step by step.
///
/// `scheduler` makes a new scheduler for each run.
///
/// # Errors
/// The first step that differs.
///
/// # Panics
/// If the thread of the second run cannot be started.
pub fn check<S: System>(
    simulation: &Simulation<S>,
    scheduler: impl Fn() -> Box<dyn Scheduler> + Sync,
    limits: Limits,
) -> Result<u64, Divergence> {
    let play = || {
        let mut footprints = Footprints { is_thorough: true, ..Footprints::default() };
        let mut world = simulation.world();
        run(&mut world, &mut scheduler(), &Judges::new(Vec::new()), limits, &mut footprints);
        (world, footprints.steps)
    };
    let (world, first) = play();
    let second = std::thread::scope(|scope| scope.spawn(|| play().1).join());
    let second = second.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    drop(world);
    compare(&first, &second)
}

fn compare(first: &[Footprint], second: &[Footprint]) -> Result<u64, Divergence> {
    let none = Footprint { action: "nothing".to_owned(), ..Footprint::default() };
    let steps = first.len().max(second.len());
    for place in 0..steps {
        let (one, other) = (first.get(place).unwrap_or(&none), second.get(place).unwrap_or(&none));
        let what = match (one, other) {
            _ if one == other => continue,
            // What a panic says may have times and addresses in it.
            _ if one.action == other.action && one.panics() && other.panics() => continue,
            _ if one.enabled != other.enabled => "what was enabled",
            _ if one.action != other.action => "what was picked",
            _ if one.answer != other.answer => "the answer",
            _ if one.did != other.did => "what it saved or published",
            _ if one.state != other.state => "the state after it",
            _ => "what cannot be seen of it",
        };
        let (did, did_now) = match what {
            "the answer" => (one.answer.as_str(), other.answer.as_str()),
            "what it saved or published" => first_difference(&one.did, &other.did),
            _ => ("", ""),
        };
        let told = |action: &str, did: &str| {
            let did: String = did.chars().take(DID_MAX).collect();
            if did.is_empty() { action.to_owned() } else { format!("{action}: {did}") }
        };
        let (first, second) = (told(&one.action, did), told(&other.action, did_now));
        return Err(Divergence { step: place as u64 + 1, what, first, second });
    }
    Ok(steps as u64)
}
