//! Who may be handled next: the queues of a group.
//!
//! A group has one queue per ordering unit. The first `allowance` deliveries of a queue are ready. A
//! unit with one holder (a single member, or exclusive dispatch) is handled in order: one delivery,
//! and one more for each position of the reorder window. Where members compete, whatever fits in
//! their inboxes may be handled next: everything in front of it may be waiting in another member's.
//! So the queue needs no picture of what was sent to whom. It lets through a few orders that strict
//! inboxes would not, and misses none.

use std::collections::{BTreeMap, VecDeque};

use super::delivery::{DeliveryIndex, GroupIndex};
use super::profile::{Dispatch, InFlight, Limit, Ordering, Profile, Scope};
use crate::hash;
use crate::ids::{RecordId, ServiceIndex, Subject};

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
    pub(crate) subjects: Vec<Subject>,
    pub(crate) members: Vec<Member>,
    pub(crate) joins_late: bool,
    /// Whether a handler of one of its members may pause.
    pub(crate) may_pause: bool,
}

/// A group and the deliveries that wait for it.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) hash: u64,
    pub(super) members: Vec<Member>,
    pub(super) joins_late: bool,
    pub(super) joined: bool,
    pub(super) units: Vec<VecDeque<DeliveryIndex>>,
    /// The member that owns each unit if dispatch is exclusive.
    owners: Vec<u16>,
    keys: BTreeMap<(u16, RecordId), usize>,
    /// How many deliveries each member has in flight.
    pub(super) in_flight: Vec<u32>,
    pub(super) parked: Vec<DeliveryIndex>,
    /// How many deliveries are in its queues.
    pub(super) queued: usize,
    pub(super) rules: Rules,
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
    /// No order and no limit: every queued delivery is ready and queues are not kept.
    pub(super) free: bool,
}

impl Rules {
    fn new(profile: &Profile, members: usize) -> Rules {
        let exclusive = profile.dispatch == Dispatch::Exclusive;
        let competing = !exclusive && members > 1;
        let window = match profile.reorder_window {
            Limit::Of(window) if profile.ordering != Ordering::None => window as usize,
            _ => usize::MAX,
        };
        let unlimited = profile.max_in_flight.limit == Limit::Unlimited;
        let free = profile.ordering == Ordering::None && unlimited;
        Rules { ordering: profile.ordering, exclusive, competing, window, max_in_flight: profile.max_in_flight, free }
    }
}

impl Group {
    pub(super) fn new(setup: GroupSetup, profile: &Profile) -> Group {
        let members = setup.members.len();
        Group {
            hash: hash::of_name(&setup.name),
            name: setup.name,
            joins_late: setup.joins_late,
            joined: !setup.joins_late,
            units: Vec::new(),
            owners: Vec::new(),
            keys: BTreeMap::new(),
            in_flight: vec![0; members],
            parked: Vec::new(),
            queued: 0,
            rules: Rules::new(profile, members),
            members: setup.members,
        }
    }

    pub(super) fn clear(&mut self) {
        self.joined = !self.joins_late;
        self.units.iter_mut().for_each(VecDeque::clear);
        self.keys.clear();
        self.in_flight.fill(0);
        self.parked.clear();
        self.queued = 0;
    }

    /// The unit of a record on a route, made on first use.
    pub(super) fn unit(&mut self, route: u16, record: RecordId) -> usize {
        let key = match self.rules.ordering {
            Ordering::None | Ordering::Log => (route, RecordId::new('a', 0)),
            Ordering::Key { partitions: None } => (route, record),
            Ordering::Key { partitions: Some(n) } => {
                let partition = hash::mix(record.word(), 0) % u64::from(n).min(u64::from(RecordId::NUMBER_MAX));
                (route, RecordId::new('p', partition as u32))
            }
        };
        let next = self.keys.len();
        let unit = *self.keys.entry(key).or_insert(next);
        if unit >= self.units.len() {
            self.units.resize_with(unit + 1, VecDeque::new);
            self.owners.resize(unit + 1, 0);
        }
        self.owners[unit] = (key.1.number() % self.members.len() as u32) as u16;
        unit
    }

    /// How many deliveries at the front of a queue may be handed out next, if `parked` others that
    /// redelivery keeps in flight for nothing count as being there.
    pub(super) fn allowance(&self, unit: usize, parked: usize) -> usize {
        let room = self.room(unit).saturating_sub(parked);
        let holders = if self.rules.competing { room } else { room.min(1) };
        if holders == 0 { 0 } else { holders.saturating_add(self.rules.window) }
    }

    /// How far into a queue the rules look at all.
    pub(super) fn allowance_max(&self) -> usize {
        if self.rules.competing { usize::MAX } else { self.rules.window.saturating_add(1) }
    }

    /// Whether every delivery in the queues may be handed out next: members compete, and there is
    /// room for all.
    pub(super) fn is_spacious(&self) -> bool {
        self.rules.competing && !self.is_tight()
    }

    /// How many more deliveries of a unit may be in flight.
    fn room(&self, unit: usize) -> usize {
        let Limit::Of(limit) = self.rules.max_in_flight.limit else {
            return usize::MAX;
        };
        let left = |held: u32| limit.saturating_sub(held) as usize;
        match self.rules.max_in_flight.scope {
            Scope::Group => left(self.in_flight.iter().sum()),
            Scope::Member if self.rules.exclusive => left(self.in_flight[self.owner(unit)]),
            Scope::Member => self.in_flight.iter().fold(0usize, |sum, held| sum.saturating_add(left(*held))),
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
            // Competing members have the same room for every unit.
            _ if self.rules.competing => self.room(0) <= self.queued + parked + 1,
            Scope::Group => left(self.in_flight.iter().sum()) <= 1 + parked,
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
        let turns = (0..members).map(|i| (i + turn as usize) % members);
        turns.min_by_key(|member| self.in_flight[*member]).map_or(0, |member| member as u16)
    }

    /// Whether all members belong to one service.
    pub(super) fn single_service(&self) -> bool {
        self.members.windows(2).all(|pair| pair[0].service == pair[1].service)
    }
}

/// Where a subject's messages go.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) subject: Subject,
    pub(super) groups: Vec<GroupIndex>,
}
