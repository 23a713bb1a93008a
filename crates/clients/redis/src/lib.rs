//! Services on Redis Streams as they are, in a [pellmell](https://docs.rs/pellmell) simulation of consumer groups.
//!
//! A service is started with the URL of a server on a Unix socket, which is pellmell's: it speaks the protocol of Redis
//! to the clients that the service makes, and nothing of the service is changed. Which entry comes next, which is
//! claimed and which ack is lost is up to the simulation's broker, so that all of pellmell works: schedules,
//! departures, shrinking, explanations, complete searches.
//!
//! - [`System`] is what a test is about, and [`check`] the one call that judges it.
//! - [`Service`] is a service, with what is seen of what it keeps.
//! - [`Conversation`] takes down what its clients and the server say.
//!
//! The subject of a message is the key of its stream, and its body an object of its fields. A first delivery is what a
//! read of new entries (`>`) returns; a later one what the service claims, or finds in its consumer's own history. A
//! service that does neither never gets it, and fails for that.
//!
//! `docs/guide/redis.md` in the repository goes through an example, and says what is played and what is not.
#![cfg(unix)]

mod commands;
mod frame;
mod streams;

pub use commands::Client;
pub use frame::{Command, Reply};
pub use streams::Redis;

/// What a test is about: services on Redis Streams as they are.
pub type System = pellmell_tokio::System<pellmell_tokio::Sockets<Redis>>;

pub use pellmell_tokio::{
    Converged, Conversation, DoneOnce, FaultPlan, Naming, Processes, Profile, Row, Service, VersionsNeverFall, check,
    record,
};
