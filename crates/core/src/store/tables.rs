//! The tables of a store, each found by the type of its records.
//!
//! A table is looked up several times a step, and asked for its type by a call through a pointer; so the
//! type stands beside the table, and only the table that is meant is asked.

use std::any::{Any, TypeId};

use super::record::Record;
use super::table::{AnyTable, Table};

/// One table for each type of record.
#[derive(Default)]
pub(super) struct Tables(Vec<Typed>);

/// A table and the type of its records.
struct Typed {
    /// `TypeId::of::<R>()` if `table` is a `Table<R>`.
    record: TypeId,
    table: Box<dyn AnyTable>,
}

impl Typed {
    fn new<R: Record>(table: Table<R>) -> Typed {
        Typed { record: TypeId::of::<R>(), table: Box::new(table) }
    }

    #[inline(always)]
    fn holds<R: Record>(&self) -> bool {
        self.record == TypeId::of::<R>()
    }

    #[inline(always)]
    fn get<R: Record>(&self) -> Option<&Table<R>> {
        (&*self.table as &dyn Any).downcast_ref()
    }

    #[inline(always)]
    fn get_mut<R: Record>(&mut self) -> Option<&mut Table<R>> {
        (&mut *self.table as &mut dyn Any).downcast_mut()
    }
}

impl Tables {
    pub(super) fn push<R: Record>(&mut self, table: Table<R>) {
        self.0.push(Typed::new(table));
    }

    /// The table of this record type, if there is one.
    #[inline(always)]
    pub(super) fn get<R: Record>(&self) -> Option<&Table<R>> {
        // Most services have one table or ask for the first of them most often.
        let (first, others) = self.0.split_first()?;
        if first.holds::<R>() { first.get() } else { others.iter().find(|typed| typed.holds::<R>())?.get() }
    }

    #[inline(always)]
    pub(super) fn get_mut<R: Record>(&mut self) -> Option<&mut Table<R>> {
        let (first, others) = self.0.split_first_mut()?;
        if first.holds::<R>() { first.get_mut() } else { others.iter_mut().find(|typed| typed.holds::<R>())?.get_mut() }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn AnyTable> {
        self.0.iter().map(|typed| &*typed.table)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn AnyTable> {
        self.0.iter_mut().map(|typed| &mut *typed.table)
    }
}

impl Clone for Typed {
    fn clone(&self) -> Typed {
        Typed { record: self.record, table: self.table.clone_box() }
    }

    /// Takes no new memory if it is a table of the same type.
    fn clone_from(&mut self, source: &Typed) {
        if self.record != source.record || !self.table.copy_from(&*source.table) {
            *self = source.clone();
        }
    }
}

impl Clone for Tables {
    fn clone(&self) -> Tables {
        Tables(self.0.clone())
    }

    fn clone_from(&mut self, source: &Tables) {
        self.0.clone_from(&source.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::VersionPolicy;
    use serde::Serialize;

    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
    struct One(u8);
    #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
    struct Other(String);

    impl Record for One {
        const COLLECTION: &'static str = "ones";
        const KIND: char = 'n';
    }

    impl Record for Other {
        const COLLECTION: &'static str = "others";
        const KIND: char = 'o';
    }

    #[test]
    fn each_table_is_found_by_its_own_type_also_after_it_was_copied_over_another() {
        let table = |owned| Table::<One>::new(VersionPolicy::EVERY_SAVE, owned);
        let mut tables = Tables::default();
        tables.push(table(true));
        assert!(tables.get::<One>().is_some() && tables.get::<Other>().is_none());
        tables.push(Table::<Other>::new(VersionPolicy::EVERY_SAVE, false));
        let mut turned = Tables::default();
        turned.push(Table::<Other>::new(VersionPolicy::EVERY_SAVE, false));
        turned.clone_from(&tables);
        for tables in [&mut tables, &mut turned] {
            assert_eq!(tables.iter().count(), 2);
            assert!(tables.get::<One>().is_some() && tables.get_mut::<Other>().is_some());
        }
    }
}
