//! What several tests say of the shop: that it saves and tells, and that a search follows it.

use pellmell::doc_example::{Changed, Item, Shop};
use pellmell::testing::{Closures, at_quiescence, service};
use pellmell::{Judges, Moment, RecordId, VersionPolicy, Violation};

/// A shop that saves the prices it is told, and says so.
pub(crate) fn shop() -> Closures<Shop> {
    service::<Shop>("shop").owns::<Item>(VersionPolicy::EVERY_SAVE).on_command(|change, ctx| {
        let held = ctx.store.find::<Item>(change.item).map(|item| item.version);
        let version = ctx.store.overwrite(change.item, Item { price: change.price }, held);
        ctx.publish(Changed { item: change.item, version, price: change.price });
        Ok(())
    })
}

/// At rest search has the price of the shop for an item.
pub(crate) fn same_price(item: RecordId) -> Judges<Shop> {
    Judges::new(vec![at_quiescence("SamePrice", move |moment: &Moment<'_, Shop>| {
        let price = |service| moment.store_of(service).find::<Item>(item).map(|item| item.price);
        let (expected, found) = (price("shop"), price("search"));
        match found == expected {
            true => Ok(()),
            false => Err(Violation::at("search").of(item).because(format!("{found:?}, not {expected:?}"))),
        }
    })])
}
