//! What is wrong with code that cannot go on.

use std::fmt;

/// Code did not do what it was asked for, so nothing can be said of its service: it ended, hung, flooded, spoke what
/// nobody understands, or did something else when it was told the same again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    what: String,
    last_lines: Vec<String>,
}

impl Failure {
    /// A failure in words.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), last_lines: Vec::new() }
    }

    /// With the last lines that it wrote before.
    #[must_use]
    pub fn with_last_lines(self, last_lines: Vec<String>) -> Failure {
        Failure { last_lines, ..self }
    }

    /// What is wrong, without the lines before it.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// It on one line, for who shows it at a place in a file; without the lines that say where in itself it threw.
    #[must_use]
    pub fn on_one_line(&self) -> String {
        let lines = self.last_lines.iter().map(|line| line.trim()).filter(|line| !line.starts_with("at "));
        let lines: Vec<&str> = lines.collect();
        if lines.is_empty() {
            self.what.clone()
        } else {
            format!("{}; the last it wrote: {}", self.what, lines.join(" | "))
        }
    }

    /// Says first where it happened.
    #[must_use]
    pub fn at(self, place: &str) -> Failure {
        Failure { what: format!("{place}: {}", self.what), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.last_lines.is_empty() {
            f.write_str("; the last it wrote:")?;
        }
        self.last_lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl std::error::Error for Failure {}
