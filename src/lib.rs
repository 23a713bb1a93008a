//! A deterministic simulation testbed for out-of-order event delivery.
//!
//! Services that talk through a message broker see events late, twice, out of order, and again after
//! a crash. pellmell runs such services on a fake broker inside one process, where all of that is up
//! to a seed, and says whether what they hold still agrees in the end. A seed that fails, fails again
//! in every later run, on every machine.
//!
//! # A test of two services
//!
//! A shop owns items and publishes each version of them; search keeps copies. The property says that
//! whenever nothing is under way the copies are right. In a crate of yours, `main` is a `#[test]`.
//!
//! ```
#![doc = include_str!("../examples/two_services.rs")]
//! ```
//!
//! If the search applied whatever comes, [`testing::check`] would panic with the first seed that
//! fails, and of what that seed does with the little that makes it fail: the departures, the commands
//! and the steps, and a call that plays them again as often as it takes. Larger services are types that
//! implement [`Service`], larger events types that implement [`Event`], and properties that judge single
//! steps types that implement [`Property`].
//!
//! # What a run is
//!
//! 1. [`Simulation::on`] puts services, broker rules and clients together.
//!    [`Simulation::world`] gives the [`World`] before the first step: broker, stores, clock and
//!    timers in one value.
//! 2. [`run()`] asks a [`Scheduler`] which of the enabled actions is next and which [`Fate`] it meets,
//!    and takes that [`Step`]: a delivery is handled, a command executed, a late ack arrives, the
//!    clock moves to the next timer.
//! 3. [`Judges`] judge each step, each quiescent moment and the end. The [`Report`] has the
//!    [`Verdict`], the fingerprint of all steps, and what happened how often.
//!
//! Services must be rules without state: everything they remember is in their [`Store`], everything
//! they know comes from the event and the [`Context`]. [`determinism::check`] finds those that are
//! not.
//!
//! # What may grow
//!
//! Enums that a caller matches and structs that a caller only reads are `#[non_exhaustive]`. Let the arm for
//! what is new fail, or do the careful thing; structs are made by their functions. Structs that a caller fills
//! in ([`Profile`], [`FaultPlan`], [`Limits`], [`Fate`], the bounds of searches) can be written as literals: end
//! them with a preset, such as `..Profile::adversarial()`, and a field that is added later changes nothing.
//! What is run ([`shrink::Shrink`], [`explain::Explain`], [`search::Exhaust`], …) has one shape:
//! `new(&simulation, &judges)`, options by `with_…`, and `run`.
//!
//! # Errors
//!
//! One policy. What depends on data that comes from outside, a file, a schedule, a text, is an error value:
//! one opaque type for each kind of thing (`FileError`, `BuildError`, `Mismatch`, …) that prints what is wrong,
//! where, what was expected and what to do next, and has methods for what a caller may want to tell apart;
//! an enum only where each variant asks for something else of the caller, `#[non_exhaustive]` then. What a caller
//! promised and broke is a panic, listed under `# Panics`. A handler or a property that panics is a verdict.
//! Nothing is written, and no result is green, once there was an error.
//!
//! # Features
//!
//! - `cli`, on by default: [`scenario`] files, [`corpus`], [`zoo`], results of sweeps, the command line ([`cli`])
//!   and the [`ticketing`] system. It brings clap and toml.
//! - `proptest`, on by default: `testing::schedules` and `testing::kept_in`.
//!
//! Without them there is all that a test of services needs, and it builds in a fraction of the time:
//! `pellmell = { version = "..", default-features = false }`.
//!
//! # Map
//!
//! In reading order; a module uses those above it.
//!
//! - [`hash`], [`nearest`], [`escape`], [`file_error`], [`ids`], [`prng`]: hashing that is the same everywhere,
//!   text for terminals and shells, what is wrong with a file, names and time, and all chance.
//! - [`event`], [`store`], [`service`]: what a user describes: events, commands, records, handlers.
//! - [`faults`]: what may go wrong with a delivery, and how often.
//! - [`engine`]: brokers as machines, what each real one does, and whether a recording is possible there.
//! - [`broker`]: the fake broker, its parameters and its profiles.
//! - [`schedule`], [`scheduler`]: departures from the calm run, and who picks what happens next.
//! - [`simulation`], [`world`]: the parts put together, and the value that moves.
//! - [`property`], [`mod@run`], [`portfolio`]: claims, the loop that judges them, and which scheduler plays
//!   a seed.
//! - [`extract`], [`shrink`]: any run as departures, and of those the ones that matter.
//! - [`determinism`], [`vacuity`]: two runs compared; what was asked for and did not happen.
//! - [`trace`], [`explain`], [`search`]: what happened in a run as text, what made it fail in words, many seeds at
//!   once and all states.
//! - [`testing`]: one call for a test, and a strategy for proptest.
//! - [`scenario`], [`corpus`], [`zoo`], [`results`], [`any`]: situations of a system in files, the cases that are
//!   kept, every known defect and what catches it, results of sweeps, and a system behind a trait object.
//! - [`cli`]: the command line of any system; [`ticketing`]: four services that sell tickets, right and wrong in
//!   known ways.
//!
//! The library reads no files, no environment and no wall clock; the command line does, and proptest,
//! if a test names it the file in which it keeps what failed (`testing::kept_in`). The folder
//! `docs` has the glossary, the architecture, the broker's parameters, the properties and the file
//! formats.

#[cfg(feature = "cli")]
#[doc(inline)]
pub use pellmell_cli as cli;
#[doc(hidden)]
pub use pellmell_core::doc_example;
#[doc(inline)]
pub use pellmell_core::{
    broker, determinism, engine, escape, event, explain, extract, faults, file_error, hash, ids, nearest, portfolio,
    prng, property, run, schedule, scheduler, search, service, shrink, simulation, store, trace, vacuity, world,
};
#[cfg(feature = "cli")]
#[doc(inline)]
pub use pellmell_scenario::{any, corpus, foreign, results, scenario, zoo};

pub mod prelude;
pub mod testing;
#[cfg(feature = "cli")]
pub mod ticketing;

pub use broker::{Broker, Profile};
pub use event::{Command, Event, System};
pub use faults::{AckFate, Fate, FaultPlan, Rate, Window};
pub use ids::{Reason, RecordId, ServiceIndex, Subject, Time, Version};
pub use portfolio::SchedulerKind;
pub use prng::{Prng, Ratio, Stream};
pub use property::{Moment, Property, Sometimes, Together, View, Violation, Watch};
pub use run::{Judges, Limits, Report, Verdict};
#[cfg(feature = "cli")]
pub use scenario::{Scenario, Suite};
pub use schedule::{Departure, NamedStep};
pub use scheduler::{Balanced, Calm, Departing, Keyed, Pct, Pos, Replayed, Rounds, Scheduler, Swarm, Walk};
pub use service::{
    AckTiming, Awaits, Context, NoAnswer, Outcome, Outside, Port, PublishMode, Rejection, Relay, Service, Timer, Work,
};
pub use simulation::{Hosting, Sending, Simulation};
pub use store::{Bump, Record, Schema, Store, VersionConflict, VersionPolicy, VersionScheme, Versioned};
pub use world::{Answer, Step, World};
