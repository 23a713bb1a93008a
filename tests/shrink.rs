//! What is left of a failing run fails in the same way, and nothing of it can be left out.

#[path = "support/random.rs"]
mod random;
mod support;

use pellmell::extract::extract;
use pellmell::scheduler::Tie;
use pellmell::shrink::{Item, NothingToShrink, Shrink, same_failure};
use pellmell::ticketing::{Design, Hostings, properties};
use pellmell::{Calm, Departing, Departure, FaultPlan, Judges, Keyed, Limits, Profile, Scenario, Verdict, run};
use proptest::prelude::*;

use random::{client, config, design, faults, hostings, profile, simulation, workload};

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
        let shrunk = match Shrink::of(&simulation, &judges, LIMITS).run(extracted.departures) {
            Ok(shrunk) => shrunk,
            Err(NothingToShrink) => {
                prop_assert!(extracted.report.verdict.is_held());
                return Ok(());
            }
        };
        prop_assert!(shrunk.executions <= 510, "{} runs", shrunk.executions);
        prop_assert!(shrunk.anchored || shrunk.departures.len() <= before);
        let small = shrunk.simulation(&simulation);
        let ties: &[Tie] = if shrunk.anchored { &[Tie::InOrder, Tie::Reversed] } else { &[Tie::InOrder] };
        let fails = |departures: &[Departure], simulation: &_, tie| {
            let mut departing = Departing::with_tie(departures.to_vec(), tie);
            let report = run(&mut pellmell::Simulation::world(simulation), &mut departing, &judges, LIMITS, &mut ());
            same_failure(&extracted.report.verdict, &report.verdict)
        };
        for tie in ties {
            prop_assert!(fails(&shrunk.departures, &small, *tie), "{:?}", tie);
        }
        if shrunk.minimal {
            let commands: usize = shrunk.commands.iter().map(Vec::len).sum();
            prop_assert_eq!(shrunk.because.len(), shrunk.departures.len() + commands);
        }
        for (item, verdict) in &shrunk.because {
            let verdict = verdict.as_ref().expect("everything may be left out");
            prop_assert!(!same_failure(&extracted.report.verdict, verdict), "{}", item);
            if let Item::Departure(departure) = item {
                let rest: Vec<_> = shrunk.departures.iter().filter(|left| *left != departure).cloned().collect();
                prop_assert!(!ties.iter().all(|tie| fails(&rest, &small, *tie)), "{}", item);
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
    let shrunk = Shrink::of(&simulation, &judges, Limits::default()).run(departures.to_vec()).expect("a failure");
    assert_eq!(shrunk.departures, departures[1..2]);
    assert_eq!(shrunk.commands, [vec![0], vec![], vec![]]);
    assert!(shrunk.minimal && shrunk.anchored);
    let because: Vec<String> = shrunk
        .because
        .iter()
        .map(|(item, verdict)| format!("{item}: {}", verdict.as_ref().map_or("needed", Verdict::word)))
        .collect();
    assert_eq!(because, ["lose ack of ticket:created t1@0 -> orders: held", "seller: create t1 at 5: held"]);
    assert!(shrunk.executions < 20, "{}", shrunk.executions);
}

#[test]
fn a_run_that_holds_is_not_shrunk() {
    let design = Design::REFERENCE;
    let clients = vec![client("seller", &["create t1 5".to_owned()])];
    let simulation = simulation(&design, Profile::stan(), clients, &Hostings::TWO);
    let judges = Judges::new(properties::promised_by(&design));
    let calm = extract(&simulation, Calm::new(0, FaultPlan::NONE), &judges, LIMITS, Tie::InOrder).expect("departures");
    assert_eq!(Shrink::of(&simulation, &judges, LIMITS).run(calm.departures).err(), Some(NothingToShrink));
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
            let simulation = scenario.simulation(1).expect("the parts fit");
            let judges = scenario.judges();
            let scheduler = scenario.scheduler(1);
            let extracted = extract(&simulation, scheduler, &judges, LIMITS, Tie::InOrder).expect("departures");
            let clients = scenario.clients_of(1);
            let allowed = |commands: &[Vec<usize>], departures: &[Departure]| {
                Scenario::can_be_written(&clients, commands, departures)
            };
            let shrink = Shrink::of(&simulation, &judges, LIMITS).within(&allowed);
            let Ok(shrunk) = shrink.run(extracted.departures) else { continue };
            let written = scenario.counterexample(1, &shrunk);
            let small = Scenario::parse("shrunk.toml", &written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            let mut world = small.simulation(small.seed).expect("the parts fit").world();
            let report = small.run(&mut world, &small.judges(), small.seed, &mut ());
            assert!(same_failure(&extracted.report.verdict, &report.verdict), "{name} {}:\n{written}", design.name);
            assert!(small.unused_departures(small.seed).is_empty(), "{written}");
            shrunken += 1;
        }
    }
    assert!(shrunken > 10, "{shrunken}");
}
