//! What helps to type: the examples of each verb, completions, manual pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::robustness::folder::{Folder, Ran};

/// All verbs with the words before them, in an order in which the examples of one write what those of another
/// read.
const VERBS: [&str; 20] = [
    "run",
    "sweep",
    "merge",
    "exhaust",
    "replay",
    "shrink",
    "explain",
    "export",
    "check",
    "corpus add",
    "corpus check",
    "corpus list",
    "corpus renew",
    "corpus prune",
    "corpus",
    "zoo",
    "admit",
    "profiles",
    "completions",
    "man",
];

/// Those examples that take longer than a test may, or write outside of the folder, with what is run instead.
const INSTEAD: [(&str, &str); 4] = [
    ("pellmell zoo", "pellmell zoo DoubleCharge --tries 1"),
    (
        "pellmell sweep scenarios/one-lost-ack.toml --for 10m --out results",
        "pellmell sweep scenarios/one-lost-ack.toml --for 1s --seeds 0..9 --out results",
    ),
    (
        "pellmell sweep scenarios/one-lost-ack.toml --seeds 0..1000",
        "pellmell sweep scenarios/one-lost-ack.toml --seeds 0..10",
    ),
    ("pellmell man /usr/local/share/man/man1", "pellmell man man2"),
];

fn help(folder: &Folder, verb: &str) -> String {
    folder.pellmell(verb.split_whitespace().chain(["--help"])).ends(0).stdout
}

/// The verbs that a help lists.
fn listed(help: &str) -> Vec<String> {
    let (_, commands) = help.split_once("\nCommands:\n").unwrap_or_default();
    let lines = commands.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("    "));
    let names = lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn the_help_of_each_verb_begins_with_two_examples_and_they_run() {
    let folder = Folder::new("help-examples");
    for file in ["one-lost-ack.toml", "corpus/z9-create-overwrites-replica.toml", "zoo/paid.toml"] {
        folder.copy(file, &format!("scenarios/{file}"));
    }
    let zoo = fs::read_dir("scenarios/zoo").expect("a folder").map(|entry| entry.expect("an entry").file_name());
    zoo.for_each(|file| {
        let file = Path::new("zoo").join(file);
        folder.copy(&file.to_string_lossy(), &format!("scenarios/{}", file.display()));
    });
    let kafka = fs::read("tests/recordings/kafka-documented-suffix-window-2.jsonl");
    folder.write("recording.jsonl", kafka.expect("a recording"));
    let known: BTreeSet<String> = VERBS.iter().map(|verb| (*verb).to_owned()).collect();
    let mut all: BTreeSet<String> = listed(&help(&folder, "")).into_iter().collect();
    all.extend(listed(&help(&folder, "corpus")).iter().map(|verb| format!("corpus {verb}")));
    assert_eq!(all, known, "the verbs of the command line, and those of this test");
    for verb in ["help"].iter().chain(&VERBS) {
        let help = if *verb == "help" { help(&folder, "") } else { help(&folder, verb) };
        let mut lines = help.lines();
        assert_eq!(lines.next(), Some("Examples:"), "{verb}: {help}");
        let examples: Vec<&str> = lines.take_while(|line| !line.is_empty()).map(str::trim).collect();
        assert_eq!(examples.len(), 2, "{verb}: {examples:?}");
        for example in examples {
            assert!(*verb == "help" || example.starts_with(&format!("pellmell {verb}")), "{verb}: {example}");
            let instead = INSTEAD.iter().find(|(known, _)| *known == example);
            let ran = folder.bash(instead.map_or(example, |(_, instead)| instead));
            let is_result = [0, 1, 4].contains(&ran.code) && !ran.stderr.contains("error");
            assert!(is_result, "{example}: {}\n{}{}", ran.code, ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn each_shell_gets_completions_and_bash_completes_verbs_flags_and_names() {
    let folder = Folder::new("help-completions");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.pellmell(["completions", shell]).ends(0).stdout;
        for name in ["corpus", "explain", "departure"] {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    let script = folder.pellmell(["completions", "bash"]).stdout;
    folder.write("pellmell.bash", script);
    let completed = |line: &str| -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let (word, before) = (words[words.len() - 1], words[words.len() - 2]);
        let complete = format!(
            "source pellmell.bash; COMP_WORDS=({line}); COMP_CWORD={}; _pellmell pellmell '{word}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        folder.bash(&complete).ends(0).stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(completed("pellmell expl"), ["explain"]);
    assert_eq!(completed("pellmell corpus re"), ["renew"]);
    assert_eq!(completed("pellmell run --dep"), ["--departure"]);
    assert_eq!(completed("pellmell run --design ref"), ["reference"]);
    assert_eq!(completed("pellmell sweep --scheduler pctcp-2"), ["pctcp-2"]);
}

#[test]
fn there_is_a_manual_page_of_each_verb() {
    let folder = Folder::new("help-man");
    let ran = folder.pellmell(["man", "man1"]).ends(0);
    assert_eq!(ran.stdout, format!("       Wrote {} pages to man1\n", VERBS.len() + 1));
    let mut expected: Vec<String> = VERBS.iter().map(|verb| format!("pellmell-{}.1", verb.replace(' ', "-"))).collect();
    expected.push("pellmell.1".to_owned());
    expected.sort();
    assert_eq!(folder.names("man1"), expected);
    for name in expected {
        let page = folder.read(Path::new("man1").join(&name));
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        assert_eq!(sections[..4], ["NAME", "SYNOPSIS", "EXAMPLES", "DESCRIPTION"], "{name}");
        let examples = page.split(".SH EXAMPLES\n.nf\n").nth(1).and_then(|rest| rest.split("\n.fi\n").next());
        let examples: Vec<&str> = examples.unwrap_or_default().lines().collect();
        assert!(
            examples.len() == 2 && examples.iter().all(|line| line.starts_with("pellmell ")),
            "{name}: {examples:?}"
        );
    }
    let run = folder.read("man1/pellmell-run.1");
    assert!(
        run.contains("pellmell\\-run \\- Runs a scenario once") || run.contains("run \\- Runs a scenario once"),
        "{run}"
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = Folder::new("help-no-folder");
    folder.write("file", "");
    let ran: Ran = folder.pellmell(["man", "file"]).ends(74);
    assert!(ran.stderr.contains("= help: name another folder"), "{}", ran.stderr);
}
