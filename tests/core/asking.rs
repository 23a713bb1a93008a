//! Handlers that ask other services, and what those answer: what is there, what was there, or nothing.

use crate::shop::same_price;
use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::schedule::Departure;
use pellmell::scheduler::{Departing, Tie};
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, Most, Reduction};
use pellmell::shrink::Shrink;
use pellmell::simulation::SimulationBuilder;
use pellmell::testing::{Closures, at_quiescence, replay, service};
use pellmell::trace::Recorder;
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Moment, NoAnswer, Outcome, Profile, Rate, Ratio, RecordId, Rejection,
    Sending, Simulation, Subject, Timer, VersionPolicy, Violation,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: Subject = Subject::new("item:changed");
const ANN: &str = "ann: change i1 to 1";
const CREATED: &str = "item:changed i1@0 -> search";
const UPDATED: &str = "item:changed i1@1 -> search";
const OVERLAPPING: Hosting = Hosting { overlapping: true, ..Hosting::ALONE };

/// A shop that saves a price and says that something has changed.
fn shop() -> Closures<Shop> {
    service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).on_command(|change, ctx| {
        let held = ctx.store.find::<Item>(change.item).map(|item| item.version);
        let version = ctx.store.overwrite(change.item, Item { price: change.price }, held);
        ctx.publish(Changed { item: change.item, version, price: 0 });
        Ok(())
    })
}

/// A search that asks the shop for what has changed, and keeps what it is told; if it is told nothing of use, it does
/// this.
fn search(otherwise: fn(Result<(), NoAnswer>) -> Outcome) -> Closures<Shop> {
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).asking(&["shop"]);
    search.on_event(const { &[CHANGED] }, move |event, ctx| match ctx.ask::<Item>("shop", event.item) {
        Ok(Some(item)) => {
            ctx.store.overwrite(event.item, item.value.clone(), None);
            Outcome::Ack
        }
        Ok(None) => otherwise(Ok(())),
        Err(error) => otherwise(Err(error)),
    })
}

fn acks(_: Result<(), NoAnswer>) -> Outcome {
    Outcome::Ack
}

fn naks(told: Result<(), NoAnswer>) -> Outcome {
    match told {
        Ok(()) => Outcome::nak("not there"),
        Err(_) => Outcome::nak("no answer"),
    }
}

fn change(price: u32) -> Change {
    Change { item: ITEM, price }
}

fn on(prices: &[u32]) -> SimulationBuilder<Shop> {
    let changes = prices.iter().map(|price| change(*price)).collect();
    Simulation::on(Profile::adversarial()).client("ann", changes)
}

fn simulation(prices: &[u32], search: Closures<Shop>, hosting: Hosting) -> Simulation<Shop> {
    on(prices).service(shop()).hosted(search, hosting).build().expect("the parts fit")
}

fn departures(lines: &[&str]) -> Vec<Departure> {
    lines.iter().map(|line| line.parse().expect("a departure")).collect()
}

/// What the steps of a run at search were told and did.
fn at_search(simulation: &Simulation<Shop>, lines: &[&str]) -> Vec<String> {
    let (mut scheduler, mut recorder) = (Departing::new(departures(lines)), Recorder::default());
    let nobody = Judges::new(Vec::new());
    pellmell::run::run(&mut simulation.world(), &mut scheduler, &nobody, Limits::default(), &mut recorder);
    let records = recorder.into_records().into_iter().filter(|record| record.service.as_deref() == Some("search"));
    let steps = records.map(|record| {
        let saved = record.saved.iter().map(|row| format!(" saves {}", row.fields["price"]));
        let faults = record.faults.iter().map(|fault| format!(", {fault}"));
        let answer = record.answer.iter().map(|answer| format!(": {answer}"));
        let asked = record.asked.iter().map(|asked| format!(" asks {asked}"));
        let action = record.action.replace("item:changed ", "").replace(" -> search", "").replace("deliver ", "");
        std::iter::once(action).chain(faults).chain(answer).chain(asked).chain(saved).collect::<String>()
    });
    steps.collect()
}

#[test]
fn a_handler_is_told_what_is_there_or_what_was_before_its_last_save_or_nothing() {
    let simulation = simulation(&[1, 2], search(naks), Hosting::ALONE);
    // By then the shop has saved both.
    let told = |line: &str| at_search(&simulation, &["hold ann: change i1 to 2 until quiescence", line]);
    let [first, second] = ["i1@0 #1: ack asks shop: i1@0 saves 1", "i1@1 #1: ack asks shop: i1@1 saves 2"];
    assert_eq!(told("hold ann: change i1 to 1 until quiescence"), [first, second]);
    let stale = told(&format!("stale answer to {CREATED}"));
    let none = "i1@0 #1, stale answer: nak: not there asks shop: no i1 (stale: i1@0)";
    assert_eq!(stale, [none, "i1@0 #2: ack asks shop: i1@0 saves 1", second]);
    let stale = told(&format!("stale answer to {UPDATED}"));
    assert_eq!(stale, [first, "i1@1 #1, stale answer: ack asks shop: i1@0 (stale: i1@1) saves 1"]);
    let missing = told(&format!("no answer to {UPDATED}"));
    let again = "i1@1 #2: ack asks shop: i1@1 saves 2";
    assert_eq!(missing, [first, "i1@1 #1, no answer: nak: no answer asks shop: no answer", again]);
}

#[test]
fn what_a_service_began_with_has_no_older_state() {
    let seeded = |store: &mut pellmell::Store| {
        store.insert(ITEM, Item { price: 7 }).expect("nothing is there");
    };
    let on = on(&[8]).service(shop()).service(search(naks)).seeded("shop", seeded);
    let stale = format!("stale answer to {UPDATED}");
    let told = at_search(&on.build().expect("the parts fit"), &[&stale]);
    assert_eq!(told, ["i1@1 #1, stale answer: ack asks shop: i1@0 (stale: i1@1) saves 7"]);
}

#[test]
fn a_handler_that_pauses_is_told_what_was_there_when_it_read() {
    let patient = Profile { ack_wait: Vec::new(), ..Profile::stan() };
    let on = Simulation::on(patient).client("ann", vec![change(1), change(2)]).service(shop());
    let simulation = on.hosted(search(naks), OVERLAPPING).build().expect("the parts fit");
    let pause = format!("pause {CREATED} until {UPDATED}");
    let meanwhile = format!("hold ann: change i1 to 2 until pause of {CREATED}");
    let told = |more: &str| at_search(&simulation, &[&pause, &meanwhile, more]);
    let now = told(&format!("lose ack of {CREATED}"));
    let resumed = "resume i1@0 #1, ack lost, paused after read: ack asks shop: i1@0 saves 1";
    assert_eq!(now[1..3], ["i1@1 #1: ack asks shop: i1@1 saves 2", resumed]);
    let stale = told(&format!("stale answer to {CREATED}"));
    let resumed = "resume i1@0 #1, paused after read, stale answer: nak: not there asks shop: no i1 (stale: i1@0)";
    assert_eq!(stale[2], resumed);
}

#[test]
fn commands_and_timers_ask_as_well() {
    let audit = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).asking(&["stock"]);
    let audit = audit.on_command(|change, ctx| {
        ctx.arm_timer(Timer::of(change.item, pellmell::Time(5)));
        match ctx.ask_all::<Stock>("stock") {
            Ok(all) if all.len() == 1 => Ok(()),
            Ok(_) => Err(Rejection { status: 409, reason: "sold out" }),
            Err(NoAnswer) => Err(Rejection { status: 503, reason: "no answer" }),
        }
    });
    let audit = audit.on_timer(|timer, ctx| {
        let price = ctx.ask::<Stock>("stock", RecordId::new('s', 1)).map_or(9, |row| row.map_or(0, |row| row.value.0));
        ctx.store.overwrite(timer.record(), Item { price }, None);
    });
    let stock = service::<Shop>("stock").keeps::<Stock>(VersionPolicy::EVERY_SAVE);
    let on = Simulation::on(Profile::adversarial()).service(audit).service(stock).seeded("stock", |store| {
        store.insert(RecordId::new('s', 1), Stock(3)).expect("nothing is there");
    });
    let simulation = on.client("ann", vec![change(1)]).build().expect("the parts fit");
    let played = |lines: &[&str]| {
        let (mut scheduler, mut recorder) = (Departing::new(departures(lines)), Recorder::default());
        let nobody = Judges::new(Vec::new());
        pellmell::run::run(&mut simulation.world(), &mut scheduler, &nobody, Limits::default(), &mut recorder);
        let steps = recorder.into_records().into_iter();
        steps.map(|step| (step.answer.unwrap_or_default(), step.asked.join(", "))).collect::<Vec<_>>()
    };
    let told = |answer: &str, asked: &str| (answer.to_owned(), asked.to_owned());
    assert_eq!(played(&[]), [told("accepted", "stock: 1 stock"), told("done", "stock: s1@0")]);
    assert_eq!(played(&["no answer to ann: change i1 to 1"])[0], told("rejected 503: no answer", "stock: no answer"));
    assert_eq!(played(&["no answer to timer i1 of shop"])[1], told("done", "stock: no answer"));
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
struct Stock(u32);

impl pellmell::Record for Stock {
    const COLLECTION: &'static str = "stock";
    const KIND: char = 's';
}

#[test]
fn a_handler_that_came_too_early_is_tried_again_when_what_it_asked_has_changed() {
    // It says that something has changed, and saves it only on its next command.
    let hasty = service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).on_command(|change, ctx| {
        match change.price {
            0 => ctx.publish(Changed { item: change.item, version: pellmell::Version(0), price: 0 }),
            price => drop(ctx.store.insert(change.item, Item { price })),
        }
        Ok(())
    });
    let on = on(&[0, 1]).service(hasty).service(search(|_| Outcome::Silent("not there")));
    let told = at_search(&on.build().expect("the parts fit"), &[]);
    assert_eq!(told, ["i1@0 #1: silent: not there asks shop: no i1", "i1@0 #2: ack asks shop: i1@0 saves 1"]);
}

#[test]
fn a_command_that_was_refused_for_what_another_service_says_is_sent_again_when_that_has_changed() {
    let desk = service::<Shop>("shop").asking(&["search"]).owns::<Item>(VersionPolicy::EVERY_SAVE);
    let desk = desk.on_command(|change, ctx| {
        if change.price == 1 {
            ctx.publish(Changed { item: change.item, version: pellmell::Version(0), price: 1 });
            return Ok(());
        }
        match ctx.ask::<Item>("search", change.item) {
            Ok(Some(_)) => Ok(()),
            _ => Err(Rejection { status: 404, reason: "not there" }),
        }
    });
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(const { &[CHANGED] }, |event, ctx| {
        ctx.store.overwrite(event.item, Item { price: event.price }, None);
        Outcome::Ack
    });
    let on = Simulation::on(Profile::adversarial()).service(desk).service(search);
    let on =
        on.client("ann", vec![Sending::of(change(1))]).client("bob", vec![Sending::of(change(2)).until_accepted()]);
    let simulation = on.build().expect("the parts fit");
    let play = |lines: &[&str]| {
        let (mut world, nobody) = (simulation.world(), Judges::new(Vec::new()));
        let mut scheduler = Departing::new(departures(lines));
        pellmell::run::run(&mut world, &mut scheduler, &nobody, Limits::default(), &mut ());
        (world.waiting_clients().len(), world.steps())
    };
    let late = "hold item:changed i1@0 -> search until bob: change i1 to 2";
    assert_eq!(play(&[late]), (0, 4), "refused, delivered, accepted");
    assert_eq!(play(&[late, "no answer to bob: change i1 to 2 #2"]), (0, 5));
}

#[test]
fn who_asks_whom_is_said_and_looked_at_when_the_simulation_is_built() {
    let refused = |asks: &'static [&'static str]| {
        let on = on(&[1]).service(shop()).service(search(acks).asking(asks));
        on.build().err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&["shopp"]), "service `search` asks `shopp`, which is no service: did you mean `shop`?");
    assert_eq!(refused(&["search"]), "service `search` asks itself: what it holds is in `Context::store`");
    let panics = |ask: fn(&mut pellmell::Context<'_, Shop>)| {
        let asking = service::<Shop>("asking").asking(&["shop"]).on_event(const { &[CHANGED] }, move |_, ctx| {
            ask(ctx);
            Outcome::Ack
        });
        let simulation = on(&[1]).service(shop()).service(asking).build().expect("the parts fit");
        let nobody = Judges::new(Vec::new());
        let report = pellmell::run::run(
            &mut simulation.world(),
            &mut Departing::new(Vec::new()),
            &nobody,
            Limits::default(),
            &mut (),
        );
        format!("{:?}", report.verdict)
    };
    let unnamed = panics(|ctx| assert!(ctx.ask::<Item>("search", ITEM).is_ok()));
    assert!(
        unnamed.contains("a handler asks `search`, which its service does not name: add it to `Service::asks`"),
        "{unnamed}"
    );
    let undeclared = panics(|ctx| assert!(ctx.ask::<Stock>("shop", RecordId::new('s', 1)).is_ok()));
    assert!(undeclared.contains("`shop` has no collection of stock"), "{undeclared}");
}

#[test]
fn a_departure_that_misled_nobody_is_told() {
    let notes = |simulation: &Simulation<Shop>, line: &str| {
        let fine = at_quiescence("Fine", |_: &Moment<'_, Shop>| Ok(()));
        let replayed = replay(simulation, &[line], &Judges::new(vec![fine]));
        replayed.notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let plain = simulation(&[1], search(naks), Hosting::ALONE);
    assert_eq!(notes(&plain, &format!("stale answer to {CREATED}")), Vec::<String>::new());
    // The shop's own handlers ask nobody.
    let told = || notes(&plain, &format!("stale answer to {ANN}"));
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(told));
    let refused = *refused.expect_err("it is refused").downcast::<String>().expect("a text");
    assert!(refused.contains("handlers of `shop` ask no other service (`Service::asks`)"), "{refused}");
    let silent = service::<Shop>("search").asking(&["shop"]).on_event(const { &[CHANGED] }, |_, _| Outcome::Ack);
    let silent = notes(&simulation(&[1], silent, Hosting::ALONE), &format!("no answer to {CREATED}"));
    assert_eq!(silent, [format!("unused-departure no answer to {CREATED}: its handler asked no other service")]);
    let other = service::<Shop>("search").asking(&["shop"]).on_event(const { &[CHANGED] }, |_, ctx| {
        assert!(ctx.ask::<Item>("shop", RecordId::new('i', 2)).is_ok());
        Outcome::Ack
    });
    let same = notes(&simulation(&[1], other, Hosting::ALONE), &format!("stale answer to {CREATED}"));
    let why = "what its handler asked for was the same before it was last saved";
    assert_eq!(same, [format!("unused-departure stale answer to {CREATED}: {why}")]);
}

const EACH: Rate = Rate::of(Ratio::new(1, 4));

fn plan() -> FaultPlan {
    FaultPlan { stale_answer: EACH, no_answer: EACH, ..FaultPlan::NONE }
}

#[test]
fn a_hold_sweep_finds_what_a_stale_answer_does_and_it_is_shrunk_and_explained() {
    let simulation = simulation(&[1, 2], search(naks), Hosting::ALONE);
    let judges = same_price(ITEM);
    let swept = |plan| HoldSweep::new(&simulation, &judges).with_faults(plan).run();
    let result = swept(plan());
    let first = result.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let stale = format!("stale answer to {UPDATED}");
    assert_eq!(first.departures, departures(&[&stale]));
    assert_eq!(FaultPlan::of_schedule(&first.departures, EACH), FaultPlan { no_answer: Rate::NEVER, ..plan() });
    assert!(swept(FaultPlan::SOME).buckets.is_empty(), "only who asks for it gets it");
    let shrunk = Shrink::new(&simulation, &judges).run(departures(&[&stale, "hold join of search until quiescence"]));
    let shrunk = shrunk.expect("it fails");
    let told = Explain::new(&simulation, &judges).run(&shrunk).expect("it is small").to_string();
    let sentence = "asks and gets a stale answer: `shop: ";
    assert!(told.contains(sentence) && told.contains("stale answer to item:changed"), "{told}");
}

#[test]
fn in_the_sweep_only_what_asks_is_misled() {
    let lines = |simulation: &Simulation<Shop>| {
        let judges = Judges::new(Vec::new());
        let sweep = HoldSweep::new(simulation, &judges).with_faults(plan()).within(1, u64::MAX);
        sweep.run().singles.all
    };
    let held = |simulation: &Simulation<Shop>| {
        HoldSweep::new(simulation, &Judges::new(Vec::new())).with_faults(FaultPlan::NONE).run().singles.all
    };
    let asking = simulation(&[1, 2], search(naks), Hosting::ALONE);
    assert_eq!(lines(&asking), held(&asking) + 2 * 2, "two deliveries, told otherwise or nothing");
    let silent = service::<Shop>("search").asking(&["shop"]).on_event(const { &[CHANGED] }, |_, _| Outcome::Ack);
    let silent = simulation(&[1, 2], silent, Hosting::ALONE);
    assert_eq!(lines(&silent), held(&silent));
}

#[test]
fn runs_that_draw_it_are_extracted_and_replayed_exactly_and_say_how_often_it_happened() {
    let plan = FaultPlan { pause: EACH, crash: EACH, lose_ack: EACH, ..plan() };
    let (mut stale, mut missing) = (0, 0);
    for hosting in [Hosting::ALONE, OVERLAPPING] {
        let simulation = simulation(&[1, 2, 3], search(naks), hosting);
        for seed in 0..200 {
            let nobody = Judges::new(Vec::new());
            let extracted = extract(&simulation, Keyed::new(seed, plan), &nobody, Limits::default(), Tie::InOrder);
            let counts = extracted.unwrap_or_else(|error| panic!("seed {seed}: {error}")).report.counts;
            (stale, missing) = (stale + counts.stale_answers, missing + counts.no_answers);
        }
    }
    assert!(stale > 20 && missing > 20, "{stale} {missing}");
}

/// A search that saves only what it can ask for, and clients whose records never meet.
#[test]
fn a_complete_search_finds_what_depends_on_when_a_handler_asks() {
    // What search copies is what the shop has when it asks: late messages are no harm, lost order is none either.
    let bounds = Bounds { lost_acks: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    let judges = same_price(ITEM);
    let held = simulation(&[1, 2], search(naks), Hosting::ALONE);
    let result = Exhaust::new(&held, &judges).with_bounds(bounds).run();
    assert!(result.is_complete(), "{result}");
    // With a pause between question and save it is told what was there before.
    let overlapping = simulation(&[1, 2], search(naks), OVERLAPPING);
    let bounds = Bounds { pauses: Most::Of(1), ..Bounds::of(DeliveryOrder::Any) };
    let result = Exhaust::new(&overlapping, &judges).with_bounds(bounds).run();
    assert!(result.failing.is_some(), "{result}");
}

#[test]
fn clients_of_other_records_are_not_searched_apart_where_services_ask() {
    // Search asks for the other item, so the clients' order matters although their records never meet.
    let curious = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).asking(&["shop"]);
    let curious = curious.on_event(const { &[CHANGED] }, |event, ctx| {
        let other = RecordId::new('i', 3 - event.item.number());
        let price = ctx.ask::<Item>("shop", other).map_or(0, |item| item.map_or(0, |item| item.price));
        ctx.store.overwrite(event.item, Item { price }, None);
        Outcome::Ack
    });
    let clients = Simulation::on(Profile::adversarial()).service(shop()).service(curious);
    let clients =
        clients.client("ann", vec![change(1)]).client("bob", vec![Change { item: RecordId::new('i', 2), price: 2 }]);
    let simulation = clients.build().expect("the parts fit");
    let blind = Judges::new(vec![at_quiescence("NeverBoth", |moment: &Moment<'_, Shop>| {
        let price = |number| moment.store_of("search").find::<Item>(RecordId::new('i', number)).map(|item| item.price);
        match (price(1), price(2)) {
            (Some(2), Some(1)) => Err(Violation::at("search").because("each knows the other")),
            _ => Ok(()),
        }
    })]);
    let result = Exhaust::new(&simulation, &blind).with_bounds(Bounds::of(DeliveryOrder::Any)).run();
    assert_eq!(result.reduction, Reduction::Refused("services ask each other, whatever the record"));
    assert!(result.failing.is_some(), "{result}");
}
