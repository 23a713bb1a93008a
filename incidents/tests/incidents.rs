//! Each incident: its departures show it, a search finds it soon, the fix mends it, and its page says so.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use pellmell::Departure;
use pellmell::explain::Explain;
use pellmell_incidents::{ALL, Incident, table};

/// How many schedules a search may take.
const SCHEDULES_MAX: u64 = 100;
/// How many seeds are played with the fix.
const SEEDS: u64 = 1_000;

/// Asks the same of all, and panics with what is wrong with each.
#[track_caller]
fn each(wrong: impl Fn(&Incident) -> Option<String>) {
    let say = |incident: &Incident| wrong(incident).map(|wrong| format!("{}: {wrong}", incident.name));
    let wrong: Vec<String> = ALL.iter().filter_map(say).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn lines(departures: &[Departure]) -> Vec<String> {
    departures.iter().map(ToString::to_string).collect()
}

/// A file of this repository, by its path from the root.
fn read(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_departures_of_each_show_it_none_can_be_left_out_and_nothing_is_told_twice() {
    each(|incident| {
        let (simulation, judges) = ((incident.system)(false), incident.judges());
        let shown = match Explain::new(&simulation, &judges).with_continuations(1).departures(incident.schedule()) {
            Ok(shown) => shown,
            Err(error) => return Some(format!("{error}; a search finds {:#?}", incident.find())),
        };
        let told: BTreeSet<&String> = shown.why.iter().collect();
        match () {
            () if lines(&shown.departures) != incident.departures => Some(format!("{:#?}", lines(&shown.departures))),
            () if told.len() < shown.why.len() => Some(format!("{:#?}", shown.why)),
            () => None,
        }
    });
}

#[test]
fn a_search_finds_each_within_a_hundred_schedules() {
    each(|incident| match incident.find() {
        None => Some("a search does not find it".to_owned()),
        Some(found) if found.schedules <= SCHEDULES_MAX => None,
        Some(found) => Some(format!("it takes {} schedules", found.schedules)),
    });
}

#[test]
fn the_fix_of_each_holds_under_its_departures() {
    each(|incident| {
        let verdict = incident.verdict(true);
        (!verdict.is_held()).then(|| format!("{verdict:?}"))
    });
}

#[test]
fn the_fix_of_each_holds_under_every_single_departure_and_a_thousand_seeds() {
    for incident in ALL {
        // What fails panics, and this is shown then.
        eprintln!("{}", incident.name);
        assert!(incident.check_fixed(SEEDS).runs >= SEEDS);
    }
}

#[test]
fn the_page_of_each_has_its_departures_and_the_command_that_shows_it() {
    each(|incident| {
        let page = read(&format!("incidents/{}.md", incident.name));
        let departures = match incident.departures {
            [] => String::new(),
            lines => format!("```text\n{}\n```\n", lines.join("\n")),
        };
        let command = format!("```console\n$ cargo run -p pellmell-incidents -- {}\n```\n", incident.name);
        let parts = [(departures, "the departures"), (command, "the command")];
        let missing = parts.iter().find(|(part, _)| !page.contains(part));
        let more = incident.departures.is_empty() && page.contains("```text");
        missing.map(|(_, what)| format!("its page lacks {what}")).or(more.then(|| "it has no departures".to_owned()))
    });
}

#[test]
fn the_table_of_all_is_what_they_come_to() {
    const PAGE: &str = "docs/incidents.md";
    let (page, table) = (read(PAGE), table());
    let missing: Vec<&str> = table.lines().filter(|row| !page.lines().any(|line| line == *row)).collect();
    assert!(missing.is_empty(), "{PAGE} does not have these rows:\n{}", missing.join("\n"));
    let rows = |text: &str| text.lines().filter(|line| line.starts_with("| [")).count();
    assert_eq!(rows(&page), rows(&table), "the incidents in {PAGE}");
}

#[test]
fn each_name_is_that_of_one_incident_and_they_are_in_order() {
    let names: Vec<&str> = ALL.iter().map(|incident| incident.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    each(|incident| (Incident::named(incident.name)?.source != incident.source).then(|| "another one".to_owned()));
}

#[test]
fn a_story_names_all_messages_that_were_given_up_alike() {
    let story = Incident::named("given-up-unhandled").map(|incident| incident.story()).unwrap_or_default();
    let told = "The broker gives up `task:queued t1@0` and `task:queued t1@1` for worker after 3 attempts.";
    assert!(story.contains(told), "{story}");
}

#[test]
fn the_report_has_each_incident_and_every_link_leads_to_a_page() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("incidents-report");
    let run = |flags: &[&str]| {
        let program = Command::new(env!("CARGO_BIN_EXE_pellmell-incidents")).args(flags).output();
        program.expect("the program runs")
    };
    let path = folder.display().to_string();
    let ran = run(&["all", "--report", &path]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let index = fs::read_to_string(folder.join("index.html")).expect("an index");
    each(|incident| (!index.contains(incident.name)).then(|| "it is not in the report".to_owned()));
    let links: BTreeSet<&str> =
        index.split("href=\"").skip(1).filter_map(|rest| rest.split(['"', '#']).next()).collect();
    let pages = links.iter().filter(|link| link.ends_with(".html") && !link.contains("://"));
    let missing: Vec<_> = pages.clone().filter(|link| !folder.join(link).is_file()).collect();
    assert!(missing.is_empty() && pages.count() >= ALL.len(), "{missing:?}");
    let refused = run(&["all", "--report", env!("CARGO_MANIFEST_DIR")]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("nothing is written there"), "{said}");
}
