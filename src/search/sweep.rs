//! A sweep: many seeds of one scenario, failures put into buckets by what they have in common.
//!
//! Seeds are independent, so threads take blocks of them; what comes out depends on the seeds alone
//! and not on the threads, because merging is a sum, and the first seed of a bucket is a minimum.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::coverage::{Coverage, Means, SituationWatch};
use crate::property::Sometimes;
use crate::run::{Counts, Verdict};
use crate::scenario::{Scenario, SchedulerKind};
use crate::simulation::BuildError;

/// How many seeds a thread takes at a time.
const BLOCK: u64 = 32;

/// A range of seeds of a scenario.
#[derive(Clone, Debug)]
pub struct Sweep<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many threads run them; at least 1.
    pub threads: u32,
}

/// Failures with the same signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The smallest seed that fails so.
    pub seed: u64,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its steps.
    pub steps: u64,
    /// How many seeds fail so.
    pub count: u64,
}

/// How many runs came to which verdict, and what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Runs that held.
    pub held: u64,
    /// Runs that violated a property.
    pub violated: u64,
    /// Runs that reached a limit.
    pub stuck: u64,
    /// Runs that panicked.
    pub panicked: u64,
    /// What happened how often in all of them.
    pub counts: Counts,
}

impl Totals {
    /// All runs.
    #[must_use]
    pub const fn runs(&self) -> u64 {
        self.held + self.violated + self.stuck + self.panicked
    }
}

/// What came of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepResult {
    /// The sums.
    pub totals: Totals,
    /// The failures by signature.
    pub buckets: BTreeMap<String, Bucket>,
    /// The sum of the runs' fingerprints: equal for equal sweeps, whatever the threads.
    pub fingerprint: u64,
    /// Which delivery situations the runs met.
    pub coverage: Coverage,
}

impl SweepResult {
    fn add(&mut self, seed: u64, report: crate::run::Report) {
        match report.verdict {
            Verdict::Held => self.totals.held += 1,
            Verdict::Violated { .. } => self.totals.violated += 1,
            Verdict::Stuck { .. } => self.totals.stuck += 1,
            Verdict::Panicked { .. } => self.totals.panicked += 1,
        }
        self.totals.counts.add(&report.counts);
        self.fingerprint = self.fingerprint.wrapping_add(crate::hash::mix(seed, report.fingerprint));
        if let Some(signature) = report.verdict.signature() {
            let bucket = Bucket { seed, verdict: report.verdict, steps: report.steps, count: 1 };
            self.add_bucket(signature, bucket);
        }
    }

    fn add_bucket(&mut self, signature: String, bucket: Bucket) {
        match self.buckets.get_mut(&signature) {
            None => {
                self.buckets.insert(signature, bucket);
            }
            Some(known) => {
                let count = known.count + bucket.count;
                if bucket.seed < known.seed {
                    *known = bucket;
                }
                known.count = count;
            }
        }
    }

    fn merge(&mut self, other: SweepResult) {
        self.totals.held += other.totals.held;
        self.totals.violated += other.totals.violated;
        self.totals.stuck += other.totals.stuck;
        self.totals.panicked += other.totals.panicked;
        self.totals.counts.add(&other.totals.counts);
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
        self.coverage.merge(&other.coverage);
        for (signature, bucket) in other.buckets {
            self.add_bucket(signature, bucket);
        }
    }
}

/// The depth of the PCT scheduler that plays a seed; `None` if none does.
fn pct_depth(scenario: &Scenario, seed: u64) -> Option<u32> {
    match scenario.scheduler_kind(seed) {
        _ if !scenario.schedule.is_empty() => None,
        SchedulerKind::Pct1 => Some(1),
        SchedulerKind::Pct2 => Some(2),
        SchedulerKind::Pct3 => Some(3),
        _ => None,
    }
}

impl Sweep<'_> {
    /// Runs all seeds. `progress` hears from one thread how many runs are done and how many of that
    /// thread's own failed.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn run(&self, progress: impl Fn(u64, u64) + Sync) -> Result<SweepResult, BuildError> {
        // Found out here, so that no thread has to report it.
        self.scenario.simulation(self.seeds.start)?;
        let next = AtomicU64::new(self.seeds.start);
        let done = AtomicU64::new(0);
        let failed = AtomicU64::new(0);
        let work = |leads: bool| {
            let mut result = SweepResult::default();
            let (mut world, mut watch) = (None, None);
            let judges = self.scenario.judges().with_sometimes(self.scenario.sometimes());
            let names: Vec<&str> = judges.sometimes().map(Sometimes::name).collect();
            loop {
                let end_of = |begin: u64| begin.saturating_add(BLOCK).min(self.seeds.end);
                let take = |begin| (begin < self.seeds.end).then(|| end_of(begin));
                let Ok(begin) = next.fetch_update(Relaxed, Relaxed, take) else {
                    result.coverage.merge(&watch.map(SituationWatch::into_coverage).unwrap_or_default());
                    return Ok(result);
                };
                let block = begin..end_of(begin);
                let size = block.end - block.start;
                let held_before = result.totals.held;
                for seed in block {
                    let world = match &mut world {
                        Some(world) if !self.scenario.varies() => world,
                        slot => slot.insert(self.scenario.simulation(seed)?.world()),
                    };
                    world.reset();
                    let watch =
                        watch.get_or_insert_with(|| SituationWatch::new(world.simulation(), &Means::of(self.scenario)));
                    let report = self.scenario.run(world, &judges, seed, watch);
                    watch.end_run(seed, report.steps);
                    result.coverage.note_reached(seed, &names, &report.reached);
                    result.coverage.note_scheduler(pct_depth(self.scenario, seed));
                    result.add(seed, report);
                }
                failed.fetch_add(size - (result.totals.held - held_before), Relaxed);
                let done = done.fetch_add(size, Relaxed) + size;
                if leads {
                    progress(done, failed.load(Relaxed));
                }
            }
        };
        let results = std::thread::scope(|scope| {
            let others: Vec<_> = (1..self.threads).map(|_| scope.spawn(|| work(false))).collect();
            let mut results = vec![work(true)];
            for other in others {
                results.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            results
        });
        let mut merged = SweepResult::default();
        for result in results {
            merged.merge(result?);
        }
        Ok(merged)
    }
}
