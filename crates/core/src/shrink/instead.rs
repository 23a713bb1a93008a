//! Fewer departures that do the same: where leaving out does not help, replacing may.

use std::collections::BTreeSet;

use super::case::Case;
use super::shrinker::Shrinker;
use crate::event::System;
use crate::extract::extract;
use crate::run::{Observer, run};
use crate::schedule::{DeliverySpec, Departure, Target};
use crate::scheduler::{Action, Departing, Tie};
use crate::world::{Step, World};

/// How many runs are spent at most to make one of two departures.
const EXECUTIONS_MAX: u32 = 40;
/// The same for more departures, which are seldom.
const EXECUTIONS_MAX_OF_MANY: u32 = 200;
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
        let target = is_handler.then(|| world.target(action)).flatten();
        let target = target.filter(|target| !matches!(target, Target::Start(_)));
        self.target = target.map(|target| target.at_first_attempt());
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

/// What is smaller: fewer departures, then fewer commands.
fn size(case: &Case) -> (usize, usize) {
    (case.departures.len(), case.commands.len())
}

impl<S: System> Shrinker<'_, '_, S> {
    /// What waits for something that never happens any more, such as a timer of what was left out, waits for
    /// what it did wait for: the last thing that happens before it.
    pub(super) fn name_ends(&mut self) {
        if !self.has_lost_ends {
            return;
        }
        let simulation = self.case.simulation(&self.simulation);
        let departing = Departing::new(self.case.departures.clone());
        let Ok(extracted) = extract(&simulation, departing, self.shrink.judges, self.limits, Tie::InOrder) else {
            return;
        };
        self.executions += 2;
        if extracted.departures.len() <= self.case.departures.len() {
            self.take(self.case.departing(extracted.departures));
        }
    }

    /// Of several departures makes fewer, if that can be done by others: about the first attempts of
    /// what was redelivered, one alone, one beside one of those there are.
    pub(super) fn replace_departures(&mut self) {
        if !self.replaces || self.is_spent() {
            return;
        }
        self.two_overlap();
        self.outlive_the_ack_wait();
        while (2..=DEPARTURES_MAX).contains(&self.case.departures.len()) {
            let most = if self.case.departures.len() == 2 { EXECUTIONS_MAX } else { EXECUTIONS_MAX_OF_MANY };
            let until = self.executions + most;
            if !self.cases_of_fewer().into_iter().any(|case| self.executions < until && self.take(case)) {
                return;
            }
        }
    }

    /// What may do the same with fewer departures, the likeliest first.
    fn cases_of_fewer(&self) -> Vec<Case> {
        let departures = &self.case.departures;
        let first: Vec<_> = departures.iter().cloned().map(Departure::at_first_attempt).collect();
        let at_rest: Vec<_> = departures.iter().map(|departure| departure.clone().ended_by(None)).collect();
        let mut cases: Vec<Vec<Departure>> = Vec::new();
        for changed in [&first, &at_rest] {
            cases.extend((0..departures.len()).map(|left_out| {
                let mut fewer = changed.clone();
                fewer.remove(left_out);
                fewer
            }));
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

    /// In the place of all departures, two by which one handler pauses beyond its ack wait, until the broker has
    /// handed out its message again. Each alone does nothing: the one ends before the message comes again, and
    /// for the other the clock does not move. It is taken if fewer departures or commands do then.
    fn outlive_the_ack_wait(&mut self) {
        if self.case.departures.len() < 2 || self.simulation.profile().ack_wait.iter().all(|wait| wait.is_zero()) {
            return;
        }
        let mut tried: Vec<DeliverySpec> = Vec::new();
        for departure in self.case.departures.clone() {
            let (Departure::Pause { what: Target::Delivery(delivery), .. } | Departure::RunPast(delivery)) = departure
            else {
                continue;
            };
            let what = DeliverySpec { attempt: 1, ..delivery };
            if tried.contains(&what) || self.is_spent() {
                continue;
            }
            let pause = |until| Departure::Pause { what: Target::Delivery(what.clone()), until: Some(until) };
            let departures = vec![pause(Target::AckWait(what.clone())), pause(Target::Delivery(what.clone().again()))];
            let before = (self.case.clone(), self.report.clone(), self.has_lost_ends);
            if departures != self.case.departures && self.take(self.case.departing(departures)) {
                self.clients();
                self.commands();
                if size(&self.case) < size(&before.0) {
                    return;
                }
                (self.case, self.report, self.has_lost_ends) = before;
            }
            tried.push(what);
        }
    }

    /// The handlers of the case's run with these departures.
    fn handlers(&self, departures: &[Departure]) -> Handlers {
        let mut handlers = Handlers::default();
        let mut departing = Departing::new(departures.to_vec());
        let simulation = self.case.simulation(&self.simulation);
        run(&mut simulation.world(), &mut departing, self.shrink.judges, self.limits, &mut handlers);
        handlers
    }

    /// Departures of the kinds there are, each about another handler; and what waits, which all runs have.
    fn others(&self) -> Vec<Departure> {
        let mut others: Vec<Departure> = Vec::new();
        // The run ends where it fails, before much that the calm run comes to.
        let mut handlers = self.handlers(&self.case.departures).handled;
        let calm = self.handlers(&[]).handled;
        handlers.extend(calm.into_iter().filter(|handled| !handlers.contains(handled)).collect::<Vec<_>>());
        for handled in handlers {
            let held = Departure::Hold { what: handled.what.clone(), until: None };
            for departure in self.case.departures.iter().chain([&held]) {
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
        let Handlers { handled, last: Some(last), .. } = self.handlers(&self.case.departures) else { return };
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
