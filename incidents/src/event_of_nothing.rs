//! An event is out, and the transaction that it tells of is rolled back.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "event-of-nothing",
    source: "https://github.com/safe-global/safe-transaction-service/pull/2938",
    about: "an event is sent from an open transaction that then rolls back: it tells of what never existed",
    fix: "events are sent when the transaction is committed",
    departures: &["crash indexer before publish of chain: index t1"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("NothingIsMadeUp", nothing_is_made_up)],
};

const T1: RecordId = RecordId::new('t', 1);
record!(Transfer(), "transfers", 't');

fn system(fixed: bool) -> Simulation<Facts> {
    let indexer = service("indexer").owns::<Transfer>(EVERY).on_command(|request, ctx| {
        if ctx.store.insert(request.record, Transfer()).is_ok() {
            ctx.publish(Fact::of("transfer:executed", request.record));
        }
        Ok(())
    });
    let indexer = indexer.publishing(if fixed { PublishMode::Outbox } else { PublishMode::BeforeSave });
    let executed = subjects(["transfer:executed"]);
    let wallet = service("wallet").keeps::<Transfer>(EVERY).on_event(executed, |event, ctx| {
        // A transfer that it has already is no error.
        let _ = ctx.store.insert(event.record, Transfer());
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("rabbitmq-classic")).service(indexer).service(wallet);
    simulation.client("chain", vec![Request::of("indexer", "index", T1)]).build().expect("the parts fit")
}

fn nothing_is_made_up(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let indexed = moment.store_of("indexer");
    match moment.store_of("wallet").all::<Transfer>().find(|(id, _)| indexed.find::<Transfer>(*id).is_none()) {
        Some((id, _)) => Err(Violation::at("wallet").of(id).because("shows a transfer that the indexer does not have")),
        None => Ok(()),
    }
}
