//! The durable store of one service: typed collections with optimistic concurrency control.
//!
//! A handler reads records and saves them on the condition that nobody saved in between. To let
//! two handlers really race, reads can be answered as of an earlier moment (`Store::open_at`),
//! while saves always meet the present: that is what a handler sees that read, was slow, and
//! saves now. A removal is a change like a save: nothing takes the place of a row. The store also keeps what
//! the running step changed, which the properties judge, and every version an owner ever saved, which replicas
//! are compared with.

mod by_id;
mod by_number;
mod earlier;
mod numbers;
mod record;
mod table;
mod tables;

use std::any::TypeId;
use std::fmt;

use crate::hash;
use crate::ids::{RecordId, Time, Version};

pub(crate) use by_number::ByNumber;
pub use record::{Bump, DuplicateKey, Record, VersionConflict, VersionPolicy, VersionScheme, Versioned};
pub use table::{Change, RowText};
use table::{Changes, Progress, Table};
use tables::Tables;

/// Collects the collections a service declares.
#[derive(Default)]
pub struct Schema {
    tables: Tables,
    declared: Vec<Collection>,
}

/// A collection as a service declares it.
pub(crate) struct Collection {
    pub(crate) name: &'static str,
    /// The letter of its ids.
    pub(crate) kind: char,
    /// The type of its records.
    pub(crate) record: TypeId,
    pub(crate) is_owned: bool,
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
        // Whether it may be declared is looked at when the simulation is built.
        self.declared.push(Collection {
            name: R::COLLECTION,
            kind: R::KIND,
            record: TypeId::of::<R>(),
            is_owned: owned,
        });
        self.tables.push(Table::<R>::new(policy, owned));
        self
    }

    /// What was declared, in that order.
    pub(crate) fn declared(&self) -> &[Collection] {
        &self.declared
    }

    /// A store with these collections; if others ask its service, it keeps what a stale answer is of.
    pub(crate) fn into_store(mut self, is_asked: bool) -> Store {
        if is_asked {
            self.tables.iter_mut().for_each(|table| table.keep_earlier());
        }
        let saves_by_time = self.tables.iter().any(|table| table.saves_by_time());
        Store {
            tables: self.tables,
            progress: Progress::default(),
            saves_by_time,
            judged_saves: 0,
            step_began: 0,
            read_at: None,
        }
    }
}

/// Collections have one of so many bits.
pub(crate) const COLLECTION_BITS: u64 = 61;

/// The collections of one service.
///
/// # Panics
/// Every method panics if the record type was not declared in
/// [`Service::collections`](crate::Service::collections), or if an id has another kind's letter.
pub struct Store {
    tables: Tables,
    progress: Progress,
    /// Whether the time of a save decides any version.
    saves_by_time: bool,
    /// How many saves there were when a quiescence was last judged.
    judged_saves: u64,
    /// The tick at which the running step began.
    step_began: u64,
    /// Answers reads as of this tick instead of the present.
    read_at: Option<u64>,
}

/// The copy has no marks.
impl Clone for Store {
    fn clone(&self) -> Store {
        let progress = Progress { is_marked: false, ..self.progress };
        Store { tables: self.tables.clone(), progress, ..*self }
    }

    fn clone_from(&mut self, source: &Store) {
        let Store { tables, progress, saves_by_time, judged_saves, step_began, read_at } = source;
        self.tables.clone_from(tables);
        (self.saves_by_time, self.judged_saves) = (*saves_by_time, *judged_saves);
        (self.progress, self.step_began, self.read_at) = (*progress, *step_began, *read_at);
        self.progress.is_marked = false;
    }
}

/// A moment of a store to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreMark {
    progress: Progress,
    step_began: u64,
}

/// What a search does around a step.
impl Store {
    /// Marks this moment; from now on nothing that is replaced is forgotten.
    pub(crate) fn mark(&mut self) -> StoreMark {
        self.progress.is_marked = true;
        StoreMark { progress: self.progress, step_began: self.step_began }
    }

    /// Goes back to the moment of a mark.
    #[inline]
    pub(crate) fn rewind(&mut self, mark: StoreMark) {
        let StoreMark { progress, step_began } = mark;
        if self.progress.saves != progress.saves {
            self.tables.iter_mut().for_each(|table| table.rewind(progress.tick, progress.saves));
        }
        (self.progress, self.step_began, self.read_at) = (progress, step_began, None);
        self.judged_saves = NEVER_JUDGED;
    }

    /// Forgets all marks.
    pub(crate) fn unmark(&mut self) {
        self.progress.is_marked = false;
        self.tables.iter_mut().for_each(|table| table.unmark());
    }
}

/// A number of saves that no store comes to.
const NEVER_JUDGED: u64 = u64::MAX;

/// What a vector has taken of the heap, in bytes.
pub(crate) fn heap_bytes_of<T>(list: &Vec<T>) -> u64 {
    (list.capacity() * size_of::<T>()) as u64
}

impl Store {
    /// What it has taken of the heap, in bytes: at least that, but for what records hold outside of
    /// themselves.
    pub(crate) fn heap_bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.heap_bytes(self.progress.tick)).sum()
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
    #[inline(always)]
    pub fn find<R: Record>(&self, id: RecordId) -> Option<&Versioned<R>> {
        let table = self.table::<R>();
        match self.read_at {
            None => table.live(id),
            Some(tick) => table.as_of(id, tick, self.step_began),
        }
    }

    /// All records of a collection, by id.
    pub fn all<R: Record>(&self) -> impl Iterator<Item = (RecordId, &Versioned<R>)> {
        self.table::<R>().ids().filter_map(|id| self.find::<R>(id).map(|row| (id, row)))
    }

    /// The ids of a collection that were saved or removed since a run last judged a quiescence, in order; each that
    /// was ever saved if none was judged. What agreed then and is not among these still agrees, so a
    /// property of single records need not look at all of them each time. Ids whose save was taken back
    /// may be among them.
    pub fn unjudged<R: Record>(&self) -> impl Iterator<Item = RecordId> {
        self.table::<R>().unjudged()
    }

    /// Inserts a record with the first version of the collection's scheme.
    ///
    /// # Errors
    /// If the key is taken.
    pub fn insert<R: Record>(&mut self, id: RecordId, value: R) -> Result<Version, DuplicateKey> {
        let (table, progress) = self.table_mut::<R>();
        let version = table.policy.scheme.next(id, None, progress.now);
        table.insert(id, version, value, progress)
    }

    /// Inserts a record as `version`, whatever the scheme says: for versions copied from an event.
    ///
    /// # Errors
    /// If the key is taken.
    pub fn insert_as<R: Record>(&mut self, id: RecordId, value: R, version: Version) -> Result<Version, DuplicateKey> {
        let (table, progress) = self.table_mut::<R>();
        table.insert(id, version, value, progress)
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
        let (table, progress) = self.table_mut::<R>();
        let held = table.current(id, expected)?;
        if table.keeps_version(held, &value) {
            return Ok(expected);
        }
        let version = table.policy.scheme.next(id, Some(expected), progress.now);
        table.put(id, version, Some(expected), value, progress);
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
        let (table, progress) = self.table_mut::<R>();
        table.current(id, expected)?;
        table.put(id, version, Some(expected), value, progress);
        Ok(version)
    }

    /// Saves a record without looking: the last writer wins. `read` is what the writer based its
    /// value on, and the version is counted from there. Where the record is not there, or not any more, it is
    /// inserted: an upsert.
    pub fn overwrite<R: Record>(&mut self, id: RecordId, value: R, read: Option<Version>) -> Version {
        let (table, progress) = self.table_mut::<R>();
        let version = table.policy.scheme.next(id, read, progress.now);
        table.put(id, version, read, value, progress);
        version
    }

    /// Saves a record as `version` without looking, whether it is there or not: the last writer wins, with a version
    /// that came from elsewhere, such as one that a database has counted.
    pub fn overwrite_as<R: Record>(&mut self, id: RecordId, value: R, version: Version) {
        let (table, progress) = self.table_mut::<R>();
        let held = table.live(id).map(|held| held.version);
        table.put(id, version, held, value, progress);
    }

    /// Changes a record as it is at this very moment: an atomic change such as `UPDATE … SET n = n + 1` or `$inc`.
    /// Returns the new version, or `None` if there is no such record.
    ///
    /// A handler that reads a record, pauses and saves what it has worked out saves over what others saved meanwhile,
    /// or is refused ([`Store::save_if_current`]). What `change` is handed is the record when the handler goes on,
    /// whatever [`Store::find`] has told it before.
    ///
    /// ```
    /// # use pellmell::doc_example::{Change, Item, Shop};
    /// # use pellmell::{Context, Rejection};
    /// fn execute(change: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
    ///     match ctx.store.change::<Item>(change.item, |item| item.price += change.price) {
    ///         Some(_) => Ok(()),
    ///         None => Err(Rejection { status: 404, reason: "there is no such item" }),
    ///     }
    /// }
    /// ```
    pub fn change<R: Record>(&mut self, id: RecordId, change: impl FnOnce(&mut R)) -> Option<Version> {
        self.change_if(id, |_| true, change)
    }

    /// Changes a record as it is at this very moment if that meets a condition: a compare-and-set on its fields, such
    /// as `UPDATE … SET n = n - 1 WHERE n > 0`. Returns the new version, or `None` if there is no such record or it
    /// does not meet the condition.
    pub fn change_if<R: Record>(
        &mut self,
        id: RecordId,
        condition: impl FnOnce(&R) -> bool,
        change: impl FnOnce(&mut R),
    ) -> Option<Version> {
        let (table, progress) = self.table_mut::<R>();
        let held = table.live(id).filter(|held| condition(&held.value))?;
        let (mut value, version) = (held.value.clone(), held.version);
        change(&mut value);
        if table.keeps_version(held, &value) {
            return Some(version);
        }
        let next = table.policy.scheme.next(id, Some(version), progress.now);
        table.put(id, next, Some(version), value, progress);
        Some(next)
    }

    /// Removes a record as it is at this very moment, and returns what it was, or `None` if there is none: `DELETE …
    /// RETURNING`.
    ///
    /// Nothing is left of it that a handler could read, as in a database: who inserts the record again begins with the
    /// first version of the collection's scheme, and a message that comes late about the one that was removed looks
    /// like news of a record that is not there yet. So a copy that was removed and is made again by an older update
    /// stays for good. A service that is not to be fooled keeps a tombstone: a record of its own that says that this
    /// one was removed, and at which version.
    ///
    /// ```
    /// # use pellmell::doc_example::{Change, Changed, Item, Shop};
    /// # use pellmell::{Context, Rejection, Version};
    /// fn execute(change: &Change, ctx: &mut Context<'_, Shop>) -> Result<(), Rejection> {
    ///     match ctx.store.remove::<Item>(change.item) {
    ///         Some(item) => {
    ///             let version = Version(item.version.0 + 1);
    ///             ctx.publish(Changed { item: change.item, version, price: 0 });
    ///             Ok(())
    ///         }
    ///         None => Err(Rejection { status: 404, reason: "there is no such item" }),
    ///     }
    /// }
    /// ```
    pub fn remove<R: Record>(&mut self, id: RecordId) -> Option<Versioned<R>> {
        self.remove_if(id, |_| true)
    }

    /// Removes a record as it is at this very moment if that meets a condition: `DELETE … WHERE`. Returns what it was,
    /// or `None` if there is no such record or it does not meet the condition.
    pub fn remove_if<R: Record>(&mut self, id: RecordId, condition: impl FnOnce(&R) -> bool) -> Option<Versioned<R>> {
        let (table, progress) = self.table_mut::<R>();
        table.remove(id, condition, progress)
    }

    /// Removes a record if its version is still `expected`, and returns what it was.
    ///
    /// # Errors
    /// If the version is another one or the record does not exist; nothing is removed.
    pub fn remove_if_current<R: Record>(
        &mut self,
        id: RecordId,
        expected: Version,
    ) -> Result<Versioned<R>, VersionConflict> {
        let (table, progress) = self.table_mut::<R>();
        table.current(id, expected)?;
        table.remove(id, |_| true, progress).ok_or(VersionConflict { expected, found: None })
    }

    #[inline]
    fn table<R: Record>(&self) -> &Table<R> {
        self.known_table::<R>().unwrap_or_else(|| undeclared::<R>())
    }

    #[inline]
    fn known_table<R: Record>(&self) -> Option<&Table<R>> {
        self.tables.get()
    }

    #[inline]
    fn table_mut<R: Record>(&mut self) -> (&mut Table<R>, &mut Progress) {
        let table = self.tables.get_mut();
        (table.unwrap_or_else(|| undeclared::<R>()), &mut self.progress)
    }
}

/// What properties and reports ask.
impl Store {
    /// Whether the service declared a collection of this type.
    #[must_use]
    pub fn has<R: Record>(&self) -> bool {
        self.known_table::<R>().is_some()
    }

    /// Every version of an owned record, oldest first; empty for replicas. It keeps those of a record that was
    /// removed; one that is inserted again goes on behind them, most often with the first version once more.
    #[must_use]
    pub fn history<R: Record>(&self, id: RecordId) -> &[Versioned<R>] {
        self.table::<R>().history(id)
    }

    /// An owned record as it was when its owner last saved it as `version`; `None` if it never did, and for
    /// replicas.
    #[must_use]
    pub fn at_version<R: Record>(&self, id: RecordId, version: Version) -> Option<&Versioned<R>> {
        let history = self.history::<R>(id);
        version.place_in(history).map(|place| &history[place])
    }

    /// The place of `version` in an owned record's history.
    #[must_use]
    pub fn position<R: Record>(&self, id: RecordId, version: Version) -> Option<usize> {
        version.place_in(self.history::<R>(id))
    }

    /// Whether the service declared a collection of this type as one whose records it alone changes.
    #[must_use]
    pub fn owns<R: Record>(&self) -> bool {
        self.known_table::<R>().is_some_and(Table::is_owned)
    }

    /// Whether a record was there and its owner has removed it; never for replicas.
    #[must_use]
    pub fn was_removed<R: Record>(&self, id: RecordId) -> bool {
        self.table::<R>().live(id).is_none() && !self.history::<R>(id).is_empty()
    }

    /// The saves and removals of the step that just ran, if that was one of this store's service; else of the last
    /// one that was.
    pub fn changes<R: Record>(&self) -> impl Iterator<Item = Change<'_, R>> {
        self.table::<R>().changes(self.step_began)
    }

    /// The saves of the step that just ran; none if there is no store or no such collection.
    #[inline(always)]
    pub(crate) fn changes_of<R: Record>(store: Option<&Store>) -> impl Iterator<Item = Change<'_, R>> {
        // Properties ask every step about every collection, so what was not saved is not looked for.
        let store = store.filter(|store| store.progress.collections & Table::<R>::BIT != 0);
        store.map(Store::changes_found).unwrap_or_default()
    }

    #[inline(never)]
    fn changes_found<R: Record>(&self) -> Changes<'_, R> {
        self.known_table::<R>().map(|table| table.changes(self.step_began)).unwrap_or_default()
    }

    /// The bit of a collection, which others may have too.
    pub(crate) const fn collection_bit<R: Record>() -> u64 {
        Table::<R>::BIT
    }

    /// The bits of the collections that the step that just ran saved to.
    #[inline(always)]
    pub(crate) fn saved_collections(&self) -> u64 {
        self.progress.collections
    }

    /// Whether the step that just ran saved anything.
    #[must_use]
    #[inline]
    pub fn changed(&self) -> bool {
        self.progress.tick > self.step_began
    }

    /// Every row in words, by collection and id.
    #[must_use]
    pub fn texts(&self) -> Vec<RowText> {
        self.tables.iter().flat_map(|table| table.texts()).collect()
    }

    /// The rows the step that just ran saved or removed, in words.
    #[must_use]
    pub fn changed_texts(&self) -> Vec<RowText> {
        self.tables.iter().flat_map(|table| table.changed_texts(self.step_began)).collect()
    }

    /// A record as another service is told of it, which asks now or did so as of `at`, and as it is there. A stale
    /// answer is what it was before its last save.
    pub(crate) fn asked<R: Record>(
        &self,
        id: RecordId,
        at: Option<u64>,
        is_stale: bool,
    ) -> (Option<&Versioned<R>>, Option<&Versioned<R>>) {
        let table = self.table::<R>();
        let there = table.at(id, at);
        (if is_stale { table.before(id, at) } else { there }, there)
    }

    /// Every id of a collection that has or had a record, in order.
    pub(crate) fn ids<R: Record>(&self) -> impl Iterator<Item = RecordId> {
        self.table::<R>().ids()
    }

    /// The hash of all rows, and of every version of those it owns; if others ask its service, of what each row was
    /// before its last save as well.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.tables.iter().fold(self.rows_digest(), |hash, table| hash::mix(hash, table.history_digest()))
    }

    /// The hash of all rows: of what a handler that reads now will see.
    pub(crate) fn rows_digest(&self) -> u64 {
        self.tables.iter().fold(0, |hash, table| hash::mix(hash, table.rows_digest()))
    }

    /// Whether the store began with this version of a record (see
    /// [`seeded`](crate::simulation::SimulationBuilder::seeded)): nothing was published about it.
    #[must_use]
    pub fn began_with<R: Record>(&self, id: RecordId, version: Version) -> bool {
        self.table::<R>().began_with(id, version)
    }

    /// Whether any collection has a record of this id.
    #[must_use]
    pub fn holds(&self, id: RecordId) -> bool {
        self.tables.iter().any(|table| table.holds(id))
    }
}

/// How far a step has saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SavePoint {
    tick: u64,
    saved: u64,
    collections: u64,
}

/// What the world does around a handler.
impl Store {
    /// Lets the store begin with what `seed` saves.
    pub(crate) fn seed(&mut self, seed: &dyn Fn(&mut Store)) {
        self.begin_step(Time(0), None);
        seed(self);
        // Nobody takes it back, and no step has done it.
        self.begin_step(Time(0), None);
        self.tables.iter_mut().for_each(|table| table.begins());
    }

    pub(crate) fn clear(&mut self) {
        self.tables.iter_mut().for_each(|table| table.clear());
        let Progress { read_since, now, .. } = self.progress;
        self.progress = Progress { read_since, now, ..Progress::default() };
        (self.judged_saves, self.step_began, self.read_at) = (0, 0, None);
    }

    /// Starts a step. `oldest_read` is the tick of the oldest handler that still reads from the
    /// past: the next save forgets what was replaced before it and before now.
    #[inline]
    pub(crate) fn begin_step(&mut self, now: Time, oldest_read: Option<u64>) {
        let progress = &mut self.progress;
        (progress.now, progress.read_since) = (now, oldest_read.unwrap_or(progress.tick));
        self.step_began = progress.tick;
        (progress.saved, progress.collections) = (0, 0);
    }

    /// Whether a record was ever removed; perhaps also if that was taken back.
    #[inline]
    pub(crate) fn has_removed(&self) -> bool {
        self.progress.has_removed
    }

    /// Whether the time of a save decides any version.
    pub(crate) fn saves_by_time(&self) -> bool {
        self.saves_by_time
    }

    /// The present, to be read as of later.
    #[inline]
    pub(crate) fn tick(&self) -> u64 {
        self.progress.tick
    }

    /// Notes that a quiescence was judged.
    pub(crate) fn judged(&mut self) {
        // Most stores have saved nothing since the last time.
        if std::mem::replace(&mut self.judged_saves, self.progress.saves) != self.progress.saves {
            self.tables.iter_mut().for_each(|table| table.judged());
        }
    }

    /// Answers reads as of `tick` until [`Store::close`].
    pub(crate) fn open_at(&mut self, tick: u64) {
        self.read_at = Some(tick);
    }

    /// Answers reads from the present again.
    pub(crate) fn close(&mut self) {
        self.read_at = None;
    }

    /// How far the running step has saved.
    pub(crate) fn point(&self) -> SavePoint {
        let Progress { tick, saved, collections, .. } = self.progress;
        SavePoint { tick, saved, collections }
    }

    /// Takes back what the running step has saved since.
    pub(crate) fn roll_back_to(&mut self, point: SavePoint) {
        let SavePoint { tick, saved, collections } = point;
        if self.progress.tick > tick {
            self.tables.iter_mut().for_each(|table| table.roll_back(tick));
            (self.progress.tick, self.progress.saved, self.progress.collections) = (tick, saved, collections);
        }
    }

    /// Takes back what the running step saved.
    #[inline]
    pub(crate) fn roll_back(&mut self) {
        if self.changed() {
            let began = self.step_began;
            self.tables.iter_mut().for_each(|table| table.roll_back(began));
            (self.progress.tick, self.progress.saved, self.progress.collections) = (began, 0, 0);
        }
    }

    /// Makes one row, with its history, what it was at an earlier moment of the same store.
    pub(crate) fn put_back(&mut self, collection: &str, id: RecordId, earlier: &Store) {
        for (table, earlier) in self.tables.iter_mut().zip(earlier.tables.iter()) {
            table.put_back(collection, id, earlier);
        }
    }

    /// The hash of what the running step saved and removed, in that order.
    #[inline]
    pub(crate) fn saved(&self) -> u64 {
        self.progress.saved
    }
}

impl Version {
    /// The place of this version in an owned record's [`history`](Store::history): the last one, if a record that was
    /// removed and inserted again had it twice.
    #[must_use]
    #[inline]
    pub fn place_in<R>(self, history: &[Versioned<R>]) -> Option<usize> {
        // Nearly always the version says it, unless they have begun anew.
        let counts = history.last().is_some_and(|last| last.version.0 == history.len() as u64 - 1);
        let counted = usize::try_from(self.0).ok().filter(|at| counts && *at < history.len());
        match counted {
            Some(at) if history[at].version == self => counted,
            _ => history.iter().rposition(|row| row.version == self),
        }
    }
}

#[cold]
fn undeclared<R: Record>() -> ! {
    panic!("collection `{}` was not declared in Service::collections", R::COLLECTION)
}

#[cfg(test)]
mod tests;
