//! The events the services emit and the commands customers send.

use pellmell::prelude::*;

use crate::orders::Status;

/// A customer ordered something.
pub const ORDER_PLACED: Subject = Subject::new("order:placed");
/// There is too little stock for an order.
pub const ORDER_REFUSED: Subject = Subject::new("order:refused");
/// The stock of an order is reserved: it may be charged.
pub const ORDER_CONFIRMED: Subject = Subject::new("order:confirmed");
/// A customer gave an order up before it was paid.
pub const ORDER_CANCELLED: Subject = Subject::new("order:cancelled");
/// An order is paid: it may be shipped, and not be cancelled any more.
pub const ORDER_PAID: Subject = Subject::new("order:paid");
/// An order is on its way.
pub const ORDER_SHIPPED: Subject = Subject::new("order:shipped");
/// Inventory put an order's stock aside.
pub const STOCK_RESERVED: Subject = Subject::new("stock:reserved");
/// Inventory has too little stock for an order.
pub const STOCK_REFUSED: Subject = Subject::new("stock:refused");
/// Payment charged an order.
pub const PAYMENT_CHARGED: Subject = Subject::new("payment:charged");
/// Shipping sent an order.
pub const SHIPMENT_SENT: Subject = Subject::new("shipment:sent");

/// Every event of the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEvent {
    /// On one of the `order:` subjects, by its status: what orders saved.
    Order {
        /// How far the order has come.
        status: Status,
        /// The order.
        order: RecordId,
        /// Its version.
        version: Version,
        /// What was ordered.
        item: RecordId,
        /// How many of it.
        quantity: u32,
    },
    /// On [`STOCK_RESERVED`].
    StockReserved {
        /// The order.
        order: RecordId,
    },
    /// On [`STOCK_REFUSED`].
    StockRefused {
        /// The order.
        order: RecordId,
    },
    /// On [`PAYMENT_CHARGED`].
    PaymentCharged {
        /// The order.
        order: RecordId,
    },
    /// On [`SHIPMENT_SENT`].
    ShipmentSent {
        /// The order.
        order: RecordId,
    },
}

impl Event for OrderEvent {
    fn subject(&self) -> Subject {
        match self {
            OrderEvent::Order { status, .. } => match status {
                Status::Placed => ORDER_PLACED,
                Status::Refused => ORDER_REFUSED,
                Status::Confirmed => ORDER_CONFIRMED,
                Status::Cancelled => ORDER_CANCELLED,
                Status::Paid => ORDER_PAID,
                Status::Shipped => ORDER_SHIPPED,
            },
            OrderEvent::StockReserved { .. } => STOCK_RESERVED,
            OrderEvent::StockRefused { .. } => STOCK_REFUSED,
            OrderEvent::PaymentCharged { .. } => PAYMENT_CHARGED,
            OrderEvent::ShipmentSent { .. } => SHIPMENT_SENT,
        }
    }

    fn record(&self) -> RecordId {
        match *self {
            OrderEvent::Order { order, .. }
            | OrderEvent::StockReserved { order }
            | OrderEvent::StockRefused { order }
            | OrderEvent::PaymentCharged { order }
            | OrderEvent::ShipmentSent { order } => order,
        }
    }

    fn version(&self) -> Option<Version> {
        match *self {
            OrderEvent::Order { version, .. } => Some(version),
            _ => None,
        }
    }
}

/// What a customer asks orders for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OrderCommand {
    /// `POST /orders`
    Place {
        /// The id the order gets.
        order: RecordId,
        /// What is ordered.
        item: RecordId,
        /// How many of it.
        quantity: u32,
    },
    /// `DELETE /orders/:id`
    Cancel {
        /// The order.
        order: RecordId,
    },
}

impl Command for OrderCommand {
    fn service(&self) -> &'static str {
        "orders"
    }

    fn record(&self) -> RecordId {
        match *self {
            OrderCommand::Place { order, .. } | OrderCommand::Cancel { order } => order,
        }
    }

    fn creates(&self) -> Option<RecordId> {
        match *self {
            OrderCommand::Place { order, .. } => Some(order),
            OrderCommand::Cancel { .. } => None,
        }
    }

    fn needs(&self) -> Vec<RecordId> {
        match *self {
            OrderCommand::Place { item, .. } => vec![item],
            OrderCommand::Cancel { order } => vec![order],
        }
    }

    fn label(&self) -> String {
        match self {
            OrderCommand::Place { order, item, quantity } => format!("place {order} for {quantity} of {item}"),
            OrderCommand::Cancel { order } => format!("cancel {order}"),
        }
    }

    fn simpler(&self) -> Vec<OrderCommand> {
        match *self {
            OrderCommand::Place { order, item, quantity } if quantity > 1 => {
                vec![OrderCommand::Place { order, item, quantity: 1 }]
            }
            _ => Vec::new(),
        }
    }
}
