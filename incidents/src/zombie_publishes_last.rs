//! A member that its group has given up goes on, and what it publishes comes behind what its successor published.

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "zombie-publishes-last",
    source: "https://github.com/kafka4beam/brod/issues/649",
    about: "a consumer that its group has evicted goes on: its old result comes behind the new one of its successor",
    fix: "who reads the results takes none that is older than what it has",
    departures: &["pause price:set p1@0 -> enricher until quiescence", "rebalance after price:set p1@0 -> enricher"],
    faults: MEMBERS,
    system,
    properties: || vec![copied::<Price>("SearchHasThePrice", "shop", "search")],
};

const P1: RecordId = RecordId::new('p', 1);
record!(Price(u32), "prices", 'p');

fn system(fixed: bool) -> Simulation<Facts> {
    let shop = service("shop").owns::<Price>(EVERY).on_command(|request, ctx| {
        let held = ctx.store.find::<Price>(request.record).map(|held| held.version);
        let price = request.value.unwrap_or_default();
        let version = ctx.store.overwrite(request.record, Price(price), held);
        ctx.publish(Fact::of("price:set", request.record).at(version).saying(price));
        Ok(())
    });
    // It keeps nothing, so it does not mind a message that comes again.
    let enricher = service("enricher").on_event(subjects(["price:set"]), |price, ctx| {
        ctx.publish(Fact { what: "price:enriched", ..price.clone() });
        Outcome::Ack
    });
    let enriched = subjects(["price:enriched"]);
    let search = service("search").keeps::<Price>(EVERY).on_event(enriched, move |price, ctx| {
        let held = ctx.store.find::<Price>(price.record).map(|held| held.version);
        if !fixed || held.is_none_or(|held| held.0 < price.number()) {
            keep(ctx, price, Price(price.value));
        }
        Outcome::Ack
    });
    let simulation = Simulation::on(broker("kafka")).service(shop).hosted(enricher, TWO).service(search);
    let requests = [5, 6].map(|price| Request::of("shop", "set", P1).saying(price));
    simulation.client("clerk", requests.to_vec()).build().expect("the parts fit")
}
