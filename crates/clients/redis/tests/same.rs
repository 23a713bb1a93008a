//! The same seed is the same run, down to what client and server say to one another.

#[path = "shop/search.rs"]
#[expect(unreachable_pub, reason = "it is as in a crate of its own")]
#[expect(dead_code, reason = "one of its ways is used")]
mod search;

use std::collections::BTreeMap;

use pellmell_core::portfolio::SchedulerKind;
use pellmell_core::run::{Limits, run};
use pellmell_core::trace::Recorder;
use pellmell_redis::{Conversation, FaultPlan, Naming, Row, Service, System, VersionsNeverFall};
use serde_json::json;

/// A run of this seed, and what was said in it, in an instance that has just been started.
fn log_of(seed: u64) -> Vec<String> {
    let conversation = Conversation::default();
    let search = Service::with_state("search", search::Items::default, search::run_in_order)
        .listens(["item.changed"])
        .keeps('i', |items: &search::Items| {
            let items = items.0.lock().expect("nobody panics with it");
            items.values().map(|item| Row::new('i', &item.id, item.version, json!({ "price": item.price }))).collect()
        })
        .noted_in(&conversation);
    let changed = (0..8).map(|n| ("item.changed", json!({ "id": format!("i{}", n % 3), "version": n, "price": n })));
    let system = System::new()
        .about("item.changed", Naming::of('i').version_at("/version"))
        .publisher("shop", changed)
        .service(search)
        .property(VersionsNeverFall);
    let (simulation, judges) = system.simulation().expect("it starts");
    let mut scheduler = SchedulerKind::Portfolio.scheduler(&simulation, seed, FaultPlan::SOME);
    let mut recorder = Recorder::default();
    let limits = Limits { steps_max: 2_000, ..Limits::OF_A_TEST };
    let report = run(&mut simulation.world(), &mut scheduler, &judges, limits, &mut recorder);
    assert!(report.verdict.is_held(), "seed {seed}: {:?}", report.verdict);
    let mut log: Vec<String> = recorder.into_records().iter().map(|record| format!("{record:?}")).collect();
    log.extend(conversation.take());
    log
}

/// How many logs there are of so many runs of one seed, and a line in which two of them differ.
fn logs(seed: u64, runs: u32) -> (usize, String) {
    let mut logs: BTreeMap<Vec<String>, u32> = BTreeMap::new();
    (0..runs).for_each(|_| *logs.entry(log_of(seed)).or_default() += 1);
    let counts: Vec<u32> = logs.values().copied().collect();
    let mut two = logs.keys();
    let differ = two.next().zip(two.next()).and_then(|(one, other)| one.iter().zip(other).find(|(a, b)| a != b));
    (logs.len(), format!("{counts:?}: {differ:?}"))
}

#[test]
fn a_hundred_runs_of_a_seed_are_one_log() {
    let (count, how) = logs(7, 100);
    assert_eq!(count, 1, "{how}");
    assert_ne!(log_of(8), log_of(7));
    assert!(log_of(7).iter().any(|line| line.ends_with("> XREADGROUP GROUP search search-1 BLOCK 5000 COUNT 10 STREAMS item.changed >")));
}

#[test]
#[ignore = "it takes a while: cargo test -p pellmell-redis --test same -- --ignored"]
fn a_thousand_runs_of_a_seed_are_one_log() {
    let (count, how) = logs(7, 1_000);
    assert_eq!(count, 1, "{how}");
}
