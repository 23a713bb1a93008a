//! Walks through the same states at once, on one thread each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::exchange::Exchange;
use super::seen::Seen;
use super::walk::{Marks, Stop, Walk};
use super::{Exhaust, Reached};
use crate::event::System;
use crate::run::{Verdict, panic_message};
use crate::scheduler::Move;
use crate::simulation::Simulation;

/// What walks have in common.
pub(super) struct Common<'p> {
    pub(super) seen: Seen,
    told: Mutex<Told<'p>>,
}

/// Who is told how far they are, and what was said last.
struct Told<'p> {
    progress: &'p mut (dyn FnMut(Reached) + Send),
    transitions: u64,
    depth_max: u32,
}

impl<'p> Common<'p> {
    pub(super) fn new(memory_max: u64, progress: &'p mut (dyn FnMut(Reached) + Send)) -> Common<'p> {
        Common { seen: Seen::new(memory_max), told: Mutex::new(Told { progress, transitions: 0, depth_max: 0 }) }
    }

    /// Tells how far all are, given where one is that has tried so many steps more.
    pub(super) fn tell(&self, walk: Reached, transitions_more: u64) {
        let told = &mut *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.transitions += transitions_more;
        told.depth_max = told.depth_max.max(walk.depth_max);
        let (states, bytes) = (self.seen.states(), self.seen.bytes());
        let (transitions, depth_max) = (told.transitions, told.depth_max);
        (told.progress)(Reached { states, transitions, depth_max, bytes, ..walk });
    }

    fn clear(&self) {
        self.seen.clear();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.transitions, told.depth_max) = (0, 0);
    }
}

/// Why walks stopped, and on which way.
pub(super) struct Stopped {
    pub(super) stop: Stop,
    pub(super) way: Vec<Move>,
}

/// Walks through the states of one simulation.
pub(super) struct Walks<'e, 'p, S: System> {
    common: &'p Common<'p>,
    walks: Vec<Walk<'e, 'p, S>>,
}

impl<'e, 'p, S: System> Walks<'e, 'p, S> {
    pub(super) fn new(
        exhaust: &Exhaust<'e, S>,
        simulation: &Simulation<S>,
        is_marking: bool,
        common: &'p Common<'p>,
    ) -> Walks<'e, 'p, S> {
        let walk = |_| Walk::new(exhaust, simulation, is_marking, common);
        Walks { common, walks: (0..exhaust.threads.max(1)).map(walk).collect() }
    }

    /// How many walk at once.
    pub(super) fn count(&self) -> usize {
        self.walks.len()
    }

    pub(super) fn reached(&self) -> Reached {
        let (states, bytes) = (self.common.seen.states(), self.common.seen.bytes());
        let all = Reached { states, bytes, ..Reached::default() };
        self.walks.iter().map(Walk::reached).fold(all, |all, one| Reached {
            transitions: all.transitions + one.transitions,
            depth: all.depth.max(one.depth),
            depth_max: all.depth_max.max(one.depth_max),
            ..all
        })
    }

    /// What they came across when they went last.
    pub(super) fn marks(&mut self) -> Marks {
        self.walks.iter_mut().map(Walk::marks).fold(Marks::default(), Marks::and)
    }

    /// All go through all states, or those within so many steps; why they stopped, if they did before
    /// all was done.
    pub(super) fn go(&mut self, steps_max: Option<u16>) -> Option<Stopped> {
        let count = self.count();
        self.go_with(count, steps_max)
    }

    /// [`Walks::go`] with one thread: what stops it is the same each time.
    pub(super) fn go_alone(&mut self, steps_max: Option<u16>) -> Option<Stopped> {
        self.go_with(1, steps_max)
    }

    fn go_with(&mut self, count: usize, steps_max: Option<u16>) -> Option<Stopped> {
        self.common.clear();
        self.walks.iter_mut().for_each(|walk| walk.reset(steps_max));
        let exchange = Exchange::new(count);
        let (first, others) = self.walks[..count].split_first_mut()?;
        std::thread::scope(|scope| {
            let go = |walk: &mut Walk<'e, 'p, S>, begins| caught(walk, |walk| walk.go(&exchange, begins), &exchange);
            let others: Vec<_> = others.iter_mut().map(|walk| scope.spawn(move || go(walk, false))).collect();
            let stopped = go(first, true);
            others.into_iter().fold(stopped, |stopped, other| {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                stopped.or(other)
            })
        })
    }
}

/// Lets a walk go; if it stops, all others do. What a handler or a property panics with is a verdict.
fn caught<S: System>(
    walk: &mut Walk<'_, '_, S>,
    go: impl FnOnce(&mut Walk<'_, '_, S>) -> Result<(), Stop>,
    exchange: &Exchange,
) -> Option<Stopped> {
    let ended = catch_unwind(AssertUnwindSafe(|| go(walk)));
    let panicked = |message| Err(Stop::Failing(Box::new(Verdict::Panicked { message })));
    let stop = ended.unwrap_or_else(|panic| panicked(panic_message(&*panic))).err()?;
    exchange.stop();
    Some(Stopped { stop, way: walk.way() })
}

#[cfg(test)]
mod tests {
    use super::super::bounds::{Bounds, Most};
    use super::*;
    use crate::ids::RecordId;
    use crate::run::Judges;
    use crate::search::Order;
    use crate::ticketing::Scenario;
    use crate::ticketing::{Design, Ticketing};

    /// What one walk comes to: its states, the verdict, what it touched.
    fn comes_to(exhaust: &Exhaust<'_, Ticketing>, exchange: &Exchange) -> (u64, Option<Verdict>, Vec<RecordId>) {
        let mut silent = |_| ();
        let common = Common::new(1 << 26, &mut silent);
        let mut walk = Walk::new(exhaust, exhaust.simulation, true, &common);
        walk.reset(None);
        let stopped = caught(&mut walk, |walk| walk.go(exchange, true), exchange);
        let verdict = stopped.map(|stopped| match stopped.stop {
            Stop::Failing(verdict) => *verdict,
            Stop::Memory | Stop::Steps => panic!("there is room"),
        });
        let states = if verdict.is_none() { common.seen.states() } else { 0 };
        (states, verdict, walk.marks().touched.into_iter().collect())
    }

    #[test]
    fn a_walk_that_hands_over_every_place_comes_to_the_states_of_one_that_does_not() {
        let text = include_str!("../../../scenarios/g02-cancel-overtakes-create.toml");
        let scenario = Scenario::parse("g02.toml", text).expect("a scenario");
        let one = Most::Of(1);
        let all_bounds = [
            Bounds { lost_acks: one, crashes: one, duplicates: 1, ..Bounds::of(Order::Any) },
            Bounds { lost_acks: Most::Of(2), pauses: one, ..Bounds::of(Order::Any) },
            Bounds { crashes: one, ..Bounds::of(Order::PerSubject) },
            Bounds { lost_acks: one, ..Bounds::of(Order::Lockstep) },
            Bounds { departures: Most::Of(3), lost_messages: one, ..Bounds::of(Order::Any) },
        ];
        let mut most = 0;
        for bounds in all_bounds {
            let scenario = Scenario { design: Design::REFERENCE, ..scenario.clone() };
            let scenario = scenario.on_broker(bounds.order.broker_keys()).expect("a broker");
            let simulation = scenario.simulation(1).expect("the parts fit");
            let judges = Judges::new(Vec::new());
            let exhaust = Exhaust::new(&simulation, &judges).with_bounds(bounds);
            let plain = comes_to(&exhaust, &Exchange::new(1));
            let handed = comes_to(&exhaust, &Exchange::of_one_that_hands_over_all());
            assert_eq!(plain, handed, "{bounds}");
            most = most.max(plain.0);
        }
        assert!(most > 100, "the searches are small: {most} states at most");
    }
}
