//! How sweeps grow: with threads, in memory, and with the messages of a run.
//!
//! `cargo run --release -p figures --bin sweep_scale`: the tables of docs/sharding.md. With `quick` behind it
//! everything is a tenth of the size.

#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "it measures and tells")]
#![expect(clippy::disallowed_types, reason = "it measures wall time")]

use std::time::Instant;

use pellmell::search::Sweep;
use pellmell::ticketing::Scenario;

const SHIPPED: &str = include_str!("../../../../scenarios/price-5-10-15.toml");

/// The shipped scenario with another number of tickets: each is created once and edited twice, which
/// are three messages.
fn with_tickets(tickets: u64) -> Scenario {
    let text = SHIPPED.replace("tickets = 200", &format!("tickets = {tickets}"));
    Scenario::parse("price-5-10-15.toml", &text).expect("the shipped scenario with another number")
}

/// How long a sweep takes, in milliseconds.
fn sweep(scenario: &Scenario, runs: u64, threads: u32) -> f64 {
    let began = Instant::now();
    let result = Sweep { source: scenario, judges: &scenario.judges_with_sometimes(), seeds: 0..runs, threads }
        .run(|_, _| ())
        .expect("its parts fit");
    assert_eq!((result.totals.runs(), result.totals.held), (runs, runs));
    began.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The most memory the process ever had, in KiB; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn main() {
    let scale = if std::env::args().any(|flag| flag == "quick") { 10 } else { 1 };

    println!("| runs | seconds | µs per run | most memory |\n|---|---|---|---|");
    let small = with_tickets(2);
    for runs in [10_000, 100_000, 1_000_000].map(|runs| runs / scale) {
        let time = sweep(&small, runs, 1);
        println!("| {runs} | {:.2} | {:.1} | {} KiB |", time / 1e3, time * 1e3 / runs as f64, peak_kib());
    }

    let shipped = with_tickets(200);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        one.push(sweep(&shipped, 400 / scale, 1));
        two.push(sweep(&shipped, 400 / scale, 2));
    }
    let (one, two) = (median(one), median(two));
    println!("\n| threads | ms, median of 15 | times as fast |\n|---|---|---|");
    println!("| 1 | {one:.0} | 1 |\n| 2 | {two:.0} | {:.2} |", one / two);

    println!("\n| messages | ms per run | µs per message |\n|---|---|---|");
    for messages in [1_000, 10_000, 100_000].map(|messages| messages / scale) {
        let scenario = with_tickets(messages / 3);
        let times = (0..3).map(|_| sweep(&scenario, 1, 1)).collect();
        let time = median(times);
        println!("| {messages} | {time:.1} | {:.2} |", time * 1e3 / messages as f64);
    }
}
