//! Shrinking: of the departures and commands of a failing run, those that matter.
//!
//! What is left out is left out for good if the run still fails in the same way: the same property at
//! the same service about the same kind of record, or the same panic, or the same limit. First goes
//! what has nothing to do with the records of the violation, then departures, then commands, and so on
//! until nothing more can go; then each thing that is left was left out once, and the run did not
//! fail so. A result that fails only because the calm run happens to serve groups in one order gets
//! the departures that make it fail in the reverse order, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::event::{Command, System};
use crate::extract::extract;
use crate::hash;
use crate::ids::RecordId;
use crate::run::{Judges, Limits, Observer, Report, Verdict, run};
use crate::schedule::{CommandSpec, Departure, Target};
use crate::scheduler::{Departing, Tie};
use crate::simulation::Simulation;
use crate::world::{Step, World};

/// How many runs it takes at most, unless said otherwise.
const EXECUTIONS_MAX: u32 = 500;
/// Of more commands than this, no two are left out at once.
const PAIRED_MAX: usize = 12;

/// What is shrunk, and how it is judged.
pub struct Shrink<'a, S: System> {
    /// The simulation with all its commands.
    pub simulation: &'a Simulation<S>,
    /// What a run is judged by.
    pub judges: &'a Judges<S>,
    /// How far a run may go.
    pub limits: Limits,
    /// How many runs it may take.
    pub executions_max: u32,
    allowed: Option<&'a Allowed<'a>>,
}

/// Whether a case may be a result: the commands that are left, for each client by their places, and
/// the departures.
pub type Allowed<'a> = dyn Fn(&[Vec<usize>], &[Departure]) -> bool + 'a;

/// Something of a counterexample that could be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A departure.
    Departure(Departure),
    /// A command.
    Command(CommandSpec),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Departure(departure) => departure.fmt(f),
            Item::Command(command) => command.fmt(f),
        }
    }
}

/// A counterexample and what was found out about it.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The departures that are left.
    pub departures: Vec<Departure>,
    /// For each client, the places of the commands that are left.
    pub commands: Vec<Vec<usize>>,
    /// What its run comes to.
    pub report: Report,
    /// How many runs it took.
    pub executions: u32,
    /// Each thing that is left, with what the run comes to without it: held, or a failure of another
    /// kind; `None` if it is not allowed to be left out. Short of things if the runs did not suffice.
    pub because: Vec<(Item, Option<Verdict>)>,
    /// Whether each thing that is left was left out once.
    pub minimal: bool,
    /// Whether it fails in the same way if the calm run serves the groups in reverse order.
    pub anchored: bool,
}

impl Shrunk {
    /// The simulation with the commands that are left.
    #[must_use]
    pub fn simulation<S: System>(&self, of: &Simulation<S>) -> Simulation<S> {
        keeping(of, &self.commands)
    }
}

fn keeping<S: System>(simulation: &Simulation<S>, commands: &[Vec<usize>]) -> Simulation<S> {
    simulation.keeping(|client, place| commands[client].binary_search(&place).is_ok())
}

/// The run does not fail, so that there is nothing to shrink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NothingToShrink;

impl fmt::Display for NothingToShrink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the run holds: there is nothing to shrink")
    }
}

impl std::error::Error for NothingToShrink {}

impl<'a, S: System> Shrink<'a, S> {
    /// Shrinks runs of this simulation.
    #[must_use]
    pub fn of(simulation: &'a Simulation<S>, judges: &'a Judges<S>, limits: Limits) -> Shrink<'a, S> {
        Shrink { simulation, judges, limits, executions_max: EXECUTIONS_MAX, allowed: None }
    }

    /// Looks only at what is `allowed`, for example because it can be written to a file.
    #[must_use]
    pub fn within(self, allowed: &'a Allowed<'a>) -> Shrink<'a, S> {
        Shrink { allowed: Some(allowed), ..self }
    }

    fn allows(&self, case: &Case) -> bool {
        self.allowed.is_none_or(|allowed| allowed(&case.commands, &case.departures))
    }

    /// Shrinks the run that departs so from the calm one.
    ///
    /// # Errors
    /// If that run holds.
    pub fn run(&self, departures: Vec<Departure>) -> Result<Shrunk, NothingToShrink> {
        let commands = (0..self.simulation.clients()).map(|client| self.simulation.hosted(client).commands.len());
        let case = Case { commands: commands.map(|count| (0..count).collect()).collect(), departures };
        let (played, touched) = self.play_touched(&case);
        if played.report.verdict.is_held() {
            return Err(NothingToShrink);
        }
        let mut limits = self.limits;
        if !matches!(played.report.verdict, Verdict::Stuck { .. }) {
            // A run that goes on and on is not the failure that is looked for.
            limits.steps_max = limits.steps_max.min(20 * played.report.steps + 1_000);
        }
        let mut shrinker = Shrinker {
            shrink: self,
            limits,
            case: case.clone(),
            report: played.report,
            ties: vec![Tie::InOrder],
            executions: 1,
            known: BTreeMap::new(),
        };
        shrinker.case.departures.retain(|departure| !played.unused.contains(departure));
        shrinker.slice(&touched);
        shrinker.leave_out();
        let anchored = shrinker.anchor();
        Ok(shrinker.finish(anchored))
    }

    fn simulation_of(&self, case: &Case) -> Simulation<S> {
        keeping(self.simulation, &case.commands)
    }

    fn play_touched(&self, case: &Case) -> (Played, Touched) {
        let mut touched = Touched::default();
        let simulation = self.simulation_of(case);
        let mut scheduler = Departing::new(case.departures.clone());
        let report = run(&mut simulation.world(), &mut scheduler, self.judges, self.limits, &mut touched);
        (Played { report, unused: scheduler.unused().cloned().collect() }, touched)
    }
}

/// What is run: for each client the places of the commands it sends, and the departures.
#[derive(Clone, Debug, Hash)]
struct Case {
    commands: Vec<Vec<usize>>,
    departures: Vec<Departure>,
}

impl Case {
    /// The commands, each by the places of the client and in its list.
    fn all_commands(&self) -> Vec<(usize, usize)> {
        let clients = self.commands.iter().enumerate();
        clients.flat_map(|(client, kept)| kept.iter().map(move |place| (client, *place))).collect()
    }

    fn without_commands(&self, left_out: &[(usize, usize)]) -> Case {
        let mut case = self.clone();
        for (client, kept) in case.commands.iter_mut().enumerate() {
            kept.retain(|place| !left_out.contains(&(client, *place)));
        }
        case
    }

    fn without_departures(&self, left_out: std::ops::Range<usize>) -> Case {
        let mut case = self.clone();
        case.departures.drain(left_out);
        case
    }
}

struct Played {
    report: Report,
    unused: Vec<Departure>,
}

/// The records that belong together because a step dealt with both.
#[derive(Debug, Default)]
struct Touched {
    steps: Vec<BTreeSet<RecordId>>,
    action: BTreeSet<RecordId>,
}

impl<S: System> Observer<S> for Touched {
    fn before(&mut self, world: &World<S>, action: crate::scheduler::Action) {
        self.action.clear();
        if let crate::scheduler::Action::Command(client) = action {
            self.action.extend(world.next_command(client).map(Command::record));
        }
        self.action.extend(world.target(action).and_then(|target| record_of(&target)));
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        let mut records = std::mem::take(&mut self.action);
        let store = step.actor.filter(|_| step.ran()).map(|actor| world.store(actor.service));
        records.extend(store.into_iter().flat_map(|store| store.changed_texts()).map(|row| row.id));
        let published = &world.broker().messages()[step.published.clone()];
        records.extend(published.iter().map(|message| message.name.record));
        self.steps.push(records);
    }
}

impl Touched {
    /// The records that hang together with these.
    fn around(&self, mut records: BTreeSet<RecordId>) -> BTreeSet<RecordId> {
        loop {
            let before = records.len();
            for step in self.steps.iter().filter(|step| !step.is_disjoint(&records)).cloned().collect::<Vec<_>>() {
                records.extend(step);
            }
            if records.len() == before {
                return records;
            }
        }
    }
}

/// The record a departure's name begins with; a command's name does not say.
fn record_of(target: &Target) -> Option<RecordId> {
    match target {
        Target::Delivery(delivery) | Target::Ack(delivery) | Target::AckWait(delivery) => Some(delivery.record),
        Target::Timer(timer) => Some(timer.record),
        Target::Pause(what) => record_of(what),
        Target::Command(_) | Target::Join(_) => None,
    }
}

/// What a case that was tried came to.
#[derive(Clone)]
enum Tried {
    /// The same failure.
    Same,
    /// Something else.
    Other(Verdict),
}

struct Shrinker<'a, 'b, S: System> {
    shrink: &'b Shrink<'a, S>,
    limits: Limits,
    /// The smallest case so far, and what it comes to.
    case: Case,
    report: Report,
    /// The orders of the calm run under which it has to fail.
    ties: Vec<Tie>,
    executions: u32,
    known: BTreeMap<(u64, Tie), Tried>,
}

impl<S: System> Shrinker<'_, '_, S> {
    /// Takes a case if it fails in the same way.
    fn take(&mut self, case: Case) -> bool {
        if !self.shrink.allows(&case) {
            return false;
        }
        let mut first = None;
        for place in 0..self.ties.len() {
            match self.attempt(&case, self.ties[place]) {
                Some((Tried::Same, played)) => first = first.or(played),
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

    /// Tries a case, unless the runs are used up. What was tried before is remembered.
    fn attempt(&mut self, case: &Case, tie: Tie) -> Option<(Tried, Option<Played>)> {
        let key = (hash::of(case), tie);
        if let Some(known @ Tried::Other(_)) = self.known.get(&key) {
            return Some((known.clone(), None));
        }
        if self.executions >= self.shrink.executions_max {
            return None;
        }
        self.executions += 1;
        let simulation = self.shrink.simulation_of(case);
        let mut scheduler = Departing::with_tie(case.departures.clone(), tie);
        let report = run(&mut simulation.world(), &mut scheduler, self.shrink.judges, self.limits, &mut ());
        let tried = match same_failure(&self.report.verdict, &report.verdict) {
            true => Tried::Same,
            false => Tried::Other(report.verdict.clone()),
        };
        self.known.insert(key, tried.clone());
        Some((tried, Some(Played { report, unused: scheduler.unused().cloned().collect() })))
    }

    /// Leaves out what has nothing to do with the records of the violation.
    fn slice(&mut self, touched: &Touched) {
        let Verdict::Violated { violation, .. } = &self.report.verdict else { return };
        let record = violation.message.map(|message| message.record).into_iter().chain(violation.record);
        let records = touched.around(record.collect());
        if records.is_empty() {
            return;
        }
        let mut case = self.case.clone();
        let simulation = self.shrink.simulation;
        let far: Vec<(usize, usize)> = case
            .all_commands()
            .into_iter()
            .filter(|(client, place)| !records.contains(&simulation.hosted(*client).commands[*place].command.record()))
            .collect();
        case = case.without_commands(&far);
        let is_far = |command: &CommandSpec| far.iter().any(|place| self.spec(*place) == *command);
        case.departures.retain(|departure| match departure.what() {
            Target::Command(command) => !is_far(&command),
            what => record_of(&what).is_none_or(|record| records.contains(&record)),
        });
        self.take(case);
    }

    /// Leaves out departures and commands until nothing more can go.
    fn leave_out(&mut self) {
        loop {
            let before = hash::of(&self.case);
            self.departures();
            self.clients();
            self.commands();
            self.simplify();
            self.single();
            if hash::of(&self.case) == before {
                self.pairs();
            }
            if hash::of(&self.case) == before {
                break;
            }
        }
    }

    /// Departures: all, then in halves, quarters, … from the end, then one by one.
    fn departures(&mut self) {
        let mut size = self.case.departures.len();
        while size > 0 {
            let (mut end, before) = (self.case.departures.len(), self.case.departures.len());
            while end > 0 {
                let begin = end.saturating_sub(size);
                self.take(self.case.without_departures(begin..end));
                end = begin.min(self.case.departures.len());
            }
            let left = self.case.departures.len();
            if size == 1 && left == before {
                break;
            }
            size = if size == 1 { 1 } else { (size / 2).min(left).max(usize::from(left > 0)) };
        }
    }

    /// Whole clients, the last first; several at once where there are many.
    fn clients(&mut self) {
        let mut size = (self.case.commands.len() / 2).max(1);
        while size > 0 {
            let mut end = self.case.commands.len();
            while end > 0 {
                let begin = end.saturating_sub(size);
                let mut case = self.case.clone();
                case.commands[begin..end].iter_mut().for_each(Vec::clear);
                if case.commands != self.case.commands && !self.take(case.clone()) {
                    self.take(self.forgetting(case));
                }
                end = begin;
            }
            size /= 2;
        }
    }

    /// Commands one by one, the last first; in larger pieces where there are many.
    fn commands(&mut self) {
        let mut size = (self.case.all_commands().len() / 4).max(1);
        while size > 0 {
            let mut end = self.case.all_commands().len();
            while end > 0 {
                let begin = end.saturating_sub(size);
                let left_out = self.case.all_commands()[begin..end].to_vec();
                let case = self.case.without_commands(&left_out);
                if !self.take(case.clone()) {
                    self.take(self.forgetting(case));
                }
                end = begin;
            }
            size /= 2;
        }
    }

    /// The same, with quiescence as the end of what lasts until a command that is left out.
    fn forgetting(&self, mut case: Case) -> Case {
        let kept: Vec<CommandSpec> = case.all_commands().into_iter().map(|place| self.spec(place)).collect();
        let is_gone = |until: &Target| match until {
            Target::Command(command) => !kept.contains(command),
            Target::Pause(what) => matches!(&**what, Target::Command(command) if !kept.contains(command)),
            _ => false,
        };
        for departure in &mut case.departures {
            if departure.until().is_some_and(is_gone) {
                *departure = departure.clone().ended_by(None);
            }
        }
        case
    }

    /// Of several departures, one alone that lasts until quiescence, which may also be about the first
    /// attempt of what was redelivered.
    fn single(&mut self) {
        if self.case.departures.len() < 2 {
            return;
        }
        for place in 0..self.case.departures.len() {
            let departure = self.case.departures[place].clone().ended_by(None);
            let mut alone = vec![departure.clone()];
            for target in [Some(departure.what()), self.case.departures[place].until().cloned()].into_iter().flatten() {
                if let Target::Delivery(mut delivery) = target {
                    delivery.attempt = 1;
                    alone.push(Departure::Hold { what: Target::Delivery(delivery), until: None });
                }
            }
            for departure in alone {
                let case = Case { departures: vec![departure], ..self.case.clone() };
                if self.take(case) {
                    return;
                }
            }
        }
    }

    /// Two commands at once: one may undo what the other does. And a command with a departure, and a
    /// departure with what another one waits for.
    fn pairs(&mut self) {
        let commands = self.case.all_commands();
        if commands.len() > PAIRED_MAX {
            return;
        }
        let pairs = (0..commands.len()).rev().flat_map(|one| (0..one).map(move |other| (other, one)));
        let pairs: Vec<_> = pairs.map(|(other, one)| [commands[other], commands[one]]).collect();
        let _went = pairs.iter().any(|pair| self.take(self.case.without_commands(pair)))
            || commands.iter().any(|command| {
                let case = self.case.without_commands(&[*command]);
                (0..case.departures.len()).any(|place| self.take(case.without_departures(place..place + 1)))
            })
            || (0..self.case.departures.len()).any(|place| {
                let case = self.case.without_departures(place..place + 1);
                (0..case.departures.len()).any(|other| {
                    let mut case = case.clone();
                    case.departures[other] = case.departures[other].clone().ended_by(None);
                    self.take(case)
                })
            });
    }

    /// What lasts until something happened is simpler to read if quiescence will do.
    fn simplify(&mut self) {
        for place in (0..self.case.departures.len()).rev() {
            let Some(departure) = self.case.departures.get(place).filter(|departure| departure.until().is_some())
            else {
                continue;
            };
            let mut case = self.case.clone();
            case.departures[place] = departure.clone().ended_by(None);
            self.take(case);
        }
    }

    /// Makes it fail in the reverse order of groups as well, if it does not, and says whether it does.
    fn anchor(&mut self) -> bool {
        match self.attempt(&self.case.clone(), Tie::Reversed) {
            None => return false,
            Some((Tried::Same, _)) => return true,
            Some((Tried::Other(_), _)) => {}
        }
        let simulation = self.shrink.simulation_of(&self.case);
        let departing = Departing::new(self.case.departures.clone());
        let extracted = extract(&simulation, departing, self.shrink.judges, self.limits, Tie::Reversed);
        self.executions += 2;
        let Ok(extracted) = extracted else { return false };
        let mut case = self.case.clone();
        case.departures.extend(extracted.departures.into_iter().filter(|d| !self.case.departures.contains(d)));
        let before = (self.case.clone(), self.report.clone());
        self.ties.push(Tie::Reversed);
        if !self.take(case) {
            self.ties.pop();
            return false;
        }
        self.leave_out();
        if self.executions >= self.shrink.executions_max
            && self.case.departures.len() > 2 * before.0.departures.len() + 2
        {
            // Not worth it: the runs did not suffice to find out what of it matters.
            (self.case, self.report) = before;
            self.ties.pop();
            return false;
        }
        true
    }

    fn spec(&self, (client, place): (usize, usize)) -> CommandSpec {
        let hosted = self.shrink.simulation.hosted(client);
        let command = &hosted.commands[place];
        CommandSpec { client: hosted.name.clone(), label: command.command.label(), nth: command.nth }
    }

    /// Says what each thing that is left is good for.
    fn finish(mut self, anchored: bool) -> Shrunk {
        let mut items = Vec::new();
        for place in 0..self.case.departures.len() {
            let item = Item::Departure(self.case.departures[place].clone());
            items.push((item, self.case.without_departures(place..place + 1)));
        }
        for command in self.case.all_commands() {
            items.push((Item::Command(self.spec(command)), self.case.without_commands(&[command])));
        }
        let mut because = Vec::new();
        let mut minimal = true;
        for (item, case) in items {
            if !self.shrink.allows(&case) {
                because.push((item, None));
                continue;
            }
            let tries: Vec<_> = self.ties.clone().into_iter().map(|tie| self.attempt(&case, tie)).collect();
            let other = tries.iter().flatten().find_map(|(tried, _)| match tried {
                Tried::Other(verdict) => Some(verdict.clone()),
                Tried::Same => None,
            });
            minimal &= other.is_some();
            because.extend(other.map(|verdict| (item, Some(verdict))));
        }
        let simulation = self.shrink.simulation_of(&self.case);
        let mut departing = Departing::new(self.case.departures.clone());
        let report = run(&mut simulation.world(), &mut departing, self.shrink.judges, self.limits, &mut ());
        Shrunk {
            departures: self.case.departures,
            commands: self.case.commands,
            report,
            executions: self.executions,
            because,
            minimal,
            anchored,
        }
    }
}

/// Whether two runs fail in the same way: the same property at the same service about the same kind
/// of record, the same panic, or the same limit.
#[must_use]
pub fn same_failure(one: &Verdict, other: &Verdict) -> bool {
    match (one, other) {
        (
            Verdict::Violated { property, violation },
            Verdict::Violated { property: other_property, violation: other_violation },
        ) => {
            let kind = |record: Option<RecordId>| record.map(RecordId::kind);
            property == other_property
                && violation.service == other_violation.service
                && kind(violation.record) == kind(other_violation.record)
        }
        (Verdict::Stuck { .. } | Verdict::Panicked { .. }, _) => one.signature() == other.signature(),
        _ => false,
    }
}
