//! `pellmell shrink`: a failing seed becomes a scenario with nothing in it that does not matter.

use std::path::{Path, PathBuf};

use pellmell::extract::{Extracted, extract};
use pellmell::scheduler::Tie;
use pellmell::shrink::{NothingToShrink, Shrink, Shrunk};
use pellmell::ticketing::{Request, Ticketing};
use pellmell::{Departing, Judges, Limits, Scenario, Simulation, Verdict, run};
use serde_json::json;

use super::run::play;
use super::{BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, count, input, number, timeline};

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

pub(super) fn shrink(args: &ShrinkArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(&args.scenario, &args.what)?;
    let seed = args.seed.unwrap_or(scenario.seed);
    let mut out = Out::new();
    match smallest(&scenario, seed, args.executions)? {
        Some(Smallest { size, shrunk, small, text }) => {
            if let Some(path) = &args.write {
                input::write(path, &text)?;
            }
            match format {
                MessageFormat::Human => show(&mut out, args, &scenario, seed, &size, &shrunk, &small, &text)?,
                MessageFormat::Json => out.json(&as_json(&scenario, seed, &size, &shrunk, &text))?,
            }
            Ok(Ending::Held)
        }
        None => {
            let next = next(&args.scenario, &scenario, &args.what);
            match format {
                MessageFormat::Human => {
                    out.status(GOOD, "HELD", format_args!("{} seed {seed}: {NothingToShrink}", scenario.name))?;
                    out.status(PLAIN, "Next", next)?;
                }
                MessageFormat::Json => out.json(&json!({
                    "reason": "shrink", "scenario": scenario.name, "seed": seed, "verdict": "held", "next": next,
                }))?,
            }
            Ok(Ending::NothingRan)
        }
    }
}

/// A counterexample, and the scenario file that has it.
pub(super) struct Smallest {
    size: Size,
    pub(super) shrunk: Shrunk<Request>,
    small: Scenario,
    pub(super) text: String,
}

/// Shrinks the run of a seed; `None` if it holds.
pub(super) fn smallest(scenario: &Scenario, seed: u64, executions: u32) -> Result<Option<Smallest>, Failure> {
    let simulation = scenario.simulation(seed).map_err(|error| Failure::Input(error.to_string()))?;
    let (judges, limits) = (scenario.judges(), scenario.limits);
    let departures = if scenario.schedule.is_empty() {
        let extracted = extract(&simulation, scenario.scheduler(seed), &judges, limits, Tie::InOrder);
        let extracted = extracted.map_err(|error| Failure::Stale(error.to_string()))?;
        in_rounds_only(&extracted, &judges, &simulation, limits)?;
        extracted.departures
    } else {
        scenario.schedule.clone()
    };
    let mut departing = Departing::new(departures.clone());
    let before = run(&mut simulation.world(), &mut departing, &judges, limits, &mut ());
    let size = Size { steps: before.steps, commands: simulation.commands(), departures: departures.len() };
    let clients = scenario.clients_of(seed);
    let allowed = |commands: &[Vec<usize>], departures: &[pellmell::Departure]| {
        Scenario::can_be_written(&clients, commands, departures)
    };
    let mut shrink = Shrink::of(&simulation, &judges, limits).within(&allowed);
    shrink.executions_max = executions;
    let Ok(shrunk) = shrink.run(departures) else { return Ok(None) };
    let text = scenario.counterexample(seed, &shrunk);
    let small = read_back(&text, &shrunk)?;
    Ok(Some(Smallest { size, shrunk, small, text }))
}

/// Refuses a run whose failure is none of its steps alone.
fn in_rounds_only(
    extracted: &Extracted,
    judges: &Judges<Ticketing>,
    simulation: &Simulation<Ticketing>,
    limits: Limits,
) -> Result<(), Failure> {
    let mut departing = Departing::new(extracted.departures.clone());
    let again = run(&mut simulation.world(), &mut departing, judges, limits, &mut ()).verdict;
    match &extracted.report.verdict {
        Verdict::Violated { property, .. } if again.is_held() => Err(Failure::Input(format!(
            "{property} judges rounds, which a run with departures does not have: it cannot be shrunk"
        ))),
        _ => Ok(()),
    }
}

/// How large a counterexample is.
struct Size {
    steps: u64,
    commands: usize,
    departures: usize,
}

/// Reads the written scenario as `run` would, and plays it: it must fail as the shrunk run did.
fn read_back(text: &str, shrunk: &Shrunk<Request>) -> Result<Scenario, Failure> {
    let small = Scenario::parse("shrunk.toml", text)?;
    let simulation = small.simulation(small.seed).map_err(|error| Failure::Input(error.to_string()))?;
    let report = small.run(&mut simulation.world(), &small.judges(), small.seed, &mut ());
    match pellmell::shrink::same_failure(&shrunk.report.verdict, &report.verdict) {
        true => Ok(small),
        false => Err(Failure::Stale("the shrunk run does not fail in the same way when it is read from a file".into())),
    }
}

/// What to type to find a run that fails.
fn next(path: &Path, scenario: &Scenario, what: &What) -> String {
    format!("pellmell sweep {} --design {}{} --seeds 0..1000", path.display(), scenario.design.name, what.flags())
}

/// The command that shrinks a seed.
pub(super) fn command(path: &Path, scenario: &Scenario, what: &What, seed: u64) -> String {
    format!("pellmell shrink {} --design {}{} --seed {seed}", path.display(), scenario.design.name, what.flags())
}

#[expect(clippy::too_many_arguments, reason = "each is shown")]
fn show(
    out: &mut Out,
    args: &ShrinkArgs,
    scenario: &Scenario,
    seed: u64,
    size: &Size,
    shrunk: &Shrunk<Request>,
    small: &Scenario,
    text: &str,
) -> Result<(), Failure> {
    let commands: usize = shrunk.commands.iter().map(Vec::len).sum();
    let counted = |commands: usize, departures: usize| {
        format!("{}, {}", count(departures as u64, "departure"), count(commands as u64, "command"))
    };
    let before = format!("{}, {}", count(size.steps, "step"), counted(size.commands, size.departures));
    let after = format!("{}, {}", count(shrunk.report.steps, "step"), counted(commands, shrunk.departures.len()));
    let place = format!("{} seed {seed} from {before} to {after}", scenario.name);
    out.status(GOOD, "Shrunk", format_args!("{place} in {}", count(shrunk.executions.into(), "execution")))?;
    for departure in &small.schedule {
        out.status(PLAIN, "Departs", departure)?;
    }
    out.line("")?;
    let trace = play(small, small.seed)?;
    timeline::steps(out, &trace, 60)?;
    timeline::stores(out, &trace)?;
    timeline::verdict(out, &trace)?;
    for (item, verdict) in &shrunk.because {
        let word = match verdict {
            None => "the rest names it or what it creates".to_owned(),
            Some(verdict) if verdict.is_held() => "without it every property holds".to_owned(),
            Some(verdict) => format!("without it {}", verdict.signature().unwrap_or_default()),
        };
        out.status(PLAIN, "Needed", format_args!("`{item}`: {word}"))?;
    }
    if !shrunk.minimal {
        let more = format!("--executions {}", args.executions.saturating_mul(4));
        out.status(BAD, "Note", format_args!("the runs did not suffice to leave out all that can go: try {more}"))?;
    }
    if !shrunk.anchored {
        out.status(BAD, "Note", "it fails only because the calm run serves the groups in the order it does")?;
    }
    if let Some(path) = &args.write {
        out.status(PLAIN, "Wrote", path.display())?;
        out.status(PLAIN, "Reproduce", format_args!("pellmell run {}", path.display()))?;
    } else {
        let again = command(&args.scenario, scenario, &args.what, seed);
        out.status(PLAIN, "Keep", format_args!("{again} --write FILE"))?;
    }
    out.line("────────────")?;
    out.line(text.trim_end())
}

fn as_json(scenario: &Scenario, seed: u64, size: &Size, shrunk: &Shrunk<Request>, text: &str) -> serde_json::Value {
    let because = shrunk.because.iter().map(|(item, verdict)| {
        let without = verdict.as_ref().map(|verdict| verdict.signature().unwrap_or_else(|| "held".to_owned()));
        json!({ "item": item.to_string(), "without": without })
    });
    let departures: Vec<String> = shrunk.departures.iter().map(ToString::to_string).collect();
    json!({
        "reason": "shrink",
        "scenario": scenario.name,
        "seed": seed,
        "verdict": shrunk.report.verdict.word(),
        "signature": shrunk.report.verdict.signature(),
        "before": { "steps": size.steps, "commands": size.commands, "departures": size.departures },
        "steps": shrunk.report.steps,
        "commands": shrunk.commands.iter().map(Vec::len).sum::<usize>(),
        "departures": departures,
        "executions": shrunk.executions,
        "because": because.collect::<Vec<_>>(),
        "minimal": shrunk.minimal,
        "anchored": shrunk.anchored,
        "toml": text,
    })
}
