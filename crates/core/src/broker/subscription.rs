//! Groups whose messages an engine hands out: brokers as they are.
//!
//! The engine says what it may send to whom; what the world picks is sent. What an engine does by itself is done
//! at once: a partition goes to a member, a message that came too often is given up, a late ack counts. Its waits
//! are timers of the world.

mod refresh;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::delivery::{Delivery, DeliveryIndex, GroupIndex, State};
use super::hand_out::{Reply, Silence};
use super::{Broker, Member, Profile, take_out};
use crate::engine::{self, Answer, Choice, Clock, Commits, Engine, Entry, How, KeyId, MemberId, MessageId, Rules};
use crate::engine::{PartitionId, Sees, Sent, Start, Told, TopicId, Wait};
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
}

/// A delivery in the inbox of a member.
#[derive(Clone, Copy, Debug)]
struct Unread {
    place: u16,
    delivery: DeliveryIndex,
    count: u16,
}

/// A member of a group, as its engine knows it.
const fn member_id(place: u16) -> MemberId {
    MemberId(place)
}

fn number_of(delivery: &Delivery) -> MessageId {
    MessageId(delivery.unit)
}

impl Subscription {
    /// The subscription of so many members, who are there from the start if it has joined.
    pub(super) fn new(rules: &Rules, members: usize, joined: bool) -> Subscription {
        let mut subscription = Subscription {
            engine: rules.begin(),
            log: engine::Log::default(),
            newest: Vec::new(),
            timers: Vec::new(),
            open: BTreeSet::new(),
            keys: BTreeMap::new(),
            inbox: Vec::new(),
            handling: Vec::new(),
            turn: 0,
        };
        if joined {
            subscription.join(rules, members, Clock::at(Time(0)));
        }
        subscription
    }

    fn tell(&mut self, rules: &Rules, clock: Clock, told: &Told) -> Vec<Sent> {
        let mut sent = Vec::new();
        self.engine.tell(rules, &self.log, clock, told, &mut sent);
        sent
    }

    fn choose(&mut self, rules: &Rules, clock: Clock, choice: &Choice) -> Option<Sent> {
        self.engine.choose(rules, &self.log, clock, choice)
    }

    fn may(&self, rules: &Rules, clock: Clock) -> Vec<Choice> {
        let mut choices = Vec::new();
        self.engine.may(rules, &self.log, clock, &mut choices);
        choices
    }

    /// What it may send, and to whom. What is asked for by itself is not received in one go with what was sent
    /// before.
    fn sendable(&self, rules: &Rules, Clock { time, late }: Clock) -> Sendable {
        let mut sendable = Sendable::new();
        for choice in self.may(rules, Clock { time: Time(time.0 + 1), late }) {
            if let Choice::Send(number, MemberId(place)) = choice {
                sendable.entry(number).or_default().push(place);
            }
        }
        sendable
    }

    /// Ends the wait for a message, and those that end before it.
    fn expire(&mut self, rules: &Rules, clock: Clock, number: MessageId) {
        while self.due(rules, number).is_some_and(|due| due <= clock.time) {
            let ending = self.may(rules, clock).into_iter().find(|choice| matches!(choice, Choice::Expire(_)));
            let Some(choice) = ending else { return };
            self.choose(rules, clock, &choice);
            if choice == Choice::Expire(number) {
                return;
            }
        }
    }

    fn join(&mut self, rules: &Rules, members: usize, clock: Clock) {
        for place in 0..members as u16 {
            self.tell(rules, clock, &Told::Joined(member_id(place), Start::Earliest));
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
    fn due(&self, rules: &Rules, number: MessageId) -> Option<Time> {
        self.engine.due(rules, number)
    }

    /// A hash of everything that decides what it does.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = StableHasher::default();
        self.engine.hash(&mut hasher);
        self.turn.hash(&mut hasher);
        for Unread { place, delivery, count } in &self.inbox {
            (place, delivery, count).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// How many partitions there are, of which each message goes to one by its key.
fn partitions(rules: &Rules) -> u16 {
    match rules {
        Rules::Offsets(rules) => rules.partitions.max(1),
        _ => 1,
    }
}

/// Whether a member can take over what another one holds.
const fn claims(rules: &Rules) -> bool {
    matches!(rules, Rules::Queue(rules) if rules.claims)
}

/// Whether a member can say that a message is to come again.
const fn knows_nak(rules: &Rules) -> bool {
    match rules {
        Rules::Queue(rules) => rules.naks,
        Rules::Keyed(_) | Rules::Push(_) => true,
        Rules::Offsets(_) => false,
    }
}

impl Profile {
    /// What may happen to the members of a group at this broker.
    #[must_use]
    pub fn changes(&self) -> MemberChanges {
        let Some(engine) = &self.engine else { return MemberChanges::NONE };
        let (of_offsets, of_queues) = (MemberChange::Rebalance, [MemberChange::Reconnect, MemberChange::Close]);
        MemberChanges::of(&match &engine.rules {
            Rules::Offsets(rules) if rules.commits == Commits::Auto => {
                vec![of_offsets, MemberChange::Reconnect, MemberChange::Close, MemberChange::CommitAhead]
            }
            Rules::Offsets(_) => vec![of_offsets, MemberChange::Reconnect, MemberChange::Close],
            Rules::Queue(rules) if rules.claims => {
                vec![MemberChange::Reconnect, MemberChange::Close, MemberChange::Cancel, MemberChange::Claim]
            }
            Rules::Queue(_) => vec![MemberChange::Reconnect, MemberChange::Close, MemberChange::Cancel],
            Rules::Keyed(_) | Rules::Push(_) => of_queues.to_vec(),
        })
    }
}

impl<E: Event> Broker<E> {
    fn clock(&self) -> Clock {
        Clock::at(self.now)
    }

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

    /// A group's subscription and its rules.
    ///
    /// # Panics
    /// If no engine hands out the group's messages.
    fn subscription(&mut self, group: GroupIndex) -> (&mut Subscription, &Rules) {
        let rules = &self.profile.engine.as_ref().expect("an engine").rules;
        (self.groups[group.get()].subscription.as_mut().expect("a subscription"), rules)
    }

    /// [`Broker::subscription`], to be looked at.
    fn known(&self, group: GroupIndex) -> (&Subscription, &Rules) {
        let rules = &self.profile.engine.as_ref().expect("an engine").rules;
        (self.groups[group.get()].subscription.as_ref().expect("a subscription"), rules)
    }

    /// Publishes a message, of which this is the first delivery, to a group's subscription.
    pub(super) fn append(&mut self, index: DeliveryIndex) {
        let clock = self.clock();
        let Delivery { message, group, .. } = *self.delivery(index);
        let (record, route) = (self.message(message).name.record, self.message(message).route);
        let (subscription, rules) = self.subscription(group);
        let partition = (hash::mix(record.word(), 0) % u64::from(partitions(rules))) as u16;
        let entry = Entry { topic: TopicId(route), key: subscription.key(record), partition: PartitionId(partition) };
        let number = subscription.append(index, entry);
        subscription.tell(rules, clock, &Told::Published(number));
        self.deliveries.change(index).unit = number.0;
        self.refresh(group);
    }

    /// Lets the members of a group in that joins late.
    pub(super) fn let_in(&mut self, group: GroupIndex) {
        let (clock, members) = (self.clock(), self.groups[group.get()].members.len());
        let (subscription, rules) = self.subscription(group);
        subscription.join(rules, members, clock);
        self.refresh(group);
    }

    /// Sends a ready delivery to the member that it is ready for, or takes it out of that member's inbox.
    pub(super) fn send(&mut self, index: DeliveryIndex) -> Member {
        let clock = self.clock();
        let Delivery { group, .. } = *self.delivery(index);
        let number = number_of(self.delivery(index));
        let unread = self.subscription(group).0.inbox.iter().position(|unread| unread.delivery == index);
        let (place, count) = match unread {
            Some(at) => {
                let Unread { place, count, .. } = self.subscription(group).0.inbox.remove(at);
                (place, count)
            }
            None => {
                let (subscription, rules) = self.known(group);
                let sendable = subscription.sendable(rules, clock);
                let place = self.target(group, index, &sendable).expect("a member that it is ready for");
                let (subscription, rules) = self.subscription(group);
                let sent = subscription.choose(rules, clock, &Choice::Send(number, member_id(place)));
                (place, sent.map_or(1, |sent| sent.count))
            }
        };
        self.subscription(group).0.handling.push(index);
        let delivery = self.deliveries.change(index);
        (delivery.member, delivery.tries) = (place, count);
        self.groups[group.get()].members[usize::from(place)]
    }

    /// What may happen to a group's members.
    #[inline]
    pub(crate) fn changes(&self) -> MemberChanges {
        self.changes
    }

    /// Commits what the member was handed that has a delivery.
    pub(super) fn commit_ahead(&mut self, index: DeliveryIndex) {
        let clock = self.clock();
        let Delivery { group, member, .. } = *self.delivery(index);
        let (subscription, rules) = self.subscription(group);
        subscription.choose(rules, clock, &Choice::AutoCommit(member_id(member)));
    }

    /// Which attempt a consumer can see that it is.
    pub(super) fn seen_attempt(&self, index: DeliveryIndex) -> u16 {
        let tries = self.delivery(index).tries;
        match self.profile.engine.as_ref().map(|profile| profile.sees) {
            Some(Sees::Flag) => tries.min(2),
            Some(Sees::Nothing) => 1,
            _ => tries,
        }
    }

    /// Puts what would be sent next to the member that has a delivery into its inbox, up to so many messages.
    pub(super) fn fill_inbox(&mut self, index: DeliveryIndex, most: u8) {
        let clock = self.clock();
        let Delivery { group, member: place, .. } = *self.delivery(index);
        for _ in 0..most {
            let (subscription, rules) = self.known(group);
            let choices = subscription.may(rules, clock);
            let to_it = |choice: &Choice| match choice {
                Choice::Send(number, member) if *member == member_id(place) => Some(*number),
                _ => None,
            };
            let newest = |number: MessageId| subscription.newest[number.0 as usize];
            let next = choices.iter().filter_map(to_it).find(|number| {
                let delivery = &self.deliveries[newest(*number)];
                delivery.state == State::Queued && !delivery.parked && self.fits(group, place, newest(*number))
            });
            let Some(number) = next else { break };
            self.put_into_inbox(group, number, place, None);
        }
    }

    /// Sends a message to a member, in whose inbox it waits to be handled.
    fn put_into_inbox(&mut self, group: GroupIndex, number: MessageId, place: u16, sent: Option<Sent>) {
        let clock = self.clock();
        let (subscription, rules) = self.subscription(group);
        let sent = sent.or_else(|| subscription.choose(rules, clock, &Choice::Send(number, member_id(place))));
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
        take_out(&mut self.subscription(group).0.handling, &index);
        match reply {
            Reply::Ack => {
                self.tell_ack(index);
                self.finish(index);
            }
            Reply::LateAck => self.deliveries.change(index).state = State::Acking,
            Reply::Nak if knows_nak(self.subscription(group).1) => {
                self.tell_answer(index, Answer::Nak(delay.map(wait_of)));
                self.wait_in_vain(index);
            }
            // What its engine is told of the crash follows.
            Reply::Nak | Reply::Silence | Reply::NotYet if silence == Silence::Crashed => {
                return self.wait_in_vain(index);
            }
            Reply::Nak | Reply::Silence | Reply::NotYet => self.hear_nothing(index, silence),
        }
        self.refresh(group);
    }

    fn hear_nothing(&mut self, index: DeliveryIndex, silence: Silence) {
        let clock = self.clock();
        let Delivery { group, member: place, .. } = *self.delivery(index);
        let number = number_of(self.delivery(index));
        let (subscription, rules) = self.subscription(group);
        match (rules, silence) {
            // A commit that is lost is made up for by the next one.
            (Rules::Offsets(_), Silence::AckLost) => return self.finish(index),
            // The client goes back to what it could not handle.
            (Rules::Offsets(_), Silence::Failed) => {
                let (partition, before) = subscription.log.position(number);
                subscription.tell(rules, clock, &Told::Sought(member_id(place), partition, before));
            }
            _ if subscription.due(rules, number).is_none() && !claims(rules) && subscription.engine.holds(number) => {
                // Only a connection that breaks loses an ack, or makes it come again.
                subscription.tell(rules, clock, &Told::Left(member_id(place), How::Reconnect));
            }
            _ => {}
        }
        self.wait_in_vain(index);
    }

    /// Notes that no answer to a delivery will come.
    fn wait_in_vain(&mut self, index: DeliveryIndex) {
        if self.delivery(index).superseded {
            return self.finish(index);
        }
        self.deliveries.change(index).state = State::Waiting;
        self.waiting.push(index);
    }

    /// Notes that a handler was cut off.
    pub(super) fn cut_off(&mut self, index: DeliveryIndex) {
        let group = self.delivery(index).group;
        take_out(&mut self.subscription(group).0.handling, &index);
        self.wait_in_vain(index);
    }

    fn tell_answer(&mut self, index: DeliveryIndex, answer: Answer) {
        let clock = self.clock();
        let Delivery { group, member, tries: count, .. } = *self.delivery(index);
        let message = number_of(self.delivery(index));
        let (subscription, rules) = self.subscription(group);
        subscription.tell(rules, clock, &Told::Answered { member: member_id(member), message, count, answer });
    }

    fn tell_ack(&mut self, index: DeliveryIndex) {
        let clock = self.clock();
        let Delivery { group, member, .. } = *self.delivery(index);
        let (subscription, rules) = self.subscription(group);
        match rules {
            Rules::Offsets(offsets) if offsets.commits != Commits::Manual => {
                subscription.choose(rules, clock, &Choice::AutoCommit(member_id(member)));
            }
            _ => self.tell_answer(index, Answer::Ack),
        }
    }

    /// Takes an ack that comes late.
    pub(super) fn hear_late_ack(&mut self, index: DeliveryIndex) {
        let group = self.delivery(index).group;
        self.tell_ack(index);
        self.finish(index);
        self.refresh(group);
    }

    /// Ends the wait for a delivery.
    pub(super) fn wait_ended(&mut self, index: DeliveryIndex) {
        let clock = self.clock();
        let group = self.delivery(index).group;
        let number = number_of(self.delivery(index));
        let members = self.groups[group.get()].members.len() as u16;
        let (subscription, rules) = self.subscription(group);
        subscription.timers[number.0 as usize] = None;
        match subscription.due(rules, number) {
            Some(due) if due <= clock.time => subscription.expire(rules, clock, number),
            None if claims(rules) && subscription.engine.holds(number) => {
                let claimer = (self.delivery(index).member + 1) % members;
                return self.claim(index, claimer);
            }
            _ => {}
        }
        self.refresh(group);
    }

    /// Lets a member take over a delivery that another one has, or had.
    fn claim(&mut self, index: DeliveryIndex, claimer: u16) {
        let clock = self.clock();
        let group = self.delivery(index).group;
        let number = number_of(self.delivery(index));
        let (subscription, rules) = self.subscription(group);
        let sent = subscription.tell(rules, clock, &Told::Claimed(member_id(claimer), vec![number]));
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
        take_out(&mut self.subscription(group).0.handling, &index);
        self.tell_ack(index);
        self.leave_ready(index);
        self.close(index);
        self.refresh(group);
    }

    /// A member leaves its groups, in some way, and is back, unless it is there all the time.
    pub(crate) fn member_leaves(&mut self, service: ServiceIndex, ordinal: u16, how: How) {
        let member = Member { service, ordinal };
        for group in (0..self.groups.len()).map(|place| GroupIndex(place as u16)) {
            let members = &self.groups[group.get()].members;
            let Some(place) = members.iter().position(|other| *other == member) else { continue };
            self.member_leaves_group(group, place as u16, how);
        }
    }

    fn member_leaves_group(&mut self, group: GroupIndex, place: u16, how: How) {
        let (clock, is_mine) = (self.clock(), |unread: &mut Unread| unread.place == place);
        let (subscription, rules) = self.subscription(group);
        let lost: Vec<Unread> = match how {
            // What it has it goes on with.
            How::Cancel => Vec::new(),
            _ => subscription.inbox.extract_if(.., is_mine).collect(),
        };
        subscription.tell(rules, clock, &Told::Left(member_id(place), how));
        if how == How::Crash && matches!(rules, Rules::Offsets(_)) {
            subscription.choose(rules, clock, &Choice::Evict(member_id(place)));
        }
        if how != How::Reconnect {
            subscription.tell(rules, clock, &Told::Joined(member_id(place), Start::Earliest));
        }
        for Unread { delivery, .. } in lost {
            self.leave_ready(delivery);
            if self.delivery(delivery).superseded {
                self.finish(delivery);
            } else {
                self.deliveries.change(delivery).state = State::Waiting;
                self.waiting.push(delivery);
            }
        }
        self.refresh(group);
    }

    /// Does what happens to a member, or to what it has, after it was handed a delivery.
    pub(crate) fn change(&mut self, index: DeliveryIndex, change: MemberChange) {
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
        }
    }

    /// Lets the owners of a group's partitions, or of its keys, change while its members stay.
    fn rebalance(&mut self, group: GroupIndex) {
        let clock = self.clock();
        let (subscription, rules) = self.subscription(group);
        subscription.turn = subscription.turn.wrapping_add(1);
        subscription.tell(rules, clock, &Told::Joined(member_id(0), Start::Earliest));
        self.refresh(group);
    }
}

fn wait_of(delay: Duration) -> Wait {
    Wait::of_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
}
