//! Transfers between banks as a saga: an orchestrator that asks one bank for a debit and the other for a credit, and
//! undoes the debit if there can be no credit.
//!
//! ```text
//!               debit:done                    credit:done
//!   Debiting ────────────────▶ Crediting ─────────────────────▶ Completed
//!      │ debit:refused          │      │ timeout                    ▲
//!      ▼                        │      ▼                            │ credit:done
//!   Refused       credit:refused│   Withdrawing ────────────────────┘
//!                               ▼      │ credit:refused
//!                            Refunding ◀
//!                               │ refund:done
//!                               ▼
//!                            Refunded
//! ```
//!
//! No transaction spans the three services, so all that keeps the money together is the protocol: each request is
//! booked once however often it comes; a credit is refunded only after its bank has said that it will never be made;
//! and what is saved is published, whatever crashes in between. Each defect of [`suite`] gives up one of these.

mod bank;
mod messages;
pub mod properties;
pub mod suite;
mod transfers;

use pellmell::{PublishMode, System};

pub use bank::{Account, Bank, Credit, Debit};
pub use messages::{BankCommand, BankEvent, BankName, What};
pub use transfers::{State, TIMEOUT, Transfer, Transfers};

/// The orchestrator and two banks as one system.
#[derive(Clone, Copy, Debug)]
pub struct BankTransfers;

impl System for BankTransfers {
    type Event = BankEvent;
    type Command = BankCommand;
}

/// What can be decided one way or another when these services are built. The default is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Design {
    /// How all three services publish what they saved.
    pub publish: PublishMode,
    /// Whether a transfer whose credit takes too long is refunded without asking whether the credit was made.
    pub refunds_on_timeout: bool,
    /// Whether a bank books a debit without looking up if it has booked it already.
    pub books_blindly: bool,
}
