//! The output that README.md shows is what the commands print.
//!
//! A line `...` stands for any lines. After a change that is meant, `PELLMELL_BLESS=1 cargo test
//! --test command_line readme` writes what is printed now.

use std::process::Command;

const COMMANDS: [&str; 2] = ["$ cargo run -- ", "$ cargo run --release -- "];

#[test]
fn the_readme_shows_what_is_printed() {
    let readme = std::fs::read_to_string("README.md").expect("a README");
    let mut wanted = String::new();
    let mut blocks = readme.split("```console\n");
    wanted += blocks.next().unwrap_or_default();
    for block in blocks {
        let (shown, rest) = block.split_once("```").expect("a block ends");
        wanted += &format!("```console\n{}```{rest}", printed(shown));
    }
    if std::env::var_os("PELLMELL_BLESS").is_some() {
        std::fs::write("README.md", &wanted).expect("a README that can be written");
    } else {
        assert!(wanted == readme, "expected README.md to show what is printed; it would be:\n{wanted}");
    }
}

/// A block as it should be: its command and what that prints.
fn printed(shown: &str) -> String {
    let Some((command, output)) = shown.split_once('\n') else { return shown.to_owned() };
    let flags = COMMANDS.iter().find_map(|before| command.strip_prefix(before));
    let Some(flags) = flags.filter(|_| !output.is_empty()) else { return shown.to_owned() };
    let ran = Command::new(env!("CARGO_BIN_EXE_pellmell")).args(flags.split(' ')).output().expect("pellmell runs");
    let text = String::from_utf8(ran.stdout).expect("pellmell prints text");
    match output.strip_prefix("...\n") {
        None => format!("{command}\n{text}"),
        Some(end) => {
            let all: Vec<&str> = text.lines().collect();
            let kept = all.len().saturating_sub(end.lines().count());
            format!("{command}\n...\n{}\n", all[kept..].join("\n"))
        }
    }
}
