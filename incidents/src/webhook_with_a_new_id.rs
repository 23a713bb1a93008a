//! A batch takes longer than its messages are hidden, and webhooks are sent again under other ids.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "webhook-with-a-new-id",
    source: "https://github.com/reapit/foundations/issues/10832",
    about: "a batch outlasts the visibility timeout: webhooks are sent again, each with a new id, so nobody can tell",
    fix: "the id of a webhook is that of the event it tells of",
    departures: &["run past ack wait of property:changed p1 -> webhooks"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![at_most_once("PartnerActsOnce", "partner", "partner:acted")],
};

const P1: RecordId = RecordId::new('p', 1);
const N1: RecordId = RecordId::new('n', 1);
record!(Counter(u32), "ids", 'n');
record!(Received(), "received", 'w');

fn system(fixed: bool) -> Simulation<Facts> {
    let agency = service("agency").on_command(|request, ctx| {
        ctx.publish(Fact::of("property:changed", request.record));
        Ok(())
    });
    let changed = subjects(["property:changed"]);
    let webhooks = service("webhooks").keeps::<Counter>(EVERY).on_event(changed, move |event, ctx| {
        let held = ctx.store.find::<Counter>(N1).cloned();
        let fresh = held.as_ref().map_or(1, |counter| counter.0 + 1);
        ctx.store.overwrite(N1, Counter(fresh), held.map(|counter| counter.version));
        let id = if fixed { event.record.number() } else { fresh };
        ctx.publish(Fact::of("webhook:sent", RecordId::new('w', id)));
        Outcome::Ack
    });
    // It is careful: it acts on each id once.
    let partner = service("partner").keeps::<Received>(EVERY).on_event(subjects(["webhook:sent"]), |webhook, ctx| {
        if ctx.store.insert(webhook.record, Received()).is_ok() {
            ctx.publish(Fact::of("partner:acted", P1));
        }
        Outcome::Ack
    });
    let sqs = Profile { name: "sqs-standard", ack_wait: seconds([60]), ..broker("adversarial") };
    let simulation = Simulation::on(sqs).service(agency).service(webhooks).service(partner);
    simulation.client("agent", vec![Request::of("agency", "change", P1)]).build().expect("the parts fit")
}
