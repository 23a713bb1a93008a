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
//! and what is saved is published, whatever crashes in between. Each constant of [`Design`] but the first gives up
//! one of these.

mod bank;
mod messages;
pub mod properties;
mod transfers;

use pellmell::simulation::BuildError;
use pellmell::{Profile, PublishMode, RecordId, Simulation, System};

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

/// What can be decided one way or another when these services are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// How all three services publish what they saved.
    pub publish: PublishMode,
    /// Whether a transfer whose credit takes too long is refunded without asking whether the credit was made.
    pub refunds_on_timeout: bool,
    /// Whether a bank looks up if it has booked a debit already before it books it.
    pub books_once: bool,
}

impl Design {
    /// The design that is right: events are saved beside the records, and a relay publishes them.
    pub const OUTBOX: Design = Design { publish: PublishMode::Outbox, refunds_on_timeout: false, books_once: true };

    /// Defect: dual write. A member that crashes when it has saved and not yet published loses what it had to say:
    /// the money has left one account, and nobody ever asks for the credit.
    pub const DUAL_WRITE: Design = Design { publish: PublishMode::DualWrite, ..Design::OUTBOX };

    /// Defect: a timeout is taken for a refusal. The credit may have been made and only its answer is late, or it is
    /// made later than the refund: the money is in both accounts.
    pub const REFUND_ON_TIMEOUT: Design = Design { refunds_on_timeout: true, ..Design::OUTBOX };

    /// Defect: a debit that is delivered twice is booked twice.
    pub const BOOKS_TWICE: Design = Design { books_once: false, ..Design::OUTBOX };
}

/// These clients, each with what it sends, on a broker that keeps no order. Account `a1` is at north and has 100,
/// account `a2` is at south and has 50.
///
/// # Errors
/// If two clients have the same name.
pub fn simulation(design: Design, clients: &[(&str, &[BankCommand])]) -> Result<Simulation<BankTransfers>, BuildError> {
    let mut builder = Simulation::on(Profile::adversarial()).service(Transfers(design));
    for (bank, account, balance) in [(BankName::North, 1, 100), (BankName::South, 2, 50)] {
        builder = builder.service(Bank { name: bank, design }).seeded(bank.name(), move |store| {
            let account_id = RecordId::new('a', account);
            store.insert(account_id, Account::opened_with(balance)).expect("nothing is there yet");
        });
    }
    for (name, commands) in clients {
        builder = builder.client(*name, commands.to_vec());
    }
    builder.build()
}
