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
//! What is left out (`by`, `count`, `redelivered`) is not known, and anything may be true of it. `"got":"?"` is a
//! message that is not known, and `"answer"` an answer that is not. What may have happened without a line, the first
//! line says (`gaps`).

mod reader;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::admit::{Admission, Admitted, Assumed, Line, Refusal, Seen, What};
use super::gap::Gap;
use super::profiles::Profile;
use super::told::{Answer, Choice, How, MemberId, MessageId, Sent, Start, Told};
use super::wait::Wait;
use crate::file_error::FileError;
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
    /// How far the clocks of the hosts that wrote the lines are apart at most; unless said otherwise there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Wait>,
    /// What may have happened without a line; unless said otherwise nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// An answer that a message may have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SomeAnswer {
    /// It was acked.
    Ack,
    /// It was refused.
    Nak,
    /// It was not to come again.
    Term,
    /// The member needed longer.
    Extend,
    /// There was none.
    None,
}

impl SomeAnswer {
    /// What ends a delivery, if nothing is known of it.
    pub(super) const ALL: [SomeAnswer; 4] = [SomeAnswer::Ack, SomeAnswer::Nak, SomeAnswer::Term, SomeAnswer::None];

    const fn answer(self) -> Option<Answer> {
        match self {
            SomeAnswer::Ack => Some(Answer::Ack),
            SomeAnswer::Nak => Some(Answer::Nak(None)),
            SomeAnswer::Term => Some(Answer::Term),
            SomeAnswer::Extend => Some(Answer::Extend),
            SomeAnswer::None => None,
        }
    }
}

/// A line as it is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecordedLine {
    /// When, in milliseconds from the beginning.
    pub ms: u64,
    /// Whose clock says so, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
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
    /// A member was handed a message; `?` is one that is not known.
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
    /// A message was answered, and it is not known how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The answers that it may have had; unless said otherwise any that ends a delivery, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<SomeAnswer>>,
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
    /// Which host wrote each line.
    hosts: Vec<u16>,
    /// The file's name and text, and where in it each line is.
    file: String,
    text: String,
    spans: Vec<std::ops::Range<usize>>,
}

impl Recording {
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
        let admission = Admission::new(&profile.rules)
            .with_slack(slack)
            .with_latency(self.header.latency)
            .with_states_max(states_max)
            .with_gaps(&self.header.gaps);
        match self.header.tolerance {
            Some(tolerance) => admission.with_hosts(&self.hosts, tolerance).run(&self.lines),
            None => admission.run(&self.lines),
        }
    }

    /// A refusal as it is told: the line, and all that would have been possible there.
    #[must_use]
    pub fn told(&self, profile: &Profile, refusal: &Refusal) -> FileError {
        let span = self.spans.get(refusal.line).cloned().unwrap_or(0..0);
        if let Some(states) = refusal.too_many {
            let message = format!("more than {states} states explain the recording up to here");
            let error = FileError::new(&self.file, &self.text, span, message);
            // Clocks differ where other tools wrote it, and their files have no first line.
            let help = match self.header.tolerance {
                Some(_) => {
                    "say how exact times are (`latency` and `tolerance` in the mapping file, or in the first line)"
                }
                None => "say how long words travel at most (`\"latency\":\"100ms\"` in the first line)",
            };
            return error.help(format!("{help}, or allow more with --states"));
        }
        let mut message = format!("impossible under {}", profile.name);
        if let Some(within) = refusal.within {
            let _ = write!(message, ", with up to {within} more things that nobody recorded than it takes up to there");
        }
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
            Seen::GotSome { member } => {
                format!("{} gets something", member.map_or("somebody", |member| self.member(member)))
            }
            Seen::GaveUp(message) => format!("{} is given up", self.message(*message)),
        }
    }

    /// What it took to explain it that no line says, in words, each with the place of the line that it is before. That
    /// messages are sent and words arrive goes without saying.
    #[must_use]
    pub fn explanation(&self, admitted: &Admitted) -> Vec<(usize, String)> {
        let goes_without = |what: &Assumed| matches!(what, Assumed::Arrived(_) | Assumed::Chose(Choice::Send(..)));
        let notable = admitted.assumed.iter().filter(|(_, what)| !goes_without(what));
        let told = notable.map(|(place, what)| {
            let mut text = self.assumed(what);
            if let Assumed::Chose(Choice::Expire(message)) = what
                && let Some(acked) = self.acked_before(*place, *message, admitted)
            {
                // Writing to a string cannot fail.
                let _ = write!(text, ", so its ack in {} was lost or late", self.line_named(acked));
            }
            (*place, text)
        });
        told.collect()
    }

    /// The line before this one that acks the delivery of a message that was seen last.
    fn acked_before(&self, place: usize, message: MessageId, admitted: &Admitted) -> Option<usize> {
        let seen = admitted.handed.iter().rfind(|(seen, sent)| *seen < place && sent.message == message)?.0;
        let is_ack = |line: &Line| match &line.what {
            What::Answered { message: other, answer: Answer::Ack, .. } => *other == message,
            _ => false,
        };
        (seen..=place).find(|place| self.lines.get(*place).is_some_and(is_ack))
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
            Assumed::Unseen(sent) => format!("{}, which nobody recorded", self.handed(*sent)),
            Assumed::Was(sent) => format!("the message that is not known: {}", self.handed(*sent)),
            Assumed::Said(sent, answer) => {
                format!(
                    "{} {} {}, which nobody recorded",
                    self.member(sent.member),
                    done(*answer),
                    self.delivery(*sent)
                )
            }
            Assumed::Meant(sent, None) => {
                format!("{} does not answer {}", self.member(sent.member), self.delivery(*sent))
            }
            Assumed::Meant(sent, Some(answer)) => {
                format!("{} {} {}", self.member(sent.member), done(*answer), self.delivery(*sent))
            }
            Assumed::Lost(member, Told::Answered { message, answer, count, .. }) => {
                let sent = Sent { message: *message, member: *member, count: *count };
                format!("{} {} {}, and that is lost", self.member(*member), done(*answer), self.delivery(sent))
            }
            Assumed::Lost(member, _) => format!("what {} committed is lost", self.member(*member)),
            Assumed::Broke(member) => format!("the connection of {} breaks, and it is back", self.member(*member)),
        }
    }

    fn handed(&self, sent: Sent) -> String {
        format!("{} gets {}", self.member(sent.member), self.delivery(sent))
    }

    fn delivery(&self, sent: Sent) -> String {
        format!("{} (delivery {})", self.message(sent.message), sent.count)
    }

    fn message(&self, message: MessageId) -> &str {
        self.messages.get(message.0 as usize).map_or("?", String::as_str)
    }

    fn member(&self, member: MemberId) -> &str {
        self.members.get(usize::from(member.0)).map_or("?", String::as_str)
    }

    /// The line in the file that is at this place among the recorded ones, or the first one if it stands for what was
    /// there from the beginning.
    #[must_use]
    pub fn line_named(&self, place: usize) -> String {
        match self.spans.get(place) {
            Some(span) if span.is_empty() => "the first line".to_owned(),
            _ => format!("line {}", self.line_number(place)),
        }
    }

    /// The number of the line in the file that is at this place among the recorded ones, from 1.
    #[must_use]
    pub fn line_number(&self, place: usize) -> usize {
        let start = self.spans.get(place).map_or(self.text.len(), |span| span.start);
        self.text[..start].matches('\n').count() + 1
    }
}

/// What a member does that answers so.
const fn done(answer: Answer) -> &'static str {
    match answer {
        Answer::Ack => "acks",
        Answer::AckUpTo => "acks all up to",
        Answer::Nak(_) => "refuses",
        Answer::Term => "ends",
        Answer::Extend => "extends",
    }
}
