//! A scenario on another broker, and the steps of one of its runs as its schedule.

use super::{FileError, Scenario, SchedulerKind};
use crate::extract::extract;
use crate::faults::FaultPlan;
use crate::run::{Verdict, run};
use crate::scheduler::{Departing, Move, Scripted, Tie};
use crate::shrink::same_failure;

impl Scenario {
    /// The same services and clients on another broker, whose rules are told as the keys of the table
    /// `[broker]`; nothing departs from the calm run and nothing goes wrong.
    ///
    /// # Errors
    /// If that is no such table.
    pub fn on_broker(&self, keys: &str) -> Result<Scenario, FileError> {
        let mut file: toml::Table = self.source.parse().unwrap_or_default();
        for key in ["schedule", "scheduler", "faults", "expect", "entry"] {
            file.remove(key);
        }
        file.insert("broker".to_owned(), toml::Value::Table(keys.parse().unwrap_or_default()));
        let text = toml::to_string(&file).unwrap_or_default();
        let read = Scenario::parse(&format!("{}.toml", self.name), &text)?;
        let Scenario { name, seed, design, defects, properties, limits, allow, .. } = self.clone();
        let (scheduler, faults) = (SchedulerKind::Calm, FaultPlan::NONE);
        Ok(Scenario {
            name,
            seed,
            design,
            defects,
            properties,
            limits,
            allow,
            scheduler: Some(scheduler),
            faults,
            ..read
        })
    }

    /// The same scenario with a schedule that comes to `verdict` by these steps and the calm run's
    /// after them; `None` if no departures do.
    #[must_use]
    pub fn departing_as(&self, seed: u64, steps: &[Move], verdict: &Verdict) -> Option<Scenario> {
        let simulation = self.simulation(seed).ok()?;
        let (judges, limits) = (self.judges(), self.limits);
        let extracted = extract(&simulation, Scripted::new(steps.to_vec()), &judges, limits, Tie::InOrder).ok()?;
        let schedule = extracted.departures;
        let again = run(&mut simulation.world(), &mut Departing::new(schedule.clone()), &judges, limits, &mut ());
        let is_same = same_failure(verdict, &again.verdict);
        is_same.then(|| Scenario {
            schedule,
            scheduler: Some(SchedulerKind::Calm),
            faults: FaultPlan::NONE,
            ..self.clone()
        })
    }
}
