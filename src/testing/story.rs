//! What a test that fails prints: how to play the run again, then the least that makes it fail.

use std::fmt::Write;
use std::path::Path;

use super::lines;
use crate::event::System;
use crate::extract::extract;
use crate::faults::FaultPlan;
use crate::ids::Time;
use crate::portfolio::SchedulerKind;
use crate::run::{Judges, Limits, Report, Verdict, run};
use crate::scenario::Scenario;
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
    plan: FaultPlan,
    judges: &Judges<S>,
    verdict: &Verdict,
) -> String {
    let mut scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, plan);
    let (again, records) = recorded(simulation, &mut scheduler, judges);
    if again.verdict != *verdict {
        let (first, second) = (in_words(verdict), in_words(&again.verdict));
        return format!(
            "seed {seed} came to two verdicts in two runs: first {first}, then {second}\n\
             a handler depends on more than its event and its store: find the step with determinism::check"
        );
    }
    let mut text = format!(
        "to play seed {seed} alone:\n    pellmell::testing::check(&simulation, {seed}..{}, {}, &judges);\n",
        seed.saturating_add(1),
        name_of(plan)
    );
    match shrunk(simulation, seed, plan, judges) {
        Err(why) => text + &unshrunk(&again.verdict, &records, &why),
        Ok((before, shrunk)) => {
            let case = Case { commands: shrunk.commands.clone(), departures: shrunk.departures.clone() };
            text += &call(&lines::lines_of(simulation, &case));
            let mut departing = Departing::new(case.departures.clone());
            let (_, records) = recorded(&case.simulation(simulation), &mut departing, judges);
            text + &minimal(before, &shrunk, &records)
        }
    }
}

/// What a failing seed of a scenario did.
pub(super) fn of_scenario(path: &str, scenario: &Scenario, seed: u64, verdict: &Verdict) -> String {
    let command = |verb| format!("    {} --seed {seed}\n", scenario.for_seed(seed).command(verb, Path::new(path)));
    let mut text = format!("to play seed {seed} alone, and to shrink it:\n{}{}", command("run"), command("shrink"));
    let play = |scenario: &Scenario, seed| {
        let mut recorder = Recorder::default();
        if let Ok(simulation) = scenario.simulation(seed) {
            scenario.run(&mut simulation.world(), &scenario.judges(), seed, &mut recorder);
        }
        recorder.into_records()
    };
    match scenario.shrink(seed, EXECUTIONS_MAX) {
        Ok(Some(found)) => {
            let records = play(&found.scenario, found.scenario.seed);
            text += &minimal(found.before, &found.shrunk, &records);
        }
        Ok(None) => text += &unshrunk(verdict, &play(scenario, seed), NOT_ALONE),
        Err(error) => text += &unshrunk(verdict, &play(scenario, seed), &error.to_string()),
    }
    text
}

const NOT_ALONE: &str = "with its departures alone the run does not fail";

fn recorded<S: System>(
    simulation: &Simulation<S>,
    scheduler: &mut impl Scheduler,
    judges: &Judges<S>,
) -> (Report, Vec<TraceRecord>) {
    let mut recorder = Recorder::default();
    let report = run(&mut simulation.world(), scheduler, judges, Limits::default(), &mut recorder);
    (report, recorder.into_records())
}

/// How large the run of a seed is, and what of it is needed, or why that cannot be said.
fn shrunk<S: System>(
    simulation: &Simulation<S>,
    seed: u64,
    plan: FaultPlan,
    judges: &Judges<S>,
) -> Result<(Size, Shrunk<S::Command>), String> {
    let limits = Limits::default();
    let scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, plan);
    let extracted = extract(simulation, scheduler, judges, limits, Tie::InOrder);
    let extracted = extracted.map_err(|error| error.to_string())?;
    let (steps, departures) = (extracted.report.steps, extracted.departures.len());
    let mut shrink = Shrink::of(simulation, judges, limits);
    shrink.executions_max = EXECUTIONS_MAX;
    // What is printed is to be played with the simulation as it is.
    shrink.with_values = false;
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
fn call(lines: &[String]) -> String {
    let mut text = String::from("to play what is left of it, whatever the seed will be:\n");
    text += "    pellmell::testing::replay(&simulation, &[\n";
    lines.iter().for_each(|line| text += &format!("        {line:?},\n"));
    text + "    ], &judges);\n"
}

/// What a counterexample is, in words.
fn minimal<C>(before: Size, shrunk: &Shrunk<C>, records: &[TraceRecord]) -> String {
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
    for (item, why) in shrunk.needed() {
        let _ = writeln!(text, "    {item}: {why}");
    }
    shrunk.caveats().for_each(|caveat| text += &format!("note: {caveat}\n"));
    text + &last_steps(records)
}

/// A failure that could not be shrunk, in words.
fn unshrunk(failure: &Verdict, records: &[TraceRecord], why: &str) -> String {
    format!("{}note: it is not shrunk: {why}\n{}", verdict(failure), last_steps(records))
}

/// What is wrong.
pub(super) fn verdict(verdict: &Verdict) -> String {
    format!("\n{}\n", in_words(verdict))
}

/// The last steps, without a line break at the end.
pub(super) fn last_steps(records: &[TraceRecord]) -> String {
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
