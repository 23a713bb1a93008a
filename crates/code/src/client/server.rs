//! One process with all that it is connected to: what it says, and when it has nothing more to say.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::http::Exchange;
use super::spoken::{Heard, Spoken};
use crate::Failure;
use crate::child::{Spawned, now};
use crate::nats::Connection;
use crate::serving::Stream;

/// The most messages, timers and acks that a process may say before it is quiet.
const SAID_MAX: usize = 100_000;

/// Why there is nothing more to hear.
pub(super) enum Stop {
    /// The process is not there any more.
    Ended,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}

/// A process with all connections to it.
pub(super) struct Server {
    pub(super) spawned: Spawned,
    pub(super) spoken: Box<dyn Spoken>,
    controls: TcpListener,
    /// What was loaded into Node before the service, if it is that.
    loaded: Vec<Loaded>,
    /// Whether it ever was connected.
    has_connected: bool,
    pub(super) exchange: Option<Exchange>,
    pub(super) heard: Vec<Heard>,
    wrong: Option<String>,
    rounds: u64,
    #[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
    until: Instant,
    within: Duration,
}

struct Loaded {
    stream: Stream,
    /// The last round in which it was idle, and how many connections it had then.
    idle: u64,
    sockets: usize,
}

/// A line of what is loaded into Node.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Idle { idle: u64, sockets: usize },
    Arm { arm: Arm },
    Clear { clear: u32 },
    Unsupported { unsupported: String },
}

#[derive(Deserialize)]
struct Arm {
    id: u32,
    after_ms: u64,
}

/// To wait until something can be read, or written if there is something to be written.
fn polled(stream: &Stream) -> PollFd<'_> {
    let flags = if stream.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
    PollFd::from_borrowed_fd(stream.socket.as_fd(), flags)
}

/// A listener on loopback, which does not wait.
pub(super) fn listen() -> Result<TcpListener, Failure> {
    let open = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true).map(|()| listener)
    };
    open().map_err(|error: io::Error| Failure::new(format!("nobody can listen on loopback: {error}")))
}

/// The port of a listener.
pub(super) fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |address| address.port())
}

impl Server {
    pub(super) fn new(spawned: Spawned, controls: TcpListener, spoken: Box<dyn Spoken>, within: Duration) -> Server {
        let (loaded, heard, exchange, wrong, rounds) = (Vec::new(), Vec::new(), None, None, 0);
        let (has_connected, until) = (false, now() + within);
        Server { spawned, spoken, controls, loaded, has_connected, exchange, heard, wrong, rounds, until, within }
    }

    /// The process is another one, which has said nothing so far.
    pub(super) fn renew(&mut self, spawned: Spawned, controls: TcpListener) {
        (self.spawned, self.controls, self.loaded) = (spawned, controls, Vec::new());
        (self.exchange, self.heard, self.wrong, self.rounds) = (None, Vec::new(), None, 0);
        self.has_connected = false;
        self.begin();
    }

    /// From now on it has its time.
    pub(super) fn begin(&mut self) {
        self.until = now() + self.within;
    }

    pub(super) fn has_loaded(&self) -> bool {
        !self.loaded.is_empty()
    }

    /// Hears what it says until it has nothing more to say: until it is idle, or, where that cannot be seen, until what
    /// it was told is done, or it was quiet for some time. Says whether it is done.
    ///
    /// # Errors
    /// If it ended, or goes on and on.
    pub(super) fn settle(&mut self, told: &str, quiet: Duration, done: impl Fn(&Server) -> bool) -> Result<bool, Stop> {
        loop {
            let heard = self.heard.len();
            if self.loaded.is_empty() {
                self.wait_while(quiet, |server| !done(server))?;
            }
            self.round(told)?;
            let (is_done, has_said) = (done(self), self.spoken.has_said());
            let open = self.spoken.connections().len() + usize::from(self.exchange.is_some());
            let may_wait = self.loaded.iter().map(|loaded| loaded.sockets).sum::<usize>() > open;
            if !is_done && (self.loaded.is_empty() || may_wait) && self.wait_while(quiet, |server| !done(server))? {
                continue;
            }
            if is_done == done(self)
                && !has_said
                && self.heard.len() == heard
                && self.exchange.as_ref().is_none_or(Exchange::is_over)
            {
                // Who has let go of all connections is about to end, which takes a moment.
                let is_gone = self.has_connected && self.spoken.connections().is_empty() && self.loaded.is_empty();
                if is_gone && self.spawned.ended().is_some() {
                    return Err(Stop::Ended);
                }
                return Ok(is_done);
            }
            if self.heard.len() > SAID_MAX {
                return Err(self.fail(&format!("it said more than {SAID_MAX} things before it was quiet")));
            }
        }
    }

    /// Tells what is loaded into Node something, such as the time, and hears all that the process says until its
    /// clients have answered a ping, and it is idle.
    ///
    /// # Errors
    /// If it ended, or does not come to that in time.
    pub(super) fn round(&mut self, told: &str) -> Result<(), Stop> {
        // What was written before is read before the ping is answered.
        self.spoken.has_said();
        self.rounds += 1;
        let nth = self.rounds;
        let connections = self.spoken.connections_mut().iter_mut();
        connections.filter(|connection| connection.is_open).for_each(Connection::ping);
        for loaded in &mut self.loaded {
            loaded.stream.output.extend_from_slice(format!("{{\"nth\":{nth}{told}}}\n").as_bytes());
        }
        let is_answered = |server: &Server| {
            let answers = server.spoken.connections().iter().all(|connection| !connection.awaits_pong);
            answers && server.loaded.iter().all(|loaded| loaded.idle >= nth)
        };
        while !is_answered(self) {
            self.turn(None)?;
        }
        // What it said before it said so may be on another connection.
        while self.turn(Some(Duration::ZERO))? {}
        Ok(())
    }

    /// Hears what it says while something is so, until it was quiet for some time; says whether it said anything.
    fn wait_while(&mut self, quiet: Duration, is_so: impl Fn(&Server) -> bool) -> Result<bool, Stop> {
        let mut has_any = false;
        while is_so(self) && self.turn(Some(quiet))? {
            has_any = true;
        }
        Ok(has_any)
    }

    /// Waits, at most so long, until something is said, and hears it. Says whether there was anything.
    ///
    /// # Errors
    /// If it ended, what it says is not understood, or its time is over.
    pub(super) fn turn(&mut self, at_most: Option<Duration>) -> Result<bool, Stop> {
        let left = self.until.saturating_duration_since(now());
        if left.is_zero() {
            let waited = format!("it is not quiet after {} ms", self.within.as_millis());
            return Err(self.fail(&waited));
        }
        let streams = self.spoken.connections_mut().iter_mut().map(|connection| &mut connection.stream);
        let streams = streams.chain(self.loaded.iter_mut().map(|loaded| &mut loaded.stream));
        streams.chain(self.exchange.iter_mut().map(|exchange| &mut exchange.stream)).for_each(Stream::write);
        let wait = at_most.map_or(left, |at_most| at_most.min(left));
        // A process that ended without a connection is seen when somebody looks.
        let wait = wait.min(Duration::from_millis(50));
        let wait_for = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        {
            let mut all: Vec<PollFd<'_>> = [self.spoken.listener(), &self.controls].map(|l| listens(l.as_fd())).into();
            let exchange = self.exchange.iter().filter(|exchange| !exchange.is_over());
            let streams = self.spoken.connections().iter().map(|connection| &connection.stream);
            let streams = streams.chain(self.loaded.iter().map(|loaded| &loaded.stream));
            all.extend(streams.chain(exchange.map(|exchange| &exchange.stream)).map(polled));
            all.extend(self.spawned.polled());
            match poll(&mut all, Some(&wait_for)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Failure::new(format!("nobody can wait for it: {error}")).into()),
            }
        }
        let has_any = self.go_on();
        if let Some(wrong) = self.wrong.take() {
            return Err(self.fail(&wrong));
        }
        if !has_any && self.spawned.is_over() {
            // It may have said something last.
            return if self.go_on() { Ok(true) } else { Err(Stop::Ended) };
        }
        let was_short = at_most.is_none_or(|at_most| wait < at_most) && !has_any;
        match at_most {
            Some(at_most) if was_short => self.turn(Some(at_most.saturating_sub(wait))),
            _ => Ok(has_any),
        }
    }

    /// What is wrong with it, and the last lines that it wrote.
    pub(super) fn fail(&mut self, what: &str) -> Stop {
        Stop::Failed(self.spawned.wrong(Failure::new(what)))
    }

    /// Does what can be done at once; says whether there was anything.
    fn go_on(&mut self) -> bool {
        self.spawned.read();
        let mut has_any = false;
        while let Ok((socket, _)) = self.controls.accept() {
            has_any = true;
            let loaded = Stream::new(socket).map(|stream| Loaded { stream, idle: 0, sockets: 0 });
            self.loaded.extend(loaded.ok());
        }
        let streams = self.loaded.iter_mut().map(|loaded| &mut loaded.stream);
        let streams = streams.chain(self.exchange.iter_mut().map(|exchange| &mut exchange.stream));
        for stream in streams.filter(|stream| !stream.is_closed) {
            has_any |= stream.read() || stream.is_closed;
        }
        match self.spoken.go_on(&mut self.heard) {
            Ok(has_heard) => has_any |= has_heard,
            Err(wrong) => self.wrong = Some(wrong),
        }
        self.has_connected |= !self.spoken.connections().is_empty() || !self.loaded.is_empty();
        self.hear_loaded();
        self.loaded.retain(|loaded| !loaded.stream.is_closed);
        has_any
    }

    fn hear_loaded(&mut self) {
        for loaded in &mut self.loaded {
            while let Some(end) = loaded.stream.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = loaded.stream.input.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(Line::Idle { idle, sockets }) => (loaded.idle, loaded.sockets) = (idle, sockets),
                    Ok(Line::Arm { arm: Arm { id, after_ms } }) => {
                        self.heard.push(Heard::Armed { id, after: Duration::from_millis(after_ms) });
                    }
                    Ok(Line::Clear { clear }) => self.heard.push(Heard::CalledOff { id: clear }),
                    Ok(Line::Unsupported { unsupported }) => self.wrong = Some(format!("it uses {unsupported}")),
                    Err(_) => self.wrong = Some("something spoke to the port that is for pellmell alone".to_owned()),
                }
            }
        }
    }
}

fn listens(listener: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(listener, PollFlags::IN)
}
