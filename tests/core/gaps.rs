//! Recordings that lack something: messages and answers that are not known, lines that nobody wrote, and one clock
//! for all.

use expect_test::expect;
use pellmell::engine::{Admitted, Recording};

/// Whether a recording with this header is possible under a profile, and what was assumed; or the place where it is not
/// and what was possible there.
fn admitted(profile: &str, header: &str, lines: &[&str]) -> Result<(Admitted, String), String> {
    let text = format!("{{\"recording\":1{header}}}\n{}\n", lines.join("\n"));
    let recording = Recording::parse("it", &text).unwrap_or_else(|error| panic!("{error}"));
    let profile = recording.profile_named(profile).unwrap_or_else(|error| panic!("{error}"));
    match recording.admit(&profile, 100_000) {
        Ok(admitted) => {
            let told = recording.explanation(&admitted).into_iter();
            let told = told.map(|(line, what)| format!("before {}: {what}\n", recording.line_named(line))).collect();
            Ok((admitted, told))
        }
        Err(refusal) => {
            let told = recording.told(&profile, &refusal).to_string();
            Err(told.lines().take(2).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn assumed(profile: &str, header: &str, lines: &[&str]) -> String {
    admitted(profile, header, lines).unwrap_or_else(|told| panic!("{told}")).1
}

const BEGUN: [&str; 4] = [
    "{\"ms\":0,\"join\":\"A\"}",
    "{\"ms\":0,\"publish\":\"1\"}",
    "{\"ms\":0,\"publish\":\"2\"}",
    "{\"ms\":0,\"publish\":\"3\"}",
];

/// Three messages, and what happens to them.
fn then<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    BEGUN.iter().copied().chain(lines.iter().copied()).collect()
}

#[test]
fn a_message_that_is_not_known_is_one_that_can_come_and_is_told() {
    let lines = then(&["{\"ms\":1,\"got\":\"?\",\"by\":\"A\"}", "{\"ms\":2,\"got\":\"2\",\"by\":\"A\"}"]);
    expect![[r#"
        before line 6: the message that is not known: A gets 1 (delivery 1)
    "#]]
    .assert_eq(&assumed("stan", "", &lines));
    let lines = then(&["{\"ms\":1,\"got\":\"?\"}", "{\"ms\":2,\"got\":\"3\",\"by\":\"A\"}"]);
    expect![[r#"
        impossible under stan; possible here: A gets 2 (delivery 1)
         --> it:7:1"#]]
    .assert_eq(&admitted("stan", "", &lines).expect_err("the second is before the third"));
}

#[test]
fn a_recording_that_is_possible_is_so_as_well_without_its_counts_flags_and_members() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with("-window-1.jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("it is text");
        let less = |line: &str| {
            let mut line: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
            if let Some(line) = line.as_object_mut().filter(|line| line.contains_key("got")) {
                line.retain(|key, _| key == "ms" || key == "got");
            }
            format!("{line}\n")
        };
        let text: String = text.lines().map(less).collect();
        let recording = Recording::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        let profile = recording.profile().unwrap_or_else(|error| panic!("{error}"));
        let admitted = recording.admit(&profile, 100_000);
        assert!(admitted.is_ok(), "{name}: {}", recording.told(&profile, &admitted.expect_err("it is an error")));
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn an_answer_that_is_not_known_is_one_of_those_that_it_may_be() {
    let after = |answer: &str, next: &str| {
        let (answer, next) =
            (format!("{{\"ms\":1,\"answer\":\"1\"{answer}}}"), format!("{{\"ms\":2,\"got\":\"{next}\"}}"));
        let lines = then(&["{\"ms\":1,\"got\":\"1\",\"by\":\"A\"}", &answer, &next]);
        admitted("rabbitmq-quorum", ",\"set\":{\"window\":1}", &lines).map(|(_, told)| told)
    };
    let (acks, refuses) = ("before line 7: A acks 1 (delivery 1)\n", "before line 7: A refuses 1 (delivery 1)\n");
    assert_eq!(after("", "2").as_deref(), Ok(acks));
    assert_eq!(after("", "1").as_deref(), Ok(refuses));
    assert_eq!(after(",\"one_of\":[\"nak\",\"none\"]", "1").as_deref(), Ok(refuses));
    assert!(after(",\"one_of\":[\"nak\",\"none\"]", "2").is_err());
    assert!(after(",\"one_of\":[\"none\"]", "1").is_err() && after(",\"one_of\":[\"none\"]", "2").is_err());
    assert!(after(",\"one_of\":[\"term\"]", "2").is_ok());
}

#[test]
fn what_nobody_recorded_explains_a_line_only_where_the_recording_says_that_it_may_lack_it() {
    let window = ",\"set\":{\"window\":1}";
    for (gap, profile, set, lines, told) in [
        (
            "delivery",
            "stan",
            "",
            &["{\"ms\":1,\"got\":\"2\",\"by\":\"A\"}"][..],
            "before line 6: A gets 1 (delivery 1), which nobody recorded\n",
        ),
        (
            "answer",
            "jetstream",
            window,
            &["{\"ms\":1,\"got\":\"1\",\"by\":\"A\"}", "{\"ms\":2,\"got\":\"2\",\"by\":\"A\"}"],
            "before line 7: A acks 1 (delivery 1), which nobody recorded\n",
        ),
        (
            "lost-answer",
            "jetstream",
            ",\"set\":{\"wait\":[\"1s\"]},\"latency\":\"100ms\"",
            &[
                "{\"ms\":1,\"got\":\"1\",\"by\":\"A\"}",
                "{\"ms\":2,\"ack\":\"1\",\"by\":\"A\"}",
                "{\"ms\":1200,\"got\":\"1\",\"by\":\"A\",\"count\":2}",
            ],
            "before line 8: A acks 1 (delivery 1), and that is lost\n\
             before line 8: the wait for 1 ends, so its ack in line 7 was lost or late\n",
        ),
        (
            "reconnect",
            "rabbitmq-classic",
            "",
            &["{\"ms\":1,\"got\":\"1\",\"by\":\"A\"}", "{\"ms\":2,\"got\":\"1\",\"by\":\"A\",\"redelivered\":true}"],
            "before line 7: the connection of A breaks, and it is back\n",
        ),
    ] {
        let lines = then(lines);
        assert!(admitted(profile, set, &lines).is_err(), "{gap}");
        assert_eq!(assumed(profile, &format!("{set},\"gaps\":[\"{gap}\"]"), &lines), told);
    }
}

#[test]
fn no_more_is_assumed_than_it_takes() {
    let gaps =
        ",\"set\":{\"window\":1,\"wait\":[\"1s\"]},\"gaps\":[\"delivery\",\"answer\",\"lost-answer\",\"reconnect\"]";
    let got = |message: u32, ms: u32| format!("{{\"ms\":{ms},\"got\":\"{message}\",\"by\":\"A\"}}");
    let ack = |message: u32, ms: u32| format!("{{\"ms\":{ms},\"ack\":\"{message}\",\"by\":\"A\"}}");
    let told =
        |lines: &[String]| assumed("jetstream", gaps, &then(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(told(&[got(1, 1), ack(1, 2), got(2, 3), ack(2, 4), got(3, 5)]), "");
    assert_eq!(told(&[got(1, 1), ack(1, 2), got(2, 3), got(3, 5)]).lines().count(), 1);
    // It has to be seen, and acked, or be seen by nobody and waited for.
    assert_eq!(told(&[got(1, 1), ack(1, 2), got(3, 5)]).lines().count(), 2);
}

#[test]
fn where_nothing_explains_a_line_it_is_said_how_much_was_tried() {
    let lines = then(&["{\"ms\":1,\"got\":\"1\",\"by\":\"A\",\"count\":20}"]);
    let told =
        admitted("rabbitmq-quorum", ",\"gaps\":[\"delivery\",\"reconnect\"]", &lines).expect_err("20 is too often");
    assert!(
        told.starts_with("impossible under rabbitmq-quorum, with up to 8 more things that nobody recorded"),
        "{told}"
    );
}

#[test]
fn clocks_may_differ_as_far_as_the_recording_says_and_the_order_of_each_host_is_kept() {
    let told = |tolerance: &str, publish: u32, got: [(&str, u32); 2]| {
        let mut lines = vec!["{\"ms\":0,\"join\":\"A\"}".to_owned()];
        let mut at: Vec<(u32, String)> =
            (1..3).map(|n| (publish, format!("\"publish\":\"{n}\",\"host\":\"p\""))).collect();
        at.extend(got.map(|(message, ms)| (ms, format!("\"got\":\"{message}\",\"by\":\"A\",\"host\":\"c\""))));
        at.sort_by_key(|(ms, _)| *ms);
        lines.extend(at.into_iter().map(|(ms, line)| format!("{{\"ms\":{ms},{line}}}")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        admitted("stan", &format!(",\"tolerance\":\"{tolerance}\""), &lines).is_ok()
    };
    assert!(told("0s", 10, [("1", 11), ("2", 12)]));
    assert!(told("5ms", 10, [("1", 5), ("2", 12)]));
    assert!(!told("4ms", 10, [("1", 5), ("2", 12)]));
    assert!(!told("1m", 10, [("2", 5), ("1", 12)]));
}

/// All orders in which these lines of two hosts may have happened: those of a host are in order, and two of which one
/// is later by more than the tolerance are.
fn interleavings(lines: &[(u32, u32)], tolerance: u32) -> Vec<Vec<usize>> {
    fn go(lines: &[(u32, u32)], tolerance: u32, taken: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if taken.len() == lines.len() {
            all.push(taken.clone());
        }
        for place in (0..lines.len()).filter(|place| !taken.contains(place)).collect::<Vec<_>>() {
            let (host, ms) = lines[place];
            let is_later = |other: usize| {
                let (its_host, its_ms) = lines[other];
                if host == its_host { place > other } else { ms > its_ms + tolerance }
            };
            if (0..lines.len()).all(|other| other == place || taken.contains(&other) || !is_later(other)) {
                taken.push(place);
                go(lines, tolerance, taken, all);
                taken.pop();
            }
        }
    }
    let mut all = Vec::new();
    go(lines, tolerance, &mut Vec::new(), &mut all);
    all
}

#[test]
fn lines_of_two_hosts_are_possible_if_and_only_if_they_are_in_one_of_the_orders_that_their_clocks_allow() {
    let (mut possible, mut all) = (0, 0);
    // Two producers, each with two messages, and a consumer that sees all four in some order.
    for (case, order) in
        [[1, 2, 3, 4], [1, 3, 2, 4], [3, 1, 4, 2], [3, 4, 1, 2], [2, 1, 3, 4], [1, 4, 3, 2]].iter().enumerate()
    {
        for tolerance in [0, 2, 5] {
            for shift in [0, 1, 4] {
                let mut lines: Vec<(u32, u32, String)> = Vec::new();
                for (host, messages) in [(0, [1, 2]), (1, [3, 4])] {
                    for (place, message) in (0..).zip(messages) {
                        lines.push((host, 1 + 3 * place + host * shift, format!("\"publish\":\"{message}\"")));
                    }
                }
                for (place, message) in (0..).zip(order) {
                    lines.push((2, 2 + 2 * place, format!("\"got\":\"{message}\",\"by\":\"A\"")));
                }
                lines.sort_by_key(|(host, ms, _)| (*ms, *host));
                let join = "{\"ms\":0,\"join\":\"A\"}".to_owned();
                let hosted =
                    lines.iter().map(|(host, ms, what)| format!("{{\"ms\":{},{what},\"host\":\"{host}\"}}", ms + 9));
                let hosted: Vec<String> = std::iter::once(join.clone()).chain(hosted).collect();
                let header = format!(",\"tolerance\":\"{tolerance}ms\"");
                let is_admitted =
                    admitted("stan", &header, &hosted.iter().map(String::as_str).collect::<Vec<_>>()).is_ok();
                let times: Vec<(u32, u32)> = lines.iter().map(|(host, ms, _)| (*host, *ms)).collect();
                let in_some_order = interleavings(&times, tolerance).into_iter().any(|order| {
                    let seen_before_sent = |place: usize| {
                        let got = lines[order[place]].2.strip_prefix("\"got\":\"").and_then(|rest| rest.get(..1));
                        got.is_some_and(|message| {
                            !order[..place].iter().any(|other| lines[*other].2 == format!("\"publish\":\"{message}\""))
                        })
                    };
                    if (0..order.len()).any(seen_before_sent) {
                        return false;
                    }
                    let one_clock = order.iter().map(|place| format!("{{\"ms\":9,{}}}", lines[*place].2));
                    let one_clock: Vec<String> = std::iter::once(join.clone()).chain(one_clock).collect();
                    admitted("stan", "", &one_clock.iter().map(String::as_str).collect::<Vec<_>>()).is_ok()
                });
                assert_eq!(is_admitted, in_some_order, "case {case}, tolerance {tolerance}, shift {shift}");
                (possible, all) = (possible + u32::from(is_admitted), all + 1);
            }
        }
    }
    assert!(all == 54 && possible > 10 && possible < 40, "{possible} of {all}");
}
