//! Files that were damaged are refused with the place of the damage, or say what they say: nothing
//! panics, and nothing comes out green that the whole file would not have said.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use pellmell::corpus::{Status, check};
use pellmell::results::{ResultFile, Swept};
use pellmell::scenario::FileError;
use pellmell::search::{HoldSweep, Part, Sweep};
use pellmell::ticketing::Scenario;
use pellmell::trace::Trace;
use pellmell::{Departure, FaultPlan, NamedStep, Verdict};
use proptest::prelude::*;

use crate::support::config::config;
use crate::support::damage::{damaged, damages};

/// Scenarios that between them have every table.
const SCENARIOS: [&str; 5] = [
    "scenarios/price-5-10-15.toml",
    "scenarios/happy-path-all-services.toml",
    "scenarios/late-subscriber.toml",
    "scenarios/corpus/g25-two-members-one-update.toml",
    "scenarios/corpus/z36-swallowed-conflict.toml",
];

/// Entries with every kind of departure and step.
const ENTRIES: [&str; 7] = [
    "scenarios/corpus/g12-expiry-races-payment.toml",
    "scenarios/corpus/g18-crash-in-a-route.toml",
    "scenarios/corpus/g23-lost-event.toml",
    "scenarios/corpus/g24-edit-meets-lock.toml",
    "scenarios/corpus/g25-two-members-one-update.toml",
    "scenarios/corpus/z23a-recancels-order.toml",
    "scenarios/corpus/z9-create-overwrites-replica.toml",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn one_of(paths: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(paths)
}

/// The place of an error is in the text.
fn has_a_place(error: &FileError, text: &str) -> bool {
    let line = text.split('\n').nth(error.line - 1);
    line.is_some_and(|line| error.column <= line.chars().count() + 1) && !error.message().is_empty()
}

/// What an entry says, without where it came from.
fn meaning(path: &str, text: &str) -> String {
    let mut scenario = Scenario::parse(path, text).expect("a scenario");
    let entry = scenario.entry.as_mut().expect("an entry");
    (entry.seed, entry.tool, entry.commit) = (None, None, None);
    entry.trace.clear();
    scenario.source.clear();
    format!("{scenario:?}")
}

#[test]
fn an_entry_that_is_cut_off_anywhere_is_refused_or_says_the_same() {
    for path in ENTRIES {
        let whole =
            read(path).replace("\ntrace = [", "\nseed = 138\ntool = \"0.1.0\"\ncommit = \"0123456\"\ntrace = [");
        let mut same = 0;
        for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let text = &whole[..at];
            match check::<pellmell::ticketing::Ticketing>(path, text) {
                Err(error) => assert!(has_a_place(&error, text), "{path} to byte {at}: {error}"),
                Ok(checked) if checked.status.is_expected() => {
                    assert_eq!(meaning(path, text), meaning(path, &whole), "{path} to byte {at}");
                    same += 1;
                }
                Ok(checked) => panic!("{path} to byte {at} is {:?}", checked.status),
            }
        }
        assert!(same <= 4, "{path}: {same} cuts say the same: between the last lines alone");
    }
}

#[test]
fn a_trace_that_is_cut_off_anywhere_is_refused() {
    let whole = trace_of("scenarios/one-lost-ack.toml");
    for at in 0..whole.len() - 1 {
        let text = String::from_utf8_lossy(&whole.as_bytes()[..at]).into_owned();
        let error = Trace::parse("cut.jsonl", &text).expect_err("a cut");
        assert!(has_a_place(&error, &text), "{at}: {error}");
    }
}

/// The result of a sweep with failures in two buckets.
fn result() -> &'static str {
    static RESULT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    RESULT.get_or_init(|| {
        let path = "scenarios/price-5-10-15.toml";
        let mut scenario = Scenario::parse(path, &read(path)).expect("a scenario");
        scenario.design = pellmell::ticketing::Design::named("course").expect("a design");
        let seeds = 0..14;
        let result =
            Sweep { source: &scenario, judges: &scenario.judges_with_sometimes(), seeds: seeds.clone(), threads: 1 }
                .run(|_, _| ())
                .expect("it runs");
        assert_eq!(result.buckets.len(), 2);
        let swept = Swept::new(path, &scenario, &seeds).expect("it runs");
        let swept = Swept { departures_max: Some(4), ..swept };
        let simulation = scenario.simulation(scenario.seed).expect("it fits");
        let (judges, limits, faults) = (scenario.judges(), scenario.limits, scenario.faults);
        let sweep = HoldSweep::new(&simulation, &judges).with_limits(limits).with_faults(faults).with_schedules_max(4);
        let plan = sweep.plan();
        let departed = plan.go_on(plan.none(0), 3, |_| ControlFlow::Continue(()));
        ResultFile::new(swept, 0..20, seeds.clone(), Part { seeds, result }).with_departed(0..5, departed).to_text()
    })
}

#[test]
fn a_result_that_is_cut_off_anywhere_or_has_a_byte_changed_is_refused_or_says_the_same() {
    let whole = ResultFile::parse("result.json", result()).expect("a result");
    assert_eq!(whole.to_text(), result());
    let bytes = result().as_bytes();
    for at in 0..bytes.len() {
        let cut = String::from_utf8_lossy(&bytes[..at]).into_owned();
        match ResultFile::parse("cut.json", &cut) {
            Err(error) => assert!(has_a_place(&error, &cut), "{at}: {error}"),
            // Without its last line break.
            Ok(read) => assert_eq!((at, read.to_text().as_str()), (bytes.len() - 1, result())),
        }
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            let flipped = String::from_utf8_lossy(&flipped).into_owned();
            match ResultFile::parse("flipped.json", &flipped) {
                Err(error) => assert!(has_a_place(&error, &flipped), "bit {bit} of byte {at}: {error}"),
                Ok(read) => assert_eq!(read.to_text(), result(), "bit {bit} of byte {at}"),
            }
        }
    }
}

#[test]
fn a_result_of_another_format_or_with_keys_that_nobody_knows_says_so() {
    for (from, to, expected) in [
        ("\"version\": 2", "\"version\": 3", "another version of the format: expected 2, found 3"),
        ("pellmell-result", "pellmell-trace", "found pellmell-trace version 2"),
        ("\"request\"", "\"surprise\": 1, \"request\"", "unknown field `surprise`"),
        ("\"held\"", "\"surprise\": 1, \"held\"", "unknown field `surprise`"),
        ("\"done_through\": 14", "\"done_through\": 15", "the checksum is another one"),
    ] {
        assert!(result().contains(from), "{from}");
        let error = ResultFile::parse("r.json", &result().replacen(from, to, 1)).expect_err(to);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_result_whose_sums_and_ranges_do_not_fit_is_refused_though_its_checksum_does() {
    let read = || ResultFile::parse("result.json", result()).expect("a result");
    let refused = |change: fn(&mut ResultFile), expected: &str| {
        let mut file = read();
        change(&mut file);
        let error = ResultFile::parse("changed.json", &file.to_text()).expect_err(expected);
        assert!(error.message().contains(expected), "{error}");
    };
    refused(|file| file.seeds.end = 21, "are no part of");
    refused(|file| file.seeds.start = 15, "are no part of");
    refused(|file| file.done_through = 15, "are no part of");
    refused(|file| file.result.totals.held += 1, "the verdicts are not those of the 14 seeds");
    refused(|file| file.result.totals.stuck = u64::MAX, "the verdicts are not those of the 14 seeds");
    refused(|file| file.result.buckets.clear(), "the buckets are not those of");
    refused(|file| file.departed = None, "the hold sweep is missing");
    refused(|file| file.swept.departures_max = Some(0), "there is a hold sweep where there is none to play");
}

#[test]
fn a_trace_with_lines_missing_or_moved_is_refused() {
    let whole = trace_of("scenarios/one-lost-ack.toml");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let refused = |lines: Vec<&str>| {
        let text = lines.concat();
        let error = Trace::parse("moved.jsonl", &text).expect_err("lines are wrong");
        assert!(has_a_place(&error, &text), "{error}");
    };
    for place in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(place);
        refused(fewer);
        let mut more = lines.clone();
        more.insert(place, lines[place]);
        refused(more);
        for other in 0..place {
            let mut moved = lines.clone();
            moved.swap(place, other);
            refused(moved);
        }
    }
}

proptest! {
    #![proptest_config(config("damaged-files", 384))]

    #[test]
    fn a_damaged_scenario_is_refused_with_its_place_or_runs(path in one_of(&SCENARIOS), damages in damages()) {
        let bytes = damaged(read(path).as_bytes(), &damages);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match Scenario::parse(path, &text) {
            Err(error) => prop_assert!(has_a_place(&error, &text), "{}", error),
            Ok(mut scenario) => {
                let is_small = scenario.workload.as_ref().is_none_or(|workload| {
                    workload.tickets <= 1_000 && workload.edits <= 10 && workload.buyers <= 1_000 && workload.orders <= 10
                });
                scenario.limits.steps_max = scenario.limits.steps_max.min(20_000);
                if let (true, Ok(simulation)) = (is_small, scenario.simulation(scenario.seed)) {
                    let judges = scenario.judges();
                    let report = scenario.run(&mut simulation.world(), &judges, scenario.seed, &mut ());
                    let panicked = matches!(report.verdict, Verdict::Panicked { .. });
                    prop_assert!(!panicked, "{:?}\n{}", report.verdict, text);
                }
            }
        }
    }

    #[test]
    fn a_damaged_entry_is_refused_with_its_place_or_plays(path in one_of(&ENTRIES), damages in damages()) {
        let bytes = damaged(read(path).as_bytes(), &damages);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match check::<pellmell::ticketing::Ticketing>(path, &text) {
            Err(error) => prop_assert!(has_a_place(&error, &text), "{}", error),
            Ok(checked) => {
                let panicked = matches!(&checked.status, Status::Broken(how) if how.starts_with("panicked"));
                prop_assert!(!panicked, "{:?}\n{}", checked.status, text);
                // What is green says why it is kept and how it is played.
                if checked.status.is_expected() {
                    let scenario = Scenario::parse(path, &text).expect("a scenario");
                    let is_calm = scenario.scheduler == Some(pellmell::scenario::SchedulerKind::Calm);
                    prop_assert!(!checked.entry.reason.is_empty() && scenario.faults == FaultPlan::NONE, "{}", text);
                    prop_assert!(is_calm || !scenario.schedule.is_empty(), "{}", text);
                }
            }
        }
    }

    #[test]
    fn a_damaged_trace_is_refused_with_its_place_or_tells_another_run(damages in damages()) {
        let whole = trace_of("scenarios/one-lost-ack.toml");
        let text = String::from_utf8_lossy(&damaged(whole.as_bytes(), &damages)).into_owned();
        if let Err(error) = Trace::parse("damaged.jsonl", &text) {
            prop_assert!(has_a_place(&error, &text), "{}", error);
        }
    }

    #[test]
    fn a_damaged_result_is_refused_with_its_place_or_says_the_same(damages in damages()) {
        let text = String::from_utf8_lossy(&damaged(result().as_bytes(), &damages)).into_owned();
        match ResultFile::parse("damaged.json", &text) {
            Err(error) => prop_assert!(has_a_place(&error, &text), "{}", error),
            Ok(read) => prop_assert_eq!(read.to_text(), result()),
        }
    }

    #[test]
    fn a_damaged_departure_or_step_is_refused_or_reads_back(
        path in one_of(&ENTRIES),
        at in any::<prop::sample::Index>(),
        damages in damages(),
    ) {
        let scenario = Scenario::parse(path, &read(path)).expect("an entry");
        let steps = scenario.entry.clone().into_iter().flat_map(|entry| entry.trace).map(|step| step.to_string());
        let texts: Vec<String> = scenario.schedule.iter().map(ToString::to_string).chain(steps).collect();
        prop_assume!(!texts.is_empty());
        let bytes = damaged(texts[at.index(texts.len())].as_bytes(), &damages);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(departure) = text.parse::<Departure>() {
            prop_assert_eq!(departure.to_string().parse(), Ok(departure));
        }
        if let Ok(step) = text.parse::<NamedStep>() {
            prop_assert_eq!(step.to_string().parse(), Ok(step));
        }
    }
}

/// A file for a test.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs pellmell; returns the exit code, stdout and stderr.
fn pellmell(arguments: &[&str], file: &Path) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellmell"));
    let ran = command.args(arguments).arg(file).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

/// The trace of a scenario, as `run --trace` writes it.
fn trace_of(scenario: &str) -> String {
    static TRACE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let write = || {
        let path = scratch("whole.jsonl");
        let (code, _, err) = pellmell(&["run", scenario, "--trace"], &path);
        assert_eq!(code, Some(1), "{err}");
        std::fs::read_to_string(path).expect("a trace")
    };
    TRACE.get_or_init(write).clone()
}

proptest! {
    #![proptest_config(config("damaged-replays", 64))]

    /// Exit codes 0 and 1 say that the run is the one the file tells.
    #[test]
    fn replaying_a_damaged_trace_is_an_error_unless_it_tells_the_run_that_is_played(damages in damages()) {
        let whole = trace_of("scenarios/one-lost-ack.toml");
        let bytes = damaged(whole.as_bytes(), &damages);
        let path = scratch("damaged.jsonl");
        std::fs::write(&path, &bytes).expect("a file");
        let (code, out, err) = pellmell(&["replay"], &path);
        match code {
            Some(0 | 1) => {
                let told = Trace::parse("damaged.jsonl", &String::from_utf8_lossy(&bytes)).expect("a trace");
                let run = Trace::parse("whole.jsonl", &whole).expect("a trace");
                let same = (&told.records, &told.end) == (&run.records, &run.end);
                // Another source may give another run, which then is all told.
                prop_assert!(same || told.header.source != run.header.source, "{}", out);
            }
            Some(2) => prop_assert!(err.contains("--> "), "{}", err),
            Some(3) => prop_assert!(out.contains("DIFFERS") || err.contains("does not exist any more"), "{}{}", out, err),
            _ => prop_assert!(false, "{:?} {}{}", code, out, err),
        }
    }
}

/// Files of a kind that were found to be handled wrongly once, or that are hostile. The digit their
/// name begins with is the exit code they end with.
fn finds(kind: &str) -> Vec<(PathBuf, i32)> {
    let folder = std::fs::read_dir(Path::new("tests/finds").join(kind)).expect("finds");
    let finds = folder.map(|entry| {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let code = name.chars().next().and_then(|digit| digit.to_digit(10)).expect("a digit");
        (path, code as i32)
    });
    let mut finds: Vec<_> = finds.collect();
    finds.sort();
    assert!(finds.len() >= 5, "{kind}");
    finds
}

#[test]
fn every_find_ends_as_its_name_says_and_what_is_wrong_has_its_place() {
    for (kind, verb) in [("scenario", &["check"][..]), ("entry", &["corpus", "check"]), ("trace", &["replay"])] {
        for (path, expected) in finds(kind) {
            let (code, out, err) = pellmell(verb, &path);
            assert_eq!(code, Some(expected), "{}: {out}{err}", path.display());
            let place = format!("{}:", path.display());
            assert!(expected != 2 || err.contains(&place) || err.contains("--> "), "{}: {err}", path.display());
        }
    }
}

#[test]
fn every_departure_that_was_found_is_refused_and_is_no_step_or_reads_back_as_one() {
    for (path, expected) in finds("departure") {
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
        let text = text.trim_end_matches('\n');
        assert_eq!((expected, text.parse::<Departure>().is_err()), (2, true), "{}", path.display());
        if let Ok(step) = text.parse::<NamedStep>() {
            assert_eq!(step.to_string().parse(), Ok(step), "{}", path.display());
        }
    }
}
