//! The keyed engine: a queue for each key, whose messages come in order or not at all.
//!
//! SQS FIFO, Service Bus sessions, Pub/Sub with ordering keys.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Now;
use super::members::{Members, Presence};
use super::queue::{Lease, Stale, Then, ending, wait_for};
use super::told::{Answer, Choice, Counts, Failure, How, KeyId, MemberId, MessageId, Sent, Start, Told};
use super::wait::{Limit, Wait};
use crate::ids::Time;

/// What a queue for each key does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedRules {
    /// Who may have messages of a key of which some are without an answer.
    pub sharing: Sharing,
    /// How many deliveries of one key may be without an answer.
    pub batch: Limit,
    /// How many deliveries of a member may be.
    pub window: Limit,
    /// How long the broker waits for an answer from when it sends, by delivery; the last one repeats. Empty: for
    /// ever.
    pub wait: Vec<Wait>,
    /// What of a member releases what it holds at once.
    pub releases: BTreeSet<How>,
    /// Whether an answer counts that comes after the broker gave up waiting for it.
    pub stale: Stale,
    /// How often a message is sent at most.
    pub deliveries: Limit,
    /// What becomes of it then.
    pub then: Then,
}

/// Who may have messages of a key of which some are without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sharing {
    /// Nobody gets more of it, but for what is received in one go.
    Blocked,
    /// The member that has them, which owns the key as long as it has any.
    Owned,
    /// The member that has them; if one comes again, all after it come again too, answered or not.
    Replayed,
}

/// The state of queues for each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyed {
    /// What waits, in order.
    waiting: Vec<MessageId>,
    /// In the order of sending.
    leases: Vec<Lease>,
    /// How often each message was sent.
    counts: Counts,
    members: Members,
    undecided: Vec<MessageId>,
    delayed: Vec<(Time, MessageId)>,
}

impl Keyed {
    pub(super) fn tell(&mut self, now: Now<'_, KeyedRules>, told: &Told) {
        match told {
            Told::Published(message) => self.waiting.push(*message),
            Told::Joined(member, start) => {
                if self.members.is_empty() && *start == Start::New {
                    self.waiting.clear();
                }
                self.members.join(*member);
            }
            Told::Left(member, how) => {
                let presence = if *how == How::Reconnect { Presence::Up } else { Presence::Gone };
                self.members.set(*member, presence);
                if now.rules.releases.contains(how) {
                    let lost: Vec<MessageId> =
                        self.leases.iter().filter(|lease| lease.member == *member).map(|lease| lease.message).collect();
                    lost.into_iter().for_each(|message| self.bring_back(now, message));
                }
            }
            Told::Answered { member, message, count, answer } => {
                let is_current =
                    |lease: &Lease| lease.message == *message && lease.member == *member && lease.count == *count;
                let current = self.leases.iter().position(is_current);
                match answer {
                    Answer::Ack | Answer::Term if current.is_some() || now.rules.stale == Stale::Accept => {
                        self.settle(*message);
                    }
                    Answer::Ack if now.rules.stale == Stale::Either && self.is_pending(*message) => {
                        self.undecided.push(*message);
                    }
                    Answer::AckUpTo => {
                        let key = now.log.entry(*message).key;
                        let upto: Vec<MessageId> = self
                            .leases
                            .iter()
                            .map(|lease| lease.message)
                            .filter(|other| other <= message && now.log.entry(*other).key == key)
                            .collect();
                        upto.into_iter().for_each(|message| self.settle(message));
                    }
                    Answer::Nak(delay) if current.is_some() => match delay {
                        // Its key stays blocked until then.
                        Some(delay) => self.delayed.push((delay.after(now.time), *message)),
                        None => self.bring_back(now, *message),
                    },
                    Answer::Extend => {
                        current.into_iter().for_each(|place| self.leases[place].began = now.time);
                    }
                    Answer::Ack | Answer::Term | Answer::Nak(_) => {}
                }
            }
            Told::Failed(Failure::Forgot(message)) => {
                if self.counts.has_sent(*message) && !self.is_pending(*message) {
                    self.bring_back(now, *message);
                }
            }
            Told::Failed(Failure::Lost(message)) if !self.counts.has_sent(*message) => self.settle(*message),
            Told::Failed(Failure::Counts) => self.counts.forget(),
            Told::Committed(..) | Told::Sought(..) | Told::Claimed(..) | Told::Failed(_) => {}
            // It keeps a message until it is done with it.
            Told::Compacted(_) | Told::Expired(..) => {}
        }
    }

    /// What is going to be sent.
    pub(super) fn pending(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.waiting.iter().copied()
    }

    /// Whether it is with a member, or comes back later.
    pub(super) fn holds(&self, message: MessageId) -> bool {
        self.leases.iter().any(|lease| lease.message == message)
            || self.delayed.iter().any(|(_, delayed)| *delayed == message)
    }

    fn is_pending(&self, message: MessageId) -> bool {
        self.waiting.contains(&message) || self.leases.iter().any(|lease| lease.message == message)
    }

    fn settle(&mut self, message: MessageId) {
        self.leases.retain(|lease| lease.message != message);
        self.delayed.retain(|(_, other)| *other != message);
        self.waiting.retain(|other| *other != message);
        self.undecided.retain(|other| *other != message);
    }

    /// Puts a message back in its place, and with it all of its key that were sent after it if the rules say so.
    fn bring_back(&mut self, now: Now<'_, KeyedRules>, message: MessageId) {
        let key = now.log.entry(message).key;
        let replays = now.rules.sharing == Sharing::Replayed;
        let later = self.counts.sent().filter(|other| replays && *other > message);
        let later = later.filter(|other| now.log.entry(*other).key == key);
        // What was answered or given up after its last delivery has none left.
        let has_left = |other: MessageId| now.rules.deliveries.admits(self.counts.in_truth(other).into());
        let later = later.filter(|other| has_left(*other) || self.is_pending(*other));
        let again: Vec<MessageId> = std::iter::once(message).chain(later).collect();
        for message in again {
            self.leases.retain(|lease| lease.message != message);
            self.delayed.retain(|(_, other)| *other != message);
            if let Err(place) = self.waiting.binary_search(&message) {
                self.waiting.insert(place, message);
            }
        }
    }

    /// What ends by itself, and when; in the order of sending.
    pub(super) fn dues<'a>(&'a self, waits: &'a [Wait]) -> impl Iterator<Item = (Time, MessageId)> + Clone + 'a {
        let is_delayed = |lease: &&Lease| self.delayed.iter().any(|(_, message)| *message == lease.message);
        let due = move |lease: &Lease| Some((wait_for(waits, lease.count)?.after(lease.began), lease.message));
        let waited_for = self.leases.iter().filter(move |lease| !is_delayed(lease)).filter_map(due);
        waited_for.chain(self.delayed.iter().copied())
    }

    /// Whether a member may be sent this message, the first one of its key that waits.
    fn fits(&self, now: Now<'_, KeyedRules>, message: MessageId, member: MemberId) -> bool {
        let key = now.log.entry(message).key;
        let of_key = self.leases.iter().filter(|lease| now.log.entry(lease.message).key == key);
        let (count, all_are_its) =
            of_key.clone().fold((0, true), |(count, its), lease| (count + 1, its && lease.member == member));
        let in_one_go = of_key.clone().all(|lease| lease.began == now.time && lease.message < message);
        let held = self.leases.iter().filter(|lease| lease.member == member).count() as u32;
        let may_share = match now.rules.sharing {
            Sharing::Blocked => in_one_go,
            Sharing::Owned | Sharing::Replayed => true,
        };
        all_are_its && may_share && now.rules.batch.admits(count) && now.rules.window.admits(held)
    }

    pub(super) fn may(&self, now: Now<'_, KeyedRules>, choices: &mut Vec<Choice>) {
        let mut keys: BTreeSet<KeyId> = BTreeSet::new();
        for message in &self.waiting {
            if !keys.insert(now.log.entry(*message).key) {
                continue;
            }
            let count = self.counts.of(*message);
            if !now.rules.deliveries.admits(count.into()) {
                choices.push(Choice::GiveUp(*message));
                continue;
            }
            let fitting = self.members.up().filter(|member| self.fits(now, *message, *member));
            choices.extend(fitting.map(|member| Choice::Send(*message, member)));
        }
        choices.extend(ending(self.dues(&now.rules.wait), now.late).map(Choice::Expire));
        for message in &self.undecided {
            choices.extend([Choice::Accept(*message), Choice::Ignore(*message)]);
        }
    }

    pub(super) fn choose(&mut self, now: Now<'_, KeyedRules>, choice: &Choice) -> Option<Sent> {
        match choice {
            Choice::Send(message, member) => {
                self.waiting.retain(|other| other != message);
                let sent = self.counts.send(*message, *member);
                self.leases.push(Lease::of(sent, now.time));
                return Some(sent);
            }
            Choice::Expire(message) => self.bring_back(now, *message),
            Choice::GiveUp(message) | Choice::Accept(message) => self.settle(*message),
            Choice::Ignore(message) => self.undecided.retain(|other| other != message),
            Choice::Copy(..) | Choice::Evict(_) | Choice::Move(..) | Choice::AutoCommit(_) => {}
        }
        None
    }
}
