//! What scenario files and the command line need to know of the order workflow.

use pellmell::prelude::*;
use pellmell::scenario;

use crate::{Design, Inventory, OrderWorkflow, Orders, Payment, Sales, Shipping, Stock, properties};

impl scenario::Design for Design {
    fn name(&self) -> &'static str {
        "reference"
    }
}

/// What can be planted: each leaves out one thing.
const DEFECTS: [Defect<Design>; 4] = [
    Defect::<Design>::new(
        "SmallDedupWindow",
        "the projection remembers two events: one that comes again after two others is counted twice",
        "SalesCounted",
        |design| design.dedup_window = 2,
    )
    .with_needs(Level::Duplicate)
    .with_known(8, 3)
    .with_scenarios(&["scenarios/zoo/counted.toml"]),
    Defect::<Design>::new(
        "ReserveAfterCancel",
        "inventory ignores the cancel of an order it does not know, and reserves for it when it comes",
        "StockAgrees",
        |design| design.inventory_notes_cancels = false,
    )
    .with_needs(Level::PerSubject)
    .with_known(4, 2)
    .with_scenarios(&["scenarios/zoo/cancelled.toml"]),
    Defect::<Design>::new(
        "ChargeAfterCancel",
        "payment ignores the cancel of an order it has not charged, and charges it when it is confirmed",
        "ChargesAgree",
        |design| design.payment_notes_cancels = false,
    )
    .with_needs(Level::PerSubject)
    .with_known(6, 2)
    .with_scenarios(&["scenarios/zoo/cancelled.toml"]),
    Defect::<Design>::new(
        "LastWriteWins",
        "two members of inventory read the same stock, and one of both reservations is forgotten",
        "StockAgrees",
        |design| design.checks_stock_version = false,
    )
    .with_needs(Level::Lockstep)
    .with_known(4, 2)
    .with_overlap()
    .with_scenarios(&["scenarios/zoo/stock.toml"]),
];

/// A `[[record]]`: so many of an item are in stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InStock {
    /// The item.
    pub item: RecordId,
    /// How many of it were received.
    pub received: u32,
}

impl Stored<OrderWorkflow> for InStock {
    fn record(&self) -> RecordId {
        self.item
    }

    fn seed(&self, _: &Design, on: SimulationBuilder<OrderWorkflow>) -> SimulationBuilder<OrderWorkflow> {
        let InStock { item, received } = *self;
        on.seeded("inventory", move |store| {
            store.insert(item, Stock { received, reserved: 0 }).expect("nothing is there yet");
        })
    }
}

impl Suite for OrderWorkflow {
    const NAME: &'static str = "order-workflow";
    type Design = Design;
    type Workload = NoWorkload;
    type Stored = InStock;

    fn example() -> &'static str {
        "scenarios/cancel-overtakes-order.toml"
    }

    fn services(design: &Design) -> Services<OrderWorkflow> {
        // Stock is what orders race for.
        let two_members = Hosting { members: 2, ..Hosting::ALONE };
        Services::new()
            .service(Orders)
            .hosted(Inventory(*design), two_members)
            .optional(Payment(*design))
            .optional(Shipping)
            .optional(Sales(*design))
    }

    fn properties(_: &Design) -> Vec<Box<dyn Property<OrderWorkflow>>> {
        properties::all()
    }

    fn sometimes(_: &Design, part: &TakingPart) -> Vec<Sometimes<OrderWorkflow>> {
        properties::sometimes(part)
    }

    fn defects() -> Vec<Defect<Design>> {
        DEFECTS.to_vec()
    }

    /// Records of the other services have the ids of orders and items, and are no copies of them.
    fn display() -> Display {
        Display::USUAL.with_not_compared(&["reservations", "charges", "shipments", "tallies", "seen"])
    }
}
