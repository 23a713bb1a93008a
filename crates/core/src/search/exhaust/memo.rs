//! Memoised transitions of deliveries and commands, and of judgements.
//!
//! A handler that gets the same event at the same state of its store answers, saves and publishes the
//! same. So most steps of a search change the state as an equal step did before in a world that differs
//! elsewhere, and the state after them is known before they are taken. An entry is used only after one
//! verification, and any transition to a new state is executed regardless, so a handler that keeps something
//! elsewhere than in its store is likely to be found out. A step is judged again unless an equal one was judged
//! where everything that the judgement looked at was the same.

use hashbrown::HashTable;

use crate::faults::Fate;
use crate::hash;
use crate::world::{DigestChange, Handling, LookedAt};

/// The cache key of a transition: a hash of all that a delivery or a command depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoKey(u64);

impl MemoKey {
    /// The key of what is handled with this fate.
    #[inline]
    pub(super) fn of(handling: Handling, fate: Fate) -> MemoKey {
        MemoKey(hash::mix(handling.known_by, fate.whole_word()))
    }

    /// The key of its judgement, where what it looks at has this hash.
    #[inline]
    pub(super) fn judged(self, looked_at: u64) -> JudgedKey {
        JudgedKey(hash::mix(self.0, looked_at))
    }
}

/// The cache key of a judgement: a hash of all that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JudgedKey(u64);

/// What a step changes of the digest, and whether the broker gets an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) change: DigestChange,
    pub(super) answers: bool,
}

/// The transitions and judgements that one worker has memoised. The tables' order never shows.
#[derive(Default)]
pub(super) struct Memo {
    entries: HashTable<MemoEntry>,
    judged: HashTable<u64>,
}

struct MemoEntry {
    key: MemoKey,
    transition: Transition,
    /// What the judgements of such steps looked at, all together.
    looked_at: LookedAt,
    /// Whether the same transition was seen a second time.
    is_verified: bool,
}

/// The same key had another transition: the handler is not a function of event and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

impl Memo {
    /// At most so many places are kept; then a table is emptied. Both take less than five MiB.
    const MOST: usize = 1 << 16;

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.judged.clear();
    }

    /// How many bytes the tables take.
    pub(super) fn bytes(&self) -> u64 {
        (self.entries.allocation_size() + self.judged.allocation_size()) as u64
    }

    /// The transition of a key, if it was verified, and what its judgements look at.
    #[inline]
    pub(super) fn find(&self, key: MemoKey) -> Option<(Transition, LookedAt)> {
        let entry = self.entries.find(key.0, |entry| entry.key == key)?;
        entry.is_verified.then_some((entry.transition, entry.looked_at))
    }

    /// Memoises the transition of a step that was executed, whose judgement looked at this; returns what the
    /// judgements of such steps look at.
    pub(super) fn insert(
        &mut self,
        key: MemoKey,
        transition: Transition,
        looked_at: LookedAt,
    ) -> Result<LookedAt, Contradiction> {
        if let Some(entry) = self.entries.find_mut(key.0, |entry| entry.key == key) {
            if entry.transition != transition {
                return Err(Contradiction);
            }
            entry.is_verified = true;
            entry.looked_at = entry.looked_at.and(looked_at);
            return Ok(entry.looked_at);
        }
        if self.entries.len() >= Memo::MOST * 7 / 8 {
            self.entries.clear();
        }
        let entry = MemoEntry { key, transition, looked_at, is_verified: false };
        self.entries.insert_unique(key.0, entry, |entry| entry.key.0);
        Ok(looked_at)
    }

    /// Whether a step with this key was judged.
    #[inline]
    pub(super) fn is_judged(&self, key: JudgedKey) -> bool {
        self.judged.find(key.0, |judged| *judged == key.0).is_some()
    }

    /// Notes that a step with this key was judged.
    pub(super) fn note_judged(&mut self, key: JudgedKey) {
        if !self.is_judged(key) {
            if self.judged.len() >= 2 * Memo::MOST * 7 / 8 {
                self.judged.clear();
            }
            self.judged.insert_unique(key.0, key.0, |judged| *judged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erratic::Erratic;
    use crate::prng::{Prng, Stream};
    use crate::run::step_apart;
    use crate::scheduler::Action;
    use crate::world::{World, erratic_simulation};

    /// Random walks through worlds of services that do anything; each step is compared with its memoised transition.
    #[test]
    fn a_memoised_transition_is_that_of_the_step() {
        let (mut hits, mut saved) = (0, 0);
        // Under the profile in which a delivery is answered in one go.
        for seed in (0..18).step_by(3) {
            let mut prng = Prng::new(seed, Stream::Workload);
            let mut memo = Memo::default();
            for _ in 0..400 {
                let mut world = erratic_simulation(seed).world();
                for _ in 0..40 {
                    let mark = world.mark();
                    let digest = world.noted_digest();
                    let enabled: Vec<_> = world.enabled().iter().collect();
                    if enabled.is_empty() {
                        break;
                    }
                    let late = enabled.iter().find(|action| matches!(action, Action::Join(_)));
                    let action = *late.unwrap_or(&enabled[prng.below(enabled.len() as u32) as usize]);
                    let chosen = world.chosen(action).filter(|_| prng.below(4) == 0);
                    let fate = chosen.map_or(Fate::CALM, |_| Fate::any(&mut prng, false));
                    let still = world.still(digest).filter(|_| fate.lets_through());
                    let known_by = still.and_then(|still| Some((still, world.handling(action)?)));
                    let words = world.describe(action);
                    let take = |world: &mut World<Erratic>| {
                        let step = step_apart(world, action, fate);
                        world.note_digests(&step);
                        step
                    };
                    let step = take(&mut world);
                    let digest = world.noted_digest();
                    let Some((before, handling)) = known_by.filter(|_| !world.read_beyond_store()) else { continue };
                    let key = MemoKey::of(handling, fate);
                    let change = world.change_since(&before, handling.service, digest);
                    let transition = change.map(|change| Transition { change, answers: step.acked().is_some() });
                    if let Some((known, _)) = memo.find(key) {
                        assert_eq!(Some(known), transition, "{words} with {fate:?}, seed {seed}");
                        world.rewind(mark);
                        let after = world.digest_after(&before, handling.service, known.change);
                        assert_eq!(after, digest, "{words} with {fate:?}, seed {seed}");
                        take(&mut world);
                        (hits, saved) = (hits + 1, saved + u32::from(step.saved()));
                    }
                    if let Some(transition) = transition {
                        let inserted = memo.insert(key, transition, LookedAt::default());
                        assert!(inserted.is_ok(), "{words} with {fate:?}, seed {seed}");
                    }
                }
            }
        }
        assert!(hits > 1_000 && saved > 300, "few cache hits: {hits}, {saved} of them saved");
    }

    const TRANSITION: Transition = Transition { change: DigestChange { store: 1, time: 0, sum: 2 }, answers: true };

    #[test]
    fn a_transition_is_used_after_one_verification() {
        let mut memo = Memo::default();
        let (key, looked_at) = (MemoKey(7), LookedAt::default());
        assert_eq!((memo.insert(key, TRANSITION, looked_at), memo.find(key)), (Ok(looked_at), None));
        let both = memo.insert(key, TRANSITION, looked_at);
        assert_eq!((both, memo.find(key)), (Ok(looked_at), Some((TRANSITION, looked_at))));
        let other = Transition { answers: false, ..TRANSITION };
        assert_eq!(memo.insert(key, other, looked_at), Err(Contradiction));
    }

    #[test]
    fn when_there_are_too_many_the_memo_is_emptied() {
        let mut memo = Memo::default();
        let key = |number| MemoKey(hash::mix(number, 1));
        let numbers = 0..2 * Memo::MOST as u64;
        for number in numbers.clone().flat_map(|number| [number; 2]) {
            assert!(memo.insert(key(number), TRANSITION, LookedAt::default()).is_ok());
            memo.note_judged(key(number).judged(7));
            assert!(memo.entries.capacity() <= Memo::MOST && memo.judged.capacity() <= 2 * Memo::MOST);
        }
        let ends = [numbers.start, numbers.end - 1].map(key);
        assert_eq!(ends.map(|key| memo.find(key).is_some()), [false, true]);
        assert_eq!(ends.map(|key| memo.is_judged(key.judged(7))), [false, true]);
        assert!(memo.bytes() < 5 << 20, "{}", memo.bytes());
    }
}
