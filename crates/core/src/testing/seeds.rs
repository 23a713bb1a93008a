//! Seeds of a simulation, played on several threads: what comes of them depends on the seeds alone.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use crate::event::System;
use crate::faults::FaultPlan;
use crate::run::{Judges, Limits, Verdict};
use crate::search::{Coverage, Looks, Piece, Runs, Seeds, SituationWatch, Source, Survey, play};
use crate::simulation::{BuildError, Simulation};
use crate::vacuity::Occurred;

/// Of how many runs the delivery situations are counted: it takes longer than the runs.
const COVERED_MAX: u64 = 100;

/// What is played.
pub(super) struct Player<'a, S: System> {
    pub(super) simulation: &'a Simulation<S>,
    pub(super) judges: &'a Judges<S>,
    pub(super) plan: FaultPlan,
    pub(super) limits: Limits,
    pub(super) threads: u32,
    /// Whether no more runs are begun once one failed.
    pub(super) stops: bool,
}

/// Seeds in a row and what came of them.
pub(super) struct Played {
    seeds: Range<u64>,
    pub(super) occurred: Occurred,
    pub(super) coverage: Coverage,
    /// By signature, the first seed that fails so, its verdict, and how many do.
    pub(super) failures: BTreeMap<String, FailingSeeds>,
}

/// Seeds that fail in the same way.
pub(super) struct FailingSeeds {
    pub(super) first: u64,
    pub(super) verdict: Verdict,
    pub(super) count: u64,
}

impl Played {
    fn none(seed: u64) -> Played {
        let (occurred, coverage, failures) = (Occurred::default(), Coverage::default(), BTreeMap::new());
        Played { seeds: seed..seed, occurred, coverage, failures }
    }

    /// How many seeds were played.
    pub(super) fn runs(&self) -> u64 {
        self.seeds.end - self.seeds.start
    }

    /// Adds the next seed's verdict.
    fn add(&mut self, verdict: Verdict) {
        let first = self.seeds.end;
        self.seeds.end += 1;
        if let Some(signature) = verdict.signature() {
            self.failures.entry(signature).or_insert(FailingSeeds { first, verdict, count: 0 }).count += 1;
        }
    }
}

impl Piece for Played {
    fn range(&self) -> &Range<u64> {
        &self.seeds
    }

    fn failed(&self) -> u64 {
        self.failures.values().map(|failing| failing.count).sum()
    }

    fn append(&mut self, next: Played) {
        self.seeds.end = next.seeds.end;
        self.occurred.join(&next.occurred);
        self.coverage.merge(&next.coverage);
        for (signature, failing) in next.failures {
            // What comes later is never the first.
            let FailingSeeds { first, verdict, count } = failing;
            self.failures.entry(signature).or_insert(FailingSeeds { first, verdict, count: 0 }).count += count;
        }
    }
}

impl<S: System> Player<'_, S> {
    /// Plays these seeds.
    ///
    /// The steps of the first hundred are looked at; those of the others only if the first did not
    /// show all that steps can tell.
    pub(super) fn play(&self, seeds: &Range<u64>) -> Played {
        let looked_at = seeds.end.min(seeds.start.saturating_add(COVERED_MAX));
        // A group that listens to more subjects has more pairs of them than a watch can tell apart.
        let can_watch = self.simulation.inner.groups.iter().all(|group| group.subjects.len() <= 64);
        let begun = self.go_on(Played::none(seeds.start), looked_at, true, can_watch);
        if (self.stops && begun.failed() > 0) || looked_at == seeds.end {
            return begun;
        }
        let looks = !begun.occurred.has_seen_all(self.simulation);
        self.go_on(begun, seeds.end, looks, false)
    }

    fn go_on(&self, begun: Played, end: u64, looks: bool, watches: bool) -> Played {
        let Player { simulation, judges, threads, stops, .. } = *self;
        let source = self.source();
        let steps_looked_at = if looks { Looks::Everywhere } else { Looks::Nowhere };
        let watch = |so_far: &crate::search::SoFar<'_, Played>| match stops && so_far.failed > 0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let player = || {
            let mut runs = Runs::new(&source, judges);
            let situations = watches.then(|| SituationWatch::new(simulation, &source.means()));
            let mut survey = Survey { situations, ..Survey::default() };
            move |seeds: Range<u64>| {
                let (mut played, mut steps) = (Played::none(seeds.start), 0);
                for seed in seeds {
                    let report = survey.play(seed, &mut runs.begin(seed)?, steps_looked_at);
                    steps += report.steps;
                    played.add(report.verdict);
                }
                played.occurred = std::mem::take(&mut survey.occurred);
                played.coverage = survey.take_coverage();
                Ok((played, steps))
            }
        };
        let played: Result<Played, BuildError> = play(begun, end, threads, watch, player);
        played.unwrap_or_else(|error| unreachable!("it was built: {error}"))
    }

    /// The runs of the seeds.
    pub(super) fn source(&self) -> Seeds<'_, S> {
        Seeds { simulation: self.simulation, plan: self.plan, limits: self.limits }
    }
}
