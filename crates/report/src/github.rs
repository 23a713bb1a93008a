//! `--to annotation` and `--to summary`: the run in the log and on the page of a job of GitHub Actions.

use std::fmt::Write;

use crate::mermaid::mermaid;
use crate::picture::Picture;

/// How an annotation begins: of a run that fails, and of one that holds.
pub const ANNOTATION_BEGINS: [&str; 2] = ["::error title=pellmell%3A ", "::notice title=pellmell%3A "];
/// How a summary begins.
pub const SUMMARY_BEGIN: &str = "<!-- Made by pellmell export. -->\n## ";

/// The picture as one annotation: a line that a job prints.
#[must_use]
pub fn annotation(picture: &Picture) -> String {
    let [error, notice] = ANNOTATION_BEGINS;
    let verdict = &picture.verdict;
    let mut lines = vec![verdict.heading()];
    lines.extend(verdict.detail.clone());
    lines.extend(picture.departures.iter().map(|departs| format!("Departs: {}", departs.text)));
    lines.extend(picture.why.iter().cloned());
    lines.extend(picture.commands.iter().map(|(word, command)| format!("{word}: {command}")));
    let lines: Vec<String> = lines.iter().map(|line| line.replace('%', "%25")).collect();
    let title = picture.scenario.replace('%', "%25").replace(':', "%3A").replace(',', "%2C");
    format!("{}{title}::{}\n", if verdict.is_held() { notice } else { error }, lines.join("%0A"))
}

/// The picture as Markdown, for the file that `GITHUB_STEP_SUMMARY` names.
#[must_use]
pub fn summary(picture: &Picture) -> String {
    let verdict = &picture.verdict;
    let mut page =
        format!("{SUMMARY_BEGIN}{}: {}\n\n", markdown(&verdict.marked_heading()), markdown(&picture.scenario));
    let mut put = |text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{text}");
    };
    put(&format!("{}\n", markdown(verdict.detail.as_deref().unwrap_or("every property holds"))));
    for departs in &picture.departures {
        put(&format!("- ◀ {}", markdown(&departs.text)));
    }
    put("");
    for sentence in &picture.why {
        put(&format!("{}\n", markdown(sentence)));
    }
    if let Ok(diagram) = mermaid(picture) {
        put(&format!("```mermaid\n{diagram}```\n"));
    }
    for (word, command) in &picture.commands {
        put(&format!("{word}: {}\n", markdown(command)));
    }
    page
}

/// A text that Markdown shows as it is: each sign that could mean something has a backslash before it, or is
/// named as in HTML.
fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            c if c.is_ascii_punctuation() => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}
