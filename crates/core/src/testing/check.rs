//! Many seeds, or one schedule, in one call.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::{ControlFlow, Range};

use super::failures::Failures;
use super::seeds::Player;
use super::{lines, story};
use crate::event::System;
use crate::faults::FaultPlan;
use crate::run::{Counts, Judges, Limits, run};
use crate::scheduler::Departing;
use crate::search::{Coverage, HoldPart, HoldSweep, HoldSweepResult, SoFar, Sweep};
use crate::simulation::Simulation;
use crate::trace::{Recorder, grouped};
use crate::vacuity::{Allow, Asked, FEW_RUNS, Findings, Kind, Looking, Occurred, Vacuous};

/// How many steps the schedules with one departure take together at most, if each takes as many as the calm
/// run: about as long as a thousand seeds of a small system.
const DEPARTED_STEPS: u64 = 100_000;

/// The outcome of runs that hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// How many runs.
    pub runs: u64,
    /// What happened how often in all of them.
    pub counts: Counts,
    /// Which delivery situations the first runs met, up to 100 of them: `coverage.runs` says how many.
    pub coverage: Coverage,
    /// In how many runs something was reached that is to be reached in some run
    /// ([`Sometimes`](crate::Sometimes)), by name.
    pub reached: BTreeMap<&'static str, u64>,
    /// What was asked for and did not happen, as far as the result does not rest on it.
    pub notes: Vec<Vacuous>,
}

/// Plays a simulation's schedules with one departure and then many seeds, and judges every run:
/// [`check`](super::check) with all that can be chosen.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop};
/// # use pellmell::{Limits, Judges, Outcome, Profile, RecordId, Simulation, Subject, testing};
/// # let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
/// #     let (item, price) = (change.item, change.price);
/// #     ctx.publish(Changed { item, version: pellmell::Version(0), price });
/// #     Ok(())
/// # });
/// # let listens = const { &[Subject::new("item:changed")] };
/// # let search = testing::service::<Shop>("search").on_event(listens, |_, _| Outcome::Ack);
/// # let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
/// # let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
/// # let simulation = simulation.client("seller", commands).build().unwrap();
/// # let judges = Judges::new(Vec::new());
/// let checked = testing::Check::new(&simulation, &judges)
///     .with_seeds(0..200)
///     .with_limits(Limits { steps_max: 10_000, ..Limits::OF_A_TEST })
///     .allowing("no-properties")
///     .run();
/// assert!(checked.counts.deliveries > 200 && checked.counts.acks_lost > 0);
/// ```
#[must_use = "nothing runs before `run` is called"]
pub struct Check<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    seeds: Range<u64>,
    departures_max: Option<u64>,
    plan: FaultPlan,
    limits: Limits,
    allowed: Vec<Allow>,
    threads: u32,
    stops: bool,
    command: Option<&'a story::Command<'a>>,
    call: [&'a str; 2],
}

impl<'a, S: System> Check<'a, S> {
    /// The schedules with one departure, then seeds `0..1000`, with [`FaultPlan::SOME`] and
    /// [`Limits::OF_A_TEST`], on all cores.
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Check<'a, S> {
        let (seeds, plan, limits) = (0..1000, FaultPlan::SOME, Limits::OF_A_TEST);
        let allowed = Vec::new();
        let (threads, stops, command, departures_max) = (0, false, None, None);
        let call = ["pellmell::testing::Check::new(&simulation, &judges)", "run()"];
        Check { simulation, judges, seeds, departures_max, plan, limits, allowed, threads, stops, command, call }
    }

    /// How many schedules that depart from the calm run are played first, those that depart once before those
    /// that do twice; none if 0. Unless said otherwise all that depart once, or as many of them as take
    /// about 100,000 steps.
    pub fn with_departures(mut self, departures_max: u64) -> Check<'a, S> {
        self.departures_max = Some(departures_max);
        self
    }

    /// How many threads play; as many as there are cores if 0. What comes of it does not depend on that.
    pub fn with_threads(mut self, threads: u32) -> Check<'a, S> {
        self.threads = threads;
        self
    }

    /// Whether no more runs are begun once one failed, so that nothing is told of other ways to fail. False
    /// unless said otherwise.
    pub fn stopping_at_first(mut self, stops: bool) -> Check<'a, S> {
        self.stops = stops;
        self
    }

    /// The command line that plays a schedule of these lines, which a failure then prints instead of a call of
    /// [`replay`](super::replay).
    pub fn with_command(mut self, command: &'a (dyn Fn(&[String]) -> String + Sync)) -> Check<'a, S> {
        self.command = Some(command);
        self
    }

    /// The call that a failure shows which `allowing` would mend, in two parts: `system` and `check()` show
    /// `system.allowing("no-properties").check();`. For tests that make a check for their users.
    pub fn with_call(mut self, call: [&'a str; 2]) -> Check<'a, S> {
        self.call = call;
        self
    }

    /// These seeds.
    pub fn with_seeds(mut self, seeds: Range<u64>) -> Check<'a, S> {
        self.seeds = seeds;
        self
    }

    /// The faults that each seed draws.
    pub fn with_faults(mut self, plan: FaultPlan) -> Check<'a, S> {
        self.plan = plan;
        self
    }

    /// How far a run may go.
    pub fn with_limits(mut self, limits: Limits) -> Check<'a, S> {
        self.limits = limits;
        self
    }

    /// Allows that something asked for does not happen: a [kind](crate::vacuity::Kind), or a kind and a
    /// name, as the panic of [`Check::run`] prints it.
    ///
    /// # Panics
    /// If there is no such kind.
    #[track_caller]
    pub fn allowing(mut self, text: &str) -> Check<'a, S> {
        self.allowed.push(allow(text));
        self
    }

    /// Plays the schedules with one departure, and then the seeds.
    ///
    /// Five of the seeds are played before all others and once more when all are done, in another order and
    /// another thread: so a handler that keeps something elsewhere than in its store is found.
    ///
    /// # Panics
    /// As [`check`](super::check) does.
    #[track_caller]
    pub fn run(self) -> Checked {
        let Check { simulation, judges, ref seeds, plan, limits, ref allowed, stops, command, .. } = self;
        assert!(!seeds.is_empty(), "no seed was run: {seeds:?} is empty");
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().try_into().unwrap_or(u32::MAX)),
            threads => threads,
        };
        let player = Player { simulation, judges, plan, limits, threads, stops };
        let source = player.source();
        let sweep = Sweep { source: &source, judges, seeds: seeds.clone(), threads };
        let sample = sweep.sample().unwrap_or_else(|error| panic!("{error}"));
        let departed = self.depart(threads);
        let played = (!stops || departed.is_held()).then(|| player.play(seeds));
        // What hangs on what was played before says nothing else.
        if let Err((seed, divergence)) = sweep.compare(&sample) {
            panic!("{}", story::of_two_runs(seed, &divergence));
        }
        let failures = Failures::new(&departed, played.as_ref(), stops);
        if let Some(told) = failures.story(simulation, (plan, limits), judges, command) {
            panic!("{told}");
        }
        let (occurred, coverage) = played.map(|played| (played.occurred, played.coverage)).unwrap_or_default();
        let asked = Asked { simulation, judges, plan: &plan, schedule: &[] };
        let is_few = occurred.runs < FEW_RUNS;
        let findings = Findings::of(asked.found(&occurred), allowed, true, |vacuous| match vacuous.kind {
            // Some of everything is asked for, as far as it can happen.
            Kind::IdleFault => plan == FaultPlan::SOME,
            Kind::RefusedClient | Kind::UnpublishedSubject => is_few,
            Kind::NeverReached => occurred.runs == 1,
            kind => kind.is_note(),
        });
        let rests = format!("{} held", runs_in_words(occurred.runs));
        refuse_void(&rests, &findings, self.call);
        checked(occurred, coverage, findings)
    }

    /// Plays the schedules with one departure.
    fn depart(&self, threads: u32) -> HoldSweepResult {
        let sweep = HoldSweep::new(self.simulation, self.judges).with_limits(self.limits);
        let sweep = sweep.with_faults(self.plan).with_threads(threads);
        let sweep = match self.departures_max {
            Some(0) => return HoldSweepResult::default(),
            Some(schedules_max) => sweep.with_schedules_max(schedules_max),
            None => sweep.within(1, DEPARTED_STEPS),
        };
        let plan = sweep.plan();
        let stops = |so_far: &SoFar<'_, HoldPart>| match self.stops && so_far.failed > 0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        plan.go_on(plan.none(0), plan.schedules(), stops).result
    }
}

/// A schedule, written in lines: [`replay`](super::replay) with all that can be chosen.
#[must_use = "nothing runs before `run` is called"]
pub struct Replay<'a, S: System> {
    simulation: &'a Simulation<S>,
    schedule: &'a [&'a str],
    judges: &'a Judges<S>,
    limits: Limits,
    allowed: Vec<Allow>,
    call: [&'a str; 2],
}

impl<'a, S: System> Replay<'a, S> {
    /// These lines, with [`Limits::OF_A_TEST`].
    pub fn new(simulation: &'a Simulation<S>, schedule: &'a [&'a str], judges: &'a Judges<S>) -> Replay<'a, S> {
        let call = ["pellmell::testing::Replay::new(&simulation, &[...], &judges)", "run()"];
        Replay { simulation, schedule, judges, limits: Limits::OF_A_TEST, allowed: Vec::new(), call }
    }

    /// How far the run may go.
    pub fn with_limits(mut self, limits: Limits) -> Replay<'a, S> {
        self.limits = limits;
        self
    }

    /// Allows that something asked for does not happen, as [`Check::allowing`] does: `unused-departure` in a
    /// schedule whose messages are known to be gone, so that nothing is noted.
    ///
    /// # Panics
    /// If there is no such kind.
    #[track_caller]
    pub fn allowing(mut self, text: &str) -> Replay<'a, S> {
        self.allowed.push(allow(text));
        self
    }

    /// The call that a failure shows which `allowing` would mend, as [`Check::with_call`] takes it.
    pub fn with_call(mut self, call: [&'a str; 2]) -> Replay<'a, S> {
        self.call = call;
        self
    }

    /// Plays the schedule.
    ///
    /// # Panics
    /// As [`replay`](super::replay) does.
    #[track_caller]
    pub fn run(self) -> Checked {
        let Replay { simulation, schedule, judges, limits, allowed, call } = self;
        let case = lines::read(simulation, schedule.iter().copied()).unwrap_or_else(|error| panic!("{error}"));
        let mut departing = Departing::new(case.departures.clone());
        let (mut recorder, mut occurred) = (Recorder::default(), Occurred::default());
        let played = case.simulation(simulation);
        let mut world = played.world();
        let mut looking = Looking::new(&mut occurred, &mut recorder);
        let report = run(&mut world, &mut departing, judges, limits, &mut looking);
        occurred.note(&world, &report, &departing);
        if !report.verdict.is_held() {
            panic!("{}{}", story::verdict(&report.verdict), story::last_steps(&recorder.into_records()));
        }
        let asked = Asked { simulation: &played, judges, plan: &FaultPlan::NONE, schedule: &case.departures };
        // Lines may say that nothing is sent.
        let sends_nothing = played.commands() < simulation.commands();
        let findings = Findings::of(asked.found(&occurred), &allowed, true, |vacuous| match vacuous.kind {
            Kind::NothingRan => sends_nothing,
            Kind::UnusedDeparture | Kind::EndedEarly => asked.is_outlived(vacuous),
            Kind::NoProperties => false,
            Kind::PropertyWithoutOccasion => sends_nothing,
            // That one schedule does not reach everything is no fault of it.
            _ => true,
        });
        refuse_void("the run holds", &findings, call);
        let outlived = findings.notes.iter().filter(|note| asked.is_outlived(note));
        outlived.for_each(|note| story::tell(&story::outlived(note)));
        checked(occurred, Coverage::default(), findings)
    }
}

fn checked(occurred: Occurred, coverage: Coverage, findings: Findings) -> Checked {
    let Occurred { runs, counts, reached, .. } = occurred;
    Checked { runs, counts, coverage, reached, notes: findings.notes }
}

#[track_caller]
fn allow(text: &str) -> Allow {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn runs_in_words(runs: u64) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{} runs", grouped(runs)) }
}

/// Panics if the result rests on what did not happen; says how to allow it with that call.
#[track_caller]
pub(super) fn refuse_void(rests: &str, findings: &Findings, [call, end]: [&str; 2]) {
    if findings.void.is_empty() {
        return;
    }
    let mut text = format!("{rests}, and that rests on what did not happen:\n");
    for vacuous in &findings.void {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {vacuous}");
    }
    text += "mend it, or allow it by its name:\n";
    text += &format!("    {call}");
    for vacuous in &findings.void {
        let _ = write!(text, ".allowing({:?})", vacuous.what());
    }
    panic!("{text}.{end};");
}
