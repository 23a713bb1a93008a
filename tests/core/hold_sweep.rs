//! The hold sweep finds what one departure shows, where the clock has to move for it as well.

use std::time::Duration;

use expect_test::expect;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::search::{HoldSweep, HoldSweepResult};
use pellmell::simulation::SimulationBuilder;
use pellmell::testing::{self, Closures};
use pellmell::{
    Context, FaultPlan, Hosting, Judges, Moment, Outcome, Profile, Property, RecordId, Rejection, Simulation, Subject,
    Timer, Version, VersionPolicy, Violation,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: &[Subject] = &[Subject::new("item:changed")];
const EVERY_SAVE: VersionPolicy = VersionPolicy::EVERY_SAVE;

fn price_of(ctx: &Context<'_, Shop>) -> Option<u32> {
    ctx.store.find::<Item>(ITEM).map(|held| held.price)
}

fn save(price: u32, ctx: &mut Context<'_, Shop>) {
    let version = ctx.store.find::<Item>(ITEM).map(|held| held.version);
    ctx.store.overwrite(ITEM, Item { price }, version);
}

fn publish(version: u64, price: u32, ctx: &mut Context<'_, Shop>) {
    ctx.publish(Changed { item: ITEM, version: Version(version), price });
}

fn arm(purpose: &'static str, seconds: u64, ctx: &mut Context<'_, Shop>) {
    let due = ctx.now().after(Duration::from_secs(seconds));
    ctx.arm_timer(Timer::of(ITEM, due).with_purpose(purpose));
}

/// A client's only command.
fn change(price: u32) -> Vec<Change> {
    vec![Change { item: ITEM, price }]
}

fn shop() -> Closures<Shop> {
    testing::service::<Shop>("shop").owns::<Item>(EVERY_SAVE)
}

/// Whenever nothing is under way, this service does not hold the item at this price.
fn never(service: &'static str, price: u32) -> Box<dyn Property<Shop>> {
    testing::at_quiescence("Never", move |moment: &Moment<'_, Shop>| {
        match moment.store_of(service).find::<Item>(ITEM) {
            Some(held) if held.price == price => Err(Violation::at(service).of(ITEM)),
            _ => Ok(()),
        }
    })
}

/// A simulation with three services that look on, so that there is more to depart from than what matters.
fn on(profile: Profile) -> SimulationBuilder<Shop> {
    let onlooker = |name| testing::service::<Shop>(name).on_event(CHANGED, |_, _| Outcome::Ack);
    ["audit", "mail", "stock"].into_iter().fold(Simulation::on(profile), |on, name| on.service(onlooker(name)))
}

fn swept(on: SimulationBuilder<Shop>, never: Box<dyn Property<Shop>>) -> HoldSweepResult {
    let (simulation, judges) = (on.build().expect("the parts fit"), Judges::new(vec![never]));
    HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).with_schedules_max(1_000).run()
}

/// The first schedule that fails is this one, and is among the first 1 + 8k.
#[track_caller]
fn assert_first(result: &HoldSweepResult, departures: &[&str]) {
    let first = result.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    assert_eq!(first.departures.iter().map(ToString::to_string).collect::<Vec<_>>(), departures);
    let (place, k) = (first.place, result.deliveries);
    assert!(place <= result.singles.all && place <= 8 * k, "{place} schedules before it, {k} deliveries");
}

/// An item that is closed after a minute, by a timer, at price 1; what comes then is refused, but for price 2.
fn closing() -> Closures<Shop> {
    shop().on_command(|change, ctx| match (change.price, price_of(ctx)) {
        (0, None) => {
            save(0, ctx);
            publish(0, 0, ctx);
            arm("close", 60, ctx);
            Ok(())
        }
        (2, Some(0)) => {
            save(3, ctx);
            publish(1, 3, ctx);
            Ok(())
        }
        (2, Some(1)) => {
            save(2, ctx);
            Ok(())
        }
        _ => Err(Rejection { status: 409, reason: "no" }),
    })
}

#[test]
fn a_command_that_comes_after_a_timer_is_one_departure() {
    let closing = closing().on_timer(|_, ctx| {
        if price_of(ctx) == Some(0) {
            save(1, ctx);
        }
    });
    let on = on(Profile::stan()).service(closing);
    let on = on.client("ann", change(0)).client("bob", change(2));
    assert_first(&swept(on, never("shop", 2)), &["hold bob: change i1 to 2 until timer i1 close of shop"]);
}

#[test]
fn a_timer_that_the_calm_run_calls_off_fires_if_what_calls_it_off_waits() {
    let shop = shop().on_command(|change, ctx| {
        if change.price == 0 {
            save(0, ctx);
            publish(0, 0, ctx);
            arm("close", 60, ctx);
        } else {
            ctx.call_off(ITEM, "close");
        }
        Ok(())
    });
    let shop = shop.on_timer(|_, ctx| save(2, ctx));
    let on = on(Profile::stan()).service(shop);
    let on = on.client("ann", [change(0), change(1)].concat());
    assert_first(&swept(on, never("shop", 2)), &["hold ann: change i1 to 1 until timer i1 close of shop"]);
}

/// Whether nothing is under way, the shop has taken the item back, as price 0, and search has it at price 5.
fn taken_back() -> Box<dyn Property<Shop>> {
    testing::at_quiescence("TakenBack", |moment: &Moment<'_, Shop>| {
        let price = |service| moment.store_of(service).find::<Item>(ITEM).map(|held| held.price);
        match [price("shop"), price("search")] {
            [Some(0), Some(5)] => Err(Violation::at("search").of(ITEM)),
            _ => Ok(()),
        }
    })
}

#[test]
fn a_message_that_comes_after_what_a_timer_brings_about_is_one_departure() {
    // The shop offers an item, and takes it back if search has not said within a minute that it got it.
    let shop = shop()
        .on_command(|_, ctx| {
            save(5, ctx);
            publish(0, 5, ctx);
            arm("take-back", 60, ctx);
            Ok(())
        })
        .on_event(CHANGED, |event, ctx| {
            if event.price == 9 && price_of(ctx) == Some(5) {
                save(9, ctx);
            }
            Outcome::Ack
        })
        .on_timer(|_, ctx| {
            if price_of(ctx) == Some(5) {
                save(0, ctx);
                publish(1, 0, ctx);
            }
        });
    // Of an item that it never got it does not note that it was taken back.
    let search = testing::service::<Shop>("search").keeps::<Item>(EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        match (event.price, price_of(ctx)) {
            (5, None) => {
                save(5, ctx);
                publish(2, 9, ctx);
            }
            (0, Some(5)) => save(0, ctx),
            _ => {}
        }
        Outcome::Ack
    });
    let on = on(Profile::adversarial()).service(shop).service(search).client("ann", change(5));
    let result = swept(on, taken_back());
    assert_first(&result, &["hold item:changed i1@0 -> search until item:changed i1@1 -> search"]);
}

#[test]
fn a_message_that_comes_again_after_what_a_timer_brings_about_is_one_departure() {
    let shop = shop().on_command(|_, ctx| {
        save(5, ctx);
        publish(0, 5, ctx);
        arm("take-back", 60, ctx);
        Ok(())
    });
    let shop = shop.on_timer(|_, ctx| {
        save(0, ctx);
        publish(1, 0, ctx);
    });
    let search = testing::service::<Shop>("search").keeps::<Item>(EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        match (event.price, price_of(ctx)) {
            (0, None) => return Outcome::Silent("there is nothing to take back"),
            (price, _) => save(price, ctx),
        }
        Outcome::Ack
    });
    let on = on(Profile::adversarial()).service(shop).service(search).client("ann", change(5));
    let again = [
        "lose ack of item:changed i1@0 -> search",
        "hold item:changed i1@0 -> search #2 until item:changed i1@1 -> search",
    ];
    assert_first(&swept(on, taken_back()), &again);
}

/// Two members that handle one message at a time, and race.
const TWO: Hosting = Hosting { members: 2, ..Hosting::ALONE };

#[test]
fn a_handler_that_pauses_while_a_timer_fires_is_one_departure() {
    let shop = shop().on_command(|change, ctx| {
        if change.price == 0 {
            save(0, ctx);
            publish(0, 0, ctx);
            arm("close", 60, ctx);
        } else if price_of(ctx) == Some(0) {
            save(2, ctx);
        }
        Ok(())
    });
    let shop = shop.on_timer(|_, ctx| {
        // What is sold is not closed.
        if price_of(ctx) == Some(0) {
            save(1, ctx);
            publish(1, 1, ctx);
        }
    });
    let search = testing::service::<Shop>("search").keeps::<Item>(EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        save(event.price, ctx);
        Outcome::Ack
    });
    let on = on(Profile::stan()).hosted(shop, TWO).service(search);
    let on = on.client("ann", change(0)).client("bob", change(2));
    let sold_and_closed = testing::at_quiescence("SoldOrClosed", |moment: &Moment<'_, Shop>| {
        let price = |service| moment.store_of(service).find::<Item>(ITEM).map(|held| held.price);
        if [price("shop"), price("search")] == [Some(2), Some(1)] {
            Err(Violation::at("search").of(ITEM))
        } else {
            Ok(())
        }
    });
    let paused = ["pause bob: change i1 to 2 until item:changed i1@1 -> search"];
    assert_first(&swept(on, sold_and_closed), &paused);
}

#[test]
fn a_handler_that_outlives_its_ack_wait_is_one_departure() {
    // What one of the members has billed is not billed again, unless both have read before one saves.
    let shop = shop().on_command(|_, ctx| {
        publish(0, 1, ctx);
        Ok(())
    });
    let search = testing::service::<Shop>("search").keeps::<Item>(EVERY_SAVE).on_event(CHANGED, |_, ctx| {
        if price_of(ctx).is_none() {
            save(1, ctx);
            publish(1, 2, ctx);
        }
        Outcome::Ack
    });
    let billed_once = testing::at_quiescence("BilledOnce", |moment: &Moment<'_, Shop>| {
        let bills = moment.world().broker().messages().iter().filter(|message| message.event.price == 2).count();
        if bills > 1 { Err(Violation::at("search").of(ITEM)) } else { Ok(()) }
    });
    let again = [
        "pause item:changed i1@0 -> search until ack wait of item:changed i1@0 -> search",
        "pause item:changed i1@0 -> search until item:changed i1@0 -> search #2",
    ];
    let on = on(Profile::stan()).service(shop).hosted(search, TWO).client("ann", change(1));
    assert_first(&swept(on, billed_once), &again);
}

#[test]
fn who_asks_again_and_again_for_what_waits_does_not_keep_the_sweep_from_ending() {
    let shop = shop().on_command(|_, ctx| {
        save(0, ctx);
        publish(0, 0, ctx);
        arm("poll", 1, ctx);
        Ok(())
    });
    let shop = shop.on_event(CHANGED, |_, ctx| {
        save(1, ctx);
        Outcome::Ack
    });
    let shop = shop.on_timer(|_, ctx| {
        if price_of(ctx) == Some(0) {
            arm("poll", 1, ctx);
        }
    });
    let on = on(Profile::stan()).service(shop).client("ann", change(0));
    let result = swept(on, never("shop", 7));
    assert!(result.is_held() && result.singles.played == result.singles.all, "{result:?}");
}

#[test]
fn a_hold_sweep_says_what_it_covered_and_shows_each_way_to_fail() {
    let shop = shop().on_command(|change, ctx| {
        save(change.price, ctx);
        publish(change.price.into(), change.price, ctx);
        Ok(())
    });
    let search = testing::service::<Shop>("search").keeps::<Item>(EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        save(event.price, ctx);
        Outcome::Ack
    });
    let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
    let simulation = simulation.client("ann", [change(0), change(1)].concat()).build().expect("the parts fit");
    // The calm run ends with price 1 at search.
    let latest = testing::at_quiescence("Latest", |moment: &Moment<'_, Shop>| {
        match moment.store_of("search").find::<Item>(ITEM) {
            Some(held) if moment.world().is_finished() && held.price == 0 => {
                Err(Violation::at("search").of(ITEM).because("it is not 1"))
            }
            _ => Ok(()),
        }
    });
    let judges = Judges::new(vec![latest]);
    let result = HoldSweep::new(&simulation, &judges).with_schedules_max(20).run();
    expect![[r#"
        3 of 20 one-departure schedules fail; 457 not played
        violated Latest at search of i: 3 schedules, first with 1 departure
            hold item:changed i1@0 -> search until quiescence
            at search, i1: it is not 1"#]]
    .assert_eq(&result.to_string());
    let held = HoldSweep::new(&simulation, &Judges::new(Vec::new())).with_faults(FaultPlan::NONE).run();
    expect!["all 4 one-departure schedules and all 18 pairs hold"].assert_eq(&held.to_string());
}
