//! Services that do not do their part: what is wrong is said, in time.

#[path = "shop/worker.rs"]
#[expect(dead_code, reason = "it is for other tests too")]
mod worker;

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::{Error, jetstream};
use futures_util::StreamExt;
use pellmell_nats::{Naming, Service, System};
use serde_json::json;
use worker::{Done, Work, calm, jobs, verdict, work};

/// What is said of a worker: when it starts, or else of a calm run.
fn said(run: Work) -> String {
    let system = jobs(run, 1).stream("JOBS", ["job.>"]);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| verdict(&calm(system)))) {
        Ok(said) => said,
        Err(panic) => panic.downcast_ref::<String>().expect("a text").clone(),
    }
}

async fn messages(url: &str) -> Result<(jetstream::Context, pull::Stream), Error> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let config = pull::Config { filter_subject: "job.new".to_owned(), ..Default::default() };
    let messages = jetstream.get_stream("JOBS").await?.create_consumer(config).await?.messages().await?;
    Ok((jetstream, messages))
}

#[test]
fn a_service_that_does_not_begin_is_told_of_before_anything_runs() {
    let cases: Vec<(&str, Work, &str)> = vec![
        ("ends", work(|_, _| async { Ok(()) }), "worker: it has ended with `Ok(())`"),
        (
            "fails",
            work(|url, _| async move {
                let jetstream = jetstream::new(async_nats::connect(url).await?);
                jetstream.get_stream("NONE").await?;
                Ok(())
            }),
            "stream not found",
        ),
        ("panics", work(|_, _| async { panic!("out of cheese") }), "worker: it panicked: out of cheese"),
        (
            "never connects",
            work(|_, _| std::future::pending()),
            "within 60 s of simulated time it does not listen to `job.new`: it has nothing yet",
        ),
        (
            "listens to something else",
            work(|url, _| async move {
                let client = async_nats::connect(url).await?;
                let mut other = client.subscribe("job.other").await?;
                other.next().await;
                Ok(())
            }),
            "it does not listen to `job.new`: it has a subscription to `job.other`",
        ),
        (
            "asks for what is not played",
            work(|url, _| async move {
                let jetstream = jetstream::new(async_nats::connect(url).await?);
                let mut stream = jetstream.get_stream("JOBS").await?;
                stream.info().await?;
                stream.purge().await?;
                Ok(())
            }),
            "the request `$JS.API.STREAM.PURGE.JOBS`: pellmell does not play that",
        ),
        (
            "is listened to twice",
            work(|url, _| async move {
                let (jetstream, _messages) = messages(&url).await?;
                let _other = jetstream.client().subscribe("job.new").await?;
                std::future::pending().await
            }),
            "and a subscription without a consumer take messages on `job.new`",
        ),
    ];
    for (what, run, expected) in cases {
        let said = said(run);
        assert!(said.contains(expected), "it {what}: {said}");
    }
}

#[test]
fn a_service_that_does_not_answer_as_it_should_is_a_verdict() {
    let cases: Vec<(&str, Work, &str)> = vec![
        (
            "panics",
            work(|url, _| async move {
                messages(&url).await?.1.next().await;
                panic!("no such job")
            }),
            "it panicked: no such job",
        ),
        (
            "ends",
            work(|url, _| async move {
                messages(&url).await?.1.next().await;
                Ok(())
            }),
            "it has ended with `Ok(())`",
        ),
        (
            "asks no more",
            work(|url, _| async move {
                let jetstream = jetstream::new(async_nats::connect(url).await?);
                let config = pull::Config { filter_subject: "job.new".to_owned(), ..Default::default() };
                let consumer = jetstream.get_stream("JOBS").await?.create_consumer(config).await?;
                let batch = consumer.batch().max_messages(1).expires(Duration::from_millis(1)).messages();
                let _batch = batch.await?;
                std::future::pending().await
            }),
            "within 60 s of simulated time it does not ask for attempt 1 on `job.new`",
        ),
        (
            "publishes what has no names",
            work(|url, _| async move {
                let (jetstream, mut messages) = messages(&url).await?;
                messages.next().await;
                jetstream.client().publish("news", "{}".into()).await?;
                std::future::pending().await
            }),
            "it publishes on `news`, of which nothing is said: say what its messages are about with `.about(",
        ),
        (
            "asks another service",
            work(|url, _| async move {
                let (jetstream, mut messages) = messages(&url).await?;
                messages.next().await;
                jetstream.client().request("job-names", "{}".into()).await?;
                std::future::pending().await
            }),
            "it publishes on `job-names`, of which nothing is said",
        ),
    ];
    for (what, run, expected) in cases {
        let said = said(run);
        assert!(said.contains(expected), "it {what}: {said}");
        assert!(said.contains("the last it wrote:\n"), "it {what}: {said}");
    }
}

#[test]
fn a_service_that_hangs_is_told_of_when_its_time_is_over() {
    fn hanging(hangs: Work) -> String {
        let worker = Service::with_state("worker", Done::default, hangs).listens(["job.new"]);
        let worker = worker.answering_within(Duration::from_millis(700));
        let system = System::new().about("job.new", Naming::of('j')).stream("JOBS", ["job.>"]).service(worker);
        verdict(&calm(system.publisher("office", [("job.new", json!({ "id": "j1" }))])))
    }
    let blocks = work(|url, _| async move {
        messages(&url).await?.1.next().await;
        #[expect(clippy::disallowed_methods, reason = "it hangs for a while, and then its thread can end")]
        std::thread::sleep(Duration::from_secs(3));
        std::future::pending().await
    });
    let spins = work(|url, _| async move {
        messages(&url).await?.1.next().await;
        #[expect(clippy::disallowed_types, reason = "it hangs for a while, and then its thread can end")]
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            tokio::task::yield_now().await;
        }
        std::future::pending().await
    });
    for hangs in [blocks, spins] {
        let said = hanging(hangs);
        assert!(
            said.contains("it hangs: it did not come to rest within 700 ms of real time (attempt 1 on `job.new`)"),
            "{said}"
        );
    }
}

#[test]
fn no_port_is_left_of_a_service_that_is_not_needed_any_more() {
    let urls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&urls);
    let run = work(move |url, _| {
        noted.lock().expect("nobody panics with it").push(url.clone());
        async move {
            let mut messages = messages(&url).await?.1;
            while let Some(message) = messages.next().await {
                message?.ack().await?;
            }
            Ok(())
        }
    });
    assert_eq!(said(run), "Held");
    let urls = urls.lock().expect("nobody panics with it").clone();
    assert!(!urls.is_empty());
    for url in urls {
        assert!(TcpStream::connect(url.trim_start_matches("nats://")).is_err(), "{url}");
    }
}

#[test]
fn what_does_not_fit_together_is_said() {
    let run = || work(|_, _| std::future::pending());
    let worker = |subject: &str| Service::with_state("worker", Done::default, run()).listens([subject.to_owned()]);
    let error = |system: System| system.simulation().err().expect("it does not fit");
    let about = || System::new().about("job.>", Naming::of('j'));
    assert!(error(about().service(worker("job.*"))).contains("expected a subject as messages have it, not a pattern"));
    assert!(error(about().service(worker("news"))).contains("nothing says what messages on `news` are about"));
    let of_no_kind = about().service(worker("job.new").keeps('z', |_| Vec::new()));
    assert!(error(of_no_kind).contains("`z` is no kind of records"));
    assert!(error(about().publisher("office", [("job.new", json!({}))])).contains("its body has nothing at `/id`"));
}
