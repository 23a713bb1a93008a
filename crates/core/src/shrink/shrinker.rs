//! The shrinker: the smallest case so far, and whether a smaller one fails in the same way.

use std::collections::BTreeMap;

use super::case::Case;
use super::slice::Touched;
use super::{Item, Needed, NothingToShrink, Shrink, Shrunk, Simpler, same_failure};
use crate::event::System;
use crate::extract::extract;
use crate::hash;
use crate::run::{Limits, Report, Verdict, run};
use crate::schedule::Departure;
use crate::scheduler::{Departing, Tie};
use crate::simulation::Simulation;

/// The run of a case that was tried.
struct CaseRun {
    report: Report,
    unused: Vec<Departure>,
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
    pub(super) limits: Limits,
    /// The smallest case so far, and its report.
    pub(super) case: Case,
    report: Report,
    /// The orders of the calm run under which it has to fail.
    ties: Vec<Tie>,
    pub(super) executions: u32,
    /// Whether replacing departures did not help: it costs too much to be tried again.
    pub(super) gave_up_replacing: bool,
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
        let (ties, simpler, known) = (vec![Tie::InOrder], Vec::new(), BTreeMap::new());
        let (executions, gave_up_replacing) = (1, false);
        let mut shrinker =
            Shrinker { shrink, simulation, simpler, limits, case, report, ties, executions, gave_up_replacing, known };
        let unused: Vec<_> = scheduler.unused().cloned().collect();
        shrinker.case.departures.retain(|departure| !unused.contains(departure));
        let slice = touched.slice(&shrinker.case, &shrinker.report.verdict, &shrinker.simulation);
        slice.map(|slice| shrinker.take(slice));
        Ok(shrinker)
    }

    /// Shrinks it.
    pub(super) fn run(mut self) -> Shrunk<S::Command> {
        self.leave_out();
        if self.shrink.simpler_commands && self.make_simple() {
            self.leave_out();
        }
        let anchored = self.anchor();
        self.finish(anchored)
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
        let mut first = None;
        for place in 0..self.ties.len() {
            match self.attempt(&case, self.ties[place]) {
                Some((CaseOutcome::Same, played)) => first = first.or(played),
                _ => return false,
            }
        }
        self.case = case;
        if let Some(played) = first {
            if self.ties.len() == 1 {
                // What has no effect does no harm either way, and is not worth a run.
                self.case.departures.retain(|departure| !played.unused.contains(departure));
            }
            self.report = played.report;
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
        Some((tried, Some(CaseRun { report, unused: scheduler.unused().cloned().collect() })))
    }

    /// Makes it fail in the other orders of the calm run as well, where it does not, and says whether
    /// it does in all of them.
    fn anchor(&mut self) -> bool {
        (1..Tie::ALL.len()).all(|place| self.anchor_in(place))
    }

    /// Makes it fail in the order in this place and those before it.
    fn anchor_in(&mut self, place: usize) -> bool {
        let tie = Tie::ALL[place];
        match self.attempt(&self.case.clone(), tie) {
            None => return false,
            Some((CaseOutcome::Same, _)) => return true,
            Some((CaseOutcome::Other(_), _)) => {}
        }
        let simulation = self.case.simulation(&self.simulation);
        let departing = Departing::new(self.case.departures.clone());
        let extracted = extract(&simulation, departing, self.shrink.judges, self.limits, tie);
        self.executions += 2;
        let Ok(extracted) = extracted else { return false };
        let mut case = self.case.clone();
        case.departures.extend(extracted.departures.into_iter().filter(|d| !self.case.departures.contains(d)));
        let before = (self.case.clone(), self.report.clone(), self.ties.clone());
        // What is changed from here on must not undo what was reached for the orders before.
        self.ties = Tie::ALL[..=place].to_vec();
        let anchored = self.take(case);
        if anchored {
            self.leave_out();
        }
        if !anchored || (self.is_spent() && self.case.departures.len() > 2 * before.0.departures.len() + 2) {
            // Not worth it: the runs did not suffice to find out what of it matters.
            (self.case, self.report, self.ties) = before;
            return false;
        }
        true
    }

    /// Says what each thing that is left is good for.
    fn finish(mut self, anchored: bool) -> Shrunk<S::Command> {
        let mut items: Vec<(Item, Case)> = Vec::new();
        // Without runs it cannot be found out, and what is left may be large.
        if !self.is_spent() {
            for (place, departure) in self.case.departures.iter().enumerate() {
                items.push((Item::Departure(departure.clone()), self.case.without_departures(place..place + 1)));
            }
            for command in self.case.commands.iter().filter(|command| !self.simulation.is_setup(**command)) {
                items.push((Item::Command(self.simulation.command(*command)), self.case.without_commands(&[*command])));
            }
        }
        let mut minimal = !self.is_spent();
        let mut needed = Vec::new();
        for (item, case) in items {
            if !self.allows(&case) {
                needed.push(Needed { item, without: None });
                continue;
            }
            let tries: Vec<_> = self.ties.clone().into_iter().map(|tie| self.attempt(&case, tie)).collect();
            let other = tries.iter().flatten().find_map(|(tried, _)| match tried {
                CaseOutcome::Other(verdict) => Some(verdict.clone()),
                CaseOutcome::Same => None,
            });
            minimal &= other.is_some();
            needed.extend(other.map(|verdict| Needed { item, without: Some(verdict) }));
        }
        Shrunk {
            departures: self.case.departures,
            commands: self.case.commands,
            simpler: self.simpler,
            report: self.report,
            executions: self.executions,
            needed,
            minimal,
            anchored,
        }
    }
}
