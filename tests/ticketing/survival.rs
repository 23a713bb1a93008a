//! Kept cases survive changes of the structure: they still fail in the same way, or say what is gone.

use crate::support::changed::{self, Change, entries};
use pellmell::corpus::{Status, play};

#[test]
fn the_services_that_are_put_together_here_are_the_scenario_s_own() {
    for (name, scenario) in entries() {
        let entry = scenario.entry.clone().expect("an entry");
        let own = scenario.simulation(scenario.seed).expect("the parts fit");
        let built = Change::Nothing.simulation(&scenario);
        assert_eq!(play(&scenario, entry.clone(), &built), play(&scenario, entry, &own), "{name}");
    }
}

#[test]
fn no_kept_case_passes_silently_after_a_change_of_the_structure() {
    let mut stale = 0;
    for change in Change::ALL {
        for (name, scenario) in entries() {
            let entry = scenario.entry.clone().expect("an entry");
            let checked = play(&scenario, entry, &change.simulation(&scenario));
            match &checked.status {
                status if status.is_expected() => {}
                // What is gone is what was taken away.
                Status::Stale(why) if change == Change::GroupRemoved => {
                    let group = changed::removed(&scenario);
                    let is_named = why.contains(&format!("`{group}` does not listen"));
                    assert!(is_named || scenario.entry.iter().all(|entry| entry.trace.is_empty()), "{name}: {why}");
                    stale += 1;
                }
                status => panic!("{name} after {}: {status:?}", change.name()),
            }
        }
    }
    assert!(stale > 0, "nothing named the group that was removed");
}
