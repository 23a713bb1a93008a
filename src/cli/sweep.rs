//! `pellmell sweep`: many seeds, failures in buckets.

use std::ops::Range;
use std::path::PathBuf;

use pellmell::Scenario;
use pellmell::search::{Bucket, Sweep, SweepResult};
use pellmell::trace::{counts_text, detail, hex};
use serde_json::json;

use super::progress::Progress;
use super::run::{self, exercised};
use super::{
    BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, coverage, hold_sweep, input, seeds,
    shrink,
};

/// Of how many buckets the first seed is shrunk.
pub(super) const SHRUNK_MAX: usize = 10;
/// How many runs each of them may take.
const EXECUTIONS_MAX: u32 = 500;

#[derive(clap::Args)]
pub(super) struct SweepArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// The seeds, `A..B` without B.
    #[arg(long, value_parser = seeds, default_value = "0..1000")]
    seeds: Range<u64>,
    /// How many threads; as many as the machine has if left out. The result does not depend on it.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// How many schedules that depart from the calm run once or twice are played first; if left out all
    /// that depart once, and pairs for about two million steps.
    #[arg(long = "departures", value_name = "N", value_parser = super::number)]
    departures_max: Option<u64>,
    /// Shows every delivery situation, and not only those that no run met.
    #[arg(long)]
    coverage: bool,
    /// Fails if something that is to be reached in some run was reached in none.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    what: What,
}

pub(super) fn sweep(args: &SweepArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(&args.scenario, &args.what)?.for_seeds();
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    let threads = args.threads.unwrap_or(cores);
    let sweep = Sweep { scenario: &scenario, seeds: args.seeds.clone(), threads };
    let total = args.seeds.end - args.seeds.start;
    let mut out = Out::new();
    if format == MessageFormat::Human {
        let what = format!("{} × {}", scenario.name, count(total, "seed"));
        out.status(
            PLAIN,
            "Sweeping",
            format_args!(
                "{what}   design {}, profile {}{}",
                scenario.design.name,
                scenario.profile.name,
                by(&scenario)
            ),
        )?;
        if !scenario.schedule.is_empty() && !scenario.varies() {
            out.status(PLAIN, "Note", "the scenario's schedule leaves nothing to the seed: all runs are the same")?;
        }
    }
    let departed = hold_sweep::play(&scenario, args.departures_max, threads)?;
    let progress = Progress::new(total);
    let result = sweep.run(|done, failed| progress.at(done, failed));
    let result = result.map_err(|error| Failure::Input(error.to_string()))?;
    progress.end(result.totals.runs());
    if let Some(departed) = &departed {
        match format {
            MessageFormat::Human => hold_sweep::show(&mut out, &args.scenario, &scenario, departed)?,
            MessageFormat::Json => hold_sweep::show_json(&mut out, &args.scenario, &scenario, departed)?,
        }
    }
    match format {
        MessageFormat::Human => show(&mut out, args, &scenario, &result)?,
        MessageFormat::Json => show_json(&mut out, args, &scenario, &result)?,
    }
    let falls_short = args.strict && result.coverage.never_reached().next().is_some();
    if falls_short && format == MessageFormat::Human {
        coverage::show_strict(&mut out, &result.coverage, &with_more_seeds(args, &scenario))?;
    }
    let all_departed_hold = departed.is_none_or(|departed| departed.is_held());
    Ok(match result.totals {
        totals if totals.runs() == 0 => Ending::NothingRan,
        totals if totals.held == totals.runs() && all_departed_hold && !falls_short => Ending::Held,
        _ => Ending::Failed,
    })
}

/// Who plays the seeds, unless that is a schedule.
fn by(scenario: &Scenario) -> String {
    let kind = scenario.scheduler.filter(|_| scenario.schedule.is_empty());
    kind.map_or_else(String::new, |kind| format!(", {} scheduler", kind.name()))
}

/// The same sweep with ten times as many seeds.
fn with_more_seeds(args: &SweepArgs, scenario: &Scenario) -> String {
    let Range { start, end } = args.seeds;
    let end = start.saturating_add((end - start).saturating_mul(10));
    format!("{} --seeds {start}..{end} --strict", scenario.command("sweep", &args.scenario.display().to_string()))
}

/// The failing run of a seed, shrunk: its size and its departures.
pub(super) fn show_shrunk(out: &mut Out, scenario: &Scenario, seed: u64) -> Result<(), Failure> {
    match scenario.shrink(seed, EXECUTIONS_MAX) {
        Ok(Some(found)) => {
            out.status(PLAIN, "Shrunk", format_args!("to {}", shrink::in_words(&found.shrunk.size())))?;
            let departures = found.scenario.schedule.iter();
            departures.into_iter().try_for_each(|departure| out.status(PLAIN, "Departs", departure))
        }
        Ok(None) => Ok(()),
        Err(error) => out.status(PLAIN, "Note", format_args!("seed {seed} is not shrunk: {error}")),
    }
}

fn show(out: &mut Out, args: &SweepArgs, scenario: &Scenario, result: &SweepResult) -> Result<(), Failure> {
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let word = bucket.verdict.word().to_uppercase();
        let steps = count(bucket.steps, "step");
        out.status(
            BAD,
            &word,
            format_args!(
                "{signature}   {}, first seed {}{}, {steps}",
                count(bucket.count, "run"),
                bucket.seed,
                by(&scenario.for_seed(bucket.seed))
            ),
        )?;
        if place < SHRUNK_MAX {
            show_shrunk(out, scenario, bucket.seed)?;
        }
    }
    let totals = &result.totals;
    let failed = format!("{} violated, {} stuck, {} panicked", totals.violated, totals.stuck, totals.panicked);
    let style = if totals.held == totals.runs() { GOOD } else { BAD };
    out.line("────────────")?;
    out.status(
        style,
        "Summary",
        format_args!(
            "{}: {} held, {failed}; {}",
            count(totals.runs(), "run"),
            totals.held,
            count(result.buckets.len() as u64, "bucket")
        ),
    )?;
    out.status(PLAIN, "Exercised", exercised(&counts_text(&totals.counts)))?;
    coverage::show(out, &result.coverage, scenario, &args.seeds, args.coverage)?;
    out.status(PLAIN, "Fingerprint", hex(result.fingerprint))?;
    match by_seed(result).first() {
        Some((_, bucket)) => {
            out.status(PLAIN, "Reproduce", command("run", &args.scenario, scenario, bucket.seed))?;
            out.status(PLAIN, "Shrink", command("shrink", &args.scenario, scenario, bucket.seed))
        }
        None => Ok(()),
    }
}

/// The buckets, the one with the smallest seed first.
fn by_seed(result: &SweepResult) -> Vec<(&String, &Bucket)> {
    let mut buckets: Vec<_> = result.buckets.iter().collect();
    buckets.sort_by_key(|(_, bucket)| bucket.seed);
    buckets
}

fn show_json(out: &mut Out, args: &SweepArgs, scenario: &Scenario, result: &SweepResult) -> Result<(), Failure> {
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let found = if place < SHRUNK_MAX { scenario.shrink(bucket.seed, EXECUTIONS_MAX).ok().flatten() } else { None };
        out.json(&json!({
            "reason": "bucket",
            "signature": signature,
            "verdict": bucket.verdict.word(),
            "detail": detail(&bucket.verdict),
            "seed": bucket.seed,
            "scheduler": run::scheduler_name(scenario, bucket.seed),
            "count": bucket.count,
            "departures": found.as_ref().map(|found| shrink::texts(&found.scenario.schedule)),
            "toml": found.as_ref().map(|found| &found.text),
            "reproduce": command("run", &args.scenario, scenario, bucket.seed),
            "shrink": command("shrink", &args.scenario, scenario, bucket.seed),
        }))?;
    }
    let totals = &result.totals;
    out.json(&json!({
        "reason": "summary",
        "scenario": scenario.name,
        "design": scenario.design.name,
        "seeds": [args.seeds.start, args.seeds.end],
        "runs": totals.runs(),
        "held": totals.held,
        "violated": totals.violated,
        "stuck": totals.stuck,
        "panicked": totals.panicked,
        "counts": totals.counts,
        "fingerprint": hex(result.fingerprint),
    }))?;
    out.json(&coverage::as_json(&result.coverage))
}
