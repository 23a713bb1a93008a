//! The balances service: the read model.

use pellmell::prelude::*;

use crate::messages::{ACCOUNT_MOVED, ACCOUNT_SNAPSHOT, AccountEvent};
use crate::{Design, ReadModel};

/// A copy of an account's balance. It has the version of the account that it is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Balance {
    /// What is on the account.
    pub balance: i64,
}

impl Record for Balance {
    const COLLECTION: &'static str = "balances";
    const KIND: char = 'a';
}

/// The balances service.
#[derive(Clone, Copy, Debug)]
pub struct Balances(pub Design);

impl Service<ReadModel> for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Balance>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ACCOUNT_MOVED, ACCOUNT_SNAPSHOT] }
    }

    /// Places a message by its version, as the table in the crate's documentation says.
    fn handle(&self, event: &AccountEvent, ctx: &mut Context<'_, ReadModel>) -> Outcome {
        let id = match *event {
            AccountEvent::Moved { account, .. } | AccountEvent::Snapshot { account, .. } => account,
        };
        let held = ctx.store.find::<Balance>(id).cloned();
        let (balance, version) = match (*event, &held) {
            (AccountEvent::Moved { .. }, None) if self.0.drops_early_deltas => return Outcome::Ack,
            (AccountEvent::Moved { .. }, None) => return Outcome::nak("no snapshot yet"),
            (AccountEvent::Moved { version, by, .. }, Some(held)) => {
                let is_covered = version <= held.version;
                if is_covered && !self.0.applies_covered_deltas {
                    return Outcome::Ack;
                }
                if version.0 > held.version.0 + 1 {
                    return Outcome::nak("a version is missing");
                }
                (held.balance + by, version.max(held.version))
            }
            (AccountEvent::Snapshot { version, .. }, Some(held))
                if version <= held.version && !self.0.takes_old_snapshots =>
            {
                return Outcome::Ack;
            }
            (AccountEvent::Snapshot { version, balance, .. }, _) => (balance, version),
        };
        // The copy is saved as the version it is a copy of, on the condition that no other member saved one.
        let saved = match held {
            None => ctx.store.insert_as(id, Balance { balance }, version).is_ok(),
            Some(held) => ctx.store.save_as(id, Balance { balance }, held.version, version).is_ok(),
        };
        if saved { Outcome::Ack } else { Outcome::nak("another member was faster") }
    }
}
