//! What replicas may hold and ack: of tickets at orders, of orders at payments.

use super::{StepProperty, blame};
use crate::ids::{RecordId, Version};
use crate::property::{View, Violation, Watch};
use crate::store::{Change, Record, Store, Versioned};
use crate::ticketing::messages::{Ticketing, TicketingEvent};
use crate::ticketing::records::{Lock, Order, OrderReplica, SeenOrder, Ticket, TicketReplica};
use crate::ticketing::tickets::lock_of;

/// Saves of replicas.
const REPLICAS: Watch = Watch::saves_of::<TicketReplica>().and(Watch::saves_of::<OrderReplica>());

/// A copy of a record that another service owns.
trait Replica: Record {
    type Owned: Record;
    /// The service that owns it.
    const OWNER: &'static str;

    /// How its fields differ from its owner's.
    fn difference(&self, owned: &Self::Owned) -> Option<String>;
}

impl Replica for TicketReplica {
    type Owned = Ticket;
    const OWNER: &'static str = "tickets";

    fn difference(&self, owned: &Ticket) -> Option<String> {
        let same = (&owned.title, owned.price) == (&self.title, self.price);
        (!same).then(|| {
            let (held, said) = (in_words(&self.title, self.price), in_words(&owned.title, owned.price));
            format!("says {held}, its owner's says {said}")
        })
    }
}

impl Replica for OrderReplica {
    type Owned = Order;
    const OWNER: &'static str = "orders";

    fn difference(&self, owned: &Order) -> Option<String> {
        let same = (&owned.user, owned.price, owned.status) == (&self.user, self.price, self.status);
        (!same).then(|| {
            let (held, said) = (self.status, owned.status);
            format!("says {held:?} at {}, its owner's says {said:?} at {}", self.price, owned.price)
        })
    }
}

/// A replica's save, to be compared with what its owner saved.
struct Saved<'a, R: Replica> {
    before: Option<&'a Versioned<R>>,
    after: &'a Versioned<R>,
    /// All that its owner saved.
    owned: &'a [Versioned<R::Owned>],
}

/// Judges every save of a replica, of tickets and of orders.
fn each_replica(
    view: &View<'_, Ticketing>,
    of_ticket: impl Fn(&Saved<'_, TicketReplica>) -> Result<(), String>,
    of_order: impl Fn(&Saved<'_, OrderReplica>) -> Result<(), String>,
) -> Result<(), Violation> {
    each_of(view, of_ticket)?;
    each_of(view, of_order)
}

#[inline]
fn each_of<R: Replica>(
    view: &View<'_, Ticketing>,
    judge: impl Fn(&Saved<'_, R>) -> Result<(), String>,
) -> Result<(), Violation> {
    for Change { id, before, after } in view.changes::<R>() {
        let Some(after) = after else { continue };
        let owned = view.store_of(R::OWNER).history::<R::Owned>(id);
        judge(&Saved { before, after, owned }).map_err(|detail| blame(view, id, detail))?;
    }
    Ok(())
}

fn in_words(title: &str, price: u32) -> String {
    format!("price {price} ({title})")
}

fn has_owner<R: Replica>(saved: &Saved<'_, R>) -> Result<(), String> {
    match saved.owned {
        [] => Err("the owner has no record of this id".to_owned()),
        _ => Ok(()),
    }
}

fn is_not_ahead<R: Replica>(saved: &Saved<'_, R>) -> Result<(), String> {
    let version = saved.after.version;
    match version.place_in(saved.owned) {
        Some(_) => Ok(()),
        None => Err(format!("the replica holds version {version}, which its owner never saved")),
    }
}

fn has_not_fallen<R: Replica>(saved: &Saved<'_, R>) -> Result<(), String> {
    let Some(before) = saved.before else { return Ok(()) };
    let (before, after) = (before.version, saved.after.version);
    match after.place_in(saved.owned) < before.place_in(saved.owned) {
        true => Err(format!("the replica's version fell from {before} to {after}")),
        false => Ok(()),
    }
}

fn says_what_its_owner_says<R: Replica>(saved: &Saved<'_, R>) -> Result<(), String> {
    let version = saved.after.version;
    let place = version.place_in(saved.owned);
    match place.and_then(|place| saved.after.difference(&saved.owned[place])) {
        Some(difference) => Err(format!("the replica's version {version} {difference}")),
        None => Ok(()),
    }
}

/// Judges by all properties of this page at once.
pub(super) fn all(view: &View<'_, Ticketing>, kinds: Watch) -> Result<(), Violation> {
    if kinds.meets(REPLICAS) {
        each_replica(view, all_of, all_of)?;
    }
    if kinds.meets(Watch::ACKS) { acks_what_it_holds(view) } else { Ok(()) }
}

fn all_of<R: Replica>(saved: &Saved<'_, R>) -> Result<(), String> {
    has_owner(saved)?;
    is_not_ahead(saved)?;
    has_not_fallen(saved)?;
    says_what_its_owner_says(saved)
}

/// P14. A replica is kept under its owner's id.
pub(super) const REPLICA_IDENTITY: StepProperty = StepProperty {
    name: "ReplicaIdentity",
    about: "a replica is kept under its owner's id",
    watches: REPLICAS,
    judge: |view| each_replica(view, has_owner, has_owner),
};

/// P1. A replica never holds a version its owner has not reached.
pub(super) const REPLICA_NEVER_AHEAD: StepProperty = StepProperty {
    name: "ReplicaNeverAhead",
    about: "a replica never holds a version its owner has not saved",
    watches: REPLICAS,
    judge: |view| each_replica(view, is_not_ahead, is_not_ahead),
};

/// P2. A replica's version never falls.
pub(super) const MONOTONE_REPLICA: StepProperty = StepProperty {
    name: "MonotoneReplica",
    about: "a replica's version never falls",
    watches: REPLICAS,
    judge: |view| each_replica(view, has_not_fallen, has_not_fallen),
};

/// P3. A replica that holds version v has the fields its owner gave version v.
pub(super) const PREFIX_CONSISTENCY: StepProperty = StepProperty {
    name: "PrefixConsistency",
    about: "a replica that holds version v has the fields its owner gave version v",
    watches: REPLICAS,
    judge: |view| each_replica(view, says_what_its_owner_says, says_what_its_owner_says),
};

/// P6. A replica acks a version only when it holds that version or a later one, or knows that it
/// does not matter any more: a gap is never acked, nor is what was not applied.
pub(super) const ACK_ONLY_AFTER_APPLY: StepProperty = StepProperty {
    name: "AckOnlyAfterApply",
    about: "a replica acks version v only when it holds v or a later one",
    watches: Watch::ACKS,
    judge: acks_what_it_holds,
};

fn acks_what_it_holds(view: &View<'_, Ticketing>) -> Result<(), Violation> {
    let (Some((_, message)), Some(store)) = (view.delivery(), view.store()) else {
        return Ok(());
    };
    let Some(version) = message.name.version else {
        return Ok(());
    };
    let id = message.name.record;
    let applied = match *message.event.itself() {
        TicketingEvent::TicketCreated { .. } | TicketingEvent::TicketUpdated { .. } if store.has::<TicketReplica>() => {
            holds::<TicketReplica>(view, store, id, version)
        }
        TicketingEvent::OrderCreated { ticket, .. } | TicketingEvent::OrderCancelled { ticket, .. }
            if store.has::<SeenOrder>() =>
        {
            remembers(store, id, version, ticket)
        }
        _ if store.has::<OrderReplica>() => holds::<OrderReplica>(view, store, id, version),
        _ => Ok(()),
    };
    applied.map_err(|detail| blame(view, id, detail))
}

fn holds<R: Replica>(view: &View<'_, Ticketing>, store: &Store, id: RecordId, version: Version) -> Result<(), String> {
    let Some(held) = store.find::<R>(id).map(|held| held.version) else {
        return Err(format!("acked version {version} without a record"));
    };
    if held == version {
        return Ok(());
    }
    let owned = view.store_of(R::OWNER).history::<R::Owned>(id);
    if held.place_in(owned) >= version.place_in(owned) {
        return Ok(());
    }
    Err(format!("acked version {version} while holding {held}"))
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
