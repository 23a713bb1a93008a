//! `admit`, `profiles` and `zoo --profiles`, as a person runs them.

use std::process::Command;

/// Runs the binary with these words; gives its exit code, stdout and stderr.
fn pellmell(line: &str) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_pellmell")).args(line.split(' ')).output().expect("pellmell runs");
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
        ("profiles kafca", 2, &["did you mean `kafka`?"]),
    ]);
}

#[test]
fn each_profile_is_listed_and_shown_with_its_settings() {
    let (code, list, _) = pellmell("profiles");
    assert_eq!((code, list.lines().count()), (0, pellmell::engine::Profile::names().len()));
    check(&[("profiles sqs-fifo", 0, &["engine = keyed", "sharing = \"blocked\"", "docs/brokers/sqs-fifo.md"])]);
}

#[test]
fn a_scenario_on_a_broker_that_is_not_simulated_is_refused_with_the_reason() {
    let folder = std::env::temp_dir().join(format!("pellmell-brokers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let text = std::fs::read_to_string("scenarios/zoo/two.toml").expect("the scenario is there");
    for (profile, why) in
        [("kafka", "it has no offsets"), ("rabbitmq-single-active", "the owner of a queue never changes")]
    {
        let file = folder.join(format!("{profile}.toml"));
        std::fs::write(&file, format!("{text}\n[broker]\nprofile = \"{profile}\"\n")).expect("it is written");
        let (code, _, err) = pellmell(&format!("run {}", file.display()));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(&format!("`{profile}` is not simulated yet")) && err.contains(why), "{err}");
    }
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

#[test]
fn the_table_of_profiles_says_where_a_design_holds_and_what_fails_elsewhere() {
    let line = "zoo --profiles AckUnknownTicket --scenario scenarios/zoo/two.toml";
    check(&[
        (line, 0, &["design", "kafka-share", "AckUnknownTicket on", "hold ticket:"]),
        (&format!("{line} --message-format json"), 0, &["\"profile\":\"rabbitmq-quorum\"", "\"verdict\":"]),
        ("zoo --profiles NoSuchDefect", 2, &["NoSuchDefect"]),
    ]);
}
