//! How small failing runs become: draws failing runs of every defect and shrinks them.
//!
//! `cargo run --release -p figures --bin shrunk_zoo`: the tables of docs/shrinking.md, 100 runs a defect, of the
//! ticketing system, the three systems of `examples/` and ten bugs in one of them. With the name of a defect behind
//! `--`, what is left of each of its runs.

#![expect(clippy::disallowed_types, clippy::print_stdout, reason = "it measures and tells")]

mod planted;

use std::collections::BTreeMap;
use std::time::Instant;

use bank_transfers::BankTransfers;
use order_workflow::OrderWorkflow;
use pellmell::extract::extract;
use pellmell::run::Report;
use pellmell::scenario::{Level, Suite};
use pellmell::schedule::Departure;
use pellmell::scheduler::{Departing, Tie};
use pellmell::search::{HoldSweep, PAIRS_STEPS};
use pellmell::shrink::{Case, Item, Needed, Shrink, Shrunk, same_failure};
use pellmell::ticketing::Ticketing;
use pellmell::zoo;
use pellmell::{FaultPlan, Judges, Keyed, Limits, Simulation, System, Verdict, run};
use planted::{BUGS, Bug};
use read_model::ReadModel;

/// How many failing runs of each defect are shrunk.
const FAILURES: usize = 100;
/// How many runs are drawn for them at most.
const DRAWN_MAX: u64 = 200_000;

/// A defect in the world in which it is looked for.
struct Place<S: System> {
    name: String,
    simulation: Simulation<S>,
    judges: Judges<S>,
    plan: FaultPlan,
}

/// The defects of a system, each in its playground.
fn places<T: Suite>() -> Vec<Place<T>> {
    let place = |defect: pellmell::scenario::Defect<T::Design>| {
        let mut design = T::usual();
        (defect.plant)(&mut design);
        let level = defect.needs.max(Level::AnyOrder);
        let simulation = zoo::playground::<T>(&design, defect.playground, zoo::profile(level), defect.splits);
        Place {
            name: defect.name.to_owned(),
            simulation: simulation.expect("the parts fit"),
            judges: Judges::new(T::properties(&design)),
            plan: zoo::faults(level, defect.splits),
        }
    };
    T::defects().into_iter().map(place).collect()
}

impl<S: System> Place<S> {
    /// The first seeds whose runs fail.
    fn failing(&self) -> Vec<u64> {
        let mut world = self.simulation.world();
        let fails = |seed: &u64| {
            world.reset();
            let mut keyed = Keyed::new(*seed, self.plan);
            !run(&mut world, &mut keyed, &self.judges, Limits::default(), &mut ()).verdict.is_held()
        };
        (0..DRAWN_MAX).filter(fails).take(FAILURES).collect()
    }

    /// What `pellmell shrink` does.
    fn shrink(&self, seed: u64) -> Measured {
        let began = Instant::now();
        let keyed = Keyed::new(seed, self.plan);
        let extracted = extract(&self.simulation, keyed, &self.judges, Limits::default(), Tie::InOrder);
        let extracted = extracted.expect("no name comes twice here");
        let before = extracted.departures.len();
        let finds = |departures: usize| self.finds(departures - 1);
        let shrink = Shrink::new(&self.simulation, &self.judges).with_finds(&finds);
        let shrunk = shrink.run(extracted.departures).expect("the run fails");
        let micros = began.elapsed().as_micros();
        let true_reasons = shrunk.needed.iter().filter(|needed| self.is_true(&shrunk, needed)).count();
        Measured { seed, before, micros, true_reasons, shrunk: shrunk.with_labels() }
    }

    fn finds(&self, departures: usize) -> Vec<Vec<Departure>> {
        let sweep = HoldSweep::new(&self.simulation, &self.judges).with_faults(self.plan);
        sweep.within(departures, PAIRS_STEPS).run().finds()
    }

    /// Whether what is left comes to what is said if it is replayed without this.
    fn is_true(&self, shrunk: &Shrunk<S::Command>, needed: &Needed) -> bool {
        let simulation = shrunk.simulation(&self.simulation);
        let whole = Case::whole(&simulation, shrunk.departures.clone());
        let case = match &needed.item {
            Item::Departure(departure) => {
                let rest = shrunk.departures.iter().filter(|left| *left != departure).cloned().collect();
                Case::whole(&simulation, rest)
            }
            Item::Command(command) => {
                let left_out: Vec<_> =
                    whole.commands.iter().copied().filter(|index| simulation.command(*index) == *command).collect();
                assert_eq!(left_out.len(), 1, "{command}");
                whole.without_commands(&left_out)
            }
            other => panic!("{other} is neither"),
        };
        let mut departing = Departing::new(case.departures.clone());
        let mut world = case.simulation(&simulation).world();
        let verdict = run(&mut world, &mut departing, &self.judges, Limits::default(), &mut ()).verdict;
        match &needed.without {
            Some(said) => verdict.is_held() == said.is_held() && (said.is_held() || same_failure(said, &verdict)),
            None => true,
        }
    }
}

/// A failing run that was shrunk.
struct Measured {
    seed: u64,
    before: usize,
    micros: u128,
    true_reasons: usize,
    shrunk: Shrunk<String>,
}

impl Measured {
    fn departures(&self) -> usize {
        self.shrunk.departures.len()
    }
}

/// What counts as the same failure, as text.
fn failure(report: &Report) -> String {
    match &report.verdict {
        Verdict::Violated { property, violation } => {
            let kind = violation.record.map(|record| format!(" of {}", record.kind())).unwrap_or_default();
            format!("{property} at {}{kind}", violation.service)
        }
        other => other.word().to_owned(),
    }
}

/// What came of all runs so far.
#[derive(Default)]
struct Total {
    measured: Vec<Measured>,
    as_short: usize,
}

impl Total {
    fn table<S: System>(&mut self, title: &str, places: &[Place<S>], wanted: Option<&str>) {
        let mut places = places.iter().filter(|place| wanted.is_none_or(|name| name == place.name)).peekable();
        if places.peek().is_none() {
            return;
        }
        println!("{title}\n");
        println!("| defect | runs | failures: shortest known | as short | most departures | most executions |");
        println!("|---|---|---|---|---|---|");
        places.for_each(|place| self.row(place, wanted.is_some()));
        println!();
    }

    fn row<S: System>(&mut self, place: &Place<S>, shows: bool) {
        let measured: Vec<Measured> = place.failing().into_iter().map(|seed| place.shrink(seed)).collect();
        let mut shortest = BTreeMap::<String, usize>::new();
        for one in &measured {
            let known = shortest.entry(failure(&one.shrunk.report)).or_insert(usize::MAX);
            *known = (*known).min(one.departures());
        }
        let is_short = |one: &&Measured| one.departures() == shortest[&failure(&one.shrunk.report)];
        let short = measured.iter().filter(is_short).count();
        let most = |of: fn(&Measured) -> usize| measured.iter().map(of).max().unwrap_or_default();
        let known: Vec<String> = shortest.iter().map(|(failure, count)| format!("{failure}: {count}")).collect();
        println!(
            "| `{}` | {} | {} | {short} | {} | {} |",
            place.name,
            measured.len(),
            known.join(", "),
            most(Measured::departures),
            most(|one| one.shrunk.executions as usize),
        );
        if shows {
            measured.iter().for_each(|one| show(one, is_short(&one)));
        }
        self.as_short += short;
        self.measured.extend(measured);
    }

    fn summary(&self) {
        let all = &self.measured;
        let figures: [(&str, Figure); 5] = [
            ("departures of the run", |one| one.before as u128),
            ("departures left", |one| one.departures() as u128),
            ("commands left", |one| one.shrunk.commands.len() as u128),
            ("executions", |one| one.shrunk.executions.into()),
            ("microseconds", |one| one.micros),
        ];
        for (name, of) in figures {
            let mut numbers: Vec<u128> = all.iter().map(of).collect();
            numbers.sort_unstable();
            let at = |percent: usize| numbers[(numbers.len() - 1) * percent / 100];
            println!("- {name}: median {}, 95 % at most {}, all at most {}", at(50), at(95), at(100));
        }
        let count = |what: fn(&Measured) -> bool| all.iter().filter(|one| what(one)).count();
        let reasons: usize = all.iter().map(|one| one.shrunk.needed.len()).sum();
        let true_reasons: usize = all.iter().map(|one| one.true_reasons).sum();
        println!("- of {} runs {} became as short as known", all.len(), self.as_short);
        println!("- {} took at most 100 executions", count(|one| one.shrunk.executions <= 100));
        println!("- of {reasons} sentences that say what comes of it without something {true_reasons} are true");
        println!(
            "- {} are minimal; {} fail in each order of the groups as they are, {} with more departures",
            count(|one| one.shrunk.minimal),
            count(|one| one.shrunk.is_anchored()),
            count(|one| one.shrunk.anchors.as_ref().is_some_and(|anchors| !anchors.is_empty())),
        );
    }
}

/// A figure of a run.
type Figure = fn(&Measured) -> u128;

fn show(one: &Measured, is_short: bool) {
    let note = if is_short { "" } else { "   NOT as short as known" };
    println!("seed {}: {}{note}", one.seed, failure(&one.shrunk.report));
    one.shrunk.needed.iter().for_each(|needed| println!("    {}", needed.item));
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let wanted = std::env::args().nth(1);
    let wanted = wanted.as_deref();
    let bug = |bug: &Bug| Place {
        name: format!("{bug:?}"),
        simulation: bug.simulation(),
        judges: Bug::judges(),
        plan: FaultPlan::SOME,
    };
    let mut total = Total::default();
    total.table("Ticketing:", &places::<Ticketing>(), wanted);
    total.table("Order workflow:", &places::<OrderWorkflow>(), wanted);
    total.table("Bank transfers:", &places::<BankTransfers>(), wanted);
    total.table("Read model:", &places::<ReadModel>(), wanted);
    total.table("Order workflow, ten bugs:", &BUGS.iter().map(bug).collect::<Vec<_>>(), wanted);
    total.summary();
}
