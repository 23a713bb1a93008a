//! The accounts service: owns the accounts and publishes deltas and snapshots of them.

use pellmell::prelude::*;

use crate::ReadModel;
use crate::messages::{AccountCommand, AccountEvent};

/// Of how many versions one is published as a snapshot, too; the first one, 0, is.
pub const SNAPSHOT_EVERY: u64 = 3;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Account {
    /// What is on it.
    pub balance: i64,
}

impl Record for Account {
    const COLLECTION: &'static str = "accounts";
    const KIND: char = 'a';
}

/// The accounts service.
#[derive(Clone, Copy, Debug)]
pub struct Accounts;

type Ctx<'a> = Context<'a, ReadModel>;

impl Service<ReadModel> for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Account>(VersionPolicy::EVERY_SAVE);
    }

    fn execute(&self, command: &AccountCommand, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        match *command {
            AccountCommand::Open { account } => {
                let inserted = ctx.store.insert(account, Account { balance: 0 });
                let version = inserted.map_err(|_| Rejection { status: 409, reason: "the account exists" })?;
                publish_snapshot(account, version, 0, ctx);
                Ok(())
            }
            AccountCommand::Deposit { account, amount } => change(account, amount, ctx),
            AccountCommand::Withdraw { account, amount } => change(account, -amount, ctx),
        }
    }
}

/// Changes a balance and publishes by how much, and with some versions what it is now.
fn change(account: RecordId, by: i64, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
    let held = ctx.store.find::<Account>(account).cloned();
    let held = held.ok_or(Rejection { status: 404, reason: "no such account" })?;
    let balance = held.balance + by;
    if balance < 0 {
        return Err(Rejection { status: 400, reason: "there is too little on the account" });
    }
    let saved = ctx.store.save_if_current(account, Account { balance }, held.version);
    let version = saved.map_err(|_| Rejection { status: 409, reason: "the account has changed" })?;
    ctx.publish(AccountEvent::Moved { account, version, by });
    publish_snapshot(account, version, balance, ctx);
    Ok(())
}

fn publish_snapshot(account: RecordId, version: Version, balance: i64, ctx: &mut Ctx<'_>) {
    if version.0.is_multiple_of(SNAPSHOT_EVERY) {
        ctx.publish(AccountEvent::Snapshot { account, version, balance });
    }
}
