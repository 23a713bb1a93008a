//! Generated clients: owners that open an account each and move money on it.

use pellmell::prelude::*;
use pellmell::prng::{Prng, Stream};
use pellmell::scenario;

use crate::AccountCommand;

/// A `[workload]`: so many accounts, and how often each owner deposits or withdraws something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Movements {
    /// How many accounts; each has an owner of its own.
    pub accounts: u32,
    /// How often each owner moves money after the account is open.
    pub movements: u32,
}

impl scenario::Workload<AccountCommand> for Movements {
    fn clients(&self, seed: u64) -> Vec<Client<AccountCommand>> {
        let mut prng = Prng::new(seed, Stream::Workload);
        let mut owner = |number| {
            let account = RecordId::new('a', number);
            let mut commands = vec![AccountCommand::Open { account }];
            for _ in 0..self.movements {
                let (is_deposit, amount) = (prng.below(3) > 0, i64::from(1 + prng.below(50)));
                commands.push(match is_deposit {
                    true => AccountCommand::Deposit { account, amount },
                    false => AccountCommand::Withdraw { account, amount },
                });
            }
            Client { name: format!("owner-{number}"), commands: commands.into_iter().map(Sending::from).collect() }
        };
        (1..=self.accounts).map(&mut owner).collect()
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match self.accounts {
            1..=100 => Ok(()),
            _ => Err(("accounts", "a workload has from 1 to 100 accounts".to_owned())),
        }
    }
}
