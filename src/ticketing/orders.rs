//! The orders service: keeps replicas of tickets, owns the orders that reserve them.

use std::time::Duration;

use super::messages::{Request, TICKET_CREATED, TICKET_UPDATED, Ticketing, TicketingEvent, What};
use super::records::{Order, Status, Text, TicketReplica};
use super::rules::{ApplyRule, CreateRule, Fit, OrdersRules, fit, fit_in_chain};
use super::tickets::{NOT_YOURS, SIGNED_OUT, TAKEN_ID, VERSION_ERROR};
use crate::event::Event;
use crate::ids::{RecordId, Subject, Version};
use crate::service::{Context, Outcome, PublishMode, Rejection, Service};
use crate::store::{Schema, VersionPolicy};

/// How long a buyer has to pay.
pub const EXPIRATION_WINDOW: Duration = Duration::from_secs(60);

/// The orders service.
#[derive(Clone, Copy, Debug)]
pub struct Orders(pub OrdersRules);

type Ctx<'a> = Context<'a, Ticketing>;

const NO_TICKET: Rejection = Rejection { status: 404, reason: "no such ticket" };
const NO_ORDER: Rejection = Rejection { status: 404, reason: "no such order" };
const RESERVED: Rejection = Rejection { status: 400, reason: "ticket is already reserved" };
const COMPLETE: Rejection = Rejection { status: 400, reason: "order is complete" };

impl Service<Ticketing> for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<TicketReplica>(VersionPolicy::EVERY_SAVE);
        schema.owns::<Order>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[TICKET_CREATED, TICKET_UPDATED] }
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
        match event {
            TicketingEvent::TicketCreated { id, title, price, .. } => self.on_ticket_created(*id, title, *price, ctx),
            TicketingEvent::TicketUpdated { id, version, previous, title, price, .. } => {
                let replica = TicketReplica { title: title.clone(), price: *price };
                self.on_ticket_updated(*id, *version, *previous, replica, ctx)
            }
            _ => unreachable!("{} is not subscribed to", event.subject()),
        }
    }

    fn execute(&self, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let user = request.user.as_ref().ok_or(SIGNED_OUT)?;
        match request.what {
            What::CreateOrder { order, ticket } => self.create(order, ticket, user, ctx),
            What::ShowOrder { order } => own_order(order, user, ctx).map(|_| ()),
            What::CancelOrder { order } => self.cancel(order, user, ctx),
            _ => unreachable!("addressed to another service"),
        }
    }

    fn publish_mode(&self) -> PublishMode {
        self.0.publish
    }
}

fn own_order(id: RecordId, user: &Text, ctx: &Ctx<'_>) -> Result<(Order, Version), Rejection> {
    let held = ctx.store.find::<Order>(id).ok_or(NO_ORDER)?;
    if held.user == *user { Ok((held.value.clone(), held.version)) } else { Err(NOT_YOURS) }
}

impl Orders {
    /// L1: a ticket was put up for sale.
    fn on_ticket_created(&self, id: RecordId, title: &Text, price: u32, ctx: &mut Ctx<'_>) -> Outcome {
        let known = ctx.store.find::<TicketReplica>(id).is_some();
        if known && self.0.create == CreateRule::InsertOrAck {
            return Outcome::Ack;
        }
        match ctx.store.insert(id, TicketReplica { title: title.clone(), price }) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("duplicate key"),
        }
    }

    /// L2: a ticket changed.
    fn on_ticket_updated(
        &self,
        id: RecordId,
        version: Version,
        previous: Option<Version>,
        replica: TicketReplica,
        ctx: &mut Ctx<'_>,
    ) -> Outcome {
        let held = ctx.store.find::<TicketReplica>(id).map(|held| (held.version, held.previous));
        let held_version = held.map(|(version, _)| version);
        let (fit, rule) = match self.0.apply {
            ApplyRule::Chain => (fit_in_chain(held, version, previous), ApplyRule::ThreeWay),
            rule => (fit(held_version, version), rule),
        };
        let Some(held) = held_version else {
            return refuse(rule, "ticket unknown");
        };
        match (rule, fit) {
            (ApplyRule::ThreeWay | ApplyRule::LastWriter, Fit::Stale) => return Outcome::Ack,
            (ApplyRule::Strict | ApplyRule::ThreeWay, Fit::Gap) => return refuse(rule, "a version is missing"),
            (ApplyRule::Strict, Fit::Stale) => return refuse(rule, "the version before is not there"),
            _ => {}
        }
        let saved = match self.0.apply {
            ApplyRule::LastWriter | ApplyRule::Chain => ctx.store.save_as(id, replica, held, version),
            _ => ctx.store.save_if_current(id, replica, held),
        };
        match saved {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("version error"),
        }
    }

    fn create(&self, id: RecordId, ticket: RecordId, user: &Text, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let price = ctx.store.find::<TicketReplica>(ticket).ok_or(NO_TICKET)?.price;
        let blocks = |order: &Order| order.ticket == ticket && order.status.is_live();
        if ctx.store.all::<Order>().any(|(_, order)| blocks(order)) {
            return Err(RESERVED);
        }
        let expires_at = ctx.now().after(EXPIRATION_WINDOW);
        let order = Order { user: user.clone(), status: Status::Created, expires_at, ticket, price };
        let inserted = if self.0.unique_live_order {
            ctx.store.insert_unless(id, order, blocks)
        } else {
            ctx.store.insert(id, order)
        };
        let version = inserted.map_err(|taken| if taken.0 == id { TAKEN_ID } else { RESERVED })?;
        let (status, user) = (Status::Created, user.clone());
        ctx.publish(TicketingEvent::OrderCreated { id, version, status, user, expires_at, ticket, price });
        Ok(())
    }

    fn cancel(&self, id: RecordId, user: &Text, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let (order, read) = own_order(id, user, ctx)?;
        match order.status {
            Status::Cancelled if self.0.guarded_cancel => return Ok(()),
            Status::Complete if self.0.guarded_cancel => return Err(COMPLETE),
            _ => {}
        }
        let ticket = order.ticket;
        let cancelled = Order { status: Status::Cancelled, ..order };
        let version = ctx.store.save_if_current(id, cancelled, read).map_err(|_| VERSION_ERROR)?;
        ctx.publish(TicketingEvent::OrderCancelled { id, version, ticket });
        Ok(())
    }
}

/// How a handler says "not yet": the course's listeners throw, the reference answers nak.
fn refuse(rule: ApplyRule, reason: &'static str) -> Outcome {
    match rule {
        ApplyRule::Blind | ApplyRule::Strict => Outcome::Silent(reason),
        ApplyRule::ThreeWay | ApplyRule::LastWriter | ApplyRule::Chain => Outcome::nak(reason),
    }
}
