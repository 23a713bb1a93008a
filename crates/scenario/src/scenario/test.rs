//! A scenario in a test: one call plays many seeds of it and says what is wrong.

use std::ops::Range;
use std::path::Path;

use super::{Scenario, Suite};
use pellmell_core::run::Verdict;
use pellmell_core::testing::story;
use pellmell_core::trace::Recorder;
use pellmell_core::vacuity::Occurred;

/// How many runs shrinking may take in a test that fails anyhow.
const EXECUTIONS_MAX: u32 = 500;

/// Runs a scenario once for each seed and judges every run; the schedulers of
/// the portfolio take turns unless the file names one or has a schedule. `path` is the
/// name of its file, which is printed; nothing is read from there.
///
/// ```
/// use pellmell::ticketing::{Design, Scenario};
/// use pellmell::testing;
///
/// let path = "scenarios/one-lost-ack.toml";
/// # let text = include_str!("../../../../scenarios/one-lost-ack.toml");
/// # const _: &str = r#"
/// let text = include_str!("../scenarios/one-lost-ack.toml");
/// # "#;
/// let mut scenario = Scenario::parse(path, text).unwrap_or_else(|error| panic!("{error}"));
/// scenario.design = Design::REFERENCE;
/// testing::check_scenario(path, &scenario, 0..20);
/// ```
///
/// # Panics
/// If there are no seeds or the scenario's parts do not fit, and on the first seed whose run does not
/// hold: with the commands that play it and shrink it, and then as [`check`](pellmell_core::testing::check)
/// does. If all hold and what the file asks for never happened, with how to allow that in the file.
#[track_caller]
pub fn check_scenario<T: Suite>(path: &str, scenario: &Scenario<T>, seeds: Range<u64>) {
    assert!(!seeds.is_empty(), "no seed was run: {seeds:?} is empty");
    let (scenario, judges) = (&scenario.for_seeds(), scenario.judges());
    let mut occurred = Occurred::default();
    for seed in seeds {
        let simulation = scenario.simulation(seed).unwrap_or_else(|error| panic!("{path}: {error}"));
        let report = scenario.look(&mut simulation.world(), &judges, seed, &mut (), &mut occurred);
        if !report.verdict.is_held() {
            panic!("{}", story(path, scenario, seed, &report.verdict));
        }
    }
    let findings = scenario.vacuous(&occurred).unwrap_or_else(|error| panic!("{path}: {error}"));
    if !findings.void.is_empty() {
        let found: String = findings.void.iter().map(|vacuous| format!("    {vacuous}\n")).collect();
        let allow: Vec<String> = findings.void.iter().map(|vacuous| format!("{:?}", vacuous.what())).collect();
        let allow = allow.join(", ");
        panic!(
            "{path}: its runs hold, and that rests on what did not happen:\n{found}\
             mend it, or allow it by its name, in the file:\n    allow = [{allow}]"
        );
    }
}

/// What a failing seed of a scenario did.
fn story<T: Suite>(path: &str, scenario: &Scenario<T>, seed: u64, verdict: &Verdict) -> String {
    let command = |verb| format!("    {} --seed {seed}\n", scenario.for_seed(seed).command(verb, Path::new(path)));
    let mut text = format!("to play seed {seed} alone, and to shrink it:\n{}{}", command("run"), command("shrink"));
    let play = |scenario: &Scenario<T>, seed| {
        let mut recorder = Recorder::default();
        if let Ok(simulation) = scenario.simulation(seed) {
            scenario.run(&mut simulation.world(), &scenario.judges(), seed, &mut recorder);
        }
        recorder.into_records()
    };
    match scenario.shrink(seed, EXECUTIONS_MAX) {
        Ok(Some(found)) => {
            let records = play(&found.scenario, found.scenario.seed);
            text += &story::minimal(found.before, &found.shrunk, &records);
        }
        Ok(None) => text += &story::unshrunk(verdict, &play(scenario, seed), story::NOT_ALONE),
        Err(error) => text += &story::unshrunk(verdict, &play(scenario, seed), &error.to_string()),
    }
    text
}
