//! The lines of JSON that a process and pellmell write to each other; docs/processes.md says what each means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Failure;
use crate::port::{Answer, Delivered, Found, Input, Port, Put, State};
use pellmell_core::ids::{RecordId, Time, Version};

/// The version of the protocol.
pub(crate) const PROTOCOL: u32 = 1;

/// The lines that pellmell writes.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told<'a> {
    Hello { protocol: u32, service: &'a str, restarted: bool },
    Delivery { subject: &'a str, body: &'a Value, headers: &'a BTreeMap<String, String>, attempt: u16, now_ms: u64 },
    Call { name: &'a str, record: RecordId, body: &'a Value, now_ms: u64 },
    Timer { record: RecordId, purpose: &'a str, carries: &'a Value, now_ms: u64 },
    Snapshot(bool),
    Restore(&'a Value),
    Reset(bool),
    // What it asked for.
    Found(Option<Record>),
    All(Vec<Record>),
    Version(Option<Version>),
    Conflict(Option<Version>),
}

/// A record as a line has it.
#[derive(Serialize)]
pub(crate) struct Record {
    record: RecordId,
    version: Version,
    value: Value,
}

impl From<Found> for Record {
    fn from(Found { record, version, value }: Found) -> Record {
        Record { record, version, value }
    }
}

impl<'a> Told<'a> {
    pub(crate) fn input(input: &'a Input<'_>) -> Told<'a> {
        match input {
            Input::Delivery(Delivered { subject, body, headers, attempt, now }) => {
                Told::Delivery { subject, body, headers, attempt: *attempt, now_ms: millis(*now) }
            }
            Input::Call { name, record, body, now } => Told::Call { name, record: *record, body, now_ms: millis(*now) },
            Input::Timer { record, purpose, carries, now } => {
                Told::Timer { record: *record, purpose, carries, now_ms: millis(*now) }
            }
        }
    }

    pub(crate) fn line(&self) -> String {
        // There is no map with keys that are no texts in it.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

fn millis(time: Time) -> u64 {
    time.0 / 1_000
}

/// The lines that a process writes.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Said {
    Ready(Ready),
    // What it asks for.
    Find(RecordId),
    All(char),
    Insert(Saving),
    Update(Saving),
    Overwrite(Saving),
    Remove {
        record: RecordId,
        #[serde(default)]
        expected: Option<Version>,
    },
    // What it does.
    Removed {
        record: RecordId,
    },
    Saved {
        record: RecordId,
        version: Version,
        value: Value,
    },
    Publish(Publishing),
    Arm(Arming),
    CallOff {
        record: RecordId,
        #[serde(default)]
        purpose: String,
    },
    Outside {
        name: String,
        record: RecordId,
    },
    Commit(IgnoredAny),
    Log(String),
    // What it answers.
    Done(IgnoredAny),
    Nak {
        reason: String,
        #[serde(default)]
        delay_ms: Option<u64>,
    },
    Failed(String),
    Refused {
        status: u16,
        reason: String,
    },
    Snapshot(Value),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ready {
    pub(crate) protocol: u32,
    pub(crate) keeps: Keeps,
    #[serde(default)]
    pub(crate) resets: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keeps {
    Records,
    Snapshot,
    Own,
}

impl From<Keeps> for State {
    fn from(keeps: Keeps) -> State {
        match keeps {
            Keeps::Records => State::Records,
            Keeps::Snapshot => State::Snapshot,
            Keeps::Own => State::Own,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saving {
    record: RecordId,
    value: Value,
    #[serde(default)]
    expected: Option<Version>,
    #[serde(default)]
    version: Option<Version>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publishing {
    subject: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arming {
    record: RecordId,
    after_ms: u64,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    carries: Value,
}

/// What comes of a line that was said while an input is handled.
pub(crate) enum Next {
    /// It goes on.
    GoOn,
    /// It waits for this.
    Reply(String),
    Answer(Answer),
}

impl Said {
    /// Reads a line.
    pub(crate) fn read(line: &str) -> Result<Said, Failure> {
        serde_json::from_str(line).map_err(|error| {
            let shown: String = line.chars().take(200).collect();
            let next = "only lines of the protocol belong on its stdout: what it logs belongs on stderr";
            Failure::new(format!("it wrote `{shown}`, which is no line of the protocol ({error}); {next}"))
        })
    }

    /// Does what a line says.
    pub(crate) fn act(self, port: &mut dyn Port) -> Result<Next, Failure> {
        match self {
            Said::Find(record) => {
                let found = port.find(record)?;
                return Ok(Next::Reply(Told::Found(found.map(Record::from)).line()));
            }
            Said::All(kind) => {
                let all = port.all(kind)?;
                return Ok(Next::Reply(Told::All(all.into_iter().map(Record::from).collect()).line()));
            }
            Said::Insert(saving) => return saving.act(Put::Insert, port),
            Said::Update(saving) => {
                let expected = saving.expected.ok_or_else(|| {
                    Failure::new(format!("it updates {} without `expected`, the version it has read", saving.record))
                })?;
                return saving.act(Put::IfCurrent(expected), port);
            }
            Said::Overwrite(saving) => return saving.act(Put::Overwrite, port),
            Said::Remove { record, expected } => {
                let reply = match port.remove(record, expected)? {
                    Ok(version) => Told::Version(version),
                    Err(found) => Told::Conflict(found),
                };
                return Ok(Next::Reply(reply.line()));
            }
            Said::Removed { record } => port.removed(record)?,
            Said::Saved { record, version, value } => port.saved(record, version, value)?,
            Said::Publish(Publishing { subject, headers, body }) => port.publish(&subject, headers, body)?,
            Said::Arm(Arming { record, after_ms, purpose, carries }) => {
                port.arm(record, Duration::from_millis(after_ms), purpose, carries);
            }
            Said::CallOff { record, purpose } => port.call_off(record, purpose),
            Said::Outside { name, record } => port.outside(name, record),
            Said::Commit(_) => port.commit(),
            Said::Log(line) => port.log(&line),
            Said::Done(_) => return Ok(Next::Answer(Answer::Done)),
            Said::Nak { reason, delay_ms } => {
                return Ok(Next::Answer(Answer::Nak { reason, delay: delay_ms.map(Duration::from_millis) }));
            }
            Said::Failed(reason) => return Ok(Next::Answer(Answer::Failed(reason))),
            Said::Refused { status, reason } => return Ok(Next::Answer(Answer::Refused { status, reason })),
            Said::Ready(_) | Said::Snapshot(_) => {
                return Err(Failure::new("it said that it is ready, or what it keeps, and was not asked for that"));
            }
        }
        Ok(Next::GoOn)
    }
}

impl Saving {
    fn act(self, put: Put, port: &mut dyn Port) -> Result<Next, Failure> {
        let Saving { record, value, version, .. } = self;
        let reply = match port.save(record, value, put, version)? {
            Ok(version) => Told::Version(Some(version)),
            Err(found) => Told::Conflict(found),
        };
        Ok(Next::Reply(reply.line()))
    }
}
