//! Incidents as they are played: by their departures, and by a search that does not know these.

use std::ops::ControlFlow;

use pellmell::explain::Explain;
use pellmell::run::run;
use pellmell::search::{HoldSweep, Seeds, Sweep};
use pellmell::testing::{Check, Checked};
use pellmell::{Departing, Departure, Limits, Verdict};

use crate::{ALL, Incident};

/// How many seeds are played where no schedule with one departure fails.
pub(crate) const SEEDS_MAX: u64 = 100;

/// How a search found an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many schedules were played, the one that fails included: first the calm run, then those that depart
    /// from it once, then seeds.
    pub schedules: u64,
    /// What departs in it; `None` if it is a seed.
    pub departures: Option<Vec<Departure>>,
}

impl Incident {
    /// Its departures.
    ///
    /// # Panics
    /// If one of them cannot be read.
    #[must_use]
    pub fn schedule(&self) -> Vec<Departure> {
        let read = |line: &&str| line.parse().unwrap_or_else(|error| panic!("{}: `{line}`: {error}", self.name));
        self.departures.iter().map(read).collect()
    }

    /// What comes of its departures, without the fix or with it.
    #[must_use]
    pub fn verdict(&self, fixed: bool) -> Verdict {
        let (mut world, mut departing) = ((self.system)(fixed).world(), Departing::new(self.schedule()));
        run(&mut world, &mut departing, &self.judges(), Limits::OF_A_TEST, &mut ()).verdict
    }

    /// Looks for it as a test of the services would that knows nothing of it.
    #[must_use]
    pub fn find(&self) -> Option<Found> {
        let (simulation, judges) = ((self.system)(false), self.judges());
        let sweep = HoldSweep::new(&simulation, &judges).with_faults(self.faults).within(1, u64::MAX);
        let plan = sweep.plan();
        let part = plan.go_on(plan.none(0), plan.schedules(), |so_far| match so_far.failed {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        });
        if let Some(first) = part.result.buckets.values().min_by_key(|bucket| bucket.place) {
            return Some(Found { schedules: first.place + 1, departures: Some(first.departures.clone()) });
        }
        let source = Seeds { simulation: &simulation, plan: self.faults, limits: Limits::OF_A_TEST };
        let seeds = Sweep { source: &source, judges: &judges, seeds: 0..SEEDS_MAX, threads: 1 };
        let swept = seeds.run(|_, _| ()).unwrap_or_else(|error| unreachable!("it was built: {error}"));
        let first = swept.buckets.values().map(|bucket| bucket.seed).min()?;
        Some(Found { schedules: plan.schedules() + first + 1, departures: None })
    }

    /// Plays it with the fix: the schedules that depart once from the calm run, and these seeds.
    ///
    /// # Panics
    /// If any of them fails.
    pub fn check_fixed(&self, seeds: u64) -> Checked {
        // What leaves the system is published, and heard by nobody in it.
        Check::new(&(self.system)(true), &self.judges())
            .with_seeds(0..seeds)
            .with_faults(self.faults)
            .allowing("unheard-subject")
            .allowing("unreachable-max-deliver")
            .allowing("idle-fault")
            .run()
    }

    /// Tells it: what went wrong and where that is told, the counterexample step by step, and the fix.
    ///
    /// # Panics
    /// If its departures do not show it, or the fix does not mend it.
    #[must_use]
    pub fn told(&self) -> String {
        let Incident { name, about, source, fix, .. } = self;
        let simulation = (self.system)(false);
        let found = self.find().map_or("no schedule".to_owned(), |found| format!("schedule {}", found.schedules));
        let runs = self.check_fixed(SEEDS_MAX).runs;
        format!(
            "{name}: {about}\n{source}\non {}, found by {found} of a search\n\n{}\nthe fix: {fix}; {runs} runs held\n",
            simulation.profile().name,
            self.story()
        )
    }

    /// Tells the counterexample step by step, and why it fails.
    ///
    /// # Panics
    /// If its departures do not show it.
    #[must_use]
    pub fn story(&self) -> String {
        let (simulation, judges) = ((self.system)(false), self.judges());
        let explained = Explain::new(&simulation, &judges).departures(self.schedule());
        explained.unwrap_or_else(|error| panic!("{}: {error}", self.name)).to_string()
    }
}

/// A table of all incidents: how each is found.
#[must_use]
pub fn table() -> String {
    let mut rows = String::from("| incident | broker | what went wrong | schedules until found |\n|---|---|---|---|\n");
    for incident in ALL {
        let Incident { name, about, system, .. } = incident;
        let found = incident.find().map_or("none".to_owned(), |found| found.schedules.to_string());
        rows +=
            &format!("| [{name}](../incidents/{name}.md) | `{}` | {about} | {found} |\n", system(false).profile().name);
    }
    rows
}
