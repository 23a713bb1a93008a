//! What failed among the schedules and seeds of a check: the ways to fail, the first of them told at length.

use std::fmt::Write;

use super::seeds::{FailingSeeds, Played};
use super::story;
use crate::escape::for_terminal;
use crate::event::System;
use crate::faults::FaultPlan;
use crate::run::{Judges, Limits};
use crate::search::{DepartedBucket, HoldSweepResult, Tally};
use crate::simulation::Simulation;
use crate::trace::grouped;

/// All that failed.
pub(super) struct Failures<'a> {
    departed: &'a HoldSweepResult,
    played: Option<&'a Played>,
    /// In the order in which they were met.
    ways: Vec<Way<'a>>,
    /// Whether no more was looked for than one.
    only_first: bool,
}

/// Runs that fail with the same signature.
struct Way<'a> {
    signature: &'a str,
    departed: Option<&'a DepartedBucket>,
    seeds: Option<&'a FailingSeeds>,
}

impl<'a> Failures<'a> {
    /// Those of these schedules and seeds; with `only_first` no more than the first.
    pub(super) fn new(departed: &'a HoldSweepResult, played: Option<&'a Played>, only_first: bool) -> Failures<'a> {
        let seeds = |signature: &str| played.and_then(|played| played.failures.get(signature));
        let mut ways: Vec<Way<'a>> = Vec::new();
        for (signature, bucket) in &departed.buckets {
            ways.push(Way { signature, departed: Some(bucket), seeds: seeds(signature) });
        }
        for (signature, failing) in played.iter().flat_map(|played| &played.failures) {
            if !departed.buckets.contains_key(signature) {
                ways.push(Way { signature, departed: None, seeds: Some(failing) });
            }
        }
        let order = |way: &Way<'_>| {
            let first = way.seeds.map(|failing| failing.first);
            (way.departed.map_or(u64::MAX, |bucket| bucket.place), first)
        };
        ways.sort_by_key(order);
        ways.truncate(if only_first { 1 } else { usize::MAX });
        Failures { departed, played, ways, only_first }
    }

    /// The first way to fail at length, and then how often it and which others were met; `None` if nothing failed.
    pub(super) fn story<S: System>(
        &self,
        simulation: &Simulation<S>,
        (plan, limits): (FaultPlan, Limits),
        judges: &Judges<S>,
        command: Option<&story::Command<'_>>,
    ) -> Option<String> {
        let (first, others) = self.ways.split_first()?;
        let teller = story::Teller { simulation, judges, plan, limits, command };
        let mut text = match (first.departed, first.seeds) {
            (Some(bucket), _) => teller.departures(&bucket.departures, first.signature),
            (None, Some(failing)) => teller.seed(failing.first, &failing.verdict, &self.departed.finds()),
            (None, None) => return None,
        };
        // How many more were played before all stopped hangs on the threads.
        if !self.only_first {
            // Writing to a string cannot fail.
            let _ = write!(text, "\nso fail {}", self.times(first));
        }
        if !others.is_empty() {
            text += "\nother ways to fail:";
        }
        for way in others {
            let _ = write!(text, "\n    {}: {}", for_terminal(way.signature), self.times(way));
        }
        Some(text)
    }

    /// How often one was met: `3 of 14 schedules with one departure, 12 of 1,000 seeds`.
    fn times(&self, way: &Way<'_>) -> String {
        let Tally { played: singles, .. } = self.departed.singles;
        let (all, pairs) = (singles + self.departed.pairs.played, self.departed.pairs.played);
        let departures = if pairs == 0 { "one departure" } else { "one or two departures" };
        let times = |count: u64, of: u64, what: &str| format!("{} of {} {what}", grouped(count), grouped(of));
        let departed = way.departed.map(|bucket| match bucket.departures.is_empty() {
            true => {
                format!("the calm run and {}", times(bucket.count - 1, all, &format!("schedules with {departures}")))
            }
            false => times(bucket.count, all, &format!("schedules with {departures}")),
        });
        let seeds = way.seeds.zip(self.played).map(|(failing, played)| {
            let seeds = times(failing.count, played.runs(), "seeds");
            if way.departed.is_some() { seeds } else { format!("{seeds}, the first {}", failing.first) }
        });
        departed.into_iter().chain(seeds).collect::<Vec<_>>().join(", ")
    }
}
