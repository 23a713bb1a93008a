//! A shop owns items, search keeps copies of them: do the copies end up right on any broker?
//!
//! Run it with `cargo run --release --example two_services`. In a crate of yours, `main` is a `#[test]`.

use pellmell::testing::{self, Snapshot};
use pellmell::{Command, FaultPlan, Judges, Outcome, Profile, Record, RecordId};
use pellmell::{Simulation, System, VersionPolicy, Violation};
use serde::Serialize;

/// What the shop owns and search copies: a price.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Item(u32);

impl Record for Item {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

/// What a client asks the shop for.
#[derive(Clone, Debug, Hash, Serialize)]
struct SetPrice(RecordId, u32);

impl Command for SetPrice {
    fn service(&self) -> &'static str {
        "shop"
    }

    fn record(&self) -> RecordId {
        self.0
    }
}

struct Shop;

impl System for Shop {
    type Event = Snapshot<Item>;
    type Command = SetPrice;
}

fn main() {
    // Each save gives the next version, from 0; the event says which version it is about.
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = testing::service::<Shop>("shop").owns::<Item>(policy).on_command(|SetPrice(id, price), ctx| {
        let held = ctx.store.find::<Item>(*id).map(|held| held.version);
        let version = ctx.store.overwrite(*id, Item(*price), held);
        ctx.publish(Snapshot { id: *id, version, value: Item(*price) });
        Ok(())
    });
    // Applies the next version, acks what it has, and waits for what is missing.
    let subjects = const { &[Snapshot::<Item>::SUBJECT] };
    let search = testing::service::<Shop>("search").keeps::<Item>(policy).on_event(subjects, |event, ctx| {
        let held = ctx.store.find::<Item>(event.id).map(|held| held.version);
        let next = held.map_or(0, |held| held.0 + 1);
        if event.version.0 != next {
            return if event.version.0 < next { Outcome::Ack } else { Outcome::nak("a version is missing") };
        }
        let saved = match held {
            None => ctx.store.insert(event.id, event.value.clone()).is_ok(),
            Some(held) => ctx.store.save_if_current(event.id, event.value.clone(), held).is_ok(),
        };
        if saved { Outcome::Ack } else { Outcome::nak("another member was faster") }
    });
    let converged = testing::at_quiescence("SearchConverged", |moment| {
        let copies = moment.store_of("search");
        let wrong = |(id, item): &(RecordId, &_)| copies.find::<Item>(*id) != Some(*item);
        match moment.store_of("shop").all::<Item>().find(wrong) {
            Some((id, _)) => Err(Violation::at("search").of(id).because("the copy differs from the shop's item")),
            None => Ok(()),
        }
    });
    let commands = [5, 10, 15].map(|price| SetPrice(RecordId::new('i', 1), price));
    let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
    let simulation = simulation.client("seller", commands.to_vec()).build().expect("the parts fit");
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &Judges::new(vec![converged]));
}
