//! `pellmell corpus`: the cases that are kept.

mod add;
mod commit;
mod prune;
mod renew;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use pellmell_core::escape::file_for_shell;
use pellmell_scenario::any::AnySystem;
use pellmell_scenario::corpus::{Checked, Moved, Near, Renames, Status};
use serde_json::json;

use super::files::Identity;
use super::input::{self, SCENARIO_BYTES_MAX};
use super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, count, program, shown, tell};
use add::{AddArgs, add};
use prune::{PruneArgs, prune};
use renew::{RenewArgs, renew};

/// The file beside the entries that says which names took the place of which.
const RENAMES: &str = "renames.toml";

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
    /// Says how entries should be written whose departures do not lead to their failure any more, or whose
    /// steps are others, and writes that if told to.
    Renew(RenewArgs),
    /// Says which entries fail for the cause of a smaller one, and removes them if told to.
    Prune(PruneArgs),
}

#[derive(clap::Args)]
struct Entries {
    /// Entries, or folders of them.
    #[arg(default_value = "scenarios/corpus")]
    paths: Vec<PathBuf>,
}

pub(super) fn corpus(system: &dyn AnySystem, args: &CorpusArgs, format: MessageFormat) -> Result<Ending, Failure> {
    match &args.verb {
        CorpusVerb::Check(entries) => check_all(system, &files(&entries.paths)?, format),
        CorpusVerb::List(entries) => list(system, &files(&entries.paths)?, format),
        CorpusVerb::Add(args) => add(system, args, format),
        CorpusVerb::Renew(args) => renew(system, args, format),
        CorpusVerb::Prune(args) => prune(system, args, format),
    }
}

/// The entries among the paths, by name. What has several names is one entry: that of them which is no
/// link, and the first of those.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |path: &Path, error: io::Error| Failure::Io(format!("cannot read {}: {error}", shown(path)));
    let mut named: Vec<(bool, PathBuf)> = Vec::new();
    for path in paths {
        if !path.is_dir() {
            named.push((path.is_symlink(), path.clone()));
            continue;
        }
        for entry in std::fs::read_dir(path).map_err(|error| cannot(path, error))? {
            let file = entry.map_err(|error| cannot(path, error))?.path();
            let is_entry = file.extension().is_some_and(|ending| ending == "toml");
            if !is_entry || file.file_name().is_some_and(|name| name == RENAMES) {
                continue;
            }
            // A link that leads nowhere is a lost entry, which is told when it is read.
            match std::fs::metadata(&file) {
                Ok(found) if !found.is_file() => tell("Skipped", &format!("{}: this is no file", shown(&file))),
                _ => named.push((file.is_symlink(), file)),
            }
        }
    }
    named.sort();
    let mut known = BTreeSet::new();
    let mut files = Vec::new();
    for (_, path) in named {
        if known.insert(Identity::of(&path).map_err(|error| cannot(&path, error))?) {
            files.push(path);
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
    Ok(Renames::parse(&path.to_string_lossy(), &input::text(&path, SCENARIO_BYTES_MAX)?)?)
}

/// Says that the names which a folder's renames shift are to be written first: into all of its entries, because
/// those left out, or added later, would be shifted once too little, or too often.
fn shifts_first(folder: &Path) -> Failure {
    let (renames, program, folder) = (shown(&folder.join(RENAMES)), program(), file_for_shell(folder));
    let message = "shifts names, which is written into all entries of its folder at once, and then taken out";
    Failure::Input(format!("{renames} {message}\n  = help: {program} corpus renew --write {folder}"))
}

fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The text of an entry with the renames of its folder, and the name that errors show.
fn renamed(path: &Path) -> Result<(String, String), Failure> {
    let text = input::text(path, SCENARIO_BYTES_MAX)?;
    Ok((path.to_string_lossy().into_owned(), renames_beside(path)?.apply(&text)))
}

/// How many entries came to what.
#[derive(Default)]
struct Tally {
    expected: usize,
    surprises: usize,
    moved: usize,
    stale: usize,
    /// What is wrong with those that are no entries.
    damaged: Vec<String>,
}

impl Tally {
    fn add(&mut self, status: &Status) {
        match status {
            Status::Held | Status::Violated => self.expected += 1,
            Status::Fixed(_) | Status::Broken(_) => self.surprises += 1,
            Status::Moved(_) => self.moved += 1,
            Status::Stale(_) => self.stale += 1,
        }
    }

    fn entries(&self) -> usize {
        self.expected + self.surprises + self.moved + self.stale + self.damaged.len()
    }

    fn show(&self, out: &mut Out, format: MessageFormat) -> Result<(), Failure> {
        let Tally { expected, surprises, moved, stale, damaged } = self;
        if format == MessageFormat::Json {
            return out.json(&json!({
                "reason": "summary",
                "entries": self.entries(),
                "expected": expected,
                "surprises": surprises,
                "moved": moved,
                "stale": stale,
                "damaged": damaged.len(),
            }));
        }
        out.line("────────────")?;
        let entries = count(self.entries() as u64, "entry");
        let damaged = damaged.len();
        let told = format!("{expected} as expected, {surprises} not, {moved} moved, {stale} stale, {damaged} damaged");
        let is_good = *expected == self.entries();
        out.status(if is_good { GOOD } else { BAD }, "Summary", format_args!("{entries}: {told}"))
    }

    /// The verb ends with the worst of it.
    fn ending(self) -> Result<Ending, Failure> {
        match (self.damaged.is_empty(), self.surprises, self.moved + self.stale) {
            (false, ..) => Err(Failure::Input(self.damaged.join("\nerror: "))),
            _ if self.entries() == 0 => Ok(Ending::NothingRan),
            (true, 0, 0) => Ok(Ending::Held),
            (true, 0, _) => Ok(Ending::NotReproducible),
            (true, ..) => Ok(Ending::Failed),
        }
    }
}

fn check_all(system: &dyn AnySystem, files: &[PathBuf], format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let mut tally = Tally::default();
    for path in files {
        // The others are played all the same; one that cannot be read is never a green run.
        match renamed(path).and_then(|(name, text)| Ok(system.check_entry(&name, &text)?)) {
            Ok(checked) => {
                tally.add(&checked.status);
                show(&mut out, path, &checked, format)?;
            }
            Err(Failure::Input(error)) => tally.damaged.push(error),
            Err(failure) => return Err(failure),
        }
    }
    tally.show(&mut out, format)?;
    tally.ending()
}

fn show(out: &mut Out, path: &Path, checked: &Checked, format: MessageFormat) -> Result<(), Failure> {
    let reason = &checked.entry.reason;
    let name = name_of(path);
    let told = Told::of(&checked.status, path);
    if format == MessageFormat::Json {
        let detail = if told.clauses.is_empty() { reason.clone() } else { format!("{}   {reason}", told.in_a_line()) };
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
    let word = checked.status.word().to_uppercase();
    out.status_and(style, &word, format_args!("{name:<34} {deliveries:>13}"), reason)?;
    told.show(out)
}

/// A line each, below what they are about.
fn show_clauses(out: &mut Out, clauses: &[String]) -> Result<(), Failure> {
    clauses.iter().try_for_each(|clause| out.status(PLAIN, "", clause))
}

/// What is told of an entry that is not as expected.
#[derive(Default)]
struct Told {
    clauses: Vec<String>,
    /// What to type next.
    next: Option<String>,
}

impl Told {
    fn of(status: &Status, path: &Path) -> Told {
        let split = |told: &str| told.split("; ").map(str::to_owned).collect::<Vec<_>>();
        match status {
            Status::Held | Status::Violated => Told::default(),
            Status::Fixed(Near { runs, is_all }) => {
                let runs = count(u64::from(*runs), "run");
                let near = match is_all {
                    true => format!("it should be violated and holds now, and so do all {runs} near it"),
                    false => format!(
                        "it should be violated and holds now, and so do the {runs} nearest to it, not all there are"
                    ),
                };
                let then = "write `expect = \"held\"` without `trace` and keep it".to_owned();
                Told { clauses: vec![near, then], next: None }
            }
            Status::Moved(Moved { was, departures, .. }) => {
                let quoted: Vec<String> = departures.iter().map(|departure| format!("`{departure}`")).collect();
                let by = format!("by {}", quoted.join(", "));
                let so = if quoted.is_empty() { "in the calm run" } else { &by };
                let clauses = [split(was), vec![format!("it still fails as it should {so}")]].concat();
                Told { clauses, next: Some(format!("{} corpus renew {}", program(), file_for_shell(path))) }
            }
            Status::Broken(how) | Status::Stale(how) => Told { clauses: split(how), next: None },
        }
    }

    fn in_a_line(&self) -> String {
        let next = self.next.as_ref().map(|next| format!(": {next}")).unwrap_or_default();
        self.clauses.join("; ") + &next
    }

    /// Prints it, a line each, below what it is about.
    fn show(&self, out: &mut Out) -> Result<(), Failure> {
        show_clauses(out, &self.clauses)?;
        self.next.iter().try_for_each(|next| out.command(PLAIN, "Next", next))
    }
}

fn list(system: &dyn AnySystem, files: &[PathBuf], format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    for path in files {
        let scenario = input::read_scenario(system, path)?;
        let settings = scenario.settings();
        let Some(entry) = &settings.entry else { continue };
        let expect = entry.expect.to_string();
        match format {
            MessageFormat::Json => out.json(&json!({
                "reason": "entry",
                "name": settings.name,
                "expect": expect,
                "why": entry.reason,
                "departures": settings.schedule.len(),
            }))?,
            MessageFormat::Human => {
                out.status_and(PLAIN, "Entry", format_args!("{:<34} {expect:<36}", settings.name), &entry.reason)?;
            }
        }
    }
    Ok(if files.is_empty() { Ending::NothingRan } else { Ending::Held })
}
