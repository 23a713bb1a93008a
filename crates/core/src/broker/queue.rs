//! Who may be handled next: the queues of a group.
//!
//! A group has one queue per ordering unit. The first `allowance` deliveries of a queue are ready. A
//! unit with one holder (a single member, or exclusive dispatch) is handled in order: one delivery,
//! and one more for each position of the reorder window. Where members compete, whatever fits in
//! their inboxes may be handled next: everything in front of it may be waiting in another member's.
//! So the queue needs no picture of what was sent to whom. It lets through a few orders that strict
//! inboxes would not, and misses none.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::delivery::{DeliveryIndex, GroupIndex};
use super::journal::copy_few;
use super::profile::{Dispatch, InFlight, Limit, Ordering, Profile, Scope};
use super::subscription::Subscription;
use crate::hash;
use crate::ids::{RecordId, ServiceIndex, Subject};
use crate::store::heap_bytes_of;

/// The front of a queue: up to its last ready delivery all are ready that are not parked, and behind
/// it none is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Front {
    pub(super) len: usize,
    /// How many of them are parked.
    pub(super) parked: usize,
}

/// How many deliveries at the front of a queue may be handed out next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    room: usize,
    competes: bool,
    window: usize,
}

impl Allowance {
    /// If `parked` others that redelivery keeps in flight for nothing count as being there.
    #[inline]
    pub(super) fn beside(self, parked: usize) -> usize {
        let room = self.room.saturating_sub(parked);
        let holders = if self.competes { room } else { room.min(1) };
        if holders == 0 { 0 } else { holders.saturating_add(self.window) }
    }

    /// Whether a delivery may be ready that has this in front of it, if what is parked there `stands` where it is.
    #[inline]
    pub(super) fn admits(self, front: Front, stands: bool) -> bool {
        let beside = if stands { self.beside(front.parked) } else { self.beside(0) };
        front.len - front.parked < beside || front.len < self.beside(0)
    }
}

/// In the place of a route: all of them.
const ALL_ROUTES: u16 = u16::MAX;

/// One member of a group: a process of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The service whose handlers it runs.
    pub service: ServiceIndex,
    /// Which process of that service it is.
    pub ordinal: u16,
}

/// A group as a simulation declares it.
#[derive(Clone, Debug)]
pub(crate) struct GroupSetup {
    pub(crate) name: String,
    /// Every subject that one of its services listens to.
    pub(crate) subjects: Vec<Subject>,
    /// Its services, and which of the subjects each of them listens to.
    pub(crate) services: Vec<(ServiceIndex, Vec<Subject>)>,
    pub(crate) members: Vec<Member>,
    pub(crate) joins_late: bool,
    /// Whether a handler of one of its members may pause.
    pub(crate) may_pause: bool,
    /// Whether one member handles several messages at a time.
    pub(crate) overlaps: bool,
    /// Whether others can come between the saves of one of them and what it publishes.
    pub(crate) may_publish_late: bool,
    /// Whether a handler of one of its members may ask other services.
    pub(crate) may_ask: bool,
    /// Whether its handlers work for some time over a delivery.
    pub(crate) works: bool,
    /// Whether one of its handlers is an `async fn`, which may be interrupted at each await.
    pub(crate) awaits: bool,
    /// Whether one of its members that works gets nothing more until it is done.
    pub(crate) takes_turns: bool,
    /// Where what it was sent too often goes.
    pub(crate) dead_letters: Option<Subject>,
}

impl GroupSetup {
    /// Whether first deliveries of one ordering unit are handed to the group in publish order.
    pub(crate) fn keeps_order(&self, profile: &Profile) -> bool {
        let one_holder = profile.dispatch == Dispatch::Exclusive || self.members.len() == 1;
        one_holder && profile.ordering != Ordering::None && profile.reorder_window == Limit::Of(0)
    }
}

/// A group and the deliveries that wait for it.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Arc<str>,
    pub(super) hash: u64,
    pub(super) members: Arc<[Member]>,
    /// The first of them.
    pub(super) first: Member,
    /// By route, the members whose service listens to its subject; empty if on each route of the
    /// group that is every member.
    fitting: Arc<[Vec<u16>]>,
    /// The one service all members belong to; `None` if the group is shared.
    pub(super) service: Option<ServiceIndex>,
    /// Whether a handler of one of its members may pause.
    pub(super) may_pause: bool,
    pub(super) joins_late: bool,
    pub(super) joined: bool,
    pub(super) units: Vec<VecDeque<DeliveryIndex>>,
    /// How far the deliveries that are ready go in each unit's queue.
    pub(super) fronts: Vec<Front>,
    /// The member that owns each unit if dispatch is exclusive.
    owners: Vec<u16>,
    /// The route of each unit.
    routes: Vec<u16>,
    keys: BTreeMap<(u16, RecordId), usize>,
    /// How many deliveries each member has in flight; 0 where that is not counted.
    in_flight: Vec<u32>,
    /// Which members work and get nothing more until they are done; none where no member does.
    at_work: Vec<bool>,
    /// How many of them there are.
    busy: u16,
    /// How many all of them have.
    held: u32,
    /// Whether that is counted: where a limit or several members make it matter.
    pub(super) counts: bool,
    pub(super) parked: Vec<DeliveryIndex>,
    /// The redeliveries that wait outside the queues, because they may come at any time; not kept where
    /// there is no limit either.
    pub(super) loose: Vec<DeliveryIndex>,
    /// How many deliveries are in its queues.
    pub(super) queued: usize,
    pub(super) rules: Rules,
    /// Whether one member handles several messages at a time.
    pub(super) overlaps: bool,
    /// Where what it was sent too often goes.
    pub(super) dead_letters: Option<Subject>,
    /// What its engine knows, if one hands out its messages.
    pub(super) subscription: Option<Box<Subscription>>,
}

/// What of the profile the queues need, worked out once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    ordering: Ordering,
    /// Each unit has one owner.
    exclusive: bool,
    /// Members compete, so that a unit is handled in any order that fits the in-flight limit.
    competing: bool,
    /// How many more deliveries may come first.
    window: usize,
    pub(super) max_in_flight: InFlight,
}

impl Rules {
    fn new(profile: &Profile, members: usize) -> Rules {
        let exclusive = profile.dispatch == Dispatch::Exclusive;
        let competing = !exclusive && members > 1;
        let window = match profile.reorder_window {
            Limit::Of(window) if profile.ordering != Ordering::None => window as usize,
            _ => usize::MAX,
        };
        Rules { ordering: profile.ordering, exclusive, competing, window, max_in_flight: profile.max_in_flight }
    }
}

impl Clone for Group {
    fn clone(&self) -> Group {
        Group {
            name: Arc::clone(&self.name),
            members: Arc::clone(&self.members),
            fitting: Arc::clone(&self.fitting),
            routes: self.routes.clone(),
            units: self.units.clone(),
            fronts: self.fronts.clone(),
            owners: self.owners.clone(),
            keys: self.keys.clone(),
            in_flight: self.in_flight.clone(),
            at_work: self.at_work.clone(),
            parked: self.parked.clone(),
            loose: self.loose.clone(),
            subscription: self.subscription.clone(),
            ..*self
        }
    }

    fn clone_from(&mut self, source: &Group) {
        let Group { name, members, fitting, .. } = source;
        self.name.clone_from(name);
        self.members.clone_from(members);
        self.fitting.clone_from(fitting);
        self.first = source.first;
        (self.hash, self.service, self.rules) = (source.hash, source.service, source.rules);
        (self.may_pause, self.joins_late, self.counts) = (source.may_pause, source.joins_late, source.counts);
        self.in_flight.clone_from(&source.in_flight);
        copy_few(&mut self.at_work, &source.at_work);
        self.busy = source.busy;
        // Without a key there is no unit, or none that anything waits in.
        if !(self.keys.is_empty() && source.keys.is_empty()) {
            self.routes.clone_from(&source.routes);
            self.units.clone_from(&source.units);
            self.fronts.clone_from(&source.fronts);
            self.owners.clone_from(&source.owners);
            if self.keys != source.keys {
                self.keys.clone_from(&source.keys);
            }
        }
        copy_few(&mut self.parked, &source.parked);
        copy_few(&mut self.loose, &source.loose);
        if self.subscription.is_some() || source.subscription.is_some() {
            self.subscription.clone_from(&source.subscription);
        }
        (self.overlaps, self.dead_letters) = (source.overlaps, source.dead_letters);
        (self.joined, self.queued, self.held) = (source.joined, source.queued, source.held);
    }
}

impl Group {
    /// What its queues have taken of the heap, in bytes: about that.
    pub(super) fn heap_bytes(&self) -> u64 {
        let Group { units, fronts, owners, routes, keys, in_flight, at_work, parked, queued, .. } = self;
        // A queue of one delivery has room for four, and one that grew for twice as many as it has.
        let queues = heap_bytes_of(units) + ((4 * units.len() + 2 * queued) * size_of::<DeliveryIndex>()) as u64;
        let by_key = (2 * keys.len() * size_of::<((u16, RecordId), usize)>()) as u64;
        let lists = heap_bytes_of(fronts) + heap_bytes_of(owners) + heap_bytes_of(routes) + heap_bytes_of(in_flight);
        queues + by_key + lists + heap_bytes_of(parked) + heap_bytes_of(at_work)
    }
}

impl Group {
    pub(super) fn new(setup: GroupSetup, routes: &[Route], profile: &Profile, is_free: bool) -> Group {
        let members = setup.members.len();
        let rules = Rules::new(profile, members);
        let engine = profile.engine.as_ref();
        let subscription = engine.map(|engine| Subscription::new(engine, members, !setup.joins_late));
        Group {
            subscription: subscription.map(Box::new),
            overlaps: setup.overlaps,
            dead_letters: setup.dead_letters,
            counts: members > 1 || !is_free,
            fitting: fitting(&setup, routes).into(),
            service: setup.services.first().filter(|_| setup.services.len() == 1).map(|(service, _)| *service),
            hash: hash::of_name(&setup.name),
            name: setup.name.into(),
            may_pause: setup.may_pause,
            joins_late: setup.joins_late,
            joined: !setup.joins_late,
            units: Vec::new(),
            fronts: Vec::new(),
            owners: Vec::new(),
            routes: Vec::new(),
            keys: BTreeMap::new(),
            in_flight: vec![0; members],
            at_work: vec![false; if setup.takes_turns { members } else { 0 }],
            busy: 0,
            held: 0,
            parked: Vec::new(),
            loose: Vec::new(),
            queued: 0,
            rules,
            first: setup.members[0],
            members: setup.members.into(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.joined = !self.joins_late;
        if let Some(subscription) = &mut self.subscription {
            subscription.clear(self.members.len(), self.joined);
        }
        self.units.iter_mut().for_each(VecDeque::clear);
        self.fronts.fill(Front::default());
        self.keys.clear();
        self.in_flight.fill(0);
        self.at_work.fill(false);
        (self.busy, self.held) = (0, 0);
        self.parked.clear();
        self.loose.clear();
        self.queued = 0;
    }

    /// The unit of a record on a route, made on first use.
    pub(super) fn unit(&mut self, route: u16, record: RecordId) -> usize {
        let key = self.unit_key(route, record);
        let next = self.keys.len();
        let unit = *self.keys.entry(key).or_insert(next);
        if unit >= self.units.len() {
            self.units.resize_with(unit + 1, VecDeque::new);
            self.fronts.resize(unit + 1, Front::default());
            self.owners.resize(unit + 1, 0);
            self.routes.resize(unit + 1, 0);
        }
        self.owners[unit] = self.owner_of(key);
        self.routes[unit] = key.0;
        unit
    }

    fn unit_key(&self, route: u16, record: RecordId) -> (u16, RecordId) {
        match self.rules.ordering {
            Ordering::None | Ordering::Log => (route, RecordId::new('a', 0)),
            Ordering::Subscription => (ALL_ROUTES, RecordId::new('a', 0)),
            Ordering::Key { partitions: None } => (route, record),
            Ordering::Key { partitions: Some(n) } => {
                let partition = hash::mix(record.word(), 0) % u64::from(n).min(u64::from(RecordId::NUMBER_MAX));
                (route, RecordId::new('p', partition as u32))
            }
        }
    }

    /// The member that owns a unit if dispatch is exclusive.
    fn owner_of(&self, (route, record): (u16, RecordId)) -> u16 {
        match self.fitting(route) {
            None => (record.balance() % self.members.len() as u32) as u16,
            Some(fitting) => fitting[record.balance() as usize % fitting.len()],
        }
    }

    /// The members that may be handed what comes on a route, unless those are all.
    #[inline]
    pub(super) fn fitting(&self, route: u16) -> Option<&[u16]> {
        self.fitting.get(usize::from(route)).map(Vec::as_slice)
    }

    /// Whether members compete for the deliveries of a unit.
    fn competes(&self, unit: usize) -> bool {
        let alone = || self.routes.get(unit).and_then(|route| self.fitting(*route)).is_some_and(|f| f.len() == 1);
        self.rules.competing && !alone()
    }

    /// The services that may be handed a message about `record` on `route`, one for each member.
    pub(super) fn candidates(&self, route: u16, record: RecordId) -> impl Iterator<Item = ServiceIndex> + '_ {
        let owner = self.rules.exclusive.then(|| self.owner_of(self.unit_key(route, record)));
        let fits = move |place: u16| match owner {
            Some(owner) => owner == place,
            None => self.fitting(route).is_none_or(|fitting| fitting.contains(&place)),
        };
        (0u16..).zip(self.members.iter()).filter(move |(place, _)| fits(*place)).map(|(_, member)| member.service)
    }

    /// Puts a delivery into a unit's queue, and says whether that is in its front, and so ready.
    pub(super) fn put(&mut self, unit: usize, place: usize, index: DeliveryIndex) -> bool {
        let front = &mut self.fronts[unit];
        let is_ready = place < front.len;
        front.len += usize::from(is_ready);
        self.units[unit].insert(place, index);
        self.queued += 1;
        is_ready
    }

    /// Takes a delivery that is not parked out of a unit's queue, if it is there.
    pub(super) fn take(&mut self, unit: usize, index: DeliveryIndex) {
        let (queue, front) = (&mut self.units[unit], &mut self.fronts[unit]);
        let (before, behind) = queue.as_slices();
        let place = place_in(before, index).or_else(|| Some(before.len() + place_in(behind, index)?));
        if let Some(place) = place {
            queue.remove(place);
            self.queued -= 1;
            front.len -= usize::from(place < front.len);
        }
    }

    /// Notes that a delivery in a unit's queue is not parked any more, and says whether it is in its
    /// front, and so ready.
    pub(super) fn take_up(&mut self, unit: usize, index: DeliveryIndex) -> bool {
        let front = &mut self.fronts[unit];
        let is_ready = self.units[unit].iter().take(front.len).any(|queued| *queued == index);
        front.parked -= usize::from(is_ready);
        is_ready
    }

    /// How many deliveries at the front of a queue may be handed out next.
    #[inline]
    pub(super) fn allowance(&self, unit: usize) -> Allowance {
        Allowance { room: self.sure_room(unit), competes: self.competes(unit), window: self.rules.window }
    }

    /// [`Group::allowance`], with the room worked out to the last.
    #[cfg(test)]
    pub(super) fn exact_allowance(&self, unit: usize) -> Allowance {
        Allowance { room: self.room(unit), ..self.allowance(unit) }
    }

    /// Whether one more delivery of a unit may be in flight.
    pub(super) fn has_room(&self, unit: usize) -> bool {
        self.sure_room(unit) > 0
    }

    /// How many more deliveries of a unit may be in flight; perhaps fewer if that is more than there are.
    #[inline]
    fn sure_room(&self, unit: usize) -> usize {
        match self.rules.max_in_flight.limit {
            _ if self.busy > 0 => self.room(unit),
            // What all members hold is more than any of them holds.
            Limit::Of(limit) if self.is_far_from(limit) => limit.saturating_sub(self.held) as usize,
            _ => self.room(unit),
        }
    }

    /// Whether all that waits could be in flight besides what is, whoever holds it, and one more.
    #[inline]
    fn is_far_from(&self, limit: u32) -> bool {
        limit.saturating_sub(self.held) as usize > self.queued + self.parked.len() + 1
    }

    /// Notes that a member holds one delivery more.
    #[inline]
    pub(super) fn hold(&mut self, member: u16) {
        self.in_flight[usize::from(member)] += 1;
        self.held += 1;
    }

    /// Notes that a member holds one delivery less.
    #[inline]
    pub(super) fn let_go(&mut self, member: u16) {
        self.in_flight[usize::from(member)] -= 1;
        self.held -= 1;
    }

    /// Whether deliveries about two records on two routes count against one limit.
    pub(super) fn shares_limit(&self, one: (u16, RecordId), other: (u16, RecordId)) -> bool {
        let owner = |(route, record)| self.owner_of(self.unit_key(route, record));
        let each_owner = self.rules.exclusive && self.rules.max_in_flight.scope == Scope::Member;
        !each_owner || owner(one) == owner(other)
    }

    /// The unit of a message, if something of it was queued before.
    pub(super) fn known_unit<E>(&self, message: &super::Message<E>) -> Option<usize> {
        self.keys.get(&self.unit_key(message.route, message.name.record)).copied()
    }

    /// Whether a member works and gets nothing more until it is done.
    pub(super) fn is_at_work(&self, member: u16) -> bool {
        self.busy > 0 && self.at_work[usize::from(member)]
    }

    /// Notes that a member works, or is done.
    pub(super) fn set_at_work(&mut self, member: u16, works: bool) {
        if std::mem::replace(&mut self.at_work[usize::from(member)], works) != works {
            self.busy = if works { self.busy + 1 } else { self.busy - 1 };
        }
    }

    /// Whether every member works that may be handed what is in a unit's queue.
    fn is_all_at_work(&self, unit: usize) -> bool {
        match self.routes.get(unit).and_then(|route| self.fitting(*route)) {
            _ if self.busy == 0 => false,
            _ if self.rules.exclusive => self.at_work[self.owner(unit)],
            None => usize::from(self.busy) == self.members.len(),
            Some(fitting) => fitting.iter().all(|member| self.is_at_work(*member)),
        }
    }

    /// How many more deliveries of a unit may be in flight.
    pub(super) fn room(&self, unit: usize) -> usize {
        if self.is_all_at_work(unit) {
            return 0;
        }
        let Limit::Of(limit) = self.rules.max_in_flight.limit else {
            return usize::MAX;
        };
        let left = |held: u32| limit.saturating_sub(held) as usize;
        match self.rules.max_in_flight.scope {
            Scope::Group => left(self.held),
            Scope::Member if self.rules.exclusive => left(self.in_flight[self.owner(unit)]),
            Scope::Member => {
                let of = |member: u16| match self.is_at_work(member) {
                    true => 0,
                    false => left(self.in_flight[usize::from(member)]),
                };
                let add = |sum: usize, member: u16| sum.saturating_add(of(member));
                match self.routes.get(unit).and_then(|route| self.fitting(*route)) {
                    None => (0..self.members.len() as u16).fold(0, add),
                    Some(fitting) => fitting.iter().copied().fold(0, add),
                }
            }
        }
    }

    /// Whether the limit is so near that one delivery more or less in flight may change what is
    /// ready in other queues.
    pub(super) fn is_tight(&self) -> bool {
        let Limit::Of(limit) = self.rules.max_in_flight.limit else {
            return false;
        };
        let parked = self.parked.len();
        let left = |held: u32| limit.saturating_sub(held) as usize;
        match self.rules.max_in_flight.scope {
            _ if self.busy > 0 => true,
            _ if self.is_far_from(limit) && self.fitting.is_empty() => false,
            // Not every member fits every unit, and it is not worth while to work out which.
            _ if !self.fitting.is_empty() => true,
            // Competing members have the same room for every unit.
            _ if self.rules.competing => self.room(0) <= self.queued + parked + 1,
            Scope::Group => left(self.held) <= 1 + parked,
            Scope::Member => self.in_flight.iter().any(|held| left(*held) <= 1 + parked),
        }
    }

    fn owner(&self, unit: usize) -> usize {
        usize::from(self.owners[unit])
    }

    /// The member that gets the next delivery of a message about `record` on `route`: the owner of
    /// its unit, or the member with the fewest in flight, in turn.
    pub(super) fn next_member(&mut self, route: u16, record: RecordId, turn: u32) -> u16 {
        let members = self.members.len();
        if members == 1 {
            return 0;
        }
        if self.rules.exclusive {
            let unit = self.unit(route, record);
            return self.owners[unit];
        }
        if let Some(fitting) = self.fitting(route) {
            let turns = (0..fitting.len()).map(|i| fitting[(i + turn as usize) % fitting.len()]);
            let order = |member: &u16| (self.is_at_work(*member), self.in_flight[usize::from(*member)]);
            return turns.min_by_key(order).unwrap_or_default();
        }
        let turns = (0..members).map(|i| (i + turn as usize) % members);
        let order = |member: &usize| (self.is_at_work(*member as u16), self.in_flight[*member]);
        turns.min_by_key(order).map_or(0, |member| member as u16)
    }
}

/// The place of a delivery in a list of some length.
fn place_in(list: &[DeliveryIndex], index: DeliveryIndex) -> Option<usize> {
    // Eight are compared at a time, without a branch for each.
    const AT_ONCE: usize = 8;
    let has_it = |some: &[DeliveryIndex]| some.iter().fold(false, |found, listed| found | (*listed == index));
    let start = AT_ONCE * list.chunks_exact(AT_ONCE).position(has_it).unwrap_or(list.len() / AT_ONCE);
    list[start..].iter().position(|listed| *listed == index).map(|place| start + place)
}

/// By route, the members of a group whose service listens to its subject; nothing if each of its
/// services listens to all of its subjects.
fn fitting(setup: &GroupSetup, routes: &[Route]) -> Vec<Vec<u16>> {
    if setup.services.iter().all(|(_, subjects)| setup.subjects.iter().all(|subject| subjects.contains(subject))) {
        return Vec::new();
    }
    let listens = |service: ServiceIndex, route: &Route| {
        setup.services.iter().any(|(other, subjects)| *other == service && subjects.contains(&route.subject))
    };
    let members = |route| (0u16..).zip(&setup.members).filter(move |(_, member)| listens(member.service, route));
    routes.iter().map(|route| members(route).map(|(place, _)| place).collect()).collect()
}

/// Where a subject's messages go.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) subject: Subject,
    pub(super) groups: Vec<GroupIndex>,
}

impl Clone for Route {
    fn clone(&self) -> Route {
        Route { subject: self.subject, groups: self.groups.clone() }
    }

    fn clone_from(&mut self, source: &Route) {
        let Route { subject, groups } = source;
        self.subject = *subject;
        self.groups.clone_from(groups);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_delivery_of_a_list_is_found_at_its_place_and_no_other() {
        for length in 0..40 {
            let list: Vec<DeliveryIndex> = (0..length).map(|at| DeliveryIndex(3 * at)).collect();
            for at in 0..3 * length + 3 {
                let place = (at % 3 == 0 && at / 3 < length).then_some(at as usize / 3);
                assert_eq!(place_in(&list, DeliveryIndex(at)), place, "{at} among {length}");
            }
        }
    }
}
