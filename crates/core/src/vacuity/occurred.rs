//! What runs did, as far as it says what never happened in any of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::System;
use crate::faults::{AckFate, MemberChange, Window};
use crate::hash;
use crate::property::Watch;
use crate::run::{Counts, Observer, Report};
use crate::schedule::{Departure, Target};
use crate::scheduler::{Action, Departing, DepartureOutcome, Scheduler};
use crate::service::{Asking, NO_COMMANDS, NO_EVENTS, Outcome};
use crate::simulation::Simulation;
use crate::world::{Answer, Step, World};

/// What occurred in some runs. It is joined over runs and threads by sums, unions and maxima, so it
/// does not depend on their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurred {
    /// How many runs.
    pub runs: u64,
    /// What happened how often in all of them.
    pub counts: Counts,
    /// In how many runs something was reached that is to be reached in some run, by name.
    pub reached: BTreeMap<&'static str, u64>,
    /// The best outcome of each departure of the schedule, in its order.
    pub came: Vec<DepartureOutcome>,
    /// The kinds of steps.
    pub(super) kinds: Watch,
    /// The clients of which a command was accepted, by place.
    pub(super) accepted: BTreeSet<usize>,
    /// In how many runs a client waited until the end, by its name, and for what in one of them.
    pub(super) waited: BTreeMap<String, (u64, String)>,
    /// The names of the subjects on which something was published.
    pub(super) published: BTreeSet<&'static str>,
    /// The services, by place, that answered that they take no commands, and no events.
    pub(super) unhandled: [BTreeSet<usize>; 2],
    /// The keys of the handlers of the running run whose answer was lost.
    lost_answers: BTreeSet<u64>,
    /// The keys of those whose member crashed between two saves.
    cut_between: BTreeSet<u64>,
    /// The keys of those after which dead letters were put back.
    redriven: BTreeSet<u64>,
    /// The keys of the deliveries after which a log was without something.
    cleaned: BTreeSet<u64>,
    /// What came of the questions of handlers, by the keys of those that asked other services.
    asked: BTreeMap<u64, Asking>,
}

impl Occurred {
    /// Notes the outcome of a run in which this scheduler picked.
    pub fn note<S: System>(&mut self, world: &World<S>, report: &Report, scheduler: &dyn Scheduler) {
        self.runs += 1;
        self.counts.add(&report.counts);
        for name in &report.reached {
            *self.reached.entry(name).or_default() += 1;
        }
        if report.verdict.is_held() {
            for waiting in world.waiting_clients() {
                self.note_waiting(&waiting.command.client, 1, waiting.to_string());
            }
        }
        scheduler.departing().into_iter().for_each(|departing| self.note_departures(departing));
    }

    /// Notes that a client waited until the end of so many runs. Of what it waited for the first in order is
    /// kept, whichever run came first.
    fn note_waiting(&mut self, client: &str, runs: u64, why: String) {
        let (times, first) = self.waited.entry(client.to_owned()).or_insert_with(|| (0, why.clone()));
        *times += runs;
        if why < *first {
            *first = why;
        }
    }

    /// Notes the outcomes of the departures of a run.
    fn note_departures(&mut self, departing: &Departing) {
        let lost_answers = std::mem::take(&mut self.lost_answers);
        let cut_between = std::mem::take(&mut self.cut_between);
        let redriven = std::mem::take(&mut self.redriven);
        let asked = std::mem::take(&mut self.asked);
        let cleaned = std::mem::take(&mut self.cleaned);
        // A handler that paused answers under another key.
        let is_in = |keys: &BTreeSet<u64>, key: u64| keys.contains(&key) || keys.contains(&hash::mix(key, 3));
        let mut places = self.came.iter_mut();
        let mut more = Vec::new();
        for (departure, came) in departing.outcomes() {
            let came = match departure {
                Departure::LoseAck(what) if came == DepartureOutcome::InFull && !is_in(&lost_answers, what.key()) => {
                    DepartureOutcome::NoAck
                }
                Departure::Crash { window: Window::BetweenSaves, what, .. }
                    if came == DepartureOutcome::InFull && !is_in(&cut_between, what.key()) =>
                {
                    DepartureOutcome::NothingCommitted
                }
                Departure::MemberChange { change: MemberChange::Redrive, what }
                    if came == DepartureOutcome::InFull && !is_in(&redriven, what.key()) =>
                {
                    DepartureOutcome::NothingDead
                }
                Departure::MemberChange { change, what }
                    if came == DepartureOutcome::InFull
                        && MemberChange::OF_LOGS.contains(change)
                        && !is_in(&cleaned, what.key()) =>
                {
                    DepartureOutcome::NothingCleaned
                }
                Departure::Answer { what, .. } if came == DepartureOutcome::InFull => {
                    let keys = [what.key(), hash::mix(what.key(), 3)];
                    match keys.iter().filter_map(|key| asked.get(key)).max() {
                        Some(Asking::Misled) => came,
                        Some(Asking::Answered) => DepartureOutcome::SameAnswer,
                        Some(Asking::Nothing) | None => DepartureOutcome::NothingAsked,
                    }
                }
                _ => came,
            };
            match places.next() {
                Some(best) => *best = came.max(*best),
                None => more.push(came),
            }
        }
        self.came.extend(more);
    }

    /// Joins what occurred in other runs.
    pub fn join(&mut self, other: &Occurred) {
        self.runs += other.runs;
        self.counts.add(&other.counts);
        for (name, runs) in &other.reached {
            *self.reached.entry(name).or_default() += runs;
        }
        for (place, came) in other.came.iter().enumerate() {
            match self.came.get_mut(place) {
                Some(best) => *best = (*best).max(*came),
                None => self.came.push(*came),
            }
        }
        for (client, (runs, why)) in &other.waited {
            self.note_waiting(client, *runs, why.clone());
        }
        self.kinds = self.kinds.and(other.kinds);
        self.accepted.extend(&other.accepted);
        self.published.extend(&other.published);
        for (mine, others) in self.unhandled.iter_mut().zip(&other.unhandled) {
            mine.extend(others);
        }
    }

    /// Whether a look at the steps of another run cannot tell more that matters.
    pub(crate) fn has_seen_all<S: System>(&self, simulation: &Simulation<S>) -> bool {
        let inner = &simulation.inner;
        let listened = || inner.groups.iter().flat_map(|group| &group.subjects);
        self.kinds == Watch::ALL
            && (0..inner.clients.len()).all(|place| self.accepted.contains(&place))
            && listened().all(|subject| self.published.contains(subject.name()))
    }

    /// Whether a command of each client that has one was accepted.
    pub(crate) fn has_accepted_all<S: System>(&self, simulation: &Simulation<S>) -> bool {
        let clients = simulation.inner.clients.iter().filter(|client| !client.commands.is_empty());
        self.accepted.len() >= clients.count()
    }

    /// The names of the clients that sent commands of which none was accepted.
    pub fn refused<S: System>(&self, simulation: &Simulation<S>) -> BTreeSet<String> {
        let clients = simulation.inner.clients.iter().enumerate();
        let refused = clients.filter(|(place, client)| !client.commands.is_empty() && !self.accepted.contains(place));
        refused.map(|(_, client)| client.name.clone()).collect()
    }

    /// Looks at a step; `resumed` is the client whose command is resumed in it.
    fn look<S: System>(&mut self, world: &World<S>, step: &Step, resumed: Option<usize>) {
        self.kinds = self.kinds.and(Watch::of(step));
        for message in &world.broker().messages()[step.published.clone()] {
            self.published.insert(message.name.subject.name());
        }
        self.look_at_command(step, resumed);
        let service = step.actor.map(|actor| actor.service.get());
        match step.answer {
            Some(Answer::Command(Err(rejection))) if rejection == NO_COMMANDS => {
                self.unhandled[0].extend(service);
            }
            Some(Answer::Delivery(Outcome::Silent(reason))) if reason == NO_EVENTS => {
                self.unhandled[1].extend(service);
            }
            _ => {}
        }
        let is_heard = match step.answer {
            Some(Answer::Delivery(Outcome::Ack)) => true,
            // A broker without naks gets none.
            Some(Answer::Delivery(Outcome::Nak { .. })) => world.broker().profile().naks,
            _ => false,
        };
        if step.crashed_between() {
            self.cut_between.insert(step.key());
        }
        if step.cleans() {
            self.cleaned.insert(step.key());
        }
        if step.fate.answer.is_some() && step.asking != Asking::Nothing {
            self.asked.insert(step.key(), step.asking);
        }
        if step.fate.ack == AckFate::Lost && is_heard {
            self.lost_answers.insert(step.key());
        }
    }

    /// Looks whether a step is a command that is accepted.
    #[inline]
    fn look_at_command(&mut self, step: &Step, resumed: Option<usize>) {
        match (step.action, step.answer) {
            (Action::Command(client), Some(Answer::Command(Ok(())))) => {
                self.accepted.insert(client.get());
            }
            (Action::Resume(_) | Action::Advance, Some(Answer::Command(Ok(())))) => self.accepted.extend(resumed),
            _ => {}
        }
    }
}

/// Looks at the steps of a run, beside another observer.
pub struct Looking<'a, S: System> {
    occurred: &'a mut Occurred,
    beside: &'a mut dyn Observer<S>,
    /// The client whose paused command is resumed.
    resumed: Option<usize>,
    /// How many dead letters had been put back before the step.
    redriven: usize,
    /// Whether nothing is looked for but commands that are accepted.
    commands_only: bool,
}

impl<'a, S: System> Looking<'a, S> {
    /// Notes in `occurred` what steps do, and lets `beside` see them as well.
    pub fn new(occurred: &'a mut Occurred, beside: &'a mut dyn Observer<S>) -> Looking<'a, S> {
        Looking { occurred, beside, resumed: None, redriven: 0, commands_only: false }
    }

    /// Notes in `occurred` no more than whose commands are accepted.
    pub(crate) fn at_commands(occurred: &'a mut Occurred, beside: &'a mut dyn Observer<S>) -> Looking<'a, S> {
        Looking { commands_only: true, ..Looking::new(occurred, beside) }
    }
}

impl<S: System> Observer<S> for Looking<'_, S> {
    fn before(&mut self, world: &World<S>, action: Action) {
        let target = Some(action).filter(|action| world.goes_on(*action));
        self.resumed = match target.and_then(|action| world.target(action)) {
            Some(Target::Command(command)) => {
                world.simulation().inner.clients.iter().position(|client| client.name == command.client)
            }
            _ => None,
        };
        self.redriven = world.broker().redriven();
        self.beside.before(world, action);
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        match self.commands_only {
            true => self.occurred.look_at_command(step, self.resumed),
            false => self.occurred.look(world, step, self.resumed),
        }
        if step.fate.change == Some(MemberChange::Redrive) && world.broker().redriven() > self.redriven {
            self.occurred.redriven.insert(step.key());
        }
        self.beside.after(world, step);
    }

    fn panicked(&mut self, world: &World<S>, step: &Step, message: &str) {
        self.beside.panicked(world, step, message);
    }
}
