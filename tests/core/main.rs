//! What the core does, with systems as small as each claim needs.

mod broker;
mod identity;
mod memory;
mod pctcp;
mod rest;
#[cfg(feature = "proptest")]
mod schedules;
mod shrink;
mod testing;
mod timers;
mod vacuity;
