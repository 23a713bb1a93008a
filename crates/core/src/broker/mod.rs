//! The fake broker: which deliveries exist, which may happen next, what an answer does to them.
//!
//! It decides nothing. It lists what is ready ([`Broker::ready`]); a scheduler picks, the world
//! runs the handler and tells the broker the answer. Per message and group a delivery goes
//! `Queued → Handling → Settled`, with `Acking` while an ack travels and `Waiting` while none will
//! come and the ack wait runs, after which it is `Queued` again with the next attempt number.
//!
//! Deliveries are handed out just in time: the ack wait begins when a handler starts, and nobody has
//! anything in an inbox. As long as acks are lost one by one that loses no behaviour, because whoever
//! picks may let the clock run before the handler starts. A crash, a nak and a slow handler concern one
//! delivery here, where a real member has many: docs/broker.md says what not to conclude.

mod deliveries;
mod delivery;
mod hand_out;
mod held_up;
mod in_full;
mod journal;
mod message;
mod preset;
mod profile;
mod queries;
mod queue;
mod ready;
mod subscription;
mod transactions;
mod undoable;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Event;
use crate::faults::MemberChanges;
use crate::hash;
use crate::ids::{ServiceIndex, Subject, Time};

use deliveries::Deliveries;
pub(crate) use delivery::key_of as delivery_key;
pub use delivery::{Delivery, DeliveryIndex, DeliveryName, GroupIndex, State};
use delivery::{NEVER, NOWHERE, root_of};
pub(crate) use hand_out::{Attempt, Consumer, FutileAt, HandedOut, Handled, Reply, Silence};
pub(crate) use held_up::FullLimit;
pub(crate) use journal::{BrokerMark, copy_few};
use message::{Label, Log};
pub use message::{Message, MessageIndex, MessageName};
pub(crate) use message::{message_key, write_message_name};
pub use profile::{
    AckMode, Dedup, Dispatch, Exhausted, Granularity, InFlight, Limit, MaxDeliver, Ordering, Profile, RedeliverAt,
    ReleaseOn, Scope, Sees, Stale, Start, UnsupportedProfile,
};
pub(crate) use queue::GroupSetup;
pub use queue::Member;
use queue::{Group, Route};
use transactions::Transactions;
use undoable::Undoable;

/// Takes out of a list the one element that is equal to this, if it is there; the others stay in order.
#[inline]
pub(crate) fn take_out<T: PartialEq>(list: &mut Vec<T>, item: &T) {
    // What was put there last is what is taken most often.
    if list.last() == Some(item) {
        list.pop();
    } else if let Some(place) = list.iter().position(|listed| listed == item) {
        list.remove(place);
    }
}

/// The fake broker.
#[derive(Debug)]
pub struct Broker<E> {
    profile: Arc<Profile>,
    routes: Vec<Route>,
    groups: Undoable<Group>,
    /// Whether services share one of them.
    has_shared: bool,
    /// Whether there is no order and no limit (see [`Profile::is_free`]).
    is_free: bool,
    /// Whether what is not acked is pending again at once, however often it was tried.
    at_once: bool,
    /// Up to how many of a delivery's tries decide anything.
    tries_that_count: u16,
    log: Log<E>,
    deliveries: Deliveries,
    /// Ready deliveries in the order they became so, holes filled from the end: a function of the
    /// run so far. Whoever needs an order that depends on the state alone sorts by message, group
    /// and attempt.
    ready: Vec<DeliveryIndex>,
    /// What became ready since it was last asked.
    fresh: Vec<DeliveryIndex>,
    waiting: Vec<DeliveryIndex>,
    dead: Vec<DeliveryIndex>,
    /// How many of those were put on their group's subject for dead letters, or have none to go to.
    dead_lettered: usize,
    /// Whether any group has such a subject.
    has_dead_letters: bool,
    /// For deliveries to groups that services share: at which state of its store a service's handling
    /// changed nothing.
    futile_for: BTreeMap<(DeliveryIndex, ServiceIndex), u64>,
    open: u64,
    /// The most messages published in one go.
    burst: usize,
    /// Whether engines hand out the messages of its groups.
    is_driven: bool,
    /// What may happen to its groups' members.
    changes: MemberChanges,
    /// Whether it knows what is published once more right after the first time.
    recognises: bool,
    /// What consumers see of how often a message was sent.
    sees: Sees,
    /// The time that engines, and windows of copies, go by.
    now: Time,
    /// The waits of engines that the world does not know of yet.
    waits: Vec<(DeliveryIndex, Time)>,
    transactions: Transactions<E>,
}

impl<E: Event> Clone for Broker<E> {
    fn clone(&self) -> Broker<E> {
        Broker {
            profile: Arc::clone(&self.profile),
            routes: self.routes.clone(),
            groups: self.groups.clone(),
            log: self.log.clone(),
            deliveries: self.deliveries.clone(),
            ready: self.ready.clone(),
            fresh: self.fresh.clone(),
            waiting: self.waiting.clone(),
            dead: self.dead.clone(),
            futile_for: self.futile_for.clone(),
            waits: self.waits.clone(),
            transactions: self.transactions.clone(),
            ..*self
        }
    }

    fn clone_from(&mut self, source: &Broker<E>) {
        let Broker { profile, routes, groups, log, deliveries, .. } = source;
        let Broker { ready, fresh, waiting, dead, futile_for, has_shared, is_free, at_once, open, .. } = source;
        self.profile.clone_from(profile);
        self.routes.clone_from(routes);
        self.groups.clone_from(groups);
        self.log.clone_from(log);
        self.deliveries.clone_from(deliveries);
        self.ready.clone_from(ready);
        self.fresh.clone_from(fresh);
        self.waiting.clone_from(waiting);
        self.dead.clone_from(dead);
        if self.futile_for != *futile_for {
            self.futile_for.clone_from(futile_for);
        }
        (self.has_shared, self.is_free, self.at_once, self.open) = (*has_shared, *is_free, *at_once, *open);
        (self.tries_that_count, self.burst) = (source.tries_that_count, source.burst);
        (self.is_driven, self.changes, self.now) = (source.is_driven, source.changes, source.now);
        (self.recognises, self.sees) = (source.recognises, source.sees);
        (self.dead_lettered, self.has_dead_letters) = (source.dead_lettered, source.has_dead_letters);
        copy_few(&mut self.waits, &source.waits);
        self.transactions.clone_from(&source.transactions);
    }
}

impl<E: Event> Broker<E> {
    pub(crate) fn new(profile: Profile, setups: Vec<GroupSetup>) -> Broker<E> {
        let mut routes: Vec<Route> = Vec::new();
        for (index, setup) in setups.iter().enumerate() {
            let group = GroupIndex(u16::try_from(index).expect("fewer than 65536 groups"));
            for subject in &setup.subjects {
                match routes.iter_mut().find(|route| route.subject == *subject) {
                    Some(route) => {
                        assert_eq!(route.subject.name(), subject.name(), "two subjects with one hash");
                        route.groups.push(group);
                    }
                    None => routes.push(Route { subject: *subject, groups: vec![group] }),
                }
            }
        }
        // What waits for a member to be done waits in a queue.
        let takes_turns = setups.iter().any(|setup| setup.takes_turns);
        let is_free = profile.is_free() && !takes_turns;
        let groups: Vec<Group> =
            setups.into_iter().map(|setup| Group::new(setup, &routes, &profile, is_free)).collect();
        Broker {
            is_free,
            is_driven: profile.engine.is_some(),
            changes: profile.changes(),
            recognises: profile.dedup_window != Dedup::None,
            sees: profile.sees,
            now: Time(0),
            waits: Vec::new(),
            at_once: profile.redelivers_at_once() && !takes_turns,
            tries_that_count: profile.tries_that_count(),
            has_dead_letters: groups.iter().any(|group| group.dead_letters.is_some()),
            has_shared: groups.iter().any(|group| group.service.is_none()),
            log: Log::new(routes.len()),
            transactions: Transactions::at(&profile),
            profile: Arc::new(profile),
            routes,
            groups: groups.into(),
            deliveries: Deliveries::default(),
            ready: Vec::new(),
            fresh: Vec::new(),
            waiting: Vec::new(),
            dead: Vec::new(),
            dead_lettered: 0,
            futile_for: BTreeMap::new(),
            open: 0,
            burst: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.log.clear();
        self.groups.unmark();
        self.groups.iter_mut_unmarked().for_each(Group::clear);
        self.now = Time(0);
        self.waits.clear();
        self.transactions.clear();
        self.deliveries.clear();
        self.ready.clear();
        self.fresh.clear();
        self.waiting.clear();
        self.dead.clear();
        self.futile_for.clear();
        (self.open, self.burst, self.dead_lettered) = (0, 0, 0);
    }
}

/// What the world tells it.
///
/// A redelivery at once is what most steps of a hard run end in, so its path is always inlined.
impl<E: Event> Broker<E> {
    /// Appends events to the log and queues them for every group that joined.
    #[inline(never)]
    pub(crate) fn publish(&mut self, events: &mut Vec<E>, cause: u32) {
        // One, nearly always; it was just written, field by field, so it is asked all at once before it
        // is moved: a wide read of narrow writes waits for all of them.
        if let [event] = events.as_slice() {
            let label = Label::of(event);
            if let Some(event) = events.pop() {
                self.publish_one(event, &label, cause);
            }
        } else {
            self.publish_all(events, cause);
        }
    }

    #[inline(never)]
    fn publish_all(&mut self, events: &mut Vec<E>, cause: u32) {
        self.burst = self.burst.max(events.len());
        for event in events.drain(..) {
            let label = Label::of(&event);
            self.publish_one(event, &label, cause);
        }
    }

    #[inline(always)]
    fn publish_one(&mut self, event: E, label: &Label, cause: u32) {
        let subject = label.subject;
        let route = match self.routes.iter().position(|route| route.subject == subject) {
            Some(route) => route,
            None => self.add_route(subject),
        };
        let first_entry = self.deliveries.entries() as u32;
        let (message, key) = self.log.append(event, label, route as u16, first_entry, cause);
        for place in 0..self.routes[route].groups.len() {
            let group = self.routes[route].groups[place];
            self.deliveries.add_entry();
            if self.groups[group.get()].joined {
                self.add_delivery(message, (subject, key), group, first_entry + place as u32);
            }
        }
    }

    /// Notes that the second half of what was published from there on is what its publisher said once more.
    #[cold]
    pub(crate) fn note_second_half(&mut self, from: usize) {
        self.note_retries(from + (self.log.messages.len() - from) / 2);
    }

    /// Notes that what was published from there on is what its publisher had said before.
    #[cold]
    pub(crate) fn note_retries(&mut self, from: usize) {
        self.log.messages[from..].iter_mut().for_each(|message| message.is_retry = true);
    }

    /// Whether it knows what is published once more right after it was published.
    #[inline]
    pub(crate) fn recognises_at_once(&self) -> bool {
        self.recognises
    }

    /// Whether it knows what is published once more now and was first published then, by the same session of its
    /// producer or by another one.
    #[cold]
    pub(crate) fn recognises(&self, first: Time, is_same_session: bool) -> bool {
        match self.profile.dedup_window {
            Dedup::None => false,
            Dedup::Window(window) => self.now < first.after(window),
            Dedup::ProducerSession => is_same_session,
        }
    }

    /// Whether any group has a subject for what it is sent too often.
    #[inline]
    pub(crate) fn has_dead_letters(&self) -> bool {
        self.has_dead_letters
    }

    /// Publishes what groups were sent too often since it was last asked, each on its group's subject for that.
    #[cold]
    pub(crate) fn publish_dead_letters(&mut self) {
        while let Some(index) = self.dead.get(self.dead_lettered).copied() {
            self.dead_lettered += 1;
            let Delivery { message, group, .. } = *self.delivery(index);
            let Some(subject) = self.groups[group.get()].dead_letters else { continue };
            let Message { event, cause, .. } = self.log.messages[message.get()].clone();
            let label = Label::of(&event).on(subject);
            self.publish_one(event, &label, cause);
            if let Some(last) = self.log.messages.last_mut() {
                last.is_dead_letter = true;
            }
        }
    }

    /// A subject nobody listens to still has a log.
    #[cold]
    fn add_route(&mut self, subject: Subject) -> usize {
        self.routes.push(Route { subject, groups: Vec::new() });
        self.log.add_route();
        self.routes.len() - 1
    }

    /// Lets a group in that has not joined yet: it gets everything published so far, or what comes from now on.
    pub(crate) fn join(&mut self, group: GroupIndex) {
        self.groups[group.get()].joined = true;
        let missed = match self.profile.start {
            Start::New => self.log.messages.len(),
            Start::Earliest => 0,
        };
        for index in missed..self.log.messages.len() {
            let message = &self.log.messages[index];
            let groups = &self.routes[usize::from(message.route)].groups;
            if let Some(place) = groups.iter().position(|listed| *listed == group) {
                let entry = message.first_entry + place as u32;
                let named = (message.name.subject, message.name.key());
                self.add_delivery(MessageIndex(index as u32), named, group, entry);
            }
        }
        if self.is_driven {
            self.let_in(group);
        }
    }

    /// Makes a message pending once more beside the delivery `index`.
    fn duplicate(&mut self, index: DeliveryIndex) -> DeliveryIndex {
        let twin = self.add_twin(index, true);
        if self.is_driven {
            self.append(twin);
        }
        twin
    }

    /// The first delivery of a message on a subject, whose name has this key, to a group.
    #[inline(always)]
    fn add_delivery(&mut self, message: MessageIndex, named: (Subject, u64), group: GroupIndex, entry: u32) {
        let (subject, key) = named;
        let Group { hash: group_hash, may_pause, counts, .. } = self.groups[group.get()];
        let has_units = !(self.is_free | self.is_driven);
        let unit = if has_units { self.unit_of_message(message, group) as u32 } else { 0 };
        let (root, lane) = (root_of(key, group_hash), hash::mix(subject.hash(), group_hash));
        let delivery = Delivery { message, group, unit, may_pause, counts, entry, root, lane, ..Delivery::NEW };
        let index = self.push_delivery(delivery);
        if self.is_driven {
            self.append(index);
        }
    }

    /// One more delivery of the message that `index` delivers, to the same group.
    #[inline(never)]
    fn add_twin(&mut self, index: DeliveryIndex, duplicate: bool) -> DeliveryIndex {
        let Delivery { message, group, unit, may_pause, counts, entry, root, lane, .. } = *self.delivery(index);
        let twin = Delivery { message, group, unit, may_pause, counts, entry, root, lane, ..Delivery::NEW };
        self.push_delivery(Delivery { duplicate, ..twin })
    }

    #[inline(always)]
    fn push_delivery(&mut self, delivery: Delivery) -> DeliveryIndex {
        self.open += 1;
        if self.is_driven {
            return self.deliveries.push(Delivery { loose: true, ..delivery });
        }
        if !self.is_free {
            let index = self.deliveries.push(delivery);
            self.join_queue(index, RedeliverAt::Back);
            return index;
        }
        // Where no order and no limit holds, it is ready as soon as it is there.
        let ready_at = self.ready.len() as u32;
        let index = self.deliveries.push(Delivery { ready_at, loose: true, ..delivery });
        self.list_ready(index);
        index
    }

    /// Hands a ready delivery to a member; returns which attempt that is, at which message.
    #[inline(always)]
    fn begin(&mut self, index: DeliveryIndex) -> (MessageIndex, Attempt) {
        let delivery = self.deliveries.change(index);
        assert_eq!(delivery.state, State::Queued, "only a queued delivery can be handed out");
        delivery.state = State::Handling;
        delivery.tries = delivery.tries.saturating_add(1);
        delivery.member = 0;
        let place = std::mem::replace(&mut delivery.ready_at, NOWHERE);
        let Delivery { message, group, attempt: number, counts, .. } = *delivery;
        if place != NOWHERE {
            self.take_from_ready(place);
        }
        if counts {
            let member = self.hold(index);
            return (message, Attempt { member, number: self.seen_attempt(index) });
        }
        let number = self.sees.of(number);
        (message, Attempt { member: self.groups[group.get()].first, number })
    }

    /// Gives a delivery to the member whose turn it is.
    #[inline(never)]
    fn hold(&mut self, index: DeliveryIndex) -> Member {
        if self.is_driven {
            return self.send(index);
        }
        let delivery = self.deliveries.change(index);
        let turn = delivery.message.0.wrapping_add(u32::from(delivery.attempt));
        let group = &mut self.groups[delivery.group.get()];
        let message = &self.log.messages[delivery.message.get()];
        let place = group.next_member(message.route, message.name.record, turn);
        group.hold(place);
        delivery.member = place;
        let member = group.members[usize::from(place)];
        if !self.is_free {
            self.leave_queue(index);
        }
        member
    }

    /// Notes that handling a delivery changes nothing at this state of its service's store.
    pub(crate) fn note_futile(&mut self, index: DeliveryIndex, tick: u64) {
        self.deliveries.change(index).futile_at = tick;
    }

    /// Puts a delivery that was handled among those no ack will come for.
    pub(crate) fn begin_waiting(&mut self, index: DeliveryIndex) {
        if self.is_driven {
            self.stop_handling(index);
            self.abort_transaction(index);
        }
        if self.deliveries[index].superseded {
            return self.retire(index);
        }
        self.deliveries.change(index).state = State::Waiting;
        self.waiting.push(index);
    }

    /// Takes an ack. A stale one counts if the profile says so; then the redelivery that replaced
    /// this delivery is called off, or is the last one if a handler has it already.
    #[inline]
    pub(crate) fn ack(&mut self, index: DeliveryIndex) {
        if self.is_driven {
            return self.hear_late_ack(index);
        }
        let delivery = self.delivery(index);
        if delivery.superseded && self.profile.ack.stale == Stale::Reject {
            return self.retire(index);
        }
        let successor = delivery.successor;
        self.settle(index);
        if let Some(successor) = successor {
            self.call_off(successor);
        }
    }

    /// Ends a delivery that the broker had given up when its answer came. Its successor is what the
    /// group is waiting for; if it was the last one, the message is dead.
    fn retire(&mut self, index: DeliveryIndex) {
        self.settle(index);
        let delivery = self.delivery(index);
        if delivery.successor.is_none() && !delivery.called_off {
            self.die(index);
        }
    }

    /// Gives up the message of a delivery that is done.
    fn die(&mut self, index: DeliveryIndex) {
        self.deliveries.change(index).state = State::Dead;
        self.dead.push(index);
    }

    /// Ends a delivery that nobody has.
    fn lose(&mut self, index: DeliveryIndex) {
        if self.is_driven {
            return self.drop_on_the_way(index);
        }
        self.leave_ready(index);
        self.close(index);
        self.leave_queue(index);
    }

    fn call_off(&mut self, index: DeliveryIndex) {
        match self.delivery(index).state {
            State::Queued => {
                let delivery = self.deliveries.change(index);
                let group = delivery.group.get();
                if std::mem::replace(&mut delivery.parked, false) {
                    take_out(&mut self.groups[group].parked, &index);
                    if let Some(unit) = self.unit_of(index) {
                        self.groups[group].take_up(unit, index);
                    }
                }
                self.lose(index);
            }
            State::Waiting => self.settle(index),
            State::Handling | State::Acking => {
                self.deliveries.change(index).called_off = true;
                self.give_up(index);
            }
            State::Settled | State::Dead => {}
        }
        if let Some(successor) = self.delivery(index).successor {
            self.call_off(successor);
        }
    }

    /// Ends a delivery that is in flight.
    #[inline]
    fn settle(&mut self, index: DeliveryIndex) {
        self.leave_flight(index);
        self.close(index);
    }

    #[inline]
    fn close(&mut self, index: DeliveryIndex) {
        let (delivery, entry) = self.deliveries.change_both(index);
        entry.close(delivery);
        self.open -= 1;
    }

    #[inline(always)]
    fn leave_flight(&mut self, index: DeliveryIndex) {
        let delivery = &self.deliveries[index];
        if delivery.state == State::Waiting {
            take_out(&mut self.waiting, &index);
        }
        // What was given up has left its place already.
        if delivery.counts && !delivery.superseded {
            self.let_go(index);
        }
    }

    /// Takes a delivery from the member that has it.
    #[inline(never)]
    fn let_go(&mut self, index: DeliveryIndex) {
        // Engines count themselves.
        if self.is_driven {
            return;
        }
        let Delivery { group: place, member, .. } = *self.delivery(index);
        let group = &mut self.groups[place.get()];
        group.let_go(member);
        if group.is_tight() {
            self.refresh_group(place);
        }
    }

    /// Waits no more for a delivery whose handler or ack is under way: its place in the limit is free
    /// for what takes its place.
    fn give_up(&mut self, index: DeliveryIndex) {
        if !self.deliveries[index].superseded {
            self.leave_flight(index);
            self.deliveries.change(index).superseded = true;
        }
    }

    /// Ends the ack wait of a delivery (or takes its nak): the message becomes pending again, or is
    /// given up. If a handler or an ack is still under way, another delivery takes its place.
    pub(crate) fn release(&mut self, index: DeliveryIndex) {
        if self.is_driven {
            return self.wait_ended(index);
        }
        let delivery = self.delivery(index);
        match delivery.state {
            State::Waiting => self.give_back(index),
            State::Handling | State::Acking if !delivery.superseded => {
                if !self.is_exhausted(delivery) {
                    self.supersede(index);
                }
                self.give_up(index);
            }
            _ => {}
        }
    }

    #[inline]
    fn is_exhausted(&self, delivery: &Delivery) -> bool {
        match self.profile.max_deliver {
            MaxDeliver::Times { times, .. } => delivery.tries >= times,
            MaxDeliver::Unlimited => false,
        }
    }

    /// Makes the message of a delivery in flight pending again, or gives it up.
    fn give_back(&mut self, index: DeliveryIndex) {
        if self.is_exhausted(self.delivery(index)) {
            self.settle(index);
            return self.die(index);
        }
        self.queue_again(index);
    }

    fn queue_again(&mut self, index: DeliveryIndex) {
        self.leave_flight(index);
        let (delivery, entry) = self.deliveries.change_both(index);
        delivery.come_again(entry.next_attempt());
        if self.is_free {
            (delivery.loose, delivery.ready_at) = (true, self.ready.len() as u32);
            self.list_ready(index);
        } else {
            self.enqueue(index, self.profile.redeliver_at);
        }
    }

    fn supersede(&mut self, index: DeliveryIndex) {
        let tries = self.delivery(index).tries;
        let new = self.add_twin(index, false);
        self.deliveries.change(index).successor = Some(new);
        self.deliveries.change(new).tries = tries;
        // It was queued like a new message; put it where redeliveries go.
        self.leave_ready(new);
        self.leave_queue(new);
        self.enqueue(new, self.profile.redeliver_at);
    }

    /// Makes everything parked for a service ready again.
    #[inline]
    pub(crate) fn unpark(&mut self, service: ServiceIndex) {
        if self.groups.iter().any(|group| !group.parked.is_empty()) {
            self.unpark_some(service);
        }
    }

    #[inline(never)]
    fn unpark_some(&mut self, service: ServiceIndex) {
        for group in 0..self.groups.len() {
            let Group { parked, members, .. } = &self.groups[group];
            if parked.is_empty() || !members.iter().any(|member| member.service == service) {
                continue;
            }
            let mut parked = std::mem::take(&mut self.groups[group].parked);
            parked.drain(..).for_each(|index| self.take_up(index));
            // Keep the buffer.
            self.groups[group].parked = parked;
        }
    }

    /// Takes what became ready since it was last asked, each with the hash of its group's name.
    #[inline]
    pub(crate) fn each_fresh(&mut self, mut hear: impl FnMut(DeliveryIndex, &Delivery, u64)) {
        for index in &self.fresh {
            // Nothing is left of this loop for a scheduler that does not listen.
            if let Some(delivery) = self.deliveries.all().get(index.get())
                && let Some(group) = self.groups.get(delivery.group.get())
            {
                hear(*index, delivery, group.hash);
            }
        }
        self.fresh.clear();
    }
}
