//! Results of sweeps as files, and the shards that a sweep can be divided into.

mod file;
mod merging;
mod shard;

pub use file::{Departed, Mismatch, ResultFile, Swept};
pub use merging::Merging;
pub use shard::Shard;
