//! Records of which nothing is known but their kind.

use std::fmt;

use serde::{Deserialize, Serialize};

use serde_json::Value;

use pellmell_code::Body;
use pellmell_core::ids::{RecordId, Version};
use pellmell_core::store::{Record, Store};

/// A record of the kind whose ids begin with a letter: any JSON.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document<const KIND: char>(pub Body);

impl<const KIND: char> fmt::Debug for Document<KIND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

impl<const KIND: char> Record for Document<KIND> {
    const COLLECTION: &'static str = LETTERS.split_at(KIND as usize - 'a' as usize).1.split_at(1).0;
    const KIND: char = KIND;
}

/// Does something for the kind that a letter stands for, or for each kind: `z` is the kind of what services keep
/// besides records.
macro_rules! of_kind {
    ($letter:expr, $kind:ident => $does:expr, else $other:expr) => {
        of_kind!(@ $letter, $kind, $does, $other,
            'a' 'b' 'c' 'd' 'e' 'f' 'g' 'h' 'i' 'j' 'k' 'l' 'm' 'n' 'o' 'p' 'q' 'r' 's' 't' 'u' 'v' 'w' 'x' 'y')
    };
    (@ $letter:expr, $kind:ident, $does:expr, $other:expr, $($known:literal)*) => {
        match $letter {
            $($known => {
                const $kind: char = $known;
                $does
            })*
            _ => $other,
        }
    };
}
pub(crate) use of_kind;

/// The records of all kinds that a service keeps, by id, in their versions.
#[must_use]
pub fn documents(store: &Store) -> Vec<(RecordId, Version, Value)> {
    let of_one = |kind: char| of_kind!(kind, K => documents_of::<K>(store), else Vec::new());
    kinds().flat_map(of_one).collect()
}

fn documents_of<const KIND: char>(store: &Store) -> Vec<(RecordId, Version, Value)> {
    if !store.has::<Document<KIND>>() {
        return Vec::new();
    }
    store.all::<Document<KIND>>().map(|(record, row)| (record, row.version, row.value.0.value())).collect()
}

/// The letters of all kinds.
pub(crate) fn kinds() -> impl Iterator<Item = char> {
    'a'..='y'
}
