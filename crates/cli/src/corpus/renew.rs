//! `pellmell corpus renew`: entries lead where they should by both their departures and their steps.

use std::path::{Path, PathBuf};

use pellmell_scenario::any::AnySystem;
use pellmell_scenario::corpus::{Checked, Renewal};
use serde_json::json;

use super::super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, files, input};
use super::{Tally, name_of, renamed, show};

pub(super) fn renew(system: &dyn AnySystem, files: &[PathBuf], format: MessageFormat) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let mut tally = Tally::default();
    let mut impossible = 0;
    for path in files {
        // The others are renewed all the same.
        match renamed(path).and_then(|(name, text)| Ok((system.renew_entry(&name, &text)?, text))) {
            Ok(((checked, renewal), text)) => {
                tally.add(&checked.status);
                impossible += usize::from(matches!(renewal, Renewal::Impossible(_)));
                one(&mut out, path, &checked, &renewal, &text, format)?;
            }
            Err(Failure::Input(error)) => tally.damaged.push(error),
            Err(failure) => return Err(failure),
        }
    }
    tally.show(&mut out, format)?;
    match tally.ending()? {
        Ending::Held if impossible > 0 => Ok(Ending::Failed),
        ending => Ok(ending),
    }
}

/// Writes an entry that is renewed, and says what came of it. `text` is the entry with its new names.
fn one(
    out: &mut Out,
    path: &Path,
    checked: &Checked,
    renewal: &Renewal,
    text: &str,
    format: MessageFormat,
) -> Result<(), Failure> {
    if !checked.status.is_expected() {
        return show(out, path, checked, format);
    }
    let stored = input::text(path, input::SCENARIO_BYTES_MAX)?;
    let (style, word, detail) = match renewal {
        Renewal::Text(renewed) => {
            files::write(path, renewed)?;
            (GOOD, "Renewed", String::new())
        }
        Renewal::Fresh if text != stored => {
            files::write(path, text)?;
            (GOOD, "Renewed", "with the names of renames.toml".to_owned())
        }
        Renewal::Fresh => (PLAIN, "Fresh", String::new()),
        Renewal::Impossible(why) => (BAD, "Not renewed", why.clone()),
    };
    match format {
        MessageFormat::Json => out.json(&json!({
            "reason": "entry",
            "name": name_of(path),
            "status": word.to_lowercase(),
            "detail": detail,
        })),
        MessageFormat::Human => {
            out.status(style, word, format_args!("{:<34} {detail}", name_of(path)).to_string().trim_end())
        }
    }
}
