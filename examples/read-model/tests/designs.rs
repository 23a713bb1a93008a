//! The design that is right holds on a broker without any order, and each planted defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pellmell::prelude::*;
use pellmell::scenario::Scenario;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};
use read_model::ReadModel;

/// A scenario of this package, with defects.
fn scenario(name: &str, defects: &[&str]) -> Scenario<ReadModel> {
    let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the scenario is there");
    let scenario = Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    scenario.with(|settings| settings.defects = defects.iter().map(|name| (*name).to_owned()).collect())
}

fn check(scenario: &Scenario<ReadModel>) -> testing::Checked {
    let simulation = scenario.simulation(0).expect("the parts fit");
    let judges = scenario.judges().with_sometimes(scenario.sometimes());
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &judges)
}

/// The departures and commands of the schedule that a failure prints.
fn schedule_of(failure: &str) -> Vec<&str> {
    failure.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect()
}

#[track_caller]
fn assert_found(scenario: &Scenario<ReadModel>, violated: &str, schedule: &[&str]) {
    let panic = catch_unwind(AssertUnwindSafe(|| check(scenario))).expect_err("the defect is found");
    let failure = panic.downcast::<String>().expect("a panic with a text");
    assert!(failure.contains(&format!("violated {violated}")), "{failure}");
    assert_eq!(schedule_of(&failure), schedule, "{failure}");
}

/// The departures of the first schedule of the hold sweep that fails: it has one departure, and is among the first
/// 1 + 8k, k being the deliveries of the calm run.
#[track_caller]
fn first_in_hold_sweep(scenario: &Scenario<ReadModel>) -> Vec<String> {
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let swept = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).with_schedules_max(1_000).run();
    let first = swept.buckets.into_values().min_by_key(|bucket| bucket.place).expect("the defect is found");
    assert!(first.place <= swept.singles.all.min(8 * swept.deliveries), "{} schedules come before it", first.place);
    first.departures.iter().map(ToString::to_string).collect()
}

/// Every schedule within these bounds holds.
#[track_caller]
fn assert_exhausted(scenario: &Scenario<ReadModel>, bounds: Bounds) {
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
    assert!(exhausted.is_complete() && exhausted.failing.is_none(), "{bounds:?}: {:?}", exhausted.failing);
}

#[test]
fn the_usual_design_holds() {
    let checked = check(&scenario("joins-late", &[]));
    assert_eq!(checked.runs, 1000);
    for name in ["StartsLate", "Skips"] {
        assert!(checked.reached[name] > 0, "no run came to {name}");
    }
}

#[test]
fn the_usual_design_holds_in_every_order_also_with_a_lost_ack_or_a_crash() {
    let (any_order, one) = (Bounds::of(DeliveryOrder::Any), Most::Of(1));
    for bounds in [any_order, Bounds { lost_acks: one, ..any_order }, Bounds { crashes: one, ..any_order }] {
        assert_exhausted(&scenario("zoo/account", &[]), bounds);
    }
}

#[test]
fn a_delta_that_the_snapshot_covers_is_applied_twice_if_nobody_looks_at_its_version() {
    assert_found(
        &scenario("joins-late", &["ApplyCoveredDelta"]),
        "OnceTrue: at balances, a1",
        &[
            "hold account:snapshot a1@0 -> balances until quiescence",
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
        &scenario("joins-late", &["TakeOldSnapshot"]),
        "NeverOlder: at balances, a1",
        &[
            "hold account:snapshot a1@0 -> balances until quiescence",
            "send ann: open a1",
            "send ann: deposit 50 on a1",
            "send ann: withdraw 20 from a1",
            "send ann: deposit 5 on a1",
        ],
    );
}

#[test]
fn a_delta_that_was_dropped_before_the_snapshot_came_is_missing_behind_it() {
    assert_found(
        &scenario("joins-late", &["DropEarlyDelta"]),
        "BalancesConverged: at balances, a2",
        &["hold account:snapshot a2@0 -> balances until quiescence", "send bob: open a2", "send bob: deposit 9 on a2"],
    );
}

#[test]
fn generated_owners_differ_between_seeds_and_open_what_they_move() {
    use pellmell::scenario::Workload;
    let workload = scenario("many-accounts", &[]).workload.expect("it has one");
    assert_ne!(format!("{:?}", workload.clients(1)), format!("{:?}", workload.clients(2)));
    for client in workload.clients(1) {
        let opened = client.commands[0].command.creates();
        assert!(opened.is_some() && client.commands.iter().all(|sent| Some(sent.command.record()) == opened));
    }
}

#[test]
fn each_defect_is_found_with_one_departure() {
    let first = |defect| first_in_hold_sweep(&scenario("joins-late", &[defect]));
    assert_eq!(
        ["ApplyCoveredDelta", "TakeOldSnapshot", "DropEarlyDelta"].map(first),
        [
            ["hold account:snapshot a1@0 -> balances until quiescence"],
            ["hold account:snapshot a1@0 -> balances until quiescence"],
            ["hold account:snapshot a2@0 -> balances until quiescence"],
        ]
    );
}
