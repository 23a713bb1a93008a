//! A commit is for all messages before it, also for one that is still being handled.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "commit-covers-earlier",
    source: "https://github.com/bsm/sarama-cluster/issues/148",
    about: "of two messages at work the second is committed, and the first with it: a crash then loses the first",
    fix: "the messages of a partition are handled one after the other",
    departures: &[
        "pause task:queued t1 -> worker until quiescence",
        "crash worker after ack of task:queued t2 -> worker",
    ],
    faults: CRASHES,
    system,
    properties: || vec![at_quiescence("EachTaskIsDone", each_is_done)],
};

const TASKS: [RecordId; 3] = [RecordId::new('t', 1), RecordId::new('t', 2), RecordId::new('t', 3)];
record!(Done(), "done", 't');

fn system(fixed: bool) -> Simulation<Facts> {
    let app = service("app").on_command(|request, ctx| {
        ctx.publish(Fact::of("task:queued", request.record));
        Ok(())
    });
    let worker = service("worker").keeps::<Done>(EVERY).on_event(subjects(["task:queued"]), |task, ctx| {
        // One that is done already is no error.
        let _ = ctx.store.insert(task.record, Done());
        Outcome::Ack
    });
    let hosting = if fixed { Hosting::ALONE } else { ASYNC };
    let simulation = Simulation::on(broker("kafka")).service(app).hosted(worker, hosting);
    let requests = TASKS.map(|task| Request::of("app", "queue", task));
    simulation.client("user", requests.to_vec()).build().expect("the parts fit")
}

fn each_is_done(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let worker = moment.store_of("worker");
    let is_lost =
        |task: &RecordId| published(moment, "task:queued", *task) > 0 && worker.find::<Done>(*task).is_none();
    match TASKS.into_iter().find(is_lost) {
        Some(task) => Err(Violation::at("worker").of(task).because("is committed, and was never done")),
        None => Ok(()),
    }
}
