//! What is asked of a system or a scenario whatever its types, and what comes of it.

use super::AnyScenario;
use crate::scenario::ShrinkError;
use pellmell_core::explain::TooLarge;
use pellmell_core::schedule::NamedStep;
use pellmell_core::search::{Bounds, ExhaustResult, ImpossibleStep};
use pellmell_core::shrink::{Shrunk, Size};
use pellmell_core::simulation::BuildError;
use pellmell_core::trace::{Edges, Trace, TraceRecord};
use pellmell_core::vacuity::Findings;

/// How a zoo is played.
#[derive(Clone, Debug)]
pub struct ZooPlan {
    /// The defects, by name or number; all if empty.
    pub defects: Vec<String>,
    /// A scenario file in which they are looked for, instead of those that they name.
    pub scenario: Option<String>,
    /// How often schedules are drawn until one shows the defect.
    pub tries: u32,
    /// Whether every level is searched.
    pub all_levels: bool,
    /// How many threads play.
    pub threads: usize,
}

/// A run that was played and recorded.
pub struct Recorded {
    /// Its steps.
    pub trace: Trace,
    /// What was asked for and did not happen in it.
    pub findings: Findings,
    /// How it began, and what the broker was left with.
    pub edges: Edges,
}

/// A counterexample, whatever the system (see [`Counterexample`](crate::scenario::Counterexample)).
pub struct Smallest {
    /// How large the run of the seed was.
    pub before: Size,
    /// What is left of it, with the labels of commands.
    pub shrunk: Shrunk<String>,
    /// The scenario that has it.
    pub scenario: Box<dyn AnyScenario>,
    /// The text of that scenario's file.
    pub text: String,
}

/// Why a run cannot be explained.
#[derive(Clone, Debug)]
pub enum NotExplained {
    /// It cannot be shrunk.
    Shrink(ShrinkError),
    /// The shrunk run is too long.
    TooLarge(TooLarge),
}

/// What is searched, and how.
pub struct ExhaustPlan<'a> {
    /// The seed of the workload.
    pub seed: u64,
    /// What may happen.
    pub bounds: Bounds,
    /// The steps before the search begins.
    pub after: &'a [NamedStep],
    /// The most memory it takes, in bytes.
    pub memory_max: u64,
    /// Whether clients whose records never meet are searched apart.
    pub reduce: bool,
    /// Whether the first run that fails will do.
    pub first_failing: bool,
    /// How many threads search.
    pub threads: u32,
    /// How many runs shrinking of what was found may take.
    pub executions_max: u32,
}

/// What came of a search.
pub struct Searched {
    /// How it ended.
    pub exhausted: ExhaustResult,
    /// The names of the services.
    pub services: Vec<String>,
    /// The steps of the failing run, if there is one.
    pub story: Vec<TraceRecord>,
    /// What matters of it; `None` if departures do not tell it.
    pub smallest: Option<Smallest>,
}

/// Why nothing was searched.
pub enum NotSearched {
    /// The scenario's parts do not fit.
    Build(BuildError),
    /// A step before the search cannot happen.
    Step(ImpossibleStep),
}
