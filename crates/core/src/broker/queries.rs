//! Read access to the broker: its rules, deliveries and messages by name, and the digest of its state.

use std::time::Duration;

use super::{
    Broker, Delivery, DeliveryIndex, DeliveryName, GroupIndex, MaxDeliver, Member, Message, MessageIndex, Ordering,
    Profile, RedeliverAt, State,
};
use crate::event::Event;
use crate::hash;
use crate::ids::{RecordId, ServiceIndex, Version};

impl<E: Event> Broker<E> {
    /// The rules it follows.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The most messages that one step published, if one published several.
    pub(crate) fn burst(&self) -> usize {
        self.burst
    }

    /// Every message ever published, in publish order.
    #[must_use]
    pub fn messages(&self) -> &[Message<E>] {
        &self.log.messages
    }

    /// One message.
    #[must_use]
    pub fn message(&self, index: MessageIndex) -> &Message<E> {
        &self.log.messages[index.get()]
    }

    /// Whether a message about this version of a record was published, whatever its subject.
    pub(crate) fn has_published(&self, record: RecordId, version: Version) -> bool {
        self.log.has(record, version)
    }

    /// The message before `index` on the same subject about the same record.
    #[must_use]
    pub fn previous(&self, index: MessageIndex) -> Option<MessageIndex> {
        self.message(index).previous
    }

    /// The groups a message goes to, each with the place of what the broker remembers of it there.
    pub(crate) fn groups_of(&self, index: MessageIndex) -> impl Iterator<Item = (u32, GroupIndex)> + '_ {
        let message = self.message(index);
        (message.first_entry..).zip(self.routes[usize::from(message.route)].groups.iter().copied())
    }

    /// Whether a message is given up that came too often.
    pub(crate) fn gives_up(&self) -> bool {
        self.profile.max_deliver != MaxDeliver::Unlimited
    }

    /// Whether another delivery has taken the place of one, and is not done.
    pub(crate) fn comes_again(&self, index: DeliveryIndex) -> bool {
        let next = |index: &DeliveryIndex| self.delivery(*index).successor;
        std::iter::successors(next(&index), next).any(|successor| self.delivery(successor).is_open())
    }

    /// How long the broker waits for the answer to a delivery that was handed out just now; `None` if for ever.
    pub(crate) fn lease_of(&self, index: DeliveryIndex) -> Option<Duration> {
        match self.is_driven {
            true => self.lease_by_engine(index),
            false => self.profile.wait_for(self.delivery(index).tries),
        }
    }

    /// Every delivery of the run so far.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        self.deliveries.all()
    }

    /// One delivery.
    #[must_use]
    pub fn delivery(&self, index: DeliveryIndex) -> &Delivery {
        &self.deliveries[index]
    }

    /// The deliveries that may be handled now.
    #[must_use]
    pub fn ready(&self) -> &[DeliveryIndex] {
        &self.ready
    }

    /// Whether a delivery may be handled now.
    #[must_use]
    pub fn is_ready(&self, index: DeliveryIndex) -> bool {
        self.deliveries[index].is_ready()
    }

    /// The deliveries no ack will come for, whose ack wait or nak delay runs.
    #[must_use]
    pub fn waiting(&self) -> &[DeliveryIndex] {
        &self.waiting
    }

    /// The deliveries given up after too many attempts.
    #[must_use]
    pub fn dead(&self) -> &[DeliveryIndex] {
        &self.dead
    }

    /// Whether any of those is of the group of a delivery.
    pub(crate) fn has_dead_of(&self, index: DeliveryIndex) -> bool {
        let group = self.delivery(index).group;
        self.dead.iter().any(|dead| self.delivery(*dead).group == group)
    }

    /// How many of those were put back where they came from.
    pub(crate) fn redriven(&self) -> usize {
        self.dead.iter().filter(|index| self.delivery(**index).successor.is_some()).count()
    }

    /// The deliveries that still have to be done, in message order.
    pub fn open(&self) -> impl Iterator<Item = DeliveryIndex> + '_ {
        let indices = 0..self.deliveries.all().len() as u32;
        indices.map(DeliveryIndex).filter(|index| self.delivery(*index).is_open())
    }

    /// Whether, when nothing is ready and no handler and no ack is under way, something is queued
    /// that a delivery in flight holds up.
    pub(crate) fn has_blocked(&self) -> bool {
        let parked: usize = self.groups.iter().map(|group| group.parked.len()).sum();
        self.open > (self.waiting.len() + parked) as u64
    }

    /// How many deliveries still have to be done.
    #[must_use]
    pub fn open_count(&self) -> u64 {
        self.open
    }

    /// A delivery's name.
    #[must_use]
    pub fn name(&self, index: DeliveryIndex) -> DeliveryName<'_> {
        let delivery = self.delivery(index);
        DeliveryName {
            message: self.message(delivery.message).name,
            group: &self.groups[delivery.group.get()].name,
            attempt: delivery.attempt,
        }
    }

    /// A group's name.
    #[must_use]
    pub fn group_name(&self, group: GroupIndex) -> &str {
        &self.groups[group.get()].name
    }

    /// All groups.
    pub(crate) fn group_indices(&self) -> impl Iterator<Item = GroupIndex> + use<E> {
        (0..self.groups.len()).map(|place| GroupIndex(place as u16))
    }

    /// The groups that have not joined yet.
    pub fn absent_groups(&self) -> impl Iterator<Item = GroupIndex> + '_ {
        self.group_indices().filter(|group| !self.groups[group.get()].joined)
    }

    /// The service all members of a group belong to; `None` if services share the group.
    #[inline]
    pub(crate) fn service_of(&self, group: GroupIndex) -> Option<ServiceIndex> {
        self.groups[group.get()].service
    }

    /// The service that alone gets a delivery; `None` if services share its group.
    pub(crate) fn service_of_delivery(&self, index: DeliveryIndex) -> Option<ServiceIndex> {
        self.service_of(self.delivery(index).group)
    }

    /// What a member of a service had and no ack will come for, in the order in which to release it
    /// so that what is released together stays in publish order.
    pub(crate) fn waiting_at(&self, service: ServiceIndex, ordinal: u16) -> Vec<DeliveryIndex> {
        let member = Member { service, ordinal };
        let held = self.waiting.iter().filter(|index| {
            let delivery = self.delivery(**index);
            self.groups[delivery.group.get()].members[usize::from(delivery.member)] == member
        });
        let mut held: Vec<DeliveryIndex> = held.copied().collect();
        held.sort_by_key(|index| (self.delivery(*index).message, *index));
        held
    }

    /// How many handlings of a delivery's message, by its group, changed the service's store so far.
    #[must_use]
    pub fn effects(&self, index: DeliveryIndex) -> u16 {
        self.deliveries.effects(self.delivery(index).entry)
    }

    /// Whether handling it once more would change nothing, given its service's store.
    #[inline]
    pub(crate) fn is_futile(&self, index: DeliveryIndex, tick: u64) -> bool {
        self.delivery(index).futile_at == tick
    }

    /// Whether handling it once more would change nothing, whichever of the services that share its
    /// group got it, given the state of each one's store.
    #[inline(never)]
    pub(crate) fn is_futile_for_all(&self, index: DeliveryIndex, tick: impl Fn(ServiceIndex) -> u64) -> bool {
        let delivery = self.delivery(index);
        let message = self.message(delivery.message);
        let mut candidates = self.groups[delivery.group.get()].candidates(message.route, message.name.record);
        candidates.all(|service| self.futile_for.get(&(index, service)) == Some(&tick(service)))
    }

    /// A hash of everything that decides what may still happen and how it will be judged,
    /// independent of list order and of how often anything was tried without effect. A parked delivery
    /// counts as ready: handing it out would change nothing.
    #[must_use]
    pub fn digest(&self) -> u64 {
        hash::mix(self.sum_digest(), self.rest_digest())
    }

    /// What of the digest is a sum: over what is open, and over all messages if their order does not
    /// count.
    pub(crate) fn sum_digest(&self) -> u64 {
        self.sum_with(self.open().fold(0u64, |sum, index| sum.wrapping_add(self.digest_of(index))))
    }

    /// [`Broker::sum_digest`], given the sum over what is open.
    #[inline]
    pub(super) fn sum_with(&self, open: u64) -> u64 {
        if self.all_joined() { open.wrapping_add(self.log.sum()) } else { open }
    }

    /// The rest of [`Broker::digest`].
    #[inline(always)]
    pub(crate) fn rest_digest(&self) -> u64 {
        let (mut order, mut joined) = (0u64, 0);
        for group in self.groups.iter() {
            if group.queued > 0 {
                for queue in &group.units {
                    let queue = queue.iter().fold(0, |hash, index| hash::mix(hash, self.digest_of(*index)));
                    order = order.wrapping_add(queue);
                }
            }
            if let Some(subscription) = &group.subscription {
                order = hash::mix(order, subscription.digest());
            }
            joined = hash::mix(joined, group.joined.into());
        }
        let dead = self.dead.iter().fold(0u64, |sum, index| sum.wrapping_add(self.digest_of(*index)));
        let dead = dead.wrapping_add(self.transactions_digest());
        hash::mix3(hash::mix(order, self.places_digest()), hash::mix(joined, dead), self.log_order())
    }

    /// Before what a delivery in flight was published, if it will come back to a place that depends
    /// on that.
    fn places_digest(&self) -> u64 {
        if self.profile.redeliver_at == RedeliverAt::Any {
            return 0;
        }
        let mut sum = 0u64;
        for index in self.open().filter(|index| self.delivery(*index).is_in_flight()) {
            let delivery = self.delivery(index);
            let has_one_order = |other: &Delivery| match self.profile.ordering {
                Ordering::Subscription => other.group == delivery.group,
                _ => other.lane == delivery.lane,
            };
            for other in self.open().filter(|other| has_one_order(self.delivery(*other))) {
                if delivery.message < self.delivery(other).message {
                    sum = sum.wrapping_add(hash::mix3(self.digest_of(index), self.digest_of(other), 1));
                }
            }
        }
        sum
    }

    /// In which order what was published was, if that counts: if a group has yet to join, which will
    /// get it all.
    fn log_order(&self) -> u64 {
        match self.all_joined() {
            true => 0,
            false => self.log.messages.iter().fold(0, |hash, message| hash::mix(hash, message.hash)),
        }
    }

    fn all_joined(&self) -> bool {
        self.groups.iter().all(|group| group.joined)
    }

    /// A hash of what is delivered to whom, where it stands, and what it has done so far.
    pub(crate) fn digest_of(&self, index: DeliveryIndex) -> u64 {
        self.digest_of_delivery(self.delivery(index))
    }

    #[inline(always)]
    fn digest_of_delivery(&self, delivery: &Delivery) -> u64 {
        let class = match delivery.state {
            State::Queued if delivery.is_ready() || delivery.parked => 0,
            State::Queued => 1,
            State::Handling => 2,
            State::Acking => 3,
            State::Waiting => 4,
            State::Settled => 5,
            State::Dead => 6,
        };
        // What comes back goes behind what came back before, and in front of the rest.
        let returned =
            self.profile.redeliver_at == RedeliverAt::Front && delivery.state == State::Queued && delivery.tries > 0;
        let flags = u64::from(delivery.superseded)
            | u64::from(delivery.called_off) << 1
            | u64::from(delivery.loose) << 2
            | u64::from(returned) << 3;
        // A crash cuts off what one member has.
        let has_rivals = delivery.is_with_member() && self.groups[delivery.group.get()].members.len() > 1;
        let member = if has_rivals { u64::from(delivery.member) + 1 } else { 0 };
        // What it did to the store is in the store; how often, is judged.
        let effects = u64::from(self.deliveries.effects(delivery.entry));
        let tries = u64::from(delivery.tries.min(self.tries_that_count));
        let where_it_stands = class | flags << 4 | member << 8 | effects << 32 | tries << 48;
        let hash = hash::mix3(self.message(delivery.message).hash, delivery.lane, where_it_stands);
        // A stale ack ends what replaced the delivery as well.
        delivery.successor.map_or(hash, |successor| hash::mix(hash, self.digest_of(successor)))
    }

    /// A hash of where the round robin stands where several members compete. It advances with every attempt, also
    /// with those that change nothing, and is no part of the digest for that reason.
    pub(crate) fn rotation(&self) -> u64 {
        let mut hash = 0u64;
        for (place, group) in self.groups.iter().enumerate().filter(|(_, group)| group.members.len() > 1) {
            let members = group.members.len() as u32;
            hash = hash::mix3(hash, place as u64, (self.log.messages.len() as u32 % members).into());
            let mut sum = 0u64;
            for index in self.open().filter(|index| self.delivery(*index).group.get() == place) {
                let delivery = self.delivery(index);
                let turn = |attempt: u16| u64::from(delivery.message.0.wrapping_add(attempt.into()) % members);
                let next = self.deliveries.attempts(delivery.entry);
                sum = sum.wrapping_add(hash::mix3(self.digest_of(index), turn(delivery.attempt), turn(next)));
            }
            hash = hash::mix(hash, sum);
        }
        hash
    }

    /// Whether members compete, so that the position of the round robin matters.
    pub(crate) fn has_rotation(&self) -> bool {
        self.groups.iter().any(|group| group.members.len() > 1)
    }

    /// How many deliveries of a delivery's message to its group still have to be done.
    pub(crate) fn copies(&self, index: DeliveryIndex) -> u32 {
        self.deliveries.open(self.delivery(index).entry)
    }

    /// The part of a delivery in [`Broker::digest`], and whether another delivery replaced it.
    #[inline(always)]
    pub(super) fn part_in_digest(&self, index: DeliveryIndex) -> (u64, bool) {
        let delivery = self.delivery(index);
        let part = if delivery.is_open() { self.digest_of_delivery(delivery) } else { 0 };
        (part, delivery.successor.is_some())
    }

    /// Whether a handler of the same message is still at work: the broker gave up waiting for it.
    pub(crate) fn overtakes_handler(&self, index: DeliveryIndex) -> bool {
        self.deliveries.all().iter().any(|other| other.successor == Some(index) && other.is_open())
    }
}
