//! The design that is right holds on a broker without any order, and each planted defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most};
use pellmell::{FaultPlan, Judges, RecordId, testing};
use read_model::{AccountCommand, Design, properties, simulation};

const A1: RecordId = RecordId::new('a', 1);
const A2: RecordId = RecordId::new('a', 2);

/// One account reaches its second snapshot and goes on; the other one does not.
const CLIENTS: &[(&str, &[AccountCommand])] = &[
    (
        "ann",
        &[
            AccountCommand::Open { account: A1 },
            AccountCommand::Deposit { account: A1, amount: 50 },
            AccountCommand::Withdraw { account: A1, amount: 20 },
            AccountCommand::Deposit { account: A1, amount: 5 },
            AccountCommand::Withdraw { account: A1, amount: 7 },
        ],
    ),
    ("bob", &[AccountCommand::Open { account: A2 }, AccountCommand::Deposit { account: A2, amount: 9 }]),
];

fn check(design: Design) -> testing::Checked {
    let simulation = simulation(design, CLIENTS).expect("the parts fit");
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &properties::judges())
}

/// What a check of a design that is wrong says.
fn failure_of(design: Design) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| check(design))).expect_err("the defect is found");
    *panic.downcast::<String>().expect("a panic with a text")
}

/// The departures and commands of the schedule that a failure prints.
fn schedule_of(failure: &str) -> Vec<&str> {
    failure.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect()
}

#[track_caller]
fn assert_found(design: Design, violated: &str, schedule: &[&str]) {
    let failure = failure_of(design);
    assert!(failure.contains(&format!("violated {violated}")), "{failure}");
    assert_eq!(schedule_of(&failure), schedule, "{failure}");
}

#[test]
fn the_reference_holds() {
    let checked = check(Design::REFERENCE);
    assert_eq!(checked.runs, 1000);
    for name in ["StartsLate", "Skips"] {
        assert!(checked.reached[name] > 0, "no run came to {name}");
    }
}

#[test]
fn the_reference_holds_in_every_order_also_with_a_lost_ack_or_a_crash() {
    let simulation = simulation(Design::REFERENCE, &[CLIENTS[0]]).expect("the parts fit");
    let judges = Judges::new(properties::all());
    let (any_order, one) = (Bounds::of(DeliveryOrder::Any), Most::Of(1));
    for bounds in [any_order, Bounds { lost_acks: one, ..any_order }, Bounds { crashes: one, ..any_order }] {
        let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
        assert!(exhausted.is_complete() && exhausted.failing.is_none(), "{bounds:?}: {:?}", exhausted.failing);
    }
}

#[test]
fn a_delta_that_the_snapshot_covers_is_applied_twice_if_nobody_looks_at_its_version() {
    assert_found(
        Design::APPLY_COVERED_DELTA,
        "OnceTrue: at balances, a1",
        &[
            "hold account:moved a1@3 -> balances until quiescence",
            "send ann: open a1",
            "send ann: deposit 50 on a1",
            "send ann: withdraw 20 from a1",
            "send ann: deposit 5 on a1",
        ],
    );
}

#[test]
fn an_old_snapshot_takes_the_place_of_a_newer_balance_if_nobody_looks_at_its_version() {
    assert_found(
        Design::TAKE_OLD_SNAPSHOT,
        "NeverOlder: at balances, a1",
        &[
            "hold account:snapshot a1@3 -> balances until quiescence",
            "send ann: open a1",
            "send ann: deposit 50 on a1",
            "send ann: withdraw 20 from a1",
            "send ann: deposit 5 on a1",
            "send ann: withdraw 7 from a1",
        ],
    );
}

#[test]
fn a_delta_that_was_dropped_before_the_snapshot_came_is_missing_behind_it() {
    assert_found(
        Design::DROP_EARLY_DELTA,
        "BalancesConverged: at balances, a1",
        &["hold account:snapshot a1@0 -> balances until quiescence", "send ann: open a1", "send ann: deposit 50 on a1"],
    );
}
