//! Services that are processes, as a system that needs no Rust: which there are, what they listen to and what messages
//! are about is in the scenario file (`system = "processes"`); docs/processes.md is the manual.
#![cfg(unix)]

mod documents;
mod properties;
mod suite;

pub use documents::{Document, documents};
pub use properties::{Converged, DoneOnce, VersionsNeverFall};
pub use suite::{Processes, declare, started};

use pellmell_scenario::any::{AnySystem, Erased};

/// The system for a command line (`pellmell_cli::main_of`), compiled here once.
#[must_use]
pub fn system() -> Box<dyn AnySystem> {
    Box::new(Erased::<Processes>::default())
}
