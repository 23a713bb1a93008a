//! Services on a log that is compacted, or keeps nothing for longer than so: who waits for each version waits for ever,
//! and who takes what comes as the latest state misses nothing but what retention deletes.

use crate::shop::{same_price, shop};
use pellmell::doc_example::{Change, Item, Shop};
use pellmell::engine;
use pellmell::explain::Explain;
use pellmell::extract::extract;
use pellmell::schedule::Departure;
use pellmell::scheduler::Tie;
use pellmell::search::{Bounds, DeliveryOrder, Exhaust, HoldSweep, HoldSweepResult, Most};
use pellmell::shrink::Shrink;
use pellmell::testing::{Closures, service};
use pellmell::ticketing::Scenario;
use pellmell::{
    FaultPlan, Hosting, Judges, Keyed, Limits, Outcome, Profile, Rate, Ratio, RecordId, Simulation, Subject,
    VersionPolicy,
};

const ITEM: RecordId = RecordId::new('i', 1);
const CHANGED: &[Subject] = &[Subject::new("item:changed")];
const EACH: Rate = Rate::of(Ratio::new(1, 4));
const HELD: &str = "hold item:changed i1@0 -> search until quiescence";
const COMPACTED: &str = "compact log after item:changed i1@0 -> search";
const EXPIRED: &str = "expire log after item:changed i1@0 -> search";

/// A search that takes each version after the one before.
fn in_order() -> Closures<Shop> {
    service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|held| held.version);
        match held.map_or(0, |version| version.0 + 1) {
            next if next < event.version.0 => Outcome::nak("a version is missing"),
            next if next > event.version.0 => Outcome::Ack,
            _ => {
                ctx.store.overwrite(event.item, Item { price: event.price }, held);
                Outcome::Ack
            }
        }
    })
}

/// A search that takes what comes as the latest state.
fn latest() -> Closures<Shop> {
    service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE).on_event(CHANGED, |event, ctx| {
        let held = ctx.store.find::<Item>(event.item).map(|held| held.version);
        ctx.store.overwrite(event.item, Item { price: event.price }, held);
        Outcome::Ack
    })
}

fn on(profile: &str, search: Closures<Shop>, prices: u32) -> Simulation<Shop> {
    let changes = (1..=prices).map(|price| Change { item: ITEM, price }).collect();
    let on = Simulation::on(driven(profile)).service(shop()).service(search);
    on.client("ann", changes).build().expect("the parts fit")
}

fn departures(lines: &[&str]) -> Vec<Departure> {
    lines.iter().map(|line| line.parse().expect("a departure")).collect()
}

fn swept(simulation: &Simulation<Shop>, plan: FaultPlan) -> HoldSweepResult {
    HoldSweep::new(simulation, &same_price(ITEM)).with_faults(plan).run()
}

/// The departures of the first schedule that fails.
fn first(result: &HoldSweepResult) -> Vec<Departure> {
    result.buckets.values().min_by_key(|bucket| bucket.place).expect("it is found").departures.clone()
}

fn compacts() -> FaultPlan {
    FaultPlan { compact: EACH, ..FaultPlan::NONE }
}

fn expires() -> FaultPlan {
    FaultPlan { expire: EACH, ..FaultPlan::NONE }
}

#[test]
fn who_waits_for_each_version_is_stuck_behind_a_compaction_and_a_hold_sweep_finds_it() {
    for profile in ["kafka", "kafka-auto-commit", "kafka-cooperative", "jetstream-ordered"] {
        let result = swept(&on(profile, in_order(), 3), compacts());
        assert_eq!(first(&result), departures(&[HELD, COMPACTED]), "{profile}");
    }
    assert_eq!(FaultPlan::of_schedule(&departures(&[HELD, COMPACTED]), EACH), compacts());
    assert!(swept(&on("kafka", in_order(), 3), FaultPlan::SOME).buckets.is_empty(), "only who asks for it gets it");
}

#[test]
fn who_takes_the_latest_state_misses_nothing_by_a_compaction_and_something_by_retention() {
    for profile in ["kafka", "kafka-cooperative", "jetstream-ordered"] {
        let simulation = on(profile, latest(), 4);
        let result = swept(&simulation, compacts());
        assert!(result.buckets.is_empty(), "{profile}: {:?}", result.buckets);
    }
    // The offset is out of range, and the group goes on at the end.
    assert_eq!(first(&swept(&on("kafka", latest(), 3), expires())), departures(&[HELD, EXPIRED]));
    // Where it goes on with the next message, only the last one must not be deleted.
    assert_eq!(first(&swept(&on("jetstream-ordered", latest(), 2), expires())), departures(&[HELD, EXPIRED]));
}

#[test]
fn it_is_shrunk_and_explained() {
    let (simulation, judges) = (on("kafka", in_order(), 3), same_price(ITEM));
    let many = departures(&[HELD, COMPACTED, "fetch 1 with item:changed i1@2 -> search"]);
    let shrunk = Shrink::new(&simulation, &judges).run(many).expect("it fails");
    assert_eq!(shrunk.departures, departures(&[HELD, COMPACTED]));
    let told = Explain::new(&simulation, &judges).run(&shrunk).expect("it is small").to_string();
    assert!(told.contains("the log is compacted: of each key only the latest is left"), "{told}");
    let (simulation, lost) = (on("kafka", latest(), 3), departures(&[HELD, EXPIRED]));
    let shrunk = Shrink::new(&simulation, &judges).run(lost).expect("it fails");
    let told = Explain::new(&simulation, &judges).run(&shrunk).expect("it is small").to_string();
    assert!(told.contains("the broker deletes what it has kept for long enough"), "{told}");
}

#[test]
fn runs_that_draw_it_are_extracted_and_replayed_exactly_and_say_how_often_it_happened() {
    let plan = FaultPlan { pause: EACH, crash: EACH, lose_ack: EACH, fetch: EACH, change: EACH, ..expires() };
    let plan = FaultPlan { compact: EACH, ..plan };
    let (mut compactions, mut expirations) = (0, 0);
    for profile in ["kafka", "jetstream", "kafka-share", "jetstream-ordered"] {
        let changes = (1..=4).map(|price| Change { item: ITEM, price }).collect();
        let hosting = Hosting { members: 2, ..Hosting::ALONE };
        let on = Simulation::on(driven(profile));
        let on = on.service(shop()).hosted(latest(), hosting).client("ann", changes);
        let simulation = on.build().expect("the parts fit");
        for seed in 0..100 {
            let nobody = Judges::new(Vec::new());
            let extracted = extract(&simulation, Keyed::new(seed, plan), &nobody, Limits::default(), Tie::InOrder);
            let counts = extracted.unwrap_or_else(|error| panic!("{profile}, seed {seed}: {error}")).report.counts;
            compactions += counts.compactions;
            expirations += counts.expirations;
        }
    }
    assert!(compactions > 20 && expirations > 20, "{compactions} {expirations}");
}

/// The broker of that name as its engine plays it.
fn driven(name: &str) -> Profile {
    Profile::driven(&engine::Profile::named(name).expect("a broker of that name"))
}

#[test]
fn a_complete_search_finds_what_a_compaction_does() {
    let judges = same_price(ITEM);
    let bounds = Bounds { lost_messages: Most::Of(1), ..Bounds::of(DeliveryOrder::Broker) };
    let result = Exhaust::new(&on("kafka", in_order(), 3), &judges).with_bounds(bounds).run();
    assert!(result.failing.is_some(), "{result}");
    let bounds = Bounds { lost_messages: Most::NONE, ..bounds };
    let result = Exhaust::new(&on("kafka", in_order(), 3), &judges).with_bounds(bounds).run();
    assert!(result.is_complete() && result.failing.is_none(), "{result}");
}

const EDITS: &str = r#"
[[client]]
name = "alice"
commands = [
    { create_ticket = { ticket = "t1", price = 5 } },
    { edit_ticket = { ticket = "t1", price = 10 } },
    { edit_ticket = { ticket = "t1", price = 15 } },
]
"#;

fn scenario(profile: &str, top: &str, tables: &str) -> Result<Scenario, String> {
    scenario_of(EDITS, profile, top, tables)
}

fn scenario_of(clients: &str, profile: &str, top: &str, tables: &str) -> Result<Scenario, String> {
    let text = format!(
        "version = 1\nabout = \"a test\"\n{top}\n[broker]\nprofile = \"{profile}\"\nengine = true\n{tables}\n{clients}"
    );
    Scenario::parse("logs.toml", &text).map_err(|error| error.to_string())
}

/// What a scenario rests on that did not happen.
fn void(profile: &str, top: &str, tables: &str) -> Vec<String> {
    void_of(EDITS, profile, top, tables)
}

fn void_of(clients: &str, profile: &str, top: &str, tables: &str) -> Vec<String> {
    let scenario = scenario_of(clients, profile, top, tables).unwrap_or_else(|error| panic!("{error}"));
    let findings = scenario.vacuous_in(scenario.seed).expect("the parts fit");
    findings.void.iter().map(ToString::to_string).collect()
}

#[test]
fn what_a_log_could_not_be_without_is_said() {
    let schedule = |line: &str| format!("properties = [\"MonotoneReplica\"]\nschedule = [\"{line}\"]");
    let (first, last) = ("ticket:created t1@0 -> orders", "ticket:updated t1@2 -> orders");
    for (line, why) in [
        (format!("compact log after {first}"), "no message of its partition had a later one of the same key by then"),
        (format!("expire log after {last}"), "all groups had been sent all messages of its partition by then"),
        (format!("truncate log after {last}"), "all groups had been sent the last message by then"),
    ] {
        let told = void("kafka", &schedule(&line), "");
        assert!(told.iter().any(|told| told.contains(why) && told.contains(&line)), "{line}: {told:#?}");
    }
    assert_eq!(void("kafka", &schedule(&format!("compact log after {last}")), ""), [""; 0]);
    let faults = |fault: &str| format!("[faults]\n{fault} = \"1/2\"\nswarm = false\n");
    let told = void("sqs-standard", "", &faults("compact")).join("\n");
    assert!(told.contains("`sqs-standard` has no log that could be compacted"), "{told}");
    let told = void("rabbitmq-quorum", "", &faults("expire")).join("\n");
    assert!(told.contains("`rabbitmq-quorum` keeps a message until it is done with it"), "{told}");
}

#[test]
fn kafka_compacts_by_keys_and_a_stream_of_nats_by_keys_on_a_subject() {
    let lines =
        "\"hold ticket:created t1@0 -> orders until quiescence\", \"compact log after ticket:created t1@0 -> orders\"";
    let schedule = format!("properties = [\"MonotoneReplica\"]\nschedule = [{lines}]");
    let once = EDITS.replace("    { edit_ticket = { ticket = \"t1\", price = 15 } },\n", "");
    let void = |profile: &str| void_of(&once, profile, &schedule, "");
    // A creation has another subject than a change of the same ticket.
    assert_eq!(void("kafka"), [""; 0]);
    assert!(void("jetstream").join("\n").contains("had a later one of the same key"), "{:?}", void("jetstream"));
}

#[test]
fn a_schedule_is_refused_where_the_broker_has_no_such_log() {
    for (profile, line) in [("sqs-standard", "compact"), ("rabbitmq-quorum", "expire"), ("redis-streams", "compact")] {
        let schedule = format!("schedule = [\"{line} log after ticket:created t1@0 -> orders\"]");
        let refused = scenario(profile, &schedule, "").map(|_| ()).expect_err("it is refused");
        assert!(refused.contains("logs.toml:3:13") && refused.contains("log after"), "{refused}");
    }
    assert!(scenario("redis-streams", "schedule = [\"expire log after ticket:created t1@0 -> orders\"]", "").is_ok());
}
