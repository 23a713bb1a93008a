//! The hold sweep: the calm run, then every run that departs from it once, then pairs.
//!
//! Most bugs of services that live on events need one late, doubled or half-handled message. Drawing
//! schedules meets each of those with some chance; here they are simply all played. Nothing is drawn,
//! so what comes out depends on the simulation alone, and not on the threads.

mod pairs;
mod singles;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use self::pairs::Plan;
use self::singles::Calm;
use super::{buckets, part};
use crate::event::System;
use crate::faults::FaultPlan;
use crate::hash;
use crate::run::{Judges, Limits, Report, Verdict, run};
use crate::schedule::Departure;
use crate::scheduler::Departing;
use crate::simulation::Simulation;

/// How many steps the pairs take together where nothing else is said: a second or two.
pub const PAIRS_STEPS: u64 = 2_000_000;

/// How many schedules a thread takes at a time.
const BLOCK: u64 = 16;

/// A sweep over the schedules nearest to the calm run.
pub struct HoldSweep<'a, S: System> {
    /// What is run.
    pub simulation: &'a Simulation<S>,
    /// What must hold.
    pub judges: &'a Judges<S>,
    /// How far a run may go.
    pub limits: Limits,
    /// What may go wrong: kinds of faults that never happen are not tried; how often they happen does
    /// not matter. Deliveries, commands and joins are held in any case.
    pub faults: FaultPlan,
    /// The most schedules with departures that are played, those with one first. If left out: all with
    /// one, and as many pairs as take about [`PAIRS_STEPS`] steps.
    pub schedules_max: Option<u64>,
    /// How many threads play; at least 1. The result does not depend on it.
    pub threads: u32,
}

/// Schedules that fail in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepartedBucket {
    /// The first of them in the order in which they are played: 0 is the calm run.
    pub place: u64,
    /// Its departures.
    pub departures: Vec<Departure>,
    /// Its verdict.
    pub verdict: Verdict,
    /// How many fail so.
    pub count: u64,
}

impl buckets::Bucket for DepartedBucket {
    fn place(&self) -> u64 {
        self.place
    }

    fn count(&mut self) -> &mut u64 {
        &mut self.count
    }
}

/// How many schedules of a kind there are and were played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are.
    pub all: u64,
    /// How many were played.
    pub played: u64,
    /// How many of those held.
    pub held: u64,
}

/// What came of a hold sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldSweepResult {
    /// What is delivered in the calm run.
    pub deliveries: u64,
    /// Schedules with one departure.
    pub singles: Tally,
    /// Schedules with two.
    pub pairs: Tally,
    /// The failures by signature, those of the calm run among them.
    pub buckets: BTreeMap<String, DepartedBucket>,
    /// The sum of the runs' fingerprints: equal for equal sweeps, whatever the threads.
    pub fingerprint: u64,
}

impl<S: System> HoldSweep<'_, S> {
    /// Plays the calm run, the single departures and pairs. `progress` hears from one thread how many
    /// runs are done, how many of that thread's own failed, and how many there are; when it breaks, no
    /// more are begun, and there is no result: which of them were played depends on the threads.
    #[must_use]
    pub fn run(&self, progress: impl Fn(u64, u64, u64) -> ControlFlow<()> + Sync) -> Option<HoldSweepResult> {
        let calm = Calm::of(self.simulation, self.judges, self.limits, &self.faults);
        let singles = calm.singles.len() as u64;
        let within_steps = || singles + PAIRS_STEPS / calm.report.steps.max(1);
        let plan = Plan::of(&calm.singles, self.schedules_max.unwrap_or_else(within_steps));
        // The calm run was played to see what can be departed from.
        let next = AtomicU64::new(1);
        let done = AtomicU64::new(1);
        let is_stopped = AtomicBool::new(false);
        let work = |leads: bool| {
            let mut result = HoldSweepResult::default();
            let mut world = self.simulation.world();
            while let Some(block) = part::take(&next, BLOCK, plan.len()).filter(|_| !is_stopped.load(Relaxed)) {
                let size = block.end - block.start;
                for place in block {
                    let departures = plan.at(place);
                    let mut departing = Departing::new(departures.clone());
                    world.reset();
                    let report = run(&mut world, &mut departing, self.judges, self.limits, &mut ());
                    result.add(place, singles, departures, report);
                }
                let done = done.fetch_add(size, Relaxed) + size;
                if leads {
                    let failed = result.buckets.values().map(|bucket| bucket.count).sum();
                    is_stopped.store(progress(done, failed, plan.len()).is_break(), Relaxed);
                }
            }
            result
        };
        let mut result = std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(|| work(false))).collect();
            others.into_iter().fold(work(true), |result, other| {
                result.merge(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        });
        result.deliveries = calm.report.counts.deliveries;
        result.add(0, singles, Vec::new(), calm.report);
        (result.singles.all, result.pairs.all) = (singles, plan.pairs_all());
        (!is_stopped.into_inner()).then_some(result)
    }
}

impl HoldSweepResult {
    /// How many runs were played, the calm one among them.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        1 + self.singles.played + self.pairs.played
    }

    /// Whether every run held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.buckets.is_empty()
    }

    fn add(&mut self, place: u64, singles: u64, departures: Vec<Departure>, report: Report) {
        self.fingerprint = self.fingerprint.wrapping_add(hash::mix(place, report.fingerprint));
        let tally = if place <= singles { &mut self.singles } else { &mut self.pairs };
        if place > 0 {
            tally.played += 1;
            tally.held += u64::from(report.verdict.is_held());
        }
        if let Some(signature) = report.verdict.signature() {
            buckets::add(
                &mut self.buckets,
                signature,
                DepartedBucket { place, departures, verdict: report.verdict, count: 1 },
            );
        }
    }

    fn merge(mut self, other: HoldSweepResult) -> HoldSweepResult {
        for (mine, others) in [(&mut self.singles, other.singles), (&mut self.pairs, other.pairs)] {
            mine.played += others.played;
            mine.held += others.held;
        }
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
        for (signature, bucket) in other.buckets {
            buckets::add(&mut self.buckets, signature, bucket);
        }
        self
    }
}
