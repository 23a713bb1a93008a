//! What people see: every text at 60 and at 100 columns, nothing wider, and whatever users wrote shown and not
//! obeyed.
//!
//! `tests/golden/terminal` has a file for each verb with what it prints at both widths. After a change that is
//! meant, `PELLMELL_BLESS=1 cargo test --test command_line terminal` writes what is printed now.

use std::fs;
use std::path::Path;

use super::robustness::folder::{Folder, Ran, failing};

/// What is printed of wall time.
const OF_TIME: [&str; 2] = ["Took", "Waiting"];

/// The command lines whose texts are kept, by the file that has them. They run one after the other in one folder,
/// where an earlier one may write what a later one reads.
const TEXTS: [(&str, &[&str]); 14] = [
    (
        "run",
        &[
            "run scenarios/one-lost-ack.toml",
            "run scenarios/g02-cancel-overtakes-create.toml --trace run.jsonl",
            "run scenarios/price-5-10-15.toml --seed 7 --steps 3",
            "run scenarios/price-5-10-15.toml --seed 1 --design stage1 --steps 8",
            "run scenarios/happy-path-all-services.toml --seed 3 --steps 12",
            "run crash-with-an-inbox.toml",
        ],
    ),
    (
        "sweep",
        &[
            "sweep scenarios/price-5-10-15.toml --design stage1 --seeds 0..4 --departures 40",
            "sweep scenarios/one-lost-ack.toml --design reference --seeds 0..8 --coverage --out results",
            "sweep scenarios/reserved-ticket.toml --seeds 0..3 --departures 5 --strict",
        ],
    ),
    ("merge", &["merge results"]),
    (
        "exhaust",
        &[
            "exhaust scenarios/g02-cancel-overtakes-create.toml",
            "exhaust scenarios/one-lost-ack.toml --design reference --lost-acks 1",
            "exhaust scenarios/one-lost-ack.toml --lost-acks 1 --memory 1KiB",
        ],
    ),
    ("replay", &["replay run.jsonl", "replay other.jsonl"]),
    (
        "shrink",
        &["shrink scenarios/g02-cancel-overtakes-create.toml", "shrink scenarios/one-lost-ack.toml --design reference"],
    ),
    (
        "explain",
        &[
            "explain scenarios/g02-cancel-overtakes-create.toml --continuations 20",
            "explain scenarios/one-lost-ack.toml --continuations 20",
            "explain run.jsonl --continuations 10 --executions 1",
        ],
    ),
    (
        "export",
        &[
            "export scenarios/g02-cancel-overtakes-create.toml --to html -o run.html --continuations 20",
            "export scenarios/one-lost-ack.toml --to svg -o run.svg --continuations 20",
        ],
    ),
    ("check", &["check scenarios/one-lost-ack.toml run.jsonl crash-with-an-inbox.toml"]),
    (
        "corpus",
        &[
            "corpus check",
            "corpus list",
            "corpus renew",
            "corpus prune",
            "corpus add scenarios/one-lost-ack.toml --reason it --to kept --commit 0123456",
            "corpus add scenarios/one-lost-ack.toml --reason it --to kept --commit 0123456",
        ],
    ),
    ("zoo", &["zoo DoubleCharge --tries 2"]),
    (
        "admit",
        &[
            "admit jetstream.jsonl",
            "admit jetstream.jsonl --profile kafka",
            "profiles",
            "profiles kafka",
            "profiles adversarial",
            "man man1",
        ],
    ),
    ("help", &["--help", "run --help", "sweep --help", "corpus --help", "man --help"]),
    (
        "errors",
        &[
            "run",
            "run missing.toml",
            "run scenarios/one-lost-akc.toml",
            "run wrong.toml",
            "check long.toml",
            "run scenarios/one-lost-ack.toml --design nothing-of-the-kind",
            "run scenarios/one-lost-ack.toml --departure 'hold what'",
            "sweep scenarios/one-lost-ack.toml --shard auto",
            "sweep scenarios/one-lost-ack.toml --seeds 5..",
            "corpus add scenarios/one-lost-ack.toml --reason it --to nowhere",
            "exhaust --from run.jsonl@99",
            "merge .",
            "admit run.jsonl",
            "replay run.jsonl --seed 4",
            "frobnicate",
        ],
    ),
];

/// A folder with what the command lines read.
fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    for below in ["", "zoo"] {
        for entry in fs::read_dir(Path::new("scenarios").join(below)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                folder.write(&path, fs::read(&path).expect("a file"));
            }
        }
    }
    for entry in ["g21-cancel-before-order-at-payments", "z6b-ack-cancel-of-unknown-order"] {
        folder.copy(&format!("corpus/{entry}.toml"), &format!("scenarios/corpus/{entry}.toml"));
    }
    folder.write("kept/.keep", "");
    let copy = |from: &str, to: &str| folder.write(to, fs::read(from).expect("a file"));
    copy("tests/cases/crash-with-an-inbox.toml", "crash-with-an-inbox.toml");
    copy("tests/recordings/jetstream-2.9.10-ack-wait.jsonl", "jetstream.jsonl");
    folder.write("wrong.toml", failing().replace("\"5s\"", "\"5 parsecs\""));
    folder.write("long.toml", failing().replace("design = ", &format!("about = \"{}\" design = ", "long ".repeat(99))));
    folder
}

/// Runs a command line, of which single quotes hold words together, with lines so wide.
fn ran(folder: &Folder, line: &str, columns: usize) -> Ran {
    let mut command = folder.command("pellmell");
    for (place, part) in line.split('\'').enumerate() {
        match place % 2 {
            0 => command.args(part.split_whitespace()),
            _ => command.arg(part),
        };
    }
    Ran::of(command.env("COLUMNS", columns.to_string()).output().expect("it runs"))
}

/// What is printed that does not depend on wall time: the result, and then the rest.
fn text(ran: &Ran) -> String {
    let mut is_of_time = false;
    let timeless = ran.stderr.lines().filter(|line| {
        // A line that goes on below the first begins with spaces.
        is_of_time = match line.starts_with("             ") {
            true => is_of_time,
            false => OF_TIME.iter().any(|word| line.trim_start().starts_with(word)),
        };
        !is_of_time
    });
    let lines: Vec<&str> = ran.stdout.lines().chain(timeless).collect();
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The lines that are wider than they may be. A scenario that is printed is to be pasted as it is: it stands behind
/// a rule, and begins with its version.
fn too_wide(text: &str, columns: usize) -> Vec<&str> {
    let mut is_pasted = false;
    let mut before = "";
    let wide = text.lines().filter(|line| {
        is_pasted = match *line {
            "version = 1" if before.starts_with('─') => true,
            "────────────" => false,
            _ => is_pasted,
        };
        before = line;
        !is_pasted && line.chars().count() > columns
    });
    wide.collect()
}

#[test]
fn every_text_fits_60_and_100_columns_and_is_as_it_was() {
    let is_blessed = std::env::var_os("PELLMELL_BLESS").is_some();
    let folders = [60, 100].map(|columns| (columns, folder(&format!("terminal-{columns}"))));
    for (name, lines) in TEXTS {
        let mut whole = String::new();
        for line in lines {
            for (columns, folder) in &folders {
                let text = text(&ran(folder, line, *columns));
                assert_eq!(too_wide(&text, *columns), [""; 0], "{columns} columns: {line}\n{text}");
                whole += &format!("$ COLUMNS={columns} pellmell {line}\n{text}\n");
                let run = folder.path("run.jsonl");
                if run.exists() && !folder.path("other.jsonl").exists() {
                    let other =
                        fs::read_to_string(run).expect("a trace").replace("alice: cancel o1", "alice: cancel o9");
                    folder.write("other.jsonl", other);
                }
            }
        }
        let path = Path::new("tests/golden/terminal").join(format!("{name}.txt"));
        if is_blessed {
            fs::write(&path, &whole).expect("it can be written");
        } else {
            let known = fs::read_to_string(&path).unwrap_or_default();
            assert!(known == whole, "{} is not what is printed, which is:\n{whole}", path.display());
        }
    }
}

#[test]
fn the_text_is_as_wide_as_the_terminal_and_a_hundred_columns_where_there_is_none() {
    let folder = folder("terminal-usual");
    let wide = |columns: Option<&str>| {
        let mut command = folder.command("pellmell");
        command.args(["run", "scenarios/g02-cancel-overtakes-create.toml"]);
        command.envs(columns.map(|columns| ("COLUMNS", columns)));
        Ran::of(command.output().expect("it runs")).stdout
    };
    assert_eq!(wide(None), wide(Some("100")));
    assert_eq!(wide(None), wide(Some("wide")));
    let most = |text: String| text.lines().map(|line| line.chars().count()).max();
    assert!(most(wide(Some("60"))) < most(wide(None)) && most(wide(None)) < most(wide(Some("200"))));
}

/// All that may be in a text of a user's, as a text of TOML.
const HOSTILE: &str =
    r#"<script>alert(\"1\")</script> 'it' `is` &amp; \u202eback\u2066 \u200b\u00ad\ufeff \u001b[31m\u0007\u009b1m"#;

#[test]
fn what_users_wrote_is_shown_and_not_obeyed_and_cut_where_it_goes_on_and_on() {
    let folder = folder("terminal-hostile");
    let long = "word ".repeat(100_000) + &"x".repeat(500_000);
    let client = failing().replace("\"alice\"", r#""<script>\"q\"'it'\u202e\u2066\u200f""#);
    folder.write("names.toml", client.replace("The ack of one", HOSTILE));
    folder.write("newline.toml", failing().replace("The ack of one", r"a\n        HELD every property\r\n\tb\u2028c"));
    folder.write("long.toml", failing().replace("The ack of one", &long));
    folder.write("long-name.toml", failing().replace("\"alice\"", &format!("\"{}\"", "a".repeat(1 << 19))));
    let entry = fs::read_to_string("scenarios/corpus/z9-create-overwrites-replica.toml").expect("an entry");
    folder.write("kept/long.toml", entry.replace("reason = \"", &format!("reason = \"{long}")));
    folder.write("kept/hostile.toml", entry.replace("reason = \"", &format!("reason = \"{HOSTILE}")));
    let verbs = ["run", "shrink", "explain --continuations 2", "sweep --seeds 0..2 --departures 2", "check", "replay"];
    let others = ["corpus check kept", "corpus list kept", "corpus prune kept", "exhaust names.toml --first"];
    for (file, columns) in [("names", 60), ("names", 100), ("newline", 60), ("long", 60), ("long-name", 60)] {
        let lines = verbs.iter().map(|verb| {
            let (verb, flags) = verb.split_once(' ').unwrap_or((verb, ""));
            format!("{verb} {file}.toml {flags}")
        });
        lines.for_each(|line| shows(&ran(&folder, &line, columns), &line, columns));
    }
    others.iter().for_each(|line| shows(&ran(&folder, line, 60), line, 60));
    let run = |file: &str| ran(&folder, &format!("run {file}.toml"), 400).stdout;
    assert!(
        run("names")
            .contains(r#"<script>alert("1")</script> 'it' `is` &amp; \u{202e}back\u{2066} \u{200b}\u{ad}\u{feff}"#)
    );
    assert!(run("names").contains(r#"<script>"q"'it'\u{202e}\u{2066}\u{200f}: create t1"#), "{}", run("names"));
    assert!(
        run("newline").contains(r"a\u{a}        HELD every property\u{d}\u{a}\u{9}b\u{2028}c"),
        "{}",
        run("newline")
    );
    assert!(run("long").contains("more characters)"), "{}", run("long"));
}

/// That a text is of a length that a terminal can have, has lines that are no wider than they may be, and nothing
/// that a terminal obeys.
fn shows(ran: &Ran, what: &str, columns: usize) {
    for text in [&ran.stdout, &ran.stderr] {
        assert!(text.len() < 50_000, "{what}: {} bytes", text.len());
        let obeyed =
            |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200f}\u{200b}\u{ad}\u{feff}".contains(c));
        assert!(!text.contains(obeyed), "{what}: {text}");
        assert_eq!(too_wide(text, columns), [""; 0], "{what} at {columns} columns: {text}");
        let forged = ran.code == 1 && text.lines().any(|line| line.starts_with("        HELD"));
        assert!(!forged, "{what}: {text}");
    }
    assert!([0, 1, 4].contains(&ran.code), "{what}: {}", ran.stderr);
}

#[test]
fn colours_go_where_they_are_not_wanted() {
    let folder = folder("terminal-colours");
    for (variables, is_coloured) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "1")], false),
    ] {
        for line in ["run scenarios/one-lost-ack.toml", "run --help", "run missing.toml", "run"] {
            let mut command = folder.command("pellmell");
            let ran = Ran::of(command.args(line.split(' ')).envs(variables.iter().copied()).output().expect("it runs"));
            let has_colours = (ran.stdout + &ran.stderr).contains("\u{1b}[");
            assert_eq!(has_colours, is_coloured, "{line} with {variables:?}");
        }
    }
}

#[test]
fn an_error_ends_with_what_to_type_next() {
    let folder = folder("terminal-errors");
    ran(&folder, "run scenarios/one-lost-ack.toml --trace run.jsonl", 100);
    let (_, lines) = TEXTS.iter().find(|(name, _)| *name == "errors").expect("there are some");
    for line in *lines {
        let error = ran(&folder, line, 100).stderr;
        let (_, last) = error.trim_end().rsplit_once("\n\n").unwrap_or(("", error.trim_end()));
        let next = last.rsplit_once("= help: ").map(|(_, help)| help);
        let is_next = next.is_some_and(|help| !help.is_empty()) || last.contains("try '--help'");
        assert!(error.starts_with("error: ") && is_next, "{line}: {error}");
    }
}
