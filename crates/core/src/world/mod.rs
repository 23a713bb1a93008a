//! The world of a run as one value, and the step that changes it.
//!
//! Broker, stores, clients, clock and timers are all in here; nothing is outside, so a world can be
//! cloned and continued, hashed and compared. [`World::step`] is the only thing that moves it, and
//! it does exactly what it is told: which of the enabled actions, with which fate.

mod catching;
mod clients;
mod digest;
mod execution;
mod journal;
mod names;
mod outside;
mod publishing;
mod small;
mod step;
mod taken;
mod timers;
mod working;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{Broker, DeliveryIndex, copy_few};
use crate::event::System;
use crate::faults::MemberChanges;
use crate::hash;
use crate::ids::{RecordId, ServiceIndex, Time};
use crate::scheduler::{Action, Chosen, ClientIndex, Enabled, Offer, PauseIndex};
use crate::service::{Asked, Asking, Effects, Outside, Progress, Work};
use crate::simulation::{Hosted, Inner, Simulation};
use crate::store::{Schema, Store};

pub(crate) use catching::catching;
use clients::Tried;
pub use clients::WaitingClient;
pub(crate) use digest::{Digest, DigestChange, Handling, LookedAt, Still};
use journal::Journal;
pub(crate) use journal::Mark;
#[cfg(test)]
pub(crate) use journal::tests::simulation as erratic_simulation;
use outside::DoneOutside;
use publishing::{Kept, Unpublished};
use small::Small;
pub use taken::{Actor, Answer, Step};
use timers::Timers;

/// How long a command takes, so that saves by commands have different times.
const COMMAND_TIME_US: u64 = 1_000;

/// What fires when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// The broker gives up waiting for an answer to try `tries` of a delivery.
    AckWait { delivery: DeliveryIndex, tries: u16 },
    /// A handler armed it. It has an attempt for each crash before its handler saved.
    Service {
        service: ServiceIndex,
        record: RecordId,
        /// What it is for; empty if it has no purpose.
        purpose: &'static str,
        nth: u32,
        volatile: bool,
        cause: u32,
        attempt: u16,
        /// The process whose handler armed it, with which it dies if it is volatile.
        member: u16,
    },
    /// The handler is done that works for so long. What ends at the same time ends before.
    Working(PauseIndex),
}

/// Who works: what a handler runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    Delivery(DeliveryIndex),
    Command { client: ClientIndex, ordinal: u32 },
    Timer { record: RecordId, cause: u32 },
}

/// What a handler did before it paused.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// The store's change counter when it read.
    read_at: u64,
    /// The hash of the rows it reads.
    read: u64,
    /// Whether its events are out, because its service publishes before it saves.
    published: bool,
    /// Which pause it is.
    pause: u32,
    /// Which await it was interrupted at, if it was at one.
    at: Option<u8>,
    /// The key of what it handles.
    handles: u64,
}

/// A handler that has read and will save later.
#[derive(Clone, Copy, Debug)]
struct Paused {
    index: PauseIndex,
    job: Job,
    actor: Actor,
    begun: Begun,
    fate: crate::faults::Fate,
    key: u64,
    /// The key of what it handles.
    handles: u64,
    /// How long it works.
    takes: Duration,
    /// Whether it works by now, and goes on when its timer fires.
    works: bool,
    /// How long the broker waits for its answer, if it works and the broker does.
    lease: Option<Duration>,
}

/// What there is at a moment of a run at which nothing is under way: of two that are equal nothing that is
/// judged at rest has changed between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The sum of the stores' change counters, which only grow.
    ticks: u64,
    /// How many messages were published, are open and are dead.
    lists: [u64; 3],
    sent: u32,
    timers: u32,
    absent: u32,
}

/// Everything a run consists of at one moment.
pub struct World<S: System> {
    simulation: Simulation<S>,
    broker: Broker<S::Event>,
    host: Host<S>,
    /// Whether a delivery waits until handling it once more could make a difference.
    parks_futile: bool,
    offers: Vec<Offer>,
    journal: Journal<S::Event>,
}

/// What handlers run on: all of a world that a handler may change.
struct Host<S: System> {
    stores: Vec<Store>,
    timers: Timers,
    effects: Effects<S::Event>,
    /// What the handler did that paused last.
    begun: Begun,
    /// How far the running handler comes, if it is an `async fn` that may be interrupted.
    progress: Progress,
    /// What is to be published late, in the order in which it was said.
    unpublished: Vec<Unpublished<S::Event>>,
    /// What the running handler said that is to be published late.
    kept: Option<Kept<S::Event>>,
    done_outside: DoneOutside,
    small: Small,
}

/// The copy has no marks.
impl<S: System> Clone for World<S> {
    fn clone(&self) -> World<S> {
        World {
            simulation: self.simulation.clone(),
            broker: self.broker.clone(),
            host: Host {
                stores: self.host.stores.clone(),
                timers: self.host.timers.clone(),
                effects: Effects::default(),
                begun: self.host.begun,
                progress: Progress::default(),
                unpublished: self.host.unpublished.clone(),
                kept: None,
                done_outside: self.host.done_outside.clone(),
                small: self.host.small.clone(),
            },
            offers: self.offers.clone(),
            journal: Journal::default(),
            ..*self
        }
    }

    /// Takes no new memory where what it has is enough.
    fn clone_from(&mut self, source: &World<S>) {
        let World { simulation, broker, host, parks_futile, offers, .. } = source;
        if !Arc::ptr_eq(&self.simulation.inner, &simulation.inner) {
            self.simulation.clone_from(simulation);
        }
        self.unmark();
        self.broker.clone_from(broker);
        self.host.stores.clone_from(&host.stores);
        self.host.small.clone_from(&host.small);
        self.host.timers.clone_from(&host.timers);
        copy_few(&mut self.host.unpublished, &host.unpublished);
        self.host.done_outside.clone_from(&host.done_outside);
        self.offers.clone_from(offers);
        self.host.effects.clear();
        self.parks_futile = *parks_futile;
    }
}

impl<S: System> fmt::Debug for World<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("World");
        shown.field("now", &self.host.small.now).field("steps", &self.host.small.steps);
        for (name, store) in self.simulation.service_names().zip(&self.host.stores) {
            shown.field(name, store);
        }
        shown.finish_non_exhaustive()
    }
}

impl<S: System> Simulation<S> {
    /// The world before the first step.
    #[must_use]
    pub fn world(&self) -> World<S> {
        World::new(self.clone())
    }
}

impl<S: System> World<S> {
    fn new(simulation: Simulation<S>) -> World<S> {
        let inner = &simulation.inner;
        let stores = inner.services.iter().map(|hosted| {
            let mut schema = Schema::default();
            hosted.service.collections(&mut schema);
            schema.into_store(!hosted.asked_by.is_empty())
        });
        let small = Small {
            sent: vec![0; inner.clients.len()],
            tried: vec![Tried::default(); if inner.has_terms { inner.clients.len() } else { 0 }],
            ..Small::default()
        };
        let (timers, effects, progress) = (Timers::default(), Effects::default(), Progress::default());
        let begun = Begun { read_at: 0, read: 0, published: false, pause: 0, at: None, handles: 0 };
        let (stores, unpublished, kept, done_outside) = (stores.collect(), Vec::new(), None, DoneOutside::default());
        let mut world = World {
            host: Host { stores, timers, effects, begun, progress, unpublished, kept, done_outside, small },
            broker: Broker::new(inner.profile.clone(), inner.groups.clone()),
            parks_futile: !inner.redeliver_futile,
            offers: Vec::new(),
            journal: Journal::default(),
            simulation,
        };
        world.reset();
        world
    }

    /// Goes back to the moment before the first step, keeping the memory it has.
    pub fn reset(&mut self) {
        self.unmark();
        self.host.stores.iter_mut().for_each(Store::clear);
        for (service, seed) in self.simulation.inner.seeds.iter() {
            self.host.stores[service.get()].seed(seed);
        }
        self.broker.clear();
        self.host.small.clear();
        self.host.timers.clear();
        self.offers.clear();
        self.host.effects.clear();
        self.host.unpublished.clear();
        self.host.done_outside.clear();
        self.host.small.absent.extend(self.broker.absent_groups());
        for place in 0..self.host.small.absent.len() {
            self.push_offer(Action::Join(self.host.small.absent[place]));
        }
        for client in 0..self.host.small.sent.len() as u32 {
            self.offer_next_command(ClientIndex(client));
        }
    }

    #[inline]
    fn inner(&self) -> &Inner<S> {
        &self.simulation.inner
    }
}

/// What can be seen.
impl<S: System> World<S> {
    /// The simulation it is a run of.
    #[must_use]
    pub fn simulation(&self) -> &Simulation<S> {
        &self.simulation
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> &Broker<S::Event> {
        &self.broker
    }

    /// The place of the service of that name.
    #[must_use]
    #[inline]
    pub fn service(&self, name: &str) -> Option<ServiceIndex> {
        // Properties ask at each step, most often with the very text that the service has.
        let is_text = |known: &Hosted<S>| (known.name_at, known.name.len()) == (name.as_ptr().addr(), name.len());
        let place = self.inner().services.iter().position(is_text);
        place.map(|place| ServiceIndex(place as u16)).or_else(|| self.service_spelled(name))
    }

    #[cold]
    fn service_spelled(&self, name: &str) -> Option<ServiceIndex> {
        let place = self.simulation.service_names().position(|known| known == name)?;
        Some(ServiceIndex(place as u16))
    }

    /// A service's name.
    #[must_use]
    pub fn service_name(&self, service: ServiceIndex) -> &'static str {
        self.inner().services[service.get()].name
    }

    /// A service's store.
    #[must_use]
    pub fn store(&self, service: ServiceIndex) -> &Store {
        &self.host.stores[service.get()]
    }

    /// The store of the service of that name.
    ///
    /// # Panics
    /// If there is no such service.
    #[must_use]
    #[inline]
    pub fn store_of(&self, name: &str) -> &Store {
        match self.service(name) {
            Some(service) => self.store(service),
            None => no_service(name),
        }
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.host.small.now
    }

    /// How many steps were taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.host.small.steps
    }

    /// How many commands were sent.
    #[must_use]
    pub fn commands_run(&self) -> u32 {
        self.host.small.commands_run
    }

    /// The hash of every step so far: actions, fates, answers, changes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.host.small.fingerprint
    }

    /// From now on hands out again what cannot change anything, so that the digest says everything
    /// about what may happen next.
    pub(crate) fn hand_out_futile(&mut self) {
        self.parks_futile = false;
    }

    /// What a member of a service keeps in its memory (see [`Context::memory`](crate::Context::memory));
    /// `None` if it has used none since it began or crashed, or if it is of another type.
    #[must_use]
    pub fn memory<T: 'static>(&self, service: ServiceIndex, member: u16) -> Option<&T> {
        self.host.small.memories.of((service, member))
    }

    /// Whether the handler that ran last looked at the time, at the attempt or into its memory, asked another
    /// service, or did something outside, of which others know whether they have done it.
    pub(crate) fn read_beyond_store(&self) -> bool {
        let effects = &self.host.effects;
        effects.impure || effects.acts_outside || effects.asking != Asking::Nothing
    }

    /// What the handler of a step asked other services, of the last one that was taken.
    pub(crate) fn asked_in(&self, step: &Step) -> &[Asked] {
        if step.asking == Asking::Nothing { &[] } else { &self.host.effects.asked }
    }

    /// A number that grows with each save to the store of a service, or to that of one that it asks: where it is the
    /// same, what handlers of the service read is the same.
    #[inline]
    pub(crate) fn read_tick(&self, service: ServiceIndex) -> u64 {
        let tick = self.host.stores[service.get()].tick();
        if self.inner().has_askers { self.host.read_tick(&self.inner().services[service.get()], tick) } else { tick }
    }

    /// Whether the handler that ran last committed before it was done.
    pub(crate) fn committed_between(&self) -> bool {
        self.host.effects.commits.is_some()
    }

    /// What handlers have done outside of the stores.
    pub(crate) fn outside(&self) -> &[Outside] {
        self.host.done_outside.all()
    }

    /// What a step did outside of the stores, the last one that was taken.
    pub(crate) fn outside_in(&self, step: &Step) -> &[Outside] {
        if step.acted() { self.host.done_outside.latest() } else { &[] }
    }

    /// Notes that every property held at this quiescence.
    pub(crate) fn quiescence_judged(&mut self) {
        self.host.stores.iter_mut().for_each(Store::judged);
    }

    /// How many timers of services are armed.
    #[must_use]
    pub fn timers_armed(&self) -> u32 {
        self.host.timers.of_services()
    }

    /// Whether an ack wait or the delay of a nak is running, at whose end a message comes again.
    pub(crate) fn waits_for_redelivery(&self) -> bool {
        self.host.timers.iter().any(|(_, timer)| matches!(timer, Timer::AckWait { .. }) && self.is_live(timer))
    }

    /// What may happen next.
    #[must_use]
    #[inline]
    pub fn enabled(&self) -> Enabled<'_> {
        let timer = self.host.timers.first().map(|(_, timer)| timer);
        Enabled {
            deliveries: self.broker.deliveries(),
            ready: self.broker.ready(),
            commands: &self.host.small.idle,
            paused: &self.host.small.paused_indices,
            acks: &self.host.small.acks,
            publishes: &self.host.small.publishes,
            absent: &self.host.small.absent,
            clock: timer.map(|timer| self.timer_key(timer)),
            ack_wait: match timer {
                Some(Timer::AckWait { delivery, .. }) => Some(*delivery),
                _ => None,
            },
            service_timer: self.host.timers.of_services() > 0,
            works: self.host.timers.of_handlers() > 0,
            done: self.works_until_next(timer),
        }
    }

    /// Takes the actions that became possible since it was last asked.
    #[inline]
    pub(crate) fn drain_offers(&mut self, mut hear: impl FnMut(Offer)) {
        let (broker, offers) = (&mut self.broker, &mut self.offers);
        broker.each_fresh(|index, delivery, place| {
            hear(Offer {
                action: Action::Deliver(index),
                key: delivery.key,
                lane: delivery.lane,
                place,
                again: delivery.attempt > 1,
            });
        });
        offers.iter().copied().for_each(hear);
        offers.clear();
    }

    /// An enabled action as schedulers hear of it; `None` for the clock, of which they do not.
    pub(crate) fn offer(&self, action: Action) -> Option<Offer> {
        let (key, lane, place) = match action {
            Action::Deliver(index) => {
                let delivery = self.broker.delivery(index);
                (delivery.key, delivery.lane, hash::of_name(self.broker.group_name(delivery.group)))
            }
            Action::Command(client) => return Some(self.offer_of_command(client, self.hosted_next(client)?)),
            Action::Resume(index) => {
                let paused = self.paused(index)?;
                (paused.key, paused.key, self.inner().services[paused.actor.service.get()].hash)
            }
            Action::Ack(index) => (self.ack_key(index), self.ack_key(index), self.ack_key(index)),
            Action::Join(group) => {
                let key = hash::of_name(self.broker.group_name(group));
                (key, key, key)
            }
            Action::Publish(index) => {
                let key = self.unpublished(index)?.key;
                (key, key, key)
            }
            Action::Advance => return None,
        };
        let again = matches!(action, Action::Deliver(index) if self.broker.delivery(index).attempt > 1);
        Some(Offer { action, key, lane, place, again })
    }

    fn push_offer(&mut self, action: Action) {
        let offer = self.offer(action);
        self.offers.extend(offer);
    }

    /// What a scheduler sees of an action whose fate it decides; `None` if it has no fate.
    #[must_use]
    #[inline(always)]
    pub fn chosen(&self, action: Action) -> Option<Chosen> {
        match action {
            Action::Deliver(index) => {
                let delivery = self.broker.delivery(index);
                let group = &self.inner().groups[delivery.group.get()];
                let (may_ask, changes) = (group.may_ask, self.broker.changes());
                let recognises = self.broker.recognises_at_once();
                let plain = Chosen::delivery(delivery, group.may_publish_late);
                Some(Chosen { may_ask, changes, recognises, works: group.works, awaits: group.awaits, ..plain })
            }
            Action::Command(client) => Some(self.chosen_command(client)),
            Action::Advance => self.chosen_timer(),
            _ => None,
        }
    }

    fn chosen_command(&self, client: ClientIndex) -> Chosen {
        let next = self.host.small.sent[client.get()] as usize;
        let command = &self.inner().clients[client.get()].commands[next];
        let hosted = &self.inner().services[command.service.get()];
        let may_publish_late = hosted.publishes_late[Work::Command as usize];
        let (key, may_pause) = (command.key, hosted.pauses[Work::Command as usize]);
        let plain = Chosen {
            key,
            attempt: 1,
            may_pause,
            may_publish_late,
            may_ask: !hosted.asks.is_empty(),
            may_crash: true,
            is_delivery: false,
            changes: MemberChanges::NONE,
            recognises: self.broker.recognises_at_once(),
            works: !hosted.takes[Work::Command as usize].is_zero(),
            awaits: hosted.awaits,
        };
        if command.terms.is_none() { plain } else { self.chosen_on_terms(client, command, plain) }
    }

    fn chosen_timer(&self) -> Option<Chosen> {
        let (_, timer) = self.host.timers.first()?;
        match timer {
            Timer::AckWait { .. } | Timer::Working(_) => None,
            Timer::Service { attempt, service, .. } => {
                let (key, attempt) = (self.timer_key(timer), *attempt);
                let slow = false;
                let chosen = Chosen {
                    key,
                    attempt,
                    may_pause: slow,
                    may_publish_late: slow,
                    may_ask: !self.inner().services[service.get()].asks.is_empty(),
                    may_crash: true,
                    is_delivery: false,
                    changes: MemberChanges::NONE,
                    recognises: self.broker.recognises_at_once(),
                    works: slow,
                    awaits: slow,
                };
                Some(chosen)
            }
        }
    }

    /// The command a client sends next.
    #[must_use]
    pub fn next_command(&self, client: ClientIndex) -> Option<&S::Command> {
        self.hosted_next(client).map(|hosted| &hosted.command)
    }

    /// Whether nothing is under way: no delivery is ready, no handler has begun, no ack travels, nothing is to
    /// be published late. Only commands, timers, ack waits and joins can come next.
    pub(crate) fn is_still(&self) -> bool {
        self.broker.ready().is_empty()
            && self.host.small.paused.is_empty()
            && self.host.small.acks.is_empty()
            && self.host.unpublished.is_empty()
    }

    /// What there is at a moment, to tell whether anything changed since another one of the same run.
    pub(crate) fn revision(&self) -> Revision {
        let ticks = self.host.stores.iter().fold(0u64, |sum, store| sum.wrapping_add(store.tick()));
        let broker = &self.broker;
        let lists = [broker.messages().len() as u64, broker.open_count(), broker.dead().len() as u64];
        Revision {
            ticks,
            lists,
            sent: self.host.small.commands_run,
            timers: self.host.timers.of_services(),
            absent: self.host.small.absent.len() as u32,
        }
    }

    /// Whether no delivery can change anything until a command is sent or a timer fires: nothing
    /// is ready, no handler and no ack is under way, and what waits for redelivery has shown that
    /// redelivery changes nothing and holds nothing up.
    #[must_use]
    pub fn is_quiescent(&self) -> bool {
        self.is_still()
            && self.broker.waiting().iter().all(|index| self.changes_nothing(*index))
            && (self.broker.waiting().is_empty() || !self.parks_futile || !self.broker.has_blocked())
    }

    /// Whether nothing at all can change anything any more. Clients may wait in vain then
    /// (see [`World::waiting_clients`]).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.host.small.idle.is_empty()
            && self.host.small.absent.is_empty()
            && self.host.timers.of_services() == 0
            && self.is_quiescent()
            && self.broker.waiting().iter().all(|index| self.is_futile(*index))
    }

    /// Whether a delivery need not be handed out once more, because it would have no effect.
    pub(crate) fn is_futile(&self, index: DeliveryIndex) -> bool {
        // Where redelivery ends, it ends by itself.
        !self.broker.gives_up() && self.changes_nothing(index)
    }

    /// Whether handling a delivery once more would change nothing.
    pub(super) fn changes_nothing(&self, index: DeliveryIndex) -> bool {
        match self.broker.service_of(self.broker.delivery(index).group) {
            Some(service) => self.broker.is_futile(index, self.read_tick(service)),
            None => self.broker.is_futile_for_all(index, |service| self.read_tick(service)),
        }
    }
}

#[cold]
fn no_service(name: &str) -> ! {
    panic!("there is no service `{name}`")
}
