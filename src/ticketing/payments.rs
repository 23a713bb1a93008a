//! The payments service: keeps replicas of orders, charges for them, gives payments back.

use super::coded::{Declared, Declares};
use super::messages::{
    ORDER_CANCELLED, ORDER_COMPLETED, ORDER_CREATED, ORDER_RESERVED, REFUND_REQUESTED, Request, Ticketing,
    TicketingEvent, What,
};
use super::orders::NO_ORDER;
use super::records::{OrderReplica, Payment, Status, Text};
use super::replicas::Announced;
use super::rules::PaymentsRules;
use super::tickets::{NOT_YOURS, SIGNED_OUT, TAKEN_ID};
use crate::event::Event;
use crate::ids::{RecordId, Subject, Version};
use crate::service::{Context, Outcome, PublishMode, Rejection, Service, Work};
use crate::store::{Schema, VersionPolicy};

/// The payments service.
#[derive(Clone, Copy, Debug)]
pub struct Payments(pub PaymentsRules);

type Ctx<'a> = Context<'a, Ticketing>;

const NO_TOKEN: Rejection = Rejection { status: 400, reason: "token is missing" };
const CANCELLED: Rejection = Rejection { status: 400, reason: "order is cancelled" };
const NOT_RESERVED: Rejection = Rejection { status: 400, reason: "ticket is not reserved yet" };
const PAID: Rejection = Rejection { status: 400, reason: "order is paid" };

impl Declares for Payments {
    fn declare(&self, to: &mut impl Declared) {
        to.keeps::<OrderReplica>(self.0.orders.versions);
        to.keeps::<Payment>(VersionPolicy::EVERY_SAVE);
    }
}

impl Service<Ticketing> for Payments {
    fn name(&self) -> &'static str {
        "payments"
    }

    fn collections(&self, schema: &mut Schema) {
        self.declare(schema);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_CREATED, ORDER_CANCELLED, ORDER_RESERVED, ORDER_COMPLETED, REFUND_REQUESTED] }
    }

    fn handle(&self, event: &TicketingEvent, ctx: &mut Ctx<'_>) -> Outcome {
        match *event {
            TicketingEvent::OrderCreated { id, version, status, ref user, price, .. } => {
                let event = Announced { id, version, previous: None };
                let order = OrderReplica { user: user.clone(), price, status };
                self.0.orders.take_first(ctx.store, event, order)
            }
            TicketingEvent::OrderReserved { id, version } => self.follow(id, version, Status::AwaitingPayment, ctx),
            TicketingEvent::OrderCompleted { id, version } => self.follow(id, version, Status::Complete, ctx),
            TicketingEvent::OrderCancelled { id, version, .. } => self.follow(id, version, Status::Cancelled, ctx),
            TicketingEvent::RefundRequested { payment, .. } => refund(payment, ctx),
            _ => unreachable!("{} is not subscribed to", event.subject()),
        }
    }

    fn execute(&self, request: &Request, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        let user = request.user.as_ref().ok_or(SIGNED_OUT)?;
        match &request.what {
            What::Pay { payment, order, token } => self.pay(*payment, *order, token, user, ctx),
            _ => unreachable!("addressed to another service"),
        }
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.0.publish.of(work)
    }
}

impl Payments {
    /// L8, and the like: an order moved on. Its events are deltas: without a record they say too
    /// little to make one.
    fn follow(&self, id: RecordId, version: Version, status: Status, ctx: &mut Ctx<'_>) -> Outcome {
        let event = Announced { id, version, previous: version.0.checked_sub(1).map(Version) };
        let next = |held: Option<&OrderReplica>| Some(OrderReplica { status, ..held?.clone() });
        self.0.orders.take_next(ctx.store, event, next)
    }

    fn pay(&self, id: RecordId, order: RecordId, token: &str, user: &Text, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        if token.is_empty() {
            return Err(NO_TOKEN);
        }
        let held = self.0.orders.find::<OrderReplica>(ctx.store, order).ok_or(NO_ORDER)?;
        match held.status {
            _ if held.user != *user => return Err(NOT_YOURS),
            Status::Cancelled => return Err(CANCELLED),
            Status::Created if self.0.only_reserved => return Err(NOT_RESERVED),
            _ => {}
        }
        let payment = Payment { order, price: held.price, refunded: false };
        let inserted = if self.0.unique_payment {
            ctx.store.insert_unless(id, payment, |other: &Payment| other.order == order)
        } else {
            ctx.store.insert(id, payment)
        };
        inserted.map_err(|taken| if taken.0 == id { TAKEN_ID } else { PAID })?;
        ctx.publish(TicketingEvent::PaymentCreated { id, order });
        Ok(())
    }
}

/// Gives a payment back, once.
fn refund(id: RecordId, ctx: &mut Ctx<'_>) -> Outcome {
    let Some(payment) = ctx.store.find::<Payment>(id).cloned() else {
        return Outcome::Silent("payment unknown");
    };
    if payment.refunded {
        return Outcome::Ack;
    }
    let refunded = Payment { refunded: true, ..payment.value };
    match ctx.store.save_if_current(id, refunded, payment.version) {
        Ok(_) => Outcome::Ack,
        Err(_) => Outcome::Silent("version error"),
    }
}
