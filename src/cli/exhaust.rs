//! `pellmell exhaust`: every schedule within bounds.

use std::path::PathBuf;

use pellmell::scenario::Counterexample;
use pellmell::schedule::NamedStep;
use pellmell::search::{
    Bounds, DeliveryOrder, Dependence, Ended, Exhaust, ExhaustResult, FailingRun, ImpossibleStep, Most, Reduction,
    steps_named,
};
use pellmell::ticketing::{Defect, Design, Ticketing};
use pellmell::trace::{Naming, detail, records_of};
use pellmell::vacuity::{Allow, Findings};
use pellmell::{Judges, Limits, Scenario, Simulation, Verdict, run};
use serde_json::json;

use super::environment::Threads;
use super::input::Input;
use super::progress::Searching;
use super::{
    BAD, DIM, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, count, input, number, replay, shown, shrink, timeline,
    vacuous,
};

/// How many runs the shrinking of what was found may take.
const EXECUTIONS_MAX: u32 = 500;

#[derive(clap::Args)]
pub(super) struct ExhaustArgs {
    /// The scenario file: its services and clients. Its broker, schedule and faults give way to the
    /// flags.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    scenario: Option<PathBuf>,
    /// Searches what may come after so many steps of a trace written by `run --trace`.
    #[arg(long, value_name = "TRACE@STEP", value_parser = from)]
    from: Option<From>,
    /// The rules of the services instead of the scenario's.
    #[arg(long, value_parser = super::design)]
    design: Option<Design>,
    /// Plants a defect in the services, by name or number; may be given several times.
    #[arg(long = "defect", value_name = "NAME", value_parser = super::defect)]
    defects: Vec<Defect>,
    /// Judges these properties only; may be given several times.
    #[arg(long = "property", value_name = "NAME", value_parser = super::property)]
    properties: Vec<String>,
    /// The number that fixes a generated workload.
    #[arg(long, value_parser = number, conflicts_with = "from")]
    seed: Option<u64>,
    /// The order of deliveries: `any`, `per-subject` or `lockstep`.
    #[arg(long, default_value = "any", value_parser = order)]
    order: DeliveryOrder,
    /// At most so many acks are lost: a number or `any`.
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
    /// At most so many messages are lost.
    #[arg(long, default_value = "0", value_name = "N", value_parser = most)]
    lost_messages: Most,
    /// At most so many steps and faults depart from the calm run.
    #[arg(long, default_value = "any", value_name = "N", value_parser = most)]
    departures: Most,
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
        "any" => Ok(DeliveryOrder::Any),
        "per-subject" => Ok(DeliveryOrder::PerSubject),
        "lockstep" => Ok(DeliveryOrder::Lockstep),
        _ => Err("unknown order: expected any, per-subject or lockstep".to_owned()),
    }
}

fn most(text: &str) -> Result<Most, String> {
    let number = || text.parse().ok().filter(|most| *most <= Most::MAX).map(Most::Of);
    let wrong = || format!("expected a whole number from 0 to {}, or `any`", Most::MAX);
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

pub(super) fn exhaust(args: &ExhaustArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let bounds = Bounds {
        order: args.order,
        lost_acks: args.lost_acks,
        duplicates: args.duplicates,
        crashes: args.crashes,
        pauses: args.pauses,
        lost_messages: args.lost_messages,
        departures: args.departures,
    };
    let (scenario, seed, named) = what(args)?;
    let simulation = scenario.simulation(seed).map_err(|error| Failure::Input(error.to_string()))?;
    let prefix = steps_named(&simulation, &named).map_err(|step| not_there(&step))?;
    let mut out = Out::new();
    let rules = scenario.defects.iter().fold(scenario.design.name.to_owned(), |rules, d| rules + " + " + d.name);
    if format == MessageFormat::Human {
        let place = args.from.as_ref().map_or(String::new(), |from| format!(" from step {}", from.step));
        out.status(PLAIN, "Exhausting", format_args!("{}{place}   design {rules}, {bounds}", scenario.name))?;
    }
    let judges = scenario.judges();
    let exhaust = Exhaust::new(&simulation, &judges)
        .with_bounds(bounds)
        .with_prefix(&prefix)
        .with_memory_max(args.memory)
        .with_reduction(!args.no_reduction)
        .with_threads(args.threads.count()?);
    let mut searching = Searching::new();
    let exhausted = exhaust.run_watched(|stats| searching.at(stats));
    searching.end(exhausted.stats);
    let findings = findings(args, &scenario, &bounds, &simulation);
    let found = exhausted.failing.as_ref().map(|failing| (failing, shrunk(&scenario, seed, failing)));
    match format {
        MessageFormat::Human => {
            if let Some((failing, shrunk)) = &found {
                let story = records_of(&simulation, &failing.steps);
                show(&mut out, &simulation.service_names().map(str::to_owned).collect::<Vec<_>>(), failing, &story)?;
                show_shrunk(&mut out, shrunk.as_deref())?;
            }
            summary(&mut out, args, &bounds, &exhausted)?;
            vacuous::show(&mut out, &findings)?;
        }
        MessageFormat::Json => {
            let shrunk = found.as_ref().and_then(|(_, shrunk)| shrunk.as_deref());
            let mut value = as_json(&scenario, &rules, &bounds, &exhausted, shrunk);
            value["vacuous"] = vacuous::as_json(&findings);
            out.json(&value)?;
        }
    }
    Ok(match exhausted.ended {
        Ended::All if findings.void.is_empty() => Ending::Held,
        Ended::Failing => Ending::Failed,
        // Not all was searched, whatever the reason, or what was searched says nothing.
        _ => Ending::NothingRan,
    })
}

/// What the bounds and the file ask for that cannot happen.
fn findings(args: &ExhaustArgs, scenario: &Scenario, bounds: &Bounds, simulation: &Simulation<Ticketing>) -> Findings {
    let foreseen = scenario.foreseen().unwrap_or_default();
    let idle = Allow::none_of(&scenario.allow, bounds.idle_in(simulation));
    let void = foreseen.void.into_iter().chain(Allow::none_of(&args.allow, idle));
    Findings { void: Allow::none_of(&args.allow, void.collect()), notes: foreseen.notes }
}

/// The scenario on the broker that is searched, the seed of its workload, and the steps before.
fn what(args: &ExhaustArgs) -> Result<(Scenario, u64, Vec<NamedStep>), Failure> {
    let (mut scenario, seed, named) = match (&args.scenario, &args.from) {
        (_, Some(from)) => {
            let Input::Trace(trace) = input::any(&from.trace)? else {
                let message = format!("{} is a scenario, and --from begins inside a run", shown(&from.trace));
                return Err(Failure::Input(format!("{message}\n  = help: record one: run SCENARIO --trace FILE")));
            };
            if from.step > trace.end.steps {
                let (steps, trace) = (trace.end.steps, shown(&from.trace));
                return Err(Failure::Input(format!("{trace} has {steps} steps, and --from asks for {}", from.step)));
            }
            let scenario = replay::scenario_of(&from.trace, &trace)?;
            let seed = trace.header.seed;
            let named = first_steps(&scenario, seed, from.step)?;
            (scenario, seed, named)
        }
        (Some(path), None) => {
            let scenario = input::read_scenario(path)?;
            let seed = args.seed.unwrap_or(scenario.seed);
            (scenario, seed, Vec::new())
        }
        (None, None) => unreachable!("the command line asks for one of them"),
    };
    scenario.design = args.design.unwrap_or(scenario.design);
    scenario.defects.extend(&args.defects);
    if !args.properties.is_empty() {
        scenario.properties.clone_from(&args.properties);
    }
    Ok((scenario.on_broker(args.order.broker_keys())?, seed, named))
}

/// The first steps of a scenario's run by name.
fn first_steps(scenario: &Scenario, seed: u64, steps: u64) -> Result<Vec<NamedStep>, Failure> {
    let mut world = scenario.simulation(seed).map_err(|error| Failure::Input(error.to_string()))?.world();
    let mut naming = Naming::default();
    let limits = Limits { steps_max: steps, ..Limits::default() };
    let mut scheduler = scenario.scheduler(world.simulation(), seed);
    run(&mut world, &mut scheduler, &Judges::new(Vec::new()), limits, &mut naming);
    Ok(naming.into_steps())
}

fn not_there(ImpossibleStep { step, what }: &ImpossibleStep) -> Failure {
    let message = format!("step {step} of the trace, `{what}`, cannot happen in this order");
    Failure::Input(format!("{message}\n  = help: try --order any, or an earlier step"))
}

/// What matters of a failing run, as a scenario; `None` if departures do not tell it.
fn shrunk(scenario: &Scenario, seed: u64, failing: &FailingRun) -> Option<Box<Counterexample>> {
    let departing = scenario.departing_as(seed, &failing.steps, &failing.verdict)?;
    departing.shrink(seed, EXECUTIONS_MAX).ok().flatten().map(Box::new)
}

fn show(
    out: &mut Out,
    services: &[String],
    failing: &FailingRun,
    story: &[pellmell::trace::TraceRecord],
) -> Result<(), Failure> {
    out.line("")?;
    timeline::last_steps(out, services, story, usize::MAX)?;
    out.line("")?;
    let what = match &failing.verdict {
        Verdict::Violated { property, .. } => (*property).to_owned(),
        _ => String::new(),
    };
    let steps = count(failing.steps.len() as u64, "step");
    let fewest = if failing.is_shortest { "no run fails in fewer" } else { "perhaps not the fewest" };
    out.status(BAD, &failing.verdict.word().to_uppercase(), format_args!("{what}   {steps}, {fewest}"))?;
    out.status(PLAIN, "", detail(&failing.verdict).unwrap_or_default())
}

fn show_shrunk(out: &mut Out, found: Option<&Counterexample>) -> Result<(), Failure> {
    let Some(Counterexample { shrunk, scenario, text, .. }) = found else {
        return out.status(PLAIN, "Note", "departures do not lead to this run: it is only told step by step");
    };
    out.status(PLAIN, "Shrunk", format_args!("to {}", shrink::in_words(&shrunk.size())))?;
    out.departures(&scenario.schedule)?;
    out.status(PLAIN, "Explain", "keep what follows in a file: pellmell explain FILE")?;
    out.line("────────────")?;
    out.text(text.trim_end())
}

/// What came of it. It says nothing of what depends on which thread came first; that is on stderr.
fn summary(out: &mut Out, args: &ExhaustArgs, bounds: &Bounds, exhausted: &ExhaustResult) -> Result<(), Failure> {
    out.line("────────────")?;
    match &exhausted.reduction {
        Reduction::None => {}
        Reduction::Clusters { clusters, pairs } => {
            let parts = count((*clusters).into(), "cluster");
            let pairs = count(*pairs, "pair");
            out.status(PLAIN, "Apart", format_args!("{parts}; independence: {pairs} in both orders, 0 differ"))?;
        }
        Reduction::Refused(reason) => out.status(PLAIN, "Together", format_args!("all clients: {reason}"))?,
        Reduction::Dependent(Dependence { one, other, what, .. }) => {
            out.status(
                PLAIN,
                "Together",
                format_args!("all clients: {what} depends on whether `{one}` or `{other}` is first"),
            )?;
        }
        other => out.status(PLAIN, "Reduction", format_args!("{other:?}"))?,
    }
    match exhausted.ended {
        Ended::All => {
            let states = count(exhausted.stats.states, "state");
            out.status(GOOD, "HELD", format_args!("exhaustive within {bounds}: {states}"))
        }
        Ended::Failing => out.status(BAD, "Summary", format_args!("violated within {bounds}")),
        Ended::Memory => {
            out.status(BAD, "NOT COMPLETE", format_args!("the memory is used up: nothing found so far"))?;
            let more = (args.memory.saturating_mul(4) >> 20).max(1);
            out.status(DIM, "Next", format_args!("try --memory {more}MiB, or tighter bounds"))
        }
        Ended::Steps => {
            let most = count(Exhaust::<Ticketing>::STEPS_MAX.into(), "step");
            out.status(BAD, "NOT COMPLETE", format_args!("a run goes on for more than {most}: nothing found so far"))
        }
        other => out.status(BAD, "NOT COMPLETE", format_args!("it ended with: {}", other.word())),
    }
}

fn as_json(
    scenario: &Scenario,
    rules: &str,
    bounds: &Bounds,
    exhausted: &ExhaustResult,
    shrunk: Option<&Counterexample>,
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
    let property = verdict.and_then(|verdict| match verdict {
        Verdict::Violated { property, .. } => Some(*property),
        _ => None,
    });
    json!({
        "reason": "exhaust",
        "scenario": scenario.name,
        "design": rules,
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
        "departures": shrunk.map(|found| shrink::texts(&found.scenario.schedule)),
        "toml": shrunk.map(|found| &found.text),
    })
}
