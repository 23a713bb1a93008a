//! Durations and limits as settings have them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::ids::Time;

/// A duration of whole milliseconds, written `"30s"`, `"500ms"`, `"2m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wait {
    millis: u64,
}

impl Wait {
    /// So many milliseconds.
    #[must_use]
    pub const fn of_millis(millis: u64) -> Wait {
        Wait { millis }
    }

    /// So many seconds.
    #[must_use]
    pub const fn of_secs(secs: u64) -> Wait {
        Wait { millis: secs * 1_000 }
    }

    /// How many milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The moment so long after another one.
    #[must_use]
    pub fn after(self, time: Time) -> Time {
        time.after(Duration::from_millis(self.millis))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millis {
            0 => f.write_str("0s"),
            millis if millis % 60_000 == 0 => write!(f, "{}m", millis / 60_000),
            millis if millis % 1_000 == 0 => write!(f, "{}s", millis / 1_000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

impl std::str::FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Wait, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let scale = match unit.trim_start() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            _ => None,
        };
        let millis = number.parse::<u64>().ok().zip(scale).and_then(|(number, scale)| number.checked_mul(scale));
        millis
            .map(Wait::of_millis)
            .ok_or_else(|| "expected a number and a unit, for example \"5s\", \"500ms\" or \"2m\"".to_owned())
    }
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wait, D::Error> {
        struct OfWait;
        impl Visitor<'_> for OfWait {
            type Value = Wait;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number and a unit in quotes, for example \"5s\", \"500ms\" or \"2m\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Wait, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(OfWait)
    }
}

/// A number, or no limit; written as a number or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// At most so many.
    Of(u32),
    /// As many as there are.
    Unlimited,
}

impl Limit {
    /// Whether one more fits beside so many.
    #[must_use]
    pub const fn admits(self, beside: u32) -> bool {
        match self {
            Limit::Of(limit) => beside < limit,
            Limit::Unlimited => true,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Of(limit) => limit.fmt(f),
            Limit::Unlimited => f.write_str("unlimited"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Limit::Of(limit) => serializer.serialize_u32(*limit),
            Limit::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        struct OfLimit;
        impl Visitor<'_> for OfLimit {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 1, or \"unlimited\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Limit, E> {
                u64::try_from(number).map_or_else(|_| Err(E::custom("expected a number from 1")), |n| self.visit_u64(n))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Limit, E> {
                match u32::try_from(number) {
                    Ok(limit) if limit > 0 => Ok(Limit::Of(limit)),
                    _ => Err(E::custom("expected a number from 1 to 4294967295")),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
                match text {
                    "unlimited" => Ok(Limit::Unlimited),
                    _ => Err(E::custom("expected a number from 1, or \"unlimited\"")),
                }
            }
        }
        deserializer.deserialize_any(OfLimit)
    }
}
