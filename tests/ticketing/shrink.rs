//! What is left of a failing run fails in the same way, and nothing of it can be left out.

use pellmell::extract::extract;
use pellmell::scenario::ShrinkError;
use pellmell::scheduler::Tie;
use pellmell::shrink::{Item, Needed, NothingToShrink, Shrink, same_failure};
use pellmell::simulation::CommandIndex;
use pellmell::ticketing::Scenario;
use pellmell::ticketing::{Design, Hostings, properties};
use pellmell::vacuity::Kind;
use pellmell::{Calm, Departing, Departure, FaultPlan, Judges, Keyed, Limits, Profile, Verdict, run};
use proptest::prelude::*;

use crate::support::config::config;
use crate::support::random::{client, design, faults, hostings, profile, simulation, workload};

const LIMITS: Limits = Limits { steps_max: 20_000, messages_max: 5_000, in_flight_max: 5_000 };

proptest! {
    #![proptest_config(config("shrink", 64))]

    #[test]
    fn what_is_left_fails_in_the_same_way_and_each_part_of_it_is_needed(
        design in design(),
        clients in workload(),
        profile in profile(),
        plan in faults(),
        hostings in hostings(),
        seed in any::<u64>(),
    ) {
        let simulation = simulation(&design, profile, clients, &hostings);
        let judges = Judges::new(properties::promised_by(&design));
        let extracted = extract(&simulation, Keyed::new(seed, plan), &judges, LIMITS, Tie::InOrder);
        let extracted = extracted.expect("departures");
        let before = extracted.departures.len();
        let shrunk = match Shrink::new(&simulation, &judges).with_limits(LIMITS).run(extracted.departures) {
            Ok(shrunk) => shrunk,
            Err(NothingToShrink) => {
                prop_assert!(extracted.report.verdict.is_held());
                return Ok(());
            }
        };
        prop_assert!(shrunk.executions <= 510, "{} runs", shrunk.executions);
        prop_assert!(shrunk.departures.len() <= before);
        let small = shrunk.simulation(&simulation);
        let fails = |departures: &[Departure], simulation: &_, tie| {
            let mut departing = Departing::with_tie(departures.to_vec(), tie);
            let report = run(&mut pellmell::Simulation::world(simulation), &mut departing, &judges, LIMITS, &mut ());
            same_failure(&extracted.report.verdict, &report.verdict)
        };
        prop_assert!(fails(&shrunk.departures, &small, Tie::InOrder));
        if let Some(anchors) = &shrunk.anchors {
            let anchored = [&shrunk.departures[..], anchors].concat();
            for tie in Tie::ALL {
                prop_assert!(fails(&anchored, &small, tie), "{:?}", tie);
            }
        }
        if shrunk.minimal {
            prop_assert_eq!(shrunk.needed.len(), shrunk.departures.len() + shrunk.commands.len());
        }
        for Needed { item, without, .. } in &shrunk.needed {
            let verdict = without.as_ref().expect("everything may be left out");
            prop_assert!(!same_failure(&extracted.report.verdict, verdict), "{}", item);
            if let Item::Departure(departure) = item {
                let rest: Vec<_> = shrunk.departures.iter().filter(|left| *left != departure).cloned().collect();
                prop_assert!(!fails(&rest, &small, Tie::InOrder), "{}", item);
            }
        }
    }
}

#[test]
fn a_lost_ack_and_the_command_it_is_about_are_left() {
    let design = Design::COURSE;
    let clients = vec![
        client("seller", &["create t1 5".to_owned(), "edit t1 6".to_owned()]),
        client("other", &["create t2 5".to_owned(), "edit t2 7".to_owned()]),
        client("buyer", &["order t1 as o1".to_owned(), "cancel o1".to_owned()]),
    ];
    let simulation = simulation(&design, Profile::stan(), clients, &Hostings::TWO);
    let judges = Judges::new(properties::promised_by(&design));
    let departures = [
        "hold ticket:created t2@0 -> orders until quiescence",
        "lose ack of ticket:created t1@0 -> orders",
        "hold ticket:updated t2@1 -> orders until ticket:updated t1@1 -> orders",
    ];
    let departures = departures.map(|text| text.parse().expect("a departure"));
    let shrunk = Shrink::new(&simulation, &judges).run(departures.to_vec()).expect("a failure");
    assert_eq!(shrunk.departures, departures[1..2]);
    assert_eq!(shrunk.commands, [CommandIndex { client: 0, position: 0 }]);
    assert!(shrunk.minimal && shrunk.is_anchored());
    let needed: Vec<String> = shrunk
        .needed
        .iter()
        .map(|Needed { item, without, .. }| format!("{item}: {}", without.as_ref().map_or("needed", Verdict::word)))
        .collect();
    assert_eq!(needed, ["lose ack of ticket:created t1@0 -> orders: held", "seller: create t1 at 5: held"]);
    assert!(shrunk.executions < 20, "{}", shrunk.executions);
}

#[test]
fn a_run_that_holds_is_not_shrunk() {
    let design = Design::REFERENCE;
    let clients = vec![client("seller", &["create t1 5".to_owned()])];
    let simulation = simulation(&design, Profile::stan(), clients, &Hostings::TWO);
    let judges = Judges::new(properties::promised_by(&design));
    let calm = extract(&simulation, Calm::new(0, FaultPlan::NONE), &judges, LIMITS, Tie::InOrder).expect("departures");
    assert_eq!(Shrink::new(&simulation, &judges).with_limits(LIMITS).run(calm.departures).err(), Some(NothingToShrink));
}

#[test]
fn what_is_left_of_a_shipped_scenario_is_a_scenario_that_fails_in_the_same_way() {
    let mut shrunken = 0;
    for entry in std::fs::read_dir("scenarios").expect("scenarios") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        if path.extension().is_none_or(|ending| ending != "toml") || name.contains("price-5-10-15") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a scenario");
        for design in Design::ALL {
            let mut scenario = Scenario::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
            scenario.design = design;
            scenario.limits = LIMITS;
            let before = scenario.run(
                &mut scenario.simulation(1).expect("the parts fit").world(),
                &scenario.judges(),
                1,
                &mut (),
            );
            let found = match scenario.shrink(1, 500) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    assert!(before.verdict.is_held(), "{name} {}", design.name);
                    continue;
                }
                Err(ShrinkError::Rounds { .. }) => continue,
                Err(error) => panic!("{name} {}: {error}", design.name),
            };
            let (small, text) = (&found.scenario, &found.text);
            let report = small.run(
                &mut small.simulation(small.seed).expect("the parts fit").world(),
                &small.judges(),
                small.seed,
                &mut (),
            );
            assert!(same_failure(&before.verdict, &report.verdict), "{name} {}:\n{text}", design.name);
            let found_void = small.vacuous_in(small.seed).expect("the parts fit").void;
            let unused = found_void.iter().find(|vacuous| vacuous.kind == Kind::UnusedDeparture);
            assert_eq!(unused, None, "{text}");
            assert_eq!(found.shrunk.size().departures, small.schedule.len(), "{text}");
            assert_eq!(found.before.steps, before.steps, "{name} {}", design.name);
            shrunken += 1;
        }
    }
    assert!(shrunken > 10, "{shrunken}");
}

/// The scenario, shrunk as `pellmell shrink` does.
fn shrunk(scenario: &Scenario, seed: u64) -> (Verdict, Scenario) {
    let simulation = scenario.simulation(seed).expect("the parts fit");
    let (judges, limits) = (scenario.judges(), scenario.limits);
    let clients = scenario.clients_of(seed);
    let allowed =
        |commands: &[CommandIndex], departures: &[Departure]| scenario.can_be_written(&clients, commands, departures);
    let shrunk =
        Shrink::new(&simulation, &judges).with_limits(limits).with_allowed(&allowed).run(scenario.schedule.clone());
    let shrunk = shrunk.expect("it fails");
    assert!(shrunk.minimal, "{shrunk:?}");
    let text = scenario.counterexample(seed, &shrunk);
    (shrunk.report.verdict, Scenario::parse("shrunk.toml", &text).unwrap_or_else(|error| panic!("{error}")))
}

#[track_caller]
fn comes_to(text: &str, departures: &[&str], commands: &[&str]) {
    let scenario = Scenario::parse("large.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let (verdict, small) = shrunk(&scenario, 0);
    let written: Vec<String> = small.schedule.iter().map(ToString::to_string).collect();
    assert_eq!(written, departures);
    let labels =
        small.clients.iter().flat_map(|client| &client.commands).map(|sending| pellmell::Command::label(&**sending));
    assert_eq!(labels.collect::<Vec<_>>(), commands);
    let world = &mut small.simulation(0).expect("the parts fit").world();
    assert!(same_failure(&verdict, &small.run(world, &small.judges(), 0, &mut ()).verdict));
}

#[test]
fn prices_become_simple_and_departures_name_the_commands_as_they_are_then() {
    let text = r#"
version = 1
about = "Two edits of one ticket read the same version."
design = "reference"
defects = ["LastWriteWinsOwner"]
schedule = ["pause ann: edit t1 to 4711 until bob: edit t1 to 815"]
services = { tickets = { overlapping = true } }
[[client]]
name = "ann"
commands = [
    { create_ticket = { ticket = "t1", price = 42 } },
    { edit_ticket = { ticket = "t1", title = "late", price = 4711 } },
]
[[client]]
name = "bob"
signs_in_as = "ann"
commands = [{ edit_ticket = { ticket = "t1", price = 815 } }]
"#;
    comes_to(
        text,
        &["pause ann: edit t1 to 10 until quiescence"],
        &["create t1 at 5", "edit t1 to 10", "edit t1 to 15"],
    );
}

#[test]
fn many_pauses_become_two_handlers_that_overlap() {
    let text = r#"
version = 1
about = "An edit and an order race for a ticket, with pauses that do not matter."
design = "reference"
defects = ["SwallowedConflict"]
schedule = [
    "pause seller: edit t1 to 10 until quiescence",
    "hold order:created o1@0 -> tickets #2 until ticket:updated t1@1 -> orders",
    "pause order:created o1@0 -> tickets until pause of order:created o1@0 -> tickets #3",
    "pause order:created o1@0 -> tickets #2 until quiescence",
    "pause order:created o1@0 -> tickets #3 until quiescence",
]
broker = { profile = "adversarial" }
services = { tickets = { overlapping = true }, orders = { overlapping = true } }
[[client]]
name = "seller"
commands = [
    { create_ticket = { ticket = "t1", price = 5 } },
    { edit_ticket = { ticket = "t1", price = 10 } },
]
[[client]]
name = "ann"
commands = [{ create_order = { order = "o1", ticket = "t1" } }]
"#;
    comes_to(
        text,
        &[
            "pause seller: edit t1 to 10 until pause of order:created o1@0 -> tickets",
            "pause order:created o1@0 -> tickets until seller: edit t1 to 10",
        ],
        &["create t1 at 5", "edit t1 to 10", "order t1 as o1"],
    );
}

#[test]
fn a_service_that_the_failure_does_without_is_not_kept() {
    let text = r#"
version = 1
about = "A lost ack poisons orders, whoever else listens."
design = "course"
schedule = ["lose ack of ticket:created t1@0 -> orders"]
[broker]
profile = "stan"
ack_wait = ["5s"]
[services.orders]
members = 2
[services.payments]
[services.expiration]
[[client]]
name = "ann"
commands = [
    { create_ticket = { ticket = "t1", price = 5 } },
    { create_order = { order = "o1", ticket = "t1" } },
]
"#;
    let scenario = Scenario::parse("services.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let found = scenario.shrink(0, 500).expect("it is told as departures").expect("it fails");
    assert!(found.text.contains("\n[services.orders]\n"), "{}", found.text);
    assert!(!found.text.contains("payments") && !found.text.contains("expiration"), "{}", found.text);
    assert_eq!(found.scenario.hostings.names().collect::<Vec<_>>(), ["tickets", "orders"]);
    assert!(found.shrunk.minimal && found.shrunk.commands.len() == 1);
}
