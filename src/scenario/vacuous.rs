//! What of a scenario was asked for and did not happen.

use super::{Scenario, SchedulerKind};
use crate::faults::FaultPlan;
use crate::property::{BoundedRedelivery, Property};
use crate::run::{Judges, Observer, Report, run};
use crate::scheduler::Departing;
use crate::simulation::{BuildError, Simulation};
use crate::ticketing::Ticketing;
use crate::vacuity::{Asked, Findings, Kind, Looking, Occurred, Vacuous};
use crate::world::World;

impl Scenario {
    /// [`Scenario::run`], noting in `occurred` what the run did.
    pub fn look(
        &self,
        world: &mut World<Ticketing>,
        judges: &Judges<Ticketing>,
        seed: u64,
        observer: &mut impl Observer<Ticketing>,
        occurred: &mut Occurred,
    ) -> Report {
        let mut departing = Departing::new(self.schedule.clone());
        let mut looking = Looking::new(occurred, observer);
        let report = match self.schedule.is_empty() {
            false => run(world, &mut departing, judges, self.limits, &mut looking),
            true => self.run(world, judges, seed, &mut looking),
        };
        occurred.note(world, &report);
        occurred.note_departures(&departing);
        report
    }

    /// What is known to be vacuous before anything runs.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn foreseen(&self) -> Result<Findings, BuildError> {
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let found = self.asked(&simulation, &judges).foreseen();
        Ok(self.sorted(found, false))
    }

    /// What was vacuous in all runs of which this is what occurred.
    ///
    /// What services of the ticketing system do not hear because a scenario leaves the others out, and
    /// what one run refuses, is noted and makes no result void.
    ///
    /// # Errors
    /// If the scenario's parts do not fit.
    pub fn vacuous(&self, occurred: &Occurred) -> Result<Findings, BuildError> {
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let found = self.asked(&simulation, &judges).found(occurred);
        Ok(self.sorted(found, true))
    }

    fn asked<'a>(
        &'a self,
        simulation: &'a Simulation<Ticketing>,
        judges: &'a Judges<Ticketing>,
    ) -> Asked<'a, Ticketing> {
        Asked { simulation, judges, plan: &self.faults, schedule: &self.schedule }
    }

    fn sorted(&self, mut found: Vec<Vacuous>, is_over: bool) -> Findings {
        // What a design promises is more than what most scenarios are about.
        let asks_for = !self.properties.is_empty();
        found.retain(|vacuous| vacuous.kind != Kind::PropertyWithoutOccasion || asks_for);
        let name = Property::<Ticketing>::name(&BoundedRedelivery);
        let in_rounds = self.scheduler == Some(SchedulerKind::Rounds) && self.schedule.is_empty();
        if !in_rounds && self.properties.iter().any(|property| property == name) {
            let reason = "it judges the rounds scheduler alone: give `scheduler = \"rounds\"`";
            found.push(Vacuous::new(Kind::PropertyWithoutOccasion, name, reason));
        }
        if in_rounds && self.faults != FaultPlan::NONE {
            found.retain(|vacuous| vacuous.kind != Kind::IdleFault);
            found.push(Vacuous::new(Kind::IdleFault, "", "the rounds scheduler draws no faults"));
        }
        let is_note = |vacuous: &Vacuous| {
            matches!(vacuous.kind, Kind::UnheardSubject | Kind::UnpublishedSubject | Kind::RefusedClient)
        };
        Findings::of(found, &self.allow, is_over, is_note)
    }
}
