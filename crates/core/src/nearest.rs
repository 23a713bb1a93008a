//! The nearest of several names, by edit distance: what somebody may have meant.

/// The nearest of `known` to what was written, if one is near.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.into_iter().map(|name| (distance(written, name), name)).min();
    close.filter(|(distance, name)| *distance * 3 <= name.chars().count().max(3)).map(|(_, name)| name)
}

/// How many characters must be put in, taken out or replaced to turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, d) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["orders", "tickets"];
        assert_eq!(nearest("order", known), Some("orders"));
        assert_eq!(nearest("tikets", known), Some("tickets"));
        assert_eq!(nearest("payments", known), None);
    }
}
