//! Names that were given up: what keeps entries alive over a renaming.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use pellmell_core::file_error::FileError;

/// Names that were given up, and those that took their place: of subjects, services, designs, defects,
/// properties, clients, and of messages, whose versions may be shifted.
///
/// ```
/// use pellmell::corpus::Renames;
/// let text = r#"
/// "ticket:changed" = "ticket:updated"
/// "ticket:* t*@*" = "ticket:* t*@*+1"
/// "#;
/// let renames = Renames::parse("renames.toml", text).unwrap();
/// assert_eq!(renames.apply("lose ticket:changed t1@0 -> orders"), "lose ticket:updated t1@1 -> orders");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renames(Vec<Rename>);

/// A name that was given up, which may have stars in it, and what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rename {
    key: String,
    /// Where it stands in the file, from the old name to the end of the new one.
    place: Range<usize>,
    old: Vec<OldPiece>,
    new: Vec<NewPiece>,
}

/// A piece of a name that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OldPiece {
    /// This text.
    Text(String),
    /// A star: whatever one part has in it, or only a number.
    Part { is_number: bool },
}

/// A piece of a name that took the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NewPiece {
    /// This text.
    Text(String),
    /// What the star took that stands in the same place among the stars, shifted by so much.
    Taken { star: usize, shift: i64 },
}

impl Renames {
    /// Reads lines such as `"ticket:changed" = "ticket:updated"` and `"ticket:* t*@*" = "ticket:* t*@*+1"`.
    /// `file` is the name that errors show.
    ///
    /// # Errors
    /// If the text is something else, or a line renames nothing.
    pub fn parse(file: &str, text: &str) -> Result<Renames, FileError> {
        let read: Result<BTreeMap<Spanned<String>, Spanned<String>>, _> = toml::from_str(text);
        let read = read.map_err(|error| {
            let place = FileError::new(file, text, error.span().unwrap_or(0..0), error.message());
            place.help("write a line such as `\"item:changed\" = \"item:updated\"` for each name")
        })?;
        let mut lines: Vec<_> = read.into_iter().collect();
        lines.sort_by_key(|(old, _)| old.span().start);
        let mut renames = Vec::new();
        for (old, new) in &lines {
            let at = |place: &Spanned<String>, message: &str| FileError::new(file, text, place.span(), message);
            renames.push(Rename::read(old, new).map_err(|(place, message, help)| match place {
                Side::Old => at(old, &message).help(help),
                Side::New => at(new, &message).help(help),
            })?);
        }
        Ok(Renames(renames))
    }

    /// The text with every old name replaced that stands in it as a whole word: first those without stars,
    /// then, in what that comes to, each place by the first line with stars that fits.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let (starred, words): (Vec<&Rename>, Vec<&Rename>) = self.0.iter().partition(|rename| rename.has_stars());
        replaced(&starred, &replaced(&words, text))
    }

    /// Whether what a line has renamed would be renamed again, as one that shifts a number does, or two that
    /// swap names: it is to be written into entries once, and then to be taken out.
    #[must_use]
    pub fn has_shifts(&self) -> bool {
        self.0.iter().any(|rename| self.renames_again(rename))
    }

    /// Whether what a line has renamed would be renamed again, by itself or by another line.
    fn renames_again(&self, rename: &Rename) -> bool {
        let sample = rename.key.replace('*', "5");
        let Some((_, renamed)) = rename.fit(&sample) else { return false };
        self.apply(&renamed) != renamed
    }

    /// The text of their file without the lines that would rename again what they have renamed. All else
    /// stays as it is.
    #[must_use]
    pub fn without_shifts(&self, text: &str) -> String {
        let mut left = text.to_owned();
        for rename in self.0.iter().rev().filter(|rename| self.renames_again(rename)) {
            let begin = text[..rename.place.start].rfind('\n').map_or(0, |end| end + 1);
            let end = text[rename.place.end..].find('\n').map_or(text.len(), |end| rename.place.end + end + 1);
            left.replace_range(begin..end, "");
        }
        left
    }
}

fn replaced(renames: &[&Rename], text: &str) -> String {
    let mut renamed = String::with_capacity(text.len());
    let (mut rest, mut before) = (text, None);
    while let Some(c) = rest.chars().next() {
        let begins = !(before.is_some_and(is_inside) && is_inside(c));
        let fitting = renames.iter().filter(|_| begins).find_map(|rename| rename.fit(rest));
        let (length, new) = fitting.unwrap_or_else(|| (c.len_utf8(), c.to_string()));
        renamed += &new;
        before = rest[..length].chars().next_back();
        rest = &rest[length..];
    }
    renamed
}

/// What a word has in it.
fn is_inside(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '_' | '-')
}

/// What a part of a name has in it, for which a star stands.
fn is_of_a_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// The side of a line that is wrong.
enum Side {
    Old,
    New,
}

/// The side, what is wrong with it, and what to write.
type Wrong = (Side, String, &'static str);

const STAR: &str = "`*` stands for one part of a name: `\"item:* i*@*\" = \"item:* i*@*+1\"` shifts versions";

impl Rename {
    fn read(old: &Spanned<String>, new: &Spanned<String>) -> Result<Rename, Wrong> {
        let place = old.span().start..new.span().end;
        let (key, new) = (old.get_ref().clone(), new.get_ref());
        let wrong = |side, message: String| Err((side, message, STAR));
        if key.trim().is_empty() || key.contains("**") {
            return wrong(Side::Old, format!("`{key}` is no name"));
        }
        if key.split('*').skip(1).any(|behind| behind.chars().next().is_some_and(is_of_a_part)) {
            return wrong(Side::Old, format!("a `*` of `{key}` stands for all of a part, and more of it is behind it"));
        }
        if key == *new {
            return wrong(Side::New, format!("`{key}` is renamed to itself"));
        }
        let mut old = pieces_of(&key);
        let stars: Vec<usize> = (0..old.len()).filter(|place| matches!(old[*place], OldPiece::Part { .. })).collect();
        let (mut taken, mut pieces) = (0, Vec::new());
        for (number, text) in new.split('*').enumerate() {
            if number == 0 {
                pieces.push(NewPiece::Text(text.to_owned()));
                continue;
            }
            let Some(star) = stars.get(taken) else {
                let message = format!("`{new}` has more `*` than `{key}`, which has {}", stars.len());
                return wrong(Side::New, message);
            };
            let (shift, text) = match split_shift(text) {
                Ok(split) => split,
                Err(shift) => {
                    return wrong(Side::New, format!("`*{shift}` is no shift: a `+` or `-` and a number above 0"));
                }
            };
            if shift != 0 {
                if !counts(&old[..*star]) {
                    let message =
                        format!("`*{shift:+}` shifts what is no number: the {} `*` of `{key}`", ordinal(taken));
                    return wrong(Side::New, message);
                }
                old[*star] = OldPiece::Part { is_number: true };
            }
            pieces.push(NewPiece::Taken { star: taken, shift });
            pieces.push(NewPiece::Text(text.to_owned()));
            taken += 1;
        }
        pieces.retain(|piece| *piece != NewPiece::Text(String::new()));
        Ok(Rename { key, place, old, new: pieces })
    }

    fn has_stars(&self) -> bool {
        self.old.iter().any(|piece| matches!(piece, OldPiece::Part { .. }))
    }

    /// How much of the beginning of a text is the old name, as whole words, and what takes its place.
    fn fit(&self, text: &str) -> Option<(usize, String)> {
        let (mut rest, mut taken) = (text, Vec::new());
        for piece in &self.old {
            match piece {
                OldPiece::Text(piece) => rest = rest.strip_prefix(piece.as_str())?,
                OldPiece::Part { is_number } => {
                    let is_of_it = |c: char| if *is_number { c.is_ascii_digit() } else { is_of_a_part(c) };
                    let length = rest.find(|c| !is_of_it(c)).unwrap_or(rest.len());
                    let (part, behind) = rest.split_at_checked(length).filter(|(part, _)| !part.is_empty())?;
                    taken.push(part);
                    rest = behind;
                }
            }
        }
        let length = text.len() - rest.len();
        let last = text[..length].chars().next_back()?;
        if is_inside(last) && rest.chars().next().is_some_and(is_inside) {
            return None;
        }
        let new = self.new.iter().map(|piece| match piece {
            NewPiece::Text(text) => Some(text.clone()),
            NewPiece::Taken { star, shift: 0 } => Some((*taken.get(*star)?).to_owned()),
            // What would fall below 0 was never counted so.
            NewPiece::Taken { star, shift } => {
                Some(taken.get(*star)?.parse::<u64>().ok()?.checked_add_signed(*shift)?.to_string())
            }
        });
        Some((length, new.collect::<Option<String>>()?))
    }
}

/// The text and the stars of a name.
fn pieces_of(key: &str) -> Vec<OldPiece> {
    let mut pieces = Vec::new();
    for (place, text) in key.split('*').enumerate() {
        if place > 0 {
            pieces.push(OldPiece::Part { is_number: false });
        }
        if !text.is_empty() {
            pieces.push(OldPiece::Text(text.to_owned()));
        }
    }
    pieces
}

/// Whether a star behind these pieces is a number: a version, a count, an attempt, or that of a record.
fn counts(before: &[OldPiece]) -> bool {
    let Some(OldPiece::Text(text)) = before.last() else { return false };
    let mut last = text.chars().rev();
    match (last.next(), last.next()) {
        (Some('@' | '/' | '#'), _) => true,
        (Some(kind), before) => kind.is_ascii_lowercase() && before.is_none_or(char::is_whitespace),
        (None, _) => false,
    }
}

/// Splits `+1` or `-1` off the beginning of what stands behind a star.
fn split_shift(text: &str) -> Result<(i64, &str), &str> {
    let Some(digits) = text.strip_prefix(['+', '-']) else { return Ok((0, text)) };
    let length = 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    match text[..length].parse() {
        Ok(0) | Err(_) => Err(&text[..length]),
        Ok(shift) => Ok((shift, &text[length..])),
    }
}

fn ordinal(place: usize) -> String {
    match place {
        0 => "first".to_owned(),
        1 => "second".to_owned(),
        2 => "third".to_owned(),
        place => format!("{}th", place + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(lines: &str, text: &str) -> String {
        Renames::parse("renames.toml", lines).unwrap_or_else(|error| panic!("{error}")).apply(text)
    }

    #[test]
    fn a_star_takes_one_part_and_puts_it_where_the_same_star_stands() {
        for (lines, text, expected) in [
            ("\"a:b\" = \"a:c\"", "a:b a:b-c xa:b (a:b)", "a:c a:b-c xa:b (a:c)"),
            (
                "\"ticket:* t*@*\" = \"ticket:* t*@*+1\"",
                "ticket:created t1@0 -> orders",
                "ticket:created t1@1 -> orders",
            ),
            (
                "\"t*@*\" = \"t*@*+1\"",
                "lose x t12@9/2 -> y, not t1@x or at1@0",
                "lose x t12@10/2 -> y, not t1@x or at1@0",
            ),
            ("\"t*@*\" = \"t*@*-1\"", "t1@1 t1@0", "t1@0 t1@0"),
            ("\"* -> orders\" = \"* -> sales\"", "ticket:created t1@0 -> orders #2", "ticket:created t1@0 -> sales #2"),
            ("\"o*\" = \"o*+10\"", "timer o1 of expiration, ticket:o1", "timer o11 of expiration, ticket:o1"),
            // Words first, then what has stars: of each place what begins first, and of that the first line.
            ("\"t*@*\" = \"t*@*+1\"\n\"x:y\" = \"x:z\"\n\"x:z t*@*\" = \"gone\"", "x:y t1@1", "gone"),
            ("\"x:z t*@*\" = \"x:z t*@*+1\"\n\"x:y\" = \"x:z\"\n\"t*@*\" = \"gone\"", "x:y t1@1", "x:z t1@2"),
            ("\"a\" = \"b\"\n\"b\" = \"a\"", "a b", "b a"),
        ] {
            assert_eq!(renamed(lines, text), expected, "{lines}");
        }
    }

    #[test]
    fn lines_that_rename_nothing_are_refused_at_their_place() {
        let refused = |lines: &str, place: (usize, usize), part: &str| {
            let error = Renames::parse("renames.toml", lines).expect_err(lines);
            assert_eq!((error.line, error.column), place, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        refused("a = 1", (1, 5), "write a line such as");
        refused("\"a\" = \"b\"\n\"t*@*\" = \"t*@*/*\"", (2, 10), "`t*@*/*` has more `*` than `t*@*`, which has 2");
        refused(
            "\"ticket:*\" = \"ticket:*+1\"",
            (1, 14),
            "`*+1` shifts what is no number: the first `*` of `ticket:*`",
        );
        refused("\"t*@*\" = \"t*@*+\"", (1, 10), "`*+` is no shift");
        refused("\"t*@*\" = \"t*@*-0\"", (1, 10), "`*-0` is no shift");
        refused("\"t*@*\" = \"t*@*\"", (1, 10), "renamed to itself");
        refused("\"\" = \"x\"", (1, 1), "is no name");
        refused("\"t**\" = \"x*\"", (1, 1), "is no name");
        refused("\"ticket:*-old\" = \"ticket:*\"", (1, 1), "stands for all of a part");
        refused("\"a.*.b\" = \"a.*\"", (1, 1), "stands for all of a part");
    }

    #[test]
    fn what_would_rename_again_what_it_renamed_is_taken_out_once_it_is_written() {
        let lines = "# names\n\"a:b\" = \"a:c\"\n\"t*@*\" = \"t*@*+1\"\n\"x:*\" = \"y:*\"\n\"n:*\" = \"n:new-*\"\n";
        let renames = Renames::parse("renames.toml", lines).expect("renames");
        assert!(renames.has_shifts());
        let left = renames.without_shifts(lines);
        assert_eq!(left, "# names\n\"a:b\" = \"a:c\"\n\"x:*\" = \"y:*\"\n");
        assert!(!Renames::parse("renames.toml", &left).expect("renames").has_shifts());
        for lines in ["\"a\" = \"b\"\n\"b\" = \"a\"\n", "\"a\" = \"b\"\n\"b\" = \"c\"\n"] {
            let renames = Renames::parse("renames.toml", lines).expect("renames");
            assert!(renames.has_shifts(), "{lines}");
            let left = renames.without_shifts(lines);
            assert!(!Renames::parse("renames.toml", &left).expect("renames").has_shifts(), "{lines}");
        }
    }
}
