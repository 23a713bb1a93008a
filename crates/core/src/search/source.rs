//! Where runs come from: what a sweep plays, seed by seed.

use super::coverage::Means;
use crate::event::System;
use crate::faults::FaultPlan;
use crate::portfolio::SchedulerKind;
use crate::run::Limits;
use crate::scheduler::Scheduler;
use crate::simulation::{BuildError, Simulation};

/// Runs by seed: what a [`Sweep`](super::Sweep) plays, and what [`Runs`](super::Runs) plays one by one.
pub trait Source<S: System>: Sync {
    /// What is simulated under a seed.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn simulation(&self, seed: u64) -> Result<Simulation<S>, BuildError>;

    /// Who picks under a seed, of which this is the simulation.
    fn scheduler(&self, simulation: &Simulation<S>, seed: u64) -> Box<dyn Scheduler>;

    /// How far a run may go.
    fn limits(&self) -> Limits;

    /// What runs may meet.
    fn means(&self) -> Means;

    /// Whether simulations differ between seeds.
    fn varies(&self) -> bool {
        false
    }
}

/// One simulation under the schedulers of the portfolio, which take turns.
///
/// ```
/// # use pellmell::doc_example::{Change, Shop};
/// # use pellmell::{FaultPlan, Judges, Limits, Profile, Simulation, testing};
/// use pellmell::search::{Seeds, Sweep};
/// # let simulation: Simulation<Shop> = Simulation::on(Profile::stan())
/// #     .service(testing::service("shop").on_command(|_, _| Ok(())))
/// #     .client("seller", vec![Change { item: pellmell::RecordId::new('i', 1), price: 5 }])
/// #     .build()
/// #     .unwrap();
/// let source = Seeds { simulation: &simulation, plan: FaultPlan::SOME, limits: Limits::OF_A_TEST };
/// let judges = Judges::new(Vec::new());
/// let swept = Sweep { source: &source, judges: &judges, seeds: 0..100, threads: 2 }.run(|_, _| ()).unwrap();
/// assert_eq!(swept.totals.held, 100);
/// ```
pub struct Seeds<'a, S: System> {
    /// What is simulated.
    pub simulation: &'a Simulation<S>,
    /// What may go wrong.
    pub plan: FaultPlan,
    /// How far a run may go.
    pub limits: Limits,
}

impl<S: System> Source<S> for Seeds<'_, S> {
    fn simulation(&self, _: u64) -> Result<Simulation<S>, BuildError> {
        Ok(self.simulation.clone())
    }

    fn scheduler(&self, simulation: &Simulation<S>, seed: u64) -> Box<dyn Scheduler> {
        SchedulerKind::Portfolio.scheduler(simulation, seed, self.plan)
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn means(&self) -> Means {
        Means::of_plan(&self.plan)
    }
}
