//! A publisher that hears no confirm publishes again, and no flag says so.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "published-again",
    source: "https://github.com/EasyNetQ/EasyNetQ/issues/1413",
    about: "a publish times out though the message is in the queue, and is tried again: both messages look new",
    fix: "an order is looked up whenever a message about it comes, not only if the message is redelivered",
    departures: &["publish twice user: order o1"],
    faults: RETRIES,
    system,
    properties: || vec![at_quiescence("ChargedOnce", charged_once)],
};

const O1: RecordId = RecordId::new('o', 1);
record!(Charged(u32), "charged", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let shop = service("shop").on_command(|request, ctx| {
        ctx.publish(Fact::of("order:placed", request.record));
        Ok(())
    });
    let placed = subjects(["order:placed"]);
    let billing = service("billing").keeps::<Charged>(EVERY).on_event(placed, move |order, ctx| {
        let is_redelivered = ctx.attempt() > 1;
        let held = ctx.store.find::<Charged>(order.record).cloned();
        let charged = held.as_ref().map_or(0, |charged| charged.0);
        if charged == 0 || !fixed && !is_redelivered {
            ctx.store.overwrite(order.record, Charged(charged + 1), held.map(|held| held.version));
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("rabbitmq-classic")).service(shop).service(billing);
    simulation.client("user", vec![Request::of("shop", "order", O1)]).build().expect("the parts fit")
}

fn charged_once(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    match moment.store_of("billing").find::<Charged>(O1).map_or(0, |charged| charged.0) {
        0 | 1 => Ok(()),
        times => Err(Violation::at("billing").of(O1).because(format!("is charged {times} times"))),
    }
}
