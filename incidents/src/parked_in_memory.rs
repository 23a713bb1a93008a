//! An event that came too early waits in the memory of one of two instances.

use std::collections::BTreeSet;

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "parked-in-memory",
    source: "https://github.com/thenativeweb/node-cqrs-saga/issues/47",
    about: "an early event waits in the memory of one instance, and the one before it is handled by another",
    fix: "early events wait in the store",
    departures: &["hold order:created o1@0 -> saga until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("SagaGoesOn", goes_on)],
};

const O1: RecordId = RecordId::new('o', 1);
record!(Saga(u64, BTreeSet<u64>), "sagas", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let orders = service("orders").on_command(|request, ctx| {
        let (what, revision) = if request.what == "create" { ("order:created", 0) } else { ("order:updated", 1) };
        ctx.publish(Fact::of(what, request.record).at(Version(revision)));
        Ok(())
    });
    let both = subjects(["order:created", "order:updated"]);
    let saga = service("saga").keeps::<Saga>(EVERY).on_event(both, move |event, ctx| {
        let held = ctx.store.find::<Saga>(event.record).cloned();
        let Some(saga) = held else { return Outcome::nak("there is no such saga") };
        let Saga(mut next, mut parked) = saga.value;
        if event.number() < next {
            return Outcome::Ack;
        }
        let waiting = if fixed { &mut parked } else { ctx.memory::<BTreeSet<u64>>() };
        waiting.insert(event.number());
        while waiting.remove(&next) {
            next += 1;
        }
        match ctx.store.save_if_current(event.record, Saga(next, parked), saga.version) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::nak("another instance was faster"),
        }
    });
    let simulation = Simulation::on(broker("adversarial")).service(orders).hosted(saga, TWO);
    let simulation = simulation.seeded("saga", |store| _ = store.overwrite(O1, Saga(0, BTreeSet::new()), None));
    let requests = ["create", "update"].map(|what| Request::of("orders", what, O1));
    simulation.client("user", requests.to_vec()).build().expect("the parts fit")
}

fn goes_on(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let both = ["order:created", "order:updated"].iter().all(|what| published(moment, what, O1) > 0);
    let done = moment.store_of("saga").find::<Saga>(O1).map_or(0, |saga| saga.0);
    match both && done < 2 {
        true => Err(Violation::at("saga").of(O1).because(format!("two events are acked, {done} are handled"))),
        false => Ok(()),
    }
}
