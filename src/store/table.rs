//! One collection of records: current rows, what the running step changed, the owner's history.

use std::any::Any;

use crate::hash;
use crate::ids::{RecordId, Version};

use super::record::{Bump, Record, VersionPolicy, Versioned};

/// What a change replaced. Kept for the running step and for every handler that still reads from
/// before it.
#[derive(Clone, Debug)]
struct Replaced<R> {
    tick: u64,
    id: RecordId,
    before: Option<Versioned<R>>,
}

/// Rows of one record type, addressed by record number.
#[derive(Clone, Debug)]
pub(super) struct Table<R> {
    pub(super) policy: VersionPolicy,
    rows: Vec<Option<Versioned<R>>>,
    replaced: Vec<Replaced<R>>,
    /// Every version the owner ever saved, per record; `None` for replicas.
    history: Option<Vec<Vec<Versioned<R>>>>,
    digest: u64,
}

impl<R: Record> Table<R> {
    pub(super) fn new(policy: VersionPolicy, owned: bool) -> Table<R> {
        Table { policy, rows: Vec::new(), replaced: Vec::new(), history: owned.then(Vec::new), digest: 0 }
    }

    fn row_index(id: RecordId) -> usize {
        assert_eq!(id.kind(), R::KIND, "ids in `{}` start with `{}`", R::COLLECTION, R::KIND);
        id.number() as usize
    }

    /// The row as it is now.
    pub(super) fn live(&self, id: RecordId) -> Option<&Versioned<R>> {
        self.rows.get(Table::<R>::row_index(id))?.as_ref()
    }

    /// The row as it was when the store's change counter stood at `tick`.
    pub(super) fn as_of(&self, id: RecordId, tick: u64) -> Option<&Versioned<R>> {
        match self.replaced.iter().find(|replaced| replaced.tick >= tick && replaced.id == id) {
            Some(replaced) => replaced.before.as_ref(),
            None => self.live(id),
        }
    }

    /// Every id that has or had a row, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = RecordId> + '_ {
        (0..self.rows.len()).map(|number| RecordId::new(R::KIND, number as u32))
    }

    pub(super) fn history(&self, id: RecordId) -> &[Versioned<R>] {
        let histories = self.history.as_deref().unwrap_or_default();
        histories.get(Table::<R>::row_index(id)).map_or(&[], Vec::as_slice)
    }

    /// Whether a save of `value` over `held` leaves the version as it is.
    pub(super) fn keeps_version(&self, held: &Versioned<R>, value: &R) -> bool {
        self.policy.bump == Bump::DirtyOnly && held.value == *value
    }

    /// Writes a row. The caller decided that it may.
    pub(super) fn put(&mut self, id: RecordId, version: Version, previous: Option<Version>, value: R, tick: u64) {
        let index = Table::<R>::row_index(id);
        if index >= self.rows.len() {
            self.rows.resize_with(index + 1, || None);
        }
        let row = Versioned::new(id, version, previous, value);
        self.digest = self.digest.wrapping_add(row.hash());
        if let Some(history) = &mut self.history {
            if index >= history.len() {
                history.resize_with(index + 1, Vec::new);
            }
            history[index].push(row.clone());
        }
        let before = self.rows[index].replace(row);
        if let Some(before) = &before {
            self.digest = self.digest.wrapping_sub(before.hash());
        }
        self.replaced.push(Replaced { tick, id, before });
    }

    /// The changes since `tick`: id, row before, row after.
    pub(super) fn changes(&self, tick: u64) -> impl Iterator<Item = Change<'_, R>> {
        let first = self.replaced.partition_point(|replaced| replaced.tick < tick);
        self.replaced[first..].iter().enumerate().map(move |(offset, replaced)| {
            let later = self.replaced[first + offset + 1..].iter().find(|later| later.id == replaced.id);
            let after = match later {
                Some(later) => later.before.as_ref(),
                None => self.live(replaced.id),
            };
            Change { id: replaced.id, before: replaced.before.as_ref(), after }
        })
    }
}

/// One save: what the row was and what it became.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a, R> {
    /// The record.
    pub id: RecordId,
    /// The row before; `None` if the save inserted it.
    pub before: Option<&'a Versioned<R>>,
    /// The row after.
    pub after: Option<&'a Versioned<R>>,
}

/// A row in words, for timelines and traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowText {
    /// The collection's name.
    pub collection: &'static str,
    /// The record.
    pub id: RecordId,
    /// Its version.
    pub version: Version,
    /// Its fields as a JSON object.
    pub fields: serde_json::Value,
}

/// What the store does with a table without knowing its record type.
pub(super) trait AnyTable: Any + Send + Sync {
    fn clone_box(&self) -> Box<dyn AnyTable>;
    fn clear(&mut self);
    /// Forgets what was replaced before `tick`.
    fn forget_before(&mut self, tick: u64);
    /// Takes back every change since `tick`.
    fn roll_back(&mut self, tick: u64);
    fn digest(&self) -> u64;
    /// Folds the hashes of the rows changed since `tick` into `hash`.
    fn fold_changes(&self, tick: u64, hash: u64) -> u64;
    fn texts(&self) -> Vec<RowText>;
    fn changed_texts(&self, tick: u64) -> Vec<RowText>;
}

impl<R: Record> AnyTable for Table<R> {
    fn clone_box(&self) -> Box<dyn AnyTable> {
        Box::new(self.clone())
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.replaced.clear();
        // Keeps the inner vectors: a world is reset once per run.
        self.history.iter_mut().flatten().for_each(Vec::clear);
        self.digest = 0;
    }

    fn forget_before(&mut self, tick: u64) {
        if self.replaced.last().is_some_and(|last| last.tick < tick) {
            self.replaced.clear();
        } else {
            self.replaced.retain(|replaced| replaced.tick >= tick);
        }
    }

    fn roll_back(&mut self, tick: u64) {
        while let Some(replaced) = self.replaced.pop_if(|last| last.tick >= tick) {
            let index = Table::<R>::row_index(replaced.id);
            if let Some(history) = &mut self.history {
                history[index].pop();
            }
            if let Some(row) = &self.rows[index] {
                self.digest = self.digest.wrapping_sub(row.hash());
            }
            if let Some(before) = &replaced.before {
                self.digest = self.digest.wrapping_add(before.hash());
            }
            self.rows[index] = replaced.before;
        }
    }

    fn digest(&self) -> u64 {
        self.digest
    }

    fn fold_changes(&self, tick: u64, hash: u64) -> u64 {
        if self.replaced.last().is_none_or(|last| last.tick < tick) {
            return hash;
        }
        self.changes(tick).filter_map(|change| change.after).fold(hash, |hash, row| hash::mix(hash, row.hash()))
    }

    fn texts(&self) -> Vec<RowText> {
        self.ids().filter_map(|id| self.live(id).map(|row| text(id, row))).collect()
    }

    fn changed_texts(&self, tick: u64) -> Vec<RowText> {
        self.changes(tick).filter_map(|change| change.after.map(|row| text(change.id, row))).collect()
    }
}

fn text<R: Record>(id: RecordId, row: &Versioned<R>) -> RowText {
    let fields = serde_json::to_value(&row.value).unwrap_or_else(|error| error.to_string().into());
    RowText { collection: R::COLLECTION, id, version: row.version, fields }
}
