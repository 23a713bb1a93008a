//! A user is saved, and the event that tells of it is never published.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "publish-lost",
    source: "https://github.com/pipeshub-ai/pipeshub-ai/issues/3421",
    about: "a user is saved and the event is not published: nobody who needs it ever hears of the user",
    fix: "the event is saved with the user, and a relay publishes it",
    departures: &["crash users before publish of admin: create u1"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![copied::<User>("EachUserIsInTheGraph", "users", "graph")],
};

const U1: RecordId = RecordId::new('u', 1);
record!(User(), "users", 'u');

fn system(fixed: bool) -> Simulation<Facts> {
    let users = service("users").owns::<User>(EVERY).on_command(|request, ctx| {
        ctx.store.overwrite(request.record, User(), None);
        ctx.publish(Fact::of("user:created", request.record));
        Ok(())
    });
    let users = users.publishing(if fixed { PublishMode::Outbox } else { PublishMode::DualWrite });
    let graph = service("graph").keeps::<User>(EVERY).on_event(subjects(["user:created"]), |event, ctx| {
        // A user who is there already is no error.
        let _ = ctx.store.insert(event.record, User());
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("adversarial")).service(users).service(graph);
    simulation.client("admin", vec![Request::of("users", "create", U1)]).build().expect("the parts fit")
}
