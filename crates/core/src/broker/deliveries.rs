//! All deliveries of a run, with what the broker remembers of each message at each group.
//!
//! A search takes a step, looks at its result and undoes it, many times a state. So that it need not go
//! through all deliveries each time, those that change can be noted: every mutation goes through
//! [`Deliveries`], which records it.

use std::fmt;
use std::ops::Index;

use super::delivery::{Delivery, DeliveryIndex, State};
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
    list: Vec<Delivery>,
    entries: Vec<Entry>,
    /// Whether it is noted which of them change. No run needs that.
    is_noting: bool,
    noted: Noted,
}

/// What a search knows of deliveries.
#[derive(Clone, Default)]
struct Noted {
    /// Those that changed since they were last what those of another world are, or were appended;
    /// some may be there more than once.
    touched: Vec<DeliveryIndex>,
    /// By delivery, its part of the broker's digest, as of when that was last noted.
    digests: Vec<u64>,
    /// Their sum.
    sum: u64,
    /// Whether any of them was replaced by another.
    has_replaced: bool,
}

impl Clone for Deliveries {
    fn clone(&self) -> Deliveries {
        let Deliveries { list, entries, is_noting, noted } = self;
        Deliveries { list: list.clone(), entries: entries.clone(), is_noting: *is_noting, noted: noted.clone() }
    }

    fn clone_from(&mut self, source: &Deliveries) {
        self.sync_from(source);
        self.is_noting = source.is_noting;
    }
}

impl Deliveries {
    /// What they have taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        let Deliveries { list, entries, noted, .. } = self;
        heap_bytes_of(list) + heap_bytes_of(entries) + heap_bytes_of(&noted.touched) + heap_bytes_of(&noted.digests)
    }
}

impl Noted {
    #[cold]
    fn touch(&mut self, index: DeliveryIndex) {
        if !self.touched.iter().rev().take(4).any(|touched| *touched == index) {
            self.touched.push(index);
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
        self.noted.touched.clear();
        self.noted.digests.clear();
        (self.noted.sum, self.noted.has_replaced) = (0, false);
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
        self.touch(index);
        let entry = &mut self.entries[delivery.entry as usize];
        entry.open += 1;
        delivery.rename(entry.next_attempt());
        self.list.push(delivery);
        index
    }

    /// A delivery, to be changed.
    #[inline(always)]
    pub(super) fn change(&mut self, index: DeliveryIndex) -> &mut Delivery {
        self.touch(index);
        &mut self.list[index.get()]
    }

    /// A delivery, to be changed, and what numbers its next attempt.
    #[inline(always)]
    pub(super) fn change_both(&mut self, index: DeliveryIndex) -> (&mut Delivery, &mut Entry) {
        self.touch(index);
        let delivery = &mut self.list[index.get()];
        let entry = &mut self.entries[delivery.entry as usize];
        (delivery, entry)
    }

    /// Moves a delivery that is ready within the list of those, which decides nothing. It is not noted:
    /// whoever takes that list back sees which ones moved.
    #[inline(always)]
    pub(super) fn move_in_ready(&mut self, index: DeliveryIndex, place: u32) {
        self.list[index.get()].ready_at = place;
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

    /// Notes one among those that changed.
    #[inline(always)]
    pub(super) fn touch(&mut self, index: DeliveryIndex) {
        // A step changes few, each of them several times in a row.
        if self.is_noting && self.noted.touched.last() != Some(&index) {
            self.noted.touch(index);
        }
    }

    /// Notes a delivery and what else is open of its message at its group: what is remembered of it is
    /// part of each one's digest.
    #[cold]
    fn note_all_of(&mut self, entry: u32, index: DeliveryIndex) {
        self.noted.touch(index);
        if self.open(entry) > 1 {
            for (place, delivery) in (0..).zip(&self.list) {
                if delivery.entry == entry {
                    self.noted.touch(DeliveryIndex(place));
                }
            }
        }
    }
}

/// What a search asks for.
impl Deliveries {
    /// From now on notes what changes. What there is counts as changed.
    pub(super) fn begin_noting(&mut self) {
        self.is_noting = true;
        self.noted.touched.clear();
        self.noted.touched.extend((0..self.list.len() as u32).map(DeliveryIndex));
    }

    /// Whether it was noted that any was replaced by another.
    #[inline]
    pub(super) fn has_replaced(&self) -> bool {
        self.noted.has_replaced
    }

    /// Notes that some were replaced, and touches all of these.
    #[cold]
    pub(super) fn touch_replaced(&mut self) {
        let Deliveries { list, noted, .. } = self;
        let is_replaced = |index: &DeliveryIndex| list[index.get()].successor.is_some();
        noted.has_replaced = true;
        noted.touched.extend((0..list.len() as u32).map(DeliveryIndex).filter(is_replaced));
    }

    /// Those that changed.
    #[inline]
    pub(super) fn touched(&self) -> &[DeliveryIndex] {
        &self.noted.touched
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
        if digests.len() <= index.get() {
            digests.resize(self.list.len(), 0);
        }
        let before = std::mem::replace(&mut digests[index.get()], digest);
        *sum = sum.wrapping_add(digest.wrapping_sub(before));
    }

    /// Becomes a copy of the deliveries of another world, whichever that is.
    pub(super) fn sync_from(&mut self, source: &Deliveries) {
        self.list.clone_from(&source.list);
        self.entries.clone_from(&source.entries);
        self.noted.touched.clear();
        self.noted.digests.clone_from(&source.noted.digests);
        (self.noted.sum, self.noted.has_replaced) = (source.noted.sum, source.noted.has_replaced);
    }

    /// Becomes again what those of another world are, from which it differs in what is touched and in
    /// what was appended.
    #[inline(always)]
    pub(super) fn undo_step(&mut self, source: &Deliveries) {
        let Deliveries { list, entries, noted, .. } = self;
        for index in noted.touched.drain(..) {
            let delivery = &mut list[index.get()];
            let entry = delivery.entry as usize;
            if let Some(before) = source.entries.get(entry) {
                entries[entry] = *before;
            }
            if let Some(before) = source.list.get(index.get()) {
                *delivery = *before;
                noted.digests[index.get()] = source.noted.digests[index.get()];
            }
        }
        list.truncate(source.list.len());
        entries.truncate(source.entries.len());
        noted.digests.truncate(source.list.len());
        (noted.sum, noted.has_replaced) = (source.noted.sum, source.noted.has_replaced);
    }

    /// Makes the list of ready deliveries again what it was, after what was touched is.
    #[inline(always)]
    pub(super) fn undo_ready(&mut self, ready: &mut Vec<DeliveryIndex>, source: &[DeliveryIndex]) {
        ready.truncate(source.len());
        for (place, (held, before)) in (0..).zip(ready.iter_mut().zip(source)) {
            if held != before {
                *held = *before;
                self.list[before.get()].ready_at = place;
            }
        }
        for before in &source[ready.len()..] {
            self.list[before.get()].ready_at = ready.len() as u32;
            ready.push(*before);
        }
    }

    /// After two worlds changed places, of which one came from the other: both differ in what that
    /// step touched, and the one that was there before differs from a third one in `other`'s besides.
    pub(super) fn swap_noted(&mut self, other: &mut Deliveries) {
        let (here, there) = (&mut self.noted, &mut other.noted);
        there.touched.extend_from_slice(&here.touched);
        std::mem::swap(&mut here.touched, &mut there.touched);
    }
}
