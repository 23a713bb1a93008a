//! The shrinker: the smallest case so far, and whether a smaller one fails in the same way.

use std::collections::BTreeMap;

use super::case::Case;
use super::slice::Touched;
use super::{Finds, Item, Needed, NothingToShrink, Shrink, Shrunk, Simpler, leave_out_pieces, same_failure};
use crate::event::System;
use crate::extract::extract;
use crate::hash;
use crate::run::{Limits, Report, Verdict, run};
use crate::schedule::Departure;
use crate::scheduler::{Departing, DepartureOutcome, Tie};
use crate::simulation::Simulation;

/// The run of a case that was tried.
struct CaseRun {
    report: Report,
    unused: Vec<Departure>,
    has_lost_ends: bool,
}

/// The outcome of a case that was tried.
#[derive(Clone)]
pub(super) enum CaseOutcome {
    /// The same failure.
    Same,
    /// Something else.
    Other(Verdict),
}

pub(super) struct Shrinker<'a, 'b, S: System> {
    pub(super) shrink: &'b Shrink<'a, S>,
    /// The simulation with all commands, some of which may have been made simpler.
    pub(super) simulation: Simulation<S>,
    pub(super) simpler: Vec<Simpler<S::Command>>,
    /// Those that were not asked yet.
    finds: Option<&'a Finds<'a>>,
    /// Whether other departures are tried in the place of those that are left.
    pub(super) replaces: bool,
    pub(super) limits: Limits,
    /// The smallest case so far, and its report.
    pub(super) case: Case,
    pub(super) report: Report,
    /// Whether something in it waits for what never happens.
    pub(super) has_lost_ends: bool,
    pub(super) executions: u32,
    pub(super) known: BTreeMap<(u64, Tie), CaseOutcome>,
}

impl<'a, 'b, S: System> Shrinker<'a, 'b, S> {
    /// Plays the case that is to be shrunk.
    ///
    /// # Errors
    /// If it holds.
    pub(super) fn begin(shrink: &'b Shrink<'a, S>, case: Case) -> Result<Shrinker<'a, 'b, S>, NothingToShrink> {
        let simulation = shrink.simulation.clone();
        let mut touched = Touched::default();
        let mut scheduler = Departing::new(case.departures.clone());
        let report = run(&mut simulation.world(), &mut scheduler, shrink.judges, shrink.limits, &mut touched);
        if report.verdict.is_held() {
            return Err(NothingToShrink);
        }
        let mut limits = shrink.limits;
        if !matches!(report.verdict, Verdict::Stuck { .. }) {
            // A run that goes on and on is not the failure that is looked for.
            limits.steps_max = limits.steps_max.min(20 * report.steps + 1_000);
        }
        let (simpler, known, executions) = (Vec::new(), BTreeMap::new(), 1);
        let mut shrinker = Shrinker {
            shrink,
            simulation,
            simpler,
            finds: shrink.finds,
            replaces: true,
            limits,
            case,
            report,
            has_lost_ends: has_lost_ends(&scheduler),
            executions,
            known,
        };
        let unused: Vec<_> = scheduler.unused().cloned().collect();
        shrinker.case.departures.retain(|departure| !unused.contains(departure));
        let slice = touched.slice(&shrinker.case, &shrinker.report.verdict, &shrinker.simulation);
        slice.map(|slice| shrinker.take(slice));
        Ok(shrinker)
    }

    /// Takes the first of the finds that fails in the same way with fewer departures, and of it what the failure
    /// goes back to. They are asked for once.
    pub(super) fn take_find(&mut self) {
        let departures = self.case.departures.len();
        if departures == 0 || self.is_spent() {
            return;
        }
        let Some(finds) = self.finds.take() else { return };
        let mut finds = finds(departures).into_iter().filter(|find| find.len() < departures);
        if !finds.any(|find| self.take(Case::whole(&self.simulation, find))) {
            return;
        }
        let (mut touched, mut departing) = (Touched::default(), Departing::new(self.case.departures.clone()));
        run(&mut self.simulation.world(), &mut departing, self.shrink.judges, self.limits, &mut touched);
        self.executions += 1;
        let slice = touched.slice(&self.case, &self.report.verdict, &self.simulation);
        slice.map(|slice| self.take(slice));
    }

    /// Shrinks it.
    pub(super) fn run(mut self) -> Shrunk<S::Command> {
        self.leave_out();
        if self.shrink.simpler_commands && self.make_simple() {
            // What other departures do does not hang on values.
            self.replaces = false;
            self.leave_out();
        }
        self.name_ends();
        let (needed, minimal) = self.needed();
        let anchors = self.anchors();
        Shrunk {
            departures: self.case.departures,
            commands: self.case.commands,
            simpler: self.simpler,
            report: self.report,
            executions: self.executions,
            needed,
            minimal,
            anchors,
        }
    }

    fn allows(&self, case: &Case) -> bool {
        self.shrink.allowed.is_none_or(|allowed| allowed(&case.commands, &case.departures))
    }

    /// Takes a case if it fails in the same way.
    pub(super) fn take(&mut self, case: Case) -> bool {
        let case = case.with_setup(&self.simulation);
        if self.simulation.inner.has_terms && hash::of(&case) == hash::of(&self.case) {
            // What was left out is always kept.
            return false;
        }
        self.allows(&case) && self.take_as_written(case)
    }

    /// The same for a case that can be written to a file if the smallest so far can.
    pub(super) fn take_as_written(&mut self, case: Case) -> bool {
        let Some((CaseOutcome::Same, played)) = self.attempt(&case, Tie::InOrder) else { return false };
        self.case = case;
        if let Some(CaseRun { report, unused, has_lost_ends }) = played {
            self.has_lost_ends = has_lost_ends;
            // What has no effect does no harm either way, and is not worth a run.
            self.case.departures.retain(|departure| !unused.contains(departure));
            self.report = report;
        }
        true
    }

    /// Whether the runs are used up.
    pub(super) fn is_spent(&self) -> bool {
        self.executions >= self.shrink.executions_max
    }

    /// Tries a case, unless the runs are used up. What was tried before is remembered.
    fn attempt(&mut self, case: &Case, tie: Tie) -> Option<(CaseOutcome, Option<CaseRun>)> {
        let key = (hash::of(case), tie);
        if let Some(known @ CaseOutcome::Other(_)) = self.known.get(&key) {
            return Some((known.clone(), None));
        }
        if self.is_spent() {
            return None;
        }
        self.executions += 1;
        let simulation = case.simulation(&self.simulation);
        let mut scheduler = Departing::with_tie(case.departures.clone(), tie);
        let report = run(&mut simulation.world(), &mut scheduler, self.shrink.judges, self.limits, &mut ());
        let tried = match same_failure(&self.report.verdict, &report.verdict) {
            true => CaseOutcome::Same,
            false => CaseOutcome::Other(report.verdict.clone()),
        };
        self.known.insert(key, tried.clone());
        let (unused, has_lost_ends) = (scheduler.unused().cloned().collect(), has_lost_ends(&scheduler));
        Some((tried, Some(CaseRun { report, unused, has_lost_ends })))
    }

    /// The departures beside those that are left with which it fails in each of the orders in which the calm
    /// run may serve the groups; `None` if there are none, or the runs do not suffice to find them.
    ///
    /// The run that is told is the one in order, so they are no part of it.
    fn anchors(&mut self) -> Option<Vec<Departure>> {
        let mut anchors = Vec::new();
        for place in 1..Tie::ALL.len() {
            let ties = &Tie::ALL[..=place];
            if self.fails_with(&anchors, &ties[place..])? {
                continue;
            }
            let simulation = self.case.simulation(&self.simulation);
            let departing = Departing::new(self.anchored(&anchors).departures);
            let extracted = extract(&simulation, departing, self.shrink.judges, self.limits, ties[place]).ok()?;
            self.executions += 2;
            let is_new = |departure: &Departure| !self.case.departures.contains(departure);
            anchors = extracted.departures.into_iter().filter(is_new).collect();
            if !self.fails_with(&anchors, ties)? {
                return None;
            }
            // As far as the runs suffice.
            let all = anchors.len();
            anchors = leave_out_pieces(anchors, all, |fewer| {
                (self.fails_with(fewer, ties) == Some(true)).then(|| fewer.to_vec())
            });
        }
        Some(anchors)
    }

    /// The case with these departures beside its own.
    fn anchored(&self, anchors: &[Departure]) -> Case {
        self.case.departing([&self.case.departures[..], anchors].concat())
    }

    /// Whether it fails in the same way with these departures beside its own in each of these orders; `None`
    /// if the runs are used up.
    fn fails_with(&mut self, anchors: &[Departure], ties: &[Tie]) -> Option<bool> {
        let case = self.anchored(anchors);
        for tie in ties {
            match self.attempt(&case, *tie)? {
                (CaseOutcome::Same, _) => {}
                (CaseOutcome::Other(_), _) => return Some(false),
            }
        }
        Some(true)
    }

    /// The verdict of a case within the limits that runs have where nothing is shrunk.
    fn in_full(&mut self, case: &Case) -> Verdict {
        self.executions += 1;
        let simulation = case.simulation(&self.simulation);
        let mut departing = Departing::new(case.departures.clone());
        run(&mut simulation.world(), &mut departing, self.shrink.judges, self.shrink.limits, &mut ()).verdict
    }

    /// What each thing that is left is good for: the outcome without it, of the run in order, which is the one
    /// that is told and replayed. And whether nothing that is left can be left out.
    fn needed(&mut self) -> (Vec<Needed>, bool) {
        let mut items: Vec<(Item, Case)> = Vec::new();
        // Without runs it cannot be found out, and what is left may be large.
        if self.is_spent() {
            return (Vec::new(), false);
        }
        for (place, departure) in self.case.departures.iter().enumerate() {
            items.push((Item::Departure(departure.clone()), self.case.without_departures(place..place + 1)));
        }
        for command in self.case.commands.iter().filter(|command| !self.simulation.is_setup(**command)) {
            items.push((Item::Command(self.simulation.command(*command)), self.case.without_commands(&[*command])));
        }
        let (mut needed, mut minimal) = (Vec::new(), true);
        for (item, case) in items {
            if !self.allows(&case) {
                needed.push(Needed { item, without: None });
                continue;
            }
            let without = match self.attempt(&case, Tie::InOrder) {
                // What was cut short may come to something else where it is replayed.
                Some((CaseOutcome::Other(Verdict::Stuck { .. }), _)) => Some(self.in_full(&case)),
                Some((CaseOutcome::Other(verdict), _)) => Some(verdict),
                _ => None,
            };
            let without = without.filter(|verdict| !same_failure(&self.report.verdict, verdict));
            minimal &= without.is_some();
            needed.extend(without.map(|verdict| Needed { item, without: Some(verdict) }));
        }
        (needed, minimal)
    }
}

/// Whether something in a run waited for what never happened.
fn has_lost_ends(played: &Departing) -> bool {
    played.outcomes().any(|(_, came)| came == DepartureOutcome::EndedWithout)
}
