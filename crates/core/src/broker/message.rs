//! The log: every published message, and how it is named.

use std::fmt;

use crate::event::Event;
use crate::hash;
use crate::ids::{RecordId, Subject, Version};
use crate::store::{ByNumber, heap_bytes_of};

/// A message's place in the log: publish order over all subjects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageIndex(pub(crate) u32);

impl MessageIndex {
    /// The place as an index.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The broker's copy of an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message<E> {
    /// The event.
    pub event: E,
    /// The name by which decisions and reports refer to it.
    pub name: MessageName,
    /// The command, counted over all clients in the order they ran, that led to it.
    pub cause: u32,
    /// Whether its publisher had published it before and heard no confirm.
    pub is_retry: bool,
    /// Whether the broker put it there because a group had been sent it too often; what that group was sent is
    /// another message.
    pub is_dead_letter: bool,
    /// The hash of the event.
    pub(crate) hash: u64,
    pub(super) route: u16,
    /// Where this message's per-group entries begin.
    pub(super) first_entry: u32,
    /// The message before this one on the same subject about the same record.
    pub(super) previous: Option<MessageIndex>,
}

/// A message's name: subject, record and version, and a count where these repeat. Written
/// `ticket:updated t1@2`, or `expiration:complete o1` where the event has no version; the second
/// of the same name ends in `/2`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MessageName {
    /// The feed.
    pub subject: Subject,
    /// The record the event is about.
    pub record: RecordId,
    /// The version it announces.
    pub version: Option<Version>,
    /// Which message of this subject, record and version it is, from 1.
    pub nth: u32,
}

impl MessageName {
    /// The name as one word, for hashing and for drawing.
    #[must_use]
    #[inline]
    pub fn key(&self) -> u64 {
        message_key(self.subject.hash(), self.record, self.version, self.nth)
    }
}

/// The key of a message by the parts of its name.
#[inline]
pub(crate) fn message_key(subject_hash: u64, record: RecordId, version: Option<Version>, nth: u32) -> u64 {
    let version = version.map_or(u64::MAX, |version| version.0);
    hash::mix3(subject_hash, record.word() ^ (u64::from(nth) << 48), version)
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message_name(f, self.subject.name(), self.record, self.version, self.nth)
    }
}

/// Writes a message's name by its parts: the one spelling that timelines print and schedules read.
pub(crate) fn write_message_name(
    f: &mut fmt::Formatter<'_>,
    subject: &str,
    record: RecordId,
    version: Option<Version>,
    nth: u32,
) -> fmt::Result {
    write!(f, "{subject} {record}")?;
    if let Some(version) = version {
        write!(f, "@{version}")?;
    }
    // A key may end as if it were counted; one that does is counted from the first.
    if nth > 1 || version.is_none() && record.ends_as_counted() {
        write!(f, "/{nth}")?;
    }
    Ok(())
}

/// What the broker asks an event.
pub(super) struct Label {
    pub(super) subject: Subject,
    record: RecordId,
    version: Option<Version>,
    hash: u64,
}

impl Label {
    #[inline(always)]
    pub(super) fn of<E: Event>(event: &E) -> Label {
        Label { subject: event.subject(), record: event.record(), version: event.version(), hash: hash::of(event) }
    }

    /// The same on another subject.
    pub(super) fn on(self, subject: Subject) -> Label {
        Label { subject, ..self }
    }
}

/// All messages, and for each subject the last one about each record.
#[derive(Debug)]
pub(super) struct Log<E> {
    pub(super) messages: Vec<Message<E>>,
    /// By route, then by what tells ids of one kind apart.
    last: Vec<ByNumber<Option<MessageIndex>>>,
    /// The sum of what their hashes say, whatever their order.
    sum: u64,
}

/// A moment of the log to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogMark {
    messages: usize,
    routes: usize,
    sum: u64,
}

impl<E: Clone> Clone for Log<E> {
    fn clone(&self) -> Log<E> {
        Log { messages: self.messages.clone(), last: self.last.clone(), sum: self.sum }
    }

    fn clone_from(&mut self, source: &Log<E>) {
        let Log { messages, last, sum } = source;
        self.messages.clone_from(messages);
        self.last.clone_from(last);
        self.sum = *sum;
    }
}

impl<E> Log<E> {
    /// What it has taken of the heap, in bytes, but for what events hold outside of themselves.
    pub(super) fn heap_bytes(&self) -> u64 {
        heap_bytes_of(&self.messages) + self.last.iter().map(ByNumber::heap_bytes).sum::<u64>()
    }
}

impl<E: Event> Log<E> {
    pub(super) fn new(routes: usize) -> Log<E> {
        Log { messages: Vec::new(), last: vec![ByNumber::default(); routes], sum: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.messages.clear();
        self.last.iter_mut().for_each(ByNumber::clear);
        self.sum = 0;
    }

    pub(super) fn add_route(&mut self) {
        self.last.push(ByNumber::default());
    }

    /// Appends an event and names it; returns its place and the key of its name.
    #[inline(always)]
    pub(super) fn append(
        &mut self,
        event: E,
        label: &Label,
        route: u16,
        first_entry: u32,
        cause: u32,
    ) -> (MessageIndex, u64) {
        let Label { subject, record, version, hash } = *label;
        let last = &mut self.last[usize::from(route)];
        let index =
            MessageIndex(u32::try_from(self.messages.len()).expect("the message limit keeps the log below 2^32"));
        let previous = last.entry(record.place()).replace(index);
        let nth = self.count_of_name(previous, record, version) + 1;
        let name = MessageName { subject, record, version, nth };
        self.sum = self.sum.wrapping_add(hash::mix(hash, 1));
        let key = name.key();
        let (is_retry, is_dead_letter) = (false, false);
        self.messages.push(Message {
            event,
            name,
            cause,
            is_retry,
            is_dead_letter,
            hash,
            route,
            first_entry,
            previous,
        });
        (index, key)
    }

    /// Whether there is a message about this version of a record, whatever its subject.
    pub(super) fn has(&self, record: RecordId, version: Version) -> bool {
        self.last.iter().any(|last| {
            let mut at = last.get(record.place()).copied().flatten();
            while let Some(index) = at {
                let message = &self.messages[index.get()];
                if message.name.version == Some(version) && message.name.record == record {
                    return true;
                }
                at = message.previous;
            }
            false
        })
    }

    /// The hash of all messages, whatever their order.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Marks this moment.
    pub(super) fn mark(&self) -> LogMark {
        LogMark { messages: self.messages.len(), routes: self.last.len(), sum: self.sum }
    }

    /// Goes back to the moment of a mark.
    #[inline]
    pub(super) fn rewind(&mut self, mark: LogMark) {
        while self.messages.len() > mark.messages {
            let Some(Message { name, route, previous, .. }) = self.messages.pop() else { break };
            *self.last[usize::from(route)].entry(name.record.place()) = previous;
        }
        self.last.truncate(mark.routes);
        self.sum = mark.sum;
    }

    /// How many messages of this name there are, given the last one about the record's number.
    fn count_of_name(&self, mut at: Option<MessageIndex>, record: RecordId, version: Option<Version>) -> u32 {
        while let Some(index) = at {
            let message = &self.messages[index.get()];
            if message.name.record == record && message.name.version == version {
                return message.name.nth;
            }
            // Versions nearly always grow, so this first look nearly always ends the walk.
            if message.name.record == record && message.name.version < version {
                return 0;
            }
            at = message.previous;
        }
        0
    }
}
