//! Timers of services by name.

use std::fmt;
use std::str::FromStr;

use super::{ParseDepartureError, is_service, split_number};
use crate::hash;
use crate::ids::RecordId;
use crate::service::is_purpose;

/// A timer by name, written `timer o1 of expiration`, or `timer o1 remind of expiration` if it has a
/// purpose; ` /2` behind it for the second of that name in a run, `#2` for the second attempt of one whose
/// handler crashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimerSpec {
    /// The record it was armed with.
    pub record: RecordId,
    /// What it is for; empty if it was armed without a purpose.
    pub purpose: String,
    /// The service that armed it.
    pub service: String,
    /// Which of the timers of this record and purpose it is, from 1: a number is free again if the timer
    /// never fired.
    pub nth: u32,
    /// The attempt, from 1.
    pub attempt: u16,
}

impl TimerSpec {
    /// The hash by which schedulers know the timer.
    #[must_use]
    pub fn key(&self) -> u64 {
        timer_key(hash::of_name(&self.service), (self.record, &self.purpose), self.nth, self.attempt)
    }
}

/// The key of a service's timer by the parts of its name.
pub(crate) fn timer_key(service_hash: u64, (record, purpose): (RecordId, &str), nth: u32, attempt: u16) -> u64 {
    let plain = hash::mix3(service_hash, record.word(), u64::from(nth - 1) << 1);
    let first = if purpose.is_empty() { plain } else { hash::mix(plain, hash::of_name(purpose)) };
    if attempt == 1 { first } else { hash::mix(first, attempt.into()) }
}

impl fmt::Display for TimerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timer {}", self.record)?;
        if !self.purpose.is_empty() {
            write!(f, " {}", self.purpose)?;
        }
        write!(f, " of {}", self.service)?;
        if self.nth > 1 {
            write!(f, " /{}", self.nth)?;
        }
        if self.attempt > 1 {
            write!(f, " #{}", self.attempt)?;
        }
        Ok(())
    }
}

impl FromStr for TimerSpec {
    type Err = ParseDepartureError;

    fn from_str(text: &str) -> Result<TimerSpec, ParseDepartureError> {
        let wrong = |why: &str| {
            super::wrong(text, why, "a timer is like `timer o1 of expiration`, ` /2` behind it for the second")
        };
        let rest = text.trim().strip_prefix("timer ").ok_or_else(|| wrong("is not a timer"))?;
        let (record, rest) = rest.split_once(" of ").ok_or_else(|| wrong("names no service"))?;
        let (record, purpose) = record.trim().split_once(' ').unwrap_or((record.trim(), ""));
        let purpose = purpose.trim();
        if !purpose.is_empty() && !is_purpose(purpose) {
            return Err(wrong("has a purpose that is no word"));
        }
        let record = record.parse().map_err(|error| wrong(&format!("names no record ({error})")))?;
        let (rest, attempt) = split_number(rest, '#').ok_or_else(|| wrong("has no attempt after `#`"))?;
        let attempt = u16::try_from(attempt).map_err(|_| wrong("has too large an attempt"))?;
        let (service, nth) = split_number(rest, '/').ok_or_else(|| wrong("has no number after `/`"))?;
        let service = service.trim();
        if !is_service(service) || nth == 0 || attempt == 0 {
            return Err(wrong("is not a timer"));
        }
        Ok(TimerSpec { record, purpose: purpose.to_owned(), service: service.to_owned(), nth, attempt })
    }
}
