//! Replicas: how a service follows the records another one owns. Orders does it with tickets,
//! payments with orders, and both with the same few lines.

use super::rules::{ApplyRule, CreateRule, Fit, ReplicaRules, UnknownRule, fit, fit_in_chain};
use crate::ids::{RecordId, Version};
use crate::service::Outcome;
use crate::store::{Record, Store, Versioned};

/// What an event says about the version of its record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) id: RecordId,
    pub(super) version: Version,
    /// The version it was made from, where the event names it.
    pub(super) previous: Option<Version>,
}

impl ReplicaRules {
    /// The id a replica is kept under.
    fn key(&self, id: RecordId) -> RecordId {
        // A service that makes up ids counts by itself, so none of them is the owner's.
        match id.text() {
            _ if self.owner_ids => id,
            None => RecordId::new(id.kind(), id.number() + 1_000),
            Some(text) => RecordId::named(id.kind(), format!("own-{text}")),
        }
    }

    /// The replica of the record `id` of its owner.
    pub(super) fn find<'a, R: Record>(&self, store: &'a Store, id: RecordId) -> Option<&'a Versioned<R>> {
        store.find::<R>(self.key(id))
    }

    /// Takes the event that creates a record.
    pub(super) fn take_first<R: Record>(&self, store: &mut Store, event: Announced, value: R) -> Outcome {
        let key = self.key(event.id);
        let known = store.find::<R>(key).is_some();
        match self.create {
            CreateRule::InsertOrAck if known => return Outcome::Ack,
            CreateRule::Overwrite if known => {
                store.overwrite(key, value, None);
                return Outcome::Ack;
            }
            _ => {}
        }
        match self.insert(store, key, event.version, value) {
            true => Outcome::Ack,
            false => Outcome::Silent("duplicate key"),
        }
    }

    /// Takes a later event. `next` makes the record from the one held, or from nothing if the event
    /// says all there is to say.
    pub(super) fn take_next<R: Record>(
        &self,
        store: &mut Store,
        event: Announced,
        next: impl FnOnce(Option<&R>) -> Option<R>,
    ) -> Outcome {
        let key = self.key(event.id);
        let Some(held) = store.find::<R>(key) else {
            return self.take_unknown(store, event, next(None));
        };
        let fit = match self.apply {
            ApplyRule::Chain => fit_in_chain(Some((held.version, held.previous)), event.version, event.previous),
            ApplyRule::OffByOne => fit(Some(held.version), Version(event.version.0 + 1)),
            _ => fit(Some(held.version), event.version),
        };
        match (self.apply, fit) {
            (ApplyRule::Blind | ApplyRule::BlindSetVersion, _) | (_, Fit::Next) => {}
            (ApplyRule::LastWriter, Fit::Gap) => {}
            (ApplyRule::AckGaps, Fit::Gap) => return Outcome::Ack,
            (ApplyRule::Strict, Fit::Stale) => return self.refuse("the version before is not there"),
            (_, Fit::Stale) => return Outcome::Ack,
            (_, Fit::Gap | Fit::Unknown) => return self.refuse("a version is missing"),
        }
        let (read, Some(value)) = (held.version, next(Some(&held.value))) else {
            return Outcome::Ack;
        };
        let saved = match self.apply {
            ApplyRule::LastWriter | ApplyRule::Chain | ApplyRule::BlindSetVersion => {
                store.save_as(key, value, read, event.version)
            }
            _ => store.save_if_current(key, value, read),
        };
        match saved {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("version error"),
        }
    }

    fn take_unknown<R: Record>(&self, store: &mut Store, event: Announced, value: Option<R>) -> Outcome {
        match (self.unknown, value) {
            (UnknownRule::Ack, _) => Outcome::Ack,
            (UnknownRule::Insert, Some(value)) => match store.insert_as(self.key(event.id), value, event.version) {
                Ok(_) => Outcome::Ack,
                Err(_) => Outcome::Silent("duplicate key"),
            },
            _ => self.refuse("record unknown"),
        }
    }

    /// A first version is copied only where later ones are: otherwise it is the store's first.
    fn insert<R: Record>(&self, store: &mut Store, key: RecordId, version: Version, value: R) -> bool {
        match self.apply {
            ApplyRule::LastWriter | ApplyRule::Chain => store.insert_as(key, value, version).is_ok(),
            _ => store.insert(key, value).is_ok(),
        }
    }

    /// How a handler says "not yet": the course's listeners throw, the reference answers nak.
    fn refuse(&self, reason: &'static str) -> Outcome {
        match self.apply {
            ApplyRule::Blind | ApplyRule::BlindSetVersion | ApplyRule::Strict | ApplyRule::OffByOne => {
                Outcome::Silent(reason)
            }
            _ => Outcome::nak(reason),
        }
    }
}
