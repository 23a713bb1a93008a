//! What scenario files and the command line need to know of the read model.

use pellmell::prelude::*;
use pellmell::scenario;

use crate::{Accounts, Balances, Design, Movements, ReadModel, properties};

impl scenario::Design for Design {
    fn name(&self) -> &'static str {
        "reference"
    }
}

/// What can be planted: each gets one cell of the table wrong.
const DEFECTS: [Defect<Design>; 3] = [
    Defect::<Design>::new(
        "ApplyCoveredDelta",
        "a delta is applied although the snapshot has it already: the balance has it twice",
        "OnceTrue",
        |design| design.applies_covered_deltas = true,
    )
    .with_needs(Level::PerSubject)
    .with_known(2, 5)
    .with_scenarios(&["scenarios/zoo/account.toml"]),
    Defect::<Design>::new(
        "TakeOldSnapshot",
        "an old snapshot is taken over a newer balance: the deltas since were acked and never come again",
        "NeverOlder",
        |design| design.takes_old_snapshots = true,
    )
    .with_needs(Level::PerSubject)
    .with_known(2, 5)
    .with_scenarios(&["scenarios/zoo/account.toml"]),
    Defect::<Design>::new(
        "DropEarlyDelta",
        "deltas that come before the snapshot are dropped, also those that it does not cover",
        "BalancesConverged",
        |design| design.drops_early_deltas = true,
    )
    .with_needs(Level::PerSubject)
    .with_known(2, 3)
    .with_scenarios(&["scenarios/zoo/account.toml"]),
];

impl Suite for ReadModel {
    const NAME: &'static str = "read-model";
    type Design = Design;
    type Workload = Movements;
    type Stored = NoRecords;

    /// The read model joins at some moment and has two members, so that two messages about one account are handled
    /// at once.
    fn example() -> &'static str {
        "scenarios/drop-early-delta.toml"
    }

    fn services(design: &Design) -> Services<ReadModel> {
        let late = Hosting { members: 2, joins_late: true, ..Hosting::ALONE };
        Services::new().service(Accounts).hosted(Balances(*design), late)
    }

    fn properties(_: &Design) -> Vec<Box<dyn Property<ReadModel>>> {
        properties::all()
    }

    fn sometimes(_: &Design, part: &TakingPart) -> Vec<Sometimes<ReadModel>> {
        // Without movements there is one snapshot of each account.
        if part.has_verbs(&["deposit"]) { properties::sometimes() } else { Vec::new() }
    }

    fn defects() -> Vec<Defect<Design>> {
        DEFECTS.to_vec()
    }
}
