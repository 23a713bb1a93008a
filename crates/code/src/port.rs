//! The seam: what code is told, what it can do meanwhile, and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use pellmell_core::ids::{RecordId, Time, Version};

use crate::Failure;

/// Code of a service that can be started: a program, or a part of one.
pub trait Code: Send + Sync + 'static {
    /// Starts an instance, with nothing in its state.
    ///
    /// # Errors
    /// If it does not start, or is not ready in time.
    fn start(&self, service: &str) -> Result<Box<dyn Running>, Failure>;
}

/// A running instance of a service, which is told one input at a time.
pub trait Running: Send {
    /// What it keeps, and where: the same for all instances of one [`Code`].
    fn state(&self) -> State;

    /// Tells it an input, and lets it do what it does through the port until it answers.
    ///
    /// # Errors
    /// If it does not come to an answer.
    fn tell(&mut self, input: &Input<'_>, port: &mut dyn Port) -> Result<Answer, Failure>;

    /// Cuts it off at once, as a crash does, and starts it again with what it has kept.
    ///
    /// # Errors
    /// If it does not start again.
    fn crash(&mut self) -> Result<(), Failure>;

    /// Takes it back to where it was when it started, with nothing in its state.
    ///
    /// # Errors
    /// If it does not start again.
    fn reset(&mut self) -> Result<(), Failure>;

    /// All that it keeps, where it can say that ([`State::Snapshot`]).
    ///
    /// # Errors
    /// If it does not say it.
    fn snapshot(&mut self) -> Result<Value, Failure> {
        Err(Failure::new("it has no snapshots"))
    }

    /// Lets it keep what a snapshot says and nothing else.
    ///
    /// # Errors
    /// If it does not take it.
    fn restore(&mut self, _snapshot: &Value) -> Result<(), Failure> {
        Err(Failure::new("it has no snapshots"))
    }
}

/// What a service keeps, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Records that pellmell keeps for it, and which it finds and saves through the port. It may be cut off and paused
    /// at each place at which rules may be.
    Records,
    /// Its own, which it gives and takes as a snapshot. What a member of it does is one step, whatever pauses.
    Snapshot,
    /// Its own. What is known of it are the inputs that led to it, and it comes back to a state by being told them
    /// again. What a member of it does is one step, whatever pauses.
    Own,
}

/// What code is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A delivery.
    Delivery(Delivered<'a>),
    /// A client's command.
    Call {
        /// What is called.
        name: String,
        /// The record it is about.
        record: RecordId,
        /// What it carries.
        body: Value,
        /// The simulated time.
        now: Time,
    },
    /// A timer that the service armed is due.
    Timer {
        /// The record it is about.
        record: RecordId,
        /// What it was armed for.
        purpose: &'a str,
        /// What it carries.
        carries: Value,
        /// The simulated time.
        now: Time,
    },
}

/// A delivery as code is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered<'a> {
    /// The subject.
    pub subject: &'a str,
    /// What the message carries: JSON, or a text.
    pub body: Value,
    /// Its headers, by name.
    pub headers: BTreeMap<String, String>,
    /// Which attempt it is, from 1.
    pub attempt: u16,
    /// The simulated time.
    pub now: Time,
}

/// What code answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A delivery is done; a command is accepted; a timer is done.
    Done,
    /// A delivery shall come again.
    Nak {
        /// Why.
        reason: String,
        /// How long the broker shall wait.
        delay: Option<Duration>,
    },
    /// A delivery is not answered, as when a handler throws; a command or a timer has failed.
    Failed(String),
    /// A command is refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: String,
    },
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which it is.
    pub record: RecordId,
    /// Its version.
    pub version: Version,
    /// Its value.
    pub value: Value,
}

/// How a record is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It must not be there.
    Insert,
    /// It must be there in this version.
    IfCurrent(Version),
    /// Whatever is there.
    Overwrite,
}

/// The version that a save made, or the one that it found instead.
pub(crate) type Saved = Result<Version, Option<Version>>;

/// The version that a removed record had, if it was there, or the one that was found instead.
pub(crate) type Removed = Result<Option<Version>, Option<Version>>;

impl Input<'_> {
    /// It in words: what makes one input another one than the next.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Input::Delivery(Delivered { subject, body, attempt, now, .. }) => {
                format!("delivery #{attempt} on `{subject}` at {now}: {body}")
            }
            Input::Call { name, record, body, now } => format!("call `{name}` about {record} at {now}: {body}"),
            Input::Timer { record, purpose, carries, now } => format!("timer {record} {purpose} at {now}: {carries}"),
        }
    }
}

/// What code can do while it handles an input.
pub trait Port {
    /// Finds a record that pellmell keeps.
    ///
    /// # Errors
    /// If the service keeps no such records, or keeps them itself.
    fn find(&mut self, record: RecordId) -> Result<Option<Found>, Failure>;

    /// All records of a kind that pellmell keeps, by id.
    ///
    /// # Errors
    /// As [`Port::find`].
    fn all(&mut self, kind: char) -> Result<Vec<Found>, Failure>;

    /// Saves a record that pellmell keeps, as this version if there is one, else as the one that comes next. Returns
    /// the version it has then, or the version that is there and that it must not have.
    ///
    /// # Errors
    /// As [`Port::find`], or if the value is none of such a record.
    fn save(&mut self, record: RecordId, value: Value, put: Put, version: Option<Version>) -> Result<Saved, Failure>;

    /// Removes a record that pellmell keeps, in this version if there is one. Returns the version it had, if it was
    /// there, or the version that is there and that it must not have.
    ///
    /// # Errors
    /// As [`Port::find`].
    fn remove(&mut self, record: RecordId, expected: Option<Version>) -> Result<Removed, Failure>;

    /// Says that the service has removed a record itself.
    ///
    /// # Errors
    /// If the service keeps no such records.
    fn removed(&mut self, record: RecordId) -> Result<(), Failure>;

    /// Says that the service has saved a record itself.
    ///
    /// # Errors
    /// If the service keeps no such records, or the value is none of them.
    fn saved(&mut self, record: RecordId, version: Version, value: Value) -> Result<(), Failure>;

    /// Publishes a message.
    ///
    /// # Errors
    /// If nobody knows what it is about.
    fn publish(&mut self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<(), Failure>;

    /// Arms a timer.
    fn arm(&mut self, record: RecordId, after: Duration, purpose: String, carries: Value);

    /// Calls timers off.
    fn call_off(&mut self, record: RecordId, purpose: String);

    /// Does something outside of its state.
    fn outside(&mut self, name: String, record: RecordId);

    /// Does something outside of its state once what it saves is saved, or with it.
    fn outside_after_saving(&mut self, name: String, record: RecordId);

    /// Commits what was saved and published so far.
    fn commit(&mut self);

    /// Says something that is shown at the step.
    fn log(&mut self, line: &str);
}
