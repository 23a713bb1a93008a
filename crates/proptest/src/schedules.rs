//! Schedules as values that proptest draws, shrinks and keeps.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::kept::Handed;
use super::tree::ScheduleTree;
use pellmell_core::event::System;
use pellmell_core::extract::extract;
use pellmell_core::faults::FaultPlan;
use pellmell_core::portfolio::SchedulerKind;
use pellmell_core::run::{Judges, Limits, Observer, Report, Verdict, run};
use pellmell_core::schedule::Departure;
use pellmell_core::scheduler::{Departing, Tie};
use pellmell_core::shrink::{Case, Shrink};
use pellmell_core::simulation::Simulation;
use pellmell_core::testing::{lines, story};
use pellmell_core::trace::{Recorder, in_words};
use pellmell_core::vacuity::{Asked, Kind, Looking, Occurred, Vacuous};
use pellmell_core::world::World;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Draws schedules of a simulation: the runs that [`check`](pellmell_core::testing::check) plays, expressed as
/// departures.
///
/// A schedule that fails is shrunk as [`shrink`](pellmell_core::shrink) does it: what is left of it fails
/// under `judges` in the same way. If the test passes there, because it asserts something else, then
/// departures and commands are left out as long as the test fails.
///
/// In a crate of yours, `#[test]` stands above the function.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop};
/// # use pellmell::{Judges, Outcome, Profile, RecordId, Simulation, Subject, Version};
/// # fn simulation() -> Simulation<Shop> {
/// #     let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
/// #         ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
/// #         Ok(())
/// #     });
/// #     let listens = const { &[Subject::new("item:changed")] };
/// #     let search = testing::service::<Shop>("search").on_event(listens, |_, _| Outcome::Ack);
/// #     let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
/// #     let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
/// #     simulation.client("seller", commands).build().unwrap()
/// # }
/// # fn judges() -> Judges<Shop> { Judges::new(Vec::new()) }
/// use pellmell::{FaultPlan, testing};
/// use proptest::prelude::*;
///
/// proptest! {
///     #![proptest_config(testing::kept_in("tests/regressions/search.toml"))]
///
///     fn search_agrees(schedule in testing::schedules(&simulation(), FaultPlan::SOME, judges())) {
///         schedule.check()?;
///         let (world, report) = schedule.play(&mut ());
///         prop_assert_eq!(report.counts.commands, 1);
///         prop_assert!(world.is_finished());
///     }
/// }
/// # search_agrees();
/// ```
#[must_use]
pub fn schedules<S: System>(simulation: &Simulation<S>, plan: FaultPlan, judges: Judges<S>) -> Schedules<S> {
    Schedules { simulation: simulation.clone(), plan, judges: Arc::new(judges) }
}

/// Draws schedules of a simulation; [`schedules`] makes it.
pub struct Schedules<S: System> {
    simulation: Simulation<S>,
    plan: FaultPlan,
    judges: Arc<Judges<S>>,
}

impl<S: System> Schedules<S> {
    /// The schedule of a seed.
    fn of_seed(&self, seed: u64) -> Result<Schedule<S>, String> {
        let scheduler = SchedulerKind::Portfolio.scheduler(&self.simulation, seed, self.plan);
        let extracted = extract(&self.simulation, scheduler, &self.judges, Limits::default(), Tie::InOrder);
        let departures = extracted.map_err(|error| error.to_string())?.departures;
        Ok(self.schedule(Case::whole(&self.simulation, departures)))
    }

    fn schedule(&self, case: Case) -> Schedule<S> {
        Schedule::new(self.simulation.clone(), Arc::clone(&self.judges), case)
    }

    /// A schedule that was kept. What it names must be able to exist; what does not come any more is noted on
    /// standard error, as it may be the defect that is gone.
    fn kept(&self, handed: &Handed) -> Result<Schedule<S>, String> {
        let Handed { place, lines } = handed;
        let case = lines::read(&self.simulation, lines.iter().map(String::as_str));
        let case = case.map_err(|error| format!("{place}: {error}"))?;
        let simulation = case.simulation(&self.simulation);
        let mut departing = Departing::new(case.departures.clone());
        let mut occurred = Occurred::default();
        let mut world = simulation.world();
        let report =
            run(&mut world, &mut departing, &self.judges, Limits::default(), &mut Looking::new(&mut occurred, &mut ()));
        occurred.note(&world, &report, &departing);
        let asked =
            Asked { simulation: &simulation, judges: &self.judges, plan: &FaultPlan::NONE, schedule: &case.departures };
        for vacuous in asked.found_by_counts(&occurred) {
            let is_departure = matches!(vacuous.kind, Kind::UnusedDeparture | Kind::EndedEarly);
            if asked.is_outlived(&vacuous) {
                // A run that still fails ends before all of it comes.
                if !report.verdict.is_held() {
                    continue;
                }
                story::tell(&format!("{place}: {}", story::outlived(&vacuous)));
            } else if is_departure {
                let Vacuous { name, reason, .. } = vacuous;
                return Err(format!("{place}: `{name}`: {reason}: write what took its place"));
            }
        }
        Ok(self.schedule(case))
    }
}

impl<S: System> fmt::Debug for Schedules<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedules").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl<S: System> Strategy for Schedules<S> {
    type Tree = ScheduleTree<S>;
    type Value = Schedule<S>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        if let Some(handed) = Handed::to(runner)? {
            return Ok(ScheduleTree::new(self.kept(&handed)?));
        }
        loop {
            let seed = proptest::num::u64::ANY.new_tree(runner)?.current();
            match self.of_seed(seed) {
                Ok(schedule) => return Ok(ScheduleTree::new(schedule)),
                Err(error) => runner.reject_local(error)?,
            }
        }
    }
}

/// A schedule of a simulation: departures from the calm run, and the commands that are sent.
///
/// Displayed, it is what [`replay`](pellmell_core::testing::replay) reads, a line for each departure and each command.
pub struct Schedule<S: System> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: System> {
    simulation: Simulation<S>,
    judges: Arc<Judges<S>>,
    case: Case,
    report: OnceLock<Report>,
}

impl<S: System> Clone for Schedule<S> {
    fn clone(&self) -> Schedule<S> {
        Schedule { inner: Arc::clone(&self.inner) }
    }
}

impl<S: System> Schedule<S> {
    fn new(simulation: Simulation<S>, judges: Arc<Judges<S>>, case: Case) -> Schedule<S> {
        Schedule { inner: Arc::new(Inner { simulation, judges, case, report: OnceLock::new() }) }
    }

    /// The same with another case.
    pub(super) fn with(&self, case: Case) -> Schedule<S> {
        Schedule::new(self.inner.simulation.clone(), Arc::clone(&self.inner.judges), case)
    }

    /// The simulation with all its commands.
    pub(super) fn whole(&self) -> &Simulation<S> {
        &self.inner.simulation
    }

    /// What is played.
    pub(super) fn case(&self) -> &Case {
        &self.inner.case
    }

    /// What its run is judged by.
    pub(super) fn judges(&self) -> &Judges<S> {
        &self.inner.judges
    }

    /// The departures.
    #[must_use]
    pub fn departures(&self) -> &[Departure] {
        &self.inner.case.departures
    }

    /// The simulation with the commands that are sent.
    #[must_use]
    pub fn simulation(&self) -> Simulation<S> {
        self.inner.case.simulation(&self.inner.simulation)
    }

    /// The report of its run.
    #[must_use]
    pub fn report(&self) -> &Report {
        self.inner.report.get_or_init(|| self.play(&mut ()).1)
    }

    /// Plays it: the world at the end, for assertions of a test's own, and what the judges say.
    pub fn play(&self, observer: &mut dyn Observer<S>) -> (World<S>, Report) {
        let mut world = self.simulation().world();
        let mut departing = Departing::new(self.inner.case.departures.clone());
        let report = run(&mut world, &mut departing, &self.inner.judges, Limits::default(), observer);
        (world, report)
    }

    /// Judges it.
    ///
    /// # Errors
    /// If its run does not hold: what is wrong, what it takes and the outcome without each thing, and the steps.
    pub fn check(&self) -> Result<(), ScheduleFails> {
        let verdict = &self.report().verdict;
        if verdict.is_held() {
            return Ok(());
        }
        let mut recorder = Recorder::default();
        self.play(&mut recorder);
        let records = recorder.into_records();
        let told = self.needed().unwrap_or_default() + &story::last_steps(&records);
        Err(ScheduleFails { verdict: verdict.clone(), told })
    }

    /// How to play it, and what each thing in it is good for; `None` if something in it can be left out.
    fn needed(&self) -> Option<String> {
        let (simulation, case) = (self.simulation(), &self.inner.case);
        let shrink = Shrink::new(&simulation, &self.inner.judges).with_simpler_commands(false);
        let shrunk = shrink.run(case.departures.clone()).ok()?;
        if shrunk.departures != case.departures || shrunk.commands.len() != case.commands.len() {
            return None;
        }
        let call = story::call(&lines::lines_of(&self.inner.simulation, case), Limits::OF_A_TEST);
        let reasons: String = shrunk.reasons().map(|(item, why)| format!("    {item}: {why}\n")).collect();
        let caveats: String = shrunk.caveats().map(|caveat| format!("note: {caveat}\n")).collect();
        Some(format!("{call}what is left:\n{reasons}{caveats}"))
    }
}

impl<S: System> fmt::Display for Schedule<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines::lines_of(&self.inner.simulation, &self.inner.case).join("\n"))
    }
}

/// Its lines in braces, below them the verdict if it is not held: proptest prints this.
impl<S: System> fmt::Debug for Schedule<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lines::lines_of(&self.inner.simulation, &self.inner.case);
        f.write_str(&super::kept::block(&lines, &in_words(&self.report().verdict)))
    }
}

/// The run of a schedule does not hold.
#[derive(Clone, Debug)]
pub struct ScheduleFails {
    /// The report of its run.
    pub verdict: Verdict,
    told: String,
}

impl fmt::Display for ScheduleFails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n", in_words(&self.verdict), self.told)
    }
}

impl std::error::Error for ScheduleFails {}
