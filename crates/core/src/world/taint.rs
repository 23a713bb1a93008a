//! Dependency tracking for judgements.
//!
//! A search that knows what a judgement depends on need not judge an equal step again. That is detected
//! at run time instead of declared: whatever shows more than stores and time taints the judgement.

use std::cell::Cell;

use super::World;
use crate::broker::Broker;
use crate::event::System;

/// Whether anybody looked at more than stores and time.
#[derive(Default)]
pub(super) struct Taint(Cell<bool>);

impl Taint {
    #[inline]
    pub(super) fn set(&self) {
        self.0.set(true);
    }
}

impl<S: System> World<S> {
    /// Whether anybody looked at more than stores and time since this was last taken.
    pub(crate) fn take_taint(&self) -> bool {
        self.taint.0.replace(false)
    }

    /// The broker, for what a view shows of the message that its step handled.
    #[inline]
    pub(crate) fn broker_without_taint(&self) -> &Broker<S::Event> {
        &self.broker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erratic::{Erratic, NAMES, simulation_on};
    use crate::scheduler::Action;

    type Ask<'a> = &'a dyn Fn(&World<Erratic>);

    #[test]
    fn what_shows_more_than_stores_and_time_taints() {
        let mut world = simulation_on(crate::Profile::adversarial(), 0).world();
        let action = world.enabled().iter().next().expect("a command");
        let Action::Command(client) = action else { panic!("{action:?}") };
        let service = world.service(NAMES[0]).expect("a service");
        world.step(action, crate::Fate::CALM);
        let asks = |ask: Ask<'_>| {
            world.take_taint();
            ask(&world);
            world.take_taint()
        };
        let more: [Ask<'_>; 15] = [
            &|world| _ = world.broker(),
            &|world| _ = world.clone(),
            &|world| _ = world.steps(),
            &|world| _ = world.commands_run(),
            &|world| _ = world.fingerprint(),
            &|world| _ = world.digest(),
            &|world| _ = world.timers_armed(),
            &|world| _ = world.enabled(),
            &|world| _ = world.chosen(action),
            &|world| _ = world.next_command(client),
            &|world| _ = world.is_quiescent(),
            &|world| _ = world.is_finished(),
            &|world| _ = world.describe(Action::Advance),
            &|world| _ = world.target(Action::Advance),
            &|world| _ = format!("{world:?}"),
        ];
        assert_eq!(more.map(asks), [true; 15]);
        let stores: [Ask<'_>; 5] = [
            &|world| _ = world.store(service).texts(),
            &|world| _ = world.store_of(NAMES[0]).digest(),
            &|world| _ = world.service_name(service),
            &|world| _ = world.simulation(),
            &|world| _ = world.now(),
        ];
        assert_eq!(stores.map(asks), [false; 5]);
    }
}
