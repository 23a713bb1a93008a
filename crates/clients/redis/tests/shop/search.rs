//! A search service as it runs in production: it keeps copies of the items of a shop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimOptions, StreamAutoClaimReply, StreamId, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisResult};

#[derive(Clone, Debug)]
pub struct Item {
    pub id: String,
    pub version: u64,
    pub price: u32,
}

/// In production this is a table.
#[derive(Clone, Default)]
pub struct Items(pub Arc<Mutex<BTreeMap<String, Item>>>);

const CHANGES: &str = "item.changed";
const GROUP: &str = "search";
const CONSUMER: &str = "search-1";

pub async fn run(url: String, items: Items) -> RedisResult<()> {
    serve(url, items, store).await
}

pub async fn run_in_order(url: String, items: Items) -> RedisResult<()> {
    serve(url, items, store_in_order).await
}

async fn serve(url: String, items: Items, store: fn(&Items, Item)) -> RedisResult<()> {
    // A read that waits takes longer than the client allows by itself.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut redis = Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await?;
    let made: RedisResult<()> = redis.xgroup_create_mkstream(CHANGES, GROUP, "0").await;
    if let Err(error) = made
        && error.code() != Some("BUSYGROUP")
    {
        return Err(error);
    }
    let options = StreamReadOptions::default().group(GROUP, CONSUMER).count(10).block(5_000);
    loop {
        // What somebody has had for half a minute and not acked.
        let some = StreamAutoClaimOptions::default().count(10);
        let left: StreamAutoClaimReply =
            redis.xautoclaim_options(CHANGES, GROUP, CONSUMER, 30_000, "0-0", some).await?;
        for entry in left.claimed {
            handle(&mut redis, &items, entry, store).await?;
        }
        let new: Option<StreamReadReply> = redis.xread_options(&[CHANGES], &[">"], &options).await?;
        for entry in new.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids) {
            handle(&mut redis, &items, entry, store).await?;
        }
    }
}

async fn handle(
    redis: &mut MultiplexedConnection,
    items: &Items,
    entry: StreamId,
    store: fn(&Items, Item),
) -> RedisResult<()> {
    if let (Some(id), Some(version), Some(price)) = (entry.get("id"), entry.get("version"), entry.get("price")) {
        store(items, Item { id, version, price });
    }
    redis.xack(CHANGES, GROUP, &[entry.id]).await
}

fn store(items: &Items, item: Item) {
    let mut items = items.0.lock().expect("nobody panics with it");
    items.insert(item.id.clone(), item);
}

fn store_in_order(items: &Items, item: Item) {
    let mut items = items.0.lock().expect("nobody panics with it");
    if items.get(&item.id).is_none_or(|held| held.version < item.version) {
        items.insert(item.id.clone(), item);
    }
}
