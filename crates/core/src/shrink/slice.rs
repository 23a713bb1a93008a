//! The causal slice: which commands a violation can go back to.

use std::collections::BTreeSet;

use super::case::Case;
use crate::event::{Command, System};
use crate::ids::RecordId;
use crate::run::{Observer, Verdict};
use crate::schedule::{CommandSpec, Departure, Target};
use crate::scheduler::Action;
use crate::simulation::Simulation;
use crate::world::{Step, World};

/// What each step of a run dealt with.
#[derive(Debug, Default)]
pub(super) struct Touched {
    steps: Vec<Dealt>,
    action: Dealt,
}

/// The records a step dealt with, and the key of the command it executed.
#[derive(Clone, Debug, Default)]
struct Dealt {
    records: BTreeSet<RecordId>,
    command: Option<u64>,
}

impl<S: System> Observer<S> for Touched {
    fn before(&mut self, world: &World<S>, action: Action) {
        let target = world.target(action);
        self.action.records.clear();
        self.action.command = None;
        if let Action::Command(client) = action {
            self.action.records.extend(world.next_command(client).map(Command::record));
            self.action.command = world.hosted_next(client).map(|hosted| hosted.key);
        }
        self.action.records.extend(target.and_then(|target| record_of(&target)));
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        let mut dealt = std::mem::take(&mut self.action);
        let store = step.actor.filter(|_| step.ran()).map(|actor| world.store(actor.service));
        dealt.records.extend(store.into_iter().flat_map(|store| store.changed_texts()).map(|row| row.id));
        let published = &world.broker().messages()[step.published.clone()];
        dealt.records.extend(published.iter().map(|message| message.name.record));
        self.steps.push(dealt);
    }
}

/// What a violation goes back to.
struct Causes {
    records: BTreeSet<RecordId>,
    /// The keys of the commands.
    commands: BTreeSet<u64>,
}

impl Touched {
    /// Goes back from these records: a step that dealt with one of them is a cause, and so is then
    /// whatever dealt before it with anything it dealt with.
    fn causes(&self, mut records: BTreeSet<RecordId>) -> Causes {
        let mut commands = BTreeSet::new();
        for step in self.steps.iter().rev() {
            if !step.records.is_disjoint(&records) {
                records.extend(&step.records);
                commands.extend(step.command);
            }
        }
        Causes { records, commands }
    }

    /// The case without what the violation does not go back to; `None` if that cannot be told.
    pub(super) fn slice<S: System>(&self, case: &Case, verdict: &Verdict, of: &Simulation<S>) -> Option<Case> {
        let Verdict::Violated { violation, .. } = verdict else { return None };
        let records = violation.message.map(|message| message.record).into_iter().chain(violation.record);
        let records: BTreeSet<RecordId> = records.collect();
        if records.is_empty() {
            return None;
        }
        let causes = self.causes(records);
        let has_key = |command: &CommandSpec| causes.commands.contains(&command.key());
        let is_cause =
            |command: &CommandSpec| has_key(command) || command.at_first_attempt().is_some_and(|first| has_key(&first));
        let mut commands = case.commands.clone();
        commands.retain(|index| !is_cause(&of.command(*index)));
        let mut case = case.without_commands(&commands);
        case.departures.retain(|departure: &Departure| match departure.what() {
            Target::Command(command) => is_cause(&command),
            what => record_of(&what).is_none_or(|record| causes.records.contains(&record)),
        });
        Some(case.forgetting(of))
    }
}

/// The record a name begins with; a command's name does not say.
fn record_of(target: &Target) -> Option<RecordId> {
    match target {
        Target::Delivery(delivery) | Target::Ack(delivery) | Target::AckWait(delivery) => Some(delivery.record),
        Target::Timer(timer) => Some(timer.record),
        Target::Pause(what) | Target::Await { what, .. } | Target::Start(what) | Target::Publish(what) => {
            record_of(what)
        }
        Target::Command(_) | Target::Join(_) => None,
    }
}
