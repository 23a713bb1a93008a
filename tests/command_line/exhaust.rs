//! `pellmell exhaust` as a user meets it: what it prints, how it ends, and that the threads do not show.

use expect_test::{Expect, expect};

use crate::ran::{Ran, pellmell, ran};

const REFERENCE: &str =
    "scenarios/g02-cancel-overtakes-create.toml --design reference --order any --lost-acks 1 --crashes 1";
const COURSE: &str = "scenarios/g02-cancel-overtakes-create.toml --order any --lost-acks 1 --crashes 1";

fn exhaust(flags: &str) -> Ran {
    let args: Vec<&str> = std::iter::once("exhaust").chain(flags.split(' ')).collect();
    pellmell(&args)
}

fn check(flags: &str, code: i32, expected: Expect) {
    let ran = exhaust(flags);
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
    expected.assert_eq(&lines.join("\n"));
    assert_eq!(ran.code, code, "{flags}: {}", ran.stderr);
}

#[test]
fn a_search_that_holds_says_within_what_and_how_many_states() {
    check(
        REFERENCE,
        0,
        expect![[r#"
          Exhausting g02-cancel-overtakes-create   design reference, any order, 1 lost ack, 1 crash
        ────────────
                HELD exhaustive within any order, 1 lost ack, 1 crash: 90 states"#]],
    );
}

#[test]
fn a_run_that_fails_is_shown_step_by_step_and_as_a_scenario() {
    check(
        COURSE,
        1,
        expect![[r#"
              Exhausting g02-cancel-overtakes-create   design course, any order, 1 lost ack, 1 crash

            step       t │ tickets                             │ orders │
               1 +0.001s │ alice: create t1 at 10 ✓ saves t1@0 │        │ ◀ crash before publish

                VIOLATED TicketReplicaConverged   1 step, no run fails in fewer
                         at orders, t1: expected version 0 at 10, found nothing
                  Shrunk to 1 step, 1 departure, 1 command
                 Departs crash tickets before publish of alice: create t1 at 5
                 Explain pellmell explain FILE # which has what follows
            ────────────
            version = 1
            about = "Shrunk from g02-cancel-overtakes-create, seed 0: violates TicketReplicaConverged."
            design = "course"
            schedule = [
                "crash tickets before publish of alice: create t1 at 5",
            ]

            [broker]
            profile = "adversarial"

            [[client]]
            name = "alice"
            commands = [
                { create_ticket = { ticket = "t1", title = "concert", price = 5 } },
            ]

            [expect]
            course = "violated TicketReplicaConverged"
            ────────────
                 Summary violated within any order, 1 lost ack, 1 crash"#]],
    );
}

/// A scenario on another broker.
fn on_broker(broker: &str) -> String {
    let text = include_str!("../../scenarios/g02-cancel-overtakes-create.toml");
    let lines = text.lines().filter(|line| !line.starts_with("ack_wait") && !line.starts_with("schedule"));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\"stan\"", &format!("\"{broker}\""));
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("exhaust-{broker}.toml"));
    std::fs::write(&path, text).expect("a temporary file");
    path.display().to_string()
}

#[test]
fn a_search_is_of_the_broker_that_the_scenario_names_and_what_it_finds_is_played_there() {
    // Reference and course; what happens to members, or acks that are lost.
    let cases = [
        ("stan", "--lost-acks 1", "367 states", Some("EffectivelyOnce")),
        ("kafka", "--lost-acks 1", "70 states", None),
        ("kafka", "--member-changes 1 --fetch 1", "", Some("EffectivelyOnce")),
        ("kafka", "--broker-failures 1", "", Some("EffectivelyOnce")),
        ("sqs-fifo", "--lost-acks 1", "328 states", Some("EffectivelyOnce")),
        ("pubsub-ordered", "--lost-acks 1", "484 states", Some("EffectivelyOnce")),
        ("mqtt-qos1", "--lost-acks 1", "100 states", Some("EffectivelyOnce")),
        ("mqtt-qos1", "--member-changes 1 --fetch 1", "", None),
    ];
    for (broker, flags, states, broken) in cases {
        let path = on_broker(broker);
        let reference = exhaust(&format!("{path} --design reference {flags}"));
        let on = format!("design reference on {broker}, the broker's order");
        let says = [&on, "HELD exhaustive", states].iter().all(|text| reference.stdout.contains(*text));
        assert!(says, "{broker} {flags}: {}", reference.stdout);
        let course = exhaust(&format!("{path} --message-format json {flags}"));
        let said: serde_json::Value = serde_json::from_str(&course.stdout).expect("JSON");
        assert_eq!((said["broker"].as_str(), said["property"].as_str()), (Some(broker), broken), "{said}");
        let Some(text) = said["toml"].as_str() else { continue };
        let found = format!("{path}-found.toml");
        std::fs::write(&found, text).expect("a temporary file");
        let played = pellmell(&["run", &found]);
        let violated = format!("VIOLATED {}", broken.unwrap_or_default());
        assert!(played.code == 1 && played.stdout.contains(&violated), "{broker} {flags}: {}", played.stdout);
    }
    let idle = exhaust(&format!("{} --member-changes 1 --broker-failures 1", on_broker("stan")));
    let says = |what: &str| idle.stdout.contains(&format!("Vacuous idle-fault {what}"));
    let both = says("member-changes: no engine plays the broker") && says("broker-failures: the broker keeps all that");
    assert!(both, "{}", idle.stdout);
    let more = exhaust(&format!("{} --broker-failures 8", on_broker("kafka")));
    assert!(more.code == 2 && more.stderr.contains("expected a whole number from 0 to 7, or `any`"), "{}", more.stderr);
}

#[test]
fn a_search_without_enough_memory_says_that_it_proves_nothing() {
    let flags = "scenarios/two-orders-four-services.toml --order any --lost-acks 1 --memory 64KiB";
    check(
        flags,
        4,
        expect![[r#"
          Exhausting two-orders-four-services   design reference, any order, 1 lost ack
        ────────────
        NOT COMPLETE the memory is used up: nothing found so far
                Next try --memory 1MiB, or tighter bounds"#]],
    );
}

/// A search in a process that may have so many KiB, which it could not do without being aborted.
#[cfg(unix)]
fn exhaust_within(kib: u32, flags: &str) -> Ran {
    let line = format!("ulimit -v {kib}; exec {} exhaust {flags}", env!("CARGO_BIN_EXE_pellmell"));
    ran(std::process::Command::new("sh").args(["-c", &line]))
}

#[cfg(unix)]
#[test]
fn what_a_search_takes_besides_the_states_counts_against_its_memory() {
    let many = "scenarios/price-5-10-15.toml --design course --order any --duplicates 1 --memory 1MiB --threads 2";
    let ran = exhaust_within(1_200_000, many);
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("NOT COMPLETE the memory is used up"), "{}", ran.stdout);
}

#[test]
fn what_is_printed_does_not_depend_on_the_threads() {
    let four = "scenarios/two-orders-four-services.toml --order any --property PrefixConsistency";
    for flags in [REFERENCE, COURSE, &COURSE.replace("--order any", "--order lockstep"), four] {
        for format in ["human", "json"] {
            let with = |threads: u32| {
                let ran = exhaust(&format!("{flags} --message-format {format} --threads {threads}"));
                (ran.code, ran.stdout)
            };
            let one = with(1);
            assert!(!one.1.is_empty(), "{flags}");
            for threads in [2, 3, 8] {
                assert_eq!(with(threads), one, "{flags} with {threads} threads");
            }
        }
    }
}

#[test]
fn a_search_ends_with_the_first_run_that_fails_if_asked() {
    let first = "scenarios/two-orders-four-services.toml --order any --defect UnguardedRelease --threads 1 --first";
    let ran = exhaust(first);
    assert!(ran.code == 1 && ran.stdout.contains("steps, perhaps not the fewest"), "{}{}", ran.stdout, ran.stderr);
    let shortest = exhaust(first.trim_end_matches(" --first"));
    assert!(shortest.code == 1 && shortest.stdout.contains("7 steps, no run fails in fewer"), "{}", shortest.stdout);
    let buckets = |ran: &Ran| ran.stdout.lines().find(|line| line.contains("VIOLATED")).map(str::to_owned);
    assert!(buckets(&ran).is_some_and(|line| line.contains("NoForeignRelease")), "{}", ran.stdout);
}
