//! Transactions of members: what a handler publishes is out when its commit is taken, and only then.
//!
//! Kafka's read-process-write, for consumers that read what is committed. What a service saves is outside of it.

use super::delivery::DeliveryIndex;
use super::subscription::Subscription;
use super::undoable::ListMark;
use super::{Broker, Consumer, Profile, Reply};
use crate::broker::delivery::Delivery;
use crate::broker::undoable::Undoable;
use crate::engine::Rules;
use crate::event::Event;
use crate::hash;

/// What members have published in transactions.
#[derive(Clone, Debug)]
pub(super) struct Transactions<E> {
    /// Each with the delivery it is about; of those that are over nothing is left.
    list: Undoable<(DeliveryIndex, Vec<E>)>,
    /// Whether there can be any.
    are_used: bool,
}

impl<E: Event> Transactions<E> {
    pub(super) fn at(profile: &Profile) -> Transactions<E> {
        Transactions { list: Undoable::default(), are_used: profile.has_transactions() }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    pub(super) fn mark(&mut self) -> ListMark {
        self.list.mark()
    }

    pub(super) fn rewind(&mut self, mark: ListMark) {
        self.list.rewind(mark);
    }

    pub(super) fn unmark(&mut self) {
        self.list.unmark();
    }

    /// What they have taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        self.list.heap_bytes()
    }

    /// Those that are under way.
    fn open(&self) -> impl Iterator<Item = &(DeliveryIndex, Vec<E>)> {
        self.list.iter().filter(|(_, events)| !events.is_empty())
    }

    /// Ends those of a delivery; what was published in them.
    fn end(&mut self, index: DeliveryIndex) -> Vec<E> {
        let mut all = Vec::new();
        for place in 0..self.list.len() {
            if self.list[place].0 == index && !self.list[place].1.is_empty() {
                self.list.keep_if_marked(place);
                all.append(&mut self.list.unkept(place).1);
            }
        }
        all
    }
}

impl Profile {
    /// Whether what a handler publishes is out only if its commit is taken.
    pub(crate) fn has_transactions(&self) -> bool {
        let engine = self.engine.as_ref();
        engine.is_some_and(|engine| matches!(&engine.rules, Rules::Offsets(rules) if rules.transactions))
    }
}

impl<E: Event> Broker<E> {
    /// Keeps what a handler has said until its commit is taken, if it is published in a transaction; if there is to be
    /// no commit, it is gone.
    #[inline]
    pub(super) fn keep_in_transaction(&mut self, index: DeliveryIndex, reply: Reply, consumer: &mut impl Consumer<E>) {
        if !self.transactions.are_used || !consumer.publishes_itself() {
            return;
        }
        let events = std::mem::take(consumer.outbox());
        if matches!(reply, Reply::Ack | Reply::LateAck | Reply::NotYet) {
            self.transactions.list.push((index, events));
        }
    }

    /// A commit arrives: what was published with it is out, unless it is refused.
    pub(super) fn commit_transaction(&mut self, index: DeliveryIndex) {
        if !self.transactions.are_used {
            return;
        }
        let mut events = self.transactions.end(index);
        let Delivery { group, message, .. } = *self.delivery(index);
        let is_taken = self.groups[group.get()].subscription.as_ref().is_some_and(|at| self.takes_commit(at, index));
        if is_taken && !events.is_empty() {
            let cause = self.message(message).cause;
            self.publish(&mut events, cause);
        }
    }

    fn takes_commit(&self, subscription: &Subscription, index: DeliveryIndex) -> bool {
        let Delivery { unit, member, tries, .. } = *self.delivery(index);
        subscription.takes_commit(unit, member, tries)
    }

    /// There will be no commit: what was published with it is gone.
    pub(super) fn abort_transaction(&mut self, index: DeliveryIndex) {
        if self.transactions.are_used {
            self.transactions.end(index);
        }
    }

    /// A hash of what is published in transactions that are under way; 0 if nothing is.
    pub(super) fn transactions_digest(&self) -> u64 {
        self.transactions.open().fold(0, |sum, (index, events)| {
            let said = events.iter().fold(self.digest_of(*index), |hash, event| hash::mix(hash, hash::of(event)));
            sum.wrapping_add(said)
        })
    }
}
