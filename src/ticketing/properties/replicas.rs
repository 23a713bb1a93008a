//! What replicas may hold and ack: of tickets at orders, of orders at payments.

use super::{StepProperty, blame};
use crate::ids::{RecordId, Version};
use crate::property::{View, Violation, Watch};
use crate::store::{Change, Record, Store};
use crate::ticketing::messages::{Ticketing, TicketingEvent};
use crate::ticketing::records::{Lock, Order, OrderReplica, SeenOrder, Ticket, TicketReplica};
use crate::ticketing::tickets::lock_of;

/// Saves of replicas.
const REPLICAS: Watch = Watch::saves_of::<TicketReplica>().and(Watch::saves_of::<OrderReplica>());

/// A replica's save, to be compared with its owner. What that takes is looked up only if it is asked for.
struct Saved<'a> {
    before: Option<Version>,
    after: Version,
    /// Whether the owner has a record of that id.
    is_known: &'a dyn Fn() -> bool,
    /// The place of a version in the owner's history.
    place: &'a dyn Fn(Version) -> Option<usize>,
    /// How its fields differ from the owner's at that version.
    difference: &'a dyn Fn() -> Option<String>,
}

/// Judges every save of a replica.
fn each_replica(view: &View<'_, Ticketing>, judge: impl Fn(&Saved<'_>) -> Result<(), String>) -> Result<(), Violation> {
    for change in view.changes::<TicketReplica>() {
        let judged = compare(&change, view.store_of("tickets"), ticket_differs, &judge);
        judged.map_err(|detail| blame(view, change.id, detail))?;
    }
    for change in view.changes::<OrderReplica>() {
        let judged = compare(&change, view.store_of("orders"), order_differs, &judge);
        judged.map_err(|detail| blame(view, change.id, detail))?;
    }
    Ok(())
}

fn compare<R: Record, O: Record>(
    change: &Change<'_, R>,
    owner: &Store,
    differs: fn(&R, &O) -> Option<String>,
    judge: impl Fn(&Saved<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let Some(after) = change.after else { return Ok(()) };
    judge(&Saved {
        before: change.before.map(|row| row.version),
        after: after.version,
        is_known: &|| !owner.history::<O>(change.id).is_empty(),
        place: &|version| owner.position::<O>(change.id, version),
        difference: &|| differs(&after.value, &owner.at_version::<O>(change.id, after.version)?.value),
    })
}

fn ticket_differs(replica: &TicketReplica, owned: &Ticket) -> Option<String> {
    let same = (&owned.title, owned.price) == (&replica.title, replica.price);
    (!same).then(|| {
        let (held, said) = (in_words(&replica.title, replica.price), in_words(&owned.title, owned.price));
        format!("says {held}, its owner's says {said}")
    })
}

fn in_words(title: &str, price: u32) -> String {
    format!("price {price} ({title})")
}

fn order_differs(replica: &OrderReplica, owned: &Order) -> Option<String> {
    let same = (&owned.user, owned.price, owned.status) == (&replica.user, replica.price, replica.status);
    (!same).then(|| {
        let (held, said) = (replica.status, owned.status);
        format!("says {held:?} at {}, its owner's says {said:?} at {}", replica.price, owned.price)
    })
}

/// P14. A replica is kept under its owner's id.
pub(super) const REPLICA_IDENTITY: StepProperty = StepProperty {
    name: "ReplicaIdentity",
    about: "a replica is kept under its owner's id",
    watches: REPLICAS,
    judge: |view| {
        each_replica(view, |saved| match (saved.is_known)() {
            true => Ok(()),
            false => Err("the owner has no record of this id".to_owned()),
        })
    },
};

/// P1. A replica never holds a version its owner has not reached.
pub(super) const REPLICA_NEVER_AHEAD: StepProperty = StepProperty {
    name: "ReplicaNeverAhead",
    about: "a replica never holds a version its owner has not saved",
    watches: REPLICAS,
    judge: |view| {
        each_replica(view, |saved| match (saved.place)(saved.after) {
            Some(_) => Ok(()),
            None => Err(format!("the replica holds version {}, which its owner never saved", saved.after)),
        })
    },
};

/// P2. A replica's version never falls.
pub(super) const MONOTONE_REPLICA: StepProperty = StepProperty {
    name: "MonotoneReplica",
    about: "a replica's version never falls",
    watches: REPLICAS,
    judge: |view| {
        each_replica(view, |saved| match saved.before {
            Some(before) if (saved.place)(saved.after) < (saved.place)(before) => {
                Err(format!("the replica's version fell from {before} to {}", saved.after))
            }
            _ => Ok(()),
        })
    },
};

/// P3. A replica that holds version v has the fields its owner gave version v.
pub(super) const PREFIX_CONSISTENCY: StepProperty = StepProperty {
    name: "PrefixConsistency",
    about: "a replica that holds version v has the fields its owner gave version v",
    watches: REPLICAS,
    judge: |view| {
        each_replica(view, |saved| match (saved.difference)() {
            Some(difference) => Err(format!("the replica's version {} {difference}", saved.after)),
            None => Ok(()),
        })
    },
};

/// P6. A replica acks a version only when it holds that version or a later one, or knows that it
/// does not matter any more: a gap is never acked, nor is what was not applied.
pub(super) const ACK_ONLY_AFTER_APPLY: StepProperty = StepProperty {
    name: "AckOnlyAfterApply",
    about: "a replica acks version v only when it holds v or a later one",
    watches: Watch::ACKS,
    judge: |view| {
        let (Some((_, message)), Some(store)) = (view.delivery(), view.store()) else {
            return Ok(());
        };
        let Some(version) = message.name.version else {
            return Ok(());
        };
        let id = message.name.record;
        let applied = match *message.event.itself() {
            TicketingEvent::TicketCreated { .. } | TicketingEvent::TicketUpdated { .. }
                if store.has::<TicketReplica>() =>
            {
                holds::<TicketReplica, Ticket>(store, view.store_of("tickets"), id, version)
            }
            TicketingEvent::OrderCreated { ticket, .. } | TicketingEvent::OrderCancelled { ticket, .. }
                if store.has::<SeenOrder>() =>
            {
                remembers(store, id, version, ticket)
            }
            _ if store.has::<OrderReplica>() => {
                holds::<OrderReplica, Order>(store, view.store_of("orders"), id, version)
            }
            _ => Ok(()),
        };
        applied.map_err(|detail| blame(view, id, detail))
    },
};

fn holds<R: Record, O: Record>(store: &Store, owner: &Store, id: RecordId, version: Version) -> Result<(), String> {
    let place = |version: Version| owner.position::<O>(id, version);
    match store.find::<R>(id).map(|held| held.version) {
        Some(held) if place(held) >= place(version) => Ok(()),
        Some(held) => Err(format!("acked version {version} while holding {held}")),
        None => Err(format!("acked version {version} without a record")),
    }
}

/// Whether the tickets service, where it keeps notes of orders, has taken note of this one.
fn remembers(store: &Store, order: RecordId, version: Version, ticket: RecordId) -> Result<(), String> {
    let noted = store.find::<SeenOrder>(order).is_some_and(|note| note.seen >= version);
    let lock = store.find::<Ticket>(ticket).map(|held| lock_of(store, ticket, held));
    if noted || lock == Some(Lock::By(order)) {
        return Ok(());
    }
    Err(format!("acked version {version} of {order} without a lock or a note"))
}
