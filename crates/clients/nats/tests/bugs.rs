//! Ten defects of services on JetStream: each is found by the call that tests make, and without it every property
//! holds.

#[path = "shop/worker.rs"]
#[expect(dead_code, reason = "it is for other tests too")]
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, AckKind, Message, stream};
use async_nats::{Error, HeaderMap};
use futures_util::StreamExt;
use pellmell_core::ids::RecordId;
use pellmell_nats::{Converged, DoneOnce, Naming, Row, Service, System, VersionsNeverFall, record};
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    TakesWhateverComes,
    AddsUpWhatComesAgain,
    MailsAgain,
    RemembersInMemory,
    LeavesOutGaps,
    TerminatesWhatComesEarly,
    RefusesWhatItHas,
    TakesASecondAttemptForDone,
    PublishesWithoutId,
    IsSlowerThanTheAckWait,
}

use Bug::*;

/// In production these are tables.
#[derive(Clone, Default)]
struct Tables(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    items: BTreeMap<String, (u64, u64)>,
    mails: Vec<RecordId>,
    mailed: BTreeSet<String>,
}

async fn consume(url: &str, name: &str, subject: &str) -> Result<(jetstream::Context, pull::Stream), Error> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let subjects = vec!["item.*".to_owned(), "bill.*".to_owned()];
    let stream =
        jetstream.get_or_create_stream(stream::Config { name: "S".to_owned(), subjects, ..Default::default() });
    let config = pull::Config {
        durable_name: Some(name.to_owned()),
        filter_subject: subject.to_owned(),
        ack_wait: Duration::from_secs(10),
        ..Default::default()
    };
    let messages = stream.await?.get_or_create_consumer(name, config).await?.messages().await?;
    Ok((jetstream, messages))
}

/// Keeps copies of items and mails that each has come, with a defect or without.
async fn stock(url: String, tables: Tables, bug: Option<Bug>) -> Result<(), Error> {
    let has = |of: Bug| bug == Some(of);
    let (jetstream, mut messages) = consume(&url, "stock", "item.changed").await?;
    let mut seen = BTreeSet::new();
    while let Some(message) = messages.next().await {
        let message = message?;
        let body: serde_json::Value = serde_json::from_slice(&message.payload)?;
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        let (version, count) = (body["version"].as_u64().unwrap_or(0), body["count"].as_u64().unwrap_or(0));
        if has(IsSlowerThanTheAckWait) {
            tokio::time::sleep(Duration::from_secs(12)).await;
        }
        if has(TakesASecondAttemptForDone) && message.info()?.delivered > 1 {
            message.ack().await?;
            continue;
        }
        let held = tables.0.lock().expect("nobody panics with it").items.get(&id).copied();
        let next = held.map_or(0, |(version, _)| version + 1);
        if version > next {
            // One before it is under way.
            let kind = match bug {
                Some(LeavesOutGaps) => AckKind::Ack,
                Some(TerminatesWhatComesEarly) => AckKind::Term,
                _ => AckKind::Nak(Some(Duration::from_secs(1))),
            };
            message.ack_with(kind).await?;
            continue;
        }
        if version < next && has(RefusesWhatItHas) {
            message.ack_with(AckKind::Nak(None)).await?;
            continue;
        }
        {
            let mut kept = tables.0.lock().expect("nobody panics with it");
            let (before, sum) = held.unwrap_or((0, 0));
            if has(AddsUpWhatComesAgain) {
                kept.items.insert(id.clone(), (version.max(before), sum + count));
            } else if version >= next {
                kept.items.insert(id.clone(), (version, sum + count));
            } else if has(TakesWhateverComes) {
                kept.items.insert(id.clone(), (version, sum));
            }
            let key = format!("{id}@{version}");
            let is_new = match bug {
                Some(MailsAgain) => true,
                Some(RemembersInMemory) => seen.insert(key),
                _ => kept.mailed.insert(key),
            };
            if is_new && version == 0 {
                kept.mails.push(record('i', &id));
            }
        }
        bill(&jetstream, &id, version, has(PublishesWithoutId)).await?;
        message.ack().await?;
    }
    Ok(())
}

async fn bill(jetstream: &jetstream::Context, id: &str, version: u64, without_id: bool) -> Result<(), Error> {
    let mut headers = HeaderMap::new();
    if !without_id {
        headers.insert("Nats-Msg-Id", format!("{id}@{version}").as_str());
    }
    let body = format!(r#"{{"id":"b:{id}-{version}"}}"#);
    jetstream.publish_with_headers("bill.due", headers, body.into()).await?.await?;
    Ok(())
}

/// Charges each bill once, by the sequence of its message.
async fn billing(url: String, tables: Tables) -> Result<(), Error> {
    let (_, mut messages) = consume(&url, "billing", "bill.due").await?;
    while let Some(message) = messages.next().await {
        let message: Message = message?;
        let body: serde_json::Value = serde_json::from_slice(&message.payload)?;
        let sequence = message.info()?.stream_sequence.to_string();
        {
            let mut kept = tables.0.lock().expect("nobody panics with it");
            if kept.mailed.insert(sequence) {
                kept.mails.push(record('b', body["id"].as_str().unwrap_or_default().trim_start_matches("b:")));
            }
        }
        message.ack().await?;
    }
    Ok(())
}

fn mails(tables: &Tables) -> Vec<RecordId> {
    tables.0.lock().expect("nobody panics with it").mails.clone()
}

fn system(bug: Option<Bug>) -> System {
    let stock = Service::with_state("stock", Tables::default, move |url, tables| stock(url, tables, bug))
        .listens(["item.changed"])
        .keeps('i', |tables: &Tables| {
            let kept = tables.0.lock().expect("nobody panics with it");
            kept.items.iter().map(|(id, (version, sum))| Row::new('i', id, *version, json!({ "sum": sum }))).collect()
        })
        .does("mail", mails);
    let billing = Service::with_state("billing", Tables::default, billing).listens(["bill.due"]).does("charge", mails);
    let changed = [(0, 2, 2), (1, 3, 5), (2, 1, 6)];
    let changed = changed.map(|(version, count, sum)| {
        ("item.changed", json!({ "id": "i1", "version": version, "count": count, "sum": sum }))
    });
    System::new()
        .about("item.changed", Naming::of('i').version_at("/version"))
        .about("bill.due", Naming::of('b'))
        .publisher("shop", changed)
        .service(stock)
        .service(billing)
        .property(Converged)
        .property(VersionsNeverFall)
        .property(DoneOnce)
        .seeds(0..10)
}

#[test]
fn without_a_defect_every_property_holds() {
    system(None).check();
}

#[test]
fn each_defect_is_found() {
    let bugs = [
        (TakesWhateverComes, "violated VersionsNeverFall: at stock"),
        (AddsUpWhatComesAgain, "violated Converged: at stock"),
        (MailsAgain, "violated DoneOnce: at stock"),
        (RemembersInMemory, "violated DoneOnce: at stock"),
        (LeavesOutGaps, "violated Converged: at stock"),
        (TerminatesWhatComesEarly, "violated Converged: at stock"),
        (RefusesWhatItHas, "violated NoPoison"),
        (TakesASecondAttemptForDone, "violated Converged: at stock"),
        (PublishesWithoutId, "violated DoneOnce: at billing"),
        (IsSlowerThanTheAckWait, "violated NoPoison"),
    ];
    let mut wrong = Vec::new();
    for (bug, expected) in bugs {
        let check = AssertUnwindSafe(|| system(Some(bug)).check());
        match catch_unwind(check) {
            Ok(_) => wrong.push(format!("{bug:?} is not found")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().expect("a text");
                if !text.contains(expected) {
                    wrong.push(format!("{bug:?}: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
