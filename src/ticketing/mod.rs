//! The reference system: a tickets service owns tickets, an orders service keeps replicas of them
//! and reserves them, an expiration service ends the orders nobody paid for, a payments service
//! charges.
//!
//! It is written against the public interface alone, as a user's own services would be. Rules are
//! pluggable, so the same services are right, wrong in one place, or wrong the way a well-known
//! course leaves them (see [`Design`]).

mod coded;
mod defects;
mod designs;
mod expiration;
mod messages;
mod orders;
mod payments;
pub mod properties;
mod records;
mod replicas;
mod rules;
mod stored;
mod suite;
mod tickets;
mod wire;
mod workload;

pub use crate::scenario::Level;
pub use defects::{ALTERNATIVES, Alternative, CANARY, DEFECTS, Defect, defect};
pub use designs::{Design, Hostings};
pub use expiration::Expiration;
pub use messages::{
    EXPIRATION_COMPLETE, ORDER_CANCELLED, ORDER_COMPLETED, ORDER_CREATED, ORDER_RESERVED, PAYMENT_CREATED,
    REFUND_REQUESTED, Request, TICKET_CREATED, TICKET_UPDATED, Ticketing, TicketingEvent, What,
};
pub use orders::{EXPIRATION_WINDOW, Orders};
pub use payments::Payments;
pub use records::{
    Job, Lock, Order, OrderReplica, Payment, Reservation, SeenOrder, Status, Text, Ticket, TicketReplica,
};
pub use rules::{
    ApplyRule, CloseRule, CreateRule, ExpirationRules, Fit, LockKind, LockPlace, LockRules, OrderMemory, OrdersRules,
    PaidRules, PaymentsRules, PublishRules, ReleaseRule, ReplicaRules, TakeRule, TicketsRules, UnknownRule, fit,
    fit_in_chain,
};
pub use stored::StoredTicket;
pub use suite::main;
pub use tickets::Tickets;
pub use wire::Wire;
pub use workload::Workload;

/// A scenario of the ticketing services.
pub type Scenario = crate::scenario::Scenario<Ticketing>;
