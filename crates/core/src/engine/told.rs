//! The words between an engine and the world.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::wait::Wait;

/// A message, by its place in the order of publishing, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageId(pub u32);

/// A member of a subscription: a process that consumes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MemberId(pub u16);

/// A topic: a subject, a channel, a routing key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TopicId(pub u16);

/// A key that messages have in common: an ordering key, a message group, a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyId(pub u32);

/// A partition of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionId(pub u16);

/// What the log has of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// Its topic.
    pub topic: TopicId,
    /// Its key.
    pub key: KeyId,
    /// Its partition.
    pub partition: PartitionId,
}

/// Everything that was published, in order, and what of it is not there any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Log {
    entries: Vec<Entry>,
    partitions: Vec<Vec<MessageId>>,
    /// What was lost, compacted away or deleted. The positions of all others stay as they are.
    gone: BTreeSet<MessageId>,
    /// By partition, how many messages come before its beginning; none where nothing is said.
    begins: Vec<u32>,
}

impl Log {
    /// Appends a message, and says which one it is.
    ///
    /// # Panics
    /// If it has 4,294,967,295 already.
    pub fn append(&mut self, entry: Entry) -> MessageId {
        let message = MessageId(u32::try_from(self.entries.len()).expect("fewer than 2^32 messages"));
        let partition = usize::from(entry.partition.0);
        if self.partitions.len() <= partition {
            self.partitions.resize_with(partition + 1, Vec::new);
        }
        self.partitions[partition].push(message);
        self.entries.push(entry);
        message
    }

    /// What it has of a message.
    #[must_use]
    pub fn entry(&self, message: MessageId) -> Entry {
        self.entries[message.0 as usize]
    }

    /// The message that was published last.
    pub(super) fn last(&self) -> Option<MessageId> {
        (self.entries.len() as u32).checked_sub(1).map(MessageId)
    }

    /// Takes a message out: it was compacted away, or lost. Positions stay as they are.
    pub fn remove(&mut self, message: MessageId) {
        self.gone.insert(message);
    }

    /// Deletes the first so many messages of a partition, which begins behind them.
    pub fn expire_before(&mut self, partition: PartitionId, upto: u32) {
        let place = usize::from(partition.0);
        if self.begins.len() <= place {
            self.begins.resize(place + 1, 0);
        }
        self.begins[place] = self.begins[place].max(upto);
        let messages = self.partitions.get(place).into_iter().flatten().take(upto as usize);
        self.gone.extend(messages);
    }

    /// Whether a message is there.
    pub(super) fn has(&self, message: MessageId) -> bool {
        self.gone.is_empty() || !self.gone.contains(&message)
    }

    /// What is not there any more.
    pub(crate) const fn gone(&self) -> &BTreeSet<MessageId> {
        &self.gone
    }

    /// By partition, how many messages come before its beginning; none where nothing is said.
    pub(crate) fn beginnings(&self) -> &[u32] {
        &self.begins
    }

    /// How many messages of a partition come before its beginning.
    pub(super) fn beginning(&self, partition: PartitionId) -> u32 {
        self.begins.get(usize::from(partition.0)).copied().unwrap_or_default()
    }

    /// The messages of a partition, in order, those that are not there any more included.
    #[must_use]
    pub fn partition(&self, partition: PartitionId) -> &[MessageId] {
        self.partitions.get(usize::from(partition.0)).map_or(&[], Vec::as_slice)
    }

    /// The messages of a partition that are there, from a position on.
    pub(super) fn from(&self, partition: PartitionId, position: u32) -> impl Iterator<Item = MessageId> + '_ {
        let messages = self.partition(partition).get(position as usize..).unwrap_or_default();
        messages.iter().copied().filter(|message| self.has(*message))
    }

    /// How many messages of a partition are there between two positions.
    pub(super) fn between(&self, partition: PartitionId, from: u32, to: u32) -> u32 {
        if self.gone.is_empty() {
            return to.saturating_sub(from);
        }
        self.from(partition, from).take_while(|message| self.position(*message).1 < to).count() as u32
    }

    /// Of the first so many messages of a partition, those that are there and have a later one among them of the same
    /// key, and of the same topic where each is compacted for itself.
    pub(crate) fn outdated(&self, partition: PartitionId, upto: usize, of_topic: bool) -> Vec<MessageId> {
        let mut known = BTreeSet::new();
        let mut is_latest = |message: MessageId| {
            let Entry { topic, key, .. } = self.entry(message);
            known.insert((of_topic.then_some(topic), key))
        };
        let messages = self.partition(partition).iter().take(upto).rev().copied();
        messages.filter(|message| !is_latest(*message) && self.has(*message)).collect()
    }

    /// How many messages of a partition come before this one, and whether it is one of them.
    pub(crate) fn position(&self, message: MessageId) -> (PartitionId, u32) {
        let partition = self.entry(message).partition;
        let before = self.partition(partition).partition_point(|other| *other < message);
        (partition, before as u32)
    }
}

/// Where in the log a subscription begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Start {
    /// At the first message.
    Earliest,
    /// At the first message that comes after it.
    New,
}

/// How a member leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum How {
    /// It ends its connection.
    Close,
    /// It asks for no more, and keeps what it has.
    Cancel,
    /// It is gone without a word.
    Crash,
    /// Its connection breaks and it is back at once.
    Reconnect,
}

/// What a member says of a message it was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Ack,
    /// It is done, and so is everything before it.
    AckUpTo,
    /// It is to come again, after so long if that is said.
    Nak(Option<Wait>),
    /// It is never to come again.
    Term,
    /// It takes longer: its lease begins anew.
    Extend,
}

/// What an engine is told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Told {
    /// A message was appended to the log.
    Published(MessageId),
    /// A member asks for messages; if it is the first one, the subscription begins there.
    Joined(MemberId, Start),
    /// A member leaves.
    Left(MemberId, How),
    /// A member answers the so-manieth delivery of a message, from 1.
    Answered {
        /// The member.
        member: MemberId,
        /// The message.
        message: MessageId,
        /// Which of its deliveries.
        count: u16,
        /// What it says.
        answer: Answer,
    },
    /// A member says that everything in a partition before this many messages is done.
    Committed(MemberId, PartitionId, u32),
    /// A member goes on from elsewhere in a partition.
    Sought(MemberId, PartitionId, u32),
    /// A member takes over messages that others were sent.
    Claimed(MemberId, Vec<MessageId>),
    /// The broker fails over to a copy of itself, or restarts, and something is not there.
    Failed(Failure),
    /// The log was compacted and has not got a message any more: nobody is sent it who was not, and nobody again.
    Compacted(MessageId),
    /// The log of a partition begins behind so many messages: those before were kept for as long as they are kept.
    Expired(PartitionId, u32),
}

/// What a broker has lost when it failed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// That a message is done; where positions are committed, all that was committed from it on.
    Forgot(MessageId),
    /// What was committed in a partition, which the group begins anew.
    Rewound(PartitionId),
    /// A message that was not sent yet.
    Lost(MessageId),
    /// How often each message was sent.
    Counts,
}

/// What an engine may do by itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Choice {
    /// It sends a message to a member.
    Send(MessageId, MemberId),
    /// It sends another copy of a message that was sent before and has not come back.
    Copy(MessageId, MemberId),
    /// The wait for an answer to a message ends, or the time after which it was to come again.
    Expire(MessageId),
    /// It gives a message up that came too often.
    GiveUp(MessageId),
    /// It notices that a member is gone.
    Evict(MemberId),
    /// It gives a partition to a member.
    Move(PartitionId, MemberId),
    /// What a member was sent counts as done.
    AutoCommit(MemberId),
    /// A late ack counts.
    Accept(MessageId),
    /// A late ack does not count.
    Ignore(MessageId),
}

/// How often each message was sent to a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Counts {
    sent: Vec<u16>,
    /// How often each had been sent when that was forgotten; nothing of those that had not been.
    forgotten: Vec<u16>,
}

impl Counts {
    /// How often a message was sent, as far as that is known.
    pub(super) fn of(&self, message: MessageId) -> u16 {
        let forgotten = self.forgotten.get(message.0 as usize).copied().unwrap_or_default();
        self.in_truth(message).saturating_sub(forgotten)
    }

    /// How often a message was sent, also before that was forgotten.
    pub(super) fn in_truth(&self, message: MessageId) -> u16 {
        self.sent.get(message.0 as usize).copied().unwrap_or_default()
    }

    /// Whether a message was ever sent.
    pub(super) fn has_sent(&self, message: MessageId) -> bool {
        self.in_truth(message) > 0
    }

    /// Forgets how often each message was sent.
    pub(super) fn forget(&mut self) {
        self.forgotten.clone_from(&self.sent);
    }

    /// The messages that were sent, in order.
    pub(super) fn sent(&self) -> impl Iterator<Item = MessageId> + '_ {
        (0..).zip(&self.sent).filter(|(_, count)| **count > 0).map(|(place, _)| MessageId(place))
    }

    /// Sends a message to a member once more.
    pub(super) fn send(&mut self, message: MessageId, member: MemberId) -> Sent {
        let place = message.0 as usize;
        if self.sent.len() <= place {
            self.sent.resize(place + 1, 0);
        }
        self.sent[place] = self.sent[place].saturating_add(1);
        Sent { message, member, count: self.of(message) }
    }
}

/// A delivery: what a member is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sent {
    /// The message.
    pub message: MessageId,
    /// The member.
    pub member: MemberId,
    /// How often it was sent to the subscription, this time included.
    pub count: u16,
}

impl Sent {
    /// The answer of the member that was sent it.
    pub(super) const fn answered(self, answer: Answer) -> Told {
        let Sent { message, member, count } = self;
        Told::Answered { member, message, count, answer }
    }
}
