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
//! [`Design::REFERENCE`] does that; each other constant of [`Design`] gets one cell wrong.

mod accounts;
mod balances;
pub mod messages;
pub mod properties;

use pellmell::simulation::BuildError;
use pellmell::{Hosting, Profile, Simulation, System};

pub use accounts::{Account, Accounts, SNAPSHOT_EVERY};
pub use balances::{Balance, Balances};
pub use messages::{AccountCommand, AccountEvent};

/// The accounts and their read model as one system.
#[derive(Clone, Copy, Debug)]
pub struct ReadModel;

impl System for ReadModel {
    type Event = AccountEvent;
    type Command = AccountCommand;
}

/// What can go wrong when a read model places a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// Whether it applies a delta to whatever it holds, also one that the snapshot it began with covers.
    pub applies_covered_deltas: bool,
    /// Whether it takes a snapshot whatever it holds, also one that is older.
    pub takes_old_snapshots: bool,
    /// Whether it acks a delta that comes before any snapshot, because it has nothing to apply it to.
    pub drops_early_deltas: bool,
}

impl Design {
    /// The design that is right.
    pub const REFERENCE: Design =
        Design { applies_covered_deltas: false, takes_old_snapshots: false, drops_early_deltas: false };

    /// Defect: a delta is applied although the snapshot has it already. The balance has it twice.
    pub const APPLY_COVERED_DELTA: Design = Design { applies_covered_deltas: true, ..Design::REFERENCE };

    /// Defect: an old snapshot is taken over a newer balance. The deltas since are acked and never come again.
    pub const TAKE_OLD_SNAPSHOT: Design = Design { takes_old_snapshots: true, ..Design::REFERENCE };

    /// Defect: deltas that come before the snapshot are dropped, also those that it does not cover. The read model
    /// then waits for one that never comes again.
    pub const DROP_EARLY_DELTA: Design = Design { drops_early_deltas: true, ..Design::REFERENCE };
}

/// These clients, each with what it sends, on a broker that keeps no order. The read model joins at some moment and
/// has two members, so that two messages about one account are handled at once.
///
/// # Errors
/// If two clients have the same name.
pub fn simulation(design: Design, clients: &[(&str, &[AccountCommand])]) -> Result<Simulation<ReadModel>, BuildError> {
    let late = Hosting { members: 2, joins_late: true, ..Hosting::ALONE };
    let mut builder = Simulation::on(Profile::adversarial()).service(Accounts).hosted(Balances(design), late);
    for (name, commands) in clients {
        builder = builder.client(*name, commands.to_vec());
    }
    builder.build()
}
