//! Code in a process of its own, which reads lines of JSON from its stdin and writes lines to its stdout.
//!
//! A process is the head of a process group, so that what it starts ends with it. Nothing here waits longer than a
//! limit of real time, which decides whether there is a result, and never which.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use serde_json::Value;

use crate::Failure;
use crate::child::{LINE_BYTES_MAX, Spawned, now};
use crate::lines::{Next, PROTOCOL, Said, Told};
use crate::port::{Answer, Code, Input, Port, Running, State};

/// How long a process may take to be ready, and for each answer, unless said otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// The most lines that it may write before it answers.
const LINES_MAX: u32 = 100_000;

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
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) within: Duration,
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
    pub(crate) fn shown(&self) -> String {
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
        self.channel.spawned.end();
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
            match said.act(port).map_err(|failure| self.channel.spawned.wrong(failure))? {
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
pub(crate) struct StateFolder(PathBuf);

impl StateFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn make() -> Result<StateFolder, Failure> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("pellmell-{}-{number}", std::process::id()));
        make(&folder).map(|()| StateFolder(folder))
    }

    /// Takes out what is in it.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
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

/// A process and the pipes to it.
struct Channel {
    spawned: Spawned,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// What is to be written to it.
    out: Vec<u8>,
    /// What it wrote and nobody has read, of which so many bytes have no line break.
    read: Vec<u8>,
    looked: usize,
    within: Duration,
    #[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
    until: Instant,
}

impl Channel {
    fn open(process: &Process, folder: &StateFolder) -> Result<Channel, Failure> {
        let mut spawned = Spawned::new(process, folder)?;
        let (stdin, stdout) = spawned.take_pipes();
        let (out, read, within, until) = (Vec::new(), Vec::new(), process.within, now());
        // Who does not read must not hold up who writes.
        ioctl_fionbio(&stdin, true).map_err(|error| Failure::new(format!("nobody can write to it: {error}")))?;
        Ok(Channel { spawned, stdin, stdout, out, read, looked: 0, within, until })
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
        Said::read(&line).map_err(|failure| self.spawned.wrong(failure))
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
        let (stdout, last) = {
            let mut polled = vec![PollFd::new(&self.stdout, PollFlags::IN)];
            polled.extend(self.spawned.polled());
            if !self.out.is_empty() {
                polled.push(PollFd::new(&self.stdin, PollFlags::OUT));
            }
            match poll(&mut polled, Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Failure::new(format!("nobody can wait for it: {error}"))),
            }
            let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
            (is_ready(&polled[0]), polled.last().is_some_and(is_ready))
        };
        self.spawned.read();
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

    /// What is wrong, and the last lines that it wrote. It is of no use any more.
    fn wrong(&mut self, what: &str) -> Failure {
        self.spawned.wrong(Failure::new(what))
    }

    /// It wrote its last line: how it ended.
    fn ended(&mut self) -> Failure {
        match self.spawned.ended() {
            Some(status) => self.wrong(&format!("it ended ({status}) and had not answered")),
            None => self.wrong("it closed its stdout and had not answered"),
        }
    }
}

/// Whether something can be read from a pipe, or it is at its end.
fn has_something(pipe: &impl AsFd, within: &Timespec) -> bool {
    poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(within)).is_ok_and(|ready| ready > 0)
}
