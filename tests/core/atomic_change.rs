//! A change of a record as it is at the moment of the save, beside what a handler reads, works out and saves.

use pellmell::doc_example::{Change, Item, Shop};
use pellmell::schedule::Departure;
use pellmell::scheduler::Departing;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most};
use pellmell::testing::{at_quiescence, service};
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Moment, Profile, PublishMode, Rate, Ratio, RecordId, Rejection,
    Simulation, VersionPolicy, Violation,
};

const ITEM: RecordId = RecordId::new('i', 1);
const RACE: &str = "pause ann: change i1 to 1 until bob: change i1 to 2";

/// How a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    /// It reads, adds and overwrites.
    Overwrites,
    /// It reads, adds and saves if nobody saved meanwhile; otherwise it refuses.
    Compares,
    /// It adds to what is there at the save.
    Adds,
    /// The same as long as no more than 2 come of it.
    AddsUpTo2,
}

/// A counter that began at 0, to which Ann adds 1 and Bob adds 2.
fn counter(design: Design, mode: PublishMode) -> Simulation<Shop> {
    let counter = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).publishing(mode);
    let counter = counter.on_command(move |change, ctx| {
        let held = ctx.store.find::<Item>(change.item).map(|held| (held.version, held.price));
        let (version, price) = held.ok_or(Rejection { status: 404, reason: "not there" })?;
        let sum = Item { price: price + change.price };
        let saved = match design {
            Design::Overwrites => Some(ctx.store.overwrite(change.item, sum, Some(version))),
            Design::Compares => ctx.store.save_if_current(change.item, sum, version).ok(),
            Design::Adds => ctx.store.change::<Item>(change.item, |held| held.price += change.price),
            Design::AddsUpTo2 => {
                let fits = |held: &Item| held.price + change.price <= 2;
                ctx.store.change_if::<Item>(change.item, fits, |held| held.price += change.price)
            }
        };
        let seen = ctx.store.find::<Item>(change.item).map(|held| held.version);
        assert!(saved.is_none() || seen == saved, "who saves sees what it saved");
        saved.map(|_| ()).ok_or(Rejection { status: 409, reason: "too late" })
    });
    let on = Simulation::on(Profile::adversarial()).hosted(counter, Hosting { overlapping: true, ..Hosting::ALONE });
    let on = on.seeded("shop", |store| {
        store.insert(ITEM, Item { price: 0 }).expect("nothing is there");
    });
    let add = |price| vec![Change { item: ITEM, price }];
    on.client("ann", add(1)).client("bob", add(2)).build().expect("the parts fit")
}

/// What the counter has after a run, and at which version.
fn counted(simulation: &Simulation<Shop>, lines: &[&str]) -> (u32, u64) {
    let schedule: Vec<Departure> = lines.iter().map(|line| line.parse().expect("a departure")).collect();
    let (mut world, nobody) = (simulation.world(), Judges::new(Vec::new()));
    pellmell::run::run(&mut world, &mut Departing::new(schedule), &nobody, Limits::default(), &mut ());
    let held = world.store_of("shop").find::<Item>(ITEM).expect("it is there");
    (held.price, held.version.0)
}

/// At rest nothing is missing.
fn complete() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("Complete", |moment: &Moment<'_, Shop>| {
        let counted = moment.store_of("shop").find::<Item>(ITEM).map_or(0, |held| held.price);
        match counted == 3 || !moment.world().is_finished() {
            true => Ok(()),
            false => Err(Violation::at("shop").of(ITEM).because(format!("expected 3, found {counted}"))),
        }
    })])
}

#[test]
fn under_a_pause_an_overwrite_loses_an_update_and_an_atomic_change_loses_none() {
    for mode in [PublishMode::Outbox, PublishMode::DualWrite, PublishMode::BeforeSave] {
        let played = |design| counted(&counter(design, mode), &[RACE]);
        assert_eq!(played(Design::Overwrites), (1, 1), "both have read 0: {mode:?}");
        assert_eq!(played(Design::Compares), (2, 1), "the one that was late is refused: {mode:?}");
        assert_eq!(played(Design::Adds), (3, 2), "{mode:?}");
        assert_eq!(played(Design::AddsUpTo2), (2, 1), "the condition is asked at the save: {mode:?}");
    }
}

#[test]
fn searches_find_the_lost_update_and_none_where_the_change_is_atomic() {
    let judges = complete();
    let overwrites = counter(Design::Overwrites, PublishMode::Outbox);
    let adds = counter(Design::Adds, PublishMode::Outbox);
    let swept = |simulation| HoldSweep::new(simulation, &judges).with_faults(FaultPlan::SOME).run();
    assert!(!swept(&overwrites).is_held());
    let pauses = FaultPlan { pause: Rate::of(Ratio::new(1, 2)), ..FaultPlan::NONE };
    assert!(HoldSweep::new(&adds, &judges).with_faults(pauses).run().is_held());
    let bounds = Bounds { pauses: Most::Of(2), ..Bounds::of(DeliveryOrder::Any) };
    let searched = |simulation| Exhaust::new(simulation, &judges).with_bounds(bounds).run();
    assert!(searched(&overwrites).failing.is_some());
    assert!(searched(&adds).is_complete());
    for seed in 0..200 {
        let (mut world, mut keyed) = (adds.world(), Keyed::new(seed, pauses));
        let report = pellmell::run::run(&mut world, &mut keyed, &judges, Limits::default(), &mut ());
        assert!(report.verdict.is_held(), "seed {seed}: {:?}", report.verdict);
    }
}

#[test]
fn what_is_not_there_is_not_changed_and_a_change_of_nothing_counts_as_the_policy_says() {
    let policies = [(VersionPolicy::EVERY_SAVE, 1), (VersionPolicy::DIRTY_ONLY, 0)];
    for (policy, version) in policies {
        let counter = service::<Shop>("shop").owns::<Item>(policy).on_command(|change, ctx| {
            assert_eq!(ctx.store.change::<Item>(RecordId::new('i', 2), |held| held.price = 1), None);
            ctx.store.insert(change.item, Item { price: 0 }).expect("nothing is there");
            let saved = ctx.store.change::<Item>(change.item, |held| held.price = 0);
            assert_eq!(saved, ctx.store.find::<Item>(change.item).map(|held| held.version));
            Ok(())
        });
        let on = Simulation::on(Profile::adversarial()).service(counter);
        let simulation = on.client("ann", vec![Change { item: ITEM, price: 1 }]).build().expect("the parts fit");
        assert_eq!(counted(&simulation, &[]), (0, version));
    }
}
