//! Searching for failures: over the schedules nearest to the calm run, over many runs, and over all
//! states.

mod bound;
mod buckets;
mod coverage;
mod exhaust;
mod hold_sweep;
#[cfg(test)]
mod livelock;
mod merging;
mod part;
#[cfg(test)]
mod queues;
mod result_file;
mod shard;
mod shortest;
mod sweep;

pub use bound::{PctBound, PctRuns, pct_bound};
pub use coverage::{Coverage, Means, RuledOut, Seen, Situation, SituationWatch, Standing};
pub use exhaust::{
    Bounds, Dependence, Ended, Exhaust, ExhaustResult, FailingRun, ImpossibleStep, Most, Reduction, SearchStats,
    steps_named,
};
pub use hold_sweep::{DepartedBucket, HoldPart, HoldPlan, HoldSweep, HoldSweepResult, PAIRS_STEPS, Tally};
pub use merging::Merging;
pub use part::{Part, SoFar};
pub use result_file::{Departed, Mismatch, ResultFile, Swept};
pub use shard::Shard;
pub use shortest::{Cost, DeliveryOrder, Found, Shortest, ShortestBounds, ShortestResult};
pub use sweep::{Bucket, Looked, Sweep, SweepResult, Totals};
