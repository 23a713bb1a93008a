//! Ten defects of services on Redis Streams: each is found by the call that tests make, and without it every property
//! holds, whichever way the service gets what was left to it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use pellmell_core::ids::RecordId;
use pellmell_redis::{Converged, DoneOnce, Naming, Row, Service, System, VersionsNeverFall, record};
use redis::aio::MultiplexedConnection;
use redis::streams::{
    StreamAutoClaimOptions, StreamAutoClaimReply, StreamClaimReply, StreamId, StreamPendingCountReply,
    StreamReadOptions, StreamReadReply,
};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisResult};
use serde_json::json;
use tokio::sync::mpsc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    TakesWhateverComes,
    AddsUpWhatComesAgain,
    MailsAgain,
    RemembersInMemory,
    LeavesOutGaps,
    NeverClaims,
    HasAnotherNameEachTime,
    GivesUpAtTheSecondDelivery,
    ReadsAndAcksOverOneConnection,
    DropsWhatItClaims,
}

use Bug::*;

/// How a service gets what it, or another one, has had before and not acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// `XAUTOCLAIM` before each read.
    Claims,
    /// `XPENDING` and `XCLAIM` before each read.
    LooksAndClaims,
    /// It reads its own history when it starts.
    ReadsItsHistory,
}

/// In production these are tables.
#[derive(Clone, Default)]
struct Tables(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    items: BTreeMap<String, (u64, u64)>,
    mails: Vec<RecordId>,
    mailed: BTreeSet<String>,
    starts: u32,
}

const KEY: &str = "item.changed";
const GROUP: &str = "stock";
const IDLE: usize = 30_000;

struct Stock {
    redis: MultiplexedConnection,
    tables: Tables,
    bug: Option<Bug>,
    consumer: String,
    seen: BTreeSet<String>,
}

async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// Keeps copies of items and mails that each has come, with a defect or without.
async fn stock(url: String, tables: Tables, bug: Option<Bug>, left: Left) -> RedisResult<()> {
    let has = |of: Bug| bug == Some(of);
    let mut redis = connect(&url).await?;
    let _: RedisResult<()> = redis.xgroup_create_mkstream(KEY, GROUP, "0").await;
    let start = {
        let mut kept = tables.0.lock().expect("nobody panics with it");
        kept.starts += 1;
        kept.starts
    };
    let consumer = if has(HasAnotherNameEachTime) { format!("stock-{start}") } else { "stock".to_owned() };
    let mut stock = Stock { redis, tables, bug, consumer: consumer.clone(), seen: BTreeSet::new() };
    if has(ReadsAndAcksOverOneConnection) {
        return stock.read_beside().await;
    }
    let options = StreamReadOptions::default().group(GROUP, &consumer).count(10).block(5_000);
    if left == Left::ReadsItsHistory {
        let mut after = "0".to_owned();
        loop {
            let old: StreamReadReply = stock.redis.xread_options(&[KEY], &[&after], &options).await?;
            let entries: Vec<StreamId> = old.keys.into_iter().flat_map(|key| key.ids).collect();
            let Some(last) = entries.last() else { break };
            after = last.id.clone();
            for entry in entries {
                stock.handle(entry).await?;
            }
        }
    }
    loop {
        for entry in stock.claimed(left).await? {
            if has(DropsWhatItClaims) {
                stock.ack(&entry).await?;
            } else {
                stock.handle(entry).await?;
            }
        }
        let new: Option<StreamReadReply> = stock.redis.xread_options(&[KEY], &[">"], &options).await?;
        for entry in new.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
            stock.handle(entry).await?;
        }
    }
}

impl Stock {
    async fn claimed(&mut self, left: Left) -> RedisResult<Vec<StreamId>> {
        match left {
            _ if self.bug == Some(NeverClaims) => Ok(Vec::new()),
            Left::ReadsItsHistory => Ok(Vec::new()),
            Left::Claims => {
                let some = StreamAutoClaimOptions::default().count(10);
                let left: StreamAutoClaimReply =
                    self.redis.xautoclaim_options(KEY, GROUP, &self.consumer, IDLE, "0-0", some).await?;
                Ok(left.claimed)
            }
            Left::LooksAndClaims => {
                let pending: StreamPendingCountReply = self.redis.xpending_count(KEY, GROUP, "-", "+", 10).await?;
                let mut left = Vec::new();
                for entry in pending.ids {
                    if self.bug == Some(GivesUpAtTheSecondDelivery) && entry.times_delivered > 0 {
                        let _: () = self.redis.xack(KEY, GROUP, &[entry.id]).await?;
                        continue;
                    }
                    let claimed: StreamClaimReply =
                        self.redis.xclaim(KEY, GROUP, &self.consumer, IDLE, &[entry.id]).await?;
                    left.extend(claimed.ids);
                }
                Ok(left)
            }
        }
    }

    /// Reads in one task and handles in another one, over one connection: the ack waits until the read is over.
    async fn read_beside(mut self) -> RedisResult<()> {
        let (hand_on, mut handed_on) = mpsc::channel(10);
        let mut redis = self.redis.clone();
        tokio::spawn(async move {
            let options = StreamReadOptions::default().group(GROUP, "stock").block(0);
            loop {
                let new: RedisResult<StreamReadReply> = redis.xread_options(&[KEY], &[">"], &options).await;
                let Ok(new) = new else { return };
                for entry in new.keys.into_iter().flat_map(|key| key.ids) {
                    if hand_on.send(entry).await.is_err() {
                        return;
                    }
                }
            }
        });
        while let Some(entry) = handed_on.recv().await {
            self.handle(entry).await?;
        }
        Ok(())
    }

    async fn ack(&mut self, entry: &StreamId) -> RedisResult<()> {
        self.redis.xack(KEY, GROUP, &[&entry.id]).await
    }

    async fn handle(&mut self, entry: StreamId) -> RedisResult<()> {
        let has = |of: Bug| self.bug == Some(of);
        let id: String = entry.get("id").unwrap_or_default();
        let (version, count): (u64, u64) = (entry.get("version").unwrap_or(0), entry.get("count").unwrap_or(0));
        {
            let mut kept = self.tables.0.lock().expect("nobody panics with it");
            let held = kept.items.get(&id).copied();
            let next = held.map_or(0, |(version, _)| version + 1);
            if version > next {
                // One before it is under way: this one is claimed when it has come.
                if !has(LeavesOutGaps) {
                    return Ok(());
                }
            } else {
                let (before, sum) = held.unwrap_or((0, 0));
                if has(AddsUpWhatComesAgain) {
                    kept.items.insert(id.clone(), (version.max(before), sum + count));
                } else if version >= next {
                    kept.items.insert(id.clone(), (version, sum + count));
                } else if has(TakesWhateverComes) {
                    kept.items.insert(id.clone(), (version, sum));
                }
                let key = format!("{id}@{version}");
                let is_new = match self.bug {
                    Some(MailsAgain) => true,
                    Some(RemembersInMemory) => self.seen.insert(key),
                    _ => kept.mailed.insert(key),
                };
                if is_new && version == 0 {
                    kept.mails.push(record('i', &id));
                }
            }
        }
        self.ack(&entry).await
    }
}

fn system(bug: Option<Bug>, left: Left) -> System {
    let stock = Service::with_state("stock", Tables::default, move |url, tables| stock(url, tables, bug, left))
        .listens([KEY])
        .keeps('i', |tables: &Tables| {
            let kept = tables.0.lock().expect("nobody panics with it");
            kept.items.iter().map(|(id, (version, sum))| Row::new('i', id, *version, json!({ "sum": sum }))).collect()
        })
        .does("mail", |tables: &Tables| tables.0.lock().expect("nobody panics with it").mails.clone());
    let changed = [(0, 2, 2), (1, 3, 5), (2, 1, 6)];
    let changed = changed
        .map(|(version, count, sum)| (KEY, json!({ "id": "i1", "version": version, "count": count, "sum": sum })));
    System::new()
        .about(KEY, Naming::of('i').version_at("/version"))
        .publisher("shop", changed)
        .service(stock)
        .property(Converged)
        .property(VersionsNeverFall)
        .property(DoneOnce)
        .seeds(0..10)
}

#[test]
fn without_a_defect_every_property_holds_however_it_gets_what_was_left() {
    for left in [Left::Claims, Left::LooksAndClaims, Left::ReadsItsHistory] {
        system(None, left).check();
    }
}

#[test]
fn each_defect_is_found() {
    let bugs = [
        (TakesWhateverComes, Left::Claims, "violated VersionsNeverFall: at stock"),
        (AddsUpWhatComesAgain, Left::Claims, "violated Converged: at stock"),
        (MailsAgain, Left::LooksAndClaims, "violated DoneOnce: at stock"),
        (RemembersInMemory, Left::ReadsItsHistory, "violated DoneOnce: at stock"),
        (LeavesOutGaps, Left::Claims, "violated Converged: at stock"),
        (NeverClaims, Left::Claims, "violated NoPoison"),
        (HasAnotherNameEachTime, Left::ReadsItsHistory, "violated NoPoison"),
        (GivesUpAtTheSecondDelivery, Left::LooksAndClaims, "violated Converged: at stock"),
        (ReadsAndAcksOverOneConnection, Left::Claims, "violated NoPoison"),
        (DropsWhatItClaims, Left::Claims, "violated Converged: at stock"),
    ];
    let mut wrong = Vec::new();
    for (bug, left, expected) in bugs {
        let check = AssertUnwindSafe(|| system(Some(bug), left).check());
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
