//! A message that was handled comes again, and its insert fails for ever.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "run-tracked-twice",
    source: "https://github.com/ITISFoundation/osparc-simcore/pull/9270",
    about: "a message that was handled comes again, its row is there already, and it fails each time it comes",
    fix: "an insert of what is there already is no error",
    departures: &["lose ack of tracking:started r1 -> tracker"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![Box::new(NoPoison)],
};

const R1: RecordId = RecordId::new('r', 1);
record!(ServiceRun(), "service_runs", 'r');

fn system(fixed: bool) -> Simulation<Facts> {
    let director = service("director").on_command(|request, ctx| {
        ctx.publish(Fact::of("tracking:started", request.record));
        Ok(())
    });
    let started = subjects(["tracking:started"]);
    let tracker = service("tracker").keeps::<ServiceRun>(EVERY).on_event(started, move |message, ctx| {
        match ctx.store.insert(message.record, ServiceRun()) {
            Err(_) if !fixed => Outcome::Silent("duplicate key"),
            _ => Outcome::Ack,
        }
    });
    let simulation = Simulation::on(broker("rabbitmq-classic")).service(director).hosted(tracker, TWO);
    simulation.client("user", vec![Request::of("director", "start", R1)]).build().expect("the parts fit")
}
