//! What it costs, and whether it is always the same: the figures of docs/performance.md.
//! `cargo test --release --manifest-path crates/clients/Cargo.toml -p pellmell-redis --test figures -- --ignored --nocapture`

#![expect(clippy::print_stdout, reason = "figures are for whoever asks for them")]
#![expect(clippy::disallowed_types, reason = "figures are measured in real time")]

#[path = "shop/search.rs"]
#[expect(unreachable_pub, reason = "it is as in a crate of its own")]
#[expect(dead_code, reason = "one of its ways is used")]
mod search;

use std::time::Instant;

use pellmell_core::run::{Limits, run};
use pellmell_core::scheduler::Calm;
use pellmell_core::search::HoldSweep;
use pellmell_redis::{Converged, FaultPlan, Naming, Row, Service, System, VersionsNeverFall};
use serde_json::json;

fn shop(items: usize) -> System {
    let search = Service::with_state("search", search::Items::default, search::run_in_order)
        .listens(["item.changed"])
        .keeps('i', |items: &search::Items| {
            let items = items.0.lock().expect("nobody panics with it");
            items.values().map(|item| Row::new('i', &item.id, item.version, json!({ "price": item.price }))).collect()
        });
    let changed = (0..items).map(|n| ("item.changed", json!({ "id": "i1", "version": n, "price": n })));
    System::new()
        .about("item.changed", Naming::of('i').record_at("/id").version_at("/version"))
        .publisher("shop", changed)
        .service(search)
        .property(Converged)
        .property(VersionsNeverFall)
}

#[test]
#[ignore = "it measures"]
fn deliveries_a_second_and_a_hold_sweep_of_thirty() {
    let (simulation, judges) = shop(5_000).simulation().expect("it starts");
    let begun = Instant::now();
    let mut calm = Calm::new(0, FaultPlan::NONE);
    let report = run(&mut simulation.world(), &mut calm, &judges, Limits::default(), &mut ());
    let took = begun.elapsed().as_secs_f64();
    assert!(report.verdict.is_held(), "{:?}", report.verdict);
    println!("| deliveries a second | {:.0} |", report.counts.deliveries as f64 / took);

    let (simulation, judges) = shop(30).simulation().expect("it starts");
    for threads in [1, 2] {
        let begun = Instant::now();
        let swept = HoldSweep::new(&simulation, &judges).within(1, u64::MAX).with_threads(threads).run();
        let (took, played) = (begun.elapsed().as_secs_f64(), swept.singles.played);
        println!("| hold sweep of 30 deliveries, {threads} threads | {played} schedules in {took:.2} s |");
    }
}
