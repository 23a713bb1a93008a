//! What users wrote, made harmless: names, reasons, payloads.
//!
//! A text becomes one line without anything that changes how it is shown (control characters, line breaks,
//! marks that change the direction of writing), and one that is too long is cut where everybody can see it.
//! Then it is escaped once more by the rules of the file that it goes into, here for XML.

use std::borrow::Cow;
use std::fmt::Write;

use pellmell_core::escape::for_terminal;
use pellmell_core::trace::grouped;
use serde_json::{Map, Value};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// The most characters of a name, a reason, or a value of a field.
pub const CHARACTERS_MAX: usize = 400;
/// The most characters of the fields of one record together.
pub const FIELDS_MAX: usize = 4_000;

/// A text in one harmless line, cut if it is long.
///
/// ```
/// use pellmell_report::text::shown;
/// assert_eq!(shown("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
/// assert_eq!(shown(&"x".repeat(1 << 20)).len(), 400 + "… (1,048,576 characters)".len());
/// ```
#[must_use]
pub fn shown(text: &str) -> String {
    shown_up_to(text, CHARACTERS_MAX)
}

/// The same with so many characters of it at most.
#[must_use]
pub fn shown_up_to(text: &str, most: usize) -> String {
    // Of a long text only the part that is shown is looked at, but all of it is counted.
    match text.char_indices().nth(most) {
        None => for_terminal(text).into_owned(),
        Some((end, _)) => {
            let all = grouped(text.chars().count() as u64);
            format!("{}… ({all} characters)", for_terminal(&text[..end]))
        }
    }
}

/// The fields of a record with each name and each text in them as [`shown`]; what is too large together is
/// replaced by a word that says so.
#[must_use]
pub fn fields(value: &Value) -> Value {
    let cut = cut(value);
    let length = cut.to_string().chars().count();
    if length <= FIELDS_MAX {
        return cut;
    }
    let note = format!("too large to be shown: {} characters", grouped(length as u64));
    Value::Object(Map::from_iter([("…".to_owned(), Value::String(note))]))
}

fn cut(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(shown(text)),
        Value::Array(values) => Value::Array(values.iter().map(cut).collect()),
        Value::Object(values) => values.iter().map(|(name, value)| (shown(name), cut(value))).collect(),
        other => other.clone(),
    }
}

/// A text as it stands in XML or HTML, in an element or in an attribute with either quote.
///
/// ```
/// use pellmell_report::text::xml;
/// assert_eq!(xml("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
/// ```
#[must_use]
pub fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in for_terminal(text).chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // Neither may stand in XML.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON as it stands in a script element of HTML: nothing in it ends the element.
#[must_use]
pub fn json_in_html(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A text in lines of at most so many columns; a word that is longer is broken.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(text, options).into_iter().filter(|line| !line.is_empty());
    lines.map(Cow::into_owned).collect()
}

/// The first characters of a text, with `…` in the place of the last if there are more.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_they_may_be_and_no_character_is_lost() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a longerthanthat b", 7), ["a", "longert", "hanthat", "b"]);
        assert_eq!(wrapped("abcdefgh", 4), ["abcd", "efgh"]);
        assert_eq!(wrapped("", 7), [""; 0]);
    }

    #[test]
    fn what_is_too_large_says_so_and_stays_json() {
        let large: Vec<String> = (0..2_000).map(|number| number.to_string()).collect();
        let fields = fields(&serde_json::json!({ "all": large, "name": "\u{202e}\n" }));
        assert!(fields["…"].as_str().is_some_and(|note| note.starts_with("too large to be shown: ")), "{fields}");
        let small = super::fields(&serde_json::json!({ "a\nb": "\u{202e}", "n": 7 }));
        assert_eq!(small.to_string(), r#"{"a\\u{a}b":"\\u{202e}","n":7}"#);
    }

    #[test]
    fn no_text_ends_the_element_it_stands_in() {
        assert_eq!(json_in_html(r#"{"a":"</script><!--"}"#), r#"{"a":"\u003c/script\u003e\u003c!--"}"#);
        assert_eq!(xml("]]><script>\u{0}"), "]]&gt;&lt;script&gt;\\u{0}");
    }
}
