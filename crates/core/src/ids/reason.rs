//! Why a handler refuses something, in words.

use std::fmt;
use std::ops::Deref;

use super::interned;

/// A reason as reports show it: a text of the program, or one that was put together and is kept.
///
/// [`Outcome`](crate::Outcome) and [`Rejection`](crate::Rejection) are copied at every step, so what they
/// hold is a `&'static str`: that of a literal costs nothing. One that a handler puts together becomes one
/// by way of this type. Each text is kept once for as long as the process runs, so it should name what
/// there is little of (a record, a status), not what is different each time.
///
/// ```
/// use pellmell::{Outcome, Reason, Rejection};
/// let id = "t1";
/// assert_eq!(Outcome::Silent(Reason::of(format!("no {id}"))), Outcome::Silent("no t1"));
/// assert_eq!(Outcome::nak(Reason::of(format!("no {id}"))), Outcome::nak("no t1"));
/// let refused = Rejection::new(409, format!("{id} is taken"));
/// assert_eq!(refused, Rejection { status: 409, reason: "t1 is taken" });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(&'static str);

impl Reason {
    /// A reason that is in the program.
    #[must_use]
    pub const fn new(text: &'static str) -> Reason {
        Reason(text)
    }

    /// The words of a reason that is put together, for the fields of [`Outcome`](crate::Outcome) and
    /// [`Rejection`](crate::Rejection).
    #[must_use]
    pub fn of(text: impl Into<Reason>) -> &'static str {
        text.into().words()
    }

    /// Its words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        self.0
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Reason {
        Reason(text)
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Reason {
        Reason(interned::keep(&text))
    }
}

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}
