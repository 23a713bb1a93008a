//! The push engine: a chain of attempts at one endpoint, or a session that sends again when it is back.
//!
//! SNS and webhooks, where an endpoint answers with success or failure; MQTT, where a client keeps a session.

use serde::{Deserialize, Serialize};

use super::Now;
use super::members::Presence;
use super::queue::{Lease, Then, ending};
use super::told::{Answer, Choice, Counts, Failure, How, MemberId, MessageId, Sent, Start, Told};
use super::wait::{Limit, Wait};
use crate::ids::Time;

/// What a subscription of an endpoint does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushRules {
    /// Whether messages are sent in order.
    pub ordered: bool,
    /// How many deliveries may be without an answer.
    pub window: Limit,
    /// How long an answer is waited for; nothing: for ever.
    pub timeout: Option<Wait>,
    /// How long it waits after each failure before it tries again; the last one repeats. Empty: it never tries
    /// again by itself.
    pub retries: Vec<Wait>,
    /// How often a message is sent at most.
    pub deliveries: Limit,
    /// What becomes of it then.
    pub then: Then,
    /// Whether a message is done as soon as it is sent.
    pub at_most_once: bool,
    /// Whether what was not answered is kept for an endpoint that is away, and sent again, in order, when it is
    /// back.
    pub session: bool,
    /// Whether an endpoint knows what it was sent for as long as it lives, and goes on with it over a new connection.
    pub exactly_once: bool,
}

impl PushRules {
    /// Whether what an endpoint was sent stays with it when it leaves so.
    pub(crate) const fn keeps_at(&self, how: How) -> bool {
        self.exactly_once && matches!(how, How::Reconnect)
    }
}

/// The state of a subscription of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Push {
    /// What waits, in order.
    waiting: Vec<MessageId>,
    leases: Vec<Lease>,
    /// What is tried again, and when.
    delayed: Vec<(Time, MessageId)>,
    counts: Counts,
    endpoint: Option<(MemberId, Presence)>,
}

/// When a delivery begins; where no answer is waited for that is no matter, and states differ in nothing by it.
fn began(now: Now<'_, PushRules>) -> Time {
    now.rules.timeout.map_or(Time(0), |_| now.time)
}

impl Push {
    pub(super) fn tell(&mut self, now: Now<'_, PushRules>, told: &Told) {
        match told {
            Told::Published(message) => {
                let is_kept = self.endpoint.is_none_or(|(_, presence)| presence == Presence::Up || now.rules.session);
                if is_kept {
                    self.waiting.push(*message);
                }
            }
            Told::Joined(member, start) => {
                if self.endpoint.is_none() && *start == Start::New {
                    self.waiting.clear();
                }
                self.endpoint = Some((*member, Presence::Up));
            }
            // One whose place another has taken leaves nothing behind.
            Told::Left(member, how) if self.endpoint.is_none_or(|(endpoint, _)| endpoint == *member) => {
                let presence = if *how == How::Reconnect { Presence::Up } else { Presence::Gone };
                self.endpoint = Some((*member, presence));
                if now.rules.keeps_at(*how) {
                    return;
                }
                let held: Vec<MessageId> = self.leases.drain(..).map(|lease| lease.message).collect();
                if now.rules.session {
                    self.waiting.splice(0..0, held);
                }
            }
            Told::Answered { message, count, answer, .. } => {
                let is_current = |lease: &Lease| lease.message == *message && lease.count == *count;
                let Some(place) = self.leases.iter().position(is_current) else { return };
                match answer {
                    Answer::Nak(_) => {
                        self.leases.remove(place);
                        self.fail(now, *message);
                    }
                    Answer::Extend => self.leases[place].began = began(now),
                    Answer::Ack | Answer::AckUpTo | Answer::Term => {
                        self.leases.remove(place);
                    }
                }
            }
            Told::Failed(Failure::Forgot(message)) => {
                let is_done = self.counts.has_sent(*message) && !self.holds(*message);
                if is_done
                    && now.rules.session
                    && let Err(place) = self.waiting.binary_search(message)
                {
                    self.waiting.insert(place, *message);
                }
            }
            Told::Failed(Failure::Lost(message)) if !self.counts.has_sent(*message) => {
                self.waiting.retain(|other| other != message);
            }
            Told::Failed(Failure::Counts) => self.counts.forget(),
            Told::Left(..) | Told::Committed(..) | Told::Sought(..) | Told::Claimed(..) | Told::Failed(_) => {}
            // It keeps a message until it is done with it.
            Told::Compacted(_) | Told::Expired(..) => {}
        }
    }

    /// What is going to be sent.
    pub(super) fn pending(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.waiting.iter().copied()
    }

    /// Whether it is with the endpoint, or is tried again later.
    pub(super) fn holds(&self, message: MessageId) -> bool {
        self.leases.iter().any(|lease| lease.message == message)
            || self.delayed.iter().any(|(_, delayed)| *delayed == message)
    }

    fn fail(&mut self, now: Now<'_, PushRules>, message: MessageId) {
        if let Some(wait) = super::queue::wait_for(&now.rules.retries, self.counts.of(message)) {
            self.delayed.push((wait.after(now.time), message));
        }
    }

    /// What ends by itself, and when; in the order of sending.
    pub(super) fn dues(&self, timeout: Option<Wait>) -> impl Iterator<Item = (Time, MessageId)> + Clone {
        let due = move |lease: &Lease| Some((timeout?.after(lease.began), lease.message));
        self.leases.iter().filter_map(due).chain(self.delayed.iter().copied())
    }

    pub(super) fn may(&self, now: Now<'_, PushRules>, choices: &mut Vec<Choice>) {
        if let Some((endpoint, Presence::Up)) = self.endpoint {
            let first = if now.rules.ordered { 1 } else { usize::MAX };
            for message in self.waiting.iter().take(first) {
                let count = self.counts.of(*message);
                if !now.rules.deliveries.admits(count.into()) {
                    choices.push(Choice::GiveUp(*message));
                } else if now.rules.window.admits(self.leases.len() as u32) {
                    choices.push(Choice::Send(*message, endpoint));
                }
            }
        }
        choices.extend(ending(self.dues(now.rules.timeout), now.late).map(Choice::Expire));
    }

    pub(super) fn choose(&mut self, now: Now<'_, PushRules>, choice: &Choice) -> Option<Sent> {
        match choice {
            Choice::Send(message, member) => {
                self.waiting.retain(|other| other != message);
                let sent = self.counts.send(*message, *member);
                if !now.rules.at_most_once {
                    self.leases.push(Lease::of(sent, began(now)));
                }
                return Some(sent);
            }
            Choice::Expire(message) => {
                if self.leases.extract_if(.., |lease| lease.message == *message).count() > 0 {
                    self.fail(now, *message);
                } else {
                    self.delayed.retain(|(_, delayed)| delayed != message);
                    let place = self.waiting.partition_point(|other| other < message);
                    self.waiting.insert(place, *message);
                }
            }
            Choice::GiveUp(message) => self.waiting.retain(|other| other != message),
            Choice::Copy(..)
            | Choice::Evict(_)
            | Choice::Move(..)
            | Choice::AutoCommit(_)
            | Choice::Accept(_)
            | Choice::Ignore(_) => {}
        }
        None
    }
}
