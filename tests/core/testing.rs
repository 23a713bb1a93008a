//! What a failing test prints.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::expect;
use pellmell::broker::Profile;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::scenario::check_scenario;
use pellmell::testing::{Check, at_quiescence, check, replay, service};
use pellmell::ticketing::Design;
use pellmell::ticketing::Scenario;
use pellmell::{Context, FaultPlan, Judges, Moment, Outcome, Property, RecordId, Simulation, Subject, Version};
use pellmell::{VersionPolicy, Violation};

const ITEM_CHANGED: &[Subject] = &[Subject::new("item:changed")];

/// A shop, and a search that saves whatever comes: two events the wrong way round leave it behind.
fn blind() -> Simulation<Shop> {
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = crate::shop::shop();
    let search = service::<Shop>("search").keeps::<Item>(policy).on_event(ITEM_CHANGED, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        Outcome::Ack
    });
    let commands = [5, 10, 15].map(|price| Change { item: RecordId::new('i', 1), price });
    let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
    simulation.client("seller", commands.to_vec()).build().expect("the parts fit")
}

fn same_price() -> Box<dyn Property<Shop>> {
    at_quiescence("SamePrice", |moment: &Moment<'_, Shop>| {
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

fn panic_of<T: std::fmt::Debug>(work: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
    *panic.downcast::<String>().expect("a panic with a text")
}

#[test]
fn the_first_failing_schedule_is_told_by_the_least_that_makes_it_fail_and_how_to_play_that() {
    let judges = Judges::new(vec![same_price()]);
    let told = panic_of(|| check(&blind(), 0..1000, FaultPlan::SOME, &judges));
    expect![[r#"
        to play what is left of it:
            pellmell::testing::replay(&simulation, &[
                "hold item:changed i1@0 -> search until quiescence",
                "send seller: change i1 to 5",
                "send seller: change i1 to 10",
            ], &judges);

        violated SamePrice: at search, i1: expected 10, found Some(5)
        shrunk in 13 runs: departures 1 -> 1, commands 3 -> 2, steps 6 -> 4; what is left:
            hold item:changed i1@0 -> search until quiescence: without it every property holds
            seller: change i1 to 5: without it every property holds
            seller: change i1 to 10: without it every property holds
        its steps:
            1    +0.001s   seller: change i1 to 5   accepted   saves i1@0 {"price":5}
            2    +0.002s   seller: change i1 to 10   accepted   saves i1@1 {"price":10}
            3    +0.002s   deliver item:changed i1@1 -> search #1   ack   saves i1@0 {"price":10}
            4    +0.002s   deliver item:changed i1@0 -> search #1   ack   saves i1@1 {"price":5}
        so fail 6 of 45 schedules with one departure, 423 of 1,000 seeds"#]]
    .assert_eq(&told);
}

/// Seeds alone.
fn seeds<'a>(simulation: &'a Simulation<Shop>, judges: &'a Judges<Shop>, seeds: Range<u64>) -> Check<'a, Shop> {
    Check::new(simulation, judges).with_departures(0).with_seeds(seeds).with_faults(FaultPlan::NONE)
}

#[test]
fn the_printed_calls_fail_in_the_same_way() {
    let (simulation, judges) = (blind(), Judges::new(vec![same_price()]));
    let told = panic_of(|| seeds(&simulation, &judges, 0..1000).run());
    let seed: u64 =
        told.strip_prefix("to play seed ").and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a seed");
    let call = ".with_departures(0).with_seeds(2..3).with_faults(pellmell::FaultPlan::NONE).run();";
    assert!(seed == 2 && told.contains(call), "{told}");
    let alone = panic_of(|| seeds(&simulation, &judges, seed..seed + 1).run());
    let without_counts = |text: &str| text.rsplit_once("\nso fail ").expect("how many").0.to_owned();
    assert_eq!(without_counts(&alone), without_counts(&told));
    let by_departures = panic_of(|| check(&simulation, 0..1000, FaultPlan::NONE, &judges));
    for told in [told, by_departures] {
        let pasted: Vec<&str> =
            told.lines().filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\",")).collect();
        assert!(!pasted.is_empty(), "{told}");
        let replayed = panic_of(|| replay(&simulation, &pasted, &judges));
        assert!(told.contains(replayed.lines().nth(1).expect("a verdict")), "{told}\n{replayed}");
        let steps = |text: &str| text.split_once("its steps:").expect("steps").1.to_owned();
        assert_eq!(steps(&without_counts(&told)), steps(&replayed));
    }
}

#[test]
fn all_ways_to_fail_are_told_with_how_often_each_was_met_whatever_the_threads() {
    let early = at_quiescence("NeverTen", |moment: &Moment<'_, Shop>| {
        let copy = moment.store_of("search").find::<Item>(RecordId::new('i', 1));
        match copy.is_some_and(|copy| copy.price == 10 && copy.version == Version(0)) {
            true => Err(Violation::at("search").because("10 came first")),
            false => Ok(()),
        }
    });
    let (simulation, judges) = (blind(), Judges::new(vec![early, same_price()]));
    let told = |threads, stops| {
        let check = Check::new(&simulation, &judges).with_threads(threads).stopping_at_first(stops);
        panic_of(|| check.run())
    };
    let whole = told(1, false);
    let (one, all) = whole.split_at(whole.find("\nso fail ").expect("how often"));
    expect![[r#"

        so fail 6 of 45 schedules with one departure, 423 of 1,000 seeds
        other ways to fail:
            NeverTen at search: 1 of 45 schedules with one departure, 1 of 1,000 seeds"#]]
    .assert_eq(all);
    assert_eq!(told(3, false), whole);
    // How many of those under way are finished then hangs on the threads.
    assert_eq!((&*told(1, true), &*told(3, true)), (one, one));
}

#[test]
fn a_failing_seed_of_a_scenario_is_told_by_the_commands_that_play_and_shrink_it() {
    let text = include_str!("../../scenarios/price-5-10-15.toml");
    let path = "scenarios/price-5-10-15.toml";
    let mut scenario = Scenario::parse(path, text).expect("a scenario");
    scenario.design = Design::REFERENCE;
    scenario.defects.push("BlindApply".to_owned());
    let told = panic_of(|| check_scenario(path, &scenario, 0..200));
    expect![[r#"
        to play seed 0 alone, and to shrink it:
            pellmell run scenarios/price-5-10-15.toml --design reference --scheduler calm --defect BlindApply --seed 0
            pellmell shrink scenarios/price-5-10-15.toml --design reference --scheduler calm --defect BlindApply --seed 0

        violated ReplicaNeverAhead: at orders, t13, ticket:updated t13@1: the replica holds version 2, which its owner never saved
        shrunk in 12 runs: departures 168 -> 1, commands 600 -> 2, steps 1345 -> 6; what is left:
            lose ack of ticket:updated t13@1 -> orders: without it every property holds
            seller-13: create t13 at 5: the rest names it or what it creates
            seller-13: edit t13 to 10: without it every property holds
        its steps:
            1    +0.001s   seller-13: create t13 at 5   accepted   saves t13@0 {"lock":"free","price":5,"title":"ticket","user":"seller-13"}
            2    +0.001s   deliver ticket:created t13@0 -> orders #1   ack   saves t13@0 {"price":5,"title":"ticket"}
            3    +0.002s   seller-13: edit t13 to 10   accepted   saves t13@1 {"lock":"free","price":10,"title":"ticket","user":"seller-13"}
            4    +0.002s   deliver ticket:updated t13@1 -> orders #1   ack   saves t13@1 {"price":10,"title":"ticket"}   ◀ ack lost
            5    +5.002s   clock: ack wait of ticket:updated t13@1 -> orders #1 ends
            6    +5.002s   deliver ticket:updated t13@1 -> orders #2   ack   saves t13@2 {"price":10,"title":"ticket"}"#]].assert_eq(&told);
    scenario.properties = vec!["NoPoison".to_owned()];
    check_scenario(path, &scenario, 0..5);
}

#[test]
fn a_schedule_without_a_failure_is_replayed_in_silence_and_one_that_says_nothing_is_refused() {
    let judges = Judges::new(vec![same_price()]);
    replay(&blind(), &[], &judges);
    replay(&blind(), &["send nothing"], &judges);
    let refused = |lines: &[&str]| panic_of(|| replay(&blind(), lines, &judges));
    expect!["`send seller: chang i1 to 5`: no client of the simulation sends this command; the nearest is `seller: change i1 to 5`"].assert_eq(&refused(&["send seller: chang i1 to 5"]));
    expect!["`seller: change i1 to 5`: expected `hold H until X`, `hold join of GROUP until X`, `pause H until X`, `pause await N of H until X`, `duplicate D`, `lose D`, `lose ack of D`, `delay ack of D until X`, `run past ack wait of D`, `slow publish of H until X`, `crash SERVICE before save|between saves|before publish|before ack|after ack of T`, `fetch N with D`, `rebalance|reconnect|close|cancel after D`, `claim D`, `commit ahead of D`, `restart broker|rewind|truncate log|compact log|expire log|forget counts|redrive dead letters after D`, `forget ack of D`, `publish twice T`, `stale answer to T` or `no answer to T`, where D is a delivery like `item:changed i1@2 -> search #1`, H is D or a command like `seller: change i1 to 6`, T is H or a timer like `timer i1 of shop`, X is T, `pause of H`, `await N of H`, `start of H`, `publish of H`, `ack of D`, `ack wait of D`, `join of GROUP` or `quiescence`; a command that is sent is `send CLIENT: LABEL`"].assert_eq(&refused(&["seller: change i1 to 5"]));
    expect!["`send 5`: `5` names no command: a command is like `alice: edit t1 to 6`, `/2` behind it for the second"]
        .assert_eq(&refused(&["send 5"]));
}

/// A shop that publishes each price as the version of its own, and a search that does this with it.
fn prices(
    prices: &[u32],
    handle: impl Fn(&Changed, &mut Context<'_, Shop>) -> Outcome + Send + Sync + 'static,
) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").on_command(|change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(change.price.into()), price: change.price });
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(ITEM_CHANGED, handle);
    let commands = prices.iter().map(|price| Change { item: RecordId::new('i', 1), price: *price });
    let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
    simulation.client("seller", commands.collect()).build().expect("the parts fit")
}

fn save(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
    ctx.store.overwrite(event.item, Item { price: event.price }, held);
    Outcome::Ack
}

#[test]
fn no_more_than_the_last_twenty_steps_are_told() {
    let never = at_quiescence("NeverThirty", |moment: &Moment<'_, Shop>| {
        match moment.store_of("search").find::<Item>(RecordId::new('i', 1)).map(|item| item.version) {
            Some(Version(29)) => Err(Violation::at("search").because("30 prices were saved")),
            _ => Ok(()),
        }
    });
    let all: Vec<u32> = (0..30).collect();
    let (simulation, judges) = (prices(&all, save), Judges::new(vec![never]));
    let told = panic_of(|| seeds(&simulation, &judges, 0..1).run());
    assert!(told.contains("\nviolated NeverThirty: at search: 30 prices were saved\n"), "{told}");
    let (_, steps) = told.split_once("\nthe last 20 of its 60 steps:\n").expect("steps");
    assert_eq!(steps.lines().count(), 21, "and a line that says how often: {told}");
}

#[test]
fn a_run_whose_departures_do_not_give_it_again_is_told_by_its_last_steps() {
    let never = at_quiescence("NeverTwoThenOne", |moment: &Moment<'_, Shop>| {
        match moment.store_of("search").all::<Item>().next() {
            Some((_, item)) if item.price == 1 && item.version == Version(2) => {
                Err(Violation::at("search").because("expected 2, found 1"))
            }
            _ => Ok(()),
        }
    });
    let (simulation, judges) = (prices(&[2, 1, 2], save), Judges::new(vec![never]));
    // Two messages have one name, as their version comes again after a lower one.
    let fails = |seed| catch_unwind(AssertUnwindSafe(|| seeds(&simulation, &judges, seed..seed + 1).run()));
    let told = (0..1000).filter_map(|seed| fails(seed).err()).map(|panic| *panic.downcast::<String>().expect("a text"));
    let told = told.into_iter().find(|told| told.contains("it is not shrunk")).expect("a run that is not extracted");
    expect![[r#"
        to play seed 2 alone:
            pellmell::testing::Check::new(&simulation, &judges)
                .with_departures(0).with_seeds(2..3).with_faults(pellmell::FaultPlan::NONE).run();

        violated NeverTwoThenOne: at search: expected 2, found 1
        note: it is not shrunk: the departures of this run lead to another one at step 5: a name in it is not unique
        its steps:
            1    +0.001s   seller: change i1 to 2   accepted
            2    +0.002s   seller: change i1 to 1   accepted
            3    +0.003s   seller: change i1 to 2/2   accepted
            4    +0.003s   deliver item:changed i1@2 -> search #1   ack   saves i1@0 {"price":2}
            5    +0.003s   deliver item:changed i1@2 -> search #1   ack   saves i1@1 {"price":2}
            6    +0.003s   deliver item:changed i1@1 -> search #1   ack   saves i1@2 {"price":1}
        so fail 1 of 1 seeds, the first 2"#]]
    .assert_eq(&told);
}

#[test]
fn a_handler_that_remembers_is_told_apart_from_a_property_that_fails() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let first = AtomicBool::new(true);
    let shop = service::<Shop>("shop").on_command(move |_, _| {
        assert!(!first.swap(false, Relaxed), "only the first time");
        Ok(())
    });
    let commands = vec![Change { item: RecordId::new('i', 1), price: 1 }];
    let simulation = Simulation::on(Profile::stan()).service(shop).client("seller", commands).build();
    let simulation = simulation.expect("the parts fit");
    let told = panic_of(|| check(&simulation, 0..1, FaultPlan::NONE, &Judges::new(Vec::new())));
    let expected = "seed 0 was played twice, with other seeds in between, and came to two runs";
    assert!(told.contains(expected) && !told.contains("violated"), "{told}");
}

#[test]
fn no_seeds_are_no_success() {
    let told = panic_of(|| check(&blind(), 5..5, FaultPlan::NONE, &Judges::new(Vec::new())));
    assert_eq!(told, "no seed was run: 5..5 is empty");
}

#[test]
fn a_listener_that_answers_its_own_event_is_told_as_livelock_and_hangs_no_test() {
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = service::<Shop>("shop").owns::<Item>(policy).on_command(|change: &Change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(policy).on_event(ITEM_CHANGED, |event: &Changed, ctx| {
        ctx.publish(Changed { version: Version(event.version.0 + 1), ..event.clone() });
        Outcome::Ack
    });
    let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
    let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
    let simulation = on.client("seller", commands).build().expect("the parts fit");
    let judges = Judges::new(vec![same_price()]);
    let told = panic_of(|| drop(check(&simulation, 0..1, FaultPlan::SOME, &judges)));
    assert!(told.contains("this is livelock and not poison"), "{told}");
    assert!(told.contains("send seller: change i1 to 5") || told.contains("commands 1 -> 1"), "{told}");
}
