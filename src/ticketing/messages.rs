//! The events and commands of the ticketing services.

use serde::Serialize;

use super::records::{Lock, Status, Text};
use crate::event::{Command, Event, System};
use crate::ids::{RecordId, Subject, Time, Version};

/// The ticketing services as one system.
#[derive(Clone, Copy, Debug)]
pub struct Ticketing;

impl System for Ticketing {
    type Event = TicketingEvent;
    type Command = Request;
}

/// A ticket was put up for sale.
pub const TICKET_CREATED: Subject = Subject::new("ticket:created");
/// A ticket changed: its fields or its reservation.
pub const TICKET_UPDATED: Subject = Subject::new("ticket:updated");
/// An order was made.
pub const ORDER_CREATED: Subject = Subject::new("order:created");
/// An order is off.
pub const ORDER_CANCELLED: Subject = Subject::new("order:cancelled");

/// Every event the ticketing services emit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketingEvent {
    /// On [`TICKET_CREATED`]: a full snapshot.
    TicketCreated {
        /// The ticket.
        id: RecordId,
        /// Its version.
        version: Version,
        /// Its title.
        title: Text,
        /// Its price.
        price: u32,
        /// Its seller.
        user: Text,
    },
    /// On [`TICKET_UPDATED`]: a full snapshot.
    TicketUpdated {
        /// The ticket.
        id: RecordId,
        /// Its version.
        version: Version,
        /// The version it was made from.
        previous: Option<Version>,
        /// Its title.
        title: Text,
        /// Its price.
        price: u32,
        /// Its seller.
        user: Text,
        /// Its reservation.
        lock: Lock,
    },
    /// On [`ORDER_CREATED`].
    OrderCreated {
        /// The order.
        id: RecordId,
        /// Its version.
        version: Version,
        /// Its status.
        status: Status,
        /// The buyer.
        user: Text,
        /// When it expires.
        expires_at: Time,
        /// The ticket.
        ticket: RecordId,
        /// The ticket's price.
        price: u32,
    },
    /// On [`ORDER_CANCELLED`]: terminal, it includes every earlier event of the order.
    OrderCancelled {
        /// The order.
        id: RecordId,
        /// Its version.
        version: Version,
        /// The ticket.
        ticket: RecordId,
    },
}

impl Event for TicketingEvent {
    fn subject(&self) -> Subject {
        match self {
            TicketingEvent::TicketCreated { .. } => TICKET_CREATED,
            TicketingEvent::TicketUpdated { .. } => TICKET_UPDATED,
            TicketingEvent::OrderCreated { .. } => ORDER_CREATED,
            TicketingEvent::OrderCancelled { .. } => ORDER_CANCELLED,
        }
    }

    fn record(&self) -> RecordId {
        match self {
            TicketingEvent::TicketCreated { id, .. }
            | TicketingEvent::TicketUpdated { id, .. }
            | TicketingEvent::OrderCreated { id, .. }
            | TicketingEvent::OrderCancelled { id, .. } => *id,
        }
    }

    fn version(&self) -> Option<Version> {
        match self {
            TicketingEvent::TicketCreated { version, .. }
            | TicketingEvent::TicketUpdated { version, .. }
            | TicketingEvent::OrderCreated { version, .. }
            | TicketingEvent::OrderCancelled { version, .. } => Some(*version),
        }
    }
}

/// A client's request: who asks for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Request {
    /// Who is signed in, if anybody.
    pub user: Option<Text>,
    /// What is asked for.
    pub what: What,
}

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// `POST /api/tickets`
    CreateTicket {
        /// The name of the new ticket.
        ticket: RecordId,
        /// Its title.
        title: Text,
        /// Its price.
        price: u32,
    },
    /// `PUT /api/tickets/:id`
    EditTicket {
        /// The ticket.
        ticket: RecordId,
        /// Its new title; as it was if absent.
        title: Option<Text>,
        /// Its new price.
        price: u32,
    },
    /// `GET /api/tickets/:id`
    ShowTicket {
        /// The ticket.
        ticket: RecordId,
    },
    /// `POST /api/orders`
    CreateOrder {
        /// The name of the new order.
        order: RecordId,
        /// The ticket.
        ticket: RecordId,
    },
    /// `GET /api/orders/:id`
    ShowOrder {
        /// The order.
        order: RecordId,
    },
    /// `DELETE /api/orders/:id`
    CancelOrder {
        /// The order.
        order: RecordId,
    },
}

impl Command for Request {
    fn service(&self) -> &'static str {
        match self.what {
            What::CreateTicket { .. } | What::EditTicket { .. } | What::ShowTicket { .. } => "tickets",
            What::CreateOrder { .. } | What::ShowOrder { .. } | What::CancelOrder { .. } => "orders",
        }
    }

    fn record(&self) -> RecordId {
        match self.what {
            What::CreateTicket { ticket, .. } | What::EditTicket { ticket, .. } | What::ShowTicket { ticket } => ticket,
            What::CreateOrder { order, .. } | What::ShowOrder { order } | What::CancelOrder { order } => order,
        }
    }

    fn label(&self) -> String {
        match &self.what {
            What::CreateTicket { ticket, price, .. } => format!("create {ticket} at {price}"),
            What::EditTicket { ticket, price, .. } => format!("edit {ticket} to {price}"),
            What::ShowTicket { ticket } => format!("show {ticket}"),
            What::CreateOrder { order, ticket } => format!("order {ticket} as {order}"),
            What::ShowOrder { order } => format!("show {order}"),
            What::CancelOrder { order } => format!("cancel {order}"),
        }
    }
}
