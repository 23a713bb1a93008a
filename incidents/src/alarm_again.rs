//! A rebalance takes a consumer back over what it has handled, and what it says of it is said again.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "alarm-again",
    source: "https://github.com/cakesolutions/scala-kafka-client/issues/157",
    about: "after a rebalance old records are consumed again: what was over long ago raises its alarm once more",
    fix: "the version of each record is kept, and one that is not newer is passed over",
    departures: &[
        "lose ack of level:measured s1@0 -> monitor",
        "lose ack of level:measured s1@1 -> monitor",
        "rebalance after level:measured s1@1 -> monitor",
    ],
    faults: OFFSETS,
    system,
    properties: || vec![at_most_once("OneAlarm", "monitor", "alarm:raised")],
};

const S1: RecordId = RecordId::new('s', 1);
record!(Measured(u32), "measured", 's');
record!(Level(u32, u64), "levels", 's');

fn system(fixed: bool) -> Simulation<Facts> {
    let station = service("station").owns::<Measured>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Measured>(request.record).map(|held| held.version);
        let level = request.value.unwrap_or_default();
        let version = ctx.store.overwrite(request.record, Measured(level), held);
        ctx.publish(Fact::of("level:measured", request.record).at(version).saying(level));
        Ok(())
    });
    let measured = subjects(["level:measured"]);
    let monitor = service("monitor").keeps::<Level>(EVERY).on_event(measured, move |fact, ctx| {
        let held = ctx.store.find::<Level>(fact.record).cloned();
        let Some(level) = held else { return Outcome::nak("there is no such station") };
        if fixed && level.1 > fact.number() {
            return Outcome::Ack;
        }
        let next = Level(fact.value, fact.number() + 1);
        if ctx.store.save_if_current(fact.record, next, level.version).is_err() {
            return Outcome::nak("another member was faster");
        }
        // Only a level that has risen is worth an alarm, so the last record may well come twice.
        if fact.value > level.0 {
            ctx.publish(Fact::of("alarm:raised", fact.record).saying(fact.value));
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("kafka")).service(station).hosted(monitor, TWO);
    let simulation = simulation.seeded("monitor", |store| _ = store.overwrite(S1, Level(0, 0), None));
    let requests = [9, 1].map(|level| Request::of("station", "measure", S1).saying(level));
    simulation.client("gauge", requests.to_vec()).build().expect("the parts fit")
}
