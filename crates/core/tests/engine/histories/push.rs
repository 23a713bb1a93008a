//! Subscriptions of an endpoint, as their pages tell of them.

use std::collections::BTreeSet;

use pellmell_core::engine::{Answer, Choice, How, MemberId, MessageId, Start, Told};

use super::{A, Ending, Event, History, Page, SECOND, World, first_ending, walk, with};

/// What a page says of a subscription of an endpoint.
#[derive(Clone, Debug)]
struct Push {
    ordered: bool,
    window: usize,
    /// How long an answer is waited for; nothing: for ever.
    timeout: Option<u64>,
    /// How long it waits after each failure; empty: it does not try again.
    retries: Vec<u64>,
    most: u16,
    /// Whether what is sent is done.
    sent_is_done: bool,
    /// Whether what was not answered is kept for one that is away.
    keeps: bool,
    /// Whether one that comes back at once has what it had.
    knows: bool,
}

/// What the history says of a message.
#[derive(Clone, Debug, Default)]
struct Fate {
    is_over: bool,
    /// Which delivery is out, since which step and which millisecond.
    out: Option<(u16, usize, u64)>,
    /// When it is tried again, and at which step that was settled.
    later: Option<(u64, usize)>,
    /// Whether it was sent and went back, so that it comes before what waits.
    first: bool,
}

impl Push {
    fn failed(&self, fate: &mut Fate, times: u16, ms: u64, step: usize) {
        fate.out = None;
        match self.retries.get(usize::from(times) - 1).or(self.retries.last()) {
            Some(wait) => fate.later = Some((ms + wait, step)),
            None => fate.is_over = true,
        }
    }

    fn fates(&self, history: &History) -> Vec<Fate> {
        let mut fates: Vec<Fate> = Vec::new();
        // Whether the endpoint is there; nothing before it was.
        let mut there: Option<bool> = None;
        let mut times: Vec<u16> = Vec::new();
        for (step, happened) in history.steps.iter().enumerate() {
            match &happened.event {
                Event::Told(Told::Published(_)) => {
                    let is_over = there == Some(false) && !self.keeps;
                    fates.push(Fate { is_over, ..Fate::default() });
                    times.push(0);
                }
                Event::Told(Told::Joined(_, start)) => {
                    if there.is_none() && *start == Start::New {
                        fates.iter_mut().for_each(|fate| fate.is_over = true);
                    }
                    there = Some(true);
                }
                Event::Told(Told::Left(_, how)) => {
                    there = Some(*how == How::Reconnect);
                    let has_it_all = self.knows && *how == How::Reconnect;
                    for fate in fates.iter_mut().filter(|fate| fate.out.is_some() && !has_it_all) {
                        (fate.out, fate.first, fate.is_over) = (None, true, !self.keeps);
                    }
                }
                Event::Told(Told::Answered { message, count, answer, .. }) => {
                    let fate = &mut fates[message.0 as usize];
                    if let Some((which, _, since)) = &mut fate.out
                        && which == count
                    {
                        match answer {
                            Answer::Nak(_) => self.failed(fate, *count, happened.ms, step),
                            Answer::Extend => *since = happened.ms,
                            _ => (fate.out, fate.is_over) = (None, true),
                        }
                    }
                }
                Event::Did(Choice::Expire(message)) => {
                    let fate = &mut fates[message.0 as usize];
                    match fate.out {
                        Some((count, ..)) => self.failed(fate, count, happened.ms, step),
                        None => fate.later = None,
                    }
                }
                Event::Did(Choice::GiveUp(message)) => fates[message.0 as usize].is_over = true,
                _ => {}
            }
            for sent in &happened.sent {
                let fate = &mut fates[sent.message.0 as usize];
                fate.first = false;
                if self.sent_is_done {
                    fate.is_over = true;
                } else {
                    fate.out = Some((sent.count, step, happened.ms));
                }
            }
        }
        fates
    }

    fn ending(&self, fates: &[Fate], now: u64) -> Vec<usize> {
        let mut ends: Vec<Ending> = Vec::new();
        for (place, fate) in fates.iter().enumerate() {
            if let (Some((_, step, since)), Some(timeout)) = (fate.out, self.timeout) {
                ends.push((since + timeout, (0, step), place));
            }
            ends.extend(fate.later.map(|(ms, step)| (ms, (1, step), place)));
        }
        first_ending(&ends, now)
    }
}

impl Page for Push {
    fn may(&self, history: &History) -> BTreeSet<Choice> {
        let fates = self.fates(history);
        let id = |place: usize| MessageId(place as u32);
        let mut may = BTreeSet::new();
        let waits = |place: &usize| {
            let fate = &fates[*place];
            !fate.is_over && fate.out.is_none() && fate.later.is_none()
        };
        let mut waiting: Vec<usize> = (0..fates.len()).filter(waits).collect();
        waiting.sort_by_key(|place| (!fates[*place].first, *place));
        if self.ordered {
            waiting.truncate(1);
        }
        let out = fates.iter().filter(|fate| fate.out.is_some()).count();
        let endpoint: Option<MemberId> = history.present().last().copied();
        for place in waiting {
            let Some(endpoint) = endpoint else { break };
            if history.times_sent(id(place)) >= self.most {
                may.insert(Choice::GiveUp(id(place)));
            } else if out < self.window {
                may.insert(Choice::Send(id(place), endpoint));
            }
        }
        may.extend(self.ending(&fates, history.ms()).into_iter().map(|place| Choice::Expire(id(place))));
        may
    }
}

/// The pages, by name.
fn pages() -> Vec<(&'static str, Push)> {
    let plain = Push {
        ordered: true,
        window: 20,
        timeout: None,
        retries: Vec::new(),
        most: u16::MAX,
        sent_is_done: false,
        keeps: true,
        knows: false,
    };
    vec![
        (
            "sns",
            Push {
                ordered: false,
                window: usize::MAX,
                timeout: Some(15 * SECOND),
                retries: vec![20 * SECOND],
                most: 4,
                ..plain.clone()
            },
        ),
        ("mqtt-qos0", Push { window: usize::MAX, sent_is_done: true, keeps: false, ..plain.clone() }),
        ("mqtt-qos1", plain.clone()),
        ("mqtt-qos1-clean", Push { keeps: false, ..plain.clone() }),
        ("mqtt-qos2", Push { knows: true, ..plain }),
    ]
}

type Set = (&'static [(&'static str, &'static str)], fn(Push) -> Push);

const AS_IT_IS: Set = (&[], |page| page);
const WINDOW_1: Set = (&[("window", "1")], |page| Push { window: 1, ..page });

/// A world in which time passes in fives of seconds, and a page that knows of no shorter ones.
const QUICK: Set = (&[("timeout", "\"1s\""), ("retries", "[\"1s\",\"2s\"]")], |page| Push {
    timeout: Some(SECOND),
    retries: vec![SECOND, 2 * SECOND],
    ..page
});

fn each(about: &str, (settings, change): Set, world: &World) {
    for (name, page) in pages() {
        let walked = walk(&with(name, settings), &change(page), about, world);
        assert!(walked.all > 4, "{name}, {about}: {walked:?}");
    }
}

#[test]
fn without_faults_the_endpoint_gets_what_the_page_says() {
    each("no faults", AS_IT_IS, &World { in_order: true, ..World::of(1, 4) });
    each("answers in any order", AS_IT_IS, &World::of(1, 3));
    each("a window of one", WINDOW_1, &World::of(1, 3).and_one_later());
}

#[test]
fn what_was_not_answered_when_the_endpoint_left_comes_again_or_not() {
    for how in [How::Close, How::Crash, How::Reconnect] {
        let leaves = vec![(how, 2)];
        each(
            &format!("{how:?}"),
            AS_IT_IS,
            &World { leaves, joins: 2, alone: true, in_order: true, steps: 11, ..World::of(1, 2).and_one_later() },
        );
    }
}

#[test]
fn what_fails_is_tried_again_after_its_delay_and_not_too_often() {
    let words = vec![(Answer::Nak(None), 3)];
    each("fails", QUICK, &World { answers: words.clone(), seconds: 3, steps: 12, ..World::of(1, 2) });
    each("fails, window 1", WINDOW_1, &World { answers: words, seconds: 1, ..World::of(1, 2) });
    let words = vec![(Answer::Nak(None), 5)];
    each("tried as often as by default", QUICK, &World { answers: words, seconds: 8, steps: 16, ..World::of(1, 1) });
    let words = vec![(Answer::Extend, 1)];
    each("takes longer", QUICK, &World { answers: words, seconds: 3, ..World::of(1, 1) });
}

#[test]
fn a_subscription_begins_where_the_endpoint_says() {
    for start in [Start::New, Start::Earliest] {
        let first = vec![Told::Published(MessageId(0)), Told::Joined(A, start)];
        each("the start", AS_IT_IS, &World { first, joins: 1, alone: true, in_order: true, ..World::of(1, 3) });
    }
}

#[test]
#[ignore = "takes a minute in a release build: .ci/run calls it"]
fn an_endpoint_gets_four_messages_as_the_page_says_after_any_two_faults() {
    let words = vec![(Answer::Nak(None), 2)];
    let world = || World { steps: 13, ..World::of(1, 4).large() };
    each("large, fails", QUICK, &World { answers: words, seconds: 2, ..world() });
    for how in [How::Close, How::Crash, How::Reconnect] {
        each(&format!("large, {how:?}"), AS_IT_IS, &World { leaves: vec![(how, 2)], joins: 2, alone: true, ..world() });
    }
}
