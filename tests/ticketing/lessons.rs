//! The lessons of the course that are about one handler or one rule; docs/course.md says which.
#![deny(unfulfilled_lint_expectations)]

use std::collections::BTreeSet;

use pellmell::ticketing::Scenario;
use pellmell::ticketing::{
    ALTERNATIVES, Design, EXPIRATION_COMPLETE, Lock, Order, PAYMENT_CREATED, REFUND_REQUESTED, Ticket, TicketReplica,
    TicketingEvent,
};
use pellmell::{Event, Outcome, RecordId, Verdict, Version, World};

use crate::support::alone::alone;

const BOTH: [Design; 2] = [Design::COURSE, Design::REFERENCE];

const T1: RecordId = RecordId::new('t', 1);

fn scenario(name: &str) -> Scenario {
    let path = format!("scenarios/{name}.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Plays a scenario of the repository under a design with these defects, judged by all it promises.
fn play(name: &str, design: Design, defects: &[&str]) -> (Verdict, World<pellmell::ticketing::Ticketing>) {
    let defects = defects.iter().map(|name| (*name).to_owned()).collect();
    let scenario = Scenario { design, ..scenario(name) };
    let scenario = scenario.with(|settings| (settings.defects, settings.properties) = (defects, Vec::new()));
    let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
    let report = scenario.run(&mut world, &scenario.judges(), scenario.seed, &mut ());
    (report.verdict, world)
}

/// The defect is seen in the scenario, by this property, and without it there is nothing to see.
#[track_caller]
fn caught(defect: &str, name: &str, by: &str) {
    assert_eq!(play(name, Design::REFERENCE, &[]).0, Verdict::Held, "{name} without {defect}");
    match play(name, Design::REFERENCE, &[defect]).0 {
        Verdict::Violated { property, .. } => assert_eq!(property, by, "{defect} in {name}"),
        other => panic!("{defect} in {name}: {other:?}"),
    }
}

#[test]
fn an_answer_that_is_dropped_is_a_warning() {
    // The expectation is an error if the compiler has nothing to warn of.
    #[expect(unused_must_use, reason = "dropped on purpose")]
    {
        Outcome::nak("dropped");
    }
}

#[test]
fn a_handler_is_run_on_a_given_state() {
    for design in BOTH {
        let played =
            alone("orders", design, &["ticket:created t1@0 5", "ticket:updated t1@1 10", "bob order t1 as o1"]);
        let replica = r#"tickets t1@1 {"price":10,"title":"concert"}"#;
        assert_eq!(played.rows("orders")[0], replica, "the state before, under {}", design.name);
        assert_eq!(played.lines[2], "accepted + order:created o1@0", "the handler, under {}", design.name);
        let order = played.world.store_of("orders").find::<Order>(RecordId::new('o', 1)).expect("it was made");
        assert_eq!(order.price, 10, "the handler read that state, under {}", design.name);
    }
}

#[test]
fn a_delivery_makes_a_replica_and_is_acked_once() {
    for design in BOTH {
        let played = alone("orders", design, &["ticket:created t1@0 5"]);
        assert_eq!(played.rows("orders"), [r#"tickets t1@0 {"price":5,"title":"concert"}"#]);
        assert_eq!(played.lines, ["acks ticket:created t1@0"], "one delivery, one ack, under {}", design.name);
        assert_eq!(played.world.broker().open().count(), 0, "nothing waits under {}", design.name);
    }
}

#[test]
fn three_empty_saves_of_a_ticket_are_versions_0_1_and_2() {
    for design in BOTH {
        let played = alone("tickets", design, &["ann create t1 5", "ann edit t1 5", "ann edit t1 5"]);
        let history = played.world.store_of("tickets").history::<Ticket>(T1);
        let versions: Vec<u64> = history.iter().map(|ticket| ticket.version.0).collect();
        assert_eq!(versions, [0, 1, 2], "under {}", design.name);
    }
}

#[test]
fn a_service_that_raises_the_version_of_a_replica_is_ahead_of_its_owner() {
    caught("NonOwnerBumpsVersion", "reserved-ticket", "ReplicaNeverAhead");
}

#[test]
fn every_event_of_a_versioned_record_carries_its_version() {
    // These are about time and money and not about a change of a versioned record.
    let without = [EXPIRATION_COMPLETE, PAYMENT_CREATED, REFUND_REQUESTED];
    let mut seen = BTreeSet::new();
    let runs = [
        ("happy-path-all-services", Design::SAGA),
        ("g12-expiry-races-payment", Design::REFERENCE),
        ("cancel-then-reorder", Design::COURSE),
    ];
    for (name, design) in runs {
        let (verdict, world) = play(name, design, &[]);
        assert_eq!(verdict, Verdict::Held, "{name} under {}", design.name);
        for message in world.broker().messages() {
            let subject = message.event.subject();
            seen.insert(subject.name());
            assert_eq!(message.event.version().is_none(), without.contains(&subject), "{}", message.name);
            let Some(version) = message.event.version() else { continue };
            let record = message.event.record();
            let saved = match record.kind() {
                't' => world.store_of("tickets").position::<Ticket>(record, version),
                _ => world.store_of("orders").position::<Order>(record, version),
            };
            assert!(saved.is_some(), "{} was saved by its owner", message.name);
            let payload = serde_json::to_string(&message.event).expect("an event can be written");
            assert!(payload.contains(&format!(r#""version":{}"#, version.0)), "{payload}");
        }
    }
    let all = [
        "expiration:complete",
        "order:cancelled",
        "order:completed",
        "order:created",
        "order:reserved",
        "payment:created",
        "refund:requested",
        "ticket:created",
        "ticket:updated",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "every subject was published");
}

#[test]
fn the_script_ends_with_as_many_tickets_at_15_in_both_stores() {
    let at_15 = |design: &str| {
        let design = Design::named(design).expect("a shipped design");
        let scenario = Scenario { design, ..scenario("concurrency-script") };
        let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
        scenario.run(&mut world, &pellmell::Judges::new(Vec::new()), scenario.seed, &mut ());
        let tickets = world.store_of("tickets").all::<Ticket>().filter(|(_, ticket)| ticket.price == 15).count();
        (tickets, world.store_of("orders").all::<TicketReplica>().filter(|(_, ticket)| ticket.price == 15).count())
    };
    let (tickets, replicas) = at_15("stage1");
    assert_eq!(tickets, 200);
    assert!(replicas < 200, "applied in any order, {replicas} are left at 15");
    for design in ["stage2", "course", "reference"] {
        assert_eq!(at_15(design), (200, 200), "under {design}");
    }
}

#[test]
fn steps_of_100_and_coarse_time_stamps_are_caught() {
    // The replica is behind at rest before its next update is poison to the end.
    caught("StepMismatch", "updates-in-order", "TicketReplicaConverged");
    caught("TimestampTie", "updates-in-order", "SingleVersionAuthority");
}

#[test]
fn an_applied_update_has_the_fields_and_the_version_of_its_event() {
    for design in BOTH {
        let played = alone("orders", design, &["ticket:created t1@0 5", "ticket:updated t1@1 10"]);
        assert_eq!(played.lines[1], "acks ticket:updated t1@1", "under {}", design.name);
        let TicketingEvent::TicketUpdated { id, version, ref title, price, .. } =
            played.world.broker().messages()[1].event
        else {
            panic!("the second event is the update");
        };
        let replica = played.world.store_of("orders").find::<TicketReplica>(id).expect("it is followed");
        assert_eq!((replica.version, &replica.title, replica.price), (version, title, price), "under {}", design.name);
    }
}

#[test]
fn a_skipped_version_comes_again_after_the_ack_wait() {
    let moves = ["ticket:created t1@0 5", "ticket:updated t1@2 15", "ticket:updated t1@1 10"];
    let played = alone("orders", Design::COURSE, &moves);
    assert_eq!(
        played.lines,
        [
            "acks ticket:created t1@0",
            "throws (a version is missing) on ticket:updated t1@2",
            "acks ticket:updated t1@1",
            "acks ticket:updated t1@2",
        ]
    );
    let wait = 30_000_000;
    assert!(played.world.now().0 > wait, "the second attempt came at {}", played.world.now());
    let at_2 = r#"tickets t1@2 {"price":15,"title":"concert"}"#;
    assert_eq!(played.rows("orders"), [at_2]);
    let gap = alone("orders", Design::COURSE, &moves[..2]);
    assert_eq!(gap.rows("orders"), [r#"tickets t1@0 {"price":5,"title":"concert"}"#], "until then nothing changes");
    assert_eq!(gap.world.broker().open().count(), 1, "and it stays unacked");
}

#[test]
fn a_replica_that_takes_any_newer_version_recovers_from_a_lost_event() {
    let strict = scenario("g23-lost-event");
    let last_writer = ALTERNATIVES.iter().find(|rule| rule.name == "LastWriterByVersion").expect("an alternative");
    let mut design = Design::REFERENCE;
    (last_writer.plant)(&mut design);
    let held = |design: Design| {
        let scenario = Scenario { design, ..strict.clone() };
        let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
        let report = scenario.run(&mut world, &scenario.judges(), scenario.seed, &mut ());
        let replica = world.store_of("orders").find::<TicketReplica>(T1).expect("it is followed");
        (report.verdict.is_held(), replica.version.0, replica.price)
    };
    assert_eq!(held(Design::REFERENCE), (false, 0, 5), "version 2 waits for ever");
    assert_eq!(held(design), (true, 2, 15));
}

#[test]
fn a_flag_cannot_tell_whose_lock_it_frees() {
    caught("BooleanLock", "g03-later-order-overwrites-a-lock", "ReservationAgreement");
}

#[test]
fn an_order_writes_its_id_into_its_ticket_and_is_acked() {
    for design in BOTH {
        let played = alone("tickets", design, &["ann create t1 5", "order:created o1@0"]);
        assert!(played.lines[1].starts_with("acks order:created o1@0"), "{:?}", played.lines);
        let ticket = played.world.store_of("tickets").find::<Ticket>(T1).expect("it was created");
        assert_eq!(ticket.lock, Lock::By(RecordId::new('o', 1)), "under {}", design.name);
    }
}

#[test]
fn a_lock_is_published_with_its_order_and_the_version_of_its_ticket() {
    for design in BOTH {
        let played = alone("tickets", design, &["ann create t1 5", "order:created o1@0"]);
        let ticket = played.world.store_of("tickets").find::<Ticket>(T1).expect("it was created");
        let last = &played.world.broker().messages().last().expect("it was published").event;
        let TicketingEvent::TicketUpdated { id, version, lock, price, .. } = *last else {
            panic!("under {}: {last:?}", design.name);
        };
        let order = RecordId::new('o', 1);
        assert_eq!((id, version, lock, price), (T1, ticket.version, Lock::By(order), 5), "under {}", design.name);
        assert_eq!(version, Version(1));
    }
}

#[test]
fn a_cancel_frees_its_ticket_publishes_it_and_is_acked() {
    for design in BOTH {
        let played = alone("tickets", design, &["ann create t1 5", "order:created o1@0", "order:cancelled o1@1"]);
        assert_eq!(played.lines[2], "acks order:cancelled o1@1 + ticket:updated t1@2", "under {}", design.name);
        let ticket = played.world.store_of("tickets").find::<Ticket>(T1).expect("it was created");
        assert_eq!(ticket.lock, Lock::Free, "under {}", design.name);
    }
}

#[test]
fn a_listener_that_is_not_registered_hears_nothing() {
    caught("ListenerNotRegistered", "reserved-ticket", "ReservationAgreement");
}

#[test]
fn a_reserved_ticket_refuses_its_edit_and_nothing_is_saved_or_published() {
    for design in BOTH {
        let reserved = ["ann create t1 5", "order:created o1@0"];
        let before = alone("tickets", design, &reserved);
        let after = alone("tickets", design, &[reserved[0], reserved[1], "ann edit t1 10"]);
        assert_eq!(after.lines[2], "rejected 400: ticket is reserved", "under {}", design.name);
        assert_eq!(after.rows("tickets"), before.rows("tickets"), "under {}", design.name);
        assert_eq!(after.world.broker().messages().len(), before.world.broker().messages().len());
    }
}
