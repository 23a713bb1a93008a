//! Times the reference workload W1 through the public API next to a hand-written loop that does
//! the same, in one run. Prints; asserts only that both do the same work.
//!
//! Run it with `cargo bench --bench w1`; `cargo bench --bench w1 -- play 300` only plays 300 runs.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

mod by_hand;
mod growth;
mod system;

use std::alloc::{GlobalAlloc, Layout, System as Heap};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use pellmell::{FaultPlan, Judges, Limits, Profile, Rate, Ratio, RecordId, Simulation, Walk, World, run};
use system::{AckedApplied, Converged, Owner, Prefix, Replica, SetPrice, W1};

const RUNS: u64 = 20_000;
const ROUNDS: usize = 7;

fn main() {
    let mut world = simulation(8, &round_robin).world();
    let judges = judges();
    let plan = FaultPlan {
        duplicate: Rate::of(Ratio::new(1, 10)),
        lose_ack: Rate::of(Ratio::new(1, 10)),
        attempts_max: u16::MAX,
        ..FaultPlan::NONE
    };
    // `play N` only plays, for tools that count instructions.
    let mut arguments = std::env::args().skip_while(|argument| argument != "play").skip(1);
    if let Some(runs) = arguments.next() {
        let runs: u64 = runs.parse().expect("`play` takes a number of runs");
        let deliveries: u64 = (0..runs).map(|seed| play(&mut world, &judges, plan, seed)).sum();
        println!("{deliveries} deliveries");
        return;
    }
    let mut library = Vec::new();
    let mut by_hand = Vec::new();
    let mut deliveries = (0, 0);
    for _ in 0..ROUNDS {
        deliveries.0 = 0;
        let begin = Instant::now();
        for seed in 0..RUNS {
            deliveries.0 += play(&mut world, &judges, plan, seed);
        }
        library.push(begin.elapsed().as_nanos() as u64 / deliveries.0);
        deliveries.1 = 0;
        let begin = Instant::now();
        for seed in 0..RUNS {
            deliveries.1 += black_box(by_hand::play(black_box(seed)));
        }
        by_hand.push(begin.elapsed().as_nanos() as u64 * 10 / deliveries.1);
    }
    library.sort_unstable();
    by_hand.sort_unstable();
    let (ours, hand) = (library[ROUNDS / 2], by_hand[ROUNDS / 2]);
    println!("W1, {RUNS} runs, median of {ROUNDS} rounds, one thread");
    println!(
        "  pellmell   {ours:>6} ns per delivery   {} deliveries a run, min {}, max {}",
        deliveries.0 / RUNS,
        library[0],
        library[ROUNDS - 1]
    );
    println!("  by hand    {:>4}.{} ns per delivery   {} deliveries a run", hand / 10, hand % 10, deliveries.1 / RUNS);
    println!("  allocations per delivery in steady state: {}", allocations(&mut world, &judges, plan));
    start_to_verdict();
    growth::threads(plan);
    growth::tables(plan);
}

fn judges() -> Judges<W1> {
    Judges::new(vec![Box::new(Prefix), Box::new(AckedApplied), Box::new(Converged)])
}

/// The ticket of command `i`, if tickets take turns.
fn round_robin(i: u32, tickets: u32) -> u32 {
    i % tickets
}

/// W1 with this many tickets, each created once and changed seven times.
fn simulation(tickets: u32, ticket_of: &dyn Fn(u32, u32) -> u32) -> Simulation<W1> {
    let command = |i| SetPrice { ticket: RecordId::new('t', ticket_of(i, tickets)), price: 10 + i * 7 % 13 };
    let commands = (0..8 * tickets).map(command);
    Simulation::on(Profile::adversarial())
        .service(Owner)
        .service(Replica)
        .client("seller", commands.collect())
        .redeliver_futile(true)
        .build()
        .expect("the parts fit")
}

/// All commands first, then the deliveries.
fn play(world: &mut World<W1>, judges: &Judges<W1>, plan: FaultPlan, seed: u64) -> u64 {
    play_by(Walk::new(seed, plan, true), world, judges, Limits::default())
}

fn play_by(mut scheduler: Walk, world: &mut World<W1>, judges: &Judges<W1>, limits: Limits) -> u64 {
    world.reset();
    let report = run(world, &mut scheduler, judges, limits, &mut ());
    assert!(report.verdict.is_held(), "W1 holds: {:?}", report.verdict);
    black_box(report.fingerprint);
    report.counts.deliveries
}

/// The time from nothing to a verdict for a small scenario.
fn start_to_verdict() {
    let mut micros: Vec<u64> = (0..101)
        .map(|seed| {
            let begin = Instant::now();
            let judges = judges();
            let mut world = simulation(8, &round_robin).world();
            black_box(play(&mut world, &judges, FaultPlan::SOME, seed));
            begin.elapsed().as_micros() as u64
        })
        .collect();
    micros.sort_unstable();
    println!("  from nothing to a verdict: {} us (median of 101)", micros[50]);
}

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes every call on to the system allocator unchanged.
#[expect(unsafe_code, reason = "counting allocations needs a global allocator")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        unsafe { Heap.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { Heap.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations per delivery over 1,000 runs of a world that has played them before, as text.
fn allocations(world: &mut World<W1>, judges: &Judges<W1>, plan: FaultPlan) -> String {
    let mut total = 0;
    let mut deliveries = 0;
    for seed in 0..1_000 {
        let before = ALLOCATIONS.load(Relaxed);
        deliveries += play(world, judges, plan, seed);
        total += ALLOCATIONS.load(Relaxed) - before;
    }
    format!("{total} in {deliveries} deliveries")
}
