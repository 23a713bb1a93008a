//! `export`: what it writes, what it refuses, and that the repository's pictures are what it makes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::ran::pellmell;

const OVERTAKING: &str = "scenarios/g02-cancel-overtakes-create.toml";

fn temp(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

/// Each picture in docs/pictures: its name, what it is made of, and the pages that show it.
const PICTURES: [(&str, &[&str], &[&str]); 2] = [
    ("g02-cancel-overtakes-create.svg", &[OVERTAKING], &["README.md", "docs/guide/counterexample.md"]),
    (
        "update-overtakes-update.svg",
        &["scenarios/update-overtakes-update.toml", "--design", "stage1"],
        &["docs/guide/course.md"],
    ),
];

#[test]
fn the_pictures_of_the_pages_are_what_export_makes() {
    for (name, made_of, pages) in PICTURES {
        let picture = format!("docs/pictures/{name}");
        let ran = pellmell(&[&["export"], made_of, &["--to", "svg"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}");
        if std::env::var_os("PELLMELL_BLESS").is_some() {
            fs::write(&picture, &ran.stdout).expect("a picture that can be written");
        }
        let kept = fs::read_to_string(&picture).unwrap_or_default();
        assert!(kept == ran.stdout, "PELLMELL_BLESS=1 cargo test --test command_line export writes {picture} anew");
        for page in pages {
            assert!(fs::read_to_string(page).expect(page).contains(&format!("pictures/{name})")), "{page} shows it");
        }
    }
    assert_eq!(fs::read_dir("docs/pictures").expect("a folder").count(), PICTURES.len());
}

#[test]
fn a_message_that_a_departure_keeps_from_its_group_to_the_end_has_an_arrow_to_the_end() {
    let drawn = |file: &str, design: &str| pellmell(&["export", file, "--design", design, "--to", "svg"]).stdout;
    let kept = drawn("scenarios/update-overtakes-update.toml", "stage1");
    assert_eq!(kept.matches("class=\"arrow waiting departing\"").count(), 1, "{kept}");
    assert!(kept.contains("not delivered by the end"), "{kept}");
    let arrives = drawn(OVERTAKING, "course");
    assert!(!arrives.contains("arrow waiting\"") && !arrives.contains("not delivered by the end"), "{arrives}");
}

#[test]
fn a_scenario_and_its_trace_give_the_same_page_but_for_the_commands() {
    let (trace, of_scenario, of_trace) = (temp("export.jsonl"), temp("export-1.html"), temp("export-2.html"));
    let [trace, of_scenario, of_trace] = [&trace, &of_scenario, &of_trace].map(|path| path.display().to_string());
    pellmell(&["run", OVERTAKING, "--trace", &trace]);
    for (file, page) in [(OVERTAKING, &of_scenario), (trace.as_str(), &of_trace)] {
        let ran = pellmell(&["export", file, "--to", "html", "-o", page]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{file}");
        assert!(ran.stdout.contains("VIOLATED ReservationAgreement"), "{}", ran.stdout);
    }
    let without_commands = |page: &str| {
        let text = fs::read_to_string(page).expect("a page");
        let (before, rest) = text.split_once("<dl class=\"commands\">").expect("commands");
        let (_, after) = rest.split_once("</dl>").expect("they end");
        // Those without script see one of the commands.
        let (before_drawing, _) = after.split_once("<noscript>").expect("a drawing");
        format!("{before}{before_drawing}{}", after.split_once("</noscript>").expect("it ends").1)
    };
    assert!(without_commands(&of_scenario) == without_commands(&of_trace), "{of_scenario} and {of_trace} differ");
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written_over_that_is_not_its_own() {
    let page = temp("export-3.html");
    fs::write(&page, "a page of somebody else").expect("a temporary file");
    let page = page.display().to_string();
    for (args, expected) in [
        (vec!["export", OVERTAKING], "--to <FORMAT>"),
        (vec!["export", OVERTAKING, "--to", "gif"], "invalid value 'gif'"),
        (vec!["export", OVERTAKING, "--to", "html", "--message-format", "json"], "name the file with --output FILE"),
        (vec!["export", OVERTAKING, "--to", "html", "-o", OVERTAKING], "is the file that is read"),
        (vec!["export", OVERTAKING, "--to", "html", "-o", &page], "is there and is not a page of `export`"),
        (
            vec!["export", "scenarios/price-5-10-15.toml", "--to", "svg", "--whole", "--design", "reference"],
            "is too long to be drawn: expected at most 400",
        ),
    ] {
        let ran = pellmell(&args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(expected), "{args:?}: {}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(&page).expect("it is there"), "a page of somebody else");
}

#[test]
fn spans_are_read_back_as_a_recording_in_which_an_ack_was_lost() {
    let spans = temp("export.otlp.json").display().to_string();
    let ran = pellmell(&["export", "scenarios/one-lost-ack.toml", "--to", "otlp", "-o", &spans]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let ran = pellmell(&["admit", &spans, "--profile", "stan"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("Departs lose ack of ticket:created t1@0 -> orders"), "{}", ran.stdout);
}

#[test]
fn a_trace_that_comes_out_otherwise_today_is_drawn_as_it_is_and_says_so() {
    let (trace, page) = (temp("export-old.jsonl"), temp("export-old.html"));
    let [trace, page] = [&trace, &page].map(|path| path.display().to_string());
    pellmell(&["run", OVERTAKING, "--trace", &trace]);
    let old =
        fs::read_to_string(&trace).expect("a trace").replace("\"version\":2,\"fields\"", "\"version\":9,\"fields\"");
    fs::write(&trace, old).expect("a trace that can be written");
    let ran = pellmell(&["export", &trace, "--to", "html", "-o", &page]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("played again it differs at step"), "{}", ran.stdout);
    assert!(fs::read_to_string(&page).expect("a page").contains("played again it differs at "), "the page says so");
}
