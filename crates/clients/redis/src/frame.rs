//! What clients and servers of Redis write to one another, version 2 of the protocol.

use std::fmt;

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::encode::encode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};

/// A command: its name and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(pub(crate) Vec<Vec<u8>>);

/// What the server answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply(OwnedFrame);

/// The first command in these bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Command, usize)>, String> {
    let Some((frame, taken)) = decode(bytes).map_err(|error| error.to_string())? else { return Ok(None) };
    let OwnedFrame::Array(parts) = frame else { return Err("something that is no command".to_owned()) };
    let words = parts.into_iter().map(|part| match part {
        OwnedFrame::BulkString(word) => Ok(word),
        _ => Err("a command with something in it that is no text".to_owned()),
    });
    Ok(Some((Command(words.collect::<Result<_, _>>()?), taken)))
}

impl Reply {
    pub(crate) const NIL: Reply = Reply(OwnedFrame::Null);

    pub(crate) fn simple(text: &str) -> Reply {
        Reply(OwnedFrame::SimpleString(text.as_bytes().to_vec()))
    }

    pub(crate) fn error(text: impl Into<String>) -> Reply {
        Reply(OwnedFrame::Error(text.into()))
    }

    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Reply {
        Reply(OwnedFrame::BulkString(text.into()))
    }

    pub(crate) fn number(number: impl TryInto<i64>) -> Reply {
        Reply(OwnedFrame::Integer(number.try_into().unwrap_or(i64::MAX)))
    }

    pub(crate) fn list(replies: impl IntoIterator<Item = Reply>) -> Reply {
        Reply(OwnedFrame::Array(replies.into_iter().map(|Reply(frame)| frame).collect()))
    }

    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        let at = into.len();
        into.resize(at + self.0.encode_len(false), 0);
        // There is room for all of it.
        let written = encode(&mut into[at..], &self.0, false).unwrap_or(0);
        into.truncate(at + written);
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|word| String::from_utf8_lossy(word)).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            OwnedFrame::SimpleString(text) | OwnedFrame::BulkString(text) => {
                f.write_str(&String::from_utf8_lossy(text))
            }
            OwnedFrame::Error(text) => write!(f, "error {text}"),
            OwnedFrame::Integer(number) => number.fmt(f),
            OwnedFrame::Array(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| Reply(part.clone()).to_string()).collect();
                write!(f, "[{}]", parts.join(" "))
            }
            OwnedFrame::Null => f.write_str("nil"),
        }
    }
}
