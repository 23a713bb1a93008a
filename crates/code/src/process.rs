//! Code in a process of its own, which reads lines of JSON from its stdin and writes lines to its stdout.
//!
//! A process is the head of a process group, so that what it starts ends with it. Nothing here waits longer than a
//! limit of real time, which decides whether there is a result, and never which.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::Failure;
use crate::lines::{Next, PROTOCOL, Said, Told};
use crate::port::{Answer, Code, Input, Port, Running, State};

/// How long a process may take to be ready, and for each answer, unless said otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// The most bytes of a line.
const LINE_BYTES_MAX: usize = 4 << 20;

/// The most lines that it may write before it answers.
const LINES_MAX: u32 = 100_000;

/// How many of its last lines a failure shows.
const LAST_LINES: usize = 12;

/// Code in a process of its own.
///
/// The process reads its inputs from stdin, a line each, and writes what it does to stdout, as docs/processes.md says;
/// what it writes to stderr is shown if it fails. In its environment, `PELLMELL_FOLDER` is a folder where it may keep
/// its state: it is empty when an instance starts, survives a crash, and is removed with the instance.
///
/// ```no_run
/// use pellmell_code::{CodeService, Names, Naming, Process};
/// # use pellmell_code::{Call, Message};
/// # struct Shop;
/// # impl pellmell::System for Shop { type Event = Message; type Command = Call; }
///
/// let process = Process::new("node", ["search.js"]).in_folder("services");
/// let names = Names::new().on("item:changed", Naming::of('i').version_at("/version"));
/// let search: CodeService<Shop> = CodeService::new("search", process, names)?.listening(["item:changed"]);
/// # Ok::<(), pellmell_code::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Process {
    program: OsString,
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    within: Duration,
}

impl Process {
    /// A program with its arguments.
    #[must_use]
    pub fn new<A: Into<OsString>>(program: impl Into<OsString>, arguments: impl IntoIterator<Item = A>) -> Process {
        Process {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            folder: None,
            environment: Vec::new(),
            within: WITHIN,
        }
    }

    /// The same in another folder than the one this process is in.
    #[must_use]
    pub fn in_folder(self, folder: impl Into<PathBuf>) -> Process {
        Process { folder: Some(folder.into()), ..self }
    }

    /// The same with a variable of its environment.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Process {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same with another limit of real time for being ready and for each answer; 10 seconds unless said otherwise.
    #[must_use]
    pub fn answering_within(self, within: Duration) -> Process {
        Process { within, ..self }
    }

    /// The command line, to be shown.
    fn shown(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

impl Code for Process {
    fn start(&self, service: &str) -> Result<Box<dyn Running>, Failure> {
        let folder = StateFolder::make()?;
        let channel = Channel::open(self, &folder)?;
        let (service, state, resets) = (service.to_owned(), State::Own, false);
        let mut instance = Instance { process: self.clone(), service, folder, channel, state, resets };
        instance.greet(false)?;
        Ok(Box::new(instance))
    }
}

/// An instance of a process.
struct Instance {
    process: Process,
    service: String,
    channel: Channel,
    // Dropped after the process, which may be writing to it.
    folder: StateFolder,
    state: State,
    /// Whether it goes back to its beginning when it is told to.
    resets: bool,
}

impl Instance {
    /// Lets it say that it is ready.
    fn greet(&mut self, restarted: bool) -> Result<(), Failure> {
        self.channel.begin();
        self.channel.send(&Told::Hello { protocol: PROTOCOL, service: &self.service, restarted }.line());
        let Said::Ready(ready) = self.channel.hear()? else {
            return Err(self.channel.wrong("the first line that it wrote does not say that it is ready"));
        };
        if ready.protocol != PROTOCOL {
            let spoken = format!("it speaks version {} of the protocol, expected {PROTOCOL}", ready.protocol);
            return Err(self.channel.wrong(&spoken));
        }
        (self.state, self.resets) = (ready.keeps.into(), ready.resets);
        Ok(())
    }

    fn start_again(&mut self, restarted: bool) -> Result<(), Failure> {
        self.channel.end();
        if !restarted {
            self.folder.clear()?;
        }
        self.channel = Channel::open(&self.process, &self.folder)?;
        self.greet(restarted)
    }

    fn say(&mut self, told: &Told<'_>) -> Result<(), Failure> {
        self.channel.begin();
        self.channel.silent_so_far()?;
        self.channel.send(&told.line());
        Ok(())
    }

    fn ask(&mut self, told: &Told<'_>) -> Result<Said, Failure> {
        self.say(told)?;
        self.channel.hear()
    }
}

impl Running for Instance {
    fn state(&self) -> State {
        self.state
    }

    fn tell(&mut self, input: &Input<'_>, port: &mut dyn Port) -> Result<Answer, Failure> {
        self.say(&Told::input(input))?;
        for _ in 0..LINES_MAX {
            let said = self.channel.hear()?;
            match said.act(port).map_err(|failure| self.channel.and_last_lines(failure))? {
                Next::GoOn => {}
                Next::Reply(line) => self.channel.send(&line),
                Next::Answer(answer) => return Ok(answer),
            }
        }
        Err(self.channel.wrong(&format!("it wrote {LINES_MAX} lines and no answer")))
    }

    fn crash(&mut self) -> Result<(), Failure> {
        self.start_again(true)
    }

    fn reset(&mut self) -> Result<(), Failure> {
        if !self.resets {
            return self.start_again(false);
        }
        self.folder.clear()?;
        match self.ask(&Told::Reset(true))? {
            Said::Done(_) => Ok(()),
            _ => Err(self.channel.wrong("it was told to reset, and did not say `done`")),
        }
    }

    fn snapshot(&mut self) -> Result<Value, Failure> {
        match self.ask(&Told::Snapshot(true))? {
            Said::Snapshot(snapshot) => Ok(snapshot),
            _ => Err(self.channel.wrong("it was asked what it keeps, and did not say `snapshot`")),
        }
    }

    fn restore(&mut self, snapshot: &Value) -> Result<(), Failure> {
        match self.ask(&Told::Restore(snapshot))? {
            Said::Done(_) => Ok(()),
            _ => Err(self.channel.wrong("it was told what to keep, and did not say `done`")),
        }
    }
}

/// A folder that is there as long as an instance is.
struct StateFolder(PathBuf);

impl StateFolder {
    fn make() -> Result<StateFolder, Failure> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("pellmell-{}-{number}", std::process::id()));
        make(&folder).map(|()| StateFolder(folder))
    }

    /// Takes out what is in it.
    fn clear(&self) -> Result<(), Failure> {
        let is_empty = fs::read_dir(&self.0).is_ok_and(|mut entries| entries.next().is_none());
        if is_empty {
            return Ok(());
        }
        let _ = fs::remove_dir_all(&self.0);
        make(&self.0)
    }
}

fn make(folder: &PathBuf) -> Result<(), Failure> {
    let wrong = |error| Failure::new(format!("no folder for its state at {}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(wrong)
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process and the three pipes to it.
struct Channel {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    /// What is to be written to it.
    out: Vec<u8>,
    /// What it wrote and nobody has read, of which so many bytes have no line break.
    read: Vec<u8>,
    looked: usize,
    errors: Vec<u8>,
    last_lines: VecDeque<String>,
    within: Duration,
    #[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
    until: Instant,
}

impl Channel {
    fn open(process: &Process, folder: &StateFolder) -> Result<Channel, Failure> {
        let mut command = Command::new(&process.program);
        command.args(&process.arguments).envs(process.environment.iter().cloned());
        command.env("PELLMELL_FOLDER", &folder.0).process_group(0);
        if let Some(folder) = &process.folder {
            command.current_dir(folder);
        }
        let wrong = |error: io::Error| {
            let place = process.folder.as_ref().map_or(String::new(), |folder| format!(" in {}", folder.display()));
            let next = "is the program installed, and on the PATH?";
            Failure::new(format!("`{}` does not start{place}: {error}: {next}", process.shown()))
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(wrong)?;
        let (stdin, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let stderr = child.stderr.take();
        let (out, read, errors, last_lines) = (Vec::new(), Vec::new(), Vec::new(), VecDeque::new());
        let (within, until) = (process.within, now());
        let channel = Channel { child, stdin, stdout, stderr, out, read, looked: 0, errors, last_lines, within, until };
        // Who does not read must not hold up who writes.
        ioctl_fionbio(&channel.stdin, true).map_err(|error| wrong(error.into()))?;
        Ok(channel)
    }

    /// From now on it has its time for an answer.
    fn begin(&mut self) {
        self.until = now() + self.within;
    }

    fn send(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
    }

    /// Whether it wrote nothing since it answered.
    fn silent_so_far(&mut self) -> Result<(), Failure> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if self.read.is_empty() && !has_something(&self.stdout, &at_once) {
            return Ok(());
        }
        if self.read.is_empty() {
            self.read_lines()?;
        }
        let line: String =
            String::from_utf8_lossy(&self.read).lines().next().unwrap_or_default().chars().take(200).collect();
        let late =
            format!("after its answer it wrote `{line}`: something was under way that its handler did not wait for");
        Err(self.wrong(&late))
    }

    /// The next line, as what it says.
    fn hear(&mut self) -> Result<Said, Failure> {
        let line = self.next_line()?;
        Said::read(&line).map_err(|failure| self.and_last_lines(failure))
    }

    fn next_line(&mut self) -> Result<String, Failure> {
        loop {
            if let Some(place) = self.read[self.looked..].iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(self.looked + place + 1);
                let line = std::mem::replace(&mut self.read, rest);
                self.looked = 0;
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.looked = self.read.len();
            if self.looked > LINE_BYTES_MAX {
                return Err(self.wrong(&format!("it wrote a line of more than {LINE_BYTES_MAX} bytes")));
            }
            self.wait()?;
        }
    }

    /// Waits until something can be written or read, and does it.
    fn wait(&mut self) -> Result<(), Failure> {
        let left = self.until.saturating_duration_since(now());
        if left.is_zero() {
            let waited = format!("it did not answer within {} ms", self.within.as_millis());
            return Err(self.wrong(&waited));
        }
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let ready = {
            let mut polled = vec![PollFd::new(&self.stdout, PollFlags::IN)];
            polled.extend(self.stderr.as_ref().map(|stderr| PollFd::new(stderr, PollFlags::IN)));
            if !self.out.is_empty() {
                polled.push(PollFd::new(&self.stdin, PollFlags::OUT));
            }
            match poll(&mut polled, Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Failure::new(format!("nobody can wait for it: {error}"))),
            }
            let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
            let has_stderr = self.stderr.is_some();
            (is_ready(&polled[0]), has_stderr && is_ready(&polled[1]), polled.last().is_some_and(is_ready))
        };
        let (stdout, stderr, last) = ready;
        if stderr {
            self.read_errors();
        }
        if !self.out.is_empty() && last {
            match self.stdin.write(&self.out) {
                Ok(written) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // It reads no more: whether it ended is seen where it writes.
                Err(_) => self.out.clear(),
            }
        }
        if stdout { self.read_lines() } else { Ok(()) }
    }

    /// Reads what it wrote to stdout, as far as it can be read at once.
    fn read_lines(&mut self) -> Result<(), Failure> {
        let mut chunk = [0; 1 << 13];
        match self.stdout.read(&mut chunk) {
            Ok(0) => Err(self.ended()),
            Ok(read) => {
                self.read.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(self.wrong(&format!("nobody can read what it writes: {error}"))),
        }
    }

    /// Reads what it wrote to stderr, as far as it can be read at once.
    fn read_errors(&mut self) {
        let Some(stderr) = &mut self.stderr else { return };
        let mut chunk = [0; 1 << 14];
        match stderr.read(&mut chunk) {
            Ok(0) | Err(_) => self.stderr = None,
            Ok(read) => self.errors.extend_from_slice(&chunk[..read]),
        }
        while let Some(end) = self.errors.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.errors.drain(..=end).collect();
            self.note(&line);
        }
        if self.errors.len() > LINE_BYTES_MAX {
            self.errors.clear();
        }
    }

    fn note(&mut self, line: &[u8]) {
        let line: String = String::from_utf8_lossy(line).trim_end().chars().take(300).collect();
        if !line.is_empty() {
            self.last_lines.push_back(line);
            self.last_lines.drain(..self.last_lines.len().saturating_sub(LAST_LINES));
        }
    }

    /// What is wrong, and the last lines that it wrote. It is of no use any more.
    fn wrong(&mut self, what: &str) -> Failure {
        self.and_last_lines(Failure::new(what))
    }

    fn and_last_lines(&mut self, failure: Failure) -> Failure {
        self.read_what_is_there();
        let rest = std::mem::take(&mut self.errors);
        self.note(&rest);
        failure.with_last_lines(self.last_lines.iter().cloned().collect())
    }

    /// Reads what is left on stderr, without waiting for more.
    fn read_what_is_there(&mut self) {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        for _ in 0..64 {
            if !self.stderr.as_ref().is_some_and(|stderr| has_something(stderr, &at_once)) {
                return;
            }
            self.read_errors();
        }
    }

    /// It wrote its last line: how it ended.
    fn ended(&mut self) -> Failure {
        let until = now() + Duration::from_millis(500);
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if now() < until => {
                    let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
                }
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        match status {
            Some(status) => self.wrong(&format!("it ended ({status}) and had not answered")),
            None => self.wrong("it closed its stdout and had not answered"),
        }
    }

    /// Ends the process and all that it has started and not set apart.
    fn end(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether something can be read from a pipe, or it is at its end.
fn has_something(pipe: &impl AsFd, within: &Timespec) -> bool {
    poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(within)).is_ok_and(|ready| ready > 0)
}

#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
fn now() -> Instant {
    Instant::now()
}
