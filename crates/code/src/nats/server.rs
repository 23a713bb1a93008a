//! The server that clients of NATS talk to: connections, subscriptions, and what is handed over to the service.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::handed::{Handed, REPLIES};
use super::jetstream::{JetStream, Says, Wanted};
use super::{Connection, Op, Published, Subscription, fits};
use crate::serving::{Publishes, Stream, Talk, body, content};

/// What is done with what a client publishes on a subject that no stream takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// It is a message of the simulation.
    Known,
    /// It is for subscriptions of the service itself, if there is one, and else a message of the simulation.
    Others,
    /// Nobody cares.
    Ignored,
    /// Nothing is said of it: it is for subscriptions of the service itself, or wrong.
    Unknown,
}

/// What a server knows of the simulation around it.
pub trait Around: Send + Sync {
    /// The streams that are there before any client makes one, with their subjects.
    fn streams(&self) -> Vec<(String, Vec<String>)>;

    /// What is done with what is published on a subject.
    fn interest(&self, subject: &str) -> Interest;

    /// How it is said that there is a stream, for who reads what is wrong.
    fn says_a_stream(&self) -> &'static str;

    /// How it is said what messages on a subject are about.
    fn says_a_subject(&self) -> &'static str;
}

/// A server of NATS and JetStream for the clients of one service. It decides nothing: it hands over what it is told to.
pub struct Server {
    pub(crate) listener: TcpListener,
    around: Arc<dyn Around>,
    pub(crate) jetstream: JetStream,
    pub(crate) connections: Vec<Connection>,
    clients: u64,
    /// What it has heard.
    pub talk: Talk,
    /// What was handed over, if it is not over.
    pub handed: Option<Handed>,
    /// The sequence numbers of messages that came from elsewhere, by what they are.
    pub(crate) sequences: BTreeMap<String, Sequence>,
    pub(crate) requests: u64,
    pub(crate) advisories: u64,
    /// Whether the server has written something that it does not know to have been read.
    pub(crate) unread: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    pub(crate) number: u64,
    pub(crate) is_delivered: bool,
}

impl Server {
    /// A server that listens there, without waiting.
    #[must_use]
    pub fn new(listener: TcpListener, around: Arc<dyn Around>, talk: Talk) -> Server {
        let mut jetstream = JetStream::default();
        around.streams().iter().for_each(|(name, subjects)| jetstream.declare(name, subjects));
        Server {
            listener,
            around,
            jetstream,
            connections: Vec::new(),
            clients: 0,
            talk,
            handed: None,
            sequences: BTreeMap::new(),
            requests: 0,
            advisories: 0,
            unread: false,
        }
    }

    /// The same listener with nothing of what it has heard.
    #[must_use]
    pub fn renewed(self) -> Server {
        Server::new(self.listener, self.around, self.talk.renewed())
    }

    /// What its consumers ask of the broker.
    #[must_use]
    pub fn wanted(&self) -> Vec<Wanted> {
        self.jetstream.consumers.iter().map(|(key, consumer)| Wanted::of(key, consumer)).collect()
    }

    /// When it does something by itself next.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.jetstream.next_due()
    }

    /// Where it is.
    ///
    /// # Errors
    /// If its port is gone.
    pub fn url(&self) -> io::Result<String> {
        Ok(format!("nats://{}", self.listener.local_addr()?))
    }

    /// Lets go of all connections, and of what does not outlive them.
    pub fn cut_off(&mut self) {
        self.connections.clear();
        self.jetstream.keep_pulls(|_| false);
        self.jetstream.forget_ephemeral();
        self.handed = None;
        self.unread = false;
    }

    // What moves bytes.

    /// Writes what is to be written and asks each client to say when it has read all of it. Returns whether all was
    /// known to be read before.
    pub fn ask_whether_read(&mut self) -> bool {
        let was_read = !self.unread;
        self.unread = false;
        for connection in self.connections.iter_mut().filter(|connection| connection.is_open) {
            connection.ping();
            connection.stream.write();
        }
        was_read
    }

    /// Whether nothing was written since, and all have said that they have read all.
    #[must_use]
    pub fn is_read(&self) -> bool {
        !self.unread && self.connections.iter().all(|connection| connection.is_open && !connection.awaits_pong)
    }

    /// Whether a client has not said what it is, or that it has read all.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.connections.iter().any(|connection| !connection.is_open || connection.awaits_pong)
    }

    /// Whether there is a client.
    #[must_use]
    pub fn has_connections(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Reads what clients wrote and does it. Returns whether there was anything but that all is read.
    pub fn turn(&mut self) -> bool {
        let mut heard = self.accept();
        for at in 0..self.connections.len() {
            let stream = &mut self.connections[at].stream;
            stream.write();
            if !stream.read() {
                continue;
            }
            let mut input = std::mem::take(&mut stream.input);
            let mut done = 0;
            loop {
                match super::read(&input[done..]) {
                    Ok(Some((op, taken))) => {
                        done += taken;
                        heard |= self.hear(at, op);
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.talk
                            .refuse(&format!("a client wrote {error}"), "that is nothing that the server understands");
                        done = input.len();
                    }
                }
            }
            input.drain(..done);
            self.connections[at].stream.input = input;
        }
        if self.connections.iter().any(|connection| connection.stream.is_closed) {
            heard = true;
            self.connections.retain(|connection| !connection.stream.is_closed);
            self.forget_unheard();
        }
        self.send_handed();
        heard
    }

    fn accept(&mut self) -> bool {
        let mut accepted = false;
        while let Ok((socket, _)) = self.listener.accept() {
            let Ok(mut stream) = Stream::new(socket) else { continue };
            self.clients += 1;
            accepted = true;
            let info = json!({
                "server_id": "PELLMELL", "server_name": "pellmell", "version": "2.11.0", "go": "", "host": "127.0.0.1",
                "port": 4222, "headers": true, "max_payload": super::PAYLOAD_MAX, "proto": 1, "client_id": self.clients,
                "jetstream": true,
            });
            stream.output.extend_from_slice(format!("INFO {info}\r\n").as_bytes());
            stream.write();
            self.connections.push(Connection::new(self.clients, stream));
        }
        accepted
    }

    fn forget_unheard(&mut self) {
        let subscriptions = || self.connections.iter().flat_map(|connection| connection.subscriptions.values());
        self.jetstream.keep_pulls(|inbox| subscriptions().any(|subscription| fits(&subscription.subject, inbox)));
    }

    /// Does what a client wants. Returns whether it was anything but that it has read all.
    fn hear(&mut self, at: usize, op: Op) -> bool {
        if op == Op::Pong {
            self.connections[at].awaits_pong = false;
            return false;
        }
        if !self.talk.goes_on() {
            return false;
        }
        let client = self.connections[at].number;
        match &op {
            Op::Pub(Published { subject, reply, payload, .. }) => {
                let reply = reply.as_ref().map(|reply| format!(" reply {reply}")).unwrap_or_default();
                self.talk.note(format!("{client} > PUB {subject}{reply} {}", String::from_utf8_lossy(payload)));
            }
            Op::Ping => {}
            other => self.talk.note(format!("{client} > {other:?}")),
        }
        match op {
            Op::Connect => self.connections[at].is_open = true,
            Op::Ping => {
                let stream = &mut self.connections[at].stream;
                stream.output.extend_from_slice(b"PONG\r\n");
                stream.write();
                self.unread = true;
            }
            Op::Pong => {}
            Op::Sub { subject, queue, sid } => {
                self.connections[at].subscriptions.insert(sid, Subscription { subject, queue, left: None });
            }
            Op::Unsub { sid, after } => {
                self.connections[at].unsubscribe(sid, after);
                if after.is_none() {
                    self.forget_unheard();
                }
            }
            Op::Pub(message) => self.published(message),
        }
        true
    }

    /// A message to all who listen on a subject, one of each queue. Returns how many there are.
    pub(crate) fn route(&mut self, to: &str, message: &Published) -> usize {
        self.talk.note(format!("< {to} {}", String::from_utf8_lossy(&message.payload)));
        self.each_of(to, |output, sid| super::message(output, sid, message))
    }

    fn each_of(&mut self, to: &str, write: impl Fn(&mut Vec<u8>, u64)) -> usize {
        let mut queues = Vec::new();
        let count = self.connections.iter_mut().map(|connection| connection.each_of(to, &mut queues, &write)).sum();
        self.unread |= count > 0;
        count
    }

    pub(crate) fn say(&mut self, says: &Says) {
        self.talk.note(format!("< {} {}", says.to, says.status));
        self.each_of(&says.to, |output, sid| super::status(output, sid, &says.to, says.status, &says.headers));
    }

    pub(crate) fn reply(&mut self, to: Option<&str>, payload: &Value) {
        if let Some(to) = to {
            let payload = if payload.is_null() { Vec::new() } else { payload.to_string().into_bytes() };
            let message = Published { subject: to.to_owned(), payload, ..Published::default() };
            self.route(to, &message);
        }
    }

    /// Does what the server does by itself at this time.
    pub fn at(&mut self, now: Duration) {
        self.talk.now = now;
        self.look_at_time();
        for says in self.jetstream.due(now) {
            self.say(&says);
        }
    }

    // What a service publishes.

    fn published(&mut self, message: Published) {
        let subject = message.subject.as_str();
        if let Some(request) = subject.strip_prefix("$JS.API.") {
            self.requested(request, &message);
        } else if subject.starts_with("$JS.ACK.") {
            self.answered(&message);
        } else if subject.starts_with(REPLIES) {
            self.replied(&message);
        } else if subject.starts_with('$') {
            let what = format!("it publishes on `{subject}`");
            self.talk.refuse(&what, "subjects that begin with `$` are the server's, and only JetStream's are played");
        } else if self.jetstream.stream_of(subject).is_some() {
            self.stored(message);
        } else if subject.starts_with("_INBOX.") {
            self.route(&message.subject, &message);
        } else {
            self.published_to_others(message);
        }
    }

    /// What a service publishes that no stream takes.
    fn published_to_others(&mut self, message: Published) {
        let subject = message.subject.as_str();
        match self.around.interest(subject) {
            Interest::Others | Interest::Ignored | Interest::Unknown if self.listens(subject) => {
                self.route(&message.subject, &message);
            }
            Interest::Known | Interest::Others if message.reply.is_none() => {
                self.talk.published.push(publishes(message));
            }
            Interest::Known | Interest::Others => {
                let what = format!("it publishes on `{subject}` and waits for an answer, and no stream takes that");
                self.talk.refuse(&what, self.around.clone().says_a_stream());
            }
            Interest::Ignored => {
                if let Some(to) = message.reply {
                    self.say(&Says { to, status: "503", headers: String::new() });
                }
            }
            Interest::Unknown => {
                let what = format!("it publishes on `{subject}`, of which nothing is said");
                self.talk.refuse(&what, self.around.clone().says_a_subject());
            }
        }
    }

    fn requested(&mut self, request: &str, message: &Published) {
        let tokens: Vec<&str> = request.split('.').collect();
        if let ["CONSUMER", "MSG", "NEXT", stream, consumer] = tokens.as_slice() {
            let key = ((*stream).to_owned(), (*consumer).to_owned());
            let inbox = message.reply.as_deref().unwrap_or_default();
            if let Err(what) = self.jetstream.pull(key, inbox, &message.payload, self.talk.now) {
                self.talk.refuse(&what, NOT_PLAYED);
            }
            return;
        }
        match self.jetstream.answer(request, &message.payload, self.talk.now) {
            Ok(answer) => self.reply(message.reply.as_deref(), &answer),
            Err(what) => {
                self.talk.refuse(&what, NOT_PLAYED);
                let error = json!({ "error": { "code": 501, "err_code": 10_000, "description": "not played" } });
                self.reply(message.reply.as_deref(), &error);
            }
        }
    }

    fn stored(&mut self, message: Published) {
        let expects = message.headers.keys().find(|name| name.starts_with("Nats-Expected-")).cloned();
        if let Some(header) = expects {
            self.talk.refuse(&format!("a message with the header `{header}`"), NOT_PLAYED);
        }
        let id = message.headers.get("Nats-Msg-Id").map(String::as_str);
        let Some(stored) = self.jetstream.store(&message.subject, id, self.talk.now) else { return };
        let mut ack = json!({ "stream": stored.stream, "seq": stored.sequence });
        if stored.duplicate {
            ack["duplicate"] = true.into();
            self.talk.said.push(format!("published once more on {}, and the id is known", message.subject));
        }
        self.reply(message.reply.as_deref(), &ack);
        if stored.duplicate || self.around.interest(&message.subject) == Interest::Ignored {
            return;
        }
        let published = publishes(message);
        let content = content(&published.subject, &published.headers, &published.body);
        self.sequences.insert(content, Sequence { number: stored.sequence, is_delivered: false });
        self.talk.published.push(published);
    }

    /// Whether a client listens on a subject that is no inbox.
    pub(crate) fn listens(&self, subject: &str) -> bool {
        let pushes: Vec<&str> =
            self.jetstream.consumers.values().filter_map(|consumer| consumer.pushes_to.as_deref()).collect();
        let mut all = self.connections.iter().flat_map(|connection| connection.subscriptions.values());
        all.any(|of| {
            fits(&of.subject, subject) && !of.subject.starts_with("_INBOX.") && !pushes.contains(&&*of.subject)
        })
    }
}

pub(crate) const NOT_PLAYED: &str = "pellmell does not play that; docs/guide/nats.md says what it does";

fn publishes(message: Published) -> Publishes {
    let Published { subject, headers, payload, .. } = message;
    Publishes { subject, headers, body: body(payload) }
}
