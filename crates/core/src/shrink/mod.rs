//! Shrinking (delta debugging): of the departures and commands of a failing run, those that matter.
//!
//! What is left out is left out for good if the run still fails in the same way: the same property at
//! the same service about the same kind of record, or the same panic, or the same limit. First goes
//! what the violation does not go back to, then departures, then commands, and so on until nothing more
//! can go; where several departures are left, fewer others are looked for that do the same, and values
//! become simple. In the end each thing that is left was left out once, and the run did not fail so. Where
//! it fails only because the calm run happens to serve groups in one order, the departures that make it
//! fail in the others are told beside it.

mod case;
mod instead;
mod passes;
mod shrinker;
mod slice;
mod values;

use std::fmt;

use crate::event::{Command, System};
use crate::extract::{ExtractError, extract};
use crate::faults::FaultPlan;
use crate::ids::RecordId;
use crate::portfolio::SchedulerKind;
use crate::run::{Judges, Limits, Report, Verdict};
use crate::schedule::{CommandSpec, Departure};
use crate::scheduler::Tie;
use crate::simulation::{CommandIndex, Simulation};

pub use case::Case;
use case::keeping;
use shrinker::Shrinker;

/// The most runs that shrinking plays, unless said otherwise.
const EXECUTIONS_MAX: u32 = 500;

/// Shrinks failing runs of a simulation.
///
/// Without options: the usual [`Limits`], at most 500 runs, commands may be made simpler, and any case
/// may be the result.
pub struct Shrink<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    limits: Limits,
    executions_max: u32,
    simpler_commands: bool,
    allowed: Option<&'a Allowed<'a>>,
    finds: Option<&'a Finds<'a>>,
}

/// Schedules of fewer than so many departures that fail in some way.
pub type Finds<'a> = dyn Fn(usize) -> Vec<Vec<Departure>> + 'a;

/// Whether a case may be a result: the commands that are left, in order, and the departures.
pub type Allowed<'a> = dyn Fn(&[CommandIndex], &[Departure]) -> bool + 'a;

/// Something of a counterexample that could be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// A counterexample and what was found out about it; `C` is the type of the commands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shrunk<C> {
    /// The departures that are left.
    pub departures: Vec<Departure>,
    /// The commands that are left, in order.
    pub commands: Vec<CommandIndex>,
    /// The commands that were made simpler.
    pub simpler: Vec<Simpler<C>>,
    /// The report of its run.
    pub report: Report,
    /// How many runs it took.
    pub executions: u32,
    /// Each thing that is left. Short of things if the runs did not suffice.
    pub needed: Vec<Needed>,
    /// Whether each thing that is left was left out once.
    pub minimal: bool,
    /// The departures that are needed beside those that are left to fail in the same way in whichever order
    /// the calm run serves the groups. An empty list: it fails so as it is. `None`: no such departures were
    /// found in the runs there were, so it is known to fail in the order of this simulation alone.
    pub anchors: Option<Vec<Departure>>,
}

/// What it takes, in words, to fail in whichever order the calm run serves the groups
/// (see [`Shrunk::anchors`]).
pub(crate) fn in_other_orders(anchors: Option<&[Departure]>) -> String {
    match anchors {
        Some([]) => "it fails as well if the calm run serves the groups in other orders".to_owned(),
        Some(anchors) => {
            let anchors: Vec<String> = anchors.iter().map(|departure| format!("`{departure}`")).collect();
            format!("if the calm run serves the groups in another order, it takes {} as well", anchors.join(", "))
        }
        None => "if the calm run serves the groups in another order, it is not known to fail".to_owned(),
    }
}

/// Leaves out pieces of so many, half as many, …, the last first, as long as `without` takes what is left; it says
/// what of that is to be gone on with.
pub(crate) fn leave_out_pieces<T: Clone>(
    mut left: Vec<T>,
    mut size: usize,
    mut without: impl FnMut(&[T]) -> Option<Vec<T>>,
) -> Vec<T> {
    while size > 0 {
        let mut end = left.len();
        while end > 0 {
            let begin = end.saturating_sub(size);
            let fewer = [&left[..begin], &left[end..]].concat();
            left = without(&fewer).unwrap_or(left);
            end = begin.min(left.len());
        }
        size /= 2;
    }
    left
}

/// A simpler command in the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simpler<C> {
    /// Which command of the simulation it replaces.
    pub index: CommandIndex,
    /// The simpler command.
    pub command: C,
}

/// Something that is left of a run, and the verdict without it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needed {
    /// What is left.
    pub item: Item,
    /// The verdict without it: held, or a failure of another kind; `None` if it is not allowed to
    /// be left out.
    pub without: Option<Verdict>,
}

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its steps.
    pub steps: u64,
    /// Its departures from the calm run.
    pub departures: usize,
    /// The commands that are sent.
    pub commands: usize,
}

impl<C> Shrunk<C> {
    /// How large it is.
    #[must_use]
    pub fn size(&self) -> Size {
        let (departures, commands) = (self.departures.len(), self.commands.len());
        Size { steps: self.report.steps, departures, commands }
    }

    /// Each thing that is left, with why it is needed, in words.
    pub fn reasons(&self) -> impl Iterator<Item = (&Item, String)> {
        self.needed.iter().map(|Needed { item, without }| {
            let why = match without {
                None => "the rest names it or what it creates".to_owned(),
                Some(verdict) => match verdict.signature() {
                    None => "without it every property holds".to_owned(),
                    Some(signature) => format!("without it {signature}"),
                },
            };
            (item, why)
        })
    }

    /// What else a reader has to know about it, in words.
    pub fn caveats(&self) -> impl Iterator<Item = String> {
        let unfinished = (!self.minimal).then(|| "the runs did not suffice to leave out all that can go".to_owned());
        let leaning = (!self.is_anchored()).then(|| in_other_orders(self.anchors.as_deref()));
        unfinished.into_iter().chain(leaning)
    }

    /// Whether it fails in the same way, as it is, in whichever order the calm run serves the groups.
    #[must_use]
    pub fn is_anchored(&self) -> bool {
        self.anchors.as_ref().is_some_and(Vec::is_empty)
    }

    /// The same with the labels of commands in the place of the commands.
    #[must_use]
    pub fn with_labels(self) -> Shrunk<String>
    where
        C: Command,
    {
        let Shrunk { departures, commands, simpler, report, executions, needed, minimal, anchors } = self;
        let label = |Simpler { index, command }: Simpler<C>| Simpler { index, command: command.label() };
        let simpler = simpler.into_iter().map(label).collect();
        Shrunk { departures, commands, simpler, report, executions, needed, minimal, anchors }
    }

    /// The simulation with the commands that are left.
    #[must_use]
    pub fn simulation<S: System<Command = C>>(&self, of: &Simulation<S>) -> Simulation<S>
    where
        C: Clone,
    {
        let replaced = self
            .simpler
            .iter()
            .fold(of.clone(), |simulation, simpler| simulation.replacing(simpler.index, simpler.command.clone()));
        keeping(&replaced, &self.commands)
    }
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

/// What is left, each with why it is needed, and what else a reader has to know: a line each.
impl<C> fmt::Display for Shrunk<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { steps, departures, commands } = self.size();
        write!(f, "{steps} steps, departures {departures}, commands {commands}, after {} runs", self.executions)?;
        for (item, why) in self.reasons() {
            write!(f, "\n    {item}: {why}")?;
        }
        self.caveats().try_for_each(|caveat| write!(f, "\nnote: {caveat}"))
    }
}

impl<'a, S: System> Shrink<'a, S> {
    /// Shrinks runs of this simulation, with all its commands, as these judges judge them.
    #[must_use]
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Shrink<'a, S> {
        let (limits, executions_max) = (Limits::default(), EXECUTIONS_MAX);
        Shrink { simulation, judges, limits, executions_max, simpler_commands: true, allowed: None, finds: None }
    }

    /// How far a run may go.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Shrink<'a, S> {
        Shrink { limits, ..self }
    }

    /// How many runs shrinking may play; if they do not suffice, the result is not minimal.
    #[must_use]
    pub fn with_executions_max(self, executions_max: u32) -> Shrink<'a, S> {
        Shrink { executions_max, ..self }
    }

    /// Whether commands may be made simpler ([`Command::simpler`]), so that the
    /// result has commands that are not part of the simulation.
    #[must_use]
    pub fn with_simpler_commands(self, simpler_commands: bool) -> Shrink<'a, S> {
        Shrink { simpler_commands, ..self }
    }

    /// Which cases may be the result: those that are `allowed`, for example because they can be written to
    /// a file.
    #[must_use]
    pub fn with_allowed(self, allowed: &'a Allowed<'a>) -> Shrink<'a, S> {
        Shrink { allowed: Some(allowed), ..self }
    }

    /// Where to find fewer departures that fail in the same way with all commands, such as the
    /// [finds](crate::search::HoldSweepResult::finds) of a hold sweep: asked once no more departures can be left
    /// out. Those are then shrunk in their place.
    #[must_use]
    pub fn with_finds(self, finds: &'a Finds<'a>) -> Shrink<'a, S> {
        Shrink { finds: Some(finds), ..self }
    }

    /// Shrinks the run of a seed under the schedulers of the portfolio, with the faults it draws from `plan`.
    ///
    /// ```
    /// # use pellmell::doc_example::{Change, Changed, Item, Shop};
    /// # use pellmell::{Outcome, Profile, RecordId, Simulation, Subject, Version, VersionPolicy, testing};
    /// use pellmell::property::NoPoison;
    /// use pellmell::shrink::Shrink;
    /// use pellmell::{FaultPlan, Judges};
    /// # let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
    /// #     ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
    /// #     Ok(())
    /// # });
    /// # let search = testing::service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    /// # let search = search.on_event(const { &[Subject::new("item:changed")] }, |event, ctx| {
    /// #     match ctx.store.insert(event.item, Item { price: event.price }) {
    /// #         Ok(_) => Outcome::Ack,
    /// #         Err(_) => Outcome::Silent("duplicate key"),
    /// #     }
    /// # });
    /// # let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
    /// # let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
    /// # let simulation = simulation.client("seller", commands).build().unwrap();
    /// let judges = Judges::new(vec![Box::new(NoPoison)]);
    /// let shrink = Shrink::new(&simulation, &judges);
    /// let shrunk = (0..100).find_map(|seed| shrink.run_seed(seed, FaultPlan::SOME).ok()).unwrap();
    /// assert!(shrunk.to_string().contains("of item:changed i1@0 -> search: without it every property holds"));
    /// ```
    ///
    /// # Errors
    /// If that run holds, or its departures do not give it again.
    pub fn run_seed(&self, seed: u64, plan: FaultPlan) -> Result<Shrunk<S::Command>, NotShrunk> {
        let scheduler = SchedulerKind::Portfolio.scheduler(self.simulation, seed, plan);
        let extracted = extract(self.simulation, scheduler, self.judges, self.limits, Tie::InOrder);
        Ok(self.run(extracted.map_err(NotShrunk::Extract)?.departures)?)
    }

    /// Shrinks the run that departs so from the calm one.
    ///
    /// # Errors
    /// If that run holds.
    pub fn run(&self, departures: Vec<Departure>) -> Result<Shrunk<S::Command>, NothingToShrink> {
        self.run_case(Case::whole(self.simulation, departures))
    }

    /// Shrinks the run of some of the commands.
    ///
    /// # Errors
    /// If that run holds.
    pub fn run_case(&self, case: Case) -> Result<Shrunk<S::Command>, NothingToShrink> {
        Ok(Shrinker::begin(self, case)?.run())
    }
}

/// Why the run of a seed is not shrunk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotShrunk {
    /// It holds.
    Held(NothingToShrink),
    /// Its departures do not give it again.
    Extract(ExtractError),
}

impl From<NothingToShrink> for NotShrunk {
    fn from(error: NothingToShrink) -> NotShrunk {
        NotShrunk::Held(error)
    }
}

impl fmt::Display for NotShrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotShrunk::Held(error) => error.fmt(f),
            NotShrunk::Extract(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotShrunk {}

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

#[cfg(test)]
mod tests;
