//! The reference and the saga on every broker, with every fault that the broker knows: whether they hold there.

use std::collections::BTreeMap;

use pellmell::Verdict;
use pellmell::engine;
use pellmell::search::Runs;
use pellmell::ticketing::Scenario;

/// The designs, and the scenario that each is played in.
pub(crate) const DESIGNS: [(&str, &str); 2] = [("reference", "two-orders-four-services"), ("saga", "saga-two-orders")];

/// What may go wrong: all that keeps a broker's promises, with each kind switched off in half of the seeds.
const FAULTS: &str = r#"
[faults]
lose_ack = "1/10"
delay_ack = "1/10"
duplicate = "1/20"
crash = "1/20"
pause = "1/5"
fetch = "1/5"
member_change = "1/5"
broker_failure = "1/20"
publish_twice = "1/20"
slow_publish = "1/10"
"#;

/// The names of the brokers.
pub(crate) fn brokers() -> Vec<&'static str> {
    engine::Profile::all().iter().map(|broker| broker.name).collect()
}

/// A design's scenario on the engine of a broker, with all faults; `text` is the scenario as it ships.
pub(crate) fn on(broker: &str, design: &str, text: &str) -> Scenario {
    let (head, rest) = text.split_once("[broker]").expect("a scenario has a broker");
    let (_, rest) = rest.split_once("\n\n").expect("tables are parted by a line");
    let head = head.replace("scheduler = \"calm\"\n", "").replace("design = \"", "# was \"");
    let engine = if broker == "adversarial" { "" } else { "engine = true\n" };
    let table = format!("[broker]\nprofile = \"{broker}\"\n{engine}");
    let text = format!("design = \"{design}\"\n{head}{table}\n{rest}{FAULTS}");
    Scenario::parse(&format!("{broker}.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// What so many seeds of a scenario came to: how often each property failed, and the first seed that it failed in.
pub(crate) fn failures(scenario: &Scenario, seeds: u64) -> BTreeMap<&'static str, (u64, u64)> {
    let judges = scenario.judges();
    let mut runs = Runs::new(scenario, &judges);
    let mut failures = BTreeMap::new();
    for seed in 0..seeds {
        let report = runs.begin(seed).expect("the parts fit").play(&mut ());
        let failed = match report.verdict {
            Verdict::Held => continue,
            Verdict::Violated { property, .. } => property,
            verdict => panic!("{}, seed {seed}: {verdict:?}", scenario.name),
        };
        failures.entry(failed).or_insert((0, seed)).0 += 1;
    }
    failures
}
