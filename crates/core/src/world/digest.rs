//! The hash of a world's state, in parts that change apart.

use super::{Job, Paused, Timer, World};
use crate::event::System;
use crate::hash;
use crate::ids::{ServiceIndex, Time};
use crate::scheduler::{Action, ClientIndex};
use crate::store::Store;

/// A world's digest, in parts: most steps change the first two at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Of the time, of the stores and of what members remember.
    pub(crate) stores: u64,
    /// The sum over what is open, what was published and what was sent.
    pub(crate) sum: u64,
    /// Of all else.
    pub(crate) rest: u64,
}

impl Digest {
    /// The digest as one word.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        hash::mix3(self.stores, self.sum, self.rest)
    }
}

/// A world in which no handler, no answer and no ack wait is under way, and no group is absent. What is
/// handled and answered in one go there changes its service's store, the deliveries of its message and
/// what is published, and nothing else if no timer is armed and nothing is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Still {
    pub(crate) digest: Digest,
    now: Time,
    /// The sum over what was published.
    log: u64,
    /// How many timers and dead deliveries there are.
    lengths: [usize; 2],
    /// How many messages there are, as every step says.
    messages: u32,
}

impl Still {
    /// Whether a step changed nothing else, given what was before it.
    pub(crate) fn has_only_handled(&self, before: &Still) -> bool {
        (self.digest.rest, self.lengths) == (before.digest.rest, before.lengths)
    }
}

/// What a judgement depends on besides the time and the store of the service whose handler ran: a bit for each
/// store that it looked at, one for how what was published is counted and by which command it was caused, and all
/// bits if it looked at more than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LookedAt(u64);

impl LookedAt {
    /// More than stores and time.
    pub(crate) const ALL: LookedAt = LookedAt(u64::MAX);

    /// The names and causes of what was published.
    pub(crate) const LOG: LookedAt = LookedAt(1 << LookedAt::STORES);
    /// How many stores have a bit.
    const STORES: usize = 62;

    /// The store of this service.
    #[inline]
    pub(crate) fn store(service: ServiceIndex) -> LookedAt {
        if service.get() < LookedAt::STORES { LookedAt(1 << service.get()) } else { LookedAt::ALL }
    }

    /// Both.
    #[inline(always)]
    pub(crate) fn and(self, other: LookedAt) -> LookedAt {
        LookedAt(self.0 | other.0)
    }

    /// Whether at more than all that has a bit.
    #[inline]
    pub(crate) fn is_further(self) -> bool {
        self == LookedAt::ALL
    }

    /// Whether at the store at this place.
    #[inline]
    pub(crate) fn has(self, place: usize) -> bool {
        place < LookedAt::STORES && self.0 >> place & 1 != 0
    }
}

/// What a delivery or a command depends on that is handled and answered in one go in a still world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handling {
    /// The service that handles it.
    pub(crate) service: ServiceIndex,
    /// The hash of its store and of what is handled.
    pub(crate) known_by: u64,
    /// The command that leads to what it publishes.
    cause: u32,
}

/// What a step in a still world changes of the digest if it only handles something: the parts that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DigestChange {
    /// The digest of its service's store.
    pub(crate) store: u64,
    /// By how much time goes on.
    pub(crate) time: u64,
    /// By how much the sum grows.
    pub(crate) sum: u64,
}

impl<S: System> World<S> {
    /// The world if it is still, given its digest.
    pub(crate) fn still(&self, digest: Digest) -> Option<Still> {
        let lengths = [self.host.timers.len(), self.broker.dead().len()];
        let messages = self.broker.messages().len() as u32;
        let is_idle = self.host.small.paused.is_empty()
            && self.host.small.acks.is_empty()
            && self.host.unpublished.is_empty()
            && self.broker.waiting().is_empty();
        let (now, log) = (self.host.small.now, self.broker.log_sum());
        // Where records are removed, a client may send although what it waited for is gone, and that is all else.
        let may_be_gone = || self.inner().has_terms && self.host.stores.iter().any(Store::has_removed);
        let is_still = is_idle && self.host.small.absent.is_empty() && !may_be_gone();
        is_still.then_some(Still { digest, now, log, lengths, messages })
    }

    /// A hash of the state: what two worlds share that will go on in the same way and be judged in
    /// the same way, whichever way they came.
    ///
    /// Attempts that changed nothing are no part of it. So two worlds that share it may differ in
    /// what [`Context::attempt`](crate::Context::attempt) tells a handler, in the names of attempts,
    /// in which of several members is next, in which of equal messages or copies a delivery is of, and
    /// in which deliveries are parked. What the last step did and which command a message is due to
    /// ([`Message::cause`](crate::broker::Message::cause)) are no part of it either.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let stores = self.host.stores.iter().map(Store::digest);
        self.digest_with(stores, self.broker.sum_digest()).word()
    }

    /// [`World::digest`] from what is noted in a world that is marked.
    pub(crate) fn noted_digest(&self) -> Digest {
        self.digest_with(self.noted_stores().iter().copied(), self.broker.noted_sum_digest())
    }

    fn digest_with(&self, stores: impl Iterator<Item = u64>, broker: u64) -> Digest {
        let sent = (0..).zip(&self.host.small.sent).map(|(client, sent)| sent_digest(ClientIndex(client), *sent));
        let sum = sent.fold(broker, u64::wrapping_add);
        Digest { stores: self.stores_digest(self.host.small.now, stores), sum, rest: self.rest_digest() }
    }

    fn stores_digest(&self, now: Time, stores: impl Iterator<Item = u64>) -> u64 {
        let stores = stores.fold(now.0, hash::mix);
        // What members remember decides what they do, as what is in their stores does.
        match self.host.small.memories.digest() {
            0 => stores,
            memories => hash::mix(stores, memories),
        }
    }

    /// The digest after something is handled in this world, which is still.
    #[inline]
    pub(crate) fn digest_after(&self, still: &Still, service: ServiceIndex, change: DigestChange) -> Digest {
        let DigestChange { store, time, sum } = change;
        let stores = self.noted_stores().iter().enumerate();
        let stores = stores.map(|(place, noted)| if place == service.get() { store } else { *noted });
        let stores = self.stores_digest(Time(still.now.0 + time), stores);
        Digest { stores, sum: still.digest.sum.wrapping_add(sum), rest: still.digest.rest }
    }

    /// What was changed by handling something in a still world, which this one was; `None` if it changed more.
    pub(crate) fn change_since(&self, before: &Still, service: ServiceIndex, digest: Digest) -> Option<DigestChange> {
        if self.host.effects.calls_off {
            return None;
        }
        let after = self.still(digest).filter(|after| after.has_only_handled(before))?;
        let store = self.noted_stores()[service.get()];
        let sum = digest.sum.wrapping_sub(before.digest.sum);
        Some(DigestChange { store, time: after.now.0 - before.now.0, sum })
    }

    /// The hash of what a judgement depends on besides what its step depends on, which handles something in a world
    /// that was still.
    #[inline]
    pub(crate) fn looked_at(&self, still: &Still, handling: Handling, looked_at: LookedAt) -> u64 {
        let other = |place: &usize| *place != handling.service.get() && looked_at.has(*place);
        let stores = self.noted_stores();
        let hash = stores.iter().enumerate().filter(|(place, _)| other(place));
        let hash = hash.fold(looked_at.0, |hash, (_, digest)| hash::mix(hash, *digest));
        let hash = hash::mix3(hash, still.now.0, still.messages.into());
        if looked_at.0 & LookedAt::LOG.0 == 0 { hash } else { hash::mix3(hash, still.log, handling.cause.into()) }
    }

    /// A hash of what decides how a run goes on besides [`World::digest`]: who may send, in which order what is open
    /// was handed out, what of it is parked and what is known to change nothing, and all that the broker's engine
    /// knows.
    pub(crate) fn digest_in_full(&self) -> u64 {
        let tick = |service: ServiceIndex| self.read_tick(service);
        let idle = self.host.small.idle.iter().fold(0u64, |sum, client| sum.wrapping_add(sent_digest(*client, 0)));
        let broker = self.broker.digest_in_full(|index| self.changes_nothing(index));
        hash::mix3(idle, broker, self.broker.digest_of_futile_for(tick))
    }

    fn rest_digest(&self) -> u64 {
        let paused = self.host.small.paused.iter().map(|paused| {
            let job = self.digest_of_job(paused);
            let published = u64::from(paused.begun.published) << 32 | u64::from(paused.begun.at.unwrap_or(0)) << 56;
            hash::mix3(job, paused.fate.whole_word() | published, paused.begun.read)
        });
        let paused = paused.fold(0u64, u64::wrapping_add);
        let live = self.host.timers.iter().filter(|(_, timer)| self.is_live(timer));
        let timers = live.map(|(due, timer)| match timer {
            Timer::AckWait { delivery, .. } => hash::mix(due.0, self.broker.digest_of(*delivery)),
            Timer::Working(index) => {
                hash::mix3(due.0, self.paused(*index).map_or(0, |paused| self.digest_of_job(paused)), 1)
            }
            // Only what is in memory dies with its member.
            Timer::Service { service, record, purpose, nth, volatile, member, .. } => {
                let held_by = if *volatile { 1 + u64::from(*member) } else { 0 };
                let name = (*service, *record, *purpose);
                let key = self.timer_key_as(timer, self.host.timers.rank(name, *nth));
                hash::mix3(due.0, key, self.host.timers.payload_digest(name, *nth).wrapping_add(held_by))
            }
        });
        let timers = timers.fold(0u64, u64::wrapping_add);
        let rest = hash::mix3(self.broker.rest_digest(), paused, timers);
        // Most worlds have none of these.
        let more = [(self.unpublished_digest(), 1), (self.host.done_outside.digest(), 2), (self.digest_of_gone(), 3)];
        more.into_iter().filter(|(hash, _)| *hash != 0).fold(rest, |rest, (hash, which)| hash::mix3(rest, hash, which))
    }

    /// The hash of what a handler handles that has not answered yet.
    fn digest_of_job(&self, paused: &Paused) -> u64 {
        match paused.job {
            Job::Delivery(index) => self.broker.digest_of(index),
            Job::Command { .. } | Job::Timer { .. } => paused.key,
        }
    }

    /// The hash of the clients that have waited for a record and may send although it was removed; 0 if there are
    /// none. Of all others stores and commands sent say whether they may.
    fn digest_of_gone(&self) -> u64 {
        if !self.inner().has_terms {
            return 0;
        }
        let idle = self.host.small.idle.iter().filter(|client| !self.finds_all(**client));
        idle.fold(0, |sum, client| sum.wrapping_add(sent_digest(*client, 3)))
    }

    /// What decides the outcome of a delivery or a command in a still world if it is handled and answered in one go
    /// by a handler that looks at its store alone.
    #[inline]
    pub(crate) fn handling(&self, action: Action) -> Option<Handling> {
        let (service, what, cause) = match action {
            Action::Deliver(index) => {
                let delivery = self.broker.delivery(index);
                let (service, what) = (self.broker.service_of_delivery(index)?, self.broker.known_by(index)?);
                (service, what, self.broker.message(delivery.message).cause)
            }
            Action::Command(client) => {
                let what = sent_digest(client, self.host.small.sent[client.get()]);
                (self.hosted_next(client)?.service, what, self.host.small.commands_run + 1)
            }
            _ => return None,
        };
        // Versions may be times.
        let time = if self.host.stores[service.get()].saves_by_time() { self.host.small.now.0 } else { 0 };
        let store = hash::mix3(service.0.into(), self.noted_stores()[service.get()], time);
        Some(Handling { service, known_by: hash::mix(store, what), cause })
    }
}

/// That a client sent so many commands.
fn sent_digest(client: ClientIndex, sent: u32) -> u64 {
    hash::mix3(client.0.into(), sent.into(), 2)
}
