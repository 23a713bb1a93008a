//! The events and commands of the ticketing services.

use serde::{Deserialize, Deserializer, Serialize};

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

/// The ticket of an order is reserved, at the price the order was made for.
pub const ORDER_RESERVED: Subject = Subject::new("order:reserved");
/// An order is paid.
pub const ORDER_COMPLETED: Subject = Subject::new("order:completed");
/// The time to pay for an order is over.
pub const EXPIRATION_COMPLETE: Subject = Subject::new("expiration:complete");
/// An order was paid for.
pub const PAYMENT_CREATED: Subject = Subject::new("payment:created");
/// A payment is to be given back.
pub const REFUND_REQUESTED: Subject = Subject::new("refund:requested");

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
    /// On [`ORDER_RESERVED`].
    OrderReserved {
        /// The order.
        id: RecordId,
        /// Its version.
        version: Version,
    },
    /// On [`ORDER_COMPLETED`].
    OrderCompleted {
        /// The order.
        id: RecordId,
        /// Its version.
        version: Version,
    },
    /// On [`EXPIRATION_COMPLETE`]. It carries no version: it is about time, not about a change.
    ExpirationComplete {
        /// The order.
        order: RecordId,
    },
    /// On [`PAYMENT_CREATED`]. It carries no version: a payment is made once.
    PaymentCreated {
        /// The payment.
        id: RecordId,
        /// The order.
        order: RecordId,
    },
    /// On [`REFUND_REQUESTED`].
    RefundRequested {
        /// The payment.
        payment: RecordId,
        /// The order.
        order: RecordId,
    },
    /// One of the others on a feed of its own, as services publish it that came of these: none of the designs
    /// does.
    Elsewhere {
        /// The feed.
        subject: &'static str,
        /// The event.
        event: Box<TicketingEvent>,
    },
}

impl TicketingEvent {
    /// The event itself, whatever feed it is on.
    #[must_use]
    pub fn itself(&self) -> &TicketingEvent {
        match self {
            TicketingEvent::Elsewhere { event, .. } => event.itself(),
            event => event,
        }
    }
}

impl Event for TicketingEvent {
    fn subject(&self) -> Subject {
        match self {
            TicketingEvent::Elsewhere { subject, .. } => Subject::new(subject),
            TicketingEvent::TicketCreated { .. } => TICKET_CREATED,
            TicketingEvent::TicketUpdated { .. } => TICKET_UPDATED,
            TicketingEvent::OrderCreated { .. } => ORDER_CREATED,
            TicketingEvent::OrderCancelled { .. } => ORDER_CANCELLED,
            TicketingEvent::OrderReserved { .. } => ORDER_RESERVED,
            TicketingEvent::OrderCompleted { .. } => ORDER_COMPLETED,
            TicketingEvent::ExpirationComplete { .. } => EXPIRATION_COMPLETE,
            TicketingEvent::PaymentCreated { .. } => PAYMENT_CREATED,
            TicketingEvent::RefundRequested { .. } => REFUND_REQUESTED,
        }
    }

    fn record(&self) -> RecordId {
        match self {
            TicketingEvent::TicketCreated { id, .. }
            | TicketingEvent::TicketUpdated { id, .. }
            | TicketingEvent::OrderCreated { id, .. }
            | TicketingEvent::OrderCancelled { id, .. }
            | TicketingEvent::OrderReserved { id, .. }
            | TicketingEvent::OrderCompleted { id, .. }
            | TicketingEvent::PaymentCreated { id, .. } => *id,
            TicketingEvent::ExpirationComplete { order } => *order,
            TicketingEvent::RefundRequested { payment, .. } => *payment,
            TicketingEvent::Elsewhere { event, .. } => event.record(),
        }
    }

    fn version(&self) -> Option<Version> {
        match self {
            TicketingEvent::TicketCreated { version, .. }
            | TicketingEvent::TicketUpdated { version, .. }
            | TicketingEvent::OrderCreated { version, .. }
            | TicketingEvent::OrderCancelled { version, .. }
            | TicketingEvent::OrderReserved { version, .. }
            | TicketingEvent::OrderCompleted { version, .. } => Some(*version),
            TicketingEvent::ExpirationComplete { .. }
            | TicketingEvent::PaymentCreated { .. }
            | TicketingEvent::RefundRequested { .. } => None,
            TicketingEvent::Elsewhere { event, .. } => event.version(),
        }
    }
}

/// A client's request: who asks for what. As text it is what is asked for; who asks is the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request {
    /// Who is signed in, if anybody.
    #[serde(skip)]
    pub user: Option<Text>,
    /// What is asked for.
    pub what: What,
}

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// `POST /api/tickets`
    CreateTicket {
        /// The name of the new ticket.
        #[serde(deserialize_with = "ticket")]
        ticket: RecordId,
        /// Its title.
        #[serde(default = "usual_title", skip_serializing_if = "is_usual_title")]
        title: Text,
        /// Its price.
        price: u32,
    },
    /// `PUT /api/tickets/:id`
    EditTicket {
        /// The ticket.
        #[serde(deserialize_with = "ticket")]
        ticket: RecordId,
        /// Its new title; as it was if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Text>,
        /// Its new price.
        price: u32,
    },
    /// `GET /api/tickets/:id`
    ShowTicket {
        /// The ticket.
        #[serde(deserialize_with = "ticket")]
        ticket: RecordId,
    },
    /// `POST /api/orders`
    CreateOrder {
        /// The name of the new order.
        #[serde(deserialize_with = "order")]
        order: RecordId,
        /// The ticket.
        #[serde(deserialize_with = "ticket")]
        ticket: RecordId,
    },
    /// `GET /api/orders/:id`
    ShowOrder {
        /// The order.
        #[serde(deserialize_with = "order")]
        order: RecordId,
    },
    /// `DELETE /api/orders/:id`
    CancelOrder {
        /// The order.
        #[serde(deserialize_with = "order")]
        order: RecordId,
    },
    /// `POST /api/payments`
    Pay {
        /// The name of the new payment.
        #[serde(deserialize_with = "payment")]
        payment: RecordId,
        /// The order.
        #[serde(deserialize_with = "order")]
        order: RecordId,
        /// What the card company calls the card.
        #[serde(default = "usual_token", skip_serializing_if = "is_usual_token")]
        token: Text,
    },
}

fn of_kind<'de, D: Deserializer<'de>>(deserializer: D, kind: char, kinds: &str) -> Result<RecordId, D::Error> {
    let id = RecordId::deserialize(deserializer)?;
    match id.kind() == kind {
        true => Ok(id),
        false => Err(serde::de::Error::custom(format!(
            "`{id}` cannot be used here: {kinds} are named `{kind}1`, `{kind}2`, …"
        ))),
    }
}

pub(super) fn ticket<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RecordId, D::Error> {
    of_kind(deserializer, 't', "tickets")
}

pub(super) fn order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RecordId, D::Error> {
    of_kind(deserializer, 'o', "orders")
}

pub(super) fn payment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RecordId, D::Error> {
    of_kind(deserializer, 'p', "payments")
}

pub(super) fn usual_title() -> Text {
    "ticket".into()
}

pub(super) fn is_usual_title(title: &Text) -> bool {
    **title == *"ticket"
}

fn usual_token() -> Text {
    "token".into()
}

fn is_usual_token(token: &Text) -> bool {
    **token == *"token"
}

impl What {
    /// The records it names, the one it is about first.
    #[must_use]
    pub fn records(&self) -> Vec<RecordId> {
        match self {
            What::CreateTicket { ticket, .. } | What::EditTicket { ticket, .. } | What::ShowTicket { ticket } => {
                vec![*ticket]
            }
            What::CreateOrder { order, ticket } => vec![*order, *ticket],
            What::ShowOrder { order } | What::CancelOrder { order } => vec![*order],
            What::Pay { payment, order, .. } => vec![*payment, *order],
        }
    }

    /// What is asked for in one word, which labels begin with.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            What::CreateTicket { .. } => "create",
            What::EditTicket { .. } => "edit",
            What::ShowTicket { .. } | What::ShowOrder { .. } => "show",
            What::CreateOrder { .. } => "order",
            What::CancelOrder { .. } => "cancel",
            What::Pay { .. } => "pay",
        }
    }
}

impl Command for Request {
    fn service(&self) -> &'static str {
        match self.what {
            What::CreateTicket { .. } | What::EditTicket { .. } | What::ShowTicket { .. } => "tickets",
            What::CreateOrder { .. } | What::ShowOrder { .. } | What::CancelOrder { .. } => "orders",
            What::Pay { .. } => "payments",
        }
    }

    fn record(&self) -> RecordId {
        match self.what {
            What::CreateTicket { ticket, .. } | What::EditTicket { ticket, .. } | What::ShowTicket { ticket } => ticket,
            What::CreateOrder { order, .. } | What::ShowOrder { order } | What::CancelOrder { order } => order,
            What::Pay { payment, .. } => payment,
        }
    }

    fn label(&self) -> String {
        let verb = self.what.verb();
        match &self.what {
            What::CreateTicket { ticket, price, .. } => format!("{verb} {ticket} at {price}"),
            What::EditTicket { ticket, price, .. } => format!("{verb} {ticket} to {price}"),
            What::ShowTicket { ticket } => format!("{verb} {ticket}"),
            What::CreateOrder { order, ticket } => format!("{verb} {ticket} as {order}"),
            What::ShowOrder { order } | What::CancelOrder { order } => format!("{verb} {order}"),
            What::Pay { payment, order, .. } => format!("{verb} {order} as {payment}"),
        }
    }

    fn creates(&self) -> Option<RecordId> {
        match &self.what {
            What::CreateTicket { ticket, .. } => Some(*ticket),
            What::CreateOrder { order, .. } => Some(*order),
            What::Pay { payment, .. } => Some(*payment),
            _ => None,
        }
    }

    fn needs(&self) -> Vec<RecordId> {
        self.what.records()
    }

    fn sender(&self) -> Option<&str> {
        self.user.as_deref()
    }

    fn sent_by(self, user: Option<&str>) -> Request {
        Request { user: user.map(Text::from), ..self }
    }

    /// A ticket is created at 5 and edited to 10, 15, …; no edit has a title.
    fn simpler(&self) -> Vec<Request> {
        let with = |what| Request { user: self.user.clone(), what };
        match &self.what {
            What::CreateTicket { ticket, title, price } if *price > 5 => {
                vec![with(What::CreateTicket { ticket: *ticket, title: title.clone(), price: 5 })]
            }
            What::EditTicket { ticket, title, price } => {
                let edit = |title: Option<Text>, price| with(What::EditTicket { ticket: *ticket, title, price });
                let below = [10, 15, 20, 25].into_iter().filter(|simple| simple < price);
                let priced = below.flat_map(|price| [edit(None, price), edit(title.clone(), price)]);
                let mut simpler: Vec<Request> =
                    priced.chain([edit(None, *price)]).filter(|edit| edit != self).collect();
                simpler.dedup();
                simpler
            }
            _ => Vec::new(),
        }
    }
}
