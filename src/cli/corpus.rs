//! `pellmell corpus`: the cases that are kept.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use pellmell::Verdict;
use pellmell::corpus::{Checked, Renames, Status, bucket, check, entry_of};
use pellmell::scenario::{Counterexample, Expectation};
use serde_json::json;

use super::input::{self, SCENARIO_BYTES_MAX};
use super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, count, number};

/// The file beside the entries that says which names took the place of which.
const RENAMES: &str = "renames.toml";

/// How many runs shrinking takes at most.
const EXECUTIONS: u32 = 500;

#[derive(clap::Args)]
pub(super) struct CorpusArgs {
    #[command(subcommand)]
    verb: CorpusVerb,
}

#[derive(Subcommand)]
enum CorpusVerb {
    /// Plays every entry and says what came of it.
    Check(Entries),
    /// Lists the entries without playing them.
    List(Entries),
    /// Shrinks a failing seed and keeps it, unless a failure of the same cause is kept already.
    Add(Box<AddArgs>),
}

#[derive(clap::Args)]
struct AddArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// The seed that fails; the scenario's own if left out.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// Why it is kept, in a sentence.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The folder it is kept in.
    #[arg(long, value_name = "FOLDER", default_value = "scenarios/corpus")]
    to: PathBuf,
    #[command(flatten)]
    what: What,
}

#[derive(clap::Args)]
struct Entries {
    /// Entries, or folders of them.
    #[arg(default_value = "scenarios/corpus")]
    paths: Vec<PathBuf>,
}

pub(super) fn corpus(args: &CorpusArgs, format: MessageFormat) -> Result<Ending, Failure> {
    match &args.verb {
        CorpusVerb::Check(entries) => check_all(&files(&entries.paths)?, format),
        CorpusVerb::List(entries) => list(&files(&entries.paths)?, format),
        CorpusVerb::Add(args) => add(args, format),
    }
}

/// The entries among the paths, by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let cannot = |error| Failure::Io(format!("cannot read {}: {error}", path.display()));
        for entry in std::fs::read_dir(path).map_err(cannot)? {
            let file = entry.map_err(cannot)?.path();
            let is_entry = file.extension().is_some_and(|ending| ending == "toml");
            if is_entry && file.file_name().is_none_or(|name| name != RENAMES) {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The renames registered in an entry's folder, if any are.
fn renames_beside(entry: &Path) -> Result<Renames, Failure> {
    let path = entry.with_file_name(RENAMES);
    if !path.exists() {
        return Ok(Renames::default());
    }
    Ok(Renames::parse(&path.display().to_string(), &input::text(&path, SCENARIO_BYTES_MAX)?)?)
}

fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn check_all(files: &[PathBuf], format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let (mut expected, mut surprises, mut stale) = (0, 0, 0);
    let mut damaged = Vec::new();
    for path in files {
        let text = renames_beside(path)?.apply(&input::text(path, SCENARIO_BYTES_MAX)?);
        match check(&path.display().to_string(), &text) {
            Ok(checked) => {
                match checked.status {
                    Status::Held | Status::Violated => expected += 1,
                    Status::Fixed | Status::Broken(_) => surprises += 1,
                    Status::Stale(_) => stale += 1,
                }
                show(&mut out, path, &checked, format)?;
            }
            // The others are played all the same; one that cannot be read is never a green run.
            Err(error) => damaged.push(error.to_string()),
        }
    }
    let entries = count(files.len() as u64, "entry");
    let told = format!("{expected} as expected, {surprises} not, {stale} stale, {} damaged", damaged.len());
    match format {
        MessageFormat::Json => out.json(&json!({
            "reason": "summary",
            "entries": files.len(),
            "expected": expected,
            "surprises": surprises,
            "stale": stale,
            "damaged": damaged.len(),
        }))?,
        MessageFormat::Human => {
            out.line("────────────")?;
            let is_good = expected == files.len();
            out.status(if is_good { GOOD } else { BAD }, "Summary", format_args!("{entries}: {told}"))?;
        }
    }
    match (damaged.is_empty(), surprises, stale) {
        (false, ..) => Err(Failure::Input(damaged.join("\nerror: "))),
        _ if files.is_empty() => Ok(Ending::NothingRan),
        (true, 0, 0) => Ok(Ending::Held),
        (true, 0, _) => Ok(Ending::NotReproducible),
        (true, ..) => Ok(Ending::Failed),
    }
}

fn show(out: &mut Out, path: &Path, checked: &Checked, format: MessageFormat) -> Result<(), Failure> {
    let reason = checked.entry.as_ref().map(|entry| entry.reason.as_str()).unwrap_or_default();
    let name = name_of(path);
    let detail = match &checked.status {
        Status::Held | Status::Violated => reason.to_owned(),
        Status::Fixed => format!("expected violated, now holds: write `expect = \"held\"` and keep it   {reason}"),
        Status::Broken(how) | Status::Stale(how) => format!("{how}   {reason}"),
    };
    if format == MessageFormat::Json {
        return out.json(&json!({
            "reason": "entry",
            "name": name,
            "status": checked.status.word(),
            "detail": detail,
            "deliveries": checked.deliveries,
        }));
    }
    let style = if checked.status.is_expected() { GOOD } else { BAD };
    let deliveries = count(checked.deliveries, "delivery");
    out.status(style, &checked.status.word().to_uppercase(), format_args!("{name:<34} {deliveries:>13}   {detail}"))
}

fn add(args: &AddArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(&args.scenario, &args.what)?;
    let seed = args.seed.unwrap_or(scenario.seed);
    let Some(Counterexample { shrunk, text, .. }) = scenario.shrink(seed, EXECUTIONS)? else {
        return nothing_to_keep(format, &format!("{} seed {seed} holds", scenario.name));
    };
    let verdict = &shrunk.report.verdict;
    let Verdict::Violated { property, .. } = verdict else {
        let message = format!("the run is {}: an entry holds or violates a property", verdict.word());
        return Err(Failure::Input(message));
    };
    let bucket = bucket(&scenario, verdict);
    for path in files(std::slice::from_ref(&args.to))? {
        let known = check(&path.display().to_string(), &input::text(&path, SCENARIO_BYTES_MAX)?)?;
        if known.bucket == bucket {
            return nothing_to_keep(format, &format!("a failure of the same cause is in {}", path.display()));
        }
    }
    let path = free_path(&args.to, &kebab(property));
    let expect = Expectation::Violated((*property).to_owned());
    input::write(&path, &entry_of(&text, &expect, &args.reason, seed))?;
    let mut out = Out::new();
    match format {
        MessageFormat::Json => out.json(&json!({ "reason": "added", "file": path.display().to_string() }))?,
        MessageFormat::Human => {
            let size = shrunk.size();
            let (departures, commands) = (size.departures as u64, size.commands as u64);
            let size = format!("{}, {}", count(departures, "departure"), count(commands, "command"));
            out.status(GOOD, "Kept", format_args!("{}   {expect}, {size}", path.display()))?;
            out.status(PLAIN, "Next", format_args!("pellmell corpus check {}", args.to.display()))?;
        }
    }
    Ok(Ending::Held)
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
    paths.into_iter().find(|path| !path.exists()).unwrap_or_else(|| folder.join(numbered(1)))
}

fn list(files: &[PathBuf], format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    for path in files {
        let scenario = input::read_scenario(path)?;
        let Some(entry) = &scenario.entry else { continue };
        let expect = entry.expect.to_string();
        match format {
            MessageFormat::Json => out.json(&json!({
                "reason": "entry",
                "name": scenario.name,
                "expect": expect,
                "why": entry.reason,
                "departures": scenario.schedule.len(),
            }))?,
            MessageFormat::Human => {
                out.status(PLAIN, "Entry", format_args!("{:<34} {expect:<36} {}", scenario.name, entry.reason))?;
            }
        }
    }
    Ok(if files.is_empty() { Ending::NothingRan } else { Ending::Held })
}
