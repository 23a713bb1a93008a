//! A scenario on another broker, and the steps of one of its runs as its schedule.

use super::write::quoted;
use super::{FileError, Scenario, SchedulerKind, Settings, Suite};
use pellmell_core::extract::extract;
use pellmell_core::faults::FaultPlan;
use pellmell_core::run::{Verdict, run};
use pellmell_core::scheduler::{Departing, Move, Scripted, Tie};
use pellmell_core::shrink::same_failure;
use toml_edit::DocumentMut;

impl<T: Suite> Scenario<T> {
    /// The same services and clients on another broker, whose rules are told as the keys of the table
    /// `[broker]`, or on the same one; nothing departs from the calm run and nothing goes wrong.
    ///
    /// # Errors
    /// If that is no such table.
    pub fn on_broker(&self, keys: Option<&str>) -> Result<Scenario<T>, FileError> {
        let mut file: toml::Table = self.source.parse().unwrap_or_default();
        for key in ["schedule", "scheduler", "faults", "expect", "entry"] {
            file.remove(key);
        }
        if let Some(keys) = keys {
            file.insert("broker".to_owned(), toml::Value::Table(keys.parse().unwrap_or_default()));
        }
        let text = toml::to_string(&file).unwrap_or_default();
        let read = Scenario::parse(&format!("{}.toml", self.name), &text)?;
        let Settings { name, seed, defects, properties, limits, allow, .. } = self.settings.clone();
        let scheduler = Some(SchedulerKind::Calm);
        let faults = FaultPlan::NONE;
        let settings =
            Settings { name, seed, defects, properties, limits, allow, scheduler, faults, ..read.settings.clone() };
        Ok(Scenario { settings, design: self.design.clone(), ..read })
    }

    /// The same scenario on the broker of a profile, with its usual settings, in the place of the one it names; what
    /// the file expects is about that one, and goes with it. Its text is the file's with that broker.
    ///
    /// # Errors
    /// If there is no such profile, or the scenario asks for what that broker does not do; the place is that in the
    /// changed text, in which `[broker]` comes last.
    pub fn on_profile(&self, file: &str, profile: &str) -> Result<Scenario<T>, FileError> {
        let mut document: DocumentMut = self.source.parse().map_err(|error: toml_edit::TomlError| {
            FileError::new(file, &self.source, error.span().unwrap_or(0..0), error.message())
        })?;
        for key in ["broker", "expect", "entry"] {
            document.remove(key);
        }
        let text = format!("{}\n[broker]\nprofile = {}\n", document.to_string().trim_end(), quoted(profile));
        let mut scenario = Scenario::parse(file, &text)?;
        scenario.name.clone_from(&self.name);
        scenario.on_profile = Some(profile.to_owned());
        Ok(scenario)
    }

    /// The same scenario with a schedule that comes to `verdict` by these steps and the calm run's
    /// after them; `None` if no departures do.
    #[must_use]
    pub fn departing_as(&self, seed: u64, steps: &[Move], verdict: &Verdict) -> Option<Scenario<T>> {
        let simulation = self.simulation(seed).ok()?;
        let (judges, limits) = (self.judges(), self.limits);
        let extracted = extract(&simulation, Scripted::new(steps.to_vec()), &judges, limits, Tie::InOrder).ok()?;
        let schedule = extracted.departures;
        let again = run(&mut simulation.world(), &mut Departing::new(schedule.clone()), &judges, limits, &mut ());
        let is_same = same_failure(verdict, &again.verdict);
        is_same.then(|| {
            let mut scenario = self.clone();
            (scenario.schedule, scenario.scheduler) = (schedule, Some(SchedulerKind::Calm));
            scenario.faults = FaultPlan::NONE;
            scenario
        })
    }
}
