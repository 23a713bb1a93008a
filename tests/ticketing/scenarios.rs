//! Every scenario in the repository, under every design it expects a verdict for.

use std::time::Duration;

use pellmell::broker::Dedup;
use pellmell::ticketing::Design;
use pellmell::ticketing::Scenario;
use pellmell::vacuity::Occurred;

fn scenarios() -> Vec<Scenario> {
    let folder = std::fs::read_dir("scenarios").expect("the scenarios folder");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a readable scenario");
        Scenario::parse(&path.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"))
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_scenario_gets_the_verdict_it_expects() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 5, "found {} scenarios", scenarios.len());
    for scenario in scenarios {
        for (design, expected) in &scenario.expect {
            let design = Design::named(design).expect("checked when it was read");
            let scenario = Scenario { design, ..scenario.clone() };
            let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
            let mut occurred = Occurred::default();
            let report = scenario.look(&mut world, &scenario.judges(), scenario.seed, &mut (), &mut occurred);
            let findings = scenario.vacuous(&occurred).expect("the parts fit");
            let void: Vec<String> = findings.void.iter().map(ToString::to_string).collect();
            let is_green = report.verdict.is_held();
            assert!(!is_green || void.is_empty(), "{} under {}: {void:#?}", scenario.name, design.name);
            assert!(
                expected.meets(&report.verdict),
                "{} under {}: expected {expected}, found {:?}",
                scenario.name,
                design.name,
                report.verdict
            );
        }
    }
}

#[test]
fn every_scenario_says_what_it_expects_of_course_and_reference() {
    for scenario in scenarios() {
        for design in ["course", "reference"] {
            assert!(scenario.expect.contains_key(design), "{} expects nothing of {design}", scenario.name);
        }
    }
}

/// What the reader says of a scenario whose broker has this besides.
fn refused(broker: &str) -> String {
    let client = "[[client]]\nname = \"a\"\ncommands = [{ create_ticket = { ticket = \"t1\", price = 5 } }]\n";
    let text = format!("version = 1\nabout = \"A broker.\"\n[broker]\nprofile = \"stan\"\n{broker}\n{client}");
    Scenario::parse("broker.toml", &text).expect_err(broker).to_string()
}

#[test]
fn retries_of_a_publisher_are_recognised_as_the_broker_can_recognise_them() {
    let window = |secs| Dedup::Window(Duration::from_secs(secs));
    for (broker, dedup) in [
        ("profile = \"jetstream\"", Ok(Dedup::None)),
        ("profile = \"jetstream\"\ndedup = \"2m\"", Ok(window(120))),
        ("profile = \"jetstream\"\nengine = true\ndedup = \"2m\"", Ok(window(120))),
        ("profile = \"sqs-fifo\"", Ok(window(300))),
        ("profile = \"kafka\"", Ok(Dedup::ProducerSession)),
        ("profile = \"kafka\"\ndedup = \"none\"", Ok(Dedup::None)),
        ("profile = \"kafka\"\ndedup = \"2m\"", Err("expected \"none\" or \"producer-session\"")),
        ("profile = \"servicebus\"\ndedup = \"0s\"", Err("expected \"none\" or a time above 0")),
        ("profile = \"rabbitmq-quorum\"\ndedup = \"2m\"", Err("`dedup` is no setting of this profile")),
        ("ordering = \"log\"\ndedup = \"30s\"", Ok(window(30))),
        ("dedup = \"producer-session\"", Ok(Dedup::ProducerSession)),
        ("dedup = \"two minutes\"", Err("expected \"none\" or a time above 0")),
    ] {
        let client = "[[client]]\nname = \"a\"\ncommands = [{ create_ticket = { ticket = \"t1\", price = 5 } }]\n";
        let text = format!("version = 1\nabout = \"A broker.\"\n[broker]\n{broker}\n{client}");
        match (Scenario::parse("broker.toml", &text), dedup) {
            (Ok(scenario), Ok(dedup)) => assert_eq!(scenario.profile.dedup_window, dedup, "{broker}"),
            (Err(error), Err(said)) => assert!(error.to_string().contains(said), "{broker}: {error}"),
            (read, _) => panic!("{broker}: {:?}", read.map(|scenario| scenario.profile.dedup_window)),
        }
    }
}

#[test]
fn retry_topics_and_transactions_are_settings_of_brokers_that_keep_offsets() {
    let on = |broker: &str, rest: &str| {
        let client = "[[client]]\nname = \"a\"\ncommands = [{ create_ticket = { ticket = \"t1\", price = 5 } }]\n";
        let text = format!("version = 1\nabout = \"A broker.\"\n{rest}[broker]\n{broker}\n{client}");
        Scenario::parse("broker.toml", &text)
    };
    let settings = |broker: &str| {
        let scenario = on(broker, "").unwrap_or_else(|error| panic!("{broker}: {error}"));
        let engine = scenario.profile.engine.clone().expect("an engine plays it");
        engine.settings().into_iter().map(|setting| (setting.name, setting.value)).collect::<Vec<_>>()
    };
    let has = |broker: &str, name: &str, value: &str| settings(broker).contains(&(name.to_owned(), value.to_owned()));
    let (retried, together) = ("profile = \"kafka-retry-topics\"", "profile = \"kafka-transactions\"");
    assert!(has(retried, "retries", "{\"attempts\":3,\"delay\":\"1s\"}") && has(together, "transactions", "true"));
    let more = format!("{retried}\nretries = {{ attempts = 5, delay = \"10s\" }}\ntransactions = true");
    assert!(has(&more, "retries", "{\"attempts\":5,\"delay\":\"10s\"}") && has(&more, "transactions", "true"));
    for (broker, place, said) in [
        ("profile = \"sqs-fifo\"\ntransactions = true", "broker.toml:5:16", "kafka-transactions"),
        (
            "profile = \"sqs-fifo\"\nretries = { attempts = 3, delay = \"1s\" }",
            "broker.toml:5:11",
            "kafka-retry-topics",
        ),
        ("profile = \"kafka-retry-topics\"\nretries = [\"1s\"]", "broker.toml:5:11", "retries"),
        ("profile = \"kafka\"\nretries = { attempts = 0, delay = \"1s\" }", "broker.toml:5:11", "nonzero"),
        ("profile = \"kafka-transactions\"\ntransactions = \"yes\"", "broker.toml:5:16", "boolean"),
    ] {
        let error = on(broker, "").expect_err(broker).to_string();
        assert!(error.contains(place) && error.contains(said), "{broker}: {error}");
    }
    let redriven = "schedule = [\"redrive dead letters after ticket:created t1@0 -> orders\"]\n";
    let error = on(retried, redriven).expect_err("the broker has no dead letters of its own").to_string();
    assert!(error.contains("puts nothing back") && error.contains("broker.toml:3:"), "{error}");
    let dead = format!("{retried}\n[services.orders]\ndead_letters = \"orders:dead\"");
    assert!(on(&dead, "").is_ok() && on(&dead.replace("-retry-topics", ""), "").is_err());
}

#[test]
fn what_a_broker_can_do_and_is_not_simulated_is_refused_where_it_stands_and_by_its_name() {
    for (broker, said) in [
        (
            "dispatch = \"block-while-in-flight\"",
            "this value of `dispatch` is not simulated yet: expected competing or",
        ),
        ("redeliver_at = \"rewind\"", "this value of `redeliver_at` is not simulated yet: expected front, original,"),
        ("ack = \"cumulative\"", "cumulative acks are not simulated yet"),
        ("dedup_window = \"2m\"", "write `dedup`"),
        ("dedup = \"2m\"", "jetstream-ordered, kafka, kafka-auto-commit"),
        ("release_on_claim = true", "members do not claim: not simulated yet"),
        ("release_on_close = true", "members do not close their subscription: not simulated yet"),
        ("release_on_reconnect = true", "members do not reconnect: not simulated yet"),
    ] {
        let error = refused(broker);
        assert!(error.contains(said), "{broker}: {error}");
        assert!(error.contains("broker.toml:5:") || error.contains("broker.toml:6:"), "{broker}: {error}");
    }
}

#[test]
fn what_no_broker_can_do_or_has_no_effect_is_refused_and_not_called_unsimulated() {
    for (broker, said) in [
        ("max_in_flight = 0", "this value of `max_in_flight` cannot be: expected at least 1"),
        ("max_deliver = 0", "this value of `max_deliver` cannot be: expected at least 1"),
        ("ordering = \"none\"\nreorder_window = 3", "`reorder_window` has no effect where `ordering` is none"),
        ("ack_timeout = [\"5s\"]", "write `ack_wait`"),
    ] {
        let error = refused(broker);
        assert!(error.contains(said) && !error.contains("not simulated"), "{broker}: {error}");
    }
}

#[test]
fn dead_letters_go_to_a_subject_where_the_broker_gives_up_and_are_refused_elsewhere() {
    let with = |broker: &str, subject: &str| format!("{broker}\n[services.orders]\ndead_letters = \"{subject}\"");
    for (broker, subject, place, said) in [
        ("", "orders:dead", "broker.toml:7:16", "`stan` never gives a message up: set `max_deliver = 5`"),
        ("engine = true", "orders:dead", "broker.toml:7:16", "`stan` never gives a message up: set `deliveries = 5`"),
        (
            "max_deliver = 3\nwhen_exhausted = \"drop\"",
            "orders:dead",
            "broker.toml:8:16",
            "set `when_exhausted = \"dead-",
        ),
        ("max_deliver = 3\nwhen_exhausted = \"park\"", "orders:dead", "broker.toml:8:16", "`stan` keeps what was"),
        ("max_deliver = 3", "orders dead", "broker.toml:7:16", "this names no subject"),
        ("max_deliver = 3", "", "broker.toml:7:16", "this names no subject"),
    ] {
        let error = refused(&with(broker, subject));
        assert!(error.contains(said) && error.contains(place), "{broker}: {error}");
    }
    let client = "[[client]]\nname = \"a\"\ncommands = [{ create_ticket = { ticket = \"t1\", price = 5 } }]\n";
    let dies = with("max_deliver = 1", "orders:dead");
    let lost = "schedule = [\"lose ack of ticket:created t1@0 -> orders\"]\n";
    let text = format!("version = 1\nabout = \"A broker.\"\n{lost}[broker]\nprofile = \"stan\"\n{dies}\n{client}");
    let scenario = Scenario::parse("broker.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let findings = scenario.vacuous_in(0).expect("the parts fit");
    let notes: Vec<String> = findings.notes.iter().map(ToString::to_string).collect();
    assert!(notes.iter().any(|note| note.contains("orders:dead")), "it died, and nobody listens: {notes:?}");
}

#[test]
fn nothing_that_a_shipped_scenario_asks_for_is_foreseen_to_come_to_nothing() {
    for scenario in scenarios() {
        let foreseen = scenario.foreseen().expect("the parts fit").void;
        assert!(foreseen.is_empty(), "{}: {foreseen:?}", scenario.name);
    }
}
