//! Code in a process of its own that speaks NATS Streaming: the services of a course as they are.
//!
//! pellmell is the server, on loopback, and hands out one message at a time; commands come over HTTP, and what a
//! service keeps is asked for over HTTP or read from a file. A service in Node is given pellmell's clock, chance and
//! timers, and says when it is idle.

mod fields;
mod http;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use self::fields::Fields;
use self::http::{Exchange, Request, Response};
use self::server::{CLUSTER, Heard, Listeners, Server, Stop};
use crate::Failure;
use crate::child::Spawned;
use crate::message::Body;
use crate::port::{Answer, Code, Delivered, Input, Port, Running, State};
use crate::process::{Process, StateFolder};
use pellmell_core::ids::{RecordId, Version};

/// How long a process that has not answered must be quiet to be done, where it does not say that it is idle.
const QUIET: Duration = Duration::from_millis(100);

/// How long a handler may wait for its own timers: they are due at once for it.
const WAITED_FOR: Duration = Duration::from_secs(10);

/// What is loaded into Node before a service.
const PRELOAD: &str = include_str!("../../shims/preload.js");

/// The purpose of the timers of a service in Node.
const TIMEOUT: &str = "timeout";

/// Code in a process of its own that is a client of NATS Streaming.
///
/// In its environment, `NATS_URL`, `NATS_CLUSTER_ID` and `NATS_CLIENT_ID` say where the server is, `PORT` where it
/// shall listen for commands over HTTP, and `PELLMELL_FOLDER` where it may keep its state.
///
/// ```no_run
/// use pellmell_code::{CodeService, Names, Naming, Process, Streaming};
/// # use pellmell_code::{Call, Message};
/// # struct Shop;
/// # impl pellmell::System for Shop { type Event = Message; type Command = Call; }
///
/// let orders = Streaming::new(Process::new("node", ["orders.js"]))
///     .subscribing(["ticket:created"])
///     .calling("create_order", "POST /api/orders")?
///     .with_records("GET /records")?;
/// let names = Names::new().on("ticket:*", Naming::of('t').version_at("/version"));
/// let orders: CodeService<Shop> = CodeService::new("orders", orders, names)?.listening(["ticket:created"]);
/// # Ok::<(), pellmell_code::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Streaming {
    process: Process,
    subjects: Vec<String>,
    /// Whether it subscribes to something, whatever that is.
    listens: bool,
    calls: BTreeMap<String, Request>,
    records: Option<Records>,
}

/// Where the records of a service are to be seen.
#[derive(Clone, Debug)]
enum Records {
    Asked(Request),
    File(String),
}

/// A record as a service shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    record: RecordId,
    version: Version,
    value: Value,
}

impl Streaming {
    /// A process.
    #[must_use]
    pub fn new(process: Process) -> Streaming {
        Streaming { process, subjects: Vec::new(), listens: false, calls: BTreeMap::new(), records: None }
    }

    /// The same, which is ready when it has subscribed to these subjects.
    #[must_use]
    pub fn subscribing<T: Into<String>>(mut self, subjects: impl IntoIterator<Item = T>) -> Streaming {
        self.subjects.extend(subjects.into_iter().map(Into::into));
        self
    }

    /// The same, which is ready when it has subscribed to something and is quiet, whatever it has subscribed to.
    #[must_use]
    pub fn subscribing_to_some(self) -> Streaming {
        Streaming { listens: true, ..self }
    }

    /// The same, of which something is called by a request: a method and a path, in which `{record}` stands for the id
    /// of the record. Unless it is said, it is `POST /NAME`.
    ///
    /// # Errors
    /// If it is no request.
    pub fn calling(mut self, name: impl Into<String>, request: &str) -> Result<Streaming, Failure> {
        self.calls.insert(name.into(), Request::parse(request).map_err(Failure::new)?);
        Ok(self)
    }

    /// The same, which answers a request (`GET /records`) with its records, or keeps them in a file (`file NAME`, in
    /// `PELLMELL_FOLDER`): a list of `{"record":"t1","version":0,"value":{…}}` in JSON.
    ///
    /// # Errors
    /// If it is neither.
    pub fn with_records(self, records: &str) -> Result<Streaming, Failure> {
        let records = match records.strip_prefix("file ") {
            Some(name) if !name.is_empty() => Records::File(name.to_owned()),
            _ => Records::Asked(Request::parse(records).map_err(Failure::new)?),
        };
        Ok(Streaming { records: Some(records), ..self })
    }

    /// Whether it has a port of its own.
    fn is_called(&self) -> bool {
        !self.calls.is_empty() || matches!(self.records, Some(Records::Asked(_)))
    }
}

impl Code for Streaming {
    fn start(&self, service: &str) -> Result<Box<dyn Running>, Failure> {
        let (folder, tools) = (StateFolder::make()?, StateFolder::make()?);
        let preload = tools.path().join("preload.js");
        fs::write(&preload, PRELOAD).map_err(|error| Failure::new(format!("{}: {error}", preload.display())))?;
        let (server, port) = open(self, service, &folder, &tools, 0)?;
        let instance = Instance {
            streaming: self.clone(),
            service: service.to_owned(),
            server,
            port,
            folder,
            tools,
            starts: 0,
            sequences: BTreeMap::new(),
            shown: BTreeMap::new(),
        };
        Ok(Box::new(instance))
    }
}

/// Starts the process, and waits until it is there.
fn open(
    streaming: &Streaming,
    service: &str,
    folder: &StateFolder,
    tools: &StateFolder,
    starts: u32,
) -> Result<(Server, u16), Failure> {
    let listeners = Listeners::open()?;
    let (clients, controls) = listeners.ports();
    let port = free_port()?;
    let (preload, preloaded) = (tools.path().join("preload.js"), tools.path().join("preloaded"));
    let _ = fs::remove_file(&preloaded);
    #[expect(clippy::disallowed_methods, reason = "a process has the environment of this one, and a word more")]
    let options = std::env::var("NODE_OPTIONS").unwrap_or_default();
    let environment: [(&str, String); 9] = [
        ("NATS_URL", format!("nats://127.0.0.1:{clients}")),
        ("NATS_CLUSTER_ID", CLUSTER.to_owned()),
        ("NATS_CLIENT_ID", service.to_owned()),
        ("PORT", port.to_string()),
        ("NODE_OPTIONS", format!("{options} --require \"{}\"", preload.display()).trim_start().to_owned()),
        ("PELLMELL_CONTROL", controls.to_string()),
        ("PELLMELL_PRELOADED", preloaded.display().to_string()),
        ("PELLMELL_CHANCE", format!("{service} {starts}")),
        ("PELLMELL_TIMERS", (starts % 1_000 * TIMERS_OF_A_START).to_string()),
    ];
    let process =
        environment.into_iter().fold(streaming.process.clone(), |process, (name, value)| process.with_env(name, value));
    let mut spawned = Spawned::new(&process, folder)?;
    spawned.show_stdout();
    let mut server = Server::new(spawned, listeners, streaming.process.within);
    let is_there = |server: &mut Server| -> Result<(), Stop> {
        let has_loaded = |server: &Server| server.has_loaded() || !preloaded.exists();
        let listens = |server: &Server| {
            let is_all = streaming.subjects.iter().all(|subject| server.has_subscribed(subject));
            is_all && (server.subscribed() > 0 || !streaming.listens)
        };
        while !(listens(server) && has_loaded(server)) {
            server.turn(None)?;
        }
        while streaming.is_called() && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            server.turn(Some(Duration::from_millis(2)))?;
        }
        loop {
            let subscribed = server.subscribed();
            server.settle("", QUIET, |_| !streaming.listens)?;
            if server.subscribed() == subscribed {
                return Ok(());
            }
        }
    };
    match is_there(&mut server) {
        Ok(()) => Ok((server, port)),
        Err(stop) => {
            let lacks = streaming.subjects.iter().find(|subject| !server.has_subscribed(subject));
            let lacks = match lacks {
                Some(subject) => format!("it has not subscribed to `{subject}` at NATS_URL"),
                None if streaming.listens && server.subscribed() == 0 => {
                    "it has subscribed to nothing at NATS_URL".to_owned()
                }
                None => "nothing listens for HTTP at PORT".to_owned(),
            };
            Err(match stop {
                Stop::Failed(failure) => failure.at(&lacks),
                Stop::Ended => ended(&mut server).at(&lacks),
            })
        }
    }
}

/// How many timers a process in Node has before it starts again: a timer of an earlier start is none of its own.
const TIMERS_OF_A_START: u32 = 2_000;

fn free_port() -> Result<u16, Failure> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| Failure::new(format!("no port on loopback: {error}")))
}

fn ended(server: &mut Server) -> Failure {
    let status = server.spawned.ended().map_or("it ended".to_owned(), |status| format!("it ended ({status})"));
    server.spawned.wrong(Failure::new(status))
}

/// An instance of a service.
struct Instance {
    streaming: Streaming,
    service: String,
    server: Server,
    /// Where it listens for HTTP.
    port: u16,
    // Dropped after the process, which may be writing to it.
    folder: StateFolder,
    tools: StateFolder,
    /// How often it was started again since it was new.
    starts: u32,
    /// The sequence numbers of what it was told, by subject and what it carries.
    sequences: BTreeMap<(String, String), u64>,
    /// The records that it showed last.
    shown: BTreeMap<RecordId, Shown>,
}

impl Instance {
    fn start_again(&mut self, starts: u32) -> Result<(), Failure> {
        self.server.spawned.end();
        let (server, port) = open(&self.streaming, &self.service, &self.folder, &self.tools, starts)?;
        (self.server, self.port, self.starts) = (server, port, starts);
        Ok(())
    }

    /// Tells it an input, and hears what it does until it is quiet; returns its answer.
    fn told(&mut self, input: &Input<'_>) -> Result<Answer, Stop> {
        let (Input::Delivery(Delivered { now, .. }) | Input::Call { now, .. } | Input::Timer { now, .. }) = input;
        let now_ms = now.0 / 1_000;
        let time = format!(",\"now_ms\":{now_ms}");
        if self.server.has_loaded() {
            self.server.round(&time)?;
        }
        if let Some(late) = self.server.heard.first() {
            let late = in_words(late);
            let late = format!("after its answer {late}: something was under way that its handler did not wait for");
            return Err(self.server.fail(&late));
        }
        match input {
            Input::Delivery(delivered) => self.delivered(delivered, &time),
            Input::Call { name, record, body, .. } => self.called(name, *record, body, &time),
            Input::Timer { record, .. } => {
                let told = format!("{time},\"fire\":{}", record.number());
                self.server.round(&told)?;
                self.settled(&time, &|_| true)?;
                Ok(Answer::Done)
            }
        }
    }

    fn delivered(&mut self, delivered: &Delivered<'_>, time: &str) -> Result<Answer, Stop> {
        let Delivered { subject, body, attempt, now, .. } = delivered;
        let Some(subscription) = self.server.subscription(subject) else {
            return Err(self.server.fail(&format!("it has no subscription to `{subject}`")));
        };
        let data = match body {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        let next = self.sequences.len() as u64 + 1;
        let sequence = *self.sequences.entry(((*subject).to_owned(), data.clone())).or_insert(next);
        let message = Fields::default().number(1, sequence).bytes(2, subject).bytes(4, &data);
        let message = message.number(5, now.0 * 1_000).number(6, u64::from(*attempt > 1));
        self.server.hand_out(subscription, message.number(7, u64::from(attempt.saturating_sub(1))));
        let is_ack = move |heard: &Heard| *heard == Heard::Acked { subscription, sequence };
        let is_done = self.settled(time, &move |server: &Server| server.heard.iter().any(is_ack))?;
        if is_done {
            return Ok(Answer::Done);
        }
        let last = self.server.spawned.last_line();
        Ok(Answer::Failed(format!("it did not ack{last}")))
    }

    fn called(&mut self, name: &str, record: RecordId, body: &Value, time: &str) -> Result<Answer, Stop> {
        let request = self.streaming.calls.get(name).cloned();
        let Request { method, path } =
            request.unwrap_or_else(|| Request { method: "POST".to_owned(), path: format!("/{name}") });
        let path = path.replace("{record}", &record.to_string());
        let Response { status, body } = self.request(&Request { method, path }, &body.to_string(), time)?;
        let reason: String = String::from_utf8_lossy(&body).trim().chars().take(200).collect();
        Ok(match status {
            200..400 => Answer::Done,
            status => Answer::Refused { status, reason },
        })
    }

    fn request(&mut self, request: &Request, body: &str, time: &str) -> Result<Response, Stop> {
        let named = format!("`{} {}` at PORT", request.method, request.path);
        match Exchange::begin(self.port, request, body) {
            Ok(exchange) => self.server.exchange = Some(exchange),
            Err(error) => return Err(self.server.fail(&format!("{named}: {error}"))),
        }
        let is_over = |server: &Server| server.exchange.as_ref().is_none_or(Exchange::is_over);
        while !self.settled(time, &is_over)? {
            self.server.turn(None)?;
        }
        let response = self.server.exchange.take().and_then(|exchange| exchange.response());
        response.ok_or_else(|| self.server.fail(&format!("{named} was answered by no HTTP")))
    }

    /// Hears what it does until it is quiet. Timers for which it waits are due at once.
    fn settled(&mut self, time: &str, done: &dyn Fn(&Server) -> bool) -> Result<bool, Stop> {
        loop {
            if self.server.settle(time, QUIET, done)? {
                return Ok(true);
            }
            let waits_for = self.server.heard.iter().enumerate().filter_map(|(place, heard)| match heard {
                Heard::Armed { id, after } if *after <= WAITED_FOR => Some((*after, *id, place)),
                _ => None,
            });
            let Some((_, id, place)) = waits_for.min() else { return Ok(false) };
            self.server.heard.remove(place);
            self.server.round(&format!("{time},\"fire\":{id}"))?;
        }
    }

    /// Says what its records are now, as far as they are others than before.
    fn show(&mut self, port: &mut dyn Port) -> Result<(), Stop> {
        let text = match self.streaming.records.clone() {
            None => return Ok(()),
            Some(Records::Asked(request)) => {
                let response = self.request(&request, "", "")?;
                if response.status != 200 {
                    let Request { method, path } = request;
                    return Err(self.server.fail(&format!("`{method} {path}` was answered with {}", response.status)));
                }
                response.body
            }
            Some(Records::File(name)) => fs::read(self.folder.path().join(name)).unwrap_or_else(|_| b"[]".to_vec()),
        };
        let shown: Vec<Shown> = serde_json::from_slice(&text).map_err(|error| {
            let text: String = String::from_utf8_lossy(&text).chars().take(200).collect();
            self.server.fail(&format!(
                "its records are no list of records with `record`, `version` and `value`: {error}: {text}"
            ))
        })?;
        let shown: BTreeMap<RecordId, Shown> = shown.into_iter().map(|shown| (shown.record, shown)).collect();
        let failed = |server: &mut Server, failure: Failure| Stop::Failed(server.spawned.wrong(failure));
        for removed in self.shown.keys().filter(|record| !shown.contains_key(record)) {
            port.removed(*removed).map_err(|failure| failed(&mut self.server, failure))?;
        }
        for Shown { record, version, value } in shown.values().filter(|row| self.shown.get(&row.record) != Some(row)) {
            let saved = port.saved(*record, *version, value.clone());
            saved.map_err(|failure| failed(&mut self.server, failure))?;
        }
        self.shown = shown;
        Ok(())
    }

    /// Does what was heard.
    fn act(&mut self, port: &mut dyn Port) -> Result<(), Failure> {
        let timer = |id: u32| RecordId::new('z', id);
        for heard in std::mem::take(&mut self.server.heard) {
            match heard {
                Heard::Published { subject, data } => {
                    let body = Body::of(data).value();
                    port.publish(&subject, BTreeMap::new(), body)
                        .map_err(|failure| self.server.spawned.wrong(failure))?;
                }
                Heard::Armed { id, after } => port.arm(timer(id), after, TIMEOUT.to_owned(), Value::Null),
                Heard::CalledOff { id } => port.call_off(timer(id), TIMEOUT.to_owned()),
                Heard::Acked { .. } => {}
            }
        }
        Ok(())
    }
}

fn in_words(heard: &Heard) -> String {
    match heard {
        Heard::Published { subject, data } => format!("it published on `{subject}`: {}", String::from_utf8_lossy(data)),
        Heard::Acked { sequence, .. } => format!("it acked message {sequence}"),
        Heard::Armed { after, .. } => format!("it set a timer for {} ms", after.as_millis()),
        Heard::CalledOff { .. } => "it called a timer off".to_owned(),
    }
}

impl Running for Instance {
    fn state(&self) -> State {
        State::Own
    }

    fn tell(&mut self, input: &Input<'_>, port: &mut dyn Port) -> Result<Answer, Failure> {
        self.server.begin();
        let answer = match self.told(input) {
            Ok(answer) => answer,
            Err(Stop::Failed(failure)) => return Err(failure),
            // As what keeps a service running does: it is started again.
            Err(Stop::Ended) => {
                let heard = std::mem::take(&mut self.server.heard);
                let last = self.server.spawned.last_line();
                let status = self.server.spawned.ended().map_or_else(String::new, |status| format!(" ({status})"));
                self.start_again(self.starts + 1)?;
                self.server.begin();
                let is_acked = heard.iter().any(|heard| matches!(heard, Heard::Acked { .. }));
                self.server.heard = heard;
                match input {
                    Input::Delivery(_) if is_acked => Answer::Done,
                    _ => Answer::Failed(format!("the process ended{status}{last}")),
                }
            }
        };
        self.act(port)?;
        match self.show(port) {
            Ok(()) => Ok(answer),
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Ended) => Err(ended(&mut self.server)),
        }
    }

    fn crash(&mut self) -> Result<(), Failure> {
        self.start_again(self.starts + 1)
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.server.spawned.end();
        self.folder.clear()?;
        (self.sequences, self.shown) = (BTreeMap::new(), BTreeMap::new());
        self.start_again(0)
    }
}
