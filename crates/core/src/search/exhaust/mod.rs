//! Complete search (bounded model checking): whether every run of a simulation within bounds holds, or the
//! shortest that does not.
//!
//! A depth-first search through all states that runs within the [`Bounds`] reach. It keeps one world, which
//! goes back to the state before a step, and a visited set of hashes of states; a state that is reached again
//! with no larger remaining budget is not expanded again. Several threads share one visited set: which
//! states there are does not depend on which thread is first. The judges judge what they would judge in a
//! [`run`](crate::run()), so the search says of each run what `run` would say.

mod bounds;
mod clusters;
#[cfg(test)]
mod enumeration;
mod independence;
mod memo;
mod queue;
mod visited;
mod words;
mod worker;
mod workers;

use std::fmt;

use crate::determinism::{Footprints, Sample};
use crate::event::System;
use crate::faults::FaultPlan;
use crate::portfolio::SchedulerKind;
use crate::run::{Judges, Limits, Verdict, run, step_apart};
use crate::schedule::{NamedStep, Target};
use crate::scheduler::{Action, Move, Scripted};
use crate::shrink::leave_out_pieces;
use crate::simulation::Simulation;
use crate::trace::Naming;
use crate::world::{World, catching};

/// Of how many seeds some are played twice: as many as there are schedulers to take turns.
const SAMPLED: u64 = SchedulerKind::PORTFOLIO.len() as u64;

use super::shortest::DeliveryOrder;
use super::states::{first_world, let_go_on};
pub use bounds::{Bounds, Most};
pub(super) use bounds::{Budget, Choice, Choices, FateKind};
use clusters::Clusters;
pub use independence::Dependence;
use worker::{Marks, Stop, judge_still};
use workers::{Common, Pass, Stopped, Workers};

/// A complete search of a simulation within bounds.
///
/// Assumes that handlers are pure functions of event and store: states that differ in
/// [`Context::attempt`](crate::Context::attempt) alone are one to it. A late ack is tried on the simulation's own
/// broker alone ([`DeliveryOrder::Broker`]): with a zero ack timeout, a lost one leads to all that a late one leads
/// to.
///
/// ```
/// # use pellmell::doc_example::Shop;
/// use pellmell::search::{Bounds, Exhaust, Most, DeliveryOrder};
/// # use pellmell::{Judges, Simulation};
///
/// let bounds = Bounds { lost_acks: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
/// let simulation: Simulation<Shop> = Simulation::on(bounds.order.profile()).build()?;
/// let judges = Judges::new(vec![]);
/// let result = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
/// assert!(result.is_complete());
/// assert_eq!(result.to_string(), "held, exhaustive within any order, 1 lost ack: 1 state");
/// # Ok::<(), pellmell::simulation::BuildError>(())
/// ```
///
/// Without options it begins in the first world, allows any order and no faults, reduces, and takes a GiB
/// of memory and one thread.
pub struct Exhaust<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    bounds: Bounds,
    prefix: &'a [Move],
    memory_max: u64,
    reduce: bool,
    first_failing: bool,
    threads: u32,
}

/// Whether clients whose records never meet were searched apart: the sum of their states instead of
/// the product.
///
/// That needs that actions of different clusters are independent, which is tested, and that
/// properties judge the records of each cluster alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reduction {
    /// All clients were searched together: there is one cluster, or nobody asked for more.
    None,
    /// So many clusters were searched apart, after so many pairs of their actions were run in both
    /// orders and none differed.
    Clusters {
        /// How many clusters.
        clusters: u32,
        /// How many pairs.
        pairs: u64,
    },
    /// All clients were searched together, because clusters cannot be searched apart.
    Refused(&'static str),
    /// All clients were searched together, because the order of two actions matters.
    Dependent(Dependence),
}

/// How far a complete search is or came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchStats {
    /// States visited.
    pub states: u64,
    /// Steps tried, those that were tried to find a shorter run that fails among them.
    pub transitions: u64,
    /// The length of the path it is on, in steps.
    pub depth: u32,
    /// The length of the longest path so far.
    pub depth_max: u32,
    /// What the search takes, in bytes, as far as it counts against [`Exhaust::with_memory_max`].
    pub bytes: u64,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// All states were visited.
    All,
    /// A run fails.
    Failing,
    /// There was no memory for more states: what was not found may still be there.
    Memory,
    /// A run went on for more than [`Exhaust::STEPS_MAX`] steps: likewise.
    Steps,
    /// Nothing was searched, because the simulation's broker does not allow the order of the bounds
    /// ([`DeliveryOrder::is_allowed_by`]).
    Order,
    /// Nothing was searched, because handlers work for some time ([`Service::takes`](crate::Service::takes)), which
    /// only the simulation's own broker says anything about ([`DeliveryOrder::Broker`]).
    Works,
}

impl Ended {
    /// It in one word, as JSON output has it: `all`, `failing`, `memory`, `steps`, `order` or `works`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Ended::All => "all",
            Ended::Failing => "failing",
            Ended::Memory => "memory",
            Ended::Steps => "steps",
            Ended::Order => "order",
            Ended::Works => "works",
        }
    }
}

/// A run that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailingRun {
    /// Its verdict.
    pub verdict: Verdict,
    /// Its steps from the simulation's first world on. A [`Scripted`](crate::scheduler::Scripted)
    /// scheduler plays them again.
    pub steps: Vec<Move>,
    /// The same steps by name.
    pub names: Vec<NamedStep>,
    /// Whether no run within the bounds fails in fewer steps.
    pub is_shortest: bool,
}

/// The result of a complete search.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExhaustResult {
    /// What was searched.
    pub bounds: Bounds,
    /// How far it came.
    pub stats: SearchStats,
    /// Why it ended.
    pub ended: Ended,
    /// A run that fails, if one was found.
    pub failing: Option<FailingRun>,
    /// Whether clients were searched apart.
    pub reduction: Reduction,
}

impl ExhaustResult {
    /// Whether every state was visited and every run holds.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended == Ended::All
    }
}

impl ExhaustResult {
    /// The result for this cluster and another one, whose first state is the same.
    fn and(self, other: ExhaustResult) -> ExhaustResult {
        let (one, two) = (self.stats, other.stats);
        let stats = SearchStats {
            states: one.states + two.states - 1,
            transitions: one.transitions + two.transitions,
            depth: two.depth,
            depth_max: one.depth_max.max(two.depth_max),
            bytes: one.bytes.max(two.bytes),
        };
        ExhaustResult { stats, ..other }
    }
}

/// The most steps of a run that a complete search follows.
pub const SEARCHED_STEPS_MAX: u32 = 10_000;

impl<'a, S: System> Exhaust<'a, S> {
    /// The most steps of a run that the search follows.
    pub const STEPS_MAX: u32 = SEARCHED_STEPS_MAX;

    /// A search of this simulation, whose runs must hold as these judges judge them.
    #[must_use]
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Exhaust<'a, S> {
        let bounds = Bounds::of(DeliveryOrder::Any);
        Exhaust {
            simulation,
            judges,
            bounds,
            prefix: &[],
            memory_max: 1 << 30,
            reduce: true,
            first_failing: false,
            threads: 1,
        }
    }

    /// What may happen. The simulation's broker has to allow the order of the bounds, such as
    /// [`DeliveryOrder::profile`] does; if it does not, nothing is searched ([`Ended::Order`]).
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Exhaust<'a, S> {
        Exhaust { bounds, ..self }
    }

    /// The steps after which the search begins; none of them counts against the bounds.
    #[must_use]
    pub fn with_prefix(self, prefix: &'a [Move]) -> Exhaust<'a, S> {
        Exhaust { prefix, ..self }
    }

    /// How many bytes the search may take: the set of visited states, for each thread a world that can go back
    /// to each state of its path, and memoised transitions and judgements. What records and events hold outside
    /// of themselves, such as texts, is not known and not counted.
    #[must_use]
    pub fn with_memory_max(self, memory_max: u64) -> Exhaust<'a, S> {
        Exhaust { memory_max, ..self }
    }

    /// Whether clients whose records never meet are searched apart (see [`Reduction`]).
    #[must_use]
    pub fn with_reduction(self, reduce: bool) -> Exhaust<'a, S> {
        Exhaust { reduce, ..self }
    }

    /// Whether the first run that fails will do: no shorter one is looked for, and with several threads it depends
    /// on them which one comes first.
    #[must_use]
    pub fn with_first_failing(self, first_failing: bool) -> Exhaust<'a, S> {
        Exhaust { first_failing, ..self }
    }

    /// How many threads search; 0 counts as 1.
    ///
    /// The verdict, a run that fails and the number of states of a complete search do not depend on
    /// it. How many steps were tried, how long the longest path was and what was visited before a run
    /// failed do: they depend on which thread came first. The point at which a search runs out of memory
    /// may differ, too.
    #[must_use]
    pub fn with_threads(self, threads: u32) -> Exhaust<'a, S> {
        Exhaust { threads, ..self }
    }

    /// Searches until all states were visited, a run fails, or a limit is reached.
    ///
    /// A run that fails is looked for first at any length, and then, if there is one, among all that are shorter,
    /// so that the result is a shortest one; unless [the first](Exhaust::with_first_failing) will do.
    ///
    /// A few runs are played before the search and again after it, in another order and another thread: a
    /// handler that keeps something elsewhere than in its store fails as one that panics.
    ///
    /// # Panics
    /// If a step of the prefix is not enabled.
    #[must_use]
    pub fn run(&self) -> ExhaustResult {
        self.run_watched(|_| ())
    }

    /// [`Exhaust::run`] with a callback that sees from time to time how far it is.
    ///
    /// # Panics
    /// If a step of the prefix is not enabled.
    pub fn run_watched(&self, mut progress: impl FnMut(SearchStats) + Send) -> ExhaustResult {
        if !self.bounds.order.is_allowed_by(self.simulation.profile()) {
            return self.result(SearchStats::default(), Ended::Order, None);
        }
        if self.simulation.inner.has_workers && self.bounds.order != DeliveryOrder::Broker {
            return self.result(SearchStats::default(), Ended::Works, None);
        }
        let sample = self.sample();
        let mut exhausted = match self.search_apart(&mut progress) {
            Ok(exhausted) => exhausted,
            Err(reduction) => ExhaustResult { reduction, ..self.search_all(self.simulation, false, &mut progress).0 },
        };
        if let Some(failing) = &mut exhausted.failing {
            failing.names = self.names_of(&failing.steps);
            return exhausted;
        }
        match sample.compare(|seed, footprints| self.play_drawn(seed, footprints)) {
            Ok(()) => exhausted,
            Err((_, divergence)) => {
                let message = format!("a handler keeps something elsewhere than in its store: {divergence}");
                let verdict = Verdict::Panicked { message };
                let failing = FailingRun { verdict, steps: Vec::new(), names: Vec::new(), is_shortest: false };
                ExhaustResult { ended: Ended::Failing, failing: Some(failing), ..exhausted }
            }
        }
    }

    /// The runs that are played twice.
    fn sample(&self) -> Sample {
        let mut sample = Sample::default();
        for seed in Sample::of(&(0..SAMPLED)) {
            let mut footprints = Footprints::default();
            self.play_drawn(seed, &mut footprints);
            sample.keep(seed, footprints);
        }
        sample
    }

    fn play_drawn(&self, seed: u64, footprints: &mut Footprints) {
        let limits = Limits { steps_max: Self::STEPS_MAX.into(), ..Limits::default() };
        let mut scheduler = SchedulerKind::Portfolio.scheduler(self.simulation, seed, FaultPlan::NONE);
        run(&mut self.simulation.world(), &mut scheduler, &Judges::new(Vec::new()), limits, footprints);
    }

    /// Searches each cluster alone; why not, if that is not possible.
    fn search_apart(&self, progress: &mut (dyn FnMut(SearchStats) + Send)) -> Result<ExhaustResult, Reduction> {
        let mut clusters = Clusters::guess(self.simulation);
        if !self.reduce || !self.prefix.is_empty() || clusters.numbers().len() < 2 {
            return Err(Reduction::None);
        }
        if let Some(reason) = clusters::coupling(self.simulation, &self.bounds) {
            return Err(Reduction::Refused(reason));
        }
        loop {
            let tested = catching(|| independence::test(self, &clusters));
            let tested = tested.map_err(|_| Reduction::Refused("something panics"))?;
            if let Some(dependence) = tested.dependence {
                return Err(Reduction::Dependent(dependence));
            }
            let numbers = clusters.numbers();
            let (mut sum, mut touched) = (None::<ExhaustResult>, Vec::new());
            for number in &numbers {
                let alone = self.simulation.keeping(|index| clusters.of(index.client) == Some(*number));
                let (exhausted, marks) = self.search_all(&alone, true, progress);
                if let Some(reason) = marks.coupling {
                    return Err(Reduction::Refused(reason));
                }
                touched.push((*number, marks.touched));
                let is_over = exhausted.ended != Ended::All;
                sum = Some(match sum {
                    None => exhausted,
                    Some(before) => before.and(exhausted),
                });
                if is_over {
                    break;
                }
            }
            if clusters.merge(&touched) {
                if clusters.numbers().len() < 2 {
                    return Err(Reduction::None);
                }
                continue;
            }
            return match sum {
                Some(sum) if sum.ended == Ended::All && tested.violated => {
                    Err(Reduction::Refused("properties judge records of several clusters together"))
                }
                Some(sum) => {
                    let (clusters, pairs) = (numbers.len() as u32, tested.pairs);
                    Ok(ExhaustResult { reduction: Reduction::Clusters { clusters, pairs }, ..sum })
                }
                None => Err(Reduction::None),
            };
        }
    }

    /// Searches all states of a simulation, and marks what decides whether clusters can be searched apart.
    fn search_all(
        &self,
        simulation: &Simulation<S>,
        is_marking: bool,
        progress: &mut (dyn FnMut(SearchStats) + Send),
    ) -> (ExhaustResult, Marks) {
        let common = Common::new(self.memory_max, progress);
        let mut workers = Workers::new(self, simulation, is_marking, &common);
        let stopped = workers.run(Pass::Any);
        let mut stats = workers.stats();
        let ended = match stopped.as_ref().map(|stopped| &stopped.stop) {
            None => Ended::All,
            Some(Stop::Failing(_)) => Ended::Failing,
            Some(Stop::Memory) => Ended::Memory,
            Some(Stop::Steps) => Ended::Steps,
        };
        let failing = stopped.and_then(|Stopped { stop, path }| match stop {
            Stop::Failing(verdict) => Some(self.shortest(simulation, &mut workers, *verdict, path)),
            Stop::Memory | Stop::Steps => None,
        });
        stats.transitions = workers.stats().transitions;
        let marks = workers.marks();
        let failing = failing.map(|failing| self.rejudged(simulation, failing));
        (self.result(stats, ended, failing), marks)
    }

    /// A result for which clients were not searched apart.
    fn result(&self, stats: SearchStats, ended: Ended, failing: Option<FailingRun>) -> ExhaustResult {
        ExhaustResult { bounds: self.bounds, stats, ended, failing, reduction: Reduction::None }
    }

    /// The names of steps from the simulation's first world on.
    fn names_of(&self, steps: &[Move]) -> Vec<NamedStep> {
        let (mut world, mut naming) = (first_world(self.simulation, self.bounds.order), Naming::default());
        // The script ends with the last step; what the clients still want does not matter.
        let limits = Limits { steps_max: steps.len() as u64, ..Limits::default() };
        run(&mut world, &mut Scripted::new(steps.to_vec()), &Judges::new(Vec::new()), limits, &mut naming);
        naming.into_steps()
    }

    /// A failing run with the verdict that its steps alone have, without what the search tried besides.
    fn rejudged(&self, simulation: &Simulation<S>, failing: FailingRun) -> FailingRun {
        if matches!(failing.verdict, Verdict::Panicked { .. }) {
            return failing;
        }
        let mut world = self.begun(simulation);
        let own = &failing.steps[self.prefix.len()..];
        let mut judge = |Move { action, fate }: &Move| {
            let_go_on(&mut world, self.bounds.order);
            let step = step_apart(&mut world, *action, *fate);
            self.judges.on_step(&world, &step).err().or_else(|| too_slow(&world))
        };
        let verdict = own.iter().find_map(&mut judge);
        let_go_on(&mut world, self.bounds.order);
        let verdict = verdict.or_else(|| judge_still(self.judges, self.bounds.order, &world).err());
        FailingRun { verdict: verdict.unwrap_or(failing.verdict), ..failing }
    }

    /// The shortest run that fails, given one that was found.
    ///
    /// Leaving steps out of it tells of how few a run can fail. One pass goes through the states within a third
    /// of those, and, if nothing fails there, one through those within all of them; each time a run fails, only
    /// shorter ones are looked for from then on. A state comes after about as many steps whichever way leads to
    /// it, so few are expanded more than once.
    ///
    /// Which run was found depends on the threads; the one that is returned is what one thread finds first among
    /// all of its length. A pass of one thread finds that, because what it found before, and went into beyond
    /// that length, does not change the order in which it comes to states within it.
    fn shortest(
        &self,
        simulation: &Simulation<S>,
        workers: &mut Workers<'_, '_, S>,
        verdict: Verdict,
        found: Vec<Move>,
    ) -> FailingRun {
        let failing = |verdict, path: Vec<Move>, is_shortest| {
            let steps = self.prefix.iter().copied().chain(path).collect();
            FailingRun { verdict, steps, names: Vec::new(), is_shortest }
        };
        if self.first_failing {
            return failing(verdict, found, false);
        }
        let suffice = self.steps_that_suffice(simulation, &found).unwrap_or(found.len());
        let longest = |steps: usize| u16::try_from(steps).unwrap_or(u16::MAX);
        let mut bounds = vec![longest(suffice / 3), longest(suffice), longest(found.len())];
        bounds.dedup();
        for steps in bounds {
            let mut stopped = workers.run(Pass::Shortest(steps));
            if let Some(Stopped { stop: Stop::Failing(_), path }) = &stopped
                && workers.count() > 1
            {
                stopped = workers.run_alone(Pass::First(path.len() as u16));
            }
            match stopped {
                None => {}
                Some(Stopped { stop: Stop::Failing(verdict), path }) => return failing(*verdict, path, true),
                Some(_) => break,
            }
        }
        failing(verdict, found, false)
    }

    /// How many steps of a failing run are left when one after another is left out as long as what is left fails,
    /// in whatever way: halves, quarters, …, single steps. `None` if it does not fail when its steps are taken by
    /// name.
    fn steps_that_suffice(&self, simulation: &Simulation<S>, path: &[Move]) -> Option<usize> {
        let mut world = self.begun(simulation);
        let mut named = Vec::new();
        for Move { action, fate } in path {
            named.push(NamedStep { what: world.target(*action)?, fate: *fate });
            // A step that panics is the last one.
            let _ = catching(|| step_apart(&mut world, *action, *fate));
        }
        let left = self.fails_by(simulation, &named)?;
        let size = left.len() / 2;
        Some(leave_out_pieces(left, size, |fewer| self.fails_by(simulation, fewer)).len())
    }

    /// Takes those of the steps that are possible, and returns them up to where the run fails, if it does.
    fn fails_by(&self, simulation: &Simulation<S>, steps: &[NamedStep]) -> Option<Vec<NamedStep>> {
        let (mut world, mut taken) = (self.begun(simulation), Vec::new());
        for step in steps {
            let_go_on(&mut world, self.bounds.order);
            let named = |action: &Action| world.target(*action).as_ref() == Some(&step.what);
            let Some(action) = world.enabled().iter().find(named) else { continue };
            taken.push(step.clone());
            let judged = catching(|| {
                let done = step_apart(&mut world, action, step.fate);
                self.judges.on_step(&world, &done)
            });
            if !matches!(judged, Ok(Ok(()))) {
                return Some(taken);
            }
        }
        let_go_on(&mut world, self.bounds.order);
        let rests = catching(|| !world.is_still() || judge_still(self.judges, self.bounds.order, &world).is_ok());
        (rests != Ok(true)).then_some(taken)
    }

    /// A simulation's world after the steps before the search.
    fn begun(&self, simulation: &Simulation<S>) -> World<S> {
        let mut world = first_world(simulation, self.bounds.order);
        for Move { action, fate } in self.prefix {
            let_go_on(&mut world, self.bounds.order);
            step_apart(&mut world, *action, *fate);
        }
        world
    }
}

/// A step by name that is not possible where it should be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImpossibleStep {
    /// Which of the steps, from 1.
    pub step: u64,
    /// What should happen in it.
    pub what: Target,
}

impl fmt::Display for ImpossibleStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, `{}`, cannot happen in this order", self.step, self.what)
    }
}

impl std::error::Error for ImpossibleStep {}

/// The verdict on a handler that takes longer than its ack wait each time, if there is one.
fn too_slow<S: System>(world: &World<S>) -> Option<Verdict> {
    world.too_slow().map(|reason| Verdict::Stuck { reason })
}

/// The steps of these names in a simulation that is searched in this order. Where it redelivers at once, what was
/// only the end of an ack wait elsewhere is left out.
///
/// # Errors
/// If a step is not possible there: the first of those.
pub fn steps_named<S: System>(
    simulation: &Simulation<S>,
    order: DeliveryOrder,
    named: &[NamedStep],
) -> Result<Vec<Move>, ImpossibleStep> {
    let mut world = first_world(simulation, order);
    let mut steps = Vec::new();
    for (place, step) in named.iter().enumerate() {
        let_go_on(&mut world, order);
        let is_it = |action: &Action| match (action, &step.what) {
            (Action::Deliver(_) | Action::Command(_), Target::Pause(what) | Target::Start(what)) => {
                world.target(*action).as_ref() == Some(&**what)
            }
            (_, what) => world.target(*action).as_ref() == Some(what),
        };
        let action = world.enabled().iter().find(is_it);
        match action {
            None if matches!(step.what, Target::AckWait(_)) && order != DeliveryOrder::Broker => {}
            None => return Err(ImpossibleStep { step: place as u64 + 1, what: step.what.clone() }),
            Some(action) => {
                steps.push(Move { action, fate: step.fate });
                step_apart(&mut world, action, step.fate);
            }
        }
    }
    Ok(steps)
}
