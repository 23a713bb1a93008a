//! Designs: presets of the services' rules. The stages follow a course's story, each with the
//! faults the next lesson mends; the reference is right.

use super::expiration::Expiration;
use super::messages::{ORDER_CANCELLED, ORDER_CREATED, Ticketing};
use super::orders::Orders;
use super::payments::Payments;
use super::rules::{
    ApplyRule, CloseRule, CreateRule, ExpirationRules, LockRules, OrdersRules, PaidRules, PaymentsRules, PublishRules,
    ReplicaRules, TicketsRules, UnknownRule,
};
use super::tickets::Tickets;
use crate::ids::Subject;
use crate::scenario::{self, Services};
use crate::simulation::{Hosting, SimulationBuilder};
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
    /// The rules of the expiration service.
    pub expiration: ExpirationRules,
    /// The rules of the payments service.
    pub payments: PaymentsRules,
}

/// How each of the four services takes part in a simulation.
#[derive(Clone, Debug)]
pub struct Hostings {
    /// The tickets service.
    pub tickets: Hosting,
    /// The orders service.
    pub orders: Hosting,
    /// The expiration service, if there is one.
    pub expiration: Option<Hosting>,
    /// The payments service, if there is one.
    pub payments: Option<Hosting>,
}

impl Hostings {
    /// Tickets and orders, one member each.
    pub const TWO: Hostings =
        Hostings { tickets: Hosting::ALONE, orders: Hosting::ALONE, expiration: None, payments: None };

    /// All four services, one member each.
    pub const FOUR: Hostings =
        Hostings { expiration: Some(Hosting::ALONE), payments: Some(Hosting::ALONE), ..Hostings::TWO };

    /// The services that take part, by name.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, &Hosting)> {
        let two = [("tickets", &self.tickets), ("orders", &self.orders)];
        let expiration = self.expiration.iter().map(|hosting| ("expiration", hosting));
        let payments = self.payments.iter().map(|hosting| ("payments", hosting));
        two.into_iter().chain(expiration).chain(payments).collect()
    }
}

const BOTH: &[Subject] = &[ORDER_CREATED, ORDER_CANCELLED];

const STRICT: ReplicaRules = ReplicaRules {
    create: CreateRule::Insert,
    apply: ApplyRule::Strict,
    unknown: UnknownRule::Refuse,
    versions: VersionPolicy::EVERY_SAVE,
    owner_ids: true,
};

const THREE_WAY: ReplicaRules = ReplicaRules { create: CreateRule::InsertOrAck, apply: ApplyRule::ThreeWay, ..STRICT };

const COURSE: Design = Design {
    name: "course",
    about: "the course's final design: strict versions, a lock by order id, dual writes",
    tickets: TicketsRules {
        listens: BOTH,
        lock: LockRules::ORDER_ID,
        reject_reserved_edits: true,
        optimistic_edits: true,
        versions: VersionPolicy::EVERY_SAVE,
        publish: PublishRules::DUAL_WRITE,
    },
    orders: OrdersRules {
        tickets: STRICT,
        unique_live_order: false,
        raises_replica: false,
        cancel: CloseRule::ANY,
        expire: CloseRule { cancelled: true, complete: false },
        paid: PaidRules { revives: true, again: true, publishes: false, refunds: false },
        saga: false,
        acks_early: false,
        publish: PublishRules::DUAL_WRITE,
    },
    expiration: ExpirationRules { one_job: false, in_memory: false, publish: PublishRules::DUAL_WRITE },
    payments: PaymentsRules {
        orders: STRICT,
        unique_payment: false,
        only_reserved: false,
        group: None,
        publish: PublishRules::DUAL_WRITE,
    },
};

const STAGE_5: Design =
    Design { name: "stage5", about: "the course's final design with expiration and payments: `course`", ..COURSE };

const STAGE_4: Design = Design {
    name: "stage4",
    about: "the lock is published and a reserved ticket cannot be edited: `course` before the last two services",
    ..COURSE
};

const STAGE_3: Design = Design {
    name: "stage3",
    about: "tickets are locked by order id, but the lock is not published",
    tickets: TicketsRules {
        lock: LockRules { publish_taken: false, publish_released: false, ..LockRules::ORDER_ID },
        reject_reserved_edits: false,
        ..STAGE_4.tickets
    },
    ..STAGE_4
};

const STAGE_2: Design = Design {
    name: "stage2",
    about: "replicas apply an update only to the version before it; tickets are not locked",
    tickets: TicketsRules { listens: &[], ..STAGE_3.tickets },
    ..STAGE_3
};

const STAGE_1: Design = Design {
    name: "stage1",
    about: "replicas apply every update, whatever the version",
    orders: OrdersRules { tickets: ReplicaRules { apply: ApplyRule::Blind, ..STRICT }, ..STAGE_2.orders },
    ..STAGE_2
};

const STAGE_0: Design = Design {
    name: "stage0",
    about: "orders gives its replicas ids of its own",
    orders: OrdersRules { tickets: ReplicaRules { owner_ids: false, ..STAGE_1.orders.tickets }, ..STAGE_1.orders },
    ..STAGE_1
};

const REFERENCE: Design = Design {
    name: "reference",
    about: "three-way versions, a lock with an order ledger, guarded cancels and payments, an outbox",
    tickets: TicketsRules {
        listens: BOTH,
        lock: LockRules::ORDER_ID_WITH_LEDGER,
        reject_reserved_edits: true,
        optimistic_edits: true,
        versions: VersionPolicy::EVERY_SAVE,
        publish: PublishRules::OUTBOX,
    },
    orders: OrdersRules {
        tickets: THREE_WAY,
        unique_live_order: true,
        raises_replica: false,
        cancel: CloseRule::OPEN,
        expire: CloseRule::OPEN,
        paid: PaidRules { revives: false, again: false, publishes: true, refunds: true },
        saga: false,
        acks_early: false,
        publish: PublishRules::OUTBOX,
    },
    expiration: ExpirationRules { one_job: true, in_memory: false, publish: PublishRules::OUTBOX },
    payments: PaymentsRules {
        orders: THREE_WAY,
        unique_payment: true,
        only_reserved: false,
        group: None,
        publish: PublishRules::OUTBOX,
    },
};

const SAGA: Design = Design {
    name: "saga",
    about: "the reference, and an order is paid only once its ticket is reserved at its price",
    orders: OrdersRules { saga: true, ..REFERENCE.orders },
    payments: PaymentsRules { only_reserved: true, ..REFERENCE.payments },
    ..REFERENCE
};

impl Design {
    /// Every design, in the order of the story.
    pub const ALL: [Design; 9] = [STAGE_0, STAGE_1, STAGE_2, STAGE_3, STAGE_4, STAGE_5, COURSE, REFERENCE, SAGA];

    /// The course's final design.
    pub const COURSE: Design = COURSE;

    /// The design that is right.
    pub const REFERENCE: Design = REFERENCE;

    /// The reference with a reservation saga, under which a price cannot change behind an order.
    pub const SAGA: Design = SAGA;

    /// The design of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Design> {
        Design::ALL.into_iter().find(|design| design.name == name)
    }

    /// Adds the services with this design's rules.
    #[must_use]
    pub fn host(&self, on: SimulationBuilder<Ticketing>, hostings: &Hostings) -> SimulationBuilder<Ticketing> {
        let mut builder = on.hosted(Tickets(self.tickets), hostings.tickets.clone());
        builder = builder.hosted(Orders(self.orders), hostings.orders.clone());
        if let Some(hosting) = &hostings.expiration {
            builder = builder.hosted(Expiration(self.expiration), hosting.clone());
        }
        if let Some(hosting) = &hostings.payments {
            let group = self.payments.group.map(str::to_owned).or_else(|| hosting.group.clone());
            builder = builder.hosted(Payments(self.payments), Hosting { group, ..hosting.clone() });
        }
        builder
    }

    /// The services with this design's rules, for scenarios: expiration and payments are optional.
    #[must_use]
    pub fn services(&self) -> Services<Ticketing> {
        let payments = Hosting { group: self.payments.group.map(str::to_owned), ..Hosting::ALONE };
        Services::new()
            .service(Tickets(self.tickets))
            .service(Orders(self.orders))
            .optional(Expiration(self.expiration))
            .optional_hosted(Payments(self.payments), payments)
    }
}

impl Default for Design {
    fn default() -> Design {
        Design::REFERENCE
    }
}

impl scenario::Design for Design {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }
}
