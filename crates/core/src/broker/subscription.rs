//! Groups whose messages an engine hands out: brokers as they are.
//!
//! The engine says what it may send to whom; what the world picks is sent. What an engine does by itself is done
//! at once: a partition goes to a member, a message that came too often is given up, a late ack counts. Its waits
//! are timers of the world.

mod logs;
mod refresh;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use self::logs::Missing;
use super::delivery::{Delivery, DeliveryIndex, GroupIndex, State};
use super::hand_out::{Reply, Silence};
use super::{Broker, Member, Profile, take_out};
use crate::engine::{self, Answer, Choice, Clock, Commits, Engine, Entry, How, KeyId, MemberId, MessageId, Rules};
use crate::engine::{Compacts, Failure, Limit, OffsetsRules, PartitionId, Sent, Start, Told, TopicId, Wait};
use crate::event::Event;
use crate::faults::{MemberChange, MemberChanges};
use crate::hash::{self, StableHasher};
use crate::ids::{RecordId, ServiceIndex, Time};

/// By message, the members that it may be sent to.
type Sendable = BTreeMap<MessageId, Vec<u16>>;

/// How long what a member does not answer stays with it before another one claims it, where nothing else ends that.
const CLAIMED_AFTER: Wait = Wait::of_secs(60);

/// A group's subscription at a broker that an engine plays.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    broker: Arc<engine::Profile>,
    engine: Engine,
    /// What was published to it.
    log: engine::Log,
    /// By a message's number there, its newest delivery.
    newest: Vec<DeliveryIndex>,
    /// By a message's number, the end of the wait that the world knows of.
    timers: Vec<Option<Time>>,
    /// The numbers of those whose newest delivery is open.
    open: BTreeSet<u32>,
    keys: BTreeMap<RecordId, KeyId>,
    /// What members were sent and have not begun to handle, in order.
    inbox: Vec<Unread>,
    /// What members handle.
    handling: Vec<DeliveryIndex>,
    /// How often the owners of partitions changed on purpose.
    turn: u16,
    /// What the log is without when it joins.
    missing: Vec<Missing>,
    /// What waits to be tried again in the place of a delivery that is done, and was not handed out itself.
    standing_in: Vec<DeliveryIndex>,
}

/// A delivery in the inbox of a member.
#[derive(Clone, Copy, Debug)]
struct Unread {
    place: u16,
    delivery: DeliveryIndex,
    count: u16,
}

impl Subscription {
    /// The subscription of so many members, who are there from the start if it has joined.
    pub(super) fn new(broker: &Arc<engine::Profile>, members: usize, joined: bool) -> Subscription {
        let mut subscription = Subscription {
            broker: Arc::clone(broker),
            engine: broker.rules.begin(),
            log: engine::Log::default(),
            newest: Vec::new(),
            timers: Vec::new(),
            open: BTreeSet::new(),
            keys: BTreeMap::new(),
            inbox: Vec::new(),
            handling: Vec::new(),
            turn: 0,
            missing: Vec::new(),
            standing_in: Vec::new(),
        };
        if joined {
            subscription.join(members, Time(0));
        }
        subscription
    }

    /// Begins anew.
    pub(super) fn clear(&mut self, members: usize, joined: bool) {
        *self = Subscription::new(&self.broker, members, joined);
    }

    fn rules(&self) -> &Rules {
        &self.broker.rules
    }

    fn tell(&mut self, now: Time, told: &Told) -> Vec<Sent> {
        let mut sent = Vec::new();
        self.engine.tell(&self.broker.rules, &self.log, Clock::at(now), told, &mut sent);
        sent
    }

    fn choose(&mut self, now: Time, choice: &Choice) -> Option<Sent> {
        self.engine.choose(&self.broker.rules, &self.log, Clock::at(now), choice)
    }

    fn may(&self, now: Time) -> Vec<Choice> {
        self.may_at(Clock::at(now))
    }

    fn may_at(&self, clock: Clock) -> Vec<Choice> {
        let mut choices = Vec::new();
        self.engine.may(self.rules(), &self.log, clock, &mut choices);
        choices
    }

    /// What it may send, and to whom. What is asked for by itself is not received in one go with what was sent
    /// before.
    fn sendable(&self, now: Time) -> Sendable {
        let mut sendable = Sendable::new();
        for choice in self.may_at(Clock { time: Time(now.0 + 1), late: now }) {
            if let Choice::Send(number, MemberId(place)) = choice {
                sendable.entry(number).or_default().push(place);
            }
        }
        sendable
    }

    /// Ends the wait for a message, and those that end before it.
    fn expire(&mut self, now: Time, number: MessageId) {
        while self.due(number).is_some_and(|due| due <= now) {
            let ending = self.may(now).into_iter().find(|choice| matches!(choice, Choice::Expire(_)));
            let Some(choice) = ending else { return };
            self.choose(now, &choice);
            if choice == Choice::Expire(number) {
                return;
            }
        }
    }

    fn join(&mut self, members: usize, now: Time) {
        // It is a group that has an offset, or a crash before its first commit would send it to the end.
        if let Rules::Offsets(OffsetsRules { start: Start::New, partitions, retries, .. }) = *self.rules() {
            // The retry topic is one as well.
            for partition in (0..partitions + u16::from(retries.is_some())).map(PartitionId) {
                let end = self.log.partition(partition).len() as u32;
                self.tell(now, &Told::Committed(MemberId(0), partition, end));
            }
        }
        for place in 0..members as u16 {
            self.tell(now, &Told::Joined(MemberId(place), Start::Earliest));
        }
    }

    fn append(&mut self, delivery: DeliveryIndex, entry: Entry) -> MessageId {
        let number = self.log.append(entry);
        self.newest.push(delivery);
        self.timers.push(None);
        self.open.insert(number.0);
        number
    }

    fn key(&mut self, record: RecordId) -> KeyId {
        let next = KeyId(self.keys.len() as u32);
        *self.keys.entry(record).or_insert(next)
    }

    fn is_unread(&self, delivery: DeliveryIndex) -> bool {
        self.inbox.iter().any(|unread| unread.delivery == delivery)
    }

    /// When the wait for a message ends that is with a member, or comes back later.
    fn due(&self, number: MessageId) -> Option<Time> {
        self.engine.due(self.rules(), number)
    }

    /// Whether a commit of a member for the so-manieth delivery of the message of this number would be taken.
    pub(super) fn takes_commit(&self, number: u32, place: u16, count: u16) -> bool {
        self.engine.takes_commit(&self.log, MemberId(place), MessageId(number), count)
    }

    /// Whether a member can take over what another one holds.
    fn claims(&self) -> bool {
        matches!(self.rules(), Rules::Queue(rules) if rules.claims)
    }

    /// The partition of what is published about a record.
    fn partition_of(&self, record: RecordId) -> PartitionId {
        let partitions = match self.rules() {
            Rules::Offsets(rules) => rules.partitions.max(1),
            _ => 1,
        };
        PartitionId((hash::mix(record.word(), 0) % u64::from(partitions)) as u16)
    }

    /// Whether a delivery is the newest one of the message of this number.
    pub(super) fn is_newest(&self, number: u32, delivery: DeliveryIndex) -> bool {
        self.newest.get(number as usize) == Some(&delivery)
    }

    /// By a message's number, its newest delivery and the end of the wait that the world knows of.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (DeliveryIndex, Option<Time>)> + '_ {
        self.newest.iter().copied().zip(self.timers.iter().copied())
    }

    /// A hash of everything that decides what it does.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = StableHasher::default();
        self.engine.hash(&mut hasher);
        self.turn.hash(&mut hasher);
        if !self.log.gone().is_empty() || !self.missing.is_empty() {
            (self.log.gone(), self.log.beginnings(), &self.missing).hash(&mut hasher);
        }
        for Unread { place, delivery, count } in &self.inbox {
            (place, delivery, count).hash(&mut hasher);
        }
        hasher.finish()
    }
}

impl Profile {
    /// Whether members commit how far they are, and nobody waits for their acks.
    pub(crate) fn keeps_offsets(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| matches!(engine.rules, Rules::Offsets(_)))
    }

    /// What may happen to the members of a group at this broker.
    #[must_use]
    pub fn changes(&self) -> MemberChanges {
        let Some(engine) = &self.engine else { return MemberChanges::NONE };
        use MemberChange::{
            Cancel, Claim, Close, CommitAhead, Compact, Expire, ForgetAck, ForgetCounts, Rebalance, Reconnect, Redrive,
            Restart, Rewind, Truncate,
        };
        let keeps_offsets = self.keeps_offsets();
        let gives_up = engine.rules.deliveries() != Limit::Unlimited;
        let failures = [
            (Restart, true),
            (ForgetAck, engine.loses.acks),
            (Rewind, engine.loses.acks && keeps_offsets),
            (Truncate, engine.loses.tail),
            (ForgetCounts, engine.loses.counts && gives_up),
            (Redrive, self.redrives().is_ok()),
            (Compact, engine.cleanup.compacts != Compacts::Nothing),
            (Expire, engine.cleanup.expires),
        ];
        let failures = failures.into_iter().filter_map(|(failure, may_be)| may_be.then_some(failure));
        let of_members = MemberChanges::of(match &engine.rules {
            Rules::Offsets(rules) if rules.commits == Commits::Auto => &[Rebalance, Reconnect, Close, CommitAhead],
            Rules::Offsets(_) => &[Rebalance, Reconnect, Close],
            Rules::Queue(rules) if rules.claims => &[Reconnect, Close, Cancel, Claim],
            Rules::Queue(_) => &[Reconnect, Close, Cancel],
            Rules::Keyed(_) | Rules::Push(_) => &[Reconnect, Close],
        });
        failures.fold(of_members, MemberChanges::with)
    }
}

impl Profile {
    /// Why something that has to do with messages that are given up cannot happen, if that is up to a setting.
    #[must_use]
    pub fn why_not(&self, change: MemberChange) -> Option<String> {
        let engine = self.engine.as_ref()?;
        match change {
            MemberChange::Redrive => self.redrives().err(),
            MemberChange::ForgetCounts if engine.loses.counts && engine.rules.deliveries() == Limit::Unlimited => {
                let why = "so it needs no count: set `deliveries = 5`, or another number";
                Some(format!("`{}` never gives a message up, {why}", self.name))
            }
            _ => None,
        }
    }
}

impl<E: Event> Broker<E> {
    /// Sets the time that engines go by.
    #[inline]
    pub(crate) fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Whether engines hand out the messages of its groups.
    #[inline]
    pub(crate) fn is_driven(&self) -> bool {
        self.is_driven
    }

    /// A group's subscription.
    ///
    /// # Panics
    /// If no engine hands out the group's messages.
    fn subscription(&mut self, group: GroupIndex) -> &mut Subscription {
        self.groups[group.get()].subscription.as_mut().expect("a subscription")
    }

    /// [`Broker::subscription`], to be looked at.
    fn known(&self, group: GroupIndex) -> &Subscription {
        self.groups[group.get()].subscription.as_ref().expect("a subscription")
    }

    /// How long the engine waits from now on for the answer to a delivery.
    pub(super) fn lease_by_engine(&self, index: DeliveryIndex) -> Option<Duration> {
        let (group, number) = self.of_engine(index);
        let due = self.known(group).timers[number.0 as usize]?;
        Some(Duration::from_micros(due.0.saturating_sub(self.now.0)))
    }

    /// The group of a delivery, and the number that its message has there.
    fn of_engine(&self, index: DeliveryIndex) -> (GroupIndex, MessageId) {
        let Delivery { group, unit, .. } = *self.delivery(index);
        (group, MessageId(unit))
    }

    /// Publishes a message, of which this is the first delivery, to a group's subscription.
    pub(super) fn append(&mut self, index: DeliveryIndex) {
        let now = self.now;
        let Delivery { message, group, .. } = *self.delivery(index);
        let (record, route) = (self.message(message).name.record, self.message(message).route);
        let subscription = self.subscription(group);
        let partition = subscription.partition_of(record);
        let entry = Entry { topic: TopicId(route), key: subscription.key(record), partition };
        let number = subscription.append(index, entry);
        subscription.tell(now, &Told::Published(number));
        self.deliveries.change(index).unit = number.0;
        self.refresh(group);
    }

    /// Lets the members of a group in that joins late.
    pub(super) fn let_in(&mut self, group: GroupIndex) {
        let (now, members) = (self.now, self.groups[group.get()].members.len());
        for missing in std::mem::take(&mut self.subscription(group).missing) {
            self.take_out_of_log(group, missing);
        }
        self.subscription(group).join(members, now);
        self.refresh(group);
    }

    /// Sends a ready delivery to the member that it is ready for, or takes it out of that member's inbox.
    pub(super) fn send(&mut self, index: DeliveryIndex) -> Member {
        let now = self.now;
        let (group, number) = self.of_engine(index);
        let unread = self.subscription(group).inbox.iter().position(|unread| unread.delivery == index);
        let (place, count) = match unread {
            Some(at) => {
                let Unread { place, count, .. } = self.subscription(group).inbox.remove(at);
                (place, count)
            }
            None => {
                let sendable = self.known(group).sendable(now);
                let place = self.target(group, index, &sendable).expect("a member that it is ready for");
                let sent = self.subscription(group).choose(now, &Choice::Send(number, MemberId(place)));
                (place, sent.map_or(1, |sent| sent.count))
            }
        };
        self.subscription(group).handling.push(index);
        let delivery = self.deliveries.change(index);
        (delivery.member, delivery.tries) = (place, count);
        self.groups[group.get()].members[usize::from(place)]
    }

    /// What may happen to a group's members.
    #[inline]
    pub(crate) fn changes(&self) -> MemberChanges {
        self.changes
    }

    /// Commits all that the member was handed that has a delivery.
    pub(super) fn commit_handed(&mut self, index: DeliveryIndex) {
        let now = self.now;
        let Delivery { group, member, .. } = *self.delivery(index);
        self.subscription(group).choose(now, &Choice::AutoCommit(MemberId(member)));
    }

    /// Which attempt a consumer can see that it is.
    pub(super) fn seen_attempt(&self, index: DeliveryIndex) -> u16 {
        let Delivery { tries, attempt, .. } = *self.delivery(index);
        self.sees.of(if self.is_driven { tries } else { attempt })
    }

    /// Puts what would be sent next to the member that has a delivery into its inbox, up to so many messages.
    pub(super) fn fill_inbox(&mut self, index: DeliveryIndex, most: u8) {
        let now = self.now;
        let Delivery { group, member: place, .. } = *self.delivery(index);
        for _ in 0..most {
            let subscription = self.known(group);
            let choices = subscription.may(now);
            let to_it = |choice: &Choice| match choice {
                Choice::Send(number, member) if *member == MemberId(place) => Some(*number),
                _ => None,
            };
            let newest = |number: MessageId| subscription.newest[number.0 as usize];
            let next = choices.iter().filter_map(to_it).find(|number| {
                let delivery = &self.deliveries[newest(*number)];
                // Another copy of it may be in an inbox already, and this one is sent some other time.
                let may_be = delivery.state == State::Queued && !delivery.parked;
                may_be && !subscription.is_unread(newest(*number)) && self.fits(group, place, newest(*number))
            });
            let Some(number) = next else { break };
            self.put_into_inbox(group, number, place, None);
        }
    }

    /// Sends a message to a member, in whose inbox it waits to be handled.
    fn put_into_inbox(&mut self, group: GroupIndex, number: MessageId, place: u16, sent: Option<Sent>) {
        let now = self.now;
        let subscription = self.subscription(group);
        let sent = sent.or_else(|| subscription.choose(now, &Choice::Send(number, MemberId(place))));
        let delivery = subscription.newest[number.0 as usize];
        let count = sent.map_or(1, |sent| sent.count);
        subscription.inbox.push(Unread { place, delivery, count });
        let delivery = self.deliveries.change(delivery);
        (delivery.member, delivery.tries) = (place, count);
    }

    /// Takes what a member says of a delivery, or that it says nothing.
    pub(super) fn hear(&mut self, index: DeliveryIndex, reply: Reply, delay: Option<Duration>, silence: Silence) {
        let group = self.delivery(index).group;
        if reply == Reply::NotYet {
            return self.refresh(group);
        }
        self.stop_handling(index);
        match reply {
            Reply::Ack => {
                self.commit_transaction(index);
                self.tell_ack(index);
                self.finish(index);
            }
            Reply::LateAck => self.deliveries.change(index).state = State::Acking,
            Reply::Nak if self.known(group).rules().takes_naks() => {
                self.tell_answer(index, Answer::Nak(delay.map(wait_of)));
                self.begin_waiting(index);
            }
            // What its engine is told of the crash follows.
            Reply::Nak | Reply::Silence | Reply::NotYet if silence == Silence::Crashed => {
                return self.begin_waiting(index);
            }
            Reply::Nak | Reply::Silence | Reply::NotYet => self.hear_nothing(index, silence),
        }
        self.refresh(group);
    }

    fn hear_nothing(&mut self, index: DeliveryIndex, silence: Silence) {
        let now = self.now;
        let (group, number) = self.of_engine(index);
        let member = MemberId(self.delivery(index).member);
        let subscription = self.subscription(group);
        match (subscription.rules(), silence) {
            // A commit that is lost is made up for by the next one.
            (Rules::Offsets(rules), Silence::AckLost) if !rules.transactions => return self.finish(index),
            // It could not handle it, whether it says so or not.
            (Rules::Offsets(rules), Silence::Failed) if rules.retries.is_some() => {
                self.tell_answer(index, Answer::Nak(None));
            }
            // The client goes back to what it could not handle, or could not commit together with what it published.
            (Rules::Offsets(_), Silence::Failed | Silence::AckLost) => {
                let (partition, before) = subscription.log.position(number);
                subscription.tell(now, &Told::Sought(member, partition, before));
            }
            _ if subscription.due(number).is_none() && !subscription.claims() && subscription.engine.holds(number) => {
                // Only a connection that breaks loses an ack, or makes it come again.
                match (subscription.rules().keeps_at(How::Reconnect), silence) {
                    (false, _) => _ = subscription.tell(now, &Told::Left(member, How::Reconnect)),
                    // The client says it once more over the next one.
                    (true, Silence::AckLost) => {
                        self.tell_ack(index);
                        return self.finish(index);
                    }
                    // Nothing but a client that begins anew makes it come again.
                    (true, _) => {
                        self.begin_waiting(index);
                        return self.member_leaves_group(group, member.0, How::Close);
                    }
                }
            }
            _ => {}
        }
        self.begin_waiting(index);
    }

    /// Notes that no handler works on a delivery any more.
    pub(super) fn stop_handling(&mut self, index: DeliveryIndex) {
        let group = self.delivery(index).group;
        take_out(&mut self.subscription(group).handling, &index);
    }

    fn tell_answer(&mut self, index: DeliveryIndex, answer: Answer) {
        let now = self.now;
        let (group, message) = self.of_engine(index);
        let Delivery { member, tries: count, .. } = *self.delivery(index);
        let told = Told::Answered { member: MemberId(member), message, count, answer };
        self.subscription(group).tell(now, &told);
    }

    fn tell_ack(&mut self, index: DeliveryIndex) {
        match self.known(self.delivery(index).group).rules() {
            Rules::Offsets(rules) if rules.commits != Commits::Manual => self.commit_handed(index),
            _ => self.tell_answer(index, Answer::Ack),
        }
    }

    /// Takes an ack that comes late.
    pub(super) fn hear_late_ack(&mut self, index: DeliveryIndex) {
        let group = self.delivery(index).group;
        self.commit_transaction(index);
        self.tell_ack(index);
        self.finish(index);
        self.refresh(group);
    }

    /// Ends the wait for a delivery.
    pub(super) fn wait_ended(&mut self, index: DeliveryIndex) {
        let now = self.now;
        let (group, number) = self.of_engine(index);
        let members = self.groups[group.get()].members.len() as u16;
        let subscription = self.subscription(group);
        subscription.timers[number.0 as usize] = None;
        match subscription.due(number) {
            Some(due) if due <= now => subscription.expire(now, number),
            None if subscription.claims() && subscription.engine.holds(number) => {
                let claimer = (self.delivery(index).member + 1) % members;
                return self.claim(index, claimer);
            }
            _ => {}
        }
        self.refresh(group);
    }

    /// Lets a member take over a delivery that another one has, or had.
    fn claim(&mut self, index: DeliveryIndex, claimer: u16) {
        let now = self.now;
        let (group, number) = self.of_engine(index);
        let sent = self.subscription(group).tell(now, &Told::Claimed(MemberId(claimer), vec![number]));
        if let Some(sent) = sent.first() {
            self.stand(group, number);
            self.put_into_inbox(group, number, claimer, Some(*sent));
        }
        self.refresh(group);
    }

    /// Takes a message out that is lost on its way.
    pub(super) fn drop_on_the_way(&mut self, index: DeliveryIndex) {
        let group = self.delivery(index).group;
        self.send(index);
        self.stop_handling(index);
        self.tell_ack(index);
        self.leave_ready(index);
        self.close(index);
        self.refresh(group);
    }

    /// A member leaves its groups, in some way, and is back, unless it is there all the time.
    pub(crate) fn member_leaves(&mut self, service: ServiceIndex, ordinal: u16, how: How) {
        let member = Member { service, ordinal };
        for group in self.group_indices() {
            let members = &self.groups[group.get()].members;
            let Some(place) = members.iter().position(|other| *other == member) else { continue };
            self.member_leaves_group(group, place as u16, how);
        }
    }

    fn member_leaves_group(&mut self, group: GroupIndex, place: u16, how: How) {
        let (now, is_mine) = (self.now, |unread: &mut Unread| unread.place == place);
        let subscription = self.subscription(group);
        // Otherwise it goes on with what it has.
        let lost: Vec<Unread> = if subscription.rules().keeps_at(how) {
            Vec::new()
        } else {
            subscription.inbox.extract_if(.., is_mine).collect()
        };
        subscription.tell(now, &Told::Left(MemberId(place), how));
        if how == How::Crash && matches!(subscription.rules(), Rules::Offsets(_)) {
            subscription.choose(now, &Choice::Evict(MemberId(place)));
        }
        if how != How::Reconnect {
            subscription.tell(now, &Told::Joined(MemberId(place), Start::Earliest));
        }
        for Unread { delivery, .. } in lost {
            self.leave_ready(delivery);
            self.begin_waiting(delivery);
        }
        self.refresh(group);
    }

    /// Does what happens to a member, or to what it has, after it was handed a delivery. Whether it took something out
    /// of a log.
    pub(crate) fn change(&mut self, index: DeliveryIndex, change: MemberChange) -> bool {
        let Delivery { group, member: place, .. } = *self.delivery(index);
        match change {
            MemberChange::Rebalance => self.rebalance(group),
            MemberChange::Reconnect => self.member_leaves_group(group, place, How::Reconnect),
            MemberChange::Close => self.member_leaves_group(group, place, How::Close),
            MemberChange::Cancel => self.member_leaves_group(group, place, How::Cancel),
            MemberChange::Claim => {
                let members = self.groups[group.get()].members.len() as u16;
                self.claim(index, (place + 1) % members);
            }
            // It was done before the message was handled.
            MemberChange::CommitAhead => {}
            MemberChange::Restart => self.group_indices().for_each(|group| self.break_connections(group)),
            MemberChange::ForgetAck => {
                let number = self.of_engine(index).1;
                self.fail_over(group, Failure::Forgot(number));
            }
            MemberChange::Rewind => {
                let number = self.of_engine(index).1;
                let partition = self.known(group).log.entry(number).partition;
                self.fail_over(group, Failure::Rewound(partition));
            }
            MemberChange::Truncate => return self.truncate(),
            MemberChange::Compact => return self.compact(index),
            MemberChange::Expire => return self.expire(index),
            MemberChange::ForgetCounts => self.fail_over(group, Failure::Counts),
            MemberChange::Redrive => self.redrive(group),
        }
        false
    }

    /// Lets the broker of a group fail over to a copy that lacks something.
    fn fail_over(&mut self, group: GroupIndex, failure: Failure) {
        let now = self.now;
        self.subscription(group).tell(now, &Told::Failed(failure));
        self.break_connections(group);
    }

    /// Breaks the connections of all members of a group, if it has joined.
    fn break_connections(&mut self, group: GroupIndex) {
        let members = if self.groups[group.get()].joined { self.groups[group.get()].members.len() } else { 0 };
        (0..members).for_each(|place| self.member_leaves_group(group, place as u16, How::Reconnect));
    }

    /// Publishes the dead letters of a group to it, and to nobody else, once more.
    fn redrive(&mut self, group: GroupIndex) {
        let is_there = |index: &DeliveryIndex| {
            let delivery = self.delivery(*index);
            delivery.group == group && delivery.successor.is_none()
        };
        let letters: Vec<DeliveryIndex> = self.dead.iter().copied().filter(is_there).collect();
        for letter in letters {
            let again = self.add_twin(letter, false);
            self.deliveries.change(letter).successor = Some(again);
            self.append(again);
        }
    }

    /// Lets the owners of a group's partitions, or of its keys, change while its members stay.
    fn rebalance(&mut self, group: GroupIndex) {
        let now = self.now;
        let subscription = self.subscription(group);
        subscription.turn = subscription.turn.wrapping_add(1);
        subscription.tell(now, &Told::Joined(MemberId(0), Start::Earliest));
        self.refresh(group);
    }
}

fn wait_of(delay: Duration) -> Wait {
    Wait::of_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
