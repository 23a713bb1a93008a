//! What is written: where the name leads, whole or not at all, and never over what is read.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};

use super::folder::{Folder, failing};

/// A folder with the failing scenario in it.
fn with_scenario(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("s.toml", failing());
    folder
}

fn is_trace(text: &str) -> bool {
    text.starts_with("{\"format\":") && text.lines().count() > 4 && text.ends_with('\n')
}

#[test]
fn a_trace_goes_through_a_pipe_and_the_pipe_stays_one() {
    let folder = with_scenario("pipe");
    let ran =
        folder.bash("mkfifo p && (cat p > read & pellmell run s.toml --trace p; code=$?; wait; exit $code)").ends(1);
    assert!(is_trace(&folder.read("read")), "{}", ran.stderr);
    assert!(fs::metadata(folder.path("p")).expect("the pipe").file_type().is_fifo());
    folder.bash("pellmell run s.toml --trace >(cat > substituted) && exit 9; sleep 0.2").ends(0);
    assert!(is_trace(&folder.read("substituted")));
}

#[test]
fn a_trace_to_stdout_stands_before_the_result_and_loses_nothing_of_it() {
    let folder = with_scenario("stdout");
    for name in ["/dev/fd/1", "/dev/stdout", "/proc/self/fd/1"] {
        for line in [
            format!("pellmell run s.toml --trace {name} > out"),
            format!("pellmell run s.toml --trace {name} | cat > out"),
        ] {
            folder.bash(&line);
            let out = folder.read("out");
            assert!(out.starts_with("{\"format\":") && out.contains("Reproduce pellmell run"), "{line}: {out}");
        }
    }
    folder.bash("pellmell run s.toml --trace /dev/fd/5 5> five").ends(1);
    assert!(is_trace(&folder.read("five")));
    let ran = folder.bash("pellmell run s.toml --trace /dev/stderr > out").ends(1);
    assert!(is_trace(&ran.stderr), "{}", ran.stderr);
}

#[test]
fn a_device_stays_a_device() {
    let folder = with_scenario("device");
    if folder.bash("mknod null c 1 3 && echo > null").code != 0 {
        eprintln!("not tested: no device can be made here");
        return;
    }
    for line in ["run s.toml --trace null", "shrink s.toml --write null"] {
        folder.bash(&format!("pellmell {line}"));
        assert!(fs::metadata(folder.path("null")).expect("the device").file_type().is_char_device(), "{line}");
    }
}

#[test]
fn a_link_stays_a_link_and_the_file_it_leads_to_is_written() {
    let folder = with_scenario("link");
    fs::create_dir(folder.path("elsewhere")).expect("a folder");
    folder.write("elsewhere/real.jsonl", "");
    symlink("elsewhere/real.jsonl", folder.path("link.jsonl")).expect("a link");
    symlink("link.jsonl", folder.path("second.jsonl")).expect("a link");
    symlink("elsewhere/new.jsonl", folder.path("nowhere.jsonl")).expect("a link");
    folder.pellmell(["run", "s.toml", "--trace", "second.jsonl"]).ends(1);
    folder.pellmell(["run", "s.toml", "--trace", "nowhere.jsonl"]).ends(1);
    assert!(folder.path("link.jsonl").is_symlink() && folder.path("second.jsonl").is_symlink());
    assert!(is_trace(&folder.read("elsewhere/real.jsonl")) && is_trace(&folder.read("elsewhere/new.jsonl")));
    assert_eq!(folder.names("elsewhere"), ["new.jsonl", "real.jsonl"]);
    symlink("circle", folder.path("circle")).expect("a link");
    let ran = folder.pellmell(["run", "s.toml", "--trace", "circle"]).ends(74);
    assert!(ran.stderr.contains("cannot write circle"), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode_and_what_was_there_stays_if_it_cannot_be() {
    let folder = with_scenario("mode");
    folder.write("t.jsonl", "");
    fs::set_permissions(folder.path("t.jsonl"), PermissionsExt::from_mode(0o600)).expect("a mode");
    folder.pellmell(["run", "s.toml", "--trace", "t.jsonl"]).ends(1);
    assert!(is_trace(&folder.read("t.jsonl")));
    assert_eq!(fs::metadata(folder.path("t.jsonl")).expect("a file").mode() & 0o777, 0o600);
    fs::create_dir(folder.path("d")).expect("a folder");
    let ran = folder.pellmell(["run", "s.toml", "--trace", "d"]).ends(74);
    assert!(ran.stderr.contains("cannot write d: "), "{}", ran.stderr);
    assert_eq!(folder.names(""), ["d", "s.toml", "t.jsonl"]);
}

#[test]
fn a_file_that_is_read_is_not_written() {
    let folder = with_scenario("input");
    symlink("s.toml", folder.path("link")).expect("a link");
    fs::hard_link(folder.path("s.toml"), folder.path("second")).expect("a second name");
    for output in ["s.toml", "./s.toml", "link", "second"] {
        for (verb, flag) in [("run", "--trace"), ("shrink", "--write")] {
            let ran = folder.pellmell([verb, "s.toml", flag, output]).ends(2);
            assert!(ran.stderr.contains("is the file that is read"), "{}", ran.stderr);
            assert_eq!(folder.read("s.toml"), failing());
        }
    }
}

#[test]
fn what_another_wrote_is_not_replaced_and_an_older_result_is() {
    let folder = with_scenario("others");
    folder.copy("one-lost-ack.toml", "mine.toml");
    folder.write("notes", "my notes\n");
    for (verb, flag, kept) in [("run", "--trace", "t.jsonl"), ("shrink", "--write", "small.toml")] {
        for output in ["mine.toml", "notes"] {
            let before = folder.read(output);
            let ran = folder.pellmell([verb, "s.toml", flag, output]).ends(2);
            assert!(ran.stderr.contains(&format!("{output} is there and is not a ")), "{}", ran.stderr);
            assert_eq!(folder.read(output), before);
        }
        let first = folder.pellmell([verb, "s.toml", flag, kept]).code;
        let written = folder.read(kept);
        folder.pellmell([verb, "s.toml", flag, kept]).ends(first);
        assert_eq!(folder.read(kept), written);
    }
}

#[test]
fn what_a_killed_process_left_is_taken_by_the_next_one() {
    let folder = with_scenario("left");
    folder.write("out/result.json.pellmell-tmp", "half of a res");
    folder.pellmell(["sweep", "s.toml", "--seeds", "0..3", "--out", "out"]).ends(1);
    assert_eq!(folder.names("out"), ["result.json"]);
    // A link in its place is not followed.
    folder.write("other", "not ours");
    symlink("../other", folder.path("out/result.json.pellmell-tmp")).expect("a link");
    folder.pellmell(["sweep", "s.toml", "--seeds", "0..3", "--out", "out"]).ends(74);
    assert_eq!(folder.read("other"), "not ours");
}

#[test]
fn processes_that_write_one_file_at_a_time_leave_it_whole() {
    let folder = with_scenario("race");
    folder.bash("for i in 1 2 3 4 5 6 7 8; do pellmell run s.toml --trace t.jsonl & done; wait").ends(0);
    assert_eq!(folder.names(""), ["s.toml", "t.jsonl"]);
    folder.pellmell(["replay", "t.jsonl"]).ends(1);
}

#[test]
fn a_file_that_may_not_become_larger_is_an_error_and_leaves_nothing() {
    let folder = with_scenario("full");
    let ran = folder.bash("ulimit -f 1; pellmell run s.toml --trace t.jsonl").ends(74);
    assert!(ran.stderr.contains("cannot write t.jsonl: "), "{}", ran.stderr);
    assert_eq!(folder.names(""), ["s.toml"]);
}

#[test]
fn merge_says_to_remove_only_what_begins_like_a_result_and_replaces_nothing_else() {
    let folder = with_scenario("merge");
    let ran = folder.pellmell(["merge", "s.toml"]).ends(2);
    assert!(!ran.stderr.contains("remove") && ran.stderr.contains("this file is something else"), "{}", ran.stderr);
    folder.pellmell(["sweep", "s.toml", "--seeds", "0..3", "--out", "out"]).ends(1);
    let whole = folder.read("out/result.json");
    folder.write("cut.json", &whole[..whole.len() / 2]);
    let ran = folder.pellmell(["merge", "cut.json"]).ends(2);
    assert!(ran.stderr.contains("help: remove the file"), "{}", ran.stderr);
    folder.write("notes/result.json", "my notes\n");
    let ran = folder.pellmell(["merge", "out/result.json", "--out", "notes"]).ends(2);
    assert!(ran.stderr.contains("notes/result.json") && !ran.stderr.contains("remove"), "{}", ran.stderr);
    assert_eq!(folder.read("notes/result.json"), "my notes\n");
    for args in [&["merge", "nope.json"][..], &["corpus", "add", "s.toml", "--reason", "x", "--to", "nope"]] {
        let ran = folder.pellmell(args).ends(74);
        assert!(ran.stderr.contains("nope") && !ran.stderr.contains("scenarios are in"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn merge_takes_the_folder_that_a_sweep_wrote() {
    let folder = with_scenario("merge_folder");
    let sweep = ["sweep", "s.toml", "--seeds", "0..9"];
    let whole = folder.pellmell(sweep.into_iter().chain(["--out", "one"])).ends(1);
    assert_eq!(folder.pellmell(["merge", "one"]).ends(1).stdout, whole.stdout);
    for shard in ["1/3", "2/3", "3/3"] {
        folder.pellmell(sweep.into_iter().chain(["--out", "three", "--shard", shard])).ends(1);
    }
    assert_eq!(folder.pellmell(["merge", "three", "--out", "three"]).ends(1).stdout, whole.stdout);
    // The whole that is there now is not merged with its shards.
    assert_eq!(folder.pellmell(["merge", "three"]).ends(1).stdout, whole.stdout);
    fs::create_dir(folder.path("empty")).expect("a folder");
    let ran = folder.pellmell(["merge", "empty"]).ends(2);
    assert!(ran.stderr.contains("there is no result in empty"), "{}", ran.stderr);
}
