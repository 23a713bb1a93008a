//! What the pages show is what happens: commands and what they print, code, and files.
//!
//! The pages are README.md and those of docs/guide. After a change that is meant, `PELLMELL_BLESS=1 cargo test
//! --test command_line pages` writes what is printed now.
//!
//! - A block of `console` has commands, `$ ` before each, and below each what it prints to stdout. A line `...`
//!   stands for any lines. A command with nothing below it is only shown. `$ echo $?` is the exit code of the
//!   command before, and `$ mkdir` and `$ sed` are done. A page's commands run one after the other in a folder of its
//!   own, with a copy of scenarios/ unless the page is about examples/shop.
//! - A page that begins with `<!-- needs: PROGRAM, … -->` is left out where one of these is not installed;
//!   `node:PACKAGE` is a package of examples/nats-node.
//! - The line before a block may say more: `<!-- run: mended -->` that its commands are those of examples/shop, `as written` or `mended`;
//!   `<!-- from: FILE -->` that its text stands in that file of the repository, which is compiled or played by a test;
//!   `<!-- file: FILE -->` that it is a file of the page's folder; `<!-- test: NAME -->` that it is what that test
//!   of this program panics with.

#![expect(clippy::print_stdout, reason = "what is left out is said")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of a compiled file that a page leaves out.
const LEFT_OUT: &str = "#[should_panic";

#[test]
fn the_readme_shows_what_happens() {
    shown(Path::new("README.md"));
}

#[test]
fn the_guide_shows_what_happens() {
    let pages = fs::read_dir("docs/guide").expect("the guide").map(|page| page.expect("a page").path());
    let mut pages: Vec<PathBuf> = pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    pages.sort();
    assert!(pages.len() > 1, "{pages:?}");
    pages.iter().for_each(|page| shown(page));
}

/// Compares a page with what it should be, or writes that.
#[track_caller]
fn shown(path: &Path) {
    let page = fs::read_to_string(path).expect("a page");
    let needs = page.strip_prefix("<!-- needs: ").and_then(|needs| needs.split_once(" -->"));
    for program in needs.into_iter().flat_map(|(needs, _)| needs.split(", ")) {
        let found = match program.strip_prefix("node:") {
            Some(package) => Command::new("node")
                .args(["-e", &format!("require('{package}')")])
                .current_dir("examples/nats-node")
                .output()
                .is_ok_and(|found| found.status.success()),
            None => Command::new(program).arg("--version").output().is_ok(),
        };
        if !found {
            println!("SKIPPED {}: `{program}` is not installed", path.display());
            return;
        }
    }
    let of_the_shop = page.contains("<!-- run: ");
    let wanted = Page { path, of_the_shop, folder: None, code: 0 }.wanted(&page);
    if std::env::var_os("PELLMELL_BLESS").is_some() {
        fs::write(path, &wanted).expect("a page that can be written");
    } else {
        assert!(wanted == page, "expected {} to show what happens; it would be:\n{wanted}", path.display());
    }
}

/// A page as it is gone through.
struct Page<'a> {
    path: &'a Path,
    /// Whether it is about examples/shop.
    of_the_shop: bool,
    /// Where its commands run, once there is one.
    folder: Option<PathBuf>,
    /// How the last command ended.
    code: i32,
}

impl Page<'_> {
    /// The page as it should be.
    fn wanted(mut self, page: &str) -> String {
        let mut wanted = String::new();
        let mut before = "";
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            wanted += &format!("{line}\n");
            if let Some(kind) = line.strip_prefix("```") {
                let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                wanted += &format!("{}```\n", self.block(kind, before, &block));
            }
            before = line;
        }
        wanted
    }

    /// A block as it should be.
    fn block(&mut self, kind: &str, before: &str, block: &[&str]) -> String {
        let as_it_is: String = block.iter().map(|line| format!("{line}\n")).collect();
        let note = before.strip_prefix("<!-- ").and_then(|note| note.strip_suffix(" -->")?.split_once(": "));
        match (kind, note) {
            ("console", None) => self.commands(block, None),
            ("console", Some(("run", program))) => self.commands(block, Some(program)),
            (_, Some(("from", file))) => {
                let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
                let compiled: String =
                    text.lines().filter(|line| !line.starts_with(LEFT_OUT)).map(|line| format!("{line}\n")).collect();
                let page = self.path.display();
                assert!(compiled.contains(&as_it_is), "{page}: this is not in {file}:\n{as_it_is}");
                as_it_is
            }
            (_, Some(("file", file))) => {
                let path = self.folder().join(file);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, &as_it_is).expect("a file that can be written");
                as_it_is
            }
            (_, Some(("test", name))) => like(block, &panicked(name)),
            ("rust", None) if self.path != Path::new("README.md") => {
                panic!("{}: this is compiled nowhere; name the file that it is from:\n{as_it_is}", self.path.display())
            }
            (_, Some((other, _))) => panic!("{}: unknown note `{other}`", self.path.display()),
            _ => as_it_is,
        }
    }

    /// The folder in which the page's commands run.
    fn folder(&mut self) -> &Path {
        self.folder.get_or_insert_with(|| {
            let name = self.path.with_extension("").to_string_lossy().replace(['/', '\\'], "-");
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pages-{name}"));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).expect("a folder");
            let copied = ["scenarios", "tests/recordings", "examples/processes", "examples/nats-node"];
            for from in copied.iter().filter(|_| !self.of_the_shop) {
                copy(Path::new(from), &folder.join(from));
            }
            folder
        })
    }

    /// Commands, each with what it prints.
    fn commands(&mut self, block: &[&str], program: Option<&str>) -> String {
        let mut wanted = String::new();
        for part in block.chunk_by(|_, next| !next.starts_with("$ ")) {
            let (command, output) = part.split_first().expect("no chunk is empty");
            let _ = writeln!(wanted, "{command}");
            if ["$ mkdir ", "$ sed "].iter().any(|known| command.starts_with(known)) {
                let run = Command::new("sh").args(["-c", &command[2..]]).current_dir(self.folder()).status();
                assert!(run.expect("a shell").success(), "{}: {command}", self.path.display());
            } else if !output.is_empty() {
                wanted += &like(output, &self.printed(command, program));
            }
        }
        wanted
    }

    /// What a command prints.
    fn printed(&mut self, command: &str, program: Option<&str>) -> String {
        if command == "$ echo $?" {
            return format!("{}\n", self.code);
        }
        let known = ["$ cargo run -- ", "$ cargo run --release -- ", "$ pellmell ", "$ shop "];
        let Some(flags) = known.iter().find_map(|known| command.strip_prefix(known)) else {
            panic!("{}: no command that can be run: {command}", self.path.display())
        };
        let mut run = match program {
            None => Command::new(env!("CARGO_BIN_EXE_pellmell")),
            Some(which) => example(which),
        };
        let run = run.args(words(flags)).current_dir(self.folder()).env_remove("PELLMELL_OUT").env_remove("COLUMNS");
        let ran = super::ran::ran(run);
        self.code = ran.code;
        assert!(!ran.stdout.is_empty(), "{command} prints nothing but {}", ran.stderr);
        ran.stdout
    }
}

/// The program of examples/shop, as it was first written or `mended`.
fn example(which: &str) -> Command {
    let tests = std::env::current_exe().expect("this program");
    let [built, target] = [2, 3].map(|up| tests.ancestors().nth(up).expect("target/debug/deps"));
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--example", "shop", "--target-dir"]).arg(target);
    build.args(built.ends_with("release").then_some("--release"));
    assert!(build.status().expect("cargo is there").success(), "examples/shop builds");
    let mut program = Command::new(built.join("examples/shop"));
    program.env("SHOP", which);
    program
}

/// What a test of this program panics with.
fn panicked(test: &str) -> String {
    let mut run = Command::new(std::env::current_exe().expect("this program"));
    let ran = super::ran::ran(run.args(["--exact", test, "--nocapture"]).env("RUST_BACKTRACE", "0"));
    let (_, said) = ran.stderr.split_once("panicked at ").unwrap_or_else(|| panic!("{test} panics: {}", ran.stderr));
    let said = said.split_once('\n').expect("a place and what is wrong").1;
    let said = said.split("note: run with").next().unwrap_or_default();
    said.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What is printed, cut where the page has a line `...`.
fn like(shown: &[&str], printed: &str) -> String {
    let all: Vec<&str> = printed.lines().collect();
    let cut = shown.iter().position(|line| *line == "...");
    let (first, last) = cut.map_or((all.len(), 0), |cut| (cut, shown.len() - cut - 1));
    let mut wanted: Vec<&str> = all.iter().copied().take(first).collect();
    if cut.is_some() {
        wanted.push("...");
        wanted.extend(&all[all.len().saturating_sub(last).max(first).min(all.len())..]);
    }
    wanted.into_iter().map(|line| format!("{line}\n")).collect()
}

/// The words of a command, those in quotes whole.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (place, part) in text.split(['"', '\'']).enumerate() {
        match place % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("a readable folder").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file that can be copied");
        }
    }
}
