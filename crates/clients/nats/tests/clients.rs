//! What clients speak: services on `async-nats` that use it in one way each.

#[path = "shop/worker.rs"]
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull, push};
use async_nats::jetstream::{self, AckKind, stream};
use async_nats::{Error, HeaderMap};
use futures_util::StreamExt;
use pellmell_nats::{Conversation, Service, record, request};
use serde_json::json;
use worker::{Done, Work, answers_to, calm, done, jobs, verdict, work};

async fn stream(url: &str) -> Result<(jetstream::Context, stream::Stream), Error> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let config = stream::Config { name: "JOBS".to_owned(), subjects: vec!["job.>".to_owned()], ..Default::default() };
    let stream = jetstream.create_stream(config).await?;
    Ok((jetstream, stream))
}

fn durable() -> pull::Config {
    pull::Config { durable_name: Some("worker".to_owned()), ack_wait: Duration::from_secs(10), ..Default::default() }
}

#[test]
fn messages_are_pulled_as_a_stream_a_batch_or_what_is_there() {
    async fn as_a_stream(url: String, done: Done) -> Result<(), Error> {
        let mut messages = stream(&url).await?.1.create_consumer(durable()).await?.messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            done.note(&message.subject, &message.payload);
            message.double_ack().await?;
        }
        Ok(())
    }
    async fn in_batches(url: String, done: Done) -> Result<(), Error> {
        let consumer = stream(&url).await?.1.create_consumer(durable()).await?;
        loop {
            let mut batch = consumer.batch().max_messages(2).expires(Duration::from_secs(3)).messages().await?;
            while let Some(message) = batch.next().await {
                let message = message?;
                done.note(&message.subject, &message.payload);
                message.ack().await?;
            }
        }
    }
    async fn what_is_there(url: String, done: Done) -> Result<(), Error> {
        let consumer = stream(&url).await?.1.create_consumer(durable()).await?;
        loop {
            let mut batch = consumer.fetch().max_messages(10).messages().await?;
            while let Some(message) = batch.next().await {
                let message = message?;
                done.note(&message.subject, &message.payload);
                message.ack().await?;
            }
        }
    }
    async fn what_is_there_now_and_then(url: String, done: Done) -> Result<(), Error> {
        let consumer = stream(&url).await?.1.create_consumer(durable()).await?;
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let mut batch = consumer.fetch().max_messages(10).messages().await?;
            while let Some(message) = batch.next().await {
                let message = message?;
                done.note(&message.subject, &message.payload);
                message.ack().await?;
            }
        }
    }
    for run in [work(as_a_stream), work(in_batches), work(what_is_there), work(what_is_there_now_and_then)] {
        let report = calm(jobs(run, 5));
        assert_eq!((verdict(&report), report.counts.deliveries), ("Held".to_owned(), 5));
    }
}

/// A worker that does with a message what `handle` says, which is told the attempt.
macro_rules! handling {
    ($name:ident, $message:ident, $attempt:ident, $jetstream:ident, $handle:block) => {
        async fn $name(url: String, done: Done) -> Result<(), Error> {
            let ($jetstream, stream) = stream(&url).await?;
            let mut messages = stream.create_consumer(durable()).await?.messages().await?;
            while let Some(message) = messages.next().await {
                let $message = message?;
                let $attempt = $message.info()?.delivered;
                // Not each of them looks at all.
                let _ = ($attempt, &$jetstream);
                let _ = ($attempt, &$jetstream);
                done.note(&$message.subject, &$message.payload);
                $handle
            }
            Ok(())
        }
    };
}

#[test]
fn deliveries_are_acked_refused_terminated_and_worked_on_for_long() {
    handling!(naks, message, attempt, _jetstream, {
        let delay = Some(Duration::from_secs(4));
        let kind = if attempt < 3 { AckKind::Nak(delay) } else { AckKind::Ack };
        message.ack_with(kind).await?;
    });
    handling!(terminates, message, attempt, _jetstream, {
        message.ack_with(AckKind::Term).await?;
    });
    handling!(progresses, message, attempt, _jetstream, {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(6)).await;
            message.ack_with(AckKind::Progress).await?;
        }
        message.ack().await?;
    });
    handling!(too_slow_at_first, message, attempt, _jetstream, {
        tokio::time::sleep(Duration::from_secs(if attempt < 2 { 12 } else { 1 })).await;
        message.ack().await?;
    });
    for (run, deliveries) in
        [(work(naks), 3), (work(terminates), 1), (work(progresses), 1), (work(too_slow_at_first), 2)]
    {
        let report = calm(jobs(run, 1));
        assert_eq!((verdict(&report), report.counts.deliveries), ("Held".to_owned(), deliveries));
    }
}

#[test]
fn a_message_that_is_never_acked_in_time_is_poison_whatever_becomes_of_it() {
    async fn too_slow(url: String, _: Done) -> Result<(), Error> {
        let mut messages = stream(&url).await?.1.create_consumer(durable()).await?.messages().await?;
        while let Some(message) = messages.next().await {
            tokio::time::sleep(Duration::from_secs(12)).await;
            message?.ack().await?;
        }
        Ok(())
    }
    async fn forgets(url: String, _: Done) -> Result<(), Error> {
        let mut messages = stream(&url).await?.1.create_consumer(durable()).await?.messages().await?;
        while let Some(message) = messages.next().await {
            message?;
        }
        Ok(())
    }
    for run in [work(too_slow), work(forgets)] {
        let said = verdict(&calm(jobs(run, 1)));
        assert!(said.contains("NoPoison"), "{said}");
    }
    handling!(slow_and_seen, message, attempt, _jetstream, {
        tokio::time::sleep(Duration::from_secs(12)).await;
        message.ack().await?;
    });
    let said = verdict(&calm(jobs(work(slow_and_seen), 1)));
    assert!(said.contains("NoPoison"), "{said}");
}

#[test]
fn a_message_that_is_delivered_as_often_as_it_may_be_is_told_of_once() {
    fn giving_up(told: &Arc<Mutex<Vec<String>>>, naks: bool) -> Work {
        let told = Arc::clone(told);
        work(move |url, _: Done| {
            let told = Arc::clone(&told);
            async move {
                let (jetstream, stream) = stream(&url).await?;
                let client = jetstream.client();
                let mut advisories = client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>").await?;
                let config = pull::Config { max_deliver: 2, ..durable() };
                let mut messages = stream.create_consumer(config).await?.messages().await?;
                loop {
                    tokio::select! {
                        Some(message) = messages.next() => {
                            if naks {
                                message?.ack_with(AckKind::Nak(None)).await?;
                            }
                        }
                        Some(advisory) = advisories.next() => {
                            let said: serde_json::Value = serde_json::from_slice(&advisory.payload)?;
                            let line = format!("{} {} {}", advisory.subject, said["stream_seq"], said["deliveries"]);
                            told.lock().expect("nobody panics with it").push(line);
                        }
                    }
                }
            }
        })
    }
    for naks in [true, false] {
        let told = Arc::default();
        calm(jobs(giving_up(&told, naks), 1));
        let told = told.lock().expect("nobody panics with it").clone();
        assert_eq!(told, ["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.JOBS.worker 1 2"], "{naks}");
    }
}

#[test]
fn publishes_are_acked_with_their_sequence_and_ids_are_known_again() {
    handling!(publishes, message, attempt, jetstream, {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{}", message.info()?.stream_sequence).as_str());
        headers.insert("Trace", "7");
        let body = bytes::Bytes::from(format!(r#"{{"id":"j{}"}}"#, message.info()?.stream_sequence));
        for is_again in [false, true] {
            let ack = jetstream.publish_with_headers("job.done", headers.clone(), body.clone()).await?.await?;
            assert_eq!((ack.stream.as_str(), ack.duplicate), ("JOBS", is_again));
        }
        message.ack().await?;
    });
    let conversation = Conversation::default();
    let system = jobs(work(publishes), 2).about("job.done", pellmell_nats::Naming::of('j'));
    let counts = Service::with_state("counts", Done::default, |url, done: Done| async move {
        let (_, stream) = stream(&url).await?;
        let config = pull::Config { filter_subject: "job.done".to_owned(), ..durable() };
        let mut messages = stream.create_consumer(config).await?.messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            let trace = message.headers.as_ref().and_then(|headers| headers.get("Trace"));
            assert_eq!(trace.map(|trace| trace.as_str()), Some("7"));
            done.note(&message.subject, &message.payload);
            message.ack().await?;
        }
        Ok::<(), Error>(())
    });
    let counts = counts.listens(["job.done"]).does("done", done).noted_in(&conversation);
    let report = calm(system.service(counts));
    assert_eq!((verdict(&report), report.counts.deliveries), ("Held".to_owned(), 4));
    assert!(conversation.take().iter().any(|line| line.contains("$JS.ACK.JOBS.worker.1.")));
}

#[test]
fn messages_are_pushed_to_a_consumer_or_come_to_a_subscription() {
    async fn pushed(url: String, done: Done) -> Result<(), Error> {
        let config = push::Config {
            durable_name: Some("worker".to_owned()),
            deliver_subject: "deliver.worker".to_owned(),
            deliver_group: Some("workers".to_owned()),
            idle_heartbeat: Duration::from_secs(5),
            ack_policy: AckPolicy::Explicit,
            ..Default::default()
        };
        let mut messages = stream(&url).await?.1.create_consumer(config).await?.messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            done.note(&message.subject, &message.payload);
            message.ack().await?;
        }
        Ok(())
    }
    async fn subscribed(url: String, done: Done) -> Result<(), Error> {
        let client = async_nats::connect(url).await?;
        let mut messages = client.queue_subscribe("job.*", "workers".to_owned()).await?;
        while let Some(message) = messages.next().await {
            done.note(&message.subject, &message.payload);
        }
        Ok(())
    }
    for run in [work(pushed), work(subscribed)] {
        let report = calm(jobs(run, 3));
        assert_eq!((verdict(&report), report.counts.deliveries), ("Held".to_owned(), 3));
    }
}

#[test]
fn a_command_is_a_request_that_is_answered_or_refused() {
    async fn answers(url: String, done: Done) -> Result<(), Error> {
        let client = async_nats::connect(url).await?;
        let mut requests = client.subscribe("worker.add").await?;
        while let Some(request) = requests.next().await {
            let reply = request.reply.clone().expect("a request");
            if request.payload.as_ref() == b"null" {
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Service-Error-Code", "422");
                headers.insert("Nats-Service-Error", "nothing to add");
                client.publish_with_headers(reply, headers, "".into()).await?;
                continue;
            }
            done.note(&request.subject, &request.payload);
            client.publish(reply, "added".into()).await?;
        }
        Ok(())
    }
    let system = |body: serde_json::Value| {
        let worker = Service::with_state("worker", Done::default, answers).does("done", done);
        let requests = [request("worker", "worker.add", record('j', "j1"), body)];
        pellmell_nats::System::new().service(worker).client("ann", requests)
    };
    let added = answers_to(system(json!({ "id": "j1" })));
    assert_eq!(added, ["accepted"]);
    let refused = answers_to(system(json!(null)));
    assert_eq!(refused, ["rejected 422: nothing to add"]);
}

#[test]
fn streams_and_consumers_can_be_asked_for() {
    async fn asks(url: String, done: Done) -> Result<(), Error> {
        let (jetstream, mut stream) = stream(&url).await?;
        assert!(jetstream.get_stream("NONE").await.is_err());
        assert_eq!(jetstream.stream_by_subject("job.new").await?, "JOBS");
        assert_eq!(stream.info().await?.config.subjects, ["job.>"]);
        assert!(stream.get_consumer::<pull::Config>("worker").await.is_err());
        let mut consumer = stream.get_or_create_consumer("worker", durable()).await?;
        assert_eq!(consumer.info().await?.config.ack_wait, Duration::from_secs(10));
        let consumer = stream.get_consumer::<pull::Config>("worker").await?;
        let mut messages = consumer.messages().await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            done.note(&message.subject, &message.payload);
            message.ack().await?;
        }
        Ok(())
    }
    let report = calm(jobs(work(asks), 1));
    assert_eq!(verdict(&report), "Held");
}
