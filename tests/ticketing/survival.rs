//! Kept cases survive changes of the structure: they still fail in the same way, or say what is gone.

use crate::support::changed::{self, Change, Survival, Survived, entries};
use expect_test::expect;
use pellmell::corpus::{Renewal, Status, check_in, play, renew_in};
use pellmell::ticketing::{Scenario, Ticketing};

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
                Status::Stale(why) if change == Change::OneAtATime => {
                    assert!(why.contains("its handler cannot pause any more"), "{name}: {why}");
                }
                Status::Fixed(_) if change == Change::DefectsMended => {}
                Status::Fixed(_) | Status::Broken(_) => {
                    table += &format!("{name} after {}: {:?}\n", change.name(), survived.status);
                }
                status if !(status.is_expected() || survived.is_mended || change.takes_away()) => {
                    table += &format!("{name} after {} is not mended: {status:?}\n", change.name());
                }
                _ => {}
            }
        }
        table += &format!("{}: {}\n", change.name(), survival.cells(change).join(", "));
    }
    expect![[r#"
        a listener on every subject: 70, 0, 0, 0, 0, 0, 0 of 0, –, –
        one more event: 70, 0, 0, 0, 0, 0, 0 of 0, –, –
        groups in reverse: 70, 0, 0, 0, 0, 0, 0 of 0, –, –
        an unrelated client in front: 70, 0, 0, 0, 0, 0, 0 of 0, –, –
        a listener on every subject, and a replica keeper publishes one event more: 70, 0, 0, 0, 0, 0, 0 of 0, –, –
        scenarios/corpus/g21-cancel-before-order-at-payments.toml after versions begin at 1 is not mended: Stale("nothing comes that `hold order:created o1@0 -> payments until order:cancelled o1@1 -> payments` names; the nearest is `order:created o1@1 -> payments`")
        scenarios/corpus/g24-edit-meets-lock.toml after versions begin at 1 is not mended: Stale("nothing comes that `pause order:created o1@0 -> tickets until alice: edit t1 to 15` names; the nearest is `order:created o1@1 -> tickets`")
        versions begin at 1: 30, 38, 2, 0, 0, 0, 38 of 40, 40 of 40, 44 of 44
        edits pass a gateway: one hop more: 65, 5, 0, 0, 0, 0, 5 of 5, –, –
        changes of a price get a subject of their own: 63, 7, 0, 0, 0, 0, 7 of 7, 7 of 7, 8 of 8
        a group renamed: 55, 15, 0, 0, 0, 0, 15 of 15, 15 of 15, 17 of 17
        two services merged: 66, 4, 0, 0, 0, 0, 4 of 4, 4 of 4, 3 of 3
        handlers run one at a time: 64, 0, 6, 6, 0, 0, 0 of 0, –, –
        a group removed: 10, 3, 57, 57, 0, 0, 3 of 3, –, –
        the planted defects mended: 26, 0, 0, 0, 0, 44, 0 of 0, –, –
    "#]].assert_eq(&table);
}

#[test]
fn recorded_steps_may_name_what_was_added_to_the_services_since() {
    let change = Change::KeeperSaysMore;
    let build = |scenario: &Scenario| Ok(change.simulation(scenario));
    let mut renewed = 0;
    for (name, text, _) in entries() {
        let Renewal::Text(text) = renew_in::<Ticketing>(&name, &text, &build).expect("an entry").1 else { continue };
        renewed += 1;
        assert!(text.contains("-> audit\""), "{name}: {text}");
        let status = check_in::<Ticketing>(&name, &text, &build).expect("an entry").status;
        assert_eq!(status, Status::Violated, "{name}");
        // Where there is no such service it is told, and the rest is played.
        let elsewhere = check_in::<Ticketing>(&name, &text, &|scenario| Ok(Change::Nothing.simulation(scenario)));
        let Status::Moved(moved) = elsewhere.expect("an entry").status else { panic!("{name}") };
        assert!(moved.was.contains("unknown group `audit`"), "{name}: {}", moved.was);
    }
    // Two should hold, and in two nothing comes to the service that was added.
    assert_eq!(renewed, 66);
}
