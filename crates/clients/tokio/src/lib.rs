//! Services on tokio as they are, in a [pellmell](https://docs.rs/pellmell) simulation.
//!
//! This is what `pellmell-nats` and `pellmell-redis` have in common; a test names one of those. A service is started
//! with the address of a server that is pellmell's ([`Door`]) and speaks to the service's clients what their broker
//! speaks. Which message comes next, which comes again and which ack is lost is up to the simulation's broker, so that
//! all of pellmell works: schedules, departures, shrinking, explanations, complete searches.
//!
//! - [`System`] is what a test is about, and [`check`] the one call that judges it.
//! - [`Service`] is a service, with what is seen of what it keeps.
//! - [`Conversation`] takes down what its clients and the server say.
//! - [`Door`] is what a server has to be, for who writes one for another broker; [`Sockets`] is one on a Unix socket
//!   for whatever [`Protocol`].
//!
//! Each instance of a service has a thread, on which it runs beside its server in a tokio runtime of one thread with a
//! paused clock. The clock moves only when no task can go on and every byte that was written is known to be read. So a
//! run is the same each time, down to what is said.
//!
//! What a service keeps is its own state ([`pellmell_code::State::Own`]): the world has the inputs that led to it, and
//! where no instance is in that state one is told them again, and must do the same.
#![cfg(unix)]

mod about;
mod desk;
mod door;
mod instance;
mod runtime;
mod service;
mod sockets;
mod system;

pub use about::About;
pub use desk::{Desk, Hand, WITHIN};
pub use door::{BEGINS_WITHIN, Door, Handed, HasStreams};
pub use service::{Conversation, Row, Service, record};
pub use sockets::{Protocol, Room, Sockets};
pub use system::{Request, System, check, request};

pub use pellmell_code::Naming;
pub use pellmell_core::broker::Profile;
pub use pellmell_core::faults::FaultPlan;
pub use pellmell_processes::{Converged, DoneOnce, Processes, VersionsNeverFall};
