//! Messages and calls as opaque bytes: events and commands of services that are not written in Rust, or whose types
//! are of no interest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use pellmell_core::event::{Command, Event};
use pellmell_core::ids::{RecordId, Subject, Version};

/// Bytes that a message carries. They are shown as the JSON that they are, else as text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Body(Arc<[u8]>);

impl Body {
    /// These bytes.
    #[must_use]
    pub fn of(bytes: impl Into<Arc<[u8]>>) -> Body {
        Body(bytes.into())
    }

    /// A value as JSON, its keys in order.
    #[must_use]
    pub fn json(value: &Value) -> Body {
        Body::of(value.to_string().into_bytes())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value, if it is JSON; else its text, in which what is not UTF-8 is replaced.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.0).unwrap_or_else(|_| String::from_utf8_lossy(&self.0).into())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        Value::deserialize(deserializer).map(|value| Body::json(&value))
    }
}

/// An event as bytes with a subject. What it is about was found by [`Names`](crate::Names) when it was published.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Message {
    /// The feed it is on.
    pub(crate) subject: Text,
    /// The record it is about.
    pub(crate) record: RecordId,
    /// The version of that record which it announces.
    pub(crate) version: Option<Version>,
    /// Its headers, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// What it carries.
    pub(crate) body: Body,
}

impl Message {
    /// What it carries.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Its headers, by name.
    #[must_use]
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }
}

impl Event for Message {
    fn subject(&self) -> Subject {
        self.subject.0
    }

    fn record(&self) -> RecordId {
        self.record
    }

    fn version(&self) -> Option<Version> {
        self.version
    }
}

/// A subject that is hashed and shown by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Subject);

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name().hash(state);
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

/// A command as JSON: what a client calls at a service, and the record it is about.
///
/// In a scenario file it is `{ service = "shop", call = "set_price", record = "i1", body = { price = 5 } }`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    service: String,
    call: String,
    record: RecordId,
    // A file has no word for nothing.
    #[serde(default = "no_body", skip_serializing_if = "is_nothing")]
    body: Body,
}

fn no_body() -> Body {
    Body::json(&Value::Null)
}

fn is_nothing(body: &Body) -> bool {
    *body == no_body()
}

impl Call {
    /// A call of that name at a service, about a record; it carries nothing.
    #[must_use]
    pub fn new(service: impl Into<String>, call: impl Into<String>, record: RecordId) -> Call {
        Call { service: service.into(), call: call.into(), record, body: no_body() }
    }

    /// The same with a body.
    #[must_use]
    pub fn with(self, body: &Value) -> Call {
        Call { body: Body::json(body), ..self }
    }

    /// What is called.
    #[must_use]
    pub fn call(&self) -> &str {
        &self.call
    }

    /// What it carries.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }
}

impl Command for Call {
    fn service(&self) -> &str {
        &self.service
    }

    fn record(&self) -> RecordId {
        self.record
    }

    fn label(&self) -> String {
        match self.body.value() {
            Value::Null => format!("{} {}", self.call, self.record),
            body => format!("{} {} {body}", self.call, self.record),
        }
    }
}
