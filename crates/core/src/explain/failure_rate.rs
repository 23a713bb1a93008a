//! The failure rate at each moment of a run: how many continuations of it fail.

use std::fmt;

use super::observed::{ObservedRun, continue_run};
use crate::event::System;
use crate::faults::{FaultPlan, Rate};
use crate::prng::Ratio;
use crate::run::{Judges, Limits, Verdict};
use crate::scheduler::Keyed;
use crate::shrink::same_failure;
use crate::simulation::Simulation;
use crate::world::World;

/// How often each kind of fault of the run happens to what comes later.
pub(super) const FAULT: Rate = Rate::of(Ratio::new(1, 10));

/// How many of a number of runs failed.
///
/// It is shown in percent, rounded to the nearest whole number, halves up; what is not exactly 0% or
/// 100% is never shown as that.
///
/// ```
/// use pellmell::explain::FailureRate;
/// let shown = |failing, of| FailureRate { failing, of }.to_string();
/// assert_eq!((shown(1, 3), shown(1, 200), shown(3, 200)), ("33%".into(), "1%".into(), "2%".into()));
/// assert_eq!((shown(0, 400), shown(1, 400), shown(399, 400)), ("0%".into(), "<1%".into(), ">99%".into()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureRate {
    /// Those that failed.
    pub failing: u32,
    /// All of them; at least 1.
    pub of: u32,
}

impl fmt::Display for FailureRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failing, of) = (u64::from(self.failing), u64::from(self.of.max(1)));
        let shown = match (200 * failing + of) / (2 * of) {
            0 if failing > 0 => "<1%".to_owned(),
            100 if failing < of => ">99%".to_owned(),
            percent => format!("{percent}%"),
        };
        f.pad(&shown)
    }
}

/// For each moment from before the first step to after the last one: how many of so many continuations
/// fail as the run does. The numbers of the continuations are their seeds, the same
/// at each moment, so that two moments differ by what happened between them and not by luck.
///
/// In a continuation a client that comes too early waits (see [`ObservedRun::holding_back`]): otherwise a step
/// would seem to matter that only lets a request be answered.
pub(super) fn failure_rates<S: System>(
    simulation: &Simulation<S>,
    observed: &ObservedRun<S>,
    plan: FaultPlan,
    judges: &Judges<S>,
    limits: Limits,
    continuations: u32,
) -> Vec<FailureRate> {
    let failure = &observed.report.verdict;
    let simulation = observed.holding_back(simulation);
    let mut rates = rates_of(observed, (plan, continuations), judges, limits, |world| world.continue_in(&simulation));
    // After the last step nothing is left to be drawn: this is the failure.
    rates.push(match failure {
        Verdict::Held => FailureRate { failing: 0, of: continuations },
        _ => FailureRate { failing: continuations, of: continuations },
    });
    rates
}

/// The place of the first step from which on all continuations fail although no client sends anything
/// more; `None` if that is so before the first step.
pub(super) fn settled<S: System>(
    observed: &ObservedRun<S>,
    plan: FaultPlan,
    judges: &Judges<S>,
    limits: Limits,
    continuations: u32,
) -> Option<usize> {
    let rates = rates_of(observed, (plan, continuations), judges, limits, World::stop_clients);
    let open = rates.iter().rposition(|rate| rate.failing < rate.of);
    open.filter(|place| *place < observed.steps.len())
}

/// How many continuations fail from before each step, if a world is changed so before it continues.
fn rates_of<S: System>(
    observed: &ObservedRun<S>,
    (plan, continuations): (FaultPlan, u32),
    judges: &Judges<S>,
    limits: Limits,
    change: impl Fn(&mut World<S>),
) -> Vec<FailureRate> {
    let failure = &observed.report.verdict;
    let mut rates = Vec::new();
    for before in &observed.worlds {
        let mut world = before.clone();
        let fails = |seed: &u32| {
            world.clone_from(before);
            change(&mut world);
            let mut scheduler = Keyed::evenly(u64::from(*seed), plan);
            same_failure(failure, &continue_run(&mut world, &mut scheduler, judges, limits))
        };
        let failing = (0..continuations).filter(fails).count();
        rates.push(FailureRate { failing: failing as u32, of: continuations });
    }
    rates
}
