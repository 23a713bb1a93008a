//! Services that do not do their part: what is wrong is said, in time; and what is played of Redis beside entries.

use std::future::Future;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use pellmell_core::ids::RecordId;
use pellmell_core::run::{Limits, Verdict, run};
use pellmell_core::scheduler::Calm;
use pellmell_redis::{FaultPlan, Naming, Service, System, record};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisResult, Value, cmd, pipe};
use serde_json::json;

/// What was done: for which jobs, in which order.
type Done = Arc<Mutex<Vec<RecordId>>>;

type Work = Box<dyn Fn(String, Done) -> Pin<Box<dyn Future<Output = RedisResult<()>> + Send>> + Send + Sync>;

fn work<F>(run: impl Fn(String, Done) -> F + Send + Sync + 'static) -> Work
where
    F: Future<Output = RedisResult<()>> + Send + 'static,
{
    Box::new(move |url, done| Box::pin(run(url, done)))
}

/// As many jobs for a worker.
fn jobs(run: Work, count: u32) -> System {
    let worker = Service::with_state("worker", Done::default, run)
        .listens(["job.new"])
        .does("done", |done: &Done| done.lock().expect("nobody panics with it").clone());
    let jobs = (1..=count).map(|n| ("job.new", json!({ "id": format!("j{n}") })));
    System::new().about("job.new", Naming::of('j')).publisher("office", jobs).service(worker)
}

/// What is said of a worker that gets one job: when it starts, or else of a calm run.
fn said(run: Work) -> String {
    said_of(jobs(run, 1))
}

fn said_of(system: System) -> String {
    let said = AssertUnwindSafe(|| {
        let (simulation, judges) = system.simulation().unwrap_or_else(|error| panic!("{error}"));
        let limits = Limits { steps_max: 200, ..Limits::OF_A_TEST };
        let mut calm = Calm::new(0, FaultPlan::NONE);
        match self::run(&mut simulation.world(), &mut calm, &judges, limits, &mut ()).verdict {
            Verdict::Panicked { message } => message,
            other => format!("{other:?}"),
        }
    });
    match catch_unwind(said) {
        Ok(said) => said,
        Err(panic) => panic.downcast_ref::<String>().expect("a text").clone(),
    }
}

/// A connection, and a group of the jobs.
async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut redis = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
    let _: RedisResult<()> = redis.xgroup_create_mkstream("job.new", "work", "$").await;
    Ok(redis)
}

/// The id of the next job, and which it is.
async fn next(redis: &mut MultiplexedConnection) -> RedisResult<(String, RecordId)> {
    let options = StreamReadOptions::default().group("work", "w1").block(0);
    let reply: StreamReadReply = redis.xread_options(&["job.new"], &[">"], &options).await?;
    let entry = reply.keys[0].ids[0].clone();
    Ok((entry.id.clone(), record('j', entry.get::<String>("id").unwrap_or_default())))
}

#[test]
fn a_service_that_does_not_begin_is_told_of_before_anything_runs() {
    let cases: Vec<(&str, Work, &str)> = vec![
        ("ends", work(|_, _| async { Ok(()) }), "worker: it has ended with `Ok(())`"),
        (
            "has no group",
            work(|url, _| async move {
                let config = AsyncConnectionConfig::new().set_response_timeout(None);
                let mut redis = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
                next(&mut redis).await.map(|_| ())
            }),
            "NOGROUP",
        ),
        (
            "reads none",
            work(|url, _| async move {
                let _redis = connect(&url).await?;
                std::future::pending().await
            }),
            "within 60 s of simulated time it does not listen to `job.new`: it has no group that reads new entries yet",
        ),
        (
            "reads another stream",
            work(|url, _| async move {
                let mut redis = connect(&url).await?;
                let _: () = redis.xgroup_create_mkstream("job.other", "work", "0").await?;
                let options = StreamReadOptions::default().group("work", "w1").block(0);
                let _: Value = redis.xread_options(&["job.other"], &[">"], &options).await?;
                Ok(())
            }),
            "it does not listen to `job.new`: it has the group `work` of `job.other`",
        ),
        (
            "asks for what is not played",
            work(|url, _| async move {
                let mut redis = connect(&url).await?;
                let _: Value = cmd("SUBSCRIBE").arg("news").query_async(&mut redis).await?;
                Ok(())
            }),
            "it sends `SUBSCRIBE news`: pellmell does not play that; docs/guide/redis.md says what it does",
        ),
        (
            "has two groups",
            work(|url, _| async move {
                let mut redis = connect(&url).await?;
                let _: () = redis.xgroup_create_mkstream("job.new", "other", "0").await?;
                for group in ["work", "other"] {
                    let options = StreamReadOptions::default().group(group, "w1");
                    let _: Value = redis.xread_options(&["job.new"], &[">"], &options).await?;
                }
                std::future::pending().await
            }),
            "the groups `other` and `work` take entries of `job.new`: a service has one for each stream",
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
                next(&mut connect(&url).await?).await?;
                panic!("no such job")
            }),
            "it panicked: no such job",
        ),
        (
            "adds what has no names",
            work(|url, _| async move {
                let mut redis = connect(&url).await?;
                next(&mut redis).await?;
                let _: String = redis.xadd("news", "*", &[("a", "b")]).await?;
                std::future::pending().await
            }),
            "it adds to the stream `news`, of which nothing is said: say what its messages are about with `.about(",
        ),
        (
            "writes what is no command",
            work(|url, _| async move {
                next(&mut connect(&url).await?).await?;
                let path = url.trim_start_matches("redis+unix://");
                let mut other = UnixStream::connect(path).expect("it is there");
                std::io::Write::write_all(&mut other, b"+OK\r\n").expect("it takes it");
                std::future::pending().await
            }),
            "a client wrote something that is no command",
        ),
    ];
    for (what, run, expected) in cases {
        let said = said(run);
        assert!(said.contains(expected), "it {what}: {said}");
        assert!(said.contains("the last it wrote:\n"), "it {what}: {said}");
    }
}

#[test]
fn an_entry_is_an_object_of_its_fields() {
    let waits = || work(|url, _| async move { next(&mut connect(&url).await?).await.map(|_| ()) });
    let about = || System::new().about("job.new", Naming::by(|_, _, _| Ok((record('j', "j1"), None))));
    let worker = Service::with_state("worker", Done::default, waits()).listens(["job.new"]);
    let said = said_of(about().publisher("office", [("job.new", json!("j1"))]).service(worker));
    assert!(said.contains("a message on `job.new` is \"j1\": expected an object of the entry's fields"), "{said}");
}

#[test]
fn an_entry_that_is_never_acked_stays_pending_and_that_is_a_verdict() {
    let forgets = work(|url, done| async move {
        let mut redis = connect(&url).await?;
        loop {
            let (_, job) = next(&mut redis).await?;
            done.lock().expect("nobody panics with it").push(job);
        }
    });
    let said = said(forgets);
    assert!(said.contains("NoPoison"), "{said}");
}

#[test]
fn transactions_and_reads_without_acks_are_played_and_a_read_that_finds_nothing_is_over_in_its_time() {
    let transacts = work(|url, done| async move {
        let mut redis = connect(&url).await?;
        loop {
            // Nothing is there before the first job, whose time has not come.
            let options = StreamReadOptions::default().group("work", "w1").block(20).noack();
            let new: Option<StreamReadReply> = redis.xread_options(&["job.new"], &[">"], &options).await?;
            for entry in new.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
                let job = record('j', entry.get::<String>("id").unwrap_or_default());
                let added: (String, i64) = pipe()
                    .atomic()
                    .xadd("job.done", "*", &[("id", job.to_string()), ("payload", r#"{"ok":true}"#.to_owned())])
                    .xack("job.new", "work", &[&entry.id])
                    .query_async(&mut redis)
                    .await?;
                assert_eq!(added, ("1767225600001-0".to_owned(), 1));
                done.lock().expect("nobody panics with it").push(job);
            }
        }
    });
    assert_eq!(said_of(jobs(transacts, 1).about("job.done", Naming::of('j'))), "Held");
}

#[test]
fn no_socket_is_left_of_a_service_that_is_not_needed_any_more() {
    let urls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&urls);
    let run = work(move |url, _| {
        noted.lock().expect("nobody panics with it").push(url.clone());
        async move {
            let mut redis = connect(&url).await?;
            loop {
                let (id, _) = next(&mut redis).await?;
                let _: () = redis.xack("job.new", "work", &[id]).await?;
            }
        }
    });
    assert_eq!(said(run), "Held");
    let urls = urls.lock().expect("nobody panics with it").clone();
    assert!(!urls.is_empty());
    for url in urls {
        let path = std::path::Path::new(url.trim_start_matches("redis+unix://"));
        assert!(!path.exists() && !path.parent().is_some_and(|folder| folder.exists()), "{url}");
    }
}
