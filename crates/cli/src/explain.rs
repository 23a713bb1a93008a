//! `pellmell explain`: what made a run fail, step by step and in words.

use std::path::PathBuf;

use pellmell_core::escape::file_for_shell;
use pellmell_core::explain::{Explanation, STEPS_SHOWN};
use pellmell_core::shrink::{Item, NothingToShrink};
use pellmell_core::trace::in_words;
use pellmell_scenario::any::{AnyScenario, AnySystem, NotExplained, Smallest};
use serde_json::{Value, json};

use super::grid::{Cells, Grid, Row};
use super::input::Input;
use super::layout::width;
use super::log::{Log, LogArgs};
use super::shrink::texts;
use super::{
    BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, input, number, program, replay, shown,
    sweep_command, timeline,
};

/// The heading of the column of failure rates.
const RATE: &str = "P(violated)";
/// How wide a line is for that heading; where it is narrower, one letter must do.
const WIDE: usize = 80;

#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// A scenario file, an entry of the corpus, or a trace written by `run --trace`.
    file: PathBuf,
    /// With a scenario: the number that fixes all chance; the scenario's own if left out.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// How many continuations are played from each step.
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    continuations: u32,
    /// The most runs that shrinking may take.
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u32).range(1..))]
    executions: u32,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    what: What,
}

pub(super) fn explain(system: &dyn AnySystem, args: &ExplainArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let (scenario, seed) = scenario(system, args)?;
    let mut out = Out::new();
    let explained = scenario.explain(seed, args.executions, args.continuations).map_err(|error| match error {
        NotExplained::Shrink(error) => error.into(),
        NotExplained::TooLarge(error) => {
            let more = args.executions.saturating_mul(4);
            Failure::Input(format!("{error}\n  = help: let shrinking take more runs: --executions {more}"))
        }
    })?;
    let Some((smallest, explanation)) = explained else {
        return nothing(&mut out, args, &*scenario, seed, format);
    };
    // The steps that are explained once more, for what is logged in them.
    let small = &smallest.scenario;
    let (_, log) = args.log.during(|after| small.record(small.settings().seed, after));
    match format {
        MessageFormat::Human => show(&mut out, args, &*scenario, seed, (&smallest, &explanation, &log))?,
        MessageFormat::Json => out.json(&as_json(&*scenario, seed, &smallest, &explanation))?,
    }
    Ok(Ending::Held)
}

/// What is explained, and the seed.
fn scenario(system: &dyn AnySystem, args: &ExplainArgs) -> Result<(Box<dyn AnyScenario>, u64), Failure> {
    match input::any(system, &args.file)? {
        Input::Trace(_) if args.seed.is_some() || !args.what.is_empty() => {
            let message = format!("{} is a trace: what was run is in it", shown(&args.file));
            Err(Failure::Input(format!("{message}\n  = help: leave the flags that change it out")))
        }
        Input::Trace(trace) => Ok((replay::scenario_of(system, &args.file, &trace)?, trace.header.seed)),
        Input::Scenario(scenario) => {
            let scenario = input::apply(&args.file, scenario, &args.what)?;
            let seed = args.seed.unwrap_or(scenario.settings().seed);
            Ok((scenario, seed))
        }
    }
}

/// Says that the run holds, and how to find one that does not.
fn nothing(
    out: &mut Out,
    args: &ExplainArgs,
    scenario: &dyn AnyScenario,
    seed: u64,
    format: MessageFormat,
) -> Result<Ending, Failure> {
    let next = sweep_command(&args.file, scenario);
    match format {
        MessageFormat::Human => {
            let why = NothingToShrink.to_string().replace("shrink", "explain");
            out.status(GOOD, "HELD", format_args!("{} seed {seed}: {why}", scenario.settings().name))?;
            out.command(PLAIN, "Next", &next)?;
        }
        MessageFormat::Json => out.json(&json!({
            "reason": "explain", "scenario": scenario.settings().name, "seed": seed, "verdict": "held", "next": next,
        }))?,
    }
    Ok(Ending::NothingRan)
}

fn show(
    out: &mut Out,
    args: &ExplainArgs,
    scenario: &dyn AnyScenario,
    seed: u64,
    (smallest, explanation, log): (&Smallest, &Explanation, &Log),
) -> Result<(), Failure> {
    let shrunk = &smallest.shrunk;
    let what = format!("{} seed {seed}, design {}", scenario.settings().name, scenario.rules());
    out.status(PLAIN, "Explaining", format_args!("{what}, shrunk to {}", explanation.size_in_words()))?;
    out.departures(&shrunk.departures)?;
    out.line("")?;
    table(out, explanation, log)?;
    out.line("")?;
    for paragraph in explanation.paragraphs() {
        let style = if paragraph.word == explanation.report.verdict.word().to_uppercase() { BAD } else { PLAIN };
        out.status(style, &paragraph.word, &paragraph.text)?;
    }
    if !shrunk.minimal {
        let more = format!("--executions {}", args.executions.saturating_mul(4));
        out.status(BAD, "Note", format_args!("the runs did not suffice to leave out all that can go: try {more}"))?;
    }
    // What is in a trace is played again by `replay`; a scenario can be shrunk.
    match args.file.extension().is_some_and(|ending| ending == "jsonl") {
        true => out.command(PLAIN, "Next", &format!("{} replay {}", program(), file_for_shell(&args.file))),
        false => {
            let shrink = command("shrink", &args.file, scenario, seed);
            out.command(PLAIN, "Next", &format!("{shrink} --write FILE"))
        }
    }
}

/// The steps, a column for each service, and how likely the failure is after each.
fn table(out: &mut Out, explanation: &Explanation, log: &Log) -> Result<(), Failure> {
    let skipped = explanation.steps.len().saturating_sub(STEPS_SHOWN);
    let (services, steps) = (&explanation.services, &explanation.steps[skipped..]);
    let before = match skipped as u64 {
        0 => "before the first step".to_owned(),
        hidden => format!("{} up to here not shown", count(hidden, "step")),
    };
    let rate = skipped.checked_sub(1).map_or(explanation.before, |place| explanation.steps[place].failure_rate);
    let begin = Row {
        front: vec![skipped.to_string(), String::new()],
        cells: Cells::Across(before),
        last: format!("{rate:>5}"),
        ..Row::default()
    };
    let rows = steps.iter().map(|step| {
        let turn = if explanation.turning_point == Some(step.record.step) { " ▲" } else { "" };
        let names = step.necessary_in_brief();
        let necessary = (!names.is_empty()).then(|| (BAD, format!("◀ necessary: {names}")));
        let row = timeline::row(&step.record, services, log);
        let last = format!("{:>5}{turn}", step.failure_rate.to_string());
        Row { last, marks: necessary.into_iter().collect(), instead: None, ..row }
    });
    let rows = std::iter::once(begin).chain(rows).collect();
    let heading = if width() < WIDE { ("P", 7) } else { (RATE, RATE.len()) };
    Grid { last: Some(heading), ..timeline::timeline(services, rows) }.show(out)
}

fn as_json(scenario: &dyn AnyScenario, seed: u64, smallest: &Smallest, explanation: &Explanation) -> Value {
    let shrunk = &smallest.shrunk;
    let rows = explanation.steps.iter().map(|row| {
        json!({
            "step": row.record.step,
            "record": row.record,
            "failing": row.failure_rate.failing,
            "percent": row.failure_rate.to_string(),
            "necessary": texts(&row.necessary),
            "any_order": row.anywhere,
        })
    });
    let without = explanation.without.iter().map(|without| {
        let items: Vec<String> = without.items.iter().map(Item::to_string).collect();
        json!({ "items": items, "verdict": without.verdict.as_ref().map(in_words) })
    });
    let endings = explanation.endings.iter().map(|ending| {
        let enough = ending.enough.as_ref().map(|end| json!({ "step": end.step, "end": end.what.to_string() }));
        let too_early = ending
            .too_early
            .as_ref()
            .map(|end| json!({ "step": end.step, "end": end.what.to_string(), "verdict": in_words(&end.verdict) }));
        json!({ "departure": ending.departure.to_string(), "enough": enough, "too_early": too_early })
    });
    let calm = &explanation.calm;
    json!({
        "reason": "explain",
        "scenario": scenario.settings().name,
        "design": scenario.design(),
        "seed": seed,
        "verdict": explanation.report.verdict.word(),
        "signature": explanation.report.verdict.signature(),
        "detail": in_words(&explanation.report.verdict),
        "departures": texts(&shrunk.departures),
        "continuations": explanation.before.of,
        "services": explanation.services,
        "before": { "failing": explanation.before.failing, "percent": explanation.before.to_string() },
        "steps": rows.collect::<Vec<_>>(),
        "turn": explanation.turning_point,
        "settled": explanation.settled,
        "any_order": explanation.anywhere,
        "calm": {
            "verdict": in_words(&calm.verdict),
            "differs_at": calm.differs.as_ref().map(|first| first.step),
            "does_there": calm.differs.as_ref().and_then(|first| first.calm.as_ref()).map(|record| &record.action),
        },
        "why": explanation.why,
        "without": without.collect::<Vec<_>>(),
        "endings": endings.collect::<Vec<_>>(),
        "minimal": shrunk.minimal,
        "anchors": explanation.anchors.as_deref().map(texts),
    })
}
