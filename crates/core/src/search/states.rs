//! What searches through states ask of a state, whatever their frontier.

use crate::event::System;
use crate::faults::Fate;
use crate::hash;
use crate::run::step_apart;
use crate::scheduler::Action;
use crate::world::World;

/// A state's key where the publish order decides what comes next, given its key where it does not.
pub(super) fn key_in_calm_order<S: System>(world: &World<S>, key: u64) -> u64 {
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
