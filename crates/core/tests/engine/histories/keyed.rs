//! Queues for each key, as their pages tell of them.

use std::collections::BTreeSet;

use pellmell_core::engine::{Answer, Choice, How, KeyId, MemberId, MessageId, Start, Told, Wait};

use super::{A, Ending, Event, History, Page, SECOND, World, first_ending, walk, with};

/// What a page says of a queue for each key.
#[derive(Clone, Debug)]
struct Keyed {
    /// The key of each message.
    keys: Vec<u32>,
    /// Whether nothing more of a key is sent while some of it is out, but for what is received at one time.
    blocks: bool,
    /// Whether all that was sent after a message comes again with it.
    replays: bool,
    /// How many of a key may be out.
    batch: usize,
    /// How many a member may have.
    window: usize,
    /// What of a member brings back at once what it had.
    releases: Vec<How>,
    /// Whether a late ack may count all the same.
    late_may_count: bool,
    /// How often a message is sent at most.
    most: u16,
}

/// What the history says of a message.
#[derive(Clone, Debug, Default)]
struct Fate {
    /// How often it was sent.
    times: u16,
    is_over: bool,
    /// Who has it, which delivery, since which step and which millisecond.
    held: Option<(MemberId, u16, usize, u64)>,
    /// When what was refused for a time comes back, and at which step it was refused; its holder keeps it till then.
    later: Option<(u64, usize)>,
    in_doubt: bool,
}

impl Keyed {
    fn fates(&self, history: &History) -> Vec<Fate> {
        let mut fates: Vec<Fate> = Vec::new();
        let mut anybody = false;
        for (step, happened) in history.steps.iter().enumerate() {
            let mut back: Vec<MessageId> = Vec::new();
            match &happened.event {
                Event::Told(Told::Published(_)) => fates.push(Fate::default()),
                Event::Told(Told::Joined(_, start)) => {
                    if !anybody && *start == Start::New {
                        fates.iter_mut().for_each(over);
                    }
                    anybody = true;
                }
                Event::Told(Told::Left(member, how)) if self.releases.contains(how) => {
                    let its = (0..).zip(&fates).filter(|(_, fate)| fate.held.is_some_and(|held| held.0 == *member));
                    back.extend(its.map(|(place, _)| MessageId(place)));
                }
                Event::Told(Told::Answered { member, message, count, answer }) => {
                    let keys = &self.keys;
                    let place = message.0 as usize;
                    let in_time = fates[place].held.is_some_and(|held| (held.0, held.1) == (*member, *count));
                    match answer {
                        Answer::Ack | Answer::Term if in_time => over(&mut fates[place]),
                        Answer::Ack if self.late_may_count && !fates[place].is_over => fates[place].in_doubt = true,
                        Answer::AckUpTo => {
                            let upto = fates[..=place].iter_mut().zip(keys).filter(|(_, key)| **key == keys[place]);
                            upto.filter(|(fate, _)| fate.held.is_some()).for_each(|(fate, _)| over(fate));
                        }
                        Answer::Nak(None) if in_time => back.push(*message),
                        Answer::Nak(Some(delay)) if in_time => {
                            fates[place].later = Some((happened.ms + delay.as_millis(), step));
                        }
                        Answer::Extend if in_time => {
                            if let Some((.., since)) = &mut fates[place].held {
                                *since = happened.ms;
                            }
                        }
                        _ => {}
                    }
                }
                Event::Did(Choice::Expire(message)) => back.push(*message),
                Event::Did(Choice::GiveUp(message) | Choice::Accept(message)) => over(&mut fates[message.0 as usize]),
                Event::Did(Choice::Ignore(message)) => fates[message.0 as usize].in_doubt = false,
                _ => {}
            }
            for message in back {
                let place = message.0 as usize;
                for (other, fate) in fates.iter_mut().enumerate().skip(place) {
                    let is_behind = self.replays && fate.times > 0 && self.keys[other] == self.keys[place];
                    let is_behind = is_behind && (fate.times < self.most || !fate.is_over);
                    if other == place || is_behind {
                        (fate.held, fate.later, fate.is_over) = (None, None, false);
                    }
                }
            }
            for sent in &happened.sent {
                let fate = &mut fates[sent.message.0 as usize];
                (fate.held, fate.times) = (Some((sent.member, sent.count, step, happened.ms)), sent.count);
            }
        }
        fates
    }

    /// Which waits end. A wait is a second.
    fn ending(fates: &[Fate], now: u64) -> Vec<usize> {
        let ends = fates.iter().enumerate().filter_map(|(place, fate)| {
            let (.., step, since) = fate.held?;
            Some(match fate.later {
                Some((ms, refused)) => (ms, (1, refused), place),
                None => (since + SECOND, (0, step), place),
            })
        });
        first_ending(&ends.collect::<Vec<Ending>>(), now)
    }
}

fn over(fate: &mut Fate) {
    *fate = Fate { times: fate.times, is_over: true, ..Fate::default() };
}

impl Page for Keyed {
    fn may(&self, history: &History) -> BTreeSet<Choice> {
        let fates = self.fates(history);
        let id = |place: usize| MessageId(place as u32);
        let has = |member: MemberId| fates.iter().filter(|fate| fate.held.is_some_and(|held| held.0 == member)).count();
        let mut may = BTreeSet::new();
        for place in (0..fates.len()).filter(|place| !fates[*place].is_over && fates[*place].held.is_none()) {
            let of_its_key = |other: &usize| self.keys[*other] == self.keys[place];
            let waits_before = (0..place).filter(of_its_key).any(|o| !fates[o].is_over && fates[o].held.is_none());
            if waits_before {
                continue;
            }
            if history.times_sent(id(place)) >= self.most {
                may.insert(Choice::GiveUp(id(place)));
                continue;
            }
            let out: Vec<usize> = (0..fates.len()).filter(of_its_key).filter(|o| fates[*o].held.is_some()).collect();
            let received_together = out
                .iter()
                .all(|other| *other < place && fates[*other].held.is_some_and(|(.., since)| since == history.ms()));
            if out.len() >= self.batch || self.blocks && !received_together {
                continue;
            }
            let free = history.present().into_iter().filter(|member| {
                has(*member) < self.window
                    && out.iter().all(|other| fates[*other].held.is_some_and(|held| held.0 == *member))
            });
            may.extend(free.map(|member| Choice::Send(id(place), member)));
        }
        may.extend(Keyed::ending(&fates, history.ms()).into_iter().map(|place| Choice::Expire(id(place))));
        let in_doubt = (0..fates.len()).filter(|place| fates[*place].in_doubt);
        may.extend(in_doubt.flat_map(|place| [Choice::Accept(id(place)), Choice::Ignore(id(place))]));
        may
    }
}

/// The pages, by name.
fn pages() -> Vec<(&'static str, Keyed)> {
    let plain = Keyed {
        keys: Vec::new(),
        blocks: false,
        replays: false,
        batch: usize::MAX,
        window: usize::MAX,
        releases: Vec::new(),
        late_may_count: false,
        most: u16::MAX,
    };
    vec![
        ("sqs-fifo", Keyed { blocks: true, batch: 10, ..plain.clone() }),
        ("pubsub-ordered", Keyed { replays: true, late_may_count: true, ..plain.clone() }),
        ("servicebus-session", Keyed { releases: vec![How::Close, How::Crash], most: 10, ..plain }),
    ]
}

type Set = (&'static [(&'static str, &'static str)], fn(Keyed) -> Keyed);

const AS_IT_IS: Set = (&[], |page| page);
const WINDOW_2: Set = (&[("window", "2")], |page| Keyed { window: 2, ..page });
const BATCH_1: Set = (&[("batch", "1")], |page| Keyed { batch: 1, ..page });
const TWICE: Set = (&[("deliveries", "2")], |page| Keyed { most: 2, ..page });

/// Walks over a world under each profile, with these keys of the messages.
fn each(about: &str, (settings, change): Set, keys: &[u32], mut world: World) {
    for (name, page) in pages() {
        let profile = with(name, &[&[("wait", "[\"1s\"]")], settings].concat());
        for (entry, key) in world.entries.iter_mut().zip(keys) {
            entry.key = KeyId(*key);
        }
        let page = Keyed { keys: keys.to_vec(), ..change(page) };
        let walked = walk(&profile, &page, about, &world);
        assert!(walked.all > 10, "{name}, {about}: {walked:?}");
    }
}

#[test]
fn without_faults_each_key_is_with_one_member_at_a_time() {
    each("two keys", AS_IT_IS, &[0, 1, 0], World::of(2, 3));
    each("one key", AS_IT_IS, &[0, 0, 0], World { seconds: 1, in_order: true, steps: 12, ..World::of(2, 3) });
    each("four messages", AS_IT_IS, &[0, 1, 0, 1], World { in_order: true, ..World::of(1, 4) });
    each("a window of two", WINDOW_2, &[0, 0, 1], World::of(2, 3));
    each("a batch of one", BATCH_1, &[0, 0, 1], World::of(2, 3));
}

#[test]
fn what_is_refused_comes_in_its_place_and_brings_what_the_page_says() {
    let nak = |times| World { answers: vec![(Answer::Nak(None), times)], ..World::of(1, 3) };
    each("refused", AS_IT_IS, &[0, 0, 1], World { steps: 12, ..nak(1) });
    each("refused, one key", AS_IT_IS, &[0, 0, 0], World { in_order: true, steps: 13, ..nak(2) });
    let delayed = (Answer::Nak(Some(Wait::of_secs(2))), 1);
    each(
        "refused for a time",
        AS_IT_IS,
        &[0, 0],
        World { answers: vec![delayed], seconds: 2, steps: 11, ..World::of(1, 2) },
    );
    let upto = (Answer::AckUpTo, 1);
    each("acked up to", AS_IT_IS, &[0, 1, 0], World { answers: vec![upto], in_order: true, ..World::of(1, 3) });
}

#[test]
fn what_a_member_had_that_leaves_comes_when_the_page_says() {
    for how in [How::Close, How::Crash, How::Reconnect, How::Cancel] {
        each(
            &format!("{how:?}"),
            AS_IT_IS,
            &[0, 0],
            World { leaves: vec![(how, 1)], joins: 1, seconds: 1, steps: 10, ..World::of(2, 2) },
        );
    }
}

#[test]
fn a_wait_ends_when_the_page_says_and_a_late_ack_counts_or_not() {
    each("waits that end", AS_IT_IS, &[0, 0], World { seconds: 2, steps: 12, ..World::of(1, 2) });
    each("waits of two members", AS_IT_IS, &[0, 1], World { seconds: 1, steps: 11, ..World::of(2, 2) });
    let words = vec![(Answer::Extend, 1), (Answer::Term, 1)];
    each("extended", AS_IT_IS, &[0], World { seconds: 2, answers: words, steps: 11, ..World::of(1, 1) });
}

#[test]
fn a_message_is_given_up_after_so_many_deliveries_and_its_key_goes_on() {
    each(
        "two deliveries",
        TWICE,
        &[0, 0],
        World { answers: vec![(Answer::Nak(None), 3)], in_order: true, steps: 14, ..World::of(1, 2) },
    );
    each("as often as by default", AS_IT_IS, &[0], World { answers: vec![(Answer::Nak(None), 12)], ..World::of(1, 1) });
}

#[test]
fn a_subscription_begins_where_the_first_member_says() {
    for start in [Start::New, Start::Earliest] {
        let first = vec![Told::Published(MessageId(0)), Told::Joined(A, start), Told::Published(MessageId(1))];
        each("the start", AS_IT_IS, &[0, 0, 1], World { first, joins: 1, in_order: true, ..World::of(1, 3) });
    }
}

#[test]
#[ignore = "takes a minute in a release build: .ci/run calls it"]
fn two_members_and_four_messages_of_two_keys_get_what_the_page_says_after_any_one_fault() {
    let large = |world: World| World { steps: 14, ..world.large() };
    let world = || large(World::of(2, 4));
    for keys in [[0, 1, 0, 1], [0, 0, 0, 1]] {
        each("large, refused", AS_IT_IS, &keys, World { answers: vec![(Answer::Nak(None), 1)], ..world() });
        each("large, a wait ends", AS_IT_IS, &keys, World { seconds: 1, ..world() });
        for how in [How::Close, How::Crash, How::Cancel, How::Reconnect] {
            each(&format!("large, {how:?}"), AS_IT_IS, &keys, World { leaves: vec![(how, 1)], joins: 1, ..world() });
        }
    }
}
