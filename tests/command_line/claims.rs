//! The claims of docs/guide/properties.md, on the shop: what each catches, and what it says if nothing could break it.

use pellmell::prelude::*;

use super::shop::as_written::shop::{Ask, Item, Shop};

/// A copy in search is one that the shop had.
struct CopyIsReal;

impl Property<Shop> for CopyIsReal {
    fn name(&self) -> &str {
        "CopyIsReal"
    }

    fn about(&self) -> &'static str {
        "search holds no version of an item that the shop never had"
    }

    fn watches(&self) -> Watch {
        Watch::saves_of::<Item>()
    }

    fn on_step(&self, view: &View<'_, Shop>) -> Result<(), Violation> {
        if view.service() != "search" {
            return Ok(());
        }
        for change in view.changes::<Item>() {
            let Some(copy) = change.after else { continue };
            let original = view.store_of("shop").at_version::<Item>(change.id, copy.version);
            if original.map(|item| item.price) != Some(copy.price) {
                let wrong = format!("no version {} had the price {}", copy.version.0, copy.price);
                return Err(Violation::at("search").of(change.id).because(wrong));
            }
        }
        Ok(())
    }
}

fn a_price_falls() -> Sometimes<Shop> {
    Sometimes::new("PriceFalls", "an item becomes cheaper", |view| {
        view.service() == "shop"
            && view.changes::<Item>().any(|change| match (change.before, change.after) {
                (Some(before), Some(after)) => after.price < before.price,
                _ => false,
            })
    })
}

fn search_converges() -> Box<dyn Property<Shop>> {
    testing::converges("SearchConverges", "shop", "search", |item: &Versioned<Item>, copy: &Versioned<Item>| {
        copy.price == item.price
    })
}

fn of_prices(prices: [u32; 2]) -> Simulation<Shop> {
    let prices = prices.map(|price| Ask::SetPrice { item: RecordId::new('i', 1), price });
    let services = Shop::services(&()).on(Profile::adversarial());
    services.client("seller", prices.to_vec()).build().expect("the parts fit")
}

#[test]
#[should_panic(expected = "violated CopyIsReal")]
fn a_copy_is_real() {
    let judges = Judges::new(vec![Box::new(CopyIsReal) as Box<dyn Property<Shop>>]);
    testing::check(&of_prices([5, 10]), 0..1000, FaultPlan::SOME, &judges);
}

#[test]
#[should_panic(
    expected = "violated SearchConverges: at search, i1: expected version 1 Item { price: 10 }, found version"
)]
fn search_converges_with_the_shop() {
    testing::check(&of_prices([5, 10]), 0..1000, FaultPlan::SOME, &Judges::new(vec![search_converges()]));
}

#[test]
#[should_panic(expected = "PriceFalls")]
fn some_price_falls() {
    let judges = Judges::new(vec![Box::new(NoPoison) as Box<dyn Property<Shop>>]).with_sometimes(vec![a_price_falls()]);
    testing::check(&of_prices([5, 10]), 0..1000, FaultPlan::SOME, &judges);
}

#[test]
fn some_price_falls_if_one_does() {
    let judges = Judges::new(vec![Box::new(NoPoison) as Box<dyn Property<Shop>>]).with_sometimes(vec![a_price_falls()]);
    let checked = testing::check(&of_prices([10, 5]), 0..1000, FaultPlan::SOME, &judges);
    assert!(checked.reached["PriceFalls"] > 0, "{checked:?}");
}
