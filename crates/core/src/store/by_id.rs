//! Something for each record of a kind: by number as ever, by text beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::by_number::ByNumber;
use super::numbers::Numbers;
use crate::ids::RecordId;

/// What has a number is found where it stands; what has a text is found and walked in the order of texts,
/// behind all numbers. Both are walked as ids are ordered.
#[derive(Debug)]
pub(super) struct ById<T> {
    numbered: ByNumber<T>,
    named: BTreeMap<RecordId, T>,
}

impl<T> Default for ById<T> {
    fn default() -> ById<T> {
        ById { numbered: ByNumber::default(), named: BTreeMap::new() }
    }
}

impl<T: Clone> Clone for ById<T> {
    fn clone(&self) -> ById<T> {
        ById { numbered: self.numbered.clone(), named: self.named.clone() }
    }

    fn clone_from(&mut self, source: &ById<T>) {
        let ById { numbered, named } = source;
        self.numbered.clone_from(numbered);
        if !(self.named.is_empty() && named.is_empty()) {
            self.named.clone_from(named);
        }
    }
}

impl<T: Default> ById<T> {
    /// What is there for an id of this kind. For one of another kind there is nothing, so whether something
    /// is there answers both questions.
    #[inline]
    pub(super) fn get(&self, kind: char, id: RecordId) -> Option<&T> {
        let number = id.number_within(kind) as usize;
        match self.numbered.near(number) {
            None => self.get_elsewhere(id, number),
            found => found,
        }
    }

    #[cold]
    fn get_elsewhere(&self, id: RecordId, number: usize) -> Option<&T> {
        if id.is_named() { self.named.get(&id) } else { self.numbered.get(number) }
    }

    /// What is there for an id, which is of this kind; the default if nothing was.
    #[inline]
    pub(super) fn entry(&mut self, kind: char, id: RecordId) -> &mut T {
        if id.is_named() {
            return self.entry_named(id);
        }
        self.numbered.entry(id.number_within(kind) as usize)
    }

    #[cold]
    fn entry_named(&mut self, id: RecordId) -> &mut T {
        self.named.entry(id).or_default()
    }

    /// The ids for which there may be something, in order.
    pub(super) fn ids(&self, kind: char) -> impl Iterator<Item = RecordId> + '_ {
        let numbered = self.numbered.numbers().map(move |number| RecordId::new(kind, number as u32));
        numbered.chain(self.named.keys().copied())
    }

    /// What is there, in the order of the ids.
    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.numbered.values().chain(self.named.values())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.numbered.values_mut().chain(self.named.values_mut())
    }

    /// What it has taken of the heap at most, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        let entry = size_of::<T>() + size_of::<RecordId>() + size_of::<usize>();
        self.numbered.heap_bytes() + (2 * self.named.len() * entry) as u64
    }

    pub(super) fn clear(&mut self) {
        self.numbered.clear();
        if !self.named.is_empty() {
            self.named.clear();
        }
    }
}

/// A set of ids of a kind that is walked in order.
#[derive(Debug, Default)]
pub(super) struct Ids {
    numbers: Numbers,
    named: BTreeSet<RecordId>,
}

impl Clone for Ids {
    fn clone(&self) -> Ids {
        Ids { numbers: self.numbers.clone(), named: self.named.clone() }
    }

    fn clone_from(&mut self, source: &Ids) {
        let Ids { numbers, named } = source;
        self.numbers.clone_from(numbers);
        if !(self.named.is_empty() && named.is_empty()) {
            self.named.clone_from(named);
        }
    }
}

impl Ids {
    /// Inserts an id; says whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, kind: char, id: RecordId) -> bool {
        if id.is_named() {
            return self.insert_named(id);
        }
        self.numbers.insert(id.number_within(kind) as usize)
    }

    #[cold]
    fn insert_named(&mut self, id: RecordId) -> bool {
        self.named.insert(id)
    }

    pub(super) fn remove(&mut self, kind: char, id: RecordId) {
        if id.is_named() {
            self.named.remove(&id);
        } else {
            self.numbers.remove(id.number_within(kind) as usize);
        }
    }

    /// The members, in order.
    #[inline]
    pub(super) fn iter(&self, kind: char) -> impl Iterator<Item = RecordId> + '_ {
        Members { ids: self, kind, number: 0, numbers_left: self.numbers.len(), named: None }
    }

    /// What it has taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        self.numbers.heap_bytes() + (2 * self.named.len() * size_of::<[RecordId; 2]>()) as u64
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        if !self.named.is_empty() {
            self.named.clear();
        }
    }
}

/// Members of a set, in order. It is small, because properties put several of them together.
struct Members<'a> {
    ids: &'a Ids,
    kind: char,
    /// The number from which on there are more, and how many.
    number: usize,
    numbers_left: usize,
    /// The last one that has a text.
    named: Option<RecordId>,
}

impl Iterator for Members<'_> {
    type Item = RecordId;

    #[inline]
    fn next(&mut self) -> Option<RecordId> {
        if self.numbers_left > 0 {
            let number = self.ids.numbers.first_from(self.number)?;
            (self.number, self.numbers_left) = (number + 1, self.numbers_left - 1);
            return Some(RecordId::new(self.kind, number as u32));
        }
        if self.ids.named.is_empty() { None } else { self.next_named() }
    }
}

impl Members<'_> {
    #[cold]
    fn next_named(&mut self) -> Option<RecordId> {
        let named = &self.ids.named;
        let next = match self.named {
            Some(last) => named.range((Bound::Excluded(last), Bound::Unbounded)).next(),
            None => named.first(),
        };
        self.named = next.copied().or(self.named);
        next.copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Vec<RecordId>> {
        let id = prop_oneof![
            (0u32..20).prop_map(|number| RecordId::new('t', number)),
            (0u32..20_000).prop_map(|number| RecordId::new('t', number)),
            "[a-c]{1,2}(/[0-9])?".prop_map(|text| RecordId::named('t', text)),
        ];
        prop::collection::vec(id, 0..60)
    }

    fn filled(ids: &[RecordId]) -> ById<usize> {
        let mut filled = ById::default();
        ids.iter().for_each(|id| *filled.entry('t', *id) = 1 + id.to_string().len());
        filled
    }

    proptest! {
        #[test]
        fn it_has_what_a_map_has_in_the_order_of_ids(ids in ids()) {
            let by_id = filled(&ids);
            let set: BTreeSet<RecordId> = ids.iter().copied().collect();
            let held = |id: RecordId| by_id.get('t', id).copied().unwrap_or_default();
            prop_assert!(set.iter().all(|id| held(*id) == 1 + id.to_string().len()));
            prop_assert!(by_id.ids('t').filter(|id| held(*id) > 0).eq(set.iter().copied()));
            prop_assert_eq!(by_id.values().filter(|value| **value > 0).count(), set.len());
            let other_kind = |id: &RecordId| id.text().map_or(RecordId::new('u', 3), |text| RecordId::named('u', text));
            prop_assert!(set.iter().all(|id| by_id.get('t', other_kind(id)).is_none()));
            let mut members = Ids::default();
            for id in &ids {
                members.insert('t', *id);
            }
            prop_assert!(members.iter('t').eq(set.iter().copied()));
            let (gone, left): (Vec<RecordId>, Vec<RecordId>) = set.iter().partition(|id| id.word() % 2 == 0);
            gone.iter().for_each(|id| members.remove('t', *id));
            prop_assert!(members.iter('t').eq(left));
            members.clear();
            prop_assert_eq!(members.iter('t').next(), None);
        }
    }
}
