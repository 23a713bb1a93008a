//! The zoo finds what is wrong, and says so when it does not. `pellmell zoo` plays all of it; these
//! tests play the cheap part.

use std::collections::BTreeSet;

use pellmell::search::Cost;
use pellmell::ticketing::properties::{self, Accepted, ScheduleIndependence};
use pellmell::ticketing::{ALTERNATIVES, DEFECTS, Defect, Design, Level, Ticketing, defect};
use pellmell::zoo::{Complaint, Zoo, ZooResult, faults, profile};
use pellmell::{Judges, Keyed, Limits, run};

use crate::support::{in_zoo, read};

/// Defects that take few states to find.
const CHEAP: [&str; 20] = [
    "Z1", "Z2", "Z4", "Z5", "Z6a", "Z6b", "Z10", "Z11", "Z12a", "Z16", "Z23a", "Z23b", "Z24", "Z25", "Z26", "Z27",
    "Z29", "Z34", "Z35", "Z39",
];

fn named(name: &str) -> Defect {
    defect(name).unwrap_or_else(|| panic!("no defect `{name}`"))
}

fn small(defects: &[Defect]) -> Zoo<'static, Ticketing> {
    let zoo = Zoo::new(Design::REFERENCE, &read);
    Zoo { defects: defects.to_vec(), tries: 2, schedules_max: 1_000, threads: 2, ..zoo }
}

#[track_caller]
fn play(zoo: &Zoo<'_, Ticketing>) -> ZooResult {
    zoo.play().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn cheap_defects_are_caught_by_the_property_that_names_them_and_the_right_designs_raise_no_alarm() {
    let played = play(&small(&CHEAP.map(named)));
    for row in &played.rows {
        assert_eq!(row.complaints(), [], "{} in {}", row.defect.name, row.scenario);
        assert!(row.is_as_known(), "{} in {}: {:?}", row.defect.name, row.scenario, row.shortest);
    }
    assert_eq!((played.defects().len(), played.caught(), played.as_known()), (CHEAP.len(), CHEAP.len(), CHEAP.len()));
    assert!(played.canary == Some(true) && played.is_good(), "{:?}", played.alarms);
    assert!(played.quiet > 10, "{} worlds were quiet", played.quiet);
}

/// The complaints about a defect that is played alone.
fn complaints(defect: Defect) -> Vec<Complaint> {
    let played = play(&small(&[defect]));
    assert!(!played.is_good());
    played.rows[0].complaints()
}

#[test]
fn a_defect_that_is_none_is_missed() {
    let none = Defect { name: "Nothing", plant: |_| {}, scenarios: &["scenarios/zoo/timed.toml"], ..named("Z40") };
    let none = Defect { needs: Level::Lockstep, ..none };
    assert_eq!(complaints(none), [Complaint::Missed]);
}

#[test]
fn a_defect_that_another_property_catches_is_misnamed() {
    let misnamed = Defect { property: "TerminalStatus", ..named("DoubleCharge") };
    let expected = [Complaint::Misnamed("AtMostOnePayment"), Complaint::Unnamed, Complaint::NotDrawn];
    assert_eq!(complaints(misnamed), expected);
}

#[test]
fn a_defect_that_takes_a_wilder_delivery_than_is_known_is_told() {
    let known_too_well = Defect { needs: Level::Lockstep, ..named("PayRevivesCancelled") };
    assert_eq!(complaints(known_too_well), [Complaint::Level(Level::PerSubject)]);
}

#[test]
fn a_design_that_is_not_right_raises_alarms() {
    let played = play(&Zoo { design: Design::COURSE, ..small(&[named("DoubleCharge")]) });
    assert!(!played.alarms.is_empty() && !played.is_good());
    assert!(played.alarms.iter().all(|alarm| alarm.design == "course"), "{:?}", played.alarms);
}

#[test]
fn what_the_zoo_finds_does_not_depend_on_the_threads() {
    let found = |threads| {
        let played = play(&Zoo { threads, ..small(&["Z23b", "Z29", "Z26"].map(named)) });
        let rows =
            played.rows.into_iter().map(|row| (row.defect.id, row.by_level, row.shortest, row.drawn, row.states));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(found(1), found(3));
}

#[test]
fn the_shortest_way_can_be_told_step_by_step() {
    let played = play(&small(&[named("DoubleCharge")]));
    let (services, records) = played.rows[0].story.as_ref().expect("a way was found");
    assert_eq!(services[..], ["tickets", "orders", "payments"]);
    let last = records.last().expect("a step");
    assert_eq!((last.action.as_str(), last.answer.as_deref()), ("ann-pays: pay o1 as p2", Some("accepted")));
}

#[test]
fn every_defect_has_a_name_a_number_and_a_property_of_its_own_kind_and_a_row_in_the_map() {
    let map = std::fs::read_to_string("docs/course.md").expect("the map");
    let names: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
    let ids: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.id).collect();
    assert_eq!((names.len(), ids.len()), (DEFECTS.len(), DEFECTS.len()));
    for defect in DEFECTS {
        for property in [defect.property].iter().chain(defect.also) {
            assert!(properties::names().contains(property), "{}: {property}", defect.name);
        }
        assert!(
            map.contains(&format!("| {} | `{}` |", defect.id, defect.name)),
            "{} is not in docs/course.md",
            defect.name
        );
        for file in defect.scenarios {
            let rows = map.lines().filter(|row| row.starts_with(&format!("| {} | `{}` |", defect.id, defect.name)));
            let link = format!("](../{file})");
            assert_eq!(
                rows.filter(|row| row.contains(&link)).count(),
                1,
                "{} in {file} in docs/course.md",
                defect.name
            );
        }
        let planted = Design::REFERENCE.with(&[*defect]);
        assert_eq!(planted == Design::REFERENCE, defect.needs == Level::Loss, "{} plants nothing", defect.name);
    }
    for alternative in ALTERNATIVES {
        assert!(map.contains(&format!("`{}`", alternative.name)), "{} is not in docs/course.md", alternative.name);
    }
}

#[test]
fn the_same_accepted_commands_come_to_the_same_unless_a_replica_takes_whatever_comes() {
    let compare = |design: Design| {
        let file = "scenarios/zoo/two.toml";
        let mut world = in_zoo(&design, file, profile(Level::AnyOrder), false).world();
        let mut independence = ScheduleIndependence::default();
        let compared = (0..500).try_for_each(|seed| {
            let (mut accepted, judges) = (Accepted::default(), Judges::new(Vec::new()));
            world.reset();
            let mut scheduler = Keyed::new(seed, faults(Level::AnyOrder, false));
            run(&mut world, &mut scheduler, &judges, Limits::default(), &mut accepted);
            independence.add(seed, accepted, &world)
        });
        (compared, independence.kinds())
    };
    let (compared, kinds) = compare(Design::REFERENCE);
    assert_eq!(compared, Ok(()));
    assert!((10..400).contains(&kinds), "{kinds} kinds in 500 runs: most must be met more than once");
    let (compared, _) = compare(Design::REFERENCE.with(&[named("BlindApply")]));
    assert!(compared.expect_err("a difference").contains("accepted the same and came to"));
}

#[test]
fn the_mean_of_drawn_schedules_is_rounded_up_and_there_is_none_without_a_find() {
    let played = play(&small(&[named("DoubleCharge")]));
    let mut row = played.rows.into_iter().next().expect("a row");
    row.drawn = vec![Some(1), Some(2)];
    assert_eq!(row.mean_drawn(), Some(2));
    row.drawn.push(None);
    assert_eq!((row.mean_drawn(), row.complaints()), (None, vec![Complaint::NotDrawn]));
    assert_eq!(row.shortest.map(|(_, found)| found.cost), Some(Cost { deliveries: 2, commands: 4 }));
}

#[test]
fn a_defect_is_looked_for_in_each_scenario_file_that_it_names() {
    const TIMED: &str = "scenarios/zoo/timed.toml";
    let places = |defect: Defect| {
        let played = play(&small(&[defect]));
        let rows = played.rows.iter().map(|row| (row.scenario.clone(), row.complaints(), row.caught_by()));
        (rows.collect::<Vec<_>>(), played.is_good())
    };
    let shows = |file: &str, property| (file.to_owned(), vec![], Some(property));
    let two = shows("scenarios/zoo/two.toml", "AckOnlyAfterApply");
    let unchanged = shows("scenarios/zoo/edit-without-change.toml", "AckOnlyAfterApply");
    assert_eq!(places(named("NoOpSaveKeepsVersion")), (vec![two, unchanged], true));
    // Where nobody pays it does not show, and that is told of that file alone.
    let elsewhere = Defect { scenarios: &["scenarios/zoo/paid.toml", TIMED], ..named("DoubleCharge") };
    let paid = shows("scenarios/zoo/paid.toml", "AtMostOnePayment");
    assert_eq!(places(elsewhere), (vec![paid, (TIMED.to_owned(), vec![Complaint::Missed], None)], false));
    let given = Zoo { scenario: Some(TIMED.to_owned()), ..small(&[named("DoubleCharge")]) };
    let played = play(&given);
    assert_eq!((played.rows[0].scenario.as_str(), played.rows[0].complaints()), (TIMED, vec![Complaint::Missed]));
}

#[test]
fn a_scenario_file_that_is_none_is_an_error_with_its_name() {
    let error = |scenarios| {
        let zoo = small(&[Defect { scenarios, ..named("DoubleCharge") }]);
        assert_eq!(zoo.check().err(), zoo.play().err(), "{scenarios:?}");
        zoo.check().expect_err("it is none").to_string()
    };
    let missing = error(&["scenarios/zoo/piad.toml"]);
    assert!(missing.contains("cannot read scenarios/zoo/piad.toml"), "{missing}");
    let nowhere = error(&[]);
    assert!(nowhere.contains("DoubleCharge names no scenario file in which it shows"), "{nowhere}");
    let decided = error(&["scenarios/edit-without-change.toml"]);
    assert!(decided.contains("a zoo decides `design` itself") && decided.contains(":3:1"), "{decided}");
    assert!(error(&["scenarios/zoo/two.toml", "Cargo.toml"]).contains("Cargo.toml:"));
    let none = Zoo { defects: Vec::new(), ..small(&[]) };
    assert!(none.play().expect_err("nothing is played").to_string().contains("no defect names a scenario file"));
}

#[test]
fn every_scenario_file_of_the_zoo_has_a_defect_that_shows_in_it() {
    let named: BTreeSet<String> = DEFECTS.iter().flat_map(|defect| defect.scenarios).map(ToString::to_string).collect();
    let files = std::fs::read_dir("scenarios/zoo").expect("the zoo").map(|entry| entry.expect("a file").path());
    let files: BTreeSet<String> = files.map(|path| path.display().to_string()).collect();
    assert_eq!(named, files);
}
