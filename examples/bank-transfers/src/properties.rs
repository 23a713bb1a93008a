//! What must be true of the money.

use pellmell::prelude::*;

use crate::bank::{Account, Credit, Debit};
use crate::transfers::{State, Transfer};
use crate::{BankName, BankTransfers};

/// All properties, the most telling first.
#[must_use]
pub fn all() -> Vec<Box<dyn Property<BankTransfers>>> {
    vec![testing::at_quiescence("MoneyConserved", money_conserved), Box::new(EachTransferEnds), Box::new(NoPoison)]
}

/// The ends that a transfer can come to.
#[must_use]
pub fn sometimes() -> Vec<Sometimes<BankTransfers>> {
    let comes_to = |name, about, state| {
        Sometimes::new(name, about, move |view: &View<'_, BankTransfers>| {
            view.changes::<Transfer>().any(|change| change.after.is_some_and(|after| after.state == state))
        })
    };
    vec![
        comes_to("Completed", "a transfer is completed", State::Completed),
        comes_to("Refused", "a transfer is refused for want of money", State::Refused),
        comes_to("Withdrawn", "a credit takes too long", State::Withdrawing),
        comes_to("Refunded", "a transfer is undone", State::Refunded),
    ]
}

/// Whenever nothing is under way, the accounts have what they were opened with, together with what transfers that
/// are not over have taken and not yet given.
fn money_conserved(moment: &Moment<'_, BankTransfers>) -> Result<(), Violation> {
    let banks = [BankName::North, BankName::South].map(|bank| moment.store_of(bank.name()));
    let (mut opening, mut found) = (0, 0);
    for (_, account) in banks.iter().flat_map(|bank| bank.all::<Account>()) {
        opening += account.opening;
        found += account.balance;
    }
    for (id, transfer) in moment.store_of("transfers").all::<Transfer>().filter(|(_, held)| !held.state.is_end()) {
        let is_debited = banks.iter().any(|bank| bank.find::<Debit>(id).is_some_and(|it| it.value == Debit::Done));
        let is_credited = banks.iter().any(|bank| bank.find::<Credit>(id).is_some_and(|it| it.value == Credit::Done));
        if is_debited && !is_credited {
            found += transfer.amount;
        }
    }
    if found == opening {
        return Ok(());
    }
    Err(Violation::at("transfers").because(format!("the accounts had {opening}, and now it is {found}")))
}

/// Every transfer ends: it is completed, refused or refunded.
#[derive(Clone, Copy, Debug)]
pub struct EachTransferEnds;

impl Property<BankTransfers> for EachTransferEnds {
    fn name(&self) -> &'static str {
        "EachTransferEnds"
    }

    fn about(&self) -> &'static str {
        "every transfer is completed, refused or refunded in the end"
    }

    fn at_end(&self, end: &End<'_, BankTransfers>) -> Result<(), Violation> {
        let mut transfers = end.store_of("transfers").all::<Transfer>();
        match transfers.find(|(_, transfer)| !transfer.state.is_end()) {
            Some((id, transfer)) => {
                Err(Violation::at("transfers").of(id).because(format!("it is {:?} for ever", transfer.state)))
            }
            None => Ok(()),
        }
    }
}
