//! The offsets engine: positions in partitions, each with one owner.
//!
//! Kafka's consumer groups, Event Hubs, JetStream's ordered consumers.

use serde::{Deserialize, Serialize};

use super::Now;
use super::members::{Members, Presence};
use super::retry::{Retries, RetryTopic};
use super::told::{Answer, Choice, Counts, Failure, How, Log, MemberId, MessageId, PartitionId, Sent, Start, Told};
use super::wait::{Limit, Wait};
use crate::ids::Time;

/// What a group that keeps offsets does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffsetsRules {
    /// How many partitions there are.
    pub partitions: u16,
    /// How many messages of a partition a member may have been sent beyond what it committed.
    pub window: Limit,
    /// How long a member that crashed counts as one.
    pub session: Wait,
    /// Who commits.
    pub commits: Commits,
    /// What a change of members does to the partitions that stay where they are.
    pub rebalance: Rebalance,
    /// Where a partition without a committed offset begins whenever it is given to a member.
    pub start: Start,
    /// What the client does with a message that it could not handle, if it has retry topics for that; if not it goes
    /// back to it.
    pub retries: Option<Retries>,
    /// Whether a member commits an answer in one transaction with what its handler published.
    pub transactions: bool,
}

/// Who commits offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Commits {
    /// The consumer.
    Manual,
    /// The client library, every now and then: what the consumer was handed, done or not.
    Auto,
    /// Nobody: the member itself knows what it saw last.
    Never,
}

/// What a change of members does to partitions that stay where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rebalance {
    /// All are given anew, each from its committed offset.
    Eager,
    /// Those that stay go on.
    Cooperative,
}

/// A partition of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Part {
    owner: Option<MemberId>,
    /// The change of members that it was given at.
    generation: u16,
    /// How many messages come before the next one.
    position: u32,
    /// How many are done; nothing if none was ever committed.
    committed: Option<u32>,
}

impl Part {
    /// How many messages are done, of which so many come before the first.
    fn done(self, begin: u32) -> u32 {
        self.committed.unwrap_or(begin)
    }
}

/// The state of a group that keeps offsets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offsets {
    parts: Vec<Part>,
    /// Where each partition begins that has no committed offset.
    begin: Vec<u32>,
    /// Whether that is its end at the time when it is given to a member.
    begins_at_end: bool,
    members: Members,
    /// How often the members changed.
    generation: u16,
    /// How often each message was sent.
    counts: Counts,
    /// The retry topic, if the client has one; its partition is the last one.
    retry: Option<RetryTopic>,
}

impl Offsets {
    pub(super) fn new(rules: &OffsetsRules) -> Offsets {
        let partitions = usize::from(rules.partitions.max(1)) + usize::from(rules.retries.is_some());
        Offsets {
            parts: vec![Part::default(); partitions],
            begin: vec![0; partitions],
            begins_at_end: false,
            members: Members::default(),
            generation: 0,
            counts: Counts::default(),
            retry: rules.retries.map(|_| RetryTopic::default()),
        }
    }

    /// The retry topic, if a partition is that.
    fn retry_of(&self, partition: PartitionId) -> Option<&RetryTopic> {
        self.retry.as_ref().filter(|_| usize::from(partition.0) + 1 == self.parts.len())
    }

    /// The partition of the retry topic.
    fn retry_partition(&self) -> PartitionId {
        PartitionId(self.parts.len() as u16 - 1)
    }

    /// How many messages a partition has, those that are not there any more included.
    fn end(&self, log: &Log, partition: PartitionId) -> u32 {
        self.retry_of(partition).map_or_else(|| log.partition(partition).len() as u32, RetryTopic::len)
    }

    /// The partition that a delivery was of, and how many come before it there.
    fn place_of(&self, log: &Log, message: MessageId, count: u16) -> (PartitionId, u32) {
        let retried = self.retry.as_ref().and_then(|retry| retry.place_of(message, count));
        retried.map_or_else(|| log.position(message), |place| (self.retry_partition(), place))
    }

    /// Whether a transaction of a member is taken that ends with its answer to the so-manieth delivery of a message: it
    /// has the partition still, and has not been sent the message again or is going to be.
    pub(super) fn takes_commit(&self, log: &Log, member: MemberId, message: MessageId, count: u16) -> bool {
        let place = self.place_of(log, message, count);
        let part = self.parts[usize::from(place.0.0)];
        let mut counts = (1..=self.counts.in_truth(message)).rev();
        let last = counts.find(|other| self.place_of(log, message, *other) == place);
        self.is_member(member) && part.owner == Some(member) && part.position > place.1 && last == Some(count)
    }

    /// What may be sent next of a partition, and to whom.
    fn next(&self, now: Now<'_, OffsetsRules>, partition: PartitionId) -> Option<(MessageId, MemberId)> {
        let place = usize::from(partition.0);
        let (part, retry) = (self.parts[place], self.retry_of(partition));
        let (owner, done) = (part.owner?, part.done(self.begin[place]));
        let message = match retry {
            Some(retry) => retry.from(part.position).next()?,
            None => now.log.from(partition, part.position).next()?,
        };
        let ahead = match retry {
            Some(_) => part.position.saturating_sub(done),
            None => now.log.between(partition, done, part.position),
        };
        now.rules.window.admits(ahead).then_some((message, owner))
    }

    /// Whether a message waits to be tried again.
    pub(super) fn holds(&self, message: MessageId) -> bool {
        self.dues().any(|(_, other)| other == message)
    }

    /// What waits to be tried again, and from when on it may be.
    pub(super) fn dues(&self) -> impl Iterator<Item = (Time, MessageId)> + '_ {
        self.retry.iter().flat_map(RetryTopic::dues)
    }

    fn part(&mut self, partition: PartitionId) -> Option<&mut Part> {
        self.parts.get_mut(usize::from(partition.0))
    }

    /// What is going to be sent.
    pub(super) fn pending<'a>(&'a self, log: &'a Log) -> impl Iterator<Item = MessageId> + 'a {
        let retried = self.retry.iter().zip(self.parts.last());
        let retried = retried.flat_map(|(retry, part)| retry.from(part.position));
        let parts = (0..).zip(&self.parts);
        parts.flat_map(|(place, part)| log.from(PartitionId(place), part.position)).chain(retried)
    }

    fn change(&mut self) {
        self.generation = self.generation.saturating_add(1);
    }

    fn is_member(&self, member: MemberId) -> bool {
        self.members.counted().any(|other| other == member)
    }

    pub(super) fn tell(&mut self, now: Now<'_, OffsetsRules>, told: &Told) {
        match told {
            Told::Joined(member, start) => {
                if self.members.is_empty() {
                    self.begins_at_end = (*start, now.rules.start) != (Start::Earliest, Start::Earliest);
                }
                // One that is back after a crash is another member to the group, and has nothing.
                self.release(*member);
                self.members.join(*member);
                self.change();
            }
            Told::Left(member, How::Crash) => self.members.set(*member, Presence::Mute(now.time)),
            Told::Left(member, How::Reconnect) => {
                // What it was sent and has not seen is sent again.
                for place in 0..self.parts.len() {
                    if self.parts[place].owner == Some(*member) {
                        self.go_back(now.log, PartitionId(place as u16));
                    }
                }
            }
            Told::Left(member, How::Close | How::Cancel) => self.evict(*member),
            Told::Committed(member, partition, upto) => self.commit(now.log, *member, *partition, *upto),
            Told::Answered { member, message, count, answer } => {
                let failed = match (answer, now.rules.retries) {
                    (Answer::Ack | Answer::AckUpTo | Answer::Term, _) => None,
                    (Answer::Nak(_), Some(retries)) => Some(retries),
                    // What nobody takes back and nobody waits for.
                    (Answer::Nak(_) | Answer::Extend, _) => return,
                };
                if now.rules.transactions && !self.takes_commit(now.log, *member, *message, *count) {
                    return;
                }
                let (partition, before) = self.place_of(now.log, *message, *count);
                if let (Some(retry), Some(retries)) = (&mut self.retry, failed) {
                    retry.fail(retries, now.time, (*message, *count));
                }
                self.commit(now.log, *member, partition, before + 1);
            }
            Told::Sought(member, partition, to) => {
                if self.part(*partition).is_some_and(|part| part.owner == Some(*member)) {
                    self.go_to(now.log, *partition, *to);
                }
            }
            Told::Expired(partition, _) => {
                if let Some(Part { owner: Some(_), position, .. }) = self.part(*partition).copied() {
                    self.go_to(now.log, *partition, position);
                }
            }
            Told::Failed(Failure::Forgot(message)) => {
                // What is forgotten is what was committed last.
                let retried = self.retry.as_ref().and_then(|retry| retry.last_place_of(*message));
                let retried = retried.map(|place| (self.retry_partition(), place));
                let (partition, before) = retried.unwrap_or_else(|| now.log.position(*message));
                if let Some(part) = self.part(partition) {
                    part.committed = part.committed.map(|committed| committed.min(before));
                }
            }
            Told::Failed(Failure::Rewound(partition)) => {
                if let Some(part) = self.part(*partition) {
                    part.committed = Some(0);
                }
            }
            Told::Published(_) | Told::Claimed(..) | Told::Failed(_) | Told::Compacted(_) => {}
        }
    }

    /// The owner of a partition goes on from there, or, where that was deleted, from where one begins that has no
    /// offset.
    fn go_to(&mut self, log: &Log, partition: PartitionId, to: u32) {
        let (place, beginning) = (usize::from(partition.0), log.beginning(partition));
        let (begins_at_end, end) = (self.begins_at_end, self.end(log, partition));
        let (Some(part), Some(begin)) = (self.parts.get_mut(place), self.begin.get_mut(place)) else { return };
        part.position = to;
        if to < beginning {
            part.position = if begins_at_end { end } else { beginning };
            if part.done(*begin) < beginning {
                (part.committed, *begin) = (None, part.position);
            }
        }
    }

    /// The owner of a partition goes on behind what is done.
    fn go_back(&mut self, log: &Log, partition: PartitionId) {
        let place = usize::from(partition.0);
        self.go_to(log, partition, self.parts[place].done(self.begin[place]));
    }

    /// A commit of one that is not the owner any more is refused. Before anybody joined it is an administrator's. An
    /// offset before the beginning of the log is as good as none.
    fn commit(&mut self, log: &Log, member: MemberId, partition: PartitionId, upto: u32) {
        if upto < log.beginning(partition) {
            return;
        }
        let (is_member, is_before) = (self.is_member(member), self.members.is_empty());
        if let Some(part) = self.part(partition).filter(|part| is_before || is_member && part.owner == Some(member)) {
            part.committed = Some(upto);
        }
    }

    fn evict(&mut self, member: MemberId) {
        self.members.set(member, Presence::Gone);
        self.release(member);
        self.change();
    }

    /// Its partitions belong to nobody.
    fn release(&mut self, member: MemberId) {
        self.parts.iter_mut().filter(|part| part.owner == Some(member)).for_each(|part| part.owner = None);
    }

    pub(super) fn may(&self, now: Now<'_, OffsetsRules>, choices: &mut Vec<Choice>) {
        let over = self.members.mute().filter(|(_, since)| now.rules.session.after(*since) <= now.late);
        choices.extend(over.map(|(member, _)| Choice::Evict(member)));
        for (place, part) in (0..).zip(&self.parts) {
            let partition = PartitionId(place);
            // Whoever has it may keep it, or it goes to another: a member that is taken to be there, at least.
            if part.generation != self.generation {
                choices.extend(self.members.counted().map(|member| Choice::Move(partition, member)));
            }
            choices.extend(self.next(now, partition).map(|(message, owner)| Choice::Send(message, owner)));
        }
        if let Some(retry) = &self.retry {
            choices.extend(retry.ending(now.late).map(Choice::Expire));
            choices.extend(retry.over().map(Choice::GiveUp));
        }
        if now.rules.commits == Commits::Auto {
            let is_ahead =
                |(part, begin): (&Part, &u32), member| part.owner == Some(member) && part.position > part.done(*begin);
            let owns = |member| self.parts.iter().zip(&self.begin).any(|part| is_ahead(part, member));
            choices.extend(self.members.up().filter(|member| owns(*member)).map(Choice::AutoCommit));
        }
    }

    pub(super) fn choose(&mut self, now: Now<'_, OffsetsRules>, choice: &Choice) -> Option<Sent> {
        match choice {
            Choice::Send(message, member) => {
                let (partition, before) = now.log.position(*message);
                let retried = self.retry_partition();
                let is_it = |partition| self.next(now, partition) == Some((*message, *member));
                // What is next in both is sent from its own partition first.
                let is_retried = self.retry.is_some() && !is_it(partition) && is_it(retried);
                let sent = self.counts.send(*message, *member);
                match &mut self.retry {
                    Some(retry) if is_retried => {
                        let part = self.parts.last_mut()?;
                        retry.note(sent, part.position);
                        part.position += 1;
                    }
                    _ => self.part(partition)?.position = before + 1,
                }
                return Some(sent);
            }
            Choice::Expire(message) => {
                if let Some(retry) = self.retry.as_mut().filter(|retry| retry.dues().any(|(_, m)| m == *message)) {
                    retry.end_wait();
                }
            }
            Choice::GiveUp(message) => self.retry.iter_mut().for_each(|retry| retry.give_up(*message)),
            Choice::Evict(member) => self.evict(*member),
            Choice::Move(partition, to) => {
                let (generation, begins_at_end) = (self.generation, self.begins_at_end);
                let (place, end) = (usize::from(partition.0), self.end(now.log, *partition));
                let (part, begin) = (self.parts.get_mut(place)?, self.begin.get_mut(place)?);
                let stays = part.owner == Some(*to) && now.rules.rebalance == Rebalance::Cooperative;
                if !stays {
                    if begins_at_end && part.committed.is_none() {
                        *begin = end;
                        // A framework that has retry topics commits where it begins.
                        part.committed = now.rules.retries.map(|_| end);
                    }
                    self.go_back(now.log, *partition);
                }
                let part = self.part(*partition)?;
                (part.owner, part.generation) = (Some(*to), generation);
            }
            Choice::AutoCommit(member) => {
                for part in self.parts.iter_mut().filter(|part| part.owner == Some(*member)) {
                    part.committed = Some(part.position);
                }
            }
            Choice::Copy(..) | Choice::Accept(_) | Choice::Ignore(_) => {}
        }
        None
    }
}
