//! Schedules of a [pellmell](https://docs.rs/pellmell) simulation as values of
//! [proptest](https://docs.rs/proptest), which draws, shrinks and keeps them. Use it through the crate
//! `pellmell`, as `pellmell::testing::schedules`.

mod kept;
mod kept_file;
mod schedules;
mod tree;

pub use kept_file::kept_in;
pub use schedules::{Schedule, ScheduleFails, Schedules, schedules};
pub use tree::ScheduleTree;
