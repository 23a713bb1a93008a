//! All attempts of a message are used up within the short time in which the database is away.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "attempts-used-up",
    source: "https://github.com/hmchangw/newchat/pull/344",
    about: "a refused message comes back at once: a short outage of the database uses up all five attempts",
    fix: "attempts are spaced, and the message is not given up",
    departures: &["hold ops: start d1 until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("EachMessageIsIndexed", each_is_indexed)],
};

const M1: RecordId = RecordId::new('m', 1);
const D1: RecordId = RecordId::new('d', 1);
record!(Indexed(), "indexed", 'm');
record!(Database(bool), "databases", 'd');

fn system(fixed: bool) -> Simulation<Facts> {
    let mut jetstream = broker("jetstream");
    if !fixed {
        jetstream.max_deliver = MaxDeliver::Times { times: 5, action: Exhausted::DeadLetter };
    }
    let rooms = service("rooms").on_command(|request, ctx| {
        ctx.publish(Fact::of("message:sent", request.record));
        Ok(())
    });
    let worker = service("worker").keeps::<Indexed>(EVERY).keeps::<Database>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Database>(request.record).map(|held| held.version);
        ctx.store.overwrite(request.record, Database(request.what == "start"), held);
        Ok(())
    });
    let worker = worker.on_event(subjects(["message:sent"]), move |message, ctx| {
        if ctx.store.find::<Database>(D1).is_some_and(|database| !database.0) {
            let delay = fixed.then_some(Duration::from_secs(5));
            return Outcome::Nak { reason: "the database is away", delay };
        }
        // One that is indexed already is no error.
        let _ = ctx.store.insert(message.record, Indexed());
        Outcome::Ack
    });
    let simulation = Simulation::on(jetstream).service(rooms).service(worker);
    let ops = ["stop", "start"].map(|what| Request::of("worker", what, D1)).to_vec();
    simulation.client("ops", ops).client("user", vec![Request::of("rooms", "send", M1)]).build().expect("the parts fit")
}

fn each_is_indexed(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let worker = moment.store_of("worker");
    let is_away = worker.find::<Database>(D1).is_some_and(|database| !database.0);
    match !is_away && published(moment, "message:sent", M1) > 0 && worker.find::<Indexed>(M1).is_none() {
        true => Err(Violation::at("worker").of(M1).because("was given up, and the database is back")),
        false => Ok(()),
    }
}
