//! The kept cases come to what they should, and a case that cannot say so any more says that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pellmell::corpus::{Moved, Renames, Renewal, Status, check, duplicates, renew};
use pellmell::scenario::Expectation;
use pellmell::ticketing::{Scenario, Ticketing};
use pellmell::{Replayed, run};
use proptest::prelude::*;

/// One test for each entry of `scenarios/corpus`.
macro_rules! entries {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        mod entries {
            $(#[test] fn $name() { super::plays(stringify!($name)); })*
        }
    };
}

entries! {
    g01_stale_cancel_frees_a_lock
    g02_cancel_overtakes_create
    g03_later_order_overwrites_a_lock
    g04_completion_is_not_published
    g05_cancel_of_a_paid_order_is_poison
    g06_paid_twice
    g07_edit_while_an_order_exists
    g08_paid_before_reserved
    g09_two_live_orders
    g10_payment_revives_an_order
    g11_payment_of_a_cancelled_order
    g12_expiry_races_payment
    g13_redelivered_creation
    g14_redelivered_update
    g15_redelivered_order
    g16_two_jobs_for_one_order
    g17_redelivered_expiration
    g18_crash_in_a_route
    g19_crash_in_a_listener
    g20_timer_lost_in_a_crash
    g21_cancel_before_order_at_payments
    g23_lost_event
    g24_edit_meets_lock
    g25_two_members_one_update
    g26_price_shown_is_not_the_price_charged
    z1_replica_own_id
    z10_non_owner_bumps_version
    z11_no_op_save_keeps_version
    z12a_missing_update_on_reserve
    z12b_missing_update_on_release
    z13a_unguarded_release
    z13b_cancel_without_tombstone
    z13c_release_throws_on_mismatch
    z14a_boolean_lock
    z14b_lock_overwrite
    z14d_strict_order_ledger
    z16_edits_allowed_while_reserved
    z17_last_write_wins_owner
    z19_publish_before_save
    z2_blind_apply
    z20_ack_before_apply
    z21a_dual_write_route
    z21b_dual_write_listener
    z21c_dual_write_course_listener
    z22_check_then_act_order
    z23a_recancels_order
    z23b_cancels_complete_order
    z24_expire_completed_order
    z25_expire_cancelled_order
    z26_pay_revives_cancelled
    z27_silent_completion
    z28_order_replica_blind_apply
    z29_double_charge
    z3_blind_apply_set_version
    z30_no_refund
    z31_duplicate_timer
    z32_volatile_timer
    z34_shared_queue_group
    z35_listener_not_registered
    z36_swallowed_conflict
    z38_timestamp_tie
    z39_step_mismatch
    z4_ack_on_gap
    z40_lost_message
    z5_version_query_off_by_one
    z6a_ack_unknown_ticket
    z6b_ack_cancel_of_unknown_order
    z7_stale_not_acked
    z8_duplicate_create_throws
    z9_create_overwrites_replica
}

/// Plays the entry of that name, which comes to what it expects: by its departures, and if that is a
/// violation by its steps as well, of which each comes.
fn plays(name: &str) {
    let path = format!("scenarios/corpus/{}.toml", name.replace('_', "-"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let checked = check::<Ticketing>(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    assert!(checked.status.is_expected(), "{path}: {:?}", checked.status);
    let entry = checked.entry;
    assert_eq!(entry.trace.is_empty(), entry.expect == Expectation::Held, "{path}: pellmell corpus renew {path}");
    if entry.expect != Expectation::Held {
        let scenario = Scenario::parse(&path, &text).expect("a scenario");
        let simulation = scenario.simulation(scenario.seed).expect("a simulation");
        let mut by_steps = Replayed::new(entry.trace.clone());
        let report = run(&mut simulation.world(), &mut by_steps, &scenario.judges(), scenario.limits, &mut ());
        assert!(entry.expect.meets(&report.verdict), "{path}: {:?}", report.verdict);
        assert!(by_steps.missing().is_empty(), "{path}: {:?}", by_steps.missing());
    }
}

#[test]
fn every_entry_has_its_test_and_every_defect_its_entry() {
    let folder = std::fs::read_dir("scenarios/corpus").expect("the corpus");
    let name = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().replace('-', "_");
    let names: BTreeSet<String> = folder.map(|entry| name(entry.expect("readable").path())).collect();
    let tested: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, tested, "tests/ticketing/corpus.rs lists what is in scenarios/corpus");
    for defect in pellmell::ticketing::DEFECTS {
        let number = format!("{}_", defect.id.to_lowercase());
        assert!(names.iter().any(|name| name.starts_with(&number)), "{} has no entry", defect.name);
    }
    for gap in 1..=20 {
        assert!(names.iter().any(|name| name.starts_with(&format!("g{gap:02}_"))), "G{gap} has no entry");
    }
}

const ENTRY: &str = r#"version = 1
about = "An order takes the lock of another one."
design = "reference"
defects = ["LockOverwrite"]
schedule = ["hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets"]

[[client]]
name = "alice"
commands = [
    { create_ticket = { ticket = "t1", price = 5 } },
    { create_order = { order = "o1", ticket = "t1" } },
    { cancel_order = { order = "o1" } },
    { create_order = { order = "o2", ticket = "t1" } },
]

[entry]
expect = "violated NoLockOverwrite"
reason = "a later order must wait for the cancel of the one before it"
seed = 7
tool = "0.1.0"
"#;

fn status(text: &str) -> Status {
    check::<Ticketing>("entry.toml", text).unwrap_or_else(|error| panic!("{error}")).status
}

/// The entry with one part replaced.
fn with(part: &str, by: &str) -> String {
    assert!(ENTRY.contains(part), "{part}");
    ENTRY.replace(part, by)
}

#[test]
fn an_entry_that_violates_what_it_should_is_violated() {
    let checked = check::<Ticketing>("entry.toml", ENTRY).expect("an entry");
    assert_eq!((checked.status, checked.deliveries > 3), (Status::Violated, true));
    let entry = checked.entry;
    assert_eq!((entry.seed, entry.tool.as_deref(), entry.commit), (Some(7), Some("0.1.0"), None));
}

#[test]
fn an_entry_that_holds_as_it_should_is_held_and_one_that_should_not_is_fixed() {
    let mended = with("defects = [\"LockOverwrite\"]\n", "");
    assert!(matches!(status(&mended), Status::Fixed(near) if near.runs > 1), "{:?}", status(&mended));
    assert_eq!(status(&mended.replace("violated NoLockOverwrite", "held")), Status::Held);
}

#[test]
fn an_entry_that_violates_what_it_should_not_is_broken() {
    let broken = |text: &str, part: &str| match status(text) {
        Status::Broken(how) => assert!(how.contains(part), "{how}"),
        other => panic!("{other:?}"),
    };
    broken(&with("violated NoLockOverwrite", "held"), "violated NoLockOverwrite: at tickets, t1");
    broken(&with("violated NoLockOverwrite", "violated NoPoison"), "violated NoLockOverwrite");
}

#[test]
fn an_entry_that_names_what_does_not_exist_is_stale_and_is_told_the_nearest() {
    let moved = |text: &str, part: &str| match status(text) {
        Status::Moved(Moved { was, .. }) => assert!(was.contains(part), "{was}"),
        other => panic!("{other:?}"),
    };
    let stale = |text: &str, part: &str| match status(text) {
        Status::Stale(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    };
    moved(
        &with("order:cancelled o1@1", "order:canceled o1@1"),
        "unknown subject `order:canceled`; did you mean `order:cancelled`",
    );
    moved(&with("-> tickets until", "-> ticket until"), "unknown group `ticket`; did you mean `tickets`");
    stale(&with("LockOverwrite\"]", "LockOverwritten\"]"), "unknown defect `LockOverwritten`");
    stale(&with("\"reference\"", "\"referenze\""), "unknown design `referenze`");
    stale(&with("violated NoLockOverwrite", "violated NoLockOverwrites"), "unknown property");
}

#[test]
fn an_entry_whose_departure_never_comes_is_stale_and_not_held() {
    let text =
        with("hold order:cancelled o1@1", "hold order:cancelled o1@2").replace("violated NoLockOverwrite", "held");
    match status(&text) {
        Status::Stale(why) => {
            assert!(why.starts_with("nothing comes that `hold order:cancelled o1@2 -> tickets until "), "{why}");
            assert!(why.ends_with("the nearest is `order:cancelled o1@1 -> tickets`"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_entry_is_an_error_with_its_place() {
    let refused = |text: &str, place: (usize, usize), part: &str| {
        let error = check::<Ticketing>("entry.toml", text).expect_err(text);
        assert_eq!((error.line, error.column), place, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    refused("", (1, 1), "the file is empty");
    refused(&with("version = 1", "version = 2"), (1, 11), "unknown format version 2");
    let scenario = ENTRY.split("[entry]").next().expect("a scenario");
    refused(scenario, (1, 1), "add an [entry] table with `expect` and `reason`");
    refused(&with("reason = ", "raison = "), (18, 1), "unknown field `raison`");
    refused(&with("\"violated NoLockOverwrite\"", "\"maybe\""), (17, 10), "this is no verdict");
}

/// Checks a folder with these entries; returns the exit code, stdout and stderr.
fn check_folder(name: &str, entries: &[(&str, &str)]) -> (i32, String, String) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in entries {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_pellmell")).args(["corpus", "check"]).arg(&folder).output();
    let ran = ran.expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (ran.status.code().expect("it ended"), text(ran.stdout), text(ran.stderr))
}

#[test]
fn the_check_ends_with_what_came_of_the_worst_entry() {
    let fixed = with("defects = [\"LockOverwrite\"]\n", "");
    let stale = with("\"reference\"", "\"referenze\"");
    let (code, out, _) = check_folder("good", &[("a.toml", ENTRY)]);
    assert_eq!(
        (code, out.lines().last().unwrap_or_default().trim()),
        (0, "Summary 1 entry: 1 as expected, 0 not, 0 moved, 0 stale, 0 damaged")
    );
    let (code, out, _) = check_folder("stale", &[("a.toml", ENTRY), ("b.toml", &stale)]);
    assert!(code == 3 && out.contains("STALE b") && out.contains("VIOLATED a"), "{code} {out}");
    let (code, out, _) = check_folder("fixed", &[("a.toml", &fixed), ("b.toml", &stale)]);
    assert!(code == 1 && out.contains("FIXED a"), "{code} {out}");
    let (code, out, err) = check_folder("damaged", &[("a.toml", "version = "), ("b.toml", &fixed)]);
    assert!(code == 2 && out.contains("FIXED b") && err.contains("a.toml:1:11"), "{code} {out} {err}");
    assert_eq!(check_folder("none", &[]).0, 4);
}

#[test]
fn a_registered_rename_keeps_an_entry_alive() {
    let old = with("order:cancelled o1@1", "order:called-off o1@1");
    assert!(moved(&old).0.contains("unknown subject `order:called-off`"));
    let renames = Renames::parse("renames.toml", "\"order:called-off\" = \"order:cancelled\"\n").expect("renames");
    assert_eq!(status(&renames.apply(&old)), Status::Violated);
    // Whole words only.
    assert_eq!(renames.apply("order:called-off-late order:called-off"), "order:called-off-late order:cancelled");
    assert_eq!(Renames::default().apply(ENTRY), ENTRY);
    let error = Renames::parse("renames.toml", "a = 1\n").expect_err("no text");
    assert_eq!((error.line, error.column), (1, 5));
    let entries = [("a.toml", old.as_str()), ("renames.toml", "\"order:called-off\" = \"order:cancelled\"\n")];
    let (code, out, _) = check_folder("renamed", &entries);
    assert!(code == 0 && out.contains("VIOLATED a") && !out.contains("renames"), "{code} {out}");
}

#[test]
fn a_failing_seed_is_shrunk_and_kept_once() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("added");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let add = |design: &str, seed: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pellmell"));
        command.args(["corpus", "add", "scenarios/concurrency-script.toml", "--design", design, "--seed", seed]);
        let command = command.args(["--reason", "an old price"]).arg("--to").arg(&folder).env("COLUMNS", "400");
        let ran = command.output().expect("it runs");
        (ran.status.code(), String::from_utf8(ran.stdout).expect("text"))
    };
    let (code, out) = add("stage1", "1");
    assert!(
        code == Some(0) && out.contains("prefix-consistency.toml   violated PrefixConsistency, 1 departure"),
        "{out}"
    );
    let (code, out) = add("stage1", "2");
    assert!(code == Some(4) && out.contains("Not kept a failure of the same cause is in"), "{out}");
    let (code, out) = add("reference", "1");
    assert!(code == Some(4) && out.contains("Not kept concurrency-script seed 1 holds"), "{out}");
    let (code, out, err) = check_folder("added", &[]);
    assert!(code == 0 && out.contains("1 entry: 1 as expected"), "{out} {err}");
}

/// The entry with the steps of its run.
fn with_steps() -> String {
    match renew::<Ticketing>("entry.toml", ENTRY).expect("an entry") {
        (_, Renewal::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// The same with a departure that does not lead there.
fn diverged() -> String {
    let departure = "hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets";
    with_steps().replace(departure, "duplicate ticket:created t1@0 -> orders")
}

#[test]
fn renewing_adds_the_steps_and_leaves_all_else_as_it_is() {
    let commented = with("seed = 7\n", "seed = 7  # of the sweep\n").replace("[entry]", "# why\n[entry]");
    let (checked, renewal) = renew::<Ticketing>("entry.toml", &commented).expect("an entry");
    let Renewal::Text(text) = renewal else { panic!("{renewal:?}") };
    assert_eq!(checked.status, Status::Violated);
    assert!(text.starts_with(&commented), "only the steps are new: {text}");
    assert!(text[commented.len()..].starts_with("trace = [\n    \"alice: create t1 at 5\",\n    \""), "{text}");
    assert!(text.ends_with("\",\n]\n"), "{text}");
    assert_eq!(renew::<Ticketing>("entry.toml", &text).expect("an entry").1, Renewal::Fresh);
}

/// What an entry that has moved was, and the departures that lead to its failure now.
fn moved(text: &str) -> (String, Vec<String>) {
    match status(text) {
        Status::Moved(Moved { was, departures, .. }) => (was, departures.iter().map(ToString::to_string).collect()),
        other => panic!("{other:?}"),
    }
}

const KEPT: &str = "hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets";

#[test]
fn what_still_fails_near_an_entry_s_departures_has_moved_and_renewing_finds_departures_that_do() {
    // As if the departure had lost its effect, ended too early, or what it names its name.
    for (departure, was) in [
        ("duplicate ticket:created t1@0 -> orders", "every property holds"),
        ("hold order:cancelled o1@1 -> tickets until alice: order t1 as o2", "every property holds"),
        ("hold order:cancelled o1@2 -> tickets until quiescence", "the nearest is `order:cancelled o1@1 -> tickets`"),
        ("hold order:canceled o1@1 -> tickets until quiescence", "line 5: unknown subject `order:canceled`"),
    ] {
        let old = |text: &str| {
            text.replace(&format!("schedule = [\"{KEPT}\"]"), &format!("schedule = [\"{departure}\"] # old"))
        };
        for text in [old(&with_steps()), old(ENTRY)] {
            let (said, departures) = moved(&text);
            assert!(said.contains(was), "{said}");
            assert!(
                departures.len() == 1 && departures[0].starts_with("hold order:cancelled o1@1 -> tickets until"),
                "{departures:?}"
            );
            let (_, renewal) = renew::<Ticketing>("entry.toml", &text).expect("an entry");
            let Renewal::Text(renewed) = renewal else { panic!("{renewal:?}") };
            assert_eq!(status(&renewed), Status::Violated);
            assert!(renewed.contains("] # old\n") && renewed.contains("reason = \"a later order"), "{renewed}");
        }
    }
}

#[test]
fn what_still_fails_is_found_by_recorded_steps_around_what_is_new_and_what_is_gone() {
    // A command that was not there, and a step that does not come any more.
    let create = "{ create_ticket = { ticket = \"t1\", price = 5 } },\n";
    let changed =
        diverged().replace(create, &format!("{create}    {{ edit_ticket = {{ ticket = \"t1\", price = 6 }} }},\n"));
    let changed = changed.replace("trace = [\n", "trace = [\n    \"ack of order:created o1@0 -> tickets\",\n");
    assert_eq!(moved(&changed).0, "every property holds");
}

#[test]
fn an_entry_is_fixed_or_broken_only_where_nothing_near_it_fails_as_it_should() {
    let mended = with_steps().replace("defects = [\"LockOverwrite\"]\n", "");
    assert!(matches!(status(&mended), Status::Fixed(near) if near.runs > 1), "{:?}", status(&mended));
    assert_eq!(renew::<Ticketing>("entry.toml", &mended).expect("an entry").1, Renewal::Fresh);
    let other = with_steps().replace("violated NoLockOverwrite", "violated NoPoison");
    assert!(matches!(status(&other), Status::Broken(_)));
    let gone = mended.replace("hold order:cancelled o1@1", "hold order:cancelled o1@2");
    assert!(matches!(status(&gone), Status::Stale(_)));
}

#[test]
fn all_names_of_an_entry_that_mean_nothing_any_more_are_said_at_once() {
    let text = with_steps().replace("order:cancelled o1", "order:off o1").replace("-> tickets", "-> desk");
    let text = text.replace("[[client]]", "[services.stock]\nmembers = 2\n\n[[client]]");
    let (was, _) = moved(&text);
    for part in [
        "line 5: unknown subject `order:off`; expected one of ",
        "lines 5, 28, 32: unknown group `desk`; expected one of ",
        "line 7: unknown service `stock`; expected one of ",
    ] {
        assert!(was.contains(part), "{part}: {was}");
    }
    let Renewal::Text(renewed) = renew::<Ticketing>("entry.toml", &text).expect("an entry").1 else { panic!("{was}") };
    assert!(status(&renewed) == Status::Violated && !renewed.contains("stock"), "{renewed}");
    // Where a name is gone that says what the case is, the others are said all the same, and nothing is played.
    let nobody = text.replace("\"reference\"", "\"referenze\"").replace("violated NoLock", "violated NoLoc");
    let Status::Stale(why) = status(&nobody) else { panic!("{:?}", status(&nobody)) };
    for part in ["line 3: unknown design", "unknown property `NoLocOverwrite`", "unknown subject `order:off`"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(renew::<Ticketing>("entry.toml", &nobody).expect("an entry").1, Renewal::Fresh);
}

#[test]
fn an_entry_that_fails_otherwise_has_moved_if_the_calm_run_fails_as_it_should() {
    let lost = "schedule = [\"lose order:created o1@0 -> tickets\"]";
    let entry = ENTRY.replace("LockOverwrite\"]", "MissingUpdateOnReserve\"]");
    let entry = entry.replace("violated NoLockOverwrite", "violated PublishedVersionsContiguous");
    let schedule = entry.lines().find(|line| line.starts_with("schedule")).expect("a schedule").to_owned();
    assert_eq!(status(&entry.replace(&schedule, "scheduler = \"calm\"")), Status::Violated);
    let (was, departures) = moved(&entry.replace(&schedule, lost));
    assert!(was.starts_with("violated ") && departures.is_empty(), "{was} {departures:?}");
}

#[test]
fn recorded_steps_name_what_exists_and_what_can_go_wrong() {
    let text = with_steps();
    let refused = |old: &str, new: &str, place: (usize, usize), part: &str| {
        assert!(text.contains(old), "{old} in {text}");
        let error = Scenario::parse("entry.toml", &text.replacen(old, new, 1)).expect_err(new);
        assert_eq!((error.line, error.column), place, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    let first = "    \"alice: create t1 at 5\",\n";
    let instead = |step: &str| format!("    \"{step}\",\n");
    refused(first, &instead("alise: create t1 at 5"), (22, 5), "did you mean `alice`?");
    refused(first, &instead("ticket:made t1@0 -> orders"), (22, 5), "unknown subject `ticket:made`");
    refused(first, &instead("ticket:created t2@0 -> orders"), (22, 5), "no command creates `t2`");
    refused(first, &instead("ticket:created t1@0 -> orders, ack gone"), (22, 5), "is nothing that goes wrong");
    refused(first, &instead("pause of ticket:created t1@0 -> orders"), (22, 5), "handlers of `orders` cannot pause");
    refused(first, &instead("join of orders"), (22, 5), "is there from the start");
    refused("violated NoLockOverwrite", "held", (22, 5), "leave `trace` out");
    let overlapping = text.replace("[[client]]", "[services.orders]\noverlapping = true\n\n[[client]]");
    let delivery = "ticket:created t1@0 -> orders";
    let steps = format!("    \"pause of {delivery}, ack lost\",\n    \"{delivery}, ack late\",\n");
    let error = Scenario::parse("entry.toml", &overlapping.replacen(first, &steps, 1)).expect_err("decided twice");
    assert_eq!((error.line, error.column), (26, 5), "{error}");
    assert!(error.to_string().contains("say it at its `pause of "), "{error}");
}

#[test]
fn an_entry_says_how_it_is_played_and_where_it_comes_from() {
    let refused = |text: &str, place: (usize, usize), part: &str| {
        let error = check::<Ticketing>("entry.toml", text).expect_err(text);
        assert_eq!((error.line, error.column), place, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    };
    let schedule = "schedule = [\"hold order:cancelled o1@1 -> tickets until order:created o2@0 -> tickets\"]\n";
    refused(&with(schedule, ""), (16, 10), "does not say how it departs");
    refused(&with(schedule, "scheduler = \"random\"\n"), (5, 13), "does not say how it departs");
    let faults = "scheduler = \"calm\"\n[faults]\nlose_ack = \"1/20\"\n";
    refused(&with(schedule, faults), (6, 1), "faults have no effect in an entry");
    for commit in ["abcdef", "0123456789x", ""] {
        refused(&with("seed = 7", &format!("commit = \"{commit}\"")), (19, 10), "this is no commit");
    }
    let hash = "8550958aa8550958aa8550958aa8550958aa8550";
    let entry =
        check::<Ticketing>("entry.toml", &with("seed = 7", &format!("commit = \"{hash}\""))).expect("an entry").entry;
    assert_eq!(entry.commit.as_deref(), Some(hash));
    refused(ENTRY.trim_end(), (20, 15), "the file ends within a line");
    let behind = format!("{ENTRY}\n[broker]\nprofile = \"stan\"\n");
    refused(&behind, (17, 10), "something of the scenario stands behind its entry");
}

#[test]
fn the_shipped_corpus_has_no_two_entries_that_fail_for_one_cause_in_one_way() {
    let folder = std::fs::read_dir("scenarios/corpus").expect("the corpus");
    let entries = folder.map(|entry| {
        let path = entry.expect("readable").path().display().to_string();
        let text = std::fs::read_to_string(&path).expect("a file");
        let checked = check::<Ticketing>(&path, &text).expect("an entry");
        (path, checked)
    });
    assert_eq!(duplicates(&entries.collect::<Vec<_>>()), Vec::new());
}

/// Runs `pellmell corpus` with these arguments in a folder; returns the exit code, stdout and stderr.
fn corpus_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellmell"));
    let command = command.current_dir(folder).env("COLUMNS", "400").arg("corpus").args(arguments);
    let ran = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (ran.status.code().expect("it ended"), text(ran.stdout), text(ran.stderr))
}

/// An empty folder of that name for a test's files.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn the_command_that_renews_an_entry_is_told_and_proposes_and_writes_it() {
    let folder = folder("diverged");
    std::fs::write(folder.join("a.toml"), diverged()).expect("a file");
    let (code, out, _) = corpus_in(&folder, &["check", "a.toml"]);
    assert!(code == 3 && out.contains("MOVED a ") && out.contains("every property holds\n"), "{code} {out}");
    assert!(out.contains("it still fails as it should by `hold order:cancelled o1@1 -> tickets until "), "{out}");
    assert!(out.contains("Next pellmell corpus renew a.toml\n") && out.contains("0 not, 1 moved, 0 stale"), "{out}");
    let (code, out, _) = corpus_in(&folder, &["renew", "a.toml"]);
    assert!(
        code == 3 && out.contains("To renew a\n") && out.contains("now violated NoLockOverwrite: at tickets"),
        "{out}"
    );
    assert!(out.contains("1 entry to be written: pellmell corpus renew --write a.toml"), "{out}");
    assert_eq!(std::fs::read_to_string(folder.join("a.toml")).expect("a file"), diverged());
    let (code, out, _) = corpus_in(&folder, &["renew", "--write", "a.toml"]);
    assert!(code == 0 && out.contains("Renewed a"), "{code} {out}");
    let (code, out, _) = corpus_in(&folder, &["check", "a.toml"]);
    assert!(code == 0 && out.contains("VIOLATED a "), "{code} {out}");
    let (code, out, _) = corpus_in(&folder, &["renew", "a.toml"]);
    assert!(code == 0 && out.contains("Fresh a"), "{code} {out}");
    // What is not as expected is left as it is, and told.
    let fixed = with_steps().replace("defects = [\"LockOverwrite\"]\n", "");
    std::fs::write(folder.join("b.toml"), &fixed).expect("a file");
    let (code, out, _) = corpus_in(&folder, &["renew", "--write", "."]);
    assert!(code == 1 && out.contains("FIXED b") && out.contains("write `expect = \"held\"` without `trace`"), "{out}");
    assert_eq!(std::fs::read_to_string(folder.join("b.toml")).expect("a file"), fixed);
}

#[test]
fn renewing_writes_the_new_names_into_an_entry() {
    let folder = folder("renamed-for-good");
    let old = with_steps().replace("order:cancelled", "order:called-off");
    std::fs::write(folder.join("a.toml"), &old).expect("a file");
    std::fs::write(folder.join("renames.toml"), "\"order:called-off\" = \"order:cancelled\"\n").expect("a file");
    let (code, out, _) = corpus_in(&folder, &["renew", "."]);
    assert!(code == 1 && out.contains("To renew a") && out.contains("with the names of renames.toml"), "{out}");
    assert_eq!(std::fs::read_to_string(folder.join("a.toml")).expect("a file"), old);
    let (code, out, _) = corpus_in(&folder, &["renew", "--write", "."]);
    assert!(code == 0 && out.contains("Renewed a") && out.contains("with the names of renames.toml"), "{out}");
    assert_eq!(std::fs::read_to_string(folder.join("a.toml")).expect("a file"), with_steps());
}

#[test]
fn a_shift_is_written_into_all_entries_of_a_folder_once() {
    let folder = folder("shifted");
    let names = ["a.toml", "b.toml"];
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    // As if versions had begun one below.
    let old = with_steps().replace("order:cancelled o1@1", "order:cancelled o1@0");
    let lines = "# versions of cancels\n\"order:cancelled *@*\" = \"order:cancelled *@*+1\"\n\"x:y\" = \"x:z\"\n";
    names.iter().for_each(|name| std::fs::write(folder.join(name), &old).expect("a file"));
    std::fs::write(folder.join("renames.toml"), lines).expect("a file");
    let (code, out, _) = corpus_in(&folder, &["check", "."]);
    assert!(code == 0 && out.contains("2 as expected"), "{out}");
    let (code, _, err) = corpus_in(&folder, &["renew", "--write", "a.toml"]);
    assert!(code == 2 && err.contains("renames.toml shifts names") && err.contains("corpus renew --write ."), "{err}");
    assert_eq!(read("a.toml"), old);
    let scenario = std::fs::canonicalize("scenarios/one-lost-ack.toml").expect("a scenario");
    let scenario = scenario.to_str().expect("a name");
    let (code, _, err) = corpus_in(&folder, &["add", scenario, "--reason", "a lost ack", "--to", "."]);
    assert!(code == 2 && err.contains("corpus renew --write ."), "{err}");
    let (code, out, _) = corpus_in(&folder, &["renew", "--write", "."]);
    assert!(code == 0 && out.contains("Renewed a") && out.contains("Renewed b"), "{out}");
    assert_eq!(names.map(read), [with_steps(), with_steps()]);
    assert_eq!(read("renames.toml"), "# versions of cancels\n\"x:y\" = \"x:z\"\n");
    let (code, out, _) = corpus_in(&folder, &["renew", "."]);
    assert!(code == 0 && out.contains("Fresh a") && out.contains("Fresh b"), "{out}");
}

#[test]
fn pruning_names_what_is_superfluous_and_removes_it_when_told_to() {
    let folder = folder("pruned");
    let larger =
        with("[entry]", "[[client]]\nname = \"bob\"\ncommands = [{ cancel_order = { order = \"o1\" } }]\n\n[entry]");
    let larger = larger.replace("o1", "o3").replace("alice", "zoe");
    let fixed = with("defects = [\"LockOverwrite\"]\n", "");
    let other_design = with("\"reference\"", "\"saga\"");
    let entries = [("a-larger", &larger), ("b", &ENTRY.to_owned()), ("c-fixed", &fixed), ("d-design", &other_design)];
    for (name, text) in entries {
        std::fs::write(folder.join(format!("{name}.toml")), text).expect("a file");
    }
    let (code, out, _) = corpus_in(&folder, &["prune", "."]);
    assert!(code == 1 && out.contains("FIXED c-fixed") && out.contains("write `expect = \"held\"`"), "{code} {out}");
    assert!(
        out.contains("Superfluous a-larger") && out.contains(" b fails so too, and is smaller: reference + Lock"),
        "{out}"
    );
    assert!(out.contains("4 entries: 1 superfluous") && out.contains("with --write removes them"), "{out}");
    assert!(folder.join("a-larger.toml").exists());
    let (code, out, _) = corpus_in(&folder, &["prune", "--write", "."]);
    assert!(code == 0 && out.contains("Removed a-larger"), "{code} {out}");
    let left = ["a-larger", "b", "c-fixed", "d-design"].map(|name| folder.join(format!("{name}.toml")).exists());
    assert_eq!(left, [false, true, true, true]);
    let (code, out, _) = corpus_in(&folder, &["prune", "."]);
    assert!(code == 0 && out.contains("3 entries: 0 superfluous"), "{code} {out}");
    std::fs::write(folder.join("e.toml"), "version = ").expect("a file");
    let (code, _, err) = corpus_in(&folder, &["prune", "--write", "."]);
    assert!(code == 2 && err.contains("e.toml:1:11"), "{code} {err}");
}

#[test]
fn an_entry_that_is_added_has_its_steps_and_the_commit_that_is_checked_out() {
    let folder = folder("committed");
    let scenario = std::fs::canonicalize("scenarios/one-lost-ack.toml").expect("a scenario");
    let scenario = scenario.to_str().expect("a name");
    let add = |arguments: &[&str]| {
        let _ = std::fs::remove_file(folder.join("no-poison.toml"));
        let all = [&["add", scenario, "--reason", "a lost ack", "--to", "."], arguments].concat();
        let (code, out, err) = corpus_in(&folder, &all);
        assert_eq!(code, 0, "{out}{err}");
        let text = std::fs::read_to_string(folder.join("no-poison.toml")).expect("an entry");
        check::<Ticketing>("no-poison.toml", &text).expect("an entry").entry
    };
    let hashes = ["1", "2", "3"].map(|digit| digit.repeat(40));
    let git = folder.join(".git");
    std::fs::create_dir_all(git.join("refs/heads")).expect("a folder");
    let commit = |file: &str, text: &str| std::fs::write(git.join(file), text).expect("a file");
    commit("HEAD", "ref: refs/heads/main\n");
    assert_eq!(add(&[]).commit, None, "nothing is committed yet");
    commit("packed-refs", &format!("# pack-refs with: peeled\n{} refs/heads/main\n", hashes[0]));
    let entry = add(&[]);
    assert_eq!(entry.commit.as_ref(), Some(&hashes[0]));
    let steps: Vec<String> = entry.trace.iter().map(ToString::to_string).collect();
    assert_eq!(steps[1], "ticket:created t1@0 -> orders, ack lost");
    assert_eq!(entry.tool.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    commit("refs/heads/main", &format!("{}\n", hashes[1]));
    assert_eq!(add(&[]).commit.as_ref(), Some(&hashes[1]));
    commit("HEAD", &format!("{}\n", hashes[2]));
    assert_eq!(add(&[]).commit.as_ref(), Some(&hashes[2]));
    assert_eq!(add(&["--commit", "abcdef0"]).commit.as_deref(), Some("abcdef0"));
    let wrong = ["add", scenario, "--reason", "a lost ack", "--to", ".", "--commit", "HEAD"];
    let (code, _, err) = corpus_in(&folder, &wrong);
    assert!(code == 2 && err.contains("expected 7 to 64 hexadecimal digits"), "{code} {err}");
}

proptest! {
    /// Whatever happens to the file, it never panics and never comes out as expected unless all that
    /// it says is still there.
    #[test]
    fn a_truncated_entry_is_never_as_expected(at in 0usize..ENTRY.len()) {
        let text = &ENTRY[..at];
        // What stands behind `reason` says where it came from and decides nothing.
        let whole = text.contains("before it\"");
        if let Ok(checked) = check::<Ticketing>("entry.toml", text) {
            prop_assert!(whole || !checked.status.is_expected(), "{text}");
        }
    }

    #[test]
    fn a_mangled_entry_never_panics(at in 0usize..ENTRY.len(), byte in any::<u8>(), other in 0usize..ENTRY.len()) {
        let mut bytes = ENTRY.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.swap(at, other);
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = check::<Ticketing>("entry.toml", &text);
        }
    }
}

#[test]
fn an_entry_that_holds_because_its_departure_ended_early_is_stale_and_not_held() {
    let entry = |allow: &str| {
        format!(
            r#"version = 1
about = "The second change is to come before the first."
design = "stage1"
schedule = ["hold ticket:updated t1@1 -> orders until ticket:updated t1@2 -> orders"]
{allow}
[broker]
profile = "stan"
[[client]]
name = "alice"
commands = [
    {{ create_ticket = {{ ticket = "t1", price = 5 }} }},
    {{ edit_ticket = {{ ticket = "t1", price = 10 }} }},
    {{ edit_ticket = {{ ticket = "t1", price = 15 }} }},
]
[entry]
expect = "held"
reason = "it holds on a broker that keeps the order of a subject"
trace = []
"#
        )
    };
    match status(&entry("")) {
        Status::Stale(why) => assert!(why.contains("is not done to its end any more"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(status(&entry("allow = [\"ended-early\"]")), Status::Held);
}
