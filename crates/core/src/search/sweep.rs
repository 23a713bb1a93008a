//! A sweep: many seeds of one source of runs, failures put into buckets by what they have in common.
//!
//! Seeds are independent, so threads take blocks of them; what comes out depends on the seeds alone
//! and not on the threads, because merging is a sum, and the first seed of a bucket is a minimum.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use serde::{Deserialize, Serialize};

use super::buckets;
use super::coverage::{Coverage, Seen, SituationWatch};
use super::part::{self, Part, SoFar};
use super::runs::{Looks, Runs, Survey};
use super::source::Source;
use crate::determinism::{Divergence, Footprints, Sample};
use crate::event::System;
use crate::run::{Counts, Judges, Report, Verdict};
use crate::scheduler::DepartureOutcome;
use crate::simulation::{BuildError, Simulation};
use crate::trace::detail;
use crate::vacuity::Occurred;

/// A range of seeds of a source of runs.
pub struct Sweep<'a, S: System> {
    /// Where the runs come from.
    pub source: &'a dyn Source<S>,
    /// What they are judged by, and what some of them should reach.
    pub judges: &'a Judges<S>,
    /// The seeds.
    pub seeds: Range<u64>,
    /// How many threads run them; at least 1.
    pub threads: u32,
}

/// Failures with the same signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// The smallest seed that fails so.
    pub seed: u64,
    /// Its verdict in a word ([`Verdict::word`]).
    pub verdict: String,
    /// Why, in words ([`detail`]).
    pub detail: String,
    /// Its steps.
    pub steps: u64,
    /// How many seeds fail so.
    pub count: u64,
}

impl buckets::Counted for Bucket {
    fn place(&self) -> u64 {
        self.seed
    }

    fn count(&mut self) -> &mut u64 {
        &mut self.count
    }
}

/// How many runs came to which verdict, and what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepResult {
    /// The sums.
    pub totals: Totals,
    /// The failures by signature.
    pub buckets: BTreeMap<String, Bucket>,
    /// The sum of the runs' fingerprints: equal for equal sweeps, whatever the threads.
    #[serde(with = "super::hex_text")]
    pub fingerprint: u64,
    /// Which delivery situations the runs met.
    pub coverage: Coverage,
    /// What tells what never happened in any run; `None` if there were no runs, or an earlier version has
    /// not noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<Looked>,
}

/// What tells, of several runs, what never happened in any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// How many messages were given up, because they were delivered too often.
    pub dead: u64,
    /// The clients of which no command was accepted in any run.
    pub refused: BTreeSet<String>,
    /// The best that came of each departure of the schedule.
    pub came: Vec<DepartureOutcome>,
}

impl Looked {
    fn of<S: System>(occurred: &Occurred, simulation: &Simulation<S>) -> Looked {
        Looked { dead: occurred.counts.given_up, refused: occurred.refused(simulation), came: occurred.came.clone() }
    }

    fn merge(&mut self, other: Looked) {
        self.dead += other.dead;
        self.refused.retain(|name| other.refused.contains(name));
        for (best, came) in self.came.iter_mut().zip(other.came) {
            *best = came.max(*best);
        }
    }
}

impl SweepResult {
    fn add(&mut self, seed: u64, report: &Report) {
        match &report.verdict {
            Verdict::Held => self.totals.held += 1,
            Verdict::Violated { .. } => self.totals.violated += 1,
            Verdict::Stuck { .. } => self.totals.stuck += 1,
            Verdict::Panicked { .. } => self.totals.panicked += 1,
        }
        self.totals.counts.add(&report.counts);
        self.fingerprint = self.fingerprint.wrapping_add(crate::hash::mix(seed, report.fingerprint));
        if let Some(signature) = report.verdict.signature() {
            match self.buckets.get_mut(&signature) {
                // The words are needed for the first only.
                Some(known) if known.seed < seed => known.count += 1,
                _ => {
                    let (verdict, detail) = (report.verdict.word().to_owned(), detail(&report.verdict));
                    let detail = detail.unwrap_or_default();
                    buckets::add(
                        &mut self.buckets,
                        signature,
                        Bucket { seed, verdict, detail, steps: report.steps, count: 1 },
                    );
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: SweepResult) {
        let (ours, theirs) = (self.totals.runs(), other.totals.runs());
        self.totals.held += other.totals.held;
        self.totals.violated += other.totals.violated;
        self.totals.stuck += other.totals.stuck;
        self.totals.panicked += other.totals.panicked;
        self.totals.counts.add(&other.totals.counts);
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
        self.coverage.merge(&other.coverage);
        match (&mut self.looked, other.looked) {
            (Some(looked), Some(others)) => looked.merge(others),
            (None, others) if ours == 0 => self.looked = others,
            (_, None) if theirs == 0 => {}
            // Of some runs nothing is known.
            (looked, _) => *looked = None,
        }
        for (signature, bucket) in other.buckets {
            buckets::add(&mut self.buckets, signature, bucket);
        }
    }
}

impl<S: System> Sweep<'_, S> {
    /// Plays the few seeds that [`Sweep::compare`] plays a second time; to be called before all others.
    ///
    /// # Errors
    /// If a simulation's parts do not fit.
    pub fn sample(&self) -> Result<Sample, BuildError> {
        let mut sample = Sample::default();
        for seed in Sample::of(&self.seeds) {
            let mut footprints = Footprints::default();
            Runs::new(self.source, self.judges).begin(seed)?.play(&mut footprints);
            sample.keep(seed, footprints);
        }
        Ok(sample)
    }

    /// Plays the seeds of a sample a second time, in another order and another thread.
    ///
    /// # Errors
    /// A seed that does something else the second time, and in which step: a handler keeps something
    /// elsewhere than in its store.
    pub fn compare(&self, sample: &Sample) -> Result<(), (u64, Divergence)> {
        sample.compare(|seed, footprints| {
            if let Ok(mut run) = Runs::new(self.source, self.judges).begin(seed) {
                run.play(footprints);
            }
        })
    }

    /// Runs all seeds. `progress` hears how many runs are done and how many of them failed.
    ///
    /// # Errors
    /// If a simulation's parts do not fit.
    pub fn run(&self, progress: impl Fn(u64, u64) + Sync) -> Result<SweepResult, BuildError> {
        let part = self.go_on(Part::none(self.seeds.start), |so_far| {
            progress(so_far.done, so_far.failed);
            ControlFlow::Continue(())
        })?;
        Ok(part.result)
    }

    /// Runs the seeds that `begun` has not covered. `watch` sees how far it is each time a thread has
    /// finished some; if it breaks, the runs under way are finished and no others begin.
    ///
    /// What comes back covers the seeds from the first up to one; all of them if `watch` never broke.
    ///
    /// # Errors
    /// If a simulation's parts do not fit.
    pub fn go_on(
        &self,
        begun: Part,
        watch: impl FnMut(&SoFar<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Part, BuildError> {
        // Found out here, so that no thread has to report it.
        self.source.simulation(self.seeds.start)?;
        part::play(begun, self.seeds.end, self.threads, watch, || {
            let mut player = Player::new(self);
            move |seeds| player.play(seeds)
        })
    }

    /// The fingerprint of the first seed's run: another one in another build says that what runs is
    /// not the same any more.
    ///
    /// # Errors
    /// If a simulation's parts do not fit.
    pub fn witness(&self) -> Result<u64, BuildError> {
        Ok(Runs::new(self.source, self.judges).begin(self.seeds.start)?.play(&mut ()).fingerprint)
    }
}

/// Plays seeds of a sweep.
struct Player<'a, S: System> {
    sweep: &'a Sweep<'a, S>,
    runs: Runs<'a, S>,
    survey: Survey,
}

impl<'a, S: System> Player<'a, S> {
    fn new(sweep: &'a Sweep<'a, S>) -> Player<'a, S> {
        Player { sweep, runs: Runs::new(sweep.source, sweep.judges), survey: Survey::default() }
    }

    /// What comes of these seeds, and in how many steps.
    fn play(&mut self, seeds: Range<u64>) -> Result<(Part, u64), BuildError> {
        let Player { sweep: Sweep { source, judges, .. }, runs, survey } = self;
        let (mut result, mut steps) = (SweepResult::default(), 0);
        survey.occurred = Occurred::default();
        let mut reached: Vec<_> = judges.sometimes().map(|some| (some.name(), Seen::default())).collect();
        for seed in seeds.clone() {
            let mut run = runs.begin(seed)?;
            let situations = || SituationWatch::new(run.world.simulation(), &source.means());
            survey.situations.get_or_insert_with(situations);
            // Which clients are accepted is all that steps are looked at for.
            let looks = match survey.occurred.has_accepted_all(run.world.simulation()) {
                true => Looks::Nowhere,
                false => Looks::AtCommands,
            };
            let report = survey.play(seed, &mut run, looks);
            for (name, seen) in &mut reached {
                seen.note_run(seed, report.reached.contains(name));
            }
            steps += report.steps;
            result.add(seed, &report);
        }
        result.coverage.note_reached(reached);
        result.looked = runs.simulation().map(|simulation| Looked::of(&survey.occurred, simulation));
        result.coverage.merge(&survey.take_coverage());
        Ok((Part { seeds, result }, steps))
    }
}
