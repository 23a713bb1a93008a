//! What accounts publishes and what clients ask it for.

use pellmell::prelude::*;

/// The deltas.
pub const ACCOUNT_MOVED: Subject = Subject::new("account:moved");
/// The snapshots.
pub const ACCOUNT_SNAPSHOT: Subject = Subject::new("account:snapshot");

/// What accounts publishes of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountEvent {
    /// On [`ACCOUNT_MOVED`]: by how much the balance differs from that of the version before.
    Moved {
        /// The account.
        account: RecordId,
        /// Its version after the movement.
        version: Version,
        /// How much more there is on it; less if negative.
        by: i64,
    },
    /// On [`ACCOUNT_SNAPSHOT`]: what the balance is.
    Snapshot {
        /// The account.
        account: RecordId,
        /// The version that has this balance.
        version: Version,
        /// The balance.
        balance: i64,
    },
}

impl Event for AccountEvent {
    fn subject(&self) -> Subject {
        match self {
            AccountEvent::Moved { .. } => ACCOUNT_MOVED,
            AccountEvent::Snapshot { .. } => ACCOUNT_SNAPSHOT,
        }
    }

    fn record(&self) -> RecordId {
        match *self {
            AccountEvent::Moved { account, .. } | AccountEvent::Snapshot { account, .. } => account,
        }
    }

    fn version(&self) -> Option<Version> {
        match *self {
            AccountEvent::Moved { version, .. } | AccountEvent::Snapshot { version, .. } => Some(version),
        }
    }
}

/// What a client asks accounts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AccountCommand {
    /// Opens an account with nothing on it.
    Open {
        /// The id it gets.
        account: RecordId,
    },
    /// Puts money on it.
    Deposit {
        /// The account.
        account: RecordId,
        /// How much.
        amount: i64,
    },
    /// Takes money from it, if there is enough.
    Withdraw {
        /// The account.
        account: RecordId,
        /// How much.
        amount: i64,
    },
}

impl Command for AccountCommand {
    fn service(&self) -> &'static str {
        "accounts"
    }

    fn record(&self) -> RecordId {
        match *self {
            AccountCommand::Open { account }
            | AccountCommand::Deposit { account, .. }
            | AccountCommand::Withdraw { account, .. } => account,
        }
    }

    fn creates(&self) -> Option<RecordId> {
        matches!(self, AccountCommand::Open { .. }).then(|| self.record())
    }

    fn needs(&self) -> Vec<RecordId> {
        vec![self.record()]
    }

    fn label(&self) -> String {
        match self {
            AccountCommand::Open { account } => format!("open {account}"),
            AccountCommand::Deposit { account, amount } => format!("deposit {amount} on {account}"),
            AccountCommand::Withdraw { account, amount } => format!("withdraw {amount} from {account}"),
        }
    }
}
