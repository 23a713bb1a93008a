//! What of a scenario was asked for and did not happen.

use super::{Scenario, SchedulerKind, Suite};
use pellmell_core::faults::FaultPlan;
use pellmell_core::property::{BoundedRedelivery, Property};
use pellmell_core::run::{Judges, Observer, Report, run};
use pellmell_core::search::{Looked, SweepResult};
use pellmell_core::simulation::{BuildError, Simulation};
use pellmell_core::vacuity::{Asked, FEW_RUNS, Findings, Kind, Looking, Occurred, Vacuous};
use pellmell_core::world::World;

impl<T: Suite> Scenario<T> {
    /// [`Scenario::run`], noting in `occurred` what the run did.
    pub fn look(
        &self,
        world: &mut World<T>,
        judges: &Judges<T>,
        seed: u64,
        observer: &mut dyn Observer<T>,
        occurred: &mut Occurred,
    ) -> Report {
        let mut scheduler = self.scheduler(world.simulation(), seed);
        let report = run(world, &mut *scheduler, judges, self.limits, &mut Looking::new(occurred, observer));
        occurred.note(world, &report, &*scheduler);
        report
    }

    /// What was vacuous in the run of one seed, which is played for it.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn vacuous_in(&self, seed: u64) -> Result<Findings, BuildError> {
        let mut occurred = Occurred::default();
        self.look(&mut self.simulation(seed)?.world(), &self.judges(), seed, &mut (), &mut occurred);
        self.vacuous(&occurred)
    }

    /// What is known to be vacuous before anything runs.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn foreseen(&self) -> Result<Findings, BuildError> {
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let found = self.asked(&simulation, &judges).foreseen();
        Ok(self.sorted(found, None))
    }

    /// What was vacuous in all runs of which this is what occurred.
    ///
    /// What services do not hear because a scenario leaves the others out, and
    /// what few runs refuse, is noted and makes no result void.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn vacuous(&self, occurred: &Occurred) -> Result<Findings, BuildError> {
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let found = self.asked(&simulation, &judges).found(occurred);
        Ok(self.sorted(found, Some(occurred.runs)))
    }

    /// What the scenario asks for and did not happen in any run of a sweep.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn vacuous_in_sweep(&self, swept: &SweepResult) -> Result<Findings, BuildError> {
        let Some(Looked { dead, refused, came }) = &swept.looked else { return self.foreseen() };
        let (runs, mut counts) = (swept.totals.runs(), swept.totals.counts);
        // A result of an earlier version has it only there.
        counts.given_up = *dead;
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let mut occurred = Occurred::default();
        (occurred.runs, occurred.counts, occurred.came) = (runs, counts, came.clone());
        let mut found = self.asked(&simulation, &judges).found_by_counts(&occurred);
        found.extend(refused.iter().map(|name| Vacuous::refused(name)));
        Ok(self.sorted(found, Some(runs)))
    }

    fn asked<'a>(&'a self, simulation: &'a Simulation<T>, judges: &'a Judges<T>) -> Asked<'a, T> {
        Asked { simulation, judges, plan: &self.faults, schedule: &self.schedule }
    }

    /// Sorts what was found in so many runs; `None`: before any.
    fn sorted(&self, mut found: Vec<Vacuous>, runs: Option<u64>) -> Findings {
        // What a design promises is more than what most scenarios are about.
        let asks_for = !self.properties.is_empty();
        found.retain(|vacuous| vacuous.kind != Kind::PropertyWithoutOccasion || asks_for);
        let name = Property::<T>::name(&BoundedRedelivery);
        let in_rounds = self.scheduler == Some(SchedulerKind::Rounds) && self.schedule.is_empty();
        if !in_rounds && self.properties.iter().any(|property| property == name) {
            let reason = "it judges the rounds scheduler alone: give `scheduler = \"rounds\"`";
            found.push(Vacuous::new(Kind::PropertyWithoutOccasion, name, reason));
        }
        if in_rounds && self.faults != FaultPlan::NONE {
            found.retain(|vacuous| vacuous.kind != Kind::IdleFault);
            found.push(Vacuous::new(Kind::IdleFault, "", "the rounds scheduler draws no faults"));
        }
        let is_note = |vacuous: &Vacuous| match vacuous.kind {
            Kind::UnheardSubject | Kind::UnpublishedSubject => true,
            kind if kind.is_note() => true,
            // Of a schedule all runs are one.
            Kind::RefusedClient => !self.schedule.is_empty() || runs.is_none_or(|runs| runs < FEW_RUNS),
            _ => false,
        };
        Findings::of(found, &self.allow, runs.is_some(), is_note)
    }
}
