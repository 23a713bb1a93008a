//! Ten bugs, planted in the order workflow of `examples/`.

use order_workflow::messages::{ORDER_CANCELLED, ORDER_CONFIRMED, ORDER_PAID, ORDER_PLACED, ORDER_SHIPPED, OrderEvent};
use order_workflow::{
    Design, Inventory, Order, OrderWorkflow, Orders, Payment, Sales, Shipment, Shipping, Status, properties,
};
use pellmell::prelude::*;
use pellmell::scenario::{Scenario, Services};
use pellmell::{Judges, Simulation};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// Two members of inventory read the same stock, and the last write wins.
    LastWriteWins,
    /// What comes again is counted again.
    NoDedup,
    /// Inventory reserves for an order whose cancel came first.
    ReserveAfterCancel,
    /// The projection remembers two events.
    SmallDedupWindow,
    /// What is paid is shipped each time it is said.
    ShipsAgain,
    /// That an order was placed makes a cancelled one open again.
    PlacedResets,
    /// Inventory reserves after the cancel, and what is paid is shipped each time.
    Both,
    /// A handler panics where an order it has not heard of is confirmed.
    Panics,
    /// That an order was placed comes after all that follows from it, up to its shipment.
    ShippedFirst,
    /// That an order was placed comes after all that follows from it, up to its payment.
    PaidFirst,
}

pub(super) const BUGS: [Bug; 10] = [
    Bug::LastWriteWins,
    Bug::NoDedup,
    Bug::ReserveAfterCancel,
    Bug::SmallDedupWindow,
    Bug::ShipsAgain,
    Bug::PlacedResets,
    Bug::Both,
    Bug::Panics,
    Bug::ShippedFirst,
    Bug::PaidFirst,
];

/// What the customers do.
const CUSTOMERS: &str = include_str!("../../../../../examples/order-workflow/scenarios/changes-her-mind.toml");

impl Bug {
    fn design(self) -> Design {
        let usual = Design::default();
        match self {
            Bug::LastWriteWins => Design { checks_stock_version: false, ..usual },
            Bug::NoDedup => Design { dedup_window: 0, ..usual },
            Bug::ReserveAfterCancel | Bug::Both => Design { inventory_notes_cancels: false, ..usual },
            Bug::SmallDedupWindow => Design { dedup_window: 2, ..usual },
            _ => usual,
        }
    }

    fn services(self) -> Services<OrderWorkflow> {
        let design = self.design();
        let two_members = Hosting { members: 2, ..Hosting::ALONE };
        let services = Services::new().service(Orders).hosted(Inventory(design), two_members).service(Payment(design));
        let services = match self {
            Bug::ShipsAgain | Bug::Both => services.service(ShipsAgain),
            _ => services.service(Shipping),
        };
        services.service(Sales(design)).service(Tracking(self))
    }

    pub(super) fn simulation(self) -> Simulation<OrderWorkflow> {
        let customers = Scenario::<OrderWorkflow>::parse("customers.toml", CUSTOMERS);
        let customers = customers.unwrap_or_else(|error| panic!("{error}"));
        let builder = self.services().on(Profile::adversarial());
        let stored = customers.stored.iter();
        let builder = stored.fold(builder, |builder, stored| stored.seed(&self.design(), builder));
        let clients = customers.clients_of(0).into_iter();
        let builder = clients.fold(builder, |builder, client| builder.client(client.name, client.commands));
        builder.build().expect("the parts fit")
    }

    pub(super) fn judges() -> Judges<OrderWorkflow> {
        let mut all = properties::all();
        all.push(testing::at_quiescence("ShippedOnce", shipped_once));
        all.push(testing::at_quiescence("TrackedStatus", tracked_status));
        all.push(testing::at_quiescence("PlacedFirst", placed_first));
        Judges::new(all)
    }
}

/// The shipping service, which ships what is paid as often as it hears of it.
struct ShipsAgain;

impl Service<OrderWorkflow> for ShipsAgain {
    fn name(&self) -> &str {
        Shipping.name()
    }

    fn collections(&self, schema: &mut Schema) {
        Shipping.collections(schema);
    }

    fn subjects(&self) -> &[Subject] {
        Shipping.subjects()
    }

    fn handle(&self, event: &OrderEvent, ctx: &mut Context<'_, OrderWorkflow>) -> Outcome {
        let OrderEvent::Order { order, quantity, .. } = *event else { unreachable!("it listens to no other subject") };
        let Some(sent) = ctx.store.find::<Shipment>(order).cloned() else { return Shipping.handle(event, ctx) };
        ctx.store.overwrite(order, Shipment { quantity: sent.value.quantity + quantity }, Some(sent.version));
        ctx.publish(OrderEvent::ShipmentSent { order });
        Outcome::Ack
    }
}

/// How far an order has come, as its customer sees it. It has the order's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
struct Tracked {
    status: Status,
    version: Version,
    /// Whether it is known that it was placed.
    was_placed: bool,
    /// Whether something came before that was known.
    early: bool,
}

impl Record for Tracked {
    const COLLECTION: &'static str = "tracked";
    const KIND: char = 'o';
}

/// Keeps what each order has come to.
struct Tracking(Bug);

impl Service<OrderWorkflow> for Tracking {
    fn name(&self) -> &'static str {
        "tracking"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Tracked>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[ORDER_PLACED, ORDER_CONFIRMED, ORDER_CANCELLED, ORDER_PAID, ORDER_SHIPPED] }
    }

    fn handle(&self, event: &OrderEvent, ctx: &mut Context<'_, OrderWorkflow>) -> Outcome {
        let OrderEvent::Order { status, order, version, .. } = *event else {
            unreachable!("it listens to no other subject");
        };
        let held = ctx.store.find::<Tracked>(order).map(|held| (held.value.clone(), held.version));
        let was_placed = status == Status::Placed || held.as_ref().is_some_and(|(held, _)| held.was_placed);
        if self.0 == Bug::Panics && status == Status::Confirmed && !was_placed {
            panic!("{order} is confirmed and was never placed");
        }
        let is_late = match self.0 {
            Bug::ShippedFirst => status == Status::Shipped,
            Bug::PaidFirst => status == Status::Paid,
            _ => false,
        };
        let early = is_late && !was_placed || held.as_ref().is_some_and(|(held, _)| held.early);
        let newest = held.as_ref().map(|(held, _)| (held.status, held.version)).filter(|(_, held)| *held > version);
        let resets = self.0 == Bug::PlacedResets && status == Status::Placed;
        let (status, version) = newest.filter(|_| !resets).unwrap_or((status, version));
        ctx.store.overwrite(order, Tracked { status, version, was_placed, early }, held.map(|(_, version)| version));
        Outcome::Ack
    }
}

fn shipped_once(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    for (id, shipment) in moment.store_of("shipping").all::<Shipment>() {
        let ordered = moment.store_of("orders").find::<Order>(id).map_or(0, |order| order.value.quantity);
        if shipment.value.quantity != ordered {
            let detail = format!("{} shipped, and {ordered} were ordered", shipment.value.quantity);
            return Err(Violation::at("shipping").of(id).because(detail));
        }
    }
    Ok(())
}

fn tracked_status(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    for (id, tracked) in moment.store_of("tracking").all::<Tracked>() {
        let order = moment.store_of("orders").find::<Order>(id);
        let is_final = |status| matches!(status, Status::Cancelled | Status::Shipped);
        if order.is_some_and(|order| is_final(order.value.status) && order.value.status != tracked.value.status) {
            let detail = format!("shown as {:?}", tracked.value.status);
            return Err(Violation::at("tracking").of(id).because(detail));
        }
    }
    Ok(())
}

fn placed_first(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    match moment.store_of("tracking").all::<Tracked>().find(|(_, tracked)| tracked.value.early) {
        Some((id, tracked)) => {
            let detail = format!("{:?} before it was known that it was placed", tracked.value.status);
            Err(Violation::at("tracking").of(id).because(detail))
        }
        None => Ok(()),
    }
}
