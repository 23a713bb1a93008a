//! Searching for failures: over the schedules nearest to the calm run, over many runs, and over all
//! states.

mod bound;
mod coverage;
mod hold_sweep;
mod shortest;
mod sweep;

pub use bound::{PctBound, pct_bound};
pub use coverage::{Coverage, Means, RuledOut, Seen, Situation, SituationWatch, Standing};
pub use hold_sweep::{DepartedBucket, HoldSweep, HoldSweepResult, PAIRS_STEPS, Tally};
pub use shortest::{Cost, Found, Moves, Order, Searched, Shortest};
pub use sweep::{Bucket, Sweep, SweepResult, Totals};
