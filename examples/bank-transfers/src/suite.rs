//! What scenario files and the command line need to know of the bank transfers.

use pellmell::prelude::*;
use pellmell::scenario;

use crate::{Account, Bank, BankName, BankTransfers, Design, Transfers, properties};

impl scenario::Design for Design {
    fn name(&self) -> &'static str {
        if self.publish == PublishMode::Outbox { "outbox" } else { "dual-write" }
    }

    fn about(&self) -> &'static str {
        match self.publish {
            PublishMode::Outbox => "events are saved beside the records, and a relay publishes them",
            _ => "events are published after the records are saved, unless the member crashes in between",
        }
    }
}

/// What can be planted: each gives up something that keeps the money together.
const DEFECTS: [Defect<Design>; 3] = [
    Defect::<Design>::new(
        "DualWrite",
        "a member that crashes when it has saved and not yet published loses what it had to say",
        "EachTransferEnds",
        |design| design.publish = PublishMode::DualWrite,
    )
    .with_needs(Level::Crash)
    .with_known(0, 1)
    .with_scenarios(&["scenarios/zoo/transfer.toml"]),
    Defect::<Design>::new(
        "RefundOnTimeout",
        "a timeout is taken for a refusal: the credit is made as well, and the money is in both accounts",
        "MoneyConserved",
        |design| design.refunds_on_timeout = true,
    )
    .with_needs(Level::PerSubject)
    .with_known(9, 2)
    .with_scenarios(&["scenarios/zoo/transfer.toml"]),
    Defect::<Design>::new(
        "BooksTwice",
        "a debit that is delivered twice is booked twice",
        "MoneyConserved",
        |design| {
            design.books_blindly = true;
        },
    )
    .with_needs(Level::Duplicate)
    .with_known(8, 1)
    .with_scenarios(&["scenarios/zoo/transfer.toml"]),
];

/// A `[[record]]`: an account that a bank keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The account.
    pub account: RecordId,
    /// At which bank.
    pub bank: BankName,
    /// What is on it.
    pub balance: i64,
}

impl Stored<BankTransfers> for Opened {
    fn record(&self) -> RecordId {
        self.account
    }

    fn seed(&self, _: &Design, on: SimulationBuilder<BankTransfers>) -> SimulationBuilder<BankTransfers> {
        let Opened { account, bank, balance } = *self;
        on.seeded(bank.name(), move |store| {
            store.insert(account, Account::opened_with(balance)).expect("nothing is there yet");
        })
    }
}

impl Suite for BankTransfers {
    const NAME: &'static str = "bank-transfers";
    type Design = Design;
    type Workload = NoWorkload;
    type Stored = Opened;

    fn example() -> &'static str {
        "scenarios/refund-on-timeout.toml"
    }

    fn designs() -> Vec<Design> {
        [PublishMode::Outbox, PublishMode::DualWrite].map(|publish| Design { publish, ..Design::default() }).to_vec()
    }

    fn services(design: &Design) -> Services<BankTransfers> {
        let bank = |name| Bank { name, design: *design };
        Services::new().service(Transfers(*design)).service(bank(BankName::North)).service(bank(BankName::South))
    }

    fn properties(_: &Design) -> Vec<Box<dyn Property<BankTransfers>>> {
        properties::all()
    }

    fn sometimes(_: &Design, _: &TakingPart) -> Vec<Sometimes<BankTransfers>> {
        properties::sometimes()
    }

    fn defects() -> Vec<Defect<Design>> {
        DEFECTS.to_vec()
    }

    /// What a bank notes of a transfer has the transfer's id, and is no copy of it.
    fn display() -> Display {
        Display::USUAL.with_not_compared(&["debits", "credits"])
    }
}
