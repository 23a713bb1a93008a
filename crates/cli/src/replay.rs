//! `pellmell replay`: the same again, and where it differs.

use std::path::{Path, PathBuf};

use pellmell_core::trace::{Trace, first_difference};
use pellmell_core::vacuity::Allow;
use pellmell_scenario::any::{AnyScenario, AnySystem, Recorded};
use pellmell_scenario::scenario::{Changes, Gone};
use serde_json::json;

use super::input::Input;
use super::log::Log;
use super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, input, number, run, shown, timeline, vacuous};

#[derive(clap::Args)]
pub(super) struct ReplayArgs {
    /// A scenario file, or a trace written by `run --trace`.
    file: PathBuf,
    /// With a scenario: the number that fixes all chance.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// With a scenario: the rules of the services instead of the scenario's.
    #[arg(long, value_name = "DESIGN")]
    design: Option<String>,
    /// Lets something asked for not happen: a kind such as `unused-departure`, or a kind and a name; may be
    /// given several times.
    #[arg(long = "allow", value_name = "KIND")]
    allow: Vec<Allow>,
    /// How many steps to show, as `run` does: a number or `all`.
    #[arg(long, default_value_t = run::Steps(run::STEPS_SHOWN), value_parser = run::steps)]
    steps: run::Steps,
}

pub(super) fn replay(system: &dyn AnySystem, args: &ReplayArgs, format: MessageFormat) -> Result<Ending, Failure> {
    match input::any(system, &args.file)? {
        Input::Trace(trace) if args.seed.is_some() || args.design.is_some() => {
            let message = format!(
                "{} is a trace: its seed {} and design {} are in it",
                shown(&args.file),
                trace.header.seed,
                trace.header.design
            );
            Err(Failure::Input(format!("{message}\n  = help: leave --seed and --design out")))
        }
        Input::Trace(trace) => {
            let mut scenario = scenario_of(system, &args.file, &trace)?;
            scenario.settings_mut().allow.extend(args.allow.iter().cloned());
            let again = run::record(&*scenario, trace.header.seed)?;
            report(system, args, format, &*scenario, &trace, &again)
        }
        Input::Scenario(mut scenario) => {
            if let Some(design) = &args.design {
                scenario.choose(design);
            }
            scenario.settings_mut().allow.extend(args.allow.iter().cloned());
            let seed = args.seed.unwrap_or(scenario.settings().seed);
            let (first, again) = (run::record(&*scenario, seed)?, run::record(&*scenario, seed)?);
            report(system, args, format, &*scenario, &first.trace, &again)
        }
    }
}

/// The scenario a trace is a run of: its text is in the header.
pub(super) fn scenario_of(system: &dyn AnySystem, path: &Path, trace: &Trace) -> Result<Box<dyn AnyScenario>, Failure> {
    let header = &trace.header;
    let mut scenario = system.scenario(&format!("{}.toml", header.scenario), &header.source)?;
    scenario.change(&Changes::of(header)).map_err(|Gone { what, name }| {
        let message = format!("{}:1:1: the trace's {what} `{name}` does not exist any more", shown(path));
        Failure::Stale(format!("{message}\n  = help: record the run again: run SCENARIO --trace FILE"))
    })?;
    Ok(scenario)
}

fn report(
    system: &dyn AnySystem,
    args: &ReplayArgs,
    format: MessageFormat,
    scenario: &dyn AnyScenario,
    expected: &Trace,
    Recorded { trace: found, findings, .. }: &Recorded,
) -> Result<Ending, Failure> {
    let mut out = Out::new();
    let difference = first_difference(expected, found);
    if format == MessageFormat::Json {
        out.json(&json!({
            "reason": "replay",
            "same": difference.is_none(),
            "step": difference.as_ref().map(|difference| difference.step),
            "expected": difference.as_ref().map(|difference| &difference.expected),
            "found": difference.as_ref().map(|difference| &difference.found),
            "verdict": found.end.verdict,
            "property": found.end.property,
            "fingerprint": found.end.fingerprint,
            "vacuous": vacuous::as_json(findings),
        }))?;
    } else {
        run::show(&mut out, system, scenario, (found, &Log::new()), args.steps)?;
        timeline::verdict(&mut out, found)?;
        vacuous::show(&mut out, findings)?;
        match &difference {
            None => out.status(
                GOOD,
                "Same",
                format_args!("{} steps, fingerprint {}", found.end.steps, found.end.fingerprint),
            )?,
            Some(difference) => {
                match difference.step {
                    0 => out.status(BAD, "DIFFERS", "in what was run")?,
                    step => out.status(BAD, "DIFFERS", format_args!("first at step {step}"))?,
                }
                out.status(PLAIN, "expected", &difference.expected)?;
                out.status(PLAIN, "found", &difference.found)?;
            }
        }
    }
    Ok(match difference {
        Some(_) => Ending::NotReproducible,
        None => run::ending(found, findings),
    })
}
