//! A run that is observed step by step, and continuations of it.

use crate::event::System;
use crate::faults::Fate;
use crate::run::{Judges, Limits, Observer, Report, Verdict, run};
use crate::schedule::{Departure, Target};
use crate::scheduler::{Action, Departing, Scheduler, Tie};
use crate::simulation::Simulation;
use crate::trace::{Recorder, TraceRecord};
use crate::world::{Answer, Step, World};

/// A step of such a run.
#[derive(Clone, Debug)]
pub(super) struct ObservedStep {
    pub(super) action: Action,
    pub(super) fate: Fate,
    /// Whether its handler works from then on.
    pub(super) works: bool,
    /// Whether a handler goes on in it that had begun before.
    pub(super) goes_on: bool,
    /// Whether its handler was interrupted.
    pub(super) paused: bool,
    /// By which name a scheduler knows it in any run of the same simulation.
    pub(super) name: u64,
    pub(super) target: Option<Target>,
    pub(super) record: TraceRecord,
    /// Whether a command was refused in it.
    pub(super) is_refused: bool,
    /// What the calm run would have done earlier: it was held.
    pub(super) passed: Vec<u64>,
}

impl ObservedStep {
    /// Whether a handler began to work in it, or the broker lost what it was for.
    pub(super) fn begins(&self) -> bool {
        !self.goes_on
    }

    /// Whether it is about what a departure names.
    pub(super) fn is(&self, what: &Target) -> bool {
        self.target.as_ref() == Some(what)
    }

    /// Whether the handler of it read, and will save later.
    pub(super) fn pauses(&self) -> bool {
        (self.paused || self.works) && self.begins()
    }
}

/// A run with the worlds before its steps.
pub(super) struct ObservedRun<S: System> {
    pub(super) steps: Vec<ObservedStep>,
    /// The worlds before the steps.
    pub(super) worlds: Vec<World<S>>,
    /// The world after the last step, and that step; nothing if something panicked in it, or if there is none.
    pub(super) end: Option<(World<S>, Step)>,
    pub(super) report: Report,
}

impl<S: System> ObservedRun<S> {
    /// Whether members commit how far they are, and nobody waits for their acks.
    pub(super) fn keeps_offsets(&self) -> bool {
        self.worlds.first().is_some_and(|world| world.broker().profile().keeps_offsets())
    }

    /// Whether what handlers publish is out with their commits alone.
    pub(super) fn has_transactions(&self) -> bool {
        self.worlds.first().is_some_and(|world| world.broker().profile().has_transactions())
    }

    /// Plays the run that departs so from the calm one.
    pub(super) fn departing(
        simulation: &Simulation<S>,
        departures: &[Departure],
        judges: &Judges<S>,
        limits: Limits,
    ) -> ObservedRun<S> {
        let mut observing = Observing::default();
        let mut scheduler = Departing::new(departures.to_vec());
        let mut world = simulation.world();
        let report = run(&mut world, &mut scheduler, judges, limits, &mut observing);
        let Observing { steps, worlds, last, .. } = observing;
        let last = last.filter(|_| !matches!(report.verdict, Verdict::Panicked { .. }));
        ObservedRun { steps, worlds, end: last.map(|last| (world, last)), report }
    }

    /// The world after a step.
    pub(super) fn after(&self, place: usize) -> Option<&World<S>> {
        self.worlds.get(place + 1).or(self.end.as_ref().map(|(world, _)| world))
    }

    /// The same simulation in which clients hold back what was not refused in this run: such a command is
    /// sent when it would be accepted or, if that never comes, when nothing else happens any more.
    pub(super) fn holding_back(&self, simulation: &Simulation<S>) -> Simulation<S> {
        let commands = |step: &ObservedStep| match &step.target {
            Some(Target::Command(command)) => Some(command.clone()),
            _ => None,
        };
        let refused: Vec<_> = self.steps.iter().filter(|step| step.is_refused).filter_map(commands).collect();
        let sent: Vec<_> = self.steps.iter().filter_map(commands).collect();
        simulation.holding_back(|index| {
            let name = simulation.command(index);
            sent.iter().any(|sent| sent.is_attempt_of(&name)) && !refused.contains(&name)
        })
    }

    /// The number of the step in which the service of a step had removed a record, if that is why it is not there.
    pub(super) fn removed_before(&self, place: usize, id: &str) -> Option<u64> {
        let service = &self.steps[place].record.service;
        let earlier = self.steps[..place].iter().map(|step| &step.record).rev();
        let mut earlier = earlier.filter(|record| record.service == *service);
        let last = |record: &TraceRecord| Some((record.step, record.saved.iter().rfind(|row| row.id == id)?.removed));
        earlier.find_map(last).filter(|(_, removed)| *removed).map(|(step, _)| step)
    }

    /// Whether a step saves a record that its service had removed.
    pub(super) fn makes_again(&self, place: usize) -> bool {
        let mut saved = self.steps[place].record.saved.iter().filter(|row| !row.removed);
        saved.any(|row| self.removed_before(place, &row.id).is_some())
    }

    /// The place of the first step that is about what a departure names.
    pub(super) fn place_of(&self, what: &Target) -> Option<usize> {
        self.steps.iter().position(|step| step.is(what) && step.begins())
    }

    /// The place of the step in which a departure shows: where what is held is passed by first, or where
    /// what goes wrong goes wrong.
    pub(super) fn shows_in(&self, departure: &Departure) -> Option<usize> {
        match departure {
            Departure::Hold { what, .. } => {
                let key = what.key();
                self.steps.iter().position(|step| step.passed.contains(&key))
            }
            departure => self.place_of(&departure.what()),
        }
    }
}

/// Observes what a run does, and keeps the worlds before its steps.
struct Observing<S: System> {
    steps: Vec<ObservedStep>,
    worlds: Vec<World<S>>,
    recorder: Recorder,
    /// What is known of a step before it happens.
    pending: Option<Pending>,
    /// The step taken last.
    last: Option<Step>,
}

struct Pending {
    name: u64,
    target: Option<Target>,
    passed: Vec<u64>,
}

impl<S: System> Default for Observing<S> {
    fn default() -> Observing<S> {
        let recorder = Recorder::default();
        Observing { steps: Vec::new(), worlds: Vec::new(), recorder, pending: None, last: None }
    }
}

impl<S: System> Observing<S> {
    /// Adds a step that the recorder has seen.
    fn add(&mut self, step: &Step) {
        let (Some(pending), Some(record)) = (self.pending.take(), self.recorder.last()) else { return };
        let Pending { name, target, passed } = pending;
        let (record, is_refused) = (record.clone(), matches!(step.answer, Some(Answer::Command(Err(_)))));
        let (action, fate) = (step.action, step.fate);
        let (works, goes_on, paused) = (step.works(), step.goes_on_with(), step.pauses());
        self.steps.push(ObservedStep {
            action,
            fate,
            works,
            goes_on,
            paused,
            name,
            target,
            record,
            is_refused,
            passed,
        });
    }
}

impl<S: System> Observer<S> for Observing<S> {
    fn before(&mut self, world: &World<S>, action: Action) {
        self.recorder.before(world, action);
        self.worlds.push(world.clone());
        let enabled = world.enabled();
        let rank = enabled.calm_rank(action, Tie::InOrder);
        let passed = enabled.iter().filter(|other| enabled.calm_rank(*other, Tie::InOrder) < rank);
        let passed = passed.filter_map(|other| Some(world.target(other)?.key())).collect();
        let (name, target) = (name_of(world, action), world.target(action));
        self.pending = Some(Pending { name, target, passed });
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        self.recorder.after(world, step);
        self.add(step);
        self.last = Some(step.clone());
    }

    fn panicked(&mut self, world: &World<S>, step: &Step, message: &str) {
        self.recorder.panicked(world, step, message);
        self.add(step);
    }
}

/// By which name schedulers know an enabled action.
fn name_of<S: System>(world: &World<S>, action: Action) -> u64 {
    match world.offer(action) {
        Some(offer) => offer.key,
        None => world.enabled().clock().unwrap_or_default(),
    }
}

/// Continues from a world in the middle of a run, by a scheduler that was not there before.
pub(super) fn continue_run<S: System>(
    world: &mut World<S>,
    scheduler: &mut impl Scheduler,
    judges: &Judges<S>,
    limits: Limits,
) -> Verdict {
    for action in world.enabled().iter() {
        world.offer(action).into_iter().for_each(|offer| scheduler.offer(offer));
    }
    run(world, scheduler, judges, limits, &mut ()).verdict
}
