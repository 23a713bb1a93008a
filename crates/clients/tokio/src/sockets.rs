//! A server on a Unix socket, whatever it speaks.
//!
//! A Unix socket hands over what is written before the write returns, and the reader's readiness is seen in the next
//! look at sockets. So nothing need be asked of clients: all is read when no task can go on, several times in a row.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::about::About;
use crate::desk::{Desk, Hand};
use crate::door::{Door, Handed};
use pellmell_code::serving::{Stream, Talk};
use pellmell_code::{Answer, Failure};
use pellmell_core::broker::Profile;

/// How often no task can go on before all is known to be read: once while what was written is on its way to the task
/// that reads it, once when that has run, and once more.
const LOOKS: u8 = 3;

/// What a server speaks with clients that find it on a Unix socket: commands, one after the other, each with an answer
/// at once or later.
pub trait Protocol: Default + Send + 'static {
    /// What is known of a client.
    type Client: Default + Send + 'static;
    /// What a client says.
    type Command: fmt::Display;
    /// What the server says.
    type Reply: fmt::Display;

    /// What stands before the path of the socket in its URL.
    const SCHEME: &'static str;
    /// The broker that is spoken with, by its profile.
    const PROFILE: &'static str;
    /// How much simulated time a service may take to ask for what is there for it.
    const ASKS_WITHIN: Duration;
    /// Why nobody asks for what was left; none if whoever asks for messages gets it.
    const LEFT: Option<&'static str>;

    /// What is expected of a message that carries something else than messages can.
    fn expects(body: &Value) -> Option<&'static str>;

    /// The first command in these bytes, and how many of them it takes; none if more must come first.
    ///
    /// # Errors
    /// What is wrong, if it is none.
    fn read(bytes: &[u8]) -> Result<Option<(Self::Command, usize)>, String>;

    /// Writes an answer.
    fn write(reply: &Self::Reply, into: &mut Vec<u8>);

    /// Does a command. Returns the answer, unless it comes later: the client is heard no further until then.
    fn hear(&mut self, client: &mut Self::Client, command: Self::Command, room: &mut Room<'_>) -> Option<Self::Reply>;

    /// The answer to a client that waits for one, if there is one now.
    fn go_on(&mut self, client: &mut Self::Client, room: &mut Room<'_>) -> Option<Self::Reply>;

    /// Until when a client waits for an answer, if it waits, and if there is an end.
    fn waits(client: &Self::Client) -> Option<Option<Duration>>;

    /// Forgets what does not outlive the service's connections.
    fn cut_off(&mut self);

    /// Whether messages on a subject are asked for.
    fn is_asked(&self, subject: &str) -> bool;

    /// What the service listens to, in words.
    fn takers_in_words(&self) -> String;

    /// Whether a service asks when it starts, and only then, for what was left to it.
    fn is_asked_for_at_start(&self, left: &Hand) -> bool;
}

/// What a protocol may use while it hears a client.
#[derive(Debug)]
pub struct Room<'r> {
    /// What was heard, and the time.
    pub talk: &'r mut Talk,
    /// What is handed over.
    pub desk: &'r mut Desk,
    /// What the test says of subjects.
    pub about: &'r About,
}

/// A server of a protocol on a Unix socket, for the clients of one service.
pub struct Sockets<P: Protocol> {
    /// The folder that the socket is in, and nothing else.
    folder: TempDir,
    listener: UnixListener,
    about: Arc<About>,
    talk: Talk,
    desk: Desk,
    connections: Vec<Connection<P>>,
    clients: u64,
    protocol: P,
    /// Whether the server has written something since it was asked whether all is read.
    unread: bool,
    looks: u8,
}

impl<P: Protocol> fmt::Debug for Sockets<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("folder", &self.folder).field("talk", &self.talk).finish_non_exhaustive()
    }
}

struct Connection<P: Protocol> {
    number: u64,
    stream: Stream<UnixStream>,
    client: P::Client,
}

impl<P: Protocol> Connection<P> {
    fn reply(&mut self, reply: &P::Reply, talk: &mut Talk) {
        talk.note(format!("{} < {reply}", self.number));
        P::write(reply, &mut self.stream.output);
        self.stream.write();
    }
}

impl<P: Protocol> Sockets<P> {
    fn on(folder: TempDir, listener: UnixListener, about: Arc<About>, talk: Talk) -> Sockets<P> {
        let (desk, connections, protocol) = (Desk::default(), Vec::new(), P::default());
        Sockets { folder, listener, about, talk, desk, connections, clients: 0, protocol, unread: false, looks: 0 }
    }

    fn accept(&mut self) -> bool {
        let clients = self.clients;
        while let Ok((socket, _)) = self.listener.accept() {
            if socket.set_nonblocking(true).is_ok() {
                self.clients += 1;
                let (number, stream, client) = (self.clients, Stream::over(socket), P::Client::default());
                self.connections.push(Connection { number, stream, client });
            }
        }
        self.clients > clients
    }

    /// Does what a client has written, as long as it does not wait for an answer. Returns whether there was anything.
    fn hear(&mut self, at: usize) -> bool {
        let connection = &mut self.connections[at];
        let mut heard = false;
        while P::waits(&connection.client).is_none() {
            let (command, taken) = match P::read(&connection.stream.input) {
                Ok(Some((command, taken))) => (command, taken),
                Ok(None) => break,
                Err(error) => {
                    self.talk.refuse(&format!("a client wrote {error}"), "the server does not understand that");
                    connection.stream.input.clear();
                    break;
                }
            };
            connection.stream.input.drain(..taken);
            heard = true;
            if !self.talk.goes_on() {
                break;
            }
            self.talk.note(format!("{} > {command}", connection.number));
            let mut room = Room { talk: &mut self.talk, desk: &mut self.desk, about: &self.about };
            if let Some(reply) = self.protocol.hear(&mut connection.client, command, &mut room) {
                connection.reply(&reply, &mut self.talk);
                self.unread = true;
            }
        }
        heard
    }

    /// Answers clients that wait.
    fn go_on(&mut self) {
        for connection in &mut self.connections {
            let mut room = Room { talk: &mut self.talk, desk: &mut self.desk, about: &self.about };
            if P::waits(&connection.client).is_some()
                && let Some(reply) = self.protocol.go_on(&mut connection.client, &mut room)
            {
                connection.reply(&reply, &mut self.talk);
                self.unread = true;
            }
        }
    }

    /// What was handed over, if it was left by an attempt before and not asked for since.
    fn left(&self) -> Option<&Hand> {
        self.desk.held().filter(|hand| hand.is_left())
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }
}

impl<P: Protocol> Door for Sockets<P> {
    type Wanted = ();

    fn open(about: Arc<About>, talk: Talk) -> io::Result<Sockets<P>> {
        let folder = tempfile::Builder::new().prefix("pellmell-").tempdir()?;
        let listener = UnixListener::bind(folder.path().join("socket"))?;
        listener.set_nonblocking(true)?;
        Ok(Sockets::on(folder, listener, about, talk))
    }

    fn url(&self) -> io::Result<String> {
        Ok(format!("{}{}", P::SCHEME, self.path().display()))
    }

    fn renewed(self) -> Sockets<P> {
        Sockets::on(self.folder, self.listener, self.about, self.talk.renewed())
    }

    fn cut_off(&mut self) {
        self.connections.clear();
        self.protocol.cut_off();
        self.unread = false;
    }

    fn talk(&self) -> &Talk {
        &self.talk
    }

    fn talk_mut(&mut self) -> &mut Talk {
        &mut self.talk
    }

    fn wanted(&self) -> Vec<()> {
        Vec::new()
    }

    fn profile(_: &[()]) -> Result<Profile, String> {
        Profile::named(P::PROFILE).ok_or_else(|| format!("there is no profile `{}`", P::PROFILE))
    }

    fn fits(pattern: &str, subject: &str) -> bool {
        pattern.strip_suffix('*').map_or(pattern == subject, |beginning| subject.starts_with(beginning))
    }

    fn has_connections(&self) -> bool {
        !self.connections.is_empty()
    }

    fn ask_whether_read(&mut self) -> bool {
        self.connections.iter_mut().for_each(|connection| connection.stream.write());
        self.looks = LOOKS;
        !std::mem::take(&mut self.unread)
    }

    fn waits(&self) -> bool {
        self.looks > 0
    }

    fn is_read(&self) -> bool {
        !self.unread && self.connections.iter().all(|connection| connection.stream.output.is_empty())
    }

    fn turn(&mut self) -> bool {
        self.looks = self.looks.saturating_sub(1);
        let mut heard = self.accept();
        for at in 0..self.connections.len() {
            let stream = &mut self.connections[at].stream;
            stream.write();
            stream.read();
            heard |= self.hear(at);
        }
        let connected = self.connections.len();
        self.connections.retain(|connection| !connection.stream.is_closed);
        self.go_on();
        heard || self.connections.len() < connected
    }

    fn next_due(&self) -> Option<Duration> {
        self.connections.iter().filter_map(|connection| P::waits(&connection.client).flatten()).min()
    }

    fn at(&mut self, now: Duration) {
        self.talk.now = now;
        self.go_on();
    }

    fn is_ready_for(&self, subject: &str) -> Result<bool, Failure> {
        Ok(self.protocol.is_asked(subject))
    }

    fn takers_in_words(&self) -> String {
        self.protocol.takers_in_words()
    }

    fn deliver(
        &mut self,
        subject: &str,
        _: &BTreeMap<String, String>,
        body: &Value,
        attempt: u16,
    ) -> Result<(), Failure> {
        if let Some(expected) = P::expects(body) {
            return Err(Failure::new(format!("a message on `{subject}` is {body}: expected {expected}")));
        }
        self.desk.hand_over(subject, body, attempt);
        self.go_on();
        Ok(())
    }

    fn call(&mut self, name: &str, _: &Value) -> Result<(), Failure> {
        let next = "there are no requests to a service with this broker: let a `.publisher` say what it does";
        Err(Failure::new(format!("nothing answers requests on `{name}`: {next}")))
    }

    fn is_asked_for_at_start(&self) -> bool {
        self.left().is_some_and(|left| self.protocol.is_asked_for_at_start(left))
    }

    fn handed(&self) -> Option<Handed> {
        self.desk.handed()
    }

    fn answer(&self) -> Option<Answer> {
        self.desk.held()?.answer.clone()
    }

    fn asks_within(&self) -> Duration {
        P::ASKS_WITHIN
    }

    fn never_asked(&self) -> Option<Answer> {
        let what = self.left()?.in_words();
        Some(Answer::Failed(format!("{what} is asked for by nothing, and stays pending: {}", P::LEFT?)))
    }

    fn over(&mut self, to_nothing: bool) {
        self.desk.over(to_nothing);
    }
}
