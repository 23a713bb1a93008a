//! Where a seed becomes a run: the runs of a source, one after another.

use super::coverage::{Coverage, SituationWatch};
use super::source::Source;
use crate::event::System;
use crate::run::{Judges, Limits, Observer, Report, run};
use crate::scheduler::Scheduler;
use crate::simulation::{BuildError, Simulation};
use crate::vacuity::{Looking, Occurred};
use crate::world::World;

/// The runs of a source, played one after another in one world, or in a new one for each if their workloads
/// differ.
///
/// ```
/// # use pellmell::doc_example::{Change, Shop};
/// # use pellmell::{FaultPlan, Judges, Limits, Profile, Simulation, testing};
/// use pellmell::search::{Runs, Seeds};
/// # let simulation: Simulation<Shop> = Simulation::on(Profile::stan())
/// #     .service(testing::service("shop").on_command(|_, _| Ok(())))
/// #     .client("seller", vec![Change { item: pellmell::RecordId::new('i', 1), price: 5 }])
/// #     .build()
/// #     .unwrap();
/// let source = Seeds { simulation: &simulation, plan: FaultPlan::SOME, limits: Limits::OF_A_TEST };
/// let judges = Judges::new(Vec::new());
/// let mut runs = Runs::new(&source, &judges);
/// for seed in 0..100 {
///     assert!(runs.begin(seed)?.play(&mut ()).verdict.is_held());
/// }
/// # Ok::<(), pellmell::simulation::BuildError>(())
/// ```
pub struct Runs<'a, S: System> {
    source: &'a dyn Source<S>,
    judges: &'a Judges<S>,
    world: Option<World<S>>,
}

/// The run of a seed, which is to be played.
#[must_use = "nothing runs before `play` is called"]
pub struct Run<'a, S: System> {
    /// The world, as it is before the first step.
    pub world: &'a mut World<S>,
    /// Who picks.
    pub scheduler: Box<dyn Scheduler>,
    judges: &'a Judges<S>,
    limits: Limits,
}

impl<'a, S: System> Runs<'a, S> {
    /// The runs of this source, judged by these.
    #[must_use]
    pub fn new(source: &'a dyn Source<S>, judges: &'a Judges<S>) -> Runs<'a, S> {
        Runs { source, judges, world: None }
    }

    /// The run of this seed. It depends on the seed alone, not on the runs before it.
    ///
    /// # Errors
    /// If the simulation's parts do not fit.
    pub fn begin(&mut self, seed: u64) -> Result<Run<'_, S>, BuildError> {
        let source = self.source;
        self.begin_with(seed, |simulation| source.scheduler(simulation, seed))
    }

    /// The run of this seed with somebody else who picks.
    ///
    /// # Errors
    /// If the simulation's parts do not fit.
    pub(crate) fn begin_with(
        &mut self,
        seed: u64,
        scheduler: impl FnOnce(&Simulation<S>) -> Box<dyn Scheduler>,
    ) -> Result<Run<'_, S>, BuildError> {
        let Runs { source, judges, .. } = *self;
        let world = match self.world.take().filter(|_| !source.varies()) {
            Some(mut world) => {
                world.reset();
                world
            }
            None => source.simulation(seed)?.world(),
        };
        let world = self.world.insert(world);
        let scheduler = scheduler(world.simulation());
        Ok(Run { world, scheduler, judges, limits: source.limits() })
    }

    /// What was simulated last.
    pub(crate) fn simulation(&self) -> Option<&Simulation<S>> {
        self.world.as_ref().map(World::simulation)
    }
}

impl<S: System> Run<'_, S> {
    /// Plays it to its verdict.
    pub fn play(&mut self, observer: &mut dyn Observer<S>) -> Report {
        run(self.world, &mut *self.scheduler, self.judges, self.limits, observer)
    }
}

/// Which steps of a run are looked at.
#[derive(Clone, Copy)]
pub(crate) enum Looks {
    /// All.
    Everywhere,
    /// Those in which a client's command is answered.
    AtCommands,
    /// None.
    Nowhere,
}

/// What is seen of runs while they are played.
#[derive(Default)]
pub(crate) struct Survey {
    /// What occurred in them.
    pub(crate) occurred: Occurred,
    /// What is proven of them.
    pub(crate) proven: Coverage,
    /// Who notes which situations they met.
    pub(crate) situations: Option<SituationWatch>,
}

impl Survey {
    /// Plays a run, and looks at its steps for what no count tells; of a run that follows departures at all.
    pub(crate) fn play<S: System>(&mut self, seed: u64, run: &mut Run<'_, S>, looks: Looks) -> Report {
        let Survey { occurred, proven, situations } = self;
        let mut nobody = ();
        let watch: &mut dyn Observer<S> = match situations {
            Some(situations) => situations,
            None => &mut nobody,
        };
        let report = match looks {
            _ if run.scheduler.departing().is_some() => run.play(&mut Looking::new(occurred, watch)),
            Looks::Everywhere => run.play(&mut Looking::new(occurred, watch)),
            Looks::AtCommands => run.play(&mut Looking::at_commands(occurred, watch)),
            Looks::Nowhere => run.play(watch),
        };
        occurred.note(run.world, &report, &*run.scheduler);
        if let Some(situations) = situations {
            situations.end_run(seed);
            run.scheduler.guarantee().into_iter().for_each(|guarantee| proven.note_guarantee(guarantee));
        }
        report
    }

    /// What they covered since this was asked last.
    pub(crate) fn take_coverage(&mut self) -> Coverage {
        let mut coverage = std::mem::take(&mut self.proven);
        coverage.merge(&self.situations.as_mut().map(SituationWatch::take_coverage).unwrap_or_default());
        coverage
    }
}
