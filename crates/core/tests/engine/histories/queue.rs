//! Queues with an ack for each message, as their pages tell of them.

use std::collections::BTreeSet;

use pellmell_core::engine::{Answer, Choice, How, KeyId, MemberId, MessageId, PartitionId, Start, Told, TopicId, Wait};

use super::{A, B, Ending, Event, History, Page, SECOND, Walked, World, first_ending, walk, with};

/// Where a message comes again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Back {
    /// Before all that was never sent, in the order of coming back.
    First,
    /// Where it was.
    Place,
    /// Behind all that waits.
    Last,
    /// Anywhere.
    Anywhere,
}

/// Whether an ack counts that comes too late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Late {
    Counts,
    Fails,
    Either,
}

/// What first deliveries keep the order of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ordered {
    All,
    Topics,
    Nothing,
}

/// What a page says of a queue.
#[derive(Clone, Debug)]
struct Queue {
    ordered: Ordered,
    window: usize,
    /// Whether the window is of all members together.
    shared: bool,
    /// How many milliseconds it waits for an answer to the first delivery, and so on; the last one repeats.
    waits: Vec<u64>,
    /// Where what was refused comes again; nothing: it cannot be refused.
    refused: Option<Back>,
    lost: Back,
    ran_out: Back,
    /// Whether what was refused is back only after a while.
    back_late: bool,
    /// What of a member brings back at once what it had.
    releases: Vec<How>,
    /// Whether a member that crashed goes on being sent to.
    sends_to_crashed: bool,
    /// Whether only the first member is served.
    one_active: bool,
    /// Whether an ack is for all before it.
    acks_all: bool,
    late: Late,
    /// How often a message is sent at most.
    most: u16,
    claims: bool,
    copies: bool,
}

/// What the history says of a message.
#[derive(Clone, Debug, Default)]
struct Fate {
    published: usize,
    is_sent: bool,
    is_over: bool,
    /// Who has it, which delivery, since which step and which millisecond.
    held: Option<(MemberId, u16, usize, u64)>,
    /// When what was refused for a time comes back, who had it, and at which step it was refused.
    later: Option<(u64, MemberId, usize)>,
    /// Where it came back, and at which step.
    back: Option<(Back, usize)>,
    /// Whether it is open if a late ack counts.
    in_doubt: bool,
}

impl Fate {
    fn over(&mut self) {
        *self = Fate { published: self.published, is_sent: self.is_sent, is_over: true, ..Fate::default() };
    }

    fn came_back(&mut self, back: Back, step: usize) {
        (self.held, self.later, self.back) = (None, None, Some((back, step)));
    }

    fn waits(&self) -> bool {
        !self.is_over && self.held.is_none() && self.later.is_none()
    }
}

impl Queue {
    /// Whether a member that leaves so brings back at once what it had.
    fn brings_back(&self, how: How) -> bool {
        self.releases.contains(&how) && !(self.sends_to_crashed && how == How::Crash)
    }

    fn fates(&self, history: &History) -> Vec<Fate> {
        let mut fates: Vec<Fate> = Vec::new();
        let mut anybody = false;
        for (step, happened) in history.steps.iter().enumerate() {
            match &happened.event {
                Event::Told(Told::Published(_)) => fates.push(Fate { published: step, ..Fate::default() }),
                Event::Told(Told::Joined(_, start)) => {
                    if !anybody && *start == Start::New {
                        fates.iter_mut().for_each(Fate::over);
                    }
                    anybody = true;
                }
                Event::Told(Told::Left(member, how)) if self.brings_back(*how) => {
                    let its = |fate: &&mut Fate| fate.held.is_some_and(|(holder, ..)| holder == *member);
                    for fate in fates.iter_mut().filter(its) {
                        let later = fate.later;
                        fate.came_back(self.lost, step);
                        fate.later = later;
                    }
                }
                Event::Told(Told::Answered { member, message, count, answer }) => {
                    self.answered(&mut fates, (*member, *message, *count), *answer, (step, happened.ms));
                }
                // What is not in the log any more comes to nobody, and nobody is waited for who has it.
                Event::Told(Told::Compacted(message)) => fates[message.0 as usize].over(),
                Event::Told(Told::Expired(_, upto)) => fates[..*upto as usize].iter_mut().for_each(Fate::over),
                Event::Did(Choice::Expire(message)) => {
                    let fate = &mut fates[message.0 as usize];
                    let place = match fate.later {
                        Some(_) => self.refused.expect("it was refused"),
                        None => self.ran_out,
                    };
                    fate.came_back(place, step);
                }
                Event::Did(Choice::GiveUp(message) | Choice::Accept(message)) => fates[message.0 as usize].over(),
                Event::Did(Choice::Ignore(message)) => fates[message.0 as usize].in_doubt = false,
                _ => {}
            }
            for sent in &happened.sent {
                let fate = &mut fates[sent.message.0 as usize];
                fate.held = Some((sent.member, sent.count, step, happened.ms));
                (fate.back, fate.is_over, fate.is_sent) = (None, false, true);
            }
        }
        fates
    }

    fn answered(
        &self,
        fates: &mut [Fate],
        (member, message, count): (MemberId, MessageId, u16),
        answer: Answer,
        (step, ms): (usize, u64),
    ) {
        let place = message.0 as usize;
        let in_time = fates[place].held.is_some_and(|(who, which, ..)| (who, which) == (member, count));
        match answer {
            Answer::AckUpTo => fates[..=place].iter_mut().for_each(Fate::over),
            Answer::Ack if self.acks_all => fates[..=place].iter_mut().for_each(Fate::over),
            Answer::Ack | Answer::Term if in_time || self.late == Late::Counts => fates[place].over(),
            Answer::Ack if self.late == Late::Either && !fates[place].is_over => fates[place].in_doubt = true,
            Answer::Nak(delay) if in_time => match (self.refused, delay) {
                (None, _) => {}
                (Some(_), None) if self.back_late => {
                    fates[place].held = None;
                    fates[place].later = Some((ms, member, step));
                }
                (Some(back), None) => fates[place].came_back(back, step),
                (Some(_), Some(delay)) => {
                    fates[place].held = None;
                    fates[place].later = Some((ms + delay.as_millis(), member, step));
                }
            },
            Answer::Extend if in_time => {
                if let Some((.., since)) = &mut fates[place].held {
                    *since = ms;
                }
            }
            _ => {}
        }
    }

    /// What is next of all that waits.
    fn next(&self, fates: &[Fate], topic_of: &dyn Fn(usize) -> TopicId) -> Vec<usize> {
        let anywhere = |place: &usize| matches!(fates[*place].back, Some((Back::Anywhere, _)));
        let rank = |place: usize| match fates[place].back {
            Some((Back::First | Back::Anywhere, step)) => (0, step, place),
            Some((Back::Last, step)) => (1, step, place),
            Some((Back::Place, _)) | None => (1, fates[place].published, place),
        };
        let waiting: Vec<usize> = (0..fates.len()).filter(|place| fates[*place].waits()).collect();
        let is_next = |place: &&usize| {
            let before = waiting.iter().filter(|other| !anywhere(other) && rank(**other) < rank(**place));
            anywhere(place)
                || match self.ordered {
                    Ordered::All => before.count() == 0,
                    Ordered::Topics => before.filter(|other| topic_of(**other) == topic_of(**place)).count() == 0,
                    Ordered::Nothing => true,
                }
        };
        waiting.iter().filter(is_next).copied().collect()
    }

    /// Which waits end.
    fn ending(&self, fates: &[Fate], now: u64) -> Vec<usize> {
        let mut ends: Vec<Ending> = Vec::new();
        for (place, fate) in fates.iter().enumerate() {
            if let Some((_, count, step, since)) = fate.held
                && let Some(wait) = self.waits.get(usize::from(count) - 1).or(self.waits.last())
            {
                ends.push((since + wait, (0, step), place));
            }
            if let Some((ms, _, step)) = fate.later {
                ends.push((ms, (1, step), place));
            }
        }
        first_ending(&ends, now)
    }
}

impl Page for Queue {
    fn may(&self, history: &History) -> BTreeSet<Choice> {
        let fates = self.fates(history);
        let id = |place: usize| MessageId(place as u32);
        let mut members = history.present();
        if self.sends_to_crashed {
            let crashed = [A, B].into_iter().filter(|member| history.left(*member) == Some(How::Crash));
            members.extend(crashed);
        }
        if self.one_active {
            members.truncate(1);
        }
        let has = |member: MemberId| {
            let holders = fates.iter().flat_map(|fate| {
                fate.held.map(|(member, ..)| member).into_iter().chain(fate.later.map(|(_, member, _)| member))
            });
            holders.filter(|holder| self.shared || *holder == member).count()
        };
        let topic_of = |place: usize| TopicId(if self.ordered == Ordered::Topics { place as u16 % 2 } else { 0 });
        let mut may = BTreeSet::new();
        for place in self.next(&fates, &topic_of) {
            if history.times_sent(id(place)) >= self.most {
                may.insert(Choice::GiveUp(id(place)));
            } else {
                let free = members.iter().filter(|member| has(**member) < self.window);
                may.extend(free.map(|member| Choice::Send(id(place), *member)));
            }
        }
        if self.copies {
            let again = (0..fates.len()).filter(|place| fates[*place].is_sent && !fates[*place].waits());
            let again = again.filter(|place| history.times_sent(id(*place)) < self.most);
            may.extend(again.flat_map(|place| members.iter().map(move |member| Choice::Copy(id(place), *member))));
        }
        may.extend(self.ending(&fates, history.ms()).into_iter().map(|place| Choice::Expire(id(place))));
        let in_doubt = (0..fates.len()).filter(|place| fates[*place].in_doubt);
        may.extend(in_doubt.flat_map(|place| [Choice::Accept(id(place)), Choice::Ignore(id(place))]));
        may
    }

    fn taken_over(&self, history: &History, messages: &[MessageId]) -> Vec<MessageId> {
        let fates = self.fates(history);
        let is_pending = |message: &&MessageId| self.claims && fates[message.0 as usize].held.is_some();
        messages.iter().filter(is_pending).copied().collect()
    }
}

const UNLIMITED: usize = usize::MAX;
const FOR_EVER: u16 = u16::MAX;

/// A queue of which a page says no more than that it keeps order.
fn plain() -> Queue {
    Queue {
        ordered: Ordered::All,
        window: UNLIMITED,
        shared: false,
        waits: Vec::new(),
        refused: Some(Back::First),
        lost: Back::First,
        ran_out: Back::First,
        back_late: false,
        releases: vec![How::Close, How::Crash],
        sends_to_crashed: false,
        one_active: false,
        acks_all: false,
        late: Late::Fails,
        most: FOR_EVER,
        claims: false,
        copies: false,
    }
}

/// The pages, by name; waits are a second, where there are any.
fn pages() -> Vec<(&'static str, Queue)> {
    let second = || vec![SECOND];
    let jetstream = || Queue { shared: true, waits: second(), releases: Vec::new(), late: Late::Counts, ..plain() };
    let rabbitmq = || Queue { waits: second(), releases: vec![How::Close, How::Crash, How::Reconnect], ..plain() };
    let unordered = || Queue {
        ordered: Ordered::Nothing,
        waits: second(),
        refused: Some(Back::Anywhere),
        lost: Back::Anywhere,
        ran_out: Back::Anywhere,
        releases: Vec::new(),
        ..plain()
    };
    vec![
        (
            "stan",
            Queue {
                waits: second(),
                refused: None,
                releases: vec![How::Close, How::Reconnect],
                sends_to_crashed: true,
                late: Late::Counts,
                ..plain()
            },
        ),
        ("jetstream", jetstream()),
        ("jetstream-ack-all", Queue { acks_all: true, ..jetstream() }),
        ("kafka-share", Queue { ordered: Ordered::Nothing, shared: true, waits: second(), most: 5, ..plain() }),
        (
            "rabbitmq-classic",
            Queue {
                refused: Some(Back::Place),
                lost: Back::Place,
                ran_out: Back::Place,
                back_late: true,
                ..rabbitmq()
            },
        ),
        ("rabbitmq-quorum", Queue { most: 21, ..rabbitmq() }),
        ("rabbitmq-quorum-3", Queue { refused: Some(Back::Last), ..rabbitmq() }),
        ("rabbitmq-single-active", Queue { one_active: true, most: 21, ..rabbitmq() }),
        ("sqs-standard", Queue { shared: true, late: Late::Either, copies: true, ..unordered() }),
        ("pubsub", Queue { late: Late::Either, copies: true, ..unordered() }),
        ("pubsub-exactly-once", unordered()),
        ("redis-streams", Queue { refused: None, releases: Vec::new(), late: Late::Counts, claims: true, ..plain() }),
        (
            "servicebus",
            Queue { waits: second(), releases: vec![How::Close, How::Crash, How::Reconnect], most: 10, ..plain() },
        ),
    ]
}

/// Settings of a world, and what they change in a page.
type Set = (&'static [(&'static str, &'static str)], fn(Queue) -> Queue);

/// Walks over a world under each profile; how many histories there are.
fn each(about: &str, (settings, change): Set, world: impl Fn(&str) -> World) -> Vec<(&'static str, Walked)> {
    let walked = pages().into_iter().map(|(name, page)| {
        let wait = if page.waits.is_empty() { &[][..] } else { &[("wait", "[\"1s\"]")] };
        let profile = with(name, &[wait, settings].concat());
        let mut world = world(name);
        // There is no end of copies, and without an order there are too many histories.
        if page.copies {
            world.sends = world.entries.len() + 1;
            world.steps = world.first.len() + 5;
        } else if page.ordered == Ordered::Nothing {
            world.steps = world.first.len() + if world.is_large { 8 } else { 7 };
        }
        (name, walk(&profile, &change(page), about, &world))
    });
    walked.collect()
}

fn window(window: usize) -> Set {
    match window {
        1 => (&[("window", "1")], |page| Queue { window: 1, ..page }),
        2 => (&[("window", "2")], |page| Queue { window: 2, ..page }),
        _ => (&[("window", "\"unlimited\"")], |page| page),
    }
}

#[test]
fn without_faults_two_members_get_what_the_page_says() {
    for limit in [1, 2, 4] {
        for (name, walked) in each("no faults", window(limit), |name| {
            let few = ["sqs-standard", "pubsub", "pubsub-exactly-once", "kafka-share"].contains(&name);
            World { in_order: true, ..World::of(2, if few { 2 } else { 4 }) }
        }) {
            assert!(walked.whole > 1 || name == "rabbitmq-single-active", "{name}: {walked:?}");
        }
    }
}

#[test]
fn one_member_with_a_window_of_one_gets_all_in_order_in_one_history() {
    for (name, walked) in each("one member", window(1), |_| World::of(1, 4)) {
        let only_one = !["sqs-standard", "pubsub", "pubsub-exactly-once", "kafka-share"].contains(&name);
        assert_eq!(walked.whole == 1, only_one, "{name}: {walked:?}");
    }
}

#[test]
fn what_is_refused_comes_where_the_page_says() {
    let nak = [(Answer::Nak(None), 2)];
    each("refused, window 1", window(1), |_| World { answers: nak.to_vec(), ..World::of(1, 3).and_one_later() });
    each("refused, window 2", window(2), |_| World { answers: nak.to_vec(), ..World::of(1, 3) });
    each("refused by one of two", window(1), |_| World {
        answers: vec![(Answer::Nak(None), 1)],
        in_order: true,
        ..World::of(2, 3)
    });
    each("refused for a time", window(2), |_| World {
        answers: vec![(Answer::Nak(Some(Wait::of_secs(1))), 1)],
        seconds: 1,
        in_order: true,
        ..World::of(1, 3)
    });
}

#[test]
fn what_a_member_had_that_leaves_comes_when_and_where_the_page_says() {
    for how in [How::Close, How::Crash, How::Reconnect] {
        each(&format!("{how:?}"), window(2), |_| World {
            leaves: vec![(how, 1)],
            joins: 1,
            in_order: true,
            steps: 13,
            ..World::of(1, 3)
        });
        each(&format!("one of two, {how:?}"), window(1), |_| World {
            leaves: vec![(how, 1)],
            in_order: true,
            ..World::of(2, 2).and_one_later()
        });
    }
    each("cancelled and closed", window(2), |_| World {
        leaves: vec![(How::Cancel, 1), (How::Close, 1)],
        in_order: true,
        ..World::of(2, 2)
    });
}

#[test]
fn a_wait_ends_when_the_page_says_and_a_late_ack_counts_or_not() {
    each("waits that end", window(2), |_| World { seconds: 2, steps: 12, ..World::of(1, 2) });
    each("waits that end, in order", window(2), |_| World { seconds: 1, in_order: true, ..World::of(1, 3) });
    each("waits of two members", window(1), |_| World { seconds: 1, ..World::of(2, 2) });
    each("extended", window(1), |_| World {
        seconds: 2,
        answers: vec![(Answer::Extend, 1), (Answer::Term, 1)],
        ..World::of(1, 2)
    });
    let growing: Set = (&[("window", "1"), ("wait", "[\"1s\",\"2s\"]")], |page| Queue {
        window: 1,
        waits: vec![SECOND, 2 * SECOND],
        ..page
    });
    each("waits that grow", growing, |_| World { seconds: 5, ..World::of(1, 1) });
}

#[test]
fn a_message_is_given_up_after_so_many_deliveries() {
    let twice: Set = (&[("window", "1"), ("deliveries", "2")], |page| Queue { window: 1, most: 2, ..page });
    each("two deliveries, refused", twice, |_| World { answers: vec![(Answer::Nak(None), 3)], ..World::of(1, 2) });
    each("two deliveries, waits that end", twice, |_| World { seconds: 3, ..World::of(1, 2) });
    each("as often as by default", window(1), |_| World { answers: vec![(Answer::Nak(None), 25)], ..World::of(1, 1) });
}

#[test]
fn an_ack_of_all_before_it_is_for_all_before_it() {
    each("up to", window(4), |_| World {
        answers: vec![(Answer::AckUpTo, 1), (Answer::Nak(Some(Wait::of_secs(1))), 1)],
        seconds: 1,
        ..World::of(1, 2)
    });
    each("up to, refused", window(4), |_| World {
        answers: vec![(Answer::AckUpTo, 1), (Answer::Nak(None), 1)],
        in_order: true,
        ..World::of(1, 3)
    });
}

#[test]
fn who_takes_over_gets_what_is_pending_at_once() {
    each("taken over", window(2), |_| World { claims: 1, in_order: true, ..World::of(2, 2) });
}

#[test]
fn what_is_not_in_the_log_any_more_comes_to_nobody() {
    let has_a_log = |name: &str| {
        name == "stan" || name.starts_with("jetstream") || name == "kafka-share" || name.starts_with("redis")
    };
    for (compactions, expirations) in [(1, 0), (0, 1)] {
        let world = |name: &str, mut world: World| {
            world.entries.iter_mut().for_each(|entry| entry.key = KeyId(0));
            let (compactions, expirations) = if has_a_log(name) { (compactions, expirations) } else { (0, 0) };
            World { compactions, expirations, in_order: true, ..world }
        };
        each("without something", window(2), |name| world(name, World::of(1, 3)));
        let nak = [(Answer::Nak(None), 1)];
        each("without something that was refused", window(1), |name| World {
            answers: nak.to_vec(),
            ..world(name, World::of(1, 2).and_one_later())
        });
        each("without something whose wait ends", window(2), |name| World {
            seconds: 1,
            ..world(name, World::of(1, 2))
        });
        each("without something that is claimed", window(2), |name| World {
            claims: 1,
            ..world(name, World::of(2, 2))
        });
    }
}

#[test]
fn a_subscription_begins_where_the_first_member_says() {
    for start in [Start::New, Start::Earliest] {
        each("the start", window(2), |_| World {
            first: vec![Told::Published(MessageId(0)), Told::Joined(A, start), Told::Published(MessageId(1))],
            joins: 1,
            in_order: true,
            ..World::of(1, 2).and_one_later()
        });
    }
}

#[test]
fn an_order_of_topics_is_none_between_topics() {
    let topics: Set = (&[("order", "\"topic\"")], |page| Queue { ordered: Ordered::Topics, ..page });
    each("topics", topics, |_| {
        let mut world = World { in_order: true, answers: vec![(Answer::Nak(None), 1)], ..World::of(1, 3) };
        for (place, entry) in (0..).zip(&mut world.entries) {
            (entry.topic, entry.partition) = (TopicId(place % 2), PartitionId(0));
        }
        world
    });
}

#[test]
#[ignore = "takes a minute in a release build: .ci/run calls it"]
fn two_members_and_four_messages_get_what_the_page_says_after_any_one_fault() {
    for limit in [1, 2] {
        let world = || World { steps: 15, ..World::of(2, 4).large() };
        each("large, refused", window(limit), |_| World { answers: vec![(Answer::Nak(None), 1)], ..world() });
        each("large, a wait ends", window(limit), |_| World { seconds: 1, ..world() });
        for how in [How::Close, How::Crash, How::Cancel, How::Reconnect] {
            each(&format!("large, {how:?}"), window(limit), |_| World { leaves: vec![(how, 1)], joins: 1, ..world() });
        }
    }
}
