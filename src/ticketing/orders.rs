//! The orders service: keeps replicas of tickets, owns the orders that reserve them.

use std::time::Duration;

use super::coded::{Declared, Declares};
use super::messages::{
    EXPIRATION_COMPLETE, PAYMENT_CREATED, Request, TICKET_CREATED, TICKET_UPDATED, Ticketing, TicketingEvent, What,
};
use super::records::{Lock, Order, Status, Text, TicketReplica};
use super::replicas::Announced;
use super::rules::{CloseRule, OrdersRules};
use super::tickets::{NOT_YOURS, SIGNED_OUT, TAKEN_ID, VERSION_ERROR};
use crate::event::Event;
use crate::ids::{RecordId, Subject, Version};
use crate::service::{AckTiming, Context, Outcome, PublishMode, Rejection, Service, Work};
use crate::store::{Schema, VersionPolicy, Versioned};

/// How long a buyer has to pay.
pub const EXPIRATION_WINDOW: Duration = Duration::from_secs(60);

/// The orders service.
#[derive(Clone, Copy, Debug)]
pub struct Orders(pub OrdersRules);

type Ctx<'a> = Context<'a, Ticketing>;

const NO_TICKET: Rejection = Rejection { status: 404, reason: "no such ticket" };
pub(super) const NO_ORDER: Rejection = Rejection { status: 404, reason: "no such order" };
pub(super) const RESERVED: Rejection = Rejection { status: 400, reason: "ticket is already reserved" };
const COMPLETE: Rejection = Rejection { status: 400, reason: "order is complete" };

impl Declares for Orders {
    fn declare(&self, to: &mut impl Declared) {
        to.keeps::<TicketReplica>(self.0.tickets.versions);
        to.owns::<Order>(VersionPolicy::EVERY_SAVE);
    }
}

impl Service<Ticketing> for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn collections(&self, schema: &mut Schema) {
        self.declare(schema);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[TICKET_CREATED, TICKET_UPDATED, EXPIRATION_COMPLETE, PAYMENT_CREATED] }
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
        match *event {
            TicketingEvent::TicketCreated { id, version, ref title, price, .. } => {
                let event = Announced { id, version, previous: None };
                self.0.tickets.take_first(ctx.store, event, TicketReplica { title: title.clone(), price })
            }
            TicketingEvent::TicketUpdated { id, version, previous, ref title, price, lock, .. } => {
                let event = Announced { id, version, previous };
                let replica = TicketReplica { title: title.clone(), price };
                let answer = self.0.tickets.take_next(ctx.store, event, |_| Some(replica));
                if self.0.saga && answer == Outcome::Ack { self.on_reserved(lock, price, ctx) } else { answer }
            }
            TicketingEvent::ExpirationComplete { order } => self.on_expired(order, ctx),
            TicketingEvent::PaymentCreated { id, order } => self.on_paid(order, id, ctx),
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

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.0.publish.of(work)
    }

    fn ack_timing(&self) -> AckTiming {
        if self.0.acks_early { AckTiming::BeforeSave } else { AckTiming::AfterSave }
    }
}

fn own_order(id: RecordId, user: &Text, ctx: &Ctx<'_>) -> Result<Versioned<Order>, Rejection> {
    let held = ctx.store.find::<Order>(id).ok_or(NO_ORDER)?;
    if held.user == *user { Ok(held.clone()) } else { Err(NOT_YOURS) }
}

/// Commands.
impl Orders {
    fn create(&self, id: RecordId, ticket: RecordId, user: &Text, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let replica = self.0.tickets.find::<TicketReplica>(ctx.store, ticket).ok_or(NO_TICKET)?.clone();
        let blocks = |order: &Order| order.ticket == ticket && order.status.is_live();
        if ctx.store.all::<Order>().any(|(_, order)| blocks(order)) {
            return Err(RESERVED);
        }
        let expires_at = ctx.now().after(EXPIRATION_WINDOW);
        let price = replica.price;
        let order = Order { user: user.clone(), status: Status::Created, expires_at, ticket, price };
        let inserted = if self.0.unique_live_order {
            ctx.store.insert_unless(id, order, blocks)
        } else {
            ctx.store.insert(id, order)
        };
        let version = inserted.map_err(|taken| if taken.0 == id { TAKEN_ID } else { RESERVED })?;
        let (status, user) = (Status::Created, user.clone());
        ctx.publish(TicketingEvent::OrderCreated { id, version, status, user, expires_at, ticket, price });
        if self.0.raises_replica {
            ctx.store.save_if_current(ticket, replica.value, replica.version).map_err(|_| VERSION_ERROR)?;
        }
        Ok(())
    }

    fn cancel(&self, id: RecordId, user: &Text, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let order = own_order(id, user, ctx)?;
        match order.status {
            Status::Cancelled if !self.0.cancel.cancelled => Ok(()),
            Status::Complete if !self.0.cancel.complete => Err(COMPLETE),
            _ => close(id, order, ctx).map_err(|_| VERSION_ERROR),
        }
    }
}

/// Listeners.
impl Orders {
    /// A ticket was locked by an order: the order may be paid if the price is still the one it was
    /// made for, and is cancelled otherwise.
    fn on_reserved(&self, lock: Lock, price: u32, ctx: &mut Ctx<'_>) -> Outcome {
        let held = lock.order().and_then(|id| ctx.store.find::<Order>(id).map(|order| (id, order.clone())));
        let Some((id, order)) = held.filter(|(_, order)| order.status == Status::Created) else {
            return Outcome::Ack;
        };
        let moved = if order.price == price {
            advance(id, order, Status::AwaitingPayment, ctx)
                .map(|version| ctx.publish(TicketingEvent::OrderReserved { id, version }))
        } else {
            close(id, order, ctx)
        };
        moved.map_or_else(|answer| answer, |()| Outcome::Ack)
    }

    /// L3: the time to pay is over.
    fn on_expired(&self, id: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
        let CloseRule { cancelled, complete } = self.0.expire;
        let Some(order) = ctx.store.find::<Order>(id).cloned() else {
            return Outcome::Silent("order unknown");
        };
        match order.status {
            Status::Cancelled if !cancelled => Outcome::Ack,
            Status::Complete if !complete => Outcome::Ack,
            _ => close(id, order, ctx).map_or_else(|answer| answer, |()| Outcome::Ack),
        }
    }

    /// L4: an order was paid for.
    fn on_paid(&self, id: RecordId, payment: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
        let rules = self.0.paid;
        let Some(order) = ctx.store.find::<Order>(id).cloned() else {
            return Outcome::Silent("order unknown");
        };
        match order.status {
            Status::Complete if !rules.again => return Outcome::Ack,
            Status::Cancelled if !rules.revives => {
                if rules.refunds {
                    ctx.publish(TicketingEvent::RefundRequested { payment, order: id });
                }
                return Outcome::Ack;
            }
            _ => {}
        }
        match advance(id, order, Status::Complete, ctx) {
            Ok(version) if rules.publishes => ctx.publish(TicketingEvent::OrderCompleted { id, version }),
            Ok(_) => {}
            Err(answer) => return answer,
        }
        Outcome::Ack
    }
}

fn close(id: RecordId, order: Versioned<Order>, ctx: &mut Ctx<'_>) -> Result<(), Outcome> {
    let ticket = order.ticket;
    let version = advance(id, order, Status::Cancelled, ctx)?;
    ctx.publish(TicketingEvent::OrderCancelled { id, version, ticket });
    Ok(())
}

fn advance(id: RecordId, order: Versioned<Order>, status: Status, ctx: &mut Ctx<'_>) -> Result<Version, Outcome> {
    let changed = Order { status, ..order.value };
    ctx.store.save_if_current(id, changed, order.version).map_err(|_| Outcome::Silent("version error"))
}
