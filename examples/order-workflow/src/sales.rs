//! The sales projection: counts orders per item for a dashboard.

use pellmell::prelude::*;

use crate::messages::{ORDER_CANCELLED, ORDER_PLACED, ORDER_REFUSED, ORDER_SHIPPED, OrderEvent};
use crate::orders::Status;
use crate::{Design, OrderWorkflow};

/// How many orders of an item there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Tally {
    /// Placed ones.
    pub placed: u32,
    /// Those of them that were refused for want of stock.
    pub refused: u32,
    /// Those of them that were cancelled.
    pub cancelled: u32,
    /// Those of them that were shipped.
    pub shipped: u32,
}

impl Record for Tally {
    const COLLECTION: &'static str = "tallies";
    const KIND: char = 'i';
}

/// The dedup window: the events that were counted last, the oldest first. There is one such record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Seen {
    /// An event is known by the order it is about and the order's version.
    pub events: Vec<(RecordId, Version)>,
}

impl Record for Seen {
    const COLLECTION: &'static str = "seen";
    const KIND: char = 'w';
}

/// The id of the one [`Seen`].
const WINDOW: RecordId = RecordId::new('w', 1);

/// The sales projection.
#[derive(Clone, Copy, Debug)]
pub struct Sales(pub Design);

impl Service<OrderWorkflow> for Sales {
    fn name(&self) -> &'static str {
        "sales"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Tally>(VersionPolicy::EVERY_SAVE).keeps::<Seen>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_PLACED, ORDER_REFUSED, ORDER_CANCELLED, ORDER_SHIPPED] }
    }

    /// Counts an event unless it is in the window. Sums do not depend on the order of what is summed up, so there
    /// is nothing to wait for.
    fn handle(&self, event: &OrderEvent, ctx: &mut Context<'_, OrderWorkflow>) -> Outcome {
        let OrderEvent::Order { status, order, version, item, .. } = *event else {
            unreachable!("it listens to no other subject");
        };
        let held = ctx.store.find::<Seen>(WINDOW);
        let (mut seen, seen_at) = (held.map(|held| held.value.clone()).unwrap_or_default(), held.map(|h| h.version));
        if seen.events.contains(&(order, version)) {
            return Outcome::Ack;
        }
        seen.events.push((order, version));
        if seen.events.len() > self.0.dedup_window {
            seen.events.remove(0);
        }
        let held = ctx.store.find::<Tally>(item);
        let (mut tally, tally_at) = (held.map(|held| held.value.clone()).unwrap_or_default(), held.map(|h| h.version));
        match status {
            Status::Placed => tally.placed += 1,
            Status::Refused => tally.refused += 1,
            Status::Cancelled => tally.cancelled += 1,
            Status::Shipped => tally.shipped += 1,
            Status::Confirmed | Status::Paid => unreachable!("it does not listen to these"),
        }
        // One process keeps the projection, so nobody can have saved in between.
        ctx.store.overwrite(WINDOW, seen, seen_at);
        ctx.store.overwrite(item, tally, tally_at);
        Outcome::Ack
    }
}
