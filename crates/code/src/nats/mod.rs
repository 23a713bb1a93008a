//! What clients and servers of NATS write to one another, and a server of NATS and JetStream that clients talk to in a
//! simulation.

mod connection;
mod handed;
mod jetstream;
mod server;

pub use connection::{Connection, Subscription};
pub use handed::Handed;
pub use jetstream::Wanted;
pub use server::{Around, Interest, Server};

use std::collections::BTreeMap;
use std::fmt::Write;

/// How long a line without its payload may be.
const LINE_MAX: usize = 64 * 1024;
/// How many bytes a payload may have: what the server says that it takes.
pub const PAYLOAD_MAX: usize = 1024 * 1024;

/// What a client writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// It says what it is.
    Connect,
    /// It asks whether the server is there, and has read all.
    Ping,
    /// It is there, and has read all.
    Pong,
    /// It subscribes.
    Sub {
        /// To these subjects.
        subject: String,
        /// The queue in which it shares them with others.
        queue: Option<String>,
        /// How it names the subscription.
        sid: u64,
    },
    /// It wants no more of a subscription.
    Unsub {
        /// Which.
        sid: u64,
        /// After so many messages, if there is a number.
        after: Option<u64>,
    },
    /// It publishes.
    Pub(Published),
}

/// A message that a client publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// On this subject.
    pub subject: String,
    /// Where it waits for an answer, if it does.
    pub reply: Option<String>,
    /// By name; the last one of a name counts.
    pub headers: BTreeMap<String, String>,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// The first thing in these bytes, and how many of them it takes; `None` if more must come first.
///
/// # Errors
/// What is wrong, if it is no NATS or is too long.
pub fn read(bytes: &[u8]) -> Result<Option<(Op, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() > LINE_MAX { Err(format!("a line of more than {LINE_MAX} bytes")) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| "a line that is not UTF-8".to_owned())?;
    let mut words = line.split_ascii_whitespace();
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    let words: Vec<&str> = words.collect();
    let wrong = || format!("`{line}`");
    let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
    let op = match (verb.as_str(), words.as_slice()) {
        ("CONNECT", _) => Op::Connect,
        ("PING", _) => Op::Ping,
        ("PONG", _) => Op::Pong,
        ("SUB", [subject, sid]) => Op::Sub { subject: (*subject).to_owned(), queue: None, sid: number(sid)? as u64 },
        ("SUB", [subject, queue, sid]) => {
            let (subject, queue) = ((*subject).to_owned(), Some((*queue).to_owned()));
            Op::Sub { subject, queue, sid: number(sid)? as u64 }
        }
        ("UNSUB", [sid]) => Op::Unsub { sid: number(sid)? as u64, after: None },
        ("UNSUB", [sid, after]) => Op::Unsub { sid: number(sid)? as u64, after: Some(number(after)? as u64) },
        ("PUB", [subject, rest @ .., length]) if rest.len() <= 1 => {
            return payload(bytes, end + 2, 0, number(length)?, subject, rest.first());
        }
        ("HPUB", [subject, rest @ .., head, length]) if rest.len() <= 1 => {
            return payload(bytes, end + 2, number(head)?, number(length)?, subject, rest.first());
        }
        _ => return Err(wrong()),
    };
    Ok(Some((op, end + 2)))
}

fn payload(
    bytes: &[u8],
    at: usize,
    head: usize,
    length: usize,
    subject: &str,
    reply: Option<&&str>,
) -> Result<Option<(Op, usize)>, String> {
    if length > PAYLOAD_MAX || head > length {
        return Err(format!("a message on `{subject}` of {length} bytes; at most {PAYLOAD_MAX} are taken"));
    }
    let Some(all) = bytes.get(at..at + length + 2) else { return Ok(None) };
    let headers = headers_of(&all[..head]);
    let (subject, reply) = (subject.to_owned(), reply.map(|reply| (*reply).to_owned()));
    let message = Published { subject, reply, headers, payload: all[head..length].to_vec() };
    Ok(Some((Op::Pub(message), at + length + 2)))
}

/// The headers in a block of them; the last one of a name counts.
fn headers_of(block: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(block);
    let lines = text.split("\r\n").skip(1);
    let pairs = lines.filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// A message for a subscriber.
pub fn message(into: &mut Vec<u8>, sid: u64, message: &Published) {
    let Published { subject, reply, headers, payload } = message;
    let mut block = String::new();
    if !headers.is_empty() {
        block += "NATS/1.0\r\n";
        // A text takes all that is written to it.
        headers.iter().for_each(|(name, value)| write!(block, "{name}: {value}\r\n").unwrap_or_default());
        block += "\r\n";
    }
    write_message(into, sid, (subject, reply.as_deref()), &block, payload);
}

/// A status for a subscriber: no message, but what the server says of a request.
pub fn status(into: &mut Vec<u8>, sid: u64, subject: &str, status: &str, headers: &str) {
    write_message(into, sid, (subject, None), &format!("NATS/1.0 {status}\r\n{headers}\r\n"), &[]);
}

fn write_message(into: &mut Vec<u8>, sid: u64, (subject, reply): (&str, Option<&str>), block: &str, payload: &[u8]) {
    let reply = reply.map(|reply| format!("{reply} ")).unwrap_or_default();
    let line = match block.len() {
        0 => format!("MSG {subject} {sid} {reply}{}\r\n", payload.len()),
        head => format!("HMSG {subject} {sid} {reply}{head} {}\r\n{block}", head + payload.len()),
    };
    into.extend_from_slice(line.as_bytes());
    into.extend_from_slice(payload);
    into.extend_from_slice(b"\r\n");
}

/// Whether a subject is one that a pattern means: `*` is one token of it, `>` all that are left.
#[must_use]
pub fn fits(pattern: &str, subject: &str) -> bool {
    let (mut patterns, mut tokens) = (pattern.split('.'), subject.split('.'));
    loop {
        match (patterns.next(), tokens.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_is_read_when_all_of_it_is_there() {
        let bytes = b"HPUB orders.new _INBOX.a.b 28 30\r\nNATS/1.0\r\nNats-Msg-Id: 7\r\n\r\n{}\r\nPING\r\n";
        for cut in 0..bytes.len() - 6 {
            assert_eq!(read(&bytes[..cut]), Ok(None), "{cut}");
        }
        let (op, taken) = read(bytes).expect("it is right").expect("it is all there");
        let headers = BTreeMap::from([("Nats-Msg-Id".to_owned(), "7".to_owned())]);
        let (subject, reply) = ("orders.new".to_owned(), Some("_INBOX.a.b".to_owned()));
        assert_eq!(op, Op::Pub(Published { subject, reply, headers, payload: b"{}".to_vec() }));
        assert_eq!(read(&bytes[taken..]), Ok(Some((Op::Ping, 6))));
        let sub = Op::Sub { subject: "a.*".to_owned(), queue: Some("q".to_owned()), sid: 3 };
        assert_eq!(read(b"SUB a.* q 3\r\n"), Ok(Some((sub, 13))));
        for wrong in ["HELLO\r\n", "SUB a\r\n", "PUB a 1 2 3\r\n", "PUB a 99999999\r\n", "UNSUB x\r\n"] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(read(&vec![b'a'; LINE_MAX + 1]).is_err());
    }

    #[test]
    fn subjects_fit_patterns_token_by_token() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            ("*.b", "a.b", true),
            (">", "a", true),
            ("a.b", "a", false),
            ("a", "a.b", false),
        ] {
            assert_eq!(fits(pattern, subject), expected, "{pattern} {subject}");
        }
    }
}
