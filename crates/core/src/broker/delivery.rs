//! Deliveries: one attempt each to hand a message to a group.

use std::fmt;

use super::message::{MessageIndex, MessageName};
use crate::hash;

/// A delivery's place in the list of all deliveries of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DeliveryIndex(pub(crate) u32);

impl DeliveryIndex {
    /// The place as an index.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A group's place in the list of groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupIndex(pub(crate) u16);

impl GroupIndex {
    /// The place as an index.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// The state of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum State {
    /// It waits to be handled.
    Queued,
    /// Its handler runs.
    Handling,
    /// It was handled and its ack travels.
    Acking,
    /// It was handled, no ack will come; the ack wait or a nak's delay runs.
    Waiting,
    /// It is done.
    Settled,
    /// It was delivered too often.
    Dead,
}

/// One attempt to hand a message to a group; a redelivery reuses the entry with the next number.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The message.
    pub message: MessageIndex,
    /// The group.
    pub group: GroupIndex,
    /// Which attempt of this message at this group it is, from 1, duplicates included.
    pub attempt: u16,
    /// How often this copy of the message was handed out before.
    pub tries: u16,
    /// Where it stands.
    pub state: State,
    /// The member that has it, while one has.
    pub member: u16,
    /// A duplicate that the broker made of a message.
    pub duplicate: bool,
    /// The ack wait passed while a handler or an ack was under way; another delivery replaces it.
    pub superseded: bool,
    /// A stale ack settled its message while its handler or its ack was under way.
    pub(super) called_off: bool,
    /// The delivery that replaces it.
    pub(super) successor: Option<DeliveryIndex>,
    /// Handling it at this state of its service's store changed nothing; `NEVER` if it did.
    pub(super) futile_at: u64,
    /// Its place in the list of ready deliveries; `NOWHERE` if it is not in it.
    pub(super) ready_at: u32,
    /// The queue of its group that it belongs to, if the group keeps any.
    pub(super) unit: u32,
    /// Whether its handler may pause.
    pub(crate) may_pause: bool,
    /// Whether its group counts what each member has.
    pub(super) counts: bool,
    /// It is taken out of the ready list until its service's store changes.
    pub(super) parked: bool,
    /// It waits outside its unit's queue, as redeliveries that may come at any time do.
    pub(super) loose: bool,
    /// The place of what the broker remembers of the message at the group.
    pub(crate) entry: u32,
    /// What the keys of all its attempts have in common.
    pub(super) root: u64,
    /// The hash of its name.
    pub(crate) key: u64,
    /// The hash of its subject and its group.
    pub(crate) lane: u64,
}

/// Not in the list of ready deliveries.
pub(super) const NOWHERE: u32 = u32::MAX;

/// At no state of a store.
pub(super) const NEVER: u64 = u64::MAX;

// One is read and written at each step, so it fits a cache line or little more.
const _: () = assert!(size_of::<Delivery>() <= 72);

impl Delivery {
    /// One that waits for its first attempt, of no message yet.
    pub(super) const NEW: Delivery = Delivery {
        message: MessageIndex(0),
        group: GroupIndex(0),
        attempt: 0,
        tries: 0,
        state: State::Queued,
        member: 0,
        duplicate: false,
        superseded: false,
        called_off: false,
        successor: None,
        futile_at: NEVER,
        ready_at: NOWHERE,
        unit: 0,
        may_pause: false,
        counts: false,
        parked: false,
        loose: false,
        entry: 0,
        root: 0,
        key: 0,
        lane: 0,
    };

    /// Whether it still has to be done.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Settled | State::Dead)
    }

    /// Whether it was handled and changed nothing, when it was handed out last.
    #[must_use]
    pub const fn changed_nothing(&self) -> bool {
        self.futile_at != NEVER
    }

    /// Whether it may be handled now.
    #[must_use]
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.ready_at != NOWHERE
    }

    /// Whether the broker waits for its answer and counts it against the in-flight limit: a delivery that
    /// was superseded has left its place to the one that replaces it.
    #[must_use]
    #[inline]
    pub fn is_in_flight(&self) -> bool {
        self.is_with_member() && !self.superseded
    }

    /// Whether a member was handed it, and neither its ack nor its next attempt came since.
    #[inline]
    pub(super) fn is_with_member(&self) -> bool {
        matches!(self.state, State::Handling | State::Acking | State::Waiting)
    }

    /// Whether, now that it is handed out, its message was handed out before.
    #[inline]
    pub(crate) fn is_repeated(&self) -> bool {
        // Not `||`: which of them it is follows no pattern that a processor could learn.
        (self.tries > 1) | self.duplicate
    }

    /// Makes it the next attempt, which waits to be handled.
    #[inline]
    pub(super) fn come_again(&mut self, attempt: u16) {
        self.rename(attempt);
        self.state = State::Queued;
    }

    /// Gives it the name of its next attempt.
    #[inline]
    pub(super) fn rename(&mut self, attempt: u16) {
        self.attempt = attempt;
        self.key = attempt_key(self.root, attempt);
    }
}

/// The key of attempt `attempt` of the message with `message_key` at the group with `group_hash`.
pub(crate) fn key_of(message_key: u64, group_hash: u64, attempt: u16) -> u64 {
    attempt_key(root_of(message_key, group_hash), attempt)
}

/// What the keys of all attempts of a message at a group have in common.
#[inline]
pub(super) fn root_of(message_key: u64, group_hash: u64) -> u64 {
    hash::mix(message_key, group_hash)
}

#[inline]
pub(super) fn attempt_key(root: u64, attempt: u16) -> u64 {
    hash::mix(root, attempt.into())
}

/// A delivery's name, written `ticket:updated t1@2 -> orders #1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryName<'a> {
    /// The message.
    pub message: MessageName,
    /// The group.
    pub group: &'a str,
    /// The attempt, from 1.
    pub attempt: u16,
}

impl fmt::Display for DeliveryName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} #{}", self.message, self.group, self.attempt)
    }
}
