//! A worker: depth-first search through the states, with one world, which goes back.

mod successor;

use std::collections::BTreeSet;
use std::time::Duration;

use super::bounds::{Bounds, Budget, Choices, FateKind, Most};
use super::memo::Memo;
use super::queue::{WorkItem, WorkQueue};
use super::visited::{Access, Visit};
use super::workers::{Common, Pass};
use super::{Exhaust, SearchStats};
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::hash;
use crate::ids::RecordId;
use crate::property::End;
use crate::run::{Judges, Verdict, step_apart};
use crate::scheduler::{Action, Move, Tie};
use crate::search::DeliveryOrder;
use crate::search::states::{Stage, in_order, is_at_rest, key_in_calm_order, let_go_on, tried_once_more};
use crate::simulation::Simulation;
use crate::store::heap_bytes_of;
use crate::world::{Digest, Mark, Step, Still, World, catching};
use successor::Successor;

/// After how many steps a worker reports how far the search is.
const PROGRESS_EVERY: u64 = 1 << 13;

/// After how many states at the latest a worker counts what its world has grown by.
const COUNT_EVERY: u32 = 64;

/// Why a search stopped early.
pub(super) enum Stop {
    /// The path that the worker is on fails.
    Failing(Box<Verdict>),
    Memory,
    Steps,
}

/// What a worker came across that decides whether clusters can be searched apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Every record that was saved or published about.
    pub(super) touched: BTreeSet<RecordId>,
    /// What couples it to whatever else happens.
    pub(super) coupling: Option<&'static str>,
}

impl Marks {
    /// What this worker and another one came across.
    pub(super) fn and(self, other: Marks) -> Marks {
        let touched = self.touched.into_iter().chain(other.touched).collect();
        // The reason does not depend on which worker met it.
        Marks { touched, coupling: self.coupling.max(other.coupling) }
    }

    fn couple(&mut self, reason: &'static str) {
        self.coupling = self.coupling.max(Some(reason));
    }
}

/// A frame of the search's stack: a state on the path, and what was tried from it.
#[derive(Clone, Default)]
pub(super) struct Frame {
    key: u64,
    /// What the state is, whichever member is next.
    state: u64,
    /// The state, to go back to.
    mark: Mark,
    /// How many bytes were counted for this depth.
    counted: u64,
    /// The world's digest, if transitions from here can be memoised.
    still: Option<Still>,
    /// The successor that was looked up last, and the remaining budget then.
    last_visit: (u64, Budget),
    budget: Budget,
    actions: Vec<Action>,
    /// The hashes of the deliveries tried, of which equal ones lead to equal states (symmetry reduction).
    tried: Vec<u64>,
    /// What is tried next: which of the actions, and which of its fates.
    next_action: usize,
    next_fate: usize,
    /// Which fates the action that is tried may have.
    kind: FateKind,
    /// Whether its message is pending as often as it may be.
    has_copies: bool,
    /// Whether a delivery changed anything.
    moved: bool,
    /// Whether the action that is tried changes anything if nothing goes wrong.
    changes: bool,
    /// Whether the broker gets an answer by that.
    answers: bool,
    /// Whether what the calm run does next was tried.
    past_calm: bool,
    /// Whether nothing is judged at its end any more: another worker goes on from here, or it was judged.
    is_judged: bool,
}

impl Frame {
    /// What it takes of memory, in bytes.
    fn bytes(&self) -> u64 {
        size_of::<Frame>() as u64 + heap_bytes_of(&self.actions) + heap_bytes_of(&self.tried)
    }

    /// Goes on to the next action.
    fn skip_action(&mut self) {
        self.next_action += 1;
        self.next_fate = 0;
    }

    /// Whether something is left to try.
    fn has_more(&self) -> bool {
        self.next_action < self.actions.len()
    }
}

/// A step to try.
struct Try {
    action: Action,
    fate: Fate,
    /// The budget after it; `None` if the step is only tried to see whether it changes anything.
    budget: Option<Budget>,
}

/// One worker.
pub(super) struct Worker<'e, 'p, S: System> {
    bounds: Bounds,
    judges: &'e Judges<S>,
    common: &'p Common<'p>,
    choices: Choices,
    /// Whether members compete, so that the position of the round robin matters.
    has_rotation: bool,
    /// Whether a delivery that changed nothing is not tried again until its service's store changes.
    notes_futile: bool,
    /// Whether the digest is all that tells states apart, so that transitions can be memoised.
    memoises: bool,
    memo: Memo,
    world: World<S>,
    /// The step that was executed last.
    step: Option<Step>,
    /// The first state.
    first: Mark,
    /// How many bytes of the world were counted, and how many states ago it was looked at.
    counted: u64,
    uncounted_states: u32,
    frames: Vec<Frame>,
    path: Vec<Move>,
    depth: usize,
    depth_max: usize,
    transitions: u64,
    /// The budget before the first step.
    budget: Budget,
    /// What a step costs: one, if so many are allowed.
    step_cost: Budget,
    /// What it looks for.
    pass: Pass,
    /// Whether other clusters are searched apart from this one, so that it matters what it comes across.
    is_marking: bool,
    marks: Marks,
}

impl<'e, 'p, S: System> Worker<'e, 'p, S> {
    pub(super) fn new(
        exhaust: &Exhaust<'e, S>,
        simulation: &Simulation<S>,
        is_marking: bool,
        common: &'p Common<'p>,
    ) -> Worker<'e, 'p, S> {
        let mut world = exhaust.begun(simulation);
        let is_free =
            exhaust.bounds.order != DeliveryOrder::Broker && world.broker().profile().ack_wait == [Duration::ZERO];
        let has_rotation = world.broker().has_rotation();
        Worker {
            bounds: exhaust.bounds,
            judges: exhaust.judges,
            common,
            choices: Choices::of(&exhaust.bounds, simulation),
            has_rotation,
            notes_futile: !has_rotation && is_free,
            memoises: !has_rotation && is_free && !exhaust.bounds.knows_calm(),
            memo: Memo::default(),
            first: world.mark(),
            world,
            step: None,
            counted: 0,
            uncounted_states: 0,
            frames: Vec::new(),
            path: Vec::new(),
            depth: 0,
            depth_max: 0,
            transitions: 0,
            budget: Budget::NOTHING,
            step_cost: Budget::NOTHING,
            pass: Pass::Any,
            is_marking,
            marks: Marks::default(),
        }
    }

    pub(super) fn marks(&mut self) -> Marks {
        std::mem::take(&mut self.marks)
    }

    /// The path it is on.
    pub(super) fn path(&self) -> Vec<Move> {
        self.path.clone()
    }

    /// How far it is itself; the visited set, all workers have in common.
    pub(super) fn stats(&self) -> SearchStats {
        SearchStats {
            transitions: self.transitions,
            depth: self.depth as u32,
            depth_max: self.depth_max as u32,
            ..SearchStats::default()
        }
    }

    /// Begins again.
    pub(super) fn reset(&mut self, pass: Pass) {
        self.path.clear();
        self.world.rewind(self.first);
        // What it tries first must not depend on what it did before.
        self.memo.clear();
        self.marks = Marks::default();
        (self.depth, self.depth_max, self.transitions) = (0, 0, 0);
        let steps_max = pass.steps_max();
        self.step_cost = if steps_max.is_some() { Budget::STEP } else { Budget::NOTHING };
        self.pass = pass;
        self.budget = Budget::of(&self.bounds, steps_max.unwrap_or(0).min(Budget::STEPS_MAX));
    }

    /// Searches until no worker has anything left. One of them begins with the first state.
    pub(super) fn run(&mut self, queue: &WorkQueue, begins: bool) -> Result<(), Stop> {
        let visited = &self.common.visited;
        let access = &mut visited.access(queue.is_for_one());
        if begins {
            let digest = self.world.noted_digest();
            let key = self.key(digest);
            if access.visit(key, self.budget) == Visit::OutOfMemory {
                return Err(Stop::Memory);
            }
            self.enter((key, digest), self.budget);
            self.count_memory()?;
            self.explore_all(queue, access)?;
        }
        while let Some(item) = queue.pop() {
            self.begin_at(item)?;
            self.explore_all(queue, access)?;
        }
        Ok(())
    }

    /// Replays the path of a work item, to go on from its state.
    fn begin_at(&mut self, item: WorkItem) -> Result<(), Stop> {
        self.world.rewind(self.first);
        for Move { action, fate } in &item.path {
            let_go_on(&mut self.world, self.bounds.order);
            self.take(*action, *fate);
        }
        let_go_on(&mut self.world, self.bounds.order);
        self.path = item.path;
        self.depth = self.path.len();
        self.depth_max = self.depth_max.max(self.depth);
        if self.frames.len() <= self.depth {
            self.frames.resize_with(self.depth + 1, Frame::default);
        }
        let counted = self.frames[self.depth].counted;
        self.frames[self.depth] = Frame { mark: self.world.mark(), counted, ..item.frame };
        self.count_memory()
    }

    /// Takes a step, and notes what it changed.
    fn take(&mut self, action: Action, fate: Fate) -> Step {
        let step = step_apart(&mut self.world, action, fate);
        self.world.note_digests(&step);
        step
    }

    /// Goes back to the state whose frame is the last one.
    fn rewind(&mut self) {
        self.world.rewind(self.frames[self.depth].mark);
    }

    /// Counts what the frame at this depth has grown by, and now and then the world.
    fn count_memory(&mut self) -> Result<(), Stop> {
        let Frame { mark, counted, .. } = self.frames[self.depth];
        let bytes = self.frames[self.depth].bytes() + self.world.bytes_of(mark);
        let mut more = bytes.saturating_sub(counted);
        self.frames[self.depth].counted = counted.max(bytes);
        self.uncounted_states += 1;
        if self.depth == self.depth_max || self.uncounted_states > COUNT_EVERY {
            self.uncounted_states = 0;
            let bytes = self.world.bytes() + self.memo.bytes();
            more += bytes.saturating_sub(self.counted);
            self.counted = self.counted.max(bytes);
        }
        if more == 0 || self.common.visited.take(more) { Ok(()) } else { Err(Stop::Memory) }
    }

    /// Tries all that is left to try. Where runs are at most so long, one that fails is noted, and, unless it is
    /// the first that is looked for, the search goes on with what is shorter (branch and bound).
    fn explore_all(&mut self, queue: &WorkQueue, access: &mut Access<'_>) -> Result<(), Stop> {
        let first = self.depth;
        if self.pass.steps_max().is_none() {
            return self.explore(first, queue, access);
        }
        loop {
            let verdict = match catching(|| self.explore(first, queue, access)) {
                Ok(Err(Stop::Failing(verdict))) => *verdict,
                Ok(ended) => return ended,
                Err(message) => {
                    // A delivery whose handler panics is no rest.
                    let is_delivery =
                        matches!(self.path.get(self.depth), Some(Move { action: Action::Deliver(_), .. }));
                    self.frames[self.depth].moved |= is_delivery;
                    Verdict::Panicked { message }
                }
            };
            let is_noted = self.common.shortest.note(&self.path, verdict);
            if is_noted && matches!(self.pass, Pass::First(_)) {
                queue.stop();
                return Ok(());
            }
            if self.path.len() == self.depth {
                self.frames[self.depth].is_judged = true;
            }
            self.path.truncate(self.depth);
            self.rewind();
        }
    }

    /// Tries all that is left to try from the state it is in and from all that follow, up to the frame at
    /// `first`.
    fn explore(&mut self, first: usize, queue: &WorkQueue, access: &mut Access<'_>) -> Result<(), Stop> {
        while !queue.is_over() {
            if queue.is_wanted() {
                self.give_away(first, queue);
            }
            match self.next() {
                Some(attempt) => self.attempt(&attempt, access)?,
                None => {
                    self.judge_rest()?;
                    if self.depth == first {
                        break;
                    }
                    self.depth -= 1;
                    self.path.pop();
                    self.rewind();
                }
            }
        }
        Ok(())
    }

    /// Gives away the first frame of its path that has something left, if it has more to do itself.
    fn give_away(&mut self, first: usize, queue: &WorkQueue) {
        let Some(depth) = (first..self.depth).find(|depth| self.frames[*depth].has_more()) else { return };
        let frame = &mut self.frames[depth];
        queue.push(WorkItem { path: self.path[..depth].to_vec(), frame: frame.clone() });
        frame.actions.clear();
        frame.is_judged = true;
    }

    /// What tells states apart (see [`key`]).
    fn key(&self, digest: Digest) -> u64 {
        key(&self.world, &self.bounds, self.has_rotation, digest.word())
    }

    /// Pushes the frame of a state that is to be expanded: the one that the world is in.
    fn enter(&mut self, (key, digest): (u64, Digest), budget: Budget) {
        if self.frames.len() == self.depth {
            self.frames.push(Frame::default());
        }
        let_go_on(&mut self.world, self.bounds.order);
        let mark = self.world.mark();
        let world = &self.world;
        let enabled = world.enabled();
        let is_over = self.bounds.order == DeliveryOrder::Broker && Stage::of(world) == Stage::Over;
        let still = self.memoises.then(|| world.still(digest)).flatten();
        // What is no shorter than what was found is not looked for.
        let is_last = matches!(self.pass, Pass::Shortest(_)) && self.common.shortest.is_last(self.depth);
        let budget = if is_last { budget.without_steps() } else { budget };
        let frame = &mut self.frames[self.depth];
        frame.actions.clear();
        if !is_over {
            frame.actions.extend(enabled.iter());
        }
        match self.bounds.order {
            DeliveryOrder::Lockstep => frame.actions.sort_unstable_by_key(|action| {
                (!matches!(action, Action::Deliver(_)), enabled.calm_rank(*action, Tie::InOrder))
            }),
            _ if self.bounds.knows_calm() => {
                frame.actions.sort_unstable_by_key(|action| enabled.calm_rank(*action, Tie::InOrder));
            }
            _ => {}
        }
        frame.tried.clear();
        (frame.key, frame.state, frame.mark) = (key, digest.word(), mark);
        (frame.still, frame.budget) = (still, budget);
        (frame.next_action, frame.next_fate) = (0, 0);
        frame.last_visit = (key, budget);
        (frame.moved, frame.changes, frame.answers) = (false, false, true);
        (frame.past_calm, frame.is_judged) = (false, false);
        (frame.kind, frame.has_copies) = (FateKind::NONE, false);
    }

    /// The step to try next.
    fn next(&mut self) -> Option<Try> {
        let (frame, world) = (&mut self.frames[self.depth], &self.world);
        loop {
            let fate_at = frame.next_fate;
            let action = *frame.actions.get(frame.next_action)?;
            if fate_at == 0 {
                if is_redundant(world, &self.bounds, self.has_rotation, frame, action) {
                    frame.skip_action();
                    continue;
                }
                frame.kind = FateKind::of(world.chosen(action).as_ref());
                frame.has_copies = has_copies(world, &self.bounds, action);
            }
            let choice = self.choices.of_kind(frame.kind).get(fate_at);
            if choice.is_none() && fate_at > 0 {
                // The first that changes anything is what the calm run does next.
                frame.past_calm |= frame.changes;
                frame.skip_action();
                continue;
            }
            frame.next_fate += 1;
            if fate_at == 0 && is_futile(world, action, self.notes_futile) {
                (frame.changes, frame.answers) = (false, false);
                continue;
            }
            let (fate, cost) = choice.map_or((Fate::CALM, Budget::NOTHING), |choice| (choice.fate, choice.cost));
            let is_probe = fate == Fate::CALM && matches!(action, Action::Deliver(_));
            if fate_at == 0 {
                (frame.changes, frame.answers) = (false, true);
            }
            // Where nothing was done, a crash is the same in every window.
            let is_inert = !frame.answers && !frame.changes && !fate.pause && fate.crash > Some(Window::BeforeSave);
            if is_inert && self.notes_futile
                || fate.ack != AckFate::Prompt && !fate.pause && !frame.answers
                || fate.duplicate && frame.has_copies
            {
                continue;
            }
            let cost = cost.plus(self.step_cost).plus(cost_of_action(world, &self.bounds, frame.past_calm, action));
            let budget = frame.budget.spend(cost);
            if budget.is_some() || is_probe {
                return Some(Try { action, fate, budget });
            }
        }
    }

    /// Tries a step, and expands the state it leads to if that is new.
    fn attempt(&mut self, attempt: &Try, access: &mut Access<'_>) -> Result<(), Stop> {
        let Try { action, fate, budget } = *attempt;
        self.path.push(Move { action, fate });
        let mut successor = self.successor(action, fate);
        self.transitions += 1;
        if self.transitions.is_multiple_of(PROGRESS_EVERY) {
            self.common.report(self.stats(), PROGRESS_EVERY);
        }
        let frame = &mut self.frames[self.depth];
        let is_same = successor.key == frame.key;
        if fate == Fate::CALM {
            frame.changes = !is_same;
            frame.answers = successor.answers;
            // That another member is next is no change: a state is at rest whoever would be handed what is poison.
            let is_moved = frame.changes && successor.digest.word() != frame.state;
            frame.moved |= is_moved && matches!(action, Action::Deliver(_));
        }
        let is_noted = match action {
            Action::Deliver(_) => self.notes_futile,
            // It was refused, and is tried again.
            Action::Command(_) => true,
            _ => false,
        };
        if is_same && is_noted && fate == Fate::CALM {
            // There is nothing to judge.
            self.go_back(&successor);
            self.note_futile(action, successor.read_beyond_store);
            return self.memoise(&successor, None);
        }
        let Some(budget) = budget else {
            self.go_back(&successor);
            return Ok(());
        };
        if !successor.is_executed && !successor.is_judged {
            successor = self.execute_memoised(action, fate, successor)?;
        }
        self.judge(&successor)?;
        let frame = &mut self.frames[self.depth];
        // Fates with the same effect are tried one after the other.
        let (last_key, last_budget) = frame.last_visit;
        let is_known = last_key == successor.key && last_budget.dominates(budget);
        let visit = if is_known { Visit::Dominated } else { access.visit(successor.key, budget) };
        frame.last_visit = (successor.key, budget);
        match visit {
            Visit::Dominated => {
                self.go_back(&successor);
                Ok(())
            }
            Visit::OutOfMemory => Err(Stop::Memory),
            Visit::New | Visit::MoreBudget if self.depth as u32 == Exhaust::<S>::STEPS_MAX => Err(Stop::Steps),
            Visit::New | Visit::MoreBudget => self.descend(action, fate, successor, budget),
        }
    }

    /// Notes of the state it is in, and so of those after it, that a delivery or a command changes nothing.
    fn note_futile(&mut self, action: Action, read_beyond_store: bool) {
        match action {
            Action::Deliver(index) if !read_beyond_store => self.world.note_futile(index),
            Action::Command(client) => self.world.note_refused(client, read_beyond_store),
            _ => return,
        }
        self.world.mark_instead(self.frames[self.depth].mark);
    }

    /// Goes back before a step that was tried.
    fn go_back(&mut self, tried: &Successor) {
        self.path.pop();
        if tried.is_executed {
            self.rewind();
        }
    }

    /// Goes on from the state a step leads to, one level deeper.
    fn descend(&mut self, action: Action, fate: Fate, successor: Successor, budget: Budget) -> Result<(), Stop> {
        let (key, digest) = (successor.key, successor.digest);
        if !successor.is_executed {
            self.execute_memoised(action, fate, successor)?;
        }
        if self.is_marking
            && let Some(step) = &self.step
        {
            mark(&mut self.marks, &self.world, step);
        }
        self.depth += 1;
        self.depth_max = self.depth_max.max(self.depth);
        self.enter((key, digest), budget);
        self.count_memory()
    }

    /// Judges a state in which no delivery changes anything, as a run would.
    fn judge_rest(&self) -> Result<(), Stop> {
        let (frame, world) = (&self.frames[self.depth], &self.world);
        let is_own = self.bounds.order == DeliveryOrder::Broker;
        if frame.is_judged || !is_own && (frame.moved || !is_at_rest(world)) {
            return Ok(());
        }
        judge_still(self.judges, self.bounds.order, world).map_err(failing)
    }
}

/// Judges a world in which no delivery changes anything and nothing is under way; on its own broker any world, as
/// a run would.
pub(super) fn judge_still<S: System>(
    judges: &Judges<S>,
    order: DeliveryOrder,
    world: &World<S>,
) -> Result<(), Verdict> {
    if order == DeliveryOrder::Broker {
        return match Stage::of(world) {
            Stage::UnderWay => Ok(()),
            Stage::AtRest => judges.at_quiescence(world),
            Stage::Over => judges.at_end(&End::new(world, false)).and_then(|()| judges.at_quiescence(world)),
        };
    }
    if world.may_go_on() || world.timers_armed() > 0 {
        return judges.at_quiescence(world);
    }
    let tried = tried_once_more(world);
    let world = tried.as_ref().unwrap_or(world);
    judges.at_end(&End::new(world, false))?;
    judges.at_quiescence(world)
}

/// Whether a step is known to change nothing: a delivery, where that is noted, or a command that was refused.
fn is_futile<S: System>(world: &World<S>, action: Action, notes_futile: bool) -> bool {
    match action {
        Action::Deliver(index) => notes_futile && world.is_futile(index),
        Action::Command(client) => world.was_refused(client),
        _ => false,
    }
}

fn mark<S: System>(marks: &mut Marks, world: &World<S>, step: &Step) {
    if world.timers_armed() > 0 || world.enabled().works {
        marks.couple("timers share a clock");
    }
    if let Some(actor) = step.actor.filter(|_| step.saved()) {
        marks.touched.extend(world.store(actor.service).changed_texts().iter().map(|row| row.id));
    }
    let published = &world.broker().messages()[step.published.clone()];
    marks.touched.extend(published.iter().map(|message| message.name.record));
}

fn failing(verdict: Verdict) -> Stop {
    Stop::Failing(Box::new(verdict))
}

/// What tells states apart, given their digest and whether members compete. Where the calm run's next step counts, the
/// publish order does.
pub(super) fn key<S: System>(world: &World<S>, bounds: &Bounds, has_rotation: bool, digest: u64) -> u64 {
    let mut key = in_order(world, bounds.order, digest);
    if has_rotation {
        key = hash::mix(key, world.broker().rotation());
    }
    if bounds.knows_calm() { key_in_calm_order(world, bounds.order, key) } else { key }
}

/// Whether an action leads only where another one leads (symmetry), or may not happen yet.
fn is_redundant<S: System>(
    world: &World<S>,
    bounds: &Bounds,
    has_rotation: bool,
    frame: &mut Frame,
    action: Action,
) -> bool {
    if bounds.order == DeliveryOrder::Lockstep && frame.moved {
        return !matches!(action, Action::Resume(_) | Action::Ack(_) | Action::Publish(_));
    }
    let Action::Deliver(index) = action else { return false };
    if has_rotation || bounds.knows_calm() || bounds.order == DeliveryOrder::Broker {
        return false;
    }
    let hash = world.broker().noted_digest_of(index);
    let is_known = frame.tried.contains(&hash);
    frame.tried.push(hash);
    is_known
}

/// Whether as many copies of a message are pending as the bounds allow.
fn has_copies<S: System>(world: &World<S>, bounds: &Bounds, action: Action) -> bool {
    match action {
        Action::Deliver(index) if bounds.duplicates > 0 => world.broker().copies(index) > u32::from(bounds.duplicates),
        _ => false,
    }
}

/// What an action costs at this moment, whatever its fate: whether it is out of the calm order, and
/// whether it overtakes a handler of the same message that has not answered yet.
fn cost_of_action<S: System>(world: &World<S>, bounds: &Bounds, past_calm: bool, action: Action) -> Budget {
    let mut cost = Budget::NOTHING;
    if past_calm && bounds.order != DeliveryOrder::Lockstep && bounds.departures != Most::Any {
        cost = cost.plus(Budget::DEPARTURE);
    }
    match action {
        // What ends an ack wait on its own broker is the clock.
        Action::Deliver(_) if bounds.order == DeliveryOrder::Broker => cost,
        Action::Deliver(index) if bounds.lost_acks != Most::Any && bounds.pauses != Most::NONE => {
            if world.broker().overtakes_handler(index) { cost.plus(Budget::LOST_ACK) } else { cost }
        }
        _ => cost,
    }
}
