//! Gaps of a recording: what may have happened without a line.

use serde::{Deserialize, Serialize};

/// What may have happened although no line of a recording says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Gap {
    /// A member was handed a message.
    Delivery,
    /// A member acked a message or refused it.
    Answer,
    /// What a member said was lost on its way.
    LostAnswer,
    /// The connection of a member broke, and it was back at once.
    Reconnect,
}
