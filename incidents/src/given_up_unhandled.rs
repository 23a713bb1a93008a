//! A message that fails takes along what was received with it, each time, until the broker gives up both.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "given-up-unhandled",
    source: "https://github.com/JaidenAshmore/java-dynamic-sqs-listener/issues/369",
    about: "a bad message brings the good one behind it along at each receive: both are given up, one unhandled",
    fix: "messages are received one at a time",
    departures: &[
        "fetch 1 with task:queued t1@0 -> worker",
        "fetch 1 with task:queued t1@0 -> worker #2",
        "fetch 1 with task:queued t1@0 -> worker #3",
    ],
    faults: FETCHES,
    system,
    properties: || vec![at_quiescence("TheGoodTaskIsDone", good_is_done)],
};

const T1: RecordId = RecordId::new('t', 1);
record!(Done(), "done", 't');

fn system(fixed: bool) -> Simulation<Facts> {
    let batch = if fixed { 1 } else { 10 };
    let fifo = played("sqs-fifo", [("deliveries", json!(3)), ("batch", json!(batch))]);
    let app = service("app").on_command(|request, ctx| {
        for number in 0..2 {
            ctx.publish(Fact::of("task:queued", request.record).at(Version(number)));
        }
        Ok(())
    });
    let worker = service("worker").keeps::<Done>(EVERY).on_event(subjects(["task:queued"]), |task, ctx| {
        let now = ctx.now();
        if task.number() == 0 {
            *ctx.memory::<Option<Time>>() = Some(now);
            return Outcome::Silent("it cannot be handled");
        }
        // What was received together with one that failed waits for that: so the order is kept.
        if *ctx.memory::<Option<Time>>() == Some(now) {
            return Outcome::Silent("the one before it has failed");
        }
        // One that is done already is no error.
        let _ = ctx.store.insert(task.record, Done());
        Outcome::Ack
    });
    let simulation = Simulation::on(fifo).service(app).service(worker);
    simulation.client("user", vec![Request::of("app", "queue", T1)]).build().expect("the parts fit")
}

fn good_is_done(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let is_over = moment.world().is_finished() && published(moment, "task:queued", T1) == 2;
    match is_over && moment.store_of("worker").find::<Done>(T1).is_none() {
        true => Err(Violation::at("worker").of(T1).because("the good task is given up, and was never handled")),
        false => Ok(()),
    }
}
