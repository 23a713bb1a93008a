//! JetStream's own events: what a consumer's server says of acks, refusals and messages that are given up.
//!
//! A metric of an ack has the delivery's number, how often the message was sent and how long ago, so the server's
//! deliveries are known in their order, by its own clock. Of a delivery that nobody answered there is no event: it is
//! a number that is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pellmell_core::engine::{Header, RECORDING_VERSION, RecordedLine, Recording, SomeAnswer, Wait};
use pellmell_core::trace::count;
use serde::Deserialize;

use super::time::nanos_of_rfc3339;
use super::{Foreign, Mapping, answered, chosen, json_error};
use crate::scenario::FileError;

/// The one member that a consumer's deliveries go to: the events do not say who got them.
const MEMBER: &str = "consumer";

/// What all events have.
#[derive(Deserialize)]
struct Typed {
    r#type: String,
}

/// An event about a delivery, or a consumer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they say nothing of deliveries, and what is no key of an event is refused")]
struct Event {
    r#type: String,
    id: String,
    timestamp: String,
    stream: String,
    consumer: String,
    consumer_seq: Option<u64>,
    stream_seq: Option<u64>,
    ack_time: Option<u64>,
    deliveries: Option<u16>,
    reason: Option<String>,
    action: Option<String>,
    domain: Option<String>,
    account: Option<String>,
}

/// What an event says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ack,
    Nak,
    Term,
    GaveUp,
    Consumer,
}

const KINDS: [(&str, &str, Kind); 5] = [
    ("io.nats.jetstream.metric.", "consumer_ack", Kind::Ack),
    ("io.nats.jetstream.advisory.", "nak", Kind::Nak),
    ("io.nats.jetstream.advisory.", "terminated", Kind::Term),
    ("io.nats.jetstream.advisory.", "max_deliver", Kind::GaveUp),
    ("io.nats.jetstream.advisory.", "consumer_action", Kind::Consumer),
];

/// A delivery that was answered.
struct Delivery {
    message: u64,
    count: u16,
    /// By when it was sent at the latest.
    sent: u64,
    span: Range<usize>,
}

/// What happened, in the order of what happens at one time.
#[derive(Clone)]
enum What {
    Got(Option<(u64, Option<u16>)>),
    Answered(SomeAnswer, u64, u16),
    GaveUp(u64, u16),
}

/// When something happened, and where the file says so.
type Happened = (u64, What, Range<usize>);

/// Deliveries that no event is about.
struct Missing {
    /// Those after the last that is known, of messages that were given up.
    at_the_end: Vec<Happened>,
    /// How many are of messages that no event names.
    unnamed: u64,
}

impl Missing {
    /// Of a message that was sent so often, all deliveries are known or have no event.
    fn of(deliveries: &BTreeMap<u64, Delivery>, happened: &[Happened], unknown: u64) -> Missing {
        let mut known: BTreeMap<u64, u64> = BTreeMap::new();
        let mut sent: BTreeMap<u64, u64> = BTreeMap::new();
        for delivery in deliveries.values() {
            *known.entry(delivery.message).or_default() += 1;
            let most = sent.entry(delivery.message).or_default();
            *most = u64::from(delivery.count).max(*most);
        }
        let lacks = |message: u64, count: u64| count.saturating_sub(known.get(&message).copied().unwrap_or_default());
        let gave_up = happened.iter().filter_map(|(nanos, what, span)| match what {
            What::GaveUp(message, count) => Some((*nanos, *message, u64::from(*count), span)),
            _ => None,
        });
        let is_given_up = |message: u64| gave_up.clone().any(|(_, other, ..)| other == message);
        let answered = sent.iter().filter(|(message, _)| !is_given_up(**message));
        let mut left = unknown.saturating_sub(answered.map(|(message, count)| lacks(*message, *count)).sum());
        let mut at_the_end = Vec::new();
        for (nanos, message, count, span) in gave_up.clone() {
            let lacks = lacks(message, count);
            let more = lacks.saturating_sub(left);
            left = left.saturating_sub(lacks);
            at_the_end.extend((0..more).map(|_| (nanos, What::Got(None), span.clone())));
        }
        Missing { at_the_end, unnamed: left }
    }
}

/// The recording of one consumer.
pub(super) fn read(file: &str, text: &str, mapping: &Mapping) -> Result<Foreign, FileError> {
    let mut events = Vec::new();
    let mut others: BTreeMap<String, u64> = BTreeMap::new();
    let (mut at, mut last) = (0, 0);
    for line in text.split_inclusive('\n') {
        let span = at..at + line.trim_end().len();
        at += line.len();
        if span.is_empty() {
            continue;
        }
        let error = |message: String| FileError::new(file, text, span.clone(), message);
        let help = "record with `nats sub --raw '$JS.EVENT.>' > events.jsonl`: a JSON object in each line";
        let typed: Typed = json_error(file, text, &span, serde_json::from_str(&text[span.clone()]))
            .map_err(|error| error.help(help))?;
        let Some(kind) = kind_of(&typed.r#type).map_err(|message| {
            error(message).help("this pellmell reads version 1 of JetStream's events; a newer one may read others")
        })?
        else {
            *others.entry(typed.r#type).or_default() += 1;
            continue;
        };
        let event: Event = json_error(file, text, &span, serde_json::from_str(&text[span.clone()]))
            .map_err(|error| error.help("expected the keys of an event of nats-server 2.9 to 2.15"))?;
        let nanos = nanos_of_rfc3339(&event.timestamp).ok_or_else(|| {
            let message = format!("`{}` is no moment", event.timestamp);
            error(message).help("expected a timestamp such as \"2026-11-30T08:43:45.729166825Z\"")
        })?;
        if nanos < last {
            let message = "this event is before the last one".to_owned();
            return Err(error(message).help("sort the lines by `timestamp`, or record one server"));
        }
        last = nanos;
        events.push((span.clone(), kind, nanos, event));
    }
    let end = || FileError::new(file, text, text.len()..text.len(), "no event is about a delivery");
    let streams: BTreeSet<&str> = events.iter().map(|(.., event)| event.stream.as_str()).collect();
    let stream = chosen(file, text, ("stream", "destination"), mapping.destination.as_deref(), &streams)?;
    let of_stream = events.iter().filter(|(.., event)| stream.is_none_or(|stream| event.stream == stream));
    let consumers: BTreeSet<&str> = of_stream.clone().map(|(.., event)| event.consumer.as_str()).collect();
    let consumer = chosen(file, text, ("consumer", "group"), mapping.group.as_deref(), &consumers)?;
    let events: Vec<_> = of_stream.filter(|(.., event)| consumer.is_none_or(|one| event.consumer == one)).collect();

    let is_create = |event: &Event| event.action.as_deref() == Some("create");
    let created = events.iter().find(|(_, kind, _, event)| *kind == Kind::Consumer && is_create(event));
    let created = created.map(|(_, _, nanos, _)| *nanos);
    let is_whole = created.is_some();
    let mut deliveries: BTreeMap<u64, Delivery> = BTreeMap::new();
    let mut happened: Vec<Happened> = Vec::new();
    let mut messages = BTreeSet::new();
    for (span, kind, nanos, event) in events {
        if *kind == Kind::Consumer {
            continue;
        }
        let missing = |key: &str| {
            FileError::new(file, text, span.clone(), format!("`{}` needs `{key}`", event.r#type))
                .help("is the file damaged? each event has this key")
        };
        let message = event.stream_seq.ok_or_else(|| missing("stream_seq"))?;
        let count = event.deliveries.ok_or_else(|| missing("deliveries"))?;
        messages.insert(message);
        let answer = match kind {
            Kind::Ack => SomeAnswer::Ack,
            Kind::Nak => SomeAnswer::Nak,
            Kind::Term => SomeAnswer::Term,
            Kind::GaveUp | Kind::Consumer => {
                happened.push((*nanos, What::GaveUp(message, count), span.clone()));
                continue;
            }
        };
        let number = event.consumer_seq.ok_or_else(|| missing("consumer_seq"))?;
        let ago = match kind {
            Kind::Ack => event.ack_time.ok_or_else(|| missing("ack_time"))?,
            _ => 0,
        };
        let sent = nanos.saturating_sub(ago);
        let delivery = Delivery { message, count, sent, span: span.clone() };
        let known = deliveries.entry(number).or_insert(delivery);
        if known.message != message {
            let message = format!("delivery {number} is of message {} in an earlier line", known.message);
            return Err(FileError::new(file, text, span.clone(), message).help("does the file have two consumers?"));
        }
        happened.push((*nanos, What::Answered(answer, message, count), span.clone()));
    }
    let Some(latest) = deliveries.keys().next_back().copied() else {
        return Err(end().help("the consumer needs sampling: nats consumer edit STREAM CONSUMER --sample 100"));
    };
    let earliest = if is_whole { 1 } else { deliveries.keys().next().copied().unwrap_or(1) };
    if latest - earliest > u64::from(u16::MAX) {
        let span = deliveries.values().next_back().map_or(0..0, |delivery| delivery.span.clone());
        let message = format!("deliveries {earliest} to {latest} are too many: expected at most 65536");
        return Err(FileError::new(file, text, span, message).help("record a shorter time"));
    }
    let mut notes = Vec::new();
    // What comes later was sent later, so each is sent at the latest when the next one is.
    let (mut by, mut unknown) = (u64::MAX, 0);
    for number in (earliest..=latest).rev() {
        let known = deliveries.get(&number);
        let of = known.map(|known| (known.message, is_whole.then_some(known.count)));
        by = by.min(known.map_or(by, |known| known.sent));
        unknown += u64::from(known.is_none());
        let span = deliveries.range(number..).next().map_or(0..0, |(_, next)| next.span.clone());
        happened.push((by, What::Got(of), span));
    }
    let missing = Missing::of(&deliveries, &happened, unknown);
    if is_whole {
        happened.extend(missing.at_the_end.iter().cloned());
        unknown += missing.at_the_end.len() as u64;
    }
    if missing.unnamed > 0
        && let (Some(first), Some(last)) = (messages.first().copied(), messages.last().copied())
        && last - first < messages.len() as u64 + missing.unnamed
    {
        messages.extend(first..=last);
    }
    happened.sort_by_key(|(nanos, what, _)| (*nanos, rank(what)));
    let begin = created.or(happened.first().map(|(nanos, ..)| *nanos)).unwrap_or_default();
    let mut lines = vec![(0..0, line(0, |line| line.join = Some(MEMBER.to_owned())))];
    for message in &messages {
        lines.push((0..0, line(0, |line| line.publish = Some(message.to_string()))));
    }
    for (nanos, what, span) in ordered(happened) {
        let ms = 1 + nanos.saturating_sub(begin) / 1_000_000;
        lines.push((span, line(ms, |line| said(line, &what, is_whole))));
    }
    if unknown > 0 {
        notes.push(format!("not answered by anybody: {} without an event", count(unknown, "delivery")));
    }
    if !is_whole {
        notes.push("the events begin after the consumer: how often messages were sent is not looked at".to_owned());
    }
    notes.push(format!("in the stream from the beginning: {}", count(messages.len() as u64, "message")));
    notes.push(format!("who got them is not in the events: all go to `{MEMBER}`"));
    notes.extend(others.iter().map(|(kind, of_it)| format!("left out: {} of type {kind}", count(*of_it, "event"))));
    let mut header = Header::default();
    header.recording = RECORDING_VERSION;
    header.server = "nats-server".to_owned();
    header.profile = Some("jetstream".to_owned());
    header.slack = Some(mapping.slack.unwrap_or(Wait::of_millis(2)));
    // The events are what the server saw, when it saw it.
    header.latency = Some(mapping.latency.unwrap_or(Wait::of_millis(0)));
    header.gaps = mapping.gaps.clone().unwrap_or_default();
    let recording = Recording::of_lines(file, text, header, lines)?;
    let names = messages.iter().map(|message| (message.to_string(), message.to_string())).collect();
    Ok(Foreign { recording, notes, events: names, group: consumer.map(str::to_owned) })
}

/// What an event is about, if it is about deliveries.
fn kind_of(name: &str) -> Result<Option<Kind>, String> {
    for (family, last, kind) in KINDS {
        if let Some((version, named)) = name.strip_prefix(family).and_then(|rest| rest.split_once('.'))
            && named == last
        {
            return match version {
                "v1" => Ok(Some(kind)),
                _ => Err(format!("another version of the event: expected {family}v1.{last}, found {name}")),
            };
        }
    }
    Ok(None)
}

const fn rank(what: &What) -> u8 {
    match what {
        What::Got(_) => 0,
        What::Answered(..) => 1,
        What::GaveUp(..) => 2,
    }
}

/// Deliveries of one time in the order of their numbers.
fn ordered(mut happened: Vec<Happened>) -> Vec<Happened> {
    happened
        .chunk_by_mut(|one, other| one.0 == other.0 && matches!((&one.1, &other.1), (What::Got(_), What::Got(_))))
        .for_each(<[_]>::reverse);
    happened
}

fn line(ms: u64, set: impl FnOnce(&mut RecordedLine)) -> RecordedLine {
    let mut line = RecordedLine::default();
    line.ms = ms;
    set(&mut line);
    line
}

fn said(line: &mut RecordedLine, what: &What, counts: bool) {
    match what {
        What::Got(None) => line.got = Some("?".to_owned()),
        What::Got(Some((message, count))) => (line.got, line.count) = (Some(message.to_string()), *count),
        What::GaveUp(message, _) => line.gave_up = Some(message.to_string()),
        What::Answered(answer, message, count) => {
            line.count = counts.then_some(*count);
            answered(line, *answer, message.to_string());
        }
    }
}
