//! What must be true whenever nothing is under way.

use pellmell::prelude::*;

use crate::inventory::Stock;
use crate::orders::{Order, Status};
use crate::payment::Charge;
use crate::sales::Tally;
use crate::shipping::Shipment;
use crate::{OrderWorkflow, Reservation};

/// All properties, the most telling first.
#[must_use]
pub fn all() -> Vec<Box<dyn Property<OrderWorkflow>>> {
    vec![
        testing::at_quiescence("StockAgrees", stock_agrees),
        testing::at_quiescence("ChargesAgree", charges_agree),
        testing::at_quiescence("ShipmentsAgree", shipments_agree),
        testing::at_quiescence("SalesCounted", sales_counted),
        Box::new(NoPoison),
    ]
}

/// What the customers' races should lead to in some run, where these services take part and customers send such
/// commands.
#[must_use]
pub fn sometimes(part: &TakingPart) -> Vec<Sometimes<OrderWorkflow>> {
    let saves_status = |wanted| {
        move |view: &View<'_, OrderWorkflow>| {
            view.changes::<Order>().any(|change| change.after.is_some_and(|order| order.status == wanted))
        }
    };
    let mut sometimes =
        vec![Sometimes::new("Refused", "an order is refused for want of stock", saves_status(Status::Refused))];
    if part.has_services(&["payment", "shipping"]) {
        sometimes.push(Sometimes::new("Shipped", "an order is shipped", saves_status(Status::Shipped)));
    }
    if part.has_services(&["payment"]) && part.has_verbs(&["cancel"]) {
        sometimes.push(Sometimes::new("Refunded", "an order that was charged already is cancelled", |view| {
            view.changes::<Charge>().any(|change| change.after.is_some_and(|charge| charge.value == Charge::Refunded))
        }));
    }
    sometimes
}

/// The store of a service, if it takes part.
fn store<'a>(moment: &Moment<'a, OrderWorkflow>, name: &str) -> Option<&'a Store> {
    moment.find_store(name)
}

fn orders<'a>(moment: &Moment<'a, OrderWorkflow>) -> impl Iterator<Item = (RecordId, &'a Order)> {
    moment.store_of("orders").all::<Order>().map(|(id, order)| (id, &order.value))
}

/// The stock that is reserved is that of the orders that were confirmed and not cancelled.
fn stock_agrees(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    let inventory = moment.store_of("inventory");
    for (id, order) in orders(moment) {
        let needs = match order.status {
            Status::Placed | Status::Refused | Status::Cancelled => 0,
            Status::Confirmed | Status::Paid | Status::Shipped => order.quantity,
        };
        let reserved = inventory.find::<Reservation>(id).map_or(0, |reservation| reservation.quantity);
        if reserved != needs {
            let detail = format!("{reserved} reserved for an order that is {:?}, expected {needs}", order.status);
            return Err(Violation::at("inventory").of(id).because(detail));
        }
    }
    for (id, stock) in inventory.all::<Stock>() {
        let of_item = orders(moment).filter(|(_, order)| order.item == id);
        let expected: u32 =
            of_item.filter_map(|(order, _)| inventory.find::<Reservation>(order)).map(|held| held.quantity).sum();
        if stock.reserved != expected {
            let detail = format!("{} reserved, expected {expected}, the sum of the reservations", stock.reserved);
            return Err(Violation::at("inventory").of(id).because(detail));
        }
    }
    Ok(())
}

/// A customer has paid for what is paid or shipped, and for nothing else.
fn charges_agree(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    let Some(payment) = store(moment, "payment") else { return Ok(()) };
    for (id, order) in orders(moment) {
        let is_paid = matches!(order.status, Status::Paid | Status::Shipped);
        let charge = payment.find::<Charge>(id).map(|charge| charge.value);
        if is_paid != (charge == Some(Charge::Charged)) {
            let detail = format!("the charge is {charge:?}, and the order is {:?}", order.status);
            return Err(Violation::at("payment").of(id).because(detail));
        }
    }
    Ok(())
}

/// What is shipped at orders was sent by shipping, and nothing else was.
fn shipments_agree(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    let Some(shipping) = store(moment, "shipping") else { return Ok(()) };
    for (id, order) in orders(moment) {
        let is_sent = shipping.find::<Shipment>(id).is_some();
        if is_sent != (order.status == Status::Shipped) {
            let detail = format!("sent: {is_sent}, and the order is {:?}", order.status);
            return Err(Violation::at("shipping").of(id).because(detail));
        }
    }
    Ok(())
}

/// The projection's numbers are those of the orders.
fn sales_counted(moment: &Moment<'_, OrderWorkflow>) -> Result<(), Violation> {
    let Some(sales) = store(moment, "sales") else { return Ok(()) };
    for (id, tally) in sales.all::<Tally>() {
        let mut expected = Tally::default();
        for (_, order) in orders(moment).filter(|(_, order)| order.item == id) {
            expected.placed += 1;
            expected.refused += u32::from(order.status == Status::Refused);
            expected.cancelled += u32::from(order.status == Status::Cancelled);
            expected.shipped += u32::from(order.status == Status::Shipped);
        }
        if tally.value != expected {
            let detail = format!("expected {expected:?}, found {:?}", tally.value);
            return Err(Violation::at("sales").of(id).because(detail));
        }
    }
    Ok(())
}
