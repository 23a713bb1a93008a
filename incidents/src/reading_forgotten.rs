//! A client that asks for a clean session crashes, and the server has forgotten what it did not ack.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "reading-forgotten",
    source: "https://github.com/Basekick-Labs/arc/issues/233",
    about: "a subscriber with a clean session crashes before it stores a reading, and the server has forgotten it",
    fix: "the session is kept over connections",
    departures: &["crash storage before save of reading:taken s1 -> storage"],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("EachReadingIsStored", each_is_stored)],
};

const S1: RecordId = RecordId::new('s', 1);
record!(Reading(), "readings", 's');

fn system(fixed: bool) -> Simulation<Facts> {
    let mqtt = broker(if fixed { "mqtt-qos1" } else { "mqtt-qos1-clean" });
    let sensor = service("sensor").on_command(|request, ctx| {
        ctx.publish(Fact::of("reading:taken", request.record));
        Ok(())
    });
    let storage = service("storage").keeps::<Reading>(EVERY).on_event(subjects(["reading:taken"]), |reading, ctx| {
        // One that is stored already is no error.
        let _ = ctx.store.insert(reading.record, Reading());
        Outcome::Ack
    });
    let simulation = Simulation::on(mqtt).service(sensor).service(storage);
    simulation.client("clock", vec![Request::of("sensor", "read", S1)]).build().expect("the parts fit")
}

fn each_is_stored(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    match published(moment, "reading:taken", S1) > 0 && moment.store_of("storage").find::<Reading>(S1).is_none() {
        true => Err(Violation::at("storage").of(S1).because("was received, and is not stored")),
        false => Ok(()),
    }
}
