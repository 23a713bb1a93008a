//! Services in Node that depend on more than their messages: each is found, with the first step that differs and what
//! differed in it.

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what is left out is said")]

#[expect(dead_code, reason = "it is for other tests too")]
mod shop;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pellmell::trace::Recorder;
use pellmell::{
    Calm, FaultPlan, Judges, Limits, Profile, PublishMode, Scheduler, Simulation, determinism, run, testing,
};
use pellmell_code::{Call, Client, CodeService, Names, Naming};
use serde_json::json;

use shop::{I1, Item, Shop, has, node};

fn names() -> Names {
    Names::new().on("item:changed", Naming::of('i').version_at("/version"))
}

/// A search service that speaks lines of JSON.
fn lines(from: &str) -> CodeService<Shop> {
    let search = CodeService::new("search", node(&["planted.js", from]), names());
    search.unwrap_or_else(|failure| panic!("{failure}")).keeps::<Item>().listening(["item:changed"])
}

/// One that is a client of NATS Streaming.
fn streaming(from: &str) -> CodeService<Shop> {
    let search = Client::of_nats_streaming(node(&["stan.js", "search", from])).subscribing(["item:changed"]);
    let search = CodeService::new("search", search.with_records("file records.json").expect("a file"), names());
    search.unwrap_or_else(|failure| panic!("{failure}")).keeps::<Item>().listening(["item:changed"])
}

/// A shop whose prices it hears of.
fn simulation(search: CodeService<Shop>) -> Simulation<Shop> {
    let shop = CodeService::new("shop", node(&["../../../../examples/processes/shop.js"]), names()).expect("a shop");
    let set = |price| Call::new("shop", "set_price", I1).with(&json!({ "price": price }));
    let on = Simulation::on(Profile::stan()).service(shop.owns::<Item>().publishing(PublishMode::Outbox));
    on.service(search).client("seller", (1..=6).map(set).collect::<Vec<_>>()).build().expect("parts that fit")
}

/// What a test says, which is to fail.
fn said(search: CodeService<Shop>) -> String {
    let (simulation, judges) = (simulation(search), Judges::new(Vec::new()));
    let work = || testing::Check::new(&simulation, &judges).with_seeds(0..5).with_faults(FaultPlan::NONE).run();
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it is another run each time");
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn what_a_service_takes_from_elsewhere_is_named_with_the_first_step_that_differs() {
    if !has(&["node"]) {
        return;
    }
    type Search = fn(&str) -> CodeService<Shop>;
    // Over NATS Streaming, what pellmell does not stand in for: bytes of the system, times of files.
    let cases: [(Search, &str); 6] = [
        (lines, "uuid"),
        (lines, "clock"),
        (lines, "order"),
        (streaming, "urandom"),
        (streaming, "mtime"),
        (streaming, "order"),
    ];
    for (search, from) in cases {
        let calm = || -> Box<dyn Scheduler> { Box::new(Calm::new(0, FaultPlan::NONE)) };
        let differs = determinism::check(&simulation(search(from)), calm, Limits::default());
        let divergence = differs.expect_err("it is another run each time");
        let (first, second) = (&divergence.first, &divergence.second);
        assert_eq!((divergence.step, divergence.what), (2, "what it saved or published"), "{from}: {divergence}");
        let deliver = "deliver item:changed i1@0 -> search #1: saves i1@0 {\"price\":";
        assert!(
            first != second && [first, second].iter().all(|said| said.starts_with(deliver)),
            "{from}: {divergence}"
        );
    }
}

#[test]
fn a_promise_that_is_not_awaited_is_named_with_the_message_that_it_is_of() {
    if has(&["node"]) {
        let said = said(lines("unawaited"));
        // Whichever input is under way by then.
        let of = "after its answer to {\"delivery\":{\"subject\":\"item:changed\",\"body\":{\"id\":\"i1\",";
        let late = "a handler does {\"overwrite\":{\"record\":\"i1\",";
        assert!(said.contains(of) && said.contains(late) && said.contains("something was not awaited"), "{said}");
    }
}

#[test]
fn a_promise_that_a_client_of_nats_streaming_does_not_await_is_waited_for() {
    if has(&["node"]) {
        let simulation = simulation(streaming("unawaited"));
        let mut recorder = Recorder::default();
        let (judges, mut calm) = (Judges::new(Vec::new()), Calm::new(0, FaultPlan::NONE));
        let report = run(&mut simulation.world(), &mut calm, &judges, Limits::default(), &mut recorder);
        assert!(report.verdict.is_held(), "{:?}", report.verdict);
        let records = recorder.into_records();
        let delivered = records.iter().filter(|record| record.action.starts_with("deliver"));
        // It stores the price, acks, and when a process has ended that it started it stores one more.
        let saved: Vec<_> = delivered.map(|record| record.saved[0].fields["price"].clone()).collect();
        assert_eq!(saved, [2, 3, 4, 5, 6, 7]);
    }
}
