//! Dependency tracking for judgements.
//!
//! A search that knows what a judgement depends on need not judge an equal step again. That is detected
//! at run time instead of declared: whatever shows more than stores and time notes that it was asked.

use std::cell::Cell;

use super::World;
use crate::broker::Broker;
use crate::event::System;

/// Whether anybody asked for more than stores and time.
#[derive(Default)]
pub(super) struct Asked(Cell<bool>);

impl Asked {
    #[inline]
    pub(super) fn note(&self) {
        self.0.set(true);
    }
}

impl<S: System> World<S> {
    /// Whether anybody asked for more than stores and time since this was last asked.
    pub(crate) fn take_asked(&self) -> bool {
        self.asked.0.replace(false)
    }

    /// The broker, for what a view shows of the message that its step handled.
    #[inline]
    pub(crate) fn broker_unasked(&self) -> &Broker<S::Event> {
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
    fn what_tells_more_than_stores_and_time_notes_that_it_was_asked() {
        let mut world = simulation_on(crate::Profile::adversarial(), 0).world();
        let action = world.enabled().iter().next().expect("a command");
        let Action::Command(client) = action else { panic!("{action:?}") };
        let service = world.service(NAMES[0]).expect("a service");
        world.step(action, crate::Fate::CALM);
        let asks = |ask: Ask<'_>| {
            world.take_asked();
            ask(&world);
            world.take_asked()
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
