//! Which scheduler plays a seed.
//!
//! Each finds some bugs early and others late or never, and nobody knows beforehand which bug is
//! there; so where many seeds are played they take turns.

use std::sync::Arc;

use crate::event::System;
use crate::faults::FaultPlan;
use crate::run::{Judges, Limits, run};
use crate::scheduler::{
    Balanced, Calm, Census, Expected, InTurn, Keyed, Pct, Pctcp, Pos, Rounds, Scheduler, Swarm, Walk,
};
use crate::simulation::Simulation;

/// How far the calm run is played to see what is to be expected.
const EXPECTED_STEPS_MAX: u64 = 100_000;

/// Who picks what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchedulerKind {
    /// Uniformly among what may happen, keyed by identity; half of the seeds slow some lanes down:
    /// [`Keyed::new`].
    Random,
    /// The calm order: [`Calm`].
    Calm,
    /// Round by round, newest first: [`Rounds`].
    Rounds,
    /// Uniformly, by position in the list: [`Walk`].
    Walk,
    /// Another one of [`SchedulerKind::PORTFOLIO`] for each seed, in turns.
    Portfolio,
    /// Uniformly, keyed by identity: [`Keyed::evenly`].
    Uniform,
    /// Random priorities for chains, which do not change: [`Pct`] of depth 1.
    Pct1,
    /// The same with one change on average.
    Pct2,
    /// The same with two changes on average.
    Pct3,
    /// Random priorities for chains, drawn evenly, which do not change: [`Pctcp`] of depth 1.
    Pctcp1,
    /// The same with one change.
    Pctcp2,
    /// The same with two changes.
    Pctcp3,
    /// Random priorities, drawn again where actions race: [`Pos`].
    Pos,
    /// In proportion to what is expected to follow: [`Balanced`].
    Balanced,
    /// At random, each lane with a speed of its own: [`Swarm`].
    Swarm,
}

impl SchedulerKind {
    /// All of them.
    pub const ALL: [SchedulerKind; 15] = [
        SchedulerKind::Portfolio,
        SchedulerKind::Random,
        SchedulerKind::Calm,
        SchedulerKind::Uniform,
        SchedulerKind::Pct1,
        SchedulerKind::Pct2,
        SchedulerKind::Pct3,
        SchedulerKind::Pctcp1,
        SchedulerKind::Pctcp2,
        SchedulerKind::Pctcp3,
        SchedulerKind::Pos,
        SchedulerKind::Balanced,
        SchedulerKind::Swarm,
        SchedulerKind::Rounds,
        SchedulerKind::Walk,
    ];

    /// Those that take turns in the portfolio: seed `s` is played by that at place `s` modulo their
    /// number. Every fourth time `Pctcp1` to `Pctcp3` have the turns of `Pct1` to `Pct3`: what is proven
    /// costs finds.
    pub const PORTFOLIO: [SchedulerKind; 8] = [
        SchedulerKind::Calm,
        SchedulerKind::Uniform,
        SchedulerKind::Pct1,
        SchedulerKind::Pct2,
        SchedulerKind::Pct3,
        SchedulerKind::Pos,
        SchedulerKind::Balanced,
        SchedulerKind::Swarm,
    ];

    /// The names by which files and flags ask for them.
    pub const NAMES: [&'static str; SchedulerKind::ALL.len()] = {
        let mut names = [""; SchedulerKind::ALL.len()];
        let mut place = 0;
        while place < names.len() {
            names[place] = SchedulerKind::ALL[place].name();
            place += 1;
        }
        names
    };

    /// The scheduler of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<SchedulerKind> {
        SchedulerKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SchedulerKind::Random => "random",
            SchedulerKind::Calm => "calm",
            SchedulerKind::Rounds => "rounds",
            SchedulerKind::Walk => "walk",
            SchedulerKind::Portfolio => "portfolio",
            SchedulerKind::Uniform => "uniform",
            SchedulerKind::Pct1 => "pct-1",
            SchedulerKind::Pct2 => "pct-2",
            SchedulerKind::Pct3 => "pct-3",
            SchedulerKind::Pctcp1 => "pctcp-1",
            SchedulerKind::Pctcp2 => "pctcp-2",
            SchedulerKind::Pctcp3 => "pctcp-3",
            SchedulerKind::Pos => "pos",
            SchedulerKind::Balanced => "balanced",
            SchedulerKind::Swarm => "swarm",
        }
    }

    /// The one that plays a seed: of the portfolio the one whose turn it is, and otherwise itself.
    ///
    /// ```
    /// use pellmell::SchedulerKind;
    /// assert_eq!(SchedulerKind::Portfolio.for_seed(11), SchedulerKind::Pct2);
    /// assert_eq!(SchedulerKind::Portfolio.for_seed(27), SchedulerKind::Pctcp2);
    /// assert_eq!(SchedulerKind::Random.for_seed(11), SchedulerKind::Random);
    /// ```
    #[must_use]
    pub const fn for_seed(self, seed: u64) -> SchedulerKind {
        match self {
            SchedulerKind::Portfolio => {
                let members = SchedulerKind::PORTFOLIO.len() as u64;
                let proven = seed / members % 4 == 3;
                match SchedulerKind::PORTFOLIO[(seed % members) as usize] {
                    SchedulerKind::Pct1 if proven => SchedulerKind::Pctcp1,
                    SchedulerKind::Pct2 if proven => SchedulerKind::Pctcp2,
                    SchedulerKind::Pct3 if proven => SchedulerKind::Pctcp3,
                    member => member,
                }
            }
            kind => kind,
        }
    }

    /// The scheduler for a seed of a simulation, with the faults the seed draws from `plan`.
    ///
    /// [`SchedulerKind::Balanced`] and [`SchedulerKind::Pctcp1`] to 3 look at what is to be expected: the
    /// first of them for a simulation plays its calm run.
    #[must_use]
    pub fn scheduler<S: System>(self, simulation: &Simulation<S>, seed: u64, plan: FaultPlan) -> Box<dyn Scheduler> {
        let pctcp = |depth| -> Box<dyn Scheduler> {
            // Each change point takes a turn in addition to those of the actions.
            let turns = (expected(simulation).actions() + u64::from(depth)).min(u32::MAX.into());
            Box::new(Pctcp::new(seed, plan, depth, turns as u32))
        };
        match self.for_seed(seed) {
            SchedulerKind::Random => Box::new(Keyed::new(seed, plan)),
            SchedulerKind::Calm => Box::new(Calm::new(seed, plan)),
            SchedulerKind::Rounds => Box::new(Rounds::default()),
            SchedulerKind::Walk => Box::new(Walk::new(seed, plan, false)),
            SchedulerKind::Uniform => Box::new(Keyed::evenly(seed, plan)),
            SchedulerKind::Pct1 => Box::new(InTurn::new(seed, Pct::new(seed, plan, 1))),
            SchedulerKind::Pct2 => Box::new(InTurn::new(seed, Pct::new(seed, plan, 2))),
            SchedulerKind::Pct3 => Box::new(InTurn::new(seed, Pct::new(seed, plan, 3))),
            SchedulerKind::Pctcp1 => pctcp(1),
            SchedulerKind::Pctcp2 => pctcp(2),
            SchedulerKind::Pctcp3 => pctcp(3),
            SchedulerKind::Pos => Box::new(InTurn::new(seed, Pos::new(seed, plan))),
            SchedulerKind::Balanced => Box::new(InTurn::new(seed, Balanced::new(seed, plan, expected(simulation)))),
            SchedulerKind::Swarm => Box::new(InTurn::new(seed, Swarm::new(seed, plan))),
            SchedulerKind::Portfolio => unreachable!("a seed is played by a member of the portfolio"),
        }
    }
}

/// What is to be expected of a simulation: what happens in its calm run, which is played once.
#[must_use]
pub fn expected<S: System>(simulation: &Simulation<S>) -> Arc<Expected> {
    Arc::clone(simulation.inner.expected.get_or_init(|| Arc::new(counted(simulation))))
}

fn counted<S: System>(simulation: &Simulation<S>) -> Expected {
    let limits = Limits { steps_max: EXPECTED_STEPS_MAX, ..Limits::default() };
    let mut census = Census::default();
    run(&mut simulation.world(), &mut census, &Judges::new(Vec::new()), limits, &mut ());
    census.expected()
}
