//! The `[entry]` table: why a scenario is kept in a corpus, and what must be so for it to be played.

use std::collections::BTreeSet;

use toml::Spanned;

use super::departures::{self, Known};
use super::file::{EntryTable, File};
use super::read::expectation;
use super::source::Source;
use super::{Entry, Expectation, FileError};
use pellmell_core::event::Command;
use pellmell_core::schedule::{NamedStep, ParseDepartureError, Target};

/// How many digits a commit's name has, shortened or not.
const COMMIT_DIGITS: std::ops::RangeInclusive<usize> = 7..=64;

impl Entry {
    /// Whether a text can name a commit: 7 to 64 hexadecimal digits.
    #[must_use]
    pub fn is_commit(text: &str) -> bool {
        COMMIT_DIGITS.contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
    }
}

pub(super) fn entry<C: Command>(
    source: &Source<'_>,
    file: &File,
    known: &Known<'_, C>,
    properties: &[&str],
) -> Result<Option<Entry>, FileError> {
    let Some(table) = &file.entry else { return Ok(None) };
    check_played(source, file, table)?;
    check_whole(source, table)?;
    let EntryTable { expect, reason, seed, tool, commit, trace } = table;
    let verdict = expectation(source, expect, properties)?;
    if let Some(commit) = commit {
        check_commit(source, commit)?;
    }
    let trace = trace.iter().map(|text| step(source, text)).collect::<Result<Vec<_>, _>>()?;
    departures::check_steps(source, &trace, known)?;
    check_pauses(source, &trace)?;
    if let (Expectation::Held, Some(first)) = (&verdict, trace.first()) {
        let error = source.at(first.span(), "the recorded steps of an entry that should hold are never played");
        return Err(error.help("leave `trace` out"));
    }
    Ok(Some(Entry {
        expect: verdict,
        reason: reason.clone(),
        seed: *seed,
        tool: tool.clone(),
        commit: commit.as_ref().map(|commit| commit.get_ref().clone()),
        trace: trace.into_iter().map(Spanned::into_inner).collect(),
    }))
}

fn step(source: &Source<'_>, text: &Spanned<String>) -> Result<Spanned<NamedStep>, FileError> {
    let step = text.get_ref().parse().map_err(|error: ParseDepartureError| source.at(text.span(), error.to_string()));
    Ok(Spanned::new(text.span(), step?))
}

/// An entry is played without chance, so it says how.
fn check_played(source: &Source<'_>, file: &File, table: &EntryTable) -> Result<(), FileError> {
    if let Some(faults) = &file.faults {
        let error = source.at(faults.span(), "faults have no effect in an entry");
        return Err(error.help("say in a `schedule` what goes wrong, and leave [faults] out"));
    }
    let is_calm = file.scheduler.as_ref().is_some_and(|name| name.get_ref() == "calm");
    if file.schedule.is_empty() && !is_calm {
        let place = file.scheduler.as_ref().map_or(table.expect.span(), Spanned::span);
        let error = source.at(place, "the entry does not say how it departs from the calm run");
        return Err(error.help("add a `schedule`, or `scheduler = \"calm\"` if it does not"));
    }
    Ok(())
}

/// What is cut off at the end must not go unnoticed: all of the scenario stands before its entry, and
/// a number is not cut in two.
fn check_whole(source: &Source<'_>, table: &EntryTable) -> Result<(), FileError> {
    let text = source.text();
    if !text.ends_with('\n') {
        let error = source.at(text.len()..text.len(), "the file ends within a line: it may be truncated");
        return Err(error.help("end the last line if nothing is missing"));
    }
    let place = table.expect.span();
    let before = text[..place.start].rfind('\n').map_or("", |line| &text[..=line]);
    let scenario = |text: &str| {
        let mut read: toml::Table = text.parse().ok()?;
        read.remove("entry");
        Some(read)
    };
    if scenario(before) != scenario(text) {
        let error = source.at(place, "something of the scenario stands behind its entry");
        return Err(error.help("move the [entry] table to the end of the file"));
    }
    Ok(())
}

fn check_commit(source: &Source<'_>, commit: &Spanned<String>) -> Result<(), FileError> {
    if Entry::is_commit(commit.get_ref()) {
        return Ok(());
    }
    let error = source.at(commit.span(), "this is no commit");
    Err(error.help("write its 7 to 64 hexadecimal digits, as `git rev-parse HEAD` prints them"))
}

/// A handler that pauses is told what goes wrong with it when it begins, not when it goes on.
fn check_pauses(source: &Source<'_>, steps: &[Spanned<NamedStep>]) -> Result<(), FileError> {
    let mut pausing: BTreeSet<u64> = BTreeSet::new();
    for step in steps {
        let NamedStep { what, fate } = step.get_ref();
        if let Target::Pause(what) = what {
            pausing.insert(what.key());
        } else if let Target::Await { what, .. } = what {
            pausing.remove(&what.key());
        } else if pausing.remove(&what.key()) && !fate.faults().is_empty() {
            let error = source.at(step.span(), format!("`{what}` goes on here: what goes wrong with it is decided"));
            return Err(error.help(format!("say it at its `pause of {what}`")));
        }
    }
    Ok(())
}
