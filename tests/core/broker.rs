//! What the broker and the world around it do, rule by rule: picks are played by hand and what is
//! ready, handed out, saved or given up is compared with a list.

mod common;
mod departures;
mod engines;
mod faults;
mod groups;
mod kafka;
mod logs;
mod traces;
mod world;

use std::time::Duration;

use common::{CONSUMER, Publish, Rule, Setup, exclusive, limited, ordered, stan};
use pellmell::broker::{
    AckMode, Dispatch, Exhausted, Granularity, InFlight, Limit, MaxDeliver, Ordering, RedeliverAt, ReleaseOn, Scope,
    Stale,
};
use pellmell::{Hosting, Outcome, Profile, PublishMode, Version, Window};

const SILENT: Outcome = Outcome::Silent("scripted");
const NAK: Outcome = Outcome::nak("scripted");
const NAK_FOR_700_MS: Outcome = nak_after(700);
const NAK_FOR_5_S: Outcome = nak_after(5_000);

const fn nak_after(millis: u64) -> Outcome {
    Outcome::Nak { reason: "scripted", delay: Some(Duration::from_millis(millis)) }
}

/// Plays the picks and compares what is ready then.
#[track_caller]
fn check_ready(setup: &Setup, picks: &str, ready: &str) {
    assert_eq!(setup.after(picks).ready(), ready, "ready after `{picks}` under {:?}", setup.profile);
}

/// Plays the picks, hands out whatever is ready then, and compares what was handed out.
#[track_caller]
fn check_handled(setup: &Setup, picks: &str, handled: &str) {
    assert_eq!(setup.after(picks).drain().handled(), handled, "handed out after `{picks}` under {:?}", setup.profile);
}

fn stale(stale: Stale) -> Profile {
    Profile { ack: AckMode { granularity: Granularity::Individual, stale }, ..stan() }
}

fn redelivering(redeliver_at: RedeliverAt) -> Profile {
    Profile { redeliver_at, ..stan() }
}

fn at_most(times: u16) -> Profile {
    Profile { max_deliver: MaxDeliver::Times { times, action: Exhausted::DeadLetter }, ..stan() }
}

/// A broker that knows naks, as JetStream and RabbitMQ do.
fn with_naks(profile: Profile) -> Profile {
    Profile { naks: true, ..profile }
}

fn releasing_on_crash(profile: Profile) -> Profile {
    Profile { release_on: ReleaseOn { crash: true, ..profile.release_on }, ..profile }
}

// Ordering.

#[test]
fn without_an_order_every_delivery_is_ready() {
    for reorder_window in [Limit::Of(0), Limit::Unlimited] {
        for limit in [Limit::Of(9), Limit::Unlimited] {
            let max_in_flight = InFlight { limit, scope: Scope::Group };
            let setup = Setup::on(Profile { reorder_window, max_in_flight, ..ordered(Ordering::None) }, 3);
            check_ready(&setup, "publish", "n1, n2, n3");
            check_ready(&setup, "publish; n3", "n1, n2");
        }
    }
}

#[test]
fn in_a_log_only_the_front_is_ready() {
    let setup = Setup::on(stan(), 3);
    check_ready(&setup, "", "");
    check_ready(&setup, "publish", "n1");
    check_ready(&setup, "publish; n1", "n2");
    check_ready(&setup, "publish; n1 lost", "n2");
    check_ready(&setup, "publish; n1; n2; n3", "");
}

#[test]
fn with_keys_the_front_of_each_record_is_ready() {
    let mut setup = Setup::on(ordered(Ordering::Key { partitions: None }), 0);
    setup.commands[0] = vec![Publish { notes: vec![(1, 0), (2, 0), (1, 1), (2, 1)], at_ms: 0 }];
    check_ready(&setup, "publish", "n1, n2");
    check_ready(&setup, "publish; n2", "n1, n2@1");
    check_ready(&setup, "publish; n2; n1", "n1@1, n2@1");
    check_ready(&setup, "publish; n2; n2@1", "n1");
}

#[test]
fn records_of_one_partition_keep_their_order() {
    check_ready(&Setup::on(ordered(Ordering::Key { partitions: Some(1) }), 3), "publish", "n1");
    let mut play = Setup::on(ordered(Ordering::Key { partitions: Some(2) }), 9).after("publish");
    let broker = play.world.broker();
    assert_eq!(broker.ready().len(), 2, "nine records fall into both partitions");
    assert!(play.ready().starts_with("n1, "), "the first message is at the front of its partition");
    assert_eq!(play.drain().open(), "");
}

#[test]
fn a_reorder_window_lets_so_many_more_be_ready() {
    let window = |reorder_window| Setup::on(Profile { reorder_window, ..stan() }, 4);
    check_ready(&window(Limit::Of(1)), "publish", "n1, n2");
    check_ready(&window(Limit::Of(2)), "publish", "n1, n2, n3");
    check_ready(&window(Limit::Of(2)), "publish; n3", "n1, n2, n4");
    check_ready(&window(Limit::Unlimited), "publish", "n1, n2, n3, n4");
}

// Dispatch and limits.

#[test]
fn competing_members_may_handle_whatever_fits_in_their_inboxes() {
    // One member may have n1 and n2 waiting while the other handles n3.
    check_ready(&Setup::on(stan(), 4).members(2), "publish", "n1, n2, n3, n4");
    check_ready(&Setup::on(stan(), 4).members(2), "publish; n3", "n1, n2, n4");
    let two_each = || limited(2, Scope::Member);
    check_ready(&Setup::on(two_each(), 6).members(2), "publish", "n1, n2, n3, n4");
    check_ready(&Setup::on(two_each(), 6).members(2), "publish; n1 lost", "n2, n3, n4");
    check_ready(&Setup::on(two_each(), 6).members(2), "publish; n4; n1", "n2, n3, n5, n6");
}

#[test]
fn competing_members_with_room_for_one_have_one_each() {
    let one_each = || limited(1, Scope::Member);
    check_ready(&Setup::on(one_each(), 4).members(2), "publish", "n1, n2");
    check_ready(&Setup::on(one_each(), 4).members(3), "publish", "n1, n2, n3");
    check_ready(&Setup::on(one_each(), 4).members(3), "publish; n2", "n1, n3, n4");
}

#[test]
fn an_exclusive_owner_takes_one_after_the_other() {
    check_ready(&Setup::on(exclusive(), 4).members(3), "publish", "n1");
    check_ready(&Setup::on(exclusive(), 4).members(3), "publish; n1", "n2");
    let by_key = Profile { ordering: Ordering::Key { partitions: None }, ..exclusive() };
    check_ready(&Setup::on(by_key, 3).members(2), "publish", "n1, n2, n3");
}

#[test]
fn an_exclusive_owner_is_the_only_member_that_gets_anything() {
    let setup = Setup::on(Profile { dispatch: Dispatch::Exclusive, ..limited(1, Scope::Member) }, 3).members(2);
    check_ready(&setup, "publish; n1 lost", "");
    check_ready(&setup, "publish; n1 lost; clock", "n1 #2");
    check_ready(&setup, "publish; n1 lost; clock; n1 #2", "n2");
    let by_key = Profile { ordering: Ordering::Key { partitions: None }, ..setup.profile };
    check_ready(&Setup::on(by_key, 3).members(2), "publish; n1 lost", "n2");
}

#[test]
fn a_limit_per_member_blocks_when_every_member_is_full() {
    let setup = Setup::on(limited(1, Scope::Member), 4).members(2);
    check_ready(&setup, "publish; n1 lost; n2 lost", "");
    check_ready(&setup, "publish; n1 late; n2 late", "");
    check_ready(&setup, "publish; n1 late; n2 late; ack n2", "n3");
    check_ready(&setup, "publish; n1 paused; n2 paused; resume n1", "n3");
    check_ready(&setup, "publish; n1 lost; n2 lost; clock", "n1 #2");
    check_ready(&Setup::on(limited(2, Scope::Member), 6).members(2), "publish; n1 lost; n2 lost; n3 lost", "n4");
}

#[test]
fn a_member_that_is_full_competes_for_nothing() {
    let setup = Setup::on(limited(1, Scope::Member), 4).members(2);
    check_ready(&setup, "publish; n1 lost", "n2");
    check_ready(&setup, "publish; n1 lost; n2", "n3");
    check_ready(&setup, "publish; n1 late; n2; ack n1", "n3, n4");
}

#[test]
fn a_limit_per_group_counts_all_members() {
    let setup = Setup::on(limited(2, Scope::Group), 4).members(3);
    check_ready(&setup, "publish; n1 late; n2 late", "");
    check_ready(&setup, "publish; n1 late; n2 late; ack n1", "n3");
    check_ready(&setup, "publish; n1 late; n2 late; ack n1; ack n2", "n3, n4");
}

#[test]
fn a_superseded_delivery_gives_its_place_in_the_limit_to_its_successor() {
    // A handler or an ack that outlives its ack wait does not hide the redelivery, however tight the limit
    // is: nats-server 2.15.1 with max_ack_pending 1 redelivers while the first handler works on.
    let async_alone = |scope| {
        let mut setup = Setup::on(limited(1, scope), 2);
        setup.hosting.overlapping = true;
        setup
    };
    for scope in [Scope::Member, Scope::Group] {
        for setup in [async_alone(scope), Setup::on(limited(1, scope), 2).members(2)] {
            for began in ["n1 paused", "n1 late"] {
                let mut play = setup.after(&format!("publish; {began}; clock"));
                assert!(play.ready().starts_with("n1 #2"), "{scope:?}, {began}: {}", play.ready());
                // The place is taken again, and both handlers come to their end.
                assert!(!play.pick("n1 #2 late").ready().contains("n1"));
                play.calm_to_the_end();
                assert_eq!((play.open(), &play.handled[..2]), (String::new(), &["1".into(), "1r1".into()][..]));
            }
        }
    }
    let setup = Setup::on(limited(1, Scope::Group), 2);
    check_ready(&setup, "publish; n1 late; clock; n1 #2 late", "");
    check_ready(&setup, "publish; n1 late; clock; n1 #2 late; ack n1", "n2");
    check_ready(&setup, "publish; n1 late; clock; n1 #2 late; ack n1; ack n1 #2", "n2");
    check_ready(&Setup::on(limited(2, Scope::Group), 4), "publish; n1 late; n2 late; clock; n1 #2 late; ack n1", "n3");
}

#[test]
fn a_limit_of_one_per_group_keeps_the_order_whoever_competes() {
    let setup = Setup::on(limited(1, Scope::Group), 3).members(2);
    check_ready(&setup, "publish", "n1");
    check_ready(&setup, "publish; n1", "n2");
}

#[test]
fn a_limit_spans_all_keys() {
    let by_key = Profile { ordering: Ordering::Key { partitions: None }, ..limited(2, Scope::Group) };
    let setup = Setup::on(by_key, 4);
    check_ready(&setup, "publish", "n1, n2, n3, n4");
    check_ready(&setup, "publish; n3 late; n1 late", "");
    check_ready(&setup, "publish; n3 late; n1 late; ack n3", "n2, n4");
}

#[test]
fn a_redelivery_that_may_come_at_any_time_counts_against_the_limit() {
    let setup = Setup::on(Profile { redeliver_at: RedeliverAt::Any, ..limited(1, Scope::Group) }, 2);
    check_ready(&setup, "publish; n1 lost; clock", "n1 #2, n2");
    check_ready(&setup, "publish; n1 lost; clock; n1 #2 late", "");
    check_ready(&setup, "publish; n1 lost; clock; n1 #2 late; ack n1 #2", "n2");
    // Nor does one get through that is full already.
    check_ready(&setup, "publish; n1 lost; clock; n2 late", "");
    check_ready(&setup, "publish; n1 lost; clock; n2 late; ack n2", "n1 #2");
    let two = Setup::on(Profile { redeliver_at: RedeliverAt::Any, ..limited(1, Scope::Member) }, 4).members(2);
    check_ready(&two, "publish; n1 lost; n2 lost; clock; n3 late", "");
}

// Acks.

#[test]
fn a_lost_ack_is_delivered_again_after_the_ack_wait() {
    let setup = Setup::on(stan(), 2);
    let mut play = setup.after("publish; n1 lost");
    assert_eq!((play.open(), play.now_ms()), ("n1, n2".to_owned(), 1));
    play.pick("clock");
    assert_eq!((play.ready(), play.now_ms()), ("n1 #2".to_owned(), 1_001));
    play.pick("n1 #2");
    assert_eq!((play.open(), play.saves(1)), ("n2".to_owned(), 2));
}

#[test]
fn a_lost_ack_of_a_handler_that_changed_nothing_is_delivered_again() {
    for profile in [stan(), Profile::adversarial()] {
        let mut setup = Setup::on(profile, 1);
        setup.rule = Rule::Ignores;
        let mut play = setup.after("publish; n1 lost");
        assert_eq!(play.calm_to_the_end().open(), "");
    }
}

#[test]
fn a_late_ack_arrives_as_an_action_of_its_own() {
    let mut play = Setup::on(stan(), 2).after("publish; n1 late");
    assert_eq!(
        play.enabled(),
        [
            "deliver note:added n2@0 -> consumer #1",
            "late ack of note:added n1@0 -> consumer #1",
            "clock: ack wait of note:added n1@0 -> consumer #1 runs out"
        ]
    );
    assert_eq!(play.open(), "n1, n2");
    play.pick("n2; ack n1");
    assert_eq!((play.open(), play.enabled()), (String::new(), Vec::new()));
}

#[test]
fn a_stale_ack_calls_off_the_redelivery_if_it_counts() {
    let picks = "publish; n1 late; clock; ack n1";
    check_ready(&Setup::on(stale(Stale::Accept), 1), "publish; n1 late; clock", "n1 #2");
    check_ready(&Setup::on(stale(Stale::Accept), 1), picks, "");
    assert_eq!(Setup::on(stale(Stale::Accept), 1).after(picks).open(), "");
    check_ready(&Setup::on(stale(Stale::Reject), 1), picks, "n1 #2");
    assert_eq!(Setup::on(stale(Stale::Reject), 1).after(picks).open(), "n1 #2");
}

#[test]
fn a_stale_ack_that_counts_ends_a_redelivery_that_was_not_answered() {
    let picks = "publish; n1 late; clock; n1 #2; ack n1";
    let answers = &[(1, 2, SILENT)];
    assert_eq!(Setup::on(stale(Stale::Accept), 1).answers(answers).after(picks).open(), "");
    assert_eq!(Setup::on(stale(Stale::Reject), 1).answers(answers).after(picks).open(), "n1 #2");
}

#[test]
fn a_stale_ack_that_counts_leaves_a_running_redelivery_its_last() {
    let silent = "publish; n1 late; clock; n1 #2 paused; ack n1; resume n1 #2";
    let answers = &[(1, 2, SILENT)];
    assert_eq!(Setup::on(stale(Stale::Accept), 1).answers(answers).after(silent).open(), "");
    assert_eq!(Setup::on(stale(Stale::Reject), 1).answers(answers).after(silent).open(), "n1 #2");
    let acked = "publish; n1 late; clock; n1 #2 late; ack n1; ack n1 #2";
    for how in [Stale::Accept, Stale::Reject] {
        assert_eq!(Setup::on(stale(how), 1).after(acked).open(), "");
    }
}

#[test]
fn the_ack_wait_grows_from_attempt_to_attempt() {
    let waits = vec![Duration::from_secs(1), Duration::from_secs(5)];
    let setup = Setup::on(Profile { ack_wait: waits, ..stan() }, 1);
    let setup = setup.answers(&[(1, 1, SILENT), (1, 2, SILENT), (1, 3, SILENT)]);
    let mut play = setup.after("publish");
    for (picks, now_ms) in [("n1; clock", 1_001), ("n1 #2; clock", 6_001), ("n1 #3; clock", 11_001)] {
        assert_eq!(play.pick(picks).now_ms(), now_ms, "after `{picks}`");
    }
    assert_eq!(play.ready(), "n1 #4");
}

#[test]
fn a_redelivery_that_overtook_its_handler_has_the_next_ack_wait() {
    let waits = vec![Duration::from_secs(1), Duration::from_secs(5)];
    let setup = Setup::on(Profile { ack_wait: waits, ..stan() }, 1);
    let mut play = setup.after("publish; n1 paused; clock; n1 #2 lost; clock");
    assert_eq!((play.now_ms(), play.ready()), (6_001, "n1 #3".to_owned()));
    assert_eq!(play.pick("resume n1").open(), "n1 #3", "the first handler lost the race and is not waited for");
}

#[test]
fn without_an_ack_wait_nothing_is_delivered_again() {
    let play = Setup::on(Profile { ack_wait: Vec::new(), ..stan() }, 1).after("publish; n1 lost");
    assert_eq!((play.open(), play.enabled()), ("n1".to_owned(), Vec::new()));
}

#[test]
fn the_ack_wait_of_zero_is_over_at_once() {
    let play = Setup::on(Profile::adversarial(), 2).after("publish; n1 lost");
    assert_eq!((play.ready(), play.now_ms()), ("n1 #2, n2".to_owned(), 1));
}

#[test]
fn a_duplicate_is_settled_by_its_own_ack() {
    let setup = Setup::on(ordered(Ordering::None), 2);
    check_ready(&setup, "publish; n1 twice", "n1 #2, n2");
    assert_eq!(setup.after("publish; n1 twice lost; n1 #2").open(), "n1, n2");
    assert_eq!(setup.after("publish; n1 lost twice; n1 #2; clock").ready(), "n1 #3, n2");
    check_handled(&Setup::on(stan(), 3), "publish; n1 twice", "1 2 3 1r1");
}

// Where redeliveries go.

#[test]
fn a_released_message_goes_where_the_profile_says() {
    let picks = "publish; n1 lost; n2 lost; clock; clock";
    for (redeliver_at, handled) in [
        (RedeliverAt::Front, "1 2 1r1 2r1 3 4"),
        (RedeliverAt::Original, "1 2 1r1 2r1 3 4"),
        (RedeliverAt::Back, "1 2 3 4 1r1 2r1"),
    ] {
        check_handled(&Setup::on(redelivering(redeliver_at), 4), picks, handled);
    }
    check_ready(&Setup::on(redelivering(RedeliverAt::Any), 4), picks, "n1 #2, n2 #2, n3");
}

#[test]
fn what_comes_back_to_the_front_keeps_the_order_in_which_it_came_back() {
    // Recorded from nats-server 2.15.1: three of five unacked, all ack waits over before the next fetch.
    let expired = "publish; n1 lost; n2 lost; n3 lost; clock; clock; clock";
    check_handled(&Setup::on(stan(), 5), expired, "1 2 3 1r1 2r1 3r1 4 5");
    // And naks of 3, 2 and 1, in this order.
    let mut setup = Setup::on(with_naks(stan()), 6).answers(&[(1, 1, NAK), (2, 1, NAK), (3, 1, NAK)]);
    setup.hosting.overlapping = true;
    let refused = "publish; n1 paused; n2 paused; n3 paused; resume n3; resume n2; resume n1";
    check_handled(&setup, refused, "1 2 3 3r1 2r1 1r1 4 5 6");
}

#[test]
fn a_redelivery_of_a_handler_that_still_runs_goes_there_too() {
    let picks = "publish; n1 paused; n2 paused; clock; clock";
    for (redeliver_at, ready) in [
        (RedeliverAt::Front, "n1 #2"),
        (RedeliverAt::Original, "n1 #2"),
        (RedeliverAt::Back, "n3"),
        (RedeliverAt::Any, "n1 #2, n2 #2, n3"),
    ] {
        check_ready(&Setup::on(redelivering(redeliver_at), 4), picks, ready);
    }
}

#[test]
fn a_nak_is_delivered_again_at_once() {
    let setup = Setup::on(with_naks(stan()), 3).answers(&[(2, 1, NAK)]);
    let mut play = setup.after("publish; n1; n2");
    assert_eq!((play.ready(), play.now_ms()), ("n2 #2".to_owned(), 1));
    assert_eq!(play.drain().handled(), "1 2 2r1 3");
}

#[test]
fn a_nak_with_a_delay_is_delivered_again_after_it() {
    let setup = Setup::on(with_naks(stan()), 3).answers(&[(2, 1, NAK_FOR_700_MS)]);
    let mut play = setup.after("publish; n1; n2");
    assert_eq!(play.ready(), "n3");
    play.pick("clock");
    assert_eq!((play.ready(), play.now_ms()), ("n2 #2".to_owned(), 701));
}

#[test]
fn the_delay_of_a_nak_takes_the_place_of_the_ack_wait() {
    let setup = Setup::on(with_naks(stan()), 1).answers(&[(1, 1, NAK_FOR_5_S)]);
    for picks in ["publish; n1; clock", "publish; n1 paused; resume n1; clock"] {
        let play = setup.after(picks);
        assert_eq!((play.ready(), play.now_ms()), ("n1 #2".to_owned(), 5_001), "after `{picks}`");
    }
}

#[test]
fn the_ack_wait_of_a_delivery_that_came_back_early_ends_no_later_one() {
    let profile = Profile { ack_wait: [1, 10].map(Duration::from_secs).to_vec(), ..with_naks(stan()) };
    let setup = Setup::on(profile, 2).answers(&[(2, 1, NAK)]);
    let mut play = setup.after("publish; n1 paused; n2 paused; resume n2; n2 #2 paused; clock");
    assert_eq!((play.ready(), play.now_ms()), ("n1 #2".to_owned(), 1_001));
    play.pick("clock");
    assert_eq!((play.ready(), play.now_ms()), ("n1 #2".to_owned(), 10_001));
}

#[test]
fn a_broker_that_knows_no_nak_takes_it_for_a_silence() {
    for nak in [NAK, NAK_FOR_700_MS] {
        let answers: &'static [(u32, u16, Outcome)] =
            if nak == NAK { &[(1, 1, NAK)] } else { &[(1, 1, NAK_FOR_700_MS)] };
        let mut play = Setup::on(stan(), 1).answers(answers).after("publish; n1");
        assert_eq!(play.ready(), "");
        assert_eq!((play.pick("clock").ready(), play.now_ms()), ("n1 #2".to_owned(), 1_001));
    }
    assert!(!Profile::stan().naks && Profile::adversarial().naks);
}

#[test]
fn a_lost_nak_is_a_silence() {
    let setup = Setup::on(with_naks(stan()), 1).answers(&[(1, 1, NAK)]);
    let mut play = setup.after("publish; n1 lost");
    assert_eq!(play.ready(), "");
    assert_eq!(play.pick("clock").ready(), "n1 #2");
    assert_eq!(play.now_ms(), 1_001);
}

// Giving up.

#[test]
fn a_message_delivered_too_often_is_dead() {
    let setup = Setup::on(at_most(2), 2).answers(&[(1, 1, SILENT), (1, 2, SILENT)]);
    let mut play = setup.after("publish; n1; clock; n1 #2");
    assert_eq!((play.dead(), play.open()), (String::new(), "n1 #2, n2".to_owned()));
    play.pick("clock");
    assert_eq!((play.dead(), play.open(), play.ready()), ("n1 #2".to_owned(), "n2".to_owned(), "n2".to_owned()));
    play.pick("n2");
    assert_eq!((play.enabled(), play.handled()), (Vec::new(), "1 1r1 2".to_owned()));
}

#[test]
fn a_nak_counts_as_a_delivery() {
    let setup = Setup::on(with_naks(at_most(2)), 1).answers(&[(1, 1, NAK), (1, 2, NAK_FOR_700_MS)]);
    assert_eq!(setup.after("publish; n1; n1 #2").dead(), "");
    assert_eq!(setup.after("publish; n1; n1 #2; clock").dead(), "n1 #2");
}

#[test]
fn a_last_attempt_that_outruns_the_ack_wait_is_the_last() {
    let setup = Setup::on(at_most(1), 1).answers(&[(1, 1, SILENT)]);
    let mut play = setup.after("publish; n1 paused; clock");
    assert_eq!(play.ready(), "");
    play.pick("resume n1");
    assert_eq!((play.dead(), play.open(), play.enabled()), ("n1".to_owned(), String::new(), Vec::new()));
    // Cut off instead.
    let mut setup = Setup::on(at_most(1), 2);
    setup.hosting.overlapping = true;
    let play = setup.after("publish; n1 paused; clock; n2 crash after ack");
    assert_eq!((play.dead(), play.open()), ("n1".to_owned(), String::new()));
    // And if it is acked after all, it is done.
    let play = Setup::on(at_most(1), 1).after("publish; n1 late; clock; ack n1");
    assert_eq!((play.dead(), play.open()), (String::new(), String::new()));
}

#[test]
fn a_run_ends_only_when_what_is_given_up_is_dead() {
    let mut setup = Setup::on(at_most(3), 0);
    setup.rule = Rule::InVersionOrder;
    setup.commands[0] = vec![Publish { notes: vec![(1, 1)], at_ms: 0 }];
    let mut play = setup.play();
    assert_eq!(play.calm_to_the_end().dead(), "n1@1 #3");
    assert_eq!((play.open(), play.now_ms()), (String::new(), 3_001));
}

// Slow handlers.

#[test]
fn a_redelivery_can_be_handled_while_the_first_handler_is_paused() {
    let mut play = Setup::on(stan(), 1).after("publish; n1 paused; clock");
    assert_eq!(play.open(), "n1, n1 #2");
    play.pick("n1 #2");
    assert_eq!((play.open(), play.saves(1)), ("n1".to_owned(), 1));
    // The first one read before the second saved.
    play.pick("resume n1");
    assert_eq!((play.open(), play.saves(1), play.enabled()), (String::new(), 1, Vec::new()));
    assert_eq!(play.handled(), "1 1r1");
}

#[test]
fn two_overlapping_handlers_of_one_message_both_finish() {
    let picks = "publish; n1 paused; clock; n1 #2 paused; resume n1; resume n1 #2";
    let play = Setup::on(stale(Stale::Accept), 1).after(picks);
    assert_eq!((play.saves(1), play.open()), (1, String::new()), "the ack of the first counts for both");
    let play = Setup::on(stale(Stale::Reject), 1).after(picks);
    assert_eq!((play.saves(1), play.open()), (1, "n1 #2".to_owned()), "the second lost the race and comes again");
}

#[test]
fn a_paused_handler_reads_what_was_there_when_it_began() {
    let mut setup = Setup::on(ordered(Ordering::None), 0);
    setup.commands[0] = vec![Publish::versions(2)];
    setup.hosting.overlapping = true;
    let mut play = setup.after("publish; n1@0 paused; n1@1; resume n1");
    assert_eq!((play.saves(1), play.open()), (1, "n1".to_owned()), "its save finds that n1 exists by now");
    assert_eq!(play.pick("clock; n1 #2").saves(1), 2);
}

#[test]
fn a_paused_handler_sees_what_it_saved_itself() {
    // It saves, reads again, and publishes what it reads, as "save, then reload" does.
    let mut setup = Setup { copies_what_it_reads: true, ..Setup::on(ordered(Ordering::None), 0) };
    setup.commands[0] = vec![Publish::versions(1)];
    setup.hosting.overlapping = true;
    for picks in ["publish; n1", "publish; n1 paused; resume n1"] {
        let play = setup.after(picks);
        let copied = play.world.broker().messages().last().expect("a copy").event.version;
        assert_eq!((copied, play.saves(1)), (Version(1), 1), "after `{picks}`");
    }
    // What others saved meanwhile it still does not see, except where it saved over it.
    setup.commands[0] = vec![Publish::versions(2)];
    setup.rule = Rule::Overwrites;
    let play = setup.after("publish; n1@0 paused; n1@1; resume n1");
    let copied = play.world.broker().messages().last().expect("a copy").event.version;
    assert_eq!((copied, play.saves(1)), (Version(1), 1), "its own save, made of what it had read before");
}

// Crashes.

/// What is left of a delivery whose member crashes: saves, copies published, whether it is open.
type Left = (u32, usize, bool);

/// By window.
const CRASHES: [(PublishMode, [Left; 4]); 3] = [
    (PublishMode::Outbox, [(0, 0, true), (1, 1, true), (1, 1, true), (1, 1, false)]),
    (PublishMode::DualWrite, [(0, 0, true), (1, 0, true), (1, 1, true), (1, 1, false)]),
    (PublishMode::BeforeSave, [(0, 0, true), (0, 1, true), (1, 1, true), (1, 1, false)]),
];

#[test]
fn a_crash_leaves_what_was_done_before_its_window() {
    for (mode, left) in CRASHES {
        for (window, (saves, copies, open)) in Window::ALL.into_iter().zip(left) {
            let setup = Setup { mode, copies: true, ..Setup::on(stan(), 1) };
            let mut play = setup.after(&format!("publish; n1 crash {}", window.name()));
            let found = (play.saves(1), play.published("note:copied"), play.open() == "n1");
            assert_eq!(found, (saves, copies, open), "{mode:?}, crash {}", window.name());
            if open {
                assert_eq!(play.ready(), "", "{mode:?}, crash {}: the ack wait runs", window.name());
                play.pick("clock; n1 #2");
                let found = (play.saves(1), play.published("note:copied"), play.open());
                assert_eq!(found, (saves + 1, copies + 1, String::new()), "{mode:?}, crash {}", window.name());
            }
        }
    }
}

#[test]
fn a_crash_during_a_command_leaves_the_same() {
    for (mode, left) in CRASHES {
        for (window, (saves, published, _)) in Window::ALL.into_iter().zip(left) {
            let setup = Setup { mode, ..Setup::on(stan(), 1) };
            let play = setup.after(&format!("publish crash {}", window.name()));
            let saved = play.world.store_of("publisher").find::<common::Note>(common::note(1)).is_some();
            let found = (u32::from(saved), play.published("note:added"));
            assert_eq!(found, (saves, published), "{mode:?}, crash {}", window.name());
        }
    }
}

#[test]
fn what_a_crash_took_back_is_not_taken_for_futile() {
    for (mode, _) in CRASHES {
        for window in Window::ALL {
            let setup = Setup { mode, rule: Rule::InNoteOrder, ..Setup::on(stan(), 1) };
            let mut play = setup.after(&format!("publish; n1 crash {}", window.name()));
            play.calm_to_the_end();
            assert_eq!((play.open(), play.saves(1) > 0), (String::new(), true), "{mode:?}, crash {}", window.name());
        }
    }
    // The handler saves and fails, and the crash takes the save back.
    let setup = Setup { mode: PublishMode::BeforeSave, rule: Rule::FailsOnce, ..Setup::on(stan(), 1) };
    let mut play = setup.after("publish; n1 crash before publish");
    assert_eq!(play.saves(1), 0);
    assert_eq!((play.calm_to_the_end().open(), play.saves(1)), (String::new(), 1));
}

#[test]
fn a_crash_releases_what_the_member_had_only_if_the_profile_says_so() {
    let picks = "publish; n1 lost; n2; n3 crash before save";
    check_ready(&Setup::on(stan(), 5), picks, "n4");
    check_handled(&Setup::on(stan(), 5), picks, "1 2 3 4 5");
    for (redeliver_at, handled) in [
        (RedeliverAt::Front, "1 2 3 1r1 3r1 4 5"),
        (RedeliverAt::Original, "1 2 3 1r1 3r1 4 5"),
        (RedeliverAt::Back, "1 2 3 4 5 1r1 3r1"),
    ] {
        check_handled(&Setup::on(releasing_on_crash(redelivering(redeliver_at)), 5), picks, handled);
    }
}

#[test]
fn a_crash_cuts_off_the_other_handlers_of_the_member() {
    let mut setup = Setup::on(stan(), 3);
    setup.hosting.overlapping = true;
    let mut play = setup.after("publish; n1 paused; n2 crash after ack");
    assert_eq!((play.open(), play.saves(1)), ("n1, n3".to_owned(), 0));
    assert!(!play.enabled().iter().any(|action| action.starts_with("resume")), "{:?}", play.enabled());
    play.pick("clock");
    assert_eq!((play.ready(), play.now_ms()), ("n1 #2".to_owned(), 1_001));
    setup.profile = releasing_on_crash(setup.profile);
    check_ready(&setup, "publish; n1 paused; n2 crash after ack", "n1 #2");
}

#[test]
fn a_crash_leaves_other_members_alone() {
    let setup = Setup::on(releasing_on_crash(stan()), 3).members(2);
    let mut play = setup.after("publish; n1 paused; n2 crash before ack");
    assert_eq!((play.open(), play.ready()), ("n1, n2 #2, n3".to_owned(), "n2 #2, n3".to_owned()));
    assert_eq!(play.pick("resume n1").open(), "n2 #2, n3");
}

#[test]
fn an_ack_that_was_sent_survives_the_crash_of_its_sender() {
    let play = Setup::on(releasing_on_crash(stan()), 1).after("publish; n1 late crash after ack; ack n1");
    assert_eq!((play.open(), play.enabled()), (String::new(), Vec::new()));
}

// Groups.

#[test]
fn a_group_that_joins_late_gets_everything() {
    let mut setup = Setup::on(stan(), 3);
    setup.other = Some((Rule::Answers(&[]), Hosting { joins_late: true, ..Hosting::ALONE }));
    let mut play = setup.after("publish; n1");
    assert_eq!((play.open(), play.ready()), ("n2, n3".to_owned(), "n2".to_owned()));
    play.pick("join other");
    assert_eq!(
        (play.open(), play.ready()),
        ("n1 > other, n2, n2 > other, n3, n3 > other".to_owned(), "n1 > other, n2".to_owned())
    );
    assert_eq!(play.drain().open(), "");
    assert_eq!(play.handled(), "1 other:1 2 other:2 3 other:3");
}

#[test]
fn services_that_name_one_group_share_its_messages() {
    let shared = Hosting { group: Some(CONSUMER.to_owned()), ..Hosting::ALONE };
    let setup = Setup { other: Some((Rule::Answers(&[]), shared)), ..Setup::on(stan(), 4) };
    let mut play = setup.after("publish");
    assert_eq!(play.open(), "n1, n2, n3, n4");
    play.drain();
    let others = play.handled.iter().filter(|handled| handled.starts_with("other:")).count();
    assert_eq!((play.handled.len(), others, play.open()), (4, 2, String::new()), "{}", play.handled());
}

#[test]
fn a_group_each_gets_a_copy_of_every_message() {
    let setup = Setup { other: Some((Rule::Answers(&[]), Hosting::ALONE)), ..Setup::on(stan(), 2) };
    check_ready(&setup, "publish", "n1, n1 > other");
    check_handled(&setup, "publish; n1 lost", "1 other:1 2 other:2");
}

// Deliveries that change nothing.

fn in_note_order(profile: Profile, numbers: &[u32]) -> Setup {
    let mut setup = Setup { rule: Rule::InNoteOrder, ..Setup::on(profile, 0) };
    setup.commands[0] = vec![Publish::now(numbers.iter().copied())];
    setup
}

#[test]
fn a_futile_delivery_comes_back_when_the_store_changes() {
    let setup = in_note_order(Profile::adversarial(), &[2, 1]);
    check_ready(&setup, "publish; n2", "n1");
    check_ready(&setup, "publish; n2; n1", "n2 #2");
    assert_eq!(setup.after("publish; n2; n1; n2 #2").open(), "");
}

#[test]
fn a_futile_delivery_holds_nothing_up_that_could_help_it() {
    let setup = in_note_order(stan(), &[2, 1, 3]);
    check_ready(&setup, "publish; n2; clock", "n1");
    check_ready(&setup, "publish; n2; clock; n1", "n2 #2");
    assert_eq!(setup.after("publish; n2; clock; n1").drain().open(), "");
    // The one it needs was published before it and is delivered again.
    let setup = in_note_order(stan(), &[1, 2, 3]);
    check_ready(&setup, "publish; n1 crash before save; n2; clock; clock", "n1 #2");
    check_ready(&setup, "publish; n1 crash before save; n2; n3; clock; clock; clock", "n1 #2");
}

#[test]
fn several_futile_deliveries_come_back_at_their_places() {
    let picks = "publish; n3; n2; clock; clock; n1";
    for (redeliver_at, handled) in [
        (RedeliverAt::Front, "3 2 1 3r1 2r1 4 3r2 4r1"),
        (RedeliverAt::Original, "3 2 1 3r1 2r1 4 3r2 4r1"),
        (RedeliverAt::Back, "3 2 1 4 3r1 2r1 3r2 4r1"),
    ] {
        let setup = in_note_order(redelivering(redeliver_at), &[3, 2, 1, 4]);
        let mut play = setup.after(picks);
        play.drain();
        // What is silent again waits; what it waited for has been saved.
        while play.open() != "" {
            play.pick("clock").drain();
        }
        assert_eq!(play.handled(), handled, "{redeliver_at:?}");
    }
}

#[test]
fn a_futile_delivery_that_fills_the_limit_blocks_what_is_behind_it() {
    for redeliver_at in [RedeliverAt::Front, RedeliverAt::Original] {
        let setup = in_note_order(Profile { redeliver_at, ..limited(1, Scope::Group) }, &[2, 1]);
        check_ready(&setup, "publish; n2; clock", "");
        assert_eq!(setup.after("publish").calm_to_the_end().open(), "n2 #2, n1", "{redeliver_at:?}");
    }
    let setup = in_note_order(limited(2, Scope::Group), &[3, 2, 1]);
    check_ready(&setup, "publish; n3; clock", "n2");
    check_ready(&setup, "publish; n3; clock; n2", "");
}

#[test]
fn a_futile_delivery_that_goes_to_the_back_blocks_nothing() {
    let setup = in_note_order(Profile { redeliver_at: RedeliverAt::Back, ..limited(1, Scope::Group) }, &[3, 2, 1]);
    check_ready(&setup, "publish; n3; clock", "n2");
    assert_eq!(setup.after("publish").calm_to_the_end().open(), "");
}
