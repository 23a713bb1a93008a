//! An explanation names the cause: the step that did nothing, the limit that is full, the change that broke
//! what was agreed; and not what came after it or has nothing to do with it.

use std::time::Duration;

use expect_test::{Expect, expect};
use pellmell::broker::{Exhausted, InFlight, Limit, MaxDeliver, Scope};
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::{Explain, Explanation, NotExplained};
use pellmell::property::NoPoison;
use pellmell::shrink::Shrink;
use pellmell::testing::{at_quiescence, service};
use pellmell::{
    Departure, FaultPlan, Hosting, Judges, Outcome, Profile, Property, RecordId, Simulation, Subject, VersionPolicy,
    Violation,
};

const ITEM_CHANGED: &[Subject] = &[Subject::new("item:changed")];
const POLICY: VersionPolicy = VersionPolicy::EVERY_SAVE;

const fn item(number: u32) -> RecordId {
    RecordId::new('i', number)
}

fn stan() -> Profile {
    Profile { ack_wait: vec![Duration::from_secs(5)], ..Profile::stan() }
}

/// What search does with a change that is the next one of its item.
#[derive(Clone, Copy, PartialEq)]
enum Search {
    TakesAll,
    /// It acks a change that leaves the price as it is, and does not note it.
    SkipsSamePrice,
    /// It does not know a price of 13.
    PanicsAt13,
    /// It refuses all but new items, again and again.
    OnlyInserts,
    /// It refuses changes of items it has not heard of.
    KnowsFirst,
}

/// A shop whose items a seller sets to prices, a search with copies of them, and stock, which counts changes and
/// has nothing to do with prices.
fn shop(profile: Profile, search: Search, hosting: Hosting, changes: &[(u32, u32)]) -> Simulation<Shop> {
    let shop = crate::shop::shop();
    let copies = service::<Shop>("search").keeps::<Item>(POLICY).on_event(ITEM_CHANGED, move |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| (item.version, item.price));
        let row = Item { price: event.price };
        match held {
            _ if search == Search::PanicsAt13 && event.price == 13 => panic!("no price is 13"),
            None if search == Search::KnowsFirst && event.version.0 > 0 => Outcome::Silent("item unknown"),
            None => {
                ctx.store.insert_as(event.item, row, event.version).map_or(Outcome::Silent("key"), |_| Outcome::Ack)
            }
            Some(_) if search == Search::OnlyInserts => Outcome::Silent("duplicate key"),
            Some((_, price)) if search == Search::SkipsSamePrice && price == event.price => Outcome::Ack,
            Some((version, _)) if version >= event.version => Outcome::Ack,
            Some((version, _)) if version.0 + 1 < event.version.0 => Outcome::Silent("a version is missing"),
            Some((version, _)) => {
                let saved = ctx.store.save_as(event.item, row, version, event.version);
                saved.map_or(Outcome::Silent("conflict"), |_| Outcome::Ack)
            }
        }
    });
    let stock = service::<Shop>("stock").keeps::<Item>(POLICY).on_event(ITEM_CHANGED, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| (item.version, item.price));
        ctx.store.overwrite(
            event.item,
            Item { price: held.map_or(1, |(_, n)| n + 1) },
            held.map(|(version, _)| version),
        );
        Outcome::Ack
    });
    let commands = changes.iter().map(|(number, price)| Change { item: item(*number), price: *price }).collect();
    let simulation = Simulation::on(profile).service(shop).hosted(copies, hosting).service(stock);
    simulation.client("seller", commands).build().expect("the parts fit")
}

fn same_price() -> Box<dyn Property<Shop>> {
    at_quiescence("SamePrice", |moment| {
        for (id, item) in moment.store_of("shop").all::<Item>() {
            let found = moment.store_of("search").find::<Item>(id).map(|copy| copy.price);
            if found != Some(item.price) {
                let detail = format!("expected {}, found {found:?}", item.price);
                return Err(Violation::at("search").of(id).because(detail));
            }
        }
        Ok(())
    })
}

fn judges(property: Box<dyn Property<Shop>>) -> Judges<Shop> {
    Judges::new(vec![property])
}

fn explained(simulation: &Simulation<Shop>, property: Box<dyn Property<Shop>>, departures: &[&str]) -> Explanation {
    let departures = departures.iter().map(|text| text.parse().expect("a departure")).collect::<Vec<Departure>>();
    let judges = judges(property);
    Explain::new(simulation, &judges).with_continuations(5).departures(departures).expect("it fails and is small")
}

#[track_caller]
fn check(simulation: &Simulation<Shop>, property: Box<dyn Property<Shop>>, departures: &[&str], why: Expect) {
    why.assert_eq(&(explained(simulation, property, departures).why.join("\n") + "\n"));
}

#[test]
fn a_step_that_acked_and_saved_nothing_is_the_cause_also_of_what_fails_later() {
    let simulation = shop(stan(), Search::SkipsSamePrice, Hosting::ALONE, &[(1, 5), (1, 5), (1, 6)]);
    check(
        &simulation,
        Box::new(NoPoison),
        &[],
        expect![[r#"
        Nothing has to go wrong for it: the calm run of these commands fails.
        At step 2 search handles `item:changed i1@0` and saves i1@0.
        At step 5 search, which holds i1@0, handles `item:changed i1@1`, acks it and saves nothing.
        At step 8 search, which holds i1@0, handles `item:changed i1@2` and gives no answer (a version is missing).
        So NoPoison is violated for i1 at search: still unacked: item:changed i1@2 -> search #1 after 1 attempt, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.
    "#]],
    );
    check(
        &simulation,
        same_price(),
        &[],
        expect![[r#"
        Nothing has to go wrong for it: the calm run of these commands fails.
        At step 2 search handles `item:changed i1@0` and saves i1@0.
        At step 5 search, which holds i1@0, handles `item:changed i1@1`, acks it and saves nothing.
        At step 7 shop, which holds i1@1 price 5, handles `seller: change i1 to 6` and saves i1@2 price 6.
        So SamePrice is violated for i1 at search: expected 6, found Some(5).
    "#]],
    );
}

#[test]
fn a_limit_that_is_full_is_told_with_what_fills_it() {
    let limited =
        |limit| Profile { max_in_flight: InFlight { limit: Limit::Of(limit), scope: Scope::Member }, ..stan() };
    let changes = [(1, 5), (2, 5), (3, 5)];
    let duplicates = ["duplicate item:changed i1@0 -> search", "duplicate item:changed i2@0 -> search"];
    let two = shop(limited(2), Search::OnlyInserts, Hosting::ALONE, &changes);
    check(
        &two,
        same_price(),
        &duplicates,
        expect![[r#"
        The broker delivers `item:changed i1@0 -> search` once more (steps 2 and 3).
        The broker delivers `item:changed i2@0 -> search` once more (steps 6 and 7).
        At step 9 shop handles `seller: change i3 to 5` and saves i3@0.
        `item:changed i3@0` is never handed to search: the limit of 2 deliveries in flight is full with `item:changed i1@0 #4` and `item:changed i2@0 #3`, which come again and again and get no answer (duplicate key).
        So SamePrice is violated for i3 at search: expected 5, found None.
    "#]],
    );
    let one = shop(limited(1), Search::OnlyInserts, Hosting::ALONE, &changes[..2]);
    check(
        &one,
        same_price(),
        &duplicates[..1],
        expect![[r#"
        The broker delivers `item:changed i1@0 -> search` once more (steps 2 and 3).
        At step 5 shop handles `seller: change i2 to 5` and saves i2@0.
        `item:changed i2@0` is never handed to search: the limit of 1 delivery in flight is full with `item:changed i1@0 #3`, which comes again and again and gets no answer (duplicate key).
        So SamePrice is violated for i2 at search: expected 5, found None.
    "#]],
    );
    // Nobody ever delivers them again, and they stay in flight.
    let for_ever = Profile { ack_wait: Vec::new(), ..limited(2) };
    let for_ever = shop(for_ever, Search::OnlyInserts, Hosting::ALONE, &changes);
    check(
        &for_ever,
        same_price(),
        &duplicates,
        expect![[r#"
        The broker delivers `item:changed i1@0 -> search` once more (steps 2 and 3).
        The broker delivers `item:changed i2@0 -> search` once more (steps 6 and 7).
        At step 9 shop handles `seller: change i3 to 5` and saves i3@0.
        `item:changed i3@0` is never handed to search: the limit of 2 deliveries in flight is full with `item:changed i1@0 #2` and `item:changed i2@0 #2`, which get no answer (duplicate key).
        So SamePrice is violated for i3 at search: expected 5, found None.
    "#]],
    );
}

#[test]
fn a_message_that_was_given_up_is_told_with_its_attempts() {
    let given_up = MaxDeliver::Times { times: 2, action: Exhausted::DeadLetter };
    let profile = Profile { max_deliver: given_up, ..Profile::adversarial() };
    let simulation = shop(profile, Search::KnowsFirst, Hosting::ALONE, &[(1, 5), (1, 6)]);
    check(
        &simulation,
        same_price(),
        &["hold item:changed i1@0 -> search until quiescence"],
        expect![[r#"
        `item:changed i1@0` reaches search only at step 7, after `item:changed i1@1` (step 4) and `item:changed i1@1 #2` (step 5).
        At step 4 search, which holds no i1, handles `item:changed i1@1` and gives no answer (item unknown); in the calm run it saves i1@1.
        The broker gives up `item:changed i1@1` for search after 2 attempts.
        So SamePrice is violated for i1 at search: expected 6, found Some(5).
    "#]],
    );
}

#[test]
fn a_group_that_has_not_joined_is_told() {
    let late = Hosting { joins_late: true, ..Hosting::ALONE };
    let simulation = shop(stan(), Search::TakesAll, late, &[(1, 5), (1, 6)]);
    struct HeardOf;
    impl Property<Shop> for HeardOf {
        fn name(&self) -> &str {
            "HeardOf"
        }
        fn watches(&self) -> pellmell::Watch {
            pellmell::Watch::SAVES
        }
        fn on_step(&self, view: &pellmell::View<'_, Shop>) -> Result<(), Violation> {
            let late = view.store_of("search").find::<Item>(item(1)).is_none();
            let changed = view.store_of("shop").find::<Item>(item(1)).is_some_and(|item| item.version.0 > 0);
            match late && changed {
                true => Err(Violation::at("search").of(item(1)).because("it is changed and was never heard of")),
                false => Ok(()),
            }
        }
    }
    check(
        &simulation,
        Box::new(HeardOf),
        &["hold join of search until quiescence"],
        expect![[r#"
        search has not joined before `seller: change i1 to 6` (step 3), so nothing has reached it.
        At step 3 shop, which holds i1@0 price 5, handles `seller: change i1 to 6` and saves i1@1 price 6.
        So HeardOf is violated for i1 at search: it is changed and was never heard of.
    "#]],
    );
}

/// Prices of the shop are at most 100; search, which shows them, is blamed.
fn cheap() -> Box<dyn Property<Shop>> {
    at_quiescence("Cheap", |moment| match moment.store_of("shop").all::<Item>().find(|(_, item)| item.price > 100) {
        Some((id, _)) => Err(Violation::at("search").of(id).because("expected a price up to 100")),
        None => Ok(()),
    })
}

#[test]
fn the_change_that_broke_it_is_told_and_nothing_that_came_after_it_or_elsewhere() {
    let save = |ctx: &mut pellmell::Context<'_, Shop>, id, price| {
        let held = ctx.store.find::<Item>(id).map(|item| item.version);
        ctx.store.overwrite(id, Item { price }, held)
    };
    // It saves an item once more when it hears that it told of it.
    let shop = service::<Shop>("shop").owns::<Item>(POLICY).on_command(move |change, ctx| {
        let version = save(ctx, change.item, change.price);
        ctx.publish(Changed { item: change.item, version, price: change.price });
        Ok(())
    });
    let shop = shop.on_event(ITEM_CHANGED, move |event, ctx| {
        save(ctx, event.item, event.price + 1);
        Outcome::Ack
    });
    let search = service::<Shop>("search").keeps::<Item>(POLICY).on_event(ITEM_CHANGED, move |event, ctx| {
        save(ctx, event.item, event.price);
        Outcome::Ack
    });
    let commands = [5, 150].map(|price| Change { item: item(1), price });
    let simulation = Simulation::on(stan()).service(shop).service(search).client("seller", commands.into());
    let simulation = simulation.build().expect("the parts fit");
    let judges = judges(cheap());
    // As it is, without what shrinking would leave out.
    let shrink = Shrink::new(&simulation, &judges).with_executions_max(1);
    let shrunk = shrink.run(Vec::new()).expect("it fails");
    let explanation = Explain::new(&simulation, &judges).with_continuations(5).run(&shrunk).expect("it is small");
    let later = explanation.steps.last().expect("a step");
    assert_eq!((later.record.step, later.record.action.as_str()), (6, "deliver item:changed i1@2 -> search #1"));
    expect![[r#"
        Nothing has to go wrong for it: the calm run of these commands fails.
        At step 4 shop, which holds i1@1 price 6, handles `seller: change i1 to 150` and saves i1@2 price 150.
        So Cheap is violated for i1 at search: expected a price up to 100.
    "#]]
    .assert_eq(&(explanation.why.join("\n") + "\n"));
}

#[test]
fn the_step_that_panics_is_shown_and_told_with_what_it_found() {
    let simulation = shop(stan(), Search::PanicsAt13, Hosting::ALONE, &[(1, 5), (1, 13)]);
    let explanation = explained(&simulation, same_price(), &[]);
    let last = explanation.steps.last().expect("a step");
    assert_eq!(last.record.answer.as_deref(), Some("panics: no price is 13"));
    assert_eq!((last.record.service.as_deref(), last.record.step), (Some("search"), explanation.report.steps));
    expect![[r#"
        Nothing has to go wrong for it: the calm run of these commands fails.
        At step 1 shop handles `seller: change i1 to 13` and saves i1@0.
        At step 2 search, which holds no i1, handles `item:changed i1@0` and panics: no price is 13.
        So it panics: no price is 13.
    "#]]
    .assert_eq(&(explanation.why.join("\n") + "\n"));
}

#[test]
fn a_lost_commit_brings_nothing_back_by_itself() {
    let kafka = Profile::named("kafka").expect("it ships");
    let simulation = shop(kafka, Search::OnlyInserts, Hosting::ALONE, &[(1, 5)]);
    let departures =
        ["lose ack of item:changed i1@0 -> search", "rebalance after item:changed i1@0 -> search"].as_slice();
    check(
        &simulation,
        Box::new(NoPoison),
        departures,
        expect![[r#"
        The commit of `item:changed i1@0 -> search` is lost (step 2), and whoever has the partition next begins behind the last commit that arrived: it comes again (step 3).
        The group is rebalanced after `item:changed i1@0 -> search` (step 2), so the broker delivers it again (step 3).
        At step 3 search, which holds i1@0, handles `item:changed i1@0 #2` and gives no answer (duplicate key).
        So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -> search #3 is never redelivered: the broker has no ack wait. It says that every message is acked in the end, if each is redelivered as often as it takes.
    "#]],
    );
}

#[test]
fn an_explanation_is_one_call_from_departures_or_a_seed_and_prints_itself() {
    let simulation = shop(Profile::adversarial(), Search::OnlyInserts, Hosting::ALONE, &[(1, 5), (2, 5)]);
    let judges = judges(Box::new(NoPoison));
    let explain = Explain::new(&simulation, &judges).with_continuations(20);
    let departure = "lose ack of item:changed i1@0 -> search".parse::<Departure>().expect("a departure");
    let explanation = explain.departures(vec![departure]).expect("it fails and is small");
    expect![[r#"
        From one call:
          Explaining a failure, shrunk to 4 steps, 1 departure, 1 command
             Departs lose ack of item:changed i1@0 -> search

         step          t │ service │ what happens                         │ P(violated)
            0            │         │ before the first step                │   10%
            1    +0.001s │ shop    │ seller: change i1 to 5 ✓ saves i1@0  │   10%
            2    +0.001s │ search  │ item:changed i1@0 ✓ saves i1@0       │  100% ▲  ◀ necessary: ack lost
            3    +0.001s │ search  │ item:changed i1@0 #2 ✗ duplicate key │  100%
            4    +0.001s │ stock   │ item:changed i1@0 ✓ saves i1@0       │  100%

                     P(violated): how many of 20 continuations fail as this run does if all after the step is drawn anew, faults like this run's with 1/10 each
               Turns at step 2 ▲, from 10% to 100%
           Any order steps 2, 3, 4: wherever else one of them can stand, the run fails all the same
            Calm run differs first at step 2, where the same happens and nothing goes wrong; in it every property holds
            VIOLATED NoPoison at search   step 4, t = +0.001s
                 Why The ack of `item:changed i1@0 -> search` is lost (step 2), so the broker delivers it again (step 3).
                     At step 3 search, which holds i1@0, handles `item:changed i1@0 #2` and gives no answer (duplicate key).
                     So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing. It says that
                     every message is acked in the end, if each is redelivered as often as it takes.
             Changes without `lose ack of item:changed i1@0 -> search`: every property holds
                     without `seller: change i1 to 5`: every property holds
                     it fails as well if the calm run serves the groups in other orders
    "#]]
    // The first line keeps the indent of what follows.
    .assert_eq(&format!("From one call:\n{explanation}"));
    // The same again, whoever found it.
    let seed = (0..100).find(|seed| explain.seed(*seed, FaultPlan::SOME).is_ok()).expect("a seed that fails");
    let by_seed = explain.seed(seed, FaultPlan::SOME).expect("it fails and is small");
    assert_eq!(by_seed.report.verdict.signature(), explanation.report.verdict.signature());
    assert_eq!(explain.departures(Vec::new()).err(), Some(NotExplained::Holds));
}
