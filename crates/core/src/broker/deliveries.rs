//! All deliveries of a run, with what the broker remembers of each message at each group.
//!
//! A search takes a step, looks at its result and undoes it, many times a state. So that it need not go
//! through all deliveries each time, each keeps its digest, and those that change are noted: every mutation
//! goes through [`Deliveries`], which records it.

use std::fmt;
use std::ops::Index;

use super::delivery::{Delivery, DeliveryIndex, State};
use super::undoable::{ListMark, Undoable};
use crate::store::heap_bytes_of;

/// What the broker remembers of one message at one group.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    attempts: u16,
    /// How many handlings of it changed the service's store.
    effects: u16,
    /// How many of its deliveries still have to be done.
    open: u32,
}

impl Entry {
    #[inline]
    pub(super) fn next_attempt(&mut self) -> u16 {
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// Notes that one of its deliveries, this one, is done.
    #[inline]
    pub(super) fn close(&mut self, delivery: &mut Delivery) {
        delivery.state = State::Settled;
        self.open -= 1;
    }
}

/// The deliveries of a run, in the order in which they came to be.
#[derive(Default)]
pub(super) struct Deliveries {
    list: Undoable<Delivery>,
    entries: Undoable<Entry>,
    /// Whether it is noted which of them change. No run needs that.
    is_noting: bool,
    noted: Noted,
}

/// What a search knows of deliveries.
#[derive(Clone, Default)]
struct Noted {
    /// Those whose digests are not noted yet; some may be there more than once.
    changed: Vec<DeliveryIndex>,
    /// By delivery, its part of the broker's digest, as of when that was last noted.
    digests: Undoable<u64>,
    /// Their sum.
    sum: u64,
    /// Whether any of them was replaced by another.
    has_replaced: bool,
}

/// A moment of the deliveries to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeliveriesMark {
    list: ListMark,
    entries: ListMark,
    digests: ListMark,
    sum: u64,
    has_replaced: bool,
}

/// The copy has no marks, and nothing is noted of it.
impl Clone for Deliveries {
    fn clone(&self) -> Deliveries {
        let Deliveries { list, entries, .. } = self;
        Deliveries { list: list.clone(), entries: entries.clone(), ..Deliveries::default() }
    }

    fn clone_from(&mut self, source: &Deliveries) {
        self.list.clone_from(&source.list);
        self.entries.clone_from(&source.entries);
        self.unmark();
    }
}

impl Deliveries {
    /// What they have taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        let Deliveries { list, entries, noted, .. } = self;
        list.heap_bytes() + entries.heap_bytes() + heap_bytes_of(&noted.changed) + noted.digests.heap_bytes()
    }
}

impl Noted {
    fn note(&mut self, index: DeliveryIndex) {
        // A step changes few, each of them several times in a row.
        if !self.changed.iter().rev().take(4).any(|changed| *changed == index) {
            self.changed.push(index);
        }
    }
}

/// What is noted of them is not shown: it says nothing about the run.
impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliveries").field("list", &self.list).field("entries", &self.entries).finish_non_exhaustive()
    }
}

impl Index<DeliveryIndex> for Deliveries {
    type Output = Delivery;

    #[inline(always)]
    fn index(&self, index: DeliveryIndex) -> &Delivery {
        &self.list[index.get()]
    }
}

impl Deliveries {
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.entries.clear();
        self.unmark();
    }

    #[inline]
    pub(super) fn all(&self) -> &[Delivery] {
        &self.list
    }

    /// How many messages there are for each group, taken together.
    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    /// How often a message was handed to its group or is about to be.
    pub(super) fn attempts(&self, entry: u32) -> u16 {
        self.entries[entry as usize].attempts
    }

    /// How many handlings of a message by its group changed the service's store.
    #[inline]
    pub(super) fn effects(&self, entry: u32) -> u16 {
        self.entries[entry as usize].effects
    }

    /// How many deliveries of a message to its group still have to be done.
    #[inline]
    pub(super) fn open(&self, entry: u32) -> u32 {
        self.entries[entry as usize].open
    }

    /// One more message for one more group, of which nothing is remembered yet.
    pub(super) fn add_entry(&mut self) {
        self.entries.push(Entry::default());
    }

    /// Appends a delivery, which gets its name here.
    #[inline(always)]
    pub(super) fn push(&mut self, mut delivery: Delivery) -> DeliveryIndex {
        let index = DeliveryIndex(self.list.len() as u32);
        if self.is_noting {
            self.noted.note(index);
        }
        let entry = &mut self.entries[delivery.entry as usize];
        entry.open += 1;
        delivery.rename(entry.next_attempt());
        self.list.push(delivery);
        index
    }

    /// A delivery, to be changed.
    #[inline(always)]
    pub(super) fn change(&mut self, index: DeliveryIndex) -> &mut Delivery {
        if self.is_noting {
            self.before_change(index);
        }
        self.list.unkept(index.get())
    }

    /// A delivery, to be changed, and what numbers its next attempt.
    #[inline(always)]
    pub(super) fn change_both(&mut self, index: DeliveryIndex) -> (&mut Delivery, &mut Entry) {
        if self.is_noting {
            self.before_change(index);
            self.entries.keep_if_marked(self.list[index.get()].entry as usize);
        }
        let delivery = self.list.unkept(index.get());
        let entry = self.entries.unkept(delivery.entry as usize);
        (delivery, entry)
    }

    /// Moves a delivery that is ready within the list of those, which decides nothing. It is not kept:
    /// whoever takes that list back sees which ones moved.
    #[inline(always)]
    pub(super) fn move_in_ready(&mut self, index: DeliveryIndex, place: u32) {
        self.list.unkept(index.get()).ready_at = place;
    }

    /// Notes that handling a delivery, which is not done yet, changed its service's store.
    #[inline]
    pub(super) fn note_effect(&mut self, index: DeliveryIndex) {
        let entry = self.list[index.get()].entry;
        self.entries[entry as usize].effects += 1;
        if self.is_noting {
            self.note_all_of(entry, index);
        }
    }

    /// Notes one among those that change, and keeps it as it is.
    #[cold]
    fn before_change(&mut self, index: DeliveryIndex) {
        self.noted.note(index);
        self.list.keep_if_marked(index.get());
    }

    /// Notes a delivery and what else is open of its message at its group: what is remembered of it is
    /// part of each one's digest.
    #[cold]
    fn note_all_of(&mut self, entry: u32, index: DeliveryIndex) {
        self.noted.note(index);
        if self.open(entry) > 1 {
            for (place, delivery) in (0..).zip(self.list.iter()) {
                if delivery.entry == entry {
                    self.noted.note(DeliveryIndex(place));
                }
            }
        }
    }
}

/// What a search asks for.
impl Deliveries {
    /// From now on notes what changes. What there is counts as changed.
    pub(super) fn begin_noting(&mut self) {
        if !self.is_noting {
            self.is_noting = true;
            self.noted.changed.extend((0..self.list.len() as u32).map(DeliveryIndex));
        }
    }

    /// Marks this moment, whose digests are noted.
    pub(super) fn mark(&mut self) -> DeliveriesMark {
        let Noted { digests, sum, has_replaced, .. } = &mut self.noted;
        let (list, entries, digests) = (self.list.mark(), self.entries.mark(), digests.mark());
        DeliveriesMark { list, entries, digests, sum: *sum, has_replaced: *has_replaced }
    }

    /// Goes back to the moment of a mark.
    #[inline]
    pub(super) fn rewind(&mut self, mark: DeliveriesMark) {
        self.list.rewind(mark.list);
        self.entries.rewind(mark.entries);
        self.noted.digests.rewind(mark.digests);
        self.noted.changed.clear();
        (self.noted.sum, self.noted.has_replaced) = (mark.sum, mark.has_replaced);
    }

    /// Makes the list of ready deliveries again what it was, after all else is.
    #[inline]
    pub(super) fn rewind_ready(&mut self, ready: &mut Vec<DeliveryIndex>, before: &Vec<DeliveryIndex>) {
        ready.clone_from(before);
        for (place, index) in (0..).zip(before) {
            self.list.unkept(index.get()).ready_at = place;
        }
    }

    /// Forgets all marks, and notes nothing more.
    pub(super) fn unmark(&mut self) {
        self.list.unmark();
        self.entries.unmark();
        self.is_noting = false;
        self.noted.changed.clear();
        self.noted.digests.clear();
        (self.noted.sum, self.noted.has_replaced) = (0, false);
    }

    /// Whether it was noted that any was replaced by another.
    #[inline]
    pub(super) fn has_replaced(&self) -> bool {
        self.noted.has_replaced
    }

    /// Notes that some were replaced, and all of these among those that changed.
    #[cold]
    pub(super) fn change_replaced(&mut self) {
        let Deliveries { list, noted, .. } = self;
        let is_replaced = |index: &DeliveryIndex| list[index.get()].successor.is_some();
        noted.has_replaced = true;
        noted.changed.extend((0..list.len() as u32).map(DeliveryIndex).filter(is_replaced));
    }

    /// Those whose digests are not noted yet.
    #[inline]
    pub(super) fn changed(&self) -> &[DeliveryIndex] {
        &self.noted.changed
    }

    /// The part of a delivery in the broker's digest, as it was last noted.
    #[inline]
    pub(super) fn digest(&self, index: DeliveryIndex) -> u64 {
        self.noted.digests[index.get()]
    }

    /// The sum of these.
    #[inline]
    pub(super) fn digest_sum(&self) -> u64 {
        self.noted.sum
    }

    /// Notes the part of a delivery in the broker's digest.
    #[inline]
    pub(super) fn set_digest(&mut self, index: DeliveryIndex, digest: u64) {
        let Noted { digests, sum, .. } = &mut self.noted;
        while digests.len() <= index.get() {
            digests.push(0);
        }
        let before = std::mem::replace(&mut digests[index.get()], digest);
        *sum = sum.wrapping_add(digest.wrapping_sub(before));
    }

    /// Notes that all digests are noted.
    pub(super) fn digests_noted(&mut self) {
        self.noted.changed.clear();
    }
}
