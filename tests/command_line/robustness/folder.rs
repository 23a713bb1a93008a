//! A folder of a test's own, and commands that run in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("robustness").join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
    }

    /// The names of what is in it, in order.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(below)).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Copies scenarios of the repository's, by name below `scenarios`.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        self.write(to, fs::read(Path::new("scenarios").join(from)).expect("a scenario"));
    }

    /// A program in this folder that finds `pellmell` and has no variable of it or of an engine.
    pub(crate) fn command(&self, program: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_pellmell")).parent().expect("a folder").as_os_str().to_owned();
        let path = [binary.as_os_str(), std::env::var_os("PATH").unwrap_or_default().as_os_str()].join(OsStr::new(":"));
        let mut command = Command::new(program);
        command.current_dir(&self.0).env_clear().env("PATH", path);
        command
    }

    pub(crate) fn pellmell<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        // Lines so wide that none is broken: `terminal.rs` shows how they are.
        Ran::of(self.command("pellmell").args(args).env("COLUMNS", "400").output().expect("the binary runs"))
    }

    /// What waits for ever ends as 124 after five minutes, with all that it began.
    pub(crate) fn bash(&self, line: &str) -> Ran {
        Ran::of(self.command("timeout").args(["300", "bash", "-c", line]).output().expect("bash runs"))
    }
}

/// How a command ended and what it printed.
pub(crate) struct Ran {
    /// As a shell says it: 128 and the signal that ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        let Output { status, stdout, stderr } = output;
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let text = |bytes| String::from_utf8(bytes).expect("the output is text");
        Ran { code, stdout: text(stdout), stderr: text(stderr) }
    }

    /// What stands behind a status word, with the lines that a backslash joins to the first.
    pub(crate) fn told(&self, word: &str) -> String {
        let lines = self.stdout.lines().chain(self.stderr.lines());
        let mut lines = lines.skip_while(|line| !line.trim_start().starts_with(&format!("{word} ")));
        let none = || panic!("no {word} in\n{}\n{}", self.stdout, self.stderr);
        let first = lines.next().unwrap_or_else(none).trim_start();
        let mut told = first[word.len() + 1..].to_owned();
        while told.ends_with(" \\") {
            told += &format!("\n{}", lines.next().unwrap_or_default());
        }
        told
    }

    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// A scenario that fails: an ack is lost, and the second creation is refused for ever.
pub(crate) fn failing() -> String {
    fs::read_to_string("scenarios/one-lost-ack.toml").expect("a scenario")
}
