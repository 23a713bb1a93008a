//! How small failing runs become: draws failing runs of every defect of the zoo and shrinks them.
//!
//! `cargo run --release -p figures --bin shrunk_zoo`: the table of docs/shrinking.md, 100 runs a defect.
//! With the name of a defect behind `--`, what is left of each of its runs.

#![expect(clippy::disallowed_types, clippy::print_stdout, reason = "it measures and tells")]

use std::collections::BTreeMap;
use std::time::Instant;

use pellmell::extract::extract;
use pellmell::run::Report;
use pellmell::scheduler::Tie;
use pellmell::shrink::{Shrink, Shrunk};
use pellmell::ticketing::{DEFECTS, Defect, Design, Level, Request, Ticketing, properties};
use pellmell::{FaultPlan, Judges, Keyed, Limits, Simulation, Verdict, run, zoo};

/// How many failing runs of each defect are shrunk.
const FAILURES: usize = 100;
/// How many runs are drawn for them at most.
const DRAWN_MAX: u64 = 200_000;

/// A defect in the world in which it is looked for.
struct Place {
    simulation: Simulation<Ticketing>,
    judges: Judges<Ticketing>,
    plan: FaultPlan,
}

impl Place {
    fn of(defect: &Defect) -> Place {
        let design = Design::REFERENCE.with(&[*defect]);
        let level = defect.needs.max(Level::AnyOrder);
        Place {
            simulation: zoo::playground(&design, defect.playground, zoo::profile(level), defect.splits)
                .expect("the parts fit"),
            judges: Judges::new(properties::promised_by(&design)),
            plan: zoo::faults(level, defect.splits),
        }
    }

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

    fn shrink(&self, seed: u64) -> Measured {
        let began = Instant::now();
        let keyed = Keyed::new(seed, self.plan);
        let extracted = extract(&self.simulation, keyed, &self.judges, Limits::default(), Tie::InOrder);
        let extracted = extracted.expect("no name comes twice here");
        let before = extracted.departures.len();
        let shrunk = Shrink::new(&self.simulation, &self.judges).run(extracted.departures);
        let shrunk = shrunk.expect("the run fails");
        Measured { seed, before, micros: began.elapsed().as_micros(), shrunk }
    }
}

/// A failing run that was shrunk.
struct Measured {
    seed: u64,
    before: usize,
    micros: u128,
    shrunk: Shrunk<Request>,
}

impl Measured {
    fn departures(&self) -> usize {
        self.shrunk.departures.len()
    }

    fn is_quick(&self) -> bool {
        self.shrunk.executions <= 100 && self.micros < 1_000_000
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

fn main() {
    let wanted = std::env::args().nth(1);
    let (mut all, mut as_short, mut good) = (Vec::new(), 0, 0);
    println!(
        "| defect | runs | failures: shortest known | as short | and quickly | most departures | most executions |"
    );
    println!("|---|---|---|---|---|---|---|");
    for defect in DEFECTS.iter().filter(|defect| wanted.as_deref().is_none_or(|name| name == defect.name)) {
        let place = Place::of(defect);
        let measured: Vec<Measured> = place.failing().into_iter().map(|seed| place.shrink(seed)).collect();
        let mut shortest = BTreeMap::<String, usize>::new();
        for one in &measured {
            let known = shortest.entry(failure(&one.shrunk.report)).or_insert(usize::MAX);
            *known = (*known).min(one.departures());
        }
        // At most 1.1 times the shortest known.
        let is_short = |one: &&Measured| one.departures() * 10 <= shortest[&failure(&one.shrunk.report)] * 11;
        let short = measured.iter().filter(is_short).count();
        let short_and_quick = measured.iter().filter(is_short).filter(|one| one.is_quick()).count();
        let most = |of: fn(&Measured) -> usize| measured.iter().map(of).max().unwrap_or_default();
        let known: Vec<String> = shortest.iter().map(|(failure, count)| format!("{failure}: {count}")).collect();
        println!(
            "| `{}` | {} | {} | {short} | {short_and_quick} | {} | {} |",
            defect.name,
            measured.len(),
            known.join(", "),
            most(Measured::departures),
            most(|one| one.shrunk.executions as usize),
        );
        if wanted.is_some() {
            measured.iter().for_each(|one| show(one, is_short(&one)));
        }
        as_short += short;
        good += short_and_quick;
        all.extend(measured);
    }
    summary(&all, as_short, good);
}

fn show(one: &Measured, is_short: bool) {
    let note = if is_short { "" } else { "   NOT as short as known" };
    println!("seed {}: {}{note}", one.seed, failure(&one.shrunk.report));
    one.shrunk.needed.iter().for_each(|needed| println!("    {}", needed.item));
}

/// A figure of a run.
type Figure = fn(&Measured) -> u128;

fn summary(all: &[Measured], as_short: usize, good: usize) {
    println!();
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
        println!("{name}: median {}, 95 % at most {}, all at most {}", at(50), at(95), at(100));
    }
    let count = |what: fn(&Measured) -> bool| all.iter().filter(|one| what(one)).count();
    let (minimal, anchored) = (count(|one| one.shrunk.minimal), count(|one| one.shrunk.is_anchored()));
    println!(
        "of {} runs {as_short} became as short as known, {good} of them within 100 executions and a second; \
         {minimal} are minimal, {anchored} anchored",
        all.len()
    );
}
