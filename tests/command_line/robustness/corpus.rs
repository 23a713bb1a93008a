//! Entries that are given twice, linked, renamed over or kept by two processes at a time.

use std::fs;
use std::os::unix::fs::symlink;

use super::folder::{Folder, Ran, failing};

const ENTRIES: [&str; 3] =
    ["g01-stale-cancel-frees-a-lock.toml", "g13-redelivered-creation.toml", "z9-create-overwrites-replica.toml"];

fn corpus(name: &str) -> Folder {
    let folder = Folder::new(name);
    for entry in ENTRIES {
        folder.copy(&format!("corpus/{entry}"), &format!("x/{entry}"));
    }
    folder
}

fn prune(folder: &Folder, args: &[&str]) -> Ran {
    folder.pellmell(["corpus", "prune", "--write"].iter().chain(args))
}

#[test]
fn an_entry_that_is_given_twice_counts_once_and_is_not_removed() {
    let folder = corpus("twice");
    let one = format!("x/{}", ENTRIES[2]);
    for args in [&["x", "x"][..], &["x", "./x/../x"], &["x", &one], &[&one, "x"]] {
        let ran = prune(&folder, args).ends(0);
        assert!(ran.stdout.contains("3 entries: 0 superfluous"), "{args:?}: {}", ran.stdout);
        assert_eq!(folder.names("x"), ENTRIES, "{args:?}");
        let ran = folder.pellmell(["corpus", "check"].iter().chain(args)).ends(0);
        assert!(ran.stdout.contains("3 entries: 3 as expected"), "{args:?}: {}", ran.stdout);
    }
    assert_eq!(folder.pellmell(["corpus", "list", "x", "x"]).ends(0).stdout.lines().count(), 3);
}

#[test]
fn a_second_name_of_an_entry_is_no_second_entry() {
    let folder = corpus("names");
    symlink(ENTRIES[2], folder.path("x/aaa.toml")).expect("a link");
    fs::hard_link(folder.path("x").join(ENTRIES[0]), folder.path("x/zzz.toml")).expect("a second name");
    let ran = prune(&folder, &["x"]).ends(0);
    assert!(ran.stdout.contains("3 entries: 0 superfluous"), "{}", ran.stdout);
    assert_eq!(folder.names("x").len(), 5);
    let ran = folder.pellmell(["corpus", "check", "x"]).ends(0);
    assert!(ran.stdout.contains("z9-create-overwrites-replica ") && !ran.stdout.contains("aaa"), "{}", ran.stdout);
    // A copy is another file, and superfluous.
    fs::copy(folder.path("x").join(ENTRIES[0]), folder.path("x/copy.toml")).expect("a copy");
    let ran = prune(&folder, &["x"]).ends(0);
    assert!(ran.stdout.contains("4 entries: 1 superfluous"), "{}", ran.stdout);
    folder.pellmell(["corpus", "check", "x"]).ends(0);
}

#[test]
fn what_is_no_file_in_a_folder_of_entries_is_skipped_and_a_lost_entry_is_not() {
    let folder = corpus("no_files");
    folder.bash("mkfifo x/pipe.toml && mkdir x/folder.toml").ends(0);
    let ran = folder.pellmell(["corpus", "check", "x"]).ends(0);
    assert!(ran.stdout.contains("3 entries: 3 as expected"), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("Skipped x/pipe.toml") && ran.stderr.contains("Skipped x/folder.toml"),
        "{}",
        ran.stderr
    );
    symlink("gone.toml", folder.path("x/lost.toml")).expect("a link");
    let ran = folder.pellmell(["corpus", "check", "x"]).ends(74);
    assert!(ran.stderr.contains("cannot read x/lost.toml"), "{}", ran.stderr);
}

#[test]
fn a_renewed_entry_that_is_a_link_stays_one() {
    let folder = corpus("renewed");
    fs::rename(folder.path("x").join(ENTRIES[1]), folder.path("real.toml")).expect("elsewhere");
    symlink("../real.toml", folder.path("x").join(ENTRIES[1])).expect("a link");
    // Without its steps it is renewed.
    let text = folder.read("real.toml");
    let begin = text.find("trace = [").expect("an entry with steps");
    let end = begin + text[begin..].find("\n]\n").expect("their end") + 3;
    folder.write("real.toml", format!("{}{}", &text[..begin], &text[end..]));
    folder.pellmell(["corpus", "renew", "x"]).ends(1);
    assert!(!folder.read("real.toml").contains("trace = ["), "it is only proposed");
    folder.pellmell(["corpus", "renew", "--write", "x"]).ends(0);
    assert!(folder.path("x").join(ENTRIES[1]).is_symlink());
    assert!(folder.read("real.toml").contains("trace = ["));
}

#[test]
fn two_processes_that_keep_an_entry_at_a_time_both_keep_it() {
    let folder = Folder::new("race_of_entries");
    folder.write("a.toml", failing());
    folder.copy("g05-cancel-of-a-paid-order-is-poison.toml", "b.toml");
    for round in 0..4 {
        let to = format!("kept{round}");
        fs::create_dir(folder.path(&to)).expect("a folder");
        let add = |file: &str| format!("pellmell corpus add {file} --reason why --to {to} --design course");
        let ran =
            folder.bash(&format!("{} & one=$!; {}; two=$?; wait $one && exit $two", add("a.toml"), add("b.toml")));
        let ran = ran.ends(0);
        assert_eq!(ran.stdout.matches("Kept").count(), 2, "{}", ran.stdout);
        assert_eq!(folder.names(&to), ["no-poison-2.toml", "no-poison.toml"]);
    }
}
