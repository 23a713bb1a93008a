//! How the cost of a delivery grows with the messages of one run, and how two threads share the work.

use std::thread;
use std::time::Instant;

use pellmell::{FaultPlan, Limits, Walk};

use crate::{judges, play, play_by, round_robin, simulation};

const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
const ROUNDS: usize = 5;

/// Prints two tables with a line for each number of messages, eight for each ticket: one ticket after
/// the other, each command when the walk comes to it; and as in W1, all of them pending before the
/// first delivery, in the worst order for a cache.
pub(crate) fn tables(plan: FaultPlan) {
    for (word, all_first) in [("as they come", false), ("all pending first", true)] {
        println!("  messages in one run, {word:<17}   deliveries   ns per delivery");
        for messages in SIZES {
            let (deliveries, ns) = cost(messages, all_first, plan);
            println!("  {messages:>38}   {deliveries:>10}   {ns:>15}");
        }
    }
}

/// The deliveries of one run and the nanoseconds each took: the median of a few rounds of a world
/// that has played before.
fn cost(messages: u32, all_first: bool, plan: FaultPlan) -> (u64, u64) {
    let judges = judges();
    let tickets = messages / 8;
    let mut world =
        if all_first { simulation(tickets, &round_robin).world() } else { simulation(tickets, &|i, _| i / 8).world() };
    let limits = Limits { steps_max: u64::MAX, ..Limits::default() };
    let runs = u64::from(1_000_000 / messages).clamp(1, 100);
    let mut deliveries = 0;
    let mut rounds: Vec<u64> = (0..=ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            deliveries = 0;
            for seed in 0..runs {
                let scheduler = Walk::new(seed, plan, all_first);
                deliveries += play_by(scheduler, &mut world, &judges, limits);
            }
            begin.elapsed().as_nanos() as u64 / deliveries
        })
        // The first round takes the memory.
        .skip(1)
        .collect();
    rounds.sort_unstable();
    (deliveries / runs, rounds[rounds.len() / 2])
}

/// Prints how many times the runs of one thread two threads play in the same time.
pub(crate) fn threads(plan: FaultPlan) {
    const RUNS: u64 = 5_000;
    let mut hundredths: Vec<u64> = (0..ROUNDS)
        .map(|_| {
            let one = elapsed(1, RUNS, plan);
            let two = elapsed(2, RUNS, plan);
            200 * one / two
        })
        .collect();
    hundredths.sort_unstable();
    let median = hundredths[ROUNDS / 2];
    println!("  two threads against one: {}.{:02} times the runs in the same time", median / 100, median % 100);
}

/// The nanoseconds in which each of `threads` threads plays `runs` runs.
fn elapsed(threads: u64, runs: u64, plan: FaultPlan) -> u64 {
    let begin = Instant::now();
    thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let judges = judges();
                let mut world = simulation(8, &round_robin).world();
                for seed in 0..runs {
                    play(&mut world, &judges, plan, thread * runs + seed);
                }
            });
        }
    });
    begin.elapsed().as_nanos() as u64
}
