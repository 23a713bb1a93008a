//! The journal: going back to an earlier moment of a world, for searches.
//!
//! A search keeps one world. It marks a moment, tries a step, looks at the result and goes back. What is large
//! (rows, histories, messages, deliveries, queues, timers) has an undo log of its own, which is written as long
//! as there is a mark; what is small is copied when a moment is marked.

use super::publishing::Unpublished;
use super::small::Small;
use super::timers::TimersMark;
use super::{Step, World};
use crate::broker::{BrokerMark, DeliveryIndex, copy_few};
use crate::event::System;
use crate::ids::{RecordId, ServiceIndex};
use crate::store::{Store, StoreMark, heap_bytes_of};

/// A moment of a world to go back to. Marks are a stack: going back to one forgets those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark(usize);

/// What a world notes for a search.
pub(super) struct Journal<E> {
    /// The moments that are marked; those behind `marks` are there for their memory.
    moments: Vec<MarkedMoment<E>>,
    marks: usize,
    /// The digests of the stores, by service.
    stores: Vec<u64>,
}

impl<E> Default for Journal<E> {
    fn default() -> Journal<E> {
        Journal { moments: Vec::new(), marks: 0, stores: Vec::new() }
    }
}

/// A moment that is marked: where each undo log stood, and a copy of what is small.
struct MarkedMoment<E> {
    broker: BrokerMark,
    stores: Vec<StoreMark>,
    digests: Vec<u64>,
    timers: TimersMark,
    small: Small,
    unpublished: Vec<Unpublished<E>>,
    /// How much was done outside.
    done: (usize, usize),
}

impl<E> Default for MarkedMoment<E> {
    fn default() -> MarkedMoment<E> {
        let (broker, timers, small) = (BrokerMark::default(), TimersMark::default(), Small::default());
        let (stores, digests, unpublished) = (Vec::new(), Vec::new(), Vec::new());
        MarkedMoment { broker, stores, digests, timers, small, unpublished, done: (0, 0) }
    }
}

impl<E> MarkedMoment<E> {
    fn heap_bytes(&self) -> u64 {
        let stores = heap_bytes_of(&self.stores) + heap_bytes_of(&self.digests);
        self.broker.heap_bytes() + self.small.heap_bytes() + stores + heap_bytes_of(&self.unpublished)
    }
}

impl<S: System> World<S> {
    /// Marks this moment, to come back to it with [`World::rewind`]. What was offered and not heard of yet is
    /// forgotten.
    pub(crate) fn mark(&mut self) -> Mark {
        if self.journal.marks == 0 {
            self.journal.stores = self.host.stores.iter().map(Store::digest).collect();
        }
        if self.journal.moments.len() == self.journal.marks {
            self.journal.moments.push(MarkedMoment::default());
        }
        let Journal { moments, marks, stores } = &mut self.journal;
        let moment = &mut moments[*marks];
        self.broker.mark(&mut moment.broker);
        moment.stores.clear();
        moment.stores.extend(self.host.stores.iter_mut().map(Store::mark));
        moment.digests.clone_from(stores);
        moment.timers = self.host.timers.mark();
        moment.small.clone_from(&self.host.small);
        copy_few(&mut moment.unpublished, &self.host.unpublished);
        moment.done = self.host.done_outside.mark();
        self.offers.clear();
        *marks += 1;
        Mark(*marks - 1)
    }

    /// Goes back to a moment that was marked, and stays marked. So does a world in which a handler panicked.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        let Journal { moments, marks, stores } = &mut self.journal;
        assert!(mark.0 < *marks, "the moment is not marked any more");
        let moment = &moments[mark.0];
        *marks = mark.0 + 1;
        self.broker.rewind(&moment.broker);
        self.host.stores.iter_mut().zip(&moment.stores).for_each(|(store, mark)| store.rewind(*mark));
        stores.clone_from(&moment.digests);
        self.host.timers.rewind(moment.timers);
        self.host.small.clone_from(&moment.small);
        copy_few(&mut self.host.unpublished, &moment.unpublished);
        self.host.done_outside.rewind(moment.done);
        self.offers.clear();
        self.host.effects.clear();
    }

    /// Makes the world as it is the moment to which `mark` goes back, the last one that is marked.
    pub(crate) fn mark_instead(&mut self, mark: Mark) {
        debug_assert_eq!(mark.0 + 1, self.journal.marks, "there is a mark after it");
        self.journal.marks = mark.0;
        self.mark();
    }

    /// Forgets all marks.
    pub(crate) fn unmark(&mut self) {
        if self.journal.marks > 0 {
            self.journal.marks = 0;
            self.broker.unmark();
            self.host.stores.iter_mut().for_each(Store::unmark);
            self.host.timers.unmark();
        }
    }

    /// Notes the digests of what a step changed.
    pub(crate) fn note_digests(&mut self, step: &Step) {
        self.broker.note_digests();
        if let Some(actor) = step.actor.filter(|_| step.saved()) {
            self.journal.stores[actor.service.get()] = self.host.stores[actor.service.get()].digest();
        }
    }

    /// The digests of the stores as they were last noted.
    pub(super) fn noted_stores(&self) -> &[u64] {
        &self.journal.stores
    }

    /// What it has taken of memory but for its marks, in bytes: about that, and rather more than less, but
    /// for what records and events hold outside of themselves.
    pub(crate) fn bytes(&self) -> u64 {
        let stores: u64 = self.host.stores.iter().map(Store::heap_bytes).sum();
        let rest = self.host.small.heap_bytes() + heap_bytes_of(&self.offers) + self.host.timers.heap_bytes();
        size_of::<World<S>>() as u64 + self.broker.heap_bytes() + stores + rest
    }

    /// What a mark has taken of memory, in bytes.
    pub(crate) fn bytes_of(&self, mark: Mark) -> u64 {
        // Their list grows to twice as much as it needs.
        self.journal.moments.get(mark.0).map_or(0, MarkedMoment::heap_bytes)
            + 2 * size_of::<MarkedMoment<S::Event>>() as u64
    }

    /// Makes one row of a service what it was in an earlier world of the same run, and nothing else: a state
    /// that no run comes to, to ask what it takes for something to be wrong.
    pub(crate) fn put_back(&mut self, service: ServiceIndex, collection: &str, id: RecordId, earlier: &World<S>) {
        self.host.stores[service.get()].put_back(collection, id, &earlier.host.stores[service.get()]);
    }

    /// Notes that a delivery changes nothing as its service's store is.
    pub(crate) fn note_futile(&mut self, index: DeliveryIndex) {
        if let Some(service) = self.broker.service_of_delivery(index) {
            self.broker.note_futile(index, self.read_tick(service));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
