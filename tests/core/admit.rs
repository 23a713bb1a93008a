//! Recordings of real brokers, and whether their profiles say they are possible.

use std::path::{Path, PathBuf};

use expect_test::expect;
use pellmell::engine::{Profile, Recording};

/// The recordings that are kept, by name.
fn recordings() -> Vec<(String, Recording)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // Those of other tools are in a folder of their own.
    paths.retain(|path| path.is_file());
    paths.sort();
    let read = paths.into_iter().map(|path| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("it is text");
        let recording = Recording::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        (name, recording)
    });
    read.collect()
}

#[test]
fn each_recording_is_possible_under_its_own_profile() {
    let mut refused = String::new();
    for (name, recording) in recordings() {
        let profile = recording.profile().unwrap_or_else(|error| panic!("{error}"));
        match recording.admit(&profile, 100_000) {
            Ok(admitted) => assert!(!admitted.assumed.is_empty(), "{name}: something was sent"),
            Err(refusal) => refused += &format!("{}\n", recording.told(&profile, &refusal)),
        }
    }
    assert!(refused.is_empty(), "{refused}");
}

/// Whether a recording of so many lines that begins with this header is possible under a profile, or the place and
/// what was possible there.
fn admitted(profile: &str, header: &str, lines: &[&str]) -> Result<(), String> {
    let text = format!("{{\"recording\":1{header}}}\n{}\n", lines.join("\n"));
    let recording = Recording::parse("it", &text).unwrap_or_else(|error| panic!("{error}"));
    let profile = recording.profile_named(profile).unwrap_or_else(|error| panic!("{error}"));
    let told = recording.admit(&profile, 100_000).map_err(|refusal| recording.told(&profile, &refusal).to_string());
    told.map(|_| ()).map_err(|told| told.lines().take(2).collect::<Vec<_>>().join("\n"))
}

/// A member and so many messages.
fn begun(messages: usize) -> Vec<String> {
    let published = (1..=messages).map(|message| format!("{{\"ms\":0,\"publish\":\"{message}\"}}"));
    std::iter::once("{\"ms\":0,\"join\":\"A\"}".to_owned()).chain(published).collect()
}

#[test]
fn a_window_of_one_holds_back_what_an_unacked_message_is_before() {
    let told = |window: &str, lines: &[&str]| {
        let begun = begun(2);
        let lines: Vec<&str> = begun.iter().map(String::as_str).chain(lines.iter().copied()).collect();
        admitted("jetstream", &format!(",\"set\":{{\"window\":{window}}}"), &lines)
    };
    let (first, second) = ("{\"ms\":1,\"got\":\"1\",\"by\":\"A\"}", "{\"ms\":1,\"got\":\"2\",\"by\":\"A\"}");
    assert_eq!(told("2", &[first, second]), Ok(()));
    assert_eq!(told("1", &[first, "{\"ms\":1,\"ack\":\"1\"}", second]), Ok(()));
    let refused = told("1", &[first, second]).expect_err("the first is not acked");
    assert!(refused.contains("impossible under jetstream; nothing could be seen here"), "{refused}");
}

#[test]
fn where_a_refused_message_comes_again_tells_three_queues_of_rabbitmq_apart() {
    let nacked = |profile, order: [&str; 3]| {
        let mut lines = begun(3);
        lines.push("{\"ms\":1,\"got\":\"1\",\"by\":\"A\"}".to_owned());
        lines.push("{\"ms\":1,\"nak\":\"1\"}".to_owned());
        for message in order {
            lines.push(format!("{{\"ms\":2,\"got\":\"{message}\",\"by\":\"A\"}}"));
            lines.push(format!("{{\"ms\":2,\"ack\":\"{message}\"}}"));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        admitted(profile, ",\"set\":{\"window\":1},\"latency\":\"100ms\"", &lines).is_ok()
    };
    for (profile, first, last) in
        [("rabbitmq-classic", true, false), ("rabbitmq-quorum", true, false), ("rabbitmq-quorum-3", false, true)]
    {
        assert_eq!(nacked(profile, ["1", "2", "3"]), first, "{profile}: at the front");
        assert_eq!(nacked(profile, ["2", "3", "1"]), last, "{profile}: at the back");
        assert!(!nacked(profile, ["2", "1", "3"]), "{profile}: in the middle");
    }
}

#[test]
fn messages_whose_waits_end_together_come_again_in_order() {
    let again = |order: [u32; 2]| {
        let mut lines = begun(2);
        lines.extend([1, 2].map(|message| format!("{{\"ms\":0,\"got\":\"{message}\",\"by\":\"A\"}}")));
        lines.extend(order.map(|message| format!("{{\"ms\":1000,\"got\":\"{message}\",\"by\":\"A\"}}")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        admitted("stan", ",\"set\":{\"wait\":[\"1s\"]}", &lines)
    };
    assert_eq!(again([1, 2]), Ok(()));
    let refused = again([2, 1]).expect_err("the first came back first");
    assert!(refused.contains("possible here: A gets 1 (delivery 2)"), "{refused}");
}

#[test]
fn a_queue_that_copies_may_send_a_message_again_at_any_time_and_no_message_that_was_not_published() {
    let copied = |profile, lines: &[&str]| {
        let begun = begun(3);
        let lines: Vec<&str> = begun.iter().map(String::as_str).chain(lines.iter().copied()).collect();
        admitted(profile, "", &lines)
    };
    let twice = [
        "{\"ms\":1,\"got\":\"3\",\"by\":\"A\"}",
        "{\"ms\":1,\"ack\":\"3\"}",
        "{\"ms\":2,\"got\":\"1\",\"by\":\"A\"}",
        "{\"ms\":3,\"got\":\"3\",\"by\":\"A\"}",
        "{\"ms\":4,\"got\":\"1\",\"by\":\"A\"}",
        "{\"ms\":5,\"got\":\"1\",\"by\":\"A\"}",
    ];
    for (profile, is_possible) in [("sqs-standard", true), ("pubsub", true), ("pubsub-exactly-once", false)] {
        assert_eq!(copied(profile, &twice).is_ok(), is_possible, "{profile}");
    }
}

#[test]
fn what_is_no_recording_is_refused_with_its_place() {
    let mut told = String::new();
    for text in [
        "",
        "{\"recording\":2}\n",
        "{\"recording\":1,\"serwer\":\"x\"}\n",
        "{\"recording\":1}\n",
        "{\"recording\":1}\n{\"ms\":0,\"join\":\"A\"",
        "{\"recording\":1}\n{\"ms\":5,\"join\":\"A\"}\n{\"ms\":4,\"publish\":\"1\"}\n",
        "{\"recording\":1}\n{\"ms\":5,\"join\":\"A\"}\n{\"ms\":6,\"got\":\"1\",\"by\":\"A\"}\n",
        "{\"recording\":1}\n{\"ms\":5,\"publish\":\"1\",\"join\":\"A\"}\n",
        "{\"recording\":1}\n{\"ms\":5,\"join\":\"A\",\"how\":\"crash\"}\n",
        "{\"recording\":1}\n{\"ms\":5}\n",
        "{\"recording\":1}\n{\"ms\":5,\"join\":\"A\"}\n{\"ms\":5,\"leave\":\"A\"}\n",
    ] {
        let error = Recording::parse("it.jsonl", text).map(|_| ()).expect_err("it is none");
        told += &format!("{error}\n\n");
    }
    expect![[r#"
        this is no recording: expected a first line such as {"recording":1,"server":"nats-server 2.15.1"}
         --> it.jsonl:1:1
          |
        1 | 
          | ^

        another version of the format: expected 1, found 2
         --> it.jsonl:1:2
          |
        1 | {"recording":2}
          |  ^^^^^^^^^^^
          = help: read it with the pellmell that wrote it, or a newer one

        unknown field `serwer`, expected one of `recording`, `about`, `server`, `client`, `source`, `profile`, `set`, `slack`, `latency`, `tolerance`, `gaps`
         --> it.jsonl:1:23
          |
        1 | {"recording":1,"serwer":"x"}
          |                       ^
          = help: a recording has one JSON object in each line: see docs/recordings.md

        nothing was recorded: there is no line but the first
         --> it.jsonl:2:1
          |
        2 | 
          | ^

        EOF while parsing an object
         --> it.jsonl:2:18
          |
        2 | {"ms":0,"join":"A"
          |                  ^
          = help: a recording has one JSON object in each line: see docs/recordings.md

        this line is before the last one, which is at 5 ms
         --> it.jsonl:3:2
          |
        3 | {"ms":4,"publish":"1"}
          |  ^^^^
          = help: sort the lines by `ms`, those of one time as they happened

        no message `1` was published before this line
         --> it.jsonl:3:9
          |
        3 | {"ms":6,"got":"1","by":"A"}
          |         ^^^^^

        two things happen in this line, `publish` and `join`
         --> it.jsonl:2:23
          |
        2 | {"ms":5,"publish":"1","join":"A"}
          |                       ^^^^^^
          = help: write a line for each

        `how` says nothing beside `join`: it belongs to leave
         --> it.jsonl:2:20
          |
        2 | {"ms":5,"join":"A","how":"crash"}
          |                    ^^^^^

        nothing happens in this line: expected one of publish, join, leave, got, ack, ack_up_to, nak, term, extend, answer, commit, seek, claim, gave_up
         --> it.jsonl:2:1
          |
        2 | {"ms":5}
          | ^^^^^^^^

        `leave` needs `how`: close, cancel, crash or reconnect
         --> it.jsonl:3:9
          |
        3 | {"ms":5,"leave":"A"}
          |         ^^^^^^^

    "#]].assert_eq(&told);
}

#[test]
fn a_setting_that_a_profile_has_not_names_those_that_have_it() {
    let error = |header: &str| {
        let text = format!("{{\"recording\":1,{header}}}\n{{\"ms\":0,\"join\":\"A\"}}\n");
        let recording = Recording::parse("it.jsonl", &text).expect("it is one");
        recording.profile().map(|_| ()).expect_err("it has none").to_string()
    };
    let told = [
        "\"profile\":\"kafka\",\"set\":{\"stale\":\"reject\"}",
        "\"profile\":\"kafka\",\"set\":{\"session\":30}",
        "\"profile\":\"kafca\"",
    ];
    expect![[r#"
        `stale` is no setting of this profile, which has commits, dedup, partitions, rebalance, retries, session, start, transactions, window; stan, jetstream, jetstream-ack-all, kafka-share, rabbitmq-classic, rabbitmq-quorum, rabbitmq-quorum-3, rabbitmq-single-active, sqs-standard, sqs-fifo, pubsub, pubsub-ordered, pubsub-exactly-once, redis-streams, servicebus, servicebus-session have it
         --> it.jsonl:1:41
          |
        1 | {"recording":1,"profile":"kafka","set":{"stale":"reject"}}
          |                                         ^^^^^^^

        `session`: invalid type: integer `30`, expected a number and a unit in quotes, for example "5s", "500ms" or "2m"
         --> it.jsonl:1:41
          |
        1 | {"recording":1,"profile":"kafka","set":{"session":30}}
          |                                         ^^^^^^^^^

        there is no profile `kafca`
         --> it.jsonl:1:16
          |
        1 | {"recording":1,"profile":"kafca"}
          |                ^^^^^^^^^
          = help: did you mean `kafka`? there are stan, jetstream, jetstream-ack-all, jetstream-ordered, kafka, kafka-auto-commit, kafka-cooperative, kafka-retry-topics, kafka-transactions, kafka-share, rabbitmq-classic, rabbitmq-quorum, rabbitmq-quorum-3, rabbitmq-single-active, sqs-standard, sqs-fifo, sns, pubsub, pubsub-ordered, pubsub-exactly-once, redis-streams, servicebus, servicebus-session, mqtt-qos0, mqtt-qos1, mqtt-qos1-clean, mqtt-qos2"#]].assert_eq(&told.map(error).join("\n\n"));
}

#[test]
fn what_a_classic_queue_takes_back_is_overtaken_by_what_an_ack_makes_room_for() {
    let told = |lines: &[&str]| {
        let mut all = begun(6);
        let got = |message: u32| format!("{{\"ms\":1,\"got\":\"{message}\",\"by\":\"A\"}}");
        let said = |verb: &str, message: u32| format!("{{\"ms\":1,\"{verb}\":\"{message}\",\"by\":\"A\"}}");
        all.extend([got(1), said("ack", 1), got(2), said("nak", 2), got(3), said("ack", 3), got(4)]);
        let lines = all.iter().map(String::as_str).chain(lines.iter().copied());
        admitted("rabbitmq-classic", ",\"set\":{\"window\":3}", &lines.collect::<Vec<_>>())
    };
    let (second, fifth, sixth) = (
        "{\"ms\":1,\"got\":\"2\",\"by\":\"A\",\"redelivered\":true}",
        "{\"ms\":1,\"got\":\"5\",\"by\":\"A\"}",
        "{\"ms\":1,\"got\":\"6\",\"by\":\"A\"}",
    );
    assert_eq!(told(&[second, fifth]), Ok(()));
    assert_eq!(told(&[fifth, second]), Ok(()));
    // There is no more room, which only another answer makes.
    assert!(told(&[fifth, sixth, second]).is_err());
}

#[test]
fn where_no_answer_is_waited_for_it_is_no_matter_when_a_message_was_sent() {
    let mut lines = vec!["{\"ms\":0,\"join\":\"A\"}".to_owned()];
    lines.extend((1..=20).map(|message| format!("{{\"ms\":{message},\"publish\":\"{message}\"}}")));
    lines.extend((1..=20).map(|message| format!("{{\"ms\":30,\"got\":\"{message}\",\"by\":\"A\"}}")));
    for profile in ["mqtt-qos1", "redis-streams"] {
        let text = format!("{{\"recording\":1}}\n{}\n", lines.join("\n"));
        let recording = Recording::parse("it", &text).unwrap_or_else(|error| panic!("{error}"));
        let profile = recording.profile_named(profile).unwrap_or_else(|error| panic!("{error}"));
        let admitted = recording.admit(&profile, 100).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(admitted.states, 21, "as many as may have been sent");
    }
}

#[test]
fn how_another_broker_was_set_up_says_nothing_of_this_one() {
    let (_, recording) = recordings().swap_remove(0);
    assert_eq!(
        recording.profile_named("kafka").map(|profile| profile.rules),
        Ok(Profile::named("kafka").expect("it is there").rules)
    );
}

/// All orders of these numbers.
fn orders(numbers: &[usize]) -> Vec<Vec<usize>> {
    if numbers.is_empty() {
        return vec![Vec::new()];
    }
    let with_first = |place: usize| {
        let rest: Vec<usize> = numbers.iter().copied().filter(|number| *number != numbers[place]).collect();
        orders(&rest).into_iter().map(move |order| [vec![numbers[place]], order].concat())
    };
    (0..numbers.len()).flat_map(with_first).collect()
}

#[test]
fn two_members_with_a_window_of_one_each_see_what_two_inboxes_of_one_let_through_and_nothing_else() {
    let (mut possible, mut all) = (0, 0);
    for order in orders(&[1, 2, 3, 4]) {
        for whose in 0..16_u32 {
            let member = |message: usize| if whose >> (message - 1) & 1 == 0 { "A" } else { "B" };
            let mut lines = vec!["{\"ms\":0,\"join\":\"B\"}".to_owned()];
            lines.extend(begun(4));
            for message in &order {
                let by = member(*message);
                lines.push(format!("{{\"ms\":1,\"got\":\"{message}\",\"by\":\"{by}\"}}"));
                lines.push(format!("{{\"ms\":1,\"ack\":\"{message}\",\"by\":\"{by}\"}}"));
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let is_admitted = admitted("stan", ",\"set\":{\"window\":1}", &lines).is_ok();
            // Each sees its messages in order; and before one is seen all that were published before it are with
            // somebody, at most one of them unseen.
            let seen_before = |message: usize| order.iter().position(|other| *other == message).expect("it is in it");
            let in_order = (1..=4).all(|later| {
                (1..later).all(|earlier| member(earlier) != member(later) || seen_before(earlier) < seen_before(later))
            });
            let near = (1..=4).all(|message| {
                (1..message).filter(|earlier| seen_before(*earlier) > seen_before(message)).count() <= 1
            });
            assert_eq!(is_admitted, in_order && near, "{order:?} with {whose:04b}");
            (possible, all) = (possible + u32::from(is_admitted), all + 1);
        }
    }
    assert_eq!(all, 24 * 16);
    assert!(possible > 16 && possible < all / 2, "{possible} of {all}");
}

/// What one member with a window of one sees if it refuses the second message once, worked out with a list.
fn seen_by_one(place: &str) -> Vec<usize> {
    let (mut waiting, mut returned, mut seen, mut refused): (Vec<usize>, Vec<usize>, Vec<usize>, bool) =
        (vec![1, 2, 3, 4], Vec::new(), Vec::new(), false);
    while !(waiting.is_empty() && returned.is_empty()) {
        let message = if returned.is_empty() { waiting.remove(0) } else { returned.remove(0) };
        seen.push(message);
        if message == 2 && !refused {
            refused = true;
            match place {
                "front" => returned.push(message),
                "back" => waiting.push(message),
                _ => waiting.insert(0, message),
            }
        }
    }
    seen
}

#[test]
fn one_member_with_a_window_of_one_sees_what_a_list_says_and_nothing_else() {
    for place in ["front", "original", "back"] {
        let wanted = seen_by_one(place);
        let mut possible = Vec::new();
        // Five deliveries, one of them the second of the second message.
        for order in orders(&[1, 2, 3, 4, 5]) {
            let order: Vec<usize> = order.into_iter().map(|number| if number == 5 { 2 } else { number }).collect();
            let mut lines = begun(4);
            let mut refused = false;
            for message in &order {
                lines.push(format!("{{\"ms\":1,\"got\":\"{message}\",\"by\":\"A\"}}"));
                let verb = if *message == 2 && !std::mem::replace(&mut refused, *message == 2) { "nak" } else { "ack" };
                lines.push(format!("{{\"ms\":1,\"{verb}\":\"{message}\"}}"));
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            if admitted("rabbitmq-quorum", &format!(",\"set\":{{\"window\":1,\"on_nak\":\"{place}\"}}"), &lines).is_ok()
            {
                possible.push(order);
            }
        }
        possible.sort();
        possible.dedup();
        assert_eq!(possible, [wanted], "{place}");
    }
}
