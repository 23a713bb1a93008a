//! Searching for failures: over many runs, and over all states.

mod merging;
mod part;
mod result_file;
mod shard;
mod shortest;
mod sweep;

pub use merging::Merging;
pub use part::Part;
pub use result_file::{Mismatch, ResultFile, Swept};
pub use shard::Shard;
pub use shortest::{Cost, Found, Moves, Order, Searched, Shortest};
pub use sweep::{Bucket, SoFar, Sweep, SweepResult, Totals};
