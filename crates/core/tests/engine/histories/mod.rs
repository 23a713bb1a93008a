//! All histories that a page of docs/brokers allows, and no others.
//!
//! What a broker may do next is worked out twice after each history that a small world leads to: by the engine,
//! which keeps a state, and from the page, which is a rule about the whole history so far and keeps nothing. The two
//! must be the same, so each history that the page allows is one of the engine and the other way round.

mod keyed;
mod offsets;
mod push;
mod queue;

use std::collections::BTreeSet;

use pellmell_core::Time;
use pellmell_core::engine::{
    Answer, Choice, Clock, Engine, Entry, How, KeyId, Log, MemberId, MessageId, PartitionId, Profile, Sent, Start,
    Told, TopicId,
};

/// The first two members.
const A: MemberId = MemberId(0);
const B: MemberId = MemberId(1);
const SECOND: u64 = 1_000;

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The world does something.
    Told(Told),
    /// The broker does something.
    Did(Choice),
    /// So many milliseconds pass.
    Passed(u64),
}

/// A step of a history.
#[derive(Clone, Debug)]
struct Step {
    event: Event,
    /// When, in milliseconds.
    ms: u64,
    /// What was sent by it.
    sent: Vec<Sent>,
}

/// What happened so far.
#[derive(Clone, Debug, Default)]
struct History {
    steps: Vec<Step>,
}

impl History {
    fn ms(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.ms)
    }

    fn told(&self) -> impl Iterator<Item = &Told> {
        self.steps.iter().filter_map(|step| match &step.event {
            Event::Told(told) => Some(told),
            _ => None,
        })
    }

    /// Everything that was sent, in order.
    fn sent(&self) -> impl DoubleEndedIterator<Item = Sent> {
        self.steps.iter().flat_map(|step| step.sent.iter().copied())
    }

    fn times_sent(&self, message: MessageId) -> u16 {
        self.sent().filter(|sent| sent.message == message).count() as u16
    }

    /// Whether a message is still in the log, of which these are the partitions.
    fn has(&self, message: MessageId, entries: &[Entry]) -> bool {
        let partition = |message: MessageId| entries[message.0 as usize].partition;
        let before =
            || (0..message.0).filter(|other| partition(MessageId(*other)) == partition(message)).count() as u32;
        !self.told().any(|told| match told {
            Told::Compacted(gone) => *gone == message,
            Told::Expired(of, upto) => *of == partition(message) && before() < *upto,
            _ => false,
        })
    }

    fn published(&self) -> u32 {
        self.told().filter(|told| matches!(told, Told::Published(_))).count() as u32
    }

    /// The members that have joined and not left, in the order of joining.
    fn present(&self) -> Vec<MemberId> {
        let mut present = Vec::new();
        for told in self.told() {
            if let Told::Joined(member, _) | Told::Left(member, How::Close | How::Cancel | How::Crash) = told {
                present.retain(|other| other != member);
            }
            if let Told::Joined(member, _) = told {
                present.push(*member);
            }
        }
        present
    }

    /// How a member left last, if it has not joined since.
    fn left(&self, member: MemberId) -> Option<How> {
        let last = self.told().filter_map(|told| match told {
            Told::Joined(who, _) if *who == member => Some(None),
            Told::Left(who, how) if *who == member && *how != How::Reconnect => Some(Some(*how)),
            _ => None,
        });
        last.last().flatten()
    }
}

/// When a wait ends, in milliseconds; what tells it from those that end with it, the earlier first; whose it is.
type Ending = (u64, (u8, usize), usize);

/// Whose waits end: of those that end first, the one that began first or the one of what was published first.
fn first_ending(ends: &[Ending], now: u64) -> Vec<usize> {
    let Some(first) = ends.iter().map(|(ms, ..)| *ms).min().filter(|first| *first <= now) else {
        return Vec::new();
    };
    let together = || ends.iter().filter(|(ms, ..)| *ms == first);
    let first_sent = together().min_by_key(|(_, step, _)| *step);
    let first_published = together().min_by_key(|(.., place)| *place);
    first_sent.into_iter().chain(first_published).map(|(.., place)| *place).collect()
}

/// A small world: what may happen in it, and how often.
#[derive(Clone, Default)]
struct World {
    /// All messages.
    entries: Vec<Entry>,
    /// What happens first in any case.
    first: Vec<Told>,
    /// What members say beside acks, and how often.
    answers: Vec<(Answer, usize)>,
    /// Whether a member acks in the order in which it was sent messages.
    in_order: bool,
    /// How members leave, and how often.
    leaves: Vec<(How, usize)>,
    /// How often one of the first members that is not there joins.
    joins: usize,
    /// Whether the first is the only one that can.
    alone: bool,
    /// How often a second passes.
    seconds: usize,
    /// How often somebody commits what it likes, goes on where it likes, takes over what it likes.
    commits: usize,
    seeks: usize,
    claims: usize,
    /// How often a message is compacted away that has a later one of its key, and how often the beginning of a
    /// partition is deleted.
    compactions: usize,
    expirations: usize,
    /// How often anything is sent at most.
    sends: usize,
    /// How many steps a history has at most.
    steps: usize,
    /// Whether a walk over its histories may take long.
    is_large: bool,
}

fn entry(number: u32) -> Entry {
    Entry { topic: TopicId(0), key: KeyId(number), partition: PartitionId(0) }
}

impl World {
    /// So many members that are there when so many messages are published, which have nothing in common.
    fn of(members: u16, messages: u32) -> World {
        let joined = (0..members).map(|member| Told::Joined(MemberId(member), Start::Earliest));
        let published = (0..messages).map(|message| Told::Published(MessageId(message)));
        World {
            entries: (0..messages).map(entry).collect(),
            first: joined.chain(published).collect(),
            sends: usize::MAX,
            steps: usize::MAX,
            ..World::default()
        }
    }

    /// Two members, four messages, and one more fault than a quick test has time for.
    fn large(self) -> World {
        World { is_large: true, in_order: true, ..self }
    }

    /// One more message, which is published at some time.
    fn and_one_later(mut self) -> World {
        self.entries.push(entry(self.entries.len() as u32));
        self
    }

    /// What the world may do after a history.
    fn may(&self, history: &History) -> Vec<Event> {
        let mut may = Vec::new();
        let done = |is_it: &dyn Fn(&Told) -> bool| history.told().filter(|told| is_it(told)).count();
        let published = history.published();
        if (published as usize) < self.entries.len() {
            may.push(Told::Published(MessageId(published)));
        }
        let members: Vec<MemberId> = [A, B].into_iter().filter(|member| history.left(*member).is_none()).collect();
        let members: Vec<MemberId> = members
            .into_iter()
            .filter(|who| done(&|told| matches!(told, Told::Joined(other, _) if other == who)) > 0)
            .collect();
        may.extend(self.answers(history));
        for (how, times) in &self.leaves {
            if done(&|told| matches!(told, Told::Left(_, other) if other == how)) < *times {
                may.extend(members.iter().map(|member| Told::Left(*member, *how)));
            }
        }
        let joined_first = self.first.iter().filter(|told| matches!(told, Told::Joined(..))).count();
        if done(&|told| matches!(told, Told::Joined(..))) < joined_first + self.joins {
            let away = [A, B].into_iter().filter(|who| !members.contains(who) && (*who == A || !self.alone));
            may.extend(away.map(|member| Told::Joined(member, Start::Earliest)));
        }
        let partitions: BTreeSet<PartitionId> = self.entries.iter().map(|entry| entry.partition).collect();
        for member in members {
            for partition in &partitions {
                let most = self.entries.iter().filter(|entry| entry.partition == *partition).count() as u32;
                if done(&|told| matches!(told, Told::Committed(..))) < self.commits {
                    may.extend((1..=most).map(|upto| Told::Committed(member, *partition, upto)));
                }
                if done(&|told| matches!(told, Told::Sought(..))) < self.seeks {
                    may.extend((0..most).map(|to| Told::Sought(member, *partition, to)));
                }
            }
            if done(&|told| matches!(told, Told::Claimed(..))) < self.claims {
                let all: Vec<MessageId> = (0..published).map(MessageId).collect();
                may.extend([Told::Claimed(member, all[..1.min(all.len())].to_vec()), Told::Claimed(member, all)]);
            }
        }
        may.extend(self.cleanups(history));
        let mut may: Vec<Event> = may.into_iter().map(Event::Told).collect();
        if history.steps.iter().filter(|step| matches!(step.event, Event::Passed(_))).count() < self.seconds {
            may.push(Event::Passed(SECOND));
        }
        may
    }

    /// What may be taken out of the log.
    fn cleanups(&self, history: &History) -> Vec<Told> {
        let published: Vec<MessageId> = (0..history.published()).map(MessageId).collect();
        let entry = |message: &MessageId| self.entries[message.0 as usize];
        let like = |one: &MessageId, other: &MessageId| {
            let (one, other) = (entry(one), entry(other));
            (one.key, one.partition) == (other.key, other.partition)
        };
        let is_outdated = |message: &MessageId| published.iter().any(|other| other > message && like(other, message));
        let done = |is_it: &dyn Fn(&Told) -> bool| history.told().filter(|told| is_it(told)).count();
        let mut may = Vec::new();
        if done(&|told| matches!(told, Told::Compacted(_))) < self.compactions {
            let outdated =
                published.iter().filter(|message| is_outdated(message) && history.has(**message, &self.entries));
            may.extend(outdated.map(|message| Told::Compacted(*message)));
        }
        if done(&|told| matches!(told, Told::Expired(..))) < self.expirations {
            let partitions: BTreeSet<PartitionId> = published.iter().map(|message| entry(message).partition).collect();
            for partition in partitions {
                let most = published.iter().filter(|message| entry(message).partition == partition).count() as u32;
                may.extend((1..=most).map(|upto| Told::Expired(partition, upto)));
            }
        }
        may
    }

    /// What members may say of what they were sent. They say nothing after they are gone.
    fn answers(&self, history: &History) -> Vec<Told> {
        let is_answered = |sent: Sent| {
            history.told().any(|told| match told {
                Told::Answered { member, message, count, answer } => {
                    (*member, *message, *count) == (sent.member, sent.message, sent.count) && *answer != Answer::Extend
                }
                _ => false,
            })
        };
        let sent: Vec<Sent> = history.sent().collect();
        let mut may = Vec::new();
        for (place, sent_now) in sent.iter().enumerate() {
            let gone = matches!(history.left(sent_now.member), Some(How::Close | How::Crash));
            let later_is_answered =
                sent[place + 1..].iter().any(|later| later.member == sent_now.member && is_answered(*later));
            if gone || is_answered(*sent_now) || self.in_order && later_is_answered {
                continue;
            }
            let said = |answer: Answer| {
                let same = |told: &&Told| matches!(told, Told::Answered { answer: other, .. } if *other == answer);
                history.told().filter(same).count()
            };
            let others =
                self.answers.iter().filter(|(answer, times)| said(*answer) < *times).map(|(answer, _)| *answer);
            let Sent { message, member, count } = *sent_now;
            may.extend(std::iter::once(Answer::Ack).chain(others).map(|answer| Told::Answered {
                member,
                message,
                count,
                answer,
            }));
        }
        may
    }
}

/// What a page says of a broker.
trait Page {
    /// What the broker may do after a history.
    fn may(&self, history: &History) -> BTreeSet<Choice>;

    /// Which of these messages are sent at once to the member that takes them over.
    fn taken_over(&self, _: &History, _: &[MessageId]) -> Vec<MessageId> {
        Vec::new()
    }
}

/// What a walk over all histories came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Walked {
    /// Histories after which nothing happens any more.
    whole: u32,
    /// All of them, whole or not.
    all: u32,
}

/// More than this is no quick test any more, and more than that no test at all.
const ALL_MAX: u32 = 100_000;
const ALL_MAX_OF_LARGE: u32 = 3_000_000;

struct Walk<'a> {
    name: &'a str,
    profile: &'a Profile,
    world: &'a World,
    page: &'a dyn Page,
    walked: Walked,
}

impl Walk<'_> {
    fn clock(history: &History) -> Clock {
        Clock::at(Time(history.ms() * 1_000))
    }

    fn after(&self, engine: &Engine, log: &Log, history: &History, event: &Event) -> (Engine, Log, History) {
        let (mut engine, mut log, mut history) = (engine.clone(), log.clone(), history.clone());
        let rules = &self.profile.rules;
        let clock = Walk::clock(&history);
        let mut ms = history.ms();
        let mut sent = Vec::new();
        let mut expected: Vec<(MessageId, MemberId)> = Vec::new();
        match event {
            Event::Passed(passed) => ms += passed,
            Event::Told(told) => {
                if let Told::Published(message) = told {
                    assert_eq!(log.append(self.world.entries[message.0 as usize]), *message);
                }
                match told {
                    Told::Compacted(message) => log.remove(*message),
                    Told::Expired(partition, upto) => log.expire_before(*partition, *upto),
                    _ => {}
                }
                if let Told::Claimed(member, messages) = told {
                    let taken = self.page.taken_over(&history, messages);
                    expected.extend(taken.into_iter().map(|message| (message, *member)));
                }
                engine.tell(rules, &log, clock, told, &mut sent);
            }
            Event::Did(choice) => {
                if let Choice::Send(message, member) | Choice::Copy(message, member) = choice {
                    expected.push((*message, *member));
                }
                sent.extend(engine.choose(rules, &log, clock, choice));
            }
        }
        let expected = expected.into_iter().map(|(message, member)| {
            let count = history.times_sent(message) + 1;
            Sent { message, member, count }
        });
        assert_eq!(sent, expected.collect::<Vec<_>>(), "{}: {event:?} after {}", self.name, told(&history));
        history.steps.push(Step { event: event.clone(), ms, sent });
        (engine, log, history)
    }

    fn walk(&mut self, engine: &Engine, log: &Log, history: &History) {
        self.walked.all += 1;
        let most = if self.world.is_large { ALL_MAX_OF_LARGE } else { ALL_MAX };
        assert!(self.walked.all < most, "{}: too large a world", self.name);
        let mut choices = Vec::new();
        engine.may(&self.profile.rules, log, Walk::clock(history), &mut choices);
        let choices: BTreeSet<Choice> = choices.into_iter().collect();
        let allowed = self.page.may(history);
        assert_eq!(choices, allowed, "{}: by the engine, and by the page, after {}", self.name, told(history));
        if history.steps.len() >= self.world.steps {
            return;
        }
        let is_full = history.sent().count() >= self.world.sends;
        let goes_on =
            |choice: &Choice| !(is_full && matches!(choice, Choice::Send(..) | Choice::Copy(..) | Choice::GiveUp(_)));
        let did = choices.into_iter().filter(goes_on).map(Event::Did);
        let events: Vec<Event> = self.world.may(history).into_iter().chain(did).collect();
        if events.is_empty() {
            self.walked.whole += 1;
        }
        for event in events {
            let (engine, log, history) = self.after(engine, log, history, &event);
            self.walk(&engine, &log, &history);
        }
    }
}

fn told(history: &History) -> String {
    let steps = history.steps.iter().map(|step| format!("\n  {:>5} ms {:?}", step.ms, step.event));
    steps.collect()
}

/// Walks over all histories of a world under a profile and expects its page to allow exactly these.
fn walk(profile: &Profile, page: &dyn Page, about: &str, world: &World) -> Walked {
    let name = format!("{}, {about}", profile.name);
    let mut walk = Walk { name: &name, profile, world, page, walked: Walked::default() };
    let (mut engine, mut log, mut history) = (profile.rules.begin(), Log::default(), History::default());
    for told in &world.first {
        (engine, log, history) = walk.after(&engine, &log, &history, &Event::Told(told.clone()));
    }
    walk.walk(&engine, &log, &history);
    walk.walked
}

/// A profile with other settings, of those that it has.
fn with(name: &str, settings: &[(&str, &str)]) -> Profile {
    let mut profile = Profile::named(name).expect("a profile of that name");
    for (setting, value) in settings {
        let value = serde_json::from_str(value).expect("a value of JSON");
        if let Ok(changed) = profile.clone().with(setting, value) {
            profile = changed;
        }
    }
    profile
}
