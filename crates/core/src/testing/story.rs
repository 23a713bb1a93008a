//! What a test that fails prints: how to play the run again, then the least that makes it fail.

use std::fmt::Write;

use super::lines;
use crate::determinism::Divergence;
use crate::event::System;
use crate::extract::extract;
use crate::faults::FaultPlan;
use crate::ids::Time;
use crate::portfolio::SchedulerKind;
use crate::run::{Judges, Limits, Report, Verdict, run};
use crate::scheduler::{Departing, Scheduler, Tie};
use crate::shrink::{Case, Shrink, Shrunk, Size};
use crate::simulation::Simulation;
use crate::trace::{Recorder, TraceRecord, in_words};

/// How many of the last steps a failure shows.
const STEPS_SHOWN: usize = 20;
/// How many runs shrinking takes at most.
const EXECUTIONS_MAX: u32 = 500;

/// What a failing seed did. Steps cost text, so only a failing seed is described, by running it again.
pub(super) fn of_seed<S: System>(
    simulation: &Simulation<S>,
    seed: u64,
    (plan, limits): (FaultPlan, Limits),
    judges: &Judges<S>,
    verdict: &Verdict,
) -> String {
    let limits = enough_for(verdict, limits);
    let mut scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, plan);
    let (again, records) = recorded(simulation, &mut scheduler, judges, limits);
    let is_stuck = matches!((&again.verdict, verdict), (Verdict::Stuck { .. }, Verdict::Stuck { .. }));
    if again.verdict != *verdict && !is_stuck {
        let (first, second) = (in_words(verdict), in_words(&again.verdict));
        return format!(
            "seed {seed} came to two verdicts in two runs: first {first}, then {second}\n\
             a handler depends on more than its event, its store and its context: find the step with determinism::check"
        );
    }
    let (end, plan_name) = (seed.saturating_add(1), name_of(plan));
    let call = match limits == Limits::OF_A_TEST {
        true => format!("check(&simulation, {seed}..{end}, {plan_name}, &judges);"),
        false => format!(
            "Check::new(&simulation, &judges)\n        .with_seeds({seed}..{end}).with_faults({plan_name})\
             .with_limits({}).run();",
            in_code(limits)
        ),
    };
    let mut text = format!("to play seed {seed} alone:\n    pellmell::testing::{call}\n");
    match shrunk(simulation, seed, (plan, limits), judges) {
        Err(why) => text + &unshrunk(&again.verdict, &records, &why),
        Ok((before, shrunk)) => {
            let case = Case { commands: shrunk.commands.clone(), departures: shrunk.departures.clone() };
            text += &self::call(&lines::lines_of(simulation, &case), limits);
            let mut departing = Departing::new(case.departures.clone());
            let (_, records) = recorded(&case.simulation(simulation), &mut departing, judges, limits);
            text + &minimal(before, &shrunk, &records)
        }
    }
}

/// The limits within which a failure is described: a run that goes on and on does so long before it reaches
/// those it was given, and is described in less time.
fn enough_for(verdict: &Verdict, limits: Limits) -> Limits {
    match verdict {
        Verdict::Stuck { .. } => Limits {
            steps_max: limits.steps_max.min(20_000),
            messages_max: limits.messages_max.min(2_000),
            in_flight_max: limits.in_flight_max.min(2_000),
        },
        _ => limits,
    }
}

/// Why a failing run is not shrunk whose departures alone hold.
pub const NOT_ALONE: &str = "with its departures alone the run does not fail";

fn recorded<S: System>(
    simulation: &Simulation<S>,
    scheduler: &mut impl Scheduler,
    judges: &Judges<S>,
    limits: Limits,
) -> (Report, Vec<TraceRecord>) {
    let mut recorder = Recorder::default();
    let report = run(&mut simulation.world(), scheduler, judges, limits, &mut recorder);
    (report, recorder.into_records())
}

/// How large the run of a seed is, and what of it is needed, or why that cannot be said.
fn shrunk<S: System>(
    simulation: &Simulation<S>,
    seed: u64,
    (plan, limits): (FaultPlan, Limits),
    judges: &Judges<S>,
) -> Result<(Size, Shrunk<S::Command>), String> {
    let scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, plan);
    let extracted = extract(simulation, scheduler, judges, limits, Tie::InOrder);
    let extracted = extracted.map_err(|error| error.to_string())?;
    let (steps, departures) = (extracted.report.steps, extracted.departures.len());
    // What is printed is to be played with the simulation as it is.
    let shrink = Shrink::new(simulation, judges).with_limits(limits).with_simpler_commands(false);
    let shrink = shrink.with_executions_max(EXECUTIONS_MAX);
    let shrunk = shrink.run(extracted.departures).map_err(|_| NOT_ALONE.to_owned())?;
    Ok((Size { steps, departures, commands: simulation.commands() }, shrunk))
}

fn name_of(plan: FaultPlan) -> &'static str {
    match plan {
        FaultPlan::NONE => "pellmell::FaultPlan::NONE",
        FaultPlan::SOME => "pellmell::FaultPlan::SOME",
        _ => "plan",
    }
}

/// The call that plays a schedule, ready to be pasted.
fn call(lines: &[String], limits: Limits) -> String {
    let is_usual = limits == Limits::OF_A_TEST;
    let mut text = String::from("to play what is left of it, whatever the seed will be:\n");
    text += &format!("    pellmell::testing::{}(&simulation, &[\n", if is_usual { "replay" } else { "Replay::new" });
    lines.iter().for_each(|line| text += &format!("        {line:?},\n"));
    match is_usual {
        true => text + "    ], &judges);\n",
        false => text + &format!("    ], &judges).with_limits({}).run();\n", in_code(limits)),
    }
}

fn in_code(limits: Limits) -> String {
    let Limits { steps_max, messages_max, in_flight_max } = limits;
    format!(
        "pellmell::Limits {{ steps_max: {steps_max}, messages_max: {messages_max}, in_flight_max: {in_flight_max} }}"
    )
}

/// The message for a seed whose second run is another one.
pub(super) fn of_two_runs(seed: u64, divergence: &Divergence) -> String {
    format!(
        "seed {seed} was played twice, with other seeds in between, and came to two runs\n{divergence}\n\
         a handler depends on more than its event, its store and its context: what it keeps, keep in its store"
    )
}

/// What a counterexample is, in words.
pub fn minimal<C>(before: Size, shrunk: &Shrunk<C>, records: &[TraceRecord]) -> String {
    let after = shrunk.size();
    let mut text = verdict(&shrunk.report.verdict);
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "shrunk in {} runs: departures {} -> {}, commands {} -> {}, steps {} -> {}; what is left:",
        shrunk.executions,
        before.departures,
        after.departures,
        before.commands,
        after.commands,
        before.steps,
        after.steps
    );
    for (item, why) in shrunk.reasons() {
        let _ = writeln!(text, "    {item}: {why}");
    }
    shrunk.caveats().for_each(|caveat| text += &format!("note: {caveat}\n"));
    text + &last_steps(records)
}

/// A failure that could not be shrunk, in words.
pub fn unshrunk(failure: &Verdict, records: &[TraceRecord], why: &str) -> String {
    format!("{}note: it is not shrunk: {why}\n{}", verdict(failure), last_steps(records))
}

/// What is wrong.
pub fn verdict(verdict: &Verdict) -> String {
    format!("\n{}\n", in_words(verdict))
}

/// The last steps, without a line break at the end.
pub fn last_steps(records: &[TraceRecord]) -> String {
    let shown = &records[records.len().saturating_sub(STEPS_SHOWN)..];
    let mut text = match shown.len() == records.len() {
        true => "its steps:".to_owned(),
        false => format!("the last {} of its {} steps:", shown.len(), records.len()),
    };
    shown.iter().for_each(|record| text += &line(record));
    text
}

fn line(record: &TraceRecord) -> String {
    let answer = record.answer.as_deref().map(|answer| format!("   {answer}")).unwrap_or_default();
    let saved = record.saved.iter().map(|row| format!("   saves {}@{} {}", row.id, row.version, row.fields));
    let faults = record.faults.iter().map(|fault| format!("   ◀ {fault}"));
    let rest: String = saved.chain(faults).collect();
    let time = Time(record.time_us).to_string();
    format!("\n{:>5} {time:>10}   {}{answer}{rest}", record.step, record.action)
}
