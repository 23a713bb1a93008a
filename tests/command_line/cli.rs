//! The command line as a user meets it: what it prints, how it ends, what it says to bad input.

use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use crate::ran::pellmell;

/// Runs the tool and compares its exit code and what it printed, without trailing spaces.
fn check(args: &[&str], code: i32, expected: Expect) {
    let ran = pellmell(args);
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let result = |line: &&str| !["Took", "Waiting"].iter().any(|word| line.trim_start().starts_with(word));
    let stderr: Vec<&str> = ran.stderr.lines().filter(result).collect();
    let shown = format!("$ pellmell {}\n{}\n{}", args.join(" "), trimmed(&ran.stdout), trimmed(&stderr.join("\n")));
    expected.assert_eq(shown.trim_end());
    assert_eq!(ran.code, code, "{args:?}");
}

fn temp(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a temporary file");
    path
}

/// Checks what is said about a scenario file with this content; the folder is cut out.
fn check_file(name: &str, content: &str, expected: Expect) {
    let path = temp(name, content.as_bytes());
    let ran = pellmell(&["check", &path.display().to_string()]);
    let folder = format!("{}/", env!("CARGO_TARGET_TMPDIR"));
    expected.assert_eq(&ran.stderr.replace(&folder, "").lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
    assert_eq!(ran.code, 2, "{name}");
    assert_eq!(ran.stdout, "", "{name}");
}

#[test]
fn one_lost_ack_poisons_the_course_design() {
    check(
        &["run", "scenarios/one-lost-ack.toml", "--design", "course"],
        1,
        expect![[r#"
            $ pellmell run scenarios/one-lost-ack.toml --design course
                 Running one-lost-ack seed 0   design course, profile stan, departures scheduler
                         The ack of one ticket:created is lost, so it is delivered again.
                 Departs lose ack of ticket:created t1@0 -> orders

            step       t │ tickets                             │ orders                                 │
               1 +0.001s │ alice: create t1 at 10 ✓ saves t1@0 │                                        │
               2 +0.001s │                                     │ ticket:created t1@0 ✓ saves t1@0       │ ◀ ack lost
               3 +5.001s │ clock: ack wait of ticket:created t1@0 -> orders #1 ends
               4 +5.001s │                                     │ ticket:created t1@0 #2 ✗ duplicate key │

                  record │ tickets               │ orders      │
                      t1 │ v0 lock free price 10 │ v0 price 10 │

                VIOLATED NoPoison   step 4, t = +5.001s
                         at orders, t1, ticket:created t1@0: still unacked: ticket:created t1@0 -> orders #2 after 2 attempts, redelivery changes nothing
                Expected violated NoPoison under course
               Exercised commands 1, deliveries 2, redeliveries 1, acks lost 1
                  Judged convergence at 1 moment; not at 1, a message might still change something when it came again
             Fingerprint 6c5d419bfd2d4688
               Reproduce pellmell run scenarios/one-lost-ack.toml --design course --seed 0"#]],
    );
}

#[test]
fn one_lost_ack_does_nothing_to_the_reference_design() {
    check(
        &["run", "scenarios/one-lost-ack.toml", "--design", "reference"],
        0,
        expect![[r#"
            $ pellmell run scenarios/one-lost-ack.toml --design reference
                 Running one-lost-ack seed 0   design reference, profile stan, departures scheduler
                         The ack of one ticket:created is lost, so it is delivered again.
                 Departs lose ack of ticket:created t1@0 -> orders

            step       t │ tickets                             │ orders                           │
               1 +0.001s │ alice: create t1 at 10 ✓ saves t1@0 │                                  │
               2 +0.001s │                                     │ ticket:created t1@0 ✓ saves t1@0 │ ◀ ack lost
               3 +5.001s │ clock: ack wait of ticket:created t1@0 -> orders #1 ends
               4 +5.001s │                                     │ ticket:created t1@0 #2 ✓         │

                  record │ tickets               │ orders      │
                      t1 │ v0 lock free price 10 │ v0 price 10 │

                    HELD every property, step 4, t = +5.001s
                Expected held under reference
               Exercised commands 1, deliveries 2, redeliveries 1, acks lost 1
                  Judged convergence at 2 moments; not at 1, a message might still change something when it came again
             Fingerprint d8ae99040d18c0a2
               Reproduce pellmell run scenarios/one-lost-ack.toml --design reference --seed 0"#]],
    );
}

#[test]
fn a_late_cancel_shows_what_departs_from_the_calm_run() {
    check(
        &["run", "scenarios/g02-cancel-overtakes-create.toml"],
        1,
        expect![[r#"
            $ pellmell run scenarios/g02-cancel-overtakes-create.toml
                 Running g02-cancel-overtakes-create seed 0   design course, profile stan, departures scheduler
                         An order is made and cancelled, and tickets hears of the cancel first: the ticket must not stay locked by a dead order.
                 Departs hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets

            step       t │ tickets                             │ orders                             │
               1 +0.001s │ alice: create t1 at 10 ✓ saves t1@0 │                                    │
               2 +0.001s │                                     │ ticket:created t1@0 ✓ saves t1@0   │
               3 +0.002s │                                     │ alice: order t1 as o1 ✓ saves o1@0 │
               4 +0.003s │                                     │ alice: cancel o1 ✓ saves o1@1      │ ≠ calm: deliver order:created o1@0 -> tickets #1
               5 +0.003s │ order:cancelled o1@1 ✓ saves t1@1   │                                    │ ≠ calm: as above
               6 +0.003s │ order:created o1@0 ✓ saves t1@2     │                                    │
               7 +0.003s │                                     │ ticket:updated t1@1 ✓ saves t1@1   │
               8 +0.003s │                                     │ ticket:updated t1@2 ✓ saves t1@2   │

                  record │ tickets                │ orders                                 │
                      o1 │                        │ v1 price 10 status cancelled ticket t1 │
                      t1 │ v2 lock by o1 price 10 │ v2 price 10                            │

                VIOLATED ReservationAgreement   step 8, t = +0.003s
                         at tickets, t1: the ticket is locked by o1, its live order is none
                Expected violated ReservationAgreement under course
               Exercised commands 3, deliveries 5, overtakings 1
                  Judged convergence at 3 moments
             Fingerprint 1d2d933b822002f6
               Reproduce pellmell run scenarios/g02-cancel-overtakes-create.toml --design course --seed 0"#]],
    );
}

#[test]
fn the_slides_symptom_shows_when_only_poison_is_judged() {
    check(
        &["run", "scenarios/missing-update-event.toml", "--property", "NoPoison"],
        1,
        expect![[r#"
            $ pellmell run scenarios/missing-update-event.toml --property NoPoison
                 Running missing-update-event seed 0   design stage3, profile stan, calm scheduler
                         A ticket is created, reserved, released and edited; if tickets does not publish what the reservation changed, orders can never apply the edit.

            step       t │ tickets                             │ orders                                     │
               1 +0.001s │ alice: create t1 at 10 ✓ saves t1@0 │                                            │
               2 +0.001s │                                     │ ticket:created t1@0 ✓ saves t1@0           │
               3 +0.002s │                                     │ alice: order t1 as o1 ✓ saves o1@0         │
               4 +0.002s │ order:created o1@0 ✓ saves t1@1     │                                            │
               5 +0.003s │                                     │ alice: cancel o1 ✓ saves o1@1              │
               6 +0.003s │ order:cancelled o1@1 ✓ saves t1@2   │                                            │
               7 +0.004s │ alice: edit t1 to 15 ✓ saves t1@3   │                                            │
               8 +0.004s │                                     │ ticket:updated t1@3 ✗ a version is missing │

                  record │ tickets               │ orders                                 │
                      o1 │                       │ v1 price 10 status cancelled ticket t1 │
                      t1 │ v3 lock free price 15 │ v0 price 10                            │ ◀ differ

                VIOLATED NoPoison   step 8, t = +0.004s
                         at orders, t1, ticket:updated t1@3: still unacked: ticket:updated t1@3 -> orders #1 after 1 attempt, redelivery changes nothing
               Exercised commands 4, deliveries 4
                  Judged convergence at 4 moments
             Fingerprint c6c2b30c352eabb7
               Reproduce pellmell run scenarios/missing-update-event.toml --design stage3 --property NoPoison --seed 0"#]],
    );
}

#[test]
fn a_long_run_shows_its_last_steps_and_only_records_that_differ() {
    check(
        &["run", "scenarios/price-5-10-15.toml", "--seed", "7", "--steps", "3"],
        0,
        expect![[r#"
            $ pellmell run scenarios/price-5-10-15.toml --seed 7 --steps 3
                 Running price-5-10-15 seed 7   design reference, profile stan, random scheduler
                         200 tickets are created at 5 and edited to 10 and 15 while four orders members race for the events.

            step        t │ tickets │ orders                                             │
               …          │ 1,716 steps not shown: --steps all shows them
            1717 +20.525s │ clock: ack wait of ticket:updated t88@2 -> orders #3 runs out ≠ calm: resume ticket:updated t88@2 -> orders #3
            1718 +20.525s │         │ [2] ticket:updated t88@2 #4 ✓ saves t88@2          │ ≠ calm: as above
            1719 +20.525s │         │ [1] resume ticket:updated t88@2 #3 ✗ version error │

                  record │ tickets │ orders │
                         │ 200 records the same at every service that has them

                    HELD every property, step 1719, t = +20.525s
                Expected held under reference
               Exercised commands 600, deliveries 788, redeliveries 188, overtakings 709, duplicates 14, pauses 157, naks unheard 140
                  Judged convergence at 2 moments; not at 42, a message might still change something when it came again
                    Note unheard-nak: 140 naks were silences, because stan knows no nak: what was refused came again after the ack wait
             Fingerprint 5f460c9275e8f946
               Reproduce pellmell run scenarios/price-5-10-15.toml --design reference --seed 7"#]],
    );
}

#[test]
fn a_sweep_puts_failures_into_buckets() {
    check(
        &["sweep", "scenarios/price-5-10-15.toml", "--design", "stage1", "--seeds", "0..20", "--departures", "100"],
        1,
        expect![[r#"
            $ pellmell sweep scenarios/price-5-10-15.toml --design stage1 --seeds 0..20 --departures 100
                   Swept price-5-10-15 × 20 seeds, 0..20   design stage1, profile stan, portfolio scheduler
                VIOLATED PrefixConsistency at orders of t on ticket:updated   17 schedules, first with 1 departure
                  Shrunk to 5 steps, 1 departure, 3 commands
                 Departs hold ticket:updated t1@1 -> orders until quiescence
               Reproduce pellmell run scenarios/price-5-10-15.toml --design stage1 --departure 'hold ticket:updated t1@1 -> orders until quiescence' --seed 7
                Departed 17 of 100 one-departure schedules fail; 22,318,700 not played
                VIOLATED ReplicaNeverAhead at orders of t on ticket:updated   5 runs, first seed 0, calm scheduler, 1,345 steps
                  Shrunk to 6 steps, 1 departure, 2 commands
                 Departs lose ack of ticket:updated t13@1 -> orders
                VIOLATED PrefixConsistency at orders of t on ticket:updated   15 runs, first seed 1, uniform scheduler, 273 steps
                  Shrunk to 5 steps, 1 departure, 3 commands
                 Departs hold ticket:updated t70@1 -> orders until quiescence
            ────────────
                 Summary 20 runs: 0 held, 20 violated, 0 stuck, 0 panicked; 2 buckets
               Exercised commands 3,434, deliveries 2,611, redeliveries 12, overtakings 582, acks lost 67, acks late 116, duplicates 23, pauses 360
                  Judged convergence at 76 moments; not at 1,228, a message might still change something when it came again
                Coverage 14 of 17 situations and pairs, the last new one in run 17 of 20
                    MISS redelivery during handler: ticket:created -> orders, ticket:updated -> orders
                    MISS refused, then acked: ticket:created -> orders
                         47 situations or pairs could not come about: --coverage says why
                 Reached 1 of 1 sometimes-properties
                   Bound none: no seed was played by pctcp-1, pctcp-2 or pctcp-3
             Fingerprint 282f5f67c2de58da
               Reproduce pellmell run scenarios/price-5-10-15.toml --design stage1 --scheduler calm --seed 0
                  Shrink pellmell shrink scenarios/price-5-10-15.toml --design stage1 --scheduler calm --seed 0"#]],
    );
}

#[test]
fn a_strict_sweep_fails_if_something_is_never_reached() {
    let args = ["sweep", "scenarios/happy-path-all-services.toml", "--design", "reference", "--seeds", "0..3"];
    assert_eq!(pellmell(&args).code, 0);
    let ran = pellmell(&[&args[..], &["--strict"]].concat());
    let told = "MISS TicketContended: in no run an order is refused because another one has the ticket";
    assert!(ran.code == 1 && ran.stdout.contains(told), "{}", ran.stdout);
    let next = "Next pellmell sweep scenarios/happy-path-all-services.toml --design reference --seeds 0..30 --strict";
    assert!(ran.stdout.trim_end().ends_with(next), "{}", ran.stdout);
    let reaches_all = ["sweep", "scenarios/price-5-10-15.toml", "--design", "reference", "--seeds", "0..2", "--strict"];
    let reaches_all = [&reaches_all[..], &["--departures", "0"]].concat();
    assert_eq!(pellmell(&reaches_all).code, 0);
}

#[test]
fn a_sweep_that_holds_ends_with_0_and_an_empty_one_with_4() {
    check(
        &["sweep", "scenarios/one-lost-ack.toml", "--design", "reference", "--seeds", "0..3"],
        0,
        expect![[r#"
            $ pellmell sweep scenarios/one-lost-ack.toml --design reference --seeds 0..3
                   Swept one-lost-ack × 3 seeds, 0..3   design reference, profile stan
                    Note the scenario's schedule leaves nothing to the seed: all runs are the same
            ────────────
                 Summary 3 runs: 3 held, 0 violated, 0 stuck, 0 panicked; 0 buckets
               Exercised commands 3, deliveries 6, redeliveries 3, acks lost 3
                  Judged convergence at 6 moments; not at 3, a message might still change something when it came again
                Coverage 1 of 2 situations and pairs, the last new one in run 1 of 3
                    MISS refused, then acked: ticket:created -> orders
                         90 situations or pairs could not come about: --coverage says why
                   Bound none: no seed was played by pctcp-1, pctcp-2 or pctcp-3
             Fingerprint 42991ecf93f58fc5"#]],
    );
    assert_eq!(pellmell(&["sweep", "scenarios/one-lost-ack.toml", "--seeds", "5..5"]).code, 4);
}

#[test]
fn results_are_json_on_request() {
    let json = |verb: &str, rest: &[&str]| {
        let mut args = vec![verb, "scenarios/one-lost-ack.toml", "--message-format", "json"];
        args.extend(rest);
        let ran = pellmell(&args);
        let lines: Vec<serde_json::Value> =
            ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
        (ran.code, lines)
    };
    let (code, lines) = json("run", &[]);
    assert_eq!((code, &lines[0]["property"]), (1, &"NoPoison".into()));
    let (code, lines) = json("sweep", &["--seeds", "0..2"]);
    assert_eq!((code, &lines[0]["count"], &lines[1]["violated"]), (1, &2.into(), &2.into()));
    let (code, lines) = json("replay", &["--seed", "3"]);
    assert_eq!((code, &lines[0]["same"]), (1, &true.into()));
    let (code, lines) = json("check", &[]);
    assert_eq!((code, &lines[0]["what"]), (0, &"a scenario, 1 client, 1 command".into()));
}

#[test]
fn a_trace_replays_and_the_first_step_that_differs_is_named() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay.jsonl");
    let name = path.display().to_string();
    assert_eq!(pellmell(&["run", "scenarios/g02-cancel-overtakes-create.toml", "--trace", &name]).code, 1);
    let same = pellmell(&["replay", &name]);
    assert!(same.stdout.contains("Same 8 steps"), "{}", same.stdout);
    assert_eq!(same.code, 1, "the run it replays is violated");

    let text = std::fs::read_to_string(&path).expect("a trace");
    let line = text.lines().nth(5).expect("step 5");
    let fingerprint = line.rsplit('"').nth(1).expect("a fingerprint");
    std::fs::write(&path, text.replace(fingerprint, "0123456789abcdef")).expect("the trace can be changed");
    let differs = pellmell(&["replay", &name]);
    assert!(differs.stdout.contains("DIFFERS first at step 5"), "{}", differs.stdout);
    assert_eq!(differs.code, 3);
}

#[test]
fn a_limit_is_a_verdict() {
    let ran = pellmell(&["run", "scenarios/price-5-10-15.toml", "--max-steps", "100", "--steps", "1"]);
    assert!(ran.stdout.contains("STUCK"), "{}", ran.stdout);
    assert!(ran.stdout.contains("steps limit reached: 100 steps"), "{}", ran.stdout);
    assert_eq!(ran.code, 1);
    for flag in ["--max-messages", "--max-in-flight"] {
        let ran = pellmell(&["run", "scenarios/price-5-10-15.toml", flag, "50", "--steps", "1"]);
        assert!(ran.stdout.contains("limit reached: 50"), "{flag}: {}", ran.stdout);
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn a_flag_that_makes_no_sense_ends_with_2() {
    for args in [
        &["run", "scenarios/one-lost-ack.toml", "--seed", "seven"][..],
        &["run", "scenarios/one-lost-ack.toml", "--seed", "-1"],
        &["run", "scenarios/one-lost-ack.toml", "--design", "perfect"],
        &["run", "scenarios/one-lost-ack.toml", "--scheduler", "chaos"],
        &["run", "scenarios/one-lost-ack.toml", "--property", "Niceness"],
        &["run", "scenarios/one-lost-ack.toml", "--steps", "many"],
        &["sweep", "scenarios/one-lost-ack.toml", "--seeds", "5..2"],
        &["sweep", "scenarios/one-lost-ack.toml", "--threads", "0"],
        &["dance"],
        &[],
    ] {
        let ran = pellmell(args);
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.stdout.is_empty(), "{args:?}: {}", ran.stdout);
    }
}

#[test]
fn a_file_that_cannot_be_read_or_written_ends_with_74() {
    assert_eq!(pellmell(&["run", "scenarios/nowhere.toml"]).code, 74);
    assert_eq!(pellmell(&["run", "scenarios"]).code, 74);
    let ran = pellmell(&["run", "scenarios/one-lost-ack.toml", "--trace", "no/such/folder/a.jsonl"]);
    assert!(ran.stderr.contains("cannot write no/such/folder/a.jsonl"), "{}", ran.stderr);
    assert_eq!(ran.code, 74);
}

#[test]
fn an_old_trace_survives_a_write_that_fails() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept.jsonl");
    std::fs::create_dir_all(&folder).expect("a folder in the trace's place");
    let ran = pellmell(&["run", "scenarios/one-lost-ack.toml", "--trace", &folder.display().to_string()]);
    assert_eq!(ran.code, 74);
    let left = std::fs::read_dir(folder.parent().expect("a parent")).expect("readable");
    let temporary =
        left.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().contains("kept.jsonl."));
    assert_eq!(temporary.count(), 0, "no temporary file is left");
}

const HEAD: &str = "version = 1\nabout = \"a test\"\n";
const CLIENT: &str = "\n[[client]]\nname = \"a\"\ncommands = [{ create_ticket = { ticket = \"t1\", price = 5 } }]\n";

#[test]
fn an_unknown_key_is_shown_at_its_place() {
    check_file(
        "unknown-key.toml",
        &format!("{HEAD}sede = 7\n{CLIENT}"),
        expect![[r#"
            error: unknown field `sede`, expected one of `version`, `about`, `system`, `seed`, `design`, `defects`, `scheduler`, `properties`, `schedule`, `allow`, `broker`, `services`, `messages`, `faults`, `workload`, `record`, `client`, `limits`, `expect`, `entry`
             --> unknown-key.toml:3:1
              |
            3 | sede = 7
              | ^^^^
              = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
    check_file(
        "unknown-broker-key.toml",
        &format!("{HEAD}{CLIENT}\n[broker]\nack_weight = [\"5s\"]\n"),
        expect![[r#"
            error: unknown field `ack_weight`, expected one of `profile`, `ordering`, `partitions`, `reorder_window`, `dispatch`, `max_in_flight`, `max_in_flight_of`, `stale_acks`, `ack_wait`, `redeliver_at`, `release_on_crash`, `nak`, `max_deliver`, `when_exhausted`, `dedup`, `sees`, `engine`, `order`, `window`, `window_of`, `wait`, `on_nak`, `on_loss`, `on_timeout`, `releases`, `notices_crash`, `exclusive`,
            `cumulative`, `stale`, `deliveries`, `then`, `naks`, `requeues_late`, `claims`, `copies`, `session`, `commits`, `rebalance`, `start`, `sharing`, `batch`, `timeout`, `retries`, `ordered`, `at_most_once`, `exactly_once`, `transactions`
             --> unknown-broker-key.toml:9:1
              |
            9 | ack_weight = ["5s"]
              | ^^^^^^^^^^
              = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
}

#[test]
fn a_wrong_type_is_shown_at_its_place() {
    check_file(
        "wrong-type.toml",
        &format!("{HEAD}seed = \"seven\"\n{CLIENT}"),
        expect![[r#"
        error: invalid type: string "seven", expected u64
         --> wrong-type.toml:3:8
          |
        3 | seed = "seven"
          |        ^^^^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
    check_file(
        "wrong-duration.toml",
        &format!("{HEAD}{CLIENT}\n[broker]\nack_wait = [\"5 parsecs\"]\n"),
        expect![[r#"
        error: `5 parsecs` is not a duration: write a number and a unit, for example "5s", "500ms" or "2m"
         --> wrong-duration.toml:9:12
          |
        9 | ack_wait = ["5 parsecs"]
          |            ^^^^^^^^^^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
}

#[test]
fn an_impossible_ratio_is_refused() {
    check_file(
        "ratio.toml",
        &format!("{HEAD}{CLIENT}\n[faults]\nduplicate = \"11/10\"\n"),
        expect![[r#"
        error: `11/10` is greater than 1: write a probability as `n/d` with n ≤ d, for example "1/20"
         --> ratio.toml:9:13
          |
        9 | duplicate = "11/10"
          |             ^^^^^^^
          = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
}

#[test]
fn an_unknown_name_gets_the_nearest_known_one() {
    check_file(
        "design.toml",
        &format!("{HEAD}design = \"coarse\"\n{CLIENT}"),
        expect![[r#"
            error: unknown design `coarse`
             --> design.toml:3:10
              |
            3 | design = "coarse"
              |          ^^^^^^^^
              = help: did you mean `course`? Known are reference, stage0, stage1, stage2, stage3, stage4, stage5, course, saga"#]],
    );
    check_file(
        "profile.toml",
        &format!("{HEAD}{CLIENT}\n[broker]\nprofile = \"kafca\"\n"),
        expect![[r#"
            error: unknown profile `kafca`
             --> profile.toml:9:11
              |
            9 | profile = "kafca"
              |           ^^^^^^^
              = help: did you mean `kafka`? Known are stan, adversarial, jetstream, jetstream-ack-all, jetstream-ordered, kafka, kafka-auto-commit, kafka-cooperative, kafka-retry-topics, kafka-transactions, kafka-share, rabbitmq-classic, rabbitmq-quorum, rabbitmq-quorum-3, rabbitmq-single-active, sqs-standard, sqs-fifo, sns, pubsub, pubsub-ordered, pubsub-exactly-once, redis-streams, servicebus,
                      servicebus-session, mqtt-qos0, mqtt-qos1, mqtt-qos1-clean, mqtt-qos2"#]],
    );
    check_file(
        "service.toml",
        &format!("{HEAD}{CLIENT}\n[services.shipping]\nmembers = 2\n"),
        expect![[r#"
            error: unknown service `shipping`
             --> service.toml:8:11
              |
            8 | [services.shipping]
              |           ^^^^^^^^
              = help: expected one of tickets, orders, expiration, payments"#]],
    );
    check_file(
        "property.toml",
        &format!("{HEAD}properties = [\"NoPoisson\"]\n{CLIENT}"),
        expect![[r#"
            error: unknown property `NoPoisson`
             --> property.toml:3:15
              |
            3 | properties = ["NoPoisson"]
              |               ^^^^^^^^^^^
              = help: did you mean `NoPoison`? Known are ReplicaIdentity, ReplicaNeverAhead, MonotoneReplica, PrefixConsistency, NoLostUpdate, SingleVersionAuthority, NoLockOverwrite, NoForeignRelease, NoEditWhileLocked, AtMostOneLiveOrder, AtMostOnePayment, ReservedBeforePaid, TerminalStatus, PublishedVersionsContiguous, EffectivelyOnce, AckOnlyAfterApply, PublishedOnce, NoPoison, BoundedRedelivery,
                      NoUnboundedGrowth, EventuallyExpires, TicketReplicaConverged, OrderReplicaConverged, ReservationAgreement, PaymentAgreement, PriceAgreement"#]],
    );
}

#[test]
fn a_record_that_nobody_creates_is_refused() {
    let order = "\n[[client]]\nname = \"b\"\ncommands = [{ create_order = { order = \"o1\", ticket = \"t2\" } }]\n";
    check_file(
        "record.toml",
        &format!("{HEAD}{CLIENT}{order}"),
        expect![[r#"
        error: no command creates `t2`
          --> record.toml:10:13
           |
        10 | commands = [{ create_order = { order = "o1", ticket = "t2" } }]
           |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = help: created are t1"#]],
    );
    check_file(
        "twice.toml",
        &format!("{HEAD}{CLIENT}{}", CLIENT.replace("\"a\"", "\"b\"")),
        expect![[r#"
        error: `t1` is created twice
          --> twice.toml:10:13
           |
        10 | commands = [{ create_ticket = { ticket = "t1", price = 5 } }]
           |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           = help: give it another number"#]],
    );
    check_file(
        "kind.toml",
        &format!("{HEAD}{}", CLIENT.replace("t1", "o1")),
        expect![[r#"
            error: `o1` cannot be used here: tickets are named `t1`, `t2`, …
             --> kind.toml:6:42
              |
            6 | commands = [{ create_ticket = { ticket = "o1", price = 5 } }]
              |                                          ^^^^
              = help: see docs/scenarios.md for what a scenario file may say"#]],
    );
}

#[test]
fn a_departure_that_cannot_be_is_refused() {
    let schedule = |departure: &str| format!("{HEAD}schedule = [\"{departure}\"]\n{CLIENT}");
    check_file(
        "form.toml",
        &schedule("delay ticket:created t1@0 -> orders"),
        expect![[r#"
            error: `delay ticket:created t1@0 -> orders` is no departure
             --> form.toml:3:13
              |
            3 | schedule = ["delay ticket:created t1@0 -> orders"]
              |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = help: expected `hold H until X`, `hold join of GROUP until X`, `pause H until X`, `pause await N of H until X`, `duplicate D`, `lose D`, `lose ack of D`, `delay ack of D until X`, `run past ack wait of D`, `slow publish of H until X`, `crash SERVICE before save|between saves|before publish|before ack|after ack of T`, `fetch N with D`, `rebalance|reconnect|close|cancel after D`, `claim D`,
                      `commit ahead of D`, `restart broker|rewind|truncate log|compact log|expire log|forget counts|redrive dead letters after D`, `forget ack of D`, `publish twice T`, `stale answer to T` or `no answer to T`, where D is a delivery like `item:changed i1@2 -> search #1`, H is D or a command like `seller: change i1 to 6`, T is H or a timer like `timer i1 of shop`, X is T, `pause of H`, `await N
                      of H`, `start of H`, `publish of H`, `ack of D`, `ack wait of D`, `join of GROUP` or `quiescence`"#]],
    );
    check_file(
        "subject.toml",
        &schedule("lose ack of ticket:create t1@0 -> orders"),
        expect![[r#"
            error: unknown subject `ticket:create`
             --> subject.toml:3:13
              |
            3 | schedule = ["lose ack of ticket:create t1@0 -> orders"]
              |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = help: did you mean `ticket:created`? Known are order:created, order:cancelled, ticket:created, ticket:updated, expiration:complete, payment:created, order:reserved, order:completed, refund:requested"#]],
    );
    check_file(
        "group.toml",
        &schedule("lose ack of ticket:created t1@0 -> order"),
        expect![[r#"
            error: unknown group `order`
             --> group.toml:3:13
              |
            3 | schedule = ["lose ack of ticket:created t1@0 -> order"]
              |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = help: did you mean `orders`? Known are tickets, orders"#]],
    );
    check_file(
        "nobody.toml",
        &schedule("lose ack of ticket:created t7@0 -> orders"),
        expect![[r#"
        error: no command creates `t7`
         --> nobody.toml:3:13
          |
        3 | schedule = ["lose ack of ticket:created t7@0 -> orders"]
          |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          = help: created are t1"#]],
    );
}

#[test]
fn a_result_that_rests_on_what_did_not_happen_is_not_green() {
    let text = format!("{HEAD}schedule = [\"lose ack of ticket:updated t1@9 -> orders\"]\n{CLIENT}");
    let path = temp("unused.toml", text.as_bytes()).display().to_string();
    let told = "     Vacuous unused-departure lose ack of ticket:updated t1@9 -> orders: `ticket:updated t1@9 -> orders` \
                never came\n";
    for verb in ["run", "replay"] {
        let ran = pellmell(&[verb, &path]);
        assert!(ran.stdout.contains("HELD") && ran.stdout.contains(told), "{}", ran.stdout);
        assert_eq!(ran.code, 4, "{verb}");
        let allow = ["unused-departure", "unused-departure lose ack of ticket:updated t1@9 -> orders"];
        for allow in allow {
            let ran = pellmell(&[verb, &path, "--allow", allow]);
            assert_eq!((ran.code, ran.stdout.contains("Vacuous")), (0, false), "{verb} {allow}: {}", ran.stdout);
        }
        let ran = pellmell(&[verb, &path, "--allow", "ended-early"]);
        assert_eq!(ran.code, 4, "another kind");
        let ran = pellmell(&[verb, &path, "--message-format", "json"]);
        let found =
            "\"kind\":\"unused-departure\",\"name\":\"lose ack of ticket:updated t1@9 -> orders\",\"note\":false";
        assert!(ran.stdout.contains(found) && ran.code == 4, "{}", ran.stdout);
    }
    let ran = pellmell(&["run", &path, "--allow", "unused"]);
    assert!(ran.code == 2 && ran.stderr.contains("`unused` is no kind"), "{}", ran.stderr);
    let allowed = temp("allowed.toml", text.replace("schedule", "allow = [\"unused-departure\"]\nschedule").as_bytes());
    assert_eq!(pellmell(&["run", &allowed.display().to_string()]).code, 0);
}

#[test]
fn a_fault_that_cannot_happen_is_said_by_check_and_sweep_and_bounds_nothing() {
    let text = format!("{HEAD}{CLIENT}[faults]\npause = \"1/1\"\n");
    let path = temp("idle.toml", text.as_bytes()).display().to_string();
    let told = "idle-fault pause: no service has several members or `overlapping = true`\n";
    let ran = pellmell(&["check", &path]);
    assert!(ran.code == 0 && ran.stdout.contains(&format!("Vacuous {told}")), "{}", ran.stdout);
    let ran = pellmell(&["sweep", &path, "--seeds", "0..20"]);
    assert!(ran.code == 0 && ran.stdout.contains(&format!("Note {told}")), "{}", ran.stdout);
    assert!(ran.stdout.contains("Bound none: idle-fault pause never happened"), "{}", ran.stdout);
    let ran = pellmell(&["sweep", &path, "--seeds", "0..20", "--strict"]);
    assert!(ran.code == 1 && ran.stdout.contains("Strict 1 thing asked for did not happen"), "{}", ran.stdout);
    let ran = pellmell(&["sweep", &path, "--seeds", "0..20", "--strict", "--allow", "idle-fault pause"]);
    assert!(ran.code == 0 && !ran.stdout.contains("idle-fault"), "{}", ran.stdout);
    let ran = pellmell(&["sweep", &path, "--seeds", "0..20", "--message-format", "json"]);
    assert!(ran.stdout.contains("\"kind\":\"idle-fault\",\"name\":\"pause\""), "{}", ran.stdout);
    let ran = pellmell(&["exhaust", &path, "--pauses", "1"]);
    assert!(ran.code == 4 && ran.stdout.contains("Vacuous idle-fault pauses: no service"), "{}", ran.stdout);
    assert_eq!(pellmell(&["exhaust", &path]).code, 0);
}

#[test]
fn what_is_no_scenario_at_all_is_refused_without_a_panic() {
    check_file(
        "empty.toml",
        "",
        expect![[r#"
        error: missing field `version`
         --> empty.toml:1:1
          |
        1 |
          | ^
          = help: the file is empty: a scenario begins with `version = 1`"#]],
    );
    check_file(
        "no-clients.toml",
        HEAD,
        expect![[r#"
        error: the scenario has no clients
         --> no-clients.toml:1:1
          |
        1 | version = 1
          | ^
          = help: add a [[client]] with commands, or a [workload]"#]],
    );
    check_file(
        "future.toml",
        &format!("version = 2\nabout = \"x\"\n{CLIENT}"),
        expect![[r#"
        error: unknown format version 2
         --> future.toml:1:11
          |
        1 | version = 2
          |           ^
          = help: this version of pellmell reads `version = 1`"#]],
    );
    for (name, content) in [
        ("binary.toml", &b"\x00\xff\xfe\x7fELF\x02\x01"[..]),
        ("binary.jsonl", b"\x00\xff\xfe\x7fELF\x02\x01"),
        ("empty.jsonl", b""),
        ("half.jsonl", b"{\"format\":\"pellmell-trace\",\"ver"),
        ("other.jsonl", b"{\"hello\":1}\n"),
        ("cut.toml", b"a="),
        ("nested.toml", "[".repeat(100_000).as_bytes()),
    ] {
        let path = temp(name, content);
        for verb in ["check", "run", "replay", "sweep"] {
            let ran = pellmell(&[verb, &path.display().to_string()]);
            assert_eq!(ran.code, 2, "{verb} {name}: {}", ran.stderr);
            assert!(ran.stderr.contains(&format!("{name}:1:")), "{verb} {name}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_file_of_100_megabytes_is_refused_and_not_read() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("huge.toml");
    let file = std::fs::File::create(&path).expect("a temporary file");
    // Sparse: it takes no space.
    file.set_len(100 << 20).expect("a file of 100 MB");
    let ran = pellmell(&["run", &path.display().to_string()]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the file is larger than 1 MiB"), "{}", ran.stderr);
}

#[test]
fn a_truncated_trace_is_refused() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("truncated.jsonl");
    let name = path.display().to_string();
    pellmell(&["run", "scenarios/one-lost-ack.toml", "--trace", &name]);
    let text = std::fs::read_to_string(&path).expect("a trace");
    for keep in [text.len() - 2, text.len() / 2, 200, 20] {
        std::fs::write(&path, &text[..keep]).expect("the trace can be cut");
        let ran = pellmell(&["replay", &name]);
        assert_eq!(ran.code, 2, "cut at {keep}: {}", ran.stdout);
    }
}

#[test]
fn a_trace_replays_with_the_properties_and_limits_it_was_made_with() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flags.jsonl");
    let name = path.display().to_string();
    let flags = ["--property", "NoPoison", "--max-steps", "5", "--trace", &name];
    let run = ["run", "scenarios/missing-update-event.toml"];
    assert_eq!(pellmell(&[&run[..], &flags[..]].concat()).code, 1);
    let same = pellmell(&["replay", &name]);
    assert!(same.stdout.contains("Same 5 steps"), "{}", same.stdout);
    assert_eq!(same.code, 1);
}

#[test]
fn a_trace_of_a_design_that_is_gone_is_stale() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stale.jsonl");
    let name = path.display().to_string();
    pellmell(&["run", "scenarios/one-lost-ack.toml", "--trace", &name]);
    let text = std::fs::read_to_string(&path).expect("a trace");
    std::fs::write(&path, text.replace("\"design\":\"course\"", "\"design\":\"curse\"")).expect("writable");
    let ran = pellmell(&["replay", &name]);
    assert!(ran.stderr.contains("the trace's design `curse` does not exist any more"), "{}", ran.stderr);
    assert_eq!(ran.code, 3);
}

#[test]
fn what_would_have_no_effect_is_refused() {
    check_file(
        "most.toml",
        &format!("{HEAD}{CLIENT}\n[faults]\ncrash_most = 1\n"),
        expect![[r#"
            error: a number of times needs a probability beside it
             --> most.toml:9:14
              |
            9 | crash_most = 1
              |              ^
              = help: mend the file, and type the same again"#]],
    );
    check_file(
        "both.toml",
        &format!(
            "{HEAD}schedule = [\"duplicate ticket:created t1@0 -> orders\"]\n{CLIENT}\n[faults]\nlose_ack = \"1/2\"\n"
        ),
        expect![[r#"
            error: faults have no effect beside a `schedule`
             --> both.toml:9:1
              |
            9 | [faults]
              | ^^^^^^^^
              = help: leave one of them out: a schedule says itself what goes wrong"#]],
    );
    check_file(
        "exhausted.toml",
        &format!("{HEAD}{CLIENT}\n[broker]\nwhen_exhausted = \"drop\"\n"),
        expect![[r#"
            error: `when_exhausted` goes with `max_deliver`
             --> exhausted.toml:9:18
              |
            9 | when_exhausted = "drop"
              |                  ^^^^^^
              = help: mend the file, and type the same again"#]],
    );
}

#[test]
fn a_defect_is_shown_with_what_catches_it_and_the_shortest_way() {
    check(
        &["zoo", "DoubleCharge", "--threads", "1"],
        0,
        expect![[r#"
            $ pellmell zoo DoubleCharge --threads 1
                 Playing 1 defect of the design reference, 20 tries each
            defect             heading                 property expected  caught by         weakest   schedules  departures  shortest  known  scenario
            Z29  DoubleCharge  Time for Listeners, G6  AtMostOnePayment   AtMostOnePayment  lockstep         17           0     2d/4c  2d/4c  scenarios/zoo/paid.toml

                  Defect DoubleCharge: an order can be paid twice
                Shortest 2d/4c under delivery in any order

            step       t │ tickets                             │ orders                           │ payments                            │
               1 +0.001s │ seller: create t1 at 5 ✓ saves t1@0 │                                  │                                     │
               2 +0.001s │                                     │ ticket:created t1@0 ✓ saves t1@0 │                                     │
               3 +0.002s │                                     │ ann: order t1 as o1 ✓ saves o1@0 │                                     │
               4 +0.002s │                                     │                                  │ order:created o1@0 ✓ saves o1@0     │ ≠ calm: deliver order:created o1@0 -> tickets #1
               5 +0.003s │                                     │                                  │ ann-pays: pay o1 as p1 ✓ saves p1@0 │ ≠ calm: as above
               6 +0.004s │                                     │                                  │ ann-pays: pay o1 as p2 ✓ saves p2@0 │ ≠ calm: as above

                VIOLATED AtMostOnePayment at payments, p2: o1 was charged 2 times
                   Drawn the first schedule that shows it, shrunk to what is needed
                  Needed `seller: create t1 at 5`: without it every property holds
                  Needed `ann: order t1 as o1`: without it every property holds
                  Needed `ann-pays: pay o1 as p1`: without it every property holds
                  Needed `ann-pays: pay o1 as p2`: without it every property holds
            ────────────
                 Summary 1 defect: 1 caught, 1 as short as known; canary caught; 0 false alarms in 3 worlds
                         departures: of a drawn schedule, shrunk; shortest, known: deliveries and commands; * names the fault too, and sees it first"#]],
    );
}

#[test]
fn a_defect_that_does_not_exist_is_refused() {
    let ran = pellmell(&["zoo", "Nessie"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("[possible values: ReplicaOwnId, BlindApply"), "{}", ran.stderr);
}

#[test]
fn a_zoo_looks_where_it_is_told_and_a_file_that_is_none_or_shows_nothing_is_not_green() {
    let missing = pellmell(&["zoo", "DoubleCharge", "--scenario", "scenarios/zoo/piad.toml"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""));
    assert!(missing.stderr.contains("help: did you mean scenarios/zoo/paid.toml?"), "{}", missing.stderr);
    let nothing = pellmell(&["zoo", "DoubleCharge", "--scenario", "scenarios/zoo/timed.toml", "--tries", "1"]);
    let missed = "FAILED DoubleCharge in scenarios/zoo/timed.toml: nothing catches it";
    assert!(nothing.code == 1 && nothing.stdout.contains(missed), "{}", nothing.stdout);
    assert!(nothing.stdout.contains("1 defect: 0 caught, 0 as short as known"), "{}", nothing.stdout);
}

#[test]
fn a_failing_seed_is_shrunk_to_a_scenario_that_fails_in_the_same_way() {
    check(
        &["shrink", "scenarios/price-5-10-15.toml", "--design", "course", "--seed", "12"],
        0,
        expect![[r#"
            $ pellmell shrink scenarios/price-5-10-15.toml --design course --seed 12
                  Shrunk price-5-10-15 seed 12 from 1,722 steps, 1,377 departures, 600 commands to 5 steps, 1 departure, 2 commands in 34 executions
                 Departs duplicate ticket:updated t102@1 -> orders

            step       t │ tickets                                     │ orders                                                         │
               1 +0.001s │ seller-102: create t102 at 5 ✓ saves t102@0 │                                                                │
               2 +0.001s │                                             │ [1] ticket:created t102@0 ✓ saves t102@0                       │
               3 +0.002s │ seller-102: edit t102 to 10 ✓ saves t102@1  │                                                                │
               4 +0.002s │                                             │ [2] ticket:updated t102@1 ✓ saves t102@1                       │ ◀ duplicated
               5 +0.002s │                                             │ [3] ticket:updated t102@1 #2 ✗ the version before is not there │

                  record │ tickets               │ orders      │
                    t102 │ v1 lock free price 10 │ v1 price 10 │

                VIOLATED NoPoison   step 5, t = +0.002s
                         at orders, t102, ticket:updated t102@1: still unacked: ticket:updated t102@1 -> orders #2 after 1 attempt, redelivery changes nothing
                  Needed `duplicate ticket:updated t102@1 -> orders`: without it every property holds
                  Needed `seller-102: create t102 at 5`: the rest names it or what it creates
                  Needed `seller-102: edit t102 to 10`: without it every property holds
                    Keep pellmell shrink scenarios/price-5-10-15.toml --design course --seed 12 --write FILE
            ────────────
            version = 1
            about = "Shrunk from price-5-10-15, seed 12: violates NoPoison."
            design = "course"
            schedule = [
                "duplicate ticket:updated t102@1 -> orders",
            ]

            [broker]
            profile = "stan"
            ack_wait = ["5s"]

            [services.orders]
            members = 4

            [[client]]
            name = "seller-102"
            commands = [
                { create_ticket = { ticket = "t102", price = 5 } },
                { edit_ticket = { ticket = "t102", price = 10 } },
            ]

            [expect]
            course = "violated NoPoison""#]],
    );
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shrunk.toml");
    let written = path.display().to_string();
    let ran =
        pellmell(&["shrink", "scenarios/g02-cancel-overtakes-create.toml", "--design", "course", "--write", &written]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains(&format!("Reproduce pellmell run {written}")), "{}", ran.stdout);
    let text = std::fs::read_to_string(&path).expect("a scenario file");
    assert!(ran.stdout.ends_with(&text), "{}", ran.stdout);
    let ran = pellmell(&["run", &written]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("Expected violated ReservationAgreement under course"), "{}", ran.stdout);
}

#[test]
fn a_seed_that_holds_is_not_shrunk_and_the_next_command_is_said() {
    check(
        &["shrink", "scenarios/price-5-10-15.toml", "--seed", "3"],
        4,
        expect![[r#"
        $ pellmell shrink scenarios/price-5-10-15.toml --seed 3
                HELD price-5-10-15 seed 3: the run holds: there is nothing to shrink
                Next pellmell sweep scenarios/price-5-10-15.toml --design reference --seeds 0..1000"#]],
    );
}

#[test]
fn a_shrunk_run_is_json_on_request() {
    check(
        &["shrink", "scenarios/one-lost-ack.toml", "--message-format", "json"],
        0,
        expect![[r#"
            $ pellmell shrink scenarios/one-lost-ack.toml --message-format json
            {"anchors":[],"because":[{"item":"lose ack of ticket:created t1@0 -> orders","without":"held"},{"item":"alice: create t1 at 5","without":null}],"before":{"commands":1,"departures":1,"steps":4},"commands":1,"departures":["lose ack of ticket:created t1@0 -> orders"],"executions":8,"minimal":true,"reason":"shrink","scenario":"one-lost-ack","seed":0,"signature":"NoPoison at orders of t on ticket:created","steps":4,"toml":"version = 1\nabout = \"Shrunk from one-lost-ack, seed 0: violates NoPoison.\"\ndesign = \"course\"\nschedule = [\n    \"lose ack of ticket:created t1@0 -> orders\",\n]\n\n[broker]\nprofile = \"stan\"\nack_wait = [\"5s\"]\n\n[[client]]\nname = \"alice\"\ncommands = [\n    { create_ticket = { ticket = \"t1\", title = \"concert\", price = 5 } },\n]\n\n[expect]\ncourse = \"violated NoPoison\"\n","verdict":"violated"}"#]],
    );
}
