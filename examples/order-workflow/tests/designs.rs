//! The design that is right holds on a broker without any order, and each planted defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use order_workflow::OrderWorkflow;
use pellmell::prelude::*;
use pellmell::scenario::Scenario;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};

/// A scenario of this package, with defects.
fn scenario(name: &str, defects: &[&str]) -> Scenario<OrderWorkflow> {
    let path = format!("{}/scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the scenario is there");
    let scenario = Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    scenario.with(|settings| settings.defects = defects.iter().map(|name| (*name).to_owned()).collect())
}

fn check(scenario: &Scenario<OrderWorkflow>) -> testing::Checked {
    let simulation = scenario.simulation(0).expect("the parts fit");
    let judges = scenario.judges().with_sometimes(scenario.sometimes());
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &judges)
}

/// The departures and commands of the schedule that a failure prints.
fn schedule_of(failure: &str) -> Vec<&str> {
    failure.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect()
}

#[track_caller]
fn assert_found(scenario: &Scenario<OrderWorkflow>, violated: &str, schedule: &[&str]) {
    let panic = catch_unwind(AssertUnwindSafe(|| check(scenario))).expect_err("the defect is found");
    let failure = panic.downcast::<String>().expect("a panic with a text");
    assert!(failure.contains(&format!("violated {violated}")), "{failure}");
    assert_eq!(schedule_of(&failure), schedule, "{failure}");
}

/// The departures of the first schedule of the hold sweep that fails: it has one departure, and is among the first
/// 1 + 8k, k being the deliveries of the calm run.
#[track_caller]
fn first_in_hold_sweep(scenario: &Scenario<OrderWorkflow>) -> Vec<String> {
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let swept = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).with_schedules_max(1_000).run();
    let first = swept.buckets.into_values().min_by_key(|bucket| bucket.place).expect("the defect is found");
    assert!(first.place <= swept.singles.all.min(8 * swept.deliveries), "{} schedules come before it", first.place);
    first.departures.iter().map(ToString::to_string).collect()
}

/// Every schedule within these bounds holds.
#[track_caller]
fn assert_exhausted(scenario: &Scenario<OrderWorkflow>, bounds: Bounds) {
    let (simulation, judges) = (scenario.simulation(0).expect("the parts fit"), scenario.judges());
    let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
    assert!(exhausted.is_complete() && exhausted.failing.is_none(), "{bounds:?}: {:?}", exhausted.failing);
}

#[test]
fn the_usual_design_holds() {
    let checked = check(&scenario("changes-her-mind", &[]));
    assert_eq!(checked.runs, 1000);
    for name in ["Shipped", "Refused", "Refunded"] {
        assert!(checked.reached[name] > 0, "no run came to {name}");
    }
}

#[test]
fn the_usual_design_holds_in_every_order_also_if_a_handler_pauses() {
    let two_customers = scenario("two-orders", &[]);
    let any_order = Bounds::of(DeliveryOrder::Any);
    for bounds in [any_order, Bounds { pauses: Most::Of(1), ..any_order }] {
        assert_exhausted(&two_customers, bounds);
    }
}

#[test]
fn a_small_dedup_window_counts_twice_what_comes_again_after_two_others() {
    assert_found(
        &scenario("changes-her-mind", &["SmallDedupWindow"]),
        "SalesCounted: at sales, i1",
        &[
            "lose ack of order:placed o1@0 -> sales",
            "hold order:placed o1@0 -> sales #2 until quiescence",
            "send ann: place o1 for 2 of i1",
            "send bob: place o2 for 1 of i1",
        ],
    );
}

#[test]
fn a_small_dedup_window_is_enough_for_two_events() {
    let mut scenario = scenario("changes-her-mind", &["SmallDedupWindow"]);
    scenario.clients.retain(|client| client.name == "bob");
    let simulation = scenario.simulation(0).expect("the parts fit");
    let judges = scenario.judges();
    // Nothing is refused or cancelled: what comes to sales is that the order was placed, and that it was shipped.
    let checked = testing::Check::new(&simulation, &judges).allowing("unpublished-subject").run();
    assert!(checked.counts.redeliveries > 0);
}

#[test]
fn stock_is_reserved_after_the_cancel_if_inventory_does_not_note_it() {
    assert_found(
        &scenario("changes-her-mind", &["ReserveAfterCancel"]),
        "StockAgrees: at inventory, o1",
        &[
            "hold order:placed o1@0 -> inventory until quiescence",
            "send ann: place o1 for 2 of i1",
            "send ann: cancel o1",
        ],
    );
}

#[test]
fn a_cancelled_order_is_charged_if_payment_does_not_note_the_cancel() {
    assert_found(
        &scenario("changes-her-mind", &["ChargeAfterCancel"]),
        "ChargesAgree: at payment, o1",
        &[
            "hold order:confirmed o1@1 -> payment until quiescence",
            "send ann: place o1 for 2 of i1",
            "send ann: cancel o1",
        ],
    );
}

#[test]
fn a_reservation_is_forgotten_where_the_last_write_wins() {
    let mut two_customers = scenario("changes-her-mind", &["LastWriteWins"]);
    two_customers.clients.remove(0);
    assert_found(
        &two_customers,
        "StockAgrees: at inventory, i1",
        &[
            "hold order:placed o2@0 -> inventory #2 until quiescence",
            "pause order:placed o2@0 -> inventory until stock:reserved o3 -> orders",
        ],
    );
}

#[test]
fn each_defect_but_a_race_is_found_with_one_departure() {
    let first = |name, defect| first_in_hold_sweep(&scenario(name, &[defect]));
    let reserved = first("zoo/cancelled", "ReserveAfterCancel");
    assert_eq!(reserved, ["hold order:placed o1@0 -> inventory until quiescence"]);
    let charged = first("zoo/cancelled", "ChargeAfterCancel");
    assert_eq!(charged, ["hold order:confirmed o1@1 -> payment until quiescence"]);
    let counted = ["lose ack of order:placed o1@0 -> sales", "hold order:placed o1@0 -> sales #2 until quiescence"];
    assert_eq!(first("zoo/counted", "SmallDedupWindow"), counted);
}
