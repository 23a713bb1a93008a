//! What travels between a broker and its members: messages to each of them, and words back, in order.

use std::collections::VecDeque;

use super::admit::{Assumed, Seen};
use super::gap::Gap;
use super::told::{Answer, Choice, How, Log, MemberId, MessageId, Sent, Start, Told};
use super::wait::Wait;
use super::{Clock, Engine, Rules};
use crate::ids::Time;

/// An engine and what is on its way to and from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    engine: Engine,
    /// The earliest time at which what happens next can happen. Whatever happens later leads to nothing that this
    /// does not, because timers may always end late.
    time: Time,
    /// By member.
    ways: Vec<Way>,
    /// What members saw: of each message and member the last delivery, in the order in which they were seen.
    seen: Vec<Sent>,
}

/// What is on its way to and from a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Way {
    member: MemberId,
    /// Whether somebody takes in what arrives.
    is_there: bool,
    /// What it was sent and has not seen.
    inbox: VecDeque<Sent>,
    /// What it said, and when.
    words: VecDeque<(Time, Told)>,
}

/// What may happen at a link by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hop {
    /// The engine does something.
    Engine(Choice),
    /// The engine sends another copy of a message, and the member sees it at once.
    Copy(MessageId, MemberId),
    /// The first word of a member arrives.
    Arrive(MemberId),
    /// A member sees the first message in its inbox.
    Hand(MemberId),
    /// The same, and nobody records it.
    Unseen(MemberId),
    /// A member gives an answer that nobody records, and it arrives.
    Say(Sent, Answer),
    /// The first word of a member is lost.
    Lose(MemberId),
    /// The connection of a member breaks, and it is back at once.
    Break(MemberId),
}

impl Hop {
    /// Whether it is one that a recording without gaps would have had a line for.
    pub(super) const fn is_unrecorded(&self) -> bool {
        matches!(self, Hop::Unseen(_) | Hop::Say(..) | Hop::Lose(_) | Hop::Break(_))
    }
}

/// What comes of a hop that can be seen.
pub(super) enum Visible {
    /// A member sees a message.
    Got(Sent),
    /// A message is given up.
    GaveUp(MessageId),
}

impl Visible {
    /// All that can be seen of it.
    pub(super) const fn seen(&self) -> Seen {
        match self {
            Visible::Got(sent) => Seen::all_of(*sent),
            Visible::GaveUp(message) => Seen::GaveUp(*message),
        }
    }
}

impl Link {
    /// An engine before anything happened.
    #[must_use]
    pub fn new(rules: &Rules) -> Link {
        Link { engine: rules.begin(), time: Time(0), ways: Vec::new(), seen: Vec::new() }
    }

    fn way(&mut self, member: MemberId) -> &mut Way {
        let place = match self.ways.binary_search_by_key(&member, |way| way.member) {
            Ok(place) => place,
            Err(place) => {
                let way = Way { member, is_there: false, inbox: VecDeque::new(), words: VecDeque::new() };
                self.ways.insert(place, way);
                place
            }
        };
        &mut self.ways[place]
    }

    /// Something happens outside. What a member says travels; a crash is no word, and neither is a publish.
    pub(super) fn tell(&mut self, rules: &Rules, log: &Log, time: Time, told: &Told) {
        self.time = time;
        let member = match told {
            Told::Published(_) | Told::Failed(_) | Told::Compacted(_) | Told::Expired(..) => {
                return self.arrive(rules, log, told);
            }
            Told::Joined(member, _)
            | Told::Left(member, _)
            | Told::Committed(member, ..)
            | Told::Sought(member, ..)
            | Told::Claimed(member, _)
            | Told::Answered { member, .. } => *member,
        };
        let way = self.way(member);
        match told {
            Told::Joined(..) => {
                way.is_there = true;
                self.arrive(rules, log, told);
            }
            Told::Left(_, how) => {
                if matches!(how, How::Close | How::Crash) {
                    way.is_there = false;
                }
                // Otherwise it goes on with what it has.
                if !rules.keeps_at(*how) {
                    way.inbox.clear();
                }
                way.words.push_back((time, told.clone()));
            }
            _ => way.words.push_back((time, told.clone())),
        }
    }

    fn arrive(&mut self, rules: &Rules, log: &Log, told: &Told) {
        let mut sent = Vec::new();
        self.engine.tell(rules, log, Clock::at(self.time), told, &mut sent);
        sent.into_iter().for_each(|sent| self.put(sent));
    }

    fn put(&mut self, sent: Sent) {
        let way = self.way(sent.member);
        if way.is_there {
            way.inbox.push_back(sent);
        }
    }

    /// The last delivery of a message that a member saw; that any member did if it is left open.
    pub(super) fn last_seen(&self, message: MessageId, member: Option<MemberId>) -> Option<Sent> {
        let of_it = |seen: &&Sent| seen.message == message && member.is_none_or(|member| member == seen.member);
        self.seen.iter().rev().find(of_it).copied()
    }

    /// The moment at which the first word that has not arrived was said.
    pub(super) fn oldest_word(&self) -> Option<Time> {
        self.ways.iter().filter_map(|way| way.words.front()).map(|(time, _)| *time).min()
    }

    /// What a member was sent and has not seen.
    pub(super) fn inbox(&self, member: MemberId) -> impl Iterator<Item = &Sent> {
        self.ways.iter().filter(move |way| way.member == member).flat_map(|way| &way.inbox)
    }

    /// What may happen by itself; timers may have ended that are over by `late`.
    pub(super) fn may(&self, rules: &Rules, log: &Log, late: Time, hops: &mut Vec<Hop>) {
        let mut choices = Vec::new();
        self.engine.may(rules, log, Clock { time: self.time, late }, &mut choices);
        hops.extend(choices.into_iter().filter_map(|choice| match choice {
            // It may be sent at any time, so it is sent when it is seen and no sooner, to a member with nothing before
            // it in its inbox: otherwise there would be no end of copies on the way.
            Choice::Copy(message, member) => self.takes_in_at_once(member).then_some(Hop::Copy(message, member)),
            choice => Some(Hop::Engine(choice)),
        }));
        for way in &self.ways {
            if !way.words.is_empty() {
                hops.push(Hop::Arrive(way.member));
            }
            if !way.inbox.is_empty() {
                hops.push(Hop::Hand(way.member));
            }
        }
    }

    /// What may happen besides if a recording has gaps.
    pub(super) fn may_unrecorded(&self, rules: &Rules, gaps: &[Gap], hops: &mut Vec<Hop>) {
        let naks = matches!(rules, Rules::Queue(rules) if rules.naks);
        for gap in gaps {
            let ways = self.ways.iter();
            match gap {
                Gap::Delivery => {
                    hops.extend(ways.filter(|way| !way.inbox.is_empty()).map(|way| Hop::Unseen(way.member)));
                }
                Gap::Answer => {
                    hops.extend(self.seen.iter().map(|sent| Hop::Say(*sent, Answer::Ack)));
                    let refused = self.seen.iter().filter(|_| naks);
                    hops.extend(refused.map(|sent| Hop::Say(*sent, Answer::Nak(None))));
                }
                Gap::LostAnswer => {
                    let is_answer = |way: &&Way| {
                        let first = way.words.front();
                        first.is_some_and(|(_, told)| matches!(told, Told::Answered { .. } | Told::Committed(..)))
                    };
                    hops.extend(ways.filter(is_answer).map(|way| Hop::Lose(way.member)));
                }
                // What is on its way is said again then, and comes of nothing else.
                Gap::Reconnect if rules.keeps_at(How::Reconnect) => {}
                Gap::Reconnect => hops.extend(ways.filter(|way| way.is_there).map(|way| Hop::Break(way.member))),
            }
        }
    }

    /// What it means that one of the things that may happen does, if it has to be said.
    pub(super) fn assumed(&self, hop: &Hop) -> Option<Assumed> {
        let way = |member: &MemberId| self.ways.iter().find(|way| way.member == *member);
        match hop {
            Hop::Engine(choice) => Some(Assumed::Chose(choice.clone())),
            Hop::Copy(message, member) => Some(Assumed::Chose(Choice::Copy(*message, *member))),
            Hop::Arrive(member) => Some(Assumed::Arrived(*member)),
            Hop::Hand(_) => None,
            Hop::Unseen(member) => way(member)?.inbox.front().copied().map(Assumed::Unseen),
            Hop::Say(sent, answer) => Some(Assumed::Said(*sent, *answer)),
            Hop::Lose(member) => way(member)?.words.front().map(|(_, told)| Assumed::Lost(*member, told.clone())),
            Hop::Break(member) => Some(Assumed::Broke(*member)),
        }
    }

    /// The earliest time at which what happens next can happen, by a clock that may be fast by so much.
    pub(super) fn time_less(&self, slack: Wait) -> Time {
        Time(self.time.0.saturating_sub(slack.after(Time(0)).0))
    }

    /// It is seen by the clock of whoever wrote a line.
    pub(super) fn seen_at(&mut self, time: Time) {
        self.time = time;
    }

    /// Whether a member would see at once what is sent to it.
    fn takes_in_at_once(&self, member: MemberId) -> bool {
        self.ways.iter().any(|way| way.member == member && way.is_there && way.inbox.is_empty())
    }

    /// Does one of the things that may happen, which can be seen at `time`; what of it can be seen.
    pub(super) fn hop(&mut self, rules: &Rules, log: &Log, time: Time, hop: &Hop) -> Option<Visible> {
        match hop {
            Hop::Engine(choice) => {
                if let Choice::Expire(message) = choice {
                    let due = self.engine.due(rules, *message);
                    self.time = due.map_or(self.time, |due| self.time.max(due));
                }
                if let Some(sent) = self.engine.choose(rules, log, Clock::at(self.time), choice) {
                    self.put(sent);
                }
                match choice {
                    Choice::GiveUp(message) => Some(Visible::GaveUp(*message)),
                    _ => None,
                }
            }
            Hop::Arrive(member) => {
                if let Some((said, told)) = self.way(*member).words.pop_front() {
                    self.time = self.time.max(said);
                    self.arrive(rules, log, &told);
                }
                None
            }
            Hop::Copy(message, member) => {
                let choice = Choice::Copy(*message, *member);
                let sent = self.engine.choose(rules, log, Clock::at(self.time), &choice)?;
                Some(self.show(sent, time))
            }
            Hop::Hand(member) => {
                let sent = self.way(*member).inbox.pop_front()?;
                Some(self.show(sent, time))
            }
            Hop::Unseen(member) => {
                let sent = self.way(*member).inbox.pop_front()?;
                self.show(sent, self.time);
                None
            }
            Hop::Say(sent, answer) => {
                let Sent { message, member, count } = *sent;
                self.arrive(rules, log, &Told::Answered { member, message, count, answer: *answer });
                None
            }
            Hop::Lose(member) => {
                self.way(*member).words.pop_front();
                None
            }
            Hop::Break(member) => {
                let way = self.way(*member);
                way.inbox.clear();
                way.words.clear();
                let how = if rules.releases_at(How::Crash) { How::Crash } else { How::Reconnect };
                self.arrive(rules, log, &Told::Left(*member, how));
                if how == How::Crash {
                    self.arrive(rules, log, &Told::Joined(*member, Start::Earliest));
                }
                None
            }
        }
    }

    /// A member sees what it was sent.
    fn show(&mut self, sent: Sent, time: Time) -> Visible {
        self.time = time;
        self.seen.retain(|seen| (seen.message, seen.member) != (sent.message, sent.member));
        self.seen.push(sent);
        Visible::Got(sent)
    }
}
