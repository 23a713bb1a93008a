//! Checks that a simulation is deterministic: two runs, compared at every step.
//!
//! What a service could smuggle in (an order that a hash map made up, the wall clock, the thread it
//! runs on, an address) differs between two runs in different threads of one process, so the second
//! run is made in a thread of its own while the first one's world is still alive.

use std::fmt;

use crate::event::System;
use crate::hash;
use crate::run::{Judges, Limits, Observer, run};
use crate::scheduler::{Action, Scheduler};
use crate::simulation::Simulation;
use crate::world::{Step, World};

/// The first step at which two runs of the same thing differ.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    enabled: u64,
    state: u64,
    fingerprint: u64,
}

#[derive(Default)]
struct Footprints {
    steps: Vec<Footprint>,
    next: Footprint,
}

impl<S: System> Observer<S> for Footprints {
    fn before(&mut self, world: &World<S>, action: Action) {
        let enabled = world.enabled().iter().map(|action| hash::of_name(&world.describe(action)));
        self.next = Footprint {
            action: world.describe(action),
            // A sum, because the list's order is no part of the set.
            enabled: enabled.fold(0, u64::wrapping_add),
            ..Footprint::default()
        };
    }

    fn after(&mut self, world: &World<S>, _step: &Step) {
        let mut step = std::mem::take(&mut self.next);
        (step.state, step.fingerprint) = (world.digest(), world.fingerprint());
        self.steps.push(step);
    }
}

/// Runs the same simulation under the same schedule twice and compares what was enabled, what was
/// picked and what the state became, step by step.
///
/// `scheduler` makes the scheduler anew for each run.
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
        let mut footprints = Footprints::default();
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
            _ if one.enabled != other.enabled => "what was enabled",
            _ if one.action != other.action => "what was picked",
            _ if one.state != other.state => "the state after it",
            _ => "the fingerprint",
        };
        let (first, second) = (one.action.clone(), other.action.clone());
        return Err(Divergence { step: place as u64 + 1, what, first, second });
    }
    Ok(steps as u64)
}
