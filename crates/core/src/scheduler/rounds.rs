//! Rounds: everything pending is handed out once before anything is handed out again.
//!
//! Within a round the newest message goes first, which is the worst order for a consumer that
//! needs versions one after the other. It is the schedule under which redelivery can be counted.

use std::collections::BTreeSet;

use super::{Action, Enabled, Scheduler};
use crate::broker::DeliveryIndex;

/// Sends all commands, then delivers round by round, newest first.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    /// What was ready when the round began and has not had its turn.
    round: BTreeSet<DeliveryIndex>,
    rounds: u32,
}

impl Rounds {
    /// How many rounds have begun.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }
}

impl Scheduler for Rounds {
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        if let Some(client) = enabled.commands().iter().min() {
            return Action::Command(*client);
        }
        loop {
            while let Some(index) = self.round.pop_last() {
                if enabled.has(Action::Deliver(index)) {
                    return Action::Deliver(index);
                }
            }
            self.round.extend(enabled.ready());
            if self.round.is_empty() {
                return enabled.calm().expect("a scheduler is asked only when something may happen");
            }
            self.rounds += 1;
        }
    }

    fn in_rounds(&self) -> bool {
        true
    }
}
