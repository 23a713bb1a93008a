//! Properties of records whatever the system.

use std::fmt;
use std::marker::PhantomData;

use pellmell_core::event::System;
use pellmell_core::property::{Moment, Property, Violation};
use pellmell_core::store::Record;

/// Whenever nothing is under way, a service holds each record that another one owns, with the same value and in the
/// same version.
pub struct ReplicasAgree<R> {
    name: String,
    owner: String,
    replica: String,
    record: PhantomData<fn() -> R>,
}

impl<R: Record> ReplicasAgree<R> {
    /// Of the records that `owner` owns and `replica` keeps. Its name is of both: `SearchAgreesWithShop`.
    #[must_use]
    pub fn between(owner: impl Into<String>, replica: impl Into<String>) -> ReplicasAgree<R> {
        let (owner, replica) = (owner.into(), replica.into());
        let name = format!("{}AgreesWith{}", capital(&replica), capital(&owner));
        ReplicasAgree { name, owner, replica, record: PhantomData }
    }
}

/// A service's name as a part of words put together: `Search` of `search`.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

impl<R> fmt::Debug for ReplicasAgree<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<R: Record, S: System> Property<S> for ReplicasAgree<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &'static str {
        "whenever nothing is under way, a replica is what its owner has"
    }

    fn at_quiescence(&self, moment: &Moment<'_, S>) -> Result<(), Violation> {
        let (owner, replica) = (moment.store_of(&self.owner), moment.store_of(&self.replica));
        for id in owner.unjudged::<R>().chain(replica.unjudged::<R>()) {
            let (own, copy) = (owner.find::<R>(id), replica.find::<R>(id));
            let same = match (own, copy) {
                (Some(own), Some(copy)) => (own.version, &own.value) == (copy.version, &copy.value),
                (None, None) => true,
                _ => false,
            };
            if !same {
                let [own, copy] = [own, copy].map(|row| match row {
                    Some(row) => format!("{:?} in version {}", row.value, row.version),
                    None => "no such record".to_owned(),
                });
                let detail = format!("it has {copy}, and {} has {own}", self.owner);
                return Err(Violation::at(&self.replica).of(id).because(detail));
            }
        }
        Ok(())
    }
}
