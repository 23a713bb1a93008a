//! What handlers have done outside of the stores, which nothing takes back.

use std::collections::BTreeSet;

use crate::service::Outside;

/// What was done, in the order in which it was.
#[derive(Clone, Debug, Default)]
pub(super) struct DoneOutside {
    done: Vec<Outside>,
    /// Those that have an idempotency key, by name and key.
    keys: BTreeSet<(&'static str, &'static str)>,
    /// The sum over what was done: in which order it was makes no other state.
    digest: u64,
    /// How much was done before the last step that did anything.
    before: usize,
}

impl DoneOutside {
    /// Whether whoever is asked for this does nothing, because that was done.
    fn is_repeated(&self, outside: &Outside) -> bool {
        outside.key().is_some_and(|key| self.keys.contains(&(outside.name(), key)))
    }

    /// A step does this; says whether any of it is new.
    pub(super) fn add(&mut self, all: impl Iterator<Item = Outside>) -> bool {
        let before = self.done.len();
        for outside in all {
            if self.is_repeated(&outside) {
                continue;
            }
            self.keys.extend(outside.key().map(|key| (outside.name(), key)));
            self.digest = self.digest.wrapping_add(outside.digest());
            self.done.push(outside);
        }
        let is_new = self.done.len() > before;
        if is_new {
            self.before = before;
        }
        is_new
    }

    /// Goes back to a moment at which so much was done.
    pub(super) fn rewind(&mut self, (done, before): (usize, usize)) {
        for outside in self.done.drain(done..) {
            self.digest = self.digest.wrapping_sub(outside.digest());
            if let Some(key) = outside.key() {
                self.keys.remove(&(outside.name(), key));
            }
        }
        self.before = before;
    }

    /// This moment, to go back to.
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.done.len(), self.before)
    }

    pub(super) fn clear(&mut self) {
        self.rewind((0, 0));
    }

    /// All that was done.
    pub(super) fn all(&self) -> &[Outside] {
        &self.done
    }

    /// What the last step did that did anything.
    pub(super) fn latest(&self) -> &[Outside] {
        &self.done[self.before..]
    }

    /// The hash of what was done; 0 if nothing was.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }
}
