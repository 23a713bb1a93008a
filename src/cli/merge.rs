//! `pellmell merge`: the results of all shards of a sweep become the result of the sweep.

use std::path::{Path, PathBuf};

use pellmell::search::{Merging, Sweep};
use pellmell::trace::hex;

use super::environment::folder;
use super::sweep::{Report, Shown, saved};
use super::{Ending, Failure, MessageFormat, Out, input};

#[derive(clap::Args)]
pub(super) struct MergeArgs {
    /// The results of all shards, in any order.
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// Keeps the result of the sweep in this folder, as `result.json`. [env: PELLMELL_OUT]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn merge(args: &MergeArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let mut merging = Merging::default();
    for path in &args.results {
        let name = path.display().to_string();
        merging.add(&name, saved::read(path)?).map_err(|error| saved::differs(&error))?;
    }
    let whole = merging.finish().map_err(|error| saved::differs(&error))?;
    let scenario = whole.swept.scenario()?;
    let sweep = Sweep { scenario: &scenario, seeds: whole.request.clone(), threads: 1 };
    let witness = sweep.witness().map_err(|error| Failure::Input(error.to_string()))?;
    if witness != whole.swept.witness {
        let (found, expected) = (hex(witness), hex(whole.swept.witness));
        let message = format!("the first seed's run has the fingerprint {found}, in the shards it has {expected}");
        let help = "merge with the build that swept the shards";
        return Err(Failure::Stale(format!("the services or pellmell itself changed: {message}\n  = help: {help}")));
    }
    if let Some(folder) = folder(&args.out) {
        input::make_folder(&folder)?;
        input::write(&saved::path(&folder, None), &whole.to_text())?;
    }
    let file = whole.swept.file.clone();
    let (part, departed) = whole.into_parts();
    let departed = departed.map(|departed| departed.result);
    Report { path: Path::new(&file), scenario: &scenario, part: &part, departed, shown: &args.shown }
        .show(&mut Out::new(), format)
}
