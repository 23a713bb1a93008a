//! The same seed is the same run, down to what client and server say to one another.

#[path = "shop/search.rs"]
#[expect(unreachable_pub, reason = "it is as in a crate of its own")]
#[expect(dead_code, reason = "one of its ways is used")]
mod search;
#[path = "shop/worker.rs"]
#[expect(dead_code, reason = "it is for other tests too")]
mod worker;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Error, jetstream};
use futures_util::StreamExt;
use pellmell_core::portfolio::SchedulerKind;
use pellmell_core::run::{Limits, run};
use pellmell_core::trace::Recorder;
use pellmell_nats::{Conversation, FaultPlan, Naming, Row, Service, System, VersionsNeverFall};
use serde_json::json;
use worker::{Done, jobs, work};

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
        .about("item.changed", Naming::of('i').record_at("/id").version_at("/version"))
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
    assert!(log_of(7).iter().any(|line| line.contains("> PUB $JS.API.CONSUMER.MSG.NEXT.ITEMS.search reply _INBOX.")));
}

#[test]
#[ignore = "it takes a while: cargo test --test same -- --ignored"]
fn a_thousand_runs_of_a_seed_are_one_log() {
    let (count, how) = logs(7, 1_000);
    assert_eq!(count, 1, "{how}");
}

#[test]
fn what_depends_on_more_than_its_messages_is_named() {
    // Stands for an id that is drawn at random.
    let next = Arc::new(AtomicU64::new(0));
    let run = work(move |url, _: Done| {
        let next = Arc::clone(&next);
        async move {
            let jetstream = jetstream::new(async_nats::connect(url).await?);
            let stream = jetstream.get_stream("JOBS").await?;
            let config =
                jetstream::consumer::pull::Config { filter_subject: "job.new".to_owned(), ..Default::default() };
            let mut messages = stream.create_consumer(config).await?.messages().await?;
            while let Some(message) = messages.next().await {
                let id = next.fetch_add(1, Ordering::Relaxed);
                jetstream.publish("job.done", format!(r#"{{"id":"j1","by":{id}}}"#).into()).await?.await?;
                message?.ack().await?;
            }
            Ok::<(), Error>(())
        }
    });
    let system = jobs(run, 2).stream("JOBS", ["job.>"]).about("job.done", Naming::of('j'));
    let failing = AssertUnwindSafe(|| system.seeds(0..5).faults(FaultPlan::NONE).check());
    let panic = catch_unwind(failing).expect_err("another id each time");
    let text = panic.downcast_ref::<String>().expect("a text");
    let place = "two runs differ at step 2 in what it saved or published: first deliver job.new j1 -> worker #1";
    assert!(text.contains(place), "{text}");
}
