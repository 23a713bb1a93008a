//! Two buyers look whether a ticket is free before either of them has it.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "ticket-sold-twice",
    source: "https://github.com/StephenGrider/ticketing, orders/src/routes/new.ts",
    about: "two requests look for an order of a ticket before either has saved its own: it is sold twice",
    fix: "the database takes no second order of a ticket",
    departures: &["pause ann: order o1 until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("SoldOnce", sold_once)],
};

record!(Order(), "orders", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let orders = service("orders").owns::<Order>(EVERY).on_command(move |request, ctx| {
        let taken = Rejection { status: 400, reason: "the ticket is reserved" };
        if ctx.store.all::<Order>().next().is_some() {
            return Err(taken);
        }
        let forbids = |_: &Order| fixed;
        ctx.store.insert_unless(request.record, Order(), forbids).map_err(|_| taken)?;
        ctx.publish(Fact::of("order:created", request.record));
        Ok(())
    });
    // Requests of one process of Node come between each other wherever they wait for the database.
    let simulation = Simulation::on(broker("stan")).hosted(orders, ASYNC);
    let order = |number| vec![Request::of("orders", "order", RecordId::new('o', number))];
    simulation.client("ann", order(1)).client("bob", order(2)).build().expect("the parts fit")
}

fn sold_once(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    match moment.store_of("orders").all::<Order>().nth(1) {
        Some((second, _)) => Err(Violation::at("orders").of(second).because("the ticket has an order already")),
        None => Ok(()),
    }
}
