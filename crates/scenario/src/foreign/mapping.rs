//! Mapping files: what is where in a recording of another tool.

use std::collections::BTreeMap;

use pellmell_core::engine::{Gap, Profile, SomeAnswer, Wait};
use serde::Deserialize;

use crate::scenario::FileError;

/// What is where in a recording of another tool, as a file of TOML says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Mapping {
    /// The destination, or stream, whose messages are meant.
    pub destination: Option<String>,
    /// The consumer group, subscription or consumer that is meant.
    pub group: Option<String>,
    /// How far the clocks of hosts are apart at most.
    pub tolerance: Option<Wait>,
    /// How exact times are.
    pub slack: Option<Wait>,
    /// After how long at most what a member says arrives.
    pub latency: Option<Wait>,
    /// What may have happened without being recorded.
    pub gaps: Option<Vec<Gap>>,
    /// The operation that says that a member was handed a message.
    pub got: Option<Consumed>,
    /// The operation that says how a message was answered.
    pub answered: Option<Consumed>,
    /// How the broker was set up, where that differs from the profile.
    pub set: BTreeMap<String, toml::Value>,
    /// Which attribute says what.
    pub attributes: Attributes,
    /// What operations are that are called otherwise than in the conventions.
    pub operations: BTreeMap<String, Operation>,
    /// What the answers are that settlements are called by.
    pub answers: BTreeMap<String, SomeAnswer>,
    /// What answer it is that processing ends.
    pub ends: Ends,
    /// How messages are called in scenarios.
    pub scenario: Names,
    /// The file's name and text.
    #[serde(skip)]
    source: (String, String),
}

/// An operation of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Consumed {
    /// Messages are taken from the broker.
    Receive,
    /// A handler runs.
    Process,
    /// Messages are acked, or refused.
    Settle,
}

/// An operation of the messaging conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Operation {
    /// A message is made.
    Create,
    /// Messages are given to the broker.
    #[serde(alias = "publish")]
    Send,
    /// Messages are taken from the broker.
    Receive,
    /// A handler runs.
    #[serde(alias = "deliver")]
    Process,
    /// Messages are acked, or refused.
    Settle,
}

impl From<Consumed> for Operation {
    fn from(consumed: Consumed) -> Operation {
        match consumed {
            Consumed::Receive => Operation::Receive,
            Consumed::Process => Operation::Process,
            Consumed::Settle => Operation::Settle,
        }
    }
}

/// Which attributes say what: names, of which the first that is there counts, or texts with names in braces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Attributes {
    /// Which message it is.
    pub message: Vec<String>,
    /// What operation a span is.
    pub operation: Vec<String>,
    /// Where messages are sent to.
    pub destination: Vec<String>,
    /// The consumer group or subscription.
    pub group: Vec<String>,
    /// The member of the group.
    pub member: Vec<String>,
    /// Whose clock it is.
    pub host: Vec<String>,
    /// The message's partition.
    pub partition: Vec<String>,
    /// The message's key.
    pub key: Vec<String>,
    /// How often the message was sent, this time included.
    pub attempt: Vec<String>,
    /// Whether the message was sent before.
    pub redelivered: Vec<String>,
    /// How a message was settled.
    pub answer: Vec<String>,
}

impl Default for Attributes {
    fn default() -> Attributes {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Attributes {
            message: names(&[
                "messaging.message.id",
                "{messaging.destination.partition.id}/{messaging.kafka.offset}",
                "{messaging.destination.partition.id}/{messaging.kafka.message.offset}",
            ]),
            operation: names(&["messaging.operation.type", "messaging.operation"]),
            destination: names(&["messaging.destination.name"]),
            group: names(&["messaging.consumer.group.name", "messaging.destination.subscription.name"]),
            member: names(&["messaging.client.id", "service.instance.id", "host.name"]),
            host: names(&["host.name", "service.instance.id", "service.name"]),
            partition: names(&["messaging.destination.partition.id"]),
            key: names(&["messaging.kafka.message.key", "messaging.gcp_pubsub.message.ordering_key"]),
            attempt: names(&[
                "messaging.gcp_pubsub.message.delivery_attempt",
                "messaging.servicebus.message.delivery_count",
            ]),
            redelivered: Vec::new(),
            answer: names(&["messaging.servicebus.disposition_status", "messaging.operation.name"]),
        }
    }
}

/// What answer it is that processing ends: one of these; `none` is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Ends {
    /// Where it ends well.
    pub ok: Vec<SomeAnswer>,
    /// Where it ends with an error.
    pub error: Vec<SomeAnswer>,
}

impl Default for Ends {
    fn default() -> Ends {
        Ends { ok: vec![SomeAnswer::Ack], error: vec![SomeAnswer::Nak, SomeAnswer::None] }
    }
}

/// How messages are called in scenarios.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Names {
    /// The event, as departures name it, with attributes in braces; the message's own name if left out.
    pub event: Option<String>,
    /// The group in scenarios; the one that was recorded if left out.
    pub group: Option<String>,
    /// The events of messages that are called otherwise.
    pub events: BTreeMap<String, String>,
}

/// What settlements are usually called.
const ANSWERS: [(&str, SomeAnswer); 16] = [
    ("ack", SomeAnswer::Ack),
    ("acknowledge", SomeAnswer::Ack),
    ("basic.ack", SomeAnswer::Ack),
    ("commit", SomeAnswer::Ack),
    ("complete", SomeAnswer::Ack),
    ("delete", SomeAnswer::Ack),
    ("abandon", SomeAnswer::Nak),
    ("basic.nack", SomeAnswer::Nak),
    ("nack", SomeAnswer::Nak),
    ("nak", SomeAnswer::Nak),
    ("dead_letter", SomeAnswer::Term),
    ("term", SomeAnswer::Term),
    ("extend", SomeAnswer::Extend),
    ("modack", SomeAnswer::Extend),
    ("renew", SomeAnswer::Extend),
    ("in_progress", SomeAnswer::Extend),
];

impl Mapping {
    /// Reads a mapping file; `file` is the name it has in errors.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(file: &str, text: &str) -> Result<Mapping, FileError> {
        let read: Result<Mapping, toml::de::Error> = toml::from_str(text);
        let mapping = read.map_err(|error| {
            let error = FileError::new(file, text, error.span().unwrap_or(0..0), error.message());
            error.help("docs/recordings.md has the keys of a mapping file")
        })?;
        Ok(Mapping { source: (file.to_owned(), text.to_owned()), ..mapping })
    }

    /// A profile, set up as it says.
    ///
    /// # Errors
    /// If a setting is none of the profile, or has a value that is none of it.
    pub fn set_up(&self, mut profile: Profile) -> Result<Profile, FileError> {
        let (file, text) = &self.source;
        for (name, value) in self.settings() {
            let called = profile.name;
            profile = profile.with(&name, value).map_err(|error| {
                let table = text.find("[set]").unwrap_or_default();
                let at = text[table..].find(&name).map_or(table, |at| table + at);
                let help = format!("`pellmell profiles {}` lists its settings", called);
                FileError::new(file, text, at..at + name.len(), error.to_string()).help(help)
            })?;
        }
        Ok(profile)
    }

    /// The answer that a settlement is called by.
    pub(super) fn answer(&self, name: &str) -> Option<SomeAnswer> {
        let usual = || ANSWERS.iter().find(|(usual, _)| *usual == name).map(|(_, answer)| *answer);
        self.answers.get(name).copied().or_else(usual)
    }

    /// The operation that a span is called by.
    pub(super) fn operation(&self, name: &str) -> Option<Operation> {
        let usual =
            || Operation::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name)).ok();
        self.operations.get(name).copied().or_else(usual)
    }

    /// How the broker was set up.
    fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        let json = |value: &toml::Value| serde_json::to_value(value).unwrap_or_default();
        self.set.iter().map(|(name, value)| (name.clone(), json(value))).collect()
    }
}

/// What a text says with the attributes put in that it has in braces; a text without braces is an attribute's name.
/// Nothing if one of them is not there.
pub(super) fn filled<'a>(template: &str, attribute: &impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    if !template.contains('{') {
        return attribute(template).map(str::to_owned);
    }
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, from)) = rest.split_once('{') {
        let (name, after) = from.split_once('}')?;
        text += before;
        text += attribute(name)?;
        rest = after;
    }
    Some(text + rest)
}
