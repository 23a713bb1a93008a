//! The state a step leads to: from a memoised transition, or by executing the step.

use super::super::memo::{Contradiction, MemoKey, Transition};
use super::{Stop, Worker, failing};
use crate::event::System;
use crate::faults::Fate;
use crate::run::Verdict;
use crate::scheduler::Action;
use crate::service::Outcome;
use crate::world::{Answer, Step, Still};

/// The state a step leads to.
pub(super) struct Successor {
    pub(super) key: u64,
    /// Whether the broker gets an answer.
    pub(super) answers: bool,
    /// The step; `None` if its transition was memoised and it was not executed.
    pub(super) step: Option<Step>,
    /// What to memoise of it once it was judged.
    to_memoise: Option<(MemoKey, Transition)>,
}

impl<S: System> Worker<'_, '_, S> {
    /// Where a step leads by its memoised transition, if there is one.
    #[inline]
    pub(super) fn memoised(&self, action: Action, fate: Fate) -> Option<Successor> {
        let still = self.frames[self.depth].still?;
        let memo_key = self.memo_key(still, action, fate)?;
        let transition = self.memo.find(memo_key)?;
        let key = transition.after(still.digest).word();
        Some(Successor { key, answers: transition.answers, step: None, to_memoise: None })
    }

    /// The cache key of a step.
    #[inline]
    fn memo_key(&self, still: Still, action: Action, fate: Fate) -> Option<MemoKey> {
        let known_by = self.world.known_by(action)?;
        fate.lets_through().then(|| MemoKey::of(still, known_by, fate))
    }

    /// Executes a step.
    pub(super) fn execute(&mut self, action: Action, fate: Fate) -> Successor {
        let still = self.frames[self.depth].still;
        let memo_key = still.and_then(|still| Some((still, self.memo_key(still, action, fate)?)));
        let step = self.step(action, fate);
        let read_beyond_store = self.world.read_beyond_store();
        if self.is_marking && read_beyond_store {
            self.marks.couple("a handler looks at the time, at the attempt or into its memory");
        }
        let (digest, answers) = (self.world.noted_digest(), answers(&step));
        let to_memoise = memo_key.filter(|_| !read_beyond_store).and_then(|(before, memo_key)| {
            let after = self.world.still(digest).filter(|after| after.has_only_handled(&before))?;
            Some((memo_key, Transition::of(before.digest, after.digest, answers)))
        });
        Successor { key: self.key(digest), answers, step: Some(step), to_memoise }
    }

    /// Executes a step whose memoised transition leads to a new state, the one with this key.
    pub(super) fn execute_memoised(&mut self, action: Action, fate: Fate, key: u64) -> Result<Successor, Stop> {
        let successor = self.execute(action, fate);
        if successor.key != key {
            return Err(not_a_function());
        }
        self.judge(&successor)?;
        Ok(successor)
    }

    /// Judges a step that was executed, and memoises its transition if the judgement depends on stores and
    /// time alone: then an equal step need not be judged again.
    pub(super) fn judge(&mut self, successor: &Successor) -> Result<(), Stop> {
        let Some(step) = &successor.step else { return Ok(()) };
        match self.judges.on_step_noting(&self.world, step).map_err(failing)? {
            true => Ok(()),
            false => self.memoise(successor),
        }
    }

    /// Memoises the transition of a step that was executed.
    pub(super) fn memoise(&mut self, successor: &Successor) -> Result<(), Stop> {
        let Some((memo_key, transition)) = successor.to_memoise else { return Ok(()) };
        self.memo.insert(memo_key, transition).map_err(|Contradiction| not_a_function())
    }
}

/// The verdict on a handler that is no function of event and store.
fn not_a_function() -> Stop {
    let message = "a handler that was handed the same event at the same state of its store did not do the same: \
                   what it keeps elsewhere, such as a counter or a cache, belongs into the store";
    Stop::Failing(Box::new(Verdict::Panicked { message: message.to_owned() }))
}

/// Whether the broker gets an answer by a step.
fn answers(step: &Step) -> bool {
    matches!(step.answer, Some(Answer::Delivery(Outcome::Ack | Outcome::Nak { .. })))
}
