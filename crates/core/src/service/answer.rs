//! What may be wrong with what another service answers.

/// What is wrong with all answers that a handler gets when it asks other services
/// ([`Context::ask`](crate::Context::ask)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AnswerFault {
    /// A stale read: each record is what it was before its last save, as a read replica that lags or a cache has it.
    /// What the store began with has no older state.
    Stale = 1,
    /// There is none: a timeout, or an error.
    Missing = 2,
}

impl AnswerFault {
    /// All there are.
    pub const ALL: [AnswerFault; 2] = [AnswerFault::Stale, AnswerFault::Missing];

    /// The fault in words: `stale answer`, `no answer`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AnswerFault::Stale => "stale answer",
            AnswerFault::Missing => "no answer",
        }
    }

    /// The fault of that name.
    pub(crate) fn named(name: &str) -> Option<AnswerFault> {
        AnswerFault::ALL.into_iter().find(|fault| fault.name() == name)
    }
}
