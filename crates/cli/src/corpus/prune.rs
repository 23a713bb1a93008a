//! `pellmell corpus prune`: entries that fail for the cause of a smaller one go.

use pellmell_scenario::any::AnySystem;
use pellmell_scenario::corpus::{Checked, Duplicate, duplicates};
use serde_json::json;

use super::super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, count, shown};
use super::{Entries, Told, files, name_of, renamed};

#[derive(clap::Args)]
pub(super) struct PruneArgs {
    #[command(flatten)]
    entries: Entries,
    /// Removes the superfluous entries instead of only naming them.
    #[arg(long)]
    write: bool,
}

pub(super) fn prune(system: &dyn AnySystem, args: &PruneArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let files = files(&args.entries.paths)?;
    let mut entries: Vec<(String, Checked)> = Vec::new();
    for path in &files {
        // Nothing is removed beside what cannot be read.
        let (name, text) = renamed(path)?;
        entries.push((name_of(path), system.check_entry(&name, &text)?));
    }
    if entries.is_empty() {
        return Ok(Ending::NothingRan);
    }
    let mut out = Out::new();
    for ((name, checked), path) in entries.iter().zip(&files) {
        attention(&mut out, name, &Told::of(&checked.status, path), checked, format)?;
    }
    let duplicates = duplicates(&entries);
    for Duplicate { place, of } in &duplicates {
        if args.write {
            let cannot = |error| Failure::Io(format!("cannot remove {}: {error}", shown(&files[*place])));
            std::fs::remove_file(&files[*place]).map_err(cannot)?;
        }
        let ((name, checked), (kept, _)) = (&entries[*place], &entries[*of]);
        let bucket = checked.bucket.as_ref().map(ToString::to_string).unwrap_or_default();
        match format {
            MessageFormat::Json => out.json(&json!({
                "reason": "superfluous", "name": name, "of": kept, "bucket": bucket, "removed": args.write,
            }))?,
            MessageFormat::Human => {
                let word = if args.write { "Removed" } else { "Superfluous" };
                out.status(BAD, word, format_args!("{name:<34} {kept} fails so too, and is smaller: {bucket}"))?;
            }
        }
    }
    summary(&mut out, entries.len(), duplicates.len(), args.write, format)?;
    Ok(if duplicates.is_empty() || args.write { Ending::Held } else { Ending::Failed })
}

/// Lists an entry that is not as expected, which pruning leaves alone.
fn attention(out: &mut Out, name: &str, told: &Told, checked: &Checked, format: MessageFormat) -> Result<(), Failure> {
    if told.clauses.is_empty() {
        return Ok(());
    }
    match format {
        MessageFormat::Json => out.json(&json!({
            "reason": "entry", "name": name, "status": checked.status.word(), "detail": told.in_a_line(),
        })),
        MessageFormat::Human => {
            out.status(BAD, &checked.status.word().to_uppercase(), name)?;
            told.show(out)
        }
    }
}

fn summary(
    out: &mut Out,
    entries: usize,
    superfluous: usize,
    removed: bool,
    format: MessageFormat,
) -> Result<(), Failure> {
    if format == MessageFormat::Json {
        return out.json(&json!({
            "reason": "summary", "entries": entries, "superfluous": superfluous, "removed": removed,
        }));
    }
    let told = format!("{}: {superfluous} superfluous", count(entries as u64, "entry"));
    out.line("────────────")?;
    out.status(if superfluous == 0 { GOOD } else { BAD }, "Summary", told)?;
    if superfluous > 0 && !removed {
        out.status(PLAIN, "Next", "the same with --write removes them")?;
    }
    Ok(())
}
