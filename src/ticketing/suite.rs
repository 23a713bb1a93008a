//! What scenario files and the command line need to know of the ticketing services.

use super::coded;
use super::defects::{ALTERNATIVES, Alternative, CANARY, DEFECTS, Defect};
use super::designs::Design;
use super::messages::Ticketing;
use super::properties::{self, Independence};
use super::stored::StoredTicket;
use super::workload::Workload;
use crate::any::{AnySystem, Erased};
use crate::property::{Property, Sometimes};
use crate::scenario::{Coded, Comparison, Display, Services, Suite, TakingPart};
use crate::service::Service;

/// The command line of the ticketing system, and of scenarios whose services are processes. It is here, and not in the
/// program, so that what the compiler makes of the core for these services is made once, for the program and all tests.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let ticketing: Box<dyn AnySystem> = Box::new(Erased::<Ticketing>::default());
    #[cfg(unix)]
    let others = [pellmell_processes::system()];
    #[cfg(not(unix))]
    let others = [];
    crate::cli::main_of(std::iter::once(ticketing).chain(others).collect())
}

impl Suite for Ticketing {
    const NAME: &'static str = "ticketing";
    type Design = Design;
    type Workload = Workload;
    type Stored = StoredTicket;

    fn program() -> &'static str {
        "pellmell"
    }

    fn example() -> &'static str {
        "scenarios/one-lost-ack.toml"
    }

    fn designs() -> Vec<Design> {
        let others = Design::ALL.into_iter().filter(|design| *design != Design::REFERENCE);
        std::iter::once(Design::REFERENCE).chain(others).collect()
    }

    fn services(design: &Design) -> Services<Ticketing> {
        design.services()
    }

    fn coded(design: &Design, name: &str, coded: &Coded) -> Result<Box<dyn Service<Ticketing>>, String> {
        coded::service(design, name, coded)
    }

    fn properties(design: &Design) -> Vec<Box<dyn Property<Ticketing>>> {
        properties::promised_by(design)
    }

    fn all_properties() -> Vec<Box<dyn Property<Ticketing>>> {
        properties::all()
    }

    fn sometimes(design: &Design, part: &TakingPart) -> Vec<Sometimes<Ticketing>> {
        properties::sometimes(design, part)
    }

    fn defects() -> Vec<Defect> {
        DEFECTS.to_vec()
    }

    fn canary() -> Option<Defect> {
        Some(CANARY)
    }

    fn alternatives() -> Vec<Alternative> {
        ALTERNATIVES.to_vec()
    }

    fn comparison() -> Box<dyn Comparison<Ticketing>> {
        Box::new(Independence::default())
    }

    fn display() -> Display {
        Display::USUAL
            .with_hidden_fields(&["title", "user", "expires_at"])
            .with_time_fields(&["due", "expires_at"])
            .with_not_compared(&["ledger"])
            .with_replicated(&[('t', &["price"])])
    }
}
