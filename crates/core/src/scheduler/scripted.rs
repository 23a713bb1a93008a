//! Replay of moves.

use super::calm_order::CalmOrder;
use super::{Action, Chosen, Enabled, Move, Offer, Scheduler};
use crate::faults::Fate;

/// Plays recorded steps, and then the calm order.
///
/// The steps name actions by their places in the world they were recorded in, so they fit that world
/// and those of the same simulation alone. A step that is not enabled is skipped: it handed out a
/// delivery that changes nothing, which a run does only once.
#[derive(Clone, Debug)]
pub struct Scripted {
    steps: std::vec::IntoIter<Move>,
    fate: Fate,
    order: CalmOrder,
}

impl Scripted {
    /// Plays these steps.
    #[must_use]
    pub fn new(steps: Vec<Move>) -> Scripted {
        Scripted { steps: steps.into_iter(), fate: Fate::CALM, order: CalmOrder::default() }
    }
}

impl Scheduler for Scripted {
    fn offer(&mut self, offer: Offer) {
        self.order.offer(offer.action);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let is_enabled = |action: &Action| match action {
            Action::Deliver(index) => enabled.deliveries.get(index.get()).is_some_and(|delivery| delivery.is_ready()),
            action => enabled.has(*action),
        };
        match self.steps.find(|step| is_enabled(&step.action)) {
            Some(Move { action, fate }) => {
                self.fate = fate;
                action
            }
            None => {
                self.fate = Fate::CALM;
                self.order.calm(enabled).expect("a scheduler is asked only when something may happen")
            }
        }
    }

    fn fate(&mut self, _chosen: &Chosen) -> Fate {
        self.fate
    }
}
