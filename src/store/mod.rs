//! The durable store of one service: typed collections with optimistic concurrency control.
//!
//! A handler reads records and saves them on the condition that nobody saved in between. To let
//! two handlers really race, reads can be answered as of an earlier moment ([`Store::open_at`]),
//! while saves always meet the present: that is what a handler sees that read, was slow, and
//! saves now. The store also keeps what the running step changed, which the properties judge, and
//! every version an owner ever saved, which replicas are compared with.

mod record;
mod table;

use std::any::{Any, TypeId};
use std::fmt;

use crate::hash;
use crate::ids::{RecordId, Time, Version};

pub use record::{Bump, DuplicateKey, Record, VersionConflict, VersionPolicy, VersionScheme, Versioned};
use table::{AnyTable, Table};
pub use table::{Change, RowText};

/// Collects the collections a service declares.
#[derive(Default)]
pub struct Schema {
    tables: Vec<(TypeId, Box<dyn AnyTable>)>,
}

impl Schema {
    /// Declares a collection whose records this service alone changes; its history is kept.
    pub fn owns<R: Record>(&mut self, policy: VersionPolicy) -> &mut Schema {
        self.declare::<R>(policy, true)
    }

    /// Declares a collection of replicas or of private notes.
    pub fn keeps<R: Record>(&mut self, policy: VersionPolicy) -> &mut Schema {
        self.declare::<R>(policy, false)
    }

    fn declare<R: Record>(&mut self, policy: VersionPolicy, owned: bool) -> &mut Schema {
        let type_id = TypeId::of::<R>();
        assert!(
            self.tables.iter().all(|(known, _)| *known != type_id),
            "collection `{}` is declared twice",
            R::COLLECTION
        );
        self.tables.push((type_id, Box::new(Table::<R>::new(policy, owned))));
        self
    }

    pub(crate) fn into_store(self) -> Store {
        Store { tables: self.tables, tick: 0, step_began: 0, read_at: None, now: Time(0) }
    }
}

/// The collections of one service.
///
/// # Panics
/// Every method panics if the record type was not declared in
/// [`Service::collections`](crate::Service::collections), or if an id has another kind's letter.
pub struct Store {
    tables: Vec<(TypeId, Box<dyn AnyTable>)>,
    /// Counts the changes ever made; a moment in the store's life.
    tick: u64,
    step_began: u64,
    /// Answers reads as of this tick instead of the present.
    read_at: Option<u64>,
    now: Time,
}

impl Clone for Store {
    fn clone(&self) -> Store {
        let tables = self.tables.iter().map(|(type_id, table)| (*type_id, table.clone_box())).collect();
        Store { tables, ..*self }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.texts()).finish()
    }
}

impl Store {
    /// Finds a record.
    #[must_use]
    #[inline]
    pub fn find<R: Record>(&self, id: RecordId) -> Option<&Versioned<R>> {
        let table = self.table::<R>();
        match self.read_at {
            None => table.live(id),
            Some(tick) => table.as_of(id, tick),
        }
    }

    /// All records of a collection, by id.
    pub fn all<R: Record>(&self) -> impl Iterator<Item = (RecordId, &Versioned<R>)> {
        self.table::<R>().ids().filter_map(|id| self.find::<R>(id).map(|row| (id, row)))
    }

    /// Inserts a record with the first version of the collection's scheme.
    ///
    /// # Errors
    /// If the key is taken.
    pub fn insert<R: Record>(&mut self, id: RecordId, value: R) -> Result<Version, DuplicateKey> {
        let version = self.table::<R>().policy.scheme.next(id, None, self.now);
        self.insert_as(id, value, version)
    }

    /// Inserts a record as `version`, whatever the scheme says: for versions copied from an event.
    ///
    /// # Errors
    /// If the key is taken.
    pub fn insert_as<R: Record>(&mut self, id: RecordId, value: R, version: Version) -> Result<Version, DuplicateKey> {
        if self.table::<R>().live(id).is_some() {
            return Err(DuplicateKey(id));
        }
        self.put(id, version, None, value);
        Ok(version)
    }

    /// Inserts a record unless one that exists at this very moment forbids it: a unique constraint.
    ///
    /// # Errors
    /// The id of the record that forbids it, or the id itself if it is taken.
    pub fn insert_unless<R: Record>(
        &mut self,
        id: RecordId,
        value: R,
        forbids: impl Fn(&R) -> bool,
    ) -> Result<Version, DuplicateKey> {
        let table = self.table::<R>();
        let other = table.ids().find(|other| table.live(*other).is_some_and(|row| forbids(row)));
        match other {
            Some(other) => Err(DuplicateKey(other)),
            None => self.insert(id, value),
        }
    }

    /// Saves a record if its version is still `expected`, and returns the new version.
    ///
    /// # Errors
    /// If the version is another one or the record does not exist; nothing is written.
    pub fn save_if_current<R: Record>(
        &mut self,
        id: RecordId,
        value: R,
        expected: Version,
    ) -> Result<Version, VersionConflict> {
        let table = self.table::<R>();
        let held = Store::current(table, id, expected)?;
        if table.keeps_version(held, &value) {
            return Ok(expected);
        }
        let version = table.policy.scheme.next(id, Some(expected), self.now);
        self.put(id, version, Some(expected), value);
        Ok(version)
    }

    /// Saves a record as `version` if its version is still `expected`: for versions copied from an
    /// event instead of counted.
    ///
    /// # Errors
    /// If the version is another one or the record does not exist; nothing is written.
    pub fn save_as<R: Record>(
        &mut self,
        id: RecordId,
        value: R,
        expected: Version,
        version: Version,
    ) -> Result<Version, VersionConflict> {
        Store::current(self.table::<R>(), id, expected)?;
        self.put(id, version, Some(expected), value);
        Ok(version)
    }

    /// Saves a record without looking: the last writer wins. `read` is what the writer based its
    /// value on, and the version is counted from there.
    pub fn overwrite<R: Record>(&mut self, id: RecordId, value: R, read: Option<Version>) -> Version {
        let version = self.table::<R>().policy.scheme.next(id, read, self.now);
        self.put(id, version, read, value);
        version
    }

    fn current<R: Record>(table: &Table<R>, id: RecordId, expected: Version) -> Result<&Versioned<R>, VersionConflict> {
        let found = table.live(id);
        match found.filter(|row| row.version == expected) {
            Some(row) => Ok(row),
            None => Err(VersionConflict { expected, found: found.map(|row| row.version) }),
        }
    }

    fn put<R: Record>(&mut self, id: RecordId, version: Version, previous: Option<Version>, value: R) {
        let tick = self.tick;
        self.tick += 1;
        self.table_mut::<R>().put(id, version, previous, value, tick);
    }

    #[inline]
    fn table<R: Record>(&self) -> &Table<R> {
        let type_id = TypeId::of::<R>();
        let table = self.tables.iter().find(|(known, _)| *known == type_id);
        let (_, table) = table.unwrap_or_else(|| undeclared::<R>());
        (table.as_ref() as &dyn Any).downcast_ref().unwrap_or_else(|| undeclared::<R>())
    }

    #[inline]
    fn table_mut<R: Record>(&mut self) -> &mut Table<R> {
        let type_id = TypeId::of::<R>();
        let table = self.tables.iter_mut().find(|(known, _)| *known == type_id);
        let (_, table) = table.unwrap_or_else(|| undeclared::<R>());
        (table.as_mut() as &mut dyn Any).downcast_mut().unwrap_or_else(|| undeclared::<R>())
    }
}

/// What properties and reports ask.
impl Store {
    /// Whether the service declared a collection of this type.
    #[must_use]
    pub fn has<R: Record>(&self) -> bool {
        self.tables.iter().any(|(known, _)| *known == TypeId::of::<R>())
    }

    /// Every version of an owned record, oldest first; empty for replicas.
    #[must_use]
    pub fn history<R: Record>(&self, id: RecordId) -> &[Versioned<R>] {
        self.table::<R>().history(id)
    }

    /// The place of `version` in an owned record's history.
    #[must_use]
    pub fn position<R: Record>(&self, id: RecordId, version: Version) -> Option<usize> {
        let history = self.history::<R>(id);
        let counted =
            usize::try_from(version.0).ok().filter(|at| history.get(*at).is_some_and(|row| row.version == version));
        counted.or_else(|| history.iter().rposition(|row| row.version == version))
    }

    /// The saves of the step that just ran.
    pub fn changes<R: Record>(&self) -> impl Iterator<Item = Change<'_, R>> {
        self.table::<R>().changes(self.step_began)
    }

    /// Whether the step that just ran saved anything.
    #[must_use]
    #[inline]
    pub fn changed(&self) -> bool {
        self.tick > self.step_began
    }

    /// Every row in words, by collection and id.
    #[must_use]
    pub fn texts(&self) -> Vec<RowText> {
        self.tables.iter().flat_map(|(_, table)| table.texts()).collect()
    }

    /// The rows the step that just ran saved, in words.
    #[must_use]
    pub fn changed_texts(&self) -> Vec<RowText> {
        self.tables.iter().flat_map(|(_, table)| table.changed_texts(self.step_began)).collect()
    }

    /// The hash of all rows.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.tables.iter().fold(0, |hash, (_, table)| hash::mix(hash, table.digest()))
    }
}

/// What the world does around a handler.
impl Store {
    pub(crate) fn clear(&mut self) {
        self.tables.iter_mut().for_each(|(_, table)| table.clear());
        (self.tick, self.step_began, self.read_at) = (0, 0, None);
    }

    /// Starts a step. `oldest_read` is the tick of the oldest handler that still reads from the
    /// past: what was replaced before it and before now is forgotten.
    #[inline]
    pub(crate) fn begin_step(&mut self, now: Time, oldest_read: Option<u64>) {
        self.now = now;
        if self.tick > 0 && self.step_began < self.tick {
            let keep = oldest_read.unwrap_or(self.tick);
            self.tables.iter_mut().for_each(|(_, table)| table.forget_before(keep));
        }
        self.step_began = self.tick;
    }

    /// The present, to be read as of later.
    pub(crate) fn tick(&self) -> u64 {
        self.tick
    }

    /// Answers reads as of `tick` until [`Store::close`].
    pub(crate) fn open_at(&mut self, tick: u64) {
        self.read_at = Some(tick);
    }

    /// Answers reads from the present again.
    pub(crate) fn close(&mut self) {
        self.read_at = None;
    }

    /// Takes back what the running step saved.
    pub(crate) fn roll_back(&mut self) {
        let began = self.step_began;
        self.tables.iter_mut().for_each(|(_, table)| table.roll_back(began));
        self.tick = began;
    }

    /// Folds what the running step saved into a hash.
    #[inline]
    pub(crate) fn fold_changes(&self, hash: u64) -> u64 {
        if !self.changed() {
            return hash;
        }
        self.tables.iter().fold(hash, |hash, (_, table)| table.fold_changes(self.step_began, hash))
    }
}

#[cold]
fn undeclared<R: Record>() -> ! {
    panic!("collection `{}` was not declared in Service::collections", R::COLLECTION)
}

#[cfg(test)]
mod tests;
