//! Going back to an earlier moment of a broker, and what a search need not work out again.

use std::collections::BTreeMap;

use super::message::LogMark;
use super::queue::Group;
use super::undoable::ListMark;
use super::{Broker, DeliveryIndex};
use crate::broker::deliveries::DeliveriesMark;
use crate::event::Event;
use crate::hash;
use crate::ids::{ServiceIndex, Time};
use crate::store::heap_bytes_of;

/// A moment of a broker to go back to: how far its undo logs were, and a copy of what is small.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrokerMark {
    routes: usize,
    log: LogMark,
    groups: ListMark,
    deliveries: DeliveriesMark,
    transactions: ListMark,
    ready: Vec<DeliveryIndex>,
    waiting: Vec<DeliveryIndex>,
    dead: Vec<DeliveryIndex>,
    dead_lettered: usize,
    futile_for: BTreeMap<(DeliveryIndex, ServiceIndex), u64>,
    open: u64,
    burst: usize,
    now: Time,
}

impl BrokerMark {
    /// What it has taken of the heap, in bytes.
    pub(crate) fn heap_bytes(&self) -> u64 {
        [&self.ready, &self.waiting, &self.dead].map(heap_bytes_of).iter().sum::<u64>() + futile_bytes(&self.futile_for)
    }
}

impl<E: Event> Broker<E> {
    /// What it has taken of the heap, in bytes: about that, and rather more than less.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let lists = [&self.ready, &self.fresh, &self.waiting, &self.dead].map(heap_bytes_of);
        let groups = self.groups.iter().map(Group::heap_bytes).sum::<u64>() + self.groups.heap_bytes();
        let rest = lists.iter().sum::<u64>() + futile_bytes(&self.futile_for);
        self.log.heap_bytes() + self.deliveries.heap_bytes() + rest + groups + self.transactions.heap_bytes()
    }

    /// Marks this moment, in memory that may have been another mark's.
    pub(crate) fn mark(&mut self, mark: &mut BrokerMark) {
        self.deliveries.begin_noting();
        self.note_digests();
        self.fresh.clear();
        (mark.routes, mark.log) = (self.routes.len(), self.log.mark());
        (mark.groups, mark.deliveries) = (self.groups.mark(), self.deliveries.mark());
        mark.transactions = self.transactions.mark();
        mark.ready.clone_from(&self.ready);
        copy_few(&mut mark.waiting, &self.waiting);
        copy_few(&mut mark.dead, &self.dead);
        copy_few_of(&mut mark.futile_for, &self.futile_for);
        (mark.open, mark.burst, mark.now) = (self.open, self.burst, self.now);
        mark.dead_lettered = self.dead_lettered;
    }

    /// Goes back to the moment of a mark.
    #[inline]
    pub(crate) fn rewind(&mut self, mark: &BrokerMark) {
        self.routes.truncate(mark.routes);
        self.log.rewind(mark.log);
        self.groups.rewind(mark.groups);
        self.deliveries.rewind(mark.deliveries);
        self.transactions.rewind(mark.transactions);
        self.deliveries.rewind_ready(&mut self.ready, &mark.ready);
        self.fresh.clear();
        self.waits.clear();
        copy_few(&mut self.waiting, &mark.waiting);
        copy_few(&mut self.dead, &mark.dead);
        copy_few_of(&mut self.futile_for, &mark.futile_for);
        (self.open, self.burst, self.now) = (mark.open, mark.burst, mark.now);
        self.dead_lettered = mark.dead_lettered;
    }

    /// Forgets all marks.
    pub(crate) fn unmark(&mut self) {
        self.groups.unmark();
        self.deliveries.unmark();
        self.transactions.unmark();
    }

    /// Notes the digests of what changed.
    #[inline(always)]
    pub(crate) fn note_digests(&mut self) {
        let mut has_replaced = self.deliveries.has_replaced();
        for place in 0..self.deliveries.changed().len() {
            let index = self.deliveries.changed()[place];
            let (digest, is_replaced) = self.part_in_digest(index);
            self.deliveries.set_digest(index, digest);
            has_replaced |= is_replaced;
        }
        if has_replaced {
            // What replaces a delivery is part of its digest.
            self.deliveries.change_replaced();
            for place in 0..self.deliveries.changed().len() {
                let index = self.deliveries.changed()[place];
                self.deliveries.set_digest(index, self.part_in_digest(index).0);
            }
        }
        self.deliveries.digests_noted();
    }

    /// The part of an open delivery in [`Broker::digest`], as it was last noted.
    #[inline]
    pub(crate) fn noted_digest_of(&self, index: DeliveryIndex) -> u64 {
        self.deliveries.digest(index)
    }

    /// [`Broker::sum_digest`] from what is noted.
    #[inline]
    pub(crate) fn noted_sum_digest(&self) -> u64 {
        self.sum_with(self.deliveries.digest_sum())
    }

    /// The sum over what was published.
    pub(crate) fn log_sum(&self) -> u64 {
        self.log.sum()
    }

    /// What of the broker decides the outcome of a delivery that is handled and answered in one step; given that
    /// no handler and no answer is under way.
    #[inline]
    pub(crate) fn known_by(&self, index: DeliveryIndex) -> Option<u64> {
        let delivery = self.delivery(index);
        // Else it depends on what is in flight, or on when the broker gives up.
        if !delivery.is_ready() || delivery.counts || !self.at_once {
            return None;
        }
        // All copies of a message are alike then but for this, and their number says all about the others.
        let copies = u64::from(self.copies(index)) << 1 | u64::from(delivery.duplicate);
        (self.tries_that_count == 0).then(|| hash::mix(self.noted_digest_of(index), copies))
    }
}

fn futile_bytes(futile_for: &BTreeMap<(DeliveryIndex, ServiceIndex), u64>) -> u64 {
    (2 * futile_for.len() * size_of::<((DeliveryIndex, ServiceIndex), u64)>()) as u64
}

/// Copies what nearly always is empty.
#[inline]
pub(crate) fn copy_few<T: Clone>(few: &mut Vec<T>, source: &Vec<T>) {
    if !(few.is_empty() && source.is_empty()) {
        few.clone_from(source);
    }
}

#[inline]
fn copy_few_of<K: Clone + Ord, V: Clone + PartialEq>(few: &mut BTreeMap<K, V>, source: &BTreeMap<K, V>) {
    if !(few.is_empty() && source.is_empty()) && *few != *source {
        few.clone_from(source);
    }
}
