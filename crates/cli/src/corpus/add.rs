//! `pellmell corpus add`: a failing seed becomes an entry.

use std::path::{Path, PathBuf};

use pellmell_core::Verdict;
use pellmell_core::escape::file_for_shell;
use pellmell_scenario::any::{AnySystem, Smallest};
use pellmell_scenario::corpus::{EntryBucket, Renewal, entry_of};
use pellmell_scenario::scenario::{Entry, Expectation};
use serde_json::json;

use super::super::{
    Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, files::create, input, number, program,
    shown,
};
use super::{commit, files, renamed, renames_beside, shifts_first};

/// How many runs shrinking takes at most.
const EXECUTIONS: u32 = 500;

#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// The seed that fails; the scenario's own if left out.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// Why it is kept, in a sentence.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The commit of the services it was found in; that of the working directory if left out.
    #[arg(long, value_name = "HASH", value_parser = commit::named)]
    commit: Option<String>,
    /// The folder it is kept in.
    #[arg(long, value_name = "FOLDER", default_value = "scenarios/corpus")]
    to: PathBuf,
    #[command(flatten)]
    what: What,
}

pub(super) fn add(system: &dyn AnySystem, args: &AddArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(system, &args.scenario, &args.what)?;
    let seed = args.seed.unwrap_or(scenario.settings().seed);
    let Some(Smallest { shrunk, text, .. }) = scenario.shrink(seed, EXECUTIONS)? else {
        return nothing_to_keep(format, &format!("{} seed {seed} holds", scenario.settings().name));
    };
    let verdict = &shrunk.report.verdict;
    let Verdict::Violated { property, .. } = verdict else {
        let shrink = command("shrink", &args.scenario, &*scenario, seed);
        let message = format!("the run is {}: an entry holds or violates a property", verdict.word());
        let help = format!("keep it as a scenario: {shrink} --write FILE");
        return Err(Failure::Input(format!("{message}\n  = help: {help}")));
    };
    let bucket = EntryBucket::of(&scenario.rules(), verdict);
    if !args.to.is_dir() {
        let make = format!("mkdir -p {}", file_for_shell(&args.to));
        return Err(Failure::Io(format!("there is no folder {}\n  = help: make it: {make}", shown(&args.to))));
    }
    if renames_beside(&args.to.join("entry.toml"))?.has_shifts() {
        return Err(shifts_first(&args.to));
    }
    let expect = Expectation::Violated((*property).to_owned());
    let entry = Entry {
        expect: expect.clone(),
        reason: args.reason.clone(),
        seed: Some(seed),
        tool: Some(env!("CARGO_PKG_VERSION").to_owned()),
        commit: args.commit.clone().or_else(commit::of_working_directory),
        trace: Vec::new(),
    };
    let text = with_steps(system, &args.to.join("entry.toml"), &entry_of(&text, &entry))?;
    let path = loop {
        for path in files(std::slice::from_ref(&args.to))? {
            let (name, text) = renamed(&path)?;
            if system.check_entry(&name, &text)?.bucket == bucket {
                return nothing_to_keep(
                    format,
                    &format!("a failure of the same cause is in {}", path.to_string_lossy()),
                );
            }
        }
        let path = free_path(&args.to, &kebab(property));
        if create(&path, &text)? {
            break path;
        }
        // Another process took the name: perhaps it kept the same failure.
    };
    let mut out = Out::new();
    match format {
        MessageFormat::Json => out.json(&json!({ "reason": "added", "file": path.to_string_lossy() }))?,
        MessageFormat::Human => {
            let size = shrunk.size();
            let (departures, commands) = (size.departures as u64, size.commands as u64);
            let size = format!("{}, {}", count(departures, "departure"), count(commands, "command"));
            out.status(GOOD, "Kept", format_args!("{}   {expect}, {size}", path.to_string_lossy()))?;
            out.command(PLAIN, "Next", &format!("{} corpus check {}", program(), file_for_shell(&args.to)))?;
        }
    }
    Ok(Ending::Held)
}

/// The entry with the steps that lead where it says.
fn with_steps(system: &dyn AnySystem, path: &Path, text: &str) -> Result<String, Failure> {
    match system.renew_entry(&path.to_string_lossy(), text)? {
        (_, Renewal::Text(text)) => Ok(text),
        (checked, Renewal::Fresh) => {
            let came = checked.status.word();
            Err(Failure::Stale(format!("the shrunk run is {came} when it is read from a file: it cannot be kept")))
        }
        (_, Renewal::Impossible(why)) => Err(Failure::Stale(format!("the shrunk run cannot be kept: {why}"))),
    }
}

fn nothing_to_keep(format: MessageFormat, why: &str) -> Result<Ending, Failure> {
    let mut out = Out::new();
    match format {
        MessageFormat::Json => out.json(&json!({ "reason": "not added", "why": why }))?,
        MessageFormat::Human => out.status(PLAIN, "Not kept", why)?,
    }
    Ok(Ending::NothingRan)
}

/// `NoPoison` as `no-poison`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (place, c) in name.chars().enumerate() {
        if c.is_uppercase() && place > 0 {
            kebab.push('-');
        }
        kebab.extend(c.to_lowercase());
    }
    kebab
}

/// A file of that name that is not there yet: with a number behind it if need be.
fn free_path(folder: &Path, name: &str) -> PathBuf {
    let numbered = |number: u32| if number == 1 { format!("{name}.toml") } else { format!("{name}-{number}.toml") };
    let paths = (1u32..).map(|number| folder.join(numbered(number)));
    paths.into_iter().find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| folder.join(numbered(1)))
}
