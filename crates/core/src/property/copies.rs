//! Convergence: whether a service holds what the owner of its records holds, and nothing else.

use super::{Moment, Violation};
use crate::event::System;
use crate::ids::RecordId;
use crate::store::{Record, Store, Versioned};

impl<S: System> Moment<'_, S> {
    /// Judges at rest that the service `copies` has a copy, under the same id, of each record of `owner`, and of no
    /// other: that the copies have converged. `difference` says how a copy, if there is one, is not what it should be.
    ///
    /// A copy of a record that its owner has removed is wrong: one that was not removed, and one that was removed and
    /// made again by an older message. Only records that were saved or removed at either service since a quiescence
    /// was last judged are looked at. Of several violations the one of the first record counts.
    ///
    /// [`testing::converges`](crate::testing::converges) is a property of its own.
    ///
    /// ```
    /// # use pellmell::doc_example::{Item, Shop};
    /// use pellmell::{Moment, Property, Versioned, Violation};
    ///
    /// struct SearchConverged;
    ///
    /// impl Property<Shop> for SearchConverged {
    ///     fn name(&self) -> &'static str {
    ///         "SearchConverged"
    ///     }
    ///
    ///     fn at_quiescence(&self, moment: &Moment<'_, Shop>) -> Result<(), Violation> {
    ///         moment.judge_copies("shop", "search", |item: &Versioned<Item>, copy: Option<&Versioned<Item>>| {
    ///             let found = copy.map(|copy| copy.price);
    ///             (found != Some(item.price)).then(|| format!("expected {}, found {found:?}", item.price))
    ///         })
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// What is wrong.
    ///
    /// # Panics
    /// If there is no such service, if one of them has no such collection, or if their ids begin with other letters.
    pub fn judge_copies<O: Record, C: Record>(
        &self,
        owner: &str,
        copies: &str,
        difference: impl Fn(&Versioned<O>, Option<&Versioned<C>>) -> Option<String>,
    ) -> Result<(), Violation> {
        let (owned, copied) = (self.store_of(owner), self.store_of(copies));
        let mut first: Option<(RecordId, String)> = None;
        let mut last = None;
        for id in owned.unjudged::<O>().chain(copied.unjudged::<C>()) {
            // Where one of them changed, most often the other one did for its sake.
            if last.replace(id) == Some(id) || first.as_ref().is_some_and(|(least, _)| *least <= id) {
                continue;
            }
            let copy = copied.find::<C>(id);
            let wrong = match owned.find::<O>(id) {
                Some(record) => difference(record, copy),
                None => copy.map(|copy| unowned::<O, C>(owned, owner, id, copy)),
            };
            first = wrong.map(|wrong| (id, wrong)).or(first);
        }
        first.map_or(Ok(()), |(id, wrong)| Err(Violation::at(copies).of(id).because(wrong)))
    }
}

#[cold]
fn unowned<O: Record, C: Record>(owned: &Store, owner: &str, id: RecordId, copy: &Versioned<C>) -> String {
    match owned.was_removed::<O>(id) {
        true => format!("{owner} has removed it, found version {}", copy.version),
        false => format!("{owner} has no such record, found version {}", copy.version),
    }
}
