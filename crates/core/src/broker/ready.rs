//! What is ready: which deliveries of each queue may be handed out next.

use super::delivery::{Delivery, DeliveryIndex, GroupIndex, NOWHERE};
use super::profile::RedeliverAt;
use super::queue::Front;
use super::{Broker, Member, MessageIndex, take_out};
use crate::event::Event;

impl<E: Event> Broker<E> {
    #[inline(never)]
    pub(super) fn enqueue(&mut self, index: DeliveryIndex, at: RedeliverAt) {
        let delivery = self.deliveries.change(index);
        if self.is_free {
            delivery.loose = true;
            self.enter_ready(index);
        } else if at == RedeliverAt::Any {
            delivery.loose = true;
            self.groups[delivery.group.get()].loose.push(index);
            self.refresh_loose(index);
        } else {
            self.join_queue(index, at);
        }
    }

    /// Makes a redelivery that may come at any time ready if the limit has room for it, and not ready
    /// if it has none.
    fn refresh_loose(&mut self, index: DeliveryIndex) {
        let delivery = &self.deliveries[index];
        let unit = delivery.unit as usize;
        if !delivery.parked && self.groups[delivery.group.get()].has_room(unit) {
            self.enter_ready(index);
        } else {
            self.leave_ready(index);
        }
    }

    #[inline(never)]
    pub(super) fn join_queue(&mut self, index: DeliveryIndex, at: RedeliverAt) {
        let delivery = &self.deliveries[index];
        let unit = delivery.unit as usize;
        let group = delivery.group;
        let queue = &self.groups[group.get()].units[unit];
        let place = match at {
            // What came back first is first: only what was handed out before is in front.
            RedeliverAt::Front => queue.partition_point(|other| self.deliveries[*other].tries > 0),
            RedeliverAt::Back => queue.len(),
            RedeliverAt::Original | RedeliverAt::Rewind | RedeliverAt::Any => {
                let place = queue.iter().position(|other| self.deliveries[*other].message > delivery.message);
                place.unwrap_or(queue.len())
            }
        };
        if self.groups[group.get()].put(unit, place, index) {
            self.enter_ready(index);
        }
        self.refresh_unit(group, unit);
    }

    pub(super) fn leave_queue(&mut self, index: DeliveryIndex) {
        let unit = self.unit_of(index);
        let delivery = self.deliveries.change(index);
        let was_loose = std::mem::replace(&mut delivery.loose, false);
        let group_index = delivery.group;
        let group = &mut self.groups[group_index.get()];
        if let Some(unit) = unit {
            group.take(unit, index);
        } else if was_loose {
            take_out(&mut group.loose, &index);
        }
        if group.is_tight() {
            self.refresh_group(group_index);
        } else if let Some(unit) = unit {
            self.refresh_unit(group_index, unit);
        }
    }

    pub(super) fn refresh_group(&mut self, group: GroupIndex) {
        for unit in 0..self.groups[group.get()].units.len() {
            self.refresh_unit(group, unit);
        }
        for place in 0..self.groups[group.get()].loose.len() {
            self.refresh_loose(self.groups[group.get()].loose[place]);
        }
    }

    /// Notes that a member works and gets nothing more until it is done, or that it is done.
    #[inline(never)]
    pub(crate) fn set_at_work(&mut self, member: Member, works: bool) {
        for group in self.group_indices() {
            let here = &mut self.groups[group.get()];
            let Some(place) = here.members.iter().position(|other| *other == member) else { continue };
            here.set_at_work(place as u16, works);
            match self.is_driven {
                true if here.joined => self.refresh(group),
                true => {}
                false => self.refresh_group(group),
            }
        }
    }

    /// The unit in whose queue a delivery is, if it is in one.
    pub(super) fn unit_of(&self, index: DeliveryIndex) -> Option<usize> {
        let delivery = self.delivery(index);
        (!delivery.loose).then_some(delivery.unit as usize)
    }

    /// The unit to which a message belongs at a group.
    pub(super) fn unit_of_message(&mut self, message: MessageIndex, group: GroupIndex) -> usize {
        let message = &self.log.messages[message.get()];
        self.groups[group.get()].unit(message.route, message.name.record)
    }

    /// Takes a futile delivery out of the ready list until its service's store changes.
    pub(crate) fn park(&mut self, index: DeliveryIndex) {
        let Delivery { group, ready_at, .. } = *self.delivery(index);
        self.leave_ready(index);
        self.deliveries.change(index).parked = true;
        self.groups[group.get()].parked.push(index);
        if self.is_driven {
            return self.refresh(group);
        }
        if let Some(unit) = self.unit_of(index) {
            self.groups[group.get()].fronts[unit].parked += usize::from(ready_at != NOWHERE);
            self.refresh_unit(group, unit);
        }
    }

    /// Makes a delivery that is not parked any more ready, if the rules allow it.
    pub(super) fn take_up(&mut self, index: DeliveryIndex) {
        let group = self.delivery(index).group;
        self.deliveries.change(index).parked = false;
        match self.unit_of(index) {
            None if self.is_driven => self.come_back(index),
            None if self.is_free => self.enter_ready(index),
            None => self.refresh_loose(index),
            Some(unit) => {
                if self.groups[group.get()].take_up(unit, index) {
                    self.enter_ready(index);
                }
                self.refresh_unit(group, unit);
            }
        }
    }

    /// Makes the deliveries at the front of a queue ready, as many as the rules allow, and those
    /// behind them not ready. Only where the front ends is looked at: queues are long.
    ///
    /// A parked delivery stands where it is or, as long as the limit has room for it besides, is as
    /// good as in flight: nothing behind it waits for it then. One that was put to the back lets
    /// everything pass.
    fn refresh_unit(&mut self, group: GroupIndex, unit: usize) {
        let here = &self.groups[group.get()];
        let (allowance, before, queued) = (here.allowance(unit), here.fronts[unit], here.units[unit].len());
        if before.len == queued && before.parked == 0 && queued <= allowance.beside(0) {
            // All of it is ready and may be.
            return;
        }
        let stands = self.profile.redeliver_at != RedeliverAt::Back;
        let mut front = before;
        while front.len > 0 {
            let is_parked = self.is_parked(group, unit, front.len - 1);
            if !is_parked && allowance.admits(Front { len: front.len - 1, ..front }, stands) {
                break;
            }
            front.len -= 1;
            front.parked -= usize::from(is_parked);
        }
        for at in front.len..before.len {
            self.leave_ready(self.groups[group.get()].units[unit][at]);
        }
        let mut next = front;
        while next.len < queued {
            if self.is_parked(group, unit, next.len) {
                next.parked += 1;
                next.len += 1;
            } else if allowance.admits(next, stands) {
                self.enter_ready(self.groups[group.get()].units[unit][next.len]);
                next.len += 1;
                front = next;
            } else {
                break;
            }
        }
        self.groups[group.get()].fronts[unit] = front;
    }

    fn is_parked(&self, group: GroupIndex, unit: usize, at: usize) -> bool {
        self.delivery(self.groups[group.get()].units[unit][at]).parked
    }

    /// The deliveries that wait until their service's store changes.
    #[cfg(test)]
    pub(crate) fn parked(&self) -> impl Iterator<Item = DeliveryIndex> + '_ {
        self.groups.iter().flat_map(|group| group.parked.iter().copied())
    }

    /// Whether what is ready is what the rules allow, delivery by delivery.
    #[cfg(test)]
    pub(crate) fn is_ready_by_the_rules(&self) -> bool {
        let groups = self.group_indices();
        for group in self.groups.iter() {
            for index in &group.loose {
                let delivery = self.delivery(*index);
                let unit = group.known_unit(self.message(delivery.message)).expect("a unit that was made");
                if delivery.is_ready() != (!delivery.parked && group.room(unit) > 0) {
                    return false;
                }
            }
        }
        let mut units =
            groups.flat_map(|group| (0..self.groups[group.get()].units.len()).map(move |unit| (group, unit)));
        units.all(|(group, unit)| {
            let mut before = Front::default();
            let (allowance, stands) =
                (self.groups[group.get()].exact_allowance(unit), self.profile.redeliver_at != RedeliverAt::Back);
            self.groups[group.get()].units[unit].iter().all(|index| {
                let Delivery { parked, .. } = *self.delivery(*index);
                let is_right = self.delivery(*index).is_ready() == (!parked && allowance.admits(before, stands));
                before = Front { len: before.len + 1, parked: before.parked + usize::from(parked) };
                is_right
            })
        })
    }

    #[inline]
    pub(super) fn enter_ready(&mut self, index: DeliveryIndex) {
        let delivery = self.deliveries.change(index);
        if delivery.ready_at == NOWHERE {
            delivery.ready_at = self.ready.len() as u32;
            self.list_ready(index);
        }
    }

    /// Lists a delivery, which knows its place already, behind those that are ready.
    #[inline(always)]
    pub(super) fn list_ready(&mut self, index: DeliveryIndex) {
        self.ready.push(index);
        self.fresh.push(index);
    }

    #[inline]
    pub(super) fn leave_ready(&mut self, index: DeliveryIndex) {
        let place = std::mem::replace(&mut self.deliveries.change(index).ready_at, NOWHERE);
        if place != NOWHERE {
            self.take_from_ready(place);
        }
    }

    /// Fills the hole that a delivery leaves in the list of those that are ready.
    #[inline(always)]
    pub(super) fn take_from_ready(&mut self, place: u32) {
        let Some(last) = self.ready.pop() else { return };
        if let Some(hole) = self.ready.get_mut(place as usize) {
            *hole = last;
            self.deliveries.move_in_ready(last, place);
        }
    }
}
