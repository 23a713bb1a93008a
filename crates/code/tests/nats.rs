//! Services that are clients of NATS and JetStream, as they are.

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what is left out is said")]

mod shop;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pellmell::{Calm, FaultPlan, Limits, Profile, PublishMode, Simulation};
use pellmell_code::{Call, Client, CodeService, Failure, Names, Naming, Process};
use serde_json::json;

use shop::{I1, Item, Shop, has, judges, replay, services};

const THE_FIRST_COMES_LAST: &str = "hold item.changed i1@0 -> search until item.changed i1@1 -> search";

fn names() -> Names {
    Names::new().on("item.*", Naming::of('i').version_at("/version"))
}

fn node(arguments: &[&str]) -> Process {
    shop::node(&[&["nats.js"], arguments].concat())
}

/// Without what pellmell loads into Node, as a program is that is no Node.
fn unseen(arguments: &[&str]) -> Process {
    shop::unseen(&[&["nats.js"], arguments].concat())
}

/// A search service on the stream of the shop.
fn client(process: Process) -> Client {
    let client = Client::of_nats(process).subscribing(["item.changed"]);
    client.with_stream("ITEMS", &["item.>".to_owned()]).expect("a stream")
}

fn hosted(client: Client) -> Result<CodeService<Shop>, Failure> {
    Ok(CodeService::new("search", client, names())?.keeps::<Item>().listening(["item.changed"]))
}

fn search(process: Process) -> Result<CodeService<Shop>, Failure> {
    hosted(client(process).with_records("file records.json")?)
}

/// A shop that is called by requests, and of which a program prints what it keeps.
fn shop(arguments: &[&str]) -> CodeService<Shop> {
    let arguments: Vec<&str> = std::iter::once("shop").chain(arguments.iter().copied()).collect();
    let prints = ["sh", "-c", "cat \"$PELLMELL_FOLDER/records.json\" 2>/dev/null || echo '[]'"];
    let shop = Client::of_nats(node(&arguments)).with_records_of(prints);
    CodeService::new("shop", shop, names()).expect("a shop").owns::<Item>().publishing(PublishMode::Outbox)
}

/// A seller who sets prices at a shop, and a search service that hears of them.
fn simulation(shop: CodeService<Shop>, search: CodeService<Shop>, prices: &[u32]) -> Simulation<Shop> {
    let set = |price: &u32| Call::new("shop", "set_price", I1).with(&json!({ "price": price }));
    let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
    on.client("seller", prices.iter().map(set).collect::<Vec<_>>()).build().expect("parts that fit")
}

/// How a schedule ends with a search service, in words.
fn replayed(process: Process, schedule: &[&str]) -> String {
    replay(&simulation(shop(&[]), search(process).expect("a search"), &[5, 10]), &judges(), schedule)
}

/// The verdict of the calm run, in words.
fn calm(shop: CodeService<Shop>, search: CodeService<Shop>, prices: &[u32]) -> String {
    let world = &mut simulation(shop, search, prices).world();
    let report = pellmell::run(world, &mut Calm::new(0, FaultPlan::NONE), &judges(), Limits::default(), &mut ());
    format!("{:?}", report.verdict)
}

#[test]
fn a_service_that_looks_at_versions_holds_and_a_careless_one_does_not() {
    if !has(&["node"]) {
        return;
    }
    for way in [&["pull"][..], &["push"], &["now"]] {
        let with = |more: &str| {
            let arguments: Vec<&str> = ["search"].into_iter().chain(way.iter().copied()).chain([more]).collect();
            replayed(node(&arguments), &[THE_FIRST_COMES_LAST])
        };
        assert_eq!(with("careful"), "held", "{way:?}");
        let said = with("careless");
        assert!(said.contains("SearchAgreesWithShop"), "{way:?}: {said}");
    }
    let said = replayed(unseen(&["search", "careless"]), &[THE_FIRST_COMES_LAST]);
    assert!(said.contains("SearchAgreesWithShop"), "{said}");
}

#[test]
fn a_core_subscription_has_done_its_work_when_it_is_idle_or_quiet() {
    if has(&["node"]) {
        for process in [node, unseen] {
            let search = search(process(&["search", "core"])).expect("a search");
            assert_eq!(calm(shop(&["core"]), search, &[5, 10]), "Held");
        }
    }
}

#[test]
fn deliveries_are_refused_with_a_delay_terminated_worked_on_and_left() {
    if !has(&["node"]) {
        return;
    }
    for flag in ["nak", "silent", "works", "none"] {
        assert_eq!(calm(shop(&[]), search(node(&["search", flag])).expect("a search"), &[5]), "Held", "{flag}");
    }
    let said = calm(shop(&[]), search(node(&["search", "term"])).expect("a search"), &[5, 10]);
    assert!(said.contains("SearchAgreesWithShop"), "what is terminated is not there, and comes no more: {said}");
}

#[test]
fn who_crashes_has_its_durable_consumer_and_makes_any_other_again() {
    if has(&["node"]) {
        for way in ["pull", "push"] {
            let crash = ["crash search before ack of item.changed i1@0 -> search"];
            let said = replayed(node(&["search", way, "careful"]), &crash);
            assert_eq!(said, "held", "{way}");
        }
    }
}

#[test]
fn a_message_that_is_delivered_as_often_as_it_may_be_is_told_of() {
    if has(&["node"]) {
        let told = search(node(&["search", "gives-up"])).expect("a search");
        let said = calm(shop(&[]), told, &[5]);
        assert!(said.contains("ITEMS search 1 3"), "{said}");
    }
}

#[test]
fn a_process_that_does_not_do_its_part_is_told_of() {
    if !has(&["node"]) {
        return;
    }
    let short = |process: Process| process.answering_within(Duration::from_secs(5));
    let none = search(short(node(&["search", "deaf"]))).expect_err("it does not connect").to_string();
    assert!(none.contains("it does not listen to `item.changed` at NATS_URL: it has nothing yet: it ended"), "{none}");
    let runs = [
        ("hangs", "it is not quiet after 5000 ms"),
        ("busy", "it is not quiet after 5000 ms"),
        ("floods", "it said more than 100000 things: it does not come to rest"),
        ("garbage", "a client wrote `HELLO`: that is nothing that the server understands"),
        ("purges", "the request `$JS.API.STREAM.PURGE.ITEMS`: pellmell does not play that"),
        ("once", "it does not ask for attempt 1 on `item.changed`: it is not quiet after 5000 ms"),
    ];
    for (flag, expected) in runs {
        let prices: &[u32] = if flag == "once" { &[5, 10] } else { &[5] };
        let search = search(short(node(&["search", flag]))).expect("a search");
        let verdict = calm(shop(&[]), search, prices);
        assert!(verdict.contains("Panicked") && verdict.contains(expected), "{flag}: {verdict}");
    }
    // One that dies has not acked, and is started again; of what it left behind nothing is there any more.
    let dies = calm(shop(&[]), search(node(&["search", "dies"])).expect("a search"), &[5]);
    assert!(!dies.contains("Held"), "{dies}");
    let left = Path::new(env!("CARGO_TARGET_TMPDIR")).join("left-by-a-client");
    // What a handler starts is a part of what it does.
    let leaves = short(node(&["search", "leaves"]).with_env("LEFT", &left));
    let leaves = calm(shop(&[]), search(leaves).expect("a search"), &[5]);
    assert!(leaves.contains("it is not quiet after 5000 ms"), "{leaves}");
    let pid = fs::read_to_string(left).expect("it left a child");
    // Where nobody buries it, it is a zombie.
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid]).output().expect("ps").stdout;
    let state = String::from_utf8_lossy(&state).trim().to_owned();
    assert!(state.is_empty() || state.starts_with('Z'), "its child {pid} is there: {state}");
}

#[test]
fn a_program_that_prints_no_records_is_told_of_with_its_last_lines() {
    if !has(&["node"]) {
        return;
    }
    for (script, expected) in [
        ("echo no database >&2; exit 3", "ended (exit status: 3); the last it wrote:\\n    no database"),
        ("sleep 600", "has not ended within 5000 ms"),
        ("sleep 600 & echo '[]'", "SearchAgreesWithShop"),
        ("yes", "printed more than 4194304 bytes"),
        ("echo soon", "its records are no list of records"),
        ("exec >&-; sleep 600", "closed its stdout and did not end"),
    ] {
        let short = node(&["search"]).answering_within(Duration::from_secs(5));
        let search = hosted(client(short).with_records_of(["sh", "-c", script])).expect("a search");
        let said = calm(shop(&[]), search, &[5]);
        assert!(said.contains(expected), "{script}: {said}");
    }
}

#[test]
fn services_on_the_client_of_nats_for_node_are_as_they_are() {
    let folder = services().join("../../../../examples/nats-node");
    let packages = "require('@nats-io/transport-node'), require('@nats-io/jetstream')";
    let found = Command::new("node").args(["-e", packages]).current_dir(&folder).output();
    if !found.is_ok_and(|found| found.status.success()) {
        println!("SKIPPED: `npm ci` was not run in examples/nats-node");
        return;
    }
    let node = |arguments: &[&str]| {
        let process = Process::new("node", arguments.iter().copied()).in_folder(&folder);
        process.answering_within(Duration::from_secs(60))
    };
    for (flag, expected) in [("in-order", "held"), ("as-it-comes", "SearchAgreesWithShop")] {
        let shop = Client::of_nats(node(&["shop.js"])).with_records("file shop.json").expect("a file");
        let shop = CodeService::new("shop", shop, names()).expect("a shop").owns::<Item>();
        let search = client(node(&["search.js", flag])).with_records("file search.json").expect("a file");
        let search = hosted(search).expect("a search");
        let simulation = simulation(shop.publishing(PublishMode::Outbox), search, &[5, 10]);
        let said = replay(&simulation, &judges(), &[THE_FIRST_COMES_LAST]);
        assert!(said.contains(expected), "{flag}: {said}");
    }
}
