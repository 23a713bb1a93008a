//! How a run began and what the broker was left with: what no step of a trace says.

use std::collections::BTreeSet;

use super::SavedRecord;
use crate::broker::State;
use crate::event::System;
use crate::world::World;

/// What a trace does not say of its run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edges {
    /// What each service held before the first step, in the order of the services; empty if that is not known.
    pub beginning: Vec<Vec<SavedRecord>>,
    /// The messages that the broker gave up, by name and group: `ticket:created t1@0 -> orders`.
    pub given_up: Vec<String>,
    /// The messages that are not done at the end, likewise.
    pub open: Vec<String>,
}

impl Edges {
    /// How the run of a world begins that has taken no step.
    #[must_use]
    pub fn before<S: System>(world: &World<S>) -> Edges {
        let names = world.simulation().service_names();
        let held = |name| world.store_of(name).texts().into_iter().map(SavedRecord::from).collect();
        Edges { beginning: names.map(held).collect(), ..Edges::default() }
    }

    /// The same with what the broker was left with.
    #[must_use]
    pub fn after<S: System>(self, world: &World<S>) -> Edges {
        let broker = world.broker();
        let named = |wanted: &dyn Fn(State) -> bool| {
            let found = broker.deliveries().iter().filter(|delivery| wanted(delivery.state));
            let names: BTreeSet<_> = found.map(|delivery| (delivery.message, delivery.group)).collect();
            let name = |(message, group)| format!("{} -> {}", broker.message(message).name, broker.group_name(group));
            names.into_iter().map(name).collect()
        };
        let given_up = named(&|state| state == State::Dead);
        Edges { given_up, open: named(&|state| !matches!(state, State::Dead | State::Settled)), ..self }
    }
}
