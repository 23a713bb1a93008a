//! The design that is right holds on a broker without any order, and each planted defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bank_transfers::{BankCommand, BankName, Design, properties, simulation};
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most};
use pellmell::{FaultPlan, Judges, RecordId, testing};

const NORTH: RecordId = RecordId::new('a', 1);
const SOUTH: RecordId = RecordId::new('a', 2);

const fn transfer(number: u32, from: RecordId, to: RecordId, amount: i64) -> BankCommand {
    BankCommand::Transfer { transfer: RecordId::new('x', number), from, to, amount }
}

/// Ann pays twice, the second time perhaps more than she has; Bob pays her; and Bob's account is closed.
const CLIENTS: &[(&str, &[BankCommand])] = &[
    ("ann", &[transfer(1, NORTH, SOUTH, 30), transfer(2, NORTH, SOUTH, 80)]),
    ("bob", &[transfer(3, SOUTH, NORTH, 20)]),
    ("clerk", &[BankCommand::Close { bank: BankName::South, account: SOUTH }]),
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
fn with_an_outbox_money_is_conserved_and_each_transfer_ends() {
    let checked = check(Design::OUTBOX);
    assert_eq!(checked.runs, 1000);
    for name in ["Completed", "Refused", "Withdrawn", "Refunded"] {
        assert!(checked.reached[name] > 0, "no run came to {name}");
    }
}

#[test]
fn money_is_conserved_in_every_order_also_with_a_lost_ack_or_a_crash() {
    let one_transfer = [CLIENTS[0].1[0]];
    let simulation = simulation(Design::OUTBOX, &[("ann", &one_transfer), CLIENTS[2]]).expect("the parts fit");
    let judges = Judges::new(properties::all());
    let (any_order, one) = (Bounds::of(DeliveryOrder::Any), Most::Of(1));
    for bounds in [any_order, Bounds { lost_acks: one, ..any_order }, Bounds { crashes: one, ..any_order }] {
        let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
        assert!(exhausted.is_complete() && exhausted.failing.is_none(), "{bounds:?}: {:?}", exhausted.failing);
    }
}

#[test]
fn a_dual_write_loses_the_credit_in_a_crash_between_save_and_publish() {
    assert_found(
        Design::DUAL_WRITE,
        "EachTransferEnds: at transfers, x1",
        &["crash north before publish of debit:requested x1 -> north", "send ann: transfer 30 from a1 to a2 as x1"],
    );
}

#[test]
fn a_refund_on_timeout_makes_money_if_the_credit_goes_through_all_the_same() {
    assert_found(
        Design::REFUND_ON_TIMEOUT,
        "MoneyConserved: at transfers",
        &[
            "hold credit:requested x3 -> north until refund:done x3 -> transfers",
            "send bob: transfer 20 from a2 to a1 as x3",
        ],
    );
}

#[test]
fn a_debit_that_comes_again_is_booked_again_if_nobody_looks() {
    assert_found(
        Design::BOOKS_TWICE,
        "MoneyConserved: at transfers",
        &["lose ack of debit:requested x1 -> north", "send ann: transfer 30 from a1 to a2 as x1"],
    );
}
