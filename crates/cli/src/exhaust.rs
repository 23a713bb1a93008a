//! `pellmell exhaust`: every schedule within bounds.

use std::path::PathBuf;

use pellmell_core::Verdict;
use pellmell_core::schedule::NamedStep;
use pellmell_core::search::{
    Bounds, DeliveryOrder, Dependence, Ended, ExhaustResult, FailingRun, ImpossibleStep, Most, Reduction,
};
use pellmell_core::trace::detail;
use pellmell_core::vacuity::{Allow, Findings};
use pellmell_report::report::{Fact, Part, Report, Story, Tone};
use pellmell_scenario::any::{AnyScenario, AnySystem, ExhaustPlan, NotSearched, Searched, Smallest, violated};
use serde_json::json;

use super::environment::Threads;
use super::input::Input;
use super::progress::Searching;
use super::report::{self, Fails, ReportArgs, Steps};
use super::{
    BAD, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, input, number, profiles, program, replay, shown, shrink,
    timeline, vacuous,
};

/// What is said of a run that cannot be shrunk.
const NO_DEPARTURES: &str = "departures do not lead to this run: it is only told step by step";
/// How many runs the shrinking of what was found may take.
const EXECUTIONS_MAX: u32 = 500;

#[derive(clap::Args)]
pub(super) struct ExhaustArgs {
    /// The scenario file: its services, its clients and its broker. Its schedule and faults give way to
    /// the flags.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    scenario: Option<PathBuf>,
    /// Searches what may come after so many steps of a trace written by `run --trace`.
    #[arg(long, value_name = "TRACE@STEP", value_parser = from)]
    from: Option<From>,
    /// The rules of the services instead of the scenario's.
    #[arg(long, value_name = "DESIGN")]
    design: Option<String>,
    /// The broker instead of the scenario's, with its usual settings: `pellmell profiles` lists them.
    #[arg(long, value_name = "NAME", value_parser = profiles(), conflicts_with = "from")]
    profile: Option<String>,
    /// Plants a defect in the services, by name or number; may be given several times.
    #[arg(long = "defect", value_name = "NAME")]
    defects: Vec<String>,
    /// Judges these properties only; may be given several times.
    #[arg(long = "property", value_name = "NAME")]
    properties: Vec<String>,
    /// The number that fixes a generated workload.
    #[arg(long, value_parser = number, conflicts_with = "from")]
    seed: Option<u64>,
    /// The order of deliveries: `broker`, what the scenario's own broker does, or, on another one that
    /// redelivers at once, `any`, `per-subject` or `lockstep`.
    #[arg(long, default_value = "broker", value_parser = order)]
    order: DeliveryOrder,
    /// At most so many acks are lost, or late where the broker waits: a number or `any`.
    #[arg(long, default_value = "0", value_name = "N", value_parser = most)]
    lost_acks: Most,
    /// At most so many copies of a message are pending beside the first one at a time.
    #[arg(long, default_value = "0", value_name = "N")]
    duplicates: u8,
    /// At most so many members crash.
    #[arg(long, default_value = "0", value_name = "N", value_parser = most)]
    crashes: Most,
    /// At most so many handlers pause between read and save.
    #[arg(long, default_value = "0", value_name = "N", value_parser = most)]
    pauses: Most,
    /// At most so many messages are lost on their way, or times the broker's log is without something.
    #[arg(long, default_value = "0", value_name = "N", value_parser = most)]
    lost_messages: Most,
    /// At most so many times a member is cut off, stopped or relieved of what it has, or partitions move,
    /// where an engine plays the broker.
    #[arg(long, default_value = "0", value_name = "N", value_parser = few)]
    member_changes: Most,
    /// At most so many times the broker restarts, or fails over to a copy that knows less, where an engine plays it.
    #[arg(long, default_value = "0", value_name = "N", value_parser = few)]
    broker_failures: Most,
    /// At most so many messages are fetched ahead with another one, where an engine plays the broker.
    #[arg(long, default_value = "0", value_name = "N")]
    fetch: u8,
    /// At most so many steps and faults depart from the calm run.
    #[arg(long, default_value = "any", value_name = "N", value_parser = most)]
    departures: Most,
    /// Ends with the first run that fails, and looks for no shorter one.
    #[arg(long)]
    first: bool,
    /// Searches clients together whose records never meet.
    #[arg(long)]
    no_reduction: bool,
    /// The most memory that the search takes, such as `512MiB`.
    #[arg(long, default_value = "1GiB", value_name = "SIZE", value_parser = bytes)]
    memory: u64,
    /// Lets something asked for not happen: a kind such as `idle-fault`, or a kind and a name; may be given
    /// several times.
    #[arg(long = "allow", value_name = "KIND")]
    allow: Vec<Allow>,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    report: ReportArgs,
}

/// A moment of a trace.
#[derive(Clone)]
struct From {
    trace: PathBuf,
    step: u64,
}

fn from(text: &str) -> Result<From, String> {
    let wrong = || "expected a trace and a step, such as run.jsonl@12".to_owned();
    let (trace, step) = text.rsplit_once('@').ok_or_else(wrong)?;
    let step = number(step).map_err(|_| wrong())?;
    if trace.is_empty() { Err(wrong()) } else { Ok(From { trace: trace.into(), step }) }
}

fn order(name: &str) -> Result<DeliveryOrder, String> {
    match name {
        "broker" => Ok(DeliveryOrder::Broker),
        "any" => Ok(DeliveryOrder::Any),
        "per-subject" => Ok(DeliveryOrder::PerSubject),
        "lockstep" => Ok(DeliveryOrder::Lockstep),
        _ => Err("unknown order: expected broker, any, per-subject or lockstep".to_owned()),
    }
}

fn most(text: &str) -> Result<Most, String> {
    up_to(Most::MAX, text)
}

fn few(text: &str) -> Result<Most, String> {
    up_to(Most::FEW, text)
}

fn up_to(max: u8, text: &str) -> Result<Most, String> {
    let number = || text.parse().ok().filter(|most| *most <= max).map(Most::Of);
    let wrong = || format!("expected a whole number from 0 to {max}, or `any`");
    if text == "any" { Ok(Most::Any) } else { number().ok_or_else(wrong) }
}

/// A number of bytes, with or without a unit.
fn bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (digits, shift) =
        units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift))).unwrap_or((text, 0));
    let bytes = number(digits).ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "expected a size such as 512MiB: a whole number and KiB, MiB or GiB".to_owned())
}

pub(super) fn exhaust(system: &dyn AnySystem, args: &ExhaustArgs, format: MessageFormat) -> Result<Ending, Failure> {
    args.report.check()?;
    let (scenario, seed, named) = what(system, args)?;
    let scenario = &*scenario;
    let broker = &scenario.settings().profile;
    let bounds = Bounds {
        order: args.order.on(broker),
        lost_acks: args.lost_acks,
        duplicates: args.duplicates,
        crashes: args.crashes,
        pauses: args.pauses,
        lost_messages: args.lost_messages,
        changes: args.member_changes,
        broker_failures: args.broker_failures,
        fetched: args.fetch,
        departures: args.departures,
    };
    let mut out = Out::new();
    let (title, place) = what_is_searched(args, scenario, &bounds);
    if format == MessageFormat::Human {
        out.status(PLAIN, "Exhausting", format_args!("{title}   {place}"))?;
    }
    let plan = ExhaustPlan {
        seed,
        bounds,
        after: &named,
        memory_max: args.memory,
        reduce: !args.no_reduction,
        first_failing: args.first,
        threads: args.threads.count()?,
        executions_max: EXECUTIONS_MAX,
    };
    let mut searching = Searching::new();
    let searched = scenario.exhaust(&plan, &mut |stats| searching.at(stats)).map_err(|error| match error {
        NotSearched::Build(error) => Failure::Input(error.to_string()),
        NotSearched::Step(step) => not_there(&step),
    })?;
    searching.end(searched.exhausted.stats);
    let findings = findings(args, scenario, seed, &bounds)?;
    let written = args.report.write(|| report(args, scenario, (title, place), &searched, &findings));
    let Searched { exhausted, services, story, smallest } = searched;
    match format {
        MessageFormat::Human => {
            if let Some(failing) = &exhausted.failing {
                show(&mut out, &services, failing, &story)?;
                show_shrunk(&mut out, smallest.as_ref())?;
            }
            summary(&mut out, args, &exhausted)?;
            vacuous::show(&mut out, &findings)?;
            written.tell(&mut out)?;
        }
        MessageFormat::Json => {
            let mut value = as_json(scenario, &bounds, &exhausted, smallest.as_ref());
            value["vacuous"] = vacuous::as_json(&findings);
            value["report"] = written.as_json();
            out.json(&value)?;
        }
    }
    written.ending(match exhausted.ended {
        Ended::All if findings.void.is_empty() => Ending::Held,
        Ended::Failing => Ending::Failed,
        // Not all was searched, whatever the reason, or what was searched says nothing.
        _ => Ending::NothingRan,
    })
}

/// What is searched, and within which bounds.
fn what_is_searched(args: &ExhaustArgs, scenario: &dyn AnyScenario, bounds: &Bounds) -> (String, String) {
    let from = args.from.as_ref().map_or(String::new(), |from| format!(" from step {}", from.step));
    let (settings, rules) = (scenario.settings(), scenario.rules());
    let on = match bounds.order {
        DeliveryOrder::Broker => format!(" on {}", settings.profile.name),
        _ => String::new(),
    };
    (format!("{}{from}", settings.name), format!("design {rules}{on}, {bounds}"))
}

/// What the bounds and the file ask for that cannot happen.
fn findings(args: &ExhaustArgs, scenario: &dyn AnyScenario, seed: u64, bounds: &Bounds) -> Result<Findings, Failure> {
    let idle = scenario.idle_in(seed, bounds).map_err(|error| Failure::Input(error.to_string()))?;
    let foreseen = scenario.foreseen().unwrap_or_default();
    let idle = Allow::none_of(&scenario.settings().allow, idle);
    let void = foreseen.void.into_iter().chain(Allow::none_of(&args.allow, idle));
    Ok(Findings { void: Allow::none_of(&args.allow, void.collect()), notes: foreseen.notes })
}

/// A scenario, the seed of its workload, and the steps before.
type Begun = (Box<dyn AnyScenario>, u64, Vec<NamedStep>);

/// The scenario on the broker that is searched, the seed of its workload, and the steps before.
fn what(system: &dyn AnySystem, args: &ExhaustArgs) -> Result<Begun, Failure> {
    let (mut scenario, seed, named) = match (&args.scenario, &args.from) {
        (_, Some(from)) => {
            let Input::Trace(trace) = input::any(system, &from.trace)? else {
                let message = format!("{} is a scenario, and --from begins inside a run", shown(&from.trace));
                return Err(Failure::Input(format!("{message}\n  = help: record one: run SCENARIO --trace FILE")));
            };
            if from.step > trace.end.steps {
                let (steps, trace) = (trace.end.steps, shown(&from.trace));
                let message = format!("{trace} has {steps} steps, and --from asks for {}", from.step);
                return Err(Failure::Input(format!("{message}\n  = help: --from {trace}@{steps}, or an earlier step")));
            }
            let scenario = replay::scenario_of(system, &from.trace, &trace)?;
            let seed = trace.header.seed;
            let named = scenario.first_steps(seed, from.step).map_err(|error| Failure::Input(error.to_string()))?;
            (scenario, seed, named)
        }
        (Some(path), None) => {
            let scenario = input::on_profile(path, input::read_scenario(system, path)?, args.profile.as_ref())?;
            let seed = args.seed.unwrap_or(scenario.settings().seed);
            (scenario, seed, Vec::new())
        }
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    if let Some(design) = &args.design {
        scenario.choose(design);
    }
    let settings = scenario.settings_mut();
    settings.defects.extend(args.defects.iter().cloned());
    if !args.properties.is_empty() {
        settings.properties.clone_from(&args.properties);
    }
    Ok((scenario.on_broker(args.order.broker_keys())?, seed, named))
}

fn not_there(ImpossibleStep { step, what }: &ImpossibleStep) -> Failure {
    let message = format!("step {step} of the trace, `{what}`, cannot happen in this order");
    Failure::Input(format!("{message}\n  = help: try --order any, or an earlier step"))
}

fn show(
    out: &mut Out,
    services: &[String],
    failing: &FailingRun,
    story: &[pellmell_core::trace::TraceRecord],
) -> Result<(), Failure> {
    out.line("")?;
    timeline::all_steps(out, services, story)?;
    out.line("")?;
    out.status(
        BAD,
        &failing.verdict.word().to_uppercase(),
        format_args!("{}   {}", property(failing), failing.length()),
    )?;
    out.status(PLAIN, "", detail(&failing.verdict).unwrap_or_default())
}

/// The property that is violated, if one is.
fn property(failing: &FailingRun) -> &str {
    violated(&failing.verdict).unwrap_or_default()
}

fn show_shrunk(out: &mut Out, found: Option<&Smallest>) -> Result<(), Failure> {
    let Some(Smallest { shrunk, scenario, text, .. }) = found else {
        return out.status(PLAIN, "Note", NO_DEPARTURES);
    };
    out.status(PLAIN, "Shrunk", format_args!("to {}", shrink::in_words(&shrunk.size())))?;
    out.departures(&scenario.settings().schedule)?;
    out.command(PLAIN, "Explain", &format!("{} explain FILE # which has what follows", program()))?;
    out.line("────────────")?;
    out.text(text.trim_end())
}

/// What came of it. It says nothing of what depends on which thread came first; that is on stderr.
fn summary(out: &mut Out, args: &ExhaustArgs, exhausted: &ExhaustResult) -> Result<(), Failure> {
    out.line("────────────")?;
    out.facts(&reduction(exhausted))?;
    let summary = exhausted.summary();
    match exhausted.ended {
        Ended::All => out.status(GOOD, "HELD", summary)?,
        Ended::Failing => out.status(BAD, "Summary", summary)?,
        _ => out.status(BAD, "NOT COMPLETE", summary)?,
    }
    out.facts(&more_memory(args, exhausted))
}

/// Whether clients were searched apart, and why not.
fn reduction(exhausted: &ExhaustResult) -> Option<Fact> {
    match &exhausted.reduction {
        Reduction::None => None,
        apart @ Reduction::Clusters { .. } => Some(Fact::new(Tone::Plain, "Apart", apart)),
        together => Some(Fact::new(Tone::Plain, "Together", together)),
    }
}

/// What to try if the memory did not suffice.
fn more_memory(args: &ExhaustArgs, exhausted: &ExhaustResult) -> Option<Fact> {
    let more = (args.memory.saturating_mul(4) >> 20).max(1);
    let next = format!("try --memory {more}MiB, or tighter bounds");
    (exhausted.ended == Ended::Memory).then(|| Fact::new(Tone::Dim, "Next", next))
}

/// What is printed, as pages.
fn report(
    args: &ExhaustArgs,
    scenario: &dyn AnyScenario,
    (title, place): (String, String),
    searched: &Searched,
    findings: &Findings,
) -> Result<Report, Failure> {
    let Searched { exhausted, services, story: records, smallest } = searched;
    let name = &scenario.settings().name;
    let (tone, heading) = match (exhausted.ended, &exhausted.failing) {
        (Ended::All, _) if findings.void.is_empty() => (Tone::Good, "HELD".to_owned()),
        (Ended::All, _) => (Tone::Unsure, "HELD, AND VACUOUS".to_owned()),
        (Ended::Failing, Some(failing)) => {
            let word = failing.verdict.word().to_uppercase();
            (Tone::Bad, format!("{word} {}", property(failing)).trim_end().to_owned())
        }
        _ => (Tone::Unsure, "NOT COMPLETE".to_owned()),
    };
    let details = vec![exhausted.summary()];
    let mut report = Report { verb: "exhaust", title, place, tone, heading, details, ..Report::default() };
    let mut facts = Vec::from_iter(more_memory(args, exhausted));
    facts.extend(vacuous::facts(findings));
    report.add_section("What it rests on", Part::facts(facts));
    if let Some(failing) = &exhausted.failing {
        let story = Story {
            heading: report.heading.clone(),
            tone: Tone::Bad,
            often: failing.length(),
            detail: detail(&failing.verdict).unwrap_or_default(),
            ..Story::default()
        };
        let words =
            report::first_word(if property(failing).is_empty() { failing.verdict.word() } else { property(failing) });
        let part = match smallest {
            Some(Smallest { shrunk, scenario, text, .. }) => {
                let shrunk = Fact::new(Tone::Plain, "Shrunk", format_args!("to {}", shrink::in_words(&shrunk.size())));
                let mut small = scenario.copy();
                small.settings_mut().name.clone_from(name);
                let (seed, executions) = (small.settings().seed, EXECUTIONS_MAX);
                let commands = Vec::new();
                let fails = Fails { scenario: &*small, seed, words, executions, commands, text: Some(text) };
                report::tell(&mut report, fails, Story { facts: vec![shrunk], ..story })?
            }
            None => {
                let settings = scenario.settings();
                let steps = Steps {
                    scenario: &settings.name,
                    about: &settings.about,
                    design: scenario.rules(),
                    profile: settings.profile.name,
                    by: "exhaust",
                    services,
                    records,
                    verdict: failing.verdict.word(),
                    property: violated(&failing.verdict),
                    detail: detail(&failing.verdict),
                };
                let picture = report::picture_of(steps, &[], &[NO_DEPARTURES.to_owned()]);
                let page = Some(report.add_page(words, picture, None));
                let note = Fact::new(Tone::Plain, "Note", NO_DEPARTURES);
                Part::story(Story { page, facts: vec![note], ..story })
            }
        };
        report.add_section("Counterexample", [part]);
        let found = report::timeline("The run that the search found, before it was shrunk", records);
        report.add_section("Step by step", found);
    }
    let mut facts = vec![Fact::new(Tone::Plain, "Searched", &report.place)];
    facts.push(Fact::new(Tone::Plain, "Summary", exhausted.summary()));
    facts.extend(reduction(exhausted));
    report.add_section("What was searched", [Part::Facts(facts)]);
    Ok(report)
}

fn as_json(
    scenario: &dyn AnyScenario,
    bounds: &Bounds,
    exhausted: &ExhaustResult,
    shrunk: Option<&Smallest>,
) -> serde_json::Value {
    let ExhaustResult { stats, ended, failing, reduction, .. } = exhausted;
    let (clusters, pairs, together) = match reduction {
        Reduction::None => (1, 0, None),
        Reduction::Clusters { clusters, pairs } => (*clusters, *pairs, None),
        Reduction::Refused(reason) => (1, 0, Some((*reason).to_owned())),
        Reduction::Dependent(Dependence { one, other, what, .. }) => (1, 0, Some(format!("{what}: {one}, {other}"))),
        other => (1, 0, Some(format!("{other:?}"))),
    };
    let verdict = failing.as_ref().map(|failing| &failing.verdict);
    let property = verdict.and_then(violated);
    json!({
        "reason": "exhaust",
        "scenario": scenario.settings().name,
        "design": scenario.rules(),
        "broker": scenario.settings().profile.name,
        "bounds": bounds.to_string(),
        "complete": *ended == Ended::All,
        "ended": ended.word(),
        "verdict": match (ended, verdict) {
            (Ended::All, _) => Some("held"),
            (_, verdict) => verdict.map(Verdict::word),
        },
        "property": property,
        "detail": verdict.and_then(detail),
        "states": (*ended == Ended::All).then_some(stats.states),
        "clusters": clusters,
        "pairs": pairs,
        "together": together,
        "steps": failing.as_ref().map(|failing| failing.steps.len()),
        "shortest": failing.as_ref().map(|failing| failing.is_shortest),
        "departures": shrunk.map(|found| shrink::texts(&found.scenario.settings().schedule)),
        "toml": shrunk.map(|found| &found.text),
    })
}
