//! What the core does, with systems as small as each claim needs.

mod admit;
mod adversarial;
mod asking;
mod atomic_change;
mod awaits;
mod between_saves;
mod broker;
mod dead_letters;
mod dedup;
mod exhaust;
mod explain;
mod gaps;
mod hold_sweep;
mod identity;
mod logs;
mod memory;
mod outside;
mod panics;
mod pctcp;
mod removal;
mod rest;
#[cfg(feature = "proptest")]
mod schedules;
mod shop;
mod shrink;
mod slow_publish;
mod takes;
mod testing;
mod timers;
mod vacuity;
