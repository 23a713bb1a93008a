//! Copying one broker onto another, undoing one step, and what a search need not work out again.

use super::queue::{Group, Route};
use super::{Broker, DeliveryIndex};
use crate::event::Event;
use crate::hash;
use crate::ids::ServiceIndex;
use crate::store::heap_bytes_of;

impl<E: Event> Broker<E> {
    /// What it has taken of the heap, in bytes: about that, and rather more than less.
    pub(crate) fn heap_bytes(&self) -> u64 {
        let lists = [&self.ready, &self.fresh, &self.waiting, &self.dead].map(heap_bytes_of);
        let futile = (2 * self.futile_for.len() * size_of::<((DeliveryIndex, ServiceIndex), u64)>()) as u64;
        let groups: u64 = self.groups.iter().map(Group::heap_bytes).sum();
        self.log.heap_bytes() + self.deliveries.heap_bytes() + lists.iter().sum::<u64>() + futile + groups
    }

    /// Becomes a copy of the broker of another world of the same simulation, whose log begins with
    /// the same `shared` messages; returns how many messages stayed where they were. What became
    /// ready since it was last asked is not copied.
    pub(crate) fn sync_from(&mut self, source: &Broker<E>, shared: usize) -> usize {
        // Only subjects nobody listens to come in a run, one behind the other.
        if !routes_of(&self.routes).eq(routes_of(&source.routes)) {
            self.routes.clone_from(&source.routes);
        }
        let kept = self.log.sync_from(&source.log, shared);
        self.deliveries.sync_from(&source.deliveries);
        self.ready.clone_from(&source.ready);
        self.sync_groups(source);
        self.sync_rest(source);
        kept
    }

    /// Becomes a copy of the broker that it came from by one step, or that came from it by a step that
    /// changed nothing but what is noted: what changed is put back.
    #[inline]
    pub(crate) fn undo_step(&mut self, source: &Broker<E>) {
        if self.routes.len() > source.routes.len() {
            self.routes.truncate(source.routes.len());
        }
        self.log.undo_step(&source.log);
        self.deliveries.undo_step(&source.deliveries);
        self.deliveries.undo_ready(&mut self.ready, &source.ready);
        if self.groups.take() {
            self.sync_groups(source);
        }
        self.sync_rest(source);
    }

    fn sync_groups(&mut self, source: &Broker<E>) {
        self.groups.iter_mut().zip(source.groups.iter()).for_each(|(group, source)| group.sync_from(source));
        self.groups.take();
    }

    /// Copies what is small.
    #[inline(always)]
    fn sync_rest(&mut self, source: &Broker<E>) {
        let Broker { profile: _, has_shared: _, at_once: _, fresh: _, routes: _, log: _, deliveries: _, .. } = source;
        let Broker { groups: _, ready: _, waiting, dead, futile_for, open, burst, .. } = source;
        self.fresh.clear();
        copy_few(&mut self.waiting, waiting);
        copy_few(&mut self.dead, dead);
        if !(self.futile_for.is_empty() && futile_for.is_empty()) && self.futile_for != *futile_for {
            self.futile_for.clone_from(futile_for);
        }
        (self.open, self.burst) = (*open, *burst);
    }

    /// From now on notes what changes, for a search.
    pub(crate) fn begin_noting(&mut self) {
        self.deliveries.begin_noting();
        self.note_digests();
    }

    /// Notes the digests of what changed.
    #[inline(always)]
    pub(crate) fn note_digests(&mut self) {
        let mut has_replaced = self.deliveries.has_replaced();
        for place in 0..self.deliveries.touched().len() {
            let index = self.deliveries.touched()[place];
            let (digest, is_replaced) = self.part_in_digest(index);
            self.deliveries.set_digest(index, digest);
            has_replaced |= is_replaced;
        }
        if has_replaced {
            // What replaces a delivery is part of its digest.
            self.deliveries.touch_replaced();
            for place in 0..self.deliveries.touched().len() {
                let index = self.deliveries.touched()[place];
                self.deliveries.set_digest(index, self.part_in_digest(index).0);
            }
        }
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

    /// Notes a delivery among those that changed.
    pub(crate) fn touch(&mut self, index: DeliveryIndex) {
        self.deliveries.touch(index);
    }

    /// What of the broker decides the outcome of a delivery on the fast path; given that
    /// no handler and no answer is under way.
    #[inline]
    pub(crate) fn known_by(&self, index: DeliveryIndex) -> Option<u64> {
        let delivery = self.delivery(index);
        if !delivery.is_ready() || !self.groups[delivery.group.get()].plain {
            return None;
        }
        // All copies of a message are alike then but for this, and their number says all about the others.
        let copies = u64::from(self.copies(index)) << 1 | u64::from(delivery.duplicate);
        (self.tries_that_count == 0).then(|| hash::mix(self.noted_digest_of(index), copies))
    }

    /// After two brokers changed places, of which one came from the other by a step.
    pub(crate) fn swap_noted(&mut self, other: &mut Broker<E>) {
        self.deliveries.swap_noted(&mut other.deliveries);
        self.groups.swap_noted(&mut other.groups);
    }
}

/// Copies what nearly always is empty.
#[inline]
pub(crate) fn copy_few<T: Clone>(few: &mut Vec<T>, source: &Vec<T>) {
    if !(few.is_empty() && source.is_empty()) {
        few.clone_from(source);
    }
}

fn routes_of(routes: &[Route]) -> impl Iterator<Item = u64> + '_ {
    routes.iter().map(|route| route.subject.hash())
}
