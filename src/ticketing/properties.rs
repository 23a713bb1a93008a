//! What must be true of the ticketing services, in the numbering of docs/properties.md.
//!
//! Each property says in its first sentence what it claims. Where several are broken by one step
//! the first in [`all`] is reported, so those that name a fault precisely come before those that
//! only notice its consequences.

use super::messages::{Ticketing, TicketingEvent};
use super::records::{Lock, Order, Ticket, TicketReplica};
use crate::event::Event;
use crate::ids::{RecordId, Version};
use crate::property::{BoundedRedelivery, NoPoison, NoUnboundedGrowth, Property, View, Violation, Watch};
use crate::store::{Change, Store, Versioned};
use crate::world::{Answer, World};

/// All properties, the most telling first.
#[must_use]
pub fn all() -> Vec<Box<dyn Property<Ticketing>>> {
    vec![
        Box::new(REPLICA_NEVER_AHEAD),
        Box::new(MONOTONE_REPLICA),
        Box::new(PREFIX_CONSISTENCY),
        Box::new(NO_LOST_UPDATE),
        Box::new(SINGLE_VERSION_AUTHORITY),
        Box::new(NO_LOCK_OVERWRITE),
        Box::new(NO_FOREIGN_RELEASE),
        Box::new(NO_EDIT_WHILE_LOCKED),
        Box::new(AT_MOST_ONE_LIVE_ORDER),
        Box::new(TERMINAL_STATUS),
        Box::new(EFFECTIVELY_ONCE),
        Box::new(PUBLISHED_VERSIONS_CONTIGUOUS),
        Box::new(ACK_ONLY_AFTER_APPLY),
        Box::new(NoPoison),
        Box::new(BoundedRedelivery),
        Box::new(NoUnboundedGrowth { messages_max: 1_000 }),
        Box::new(TicketReplicaConverged),
        Box::new(ReservationAgreement),
    ]
}

/// The names of all properties.
#[must_use]
pub fn names() -> Vec<&'static str> {
    all().iter().map(|property| property.name()).collect()
}

/// A property that judges single steps.
struct StepProperty {
    name: &'static str,
    watches: Watch,
    judge: fn(&View<'_, Ticketing>) -> Result<(), Violation>,
}

impl Property<Ticketing> for StepProperty {
    fn name(&self) -> &'static str {
        self.name
    }

    fn watches(&self) -> Watch {
        self.watches
    }

    fn on_step(&self, view: &View<'_, Ticketing>) -> Result<(), Violation> {
        (self.judge)(view)
    }
}

fn blame(view: &View<'_, Ticketing>, record: RecordId, detail: impl Into<String>) -> Violation {
    let violation = Violation::at(view.service()).of(record).because(detail);
    match view.delivery() {
        Some((_, message)) => violation.on(message.name),
        None => violation,
    }
}

type ReplicaChange<'a> = Change<'a, TicketReplica>;

/// Judges every save of a ticket replica, given its owner's store.
fn each_replica(
    view: &View<'_, Ticketing>,
    judge: impl Fn(&Store, &ReplicaChange<'_>, &Versioned<TicketReplica>) -> Result<(), String>,
) -> Result<(), Violation> {
    for change in view.changes::<TicketReplica>() {
        if let Some(after) = change.after {
            let owner = view.world.store_of("tickets");
            judge(owner, &change, after).map_err(|detail| blame(view, change.id, detail))?;
        }
    }
    Ok(())
}

/// P1. A replica never holds a version its owner has not reached.
const REPLICA_NEVER_AHEAD: StepProperty = StepProperty {
    name: "ReplicaNeverAhead",
    watches: Watch::SAVES,
    judge: |view| {
        each_replica(view, |owner, change, after| match owner.position::<Ticket>(change.id, after.version) {
            Some(_) => Ok(()),
            None => Err(format!("the replica holds version {}, which its owner never saved", after.version)),
        })
    },
};

/// P2. A replica's version never falls.
const MONOTONE_REPLICA: StepProperty = StepProperty {
    name: "MonotoneReplica",
    watches: Watch::SAVES,
    judge: |view| {
        each_replica(view, |owner, change, after| {
            let place = |version: Version| owner.position::<Ticket>(change.id, version);
            match change.before {
                Some(before) if place(after.version) < place(before.version) => {
                    Err(format!("the replica's version fell from {} to {}", before.version, after.version))
                }
                _ => Ok(()),
            }
        })
    },
};

/// P3. A replica that holds version v has the fields its owner gave version v.
const PREFIX_CONSISTENCY: StepProperty = StepProperty {
    name: "PrefixConsistency",
    watches: Watch::SAVES,
    judge: |view| {
        each_replica(view, |owner, change, after| {
            let Some(place) = owner.position::<Ticket>(change.id, after.version) else {
                return Ok(());
            };
            let owned = &owner.history::<Ticket>(change.id)[place];
            if (&owned.title, owned.price) == (&after.title, after.price) {
                return Ok(());
            }
            Err(format!(
                "the replica's version {} says price {} ({}), its owner's says {} ({})",
                after.version, after.price, after.title, owned.price, owned.title
            ))
        })
    },
};

/// Judges every save of a ticket and of an order by its owner, given what came before it.
fn each_owned(
    view: &View<'_, Ticketing>,
    judge: impl Fn(RecordId, Option<Version>, Version, Option<Version>) -> Result<(), String>,
) -> Result<(), Violation> {
    for change in view.changes::<Ticket>() {
        judge_owned(&change, &judge).map_err(|detail| blame(view, change.id, detail))?;
    }
    for change in view.changes::<Order>() {
        judge_owned(&change, &judge).map_err(|detail| blame(view, change.id, detail))?;
    }
    Ok(())
}

fn judge_owned<R>(
    change: &Change<'_, R>,
    judge: impl Fn(RecordId, Option<Version>, Version, Option<Version>) -> Result<(), String>,
) -> Result<(), String> {
    match change.after {
        Some(after) => judge(change.id, change.before.map(|before| before.version), after.version, after.previous),
        None => Ok(()),
    }
}

/// P4. Each version of a record is made once, by its owner: no two saves give it the same version.
const SINGLE_VERSION_AUTHORITY: StepProperty = StepProperty {
    name: "SingleVersionAuthority",
    watches: Watch::SAVES,
    judge: |view| {
        for change in view.changes::<Ticket>() {
            let history = view.world.store_of("tickets").history::<Ticket>(change.id);
            once_in(change.after, history).map_err(|detail| blame(view, change.id, detail))?;
        }
        for change in view.changes::<Order>() {
            let history = view.world.store_of("orders").history::<Order>(change.id);
            once_in(change.after, history).map_err(|detail| blame(view, change.id, detail))?;
        }
        Ok(())
    },
};

fn once_in<R>(after: Option<&Versioned<R>>, history: &[Versioned<R>]) -> Result<(), String> {
    let Some(after) = after else { return Ok(()) };
    // The version before is the one a tie repeats.
    let twins = history.iter().rev().take(3).filter(|row| row.version == after.version).count();
    if twins > 1 { Err(format!("version {} was given to two saves", after.version)) } else { Ok(()) }
}

/// P8. An accepted save was based on the version directly before it.
const NO_LOST_UPDATE: StepProperty = StepProperty {
    name: "NoLostUpdate",
    watches: Watch::SAVES,
    judge: |view| {
        each_owned(view, |_, before, after, previous| {
            if previous == before {
                return Ok(());
            }
            let read = previous.map_or("no record".to_owned(), |version| format!("version {version}"));
            let found = before.map_or("no record".to_owned(), |version| format!("version {version}"));
            Err(format!("version {after} was made from {read} and replaced {found}"))
        })
    },
};

/// P5. What an owner saves it publishes: each new version goes out in the same step, with that
/// version's fields.
const PUBLISHED_VERSIONS_CONTIGUOUS: StepProperty = StepProperty {
    name: "PublishedVersionsContiguous",
    watches: Watch::SAVES,
    judge: |view| {
        each_owned(view, |record, _, version, _| {
            let mut published = view.published().iter();
            if published.any(|message| message.name.record == record && message.name.version == Some(version)) {
                return Ok(());
            }
            Err(format!("{record}@{version} was saved and not published"))
        })?;
        for message in view.published() {
            says_what_was_saved(view, &message.event).map_err(|detail| blame(view, message.name.record, detail))?;
        }
        Ok(())
    },
};

fn says_what_was_saved(view: &View<'_, Ticketing>, event: &TicketingEvent) -> Result<(), String> {
    let (id, version, said) = match event {
        TicketingEvent::TicketCreated { id, version, title, price, .. } => (*id, *version, (title, *price)),
        TicketingEvent::TicketUpdated { id, version, title, price, .. } => (*id, *version, (title, *price)),
        TicketingEvent::OrderCreated { .. } | TicketingEvent::OrderCancelled { .. } => return Ok(()),
    };
    let history = view.world.store_of("tickets").history::<Ticket>(id);
    let saved = history.iter().rev().find(|row| row.version == version);
    match saved {
        Some(saved) if (&saved.title, saved.price) == said => Ok(()),
        Some(_) => Err(format!("{} {id}@{version} says other fields than were saved", event.subject())),
        None => Err(format!("{} {id}@{version} was published and never saved", event.subject())),
    }
}

/// P6. A replica acks a version only when it holds that version or a later one: a gap is never
/// acked, nor is what was not applied.
const ACK_ONLY_AFTER_APPLY: StepProperty = StepProperty {
    name: "AckOnlyAfterApply",
    watches: Watch::ACKS,
    judge: |view| {
        let (Some((_, message)), Some(store)) = (view.delivery(), view.store()) else {
            return Ok(());
        };
        let (TicketingEvent::TicketCreated { id, version, .. } | TicketingEvent::TicketUpdated { id, version, .. }) =
            message.event
        else {
            return Ok(());
        };
        let owner = view.world.store_of("tickets");
        let place = |version: Version| owner.position::<Ticket>(id, version);
        let held = store.find::<TicketReplica>(id).map(|held| held.version);
        match held {
            Some(held) if place(held) >= place(version) => Ok(()),
            Some(held) => Err(blame(view, id, format!("acked version {version} while holding {held}"))),
            None => Err(blame(view, id, format!("acked version {version} without a record"))),
        }
    },
};

/// P7. One cause changes an owner's state once, however often it is delivered or asked for.
const EFFECTIVELY_ONCE: StepProperty = StepProperty {
    name: "EffectivelyOnce",
    watches: Watch::SAVES,
    judge: |view| {
        for change in view.changes::<Order>() {
            if let (Some(before), Some(after)) = (change.before, change.after)
                && before.status == after.status
            {
                let detail = format!("version {} was made and the status stayed as it was", after.version);
                return Err(blame(view, change.id, detail));
            }
        }
        let Some(index) = view.step.delivery.filter(|index| view.world.broker().effects(*index) > 1) else {
            return Ok(());
        };
        let owned =
            view.changes::<Ticket>().map(|change| change.id).chain(view.changes::<Order>().map(|change| change.id));
        match owned.into_iter().next() {
            Some(record) => {
                let name = view.world.broker().name(index);
                Err(blame(view, record, format!("{name} changed the owner's state again")))
            }
            None => Ok(()),
        }
    },
};

/// P9. A ticket is edited only while no order has it, in the tickets service's own eyes.
const NO_EDIT_WHILE_LOCKED: StepProperty = StepProperty {
    name: "NoEditWhileLocked",
    watches: Watch::SAVES,
    judge: |view| {
        if view.step.answer != Some(Answer::Command(Ok(()))) {
            return Ok(());
        }
        for change in view.changes::<Ticket>() {
            if let Some(before) = change.before
                && before.lock != Lock::Free
            {
                return Err(blame(view, change.id, format!("edited while locked {}", in_words(before.lock))));
            }
        }
        Ok(())
    },
};

/// P10, first half. A lock never passes from one order to another directly.
const NO_LOCK_OVERWRITE: StepProperty = StepProperty {
    name: "NoLockOverwrite",
    watches: Watch::SAVES,
    judge: |view| {
        each_lock(view, |_, before, after| match (before, after) {
            (Lock::By(before), Lock::By(after)) if before != after => {
                Err(format!("the lock passed from {before} to {after}"))
            }
            _ => Ok(()),
        })
    },
};

/// P10, second half. An order's lock is taken by its own `order:created` and released by its own
/// `order:cancelled`, and by nothing else.
const NO_FOREIGN_RELEASE: StepProperty = StepProperty {
    name: "NoForeignRelease",
    watches: Watch::SAVES,
    judge: |view| {
        each_lock(view, |cause, before, after| match (before, after, cause) {
            (Lock::By(order), Lock::Free, Some(TicketingEvent::OrderCancelled { id, .. })) if *id == order => Ok(()),
            (Lock::Free, Lock::By(order), Some(TicketingEvent::OrderCreated { id, .. })) if *id == order => Ok(()),
            (Lock::By(order), Lock::Free, _) => Err(format!("the lock of {order} was released by another cause")),
            (Lock::Free, Lock::By(order), _) => Err(format!("the lock of {order} was taken by another cause")),
            _ => Ok(()),
        })
    },
};

fn each_lock(
    view: &View<'_, Ticketing>,
    judge: impl Fn(Option<&TicketingEvent>, Lock, Lock) -> Result<(), String>,
) -> Result<(), Violation> {
    for change in view.changes::<Ticket>() {
        if let (Some(before), Some(after)) = (change.before, change.after) {
            let cause = view.delivery().map(|(_, message)| &message.event);
            judge(cause, before.lock, after.lock).map_err(|detail| blame(view, change.id, detail))?;
        }
    }
    Ok(())
}

fn in_words(lock: Lock) -> String {
    match lock {
        Lock::Free => "by nobody".to_owned(),
        Lock::Taken => "by somebody".to_owned(),
        Lock::By(order) => format!("by {order}"),
    }
}

/// P11. A ticket has at most one live order.
const AT_MOST_ONE_LIVE_ORDER: StepProperty = StepProperty {
    name: "AtMostOneLiveOrder",
    watches: Watch::SAVES,
    judge: |view| {
        for change in view.changes::<Order>() {
            let Some(after) = change.after.filter(|after| after.status.is_live()) else { continue };
            let store = view.world.store_of("orders");
            let mut live =
                store.all::<Order>().filter(|(_, order)| order.ticket == after.ticket && order.status.is_live());
            if let Some((other, _)) = live.find(|(id, _)| *id != change.id) {
                return Err(blame(
                    view,
                    change.id,
                    format!("{} has two live orders, {other} and {}", after.ticket, change.id),
                ));
            }
        }
        Ok(())
    },
};

/// P12. A cancelled or complete order stays so.
const TERMINAL_STATUS: StepProperty = StepProperty {
    name: "TerminalStatus",
    watches: Watch::SAVES,
    judge: |view| {
        for change in view.changes::<Order>() {
            if let (Some(before), Some(after)) = (change.before, change.after)
                && before.status.is_terminal()
                && before.status != after.status
            {
                let detail = format!("{:?} became {:?}", before.status, after.status);
                return Err(blame(view, change.id, detail));
            }
        }
        Ok(())
    },
};

/// C1. Whenever nothing is under way, the orders service holds every ticket with the version, title
/// and price the tickets service gave it.
struct TicketReplicaConverged;

impl Property<Ticketing> for TicketReplicaConverged {
    fn name(&self) -> &'static str {
        "TicketReplicaConverged"
    }

    fn at_quiescence(&self, world: &World<Ticketing>) -> Result<(), Violation> {
        let (tickets, orders) = (world.store_of("tickets"), world.store_of("orders"));
        for (id, ticket) in tickets.all::<Ticket>() {
            let replica = orders.find::<TicketReplica>(id);
            let same = |replica: &&Versioned<TicketReplica>| {
                (replica.version, &replica.title, replica.price) == (ticket.version, &ticket.title, ticket.price)
            };
            if replica.filter(same).is_some() {
                continue;
            }
            let found =
                replica.map_or("nothing".to_owned(), |held| format!("version {} at {}", held.version, held.price));
            let detail = format!("expected version {} at {}, found {found}", ticket.version, ticket.price);
            return Err(Violation::at("orders").of(id).because(detail));
        }
        Ok(())
    }
}

/// C3. Whenever nothing is under way, a ticket is locked by an order exactly if that order is the
/// live one, and free exactly if none is.
struct ReservationAgreement;

impl Property<Ticketing> for ReservationAgreement {
    fn name(&self) -> &'static str {
        "ReservationAgreement"
    }

    fn at_quiescence(&self, world: &World<Ticketing>) -> Result<(), Violation> {
        let (tickets, orders) = (world.store_of("tickets"), world.store_of("orders"));
        for (id, ticket) in tickets.all::<Ticket>() {
            let mut live = orders.all::<Order>().filter(|(_, order)| order.ticket == id && order.status.is_live());
            let live = live.next().map(|(order, _)| order);
            let agree = match ticket.lock {
                Lock::Free => live.is_none(),
                Lock::Taken => live.is_some(),
                Lock::By(order) => live == Some(order),
            };
            if !agree {
                let live = live.map_or("none".to_owned(), |order| order.to_string());
                let detail = format!("the ticket is locked {}, its live order is {live}", in_words(ticket.lock));
                return Err(Violation::at("tickets").of(id).because(detail));
            }
        }
        Ok(())
    }
}
