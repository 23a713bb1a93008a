//! Each property of the ticketing services is broken by a planted defect, and by nothing else
//! before it; the reference holds on the same input.

use pellmell::broker::Profile;
use pellmell::ticketing::{
    CloseRule, CreateRule, Design, Hostings, LockRules, ORDER_CREATED, Order, Orders, OrdersRules, PublishRules,
    REFUND_REQUESTED, ReplicaRules, Request, Status, TICKET_CREATED, TICKET_UPDATED, Ticket, TicketReplica, Ticketing,
    TicketingEvent, Tickets, TicketsRules, What, properties,
};
use pellmell::{
    Context, Departing, FaultPlan, Hosting, Judges, Keyed, Limits, Outcome, PublishMode, Rate, Ratio, RecordId,
    Rejection, Report, Rounds, Scheduler, Schema, Service, Simulation, Subject, Verdict, Version, VersionPolicy,
    VersionScheme, Work, run,
};

use crate::support::request;
use pellmell::simulation::SimulationBuilder;

const TICKETS: TicketsRules = Design::REFERENCE.tickets;
const ORDERS: OrdersRules = Design::REFERENCE.orders;

const SILENT: LockRules = LockRules { publish_taken: false, publish_released: false, ..TICKETS.lock };
const INSERT: ReplicaRules = ReplicaRules { create: CreateRule::Insert, ..ORDERS.tickets };

type Ctx<'a> = Context<'a, Ticketing>;

/// A service with one thing about it changed.
struct Faulty<S> {
    inner: S,
    subjects: fn(&S) -> &[Subject],
    handle: fn(&S, &TicketingEvent, &mut Ctx<'_>) -> Outcome,
    execute: fn(&S, &Request, &mut Ctx<'_>) -> Result<(), Rejection>,
}

impl<S: Service<Ticketing>> Faulty<S> {
    /// The service as it is.
    fn sound(inner: S) -> Faulty<S> {
        Faulty {
            inner,
            subjects: S::subjects,
            handle: |inner, event, ctx| inner.handle(event, ctx),
            execute: |inner, request, ctx| inner.execute(request, ctx),
        }
    }
}

impl<S: Service<Ticketing>> Service<Ticketing> for Faulty<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn collections(&self, schema: &mut Schema) {
        self.inner.collections(schema);
    }

    fn subjects(&self) -> &[Subject] {
        (self.subjects)(&self.inner)
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
        (self.handle)(&self.inner, event, ctx)
    }

    fn execute(&self, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        (self.execute)(&self.inner, request, ctx)
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.inner.publish_mode(work)
    }
}

/// Where a defect shows itself.
enum Where {
    /// In the calm run with these departures.
    Departing(&'static [&'static str]),
    /// In some of a hundred seeds, where handlers pause between read and save.
    Racing,
    /// Where everything pending is handed out once per round.
    Rounds,
}

/// A planted defect and the input on which it shows.
struct Defect {
    /// The property it breaks before any other.
    property: &'static str,
    /// What is wrong, as the property's author would put it.
    about: &'static str,
    profile: fn() -> Profile,
    /// What the clients send.
    clients: &'static [&'static [&'static str]],
    shows: Where,
    /// The services with the defect.
    plant: fn(&Defect) -> Simulation<Ticketing>,
    /// The design that is right on this input, and the services it takes.
    sound: Design,
    hostings: Hostings,
}

/// What most defects have in common.
const USUAL: Defect = Defect {
    property: "",
    about: "",
    profile: Profile::stan,
    clients: &[],
    shows: CALM,
    plant: Defect::sound,
    sound: Design::REFERENCE,
    hostings: Hostings::TWO,
};

impl Defect {
    /// Puts two services and the input together.
    fn host(
        &self,
        tickets: impl Service<Ticketing> + 'static,
        orders: impl Service<Ticketing> + 'static,
    ) -> Simulation<Ticketing> {
        let members = if matches!(self.shows, Where::Racing) { 2 } else { 1 };
        let hosting = Hosting { members, ..Hosting::ALONE };
        self.build(Simulation::on((self.profile)()).hosted(tickets, hosting.clone()).hosted(orders, hosting))
    }

    /// Puts the services of a design and the input together.
    fn design(&self, design: Design) -> Simulation<Ticketing> {
        self.build(design.host(Simulation::on((self.profile)()), &self.hostings))
    }

    fn build(&self, services: SimulationBuilder<Ticketing>) -> Simulation<Ticketing> {
        let clients = self.clients.iter().enumerate();
        let hosted = clients.fold(services, |builder, (number, texts)| {
            builder.client(format!("client-{number}"), texts.iter().map(|text| request(text)).collect())
        });
        hosted.build().unwrap_or_else(|error| panic!("{}: {error}", self.about))
    }

    /// The services without the defect.
    fn sound(&self) -> Simulation<Ticketing> {
        match self.shows {
            Where::Racing => self.host(Tickets(TICKETS), Orders(ORDERS)),
            _ => self.design(self.sound),
        }
    }

    /// The services with a defect of the zoo.
    fn known(&self, name: &str) -> Simulation<Ticketing> {
        let known = pellmell::ticketing::defect(name).unwrap_or_else(|| panic!("{}: no defect `{name}`", self.about));
        self.design(self.sound.with(&[known]))
    }

    /// Runs the input on services, judged by every property.
    fn run(&self, simulation: &Simulation<Ticketing>) -> Vec<Report> {
        let judged = |scheduler: &mut dyn Scheduler| {
            let judges = Judges::new(properties::promised_by(&self.sound));
            run(&mut simulation.world(), &mut Dyn(scheduler), &judges, Limits::default(), &mut ())
        };
        match self.shows {
            Where::Departing(schedule) => {
                let schedule = schedule.iter().map(|text| text.parse().expect("a departure")).collect();
                let mut departing = Departing::new(schedule);
                let report = judged(&mut departing);
                let unused: Vec<String> = departing.unused().map(ToString::to_string).collect();
                assert_eq!(unused, Vec::<String>::new(), "{}: departures without effect", self.about);
                vec![report]
            }
            Where::Racing => {
                let plan = FaultPlan { pause: Rate::of(Ratio::new(1, 2)), ..FaultPlan::NONE };
                (0..100).map(|seed| judged(&mut Keyed::new(seed, plan))).collect()
            }
            Where::Rounds => vec![judged(&mut Rounds::default())],
        }
    }
}

/// A borrowed scheduler.
struct Dyn<'a>(&'a mut dyn Scheduler);

impl Scheduler for Dyn<'_> {
    fn offer(&mut self, offer: pellmell::scheduler::Offer) {
        self.0.offer(offer);
    }

    fn pick(&mut self, enabled: &pellmell::scheduler::Enabled<'_>) -> pellmell::scheduler::Action {
        self.0.pick(enabled)
    }

    fn fate(&mut self, chosen: &pellmell::scheduler::Chosen) -> pellmell::Fate {
        self.0.fate(chosen)
    }

    fn in_rounds(&self) -> bool {
        self.0.in_rounds()
    }
}

const CALM: Where = Where::Departing(&[]);

fn defects() -> Vec<Defect> {
    vec![
        Defect {
            property: "ReplicaNeverAhead",
            about: "orders raises the version of its replica when the ticket is ordered",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            shows: CALM,
            plant: |defect| defect.host(Tickets(TICKETS), Faulty { execute: bump_replica, ..orders() }),
            ..USUAL
        },
        Defect {
            property: "MonotoneReplica",
            about: "a ticket:created that comes again sets the replica back to version 0",
            profile: Profile::adversarial,
            clients: &[&["ann create t1 5", "ann edit t1 10"]],
            shows: Where::Departing(&[
                "duplicate ticket:created t1@0 -> orders",
                "hold ticket:created t1@0 -> orders #2 until ticket:updated t1@1 -> orders",
            ]),
            plant: |defect| defect.host(Tickets(TICKETS), Faulty { handle: reset_replica, ..orders() }),
            ..USUAL
        },
        Defect {
            property: "PrefixConsistency",
            about: "the replica takes every update, whatever its version",
            profile: Profile::adversarial,
            clients: &[&["ann create t1 5", "ann edit t1 10", "ann edit t1 15"]],
            shows: Where::Departing(&["hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"]),
            plant: |defect| {
                let stage1 = Design::named("stage1").expect("a shipped design");
                defect.host(Tickets(stage1.tickets), Orders(stage1.orders))
            },
            ..USUAL
        },
        Defect {
            property: "NoLostUpdate",
            about: "the owner saves without looking whether somebody saved in between",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "ann edit t1 6", "ann edit t1 7"], &["ann edit t1 8", "ann edit t1 9"]],
            shows: Where::Racing,
            plant: |defect| defect.host(Faulty { execute: overwrite, ..tickets() }, Orders(ORDERS)),
            ..USUAL
        },
        Defect {
            property: "SingleVersionAuthority",
            about: "versions are read from a clock that ticks once per second",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "ann edit t1 10"]],
            shows: CALM,
            plant: |defect| {
                let scheme = VersionScheme::Timestamp { unit_us: 1_000_000 };
                let versions = VersionPolicy { scheme, ..VersionPolicy::EVERY_SAVE };
                defect.host(Tickets(TicketsRules { versions, ..TICKETS }), Orders(ORDERS))
            },
            ..USUAL
        },
        Defect {
            property: "NoLockOverwrite",
            about: "an order takes the lock from another one",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2"]],
            shows: Where::Departing(&["hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets"]),
            plant: |defect| {
                let rules = TicketsRules { lock: LockRules::ORDER_ID, ..TICKETS };
                defect.host(Tickets(rules), Orders(ORDERS))
            },
            ..USUAL
        },
        Defect {
            property: "NoForeignRelease",
            about: "the cancel of one order frees the lock of another",
            profile: Profile::adversarial,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2"]],
            shows: Where::Departing(&[
                "hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets",
                "hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets",
            ]),
            plant: |defect| defect.host(Tickets(Design::COURSE.tickets), Orders(Design::COURSE.orders)),
            ..USUAL
        },
        Defect {
            property: "NoEditWhileLocked",
            about: "a reserved ticket can be edited",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "ann edit t1 6"]],
            shows: CALM,
            plant: |defect| {
                defect.host(Tickets(TicketsRules { reject_reserved_edits: false, ..TICKETS }), Orders(ORDERS))
            },
            ..USUAL
        },
        Defect {
            property: "AtMostOneLiveOrder",
            about: "orders looks for a live order first and inserts then",
            profile: Profile::stan,
            clients: &[&["ann create t1 5"], &["bob order t1 as o1"], &["eve order t1 as o2"]],
            shows: Where::Racing,
            plant: |defect| defect.host(Tickets(TICKETS), Orders(OrdersRules { unique_live_order: false, ..ORDERS })),
            ..USUAL
        },
        Defect {
            property: "TerminalStatus",
            about: "cancelling a cancelled order brings it back",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "bob cancel o1"]],
            shows: CALM,
            plant: |defect| defect.host(Tickets(TICKETS), Faulty { execute: revive, ..orders() }),
            ..USUAL
        },
        Defect {
            property: "EffectivelyOnce",
            about: "a cancelled order is cancelled once more, with a new version and a new event",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "bob cancel o1"]],
            shows: CALM,
            plant: |defect| defect.host(Tickets(TICKETS), Orders(OrdersRules { cancel: CloseRule::ANY, ..ORDERS })),
            ..USUAL
        },
        Defect {
            property: "EffectivelyOnce",
            about: "an order that comes again locks its ticket again",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            shows: Where::Departing(&["lose ack of order:created o1@0 -> tickets"]),
            plant: |defect| defect.host(Tickets(TicketsRules { lock: LockRules::ORDER_ID, ..TICKETS }), Orders(ORDERS)),
            ..USUAL
        },
        Defect {
            property: "PublishedVersionsContiguous",
            about: "a crash between save and publish loses a version, and the next one is published",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            shows: Where::Departing(&["crash tickets before publish of order:created o1@0 -> tickets"]),
            plant: |defect| {
                let rules = TicketsRules { publish: PublishRules::DUAL_WRITE, lock: LockRules::ORDER_ID, ..TICKETS };
                defect.host(Tickets(rules), Orders(ORDERS))
            },
            ..USUAL
        },
        Defect {
            property: "PublishedVersionsContiguous",
            about: "a lock raises the ticket's version and nobody is told",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "ann edit t1 10"]],
            shows: CALM,
            plant: |defect| defect.host(Tickets(TicketsRules { lock: SILENT, ..TICKETS }), Orders(ORDERS)),
            ..USUAL
        },
        Defect {
            property: "PublishedOnce",
            about: "a ticket is said to be created, and with the same version to be updated",
            profile: Profile::stan,
            clients: &[&["ann create t1 5"]],
            shows: CALM,
            plant: |defect| defect.host(Faulty { execute: says_it_twice, ..tickets() }, Orders(ORDERS)),
            ..USUAL
        },
        Defect {
            property: "AckOnlyAfterApply",
            about: "an update that comes too early is acked and dropped",
            profile: Profile::adversarial,
            clients: &[&["ann create t1 5", "ann edit t1 10", "ann edit t1 15"]],
            shows: Where::Departing(&["hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"]),
            plant: |defect| defect.host(Tickets(TICKETS), Faulty { handle: ack_refused, ..orders() }),
            ..USUAL
        },
        Defect {
            property: "NoPoison",
            about: "a ticket:created that comes again is a duplicate key for ever",
            profile: Profile::stan,
            clients: &[&["ann create t1 5"]],
            shows: Where::Departing(&["lose ack of ticket:created t1@0 -> orders"]),
            plant: |defect| defect.host(Tickets(TICKETS), Orders(OrdersRules { tickets: INSERT, ..ORDERS })),
            ..USUAL
        },
        Defect {
            property: "BoundedRedelivery",
            about: "each event is refused four times before it is looked at",
            profile: Profile::adversarial,
            clients: &[&["ann create t1 5", "ann edit t1 10"]],
            shows: Where::Rounds,
            plant: |defect| defect.host(Tickets(TICKETS), Faulty { handle: procrastinate, ..orders() }),
            ..USUAL
        },
        Defect {
            property: "NoUnboundedGrowth",
            about: "each service answers an event of the other with the same event",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            shows: CALM,
            plant: |defect| {
                let echoing = Faulty {
                    handle: echo_of_tickets,
                    subjects: |_| const { &[ORDER_CREATED, REFUND_REQUESTED] },
                    ..tickets()
                };
                let echoed = Faulty {
                    handle: echo_of_orders,
                    subjects: |_| const { &[TICKET_CREATED, TICKET_UPDATED, REFUND_REQUESTED] },
                    ..orders()
                };
                defect.host(echoing, echoed)
            },
            ..USUAL
        },
        Defect {
            property: "TicketReplicaConverged",
            about: "nobody registered the listener for ticket:updated",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "ann edit t1 10"]],
            shows: CALM,
            plant: |defect| {
                let deaf = Faulty { subjects: |_| const { &[TICKET_CREATED] }, ..orders() };
                defect.host(Tickets(TICKETS), deaf)
            },
            ..USUAL
        },
        Defect {
            property: "ReservationAgreement",
            about: "a ticket is locked by an order whose cancel came first",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1"]],
            shows: Where::Departing(&["hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets"]),
            plant: |defect| defect.host(Tickets(TicketsRules { lock: LockRules::ORDER_ID, ..TICKETS }), Orders(ORDERS)),
            ..USUAL
        },
        Defect {
            property: "ReservationAgreement",
            about: "nobody registered the listener for order:cancelled",
            profile: Profile::stan,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1"]],
            shows: CALM,
            plant: |defect| {
                let deaf = Faulty { subjects: |_| const { &[ORDER_CREATED] }, ..tickets() };
                defect.host(deaf, Orders(ORDERS))
            },
            ..USUAL
        },
        Defect {
            property: "ReservationAgreement",
            about: "the lock is a flag, and the cancel of one order clears it under another",
            profile: Profile::adversarial,
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "eve order t1 as o2"]],
            shows: Where::Departing(&["hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets"]),
            plant: |defect| defect.host(Tickets(TicketsRules { lock: LockRules::BOOLEAN, ..TICKETS }), Orders(ORDERS)),
            ..USUAL
        },
        Defect {
            property: "ReplicaIdentity",
            about: "orders keeps its replicas under ids of its own",
            clients: &[&["ann create t1 5"]],
            plant: |defect| defect.known("ReplicaOwnId"),
            ..USUAL
        },
        Defect {
            property: "AtMostOnePayment",
            about: "an order can be paid twice",
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob pay o1 as p1", "bob pay o1 as p2"]],
            plant: |defect| defect.known("DoubleCharge"),
            hostings: Hostings::FOUR,
            ..USUAL
        },
        Defect {
            property: "ReservedBeforePaid",
            about: "an order is paid before tickets has heard of it",
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob pay o1 as p1"]],
            shows: Where::Departing(&["hold order:created o1@0 -> tickets until quiescence"]),
            plant: |defect| defect.design(hasty()),
            sound: Design::SAGA,
            hostings: Hostings::FOUR,
            ..USUAL
        },
        Defect {
            property: "TerminalStatus",
            about: "a complete order is cancelled",
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob pay o1 as p1", "bob cancel o1"]],
            plant: |defect| defect.known("CancelsCompleteOrder"),
            hostings: Hostings::FOUR,
            ..USUAL
        },
        Defect {
            property: "EffectivelyOnce",
            about: "an order that comes again gets a second timer",
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            shows: Where::Departing(&["lose ack of order:created o1@0 -> expiration"]),
            plant: |defect| defect.known("DuplicateTimer"),
            hostings: Hostings::FOUR,
            ..USUAL
        },
        Defect {
            property: "EventuallyExpires",
            about: "timers are lost when the process restarts",
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            shows: Where::Departing(&["crash expiration after ack of order:created o1@0 -> expiration"]),
            plant: |defect| defect.known("VolatileTimer"),
            hostings: Hostings::FOUR,
            ..USUAL
        },
        Defect {
            property: "OrderReplicaConverged",
            about: "payments shares the group of tickets and misses half of the events",
            clients: &[&["ann create t1 5", "bob order t1 as o1"]],
            plant: |defect| defect.known("SharedQueueGroup"),
            hostings: Hostings { expiration: None, ..Hostings::FOUR },
            ..USUAL
        },
        Defect {
            property: "PaymentAgreement",
            about: "the payment of a cancelled order is kept",
            clients: &[&["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "bob pay o1 as p1"]],
            shows: Where::Departing(&["hold order:cancelled o1@1 -> payments until quiescence"]),
            plant: |defect| defect.known("NoRefund"),
            hostings: Hostings::FOUR,
            ..USUAL
        },
        Defect {
            property: "PriceAgreement",
            about: "an order is made at a price the seller changes before the ticket is locked",
            clients: &[&["ann create t1 5", "bob order t1 as o1", "ann edit t1 7"]],
            shows: Where::Departing(&["hold order:created o1@0 -> tickets until quiescence"]),
            plant: |defect| defect.design(hasty()),
            sound: Design::SAGA,
            ..USUAL
        },
    ]
}

/// The design with a saga, but orders and payments do not wait for the reservation.
fn hasty() -> Design {
    Design { orders: ORDERS, payments: Design::REFERENCE.payments, ..Design::SAGA }
}

fn tickets() -> Faulty<Tickets> {
    Faulty::sound(Tickets(TICKETS))
}

fn orders() -> Faulty<Orders> {
    Faulty::sound(Orders(ORDERS))
}

fn bump_replica(orders: &Orders, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
    orders.execute(request, ctx)?;
    if let What::CreateOrder { ticket, .. } = request.what {
        let held = ctx.store.find::<TicketReplica>(ticket).cloned().expect("it was ordered");
        ctx.store.save_if_current(ticket, held.value, held.version).expect("nobody saved in between");
    }
    Ok(())
}

fn reset_replica(orders: &Orders, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
    if let TicketingEvent::TicketCreated { id, version, title, price, .. } = event
        && let Some(held) = ctx.store.find::<TicketReplica>(*id).map(|held| held.version)
    {
        let created = TicketReplica { title: title.clone(), price: *price };
        ctx.store.save_as(*id, created, held, *version).expect("nobody saved in between");
        return Outcome::Ack;
    }
    orders.handle(event, ctx)
}

fn overwrite(tickets: &Tickets, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
    let What::EditTicket { ticket: id, price, .. } = request.what else {
        return tickets.execute(request, ctx);
    };
    let Some(held) = ctx.store.find::<Ticket>(id).cloned() else {
        return Err(Rejection { status: 404, reason: "no such ticket" });
    };
    let (read, edited) = (held.version, Ticket { price, ..held.value });
    let version = ctx.store.overwrite(id, edited.clone(), Some(read));
    ctx.publish(updated(id, version, Some(read), edited));
    Ok(())
}

fn updated(id: RecordId, version: Version, previous: Option<Version>, ticket: Ticket) -> TicketingEvent {
    let Ticket { title, price, user, lock } = ticket;
    TicketingEvent::TicketUpdated { id, version, previous, title, price, user, lock }
}

fn revive(orders: &Orders, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
    if let What::CancelOrder { order } = request.what
        && let Some(held) = ctx.store.find::<Order>(order).filter(|held| held.status == Status::Cancelled).cloned()
    {
        let revived = Order { status: Status::Created, ..held.value };
        ctx.store.save_if_current(order, revived, held.version).expect("nobody saved in between");
        return Ok(());
    }
    orders.execute(request, ctx)
}

fn ack_refused(orders: &Orders, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
    match orders.handle(event, ctx) {
        Outcome::Nak { .. } => Outcome::Ack,
        other => other,
    }
}

fn procrastinate(orders: &Orders, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
    if ctx.attempt() < 5 { Outcome::nak("not now") } else { orders.handle(event, ctx) }
}

/// Creates a ticket and publishes it twice, once as an update.
fn says_it_twice(tickets: &Tickets, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
    tickets.execute(request, ctx)?;
    if let What::CreateTicket { ticket, .. } = request.what
        && let Some(held) = ctx.store.find::<Ticket>(ticket).cloned()
    {
        ctx.publish(updated(ticket, held.version, held.previous, held.value));
    }
    Ok(())
}

const REFUND: TicketingEvent =
    TicketingEvent::RefundRequested { payment: RecordId::new('p', 1), order: RecordId::new('o', 1) };

/// Answers each order with a refund, and each refund with another one.
fn echo_of_tickets(tickets: &Tickets, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
    let is_refund = matches!(event, TicketingEvent::RefundRequested { .. });
    let outcome = if is_refund { Outcome::Ack } else { tickets.handle(event, ctx) };
    ctx.publish(REFUND);
    outcome
}

fn echo_of_orders(orders: &Orders, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
    if !matches!(event, TicketingEvent::RefundRequested { .. }) {
        return orders.handle(event, ctx);
    }
    ctx.publish(REFUND);
    Outcome::Ack
}

/// The property a verdict names.
fn broken(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Violated { property, .. } => Some(property),
        _ => None,
    }
}

#[test]
fn every_property_has_a_planted_defect() {
    let planted: Vec<&str> = defects().iter().map(|defect| defect.property).collect();
    for name in properties::names() {
        assert!(planted.contains(&name), "no defect is planted for {name}: add one to `defects`");
    }
    for name in planted {
        assert!(properties::names().contains(&name), "a defect is planted for {name}, which is no property");
    }
}

#[test]
fn a_planted_defect_breaks_its_property_before_any_other() {
    for defect in defects() {
        let reports = defect.run(&(defect.plant)(&defect));
        let broken_runs = reports.iter().filter(|report| report.verdict != Verdict::Held);
        for report in broken_runs.clone() {
            let verdict = &report.verdict;
            assert_eq!(broken(verdict), Some(defect.property), "{}: {verdict:?}", defect.about);
        }
        assert!(broken_runs.count() > 0, "no run shows {}: {}", defect.property, defect.about);
    }
}

#[test]
fn the_reference_holds_where_a_planted_defect_shows() {
    for defect in defects() {
        for report in defect.run(&defect.sound()) {
            assert_eq!(report.verdict, Verdict::Held, "{}", defect.about);
        }
    }
}
