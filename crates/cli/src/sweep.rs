//! `pellmell sweep`: many seeds, failures in buckets.

pub(super) mod saved;
mod shards;

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pellmell_core::search::{Bucket, HoldPart, HoldSweepResult, Part as SweptPart, SoFar, SweepResult};
use pellmell_core::trace::{counts_text, hex};
use pellmell_core::vacuity::Findings;
use pellmell_report::report::{Cell, Fact, Part, Report, Row, Story, To, Tone};
use pellmell_scenario::any::{AnyHoldPlan, AnyScenario, AnySystem};
use pellmell_scenario::results::{Shard, Swept};
use serde_json::json;

use super::environment::{Threads, folder, variable};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::report::{self, Fails, ReportArgs, Written};
use super::run::{exercised, judged};
use super::stopwatch::{Stopwatch, duration};
use super::{
    BAD, DIM, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, count, coverage, export, grouped,
    hold_sweep, input, open_seeds, shown, shrink, tell, vacuous,
};
use saved::Saved;
use shards::ShardArgs;

/// Of how many buckets the first seed is shrunk.
pub(super) const SHRUNK_MAX: usize = 10;
/// How many runs each of them may take.
pub(super) const EXECUTIONS_MAX: u32 = 500;

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
    #[command(flatten)]
    pub(super) report: ReportArgs,
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

pub(super) fn sweep(system: &dyn AnySystem, args: &SweepArgs, format: MessageFormat) -> Result<Ending, Failure> {
    args.shown.report.check()?;
    let mut scenario = input::scenario(system, &args.scenario, &args.what)?;
    scenario.settings_mut().settle_for_seeds();
    let scenario = &*scenario;
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
    let shard = chosen.map(|chosen| chosen.shard);
    // Before there is a file, so that it is whole whenever the signal comes.
    let interrupt = Interrupt::listen()?;
    let sweeping = Sweeping { args, scenario, request, seeds, threads, shard, interrupt };
    // A scenario with a schedule of its own is no calm run to depart from.
    if !scenario.settings().schedule.is_empty() || args.departures_max == Some(0) {
        return sweeping.run(None, format);
    }
    let mut ended = None;
    let planned = scenario.with_hold_plan(args.departures_max, threads, &mut |plan| {
        ended = Some(sweeping.run(Some(plan), format));
    });
    planned.map_err(build)?;
    ended.expect("a plan was made")
}

fn build(error: pellmell_core::simulation::BuildError) -> Failure {
    Failure::Input(error.to_string())
}

/// A sweep, or a shard of one, that is about to run.
struct Sweeping<'a> {
    args: &'a SweepArgs,
    scenario: &'a dyn AnyScenario,
    /// The seeds of the whole sweep.
    request: Range<u64>,
    /// Those of this shard.
    seeds: Range<u64>,
    threads: u32,
    shard: Option<Shard>,
    interrupt: Interrupt,
}

impl Sweeping<'_> {
    fn run(&self, plan: Option<&dyn AnyHoldPlan>, format: MessageFormat) -> Result<Ending, Failure> {
        let Sweeping { args, scenario, request, seeds, threads, shard, interrupt } = self;
        let places = plan.map_or(0..0, |plan| {
            let all = 0..plan.schedules();
            shard.map_or(all.clone(), |shard| shard.block(&all))
        });
        let departed = plan.map(|plan| plan.none(places.start));
        let (mut saved, begun, departed) = match folder(&args.out) {
            None => (None, SweptPart::none(seeds.start), departed),
            Some(folder) => {
                let swept = scenario.swept(&args.scenario.to_string_lossy(), request).map_err(build)?;
                let swept = Swept { departures_max: args.departures_max, ..swept };
                let new = Saved::new(&folder, *shard, swept, request.clone(), seeds.clone(), places.clone());
                let (saved, begun, departed) = new.open(&folder, departed)?;
                (Some(saved), begun, departed)
            }
        };
        self.tell_where(saved.as_ref(), &begun, departed.as_ref(), &places);
        let sample = scenario.sample(seeds).map_err(build)?;
        let departed = match plan.zip(departed) {
            None => None,
            Some((plan, departed)) => Some(self.depart(plan, departed, &places, &mut saved, &begun)?),
        };
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
        let mut watch = |so_far: &SoFar<'_>| {
            progress.at(so_far.done, so_far.failed);
            failure = saved.as_mut().and_then(|saved| saved.at(so_far.part).err());
            stop_if(failure.is_some() || interrupt.is_asked() || out_of_time())
        };
        let runs_before = begun.result.totals.runs();
        let part = scenario.sweep(seeds, *threads, begun, &mut watch).map_err(build)?;
        progress.end(part.result.totals.runs() - runs_before);
        if let Some(failure) = failure {
            return Err(failure);
        }
        let is_interrupted = part.seeds.end < seeds.end && interrupt.is_asked();
        if !interrupt.is_asked()
            && let Err((seed, divergence)) = scenario.compare(seeds, &sample)
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
        let swept = Told { path: &args.scenario, scenario: *scenario, part: &part, departed, shown: &args.shown };
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

    /// Says from where it goes on, if something is done already.
    fn tell_where(&self, saved: Option<&Saved>, begun: &SweptPart, departed: Option<&HoldPart>, places: &Range<u64>) {
        let departed_before = departed.map_or(places.start, |departed| departed.places.end);
        if let Some(saved) = saved.filter(|_| !begun.seeds.is_empty() || departed_before > places.start) {
            let schedules = match departed_before < places.end {
                true => format!("schedules {departed_before}..{} and ", places.end),
                false => String::new(),
            };
            let seeds = format!("seeds {}..{}", begun.seeds.end, self.seeds.end);
            tell("Goes on", &format!("with {}: {schedules}{seeds}", shown(saved.path())));
        }
    }

    /// Plays the schedules of the hold sweep that are not done.
    fn depart(
        &self,
        plan: &dyn AnyHoldPlan,
        departed: HoldPart,
        places: &Range<u64>,
        saved: &mut Option<Saved>,
        begun: &SweptPart,
    ) -> Result<HoldPart, Failure> {
        let progress = Progress::new(places.end - places.start);
        let mut failure = None;
        let mut watch = |so_far: &SoFar<'_, HoldPart>| {
            progress.at(so_far.done, so_far.failed);
            failure = saved.as_mut().and_then(|saved| saved.at_departed(so_far.part, begun).err());
            stop_if(failure.is_some() || self.interrupt.is_asked())
        };
        let departed = plan.go_on(departed, places.end, &mut watch);
        match failure {
            Some(failure) => Err(failure),
            None => Ok(departed),
        }
    }
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
pub(super) struct Told<'a> {
    pub(super) path: &'a Path,
    pub(super) scenario: &'a dyn AnyScenario,
    pub(super) part: &'a SweptPart,
    pub(super) departed: Option<HoldSweepResult>,
    pub(super) shown: &'a Shown,
}

impl Told<'_> {
    /// Prints it, writes its report if one is asked for, and says how the sweep ends.
    pub(super) fn show(&self, out: &mut Out, format: MessageFormat) -> Result<Ending, Failure> {
        let Told { path, scenario, part, departed, shown } = self;
        let scenario = *scenario;
        let coverage = &part.result.coverage;
        let findings = scenario.vacuous_in_sweep(&part.result).map_err(|error| Failure::Input(error.to_string()))?;
        let (falls_short, rests) = (self.falls_short(), self.rests(&findings));
        let all_departed_hold = departed.as_ref().is_none_or(HoldSweepResult::is_held);
        let ending = match part.result.totals {
            totals if totals.runs() == 0 => Ending::NothingRan,
            totals if totals.held == totals.runs() && all_departed_hold && !falls_short && !rests => Ending::Held,
            _ => Ending::Failed,
        };
        let written = shown.report.write(|| self.report(ending, &findings));
        match format {
            MessageFormat::Human => {
                show_what_was_run(out, scenario, &part.seeds)?;
                if let Some(departed) = departed {
                    hold_sweep::show(out, path, scenario, departed)?;
                }
                show(out, self, &findings)?;
                out.facts(&self.strict(&findings))?;
                if falls_short {
                    out.command(PLAIN, "Next", &self.with_more_seeds())?;
                }
                written.tell(out)?;
            }
            MessageFormat::Json => {
                if let Some(departed) = departed {
                    hold_sweep::show_json(out, path, scenario, departed)?;
                }
                show_json(out, path, scenario, part, &findings, &written)?;
                out.json(&coverage::as_json(coverage))?;
            }
        }
        written.ending(ending)
    }

    /// Whether it fails because something that is to be reached was not.
    fn falls_short(&self) -> bool {
        self.shown.strict && self.part.result.coverage.never_reached().next().is_some()
    }

    /// Whether it fails because it rests on what did not happen.
    fn rests(&self, findings: &Findings) -> bool {
        self.shown.strict && self.part.result.totals.runs() > 0 && !findings.void.is_empty()
    }

    /// Why it fails with `--strict`.
    fn strict(&self, findings: &Findings) -> Vec<Fact> {
        let many = count(findings.void.len() as u64, "thing");
        let rests = Fact::new(Tone::Bad, "Strict", format_args!("{many} asked for did not happen in any run"));
        let rests = Some(rests).filter(|_| self.rests(findings));
        rests.into_iter().chain(self.falls_short().then(|| coverage::strict(&self.part.result.coverage))).collect()
    }

    /// The same sweep with ten times as many seeds.
    fn with_more_seeds(&self) -> String {
        let Range { start, end } = self.part.seeds;
        let end = start.saturating_add((end - start).saturating_mul(10));
        let command = self.scenario.command("sweep", self.path);
        format!("{command} --seeds {start}..{end} --strict")
    }

    /// What is printed, as pages.
    fn report(&self, ending: Ending, findings: &Findings) -> Result<Report, Failure> {
        let Told { path, scenario, part, departed, .. } = self;
        let (scenario, result, seeds) = (*scenario, &part.result, &part.seeds);
        let (tone, heading) = match ending {
            Ending::Held => (Tone::Good, "HELD"),
            Ending::Failed => (Tone::Bad, "FAILED"),
            _ => (Tone::Unsure, "NOTHING RAN"),
        };
        let (title, place) = what_was_run(scenario, seeds);
        let mut report = Report { verb: "sweep", title, place, tone, heading: heading.to_owned(), ..Report::default() };
        report.details = departed.iter().map(HoldSweepResult::summary).chain([summary(result)]).collect();
        let seeds_given = format!("{} --seeds {}..{}", scenario.command("sweep", path), seeds.start, seeds.end);
        report.commands.push(("Again".to_owned(), seeds_given));
        let mut strict = self.strict(findings);
        if self.falls_short() {
            strict.push(Fact::new(Tone::Plain, "Next", format_args!("`{}`", self.with_more_seeds())));
        }
        report.add_section("Strict", Part::facts(strict));
        if let Some(departed) = departed {
            hold_sweep::report(&mut report, path, scenario, departed)?;
        }
        let parts = buckets(&mut report, path, scenario, result)?;
        report.add_section("Seeds", parts);
        let mut facts = exercised_and_judged(result);
        facts.extend(fixed(scenario));
        if result.totals.runs() > 0 {
            facts.extend(vacuous::notes(&findings.void));
            facts.extend(vacuous::of_broker(findings));
        }
        facts.push(Fact::new(Tone::Plain, "Fingerprint", hex(result.fingerprint)));
        report.add_section("What the runs did, and what was judged", [Part::Facts(facts)]);
        coverage::report(&mut report, &result.coverage, scenario, seeds, findings);
        Ok(report)
    }
}

/// A report's part about the seeds: a table of all buckets if there are several, and a story of each.
fn buckets(
    report: &mut Report,
    path: &Path,
    scenario: &dyn AnyScenario,
    result: &SweepResult,
) -> Result<Vec<Part>, Failure> {
    let tone = if result.totals.held == result.totals.runs() { Tone::Good } else { Tone::Bad };
    let mut parts = vec![Part::Facts(vec![Fact::new(tone, "Summary", summary(result))])];
    let told_before = report.stories().count();
    let (mut rows, mut stories) = (Vec::new(), Vec::new());
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let verdict = bucket.verdict.to_uppercase();
        let heading = Cell { to: Some(To::Story(told_before + place)), ..Cell::from(signature.as_str()) };
        let cells = [grouped(bucket.count), bucket.seed.to_string(), grouped(bucket.steps)].map(Cell::from);
        let verdict_cell = Cell { tone: Tone::Bad, ..Cell::from(verdict.as_str()) };
        rows.push(Row { heading, cells: std::iter::once(verdict_cell).chain(cells).collect() });
        let story = Story {
            heading: format!("{verdict} {signature}"),
            tone: Tone::Bad,
            often: often(scenario, bucket),
            detail: bucket.detail.clone(),
            ..Story::default()
        };
        let (words, seed) = (report::first_word(signature), bucket.seed);
        let commands = export::commands(path, scenario, seed, true);
        let fails = Fails { scenario, seed, words, executions: EXECUTIONS_MAX, commands, text: None };
        stories.push(report::bucket(report, place, fails, story, &[])?);
    }
    if rows.len() > 1 {
        let columns = ["way to fail", "verdict", "runs", "first seed", "steps"];
        parts.extend(Part::table("Ways to fail", &columns, rows));
    }
    parts.extend(stories);
    Ok(parts)
}

/// What was swept, and by which rules.
fn what_was_run(scenario: &dyn AnyScenario, seeds: &Range<u64>) -> (String, String) {
    let many = count(seeds.end - seeds.start, "seed");
    let what = format!("{} × {many}, {}..{}", scenario.settings().name, seeds.start, seeds.end);
    let profile = scenario.settings().profile.name;
    (what, format!("design {}, profile {profile}{}", scenario.design(), by(scenario)))
}

/// That all runs are the same, if they are.
fn fixed(scenario: &dyn AnyScenario) -> Option<Fact> {
    let is_fixed = !scenario.settings().schedule.is_empty() && !scenario.varies();
    let said = "the scenario's schedule leaves nothing to the seed: all runs are the same";
    is_fixed.then(|| Fact::new(Tone::Plain, "Note", said))
}

fn show_what_was_run(out: &mut Out, scenario: &dyn AnyScenario, seeds: &Range<u64>) -> Result<(), Failure> {
    let (what, place) = what_was_run(scenario, seeds);
    out.status(PLAIN, "Swept", format_args!("{what}   {place}"))?;
    out.facts(&fixed(scenario))
}

/// Who plays the seeds, unless that is a schedule.
fn by(scenario: &dyn AnyScenario) -> String {
    let kind = scenario.settings().scheduler.filter(|_| scenario.settings().schedule.is_empty());
    kind.map_or_else(String::new, |kind| format!(", {} scheduler", kind.name()))
}

/// Who plays one seed, unless that is a schedule.
fn by_for(scenario: &dyn AnyScenario, seed: u64) -> String {
    let mut scenario = scenario.copy();
    scenario.settings_mut().settle_for_seed(seed);
    by(&*scenario)
}

/// The failing run of a seed, shrunk: its size and its departures.
pub(super) fn show_shrunk(out: &mut Out, scenario: &dyn AnyScenario, seed: u64) -> Result<(), Failure> {
    match scenario.shrink(seed, EXECUTIONS_MAX) {
        Ok(Some(found)) => {
            out.status(PLAIN, "Shrunk", format_args!("to {}", shrink::in_words(&found.shrunk.size())))?;
            out.departures(&found.scenario.settings().schedule)
        }
        Ok(None) => Ok(()),
        Err(error) => out.status(PLAIN, "Note", format_args!("seed {seed} is not shrunk: {error}")),
    }
}

/// How often a bucket was met, and where first.
fn often(scenario: &dyn AnyScenario, bucket: &Bucket) -> String {
    let (runs, steps) = (count(bucket.count, "run"), count(bucket.steps, "step"));
    format!("{runs}, first seed {}{}, {steps}", bucket.seed, by_for(scenario, bucket.seed))
}

/// How many runs came to what.
fn summary(result: &SweepResult) -> String {
    let totals = &result.totals;
    let failed = format!("{} violated, {} stuck, {} panicked", totals.violated, totals.stuck, totals.panicked);
    let buckets = count(result.buckets.len() as u64, "bucket");
    format!("{}: {} held, {failed}; {buckets}", count(totals.runs(), "run"), totals.held)
}

/// What the runs did, and what of it was judged.
fn exercised_and_judged(result: &SweepResult) -> Vec<Fact> {
    let counts = counts_text(&result.totals.counts);
    let facts = [("Exercised", exercised(&counts)), ("Judged", judged(&counts))];
    facts.map(|(word, text)| Fact::new(Tone::Plain, word, text)).to_vec()
}

fn show(out: &mut Out, told: &Told<'_>, findings: &Findings) -> Result<(), Failure> {
    let Told { path, scenario, part, shown, .. } = told;
    let scenario = *scenario;
    let result = &part.result;
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let word = bucket.verdict.to_uppercase();
        out.status(BAD, &word, format_args!("{signature}   {}", often(scenario, bucket)))?;
        if place < SHRUNK_MAX {
            show_shrunk(out, scenario, bucket.seed)?;
        }
    }
    if result.buckets.len() > SHRUNK_MAX {
        let buckets = count(result.buckets.len() as u64, "bucket");
        out.status(DIM, "", format_args!("of {buckets} the first {SHRUNK_MAX} are shrunk"))?;
    }
    let totals = &result.totals;
    let style = if totals.held == totals.runs() { GOOD } else { BAD };
    out.line("────────────")?;
    out.status(style, "Summary", summary(result))?;
    out.facts(&exercised_and_judged(result))?;
    if totals.runs() > 0 {
        out.facts(&vacuous::notes(&findings.void))?;
        vacuous::show_broker(out, findings)?;
    }
    coverage::show(out, &result.coverage, scenario, &part.seeds, shown.coverage, findings)?;
    out.status(PLAIN, "Fingerprint", hex(result.fingerprint))?;
    match by_seed(result).first() {
        Some((_, bucket)) => {
            out.command(PLAIN, "Reproduce", &command("run", path, scenario, bucket.seed))?;
            out.command(PLAIN, "Shrink", &command("shrink", path, scenario, bucket.seed))
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

fn show_json(
    out: &mut Out,
    path: &Path,
    scenario: &dyn AnyScenario,
    part: &SweptPart,
    findings: &Findings,
    written: &Written,
) -> Result<(), Failure> {
    let result = &part.result;
    for (place, (signature, bucket)) in by_seed(result).into_iter().enumerate() {
        let found = if place < SHRUNK_MAX { scenario.shrink(bucket.seed, EXECUTIONS_MAX).ok().flatten() } else { None };
        out.json(&json!({
            "reason": "bucket",
            "signature": signature,
            "verdict": bucket.verdict,
            "detail": bucket.detail,
            "seed": bucket.seed,
            "scheduler": scenario.settings().scheduler_name(bucket.seed),
            "count": bucket.count,
            "departures": found.as_ref().map(|found| shrink::texts(&found.scenario.settings().schedule)),
            "toml": found.as_ref().map(|found| &found.text),
            "reproduce": command("run", path, scenario, bucket.seed),
            "shrink": command("shrink", path, scenario, bucket.seed),
        }))?;
    }
    let totals = &result.totals;
    out.json(&json!({
        "reason": "summary",
        "scenario": scenario.settings().name,
        "design": scenario.design(),
        "seeds": [part.seeds.start, part.seeds.end],
        "runs": totals.runs(),
        "held": totals.held,
        "violated": totals.violated,
        "stuck": totals.stuck,
        "panicked": totals.panicked,
        "counts": totals.counts,
        "vacuous": vacuous::as_json(findings),
        "fingerprint": hex(result.fingerprint),
        "report": written.as_json(),
    }))
}
