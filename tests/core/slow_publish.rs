//! What is saved and published some time after: by a process that is slow, or by a relay that lags.

use std::time::Duration;

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::schedule::{Departure, NamedStep};
use pellmell::scheduler::{Departing, DepartureOutcome, Tie};
use pellmell::search::HoldSweep;
use pellmell::shrink::Shrink;
use pellmell::simulation::SimulationBuilder;
use pellmell::testing::{Closures, service};
use pellmell::ticketing::Scenario;
use pellmell::trace::{Naming, Recorder};
use pellmell::{
    AckTiming, FaultPlan, Hosting, Judges, Keyed, Limits, Outcome, Profile, PublishMode, Rate, Ratio, RecordId, Relay,
    Replayed, Scheduler, Simulation, Subject, Verdict, VersionPolicy,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: Subject = Subject::new("item:changed");
const ANN: &str = "ann: change i1 to 1";
const BOB: &str = "bob: change i1 to 2";
const CREATED: &str = "item:changed i1@0 -> search";
const SEVERAL: Hosting = Hosting { overlapping: true, ..Hosting::ALONE };

/// A shop that saves a price, says so, and notes in a record of its own that search has it.
fn shop(mode: PublishMode, relay: Relay) -> Closures<Shop> {
    crate::shop::shop().publishing(mode).relaying(relay)
}

/// A search that keeps whatever comes last, and says what it found under another number.
fn search(mode: PublishMode) -> Closures<Shop> {
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).publishing(mode);
    search.on_event(const { &[CHANGED] }, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        if event.item == ITEM {
            ctx.publish(Changed { item: RecordId::new('i', 9), ..event.clone() });
        }
        Outcome::Ack
    })
}

fn change(price: u32) -> Change {
    Change { item: ITEM, price }
}

/// Ann and Bob change one price, in this order, on a broker that keeps order and waits so long for answers.
fn on(ack_wait: Option<Duration>) -> SimulationBuilder<Shop> {
    let profile = Profile { ack_wait: ack_wait.into_iter().collect(), ..Profile::stan() };
    Simulation::on(profile).client("ann", vec![change(1)]).client("bob", vec![change(2)])
}

fn simulation(mode: PublishMode, relay: Relay, hosting: Hosting) -> Simulation<Shop> {
    let on = on(None).hosted(shop(mode, relay), hosting).hosted(search(mode), SEVERAL);
    on.build().expect("the parts fit")
}

fn dual_write() -> Simulation<Shop> {
    simulation(PublishMode::DualWrite, Relay::InOrder, SEVERAL)
}

fn agree() -> Judges<Shop> {
    crate::shop::same_price(ITEM)
}

/// Plays a schedule: what each step did and published, and what came of the departures.
fn play(simulation: &Simulation<Shop>, schedule: &[&str]) -> (Vec<String>, Vec<DepartureOutcome>) {
    let schedule: Vec<Departure> = schedule.iter().map(|line| line.parse().expect("a departure")).collect();
    let (mut scheduler, mut recorder) = (Departing::new(schedule), Recorder::default());
    let nobody = Judges::new(Vec::new());
    pellmell::run::run(&mut simulation.world(), &mut scheduler, &nobody, Limits::default(), &mut recorder);
    let steps = recorder.into_records().into_iter().map(|record| {
        let action = record.action.trim_start_matches("deliver ").replace(" -> search #1", "");
        let faults = record.faults.iter().map(|fault| format!(", {fault}")).collect::<String>();
        let saved = record.saved.iter().map(|row| format!(" saves {}@{}", row.id, row.version)).collect::<String>();
        let published = record.published.iter().map(|name| format!(" says {name}")).collect::<String>();
        format!("{action}{faults}{saved}{published}")
    });
    (steps.collect(), scheduler.outcomes().map(|(_, came)| came).collect())
}

#[track_caller]
fn assert_played(simulation: &Simulation<Shop>, schedule: &[&str], steps: &[&str]) {
    let (played, came) = play(simulation, schedule);
    let own: Vec<&String> = played.iter().filter(|step| !step.starts_with("item:changed i9")).collect();
    assert_eq!(own, steps, "{schedule:?}");
    assert!(came.iter().all(|came| *came == DepartureOutcome::InFull), "{came:?}");
}

#[test]
fn a_process_that_is_slow_to_publish_is_overtaken_by_another_one() {
    let late = format!("slow publish of {ANN} until {BOB}");
    assert_played(
        &dual_write(),
        &[&late],
        &[
            "ann: change i1 to 1, slow publish saves i1@0",
            "bob: change i1 to 2 saves i1@1 says item:changed i1@1",
            "publish of ann: change i1 to 1 says item:changed i1@0",
            "item:changed i1@1 saves i1@0 says item:changed i9@1",
            "item:changed i1@0 saves i1@1 says item:changed i9@0",
        ],
    );
    let mut scheduler = Departing::new(vec![late.parse().expect("a departure")]);
    let world = &mut dual_write().world();
    let report = pellmell::run::run(world, &mut scheduler, &agree(), Limits::default(), &mut ());
    assert!(matches!(report.verdict, Verdict::Violated { .. }), "{:?}", report.verdict);
}

#[test]
fn a_relay_in_order_lets_later_events_wait_behind() {
    let steps = |hosting| {
        let simulation = simulation(PublishMode::Outbox, Relay::InOrder, hosting);
        assert_played(
            &simulation,
            &[&format!("slow publish of {ANN} until {BOB}")],
            &[
                "ann: change i1 to 1, slow publish saves i1@0",
                "bob: change i1 to 2 saves i1@1",
                "publish of ann: change i1 to 1 says item:changed i1@0 says item:changed i1@1",
                "item:changed i1@0 saves i1@0 says item:changed i9@0",
                "item:changed i1@1 saves i1@1 says item:changed i9@1",
            ],
        );
    };
    steps(Hosting::ALONE);
    steps(SEVERAL);
}

#[test]
fn a_relay_in_any_order_publishes_later_events_first() {
    assert_played(
        &simulation(PublishMode::Outbox, Relay::AnyOrder, Hosting::ALONE),
        &[&format!("slow publish of {ANN} until {BOB}")],
        &[
            "ann: change i1 to 1, slow publish saves i1@0",
            "bob: change i1 to 2 saves i1@1 says item:changed i1@1",
            "publish of ann: change i1 to 1 says item:changed i1@0",
            "item:changed i1@1 saves i1@0 says item:changed i9@1",
            "item:changed i1@0 saves i1@1 says item:changed i9@0",
        ],
    );
}

#[test]
fn two_that_a_relay_in_order_is_slow_with_are_out_in_their_order() {
    assert_played(
        &simulation(PublishMode::Outbox, Relay::InOrder, Hosting::ALONE),
        &[&format!("slow publish of {BOB} until {BOB}"), &format!("slow publish of {ANN} until quiescence")],
        &[
            "ann: change i1 to 1, slow publish saves i1@0",
            "bob: change i1 to 2, slow publish saves i1@1",
            "publish of ann: change i1 to 1 says item:changed i1@0",
            "publish of bob: change i1 to 2 says item:changed i1@1",
            "item:changed i1@0 saves i1@0 says item:changed i9@0",
            "item:changed i1@1 saves i1@1 says item:changed i9@1",
        ],
    );
}

/// The deliveries and ack waits to search, with Ann's change alone.
fn to_search(mode: PublishMode, acking: AckTiming, schedule: &[&str]) -> Vec<String> {
    let profile = Profile { ack_wait: vec![Duration::from_secs(5)], ..Profile::stan() };
    let on = Simulation::on(profile).client("ann", vec![change(1)]);
    let on = on.service(shop(PublishMode::Outbox, Relay::InOrder)).hosted(search(mode).acking(acking), SEVERAL);
    let played = play(&on.build().expect("the parts fit"), schedule).0;
    played.into_iter().filter(|step| step.contains("item:changed i1") && !step.starts_with("ann")).collect()
}

#[test]
fn the_ack_of_a_process_comes_after_what_it_publishes_unless_it_acks_first_or_a_relay_publishes() {
    let late = [&*format!("slow publish of {CREATED} until ack wait of {CREATED}")];
    let first = "item:changed i1@0, slow publish saves i1@0";
    let over = "clock: ack wait of item:changed i1@0 runs out";
    let out = "publish of item:changed i1@0 -> search says item:changed i9@0";
    let played = |mode, acking| to_search(mode, acking, &late);
    assert_eq!(played(PublishMode::DualWrite, AckTiming::AfterSave), [first, over, out]);
    assert_eq!(played(PublishMode::DualWrite, AckTiming::BeforeSave), [first, out]);
    assert_eq!(played(PublishMode::Outbox, AckTiming::AfterSave), [first, out]);
}

#[test]
fn what_a_process_was_slow_to_publish_dies_with_it_and_what_a_relay_was_does_not() {
    let late = format!("slow publish of {ANN} until {BOB}");
    let crash = format!("crash shop before save of {BOB}");
    let said = |mode| {
        let played = play(&simulation(mode, Relay::AnyOrder, SEVERAL), &[&late, &crash]).0;
        played.iter().any(|step| step.contains("says item:changed i1@0"))
    };
    assert!(!said(PublishMode::DualWrite));
    assert!(said(PublishMode::Outbox));
    // It crashes when it has published.
    assert_played(
        &dual_write(),
        &[&late, &format!("crash shop before ack of {ANN}")],
        &[
            "ann: change i1 to 1, slow publish, crash before ack saves i1@0",
            "bob: change i1 to 2 saves i1@1 says item:changed i1@1",
            "publish of ann: change i1 to 1, crash before ack says item:changed i1@0",
            "item:changed i1@1 saves i1@0 says item:changed i9@1",
            "item:changed i1@0 saves i1@1 says item:changed i9@0",
        ],
    );
}

#[test]
fn a_handler_that_paused_is_slow_to_publish_as_well() {
    assert_played(
        &dual_write(),
        &[&format!("pause {ANN} until {BOB}"), &format!("slow publish of {ANN} until {CREATED}")],
        &[
            "ann: change i1 to 1, paused after read, slow publish",
            "bob: change i1 to 2 saves i1@0 says item:changed i1@0",
            "resume ann: change i1 to 1, paused after read, slow publish saves i1@0",
            "item:changed i1@0 saves i1@0 says item:changed i9@0",
            "publish of ann: change i1 to 1 says item:changed i1@0/2",
            "item:changed i1@0/2 saves i1@1 says item:changed i9@0/2",
        ],
    );
}

#[test]
fn what_is_published_twice_behind_a_relay_that_lags_is_a_retry_of_its_publisher() {
    let lines = [format!("slow publish of {ANN} until {BOB}"), format!("publish twice {BOB}")];
    let schedule = lines.iter().map(|line| line.parse().expect("a departure")).collect();
    let simulation = simulation(PublishMode::Outbox, Relay::InOrder, SEVERAL);
    let (mut world, nobody) = (simulation.world(), Judges::new(Vec::new()));
    pellmell::run::run(&mut world, &mut Departing::new(schedule), &nobody, Limits::default(), &mut ());
    let messages = world.broker().messages().iter().filter(|message| message.name.record == ITEM);
    let told: Vec<(String, bool)> = messages.map(|message| (message.name.to_string(), message.is_retry)).collect();
    let name = |text: &str, is_retry| (text.to_owned(), is_retry);
    let names = [name("item:changed i1@0", false), name("item:changed i1@1", false), name("item:changed i1@1/2", true)];
    assert_eq!(told, names);
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let late = format!("slow publish of {ANN} until quiescence");
    let refused = |mode, hosting, line: &str| {
        let (simulation, line) = (simulation(mode, Relay::InOrder, hosting), line.to_owned());
        let judges = agree();
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pellmell::testing::replay(&simulation, &[&line], &judges);
        }));
        *told.expect_err("it is refused").downcast::<String>().expect("a text")
    };
    let before = refused(PublishMode::BeforeSave, SEVERAL, &late);
    assert!(before.contains("it publishes before it saves"), "{before}");
    let alone = refused(PublishMode::DualWrite, Hosting::ALONE, &late);
    assert!(alone.contains("it has one member, which handles one at a time"), "{alone}");
    let (_, came) = play(&dual_write(), &["slow publish of item:changed i9@0 -> search until quiescence"]);
    assert_eq!(came, [DepartureOutcome::NothingPublished]);
}

#[test]
fn any_run_is_extracted_exactly() {
    let rate = Rate::of(Ratio::new(1, 3));
    let plan = FaultPlan { slow_publish: rate, crash: rate, delay_ack: rate, lose_ack: rate, ..FaultPlan::SOME };
    for simulation in [
        dual_write(),
        simulation(PublishMode::Outbox, Relay::InOrder, SEVERAL),
        simulation(PublishMode::Outbox, Relay::AnyOrder, SEVERAL),
    ] {
        let mut late = 0;
        for seed in 0..200 {
            let keyed = Keyed::new(seed, FaultPlan { pause: rate, ..plan });
            let extracted = extract(&simulation, keyed, &Judges::new(Vec::new()), Limits::default(), Tie::InOrder);
            let extracted = extracted.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            late += extracted.report.counts.slow_publishes;
        }
        assert!(late > 20, "{late}");
    }
}

#[test]
fn runs_on_the_engines_of_brokers_come_to_rest() {
    let rate = Rate::of(Ratio::new(1, 3));
    let plan = FaultPlan { slow_publish: rate, change: rate, fetch: rate, republish: rate, ..FaultPlan::SOME };
    for name in ["kafka", "rabbitmq-classic", "sqs-fifo"] {
        let Some(profile) = Profile::named(name) else { continue };
        for mode in [PublishMode::DualWrite, PublishMode::Outbox] {
            let on = Simulation::on(profile.clone()).client("ann", vec![change(1)]).client("bob", vec![change(2)]);
            let simulation = on.hosted(shop(mode, Relay::InOrder), SEVERAL).hosted(search(mode), SEVERAL);
            let simulation = simulation.build().expect("the parts fit");
            for seed in 0..100 {
                let (mut world, nobody) = (simulation.world(), Judges::new(Vec::new()));
                let limits = Limits { steps_max: 2_000, ..Limits::default() };
                let mut keyed = Keyed::new(seed, plan);
                let report = pellmell::run::run(&mut world, &mut keyed, &nobody, limits, &mut ());
                assert!(report.verdict.is_held(), "{name}, {mode:?}, seed {seed}: {:?}", report.verdict);
            }
        }
    }
}

#[test]
fn recorded_steps_of_it_are_played_again() {
    let plan = FaultPlan { slow_publish: Rate::of(Ratio::new(1, 3)), ..FaultPlan::SOME };
    let nobody = Judges::new(Vec::new());
    let steps_of = |scheduler: &mut dyn Scheduler| {
        let mut naming = Naming::default();
        pellmell::run::run(&mut dual_write().world(), scheduler, &nobody, Limits::default(), &mut naming);
        naming.into_steps()
    };
    for seed in 0..100 {
        let steps = steps_of(&mut Keyed::new(seed, plan));
        let texts = steps.iter().map(|step| step.to_string().parse::<NamedStep>().expect("a step"));
        assert_eq!(steps_of(&mut Replayed::new(texts.collect())), steps, "seed {seed}");
    }
}

#[test]
fn a_scenario_file_asks_for_it() {
    let text = |faults: &str| {
        let client = "[[client]]\nname = \"alice\"\ncommands = [{ create_ticket = { ticket = \"t1\", price = 5 } }]";
        format!("version = 1\nabout = \"a test\"\n[faults]\n{faults}\n{client}")
    };
    let parsed = |faults| Scenario::parse("slow.toml", &text(faults)).map_err(|error| error.to_string());
    let plan = parsed("slow_publish = \"1/5\"\nslow_publish_most = 2").expect("a scenario").faults;
    assert_eq!(plan.slow_publish, Rate { ratio: Ratio::new(1, 5), most: 2 });
    let error = parsed("slow_publish = \"6/5\"").expect_err("more than always");
    assert!(error.contains("slow.toml:4:16"), "{error}");
}

#[test]
fn a_hold_sweep_finds_it_shrinking_keeps_it_and_it_is_explained() {
    let (simulation, judges) = (dual_write(), agree());
    let plan = FaultPlan { slow_publish: Rate::of(Ratio::new(1, 5)), ..FaultPlan::NONE };
    let swept = HoldSweep::new(&simulation, &judges).with_faults(plan).run();
    let first = swept.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let late = format!("slow publish of {ANN} until quiescence");
    assert_eq!(first.departures.iter().map(ToString::to_string).collect::<Vec<_>>(), [&*late]);
    let none = HoldSweep::new(&simulation, &judges).with_faults(FaultPlan::SOME).run();
    assert!(
        none.buckets.values().all(|bucket| bucket.departures.iter().all(|one| !one.to_string().starts_with("slow")))
    );
    let schedule =
        |lines: &[&str]| lines.iter().map(|line| line.parse().expect("a departure")).collect::<Vec<Departure>>();
    let failing = schedule(&[&format!("slow publish of {ANN} until {BOB}"), &format!("duplicate {CREATED}")]);
    let shrunk = Shrink::new(&simulation, &judges).run(failing.clone()).expect("it fails");
    assert_eq!(shrunk.departures, schedule(&[&late]), "{shrunk}");
    assert_eq!(FaultPlan::of_schedule(&shrunk.departures, plan.slow_publish), plan);
    let told = Explain::new(&simulation, &judges).run(&shrunk).expect("it is small").to_string();
    let sentence =
        "The handler of `ann: change i1 to 1` is done at step 1, and `item:changed i1@0` is published only at";
    assert!(told.contains(sentence), "{told}");
}
