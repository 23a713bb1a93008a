//! The timers of a world: what fires, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::Timer;
use crate::broker::DeliveryIndex;
use crate::ids::{RecordId, ServiceIndex, Time};

/// Timers by the time at which they fire.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Time, Timer)>,
    /// The numbers of the services' timers that are armed, by service and record: a timer is called the
    /// first, the second, of those of its record.
    numbers: BTreeMap<(ServiceIndex, RecordId), BTreeSet<u32>>,
    /// The ack waits once more, by delivery.
    ack_waits: BTreeSet<(DeliveryIndex, Time, u16)>,
    /// How many of them are services'.
    of_services: u32,
}

impl Clone for Timers {
    fn clone(&self) -> Timers {
        let Timers { by_time, numbers, ack_waits, of_services } = self;
        Timers {
            by_time: by_time.clone(),
            numbers: numbers.clone(),
            ack_waits: ack_waits.clone(),
            of_services: *of_services,
        }
    }

    /// Nearly always there are the same ones: none, or those that were there before.
    fn clone_from(&mut self, source: &Timers) {
        if !(self.is_empty() && source.is_empty()) && self.by_time != source.by_time {
            *self = source.clone();
        }
    }
}

impl Timers {
    pub(super) fn clear(&mut self) {
        self.by_time.clear();
        self.numbers.clear();
        self.ack_waits.clear();
        self.of_services = 0;
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// How many of them are services'.
    #[inline]
    pub(super) fn of_services(&self) -> u32 {
        self.of_services
    }

    /// The one that fires first, and when.
    #[inline]
    pub(super) fn first(&self) -> Option<&(Time, Timer)> {
        self.by_time.first()
    }

    /// All of them, what fires first first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Time, Timer)> {
        self.by_time.iter()
    }

    pub(super) fn insert(&mut self, due: Time, timer: Timer) {
        let is_new = self.by_time.insert((due, timer));
        match timer {
            Timer::Service { service, record, nth, .. } if is_new => {
                self.numbers.entry((service, record)).or_default().insert(nth);
                self.of_services += 1;
            }
            Timer::AckWait { delivery, tries } => {
                self.ack_waits.insert((delivery, due, tries));
            }
            Timer::Service { .. } => {}
        }
    }

    pub(super) fn pop_first(&mut self) -> Option<(Time, Timer)> {
        let first = self.by_time.pop_first()?;
        self.leave(&first);
        Some(first)
    }

    /// Takes away those that are not to be kept.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Timer) -> bool) {
        let gone: Vec<(Time, Timer)> = self.by_time.iter().filter(|(_, timer)| !keeps(timer)).copied().collect();
        for entry in gone {
            self.by_time.remove(&entry);
            self.leave(&entry);
        }
    }

    /// Takes away the ack waits of a delivery.
    pub(super) fn end_ack_waits(&mut self, delivery: DeliveryIndex) {
        let of_delivery = (delivery, Time(0), 0)..=(delivery, Time(u64::MAX), u16::MAX);
        while let Some(&(_, due, tries)) = self.ack_waits.range(of_delivery.clone()).next() {
            self.by_time.remove(&(due, Timer::AckWait { delivery, tries }));
            self.ack_waits.remove(&(delivery, due, tries));
        }
    }

    /// The number of the next timer of a service about a record: one past the largest, not the count,
    /// because an earlier twin may have fired already.
    pub(super) fn next_number(&self, service: ServiceIndex, record: RecordId) -> u32 {
        let largest = self.numbers.get(&(service, record)).and_then(BTreeSet::last);
        largest.map_or(0, |largest| largest + 1)
    }

    /// What they have taken of the heap, in bytes: about that.
    pub(super) fn heap_bytes(&self) -> u64 {
        (self.by_time.len() * 2 * (size_of::<(Time, Timer)>() + size_of::<(RecordId, BTreeSet<u32>)>())) as u64
    }

    fn leave(&mut self, (due, timer): &(Time, Timer)) {
        match *timer {
            Timer::AckWait { delivery, tries } => {
                self.ack_waits.remove(&(delivery, *due, tries));
            }
            Timer::Service { service, record, nth, .. } => {
                self.of_services -= 1;
                if let Some(numbers) = self.numbers.get_mut(&(service, record)) {
                    numbers.remove(&nth);
                    if numbers.is_empty() {
                        self.numbers.remove(&(service, record));
                    }
                }
            }
        }
    }
}
