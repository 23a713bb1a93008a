//! The ticketing services after a change of their structure, for cases that should survive it.

use pellmell::corpus::{Moved, Renames, Renewal, Status, check_in, renew_in};
use pellmell::schedule::{DeliverySpec, Departure, Target};
use pellmell::testing::service;
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{EXPIRATION_COMPLETE, PAYMENT_CREATED};
use pellmell::ticketing::{
    Expiration, ORDER_CANCELLED, ORDER_COMPLETED, ORDER_CREATED, ORDER_RESERVED, Order, Orders, Payments,
    REFUND_REQUESTED, Request, TICKET_CREATED, TICKET_UPDATED, TicketReplica, Ticketing, TicketingEvent, Tickets, What,
};
use pellmell::{
    AckTiming, Context, Hosting, Outcome, PublishMode, RecordId, Rejection, Schema, Service, Simulation, Subject,
    Timer, Version, VersionPolicy, VersionScheme, Work,
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
    /// The audit service, and orders publishes one event more for each message it takes.
    KeeperSaysMore,
    /// The versions of tickets and orders, and of replicas of them, begin at 1.
    VersionsFromOne,
    /// An edit is accepted at once and published; tickets edits when it hears of that.
    Gateway,
    /// An edit publishes on a subject of its own what it published as an update before.
    PriceSubject,
    /// The group of orders has another name.
    GroupRenamed,
    /// Orders has taken over what expiration did, and arms the timers of its orders itself.
    ServicesMerged,
    /// Each service has one member, which handles one message or command at a time: nobody can pause.
    OneAtATime,
    /// The service added last listens to nothing any more, so its group is gone.
    GroupRemoved,
    /// The planted defects are mended: no change of the structure.
    DefectsMended,
}

const EDIT_REQUESTED: Subject = Subject::new("ticket:edit-requested");
const TICKET_PRICED: Subject = Subject::new("ticket:priced");
const RENAMED: &str = "order-desk";

impl Change {
    pub const ALL: [Change; 13] = [
        Change::ListenerAdded,
        Change::EventAdded,
        Change::GroupsReversed,
        Change::ClientInFront,
        Change::KeeperSaysMore,
        Change::VersionsFromOne,
        Change::Gateway,
        Change::PriceSubject,
        Change::GroupRenamed,
        Change::ServicesMerged,
        Change::OneAtATime,
        Change::GroupRemoved,
        Change::DefectsMended,
    ];

    /// What changed, in words.
    pub fn name(self) -> &'static str {
        match self {
            Change::Nothing => "nothing",
            Change::ListenerAdded => "a listener on every subject",
            Change::EventAdded => "one more event",
            Change::GroupsReversed => "groups in reverse",
            Change::ClientInFront => "an unrelated client in front",
            Change::KeeperSaysMore => "a listener on every subject, and a replica keeper publishes one event more",
            Change::VersionsFromOne => "versions begin at 1",
            Change::Gateway => "edits pass a gateway: one hop more",
            Change::PriceSubject => "changes of a price get a subject of their own",
            Change::GroupRenamed => "a group renamed",
            Change::ServicesMerged => "two services merged",
            Change::OneAtATime => "handlers run one at a time",
            Change::GroupRemoved => "a group removed",
            Change::DefectsMended => "the planted defects mended",
        }
    }

    /// Whether it takes something away that entries are about, a group or what could happen, so that what is
    /// stale then cannot be mended.
    pub fn takes_away(self) -> bool {
        matches!(self, Change::OneAtATime | Change::GroupRemoved)
    }

    /// The line of `renames.toml` that says what is called otherwise now.
    pub fn renames(self) -> Option<&'static str> {
        match self {
            Change::VersionsFromOne => Some("\"*@*\" = \"*@*+1\""),
            Change::PriceSubject => Some("\"ticket:updated\" = \"ticket:priced\""),
            Change::GroupRenamed => Some("\"-> orders\" = \"-> order-desk\""),
            Change::ServicesMerged => Some(
                "\"-> expiration\" = \"-> orders\"\n\"of expiration\" = \"of orders\"\n\"crash expiration\" = \"crash orders\"",
            ),
            _ => None,
        }
    }

    /// What a delivery that was there before is called now, if it is called otherwise.
    pub fn renamed(self, delivery: &DeliverySpec) -> Option<DeliverySpec> {
        let now = delivery.clone();
        match self {
            Change::VersionsFromOne if delivery.version.is_some() => {
                Some(DeliverySpec { version: delivery.version.map(|version| Version(version.0 + 1)), ..now })
            }
            Change::PriceSubject if delivery.subject == TICKET_UPDATED.name() => {
                Some(DeliverySpec { subject: TICKET_PRICED.name().to_owned(), ..now })
            }
            Change::GroupRenamed if delivery.group == "orders" => {
                Some(DeliverySpec { group: RENAMED.to_owned(), ..now })
            }
            Change::ServicesMerged if delivery.group == "expiration" => {
                Some(DeliverySpec { group: "orders".to_owned(), ..now })
            }
            _ => None,
        }
    }

    /// The simulation of a scenario after the change.
    pub fn simulation(self, scenario: &Scenario) -> Simulation<Ticketing> {
        let mut builder = Simulation::on(scenario.profile.clone());
        if matches!(self, Change::ListenerAdded | Change::KeeperSaysMore) {
            builder = builder.service(service("audit").on_event(SUBJECTS, |_, _| Outcome::Ack));
        }
        for (service, hosting) in self.services(scenario) {
            builder = builder.hosted(service, hosting);
        }
        if matches!(self, Change::EventAdded | Change::KeeperSaysMore) {
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

    /// The services of a scenario with how they are hosted, in order.
    fn services(self, scenario: &Scenario) -> Vec<(Changed, Hosting)> {
        let is_mended = self == Change::DefectsMended;
        let mut design = if is_mended { scenario.design } else { scenario.planted() };
        if self == Change::VersionsFromOne {
            let (tickets, replicas) = (&mut design.tickets.versions, &mut design.orders.tickets.versions);
            [tickets, replicas, &mut design.payments.orders.versions].into_iter().for_each(from_one);
        }
        let hosting = |name: &str| scenario.hostings.get(name).cloned();
        let alone = || Hosting::ALONE;
        let changed = |service: Box<dyn Service<Ticketing>>| Changed::of(service, self, scenario);
        let is_merged = self == Change::ServicesMerged && hosting("expiration").is_some();
        let group = (self == Change::GroupRenamed).then(|| RENAMED.to_owned());
        let orders = Hosting { group, ..hosting("orders").unwrap_or_else(alone) };
        let mut services = vec![
            (changed(Box::new(Tickets(design.tickets))), hosting("tickets").unwrap_or_else(alone)),
            (changed(Box::new(Orders(design.orders))), orders),
        ];
        let expiration = Expiration(design.expiration);
        if is_merged {
            services[1].0 = changed(Box::new(Merged::of(Orders(design.orders), expiration)));
            // A property asks whether there is one.
            services.push((changed(Box::new(service::<Ticketing>("expiration"))), alone()));
        } else {
            services.extend(hosting("expiration").map(|hosting| (changed(Box::new(expiration)), hosting)));
        }
        services.extend(hosting("payments").map(|hosting| {
            // A group that is shared with orders is renamed with it.
            let named = design.payments.group.map(|name| match self {
                Change::GroupRenamed if name == "orders" => RENAMED.to_owned(),
                _ => name.to_owned(),
            });
            let group = named.or(hosting.group.clone());
            (changed(Box::new(Payments(design.payments))), Hosting { group, ..hosting })
        }));
        match self {
            Change::GroupsReversed => services.reverse(),
            Change::OneAtATime => {
                services.iter_mut().for_each(|(_, hosting)| (hosting.members, hosting.overlapping) = (1, false));
            }
            Change::GroupRemoved => services.iter_mut().next_back().expect("a service").0.subjects.clear(),
            _ => {}
        }
        services
    }
}

fn from_one(policy: &mut VersionPolicy) {
    if let VersionScheme::Step { first, .. } = &mut policy.scheme {
        *first += 1;
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

/// What the new service listens to that hears what tickets, or orders, says besides.
const SAID_BESIDES: &[Subject] = &[REFUND_REQUESTED];

/// A service after the change.
struct Changed {
    inner: Box<dyn Service<Ticketing>>,
    change: Change,
    subjects: Vec<Subject>,
    /// How the versions of orders' replicas of tickets grow.
    replicas: VersionPolicy,
    /// The edits that clients ask for, which the gateway passes on by their places.
    edits: Vec<Request>,
}

/// What is said besides, to which nobody has to do anything.
const BESIDES: TicketingEvent =
    TicketingEvent::RefundRequested { payment: RecordId::new('p', 99), order: RecordId::new('o', 99) };

impl Changed {
    fn of(inner: Box<dyn Service<Ticketing>>, change: Change, scenario: &Scenario) -> Changed {
        let mut subjects = inner.subjects().to_vec();
        if change == Change::Gateway && inner.name() == "tickets" {
            subjects.push(EDIT_REQUESTED);
        }
        if change == Change::PriceSubject && subjects.contains(&TICKET_UPDATED) {
            subjects.push(TICKET_PRICED);
        }
        let clients = scenario.clients_of(scenario.seed);
        let commands = clients.into_iter().flat_map(|client| client.commands).map(|sending| sending.command);
        let edits = commands.filter(|request| matches!(request.what, What::EditTicket { .. })).collect();
        let mut replicas = scenario.planted().orders.tickets.versions;
        from_one(&mut replicas);
        Changed { inner, change, subjects, replicas, edits }
    }

    /// Passes an edit on, if it is one.
    fn edit_requested(&self, command: &Request) -> Option<TicketingEvent> {
        let What::EditTicket { ticket, .. } = command.what else { return None };
        let place = self.edits.iter().position(|edit| edit == command)?;
        let which = RecordId::new('e', u32::try_from(place).ok()?);
        let event = Box::new(TicketingEvent::RefundRequested { payment: ticket, order: which });
        Some(TicketingEvent::Elsewhere { subject: EDIT_REQUESTED.name(), event })
    }

    /// What an edit publishes, on its own subject.
    fn on_its_own(event: TicketingEvent) -> TicketingEvent {
        match event {
            TicketingEvent::TicketUpdated { .. } => {
                TicketingEvent::Elsewhere { subject: TICKET_PRICED.name(), event: Box::new(event) }
            }
            other => other,
        }
    }
}

/// Orders with what expiration did.
struct Merged {
    orders: Orders,
    expiration: Expiration,
    subjects: Vec<Subject>,
}

impl Merged {
    fn of(orders: Orders, expiration: Expiration) -> Merged {
        let subjects = [orders.subjects(), expiration.subjects()].concat();
        Merged { orders, expiration, subjects }
    }
}

impl Service<Ticketing> for Merged {
    fn name(&self) -> &str {
        self.orders.name()
    }

    fn collections(&self, schema: &mut Schema) {
        self.orders.collections(schema);
        self.expiration.collections(schema);
    }

    fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Context<'_, Ticketing>) -> Outcome {
        match event {
            TicketingEvent::OrderCreated { .. } => self.expiration.handle(event, ctx),
            _ => self.orders.handle(event, ctx),
        }
    }

    fn execute(&self, command: &Request, ctx: &mut Context<'_, Ticketing>) -> Result<(), Rejection> {
        self.orders.execute(command, ctx)
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Ticketing>) {
        self.expiration.on_timer(timer, ctx);
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        if work == Work::Timer { self.expiration.publish_mode(work) } else { self.orders.publish_mode(work) }
    }

    fn ack_timing(&self) -> AckTiming {
        self.orders.ack_timing()
    }
}

impl Service<Ticketing> for Changed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn collections(&self, schema: &mut Schema) {
        if self.change != Change::VersionsFromOne || self.name() != "orders" {
            return self.inner.collections(schema);
        }
        // No rule says how the versions of orders grow.
        let mut orders = VersionPolicy::EVERY_SAVE;
        from_one(&mut orders);
        schema.keeps::<TicketReplica>(self.replicas).owns::<Order>(orders);
    }

    fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Context<'_, Ticketing>) -> Outcome {
        match event {
            event if *event == BESIDES => return Outcome::Ack,
            TicketingEvent::Elsewhere { subject, event } if *subject == EDIT_REQUESTED.name() => {
                let TicketingEvent::RefundRequested { order, .. } = **event else { unreachable!("it is passed on so") };
                // Who asked has the answer already.
                let _ = self.inner.execute(&self.edits[order.number() as usize], ctx);
                return Outcome::Ack;
            }
            _ => {}
        }
        let answer = self.inner.handle(event.itself(), ctx);
        if self.change == Change::KeeperSaysMore && self.name() == "orders" && answer == Outcome::Ack {
            ctx.publish(BESIDES);
        }
        answer
    }

    fn execute(&self, command: &Request, ctx: &mut Context<'_, Ticketing>) -> Result<(), Rejection> {
        if self.change == Change::Gateway
            && let Some(event) = self.edit_requested(command)
        {
            ctx.publish(event);
            return Ok(());
        }
        let answer = self.inner.execute(command, ctx);
        if self.change == Change::EventAdded && self.name() == "tickets" && answer.is_ok() {
            ctx.publish(BESIDES);
        }
        if self.change == Change::PriceSubject {
            let published = std::mem::take(ctx.published());
            *ctx.published() = published.into_iter().map(Changed::on_its_own).collect();
        }
        answer
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Ticketing>) {
        self.inner.on_timer(timer, ctx);
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        let (commands, listeners) = (self.inner.publish_mode(Work::Command), self.inner.publish_mode(work));
        // An edit publishes as it did; so then do the listeners beside it, if their way is the usual one.
        let is_usual = listeners == PublishMode::Outbox;
        if self.change == Change::Gateway && self.name() == "tickets" && is_usual { commands } else { listeners }
    }

    fn ack_timing(&self) -> AckTiming {
        self.inner.ack_timing()
    }
}

/// The group that [`Change::GroupRemoved`] takes away.
pub fn removed(scenario: &Scenario) -> String {
    let (service, hosting) = Change::Nothing.services(scenario).pop().expect("a service");
    hosting.group.unwrap_or_else(|| service.name().to_owned())
}

/// What became of an entry after a change.
pub struct Survived {
    /// What the check says of it.
    pub status: Status,
    /// Whether it comes to its violation again as `corpus renew` writes it; with the line of `renames.toml`
    /// before, if there is one for the change.
    pub is_mended: bool,
    pub is_mended_with_line: bool,
    /// How many names it was told are nearest to one that is gone, and those of them that are not the right ones.
    pub told: u32,
    pub wrong: Vec<String>,
}

impl Survived {
    /// Checks an entry after a change, and renews it if it is not as expected.
    pub fn of(change: Change, name: &str, text: &str) -> Survived {
        let build = |scenario: &Scenario| Ok(change.simulation(scenario));
        let status =
            |text: &str| check_in::<Ticketing>(name, text, &build).unwrap_or_else(|error| panic!("{error}")).status;
        let is_mended = |text: &str| match renew_in::<Ticketing>(name, text, &build) {
            Ok((_, Renewal::Text(text))) => status(&text).is_expected(),
            _ => false,
        };
        let came = status(text);
        let (mut told, mut wrong) = (0, Vec::new());
        if let Status::Stale(why) | Status::Moved(Moved { was: why, .. }) = &came {
            for (gone, near) in nearest_told(why) {
                let Some(now) = change.renamed(&gone).map(Target::Delivery) else { continue };
                told += 1;
                if near.as_ref() != Some(&now) {
                    let near = near.map_or("nothing".to_owned(), |near| near.to_string());
                    wrong.push(format!("{gone} is {now} and not {near}"));
                }
            }
        }
        let needs_mending = matches!(came, Status::Moved(_) | Status::Stale(_));
        let renamed = change.renames().map(|line| Renames::parse("renames.toml", line).expect("a line").apply(text));
        Survived {
            is_mended: needs_mending && is_mended(text),
            is_mended_with_line: needs_mending
                && renamed.is_some_and(|text| status(&text).is_expected() || is_mended(&text)),
            status: came,
            told,
            wrong,
        }
    }
}

/// How many entries came to what after a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survival {
    pub expected: u32,
    pub moved: u32,
    pub stale: u32,
    pub broken: u32,
    pub fixed: u32,
    pub mended: u32,
    pub mended_with_line: u32,
    pub told: u32,
    pub right: u32,
}

impl Survival {
    /// The cells of its row in docs/shrinking.md.
    pub fn cells(&self, change: Change) -> Vec<String> {
        let Survival { expected, moved, stale, broken, fixed, mended, mended_with_line, told, right } = *self;
        let gone = if change.takes_away() { stale } else { 0 };
        let with_line = match change.renames() {
            Some(_) => format!("{mended_with_line} of {}", moved + stale),
            None => "–".to_owned(),
        };
        let cells = [expected, moved, stale, gone, broken, fixed].map(|count| count.to_string());
        let mended = format!("{mended} of {}", moved + stale - gone);
        let names = if told == 0 { "–".to_owned() } else { format!("{right} of {told}") };
        cells.into_iter().chain([mended, with_line, names]).collect()
    }

    pub fn add(&mut self, survived: &Survived) {
        let count = match &survived.status {
            Status::Held | Status::Violated => &mut self.expected,
            Status::Moved(_) => &mut self.moved,
            Status::Stale(_) => &mut self.stale,
            Status::Broken(_) => &mut self.broken,
            Status::Fixed(_) => &mut self.fixed,
        };
        *count += 1;
        self.mended += u32::from(survived.is_mended);
        self.mended_with_line += u32::from(survived.is_mended_with_line);
        self.told += survived.told;
        self.right += survived.told - survived.wrong.len() as u32;
    }
}

/// The deliveries that a text says do not come any more, each with the name that is said to be nearest.
pub fn nearest_told(text: &str) -> Vec<(DeliverySpec, Option<Target>)> {
    let told = text.split("nothing comes that `").skip(1).filter_map(|rest| {
        let (departure, rest) = rest.split_once("` names")?;
        let departure: Departure = departure.parse().ok()?;
        let near = rest.strip_prefix("; the nearest is `").and_then(|rest| rest.split_once('`'));
        match departure.what() {
            Target::Delivery(delivery) => Some((delivery, near.and_then(|(near, _)| near.parse().ok()))),
            _ => None,
        }
    });
    told.collect()
}

/// The entries of the corpus: of each the file, its text and the scenario, in order.
pub fn entries() -> Vec<(String, String, Scenario)> {
    let folder = std::fs::read_dir("scenarios/corpus").expect("run it in the project's folder");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(path).expect("an entry"));
        let scenario = Scenario::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        (name, text, scenario)
    };
    paths.iter().map(read).filter(|(.., scenario)| scenario.entry.is_some()).collect()
}
