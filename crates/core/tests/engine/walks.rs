//! Random walks of the engines against what servers did with the same script.
//!
//! A recording is taken as a script: what was published, who came and went when, and what each member said to the
//! so-manieth delivery of a message. Walks of the engine are played with it, in which the broker does at once what
//! it may do, one thing after the other as chance will have it, and what a member says arrives at once. What the
//! server did and no walk does is a question of travelling times or of luck, and `admit` answers it; what walks do
//! and the server did not do is how much wider the engine is.

use std::collections::{BTreeMap, BTreeSet};

use pellmell_core::Time;
use pellmell_core::engine::{
    Answer, Choice, Clock, How, Log, MemberId, MessageId, Profile, Recording, Rules, Seen, Sent, Told, Wait, What,
};

use super::dice::Dice;
use super::pairs::{is_documented, recordings, repository};

/// How many walks are played with each script.
const WALKS: u64 = 2_000;
/// What is said so soon after another word may arrive with it.
const TOGETHER: Wait = Wait::of_millis(5);

/// What was handed to whom, in order.
type Order = Vec<(MessageId, MemberId)>;

/// What was said of a delivery: how much later, in which line of all, and what.
type Said = (u64, usize, Answer);

/// A recording as a script.
struct Script {
    /// What was done, and when, but for answers.
    steps: Vec<(Time, What)>,
    /// What a member said to the so-manieth delivery of a message, and how much later.
    answers: BTreeMap<(MemberId, MessageId, usize), Vec<Said>>,
    /// The members that say something.
    saying: BTreeSet<MemberId>,
    /// What the server did.
    order: Order,
    /// When the server sent something first, and when the script is over.
    begins: Time,
    ends: Time,
}

impl Script {
    /// A script, if it is known who got each message.
    fn of(recording: &Recording) -> Option<Script> {
        let mut seen: Vec<(Time, MessageId, MemberId)> = Vec::new();
        let (mut steps, mut answers, mut saying) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for (place, line) in recording.lines.iter().enumerate() {
            match &line.what {
                What::Seen(Seen::Got { message, member, .. }) => seen.push((line.time, *message, (*member)?)),
                What::Answered { .. } | What::Offset { seeks: false, .. } => {
                    let (member, message, answer) = match line.what {
                        What::Answered { member, message, answer, .. } => (member, message, answer),
                        // What is committed is what is acked.
                        What::Offset { member, message, .. } => (Some(member), message, Answer::Ack),
                        _ => continue,
                    };
                    let of_it = |(_, other, by): &&(Time, MessageId, MemberId)| {
                        *other == message && member.is_none_or(|member| member == *by)
                    };
                    let (when, _, by) = *seen.iter().rev().find(of_it)?;
                    let nth = seen.iter().filter(|(_, other, _)| *other == message).count();
                    let said: &mut Vec<Said> = answers.entry((by, message, nth)).or_default();
                    said.push((line.time.0 - when.0, place, answer));
                    saying.insert(by);
                }
                What::Seen(_) => {}
                what => steps.push((line.time, what.clone())),
            }
        }
        let begins = seen.first()?.0;
        let order = seen.into_iter().map(|(_, message, member)| (message, member)).collect();
        Some(Script { steps, answers, saying, order, begins, ends: recording.lines.last()?.time })
    }

    /// What a member says: what it said then; if the server never sent it that, an ack, unless it never says anything.
    fn answers(&self, sent: Sent, nth: usize) -> Vec<Said> {
        match self.answers.get(&(sent.member, sent.message, nth)) {
            Some(answers) => answers.clone(),
            None if self.order.len() >= nth && self.was_sent(sent, nth) => Vec::new(),
            None if self.saying.contains(&sent.member) => vec![(0, usize::MAX, Answer::Ack)],
            None => Vec::new(),
        }
    }

    fn was_sent(&self, sent: Sent, nth: usize) -> bool {
        let of_it = self.order.iter().filter(|(message, _)| *message == sent.message);
        of_it.enumerate().any(|(place, (_, member))| place + 1 == nth && *member == sent.member)
    }
}

/// How long waits of these rules are.
fn waits(rules: &Rules) -> Vec<Wait> {
    match rules {
        Rules::Queue(rules) => rules.wait.clone(),
        Rules::Keyed(rules) => rules.wait.clone(),
        Rules::Offsets(rules) => vec![rules.session],
        Rules::Push(rules) => rules.retries.iter().copied().chain(rules.timeout).collect(),
        _ => Vec::new(),
    }
}

/// What one walk hands to whom.
fn walk(profile: &Profile, script: &Script, seed: u64) -> Order {
    let (rules, mut dice) = (&profile.rules, Dice::of(seed));
    let (mut engine, mut log) = (rules.begin(), Log::default());
    let mut order = Order::new();
    let mut away: BTreeSet<MemberId> = BTreeSet::new();
    // What is said when, in the order in which it is said.
    let mut to_say: Vec<(Time, usize, Sent, Answer)> = Vec::new();
    let mut steps = script.steps.iter().peekable();
    let mut moments: BTreeSet<Time> = script.steps.iter().map(|(time, _)| *time).chain([script.begins]).collect();
    let mut choices = Vec::new();
    while let Some(now) = moments.pop_first().filter(|now| *now <= script.ends) {
        loop {
            let clock = Clock::at(now);
            let mut sent = Vec::new();
            choices.clear();
            engine.may(rules, &log, clock, &mut choices);
            let is_early = now < script.begins;
            choices.retain(|choice| match choice {
                Choice::Copy(..) => false,
                Choice::Send(..) => !is_early,
                _ => true,
            });
            to_say.retain(|(.., sent, _)| !away.contains(&sent.member));
            to_say.sort_by_key(|(when, place, ..)| (*when, *place));
            let due_by = |end: Time| to_say.iter().take_while(|(when, ..)| *when <= end).count();
            let (due, together) = (due_by(now), due_by(TOGETHER.after(now)));
            if let Some((_, what)) = steps.next_if(|(time, _)| *time <= now) {
                let told = match what {
                    What::Published(entry) => Told::Published(log.append(*entry)),
                    What::Told(told) => told.clone(),
                    What::Offset { member, message, beyond, .. } => {
                        let partition = log.entry(*message).partition;
                        let before = log.partition(partition).partition_point(|other| other < message) as u32;
                        Told::Sought(*member, partition, before + beyond)
                    }
                    _ => continue,
                };
                match &told {
                    Told::Joined(member, _) => drop(away.remove(member)),
                    Told::Left(member, How::Close | How::Crash) => drop(away.insert(*member)),
                    _ => {}
                }
                engine.tell(rules, &log, clock, &told, &mut sent);
                if let Told::Left(..) = told {
                    moments.extend(waits(rules).iter().map(|wait| wait.after(now)));
                }
            } else if choices.len() + due == 0 {
                break;
            } else {
                let pick = dice.roll(choices.len() + due);
                if let Some(choice) = choices.get(pick) {
                    sent.extend(engine.choose(rules, &log, clock, choice));
                } else {
                    // Of what is said at one time one word arrives, or all of it.
                    let arriving = if dice.roll(2) == 0 { together } else { 1 };
                    for (.., Sent { message, member, count }, answer) in to_say.drain(..arriving) {
                        engine.tell(rules, &log, clock, &Told::Answered { member, message, count, answer }, &mut sent);
                        if let Answer::Nak(Some(delay)) = answer {
                            moments.insert(delay.after(now));
                        }
                        moments.extend(waits(rules).iter().map(|wait| wait.after(now)));
                    }
                }
            }
            for sent in sent {
                moments.extend(waits(rules).iter().map(|wait| wait.after(now)));
                if away.contains(&sent.member) {
                    continue;
                }
                order.push((sent.message, sent.member));
                let nth = order.iter().filter(|(message, _)| *message == sent.message).count();
                for (later, place, answer) in script.answers(sent, nth) {
                    let when = Time(now.0 + later);
                    moments.insert(when);
                    to_say.push((when, place, sent, answer));
                }
            }
            if order.len() > 300 {
                return order;
            }
        }
    }
    order
}

/// The recordings that no walk does as the server did. In the first ones members ask for messages, are given their
/// partitions or commit by themselves, and when that is no line says; in the last two the server takes turns, and one
/// walk in a thousand does.
const UNSAID: [&str; 11] = [
    "jetstream-2.9.10-batch-expires",
    "jetstream-2.9.10-pull-a-dies",
    "librdkafka-mock-2.12.1-auto-commit-early-crash",
    "librdkafka-mock-2.12.1-latest",
    "moto-5.2.5-sqs-fifo-batch",
    "moto-5.2.5-sqs-fifo-two-groups",
    "moto-5.2.5-sqs-fifo-visibility-timeout",
    "nats-server-2.15.1-pull-batch-expires",
    "nats-server-2.15.1-pull-crash",
    "redis-7.0.15-claims-its-own",
    "redis-7.0.15-crash-claim",
];
const IN_TURNS: [&str; 2] =
    ["rabbitmq-3.10.8-classic-two-consumers-one-dies", "rabbitmq-3.10.8-quorum-two-consumers-one-dies"];

#[test]
fn walks_with_the_script_of_a_recording_do_what_the_server_did() {
    // By profile: how many recordings all walks, some, and none of them do as the server, and how many other orders
    // there are in the one with the most.
    let mut rows: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    let mut never = BTreeSet::new();
    for (name, recording) in recordings().into_iter().filter(|(_, recording)| !is_documented(recording)) {
        let script = Script::of(&recording).unwrap_or_else(|| panic!("{name}: it is open who got a message"));
        let profile = recording.profile().unwrap_or_else(|error| panic!("{error}"));
        let orders: Vec<Order> = (0..WALKS).map(|seed| walk(&profile, &script, seed)).collect();
        let same = orders.iter().filter(|order| **order == script.order).count();
        let others: BTreeSet<&Order> = orders.iter().filter(|order| **order != script.order).collect();
        let row = rows.entry(profile.name).or_default();
        row[if others.is_empty() {
            0
        } else if same > 0 {
            1
        } else {
            2
        }] += 1;
        row[3] = row[3].max(others.len());
        if same == 0 {
            never.insert(name);
        }
    }
    let never: BTreeSet<&str> = never.iter().map(String::as_str).collect();
    assert_eq!(never, UNSAID.into_iter().chain(IN_TURNS).collect(), "what no walk does as the server did");
    let page = std::fs::read_to_string(repository().join("docs/brokers/README.md")).expect("the page is there");
    let names = Profile::names().into_iter().filter_map(|name| Some((name, rows.get(name)?)));
    let rows: String = names
        .map(|(name, [all, some, none, others])| format!("| `{name}` | {all} | {some} | {none} | {others} |\n"))
        .collect();
    assert!(page.contains(&rows), "docs/brokers/README.md has other rows than\n{rows}");
}
