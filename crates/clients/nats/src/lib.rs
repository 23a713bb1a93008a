//! Services on `async-nats` as they are, in a [pellmell](https://docs.rs/pellmell) simulation of NATS and JetStream.
//!
//! A service is started with the address of a server on 127.0.0.1, which is pellmell's: it speaks NATS and JetStream to
//! the clients that the service makes, whatever version of `async-nats` that is, and nothing of the service is changed.
//! Which message comes next, which comes again and which ack is lost is up to the simulation's broker, so that all of
//! pellmell works: schedules, departures, shrinking, explanations, complete searches.
//!
//! - [`System`] is what a test is about, and [`check`] the one call that judges it.
//! - [`Service`] is a service, with what is seen of what it keeps.
//! - [`Conversation`] takes down what its clients and the server say.
//!
//! Each instance of a service has a thread, on which it runs beside its server in a tokio runtime of one thread with a
//! paused clock. The clock moves only when nothing can go on and every byte that was written has been read: a ping that
//! was sent then has come back and nothing else came before it. So a run is the same each time, down to what is said,
//! except for the names of inboxes, which clients draw.
//!
//! `docs/guide/nats.md` in the repository goes through an example, and says what is played and what is not.
#![cfg(unix)]

mod server;

pub use server::Nats;

/// What a test is about: services on NATS as they are, on JetStream as their consumers ask for it unless said
/// otherwise.
pub type System = pellmell_tokio::System<Nats>;

pub use pellmell_tokio::{
    Converged, Conversation, DoneOnce, FaultPlan, Naming, Processes, Profile, Request, Row, Service, VersionsNeverFall,
    check, record, request,
};
