//! The shop of docs/guide/first-bug.md: the test of the page fails, and holds once search is mended.

#![expect(unreachable_pub, reason = "it is written as a library")]

use pellmell::prelude::*;

#[path = "../../examples/shop/as_written/mod.rs"]
pub(crate) mod as_written;
#[expect(clippy::duplicate_mod, reason = "what both have in common is written once")]
#[path = "../../examples/shop/mended/mod.rs"]
pub(crate) mod mended;

use mended::shop::{Ask, Shop};

#[test]
fn search_agrees_with_the_shop_once_it_waits_for_what_is_missing() {
    let prices = [5, 10].map(|price| Ask::SetPrice { item: RecordId::new('i', 1), price });
    let services = Shop::services(&()).on(Profile::adversarial());
    let simulation = services.client("seller", prices.to_vec()).build().expect("the parts fit");
    let checked = testing::check(&simulation, 0..1000, FaultPlan::SOME, &Judges::new(Shop::properties(&())));
    assert!(checked.counts.overtakings > 0, "{checked:?}");
}
