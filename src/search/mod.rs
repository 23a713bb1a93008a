//! Searching for failures over many runs.

mod sweep;

pub use sweep::{Bucket, Sweep, SweepResult, Totals};
