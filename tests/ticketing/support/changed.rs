//! The ticketing services after a change of their structure, for cases that should survive it.

use pellmell::testing::service;
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{EXPIRATION_COMPLETE, PAYMENT_CREATED};
use pellmell::ticketing::{
    Expiration, ORDER_CANCELLED, ORDER_COMPLETED, ORDER_CREATED, ORDER_RESERVED, Orders, Payments, REFUND_REQUESTED,
    Request, TICKET_CREATED, TICKET_UPDATED, Ticketing, TicketingEvent, Tickets, What,
};
use pellmell::{
    AckTiming, Context, Hosting, Outcome, PublishMode, RecordId, Rejection, Schema, Service, Simulation, Subject,
    Timer, Work,
};

/// A change of the structure, not of any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing changed.
    Nothing,
    /// An audit service listens to every subject, and was added in front.
    ListenerAdded,
    /// Tickets publishes one more event for each command it accepts, to which a new service listens.
    EventAdded,
    /// The services, and with them their groups, are added in reverse.
    GroupsReversed,
    /// A client that deals with a ticket of its own was added in front.
    ClientInFront,
    /// The service added last listens to nothing any more, so its group is gone.
    GroupRemoved,
}

impl Change {
    pub const ALL: [Change; 5] = [
        Change::ListenerAdded,
        Change::EventAdded,
        Change::GroupsReversed,
        Change::ClientInFront,
        Change::GroupRemoved,
    ];

    /// What changed, in words.
    pub fn name(self) -> &'static str {
        match self {
            Change::Nothing => "nothing",
            Change::ListenerAdded => "a listener on every subject",
            Change::EventAdded => "one more event",
            Change::GroupsReversed => "groups in reverse",
            Change::ClientInFront => "an unrelated client in front",
            Change::GroupRemoved => "a group removed",
        }
    }

    /// The simulation of a scenario after the change.
    pub fn simulation(self, scenario: &Scenario) -> Simulation<Ticketing> {
        let mut services = services(scenario);
        match self {
            Change::GroupsReversed => services.reverse(),
            Change::GroupRemoved => services.iter_mut().next_back().expect("a service").0.is_deaf = true,
            Change::EventAdded => {
                let tickets = services.iter_mut().find(|(service, _)| service.inner.name() == "tickets");
                tickets.expect("tickets is always there").0.says_more = true;
            }
            Change::Nothing | Change::ListenerAdded | Change::ClientInFront => {}
        }
        let mut builder = Simulation::on(scenario.profile.clone());
        if self == Change::ListenerAdded {
            builder = builder.service(service("audit").on_event(SUBJECTS, |_, _| Outcome::Ack));
        }
        for (service, hosting) in services {
            builder = builder.hosted(service, hosting);
        }
        if self == Change::EventAdded {
            builder = builder.service(service("journal").on_event(SAID_BESIDES, |_, _| Outcome::Ack));
        }
        if self == Change::ClientInFront {
            // It edits nothing: an edit alone would fail with a defect that every edit meets.
            let create =
                |number| What::CreateTicket { ticket: RecordId::new('t', number), title: "fair".into(), price: 5 };
            let sent = [99, 98].map(|number| Request { user: Some("zoe".into()), what: create(number) });
            builder = builder.client("zoe", sent.into());
        }
        for client in scenario.clients_of(scenario.seed) {
            builder = builder.client(client.name, client.commands);
        }
        builder.build().expect("the services fit together")
    }
}

const SUBJECTS: &[Subject] = &[
    TICKET_CREATED,
    TICKET_UPDATED,
    ORDER_CREATED,
    ORDER_CANCELLED,
    ORDER_RESERVED,
    ORDER_COMPLETED,
    EXPIRATION_COMPLETE,
    PAYMENT_CREATED,
    REFUND_REQUESTED,
];

/// What the new service listens to that hears what tickets says besides.
const SAID_BESIDES: &[Subject] = &[REFUND_REQUESTED];

/// The services of a scenario with how they are hosted, in order.
fn services(scenario: &Scenario) -> Vec<(Changed, Hosting)> {
    let design = scenario.planted();
    let hosting = |name: &str| scenario.hostings.get(name).cloned();
    let alone = || Hosting::ALONE;
    let mut services = vec![
        (Changed::of(Tickets(design.tickets)), hosting("tickets").unwrap_or_else(alone)),
        (Changed::of(Orders(design.orders)), hosting("orders").unwrap_or_else(alone)),
    ];
    services.extend(hosting("expiration").map(|hosting| (Changed::of(Expiration(design.expiration)), hosting)));
    services.extend(hosting("payments").map(|hosting| {
        let group = design.payments.group.map(str::to_owned).or(hosting.group.clone());
        (Changed::of(Payments(design.payments)), Hosting { group, ..hosting })
    }));
    services
}

/// A service that may listen to nothing any more, or say more than it did.
struct Changed {
    inner: Box<dyn Service<Ticketing>>,
    is_deaf: bool,
    says_more: bool,
}

impl Changed {
    fn of(inner: impl Service<Ticketing> + 'static) -> Changed {
        Changed { inner: Box::new(inner), is_deaf: false, says_more: false }
    }
}

/// What tickets says besides, to which nobody has to do anything.
const BESIDES: TicketingEvent =
    TicketingEvent::RefundRequested { payment: RecordId::new('p', 99), order: RecordId::new('o', 99) };

impl Service<Ticketing> for Changed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn collections(&self, schema: &mut Schema) {
        self.inner.collections(schema);
    }

    fn subjects(&self) -> &[Subject] {
        if self.is_deaf { &[] } else { self.inner.subjects() }
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Context<'_, Ticketing>) -> Outcome {
        if *event == BESIDES { Outcome::Ack } else { self.inner.handle(event, ctx) }
    }

    fn execute(&self, command: &Request, ctx: &mut Context<'_, Ticketing>) -> Result<(), Rejection> {
        let answer = self.inner.execute(command, ctx);
        if self.says_more && answer.is_ok() {
            ctx.publish(BESIDES);
        }
        answer
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Ticketing>) {
        self.inner.on_timer(timer, ctx);
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.inner.publish_mode(work)
    }

    fn ack_timing(&self) -> AckTiming {
        self.inner.ack_timing()
    }
}

/// The group that [`Change::GroupRemoved`] takes away.
pub fn removed(scenario: &Scenario) -> String {
    let (service, hosting) = services(scenario).pop().expect("a service");
    hosting.group.unwrap_or_else(|| service.name().to_owned())
}

/// The entries of the corpus with their files, in order.
pub fn entries() -> Vec<(String, Scenario)> {
    let folder = std::fs::read_dir("scenarios/corpus").expect("run it in the project's folder");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(path).expect("an entry"));
        let scenario = Scenario::parse(&name, &text);
        (name, scenario.unwrap_or_else(|error| panic!("{error}")))
    };
    paths.iter().map(read).filter(|(_, scenario)| scenario.entry.is_some()).collect()
}
