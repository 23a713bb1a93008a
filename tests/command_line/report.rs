//! `--report FOLDER`: what stands there, where its links lead, what is refused, and that it is whole or not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::ran::{Ran, pellmell};

const SWEEP: [&str; 8] =
    ["sweep", "scenarios/price-5-10-15.toml", "--design", "stage1", "--seeds", "0..4", "--departures", "40"];
const EXHAUST: [&str; 8] =
    ["exhaust", "scenarios/two-orders-four-services.toml", "--order", "any", "--design", "course", "--lost-acks", "1"];
const ZOO: [&str; 5] = ["zoo", "DoubleCharge", "--tries", "2", "--matrix"];
const PROFILES: [&str; 5] = ["zoo", "ReplicaOwnId", "--profiles", "--scenario", "scenarios/zoo/two.toml"];

/// A folder that is not there yet.
fn temp(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    let _ = fs::remove_file(&path);
    path
}

/// Runs a verb with a report in that folder.
fn reported(args: &[&str], folder: &Path) -> Ran {
    pellmell(&[args, &["--report", &folder.display().to_string()]].concat())
}

/// The files of a folder with their texts.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let read = |path: PathBuf| fs::read_to_string(path).expect("a text");
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(entry.path()))).collect()
}

/// Where the links of a page lead.
fn links(page: &str) -> BTreeSet<&str> {
    page.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// That each link of the first page leads to something that is there, each page back, and no file is left over.
fn check_links(files: &BTreeMap<String, String>) {
    let index = &files["index.html"];
    let mut linked = BTreeSet::from(["index.html"]);
    for link in links(index) {
        let (file, place) = link.split_once('#').unwrap_or((link, ""));
        linked.extend(Some(file).filter(|file| !file.is_empty()));
        let page = if file.is_empty() { Some(index) } else { files.get(file) };
        let page = page.unwrap_or_else(|| panic!("{link} leads nowhere"));
        let is_there = place.is_empty() || page.contains(&format!("id=\"{place}\"")) || place.starts_with("step-");
        assert!(is_there, "{link} leads to no place of its page");
    }
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".html")) {
        assert!(name == "index.html" || links(text).contains("index.html"), "{name} does not lead back");
    }
    assert_eq!(linked, files.keys().map(String::as_str).collect(), "what leads nowhere, or what nothing leads to");
}

#[test]
fn the_report_of_each_verb_leads_to_its_counterexamples_and_says_what_the_terminal_says() {
    for (name, args, code, says) in [
        ("sweep", &SWEEP[..], 1, &["FAILED", "9 of 17 situations and pairs", "MISS stale ack", "until quiescence"][..]),
        ("exhaust", &EXHAUST, 1, &["VIOLATED EffectivelyOnce", "5 steps, no run fails in fewer", "ack lost"]),
        ("zoo", &ZOO, 0, &["ALL CAUGHT", "1 defect: 1 caught", "an order can be paid twice", "2d/4c", "lockstep"]),
        ("profiles", &PROFILES, 0, &["28 profiles", "violated by 3 departures at least", "rabbitmq-quorum"]),
    ] {
        let folder = temp(&format!("report-{name}"));
        let ran = reported(args, &folder);
        assert_eq!(ran.code, code, "{name}: {}{}", ran.stdout, ran.stderr);
        let wrote = format!("Wrote {}", folder.join("index.html").display());
        assert!(ran.stdout.trim_end().ends_with(&wrote), "{name}: {}", ran.stdout);
        let files = files(&folder);
        check_links(&files);
        assert!(files.len() > 1, "{name} has a counterexample");
        for said in says {
            assert!(files["index.html"].contains(said), "{name} does not say {said}");
        }
        // A scenario beside a page gives its failure again.
        let scenarios: Vec<&String> = files.keys().filter(|file| file.ends_with(".toml")).collect();
        assert!(!scenarios.is_empty() || name == "zoo", "{name} has scenarios");
        for scenario in scenarios {
            let ran = pellmell(&["run", &folder.join(scenario).display().to_string()]);
            assert_eq!(ran.code, 1, "{name}, {scenario}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains("Expected violated"), "{name}, {scenario}: {}", ran.stdout);
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes_and_prints_what_it_prints_without_a_report() {
    for (name, args) in [("sweep", &SWEEP[..]), ("exhaust", &EXHAUST), ("zoo", &ZOO)] {
        let folder = temp(&format!("report-same-{name}"));
        let wrote = format!("Wrote {}", folder.join("index.html").display());
        let first = reported(args, &folder);
        let before = files(&folder);
        let without = pellmell(args);
        let printed = first.stdout.trim_end().strip_suffix(&wrote).map(str::trim_end);
        assert_eq!((printed, first.code), (Some(without.stdout.trim_end()), without.code), "{name}");
        reported(args, &folder);
        assert!(before == files(&folder), "{name}: the same bytes, and nothing is left over");
    }
}

#[test]
fn a_report_of_what_holds_says_so_and_has_no_counterexample() {
    let folder = temp("report-held");
    let args = ["sweep", "scenarios/one-lost-ack.toml", "--design", "reference", "--seeds", "0..4"];
    assert_eq!(reported(&args, &folder).code, 0);
    let files = files(&folder);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["index.html"]);
    assert!(files["index.html"].contains("<span>HELD</span>"), "{}", files["index.html"]);
}

#[test]
fn json_says_where_the_report_is_or_that_there_is_none() {
    let folder = temp("report-json");
    for args in [&SWEEP[..], &EXHAUST, &ZOO, &PROFILES] {
        let args = [args, &["--message-format", "json"]].concat();
        let told = |ran: &Ran| -> Vec<serde_json::Value> {
            let lines = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            lines.filter_map(|line: serde_json::Value| line.get("report").cloned()).collect()
        };
        let index = folder.join("index.html").display().to_string();
        assert_eq!(told(&reported(&args, &folder)), [serde_json::Value::from(index)], "{args:?}");
        // The table of brokers takes a while.
        let without = if args.contains(&"--profiles") { Vec::new() } else { told(&pellmell(&args)) };
        assert!(without.iter().all(serde_json::Value::is_null), "{args:?}");
    }
}

#[test]
fn a_folder_that_no_report_made_is_refused_before_anything_is_played() {
    let (file, others, page) = (temp("report-file"), temp("report-others"), temp("report-page"));
    fs::write(&file, "a file").expect("a temporary file");
    for (folder, name) in [(&others, "notes.txt"), (&page, "index.html")] {
        fs::create_dir(folder).expect("a temporary folder");
        fs::write(folder.join(name), "somebody else's").expect("a temporary file");
    }
    for (folder, why) in [
        (&file, "is a file, and a report is a folder"),
        (&others, "is there and is not of `--report`"),
        (&page, "is there and is not of `--report`"),
    ] {
        for args in [&SWEEP[..], &EXHAUST, &ZOO, &PROFILES] {
            let ran = reported(args, folder);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}");
            let next = format!("name a folder that is not there: --report {}-report", folder.display());
            assert!(ran.stderr.contains(why) && ran.stderr.trim_end().ends_with(&next), "{}", ran.stderr);
        }
    }
    assert_eq!(fs::read_to_string(page.join("index.html")).expect("it is there"), "somebody else's");
}

#[test]
fn what_an_earlier_report_left_goes_and_what_others_put_there_stays() {
    let folder = temp("report-left");
    reported(&SWEEP, &folder);
    fs::write(folder.join("notes.txt"), "mine").expect("a temporary file");
    fs::write(folder.join("sweep-7-mine.html"), "<!doctype html> mine").expect("a temporary file");
    let held = ["sweep", "scenarios/one-lost-ack.toml", "--design", "reference", "--seeds", "0..4"];
    assert_eq!(reported(&held, &folder).code, 0);
    assert_eq!(files(&folder).keys().collect::<Vec<_>>(), ["index.html", "notes.txt", "sweep-7-mine.html"]);
}

#[test]
fn a_page_of_somebody_else_is_not_written_over_and_the_result_is_told_all_the_same() {
    let folder = temp("report-over");
    reported(&SWEEP, &folder);
    let page = files(&folder).into_keys().find(|name| name.starts_with("sweep-1-")).expect("a page");
    fs::write(folder.join(&page), "mine").expect("a temporary file");
    let before = files(&folder);
    let ran = reported(&SWEEP, &folder);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stdout.contains("Summary 4 runs") && !ran.stdout.contains("Wrote"), "{}", ran.stdout);
    assert!(ran.stderr.contains(&format!("{page} is there and is not a page of a report")), "{}", ran.stderr);
    assert!(before == files(&folder), "nothing is written if not all of it can be");
}

#[test]
fn the_shards_of_a_sweep_are_merged_into_one_report() {
    let (results, whole, merged) = (temp("report-shards"), temp("report-whole"), temp("report-merged"));
    let out = results.display().to_string();
    for shard in ["1/2", "2/2"] {
        pellmell(&[&SWEEP[..], &["--shard", shard, "--out", &out]].concat());
    }
    reported(&SWEEP, &whole);
    assert_eq!(reported(&["merge", &out], &merged).code, 1);
    assert!(files(&whole) == files(&merged), "however a sweep was divided, its report is the same");
}
