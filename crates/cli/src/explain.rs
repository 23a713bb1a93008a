//! `pellmell explain`: what made a run fail, step by step and in words.

use std::path::PathBuf;

use anstyle::Style;
use pellmell_core::Time;
use pellmell_core::escape::{file_for_shell, for_terminal};
use pellmell_core::explain::{ExplainedStep, Explanation, LINE_MAX, STEPS_SHOWN};
use pellmell_core::shrink::{Item, NothingToShrink};
use pellmell_core::trace::in_words;
use pellmell_scenario::any::{AnyScenario, AnySystem, NotExplained, Smallest};
use serde_json::{Value, json};

use super::input::Input;
use super::log::{Log, LogArgs};
use super::shrink::texts;
use super::{
    BAD, DIM, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, input, number, program, replay, shown,
    sweep_command, timeline,
};
use super::{Ending, timeline::fit};

/// How narrow a service's column may become.
const COLUMN_MIN: usize = 12;
/// The heading of the column of shares.
const SHARE: &str = "P(violated)";
/// How wide a share is with what marks the turn.
const SHARE_WIDTH: usize = 7;
/// What marks a step in which something shows that is needed.
const MARK: &str = "  ◀ necessary";

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
        Input::Scenario(mut scenario) => {
            input::apply(&mut *scenario, &args.what)?;
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
            out.status(PLAIN, "Next", next)?;
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
        for (place, line) in paragraph.lines().enumerate() {
            out.status(style, if place == 0 { &paragraph.word } else { "" }, line)?;
        }
    }
    if !shrunk.minimal {
        let more = format!("--executions {}", args.executions.saturating_mul(4));
        out.status(BAD, "Note", format_args!("the runs did not suffice to leave out all that can go: try {more}"))?;
    }
    // What is in a trace is played again by `replay`; a scenario can be shrunk.
    match args.file.extension().is_some_and(|ending| ending == "jsonl") {
        true => out.status(PLAIN, "Next", format_args!("{} replay {}", program(), file_for_shell(&args.file))),
        false => {
            let shrink = command("shrink", &args.file, scenario, seed);
            out.status(PLAIN, "Next", format_args!("{shrink} --write FILE"))
        }
    }
}

/// The steps, a column for each service, and how likely the failure is after each.
fn table(out: &mut Out, explanation: &Explanation, log: &Log) -> Result<(), Failure> {
    let skipped = explanation.steps.len().saturating_sub(STEPS_SHOWN);
    let (services, rows) = (&explanation.services, &explanation.steps[skipped..]);
    let mut cells: Vec<Option<Vec<String>>> = rows.iter().map(|row| timeline::cells(&row.record, services)).collect();
    let mut widths = timeline::widths(services, cells.iter().flatten());
    let marks = rows.iter().map(|row| long_mark(row).chars().count()).max().unwrap_or(0);
    let rest = 19 + 3 * services.len() + SHARE_WIDTH;
    if widths.iter().sum::<usize>() + rest + marks.max(MARK.chars().count()) > LINE_MAX {
        cells.iter_mut().flatten().flatten().for_each(|cell| *cell = shorter(cell));
        widths = timeline::widths(services, cells.iter().flatten());
        narrow(&mut widths, LINE_MAX.saturating_sub(rest + MARK.chars().count()));
    }
    let across = widths.iter().sum::<usize>() + 3 * widths.len().saturating_sub(1);
    let names = timeline::pad(services, &widths).join(" │ ");
    out.parts(&[(PLAIN, &format!(" step          t │ {names} │ {SHARE}"))])?;
    let before = match skipped as u64 {
        0 => "before the first step".to_owned(),
        hidden => format!("{} up to here not shown", count(hidden, "step")),
    };
    let share = match skipped.checked_sub(1) {
        None => explanation.before,
        Some(place) => explanation.steps[place].failure_rate,
    };
    let (step, plain) = (format!("{skipped:>5} {:>10} │ ", ""), Style::new());
    out.parts(&[(plain, &step), (DIM, &fit(&before, across)), (plain, &format!(" │ {share:>5}"))])?;
    for (row, cells) in rows.iter().zip(&cells) {
        let time = Time(row.record.time_us).to_string();
        let (style, what) = match cells {
            Some(cells) => (plain, timeline::pad(cells, &widths).join(" │ ")),
            // What no service did goes across.
            None => (DIM, fit(&for_terminal(&row.record.action), across)),
        };
        let turn = if explanation.turning_point == Some(row.record.step) { " ▲" } else { "" };
        let (step, share) = (format!("{:>5} {time:>10} │ ", row.record.step), row.failure_rate.to_string());
        let mark = mark(row, LINE_MAX.saturating_sub(19 + across + 3 + SHARE_WIDTH));
        let gap = if turn.is_empty() && !mark.is_empty() { "  " } else { "" };
        out.parts(&[(plain, &step), (style, &what), (plain, &format!(" │ {share:>5}{turn}{gap}")), (BAD, &mark)])?;
        timeline::logged(out, log, row.record.step, &time)?;
    }
    Ok(())
}

/// A cell in fewer words, where there are many columns.
fn shorter(cell: &str) -> String {
    cell.replace(" fires ✓", " ✓").replace("clock: timer", "timer").replace(" ✓ saves ", " → ")
}

/// Takes width from the widest columns until all of them fit.
fn narrow(widths: &mut [usize], most: usize) {
    while widths.iter().sum::<usize>() > most {
        match widths.iter_mut().max() {
            Some(widest) if *widest > COLUMN_MIN => *widest -= 1,
            _ => break,
        }
    }
}

/// The departures that show in a step, if there is room for them.
fn mark(row: &ExplainedStep, width: usize) -> String {
    let long = long_mark(row);
    if long.chars().count() > width { MARK.to_owned() } else { long }
}

fn long_mark(row: &ExplainedStep) -> String {
    let names = row.necessary_in_brief();
    if names.is_empty() { names } else { format!("{MARK}: {}", for_terminal(&names)) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_taken_from_the_widest_columns() {
        let narrowed = |mut widths: Vec<usize>, most| {
            narrow(&mut widths, most);
            widths
        };
        assert_eq!(narrowed(vec![40, 20, 30], 70), [25, 20, 25]);
        assert_eq!(narrowed(vec![20, 20], 60), [20, 20]);
        assert_eq!(narrowed(vec![40, 8], 10), [COLUMN_MIN, 8]);
    }
}
