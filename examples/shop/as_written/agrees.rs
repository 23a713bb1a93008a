//! The test, which fails: search is not right yet.
use super::shop::{Ask, Shop};
use pellmell::prelude::*;

#[test]
#[should_panic(expected = "violated SearchAgrees")]
fn search_agrees_with_the_shop() {
    let prices = [5, 10].map(|price| Ask::SetPrice { item: RecordId::new('i', 1), price });
    let services = Shop::services(&()).on(Profile::adversarial());
    let simulation = services.client("seller", prices.to_vec()).build().expect("the parts fit");
    testing::check(&simulation, 0..1000, FaultPlan::SOME, &Judges::new(Shop::properties(&())));
}
