//! A bank: keeps accounts and books debits, credits and refunds on them.

use pellmell::prelude::*;

use crate::messages::{
    BankCommand, BankEvent, BankName, CREDIT_REQUESTED, CREDIT_WITHDRAWN, DEBIT_REQUESTED, REFUND_REQUESTED, What,
};
use crate::{BankTransfers, Design};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Account {
    /// What it was opened with.
    pub opening: i64,
    /// What is on it.
    pub balance: i64,
    /// Whether it takes no credits any more.
    pub closed: bool,
}

impl Account {
    /// An open account.
    #[must_use]
    pub const fn opened_with(opening: i64) -> Account {
        Account { opening, balance: opening, closed: false }
    }
}

impl Record for Account {
    const COLLECTION: &'static str = "accounts";
    const KIND: char = 'a';
}

/// What became of the debit of a transfer, whose id it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Debit {
    /// It is booked.
    Done,
    /// There was too little.
    Refused,
    /// It was booked and given back.
    Refunded,
}

impl Record for Debit {
    const COLLECTION: &'static str = "debits";
    const KIND: char = 'x';
}

/// What became of the credit of a transfer, whose id it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// It is booked.
    Done,
    /// It will never be booked.
    Refused,
}

impl Record for Credit {
    const COLLECTION: &'static str = "credits";
    const KIND: char = 'x';
}

/// A bank.
#[derive(Clone, Copy, Debug)]
pub struct Bank {
    /// Which one.
    pub name: BankName,
    /// How it is built.
    pub design: Design,
}

type Ctx<'a> = Context<'a, BankTransfers>;

impl Service<BankTransfers> for Bank {
    fn name(&self) -> &'static str {
        self.name.name()
    }

    fn collections(&self, schema: &mut Schema) {
        // Both banks have accounts, so none of them is the owner of all.
        schema.keeps::<Account>(VersionPolicy::EVERY_SAVE);
        schema.keeps::<Debit>(VersionPolicy::EVERY_SAVE).keeps::<Credit>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[DEBIT_REQUESTED, CREDIT_REQUESTED, CREDIT_WITHDRAWN, REFUND_REQUESTED] }
    }

    /// Each bank hears all requests and takes those about its own accounts.
    fn handle(&self, event: &BankEvent, ctx: &mut Ctx<'_>) -> Outcome {
        let Some(account) = ctx.store.find::<Account>(event.account).map(|held| held.value.clone()) else {
            return Outcome::Ack;
        };
        let debit = ctx.store.find::<Debit>(event.transfer).map(|held| held.value);
        let credit = ctx.store.find::<Credit>(event.transfer).map(|held| held.value);
        let amount = event.amount;
        match event.what {
            What::DebitRequested if debit.is_none() && account.balance < amount => {
                book(event, Debit::Refused, 0, What::DebitRefused, ctx);
            }
            What::DebitRequested if debit.is_none() || self.design.books_blindly => {
                book(event, Debit::Done, -amount, What::DebitDone, ctx);
            }
            What::CreditRequested if credit.is_none() && !account.closed => {
                book(event, Credit::Done, amount, What::CreditDone, ctx);
            }
            What::CreditRequested | What::CreditWithdrawn if credit.is_none() => {
                book(event, Credit::Refused, 0, What::CreditRefused, ctx);
            }
            What::RefundRequested if debit == Some(Debit::Done) => {
                book(event, Debit::Refunded, amount, What::RefundDone, ctx);
            }
            // It was booked before, and answered then.
            _ => {}
        }
        Outcome::Ack
    }

    fn execute(&self, command: &BankCommand, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let BankCommand::Close { account: id, .. } = *command else {
            unreachable!("addressed to another service");
        };
        let held = ctx.store.find::<Account>(id).cloned();
        let held = held.ok_or(Rejection { status: 404, reason: "no such account" })?;
        ctx.store.overwrite(id, Account { closed: true, ..held.value }, Some(held.version));
        Ok(())
    }

    fn publish_mode(&self, _work: Work) -> PublishMode {
        self.design.publish
    }
}

/// Books a change of an account's balance, notes what became of the request, and answers it. One process keeps a
/// bank's books, so nobody can have saved in between.
fn book(event: &BankEvent, note: impl Record, change: i64, answer: What, ctx: &mut Ctx<'_>) {
    save(event.transfer, note, ctx);
    let account = ctx.store.find::<Account>(event.account).map(|held| held.value.clone());
    if let Some(account) = account.filter(|_| change != 0) {
        save(event.account, Account { balance: account.balance + change, ..account }, ctx);
    }
    ctx.publish(BankEvent { what: answer, ..*event });
}

fn save<R: Record>(id: RecordId, value: R, ctx: &mut Ctx<'_>) {
    let held = ctx.store.find::<R>(id).map(|held| held.version);
    ctx.store.overwrite(id, value, held);
}
