//! What searches through states ask of a state, whatever their frontier.

use super::shortest::DeliveryOrder;
use crate::event::System;
use crate::faults::Fate;
use crate::hash;
use crate::run::{Stillness, step_apart};
use crate::scheduler::{Action, Tie};
use crate::simulation::Simulation;
use crate::world::World;

/// The first world of a search in this order.
///
/// On its own broker a simulation goes on as a run does. In the orders of a search all is handed out again at any
/// time: otherwise what is parked could neither be paused nor crash a member.
pub(super) fn first_world<S: System>(simulation: &Simulation<S>, order: DeliveryOrder) -> World<S> {
    let mut world = simulation.world();
    if order != DeliveryOrder::Broker {
        world.hand_out_futile();
    }
    world
}

/// Lets a run go on that would be over but for a client which holds its command back, as a run does.
pub(super) fn let_go_on<S: System>(world: &mut World<S>, order: DeliveryOrder) {
    if order == DeliveryOrder::Broker && world.is_still() && world.is_finished() {
        world.release_held_back();
    }
}

/// What a run would be judged for at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Something is under way.
    UnderWay,
    /// Nothing can change any more until a command is sent or a service's timer fires.
    AtRest,
    /// The run is over.
    Over,
}

impl Stage {
    /// Of a run that is here.
    pub(super) fn of<S: System>(world: &World<S>) -> Stage {
        let is_still = world.is_still();
        if is_still && world.is_finished() || world.enabled().is_empty() {
            Stage::Over
        } else if is_still && Stillness::of(world) == Stillness::AtRest {
            Stage::AtRest
        } else {
            Stage::UnderWay
        }
    }
}

/// What tells states apart in this order, given the world's digest: on its own broker all that decides how a run
/// goes on.
#[inline]
pub(super) fn in_order<S: System>(world: &World<S>, order: DeliveryOrder, digest: u64) -> u64 {
    if order == DeliveryOrder::Broker { hash::mix(digest, world.digest_in_full()) } else { digest }
}

/// A state's key where the publish order decides what comes next, given its key where it does not.
///
/// Where waits end one by one, so does what else the calm run would do first: late acks, paused handlers.
pub(super) fn key_in_calm_order<S: System>(world: &World<S>, order: DeliveryOrder, key: u64) -> u64 {
    let mut key = key;
    if order == DeliveryOrder::Broker {
        let enabled = world.enabled();
        let mut actions: Vec<Action> = enabled.iter().collect();
        actions.sort_unstable_by_key(|action| enabled.calm_rank(*action, Tie::InOrder));
        let names = actions.iter().filter_map(|action| world.target(*action));
        key = names.fold(key, |key, what| hash::mix(key, what.key()));
    }
    let broker = world.broker();
    let mut open: Vec<_> = broker.open().map(|index| (broker.delivery(index).message, index)).collect();
    open.sort_unstable();
    open.iter().fold(key, |key, (_, index)| hash::mix(key, broker.digest_of(*index)))
}

/// Whether nothing can change any more until a command is sent or a timer fires, given that no delivery
/// changes anything.
pub(super) fn is_at_rest<S: System>(world: &World<S>) -> bool {
    let is_to_come =
        |action: Action| matches!(action, Action::Resume(_) | Action::Ack(_) | Action::Join(_) | Action::Publish(_));
    !world.enabled().iter().any(is_to_come) && !world.waits_for_redelivery()
}

/// The world in which each of the deliveries that are ready was tried once more, so that what is said about
/// attempts is true: none of these steps changes anything. `None` if nothing is open.
pub(super) fn tried_once_more<S: System>(world: &World<S>) -> Option<World<S>> {
    (world.broker().open_count() > 0).then(|| {
        let mut tried = world.clone();
        for index in world.enabled().ready() {
            step_apart(&mut tried, Action::Deliver(*index), Fate::CALM);
        }
        tried
    })
}
