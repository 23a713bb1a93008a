//! Moments as other tools write them.

/// The nanoseconds since 1970 of a moment in RFC 3339, such as `2026-11-30T08:43:45.729166825Z`.
pub(super) fn nanos_of_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-').map(|part| number(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let minutes = number(hours, 2)? * 60 + number(minutes, 2)?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    let is_moment = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !is_moment || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let fraction = number(fraction, 9)? * 10_i64.pow(9 - fraction.len() as u32);
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset * 60;
    u64::try_from(seconds.checked_mul(1_000_000_000)?.checked_add(fraction)?).ok()
}

/// A number of at most so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// How many days after 1 January 1970 a day is, in years that begin in March.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_with_its_fraction_and_zone() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-03-01T00:00:00Z", Some(951_868_800_000_000_000)),
            ("2026-11-30T08:43:45.729166825Z", Some(1_796_028_225_729_166_825)),
            ("2026-11-30T09:43:45.5+01:00", Some(1_796_028_225_500_000_000)),
            ("2026-11-30T08:43:45", None),
            ("2026-13-30T08:43:45Z", None),
            ("2026-11-30T08:43:45.Z", None),
            ("2026-11-30T08:43Z", None),
            ("1900-01-01T00:00:00Z", None),
            ("é", None),
        ] {
            assert_eq!(nanos_of_rfc3339(text), nanos, "{text}");
        }
    }
}
