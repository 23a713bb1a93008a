//! Faults of one line that some test has to catch: each is a file in `tests/mutants`, with the text it
//! changes, what is put there instead, and the tests that must fail then.
//!
//! That the text is still there is checked always. Whether the tests catch what is planted is tried by
//! `.ci/mutants`, because for that the crate is built once for each of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

/// A fault to be planted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    /// What is wrong then, and why it matters.
    about: String,
    /// Where.
    file: PathBuf,
    /// What stands there, exactly once.
    find: String,
    /// What is put in its place.
    put: String,
    /// What of the tests must fail, as `cargo test` is told: `-p pellmell-core --lib world::step`.
    test: String,
    /// Whether it is one of the few that are tried before each change is taken.
    #[serde(default)]
    sample: bool,
}

impl Mutant {
    /// The file with the fault planted.
    fn planted(&self) -> Result<String, String> {
        let Mutant { file, find, put, .. } = self;
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        match text.matches(find.as_str()).count() {
            1 if find == put => Err("it changes nothing".to_owned()),
            1 => Ok(text.replacen(find.as_str(), put, 1)),
            times => Err(format!("{}: found {times} times, expected once: {find}", file.display())),
        }
    }
}

/// Some of the tests.
struct Tests<'a> {
    /// The package that has them.
    package: &'a str,
    /// `--lib`, or `--test` and a name.
    target: Vec<&'a str>,
    /// What their names have in them.
    filters: Vec<&'a str>,
}

impl<'a> Tests<'a> {
    /// What `cargo test` is told, taken apart, if it is `-p PACKAGE`, which may be missing, `--lib` or
    /// `--test NAME`, and filters.
    fn of(words: &'a str) -> Option<Tests<'a>> {
        let words: Vec<&str> = words.split(' ').collect();
        let (package, words) = match &words[..] {
            ["-p", package, words @ ..] => (*package, words),
            words => ("pellmell", words),
        };
        let (target, filters) = match words {
            ["--lib", ..] => words.split_at(1),
            ["--test", _, ..] => words.split_at(2),
            _ => return None,
        };
        Some(Tests { package, target: target.to_vec(), filters: filters.to_vec() })
    }

    /// Which test program that is, as `cargo test` is told.
    fn program(&self) -> Vec<&'a str> {
        [&["-p", self.package], &self.target[..]].concat()
    }

    /// Where the package is.
    fn folder(&self) -> PathBuf {
        self.package.strip_prefix("pellmell-").map_or(PathBuf::from("."), |name| Path::new("crates").join(name))
    }
}

/// All of them, by name.
fn mutants() -> BTreeMap<String, Mutant> {
    let folder = fs::read_dir("tests/mutants").expect("the folder of mutants");
    let paths = folder.map(|entry| entry.expect("a readable folder").path());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file of text");
        let mutant = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_stem().expect("a name").to_str().expect("a name in ASCII").to_owned(), mutant)
    };
    paths.map(read).collect()
}

#[test]
fn what_each_mutant_changes_is_there_exactly_once() {
    let wrong: Vec<String> = mutants()
        .iter()
        .filter_map(|(name, mutant)| mutant.planted().err().map(|error| format!("{name}: {error}")))
        .collect();
    assert!(wrong.is_empty(), "write them anew for the text as it is now:\n{}", wrong.join("\n"));
}

#[test]
fn each_mutant_says_what_it_is_and_names_tests_that_exist() {
    for (name, mutant) in mutants() {
        assert!(mutant.about.ends_with('.') && mutant.about.len() > 20, "{name}: {}", mutant.about);
        let tests = Tests::of(&mutant.test).unwrap_or_else(|| panic!("{name}: `{}`", mutant.test));
        let folder = tests.folder();
        let program = match tests.target[..] {
            [_, program] => format!("tests/{program}"),
            _ => "src".to_owned(),
        };
        assert!(folder.join(&program).is_dir(), "{name}: {}: no {program}", tests.package);
        for module in tests.filters.iter().filter_map(|filter| filter.split("::").next()) {
            let file = folder.join(&program).join(module);
            let exists = file.is_dir() || file.with_extension("rs").exists();
            assert!(exists, "{name}: {} has no module {module}", folder.join(&program).display());
        }
    }
}

/// The longest a test may take, in seconds. One that never ends tells nobody what is wrong.
const SECONDS_MAX: &str = "300";

/// What became of a mutant.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Caught,
    Survived,
    NeverEnds,
    DoesNotCompile,
}

/// A copy of the repository in which faults are planted.
struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    fn new() -> Scratch {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
        let scratch = Scratch { tree: folder.join("tree"), target: folder.join("target") };
        copy(&fs::canonicalize(".").expect("the repository"), &scratch.tree);
        // cargo builds the binary for each test of the root package, and none that is named here runs it.
        let (main, stub) = (scratch.tree.join("src/main.rs"), "//! Nothing.\n\nfn main() {}\n");
        if fs::read_to_string(&main).ok().as_deref() != Some(stub) {
            fs::write(&main, stub).expect("the copy can be written");
        }
        scratch
    }

    /// cargo in the copy, run by this command. The crates of the workspace are not optimised, which takes a
    /// fraction of the time, and properties are tried with few cases: what one case in hundreds shows is caught
    /// by luck.
    fn cargo(&self, mut by: Command, args: &[&str]) -> Output {
        by.args(args).current_dir(&self.tree);
        by.env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "0").env("PROPTEST_CASES", "64");
        by.output().expect("cargo can be run, and `timeout`")
    }

    /// What the tests say of the tree as it is, and the last lines they printed.
    fn tried(&self, test: &str) -> (Fate, String) {
        let tests = Tests::of(test).unwrap_or_else(|| panic!("no tests are named: `{test}`"));
        let (program, filters) = (tests.program(), tests.filters);
        let unoptimised =
            ["test", "--config", "profile.dev.opt-level=0", "--config", "profile.dev.package.'*'.opt-level=1"];
        let build = [&unoptimised[..], &["--quiet", "--no-run"], &program[..]].concat();
        let built = self.cargo(Command::new(env!("CARGO")), &build);
        if !built.status.success() {
            return (Fate::DoesNotCompile, String::from_utf8_lossy(&built.stderr).into_owned());
        }
        let mut limited = Command::new("timeout");
        limited.args(["--kill-after=5", SECONDS_MAX, env!("CARGO")]);
        let ran = self.cargo(limited, &[&unoptimised[..], &program[..], &["--"], &filters[..]].concat());
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        let fate = match ran.status.code() {
            Some(0) => Fate::Survived,
            Some(101) if printed.contains("test result: FAILED") => Fate::Caught,
            _ => Fate::NeverEnds,
        };
        (fate, printed)
    }
}

/// Makes `to` the same as `from`, without what is built and without `src/main.rs`; what is the same already
/// keeps its time, so that cargo need not build it again.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder for the copy");
    let names = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("a readable folder").file_name());
        let is_left_out = |path: PathBuf| {
            to.starts_with(&path) || ["target", ".git", "src/main.rs"].iter().any(|left_out| path.ends_with(left_out))
        };
        names.filter(|name| !is_left_out(folder.join(name))).collect()
    };
    for name in names(to).into_iter().filter(|name| !from.join(name).exists()) {
        let gone = to.join(name);
        let removed = if gone.is_dir() { fs::remove_dir_all(&gone) } else { fs::remove_file(&gone) };
        removed.expect("what is gone can be removed");
    }
    for name in names(from) {
        let (source, copied) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            copy(&source, &copied);
        } else {
            let bytes = fs::read(&source).expect("a file");
            if fs::read(&copied).ok().as_ref() != Some(&bytes) {
                fs::write(&copied, bytes).expect("the copy can be written");
            }
        }
    }
}

/// Those that are asked for: `sample`, `all`, or some by name.
fn asked(all: BTreeMap<String, Mutant>) -> BTreeMap<String, Mutant> {
    let asked = std::env::var_os("PELLMELL_MUTANTS").unwrap_or_default();
    let asked = asked.to_str().expect("names in ASCII");
    let names: Vec<&str> = asked.split_whitespace().collect();
    let is_group = |name: &&str| ["all", "sample"].contains(name);
    let unknown: Vec<&&str> = names.iter().filter(|name| !is_group(name) && !all.contains_key(**name)).collect();
    assert!(
        unknown.is_empty(),
        "no such mutants: {unknown:?}; expected all, sample or the names of files in tests/mutants"
    );
    let is_asked = |name: &str, mutant: &Mutant| {
        names.contains(&"all") || names.contains(&name) || mutant.sample && names.contains(&"sample")
    };
    all.into_iter().filter(|(name, mutant)| is_asked(name, mutant)).collect()
}

#[test]
#[ignore = "builds the crate once for each mutant: run .ci/mutants"]
#[expect(clippy::print_stdout, reason = "it is watched while it runs")]
fn the_mutants_that_are_asked_for_are_caught() {
    let asked = asked(mutants());
    assert!(!asked.is_empty(), "say which: PELLMELL_MUTANTS=all, sample, or names");
    let scratch = Scratch::new();
    let mut tests: Vec<&str> = asked.values().map(|mutant| mutant.test.as_str()).collect();
    tests.sort_unstable();
    tests.dedup();
    for test in tests {
        let (fate, printed) = scratch.tried(test);
        let ran = !printed.contains("running 0 tests");
        assert!(fate == Fate::Survived && ran, "{fate:?}, without any mutant: cargo test {test}\n{printed}");
    }
    let mut left = Vec::new();
    for (name, mutant) in &asked {
        let file = scratch.tree.join(&mutant.file);
        fs::write(&file, mutant.planted().expect("a text that is there once")).expect("the copy can be written");
        let (fate, printed) = scratch.tried(&mutant.test);
        fs::copy(&mutant.file, &file).expect("the copy can be written");
        let failed: Vec<&str> = printed.lines().filter(|line| line.ends_with("... FAILED")).collect();
        println!("{fate:?} {name}: {} tests of `{}` fail", failed.len(), mutant.test);
        if fate != Fate::Caught {
            left.push(format!("{fate:?} {name}: {}\n{printed}", mutant.about));
        }
    }
    println!("{} of {} mutants are caught", asked.len() - left.len(), asked.len());
    assert!(left.is_empty(), "no test says what is wrong:\n{}", left.join("\n"));
}
