//! What is left of a failing run: the least, as it is replayed.

use std::time::Duration;

use pellmell::broker::MaxDeliver;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::shrink::{Item as Left, Shrink, Shrunk};
use pellmell::testing::{at_quiescence, service};
use pellmell::{
    Departure, Hosting, Judges, Outcome, Profile, RecordId, Simulation, Subject, Version, VersionPolicy, Violation,
};

const CHANGED: Subject = Subject::new("item:changed");

/// A shop, and a search whose two members save what is new without asking whether another one has saved it
/// since they looked, and note the attempt in a record of its own. So it takes a handler that is still at work
/// when the broker hands its message out again.
fn saved_blindly(items: u16) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").on_command(|change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(const { &[CHANGED] }, |event, ctx| {
        if ctx.store.find::<Item>(event.item).is_none() {
            ctx.store.overwrite(event.item, Item { price: event.price }, None);
            let note = RecordId::new('i', 100 * event.item.number() + u32::from(ctx.attempt()));
            ctx.store.overwrite(note, Item { price: event.price }, None);
        }
        Outcome::Ack
    });
    let profile = Profile {
        ack_wait: vec![Duration::from_secs(5)],
        max_deliver: MaxDeliver::Unlimited,
        ..Profile::adversarial()
    };
    let commands = (1..=items).map(|number| Change { item: RecordId::new('i', number.into()), price: 5 });
    let hosting = Hosting { members: 2, overlapping: true, ..Hosting::ALONE };
    let simulation = Simulation::on(profile).service(shop).hosted(search, hosting);
    simulation.client("seller", commands.collect()).build().expect("the parts fit")
}

/// Every item is saved once.
fn saved_once() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("SavedOnce", |moment| {
        let notes = moment.store_of("search").all::<Item>().map(|(id, _)| id.number()).filter(|id| *id >= 100);
        let items: Vec<u32> = notes.map(|note| note / 100).collect();
        match items.windows(2).find(|two| two[0] == two[1]) {
            Some(twice) => Err(Violation::at("search").of(RecordId::new('i', twice[0])).because("it was saved twice")),
            None => Ok(()),
        }
    })])
}

fn departures(lines: &[&str]) -> Vec<Departure> {
    lines.iter().map(|line| line.parse().expect("a departure")).collect()
}

#[track_caller]
fn assert_left<C>(shrunk: &Shrunk<C>, departures: &[&str], commands: usize) {
    let left: Vec<String> = shrunk.departures.iter().map(ToString::to_string).collect();
    assert_eq!(left, departures);
    assert_eq!(shrunk.commands.len(), commands);
}

#[test]
fn a_handler_that_outlives_its_ack_wait_needs_no_other_message() {
    let (simulation, judges) = (saved_blindly(2), saved_once());
    let failing = departures(&[
        "pause item:changed i1@0 -> search until ack wait of item:changed i1@0 -> search",
        "pause item:changed i1@0 -> search until item:changed i2@0 -> search",
        "hold item:changed i2@0 -> search until item:changed i1@0 -> search #2",
    ]);
    let shrunk = Shrink::new(&simulation, &judges).run(failing).expect("it fails");
    let left = [
        "pause item:changed i1@0 -> search until ack wait of item:changed i1@0 -> search",
        "pause item:changed i1@0 -> search until quiescence",
    ];
    assert_left(&shrunk, &left, 1);
    assert!(shrunk.minimal && shrunk.needed.len() == 3, "{shrunk}");
    for needed in &shrunk.needed {
        assert!(matches!(needed.item, Left::Departure(_) | Left::Command(_)));
        assert!(needed.without.as_ref().is_some_and(pellmell::Verdict::is_held), "{}", needed.item);
    }
}

#[test]
fn what_a_hold_sweep_finds_is_taken_where_it_departs_less_often() {
    let (simulation, judges) = (saved_blindly(2), saved_once());
    let failing = departures(&[
        "pause item:changed i1@0 -> search until ack wait of item:changed i1@0 -> search",
        "pause item:changed i1@0 -> search until item:changed i1@0 -> search #2",
    ]);
    let find = "pause item:changed i1@0 -> search until ack wait of item:changed i2@0 -> search";
    let finds = |fewer_than: usize| {
        assert_eq!(fewer_than, 2);
        vec![departures(&["lose ack of item:changed i1@0 -> search"]), departures(&[find])]
    };
    let shrunk = Shrink::new(&simulation, &judges).with_finds(&finds).run(failing).expect("it fails");
    assert_eq!(shrunk.departures, departures(&[find]), "{shrunk}");
    assert!(shrunk.minimal, "{shrunk}");
}
