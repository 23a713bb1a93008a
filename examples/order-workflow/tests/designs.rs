//! The design that is right holds on a broker without any order, and each planted defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};

use order_workflow::{Design, OrderCommand, properties, simulation};
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most};
use pellmell::{FaultPlan, Judges, RecordId, testing};

const ITEM: RecordId = RecordId::new('i', 1);

const fn order(number: u32) -> RecordId {
    RecordId::new('o', number)
}

const fn place(number: u32, quantity: u32) -> OrderCommand {
    OrderCommand::Place { order: order(number), item: ITEM, quantity }
}

/// Two customers order, and that is all.
const TWO_ORDERS: &[(&str, &[OrderCommand])] = &[("bob", &[place(2, 1)]), ("cal", &[place(3, 2)])];

/// Three customers order, and one of them changes her mind.
const CHANGES_HER_MIND: &[(&str, &[OrderCommand])] =
    &[("ann", &[place(1, 2), OrderCommand::Cancel { order: order(1) }]), TWO_ORDERS[0], TWO_ORDERS[1]];

type Customers = [(&'static str, &'static [OrderCommand])];

fn check(design: Design, customers: &Customers) -> testing::Checked {
    let simulation = simulation(design, customers).expect("the parts fit");
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &properties::judges())
}

/// What a check of a design that is wrong says.
fn failure_of(design: Design, customers: &Customers) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| check(design, customers))).expect_err("the defect is found");
    *panic.downcast::<String>().expect("a panic with a text")
}

/// The departures and commands of the schedule that a failure prints.
fn schedule_of(failure: &str) -> Vec<&str> {
    failure.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect()
}

#[track_caller]
fn assert_found(design: Design, customers: &Customers, violated: &str, schedule: &[&str]) {
    let failure = failure_of(design, customers);
    assert!(failure.contains(&format!("violated {violated}")), "{failure}");
    assert_eq!(schedule_of(&failure), schedule, "{failure}");
}

#[test]
fn the_reference_holds() {
    let checked = check(Design::REFERENCE, CHANGES_HER_MIND);
    assert_eq!(checked.runs, 1000);
    for name in ["Shipped", "Refused", "Refunded"] {
        assert!(checked.reached[name] > 0, "no run came to {name}");
    }
}

#[test]
fn the_reference_holds_in_every_order_also_if_a_handler_pauses() {
    let two_customers = [CHANGES_HER_MIND[0], TWO_ORDERS[0]];
    let simulation = simulation(Design::REFERENCE, &two_customers).expect("the parts fit");
    let judges = Judges::new(properties::all());
    let any_order = Bounds::of(DeliveryOrder::Any);
    for bounds in [any_order, Bounds { pauses: Most::Of(1), ..any_order }] {
        let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
        assert!(exhausted.is_complete() && exhausted.failing.is_none(), "{bounds:?}: {:?}", exhausted.failing);
    }
}

#[test]
fn a_small_dedup_window_counts_twice_what_comes_again_after_two_others() {
    let design = Design::SMALL_DEDUP_WINDOW;
    assert_found(
        design,
        CHANGES_HER_MIND,
        "SalesCounted: at sales, i1",
        &[
            "hold order:placed o1@0 -> sales #2 until quiescence",
            "lose ack of order:placed o1@0 -> sales",
            "send ann: place o1 for 2 of i1",
            "send bob: place o2 for 1 of i1",
        ],
    );
}

#[test]
fn a_small_dedup_window_is_enough_for_two_events() {
    let simulation = simulation(Design::SMALL_DEDUP_WINDOW, &[TWO_ORDERS[0]]).expect("the parts fit");
    let judges = Judges::new(properties::all());
    // Nothing is refused or cancelled: what comes to sales is that the order was placed, and that it was shipped.
    let checked = testing::Check::new(&simulation, &judges).allowing("unpublished-subject").run();
    assert!(checked.counts.redeliveries > 0);
}

#[test]
fn stock_is_reserved_after_the_cancel_if_inventory_does_not_note_it() {
    let design = Design::RESERVE_AFTER_CANCEL;
    assert_found(
        design,
        CHANGES_HER_MIND,
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
    let design = Design::CHARGE_AFTER_CANCEL;
    assert_found(
        design,
        CHANGES_HER_MIND,
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
    let design = Design::LAST_WRITE_WINS;
    assert_found(
        design,
        TWO_ORDERS,
        "StockAgrees: at inventory, i1",
        &[
            "hold order:placed o2@0 -> inventory #2 until quiescence",
            "pause order:placed o2@0 -> inventory until stock:reserved o3 -> orders",
        ],
    );
}
