//! What members keep in memory: it decides what they do, it is a part of the world, and a crash takes it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pellmell::broker::Profile;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::scheduler::Action;
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, Most};
use pellmell::testing::{at_quiescence, check, service};
use pellmell::{
    Calm, Departing, Departure, Fate, FaultPlan, Hosting, Judges, Limits, Moment, Outcome, Property, PublishMode, Rate,
    Ratio, RecordId, Rejection, Simulation, Subject, Version, VersionPolicy, Violation, Window, World, run,
};

const ITEM_CHANGED: &[Subject] = &[Subject::new("item:changed")];
const POLICY: VersionPolicy = VersionPolicy::EVERY_SAVE;

fn item(number: u32) -> RecordId {
    RecordId::new('i', number)
}

/// A shop, and a search that counts in an item's price how often that changed, with the versions that it
/// has counted in memory.
fn counting(hosting: Hosting, changes: u32) -> Simulation<Shop> {
    let shop = crate::shop::shop();
    let search = service::<Shop>("search").keeps::<Item>(POLICY).on_event(ITEM_CHANGED, |event, ctx| {
        if !ctx.memory::<BTreeSet<(RecordId, Version)>>().insert((event.item, event.version)) {
            return Outcome::Ack;
        }
        let held = ctx.store.find::<Item>(event.item).map(|item| (item.price, item.version));
        let price = 1 + held.map_or(0, |(price, _)| price);
        ctx.store.overwrite(event.item, Item { price }, held.map(|(_, version)| version));
        Outcome::Ack
    });
    let commands = (0..changes).map(|price| Change { item: item(1), price }).collect();
    let simulation = Simulation::on(Profile::adversarial()).service(shop).hosted(search, hosting);
    simulation.client("seller", commands).build().expect("the parts fit")
}

/// The search has counted each change once.
fn counted_once() -> Judges<Shop> {
    let property: Box<dyn Property<Shop>> = at_quiescence("CountedOnce", |moment: &Moment<'_, Shop>| {
        for (id, item) in moment.store_of("shop").all::<Item>() {
            let changes = u32::try_from(item.version.0 + 1).unwrap_or(u32::MAX);
            let counted = moment.store_of("search").find::<Item>(id).map_or(0, |copy| copy.price);
            if counted != changes {
                let detail = format!("expected {changes} changes, counted {counted}");
                return Err(Violation::at("search").of(id).because(detail));
            }
        }
        Ok(())
    });
    Judges::new(vec![property])
}

fn panic_of<T: std::fmt::Debug>(work: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.unwrap_or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).expect("a panic with a text"))
}

const NO_CRASHES: FaultPlan = FaultPlan { crash: Rate::NEVER, pause: Rate::NEVER, ..FaultPlan::SOME };

#[test]
fn duplicates_that_a_member_remembers_are_no_harm_until_it_crashes() {
    let simulation = counting(Hosting::ALONE, 2);
    let checked = check(&simulation, 0..300, NO_CRASHES, &counted_once());
    assert!(checked.counts.redeliveries > 30, "{:?}", checked.counts);
    let crashes = FaultPlan { crash: Rate::of(Ratio::new(1, 4)), ..FaultPlan::NONE };
    let told = panic_of(|| check(&simulation, 0..300, crashes, &counted_once()));
    assert!(told.contains("violated CountedOnce: at search, i1: expected 1 changes, counted 2"), "{told}");
    assert!(told.contains("crash search before publish of item:changed i1@0 -> search"), "{told}");
}

#[test]
fn a_complete_search_agrees_on_what_a_crash_does_to_memory() {
    let within = |hosting, lost_acks, crashes| {
        let bounds = Bounds {
            lost_acks: Most::Of(lost_acks),
            duplicates: 1,
            crashes: Most::Of(crashes),
            ..Bounds::of(DeliveryOrder::Any)
        };
        Exhaust::new(&counting(hosting, 2), &counted_once()).with_bounds(bounds).run()
    };
    let held = within(Hosting::ALONE, 2, 0);
    assert!(held.is_complete(), "{held:?}");
    let crashed = within(Hosting::ALONE, 0, 1);
    assert_eq!(crashed.ended, Ended::Failing, "{crashed:?}");
    let steps = crashed.failing.expect("a run").steps;
    assert!(steps.iter().any(|step| step.fate.crash.is_some()), "{steps:?}");
    // The other member does not know what the first one has counted.
    let apart = within(Hosting { members: 2, ..Hosting::ALONE }, 1, 0);
    assert_eq!(apart.ended, Ended::Failing, "{apart:?}");
}

/// The world after each of these departures from the calm run.
fn after(simulation: &Simulation<Shop>, schedule: &[&str]) -> World<Shop> {
    let departures: Vec<Departure> = schedule.iter().map(|text| text.parse().expect("a departure")).collect();
    let mut world = simulation.world();
    run(&mut world, &mut Departing::new(departures), &Judges::new(Vec::new()), Limits::default(), &mut ());
    world
}

#[test]
fn what_a_member_remembers_is_a_part_of_the_world_and_is_gone_after_a_crash() {
    let simulation = counting(Hosting::ALONE, 1);
    let remembered = |world: &World<Shop>| {
        let search = world.service("search").expect("a service");
        world.memory::<BTreeSet<(RecordId, Version)>>(search, 0).map(BTreeSet::len)
    };
    let calm = after(&simulation, &[]);
    assert_eq!(remembered(&calm), Some(1));
    let crashed = after(&simulation, &["crash search after ack of item:changed i1@0 -> search"]);
    assert_eq!(remembered(&crashed), None);
    assert_eq!(calm.store_of("search").digest(), crashed.store_of("search").digest());
    assert_ne!(calm.digest(), crashed.digest());
    // A copy has a memory of its own.
    let mut world = simulation.world();
    let first = world.enabled().iter().next().expect("a command");
    world.step(first, Fate::CALM);
    let copy = world.clone();
    let delivery = world.enabled().iter().next().expect("a delivery");
    let before = copy.digest();
    world.step(delivery, Fate::CALM);
    assert_eq!((remembered(&copy), remembered(&world), copy.digest()), (None, Some(1), before));
    let mut put_back = world.clone();
    put_back.clone_from(&copy);
    assert_eq!((remembered(&put_back), put_back.digest()), (None, before));
    world.reset();
    assert_eq!(remembered(&world), None);
}

/// A search that refuses an item until it has been asked for it three times, as far as it remembers.
fn reluctant(mode: PublishMode) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").on_command(|change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(POLICY).publishing(mode);
    let search = search.on_event(ITEM_CHANGED, |event, ctx| {
        let asked = ctx.memory::<u32>();
        *asked += 1;
        let price = *asked;
        ctx.store.overwrite(event.item, Item { price }, None);
        if price < 3 { Outcome::Silent("not yet") } else { Outcome::Ack }
    });
    let commands = vec![Change { item: item(1), price: 5 }];
    let hosting = Hosting { overlapping: true, ..Hosting::ALONE };
    let simulation = Simulation::on(Profile::stan()).service(shop).hosted(search, hosting);
    simulation.client("seller", commands).build().expect("the parts fit")
}

#[test]
fn a_refusal_takes_back_what_was_saved_and_not_what_is_remembered() {
    let simulation = reluctant(PublishMode::Outbox);
    let mut world = simulation.world();
    let judges = Judges::new(Vec::new());
    let report = run(&mut world, &mut Calm::new(0, FaultPlan::NONE), &judges, Limits::default(), &mut ());
    // So redelivery is not taken to change nothing.
    assert!(report.verdict.is_held(), "{:?}", report.verdict);
    assert_eq!(world.store_of("search").find::<Item>(item(1)).map(|item| item.price), Some(3));
}

#[test]
fn a_handler_that_publishes_first_and_pauses_remembers_once() {
    let mut world = reluctant(PublishMode::BeforeSave).world();
    let search = world.service("search").expect("a service");
    let asked = |world: &World<Shop>| world.memory::<u32>(search, 0).copied();
    let first = |world: &World<Shop>| world.enabled().iter().next().expect("something can happen");
    let command = first(&world);
    world.step(command, Fate::CALM);
    let delivery = first(&world);
    world.step(delivery, Fate { pause: true, ..Fate::CALM });
    assert_eq!(asked(&world), None);
    let resume = first(&world);
    assert!(matches!(resume, Action::Resume(_)), "{resume:?}");
    world.step(resume, Fate::CALM);
    assert_eq!(asked(&world), Some(1));
}

#[test]
fn a_client_that_was_refused_tries_again_when_a_member_remembers_something_else() {
    let shop = service::<Shop>("shop").owns::<Item>(POLICY);
    let shop = shop
        .on_event(ITEM_CHANGED, |event, ctx| {
            *ctx.memory::<u32>() = event.price;
            Outcome::Ack
        })
        .on_command(|change, ctx| match change.price {
            0 => {
                ctx.publish(Changed { item: change.item, version: Version(0), price: 7 });
                Ok(())
            }
            price if *ctx.memory::<u32>() == price => Ok(()),
            _ => Err(Rejection { status: 409, reason: "not known yet" }),
        });
    let sending = |price| pellmell::Sending::of(Change { item: item(1), price });
    let simulation = Simulation::on(Profile::stan())
        .service(shop)
        .client("early", vec![sending(7).until_accepted()])
        .client("late", vec![sending(0)])
        .build()
        .expect("the parts fit");
    let mut world = simulation.world();
    let judges = Judges::new(Vec::new());
    let report = run(&mut world, &mut Calm::new(0, FaultPlan::NONE), &judges, Limits::default(), &mut ());
    assert!(report.verdict.is_held() && world.waiting_clients().is_empty(), "{:?}", world.waiting_clients());
    assert!(world.is_finished());
}

#[test]
fn each_member_has_a_memory_of_its_own() {
    let hosting = Hosting { members: 2, ..Hosting::ALONE };
    let simulation = counting(hosting, 4);
    let world = after(&simulation, &[]);
    let search = world.service("search").expect("a service");
    let sizes = [0, 1].map(|member| world.memory::<BTreeSet<(RecordId, Version)>>(search, member).map(BTreeSet::len));
    assert_eq!(sizes, [Some(2), Some(2)]);
    let mut crashing = simulation.world();
    let crash = Fate { crash: Some(Window::AfterAck), ..Fate::CALM };
    for _ in 0..2 {
        let command = crashing.enabled().iter().find(|action| matches!(action, Action::Command(_))).expect("a command");
        crashing.step(command, Fate::CALM);
    }
    let deliveries: Vec<_> = crashing.enabled().iter().filter(|action| matches!(action, Action::Deliver(_))).collect();
    crashing.step(deliveries[0], Fate::CALM);
    let died = crashing.step(deliveries[1], crash).actor.expect("a member").member;
    let left = [0, 1].map(|member| crashing.memory::<BTreeSet<(RecordId, Version)>>(search, member).is_some());
    assert_eq!(left, [died != 0, died != 1]);
}

#[test]
fn a_member_has_one_memory() {
    let shop = service::<Shop>("shop").on_command(|_, ctx| {
        *ctx.memory::<u32>() += 1;
        ctx.memory::<String>().push('x');
        Ok(())
    });
    let commands = vec![Change { item: item(1), price: 0 }];
    let simulation =
        Simulation::on(Profile::stan()).service(shop).client("a", commands).build().expect("the parts fit");
    let told = panic_of(|| {
        let mut world = simulation.world();
        let command = world.enabled().iter().next().expect("a command");
        world.step(command, Fate::CALM).number
    });
    assert!(told.contains("a member has one memory, and that of this one is no `alloc::string::String`"), "{told}");
}
