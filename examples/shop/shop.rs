//! A shop owns items; search keeps copies of them and learns of each change by an event.
//!
//! It is `src/lib.rs` of docs/guide/first-bug.md but for search, which is beside it, as first written and as mended.
use super::search;

use pellmell::prelude::*;
use pellmell::testing::{Closures, at_quiescence, service};

/// What the shop owns and search copies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Item {
    pub price: u32,
}

impl Record for Item {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

/// What a client can ask for.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    SetPrice { item: RecordId, price: u32 },
}

impl Command for Ask {
    fn service(&self) -> &str {
        "shop"
    }

    fn record(&self) -> RecordId {
        let Ask::SetPrice { item, .. } = self;
        *item
    }
}

pub struct Shop;

impl System for Shop {
    type Event = Snapshot<Item>;
    type Command = Ask;
}

/// Each save gives a record its next version, from 0.
pub const POLICY: VersionPolicy = VersionPolicy::EVERY_SAVE;

fn shop() -> Closures<Shop> {
    service::<Shop>("shop").owns::<Item>(POLICY).on_command(|ask, ctx| {
        let Ask::SetPrice { item, price } = *ask;
        let held = ctx.store.find::<Item>(item).map(|held| held.version);
        let version = ctx.store.overwrite(item, Item { price }, held);
        ctx.publish(Snapshot { id: item, version, value: Item { price } });
        Ok(())
    })
}

impl Suite for Shop {
    const NAME: &'static str = "shop";
    type Design = ();
    type Workload = NoWorkload;
    type Stored = NoRecords;

    fn services(_: &()) -> Services<Shop> {
        Services::new().service(shop()).service(search())
    }

    fn properties(_: &()) -> Vec<Box<dyn Property<Shop>>> {
        vec![at_quiescence("SearchAgrees", |moment| {
            for (id, item) in moment.store_of("shop").all::<Item>() {
                let copy = moment.store_of("search").find::<Item>(id);
                if copy.map(|copy| copy.price) != Some(item.price) {
                    return Err(Violation::at("search").of(id).because("the copy has another price"));
                }
            }
            Ok(())
        })]
    }
}
