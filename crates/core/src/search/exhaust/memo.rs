//! Memoised transitions of deliveries and commands.
//!
//! A handler that gets the same event at the same state of its store answers, saves and publishes the
//! same. So most steps of a search change the state as an equal step did before in a world that differs
//! elsewhere, and the state after them is known before they are taken. An entry is used only after one
//! verification, and any transition to a new state is executed and judged regardless, so a handler that
//! keeps something elsewhere than in its store is likely to be found out.

use hashbrown::HashTable;

use crate::faults::Fate;
use crate::hash;
use crate::world::{Digest, Still};

/// The cache key of a transition: a hash of all that a delivery or a command depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoKey(u64);

impl MemoKey {
    /// The key of the delivery or command with the hash `known_by` (see `World::known_by`) and this fate.
    #[inline]
    pub(super) fn of(before: Still, known_by: u64, fate: Fate) -> MemoKey {
        MemoKey(hash::mix3(before.decides(), known_by, fate.word()))
    }
}

/// What a step changes of the digest: the parts that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    /// The hash of all stores.
    stores: u64,
    /// By how much the sum grows.
    sum: u64,
    /// Whether the broker gets an answer.
    pub(super) answers: bool,
}

impl Transition {
    pub(super) fn of(before: Digest, after: Digest, answers: bool) -> Transition {
        Transition { stores: after.stores, sum: after.sum.wrapping_sub(before.sum), answers }
    }

    /// The digest after such a step in another world.
    #[inline]
    pub(super) fn after(self, before: Digest) -> Digest {
        Digest { stores: self.stores, sum: before.sum.wrapping_add(self.sum), rest: before.rest }
    }
}

/// The transitions that one worker has memoised. The table's order never shows.
#[derive(Default)]
pub(super) struct Memo {
    entries: HashTable<MemoEntry>,
}

/// A key and its transition; a word less than with a [`Transition`] in it.
struct MemoEntry {
    key: MemoKey,
    stores: u64,
    sum: u64,
    answers: bool,
    /// Whether the same transition was seen a second time.
    is_verified: bool,
}

impl MemoEntry {
    #[inline]
    fn transition(&self) -> Transition {
        Transition { stores: self.stores, sum: self.sum, answers: self.answers }
    }
}

/// The same key had another transition: the handler is not a function of event and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contradiction;

impl Memo {
    /// At most so many places are kept; then it is emptied. Their table takes two MiB.
    const MOST: usize = 1 << 16;

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many bytes the table takes.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.allocation_size() as u64
    }

    /// The transition of a key, if it was verified.
    #[inline]
    pub(super) fn find(&self, key: MemoKey) -> Option<Transition> {
        let entry = self.entries.find(key.0, |entry| entry.key == key)?;
        entry.is_verified.then(|| entry.transition())
    }

    /// Memoises the transition of a step that was executed.
    pub(super) fn insert(&mut self, key: MemoKey, transition: Transition) -> Result<(), Contradiction> {
        if let Some(entry) = self.entries.find_mut(key.0, |entry| entry.key == key) {
            if entry.transition() != transition {
                return Err(Contradiction);
            }
            entry.is_verified = true;
            return Ok(());
        }
        if self.entries.len() >= Memo::MOST * 7 / 8 {
            self.clear();
        }
        let Transition { stores, sum, answers } = transition;
        let entry = MemoEntry { key, stores, sum, answers, is_verified: false };
        self.entries.insert_unique(key.0, entry, |entry| entry.key.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::{Prng, Stream};
    use crate::run::step_apart;
    use crate::scheduler::Action;
    use crate::world::erratic_simulation;

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
                world.mark();
                for _ in 0..40 {
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
                    let known_by = still.and_then(|still| Some((still, world.known_by(action)?)));
                    let words = world.describe(action);
                    let step = step_apart(&mut world, action, fate);
                    world.note_digests(step.actor.filter(|_| step.saved()).map(|actor| actor.service));
                    let digest = world.noted_digest();
                    let Some((before, known_by)) = known_by.filter(|_| !world.read_beyond_store()) else { continue };
                    let key = MemoKey::of(before, known_by, fate);
                    let after = world.still(digest).filter(|after| after.has_only_handled(&before));
                    let transition =
                        after.map(|after| Transition::of(before.digest, after.digest, step.acked().is_some()));
                    if let Some(known) = memo.find(key) {
                        assert_eq!(Some(known), transition, "{words} with {fate:?}, seed {seed}");
                        assert_eq!(known.after(before.digest), digest, "{words} with {fate:?}, seed {seed}");
                        (hits, saved) = (hits + 1, saved + u32::from(step.saved()));
                    }
                    if let Some(transition) = transition {
                        assert_eq!(memo.insert(key, transition), Ok(()), "{words} with {fate:?}, seed {seed}");
                    }
                }
            }
        }
        assert!(hits > 1_000 && saved > 300, "few cache hits: {hits}, {saved} of them saved");
    }

    #[test]
    fn a_transition_is_used_after_one_verification() {
        let mut memo = Memo::default();
        let (key, transition) = (MemoKey(7), Transition { stores: 1, sum: 2, answers: true });
        assert_eq!((memo.insert(key, transition), memo.find(key)), (Ok(()), None));
        assert_eq!((memo.insert(key, transition), memo.find(key)), (Ok(()), Some(transition)));
        assert_eq!(memo.insert(key, Transition { answers: false, ..transition }), Err(Contradiction));
    }

    #[test]
    fn when_there_are_too_many_the_memo_is_emptied() {
        let mut memo = Memo::default();
        let transition = Transition { stores: 1, sum: 2, answers: true };
        let key = |number| MemoKey(hash::mix(number, 1));
        let numbers = 0..2 * Memo::MOST as u64;
        for number in numbers.clone().flat_map(|number| [number; 2]) {
            assert_eq!(memo.insert(key(number), transition), Ok(()));
            assert!(memo.entries.capacity() <= Memo::MOST);
        }
        let ends = [numbers.start, numbers.end - 1].map(|number| memo.find(key(number)));
        assert_eq!(ends, [None, Some(transition)]);
    }
}
