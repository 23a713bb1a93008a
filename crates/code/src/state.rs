//! What a simulation keeps of the state of code that is not made of records.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::port::Input;
use pellmell_core::hash;
use pellmell_core::ids::RecordId;
use pellmell_core::store::Record;

/// The state of a service whose state is its own: what leads to it, or what it says of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) enum Kept {
    /// The inputs it was told, as steps from the beginning.
    #[serde(rename = "told")]
    Inputs(Inputs),
    /// What it says that it keeps.
    #[serde(rename = "keeps")]
    Snapshot(Snapshot),
    /// The same, and it was cut off since.
    #[serde(rename = "kept in a crash")]
    Crashed(Snapshot),
}

impl Kept {
    pub(crate) const ID: RecordId = RecordId::new('z', 0);
}

impl Record for Kept {
    const COLLECTION: &'static str = "state";
    const KIND: char = 'z';
    const IS_SHOWN: bool = false;
}

/// A snapshot as text, its keys in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot(pub(crate) Arc<str>);

impl Snapshot {
    pub(crate) fn of(value: &Value) -> Snapshot {
        Snapshot(value.to_string().into())
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

/// A list of inputs, the last one first, which shares what it has in common with others.
#[derive(Clone)]
pub(crate) struct Inputs(Option<Arc<Told>>);

/// One input, and what came of it.
pub(crate) struct Told {
    before: Inputs,
    what: What,
    /// Of this one and all before.
    hash: u64,
    count: u32,
}

/// What code was told.
pub(crate) enum What {
    /// It was cut off and started again.
    Crash,
    /// An input, and what it did and answered, a line each.
    Input { did: Arc<str>, input: Arc<Input<'static>> },
}

impl Inputs {
    pub(crate) const NONE: Inputs = Inputs(None);

    pub(crate) fn hash(&self) -> u64 {
        self.0.as_ref().map_or(0, |told| told.hash)
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.as_ref().map_or(0, |told| told.count)
    }

    /// These and one more.
    pub(crate) fn and(&self, what: What) -> Inputs {
        let this = match &what {
            What::Crash => 1,
            What::Input { did, input } => hash::mix(hash::of_name(&input.in_words()), hash::of_name(did)),
        };
        let (hash, count) = (hash::mix(self.hash().wrapping_add(1), this), self.count().saturating_add(1));
        Inputs(Some(Arc::new(Told { before: self.clone(), what, hash, count })))
    }

    /// The last one, and those before it.
    pub(crate) fn last(&self) -> Option<(&What, &Inputs)> {
        self.0.as_deref().map(|told| (&told.what, &told.before))
    }
}

impl PartialEq for Inputs {
    fn eq(&self, other: &Inputs) -> bool {
        (self.hash(), self.count()) == (other.hash(), other.count())
    }
}

impl Eq for Inputs {}

impl Hash for Inputs {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash());
    }
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} inputs", self.count())
    }
}

impl Serialize for Inputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.count())
    }
}

impl Drop for Told {
    /// A long list is let go of in a loop, not by as many calls within one another.
    fn drop(&mut self) {
        let mut next = self.before.0.take();
        while let Some(told) = next {
            next = Arc::into_inner(told).and_then(|mut told| told.before.0.take());
        }
    }
}
