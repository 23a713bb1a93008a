//! `--to mermaid`: a sequence diagram for pages that draw Mermaid, as GitHub, GitLab and many wikis do.
//!
//! Its arrows cannot slant, so a message stands where it was handed over, and says in which step it was published.

use std::fmt::{self, Write};

use pellmell_core::Time;
use pellmell_core::trace::count;

use crate::picture::{Picture, Step};
use crate::step::{Kind, Mark};
use crate::style::clients;

/// How a diagram begins.
pub const BEGIN: &str = "%% Made by pellmell export.\n";

/// The most messages of a diagram: those who draw it take no more, and nobody could read it.
pub const MESSAGES_MAX: usize = 200;

/// A picture with too many messages for a sequence diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its messages: commands, deliveries, and what else has an arrow.
    pub messages: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = count(self.messages as u64, "message");
        write!(f, "a sequence diagram of {messages} is too long: expected at most {MESSAGES_MAX}")
    }
}

impl std::error::Error for TooLong {}

/// The picture as a Mermaid sequence diagram.
///
/// # Errors
/// If it has more than [`MESSAGES_MAX`] messages.
pub fn mermaid(picture: &Picture) -> Result<String, TooLong> {
    let messages = picture.run.steps.len();
    if messages > MESSAGES_MAX {
        return Err(TooLong { messages });
    }
    let verdict = &picture.verdict;
    let mut diagram = format!("{BEGIN}sequenceDiagram\n");
    let mut put = |line: fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(diagram, "    {line}");
    };
    put(format_args!("accTitle: {}", text(&format!("{} {}", picture.scenario, verdict.heading()))));
    for (place, column) in picture.columns.iter().enumerate() {
        put(format_args!("participant c{place} as {}", text(&column.name)));
    }
    for step in &picture.run.steps {
        let to = step.column;
        let from = match step.from {
            Some(from) => picture.run.steps[from].column,
            None if step.kind == Kind::Command => clients(picture).unwrap_or(to),
            None => to,
        };
        put(format_args!("c{from}{}c{to}: {}", arrow(step), text(&said(step))));
        if let Some(necessary) = &step.necessary {
            put(format_args!("Note right of c{to}: {}", text(&format!("◀ needed: {necessary}"))));
        }
    }
    let last = picture.columns.len() - 1;
    let over = if last == 0 { "c0".to_owned() } else { format!("c0,c{last}") };
    let detail = verdict.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    put(format_args!("Note over {over}: {}", text(&format!("{}{detail}", verdict.marked_heading()))));
    Ok(diagram)
}

/// Shape first: a cross where the handler's work or the message comes to nothing, dashes for what comes again.
fn arrow(step: &Step) -> &'static str {
    let fails = [Mark::Refused, Mark::Crash, Mark::Lost, Mark::Panic, Mark::DeadLetter].iter();
    let again = step.is(Mark::Redelivery) || step.is(Mark::Duplicate);
    match (fails.clone().any(|mark| step.is(*mark)), again) {
        (true, true) => "--x",
        (true, false) => "-x",
        (false, true) => "-->>",
        (false, false) => "->>",
    }
}

fn said(step: &Step) -> String {
    let mut said = format!("{} {} {}", step.number, step.what, step.outcome);
    if let Some(from) = step.from.filter(|from| *from as u64 + 2 != step.number) {
        let _ = write!(said, " (published in step {})", from + 1);
    }
    if !step.faults.is_empty() {
        let _ = write!(said, " ◀ {}", step.faults.join(", "));
    }
    for mark in step.unlike_others() {
        let _ = write!(said, ", {}", mark.words());
    }
    let _ = write!(said, " {}", Time(step.time_us));
    said
}

/// A text that is no syntax of Mermaid and no HTML: all but what is harmless in both stands by its number.
fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (place, word) in text.split(' ').enumerate() {
        if place > 0 {
            escaped.push(' ');
        }
        // The word that ends a block.
        let is_keyword = word.eq_ignore_ascii_case("end");
        for c in word.chars() {
            let is_harmless = c.is_alphanumeric() || "@:.,-_/()✓✗✖…◀–".contains(c);
            if is_harmless && !is_keyword {
                escaped.push(c);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "#{};", u32::from(c));
            }
        }
    }
    escaped
}
