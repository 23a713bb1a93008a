//! A shop's order workflow: four services that hand an order on by events, and a projection that counts sales.
//!
//! ```text
//!  client ──▶ orders ──order:placed──▶ inventory ──stock:reserved──▶ orders ──order:confirmed──▶ payment
//!                                                                                                   │
//!     sales ◀──order:shipped── orders ◀──shipment:sent── shipping ◀──order:paid── orders ◀──payment:charged
//! ```
//!
//! - **orders** owns the orders and says which step is next; a customer may cancel until the order is paid.
//! - **inventory** reserves stock for an order that was placed and releases it when the order is cancelled.
//! - **payment** charges an order that was confirmed and gives the money back when the order is cancelled.
//! - **shipping** sends what was paid.
//! - **sales** is the read side: it counts, per item, the orders placed, refused, cancelled and shipped. Adding one is
//!   not idempotent, so it remembers the last events it has counted, its dedup window.
//!
//! All events come at least once and in any order. [`Design::REFERENCE`] copes with that; each other constant of
//! [`Design`] leaves out one thing that seems superfluous until the messages race.

mod inventory;
pub mod messages;
mod orders;
mod payment;
pub mod properties;
mod sales;
mod shipping;

use pellmell::simulation::{BuildError, SimulationBuilder};
use pellmell::{Hosting, Profile, RecordId, Simulation, System};

pub use inventory::{Inventory, Reservation, Stock};
pub use messages::{OrderCommand, OrderEvent};
pub use orders::{Order, Orders, Status};
pub use payment::{Charge, Payment};
pub use sales::{Sales, Seen, Tally};
pub use shipping::{Shipment, Shipping};

/// The order workflow as one system.
#[derive(Clone, Copy, Debug)]
pub struct OrderWorkflow;

impl System for OrderWorkflow {
    type Event = OrderEvent;
    type Command = OrderCommand;
}

/// What can be decided one way or another when these services are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// How many events the projection remembers to have counted.
    ///
    /// It must be no smaller than the number of events that can come between two deliveries of one. A broker that
    /// limits what is in flight bounds that number; the simulated one does not, and the clients of [`simulation`]
    /// bring about fewer than 64 events.
    pub dedup_window: usize,
    /// Whether inventory, if it hears of a cancelled order before it has heard of the order itself, makes a note of
    /// it, so that it reserves nothing for the order when it hears of it later.
    pub inventory_notes_cancels: bool,
    /// The same of payment, so that it does not charge an order that was confirmed and cancelled.
    pub payment_notes_cancels: bool,
    /// Whether inventory saves the stock of an item on the condition that nobody saved it since it was read.
    pub checks_stock_version: bool,
}

impl Design {
    /// The design that is right.
    pub const REFERENCE: Design = Design {
        dedup_window: 64,
        inventory_notes_cancels: true,
        payment_notes_cancels: true,
        checks_stock_version: true,
    };

    /// Defect: the dedup window has two places. An event that comes again after two others is counted twice; with
    /// fewer than three events nothing is wrong, which is why no test by hand finds it.
    pub const SMALL_DEDUP_WINDOW: Design = Design { dedup_window: 2, ..Design::REFERENCE };

    /// Defect: inventory ignores the cancel of an order it does not know. If the order comes after its cancel, stock
    /// is reserved for it and never released.
    pub const RESERVE_AFTER_CANCEL: Design = Design { inventory_notes_cancels: false, ..Design::REFERENCE };

    /// Defect: payment ignores the cancel of an order it has not charged. If it hears of the confirmed order after
    /// the cancel, the customer pays for nothing.
    pub const CHARGE_AFTER_CANCEL: Design = Design { payment_notes_cancels: false, ..Design::REFERENCE };

    /// Defect: the last write wins. Two members of inventory that read the same stock each reserve from it, and
    /// one of both reservations is forgotten.
    pub const LAST_WRITE_WINS: Design = Design { checks_stock_version: false, ..Design::REFERENCE };

    /// Adds the five services with this design; inventory has two members, because stock is what orders race for.
    #[must_use]
    pub fn host(self, on: SimulationBuilder<OrderWorkflow>) -> SimulationBuilder<OrderWorkflow> {
        on.service(Orders)
            .hosted(Inventory(self), Hosting { members: 2, ..Hosting::ALONE })
            .service(Payment(self))
            .service(Shipping)
            .service(Sales(self))
    }
}

/// These customers, each with what he or she sends, on a broker that keeps no order; there are four of item `i1`.
///
/// # Errors
/// If two customers have the same name.
pub fn simulation(
    design: Design,
    customers: &[(&str, &[OrderCommand])],
) -> Result<Simulation<OrderWorkflow>, BuildError> {
    let mut builder = design.host(Simulation::on(Profile::adversarial())).seeded("inventory", |store| {
        let stock = Stock { received: 4, reserved: 0 };
        store.insert(RecordId::new('i', 1), stock).expect("nothing is there yet");
    });
    for (name, commands) in customers {
        builder = builder.client(*name, commands.to_vec());
    }
    builder.build()
}
