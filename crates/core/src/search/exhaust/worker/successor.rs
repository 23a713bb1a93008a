//! The state a step leads to: from a memoised transition, or by executing the step.

use super::super::memo::{Contradiction, MemoKey, Transition};
use super::super::too_slow;
use super::{Stop, Worker, failing};
use crate::event::System;
use crate::faults::Fate;
use crate::run::Verdict;
use crate::scheduler::Action;
use crate::service::Outcome;
use crate::world::{Answer, Digest, Handling, LookedAt, Step};

/// The state a step leads to.
#[derive(Clone, Copy)]
pub(super) struct Successor {
    pub(super) key: u64,
    pub(super) digest: Digest,
    /// Whether the broker gets an answer.
    pub(super) answers: bool,
    /// Whether its handler looked at more than its store.
    pub(super) read_beyond_store: bool,
    /// Whether the step was executed, and not only looked up: the world is there, and the worker has the step.
    pub(super) is_executed: bool,
    /// Whether it need not be judged: an equal step was.
    pub(super) is_judged: bool,
    /// What decides it and its cache key, if it has one.
    memo: Option<(Handling, MemoKey)>,
    /// What to memoise of it once it was judged.
    to_memoise: Option<Transition>,
}

impl<S: System> Worker<'_, '_, S> {
    /// Where a step leads: by its memoised transition if there is one, or else it is executed.
    #[inline]
    pub(super) fn successor(&mut self, action: Action, fate: Fate) -> Successor {
        let memo = self.memo_key(action, fate);
        memo.and_then(|memo| self.memoised(memo)).unwrap_or_else(|| self.execute(action, fate, memo))
    }

    /// Where a step with this cache key leads, if its transition was memoised.
    #[inline]
    fn memoised(&self, (handling, memo_key): (Handling, MemoKey)) -> Option<Successor> {
        let still = self.frames[self.depth].still.as_ref()?;
        let (transition, looked_at) = self.memo.find(memo_key)?;
        let digest = self.world.digest_after(still, handling.service, transition.change);
        let judged = memo_key.judged(self.world.looked_at(still, handling, looked_at));
        Some(Successor {
            // Where transitions are memoised it is all that tells states apart.
            key: digest.word(),
            digest,
            answers: transition.answers,
            read_beyond_store: false,
            is_executed: false,
            is_judged: self.memo.is_judged(judged),
            memo: Some((handling, memo_key)),
            to_memoise: None,
        })
    }

    /// The cache key of a step, if it has one here.
    #[inline]
    fn memo_key(&self, action: Action, fate: Fate) -> Option<(Handling, MemoKey)> {
        self.frames[self.depth].still?;
        let handling = self.world.handling(action).filter(|_| fate.lets_through())?;
        Some((handling, MemoKey::of(handling, fate)))
    }

    /// Executes a step.
    fn execute(&mut self, action: Action, fate: Fate, memo: Option<(Handling, MemoKey)>) -> Successor {
        let before = self.frames[self.depth].still;
        let step = self.take(action, fate);
        let read_beyond_store = self.world.read_beyond_store();
        if self.is_marking && read_beyond_store {
            self.marks.couple("a handler looks at the time, at the attempt or into its memory");
        }
        let (digest, answers) = (self.world.noted_digest(), answers(&step));
        let known = before.zip(memo).filter(|_| !read_beyond_store);
        let to_memoise = known.and_then(|(before, (handling, _))| {
            let change = self.world.change_since(&before, handling.service, digest)?;
            Some(Transition { change, answers })
        });
        self.step = Some(step);
        let (key, is_executed) = (self.key(digest), true);
        Successor { key, digest, answers, read_beyond_store, is_executed, is_judged: false, memo, to_memoise }
    }

    /// Executes a step whose memoised transition leads to the state with this key.
    pub(super) fn execute_memoised(
        &mut self,
        action: Action,
        fate: Fate,
        memoised: Successor,
    ) -> Result<Successor, Stop> {
        let Successor { key, is_judged, memo, .. } = memoised;
        let successor = self.execute(action, fate, memo);
        if successor.key != key {
            return Err(not_a_function());
        }
        Ok(Successor { is_judged, ..successor })
    }

    /// Judges a step that was executed, and memoises its transition and the judgement if that depends on stores
    /// and time alone.
    pub(super) fn judge(&mut self, successor: &Successor) -> Result<(), Stop> {
        let is_asked = successor.is_executed && !successor.is_judged;
        let Some(step) = self.step.as_ref().filter(|_| is_asked) else { return Ok(()) };
        if let Some(stuck) = too_slow(&self.world) {
            return Err(failing(stuck));
        }
        let looked_at = self.judges.on_step_noting(&self.world, step).map_err(failing)?;
        if looked_at.is_further() { Ok(()) } else { self.memoise(successor, Some(looked_at)) }
    }

    /// Memoises the transition of a step that was executed, and, if it was judged, the judgement, which looked at
    /// this.
    pub(super) fn memoise(&mut self, successor: &Successor, judged: Option<LookedAt>) -> Result<(), Stop> {
        let Some(((handling, memo_key), transition)) = successor.memo.zip(successor.to_memoise) else { return Ok(()) };
        let inserted = self.memo.insert(memo_key, transition, judged.unwrap_or_default());
        let looked_at = inserted.map_err(|Contradiction| not_a_function())?;
        if let Some(still) = self.frames[self.depth].still.filter(|_| judged.is_some()) {
            let key = memo_key.judged(self.world.looked_at(&still, handling, looked_at));
            self.memo.note_judged(key);
        }
        Ok(())
    }
}

/// The verdict on a handler that is no function of event and store.
fn not_a_function() -> Stop {
    let message = "a handler that was handed the same event at the same state of its store did not do the same: \
                   what it keeps elsewhere, such as a counter or a cache, belongs into the store";
    Stop::Failing(Box::new(Verdict::Panicked { message: message.to_owned() }))
}

/// Whether the broker gets an answer by a step, or may get one when the handler is done.
fn answers(step: &Step) -> bool {
    matches!(step.answer, Some(Answer::Delivery(Outcome::Ack | Outcome::Nak { .. }) | Answer::Works))
}
