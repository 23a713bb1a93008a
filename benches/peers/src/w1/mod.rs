//! W1 under each contestant. Each `play` makes some runs and returns how many deliveries they were;
//! each panics if a property does not hold.

#[path = "../../../w1/by_hand.rs"]
pub mod by_hand;
pub mod ours;
pub mod proptest;
pub mod shuttle;
pub mod shuttle_channels;
pub mod stateright;
pub mod turmoil;

#[path = "../../../w1/system.rs"]
pub mod system;
