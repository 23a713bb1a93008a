//! The relay of an outbox publishes a later event of a key while an earlier one waits for another try.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "relay-overtakes",
    source: "https://github.com/ow00us/sb11-mopl-team1/issues/266",
    about: "a relay publishes a later event of a key while the earlier one waits for its retry",
    fix: "the relay publishes only the next event of a key",
    departures: &["hold outbox:added f1@0 -> relay until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_quiescence("TheLatestIsLast", latest_is_last)],
};

const F1: RecordId = RecordId::new('f', 1);
record!(Follow(bool), "follows", 'f');
record!(Next(u64), "next", 'f');

fn system(fixed: bool) -> Simulation<Facts> {
    let users = service("users").owns::<Follow>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Follow>(request.record).map(|held| held.version);
        let version = ctx.store.overwrite(request.record, Follow(request.what == "follow"), held);
        ctx.publish(Fact::of("outbox:added", request.record).at(version));
        Ok(())
    });
    // It takes the rows of the outbox in the order in which their next tries are due.
    let relay = service("relay").keeps::<Next>(EVERY).on_event(subjects(["outbox:added"]), move |row, ctx| {
        let held = ctx.store.find::<Next>(row.record).cloned();
        let next = held.as_ref().map_or(0, |next| next.0);
        if fixed && row.number() != next {
            return if row.number() < next { Outcome::Ack } else { Outcome::nak("an earlier one is not out yet") };
        }
        ctx.store.overwrite(row.record, Next(row.number() + 1), held.map(|held| held.version));
        ctx.publish(Fact { what: "follow:changed", ..row.clone() });
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("adversarial")).service(users).service(relay);
    let requests = ["follow", "leave"].map(|what| Request::of("users", what, F1));
    simulation.client("user", requests.to_vec()).build().expect("the parts fit")
}

fn latest_is_last(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let latest = moment.store_of("users").find::<Follow>(F1).map(|follow| follow.version);
    let messages = moment.world().broker().messages().iter().rev();
    match messages.map(|message| &message.event).find(|fact| fact.what == "follow:changed") {
        Some(last) if last.version != latest => {
            Err(Violation::at("relay").of(F1).because(format!("the topic ends with version {}", last.number())))
        }
        _ => Ok(()),
    }
}
