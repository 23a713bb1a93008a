//! Scenarios whose services are processes.

#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "what is left out is said")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ran::pellmell;

/// A scenario with one process, for `sh`, in a folder for a test.
fn scenario(name: &str, service: &str, rest: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes");
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(format!("{name}.toml"));
    let text = format!(
        "version = 1\nsystem = \"processes\"\nabout = \"one\"\n\n[services.worker]\n{service}\n{rest}\n\
         [[client]]\nname = \"ann\"\n\
         commands = [{{ service = \"worker\", call = \"work\", record = \"i1\" }}]\n"
    );
    fs::write(&path, text).expect("a file");
    path
}

fn run(path: &Path) -> (i32, String, String) {
    let ran = pellmell(&["run", &path.to_string_lossy()]);
    (ran.code, ran.stdout, ran.stderr)
}

const WORKS: &str = r#"command = ["sh", "-c", '''read hello; echo '{"ready":{"protocol":1,"keeps":"own"}}'
while read line; do echo '{"saved":{"record":"i1","version":0,"value":{"price":1}}}'; echo '{"done":true}'; done''']"#;

/// A machine that has only Rust has no Node.
pub(super) fn has_node() -> bool {
    let has = Command::new("node").arg("--version").output().is_ok();
    if !has {
        println!("SKIPPED: `node` is not installed");
    }
    has
}

#[test]
fn a_process_is_a_service_of_a_scenario() {
    let path = scenario("works", &format!("{WORKS}\nowns = [\"i\"]"), "");
    let (code, stdout, stderr) = run(&path);
    // What stands for its state is none of its records.
    assert!(stdout.contains("ann: work i1 ✓ saves i1@0 ") && !stdout.contains("state"), "{stdout}");
    assert_eq!((code, stderr.as_str()), (0, ""));
}

#[test]
fn what_is_wrong_with_a_process_in_a_file_has_its_place() {
    let cases = [
        (
            "missing",
            "command = [\"no-such-program\"]",
            "",
            ["`no-such-program` does not start", "command = [\"no-such"],
        ),
        ("empty", "command = []", "", ["a command has at least a program", "command = [\"node\", \"orders.js\"]"]),
        (
            "rules",
            "listens = [\"item:changed\"]",
            "",
            ["`listens` says nothing of a service without a command", "^^^^"],
        ),
        ("kind", "command = [\"true\"]\nowns = [\"Item\"]", "", ["expected a character", "owns"]),
        ("capital", "command = [\"true\"]\nowns = [\"I\"]", "", ["a kind of records is a letter from a to y", "owns"]),
        ("subject", "command = [\"true\"]\nlistens = [\"a b\"]", "", ["this names no subject", "a b"]),
        ("ends", "command = [\"true\"]", "", ["worker: it ended (exit status: 0) and had not answered", "command"]),
        (
            "place",
            "command = [\"true\"]",
            "[messages.news]\nkind = \"i\"\nrecord = \"id\"\n",
            ["`id` is no place in a message", "JSON pointer into its body, such as \"/id\""],
        ),
        ("unknown", "command = [\"true\"]\ncomand = 1", "", ["unknown field `comand`", "comand"]),
        (
            "speaks",
            "command = [\"true\"]\nspeaks = \"natz\"",
            "",
            ["unknown variant `natz`, expected one of `lines`, `nats-streaming`, `nats`", "speaks"],
        ),
        (
            "calls-of-lines",
            "command = [\"true\"]\ncalls = { work = \"POST /work\" }",
            "",
            ["`calls` says nothing of a service that speaks lines of JSON", "has `speaks = \"nats\"`"],
        ),
        (
            "streams-of-lines",
            "command = [\"true\"]\nstreams = { ITEMS = [\"item.>\"] }",
            "",
            ["`streams` says nothing of a service that speaks lines of JSON", "^^^^^"],
        ),
        (
            "streams-of-streaming",
            "command = [\"true\"]\nspeaks = \"nats-streaming\"\nstreams = { ITEMS = [\"item.>\"] }",
            "",
            ["`streams` says nothing of a client of NATS Streaming", "has `speaks = \"nats\"`"],
        ),
        (
            "empty-stream",
            "command = [\"true\"]\nspeaks = \"nats\"\nstreams = { ITEMS = [] }",
            "",
            ["a stream has subjects", "ITEMS = [\"item.>\"]"],
        ),
        (
            "no-request",
            "command = [\"true\"]\nspeaks = \"nats-streaming\"\ncalls = { work = \"request work\" }",
            "",
            ["`request work` is no request", "such as \"POST /api/orders/{record}\""],
        ),
        (
            "no-request-of-nats",
            "command = [\"true\"]\nspeaks = \"nats\"\ncalls = { work = \"work\" }",
            "",
            ["`work` is no request", "or \"request SUBJECT\""],
        ),
        (
            "no-records",
            "command = [\"true\"]\nspeaks = \"nats-streaming\"\nrecords = \"records.json\"",
            "",
            ["`records.json` is no request", "\"file NAME\" for a file in PELLMELL_FOLDER"],
        ),
        (
            "records-of-nothing",
            "command = [\"true\"]\nspeaks = \"nats\"\nrecords = []",
            "",
            ["a command has at least a program", "write for example records = [\"sh\""],
        ),
        (
            "records-of-a-number",
            "command = [\"true\"]\nspeaks = \"nats\"\nrecords = 5",
            "",
            ["expected a request, `file NAME`, or a list with a program and its arguments", "records = 5"],
        ),
        (
            "no-client-of-nats",
            "command = [\"true\"]\nspeaks = \"nats\"\nlistens = [\"item.changed\"]",
            "",
            ["worker: it does not listen to `item.changed` at NATS_URL: it has nothing yet: it ended", "command"],
        ),
        (
            "no-client",
            "command = [\"true\"]\nspeaks = \"nats-streaming\"\nlistens = [\"item:changed\"]",
            "",
            ["worker: it has not subscribed to `item:changed` at NATS_URL: it ended", "command"],
        ),
    ];
    for (name, service, rest, expected) in cases {
        let (code, stdout, stderr) = run(&scenario(name, service, rest));
        assert_eq!((code, stdout.as_str()), (2, ""), "{name}: {stderr}");
        assert!(expected.iter().all(|text| stderr.contains(text)), "{name}: {stderr}");
    }
}

#[test]
fn the_system_of_a_file_is_that_of_its_command_line() {
    let path = scenario("design", &format!("{WORKS}\nowns = [\"i\"]"), "");
    let ran = pellmell(&["run", &path.to_string_lossy(), "--design", "course"]);
    assert!(ran.code == 2 && ran.stderr.contains("[possible values: usual]"), "{}", ran.stderr);
    let text = fs::read_to_string("scenarios/one-lost-ack.toml").expect("a scenario");
    let other = path.with_file_name("other.toml");
    fs::write(&other, text.replacen("version = 1\n", "version = 1\nsystem = \"shop\"\n", 1)).expect("a file");
    let (code, _, stderr) = run(&other);
    assert!(code == 2 && stderr.contains("unknown system `shop`"), "{stderr}");
}

#[test]
fn a_counterexample_of_processes_is_a_scenario_that_fails_as_it_does() {
    if !has_node() {
        return;
    }
    let small = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes-small.toml");
    let (lost, small) = ("lose ack of item:changed i1@0 -> search", small.to_string_lossy().into_owned());
    let file = "examples/processes/two-prices.toml";
    let _ = fs::remove_file(&small);
    let ran = pellmell(&["shrink", file, "--departure", lost, "--write", &small]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let text = fs::read_to_string(&small).expect("it was written");
    let places = ["system = \"processes\"", "[services.shop]", "[services.search]", "[messages.\"item:*\"]"];
    let places = places.map(|part| text.find(part).unwrap_or_else(|| panic!("no {part}: {text}")));
    assert!(places.is_sorted(), "{text}");
    let ran = pellmell(&["run", &small]);
    assert!(ran.code == 1 && ran.stdout.contains("VIOLATED VersionsNeverFall"), "{}", ran.stdout);
}

#[test]
fn a_command_of_several_lines_is_the_same_in_a_counterexample() {
    let saved = |version| format!(r#"echo '{{"saved":{{"record":"i1","version":{version},"value":1}}}}'"#);
    let command = format!(
        "command = [\"sh\", \"-c\", '''read hello; echo '{{\"ready\":{{\"protocol\":1,\"keeps\":\"own\"}}}}'\n\
         # what a comment is to a shell\n\n\
         [ -n \"$hello\" ] && while read line; do {}; {}; echo '{{\"done\":true}}'; done''']\n",
        saved(1),
        saved(0)
    );
    let service = format!("{command}# of items\nowns = [\"i\"] # and nothing else\n");
    let path = scenario("lines", &service, "# the broker\n[broker]\nprofile = \"stan\"\n\n# and who asks\n");
    let small = path.with_file_name("small-lines.toml");
    let _ = fs::remove_file(&small);
    let ran = pellmell(&["shrink", &path.to_string_lossy(), "--write", &small.to_string_lossy()]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let text = fs::read_to_string(&small).expect("it was written");
    let tables =
        format!("\n[services.worker]\n{command}owns = [\"i\"]\n\n[broker]\nprofile = \"stan\"\n\n[[client]]\n");
    assert!(text.contains(&tables), "{text}");
    assert_eq!(run(&small).0, 1);
}

#[test]
fn a_trace_of_processes_is_replayed_by_the_same_processes() {
    if !has_node() {
        return;
    }
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes.jsonl").to_string_lossy().into_owned();
    let ran = pellmell(&["run", "examples/processes/in-order.toml", "--seed", "3", "--trace", &trace]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = pellmell(&["replay", &trace]);
    assert!(ran.code == 0 && ran.stdout.contains("Same"), "{}{}", ran.stdout, ran.stderr);
}
