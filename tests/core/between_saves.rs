//! Handlers that save in two goes: a crash in between leaves the first.

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::schedule::Departure;
use pellmell::scheduler::{Departing, Tie};
use pellmell::search::HoldSweep;
use pellmell::shrink::Shrink;
use pellmell::testing::{at_quiescence, service};
use pellmell::trace::Recorder;
use pellmell::{
    AckTiming, Context, FaultPlan, Judges, Keyed, Limits, Moment, Outcome, Outside, Profile, PublishMode, Rate, Ratio,
    RecordId, Rejection, Sending, Simulation, Subject, Time, Timer, Version, VersionPolicy, Violation,
};

const ITEM: RecordId = RecordId::new('i', 1);
const SECOND: RecordId = RecordId::new('i', 2);
const CHANGED: Subject = Subject::new("item:changed");
const ANN: &str = "ann: change i1 to 1";
const CRASH: &str = "crash shop between saves of ann: change i1 to 1";

fn overwrite(id: RecordId, price: u32, ctx: &mut Context<'_, Shop>) {
    let held = ctx.store.find::<Item>(id).map(|item| item.version);
    ctx.store.overwrite(id, Item { price }, held);
}

fn publish(item: RecordId, price: u32, ctx: &mut Context<'_, Shop>) {
    ctx.publish(Changed { item, version: Version(0), price });
}

/// What a shop does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Design {
    /// It saves one record and publishes, commits, and does the same with another one.
    InTwo,
    /// The same without the commit.
    AtOnce,
    /// It commits, saves and refuses.
    Refuses,
}

fn simulation(design: Design, mode: PublishMode) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).publishing(mode);
    let shop = shop.on_command(move |change, ctx| {
        ctx.outside(Outside::of("first", ITEM));
        overwrite(ITEM, change.price, ctx);
        publish(ITEM, change.price, ctx);
        ctx.outside(Outside::of("mail", ITEM).after_saving());
        if design != Design::AtOnce {
            ctx.commit();
        }
        ctx.outside(Outside::of("second", SECOND));
        overwrite(SECOND, change.price, ctx);
        publish(SECOND, change.price, ctx);
        match design {
            Design::Refuses => Err(Rejection { status: 409, reason: "no" }),
            _ => Ok(()),
        }
    });
    let search = service::<Shop>("search").on_event(const { &[CHANGED] }, |_, _| Outcome::Ack);
    let on = Simulation::on(Profile::stan()).service(shop).service(search);
    on.client("ann", vec![Sending::of(Change { item: ITEM, price: 1 })]).build().expect("the parts fit")
}

fn schedule(lines: &[&str]) -> Vec<Departure> {
    lines.iter().map(|line| line.parse().expect("a departure")).collect()
}

/// What each step of the services did.
fn played(simulation: &Simulation<Shop>, lines: &[&str]) -> Vec<String> {
    let (mut scheduler, mut recorder) = (Departing::new(schedule(lines)), Recorder::default());
    let limits = Limits::default();
    pellmell::run::run(&mut simulation.world(), &mut scheduler, &Judges::new(Vec::new()), limits, &mut recorder);
    let records = recorder.into_records().into_iter().filter(|record| !record.action.contains("-> search"));
    let steps = records.map(|record| {
        let action = record.action.trim_start_matches("deliver ").to_owned();
        let faults = record.faults.iter().map(|fault| format!(", {fault}"));
        let saved = record.saved.iter().map(|row| format!(" saves {}@{}", row.id, row.version));
        let said = record.published.iter().map(|name| format!(" says {name}"));
        let done = record.outside.iter().map(|done| format!(" does {done}"));
        std::iter::once(action).chain(faults).chain(saved).chain(said).chain(done).collect::<String>()
    });
    steps.collect()
}

fn both() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("Both", |moment: &Moment<'_, Shop>| {
        let holds = |id| moment.store_of("shop").find::<Item>(id).is_some();
        match holds(ITEM) == holds(SECOND) {
            true => Ok(()),
            false => Err(Violation::at("shop").of(SECOND).because("only one of two is there")),
        }
    })])
}

const WHOLE: &str = " saves i1@0 saves i2@0 says item:changed i1@0 says item:changed i2@0";
const FIRST: &str = " saves i1@0 says item:changed i1@0 does first i1 does mail i1";

#[test]
fn a_crash_between_two_saves_leaves_all_that_was_done_before_the_commit() {
    for mode in [PublishMode::Outbox, PublishMode::DualWrite, PublishMode::BeforeSave] {
        let simulation = simulation(Design::InTwo, mode);
        let whole = format!("{ANN}{WHOLE} does first i1 does mail i1 does second i2");
        assert_eq!(played(&simulation, &[]), [&*whole], "{mode:?}");
        assert_eq!(played(&simulation, &[CRASH]), [format!("{ANN}, crash between saves{FIRST}")], "{mode:?}");
        let before = format!("crash shop before save of {ANN}");
        assert_eq!(played(&simulation, &[&before]), [format!("{ANN}, crash before save does first i1")], "{mode:?}");
    }
}

#[test]
fn what_is_committed_stays_if_the_handler_refuses_or_crashes_later() {
    let refused = |mode| played(&simulation(Design::Refuses, mode), &[]);
    assert_eq!(refused(PublishMode::Outbox), [format!("{ANN}{FIRST} does second i2")]);
    let crashed = |mode| played(&simulation(Design::InTwo, mode), &[&format!("crash shop before publish of {ANN}")]);
    let crash = format!("{ANN}, crash before publish");
    let (all, first) = (" saves i1@0 saves i2@0", " says item:changed i1@0");
    let done = " does first i1 does mail i1 does second i2";
    assert_eq!(crashed(PublishMode::DualWrite), [format!("{crash}{all}{first}{done}")]);
    assert_eq!(crashed(PublishMode::BeforeSave), [format!("{crash} saves i1@0{first} says item:changed i2@0{done}")]);
}

#[test]
fn where_nothing_is_committed_in_between_nothing_changes() {
    let simulation = simulation(Design::AtOnce, PublishMode::Outbox);
    let steps = played(&simulation, &[CRASH]);
    assert!(steps[0].contains(WHOLE), "{steps:?}");
    let notes = pellmell::testing::replay(&simulation, &[CRASH], &both()).notes;
    let note = format!("unused-departure {CRASH}: its handler commits nothing between two saves (`Context::commit`)");
    assert!(notes.iter().any(|told| told.to_string() == note), "{notes:?}");
}

/// A search that saves what comes in two goes, and arms a timer that does so as well.
fn in_two_at_search(acking: AckTiming) -> Simulation<Shop> {
    let shop = service::<Shop>("shop").on_command(|change, ctx| {
        publish(change.item, change.price, ctx);
        Ok(())
    });
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).acking(acking);
    let search = search.on_event(const { &[CHANGED] }, |event, ctx| {
        overwrite(ITEM, event.price, ctx);
        ctx.arm_timer(Timer::of(ITEM, Time(0)).carrying(event.price));
        ctx.commit();
        overwrite(SECOND, event.price, ctx);
        Outcome::Ack
    });
    let search = search.on_timer(|timer, ctx| {
        let price = *timer.payload::<u32>().expect("it carries one");
        overwrite(ITEM, price, ctx);
        ctx.commit();
        overwrite(SECOND, price, ctx);
    });
    let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
    on.client("ann", vec![Sending::of(Change { item: ITEM, price: 1 })]).build().expect("the parts fit")
}

#[test]
fn a_delivery_comes_again_unless_it_was_acked_first_and_a_durable_timer_fires_again() {
    let saves = |acking, crash: &str| {
        let (mut scheduler, mut recorder) = (Departing::new(schedule(&[crash])), Recorder::default());
        let nobody = Judges::new(Vec::new());
        let world = &mut in_two_at_search(acking).world();
        pellmell::run::run(world, &mut scheduler, &nobody, Limits::default(), &mut recorder);
        let saving = recorder.into_records().into_iter().filter(|record| !record.saved.is_empty());
        saving.map(|record| (record.answer.unwrap_or_default(), record.saved.len())).collect::<Vec<_>>()
    };
    let said = |answer: &str, saved| (answer.to_owned(), saved);
    let delivery = "crash search between saves of item:changed i1@0 -> search";
    let (again, fired) = (said("ack", 2), said("done", 2));
    let crashed = [said("crashed", 1), again.clone(), fired.clone(), fired.clone()];
    assert_eq!(saves(AckTiming::AfterSave, delivery), crashed);
    assert_eq!(saves(AckTiming::BeforeSave, delivery), [said("acked, then crashed", 1), fired.clone()]);
    let timer = "crash search between saves of timer i1 of search";
    assert_eq!(saves(AckTiming::AfterSave, timer), [again, said("crashed", 1), fired]);
}

#[test]
fn runs_that_draw_it_are_extracted_exactly_and_say_how_often_it_happened() {
    let rate = Rate::of(Ratio::new(1, 3));
    let plan = FaultPlan { crash_between_saves: rate, slow_publish: rate, pause: rate, ..FaultPlan::SOME };
    for simulation in [simulation(Design::InTwo, PublishMode::DualWrite), in_two_at_search(AckTiming::AfterSave)] {
        let mut between = 0;
        for seed in 0..200 {
            let keyed = Keyed::new(seed, plan);
            let extracted = extract(&simulation, keyed, &Judges::new(Vec::new()), Limits::default(), Tie::InOrder);
            between +=
                extracted.unwrap_or_else(|error| panic!("seed {seed}: {error}")).report.counts.crashes_between_saves;
        }
        assert!(between > 20, "{between}");
    }
}

#[test]
fn a_hold_sweep_finds_it_and_it_is_explained() {
    let (found, judges) = (simulation(Design::InTwo, PublishMode::Outbox), both());
    let plan = FaultPlan { crash_between_saves: Rate::of(Ratio::new(1, 5)), ..FaultPlan::NONE };
    let swept = |simulation, plan| HoldSweep::new(simulation, &judges).with_faults(plan).run();
    let result = swept(&found, plan);
    let first = result.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    assert_eq!(first.departures, schedule(&[CRASH]));
    assert_eq!(FaultPlan::of_schedule(&first.departures, plan.crash_between_saves), plan);
    assert!(swept(&found, FaultPlan::SOME).buckets.is_empty());
    assert!(swept(&simulation(Design::AtOnce, PublishMode::Outbox), plan).buckets.is_empty());
    let shrunk = Shrink::new(&found, &judges).run(schedule(&[CRASH])).expect("it fails");
    let told = Explain::new(&found, &judges).run(&shrunk).expect("it is small").to_string();
    let sentence = format!("shop crashes between saves of `{ANN}` (step 1): i1@0 is saved and i2@0 is not");
    assert!(told.contains(&sentence), "{told}");
}
