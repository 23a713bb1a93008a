//! The design that is right holds on a broker without any order, and each planted defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bank_transfers::BankTransfers;
use pellmell::prelude::*;
use pellmell::scenario::Scenario;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};

/// A scenario of this package, with defects.
fn scenario(name: &str, defects: &[&str]) -> Scenario<BankTransfers> {
    let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the scenario is there");
    let scenario = Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    scenario.with(|settings| settings.defects = defects.iter().map(|name| (*name).to_owned()).collect())
}

fn check(scenario: &Scenario<BankTransfers>) -> testing::Checked {
    let simulation = scenario.simulation(0).expect("the parts fit");
    let judges = scenario.judges().with_sometimes(scenario.sometimes());
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &judges)
}

/// The departures and commands of the schedule that a failure prints.
fn schedule_of(failure: &str) -> Vec<&str> {
    failure.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect()
}

#[track_caller]
fn assert_found(scenario: &Scenario<BankTransfers>, violated: &str, schedule: &[&str]) {
    let panic = catch_unwind(AssertUnwindSafe(|| check(scenario))).expect_err("the defect is found");
    let failure = panic.downcast::<String>().expect("a panic with a text");
    assert!(failure.contains(&format!("violated {violated}")), "{failure}");
    assert_eq!(schedule_of(&failure), schedule, "{failure}");
}

/// The departures of the first schedule of the hold sweep that fails: it has one departure, and is among the first
/// 1 + 8k, k being the deliveries of the calm run.
#[track_caller]
fn first_in_hold_sweep(scenario: &Scenario<BankTransfers>) -> Vec<String> {
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let swept = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).with_schedules_max(1_000).run();
    let first = swept.buckets.into_values().min_by_key(|bucket| bucket.place).expect("the defect is found");
    assert!(first.place <= swept.singles.all.min(8 * swept.deliveries), "{} schedules come before it", first.place);
    first.departures.iter().map(ToString::to_string).collect()
}

/// Every schedule within these bounds holds.
#[track_caller]
fn assert_exhausted(scenario: &Scenario<BankTransfers>, bounds: Bounds) {
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
    assert!(exhausted.is_complete() && exhausted.failing.is_none(), "{bounds:?}: {:?}", exhausted.failing);
}

#[test]
fn with_an_outbox_money_is_conserved_and_each_transfer_ends() {
    let checked = check(&scenario("transfers-race", &[]));
    assert_eq!(checked.runs, 1000);
    for name in ["Completed", "Refused", "Withdrawn", "Refunded"] {
        assert!(checked.reached[name] > 0, "no run came to {name}");
    }
}

#[test]
fn money_is_conserved_in_every_order_also_with_a_lost_ack_or_a_crash() {
    let (any_order, one) = (Bounds::of(DeliveryOrder::Any), Most::Of(1));
    for bounds in [any_order, Bounds { lost_acks: one, ..any_order }, Bounds { crashes: one, ..any_order }] {
        assert_exhausted(&scenario("zoo/transfer", &[]), bounds);
    }
}

#[test]
fn a_dual_write_loses_the_credit_in_a_crash_between_save_and_publish() {
    assert_found(
        &scenario("transfers-race", &["DualWrite"]),
        "EachTransferEnds: at transfers, x1",
        &[
            "crash transfers before publish of ann: transfer 30 from a1 to a2 as x1",
            "send ann: transfer 30 from a1 to a2 as x1",
        ],
    );
}

#[test]
fn a_refund_on_timeout_makes_money_if_the_credit_goes_through_all_the_same() {
    assert_found(
        &scenario("transfers-race", &["RefundOnTimeout"]),
        "MoneyConserved: at transfers",
        &[
            "hold credit:done x1 -> transfers until refund:done x1 -> transfers",
            "send ann: transfer 30 from a1 to a2 as x1",
        ],
    );
}

#[test]
fn a_debit_that_comes_again_is_booked_again_if_nobody_looks() {
    assert_found(
        &scenario("transfers-race", &["BooksTwice"]),
        "MoneyConserved: at transfers",
        &["duplicate debit:requested x1 -> north", "send ann: transfer 30 from a1 to a2 as x1"],
    );
}

#[test]
fn each_defect_is_found_with_one_departure_also_the_one_that_takes_the_clock() {
    let first = |name, defect| first_in_hold_sweep(&scenario(name, &[defect]));
    assert_eq!(
        ["transfers-race", "zoo/transfer"].map(|name| first(name, "RefundOnTimeout")),
        [
            ["hold credit:done x1 -> transfers until timer x3 of transfers"],
            ["hold credit:done x1 -> transfers until timer x1 of transfers"],
        ]
    );
    assert_eq!(first("transfers-race", "BooksTwice"), ["duplicate debit:requested x1 -> north"]);
    let crash = ["crash transfers before publish of ann: transfer 30 from a1 to a2 as x1"];
    assert_eq!(first("transfers-race", "DualWrite"), crash);
}
