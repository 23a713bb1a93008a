//! What payments and expiration answer, and what orders makes of them: every branch of both designs.

use pellmell::ticketing::Scenario;
use pellmell::ticketing::{Design, Job, Order, OrderReplica, Payment, Status, Ticketing};
use pellmell::{RecordId, Verdict, World};

use crate::support::alone::alone;

const BOTH: [Design; 2] = [Design::COURSE, Design::REFERENCE];
const ALL: [Design; 3] = [Design::COURSE, Design::REFERENCE, Design::SAGA];

const O1: RecordId = RecordId::new('o', 1);
const P1: RecordId = RecordId::new('p', 1);

/// Plays moves against one service and compares each with what comes of it.
#[track_caller]
fn check(service: &'static str, design: Design, expected: &[(&str, &str)]) {
    let moves: Vec<&str> = expected.iter().map(|(text, _)| *text).collect();
    let lines = alone(service, design, &moves).lines;
    let found: Vec<(&str, &str)> = moves.iter().copied().zip(lines.iter().map(String::as_str)).collect();
    assert_eq!(found, expected, "under {}", design.name);
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
}

#[test]
fn a_payment_is_checked_for_sign_in_token_order_and_buyer_in_this_order() {
    for design in ALL {
        check(
            "payments",
            design,
            &[
                ("nobody pay o1 as p1 without token", "rejected 401: not signed in"),
                ("nobody pay o1 as p1", "rejected 401: not signed in"),
                ("bob pay o1 as p1 without token", "rejected 400: token is missing"),
                ("bob pay o1 as p1", "rejected 404: no such order"),
                ("order:created o1@0", "acks order:created o1@0"),
                ("order:reserved o1@1", "acks order:reserved o1@1"),
                ("bob pay o1 as p1 without token", "rejected 400: token is missing"),
                ("eve pay o1 as p1", "rejected 401: somebody else's"),
                ("bob pay o1 as p1", "accepted + payment:created p1"),
            ],
        );
    }
}

#[test]
fn a_cancelled_order_cannot_be_paid_by_its_buyer_and_is_still_somebody_elses() {
    for design in ALL {
        check(
            "payments",
            design,
            &[
                ("order:created o1@0", "acks order:created o1@0"),
                ("order:cancelled o1@1", "acks order:cancelled o1@1"),
                ("eve pay o1 as p1", "rejected 401: somebody else's"),
                ("bob pay o1 as p1", "rejected 400: order is cancelled"),
            ],
        );
    }
}

#[test]
fn an_order_is_paid_twice_in_the_course_only() {
    let second = |design| {
        let moves = ["order:created o1@0", "order:reserved o1@1", "bob pay o1 as p1", "bob pay o1 as p2"];
        let played = alone("payments", design, &moves);
        (played.lines[3].clone(), played.world.store_of("payments").all::<Payment>().count())
    };
    assert_eq!(second(Design::COURSE), ("accepted + payment:created p2".to_owned(), 2));
    assert_eq!(second(Design::REFERENCE), ("rejected 400: order is paid".to_owned(), 1));
    assert_eq!(second(Design::SAGA), ("rejected 400: order is paid".to_owned(), 1));
}

#[test]
fn the_id_of_a_payment_is_taken_once() {
    for design in BOTH {
        check(
            "payments",
            design,
            &[
                ("order:created o1@0", "acks order:created o1@0"),
                ("order:created o2@0", "acks order:created o2@0"),
                ("bob pay o1 as p1", "accepted + payment:created p1"),
                ("bob pay o2 as p1", "rejected 400: id is taken"),
            ],
        );
    }
}

#[test]
fn an_order_whose_ticket_is_not_reserved_cannot_be_paid_under_the_saga_only() {
    let paid = |design| alone("payments", design, &["order:created o1@0", "bob pay o1 as p1"]).lines[1].clone();
    for design in BOTH {
        assert_eq!(paid(design), "accepted + payment:created p1", "under {}", design.name);
    }
    assert_eq!(paid(Design::SAGA), "rejected 400: ticket is not reserved yet");
}

#[test]
fn a_payment_charges_the_price_of_the_order_and_a_refused_one_leaves_nothing() {
    for design in BOTH {
        let paid = alone("payments", design, &["order:created o1@0", "bob pay o1 as p1"]);
        let payment = r#"payments p1@0 {"order":"o1","price":5,"refunded":false}"#;
        assert_eq!(paid.rows("payments")[1], payment, "under {}", design.name);
        let refused = alone("payments", design, &["order:created o1@0", "eve pay o1 as p1"]);
        assert_eq!(refused.rows("payments").len(), 1, "only the order, under {}", design.name);
        assert_eq!(refused.world.broker().messages().len(), 1, "only the order, under {}", design.name);
    }
}

#[test]
fn an_order_that_comes_again_at_payments_is_a_duplicate_key_in_the_course_and_stale_in_the_reference() {
    let first = ("order:created o1@0", "acks order:created o1@0");
    let throws = "throws (duplicate key) on order:created o1@0/2";
    check("payments", Design::COURSE, &[first, ("order:created o1@0", throws)]);
    check("payments", Design::REFERENCE, &[first, ("order:created o1@0", "acks order:created o1@0/2")]);
}

#[test]
fn an_order_that_comes_again_at_payments_does_not_undo_its_cancel() {
    let played =
        alone("payments", Design::REFERENCE, &["order:created o1@0", "order:cancelled o1@1", "order:created o1@0"]);
    assert_eq!(played.lines[2], "acks order:created o1@0/2");
    let order = played.world.store_of("payments").find::<OrderReplica>(O1).expect("it is followed");
    assert_eq!((order.status, order.version.0), (Status::Cancelled, 1));
}

#[test]
fn payments_follows_an_order_by_the_same_rule() {
    let created = ("order:created o1@0", "acks order:created o1@0");
    for design in BOTH {
        let follow = |course: &'static str, reference: &'static str| {
            if design == Design::COURSE { course } else { reference }
        };
        let next = ("order:cancelled o1@1", "acks order:cancelled o1@1");
        check("payments", design, &[created, next]);
        let gap = follow(
            "throws (a version is missing) on order:cancelled o1@2",
            "naks (a version is missing) order:cancelled o1@2",
        );
        check("payments", design, &[created, ("order:cancelled o1@2", gap)]);
        let unknown =
            follow("throws (record unknown) on order:cancelled o1@1", "naks (record unknown) order:cancelled o1@1");
        check("payments", design, &[("order:cancelled o1@1", unknown)]);
        let again =
            follow("throws (the version before is not there) on order:cancelled o1@1/2", "acks order:cancelled o1@1/2");
        check("payments", design, &[created, next, ("order:cancelled o1@1", again)]);
    }
}

#[test]
fn a_cancel_that_comes_before_its_order_waits_for_it() {
    for design in BOTH {
        let played = alone("payments", design, &["order:cancelled o1@1", "order:created o1@0"]);
        assert_eq!(
            played.lines[1..],
            ["acks order:created o1@0", "acks order:cancelled o1@1"],
            "under {}",
            design.name
        );
        let order = played.world.store_of("payments").find::<OrderReplica>(O1).expect("it is followed");
        assert_eq!((order.status, order.version.0), (Status::Cancelled, 1), "under {}", design.name);
    }
}

#[test]
fn payments_learns_that_an_order_is_complete() {
    let moves = ["order:created o1@0", "bob pay o1 as p1", "order:completed o1@1", "bob pay o1 as p2"];
    let played = alone("payments", Design::REFERENCE, &moves);
    assert_eq!(played.lines[2..], ["acks order:completed o1@1", "rejected 400: order is paid"]);
    let order = played.world.store_of("payments").find::<OrderReplica>(O1).expect("it is followed");
    assert_eq!((order.status, order.version.0), (Status::Complete, 1));
}

#[test]
fn a_refund_asked_for_twice_is_one_refund() {
    let played = alone(
        "payments",
        Design::REFERENCE,
        &["order:created o1@0", "bob pay o1 as p1", "refund:requested p1 for o1", "refund:requested p1 for o1"],
    );
    assert_eq!(played.lines[2..], ["acks refund:requested p1", "acks refund:requested p1/2"]);
    let payment = played.world.store_of("payments").find::<Payment>(P1).expect("it was made");
    assert_eq!((payment.refunded, payment.version.0), (true, 1), "the second changes nothing");
    let unknown = alone("payments", Design::REFERENCE, &["refund:requested p1 for o1"]);
    assert_eq!(unknown.lines, ["throws (payment unknown) on refund:requested p1"]);
}

/// The moves that make an order, and what orders answers to them.
const ORDERED: [(&str, &str); 2] =
    [("ticket:created t1@0 5", "acks ticket:created t1@0"), ("bob order t1 as o1", "accepted + order:created o1@0")];

#[track_caller]
fn check_order(design: Design, then: &[(&str, &str)], status: Status, version: u64) {
    let all: Vec<(&str, &str)> = ORDERED.iter().chain(then).copied().collect();
    check("orders", design, &all);
    let moves: Vec<&str> = all.iter().map(|(text, _)| *text).collect();
    let played = alone("orders", design, &moves);
    let order = played.world.store_of("orders").find::<Order>(O1).expect("it was made");
    assert_eq!((order.status, order.version.0), (status, version), "under {}: {then:?}", design.name);
}

const EXPIRES: &str = "expiration:complete o1";
const PAID: &str = "payment:created p1 for o1";

#[test]
fn an_order_nobody_paid_for_is_cancelled_when_its_time_is_over() {
    for design in BOTH {
        let cancels = (EXPIRES, "acks expiration:complete o1 + order:cancelled o1@1");
        check_order(design, &[cancels], Status::Cancelled, 1);
        check("orders", design, &[(EXPIRES, "throws (order unknown) on expiration:complete o1")]);
    }
}

#[test]
fn the_end_of_a_complete_order_is_acked_and_changes_nothing() {
    let end = (EXPIRES, "acks expiration:complete o1");
    check_order(Design::COURSE, &[(PAID, "acks payment:created p1"), end], Status::Complete, 1);
    let paid = (PAID, "acks payment:created p1 + order:completed o1@1");
    check_order(Design::REFERENCE, &[paid, end], Status::Complete, 1);
}

#[test]
fn the_end_of_a_cancelled_order_cancels_it_again_in_the_course_only() {
    let cancel = ("bob cancel o1", "accepted + order:cancelled o1@1");
    let again = (EXPIRES, "acks expiration:complete o1 + order:cancelled o1@2");
    check_order(Design::COURSE, &[cancel, again], Status::Cancelled, 2);
    check_order(Design::REFERENCE, &[cancel, (EXPIRES, "acks expiration:complete o1")], Status::Cancelled, 1);
}

#[test]
fn a_paid_order_is_complete_and_the_reference_says_so() {
    check_order(Design::COURSE, &[(PAID, "acks payment:created p1")], Status::Complete, 1);
    let says = (PAID, "acks payment:created p1 + order:completed o1@1");
    check_order(Design::REFERENCE, &[says], Status::Complete, 1);
    for design in BOTH {
        check("orders", design, &[(PAID, "throws (order unknown) on payment:created p1")]);
    }
}

#[test]
fn a_second_payment_completes_an_order_again_in_the_course_only() {
    let (first, second) = ("acks payment:created p1", "acks payment:created p1/2");
    check_order(Design::COURSE, &[(PAID, first), (PAID, second)], Status::Complete, 2);
    let first = "acks payment:created p1 + order:completed o1@1";
    check_order(Design::REFERENCE, &[(PAID, first), (PAID, second)], Status::Complete, 1);
}

#[test]
fn a_payment_of_a_cancelled_order_revives_it_in_the_course_and_is_sent_back_by_the_reference() {
    let cancel = ("bob cancel o1", "accepted + order:cancelled o1@1");
    check_order(Design::COURSE, &[cancel, (PAID, "acks payment:created p1")], Status::Complete, 2);
    let refund = (PAID, "acks payment:created p1 + refund:requested p1");
    check_order(Design::REFERENCE, &[cancel, refund], Status::Cancelled, 1);
}

#[test]
fn a_complete_order_is_cancelled_by_its_buyer_in_the_course_only() {
    let paid = (PAID, "acks payment:created p1");
    let cancel = ("bob cancel o1", "accepted + order:cancelled o1@2");
    check_order(Design::COURSE, &[paid, cancel], Status::Cancelled, 2);
    let paid = (PAID, "acks payment:created p1 + order:completed o1@1");
    let refused = ("bob cancel o1", "rejected 400: order is complete");
    check_order(Design::REFERENCE, &[paid, refused], Status::Complete, 1);
}

#[test]
fn an_order_has_a_timer_that_fires_when_its_time_is_over() {
    for design in BOTH {
        let played = alone("expiration", design, &["order:created o1@0 until 60"]);
        assert_eq!(
            played.lines,
            ["acks order:created o1@0", "timer + expiration:complete o1"],
            "under {}",
            design.name
        );
        assert_eq!(played.world.now().0, 60_000_000, "under {}", design.name);
    }
}

#[test]
fn an_order_that_comes_late_is_over_at_once() {
    for design in BOTH {
        // Its time was over before the run began; the clock does not go back.
        let played = alone("expiration", design, &["order:created o1@0 until 0"]);
        assert_eq!(
            played.lines,
            ["acks order:created o1@0", "timer + expiration:complete o1"],
            "under {}",
            design.name
        );
        assert_eq!(played.world.now().0, 1_000, "the time of its one command, under {}", design.name);
    }
}

#[test]
fn an_order_that_comes_again_has_a_second_job_in_the_course_only() {
    let jobs = |design| {
        let played = alone("expiration", design, &["order:created o1@0", "order:created o1@0"]);
        let job = played.world.store_of("expiration").find::<Job>(O1).expect("it was heard of").value.clone();
        (played.lines[2..].to_vec(), job.made, job.fired)
    };
    let fires = "timer + expiration:complete o1";
    assert_eq!(jobs(Design::COURSE), (vec![fires.to_owned(), format!("{fires}/2")], 2, 2));
    assert_eq!(jobs(Design::REFERENCE), (vec![fires.to_owned()], 1, 1));
}

/// Plays a scenario of the repository and says what came of it.
fn play(name: &str, change: impl Fn(Scenario) -> Scenario) -> (Verdict, World<Ticketing>) {
    let path = format!("scenarios/{name}.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let scenario = change(Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}")));
    let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
    let report = scenario.run(&mut world, &scenario.judges(), scenario.seed, &mut ());
    (report.verdict, world)
}

#[test]
fn a_timer_may_fire_before_or_after_the_payment_of_its_order_arrives() {
    let end = |early: bool| {
        let (verdict, world) = play("g12-expiry-races-payment", |scenario| {
            let schedule = if early { scenario.schedule.clone() } else { Vec::new() };
            let scheduler = Some(pellmell::scenario::SchedulerKind::Calm);
            let scenario = Scenario { design: Design::REFERENCE, ..scenario };
            scenario.with(|settings| (settings.schedule, settings.scheduler) = (schedule, scheduler))
        });
        assert_eq!(verdict, Verdict::Held);
        let order = world.store_of("orders").find::<Order>(O1).expect("it was made").status;
        let payment = world.store_of("payments").find::<Payment>(P1).expect("it was made").refunded;
        (order, payment)
    };
    assert_eq!(end(true), (Status::Cancelled, true), "too late: the money goes back");
    assert_eq!(end(false), (Status::Complete, false), "in time: the order keeps its ticket");
}

#[test]
fn a_payment_of_a_cancelled_order_that_is_not_sent_back_is_found() {
    for name in ["g11-payment-of-a-cancelled-order", "g12-expiry-races-payment"] {
        let defects = vec!["NoRefund".to_owned()];
        let (verdict, _) = play(name, |scenario| {
            let scenario = Scenario { design: Design::REFERENCE, ..scenario };
            scenario.with(|settings| settings.defects.clone_from(&defects))
        });
        let found = matches!(verdict, Verdict::Violated { property: "PaymentAgreement", .. });
        assert!(found, "{name}: {verdict:?}");
    }
}
