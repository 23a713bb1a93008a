//! Timers: what a handler asks to be called with later.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use crate::hash;
use crate::ids::{self, RecordId, Time};

/// A timer of a service: about which record, when it is due, what it is for, and what it carries.
///
/// A handler arms one with [`Context::arm_timer`](crate::Context::arm_timer), and gets it back in
/// [`Service::on_timer`](crate::Service::on_timer). By its record and its purpose it can be called off
/// ([`Context::call_off`](crate::Context::call_off)).
///
/// ```
/// use pellmell::{RecordId, Time, Timer};
/// let order = RecordId::new('o', 1);
/// let timer = Timer::of(order, Time(5_000_000)).with_purpose("remind").carrying(("ann@example.com".to_owned(), 2u8));
/// assert_eq!((timer.record(), timer.purpose()), (order, "remind"));
/// let (to, nth) = timer.payload::<(String, u8)>().expect("it was armed with one");
/// assert_eq!((to.as_str(), *nth), ("ann@example.com", 2));
/// assert_eq!(timer.payload::<String>(), None);
/// ```
#[derive(Clone)]
pub struct Timer {
    record: RecordId,
    due: Time,
    purpose: &'static str,
    payload: Option<Payload>,
    in_memory: bool,
}

impl Timer {
    /// The most bytes that a purpose has.
    pub const PURPOSE_BYTES_MAX: usize = 60;

    /// A durable timer about a record, without purpose and payload. It fires once the clock reaches `due`:
    /// at once if that is past.
    #[must_use]
    pub fn of(record: RecordId, due: Time) -> Timer {
        Timer { record, due, purpose: "", payload: None, in_memory: false }
    }

    /// For this purpose, by which it is told from other timers about the record, also in the names of
    /// steps: `timer o1 remind of orders`. A purpose has letters, digits, `-`, `_` and `.`; each that is put
    /// together is kept for as long as the process runs, once.
    ///
    /// # Panics
    /// If it is empty, too long, `of`, or has other characters in it.
    #[must_use]
    #[track_caller]
    pub fn with_purpose(self, purpose: impl Into<Cow<'static, str>>) -> Timer {
        let purpose = purpose.into();
        assert!(
            is_purpose(&purpose),
            "`{}` is no purpose of a timer: expected up to 60 letters, digits, `-`, `_` and `.`, and not `of`",
            purpose.escape_debug()
        );
        Timer { purpose: ids::kept(purpose), ..self }
    }

    /// With a value of the user's, which [`Timer::payload`] gives back. It is a part of the world's state,
    /// by its hash.
    #[must_use]
    pub fn carrying<T: Debug + Hash + Send + Sync + 'static>(self, value: T) -> Timer {
        Timer { payload: Some(Payload(Arc::new(value))), ..self }
    }

    /// In the memory of the member whose handler arms it: it fires there, and dies with that member's next
    /// crash. One that is not in memory survives crashes, as a job in a durable queue does.
    #[must_use]
    pub fn in_memory(self) -> Timer {
        Timer { in_memory: true, ..self }
    }

    /// The record it is about.
    #[must_use]
    pub fn record(&self) -> RecordId {
        self.record
    }

    /// When it is due.
    #[must_use]
    pub fn due(&self) -> Time {
        self.due
    }

    /// What it is for; empty if it was armed without a purpose.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        self.purpose
    }

    /// The value it was armed with; `None` if there is none, or one of another type.
    #[must_use]
    pub fn payload<T: 'static>(&self) -> Option<&T> {
        self.payload.as_ref()?.get()
    }

    /// Whether it is in the memory of a member.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// One that was armed before.
    pub(crate) fn fired(record: RecordId, due: Time, purpose: &'static str, in_memory: bool) -> Timer {
        Timer { record, due, purpose, payload: None, in_memory }
    }

    pub(crate) fn with_payload(self, payload: Option<Payload>) -> Timer {
        Timer { payload, ..self }
    }

    pub(crate) fn take_payload(&mut self) -> Option<Payload> {
        self.payload.take()
    }
}

impl Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timer { record, due, purpose, payload, in_memory } = self;
        let mut shown = f.debug_struct("Timer");
        shown.field("record", record).field("due", due);
        if !purpose.is_empty() {
            shown.field("purpose", purpose);
        }
        if let Some(payload) = payload {
            shown.field("payload", payload);
        }
        shown.field("in_memory", in_memory).finish()
    }
}

/// Whether a word can be the purpose of a timer, between a record and ` of `.
pub(crate) fn is_purpose(word: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && word.len() <= Timer::PURPOSE_BYTES_MAX && word != "of" && word.chars().all(is_allowed)
}

/// A value of the user's that a timer or an effect carries.
#[derive(Clone)]
pub(crate) struct Payload(pub(super) Arc<dyn Carried>);

impl Payload {
    /// The value, if it is of this type.
    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        (*self.0).as_any().downcast_ref()
    }

    /// Its hash.
    pub(crate) fn digest(&self) -> u64 {
        self.0.digest()
    }
}

impl Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) trait Carried: Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn digest(&self) -> u64;
}

impl<T: Debug + Hash + Send + Sync + 'static> Carried for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn digest(&self) -> u64 {
        hash::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_a_word() {
        for word in ["remind", "retry-2", "a.b_c", "é"] {
            assert!(is_purpose(word), "{word}");
        }
        for other in ["", "of", "two words", "a:b", "a/b", "a#1", "a,b", "a@1", &"x".repeat(61)] {
            assert!(!is_purpose(other), "{other}");
        }
    }

    #[test]
    #[should_panic(expected = "`two words` is no purpose of a timer")]
    fn what_is_no_word_is_no_purpose() {
        let _ = Timer::of(RecordId::new('o', 1), Time(0)).with_purpose("two words");
    }
}
