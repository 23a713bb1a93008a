//! `admit`, `profiles` and `zoo --profiles`, as a person runs them.

use std::process::Command;

/// Runs the binary with these words; gives its exit code, stdout and stderr.
fn pellmell(line: &str) -> (i32, String, String) {
    // Lines so wide that none is broken, but for the table of profiles.
    let columns = if line.contains("--profiles") { "60" } else { "400" };
    let mut pellmell = Command::new(env!("CARGO_BIN_EXE_pellmell"));
    let ran = pellmell.args(line.split(' ')).env("COLUMNS", columns).output().expect("pellmell runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (ran.status.code().expect("an exit code"), text(ran.stdout), text(ran.stderr))
}

/// Runs lines and compares exit codes and parts of what is printed.
#[track_caller]
fn check(cases: &[(&str, i32, &[&str])]) {
    for (line, code, said) in cases {
        let (ended, out, err) = pellmell(line);
        assert_eq!(ended, *code, "{line}:\n{out}{err}");
        for text in *said {
            assert!((out.clone() + &err).contains(text), "{line}: expected `{text}` in\n{out}{err}");
        }
    }
}

const CLASSIC: &str = "tests/recordings/rabbitmq-3.10.8-classic-nack-prefetch-1.jsonl";

#[test]
fn a_recording_is_admitted_refused_or_left_open_and_the_exit_code_says_which() {
    check(&[
        (&format!("admit {CLASSIC}"), 0, &["Admitted", "under rabbitmq-classic: 21 lines, at most 4 states at a time"]),
        (&format!("admit {CLASSIC} --profile rabbitmq-quorum"), 0, &["Admitted"]),
        (
            &format!("admit {CLASSIC} --profile rabbitmq-quorum-3"),
            1,
            &["Refused impossible under rabbitmq-quorum-3; possible here: A gets 3", "jsonl:13:1"],
        ),
        (&format!("admit {CLASSIC} --set window=3"), 0, &["Admitted"]),
        (&format!("admit {CLASSIC} --set on_nak=back"), 1, &["Refused"]),
        (
            &format!("admit {CLASSIC} --profile rabbitmq-quorum-3 --message-format json"),
            1,
            &["\"verdict\":\"refused\"", "\"line\":13", "A gets 3 (delivery 1)"],
        ),
        ("admit tests/recordings/stan-0.17.0-t07.jsonl --states 100", 4, &["more than 100 states explain", "latency"]),
    ]);
}

const LOST_ACK: &str = "scenarios/one-lost-ack.toml";

#[test]
fn a_scenario_is_played_on_another_broker_without_a_change_of_its_file() {
    check(&[
        (&format!("run {LOST_ACK} --design course"), 1, &["profile stan", "VIOLATED NoPoison"]),
        (
            &format!("run {LOST_ACK} --design course --profile kafka"),
            0,
            &["profile kafka", "HELD", "run scenarios/one-lost-ack.toml --design course --profile kafka --seed 0"],
        ),
        (&format!("shrink {LOST_ACK} --design course --profile jetstream"), 0, &["profile = \"jetstream\""]),
        (&format!("explain {LOST_ACK} --design course --profile kafka-share"), 4, &["--profile kafka-share"]),
        (
            &format!("sweep {LOST_ACK} --design course --profile sqs-fifo --seeds 0..10"),
            1,
            &["profile sqs-fifo", "--design course --profile sqs-fifo"],
        ),
        (
            &format!("exhaust {LOST_ACK} --design course --profile kafka --lost-acks 1"),
            0,
            &["on kafka, the broker's order", "HELD exhaustive"],
        ),
        (&format!("export {LOST_ACK} --design course --profile kafka --to jsonl"), 0, &["kafka"]),
    ]);
}

#[test]
fn what_another_broker_does_not_know_is_refused_with_its_place_and_the_broker() {
    let twice = format!("run {LOST_ACK} --profile kafka --profile stan");
    let owners = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("owners-change.toml");
    let text = std::fs::read_to_string(LOST_ACK).expect("a scenario");
    let text = text.replace("lose ack of", "rebalance after").replace("\"stan\"", "\"kafka\"");
    let text = text.lines().filter(|line| !line.starts_with("ack_wait")).collect::<Vec<_>>().join("\n");
    std::fs::write(&owners, text).expect("a temporary file");
    let owners = format!("run {}", owners.display());
    check(&[
        (&format!("{owners} --design reference"), 0, &["profile kafka", "Departs rebalance after"]),
        (&format!("{owners} --profile stan"), 2, &["owners-change.toml on stan:", "rebalance after", "kafka"]),
        (&format!("run {LOST_ACK} --profile kafca"), 2, &["invalid value 'kafca'", "kafka"]),
        (&twice, 2, &["cannot be used multiple times"]),
    ]);
}

#[test]
fn a_trace_has_the_broker_that_took_the_place_of_the_files() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("on-another-broker.jsonl");
    let trace = path.display();
    check(&[
        (&format!("run {LOST_ACK} --design course --profile kafka --trace {trace}"), 0, &["HELD"]),
        (&format!("replay {trace}"), 0, &["profile kafka"]),
        (&format!("explain {trace} --profile stan"), 2, &["is a trace: what was run is in it"]),
    ]);
}

#[test]
fn what_is_no_recording_profile_or_setting_ends_with_2_and_what_was_expected() {
    check(&[
        ("admit no-such.jsonl", 74, &["no-such.jsonl"]),
        ("admit Cargo.toml", 2, &["error", "Cargo.toml:1:", "a recording has one JSON object in each line"]),
        (&format!("admit {CLASSIC} --profile rabitmq-classic"), 2, &["did you mean `rabbitmq-classic`?"]),
        (&format!("admit {CLASSIC} --set visibility=1"), 2, &["`visibility` is no setting of this profile, which has"]),
        (&format!("admit {CLASSIC} --set sharing=owned"), 2, &["sqs-fifo, pubsub-ordered, servicebus-session have it"]),
        (&format!("admit {CLASSIC} --set window=0"), 2, &["`window`: expected a number from 1"]),
        (&format!("admit {CLASSIC} --set window"), 2, &["expected SETTING=VALUE"]),
        (
            &format!("admit {CLASSIC} --profile adversarial"),
            2,
            &["`adversarial` is no broker, so no recording is of it"],
        ),
        ("profiles kafca", 2, &["did you mean `kafka`?"]),
    ]);
}

#[test]
fn each_profile_is_listed_and_shown_with_its_settings() {
    let (code, list, _) = pellmell("profiles");
    let listed: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    let names = pellmell::engine::Profile::names();
    assert_eq!((code, listed), (0, [names.as_slice(), &["adversarial"]].concat()));
    check(&[("profiles sqs-fifo", 0, &["engine = keyed", "sharing = \"blocked\"", "docs/brokers/sqs-fifo.md"])]);
    let told = ["no broker: all of them at once", "in any order", "docs/broker.md has its parameters"];
    check(&[("profiles adversarial", 0, &told)]);
    let json = [r#""about":"no broker: all of them at once""#, r#""engine":null"#];
    check(&[("profiles adversarial --message-format json", 0, &json)]);
}

/// A scenario of two changes on a broker, with some lines in its tables.
fn two_changes(broker: &str, rest: &str) -> String {
    format!(
        "version = 1\nabout = \"two changes\"\ndesign = \"course\"\n{rest}\n[broker]\n{broker}\n[services.orders]\n\
         members = 2\n[[client]]\nname = \"alice\"\ncommands = [\n{{ create_ticket = {{ ticket = \"t1\", price = 5 }} \
         }},\n{{ edit_ticket = {{ ticket = \"t1\", price = 10 }} }},\n]\n"
    )
}

/// Runs scenario texts and looks for parts of what is said.
#[track_caller]
fn check_runs(cases: &[(&str, &str, i32, &[&str])]) {
    let called = std::panic::Location::caller().line();
    let folder = std::env::temp_dir().join(format!("pellmell-brokers-{}-{called}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for (place, (broker, rest, code, parts)) in cases.iter().enumerate() {
        let file = folder.join(format!("{place}.toml"));
        std::fs::write(&file, two_changes(broker, rest)).expect("it is written");
        let (ended, out, err) = pellmell(&format!("run {}", file.display()));
        assert_eq!(ended, *code, "{broker}: {out}{err}");
        let said = out + &err;
        parts.iter().for_each(|part| assert!(said.contains(part), "{broker}: no `{part}` in {said}"));
    }
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

#[test]
fn a_scenario_is_played_on_the_engine_of_its_broker_with_the_settings_it_has() {
    let ahead = "schedule = [\n\"commit ahead of ticket:updated t1@1 -> orders\",\n\"crash orders before save of \
                 ticket:updated t1@1 -> orders\",\n]";
    let zombie = "schedule = [\n\"pause ticket:updated t1@1 -> orders until quiescence\",\n\"rebalance after \
                  ticket:updated t1@1 -> orders\",\n]";
    let inbox = "schedule = [\n\"fetch 2 with ticket:created t1@0 -> orders\",\n\"pause ticket:created t1@0 -> orders \
                 until quiescence\",\n]";
    check_runs(&[
        ("profile = \"kafka\"\npartitions = 2", "", 0, &["profile kafka", "HELD"]),
        ("profile = \"kafka-auto-commit\"", ahead, 1, &["VIOLATED TicketReplicaConverged", "committed ahead"]),
        ("profile = \"kafka\"", zombie, 0, &["[1] ticket:updated t1@1 #2 ✓", "rebalance", "HELD"]),
        ("profile = \"stan\"\nengine = true", inbox, 0, &["fetched with 2 more", "HELD"]),
        ("profile = \"rabbitmq-quorum\"\nwindow = 1", inbox, 0, &["fetched with 2 more", "HELD"]),
    ]);
}

#[test]
fn what_a_broker_does_not_have_is_refused_with_what_it_has() {
    let rebalance = "schedule = [\"rebalance after ticket:updated t1@1 -> orders\"]";
    let reconnect = "schedule = [\"reconnect after ticket:updated t1@1 -> orders\"]";
    check_runs(&[
        (
            "profile = \"kafka\"\nack_wait = [\"5s\"]",
            "",
            2,
            &["`ack_wait` is no setting of kafka", "partitions", ":7:12"],
        ),
        (
            "profile = \"kafka\"\nwait = [\"5s\"]",
            "",
            2,
            &["`wait` is no setting of this profile", "sqs-fifo", "have it"],
        ),
        ("profile = \"kafka\"\nsession = \"soon\"", "", 2, &["`session`", "a number and a unit"]),
        ("profile = \"kafka\"\nengine = false", "", 2, &["only its engine plays kafka"]),
        ("profile = \"adversarial\"\nengine = true", "", 2, &["no engine plays `adversarial`"]),
        ("session = \"5s\"", "", 2, &["no engine plays `adversarial`", "profile = \"kafka\""]),
        ("profile = \"kafca\"", "", 2, &["did you mean `kafka`?"]),
        ("profile = \"rabbitmq-quorum\"\nengine = true", rebalance, 2, &["rebalance", "rabbitmq-quorum", "kafka"]),
        ("profile = \"stan\"", reconnect, 2, &["reconnect", "stan", "engine = true"]),
    ]);
}

#[test]
fn the_table_of_profiles_says_where_a_design_holds_and_what_fails_elsewhere() {
    let line = "zoo --profiles AckUnknownTicket --scenario scenarios/zoo/two.toml";
    let (code, out, _) = pellmell(line);
    let said = ["design", "26 mqtt-qos1", "AckUnknownTicket on", "hold ticket:"];
    assert!(code == 0 && said.iter().all(|said| out.contains(said)), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 60), "{out}");
    check(&[
        (&format!("{line} --message-format json"), 0, &["\"profile\":\"rabbitmq-quorum\"", "\"verdict\":"]),
        ("zoo --profiles NoSuchDefect", 2, &["NoSuchDefect"]),
    ]);
}

#[test]
fn counts_are_forgotten_and_dead_letters_put_back_where_messages_are_given_up() {
    let forget = "schedule = [\"forget counts after ticket:created t1@0 -> orders\"]";
    let redrive = "schedule = [\"redrive dead letters after ticket:created t1@0 -> orders\"]";
    let drawn = "[faults]\nforget_counts = \"1/2\"\nredrive = \"1/2\"";
    check_runs(&[
        ("profile = \"rabbitmq-quorum\"\nengine = true", forget, 0, &["counts forgotten", "HELD"]),
        (
            "profile = \"rabbitmq-quorum\"",
            forget,
            2,
            &["nothing like `forget counts after` happens on `rabbitmq-quorum`", "write `engine = true`"],
        ),
        (
            "profile = \"jetstream\"\nengine = true",
            forget,
            2,
            &["`jetstream` never gives a message up, so it needs no count: set `deliveries = 5`", ":4:13"],
        ),
        (
            "profile = \"servicebus\"\nengine = true",
            forget,
            2,
            &["happens on `servicebus`", "it does on kafka-share, rabbitmq-quorum, rabbitmq-single-active"],
        ),
        (
            "profile = \"servicebus\"\nengine = true",
            redrive,
            4,
            &["dead letters redriven", "its group had no dead letter then"],
        ),
        (
            "profile = \"rabbitmq-quorum\"\nengine = true",
            redrive,
            2,
            &["`rabbitmq-quorum` drops what was delivered too often: set `then = \"dead-letter\"`"],
        ),
        ("profile = \"kafka\"", redrive, 2, &["`kafka` never gives a message up", "a handler can publish"]),
        (
            "profile = \"kafka\"",
            drawn,
            4,
            &["idle-fault forget_counts", "does not count", "idle-fault redrive", "never gives a message up"],
        ),
    ]);
}
