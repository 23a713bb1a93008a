//! The orders service: owns the orders and decides which step of an order is next.

use pellmell::prelude::*;

use crate::OrderWorkflow;
use crate::messages::{OrderCommand, OrderEvent, PAYMENT_CHARGED, SHIPMENT_SENT, STOCK_REFUSED, STOCK_RESERVED};

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The customer has ordered; inventory is asked.
    Placed,
    /// There is too little stock. The end.
    Refused,
    /// Stock is reserved; payment is asked.
    Confirmed,
    /// The customer gave it up before it was paid. The end.
    Cancelled,
    /// It is paid; shipping is asked.
    Paid,
    /// It is on its way. The end.
    Shipped,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Order {
    /// What was ordered.
    pub item: RecordId,
    /// How many of it.
    pub quantity: u32,
    /// How far it has come.
    pub status: Status,
}

impl Record for Order {
    const COLLECTION: &'static str = "orders";
    const KIND: char = 'o';
}

/// The orders service.
#[derive(Clone, Copy, Debug)]
pub struct Orders;

type Ctx<'a> = Context<'a, OrderWorkflow>;

const UNKNOWN: Rejection = Rejection { status: 404, reason: "no such order" };
const EXISTS: Rejection = Rejection { status: 409, reason: "the order exists" };
const TOO_LATE: Rejection = Rejection { status: 409, reason: "the order cannot be cancelled any more" };
const CHANGED: Rejection = Rejection { status: 409, reason: "the order has changed" };

impl Service<OrderWorkflow> for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Order>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[STOCK_RESERVED, STOCK_REFUSED, PAYMENT_CHARGED, SHIPMENT_SENT] }
    }

    /// Another service has done its step. What comes again, or after the order was cancelled, changes nothing:
    /// whoever reserved or charged hears of the cancel and takes it back.
    fn handle(&self, event: &OrderEvent, ctx: &mut Ctx<'_>) -> Outcome {
        let (id, from, to) = match *event {
            OrderEvent::StockReserved { order } => (order, Status::Placed, Status::Confirmed),
            OrderEvent::StockRefused { order } => (order, Status::Placed, Status::Refused),
            OrderEvent::PaymentCharged { order } => (order, Status::Confirmed, Status::Paid),
            OrderEvent::ShipmentSent { order } => (order, Status::Paid, Status::Shipped),
            OrderEvent::Order { .. } => unreachable!("orders does not listen to itself"),
        };
        let Some(held) = ctx.store.find::<Order>(id).cloned() else {
            return Outcome::nak("no such order");
        };
        if held.status == from && !advance(id, &held, to, ctx) {
            return Outcome::nak("the order has changed");
        }
        Outcome::Ack
    }

    fn execute(&self, command: &OrderCommand, ctx: &mut Ctx<'_>) -> Result<(), Rejection> {
        match *command {
            OrderCommand::Place { order, item, quantity } => {
                let status = Status::Placed;
                let version = ctx.store.insert(order, Order { item, quantity, status }).map_err(|_| EXISTS)?;
                ctx.publish(OrderEvent::Order { status, order, version, item, quantity });
                Ok(())
            }
            OrderCommand::Cancel { order } => {
                let held = ctx.store.find::<Order>(order).cloned().ok_or(UNKNOWN)?;
                match held.status {
                    Status::Placed | Status::Confirmed if advance(order, &held, Status::Cancelled, ctx) => Ok(()),
                    Status::Placed | Status::Confirmed => Err(CHANGED),
                    _ => Err(TOO_LATE),
                }
            }
        }
    }
}

/// Saves an order's next status and tells of it; says whether nobody else was faster.
fn advance(order: RecordId, held: &Versioned<Order>, status: Status, ctx: &mut Ctx<'_>) -> bool {
    let Order { item, quantity, .. } = held.value;
    let Ok(version) = ctx.store.save_if_current(order, Order { item, quantity, status }, held.version) else {
        return false;
    };
    ctx.publish(OrderEvent::Order { status, order, version, item, quantity });
    true
}
