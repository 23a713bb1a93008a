//! Searching for failures: over the schedules nearest to the calm run, over many runs, and over all
//! states.

mod bound;
mod buckets;
mod coverage;
mod exhaust;
pub mod hex_text;
mod hold_sweep;
#[cfg(test)]
mod livelock;
mod nearby;
mod part;
#[cfg(test)]
mod queues;
mod runs;
mod shortest;
mod source;
mod states;
mod sweep;

pub use bound::{PctBound, PctRuns, pct_bound};
pub use coverage::{Coverage, Means, RuledOut, Seen, Situation, SituationWatch, Standing};
pub use exhaust::{
    Bounds, Dependence, Ended, Exhaust, ExhaustResult, FailingRun, ImpossibleStep, Most, Reduction, SEARCHED_STEPS_MAX,
    SearchStats, steps_named,
};
pub use hold_sweep::{DepartedBucket, HoldPart, HoldPlan, HoldSweep, HoldSweepResult, PAIRS_STEPS, Tally};
pub use nearby::{Nearby, NearbyResult, Neighbour};
pub(crate) use part::play;
pub use part::{Part, Piece, SoFar};
pub(crate) use runs::{Looks, Survey};
pub use runs::{Run, Runs};
pub use shortest::{Cost, DeliveryOrder, Found, Shortest, ShortestBounds, ShortestResult};
pub use source::{Seeds, Source};
pub use sweep::{Bucket, Looked, Sweep, SweepResult, Totals};
