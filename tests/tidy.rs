//! What docs/architecture.md calls an invariant and the source text can show.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library in reading order: each uses only those above it.
const ORDER: [&str; 29] = [
    "hash",
    "ids",
    "prng",
    "event",
    "store",
    "service",
    "faults",
    "broker",
    "schedule",
    "scheduler",
    "simulation",
    "world",
    "property",
    "run",
    "portfolio",
    "extract",
    "shrink",
    "determinism",
    "vacuity",
    "ticketing",
    "escape",
    "file_error",
    "scenario",
    "trace",
    "explain",
    "search",
    "testing",
    "corpus",
    "zoo",
];

const LINE_MAX: usize = 120;
const FILE_LINES_MAX: usize = 700;
const EXAMPLE_LINES_MAX: usize = 60;

/// A file of the repository.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Its lines with their numbers, without comments, and without the tests at its end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_tests = self.path.ends_with("tests.rs") || self.path.iter().any(|part| part == "tests");
        let lines = self.text.lines().enumerate().take_while(move |(_, line)| !is_tests && *line != "#[cfg(test)]");
        numbered(lines)
    }

    /// Its lines with their numbers, without comments.
    fn code_and_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(self.text.lines().enumerate())
    }
}

fn numbered<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> impl Iterator<Item = (usize, &'a str)> {
    lines.map(|(place, line)| (place + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Every file below a folder with one of these endings, in order.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                let text = fs::read_to_string(&path).expect("a file of text");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no .{ending} files in {folder}");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The markdown files people read.
fn pages() -> Vec<Source> {
    let at_the_top = ["README.md", "CHANGELOG.md"].map(|path| Source { path: path.into(), text: read(path) });
    files("docs", "md").into_iter().chain(at_the_top).collect()
}

#[track_caller]
fn none(wrong: Vec<String>, what: &str) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

/// Lines of code of these files in which one of these words stands.
fn with_words(sources: impl IntoIterator<Item = Source>, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (line, text) in source.code() {
            found.extend(words.iter().filter(|word| has_word(text, word)).map(|word| at(&source, line, word)));
        }
    }
    found
}

fn at(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.name())
}

/// Whether a word stands in a text and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(place, _)| {
        let before = text[..place].chars().next_back();
        let after = text[place + word.len()..].chars().next();
        let longer =
            before.is_some_and(part_of_word) || word.ends_with(part_of_word) && after.is_some_and(part_of_word);
        !longer
    })
}

#[test]
fn one_file_of_the_library_and_one_of_the_binary_are_not_checked_by_the_compiler_alone() {
    let may = ["src/store/tables.rs", "src/cli/closed.rs"];
    let others = files("src", "rs").into_iter().filter(|source| !may.contains(&source.name().as_str()));
    none(
        with_words(others, &["unsafe", "unsafe_code"]),
        "only src/store/tables.rs and src/cli/closed.rs may have this",
    );
}

#[test]
fn the_library_reads_no_clock_no_files_no_environment_and_prints_nothing() {
    // The file in which a test keeps its failures is the one that proptest is told to read and write.
    let keeps = |source: &Source| source.name() == "src/testing/kept_file.rs";
    let library = files("src", "rs").into_iter().filter(|source| !source.is_in("src/cli") && !keeps(source));
    let banned = [
        "HashMap",
        "HashSet",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::env",
        "std::net",
        "std::process::Command",
        "println!",
        "print!",
        "eprintln!",
        "dbg!",
    ];
    none(with_words(library, &banned), "not in the library");
}

#[test]
fn the_broker_draws_nothing() {
    none(with_words(files("src/broker", "rs"), &["prng", "Prng", "RunKey", "draw"]), "not in the broker");
}

#[test]
fn only_one_file_knows_where_random_words_come_from() {
    let others = files("src", "rs").into_iter().filter(|source| source.name() != "src/prng.rs");
    none(with_words(others, &["rand", "rand_chacha"]), "only in src/prng.rs");
}

#[test]
fn the_loop_over_steps_is_in_one_file() {
    let others = files("src", "rs").into_iter().filter(|source| source.name() != "src/run.rs");
    let moving = with_words(others, &["world.step(", "drain_offers"]);
    let declared = |line: &String| line.starts_with("src/world/mod.rs") && line.ends_with("drain_offers");
    none(moving.into_iter().filter(|line| !declared(line)).collect(), "only in src/run.rs");
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_unwrapped() {
    let mut wrong = Vec::new();
    for source in files("src", "rs") {
        let marks = source.text.lines().enumerate().filter(|(_, line)| line.contains("TODO") || line.contains("FIXME"));
        wrong.extend(marks.map(|(place, _)| at(&source, place + 1, "a mark of work to do")));
        let unwraps = source.code_and_tests().filter(|(_, line)| line.contains(".unwrap()"));
        wrong.extend(unwraps.map(|(line, _)| at(&source, line, "unwrap: use expect and say why it cannot fail")));
    }
    none(wrong, "not in src");
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_too_long() {
    let mut wrong = Vec::new();
    for source in files("src", "rs").into_iter().chain(files("tests", "rs")).chain(files("examples", "rs")) {
        let lines = source.text.lines().count();
        let is_empty_tests = source.path.ends_with("tests.rs") && source.text.trim().is_empty();
        if !source.text.starts_with("//!") && !is_empty_tests {
            wrong.push(at(&source, 1, "does not begin with `//!`"));
        }
        if source.is_in("src") && lines > FILE_LINES_MAX {
            wrong.push(at(&source, lines, &format!("longer than {FILE_LINES_MAX} lines")));
        }
        let long = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > LINE_MAX);
        // Expected output stands as it is printed, and some of it is wide.
        let long = long.filter(|_| source.is_in("src") || source.is_in("examples"));
        wrong.extend(long.map(|(place, _)| at(&source, place + 1, &format!("longer than {LINE_MAX} characters"))));
    }
    none(wrong, "files");
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let mut wrong = Vec::new();
    for source in files("src", "rs") {
        let below = source.path.strip_prefix("src").expect("a file in src");
        let module = below.iter().next().and_then(|part| Path::new(part).file_stem()).expect("a name");
        let module = module.to_str().expect("a name in ASCII").to_owned();
        if ["lib", "main", "cli", "doc_example", "erratic"].contains(&module.as_str()) {
            continue;
        }
        let own = place_of(&module).unwrap_or_else(|| panic!("{module} has no place in the order of the modules"));
        for (line, text) in source.code() {
            for other in text.split("crate::").skip(1) {
                let other: String = other.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                // What begins with a capital comes from lib.rs, which re-exports it from a module.
                let Some(place) = place_of(&other).filter(|place| *place > own) else { continue };
                wrong.push(at(&source, line, &format!("{module} uses {other}, which is below it ({place})")));
            }
        }
    }
    none(wrong, "against the order in docs/architecture.md");
}

fn place_of(module: &str) -> Option<usize> {
    ORDER.iter().position(|known| *known == module)
}

#[test]
fn the_architecture_page_lists_the_modules_in_their_order() {
    let page = read("docs/architecture.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("### `")).collect::<Vec<_>>().join(" `");
    let mut named = headings.split('`').map(|part| part.trim_matches([' ', ','])).filter(|part| !part.is_empty());
    for module in ORDER {
        assert!(named.any(|name| name == module), "{module} is missing or out of its place in the headings");
    }
    let root = read("src/lib.rs");
    for line in root.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let module = line.trim_end_matches(';');
        assert!(module == "doc_example" || place_of(module).is_some(), "{module} has no place in the order");
    }
}

#[test]
fn the_command_line_and_the_ticketing_services_use_public_paths() {
    let cli = files("src/cli", "rs").into_iter().filter(|source| source.text.contains("crate::"));
    none(cli.map(|source| source.name()).collect(), "use pellmell:: and super:: in the binary");
    // That ticketing needs nothing private is shown by examples/ticketing_as_a_user.rs, which
    // compiles its files as another crate. Here: that the example still does.
    let example = read("examples/ticketing_as_a_user.rs");
    assert!(example.contains("#[path = \"../src/ticketing/mod.rs\"]"));
}

#[test]
fn the_example_of_two_services_is_short() {
    let example = read("examples/two_services.rs");
    let code = example.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    assert!(code <= EXAMPLE_LINES_MAX, "{code} lines of code, expected at most {EXAMPLE_LINES_MAX}");
    assert!(read("src/lib.rs").contains("include_str!(\"../examples/two_services.rs\")"), "the manual shows it");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in pages() {
        let folder = page.path.parent().expect("a file is in a folder");
        for (place, line) in page.text.lines().enumerate() {
            for link in line.split("](").skip(1) {
                let target = link.split(')').next().unwrap_or_default();
                let file = target.split('#').next().unwrap_or_default();
                let elsewhere = target.contains("://") || file.is_empty();
                if !elsewhere && !folder.join(file).exists() {
                    wrong.push(at(&page, place + 1, target));
                }
            }
        }
    }
    none(wrong, "links");
}

#[test]
fn every_scenario_is_described() {
    let text: String = pages().into_iter().map(|page| page.text).collect();
    // Entries of the corpus say themselves why they are there.
    let scenarios =
        files("scenarios", "toml").into_iter().filter(|source| !source.path.starts_with("scenarios/corpus"));
    let unknown = scenarios.map(|source| source.name());
    none(unknown.filter(|name| !text.contains(name.as_str())).collect(), "not in docs or README");
}

#[test]
fn every_property_and_every_key_of_a_scenario_is_described() {
    let (page, keys) = (read("docs/properties.md"), read("docs/scenarios.md"));
    let properties = pellmell::ticketing::properties::all();
    let rows = properties.iter().map(|property| format!("`{}` | {} |", property.name(), property.about()));
    none(rows.filter(|row| !page.contains(row)).collect(), "not in docs/properties.md");
    let file = read("src/scenario/file.rs");
    let fields = file.lines().filter_map(|line| line.trim().strip_prefix("pub(super) "));
    let fields = fields.filter_map(|line| line.split_once(": ").map(|(name, _)| name));
    let unknown = fields.filter(|name| !keys.contains(&format!("`{name}`")) && !keys.contains(&format!("[{name}")));
    let unknown = unknown.filter(|name| !["tickets", "client"].contains(name));
    none(unknown.map(str::to_owned).collect(), "not in docs/scenarios.md");
}

#[test]
fn the_commands_in_the_readme_exist() {
    let verbs = ["run", "sweep", "exhaust", "merge", "shrink", "explain", "replay", "check", "corpus", "zoo"];
    for line in read("README.md").lines().filter_map(|line| line.strip_prefix("$ cargo ")) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["test"] => {}
            ["run", "--release", "--", "zoo" | "corpus", ..] => {}
            ["run", "--release", "--example", example] => {
                assert!(Path::new(&format!("examples/{example}.rs")).exists(), "{line}");
            }
            ["run", "--release", "--", verb, file, ..] => {
                assert!(verbs.contains(&verb) && Path::new(file).exists(), "{line}");
            }
            _ => panic!("no such command: cargo {line}"),
        }
    }
}

#[test]
fn the_changelog_begins_with_its_title_and_what_is_not_released() {
    let sections = read("CHANGELOG.md");
    assert!(sections.starts_with("# Changelog\n"));
    let mut headings = sections.lines().filter(|line| line.starts_with("##"));
    assert_eq!(headings.next(), Some("## [Unreleased]"));
}
