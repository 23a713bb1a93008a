//! Recordings: what was done to a broker and what was seen of it, line by line.
//!
//! The first line says what was recorded and how; each of the others has a time and one thing that happened:
//!
//! ```text
//! {"recording":1,"server":"nats-server 2.9.10","client":"nats-py 2.2.0","profile":"jetstream","set":{"wait":["1s"]}}
//! {"ms":0,"join":"A"}
//! {"ms":0,"publish":"1"}
//! {"ms":2,"got":"1","by":"A","count":1}
//! {"ms":3,"ack":"1","by":"A"}
//! ```
//!
//! What is left out (`by`, `count`, `redelivered`) is not known, and anything may be true of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::admit::{Admission, Admitted, Assumed, Line, Refusal, Seen, What};
use super::profiles::Profile;
use super::told::{Answer, Choice, Entry, How, KeyId, MemberId, MessageId, PartitionId, Start, Told, TopicId};
use super::wait::Wait;
use crate::file_error::FileError;
use crate::ids::Time;
use crate::nearest::nearest;

/// The version of the format that is read and written.
pub const VERSION: u32 = 1;

/// What the first line of a recording says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Header {
    /// The version of the format.
    pub recording: u32,
    /// What was recorded, in a few words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The server and its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// The client library and its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
    /// Where it comes from, if it was not made by the program that wrote it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The profile that it is a recording of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// How the broker was set up, where that differs from the profile.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub set: Map<String, Value>,
    /// How exact the times are: timers may end so much before they should. Unless said otherwise 50 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<Wait>,
    /// After how long at most what a member says arrives; unless said otherwise after any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Wait>,
}

/// A line as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecordedLine {
    /// When, in milliseconds from the beginning.
    pub ms: u64,
    /// A message was published under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<String>,
    /// The topic of what was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u16>,
    /// A member joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// Where the subscription begins if it is the first one; unless said otherwise at the first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// A member left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<String>,
    /// How it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// A member was handed a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// The member that got a message, answered it, or did what the line says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How often the message was sent, this time included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u16>,
    /// Whether it was sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivered: Option<bool>,
    /// A message was acked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<String>,
    /// A message was acked and all before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_up_to: Option<String>,
    /// A message was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nak: Option<String>,
    /// After how long it is to come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Wait>,
    /// A message is not to come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// A member needs longer for a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extend: Option<String>,
    /// The offset behind a message was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// A member goes on at a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seek: Option<String>,
    /// A member took over messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Vec<String>>,
    /// The broker gave a message up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<String>,
}

/// A recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recording {
    /// What its first line says.
    pub header: Header,
    /// What happened.
    pub lines: Vec<Line>,
    /// The names of the messages, in the order in which they were published.
    pub messages: Vec<String>,
    /// The names of the members.
    pub members: Vec<String>,
    /// The file's name and text, and where in it each line is.
    file: String,
    text: String,
    spans: Vec<std::ops::Range<usize>>,
}

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
}

/// The keys that say what happened.
const VERBS: [&str; 13] = [
    "publish",
    "join",
    "leave",
    "got",
    "ack",
    "ack_up_to",
    "nak",
    "term",
    "extend",
    "commit",
    "seek",
    "claim",
    "gave_up",
];

impl Reader<'_> {
    fn error(&self, span: std::ops::Range<usize>, message: impl Into<String>) -> FileError {
        FileError::new(self.file, self.text, span, message)
    }

    /// A mistake about a key of a line, or about the line if it is not in it.
    fn about(&self, span: &std::ops::Range<usize>, key: &str, message: impl Into<String>) -> FileError {
        let quoted = format!("\"{key}\"");
        let place = self.text[span.clone()].find(&quoted).map(|at| span.start + at..span.start + at + quoted.len());
        self.error(place.unwrap_or(span.clone()), message)
    }

    /// A line of JSON.
    fn json<T: serde::de::DeserializeOwned>(&self, span: &std::ops::Range<usize>) -> Result<T, FileError> {
        serde_json::from_str(&self.text[span.clone()]).map_err(|error| {
            let at = (span.start + error.column().saturating_sub(1)).min(span.end);
            let said = error.to_string();
            // serde names line and column itself, of the line alone.
            let said = said.split(" at line ").next().unwrap_or_default();
            self.error(at..at + 1, said).help("a recording has one JSON object in each line: see docs/recordings.md")
        })
    }

    fn message(&self, span: &std::ops::Range<usize>, key: &str, name: &str) -> Result<MessageId, FileError> {
        let number = self.messages.numbers.get(name).copied();
        number.and_then(|number| u32::try_from(number).ok()).map(MessageId).ok_or_else(|| {
            let near = nearest(name, self.messages.names.iter().map(String::as_str));
            let error = self.about(span, key, format!("no message `{name}` was published before this line"));
            match near {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error,
            }
        })
    }

    fn member(&self, span: &std::ops::Range<usize>, key: &str, name: &str) -> Result<MemberId, FileError> {
        let number = self.members.numbers.get(name).and_then(|number| u16::try_from(*number).ok());
        number.map(MemberId).ok_or_else(|| {
            self.about(span, key, format!("no member `{name}` joined before this line"))
                .help(format!("say when it joined: {{\"ms\":0,\"join\":\"{name}\"}}"))
        })
    }

    fn what(&mut self, span: &std::ops::Range<usize>, line: &RecordedLine) -> Result<What, FileError> {
        let said = [
            line.publish.is_some(),
            line.join.is_some(),
            line.leave.is_some(),
            line.got.is_some(),
            line.ack.is_some(),
            line.ack_up_to.is_some(),
            line.nak.is_some(),
            line.term.is_some(),
            line.extend.is_some(),
            line.commit.is_some(),
            line.seek.is_some(),
            line.claim.is_some(),
            line.gave_up.is_some(),
        ];
        let mut verbs = VERBS.into_iter().zip(said).filter_map(|(verb, is_said)| is_said.then_some(verb));
        let Some(verb) = verbs.next() else {
            return Err(
                self.error(span.clone(), format!("nothing happens in this line: expected one of {}", VERBS.join(", ")))
            );
        };
        if let Some(other) = verbs.next() {
            let message = format!("two things happen in this line, `{verb}` and `{other}`");
            return Err(self.about(span, other, message).help("write a line for each"));
        }
        for (key, is_there, fits) in [
            ("topic", line.topic.is_some(), &["publish"][..]),
            ("key", line.key.is_some(), &["publish"]),
            ("partition", line.partition.is_some(), &["publish"]),
            ("start", line.start.is_some(), &["join"]),
            ("how", line.how.is_some(), &["leave"]),
            ("delay", line.delay.is_some(), &["nak"]),
            ("redelivered", line.redelivered.is_some(), &["got"]),
            ("count", line.count.is_some(), &["got", "ack", "ack_up_to", "nak", "term", "extend"]),
            ("by", line.by.is_some(), &["got", "ack", "ack_up_to", "nak", "term", "extend", "commit", "seek", "claim"]),
        ] {
            if is_there && !fits.contains(&verb) {
                let message = format!("`{key}` says nothing beside `{verb}`: it belongs to {}", fits.join(", "));
                return Err(self.about(span, key, message));
            }
        }
        let by = line.by.as_deref().map(|by| self.member(span, "by", by)).transpose()?;
        let must_by = || by.ok_or_else(|| self.error(span.clone(), format!("`{verb}` needs `by`: who did it")));
        if let Some(name) = &line.publish {
            if self.messages.numbers.contains_key(name) {
                let message = format!("a message `{name}` was published before: give each a name of its own");
                return Err(self.about(span, "publish", message));
            }
            self.messages.number(name);
            let number = |names: &mut Names, name: &Option<String>| names.number(name.as_deref().unwrap_or_default());
            let topic = TopicId(u16::try_from(number(&mut self.topics, &line.topic)).unwrap_or(u16::MAX));
            let key = KeyId(u32::try_from(number(&mut self.keys, &line.key)).unwrap_or(u32::MAX));
            return Ok(What::Published(Entry { topic, key, partition: PartitionId(line.partition.unwrap_or(0)) }));
        }
        if let Some(name) = &line.join {
            let member = MemberId(u16::try_from(self.members.number(name)).unwrap_or(u16::MAX));
            return Ok(What::Told(Told::Joined(member, line.start.unwrap_or(Start::Earliest))));
        }
        if let Some(name) = &line.leave {
            let how = line
                .how
                .ok_or_else(|| self.about(span, "leave", "`leave` needs `how`: close, cancel, crash or reconnect"))?;
            return Ok(What::Told(Told::Left(self.member(span, "leave", name)?, how)));
        }
        if let Some(name) = &line.got {
            let message = self.message(span, "got", name)?;
            let (count, redelivered) = (line.count, line.redelivered);
            return Ok(What::Seen(Seen::Got { message, member: by, count, redelivered }));
        }
        if let Some(name) = &line.gave_up {
            return Ok(What::Seen(Seen::GaveUp(self.message(span, "gave_up", name)?)));
        }
        if let Some(names) = &line.claim {
            let messages: Result<Vec<MessageId>, FileError> =
                names.iter().map(|name| self.message(span, "claim", name)).collect();
            return Ok(What::Told(Told::Claimed(must_by()?, messages?)));
        }
        let offsets = [("commit", &line.commit, 1), ("seek", &line.seek, 0)];
        for (key, name, beyond) in offsets {
            if let Some(name) = name {
                let message = self.message(span, key, name)?;
                return Ok(What::Offset { member: must_by()?, message, beyond, seeks: key == "seek" });
            }
        }
        let answers = [
            ("ack", &line.ack, Answer::Ack),
            ("ack_up_to", &line.ack_up_to, Answer::AckUpTo),
            ("nak", &line.nak, Answer::Nak(line.delay)),
            ("term", &line.term, Answer::Term),
            ("extend", &line.extend, Answer::Extend),
        ];
        for (key, name, answer) in answers {
            if let Some(name) = name {
                let message = self.message(span, key, name)?;
                return Ok(What::Answered { member: by, message, count: line.count, answer });
            }
        }
        unreachable!("one of the verbs is there")
    }
}

impl Recording {
    /// Reads a recording; `file` is the name it has in errors.
    ///
    /// # Errors
    /// What is wrong with it, and where: it is no recording, of another version, damaged, or out of order.
    pub fn parse(file: &str, text: &str) -> Result<Recording, FileError> {
        let mut reader = Reader {
            file,
            text,
            messages: Names::default(),
            members: Names::default(),
            topics: Names::default(),
            keys: Names::default(),
        };
        let mut at = 0;
        let mut spans = text.split_inclusive('\n').map(|line| {
            let span = at..at + line.trim_end().len();
            at += line.len();
            span
        });
        let first = spans.next().unwrap_or(0..0);
        let expected = "expected a first line such as {\"recording\":1,\"server\":\"nats-server 2.15.1\"}";
        if first.is_empty() {
            return Err(reader.error(0..0, format!("this is no recording: {expected}")));
        }
        let version: Value = reader.json(&first)?;
        match version.get("recording").and_then(Value::as_u64) {
            None => return Err(reader.error(first, format!("this is no recording: {expected}"))),
            Some(version) if version != u64::from(VERSION) => {
                let message = format!("another version of the format: expected {VERSION}, found {version}");
                let error = reader.about(&first, "recording", message);
                return Err(error.help("read it with the pellmell that wrote it, or a newer one"));
            }
            Some(_) => {}
        }
        let header: Header = reader.json(&first)?;
        let (mut lines, mut places, mut last) = (Vec::new(), Vec::new(), 0);
        for span in spans {
            if span.is_empty() {
                continue;
            }
            let line: RecordedLine = reader.json(&span)?;
            if line.ms < last {
                let message = format!("this line is before the last one, which is at {last} ms");
                return Err(reader
                    .about(&span, "ms", message)
                    .help("sort the lines by `ms`, those of one time as they happened"));
            }
            last = line.ms;
            let what = reader.what(&span, &line)?;
            lines.push(Line { time: Wait::of_millis(line.ms).after(Time(0)), what });
            places.push(span);
        }
        if lines.is_empty() {
            return Err(reader.error(text.len()..text.len(), "nothing was recorded: there is no line but the first"));
        }
        let (messages, members) = (reader.messages.names, reader.members.names);
        Ok(Recording { header, lines, messages, members, file: file.to_owned(), text: text.to_owned(), spans: places })
    }

    /// The profile that it names, set up as it says.
    ///
    /// # Errors
    /// If it names none, or one that does not exist, or settings that are none of it.
    pub fn profile(&self) -> Result<Profile, FileError> {
        match &self.header.profile {
            Some(name) => self.profile_named(name),
            None => Err(self
                .in_header("recording", "the recording names no profile".to_owned())
                .help("name one: --profile NAME")),
        }
    }

    /// Another profile, set up as the recording says as far as it has such settings.
    ///
    /// # Errors
    /// If there is none of that name, or a setting has a value that is none of it.
    pub fn profile_named(&self, name: &str) -> Result<Profile, FileError> {
        let Some(profile) = Profile::named(name) else {
            let names = Profile::names();
            let error = self.in_header("profile", format!("there is no profile `{name}`"));
            let near = nearest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            return Err(error.help(format!("{}there are {}", near.unwrap_or_default(), names.join(", "))));
        };
        self.set_up(profile)
    }

    /// A profile, set up as the recording says as far as it has such settings.
    ///
    /// # Errors
    /// If a setting has a value that is none of it, or is none of the profile that the recording names.
    pub fn set_up(&self, mut profile: Profile) -> Result<Profile, FileError> {
        let own = self.header.profile.as_deref() == Some(profile.name);
        for (key, value) in &self.header.set {
            match profile.clone().with(key, value.clone()) {
                Ok(changed) => profile = changed,
                // How another broker was set up says nothing of this one.
                Err(super::ProfileError::Unknown { .. }) if !own => {}
                Err(error) => return Err(self.in_header(key, error.to_string())),
            }
        }
        Ok(profile)
    }

    fn in_header(&self, key: &str, message: String) -> FileError {
        let quoted = format!("\"{key}\"");
        let end = self.text.find('\n').unwrap_or(self.text.len());
        let at = self.text[..end].find(&quoted);
        FileError::new(&self.file, &self.text, at.map_or(0..0, |at| at..at + quoted.len()), message)
    }

    /// Whether it is possible under a profile, in at most so many states.
    ///
    /// # Errors
    /// The first line that is not.
    pub fn admit(&self, profile: &Profile, states_max: u32) -> Result<Admitted, Refusal> {
        let slack = self.header.slack.unwrap_or(Wait::of_millis(50));
        Admission::new(&profile.rules)
            .with_slack(slack)
            .with_latency(self.header.latency)
            .with_states_max(states_max)
            .run(&self.lines)
    }

    /// A refusal as it is told: the line, and all that would have been possible there.
    #[must_use]
    pub fn told(&self, profile: &Profile, refusal: &Refusal) -> FileError {
        let span = self.spans.get(refusal.line).cloned().unwrap_or(0..0);
        if let Some(states) = refusal.too_many {
            let message = format!("more than {states} states explain the recording up to here");
            let error = FileError::new(&self.file, &self.text, span, message);
            let help = "say how long words travel at most (`\"latency\":\"100ms\"` in the first line), or allow more";
            return error.help(format!("{help} with --states"));
        }
        let mut message = format!("impossible under {}", profile.name);
        let possible: Vec<String> = refusal.possible.iter().map(|seen| self.seen(seen)).collect();
        message += &match possible.as_slice() {
            [] => "; nothing could be seen here".to_owned(),
            possible => format!("; possible here: {}", possible.join(", ")),
        };
        FileError::new(&self.file, &self.text, span, message)
    }

    /// What was seen, in words.
    #[must_use]
    pub fn seen(&self, seen: &Seen) -> String {
        match seen {
            Seen::Got { message, member, count, .. } => {
                let who = member.map_or("somebody", |member| self.member(member));
                let mut text = format!("{who} gets {}", self.message(*message));
                if let Some(count) = count {
                    // Writing to a string cannot fail.
                    let _ = write!(text, " (delivery {count})");
                }
                text
            }
            Seen::GaveUp(message) => format!("{} is given up", self.message(*message)),
        }
    }

    /// What a broker did by itself, in words.
    #[must_use]
    pub fn assumed(&self, assumed: &Assumed) -> String {
        match assumed {
            Assumed::Arrived(member) => format!("what {} said arrives", self.member(*member)),
            Assumed::Chose(choice) => match choice {
                Choice::Send(message, member) => {
                    format!("{} is sent to {}", self.message(*message), self.member(*member))
                }
                Choice::Copy(message, member) => {
                    format!("another copy of {} is sent to {}", self.message(*message), self.member(*member))
                }
                Choice::Expire(message) => format!("the wait for {} ends", self.message(*message)),
                Choice::GiveUp(message) => format!("{} is given up", self.message(*message)),
                Choice::Evict(member) => format!("{} is taken to be gone", self.member(*member)),
                Choice::Move(partition, member) => {
                    format!("partition {} goes to {}", partition.0, self.member(*member))
                }
                Choice::AutoCommit(member) => format!("what {} was handed is committed", self.member(*member)),
                Choice::Accept(message) => format!("a late ack of {} counts", self.message(*message)),
                Choice::Ignore(message) => format!("a late ack of {} does not count", self.message(*message)),
            },
        }
    }

    fn message(&self, message: MessageId) -> &str {
        self.messages.get(message.0 as usize).map_or("?", String::as_str)
    }

    fn member(&self, member: MemberId) -> &str {
        self.members.get(usize::from(member.0)).map_or("?", String::as_str)
    }

    /// The number of the line in the file that is at this place among the recorded ones, from 1.
    #[must_use]
    pub fn line_number(&self, place: usize) -> usize {
        let start = self.spans.get(place).map_or(self.text.len(), |span| span.start);
        self.text[..start].matches('\n').count() + 1
    }
}
