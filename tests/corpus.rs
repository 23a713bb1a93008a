//! The kept cases come to what they should, and a case that cannot say so any more says that.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use pellmell::corpus::{Renames, Status, check};
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

/// Plays the entry of that name, which comes to what it expects.
fn plays(name: &str) {
    let path = format!("scenarios/corpus/{}.toml", name.replace('_', "-"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let checked = check(&path, &text).unwrap_or_else(|error| panic!("{error}"));
    assert!(checked.status.is_expected(), "{path}: {:?}", checked.status);
}

#[test]
fn every_entry_has_its_test_and_every_defect_its_entry() {
    let folder = std::fs::read_dir("scenarios/corpus").expect("the corpus");
    let name = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().replace('-', "_");
    let names: BTreeSet<String> = folder.map(|entry| name(entry.expect("readable").path())).collect();
    let tested: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(names, tested, "tests/corpus.rs lists what is in scenarios/corpus");
    for defect in pellmell::ticketing::Defect::ALL {
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
    check("entry.toml", text).unwrap_or_else(|error| panic!("{error}")).status
}

/// The entry with one part replaced.
fn with(part: &str, by: &str) -> String {
    assert!(ENTRY.contains(part), "{part}");
    ENTRY.replace(part, by)
}

#[test]
fn an_entry_that_violates_what_it_should_is_violated() {
    let checked = check("entry.toml", ENTRY).expect("an entry");
    assert_eq!((checked.status, checked.deliveries > 3), (Status::Violated, true));
    let entry = checked.entry.expect("an entry");
    assert_eq!((entry.seed, entry.tool.as_deref(), entry.commit), (Some(7), Some("0.1.0"), None));
}

#[test]
fn an_entry_that_holds_as_it_should_is_held_and_one_that_should_not_is_fixed() {
    let mended = with("defects = [\"LockOverwrite\"]\n", "");
    assert_eq!(status(&mended), Status::Fixed);
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
    let stale = |text: &str, part: &str| match status(text) {
        Status::Stale(why) => assert!(why.contains(part), "{why}"),
        other => panic!("{other:?}"),
    };
    stale(
        &with("order:cancelled o1@1", "order:canceled o1@1"),
        "unknown subject `order:canceled`; did you mean `order:cancelled`",
    );
    stale(&with("-> tickets until", "-> ticket until"), "unknown group `ticket`; did you mean `tickets`");
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
        let error = check("entry.toml", text).expect_err(text);
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
        (0, "Summary 1 entry: 1 as expected, 0 not, 0 stale, 0 damaged")
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
    assert!(matches!(status(&old), Status::Stale(_)));
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
        let ran = command.args(["--reason", "an old price"]).arg("--to").arg(&folder).output().expect("it runs");
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

proptest! {
    /// Whatever happens to the file, it never panics and never comes out as expected unless all that
    /// it says is still there.
    #[test]
    fn a_truncated_entry_is_never_as_expected(at in 0usize..ENTRY.len()) {
        let text = &ENTRY[..at];
        // What stands behind `reason` says where it came from and decides nothing.
        let whole = text.contains("before it\"");
        if let Ok(checked) = check("entry.toml", text) {
            prop_assert!(whole || !checked.status.is_expected(), "{text}");
        }
    }

    #[test]
    fn a_mangled_entry_never_panics(at in 0usize..ENTRY.len(), byte in any::<u8>(), other in 0usize..ENTRY.len()) {
        let mut bytes = ENTRY.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.swap(at, other);
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = check("entry.toml", &text);
        }
    }
}
