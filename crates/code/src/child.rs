//! A process that is the head of a process group, and the last lines that it wrote.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::Failure;
use crate::process::{Process, StateFolder};

/// The most bytes of a line.
pub(crate) const LINE_BYTES_MAX: usize = 4 << 20;

/// How many of its last lines a failure shows.
const LAST_LINES: usize = 12;

/// A process, and what it writes for people to read.
pub(crate) struct Spawned {
    child: Child,
    shown: Vec<Shown>,
    last_lines: VecDeque<String>,
}

/// A pipe with what it wrote to it that is no whole line yet.
struct Shown {
    pipe: Box<dyn Pipe>,
    begun: Vec<u8>,
}

trait Pipe: Read + AsFd + Send {}

impl<T: Read + AsFd + Send> Pipe for T {}

impl Spawned {
    /// Starts a process.
    pub(crate) fn new(process: &Process, folder: &StateFolder) -> Result<Spawned, Failure> {
        let mut command = Command::new(&process.program);
        command.args(&process.arguments).envs(process.environment.iter().cloned());
        command.env("PELLMELL_FOLDER", folder.path()).process_group(0);
        if let Some(folder) = &process.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let place = process.folder.as_ref().map_or(String::new(), |folder| format!(" in {}", folder.display()));
            let next = "is the program installed, and on the PATH?";
            Failure::new(format!("`{}` does not start{place}: {error}: {next}", process.shown()))
        })?;
        let stderr = child.stderr.take().expect("a pipe");
        let shown = vec![Shown { pipe: Box::new(stderr), begun: Vec::new() }];
        Ok(Spawned { child, shown, last_lines: VecDeque::new() })
    }

    /// The pipes through which it is spoken to, where lines are spoken.
    pub(crate) fn take_pipes(&mut self) -> (ChildStdin, ChildStdout) {
        (self.child.stdin.take().expect("a pipe"), self.child.stdout.take().expect("a pipe"))
    }

    /// Shows what it writes to stdout, too.
    pub(crate) fn show_stdout(&mut self) {
        self.shown.extend(self.child.stdout.take().map(|pipe| Shown { pipe: Box::new(pipe), begun: Vec::new() }));
    }

    /// To wait for what it writes to be shown.
    pub(crate) fn polled(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.shown.iter().map(|shown| PollFd::from_borrowed_fd(shown.pipe.as_fd(), PollFlags::IN))
    }

    /// Reads what it wrote to be shown, as far as it can be read at once.
    pub(crate) fn read(&mut self) {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        for _ in 0..64 {
            let mut has_read = false;
            let last_lines = &mut self.last_lines;
            self.shown.retain_mut(|shown| {
                let is_ready = poll(&mut [PollFd::from_borrowed_fd(shown.pipe.as_fd(), PollFlags::IN)], Some(&at_once));
                if !is_ready.is_ok_and(|ready| ready > 0) {
                    return true;
                }
                has_read = true;
                shown.read(last_lines)
            });
            if !has_read {
                return;
            }
        }
    }

    /// What is wrong, and the last lines that it wrote. It is of no use any more.
    pub(crate) fn wrong(&mut self, failure: Failure) -> Failure {
        self.read();
        for shown in &mut self.shown {
            let rest = std::mem::take(&mut shown.begun);
            note(&mut self.last_lines, &rest);
        }
        failure.with_last_lines(self.last_lines.iter().cloned().collect())
    }

    /// How it ended, if it has, or does within half a second.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let until = now() + Duration::from_millis(500);
        loop {
            match self.child.try_wait() {
                Ok(None) if now() < until => {
                    let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
                }
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }

    /// Whether it has ended by now.
    pub(crate) fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// The last line that it wrote to be shown, to be put behind what is said of it; nothing if there is none.
    pub(crate) fn last_line(&mut self) -> String {
        self.read();
        self.last_lines.back().map_or_else(String::new, |line| format!(": {line}"))
    }

    /// Ends the process and all that it has started and not set apart.
    pub(crate) fn end(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shown {
    /// Reads once, and says whether there may be more some time.
    fn read(&mut self, last_lines: &mut VecDeque<String>) -> bool {
        let mut chunk = [0; 1 << 14];
        match self.pipe.read(&mut chunk) {
            Ok(0) => return false,
            Ok(read) => self.begun.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            note(last_lines, &line);
        }
        if self.begun.len() > LINE_BYTES_MAX {
            self.begun.clear();
        }
        true
    }
}

fn note(last_lines: &mut VecDeque<String>, line: &[u8]) {
    let line: String = String::from_utf8_lossy(line).trim_end().chars().take(300).collect();
    if !line.is_empty() {
        last_lines.push_back(line);
        last_lines.drain(..last_lines.len().saturating_sub(LAST_LINES));
    }
}

#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
