//! Situations that once got a wrong verdict, or none that said anything: each is run as a person would
//! run it, and comes to what is right. The files are in tests/cases.

use std::process::Command;

/// Runs the binary on a case: `verb NAME flags`; gives its exit code and what it printed.
fn pellmell(line: &str) -> (i32, String) {
    let mut words = line.split(' ');
    let (verb, name) = (words.next().expect("a verb"), words.next().expect("a case"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellmell"));
    // Lines so wide that none is broken.
    command.env("COLUMNS", "400");
    command.arg(verb).arg(format!("tests/cases/{name}.toml")).args(words);
    let ran = command.output().expect("pellmell runs");
    let printed = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    (ran.status.code().expect("an exit code"), printed)
}

/// Lines that are run, the exit code, and what is printed.
type Case<'a> = (&'a str, i32, &'a [&'a str]);

#[track_caller]
fn check(cases: &[Case<'_>]) {
    for (line, code, said) in cases {
        let (ended, printed) = pellmell(line);
        assert_eq!(ended, *code, "{line}:\n{printed}");
        for text in *said {
            assert!(printed.contains(text), "{line}: expected `{text}` in\n{printed}");
        }
    }
}

#[test]
fn what_a_timer_repairs_later_is_violated_as_soon_as_all_is_at_rest() {
    check(&[
        ("run locked-by-a-dead-order", 1, &["VIOLATED ReservationAgreement   step 11, t = +0.004s"]),
        // The other ticket's message may change something until it was handled again; then nothing may.
        ("run locked-by-a-dead-order-beside-poison", 1, &["VIOLATED ReservationAgreement   step 13, t = +5.001s"]),
        ("run locked-by-a-dead-order-beside-poison --defect VersionQueryOffByOne", 1, &["t = +5.001s"]),
        ("run payment-kept-until-a-timer", 1, &["VIOLATED PaymentAgreement   step 13, t = +0.004s"]),
        ("run paid-order-cancelled --scheduler calm --property PaymentAgreement", 1, &["step 13, t = +0.004s"]),
        (
            "run paid-order-cancelled-without-a-timer --scheduler calm --property PaymentAgreement",
            1,
            &["step 12, t = +0.004s"],
        ),
    ]);
}

#[test]
fn a_limit_of_one_hides_no_redelivery_of_work_that_is_under_way() {
    check(&[
        ("run late-ack-with-one-in-flight", 0, &["ticket:created t1@0 #2 ✗ duplicate key"]),
        ("run late-ack-with-many-in-flight", 0, &["ticket:created t1@0 #2 ✗ duplicate key"]),
        ("run pause-past-the-ack-wait-async", 0, &["#2 ✓ saves t1@0", "resume ticket:created t1@0 ✗ duplicate key"]),
        ("run pause-past-the-ack-wait-members", 0, &["#2 ✓ saves t1@0", "resume ticket:created t1@0 ✗ duplicate key"]),
    ]);
}

#[test]
fn a_handler_that_is_always_slower_than_the_ack_wait_is_stuck_and_one_that_is_not_holds() {
    let case = "handler-always-slower-than-the-ack-wait";
    let why = "orders takes 12s, its ack wait is 10s: ticket:created t1@0 was handled 20 times";
    check(&[
        (&format!("run {case}"), 1, &[why, "ticket:created t1@0 #20 …"]),
        (&format!("sweep {case} --seeds 0..20"), 1, &["stuck: orders takes 12s, its ack wait is 10s"]),
        (&format!("exhaust {case} --order any"), 4, &["`--order broker`"]),
        (&format!("exhaust {case}"), 1, &[why]),
        (&format!("explain {case}"), 0, &["STUCK", "orders takes 12s"]),
    ]);
    let text = std::fs::read_to_string(format!("tests/cases/{case}.toml")).expect("the case");
    let file = std::env::temp_dir().join(format!("pellmell-takes-{}.toml", std::process::id()));
    for (from, to, code, said) in [
        ("takes = \"12s\"", "takes = \"9s\"", 0, "worked 1"),
        ("stale_acks = \"reject\"", "", 0, "-> orders #1 runs out"),
        ("takes = \"12s\"", "takes = \"12\"", 2, "`12` is not a duration"),
    ] {
        std::fs::write(&file, text.replace(from, to)).expect("it is written");
        let ran = Command::new(env!("CARGO_BIN_EXE_pellmell")).env("COLUMNS", "400").arg("run").arg(&file).output();
        let ran = ran.expect("pellmell runs");
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{to}: {printed}");
        assert!(printed.contains(said), "{to}: {printed}");
    }
    std::fs::remove_file(&file).expect("it is removed");
}

#[test]
fn a_departure_that_cannot_be_done_is_told_with_the_reason_and_is_not_green() {
    let order = "cannot come before it: stan keeps the order of a subject";
    let second =
        "write `pause ticket:created t1@0 -> orders until ack wait of ticket:created t1@0 -> orders` beside it";
    check(&[
        ("run later-change-before-an-earlier-one", 4, &["`ticket:updated t1@2 -> orders` ", order]),
        ("check later-change-before-an-earlier-one", 0, &[order]),
        ("run later-change-before-an-earlier-one --message-format json", 4, &["\"kind\":\"ended-early\"", order]),
        ("run later-change-before-an-earlier-one --allow ended-early", 0, &["HELD"]),
        ("run crash-with-an-inbox", 4, &["`ticket:updated t1@3 -> orders` ", order]),
        ("run pause-until-a-redelivery-async", 4, &[second]),
        ("run pause-until-a-redelivery-members", 4, &[second]),
    ]);
}

#[test]
fn a_departure_of_the_command_line_names_what_there_is_as_one_of_a_file_does() {
    let words = ["lose ack of ticket:created t9@9 -> orders", "lose ack of ticket:create t1@0 -> orders"];
    for (departure, said) in words.into_iter().zip(["no command creates `t9`", "did you mean `ticket:created`?"]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pellmell"));
        let file = "tests/cases/late-ack-with-one-in-flight.toml";
        let ran = command.args(["sweep", file, "--seeds", "0..3", "--departure", departure]).output().expect("it runs");
        let error = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{departure}: {error}");
        assert!(error.contains(said) && error.contains("--departure:1:1"), "{departure}: {error}");
    }
}

#[test]
fn a_fault_that_can_fall_on_nothing_is_told_and_no_bound_rests_on_it() {
    let why = "idle-fault pause: no service has several members or `overlapping = true`";
    check(&[
        ("check pause-where-nothing-can-pause", 0, &[why]),
        ("run pause-where-nothing-can-pause", 4, &[why]),
        ("sweep pause-where-nothing-can-pause --seeds 0..50", 0, &[why, "Bound none: idle-fault pause never happened"]),
        ("sweep pause-where-nothing-can-pause --seeds 0..50 --strict", 1, &[why]),
        ("exhaust pause-where-nothing-can-pause --pauses 1", 4, &["idle-fault pauses"]),
    ]);
}

#[test]
fn a_broker_without_nak_uses_up_no_attempts_at_once() {
    let case = "run naks-do-not-use-up-attempts-at-once --design reference";
    check(&[(case, 1, &["+5.002s │ clock: ack wait of ticket:updated t1@1 -> orders #1 ends", "naks unheard 4"])]);
}

#[test]
fn a_delivery_limit_is_met_by_one_message_that_waits() {
    let first = "--departure 'hold ticket:created t1@0 -> orders until quiescence'";
    check(&[
        ("sweep twenty-deliveries --design reference --seeds 0..1 --departures 40", 1, &[first]),
        ("run twenty-deliveries --design reference", 4, &["unreachable-max-deliver 20"]),
    ]);
}

#[test]
fn a_save_that_changes_nothing_is_found_in_the_calm_run() {
    check(&[("run save-without-a-change --scheduler calm --property NoPoison", 1, &["VIOLATED NoPoison   step 8"])]);
}

#[test]
fn a_buyer_who_may_come_too_early_still_does_unless_he_waits() {
    // With `waits_for` no request comes too early: tests/ticketing/clients.rs.
    check(&[("sweep buyer-comes-too-early --seeds 0..200 --departures 0", 1, &["VIOLATED AtMostOnePayment"])]);
}

#[test]
fn a_crash_takes_all_handlers_of_its_process() {
    let came_again = "+5.001s │                                     │ ticket:created t1@0 #2 ✓ saves t1@0";
    check(&[("run crash-of-a-process-with-two-handlers", 0, &[came_again])]);
}

#[test]
fn what_is_not_modelled_comes_to_what_it_did_and_the_docs_say_not_to_conclude() {
    let docs = std::fs::read_to_string("docs/broker.md").expect("the page about the broker");
    let (_, list) = docs.split_once("## Not modelled, so do not conclude").expect("the list");
    for (line, code, listed) in [
        ("run card-charged-before-a-crash", 0, "a card that is charged before the save"),
        ("run owner-that-never-changes", 0, "With `exclusive` a record has one owner for good"),
        ("run crash-with-an-inbox", 4, "So a crash takes one delivery"),
        // Alarms that these brokers never give.
        ("sweep one-consumer-of-two-subjects --seeds 0..50 --departures 10", 1, "each subject has an order of its own"),
        (
            "sweep key-that-does-not-block --seeds 0..200 --departures 0",
            1,
            "a message that was refused does not hold up",
        ),
    ] {
        check(&[(line, code, &[])]);
        assert!(list.contains(listed), "{line}: {listed}");
    }
}
