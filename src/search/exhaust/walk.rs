//! The way through all states: depth first, with one world for each step of the way.

mod led;

use std::collections::BTreeSet;
use std::time::Duration;

use super::bounds::{Bounds, Choices, FateKind, Left, Most};
use super::exchange::{Exchange, Handed};
use super::forecasts::Forecasts;
use super::seen::{Looks, News};
use super::walks::Common;
use super::worlds::Worlds;
use super::{Exhaust, Reached};
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::hash;
use crate::ids::RecordId;
use crate::property::End;
use crate::run::{Judges, Verdict, step_apart};
use crate::scheduler::{Action, Move, Tie};
use crate::search::Order;
use crate::simulation::Simulation;
use crate::world::{Digest, Step, Still, World};
use led::Led;

/// After how many steps it is said how far the search is.
const PROGRESS_EVERY: u64 = 1 << 13;

/// Why a way through the states ended early.
pub(super) enum Stop {
    /// The way that it is on fails.
    Failing(Box<Verdict>),
    Memory,
    Steps,
}

/// What a walk came across that tells whether clusters can be searched apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Every record that was saved or published about.
    pub(super) touched: BTreeSet<RecordId>,
    /// What couples it to whatever else happens.
    pub(super) coupling: Option<&'static str>,
}

impl Marks {
    /// What this walk and another one came across.
    pub(super) fn and(self, other: Marks) -> Marks {
        let touched = self.touched.into_iter().chain(other.touched).collect();
        // The reason does not depend on which walk met it.
        Marks { touched, coupling: self.coupling.max(other.coupling) }
    }

    fn couple(&mut self, reason: &'static str) {
        self.coupling = self.coupling.max(Some(reason));
    }
}

/// A state on the way, and what was tried from it.
#[derive(Clone, Default)]
pub(super) struct Place {
    key: u64,
    /// The world's digest, if steps from here can be foretold.
    still: Option<Still>,
    /// The state that was looked at last, and what was left of the bounds then.
    looked: (u64, Left),
    left: Left,
    actions: Vec<Action>,
    /// The hashes of the deliveries tried, of which equal ones lead to equal states.
    twins: Vec<u64>,
    /// What is tried next: the place of the action, and of its fate.
    next: (usize, usize),
    /// Which fates the action that is tried may have.
    kind: FateKind,
    /// Whether its message is pending as often as it may be.
    has_copies: bool,
    /// Whether a delivery changed anything.
    moved: bool,
    /// Whether the action that is tried changes anything if nothing goes wrong.
    changes: bool,
    /// Whether the broker is told anything by that.
    answers: bool,
    /// Whether what the calm run does next was tried.
    past_calm: bool,
    /// Whether another walk goes on from here.
    is_handed: bool,
}

impl Place {
    /// Whether something is left to try.
    fn has_more(&self) -> bool {
        self.next.0 < self.actions.len()
    }
}

/// A step to try.
struct Try {
    action: Action,
    fate: Fate,
    /// What is left after it; nothing if the step is only tried to see whether it changes anything.
    left: Option<Left>,
}

pub(super) struct Walk<'e, 'p, S: System> {
    bounds: Bounds,
    judges: &'e Judges<S>,
    common: &'p Common<'p>,
    choices: Choices,
    /// Whether members compete, so that it matters whose turn it is.
    has_turns: bool,
    /// Whether a delivery that changed nothing is not tried again until its service's store changes.
    notes_futile: bool,
    /// Whether the digest is all that tells states apart, so that steps can be foretold.
    foretells: bool,
    forecasts: Forecasts,
    /// By depth; the last is for the step that is tried.
    worlds: Worlds<S>,
    places: Vec<Place>,
    way: Vec<Move>,
    depth: usize,
    depth_max: usize,
    transitions: u64,
    /// What is left of the bounds before the first step.
    left: Left,
    /// What a step costs: one, if so many are allowed.
    step_cost: Left,
    /// Whether others are searched apart from this, so that it matters what it comes across.
    is_marking: bool,
    marks: Marks,
}

impl<'e, 'p, S: System> Walk<'e, 'p, S> {
    pub(super) fn new(
        exhaust: &Exhaust<'e, S>,
        simulation: &Simulation<S>,
        is_marking: bool,
        common: &'p Common<'p>,
    ) -> Walk<'e, 'p, S> {
        let mut world = simulation.world();
        // Otherwise what is parked could neither be paused nor crash a member.
        world.hand_out_futile();
        for Move { action, fate } in exhaust.prefix {
            step_apart(&mut world, *action, *fate);
        }
        let has_turns = world.broker().has_turns();
        let has_patience = world.broker().profile().ack_wait != [Duration::ZERO];
        Walk {
            bounds: exhaust.bounds,
            judges: exhaust.judges,
            common,
            choices: Choices::of(&exhaust.bounds, simulation),
            has_turns,
            notes_futile: !has_turns && !has_patience,
            foretells: !has_turns && !has_patience && !exhaust.bounds.knows_calm(),
            forecasts: Forecasts::default(),
            worlds: Worlds::new(world),
            places: Vec::new(),
            way: Vec::new(),
            depth: 0,
            depth_max: 0,
            transitions: 0,
            left: Left::NOTHING,
            step_cost: Left::NOTHING,
            is_marking,
            marks: Marks::default(),
        }
    }

    pub(super) fn marks(&mut self) -> Marks {
        std::mem::take(&mut self.marks)
    }

    /// The way it is on.
    pub(super) fn way(&self) -> Vec<Move> {
        self.way.clone()
    }

    /// How far it is itself; what has been seen, all walks have.
    pub(super) fn reached(&self) -> Reached {
        Reached {
            transitions: self.transitions,
            depth: self.depth as u32,
            depth_max: self.depth_max as u32,
            ..Reached::default()
        }
    }

    /// Forgets where it went, to go through all states or through those within so many steps.
    pub(super) fn reset(&mut self, steps_max: Option<u16>) {
        self.way.clear();
        self.worlds.forget();
        // Where it goes first must not depend on where it went before.
        self.forecasts.clear();
        self.marks = Marks::default();
        (self.depth, self.depth_max, self.transitions) = (0, 0, 0);
        self.step_cost = if steps_max.is_some() { Left::STEP } else { Left::NOTHING };
        self.left = Left::of(&self.bounds, steps_max.unwrap_or(0).min(Left::STEPS_MAX));
    }

    /// Goes through states until none is left for any walk. One of them begins with the first state.
    pub(super) fn go(&mut self, exchange: &Exchange, begins: bool) -> Result<(), Stop> {
        let seen = &self.common.seen;
        let looks = &mut seen.looks(exchange.is_for_one());
        self.count_memory(0)?;
        if begins {
            let key = self.key(0, self.worlds.digest(0));
            if looks.look(key, self.left) == News::Full {
                return Err(Stop::Memory);
            }
            self.enter(key, self.left);
            self.explore(exchange, looks)?;
        }
        while let Some(handed) = exchange.take() {
            self.move_to(handed)?;
            self.explore(exchange, looks)?;
        }
        Ok(())
    }

    /// Goes to a place that another walk found.
    fn move_to(&mut self, handed: Handed) -> Result<(), Stop> {
        for (depth, Move { action, fate }) in handed.way.iter().enumerate() {
            self.worlds.step(depth, *action, *fate);
            self.count_memory(depth + 1)?;
        }
        self.way = handed.way;
        self.depth = self.way.len();
        self.depth_max = self.depth_max.max(self.depth);
        if self.places.len() <= self.depth {
            self.places.resize_with(self.depth + 1, Place::default);
        }
        self.places[self.depth] = handed.place;
        Ok(())
    }

    /// Counts what the worlds at this depth and after it have grown by.
    fn count_memory(&mut self, depth: usize) -> Result<(), Stop> {
        let more = self.worlds.uncounted(depth) + self.forecasts.uncounted();
        if more == 0 || self.common.seen.take(more) { Ok(()) } else { Err(Stop::Memory) }
    }

    /// Tries all that is left to try where it is and wherever that leads.
    fn explore(&mut self, exchange: &Exchange, looks: &mut Looks<'_>) -> Result<(), Stop> {
        let first = self.depth;
        while !exchange.is_over() {
            if exchange.is_wanted() {
                self.hand_over(first, exchange);
            }
            match self.next() {
                Some(attempt) => self.attempt(&attempt, looks)?,
                None => {
                    self.judge_rest()?;
                    if self.depth == first {
                        break;
                    }
                    self.depth -= 1;
                    self.way.pop();
                }
            }
        }
        Ok(())
    }

    /// Hands over the first place of its way that has something left, if it has more to do itself.
    fn hand_over(&mut self, first: usize, exchange: &Exchange) {
        let Some(depth) = (first..self.depth).find(|depth| self.places[*depth].has_more()) else { return };
        let place = &mut self.places[depth];
        exchange.hand(Handed { way: self.way[..depth].to_vec(), place: place.clone() });
        place.actions.clear();
        place.is_handed = true;
    }

    /// What tells states apart. Where the calm run's next step counts, the publish order does.
    fn key(&self, depth: usize, digest: Digest) -> u64 {
        let world = self.worlds.at(depth);
        let mut key = digest.word();
        if self.has_turns {
            key = hash::mix(key, world.broker().turns());
        }
        if self.bounds.knows_calm() {
            let broker = world.broker();
            let mut open: Vec<_> = broker.open().map(|index| (broker.delivery(index).message, index)).collect();
            open.sort_unstable();
            key = open.iter().fold(key, |key, (_, index)| hash::mix(key, broker.digest_of(*index)));
        }
        key
    }

    /// Begins to try what may happen in the world at this depth.
    fn enter(&mut self, key: u64, left: Left) {
        if self.places.len() == self.depth {
            self.places.push(Place::default());
        }
        let world = self.worlds.at(self.depth);
        let enabled = world.enabled();
        let still = self.foretells.then(|| world.still(self.worlds.digest(self.depth))).flatten();
        let place = &mut self.places[self.depth];
        place.actions.clear();
        place.actions.extend(enabled.iter());
        match self.bounds.order {
            Order::Lockstep => place.actions.sort_unstable_by_key(|action| {
                (!matches!(action, Action::Deliver(_)), enabled.turn(*action, Tie::InOrder))
            }),
            _ if self.bounds.knows_calm() => {
                place.actions.sort_unstable_by_key(|action| enabled.turn(*action, Tie::InOrder));
            }
            _ => {}
        }
        place.twins.clear();
        (place.key, place.still, place.left, place.next) = (key, still, left, (0, 0));
        place.looked = (key, left);
        (place.moved, place.changes, place.answers) = (false, false, true);
        (place.past_calm, place.is_handed) = (false, false);
        (place.kind, place.has_copies) = (FateKind::NONE, false);
    }

    /// The step to try next from where it is.
    fn next(&mut self) -> Option<Try> {
        let (place, world) = (&mut self.places[self.depth], self.worlds.at(self.depth));
        loop {
            let (at, fate_at) = place.next;
            let action = *place.actions.get(at)?;
            if fate_at == 0 {
                if is_needless(world, &self.bounds, self.has_turns, place, action) {
                    place.next = (at + 1, 0);
                    continue;
                }
                place.kind = FateKind::of(world.chosen(action).as_ref());
                place.has_copies = has_copies(world, &self.bounds, action);
            }
            let choice = self.choices.of_kind(place.kind).get(fate_at);
            if choice.is_none() && fate_at > 0 {
                // The first that changes anything is what the calm run does next.
                place.past_calm |= place.changes;
                place.next = (at + 1, 0);
                continue;
            }
            place.next.1 += 1;
            if fate_at == 0 && is_futile(world, action, self.notes_futile) {
                (place.changes, place.answers) = (false, false);
                continue;
            }
            let (fate, cost) = choice.map_or((Fate::CALM, Left::NOTHING), |choice| (choice.fate, choice.cost));
            let looks = fate == Fate::CALM && matches!(action, Action::Deliver(_));
            if fate_at == 0 {
                (place.changes, place.answers) = (false, true);
            }
            // Where nothing was done, a crash is the same in every window.
            let is_inert = !place.answers && !place.changes && !fate.pause && fate.crash > Some(Window::BeforeSave);
            if is_inert && self.notes_futile
                || fate.ack == AckFate::Lost && !fate.pause && !place.answers
                || fate.duplicate && place.has_copies
            {
                continue;
            }
            let cost = cost.and(self.step_cost).and(cost_of_turn(world, &self.bounds, place.past_calm, action));
            let left = place.left.after(cost);
            if left.is_some() || looks {
                return Some(Try { action, fate, left });
            }
        }
    }

    /// Tries a step, and goes on from where it leads if that is news.
    fn attempt(&mut self, attempt: &Try, looks: &mut Looks<'_>) -> Result<(), Stop> {
        let Try { action, fate, left } = *attempt;
        self.way.push(Move { action, fate });
        let led = match self.foretold(action, fate) {
            Some(led) => led,
            None => self.take(action, fate),
        };
        self.transitions += 1;
        if self.transitions.is_multiple_of(PROGRESS_EVERY) {
            self.common.tell(self.reached(), PROGRESS_EVERY);
        }
        let place = &mut self.places[self.depth];
        let is_same = led.key == place.key;
        if fate == Fate::CALM {
            place.changes = !is_same;
            place.answers = led.answers;
            place.moved |= place.changes && matches!(action, Action::Deliver(_));
        }
        let is_noted = match action {
            Action::Deliver(_) => self.notes_futile,
            // It was refused, and is tried again.
            Action::Command(_) => true,
            _ => false,
        };
        if is_same && is_noted && fate == Fate::CALM {
            // There is nothing to judge; and wherever that world is copied to, it is known that this
            // delivery or command changes nothing.
            match led.step {
                Some(_) => self.worlds.accept(self.depth),
                None => self.worlds.note_futile(self.depth, action),
            }
            self.way.pop();
            return self.learn(&led);
        }
        let Some(left) = left else {
            self.way.pop();
            return Ok(());
        };
        self.judge(&led)?;
        let place = &mut self.places[self.depth];
        // Fates that come to the same are tried one after the other.
        let is_known = place.looked.0 == led.key && place.looked.1.covers(left);
        let news = if is_known { News::Known } else { looks.look(led.key, left) };
        place.looked = (led.key, left);
        match news {
            News::Known => {
                self.way.pop();
                Ok(())
            }
            News::Full => Err(Stop::Memory),
            News::First | News::More if self.depth as u32 == Exhaust::<S>::STEPS_MAX => Err(Stop::Steps),
            News::First | News::More => self.go_on(action, fate, led, left),
        }
    }

    /// Goes on from where a step leads.
    fn go_on(&mut self, action: Action, fate: Fate, led: Led, left: Left) -> Result<(), Stop> {
        let key = led.key;
        let led = match led.step {
            Some(_) => led,
            None => self.prove(action, fate, key)?,
        };
        if self.is_marking
            && let Some(step) = &led.step
        {
            mark(&mut self.marks, self.worlds.at(self.depth + 1), step);
        }
        self.depth += 1;
        self.depth_max = self.depth_max.max(self.depth);
        self.count_memory(self.depth)?;
        self.enter(key, left);
        Ok(())
    }

    /// Judges a state in which no delivery changes anything, as a run would.
    fn judge_rest(&self) -> Result<(), Stop> {
        let (place, world) = (&self.places[self.depth], self.worlds.at(self.depth));
        let enabled = world.enabled();
        let under_way = enabled.iter().any(|action| matches!(action, Action::Resume(_) | Action::Ack(_)));
        let is_absent = enabled.iter().any(|action| matches!(action, Action::Join(_)));
        if place.is_handed || place.moved || under_way || is_absent || world.waits_for_redelivery() {
            return Ok(());
        }
        judge_still(self.judges, world).map_err(failing)
    }
}

/// Judges a world in which no delivery changes anything and nothing is under way.
pub(super) fn judge_still<S: System>(judges: &Judges<S>, world: &World<S>) -> Result<(), Verdict> {
    let enabled = world.enabled();
    if world.may_go_on() || world.timers_armed() > 0 {
        return judges.at_quiescence(world);
    }
    let mut shown = None;
    if world.broker().open_count() > 0 {
        // So that what is said about attempts is true: none of these steps changes anything.
        let mut world = world.clone();
        for index in enabled.ready() {
            step_apart(&mut world, Action::Deliver(*index), Fate::CALM);
        }
        shown = Some(world);
    }
    let world = shown.as_ref().unwrap_or(world);
    judges.at_end(&End { world, in_rounds: false })?;
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
    if world.timers_armed() > 0 {
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

/// Whether an action leads nowhere that another one does not lead to, or may not happen yet.
fn is_needless<S: System>(
    world: &World<S>,
    bounds: &Bounds,
    has_turns: bool,
    place: &mut Place,
    action: Action,
) -> bool {
    if bounds.order == Order::Lockstep && place.moved {
        return !matches!(action, Action::Resume(_) | Action::Ack(_));
    }
    let Action::Deliver(index) = action else { return false };
    if has_turns || bounds.knows_calm() {
        return false;
    }
    let twin = world.broker().noted_digest_of(index);
    let is_known = place.twins.contains(&twin);
    place.twins.push(twin);
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
/// whether it overtakes a handler of the same message, of which the broker has heard nothing.
fn cost_of_turn<S: System>(world: &World<S>, bounds: &Bounds, past_calm: bool, action: Action) -> Left {
    let mut cost = Left::NOTHING;
    if past_calm && bounds.order != Order::Lockstep && bounds.departures != Most::Any {
        cost = cost.and(Left::DEPARTURE);
    }
    match action {
        Action::Deliver(index) if bounds.lost_acks != Most::Any && bounds.pauses != Most::NONE => {
            if world.broker().overtakes_handler(index) { cost.and(Left::LOST_ACK) } else { cost }
        }
        _ => cost,
    }
}
