//! `pellmell corpus renew`: entries lead where they should by both their departures and their steps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pellmell_core::escape::file_for_shell;
use pellmell_scenario::any::AnySystem;
use pellmell_scenario::corpus::{Checked, Moved, Renames, Renewal, Status};
use serde_json::json;

use super::super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, count, files, input, program};
use super::{Entries, RENAMES, Tally, name_of, renames_beside, shifts_first, show, show_clauses};

#[derive(clap::Args)]
pub(super) struct RenewArgs {
    #[command(flatten)]
    entries: Entries,
    /// Writes the entries instead of only saying how they should be written.
    #[arg(long)]
    write: bool,
}

/// An entry as it is stored, with its new names, and with what renewing it came to.
struct Renewing {
    path: PathBuf,
    stored: String,
    renamed: String,
    checked: Checked,
    renewal: Renewal,
}

impl Renewing {
    fn of(system: &dyn AnySystem, path: &Path) -> Result<Renewing, Failure> {
        let stored = input::text(path, input::SCENARIO_BYTES_MAX)?;
        let renamed = renames_beside(path)?.apply(&stored);
        let (checked, renewal) = system.renew_entry(&path.to_string_lossy(), &renamed)?;
        Ok(Renewing { path: path.to_owned(), stored, renamed, checked, renewal })
    }

    /// What is to be written, if that is another text.
    fn text(&self) -> Option<&str> {
        let text = match &self.renewal {
            Renewal::Text(text) => text,
            Renewal::Fresh | Renewal::Impossible(_) => &self.renamed,
        };
        Some(text.as_str()).filter(|text| *text != self.stored)
    }
}

pub(super) fn renew(system: &dyn AnySystem, args: &RenewArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let paths = super::files(&args.entries.paths)?;
    let (mut out, mut tally, mut entries) = (Out::new(), Tally::default(), Vec::new());
    for path in &paths {
        // The others are renewed all the same.
        match Renewing::of(system, path) {
            Ok(renewing) => entries.push(renewing),
            Err(Failure::Input(error)) => tally.damaged.push(error),
            Err(failure) => return Err(failure),
        }
    }
    let shifts = shifts_beside(&paths)?;
    if args.write && tally.damaged.is_empty() {
        check_all_are_given(&paths, &shifts)?;
    }
    // Names that are shifted are written into all entries or into none.
    let writes = args.write && (tally.damaged.is_empty() || shifts.is_empty());
    let (mut impossible, mut pending) = (0, 0);
    for entry in &entries {
        if let (true, Some(text)) = (writes, entry.text()) {
            files::write(&entry.path, text)?;
        }
        let is_mended = matches!((&entry.checked.status, &entry.renewal), (Status::Moved(_), Renewal::Text(_)));
        tally.add(if writes && is_mended { &Status::Violated } else { &entry.checked.status });
        impossible += usize::from(matches!(entry.renewal, Renewal::Impossible(_)));
        pending += usize::from(!writes && entry.text().is_some());
        one(&mut out, entry, writes, format)?;
    }
    if writes {
        for (path, renames) in &shifts {
            let left = renames.without_shifts(&input::text(path, input::SCENARIO_BYTES_MAX)?);
            files::write(path, &left)?;
        }
    }
    tally.show(&mut out, format)?;
    if pending > 0 && format == MessageFormat::Human {
        let entries = count(pending as u64, "entry");
        let which: Vec<_> = args.entries.paths.iter().map(|path| file_for_shell(path)).collect();
        let next = format!("{entries} to be written: {} corpus renew --write {}", program(), which.join(" "));
        out.status(PLAIN, "Next", next)?;
    }
    match tally.ending()? {
        Ending::Held if impossible + pending > 0 => Ok(Ending::Failed),
        ending => Ok(ending),
    }
}

/// The files beside these entries that shift names: what they say is written once, and then taken out of
/// them.
fn shifts_beside(entries: &[PathBuf]) -> Result<BTreeMap<PathBuf, Renames>, Failure> {
    let mut shifts = BTreeMap::new();
    for entry in entries {
        let renames = renames_beside(entry)?;
        if renames.has_shifts() {
            shifts.insert(entry.with_file_name(RENAMES), renames);
        }
    }
    Ok(shifts)
}

/// Refuses to write shifted names into some entries of a folder: those left would be shifted no more.
fn check_all_are_given(entries: &[PathBuf], shifts: &BTreeMap<PathBuf, Renames>) -> Result<(), Failure> {
    let given: BTreeSet<&PathBuf> = entries.iter().collect();
    for path in shifts.keys() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let all = super::files(&[folder.to_owned()])?;
        let plain = |path: &PathBuf| path.strip_prefix(".").map_or(path.clone(), Path::to_owned);
        if all.iter().any(|entry| !given.contains(entry) && !given.contains(&plain(entry))) {
            return Err(shifts_first(folder));
        }
    }
    Ok(())
}

/// Says what came of an entry, and how it should be written.
fn one(out: &mut Out, entry: &Renewing, writes: bool, format: MessageFormat) -> Result<(), Failure> {
    let Renewing { path, checked, renewal, .. } = entry;
    let moved = match &checked.status {
        Status::Moved(moved) => Some(moved),
        status if !status.is_expected() => return show(out, path, checked, format),
        _ => None,
    };
    let renewed = if writes { "Renewed" } else { "To renew" };
    let (style, word, detail) = match (renewal, moved) {
        (Renewal::Impossible(why), _) => (BAD, "Not renewed", why.clone()),
        (Renewal::Text(_), Some(Moved { was, failure, .. })) => (GOOD, renewed, format!("{was}; now {failure}")),
        (Renewal::Text(_), None) => (GOOD, renewed, "with the steps of its run".to_owned()),
        (Renewal::Fresh, _) if entry.text().is_some() => (GOOD, renewed, format!("with the names of {RENAMES}")),
        (Renewal::Fresh, _) => (PLAIN, "Fresh", String::new()),
    };
    let departures = moved.map(|moved| &moved.departures).into_iter().flatten();
    let departures: Vec<String> = departures.map(ToString::to_string).collect();
    match format {
        MessageFormat::Json => out.json(&json!({
            "reason": "entry",
            "name": name_of(path),
            "status": word.to_lowercase(),
            "detail": detail,
            "schedule": departures,
        })),
        MessageFormat::Human => {
            let (said, more) = if moved.is_some() { ("", &*detail) } else { (&*detail, "") };
            out.status(style, word, format_args!("{:<34} {said}", name_of(path)).to_string().trim_end())?;
            let more: Vec<String> = more.split("; ").filter(|clause| !clause.is_empty()).map(str::to_owned).collect();
            show_clauses(out, &more)?;
            departures.iter().try_for_each(|departure| out.status(PLAIN, "", format_args!("  {departure}")))
        }
    }
}
