//! How wide lines are, and how texts become lines of that width: the one place that knows either.
//!
//! Everything is made for 100 columns and can be read at 60. A text is broken between words, a word only if it
//! is longer than a line. What is pasted, such as a command, is broken only where a shell reads it all the same.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use pellmell_core::escape::for_terminal;
use pellmell_core::trace::grouped;
use terminal_size::{Width, terminal_size_of};
use textwrap::core::display_width;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::environment::{Variables, variable};

/// How wide lines are where nobody says: in files, in pipes, in tests.
const USUAL: usize = 100;
/// Narrower than this nothing can be read.
const LEAST: usize = 40;
/// How many characters of one text are shown: more than anybody reads in a terminal.
pub(super) const TEXT_MAX: usize = 2_000;
/// How many of what stands in a cell of a table.
pub(super) const CELL_MAX: usize = 400;

/// How many columns a line on stdout has: those that `COLUMNS` says, or the terminal's, or 100.
pub(super) fn width() -> usize {
    static WIDTH: OnceLock<usize> = OnceLock::new();
    *WIDTH.get_or_init(|| width_from(&variable, io::stdout().is_terminal().then(|| terminal_size_of(io::stdout()))))
}

/// The same of a line on stderr that is written again and again, which must not become two.
pub(super) fn width_of_progress() -> usize {
    width_from(&variable, Some(terminal_size_of(io::stderr()))).saturating_sub(1)
}

fn width_from(variables: Variables<'_>, terminal: Option<Option<(Width, terminal_size::Height)>>) -> usize {
    let said = variables("COLUMNS").and_then(|columns| columns.to_str()?.parse::<usize>().ok());
    let terminal = terminal.flatten().map(|(Width(columns), _)| usize::from(columns));
    said.filter(|columns| *columns > 0).or(terminal.filter(|columns| *columns > 0)).unwrap_or(USUAL).max(LEAST)
}

/// How many columns a text takes.
pub(super) fn columns_of(text: &str) -> usize {
    display_width(text)
}

/// A text as a terminal can show it: escaped, and if it is very long, cut where that can be seen.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    shown_up_to(text, TEXT_MAX)
}

/// The same with so many characters of it at most.
pub(super) fn shown_up_to(text: &str, most: usize) -> Cow<'_, str> {
    // It is cut before it is escaped, which makes it longer.
    match text.char_indices().nth(most) {
        None => for_terminal(text),
        Some((end, _)) => {
            let left = text[end..].chars().count();
            format!("{}… ({} more characters)", for_terminal(&text[..end]), grouped(left as u64)).into()
        }
    }
}

/// A text in lines of at most so many columns, at least one of them.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    wrapped_behind(text, "", "", columns)
}

/// A text in lines of at most so many columns, of which the first begins with one text and the others with
/// another.
pub(super) fn wrapped_behind(text: &str, first: &str, others: &str, columns: usize) -> Vec<String> {
    let options = Options::new(columns)
        .initial_indent(first)
        .subsequent_indent(others)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(true);
    textwrap::wrap(text, options).into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A text that takes so many columns: with spaces behind it, or cut.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let cut = cut(text, columns);
    let spaces = columns.saturating_sub(columns_of(&cut));
    format!("{cut}{:spaces$}", "")
}

/// As much of a text as fits in so many columns; `…` says that there is more.
pub(super) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if columns_of(text) <= columns {
        return text.into();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if columns_of(&kept) >= columns {
            kept.pop();
            break;
        }
    }
    (kept + "…").into()
}

/// A command in lines of at most so many columns that a shell reads as one: it is broken between its words, but
/// not between a flag and its value unless it must be, and each line but the last ends in a backslash. A word that
/// is longer than a line stays whole. The first line has less room by `first` columns, the others begin with
/// `others`.
pub(super) fn command_lines(command: &str, first: usize, others: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), first);
    let words = words(command);
    for (place, word) in words.iter().enumerate() {
        let value = words.get(place + 1).filter(|value| word.starts_with("--") && !value.starts_with('-'));
        let with_value = columns_of(word) + value.map_or(0, |value| 1 + columns_of(value));
        let wanted = if columns_of(others) + with_value + 2 <= columns { with_value } else { columns_of(word) };
        // The backslash and the space before it need room, too.
        if !line.trim().is_empty() && used + columns_of(&line) + 1 + wanted + 2 > columns {
            lines.push(std::mem::take(&mut line) + " \\");
            (line, used) = (others.to_owned(), 0);
        } else if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
    lines
}

/// The words of a command as a shell takes them, with their quotes.
fn words(command: &str) -> Vec<&str> {
    let (mut words, mut begin) = (Vec::new(), 0);
    let (mut quoted, mut escaped, mut before) = (None, false, ' ');
    for (at, c) in command.char_indices() {
        match (c, quoted) {
            _ if escaped => escaped = false,
            // Within plain quotes a backslash is one; within `$'` it escapes.
            ('\\', None | Some('$')) => escaped = true,
            ('\'', None) => quoted = Some(if before == '$' { '$' } else { '\'' }),
            ('\'', Some(_)) => quoted = None,
            (' ', None) => {
                words.push(&command[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    words.push(&command[begin..]);
    words
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn the_width_is_what_columns_says_or_the_terminals_or_a_hundred() {
        let terminal = |columns| Some(Some((Width(columns), terminal_size::Height(50))));
        let said = |text: &'static str| move |_: &str| Some(OsString::from(text));
        let nothing = |_: &str| None;
        assert_eq!(width_from(&nothing, None), 100);
        assert_eq!(width_from(&nothing, Some(None)), 100);
        assert_eq!(width_from(&nothing, terminal(132)), 132);
        assert_eq!(width_from(&said("60"), terminal(132)), 60);
        assert_eq!(width_from(&said("60"), None), 60);
        for none in ["0", "wide", "-5"] {
            assert_eq!(width_from(&said(none), None), 100, "{none}");
        }
        assert_eq!(width_from(&said("3"), None), LEAST);
    }

    #[test]
    fn lines_are_broken_between_words_and_long_words_where_they_must() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a longerthanthat b", 7), ["a", "longert", "hanthat", "b"]);
        assert_eq!(wrapped("", 7), [""]);
        assert_eq!(wrapped("--max-steps 1 --max-messages 2", 13), ["--max-steps 1", "--max-message", "s 2"]);
        assert_eq!(wrapped("日本 語", 4), ["日本", "語"]);
        assert_eq!(wrapped_behind("one two three", "- ", "  ", 9), ["- one two", "  three"]);
    }

    #[test]
    fn what_is_too_long_is_cut_where_that_can_be_seen() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("abcdef", 5), "abcd…");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日… ");
        let long = "x".repeat(TEXT_MAX + 1_234);
        assert!(shown(&long).ends_with("x… (1,234 more characters)"));
        assert_eq!(shown("\u{1b}"), "\\u{1b}");
    }

    #[test]
    fn a_command_is_broken_between_words_and_not_within_quotes() {
        let command = r"run a.toml --departure 'hold a until b' --x 'it'\''s so' $'it\'s a\n b' end";
        let expected = ["run", "a.toml", "--departure", "'hold a until b'", "--x", r"'it'\''s so'"];
        let expected = [&expected[..], &[r"$'it\'s a\n b'", "end"]].concat();
        assert_eq!(words(command), expected);
        assert_eq!(
            command_lines(command, 5, "  ", 24),
            [
                r"run a.toml \",
                r"  --departure \",
                r"  'hold a until b' \",
                r"  --x 'it'\''s so' \",
                r"  $'it\'s a\n b' end"
            ]
        );
        assert_eq!(command_lines("a b", 90, "  ", 100), ["a b"]);
    }
}
