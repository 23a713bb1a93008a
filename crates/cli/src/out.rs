//! What is printed: lines of styled parts, as wide as the terminal, with nothing in them that it obeys.
//!
//! The result goes to stdout through [`Out`], all else to stderr through [`tell`] and [`complain`].

use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use pellmell_core::escape::for_terminal;
use pellmell_core::schedule::Departure;
use pellmell_report::report::{Fact, Tone};

use super::Failure;
use super::layout::{self, command_lines, shown, width, wrapped, wrapped_behind};

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const PLAIN: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// What stands below a status word.
const BELOW: &str = "             ";
/// How far the further lines of a command are indented that has no room below its status word.
const COMMAND_BELOW: &str = "    ";

/// Writes lines to stdout, which loses colours where it is no terminal.
pub(super) struct Out(anstream::AutoStream<io::StdoutLock<'static>>);

impl Out {
    pub(super) fn new() -> Out {
        Out(anstream::AutoStream::auto(io::stdout().lock()))
    }

    /// A text in as many lines as it takes.
    pub(super) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        wrapped(&shown(&text.to_string()), width()).iter().try_for_each(|line| self.parts(&[(Style::new(), line)]))
    }

    /// A text of one style; where it takes several lines, they are indented by two columns more than the first.
    pub(super) fn below(&mut self, style: Style, text: impl fmt::Display) -> Result<(), Failure> {
        self.behind(style, "", text)
    }

    /// A text of one style behind another that stands in its first line and makes room in the others.
    pub(super) fn behind(&mut self, style: Style, first: &str, text: impl fmt::Display) -> Result<(), Failure> {
        let text = text.to_string();
        let indent = text.len() - text.trim_start().len();
        let begin = format!("{first}{:indent$}", "");
        let others = if first.is_empty() { indent + 2 } else { layout::columns_of(&begin) };
        let lines = wrapped_behind(&shown(text.trim_start()), &begin, &" ".repeat(others), width());
        lines.iter().try_for_each(|line| self.parts(&[(style, line)]))
    }

    /// One line in parts of one style each. It is as wide as the parts are.
    pub(super) fn parts(&mut self, parts: &[(Style, &str)]) -> Result<(), Failure> {
        let line: String =
            parts.iter().map(|(style, text)| format!("{style}{}{style:#}", for_terminal(text))).collect();
        self.write(&line)
    }

    /// A text of several lines that is to be pasted or compared, so that none of them is broken; one that nobody
    /// could read is cut.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.parts(&[(Style::new(), &shown(line))]))
    }

    /// A status word, right-aligned to 12 columns, and a text beside it.
    pub(super) fn status(&mut self, style: Style, word: &str, text: impl fmt::Display) -> Result<(), Failure> {
        let word = format!("{word:>12} ");
        let lines = wrapped(&shown(&text.to_string()), width() - BELOW.len());
        for (place, line) in lines.iter().enumerate() {
            let (style, word) = if place == 0 { (style, &*word) } else { (Style::new(), BELOW) };
            self.parts(&[(style, word), (Style::new(), line)])?;
        }
        Ok(())
    }

    /// What a report says as well.
    pub(super) fn fact(&mut self, Fact { tone, word, text }: &Fact) -> Result<(), Failure> {
        self.status(style(*tone), word, text)
    }

    /// The same of several, a line or more each.
    pub(super) fn facts<'a>(&mut self, facts: impl IntoIterator<Item = &'a Fact>) -> Result<(), Failure> {
        facts.into_iter().try_for_each(|fact| self.fact(fact))
    }

    /// A status word and two texts, the second of which stands below the first if there is no room beside it.
    pub(super) fn status_and(
        &mut self,
        style: Style,
        word: &str,
        text: impl fmt::Display,
        more: impl fmt::Display,
    ) -> Result<(), Failure> {
        let (text, more) = (text.to_string(), more.to_string());
        let beside = format!("{text}   {more}");
        if BELOW.len() + layout::columns_of(&shown(&beside)) <= width() {
            return self.status(style, word, beside);
        }
        self.status(style, word, text.trim_end())?;
        self.status(PLAIN, "", more)
    }

    /// A status word and a command that can be pasted into a shell.
    pub(super) fn command(&mut self, style: Style, word: &str, command: &str) -> Result<(), Failure> {
        if command.chars().nth(layout::TEXT_MAX).is_some() {
            return self.status(style, word, "a command that is too long to be shown or pasted");
        }
        let below = command_lines(command, BELOW.len(), BELOW, width());
        let fits = below.iter().all(|line| layout::columns_of(line) <= width());
        let lines = if fits { below } else { command_lines(command, BELOW.len(), COMMAND_BELOW, width()) };
        for (place, line) in lines.iter().enumerate() {
            let word = if place == 0 { format!("{word:>12} ") } else { String::new() };
            self.parts(&[(style, &word), (Style::new(), line)])?;
        }
        Ok(())
    }

    /// How a run departs from the calm one, a line each.
    pub(super) fn departures(&mut self, departures: &[Departure]) -> Result<(), Failure> {
        departures.iter().try_for_each(|departure| self.status(PLAIN, "Departs", departure))
    }

    pub(super) fn json(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        self.write(&value.to_string())
    }

    /// A line as it is.
    pub(super) fn write(&mut self, line: &str) -> Result<(), Failure> {
        unless_closed(writeln!(self.0, "{line}"))
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => GOOD,
        Tone::Bad => BAD,
        Tone::Plain | Tone::Unsure => PLAIN,
        Tone::Dim => DIM,
    }
}

/// Writes a file's text to stdout as it is, colours or not.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    unless_closed(io::stdout().write_all(text.as_bytes()))
}

/// Who stops reading has seen enough; the verb ends as it would have.
fn unless_closed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Says on stderr what is not the result.
pub(super) fn tell(word: &str, text: &str) {
    let lines = wrapped(&shown(text), width() - BELOW.len()).join(&format!("\n{BELOW}"));
    // If stderr is gone there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{PLAIN}{word:>12}{PLAIN:#} {lines}");
}

/// Says on stderr why there is no result, and what to do next if the message does not.
pub(super) fn complain(message: &str, next: &str, code: u8) -> u8 {
    let mut text = format!("error: {message}");
    if !text.lines().last().is_some_and(|last| last.contains(HELP)) {
        text += &format!("\n  {HELP}{next}");
    }
    let lines: Vec<String> = text.split('\n').flat_map(error_lines).collect();
    let text = lines.join("\n");
    let text = text.replacen("error", &format!("{BAD}error{BAD:#}"), 1);
    // If stderr is gone as well there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
    code
}

/// What says in a message what to do next.
pub(super) const HELP: &str = "= help: ";

/// Says on stderr what clap says of flags, which has its colours and its next step.
pub(super) fn complain_as_clap(said: &clap::builder::StyledStr) -> io::Result<()> {
    let said = said.ansi().to_string();
    let lines = said.lines().flat_map(|line| {
        let indent = " ".repeat(line.len() - line.trim_start().len() + 2);
        wrapped_behind(line, "", &indent, width())
    });
    writeln!(anstream::stderr(), "{}", lines.collect::<Vec<_>>().join("\n"))
}

/// A line of a message in lines that fit. One of a file stays as it is, because a caret may stand below it.
fn error_lines(line: &str) -> Vec<String> {
    let is_of_a_file =
        line.trim_start_matches([' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).starts_with('|');
    let shown = shown(line);
    if is_of_a_file {
        return vec![shown.into_owned()];
    }
    let (first, text) = match shown.find(HELP) {
        Some(at) => shown.split_at(at + HELP.len()),
        None => shown.split_at(shown.len() - shown.trim_start().len()),
    };
    wrapped_behind(text, first, &" ".repeat(layout::columns_of(first)), width())
}
