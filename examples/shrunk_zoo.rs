//! How small failing runs become: draws failures of every defect of the zoo and shrinks them.
//!
//! `cargo run --release --example shrunk_zoo`, with the name of a defect to see what is left.

#![expect(clippy::disallowed_types, clippy::print_stdout, reason = "it measures and tells")]

use std::time::Instant;

use pellmell::extract::extract;
use pellmell::scheduler::{Departing, Tie};
use pellmell::shrink::{Shrink, Shrunk};
use pellmell::ticketing::{Defect, Design, properties};
use pellmell::{Judges, Keyed, Limits, Verdict, run, zoo};

/// How many failures of each defect are shrunk.
const FAILURES: usize = 10;

fn main() {
    let (mut before, mut after, mut commands, mut executions, mut micros) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut minimal, mut anchored, mut held, mut total) = (0, 0, 0, 0);
    for defect in Defect::ALL {
        let design = Design::REFERENCE.with(&[*defect]);
        let (level, stage) = (defect.needs.max(pellmell::ticketing::Level::AnyOrder), defect.stage);
        let simulation = zoo::playground(&design, stage, zoo::profile(level), defect.splits);
        let judges = Judges::new(properties::promised_by(&design));
        let limits = Limits::default();
        let mut world = simulation.world();
        let mut line = String::new();
        for seed in (0..20_000).filter({
            let mut found = 0;
            let judges = &judges;
            let plan = zoo::faults(level, defect.splits);
            move |seed| {
                if found == FAILURES {
                    return false;
                }
                world.reset();
                let verdict = run(&mut world, &mut Keyed::new(*seed, plan), judges, limits, &mut ()).verdict;
                found += usize::from(!verdict.is_held());
                !verdict.is_held()
            }
        }) {
            let keyed = Keyed::new(seed, zoo::faults(level, defect.splits));
            let began = Instant::now();
            let extracted = extract(&simulation, keyed, &judges, limits, Tie::InOrder).expect("departures");
            let Ok(shrunk) = Shrink::of(&simulation, &judges, limits).run(extracted.departures.clone()) else {
                held += 1;
                continue;
            };
            micros.push(began.elapsed().as_micros());
            let Shrunk { departures, commands: kept, because, .. } = &shrunk;
            let left = kept.iter().map(Vec::len).sum::<usize>();
            line += &format!(" {}+{}", departures.len(), left);
            before.push(extracted.departures.len() as u128);
            after.push(departures.len() as u128);
            commands.push(left as u128);
            executions.push(u128::from(shrunk.executions));
            minimal += usize::from(shrunk.minimal);
            anchored += usize::from(shrunk.anchored);
            held += because.iter().filter(|(_, verdict)| *verdict == Some(Verdict::Held)).count();
            total += because.len();
            if std::env::args().nth(1).is_some_and(|name| name == defect.name) {
                let again = shrunk.simulation(&simulation);
                let mut departing = Departing::new(departures.clone());
                let again = run(&mut again.world(), &mut departing, &judges, limits, &mut ());
                println!(
                    "seed {seed}: {:?} minimal {} anchored {}",
                    again.verdict.signature(),
                    shrunk.minimal,
                    shrunk.anchored
                );
                because.iter().for_each(|(item, verdict)| {
                    println!("    {item}   without it: {:?}", verdict.as_ref().and_then(Verdict::signature))
                });
            }
        }
        println!("{:>24}{line}", defect.name);
    }
    for (name, mut numbers) in [
        ("departures extracted", before),
        ("departures left", after),
        ("commands left", commands),
        ("executions", executions),
        ("microseconds", micros),
    ] {
        numbers.sort_unstable();
        let at = |percent: usize| numbers[(numbers.len() - 1) * percent / 100];
        println!("{name}: median {}, 90 % {}, 99 % {}, most {} of {}", at(50), at(90), at(99), at(100), numbers.len());
    }
    println!("minimal {minimal}, anchored {anchored}, of {total} things left {held} make it hold");
}
