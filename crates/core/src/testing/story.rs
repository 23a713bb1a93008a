//! What a test that fails prints: how to play the run again, then the least that makes it fail.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::lines;
use crate::determinism::Divergence;
use crate::escape::{for_terminal, lines_for_terminal};
use crate::event::System;
use crate::extract::extract;
use crate::faults::FaultPlan;
use crate::ids::Time;
use crate::portfolio::SchedulerKind;
use crate::run::{Judges, Limits, Report, Verdict, run};
use crate::schedule::Departure;
use crate::scheduler::{Departing, Scheduler, Tie};
use crate::shrink::{Case, Shrink, Shrunk, Size};
use crate::simulation::Simulation;
use crate::trace::{Recorder, TraceRecord, in_words};
use crate::vacuity::Vacuous;

/// How many of the last steps a failure shows.
const STEPS_SHOWN: usize = 20;
/// How many runs shrinking takes at most.
const EXECUTIONS_MAX: u32 = 500;

/// Tells of runs of a simulation that fail. Steps cost text, so only a failing run is described, by running it
/// again.
pub(super) struct Teller<'a, S: System> {
    pub(super) simulation: &'a Simulation<S>,
    pub(super) judges: &'a Judges<S>,
    pub(super) plan: FaultPlan,
    pub(super) limits: Limits,
    /// The command line that plays a schedule of these lines, if the test has one.
    pub(super) command: Option<&'a Command<'a>>,
}

/// The command line that plays a schedule of these lines.
pub(super) type Command<'a> = dyn Fn(&[String]) -> String + Sync + 'a;

impl<S: System> Teller<'_, S> {
    /// What a failing seed did. `finds` are departures that fail in some way.
    pub(super) fn seed(&self, seed: u64, verdict: &Verdict, finds: &[Vec<Departure>]) -> String {
        let limits = enough_for(verdict, self.limits);
        let mut scheduler = SchedulerKind::Portfolio.scheduler(self.simulation, seed, self.plan);
        let (again, records) = recorded(self.simulation, &mut scheduler, self.judges, limits);
        let is_stuck = matches!((&again.verdict, verdict), (Verdict::Stuck { .. }, Verdict::Stuck { .. }));
        if again.verdict != *verdict && !is_stuck {
            return two_verdicts(&format!("seed {seed}"), &in_words(verdict), &in_words(&again.verdict));
        }
        let (end, plan_name) = (seed.saturating_add(1), name_of(self.plan));
        let is_usual = limits == Limits::OF_A_TEST;
        let limits_of = if is_usual { String::new() } else { format!(".with_limits({})", in_code(limits)) };
        let seeds = format!(".with_departures(0).with_seeds({seed}..{end}).with_faults({plan_name})");
        let call = format!("Check::new(&simulation, &judges)\n        {seeds}{limits_of}.run();");
        let text = format!("to play seed {seed} alone:\n    pellmell::testing::{call}\n");
        let scheduler = SchedulerKind::Portfolio.scheduler(self.simulation, seed, self.plan);
        let extracted = extract(self.simulation, scheduler, self.judges, limits, Tie::InOrder);
        match extracted {
            Err(error) => text + &unshrunk(&again.verdict, &records, &error.to_string()),
            Ok(extracted) => text + &self.least(extracted.departures, finds, &again, &records, limits),
        }
    }

    /// What a run did that departs so from the calm one, and fails with this signature.
    pub(super) fn departures(&self, departures: &[Departure], signature: &str) -> String {
        // Whether it is stuck is known before it is played again.
        let stuck = Verdict::Stuck { reason: String::new() };
        let is_stuck = signature.starts_with(&stuck.signature().unwrap_or_default());
        let limits = if is_stuck { enough_for(&stuck, self.limits) } else { self.limits };
        let mut departing = Departing::new(departures.to_vec());
        let (again, records) = recorded(self.simulation, &mut departing, self.judges, limits);
        let found = again.verdict.signature().unwrap_or_else(|| "held".to_owned());
        if found != signature && !(is_stuck && matches!(again.verdict, Verdict::Stuck { .. })) {
            let lines: Vec<String> = departures.iter().map(|departure| format!("`{departure}`")).collect();
            let what = if lines.is_empty() { "the calm run".to_owned() } else { lines.join(" and ") };
            return two_verdicts(&what, signature, &found);
        }
        self.least(departures.to_vec(), &[], &again, &records, limits)
    }

    /// The least of a run that fails in the same way, and how to play it.
    fn least(
        &self,
        departures: Vec<Departure>,
        finds: &[Vec<Departure>],
        report: &Report,
        records: &[TraceRecord],
        limits: Limits,
    ) -> String {
        let Teller { simulation, judges, .. } = *self;
        let before = Size { steps: report.steps, departures: departures.len(), commands: simulation.commands() };
        // What is printed is to be played with the simulation as it is.
        let finds = |_| finds.to_vec();
        let shrink = Shrink::new(simulation, judges).with_limits(limits).with_simpler_commands(false);
        let shrink = shrink.with_executions_max(EXECUTIONS_MAX).with_finds(&finds);
        let Ok(shrunk) = shrink.run(departures) else { return unshrunk(&report.verdict, records, NOT_ALONE) };
        let case = Case { commands: shrunk.commands.clone(), departures: shrunk.departures.clone() };
        let mut departing = Departing::new(case.departures.clone());
        let (_, records) = recorded(&case.simulation(simulation), &mut departing, judges, limits);
        let lines = lines::lines_of(simulation, &case);
        let how = match self.command {
            Some(command) => format!("to play what is left of it:\n    {}\n", command(&lines)),
            None => call(&lines, limits),
        };
        how + &minimal(before, &shrunk, &records)
    }
}

/// The message for what came to two verdicts.
fn two_verdicts(what: &str, first: &str, second: &str) -> String {
    let what = format!("{what} came to two verdicts in two runs: first {first}, then {second}");
    format!(
        "{}\n\
         a handler depends on more than its event, its store and its context: find the step with determinism::check",
        lines_for_terminal(&what)
    )
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

/// That a line of a kept schedule names what does not come any more.
#[must_use]
pub fn outlived(vacuous: &Vacuous) -> String {
    format!(
        "`{}`: {}; if the defect is gone, that is as it should be, and the schedule stays: it would show it again",
        vacuous.name, vacuous.reason
    )
}

/// Tells whoever runs tests, also of those that pass, whose output is not shown.
pub fn tell(said: &str) {
    // If stderr is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "pellmell: {}", lines_for_terminal(said));
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

fn name_of(plan: FaultPlan) -> &'static str {
    match plan {
        FaultPlan::NONE => "pellmell::FaultPlan::NONE",
        FaultPlan::SOME => "pellmell::FaultPlan::SOME",
        _ => "plan",
    }
}

/// The call that plays a schedule, ready to be pasted.
#[must_use]
pub fn call(lines: &[String], limits: Limits) -> String {
    let is_usual = limits == Limits::OF_A_TEST;
    let mut text = String::from("to play what is left of it:\n");
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
        "seed {seed} was played twice, with other seeds in between, and came to two runs\n{}\n\
         a handler depends on more than its event, its store and its context: what it keeps, keep in its store",
        lines_for_terminal(&divergence.to_string())
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
        let _ = writeln!(text, "    {}", for_terminal(&format!("{item}: {why}")));
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
    format!("\n{}\n", lines_for_terminal(&in_words(verdict)))
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
    let done = record.outside.iter().map(|done| format!("   does {done}"));
    let asked = record.asked.iter().map(|asked| format!("   asks {asked}"));
    let rest: String = asked.chain(saved).chain(done).chain(faults).collect();
    let time = Time(record.time_us).to_string();
    // A terminal shows what a test that fails prints.
    let what = format!("{}{answer}{rest}", record.action);
    format!("\n{:>5} {time:>10}   {}", record.step, for_terminal(&what))
}
