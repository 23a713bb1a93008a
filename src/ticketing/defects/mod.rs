//! The defect zoo: every fault of the services, planted one at a time in the design that is right.
//!
//! Each entry is one deviation, with the property that names its fault, the weakest delivery under
//! which it shows, and the fewest deliveries and commands that show it, as computed by an exhaustive
//! model of the same services. docs/course.md says what each is about and where results differ.

mod list;

use super::designs::Design;
use super::rules::{ApplyRule, LockPlace, OrderMemory, UnknownRule};

/// One deviation from the design that is right.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// Its number.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The course heading, or the gap of the course's final design, it belongs to.
    pub heading: &'static str,
    /// What is wrong.
    pub about: &'static str,
    /// The property that names its fault.
    pub property: &'static str,
    /// Other properties that name it too, and may see it first.
    pub also: &'static [&'static str],
    /// The weakest delivery under which it shows.
    pub needs: Level,
    /// The fewest deliveries and commands that break `property`, from the model.
    pub known: (u32, u32),
    /// The services and clients among which it shows.
    pub stage: Stage,
    /// Whether it takes two handlers that overlap: one reads, another saves, the first one saves.
    pub splits: bool,
    /// Changes the rules.
    pub plant: fn(&mut Design),
}

/// How a broker delivers, from the tamest to the wildest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// In publish order, exactly once, and everything before the next command.
    Lockstep,
    /// Each subject in publish order for each group, exactly once.
    PerSubject,
    /// In any order, exactly once.
    AnyOrder,
    /// In any order, and one ack is lost, so that one message comes twice.
    Duplicate,
    /// In any order, and one member crashes.
    Crash,
    /// In any order, and one message is lost.
    Loss,
}

impl Level {
    /// All levels.
    pub const ALL: [Level; 6] =
        [Level::Lockstep, Level::PerSubject, Level::AnyOrder, Level::Duplicate, Level::Crash, Level::Loss];

    /// The level in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Lockstep => "lockstep",
            Level::PerSubject => "per subject",
            Level::AnyOrder => "any order",
            Level::Duplicate => "duplicate",
            Level::Crash => "crash",
            Level::Loss => "loss",
        }
    }
}

/// Which services play, and what their clients want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Tickets and orders.
    Two,
    /// Tickets, orders and expiration.
    Timed,
    /// Tickets, orders and payments.
    Paid,
    /// All four.
    Four,
}

impl Defect {
    /// Every defect.
    pub const ALL: &'static [Defect] = list::ALL;

    /// A defect nobody could miss: the zoo is only to be trusted as long as it finds this one.
    pub const CANARY: Defect = Defect {
        id: "canary",
        name: "Canary",
        heading: "",
        about: "orders takes whatever comes, under ids of its own",
        property: "ReplicaIdentity",
        also: &[],
        needs: Level::Lockstep,
        known: (1, 1),
        stage: Stage::Two,
        splits: false,
        plant: |design| {
            (design.orders.tickets.owner_ids, design.orders.tickets.apply) = (false, ApplyRule::Blind);
        },
    };

    /// The defect of that name or number.
    #[must_use]
    pub fn named(name: &str) -> Option<Defect> {
        Defect::ALL.iter().find(|defect| defect.name == name || defect.id == name).copied()
    }

    /// Whether a property names the fault.
    #[must_use]
    pub fn is_named_by(&self, property: &str) -> bool {
        self.property == property || self.also.contains(&property)
    }
}

/// A rule other than the reference's that is right as well.
#[derive(Clone, Copy, Debug)]
pub struct Alternative {
    /// Its name.
    pub name: &'static str,
    /// What it does instead.
    pub about: &'static str,
    /// Changes the rules.
    pub plant: fn(&mut Design),
}

impl Alternative {
    /// Every alternative.
    pub const ALL: &'static [Alternative] = &[
        Alternative {
            name: "LastWriterByVersion",
            about: "a replica takes any newer version, gap or not: the event says all there is to say",
            plant: |design| design.orders.tickets.apply = ApplyRule::LastWriter,
        },
        Alternative {
            name: "Upsert",
            about: "and makes the record from an update if there is none yet",
            plant: |design| {
                let tickets = &mut design.orders.tickets;
                (tickets.apply, tickets.unknown) = (ApplyRule::LastWriter, UnknownRule::Insert);
            },
        },
        Alternative {
            name: "LockOutsideVersion",
            about: "the lock is kept beside the ticket, so it raises no version and is not published",
            plant: |design| {
                let lock = &mut design.tickets.lock;
                (lock.place, lock.publish_taken, lock.publish_released) = (LockPlace::Beside, false, false);
            },
        },
        Alternative {
            name: "TombstoneFlag",
            about: "tickets remembers of an order only that it was cancelled",
            plant: |design| design.tickets.lock.memory = OrderMemory::Tombstones,
        },
    ];
}

impl Design {
    /// This design with defects.
    #[must_use]
    pub fn with(mut self, defects: &[Defect]) -> Design {
        defects.iter().for_each(|defect| (defect.plant)(&mut self));
        self
    }
}
