//! pellmell beside other testing tools on the same work, in one run: see docs/comparison.md.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`, with the number of rounds behind it
//! if it is not to be 7, and `w1`, `searches` or `orders` behind that if it is to be one table only.

mod exhaust;
mod madsim;
mod orders;
mod plain;
mod table;
mod w1;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::ops::Range;

use exhaust::{STATES, Searched, by_hand, compact, ergonomic};
use madsim::Madsim;
use table::{Contestant, Round, Row, compete, print_nanos, print_rates, print_times, timed, times};
use w1::turmoil::Network;

/// Deliveries of a run of W1 on average: what bounds the checkers that need a length before.
const DELIVERIES: u64 = 387;
/// The standard deviation of that number from run to run, measured over 100,000 runs.
const DEVIATION: f64 = 66.0;
const ROUNDS: u64 = 7;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rounds = words.first().map_or(ROUNDS, |word| word.parse().expect("a number of rounds"));
    let table = words.get(1).map(String::as_str);
    assert!(matches!(table, None | Some("w1" | "searches" | "orders")), "`w1`, `searches` or `orders`");
    if matches!(table, None | Some("w1")) {
        let rows = w1(rounds);
        for row in &rows {
            // Four standard errors: who is further off plays another workload.
            let off_max = 4.0 * DEVIATION / (row.runs as f64).sqrt();
            let off = (row.units_per_run - DELIVERIES as f64).abs();
            assert!(off <= off_max, "{}: {:.1} deliveries a run, not {DELIVERIES}", row.name, row.units_per_run);
        }
        println!("W1: {rounds} rounds in turns, medians, one thread\n");
        print_nanos(&rows, 0);
        let times = |name| times(&rows, name, "pellmell");
        println!(
            "\nBeside pellmell's time: shuttle {:.2}, madsim {:.2}, turmoil without latency {:.2}",
            times("shuttle"),
            times("madsim"),
            times("turmoil, no latency")
        );
    }
    if matches!(table, None | Some("searches")) {
        println!("\nThe exhaustive world, {STATES} states: {rounds} rounds in turns, medians, one thread\n");
        let rows = searches(rounds);
        print_rates(&rows, 0);
        let times = times(&rows, "stateright, compact, dfs", "pellmell");
        println!("\npellmell's states per second beside those of stateright's compact model, depth first: {times:.2}");
    }
    if matches!(table, None | Some("orders")) {
        println!("\nOrders of few messages, all of them: {rounds} rounds in turns, medians, one thread");
        println!("TraceForge counts executions, pellmell states. TraceForge has no acks and no redelivery;");
        println!("in `by hand` the receiver is written so that it may send itself what it has handled.\n");
        print_times(&orders::search(rounds));
    }
}

fn w1(rounds: u64) -> Vec<Row> {
    let madsim = Madsim::build();
    let ours = RefCell::new(w1::ours::Ours::new());
    let counted = |play: fn(Range<u64>) -> u64| move |seeds| timed(|| play(seeds));
    let stateright_runs = Cell::new(0);
    let mut contestants = vec![
        contestant("pellmell", 400, |seeds| timed(|| ours.borrow_mut().play(seeds))),
        contestant("by hand", 4_000, counted(|seeds| seeds.map(|seed| w1::by_hand::play(black_box(seed))).sum())),
        contestant("proptest-state-machine", 100, |seeds| {
            let mut by_loop = 0;
            let runs = seeds.end - seeds.start;
            let round = timed(|| {
                let (transitions, rest) = w1::proptest::play(seeds, DELIVERIES);
                by_loop = rest;
                transitions + rest
            });
            // The plain loop at the end of a run stands in for as many idle transitions.
            assert!(by_loop * 10 < runs * DELIVERIES, "{by_loop} deliveries by a plain loop");
            round
        }),
        contestant("shuttle", 100, counted(w1::shuttle::play)),
        contestant("shuttle, channels", 100, counted(w1::shuttle_channels::play)),
        contestant("stateright, simulation", 100, |seeds| {
            let runs = seeds.end - seeds.start;
            let mut round = timed(|| {
                let (deliveries, runs) = w1::stateright::play(seeds, DELIVERIES);
                stateright_runs.set(runs);
                deliveries
            });
            // It stops at a number of states, not of runs: as many of each as if it were `runs`.
            round.nanos = round.nanos * runs / stateright_runs.get();
            round.units = round.units * runs / stateright_runs.get();
            round
        }),
        contestant("madsim", 40, |seeds| madsim.play(seeds)),
        contestant("turmoil, no latency", 20, counted(|seeds| w1::turmoil::play(seeds, Network::Instant))),
        contestant("turmoil, default", 3, counted(|seeds| w1::turmoil::play(seeds, Network::Default))),
    ];
    compete(&mut contestants, rounds)
}

/// A contestant whose rounds have `runs` runs each, with seeds of their own.
fn contestant<'a>(name: &'static str, runs: u64, play: impl Fn(Range<u64>) -> Round + 'a) -> Contestant<'a> {
    Contestant { name: name.to_owned(), runs, play: Box::new(move |round| play(round * runs..(round + 1) * runs)) }
}

fn searches(rounds: u64) -> Vec<Row> {
    let (steps, ours) = (by_hand::search().steps, exhaust::ours::Ours::new());
    let apart = ours.search(true).states;
    // Two tickets share but the state they begin with.
    assert_eq!(apart, 2 * STATES.isqrt() - 1, "pellmell, reduced: another model");
    let mut contestants = vec![
        search("pellmell", STATES, || ours.search(false).states),
        search("pellmell, tickets apart", apart, || ours.search(true).states),
        peer("stateright, ergonomic, bfs", steps, ergonomic::breadth_first),
        peer("stateright, ergonomic, dfs", steps, ergonomic::depth_first),
        peer("stateright, compact, bfs", steps, compact::breadth_first),
        peer("stateright, compact, dfs", steps, compact::depth_first),
        peer("by hand", steps, by_hand::search),
    ];
    compete(&mut contestants, rounds)
}

/// A contestant that finds so many states.
fn search<'a>(name: &'static str, states: u64, search: impl Fn() -> u64 + 'a) -> Contestant<'a> {
    let play = move |_| {
        let round = timed(&search);
        assert_eq!(round.units, states, "{name}: another model");
        black_box(round)
    };
    Contestant { name: name.to_owned(), runs: 1, play: Box::new(play) }
}

/// A contestant whose model is that of the search by hand, which changes the state so many times.
fn peer(name: &'static str, steps: u64, find: fn() -> Searched) -> Contestant<'static> {
    search(name, STATES, move || {
        let searched = find();
        assert_eq!(searched.steps, steps, "{name}: another model");
        searched.states
    })
}
