//! How events and commands become what code is told, and what code publishes becomes events.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::message::{Body, Call, Message, Text};
use pellmell_core::event::System;
use pellmell_core::ids::{RecordId, Subject, Version};

/// Events and commands of a system as code knows them: JSON and headers.
pub trait Codec<S: System>: Send + Sync + 'static {
    /// What a message carries.
    fn body(&self, event: &S::Event) -> Value;

    /// The headers of a message, by name. None unless said otherwise.
    fn headers(&self, _event: &S::Event) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The event that was published.
    ///
    /// # Errors
    /// Why it is none.
    fn event(&self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<S::Event, String>;

    /// What a command calls, and what it carries.
    fn call(&self, command: &S::Command) -> (String, Value);
}

/// What opaque messages are about: by their subject, which record and which version, found in the body by JSON
/// pointers, in headers, or by a closure.
///
/// ```
/// use pellmell_code::{Names, Naming};
///
/// let names = Names::new()
///     .on("item:*", Naming::of('i').record_at("/id").version_at("/version"))
///     .on("audit", Naming::by(|_, headers, _| {
///         let record = headers.get("record").ok_or("no header `record`")?;
///         Ok((record.parse().map_err(|_| "no record id")?, None))
///     }));
/// assert!(names.check("item:changed").is_ok());
/// assert!(names.check("order:created").is_err());
/// ```
#[derive(Default)]
pub struct Names {
    /// By patterns of subjects, in the order in which they were given.
    namings: Vec<(String, Naming)>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.namings.iter().map(|(pattern, _)| pattern)).finish()
    }
}

impl Names {
    /// None yet.
    #[must_use]
    pub fn new() -> Names {
        Names::default()
    }

    /// And what messages on these subjects are about: a subject, or how subjects begin and `*`. The first that fits
    /// counts.
    #[must_use]
    pub fn on(mut self, subjects: impl Into<String>, naming: Naming) -> Names {
        self.namings.push((subjects.into(), naming));
        self
    }

    /// Whether anything is said of a subject.
    ///
    /// # Errors
    /// What is said of others.
    pub fn check(&self, subject: &str) -> Result<(), String> {
        self.naming(subject).map(|_| ())
    }

    fn naming(&self, subject: &str) -> Result<&Naming, String> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => subject.starts_with(beginning),
            None => subject == pattern,
        };
        let known = || self.namings.iter().map(|(pattern, _)| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
        let found = self.namings.iter().find(|(pattern, _)| fits(pattern));
        found.map(|(_, naming)| naming).ok_or_else(|| {
            format!("nothing says what messages on `{subject}` are about: there are names for {}", known())
        })
    }
}

type ByClosure =
    dyn Fn(&str, &BTreeMap<String, String>, &Value) -> Result<(RecordId, Option<Version>), String> + Send + Sync;

/// What messages on some subjects are about.
pub struct Naming {
    how: How,
}

enum How {
    Found { kind: char, record: At, version: Option<At> },
    By(Box<ByClosure>),
}

/// Where something is in a message.
#[derive(Clone, Debug)]
enum At {
    /// At a JSON pointer in the body.
    Body(String),
    Header(String),
}

impl At {
    fn find(&self, headers: &BTreeMap<String, String>, body: &Value) -> Result<String, String> {
        match self {
            At::Body(pointer) => match body.pointer(pointer) {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(Value::Number(number)) => Ok(number.to_string()),
                Some(other) => Err(format!("at `{pointer}` of its body is {other}, expected a text or a number")),
                None => Err(format!("its body has nothing at `{pointer}`")),
            },
            At::Header(name) => headers.get(name).cloned().ok_or_else(|| format!("it has no header `{name}`")),
        }
    }
}

impl Naming {
    /// Messages about records of a kind, whose id is at `/id` of the body, without a version.
    ///
    /// An id that reads as one of that kind, such as `i1`, is that; any other text is the text of an id:
    /// `i:6f1c-2b`.
    ///
    /// # Panics
    /// If the kind is no lowercase ASCII letter.
    #[must_use]
    pub fn of(kind: char) -> Naming {
        assert!(kind.is_ascii_lowercase(), "a record kind is a lowercase ASCII letter");
        Naming { how: How::Found { kind, record: At::Body("/id".to_owned()), version: None } }
    }

    /// The same, with the id at a JSON pointer in the body.
    #[must_use]
    pub fn record_at(self, pointer: impl Into<String>) -> Naming {
        self.found(|record, _| *record = At::Body(pointer.into()))
    }

    /// The same, with the id in a header.
    #[must_use]
    pub fn record_in_header(self, name: impl Into<String>) -> Naming {
        self.found(|record, _| *record = At::Header(name.into()))
    }

    /// The same, with a version at a JSON pointer in the body.
    #[must_use]
    pub fn version_at(self, pointer: impl Into<String>) -> Naming {
        self.found(|_, version| *version = Some(At::Body(pointer.into())))
    }

    /// The same, with a version in a header.
    #[must_use]
    pub fn version_in_header(self, name: impl Into<String>) -> Naming {
        self.found(|_, version| *version = Some(At::Header(name.into())))
    }

    /// Messages about what a closure says, which is given subject, headers and body.
    #[must_use]
    pub fn by(
        by: impl Fn(&str, &BTreeMap<String, String>, &Value) -> Result<(RecordId, Option<Version>), String>
        + Send
        + Sync
        + 'static,
    ) -> Naming {
        Naming { how: How::By(Box::new(by)) }
    }

    fn found(mut self, change: impl FnOnce(&mut At, &mut Option<At>)) -> Naming {
        if let How::Found { record, version, .. } = &mut self.how {
            change(record, version);
        }
        self
    }

    fn name(
        &self,
        subject: &str,
        headers: &BTreeMap<String, String>,
        body: &Value,
    ) -> Result<(RecordId, Option<Version>), String> {
        let (kind, record, version) = match &self.how {
            How::By(by) => return by(subject, headers, body),
            How::Found { kind, record, version } => (*kind, record, version),
        };
        let record = record_of(kind, &record.find(headers, body)?)?;
        let version = version.as_ref().map(|at| {
            let text = at.find(headers, body)?;
            text.parse().map(Version).map_err(|_| format!("`{text}` is no version: expected a whole number"))
        });
        Ok((record, version.transpose()?))
    }
}

/// The id of a record of a kind: what reads as one, or a text.
fn record_of(kind: char, text: &str) -> Result<RecordId, String> {
    match text.parse::<RecordId>() {
        Ok(record) if record.kind() == kind => Ok(record),
        _ => format!("{kind}:{text}").parse().map_err(|error| format!("`{text}` names no record: {error}")),
    }
}

impl<S: System<Event = Message, Command = Call>> Codec<S> for Names {
    fn body(&self, event: &Message) -> Value {
        event.body().value()
    }

    fn headers(&self, event: &Message) -> BTreeMap<String, String> {
        event.headers().clone()
    }

    fn event(&self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<Message, String> {
        let naming = self.naming(subject)?;
        let named = naming.name(subject, &headers, &body);
        let (record, version) = named.map_err(|error| format!("nobody knows what it is about: {error}: {body}"))?;
        Ok(Message { subject: Text(Subject::named(subject)), record, version, headers, body: Body::json(&body) })
    }

    fn call(&self, command: &Call) -> (String, Value) {
        (command.call().to_owned(), command.body().value())
    }
}
