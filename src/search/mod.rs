//! Searching for failures: over many runs, and over all states.

mod exhaust;
mod shortest;
mod sweep;

pub use exhaust::{Bounds, Dependence, Ended, Exhaust, Exhausted, FailingRun, Most, Reached, Reduction, steps_named};
pub use shortest::{Cost, Found, Moves, Order, Searched, Shortest};
pub use sweep::{Bucket, Sweep, SweepResult, Totals};
