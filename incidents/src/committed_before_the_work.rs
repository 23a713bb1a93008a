//! The client commits by itself what it handed to a worker, and the worker dies over it.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "committed-before-the-work",
    source: "https://github.com/roadrunner-server/roadrunner/issues/1325",
    about: "the offset of a job is committed by itself, its worker crashes over it, and the job never comes again",
    fix: "an offset is committed when the work is done",
    departures: &["commit ahead of job:queued j1 -> worker", "crash worker before save of job:queued j1 -> worker"],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("EachJobIsDone", each_is_done)],
};

const J1: RecordId = RecordId::new('j', 1);
record!(Done(), "done", 'j');

fn system(fixed: bool) -> Simulation<Facts> {
    let kafka = broker(if fixed { "kafka" } else { "kafka-auto-commit" });
    let app = service("app").on_command(|request, ctx| {
        ctx.publish(Fact::of("job:queued", request.record));
        Ok(())
    });
    let worker = service("worker").keeps::<Done>(EVERY).on_event(subjects(["job:queued"]), |job, ctx| {
        // One that is done already is no error.
        let _ = ctx.store.insert(job.record, Done());
        Outcome::Ack
    });
    let simulation = Simulation::on(kafka).service(app).service(worker);
    simulation.client("user", vec![Request::of("app", "queue", J1)]).build().expect("the parts fit")
}

fn each_is_done(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    match published(moment, "job:queued", J1) > 0 && moment.store_of("worker").find::<Done>(J1).is_none() {
        true => Err(Violation::at("worker").of(J1).because("is committed, and was never done")),
        false => Ok(()),
    }
}
