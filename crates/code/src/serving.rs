//! What servers have in common that clients of a service talk to in a simulation, whatever they speak.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Failure;

/// How many of the last lines between server and clients a failure shows.
const LINES_SHOWN: usize = 24;
/// The one key of a body that is neither JSON nor text.
const BYTES: &str = "base64";
/// How much a service may say before it is at rest.
const SAID_MAX: u32 = 100_000;

/// A connection that is read and written as far as that goes at once.
#[derive(Debug)]
pub struct Stream<S = TcpStream> {
    /// The connection itself, which does not wait.
    pub socket: S,
    /// What was read and not understood so far.
    pub input: Vec<u8>,
    /// What is to be written.
    pub output: Vec<u8>,
    /// Whether the other side has ended it.
    pub is_closed: bool,
}

impl<S: Read + Write> Stream<S> {
    /// One that has begun, over a socket that does not wait.
    #[must_use]
    pub fn over(socket: S) -> Stream<S> {
        Stream { socket, input: Vec::new(), output: Vec::new(), is_closed: false }
    }

    /// Writes as much as can be written. What nobody reads any more is let go of: that the other side has ended is
    /// seen when what it wrote last is read.
    pub fn write(&mut self) {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(written) if written > 0 => drop(self.output.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => self.output.clear(),
            }
        }
    }

    /// Reads what is there. Returns whether there was anything.
    pub fn read(&mut self) -> bool {
        let (mut some, mut buffer) = (false, [0; 16 * 1024]);
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(read) => {
                    self.input.extend_from_slice(&buffer[..read]);
                    some = true;
                    if read == buffer.len() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.is_closed = true,
            }
            return some;
        }
    }
}

impl Stream {
    /// One that has begun.
    ///
    /// # Errors
    /// If the system does not let it be read without waiting.
    pub fn new(socket: TcpStream) -> io::Result<Stream> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Stream::over(socket))
    }
}

/// What a service publishes, for the simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publishes {
    /// On this subject.
    pub subject: String,
    /// By name.
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    pub body: Value,
}

/// Takes down what clients and server say.
pub type TakesDown = Box<dyn Fn(String) + Send>;

/// What a server has heard of its clients that others care for: what is published, what is worth to be told of, what
/// is wrong, and the last lines.
#[derive(Default)]
pub struct Talk {
    /// The simulated time.
    pub now: Duration,
    /// What the service published, for the simulation.
    pub published: Vec<Publishes>,
    /// What else is worth to be told of what it said.
    pub said: Vec<String>,
    wrong: Option<Failure>,
    lines: VecDeque<String>,
    takes_down: Option<TakesDown>,
    masks: Masks,
    count: u32,
}

impl Talk {
    /// Nothing yet.
    #[must_use]
    pub fn new(takes_down: Option<TakesDown>) -> Talk {
        Talk { takes_down, ..Talk::default() }
    }

    /// The same that takes down what is said, with nothing of what it has heard.
    #[must_use]
    pub fn renewed(self) -> Talk {
        Talk::new(self.takes_down)
    }

    /// Begins with an input.
    pub fn begin(&mut self) {
        self.count = 0;
    }

    /// A client says something. If it has said too much since the last input, that is wrong, and the answer is no.
    pub fn goes_on(&mut self) -> bool {
        self.count += 1;
        if self.count > SAID_MAX {
            self.refuse(&format!("it said more than {SAID_MAX} things"), "it does not come to rest");
        }
        self.count <= SAID_MAX
    }

    /// Something is wrong; what was wrong first counts.
    pub fn refuse(&mut self, what: &str, next: &str) {
        self.wrong.get_or_insert_with(|| Failure::new(format!("{what}: {next}")));
    }

    /// Takes down a line.
    pub fn note(&mut self, line: String) {
        if let Some(takes_down) = &self.takes_down {
            takes_down(format!("{} {}", self.now.as_micros(), self.masks.mask(&line)));
        }
        if self.lines.len() == LINES_SHOWN {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// What is wrong, if something is, with the last lines that were said.
    pub fn wrong(&mut self) -> Option<Failure> {
        let wrong = self.wrong.take()?;
        Some(self.with_lines(wrong))
    }

    /// A failure with the last lines that were said.
    #[must_use]
    pub fn with_lines(&self, failure: Failure) -> Failure {
        let mut masks = Masks::default();
        failure.with_last_lines(self.lines.iter().map(|line| masks.mask(line)).collect())
    }
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk").field("now", &self.now).field("published", &self.published).finish_non_exhaustive()
    }
}

/// The names of inboxes, which are random, by the order in which they are met.
#[derive(Debug, Default)]
struct Masks {
    known: BTreeMap<String, usize>,
}

impl Masks {
    /// A text in which each token of an inbox is a number.
    fn mask(&mut self, text: &str) -> String {
        const INBOX: &str = "_INBOX.";
        let mut masked = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(INBOX) {
            let (before, inbox) = rest.split_at(at + INBOX.len());
            masked += before;
            let end = inbox.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(inbox.len());
            let tokens = inbox[..end].split('.').map(|token| match token {
                "" => String::new(),
                token => {
                    let next = self.known.len() + 1;
                    self.known.entry(token.to_owned()).or_insert(next).to_string()
                }
            });
            masked += &tokens.collect::<Vec<_>>().join(".");
            rest = &inbox[end..];
        }
        masked + rest
    }
}

/// What a payload is to the simulation: JSON, or a text, or bytes.
#[must_use]
pub fn body(payload: Vec<u8>) -> Value {
    match serde_json::from_slice::<Value>(&payload) {
        Ok(Value::String(_)) | Err(_) => match String::from_utf8(payload) {
            Ok(text) => text.into(),
            Err(error) => json!({ BYTES: STANDARD.encode(error.as_bytes()) }),
        },
        Ok(value) => value,
    }
}

/// The payload that [`body`] was made of, up to spaces and the order of keys in JSON.
#[must_use]
pub fn bytes(body: &Value) -> Vec<u8> {
    match body {
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(fields) if fields.len() == 1 => {
            let encoded = fields.get(BYTES).and_then(Value::as_str);
            encoded.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_else(|| body.to_string().into_bytes())
        }
        other => other.to_string().into_bytes(),
    }
}

/// A message from elsewhere, by what it is.
#[must_use]
pub fn content(subject: &str, headers: &BTreeMap<String, String>, body: &Value) -> String {
    format!("{subject}\n{headers:?}\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inboxes_are_numbered_as_they_come() {
        let mut masks = Masks::default();
        assert_eq!(masks.mask("SUB _INBOX.Xy7.* 1"), "SUB _INBOX.1.* 1");
        assert_eq!(masks.mask("PUB a _INBOX.Xy7.Q1 2"), "PUB a _INBOX.1.2 2");
        assert_eq!(masks.mask("PUB a _INBOX.Zz.Q1"), "PUB a _INBOX.3.2");
    }

    #[test]
    fn payloads_come_back_as_they_were() {
        for payload in [&b"hello"[..], b"\"hello\"", b"{\"a\":1}", b"[1,2]", b"", b"\xff\x00", b"7"] {
            assert_eq!(bytes(&body(payload.to_vec())), payload, "{payload:?}");
        }
        assert_eq!(body(b"{ \"b\": 1, \"a\": 2 }".to_vec()), json!({ "a": 2, "b": 1 }));
    }
}
