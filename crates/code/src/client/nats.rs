//! NATS and JetStream, as pellmell speaks them with one process.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::spoken::{Heard, Spoken};
use crate::nats::{Around, Connection, Interest, Server};
use crate::port::{Answer, Delivered};
use crate::serving::{Publishes, Talk};

/// A server of NATS and JetStream.
pub(super) struct Nats {
    server: Server,
    around: Arc<Given>,
}

/// What a scenario says of a service.
struct Given {
    streams: Vec<(String, Vec<String>)>,
    /// The subjects of messages that are delivered to it.
    listens: Vec<String>,
}

impl Around for Given {
    fn streams(&self) -> Vec<(String, Vec<String>)> {
        self.streams.clone()
    }

    fn interest(&self, subject: &str) -> Interest {
        if self.listens.iter().any(|known| known == subject) { Interest::Known } else { Interest::Others }
    }

    fn says_a_stream(&self) -> &'static str {
        "say which one does with `streams = { NAME = [\"SUBJECT\"] }`"
    }

    fn says_a_subject(&self) -> &'static str {
        "say what its messages are about with `[messages.\"SUBJECT\"]`"
    }
}

impl Nats {
    pub(super) fn new(listener: TcpListener, streams: Vec<(String, Vec<String>)>, listens: Vec<String>) -> Nats {
        let around = Arc::new(Given { streams, listens });
        Nats { server: Server::new(listener, Arc::clone(&around) as Arc<_>, Talk::default()), around }
    }
}

impl Spoken for Nats {
    fn environment(&self, _: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn listener(&self) -> &TcpListener {
        &self.server.listener
    }

    fn connections(&self) -> &[Connection] {
        &self.server.connections
    }

    fn connections_mut(&mut self) -> &mut [Connection] {
        &mut self.server.connections
    }

    fn go_on(&mut self, heard: &mut Vec<Heard>) -> Result<bool, String> {
        let has_any = self.server.turn();
        let published = self.server.talk.published.drain(..);
        heard.extend(published.map(|Publishes { subject, headers, body }| Heard::Published { subject, headers, body }));
        heard.extend(self.server.talk.said.drain(..).map(Heard::Said));
        match self.server.talk.wrong() {
            Some(wrong) => Err(wrong.what().to_owned()),
            None => Ok(has_any),
        }
    }

    fn has_said(&mut self) -> bool {
        std::mem::take(&mut self.server.unread)
    }

    fn is_ready_for(&self, subject: &str) -> Result<bool, String> {
        self.server.is_ready_for(subject).map_err(|failure| failure.what().to_owned())
    }

    fn subscribed(&self) -> u64 {
        self.server.takers()
    }

    fn lacks(&self, subject: Option<&str>) -> String {
        let what = subject.map_or_else(|| "anything".to_owned(), |subject| format!("`{subject}`"));
        format!("it does not listen to {what} at NATS_URL: it has {}", self.server.takers_in_words())
    }

    fn at(&mut self, now: Duration) {
        self.server.talk.begin();
        // An instance that is told again what it was told goes on where it was.
        self.server.at(now.max(self.server.talk.now));
    }

    fn deliver(&mut self, delivered: &Delivered<'_>) -> Result<(), String> {
        let Delivered { subject, body, headers, attempt, .. } = delivered;
        let handed = self.server.deliver(subject, headers, body, *attempt);
        handed.map_err(|failure| failure.what().to_owned())
    }

    fn call(&mut self, subject: &str, body: &Value) -> Result<(), String> {
        self.server.call(subject, body).map_err(|failure| failure.what().to_owned())
    }

    fn answer(&self) -> Option<Answer> {
        self.server.answer().filter(|_| !self.server.is_never_acked())
    }

    fn at_rest(&mut self) -> Option<Answer> {
        if let Some(answer) = self.server.answer() {
            return Some(answer);
        }
        let is_sent = self.server.handed.as_ref().is_some_and(|handed| handed.sent.is_some());
        if !is_sent || self.server.is_called() {
            return None;
        }
        // Its ack wait ends before anything else is told it.
        self.server.tell_if_given_up();
        Some(Answer::Failed("it did not ack".to_owned()))
    }

    fn over(&mut self, to_nothing: bool) {
        self.server.over(to_nothing);
    }

    fn listen(&mut self, listener: TcpListener, keeps: bool) {
        if keeps {
            self.server.cut_off();
            self.server.listener = listener;
        } else {
            let Given { streams, listens } = &*self.around;
            *self = Nats::new(listener, streams.clone(), listens.clone());
        }
    }
}
