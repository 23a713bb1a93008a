//! Recordings of other tools: OpenTelemetry's spans and JetStream's events become recordings.
//!
//! What they say is taken as it is, what they leave out is not known, and what had to be taken for granted is noted.

mod explained;
mod jetstream;
mod mapping;
mod otlp;
mod spans;
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pellmell_core::engine::{RecordedLine, Recording, SomeAnswer};

use crate::scenario::{FileError, nearest};

pub use explained::{departures, scenario_of, stub};
pub use mapping::{Attributes, Consumed, Ends, Mapping, Names, Operation};

/// A recording, and what it was made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Foreign {
    /// The recording.
    pub recording: Recording,
    /// What was taken for granted, and what says nothing.
    pub notes: Vec<String>,
    /// The events of messages, as far as they are known, as departures name them.
    pub events: BTreeMap<String, String>,
    /// The group that the messages go to.
    pub group: Option<String>,
}

/// Reads a file of a format, by its name in errors and its text.
type Read = fn(&str, &str, &Mapping) -> Result<Foreign, FileError>;

/// The formats of other tools, and what only they have near the beginning.
const FORMATS: [(&str, Read); 2] = [("\"resourceSpans\"", otlp::read), ("\"io.nats.", jetstream::read)];

/// How far into a file one has to look to see what it is.
const BEGIN: usize = 4096;

impl Foreign {
    /// Reads a recording of this project or of another tool; `file` is the name it has in errors.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(file: &str, text: &str, mapping: &Mapping) -> Result<Foreign, FileError> {
        let begin: String = text.chars().take(BEGIN).collect();
        let mut read = if begin.lines().next().is_some_and(|first| first.contains("\"recording\"")) {
            own(file, text)?
        } else if let Some((_, read)) = FORMATS.iter().find(|(mark, _)| begin.contains(mark)) {
            read(file, text, mapping)?
        } else {
            own(file, text)?
        };
        read.events.extend(mapping.scenario.events.clone());
        read.group = mapping.scenario.group.clone().or(read.group);
        Ok(read)
    }
}

/// A recording of this project.
fn own(file: &str, text: &str) -> Result<Foreign, FileError> {
    let recording = Recording::parse(file, text)?;
    let events = recording.messages.iter().map(|name| (name.clone(), name.clone())).collect();
    Ok(Foreign { recording, notes: Vec::new(), events, group: None })
}

/// The one that was asked for, or the only one there is.
fn chosen<'a>(
    file: &str,
    text: &str,
    (what, key): (&str, &str),
    asked: Option<&'a str>,
    there: &BTreeSet<&'a str>,
) -> Result<Option<&'a str>, FileError> {
    let all = || there.iter().copied().collect::<Vec<_>>().join(", ");
    let error = |message: String| FileError::new(file, text, 0..0, message);
    match asked {
        Some(asked) if there.contains(asked) || there.is_empty() => Ok(Some(asked)),
        Some(asked) => {
            let near = nearest(asked, there.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}there are {}", near.unwrap_or_default(), all());
            Err(error(format!("there is no {what} `{asked}` in this file")).help(help))
        }
        None if there.len() > 1 => {
            let message = format!("the file has several: {what} {}", all());
            Err(error(message).help(format!("say in the mapping file which one is meant: {key} = \"...\"")))
        }
        None => Ok(there.first().copied()),
    }
}

/// What is wrong with a piece of JSON, at its place in the file.
fn json_error<T>(
    file: &str,
    text: &str,
    span: &Range<usize>,
    read: Result<T, serde_json::Error>,
) -> Result<T, FileError> {
    read.map_err(|error| FileError::of_json(file, text, span, "", &error))
}

/// Says in a line that a message was answered so, if it was.
fn answered(line: &mut RecordedLine, answer: SomeAnswer, message: String) {
    let key = match answer {
        SomeAnswer::Ack => &mut line.ack,
        SomeAnswer::Nak => &mut line.nak,
        SomeAnswer::Term => &mut line.term,
        SomeAnswer::Extend => &mut line.extend,
        _ => return,
    };
    *key = Some(message);
}
