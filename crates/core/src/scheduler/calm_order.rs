//! What is ready, in the order in which the calm run takes it: a priority queue with lazy deletion.
//!
//! Looking through all that is ready at each step makes a run quadratic in its messages; what was
//! offered is kept in order instead.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Action, CalmRank, Enabled, Tie};
use crate::broker::DeliveryIndex;

/// How many entries of deliveries that are not ready any more may lie around.
const SPARE: usize = 64;

/// The deliveries that were offered, by their ranks.
#[derive(Clone, Debug, Default)]
pub(super) struct CalmOrder {
    tie: Tie,
    /// What was offered and has no rank yet.
    fresh: Vec<DeliveryIndex>,
    /// What is not ready any more, or ready with another attempt, was overtaken by events.
    ranked: BinaryHeap<Reverse<(CalmRank, DeliveryIndex)>>,
}

impl CalmOrder {
    /// The order of the calm run that takes what could come in any order so.
    pub(super) fn with_tie(tie: Tie) -> CalmOrder {
        CalmOrder { tie, ..CalmOrder::default() }
    }

    /// Hears of an action; only deliveries are kept, of the rest there is never much.
    #[inline]
    pub(super) fn offer(&mut self, action: Action) {
        if let Action::Deliver(index) = action {
            self.fresh.push(index);
        }
    }

    /// The first delivery that is ready.
    pub(super) fn first(&mut self, enabled: &Enabled<'_>) -> Option<DeliveryIndex> {
        let CalmOrder { tie, fresh, ranked } = self;
        let rank = |index| Reverse((enabled.calm_rank(Action::Deliver(index), *tie), index));
        // Not `extend`, which makes ready for many.
        fresh.drain(..).for_each(|index| ranked.push(rank(index)));
        if ranked.len() > 2 * enabled.ready.len() + SPARE {
            ranked.clear();
            ranked.extend(enabled.ready.iter().copied().map(rank));
        }
        while let Some(Reverse(((.., attempt), index))) = ranked.peek() {
            // Of its rank nothing changes but the attempt.
            if enabled.has(Action::Deliver(*index)) && u32::from(enabled.delivery(*index).attempt) == *attempt {
                return Some(*index);
            }
            ranked.pop();
        }
        None
    }

    /// Takes what [`CalmOrder::first`] gave out of the order.
    pub(super) fn take_first(&mut self) {
        self.ranked.pop();
    }

    /// What the calm run does next: [`Enabled::calm`].
    pub(super) fn calm(&mut self, enabled: &Enabled<'_>) -> Option<Action> {
        let first = || self.first(enabled).map(Action::Deliver);
        enabled.calm_before_clock(|_| true, |_| false, first).or_else(|| enabled.clock.map(|_| Action::Advance))
    }
}
