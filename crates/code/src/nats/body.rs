//! What clients of NATS write, made a body of the simulation's and back; and names of inboxes that come again.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The one key of a body that is neither JSON nor text.
const BYTES: &str = "base64";

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
