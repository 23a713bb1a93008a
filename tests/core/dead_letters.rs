//! What a group was sent too often goes to a subject for dead letters, to which services listen as to any other.

use pellmell::doc_example::{Change, Changed, Item, Shop};
use pellmell::engine;
use pellmell::explain::{Explain, NotExplained};
use pellmell::scheduler::Departing;
use pellmell::search::HoldSweep;
use pellmell::simulation::SimulationBuilder;
use pellmell::testing::{at_quiescence, service};
use pellmell::trace::Recorder;
use pellmell::{
    Context, Departure, FaultPlan, Hosting, Judges, Limits, Moment, Outcome, Outside, Profile, Rate, Ratio, RecordId,
    Simulation, Subject, Verdict, VersionPolicy, Violation,
};
use serde_json::json;

const CHANGED: &[Subject] = &[Subject::new("item:changed")];
const DEAD: &[Subject] = &[Subject::new("search:dead")];
const BOTH: &[Subject] = &[Subject::new("item:changed"), Subject::new("search:dead")];

/// A broker that gives up after two deliveries and keeps what it gave up.
fn giving_up(name: &str) -> Profile {
    let broker = engine::Profile::named(name).expect("a broker of that name");
    let with = broker.with("deliveries", json!(2)).and_then(|broker| broker.with("then", json!("dead-letter")));
    Profile::of(&with.expect("it has these settings"))
}

/// Keeps the price of an item as it is told.
fn keep(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    ctx.store.overwrite(event.item, Item { price: event.price }, None);
    Outcome::Ack
}

/// A shop whose search refuses prices above 10, for good; its dead letters go to [`DEAD`].
fn shop(profile: Profile) -> SimulationBuilder<Shop> {
    let shop = crate::shop::shop();
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search = search.on_event(CHANGED, |event, ctx| match event.price {
        11.. => Outcome::nak("too dear"),
        _ => keep(event, ctx),
    });
    let dead_letters = Some(DEAD[0]);
    let on = Simulation::on(profile).service(shop).hosted(search, Hosting { dead_letters, ..Hosting::ALONE });
    let change = |price| Change { item: RecordId::new('i', 1), price };
    on.client("ann", vec![change(12), change(5)])
}

/// What is handed out in the calm run, and what the handlers answer.
fn handled(simulation: &Simulation<Shop>) -> Vec<String> {
    let (mut scheduler, mut recorder) = (Departing::new(Vec::new()), Recorder::default());
    let judges = Judges::new(Vec::new());
    pellmell::run::run(&mut simulation.world(), &mut scheduler, &judges, Limits::default(), &mut recorder);
    let records = recorder.into_records().into_iter();
    let delivered = records.filter_map(|record| Some((record.action.strip_prefix("deliver ")?.to_owned(), record)));
    delivered.map(|(what, record)| format!("{what}: {}", record.answer.unwrap_or_default())).collect()
}

#[test]
fn a_dead_letter_is_a_message_on_a_subject_of_its_own_on_every_broker_that_gives_up() {
    for name in ["jetstream", "rabbitmq-quorum", "kafka-share", "sqs-standard", "sqs-fifo", "servicebus", "sns"] {
        let janitor = service::<Shop>("janitor").on_event(DEAD, move |event, ctx| {
            assert_eq!((ctx.subject(), ctx.attempt(), event.price), (Some(DEAD[0]), 1, 12), "on {name}");
            Outcome::Ack
        });
        let simulation = shop(giving_up(name)).service(janitor).build().expect("the parts fit");
        let mut handled = handled(&simulation);
        handled.sort();
        let expected = [
            "item:changed i1@0 -> search #1: nak: too dear",
            "item:changed i1@0 -> search #2: nak: too dear",
            "item:changed i1@1 -> search #1: ack",
            "search:dead i1@0 -> janitor #1: ack",
        ];
        assert_eq!(handled, expected, "on {name}");
    }
}

#[test]
fn a_group_may_listen_to_its_own_dead_letters_and_gives_those_up_in_turn() {
    let again = service::<Shop>("again").on_event(BOTH, |_, _| Outcome::nak("never"));
    let hosting = Hosting { dead_letters: Some(DEAD[0]), ..Hosting::ALONE };
    for name in ["kafka-share", "sqs-fifo"] {
        let again = service::<Shop>("again").on_event(BOTH, |_, ctx| match ctx.subject() {
            Some(subject) if subject == DEAD[0] => Outcome::Ack,
            _ => Outcome::nak("not here"),
        });
        let simulation = shop(giving_up(name)).hosted(again, hosting.clone()).build().expect("the parts fit");
        let mut on_dead = handled(&simulation);
        on_dead.retain(|line| line.contains("search:dead"));
        on_dead.sort();
        let expected = [
            "search:dead i1@0 -> again #1: ack",
            "search:dead i1@0/2 -> again #1: ack",
            "search:dead i1@1 -> again #1: ack",
        ];
        assert_eq!(
            {
                let mut sorted = on_dead;
                sorted.sort();
                sorted
            },
            expected,
            "on {name}"
        );
    }
    // What nobody ever takes dies again and again, until the run is ended: a verdict, and no hang.
    let simulation = shop(giving_up("kafka-share")).hosted(again, hosting).build().expect("the parts fit");
    let limits = Limits { messages_max: 50, ..Limits::default() };
    let (mut scheduler, judges) = (Departing::new(Vec::new()), Judges::new(Vec::new()));
    let report = pellmell::run::run(&mut simulation.world(), &mut scheduler, &judges, limits, &mut ());
    assert!(matches!(report.verdict, Verdict::Stuck { .. }), "{:?}", report.verdict);
}

/// The broker gives up at the second attempt and nothing else goes wrong.
fn small() -> Profile {
    let mut profile = giving_up("kafka-share");
    profile.ack_wait = vec![std::time::Duration::ZERO];
    profile
}

/// At rest search has the last price of the shop, which is none that dies.
fn latest() -> Judges<Shop> {
    Judges::new(vec![at_quiescence("Latest", |moment: &Moment<'_, Shop>| {
        let of = |service| moment.store_of(service).find::<Item>(RecordId::new('i', 1)).map(|item| item.price);
        match of("shop") != Some(5) || of("search") == Some(5) {
            true => Ok(()),
            false => Err(Violation::at("search").because("search has another price")),
        }
    })])
}

#[test]
fn an_old_event_that_is_taken_from_the_dead_letters_overwrites_what_came_after_it() {
    // As a redrive does: whoever listens publishes it again, for all.
    let with = |dear: u32| {
        let redrive = service::<Shop>("redrive").on_event(DEAD, move |event, ctx| {
            if event.price <= dear {
                ctx.publish(Changed { price: 9, ..event.clone() });
            }
            Outcome::Ack
        });
        shop(small()).service(redrive).build().expect("the parts fit")
    };
    let verdict = |dear| {
        let (judges, simulation) = (latest(), with(dear));
        // Weeks later, when a newer price has been there for long.
        let late = "hold search:dead i1@0 -> redrive until item:changed i1@1 -> search".parse().expect("a departure");
        let (mut scheduler, limits) = (Departing::new(vec![late]), Limits::default());
        let verdict = pellmell::run::run(&mut simulation.world(), &mut scheduler, &judges, limits, &mut ()).verdict;
        assert_eq!(scheduler.unused().count(), 0);
        verdict
    };
    assert!(verdict(11).is_held(), "{:?}", verdict(11));
    assert!(!verdict(12).is_held());
}

#[test]
fn a_sweep_puts_dead_letters_back_behind_what_came_after_them() {
    let broker = engine::Profile::named("servicebus").expect("it ships");
    let profile = Profile::driven(&broker.with("deliveries", json!(2)).expect("a limit"));
    // It takes an item at any price once it has it, and at first only a low one.
    let search = || {
        service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(CHANGED, |event, ctx| {
            let is_known = ctx.store.find::<Item>(event.item).is_some();
            if event.price > 10 && !is_known { Outcome::nak("too dear") } else { keep(event, ctx) }
        })
    };
    let change = |price| Change { item: RecordId::new('i', 1), price };
    let on = Simulation::on(profile).service(crate::shop::shop()).service(search());
    let simulation = on.client("ann", vec![change(12), change(5)]).build().expect("the parts fit");
    let judges = latest();
    let always = Rate::of(Ratio::new(1, 1));
    let swept = |faults| HoldSweep::new(&simulation, &judges).with_faults(faults).run();
    let held = swept(FaultPlan::NONE);
    assert!(
        held.buckets.is_empty(),
        "{:?}",
        held.buckets.values().map(|bucket| &bucket.departures).collect::<Vec<_>>()
    );
    let found = swept(FaultPlan { redrive: always, ..FaultPlan::NONE });
    let first = found.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let departures: Vec<String> = first.departures.iter().map(ToString::to_string).collect();
    assert_eq!(departures, ["redrive dead letters after item:changed i1@1 -> search"]);
    let explanation = Explain::new(&simulation, &judges).with_continuations(5);
    let explanation = explanation.departures(first.departures.clone()).expect("it fails and is small");
    assert_eq!(
        explanation.why.first().map(String::as_str),
        Some("After `item:changed i1@1 -> search` (step 5) the dead letters of search go back to it as new messages.")
    );
    // It is drawn as well.
    let faults = FaultPlan { redrive: always, ..FaultPlan::NONE };
    let explained = Explain::new(&simulation, &judges).with_continuations(5);
    assert!((0..20).any(|seed| explained.seed(seed, faults).is_ok()), "a seed finds it");
    // After what nothing has died before it does nothing, and that is said.
    let early: Departure = "redrive dead letters after item:changed i1@0 -> search".parse().expect("a departure");
    let shrunk = Explain::new(&simulation, &judges).departures(vec![early]).err();
    assert_eq!(shrunk, Some(NotExplained::Holds));
}

#[test]
fn a_sweep_forgets_the_counts_of_what_is_refused_and_it_is_delivered_once_more() {
    let broker = engine::Profile::named("kafka-share").expect("it ships");
    let profile = Profile::driven(&broker.with("deliveries", json!(2)).expect("a limit"));
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        ctx.outside(Outside::of("lookup", event.item));
        Outcome::nak("too dear")
    });
    let change = Change { item: RecordId::new('i', 1), price: 12 };
    let on = Simulation::on(profile).service(crate::shop::shop()).service(search);
    let simulation = on.client("ann", vec![change]).build().expect("the parts fit");
    let judges = Judges::new(vec![at_quiescence("LooksUpTwice", |moment: &Moment<'_, Shop>| {
        match moment.times_outside("lookup", RecordId::new('i', 1)) {
            0..=2 => Ok(()),
            _ => Err(Violation::at("search").because("it was looked up more often than it may be delivered")),
        }
    })]);
    let swept = |faults| HoldSweep::new(&simulation, &judges).with_faults(faults).run();
    assert!(swept(FaultPlan::NONE).buckets.is_empty());
    let found = swept(FaultPlan { forget_counts: Rate::of(Ratio::new(1, 1)), ..FaultPlan::NONE });
    let first = found.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found");
    let departures: Vec<String> = first.departures.iter().map(ToString::to_string).collect();
    assert_eq!(departures, ["forget counts after item:changed i1@0 -> search"]);
    let explanation = Explain::new(&simulation, &judges).with_continuations(5);
    let explanation = explanation.departures(first.departures.clone()).expect("it fails and is small");
    let why = "the broker fails over and has forgotten how often search was sent what is open, which counts from zero";
    assert!(explanation.why[0].contains(why), "{}", explanation.why[0]);
}

#[test]
fn dead_letters_are_refused_where_nothing_dies_or_nobody_knows_where_they_go() {
    let refused = |profile, hosting: Hosting, other: Option<Hosting>| {
        let search = |name: &'static str| service::<Shop>(name).on_event(CHANGED, keep);
        let on = Simulation::on(profile).hosted(search("search"), hosting);
        let on = other.into_iter().fold(on, |on, hosting| on.hosted(search("other"), hosting));
        on.build().err().map(|error| error.to_string()).unwrap_or_default()
    };
    let hosting = |subject| Hosting { dead_letters: Some(Subject::new(subject)), ..Hosting::ALONE };
    let of = |name| Profile::named(name).expect("a broker of that name");
    let alone = |profile| refused(profile, hosting("dead"), None);
    assert_eq!(
        alone(Profile::stan()),
        "dead letters: `stan` never gives a message up: set `max_deliver = 5`, or another number"
    );
    assert_eq!(
        alone(of("rabbitmq-quorum")),
        "dead letters: `rabbitmq-quorum` drops what was delivered too often: set `when_exhausted = \"dead-letter\"`"
    );
    assert_eq!(
        alone(of("sns")),
        "dead letters: `sns` drops what was delivered too often: set `then = \"dead-letter\"`"
    );
    assert!(alone(of("kafka")).contains("a handler can publish what it gives up"), "{}", alone(of("kafka")));
    assert_eq!(alone(of("servicebus")), "");
    let shared = |subject| Hosting { group: Some("all".to_owned()), ..hosting(subject) };
    let two = refused(of("servicebus"), shared("dead"), Some(shared("gone")));
    assert_eq!(two, "dead letters of the group `all` go to `dead`, or to `gone`: name one subject");
    assert_eq!(refused(of("servicebus"), shared("dead"), Some(shared("dead"))), "");
    let deaf = Simulation::on(of("servicebus")).hosted(service::<Shop>("deaf"), hosting("dead")).build();
    let error = deaf.err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(error, "dead letters of `deaf` on `dead`: it listens to nothing");
}
