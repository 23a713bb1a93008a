//! A complete search says what it searched, and nothing where it cannot search it.

use expect_test::expect;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::property::NoPoison;
use pellmell::search::{Bounds, DeliveryOrder, Ended, Exhaust, Most};
use pellmell::{
    Hosting, Judges, Outcome, Profile, RecordId, Simulation, Subject, Verdict, Version, VersionPolicy, Violation,
    testing,
};

const ITEM: RecordId = RecordId::new('i', 1);

/// A shop that changes an item's price twice, and a search in which what comes last wins.
fn last_write_wins(profile: Profile) -> Simulation<Shop> {
    let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(change.price.into()), price: change.price });
        Ok(())
    });
    let changed = const { &[Subject::new("item:changed")] };
    let search = testing::service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(changed, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|held| held.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        Outcome::Ack
    });
    let changes = (1..=2).map(|price| Change { item: ITEM, price }).collect();
    Simulation::on(profile).service(shop).service(search).client("seller", changes).build().expect("the parts fit")
}

/// When all is over, search has the price of the last change.
fn latest() -> Judges<Shop> {
    Judges::new(vec![testing::at_quiescence::<Shop>("Latest", |moment| {
        match moment.store_of("search").find::<Item>(ITEM) {
            Some(held) if moment.world().is_finished() && held.price == 1 => {
                Err(Violation::at("search").of(ITEM).because("it is not 2"))
            }
            _ => Ok(()),
        }
    })])
}

#[test]
fn a_result_says_what_was_searched_and_shows_the_run_that_fails_by_name() {
    let bounds = Bounds { lost_acks: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    let simulation = last_write_wins(Profile::adversarial());
    let failing = Exhaust::new(&simulation, &latest()).with_bounds(bounds).run();
    expect![[r#"
        violated within any order, 1 lost ack
        Latest: at search, i1: it is not 2
        4 steps, no run fails in fewer:
            1    seller: change i1 to 1
            2    seller: change i1 to 2
            3    item:changed i1@2 -> search
            4    item:changed i1@1 -> search"#]]
    .assert_eq(&failing.to_string());
    let per_subject = Bounds::of(DeliveryOrder::PerSubject);
    let ordered = last_write_wins(per_subject.order.profile());
    expect!["held, exhaustive within each subject in order: 6 states"]
        .assert_eq(&Exhaust::new(&ordered, &latest()).with_bounds(per_subject).run().to_string());
    let small = Exhaust::new(&simulation, &latest()).with_memory_max(10).run();
    expect!["not complete, the memory is used up: nothing found so far"].assert_eq(&small.to_string());
}

#[test]
fn a_broker_that_keeps_an_order_gives_no_verdict_on_any_order() {
    let (simulation, judges) = (last_write_wins(Profile::stan()), latest());
    let refused = Exhaust::new(&simulation, &judges).run();
    assert_eq!((refused.ended, refused.is_complete(), refused.failing.is_none()), (Ended::Order, false, true));
    expect!["not complete, the broker's rules are not those of `any order`: build the simulation on `bounds.order.profile()`"].assert_eq(&refused.to_string());
    for order in [DeliveryOrder::Any, DeliveryOrder::PerSubject, DeliveryOrder::Lockstep] {
        assert!(order.is_allowed_by(&order.profile()) && !order.is_allowed_by(&Profile::stan()), "{order:?}");
    }
    assert!(DeliveryOrder::Any.is_allowed_by(&Profile { name: "mine", naks: false, ..Profile::adversarial() }));
}

#[test]
fn the_first_run_that_fails_will_do_if_asked() {
    let (simulation, judges) = (last_write_wins(Profile::adversarial()), latest());
    let bounds = Bounds { lost_acks: Most::Of(2), ..Bounds::of(DeliveryOrder::Any) };
    let exhaust = || Exhaust::new(&simulation, &judges).with_bounds(bounds);
    let (shortest, first) = (exhaust().run(), exhaust().with_first_failing(true).run());
    assert!(first.stats.transitions < shortest.stats.transitions, "{first:?}, {shortest:?}");
    let [shortest, first] = [shortest, first].map(|result| result.failing.expect("it fails"));
    assert!(shortest.is_shortest && !first.is_shortest);
    assert!(shortest.steps.len() <= first.steps.len());
    assert!(matches!(first.verdict, Verdict::Violated { property: "Latest", .. }), "{first:?}");
    assert_eq!(first.names.len(), first.steps.len());
}

#[test]
fn poison_is_seen_whichever_member_would_be_handed_it_next() {
    let changed = const { &[Subject::new("item:changed")] };
    let judges = Judges::new(vec![Box::new(NoPoison)]);
    let orders = [DeliveryOrder::Any, DeliveryOrder::PerSubject, DeliveryOrder::Lockstep];
    for (order, members) in orders.into_iter().flat_map(|order| [1, 2, 3].map(|members| (order, members))) {
        let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
            ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
            Ok(())
        });
        let search = testing::service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
        let search =
            search.on_event(changed, |event, ctx| match ctx.store.insert(event.item, Item { price: event.price }) {
                Ok(_) => Outcome::Ack,
                Err(_) => Outcome::Silent("duplicate key"),
            });
        let simulation = Simulation::on(order.profile()).service(shop);
        let simulation = simulation.hosted(search, Hosting { members, ..Hosting::ALONE });
        let simulation = simulation.client("seller", vec![Change { item: ITEM, price: 1 }]).build();
        let simulation = simulation.expect("the parts fit");
        for lost_acks in [0, 1] {
            let bounds = Bounds { lost_acks: Most::Of(lost_acks), ..Bounds::of(order) };
            let result = Exhaust::new(&simulation, &judges).with_bounds(bounds).run();
            let found = result.failing.is_some();
            assert_eq!(found, lost_acks == 1, "{order:?}, {members} members, {lost_acks} lost acks: {result}");
        }
    }
}
