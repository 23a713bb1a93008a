//! The timers of a world: what fires, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::{Timer, World};
use crate::broker::{DeliveryIndex, State};
use crate::event::System;
use crate::hash;
use crate::ids::{RecordId, ServiceIndex, Time};
use crate::schedule::{self, TimerSpec};
use crate::service::Payload;
use crate::store::heap_bytes_of;

/// What timers of services share that are told apart by numbers: service, record and purpose.
type Name = (ServiceIndex, RecordId, &'static str);

/// Timers by the time at which they fire.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Time, Timer)>,
    /// The numbers of the services' timers that are armed, by name: a timer is called the first, the
    /// second, of those of its name.
    numbers: BTreeMap<Name, BTreeSet<u32>>,
    /// By name, the number after the largest of a timer that has fired.
    fired: BTreeMap<Name, u32>,
    /// What they carry, by name and number.
    payloads: BTreeMap<(Name, u32), Payload>,
    /// The ack waits once more, by delivery.
    ack_waits: BTreeSet<(DeliveryIndex, Time, u16)>,
    /// How many of them are services'.
    of_services: u32,
    /// How many of them are of handlers that work.
    of_handlers: u32,
    /// Whether changes are logged. No run needs that.
    is_marked: bool,
    undos: Vec<Undo>,
}

/// What undoes a change.
#[derive(Clone, Debug)]
enum Undo {
    Insertion(Time, Timer),
    Removal(Time, Timer, Option<Payload>),
    /// What `fired` said of a name before.
    Firing(Name, Option<u32>),
}

/// A moment of the timers to go back to: how long the undo log was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimersMark(usize);

/// The copy has no marks.
impl Clone for Timers {
    fn clone(&self) -> Timers {
        let Timers { by_time, numbers, fired, payloads, ack_waits, of_services, of_handlers, .. } = self;
        Timers {
            by_time: by_time.clone(),
            numbers: numbers.clone(),
            fired: fired.clone(),
            payloads: payloads.clone(),
            ack_waits: ack_waits.clone(),
            of_services: *of_services,
            of_handlers: *of_handlers,
            ..Timers::default()
        }
    }

    fn clone_from(&mut self, source: &Timers) {
        let Timers { by_time, numbers, fired, payloads, ack_waits, of_services, of_handlers, .. } = source;
        self.unmark();
        // Nearly always there are none.
        if self.by_time.is_empty() && self.fired.is_empty() && by_time.is_empty() && fired.is_empty() {
            return;
        }
        self.by_time.clone_from(by_time);
        self.numbers.clone_from(numbers);
        self.fired.clone_from(fired);
        self.payloads.clone_from(payloads);
        self.ack_waits.clone_from(ack_waits);
        (self.of_services, self.of_handlers) = (*of_services, *of_handlers);
    }
}

impl Timers {
    /// Marks this moment.
    pub(super) fn mark(&mut self) -> TimersMark {
        self.is_marked = true;
        TimersMark(self.undos.len())
    }

    /// Goes back to the moment of a mark.
    #[inline]
    pub(super) fn rewind(&mut self, mark: TimersMark) {
        if self.undos.len() > mark.0 {
            self.undo_to(mark);
        }
    }

    #[cold]
    fn undo_to(&mut self, mark: TimersMark) {
        self.is_marked = false;
        while self.undos.len() > mark.0 {
            let Some(undo) = self.undos.pop() else { break };
            match undo {
                Undo::Insertion(due, timer) => {
                    self.by_time.remove(&(due, timer));
                    self.leave(&(due, timer));
                }
                Undo::Removal(due, timer, payload) => self.insert_carrying(due, timer, payload),
                Undo::Firing(name, None) => {
                    self.fired.remove(&name);
                }
                Undo::Firing(name, Some(before)) => {
                    self.fired.insert(name, before);
                }
            }
        }
        self.is_marked = true;
    }

    /// Forgets all marks.
    pub(super) fn unmark(&mut self) {
        self.is_marked = false;
        self.undos.clear();
    }

    fn log(&mut self, undo: impl FnOnce() -> Undo) {
        if self.is_marked {
            self.undos.push(undo());
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_time.clear();
        self.numbers.clear();
        self.fired.clear();
        self.payloads.clear();
        self.ack_waits.clear();
        (self.of_services, self.of_handlers) = (0, 0);
        self.unmark();
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// How many of them are services'.
    #[inline]
    pub(super) fn of_services(&self) -> u32 {
        self.of_services
    }

    /// How many of them are of handlers that work.
    #[inline]
    pub(super) fn of_handlers(&self) -> u32 {
        self.of_handlers
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
        if is_new {
            self.log(|| Undo::Insertion(due, timer));
        }
        match timer {
            Timer::Service { service, record, purpose, nth, .. } if is_new => {
                self.numbers.entry((service, record, purpose)).or_default().insert(nth);
                self.of_services += 1;
            }
            Timer::AckWait { delivery, tries } => {
                self.ack_waits.insert((delivery, due, tries));
            }
            Timer::Working(_) if is_new => self.of_handlers += 1,
            Timer::Service { .. } | Timer::Working(_) => {}
        }
    }

    /// Inserts a timer of a service with what it carries.
    pub(super) fn insert_carrying(&mut self, due: Time, timer: Timer, payload: Option<Payload>) {
        self.insert(due, timer);
        if let (Timer::Service { service, record, purpose, nth, .. }, Some(payload)) = (timer, payload) {
            self.payloads.insert(((service, record, purpose), nth), payload);
        }
    }

    /// Takes away the first one, and what it carries.
    pub(super) fn pop_first(&mut self) -> Option<(Time, Timer, Option<Payload>)> {
        let first = self.by_time.pop_first()?;
        let payload = self.leave(&first);
        Some((first.0, first.1, payload))
    }

    /// Takes away those that are not to be kept.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Timer) -> bool) {
        let gone: Vec<(Time, Timer)> = self.by_time.iter().filter(|(_, timer)| !keeps(timer)).copied().collect();
        for entry in gone {
            self.by_time.remove(&entry);
            self.leave(&entry);
        }
    }

    /// Takes away the timers of this name that a member can reach: those in the memory of another one it
    /// cannot.
    pub(super) fn call_off(&mut self, name: (ServiceIndex, RecordId, &'static str), by: u16) {
        if self.numbers.contains_key(&name) {
            self.retain(|timer| match *timer {
                Timer::Service { service, record, purpose, volatile, member, .. } => {
                    (service, record, purpose) != name || volatile && member != by
                }
                Timer::AckWait { .. } | Timer::Working(_) => true,
            });
        }
    }

    /// Takes away the ack waits of a delivery.
    pub(super) fn end_ack_waits(&mut self, delivery: DeliveryIndex) {
        let of_delivery = (delivery, Time(0), 0)..=(delivery, Time(u64::MAX), u16::MAX);
        while let Some(&(_, due, tries)) = self.ack_waits.range(of_delivery.clone()).next() {
            let timer = Timer::AckWait { delivery, tries };
            self.by_time.remove(&(due, timer));
            self.leave(&(due, timer));
        }
    }

    /// The number of the next timer of a name: one past the largest that is armed or has fired, so that no
    /// two steps of a run are called the same.
    pub(super) fn next_number(&self, name: Name) -> u32 {
        let largest = self.numbers.get(&name).and_then(BTreeSet::last);
        let fired = self.fired.get(&name).copied().unwrap_or_default();
        largest.map_or(0, |largest| largest + 1).max(fired)
    }

    /// Notes that the timer of this name and number fires.
    pub(super) fn note_fired(&mut self, name: Name, nth: u32) {
        let before = self.fired.get(&name).copied();
        self.log(|| Undo::Firing(name, before));
        self.fired.insert(name, before.unwrap_or_default().max(nth + 1));
    }

    /// Which of those armed of its name a timer is, from 0: names go on from what has fired before, and
    /// states do not depend on that.
    pub(super) fn rank(&self, name: Name, nth: u32) -> u32 {
        self.numbers.get(&name).map_or(0, |numbers| numbers.range(..nth).count() as u32)
    }

    /// The hash of what a timer carries.
    pub(super) fn payload_digest(&self, name: Name, nth: u32) -> u64 {
        if self.payloads.is_empty() {
            return 0;
        }
        self.payloads.get(&(name, nth)).map_or(0, |payload| hash::mix(payload.digest(), 1))
    }

    /// All that is in them, in words.
    #[cfg(test)]
    pub(super) fn shown(&self) -> String {
        let Timers { by_time, numbers, fired, payloads, ack_waits, of_services, of_handlers, .. } = self;
        format!("{by_time:?} {numbers:?} {fired:?} {payloads:?} {ack_waits:?} {of_services} {of_handlers}")
    }

    /// What they have taken of the heap, in bytes: about that.
    pub(super) fn heap_bytes(&self) -> u64 {
        let by_time = self.by_time.len() * 2 * (size_of::<(Time, Timer)>() + size_of::<(Name, BTreeSet<u32>)>());
        let carried = self.payloads.len() * 2 * size_of::<((Name, u32), Payload)>();
        let fired = self.fired.len() * 2 * size_of::<(Name, u32)>();
        (by_time + carried + fired) as u64 + heap_bytes_of(&self.undos)
    }

    /// Notes that a timer is gone from those by time; returns what it carried.
    fn leave(&mut self, (due, timer): &(Time, Timer)) -> Option<Payload> {
        let payload = match *timer {
            Timer::AckWait { delivery, tries } => {
                self.ack_waits.remove(&(delivery, *due, tries));
                None
            }
            Timer::Working(_) => {
                self.of_handlers -= 1;
                None
            }
            Timer::Service { service, record, purpose, nth, .. } => {
                let name = (service, record, purpose);
                self.of_services -= 1;
                if let Some(numbers) = self.numbers.get_mut(&name) {
                    numbers.remove(&nth);
                    if numbers.is_empty() {
                        self.numbers.remove(&name);
                    }
                }
                if self.payloads.is_empty() { None } else { self.payloads.remove(&(name, nth)) }
            }
        };
        self.log(|| Undo::Removal(*due, *timer, payload.clone()));
        payload
    }
}

/// The names of timers.
impl<S: System> World<S> {
    pub(super) fn describe_timer(&self, timer: &Timer) -> String {
        match timer {
            Timer::AckWait { delivery, .. } => {
                let over = if self.broker.delivery(*delivery).state == State::Waiting { "ends" } else { "runs out" };
                format!("ack wait of {} {over}", self.broker.name(*delivery))
            }
            Timer::Service { .. } => self.timer_spec(timer).map_or_else(String::new, |timer| format!("{timer} fires")),
            Timer::Working(index) => {
                self.paused(*index).map_or_else(String::new, |done| format!("{} is done", self.describe_job(done.job)))
            }
        }
    }

    /// The name of a service's timer.
    pub(super) fn timer_spec(&self, timer: &Timer) -> Option<TimerSpec> {
        let Timer::Service { service, record, purpose, nth, attempt, .. } = *timer else { return None };
        let (service, purpose) = (self.service_name(service).to_owned(), purpose.to_owned());
        Some(TimerSpec { record, purpose, service, nth: nth + 1, attempt })
    }

    pub(super) fn timer_key(&self, timer: &Timer) -> u64 {
        match timer {
            Timer::AckWait { delivery, tries } => hash::mix3(self.broker.delivery(*delivery).key, 1, u64::from(*tries)),
            Timer::Service { nth, .. } => self.timer_key_as(timer, *nth),
            Timer::Working(index) => self.paused(*index).map_or(0, |paused| hash::mix(paused.key, 1)),
        }
    }
    /// The key of a timer if it had this number.
    pub(super) fn timer_key_as(&self, timer: &Timer, nth: u32) -> u64 {
        let Timer::Service { service, record, purpose, attempt, .. } = *timer else { return 0 };
        let hash = self.inner().services[service.get()].hash;
        schedule::timer_key(hash, (record, purpose), nth + 1, attempt)
    }
}
