//! Groups whose messages engines hand out: what each kind of broker does to members that crash, fall behind, lose
//! their connection or their partition.

use pellmell::broker::{Profile, State};
use pellmell::engine::{
    self, Admission, Answer, Commits, Entry, Failure, How, KeyId, Line, MemberId, MessageId, PartitionId, Rules, Seen,
    Start, Told, TopicId, What,
};
use pellmell::faults::MemberChange;
use pellmell::scheduler::Action;
use pellmell::{AckFate, Fate, Step, Window};
use serde_json::{Value, json};

use super::common::{Play, Publish, Rule, Setup};
use super::world::{assert_sound, busy};
use super::{NAK, SILENT, check_ready};

/// A broker on its engine, with settings.
pub(super) fn on(name: &str, settings: &[(&str, Value)]) -> Profile {
    let broker = engine::Profile::named(name).expect("a broker of that name");
    let with = settings.iter().fold(broker, |broker, (name, value)| broker.with(name, value.clone()).expect("a value"));
    Profile::driven(&with)
}

/// Every broker that engines know, on its engine.
pub(super) fn driven() -> Vec<Profile> {
    engine::Profile::all().iter().map(Profile::driven).collect()
}

/// Plays the picks, hands out the rest in turn, lets the clock run as long as anything is open, and compares what was
/// handed out.
#[track_caller]
pub(super) fn check(setup: &Setup, picks: &str, handled: &str) {
    let mut play = setup.after(picks);
    for _ in 0..20 {
        if play.drain().open().is_empty() {
            break;
        }
        play.pick("clock");
    }
    let expected = (handled.to_owned(), String::new());
    assert_eq!((play.handled(), play.open()), expected, "after `{picks}` on {}", setup.profile.name);
}

// Inboxes.

#[test]
fn a_member_that_crashes_takes_its_inbox_with_it() {
    let setup = |name, settings: &[_]| Setup::on(on(name, settings), 6);
    // NATS Streaming and JetStream wait for the ack wait; RabbitMQ and Service Bus notice at once.
    let stan = setup("stan", &[("wait", json!(["5s"]))]);
    check_ready(&stan, "publish; n1 fetch 2 crash before save", "n4");
    let jetstream = setup("jetstream", &[("wait", json!(["5s"]))]);
    check_ready(&jetstream, "publish; n1 fetch 2 crash before save; n4; n5; n6; clock", "n1 #2");
    let rabbit = setup("rabbitmq-quorum", &[]);
    check_ready(&rabbit, "publish; n1 fetch 2 crash before save", "n1 #2");
    check_ready(&rabbit, "publish; n1 fetch 2 crash before save; n1 #2; n2 #2; n3 #2", "n4");
    let classic = setup("rabbitmq-classic", &[]);
    check_ready(&classic, "publish; n1 fetch 2 crash before save; n1 #2; n2 #2", "n3 #2");
}

#[test]
fn what_is_in_an_inbox_is_handled_in_turn_and_comes_to_nobody_else() {
    let setup = Setup::on(on("jetstream", &[]), 4).members(2);
    check_ready(&setup, "publish; n1 fetch 2 paused", "n4");
    check_ready(&setup, "publish; n1 fetch 2 paused; n4", "");
    check_ready(&setup, "publish; n1 fetch 2 paused; n4; resume n1", "n2");
    check_ready(&setup, "publish; n1 fetch 2 paused; n4; resume n1; n2", "n3");
}

#[test]
fn the_waits_of_a_whole_inbox_end_behind_a_slow_handler() {
    let setup = Setup::on(on("jetstream", &[("wait", json!(["5s"]))]), 3).members(2);
    let picks = "publish; n1 fetch 2 paused; clock; clock; clock";
    check_ready(&setup, picks, "n1 #2");
    // The other member gets all three, and the slow one handles what it had all the same.
    let mut play = setup.after(&format!("{picks}; n1 #2; n2 #2; n3 #2; resume n1; n2; n3"));
    assert_eq!((play.handled(), play.open()), ("1 1r1 2r1 3r1 2 3".to_owned(), String::new()));
    assert_eq!(play.calm_to_the_end().saves(2), 2, "it was handled twice");
}

#[test]
fn a_member_that_handles_one_message_at_a_time_is_handed_nothing_else_meanwhile() {
    let setup = Setup::on(on("rabbitmq-quorum", &[]), 3);
    check_ready(&setup, "publish; n1 paused", "");
    let mut overlapping = setup;
    overlapping.hosting.overlapping = true;
    check_ready(&overlapping, "publish; n1 paused", "n2");
}

// Offsets.

#[test]
fn a_consumer_of_kafka_that_crashes_goes_on_after_its_last_commit() {
    let setup = Setup::on(on("kafka", &[]), 5);
    check(&setup, "publish; n1; n2 lost; n3 lost; n4 crash before save", "1 2 3 4 2r1 3r1 4r1 5");
    // A later commit makes up for those that were lost.
    check(&setup, "publish; n1 lost; n2 lost; n3; n4 crash before save", "1 2 3 4 4r1 5");
}

#[test]
fn a_record_that_a_consumer_of_kafka_cannot_handle_holds_up_its_partition() {
    // It cannot see which attempt it is, so it has to know by itself.
    let setup = Setup::on(on("kafka", &[]), 2).answers(&[(1, 1, SILENT)]);
    check_ready(&setup, "publish; n1", "n1 #2");
    check_ready(&setup, "publish; n1; n1 #2; n1 #3", "n1 #4");
    let nak = Setup::on(on("kafka", &[]), 2).answers(&[(1, 1, NAK)]);
    check_ready(&nak, "publish; n1", "n1 #2");
}

#[test]
fn after_an_eager_rebalance_each_partition_begins_at_its_commit_and_the_old_owner_is_a_zombie() {
    let setup = Setup::on(on("kafka", &[]), 3).members(2);
    check_ready(&setup, "publish; n1 paused rebalance", "n1 #2");
    // The zombie's commit is refused: the new owner's is one behind, and it crashes.
    check(&setup, "publish; n1 paused rebalance; n1 #2 lost; resume n1; n2 crash before save", "1 1r1 2 1r2 2r1 3");
}

#[test]
fn what_was_committed_ahead_of_the_work_is_lost_with_the_member() {
    let setup = Setup::on(on("kafka-auto-commit", &[]), 3);
    check(&setup, "publish; n1 ahead crash before save", "1 2 3");
    check(&setup, "publish; n1 crash before save", "1 1r1 2 3");
}

// Other queues.

#[test]
fn the_next_consumer_takes_over_when_the_single_active_one_is_cancelled() {
    let setup = Setup::on(on("rabbitmq-single-active", &[]), 4).members(2);
    // The first one keeps what it has while the second one gets the rest.
    check_ready(&setup, "publish; n1 fetch 1 paused", "");
    check_ready(&setup, "publish; n1 fetch 1 paused cancel", "n3");
}

#[test]
fn a_broken_connection_brings_back_what_the_member_had_while_its_handler_goes_on() {
    let setup = Setup::on(on("rabbitmq-quorum", &[]), 2).members(2);
    check(&setup, "publish; n1 paused reconnect; n1 #2; resume n1", "1 1r1 2");
}

#[test]
fn a_message_without_an_ack_is_claimed_by_another_member_of_a_redis_group() {
    let setup = Setup::on(on("redis-streams", &[]), 2).members(2);
    check(&setup, "publish; n1 lost; n2", "1 2 1r1");
    // Nothing keeps a claimer from taking what is being worked on.
    check(&setup, "publish; n1 paused claimed; n1 #2; resume n1; n2", "1 1r1 2");
}

#[test]
fn a_key_of_a_fifo_queue_is_blocked_while_one_of_its_messages_is_out() {
    let mut setup = Setup::on(on("sqs-fifo", &[]), 0).members(2);
    setup.commands[0] = vec![Publish { notes: vec![(1, 0), (2, 0), (1, 1), (2, 1)], at_ms: 0 }];
    check_ready(&setup, "publish; n1 lost", "n2");
    check_ready(&setup, "publish; n1 lost; n2", "n2@1");
    check(&setup, "publish; n1 lost; n2; n2@1", "1 2 2 1r1 1");
}

#[test]
fn a_session_that_is_kept_sends_again_what_was_not_acked_and_a_clean_one_does_not() {
    check(&Setup::on(on("mqtt-qos1", &[]), 2), "publish; n1 reconnect lost", "1 1r1 2");
    check(&Setup::on(on("mqtt-qos1-clean", &[]), 2), "publish; n1 reconnect lost", "1 2");
    check(&Setup::on(on("mqtt-qos0", &[]), 2), "publish; n1 lost", "1 2");
}

#[test]
fn a_client_that_lives_knows_what_it_was_sent_exactly_once_and_one_that_begins_anew_does_not() {
    let setup = Setup::on(on("mqtt-qos2", &[]), 3);
    // What it has it goes on with over the next connection, also what it has not begun to handle.
    check(&setup, "publish; n1 reconnect", "1 2 3");
    check(&setup, "publish; n1 fetch 2 paused reconnect; resume n1", "1 2 3");
    check(&setup, "publish; n1 paused restarted; resume n1", "1 2 3");
    // What it has to say it says once more.
    check(&setup, "publish; n1 lost", "1 2 3");
    check(&setup, "publish; n1 reconnect lost", "1 2 3");
    // A client that crashes, or is closed, has lost all that; what it had acked is done nevertheless.
    check(&setup, "publish; n1 fetch 1 crash before save", "1 1r1 2r1 3");
    check(&setup, "publish; n1 crash before ack", "1 1r1 2 3");
    check(&setup, "publish; n1 crash after ack", "1 2 3");
    check(&setup, "publish; n1 fetch 1 paused close; resume n1", "1 1r1 2r1 3");
    // Whoever cannot handle a message gets it from the next client.
    let refused = Setup::on(on("mqtt-qos2", &[]), 2).answers(&[(1, 1, SILENT)]);
    check(&refused, "publish; n1; n1 #2; n2", "1 1r1 2");
    // The server says that it has not heard of an ack, and the client has forgotten it by then.
    check(&setup, "publish; n1; n2 forgotten", "1 2 2r1 3");
}

#[test]
fn an_endpoint_that_fails_is_tried_again_and_then_given_up() {
    let setup = Setup::on(on("sns", &[("deliveries", json!(2))]), 1);
    let mut play = setup.after("publish; n1 lost; clock; clock; n1 #2 lost");
    play.calm_to_the_end();
    assert_eq!((play.open(), play.dead()), (String::new(), "n1 #2".to_owned()));
}

#[test]
fn what_a_publisher_says_once_more_is_a_message_of_its_own_for_all_groups() {
    for profile in [on("kafka", &[("dedup", json!("none"))]), Profile::stan()] {
        let setup = Setup::on(profile, 1);
        check(&setup, "publish again", "1 1");
    }
}

// The oracle: what is played is possible for the same engine as a recording.

/// Writes down what a play does as a recording.
struct Recorder {
    lines: Vec<Line>,
    members: u16,
}

impl Recorder {
    fn say(&mut self, play: &Play, what: What) {
        self.lines.push(Line { time: play.world.now(), what });
    }

    fn tell(&mut self, play: &Play, told: Told) {
        self.say(play, What::Told(told));
    }

    fn joins(&mut self, play: &Play, member: u16) {
        self.tell(play, Told::Joined(MemberId(member), Start::Earliest));
    }

    /// Writes down a step that is done, before which the member of a delivery had it.
    fn hear(&mut self, play: &Play, rules: &Rules, (action, had): (Action, u16), step: &Step) {
        let broker = play.world.broker();
        for message in &broker.messages()[step.published.clone()] {
            let key = KeyId(message.name.record.number());
            self.say(play, What::Published(Entry { topic: TopicId(0), key, partition: PartitionId(0) }));
        }
        let (Some(index), Some(actor)) = (step.delivery, step.actor) else {
            match (action, step.delivery, rules) {
                (Action::Ack(_), Some(index), _) => {
                    self.answer(play, broker.delivery(index).member, index.get(), Answer::Ack);
                }
                (Action::Advance, Some(index), Rules::Queue(rules)) if rules.claims => {
                    let message = MessageId(broker.delivery(index).message.get() as u32);
                    self.change(play, Some(MemberChange::Claim), had, message);
                }
                _ => {}
            }
            return;
        };
        let delivery = broker.delivery(index);
        let (member, message) = (MemberId(actor.member), MessageId(delivery.message.get() as u32));
        if matches!(action, Action::Deliver(_)) {
            // What was claimed in this step was sent once more.
            let is_claimed = step.fate.change == Some(MemberChange::Claim) && delivery.state == State::Queued;
            let count = Some(delivery.tries - u16::from(is_claimed));
            let got = Seen::Got { message, member: Some(member), count, redelivered: None };
            self.say(play, What::Seen(got));
        }
        let is_auto = matches!(rules, Rules::Offsets(rules) if rules.commits == Commits::Auto);
        let Fate { ack, crash, change, .. } = step.fate;
        let paused = step.fate.pause && matches!(action, Action::Deliver(_));
        let answers = !paused && !is_auto && ack == AckFate::Prompt;
        if answers && step.acked().is_some() && matches!(crash, None | Some(Window::AfterAck)) {
            self.answer(play, actor.member, index.get(), Answer::Ack);
        }
        if let Rules::Offsets(rules) = rules
            && !paused
            && crash.is_none()
        {
            match step.acked() {
                None if rules.retries.is_some() => self.answer(play, actor.member, index.get(), Answer::Nak(None)),
                // It goes back to what it could not commit together with what it published.
                Some(_) if rules.transactions && ack == AckFate::Lost => {
                    self.tell(play, Told::Sought(member, PartitionId(0), message.0));
                }
                _ => {}
            }
        }
        let breaks = matches!(rules, Rules::Push(rules) if rules.timeout.is_none() && !rules.at_most_once);
        if breaks && !paused && ack == AckFate::Lost && crash.is_none() {
            let knows = matches!(rules, Rules::Push(rules) if rules.exactly_once);
            match (knows, step.acked()) {
                (false, _) => self.tell(play, Told::Left(member, How::Reconnect)),
                // It is said once more.
                (true, Some(_)) => self.answer(play, actor.member, index.get(), Answer::Ack),
                (true, None) => {
                    self.tell(play, Told::Left(member, How::Close));
                    self.joins(play, actor.member);
                }
            }
        }
        if crash.is_some() && !paused {
            self.tell(play, Told::Left(member, How::Crash));
            self.joins(play, actor.member);
        } else if crash.is_none() && matches!(action, Action::Deliver(_)) {
            self.change(play, change, actor.member, message);
        }
    }

    /// Writes down that the connections of all members break.
    fn all_reconnect(&mut self, play: &Play) {
        (0..self.members).for_each(|member| self.tell(play, Told::Left(MemberId(member), How::Reconnect)));
    }

    /// Writes down that the broker fails over to a copy that lacks something.
    fn fails(&mut self, play: &Play, failure: Failure) {
        self.tell(play, Told::Failed(failure));
        self.all_reconnect(play);
    }

    fn answer(&mut self, play: &Play, member: u16, index: usize, answer: Answer) {
        let delivery = &play.world.broker().deliveries()[index];
        let message = MessageId(delivery.message.get() as u32);
        let (member, count) = (Some(MemberId(member)), Some(delivery.tries));
        self.say(play, What::Answered { member, message, count, answer });
    }

    fn change(&mut self, play: &Play, change: Option<MemberChange>, member: u16, message: MessageId) {
        let how = match change {
            None | Some(MemberChange::CommitAhead) => return,
            Some(MemberChange::Rebalance) => return self.joins(play, 0),
            Some(MemberChange::Claim) => {
                let claimer = MemberId((member + 1) % self.members);
                return self.tell(play, Told::Claimed(claimer, vec![message]));
            }
            Some(MemberChange::Restart) => return self.all_reconnect(play),
            Some(MemberChange::ForgetAck) => return self.fails(play, Failure::Forgot(message)),
            Some(MemberChange::Rewind) => return self.fails(play, Failure::Rewound(PartitionId(0))),
            Some(MemberChange::ForgetCounts) => return self.fails(play, Failure::Counts),
            Some(MemberChange::Truncate) => {
                let last = MessageId(play.world.broker().messages().len() as u32 - 1);
                return self.tell(play, Told::Failed(Failure::Lost(last)));
            }
            Some(MemberChange::Compact | MemberChange::Expire) => unreachable!("recordings have none"),
            Some(MemberChange::Reconnect) => How::Reconnect,
            Some(MemberChange::Close) => How::Close,
            Some(_) => How::Cancel,
        };
        self.tell(play, Told::Left(MemberId(member), how));
        if how != How::Reconnect {
            self.joins(play, member);
        }
    }
}

/// A stream of numbers that looks random enough.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Plays a group at random and writes it down.
fn recorded(profile: &Profile, members: u16, seed: u64) -> (Vec<Line>, Vec<String>) {
    let broker = profile.engine.as_ref().expect("an engine");
    let mut numbers = Numbers(seed);
    let mut setup = Setup::on(profile.clone(), 0).members(members);
    setup.commands[0] = vec![Publish::now([1, 2]), Publish::now([1])];
    if matches!(&broker.rules, Rules::Offsets(rules) if rules.retries.is_some()) {
        (setup.rule, setup.mode) = (Rule::FailsOnce, pellmell::PublishMode::DualWrite);
    }
    let mut play = setup.play();
    let mut recorder = Recorder { lines: Vec::new(), members };
    (0..members).for_each(|member| recorder.joins(&play, member));
    let mut steps = Vec::new();
    for _ in 0..10 {
        let enabled: Vec<Action> = play.world.enabled().iter().collect();
        if enabled.is_empty() {
            break;
        }
        let action = enabled[numbers.below(enabled.len() as u64) as usize];
        let mut fate = match play.world.chosen(action) {
            Some(chosen) if chosen.is_delivery => chosen.restrict(any_fate(&mut numbers)),
            _ => Fate::CALM,
        };
        let shortens = fate.change == Some(MemberChange::Truncate) && matches!(broker.rules, Rules::Offsets(_));
        if shortens || matches!(fate.change, Some(MemberChange::Compact | MemberChange::Expire)) {
            // A recording has no word for a log that has not got all that was published.
            fate.change = None;
        }
        if fate.change == Some(MemberChange::Redrive) {
            // A message is one there, and what is put back is another one.
            fate.change = None;
        }
        steps.push(format!("{} {:?}", play.world.describe(action), fate.faults()));
        let had = match action {
            Action::Advance => play.world.enabled().ack_wait().map(|index| play.world.broker().delivery(index).member),
            _ => None,
        };
        let step = play.step(action, fate);
        assert_sound(&play);
        recorder.hear(&play, &broker.rules, (action, had.unwrap_or_default()), &step);
    }
    (recorder.lines, steps)
}

fn any_fate(numbers: &mut Numbers) -> Fate {
    let ack = [AckFate::Prompt, AckFate::Prompt, AckFate::Late, AckFate::Lost][numbers.below(4) as usize];
    let crash = (numbers.below(5) == 0).then(|| Window::ALL[numbers.below(4) as usize]);
    let change = (numbers.below(3) == 0).then(|| MemberChange::all().nth(numbers.below(12) as usize)).flatten();
    let fetch = if numbers.below(3) == 0 { numbers.below(3) as u8 + 1 } else { 0 };
    Fate { ack, crash, pause: numbers.below(3) == 0, fetch, change, ..Fate::CALM }
}

#[test]
fn whatever_is_played_on_an_engine_is_possible_for_it_as_a_recording() {
    for broker in engine::Profile::all() {
        let broker = match &broker.rules {
            // A member that crashed is gone at once in a simulation.
            Rules::Offsets(_) => broker.with("session", json!("0s")).expect("a duration"),
            _ => broker,
        };
        let members = if matches!(broker.rules, Rules::Push(_)) { 1 } else { 2 };
        let profile = Profile::driven(&broker);
        let rules = match &broker.rules {
            // A group of a simulation has an offset from the beginning, of which no line says anything.
            Rules::Offsets(_) => broker.clone().with("start", json!("earliest")).expect("a start").rules,
            rules => rules.clone(),
        };
        let mut decided = 0;
        for seed in 0..40 {
            let (lines, steps) = recorded(&profile, members, seed);
            let refusal = Admission::new(&rules).with_states_max(2_000).run(&lines).err();
            // Where there are too many explanations it is left open.
            decided += u32::from(refusal.as_ref().is_none_or(|refusal| refusal.too_many.is_none()));
            if let Some(refusal) = refusal.filter(|refusal| refusal.too_many.is_none()) {
                let lines: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
                panic!("{}, seed {seed}: {refusal:?}\n{}\n{}", broker.name, lines.join("\n"), steps.join("\n"));
            }
        }
        assert!(decided >= 10, "{}: {decided} of 40", broker.name);
    }
}

#[test]
fn every_group_comes_to_rest_after_any_steps_whatever_the_broker() {
    for profile in driven() {
        for seed in 0..40 {
            let mut numbers = Numbers(seed);
            let mut setup = busy(profile.clone()).members(1 + (seed % 3) as u16);
            // Who refuses what comes first, and cannot see that, refuses it for ever.
            let gives_up = matches!(&profile.engine, Some(broker) if broker.name == "kafka-retry-topics");
            setup.rule = if gives_up { Rule::Answers(&[(1, 1, NAK), (2, 1, SILENT)]) } else { Rule::Answers(&[]) };
            setup.other.iter_mut().for_each(|(rule, _)| *rule = Rule::Answers(&[]));
            let mut play = setup.play();
            let mut steps = Vec::new();
            for _ in 0..60 {
                let enabled: Vec<Action> = play.world.enabled().iter().collect();
                if enabled.is_empty() {
                    break;
                }
                let action = enabled[numbers.below(enabled.len() as u64) as usize];
                let fate = match play.world.chosen(action) {
                    Some(chosen) => chosen.restrict(any_fate(&mut numbers)),
                    _ => Fate::CALM,
                };
                steps.push(format!("{} {:?}", play.world.describe(action), fate.faults()));
                play.step(action, fate);
                assert_sound(&play);
            }
            for _ in 0..400 {
                let Some(action) = play.world.enabled().calm() else { break };
                steps.push(play.world.describe(action));
                play.step(action, Fate::CALM);
                assert_sound(&play);
            }
            let last = steps.len().saturating_sub(40);
            assert_eq!(play.open(), "", "{}, seed {seed}: {}", profile.name, steps[last..].join("\n"));
        }
    }
}

// What a broker loses when it fails.

#[test]
fn a_broker_that_restarts_breaks_the_connections_of_all_groups_at_once() {
    let mut setup = Setup::on(on("rabbitmq-quorum", &[]), 2);
    setup.other = Some((Rule::Answers(&[]), pellmell::Hosting { overlapping: true, ..pellmell::Hosting::ALONE }));
    check_ready(&setup, "publish; n1 > other paused; n2 > other paused; n1 restarted", "n1 > other #2, n2");
}

#[test]
fn an_ack_that_was_forgotten_brings_back_what_was_done() {
    let queue = Setup::on(on("jetstream", &[]), 3);
    check(&queue, "publish; n1; n2 forgotten", "1 2 2r1 3");
    let classic = Setup::on(on("rabbitmq-classic", &[]), 3);
    check(&classic, "publish; n1 forgotten; n1 #2; n2; n3", "1 1r1 2 3");
    // Positions are forgotten up to there, and what is behind it comes again as well.
    let kafka = Setup::on(on("kafka", &[]), 3);
    check(&kafka, "publish; n1; n2; n3 forgotten", "1 2 3 3r1");
    let fifo = Setup::on(on("pubsub-ordered", &[]), 1);
    check(&fifo, "publish; n1 forgotten", "1 1r1");
    let session = Setup::on(on("mqtt-qos1", &[]), 2);
    check(&session, "publish; n1; n2 forgotten", "1 2 2r1");
    // What was not acked has nothing to forget.
    check(&queue, "publish; n1 lost forgotten", "1 2 3 1r1");
}

#[test]
fn a_group_whose_positions_are_lost_begins_again() {
    let kafka = Setup::on(on("kafka", &[]), 3);
    check(&kafka, "publish; n1; n2; n3 rewound", "1 2 3 1r1 2r1 3r1");
}

#[test]
fn a_log_that_is_truncated_lacks_what_nobody_was_sent_yet() {
    for name in ["jetstream", "kafka", "mqtt-qos1", "redis-streams"] {
        let setup = Setup::on(on(name, &[]), 3);
        check(&setup, "publish; n1 truncated", "1 2");
        // Who was sent it has it.
        check(&setup, "publish; n1; n2; n3 truncated", "1 2 3");
    }
    // The other group had it, and keeps it.
    let mut two = Setup::on(on("jetstream", &[]), 2);
    two.other = Some((Rule::Answers(&[]), pellmell::Hosting::ALONE));
    check_ready(&two, "publish; n1 > other; n2 > other; n1 truncated", "");
}

#[test]
fn a_broker_that_has_forgotten_its_counts_delivers_more_often_than_it_may() {
    let dead = |name: &str, picks: &str| {
        let setup = Setup::on(on(name, &[("deliveries", json!(2))]), 1).answers(&[(1, 1, NAK), (1, 2, NAK)]);
        let mut play = setup.after(picks);
        play.drain();
        play.dead()
    };
    for name in ["rabbitmq-quorum", "kafka-share", "jetstream", "sqs-fifo", "pubsub-exactly-once"] {
        assert_eq!(dead(name, "publish"), "n1 #2", "on {name}");
        // The consumer sees the count of which nobody knows that it is a third one.
        assert_eq!(dead(name, "publish; n1 uncounted"), "n1 #3", "on {name}");
        assert_eq!(dead(name, "publish; n1 uncounted; n1 #2 uncounted"), "n1 #4", "on {name}");
    }
    // The connections of the group break with it.
    let setup = Setup::on(on("rabbitmq-quorum", &[]), 2);
    check(&setup, "publish; n1 paused uncounted; resume n1", "1 1r1 2");
}

#[test]
fn dead_letters_that_are_put_back_come_behind_all_others_and_count_from_zero() {
    for name in ["rabbitmq-quorum", "servicebus", "sqs-fifo", "servicebus-session", "jetstream"] {
        let settings = [("deliveries", json!(2)), ("then", json!("dead-letter"))];
        let refused = Setup::on(on(name, &settings), 3).answers(&[(1, 1, NAK), (1, 2, NAK)]);
        let mut play = refused.after("publish; n1; n1 #2 redriven; n2; n3");
        assert_eq!((play.ready(), play.dead()), ("n1 #3".to_owned(), "n1 #2".to_owned()), "on {name}");
        // It dies once more, and is put back once more; what was put back is no dead letter any more.
        play.drain();
        assert_eq!((play.open(), play.dead()), (String::new(), "n1 #2, n1 #4".to_owned()), "on {name}");
        let mut later = refused.after("publish; n1; n1 #2; n2; n3 redriven");
        assert_eq!(later.ready(), "n1 #3", "on {name}");
        later.pick("n1 #3 redriven");
        assert_eq!(later.ready(), "n1 #4", "on {name}");
        later.drain();
        assert_eq!(later.dead(), "n1 #2, n1 #4", "on {name}: nothing is put back twice");
    }
    let has = |name: &str, settings: &[_]| on(name, settings).changes().has(MemberChange::Redrive);
    assert!(has("servicebus", &[]) && has("sqs-standard", &[("deliveries", json!(3))]));
    assert!(!has("sqs-standard", &[]) && !has("rabbitmq-quorum", &[]) && !has("kafka", &[]));
}

#[test]
fn what_a_broker_may_lose_is_up_to_the_broker() {
    let has = |change: MemberChange| {
        let of = |profile: &Profile| profile.changes().has(change).then_some(profile.name);
        driven().iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(has(MemberChange::Restart).len(), driven().len());
    // Of those that give messages up by default.
    assert_eq!(has(MemberChange::ForgetCounts), ["kafka-share", "rabbitmq-quorum", "rabbitmq-single-active"]);
    let manual = ["kafka-retry-topics", "kafka-transactions"];
    let kafka = ["kafka", "kafka-auto-commit", "kafka-cooperative"].into_iter().chain(manual).collect::<Vec<_>>();
    assert_eq!(has(MemberChange::Rewind), kafka);
    let keeps_acks = driven().len() - has(MemberChange::ForgetAck).len();
    assert_eq!(keeps_acks, 8, "{:?}", has(MemberChange::ForgetAck));
    for managed in ["sqs-standard", "sqs-fifo", "sns", "pubsub", "servicebus"] {
        assert!(!has(MemberChange::Truncate).contains(&managed), "{managed}");
    }
}
