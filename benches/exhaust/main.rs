//! Searches all states of two tickets with three updates each, lossy acks and duplicates, first
//! together and then apart, and says how many states there are and how many are looked at a second.
//! Prints; asserts only that the numbers of states are what counting by hand gives.
//!
//! Run it with `cargo bench --bench exhaust`.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

#[path = "../w1/system.rs"]
mod system;

use std::time::Instant;

use pellmell::search::{Bounds, DeliveryOrder, Exhaust, ExhaustResult, Most};
use pellmell::{Judges, RecordId, Simulation};
use system::{AckedApplied, Converged, Owner, Prefix, Replica, SetPrice, W1};

const ROUNDS: usize = 7;
const UPDATES: u32 = 3;

fn main() {
    let bounds = Bounds { lost_acks: Most::Any, duplicates: 1, ..Bounds::of(DeliveryOrder::Any) };
    let judges = Judges::<W1>::new(vec![Box::new(Prefix), Box::new(AckedApplied), Box::new(Converged)]);
    let simulation = simulation(bounds);
    println!("2 tickets with {UPDATES} updates each, {bounds}, median of {ROUNDS} rounds, one thread");
    // See the test `two_tickets_have_the_product_of_their_states_together_and_the_sum_apart`.
    let states = |published: u32| 3u64.pow(published + 1) - 2u64.pow(published + 1) - 2u64.pow(published) / 2;
    let of_one = (0..=UPDATES + 1).map(states).sum::<u64>();
    for (word, reduce, expected) in [("together", false, of_one * of_one), ("apart", true, 2 * of_one - 1)] {
        let search = Exhaust::new(&simulation, &judges).with_bounds(bounds).with_reduction(reduce);
        let (exhausted, took_us) = timed(&search);
        assert!(exhausted.is_complete() && exhausted.stats.states == expected, "{exhausted:?}");
        let (states, steps) = (exhausted.stats.states, exhausted.stats.transitions);
        let rate = u128::from(states) * 1_000_000 / took_us.max(1);
        println!("  {word:<9} {states:>7} states, {steps:>7} steps, {took_us:>9} us, {rate:>8} states/s");
    }
}

fn timed(search: &Exhaust<'_, W1>) -> (ExhaustResult, u128) {
    let mut rounds: Vec<(u128, ExhaustResult)> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            let exhausted = search.run();
            (began.elapsed().as_micros(), exhausted)
        })
        .collect();
    rounds.sort_by_key(|(microseconds, _)| *microseconds);
    let (microseconds, exhausted) = rounds.swap_remove(ROUNDS / 2);
    (exhausted, microseconds)
}

fn simulation(bounds: Bounds) -> Simulation<W1> {
    let services = Simulation::on(bounds.order.profile()).service(Owner).service(Replica);
    let clients = (1..=2).map(|number| {
        let ticket = RecordId::new('t', number);
        (0..=UPDATES).map(|update| SetPrice { ticket, price: 10 + update }).collect::<Vec<_>>()
    });
    let hosted =
        clients.zip(["ann", "bob"]).fold(services, |services, (commands, name)| services.client(name, commands));
    hosted.build().expect("the parts fit")
}
