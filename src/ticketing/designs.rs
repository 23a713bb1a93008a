//! Designs: presets of the services' rules. The stages follow a course's story, each with the
//! faults the next lesson mends; the reference is right.

use super::rules::{ApplyRule, CreateRule, LockStrategy, OrdersRules, TicketsRules};
use crate::service::PublishMode;
use crate::store::VersionPolicy;

/// A preset of the services' rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// Its name.
    pub name: &'static str,
    /// What it does and what it lacks.
    pub about: &'static str,
    /// The rules of the tickets service.
    pub tickets: TicketsRules,
    /// The rules of the orders service.
    pub orders: OrdersRules,
}

const COURSE: Design = Design {
    name: "course",
    about: "the course's final design: strict versions, a lock by order id, dual writes",
    tickets: TicketsRules {
        lock: LockStrategy::OrderId,
        publish_locks: true,
        reject_reserved_edits: true,
        versions: VersionPolicy::EVERY_SAVE,
        publish: PublishMode::DualWrite,
    },
    orders: OrdersRules {
        create: CreateRule::Insert,
        apply: ApplyRule::Strict,
        unique_live_order: false,
        guarded_cancel: false,
        publish: PublishMode::DualWrite,
    },
};

const STAGE_3: Design = Design {
    name: "stage3",
    about: "tickets are locked by order id, but the lock is not published",
    tickets: TicketsRules { publish_locks: false, reject_reserved_edits: false, ..COURSE.tickets },
    ..COURSE
};

const STAGE_2: Design = Design {
    name: "stage2",
    about: "replicas apply an update only to the version before it; tickets are not locked",
    tickets: TicketsRules { lock: LockStrategy::None, ..STAGE_3.tickets },
    ..STAGE_3
};

const STAGE_1: Design = Design {
    name: "stage1",
    about: "replicas apply every update, whatever the version",
    orders: OrdersRules { apply: ApplyRule::Blind, ..STAGE_2.orders },
    ..STAGE_2
};

const REFERENCE: Design = Design {
    name: "reference",
    about: "three-way versions, a lock with an order ledger, guarded cancels, an outbox",
    tickets: TicketsRules {
        lock: LockStrategy::OrderIdWithLedger,
        publish_locks: true,
        reject_reserved_edits: true,
        versions: VersionPolicy::EVERY_SAVE,
        publish: PublishMode::Outbox,
    },
    orders: OrdersRules {
        create: CreateRule::InsertOrAck,
        apply: ApplyRule::ThreeWay,
        unique_live_order: true,
        guarded_cancel: true,
        publish: PublishMode::Outbox,
    },
};

impl Design {
    /// Every design, in the order of the story.
    pub const ALL: [Design; 5] = [STAGE_1, STAGE_2, STAGE_3, COURSE, REFERENCE];

    /// The course's final design.
    pub const COURSE: Design = COURSE;

    /// The design that is right.
    pub const REFERENCE: Design = REFERENCE;

    /// The design of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Design> {
        Design::ALL.into_iter().find(|design| design.name == name)
    }
}
