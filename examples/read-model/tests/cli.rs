//! The command line of this package, verb by verb: how each ends, and the lines that tell.

use std::fs;
use std::process::Command;

use pellmell::scenario::{Expectation, Scenario};
use read_model::ReadModel;

/// Runs the program in the folder of this package: how it ended, and all that it printed.
fn ran(arguments: &[&str]) -> (i32, String) {
    ran_in("400", arguments)
}

/// The same where a line has so many columns.
fn ran_in(columns: &str, arguments: &[&str]) -> (i32, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_read-model"));
    let program = program
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("PELLMELL_OUT")
        .env("COLUMNS", columns);
    let output = program.output().expect("the program is there");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8(printed).expect("it prints text"))
}

#[track_caller]
fn assert_ran(arguments: &[&str], code: i32, telling: &[&str]) {
    let (ended, printed) = ran(arguments);
    assert_eq!(ended, code, "{arguments:?}: {printed}");
    for line in telling {
        assert!(printed.contains(line), "{arguments:?} does not say `{line}`: {printed}");
    }
}

/// A file or folder for one test.
fn scratch(name: &str) -> String {
    format!("{}/read-model-{name}", env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn each_scenario_comes_to_what_it_expects_of_each_design() {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("the folder is there");
    let files = files.map(|file| file.expect("it can be listed").path());
    let mut played = 0;
    for file in files.filter(|path| path.is_file()) {
        let (name, text) = (file.to_string_lossy(), fs::read_to_string(&file).expect("it can be read"));
        let scenario = Scenario::<ReadModel>::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        for (design, expected) in &scenario.expect {
            let code = i32::from(*expected != Expectation::Held);
            assert_ran(&["run", &name, "--design", design], code, &[&format!("Expected {expected} under {design}")]);
            played += 1;
        }
    }
    assert_eq!(played, 9);
}

#[test]
fn each_verb_tells_what_it_found() {
    let cases: [(&[&str], i32, &[&str]); 10] = [
        (&["check", "scenarios/many-accounts.toml"], 0, &["a scenario, 3 clients, 18 commands"]),
        (
            &["run", "scenarios/drop-early-delta.toml"],
            1,
            &["VIOLATED BalancesConverged", "at balances, a2: expected 9, found Some(0)"],
        ),
        (
            &["sweep", "scenarios/joins-late.toml", "--seeds", "0..60", "--departures", "60"],
            0,
            &["60 held, 0 violated", "Reached 2 of 2"],
        ),
        (
            &["sweep", "scenarios/many-accounts.toml", "--defect", "TakeOldSnapshot", "--seeds", "0..60"],
            1,
            &["VIOLATED NeverOlder"],
        ),
        (
            &["shrink", "scenarios/apply-covered-delta.toml"],
            0,
            &["1 departure, 4 commands", "Departs hold account:moved a3@2 -> balances until quiescence"],
        ),
        (
            &["exhaust", "scenarios/zoo/account.toml", "--lost-acks", "1"],
            0,
            &["HELD exhaustive within any order, 1 lost ack"],
        ),
        (
            &["exhaust", "scenarios/zoo/account.toml", "--defect", "DropEarlyDelta"],
            1,
            &["VIOLATED BalancesConverged", "no run fails in fewer"],
        ),
        (
            &["corpus", "check"],
            0,
            &["HELD joins-after-the-second-snapshot", "VIOLATED take-old-snapshot", "4 entries: 4 as expected"],
        ),
        (&["corpus", "prune"], 0, &["4 entries: 0 superfluous"]),
        (&["zoo", "--tries", "1"], 0, &["3 defects: 3 caught, 3 as short as known", "0 false alarms"]),
    ];
    for (arguments, code, telling) in cases {
        assert_ran(arguments, code, telling);
    }
}

#[test]
fn a_trace_is_played_again_step_by_step() {
    let trace = scratch("trace.jsonl");
    assert_ran(&["run", "scenarios/take-old-snapshot.toml", "--trace", &trace], 1, &["VIOLATED NeverOlder"]);
    assert_ran(&["replay", &trace], 1, &["VIOLATED NeverOlder", "Same 14 steps, fingerprint"]);
}

#[test]
fn two_shards_are_merged_to_what_the_whole_sweep_says() {
    let folder = scratch("shards");
    let _none_yet = fs::remove_dir_all(&folder);
    let sweep =
        ["sweep", "scenarios/joins-late.toml", "--defect", "TakeOldSnapshot", "--seeds", "0..40", "--departures", "0"];
    for shard in ["1/2", "2/2"] {
        let (_, printed) = ran(&[&sweep[..], &["--shard", shard, "--out", &folder]].concat());
        assert!(printed.contains("Written"), "{printed}");
    }
    let (_, whole) = ran(&sweep);
    let summary = whole.lines().find(|line| line.contains("Summary")).expect("it sums up");
    let fingerprint = whole.lines().find(|line| line.contains("Fingerprint")).expect("it has one");
    assert_ran(&["merge", &folder], 1, &[summary, fingerprint, "VIOLATED NeverOlder"]);
}

#[test]
fn the_readme_shows_what_explain_says() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("it is there");
    let (_, shown) = readme
        .split_once(
            "```text
",
        )
        .expect("it shows something");
    let (shown, _) = shown.split_once("```").expect("that ends");
    let (code, printed) = ran_in("100", &["explain", "scenarios/apply-covered-delta.toml"]);
    assert!(code == 0 && printed.contains(shown), "README.md should show what explain says:\n{printed}");
}

#[test]
fn a_misspelt_word_is_shown_with_the_word_that_was_meant() {
    let file = scratch("misspelt.toml");
    for (written, right, line) in [
        ("moovements", "movements", "error: unknown field `moovements`, expected `accounts` or `movements`"),
        ("refrence", "reference", "error: unknown design `refrence`"),
    ] {
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/many-accounts.toml"))
            .expect("it is there");
        fs::write(&file, text.replace(right, written)).expect("it can be written");
        let caret = "^".repeat(written.len());
        assert_ran(&["run", &file], 2, &[line, &caret, &format!("help: did you mean `{right}`?")]);
    }
}
