//! Two events of one saga are handled at once, and one of the two is lost.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "saga-replaced",
    source: "https://github.com/MassTransit/MassTransit/issues/1776",
    about: "a saga is replaced without a look at its version: of two events at once one is lost",
    fix: "a saga is replaced only in the version that was read, or the message comes again",
    departures: &["pause order:paid o1 -> saga until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("SagaHeardOfBoth", heard_of_both)],
};

const O1: RecordId = RecordId::new('o', 1);
const PAID: u32 = 1;
const RESERVED: u32 = 2;
record!(Saga(u32), "sagas", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let payments = service("payments").on_command(|request, ctx| {
        ctx.publish(Fact::of("order:paid", request.record).saying(PAID));
        Ok(())
    });
    let stock = service("stock").on_command(|request, ctx| {
        ctx.publish(Fact::of("stock:reserved", request.record).saying(RESERVED));
        Ok(())
    });
    let both = subjects(["order:paid", "stock:reserved"]);
    let saga = service("saga").keeps::<Saga>(EVERY).on_event(both, move |step, ctx| {
        let Some(saga) = ctx.store.find::<Saga>(step.record).cloned() else {
            return Outcome::nak("there is no such saga");
        };
        let next = Saga(saga.0 | step.value);
        if !fixed {
            ctx.store.overwrite(step.record, next, Some(saga.version));
            return Outcome::Ack;
        }
        match ctx.store.save_if_current(step.record, next, saga.version) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::nak("another event was faster"),
        }
    });
    let simulation = Simulation::on(broker("rabbitmq-classic")).service(payments).service(stock).hosted(saga, TWO);
    let simulation = simulation.seeded("saga", |store| _ = store.overwrite(O1, Saga(0), None));
    let simulation = simulation.client("buyer", vec![Request::of("payments", "pay", O1)]);
    simulation.client("shop", vec![Request::of("stock", "reserve", O1)]).build().expect("the parts fit")
}

fn heard_of_both(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let heard = moment.store_of("saga").find::<Saga>(O1).map_or(0, |saga| saga.0);
    let said = [("order:paid", PAID), ("stock:reserved", RESERVED)];
    match said.into_iter().find(|(what, flag)| published(moment, what, O1) > 0 && heard & flag == 0) {
        Some((what, _)) => Err(Violation::at("saga").of(O1).because(format!("{what} is acked and forgotten"))),
        None => Ok(()),
    }
}
