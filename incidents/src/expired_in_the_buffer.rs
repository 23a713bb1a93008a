//! Messages expire in the buffer of a consumer that is busy with the one before them.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "expired-in-the-buffer",
    source: "https://github.com/nats-io/nats.go/issues/1929",
    about: "what a busy replica has buffered expires: it is handled there all the same, and by another one too",
    fix: "whether a mail is sent is looked up at each delivery, also at the first",
    departures: &[
        "fetch 1 with report:wanted r1 -> worker",
        "pause report:wanted r1 -> worker until ack wait of mail:queued m1 -> worker",
        "pause report:wanted r1 -> worker until quiescence",
    ],
    faults: MEMBERS,
    system,
    properties: || vec![at_most_once("SentOnce", "worker", "mail:sent")],
};

const R1: RecordId = RecordId::new('r', 1);
const M1: RecordId = RecordId::new('m', 1);
record!(Claim(), "claims", 'm');

fn system(fixed: bool) -> Simulation<Facts> {
    let app = service("app").on_command(|request, ctx| {
        ctx.publish(Fact::of("report:wanted", request.record));
        ctx.publish(Fact::of("mail:queued", M1));
        Ok(())
    });
    let tasks = subjects(["report:wanted", "mail:queued"]);
    let worker = service("worker").keeps::<Claim>(EVERY).on_event(tasks, move |task, ctx| {
        // A report takes long, and may be made twice.
        if task.what == "report:wanted" {
            return Outcome::Ack;
        }
        // What is delivered for the first time was not handled before, or so it looks.
        let is_sent = ctx.store.insert(task.record, Claim()).is_err();
        if !is_sent || !fixed && ctx.attempt() == 1 {
            ctx.publish(Fact::of("mail:sent", task.record));
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(played("jetstream", [])).service(app).hosted(worker, TWO);
    simulation.client("user", vec![Request::of("app", "close", R1)]).build().expect("the parts fit")
}
