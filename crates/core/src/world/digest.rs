//! The hash of a world's state, in parts that change apart.

use super::{Job, Timer, World};
use crate::event::System;
use crate::hash;
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
    /// How many timers and dead deliveries there are.
    lengths: [usize; 2],
    /// How many messages there are, as every step says.
    messages: u32,
}

impl Still {
    /// The part of it that decides what handlers do and what judges see who ask for stores and time.
    #[inline]
    pub(crate) fn decides(&self) -> u64 {
        hash::mix(self.digest.stores, self.messages.into())
    }

    /// Whether a step changed nothing else, given what was before it.
    pub(crate) fn has_only_handled(&self, before: &Still) -> bool {
        (self.digest.rest, self.lengths) == (before.digest.rest, before.lengths)
    }
}

impl<S: System> World<S> {
    /// The world if it is still, given its digest.
    pub(crate) fn still(&self, digest: Digest) -> Option<Still> {
        let lengths = [self.timers.len(), self.broker.dead().len()];
        let messages = self.broker.messages().len() as u32;
        let is_idle = self.paused.is_empty() && self.acks.is_empty() && self.broker.waiting().is_empty();
        (is_idle && self.absent.is_empty()).then_some(Still { digest, lengths, messages })
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
        let stores = self.stores.iter().map(Store::digest);
        self.digest_with(stores, self.broker.sum_digest()).word()
    }

    /// [`World::digest`] from what is noted in a world that is marked.
    pub(crate) fn noted_digest(&self) -> Digest {
        self.digest_with(self.noted_stores().iter().copied(), self.broker.noted_sum_digest())
    }

    fn digest_with(&self, stores: impl Iterator<Item = u64>, broker: u64) -> Digest {
        let sent = (0..).zip(&self.sent).map(|(client, sent)| sent_digest(ClientIndex(client), *sent));
        let stores = stores.fold(self.now.0, hash::mix);
        // What members remember decides what they do, as what is in their stores does.
        let stores = match self.memories.digest() {
            0 => stores,
            memories => hash::mix(stores, memories),
        };
        Digest { stores, sum: sent.fold(broker, u64::wrapping_add), rest: self.rest_digest() }
    }

    fn rest_digest(&self) -> u64 {
        let paused = self.paused.iter().map(|paused| {
            let job = match paused.job {
                Job::Delivery(index) => self.broker.digest_of(index),
                Job::Command { .. } | Job::Timer { .. } => paused.key,
            };
            let published = u64::from(paused.begun.published) << 32;
            hash::mix3(job, paused.fate.word() | published, paused.begun.read)
        });
        let paused = paused.fold(0u64, u64::wrapping_add);
        let live = self.timers.iter().filter(|(_, timer)| self.is_live(timer));
        let timers = live.map(|(due, timer)| match timer {
            Timer::AckWait { delivery, .. } => hash::mix(due.0, self.broker.digest_of(*delivery)),
            // Only what is in memory dies with its member.
            Timer::Service { service, record, purpose, nth, volatile, member, .. } => {
                let held_by = if *volatile { 1 + u64::from(*member) } else { 0 };
                let name = (*service, *record, *purpose);
                let key = self.timer_key_as(timer, self.timers.rank(name, *nth));
                hash::mix3(due.0, key, self.timers.payload_digest(name, *nth).wrapping_add(held_by))
            }
        });
        let timers = timers.fold(0u64, u64::wrapping_add);
        hash::mix3(self.broker.rest_digest(), paused, timers)
    }

    /// What decides the outcome of a delivery or a command in a still world, in addition to stores and time:
    /// if it is handled and answered in one go.
    #[inline]
    pub(crate) fn known_by(&self, action: Action) -> Option<u64> {
        match action {
            Action::Deliver(index) => self.broker.known_by(index),
            Action::Command(client) => Some(sent_digest(client, self.sent[client.get()])),
            _ => None,
        }
    }
}

/// That a client sent so many commands.
fn sent_digest(client: ClientIndex, sent: u32) -> u64 {
    hash::mix3(client.0.into(), sent.into(), 2)
}
