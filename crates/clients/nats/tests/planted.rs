//! Services that depend on more than their messages: each is found, with the first step that differs and what differed.

#![expect(clippy::disallowed_types, reason = "planted")]
#![expect(clippy::disallowed_methods, reason = "planted")]

#[path = "shop/worker.rs"]
#[expect(dead_code, reason = "it is for other tests too")]
mod worker;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::future::ready;
use std::hash::BuildHasher;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_nats::{Error, jetstream};
use futures_util::StreamExt;
use pellmell_nats::{FaultPlan, Naming};
use worker::{Done, Work, jobs, work};

/// What a worker says that it was done by; `None` if it says nothing of that.
type By = fn(Done) -> Pin<Box<dyn Future<Output = Option<u64>> + Send>>;

/// A worker that says of each job that it is done.
fn worker(by: By) -> Work {
    work(move |url, done| async move {
        let jetstream = jetstream::new(async_nats::connect(url).await?);
        let stream = jetstream.get_stream("JOBS").await?;
        let config = jetstream::consumer::pull::Config { filter_subject: "job.new".to_owned(), ..Default::default() };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        while let Some(message) = messages.next().await {
            if let Some(by) = by(done.clone()).await {
                jetstream.publish("job.done", format!(r#"{{"id":"j1","by":{by}}}"#).into()).await?.await?;
            }
            message?.ack().await?;
        }
        Ok::<(), Error>(())
    })
}

/// What a test says of it, which is to fail.
fn said(by: By) -> String {
    let system = jobs(worker(by), 12).stream("JOBS", ["job.>"]).about("job.done", Naming::of('j'));
    let system = system.ignoring("job.done.>");
    let failing = AssertUnwindSafe(|| system.seeds(0..20).faults(FaultPlan::NONE).check());
    let panic = catch_unwind(failing).expect_err("it is another run each time");
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn what_a_service_takes_from_elsewhere_is_named_with_the_first_step_that_differs() {
    let cases: [(&str, By); 3] = [
        ("a random id", |_| Box::pin(ready(Some(RandomState::new().hash_one(()))))),
        ("the clock of the machine", |_| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
            Box::pin(ready(Some(now.as_nanos() as u64)))
        }),
        ("the order of a hash map", |_| {
            let map: HashMap<u64, ()> = (0..1_000).map(|key| (key, ())).collect();
            Box::pin(ready(map.into_keys().next()))
        }),
    ];
    for (what, by) in cases {
        let said = said(by);
        // The first job is the second step: the office publishes it in the first.
        let first = "two runs differ at step 2 in what it saved or published: first deliver job.new j1 -> worker #1: \
                     publishes job.done j1 ";
        assert!(said.contains(first), "{what}: {said}");
        let by = said.matches(r#"\"by\":"#).count() + said.matches(r#""by":"#).count();
        assert!(by >= 2, "{what}, and both are told: {said}");
    }
}

#[test]
fn a_thread_that_nobody_waits_for_is_named_with_the_step_in_which_it_was_seen() {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let said = said(|done| {
        let nth = STARTED.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(200 + 397 * (nth % 7)));
            done.note("job.new", br#"{"id":"j9"}"#);
        });
        Box::pin(ready(None))
    });
    let differs = said.contains("two runs differ at step ") && said.contains("deliver job.new j");
    let told_again = said.contains("told the same again, it does something else: after ");
    assert!(differs || told_again, "{said}");
    assert!(said.contains("does done j9") || said.contains("outside done j9"), "{said}");
}
