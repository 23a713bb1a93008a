//! `pellmell merge`: the results of all shards of a sweep become the result of the sweep.

use std::path::{Path, PathBuf};

use pellmell_core::trace::hex;
use pellmell_scenario::any::AnySystem;
use pellmell_scenario::results::Merging;

use super::environment::folder;
use super::sweep::{Shown, Told, saved};
use super::{Ending, Failure, MessageFormat, Out, files, shown};

#[derive(clap::Args)]
pub(super) struct MergeArgs {
    /// The results of all shards, in any order, or the folder that `sweep --out` kept them in.
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Keeps the result of the sweep in this folder, as `result.json`. [env: PELLMELL_OUT]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn merge(system: &dyn AnySystem, args: &MergeArgs, format: MessageFormat) -> Result<Ending, Failure> {
    args.shown.report.check()?;
    let mut merging = Merging::default();
    for path in results(&args.results)? {
        merging.add(&shown(&path), saved::read(&path)?).map_err(|error| saved::differs(&error))?;
    }
    let whole = merging.finish().map_err(|error| saved::differs(&error))?;
    let scenario = system.scenario_of(&whole.swept)?;
    let witness = scenario.witness(&whole.request).map_err(|error| Failure::Input(error.to_string()))?;
    if witness != whole.swept.witness {
        let (found, expected) = (hex(witness), hex(whole.swept.witness));
        let message = format!("the first seed's run has the fingerprint {found}, in the shards it has {expected}");
        let help = "merge with the build that swept the shards";
        return Err(Failure::Stale(format!("the services or pellmell itself changed: {message}\n  = help: {help}")));
    }
    if let Some(folder) = folder(&args.out) {
        files::make_folder(&folder)?;
        let path = saved::path(&folder, None);
        if path.exists() {
            // What is no result is not replaced by one.
            saved::read(&path)?;
        }
        files::write(&path, &whole.to_text())?;
    }
    let file = whole.swept.file.clone();
    let (part, departed) = whole.into_parts();
    let departed = departed.map(|departed| departed.result);
    Told { path: Path::new(&file), scenario: &*scenario, part: &part, departed, shown: &args.shown }
        .show(&mut Out::new(), format)
}

/// The files with results among the paths: of a folder those that `sweep --out` writes there, which are
/// the shards', or else that of the whole.
fn results(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut results = Vec::new();
    for path in paths {
        if !path.is_dir() {
            results.push(path.clone());
            continue;
        }
        let cannot = |error| Failure::Io(format!("cannot read {}: {error}", shown(path)));
        let entries = std::fs::read_dir(path).map_err(cannot)?;
        let mut shards =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
        shards.retain(|path| saved::is_of_a_shard(path));
        shards.sort();
        let whole = saved::path(path, None);
        match (shards.is_empty(), whole.exists()) {
            (false, _) => results.extend(shards),
            (true, true) => results.push(whole),
            (true, false) => {
                let help = "give the folder that `sweep --out FOLDER` wrote";
                return Err(Failure::Input(format!("there is no result in {}\n  = help: {help}", shown(path))));
            }
        }
    }
    Ok(results)
}
