//! The incidents: that each is short, and that it says where it is told.

use std::collections::BTreeSet;
use std::fs;

/// The headings of a page, in their order.
const HEADINGS: [&str; 5] = ["## What happened", "## The services", "## The departures", "## The fix", "## See it"];
/// The files that are of no incident.
const SHARED: [&str; 5] = ["lib", "main", "parts", "played", "reported"];

const CODE_LINES_MAX: usize = 60;
const PAGE_LINES_MAX: usize = 40;

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the files in a folder that end so, without the ending, with dashes.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.expect("a readable folder").file_name().to_string_lossy().into_owned());
    names.filter_map(|name| Some(name.strip_suffix(ending)?.replace('_', "-"))).collect()
}

/// The incidents, each with its file and its page.
fn incidents() -> impl Iterator<Item = (String, String, String)> {
    let mut files = names("incidents/src", ".rs");
    files.retain(|name| !SHARED.contains(&name.as_str()));
    assert_eq!(files, names("incidents", ".md"), "the files in incidents/src, and the pages in incidents");
    files.into_iter().map(|name| {
        let file = read(&format!("incidents/src/{}.rs", name.replace('-', "_")));
        let page = read(&format!("incidents/{name}.md"));
        (name, file, page)
    })
}

/// The text of a field of an incident.
fn field<'a>(file: &'a str, name: &str) -> &'a str {
    let begin = format!("\n    {name}: \"");
    let rest = file.split_once(&begin).unwrap_or_else(|| panic!("no `{name}`")).1;
    rest.split('"').next().unwrap_or_default()
}

#[test]
fn each_incident_is_short() {
    for (name, file, page) in incidents() {
        let code = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
        assert!(code <= CODE_LINES_MAX, "{name}: {code} lines of code, expected at most {CODE_LINES_MAX}");
        let lines = page.lines().count();
        assert!(lines <= PAGE_LINES_MAX, "{name}: a page of {lines} lines, expected at most {PAGE_LINES_MAX}");
    }
}

#[test]
fn each_incident_says_where_it_is_told() {
    for (name, file, page) in incidents() {
        assert_eq!(field(&file, "name"), name);
        // Behind a comma stands the file.
        let url = field(&file, "source").split(',').next().unwrap_or_default();
        assert!(url.starts_with("https://github.com/"), "{name}: {url}");
        assert!(page.contains(&format!("]({url})")), "{name}: its page does not link {url}");
    }
}

#[test]
fn each_page_of_an_incident_has_its_parts() {
    for (name, file, page) in incidents() {
        assert!(page.starts_with(&format!("# {name}\n\n")), "{name}: its page begins with the name");
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{name}");
        assert!(page.contains("\nBroker: "), "{name}: its page does not name the broker");
        let about = field(&file, "about");
        let says = page.lines().nth(2).is_some_and(|line| line.get(1..line.len() - 1) == about.get(1..));
        assert!(says, "{name}: its page begins with what went wrong: {about}");
    }
}
