//! A read model that starts from a snapshot: an accounts service publishes each movement as a delta and now and then
//! the whole balance; a balances service that joins late builds its copies from both.
//!
//! A delta says by how much a balance changed and can be applied to the version before it alone; a snapshot says what
//! the balance is as of a version and needs nothing before it. Both are on subjects of their own, so neither waits
//! for the other: a snapshot comes before deltas that it covers, after deltas that it does not, late, and again.
//! The read model has to place each message by its version, of which there are three cases for each kind:
//!
//! | comes | no balance yet | up to the version held | the next version | later ones |
//! |---|---|---|---|---|
//! | delta | wait for a snapshot | covered: ack | apply | wait |
//! | snapshot | start from it | old: ack | take it | take it |
//!
//! The usual [`Design`] does that; each defect of [`suite`] gets one cell wrong.

mod accounts;
mod balances;
pub mod messages;
pub mod properties;
pub mod suite;
mod workload;

use pellmell::System;

pub use accounts::{Account, Accounts, SNAPSHOT_EVERY};
pub use balances::{Balance, Balances};
pub use messages::{AccountCommand, AccountEvent};
pub use workload::Movements;

/// The accounts and their read model as one system.
#[derive(Clone, Copy, Debug)]
pub struct ReadModel;

impl System for ReadModel {
    type Event = AccountEvent;
    type Command = AccountCommand;
}

/// What can go wrong when a read model places a message. By default nothing does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Design {
    /// Whether it applies a delta to whatever it holds, also one that the snapshot it began with covers.
    pub applies_covered_deltas: bool,
    /// Whether it takes a snapshot whatever it holds, also one that is older.
    pub takes_old_snapshots: bool,
    /// Whether it acks a delta that comes before any snapshot, because it has nothing to apply it to.
    pub drops_early_deltas: bool,
}
