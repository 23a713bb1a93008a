//! What a log is without some day: its end after a failure, what it is compacted of, what it has kept for long enough.
//!
//! Each group has a log of its own, of what it is subscribed to; one that has not joined yet finds out when it joins.

use std::collections::BTreeSet;

use crate::broker::delivery::{Delivery, DeliveryIndex, GroupIndex, State};
use crate::broker::{Broker, MessageIndex};
use crate::engine::{Compacts, Failure, MessageId, PartitionId, Rules, Start, Told};
use crate::event::Event;

/// What is missing in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Missing {
    /// This message, which was the last one.
    Last(MessageIndex),
    /// What had a later message of its key up to this one, in a partition.
    Outdated(PartitionId, MessageIndex),
    /// All up to this message, in a partition.
    Old(PartitionId, MessageIndex),
}

impl<E: Event> Broker<E> {
    /// Takes the last message out of the log of each group that has not been sent it. Whether there is one.
    pub(super) fn truncate(&mut self) -> bool {
        self.last_published().is_some_and(|last| self.take_out_of_logs(Missing::Last(last)))
    }

    /// Takes out of the logs, in the partition of a delivery, what a later message has taken the place of. Whether
    /// there is any.
    pub(super) fn compact(&mut self, index: DeliveryIndex) -> bool {
        let partition = self.partition_of(index);
        self.last_published().is_some_and(|last| self.take_out_of_logs(Missing::Outdated(partition, last)))
    }

    /// Takes out of the logs, in the partition of a delivery, the first message that some group is still to be sent,
    /// and all before it. Whether there is one.
    pub(super) fn expire(&mut self, index: DeliveryIndex) -> bool {
        let partition = self.partition_of(index);
        let first = self.group_indices().filter_map(|group| self.first_pending(group, partition)).min();
        first.is_some_and(|first| self.take_out_of_logs(Missing::Old(partition, first)))
    }

    /// Takes something out of the log of each group. Whether there is any of it.
    fn take_out_of_logs(&mut self, missing: Missing) -> bool {
        let mut takes = false;
        for group in self.group_indices() {
            if self.groups[group.get()].joined {
                takes |= self.take_out_of_log(group, missing);
                self.refresh(group);
            } else {
                takes |= self.would_take(group, missing);
                self.subscription(group).missing.push(missing);
            }
        }
        takes
    }

    /// Takes something out of the log of a group. Whether there is any of it.
    pub(super) fn take_out_of_log(&mut self, group: GroupIndex, missing: Missing) -> bool {
        let now = self.now;
        let told = self.missed(group, missing);
        let subscription = self.subscription(group);
        for told in &told {
            match told {
                Told::Expired(partition, upto) => subscription.log.expire_before(*partition, *upto),
                Told::Compacted(number) | Told::Failed(Failure::Lost(number)) => subscription.log.remove(*number),
                _ => {}
            }
            subscription.tell(now, told);
        }
        !told.is_empty()
    }

    /// What the engine of a group is told of what is missing.
    fn missed(&self, group: GroupIndex, missing: Missing) -> Vec<Told> {
        let subscription = self.known(group);
        let delivery = |number: MessageId| subscription.newest[number.0 as usize];
        let message = |number: MessageId| self.delivery(delivery(number)).message;
        let upto = |partition, last| {
            let messages = subscription.log.partition(partition);
            messages.partition_point(|number| message(*number) <= last)
        };
        match missing {
            Missing::Last(last) => {
                let mut numbers = (0..subscription.newest.len() as u32).map(MessageId);
                let is_unsent = |number: &MessageId| {
                    let index = delivery(*number);
                    let Delivery { state, attempt, .. } = *self.delivery(index);
                    state == State::Queued && attempt == 1 && !subscription.is_unread(index)
                };
                let of_last = numbers.rfind(|number| message(*number) == last).filter(is_unsent);
                of_last.map(|number| Told::Failed(Failure::Lost(number))).into_iter().collect()
            }
            Missing::Outdated(partition, last) => {
                let of_topic = subscription.broker.cleanup.compacts == Compacts::Subjects;
                let outdated = subscription.log.outdated(partition, upto(partition, last), of_topic);
                outdated.into_iter().map(Told::Compacted).collect()
            }
            Missing::Old(partition, last) => match upto(partition, last) as u32 {
                0 => Vec::new(),
                upto => vec![Told::Expired(partition, upto)],
            },
        }
    }

    /// Whether the log of a group that has not joined would be without something.
    fn would_take(&self, group: GroupIndex, missing: Missing) -> bool {
        if !self.gets_what_came_before(group) {
            return false;
        }
        match missing {
            Missing::Last(last) => self.is_routed(group, last),
            Missing::Outdated(partition, _) => {
                let of_topic = self.known(group).broker.cleanup.compacts == Compacts::Subjects;
                let mut known = BTreeSet::new();
                let key = |message: MessageIndex| {
                    let message = self.message(message);
                    (of_topic.then_some(message.route), message.name.record)
                };
                self.routed(group, partition).any(|message| !known.insert(key(message)))
            }
            Missing::Old(partition, last) => self.routed(group, partition).any(|message| message <= last),
        }
    }

    /// The first message in a partition that a group is going to be sent.
    fn first_pending(&self, group: GroupIndex, partition: PartitionId) -> Option<MessageIndex> {
        let subscription = self.known(group);
        if !self.groups[group.get()].joined {
            let is_there = |message: &MessageIndex| {
                let mut missing = subscription.missing.iter();
                !missing.any(|missing| matches!(missing, Missing::Old(of, last) if *of == partition && message <= last))
            };
            return self.routed(group, partition).find(is_there).filter(|_| self.gets_what_came_before(group));
        }
        let pending = subscription.engine.pending(&subscription.log).into_iter();
        let pending = pending.filter(|number| subscription.log.entry(*number).partition == partition);
        pending.map(|number| self.delivery(subscription.newest[number.0 as usize]).message).min()
    }

    /// Whether a group that joins late gets what was published before.
    fn gets_what_came_before(&self, group: GroupIndex) -> bool {
        let begins_at_end = matches!(self.known(group).rules(), Rules::Offsets(rules) if rules.start == Start::New);
        !begins_at_end && self.profile.start == Start::Earliest
    }

    /// The messages in a partition that are for a group.
    fn routed(&self, group: GroupIndex, partition: PartitionId) -> impl Iterator<Item = MessageIndex> + '_ {
        let all = (0..self.log.messages.len() as u32).map(MessageIndex);
        let is_in = move |message: &MessageIndex| {
            let record = self.message(*message).name.record;
            self.known(group).partition_of(record) == partition && self.is_routed(group, *message)
        };
        all.filter(is_in)
    }

    fn is_routed(&self, group: GroupIndex, message: MessageIndex) -> bool {
        self.routes[usize::from(self.message(message).route)].groups.contains(&group)
    }

    fn last_published(&self) -> Option<MessageIndex> {
        self.log.messages.len().checked_sub(1).map(|last| MessageIndex(last as u32))
    }

    fn partition_of(&self, index: DeliveryIndex) -> PartitionId {
        let (group, number) = self.of_engine(index);
        self.known(group).log.entry(number).partition
    }
}
