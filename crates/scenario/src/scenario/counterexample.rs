//! The failing run of a seed, shrunk to a scenario of its own.

use std::fmt;

use super::{FileError, Scenario, Suite};
use pellmell_core::extract::{ExtractError, extract};
use pellmell_core::faults::{FaultPlan, Rate};
use pellmell_core::prng::Ratio;
use pellmell_core::run::{Verdict, run};
use pellmell_core::schedule::Departure;
use pellmell_core::scheduler::{Departing, Tie};
use pellmell_core::search::{HoldSweep, PAIRS_STEPS};
use pellmell_core::shrink::{Case, Shrink, Shrunk, Size, same_failure};
use pellmell_core::simulation::{BuildError, CommandIndex};

/// The smallest scenario that fails in the same way as a seed of another one.
pub struct Counterexample<T: Suite> {
    /// How large the run of the seed was.
    pub before: Size,
    /// What is left of it, by the places that commands have in the scenario it comes from.
    pub shrunk: Shrunk<T::Command>,
    /// The scenario that has it, read from `text`.
    pub scenario: Scenario<T>,
    /// The text of that scenario's file.
    pub text: String,
}

/// Why a failing run cannot be shrunk to a scenario.
#[derive(Clone, Debug)]
pub enum ShrinkError {
    /// The scenario's parts do not fit.
    Build(BuildError),
    /// Departures do not give the run again.
    Extract(ExtractError),
    /// The property judges rounds, which a run with departures does not have.
    Rounds {
        /// The property.
        property: &'static str,
    },
    /// The written scenario cannot be read.
    File(FileError),
    /// The written scenario does not fail in the same way.
    ReadBack,
}

impl fmt::Display for ShrinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShrinkError::Build(error) => error.fmt(f),
            ShrinkError::Extract(error) => error.fmt(f),
            ShrinkError::File(error) => error.fmt(f),
            ShrinkError::Rounds { property } => {
                write!(f, "{property} judges rounds, which a run with departures does not have: it cannot be shrunk")
            }
            ShrinkError::ReadBack => {
                f.write_str("the shrunk run does not fail in the same way when it is read from a file")
            }
        }
    }
}

impl std::error::Error for ShrinkError {}

impl<T: Suite> Scenario<T> {
    /// Shrinks the run of `seed` in at most `executions_max` runs; `None` if it holds.
    ///
    /// Where departures are left, a hold sweep looks for fewer that fail in the same way; its runs are not counted.
    /// Services that take part only because the scenario names them are left out if it fails so without them.
    ///
    /// # Errors
    /// If the run cannot be told as departures, or what is left of it not as a scenario file.
    pub fn shrink(&self, seed: u64, executions_max: u32) -> Result<Option<Counterexample<T>>, ShrinkError> {
        let departures = self.departures(seed)?;
        let simulation = self.simulation(seed).map_err(ShrinkError::Build)?;
        let mut departing = Departing::new(departures.clone());
        let before = run(&mut simulation.world(), &mut departing, &self.judges(), self.limits, &mut ());
        let before = Size { steps: before.steps, departures: departures.len(), commands: simulation.commands() };
        let Some(mut shrunk) = self.shrink_case(seed, Case::whole(&simulation, departures), executions_max)? else {
            return Ok(None);
        };
        let mut around = self.clone();
        let named = T::services(&self.design);
        for service in named.optional_names().filter(|service| self.hostings.get(service).is_some()) {
            let mut without = around.clone();
            without.hostings.remove(service);
            let case = Case { commands: shrunk.commands.clone(), departures: shrunk.departures.clone() };
            let left = executions_max.saturating_sub(shrunk.executions);
            // What names that service fits no longer.
            if let Ok(Some(mut fewer)) = without.shrink_case(seed, case, left)
                && same_failure(&shrunk.report.verdict, &fewer.report.verdict)
                && (fewer.minimal || !shrunk.minimal)
            {
                fewer.executions += shrunk.executions;
                (around, shrunk) = (without, fewer);
            }
        }
        let text = around.counterexample(seed, &shrunk);
        let scenario = read_back(&text, &shrunk)?;
        Ok(Some(Counterexample { before, shrunk, scenario, text }))
    }

    /// Shrinks some of the commands of a seed with departures.
    fn shrink_case(
        &self,
        seed: u64,
        case: Case,
        executions_max: u32,
    ) -> Result<Option<Shrunk<T::Command>>, ShrinkError> {
        let simulation = self.simulation(seed).map_err(ShrinkError::Build)?;
        let (judges, clients) = (self.judges(), self.clients_of(seed));
        let allowed =
            |commands: &[CommandIndex], departures: &[Departure]| self.can_be_written(&clients, commands, departures);
        let faults = if self.faults == FaultPlan::NONE {
            FaultPlan::of_schedule(&case.departures, Rate::of(Ratio::new(1, 10)))
        } else {
            self.faults
        };
        let finds = |departures: usize| {
            let sweep = HoldSweep::new(&simulation, &judges).with_limits(self.limits).with_faults(faults);
            sweep.within(departures - 1, PAIRS_STEPS).run().finds()
        };
        let shrink = Shrink::new(&simulation, &judges).with_limits(self.limits).with_executions_max(executions_max);
        Ok(shrink.with_allowed(&allowed).with_finds(&finds).run_case(case).ok())
    }

    /// The departures that give the run of a seed again.
    fn departures(&self, seed: u64) -> Result<Vec<Departure>, ShrinkError> {
        if !self.schedule.is_empty() {
            return Ok(self.schedule.clone());
        }
        let simulation = self.simulation(seed).map_err(ShrinkError::Build)?;
        let (judges, limits) = (self.judges(), self.limits);
        let extracted = extract(&simulation, self.scheduler(&simulation, seed), &judges, limits, Tie::InOrder);
        let extracted = extracted.map_err(ShrinkError::Extract)?;
        let mut departing = Departing::new(extracted.departures.clone());
        let again = run(&mut simulation.world(), &mut departing, &judges, limits, &mut ()).verdict;
        match extracted.report.verdict {
            Verdict::Violated { property, .. } if again.is_held() => Err(ShrinkError::Rounds { property }),
            _ => Ok(extracted.departures),
        }
    }
}

/// Reads the written scenario as `run` would, and plays it: it must fail as the shrunk run did.
fn read_back<T: Suite>(text: &str, shrunk: &Shrunk<T::Command>) -> Result<Scenario<T>, ShrinkError> {
    let small = Scenario::<T>::parse("shrunk.toml", text).map_err(ShrinkError::File)?;
    let simulation = small.simulation(small.seed).map_err(ShrinkError::Build)?;
    let report = small.run(&mut simulation.world(), &small.judges(), small.seed, &mut ());
    match same_failure(&shrunk.report.verdict, &report.verdict) {
        true => Ok(small),
        false => Err(ShrinkError::ReadBack),
    }
}
