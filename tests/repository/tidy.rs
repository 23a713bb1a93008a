//! What docs/architecture.md calls an invariant and the source text can show.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The packages, each with the others that it depends on. Tests may use more.
const PACKAGES: [(&str, &[&str]); 11] = [
    (
        ".",
        &[
            "pellmell-cli",
            "pellmell-code",
            "pellmell-core",
            "pellmell-processes",
            "pellmell-proptest",
            "pellmell-scenario",
        ],
    ),
    ("crates/cli", &["pellmell-core", "pellmell-report", "pellmell-scenario"]),
    ("crates/report", &["pellmell-core"]),
    ("crates/scenario", &["pellmell-core"]),
    ("crates/proptest", &["pellmell-core"]),
    ("crates/code", &["pellmell-core"]),
    ("crates/processes", &["pellmell-code", "pellmell-core", "pellmell-scenario"]),
    ("crates/core", &[]),
    ("examples/order-workflow", &["pellmell"]),
    ("examples/bank-transfers", &["pellmell"]),
    ("examples/read-model", &["pellmell"]),
];

/// The modules of the core in reading order: each uses only those above it.
const CORE: [&str; 27] = [
    "hash",
    "nearest",
    "escape",
    "file_error",
    "ids",
    "prng",
    "event",
    "store",
    "service",
    "faults",
    "engine",
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
    "trace",
    "explain",
    "search",
    "testing",
];

/// The same of the crate with scenario files.
const SCENARIO: [&str; 6] = ["scenario", "foreign", "corpus", "zoo", "results", "any"];

/// Where all that is built and shipped is.
const SOURCES: [&str; 4] = ["crates", "src", "examples", "incidents"];

const LINE_MAX: usize = 120;
const FILE_LINES_MAX: usize = 700;
const EXAMPLE_LINES_MAX: usize = 60;

/// A file of the repository.
struct Source {
    path: PathBuf,
    text: String,
    /// Whether all of it is built for tests alone.
    is_test: bool,
}

impl Source {
    fn read(path: impl Into<PathBuf>) -> Source {
        let path = path.into();
        let text = read(&path);
        Source { path, text, is_test: false }
    }

    /// The modules that it declares and that are built for tests alone, as paths without an ending.
    fn test_modules(&self) -> impl Iterator<Item = PathBuf> {
        let is_folder = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| self.path.ends_with(name));
        let folder =
            if is_folder { self.path.parent().expect("a folder").to_owned() } else { self.path.with_extension("") };
        let lines: Vec<&str> = self.text.lines().collect();
        let modules = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        let names: Vec<&str> = modules.filter_map(|pair| module_in_a_file(pair[1])).collect();
        names.into_iter().map(move |name| folder.join(name)).collect::<Vec<_>>().into_iter()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// Its lines with their numbers, without comments, and without the tests at its end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let is_end = |pair: &[&str]| pair[0] == "#[cfg(test)]" && module_in_a_file(pair[1]).is_none();
        let end = if self.is_test { 0 } else { lines.windows(2).position(is_end).unwrap_or(lines.len()) };
        numbered(lines.into_iter().take(end).enumerate())
    }

    /// Its lines with their numbers, without comments.
    fn code_and_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(self.text.lines().enumerate())
    }
}

/// The name of a module that a line declares and that has a file of its own.
fn module_in_a_file(line: &str) -> Option<&str> {
    line.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name)
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
                // What cargo builds is nobody's source.
                folders.extend(Some(path).filter(|path| !path.ends_with("target")));
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(Source::read(path));
            }
        }
    }
    let tests: BTreeSet<PathBuf> = found.iter().flat_map(Source::test_modules).collect();
    for source in &mut found {
        let in_tests = |path: &Path| tests.contains(path) || path.ends_with("tests");
        source.is_test = in_tests(&source.path.with_extension("")) || source.path.ancestors().any(in_tests);
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no .{ending} files in {folder}");
    found
}

/// Every file of Rust in these folders.
fn rust<'a>(folders: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = Source> {
    folders.into_iter().flat_map(|folder| files(folder, "rs"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The markdown files people read.
fn pages() -> Vec<Source> {
    let at_the_top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "fuzz/README.md"].map(Source::read);
    files("docs", "md").into_iter().chain(files("incidents", "md")).chain(at_the_top).collect()
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
fn one_file_of_the_command_line_is_not_checked_by_the_compiler_alone() {
    const MAY: &str = "crates/cli/src/closed.rs";
    let others = rust(SOURCES).filter(|source| source.name() != MAY);
    none(with_words(others, &["unsafe"]), &format!("only {MAY} may have this"));
    assert!(Source::read(MAY).code().any(|(_, line)| has_word(line, "unsafe")), "{MAY} has no need of it");
}

#[test]
fn the_library_reads_no_clock_no_files_no_environment_and_prints_only_what_tests_must_be_told() {
    /// What a test must be told although it passes.
    const TELLS: &str = "crates/core/src/testing/story.rs";
    // The file in which a test keeps its failures is the one that proptest is told to read and write.
    let keeps = |source: &Source| source.name() == "crates/proptest/src/kept_file.rs";
    // A process takes real time, has a folder, and may be a client on loopback: that decides whether there is a result,
    // and never which.
    let starts = |source: &Source| {
        let of_processes = ["process.rs", "child.rs", "serving.rs"].map(|file| format!("crates/code/src/{file}"));
        let of_clients = ["crates/code/src/client", "crates/code/src/nats"];
        of_processes.contains(&source.name()) || of_clients.iter().any(|folder| source.is_in(folder))
    };
    let libraries = PACKAGES.iter().filter(|(folder, _)| ![".", "crates/cli"].contains(folder));
    let libraries: Vec<String> = libraries.map(|(folder, _)| format!("{folder}/src")).collect();
    let library = rust(libraries.iter().map(String::as_str).chain(["src"])).filter(|source| !keeps(source));
    let library = library.filter(|source| !starts(source)).filter(|source| !source.path.ends_with("main.rs"));
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
    // What a process writes to its own stderr is read.
    let told = rust(libraries.iter().map(String::as_str)).filter(|source| !source.is_in("crates/code"));
    let told = told.filter(|source| source.name() != TELLS);
    none(with_words(told, &["stderr"]), &format!("only in {TELLS}"));
}

#[test]
fn the_broker_draws_nothing() {
    let broker = files("crates/core/src/broker", "rs");
    none(with_words(broker, &["prng", "Prng", "RunKey", "draw"]), "not in the broker");
}

#[test]
fn only_one_file_knows_where_random_words_come_from() {
    let may = "crates/core/src/prng.rs";
    let others = rust(SOURCES).filter(|source| source.name() != may);
    none(with_words(others, &["rand", "rand_chacha"]), &format!("only in {may}"));
}

#[test]
fn the_loop_over_steps_is_in_one_file() {
    let others = rust(SOURCES).filter(|source| source.name() != "crates/core/src/run.rs");
    let moving = with_words(others, &["world.step(", "drain_offers"]);
    let declared = |line: &String| line.starts_with("crates/core/src/world/mod.rs") && line.ends_with("drain_offers");
    none(moving.into_iter().filter(|line| !declared(line)).collect(), "only in crates/core/src/run.rs");
}

#[test]
fn what_is_for_any_system_does_not_speak_of_tickets() {
    let mut wrong = Vec::new();
    for source in files("crates", "rs") {
        let speaking = source.code().filter(|(_, line)| line.to_ascii_lowercase().contains("ticket"));
        wrong.extend(speaking.map(|(line, text)| at(&source, line, text.trim())));
    }
    for source in files("crates", "toml").into_iter().filter(|source| source.text.contains("ticket")) {
        wrong.push(source.name());
    }
    none(wrong, "only in src and in tests");
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_unwrapped() {
    let mut wrong = Vec::new();
    for source in rust(SOURCES) {
        let marks = source.text.lines().enumerate().filter(|(_, line)| line.contains("TODO") || line.contains("FIXME"));
        wrong.extend(marks.map(|(place, _)| at(&source, place + 1, "a mark of work to do")));
        let unwraps = source.code_and_tests().filter(|(_, line)| line.contains(".unwrap()"));
        wrong.extend(unwraps.map(|(line, _)| at(&source, line, "unwrap: use expect and say why it cannot fail")));
    }
    none(wrong, "not in what is built");
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_too_long() {
    let mut wrong = Vec::new();
    for source in rust(SOURCES).chain(rust(["tests", "benches"])) {
        let lines = source.text.lines().count();
        if !source.text.starts_with("//!") {
            wrong.push(at(&source, 1, "does not begin with `//!`"));
        }
        // Expected output stands as it is printed, and some of it is wide.
        let is_built =
            SOURCES.iter().any(|folder| source.is_in(folder)) && !source.path.iter().any(|part| part == "tests");
        if !is_built {
            continue;
        }
        if lines > FILE_LINES_MAX {
            wrong.push(at(&source, lines, &format!("longer than {FILE_LINES_MAX} lines")));
        }
        let long = source.text.lines().enumerate().filter(|(_, line)| line.chars().count() > LINE_MAX);
        wrong.extend(long.map(|(place, _)| at(&source, place + 1, &format!("longer than {LINE_MAX} characters"))));
    }
    none(wrong, "files");
}

/// A table of dependencies in a Cargo.toml, those of this project.
fn own(dependencies: Option<&toml::Value>) -> impl Iterator<Item = &str> {
    let names = dependencies.and_then(toml::Value::as_table).into_iter().flat_map(|table| table.keys());
    names.map(String::as_str).filter(|name| name.starts_with("pellmell"))
}

#[test]
fn a_crate_depends_only_on_crates_below_it() {
    let root: toml::Table = toml::from_str(&read("Cargo.toml")).expect("TOML");
    let members = root["workspace"]["default-members"].as_array().expect("a list");
    let members: BTreeSet<&str> = members.iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(members, PACKAGES.iter().map(|(folder, _)| *folder).collect(), "the packages of the workspace");
    for (folder, expected) in PACKAGES {
        let manifest: toml::Table = toml::from_str(&read(Path::new(folder).join("Cargo.toml"))).expect("TOML");
        let mut found: BTreeSet<&str> = own(manifest.get("dependencies")).collect();
        let targets = manifest.get("target").and_then(toml::Value::as_table);
        found.extend(targets.into_iter().flatten().flat_map(|(_, target)| own(target.get("dependencies"))));
        assert_eq!(found, expected.iter().copied().collect(), "what {folder} depends on");
    }
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let mut wrong = Vec::new();
    for (folder, order) in [("crates/core/src", &CORE[..]), ("crates/scenario/src", &SCENARIO[..])] {
        let place_of = |module: &str| order.iter().position(|known| *known == module);
        for source in files(folder, "rs").into_iter().filter(|source| !source.is_test) {
            let below = source.path.strip_prefix(folder).expect("a file in the folder");
            let module = below.iter().next().and_then(|part| Path::new(part).file_stem()).expect("a name");
            let module = module.to_str().expect("a name in ASCII").to_owned();
            if ["lib", "doc_example"].contains(&module.as_str()) {
                continue;
            }
            let own = place_of(&module).unwrap_or_else(|| panic!("{module} has no place in the order of the modules"));
            for (line, text) in source.code() {
                // What begins with a capital comes from lib.rs, which re-exports it from a module.
                for other in used(text).filter(|other| place_of(other).is_some_and(|place| place > own)) {
                    wrong.push(at(&source, line, &format!("{module} uses {other}, which is below it")));
                }
            }
        }
    }
    none(wrong, "against the order in docs/architecture.md");
}

/// The modules of its own crate that a line names.
fn used(line: &str) -> impl Iterator<Item = &str> {
    let paths = line.split("crate::").skip(1).flat_map(|path| match path.strip_prefix('{') {
        Some(several) => several.split(',').collect(),
        None => vec![path],
    });
    paths.filter_map(|path| path.trim().split(|c: char| !c.is_ascii_lowercase() && c != '_').next())
}

#[test]
fn the_architecture_page_lists_the_modules_in_their_order() {
    let page = read("docs/architecture.md");
    let headings = page.lines().filter_map(|line| line.strip_prefix("### ")).collect::<Vec<_>>().join(" ");
    // What is in backticks is every other part.
    let mut named = headings.split('`').skip(1).step_by(2);
    for module in CORE.iter().chain(&SCENARIO) {
        assert!(named.any(|name| name == *module), "{module} is missing or out of its place in the headings");
    }
    for (folder, order) in [("crates/core", &CORE[..]), ("crates/scenario", &SCENARIO[..])] {
        let root = read(Path::new(folder).join("src/lib.rs"));
        let public: BTreeSet<&str> =
            root.lines().filter_map(|line| module_in_a_file(line.strip_prefix("pub ")?)).collect();
        let ordered = order.iter().copied().chain((folder == "crates/core").then_some("doc_example"));
        assert_eq!(public, ordered.collect(), "the public modules of {folder}");
    }
}

#[test]
fn the_root_package_has_nothing_that_a_user_could_not_write() {
    // So `crate::` in src/ticketing names what lib.rs shows to all, and nothing else compiles.
    let root = read("src/lib.rs");
    let modules = root.lines().filter_map(module_in_a_file).collect::<Vec<_>>();
    assert_eq!(modules, ["prelude", "testing", "ticketing"]);
    assert_eq!(root.lines().filter(|line| line.starts_with("pub mod ")).count(), modules.len(), "all are public");
    let elsewhere = rust(["src"]).filter(|source| !source.is_in("src/ticketing"));
    let names: Vec<String> = elsewhere.map(|source| source.name()).collect();
    assert_eq!(names, ["src/lib.rs", "src/main.rs", "src/prelude.rs", "src/testing.rs"]);
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
fn every_file_that_contributing_names_is_there() {
    let page = read("CONTRIBUTING.md");
    // What is in backticks is every other part.
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(|part| !part.contains(' ')).collect();
    let folders = [".ci/", "api/", "crates/", "docs/", "examples/", "scenarios", "src/", "tests/"];
    let paths = named.into_iter().filter(|part| folders.iter().any(|folder| part.starts_with(folder)));
    // `*` and capitals stand for any name.
    let paths = paths.filter(|path| !path.contains(|c: char| c == '*' || c.is_ascii_uppercase()));
    let paths: Vec<&str> = paths.collect();
    assert!(paths.len() > 20, "{paths:?}");
    none(paths.into_iter().filter(|path| !Path::new(path).exists()).map(str::to_owned).collect(), "files");
}

#[test]
fn every_scenario_is_described() {
    let text: String = pages().into_iter().map(|page| page.text).collect();
    // Entries of the corpus say themselves why they are there, and the defects of the zoo in which world they are.
    let elsewhere = |source: &Source| source.is_in("scenarios/corpus") || source.is_in("scenarios/zoo");
    let scenarios = files("scenarios", "toml").into_iter().filter(|source| !elsewhere(source));
    let unknown = scenarios.map(|source| source.name());
    none(unknown.filter(|name| !text.contains(name.as_str())).collect(), "not in docs or README");
}

#[test]
fn every_property_and_every_key_of_a_scenario_is_described() {
    let (page, keys) = (read("docs/properties.md"), read("docs/scenarios.md"));
    let properties = pellmell::ticketing::properties::all();
    let rows = properties.iter().map(|property| format!("`{}` | {} |", property.name(), property.about()));
    none(rows.filter(|row| !page.contains(row)).collect(), "not in docs/properties.md");
    let file = read("crates/scenario/src/scenario/file.rs");
    let fields = file.lines().filter_map(|line| line.trim().strip_prefix("pub(super) "));
    let fields = fields.filter_map(|line| line.split_once(": ").map(|(name, _)| name));
    let unknown = fields.filter(|name| !keys.contains(&format!("`{name}`")) && !keys.contains(&format!("[{name}")));
    let unknown = unknown.filter(|name| !["tickets", "client"].contains(name));
    none(unknown.map(str::to_owned).collect(), "not in docs/scenarios.md");
}

#[test]
fn the_commands_in_the_readme_exist() {
    let verbs = ["run", "sweep", "exhaust", "merge", "shrink", "explain", "export", "replay", "check", "corpus", "zoo"];
    for line in read("README.md").lines().filter_map(|line| line.strip_prefix("$ cargo ")) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["test"] => {}
            ["run", "-p", "pellmell-incidents", "--", name] => {
                assert!(Path::new("incidents").join(name).with_extension("md").exists(), "{line}");
            }
            ["run", "--release", "--", "zoo" | "corpus", ..] | ["run", "--", "corpus", ..] => {}
            ["run", "--", verb, file, ..] => {
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
