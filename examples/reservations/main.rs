//! An orders service of `async fn`s over repositories, and what a simulation finds in it: docs/guide/async.md.
//!
//! Run it with `cargo run --release --example reservations`.

#![expect(unreachable_pub, reason = "it is written as a library")]
#![expect(clippy::print_stdout, reason = "what is found is said")]

use pellmell::search::HoldSweep;
use pellmell::{FaultPlan, Rate, Ratio};

mod orders;
mod simulated;

fn main() {
    let pauses = FaultPlan { pause: Rate::of(Ratio::new(1, 2)), ..FaultPlan::NONE };
    for (name, unique) in [("look, then insert", false), ("a unique constraint", true)] {
        let (simulation, judges) = (simulated::simulation(unique), simulated::sold_once());
        let swept = HoldSweep::new(&simulation, &judges).with_faults(pauses).run();
        let first = swept.buckets.values().min_by_key(|bucket| bucket.place);
        let departures = first.map(|bucket| bucket.departures.iter().map(ToString::to_string).collect::<Vec<_>>());
        let found = departures.map_or("sold once".to_owned(), |lines| format!("sold twice: {}", lines.join(", ")));
        println!("{name}: {} schedules, {found}", swept.schedules);
    }
}
