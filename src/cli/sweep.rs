//! `pellmell sweep`: many seeds, failures in buckets.

pub(super) mod saved;
mod shards;

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pellmell::Scenario;
use pellmell::search::{Bucket, HoldPart, HoldSweep, HoldSweepResult, Part, SoFar, Sweep, SweepResult, Swept};
use pellmell::trace::{counts_text, hex};
use pellmell::vacuity::Findings;
use serde_json::json;

use super::environment::{Threads, folder, variable};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::run::{self, exercised, judged};
use super::stopwatch::{Stopwatch, duration};
use super::{
    BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, coverage, hold_sweep, input,
    open_seeds, shown, shrink, tell, vacuous,
};
use saved::Saved;
use shards::ShardArgs;

/// Of how many buckets the first seed is shrunk.
pub(super) const SHRUNK_MAX: usize = 10;
/// How many runs each of them may take.
const EXECUTIONS_MAX: u32 = 500;

#[derive(clap::Args)]
pub(super) struct SweepArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// The seeds, `A..B` without B; with --for also `A..`, which has no end. 0..1000 if left out, and
    /// 0.. with --for.
    #[arg(long, value_parser = open_seeds)]
    seeds: Option<Range<u64>>,
    /// Begins no run after this time, such as 30s, 10m or 2h, and reports the seeds it came to.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time_max: Option<Duration>,
    #[command(flatten)]
    threads: Threads,
    /// Keeps the result in this folder, and goes on with the one that is there: as `result.json`, or
    /// `shard-K-of-N.json` for a shard. [env: PELLMELL_OUT]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    shards: ShardArgs,
    /// How many schedules that depart from the calm run once or twice are played first; if left out all
    /// that depart once, and pairs for about two million steps.
    #[arg(long = "departures", value_name = "N", value_parser = super::number)]
    departures_max: Option<u64>,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    what: What,
}

/// What is shown of a sweep besides its seeds, and what it is held to.
#[derive(clap::Args)]
pub(super) struct Shown {
    /// Shows every delivery situation, and not only those that no run met.
    #[arg(long)]
    coverage: bool,
    /// Fails if something that is to be reached in some run was reached in none, or if something asked for
    /// did not happen in any.
    #[arg(long)]
    strict: bool,
}

impl SweepArgs {
    /// The seeds of the whole sweep.
    fn request(&self) -> Result<Range<u64>, Failure> {
        let open = 0..u64::MAX;
        match (&self.seeds, self.time_max) {
            (None, None) => Ok(0..1000),
            (None, Some(_)) => Ok(open),
            (Some(seeds), None) if seeds.end == open.end => {
                let message = format!("--seeds {}.. has no end", seeds.start);
                Err(Failure::Input(format!("{message}\n  = help: add --for TIME, such as --for 10m, or an end")))
            }
            (Some(seeds), _) => Ok(seeds.clone()),
        }
    }
}

pub(super) fn sweep(args: &SweepArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(&args.scenario, &args.what)?.for_seeds();
    let request = args.request()?;
    let chosen = shards::chosen(&args.shards, &variable)?;
    let seeds = chosen.as_ref().map_or_else(|| request.clone(), |chosen| chosen.shard.block(&request));
    if let Some(shards::Chosen { shard, from }) = &chosen {
        if request.end == u64::MAX {
            let message = format!("seeds {}.. have no end, so they cannot be divided", request.start);
            return Err(Failure::Input(format!("{message}\n  = help: give --seeds A..B")));
        }
        let which = format!("{} of {} (from {from})", shard.number(), shard.count());
        let none = if seeds.is_empty() { ": no seeds, because there are more shards" } else { "" };
        tell("Shard", &format!("{which}: seeds {}..{}{none}", seeds.start, seeds.end));
    }
    let threads = args.threads.count()?;
    let sweep = Sweep { scenario: &scenario, seeds: seeds.clone(), threads };
    // Before there is a file, so that it is whole whenever the signal comes.
    let interrupt = Interrupt::listen()?;
    let build = |error: pellmell::simulation::BuildError| Failure::Input(error.to_string());
    let shard = chosen.map(|chosen| chosen.shard);
    let simulation = scenario.simulation(scenario.seed).map_err(build)?;
    let (judges, limits, faults) = (scenario.judges(), scenario.limits, scenario.faults);
    let schedules_max = args.departures_max;
    let hold_sweep = HoldSweep::new(&simulation, &judges).with_limits(limits).with_faults(faults);
    let hold_sweep = hold_sweep.with_schedules_max(schedules_max).with_threads(threads);
    // A scenario with a schedule of its own is no calm run to depart from.
    let is_departed = scenario.schedule.is_empty() && schedules_max != Some(0);
    let plan = is_departed.then(|| hold_sweep.plan());
    let places = plan.as_ref().map_or(0..0, |plan| {
        let all = 0..plan.schedules();
        shard.map_or(all.clone(), |shard| shard.block(&all))
    });
    let departed = plan.as_ref().map(|plan| plan.none(places.start));
    let (mut saved, begun, departed) = match folder(&args.out) {
        None => (None, Part::none(seeds.start), departed),
        Some(folder) => {
            let swept = Swept::new(&args.scenario.to_string_lossy(), &scenario, &request).map_err(build)?;
            let swept = Swept { departures_max: schedules_max, ..swept };
            let new = Saved::new(&folder, shard, swept, request.clone(), seeds.clone(), places.clone());
            let (saved, begun, departed) = new.open(&folder, departed)?;
            (Some(saved), begun, departed)
        }
    };
    let departed_before = departed.as_ref().map_or(places.start, |departed| departed.places.end);
    if let Some(saved) = saved.as_ref().filter(|_| !begun.seeds.is_empty() || departed_before > places.start) {
        let schedules = match departed_before < places.end {
            true => format!("schedules {departed_before}..{} and ", places.end),
            false => String::new(),
        };
        let seeds = format!("seeds {}..{}", begun.seeds.end, seeds.end);
        tell("Goes on", &format!("with {}: {schedules}{seeds}", shown(saved.path())));
    }
    let sample = sweep.sample().map_err(build)?;
    let mut failure = None;
    let departed = match plan.as_ref().zip(departed) {
        None => None,
        Some((plan, departed)) => {
            let progress = Progress::new(places.end - places.start);
            let watch = |so_far: &SoFar<'_, HoldPart>| {
                progress.at(so_far.done, so_far.failed);
                failure = saved.as_mut().and_then(|saved| saved.at_departed(so_far.part, &begun).err());
                stop_if(failure.is_some() || interrupt.is_asked())
            };
            Some(plan.go_on(departed, places.end, watch))
        }
    };
    if let Some(failure) = failure {
        return Err(failure);
    }
    if let Some(departed) = departed.as_ref().filter(|departed| departed.places.end < places.end) {
        if let Some(saved) = &mut saved {
            saved.end_departed(departed);
            saved.write(&begun)?;
        }
        let what = format!("at schedule {} of {}..{}", departed.places.end, places.start, places.end);
        tell_interrupted(&what, saved.is_some());
        return Ok(Ending::Interrupted);
    }
    if let Some((saved, departed)) = saved.as_mut().zip(departed.as_ref()) {
        saved.end_departed(departed);
    }
    let clock = Stopwatch::start();
    let progress = Progress::new(seeds.end - seeds.start).within(args.time_max);
    let mut failure = None;
    let out_of_time = || args.time_max.is_some_and(|time_max| clock.elapsed() >= time_max);
    let watch = |so_far: &SoFar<'_>| {
        progress.at(so_far.done, so_far.failed);
        failure = saved.as_mut().and_then(|saved| saved.at(so_far.part).err());
        stop_if(failure.is_some() || interrupt.is_asked() || out_of_time())
    };
    let runs_before = begun.result.totals.runs();
    let part = sweep.go_on(begun, watch).map_err(build)?;
    progress.end(part.result.totals.runs() - runs_before);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let is_interrupted = part.seeds.end < seeds.end && interrupt.is_asked();
    if !interrupt.is_asked()
        && let Err((seed, divergence)) = sweep.compare(&sample)
    {
        let help = "what a handler keeps, keep in its store";
        return Err(Failure::Stale(format!("seed {seed}: {divergence}\n  = help: {help}")));
    }
    if let Some(saved) = &mut saved {
        if shard.is_none() && !is_interrupted {
            saved.end_at(part.seeds.end);
        }
        saved.write(&part)?;
        tell("Written", &shown(saved.path()));
    }
    let departed = departed.map(|departed| departed.result);
    let departed_hold = departed.as_ref().is_none_or(HoldSweepResult::is_held);
    let swept = Report { path: &args.scenario, scenario: &scenario, part: &part, departed, shown: &args.shown };
    let ending = swept.show(&mut Out::new(), format)?;
    if is_interrupted {
        let what = format!("at seed {} of {}..{}", part.seeds.end, seeds.start, seeds.end);
        tell_interrupted(&what, saved.is_some());
        return Ok(Ending::Interrupted);
    }
    Ok(match ending {
        // More shards than seeds is no mistake of this one.
        Ending::NothingRan if shard.is_some() && !request.is_empty() => match departed_hold {
            true => Ending::Held,
            false => Ending::Failed,
        },
        ending => ending,
    })
}

fn stop_if(asked: bool) -> ControlFlow<()> {
    if asked { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn tell_interrupted(at: &str, is_saved: bool) {
    let next = match is_saved {
        true => "the same command goes on from there",
        false => "nothing was written: with --out FOLDER the same command would go on from there",
    };
    tell("Interrupted", &format!("{at}; {next}"));
}

/// What came of seeds, to be told. It says nothing of threads, shards and interruptions, so however a
/// sweep was divided it reads the same.
pub(super) struct Report<'a> {
    pub(super) path: &'a Path,
    pub(super) scenario: &'a Scenario,
    pub(super) part: &'a Part,
    pub(super) departed: Option<HoldSweepResult>,
    pub(super) shown: &'a Shown,
}

impl Report<'_> {
    /// Prints it, and says how the sweep ends.
    pub(super) fn show(&self, out: &mut Out, format: MessageFormat) -> Result<Ending, Failure> {
        let Report { path, scenario, part, departed, shown } = self;
        let coverage = &part.result.coverage;
        let findings = part.result.vacuous(scenario).map_err(|error| Failure::Input(error.to_string()))?;
        let falls_short = shown.strict && coverage.never_reached().next().is_some();
        let rests = shown.strict && part.result.totals.runs() > 0 && !findings.void.is_empty();
        match format {
            MessageFormat::Human => {
                show_what_was_run(out, scenario, &part.seeds)?;
                if let Some(departed) = departed {
                    hold_sweep::show(out, path, scenario, departed)?;
                }
                show(out, self, &findings)?;
                if rests {
                    let many = count(findings.void.len() as u64, "thing");
                    out.status(BAD, "Strict", format_args!("{many} asked for did not happen in any run"))?;
                }
                if falls_short {
                    coverage::show_strict(out, coverage, &self.with_more_seeds())?;
                }
            }
            MessageFormat::Json => {
                if let Some(departed) = departed {
                    hold_sweep::show_json(out, path, scenario, departed)?;
                }
                show_json(out, path, scenario, part, &findings)?;
            }
        }
        let all_departed_hold = departed.as_ref().is_none_or(HoldSweepResult::is_held);
        Ok(match part.result.totals {
            totals if totals.runs() == 0 => Ending::NothingRan,
            totals if totals.held == totals.runs() && all_departed_hold && !falls_short && !rests => Ending::Held,
            _ => Ending::Failed,
        })
    }

    /// The same sweep with ten times as many seeds.
    fn with_more_seeds(&self) -> String {
        let Range { start, end } = self.part.seeds;
        let end = start.saturating_add((end - start).saturating_mul(10));
        let command = self.scenario.command("sweep", self.path);
        format!("{command} --seeds {start}..{end} --strict")
    }
}

fn show_what_was_run(out: &mut Out, scenario: &Scenario, seeds: &Range<u64>) -> Result<(), Failure> {
    let many = count(seeds.end - seeds.start, "seed");
    let what = format!("{} × {many}, {}..{}", scenario.name, seeds.start, seeds.end);
    out.status(
        PLAIN,
        "Swept",
        format_args!("{what}   design {}, profile {}{}", scenario.design.name, scenario.profile.name, by(scenario)),
    )?;
    if !scenario.schedule.is_empty() && !scenario.varies() {
        out.status(PLAIN, "Note", "the scenario's schedule leaves nothing to the seed: all runs are the same")?;
    }
    Ok(())
}

/// Who plays the seeds, unless that is a schedule.
fn by(scenario: &Scenario) -> String {
    let kind = scenario.scheduler.filter(|_| scenario.schedule.is_empty());
    kind.map_or_else(String::new, |kind| format!(", {} scheduler", kind.name()))
}

/// The failing run of a seed, shrunk: its size and its departures.
pub(super) fn show_shrunk(out: &mut Out, scenario: &Scenario, seed: u64) -> Result<(), Failure> {
    match scenario.shrink(seed, EXECUTIONS_MAX) {
        Ok(Some(found)) => {
            out.status(PLAIN, "Shrunk", format_args!("to {}", shrink::in_words(&found.shrunk.size())))?;
            out.departures(&found.scenario.schedule)
        }
        Ok(None) => Ok(()),
        Err(error) => out.status(PLAIN, "Note", format_args!("seed {seed} is not shrunk: {error}")),
    }
}

fn show(out: &mut Out, report: &Report<'_>, findings: &Findings) -> Result<(), Failure> {
    let Report { path, scenario, part, shown, .. } = report;
    let result = &part.result;
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let word = bucket.verdict.to_uppercase();
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
    let counts = counts_text(&totals.counts);
    out.status(PLAIN, "Exercised", exercised(&counts))?;
    out.status(PLAIN, "Judged", judged(&counts))?;
    if totals.runs() > 0 {
        vacuous::show_notes(out, &findings.void)?;
        vacuous::show_broker(out, findings)?;
    }
    coverage::show(out, &result.coverage, scenario, &part.seeds, shown.coverage, findings)?;
    out.status(PLAIN, "Fingerprint", hex(result.fingerprint))?;
    match by_seed(result).first() {
        Some((_, bucket)) => {
            out.status(PLAIN, "Reproduce", command("run", path, scenario, bucket.seed))?;
            out.status(PLAIN, "Shrink", command("shrink", path, scenario, bucket.seed))
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

fn show_json(out: &mut Out, path: &Path, scenario: &Scenario, part: &Part, findings: &Findings) -> Result<(), Failure> {
    let result = &part.result;
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let found = if place < SHRUNK_MAX { scenario.shrink(bucket.seed, EXECUTIONS_MAX).ok().flatten() } else { None };
        out.json(&json!({
            "reason": "bucket",
            "signature": signature,
            "verdict": bucket.verdict,
            "detail": bucket.detail,
            "seed": bucket.seed,
            "scheduler": run::scheduler_name(scenario, bucket.seed),
            "count": bucket.count,
            "departures": found.as_ref().map(|found| shrink::texts(&found.scenario.schedule)),
            "toml": found.as_ref().map(|found| &found.text),
            "reproduce": command("run", path, scenario, bucket.seed),
            "shrink": command("shrink", path, scenario, bucket.seed),
        }))?;
    }
    let totals = &result.totals;
    out.json(&json!({
        "reason": "summary",
        "scenario": scenario.name,
        "design": scenario.design.name,
        "seeds": [part.seeds.start, part.seeds.end],
        "runs": totals.runs(),
        "held": totals.held,
        "violated": totals.violated,
        "stuck": totals.stuck,
        "panicked": totals.panicked,
        "counts": totals.counts,
        "vacuous": vacuous::as_json(findings),
        "fingerprint": hex(result.fingerprint),
    }))?;
    out.json(&coverage::as_json(&result.coverage))
}
