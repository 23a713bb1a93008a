//! The reference system: a tickets service owns tickets, an orders service keeps replicas of them
//! and reserves them.
//!
//! It is written against the public interface alone, as a user's own services would be. Rules are
//! pluggable, so the same services are right, wrong in one place, or wrong the way a well-known
//! course leaves them (see [`Design`]).

mod designs;
mod messages;
mod orders;
pub mod properties;
mod records;
mod rules;
mod tickets;
mod workload;

pub use designs::Design;
pub use messages::{
    ORDER_CANCELLED, ORDER_CREATED, Request, TICKET_CREATED, TICKET_UPDATED, Ticketing, TicketingEvent, What,
};
pub use orders::{EXPIRATION_WINDOW, Orders};
pub use records::{Lock, Order, SeenOrder, Status, Text, Ticket, TicketReplica};
pub use rules::{ApplyRule, CreateRule, Fit, LockStrategy, OrdersRules, TicketsRules, fit, fit_in_chain};
pub use tickets::Tickets;
pub use workload::Workload;
