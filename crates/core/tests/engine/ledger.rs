//! A ledger of random walks: what becomes of each message that a subscription covers.
//!
//! A walk tells an engine what members do, chooses what it may do, and keeps a book of its own about each message.
//! In the end everybody is there and acks, until nothing comes any more. Then each message was handled or given up,
//! unless the profile's page says that it may be lost.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;

use pellmell_core::Time;
use pellmell_core::engine::{
    Answer, Choice, Clock, Engine, Entry, How, KeyId, Log, MemberId, MessageId, PartitionId, Profile, Rules, Sent,
    Start, Told, TopicId, Wait,
};

use super::dice::Dice;

/// What many walks came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ledger {
    walks: u64,
    /// Messages that a subscription covers.
    messages: u64,
    deliveries: u64,
    /// Messages that somebody got and did not handle, and that were handled later.
    recovered: u64,
    /// Messages that came again after they had been handled.
    duplicated: u64,
    given_up: u64,
    /// Messages that nobody handled, and that were not given up.
    lost: u64,
    /// Deliveries of what was not published, came before the subscription, or was over, and what was given up twice.
    unexpected: u64,
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Ledger) {
        self.walks += other.walks;
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.recovered += other.recovered;
        self.duplicated += other.duplicated;
        self.given_up += other.given_up;
        self.lost += other.lost;
        self.unexpected += other.unexpected;
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { messages, deliveries, recovered, duplicated, given_up, lost, unexpected, .. } = self;
        write!(f, "{messages} | {deliveries} | {recovered} | {duplicated} | {given_up} | {lost} | {unexpected}")
    }
}

/// The profiles that may lose messages although nobody says that they are done, as their pages say.
const MAY_LOSE: [&str; 9] = [
    "jetstream-ack-all",
    "jetstream-ordered",
    "kafka",
    "kafka-auto-commit",
    "kafka-cooperative",
    "kafka-retry-topics",
    "kafka-transactions",
    "mqtt-qos0",
    "mqtt-qos1-clean",
];
/// Of these those that lose nothing if the group begins with the first message.
const ONLY_FROM_THE_END: [&str; 4] = ["kafka", "kafka-cooperative", "kafka-retry-topics", "kafka-transactions"];
/// Those that may send a message again that was acked in time.
const MAY_REPEAT: [&str; 9] = [
    "jetstream-ordered",
    "kafka",
    "kafka-auto-commit",
    "kafka-cooperative",
    "kafka-retry-topics",
    "kafka-transactions",
    "sqs-standard",
    "pubsub",
    "pubsub-ordered",
];
/// Those whose members may give up what others are sent still.
const MAY_REPEAT_DEAD: [&str; 1] = ["kafka-retry-topics"];

/// What the book says of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Page {
    is_covered: bool,
    times: u16,
    /// The delivery that its member may ack in time.
    held: Option<(MemberId, u16)>,
    is_handled: bool,
    is_given_up: bool,
    /// Whether it was acked in time, so that it never comes again.
    is_settled: bool,
    came_again: bool,
}

const MESSAGES_MAX: usize = 5;
const MEMBERS: u16 = 3;
const STEPS: usize = 40;

struct Walk<'a> {
    profile: &'a Profile,
    dice: Dice,
    engine: Engine,
    log: Log,
    now: Time,
    book: Vec<Page>,
    begun: bool,
    /// By member, whether it is there and what it has in hand, in order.
    members: Vec<(bool, Vec<Sent>)>,
    ledger: Ledger,
    choices: Vec<Choice>,
}

impl Walk<'_> {
    fn tell(&mut self, told: &Told) {
        let mut sent = Vec::new();
        self.engine.tell(&self.profile.rules, &self.log, Clock::at(self.now), told, &mut sent);
        sent.into_iter().for_each(|sent| self.sent(sent));
    }

    fn may(&mut self) {
        self.choices.clear();
        self.engine.may(&self.profile.rules, &self.log, Clock::at(self.now), &mut self.choices);
    }

    fn choose(&mut self, choice: &Choice) {
        match choice {
            Choice::Expire(message) => self.book[message.0 as usize].held = None,
            Choice::GiveUp(message) => {
                let page = &mut self.book[message.0 as usize];
                let may_repeat = MAY_REPEAT.contains(&self.profile.name);
                let is_twice = page.is_given_up && !MAY_REPEAT_DEAD.contains(&self.profile.name);
                self.ledger.unexpected += u64::from(is_twice || page.is_settled && !may_repeat);
                self.ledger.given_up += u64::from(!page.is_given_up);
                page.is_given_up = true;
            }
            _ => {}
        }
        if let Some(sent) = self.engine.choose(&self.profile.rules, &self.log, Clock::at(self.now), choice) {
            self.sent(sent);
        }
    }

    /// Enters a delivery.
    fn sent(&mut self, sent: Sent) {
        self.ledger.deliveries += 1;
        let Some(page) = self.book.get_mut(sent.message.0 as usize) else {
            self.ledger.unexpected += 1;
            return;
        };
        page.times += 1;
        let is_dead = page.is_given_up && !MAY_REPEAT_DEAD.contains(&self.profile.name);
        let gone = page.is_settled && !MAY_REPEAT.contains(&self.profile.name) || is_dead;
        if !page.is_covered || gone || sent.count != page.times {
            self.ledger.unexpected += 1;
        }
        if page.is_handled && !page.came_again {
            page.came_again = true;
            self.ledger.duplicated += 1;
        }
        page.held = Some((sent.member, sent.count));
        let (is_there, hand) = &mut self.members[usize::from(sent.member.0)];
        if *is_there {
            hand.push(sent);
        }
    }

    fn publish(&mut self) {
        let number = self.book.len() as u32;
        if self.book.len() == MESSAGES_MAX {
            return;
        }
        let entry = Entry { topic: TopicId(0), key: KeyId(number % 2), partition: PartitionId((number % 2) as u16) };
        let message = self.log.append(entry);
        // Whoever keeps nothing for one that is away has no subscription meanwhile.
        let keeps = !matches!(&self.profile.rules, Rules::Push(rules) if !rules.session) || self.members[0].0;
        self.book.push(Page { is_covered: keeps || !self.begun, ..Page::default() });
        self.tell(&Told::Published(message));
    }

    fn join(&mut self, member: MemberId, start: Start) {
        if !self.begun && begins_at_the_end(self.profile, start) {
            self.book.iter_mut().for_each(|page| page.is_covered = false);
        }
        self.begun = true;
        self.members[usize::from(member.0)].0 = true;
        self.tell(&Told::Joined(member, start));
    }

    fn leave(&mut self, member: MemberId, how: How) {
        let (is_there, hand) = &mut self.members[usize::from(member.0)];
        *is_there = how == How::Reconnect;
        // What it was sent it has still.
        let knows = matches!(&self.profile.rules, Rules::Push(rules) if rules.exactly_once) && how == How::Reconnect;
        if how != How::Cancel && !knows {
            hand.clear();
            let its = |page: &&mut Page| page.held.is_some_and(|(holder, _)| holder == member);
            self.book.iter_mut().filter(its).for_each(|page| page.held = None);
        }
        self.tell(&Told::Left(member, how));
    }

    /// A member answers one of the messages it has in hand, by its place there.
    fn answer(&mut self, member: MemberId, place: usize, answer: Answer) {
        let Sent { message, count, .. } = self.members[usize::from(member.0)].1[place];
        let page = &mut self.book[message.0 as usize];
        let is_in_time = page.held == Some((member, count));
        match answer {
            Answer::Ack | Answer::Term => {
                if !page.is_handled && page.times > 1 && count > 1 {
                    self.ledger.recovered += 1;
                }
                page.is_handled = true;
                page.is_settled |= is_in_time;
                self.members[usize::from(member.0)].1.remove(place);
            }
            Answer::Nak(_) => {
                if is_in_time {
                    page.held = None;
                }
                self.members[usize::from(member.0)].1.remove(place);
            }
            Answer::Extend | _ => {}
        }
        self.tell(&Told::Answered { member, message, count, answer });
    }

    /// Which of the messages in a hand may be answered: of those whose ack is for others too the first.
    fn place(&mut self, member: MemberId) -> Option<usize> {
        let hand = self.members[usize::from(member.0)].1.len();
        let is_for_others = match &self.profile.rules {
            Rules::Offsets(_) => true,
            Rules::Queue(rules) => rules.cumulative,
            Rules::Keyed(_) | Rules::Push(_) | _ => false,
        };
        match hand {
            0 => None,
            _ if is_for_others => Some(0),
            _ => Some(self.dice.roll(hand)),
        }
    }

    fn member(&mut self) -> MemberId {
        // An endpoint is one.
        let many = if matches!(self.profile.rules, Rules::Push(_)) { 1 } else { MEMBERS };
        MemberId(self.dice.roll(many.into()) as u16)
    }

    fn pass(&mut self, secs: u64) {
        self.now = Wait::of_secs(secs).after(self.now);
    }

    fn step(&mut self) {
        let member = self.member();
        let is_there = self.members[usize::from(member.0)].0;
        match self.dice.roll(20) {
            0..10 => {
                self.may();
                if let Some(choice) = self.dice.pick(&self.choices.clone()) {
                    self.choose(&choice);
                }
            }
            10..14 => {
                let may_refuse = match &self.profile.rules {
                    Rules::Offsets(rules) => rules.retries.is_some(),
                    Rules::Push(_) => self.profile.name == "sns",
                    _ => true,
                };
                let answer = match self.dice.roll(8) {
                    0 | 1 if may_refuse => Answer::Nak(None),
                    2 if may_refuse => Answer::Nak(Some(Wait::of_secs(2))),
                    3 if may_refuse => Answer::Extend,
                    4 if may_refuse => Answer::Term,
                    _ => Answer::Ack,
                };
                let ack_is_lost = self.dice.roll(8) == 0;
                match self.place(member) {
                    Some(place) if ack_is_lost => {
                        let Sent { message, .. } = self.members[usize::from(member.0)].1.remove(place);
                        self.book[message.0 as usize].is_handled = true;
                    }
                    Some(place) => self.answer(member, place, answer),
                    None => {}
                }
            }
            14 | 15 => self.publish(),
            16 if is_there => {
                let hows = [How::Close, How::Cancel, How::Crash, How::Reconnect];
                let how = hows[self.dice.roll(hows.len())];
                // An endpoint does not cancel.
                let how =
                    if matches!(self.profile.rules, Rules::Push(_)) && how == How::Cancel { How::Close } else { how };
                self.leave(member, how);
            }
            17 if !is_there => self.join(member, Start::Earliest),
            18 => {
                let secs = [1, 10, 30, 60][self.dice.roll(4)];
                self.pass(secs);
            }
            19 if is_there && matches!(&self.profile.rules, Rules::Queue(rules) if rules.claims) => self.claim(member),
            _ => {}
        }
    }

    fn claim(&mut self, member: MemberId) {
        let all = (0..self.book.len() as u32).map(MessageId).collect();
        self.tell(&Told::Claimed(member, all));
    }

    /// Everybody is there and acks what it has and what comes, until nothing comes any more.
    fn drain(&mut self) -> Result<(), String> {
        let many = if matches!(self.profile.rules, Rules::Push(_)) { 1 } else { MEMBERS };
        for member in (0..many).map(MemberId) {
            let is_there = self.members[usize::from(member.0)].0;
            // Where a window waits for an answer that is lost nothing but a new connection helps.
            if is_there && matches!(self.profile.rules, Rules::Push(_) | Rules::Offsets(_)) {
                self.leave(member, How::Close);
                self.join(member, Start::Earliest);
            } else if !is_there {
                self.join(member, Start::Earliest);
            }
        }
        if matches!(&self.profile.rules, Rules::Queue(rules) if rules.claims) {
            self.claim(MemberId(0));
        }
        let mut idle = 0;
        for _ in 0..2_000 {
            for member in (0..many).map(MemberId) {
                while !self.members[usize::from(member.0)].1.is_empty() {
                    self.answer(member, 0, Answer::Ack);
                }
            }
            self.may();
            self.choices.retain(|choice| !matches!(choice, Choice::Copy(..)));
            match self.dice.pick(&self.choices.clone()) {
                Some(choice) => {
                    idle = 0;
                    self.choose(&choice);
                }
                None if idle == 3 => return Ok(()),
                None => {
                    idle += 1;
                    self.pass(3_600);
                }
            }
        }
        Err("it never comes to rest".to_owned())
    }
}

/// Whether a subscription whose first member says so begins at the end.
fn begins_at_the_end(profile: &Profile, start: Start) -> bool {
    start == Start::New || matches!(&profile.rules, Rules::Offsets(rules) if rules.start == Start::New)
}

/// One walk, and what it came to; what is against the page is an error.
fn walk(profile: &Profile, seed: u64) -> Result<Ledger, String> {
    let mut walk = Walk {
        profile,
        dice: Dice::of(seed),
        engine: profile.rules.begin(),
        log: Log::default(),
        now: Time(0),
        book: Vec::new(),
        begun: false,
        members: vec![(false, Vec::new()); usize::from(MEMBERS)],
        ledger: Ledger { walks: 1, ..Ledger::default() },
        choices: Vec::new(),
    };
    if walk.dice.roll(4) == 0 {
        walk.publish();
    }
    let start = if walk.dice.roll(4) == 0 { Start::New } else { Start::Earliest };
    walk.join(MemberId(0), start);
    for _ in 0..STEPS {
        walk.step();
    }
    walk.drain()?;
    let mut ledger = walk.ledger;
    let covered = walk.book.iter().filter(|page| page.is_covered);
    ledger.messages = covered.clone().count() as u64;
    ledger.lost = covered.filter(|page| !page.is_handled && !page.is_given_up).count() as u64;
    let may_lose = MAY_LOSE.contains(&profile.name)
        && (begins_at_the_end(profile, start) || !ONLY_FROM_THE_END.contains(&profile.name));
    if ledger.unexpected > 0 || ledger.lost > 0 && !may_lose {
        return Err(format!("{ledger:?}\n{:?}", walk.book));
    }
    Ok(ledger)
}

/// The settings that walks are made under: as they are, with small windows, and with a low delivery limit.
fn variants(profile: &Profile) -> Vec<Profile> {
    let with = |profile: &Profile, setting, value: u32| profile.clone().with(setting, value.into());
    let profile = with(profile, "partitions", 2).unwrap_or_else(|_| profile.clone());
    let windows = [1, 3].map(|window| with(&profile, "window", window).expect("each profile has a window"));
    let limited = with(&profile, "deliveries", 3).ok();
    std::iter::once(profile.clone()).chain(windows).chain(limited).collect()
}

/// So many walks under a profile, shared among threads.
fn walks(profile: &Profile, seeds: u64) -> Ledger {
    let variants = variants(profile);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut all = Ledger::default();
    std::thread::scope(|scope| {
        let variants = &variants;
        let part = |thread| {
            move || {
                let mut sum = Ledger::default();
                for seed in (thread..seeds).step_by(threads as usize) {
                    let variant = &variants[(seed % variants.len() as u64) as usize];
                    let came_to = walk(variant, seed);
                    sum += came_to.unwrap_or_else(|what| panic!("{}, seed {seed}: {what}", profile.name));
                }
                sum
            }
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(part(thread))).collect();
        for part in running {
            all += part.join().expect("no walk is against its page");
        }
    });
    all
}

#[test]
fn each_message_is_handled_or_given_up_unless_its_page_says_that_it_may_be_lost() {
    let mut losing = BTreeSet::new();
    for profile in Profile::all() {
        let ledger = walks(&profile, 3_000);
        assert_eq!(ledger.unexpected, 0, "{}", profile.name);
        assert!(ledger.messages > 3_000 && ledger.deliveries > ledger.messages / 2, "{}: {ledger}", profile.name);
        if ledger.lost > 0 {
            losing.insert(profile.name);
        }
    }
    assert_eq!(losing, BTreeSet::from(MAY_LOSE), "those that may lose messages do");
}

#[test]
fn a_group_that_begins_with_the_first_message_and_commits_by_hand_loses_nothing() {
    for name in ONLY_FROM_THE_END {
        let profile = Profile::named(name).and_then(|profile| profile.with("start", "earliest".into()).ok());
        let ledger = walks(&profile.expect("it has a start"), 3_000);
        assert!(ledger.recovered > 1_000, "{name}: {ledger}");
    }
}

#[test]
#[ignore = "takes a minute or two in a release build: .ci/run calls it"]
#[expect(clippy::print_stdout, reason = "it prints the table of docs/brokers/README.md")]
fn the_ledger_of_a_million_walks_of_each_profile() {
    for profile in Profile::all() {
        println!("| `{}` | {} |", profile.name, walks(&profile, 1_000_000));
    }
}
