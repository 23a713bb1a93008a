//! What it costs to watch runs for delivery situations: runs of one scenario with the watch and
//! without, in turns, so that a busy machine slows both alike.
//!
//! `cargo run --release -p figures --bin coverage_cost -- SCENARIO DESIGN`

#![expect(clippy::disallowed_types, clippy::print_stdout, reason = "it measures and tells")]

use std::time::{Duration, Instant};

use pellmell::search::SituationWatch;
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{Design, Ticketing};
use pellmell::{Judges, World};

/// How many rounds each of the two is measured in.
const ROUNDS: u64 = 41;
/// How many runs a round has.
const RUNS: u64 = 4;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "scenarios/price-5-10-15.toml".to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut scenario = Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    let design = arguments.next().unwrap_or_else(|| "reference".to_owned());
    scenario.design = Design::named(&design).unwrap_or_else(|| panic!("there is no design {design}"));

    let simulation = scenario.simulation(0).expect("the parts fit");
    let mut watch = SituationWatch::new(&simulation, &scenario.means());
    let judges = scenario.judges();
    let mut world = simulation.world();
    let (mut bare, mut watched) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let seeds = round * RUNS..(round + 1) * RUNS;
        bare.push(timed(seeds.clone(), |seed| play(&scenario, &judges, &mut world, seed)));
        watched.push(timed(seeds, |seed| {
            world.reset();
            scenario.run(&mut world, &judges, seed, &mut watch);
            watch.end_run(seed);
        }));
    }
    let (bare, watched) = (median(bare), median(watched));
    let per_second = |took: Duration| u128::from(RUNS) * 1_000_000_000 / took.as_nanos().max(1);
    println!("{path}, design {design}: medians of {ROUNDS} rounds of {RUNS} runs");
    println!("without the watch {} runs/s, with it {} runs/s", per_second(bare), per_second(watched));
    let more = watched.saturating_sub(bare).as_nanos() * 1_000 / bare.as_nanos().max(1);
    println!("the watch adds {}.{} %", more / 10, more % 10);
}

fn play(scenario: &Scenario, judges: &Judges<Ticketing>, world: &mut World<Ticketing>, seed: u64) {
    world.reset();
    scenario.run(world, judges, seed, &mut ());
}

fn timed(seeds: std::ops::Range<u64>, mut play: impl FnMut(u64)) -> Duration {
    let began = Instant::now();
    seeds.for_each(&mut play);
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
