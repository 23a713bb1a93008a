//! `pellmell run`: one execution, shown.

use std::fmt;
use std::path::PathBuf;

use pellmell_core::trace::{CountsText, Trace};
use pellmell_core::vacuity::Findings;
use pellmell_scenario::any::{AnyScenario, AnySystem, Recorded};

use serde_json::json;

use super::log::{Log, LogArgs};
use super::{
    BAD, DIM, Ending, Failure, GOOD, MessageFormat, Out, PLAIN, What, command, files, input, number, timeline, vacuous,
};

#[derive(clap::Args)]
pub(super) struct RunArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// The number that fixes all chance; the scenario's own if left out.
    #[arg(long, value_parser = number)]
    seed: Option<u64>,
    /// Writes the whole run to this file as JSON lines.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How many steps to show: of a run that failed those of the records that the verdict names, else the
    /// last ones; a number or `all`.
    #[arg(long, default_value_t = Steps(STEPS_SHOWN), value_parser = steps)]
    steps: Steps,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    what: What,
}

/// How many steps are shown if nothing else is said: so many that all of it fits a screen.
pub(super) const STEPS_SHOWN: usize = 20;

/// How many steps are shown.
#[derive(Clone, Copy)]
pub(super) struct Steps(pub(super) usize);

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == usize::MAX { f.write_str("all") } else { self.0.fmt(f) }
    }
}

pub(super) fn steps(text: &str) -> Result<Steps, String> {
    match text {
        "all" => Ok(Steps(usize::MAX)),
        text => text.parse().map(Steps).map_err(|_| "expected a number or `all`".to_owned()),
    }
}

pub(super) fn run(system: &dyn AnySystem, args: &RunArgs, format: MessageFormat) -> Result<Ending, Failure> {
    let scenario = input::scenario(system, &args.scenario, &args.what)?;
    files::check_output(args.trace.as_deref(), &files::TRACE, &args.scenario)?;
    let seed = args.seed.unwrap_or(scenario.settings().seed);
    let (recorded, log) = args.log.during(|after| scenario.record(seed, after));
    let Recorded { trace, findings, .. } = recorded.map_err(|error| Failure::Input(error.to_string()))?;
    if let Some(path) = &args.trace {
        let text = trace.to_jsonl().map_err(|error| Failure::Io(format!("cannot write the trace: {error}")))?;
        files::write(path, &text)?;
    }
    let mut out = Out::new();
    match format {
        MessageFormat::Json => out.json(&as_json(&trace, &findings, &log))?,
        MessageFormat::Human => {
            show(&mut out, system, &*scenario, (&trace, &log), args.steps)?;
            ending_lines(&mut out, &*scenario, args, &trace, &findings)?;
        }
    }
    Ok(ending(&trace, &findings))
}

/// How a verb ends that shows one run.
pub(super) fn ending(trace: &Trace, findings: &Findings) -> Ending {
    match trace.end.verdict.as_str() {
        "held" if findings.void.is_empty() => Ending::Held,
        "held" => Ending::NothingRan,
        _ => Ending::Failed,
    }
}

/// Plays one seed of a scenario and records it.
pub(super) fn record(scenario: &dyn AnyScenario, seed: u64) -> Result<Recorded, Failure> {
    scenario.record(seed, &mut |_| ()).map_err(|error| Failure::Input(error.to_string()))
}

/// Prints what was run and what happened.
pub(super) fn show(
    out: &mut Out,
    system: &dyn AnySystem,
    scenario: &dyn AnyScenario,
    (trace, log): (&Trace, &Log),
    Steps(steps): Steps,
) -> Result<(), Failure> {
    let settings = scenario.settings();
    let header = &trace.header;
    let rules = header.defects.iter().fold(header.design.clone(), |design, defect| design + " + " + defect);
    let place = format!("design {rules}, profile {}, {} scheduler", settings.profile.name, header.scheduler);
    out.status(PLAIN, "Running", format_args!("{} seed {}   {place}", header.scenario, header.seed))?;
    out.status(DIM, "", &settings.about)?;
    out.departures(&settings.schedule)?;
    out.line("")?;
    timeline::steps(out, trace, log, steps)?;
    timeline::stores(out, &system.display(), trace)
}

/// Prints the verdict, what it rests on that did not happen, whether it was expected, and the command
/// that gives it again.
fn ending_lines(
    out: &mut Out,
    scenario: &dyn AnyScenario,
    args: &RunArgs,
    trace: &Trace,
    findings: &Findings,
) -> Result<(), Failure> {
    timeline::verdict(out, trace)?;
    vacuous::show(out, findings)?;
    let end = &trace.end;
    let came = match &end.property {
        Some(property) => format!("{} {property}", end.verdict),
        None => end.verdict.clone(),
    };
    // The file says nothing of defects that a flag plants.
    let expected = scenario.settings().expect.get(scenario.design()).filter(|_| args.what.defects.is_empty());
    match expected.map(ToString::to_string) {
        Some(expected) if expected == came => {
            out.status(GOOD, "Expected", format_args!("{expected} under {}", scenario.design()))?
        }
        Some(expected) => {
            out.status(BAD, "Unexpected", format_args!("the scenario expects {expected} under {}", scenario.design()))?
        }
        None => {}
    }
    out.status(PLAIN, "Exercised", exercised(&end.counts))?;
    out.status(PLAIN, "Judged", judged(&end.counts))?;
    vacuous::show_broker(out, findings)?;
    out.status(PLAIN, "Fingerprint", &end.fingerprint)?;
    out.command(PLAIN, "Reproduce", &command("run", &args.scenario, scenario, trace.header.seed))
}

/// At how many moments convergence was judged, and at how many it was not and why, in words.
pub(super) fn judged(counts: &CountsText) -> String {
    let number = |name: &str| counts.get(name).copied().unwrap_or(0);
    let mut text = format!("convergence at {}", super::count(number("moments_judged"), "moment"));
    for (name, why) in [
        ("moments_before_redelivery", "a message might still change something when it came again"),
        ("moments_before_join", "a group had not joined"),
    ] {
        if number(name) > 0 {
            text += &format!("; not at {}, {why}", super::grouped(number(name)));
        }
    }
    text
}

/// What happened how often, in words.
pub(super) fn exercised(counts: &CountsText) -> String {
    let order = [
        "commands",
        "deliveries",
        "redeliveries",
        "overtakings",
        "messages_lost",
        "acks_lost",
        "acks_late",
        "duplicates",
        "crashes",
        "crashes_between_saves",
        "pauses",
        "worked",
        "fetches",
        "member_changes",
        "broker_failures",
        "truncations",
        "counts_forgotten",
        "redrives",
        "compactions",
        "expirations",
        "republished",
        "recognised",
        "slow_publishes",
        "stale_answers",
        "no_answers",
        "given_up",
        "naks_unheard",
    ];
    let number = |name: &str| counts.get(name).copied().unwrap_or(0);
    // Everything can be zero; what is not there did not happen.
    let told = order.iter().filter(|name| number(name) > 0);
    let told: Vec<String> =
        told.map(|name| format!("{} {}", name.replace('_', " "), super::grouped(number(name)))).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

fn as_json(trace: &Trace, findings: &Findings, log: &Log) -> serde_json::Value {
    let header = &trace.header;
    json!({
        "reason": "run",
        "scenario": header.scenario,
        "design": header.design,
        "scheduler": header.scheduler,
        "seed": header.seed,
        "verdict": trace.end.verdict,
        "property": trace.end.property,
        "detail": trace.end.detail,
        "steps": trace.end.steps,
        "time_us": trace.end.time_us,
        "fingerprint": trace.end.fingerprint,
        "counts": trace.end.counts,
        "stores": trace.end.stores,
        "vacuous": vacuous::as_json(findings),
        "log": log.iter().flat_map(|(step, lines)| lines.iter().map(move |line| json!({ "step": step, "line": line })))
            .collect::<Vec<_>>(),
    })
}
