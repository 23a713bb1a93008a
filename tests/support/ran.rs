//! The binary as a user runs it.

use std::process::{Command, Output};

/// How a call ended and what it printed.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// With lines so wide that none is broken: `terminal.rs` shows how they are.
pub(crate) fn pellmell(args: &[&str]) -> Ran {
    ran(Command::new(env!("CARGO_BIN_EXE_pellmell")).args(args).env("COLUMNS", "400"))
}

/// Runs a command to its end.
pub(crate) fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("the output is text");
    Ran { code: status.code().expect("no signal ended it"), stdout: text(stdout), stderr: text(stderr) }
}
