//! The tests of docs/guide/redis.md.

#[path = "shop/search.rs"]
#[expect(unreachable_pub, reason = "it is as in a crate of its own")]
mod search;

use pellmell_redis::{Converged, Naming, Row, Service, System, VersionsNeverFall, check};
use serde_json::json;

/// What the test sees of the table.
fn rows(items: &search::Items) -> Vec<Row> {
    let items = items.0.lock().expect("nobody panics with it");
    items.values().map(|item| Row::new('i', &item.id, item.version, json!({ "price": item.price }))).collect()
}

/// A shop that changes a price, and a search service that hears of it.
fn shop_and(search: Service<search::Items>) -> System {
    System::new()
        .about("item.changed", Naming::of('i').record_at("/id").version_at("/version"))
        .publisher(
            "shop",
            [
                ("item.changed", json!({ "id": "i1", "version": 0, "price": 5 })),
                ("item.changed", json!({ "id": "i1", "version": 1, "price": 10 })),
            ],
        )
        .service(search.listens(["item.changed"]).keeps('i', rows))
        .property(Converged)
        .property(VersionsNeverFall)
}

#[test]
#[should_panic(expected = "violated VersionsNeverFall")]
fn search_takes_whatever_comes() {
    check(shop_and(Service::with_state("search", search::Items::default, search::run)));
}

#[test]
fn search_takes_one_change_after_the_other() {
    check(shop_and(Service::with_state("search", search::Items::default, search::run_in_order)));
}

#[test]
fn a_failure_is_told_as_the_page_says() {
    let search = Service::with_state("search", search::Items::default, search::run);
    let failing = std::panic::AssertUnwindSafe(|| check(shop_and(search)));
    let panic = std::panic::catch_unwind(failing).expect_err("it takes whatever comes");
    let text = panic.downcast_ref::<String>().expect("a text");
    // The page is of the test above.
    let text = text.replace("a_failure_is_told_as_the_page_says", "search_takes_whatever_comes");
    let (told, _) = text.split_once("\nso fail ").expect("how often it fails");
    let page = include_str!("../../../../docs/guide/redis.md");
    assert!(page.contains(&format!("```text\n{told}\n```\n")), "{told}");
}

/// Items as a service keeps them that has no versions.
fn prices(items: &search::Items) -> Vec<Row> {
    let items = items.0.lock().expect("nobody panics with it");
    items.values().map(|item| Row::new('i', &item.id, 0, json!({ "price": item.price }))).collect()
}

fn without_versions(search: Service<search::Items>) -> System {
    let change = |price| ("item.changed", json!({ "id": "i1", "version": price, "price": price }));
    System::new()
        .about("item.changed", Naming::of('i'))
        .publisher("shop", [change(5), change(10)])
        .service(search.listens(["item.changed"]).keeps('i', prices))
        .property(Converged)
}

#[test]
#[should_panic(expected = "violated Converged: at search, i1: expected version 0")]
fn where_nothing_has_a_version_copies_are_compared_with_what_was_said_last() {
    check(without_versions(Service::with_state("search", search::Items::default, search::run)));
}

#[test]
fn where_nothing_has_a_version_a_service_may_still_hold() {
    check(without_versions(Service::with_state("search", search::Items::default, search::run_in_order)));
}

/// Each price is the one that was said last.
fn said_last(rows: &[Row]) -> Result<(), String> {
    match rows.iter().find(|row| row.value()["price"] != 10) {
        Some(row) => Err(format!("expected {} to be 10, found {}", row.record(), row.value()["price"])),
        None => Ok(()),
    }
}

#[test]
#[should_panic(expected = "violated SaidLast: at search: expected i1 to be 10, found 5")]
fn a_claim_of_ones_own_is_about_the_rows_of_a_service() {
    let search = Service::with_state("search", search::Items::default, search::run).listens(["item.changed"]);
    let change = |price| ("item.changed", json!({ "id": "i1", "version": price, "price": price }));
    let system = System::new().about("item.changed", Naming::of('i')).publisher("shop", [change(5), change(10)]);
    check(system.service(search.keeps('i', prices)).claim("SaidLast", "search", said_last));
}

#[test]
fn a_claim_is_about_a_service_of_the_test() {
    let shop = ("item.changed", json!({ "id": "i1" }));
    let system = System::new().about("item.changed", Naming::of('i')).publisher("shop", [shop]);
    let system = system.claim("SaidLast", "serach", said_last);
    let error = system.simulation().err().expect("there is no such service");
    assert_eq!(error, "a claim is about `serach`: expected a service of the test: shop");
}

#[test]
#[should_panic(expected = "system.allowing(\"property-without-occasion Converged\").check();")]
fn a_result_that_rests_on_nothing_says_what_to_call() {
    let search = Service::with_state("search", search::Items::default, search::run).listens(["item.changed"]);
    let change = ("item.changed", json!({ "id": "i1", "version": 0, "price": 5 }));
    let system = System::new().about("item.changed", Naming::of('i').version_at("/version"));
    check(system.publisher("shop", [change]).service(search).property(Converged));
}
