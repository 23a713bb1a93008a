//! What must be true of the copies.

use pellmell::prelude::*;

use crate::accounts::Account;
use crate::balances::Balance;
use crate::{AccountEvent, ReadModel};

/// All properties, the most telling first.
#[must_use]
pub fn all() -> Vec<Box<dyn Property<ReadModel>>> {
    vec![
        Box::new(OnceTrue),
        Box::new(NeverOlder),
        testing::at_quiescence("BalancesConverged", balances_converged),
        Box::new(NoPoison),
    ]
}

/// What the read model should meet in some run.
#[must_use]
pub fn sometimes() -> Vec<Sometimes<ReadModel>> {
    let is_snapshot = |view: &View<'_, ReadModel>| {
        view.delivery().is_some_and(|(_, message)| matches!(message.event, AccountEvent::Snapshot { .. }))
    };
    vec![
        Sometimes::new("StartsLate", "the read model starts from a snapshot that is not the first", move |view| {
            is_snapshot(view)
                && view
                    .changes::<Balance>()
                    .any(|change| change.before.is_none() && change.after.is_some_and(|after| after.version.0 > 0))
        }),
        Sometimes::new("Skips", "a snapshot replaces deltas that did not come", move |view| {
            is_snapshot(view)
                && view.changes::<Balance>().any(|change| match (change.before, change.after) {
                    (Some(before), Some(after)) => after.version.0 > before.version.0 + 1,
                    _ => false,
                })
        }),
    ]
}

/// Each copy is what the account was in the version that the copy says.
#[derive(Clone, Copy, Debug)]
pub struct OnceTrue;

impl Property<ReadModel> for OnceTrue {
    fn name(&self) -> &'static str {
        "OnceTrue"
    }

    fn about(&self) -> &'static str {
        "a copy is what its account was in that version"
    }

    fn watches(&self) -> Watch {
        Watch::SAVES
    }

    fn on_step(&self, view: &View<'_, ReadModel>) -> Result<(), Violation> {
        for change in view.changes::<Balance>() {
            let Some(copy) = change.after else { continue };
            let was = view.store_of("accounts").at_version::<Account>(change.id, copy.version);
            let was = was.map(|account| account.balance);
            if was != Some(copy.balance) {
                let detail = format!("{} as of version {}, when it was {was:?}", copy.balance, copy.version);
                return Err(Violation::at(view.service()).of(change.id).because(detail));
            }
        }
        Ok(())
    }
}

/// A copy is never replaced by an older one.
#[derive(Clone, Copy, Debug)]
pub struct NeverOlder;

impl Property<ReadModel> for NeverOlder {
    fn name(&self) -> &'static str {
        "NeverOlder"
    }

    fn about(&self) -> &'static str {
        "a copy is never replaced by an older one"
    }

    fn watches(&self) -> Watch {
        Watch::SAVES
    }

    fn on_step(&self, view: &View<'_, ReadModel>) -> Result<(), Violation> {
        for change in view.changes::<Balance>() {
            if let (Some(before), Some(after)) = (change.before, change.after)
                && after.version < before.version
            {
                let detail = format!("version {} over version {}", after.version, before.version);
                return Err(Violation::at(view.service()).of(change.id).because(detail));
            }
        }
        Ok(())
    }
}

/// Whenever nothing is under way, each account has a copy, and it is right.
fn balances_converged(moment: &Moment<'_, ReadModel>) -> Result<(), Violation> {
    moment.judge_copies("accounts", "balances", |account: &Versioned<Account>, copy: Option<&Versioned<Balance>>| {
        let found = copy.map(|copy| copy.balance);
        (found != Some(account.balance)).then(|| format!("expected {}, found {found:?}", account.balance))
    })
}
