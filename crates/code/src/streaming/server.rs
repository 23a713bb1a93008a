//! A server of NATS Streaming for one process: what it is connected to, what it says, and when it has nothing more to
//! say.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::fields::{Fields, Read as Message};
use super::http::Exchange;
use crate::Failure;
use crate::child::{Spawned, now};
use crate::nats::{self, Connection, Op, PAYLOAD_MAX, Published, Stream, Subscription};

/// The name of the cluster that it says it is.
pub(super) const CLUSTER: &str = "pellmell";

/// The most messages, timers and acks that a process may say before it is quiet.
const SAID_MAX: usize = 100_000;

/// What a process says that is more than to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Published {
        subject: String,
        data: Vec<u8>,
    },
    Acked {
        subscription: u64,
        sequence: u64,
    },
    /// A timer of a service in Node.
    Armed {
        id: u32,
        after: Duration,
    },
    CalledOff {
        id: u32,
    },
}

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
    clients: TcpListener,
    controls: TcpListener,
    connections: Vec<Connection>,
    connected: u64,
    /// What was loaded into Node before the service, if it is that.
    loaded: Vec<Loaded>,
    subscriptions: BTreeMap<u64, Durable>,
    subscribed: u64,
    pub(super) exchange: Option<Exchange>,
    pub(super) heard: Vec<Heard>,
    wrong: Option<String>,
    rounds: u64,
    #[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
    until: Instant,
    within: Duration,
}

/// A subscription of NATS Streaming.
struct Durable {
    /// The number of its connection.
    connection: u64,
    subject: String,
    inbox: String,
    durable: String,
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

/// Two listeners on loopback: for clients, and for what is loaded into Node.
pub(super) struct Listeners {
    clients: TcpListener,
    controls: TcpListener,
}

impl Listeners {
    pub(super) fn open() -> Result<Listeners, Failure> {
        let open = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true).map(|()| listener)
        };
        let wrong = |error: io::Error| Failure::new(format!("nobody can listen on loopback: {error}"));
        Ok(Listeners { clients: open().map_err(wrong)?, controls: open().map_err(wrong)? })
    }

    /// The ports.
    pub(super) fn ports(&self) -> (u16, u16) {
        let port = |listener: &TcpListener| listener.local_addr().map_or(0, |address| address.port());
        (port(&self.clients), port(&self.controls))
    }
}

impl Server {
    pub(super) fn new(spawned: Spawned, Listeners { clients, controls }: Listeners, within: Duration) -> Server {
        let (connections, loaded, subscriptions, heard) = (Vec::new(), Vec::new(), BTreeMap::new(), Vec::new());
        let (exchange, wrong, until) = (None, None, now() + within);
        let (subscribed, rounds, connected) = (0, 0, 0);
        Server {
            spawned,
            clients,
            controls,
            connections,
            connected,
            loaded,
            subscriptions,
            subscribed,
            exchange,
            heard,
            wrong,
            rounds,
            until,
            within,
        }
    }

    /// From now on it has its time.
    pub(super) fn begin(&mut self) {
        self.until = now() + self.within;
    }

    pub(super) fn has_loaded(&self) -> bool {
        !self.loaded.is_empty()
    }

    pub(super) fn has_subscribed(&self, subject: &str) -> bool {
        self.subscription(subject).is_some()
    }

    /// How often it has subscribed.
    pub(super) fn subscribed(&self) -> u64 {
        self.subscribed
    }

    pub(super) fn subscription(&self, subject: &str) -> Option<u64> {
        self.subscriptions.iter().find(|(_, known)| known.subject == subject).map(|(number, _)| *number)
    }

    /// Hands a message out.
    pub(super) fn hand_out(&mut self, subscription: u64, message: Fields) {
        let Some(Durable { connection, inbox, .. }) = self.subscriptions.get(&subscription) else { return };
        let (connection, inbox) = (*connection, inbox.clone());
        self.send(connection, inbox, message);
    }

    /// Hears what it says until it has nothing more to say: until it is idle, or, where that cannot be seen, until what
    /// it was told is done, or it was quiet for some time. Says whether it is done.
    ///
    /// # Errors
    /// If it ended, or goes on and on.
    pub(super) fn settle(&mut self, told: &str, quiet: Duration, done: impl Fn(&Server) -> bool) -> Result<bool, Stop> {
        let was_loaded = self.has_loaded();
        loop {
            let heard = self.heard.len();
            if self.loaded.is_empty() {
                self.wait_while(quiet, |server| !done(server))?;
            }
            self.round(told)?;
            let is_done = done(self);
            let open = self.connections.len() + usize::from(self.exchange.is_some());
            let may_wait = self.loaded.iter().map(|loaded| loaded.sockets).sum::<usize>() > open;
            if !is_done && (self.loaded.is_empty() || may_wait) && self.wait_while(quiet, |server| !done(server))? {
                continue;
            }
            // What was loaded into it goes first when it ends: it has no more to say, and is not only quiet.
            while was_loaded && self.loaded.is_empty() {
                self.turn(None)?;
            }
            if is_done == done(self)
                && self.heard.len() == heard
                && self.exchange.as_ref().is_none_or(Exchange::is_over)
            {
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
        self.rounds += 1;
        let nth = self.rounds;
        self.connections.iter_mut().for_each(Connection::ping);
        for loaded in &mut self.loaded {
            loaded.stream.output.extend_from_slice(format!("{{\"nth\":{nth}{told}}}\n").as_bytes());
        }
        let is_answered = |server: &Server| {
            let answers = server.connections.iter().all(|connection| !connection.awaits_pong);
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
        self.streams().for_each(Stream::write);
        let wait = at_most.map_or(left, |at_most| at_most.min(left));
        // A process that ended without a connection is seen when somebody looks.
        let wait = wait.min(Duration::from_millis(50));
        let wait_for = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        {
            let mut all: Vec<PollFd<'_>> = [&self.clients, &self.controls].map(|l| listens(l.as_fd())).into();
            let exchange = self.exchange.iter().filter(|exchange| !exchange.is_over());
            let streams = self.connections.iter().map(|connection| &connection.stream);
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

    /// All that is to be written and read.
    fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        let streams = self.connections.iter_mut().map(|connection| &mut connection.stream);
        let streams = streams.chain(self.loaded.iter_mut().map(|loaded| &mut loaded.stream));
        streams.chain(self.exchange.iter_mut().map(|exchange| &mut exchange.stream))
    }

    /// Does what can be done at once; says whether there was anything.
    fn go_on(&mut self) -> bool {
        self.spawned.read();
        let mut has_any = false;
        while let Ok((socket, _)) = self.clients.accept() {
            has_any = true;
            let Ok(mut stream) = Stream::new(socket) else { continue };
            let info = format!(
                "INFO {{\"server_id\":\"{CLUSTER}\",\"version\":\"2.9.10\",\"proto\":1,\"host\":\"127.0.0.1\",\
                 \"max_payload\":{PAYLOAD_MAX},\"headers\":false}}\r\n"
            );
            stream.output.extend_from_slice(info.as_bytes());
            self.connected += 1;
            self.connections.push(Connection::new(self.connected, stream));
        }
        while let Ok((socket, _)) = self.controls.accept() {
            has_any = true;
            let loaded = Stream::new(socket).map(|stream| Loaded { stream, idle: 0, sockets: 0 });
            self.loaded.extend(loaded.ok());
        }
        for stream in self.streams().filter(|stream| !stream.is_closed) {
            has_any |= stream.read() || stream.is_closed;
        }
        for place in 0..self.connections.len() {
            let mut input = std::mem::take(&mut self.connections[place].stream.input);
            let mut done = 0;
            loop {
                match nats::read(&input[done..]) {
                    Ok(Some((op, taken))) => {
                        done += taken;
                        self.hear(place, op);
                    }
                    Ok(None) => break,
                    Err(said) => {
                        self.wrong = Some(not_understood(&said));
                        break;
                    }
                }
            }
            input.drain(..done);
            self.connections[place].stream.input = input;
        }
        self.hear_loaded();
        self.loaded.retain(|loaded| !loaded.stream.is_closed);
        self.connections.retain(|connection| !connection.stream.is_closed);
        let connections = &self.connections;
        self.subscriptions.retain(|_, durable| connections.iter().any(|there| there.number == durable.connection));
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

    fn hear(&mut self, place: usize, op: Op) {
        let connection = &mut self.connections[place];
        match op {
            Op::Connect => connection.is_open = true,
            Op::Ping => connection.stream.output.extend_from_slice(b"PONG\r\n"),
            Op::Pong => connection.awaits_pong = false,
            Op::Sub { subject, queue, sid } => {
                connection.subscriptions.insert(sid, Subscription { subject, queue, left: None });
            }
            Op::Unsub { sid, after } => connection.unsubscribe(sid, after),
            Op::Pub(Published { headers, subject, .. }) if !headers.is_empty() => {
                self.wrong = Some(not_understood(&format!("`HPUB {subject}`")));
            }
            Op::Pub(message) => {
                let number = connection.number;
                if let Err(wrong) = self.published(number, message) {
                    self.wrong = Some(wrong);
                }
            }
        }
    }

    /// What NATS Streaming does with a message to the server.
    fn published(&mut self, connection: u64, message: Published) -> Result<(), String> {
        let Published { subject: to, reply, payload, .. } = message;
        let message =
            || Message::of(&payload).ok_or_else(|| format!("it sent `{to}` what is no message of NATS Streaming"));
        let answer = match to.split_once('.').unwrap_or((&to, "")) {
            ("_STAN", "discover.pellmell") => {
                let names = [(1, "pellmell-pub"), (2, "pellmell-sub"), (3, "pellmell-unsub"), (4, "pellmell-close")];
                let names = names.into_iter().chain([(6, "pellmell-subclose"), (7, "pellmell-pings")]);
                let answer = names.fold(Fields::default(), |answer, (field, name)| answer.bytes(field, name));
                answer.number(8, 3_600).number(9, 100).number(10, 1)
            }
            ("_STAN", other) if other.starts_with("discover.") => {
                let other = other.trim_start_matches("discover.");
                return Err(format!("it looks for the cluster `{other}`: it is `{CLUSTER}`, as NATS_CLUSTER_ID says"));
            }
            ("pellmell-sub", "") => {
                let asked = message()?;
                self.subscribed += 1;
                let (inbox, durable) = (asked.text(4), asked.text(7));
                let subscription = Durable { connection, subject: asked.text(2), inbox, durable };
                self.subscriptions.insert(self.subscribed, subscription);
                Fields::default().bytes(2, format!("pellmell-ack.{}", self.subscribed))
            }
            ("pellmell-unsub" | "pellmell-subclose", "") => {
                let asked = message()?;
                let (inbox, subject, durable) = (asked.text(3), asked.text(2), asked.text(4));
                self.subscriptions.retain(|number, known| {
                    let is_it = inbox == format!("pellmell-ack.{number}");
                    !(is_it || known.subject == subject && !durable.is_empty() && known.durable == durable)
                });
                Fields::default()
            }
            ("pellmell-close", "") => {
                self.subscriptions.retain(|_, known| known.connection != connection);
                Fields::default()
            }
            ("pellmell-pings", "") => Fields::default(),
            ("pellmell-ack", number) => {
                let subscription = number.parse().map_err(|_| format!("it acks to `{to}`, where nobody is"))?;
                self.heard.push(Heard::Acked { subscription, sequence: message()?.number(2) });
                return Ok(());
            }
            ("pellmell-pub", _) => {
                let said = message()?;
                self.heard.push(Heard::Published { subject: said.text(3), data: said.bytes(5).to_vec() });
                Fields::default().bytes(1, said.bytes(2))
            }
            _ => {
                return Err(format!(
                    "it published on `{to}` with NATS itself: pellmell's server knows NATS Streaming alone so far"
                ));
            }
        };
        if let Some(reply) = reply {
            self.send(connection, reply, answer);
        }
        Ok(())
    }

    fn send(&mut self, connection: u64, subject: String, message: Fields) {
        let message = Published { subject, payload: message.done(), ..Published::default() };
        for to in self.connections.iter_mut().filter(|to| to.number == connection) {
            to.each_of(&message.subject, &mut Vec::new(), |output, sid| nats::message(output, sid, &message));
        }
    }
}

/// What a client says that is not to be understood.
fn not_understood(said: &str) -> String {
    format!("it says {said}, which pellmell's server of NATS Streaming does not understand")
}

fn listens(listener: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(listener, PollFlags::IN)
}
