//! The text a scenario is read from, and errors that point into it.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;

use super::{FileError, nearest};

/// Makes errors that point into the file.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    /// If unknown names are noted and not refused: those so far.
    noted: Option<RefCell<Unknown>>,
}

/// The names in a file that mean nothing any more.
#[derive(Clone, Debug, Default)]
pub struct Unknown {
    /// Each where it stands.
    pub errors: Vec<FileError>,
    /// Whether one of them says what the case is: its rules, its commands, what is judged. Without that
    /// nobody can play it.
    pub is_decisive: bool,
}

impl<'a> Source<'a> {
    pub(super) fn of(file: &'a str, text: &'a str) -> Source<'a> {
        Source { file, text, noted: None }
    }

    /// One whose unknown names are noted, and what can be read is.
    pub(super) fn noting(file: &'a str, text: &'a str) -> Source<'a> {
        Source { noted: Some(RefCell::default()), ..Source::of(file, text) }
    }

    /// The unknown names that were noted, in the order of the file.
    pub(super) fn into_noted(self) -> Unknown {
        let mut noted = self.noted.map(RefCell::into_inner).unwrap_or_default();
        noted.errors.sort_by_key(|error| (error.line, error.column));
        noted
    }

    /// Notes an unknown name without which the rest still says something; refuses any other mistake, and
    /// that as well where names are not noted.
    pub(super) fn leave_out(&self, error: FileError) -> Result<(), FileError> {
        match &self.noted {
            Some(noted) if error.is_about_a_name() => noted.borrow_mut().errors.push(error),
            _ => return Err(error),
        }
        Ok(())
    }

    /// The same of a name without which nobody can play the rest.
    pub(super) fn stand_in(&self, error: FileError) -> Result<(), FileError> {
        self.leave_out(error)?;
        self.noted.iter().for_each(|noted| noted.borrow_mut().is_decisive = true);
        Ok(())
    }

    /// Whether a name is missing without which nobody can play the rest.
    pub(super) fn is_in_parts(&self) -> bool {
        self.noted.as_ref().is_some_and(|noted| noted.borrow().is_decisive)
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn at(&self, span: Range<usize>, message: impl Into<String>) -> FileError {
        FileError::new(self.file, self.text, span, message)
    }

    /// A name that is none of the known ones.
    pub(super) fn unknown(&self, name: &Spanned<String>, what: &str, known: &[&str]) -> FileError {
        let written: String = name.get_ref().chars().take(40).collect();
        let error = self.at(name.span(), format!("unknown {what} `{written}`")).about_a_name();
        match nearest(&written, known.iter().copied()) {
            _ if known.is_empty() => error.help(format!("this system has no {what} to name")),
            Some(near) => error.help(format!("did you mean `{near}`? Known are {}", known.join(", "))),
            None => error.help(format!("expected one of {}", known.join(", "))),
        }
    }
}

/// The file's name without folder and ending.
pub(super) fn stem(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".toml").unwrap_or(name).to_owned()
}

pub(super) fn parse_error(source: &Source<'_>, error: &toml::de::Error) -> FileError {
    parse_error_at(source, error, 0..0)
}

/// The same of a part of the text that stands at `place`, where the error does not know better.
pub(super) fn parse_error_at(source: &Source<'_>, error: &toml::de::Error, place: Range<usize>) -> FileError {
    let message = error.message().lines().collect::<Vec<_>>().join(": ");
    let place = source.at(error.span().unwrap_or(place), message);
    if source.text.trim().is_empty() {
        return place.help("the file is empty: a scenario begins with `version = 1`");
    }
    if let Some((_, help)) = OTHER_KEYS.iter().find(|(key, _)| error.message().starts_with(&unknown_field(key))) {
        return place.help(*help);
    }
    if let Some((written, known)) = unknown_name("variant", error.message()) {
        let place = place.about_a_name();
        return match nearest(written, known.iter().copied()) {
            Some(near) => place.help(format!("did you mean `{near}`?")),
            None => place.help(SEE),
        };
    }
    let field = unknown_name("field", error.message());
    match field.and_then(|(written, known)| nearest(written, known).map(str::to_owned)) {
        Some(near) => place.help(format!("did you mean `{near}`?")),
        None => place.help(SEE),
    }
}

const SEE: &str = "see docs/scenarios.md for what a scenario file may say";

fn unknown_field(key: &str) -> String {
    format!("unknown field `{key}`")
}

/// What serde says of a name that is none of those it knows: that name, and those.
pub(super) fn unknown_name<'a>(what: &str, message: &'a str) -> Option<(&'a str, Vec<&'a str>)> {
    // Of the fields of an enum's variant toml says the same in other words.
    if let Some((written, known)) = message
        .strip_prefix("unexpected keys in table: ")
        .filter(|_| what == "field")
        .and_then(|rest| rest.split_once(", available keys: "))
    {
        return Some((written.split(", ").next()?, known.split(", ").collect()));
    }
    let (written, rest) = message.strip_prefix("unknown ")?.strip_prefix(what)?.strip_prefix(" `")?.split_once('`')?;
    Some((written, rest.split('`').skip(1).step_by(2).collect()))
}

/// Keys that one may expect of a broker, and what to write instead.
const OTHER_KEYS: [(&str, &str); 7] = [
    ("ack_timeout", "write `ack_wait`"),
    ("ack", "each message is acked alone; cumulative acks are not simulated yet: see docs/broker.md"),
    ("dedup_window", "write `dedup`"),
    ("release_on", "write `release_on_crash`; other events of a member are not simulated yet: see docs/broker.md"),
    ("release_on_close", "members do not close their subscription: not simulated yet, see docs/broker.md"),
    ("release_on_reconnect", "members do not reconnect: not simulated yet, see docs/broker.md"),
    ("release_on_claim", "members do not claim: not simulated yet, see docs/broker.md"),
];
