//! Reads the lines of a recording: what each says, of which messages and members.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::{Header, RecordedLine, Recording, SomeAnswer, VERSION};
use crate::engine::admit::{Line, Seen, What};
use crate::engine::told::{Answer, Entry, KeyId, MemberId, MessageId, PartitionId, Start, Told, TopicId};
use crate::engine::wait::Wait;
use crate::file_error::FileError;
use crate::ids::Time;
use crate::nearest::nearest;

/// The name of a message of which it is not known which it is.
const UNKNOWN: &str = "?";

/// Names as numbers, in the order in which they come.
#[derive(Default)]
struct Names {
    numbers: BTreeMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        let next = self.names.len();
        *self.numbers.entry(name.to_owned()).or_insert_with(|| {
            self.names.push(name.to_owned());
            next
        })
    }
}

/// Reads the lines of one file.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    messages: Names,
    members: Names,
    topics: Names,
    keys: Names,
    hosts: Names,
    /// The messages that were published so far, or all if clocks differ.
    published: usize,
}

/// A line, and what the table says of it.
struct Said<'a> {
    span: &'a Range<usize>,
    line: &'a RecordedLine,
    verb: &'static str,
    /// The message, or the member that joined or left; nothing for a list.
    name: &'a str,
    by: Option<MemberId>,
}

/// The name behind a key, if it is there.
type NameOf = fn(&RecordedLine) -> Option<&str>;

/// What a line says.
type WhatOf = fn(&mut Reader<'_>, &Said<'_>) -> Result<What, FileError>;

/// Something that may happen in a line.
struct Verb {
    /// The key that says it.
    key: &'static str,
    /// The keys that may stand beside it.
    beside: &'static [&'static str],
    name: NameOf,
    what: WhatOf,
}

const fn verb(key: &'static str, beside: &'static [&'static str], name: NameOf, what: WhatOf) -> Verb {
    Verb { key, beside, name, what }
}

/// What may stand beside an answer.
const ANSWERED: &[&str] = &["by", "count"];

const VERBS: [Verb; 14] = [
    verb(
        "publish",
        &["topic", "key", "partition"],
        |line| line.publish.as_deref(),
        |reader, said| reader.publish(said),
    ),
    verb("join", &["start"], |line| line.join.as_deref(), |reader, said| reader.join(said)),
    verb("leave", &["how"], |line| line.leave.as_deref(), |reader, said| reader.leave(said)),
    verb("got", &["by", "count", "redelivered"], |line| line.got.as_deref(), |reader, said| reader.got(said)),
    verb("ack", ANSWERED, |line| line.ack.as_deref(), |reader, said| reader.answered(said, Answer::Ack)),
    verb(
        "ack_up_to",
        ANSWERED,
        |line| line.ack_up_to.as_deref(),
        |reader, said| reader.answered(said, Answer::AckUpTo),
    ),
    verb(
        "nak",
        &["by", "count", "delay"],
        |line| line.nak.as_deref(),
        |reader, said| reader.answered(said, Answer::Nak(said.line.delay)),
    ),
    verb("term", ANSWERED, |line| line.term.as_deref(), |reader, said| reader.answered(said, Answer::Term)),
    verb("extend", ANSWERED, |line| line.extend.as_deref(), |reader, said| reader.answered(said, Answer::Extend)),
    verb(
        "answer",
        &["by", "count", "one_of"],
        |line| line.answer.as_deref(),
        |reader, said| reader.answered_somehow(said),
    ),
    verb("commit", &["by"], |line| line.commit.as_deref(), |reader, said| reader.offset(said, 1, false)),
    verb("seek", &["by"], |line| line.seek.as_deref(), |reader, said| reader.offset(said, 0, true)),
    verb("claim", &["by"], |line| line.claim.is_some().then_some(""), |reader, said| reader.claim(said)),
    verb("gave_up", &[], |line| line.gave_up.as_deref(), |reader, said| reader.gave_up(said)),
];

/// Whether a line has a key.
type IsThere = fn(&RecordedLine) -> bool;

/// The keys that stand beside others, and whether they are there.
const BESIDE: [(&str, IsThere); 10] = [
    ("topic", |line| line.topic.is_some()),
    ("key", |line| line.key.is_some()),
    ("partition", |line| line.partition.is_some()),
    ("start", |line| line.start.is_some()),
    ("how", |line| line.how.is_some()),
    ("delay", |line| line.delay.is_some()),
    ("redelivered", |line| line.redelivered.is_some()),
    ("one_of", |line| line.one_of.is_some()),
    ("count", |line| line.count.is_some()),
    ("by", |line| line.by.is_some()),
];

impl<'a> Reader<'a> {
    fn new(file: &'a str, text: &'a str) -> Reader<'a> {
        Reader {
            file,
            text,
            messages: Names::default(),
            members: Names::default(),
            topics: Names::default(),
            keys: Names::default(),
            hosts: Names::default(),
            published: 0,
        }
    }

    /// What the first line says.
    fn header(&self, first: &Range<usize>) -> Result<Header, FileError> {
        let expected = "expected a first line such as {\"recording\":1,\"server\":\"nats-server 2.15.1\"}";
        if first.is_empty() {
            return Err(self.error(0..0, format!("this is no recording: {expected}")));
        }
        let version: Value = self.json(first)?;
        match version.get("recording").and_then(Value::as_u64) {
            None => Err(self.error(first.clone(), format!("this is no recording: {expected}"))),
            Some(version) if version != u64::from(VERSION) => {
                let message = format!("another version of the format: expected {VERSION}, found {version}");
                let error = self.about(first, "recording", message);
                Err(error.help("read it with the pellmell that wrote it, or a newer one"))
            }
            Some(_) => self.json(first),
        }
    }

    fn error(&self, span: Range<usize>, message: impl Into<String>) -> FileError {
        FileError::new(self.file, self.text, span, message)
    }

    /// A mistake about a key of a line, or about the line if it is not in it.
    fn about(&self, span: &Range<usize>, key: &str, message: impl Into<String>) -> FileError {
        FileError::about_word(self.file, self.text, span, key, message)
    }

    /// A line of JSON.
    fn json<T: serde::de::DeserializeOwned>(&self, span: &Range<usize>) -> Result<T, FileError> {
        serde_json::from_str(&self.text[span.clone()]).map_err(|error| {
            let error = FileError::of_json(self.file, self.text, span, "", &error);
            error.help("a recording has one JSON object in each line: see docs/recordings.md")
        })
    }

    fn message(&self, span: &Range<usize>, key: &str, name: &str) -> Result<MessageId, FileError> {
        let number = self.messages.numbers.get(name).copied().filter(|number| *number < self.published);
        number.and_then(|number| u32::try_from(number).ok()).map(MessageId).ok_or_else(|| {
            let published = self.messages.names.iter().take(self.published);
            let near = nearest(name, published.map(String::as_str));
            let error = self.about(span, key, format!("no message `{name}` was published before this line"));
            match near {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            }
        })
    }

    fn member(&self, span: &Range<usize>, key: &str, name: &str) -> Result<MemberId, FileError> {
        let number = self.members.numbers.get(name).and_then(|number| u16::try_from(*number).ok());
        number.map(MemberId).ok_or_else(|| {
            self.about(span, key, format!("no member `{name}` joined before this line"))
                .help(format!("say when it joined: {{\"ms\":0,\"join\":\"{name}\"}}"))
        })
    }

    fn what(&mut self, span: &Range<usize>, line: &RecordedLine) -> Result<What, FileError> {
        let mut verbs = VERBS.iter().filter_map(|verb| (verb.name)(line).map(|name| (verb, name)));
        let Some((verb, name)) = verbs.next() else {
            let keys = VERBS.map(|verb| verb.key).join(", ");
            return Err(self.error(span.clone(), format!("nothing happens in this line: expected one of {keys}")));
        };
        if let Some((other, _)) = verbs.next() {
            let message = format!("two things happen in this line, `{}` and `{}`", verb.key, other.key);
            return Err(self.about(span, other.key, message).help("write a line for each"));
        }
        for (key, is_there) in BESIDE {
            if is_there(line) && !verb.beside.contains(&key) {
                let fits = VERBS.iter().filter(|verb| verb.beside.contains(&key)).map(|verb| verb.key);
                let fits = fits.collect::<Vec<_>>().join(", ");
                let message = format!("`{key}` says nothing beside `{}`: it belongs to {fits}", verb.key);
                return Err(self.about(span, key, message));
            }
        }
        let by = line.by.as_deref().map(|by| self.member(span, "by", by)).transpose()?;
        (verb.what)(self, &Said { span, line, verb: verb.key, name, by })
    }

    fn must_by(&self, said: &Said<'_>) -> Result<MemberId, FileError> {
        said.by.ok_or_else(|| self.error(said.span.clone(), format!("`{}` needs `by`: who did it", said.verb)))
    }

    fn publish(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        let Said { span, line, verb, name, .. } = said;
        let about = |message| Err(self.about(span, verb, message));
        if *name == UNKNOWN {
            return about(format!("`{UNKNOWN}` stands for a message that is not known: give this one a name"));
        }
        if self.messages.numbers.get(*name).is_some_and(|number| *number < self.published) {
            return about(format!("a message `{name}` was published before: give each a name of its own"));
        }
        self.messages.number(name);
        self.published += 1;
        let number = |names: &mut Names, name: &Option<String>| names.number(name.as_deref().unwrap_or_default());
        let topic = TopicId(u16::try_from(number(&mut self.topics, &line.topic)).unwrap_or(u16::MAX));
        let key = KeyId(u32::try_from(number(&mut self.keys, &line.key)).unwrap_or(u32::MAX));
        Ok(What::Published(Entry { topic, key, partition: PartitionId(line.partition.unwrap_or(0)) }))
    }

    fn join(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        let member = MemberId(u16::try_from(self.members.number(said.name)).unwrap_or(u16::MAX));
        Ok(What::Told(Told::Joined(member, said.line.start.unwrap_or(Start::Earliest))))
    }

    fn leave(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        let needed = || self.about(said.span, "leave", "`leave` needs `how`: close, cancel, crash or reconnect");
        let how = said.line.how.ok_or_else(needed)?;
        Ok(What::Told(Told::Left(self.member(said.span, said.verb, said.name)?, how)))
    }

    fn got(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        let RecordedLine { count, redelivered, .. } = *said.line;
        let member = said.by;
        if said.name == UNKNOWN {
            if let Some(key) = [("count", count.is_some()), ("redelivered", redelivered.is_some())].iter().find(|k| k.1)
            {
                let message = format!("`{}` says nothing of a message that is not known", key.0);
                return Err(self.about(said.span, key.0, message));
            }
            return Ok(What::Seen(Seen::GotSome { member }));
        }
        let message = self.message(said.span, said.verb, said.name)?;
        Ok(What::Seen(Seen::Got { message, member, count, redelivered }))
    }

    fn answered(&mut self, said: &Said<'_>, answer: Answer) -> Result<What, FileError> {
        let message = self.message(said.span, said.verb, said.name)?;
        Ok(What::Answered { member: said.by, message, count: said.line.count, answer })
    }

    fn answered_somehow(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        let message = self.message(said.span, said.verb, said.name)?;
        let one_of = said.line.one_of.as_deref().unwrap_or(&SomeAnswer::ALL);
        if one_of.is_empty() {
            return Err(self.about(said.span, "one_of", "`one_of` is empty: expected ack, nak, term, extend or none"));
        }
        let one_of = one_of.iter().map(|answer| answer.answer()).collect();
        Ok(What::AnsweredSomehow { member: said.by, message, count: said.line.count, one_of })
    }

    fn offset(&mut self, said: &Said<'_>, beyond: u32, seeks: bool) -> Result<What, FileError> {
        let message = self.message(said.span, said.verb, said.name)?;
        Ok(What::Offset { member: self.must_by(said)?, message, beyond, seeks })
    }

    fn gave_up(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        Ok(What::Seen(Seen::GaveUp(self.message(said.span, said.verb, said.name)?)))
    }

    fn claim(&mut self, said: &Said<'_>) -> Result<What, FileError> {
        let names = said.line.claim.iter().flatten();
        let messages: Result<Vec<MessageId>, FileError> =
            names.map(|name| self.message(said.span, said.verb, name)).collect();
        Ok(What::Told(Told::Claimed(self.must_by(said)?, messages?)))
    }
}

impl Recording {
    /// Reads a recording; `file` is the name it has in errors.
    ///
    /// # Errors
    /// What is wrong with it, and where: it is no recording, of another version, damaged, or out of order.
    pub fn parse(file: &str, text: &str) -> Result<Recording, FileError> {
        let reader = Reader::new(file, text);
        let mut at = 0;
        let mut spans = text.split_inclusive('\n').map(|line| {
            let span = at..at + line.trim_end().len();
            at += line.len();
            span
        });
        let first = spans.next().unwrap_or(0..0);
        let header = reader.header(&first)?;
        let mut lines = Vec::new();
        for span in spans.filter(|span| !span.is_empty()) {
            lines.push((span.clone(), reader.json(&span)?));
        }
        Recording::of_lines(file, text, header, lines)
    }

    /// A recording of lines that stand at these places of a file of any format.
    ///
    /// # Errors
    /// What is wrong with a line: nothing happens in it, it names what was not there, or it is out of order.
    pub fn of_lines(
        file: &str,
        text: &str,
        header: Header,
        recorded: Vec<(Range<usize>, RecordedLine)>,
    ) -> Result<Recording, FileError> {
        let mut reader = Reader::new(file, text);
        // Where clocks differ, what was published may have been seen before.
        if header.tolerance.is_some() {
            for name in recorded.iter().filter_map(|(_, line)| line.publish.as_ref()) {
                reader.messages.number(name);
            }
        }
        let all = reader.messages.names.len();
        let (mut lines, mut spans, mut hosts, mut last) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (span, line) in recorded {
            if line.ms < last {
                let message = format!("this line is before the last one, which is at {last} ms");
                return Err(reader
                    .about(&span, "ms", message)
                    .help("sort the lines by `ms`, those of one time as they happened"));
            }
            last = line.ms;
            if header.tolerance.is_none() && line.host.is_some() {
                let error = reader.about(&span, "host", "`host` says nothing where all lines have one clock");
                return Err(error.help("say in the first line how far the clocks differ: \"tolerance\":\"20ms\""));
            }
            let published = reader.published;
            reader.published = if line.publish.is_some() { published } else { published.max(all) };
            let what = reader.what(&span, &line);
            reader.published = published + usize::from(line.publish.is_some());
            lines.push(Line { time: Wait::of_millis(line.ms).after(Time(0)), what: what? });
            let host = reader.hosts.number(line.host.as_deref().unwrap_or_default());
            hosts.push(u16::try_from(host).unwrap_or(u16::MAX));
            spans.push(span);
        }
        if lines.is_empty() {
            return Err(reader.error(text.len()..text.len(), "nothing was recorded: there is no line but the first"));
        }
        let (messages, members) = (reader.messages.names, reader.members.names);
        Ok(Recording { header, lines, messages, members, hosts, file: file.to_owned(), text: text.to_owned(), spans })
    }
}
