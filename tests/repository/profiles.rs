//! The pages about profiles of brokers: that each profile has one, and that what a page quotes is so.

use std::collections::BTreeSet;
use std::fs;

use pellmell::engine::Profile;

/// The headings of a page, in their order.
const HEADINGS: [&str; 5] =
    ["## What it may do to you", "## What it never does", "## Settings", "## What backs it", "## Not modelled"];

/// The names of the files in a folder that end so, without the ending.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

fn page(profile: &str) -> String {
    let path = format!("docs/brokers/{profile}.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands in backquotes outside of fenced blocks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    let prose = page.split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

#[test]
fn each_profile_has_a_page_and_a_row_and_no_page_is_of_none() {
    let mut pages = names("docs/brokers", ".md");
    assert!(pages.remove("README"), "docs/brokers/README.md is not there");
    let profiles: BTreeSet<String> = Profile::names().into_iter().map(str::to_owned).collect();
    assert_eq!(pages, profiles, "the pages in docs/brokers, and the profiles");
    let table = page("README");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| [`")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), Profile::names(), "the rows of docs/brokers/README.md, and the profiles");
}

#[test]
fn each_page_has_its_parts_and_quotes_the_settings_as_they_are() {
    for profile in Profile::all() {
        let (name, page) = (profile.name, page(profile.name));
        assert!(page.starts_with(&format!("# `{name}`\n\n")), "{name}: it begins with the name");
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        let settings = profile.settings();
        let lines = settings.iter().map(|setting| format!("{} = {}\n", setting.name, setting.value));
        let expected = format!("text\nengine = {}\n{}", profile.rules, lines.collect::<String>());
        let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
        assert_eq!(blocks, [expected], "{name}: what `pellmell profiles {name}` prints is in the page");
        let told: BTreeSet<&str> = quoted(&page).collect();
        let untold: Vec<_> = settings.iter().filter(|setting| !told.contains(setting.name.as_str())).collect();
        assert!(untold.is_empty(), "{name}: the page does not say what these are: {untold:?}");
    }
}

#[test]
fn the_recordings_are_those_that_the_pages_name() {
    let recordings = names("tests/recordings", ".jsonl");
    let named = |profile: &str| -> BTreeSet<String> {
        quoted(&page(profile)).filter_map(|word| word.strip_suffix(".jsonl")).map(str::to_owned).collect()
    };
    let named: BTreeSet<String> = Profile::names().into_iter().flat_map(named).collect();
    assert_eq!(named, recordings, "what pages in docs/brokers name, and what is in tests/recordings");
}
