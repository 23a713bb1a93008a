//! The payment service: charges orders and gives the money back.

use pellmell::prelude::*;

use crate::messages::{ORDER_CANCELLED, ORDER_CONFIRMED, OrderEvent};
use crate::orders::Status;
use crate::{Design, OrderWorkflow};

/// What payment did for an order. It has the order's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// The customer was charged.
    Charged,
    /// The customer was charged and has the money back.
    Refunded,
    /// The order was cancelled before the customer was charged: it must not be charged any more.
    Void,
}

impl Record for Charge {
    const COLLECTION: &'static str = "charges";
    const KIND: char = 'o';
}

/// The payment service.
#[derive(Clone, Copy, Debug)]
pub struct Payment(pub Design);

type Ctx<'a> = Context<'a, OrderWorkflow>;

impl Service<OrderWorkflow> for Payment {
    fn name(&self) -> &'static str {
        "payment"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Charge>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_CONFIRMED, ORDER_CANCELLED] }
    }

    fn handle(&self, event: &OrderEvent, ctx: &mut Ctx<'_>) -> Outcome {
        let OrderEvent::Order { status, order, .. } = *event else {
            unreachable!("it listens to no other subject");
        };
        let saved = match status {
            Status::Confirmed => charge(order, ctx),
            Status::Cancelled => self.give_back(order, ctx),
            _ => unreachable!("it listens to no other subject"),
        };
        if saved { Outcome::Ack } else { Outcome::nak("the charge has changed") }
    }
}

impl Payment {
    /// The order was cancelled: refunds it, or sees to it that it is never charged.
    fn give_back(&self, order: RecordId, ctx: &mut Ctx<'_>) -> bool {
        let held = ctx.store.find::<Charge>(order).map(|held| (held.value, held.version));
        match held {
            Some((Charge::Charged, version)) => ctx.store.save_if_current(order, Charge::Refunded, version).is_ok(),
            Some((Charge::Refunded | Charge::Void, _)) => true,
            None => !self.0.payment_notes_cancels || ctx.store.insert(order, Charge::Void).is_ok(),
        }
    }
}

/// Charges an order, once.
fn charge(order: RecordId, ctx: &mut Ctx<'_>) -> bool {
    if ctx.store.find::<Charge>(order).is_some() {
        return true;
    }
    let charged = ctx.store.insert(order, Charge::Charged).is_ok();
    if charged {
        ctx.publish(OrderEvent::PaymentCharged { order });
    }
    charged
}
