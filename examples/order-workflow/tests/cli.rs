//! The command line of this package, verb by verb: how each ends, and the lines that tell.

use std::fs;
use std::process::Command;

use order_workflow::OrderWorkflow;
use pellmell::scenario::{Expectation, Scenario, Suite};

/// Runs the program in the folder of this package: how it ended, and all that it printed.
fn ran(arguments: &[&str]) -> (i32, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_order-workflow"));
    let program = program
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("PELLMELL_OUT")
        .env("COLUMNS", "400");
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
    format!("{}/order-workflow-{name}", env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn each_scenario_comes_to_what_it_expects_of_each_design() {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios")).expect("the folder is there");
    let files = files.map(|file| file.expect("it can be listed").path());
    let mut played = 0;
    for file in files.filter(|path| path.is_file()) {
        let (name, text) = (file.to_string_lossy(), fs::read_to_string(&file).expect("it can be read"));
        let scenario = Scenario::<OrderWorkflow>::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        for (design, expected) in &scenario.expect {
            let code = i32::from(*expected != Expectation::Held);
            assert_ran(&["run", &name, "--design", design], code, &[&format!("Expected {expected} under {design}")]);
            played += 1;
        }
    }
    assert_eq!(played, 10);
}

#[test]
fn each_verb_tells_what_it_found() {
    let cases: [(&[&str], i32, &[&str]); 10] = [
        (&["check", "scenarios/changes-her-mind.toml"], 0, &["a scenario, 3 clients, 4 commands"]),
        (
            &["run", "scenarios/reserve-after-cancel.toml"],
            1,
            &["at inventory, o1: 2 reserved for an order that is Cancelled, expected 0"],
        ),
        (
            &["sweep", "scenarios/changes-her-mind.toml", "--seeds", "0..60", "--departures", "60"],
            0,
            &["60 held, 0 violated", "Reached 3 of 3"],
        ),
        (
            &["sweep", "scenarios/changes-her-mind.toml", "--defect", "ChargeAfterCancel", "--seeds", "0..60"],
            1,
            &["VIOLATED ChargesAgree", "Departs hold order:confirmed o1@1 -> payment until quiescence"],
        ),
        (
            &["shrink", "scenarios/reserve-after-cancel.toml"],
            0,
            &["to 8 steps, 1 departure, 2 commands", "Needed `ann: cancel o1`: without it every property holds"],
        ),
        (&["exhaust", "scenarios/zoo/stock.toml", "--pauses", "1"], 0, &["HELD exhaustive within any order, 1 pause"]),
        (
            &["exhaust", "scenarios/zoo/stock.toml", "--pauses", "1", "--defect", "LastWriteWins"],
            1,
            &["VIOLATED StockAgrees   7 steps, no run fails in fewer"],
        ),
        (
            &["corpus", "check"],
            0,
            &["HELD two-members-one-stock", "VIOLATED small-dedup-window", "5 entries: 5 as expected"],
        ),
        (&["corpus", "prune"], 0, &["5 entries: 0 superfluous"]),
        (&["zoo", "--tries", "1"], 0, &["4 defects: 4 caught, 4 as short as known", "0 false alarms"]),
    ];
    for (arguments, code, telling) in cases {
        assert_ran(arguments, code, telling);
    }
}

#[test]
fn a_trace_is_played_again_step_by_step() {
    let trace = scratch("trace.jsonl");
    assert_ran(&["run", "scenarios/reserve-after-cancel.toml", "--trace", &trace], 1, &["VIOLATED StockAgrees"]);
    assert_ran(&["replay", &trace], 1, &["VIOLATED StockAgrees", "Same 26 steps, fingerprint"]);
}

#[test]
fn two_shards_are_merged_to_what_the_whole_sweep_says() {
    let folder = scratch("shards");
    let _none_yet = fs::remove_dir_all(&folder);
    let sweep = [
        "sweep",
        "scenarios/changes-her-mind.toml",
        "--defect",
        "ReserveAfterCancel",
        "--seeds",
        "0..40",
        "--departures",
        "0",
    ];
    for shard in ["1/2", "2/2"] {
        let (_, printed) = ran(&[&sweep[..], &["--shard", shard, "--out", &folder]].concat());
        assert!(printed.contains("Written"), "{printed}");
    }
    let (_, whole) = ran(&sweep);
    let summary = whole.lines().find(|line| line.contains("Summary")).expect("it sums up");
    let fingerprint = whole.lines().find(|line| line.contains("Fingerprint")).expect("it has one");
    assert_ran(&["merge", &folder], 1, &[summary, fingerprint, "VIOLATED StockAgrees"]);
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
    assert_ran(&["explain", "scenarios/reserve-after-cancel.toml"], 0, &shown.lines().collect::<Vec<_>>());
}

#[test]
fn a_misspelt_word_is_shown_with_the_word_that_was_meant() {
    let file = scratch("misspelt.toml");
    for (written, right, line) in [
        ("cancle", "cancel", "error: unknown variant `cancle`, expected `place` or `cancel`"),
        ("recieved", "received", "error: unknown field `recieved`, expected `item` or `received`"),
    ] {
        let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/cancel-overtakes-order.toml"))
            .expect("it is there");
        fs::write(&file, text.replace(right, written)).expect("it can be written");
        let caret = "^".repeat(written.len());
        assert_ran(&["run", &file], 2, &[line, &caret, &format!("help: did you mean `{right}`?")]);
    }
}

#[test]
fn what_a_file_expects_says_nothing_of_a_defect_that_a_flag_plants() {
    let (code, printed) = ran(&["run", "scenarios/cancel-overtakes-order.toml", "--defect", "ReserveAfterCancel"]);
    assert!(code == 1 && printed.contains("VIOLATED StockAgrees") && !printed.contains("Unexpected"), "{printed}");
    assert_ran(&["run", "scenarios/cancel-overtakes-order.toml"], 0, &["Expected held under reference"]);
}

#[test]
fn what_handlers_log_stands_at_its_step_and_is_silent_in_sweeps() {
    // What is logged, each behind the row that is above it.
    let log_of = |arguments: &[&str]| -> Vec<(String, String)> {
        let (_, printed) = ran(arguments);
        let rows = printed.lines().zip(printed.lines().skip(1)).filter(|(_, line)| line.contains("│ log "));
        rows.map(|(row, line)| (row.to_owned(), line.to_owned())).collect()
    };
    let file = "scenarios/reserve-after-cancel.toml";
    for verb in ["run", "explain"] {
        let logged = log_of(&[verb, file]);
        let is_told = |line: &str| line.contains("INFO order_workflow::inventory: reserved order=o1");
        let (row, _) = logged.iter().find(|(_, line)| is_told(line)).expect("what inventory logs");
        assert!(row.contains("+0.00") && row.contains("order:placed o1@0"), "{verb}: {row}");
    }
    assert!(log_of(&["run", file, "--log", "off"]).is_empty());
    let (_, json) = ran(&["run", file, "--message-format", "json"]);
    assert!(json.contains("\"log\":[{\"line\":\"INFO order_workflow::inventory: reserved order=o2"), "{json}");
    let (_, swept) = ran(&["sweep", "scenarios/changes-her-mind.toml", "--seeds", "0..20", "--departures", "0"]);
    assert!(!swept.contains("order_workflow::inventory"), "{swept}");
}

#[test]
fn help_completions_and_manual_pages_are_of_this_program_and_this_system() {
    let example = "order-workflow run scenarios/cancel-overtakes-order.toml --seed 7";
    let (ended, help) = ran(&["run", "--help"]);
    assert!(ended == 0 && help.starts_with(&format!("Examples:\n  {example}\n")), "{help}");
    assert_ran(&["run", "scenarios/cancel-overtakes-order.toml", "--seed", "7"], 0, &["HELD every property"]);
    let defect = OrderWorkflow::defects()[0].name;
    assert_ran(&["completions", "bash"], 0, &["_order__workflow()", defect]);
    let folder = scratch("man");
    assert_ran(&["man", &folder], 0, &["pages to"]);
    let page = fs::read_to_string(format!("{folder}/order-workflow-run.1")).expect("a page");
    assert!(page.contains(".SH EXAMPLES"), "{page}");
}
