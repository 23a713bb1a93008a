//! A message whose ack fails comes again behind newer ones.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "old-price-comes-back",
    source: "https://github.com/nats-io/stan.go/issues/179",
    about: "a message whose ack fails comes again behind newer ones, and its old value is written last",
    fix: "a value older than the one that is stored is ignored",
    departures: &["lose ack of item:priced i1@0 -> search"],
    faults: FaultPlan::SOME,
    system,
    properties: || vec![copied::<Item>("SearchConverged", "shop", "search")],
};

const I1: RecordId = RecordId::new('i', 1);
record!(Item(u32), "items", 'i');

fn system(fixed: bool) -> Simulation<Facts> {
    let shop = service("shop").owns::<Item>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Item>(request.record).map(|held| held.version);
        let price = request.value.unwrap_or_default();
        let version = ctx.store.overwrite(request.record, Item(price), held);
        ctx.publish(Fact::of("item:priced", request.record).at(version).saying(price));
        Ok(())
    });
    let priced = subjects(["item:priced"]);
    let search = service("search").keeps::<Item>(EVERY).on_event(priced, move |change, ctx| {
        let held = ctx.store.find::<Item>(change.record).map(|held| held.version);
        if !fixed || held < change.version {
            keep(ctx, change, Item(change.value));
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("stan")).service(shop).service(search);
    let requests = [5, 10].map(|price| Request::of("shop", "price", I1).saying(price));
    simulation.client("seller", requests.to_vec()).build().expect("the parts fit")
}
