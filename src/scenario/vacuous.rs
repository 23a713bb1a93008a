//! What of a scenario was asked for and did not happen.

use std::collections::BTreeSet;

use super::{Scenario, SchedulerKind};
use crate::faults::FaultPlan;
use crate::property::{BoundedRedelivery, Property};
use crate::run::{Counts, Judges, Observer, Report, run};
use crate::scheduler::{Came, Departing};
use crate::simulation::{BuildError, Simulation};
use crate::ticketing::Ticketing;
use crate::vacuity::{Asked, FEW_RUNS, Findings, Kind, Looking, Occurred, Vacuous};
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
    /// What services of the ticketing system do not hear because a scenario leaves the others out, and
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

    /// [`Scenario::vacuous`] of runs of which no more is known than this: how many, what happened how often,
    /// how many messages were given up, the best that came of each departure, and which clients were always
    /// refused.
    pub(crate) fn vacuous_in_many(
        &self,
        runs: u64,
        counts: Counts,
        dead: u64,
        came: &[Came],
        refused: &BTreeSet<String>,
    ) -> Result<Findings, BuildError> {
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let mut occurred = Occurred::default();
        (occurred.runs, occurred.counts, occurred.dead, occurred.came) = (runs, counts, dead, came.to_vec());
        let mut found = self.asked(&simulation, &judges).found_by_counts(&occurred);
        found.extend(refused.iter().map(|name| Vacuous::refused(name)));
        Ok(self.sorted(found, Some(runs)))
    }

    fn asked<'a>(
        &'a self,
        simulation: &'a Simulation<Ticketing>,
        judges: &'a Judges<Ticketing>,
    ) -> Asked<'a, Ticketing> {
        Asked { simulation, judges, plan: &self.faults, schedule: &self.schedule }
    }

    /// Sorts what was found in so many runs; `None`: before any.
    fn sorted(&self, mut found: Vec<Vacuous>, runs: Option<u64>) -> Findings {
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
