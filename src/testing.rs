//! For tests: one call that runs many seeds and, if one fails, panics with how to play it again.
//!
//! See [`pellmell_core::testing`] for all of it. Beside that: `check_scenario` runs seeds of a scenario file
//! (feature `cli`), and `schedules` and `kept_in` are for [proptest](https://docs.rs/proptest) (feature
//! `proptest`).

#[doc(inline)]
pub use pellmell_core::testing::*;
#[cfg(feature = "proptest")]
#[doc(inline)]
pub use pellmell_proptest::{Schedule, ScheduleFails, ScheduleTree, Schedules, kept_in, schedules};
#[cfg(feature = "cli")]
#[doc(inline)]
pub use pellmell_scenario::scenario::check_scenario;
