//! One service alone: a stand-in publishes what the others would, so a handler runs on exactly the
//! state that the moves before it made.

use pellmell::broker::Profile;
use pellmell::run::Observer;
use pellmell::ticketing::{
    Design, Expiration, Lock, Orders, Payments, Request, Status, Ticketing, TicketingEvent, Tickets, What,
};
use pellmell::{
    Answer, Calm, Context, FaultPlan, Judges, Limits, Outcome, RecordId, Rejection, Schema, Service, Simulation, Step,
    Time, Version, World, run,
};

use crate::support::request;

/// What came of it.
pub(crate) struct Played {
    /// What the service answered to each move and each timer, and what it published by that.
    pub(crate) lines: Vec<String>,
    /// The world after the last of it.
    pub(crate) world: World<Ticketing>,
}

impl Played {
    /// The rows of the service's store, in words.
    pub(crate) fn rows(&self, service: &str) -> Vec<String> {
        let texts = self.world.store_of(service).texts();
        texts.iter().map(|row| format!("{} {}@{} {}", row.collection, row.id, row.version, row.fields)).collect()
    }
}

/// Plays moves against one service of a design. A move is a request such as `bob pay o1 as p1` or
/// an event such as `order:created o1@0`; see [`event`]. Timers fire after the last move.
pub(crate) fn alone(service: &'static str, design: Design, moves: &[&str]) -> Played {
    // The stand-in has the name of a service whose requests are not needed, to be asked by them.
    let stand_in = if service == "tickets" { "orders" } else { "tickets" };
    let is_event = |text: &str| text.split(' ').next().is_some_and(|word| word.contains(':'));
    let mut events = Vec::new();
    let mut requests = Vec::new();
    for text in moves {
        if !is_event(text) {
            requests.push(request(text));
            continue;
        }
        let nth = events.len() as u32;
        events.push(event(text));
        let what = match stand_in {
            "tickets" => What::ShowTicket { ticket: RecordId::new('t', nth) },
            _ => What::ShowOrder { order: RecordId::new('o', nth) },
        };
        requests.push(Request { user: Some("stand-in".into()), what });
    }
    let builder = Simulation::on(Profile::stan()).service(StandIn { name: stand_in, events });
    let builder = match service {
        "tickets" => builder.service(Tickets(design.tickets)),
        "orders" => builder.service(Orders(design.orders)),
        "expiration" => builder.service(Expiration(design.expiration)),
        "payments" => builder.service(Payments(design.payments)),
        _ => panic!("{service} is no service"),
    };
    let mut world = builder.client("all", requests).build().expect("the parts fit").world();
    let mut lines = Lines { service, lines: Vec::new() };
    let mut calm = Calm::new(0, FaultPlan::NONE);
    run(&mut world, &mut calm, &Judges::new(Vec::new()), Limits::default(), &mut lines);
    Played { lines: lines.lines, world }
}

struct Lines {
    service: &'static str,
    lines: Vec<String>,
}

impl Observer<Ticketing> for Lines {
    fn after(&mut self, world: &World<Ticketing>, step: &Step) {
        let Some(actor) = step.actor.filter(|actor| world.service_name(actor.service) == self.service) else { return };
        let broker = world.broker();
        let published = broker.messages()[step.published.clone()].iter();
        let published: String = published.map(|message| format!(" + {}", message.name)).collect();
        let message = || broker.name(step.delivery.expect("a delivery was answered")).message;
        let said = match step.answer.unwrap_or_else(|| panic!("{} did not answer", actor.member)) {
            Answer::Command(Ok(())) => "accepted".to_owned(),
            Answer::Command(Err(Rejection { status, reason })) => format!("rejected {status}: {reason}"),
            Answer::Delivery(Outcome::Ack) => format!("acks {}", message()),
            Answer::Delivery(Outcome::Nak { reason, .. }) => format!("naks ({reason}) {}", message()),
            Answer::Delivery(Outcome::Silent(reason)) => format!("throws ({reason}) on {}", message()),
            Answer::Timer => "timer".to_owned(),
            answer => panic!("not in a calm run: {answer:?}"),
        };
        self.lines.push(said + &published);
    }
}

struct StandIn {
    name: &'static str,
    events: Vec<TicketingEvent>,
}

impl Service<Ticketing> for StandIn {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collections(&self, _schema: &mut Schema) {}

    fn execute(&self, request: &Request, ctx: &mut Context<'_, Ticketing>) -> Result<(), Rejection> {
        let (What::ShowTicket { ticket: nth } | What::ShowOrder { order: nth }) = request.what else {
            panic!("asked for {request:?}");
        };
        ctx.publish(self.events[nth.number() as usize].clone());
        Ok(())
    }
}

/// Reads `ticket:created t1@0 5`, `ticket:updated t1@1 10`, `order:created o1@0`, `order:created
/// o1@0 until 60`, `order:cancelled o1@1`, `order:reserved o1@1`, `order:completed o1@1`,
/// `expiration:complete o1`, `payment:created p1 for o1`, `refund:requested p1 for o1`.
///
/// Tickets are ann's and called concert, orders are bob's, for t1 at 5, and expire at second 60.
fn event(text: &str) -> TicketingEvent {
    let words: Vec<&str> = text.split(' ').collect();
    let record = |word: &str| word.parse::<RecordId>().unwrap_or_else(|error| panic!("`{text}`: {error}"));
    let number = |word: &str| word.parse::<u32>().unwrap_or_else(|error| panic!("`{text}`: {error}"));
    let (id, version) = words[1].split_once('@').unwrap_or((words[1], "0"));
    let (id, version) = (record(id), Version(number(version).into()));
    let order_created = |seconds: &str| TicketingEvent::OrderCreated {
        id,
        version,
        status: Status::Created,
        user: "bob".into(),
        expires_at: Time(u64::from(number(seconds)) * 1_000_000),
        ticket: RecordId::new('t', 1),
        price: 5,
    };
    match (words[0], &words[2..]) {
        ("ticket:created", [price]) => {
            let (title, price, user) = ("concert".into(), number(price), "ann".into());
            TicketingEvent::TicketCreated { id, version, title, price, user }
        }
        ("ticket:updated", [price]) => TicketingEvent::TicketUpdated {
            id,
            version,
            previous: version.0.checked_sub(1).map(Version),
            title: "concert".into(),
            price: number(price),
            user: "ann".into(),
            lock: Lock::Free,
        },
        ("order:created", []) => order_created("60"),
        ("order:created", ["until", seconds]) => order_created(seconds),
        ("order:cancelled", []) => TicketingEvent::OrderCancelled { id, version, ticket: RecordId::new('t', 1) },
        ("order:reserved", []) => TicketingEvent::OrderReserved { id, version },
        ("order:completed", []) => TicketingEvent::OrderCompleted { id, version },
        ("expiration:complete", []) => TicketingEvent::ExpirationComplete { order: id },
        ("payment:created", ["for", order]) => TicketingEvent::PaymentCreated { id, order: record(order) },
        ("refund:requested", ["for", order]) => TicketingEvent::RefundRequested { payment: id, order: record(order) },
        _ => panic!("`{text}` is no event"),
    }
}
