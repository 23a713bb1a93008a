//! Many seeds, or one schedule, in one call.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use super::{lines, story};
use crate::determinism::{Footprints, Sample};
use crate::event::System;
use crate::faults::FaultPlan;
use crate::portfolio::SchedulerKind;
use crate::run::{Counts, Judges, Limits, Observer, run};
use crate::scheduler::{Action, Departing};
use crate::search::{Coverage, Means, SituationWatch};
use crate::simulation::Simulation;
use crate::trace::{Recorder, grouped};
use crate::vacuity::{Allow, Asked, FEW_RUNS, Findings, Kind, Looking, Occurred, Vacuous};
use crate::world::{Step, World};

/// Of how many runs the delivery situations are counted: it takes longer than the runs.
const COVERED_MAX: u64 = 100;

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

/// Runs a simulation once for each seed and judges every run: [`check`](super::check) with all that can
/// be chosen.
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
    plan: FaultPlan,
    limits: Limits,
    allowed: Vec<Allow>,
}

impl<'a, S: System> Check<'a, S> {
    /// Seeds `0..1000` with [`FaultPlan::SOME`] and [`Limits::OF_A_TEST`].
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Check<'a, S> {
        let (seeds, plan, limits) = (0..1000, FaultPlan::SOME, Limits::OF_A_TEST);
        Check { simulation, judges, seeds, plan, limits, allowed: Vec::new() }
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

    /// Runs all seeds.
    ///
    /// Five of the seeds are played a second time when all are done, in another order and another thread:
    /// so a handler that keeps something elsewhere than in its store is found.
    ///
    /// # Panics
    /// As [`check`](super::check) does.
    #[track_caller]
    pub fn run(self) -> Checked {
        let Check { simulation, judges, seeds, plan, limits, allowed } = self;
        assert!(!seeds.is_empty(), "no seed was run: {seeds:?} is empty");
        let twice = Sample::of(&seeds);
        let (mut sample, mut occurred) = (Sample::default(), Occurred::default());
        // A group that listens to more subjects has more pairs of them than a watch can tell apart.
        let can_watch = simulation.inner.groups.iter().all(|group| group.subjects.len() <= 64);
        let mut covering = can_watch.then(|| SituationWatch::new(simulation, &Means::of_plan(&plan)));
        let mut coverage = Coverage::default();
        let covered = seeds.start..seeds.start.saturating_add(COVERED_MAX);
        let mut world = simulation.world();
        for seed in seeds.clone() {
            world.reset();
            let mut scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, plan);
            let footprints = twice.contains(&seed).then(Footprints::default);
            let watching = covering.is_some() && covered.contains(&seed);
            let report = if watching || footprints.is_some() || !occurred.has_seen_all(simulation) {
                let situations = covering.as_mut().filter(|_| watching);
                let mut beside = Beside { footprints, situations };
                let mut looking = Looking::new(&mut occurred, &mut beside);
                let report = run(&mut world, &mut scheduler, judges, limits, &mut looking);
                if let Some(situations) = beside.situations {
                    situations.end_run(seed);
                }
                if let Some(footprints) = beside.footprints {
                    sample.keep(seed, footprints);
                }
                report
            } else {
                run(&mut world, &mut scheduler, judges, limits, &mut ())
            };
            occurred.note(&world, &report);
            if !report.verdict.is_held() {
                panic!("{}", story::of_seed(simulation, seed, (plan, limits), judges, &report.verdict));
            }
            if watching && let Some(guarantee) = scheduler.guarantee() {
                coverage.note_guarantee(guarantee);
            }
        }
        if let Some(situations) = &mut covering {
            coverage.merge(&situations.take_coverage());
        }
        let again = |seed: u64, footprints: &mut Footprints| {
            let mut scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, plan);
            run(&mut simulation.world(), &mut scheduler, judges, limits, footprints);
        };
        if let Err((seed, divergence)) = sample.compare(again) {
            panic!("{}", story::of_two_runs(seed, &divergence));
        }
        let asked = Asked { simulation, judges, plan: &plan, schedule: &[] };
        let is_few = occurred.runs < FEW_RUNS;
        let findings = Findings::of(asked.found(&occurred), &allowed, true, |vacuous| match vacuous.kind {
            // Some of everything is asked for, as far as it can happen.
            Kind::IdleFault => plan == FaultPlan::SOME,
            Kind::RefusedClient | Kind::UnpublishedSubject => is_few,
            Kind::NeverReached => occurred.runs == 1,
            kind => kind.is_note(),
        });
        let rests = format!("{} held", runs_in_words(occurred.runs));
        refuse_void(&rests, &findings, "pellmell::testing::Check::new(&simulation, &judges)");
        checked(occurred, coverage, findings)
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
}

impl<'a, S: System> Replay<'a, S> {
    /// These lines, with [`Limits::OF_A_TEST`].
    pub fn new(simulation: &'a Simulation<S>, schedule: &'a [&'a str], judges: &'a Judges<S>) -> Replay<'a, S> {
        Replay { simulation, schedule, judges, limits: Limits::OF_A_TEST, allowed: Vec::new() }
    }

    /// How far the run may go.
    pub fn with_limits(mut self, limits: Limits) -> Replay<'a, S> {
        self.limits = limits;
        self
    }

    /// Allows that something asked for does not happen, as [`Check::allowing`] does: `unused-departure` for
    /// a schedule whose messages may go away when the services are mended.
    ///
    /// # Panics
    /// If there is no such kind.
    #[track_caller]
    pub fn allowing(mut self, text: &str) -> Replay<'a, S> {
        self.allowed.push(allow(text));
        self
    }

    /// Plays the schedule.
    ///
    /// # Panics
    /// As [`replay`](super::replay) does.
    #[track_caller]
    pub fn run(self) -> Checked {
        let Replay { simulation, schedule, judges, limits, allowed } = self;
        let case = lines::read(simulation, schedule.iter().copied()).unwrap_or_else(|error| panic!("{error}"));
        let mut departing = Departing::new(case.departures.clone());
        let (mut recorder, mut occurred) = (Recorder::default(), Occurred::default());
        let played = case.simulation(simulation);
        let mut world = played.world();
        let mut looking = Looking::new(&mut occurred, &mut recorder);
        let report = run(&mut world, &mut departing, judges, limits, &mut looking);
        occurred.note(&world, &report);
        occurred.note_departures(&departing);
        if !report.verdict.is_held() {
            panic!("{}{}", story::verdict(&report.verdict), story::last_steps(&recorder.into_records()));
        }
        let asked = Asked { simulation: &played, judges, plan: &FaultPlan::NONE, schedule: &case.departures };
        // Lines may say that nothing is sent.
        let sends_nothing = played.commands() < simulation.commands();
        let findings = Findings::of(asked.found(&occurred), &allowed, true, |vacuous| match vacuous.kind {
            Kind::NothingRan => sends_nothing,
            Kind::UnusedDeparture | Kind::EndedEarly | Kind::NoProperties => false,
            Kind::PropertyWithoutOccasion => sends_nothing,
            // That one schedule does not reach everything is no fault of it.
            _ => true,
        });
        let call = "pellmell::testing::Replay::new(&simulation, &[...], &judges)";
        refuse_void("the run holds", &findings, call);
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

/// Panics if the result rests on what did not happen; says how to allow it with `call`.
#[track_caller]
pub(super) fn refuse_void(rests: &str, findings: &Findings, call: &str) {
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
    panic!("{text}.run();");
}

/// What else sees the steps of a run that is looked at.
struct Beside<'a> {
    footprints: Option<Footprints>,
    situations: Option<&'a mut SituationWatch>,
}

impl<S: System> Observer<S> for Beside<'_> {
    fn before(&mut self, world: &World<S>, action: Action) {
        if let Some(footprints) = &mut self.footprints {
            footprints.before(world, action);
        }
        if let Some(situations) = &mut self.situations {
            situations.before(world, action);
        }
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        if let Some(footprints) = &mut self.footprints {
            footprints.after(world, step);
        }
        if let Some(situations) = &mut self.situations {
            situations.after(world, step);
        }
    }
}
