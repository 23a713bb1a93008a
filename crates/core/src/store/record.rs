//! Records and the rules by which their versions grow.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::ops::Deref;

use serde::Serialize;

use crate::hash;
use crate::ids::{RecordId, Time, Version};

/// One kind of record a service keeps, as its owner or as a replica.
///
/// The version is not a field: the store keeps it beside the value, the way a database library
/// does, so that a record cannot be saved without one.
///
/// ```
/// use pellmell::Record;
/// #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
/// struct Ticket { price: u32 }
///
/// impl Record for Ticket {
///     const COLLECTION: &'static str = "tickets";
///     const KIND: char = 't';
/// }
/// ```
pub trait Record: Clone + Debug + Eq + Hash + Serialize + Send + Sync + 'static {
    /// The collection's name in reports.
    const COLLECTION: &'static str;
    /// The letter of its ids.
    const KIND: char;
    /// Whether traces and reports show such records. They do unless said otherwise: not where a record is no data of
    /// the service, but what stands for the state of a process.
    const IS_SHOWN: bool = true;
}

/// A value with the version it was saved as. Reads through to the value.
#[derive(Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The version of this value.
    pub version: Version,
    /// The version this one was made from; `None` for the first.
    pub previous: Option<Version>,
    /// The value.
    pub value: R,
    hash: u64,
}

impl<R: Clone + PartialEq> Clone for Versioned<R> {
    fn clone(&self) -> Versioned<R> {
        Versioned { value: self.value.clone(), ..*self }
    }

    /// Worlds that came from one another have most rows in common.
    fn clone_from(&mut self, source: &Versioned<R>) {
        if self != source {
            *self = source.clone();
        }
    }
}

impl<R: Record> Versioned<R> {
    pub(super) fn new(id: RecordId, version: Version, previous: Option<Version>, value: R) -> Versioned<R> {
        let hash = hash::mix3(id.word(), version.0, hash::of(&value));
        Versioned { version, previous, value, hash }
    }

    /// The hash of id, version and value.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The hash of all that can be read of it: what it was made from, too.
    pub(super) fn digest(&self) -> u64 {
        hash::mix(self.hash, self.previous.map_or(0, |previous| previous.0.wrapping_add(1)))
    }
}

impl<R> Deref for Versioned<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.value
    }
}

/// How version numbers of a collection are formed and when they grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionPolicy {
    /// Which number comes next.
    pub scheme: VersionScheme,
    /// Which saves raise it.
    pub bump: Bump,
}

impl VersionPolicy {
    /// 0, 1, 2, … with every save: what update-if-current libraries do.
    pub const EVERY_SAVE: VersionPolicy =
        VersionPolicy { scheme: VersionScheme::Step { first: 0, by: 1 }, bump: Bump::EverySave };
    /// 0, 1, 2, …, but a save that changes no field keeps the version.
    pub const DIRTY_ONLY: VersionPolicy =
        VersionPolicy { scheme: VersionScheme::Step { first: 0, by: 1 }, bump: Bump::DirtyOnly };
}

/// Which version follows which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionScheme {
    /// `first`, `first + by`, `first + 2·by`, …
    Step {
        /// The first version.
        first: u64,
        /// The distance between two versions.
        by: u64,
    },
    /// The simulated time of the save in units of `unit_us` microseconds. Two saves within one
    /// unit get the same version, and no gap can be told from the numbers.
    Timestamp {
        /// The clock's resolution in microseconds; at least 1.
        unit_us: u64,
    },
    /// A number without order, derived from the version before it: only
    /// [`Versioned::previous`] says what follows what.
    Chain,
}

impl VersionScheme {
    /// The version after `previous`, or the first one.
    ///
    /// # Panics
    /// If no number comes after `previous`: a version that began anew would let a save pass that was
    /// based on one long gone.
    #[must_use]
    pub fn next(self, id: RecordId, previous: Option<Version>, now: Time) -> Version {
        let after = |Version(number): Version, by: u64| {
            number.checked_add(by).unwrap_or_else(|| no_version_after(id, Version(number)))
        };
        match (self, previous) {
            (VersionScheme::Step { first, .. }, None) => Version(first),
            (VersionScheme::Step { by, .. }, Some(version)) => Version(after(version, by)),
            (VersionScheme::Timestamp { unit_us }, _) => Version(now.0 / unit_us.max(1)),
            // 32 bits keep the numbers readable and TOML integers can hold them.
            (VersionScheme::Chain, previous) => {
                Version(hash::mix(id.word(), previous.map_or(0, |version| after(version, 1))) >> 32)
            }
        }
    }
}

#[cold]
fn no_version_after(id: RecordId, version: Version) -> ! {
    panic!("{id} has the version {version}, after which there is none: versions come from elsewhere than its saves")
}

/// Which saves raise the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bump {
    /// Every save, also one that changes no field.
    EverySave,
    /// Only a save that changes a field.
    DirtyOnly,
}

/// A conditional save that found another version than the one it was based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionConflict {
    /// The version the save was based on.
    pub expected: Version,
    /// The version it found; `None` if the record does not exist.
    pub found: Option<Version>,
}

impl fmt::Display for VersionConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(found) => write!(f, "version conflict: expected {}, found {found}", self.expected),
            None => write!(f, "version conflict: expected {}, found no record", self.expected),
        }
    }
}

impl std::error::Error for VersionConflict {}

/// An insert that found the key taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateKey(pub RecordId);

impl fmt::Display for DuplicateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "duplicate key {}", self.0)
    }
}

impl std::error::Error for DuplicateKey {}
