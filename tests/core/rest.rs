//! Convergence is judged at every moment at rest: whenever nothing can change any more until a command
//! is sent or a service's timer fires. A message that is not done puts that off only as long as it may
//! still change something when it comes again.

use std::time::Duration;

use pellmell::broker::{Exhausted, MaxDeliver};
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::scheduler::{Departing, Scheduler};
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep};
use pellmell::ticketing::Scenario;
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Outcome, Profile, RecordId, Report, Simulation, Subject, Verdict,
    VersionPolicy, Violation, run, testing,
};

/// What search does with a message about item 2.
#[derive(Clone, Copy)]
enum OfItem2 {
    Acks,
    NeverAnswers,
}

const ITEM_1: u32 = 1;
const ITEM_2: u32 = 2;

fn set(item: u32, price: u32) -> Change {
    Change { item: RecordId::new('i', item), price }
}

/// A shop and a search that throws every odd price away, so that its copy of item 1 is wrong until the
/// next even one comes.
fn forgetful(profile: Profile, of_item_2: OfItem2, commands: &[Change]) -> Simulation<Shop> {
    let policy = VersionPolicy::EVERY_SAVE;
    let shop = crate::shop::shop();
    let subjects = const { &[Subject::new("item:changed")] };
    let search = testing::service::<Shop>("search").keeps::<Item>(policy).on_event(subjects, move |event, ctx| {
        match (event.item.number(), of_item_2) {
            (ITEM_2, OfItem2::Acks) => return Outcome::Ack,
            (ITEM_2, OfItem2::NeverAnswers) => return Outcome::Silent("cannot parse"),
            _ => {}
        }
        let held = ctx.store.find::<Item>(event.item);
        let is_new = held.as_ref().is_none_or(|held| held.value.price != event.price);
        if event.price % 2 == 0 && is_new {
            let version = held.map(|held| held.version);
            ctx.store.overwrite(event.item, Item { price: event.price }, version);
        }
        Outcome::Ack
    });
    let builder = Simulation::on(profile).service(shop).service(search);
    builder.client("seller", commands.to_vec()).build().expect("the parts fit")
}

fn copy_is_right() -> Judges<Shop> {
    let judged = testing::at_quiescence("CopyIsRight", |moment| {
        let item = RecordId::new('i', ITEM_1);
        let price = |service| moment.store_of(service).find::<Item>(item).map(|item| item.price);
        match price("shop") == price("search") {
            true => Ok(()),
            false => Err(Violation::at("search").of(item).because("the copy differs")),
        }
    });
    Judges::new(vec![judged])
}

fn play(simulation: &Simulation<Shop>, mut scheduler: impl Scheduler) -> Report {
    run(&mut simulation.world(), &mut scheduler, &copy_is_right(), Limits::default(), &mut ())
}

fn stan() -> Profile {
    Profile { ack_wait: vec![Duration::from_secs(5)], ..Profile::stan() }
}

fn calm(simulation: &Simulation<Shop>) -> Report {
    play(simulation, Departing::new(Vec::new()))
}

/// The moments at which nothing was under way: judged, before a redelivery, before a join.
fn moments(report: &Report) -> [u64; 3] {
    let counts = &report.counts;
    [counts.moments_judged, counts.moments_before_redelivery, counts.moments_before_join]
}

fn violated(verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Violated { property, .. } => Some(property),
        _ => None,
    }
}

#[test]
fn poison_about_another_record_hides_no_wrong_moment_from_any_search() {
    let commands = [set(ITEM_2, 2), set(ITEM_1, 2), set(ITEM_1, 3), set(ITEM_1, 4)];
    for of_item_2 in [OfItem2::Acks, OfItem2::NeverAnswers] {
        let simulation = forgetful(Profile::adversarial(), of_item_2, &commands);
        assert_eq!(violated(&calm(&simulation).verdict), Some("CopyIsRight"));
        let failing = (0..400).filter(|seed| !play(&simulation, Keyed::new(*seed, FaultPlan::NONE)).verdict.is_held());
        assert!(failing.count() > 100);
        for order in [DeliveryOrder::Lockstep, DeliveryOrder::Any] {
            let bounds = Bounds::of(order);
            let judges = copy_is_right();
            let exhausted = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
            assert!(exhausted.failing.is_some(), "a complete search calls nothing held that fails at rest");
        }
    }
}

#[test]
fn the_hold_sweep_judges_the_same_moments_as_a_run() {
    let commands = [set(ITEM_2, 2), set(ITEM_1, 2), set(ITEM_1, 3), set(ITEM_1, 4)];
    let (simulation, judges) = (forgetful(Profile::adversarial(), OfItem2::NeverAnswers, &commands), copy_is_right());
    assert!(!HoldSweep::new(&simulation, &judges).with_schedules_max(10).run().is_held());
}

#[test]
fn a_message_that_may_still_change_something_puts_the_moment_off_and_is_counted() {
    // The ack of a price is lost, so until it was handled again nobody knows what it will do.
    let simulation = forgetful(stan(), OfItem2::Acks, &[set(ITEM_1, 2), set(ITEM_2, 4)]);
    let lost = "lose ack of item:changed i1@0 -> search".parse().expect("a departure");
    let report = play(&simulation, Departing::new(vec![lost]));
    assert_eq!(report.verdict, Verdict::Held);
    // Before the first command; after each with the ack wait running; at the end.
    assert_eq!(moments(&report), [2, 2, 0]);
}

#[test]
fn moments_before_a_group_joined_are_counted_and_not_judged() {
    let commands = [set(ITEM_1, 2), set(ITEM_1, 4)];
    let shop = |profile| {
        let policy = VersionPolicy::EVERY_SAVE;
        let shop = testing::service::<Shop>("shop").owns::<Item>(policy).on_command(|_, _| Ok(()));
        let subjects = const { &[Subject::new("item:changed")] };
        let search = testing::service::<Shop>("search").keeps::<Item>(policy).on_event(subjects, |_, _| Outcome::Ack);
        let late = Hosting { joins_late: true, ..Hosting::ALONE };
        Simulation::on(profile).service(shop).hosted(search, late)
    };
    let simulation = shop(stan()).client("seller", commands.to_vec()).build().expect("the parts fit");
    let hold = "hold join of search until quiescence".parse().expect("a departure");
    let report = play(&simulation, Departing::new(vec![hold]));
    assert_eq!(moments(&report), [1, 0, 3]);
}

#[test]
fn nothing_is_judged_again_that_did_not_change() {
    // Two messages that nobody ever answers come again and again, in vain, each at its own time.
    let simulation = forgetful(stan(), OfItem2::NeverAnswers, &[set(ITEM_2, 2), set(ITEM_2, 4)]);
    let report = calm(&simulation);
    assert_eq!(moments(&report), [3, 0, 0]);
}

#[test]
fn where_redelivery_ends_poison_hides_no_wrong_moment_either() {
    let limited = MaxDeliver::Times { times: 3, action: Exhausted::DeadLetter };
    let profile = Profile { max_deliver: limited, ..stan() };
    let commands = [set(ITEM_1, 2), set(ITEM_2, 2), set(ITEM_1, 3), set(ITEM_1, 4)];
    let simulation = forgetful(profile.clone(), OfItem2::NeverAnswers, &commands);
    let report = calm(&simulation);
    assert_eq!((violated(&report.verdict), report.time.0 < 1_000_000), (Some("CopyIsRight"), true));
    // What is right at rest is still played until the message is given up.
    let simulation = forgetful(profile, OfItem2::NeverAnswers, &[set(ITEM_2, 2), set(ITEM_1, 2)]);
    let mut world = simulation.world();
    run(&mut world, &mut Departing::new(Vec::new()), &copy_is_right(), Limits::default(), &mut ());
    assert_eq!(world.broker().dead().len(), 1);
}

/// A cancel overtakes its order: the ticket is locked by a dead order until the time to pay is over.
fn locked_by_a_dead_order(departure: &str) -> Report {
    let text = format!(
        r#"version = 1
about = "A cancel overtakes its order: the ticket is locked by a dead order until the time to pay is over."
design = "course"
properties = ["ReservationAgreement"]
schedule = [
    {departure}
    "hold order:created o1@0 -> tickets until order:cancelled o1@1 -> tickets",
]
[broker]
profile = "stan"
ack_wait = ["5s"]
[services.expiration]
[[client]]
name = "zoe"
commands = [ {{ create_ticket = {{ ticket = "t9", price = 5 }} }} ]
[[client]]
name = "ann"
commands = [
    {{ create_ticket = {{ ticket = "t1", price = 5 }} }},
    {{ create_order = {{ order = "o1", ticket = "t1" }} }},
    {{ cancel_order = {{ order = "o1" }} }},
]
"#
    );
    let scenario = Scenario::parse("locked.toml", &text).unwrap_or_else(|error| panic!("{error}"));
    let mut world = scenario.simulation(0).expect("the parts fit").world();
    scenario.run(&mut world, &scenario.judges(), 0, &mut ())
}

#[test]
fn a_lost_ack_elsewhere_does_not_hide_a_lock_until_a_timer_repairs_it() {
    for departure in ["", "\"lose ack of ticket:created t9@0 -> orders\","] {
        let report = locked_by_a_dead_order(departure);
        assert_eq!(violated(&report.verdict), Some("ReservationAgreement"));
        assert!(report.time.0 < 60_000_000, "before the expiration at +1m00s, not at {}", report.time);
    }
}

#[test]
fn what_is_kept_of_a_cancelled_order_is_told_when_all_is_at_rest_and_not_after_a_timer() {
    let text = r#"version = 1
about = "An order is paid and cancelled: its payment is kept."
design = "course"
properties = ["PaymentAgreement"]
scheduler = "calm"
[broker]
profile = "stan"
ack_wait = ["5s"]
[services.payments]
[services.expiration]
[[client]]
name = "ann"
commands = [
    { create_ticket = { ticket = "t1", price = 5 } },
    { create_order = { order = "o1", ticket = "t1" } },
    { pay = { payment = "p1", order = "o1" } },
    { cancel_order = { order = "o1" } },
]
"#;
    let scenario = Scenario::parse("kept.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let mut world = scenario.simulation(0).expect("the parts fit").world();
    let report = scenario.run(&mut world, &scenario.judges(), 0, &mut ());
    assert_eq!((violated(&report.verdict), report.steps, report.time.0), (Some("PaymentAgreement"), 13, 4_000));
}

#[test]
fn a_delivery_that_saved_what_its_outbox_took_back_waits_for_a_change_as_one_that_saved_nothing() {
    let shop = testing::service::<Shop>("shop").on_command(|change: &Change, ctx| {
        ctx.publish(Changed { item: change.item, version: pellmell::Version(0), price: change.price });
        Ok(())
    });
    let subjects = const { &[Subject::new("item:changed")] };
    let search = testing::service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(subjects, |event, ctx| {
        ctx.store.overwrite(event.item, Item { price: event.price }, None);
        Outcome::nak("not so")
    });
    let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
    let simulation = on.client("seller", vec![set(ITEM_1, 5)]).build().expect("the parts fit");
    let mut calm = Departing::new(Vec::new());
    let report = run(&mut simulation.world(), &mut calm, &Judges::new(Vec::new()), Limits::default(), &mut ());
    assert_eq!((report.verdict, report.counts.deliveries), (Verdict::Held, 1));
}
