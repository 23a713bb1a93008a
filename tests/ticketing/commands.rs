//! What each command answers and what each listener does, one service or both, in the calm order.

use pellmell::broker::Profile;
use pellmell::run::Observer;
use pellmell::scheduler::Action;
use pellmell::ticketing::{Design, Lock, Order, Orders, Request, Status, Ticketing, TicketingEvent, Tickets, What};
use pellmell::{
    Answer, Calm, Context, Fate, FaultPlan, Hosting, Judges, Limits, Outcome, RecordId, Rejection, Schema, Service,
    Simulation, Step, Subject, Time, Version, World, run,
};

use crate::support::request;

const BOTH: [Design; 2] = [Design::COURSE, Design::REFERENCE];

/// Writes down what was answered, and what was published by it.
#[derive(Default)]
struct Story {
    commands: Vec<String>,
    deliveries: Vec<String>,
}

impl Observer<Ticketing> for Story {
    fn after(&mut self, world: &World<Ticketing>, step: &Step) {
        let published = world.broker().messages()[step.published.clone()].iter();
        let published: String = published.map(|message| format!(" + {}", in_words(&message.event))).collect();
        match step.answer {
            Some(Answer::Command(answer)) => self.commands.push(outcome(answer) + &published),
            Some(Answer::Delivery(answer)) => {
                let index = step.delivery.expect("a delivery was answered");
                let name = world.broker().name(index);
                let said = match answer {
                    Outcome::Ack => "acks".to_owned(),
                    Outcome::Nak { reason, .. } => format!("naks ({reason})"),
                    Outcome::Silent(reason) => format!("throws ({reason}) on"),
                };
                self.deliveries.push(format!("{} {said} {}{published}", name.group, name.message));
            }
            _ => {}
        }
    }
}

fn outcome(answer: Result<(), Rejection>) -> String {
    match answer {
        Ok(()) => "accepted".to_owned(),
        Err(Rejection { status, reason }) => format!("rejected {status}: {reason}"),
    }
}

fn in_words(event: &TicketingEvent) -> String {
    match event {
        TicketingEvent::TicketCreated { id, version, title, price, user } => {
            format!("ticket:created {id}@{version} {title} {price} of {user}")
        }
        TicketingEvent::TicketUpdated { id, version, title, price, user, lock, .. } => {
            let lock = match lock {
                Lock::Free => String::new(),
                Lock::Taken => " taken".to_owned(),
                Lock::By(order) => format!(" by {order}"),
            };
            format!("ticket:updated {id}@{version} {title} {price} of {user}{lock}")
        }
        TicketingEvent::OrderCreated { id, version, user, expires_at, ticket, price, .. } => {
            format!("order:created {id}@{version} of {user} for {ticket} at {price} until {expires_at}")
        }
        TicketingEvent::OrderCancelled { id, version, ticket } => {
            format!("order:cancelled {id}@{version} for {ticket}")
        }
        TicketingEvent::OrderReserved { id, version } => format!("order:reserved {id}@{version}"),
        TicketingEvent::OrderCompleted { id, version } => format!("order:completed {id}@{version}"),
        TicketingEvent::ExpirationComplete { order } => format!("expiration:complete {order}"),
        TicketingEvent::PaymentCreated { id, order } => format!("payment:created {id} for {order}"),
        TicketingEvent::RefundRequested { payment, order } => format!("refund:requested {payment} for {order}"),
        TicketingEvent::Elsewhere { subject, event } => format!("{} on {subject}", in_words(event)),
    }
}

/// Plays requests one after the other and settles between them.
fn play(
    tickets: impl Service<Ticketing> + 'static,
    orders: impl Service<Ticketing> + 'static,
    requests: &[&str],
) -> (Story, World<Ticketing>) {
    let requests: Vec<Request> = requests.iter().map(|text| request(text)).collect();
    let simulation = Simulation::on(Profile::stan()).service(tickets).service(orders).client("all", requests);
    let mut world = simulation.build().expect("tickets and orders fit together").world();
    let mut story = Story::default();
    let mut calm = Calm::new(0, FaultPlan::NONE);
    run(&mut world, &mut calm, &Judges::new(Vec::new()), Limits::default(), &mut story);
    (story, world)
}

fn play_design(design: Design, requests: &[&str]) -> (Story, World<Ticketing>) {
    play(Tickets(design.tickets), Orders(design.orders), requests)
}

/// Plays requests and compares each answer with the text beside the request.
#[track_caller]
fn check(design: Design, expected: &[(&str, &str)]) {
    let requests: Vec<&str> = expected.iter().map(|(request, _)| *request).collect();
    let (story, _) = play_design(design, &requests);
    let answers = story.commands.iter().map(|line| line.split(" + ").next().unwrap_or_default());
    let found: Vec<(&str, &str)> = requests.iter().copied().zip(answers).collect();
    assert_eq!(found, expected, "under {}", design.name);
}

/// The rows of a service's store, in words.
fn rows(world: &World<Ticketing>, service: &str) -> Vec<String> {
    let texts = world.store_of(service).texts();
    texts.iter().map(|row| format!("{} {}@{} {}", row.collection, row.id, row.version, row.fields)).collect()
}

#[test]
fn a_ticket_is_created_by_a_signed_in_user_with_a_title_and_a_price() {
    for design in BOTH {
        check(
            design,
            &[
                ("nobody create t1 0 -", "rejected 401: not signed in"),
                ("ann create t1 0 -", "rejected 400: title is empty"),
                ("ann create t1 0", "rejected 400: price is not above 0"),
                ("ann create t1 5", "accepted"),
                ("ann create t1 5", "rejected 400: id is taken"),
                ("bob create t2 5", "accepted"),
            ],
        );
    }
}

#[test]
fn an_edit_is_checked_for_sign_in_fields_existence_reservation_and_owner_in_this_order() {
    for design in BOTH {
        check(
            design,
            &[
                ("nobody edit t1 0 -", "rejected 401: not signed in"),
                ("ann edit t1 0 -", "rejected 400: title is empty"),
                ("ann edit t1 0", "rejected 400: price is not above 0"),
                ("ann edit t1 6", "rejected 404: no such ticket"),
                ("ann create t1 5", "accepted"),
                ("eve edit t1 6", "rejected 401: somebody else's"),
                ("ann edit t1 6", "accepted"),
                ("ann edit t1 7 play", "accepted"),
                ("bob order t1 as o1", "accepted"),
                ("ann edit t1 0", "rejected 400: price is not above 0"),
                ("eve edit t1 8", "rejected 400: ticket is reserved"),
                ("ann edit t1 8", "rejected 400: ticket is reserved"),
                ("bob cancel o1", "accepted"),
                ("ann edit t1 8", "accepted"),
            ],
        );
    }
}

#[test]
fn before_the_last_lesson_a_reserved_ticket_can_be_edited() {
    let stage3 = Design::named("stage3").expect("a shipped design");
    check(
        stage3,
        &[("ann create t1 5", "accepted"), ("bob order t1 as o1", "accepted"), ("ann edit t1 6", "accepted")],
    );
}

#[test]
fn anybody_may_look_at_a_ticket_that_exists() {
    for design in BOTH {
        check(
            design,
            &[
                ("nobody show t1", "rejected 404: no such ticket"),
                ("ann create t1 5", "accepted"),
                ("nobody show t1", "accepted"),
                ("eve show t1", "accepted"),
            ],
        );
    }
}

#[test]
fn an_order_needs_a_buyer_a_known_ticket_and_no_other_live_order() {
    for design in BOTH {
        check(
            design,
            &[
                ("nobody order t1 as o1", "rejected 401: not signed in"),
                ("bob order t1 as o1", "rejected 404: no such ticket"),
                ("ann create t1 5", "accepted"),
                ("ann create t2 5", "accepted"),
                ("bob order t1 as o1", "accepted"),
                ("eve order t1 as o2", "rejected 400: ticket is already reserved"),
                ("bob order t1 as o1", "rejected 400: ticket is already reserved"),
                ("bob order t2 as o1", "rejected 400: id is taken"),
                ("bob cancel o1", "accepted"),
                ("eve order t1 as o2", "accepted"),
            ],
        );
    }
}

#[test]
fn only_the_buyer_may_look_at_an_order() {
    for design in BOTH {
        check(
            design,
            &[
                ("nobody show o1", "rejected 401: not signed in"),
                ("bob show o1", "rejected 404: no such order"),
                ("ann create t1 5", "accepted"),
                ("bob order t1 as o1", "accepted"),
                ("ann show o1", "rejected 401: somebody else's"),
                ("bob show o1", "accepted"),
                ("bob cancel o1", "accepted"),
                ("bob show o1", "accepted"),
            ],
        );
    }
}

#[test]
fn only_the_buyer_may_cancel_an_order_and_cancelling_twice_is_no_error() {
    for design in BOTH {
        check(
            design,
            &[
                ("nobody cancel o1", "rejected 401: not signed in"),
                ("bob cancel o1", "rejected 404: no such order"),
                ("ann create t1 5", "accepted"),
                ("bob order t1 as o1", "accepted"),
                ("ann cancel o1", "rejected 401: somebody else's"),
                ("bob cancel o1", "accepted"),
                ("bob cancel o1", "accepted"),
                ("ann cancel o1", "rejected 401: somebody else's"),
            ],
        );
    }
}

/// The orders service, where looking at an order pays for it: stands in for payments.
struct Paying(Orders);

impl Service<Ticketing> for Paying {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn collections(&self, schema: &mut Schema) {
        self.0.collections(schema);
    }

    fn subjects(&self) -> &[Subject] {
        self.0.subjects()
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Context<'_, Ticketing>) -> Outcome {
        self.0.handle(event, ctx)
    }

    fn execute(&self, request: &Request, ctx: &mut Context<'_, Ticketing>) -> Result<(), Rejection> {
        self.0.execute(request, ctx)?;
        if let What::ShowOrder { order } = request.what {
            let held = ctx.store.find::<Order>(order).cloned().expect("it was shown");
            let paid = Order { status: Status::Complete, ..held.value };
            ctx.store.save_if_current(order, paid, held.version).expect("nobody saved in between");
        }
        Ok(())
    }
}

#[test]
fn a_complete_order_keeps_its_ticket_and_is_cancelled_by_the_course_only() {
    let requests = ["ann create t1 5", "bob order t1 as o1", "bob show o1", "eve order t1 as o2", "bob cancel o1"];
    let last_two = |design: Design| {
        let (story, _) = play(Tickets(design.tickets), Paying(Orders(design.orders)), &requests);
        story.commands[3..].to_vec()
    };
    let reserved = "rejected 400: ticket is already reserved";
    assert_eq!(last_two(Design::COURSE), [reserved, "accepted + order:cancelled o1@2 for t1"]);
    assert_eq!(last_two(Design::REFERENCE), [reserved, "rejected 400: order is complete"]);
}

#[test]
fn each_accepted_command_publishes_what_it_saved_with_the_version_it_saved() {
    for design in BOTH {
        let (story, world) = play_design(
            design,
            &["ann create t1 5", "ann edit t1 10", "ann edit t1 15 play", "bob order t1 as o1", "bob cancel o1"],
        );
        assert_eq!(
            story.commands,
            [
                "accepted + ticket:created t1@0 concert 5 of ann",
                "accepted + ticket:updated t1@1 concert 10 of ann",
                "accepted + ticket:updated t1@2 play 15 of ann",
                "accepted + order:created o1@0 of bob for t1 at 15 until +1m00.004s",
                "accepted + order:cancelled o1@1 for t1",
            ],
            "under {}",
            design.name
        );
        assert_eq!(
            story.deliveries,
            [
                "orders acks ticket:created t1@0",
                "orders acks ticket:updated t1@1",
                "orders acks ticket:updated t1@2",
                "tickets acks order:created o1@0 + ticket:updated t1@3 play 15 of ann by o1",
                "orders acks ticket:updated t1@3",
                "tickets acks order:cancelled o1@1 + ticket:updated t1@4 play 15 of ann",
                "orders acks ticket:updated t1@4",
            ],
            "under {}",
            design.name
        );
        let replica = r#"tickets t1@4 {"price":15,"title":"play"}"#;
        assert_eq!(rows(&world, "orders")[0], replica, "under {}", design.name);
    }
}

#[test]
fn a_refused_command_publishes_and_saves_nothing() {
    for design in BOTH {
        let prepared = ["ann create t1 5", "bob order t1 as o1"];
        let (_, before) = play_design(design, &prepared);
        for refused in [
            "nobody create t2 5",
            "ann create t2 0",
            "ann create t1 6",
            "ann edit t1 6",
            "ann edit t2 6",
            "eve order t1 as o2",
            "eve order t2 as o2",
            "eve cancel o1",
            "bob cancel o2",
        ] {
            let (story, after) = play_design(design, &[prepared[0], prepared[1], refused]);
            let answer = &story.commands[2];
            assert!(answer.starts_with("rejected ") && !answer.contains('+'), "{refused}: {answer}");
            for service in ["tickets", "orders"] {
                assert_eq!(rows(&after, service), rows(&before, service), "{refused} under {}", design.name);
            }
        }
    }
}

#[test]
fn the_course_cancels_a_cancelled_order_anew_and_the_reference_does_not() {
    let twice = ["ann create t1 5", "bob order t1 as o1", "bob cancel o1", "bob cancel o1"];
    let last = |design| play_design(design, &twice).0.commands[3].clone();
    assert_eq!(last(Design::COURSE), "accepted + order:cancelled o1@2 for t1");
    assert_eq!(last(Design::REFERENCE), "accepted");
}

/// Stands in for a service: publishes its n-th event when record n is asked to be shown.
struct Fake {
    name: &'static str,
    events: Vec<TicketingEvent>,
}

impl Service<Ticketing> for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collections(&self, _schema: &mut Schema) {}

    fn execute(&self, request: &Request, ctx: &mut Context<'_, Ticketing>) -> Result<(), Rejection> {
        let (What::ShowTicket { ticket: nth } | What::ShowOrder { order: nth }) = request.what else {
            return Err(Rejection { status: 404, reason: "a fake only shows" });
        };
        ctx.publish(self.events[nth.number() as usize].clone());
        Ok(())
    }
}

fn id(text: &str) -> RecordId {
    text.parse().expect("a record id")
}

fn ticket_created(version: u64, price: u32) -> TicketingEvent {
    let (id, version) = (id("t1"), Version(version));
    TicketingEvent::TicketCreated { id, version, title: "concert".into(), price, user: "ann".into() }
}

fn ticket_updated(version: u64, price: u32) -> TicketingEvent {
    let previous = version.checked_sub(1).map(Version);
    let (id, version, lock) = (id("t1"), Version(version), Lock::Free);
    TicketingEvent::TicketUpdated { id, version, previous, title: "play".into(), price, user: "ann".into(), lock }
}

fn order_created(order: &str) -> TicketingEvent {
    TicketingEvent::OrderCreated {
        id: id(order),
        version: Version(0),
        status: Status::Created,
        user: "bob".into(),
        expires_at: Time(0),
        ticket: id("t1"),
        price: 5,
    }
}

fn order_cancelled(order: &str, version: u64) -> TicketingEvent {
    TicketingEvent::OrderCancelled { id: id(order), version: Version(version), ticket: id("t1") }
}

/// Hands events to the orders service alone and compares what it says and what it then holds.
#[track_caller]
fn check_orders(design: Design, events: Vec<TicketingEvent>, said: &[&str], held: &[&str]) {
    let asked: Vec<String> = (0..events.len()).map(|nth| format!("ann show t{nth}")).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let (story, world) = play(Fake { name: "tickets", events }, Orders(design.orders), &asked);
    let deliveries: Vec<&str> = story.deliveries.iter().map(|line| line.trim_start_matches("orders ")).collect();
    assert_eq!(deliveries, said, "under {}", design.name);
    assert_eq!(rows(&world, "orders"), held, "under {}", design.name);
}

/// Creates `t1`, hands events to the tickets service alone and compares what it says and then
/// holds of tickets.
#[track_caller]
fn check_tickets(design: Design, events: Vec<TicketingEvent>, said: &[&str], held: &str) {
    let shown = (0..events.len()).map(|nth| format!("ann show o{nth}"));
    let asked: Vec<String> = std::iter::once("ann create t1 5".to_owned()).chain(shown).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let (story, world) = play(Tickets(design.tickets), Fake { name: "orders", events }, &asked);
    let deliveries: Vec<String> =
        story.deliveries.iter().map(|line| line.replace("tickets ", "").replace(" concert 5 of ann", "")).collect();
    assert_eq!(deliveries, said, "under {}", design.name);
    assert_eq!(rows(&world, "tickets")[0], held, "under {}", design.name);
}

const AT_0: &str = r#"tickets t1@0 {"price":5,"title":"concert"}"#;
const AT_1: &str = r#"tickets t1@1 {"price":10,"title":"play"}"#;

#[test]
fn a_created_ticket_is_replicated_under_its_own_id_at_version_0() {
    for design in BOTH {
        check_orders(design, vec![ticket_created(0, 5)], &["acks ticket:created t1@0"], &[AT_0]);
    }
}

#[test]
fn an_insert_stores_version_0_whatever_the_event_says() {
    for design in BOTH {
        check_orders(design, vec![ticket_created(7, 5)], &["acks ticket:created t1@7"], &[AT_0]);
    }
}

#[test]
fn a_ticket_created_twice_is_a_duplicate_key_in_the_course_and_stale_in_the_reference() {
    let again = || vec![ticket_created(0, 5), ticket_created(0, 5)];
    let first = "acks ticket:created t1@0";
    check_orders(Design::COURSE, again(), &[first, "throws (duplicate key) on ticket:created t1@0/2"], &[AT_0]);
    check_orders(Design::REFERENCE, again(), &[first, "acks ticket:created t1@0/2"], &[AT_0]);
}

#[test]
fn a_created_ticket_that_comes_again_does_not_undo_an_update() {
    let events = vec![ticket_created(0, 5), ticket_updated(1, 10), ticket_created(0, 5)];
    let said = ["acks ticket:created t1@0", "acks ticket:updated t1@1", "acks ticket:created t1@0/2"];
    check_orders(Design::REFERENCE, events, &said, &[AT_1]);
}

#[test]
fn an_update_is_applied_exactly_if_the_version_before_it_is_held() {
    let check = |design: Design, version: u64, said: &str| {
        let held = if version == 1 { AT_1 } else { AT_0 };
        let events = vec![ticket_created(0, 5), ticket_updated(version, 10)];
        check_orders(design, events, &["acks ticket:created t1@0", said], &[held]);
    };
    check(Design::COURSE, 0, "throws (the version before is not there) on ticket:updated t1@0");
    check(Design::COURSE, 1, "acks ticket:updated t1@1");
    check(Design::COURSE, 2, "throws (a version is missing) on ticket:updated t1@2");
    check(Design::COURSE, 10, "throws (a version is missing) on ticket:updated t1@10");
    check(Design::REFERENCE, 0, "acks ticket:updated t1@0");
    check(Design::REFERENCE, 1, "acks ticket:updated t1@1");
    check(Design::REFERENCE, 2, "naks (a version is missing) ticket:updated t1@2");
    check(Design::REFERENCE, 10, "naks (a version is missing) ticket:updated t1@10");
}

#[test]
fn an_update_of_an_unknown_ticket_is_not_acked() {
    let check = |design: Design, said: &str| check_orders(design, vec![ticket_updated(1, 10)], &[said], &[]);
    check(Design::COURSE, "throws (record unknown) on ticket:updated t1@1");
    check(Design::REFERENCE, "naks (record unknown) ticket:updated t1@1");
}

#[test]
fn a_skipped_version_is_applied_once_the_gap_is_closed() {
    let events = || vec![ticket_created(0, 5), ticket_updated(2, 15), ticket_updated(1, 10)];
    let at_2 = r#"tickets t1@2 {"price":15,"title":"play"}"#;
    let said = |not_yet| ["acks ticket:created t1@0", not_yet, "acks ticket:updated t1@1", "acks ticket:updated t1@2"];
    check_orders(Design::COURSE, events(), &said("throws (a version is missing) on ticket:updated t1@2"), &[at_2]);
    check_orders(Design::REFERENCE, events(), &said("naks (a version is missing) ticket:updated t1@2"), &[at_2]);
}

#[test]
fn an_update_that_was_applied_is_an_error_in_the_course_and_stale_in_the_reference() {
    let events = || vec![ticket_created(0, 5), ticket_updated(1, 10), ticket_updated(1, 10)];
    let said = |again| ["acks ticket:created t1@0", "acks ticket:updated t1@1", again];
    let throws = "throws (the version before is not there) on ticket:updated t1@1/2";
    check_orders(Design::COURSE, events(), &said(throws), &[AT_1]);
    check_orders(Design::REFERENCE, events(), &said("acks ticket:updated t1@1/2"), &[AT_1]);
}

#[test]
fn in_the_first_stage_an_update_is_applied_over_a_gap_and_counted_on_its_own() {
    let stage1 = Design::named("stage1").expect("a shipped design");
    let events = vec![ticket_created(0, 5), ticket_updated(10, 10)];
    check_orders(stage1, events, &["acks ticket:created t1@0", "acks ticket:updated t1@10"], &[AT_1]);
}

fn ticket(version: u64, lock: &str) -> String {
    format!(r#"tickets t1@{version} {{"lock":{lock},"price":5,"title":"concert","user":"ann"}}"#)
}

const FREE: &str = r#""free""#;
const BY_O1: &str = r#"{"by":"o1"}"#;

#[test]
fn an_order_locks_its_ticket_and_its_cancel_frees_it_each_with_a_published_version() {
    for design in BOTH {
        let locked = "acks order:created o1@0 + ticket:updated t1@1 by o1";
        check_tickets(design, vec![order_created("o1")], &[locked], &ticket(1, BY_O1));
        let freed = "acks order:cancelled o1@1 + ticket:updated t1@2";
        check_tickets(design, vec![order_created("o1"), order_cancelled("o1", 1)], &[locked, freed], &ticket(2, FREE));
    }
}

#[test]
fn orders_and_cancels_of_an_unknown_ticket_are_not_acked() {
    for design in BOTH {
        for (event, name) in [(order_created("o1"), "created o1@0"), (order_cancelled("o1", 1), "cancelled o1@1")] {
            let orders = Fake { name: "orders", events: vec![event] };
            let (story, _) = play(Tickets(design.tickets), orders, &["bob show o0"]);
            assert_eq!(story.deliveries, [format!("tickets throws (ticket unknown) on order:{name}")]);
        }
    }
}

#[test]
fn an_order_that_comes_again_locks_again_in_the_course_only() {
    let again = || vec![order_created("o1"), order_created("o1")];
    let first = "acks order:created o1@0 + ticket:updated t1@1 by o1";
    let second = "acks order:created o1@0/2 + ticket:updated t1@2 by o1";
    check_tickets(Design::COURSE, again(), &[first, second], &ticket(2, BY_O1));
    check_tickets(Design::REFERENCE, again(), &[first, "acks order:created o1@0/2"], &ticket(1, BY_O1));
}

#[test]
fn a_lock_is_overwritten_in_the_course_and_waited_for_in_the_reference() {
    let first = "acks order:created o1@0 + ticket:updated t1@1 by o1";
    let overwrites = "acks order:created o2@0 + ticket:updated t1@2 by o2";
    let two = || vec![order_created("o1"), order_created("o2")];
    check_tickets(Design::COURSE, two(), &[first, overwrites], &ticket(2, r#"{"by":"o2"}"#));
    let waits = "naks (another order holds the ticket) order:created o2@0";
    check_tickets(Design::REFERENCE, two(), &[first, waits], &ticket(1, BY_O1));
    let said = [
        first,
        waits,
        "acks order:cancelled o1@1 + ticket:updated t1@2",
        "acks order:created o2@0 + ticket:updated t1@3 by o2",
    ];
    let events = vec![order_created("o1"), order_created("o2"), order_cancelled("o1", 1)];
    check_tickets(Design::REFERENCE, events, &said, &ticket(3, r#"{"by":"o2"}"#));
}

#[test]
fn the_cancel_of_another_order_frees_the_ticket_in_the_course_only() {
    let stray = || vec![order_created("o1"), order_cancelled("o2", 1)];
    let first = "acks order:created o1@0 + ticket:updated t1@1 by o1";
    let freed = "acks order:cancelled o2@1 + ticket:updated t1@2";
    check_tickets(Design::COURSE, stray(), &[first, freed], &ticket(2, FREE));
    check_tickets(Design::REFERENCE, stray(), &[first, "acks order:cancelled o2@1"], &ticket(1, BY_O1));
}

#[test]
fn an_order_cancelled_before_it_was_seen_locks_nothing_in_the_reference() {
    let crossed = || vec![order_cancelled("o1", 1), order_created("o1")];
    let said =
        ["acks order:cancelled o1@1 + ticket:updated t1@1", "acks order:created o1@0 + ticket:updated t1@2 by o1"];
    check_tickets(Design::COURSE, crossed(), &said, &ticket(2, BY_O1));
    let said = ["acks order:cancelled o1@1", "acks order:created o1@0"];
    check_tickets(Design::REFERENCE, crossed(), &said, &ticket(0, FREE));
}

#[test]
fn a_cancel_over_a_version_gap_or_again_is_acked_by_the_reference() {
    let locked = "acks order:created o1@0 + ticket:updated t1@1 by o1";
    let freed = "acks order:cancelled o1@5 + ticket:updated t1@2";
    let events =
        vec![order_created("o1"), order_cancelled("o1", 5), order_cancelled("o1", 5), order_cancelled("o1", 1)];
    let said = [locked, freed, "acks order:cancelled o1@5/2", "acks order:cancelled o1@1"];
    check_tickets(Design::REFERENCE, events, &said, &ticket(2, FREE));
}

#[test]
fn without_a_lock_strategy_tickets_hears_nothing_of_orders() {
    let stage2 = Design::named("stage2").expect("a shipped design");
    check_tickets(stage2, vec![order_created("o1"), order_cancelled("o1", 1)], &[], &ticket(0, FREE));
}

#[test]
fn a_lock_that_is_not_published_raises_the_version_in_silence() {
    let stage3 = Design::named("stage3").expect("a shipped design");
    check_tickets(stage3, vec![order_created("o1")], &["acks order:created o1@0"], &ticket(1, BY_O1));
}

#[test]
fn every_save_raises_the_version_by_one_also_if_no_field_changed() {
    for design in BOTH {
        let (story, world) =
            play_design(design, &["ann create t1 5", "ann edit t1 5", "ann edit t1 5", "ann edit t1 5"]);
        let versions: Vec<&str> = story.commands.iter().filter_map(|line| line.split(' ').nth(3)).collect();
        assert_eq!(versions, ["t1@0", "t1@1", "t1@2", "t1@3"], "under {}", design.name);
        assert_eq!(rows(&world, "tickets")[0], ticket(3, FREE));
        assert_eq!(rows(&world, "orders")[0], r#"tickets t1@3 {"price":5,"title":"concert"}"#);
    }
}

/// Does what was calm to do until nothing is left but commands.
fn settle(world: &mut World<Ticketing>) {
    while let Some(action) = world.enabled().calm().filter(|action| !matches!(action, Action::Command(_))) {
        world.step(action, Fate::CALM);
    }
}

/// Prepares with one client, then lets two others send one request each: the first reads, the
/// second reads and saves, the first saves. Returns both answers, the slow one last.
fn race(design: Design, prepared: &[&str], slow: &str, quick: &str) -> ([String; 2], World<Ticketing>) {
    let two = Hosting { members: 2, ..Hosting::ALONE };
    let simulation = Simulation::on(Profile::stan())
        .hosted(Tickets(design.tickets), two.clone())
        .hosted(Orders(design.orders), two)
        .client("prepares", prepared.iter().map(|text| request(text)).collect())
        .client("slow", vec![request(slow)])
        .client("quick", vec![request(quick)]);
    let mut world = simulation.build().expect("tickets and orders fit together").world();
    let command = |world: &World<Ticketing>, client: usize| {
        let commands = world.enabled().commands().to_vec();
        Action::Command(commands.into_iter().find(|index| index.get() == client).expect("it has a command left"))
    };
    for _ in prepared {
        world.step(command(&world, 0), Fate::CALM);
        settle(&mut world);
    }
    world.step(command(&world, 1), Fate { pause: true, ..Fate::CALM });
    let quick = world.step(command(&world, 2), Fate::CALM);
    let resume = world.enabled().iter().find(|action| matches!(action, Action::Resume(_)));
    let slow = world.step(resume.expect("a request is paused"), Fate::CALM);
    settle(&mut world);
    let answers = [quick, slow].map(|step| match step.answer {
        Some(Answer::Command(answer)) => outcome(answer),
        answer => format!("{answer:?}"),
    });
    (answers, world)
}

#[test]
fn of_two_edits_of_one_version_the_second_is_refused_and_writes_nothing() {
    for design in BOTH {
        let (answers, world) = race(design, &["ann create t1 5"], "ann edit t1 6", "ann edit t1 7");
        assert_eq!(answers, ["accepted", "rejected 400: version error"], "under {}", design.name);
        let held = r#"tickets t1@1 {"lock":"free","price":7,"title":"concert","user":"ann"}"#;
        assert_eq!(rows(&world, "tickets")[0], held);
        assert_eq!(rows(&world, "orders")[0], r#"tickets t1@1 {"price":7,"title":"concert"}"#);
    }
}

#[test]
fn of_two_cancels_of_one_version_the_second_is_refused_and_writes_nothing() {
    for design in BOTH {
        let prepared = ["ann create t1 5", "bob order t1 as o1"];
        let (answers, world) = race(design, &prepared, "bob cancel o1", "bob cancel o1");
        assert_eq!(answers, ["accepted", "rejected 400: version error"], "under {}", design.name);
        let order = &rows(&world, "orders")[1];
        assert!(order.starts_with("orders o1@1 ") && order.contains(r#""status":"cancelled""#), "{order}");
    }
}

#[test]
fn of_two_orders_that_both_saw_a_free_ticket_the_reference_refuses_the_second() {
    let answers = |design| race(design, &["ann create t1 5"], "bob order t1 as o1", "eve order t1 as o2").0;
    assert_eq!(answers(Design::COURSE), ["accepted", "accepted"]);
    assert_eq!(answers(Design::REFERENCE), ["accepted", "rejected 400: ticket is already reserved"]);
}

#[test]
fn an_edit_that_read_before_the_lock_was_taken_is_refused() {
    for design in BOTH {
        let two = Hosting { members: 2, ..Hosting::ALONE };
        let simulation = Simulation::on(Profile::stan())
            .hosted(Tickets(design.tickets), two)
            .service(Orders(design.orders))
            .client("ann", vec![request("ann create t1 5"), request("ann edit t1 6")])
            .client("bob", vec![request("bob order t1 as o1")]);
        let mut world = simulation.build().expect("tickets and orders fit together").world();
        let first = |world: &World<Ticketing>| world.enabled().calm().expect("something may happen");
        world.step(first(&world), Fate::CALM);
        settle(&mut world);
        world.step(first(&world), Fate { pause: true, ..Fate::CALM });
        let order = *world.enabled().commands().first().expect("bob may order");
        world.step(Action::Command(order), Fate::CALM);
        let deliver = *world.enabled().ready().first().expect("order:created is on its way");
        world.step(Action::Deliver(deliver), Fate::CALM);
        let resume = world.enabled().iter().find(|action| matches!(action, Action::Resume(_)));
        let edit = world.step(resume.expect("the edit is paused"), Fate::CALM);
        let refused = Rejection { status: 400, reason: "version error" };
        assert_eq!(edit.answer, Some(Answer::Command(Err(refused))), "under {}", design.name);
        settle(&mut world);
        assert_eq!(rows(&world, "tickets")[0], ticket(1, BY_O1), "under {}", design.name);
    }
}
