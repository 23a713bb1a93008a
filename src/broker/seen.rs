//! What can be seen of the broker.

use super::{
    Broker, Delivery, DeliveryIndex, DeliveryName, GroupIndex, Member, Message, MessageIndex, Profile, RedeliverAt,
};
use crate::event::Event;
use crate::hash;
use crate::ids::ServiceIndex;

impl<E: Event> Broker<E> {
    /// The rules it follows.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
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

    /// The message before `index` on the same subject about the same record.
    #[must_use]
    pub fn previous(&self, index: MessageIndex) -> Option<MessageIndex> {
        self.message(index).previous
    }

    /// Every delivery of the run so far.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// One delivery.
    #[must_use]
    pub fn delivery(&self, index: DeliveryIndex) -> &Delivery {
        &self.deliveries[index.get()]
    }

    /// The deliveries that may be handled now.
    #[must_use]
    pub fn ready(&self) -> &[DeliveryIndex] {
        &self.ready
    }

    /// Whether a delivery may be handled now.
    #[must_use]
    pub fn is_ready(&self, index: DeliveryIndex) -> bool {
        self.deliveries[index.get()].ready_at.is_some()
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

    /// The deliveries that still have to be done, in message order.
    pub fn open(&self) -> impl Iterator<Item = DeliveryIndex> + '_ {
        let indices = 0..self.deliveries.len() as u32;
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

    /// The groups that have not joined yet.
    pub fn absent_groups(&self) -> impl Iterator<Item = GroupIndex> + '_ {
        let groups = self.groups.iter().enumerate().filter(|(_, group)| !group.joined);
        groups.map(|(index, _)| GroupIndex(index as u16))
    }

    /// The service of each member of a group.
    #[inline]
    pub(crate) fn services_of(&self, group: GroupIndex) -> impl Iterator<Item = ServiceIndex> + '_ {
        self.groups[group.get()].members.iter().map(|member| member.service)
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
        if self.profile.redeliver_at == RedeliverAt::Front {
            held.reverse();
        }
        held
    }

    /// How many handlings of a delivery's message, by its group, changed the service's store so far.
    #[must_use]
    pub fn effects(&self, index: DeliveryIndex) -> u16 {
        self.entries[self.delivery(index).entry as usize].effects
    }

    /// Whether handling it once more would change nothing, given its service's store.
    #[inline]
    pub(crate) fn is_futile(&self, index: DeliveryIndex, tick: u64) -> bool {
        self.delivery(index).futile_at == Some(tick)
    }

    /// A hash of everything that decides what may still happen, independent of list order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let open = self.deliveries.iter().filter(|delivery| delivery.is_open());
        let open = open.map(|delivery| {
            let flags =
                u64::from(delivery.superseded) | u64::from(delivery.parked) << 1 | u64::from(delivery.loose) << 2;
            let flags = flags | u64::from(delivery.called_off) << 3;
            hash::mix3(delivery.key, delivery.state as u64 | u64::from(delivery.tries) << 8, flags)
        });
        let open = open.fold(0u64, u64::wrapping_add);
        let queues = self.groups.iter().flat_map(|group| &group.units);
        let order = queues.map(|queue| queue.iter().fold(0, |hash, index| hash::mix(hash, self.delivery(*index).key)));
        let order = order.fold(0u64, u64::wrapping_add);
        let joined = self.groups.iter().fold(0, |hash, group| hash::mix(hash, group.joined.into()));
        hash::mix3(hash::mix(open, order), joined, self.dead.len() as u64)
    }
}
