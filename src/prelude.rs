//! Everything that a test of services needs, in one line: `use pellmell::prelude::*;`.

pub use crate::broker::Profile;
pub use crate::event::{Command, Event, System};
pub use crate::faults::FaultPlan;
pub use crate::ids::{RecordId, Subject, Time, Version};
pub use crate::property::{End, Moment, NoPoison, Property, Sometimes, View, Violation, Watch};
pub use crate::run::{Judges, Limits};
#[cfg(feature = "cli")]
pub use crate::scenario::{Defect, Display, Level, NoRecords, NoWorkload, Services, Stored, Suite, TakingPart};
pub use crate::service::{Context, Outcome, Port, PublishMode, Rejection, Service, Timer, Work};
pub use crate::simulation::{Client, Hosting, Sending, Simulation, SimulationBuilder};
pub use crate::store::{Record, Schema, Store, VersionPolicy, Versioned};
pub use crate::testing::{self, Snapshot};
pub use crate::world::World;
pub use serde::{Deserialize, Serialize};
