//! The shipping service: sends what was paid.

use pellmell::prelude::*;

use crate::OrderWorkflow;
use crate::messages::{ORDER_PAID, OrderEvent};
use crate::orders::Status;

/// A parcel. It has the order's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Shipment {
    /// How many pieces are in it.
    pub quantity: u32,
}

impl Record for Shipment {
    const COLLECTION: &'static str = "shipments";
    const KIND: char = 'o';
}

/// The shipping service.
#[derive(Clone, Copy, Debug)]
pub struct Shipping;

impl Service<OrderWorkflow> for Shipping {
    fn name(&self) -> &'static str {
        "shipping"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Shipment>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_PAID] }
    }

    /// A paid order is final, so it is sent whenever this comes, once.
    fn handle(&self, event: &OrderEvent, ctx: &mut Context<'_, OrderWorkflow>) -> Outcome {
        let OrderEvent::Order { status: Status::Paid, order, quantity, .. } = *event else {
            unreachable!("it listens to no other subject");
        };
        // An order that was sent already is a duplicate key.
        if ctx.store.insert(order, Shipment { quantity }).is_ok() {
            ctx.publish(OrderEvent::ShipmentSent { order });
        }
        Outcome::Ack
    }
}
