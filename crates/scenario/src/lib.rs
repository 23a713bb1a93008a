//! Scenario files, corpora of kept cases, zoos of known defects, and results of sweeps, for any system under
//! [pellmell](https://docs.rs/pellmell). Use it through the crate `pellmell`.
//!
//! It parses text and opens no files.

pub mod any;
pub mod corpus;
pub mod foreign;
pub mod results;
pub mod scenario;
pub mod zoo;
