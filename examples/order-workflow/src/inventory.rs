//! The inventory service: reserves stock for orders and releases it.

use pellmell::prelude::*;

use crate::messages::{ORDER_CANCELLED, ORDER_PLACED, OrderEvent};
use crate::orders::Status;
use crate::{Design, OrderWorkflow};

/// The stock of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Stock {
    /// How many were ever received.
    pub received: u32,
    /// How many of them are reserved for orders.
    pub reserved: u32,
}

impl Record for Stock {
    const COLLECTION: &'static str = "stock";
    const KIND: char = 'i';
}

/// What inventory did for an order; also a note that it shall do nothing. It has the order's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Reservation {
    /// How many of the item are reserved: none if there were too few or the order was cancelled.
    pub quantity: u32,
}

impl Record for Reservation {
    const COLLECTION: &'static str = "reservations";
    const KIND: char = 'o';
}

/// The inventory service.
#[derive(Clone, Copy, Debug)]
pub struct Inventory(pub Design);

type Ctx<'a> = Context<'a, OrderWorkflow>;

impl Service<OrderWorkflow> for Inventory {
    fn name(&self) -> &'static str {
        "inventory"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Stock>(VersionPolicy::EVERY_SAVE).owns::<Reservation>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_PLACED, ORDER_CANCELLED] }
    }

    fn handle(&self, event: &OrderEvent, ctx: &mut Ctx<'_>) -> Outcome {
        let done = match *event {
            OrderEvent::Order { status: Status::Placed, order, item, quantity, .. } => {
                self.reserve(order, item, quantity, ctx)
            }
            OrderEvent::Order { status: Status::Cancelled, order, item, .. } => self.release(order, item, ctx),
            _ => unreachable!("it listens to no other subject"),
        };
        // Nothing of what was saved so far lasts, because services publish by an outbox: see `PublishMode`.
        if done.is_some() { Outcome::Ack } else { Outcome::nak("another member was faster") }
    }
}

impl Inventory {
    /// Reserves stock for an order, once; `None` if another member was faster.
    fn reserve(&self, order: RecordId, item: RecordId, quantity: u32, ctx: &mut Ctx<'_>) -> Option<()> {
        if ctx.store.find::<Reservation>(order).is_some() {
            return Some(());
        }
        let free = ctx.store.find::<Stock>(item).map_or(0, |stock| stock.received - stock.reserved);
        if free < quantity {
            tracing::warn!(%order, free, "too few in stock");
            ctx.store.insert(order, Reservation { quantity: 0 }).ok()?;
            ctx.publish(OrderEvent::StockRefused { order });
            return Some(());
        }
        tracing::info!(%order, quantity, "reserved");
        ctx.store.insert(order, Reservation { quantity }).ok()?;
        self.save_stock(item, |reserved| reserved + quantity, ctx)?;
        ctx.publish(OrderEvent::StockReserved { order });
        Some(())
    }

    /// Takes back what was reserved for an order; `None` if another member was faster.
    fn release(&self, order: RecordId, item: RecordId, ctx: &mut Ctx<'_>) -> Option<()> {
        let Some(held) = ctx.store.find::<Reservation>(order).cloned() else {
            // The cancel came first: nothing shall be reserved when the order comes.
            if self.0.inventory_notes_cancels {
                ctx.store.insert(order, Reservation { quantity: 0 }).ok()?;
            }
            return Some(());
        };
        if held.quantity > 0 {
            ctx.store.save_if_current(order, Reservation { quantity: 0 }, held.version).ok()?;
            self.save_stock(item, |reserved| reserved.saturating_sub(held.quantity), ctx)?;
        }
        Some(())
    }

    fn save_stock(&self, item: RecordId, change: impl Fn(u32) -> u32, ctx: &mut Ctx<'_>) -> Option<()> {
        let held = ctx.store.find::<Stock>(item)?.clone();
        let stock = Stock { reserved: change(held.reserved), ..held.value };
        if self.0.checks_stock_version {
            ctx.store.save_if_current(item, stock, held.version).ok()?;
        } else {
            ctx.store.overwrite(item, stock, Some(held.version));
        }
        Some(())
    }
}
