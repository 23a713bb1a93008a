//! The defect zoo: every fault of the services, planted one at a time in the design that is right.
//!
//! Each entry is one deviation, with the property that names its fault, the weakest delivery under
//! which it shows, and the fewest deliveries and commands that show it, as computed by an exhaustive
//! model of the same services. docs/course.md says what each is about and where results differ.

mod list;

use super::designs::Design;
use super::rules::{ApplyRule, LockPlace, OrderMemory, UnknownRule};
use crate::scenario::{self, Level};

/// One deviation from the design that is right.
pub type Defect = scenario::Defect<Design>;

/// A rule other than the reference's that is right as well.
pub type Alternative = scenario::Alternative<Design>;

/// Every defect.
pub const DEFECTS: &[Defect] = list::ALL;

/// A defect nobody could miss: the zoo is only to be trusted as long as it finds this one.
pub const CANARY: Defect = Defect {
    id: "canary",
    name: "Canary",
    heading: "",
    about: "orders takes whatever comes, under ids of its own",
    property: "ReplicaIdentity",
    also: &[],
    needs: Level::Lockstep,
    known: Some((1, 1)),
    scenarios: list::TWO,
    splits: false,
    plant: |design| {
        (design.orders.tickets.owner_ids, design.orders.tickets.apply) = (false, ApplyRule::Blind);
    },
};

/// The defect of that name or number.
#[must_use]
pub fn defect(name: &str) -> Option<Defect> {
    DEFECTS.iter().find(|defect| defect.name == name || defect.id == name).copied()
}

/// Every alternative.
pub const ALTERNATIVES: &[Alternative] = &[
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

impl Design {
    /// This design with defects.
    #[must_use]
    pub fn with(mut self, defects: &[Defect]) -> Design {
        defects.iter().for_each(|defect| (defect.plant)(&mut self));
        self
    }
}
