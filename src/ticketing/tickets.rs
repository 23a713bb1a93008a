//! The tickets service: owns tickets, locks those that are ordered.

use super::coded::{Declared, Declares};
use super::messages::{Request, Ticketing, TicketingEvent, What};
use super::records::{Lock, Reservation, SeenOrder, Text, Ticket};
use super::rules::{LockKind, LockPlace, OrderMemory, ReleaseRule, TakeRule, TicketsRules};
use crate::event::Event;
use crate::ids::{RecordId, Subject, Version};
use crate::service::{Context, Outcome, PublishMode, Rejection, Service, Work};
use crate::store::{Schema, Store, VersionPolicy, Versioned};

/// The tickets service.
#[derive(Clone, Copy, Debug)]
pub struct Tickets(pub TicketsRules);

type Ctx<'a> = Context<'a, Ticketing>;

pub(super) const SIGNED_OUT: Rejection = Rejection { status: 401, reason: "not signed in" };
pub(super) const NOT_YOURS: Rejection = Rejection { status: 401, reason: "somebody else's" };
pub(super) const VERSION_ERROR: Rejection = Rejection { status: 400, reason: "version error" };
const UNKNOWN: Rejection = Rejection { status: 404, reason: "no such ticket" };
pub(super) const RESERVED: Rejection = Rejection { status: 400, reason: "ticket is reserved" };
const BAD_TITLE: Rejection = Rejection { status: 400, reason: "title is empty" };
const BAD_PRICE: Rejection = Rejection { status: 400, reason: "price is not above 0" };
pub(super) const TAKEN_ID: Rejection = Rejection { status: 400, reason: "id is taken" };

impl Declares for Tickets {
    fn declare(&self, to: &mut impl Declared) {
        to.owns::<Ticket>(self.0.versions);
        if self.0.lock.memory != OrderMemory::Nothing {
            to.keeps::<SeenOrder>(VersionPolicy::EVERY_SAVE);
        }
        to.keeps::<Reservation>(VersionPolicy::EVERY_SAVE);
    }
}

impl Service<Ticketing> for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn collections(&self, schema: &mut Schema) {
        self.declare(schema);
    }

    fn subjects(&self) -> &[Subject] {
        self.0.listens
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
        match *event {
            TicketingEvent::OrderCreated { id, version, ticket, .. } => self.on_order_created(id, version, ticket, ctx),
            TicketingEvent::OrderCancelled { id, version, ticket } => self.on_order_cancelled(id, version, ticket, ctx),
            _ => unreachable!("{} is not subscribed to", event.subject()),
        }
    }

    fn execute(&self, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        match &request.what {
            What::CreateTicket { ticket, title, price } => create(*ticket, title, *price, request, ctx),
            What::EditTicket { ticket, title, price } => self.edit(*ticket, title.as_ref(), *price, request, ctx),
            What::ShowTicket { ticket } => ctx.store.find::<Ticket>(*ticket).map(|_| ()).ok_or(UNKNOWN),
            _ => unreachable!("addressed to another service"),
        }
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.0.publish.of(work)
    }
}

fn create(id: RecordId, title: &Text, price: u32, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
    let user = request.user.clone().ok_or(SIGNED_OUT)?;
    validate(title, price)?;
    let ticket = Ticket { title: title.clone(), price, user: user.clone(), lock: Lock::Free };
    let version = ctx.store.insert(id, ticket).map_err(|_| TAKEN_ID)?;
    ctx.publish(TicketingEvent::TicketCreated { id, version, title: title.clone(), price, user });
    Ok(())
}

fn validate(title: &str, price: u32) -> Result<(), Rejection> {
    match (title.is_empty(), price == 0) {
        (true, _) => Err(BAD_TITLE),
        (_, true) => Err(BAD_PRICE),
        _ => Ok(()),
    }
}

impl Tickets {
    fn edit(
        &self,
        id: RecordId,
        title: Option<&Text>,
        price: u32,
        request: &Request,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), Rejection> {
        let user = request.user.as_ref().ok_or(SIGNED_OUT)?;
        validate(title.map_or("unchanged", |title| title), price)?;
        let held = ctx.store.find::<Ticket>(id).ok_or(UNKNOWN)?.clone();
        if self.0.reject_reserved_edits && lock_of(ctx.store, id, &held) != Lock::Free {
            return Err(RESERVED);
        }
        if held.user != *user {
            return Err(NOT_YOURS);
        }
        let title = title.unwrap_or(&held.title).clone();
        let edited = Ticket { title, price, ..held.value };
        let save = if self.0.optimistic_edits { save_if_current } else { save_regardless };
        let version = save(ctx.store, id, edited.clone(), held.version).ok_or(VERSION_ERROR)?;
        publish_update(id, version, held.version, edited, ctx);
        Ok(())
    }

    /// L5: a ticket was ordered.
    fn on_order_created(&self, order: RecordId, version: Version, ticket: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
        let Some(held) = ctx.store.find::<Ticket>(ticket).cloned() else {
            return Outcome::Silent("ticket unknown");
        };
        let rules = self.0.lock;
        let seen = self.seen(order, ctx);
        if seen.as_ref().is_some_and(|seen| seen.seen >= version) {
            return Outcome::Ack;
        }
        let note = SeenOrder { seen: version, cancelled: false };
        match (rules.take, lock_of(ctx.store, ticket, &held)) {
            (TakeRule::Overwrite, _) | (_, Lock::Free) => {}
            (TakeRule::FreeOrOwn, Lock::By(holder)) if holder == order => {}
            (TakeRule::WhenFree, Lock::By(holder)) if holder == order => return Outcome::Ack,
            // A flag does not say whose it is, so it may be this order's.
            (_, Lock::Taken) => return self.note(order, note, seen, ctx),
            // Orders allows one live order, so the cancel of the other one is on its way.
            (_, Lock::By(_)) => return Outcome::nak("another order holds the ticket"),
        }
        let lock = match rules.kind {
            LockKind::Flag => Lock::Taken,
            LockKind::OrderId => Lock::By(order),
        };
        match self.set_lock(ticket, held, lock, ctx) {
            Ok(()) => self.note(order, note, seen, ctx),
            Err(answer) => answer,
        }
    }

    /// L6: an order is off.
    fn on_order_cancelled(&self, order: RecordId, version: Version, ticket: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
        let Some(held) = ctx.store.find::<Ticket>(ticket).cloned() else {
            return Outcome::Silent("ticket unknown");
        };
        let rules = self.0.lock;
        let seen = self.seen(order, ctx);
        let before = seen.as_ref().map(|seen| seen.seen);
        if before >= Some(version) {
            return Outcome::Ack;
        }
        // Otherwise a gap does not matter: a cancel is the last word on its order.
        if rules.memory == OrderMemory::StrictLedger && before.is_none_or(|before| before.0 + 1 < version.0) {
            return Outcome::nak("a version of the order is missing");
        }
        let note = SeenOrder { seen: version, cancelled: true };
        let lock = lock_of(ctx.store, ticket, &held);
        let own = lock == Lock::Taken || lock == Lock::By(order);
        match rules.release {
            ReleaseRule::Own if !own => return self.note(order, note, seen, ctx),
            ReleaseRule::OwnOrThrow if !own => return Outcome::Silent("the lock is not this order's"),
            _ => {}
        }
        match self.set_lock(ticket, held, Lock::Free, ctx) {
            Ok(()) => self.note(order, note, seen, ctx),
            Err(answer) => answer,
        }
    }

    /// Saves a lock, and publishes the ticket if its version grew by that and the rules say so.
    fn set_lock(&self, id: RecordId, held: Versioned<Ticket>, lock: Lock, ctx: &mut Ctx<'_>) -> Result<(), Outcome> {
        let rules = self.0.lock;
        let conflict = if rules.swallow_conflicts { Outcome::Ack } else { Outcome::Silent("version error") };
        if rules.place == LockPlace::Beside {
            return if save_beside(ctx.store, id, lock) { Ok(()) } else { Err(conflict) };
        }
        let ticket = Ticket { lock, ..held.value };
        let version = save_if_current(ctx.store, id, ticket.clone(), held.version).ok_or(conflict)?;
        let publish = if lock == Lock::Free { rules.publish_released } else { rules.publish_taken };
        if publish {
            publish_update(id, version, held.version, ticket, ctx);
        }
        Ok(())
    }

    fn seen(&self, order: RecordId, ctx: &Ctx<'_>) -> Option<Versioned<SeenOrder>> {
        let remembers = self.0.lock.memory != OrderMemory::Nothing;
        remembers.then(|| ctx.store.find::<SeenOrder>(order).cloned())?
    }

    /// Remembers what was seen of an order, if the rules say so, and acks. Another member that got
    /// there first is a conflict like any other.
    fn note(
        &self,
        order: RecordId,
        note: SeenOrder,
        before: Option<Versioned<SeenOrder>>,
        ctx: &mut Ctx<'_>,
    ) -> Outcome {
        let remembers = match self.0.lock.memory {
            OrderMemory::Nothing => false,
            OrderMemory::Tombstones => note.cancelled,
            OrderMemory::Ledger | OrderMemory::StrictLedger => true,
        };
        let written = match before {
            _ if !remembers => true,
            None => ctx.store.insert(order, note).is_ok(),
            Some(before) => ctx.store.save_if_current(order, note, before.version).is_ok(),
        };
        if written { Outcome::Ack } else { Outcome::Silent("version error") }
    }
}

fn save_if_current(store: &mut Store, id: RecordId, ticket: Ticket, read: Version) -> Option<Version> {
    store.save_if_current(id, ticket, read).ok()
}

fn save_regardless(store: &mut Store, id: RecordId, ticket: Ticket, read: Version) -> Option<Version> {
    Some(store.overwrite(id, ticket, Some(read)))
}

fn publish_update(id: RecordId, version: Version, read: Version, ticket: Ticket, ctx: &mut Ctx<'_>) {
    let Ticket { title, price, user, lock } = ticket;
    let previous = Some(read);
    ctx.publish(TicketingEvent::TicketUpdated { id, version, previous, title, price, user, lock });
}

/// The reservation of a ticket, wherever it is kept.
pub(super) fn lock_of(store: &Store, id: RecordId, ticket: &Ticket) -> Lock {
    store.find::<Reservation>(id).map_or(ticket.lock, |beside| beside.lock)
}

fn save_beside(store: &mut Store, id: RecordId, lock: Lock) -> bool {
    let beside = Reservation { lock };
    match store.find::<Reservation>(id).map(|held| held.version) {
        None => store.insert(id, beside).is_ok(),
        Some(version) => store.save_if_current(id, beside, version).is_ok(),
    }
}
