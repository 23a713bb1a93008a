//! Escaping: a text as it can be shown on a terminal, and as a word of a shell's command line.
//!
//! Names, reasons and files are written by others, and a terminal obeys what is written to it. So
//! whatever is shown is shown as it is written, and a command that is printed can be pasted.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

/// The characters of Unicode's category Cf and its line and paragraph separators: they change how what is around
/// them is written, such as its direction, or cannot be seen at all.
const FORMAT: [(char, char); 22] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{2064}'),
    ('\u{2066}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
    // No format characters, but as little to be seen.
    ('\u{e0100}', '\u{e01ef}'),
];

/// Whether a terminal does something else with a character than to show it: control characters, and those that
/// change how others are written, or that nobody sees.
fn is_obeyed(c: char) -> bool {
    // Most texts are ASCII.
    c.is_control() || !c.is_ascii() && FORMAT.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// A text as one line of a terminal: control characters, line breaks, bidirectional marks and all that is not seen
/// become `\u{1b}` and the like, everything else stays. Of what is escaped already, nothing changes.
///
/// ```
/// use pellmell::escape::for_terminal;
/// assert_eq!(for_terminal("plain é"), "plain é");
/// assert_eq!(for_terminal("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
/// ```
#[must_use]
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_obeyed(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A text of several lines as those lines of a terminal: as [`for_terminal`], but line breaks stay.
///
/// ```
/// use pellmell::escape::lines_for_terminal;
/// assert_eq!(lines_for_terminal("one\ntwo\u{7}"), "one\ntwo\\u{7}");
/// ```
#[must_use]
pub fn lines_for_terminal(text: &str) -> String {
    text.split('\n').map(for_terminal).collect::<Vec<_>>().join("\n")
}

/// A text as one word of a POSIX shell's command line: as it is if that is safe, else in single quotes.
/// One with control characters, or that is not UTF-8, is written `$'\n'`, which bash, zsh and ksh read.
///
/// ```
/// use pellmell::escape::for_shell;
/// assert_eq!(for_shell("cases/a.toml".as_ref()), "cases/a.toml");
/// assert_eq!(for_shell("it's $(id)".as_ref()), r"'it'\''s $(id)'");
/// assert_eq!(for_shell("two\nlines".as_ref()), r"$'two\nlines'");
/// ```
#[must_use]
pub fn for_shell(word: &OsStr) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_safe) => text.to_owned(),
        Some(text) if !text.contains(is_obeyed) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => in_ansi_c_quotes(word.as_encoded_bytes()),
    }
}

/// The name of a file as one word of a shell's command line that no program takes for a flag.
///
/// ```
/// use pellmell::escape::file_for_shell;
/// assert_eq!(file_for_shell("-x.toml".as_ref()), "./-x.toml");
/// ```
#[must_use]
pub fn file_for_shell(path: &Path) -> String {
    match path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        true => for_shell(Path::new(".").join(path).as_os_str()),
        false => for_shell(path.as_os_str()),
    }
}

fn in_ansi_c_quotes(bytes: &[u8]) -> String {
    let mut quoted = String::from("$'");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => quoted.extend(['\\', c]),
                '\n' => quoted += "\\n",
                // By bytes, of three octal digits each: no digit that follows can be taken for one of theirs.
                c if is_obeyed(c) => octal(&mut quoted, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => quoted.push(c),
            }
        }
        octal(&mut quoted, chunk.invalid());
    }
    quoted + "'"
}

fn octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:03o}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_what_it_shows_is_not() {
        for obeyed in ["\u{1b}", "\u{7}", "\r", "\n", "\t", "\u{7f}", "\u{85}", "\u{9b}", "\u{2028}", "\u{2029}"] {
            let escape = format!("\\u{{{:x}}}", obeyed.chars().next().map_or(0, u32::from));
            assert_eq!(for_terminal(&format!("a{obeyed}b")), format!("a{escape}b"));
        }
        for bidirectional in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\u{200e}', '\u{61c}']) {
            assert!(for_terminal(&bidirectional.to_string()).starts_with("\\u{"), "{bidirectional:?}");
        }
        for unseen in ["\u{ad}", "\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}", "\u{e0041}", "\u{e0100}"] {
            assert!(for_terminal(unseen).starts_with("\\u{"), "{unseen:?}");
        }
        for shown in ["", "é – ✓ │ 日本語", "e\u{301}", "\u{a0}", "\\u{1b}", "'\"`$"] {
            assert_eq!(for_terminal(shown), shown);
        }
    }

    #[test]
    fn a_word_is_quoted_if_a_shell_would_read_it_otherwise() {
        for plain in ["a", "a-b_c/d.toml", "0..1000", "x@2"] {
            assert_eq!(for_shell(plain.as_ref()), plain);
        }
        for (word, quoted) in [
            ("", "''"),
            ("a b; touch pwned", "'a b; touch pwned'"),
            ("*.toml", "'*.toml'"),
            ("~x", "'~x'"),
            ("=x", "'=x'"),
            ("it's", r"'it'\''s'"),
            ("it's\tso", r"$'it\'s\011so'"),
            ("\u{202e}1", r"$'\342\200\2561'"),
        ] {
            assert_eq!(for_shell(word.as_ref()), quoted, "{word}");
        }
        assert_eq!(file_for_shell("--version".as_ref()), "./--version");
        assert_eq!(file_for_shell("a/-x".as_ref()), "a/-x");
    }

    proptest! {
        #[test]
        fn no_word_of_a_shell_has_anything_that_a_terminal_obeys(text in "\\PC*|(?s).{0,20}") {
            let quoted = for_shell(text.as_ref());
            prop_assert_eq!(for_terminal(&quoted), quoted.as_str());
            let shown = for_terminal(&text).into_owned();
            prop_assert_eq!(for_terminal(&shown), shown.as_str());
        }
    }
}
