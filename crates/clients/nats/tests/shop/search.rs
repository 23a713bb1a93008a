//! A search service as it runs in production: it keeps copies of the items of a shop.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Error;
use async_nats::jetstream::{self, AckKind, consumer, stream};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Item {
    pub id: String,
    pub version: u64,
    pub price: u32,
}

/// In production this is a table.
#[derive(Clone, Default)]
pub struct Items(pub Arc<Mutex<BTreeMap<String, Item>>>);

pub async fn run(url: String, items: Items) -> Result<(), Error> {
    serve(url, items, store).await
}

pub async fn run_in_order(url: String, items: Items) -> Result<(), Error> {
    serve(url, items, store_in_order).await
}

async fn serve(url: String, items: Items, store: fn(&Items, Item)) -> Result<(), Error> {
    let client = async_nats::connect(url).await?;
    let jetstream = jetstream::new(client);
    let config = stream::Config { name: "ITEMS".to_owned(), subjects: vec!["item.>".to_owned()], ..Default::default() };
    let stream = jetstream.get_or_create_stream(config).await?;
    let config = consumer::pull::Config {
        durable_name: Some("search".to_owned()),
        ack_wait: Duration::from_secs(10),
        ..Default::default()
    };
    let consumer = stream.get_or_create_consumer("search", config).await?;
    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        match serde_json::from_slice::<Item>(&message.payload) {
            Ok(item) => {
                store(&items, item);
                message.ack().await?;
            }
            Err(_) => message.ack_with(AckKind::Term).await?,
        }
    }
    Ok(())
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
