//! Services that are clients of NATS Streaming, as they are.

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what is left out is said")]

mod shop;

use std::time::Duration;

use pellmell::{Calm, FaultPlan, Limits, Profile, PublishMode, Simulation};
use pellmell_code::{Call, Client, CodeService, Failure, Names, Naming, Process};
use serde_json::json;

use shop::{I1, Item, Shop, has, judges, replay};

const THE_FIRST_COMES_LAST: &str = "hold item:changed i1@0 -> search until item:changed i1@1 -> search";

fn names() -> Names {
    Names::new().on("item:*", Naming::of('i').version_at("/version"))
}

fn node(arguments: &[&str]) -> Process {
    shop::node(&[&["stan.js"], arguments].concat())
}

/// Without what pellmell loads into Node, as a program is that is no Node.
fn unseen(arguments: &[&str]) -> Process {
    shop::unseen(&[&["stan.js"], arguments].concat())
}

fn search(process: Process) -> Result<CodeService<Shop>, Failure> {
    let search = Client::of_nats_streaming(process).subscribing(["item:changed"]).with_records("file records.json")?;
    Ok(CodeService::new("search", search, names())?.keeps::<Item>().listening(["item:changed"]))
}

fn shop(arguments: &[&str]) -> Result<CodeService<Shop>, Failure> {
    let arguments: Vec<&str> = std::iter::once("shop").chain(arguments.iter().copied()).collect();
    let shop = Client::of_nats_streaming(node(&arguments)).calling("set_price", "PUT /items/{record}")?;
    let shop = CodeService::new("shop", shop.with_records("GET /records")?, names())?;
    Ok(shop.owns::<Item>().publishing(PublishMode::Outbox))
}

/// A seller who sets prices at a shop, and a search service that hears of them.
fn simulation(shop: CodeService<Shop>, search: CodeService<Shop>, prices: &[u32]) -> Simulation<Shop> {
    let set = |price: &u32| Call::new("shop", "set_price", I1).with(&json!({ "price": price }));
    let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
    on.client("seller", prices.iter().map(set).collect::<Vec<_>>()).build().expect("parts that fit")
}

/// How a schedule ends with a search service, in words.
fn replayed(process: Process, schedule: &[&str]) -> String {
    let simulation = simulation(shop(&[]).expect("a shop"), search(process).expect("a search"), &[5, 10]);
    replay(&simulation, &judges(), schedule)
}

/// The verdict of the calm run, in words.
fn calm(shop: CodeService<Shop>, search: CodeService<Shop>, prices: &[u32]) -> (String, u64) {
    let world = &mut simulation(shop, search, prices).world();
    let report = pellmell::run(world, &mut Calm::new(0, FaultPlan::NONE), &judges(), Limits::default(), &mut ());
    (format!("{:?}", report.verdict), report.fingerprint)
}

#[test]
fn a_service_that_looks_at_versions_holds_and_a_careless_one_does_not() {
    if has(&["node"]) {
        for process in [node, unseen] {
            assert_eq!(replayed(process(&["search"]), &[THE_FIRST_COMES_LAST]), "held");
            let said = replayed(process(&["search", "careless"]), &[THE_FIRST_COMES_LAST]);
            assert!(said.contains("SearchAgreesWithShop"), "{said}");
        }
    }
}

#[test]
fn the_clock_the_chance_and_the_timers_of_a_service_in_node_are_those_of_the_simulation() {
    if has(&["node"]) {
        // What it saves is something else than the price, and the same each time: it is told again what it was told.
        let run = || calm(shop(&[]).expect("a shop"), search(node(&["search", "chance"])).expect("a search"), &[5, 10]);
        let (verdict, fingerprint) = run();
        assert!(verdict.contains("SearchAgreesWithShop"), "{verdict}");
        assert_eq!(run(), (verdict, fingerprint));
        let (verdict, _) =
            calm(shop(&[]).expect("a shop"), search(node(&["search", "waits"])).expect("a search"), &[5]);
        assert_eq!(verdict, "Held", "what a handler waits for is due at once");
        let late = calm(shop(&[]).expect("a shop"), search(node(&["search", "late"])).expect("a search"), &[5]);
        assert_eq!(late.0, "Held", "a timer that is set for later is one of the simulation");
    }
}

#[test]
fn a_process_that_ends_at_a_message_has_not_acked_it_and_is_started_again() {
    if has(&["node"]) {
        let ends = replayed(node(&["search", "ends"]), &[THE_FIRST_COMES_LAST]);
        assert_eq!(ends, "held", "it ends, and is handed it again");
    }
}

#[test]
fn a_command_that_is_refused_is_refused_with_its_status() {
    if has(&["node"]) {
        let (verdict, _) = calm(shop(&[]).expect("a shop"), search(node(&["search"])).expect("a search"), &[5, 1_000]);
        assert_eq!(verdict, "Held");
    }
}

#[test]
fn a_client_that_does_not_do_its_part_is_told_of() {
    if !has(&["node"]) {
        return;
    }
    let short = |process: Process| process.answering_within(Duration::from_secs(2));
    let starts = [
        (search(short(node(&["search", "deaf"]))), "it has not subscribed to `item:changed` at NATS_URL: it ended"),
        (search(node(&["search", "elsewhere"])), "it looks for the cluster `other`: it is `pellmell`"),
        (
            search(short(Process::new("sleep", ["600"]))),
            "it has not subscribed to `item:changed` at NATS_URL: it is not",
        ),
    ];
    for (service, expected) in starts {
        let failure = service.expect_err(expected).to_string();
        assert!(failure.contains(expected), "{failure}");
    }
    let runs = [
        (&[][..], &["core"][..], "it published on `news` with NATS itself"),
        (&[], &["headers"], "it says `HPUB news`, which pellmell's server of NATS Streaming does not understand"),
        (&["garbage"], &[], "its records are no list of records"),
        (&[], &["hangs"], "it is not quiet after 2000 ms"),
    ];
    for (of_shop, of_search, expected) in runs {
        let arguments: Vec<&str> = std::iter::once("search").chain(of_search.iter().copied()).collect();
        let process = if of_search == ["hangs"] { short(node(&arguments)) } else { node(&arguments) };
        let (verdict, _) = calm(shop(of_shop).expect("a shop"), search(process).expect("a search"), &[5]);
        assert!(verdict.contains("Panicked") && verdict.contains(expected), "{verdict}");
    }
    let wrong = Client::of_nats_streaming(node(&["shop"])).calling("set_price", "items").expect_err("no request");
    assert!(wrong.to_string().contains("expected for example \"POST /api/orders\""), "{wrong}");
}
