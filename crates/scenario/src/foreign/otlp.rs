//! OpenTelemetry's spans by the messaging conventions.
//!
//! A span that sends is a publish, one that processes (or receives) is a delivery, and one that settles is an answer.
//! Clocks differ between hosts, so what is known is the order of each host, and between hosts as far as the clocks
//! agree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pellmell_core::engine::{Gap, Header, RECORDING_VERSION, RecordedLine, Recording, SomeAnswer, Wait};
use pellmell_core::trace::count;

use super::mapping::{Consumed, Operation, filled};
use super::spans::{Context, Span, first, spans};
use super::{Foreign, Mapping, answered as say_answered, chosen};
use crate::scenario::FileError;

/// What may have happened without a span unless the mapping says otherwise: spans are sampled, and what a member says
/// may be lost.
const GAPS: [Gap; 3] = [Gap::Delivery, Gap::LostAnswer, Gap::Reconnect];

/// How far the clocks of two hosts are apart unless the mapping says otherwise.
const TOLERANCE: Wait = Wait::of_millis(10);

/// After how long what a member says arrives at most unless the mapping says otherwise.
const LATENCY: Wait = Wait::of_millis(50);

/// The member of spans that name none, if no span names one.
const MEMBER: &str = "consumer";

/// Something that a span says, when, and by whose clock.
#[derive(Clone)]
struct Happened {
    nanos: u64,
    host: String,
    place: Range<usize>,
    line: RecordedLine,
}

/// What is known of a message beside when it was sent.
#[derive(Default)]
struct Message {
    key: Option<String>,
    partition: Option<u16>,
    event: Option<String>,
}

/// The spans of one file that are about messages.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    mapping: &'a Mapping,
    spans: Vec<(Operation, Span)>,
    /// The messages that spans made or sent.
    sent: BTreeMap<Context, Vec<String>>,
}

pub(super) fn read(file: &str, text: &str, mapping: &Mapping) -> Result<Foreign, FileError> {
    let mut notes = Vec::new();
    let mut reader = Reader { file, text, mapping, spans: Vec::new(), sent: BTreeMap::new() };
    let mut others = 0_u64;
    for span in spans(file, text)? {
        match reader.operation(&span)? {
            Some(operation) => reader.spans.push((operation, span)),
            None => others += 1,
        }
    }
    if others > 0 {
        notes.push(format!("left out: {} without a messaging operation", count(others, "span")));
    }
    let attributes = &mapping.attributes;
    let destination = reader.keep(
        ("destination", "destination"),
        &attributes.destination,
        mapping.destination.as_deref(),
        &mut notes,
    )?;
    let group = reader.keep(("group", "group"), &attributes.group, mapping.group.as_deref(), &mut notes)?;
    reader.send();
    let (mut messages, mut happened) = (BTreeMap::new(), Vec::new());
    reader.consumed(&mut messages, &mut happened, &mut notes)?;
    if !happened.iter().any(|happened: &Happened| happened.line.got.is_some()) {
        let error = FileError::new(file, text, text.len()..text.len(), "no span says that a message was received");
        return Err(error.help("expected spans whose messaging.operation.type is process or receive"));
    }
    reader.published(destination.as_deref(), &mut messages, &mut happened)?;
    let events = messages.iter().map(|(name, message)| (name.clone(), message.event.clone().unwrap_or(name.clone())));
    let events = events.collect();
    let recording = reader.recording(&messages, happened, &mut notes)?;
    Ok(Foreign { recording, notes, events, group })
}

/// Whether a span is one of a consumer.
const fn consumes(operation: Operation) -> bool {
    matches!(operation, Operation::Receive | Operation::Process | Operation::Settle)
}

impl Reader<'_> {
    fn about(&self, span: &Span, word: &str, message: impl Into<String>) -> FileError {
        FileError::about_word(self.file, self.text, &span.place, word, message)
    }

    /// What a span does, if it is one of messaging.
    fn operation(&self, span: &Span) -> Result<Option<Operation>, FileError> {
        let Some(name) = span.first(&self.mapping.attributes.operation) else { return Ok(None) };
        let unknown = || {
            let message = format!("`{name}` is no operation: expected create, send, receive, process or settle");
            let help = format!("say in the mapping file what it is: [operations] {name:?} = \"process\"");
            self.about(span, &name, message).help(help)
        };
        self.mapping.operation(&name).ok_or_else(unknown).map(Some)
    }

    /// Leaves out the consumers' spans of another destination or group than the one that is meant, which is said.
    fn keep(
        &mut self,
        what: (&str, &str),
        names: &[String],
        asked: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Result<Option<String>, FileError> {
        let all = self.spans.iter().filter(|(operation, _)| consumes(*operation));
        let there: BTreeSet<String> = all.filter_map(|(_, span)| span.first(names)).collect();
        let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
        let chosen = chosen(self.file, self.text, what, asked, &there)?.map(str::to_owned);
        let before = self.spans.len();
        let is_it = |span: &Span| span.first(names).is_none_or(|name| chosen.as_ref().is_none_or(|it| name == *it));
        self.spans.retain(|(operation, span)| !consumes(*operation) || is_it(span));
        if self.spans.len() < before {
            let left_out = count((before - self.spans.len()) as u64, "span");
            notes.push(format!("left out: {left_out} of another {}", what.0));
        }
        Ok(chosen)
    }

    /// Notes which spans made and sent which messages.
    fn send(&mut self) {
        let made = |wanted: Operation| self.spans.iter().filter(move |(operation, _)| *operation == wanted);
        let names = &self.mapping.attributes.message;
        let mut sent: BTreeMap<Context, Vec<String>> = BTreeMap::new();
        for (_, span) in made(Operation::Create) {
            let name = span.first(names).unwrap_or_else(|| span.context.1.clone());
            sent.insert(span.context.clone(), vec![name]);
        }
        for (_, span) in made(Operation::Send) {
            let created = || span.links.iter().filter_map(|(link, _)| sent.get(link)).flatten().cloned().collect();
            let mut messages: Vec<String> = span.first(names).map_or_else(created, |name| vec![name]);
            if messages.is_empty() {
                messages.push(span.context.1.clone());
            }
            sent.insert(span.context.clone(), messages);
        }
        self.sent = sent;
    }

    /// The messages that a span of a consumer is about: it says so itself, links to what made them, or is below a span
    /// that does.
    fn messages(&self, span: &Span) -> Result<Vec<String>, FileError> {
        let names = &self.mapping.attributes.message;
        let mut above = Some(span);
        // A trace is no deeper than it has spans, and a damaged one may go round.
        for _ in 0..=self.spans.len() {
            let Some(at) = above else { break };
            if let Some(name) = at.first(names) {
                return Ok(vec![name]);
            }
            let linked = at.links.iter().flat_map(|(link, attributes)| match first(names, attributes) {
                Some(name) => vec![name],
                None => self.sent.get(link).cloned().unwrap_or_else(|| vec![link.1.clone()]),
            });
            let linked: Vec<String> = linked.collect();
            if !linked.is_empty() {
                return Ok(linked);
            }
            let Some(parent) = &at.parent else { break };
            if let Some(sent) = self.sent.get(parent) {
                return Ok(sent.clone());
            }
            above = self.spans.iter().map(|(_, span)| span).find(|span| span.context == *parent);
        }
        let error = self.about(span, "messaging.operation.type", "this span does not say which message it is about");
        let help = "expected messaging.message.id or a link to the span that sent it; or say in the mapping file which \
                    attribute it is: [attributes] message = [\"...\"]";
        Err(error.help(help))
    }

    fn host(&self, span: &Span) -> String {
        span.first(&self.mapping.attributes.host).unwrap_or_default()
    }

    /// What the consumers' spans say.
    fn consumed(
        &self,
        messages: &mut BTreeMap<String, Message>,
        happened: &mut Vec<Happened>,
        notes: &mut Vec<String>,
    ) -> Result<(), FileError> {
        let has = |wanted: Operation| self.spans.iter().any(|(operation, _)| *operation == wanted);
        let asked = |asked: Option<Consumed>, usual, else_it| {
            asked.map(Operation::from).unwrap_or(if has(usual) { usual } else { else_it })
        };
        let got = asked(self.mapping.got, Operation::Process, Operation::Receive);
        let answered = asked(self.mapping.answered, Operation::Settle, Operation::Process);
        let attributes = &self.mapping.attributes;
        let mut idle = 0_u64;
        for (operation, span) in self.spans.iter().filter(|(operation, _)| consumes(*operation)) {
            if *operation != got && *operation != answered {
                idle += 1;
                continue;
            }
            for name in self.messages(span)? {
                let is_event = |template: &String| filled(template, &|name| span.attribute(name));
                let message = messages.entry(name.clone()).or_default();
                message.key = message.key.take().or_else(|| span.first(&attributes.key));
                message.partition = message.partition.or(self.partition(span)?);
                message.event =
                    message.event.take().or_else(|| self.mapping.scenario.event.as_ref().and_then(is_event));
                let mut line = RecordedLine::default();
                line.by = span.first(&attributes.member);
                let put = |nanos, line| Happened { nanos, host: self.host(span), place: span.place.clone(), line };
                if *operation == got {
                    let mut line = line.clone();
                    line.got = Some(name.clone());
                    line.count = self.read(span, &attributes.attempt, "a number from 1 to 65535")?;
                    line.redelivered = self.read(span, &attributes.redelivered, "true or false")?;
                    // What was received is there when the span ends.
                    happened.push(put(if got == Operation::Receive { span.end } else { span.start }, line));
                }
                if *operation == answered {
                    let (nanos, one_of) = self.answer(span, answered)?;
                    match one_of.as_slice() {
                        [SomeAnswer::None] => continue,
                        [answer] => say_answered(&mut line, *answer, name),
                        _ => (line.answer, line.one_of) = (Some(name), Some(one_of)),
                    }
                    happened.push(put(nanos, line));
                }
            }
        }
        if idle > 0 {
            let (got, answered) = (word(got), word(answered));
            let left_out = count(idle, "span");
            notes.push(format!("left out: {left_out}, because {got} says what was handed and {answered} how it ended"));
        }
        Ok(())
    }

    /// When a message was answered, and how it may have been.
    fn answer(&self, span: &Span, answered: Operation) -> Result<(u64, Vec<SomeAnswer>), FileError> {
        if answered == Operation::Process {
            let ends = &self.mapping.ends;
            return Ok((span.end, if span.is_error { ends.error.clone() } else { ends.ok.clone() }));
        }
        let missing = || {
            let error =
                self.about(span, "messaging.operation.type", "this span does not say how a message was settled");
            error.help(
                "expected messaging.operation.name, such as ack or nack; or say in the mapping file which attribute it \
                 is: [attributes] answer = [\"...\"]",
            )
        };
        let name = span.first(&self.mapping.attributes.answer).ok_or_else(missing)?;
        let answer = self.mapping.answer(&name).ok_or_else(|| {
            let help = format!(
                "say in the mapping file what it is, ack, nak, term, extend or none: [answers] {name:?} = \"ack\""
            );
            self.about(span, &name, format!("`{name}` is no answer that is known")).help(help)
        })?;
        // What could not be said may have arrived.
        Ok((span.start, if span.is_error { vec![answer, SomeAnswer::None] } else { vec![answer] }))
    }

    fn partition(&self, span: &Span) -> Result<Option<u16>, FileError> {
        self.read(span, &self.mapping.attributes.partition, "a number from 0 to 65535")
    }

    /// A value of an attribute.
    fn read<T: std::str::FromStr>(
        &self,
        span: &Span,
        names: &[String],
        expected: &str,
    ) -> Result<Option<T>, FileError> {
        let Some(text) = span.first(names) else { return Ok(None) };
        let wrong = |_| {
            let name = names.iter().find(|name| span.attribute(name).is_some()).map_or("", String::as_str);
            self.about(span, name, format!("`{name}` is `{text}`: expected {expected}"))
        };
        text.parse().map(Some).map_err(wrong)
    }

    /// What the producers' spans say of the messages that consumers saw, and of others of that destination.
    fn published(
        &self,
        destination: Option<&str>,
        messages: &mut BTreeMap<String, Message>,
        happened: &mut Vec<Happened>,
    ) -> Result<(), FileError> {
        let attributes = &self.mapping.attributes;
        let mut published = BTreeSet::new();
        // What is sent later than it is made is published then.
        for wanted in [Operation::Send, Operation::Create] {
            for (_, span) in self.spans.iter().filter(|(operation, _)| *operation == wanted) {
                let is_there = destination.is_some() && span.first(&attributes.destination).as_deref() == destination;
                for name in self.sent.get(&span.context).into_iter().flatten() {
                    if !(is_there || messages.contains_key(name)) {
                        continue;
                    }
                    if !published.insert(name.clone()) {
                        if wanted == Operation::Create {
                            continue;
                        }
                        let error = self.about(span, name, format!("message `{name}` is sent for the second time"));
                        return Err(error
                            .help("say in the mapping file what names a message: [attributes] message = [\"...\"]"));
                    }
                    let message = messages.entry(name.clone()).or_default();
                    let is_event = |template: &String| filled(template, &|name| span.attribute(name));
                    let event = self.mapping.scenario.event.as_ref().and_then(is_event);
                    message.event = event.or(message.event.take());
                    message.key = span.first(&attributes.key).or(message.key.take());
                    message.partition = self.partition(span)?.or(message.partition);
                    let mut line = RecordedLine::default();
                    line.publish = Some(name.clone());
                    happened.push(Happened {
                        nanos: span.start,
                        host: self.host(span),
                        place: span.place.clone(),
                        line,
                    });
                }
            }
        }
        Ok(())
    }

    fn recording(
        &self,
        messages: &BTreeMap<String, Message>,
        mut happened: Vec<Happened>,
        notes: &mut Vec<String>,
    ) -> Result<Recording, FileError> {
        happened.sort_by_key(|happened| happened.nanos);
        let tolerance = self.mapping.tolerance.unwrap_or(TOLERANCE);
        let mut lines = Vec::new();
        let mut members: BTreeSet<&str> = happened.iter().filter_map(|happened| happened.line.by.as_deref()).collect();
        if members.is_empty() {
            notes.push(format!("no span says which member it is of: all go to `{MEMBER}`"));
            members.insert(MEMBER);
        }
        let begin = |lines: &mut Vec<_>, line: RecordedLine| lines.push((0..0, line));
        for member in &members {
            let mut line = RecordedLine::default();
            line.join = Some((*member).to_owned());
            begin(&mut lines, line);
        }
        notes.push(format!(
            "members are there from the beginning: {}",
            members.iter().copied().collect::<Vec<_>>().join(", ")
        ));
        let of_message = |name: &str, line: &mut RecordedLine| {
            let message = &messages[name];
            (line.key, line.partition) = (message.key.clone(), message.partition);
        };
        let sent: BTreeSet<&String> = happened.iter().filter_map(|happened| happened.line.publish.as_ref()).collect();
        let mut unsent = Vec::new();
        for name in happened.iter().filter_map(|happened| happened.line.got.as_ref()) {
            if !sent.contains(name) && !unsent.contains(name) {
                unsent.push(name.clone());
            }
        }
        for name in &unsent {
            let mut line = RecordedLine::default();
            of_message(name, &mut line);
            line.publish = Some(name.clone());
            begin(&mut lines, line);
        }
        if !unsent.is_empty() {
            let all = unsent.join(", ");
            notes.push(format!("nobody recorded that these were sent, so they are there from the beginning: {all}"));
        }
        let first = happened.first().map_or(0, |happened| happened.nanos);
        let hosts: BTreeSet<&String> = happened.iter().map(|happened| &happened.host).collect();
        if hosts.len() > 1 {
            notes.push(format!(
                "the clocks of {} are taken to agree within {tolerance}",
                count(hosts.len() as u64, "host")
            ));
        }
        for Happened { nanos, host, place, mut line } in happened.iter().cloned() {
            // Nothing comes before what was there from the beginning.
            line.ms = tolerance.as_millis().saturating_add(1 + (nanos - first) / 1_000_000);
            line.host = Some(host);
            if let Some(name) = line.publish.clone() {
                of_message(&name, &mut line);
            }
            lines.push((place, line));
        }
        let latency = self.mapping.latency.unwrap_or(LATENCY);
        notes.push(format!("what members say is taken to arrive within {latency}, if it arrives"));
        let mut header = Header::default();
        header.recording = RECORDING_VERSION;
        header.slack = self.mapping.slack;
        header.latency = Some(latency);
        header.tolerance = Some(tolerance);
        header.gaps = self.mapping.gaps.clone().unwrap_or_else(|| GAPS.to_vec());
        Recording::of_lines(self.file, self.text, header, lines)
    }
}

const fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "create",
        Operation::Send => "send",
        Operation::Receive => "receive",
        Operation::Process => "process",
        Operation::Settle => "settle",
    }
}
