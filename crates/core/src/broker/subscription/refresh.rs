//! What follows in the lists of deliveries from what an engine was told, or did.

use std::collections::BTreeSet;

use super::{CLAIMED_AFTER, Sendable, Unread};
use crate::broker::delivery::{Delivery, DeliveryIndex, GroupIndex, State};
use crate::broker::{Broker, MessageIndex, take_out};
use crate::engine::{Choice, MemberId, MessageId, PartitionId, Rules};
use crate::event::Event;
use crate::ids::Time;

impl<E: Event> Broker<E> {
    pub(in crate::broker) fn refresh(&mut self, group: GroupIndex) {
        self.let_act(group);
        self.keep_parked(group);
        let subscription = self.subscription(group);
        let pending: BTreeSet<MessageId> = subscription.engine.pending(&subscription.log).into_iter().collect();
        pending.iter().for_each(|number| self.stand(group, *number));
        self.end_what_is_done(group, &pending);
        self.keep_what_waits(group);
        self.set_timers(group);
        self.refresh_ready(group, &pending);
    }

    /// Lets an engine do what it does by itself and at once.
    fn let_act(&mut self, group: GroupIndex) {
        let now = self.now;
        loop {
            let subscription = self.subscription(group);
            let choices = subscription.may(now);
            let turn = usize::from(subscription.turn);
            let moves = |partition: &PartitionId| {
                let to = |choice: &Choice| match choice {
                    Choice::Move(other, to) if other == partition => Some(*to),
                    _ => None,
                };
                let mut to: Vec<MemberId> = choices.iter().filter_map(to).collect();
                to.sort_unstable();
                Choice::Move(*partition, to[(usize::from(partition.0) + turn) % to.len()])
            };
            let next = choices.iter().find_map(|choice| match choice {
                Choice::Move(partition, _) => Some(moves(partition)),
                Choice::GiveUp(_) | Choice::Accept(_) => Some(choice.clone()),
                _ => None,
            });
            let Some(choice) = next else { return };
            subscription.choose(now, &choice);
            if let Choice::GiveUp(number) = choice {
                let newest = subscription.newest[number.0 as usize];
                self.bury(newest);
            }
        }
    }

    /// Ends a delivery whose message came too often.
    fn bury(&mut self, index: DeliveryIndex) {
        let (group, number) = self.of_engine(index);
        let subscription = self.known(group);
        let is_last = self.delivery(index).state == State::Waiting && !subscription.engine.holds(number);
        if matches!(subscription.rules(), Rules::Offsets(_)) && !is_last {
            // A member that had lost its partition gave it up; whoever has it now goes on.
            let twin = self.add_twin(index, false);
            let tries = self.delivery(index).tries;
            (self.deliveries.change(twin).tries, self.deliveries.change(twin).unit) = (tries, number.0);
            self.close(twin);
            return self.die(twin);
        }
        match self.delivery(index).state {
            State::Settled | State::Dead => return,
            State::Queued if !self.is_unread(index) => {
                self.leave_ready(index);
                self.close(index);
            }
            State::Waiting => self.settle(index),
            // Its member has it still, and is the last one who had.
            State::Queued | State::Handling | State::Acking => {
                self.deliveries.change(index).superseded = true;
                return;
            }
        }
        self.die(index);
        self.subscription(group).open.remove(&number.0);
    }

    /// Ends a delivery that a member had, and with it its message if that was given up meanwhile.
    pub(super) fn finish(&mut self, index: DeliveryIndex) {
        if self.delivery(index).superseded {
            self.retire(index);
        } else {
            self.settle(index);
        }
    }

    /// Sees to it that a message which is going to be sent has a delivery that waits for that.
    pub(super) fn stand(&mut self, group: GroupIndex, number: MessageId) {
        let subscription = self.subscription(group);
        let index = subscription.newest[number.0 as usize];
        let is_unread = subscription.is_unread(index);
        let state = self.delivery(index).state;
        match state {
            State::Queued if !is_unread => return,
            State::Waiting => {
                self.leave_flight(index);
                let standing_in = &mut self.subscription(group).standing_in;
                let has_come = !standing_in.contains(&index);
                take_out(standing_in, &index);
                let (delivery, entry) = self.deliveries.change_both(index);
                if has_come {
                    delivery.come_again(entry.next_attempt());
                } else {
                    delivery.state = State::Queued;
                }
            }
            _ => {
                let tries = self.delivery(index).tries;
                let new = self.add_twin(index, false);
                (self.deliveries.change(new).tries, self.deliveries.change(new).unit) = (tries, number.0);
                if !matches!(state, State::Settled | State::Dead) {
                    let old = self.deliveries.change(index);
                    (old.successor, old.superseded) = (Some(new), true);
                }
                self.subscription(group).newest[number.0 as usize] = new;
            }
        }
        let subscription = self.subscription(group);
        subscription.timers[number.0 as usize] = None;
        subscription.open.insert(number.0);
    }

    /// Ends what waits for messages that the engine is done with.
    fn end_what_is_done(&mut self, group: GroupIndex, pending: &BTreeSet<MessageId>) {
        let subscription = self.subscription(group);
        let open: Vec<MessageId> = subscription.open.iter().copied().map(MessageId).collect();
        for number in open {
            let subscription = self.subscription(group);
            let index = subscription.newest[number.0 as usize];
            let (is_unread, holds) = (subscription.is_unread(index), subscription.engine.holds(number));
            let is_gone = subscription.log.gone().contains(&number);
            let Delivery { state, parked, .. } = *self.delivery(index);
            match state {
                State::Queued if !is_unread && (!parked || is_gone) && !pending.contains(&number) => {
                    if parked {
                        self.deliveries.change(index).parked = false;
                        take_out(&mut self.groups[group.get()].parked, &index);
                    }
                    self.leave_ready(index);
                    self.close(index);
                }
                State::Waiting if !holds && !pending.contains(&number) => self.settle(index),
                _ => {}
            }
            if !self.delivery(index).is_open() {
                self.subscription(group).open.remove(&number.0);
            }
        }
    }

    /// Sees to it that a message which is to be tried again has a delivery that waits for that, also where another one
    /// of it is done.
    fn keep_what_waits(&mut self, group: GroupIndex) {
        let subscription = self.known(group);
        if !matches!(subscription.rules(), Rules::Offsets(rules) if rules.retries.is_some()) {
            return;
        }
        let numbers = (0..subscription.newest.len() as u32).map(MessageId);
        let held: Vec<MessageId> = numbers.filter(|number| subscription.engine.holds(*number)).collect();
        for number in held {
            let index = self.known(group).newest[number.0 as usize];
            if !self.delivery(index).is_open() {
                let new = self.add_twin(index, false);
                let tries = self.delivery(index).tries;
                (self.deliveries.change(new).tries, self.deliveries.change(new).unit) = (tries, number.0);
                let subscription = self.subscription(group);
                subscription.newest[number.0 as usize] = new;
                subscription.timers[number.0 as usize] = None;
                subscription.open.insert(number.0);
                subscription.standing_in.push(new);
                self.begin_waiting(new);
            }
        }
    }

    /// Notes which waits the world does not know of yet.
    fn set_timers(&mut self, group: GroupIndex) {
        let now = self.now;
        let open: Vec<MessageId> = self.subscription(group).open.iter().copied().map(MessageId).collect();
        for number in open {
            let subscription = self.subscription(group);
            let index = subscription.newest[number.0 as usize];
            if !subscription.engine.holds(number) {
                continue;
            }
            let known = subscription.timers[number.0 as usize];
            let due = match subscription.due(number) {
                // What nobody has begun to handle is not idle yet, or there would be no end of claims.
                None if subscription.claims() && subscription.is_unread(index) => None,
                None if subscription.claims() => Some(known.unwrap_or_else(|| CLAIMED_AFTER.after(now))),
                due => due,
            };
            let parked = self.delivery(index).parked;
            // It is on its way to a member besides, and waits as soon as it is there.
            let is_known_later = self.delivery(index).state == State::Queued && !self.is_unread(index);
            if let Some(due) = due.filter(|due| Some(*due) != known && !parked && !is_known_later) {
                self.subscription(group).timers[number.0 as usize] = Some(due);
                self.waits.push((index, due));
            }
        }
    }

    /// Whether a delivery was sent to a member that has not begun to handle it.
    pub(crate) fn is_unread(&self, index: DeliveryIndex) -> bool {
        let group = &self.groups[self.delivery(index).group.get()];
        group.subscription.as_ref().is_some_and(|subscription| subscription.is_unread(index))
    }

    /// Takes the waits that have begun since it was last asked: for what, and when each ends.
    pub(crate) fn take_waits(&mut self) -> Vec<(DeliveryIndex, Time)> {
        std::mem::take(&mut self.waits)
    }

    fn refresh_ready(&mut self, group: GroupIndex, pending: &BTreeSet<MessageId>) {
        let now = self.now;
        let subscription = self.known(group);
        let sendable = subscription.sendable(now);
        let (inbox, newest) = (subscription.inbox.clone(), |n: &MessageId| subscription.newest[n.0 as usize]);
        let standing: Vec<DeliveryIndex> = pending.iter().map(newest).collect();
        for index in standing {
            let is_ready = !self.delivery(index).parked && self.target(group, index, &sendable).is_some();
            self.set_ready(index, is_ready);
        }
        let mut seen = BTreeSet::new();
        for Unread { place, delivery, .. } in inbox {
            // What cannot be handled yet is handled in vain, and then what is behind it.
            let is_parked = self.delivery(delivery).parked;
            let is_first = !is_parked && (seen.insert(place) || self.groups[group.get()].overlaps);
            self.set_ready(delivery, is_first && !self.is_busy(group, place));
        }
    }

    fn set_ready(&mut self, index: DeliveryIndex, is_ready: bool) {
        if is_ready {
            self.enter_ready(index);
        } else {
            self.leave_ready(index);
        }
    }

    /// Whether a member handles one message at a time and has one, or works.
    fn is_busy(&self, group: GroupIndex, place: u16) -> bool {
        let (handling, here) = (&self.known(group).handling, &self.groups[group.get()]);
        let has_one = || handling.iter().any(|index| self.delivery(*index).member == place);
        here.is_at_work(place) || !here.overlaps && has_one()
    }

    /// Whether a member's service listens to the subject of a delivery.
    pub(super) fn fits(&self, group: GroupIndex, place: u16, index: DeliveryIndex) -> bool {
        let route = self.message(self.delivery(index).message).route;
        self.groups[group.get()].fitting(route).is_none_or(|fitting| fitting.contains(&place))
    }

    /// The member that a delivery may be sent to and would be handled by at once; where several are free, each in
    /// its turn.
    pub(super) fn target(&self, group: GroupIndex, index: DeliveryIndex, sendable: &Sendable) -> Option<u16> {
        let Delivery { message: MessageIndex(message), attempt, .. } = *self.delivery(index);
        let overlaps = self.groups[group.get()].overlaps;
        let is_next = |unread: &Unread| !self.delivery(unread.delivery).parked;
        let has_unread =
            |place: u16| self.known(group).inbox.iter().any(|unread| unread.place == place && is_next(unread));
        let is_free = |place: u16| (overlaps || !has_unread(place)) && !self.is_busy(group, place);
        let able = sendable.get(&self.of_engine(index).1)?.iter().copied();
        let mut free: Vec<u16> = able.filter(|place| is_free(*place) && self.fits(group, *place, index)).collect();
        free.sort_unstable();
        let turn = message.wrapping_add(attempt.into()) as usize;
        (!free.is_empty()).then(|| free[turn % free.len()])
    }

    /// Keeps what is parked out of the way of what comes after it: as soon as it may be sent it is with a member, as
    /// it would be if it came again and again.
    fn keep_parked(&mut self, group: GroupIndex) {
        if self.groups[group.get()].parked.is_empty() || matches!(self.known(group).rules(), Rules::Offsets(_)) {
            return;
        }
        let now = self.now;
        loop {
            let sendable = self.known(group).sendable(now);
            let next = sendable.iter().find_map(|(number, able)| {
                let index = self.known(group).newest[number.0 as usize];
                let is_parked = self.delivery(index).parked && !self.is_unread(index);
                let place = able.iter().copied().find(|place| is_parked && self.fits(group, *place, index))?;
                Some(Choice::Send(*number, MemberId(place)))
            });
            let Some(choice) = next else { return };
            self.subscription(group).choose(now, &choice);
        }
    }

    /// Lets what was parked come again.
    pub(in crate::broker) fn come_back(&mut self, index: DeliveryIndex) {
        let now = self.now;
        let (group, number) = self.of_engine(index);
        let subscription = self.subscription(group);
        if subscription.engine.holds(number) && !subscription.is_unread(index) {
            subscription.choose(now, &Choice::Expire(number));
        }
        self.refresh(group);
    }
}
