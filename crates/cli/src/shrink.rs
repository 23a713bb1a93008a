//! `pellmell shrink`: a failing seed becomes a scenario with nothing in it that does not matter.

use std::path::PathBuf;

use pellmell_core::Departure;
use pellmell_core::escape::file_for_shell;
use pellmell_core::shrink::{Needed, NothingToShrink, Size};
use pellmell_scenario::any::{AnyScenario, AnySystem, Smallest};
use pellmell_scenario::scenario::ShrinkError;
use serde_json::json;

use super::log::Log;
use super::run::{self, record};
use super::{
    BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, files, input, number, program,
    sweep_command, timeline,
};

#[derive(clap::Args)]
pub(super) struct ShrinkArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// The number that fixes all chance; the scenario's own if left out.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// The most runs it may take.
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u32).range(1..))]
    executions: u32,
    /// Writes the shrunk scenario to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    what: What,
}

pub(super) fn shrink(system: &dyn AnySystem, args: &ShrinkArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(system, &args.scenario, &args.what)?;
    files::check_output(args.write.as_deref(), &files::SHRUNK, &args.scenario)?;
    let seed = args.seed.unwrap_or(scenario.settings().seed);
    let mut out = Out::new();
    match scenario.shrink(seed, args.executions)? {
        Some(found) => {
            if let Some(path) = &args.write {
                files::write(path, &found.text)?;
            }
            match format {
                MessageFormat::Human => show(&mut out, system, args, &*scenario, seed, &found)?,
                MessageFormat::Json => out.json(&as_json(&*scenario, seed, &found))?,
            }
            Ok(Ending::Held)
        }
        None => {
            let next = sweep_command(&args.scenario, &*scenario);
            match format {
                MessageFormat::Human => {
                    let name = &scenario.settings().name;
                    out.status(GOOD, "HELD", format_args!("{name} seed {seed}: {NothingToShrink}"))?;
                    out.command(PLAIN, "Next", &next)?;
                }
                MessageFormat::Json => out.json(&json!({
                    "reason": "shrink",
                    "scenario": scenario.settings().name,
                    "seed": seed,
                    "verdict": "held",
                    "next": next,
                }))?,
            }
            Ok(Ending::NothingRan)
        }
    }
}

impl From<ShrinkError> for Failure {
    fn from(error: ShrinkError) -> Failure {
        match error {
            ShrinkError::Build(_) | ShrinkError::Rounds { .. } | ShrinkError::File(_) => {
                Failure::Input(error.to_string())
            }
            ShrinkError::Extract(_) | ShrinkError::ReadBack => Failure::Stale(error.to_string()),
        }
    }
}

/// How large a run is.
pub(super) fn in_words(size: &Size) -> String {
    let (departures, commands) = (size.departures as u64, size.commands as u64);
    format!("{}, {}, {}", count(size.steps, "step"), count(departures, "departure"), count(commands, "command"))
}

fn show(
    out: &mut Out,
    system: &dyn AnySystem,
    args: &ShrinkArgs,
    scenario: &dyn AnyScenario,
    seed: u64,
    found: &Smallest,
) -> Result<(), Failure> {
    let Smallest { before, shrunk, scenario: small, text } = found;
    let place =
        format!("{} seed {seed} from {} to {}", scenario.settings().name, in_words(before), in_words(&shrunk.size()));
    out.status(GOOD, "Shrunk", format_args!("{place} in {}", count(shrunk.executions.into(), "execution")))?;
    out.departures(&small.settings().schedule)?;
    out.line("")?;
    let trace = record(&**small, small.settings().seed)?.trace;
    timeline::steps(out, &trace, &Log::new(), run::STEPS_SHOWN)?;
    timeline::stores(out, &system.display(), &trace)?;
    timeline::verdict(out, &trace)?;
    for (item, why) in shrunk.reasons() {
        out.status(PLAIN, "Needed", format_args!("`{item}`: {why}"))?;
    }
    for caveat in shrunk.caveats() {
        out.status(BAD, "Note", caveat)?;
    }
    if !shrunk.minimal {
        out.status(PLAIN, "Next", format_args!("try --executions {}", args.executions.saturating_mul(4)))?;
    }
    if let Some(path) = &args.write {
        out.status(PLAIN, "Wrote", path.to_string_lossy())?;
        out.command(PLAIN, "Reproduce", &format!("{} run {}", program(), file_for_shell(path)))?;
    } else {
        let again = command("shrink", &args.scenario, scenario, seed);
        out.command(PLAIN, "Keep", &format!("{again} --write FILE"))?;
    }
    out.line("────────────")?;
    out.text(text.trim_end())
}

/// Departures as they stand in a file.
pub(super) fn texts(departures: &[Departure]) -> Vec<String> {
    departures.iter().map(ToString::to_string).collect()
}

fn as_json(scenario: &dyn AnyScenario, seed: u64, found: &Smallest) -> serde_json::Value {
    let Smallest { before, shrunk, text, .. } = found;
    let because = shrunk.needed.iter().map(|Needed { item, without, .. }| {
        let without = without.as_ref().map(|verdict| verdict.signature().unwrap_or_else(|| "held".to_owned()));
        json!({ "item": item.to_string(), "without": without })
    });
    json!({
        "reason": "shrink",
        "scenario": scenario.settings().name,
        "seed": seed,
        "verdict": shrunk.report.verdict.word(),
        "signature": shrunk.report.verdict.signature(),
        "before": { "steps": before.steps, "commands": before.commands, "departures": before.departures },
        "steps": shrunk.report.steps,
        "commands": shrunk.size().commands,
        "departures": texts(&shrunk.departures),
        "executions": shrunk.executions,
        "because": because.collect::<Vec<_>>(),
        "minimal": shrunk.minimal,
        "anchors": shrunk.anchors.as_deref().map(texts),
        "toml": text,
    })
}
