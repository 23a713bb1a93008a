//! An event is out before the change that it tells of is committed.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "row-read-before-commit",
    source: "https://github.com/aznamier/keycloak-event-listener-rabbitmq/issues/9",
    about: "a consumer asks back for the user of an event before the change is committed, and keeps the old state",
    fix: "the event is published with the commit",
    departures: &["pause admin: rename u1 2 until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("CopyIsCurrent", is_current)],
};

const U1: RecordId = RecordId::new('u', 1);
const C1: RecordId = RecordId::new('c', 1);
record!(User(u32), "users", 'u');
record!(Seen(u32), "seen", 'c');

fn system(fixed: bool) -> Simulation<Facts> {
    let keycloak = service("keycloak").owns::<User>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<User>(request.record).map(|held| held.version);
        ctx.store.overwrite(request.record, User(request.value.unwrap_or_default()), held);
        ctx.publish(Fact::of("user:changed", request.record));
        Ok(())
    });
    let consumer = service("consumer").keeps::<Seen>(EVERY).asking(&["keycloak"]);
    let consumer = consumer.on_event(subjects(["user:changed"]), |changed, ctx| {
        let Ok(Some(user)) = ctx.ask::<User>("keycloak", changed.record) else {
            return Outcome::nak("there is no such user");
        };
        let held = ctx.store.find::<Seen>(C1).map(|held| held.version);
        ctx.store.overwrite(C1, Seen(user.0), held);
        Outcome::Ack
    });
    let keycloak = keycloak.publishing(if fixed { PublishMode::Outbox } else { PublishMode::BeforeSave });
    let simulation = Simulation::on(broker("rabbitmq-classic")).hosted(keycloak, ASYNC).service(consumer);
    let simulation = simulation.seeded("keycloak", |store| _ = store.overwrite(U1, User(1), None));
    let requests = vec![Request::of("keycloak", "rename", U1).saying(2)];
    simulation.client("admin", requests).build().expect("the parts fit")
}

fn is_current(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let user = moment.store_of("keycloak").find::<User>(U1).map(|user| user.0);
    match moment.store_of("consumer").find::<Seen>(C1).map(|seen| seen.0) {
        Some(seen) if Some(seen) != user => {
            Err(Violation::at("consumer").of(C1).because(format!("it saw {seen}, expected {user:?}")))
        }
        _ => Ok(()),
    }
}
