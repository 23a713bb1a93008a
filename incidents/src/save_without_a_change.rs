//! A save that changes nothing keeps the version, and the next change never finds the one before it.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "save-without-a-change",
    source: "https://github.com/StephenGrider/ticketing/pull/27",
    about: "a save of a copy that changes no field keeps its version: the next change waits for one that never comes",
    fix: "the copy takes the version of the event",
    departures: &[],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![copied::<Ticket>("TicketsAgree", "tickets", "orders")],
};

const T1: RecordId = RecordId::new('t', 1);
record!(Ticket(u32), "tickets", 't');

fn system(fixed: bool) -> Simulation<Facts> {
    let tickets = service("tickets").owns::<Ticket>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Ticket>(request.record).map(|held| held.version);
        let price = request.value.unwrap_or_default();
        let version = ctx.store.overwrite(request.record, Ticket(price), held);
        ctx.publish(Fact::of("ticket:updated", request.record).at(version).saying(price));
        Ok(())
    });
    // What the library does since it changed: only a save that changes a field raises the version.
    let orders = service("orders").keeps::<Ticket>(VersionPolicy::DIRTY_ONLY);
    let orders = orders.on_event(subjects(["ticket:updated"]), move |change, ctx| {
        let held = ctx.store.find::<Ticket>(change.record).map(|held| held.version);
        if held >= change.version {
            return Outcome::Ack;
        }
        if held.map_or(0, |held| held.0 + 1) != change.number() {
            return Outcome::Silent("the version before it is missing");
        }
        match held {
            Some(held) if !fixed => _ = ctx.store.save_if_current(change.record, Ticket(change.value), held),
            _ => keep(ctx, change, Ticket(change.value)),
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("stan")).service(tickets).service(orders);
    let requests = [10, 10, 15].map(|price| Request::of("tickets", "price", T1).saying(price));
    simulation.client("seller", requests.to_vec()).build().expect("the parts fit")
}
