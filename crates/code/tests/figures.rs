//! What services in Node cost, and whether a seed is always the same run: the figures of docs/performance.md.
//! `cargo test -p pellmell-code --test figures -- --ignored --nocapture --test-threads 1`

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "figures are for whoever asks for them")]
#![expect(clippy::disallowed_types, reason = "figures are measured in real time")]

#[expect(dead_code, reason = "it is for other tests too")]
mod shop;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pellmell::portfolio::SchedulerKind;
use pellmell::search::HoldSweep;
use pellmell::trace::{Recorder, TraceRecord};
use pellmell::{Calm, FaultPlan, Judges, Limits, Profile, PublishMode, Rate, Ratio, Simulation, run};
use pellmell_code::{Call, Client, CodeService, Names, Naming};
use serde_json::json;

use shop::{I1, Item, Shop, has, judges, node};

const SHOP: &str = "../../../../examples/processes/shop.js";
const IN_ORDER: &str = "../../../../examples/processes/search-in-order.js";

fn names() -> Names {
    Names::new().on("item:changed", Naming::of('i').version_at("/version"))
}

fn lines() -> CodeService<Shop> {
    CodeService::new("search", node(&[IN_ORDER]), names()).expect("a search service")
}

fn streaming() -> CodeService<Shop> {
    let search = Client::of_nats_streaming(node(&["stan.js", "search"])).subscribing(["item:changed"]);
    let search = search.with_records("file records.json").expect("a file");
    CodeService::new("search", search, names()).expect("a search service")
}

type Search = fn() -> CodeService<Shop>;

const WAYS: [(&str, Search); 2] = [("lines of JSON", lines), ("NATS Streaming", streaming)];

/// A shop in Node, over lines of JSON, and a search service that hears of each of its prices.
fn simulation(search: CodeService<Shop>, prices: u32) -> Simulation<Shop> {
    let shop = CodeService::new("shop", node(&[SHOP]), names()).expect("a shop");
    let set = |price| Call::new("shop", "set_price", I1).with(&json!({ "price": price }));
    let on = Simulation::on(Profile::stan()).service(shop.owns::<Item>().publishing(PublishMode::Outbox));
    let search = search.keeps::<Item>().listening(["item:changed"]);
    on.service(search).client("seller", (0..prices).map(set).collect::<Vec<_>>()).build().expect("parts that fit")
}

#[test]
#[ignore = "it measures"]
fn deliveries_a_second() {
    for (way, search) in WAYS.into_iter().filter(|_| has(&["node"])) {
        let simulation = simulation(search(), 500);
        let (judges, mut calm) = (Judges::new(Vec::new()), Calm::new(0, FaultPlan::NONE));
        let begun = Instant::now();
        let report = run(&mut simulation.world(), &mut calm, &judges, Limits::default(), &mut ());
        let took = begun.elapsed().as_secs_f64();
        assert!(report.verdict.is_held(), "{:?}", report.verdict);
        let deliveries = report.counts.deliveries as f64 / took;
        println!("| deliveries a second over {way}, each with the command that leads to it | {deliveries:.0} |");
    }
}

#[test]
#[ignore = "it measures"]
fn a_hold_sweep_of_thirty_deliveries() {
    for (way, search) in WAYS.into_iter().filter(|_| has(&["node"])) {
        let simulation = simulation(search(), 30);
        let judges = judges();
        for threads in [1, 2] {
            let begun = Instant::now();
            let swept = HoldSweep::new(&simulation, &judges).within(1, u64::MAX).with_threads(threads).run();
            let took = begun.elapsed().as_secs_f64();
            let played = swept.singles.played;
            println!(
                "| hold sweep of 30 deliveries over {way}, {threads} threads | {played} schedules in {took:.1} s |"
            );
        }
    }
}

/// Keeps a core busy as long as it is there.
struct Busy(Child);

impl Busy {
    fn start() -> Busy {
        Busy(Command::new("yes").stdout(Stdio::null()).spawn().expect("`yes` is there"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run of a seed with some of the faults that a process can be told of without starting anew.
fn log_of(simulation: &Simulation<Shop>, seed: u64) -> Vec<TraceRecord> {
    let lose_ack = Rate { ratio: Ratio::new(1, 4), most: 3 };
    let mut scheduler = SchedulerKind::Portfolio.scheduler(simulation, seed, FaultPlan { lose_ack, ..FaultPlan::NONE });
    let (judges, mut recorder) = (judges(), Recorder::default());
    run(&mut simulation.world(), &mut scheduler, &judges, Limits::default(), &mut recorder);
    recorder.into_records()
}

#[test]
#[ignore = "it measures"]
fn a_thousand_runs_of_a_seed_are_one_log_while_both_cores_are_busy() {
    for (way, search) in WAYS.into_iter().filter(|_| has(&["node"])) {
        let simulation = simulation(search(), 6);
        let _busy = [Busy::start(), Busy::start()];
        let (begun, first) = (Instant::now(), log_of(&simulation, 7));
        let (mut runs, mut same) = (1, 1);
        while runs < 1_000 && begun.elapsed() < Duration::from_secs(180) {
            let other = log_of(&simulation, 7);
            let differs = first.iter().zip(&other).find(|(one, other)| one != other);
            assert!(first == other, "run {runs} over {way}: {differs:?}");
            (runs, same) = (runs + 1, same + 1);
        }
        let took = begun.elapsed().as_secs_f64();
        println!(
            "| runs of one seed over {way} that are one log, both cores busy | {same} of {runs}, in {took:.0} s |"
        );
    }
}
