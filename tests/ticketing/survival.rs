//! Kept cases survive changes of the structure: they still fail in the same way, or say what is gone.

use crate::support::changed::{self, Change, Survival, Survived, entries};
use expect_test::expect;
use pellmell::corpus::{Status, play};

#[test]
fn the_services_that_are_put_together_here_are_the_scenario_s_own() {
    for (name, _, scenario) in entries() {
        let entry = scenario.entry.clone().expect("an entry");
        let own = scenario.simulation(scenario.seed).expect("the parts fit");
        let built = Change::Nothing.simulation(&scenario);
        assert_eq!(play(&scenario, entry.clone(), &built), play(&scenario, entry, &own), "{name}");
    }
}

#[test]
fn no_kept_case_passes_silently_after_a_change_of_the_structure() {
    let mut table = String::new();
    for change in Change::ALL {
        let mut survival = Survival::default();
        for (name, text, scenario) in entries() {
            let survived = Survived::of(change, &name, &text);
            survival.add(&survived);
            survived.wrong.iter().for_each(|wrong| table += &format!("{name} after {}: {wrong}\n", change.name()));
            match &survived.status {
                // What is gone is what was taken away.
                Status::Stale(why) if change == Change::GroupRemoved => {
                    let group = changed::removed(&scenario);
                    let is_named = why.contains(&format!("`{group}` does not listen"));
                    assert!(is_named || scenario.entry.iter().all(|entry| entry.trace.is_empty()), "{name}: {why}");
                }
                Status::Fixed | Status::Broken(_) => {
                    table += &format!("{name} after {}: {:?}\n", change.name(), survived.status);
                }
                status if !status.is_expected() && !survived.is_mended => {
                    table += &format!("{name} after {} is not mended: {status:?}\n", change.name());
                }
                _ => {}
            }
        }
        table += &format!("{}: {}\n", change.name(), survival.cells(change).join(", "));
    }
    expect![""].assert_eq(&table);
}
