//! How long something takes in the world of those who wait for it. It decides when files are written
//! and when a sweep with a time limit ends, never what a run does.

use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; no run sees it")]
use std::time::Instant;

#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; no run sees it")]
pub(super) struct Stopwatch(Instant);

#[expect(clippy::disallowed_types, reason = "how long the user waits is wall time; no run sees it")]
impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A duration written `30s`, `10m` or `2h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and a unit, for example 30s, 10m or 2h".to_owned();
    let unit = [("s", 1), ("m", 60), ("h", 3_600)].into_iter().find(|(unit, _)| text.ends_with(unit));
    let (unit, seconds) = unit.ok_or_else(wrong)?;
    let number: u32 = text[..text.len() - unit.len()].parse().map_err(|_| wrong())?;
    if text.starts_with('+') { Err(wrong()) } else { Ok(Duration::from_secs(u64::from(number) * seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("30s", 30), ("10m", 600), ("2h", 7_200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "10", "10d", "-1s", "+1s", "1.5h", "1 m", "99999999999h", "1µs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
