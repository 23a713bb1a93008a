//! The active consumer stops politely: it works off what it has, while its successor begins behind that.

use std::collections::BTreeSet;

use crate::parts::*;

pub(crate) const INCIDENT: Incident = Incident {
    name: "shutdown-loses-order",
    source: "https://github.com/spring-projects/spring-amqp/issues/2482",
    about: "a single active consumer is cancelled and works off its prefetch: its successor begins behind that",
    fix: "a message older than what is stored is ignored",
    departures: &[
        "fetch 1 with price:set p1@0 -> catalog",
        "cancel after price:set p1@0 -> catalog",
        "hold price:set p1@1 -> catalog until quiescence",
    ],
    faults: MEMBERS,
    system,
    properties: || vec![at_quiescence("PriceIsTheLatest", is_the_latest)],
};

const P1: RecordId = RecordId::new('p', 1);
record!(Price(u64, BTreeSet<u64>), "prices", 'p');

fn system(fixed: bool) -> Simulation<Facts> {
    let shop = service("shop").on_command(|request, ctx| {
        for version in 0..3 {
            ctx.publish(Fact::of("price:set", request.record).at(Version(version)));
        }
        Ok(())
    });
    let catalog = service("catalog").keeps::<Price>(EVERY).on_event(subjects(["price:set"]), move |price, ctx| {
        let held = ctx.store.find::<Price>(price.record).cloned();
        let Some(held) = held else { return Outcome::nak("there is no such product") };
        let Price(stored, mut handled) = held.value;
        // It knows what it has handled, and relies on the order of all else.
        if !handled.insert(price.number()) || fixed && price.number() < stored {
            return Outcome::Ack;
        }
        match ctx.store.save_if_current(price.record, Price(price.number(), handled), held.version) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::nak("another consumer was faster"),
        }
    });
    let simulation = Simulation::on(broker("rabbitmq-single-active")).service(shop).hosted(catalog, TWO);
    let simulation = simulation.seeded("catalog", |store| _ = store.overwrite(P1, Price(0, BTreeSet::new()), None));
    simulation.client("clerk", vec![Request::of("shop", "price", P1)]).build().expect("the parts fit")
}

fn is_the_latest(moment: &Moment<'_, Facts>) -> Result<(), Violation> {
    let stored = moment.store_of("catalog").find::<Price>(P1).map_or(0, |price| price.0);
    match published(moment, "price:set", P1) == 3 && stored < 2 {
        true => Err(Violation::at("catalog").of(P1).because(format!("the price is number {stored}, expected 2"))),
        false => Ok(()),
    }
}
