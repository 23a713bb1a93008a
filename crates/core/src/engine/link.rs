//! What travels between a broker and its members: messages to each of them, and words back, in order.

use std::collections::VecDeque;

use super::told::{Choice, Log, MemberId, MessageId, Sent, Told};
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
}

/// What comes of a hop that can be seen.
pub(super) enum Visible {
    /// A member sees a message.
    Got(Sent),
    /// A message is given up.
    GaveUp(MessageId),
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
            Told::Published(_) => return self.arrive(rules, log, told),
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
                use super::How::{Cancel, Close, Crash, Reconnect};
                match how {
                    // It goes on with what it has.
                    Cancel => {}
                    Close | Crash => {
                        way.is_there = false;
                        way.inbox.clear();
                    }
                    Reconnect => way.inbox.clear(),
                }
                way.words.push_back((time, told.clone()));
            }
            Told::Published(_) | Told::Committed(..) | Told::Sought(..) | Told::Claimed(..) | Told::Answered { .. } => {
                way.words.push_back((time, told.clone()));
            }
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
