//! What the orchestrator and the banks say to each other, and what clients ask for.

use pellmell::prelude::*;

pub(crate) const DEBIT_REQUESTED: Subject = Subject::new("debit:requested");
pub(crate) const DEBIT_DONE: Subject = Subject::new("debit:done");
pub(crate) const DEBIT_REFUSED: Subject = Subject::new("debit:refused");
pub(crate) const CREDIT_REQUESTED: Subject = Subject::new("credit:requested");
pub(crate) const CREDIT_WITHDRAWN: Subject = Subject::new("credit:withdrawn");
pub(crate) const CREDIT_DONE: Subject = Subject::new("credit:done");
pub(crate) const CREDIT_REFUSED: Subject = Subject::new("credit:refused");
pub(crate) const REFUND_REQUESTED: Subject = Subject::new("refund:requested");
pub(crate) const REFUND_DONE: Subject = Subject::new("refund:done");

/// A request of the orchestrator to a bank, or the bank's answer. Its subject says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BankEvent {
    /// What is asked for or was done.
    pub what: What,
    /// For which transfer.
    pub transfer: RecordId,
    /// On which account.
    pub account: RecordId,
    /// How much.
    pub amount: i64,
}

/// What a [`BankEvent`] asks for or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Take the amount from the account.
    DebitRequested,
    /// It was taken.
    DebitDone,
    /// There is too little.
    DebitRefused,
    /// Add the amount to the account.
    CreditRequested,
    /// Do not add it any more, unless it was added already.
    CreditWithdrawn,
    /// It was added.
    CreditDone,
    /// It was not added and never will be: the account is closed, or the request was withdrawn.
    CreditRefused,
    /// Give the debit back.
    RefundRequested,
    /// It was given back.
    RefundDone,
}

impl Event for BankEvent {
    fn subject(&self) -> Subject {
        match self.what {
            What::DebitRequested => DEBIT_REQUESTED,
            What::DebitDone => DEBIT_DONE,
            What::DebitRefused => DEBIT_REFUSED,
            What::CreditRequested => CREDIT_REQUESTED,
            What::CreditWithdrawn => CREDIT_WITHDRAWN,
            What::CreditDone => CREDIT_DONE,
            What::CreditRefused => CREDIT_REFUSED,
            What::RefundRequested => REFUND_REQUESTED,
            What::RefundDone => REFUND_DONE,
        }
    }

    fn record(&self) -> RecordId {
        self.transfer
    }

    /// Each of these is said once of a transfer.
    fn version(&self) -> Option<Version> {
        None
    }
}

/// A bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BankName {
    /// The one.
    North,
    /// The other.
    South,
}

impl BankName {
    /// The name of its service.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            BankName::North => "north",
            BankName::South => "south",
        }
    }
}

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BankCommand {
    /// A customer asks the orchestrator to move money.
    Transfer {
        /// The id the transfer gets.
        transfer: RecordId,
        /// The account that pays.
        from: RecordId,
        /// The account that is paid.
        to: RecordId,
        /// How much.
        amount: i64,
    },
    /// A bank's clerk closes an account: it takes no credits any more. What is on it stays.
    Close {
        /// The bank.
        bank: BankName,
        /// The account.
        account: RecordId,
    },
}

impl Command for BankCommand {
    fn service(&self) -> &'static str {
        match self {
            BankCommand::Transfer { .. } => "transfers",
            BankCommand::Close { bank, .. } => bank.name(),
        }
    }

    fn record(&self) -> RecordId {
        match *self {
            BankCommand::Transfer { transfer, .. } => transfer,
            BankCommand::Close { account, .. } => account,
        }
    }

    fn creates(&self) -> Option<RecordId> {
        match *self {
            BankCommand::Transfer { transfer, .. } => Some(transfer),
            BankCommand::Close { .. } => None,
        }
    }

    fn needs(&self) -> Vec<RecordId> {
        match *self {
            BankCommand::Transfer { from, to, .. } => vec![from, to],
            BankCommand::Close { account, .. } => vec![account],
        }
    }

    fn label(&self) -> String {
        match self {
            BankCommand::Transfer { transfer, from, to, amount } => {
                format!("transfer {amount} from {from} to {to} as {transfer}")
            }
            BankCommand::Close { account, .. } => format!("close {account}"),
        }
    }
}
