//! The core of [pellmell](https://docs.rs/pellmell): events, stores, services, a fake broker, worlds, runs,
//! searches, shrinking and explanations. Use it through the crate `pellmell`, whose page is the manual.
//!
//! It reads no files, no environment and no wall clock, and prints nothing.

#![forbid(unsafe_code)]

pub mod broker;
pub mod determinism;
#[doc(hidden)]
pub mod doc_example;
pub mod engine;
#[cfg(test)]
pub(crate) mod erratic;
pub mod escape;
pub mod event;
pub mod explain;
pub mod extract;
pub mod faults;
pub mod file_error;
pub mod hash;
pub mod ids;
pub mod nearest;
pub mod portfolio;
pub mod prng;
pub mod property;
pub mod run;
pub mod schedule;
pub mod scheduler;
pub mod search;
pub mod service;
pub mod shrink;
pub mod simulation;
pub mod store;
pub mod testing;
pub mod trace;
pub mod vacuity;
pub mod world;

pub use broker::{Broker, Profile};
pub use event::{Command, Event, System};
pub use faults::{AckFate, Fate, FaultPlan, Rate, Window};
pub use ids::{Reason, RecordId, ServiceIndex, Subject, Time, Version};
pub use portfolio::SchedulerKind;
pub use prng::{Prng, Ratio, Stream};
pub use property::{Moment, Property, Sometimes, Together, View, Violation, Watch};
pub use run::{Judges, Limits, Report, Verdict, run};
pub use schedule::{Departure, NamedStep};
pub use scheduler::{Balanced, Calm, Departing, Keyed, Pct, Pos, Replayed, Rounds, Scheduler, Swarm, Walk};
pub use service::{
    AckTiming, Awaits, Context, NoAnswer, Outcome, Outside, Port, PublishMode, Rejection, Relay, Service, Timer, Work,
};
pub use simulation::{Hosting, Sending, Simulation};
pub use store::{Bump, Record, Schema, Store, VersionConflict, VersionPolicy, VersionScheme, Versioned};
pub use world::{Answer, Step, World};
