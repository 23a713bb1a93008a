//! What the records of a service were before each save, for those who are told what was there: kept if others ask it.

use super::by_id::ById;
use super::record::{Record, Versioned};
use crate::hash;
use crate::ids::RecordId;

/// For each record that was saved, what it was before each of its saves, oldest first: `None` where there was none.
#[derive(Debug)]
pub(super) struct Earlier<R> {
    rows: ById<Vec<Option<Versioned<R>>>>,
    /// The sum over the records of what each was before its last save: all that a stale answer is of.
    digest: u64,
}

impl<R> Default for Earlier<R> {
    fn default() -> Earlier<R> {
        Earlier { rows: ById::default(), digest: 0 }
    }
}

impl<R: Record> Clone for Earlier<R> {
    fn clone(&self) -> Earlier<R> {
        Earlier { rows: self.rows.clone(), ..*self }
    }
}

impl<R: Record> Earlier<R> {
    /// What a record was before each save.
    pub(super) fn of(&self, id: RecordId) -> &[Option<Versioned<R>>] {
        self.rows.get(R::KIND, id).map_or(&[], Vec::as_slice)
    }

    /// A record is saved that was this.
    #[cold]
    pub(super) fn push(&mut self, id: RecordId, before: Option<&Versioned<R>>) {
        let rows = self.rows.entry(R::KIND, id);
        let digest = latest(id, rows);
        rows.push(before.cloned());
        self.digest = self.digest.wrapping_sub(digest).wrapping_add(latest(id, rows));
    }

    /// Takes back what was saved of a record after so many saves.
    pub(super) fn truncate(&mut self, id: RecordId, len: impl FnOnce(usize) -> usize) {
        let rows = self.rows.entry(R::KIND, id);
        let digest = latest(id, rows);
        rows.truncate(len(rows.len()));
        self.digest = self.digest.wrapping_sub(digest).wrapping_add(latest(id, rows));
    }

    pub(super) fn clear(&mut self) {
        self.rows.values_mut().for_each(Vec::clear);
        self.digest = 0;
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// The digest, worked out anew.
    #[cfg(test)]
    pub(super) fn digest_anew(&self) -> u64 {
        self.rows.ids(R::KIND).fold(0, |sum: u64, id| sum.wrapping_add(latest(id, self.of(id))))
    }

    pub(super) fn heap_bytes(&self, changes: u64) -> u64 {
        self.rows.heap_bytes() + 4 * changes * size_of::<Option<Versioned<R>>>() as u64
    }
}

/// The hash of what a record was before its last save; 0 if it was never saved.
fn latest<R: Record>(id: RecordId, rows: &[Option<Versioned<R>>]) -> u64 {
    let digest = |before: &Option<Versioned<R>>| before.as_ref().map_or(0, Versioned::digest);
    rows.last().map_or(0, |before| hash::mix3(id.word(), digest(before), 1))
}
