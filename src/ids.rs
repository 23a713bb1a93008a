//! The small names everything else is built from: records, versions, subjects, simulated time.
//!
//! Every id is a newtype with a sized integer inside, so that no two of them can be mixed up and
//! none of them changes width between machines. Ids print the way people write them on a
//! whiteboard: `t1` is a record, `t1@2` is its second change, `+5.000s` is a moment.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash;

/// Names one record: a letter for its kind and a number, written `t1`.
///
/// The letter belongs to a record type (see [`Record::KIND`](crate::store::Record::KIND)); owner
/// and replica of the same thing share it, because they share the id.
///
/// ```
/// use pellmell::RecordId;
/// let ticket = RecordId::new('t', 1);
/// assert_eq!(ticket.to_string(), "t1");
/// assert_eq!("t1".parse(), Ok(ticket));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
// One word, the letter above the number: what is written in two parts and read in one waits for both.
pub struct RecordId(u32);

/// Letter and number, each by itself: stored fingerprints rely on it.
impl Hash for RecordId {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8((self.0 >> RecordId::NUMBER_BITS) as u8);
        state.write_u32(self.number());
    }
}

impl RecordId {
    /// The largest record number. A record costs what it holds, however large its
    /// number is.
    pub const NUMBER_MAX: u32 = 2_000_000;

    /// How many bits of the word are the number.
    const NUMBER_BITS: u32 = 24;

    /// Names record `number` of the kind `kind`.
    ///
    /// # Panics
    /// If `kind` is not a lowercase ASCII letter or `number` is above [`RecordId::NUMBER_MAX`].
    #[must_use]
    pub const fn new(kind: char, number: u32) -> RecordId {
        assert!(kind.is_ascii_lowercase(), "a record kind is a lowercase ASCII letter");
        assert!(number <= RecordId::NUMBER_MAX, "a record number is at most 2000000");
        RecordId((kind as u32) << RecordId::NUMBER_BITS | number)
    }

    /// The letter of the kind.
    #[must_use]
    pub const fn kind(self) -> char {
        (self.0 >> RecordId::NUMBER_BITS) as u8 as char
    }

    /// The number within the kind.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 & ((1 << RecordId::NUMBER_BITS) - 1)
    }

    /// The number of an id of this kind; of one of another kind, more than any number.
    #[inline]
    pub(crate) const fn number_within(self, kind: char) -> u32 {
        self.0 ^ (kind as u32) << RecordId::NUMBER_BITS
    }

    /// The id as one word, for hashing.
    #[must_use]
    pub(crate) const fn word(self) -> u64 {
        ((self.0 as u64) >> RecordId::NUMBER_BITS << 32) | self.number() as u64
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind(), self.number())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Says why a text is not a record id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRecordIdError(String);

impl fmt::Display for ParseRecordIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a record id: expected a lowercase letter and a number up to {}, for example `t1`",
            self.0,
            RecordId::NUMBER_MAX
        )
    }
}

impl std::error::Error for ParseRecordIdError {}

impl FromStr for RecordId {
    type Err = ParseRecordIdError;

    fn from_str(text: &str) -> Result<RecordId, ParseRecordIdError> {
        let wrong = || ParseRecordIdError(text.chars().take(40).collect());
        let mut chars = text.chars();
        let kind = chars.next().filter(char::is_ascii_lowercase).ok_or_else(wrong)?;
        let digits = chars.as_str();
        let number: u32 = digits.parse().map_err(|_| wrong())?;
        // `t01` and `t+1` would be second spellings of `t1`.
        if number > RecordId::NUMBER_MAX || number.to_string() != digits {
            return Err(wrong());
        }
        Ok(RecordId::new(kind, number))
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RecordId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The version of a record: which change of it this is, counted by its owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// A named feed of events, such as `ticket:created`.
///
/// ```
/// use pellmell::Subject;
/// const TICKET_CREATED: Subject = Subject::new("ticket:created");
/// assert_eq!(TICKET_CREATED.name(), "ticket:created");
/// ```
#[derive(Clone, Copy)]
pub struct Subject {
    name: &'static str,
    hash: u64,
}

impl Subject {
    /// Names a subject.
    #[must_use]
    pub const fn new(name: &'static str) -> Subject {
        Subject { name, hash: hash::of_name(name) }
    }

    /// The subject's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The name's hash, the same on every machine.
    pub(crate) const fn hash(self) -> u64 {
        self.hash
    }
}

impl PartialEq for Subject {
    fn eq(&self, other: &Subject) -> bool {
        // Of the subjects that services listen to, two with the same 64-bit hash are refused when a
        // simulation is built.
        self.hash == other.hash
    }
}

impl Eq for Subject {}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A moment of simulated time, in microseconds since the run began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The moment `wait` after this one; the last representable moment if that is out of range.
    #[must_use]
    pub fn after(self, wait: Duration) -> Time {
        let wait_us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(wait_us))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1_000_000, self.0 / 1_000 % 1_000);
        match seconds / 60 {
            0 => write!(f, "+{seconds}.{millis:03}s"),
            minutes => write!(f, "+{minutes}m{:02}.{millis:03}s", seconds % 60),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

/// A service's place in the list a system was built from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceIndex(pub(crate) u16);

impl ServiceIndex {
    /// The place as an index.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for ServiceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_id_reads_back_as_it_was_written() {
        for text in ["t0", "t1", "o2000000", "z42"] {
            let id: RecordId = text.parse().expect("a valid id");
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn a_text_that_is_no_record_id_is_refused() {
        for text in ["", "t", "1", "T1", "t-1", "t01", "t+1", "t2000001", "t99999999999", "tt1", "é1", "t1 "] {
            assert!(text.parse::<RecordId>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn time_prints_as_people_read_it() {
        for (micros, text) in [(0, "+0.000s"), (1_250_000, "+1.250s"), (72_300_000, "+1m12.300s")] {
            assert_eq!(Time(micros).to_string(), text);
        }
    }

    #[test]
    fn time_never_overflows() {
        assert_eq!(Time(u64::MAX - 1).after(Duration::from_secs(9)), Time(u64::MAX));
    }
}
