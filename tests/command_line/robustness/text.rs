//! What is printed: escaped for a terminal, quoted for a shell.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use pellmell::ticketing::Scenario;
use pellmell::{Departure, NamedStep};
use proptest::prelude::*;

use super::folder::{Folder, failing};

/// A name with what a terminal obeys and a name may have, in a text of TOML.
const NAME: &str = r"a\u202eb\u2066c\u200f";
/// All that a terminal obeys, in a text of TOML.
const HOSTILE: &str = r"a\u001b]0;pwned\u0007\u001b[2J\u009b1m\u202e\u2028\u0085\r\n        HELD every property";

/// Whether there is something that a terminal obeys beside line ends.
fn is_obeyed(text: &str) -> bool {
    text.chars().any(|c| c != '\n' && (c.is_control() || "\u{2028}\u{2029}\u{202e}\u{2066}".contains(c)))
}

/// A scenario whose client and whose description are hostile.
fn hostile() -> String {
    let text = failing().replace("\"alice\"", &format!("\"{NAME}\""));
    text.replace("The ack of one", HOSTILE)
}

#[test]
fn control_characters_of_names_and_texts_are_shown_escaped_and_forge_no_line() {
    let folder = Folder::new("escaped");
    folder.write("s.toml", hostile());
    for (verb, names_it) in [("run", true), ("shrink", true), ("explain", true), ("sweep", false), ("check", false)] {
        let ran = folder.pellmell([verb, "s.toml"]);
        let named = ran.stdout.contains("a\\u{202e}b\\u{2066}c\\u{200f}: create t1 at ");
        assert_eq!(named, names_it, "{verb}: {}{}", ran.stdout, ran.stderr);
        assert!(!is_obeyed(&ran.stdout) && !is_obeyed(&ran.stderr), "{verb}: {}\n{}", ran.stdout, ran.stderr);
        let forged = ran.stdout.lines().any(|line| line.trim_start().starts_with("HELD every property"));
        assert!(!forged, "{verb}: {}", ran.stdout);
    }
    let ran = folder.pellmell(["run", "s.toml"]);
    assert!(ran.stdout.contains("\\u{1b}]0;pwned\\u{7}\\u{1b}[2J\\u{9b}1m\\u{202e}\\u{2028}\\u{85}\\u{d}\\u{a}"));
    // The rows of the table are as wide as its head.
    let bars = |line: &str| line.chars().enumerate().filter(|(_, c)| *c == '│').map(|(at, _)| at).collect::<Vec<_>>();
    let mut rows = ran.stdout.lines().filter(|line| line.contains("saves t1@0")).map(bars);
    let head = ran.stdout.lines().find(|line| line.trim_start().starts_with("step ")).map(bars).expect("a head");
    assert!(rows.all(|row| row == head), "{}", ran.stdout);
}

#[test]
fn with_colours_there_is_nothing_but_colours() {
    let folder = Folder::new("colours");
    folder.write("s.toml", hostile());
    for verb in ["run", "explain"] {
        let ran = folder.command("pellmell").args([verb, "s.toml"]).env("CLICOLOR_FORCE", "1").output().expect("a run");
        let text = String::from_utf8(ran.stdout).expect("text");
        assert!(text.contains("\u{1b}["), "{text}");
        let mut rest = String::new();
        let mut parts = text.split("\u{1b}[");
        rest += parts.next().unwrap_or_default();
        for part in parts {
            let (colour, after) = part.split_once('m').expect("a colour");
            assert!(colour.chars().all(|c| c.is_ascii_digit() || c == ';'), "{verb}: {colour:?}");
            rest += after;
        }
        assert!(!is_obeyed(&rest), "{verb}: {rest}");
    }
}

#[test]
fn errors_show_what_is_wrong_escaped_with_the_caret_below_it() {
    let folder = Folder::new("errors");
    folder.write("e\u{1b}[2J.toml", failing().replace("\"course\"", r#""\u001b[2J\u0007""#));
    let ran = folder.pellmell(["check", "e\u{1b}[2J.toml"]).ends(2);
    assert!(!is_obeyed(&ran.stderr), "{}", ran.stderr);
    assert!(ran.stderr.contains("unknown design `\\u{1b}[2J\\u{7}`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--> e\\u{1b}[2J.toml:3:10"), "{}", ran.stderr);
    // A raw one in a comment is quoted with the line that it stands in.
    folder.write("raw.toml", "version = 1\nabout = \u{9b}x\u{202e} 1\n");
    let ran = folder.pellmell(["check", "raw.toml"]).ends(2);
    assert!(!is_obeyed(&ran.stderr) && ran.stderr.contains("about = \\u{9b}x\\u{202e} 1"), "{}", ran.stderr);
    // The shell gave it as a flag or as a file.
    for args in [&["run", "x", "--design", "\u{1b}[2J"][..], &["run", "x\n\u{1b}.toml"], &["merge", "\u{9b}"]] {
        let ran = folder.pellmell(args);
        assert!(!is_obeyed(&ran.stderr) && ran.stderr.contains("\\u{"), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn json_says_what_the_file_says() {
    let folder = Folder::new("json");
    folder.write("a\u{202e}b.toml", failing());
    let ran = folder.pellmell(["--message-format", "json", "run", "a\u{202e}b.toml"]).ends(1);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).expect("an object");
    assert_eq!(said["scenario"], "a\u{202e}b");
}

#[test]
fn a_shrunk_scenario_that_is_printed_can_be_pasted() {
    let folder = Folder::new("pasted");
    folder.write("s.toml", hostile());
    let ran = folder.pellmell(["shrink", "s.toml"]).ends(0);
    let (_, pasted) = ran.stdout.split_once("────────────\n").expect("a scenario");
    folder.write("pasted.toml", pasted);
    folder.pellmell(["run", "pasted.toml"]).ends(1);
    let clients = |text: &str| Scenario::parse("x.toml", text).expect("a scenario").clients;
    assert_eq!(clients(pasted)[0].name, clients(&hostile())[0].name);
}

/// What a shell makes of a command that was printed: the words behind `pellmell`.
fn words(shell: &str, line: &str) -> Vec<Vec<u8>> {
    let script = format!("pellmell() {{ printf '%s\\0' \"$@\"; }}\n{line}");
    let output = Command::new(shell).args(["-c", &script]).current_dir(env!("CARGO_TARGET_TMPDIR")).output();
    let output = output.unwrap_or_else(|error| panic!("{shell}: {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let mut words: Vec<Vec<u8>> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.pop(), Some(Vec::new()));
    words
}

const NAMES: [&str; 12] = [
    "a b; touch pwned $(id).toml",
    "-x.toml",
    "--help",
    "*.toml",
    "~x.toml",
    "~",
    "it's \"so\".toml",
    "`id`\\.toml",
    "#x & y | z > w < v.toml",
    "!x{a,b}[c]?.toml",
    "=x.toml",
    "übung.toml",
];

#[test]
fn a_command_that_is_printed_comes_back_from_a_shell_as_it_was_meant() {
    let folder = Folder::new("quoted");
    for name in NAMES {
        folder.write(name, failing());
        let ran = folder.pellmell([OsStr::new("run"), OsStr::new("--"), OsStr::new(name)]).ends(1);
        let file = if name.starts_with('-') { format!("./{name}") } else { name.to_owned() };
        let expected = ["run", &file, "--design", "course", "--seed", "0"].map(|word| word.as_bytes().to_vec());
        for shell in ["sh", "bash"] {
            assert_eq!(words(shell, &ran.told("Reproduce")), expected, "{shell}: {name}");
        }
        // The command itself runs, too.
        let again = folder.bash(&ran.told("Reproduce")).ends(1);
        assert_eq!(again.told("Fingerprint"), ran.told("Fingerprint"), "{name}");
    }
    assert!(!folder.path("pwned").exists());
}

#[test]
fn file_names_with_line_ends_or_bytes_that_are_no_text_come_back_from_bash() {
    let folder = Folder::new("bytes");
    for name in [&b"two\nlines.toml"[..], b"tab\t'\x1b.toml", b"\xff8.toml", b"-\xe2\x80\xae.toml"] {
        let name = OsStr::from_bytes(name);
        folder.write(name, failing());
        let ran = folder.pellmell([OsStr::new("run"), OsStr::new("--"), name]).ends(1);
        let line = ran.told("Reproduce");
        assert!(!is_obeyed(&line), "{line}");
        let file = if name.as_bytes().starts_with(b"-") {
            [b"./", name.as_bytes()].concat()
        } else {
            name.as_bytes().to_vec()
        };
        assert_eq!(words("bash", &line)[1], file, "{line}");
        let again = folder.bash(&line).ends(1);
        assert_eq!(again.told("Fingerprint"), ran.told("Fingerprint"), "{line}");
    }
}

#[test]
fn departures_with_quotes_and_commands_in_names_come_back_from_a_shell() {
    for name in ["it's", "$(id)", "`id`", "a\"b", "x\\", "!!", "two words"] {
        let client = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
        let text = failing().replace("\"alice\"", &client);
        let mut scenario = Scenario::parse("s.toml", &text).expect("a scenario");
        let departure = format!("hold {name}: create t1 at 10 until quiescence");
        scenario.schedule = vec![departure.parse().expect("a departure")];
        let line = scenario.command("run", Path::new("s.toml"));
        let expected = ["run", "s.toml", "--design", "course", "--departure", &departure];
        assert_eq!(words("sh", &line), expected.map(|word| word.as_bytes().to_vec()), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn whatever_is_read_as_a_departure_or_a_step_reads_back_as_it_is_printed(
        verb in prop::sample::select(vec!["hold ", "pause ", "delay ack of ", "crash a after ack of ", ""]),
        words in prop::collection::vec(prop::sample::select(vec![
            " ", "until", " until ", ":", ": ", "a", "\u{c}", "\t", "\u{2028}", "/2", "#2", "@1", "t1", "->", " -> g",
            "pause of ", "ack of ", "ack wait of ", "join of ", "timer t1 of ", "quiescence", "x:y t1@0 -> g",
            "a: b", ", ack lost", ", crash after ack",
        ]), 0..9),
    ) {
        let words = words.concat();
        let around = [format!("{verb}a: b until {words}"), format!("{verb}{words} until c: d")];
        for text in [format!("{verb}{words}")].iter().chain(&around) {
            if let Ok(departure) = text.parse::<Departure>() {
                prop_assert_eq!(departure.to_string().parse(), Ok(departure), "{:?}", text);
            }
            if let Ok(step) = text.parse::<NamedStep>() {
                prop_assert_eq!(step.to_string().parse(), Ok(step), "{:?}", text);
            }
        }
    }
}

#[test]
fn a_label_keeps_its_white_space_and_may_end_with_until() {
    let departure: Departure = "pause =: until\u{c} until ;: \0".parse().expect("a departure");
    assert_eq!(departure.to_string().parse(), Ok(departure));
}
