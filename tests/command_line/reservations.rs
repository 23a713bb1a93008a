//! The orders service of docs/guide/async.md, whose handlers are `async fn`s: the test of the page fails, and holds
//! with a unique constraint.

#![expect(unreachable_pub, reason = "it is written as a library")]

use pellmell::prelude::*;

#[path = "../../examples/reservations/mod.rs"]
mod example;

use example::simulated::{simulation, sold_once};

#[test]
#[should_panic(expected = "violated SoldOnce: at orders, t1: it has 2 orders")]
fn a_ticket_is_sold_once() {
    testing::check(&simulation(false), 0..1000, FaultPlan::SOME, &sold_once());
}

#[test]
fn a_ticket_is_sold_once_where_the_database_sees_to_it() {
    let checked = testing::check(&simulation(true), 0..1000, FaultPlan::SOME, &sold_once());
    assert!(checked.counts.pauses > 100, "{checked:?}");
}
