//! What the ticketing services keep.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{RecordId, Time, Version};
use crate::store::Record;

/// A short text that is cheap to copy: a title, a user's name.
pub type Text = Arc<str>;

/// A ticket for sale. Owned by the tickets service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// What it is for.
    pub title: Text,
    /// What it costs.
    pub price: u32,
    /// Who sells it.
    pub user: Text,
    /// Whether an order has reserved it.
    pub lock: Lock,
}

impl Record for Ticket {
    const COLLECTION: &'static str = "tickets";
    const KIND: char = 't';
}

/// The reservation of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// Nobody has it.
    Free,
    /// Somebody has it; who, was not kept.
    Taken,
    /// This order has it.
    By(RecordId),
}

impl Lock {
    /// The order that has it, where that is known.
    #[must_use]
    pub const fn order(self) -> Option<RecordId> {
        match self {
            Lock::By(order) => Some(order),
            Lock::Free | Lock::Taken => None,
        }
    }
}

/// The orders service's replica of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketReplica {
    /// What it is for.
    pub title: Text,
    /// What it costs.
    pub price: u32,
}

impl Record for TicketReplica {
    const COLLECTION: &'static str = "tickets";
    const KIND: char = 't';
}

/// An order for one ticket. Owned by the orders service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Who buys.
    pub user: Text,
    /// How far it is.
    pub status: Status,
    /// When it is cancelled unless it was paid.
    pub expires_at: Time,
    /// The ticket.
    pub ticket: RecordId,
    /// What the ticket cost when it was ordered.
    pub price: u32,
}

impl Record for Order {
    const COLLECTION: &'static str = "orders";
    const KIND: char = 'o';
}

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It exists.
    #[serde(rename = "created")]
    Created,
    /// It is off: by the buyer, or because it expired.
    #[serde(rename = "cancelled")]
    Cancelled,
    /// Its ticket is reserved and the price is right.
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    /// It is paid.
    #[serde(rename = "complete")]
    Complete,
}

impl Status {
    /// Whether it keeps others from ordering the ticket.
    #[must_use]
    pub const fn is_live(self) -> bool {
        !matches!(self, Status::Cancelled)
    }

    /// Whether it is never left.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Status::Cancelled | Status::Complete)
    }
}

/// What the tickets service remembers of an order: the last version it has seen. Inbox and
/// tombstone in one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenOrder {
    /// The version.
    pub seen: Version,
    /// Whether it was a cancel.
    pub cancelled: bool,
}

impl Record for SeenOrder {
    const COLLECTION: &'static str = "ledger";
    const KIND: char = 'o';
}

/// The reservation of a ticket, where the tickets service keeps it beside the ticket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// The reservation.
    pub lock: Lock,
}

impl Record for Reservation {
    const COLLECTION: &'static str = "reservations";
    const KIND: char = 't';
}

/// The payments service's replica of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderReplica {
    /// Who buys.
    pub user: Text,
    /// What is to be paid: what the ticket cost when it was ordered.
    pub price: u32,
    /// How far it is.
    pub status: Status,
}

impl Record for OrderReplica {
    const COLLECTION: &'static str = "orders";
    const KIND: char = 'o';
}

/// A payment that was charged. Kept by the payments service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// What was paid for.
    pub order: RecordId,
    /// What was charged.
    pub price: u32,
    /// Whether it was given back.
    pub refunded: bool,
}

impl Record for Payment {
    const COLLECTION: &'static str = "payments";
    const KIND: char = 'p';
}

/// The expiration service's jobs for one order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// When the last one fires.
    pub due: Time,
    /// How many were made.
    pub made: u32,
    /// How many have fired.
    pub fired: u32,
}

impl Record for Job {
    const COLLECTION: &'static str = "jobs";
    const KIND: char = 'o';
}
