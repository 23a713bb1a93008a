//! Effects outside of the store: what a handler does that nothing takes back.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use super::timer::{Payload, is_purpose};
use crate::hash;
use crate::ids::{self, RecordId};

/// An external effect: something that happens outside of the store and of the broker, such as a charge at a card
/// company or a mail that is sent. Nothing takes it back.
///
/// A handler does it with [`Context::outside`](crate::Context::outside), and properties see what was done
/// ([`Moment::outside`](crate::Moment::outside)).
///
/// ```
/// use pellmell::{Outside, RecordId};
/// let charge = Outside::of("charge", RecordId::new('o', 1)).with_key("p1").carrying(20u32);
/// assert_eq!((charge.name(), charge.key()), ("charge", Some("p1")));
/// assert_eq!(charge.payload::<u32>(), Some(&20));
/// assert_eq!(charge.to_string(), "charge o1 20 (key p1)");
/// ```
#[derive(Clone, Debug)]
pub struct Outside {
    name: &'static str,
    record: RecordId,
    key: Option<&'static str>,
    payload: Option<Payload>,
    after_saving: bool,
}

impl Outside {
    /// An effect of this name about a record. It happens at once, before anything is there that its handler
    /// saves and has not committed ([`Context::commit`](crate::Context::commit)). A name has letters, digits,
    /// `-`, `_` and `.`.
    ///
    /// # Panics
    /// If the name is empty, longer than 60 bytes, `of`, or has other characters in it.
    #[must_use]
    #[track_caller]
    pub fn of(name: impl Into<Cow<'static, str>>, record: RecordId) -> Outside {
        let name = name.into();
        assert!(
            is_purpose(&name),
            "`{}` is no name of an effect: expected up to 60 letters, digits, `-`, `_` and `.`, and not `of`",
            name.escape_debug()
        );
        Outside { name: ids::kept(name), record, key: None, payload: None, after_saving: false }
    }

    /// With an idempotency key: whoever is asked for an effect of the same name and key once more does nothing.
    /// Each key is kept for as long as the process runs, once.
    #[must_use]
    pub fn with_key(self, key: impl Into<Cow<'static, str>>) -> Outside {
        Outside { key: Some(ids::kept(key)), ..self }
    }

    /// With a value of the user's, such as the amount, which [`Outside::payload`] gives back.
    #[must_use]
    pub fn carrying<T: Debug + Hash + Send + Sync + 'static>(self, value: T) -> Outside {
        Outside { payload: Some(Payload(Arc::new(value))), ..self }
    }

    /// Only when its handler's saves are there: not if they are taken back, nor if the member crashes before it
    /// publishes.
    #[must_use]
    pub fn after_saving(self) -> Outside {
        Outside { after_saving: true, ..self }
    }

    /// What is done.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The record it is about.
    #[must_use]
    pub fn record(&self) -> RecordId {
        self.record
    }

    /// Its idempotency key.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        self.key
    }

    /// The value it carries; `None` if there is none, or one of another type.
    #[must_use]
    pub fn payload<T: 'static>(&self) -> Option<&T> {
        self.payload.as_ref()?.get()
    }

    /// Whether it happens only when its handler's saves are there.
    pub(crate) fn is_after_saving(&self) -> bool {
        self.after_saving
    }

    /// Its hash.
    pub(crate) fn digest(&self) -> u64 {
        let Outside { name, record, key, payload, .. } = self;
        let key = key.map_or(0, |key| 1 | hash::of_name(key) << 1);
        hash::mix3(hash::mix(hash::of_name(name), hash::of(record)), key, payload.as_ref().map_or(0, Payload::digest))
    }
}

/// As traces have it: `charge o1 20 (key p1)`.
impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record)?;
        if let Some(payload) = &self.payload {
            write!(f, " {payload:?}")?;
        }
        if let Some(key) = self.key {
            write!(f, " (key {key})")?;
        }
        Ok(())
    }
}
