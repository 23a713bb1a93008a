//! What a log is without some day, although nothing failed: what it was compacted of, and what it has kept for long
//! enough.

use pellmell::Hosting;
use pellmell::broker::Profile;
use pellmell::engine;
use pellmell::faults::MemberChange;
use serde_json::json;

use super::common::{Play, Publish, Rule, Setup};
use super::engines::{driven, on};

const LOGS: [&str; 9] = [
    "jetstream",
    "jetstream-ack-all",
    "jetstream-ordered",
    "kafka",
    "kafka-auto-commit",
    "kafka-cooperative",
    "kafka-retry-topics",
    "kafka-transactions",
    "kafka-share",
];

/// Publishes the versions 0 to 3 of note 1, and note 2 between them.
fn changes(name: &str) -> Setup {
    let mut setup = Setup::on(on(name, &[]), 0);
    setup.commands[0] = vec![Publish { notes: vec![(1, 0), (1, 1), (2, 0), (1, 2), (1, 3)], at_ms: 0 }];
    setup
}

/// What is handed out after the picks, as `n1@2`, until nothing is open.
fn handed_out(setup: &Setup, picks: &str) -> String {
    let mut play: Play = setup.after(picks);
    let mut names = Vec::new();
    for _ in 0..40 {
        let ready = play.ready();
        let Some(first) = ready.split(", ").next().filter(|first| !first.is_empty()).map(str::to_owned) else {
            if play.open().is_empty() {
                return names.join(" ");
            }
            play.pick("clock");
            continue;
        };
        play.pick(&first);
        names.push(first.replace(' ', ""));
    }
    panic!("{} has not come to rest: {}", setup.profile.name, names.join(" "))
}

#[test]
fn of_a_compacted_log_a_group_that_lags_gets_the_latest_of_each_key_in_order() {
    for name in LOGS {
        assert_eq!(handed_out(&changes(name), "publish; n1 compacted"), "n2 n1@3", "{name}");
        assert_eq!(handed_out(&changes(name), "publish; n1; n1@1; n2 compacted"), "n1@3", "{name}");
        // What has no later one stays.
        assert_eq!(handed_out(&Setup::on(on(name, &[]), 3), "publish; n1 compacted"), "n2 n3", "{name}");
    }
}

#[test]
fn what_was_sent_before_the_log_was_compacted_is_handled_and_does_not_come_again() {
    for name in ["jetstream", "kafka", "kafka-share"] {
        let setup = changes(name);
        // It is in an inbox, or a handler is at work on it.
        assert_eq!(handed_out(&setup, "publish; n1 fetch 2 compacted"), "n1@1 n2 n1@3", "{name}");
        assert_eq!(handed_out(&setup, "publish; n1; n1@1 paused compacted; resume n1@1"), "n2 n1@3", "{name}");
        // One that was refused is not there any more when it would come again.
        let mut refusing = Setup { rule: Rule::InVersionOrder, ..setup };
        refusing.commands[0] = vec![Publish { notes: vec![(1, 1), (1, 0)], at_ms: 0 }];
        assert_eq!(handed_out(&refusing, "publish; n1@1 compacted"), "n1", "{name}");
    }
}

#[test]
fn a_group_that_begins_again_after_a_rewind_does_not_get_what_was_compacted() {
    let setup = changes("kafka");
    assert_eq!(handed_out(&setup, "publish; n1 compacted; n2 rewound"), "n2#2 n1@3");
    assert_eq!(handed_out(&setup, "publish; n1 compacted; n2; n1@3 rewound"), "n2#2 n1@3#2");
    assert_eq!(handed_out(&setup, "publish; n1; n1@1 compacted; n2 forgotten"), "n2#2 n1@3");
}

#[test]
fn a_group_that_joins_late_gets_what_is_left_of_the_log() {
    for name in ["jetstream", "jetstream-ordered", "kafka"] {
        let settings = if name == "kafka" { vec![("start", json!("earliest"))] } else { Vec::new() };
        let late = |picks: &str| {
            let mut setup = changes(name);
            setup.profile = on(name, &settings);
            setup.other = Some((Rule::Answers(&[]), Hosting { joins_late: true, ..Hosting::ALONE }));
            handed_out(&setup, &format!("publish; {picks}; n1@1; n2; n1@2; n1@3; join other"))
        };
        assert_eq!(late("n1"), "n1>other n1@1>other n2>other n1@2>other n1@3>other", "{name}");
        assert_eq!(late("n1 expired"), "n1@1>other n2>other n1@2>other n1@3>other", "{name}");
    }
    let mut setup = changes("jetstream");
    setup.other = Some((Rule::Answers(&[]), Hosting { joins_late: true, ..Hosting::ALONE }));
    assert_eq!(handed_out(&setup, "publish; n1 compacted; n2; n1@3; join other"), "n2>other n1@3>other");
}

#[test]
fn what_was_kept_for_long_enough_is_lost_to_a_group_that_lags() {
    for name in ["stan", "jetstream", "jetstream-ordered", "kafka-share", "redis-streams"] {
        assert_eq!(handed_out(&Setup::on(on(name, &[]), 4), "publish; n1 expired"), "n3 n4", "{name}");
        assert_eq!(handed_out(&Setup::on(on(name, &[]), 4), "publish; n1; n2; n3 expired"), "", "{name}");
    }
    let earliest = Setup::on(on("kafka", &[("start", json!("earliest"))]), 4);
    assert_eq!(handed_out(&earliest, "publish; n1 expired"), "n3 n4");
    // The other group had it.
    let mut two = earliest;
    two.other = Some((Rule::Answers(&[]), Hosting::ALONE));
    let picks = "publish; n1 > other; n2 > other; n3 > other expired";
    assert_eq!(handed_out(&two, picks), "n2 n3 n4 n4>other");
}

#[test]
fn an_offset_that_is_out_of_range_goes_to_where_a_group_begins_that_has_none() {
    // By default that is the end: what is between is lost as well.
    let latest = Setup::on(on("kafka", &[]), 4);
    assert_eq!(handed_out(&latest, "publish; n1 expired"), "");
    let mut goes_on = latest.clone();
    goes_on.commands[0].push(Publish::now([5]));
    assert_eq!(handed_out(&goes_on, "publish; n1 expired; publish"), "n5");
    // Whoever goes back to what was deleted begins there as well.
    let earliest = Setup::on(on("kafka", &[("start", json!("earliest"))]), 4);
    assert_eq!(handed_out(&earliest, "publish; n1 lost expired; n3 crash before save"), "n3#2 n4");
    assert_eq!(handed_out(&earliest, "publish; n1 expired; n3; n4 rewound"), "n3#2 n4#2");
    assert_eq!(handed_out(&latest, "publish; n1; n2; n3 lost; n4 expired"), "");
}

#[test]
fn a_log_is_without_something_where_the_broker_has_one() {
    let has = |change: MemberChange| {
        let of = |profile: &Profile| profile.changes().has(change).then_some(profile.name);
        driven().iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(has(MemberChange::Compact), LOGS);
    let expires: Vec<&str> = has(MemberChange::Expire);
    assert!(LOGS.iter().all(|name| expires.contains(name)));
    assert_eq!(expires.len(), LOGS.len() + 2, "stan and redis-streams besides: {expires:?}");
    assert!(engine::Profile::all().len() > expires.len());
}
