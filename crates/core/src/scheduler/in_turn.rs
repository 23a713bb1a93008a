//! Clients that send in turn.
//!
//! In what order clients that know nothing of each other come is up to chance, but most orders of four
//! clients are such that most of their requests are refused, and nothing of interest happens; and who
//! writes clients down has an order in mind in which they are not. So half of the seeds keep the
//! order of the calm run among clients: one sends when those before it have nothing left to send.
//! A quarter goes round: one sends when none has sent less. What else happens between two commands
//! is drawn all the same.

use std::collections::BTreeMap;

use super::{Action, Chosen, ClientIndex, Enabled, Offer, Scheduler};
use crate::faults::Fate;
use crate::prng::{Prng, Stream};

/// How clients take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turns {
    /// Not at all.
    None,
    /// Each sends all it has.
    Whole,
    /// Each sends one command.
    Single,
}

/// Lets another scheduler hear of one client at a time, for three quarters of the seeds.
#[derive(Clone, Debug)]
pub struct InTurn<T> {
    scheduler: T,
    turns: Turns,
    /// The commands that it was not offered yet, by the number of turns their clients had.
    waiting: BTreeMap<(u32, ClientIndex), Offer>,
    /// By client, how many turns it had.
    had: Vec<u32>,
    /// Whether it was offered one that was not sent yet.
    has_offer: bool,
}

impl<T: Scheduler> InTurn<T> {
    /// The scheduler with its clients in turn if `seed` says so.
    #[must_use]
    pub fn new(seed: u64, scheduler: T) -> InTurn<T> {
        let turns = [Turns::None, Turns::Whole, Turns::Whole, Turns::Single];
        let turns = turns[Prng::new(seed, Stream::Clients).below(4) as usize];
        InTurn { scheduler, turns, waiting: BTreeMap::new(), had: Vec::new(), has_offer: false }
    }
}

impl<T: Scheduler> Scheduler for InTurn<T> {
    fn offer(&mut self, offer: Offer) {
        match offer.action {
            Action::Command(client) if self.turns != Turns::None => {
                if client.get() >= self.had.len() {
                    self.had.resize(client.get() + 1, 0);
                }
                let had = &mut self.had[client.get()];
                self.waiting.insert((*had, client), offer);
                *had += u32::from(self.turns == Turns::Single);
            }
            _ => self.scheduler.offer(offer),
        }
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        if !self.has_offer
            && let Some((_, offer)) = self.waiting.pop_first()
        {
            self.has_offer = true;
            self.scheduler.offer(offer);
        }
        let action = self.scheduler.pick(enabled);
        self.has_offer &= !matches!(action, Action::Command(_));
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        self.scheduler.fate(chosen)
    }
}
