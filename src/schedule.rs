//! Schedules: how a run departs from the calm one, in words a person can write.
//!
//! A schedule is a list of departures. Each names a delivery by subject, record, version, group and
//! attempt, never by a position, so it means the same after the services changed around it. The
//! list's length is the depth of a bug: most need one or two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::broker::{delivery_key, message_key, write_message_name};
use crate::faults::Window;
use crate::hash;
use crate::ids::{RecordId, Version};

/// One way in which a run departs from the calm run.
///
/// ```
/// use pellmell::schedule::Departure;
/// for text in [
///     "hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets",
///     "hold ticket:created t1@0 -> orders until quiescence",
///     "duplicate ticket:updated t1@1 -> orders",
///     "lose ack of ticket:created t1@0 -> orders #2",
///     "crash tickets before publish of order:created o1@0 -> tickets",
///     "run past ack wait of ticket:updated t1@2 -> orders",
/// ] {
///     let departure: Departure = text.parse().unwrap();
///     assert_eq!(departure.to_string(), text);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The delivery waits until another one was handled, or until nothing else can happen.
    Hold {
        /// What waits.
        what: DeliverySpec,
        /// For what; `None`: until quiescence.
        until: Option<DeliverySpec>,
    },
    /// The message becomes pending once more when the delivery is handled.
    Duplicate(DeliverySpec),
    /// The ack of the delivery is lost.
    LoseAck(DeliverySpec),
    /// The member that handles the delivery crashes in a window.
    Crash {
        /// The member's service.
        service: String,
        /// Where.
        window: Window,
        /// What it handles.
        what: DeliverySpec,
    },
    /// The ack comes only after the ack wait has passed and the redelivery was handled.
    RunPast(DeliverySpec),
}

impl Departure {
    /// The deliveries it names.
    pub fn deliveries(&self) -> impl Iterator<Item = &DeliverySpec> {
        let (first, second) = match self {
            Departure::Hold { what, until } => (what, until.as_ref()),
            Departure::Duplicate(what) | Departure::LoseAck(what) | Departure::RunPast(what) => (what, None),
            Departure::Crash { what, .. } => (what, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// A delivery by name, written `ticket:updated t1@2 -> orders #1`; `#1` may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySpec {
    /// The message's subject.
    pub subject: String,
    /// The record it is about.
    pub record: RecordId,
    /// The version it announces.
    pub version: Option<Version>,
    /// Which message of this name it is, from 1.
    pub nth: u32,
    /// The group it goes to.
    pub group: String,
    /// The attempt, from 1.
    pub attempt: u16,
}

impl DeliverySpec {
    /// The hash by which schedulers know the delivery.
    #[must_use]
    pub fn key(&self) -> u64 {
        let message = message_key(hash::of_name(&self.subject), self.record, self.version, self.nth);
        delivery_key(message, hash::of_name(&self.group), self.attempt)
    }
}

impl fmt::Display for DeliverySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_message_name(f, &self.subject, self.record, self.version, self.nth)?;
        write!(f, " -> {}", self.group)?;
        if self.attempt > 1 {
            write!(f, " #{}", self.attempt)?;
        }
        Ok(())
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Departure::Hold { what, until: Some(until) } => write!(f, "hold {what} until {until}"),
            Departure::Hold { what, until: None } => write!(f, "hold {what} until quiescence"),
            Departure::Duplicate(what) => write!(f, "duplicate {what}"),
            Departure::LoseAck(what) => write!(f, "lose ack of {what}"),
            Departure::Crash { service, window, what } => write!(f, "crash {service} {} of {what}", window.name()),
            Departure::RunPast(what) => write!(f, "run past ack wait of {what}"),
        }
    }
}

/// Says why a text is not a departure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseDepartureError(String);

impl fmt::Display for ParseDepartureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseDepartureError {}

const FORMS: &str = "expected `hold D until D`, `hold D until quiescence`, `duplicate D`, `lose ack of D`, \
`crash SERVICE before save|before publish|before ack|after ack of D` or `run past ack wait of D`, \
where D is like `ticket:updated t1@2 -> orders #1`";

impl FromStr for Departure {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<Departure, ParseDepartureError> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("hold ") {
            let Some((what, until)) = rest.split_once(" until ") else {
                return Err(ParseDepartureError(format!("`hold` without `until`: {FORMS}")));
            };
            let until = if until.trim() == "quiescence" { None } else { Some(until.parse()?) };
            return Ok(Departure::Hold { what: what.parse()?, until });
        }
        if let Some(what) = text.strip_prefix("duplicate ") {
            return Ok(Departure::Duplicate(what.parse()?));
        }
        if let Some(what) = text.strip_prefix("lose ack of ") {
            return Ok(Departure::LoseAck(what.parse()?));
        }
        if let Some(what) = text.strip_prefix("run past ack wait of ") {
            return Ok(Departure::RunPast(what.parse()?));
        }
        if let Some((service, rest)) = text.strip_prefix("crash ").and_then(|rest| rest.split_once(' ')) {
            for window in Window::ALL {
                if let Some(what) = rest.strip_prefix(window.name()).and_then(|rest| rest.strip_prefix(" of ")) {
                    return Ok(Departure::Crash { service: service.to_owned(), window, what: what.parse()? });
                }
            }
        }
        Err(ParseDepartureError(FORMS.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Departure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Departure, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for DeliverySpec {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<DeliverySpec, ParseDepartureError> {
        let shown: String = text.chars().take(80).collect();
        let wrong = |why: &str| {
            ParseDepartureError(format!("`{shown}` {why}: a delivery is like `ticket:updated t1@2 -> orders #1`"))
        };
        let (message, to) = text.split_once("->").ok_or_else(|| wrong("names no group"))?;
        let (subject, about) = message.trim().split_once(' ').ok_or_else(|| wrong("names no record"))?;
        let (about, nth) = split_number(about.trim(), '/').ok_or_else(|| wrong("has no number after `/`"))?;
        let (record, version) = match about.split_once('@') {
            Some((record, version)) => {
                (record, Some(Version(version.parse().map_err(|_| wrong("has no version after `@`"))?)))
            }
            None => (about, None),
        };
        let record = record.parse().map_err(|error| wrong(&format!("names no record ({error})")))?;
        let (group, attempt) = split_number(to.trim(), '#').ok_or_else(|| wrong("has no attempt after `#`"))?;
        let attempt = u16::try_from(attempt).map_err(|_| wrong("has too large an attempt"))?;
        let group = group.trim();
        if group.is_empty() || group.contains(' ') || nth == 0 || attempt == 0 {
            return Err(wrong("is not a delivery"));
        }
        Ok(DeliverySpec { subject: subject.to_owned(), record, version, nth, group: group.to_owned(), attempt })
    }
}

/// Splits off a number behind `mark`; 1 if there is no mark.
fn split_number(text: &str, mark: char) -> Option<(&str, u32)> {
    match text.split_once(mark) {
        Some((rest, number)) => Some((rest, number.trim().parse().ok()?)),
        None => Some((text, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec() -> impl Strategy<Value = DeliverySpec> {
        let record = (0u32..99).prop_map(|number| RecordId::new('t', number));
        let version = proptest::option::of((0u64..9).prop_map(Version));
        ("[a-z]{1,8}:[a-z]{1,8}", record, version, 1u32..4, "[a-z-]{1,9}", 1u16..5).prop_map(
            |(subject, record, version, nth, group, attempt)| DeliverySpec {
                subject,
                record,
                version,
                nth,
                group,
                attempt,
            },
        )
    }

    fn departure() -> impl Strategy<Value = Departure> {
        prop_oneof![
            (spec(), proptest::option::of(spec())).prop_map(|(what, until)| Departure::Hold { what, until }),
            spec().prop_map(Departure::Duplicate),
            spec().prop_map(Departure::LoseAck),
            spec().prop_map(Departure::RunPast),
            (spec(), 0usize..4, "[a-z]{1,9}").prop_map(|(what, window, service)| {
                Departure::Crash { service, window: Window::ALL[window], what }
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_departure_reads_back_as_it_was_printed(departure in departure()) {
            prop_assert_eq!(departure.to_string().parse::<Departure>(), Ok(departure));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}") {
            let _ = text.parse::<Departure>();
        }
    }

    #[test]
    fn what_is_no_departure_is_refused_with_the_form_it_should_have() {
        let refused = |text: &str, part: &str| {
            let error = text.parse::<Departure>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        refused("", "expected `hold D until D`");
        refused("hold ticket:created t1@0 -> orders", "without `until`");
        refused("lose ack of ticket:created t1@0", "names no group");
        refused("lose ack of ticket:created -> orders", "names no record");
        refused("lose ack of ticket:created t1@x -> orders", "no version after `@`");
        refused("lose ack of ticket:created t1@0 -> orders #0", "is not a delivery");
        refused("lose ack of ticket:created t1@0 -> orders #99999", "too large an attempt");
        refused("crash orders at noon of ticket:created t1@0 -> orders", "expected `hold D until D`");
    }
}
