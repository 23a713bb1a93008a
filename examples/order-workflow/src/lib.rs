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
//! All events come at least once and in any order. The usual [`Design`] copes with that; each defect of
//! [`suite`] leaves out one thing that seems superfluous until the messages race.

mod inventory;
pub mod messages;
mod orders;
mod payment;
pub mod properties;
mod sales;
mod shipping;
pub mod suite;

use pellmell::System;

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

/// What can be decided one way or another when these services are built. The default is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// How many events the projection remembers to have counted.
    ///
    /// It must be no smaller than the number of events that can come between two deliveries of one. A broker that
    /// limits what is in flight bounds that number; the simulated one does not, and the clients of the scenarios
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

impl Default for Design {
    fn default() -> Design {
        Design {
            dedup_window: 64,
            inventory_notes_cancels: true,
            payment_notes_cancels: true,
            checks_stock_version: true,
        }
    }
}
