//! One collection of records: current rows, what the running step changed, the owner's history.

use std::any::Any;
use std::sync::Arc;

use crate::hash;
use crate::ids::{RecordId, Time, Version};

use super::by_id::{ById, Ids};
use super::earlier::Earlier;
use super::record::{Bump, DuplicateKey, Record, VersionConflict, VersionPolicy, VersionScheme, Versioned};
use super::{COLLECTION_BITS, heap_bytes_of};

/// What a change replaced. Kept for the running step, until the next save to the table, for every handler
/// that still reads from before it, and to go back to a mark.
#[derive(Debug)]
struct Replaced<R> {
    tick: u64,
    id: RecordId,
    before: Option<Versioned<R>>,
}

/// Tells a removal from a save in the hash of what a step saved.
const REMOVED: u64 = 0x7265_6d6f_7665;

/// What every save moves on, whichever table it goes to; a removal is one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Counts the changes ever made; a moment in the store's life.
    pub(super) tick: u64,
    /// The hash of what the running step saved.
    pub(super) saved: u64,
    /// The bits of the tables that the running step saved to.
    pub(super) collections: u64,
    /// Counts all saves, those that were taken back among them.
    pub(super) saves: u64,
    /// Whether there is a mark to go back to, so that nothing is forgotten.
    pub(super) is_marked: bool,
    /// Whether a record was ever removed.
    pub(super) has_removed: bool,
    /// Nobody reads as of a tick before this one.
    pub(super) read_since: u64,
    pub(super) now: Time,
}

/// Rows of one record type, addressed by record number or, if ids have a text, by that.
#[derive(Debug)]
pub(super) struct Table<R> {
    pub(super) policy: VersionPolicy,
    rows: ById<Option<Versioned<R>>>,
    replaced: Vec<Replaced<R>>,
    /// The sum of the rows' digests.
    rows_digest: u64,
    /// Every version the owner ever saved, per record; `None` for replicas.
    history: Option<ById<History<R>>>,
    /// The sum of the histories' digests. A row's digest has its record in it, so a sum tells records apart.
    history_digest: u64,
    /// What was saved since a quiescence was last judged.
    unjudged: Ids,
    /// What came to be among them since the first mark, by the number of the save.
    newly_unjudged: Vec<(u64, RecordId)>,
    /// The versions that were there from the beginning, by id.
    first: Option<Arc<[(RecordId, Version)]>>,
    /// What records were before each save, if others ask for them.
    earlier: Option<Box<Earlier<R>>>,
}

/// Every version of one record, and their digest.
#[derive(Debug)]
struct History<R> {
    versions: Vec<Versioned<R>>,
    digest: u64,
}

impl<R: Record> Clone for History<R> {
    fn clone(&self) -> History<R> {
        History { versions: self.versions.clone(), ..*self }
    }

    fn clone_from(&mut self, source: &History<R>) {
        self.versions.clone_from(&source.versions);
        self.digest = source.digest;
    }
}

impl<R> Default for History<R> {
    fn default() -> History<R> {
        History { versions: Vec::new(), digest: 0 }
    }
}

impl<R: Record> History<R> {
    /// Appends a version; returns by how much the digest grew.
    fn push(&mut self, version: Versioned<R>) -> u64 {
        let before = self.digest;
        self.digest = hash::mix(before, version.digest());
        self.versions.push(version);
        self.digest.wrapping_sub(before)
    }

    /// Leaves the first so many versions; returns by how much the digest grew.
    fn truncate(&mut self, len: usize) -> u64 {
        let before = self.digest;
        self.versions.truncate(len);
        self.digest = self.versions.iter().fold(0, |digest, version| hash::mix(digest, version.digest()));
        self.digest.wrapping_sub(before)
    }
}

impl<R: Record> Clone for Replaced<R> {
    fn clone(&self) -> Replaced<R> {
        Replaced { before: self.before.clone(), ..*self }
    }

    fn clone_from(&mut self, source: &Replaced<R>) {
        let Replaced { tick, id, before } = source;
        (self.tick, self.id) = (*tick, *id);
        self.before.clone_from(before);
    }
}

/// The copy has no marks.
impl<R: Record> Clone for Table<R> {
    fn clone(&self) -> Table<R> {
        let Table { policy, rows, replaced, history, unjudged, newly_unjudged: _, first, earlier, .. } = self;
        Table {
            policy: *policy,
            rows: rows.clone(),
            replaced: replaced.clone(),
            history: history.clone(),
            unjudged: unjudged.clone(),
            newly_unjudged: Vec::new(),
            first: first.clone(),
            earlier: earlier.clone(),
            ..*self
        }
    }

    fn clone_from(&mut self, source: &Table<R>) {
        let Table { policy, rows, replaced, history, unjudged, newly_unjudged: _, first, earlier, .. } = source;
        self.policy = *policy;
        (self.rows_digest, self.history_digest) = (source.rows_digest, source.history_digest);
        self.newly_unjudged.clear();
        self.rows.clone_from(rows);
        self.replaced.clone_from(replaced);
        self.history.clone_from(history);
        self.unjudged.clone_from(unjudged);
        self.first.clone_from(first);
        self.earlier.clone_from(earlier);
    }
}

impl<R: Record> Table<R> {
    /// A bit by what is known of the type, as a replica is often called what its owner's record is called;
    /// another table may have the same.
    pub(super) const BIT: u64 = 1 << (hash::mix(hash::of_name(R::COLLECTION), size_of::<R>() as u64) % COLLECTION_BITS);

    pub(super) fn new(policy: VersionPolicy, owned: bool) -> Table<R> {
        Table {
            policy,
            rows: ById::default(),
            replaced: Vec::new(),
            rows_digest: 0,
            history: owned.then(ById::default),
            history_digest: 0,
            unjudged: Ids::default(),
            newly_unjudged: Vec::new(),
            first: None,
            earlier: None,
        }
    }

    /// Whether its records are those of an owner, of which every version is kept.
    pub(super) fn is_owned(&self) -> bool {
        self.history.is_some()
    }

    /// Whether a version of a record was there from the beginning.
    pub(super) fn began_with(&self, id: RecordId, version: Version) -> bool {
        let first = self.first.as_deref().unwrap_or_default();
        first.binary_search(&(id, version)).is_ok()
    }

    /// The row as it is now. That of an id of another kind is nowhere, so only where none is the kind has
    /// to be looked at.
    #[inline]
    pub(super) fn live(&self, id: RecordId) -> Option<&Versioned<R>> {
        let Some(row) = self.rows.get(R::KIND, id) else {
            assert_kind::<R>(id);
            return None;
        };
        row.as_ref()
    }

    /// The row as it was when the store's change counter stood at `tick`, or as the running step, which
    /// began at `began`, has saved it since: whoever saves sees what it saved.
    #[cold]
    pub(super) fn as_of(&self, id: RecordId, tick: u64, began: u64) -> Option<&Versioned<R>> {
        if self.replaced.iter().rev().take_while(|replaced| replaced.tick >= began).any(|own| own.id == id) {
            return self.live(id);
        }
        match self.replaced.iter().find(|replaced| replaced.tick >= tick && replaced.id == id) {
            Some(replaced) => replaced.before.as_ref(),
            None => self.live(id),
        }
    }

    /// The row now, or as it was at `tick`.
    pub(super) fn at(&self, id: RecordId, tick: Option<u64>) -> Option<&Versioned<R>> {
        tick.map_or_else(|| self.live(id), |tick| self.as_of(id, tick, u64::MAX))
    }

    /// The row before its last save before now, or before `tick`; the row itself if it was not saved by then.
    pub(super) fn before(&self, id: RecordId, tick: Option<u64>) -> Option<&Versioned<R>> {
        let earlier = self.earlier.as_deref().map_or(&[][..], |earlier| earlier.of(id));
        let since = tick.map_or(0, |tick| self.replaced.iter().filter(|row| row.tick >= tick && row.id == id).count());
        match earlier.len().checked_sub(since + 1) {
            Some(place) => earlier[place].as_ref(),
            None => self.at(id, tick),
        }
    }

    /// Every id that has or had a row, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = RecordId> + '_ {
        self.rows.ids(R::KIND)
    }

    /// The ids that were saved since a quiescence was last judged, in order.
    pub(super) fn unjudged(&self) -> impl Iterator<Item = RecordId> + '_ {
        self.unjudged.iter(R::KIND)
    }

    pub(super) fn history(&self, id: RecordId) -> &[Versioned<R>] {
        let Some(histories) = &self.history else { return &[] };
        let Some(history) = histories.get(R::KIND, id) else {
            assert_kind::<R>(id);
            return &[];
        };
        &history.versions
    }

    /// Whether a save of `value` over `held` leaves the version as it is.
    pub(super) fn keeps_version(&self, held: &Versioned<R>, value: &R) -> bool {
        self.policy.bump == Bump::DirtyOnly && held.value == *value
    }

    /// The row as it is now, if its version is `expected`.
    #[inline]
    pub(super) fn current(&self, id: RecordId, expected: Version) -> Result<&Versioned<R>, VersionConflict> {
        let found = self.live(id);
        match found.filter(|row| row.version == expected) {
            Some(row) => Ok(row),
            None => Err(VersionConflict { expected, found: found.map(|row| row.version) }),
        }
    }

    /// Writes a row unless there is one.
    pub(super) fn insert(
        &mut self,
        id: RecordId,
        version: Version,
        value: R,
        progress: &mut Progress,
    ) -> Result<Version, DuplicateKey> {
        if self.live(id).is_some() {
            return Err(DuplicateKey(id));
        }
        self.put(id, version, None, value, progress);
        Ok(version)
    }

    /// Writes a row. The caller decided that it may.
    pub(super) fn put(
        &mut self,
        id: RecordId,
        version: Version,
        previous: Option<Version>,
        value: R,
        progress: &mut Progress,
    ) {
        if id.number_within(R::KIND) > RecordId::NUMBER_MAX {
            assert_kind::<R>(id);
        }
        let row = Versioned::new(id, version, previous, value);
        progress.saved = hash::mix(progress.saved, row.hash());
        if let Some(history) = &mut self.history {
            let grown = history.entry(R::KIND, id).push(row.clone());
            self.history_digest = self.history_digest.wrapping_add(grown);
        }
        self.change_to(id, Some(row), progress);
    }

    /// Removes the row that is there if it meets a condition, and returns it. The history keeps what it was.
    pub(super) fn remove(
        &mut self,
        id: RecordId,
        condition: impl FnOnce(&R) -> bool,
        progress: &mut Progress,
    ) -> Option<Versioned<R>> {
        let removed = self.live(id).filter(|row| condition(&row.value))?.clone();
        progress.saved = hash::mix3(progress.saved, removed.hash(), REMOVED);
        progress.has_removed = true;
        self.change_to(id, None, progress);
        Some(removed)
    }

    /// Puts a row, or nothing, in the place of what is there, and notes what it replaced.
    #[inline(always)]
    fn change_to(&mut self, id: RecordId, row: Option<Versioned<R>>, progress: &mut Progress) {
        let before = self.replace(id, row);
        if let Some(earlier) = &mut self.earlier {
            earlier.push(id, before.as_ref());
        }
        let is_new = self.unjudged.insert(R::KIND, id);
        if progress.is_marked {
            self.newly_unjudged.extend(is_new.then_some((progress.saves, id)));
        } else {
            self.forget_before(progress.read_since);
        }
        self.replaced.push(Replaced { tick: progress.tick, id, before });
        progress.collections |= Table::<R>::BIT;
        progress.tick += 1;
        progress.saves += 1;
    }

    /// Puts a row in the place of another one, which is returned.
    #[inline]
    fn replace(&mut self, id: RecordId, row: Option<Versioned<R>>) -> Option<Versioned<R>> {
        let digest = |row: &Option<Versioned<R>>| row.as_ref().map_or(0, Versioned::digest);
        let after = digest(&row);
        let before = std::mem::replace(self.rows.entry(R::KIND, id), row);
        self.rows_digest = self.rows_digest.wrapping_add(after).wrapping_sub(digest(&before));
        before
    }

    /// Takes versions out of a record's history until there are so many.
    fn truncate_history(&mut self, id: RecordId, len: impl FnOnce(usize) -> usize) {
        if let Some(history) = &mut self.history {
            let history = history.entry(R::KIND, id);
            let grown = history.truncate(len(history.versions.len()));
            self.history_digest = self.history_digest.wrapping_add(grown);
        }
    }

    /// Forgets what was replaced before `tick`.
    #[inline]
    fn forget_before(&mut self, tick: u64) {
        // Nearly always nobody reads the past, and all of it goes.
        if self.replaced.last().is_none_or(|last| last.tick < tick) {
            return self.replaced.clear();
        }
        let forgotten = self.replaced.partition_point(|replaced| replaced.tick < tick);
        self.replaced.drain(..forgotten);
    }

    /// The changes since `tick`: id, row before, row after.
    #[inline]
    pub(super) fn changes(&self, tick: u64) -> Changes<'_, R> {
        // A step changes little, and what was replaced before is kept only for handlers that pause.
        let before = self.replaced.iter().rposition(|replaced| replaced.tick < tick);
        Changes { table: Some(self), left: &self.replaced[before.map_or(0, |place| place + 1)..] }
    }
}

/// Changes of a table, in their order.
pub(super) struct Changes<'a, R> {
    /// `None` if there are none.
    table: Option<&'a Table<R>>,
    left: &'a [Replaced<R>],
}

impl<R> Default for Changes<'_, R> {
    fn default() -> Self {
        Changes { table: None, left: &[] }
    }
}

impl<'a, R: Record> Iterator for Changes<'a, R> {
    type Item = Change<'a, R>;

    #[inline]
    fn next(&mut self) -> Option<Change<'a, R>> {
        let (replaced, later) = self.left.split_first()?;
        self.left = later;
        let after = match later.iter().find(|later| later.id == replaced.id) {
            Some(later) => later.before.as_ref(),
            None => self.table?.live(replaced.id),
        };
        Some(Change { id: replaced.id, before: replaced.before.as_ref(), after })
    }
}

/// One save or removal: what the row was and what it became.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a, R> {
    /// The record.
    pub id: RecordId,
    /// The row before; `None` if the save inserted it.
    pub before: Option<&'a Versioned<R>>,
    /// The row after; `None` if it was removed.
    pub after: Option<&'a Versioned<R>>,
}

/// A row in words, for timelines and traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowText {
    /// The collection's name.
    pub collection: &'static str,
    /// The record.
    pub id: RecordId,
    /// Its version; the last one that it had, if it was removed.
    pub version: Version,
    /// Its fields as a JSON object; what they were, if it was removed.
    pub fields: serde_json::Value,
    /// Whether it was removed.
    pub removed: bool,
}

/// What the store does with a table without knowing its record type.
pub(super) trait AnyTable: Any + Send + Sync {
    fn clone_box(&self) -> Box<dyn AnyTable>;
    /// Becomes a copy of another table, if that has the same type.
    fn copy_from(&mut self, source: &dyn AnyTable) -> bool;
    fn clear(&mut self);
    /// Notes that what it has is what it begins with.
    fn begins(&mut self);
    /// Whether the time of a save decides its version.
    fn saves_by_time(&self) -> bool;
    /// Whether there is a row of this id now.
    fn holds(&self, id: RecordId) -> bool;
    /// Notes that a quiescence was judged.
    fn judged(&mut self);
    /// Takes back every change since `tick`.
    fn roll_back(&mut self, tick: u64);
    /// Goes back to the moment of a mark: to `tick`, before so many saves.
    fn rewind(&mut self, tick: u64, saves: u64);
    /// Forgets all marks.
    fn unmark(&mut self);
    /// Makes one row what it is in the same table at an earlier moment, if the collection has this name.
    fn put_back(&mut self, collection: &str, id: RecordId, earlier: &dyn AnyTable);
    /// The hash of the rows as they are now.
    fn rows_digest(&self) -> u64;
    /// The hash of every version the owner ever saved, and of what rows were before their last save if that is kept.
    fn history_digest(&self) -> u64;
    /// Keeps what rows were before each save from now on.
    fn keep_earlier(&mut self);
    /// Both hashes, worked out anew.
    #[cfg(test)]
    fn digests_anew(&self) -> (u64, u64);
    /// What the table has taken of the heap at most, where so many changes were ever made.
    fn heap_bytes(&self, changes: u64) -> u64;
    fn texts(&self) -> Vec<RowText>;
    fn changed_texts(&self, tick: u64) -> Vec<RowText>;
}

impl<R: Record> AnyTable for Table<R> {
    fn clone_box(&self) -> Box<dyn AnyTable> {
        Box::new(self.clone())
    }

    fn copy_from(&mut self, source: &dyn AnyTable) -> bool {
        let source = (source as &dyn Any).downcast_ref::<Table<R>>();
        source.is_some_and(|source| {
            self.clone_from(source);
            true
        })
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.replaced.clear();
        self.newly_unjudged.clear();
        // Keeps the inner vectors: a world is reset once per run.
        let histories = self.history.iter_mut().flat_map(ById::values_mut);
        histories.for_each(|history| {
            history.versions.clear();
            history.digest = 0;
        });
        (self.rows_digest, self.history_digest) = (0, 0);
        self.earlier.iter_mut().for_each(|earlier| earlier.clear());
        self.unjudged.clear();
        self.first = None;
    }

    fn begins(&mut self) {
        self.replaced.clear();
        self.earlier.iter_mut().for_each(|earlier| earlier.clear());
        let first: Vec<_> = self.ids().filter_map(|id| Some((id, self.live(id)?.version))).collect();
        self.first = (!first.is_empty()).then(|| first.into());
    }

    fn saves_by_time(&self) -> bool {
        matches!(self.policy.scheme, VersionScheme::Timestamp { .. })
    }

    fn holds(&self, id: RecordId) -> bool {
        self.rows.get(R::KIND, id).is_some_and(Option::is_some)
    }

    fn judged(&mut self) {
        self.unjudged.clear();
    }

    fn roll_back(&mut self, tick: u64) {
        while let Some(replaced) = self.replaced.pop_if(|last| last.tick >= tick) {
            // A removal has added no version.
            if self.live(replaced.id).is_some() {
                self.truncate_history(replaced.id, |len| len - 1);
            }
            self.earlier.iter_mut().for_each(|earlier| earlier.truncate(replaced.id, |len| len.saturating_sub(1)));
            self.replace(replaced.id, replaced.before);
        }
    }

    fn rewind(&mut self, tick: u64, saves: u64) {
        self.roll_back(tick);
        while let Some((_, id)) = self.newly_unjudged.pop_if(|(save, _)| *save >= saves) {
            self.unjudged.remove(R::KIND, id);
        }
    }

    fn unmark(&mut self) {
        self.newly_unjudged.clear();
    }

    fn put_back(&mut self, collection: &str, id: RecordId, earlier: &dyn AnyTable) {
        let earlier = (earlier as &dyn Any).downcast_ref::<Table<R>>().filter(|_| collection == R::COLLECTION);
        let Some(earlier) = earlier else { return };
        self.replace(id, earlier.live(id).cloned());
        self.truncate_history(id, |_| earlier.history(id).len());
        if let Some((own, kept)) = self.earlier.as_mut().zip(earlier.earlier.as_ref()) {
            own.truncate(id, |_| kept.of(id).len());
        }
    }

    fn rows_digest(&self) -> u64 {
        self.rows_digest
    }

    fn history_digest(&self) -> u64 {
        self.earlier.as_ref().map_or(self.history_digest, |earlier| hash::mix(self.history_digest, earlier.digest()))
    }

    fn keep_earlier(&mut self) {
        self.earlier.get_or_insert_default();
    }

    #[cfg(test)]
    fn digests_anew(&self) -> (u64, u64) {
        let rows = self.rows.values().flatten().fold(0, |sum: u64, row| sum.wrapping_add(row.digest()));
        let histories = self.history.iter().flat_map(ById::values);
        let digest_of =
            |history: &History<R>| history.versions.iter().fold(0, |hash, row| hash::mix(hash, row.digest()));
        let histories = histories.fold(0, |sum: u64, history| sum.wrapping_add(digest_of(history)));
        (rows, self.earlier.as_ref().map_or(histories, |earlier| hash::mix(histories, earlier.digest_anew())))
    }

    fn heap_bytes(&self, changes: u64) -> u64 {
        // A list of one version has room for four.
        let versions = 4 * changes * size_of::<Versioned<R>>() as u64;
        let history = self.history.as_ref().map_or(0, |history| history.heap_bytes() + versions);
        let earlier = self.earlier.as_ref().map_or(0, |earlier| earlier.heap_bytes(changes));
        self.rows.heap_bytes() + heap_bytes_of(&self.replaced) + history + earlier + self.unjudged.heap_bytes()
    }

    fn texts(&self) -> Vec<RowText> {
        if !R::IS_SHOWN {
            return Vec::new();
        }
        self.ids().filter_map(|id| self.live(id).map(|row| text(id, row, false))).collect()
    }

    fn changed_texts(&self, tick: u64) -> Vec<RowText> {
        if !R::IS_SHOWN {
            return Vec::new();
        }
        let of = |Change { id, before, after }: Change<'_, R>| Some(text(id, after.or(before)?, after.is_none()));
        self.changes(tick).filter_map(of).collect()
    }
}

#[cold]
fn assert_kind<R: Record>(id: RecordId) {
    assert!(id.kind() == R::KIND, "ids in `{}` start with `{}`, not `{}`", R::COLLECTION, R::KIND, id.kind());
}

fn text<R: Record>(id: RecordId, row: &Versioned<R>, removed: bool) -> RowText {
    let fields = serde_json::to_value(&row.value).unwrap_or_else(|error| error.to_string().into());
    RowText { collection: R::COLLECTION, id, version: row.version, fields, removed }
}
