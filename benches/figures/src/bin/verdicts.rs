//! Whether the reference and the saga hold on each broker, with every fault that it knows.
//!
//! `cargo run --release -p figures --bin verdicts`: the table of docs/brokers/README.md, of 100,000 runs each; with
//! a number behind it, of as many runs, and with names of brokers behind that, of those.

#![expect(clippy::print_stdout, reason = "it measures and tells")]

#[path = "../../../../tests/ticketing/support/verdicts.rs"]
mod verdicts;

use std::thread;

/// Of how many runs the table is.
const RUNS: u64 = 100_000;

/// What a design's runs on a broker came to, in words.
fn verdict(broker: &str, (design, file): (&str, &str), runs: u64) -> String {
    let path = format!("scenarios/{file}.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}: run it from the root"));
    let failures = verdicts::failures(&verdicts::on(broker, design, &text), runs);
    let told = failures.iter().map(|(property, (times, first))| format!("`{property}` {times}, first in seed {first}"));
    let told: Vec<String> = told.collect();
    if told.is_empty() { "held".to_owned() } else { told.join("; ") }
}

fn main() {
    let runs = std::env::args().nth(1).map_or(RUNS, |runs| runs.parse().expect("a number of runs"));
    println!("| profile | `reference` | `saga` |\n|---|---|---|");
    let named: Vec<String> = std::env::args().skip(2).collect();
    let is_named = |broker: &&str| named.is_empty() || named.iter().any(|name| name == broker);
    for broker in verdicts::brokers().into_iter().filter(is_named) {
        let [reference, saga] = verdicts::DESIGNS;
        let (reference, saga) = thread::scope(|scope| {
            let other = scope.spawn(|| verdict(broker, saga, runs));
            (verdict(broker, reference, runs), other.join().expect("it ends"))
        });
        println!("| `{broker}` | {reference} | {saga} |");
    }
}
