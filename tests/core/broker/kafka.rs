//! Two ways to use Kafka besides committing by hand: retry topics, and transactions.

use pellmell::PublishMode;
use serde_json::json;

use super::common::{Publish, Rule, Setup};
use super::engines::{check, on};
use super::{NAK, check_ready};

/// A consumer that fails at each note once, after it has saved it.
fn failing_once(notes: u32) -> Setup {
    let setup = Setup::on(on("kafka-retry-topics", &[]), notes);
    Setup { rule: Rule::FailsOnce, mode: PublishMode::DualWrite, ..setup }
}

/// Note 2 comes before note 1, without which it cannot be handled.
fn out_of_order(name: &str) -> Setup {
    let mut setup = Setup::on(on(name, &[]), 0);
    setup.commands[0] = vec![Publish::now([2, 1])];
    Setup { rule: Rule::InNoteOrder, ..setup }
}

#[test]
fn with_retry_topics_a_record_that_fails_comes_again_later_and_its_partition_goes_on() {
    let retried = out_of_order("kafka-retry-topics");
    check_ready(&retried, "publish; n2", "n1");
    check_ready(&retried, "publish; n2; n1", "");
    let play = retried.after("publish; n2; n1; clock");
    assert_eq!((play.ready().as_str(), play.now_ms()), ("n2 #2", 1_001));
    check(&retried, "publish", "2 1 2r1");
    // Where the client goes back to it, it never comes to what would help.
    let mut play = out_of_order("kafka").after("publish; n2");
    assert_eq!((play.ready(), play.calm_to_the_end().open()), (String::new(), "n2 #2, n1".to_owned()));
}

#[test]
fn a_record_in_a_retry_topic_holds_up_those_behind_it() {
    let setup = Setup::on(on("kafka-retry-topics", &[]), 3).members(2).answers(&[(1, 1, NAK), (2, 1, NAK)]);
    // Whoever has the topic handles one record after the other, and the other member goes on.
    check_ready(&setup, "publish; n1; n2", "n3");
    check_ready(&setup, "publish; n1; n2; clock", "n1 #2, n3");
    check_ready(&setup, "publish; n1; n2; clock; clock", "n1 #2, n3");
    check_ready(&setup, "publish; n1; n2; clock; clock; n1 #2", "n2 #2, n3");
}

#[test]
fn a_record_that_fails_as_often_as_it_may_goes_to_the_dead_letter_topic() {
    let setup = Setup::on(on("kafka-retry-topics", &[]), 2).answers(&[(1, 1, NAK)]);
    check(&setup, "publish", "1 2 1r1 1r2");
    let mut play = setup.after("publish");
    play.calm_to_the_end();
    assert_eq!((play.dead(), play.now_ms()), ("n1 #3".to_owned(), 2_001));
    let once = on("kafka-retry-topics", &[("retries", json!({"attempts": 1, "delay": "1s"}))]);
    check(&Setup::on(once, 2).answers(&[(1, 1, NAK)]), "publish", "1 2");
}

#[test]
fn what_a_crash_cuts_off_is_not_in_the_retry_topic() {
    let setup = Setup::on(on("kafka-retry-topics", &[]), 2);
    check(&setup, "publish; n1 crash before save", "1 1r1 2");
    check(&setup, "publish; n1 crash before ack", "1 1r1 2");
    // What comes from the retry topic comes from its offset there.
    let fails_once = failing_once(2);
    check(&fails_once, "publish; n1; n2; clock; n1 #2 crash before ack; clock", "1 2 1r1 1r2 2r1");
    check(&fails_once, "publish; n1; n2; clock; n1 #2 lost; clock; n2 #2 crash before ack", "1 2 1r1 2r1 1r2 2r2");
}

#[test]
fn a_member_that_has_lost_its_partition_publishes_to_the_retry_topic_all_the_same() {
    let setup = Setup::on(on("kafka-retry-topics", &[]), 1).members(2).answers(&[(1, 1, NAK)]);
    let mut play = setup.after("publish; n1 paused rebalance; n1 #2; resume n1");
    for _ in 0..5 {
        play.drain();
        if !play.open().is_empty() {
            play.pick("clock");
        }
    }
    // Two of it went through all attempts: six deliveries, two dead letters.
    assert_eq!((play.handled.len(), play.dead().split(", ").count(), play.open()), (6, 2, String::new()));
    // And one that the new owner has handled comes again.
    let mut play =
        failing_once(1).members(2).after("publish; n1 paused rebalance; n1 #2 crash before ack; n1 #3; resume n1");
    play.calm_to_the_end();
    assert_eq!((play.open(), play.dead(), play.saves(1)), (String::new(), String::new(), 1), "{}", play.handled());
}

#[test]
fn offsets_of_the_retry_topic_are_forgotten_like_any_others() {
    let fails_once = failing_once(2);
    check(&fails_once, "publish; n1; n2; clock; n1 #2 forgotten; clock", "1 2 1r1 1r2 2r1");
    check(&fails_once, "publish; n1; n2 rewound", "1 2 1r1 2r1 1r2 2r2");
}

/// A consumer that saves and publishes itself.
fn copying(name: &str, mode: PublishMode) -> Setup {
    Setup { mode, copies: true, ..Setup::on(on(name, &[]), 1) }
}

/// How many copies of notes are published after these picks, and how many once all is done.
#[track_caller]
fn copies(setup: &Setup, picks: &str) -> (usize, usize) {
    let mut play = setup.after(picks);
    let by_then = play.published("note:copied");
    play.calm_to_the_end();
    assert_eq!(play.open(), "", "after `{picks}`");
    (by_then, play.published("note:copied"))
}

#[test]
fn in_a_transaction_what_is_published_is_out_with_the_commit_and_not_without_it() {
    for mode in [PublishMode::DualWrite, PublishMode::BeforeSave] {
        let (plain, together) = (copying("kafka", mode), copying("kafka-transactions", mode));
        for (picks, without, with) in [
            ("publish; n1", (1, 1), (1, 1)),
            ("publish; n1 crash before save", (0, 1), (0, 1)),
            ("publish; n1 crash before ack", (1, 2), (0, 1)),
            ("publish; n1 crash after ack", (1, 1), (1, 1)),
            // What is published with a commit that does not arrive is published again.
            ("publish; n1 lost", (1, 1), (0, 1)),
            ("publish; n1 late", (1, 1), (0, 1)),
        ] {
            assert_eq!(copies(&plain, picks), without, "without transactions: `{picks}`, {mode:?}");
            assert_eq!(copies(&together, picks), with, "with transactions: `{picks}`, {mode:?}");
        }
    }
    // What was saved before the crash stays, and is handled again.
    let play = copying("kafka-transactions", PublishMode::DualWrite).after("publish; n1 crash before ack; n1 #2");
    assert_eq!((play.saves(1), play.published("note:copied")), (2, 1));
    // A relay publishes by itself.
    let relay = copying("kafka-transactions", PublishMode::Outbox);
    assert_eq!(copies(&relay, "publish; n1 crash before ack"), (1, 2));
}

#[test]
fn the_transaction_of_a_member_that_has_lost_its_partition_is_refused() {
    for mode in [PublishMode::DualWrite, PublishMode::BeforeSave] {
        let (plain, together) = (copying("kafka", mode).members(2), copying("kafka-transactions", mode).members(2));
        let picks = "publish; n1 paused rebalance; n1 #2; resume n1";
        assert_eq!((copies(&plain, picks), copies(&together, picks)), ((2, 2), (1, 1)), "{mode:?}");
        // The other way round the zombie is first.
        let picks = "publish; n1 paused rebalance; resume n1";
        assert_eq!((copies(&plain, picks), copies(&together, picks)), ((1, 2), (0, 1)), "{mode:?}");
        // Also where the same member is sent it again.
        let picks = "publish; n1 paused reconnect; resume n1";
        assert_eq!((copies(&plain, picks), copies(&together, picks)), ((1, 2), (0, 1)), "{mode:?}");
        // A commit that is on its way when the partition goes to another is late.
        let picks = "publish; n1 late rebalance; ack n1";
        assert_eq!((copies(&plain, picks), copies(&together, picks)), ((1, 2), (0, 1)), "{mode:?}");
    }
}

#[test]
fn a_member_that_is_back_after_a_crash_ends_what_it_left_open() {
    let setup = Setup {
        commands: [vec![Publish::now([1, 2])], Vec::new()],
        ..copying("kafka-transactions", PublishMode::DualWrite)
    };
    // Its own commit was on its way.
    assert_eq!(copies(&setup, "publish; n1 late; n2 crash before save; ack n1"), (0, 2));
    assert_eq!(copies(&setup, "publish; n1 late; n2 crash before save; n1 #2; ack n1"), (1, 2));
}
