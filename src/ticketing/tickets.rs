//! The tickets service: owns tickets, locks those that are ordered.

use super::messages::{ORDER_CANCELLED, ORDER_CREATED, Request, Ticketing, TicketingEvent, What};
use super::records::{Lock, SeenOrder, Text, Ticket};
use super::rules::{LockStrategy, TicketsRules};
use crate::event::Event;
use crate::ids::{RecordId, Subject, Version};
use crate::service::{Context, Outcome, PublishMode, Rejection, Service};
use crate::store::{Schema, VersionPolicy, Versioned};

/// The tickets service.
#[derive(Clone, Copy, Debug)]
pub struct Tickets(pub TicketsRules);

type Ctx<'a> = Context<'a, Ticketing>;

pub(super) const SIGNED_OUT: Rejection = Rejection { status: 401, reason: "not signed in" };
pub(super) const NOT_YOURS: Rejection = Rejection { status: 401, reason: "somebody else's" };
pub(super) const VERSION_ERROR: Rejection = Rejection { status: 400, reason: "version error" };
const UNKNOWN: Rejection = Rejection { status: 404, reason: "no such ticket" };
const RESERVED: Rejection = Rejection { status: 400, reason: "ticket is reserved" };
const BAD_TITLE: Rejection = Rejection { status: 400, reason: "title is empty" };
const BAD_PRICE: Rejection = Rejection { status: 400, reason: "price is not above 0" };
pub(super) const TAKEN_ID: Rejection = Rejection { status: 400, reason: "id is taken" };

impl Service<Ticketing> for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Ticket>(self.0.versions);
        schema.keeps::<SeenOrder>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        match self.0.lock {
            LockStrategy::None => &[],
            _ => const { &[ORDER_CREATED, ORDER_CANCELLED] },
        }
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

    fn publish_mode(&self) -> PublishMode {
        self.0.publish
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
        if self.0.reject_reserved_edits && held.lock != Lock::Free {
            return Err(RESERVED);
        }
        if held.user != *user {
            return Err(NOT_YOURS);
        }
        let title = title.unwrap_or(&held.title).clone();
        let edited = Ticket { title, price, ..held.value };
        save_and_publish(id, edited, held.version, true, ctx).map_err(|_| VERSION_ERROR)
    }

    /// L5: a ticket was ordered.
    fn on_order_created(&self, order: RecordId, version: Version, ticket: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
        let Some(held) = ctx.store.find::<Ticket>(ticket).cloned() else {
            return Outcome::Silent("ticket unknown");
        };
        match self.0.lock {
            LockStrategy::None => Outcome::Ack,
            LockStrategy::Boolean => self.set_lock(ticket, held, Lock::Taken, ctx),
            LockStrategy::OrderId => self.set_lock(ticket, held, Lock::By(order), ctx),
            LockStrategy::OrderIdWithLedger => match (seen(order, ctx), held.lock) {
                (Some(seen), _) if seen.seen >= version => Outcome::Ack,
                (before, Lock::Free) => match note_seen(order, version, before.as_ref(), ctx) {
                    Ok(()) => self.set_lock(ticket, held, Lock::By(order), ctx),
                    Err(outcome) => outcome,
                },
                // O allows one live order, so the cancel of the other one is on its way.
                _ => Outcome::nak("another order holds the ticket"),
            },
        }
    }

    /// L6: an order is off.
    fn on_order_cancelled(&self, order: RecordId, version: Version, ticket: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
        let Some(held) = ctx.store.find::<Ticket>(ticket).cloned() else {
            return Outcome::Silent("ticket unknown");
        };
        match self.0.lock {
            LockStrategy::None => Outcome::Ack,
            LockStrategy::Boolean | LockStrategy::OrderId => self.set_lock(ticket, held, Lock::Free, ctx),
            LockStrategy::OrderIdWithLedger => match seen(order, ctx) {
                Some(seen) if seen.seen >= version => Outcome::Ack,
                // A gap does not matter: a cancel is the last word on its order.
                before => match note_seen(order, version, before.as_ref(), ctx) {
                    Ok(()) if held.lock == Lock::By(order) => self.set_lock(ticket, held, Lock::Free, ctx),
                    Ok(()) => Outcome::Ack,
                    Err(outcome) => outcome,
                },
            },
        }
    }

    fn set_lock(&self, id: RecordId, held: Versioned<Ticket>, lock: Lock, ctx: &mut Ctx<'_>) -> Outcome {
        let ticket = Ticket { lock, ..held.value };
        match save_and_publish(id, ticket, held.version, self.0.publish_locks, ctx) {
            Ok(()) => Outcome::Ack,
            Err(outcome) => outcome,
        }
    }
}

fn save_and_publish(
    id: RecordId,
    ticket: Ticket,
    read: Version,
    publish: bool,
    ctx: &mut Ctx<'_>,
) -> Result<(), Outcome> {
    let Ticket { title, price, user, lock } = ticket.clone();
    let version = ctx.store.save_if_current(id, ticket, read).map_err(|_| Outcome::Silent("version error"))?;
    if publish {
        let previous = Some(read);
        ctx.publish(TicketingEvent::TicketUpdated { id, version, previous, title, price, user, lock });
    }
    Ok(())
}

fn seen(order: RecordId, ctx: &Ctx<'_>) -> Option<Versioned<SeenOrder>> {
    ctx.store.find::<SeenOrder>(order).cloned()
}

/// Writes the ledger; another member that got there first is a conflict like any other.
fn note_seen(
    order: RecordId,
    version: Version,
    before: Option<&Versioned<SeenOrder>>,
    ctx: &mut Ctx<'_>,
) -> Result<(), Outcome> {
    let entry = SeenOrder { seen: version };
    let written = match before {
        None => ctx.store.insert(order, entry).is_ok(),
        Some(before) => ctx.store.save_if_current(order, entry, before.version).is_ok(),
    };
    if written { Ok(()) } else { Err(Outcome::Silent("version error")) }
}
