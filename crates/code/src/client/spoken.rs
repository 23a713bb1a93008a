//! What a process speaks as a client of a server that pellmell is.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::nats::Connection;
use crate::port::{Answer, Delivered};

/// What a process says that is more than to be there.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    Published {
        subject: String,
        headers: BTreeMap<String, String>,
        body: Value,
    },
    /// Something that changes nothing.
    Said(String),
    /// A timer of a service in Node.
    Armed {
        id: u32,
        after: Duration,
    },
    CalledOff {
        id: u32,
    },
}

impl Heard {
    pub(super) fn in_words(&self) -> String {
        match self {
            Heard::Published { subject, body, .. } => format!("it published on `{subject}`: {body}"),
            Heard::Said(said) => said.clone(),
            Heard::Armed { after, .. } => format!("it set a timer for {} ms", after.as_millis()),
            Heard::CalledOff { .. } => "it called a timer off".to_owned(),
        }
    }
}

/// A server that the clients of one process are connected to, and what is handed over to it. What is wrong is an error
/// in words: whoever waits for the process says it, with the last lines that it wrote.
pub(super) trait Spoken: Send {
    /// The name of the server, and the variables of the environment in which a client finds it.
    fn environment(&self, service: &str) -> Vec<(&'static str, String)>;

    fn listener(&self) -> &TcpListener;

    fn connections(&self) -> &[Connection];

    fn connections_mut(&mut self) -> &mut [Connection];

    /// Reads what clients wrote and does it; says whether there was anything.
    fn go_on(&mut self, heard: &mut Vec<Heard>) -> Result<bool, String>;

    /// Whether it wrote something to a client since it was asked that last.
    fn has_said(&mut self) -> bool;

    /// Whether a message on a subject can be handed over.
    fn is_ready_for(&self, subject: &str) -> Result<bool, String>;

    /// How often it has begun to listen to something.
    fn subscribed(&self) -> u64;

    /// What it has not done that cannot get a message on a subject, or any at all.
    fn lacks(&self, subject: Option<&str>) -> String;

    /// It is this time in the simulation.
    fn at(&mut self, now: Duration);

    /// Hands a delivery over.
    fn deliver(&mut self, delivered: &Delivered<'_>) -> Result<(), String>;

    /// Hands a command over.
    fn call(&mut self, subject: &str, body: &Value) -> Result<(), String>;

    /// What it answered so far.
    fn answer(&self) -> Option<Answer>;

    /// It has nothing more to say: what its answer is then. None if it did not ask for what is to be handed over, or
    /// must answer whatever it takes.
    fn at_rest(&mut self) -> Option<Answer>;

    /// What was handed over is over; if it came to nothing it is as if it had never been.
    fn over(&mut self, to_nothing: bool);

    /// All clients are gone, and the next ones come elsewhere; it keeps what outlives them, or nothing.
    fn listen(&mut self, listener: TcpListener, keeps: bool);
}
