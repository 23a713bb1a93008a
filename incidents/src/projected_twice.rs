//! Two deliveries of an event pass the same look for duplicates.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "projected-twice",
    source: "https://github.com/MalcolmMcNeely/Edict/issues/355",
    about: "two deliveries of one event both look for its id before either notes it, and both are applied",
    fix: "the id is noted by an insert that fails for the second",
    departures: &["pause order:placed o1 -> projection until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_most_once("ProjectedOnce", "projection", "order:projected")],
};

const O1: RecordId = RecordId::new('o', 1);
record!(Noted(), "noted", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let orders = service("orders").on_command(|request, ctx| {
        ctx.publish(Fact::of("order:placed", request.record));
        Ok(())
    });
    let placed = subjects(["order:placed"]);
    let projection = service("projection").keeps::<Noted>(EVERY).on_event(placed, move |order, ctx| {
        if ctx.store.find::<Noted>(order.record).is_some() {
            return Outcome::Ack;
        }
        if !fixed {
            ctx.store.overwrite(order.record, Noted(), None);
        } else if ctx.store.insert(order.record, Noted()).is_err() {
            return Outcome::Ack;
        }
        ctx.publish(Fact::of("order:projected", order.record));
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("adversarial")).service(orders).hosted(projection, ASYNC);
    simulation.client("buyer", vec![Request::of("orders", "place", O1)]).build().expect("the parts fit")
}
