//! What explains a recording, as departures that a scenario plays.

use std::collections::{BTreeMap, BTreeSet};

use pellmell_core::engine::{
    Admitted, Answer, Assumed, Choice, MessageId, Profile, Recording, Sent, Setting, Told, What,
};
use pellmell_core::escape::for_terminal;
use pellmell_core::faults::Window;
use pellmell_core::schedule::{DeliverySpec, Departure, Target};
use toml_edit::{Array, DocumentMut, Item, Value};

use super::Foreign;
use crate::scenario::FileError;

/// A delivery by its message and how often that was sent.
type Delivery = (u32, u16);

/// What became of the deliveries of a recording.
#[derive(Default)]
struct Story {
    /// Those that a member was handed, in order.
    handled: Vec<Delivery>,
    /// How each ended: when, as a place among what happened.
    ends: BTreeMap<Delivery, (usize, End)>,
    /// When each was acked, if it was.
    acked: BTreeMap<Delivery, usize>,
    /// Those that were refused, or not answered by somebody who could have.
    refused: BTreeSet<Delivery>,
    /// Those that are a copy of the one before.
    copies: BTreeSet<Delivery>,
    /// When each was handed to a member.
    handed: BTreeMap<Delivery, usize>,
    /// All that were sent.
    sent: BTreeSet<Delivery>,
}

/// How a delivery ended without an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The wait ended.
    Waited,
    /// What was said is lost.
    LostAnswer,
}

/// The departures with which a scenario plays what explains a recording, if the events and the group of all messages
/// in them are known.
///
/// What a handler answers is up to the services, so it is no departure.
///
/// # Errors
/// The messages of which it is not known how scenarios call them.
pub fn departures(read: &Foreign, admitted: &Admitted) -> Result<Vec<Departure>, BTreeSet<String>> {
    let mut unknown = BTreeSet::new();
    let told = Story::of(&read.recording, admitted).departures();
    let group = read.group.as_deref();
    let mut departures = Vec::new();
    for departure in told {
        let mut named = |delivery: Delivery| {
            let spec = named(read, group, delivery);
            if spec.is_none() {
                unknown.insert(read.recording.messages[delivery.0 as usize].clone());
            }
            spec
        };
        departures.extend(departure.named(&mut named));
    }
    if unknown.is_empty() { Ok(departures) } else { Err(unknown) }
}

/// A delivery as scenarios call it.
fn named(read: &Foreign, group: Option<&str>, (message, attempt): Delivery) -> Option<DeliverySpec> {
    let name = read.recording.messages.get(message as usize)?;
    let event = read.events.get(name)?;
    let spec: DeliverySpec = format!("{event} -> {}", group?).parse().ok()?;
    Some(DeliverySpec { attempt, ..spec })
}

/// A departure by the numbers of the recording.
enum Departs {
    Lose(Delivery),
    LoseAck(Delivery),
    CrashBeforeAck(Delivery),
    Duplicate(Delivery),
    RunPast(Delivery),
    DelayAckToItsWait(Delivery),
    Hold(Delivery, Delivery),
    HoldToWait(Delivery, Delivery),
}

impl Departs {
    fn named(&self, name: &mut impl FnMut(Delivery) -> Option<DeliverySpec>) -> Option<Departure> {
        Some(match self {
            Departs::Lose(what) => Departure::Lose(name(*what)?),
            Departs::LoseAck(what) => Departure::LoseAck(name(*what)?),
            Departs::CrashBeforeAck(what) => {
                let what = name(*what)?;
                let (service, window) = (what.group.clone(), Window::BeforeAck);
                Departure::Crash { service, window, what: Target::Delivery(what) }
            }
            Departs::Duplicate(what) => Departure::Duplicate(name(*what)?),
            Departs::RunPast(what) => Departure::RunPast(name(*what)?),
            Departs::DelayAckToItsWait(what) => {
                let what = name(*what)?;
                Departure::DelayAck { until: Some(Target::AckWait(what.clone())), what }
            }
            Departs::Hold(what, until) => {
                let what = Target::Delivery(name(*what)?);
                Departure::Hold { what, until: Some(Target::Delivery(name(*until)?)) }
            }
            Departs::HoldToWait(what, until) => {
                let what = Target::Delivery(name(*what)?);
                Departure::Hold { what, until: Some(Target::AckWait(name(*until)?)) }
            }
        })
    }
}

const fn of(sent: Sent) -> Delivery {
    (sent.message.0, sent.count)
}

impl Story {
    fn of(recording: &Recording, admitted: &Admitted) -> Story {
        let mut story = Story::default();
        let mut counts: BTreeMap<MessageId, u16> = BTreeMap::new();
        let (mut assumed, mut handed) = (admitted.assumed.iter().peekable(), admitted.handed.iter().peekable());
        let mut now = 0;
        for (place, line) in recording.lines.iter().enumerate() {
            while let Some((_, what)) = assumed.next_if(|(other, _)| *other <= place) {
                now += 1;
                story.assume(what, &mut counts, now);
            }
            now += 1;
            while let Some((_, sent)) = handed.next_if(|(other, _)| *other <= place) {
                story.hand(*sent, now);
            }
            // What nobody knows was assumed, and is told there.
            if let What::Answered { message, count, answer, .. } = &line.what {
                let delivery = count.map(|count| (message.0, count)).or_else(|| story.last_handed(*message));
                delivery.into_iter().for_each(|delivery| story.answer(delivery, Some(*answer), now));
            }
        }
        story
    }

    fn last_handed(&self, message: MessageId) -> Option<Delivery> {
        self.handled.iter().rev().find(|(other, _)| *other == message.0).copied()
    }

    fn hand(&mut self, sent: Sent, now: usize) {
        self.handled.push(of(sent));
        self.sent.insert(of(sent));
        self.handed.insert(of(sent), now);
    }

    fn answer(&mut self, delivery: Delivery, answer: Option<Answer>, now: usize) {
        match answer {
            Some(Answer::Ack | Answer::AckUpTo) => {
                self.acked.entry(delivery).or_insert(now);
            }
            Some(Answer::Nak(_) | Answer::Term) | None => {
                self.refused.insert(delivery);
            }
            Some(_) => {}
        }
    }

    fn assume(&mut self, assumed: &Assumed, counts: &mut BTreeMap<MessageId, u16>, now: usize) {
        let mut send = |message: &MessageId| {
            let count = counts.entry(*message).or_default();
            *count = count.saturating_add(1);
            (message.0, *count)
        };
        match assumed {
            Assumed::Chose(Choice::Send(message, _)) => {
                let delivery = send(message);
                self.sent.insert(delivery);
            }
            Assumed::Chose(Choice::Copy(message, _)) => {
                let delivery = send(message);
                self.sent.insert(delivery);
                self.copies.insert(delivery);
            }
            Assumed::Chose(Choice::Expire(message)) => {
                let count = counts.get(message).copied().unwrap_or_default();
                self.ends.entry((message.0, count)).or_insert((now, End::Waited));
            }
            Assumed::Lost(_, Told::Answered { message, count, answer: Answer::Ack | Answer::AckUpTo, .. }) => {
                self.ends.entry((message.0, *count)).or_insert((now, End::LostAnswer));
            }
            Assumed::Said(sent, answer) => self.answer(of(*sent), Some(*answer), now),
            Assumed::Meant(sent, answer) => self.answer(of(*sent), *answer, now),
            _ => {}
        }
    }

    fn departures(&self) -> Vec<Departs> {
        let mut departures = Vec::new();
        for delivery in &self.sent {
            let next = (delivery.0, delivery.1.saturating_add(1));
            let comes_again = self.sent.contains(&next);
            if self.copies.contains(&next) {
                departures.push(Departs::Duplicate(*delivery));
                continue;
            }
            let end = self.ends.get(delivery);
            if self.refused.contains(delivery) || end.is_none() && !comes_again {
                continue;
            }
            // Nobody knows what a member did with it, or there was none that was handed it.
            if !self.handed.contains_key(delivery) {
                departures.push(Departs::Lose(*delivery));
                continue;
            }
            let acked = self.acked.get(delivery).copied();
            let ended = end.map(|(at, _)| *at);
            departures.push(match (acked, ended) {
                (Some(acked), Some(ended)) if acked > ended => match self.handed.get(&next) {
                    Some(again) if *again < acked => Departs::RunPast(*delivery),
                    _ => Departs::DelayAckToItsWait(*delivery),
                },
                // It comes again although nobody waited for an answer: whoever had it is gone.
                (None, None) => Departs::CrashBeforeAck(*delivery),
                _ => Departs::LoseAck(*delivery),
            });
        }
        self.holds(&mut departures);
        departures
    }

    /// What waits for what the calm run does later: that hands out what was published in its order, and then what comes
    /// again.
    fn holds(&self, departures: &mut Vec<Departs>) {
        let calm = |(message, count): Delivery| (count > 1, message);
        for (place, what) in self.handled.iter().enumerate().filter(|(_, (_, count))| *count == 1) {
            let before = self.handled[..place].iter().rev();
            let previous = |(message, count): Delivery| (message, count.saturating_sub(1));
            // What was refused comes again by itself.
            let mut later =
                before.filter(|other| calm(**other) > calm(*what) && !self.refused.contains(&previous(**other)));
            let Some(until) = later.next() else { continue };
            let previous = previous(*until);
            // The clock moves only for what names it.
            if self.ends.get(&previous).is_some_and(|(_, end)| *end == End::Waited) {
                departures.push(Departs::HoldToWait(*what, previous));
            }
            departures.push(Departs::Hold(*what, *until));
        }
    }
}

/// A scenario with these departures in the place of its own and of what is drawn; if it names no broker, with the
/// recording's.
///
/// # Errors
/// If it is no TOML.
pub fn scenario_of(file: &str, text: &str, profile: &Profile, departures: &[Departure]) -> Result<String, FileError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        FileError::new(file, text, error.span().unwrap_or(0..0), error.message())
    })?;
    for key in ["faults", "scheduler", "expect", "entry"] {
        document.remove(key);
    }
    document["schedule"] = Item::Value(Value::Array(listed(departures)));
    let broker = if document.contains_key("broker") { String::new() } else { broker(profile) };
    Ok(document.to_string() + &broker)
}

/// The broker of a recording as scenarios have it: the profile and the settings in which it differs.
fn broker(profile: &Profile) -> String {
    let usual = Profile::named(profile.name).map(|usual| usual.settings()).unwrap_or_default();
    let differs = profile.settings().into_iter().filter(|setting| !usual.contains(setting));
    let lines = differs.map(|Setting { name, value }| match value.as_str() {
        "null" => format!("# {name} is not set, which scenarios cannot say.\n"),
        // Text, numbers and lists of them are written the same in JSON and in TOML.
        _ => format!("{name} = {value}\n"),
    });
    format!("\n[broker]\nprofile = \"{}\"\n{}", profile.name, lines.collect::<String>())
}

/// A list, an item in each line.
fn listed(departures: &[Departure]) -> Array {
    let mut list: Array = departures.iter().map(ToString::to_string).collect();
    list.iter_mut().for_each(|item| item.decor_mut().set_prefix("\n    "));
    list.set_trailing(if departures.is_empty() { "" } else { ",\n" });
    list
}

/// The beginning of a scenario with these departures, which lacks the commands that publish the recorded events.
#[must_use]
pub fn stub(read: &Foreign, profile: &Profile, about: &str, departures: &[Departure]) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let events = read.recording.messages.iter().map(|name| read.events.get(name).unwrap_or(name));
    let events: String = events.map(|event| format!("#   {}\n", for_terminal(event))).collect();
    format!(
        "version = 1\nabout = {}\nschedule = {}\n{}\n# Write the commands that publish:\n{events}\
         [[client]]\nname = \"client\"\ncommands = []\n",
        quoted(about),
        listed(departures),
        broker(profile),
    )
}
