//! A status is published while a group that begins at new messages has no member.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "status-before-the-group",
    source: "https://github.com/scality/backbeat/pull/2788",
    about: "a status is published while no consumer is there: the group begins behind it, and the object stays pending",
    fix: "a group without an offset begins at the first message",
    departures: &["hold join of metadata until quiescence"],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("NothingStaysPending", nothing_pending)],
};

const O1: RecordId = RecordId::new('o', 1);
record!(Status(bool), "statuses", 'o');

fn system(fixed: bool) -> Simulation<Facts> {
    let kafka = played("kafka", [("start", json!(if fixed { "earliest" } else { "new" }))]);
    let replication = service("replication").on_command(|request, ctx| {
        ctx.publish(Fact::of("object:replicated", request.record));
        Ok(())
    });
    let replicated = subjects(["object:replicated"]);
    let metadata = service("metadata").keeps::<Status>(EVERY).on_event(replicated, |object, ctx| {
        let held = ctx.store.find::<Status>(object.record).map(|held| held.version);
        ctx.store.overwrite(object.record, Status(true), held);
        Outcome::Ack
    });
    let late = Hosting { joins_late: true, ..Hosting::ALONE };
    let simulation = Simulation::on(kafka).service(replication).hosted(metadata, late);
    let simulation = simulation.seeded("metadata", |store| _ = store.overwrite(O1, Status(false), None));
    let requests = vec![Request::of("replication", "replicate", O1)];
    simulation.client("bucket", requests).build().expect("the parts fit")
}

fn nothing_pending(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let is_done = moment.store_of("metadata").find::<Status>(O1).is_some_and(|status| status.0);
    let has_joined = moment.world().is_finished();
    match has_joined && published(moment, "object:replicated", O1) > 0 && !is_done {
        true => Err(Violation::at("metadata").of(O1).because("is pending for ever, and was replicated")),
        false => Ok(()),
    }
}
