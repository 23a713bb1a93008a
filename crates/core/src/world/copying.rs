//! Copying one world onto another, skipping parts known to be equal, and undoing one step.
//!
//! A search makes a world from the one before it for every step it tries. Of what is large (rows,
//! histories, messages) a step changes little, so only that is copied; the rest is copied whole. Where
//! only one step lies between the two, what it changed is known and undone.

use super::World;
use crate::broker::{DeliveryIndex, copy_few};
use crate::event::System;
use crate::ids::{RecordId, ServiceIndex};
use crate::store::{Store, heap_bytes_of};

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

/// Some of the stores of a world: a bit for each, which another one may have as well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreBits(u64);

impl StoreBits {
    pub(crate) const NONE: StoreBits = StoreBits(0);

    pub(crate) fn of(service: ServiceIndex) -> StoreBits {
        StoreBits(1 << (service.get() % 64))
    }

    pub(crate) fn and(self, other: StoreBits) -> StoreBits {
        StoreBits(self.0 | other.0)
    }

    fn has(self, place: usize) -> bool {
        self.0 >> (place % 64) & 1 != 0
    }
}

fn bit(place: usize) -> u64 {
    u32::try_from(place).ok().and_then(|place| 1u64.checked_shl(place)).unwrap_or(0)
}

impl<S: System> World<S> {
    /// Becomes a copy of `source`, with which it has `shared` in common; returns what it still has in
    /// common with what it was. What was offered since it was last asked is not copied.
    pub(crate) fn sync_from(&mut self, source: &World<S>, shared: Shared) -> Shared {
        if shared == Shared::NOTHING {
            self.clone_from(source);
            self.offers.clear();
            return Shared::NOTHING;
        }
        let messages = self.broker.sync_from(&source.broker, shared.messages);
        for (place, (store, source)) in self.stores.iter_mut().zip(&source.stores).enumerate() {
            if shared.has_store(place) {
                store.sync_from(source);
            } else {
                store.clone_from(source);
            }
        }
        self.sync_rest(source);
        Shared { messages, ..shared }
    }

    /// Becomes a copy of `source`, from which it came by one step or with which it changed places
    /// since (see [`World::swap`]), by putting back what changed. Of the stores only these did.
    #[inline]
    pub(crate) fn undo_step(&mut self, source: &World<S>, stores: StoreBits) {
        self.broker.undo_step(&source.broker);
        for (place, (store, source)) in self.stores.iter_mut().zip(&source.stores).enumerate() {
            if stores.has(place) {
                store.undo_step(source);
            }
        }
        self.sync_rest(source);
    }

    /// Changes places with a world that came from it by one step. Says whether each can still be made
    /// the other one by putting back what changed: not if one has more deliveries.
    pub(crate) fn swap(&mut self, later: &mut World<S>) -> bool {
        std::mem::swap(self, later);
        self.broker.swap_noted(&mut later.broker);
        let lists = |world: &World<S>| (world.broker.messages().len(), world.broker.deliveries().len());
        lists(self) == lists(later)
    }

    /// What it has taken of memory, in bytes: about that, and rather more than less, but for what records
    /// and events hold outside of themselves.
    pub(crate) fn bytes(&self) -> u64 {
        let stores: u64 = self.stores.iter().map(Store::heap_bytes).sum();
        let lists = heap_bytes_of(&self.sent) + heap_bytes_of(&self.idle) + heap_bytes_of(&self.acks);
        let paused = heap_bytes_of(&self.paused) + heap_bytes_of(&self.paused_indices);
        let rest = heap_bytes_of(&self.absent) + heap_bytes_of(&self.offers) + self.timers.heap_bytes();
        let rest = rest + self.memories.heap_bytes();
        size_of::<World<S>>() as u64 + self.broker.heap_bytes() + stores + lists + paused + rest
    }

    /// Copies what is small.
    #[inline(always)]
    fn sync_rest(&mut self, source: &World<S>) {
        self.sent.iter_mut().zip(&source.sent).for_each(|(sent, source)| *sent = *source);
        copy_few(&mut self.idle, &source.idle);
        copy_few(&mut self.waiting, &source.waiting);
        copy_few(&mut self.tried, &source.tried);
        copy_few(&mut self.paused, &source.paused);
        copy_few(&mut self.paused_indices, &source.paused_indices);
        copy_few(&mut self.acks, &source.acks);
        copy_few(&mut self.absent, &source.absent);
        self.timers.clone_from(&source.timers);
        self.memories.clone_from(&source.memories);
        self.offers.clear();
        self.effects.clear();
        self.pauses = source.pauses;
        self.parks_futile = source.parks_futile;
        (self.now, self.steps, self.commands_run) = (source.now, source.steps, source.commands_run);
        self.fingerprint = source.fingerprint;
    }

    /// Makes one row of a service what it was in an earlier world of the same run, and nothing else: a state
    /// that no run comes to, to ask what it takes for something to be wrong.
    pub(crate) fn put_back(&mut self, service: ServiceIndex, collection: &str, id: RecordId, earlier: &World<S>) {
        self.stores[service.get()].put_back(collection, id, &earlier.stores[service.get()]);
    }

    /// From now on notes what changes, for a search.
    pub(crate) fn begin_noting(&mut self) {
        self.broker.begin_noting();
    }

    /// Notes the digests of what changed.
    pub(crate) fn note_digests(&mut self) {
        self.broker.note_digests();
    }

    /// Notes that a delivery changes nothing as its service's store is.
    pub(crate) fn note_futile(&mut self, index: DeliveryIndex) {
        if let Some(service) = self.broker.service_of_delivery(index) {
            self.broker.note_futile(index, self.stores[service.get()].tick());
        }
    }

    /// Notes a delivery among those that changed.
    pub(crate) fn touch(&mut self, index: DeliveryIndex) {
        self.broker.touch(index);
    }
}
