//! Lines of several hosts: the order of each is known, and between two as far as their clocks agree.

use super::admit::{Assumed, Line, Seen, What};
use super::told::{Choice, Log, MessageId, Sent, Told};
use super::wait::Wait;
use crate::ids::Time;

/// The lines of a recording, by the host that wrote them.
pub(super) struct Hosts<'a> {
    lines: &'a [Line],
    /// The places of each host's lines.
    places: Vec<Vec<usize>>,
    /// Which message a line published.
    published: Vec<MessageId>,
    tolerance: Wait,
}

/// How far each host's lines are taken in, and what was published by then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Front {
    /// By host.
    taken: Vec<usize>,
    /// The messages by the numbers that the recording has for them, in the order in which they are in the log.
    order: Vec<MessageId>,
    pub(super) log: Log,
    /// The earliest time that it can be, which does not depend on the order of the lines.
    pub(super) time: Time,
}

impl<'a> Hosts<'a> {
    /// Lines of which it is said who wrote each; all are of one host where that is left out.
    pub(super) fn new(lines: &'a [Line], hosts: &[u16], tolerance: Wait) -> Hosts<'a> {
        let mut places: Vec<Vec<usize>> = vec![Vec::new()];
        let (mut published, mut next) = (Vec::new(), 0);
        for (place, line) in lines.iter().enumerate() {
            let host = usize::from(hosts.get(place).copied().unwrap_or_default());
            if places.len() <= host {
                places.resize_with(host + 1, Vec::new);
            }
            places[host].push(place);
            published.push(MessageId(next));
            next += u32::from(matches!(line.what, What::Published(_)));
        }
        Hosts { lines, places, published, tolerance }
    }

    /// Before the first line.
    pub(super) fn first(&self) -> Front {
        Front { taken: vec![0; self.places.len()], order: Vec::new(), log: Log::default(), time: Time(0) }
    }

    /// The places of the lines that may be next.
    pub(super) fn next(&self, front: &Front) -> Vec<usize> {
        let next = self.places.iter().zip(&front.taken).filter_map(|(places, taken)| places.get(*taken).copied());
        let time = |place: usize| self.lines[place].time;
        let latest = next.clone().map(time).min().map(|first| self.tolerance.after(first));
        next.filter(|place| Some(time(*place)) <= latest).collect()
    }

    /// After the line at this place, which is one of those that may be next.
    pub(super) fn beyond(&self, front: &Front, place: usize) -> Front {
        let mut beyond = front.clone();
        let of_its_host = self.places.iter().zip(&mut beyond.taken);
        let its = of_its_host.filter(|(places, taken)| places.get(**taken) == Some(&place));
        its.for_each(|(_, taken)| *taken += 1);
        let tolerance = self.tolerance.after(Time(0)).0;
        beyond.time = beyond.time.max(Time(self.lines[place].time.0.saturating_sub(tolerance)));
        if let What::Published(entry) = &self.lines[place].what {
            beyond.log.append(*entry);
            beyond.order.push(self.published[place]);
        }
        beyond
    }
}

impl Front {
    /// How many lines of a host are taken in.
    pub(super) fn taken(&self, host: usize) -> usize {
        self.taken.get(host).copied().unwrap_or_default()
    }

    /// The number in the log of a message, if it was published.
    pub(super) fn logged(&self, recorded: MessageId) -> Option<MessageId> {
        if self.order.get(recorded.0 as usize) == Some(&recorded) {
            return Some(recorded);
        }
        (0..).zip(&self.order).find_map(|(place, other)| (*other == recorded).then_some(MessageId(place)))
    }

    /// The number in the recording of a message in the log.
    pub(super) fn recorded(&self, logged: MessageId) -> MessageId {
        self.order[logged.0 as usize]
    }

    /// The same with the numbers of the log, if all of its messages were published.
    pub(super) fn logged_seen(&self, seen: Seen) -> Option<Seen> {
        Some(match seen {
            Seen::Got { message, member, count, redelivered } => {
                Seen::Got { message: self.logged(message)?, member, count, redelivered }
            }
            Seen::GaveUp(message) => Seen::GaveUp(self.logged(message)?),
            Seen::GotSome { .. } => seen,
        })
    }

    /// The same with the numbers of the recording.
    pub(super) fn recorded_seen(&self, seen: Seen) -> Seen {
        match seen {
            Seen::Got { message, member, count, redelivered } => {
                Seen::Got { message: self.recorded(message), member, count, redelivered }
            }
            Seen::GaveUp(message) => Seen::GaveUp(self.recorded(message)),
            Seen::GotSome { .. } => seen,
        }
    }

    /// The same with the numbers of the log, if all of its messages were published.
    pub(super) fn logged_told(&self, told: &Told) -> Option<Told> {
        Some(match told {
            Told::Published(message) => Told::Published(self.logged(*message)?),
            Told::Claimed(member, messages) => {
                let logged: Option<Vec<MessageId>> = messages.iter().map(|message| self.logged(*message)).collect();
                Told::Claimed(*member, logged?)
            }
            Told::Answered { member, message, count, answer } => {
                let message = self.logged(*message)?;
                Told::Answered { member: *member, message, count: *count, answer: *answer }
            }
            told => told.clone(),
        })
    }

    pub(super) fn recorded_sent(&self, sent: Sent) -> Sent {
        Sent { message: self.recorded(sent.message), ..sent }
    }

    /// The same with the numbers of the recording.
    pub(super) fn recorded_assumed(&self, assumed: &Assumed) -> Assumed {
        let message = |message: &MessageId| self.recorded(*message);
        match assumed {
            Assumed::Chose(choice) => Assumed::Chose(match choice {
                Choice::Send(of, to) => Choice::Send(message(of), *to),
                Choice::Copy(of, to) => Choice::Copy(message(of), *to),
                Choice::Expire(of) => Choice::Expire(message(of)),
                Choice::GiveUp(of) => Choice::GiveUp(message(of)),
                Choice::Accept(of) => Choice::Accept(message(of)),
                Choice::Ignore(of) => Choice::Ignore(message(of)),
                Choice::Evict(_) | Choice::Move(..) | Choice::AutoCommit(_) => choice.clone(),
            }),
            Assumed::Unseen(sent) => Assumed::Unseen(self.recorded_sent(*sent)),
            Assumed::Was(sent) => Assumed::Was(self.recorded_sent(*sent)),
            Assumed::Said(sent, answer) => Assumed::Said(self.recorded_sent(*sent), *answer),
            Assumed::Meant(sent, answer) => Assumed::Meant(self.recorded_sent(*sent), *answer),
            Assumed::Lost(member, Told::Answered { message: of, count, answer, .. }) => {
                Assumed::Lost(*member, Sent { message: message(of), member: *member, count: *count }.answered(*answer))
            }
            Assumed::Arrived(_) | Assumed::Lost(..) | Assumed::Broke(_) => assumed.clone(),
        }
    }
}
