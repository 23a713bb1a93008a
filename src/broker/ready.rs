//! What is ready: which deliveries of each queue may be handed out next.

use super::Broker;
use super::delivery::{Delivery, DeliveryIndex, GroupIndex, NOWHERE};
use super::profile::RedeliverAt;
use super::queue::{Group, UNKNOWN};
use crate::event::Event;

impl<E: Event> Broker<E> {
    #[inline(always)]
    pub(super) fn enqueue(&mut self, index: DeliveryIndex, at: RedeliverAt) {
        let delivery = &mut self.deliveries[index.get()];
        if self.groups[delivery.group.get()].rules.free || at == RedeliverAt::Any {
            delivery.loose = true;
            self.enter_ready(index);
        } else {
            self.join_queue(index, at);
        }
    }

    fn join_queue(&mut self, index: DeliveryIndex, at: RedeliverAt) {
        let delivery = &self.deliveries[index.get()];
        let group_index = delivery.group;
        let group = &mut self.groups[group_index.get()];
        let message = &self.log.messages[delivery.message.get()];
        let unit = group.unit(message.route, message.name.record);
        let queue = &group.units[unit];
        let place = match at {
            RedeliverAt::Front => 0,
            RedeliverAt::Back => queue.len(),
            RedeliverAt::Original | RedeliverAt::Rewind | RedeliverAt::Any => {
                let place = queue.iter().position(|other| self.deliveries[other.get()].message > delivery.message);
                place.unwrap_or(queue.len())
            }
        };
        if group.put(unit, place, index) {
            self.enter_ready(index);
        }
        self.refresh_for(index, unit);
    }

    pub(super) fn leave_queue(&mut self, index: DeliveryIndex) {
        let delivery = &mut self.deliveries[index.get()];
        let group_index = delivery.group;
        if std::mem::replace(&mut delivery.loose, false) {
            if self.groups[group_index.get()].is_tight() {
                self.refresh_group(group_index);
            }
            return;
        }
        let message = &self.log.messages[delivery.message.get()];
        let group = &mut self.groups[group_index.get()];
        let unit = group.unit(message.route, message.name.record);
        group.take(unit, index);
        if group.is_tight() {
            self.refresh_group(group_index);
        } else if !group.is_spacious() {
            self.refresh_unit(group_index, unit);
        }
    }

    /// Forgets how many deliveries of each queue are ready, so that the queues are looked through.
    #[cfg(test)]
    pub(crate) fn forget_fronts(&mut self) {
        self.groups.iter_mut().for_each(|group| group.fronts.fill(UNKNOWN));
    }

    pub(super) fn refresh_group(&mut self, group: GroupIndex) {
        for unit in 0..self.groups[group.get()].units.len() {
            self.refresh_unit(group, unit);
        }
    }

    /// Refreshes the queue a delivery is in, if it is in one.
    pub(super) fn refresh_around(&mut self, index: DeliveryIndex) {
        let delivery = &self.deliveries[index.get()];
        if !delivery.loose {
            let (message, group) = (&self.log.messages[delivery.message.get()], delivery.group);
            let unit = self.groups[group.get()].unit(message.route, message.name.record);
            self.refresh_for(index, unit);
        }
    }

    /// Refreshes a queue after `index` came into it, was parked or was taken up again.
    fn refresh_for(&mut self, index: DeliveryIndex, unit: usize) {
        let Delivery { group, parked, .. } = *self.delivery(index);
        if self.groups[group.get()].is_spacious() {
            // All the others are ready already.
            self.set_ready(index, !parked);
            self.note_front(group, unit);
        } else {
            self.refresh_unit(group, unit);
        }
    }

    /// Makes the deliveries at the front of a queue ready, as many as the rules allow, and those
    /// behind them not ready. Where the rules are strict it looks one place further than they allow,
    /// because no operation moves a queue by more.
    ///
    /// A parked delivery stands where it is or, as long as the limit has room for it besides, is as
    /// good as in flight: nothing behind it waits for it then. One that was put to the back lets
    /// everything pass.
    fn refresh_unit(&mut self, group: GroupIndex, unit: usize) {
        let Group { fronts, .. } = &self.groups[group.get()];
        match fronts[unit] {
            front if front != UNKNOWN && self.groups[group.get()].has_nothing_parked() => {
                self.move_front(group, unit, front);
            }
            _ => {
                self.look_through(group, unit);
                self.note_front(group, unit);
            }
        }
    }

    /// Makes as many deliveries of a queue ready as the rules allow, given that the first `front` are:
    /// long queues are not gone through at each step.
    fn move_front(&mut self, group: GroupIndex, unit: usize, front: usize) {
        let Group { units, .. } = &self.groups[group.get()];
        let allowed = self.groups[group.get()].allowance(unit, 0).min(units[unit].len());
        for at in front..allowed {
            self.enter_ready(self.groups[group.get()].units[unit][at]);
        }
        for at in allowed..front {
            self.leave_ready(self.groups[group.get()].units[unit][at]);
        }
        self.groups[group.get()].fronts[unit] = allowed;
    }

    /// Notes how many deliveries of a queue are ready when it was looked through.
    fn note_front(&mut self, group: GroupIndex, unit: usize) {
        let group = &mut self.groups[group.get()];
        let allowed = group.allowance(unit, 0).min(group.units[unit].len());
        group.fronts[unit] = if group.has_nothing_parked() { allowed } else { UNKNOWN };
    }

    fn look_through(&mut self, group: GroupIndex, unit: usize) {
        let passed = self.profile.redeliver_at == RedeliverAt::Back;
        let looked_at = self.groups[group.get()].allowance_max();
        let (mut place, mut parked, mut allowance) = (0, 0, self.groups[group.get()].allowance(unit, 0));
        let standing = allowance;
        for at in 0..self.groups[group.get()].units[unit].len() {
            let index = self.groups[group.get()].units[unit][at];
            if self.delivery(index).parked {
                parked += 1;
                if !passed {
                    allowance = self.groups[group.get()].allowance(unit, parked);
                }
                continue;
            }
            let ready = place < allowance || place + parked < standing;
            if place == looked_at || !ready && !self.delivery(index).is_ready() {
                // Nothing behind one that is not ready, and will not be, was ready before.
                self.leave_ready(index);
                break;
            }
            self.set_ready(index, ready);
            place += 1;
        }
    }

    fn set_ready(&mut self, index: DeliveryIndex, ready: bool) {
        if ready {
            self.enter_ready(index);
        } else {
            self.leave_ready(index);
        }
    }

    #[inline]
    pub(super) fn enter_ready(&mut self, index: DeliveryIndex) {
        let delivery = &mut self.deliveries[index.get()];
        if delivery.ready_at == NOWHERE {
            delivery.ready_at = self.ready.len() as u32;
            self.ready.push(index);
            self.fresh.push(index);
        }
    }

    #[inline]
    pub(super) fn leave_ready(&mut self, index: DeliveryIndex) {
        let place = std::mem::replace(&mut self.deliveries[index.get()].ready_at, NOWHERE);
        if place == NOWHERE {
            return;
        }
        self.ready.swap_remove(place as usize);
        if let Some(moved) = self.ready.get(place as usize) {
            self.deliveries[moved.get()].ready_at = place;
        }
    }
}
