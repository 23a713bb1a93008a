//! A deterministic simulation testbed for out-of-order event delivery.

pub mod broker;
pub mod determinism;
#[doc(hidden)]
pub mod doc_example;
pub mod event;
pub mod faults;
pub mod file_error;
pub mod hash;
pub mod ids;
pub mod prng;
pub mod property;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod scheduler;
pub mod search;
pub mod service;
pub mod simulation;
pub mod store;
pub mod ticketing;
pub mod trace;
pub mod world;

pub use broker::{Broker, Profile};
pub use event::{Command, Event, System};
pub use faults::{AckFate, Fate, FaultPlan, Rate, Window};
pub use ids::{RecordId, ServiceIndex, Subject, Time, Version};
pub use prng::{Prng, Ratio, Stream};
pub use property::{Property, View, Violation, Watch};
pub use run::{Judges, Limits, Report, Verdict, run};
pub use scenario::Scenario;
pub use schedule::Departure;
pub use scheduler::{Calm, Departing, Keyed, Rounds, Scheduler, Walk};
pub use service::{Context, Outcome, PublishMode, Rejection, Service};
pub use simulation::{Hosting, Simulation};
pub use store::{Bump, Record, Schema, Store, VersionConflict, VersionPolicy, VersionScheme, Versioned};
pub use world::{Answer, Step, World};
