//! The little system the examples in the documentation share: a shop owns items, search copies
//! them. Not part of the interface.

use serde::{Deserialize, Serialize};

use crate::{Command, Event, Record, RecordId, Subject, System, Version};

/// The system.
pub struct Shop;

impl System for Shop {
    type Event = Changed;
    type Command = Change;
}

/// An item of the shop.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Item {
    /// Its price.
    pub price: u32,
}

impl Record for Item {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

/// An item's price is another one.
#[derive(Clone, Debug, Hash, Serialize)]
pub struct Changed {
    /// The item.
    pub item: RecordId,
    /// Its version.
    pub version: Version,
    /// Its price.
    pub price: u32,
}

impl Event for Changed {
    fn subject(&self) -> Subject {
        Subject::new("item:changed")
    }

    fn record(&self) -> RecordId {
        self.item
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// Asks the shop to change an item's price.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
pub struct Change {
    /// The item.
    pub item: RecordId,
    /// Its price.
    pub price: u32,
}

impl Command for Change {
    fn service(&self) -> &'static str {
        "shop"
    }

    fn record(&self) -> RecordId {
        self.item
    }

    fn label(&self) -> String {
        format!("change {} to {}", self.item, self.price)
    }
}
