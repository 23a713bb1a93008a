//! The orchestrator: leads each transfer through its states.

use std::time::Duration;

use pellmell::prelude::*;

use crate::messages::{
    BankCommand, BankEvent, CREDIT_DONE, CREDIT_REFUSED, DEBIT_DONE, DEBIT_REFUSED, REFUND_DONE, What,
};
use crate::{BankTransfers, Design};

/// How long the orchestrator waits for the answer to a credit before it withdraws it.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The first bank is asked for the debit.
    Debiting,
    /// The second bank is asked for the credit.
    Crediting,
    /// The credit took too long: the second bank is asked not to make it, unless it has.
    Withdrawing,
    /// There is no credit: the first bank is asked to give the debit back.
    Refunding,
    /// The money is where it should be. The end.
    Completed,
    /// There was too little money. The end.
    Refused,
    /// The money is where it was. The end.
    Refunded,
}

impl State {
    /// Whether nothing comes after it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, State::Completed | State::Refused | State::Refunded)
    }
}

/// A transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Transfer {
    /// The account that pays.
    pub from: RecordId,
    /// The account that is paid.
    pub to: RecordId,
    /// How much.
    pub amount: i64,
    /// How far it has come.
    pub state: State,
}

impl Record for Transfer {
    const COLLECTION: &'static str = "transfers";
    const KIND: char = 'x';
}

/// The orchestrator.
#[derive(Clone, Copy, Debug)]
pub struct Transfers(pub Design);

type Ctx<'a> = Context<'a, BankTransfers>;

impl Service<BankTransfers> for Transfers {
    fn name(&self) -> &'static str {
        "transfers"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Transfer>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[DEBIT_DONE, DEBIT_REFUSED, CREDIT_DONE, CREDIT_REFUSED, REFUND_DONE] }
    }

    fn handle(&self, event: &BankEvent, ctx: &mut Ctx<'_>) -> Outcome {
        let Some(held) = ctx.store.find::<Transfer>(event.transfer).cloned() else {
            return Outcome::nak("no such transfer");
        };
        let next = match (held.state, event.what) {
            (State::Debiting, What::DebitDone) => State::Crediting,
            (State::Debiting, What::DebitRefused) => State::Refused,
            (State::Crediting | State::Withdrawing, What::CreditDone) => State::Completed,
            (State::Crediting | State::Withdrawing, What::CreditRefused) => State::Refunding,
            (State::Refunding, What::RefundDone) => State::Refunded,
            // It comes again, or too late to matter.
            _ => return Outcome::Ack,
        };
        if next == State::Crediting {
            let due = ctx.now().after(TIMEOUT);
            ctx.arm(event.transfer, due);
        }
        advance(event.transfer, &held, next, ctx);
        Outcome::Ack
    }

    fn execute(&self, command: &BankCommand, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let BankCommand::Transfer { transfer, from, to, amount } = *command else {
            unreachable!("addressed to another service");
        };
        let state = State::Debiting;
        let inserted = ctx.store.insert(transfer, Transfer { from, to, amount, state });
        inserted.map_err(|_| Rejection { status: 409, reason: "the transfer exists" })?;
        ctx.publish(BankEvent { what: What::DebitRequested, transfer, account: from, amount });
        Ok(())
    }

    /// The time for the credit is over. That says nothing about whether it was made.
    fn on_timer(&self, timer: &Timer, ctx: &mut Ctx<'_>) {
        let transfer = timer.record();
        let held = ctx.store.find::<Transfer>(transfer).cloned();
        if let Some(held) = held.filter(|held| held.state == State::Crediting) {
            let next = if self.0.refunds_on_timeout { State::Refunding } else { State::Withdrawing };
            advance(transfer, &held, next, ctx);
        }
    }

    fn publish_mode(&self, _work: Work) -> PublishMode {
        self.0.publish
    }
}

/// Saves a transfer's next state and asks a bank for what comes then. One process leads the transfers, so nobody can
/// have saved in between.
fn advance(id: RecordId, held: &Versioned<Transfer>, next: State, ctx: &mut Ctx<'_>) {
    ctx.store.overwrite(id, Transfer { state: next, ..held.value.clone() }, Some(held.version));
    let (what, account) = match next {
        State::Crediting => (What::CreditRequested, held.to),
        State::Withdrawing => (What::CreditWithdrawn, held.to),
        State::Refunding => (What::RefundRequested, held.from),
        State::Debiting | State::Completed | State::Refused | State::Refunded => return,
    };
    ctx.publish(BankEvent { what, transfer: id, account, amount: held.amount });
}
