//! Escaping: a text as it can be shown on a terminal, and as a word of a shell's command line.
//!
//! Names, reasons and files are written by others, and a terminal obeys what is written to it. So
//! whatever is shown is shown as it is written, and a command that is printed can be pasted.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::Write;
use std::path::Path;

/// Whether a terminal does something else with a character than to show it: control characters, line
/// and paragraph separators, and what changes the direction of writing.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as one line of a terminal: control characters, line breaks and bidirectional marks become
/// `\u{1b}` and the like, everything else stays. Of what is escaped already, nothing changes.
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
        for shown in ["", "é – ✓ │ 日本語", "\\u{1b}", "'\"`$"] {
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
