//! What of a broker decides how a run goes on besides what its digest says.
//!
//! Where any delivery comes at any time, few things matter, and the digest is of those. Where the broker keeps an
//! order, waits and counts, and a run parks what changes nothing, all of it does.

use std::hash::{Hash, Hasher};

use super::{Broker, Delivery, DeliveryIndex, GroupIndex};
use crate::event::Event;
use crate::hash::{self, StableHasher};
use crate::ids::ServiceIndex;

impl<E: Event> Broker<E> {
    /// A hash of what decides how a run goes on besides [`Broker::digest`]: what is parked, what is known to change
    /// nothing, and all that engines know; given whether handling a delivery once more would change nothing.
    pub(crate) fn digest_in_full(&self, changes_nothing: impl Fn(DeliveryIndex) -> bool) -> u64 {
        // In the order of their numbers, in which waits end that end at one time.
        let open = self.open().fold(0u64, |hash, index| {
            let Delivery { parked, duplicate, .. } = *self.delivery(index);
            let known = u64::from(parked) | u64::from(changes_nothing(index)) << 1;
            let place = if self.is_driven { self.place_at_engine(index) } else { u64::from(duplicate) };
            hash::mix3(hash, self.digest_of(index), hash::mix(known, place))
        });
        if !self.is_driven {
            return open;
        }
        self.group_indices().fold(open, |hash, group| hash::mix(hash, self.numbers_at_engine(group)))
    }

    /// Which message of its group's subscription a delivery is of, and what its engine will compare.
    fn place_at_engine(&self, index: DeliveryIndex) -> u64 {
        let Delivery { unit, tries, member, group, duplicate, .. } = *self.delivery(index);
        let newest = self.groups[group.get()].subscription.as_ref().map(|known| known.is_newest(unit, index));
        hash::of(&(unit, tries, member, duplicate, newest))
    }

    /// Which message has which number at a group's subscription, and what is known of each.
    fn numbers_at_engine(&self, group: GroupIndex) -> u64 {
        let mut hasher = StableHasher::default();
        if let Some(subscription) = &self.groups[group.get()].subscription {
            for (delivery, wait) in subscription.numbers() {
                (self.message(self.delivery(delivery).message).hash, wait).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// By service, what is known to change nothing at its store although other services of the group may be handed
    /// it; given the state of each one's store.
    pub(crate) fn digest_of_futile_for(&self, tick: impl Fn(ServiceIndex) -> u64) -> u64 {
        let known = self
            .futile_for
            .iter()
            .filter(|((index, service), at)| self.delivery(*index).is_open() && **at == tick(*service));
        known.fold(0u64, |sum, ((index, service), _)| {
            sum.wrapping_add(hash::mix3(self.digest_of(*index), service.0.into(), 1))
        })
    }
}
