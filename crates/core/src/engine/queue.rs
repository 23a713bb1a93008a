//! The queue engine: competing consumers with an ack for each message.
//!
//! NATS Streaming, JetStream, RabbitMQ, SQS standard, Redis Streams, Kafka share groups, Pub/Sub without ordering
//! keys, Service Bus without sessions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Now;
use super::members::{Members, Presence};
use super::told::{Answer, Choice, Counts, Failure, How, MemberId, MessageId, Sent, Start, Told};
use super::wait::{Limit, Wait};
use crate::ids::Time;

/// What a queue does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueRules {
    /// What first deliveries keep the order of.
    pub order: QueueOrder,
    /// How many deliveries may be without an answer.
    pub window: Limit,
    /// Of whom.
    pub window_of: WindowOf,
    /// How long the broker waits for an answer from when it sends, by delivery; the last one repeats. Empty: for
    /// ever.
    pub wait: Vec<Wait>,
    /// Where a message goes that was refused.
    pub on_nak: Place,
    /// Where a message goes whose member was lost.
    pub on_loss: Place,
    /// Where a message goes whose wait ended.
    pub on_timeout: Place,
    /// What of a member releases what it holds at once.
    pub releases: BTreeSet<How>,
    /// Whether the broker notices at once that a member crashed; if not it goes on sending to it.
    pub notices_crash: bool,
    /// Whether only the member that came first is sent anything.
    pub exclusive: bool,
    /// Whether an ack is for all that was sent before as well.
    pub cumulative: bool,
    /// Whether an answer counts that comes after the broker gave up waiting for it.
    pub stale: Stale,
    /// How often a message is sent at most.
    pub deliveries: Limit,
    /// What becomes of it then.
    pub then: Then,
    /// Whether a member can refuse a message.
    pub naks: bool,
    /// Whether acks that come after a nak may be taken before the message is back; until then it is counted as what
    /// its member holds.
    pub requeues_late: bool,
    /// Whether a member can take over what others hold.
    pub claims: bool,
    /// Whether a message may come again although it was answered or is with a member.
    pub copies: bool,
}

/// What first deliveries keep the order of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum QueueOrder {
    /// The whole subscription.
    Subscription,
    /// Each topic.
    Topic,
    /// Nothing.
    None,
}

/// Whose deliveries a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WindowOf {
    /// Those of each member.
    Member,
    /// Those of all members together.
    Group,
}

/// Where a message goes that comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Place {
    /// Before all that was never sent, behind all that came back before it.
    Front,
    /// To its place in the order of publishing.
    Original,
    /// Behind everything.
    Back,
    /// Anywhere.
    Any,
}

/// Whether an answer counts that comes after the broker gave up waiting for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stale {
    /// It does.
    Accept,
    /// It does not.
    Reject,
    /// It may or may not.
    Either,
}

/// What becomes of a message that was sent too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Then {
    /// It is gone.
    Drop,
    /// It stays where it is, and is not sent any more.
    Park,
    /// It goes to a dead letter topic.
    DeadLetter,
}

/// A delivery that the broker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lease {
    pub(super) message: MessageId,
    pub(super) member: MemberId,
    pub(super) count: u16,
    pub(super) began: Time,
}

impl Lease {
    /// Of what was sent just now.
    pub(super) const fn of(sent: Sent, began: Time) -> Lease {
        let Sent { message, member, count } = sent;
        Lease { message, member, count, began }
    }
}

/// A queue's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// What was never sent, in order, and what went back among it.
    fresh: Vec<MessageId>,
    /// What came back, in order.
    returned: Vec<MessageId>,
    /// What came back and may come at any time.
    loose: Vec<MessageId>,
    /// What comes back later; until then it is counted as what its member holds.
    delayed: Vec<(Time, MessageId, MemberId)>,
    /// In the order of sending.
    leases: Vec<Lease>,
    /// How often each message was sent.
    counts: Counts,
    members: Members,
    /// Messages with a late answer of which it is open whether it counts.
    undecided: Vec<MessageId>,
}

/// How long a broker waits for the answer to the so-manieth delivery; `None`: for ever.
pub(super) fn wait_for(waits: &[Wait], count: u16) -> Option<Wait> {
    waits.get(usize::from(count).saturating_sub(1)).or(waits.last()).copied()
}

/// What may end next, of what ends when, if that is over by `late`: the first of those that end first, by the order
/// of sending and by that of the log. Some brokers go by the one and some by the other.
pub(super) fn ending(
    dues: impl Iterator<Item = (Time, MessageId)> + Clone,
    late: Time,
) -> impl Iterator<Item = MessageId> {
    let first_sent = dues.clone().min_by_key(|(due, _)| *due).filter(|(due, _)| *due <= late);
    let first_published = dues.min().filter(|first| *first <= (late, MessageId(u32::MAX)));
    let other = first_published.filter(|first| Some(*first) != first_sent);
    first_sent.into_iter().chain(other).map(|(_, message)| message)
}

/// When a delivery begins; where no answer is waited for that is no matter, and states differ in nothing by it.
fn began(now: Now<'_, QueueRules>) -> Time {
    if now.rules.wait.is_empty() { Time(0) } else { now.time }
}

impl Queue {
    pub(super) fn tell(&mut self, now: Now<'_, QueueRules>, told: &Told, sent: &mut Vec<Sent>) {
        match told {
            Told::Published(message) => self.fresh.push(*message),
            Told::Joined(member, start) => self.join(*member, *start),
            Told::Left(member, how) => self.leave(now.rules, *member, *how),
            Told::Answered { member, message, count, answer } => {
                self.answer(now, *member, (*message, *count), *answer);
            }
            Told::Claimed(member, messages) if now.rules.claims => {
                for message in messages {
                    // What was settled is not pending any more, so nobody can claim it.
                    if self.leases.iter().any(|lease| lease.message == *message) {
                        sent.push(self.send(*message, *member, began(now)));
                    }
                }
            }
            Told::Failed(Failure::Forgot(message)) => {
                if self.counts.has_sent(*message) && !self.is_pending(*message) && now.log.has(*message) {
                    self.put([*message], now.rules.on_loss);
                }
            }
            Told::Failed(Failure::Lost(message)) if !self.counts.has_sent(*message) => self.settle(*message),
            // Who has it goes on, and it is not waited for.
            Told::Compacted(message) => self.settle(*message),
            Told::Expired(partition, upto) => {
                now.log.partition(*partition).iter().take(*upto as usize).for_each(|message| self.settle(*message));
            }
            Told::Failed(Failure::Counts) => self.counts.forget(),
            Told::Claimed(..) | Told::Committed(..) | Told::Sought(..) | Told::Failed(_) => {}
        }
    }

    fn join(&mut self, member: MemberId, start: Start) {
        if self.members.is_empty() && start == Start::New {
            self.fresh.clear();
        }
        self.members.join(member);
    }

    fn leave(&mut self, rules: &QueueRules, member: MemberId, how: How) {
        let presence = match how {
            How::Crash if !rules.notices_crash => Presence::Mute(Time(0)),
            How::Reconnect => Presence::Up,
            _ => Presence::Gone,
        };
        self.members.set(member, presence);
        if rules.releases.contains(&how) && !matches!(presence, Presence::Mute(_)) {
            let lost = self.leases.extract_if(.., |lease| lease.member == member).map(|lease| lease.message);
            let mut lost: Vec<MessageId> = lost.collect();
            lost.sort_unstable();
            self.put(lost, rules.on_loss);
        }
    }

    fn answer(
        &mut self,
        now: Now<'_, QueueRules>,
        member: MemberId,
        (message, count): (MessageId, u16),
        answer: Answer,
    ) {
        let place = self.leases.iter().position(|lease| lease.message == message);
        let current = place.filter(|place| {
            let lease = &self.leases[*place];
            lease.member == member && lease.count == count
        });
        match answer {
            Answer::Ack if now.rules.cumulative => self.answer(now, member, (message, count), Answer::AckUpTo),
            Answer::AckUpTo => {
                self.leases.retain(|lease| lease.message > message);
                self.delayed.retain(|(_, delayed, _)| *delayed > message);
                for list in [&mut self.fresh, &mut self.returned, &mut self.loose, &mut self.undecided] {
                    list.retain(|other| *other > message);
                }
            }
            Answer::Ack | Answer::Term if current.is_some() || now.rules.stale == Stale::Accept => {
                self.settle(message);
            }
            Answer::Ack if now.rules.stale == Stale::Either && self.is_pending(message) => self.undecided.push(message),
            Answer::Nak(_) if !now.rules.naks => {}
            Answer::Nak(delay) => {
                if let Some(place) = current {
                    self.leases.remove(place);
                    match delay {
                        Some(delay) => self.delayed.push((delay.after(now.time), message, member)),
                        None if now.rules.requeues_late => self.delayed.push((now.time, message, member)),
                        None => self.put([message], now.rules.on_nak),
                    }
                }
            }
            Answer::Extend => {
                if let Some(place) = current {
                    self.leases[place].began = began(now);
                }
            }
            Answer::Ack | Answer::Term => {}
        }
    }

    /// Whether a message may still be sent.
    fn is_pending(&self, message: MessageId) -> bool {
        self.leases.iter().any(|lease| lease.message == message)
            || [&self.fresh, &self.returned, &self.loose].iter().any(|list| list.contains(&message))
            || self.delayed.iter().any(|(_, delayed, _)| *delayed == message)
    }

    /// What is going to be sent.
    pub(super) fn pending(&self) -> impl Iterator<Item = MessageId> + '_ {
        [&self.loose, &self.returned, &self.fresh].into_iter().flatten().copied()
    }

    /// Whether it is with a member, or comes back later.
    pub(super) fn holds(&self, message: MessageId) -> bool {
        self.leases.iter().any(|lease| lease.message == message)
            || self.delayed.iter().any(|(_, delayed, _)| *delayed == message)
    }

    fn settle(&mut self, message: MessageId) {
        self.leases.retain(|lease| lease.message != message);
        self.delayed.retain(|(_, delayed, _)| *delayed != message);
        for list in [&mut self.fresh, &mut self.returned, &mut self.loose, &mut self.undecided] {
            list.retain(|other| *other != message);
        }
    }

    fn put(&mut self, messages: impl IntoIterator<Item = MessageId>, place: Place) {
        match place {
            Place::Front => self.returned.extend(messages),
            Place::Back => self.fresh.extend(messages),
            Place::Original => {
                self.fresh.extend(messages);
                self.fresh.sort_unstable();
            }
            Place::Any => {
                self.loose.extend(messages);
                self.loose.sort_unstable();
            }
        }
    }

    /// What may be sent next.
    fn next(&self, now: Now<'_, QueueRules>, each: &mut impl FnMut(MessageId)) {
        self.loose.iter().for_each(|message| each(*message));
        let waiting = || self.returned.iter().chain(&self.fresh);
        match now.rules.order {
            QueueOrder::None => waiting().for_each(|message| each(*message)),
            QueueOrder::Subscription => waiting().take(1).for_each(|message| each(*message)),
            QueueOrder::Topic => {
                let mut topics = BTreeSet::new();
                waiting().filter(|message| topics.insert(now.log.entry(**message).topic)).for_each(|m| each(*m));
            }
        }
    }

    /// What was sent, not too often, and does not wait to be sent again.
    fn copied(&self, deliveries: Limit) -> impl Iterator<Item = MessageId> + '_ {
        let waits =
            |message: MessageId| [&self.fresh, &self.returned, &self.loose].iter().any(|l| l.contains(&message));
        self.counts.sent().filter(move |message| deliveries.admits(self.counts.of(*message).into()) && !waits(*message))
    }

    /// What ends by itself, and when; in the order of sending.
    pub(super) fn dues<'a>(&'a self, waits: &'a [Wait]) -> impl Iterator<Item = (Time, MessageId)> + Clone + 'a {
        let due = move |lease: &Lease| Some((wait_for(waits, lease.count)?.after(lease.began), lease.message));
        self.leases.iter().filter_map(due).chain(self.delayed.iter().map(|(due, message, _)| (*due, *message)))
    }

    pub(super) fn may(&self, now: Now<'_, QueueRules>, choices: &mut Vec<Choice>) {
        let QueueRules { window, window_of, exclusive, deliveries, wait, .. } = now.rules;
        let held = |member: MemberId| {
            let holders = self.leases.iter().map(|lease| lease.member);
            let holders = holders.chain(self.delayed.iter().map(|(.., holder)| *holder));
            holders.filter(|holder| *window_of == WindowOf::Group || *holder == member).count() as u32
        };
        let able: Vec<MemberId> = self.members.counted().take(if *exclusive { 1 } else { usize::MAX }).collect();
        self.next(now, &mut |message| {
            if deliveries.admits(self.counts.of(message).into()) {
                let fits = able.iter().filter(|member| window.admits(held(**member)));
                choices.extend(fits.map(|member| Choice::Send(message, *member)));
            } else {
                choices.push(Choice::GiveUp(message));
            }
        });
        if now.rules.copies {
            let copied = self.copied(*deliveries);
            choices.extend(copied.flat_map(|message| able.iter().map(move |member| Choice::Copy(message, *member))));
        }
        choices.extend(ending(self.dues(wait), now.late).map(Choice::Expire));
        for message in &self.undecided {
            choices.extend([Choice::Accept(*message), Choice::Ignore(*message)]);
        }
    }

    fn send(&mut self, message: MessageId, member: MemberId, began: Time) -> Sent {
        for list in [&mut self.fresh, &mut self.returned, &mut self.loose] {
            list.retain(|other| *other != message);
        }
        let sent = self.counts.send(message, member);
        self.leases.retain(|lease| lease.message != message);
        self.leases.push(Lease::of(sent, began));
        sent
    }

    pub(super) fn choose(&mut self, now: Now<'_, QueueRules>, choice: &Choice) -> Option<Sent> {
        match choice {
            Choice::Send(message, member) | Choice::Copy(message, member) => {
                return Some(self.send(*message, *member, began(now)));
            }
            Choice::Expire(message) => {
                self.leases.retain(|lease| lease.message != *message);
                let was_refused = self.delayed.extract_if(.., |(_, delayed, _)| delayed == message).count() > 0;
                self.put([*message], if was_refused { now.rules.on_nak } else { now.rules.on_timeout });
            }
            Choice::GiveUp(message) | Choice::Accept(message) => self.settle(*message),
            Choice::Ignore(message) => self.undecided.retain(|other| other != message),
            Choice::Evict(_) | Choice::Move(..) | Choice::AutoCommit(_) => {}
        }
        None
    }
}
