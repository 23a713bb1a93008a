//! Whether what fails on a broker fails on the one without promises, too: over the zoo and the course.

use pellmell::Verdict;
use pellmell::engine::{self, Limit, Rules};
use pellmell::search::Runs;
use pellmell::ticketing::{DEFECTS, Scenario};

use super::support::verdicts;

/// How many seeds are played of each on a broker.
const ON_A_BROKER: u64 = 40;
/// Within how many of the broker without promises it must fail.
const WITHIN: u64 = 1_000;

/// The brokers that lose nothing, give nothing up, know all retries as new, and let nothing wait behind a message
/// that cannot be handled.
fn included() -> impl Iterator<Item = &'static str> {
    let brokers = engine::Profile::all().into_iter().filter(|broker| match &broker.rules {
        Rules::Queue(rules) => rules.deliveries == Limit::Unlimited && !rules.cumulative,
        Rules::Push(rules) => rules.deliveries == Limit::Unlimited && rules.session && !rules.at_most_once,
        _ => false,
    });
    brokers.map(|broker| broker.name).collect::<Vec<_>>().into_iter()
}

/// The first seed of so many that is violated.
fn violated(scenario: &Scenario, seeds: u64) -> Option<u64> {
    let judges = scenario.judges();
    let mut runs = Runs::new(scenario, &judges);
    (0..seeds).find(|seed| {
        let report = runs.begin(*seed).expect("the parts fit").play(&mut ());
        matches!(report.verdict, Verdict::Violated { .. })
    })
}

/// What is played: the course, and the reference with each defect of the zoo.
fn designs() -> Vec<(String, &'static str, Vec<String>)> {
    let text = std::fs::read_to_string("scenarios/two-orders-four-services.toml").expect("the scenario");
    let with = |defect: &str| text.replacen("version = 1\n", &format!("version = 1\ndefects = [\"{defect}\"]\n"), 1);
    let planted = DEFECTS.iter().map(|defect| (with(defect.name), "reference", vec![defect.name.to_owned()]));
    std::iter::once((text.clone(), "course", Vec::new())).chain(planted).collect()
}

#[test]
fn what_fails_on_a_broker_that_keeps_all_messages_fails_on_the_one_without_promises() {
    let (mut failed, mut latest) = (0, 0);
    for (text, design, defects) in designs() {
        let adversarial = verdicts::on("adversarial", design, &text);
        let mut first = None;
        for broker in included() {
            let Some(seed) = violated(&verdicts::on(broker, design, &text), ON_A_BROKER) else { continue };
            let first = *first.get_or_insert_with(|| violated(&adversarial, WITHIN));
            let Some(first) = first else { panic!("{design} with {defects:?} fails on {broker} in seed {seed} alone") };
            (failed, latest) = (failed + 1, latest.max(first));
        }
    }
    let page = std::fs::read_to_string("docs/broker.md").expect("the page");
    let figures = format!(
        "{failed} of these pairs fail, and each of their designs fails on `adversarial` as well, at the latest in seed \
         {latest}"
    );
    assert!(page.contains(&figures), "docs/broker.md does not say: {figures}");
}
