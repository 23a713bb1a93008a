//! Searching for failures: over many runs, and over all states.

mod shortest;
mod sweep;

pub use shortest::{Cost, Found, Moves, Order, Searched, Shortest};
pub use sweep::{Bucket, Sweep, SweepResult, Totals};
