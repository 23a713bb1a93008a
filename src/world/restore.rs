//! How a world becomes what another one is, where it is known what both have in common.
//!
//! A search makes a world from the one before it for every step it tries. Of what is large (rows,
//! histories, messages) a step changes little, so only that is copied; the rest is copied whole.

use super::World;
use crate::event::System;
use crate::ids::ServiceIndex;

/// What two worlds of one simulation are known to have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    /// So many messages at the beginning of the log are the same.
    messages: usize,
    /// The stores that are the same at another moment of their life, one of which came from the other
    /// by steps: a bit for each of the first 64 services.
    stores: u64,
}

impl Shared {
    pub(crate) const NOTHING: Shared = Shared { messages: 0, stores: 0 };

    /// What a world has in common with one that came from it by steps.
    pub(crate) fn with_later<S: System>(world: &World<S>) -> Shared {
        Shared { messages: world.broker.messages().len(), stores: u64::MAX }
    }

    /// What is in both.
    pub(crate) fn and(self, other: Shared) -> Shared {
        Shared { messages: self.messages.min(other.messages), stores: self.stores & other.stores }
    }

    /// Without the store of a service.
    pub(crate) fn without(self, service: ServiceIndex) -> Shared {
        Shared { stores: self.stores & !bit(service.get()), ..self }
    }

    fn has_store(self, place: usize) -> bool {
        self.stores & bit(place) != 0
    }
}

fn bit(place: usize) -> u64 {
    u32::try_from(place).ok().and_then(|place| 1u64.checked_shl(place)).unwrap_or(0)
}

impl<S: System> World<S> {
    /// Becomes a copy of `source`, with which it has `shared` in common; returns what it still has in
    /// common with what it was. What was offered since it was last asked is not copied.
    pub(crate) fn restore(&mut self, source: &World<S>, shared: Shared) -> Shared {
        if shared == Shared::NOTHING {
            self.clone_from(source);
            return Shared::NOTHING;
        }
        let messages = self.broker.restore(&source.broker, shared.messages);
        for (place, (store, source)) in self.stores.iter_mut().zip(&source.stores).enumerate() {
            if shared.has_store(place) {
                store.restore(source);
            } else {
                store.clone_from(source);
            }
        }
        self.sent.clone_from(&source.sent);
        self.idle.clone_from(&source.idle);
        self.paused.clone_from(&source.paused);
        self.paused_indices.clone_from(&source.paused_indices);
        self.acks.clone_from(&source.acks);
        self.absent.clone_from(&source.absent);
        if self.timers != source.timers {
            self.timers.clone_from(&source.timers);
        }
        self.offers.clear();
        self.effects.clear();
        self.pauses = source.pauses;
        self.service_timers = source.service_timers;
        self.parks_futile = source.parks_futile;
        (self.now, self.steps, self.commands_run) = (source.now, source.steps, source.commands_run);
        self.fingerprint = source.fingerprint;
        Shared { messages, ..shared }
    }
}
