//! The cheapest violation: what a property's failure costs at least, and a path to it.
//!
//! A uniform-cost search (Dijkstra's) whose nodes are worlds. From a world it tries every step that
//! the bounds allow, with every fate there is budget for, and goes on from the cheapest world it has
//! reached and not expanded yet. Worlds with the same [`World::digest`] and the same remaining budget
//! are one node. So whatever is found is found at its least cost, and if the search ends by itself,
//! what was not found cannot happen within the bounds.
//!
//! A client may stop sending at any time, so convergence is judged wherever no delivery changes
//! anything any more, with commands and timers budget or not.
//!
//! What it does not try: late acks, duplicates other than those caused by lost acks, and two faults
//! at one step.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Add;

use super::exhaust::{Bounds, Budget, Choice, Choices, FateKind, Most};
use super::states::{Stage, first_world, in_order, is_at_rest, key_in_calm_order, let_go_on, tried_once_more};
use crate::broker::{Dispatch, Limit, Ordering, Profile};
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::hash;
use crate::ids;
use crate::property::{End, Moment, NoPoison, Property, Violation};
use crate::run::{Judges, step_apart};
use crate::scheduler::{Action, Move};
use crate::simulation::Simulation;
use crate::world::{Answer, Mark, Step, World};

/// In which order deliveries are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeliveryOrder {
    /// Each at once and in publish order; the next command and the next timer wait until none
    /// changes anything any more. A handler that paused is resumed at any time, and the others do
    /// not wait for it.
    Lockstep,
    /// Each subject in publish order, redeliveries at any time, subjects independent of each other.
    PerSubject,
    /// Any.
    Any,
    /// What the simulation's own broker does: its order, limits, waits, delivery limits and members, and, if an
    /// engine plays it, what happens to those.
    Broker,
}

impl DeliveryOrder {
    /// The broker rules under which a simulation has this order: a zero ack timeout, no limits. Any rules have
    /// [`DeliveryOrder::Broker`]; these are the hardest.
    #[must_use]
    pub fn profile(self) -> Profile {
        match self {
            // The search keeps the order itself.
            DeliveryOrder::Lockstep => Profile { name: "lockstep", ..Profile::adversarial() },
            DeliveryOrder::PerSubject => Profile {
                name: "per-subject",
                ordering: Ordering::Log,
                reorder_window: Limit::Of(0),
                dispatch: Dispatch::Exclusive,
                ..Profile::adversarial()
            },
            DeliveryOrder::Any | DeliveryOrder::Broker => Profile::adversarial(),
        }
    }

    /// Whether a broker with these rules allows all of this order: deliveries and redeliveries come whenever they
    /// may, and no limit keeps any back. When it gives up, what it releases, and whether it hears a nak, is its own.
    #[must_use]
    pub fn is_allowed_by(self, profile: &Profile) -> bool {
        if self == DeliveryOrder::Broker {
            return true;
        }
        let Profile { name, release_on, max_deliver, dedup_window, naks, .. } = profile.clone();
        *profile == Profile { name, release_on, max_deliver, dedup_window, naks, ..self.profile() }
    }

    /// What is searched on a broker with these rules: the same order, but [`DeliveryOrder::Any`] for what the broker
    /// does if that is all of it.
    #[must_use]
    pub fn on(self, profile: &Profile) -> DeliveryOrder {
        match self {
            DeliveryOrder::Broker if DeliveryOrder::Any.is_allowed_by(profile) => DeliveryOrder::Any,
            order => order,
        }
    }

    /// The same rules as keys and values of TOML; `None` for those of whatever broker there is.
    #[must_use]
    pub const fn broker_keys(self) -> Option<&'static str> {
        match self {
            DeliveryOrder::Lockstep | DeliveryOrder::Any => Some("profile = \"adversarial\""),
            DeliveryOrder::PerSubject => {
                Some("profile = \"adversarial\"\nordering = \"log\"\nreorder_window = 0\ndispatch = \"exclusive\"")
            }
            DeliveryOrder::Broker => None,
        }
    }
}

/// What may happen on the path to a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortestBounds {
    /// The order of deliveries. The simulation's broker has to allow it: see [`DeliveryOrder::profile`].
    pub order: DeliveryOrder,
    /// At most this many acks are lost, or come after the broker has handed out the message again
    /// to a member while a paused handler still works on it.
    pub lost_acks: u8,
    /// At most this many members crash.
    pub crashes: u8,
    /// At most this many messages are lost.
    pub lost_messages: u8,
    /// At most this many handlers pause between their reads and their saves.
    pub pauses: u8,
}

impl ShortestBounds {
    /// This order and no faults.
    #[must_use]
    pub const fn of(order: DeliveryOrder) -> ShortestBounds {
        ShortestBounds { order, lost_acks: 0, crashes: 0, lost_messages: 0, pauses: 0 }
    }

    /// The same bounds as those of a complete search.
    fn all(self) -> Bounds {
        let [lost_acks, crashes, lost_messages, pauses] =
            [self.lost_acks, self.crashes, self.lost_messages, self.pauses].map(Most::Of);
        Bounds { lost_acks, crashes, lost_messages, pauses, ..Bounds::of(self.order) }
    }
}

/// What a path costs: deliveries first, then what came from outside. Written `3d/4c`.
///
/// A delivery counts if it took effect: its handler acked, saved, published, armed a timer or
/// paused. A command counts if it was accepted, and once more when it was paused and is resumed. So
/// do a timer that fires, a group that joins late, a message that is lost, and the restart after a
/// crash behind the ack; the other crashes and lost acks cost nothing by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost {
    /// Deliveries that took effect.
    pub deliveries: u32,
    /// Commands, and whatever else came from outside.
    pub commands: u32,
}

impl Cost {
    const NOTHING: Cost = Cost { deliveries: 0, commands: 0 };
    const DELIVERY: Cost = Cost { deliveries: 1, commands: 0 };
    const COMMAND: Cost = Cost { deliveries: 0, commands: 1 };
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost { deliveries: self.deliveries + other.deliveries, commands: self.commands + other.commands }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d/{}c", self.deliveries, self.commands)
    }
}

/// A property and the cheapest path that breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The property.
    pub property: &'static str,
    /// What is wrong.
    pub violation: Violation,
    /// What the path costs.
    pub cost: Cost,
    /// The path, from the world before the first step. A [`Scripted`](crate::scheduler::Scripted)
    /// scheduler plays it again.
    pub path: Vec<Move>,
}

/// The result of a search for the cheapest violations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShortestResult {
    /// For each property that can be broken, the cheapest violation; in order of cost.
    pub found: Vec<Found>,
    /// How many states were expanded.
    pub states: u64,
    /// Whether that was every state within the bounds and the cost: what is not found then cannot
    /// happen within them.
    pub complete: bool,
}

/// A search for the cheapest violations.
///
/// Assumes that handlers are pure functions of event and store. One that looks at
/// [`Context::attempt`](crate::Context::attempt) may behave in ways this search does not see, because
/// states that differ in attempts alone are one to it. A handler that refuses a delivery for some
/// time makes the clock go on, which gives new states without end.
///
/// Without options it allows any order and no faults, any number of states, and any cost.
pub struct Shortest<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    bounds: ShortestBounds,
    states_max: u64,
    cost_max: Option<Cost>,
}

impl<'a, S: System> Shortest<'a, S> {
    /// A search of this simulation, from its first world on, for violations of what these judges judge.
    #[must_use]
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Shortest<'a, S> {
        let bounds = ShortestBounds::of(DeliveryOrder::Any);
        Shortest { simulation, judges, bounds, states_max: u64::MAX, cost_max: None }
    }

    /// What may happen. The simulation's broker has to allow the order of the bounds: see
    /// [`DeliveryOrder::profile`].
    #[must_use]
    pub fn with_bounds(self, bounds: ShortestBounds) -> Shortest<'a, S> {
        Shortest { bounds, ..self }
    }

    /// The most states to expand.
    #[must_use]
    pub fn with_states_max(self, states_max: u64) -> Shortest<'a, S> {
        Shortest { states_max, ..self }
    }

    /// The highest cost: what costs more is not looked at.
    #[must_use]
    pub fn with_cost_max(self, cost_max: Cost) -> Shortest<'a, S> {
        Shortest { cost_max: Some(cost_max), ..self }
    }

    /// Searches until every state was expanded. Where handlers work for some time
    /// ([`Service::takes`](crate::Service::takes)) none is, and the result is not complete.
    ///
    /// # Panics
    /// If a handler or a property panics.
    #[must_use]
    pub fn run(&self) -> ShortestResult {
        self.run_until(|_| false)
    }

    /// Searches until every state was expanded, or until one of the cheapest violations is
    /// `enough`; that is asked once for each property, in order of cost.
    ///
    /// # Panics
    /// If a handler or a property panics.
    pub fn run_until(&self, enough: impl FnMut(&Found) -> bool) -> ShortestResult {
        if self.simulation.inner.has_workers {
            return ShortestResult { found: Vec::new(), states: 0, complete: false };
        }
        Search::new(self).run(enough)
    }
}

/// What a fate costs in addition to the step.
fn cost_of_fate(fate: Fate) -> Cost {
    if fate.crash == Some(Window::AfterAck) { Cost::COMMAND } else { Cost::NOTHING }
}

/// What a step costs; `None` if it is no move, because the client asks later.
fn cost_of_step(step: &Step, armed: bool) -> Option<Cost> {
    let took_effect = || {
        let answered = step.acked().is_some() || step.answer == Some(Answer::Paused);
        answered || step.saved() || !step.published.is_empty() || armed
    };
    Some(match step.action {
        Action::Deliver(_) if step.answer == Some(Answer::Lost) => Cost::COMMAND,
        Action::Deliver(_) if took_effect() => Cost::DELIVERY,
        Action::Deliver(_) | Action::Ack(_) | Action::Publish(_) => Cost::NOTHING,
        Action::Command(_) if matches!(step.answer, Some(Answer::Command(Err(_)))) => return None,
        // A resumed delivery was counted when it paused, and the end of an ack wait is the broker's.
        Action::Resume(_) | Action::Advance if step.delivery.is_some() => Cost::NOTHING,
        Action::Command(_) | Action::Resume(_) | Action::Advance | Action::Join(_) => Cost::COMMAND,
    })
}

/// A world that was reached and is to be looked at.
struct Node<S: System> {
    world: Box<World<S>>,
    budget: Budget,
    cost: Cost,
    digest: u64,
    key: u64,
    /// The place of the step that led to it.
    at: usize,
}

/// A step of a path and the step before it.
#[derive(Clone, Copy)]
struct Link {
    /// The place of the step before it in the list of links.
    before: usize,
    step: Move,
}

/// The end of a path.
#[derive(Clone, Copy)]
enum PathEnd {
    /// The step at this place.
    To(usize),
    /// One step further.
    Past(Link),
}

/// The cheapest violation of a property so far.
enum Best {
    None,
    Candidate(Cost, PathEnd, Violation),
    Final,
}

/// A step from a node, tried: the budget after it, and where it leads at which cost. The node's world is there.
#[derive(Clone, Copy)]
struct TriedStep {
    step: Move,
    budget: Budget,
    cost: Cost,
    digest: u64,
}

struct Search<'a, S: System> {
    shortest: &'a Shortest<'a, S>,
    choices: Choices,
    frontier: BTreeMap<Cost, VecDeque<Node<S>>>,
    /// The least cost at which each node was reached.
    reached: BTreeMap<u64, Cost>,
    links: Vec<Link>,
    /// Worlds that are not needed any more, for their memory.
    #[expect(clippy::vec_box, reason = "worlds are large, and handed on")]
    spent: Vec<Box<World<S>>>,
    /// By property.
    best: Vec<Best>,
    found: Vec<Found>,
    states: u64,
}

impl<'a, S: System> Search<'a, S> {
    fn new(shortest: &'a Shortest<'a, S>) -> Search<'a, S> {
        Search {
            shortest,
            choices: Choices::single(&shortest.bounds.all()),
            frontier: BTreeMap::new(),
            reached: BTreeMap::new(),
            links: vec![Link { before: 0, step: Move::calm(Action::Advance) }],
            spent: Vec::new(),
            best: shortest.judges.names().map(|_| Best::None).collect(),
            found: Vec::new(),
            states: 0,
        }
    }

    fn run(mut self, mut enough: impl FnMut(&Found) -> bool) -> ShortestResult {
        let first = self.first();
        self.reached.insert(first.key, first.cost);
        self.frontier.entry(first.cost).or_default().push_back(first);
        while let Some(cost) = self.cheapest() {
            if self.settle(Some(cost), &mut enough) {
                return self.searched(false);
            }
            let Some(mut node) = self.frontier.get_mut(&cost).and_then(VecDeque::pop_front) else { continue };
            if self.reached[&node.key] < node.cost {
                self.spent.push(node.world);
                continue;
            }
            if self.states == self.shortest.states_max {
                return self.searched(false);
            }
            self.states += 1;
            self.expand(&mut node);
            self.spent.push(node.world);
        }
        let stopped = self.settle(None, &mut enough);
        self.searched(!stopped)
    }

    /// The world before the first step.
    fn first(&self) -> Node<S> {
        let budget = Budget::of(&self.shortest.bounds.all(), 0);
        let world = Box::new(first_world(self.shortest.simulation, self.shortest.bounds.order));
        let digest = in_order(&world, self.shortest.bounds.order, world.digest());
        let key = self.key(&world, digest, budget);
        Node { world, budget, cost: Cost::NOTHING, digest, key, at: 0 }
    }

    /// The least cost of what is to be looked at.
    fn cheapest(&mut self) -> Option<Cost> {
        while let Some(entry) = self.frontier.first_entry() {
            if !entry.get().is_empty() {
                return Some(*entry.key());
            }
            entry.remove();
        }
        None
    }

    fn searched(self, complete: bool) -> ShortestResult {
        ShortestResult { found: self.found, states: self.states, complete }
    }

    /// Reports what is final now that nothing cheaper than `cost` can come; says whether it is enough.
    fn settle(&mut self, cost: Option<Cost>, enough: &mut impl FnMut(&Found) -> bool) -> bool {
        loop {
            let candidates = self.best.iter().enumerate().filter_map(|(place, best)| match best {
                Best::Candidate(found, ..) if cost.is_none_or(|cost| *found <= cost) => Some((*found, place)),
                _ => None,
            });
            let Some((cost, place)) = candidates.min() else { return false };
            let Best::Candidate(_, end, violation) = std::mem::replace(&mut self.best[place], Best::Final) else {
                unreachable!("it was a candidate")
            };
            let property = ids::kept_copy(self.shortest.judges.property(place).name());
            let found = Found { property, violation, cost, path: self.path(end) };
            let stop = enough(&found);
            self.found.push(found);
            if stop {
                return true;
            }
        }
    }

    fn path(&self, end: PathEnd) -> Vec<Move> {
        let (mut at, mut path) = match end {
            PathEnd::To(at) => (at, Vec::new()),
            PathEnd::Past(Link { before, step }) => (before, vec![step]),
        };
        while at != 0 {
            let Link { before, step } = self.links[at];
            path.push(step);
            at = before;
        }
        path.reverse();
        path
    }

    /// The key of a node. In lockstep the publish order decides what comes next.
    fn key(&self, world: &World<S>, digest: u64, budget: Budget) -> u64 {
        let key = hash::mix3(digest, world.broker().rotation(), budget.word());
        if self.shortest.bounds.order == DeliveryOrder::Lockstep {
            key_in_calm_order(world, self.shortest.bounds.order, key)
        } else {
            key
        }
    }

    fn breaks(&mut self, place: usize, cost: Cost, end: PathEnd, violation: Violation) {
        let is_better = match &self.best[place] {
            Best::None => true,
            Best::Candidate(known, ..) => cost < *known,
            Best::Final => false,
        };
        if is_better && self.shortest.cost_max.is_none_or(|most| cost <= most) {
            self.best[place] = Best::Candidate(cost, end, violation);
        }
    }

    /// Takes one step from a node and judges it; the node's world is where that leads then. `None` if it is no move.
    fn attempt(&mut self, node: &mut Node<S>, step: Move, budget: Budget) -> Option<TriedStep> {
        let Move { action, fate } = step;
        let timers = node.world.timers_armed();
        let done = step_apart(&mut node.world, action, fate);
        node.world.note_digests(&done);
        let cost = cost_of_step(&done, node.world.timers_armed() > timers)?;
        let cost = node.cost + cost + cost_of_fate(fate);
        for place in 0..self.best.len() {
            if !matches!(self.best[place], Best::Final)
                && let Err(violation) = self.shortest.judges.judge_step(place, &node.world, &done)
            {
                self.breaks(place, cost, PathEnd::Past(Link { before: node.at, step }), violation);
            }
        }
        let digest = in_order(&node.world, self.shortest.bounds.order, node.world.noted_digest().word());
        Some(TriedStep { step, budget, cost, digest })
    }

    /// Goes on, some time, from where a step led that was just tried, unless that is known and as cheap.
    fn push(&mut self, node: &Node<S>, tried: TriedStep) {
        let TriedStep { step, budget, cost, digest } = tried;
        let key = self.key(&node.world, digest, budget);
        let is_known = self.reached.get(&key).is_some_and(|known| *known <= cost);
        if is_known || self.shortest.cost_max.is_some_and(|most| most < cost) {
            return;
        }
        let world = match self.spent.pop() {
            Some(mut world) => {
                world.clone_from(&node.world);
                world
            }
            None => node.world.clone(),
        };
        self.reached.insert(key, cost);
        let at = self.links.len();
        self.links.push(Link { before: node.at, step });
        self.frontier.entry(cost).or_default().push_back(Node { world, budget, cost, digest, key, at });
    }

    /// Tries an action with every fate there is budget for. Says whether it changes anything.
    fn try_fates(&mut self, node: &mut Node<S>, mark: Mark, action: Action, budget: Budget) -> bool {
        let kind = FateKind::of(node.world.chosen(action).as_ref());
        let calm = self.attempt(node, Move::calm(action), budget);
        if let Some(calm) = calm.filter(|calm| calm.digest != node.digest) {
            self.push(node, calm);
        }
        node.world.rewind(mark);
        // A client whose command is refused asks later.
        let Some(calm) = calm else { return false };
        let is_active = calm.digest != node.digest;
        let is_delivery = matches!(action, Action::Deliver(_));
        if !is_active && is_delivery && self.shortest.bounds.order == DeliveryOrder::Lockstep {
            return false;
        }
        // Only an ack costs anything while the state stays the same, and an ack never leaves it so.
        let acks = calm.cost != node.cost;
        for place in 1..self.choices.of_kind(kind).len() {
            let Choice { fate, cost } = self.choices.of_kind(kind)[place];
            let Some(budget) = budget.spend(cost).filter(|_| acks || fate.ack != AckFate::Lost) else { continue };
            if let Some(tried) = self.attempt(node, Move { action, fate }, budget) {
                // Otherwise it is a fault for nothing.
                if tried.digest != node.digest && (tried.digest != calm.digest || tried.cost < calm.cost) {
                    self.push(node, tried);
                }
            }
            node.world.rewind(mark);
        }
        is_active
    }

    /// Tries every move from a node, and judges it if nothing is under way in it.
    fn expand(&mut self, node: &mut Node<S>) {
        let lockstep = self.shortest.bounds.order == DeliveryOrder::Lockstep;
        let is_own = self.shortest.bounds.order == DeliveryOrder::Broker;
        let_go_on(&mut node.world, self.shortest.bounds.order);
        if is_own && Stage::of(&node.world) == Stage::Over {
            return self.judge_rest(node);
        }
        let broker = node.world.broker();
        let mut ready = broker.ready().to_vec();
        ready.sort_unstable_by_key(|index| {
            let delivery = broker.delivery(*index);
            (delivery.message, delivery.group, delivery.attempt)
        });
        let mut others: Vec<Action> =
            node.world.enabled().iter().filter(|action| !matches!(action, Action::Deliver(_))).collect();
        others.sort_unstable();
        let mark = node.world.mark();
        let mut is_calm = true;
        for index in ready {
            // The broker hands it out again because the handler that paused has not answered.
            let is_lost = !is_own && node.world.broker().overtakes_handler(index);
            let cost = if is_lost { Budget::LOST_ACK } else { Budget::NOTHING };
            let Some(budget) = node.budget.spend(cost) else { continue };
            is_calm &= !self.try_fates(node, mark, Action::Deliver(index), budget);
            if lockstep && !is_calm {
                break;
            }
        }
        for action in others {
            let is_inside = matches!(action, Action::Resume(_) | Action::Ack(_) | Action::Publish(_));
            if is_calm || is_inside || !lockstep {
                self.try_fates(node, mark, action, node.budget);
            }
        }
        let is_at_rest =
            if is_own { Stage::of(&node.world) == Stage::AtRest } else { is_calm && is_at_rest(&node.world) };
        if is_at_rest {
            self.judge_rest(node);
        }
    }

    /// Judges a state in which no delivery changes anything.
    fn judge_rest(&mut self, node: &Node<S>) {
        let judges = self.shortest.judges;
        let is_drained = node.world.broker().open_count() == 0;
        let no_timers = node.world.timers_armed() == 0;
        let is_own = self.shortest.bounds.order == DeliveryOrder::Broker;
        let tried = if is_own { None } else { tried_once_more(&node.world) };
        let end = End::new(tried.as_ref().unwrap_or(&node.world), false);
        for place in 0..self.best.len() {
            let property = judges.property(place);
            // As long as timers are armed, what is claimed about the end may still come true. What
            // is poison now counts as poison.
            let at_end = no_timers || !is_drained && property.name() == Property::<S>::name(&NoPoison);
            let at_end = if is_own { Stage::of(&node.world) == Stage::Over } else { at_end };
            let mut judgement = if at_end { property.at_end(&end) } else { Ok(()) };
            judgement = judgement.and_then(|()| property.at_quiescence(&Moment::new(&node.world)));
            if let Err(violation) = judgement {
                self.breaks(place, node.cost, PathEnd::To(node.at), violation);
            }
        }
    }
}

#[cfg(test)]
mod tests;
