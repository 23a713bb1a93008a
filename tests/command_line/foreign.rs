//! Recordings of other tools, as a person holds them against a profile: what is said, what a scenario plays, and what
//! is refused.
#![cfg(unix)]

use std::path::Path;

use expect_test::{Expect, expect};
use pellmell::foreign::{Foreign, Mapping};

use super::robustness::folder::{Folder, Ran};

/// A file of the recordings that are kept.
fn kept(name: &str) -> String {
    let path = Path::new("tests/recordings/foreign").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// A folder with these of the files that are kept.
fn folder(name: &str, files: &[&str]) -> Folder {
    let folder = Folder::new(&format!("foreign-{name}"));
    files.iter().for_each(|file| folder.write(file, kept(file)));
    folder
}

fn admit(folder: &Folder, line: &str) -> Ran {
    folder.pellmell(line.split(' '))
}

#[track_caller]
fn says(folder: &Folder, line: &str, code: i32, expected: &Expect) {
    let ran = admit(folder, line).ends(code);
    expected.assert_eq(&format!("$ pellmell {line}\n{}{}", ran.stdout, ran.stderr));
}

#[test]
fn events_of_jetstream_are_a_recording_of_the_server_and_unanswered_deliveries_are_found_by_their_numbers() {
    let wait = "jetstream-2.15.1-ack-wait.events.jsonl";
    let folder = folder("jetstream", &[wait, "jetstream.toml"]);
    says(
        &folder,
        &format!("admit {wait} --map jetstream.toml"),
        0,
        &expect![[r#"
            $ pellmell admit jetstream-2.15.1-ack-wait.events.jsonl --map jetstream.toml
                Admitted jetstream-2.15.1-ack-wait.events.jsonl under jetstream: 14 lines, at most 31 states at a time
                    Note not answered by anybody: 1 delivery without an event
                    Note in the stream from the beginning: 4 messages
                    Note who got them is not in the events: all go to `consumer`
                 Assumed before line 3: the message that is not known: consumer gets 2 (delivery 1)
                 Assumed before line 5: the wait for 2 ends
                 Departs lose ack of ticket:updated t1@1 -> orders
        "#]],
    );
    // With the wait that JetStream has unless told otherwise, the message came again far too early.
    says(
        &folder,
        &format!("admit {wait}"),
        1,
        &expect![[r#"
            $ pellmell admit jetstream-2.15.1-ack-wait.events.jsonl
                 Refused impossible under jetstream; nothing could be seen here
             --> jetstream-2.15.1-ack-wait.events.jsonl:5:1
              |
            5 | {"type":"io.nats.jetstream.metric.v1.consumer_ack","id":"f0PlUWeA2pNV04dex8GdmV","timestamp":"…
              | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                    Note not answered by anybody: 1 delivery without an event
                    Note in the stream from the beginning: 4 messages
                    Note who got them is not in the events: all go to `consumer`
        "#]],
    );
}

#[test]
fn each_file_of_events_is_possible_for_a_consumer_that_is_set_up_so() {
    for (name, set, told) in [
        ("ack-wait", "window=1000", "the wait for 2 ends"),
        ("ack-wait-window-1", "window=1", "consumer gets 1 (delivery 1)"),
        ("late-ack", "window=1000", "the wait for 1 ends"),
        ("nak", "window=1000", "in the stream from the beginning: 4 messages"),
        ("term-window-1", "window=1", "in the stream from the beginning: 3 messages"),
        ("max-deliver", "deliveries=2 --set wait=[\"500ms\"]", "2 is given up"),
    ] {
        let file = format!("jetstream-2.15.1-{name}.events.jsonl");
        let folder = folder(&format!("events-{name}"), &[&file, "jetstream.toml"]);
        let ran = admit(&folder, &format!("admit {file} --map jetstream.toml --set {set}")).ends(0);
        assert!(ran.stdout.contains("Admitted") && ran.stdout.contains(told), "{name}: {}", ran.stdout);
    }
    // A window of one lets nothing pass a message that is not answered.
    let wait = "jetstream-2.15.1-ack-wait.events.jsonl";
    let folder = folder("events-window", &[wait, "jetstream.toml"]);
    admit(&folder, &format!("admit {wait} --map jetstream.toml --set window=1")).ends(1);
}

#[test]
fn spans_of_hosts_whose_clocks_differ_are_explained_by_departures_that_a_scenario_plays() {
    let files = ["orders.otlp.json", "orders.toml", "orders-scenario.toml"];
    let folder = folder("spans", &files);
    let line = "admit orders.otlp.json --profile jetstream --map orders.toml";
    says(
        &folder,
        &format!("{line} --scenario orders-scenario.toml --write found.toml"),
        0,
        &expect![[r#"
            $ pellmell admit orders.otlp.json --profile jetstream --map orders.toml --scenario orders-scenario.toml --write found.toml
                Admitted orders.otlp.json under jetstream: 9 lines, at most 6 states at a time
                    Note left out: 1 span without a messaging operation
                    Note members are there from the beginning: orders-a
                    Note the clocks of 2 hosts are taken to agree within 10ms
                    Note what members say is taken to arrive within 50ms, if it arrives
                 Assumed before line 69: orders-a acks eee19b7ec3c1b174 (delivery 1), and that is lost
                 Assumed before line 81: the wait for eee19b7ec3c1b174 ends, so its ack in line 57 was lost or late
                 Departs lose ack of ticket:created t1@0 -> orders
                   Wrote found.toml
                    Next pellmell run found.toml
        "#]],
    );
    expect![[r##"
        # Explains a recording.
        version = 1
        about = "A ticket and a change of it, which orders hears of."
        design = "course"
        schedule = [
            "lose ack of ticket:created t1@0 -> orders",
        ]

        [[client]]
        name = "alice"
        commands = [
            { create_ticket = { ticket = "t1", title = "concert", price = 10 } },
            { edit_ticket = { ticket = "t1", price = 20 } },
        ]

        [broker]
        profile = "jetstream"
    "##]]
    .assert_eq(&folder.read("found.toml"));
    let ran = admit(&folder, "run found.toml").ends(1);
    let steps: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(" │ ")).collect();
    expect![[r#"
        steps:
        step        t │ tickets                             │ orders                                 │
           1  +0.001s │ alice: create t1 at 10 ✓ saves t1@0 │                                        │
           2  +0.001s │                                     │ ticket:created t1@0 ✓ saves t1@0       │ ◀ ack lost
           3  +0.002s │ alice: edit t1 to 20 ✓ saves t1@1   │                                        │
           4  +0.002s │                                     │ ticket:updated t1@1 ✓ saves t1@1       │
           5 +30.001s │ clock: ack wait of ticket:created t1@0 -> orders #1 ends
           6 +30.001s │                                     │ ticket:created t1@0 #2 ✗ duplicate key │
              record │ tickets               │ orders      │
                  t1 │ v1 lock free price 20 │ v1 price 20 │
    "#]]
    .assert_eq(&format!("steps:\n{}\n", steps.join("\n")));
    // How the broker was set up is part of what happened. SNS gives up what fails four times, and Kafka sends again
    // because the connection broke, which no departure says: so those two hold.
    for (profile, set, broker, code) in [
        ("jetstream", "window=10", "profile = \"jetstream\"\nwindow = 10\n", 1),
        ("jetstream", "stale=reject", "profile = \"jetstream\"\nstale = \"reject\"\n", 1),
        ("sqs-standard", "wait=[\"20s\"]", "profile = \"sqs-standard\"\nwait = [\"20s\"]\n", 1),
        ("sqs-standard", "window=10", "profile = \"sqs-standard\"\nwindow = 10\n", 1),
        ("kafka", "session=\"20s\"", "profile = \"kafka\"\nsession = \"20s\"\n", 0),
        ("sns", "retries=[\"1s\",\"2s\"]", "profile = \"sns\"\nretries = [\"1s\",\"2s\"]\n", 0),
        ("sns", "timeout=null", "profile = \"sns\"\n# timeout is not set, which scenarios cannot say.\n", 0),
    ] {
        let line = format!("admit orders.otlp.json --profile {profile} --map orders.toml --set {set}");
        admit(&folder, &format!("{line} --scenario orders-scenario.toml --write set.toml")).ends(0);
        let written = folder.read("set.toml");
        assert_eq!(written.split("[broker]\n").nth(1), Some(broker), "{profile} with {set}");
        admit(&folder, "run set.toml").ends(code);
    }
    // A stub says what the commands have to publish.
    admit(&folder, &format!("{line} --write stub.toml")).ends(0);
    expect![[r##"
        # Explains a recording.
        version = 1
        about = "Explains orders.otlp.json."
        schedule = [
            "lose ack of ticket:created t1@0 -> orders",
        ]

        [broker]
        profile = "jetstream"

        # Write the commands that publish:
        #   ticket:created t1@0
        #   ticket:updated t1@1
        [[client]]
        name = "client"
        commands = []
    "##]]
    .assert_eq(&folder.read("stub.toml"));
    // The clocks cannot be as exact as that.
    folder.write("exact.toml", folder.read("orders.toml").replace("10ms", "1ms"));
    says(
        &folder,
        &line.replace("orders.toml", "exact.toml"),
        1,
        &expect![[r#"
            $ pellmell admit orders.otlp.json --profile jetstream --map exact.toml
                 Refused impossible under jetstream; nothing could be seen here
              --> orders.otlp.json:57:13
               |
            57 |             {
               |             ^
                    Note left out: 1 span without a messaging operation
                    Note members are there from the beginning: orders-a
                    Note the clocks of 2 hosts are taken to agree within 1ms
                    Note what members say is taken to arrive within 50ms, if it arrives
        "#]],
    );
}

#[test]
fn a_settlement_that_failed_may_have_arrived_and_a_handler_that_failed_may_have_refused() {
    let span = |name: &str, operation: &str, start: u32, status: &str| {
        format!(
            "{{\"traceId\":\"t\",\"spanId\":\"{name}-{operation}-{start}\",\"startTimeUnixNano\":\"{start}000000\",\
             \"endTimeUnixNano\":\"{}000000\",\"status\":{{{status}}},\"attributes\":[\
             {{\"key\":\"messaging.operation.type\",\"value\":{{\"stringValue\":\"{operation}\"}}}},\
             {{\"key\":\"messaging.operation.name\",\"value\":{{\"stringValue\":\"ack\"}}}},\
             {{\"key\":\"messaging.message.id\",\"value\":{{\"stringValue\":\"{name}\"}}}}]}}",
            start + 1
        )
    };
    let told = |spans: &[String]| {
        let text = format!("{{\"resourceSpans\":[{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}", spans.join(","));
        let folder = Folder::new("foreign-answers");
        folder.write("map.toml", "gaps = []\n[set]\nwindow = 1\n");
        folder.write("spans.json", text);
        let ran = admit(&folder, "admit spans.json --profile rabbitmq-quorum --map map.toml");
        ran.stdout
            .lines()
            .find(|line| line.contains("A") && !line.contains("Note"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let all = |status: &str, next: &str| {
        told(&[
            span("1", "send", 1, ""),
            span("2", "send", 2, ""),
            span("1", "process", 3, status),
            span(next, "process", 9, ""),
        ])
    };
    assert!(all("", "2").starts_with("Admitted"));
    assert!(!all("", "1").starts_with("Admitted"));
    assert!(all("\"code\":2", "1").starts_with("Admitted"));
    assert!(!all("\"code\":\"STATUS_CODE_ERROR\"", "2").starts_with("Admitted"));
    let settled = |status: &str, next: &str| {
        told(&[
            span("1", "send", 1, ""),
            span("2", "send", 2, ""),
            span("1", "process", 3, ""),
            span("1", "settle", 5, status),
            span(next, "process", 9, ""),
        ])
    };
    assert!(settled("", "2").starts_with("Admitted") && settled("\"code\":2", "2").starts_with("Admitted"));
}

#[test]
fn what_is_damaged_or_not_known_ends_with_2_and_its_place() {
    let nak = kept("jetstream-2.15.1-nak.events.jsonl");
    let spans = kept("orders.otlp.json");
    let backwards: String = nak.lines().rev().map(|line| format!("{line}\n")).collect();
    let folder = Folder::new("foreign-bad");
    let cases: &[(&str, String, &str, &str)] = &[
        ("empty.jsonl", String::new(), "1:1", "this is no recording: expected a first line"),
        ("text.jsonl", "hello\n".to_owned(), "1:1", "expected value"),
        ("raw.jsonl", format!("[#1] Received on \"$JS\"\n{nak}"), "1:2", "record with `nats sub --raw"),
        ("newer.jsonl", nak.replace("metric.v1", "metric.v2"), "2:1", "another version of the event: expected"),
        ("key.jsonl", nak.replace("\"ack_time\"", "\"colour\""), "2:", "unknown field `colour`, expected one of"),
        ("back.jsonl", backwards, "2:1", "this event is before the last one"),
        ("lacks.jsonl", nak.replace("\"deliveries\":1", "\"reason\":\"\""), "2:1", "needs `deliveries`"),
        ("time.jsonl", nak.replace("43:38.91", "43:98.91"), "3:1", "is no moment"),
        ("big.jsonl", nak.replace("\"consumer_seq\":5", "\"consumer_seq\":99999999"), "6:1", "are too many"),
        ("two.jsonl", nak.replacen("workers", "others", 2), "1:1", "the file has several: consumer others, workers"),
        ("cut.json", spans[..3000].to_owned(), "64:", "expected OTLP in JSON"),
        ("deep.json", format!("{{\"resourceSpans\":{}", "[".repeat(200_000)), "1:", "expected OTLP in JSON"),
        (
            "operation.json",
            spans.replace("\"process\"", "\"handle\""),
            "62:78",
            "[operations] \"handle\" = \"process\"",
        ),
        ("nano.json", spans.replacen("225000000000", "x", 1), "16:15", "nanoseconds since 1970"),
        ("links.json", spans.replace("\"links\"", "\"lynx\""), "62:25", "[attributes] message = [\"...\"]"),
        ("end.json", spans.replacen("1796028225002000000", "1", 1), "16:59", "this span ends before it begins"),
        ("field.json", spans.replace("\"traceId\": \"00000", "\"trace\": \"00000"), "68:13", "missing field `traceId`"),
        ("none.json", spans.replace("\"process\"", "\"create\""), "104:1", "no span says that a message was received"),
    ];
    for (name, text, place, said) in cases {
        folder.write(name, text);
        let ran = admit(&folder, &format!("admit {name} --profile jetstream")).ends(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains(&format!("{name}:{place}")), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{name}: {}", ran.stderr);
    }
    admit(&folder, "admit . --profile jetstream").ends(2);
    let long = format!("{{\"recording\":1}}\n{{\"ms\":0,\"publish\":\"{}\",\"colour\":1}}\n", "x".repeat(1 << 20));
    folder.write("long.jsonl", long);
    let ran = admit(&folder, "admit long.jsonl --profile stan").ends(2);
    assert!(ran.stderr.contains("long.jsonl:2:10486") && ran.stderr.len() < 2_000, "{}", ran.stderr);
}

#[test]
fn a_mapping_file_that_says_what_is_not_ends_with_2_and_its_place() {
    let folder = folder("maps", &["orders.otlp.json"]);
    for (text, said) in [
        ("destinatoin = \"x\"\n", "map.toml:1:1"),
        ("tolerance = 5\n", "expected a number and a unit in quotes"),
        ("[answers]\nfoo = \"bar\"\n", "map.toml:2:7"),
        ("destination = \"tikets\"\n", "did you mean `tickets`?"),
        ("[set]\nwindow = 0\n", "map.toml:2:1"),
        ("[set]\nsharing = \"owned\"\n", "sqs-fifo, pubsub-ordered, servicebus-session have it"),
    ] {
        folder.write("map.toml", text);
        let ran = admit(&folder, "admit orders.otlp.json --profile jetstream --map map.toml").ends(2);
        assert!(ran.stderr.contains(said), "{text}: {}", ran.stderr);
    }
    admit(&folder, "admit orders.otlp.json").ends(2);
    folder.write("map.toml", "");
    let line = "admit orders.otlp.json --profile jetstream --map map.toml --write found.toml";
    let ran = admit(&folder, line).ends(2);
    assert!(ran.stderr.contains("it is not known how scenarios call eee19b7ec3c1b174"), "{}", ran.stderr);
    let ran = admit(&folder, "admit orders.otlp.json --profile jetstream --write orders.otlp.json").ends(2);
    assert!(ran.stderr.contains("orders.otlp.json is the file that is read"), "{}", ran.stderr);
}

#[test]
fn no_damage_to_a_file_makes_the_reader_panic() {
    for name in ["orders.otlp.json", "jetstream-2.15.1-max-deliver.events.jsonl"] {
        let text = kept(name);
        let mapping = Mapping::default();
        let changes = [("\"", ""), ("1", "9999999999"), (":", ","), ("0", "\u{e9}"), ("{", "[")];
        for at in (0..text.len()).step_by(53) {
            let _ = Foreign::parse(name, &text[..at], &mapping);
            for (from, to) in changes {
                let changed = format!("{}{}", &text[..at], text[at..].replacen(from, to, 1));
                let _ = Foreign::parse(name, &changed, &mapping);
            }
        }
    }
}
