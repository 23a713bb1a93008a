//! Records that are removed: what is left of them, and copies that rise from the dead.

use expect_test::expect;
use pellmell::explain::Explain;
use pellmell::schedule::Departure;
use pellmell::scheduler::Departing;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};
use pellmell::testing::{Closures, at_quiescence, converges, service};
use pellmell::trace::Recorder;
use pellmell::{
    Command, Context, Event, Fate, FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Outcome, Profile, Record,
    RecordId, Rejection, Sending, Simulation, Subject, System, Version, VersionPolicy, Violation,
};
use serde::Serialize;

/// A shop that adds, changes and deletes items, and search, which has copies of them.
struct Shop;

impl System for Shop {
    type Event = Said;
    type Command = Ask;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Item {
    price: u32,
}

impl Record for Item {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

/// That an item was deleted, and at which version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Tombstone {
    deleted_at: Version,
}

impl Record for Tombstone {
    const COLLECTION: &'static str = "tombstones";
    const KIND: char = 'd';
}

/// What the shop says of an item: its price, or that it is deleted.
#[derive(Clone, Debug, Hash, Serialize)]
struct Said {
    item: RecordId,
    version: Version,
    price: Option<u32>,
}

const UPDATED: Subject = Subject::new("item:updated");
const DELETED: Subject = Subject::new("item:deleted");

impl Event for Said {
    fn subject(&self) -> Subject {
        if self.price.is_some() { UPDATED } else { DELETED }
    }

    fn record(&self) -> RecordId {
        self.item
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// Asks for an item with a price, or for none.
#[derive(Clone, Debug, Hash, Serialize)]
struct Ask {
    item: RecordId,
    price: Option<u32>,
}

impl Command for Ask {
    fn service(&self) -> &'static str {
        "shop"
    }

    fn record(&self) -> RecordId {
        self.item
    }

    fn label(&self) -> String {
        self.price.map_or_else(|| format!("delete {}", self.item), |price| format!("price {} {price}", self.item))
    }
}

const ITEM: RecordId = RecordId::new('i', 1);
/// The tombstone of the item.
const GRAVE: RecordId = RecordId::new('d', 1);
const ABSENT: Rejection = Rejection { status: 404, reason: "not there" };

fn set(price: u32) -> Ask {
    Ask { item: ITEM, price: Some(price) }
}

fn delete() -> Ask {
    Ask { item: ITEM, price: None }
}

/// With which version an item begins that was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anew {
    /// With the first one, as databases do.
    AtFirst,
    /// With the one after that of its deletion, which the shop keeps.
    AfterDeletion,
}

fn shop(anew: Anew) -> Closures<Shop> {
    let shop = service("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).keeps::<Tombstone>(VersionPolicy::EVERY_SAVE);
    shop.on_command(move |ask: &Ask, ctx| {
        let Ask { item, price } = *ask;
        let held = ctx.store.find::<Item>(item).map(|held| held.version);
        let version = match (price.map(|price| Item { price }), held) {
            (None, None) => return Err(ABSENT),
            (None, Some(held)) => {
                let last = ctx.store.remove_if_current::<Item>(item, held).map_err(|_| ABSENT)?;
                let deleted_at = Version(last.version.0 + 1);
                ctx.store.overwrite(GRAVE, Tombstone { deleted_at }, None);
                deleted_at
            }
            (Some(value), Some(held)) => ctx.store.save_if_current(item, value, held).map_err(|_| ABSENT)?,
            (Some(value), None) => {
                let deleted_at = ctx.store.find::<Tombstone>(GRAVE).map(|tombstone| tombstone.deleted_at);
                let inserted = match deleted_at.filter(|_| anew == Anew::AfterDeletion) {
                    Some(Version(deleted_at)) => ctx.store.insert_as(item, value, Version(deleted_at + 1)),
                    None => ctx.store.insert(item, value),
                };
                inserted.map_err(|_| ABSENT)?
            }
        };
        ctx.publish(Said { item, version, price });
        Ok(())
    })
}

/// What search does when it hears that an item is deleted. In each design what is newer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    /// It removes its copy.
    Removes,
    /// It does nothing.
    Keeps,
    /// It removes its copy, and keeps a tombstone.
    Buries,
}

fn search(design: Design) -> Closures<Shop> {
    let search =
        service("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).keeps::<Tombstone>(VersionPolicy::EVERY_SAVE);
    search.on_event(&[UPDATED, DELETED][..], move |said, ctx| {
        let Said { item, version, price } = *said;
        let held = ctx.store.find::<Item>(item).map(|held| held.version);
        let deleted_at = ctx.store.find::<Tombstone>(GRAVE).map(|tombstone| tombstone.deleted_at);
        if held.max(deleted_at).is_some_and(|newest| newest >= version) {
            return Outcome::Ack;
        }
        match (price, held) {
            (Some(price), None) => drop(ctx.store.insert_as(item, Item { price }, version)),
            (Some(price), Some(held)) => drop(ctx.store.save_as(item, Item { price }, held, version)),
            (None, _) if design == Design::Keeps => {}
            (None, _) => {
                ctx.store.remove::<Item>(item);
                if design == Design::Buries {
                    ctx.store.overwrite(GRAVE, Tombstone { deleted_at: version }, None);
                }
            }
        }
        Outcome::Ack
    })
}

fn simulation(design: Design, anew: Anew, asks: Vec<Ask>) -> Simulation<Shop> {
    let on = Simulation::on(Profile::adversarial()).service(shop(anew)).service(search(design));
    on.client("seller", asks).build().expect("the parts fit")
}

fn converged() -> Judges<Shop> {
    Judges::new(vec![converges::<Shop, Item, Item>("SearchConverged", "shop", "search", |item, copy| {
        (item.version, item.price) == (copy.version, copy.price)
    })])
}

/// What is wrong after a run with these departures; nothing if it held.
fn played(simulation: &Simulation<Shop>, lines: &[&str]) -> String {
    let schedule: Vec<Departure> = lines.iter().map(|line| line.parse().expect("a departure")).collect();
    let mut world = simulation.world();
    let report =
        pellmell::run::run(&mut world, &mut Departing::new(schedule), &converged(), Limits::default(), &mut ());
    pellmell::trace::detail(&report.verdict).unwrap_or_default()
}

fn sold_and_deleted() -> Vec<Ask> {
    vec![set(5), set(10), delete()]
}

const LATE_UPDATE: &str = "hold item:updated i1@1 -> search until quiescence";

#[test]
fn a_copy_that_stays_and_one_that_rises_from_the_dead_are_wrong_and_a_tombstone_prevents_both() {
    let play = |design, lines: &[&str]| played(&simulation(design, Anew::AtFirst, sold_and_deleted()), lines);
    assert_eq!(play(Design::Keeps, &[]), "at search, i1: shop has removed it, found version 1");
    assert_eq!(play(Design::Removes, &[]), "");
    assert_eq!(play(Design::Removes, &[LATE_UPDATE]), "at search, i1: shop has removed it, found version 1");
    let again = "duplicate item:updated i1@0 -> search";
    assert_eq!(play(Design::Buries, &[LATE_UPDATE]), "");
    assert_eq!(play(Design::Buries, &[again]), "");
}

#[test]
fn a_copy_of_what_the_owner_never_had_is_wrong_and_so_is_one_that_is_missing() {
    let said = |held_by: &'static str| {
        let on = Simulation::on(Profile::adversarial()).service(shop(Anew::AtFirst)).service(search(Design::Removes));
        let on = on.seeded(held_by, |store| {
            store.insert(RecordId::new('i', 7), Item { price: 1 }).expect("nothing is there");
        });
        let simulation = on.client("seller", vec![set(5)]).build().expect("the parts fit");
        played(&simulation, &[])
    };
    assert_eq!(said("search"), "at search, i7: shop has no such record, found version 0");
    assert_eq!(said("shop"), "at search, i7: expected version 0 Item { price: 1 }, found nothing");
}

#[test]
fn hold_sweeps_seeds_and_searches_of_all_states_find_the_zombie_and_none_where_there_is_a_tombstone() {
    let judges = converged();
    let removes = simulation(Design::Removes, Anew::AtFirst, sold_and_deleted());
    let buries = simulation(Design::Buries, Anew::AtFirst, sold_and_deleted());
    let swept = |simulation| HoldSweep::new(simulation, &judges).with_faults(FaultPlan::SOME).run();
    assert!(!swept(&removes).is_held());
    assert!(swept(&buries).is_held());
    let seeded = |simulation: &Simulation<Shop>, seed| {
        let (mut world, mut keyed) = (simulation.world(), Keyed::new(seed, FaultPlan::SOME));
        pellmell::run::run(&mut world, &mut keyed, &judges, Limits::default(), &mut ()).verdict.is_held()
    };
    assert!((0..20).any(|seed| !seeded(&removes, seed)));
    assert!((0..300).all(|seed| seeded(&buries, seed)));
    let bounds = Bounds { lost_acks: Most::Of(1), pauses: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    let searched = |simulation| Exhaust::new(simulation, &judges).with_bounds(bounds).run();
    let failing = searched(&removes).failing.expect("a zombie");
    assert_eq!(
        pellmell::trace::in_words(&failing.verdict),
        "violated SearchConverged: at search, i1: shop has removed it, found version 1"
    );
    assert!(searched(&buries).is_complete());
}

#[test]
fn an_explanation_says_that_the_record_had_been_removed() {
    let simulation = simulation(Design::Removes, Anew::AtFirst, sold_and_deleted());
    let schedule = vec![LATE_UPDATE.parse().expect("a departure")];
    let explanation = Explain::new(&simulation, &converged()).departures(schedule).expect("a failure");
    expect![[r#"
        explained:
          Explaining a failure, shrunk to 6 steps, 1 departure, 3 commands
             Departs hold item:updated i1@1 -> search until quiescence

         step          t │ service │ what happens                                    │ P(violated)
            0            │         │ before the first step                           │   33%
            1    +0.001s │ shop    │ seller: price i1 5 ✓ saves i1@0                 │   33%
            2    +0.001s │ search  │ item:updated i1@0 ✓ saves i1@0                  │   26%
            3    +0.002s │ shop    │ seller: price i1 10 ✓ saves i1@1                │   26%
            4    +0.003s │ shop    │ seller: delete i1 ✓ saves d1@0 and removes i1@1 │   47%    ◀ necessary: hold item:updated i1@1
            5    +0.003s │ search  │ item:deleted i1@2 ✓ removes i1@0                │  100% ▲
            6    +0.003s │ search  │ item:updated i1@1 ✓ saves i1@1                  │  100%

                     P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew
               Turns at step 5 ▲, from 47% to 100%
           Any order steps 2, 3: wherever else one of them can stand, the run fails all the same
            Calm run differs first at step 4, where it does `deliver item:updated i1@1 -> search #1`; in it every property holds
            VIOLATED SearchConverged at search   step 6, t = +0.003s
                 Why `item:updated i1@1` reaches search only at step 6, after `item:deleted i1@2` (step 5).
                     At step 5 search, which holds i1@0 price 5, handles `item:deleted i1@2` and removes i1@0 price 5; in the calm run it removes i1@1 price 10.
                     At step 6 search, which holds no i1 (removed at step 5), handles `item:updated i1@1` and saves i1@1.
                     So SearchConverged is violated for i1 at search: shop has removed it, found version 1.
             Changes without `hold item:updated i1@1 -> search until quiescence`: every property holds
                     without `seller: price i1 5`, `seller: price i1 10` or `seller: delete i1`: every property holds
                     `hold item:updated i1@1 -> search` until step 5 (`item:deleted i1@2 -> search`) is enough; until step 4 (`seller: delete i1`) only: every property
                     holds
                     it fails as well if the calm run serves the groups in other orders
    "#]].assert_eq(&format!("explained:\n{explanation}"));
}

/// Traces say what was removed, and are read back.
#[test]
fn a_trace_says_what_was_removed() {
    let simulation = simulation(Design::Removes, Anew::AtFirst, sold_and_deleted());
    let (mut world, mut recorder) = (simulation.world(), Recorder::default());
    let mut calm = Departing::new(Vec::new());
    pellmell::run::run(&mut world, &mut calm, &converged(), Limits::default(), &mut recorder);
    let records = recorder.into_records();
    let brief: Vec<String> =
        records.iter().filter(|record| record.action.contains("delete")).map(|record| record.in_brief()).collect();
    assert_eq!(brief, ["seller: delete i1 ✓ saves d1@0 and removes i1@1", "item:deleted i1@2 ✓ removes i1@1"]);
    let removed: Vec<bool> = records.iter().flat_map(|record| &record.saved).map(|row| row.removed).collect();
    assert_eq!(removed.iter().filter(|removed| **removed).count(), 2);
    let text = serde_json::to_string(&records).expect("JSON");
    assert_eq!(text.matches("\"removed\":true").count(), 2, "where nothing was removed nothing is said of it");
    let read: Vec<pellmell::trace::TraceRecord> = serde_json::from_str(&text).expect("what was written");
    assert_eq!(read, records);
}

#[test]
fn a_record_that_is_made_anew_begins_with_the_first_version_which_a_tombstone_takes_for_old() {
    let asks = || vec![set(5), delete(), set(7)];
    let play = |design, anew, lines: &[&str]| played(&simulation(design, anew, asks()), lines);
    let anew = play(Design::Buries, Anew::AtFirst, &[]);
    assert_eq!(anew, "at search, i1: expected version 0 Item { price: 7 }, found nothing");
    assert_eq!(play(Design::Buries, Anew::AfterDeletion, &[]), "");
    // Without a tombstone it is right if nothing goes wrong. Two lives of a record look the same to who compares versions.
    assert_eq!(play(Design::Removes, Anew::AtFirst, &[]), "");
    let late = ["hold item:deleted i1@1 -> search until quiescence"];
    assert_eq!(
        play(Design::Removes, Anew::AtFirst, &late),
        "at search, i1: expected version 0 Item { price: 7 }, found nothing"
    );
    let judges = converged();
    let continues = simulation(Design::Buries, Anew::AfterDeletion, asks());
    let bounds = Bounds { lost_acks: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    assert!(Exhaust::new(&continues, &judges).with_bounds(bounds).run().is_complete());
    assert!(HoldSweep::new(&continues, &judges).with_faults(FaultPlan::SOME).run().is_held());
}

/// A clerk changes an item while another one deletes it: how the change is saved decides who wins.
#[test]
fn a_save_that_is_based_on_what_was_removed_meanwhile_is_refused_and_an_overwrite_makes_it_again() {
    type Save = fn(&mut Context<'_, Shop>, Item, Version) -> bool;
    let saves: [(&str, Save, bool); 3] = [
        ("compares", |ctx, item, read| ctx.store.save_if_current(ITEM, item, read).is_ok(), false),
        ("changes", |ctx, item, _| ctx.store.change::<Item>(ITEM, |held| held.price = item.price).is_some(), false),
        ("overwrites", |ctx, item, read| ctx.store.overwrite(ITEM, item, Some(read)).0 > 0, true),
    ];
    for (name, save, is_there) in saves {
        let shop = service("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).on_command(move |ask: &Ask, ctx| {
            let held = ctx.store.find::<Item>(ask.item).map(|held| held.version).ok_or(ABSENT)?;
            let is_done = match ask.price {
                Some(price) => save(ctx, Item { price }, held),
                None => ctx.store.remove_if_current::<Item>(ask.item, held).is_ok(),
            };
            if is_done { Ok(()) } else { Err(ABSENT) }
        });
        let on = Simulation::on(Profile::adversarial()).hosted(shop, Hosting { overlapping: true, ..Hosting::ALONE });
        let on = on.seeded("shop", |store| {
            store.insert(ITEM, Item { price: 5 }).expect("nothing is there");
        });
        let simulation = on.client("ann", vec![set(10)]).client("bob", vec![delete()]).client("cat", vec![set(15)]);
        let simulation = simulation.build().expect("the parts fit");
        let (mut world, nobody) = (simulation.world(), Judges::new(Vec::new()));
        let race = "pause ann: price i1 10 until bob: delete i1".parse().expect("a departure");
        pellmell::run::run(&mut world, &mut Departing::new(vec![race]), &nobody, Limits::default(), &mut ());
        let store = world.store_of("shop");
        assert_eq!(store.find::<Item>(ITEM).is_some(), is_there, "{name}");
        assert_eq!(store.was_removed::<Item>(ITEM), !is_there, "{name}");
        let late = "pause bob: delete i1 until cat: price i1 15".parse().expect("a departure");
        let mut world = simulation.world();
        pellmell::run::run(&mut world, &mut Departing::new(vec![late]), &nobody, Limits::default(), &mut ());
        assert!(world.store_of("shop").find::<Item>(ITEM).is_some(), "the removal is refused: {name}");
    }
}

/// A buyer who has seen an item may ask for it when it is gone, and one who has not seen it may not: a search of all
/// states takes the two for different states.
#[test]
fn who_has_waited_for_a_record_may_send_when_it_is_gone() {
    let buyer = Sending::of(set(7)).waits_for(ITEM, "search");
    let on = Simulation::on(Profile::adversarial()).service(shop(Anew::AtFirst)).service(search(Design::Buries));
    let simulation = on.client("seller", vec![set(5), delete()]).client("buyer", vec![buyer]);
    let simulation = simulation.build().expect("the parts fit");
    let (updated, deleted) = ("deliver item:updated i1@0 -> search #1", "deliver item:deleted i1@1 -> search #1");
    let after = |names: [&str; 4]| {
        let mut world = simulation.world();
        for name in names {
            let action = world.enabled().iter().find(|action| world.describe(*action) == name);
            world.step(action.expect(name), Fate::CALM);
        }
        let may_send = world.enabled().iter().any(|action| world.describe(action) == "buyer: price i1 7");
        (may_send, world.digest(), world.store_of("search").digest())
    };
    let seen = after(["seller: price i1 5", updated, "seller: delete i1", deleted]);
    let unseen = after(["seller: price i1 5", "seller: delete i1", deleted, updated]);
    assert_eq!((seen.0, unseen.0, seen.2 == unseen.2), (true, false, true));
    assert_ne!(seen.1, unseen.1);
    let judges = Judges::new(vec![at_quiescence("NobodyAsksForWhatIsGone", |moment: &Moment<'_, Shop>| match moment
        .store_of("shop")
        .find::<Item>(ITEM)
    {
        Some(_) if moment.store_of("search").find::<Tombstone>(GRAVE).is_some() => {
            Err(Violation::at("shop").because("somebody did"))
        }
        _ => Ok(()),
    })]);
    let exhaust = Exhaust::new(&simulation, &judges).with_bounds(Bounds::of(DeliveryOrder::Any));
    assert!(exhaust.run().failing.is_some());
}
