//! NATS Streaming, as pellmell speaks it with one process.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use super::fields::{Fields, Read as Message};
use super::spoken::{Heard, Spoken};
use crate::message::Body;
use crate::nats::{self, Connection, Op, PAYLOAD_MAX, Published, Subscription};
use crate::port::{Answer, Delivered};
use crate::serving::Stream;

/// The name of the cluster that it says it is.
const CLUSTER: &str = "pellmell";

/// A server of NATS Streaming.
pub(super) struct Streaming {
    listener: TcpListener,
    connections: Vec<Connection>,
    connected: u64,
    subscriptions: BTreeMap<u64, Durable>,
    subscribed: u64,
    /// The sequence numbers of what it was handed, by subject and what it carries.
    sequences: BTreeMap<(String, String), u64>,
    handed: Option<Handed>,
    has_said: bool,
}

/// A subscription of NATS Streaming.
struct Durable {
    /// The number of its connection.
    connection: u64,
    subject: String,
    inbox: String,
    durable: String,
}

/// A message that was handed out.
struct Handed {
    subscription: u64,
    sequence: u64,
    /// What has that number, if it is new.
    fresh: Option<(String, String)>,
    is_acked: bool,
}

impl Streaming {
    pub(super) fn new(listener: TcpListener) -> Streaming {
        let (connections, subscriptions, sequences) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let (connected, subscribed, handed, has_said) = (0, 0, None, false);
        Streaming { listener, connections, connected, subscriptions, subscribed, sequences, handed, has_said }
    }

    fn subscription(&self, subject: &str) -> Option<u64> {
        self.subscriptions.iter().find(|(_, known)| known.subject == subject).map(|(number, _)| *number)
    }

    fn acked(&mut self, subscription: u64, sequence: u64, heard: &mut Vec<Heard>) {
        let is_it = |handed: &&mut Handed| {
            !handed.is_acked && (handed.subscription, handed.sequence) == (subscription, sequence)
        };
        match self.handed.as_mut().filter(is_it) {
            Some(handed) => handed.is_acked = true,
            None => heard.push(Heard::Said(format!("it acked message {sequence}"))),
        }
    }

    fn hear(&mut self, place: usize, op: Op, heard: &mut Vec<Heard>) -> Result<(), String> {
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
                return Err(not_understood(&format!("`HPUB {subject}`")));
            }
            Op::Pub(message) => {
                let number = connection.number;
                return self.published(number, message, heard);
            }
        }
        Ok(())
    }

    /// What NATS Streaming does with a message to the server.
    fn published(&mut self, connection: u64, message: Published, heard: &mut Vec<Heard>) -> Result<(), String> {
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
                self.acked(subscription, message()?.number(2), heard);
                return Ok(());
            }
            ("pellmell-pub", _) => {
                let said = message()?;
                let (headers, body) = (BTreeMap::new(), Body::of(said.bytes(5)).value());
                heard.push(Heard::Published { subject: said.text(3), headers, body });
                Fields::default().bytes(1, said.bytes(2))
            }
            _ => {
                return Err(format!(
                    "it published on `{to}` with NATS itself: a service that speaks that has `speaks = \"nats\"`"
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
        self.has_said = true;
        for to in self.connections.iter_mut().filter(|to| to.number == connection) {
            to.each_of(&message.subject, &mut Vec::new(), |output, sid| nats::message(output, sid, &message));
        }
    }
}

impl Spoken for Streaming {
    fn environment(&self, service: &str) -> Vec<(&'static str, String)> {
        vec![("NATS_CLUSTER_ID", CLUSTER.to_owned()), ("NATS_CLIENT_ID", service.to_owned())]
    }

    fn listener(&self) -> &TcpListener {
        &self.listener
    }

    fn connections(&self) -> &[Connection] {
        &self.connections
    }

    fn connections_mut(&mut self) -> &mut [Connection] {
        &mut self.connections
    }

    fn go_on(&mut self, heard: &mut Vec<Heard>) -> Result<bool, String> {
        let (mut has_any, mut wrong) = (false, Ok(()));
        while let Ok((socket, _)) = self.listener.accept() {
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
        for place in 0..self.connections.len() {
            let stream = &mut self.connections[place].stream;
            has_any |= stream.read() || stream.is_closed;
            let mut input = std::mem::take(&mut stream.input);
            let mut done = 0;
            while wrong.is_ok() {
                match nats::read(&input[done..]) {
                    Ok(Some((op, taken))) => {
                        done += taken;
                        wrong = self.hear(place, op, heard);
                    }
                    Ok(None) => break,
                    Err(said) => wrong = Err(not_understood(&said)),
                }
            }
            input.drain(..done);
            self.connections[place].stream.input = input;
        }
        self.connections.retain(|connection| !connection.stream.is_closed);
        let connections = &self.connections;
        self.subscriptions.retain(|_, durable| connections.iter().any(|there| there.number == durable.connection));
        wrong.map(|()| has_any)
    }

    fn has_said(&mut self) -> bool {
        std::mem::take(&mut self.has_said)
    }

    fn is_ready_for(&self, subject: &str) -> Result<bool, String> {
        Ok(self.subscription(subject).is_some())
    }

    fn subscribed(&self) -> u64 {
        self.subscribed
    }

    fn lacks(&self, subject: Option<&str>) -> String {
        let what = subject.map_or_else(|| "anything".to_owned(), |subject| format!("`{subject}`"));
        format!("it has not subscribed to {what} at NATS_URL")
    }

    fn at(&mut self, _: Duration) {}

    fn deliver(&mut self, delivered: &Delivered<'_>) -> Result<(), String> {
        let Delivered { subject, body, attempt, now, .. } = delivered;
        let Some(subscription) = self.subscription(subject) else {
            return Err(format!("it has no subscription to `{subject}`"));
        };
        let data = match body {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let (content, next) = (((*subject).to_owned(), data.clone()), self.sequences.len() as u64 + 1);
        let fresh = (!self.sequences.contains_key(&content)).then(|| content.clone());
        let sequence = *self.sequences.entry(content).or_insert(next);
        let message = Fields::default().number(1, sequence).bytes(2, subject).bytes(4, &data);
        let message = message.number(5, now.0 * 1_000).number(6, u64::from(*attempt > 1));
        let message = message.number(7, u64::from(attempt.saturating_sub(1)));
        self.handed = Some(Handed { subscription, sequence, fresh, is_acked: false });
        if let Some(Durable { connection, inbox, .. }) = self.subscriptions.get(&subscription) {
            let (connection, inbox) = (*connection, inbox.clone());
            self.send(connection, inbox, message);
        }
        Ok(())
    }

    fn call(&mut self, subject: &str, _: &Value) -> Result<(), String> {
        Err(format!("`{subject}` cannot be asked for: NATS Streaming has no requests"))
    }

    fn answer(&self) -> Option<Answer> {
        self.handed.as_ref().filter(|handed| handed.is_acked).map(|_| Answer::Done)
    }

    fn at_rest(&mut self) -> Option<Answer> {
        Some(self.answer().unwrap_or_else(|| Answer::Failed("it did not ack".to_owned())))
    }

    fn over(&mut self, to_nothing: bool) {
        let fresh = self.handed.take().and_then(|handed| handed.fresh).filter(|_| to_nothing);
        fresh.map(|content| self.sequences.remove(&content));
    }

    fn listen(&mut self, listener: TcpListener, keeps: bool) {
        let sequences = std::mem::take(&mut self.sequences);
        *self = Streaming::new(listener);
        if keeps {
            self.sequences = sequences;
        }
    }
}

/// What a client says that is not to be understood.
fn not_understood(said: &str) -> String {
    format!("it says {said}, which pellmell's server of NATS Streaming does not understand")
}
