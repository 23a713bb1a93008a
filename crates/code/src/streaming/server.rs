//! A server of NATS Streaming for one process: what it is connected to, what it says, and when it has nothing more to
//! say.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::fields::{Fields, Read as Message};
use super::http::Exchange;
use super::nats::{Op, fits};
use crate::Failure;
use crate::child::{Spawned, now};

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
    /// What was loaded into Node before the service, if it is that.
    loaded: Vec<Loaded>,
    subscriptions: BTreeMap<u64, Subscription>,
    subscribed: u64,
    pub(super) exchange: Option<Exchange>,
    pub(super) heard: Vec<Heard>,
    wrong: Option<String>,
    rounds: u64,
    #[expect(clippy::disallowed_types, reason = "how long a process may take decides whether there is a result")]
    until: Instant,
    within: Duration,
}

/// A group's subscription.
pub(super) struct Subscription {
    connection: usize,
    pub(super) subject: String,
    inbox: String,
    durable: String,
}

/// A stream of bytes, and what is under way on it.
struct Stream {
    stream: TcpStream,
    read: Vec<u8>,
    out: Vec<u8>,
    is_over: bool,
}

struct Connection {
    stream: Stream,
    subs: Vec<Sub>,
    /// How many pings it has not answered.
    pinged: u32,
}

struct Sub {
    subject: String,
    sid: String,
    /// How many messages more it wants.
    left: Option<u64>,
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

impl Stream {
    fn new(stream: TcpStream) -> io::Result<Stream> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Stream { stream, read: Vec::new(), out: Vec::new(), is_over: false })
    }

    /// Writes and reads what can be written and read at once; says whether there was anything to read.
    fn go_on(&mut self) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(written) if written > 0 => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                _ => {
                    self.is_over = true;
                    break;
                }
            }
        }
        let (mut chunk, mut has_any) = ([0; 1 << 14], false);
        while !self.is_over {
            match self.stream.read(&mut chunk) {
                Ok(read) if read > 0 => self.read.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                _ => self.is_over = true,
            }
            has_any = true;
        }
        has_any
    }

    fn polled(&self) -> PollFd<'_> {
        let flags = if self.out.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        PollFd::from_borrowed_fd(self.stream.as_fd(), flags)
    }
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
        let (subscribed, rounds) = (0, 0);
        Server {
            spawned,
            clients,
            controls,
            connections,
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
        let Some(Subscription { connection, inbox, .. }) = self.subscriptions.get(&subscription) else { return };
        let (connection, inbox) = (*connection, inbox.clone());
        self.send(connection, &inbox, &message.done());
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
            let is_done = done(self);
            let open = self.connections.len() + usize::from(self.exchange.is_some());
            let may_wait = self.loaded.iter().map(|loaded| loaded.sockets).sum::<usize>() > open;
            if !is_done && (self.loaded.is_empty() || may_wait) && self.wait_while(quiet, |server| !done(server))? {
                continue;
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
        for connection in &mut self.connections {
            connection.stream.out.extend_from_slice(b"PING\r\n");
            connection.pinged += 1;
        }
        for loaded in &mut self.loaded {
            loaded.stream.out.extend_from_slice(format!("{{\"nth\":{nth}{told}}}\n").as_bytes());
        }
        let is_answered = |server: &Server| {
            let answers = server.connections.iter().all(|connection| connection.pinged == 0);
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
        self.write();
        let wait = at_most.map_or(left, |at_most| at_most.min(left));
        // A process that ended without a connection is seen when somebody looks.
        let wait = wait.min(Duration::from_millis(50));
        let wait_for = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        {
            let mut polled: Vec<PollFd<'_>> = [&self.clients, &self.controls].map(|l| listens(l.as_fd())).into();
            polled.extend(self.connections.iter().map(|connection| connection.stream.polled()));
            polled.extend(self.loaded.iter().map(|loaded| loaded.stream.polled()));
            if let Some(exchange) = self.exchange.as_ref().filter(|exchange| !exchange.is_over()) {
                let out = if exchange.wants_to_write() { PollFlags::OUT } else { PollFlags::empty() };
                polled.push(PollFd::from_borrowed_fd(exchange.stream.as_fd(), PollFlags::IN | out));
            }
            polled.extend(self.spawned.polled());
            match poll(&mut polled, Some(&wait_for)) {
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

    fn write(&mut self) {
        for connection in &mut self.connections {
            connection.stream.go_on();
        }
        for loaded in &mut self.loaded {
            loaded.stream.go_on();
        }
    }

    /// Does what can be done at once; says whether there was anything.
    fn go_on(&mut self) -> bool {
        self.spawned.read();
        let mut has_any = false;
        while let Ok((stream, _)) = self.clients.accept() {
            has_any = true;
            if let Ok(mut stream) = Stream::new(stream) {
                let info = format!(
                    "INFO {{\"server_id\":\"{CLUSTER}\",\"version\":\"2.9.10\",\"proto\":1,\"host\":\"127.0.0.1\",\
                     \"max_payload\":1048576,\"headers\":false}}\r\n"
                );
                stream.out.extend_from_slice(info.as_bytes());
                self.connections.push(Connection { stream, subs: Vec::new(), pinged: 0 });
            }
        }
        while let Ok((stream, _)) = self.controls.accept() {
            has_any = true;
            let stream = Stream::new(stream).map(|stream| Loaded { stream, idle: 0, sockets: 0 });
            self.loaded.extend(stream.ok());
        }
        for place in 0..self.connections.len() {
            has_any |= self.connections[place].stream.go_on();
            loop {
                match Op::take(&mut self.connections[place].stream.read) {
                    Ok(Some(op)) => self.hear(place, op),
                    Ok(None) => break,
                    Err(said) => {
                        self.wrong = Some(format!(
                            "it says {said}, which pellmell's server of NATS Streaming does not understand"
                        ));
                        break;
                    }
                }
            }
        }
        has_any |= self.hear_loaded();
        has_any |= self.exchange.as_mut().is_some_and(Exchange::go_on);
        self.leave_out_what_is_over();
        has_any
    }

    fn leave_out_what_is_over(&mut self) {
        self.loaded.retain(|loaded| !loaded.stream.is_over);
        while let Some(place) = self.connections.iter().position(|connection| connection.stream.is_over) {
            self.connections.remove(place);
            self.subscriptions.retain(|_, subscription| subscription.connection != place);
            for subscription in self.subscriptions.values_mut().filter(|known| known.connection > place) {
                subscription.connection -= 1;
            }
        }
    }

    fn hear_loaded(&mut self) -> bool {
        let mut has_any = false;
        for loaded in &mut self.loaded {
            has_any |= loaded.stream.go_on();
            while let Some(end) = loaded.stream.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = loaded.stream.read.drain(..=end).collect();
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
        has_any
    }

    fn hear(&mut self, place: usize, op: Op) {
        let connection = &mut self.connections[place];
        match op {
            Op::Connect => {}
            Op::Ping => connection.stream.out.extend_from_slice(b"PONG\r\n"),
            Op::Pong => connection.pinged = connection.pinged.saturating_sub(1),
            Op::Sub { subject, sid } => connection.subs.push(Sub { subject, sid, left: None }),
            Op::Unsub { sid, after: None } => connection.subs.retain(|sub| sub.sid != sid),
            Op::Unsub { sid, after } => {
                connection.subs.iter_mut().filter(|sub| sub.sid == sid).for_each(|sub| sub.left = after);
            }
            Op::Pub { subject, reply, payload } => {
                if let Err(wrong) = self.published(place, &subject, reply.as_deref(), &payload) {
                    self.wrong = Some(wrong);
                }
            }
        }
    }

    /// What NATS Streaming does with a message to the server.
    fn published(&mut self, place: usize, to: &str, reply: Option<&str>, payload: &[u8]) -> Result<(), String> {
        let message =
            || Message::of(payload).ok_or_else(|| format!("it sent `{to}` what is no message of NATS Streaming"));
        let answer = match to.split_once('.').map_or((to, ""), |(first, rest)| (first, rest)) {
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
                let subscription = Subscription { connection: place, subject: asked.text(2), inbox, durable };
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
                self.subscriptions.retain(|_, known| known.connection != place);
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
            self.send(place, reply, &answer.done());
        }
        Ok(())
    }

    fn send(&mut self, place: usize, subject: &str, payload: &[u8]) {
        let Connection { stream, subs, .. } = &mut self.connections[place];
        for sub in subs.iter_mut().filter(|sub| fits(&sub.subject, subject)) {
            let head = format!("MSG {subject} {} {}\r\n", sub.sid, payload.len());
            stream.out.extend_from_slice(head.as_bytes());
            stream.out.extend_from_slice(payload);
            stream.out.extend_from_slice(b"\r\n");
            sub.left = sub.left.map(|left| left.saturating_sub(1));
        }
        subs.retain(|sub| sub.left != Some(0));
    }
}

fn listens(listener: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(listener, PollFlags::IN)
}
