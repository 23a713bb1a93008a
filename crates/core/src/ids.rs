//! The small names everything else is built from: records, versions, subjects, simulated time.
//!
//! Every id is a newtype with a sized integer inside, so that no two of them can be mixed up and
//! none of them changes width between machines. Ids print the way people write them on a
//! whiteboard: `t1` is a record, `t1@2` is its second change, `+5.000s` is a moment.

mod interned;
mod reason;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash;

pub use reason::Reason;

/// Names one record: a letter for its kind and a number, written `t1`, or a letter and a text, written
/// `o:6f1c-2b`.
///
/// The letter belongs to a record type (see [`Record::KIND`](crate::store::Record::KIND)); owner
/// and replica of the same thing share it, because they share the id. The text is a key of the user's,
/// such as a UUID. Ids are ordered by kind; of one kind, numbers come first, then texts as texts are
/// ordered.
///
/// The text of each id that was ever made is kept as long as the process runs, once (see
/// [`RecordId::named`]).
///
/// ```
/// use pellmell::RecordId;
/// let ticket = RecordId::new('t', 1);
/// assert_eq!(ticket.to_string(), "t1");
/// assert_eq!("t1".parse(), Ok(ticket));
/// let order = RecordId::named('o', "6f1c-2b");
/// assert_eq!(order.to_string(), "o:6f1c-2b");
/// assert_eq!("o:6f1c-2b".parse(), Ok(order));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
// One word, the letter above the number: what is written in two parts and read in one waits for both.
// Above the letter is whether it has a text; then the number is the place of that in a table.
pub struct RecordId(u32);

/// Letter and number, each by itself: stored fingerprints rely on it.
impl Hash for RecordId {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.is_named() {
            return self.hash_named(state);
        }
        state.write_u8((self.0 >> RecordId::NUMBER_BITS) as u8);
        state.write_u32(self.low());
    }
}

impl Ord for RecordId {
    #[inline]
    fn cmp(&self, other: &RecordId) -> Ordering {
        if (self.0 | other.0) & RecordId::NAMED != 0 { self.cmp_named(*other) } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for RecordId {
    #[inline]
    fn partial_cmp(&self, other: &RecordId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl RecordId {
    /// The largest record number. A record costs what it holds, however large its
    /// number is.
    pub const NUMBER_MAX: u32 = 2_000_000;

    /// The most bytes that the text of an id has.
    pub const TEXT_BYTES_MAX: usize = 200;

    /// How many bits of the word are the number.
    const NUMBER_BITS: u32 = 24;
    /// The bit of an id that has a text.
    const NAMED: u32 = 1 << 31;

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

    /// Names the record of the kind `kind` with a text as its key, such as a UUID.
    ///
    /// The text has letters, digits and `-`, `_`, `.`, `:`, `/`, `+`, `=`, `~`, `%`, of which `/` stands
    /// between parts and `:` not at the end: with anything else it could not be told where it ends in the
    /// name of a step. It has up to [`RecordId::TEXT_BYTES_MAX`] bytes.
    ///
    /// Each text is kept once for as long as the process runs, about 100 bytes more than it has itself.
    /// So keys should come from few events again and again, not from a counter that goes on from run to
    /// run. There can be 16,777,216 texts.
    ///
    /// # Panics
    /// If `kind` is not a lowercase ASCII letter or the text is not of that form, of which it says what
    /// is wrong. To hear of that as an error, parse `o:` and the text.
    #[must_use]
    #[track_caller]
    pub fn named(kind: char, text: impl AsRef<str>) -> RecordId {
        let text = text.as_ref();
        assert!(kind.is_ascii_lowercase(), "a record kind is a lowercase ASCII letter");
        if let Err(wrong) = look_at_text(text) {
            panic!("`{}` names no record: {wrong}", shown(text));
        }
        RecordId::interned(kind, text)
    }

    /// Names the record of the kind `kind` with a composite key, whose parts `/` joins.
    ///
    /// ```
    /// use pellmell::RecordId;
    /// let line = RecordId::of_parts('r', ["acme", "7"]);
    /// assert_eq!(line.to_string(), "r:acme/7");
    /// assert!(line.parts().eq(["acme", "7"]));
    /// ```
    ///
    /// # Panics
    /// If there is no part, one is empty or has a `/` in it, or as [`RecordId::named`] does.
    #[must_use]
    #[track_caller]
    pub fn of_parts<T: AsRef<str>>(kind: char, parts: impl IntoIterator<Item = T>) -> RecordId {
        let mut text = String::new();
        for part in parts {
            let part = part.as_ref();
            assert!(!part.contains('/'), "`{}` is no part of a key: `/` stands between parts", shown(part));
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(part);
        }
        RecordId::named(kind, text)
    }

    fn interned(kind: char, text: &str) -> RecordId {
        RecordId(RecordId::NAMED | (kind as u32) << RecordId::NUMBER_BITS | interned::place_of(text))
    }

    /// The letter of the kind.
    #[must_use]
    pub const fn kind(self) -> char {
        ((self.0 & !RecordId::NAMED) >> RecordId::NUMBER_BITS) as u8 as char
    }

    /// The number within the kind.
    ///
    /// # Panics
    /// If the id has a text instead (see [`RecordId::text`]).
    #[must_use]
    pub const fn number(self) -> u32 {
        assert!(!self.is_named(), "an id that has a text has no number");
        self.low()
    }

    /// The text of an id that was made with [`RecordId::named`] or [`RecordId::of_parts`].
    #[must_use]
    pub fn text(self) -> Option<&'static str> {
        self.is_named().then(|| interned::at(self.low()).text)
    }

    /// The parts of its text, between which `/` stands; nothing for an id with a number.
    pub fn parts(self) -> impl Iterator<Item = &'static str> {
        self.text().into_iter().flat_map(|text| text.split('/'))
    }

    /// Whether its text ends in `/` and a number, as the name of a message does that is not the first of
    /// its name.
    pub(crate) fn ends_as_counted(self) -> bool {
        let count = self.text().and_then(|text| text.rsplit_once('/')).map(|(_, count)| count);
        count.is_some_and(|count| count.parse::<u32>().is_ok_and(|number| number.to_string() == count))
    }

    /// Whether it has a text.
    #[inline]
    pub(crate) const fn is_named(self) -> bool {
        self.0 & RecordId::NAMED != 0
    }

    #[inline]
    const fn low(self) -> u32 {
        self.0 & ((1 << RecordId::NUMBER_BITS) - 1)
    }

    /// The number of an id of this kind; of one of another kind, or with a text, more than any number.
    #[inline]
    pub(crate) const fn number_within(self, kind: char) -> u32 {
        self.0 ^ (kind as u32) << RecordId::NUMBER_BITS
    }

    /// What differs for ids of one kind: the number, or far above all numbers something that depends on
    /// which texts came before. So it may be looked up, but nothing may be walked by it.
    #[inline]
    pub(crate) const fn place(self) -> usize {
        (self.0 & (RecordId::NAMED | ((1 << RecordId::NUMBER_BITS) - 1))) as usize
    }

    /// What shares records out: the number, or a hash of the text.
    pub(crate) fn balance(self) -> u32 {
        if self.is_named() { self.word() as u32 } else { self.low() }
    }

    /// The id as one word, for hashing.
    #[must_use]
    #[inline]
    pub(crate) fn word(self) -> u64 {
        if self.is_named() {
            return self.word_named();
        }
        ((self.0 as u64) >> RecordId::NUMBER_BITS << 32) | self.low() as u64
    }

    #[cold]
    fn word_named(self) -> u64 {
        hash::mix(interned::at(self.low()).hash, self.kind() as u64)
    }

    #[cold]
    fn hash_named<H: Hasher>(self, state: &mut H) {
        state.write_u8(self.kind() as u8);
        state.write_u64(interned::at(self.low()).hash);
    }

    /// By kind, then what has no text, then by number or text.
    #[cold]
    fn cmp_named(self, other: RecordId) -> Ordering {
        let number = |id: RecordId| if id.is_named() { 0 } else { id.low() };
        let order = |id: RecordId| (id.kind(), id.text(), number(id));
        order(self).cmp(&order(other))
    }
}

/// A text as one that is kept for as long as the process runs: itself, if the program has it.
pub(crate) fn kept(text: impl Into<Cow<'static, str>>) -> &'static str {
    match text.into() {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => interned::keep(&text),
    }
}

/// A text that somebody lends, as one that is kept for as long as the process runs.
pub(crate) fn kept_copy(text: &str) -> &'static str {
    interned::keep(text)
}

/// Says what is wrong with a text as the key of a record.
fn look_at_text(text: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_alphanumeric() || "-_.:/+=~%".contains(c);
    if text.len() > RecordId::TEXT_BYTES_MAX {
        return Err(format!("a key has up to {} bytes", RecordId::TEXT_BYTES_MAX));
    }
    if let Some(other) = text.chars().find(|c| !is_allowed(*c)) {
        let other = other.escape_debug();
        return Err(format!("a key has letters, digits and `-_.:/+=~%`, but no `{other}`"));
    }
    if text.split('/').any(str::is_empty) {
        return Err("a key is not empty, nor is a part of it before or after a `/`".to_owned());
    }
    if text.ends_with(':') {
        return Err("a key does not end with `:`".to_owned());
    }
    Ok(())
}

/// So much of a text as an error shows.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            None => write!(f, "{}{}", self.kind(), self.low()),
            Some(text) => write!(f, "{}:{text}", self.kind()),
        }
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Says why a text is not a record id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRecordIdError {
    text: String,
    /// What is wrong with its key, if it has one.
    key: Option<String>,
}

impl fmt::Display for ParseRecordIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseRecordIdError { text, key } = self;
        match key {
            Some(wrong) => write!(f, "`{text}` is not a record id: {wrong}"),
            None => write!(
                f,
                "`{text}` is not a record id: expected a lowercase letter and a number up to {}, for example `t1`, \
                 or a letter, `:` and a key, for example `o:6f1c-2b`",
                RecordId::NUMBER_MAX
            ),
        }
    }
}

impl std::error::Error for ParseRecordIdError {}

impl FromStr for RecordId {
    type Err = ParseRecordIdError;

    fn from_str(text: &str) -> Result<RecordId, ParseRecordIdError> {
        let wrong = |key: Option<String>| ParseRecordIdError { text: text.chars().take(40).collect(), key };
        let mut chars = text.chars();
        let kind = chars.next().filter(char::is_ascii_lowercase).ok_or_else(|| wrong(None))?;
        if let Some(key) = chars.as_str().strip_prefix(':') {
            return match look_at_text(key) {
                Ok(()) => Ok(RecordId::interned(kind, key)),
                Err(error) => Err(wrong(Some(error))),
            };
        }
        let digits = chars.as_str();
        let number: u32 = digits.parse().map_err(|_| wrong(None))?;
        // `t01` and `t+1` would be second spellings of `t1`.
        if number > RecordId::NUMBER_MAX || number.to_string() != digits {
            return Err(wrong(None));
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

    /// Names a subject by a text that the program does not have in it, such as one that is put together
    /// from a prefix. The text is kept for as long as the process runs, once.
    ///
    /// ```
    /// use pellmell::Subject;
    /// let subject = Subject::named(format!("{}:created", "ticket"));
    /// assert_eq!(subject, Subject::new("ticket:created"));
    /// ```
    #[must_use]
    pub fn named(name: impl AsRef<str>) -> Subject {
        Subject::new(interned::keep(name.as_ref()))
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
    use proptest::prelude::*;

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
        let long = format!("o:{}", "x".repeat(RecordId::TEXT_BYTES_MAX + 1));
        for (text, part) in [
            ("o:", "is not empty"),
            ("O:a", "expected a lowercase letter"),
            ("o:a b", "no ` `"),
            ("o:a@1", "no `@`"),
            ("o:a#1", "no `#`"),
            ("o:a->b", "no `>`"),
            ("o:a\u{1b}", "no `\\u{1b}`"),
            ("o:a\"", "no `\\\"`"),
            ("o:a\\", "no `\\\\`"),
            ("o:a,", "no `,`"),
            ("o:/a", "before or after a `/`"),
            ("o:a//b", "before or after a `/`"),
            ("o:a:", "does not end with `:`"),
            (&long, "up to 200 bytes"),
        ] {
            let error = text.parse::<RecordId>().expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    #[should_panic(expected = "`a b` names no record: a key has letters, digits")]
    fn an_id_with_a_text_that_names_no_record_is_a_broken_promise() {
        let _ = RecordId::named('o', "a b");
    }

    #[test]
    #[should_panic(expected = "`a/b` is no part of a key")]
    fn a_part_of_a_key_has_no_parts() {
        let _ = RecordId::of_parts('o', ["a/b", "c"]);
    }

    #[test]
    #[should_panic(expected = "is not empty")]
    fn a_part_of_a_key_is_not_empty() {
        let _ = RecordId::of_parts('o', ["a", ""]);
    }

    #[test]
    #[should_panic(expected = "has no number")]
    fn an_id_with_a_text_has_no_number() {
        let _ = RecordId::named('o', "a").number();
    }

    fn ids() -> impl Strategy<Value = RecordId> {
        let kind = prop_oneof![Just('o'), Just('r')];
        let part = "[a-zé0-9._:+=~%-]{0,6}[a-z0-9]";
        let named = (kind.clone(), prop::collection::vec(part, 1..4));
        prop_oneof![
            (kind, 0..=RecordId::NUMBER_MAX).prop_map(|(kind, number)| RecordId::new(kind, number)),
            named.prop_map(|(kind, parts)| RecordId::of_parts(kind, parts)),
        ]
    }

    proptest! {
        #[test]
        fn a_record_id_reads_back_whatever_it_is_named_by(id in ids()) {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).expect("a text");
            prop_assert_eq!(serde_json::from_str::<RecordId>(&json).expect("an id"), id);
            let again = id.text().map(|text| RecordId::named(id.kind(), text));
            prop_assert_eq!(again.unwrap_or(id), id);
        }

        #[test]
        fn ids_are_ordered_and_hashed_by_kind_number_and_text(one in ids(), other in ids()) {
            let words = |id: RecordId| (id.kind(), id.text(), if id.is_named() { 0 } else { id.number() });
            prop_assert_eq!(one.cmp(&other), words(one).cmp(&words(other)));
            prop_assert_eq!(one == other, words(one) == words(other));
            prop_assert_eq!(one == other, one.word() == other.word());
            prop_assert_eq!(one == other, hash::of(&one) == hash::of(&other));
            prop_assert_eq!(one == other, (one.kind(), one.place()) == (other.kind(), other.place()));
        }

        #[test]
        fn no_text_makes_the_parser_of_ids_panic(text in ".{0,20}|[a-z]:.{0,20}") {
            if let Ok(id) = text.parse::<RecordId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn hashes_of_ids_are_the_literal_values_stored_fingerprints_rely_on() {
        assert_eq!(RecordId::new('t', 1).word(), 0x74_0000_0001);
        assert_eq!(hash::of(&RecordId::new('t', 1)), hash::of(&(b't', 1u32)));
        let named = RecordId::named('t', "6f1c");
        assert_eq!(named.word(), hash::mix(hash::of_name("6f1c"), u64::from(b't')));
        assert_eq!(hash::of(&named), hash::of(&(b't', hash::of_name("6f1c"))));
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
