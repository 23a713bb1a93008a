//! The orders service of docs/guide/async.md: as it is in production, and what stands behind its traits in a test.

pub mod orders;
pub mod simulated;
