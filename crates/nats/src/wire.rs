//! What clients and servers of NATS write to one another.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long a line without its payload may be.
const LINE_MAX: usize = 64 * 1024;
/// How long a payload may be: what the server says that it takes.
pub(crate) const PAYLOAD_MAX: usize = 1024 * 1024;

/// The one key of a body that is neither JSON nor text.
const BYTES: &str = "base64";

/// What a client writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Connect,
    Ping,
    Pong,
    Sub { subject: String, queue: Option<String>, sid: u64 },
    Unsub { sid: u64, after: Option<u64> },
    Pub(Published),
}

/// A message that a client publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) subject: String,
    pub(crate) reply: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) payload: Vec<u8>,
}

/// The first thing in these bytes, and how many of them it takes; `None` if more must come first.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Op, usize)>, String> {
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
pub(crate) fn message(into: &mut Vec<u8>, sid: u64, message: &Published) {
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
pub(crate) fn status(into: &mut Vec<u8>, sid: u64, subject: &str, status: &str, headers: &str) {
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
pub(crate) fn fits(pattern: &str, subject: &str) -> bool {
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

/// The names of inboxes, which are random, by the order in which they are met.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    known: BTreeMap<String, usize>,
}

impl Masks {
    /// A text in which each token of an inbox is a number.
    pub(crate) fn mask(&mut self, text: &str) -> String {
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
pub(crate) fn body(payload: Vec<u8>) -> Value {
    match serde_json::from_slice::<Value>(&payload) {
        Ok(Value::String(_)) | Err(_) => match String::from_utf8(payload) {
            Ok(text) => text.into(),
            Err(error) => json!({ BYTES: STANDARD.encode(error.as_bytes()) }),
        },
        Ok(value) => value,
    }
}

/// The payload that [`body`] was made of, up to spaces and the order of keys in JSON.
pub(crate) fn bytes(body: &Value) -> Vec<u8> {
    match body {
        Value::String(text) => text.clone().into_bytes(),
        Value::Object(fields) if fields.len() == 1 => {
            let encoded = fields.get(BYTES).and_then(Value::as_str);
            encoded.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_else(|| body.to_string().into_bytes())
        }
        other => other.to_string().into_bytes(),
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
