//! Fewer departures that do the same: where leaving out does not help, replacing may.

use std::collections::BTreeSet;

use super::case::Case;
use super::shrinker::Shrinker;
use crate::event::System;
use crate::run::{Observer, run};
use crate::schedule::{Departure, Target};
use crate::scheduler::{Action, Departing};
use crate::world::{Step, World};

/// How many runs are spent at most to make the departures one fewer.
const EXECUTIONS_MAX: u32 = 40;
/// Of more departures than this, none are replaced.
const DEPARTURES_MAX: usize = 12;
/// How many handlers are looked at that the last one may overlap with.
const OVERLAPPED_MAX: usize = 8;

/// A handler that ran.
#[derive(Clone, Debug, PartialEq)]
struct Handled {
    what: Target,
    service: String,
}

/// The handlers of a run, each once, in order: of a delivery the first attempt stands for all.
#[derive(Debug, Default)]
struct Handlers {
    handled: Vec<Handled>,
    /// The keys of those.
    keys: BTreeSet<u64>,
    /// The one that ran last.
    last: Option<Handled>,
    target: Option<Target>,
}

impl<S: System> Observer<S> for Handlers {
    fn before(&mut self, world: &World<S>, action: Action) {
        let is_handler = matches!(action, Action::Command(_) | Action::Deliver(_) | Action::Resume(_));
        self.target = is_handler.then(|| world.target(action)).flatten().map(|target| target.at_first_attempt());
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        if let (Some(what), Some(actor)) = (self.target.take(), step.actor) {
            let handled = Handled { what, service: world.service_name(actor.service).to_owned() };
            if self.keys.insert(handled.what.key()) {
                self.handled.push(handled.clone());
            }
            self.last = Some(handled);
        }
    }
}

impl<S: System> Shrinker<'_, '_, S> {
    /// Of several departures makes fewer, if that can be done by others: about the first attempts of
    /// what was redelivered, one alone, one beside one of those there are.
    pub(super) fn replace_departures(&mut self) {
        if self.is_spent() {
            return;
        }
        self.two_overlap();
        while (2..=DEPARTURES_MAX).contains(&self.case.departures.len()) && !self.gave_up_replacing {
            let until = self.executions + EXECUTIONS_MAX;
            if !self.cases_of_fewer().into_iter().any(|case| self.executions < until && self.take(case)) {
                self.gave_up_replacing = true;
                return;
            }
        }
    }

    /// What may do the same with fewer departures, the likeliest first.
    fn cases_of_fewer(&self) -> Vec<Case> {
        let departures = &self.case.departures;
        let first: Vec<_> = departures.iter().cloned().map(Departure::at_first_attempt).collect();
        let mut cases = Vec::new();
        for left_out in 0..departures.len() {
            cases.push(
                first.iter().enumerate().filter(|(place, _)| *place != left_out).map(|(_, d)| d.clone()).collect(),
            );
        }
        let others = self.others();
        cases.extend(others.iter().map(|other| vec![other.clone()]));
        if departures.len() > 2 {
            let lasting = first.iter().filter(|departure| departure.until().is_some());
            for kept in first.iter().cloned().chain(lasting.cloned().map(|departure| departure.ended_by(None))) {
                cases.extend(others.iter().map(|other| vec![kept.clone(), other.clone()]));
            }
        }
        cases.into_iter().map(|departures| self.case.departing(departures)).collect()
    }

    /// The handlers of this case's run.
    fn handlers(&self) -> Handlers {
        let mut handlers = Handlers::default();
        let mut departing = Departing::new(self.case.departures.clone());
        let simulation = self.case.simulation(&self.simulation);
        run(&mut simulation.world(), &mut departing, self.shrink.judges, self.limits, &mut handlers);
        handlers
    }

    /// Departures of the kinds there are, each about another handler.
    fn others(&self) -> Vec<Departure> {
        let mut others: Vec<Departure> = Vec::new();
        for handled in self.handlers().handled {
            for departure in &self.case.departures {
                let other = departure.clone().ended_by(None).about(&handled.what, &handled.service);
                others.extend(other.filter(|other| !others.contains(other)));
            }
        }
        others
    }

    /// Of many departures by which handlers overlap makes two, if it is the handler that ran last and
    /// one other of its service that matter: both read before the one saves, and then the other.
    pub(super) fn two_overlap(&mut self) {
        let pauses = self.case.departures.iter().any(|departure| matches!(departure, Departure::Pause { .. }));
        if self.case.departures.len() <= 2 || !pauses {
            return;
        }
        let Handlers { handled, last: Some(last), .. } = self.handlers() else { return };
        let others = handled.iter().filter(|other| other.service == last.service && **other != last);
        // What came last before it is the likeliest.
        let _took = others.rev().take(OVERLAPPED_MAX).flat_map(|other| [(other, &last), (&last, other)]).any(
            |(first, second)| {
                let begun = Target::Pause(Box::new(second.what.clone()));
                let departures = vec![
                    Departure::Pause { what: first.what.clone(), until: Some(begun) },
                    Departure::Pause { what: second.what.clone(), until: Some(first.what.clone()) },
                ];
                self.take(self.case.departing(departures))
            },
        );
    }
}
