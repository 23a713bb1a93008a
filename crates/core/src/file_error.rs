//! What is wrong with a file, shown at its place.

use std::fmt;
use std::ops::Range;

use crate::escape::for_terminal;

/// How wide an error prints.
const COLUMNS: usize = 100;

/// A mistake in a file: where it is, what was expected, what to do next.
///
/// Prints as compilers do: the message, the place, the line with a caret, and a help line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    message: String,
    source_line: String,
    width: u8,
    help: Option<String>,
    about_a_name: bool,
}

impl FileError {
    /// A mistake at the bytes `span` of `text`.
    #[must_use]
    pub fn new(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> FileError {
        let floor = |mut at: usize| {
            at = at.min(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (start, end) = (floor(span.start), floor(span.end.max(span.start)));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let source_line = text[line_start..line_end].trim_end_matches('\r');
        FileError {
            file: file.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message: message.into(),
            source_line: source_line.to_owned(),
            width: text[start..end.min(line_end)].chars().count().clamp(1, 120) as u8,
            help: None,
            about_a_name: false,
        }
    }

    /// A mistake about a word in quotes among the bytes `span` of `text`, or about all of them if it is not there.
    #[must_use]
    pub fn about_word(
        file: &str,
        text: &str,
        span: &Range<usize>,
        word: &str,
        message: impl Into<String>,
    ) -> FileError {
        let quoted = format!("\"{word}\"");
        let place = text[span.clone()].find(&quoted).map(|at| span.start + at..span.start + at + quoted.len());
        FileError::new(file, text, place.unwrap_or(span.clone()), message)
    }

    /// What is wrong with JSON at the bytes `span` of `text`, behind these words.
    #[must_use]
    pub fn of_json(file: &str, text: &str, span: &Range<usize>, words: &str, error: &serde_json::Error) -> FileError {
        let lines = text[span.clone()].split_inclusive('\n').take(error.line().saturating_sub(1));
        let at = span.start + lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
        let said = error.to_string();
        // serde names line and column itself, of the piece alone.
        let said = said.split(" at line ").next().unwrap_or_default();
        let at = at.min(span.end);
        FileError::new(file, text, at..at + 1, format!("{words}{said}"))
    }

    /// Adds what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> FileError {
        self.help = Some(help.into());
        self
    }

    /// Says that the file is sound but for a name of something that does not exist.
    #[must_use]
    pub fn about_a_name(mut self) -> FileError {
        self.about_a_name = true;
        self
    }

    /// Whether the file is sound but for a name of something that does not exist.
    #[must_use]
    pub fn is_about_a_name(&self) -> bool {
        self.about_a_name
    }

    /// The message and what to do next, without the place.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        let help = self.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}{help}", self.message)
    }

    /// The same as it prints, with lines of at most so many columns: of a line of the file that is wider it shows
    /// what is around the place, and `…` for the rest.
    #[must_use]
    pub fn in_columns(&self, columns: usize) -> String {
        let gutter = self.line.to_string().len();
        let (line, before, marked) = self.around(columns.saturating_sub(gutter + 3));
        let mut text = format!("{}\n", for_terminal(&self.message));
        text += &format!("{:gutter$}--> {}:{}:{}\n", "", for_terminal(&self.file), self.line, self.column);
        text += &format!("{:gutter$} |\n{} | {line}\n{:gutter$} | {before}{}", "", self.line, "", "^".repeat(marked));
        if let Some(help) = &self.help {
            text += &format!("\n{:gutter$} = help: {}", "", for_terminal(help));
        }
        text
    }

    /// The line of the file as it is shown, what stands above its part before the place, and how wide the place is.
    fn around(&self, columns: usize) -> (String, String, usize) {
        let shown = |c: char| match c {
            // A tab stays one, so that the caret stands where the terminal goes to.
            '\t' => "\t".to_owned(),
            c => for_terminal(c.encode_utf8(&mut [0; 4])).into_owned(),
        };
        let chars: Vec<String> = self.source_line.chars().map(shown).collect();
        let width = |chars: &[String]| chars.iter().map(|c| c.chars().count()).sum::<usize>();
        let place = (self.column - 1).min(chars.len());
        let (mut first, mut end) = (0, chars.len());
        if width(&chars) > columns {
            // A third of the room is for what stands before, and one column at each side for `…`.
            let room = columns.saturating_sub(2);
            first = place;
            while first > 0 && width(&chars[first - 1..place]) <= room / 3 {
                first -= 1;
            }
            end = first;
            while end < chars.len() && width(&chars[first..=end]) <= room {
                end += 1;
            }
        }
        let left = if first > 0 { "…" } else { "" };
        let right = if end < chars.len() { "…" } else { "" };
        let line = format!("{left}{}{right}", chars[first..end].concat());
        let before =
            chars[first..place].iter().map(|c| if c == "\t" { c.clone() } else { " ".repeat(c.chars().count()) });
        let before = format!("{}{}", if left.is_empty() { "" } else { " " }, before.collect::<String>());
        let marked = chars[place..end.max(place)].iter().take(self.width.into());
        let marked: usize = marked.map(|c| c.chars().count()).sum();
        // A place behind the end of the line has a mark as well.
        (line, before, marked.max(self.width.into()).min(columns.max(1)))
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_columns(COLUMNS))
    }
}

impl std::error::Error for FileError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_under_its_line() {
        let error = FileError::new("a.toml", "x = 1\nratio = \"11/10\"\n", 14..21, "ratio is greater than 1")
            .help("write `1/10`");
        let expected = "ratio is greater than 1\n --> a.toml:2:9\n  |\n2 | ratio = \"11/10\"\n  |         ^^^^^^^\n  \
                        = help: write `1/10`";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_the_caret_stays_below_its_place() {
        let text = "\ta\u{1b}[2J = \u{202e}x\r\n";
        let error = FileError::new("a\nb.toml", text, 9..12, "no \u{7}bell").help("not \u{9b}2J");
        let expected = "no \\u{7}bell\n --> a\\u{a}b.toml:1:10\n  |\n1 | \ta\\u{1b}[2J = \\u{202e}x\n  \
                        | \t             ^^^^^^^^\n  \
                        = help: not \\u{9b}2J";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn of_a_long_line_is_shown_what_is_around_the_place() {
        let text = format!("{}\"wrong\"{}", "a".repeat(200), "b".repeat(100_000));
        let said = FileError::new("f", &text, 200..207, "m").in_columns(40);
        let expected = "m\n --> f:1:201\n  |\n1 | …aaaaaaaaaaa\"wrong\"bbbbbbbbbbbbbbbb…\n  |             ^^^^^^^";
        assert_eq!(said, expected);
        // A place is as wide as there is room.
        let said = FileError::new("f", &text, 0..text.len(), "m").in_columns(40);
        assert!(said.lines().all(|line| line.chars().count() <= 40), "{said}");
    }

    #[test]
    fn any_span_of_any_text_can_be_shown() {
        let backwards = Range { start: 7, end: 3 };
        for (text, span) in [("", 0..0), ("é", 1..2), ("a\nb", 2..9), ("a", backwards), ("\n\n", 2..2)] {
            assert!(!FileError::new("f", text, span, "m").to_string().is_empty());
        }
    }
}
