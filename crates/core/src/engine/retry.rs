//! Retry topics: what a client that cannot handle a message publishes it to, so that its partition goes on.
//!
//! Spring Kafka's `@RetryableTopic` and its kin. The client does it, so nothing of it is undone if its commit is
//! refused.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::told::{MessageId, Sent};
use super::wait::Wait;
use crate::ids::Time;

/// What a client does with a message that it could not handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// How often it tries to handle a message, the first time included, before it gives it up.
    pub attempts: NonZeroU16,
    /// How long it waits before the next time.
    pub delay: Wait,
}

impl Retries {
    /// So many attempts with so much time between them.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub const fn of(attempts: u16, delay: Wait) -> Retries {
        Retries { attempts: NonZeroU16::new(attempts).expect("at least one attempt"), delay }
    }
}

/// A message in the retry topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Record {
    message: MessageId,
    /// Which attempt is made of it.
    attempt: u16,
}

/// The retry topic of a group, which is one partition: the delay is the same for all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RetryTopic {
    /// What may be read.
    records: Vec<Record>,
    /// What is to be read later, and from when on; the first of them holds up all that are behind it.
    waiting: VecDeque<(Time, Record)>,
    /// What was sent from here, and the place of its record.
    sent: Vec<(MessageId, u16, u32)>,
    /// What was tried too often, and is to go to the dead letter topic.
    over: Vec<MessageId>,
}

impl RetryTopic {
    /// How many records there are.
    pub(super) fn len(&self) -> u32 {
        (self.records.len() + self.waiting.len()) as u32
    }

    /// What may be read from a position on.
    pub(super) fn from(&self, position: u32) -> impl Iterator<Item = MessageId> + '_ {
        self.records.get(position as usize..).unwrap_or_default().iter().map(|record| record.message)
    }

    /// Notes that a record was read.
    pub(super) fn note(&mut self, sent: Sent, place: u32) {
        self.sent.push((sent.message, sent.count, place));
    }

    /// The record that a delivery was of, if it was sent from here.
    pub(super) fn place_of(&self, message: MessageId, count: u16) -> Option<u32> {
        let of_it = |sent: &&(MessageId, u16, u32)| (sent.0, sent.1) == (message, count);
        self.sent.iter().find(of_it).map(|(.., place)| *place)
    }

    /// The record of a message that was read last.
    pub(super) fn last_place_of(&self, message: MessageId) -> Option<u32> {
        self.sent.iter().rev().find(|(other, ..)| *other == message).map(|(.., place)| *place)
    }

    /// A delivery could not be handled: it is tried again later, or given up.
    pub(super) fn fail(&mut self, rules: Retries, now: Time, (message, count): (MessageId, u16)) {
        let attempt = self.place_of(message, count).map_or(1, |place| self.records[place as usize].attempt);
        if attempt < rules.attempts.get() {
            self.waiting.push_back((rules.delay.after(now), Record { message, attempt: attempt + 1 }));
        } else {
            self.over.push(message);
        }
    }

    /// What is tried again later, and from when on.
    pub(super) fn dues(&self) -> impl Iterator<Item = (Time, MessageId)> + '_ {
        self.waiting.iter().map(|(due, record)| (*due, record.message))
    }

    /// Whose wait may be over by then.
    pub(super) fn ending(&self, late: Time) -> Option<MessageId> {
        self.dues().next().filter(|(due, _)| *due <= late).map(|(_, message)| message)
    }

    /// The first wait is over.
    pub(super) fn end_wait(&mut self) {
        self.records.extend(self.waiting.pop_front().map(|(_, record)| record));
    }

    /// What was tried too often.
    pub(super) fn over(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.over.iter().copied()
    }

    /// A message is in the dead letter topic.
    pub(super) fn give_up(&mut self, message: MessageId) {
        if let Some(place) = self.over.iter().position(|other| *other == message) {
            self.over.remove(place);
        }
    }
}
