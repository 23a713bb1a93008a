//! The tests of docs/guide/nats.md.

#[path = "shop/search.rs"]
#[expect(unreachable_pub, reason = "it is as in a crate of its own")]
mod search;

use pellmell_nats::{Converged, Naming, Row, Service, System, VersionsNeverFall, check};
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
    let page = include_str!("../../../../docs/guide/nats.md");
    assert!(page.contains(&format!("```text\n{told}\n```\n")), "{told}");
}
