//! What holds up a delivery that waits in a queue although nothing is under way: a limit that is full.

use super::delivery::{Delivery, DeliveryIndex, GroupIndex, State};
use super::profile::Limit;
use super::{Broker, Message};
use crate::event::Event;
use crate::ids::ServiceIndex;

/// A limit of deliveries in flight that is full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FullLimit {
    /// How many may be in flight.
    pub(crate) limit: u32,
    /// Those that are, and those that would be if it were not in vain to hand them out once more.
    pub(crate) by: Vec<DeliveryIndex>,
}

impl<E: Event> Broker<E> {
    /// The limit that keeps a queued delivery from being handed out; `None` if none does. What comes before
    /// it in its queue holds it up only until that was handed out, or by filling the limit.
    pub(crate) fn full_limit(&self, index: DeliveryIndex) -> Option<FullLimit> {
        let delivery = self.delivery(index);
        if self.is_driven() || delivery.state != State::Queued || delivery.is_ready() || delivery.parked {
            return None;
        }
        let group = &self.groups[delivery.group.get()];
        let Limit::Of(limit) = group.rules.max_in_flight.limit else { return None };
        let unit = group.known_unit(self.message(delivery.message))?;
        let before = group.units[unit].iter().take_while(|other| **other != index && !delivery.loose);
        if group.room(unit) > before.filter(|other| self.delivery(**other).parked).count() {
            return None;
        }
        let key = |delivery: &Delivery| {
            let Message { route, name, .. } = self.message(delivery.message);
            (*route, name.record)
        };
        let counts = |other: &Delivery| {
            let is_near = other.group == delivery.group && group.shares_limit(key(other), key(delivery));
            is_near && (other.is_in_flight() || other.parked)
        };
        let all = (0u32..).map(DeliveryIndex).zip(self.deliveries());
        Some(FullLimit { limit, by: all.filter(|(_, other)| counts(other)).map(|(other, _)| other).collect() })
    }

    /// Whether members of a service are in a group.
    pub(crate) fn has_member(&self, group: GroupIndex, service: ServiceIndex) -> bool {
        self.groups[group.get()].members.iter().any(|member| member.service == service)
    }
}
