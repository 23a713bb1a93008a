//! What becomes of kept cases when the structure of the services changes: departures by name, seeds
//! and lists of indices, side by side.
//!
//! `cargo run --release -p figures --bin survival`: the table of docs/shrinking.md.

#![expect(clippy::print_stdout, reason = "it measures and tells")]

#[path = "../../../../tests/ticketing/support/changed.rs"]
#[expect(dead_code, unreachable_pub, reason = "a test uses the rest")]
mod changed;

use std::collections::BTreeMap;

use changed::{Change, Survival, Survived};
use pellmell::scheduler::{Action, Chosen, Enabled, Scheduler};
use pellmell::shrink::same_failure;
use pellmell::ticketing::Scenario;
use pellmell::ticketing::Ticketing;
use pellmell::{Departing, Fate, FaultPlan, Keyed, Rate, Ratio, Simulation, Verdict, Walk, run};

/// How many seeds are tried for one that fails as the entry does.
const SEEDS: u64 = 20_000;

/// The entries whose runs fail, with their verdicts.
fn failing() -> Vec<(Scenario, Verdict)> {
    let with_verdict = changed::entries().into_iter().map(|(.., scenario)| {
        let mut departing = Departing::new(scenario.schedule.clone());
        let verdict = verdict(&scenario, &Change::Nothing.simulation(&scenario), &mut departing);
        (scenario, verdict)
    });
    with_verdict.filter(|(_, verdict)| !verdict.is_held()).collect()
}

fn verdict(scenario: &Scenario, simulation: &Simulation<Ticketing>, scheduler: &mut impl Scheduler) -> Verdict {
    run(&mut simulation.world(), scheduler, &scenario.judges(), scenario.limits, &mut ()).verdict
}

/// Of each kind of fault that an entry's departures have, one in ten.
fn plan(scenario: &Scenario) -> FaultPlan {
    FaultPlan::of_schedule(&scenario.schedule, Rate::of(Ratio::new(1, 10)))
}

/// Takes the action in each of these places, whatever it is there; then the calm order.
struct Indices {
    steps: std::vec::IntoIter<(usize, Fate)>,
    fate: Fate,
}

impl Scheduler for Indices {
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let Some((place, fate)) = self.steps.next() else {
            self.fate = Fate::CALM;
            return enabled.calm().expect("something may happen");
        };
        self.fate = fate;
        enabled.get(place.min(enabled.len() - 1))
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        chosen.restrict(self.fate)
    }
}

/// Notes the places of the actions that another one picks.
struct Noting(Departing, Vec<(usize, Fate)>);

impl Scheduler for Noting {
    fn offer(&mut self, offer: pellmell::scheduler::Offer) {
        self.0.offer(offer);
    }

    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        let action = self.0.pick(enabled);
        let place = enabled.iter().position(|other| other == action).expect("what is picked is enabled");
        self.1.push((place, Fate::CALM));
        action
    }

    fn fate(&mut self, chosen: &Chosen) -> Fate {
        let fate = self.0.fate(chosen);
        self.1.last_mut().expect("a step was picked").1 = fate;
        fate
    }
}

/// What became of cases that are kept in another way: how many fail as before, fail otherwise, and pass.
#[derive(Default)]
struct Tally {
    same: u32,
    other: u32,
    silent: u32,
}

impl Tally {
    fn add(&mut self, before: &Verdict, after: &Verdict) {
        match after {
            after if same_failure(before, after) => self.same += 1,
            Verdict::Held => self.silent += 1,
            _ => self.other += 1,
        }
    }
}

fn main() {
    by_name();
    println!();
    otherwise();
}

/// The whole corpus, as it is kept: what the check says, and what `corpus renew` mends.
fn by_name() {
    println!(
        "| change | as expected | MOVED | STALE | of these gone for good | BROKEN | FIXED | mended by renew \
         | with a line of renames.toml | nearest names right |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for change in Change::ALL {
        let mut survival = Survival::default();
        for (name, text, _) in changed::entries() {
            survival.add(&Survived::of(change, &name, &text));
        }
        println!("| {} | {} |", change.name(), survival.cells(change).join(" | "));
    }
}

/// The entries that fail, kept in three other ways.
fn otherwise() {
    println!("| change | kept as | cases | the same failure | another failure | passes silently |");
    println!("|---|---|---|---|---|---|");
    let mut tallies = BTreeMap::<(usize, usize), Tally>::new();
    for (scenario, before) in &failing() {
        let unchanged = Change::Nothing.simulation(scenario);
        let mut noting = Noting(Departing::new(scenario.schedule.clone()), Vec::new());
        verdict(scenario, &unchanged, &mut noting);
        let keyed = |seed: u64| Keyed::new(seed, plan(scenario));
        let walk = |seed: u64| Walk::new(seed, plan(scenario), false);
        let fails = |after: Verdict| same_failure(before, &after);
        let keyed_seed = (0..SEEDS).find(|seed| fails(verdict(scenario, &unchanged, &mut keyed(*seed))));
        let walk_seed = (0..SEEDS).find(|seed| fails(verdict(scenario, &unchanged, &mut walk(*seed))));
        for (row, change) in Change::ALL.into_iter().enumerate() {
            let changed = change.simulation(scenario);
            let mut add = |column, after: Verdict| tallies.entry((row, column)).or_default().add(before, &after);
            if let Some(seed) = keyed_seed {
                add(0, verdict(scenario, &changed, &mut keyed(seed)));
            }
            if let Some(seed) = walk_seed {
                add(1, verdict(scenario, &changed, &mut walk(seed)));
            }
            add(2, verdict(scenario, &changed, &mut Indices { steps: noting.1.clone().into_iter(), fate: Fate::CALM }));
        }
    }
    let columns = ["seed, keyed by name", "seed, by position", "list of indices"];
    for ((row, column), Tally { same, other, silent }) in &tallies {
        let cases = same + other + silent;
        let change = Change::ALL[*row].name();
        println!("| {change} | {} | {cases} | {same} | {other} | {silent} |", columns[*column]);
    }
}
