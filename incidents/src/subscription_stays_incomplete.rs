//! A webhook about the creation of a subscription comes after the one about its payment.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "subscription-stays-incomplete",
    source: "https://github.com/laravel/cashier-stripe/issues/1201",
    about: "the webhook of a creation comes after that of the payment, and the paid subscription is incomplete",
    fix: "a webhook older than what is stored is ignored",
    departures: &["hold subscription:created s1@0 -> app until quiescence"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![copied::<Subscription>("StatusAgrees", "stripe", "app")],
};

const S1: RecordId = RecordId::new('s', 1);
const INCOMPLETE: u32 = 0;
const ACTIVE: u32 = 1;
record!(Subscription(u32), "subscriptions", 's');

fn system(fixed: bool) -> Simulation<Facts> {
    let stripe = service("stripe").owns::<Subscription>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Subscription>(request.record).map(|held| held.version);
        let (what, status) = match held {
            None => ("subscription:created", INCOMPLETE),
            Some(_) => ("subscription:updated", ACTIVE),
        };
        let version = ctx.store.overwrite(request.record, Subscription(status), held);
        ctx.publish(Fact::of(what, request.record).at(version).saying(status));
        Ok(())
    });
    let webhooks = subjects(["subscription:created", "subscription:updated"]);
    let app = service("app").keeps::<Subscription>(EVERY).on_event(webhooks, move |webhook, ctx| {
        let held = ctx.store.find::<Subscription>(webhook.record).map(|held| held.version);
        if fixed && held >= webhook.version {
            return Outcome::Ack;
        }
        keep(ctx, webhook, Subscription(webhook.value));
        Outcome::Ack
    });
    // Webhooks have no order.
    let simulation = Simulation::on(broker("adversarial")).service(stripe).service(app);
    let requests = ["subscribe", "pay"].map(|what| Request::of("stripe", what, S1));
    simulation.client("customer", requests.to_vec()).build().expect("the parts fit")
}
