//! A payment comes for an order that was cancelled, and completes it.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "paid-after-cancel",
    source: "https://github.com/StephenGrider/ticketing, orders/src/events/listeners/payment-created-listener.ts",
    about: "a payment completes an order that was cancelled meanwhile, whose ticket is for sale again",
    fix: "the payment of a cancelled order is given back",
    departures: &["hold payment:created o1 -> orders until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("CompleteHasItsTicket", complete_has_its_ticket)],
};

const O1: RecordId = RecordId::new('o', 1);
const CREATED: u32 = 0;
const CANCELLED: u32 = 1;
const COMPLETE: u32 = 2;
record!(Order(u32), "orders", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let orders = service("orders").owns::<Order>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Order>(request.record).cloned();
        let Some(order) = held.filter(|order| order.0 == CREATED) else {
            return Err(Rejection { status: 400, reason: "it is paid or cancelled" });
        };
        ctx.store.overwrite(request.record, Order(CANCELLED), Some(order.version));
        ctx.publish(Fact::of("order:cancelled", request.record));
        Ok(())
    });
    let orders = orders.on_event(subjects(["payment:created"]), move |payment, ctx| {
        let held = ctx.store.find::<Order>(payment.record).cloned();
        let Some(order) = held else { return Outcome::Silent("order not found") };
        match order.0 {
            CANCELLED if fixed => ctx.publish(Fact::of("refund:wanted", payment.record)),
            _ => _ = ctx.store.overwrite(payment.record, Order(COMPLETE), Some(order.version)),
        }
        Outcome::Ack
    });
    let payments = service("payments").on_command(|request, ctx| {
        ctx.publish(Fact::of("payment:created", request.record));
        Ok(())
    });
    let stan = Profile { ack_wait: seconds([5]), ..broker("stan") };
    let simulation = Simulation::on(stan).service(orders).service(payments);
    let simulation = simulation.seeded("orders", |store| _ = store.overwrite(O1, Order(CREATED), None));
    let simulation = simulation.client("ann", vec![Request::of("payments", "pay", O1)]);
    simulation.client("other-tab", vec![Request::of("orders", "cancel", O1)]).build().expect("the parts fit")
}

fn complete_has_its_ticket(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let is_complete = moment.store_of("orders").find::<Order>(O1).is_some_and(|order| order.0 == COMPLETE);
    match is_complete && published(moment, "order:cancelled", O1) > 0 {
        true => Err(Violation::at("orders").of(O1).because("is complete, and its ticket was given back")),
        false => Ok(()),
    }
}
