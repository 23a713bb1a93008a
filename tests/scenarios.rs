//! Every scenario in the repository, under every design it expects a verdict for.

use pellmell::Scenario;
use pellmell::ticketing::Design;

fn scenarios() -> Vec<Scenario> {
    let folder = std::fs::read_dir("scenarios").expect("the scenarios folder");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a readable scenario");
        Scenario::parse(&path.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"))
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_scenario_gets_the_verdict_it_expects() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 5, "found {} scenarios", scenarios.len());
    for scenario in scenarios {
        for (design, expected) in &scenario.expect {
            let design = Design::named(design).expect("checked when it was read");
            let scenario = Scenario { design, ..scenario.clone() };
            let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
            let report = scenario.run(&mut world, &scenario.judges(), scenario.seed, &mut ());
            assert!(
                expected.meets(&report.verdict),
                "{} under {}: expected {expected}, found {:?}",
                scenario.name,
                design.name,
                report.verdict
            );
        }
    }
}

#[test]
fn every_scenario_says_what_it_expects_of_course_and_reference() {
    for scenario in scenarios() {
        for design in ["course", "reference"] {
            assert!(scenario.expect.contains_key(design), "{} expects nothing of {design}", scenario.name);
        }
        assert_eq!(scenario.unused_departures(scenario.seed), Vec::<String>::new(), "{}", scenario.name);
    }
}
