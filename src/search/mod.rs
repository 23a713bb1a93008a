//! Searching for failures: over many runs, and over all states.

mod bound;
mod coverage;
mod shortest;
mod sweep;

pub use bound::{PctBound, pct_bound};
pub use coverage::{Coverage, Means, RuledOut, Seen, Situation, SituationWatch, Standing};
pub use shortest::{Cost, Found, Moves, Order, Searched, Shortest};
pub use sweep::{Bucket, Sweep, SweepResult, Totals};
