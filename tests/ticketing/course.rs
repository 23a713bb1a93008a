//! docs/course.md is what the scenarios and tests do: every row of its tables is played.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pellmell::scenario::Expectation;
use pellmell::ticketing::Design;
use pellmell::ticketing::Scenario;

const HEADINGS: [&str; 41] = [
    "Time for Listeners",
    "Reminder on Listeners",
    "Blueprint for Listeners",
    "A Few More Reminders",
    "Simple onMessage Implementation",
    "ID Adjustment",
    "Ticket Updated Listener Implementation",
    "Initializing the Listeners",
    "A Quick Manual Test",
    "Clear Concurrency Issues",
    "Reminder on Versioning Records",
    "Optimistic Concurrency Control",
    "Mongoose Update-If-Current",
    "Implementing OCC",
    "Who Updates Versions?",
    "Including Versions in Events",
    "Updating Tickets Event Definitions",
    "Applying a Version Query",
    "Did it Work?",
    "Abstracted Query Method",
    "Versioning Without Update-If-Current",
    "Testing Listeners",
    "A Complete Listener Test",
    "Testing the Ack Call",
    "Testing the Ticket Updated Listener",
    "Success Case Testing",
    "Out-Of-Order Events",
    "Listeners in the Tickets Service",
    "Building the Listener",
    "Strategies for Locking a Ticket",
    "Reserving a Ticket",
    "Setup for Testing Reservation",
    "Test Implementation",
    "Missing Update Event?",
    "Private vs Protected Properties",
    "Publishing While Listening",
    "Mock Function Arguments",
    "Order Cancelled Listener",
    "A Lightning-Quick Test",
    "Don't Forget to Listen!",
    "Rejecting Edits of Reserved Tickets",
];

const GAPS: usize = 27;

/// Gaps that docs/course.md explains and no scenario shows.
const WITHOUT_A_SCENARIO: [&str; 2] = ["G22", "G27"];

/// A row of the page that says what comes of a scenario.
#[derive(Debug)]
struct Row {
    /// Its number.
    number: String,
    cells: Vec<String>,
    /// The scenario's name, if it has one.
    scenario: Option<String>,
    /// The tests it names.
    tests: Vec<String>,
    /// The verdict of each design it claims one for.
    verdicts: BTreeMap<String, String>,
}

fn page() -> String {
    std::fs::read_to_string("docs/course.md").expect("the page")
}

/// The rows of the table below a header row that begins with these words. `linked` is the column of
/// scenarios and tests; the columns named like designs are verdicts.
fn table(first: &str, linked: usize) -> Vec<Row> {
    let page = page();
    let mut lines = page.lines().skip_while(|line| !line.starts_with(first));
    let split = |line: &str| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        cells.collect::<Vec<String>>()
    };
    let header = split(lines.next().unwrap_or_else(|| panic!("no table begins with `{first}`")));
    let row = |line: &str| {
        let cells = split(line);
        assert_eq!(cells.len(), header.len(), "{line}");
        let column = header.iter().zip(&cells);
        let verdicts = column.filter(|(name, verdict)| Design::named(name).is_some() && *verdict != "–");
        let verdicts = verdicts.map(|(name, verdict)| (name.clone(), verdict.clone())).collect();
        let where_ = &cells[linked];
        let scenario = where_.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((name, rest)) = scenario {
            assert!(rest.starts_with(&format!("(../scenarios/{name}.toml)")), "{line}");
        }
        let tests = where_.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let scenario = scenario.map(|(name, _)| name.to_owned());
        Row { number: cells[0].clone(), cells, scenario, tests, verdicts }
    };
    lines.skip(1).take_while(|line| line.starts_with('|')).map(row).collect()
}

fn headings() -> Vec<Row> {
    table("| # | heading |", 3)
}

fn gaps() -> Vec<Row> {
    table("| gap |", 2)
}

fn scenario(name: &str) -> Scenario {
    let path = format!("scenarios/{name}.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    Scenario::parse(&path, &text).unwrap_or_else(|error| panic!("{error}"))
}

/// What comes of a scenario under a design, judged as the file says.
fn verdict(scenario: &Scenario, design: &str) -> String {
    let design = Design::named(design).expect("a column named like a design");
    let scenario = Scenario { design, ..scenario.clone() };
    let mut world = scenario.simulation(scenario.seed).expect("the parts fit").world();
    let report = scenario.run(&mut world, &scenario.judges(), scenario.seed, &mut ());
    match report.verdict {
        pellmell::Verdict::Held => "held".to_owned(),
        pellmell::Verdict::Violated { property, .. } => property.to_owned(),
        other => format!("{other:?}"),
    }
}

fn expected(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Held => "held".to_owned(),
        Expectation::Violated(property) => property.clone(),
    }
}

#[test]
fn the_page_has_every_heading_in_order_with_a_scenario_or_a_test() {
    let rows = headings();
    let found: Vec<(String, &str)> = rows.iter().map(|row| (row.number.clone(), row.cells[1].as_str())).collect();
    let known: Vec<(String, &str)> =
        HEADINGS.iter().enumerate().map(|(nth, name)| ((nth + 1).to_string(), *name)).collect();
    assert_eq!(found, known);
    for row in rows {
        assert!(row.scenario.is_some() || !row.tests.is_empty(), "heading {} shows nothing", row.number);
    }
}

#[test]
fn the_page_has_every_gap_in_order_with_a_scenario_of_its_number() {
    let rows = gaps();
    let found: Vec<&str> = rows.iter().map(|row| row.number.as_str()).collect();
    let known: Vec<String> = (1..=GAPS).map(|number| format!("G{number}")).collect();
    assert_eq!(found, known);
    for (nth, row) in rows.iter().enumerate() {
        let begins = format!("g{:02}-", nth + 1);
        match &row.scenario {
            Some(name) => assert!(name.starts_with(&begins), "{}: {name}", row.number),
            None => assert!(WITHOUT_A_SCENARIO.contains(&row.number.as_str()), "{} has no scenario", row.number),
        }
    }
}

#[test]
fn every_row_has_the_verdicts_it_claims() {
    for row in headings().into_iter().chain(gaps()) {
        let Some(name) = &row.scenario else {
            assert!(row.verdicts.is_empty(), "{} claims verdicts of no scenario", row.number);
            continue;
        };
        for design in ["course", "reference"] {
            assert!(row.verdicts.contains_key(design), "{} claims nothing of {design}", row.number);
        }
        let scenario = scenario(name);
        for (design, claimed) in &row.verdicts {
            assert_eq!(verdict(&scenario, design), *claimed, "{}: {name} under {design}", row.number);
        }
    }
}

#[test]
fn a_gap_breaks_the_property_it_names_and_the_course_with_it() {
    for row in gaps().into_iter().filter(|row| row.scenario.is_some()) {
        let property = row.cells[3].as_str();
        let claimed = if property == "–" { "held" } else { property };
        assert_eq!(row.verdicts["course"], claimed, "{}", row.number);
        assert!(row.verdicts.contains_key("saga"), "{} claims nothing of the saga", row.number);
    }
}

#[test]
fn the_page_and_the_files_expect_the_same() {
    let mut claimed: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in headings().into_iter().chain(gaps()) {
        let Some(name) = row.scenario else { continue };
        claimed.entry(name).or_default().extend(row.verdicts);
    }
    for (name, claimed) in claimed {
        let expects = scenario(&name).settings.expect;
        let expects: BTreeMap<String, String> =
            expects.iter().map(|(design, expectation)| (design.clone(), expected(expectation))).collect();
        assert_eq!(claimed, expects, "{name}");
    }
}

#[test]
fn a_design_that_holds_what_a_file_judges_holds_all_it_promises() {
    // Otherwise a file could hide behind the properties it names what its design breaks.
    for row in gaps() {
        let Some(name) = &row.scenario else { continue };
        let all = scenario(name).with(|settings| settings.properties.clear());
        for design in ["reference", "saga"].into_iter().filter(|design| row.verdicts[*design] == "held") {
            assert_eq!(verdict(&all, design), "held", "{name} under {design}");
        }
    }
}

#[test]
fn the_last_two_stages_have_the_rules_of_the_course() {
    for stage in ["stage4", "stage5"] {
        let stage = Design::named(stage).expect("a shipped design");
        assert_eq!(Design { name: "course", about: Design::COURSE.about, ..stage }, Design::COURSE);
    }
}

/// Every Rust file below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_the_page_names_exists() {
    let mut files = Vec::new();
    sources(Path::new("tests"), &mut files);
    sources(Path::new("src"), &mut files);
    sources(Path::new("crates"), &mut files);
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).expect("a file of text")).collect();
    for row in headings() {
        for test in row.tests {
            let declared =
                text.contains(&format!("#[test]\nfn {test}()")) || text.contains(&format!("#[test]\n    fn {test}()"));
            assert!(declared, "heading {}: there is no test {test}", row.number);
        }
    }
}
