//! Code in a process of its own that is a client of NATS or of NATS Streaming, as it is.
//!
//! pellmell is the server, on loopback, and hands out one message at a time; commands come over HTTP or as requests,
//! and what a service keeps is asked for over HTTP, read from a file, or printed by a program. A service in Node is
//! given pellmell's clock, chance and timers, and says when it is idle.

mod fields;
mod http;
mod nats;
mod probe;
mod server;
mod spoken;
mod streaming;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use self::http::{Exchange, Request, Response};
use self::nats::Nats;
use self::server::{Server, Stop, listen, port_of};
use self::spoken::{Heard, Spoken};
use self::streaming::Streaming;
use crate::Failure;
use crate::child::Spawned;
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

/// Code in a process of its own that is a client of NATS or of NATS Streaming.
///
/// In its environment, `NATS_URL` says where the server is, and for NATS Streaming `NATS_CLUSTER_ID` and
/// `NATS_CLIENT_ID` what it is called, `PORT` where it shall listen for commands over HTTP, and `PELLMELL_FOLDER` where
/// it may keep its state.
///
/// ```no_run
/// use pellmell_code::{Client, CodeService, Names, Naming, Process};
/// # use pellmell_code::{Call, Message};
/// # struct Shop;
/// # impl pellmell::System for Shop { type Event = Message; type Command = Call; }
///
/// let orders = Client::of_nats_streaming(Process::new("node", ["orders.js"]))
///     .subscribing(["ticket:created"])
///     .calling("create_order", "POST /api/orders")?
///     .with_records("GET /records")?;
/// let names = Names::new().on("ticket:*", Naming::of('t').version_at("/version"));
/// let orders: CodeService<Shop> = CodeService::new("orders", orders, names)?.listening(["ticket:created"]);
/// # Ok::<(), pellmell_code::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    process: Process,
    server: Kind,
    subjects: Vec<String>,
    /// Whether it subscribes to something, whatever that is.
    listens: bool,
    calls: BTreeMap<String, Calling>,
    records: Option<Records>,
}

/// What it is a client of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    NatsStreaming,
    /// With the streams that are there before it starts.
    Nats(Vec<(String, Vec<String>)>),
}

/// How a command is told to a service.
#[derive(Clone, Debug)]
enum Calling {
    Http(Request),
    /// As a request on a subject.
    Nats(String),
}

/// Where the records of a service are to be seen.
#[derive(Clone, Debug)]
enum Records {
    Asked(Request),
    File(String),
    Printed(Vec<String>),
}

/// A record as a service shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    record: RecordId,
    version: Version,
    value: Value,
}

impl Client {
    /// A process that speaks NATS, or JetStream over it.
    #[must_use]
    pub fn of_nats(process: Process) -> Client {
        Client::new(process, Kind::Nats(Vec::new()))
    }

    /// A process that speaks NATS Streaming.
    #[must_use]
    pub fn of_nats_streaming(process: Process) -> Client {
        Client::new(process, Kind::NatsStreaming)
    }

    fn new(process: Process, server: Kind) -> Client {
        let (subjects, calls) = (Vec::new(), BTreeMap::new());
        Client { process, server, subjects, listens: false, calls, records: None }
    }

    /// The same with a stream that is there before it starts.
    ///
    /// # Errors
    /// If it speaks NATS Streaming, which knows of none.
    pub fn with_stream(mut self, name: &str, subjects: &[String]) -> Result<Client, Failure> {
        match &mut self.server {
            Kind::Nats(streams) => streams.push((name.to_owned(), subjects.to_vec())),
            Kind::NatsStreaming => return Err(Failure::new(format!("`{name}`: NATS Streaming has no such streams"))),
        }
        Ok(self)
    }

    /// The same, which is ready when it has subscribed to these subjects.
    #[must_use]
    pub fn subscribing<T: Into<String>>(mut self, subjects: impl IntoIterator<Item = T>) -> Client {
        self.subjects.extend(subjects.into_iter().map(Into::into));
        self
    }

    /// The same, which is ready when it has subscribed to something and is quiet, whatever it has subscribed to.
    #[must_use]
    pub fn subscribing_to_some(self) -> Client {
        Client { listens: true, ..self }
    }

    /// The same, of which something is called by a request over HTTP: a method and a path, in which `{record}` stands
    /// for the id of the record; or, if it speaks NATS, by `request` and a subject to which it listens. Unless it is
    /// said, it is `POST /NAME`, or `request NAME`.
    ///
    /// # Errors
    /// If it is no request.
    pub fn calling(mut self, name: impl Into<String>, request: &str) -> Result<Client, Failure> {
        let calling = match request.strip_prefix("request ") {
            Some(subject) if !subject.is_empty() && self.server != Kind::NatsStreaming => {
                Calling::Nats(subject.to_owned())
            }
            _ => Calling::Http(Request::parse(request).map_err(Failure::new)?),
        };
        self.calls.insert(name.into(), calling);
        Ok(self)
    }

    /// The same, which answers a request (`GET /records`) with its records, or keeps them in a file (`file NAME`, in
    /// `PELLMELL_FOLDER`): a list of `{"record":"t1","version":0,"value":{…}}` in JSON.
    ///
    /// # Errors
    /// If it is neither.
    pub fn with_records(self, records: &str) -> Result<Client, Failure> {
        let records = match records.strip_prefix("file ") {
            Some(name) if !name.is_empty() => Records::File(name.to_owned()),
            _ => Records::Asked(Request::parse(records).map_err(Failure::new)?),
        };
        Ok(Client { records: Some(records), ..self })
    }

    /// The same, whose records a program prints, which is run where the process is, with its environment and its
    /// `PELLMELL_FOLDER`. It has the time for an answer.
    #[must_use]
    pub fn with_records_of(self, command: impl IntoIterator<Item = impl Into<String>>) -> Client {
        Client { records: Some(Records::Printed(command.into_iter().map(Into::into).collect())), ..self }
    }

    /// Whether it is not ready before it has subscribed to something: if it hears of anything, or nothing reaches it
    /// but requests of NATS.
    fn subscribes(&self) -> bool {
        self.listens || matches!(self.server, Kind::Nats(_)) && !self.is_called()
    }

    /// Whether it has a port of its own.
    fn is_called(&self) -> bool {
        let over_http = |calling: &Calling| matches!(calling, Calling::Http(_));
        self.calls.values().any(over_http) || matches!(self.records, Some(Records::Asked(_)))
    }
}

impl Code for Client {
    fn start(&self, service: &str) -> Result<Box<dyn Running>, Failure> {
        let (folder, tools) = (StateFolder::make()?, StateFolder::make()?);
        let preload = tools.path().join("preload.js");
        fs::write(&preload, PRELOAD).map_err(|error| Failure::new(format!("{}: {error}", preload.display())))?;
        let spoken: Box<dyn Spoken> = match &self.server {
            Kind::NatsStreaming => Box::new(Streaming::new(listen()?)),
            Kind::Nats(streams) => Box::new(Nats::new(listen()?, streams.clone(), self.subjects.clone())),
        };
        let Begun { spawned, controls, port } = begin(self, &*spoken, service, &folder, &tools, 0)?;
        let mut server = Server::new(spawned, controls, spoken, self.process.within);
        until_ready(self, &mut server, port, &tools)?;
        let (client, service) = (self.clone(), service.to_owned());
        Ok(Box::new(Instance { client, service, server, port, folder, tools, starts: 0, shown: BTreeMap::new() }))
    }
}

/// A process that has begun.
struct Begun {
    spawned: Spawned,
    /// Where what is loaded into Node comes.
    controls: TcpListener,
    /// Where it shall listen for HTTP.
    port: u16,
}

/// The file that what is loaded into Node makes when it is.
fn preloaded(tools: &StateFolder) -> PathBuf {
    tools.path().join("preloaded")
}

/// Starts the process.
fn begin(
    client: &Client,
    spoken: &dyn Spoken,
    service: &str,
    folder: &StateFolder,
    tools: &StateFolder,
    starts: u32,
) -> Result<Begun, Failure> {
    let (controls, port) = (listen()?, free_port()?);
    let preload = tools.path().join("preload.js");
    let _ = fs::remove_file(preloaded(tools));
    #[expect(clippy::disallowed_methods, reason = "a process has the environment of this one, and a word more")]
    let options = std::env::var("NODE_OPTIONS").unwrap_or_default();
    let mut environment = spoken.environment(service);
    environment.extend([
        ("NATS_URL", format!("nats://127.0.0.1:{}", port_of(spoken.listener()))),
        ("PORT", port.to_string()),
        ("NODE_OPTIONS", format!("{options} --require \"{}\"", preload.display()).trim_start().to_owned()),
        ("PELLMELL_CONTROL", port_of(&controls).to_string()),
        ("PELLMELL_PRELOADED", preloaded(tools).display().to_string()),
        ("PELLMELL_CHANCE", format!("{service} {starts}")),
        ("PELLMELL_TIMERS", (starts % 1_000 * TIMERS_OF_A_START).to_string()),
    ]);
    let process =
        environment.into_iter().fold(client.process.clone(), |process, (name, value)| process.with_env(name, value));
    let mut spawned = Spawned::new(&process, folder)?;
    spawned.show_stdout();
    Ok(Begun { spawned, controls, port })
}

/// Waits until the process is there.
fn until_ready(client: &Client, server: &mut Server, port: u16, tools: &StateFolder) -> Result<(), Failure> {
    let preloaded = preloaded(tools);
    // The first subject of which it gets nothing.
    let lacks = |server: &Server| -> Result<Option<&String>, String> {
        for subject in &client.subjects {
            if !server.spoken.is_ready_for(subject)? {
                return Ok(Some(subject));
            }
        }
        Ok(None)
    };
    let is_there = |server: &mut Server| -> Result<(), Stop> {
        loop {
            let has_loaded = server.has_loaded() || !preloaded.exists();
            let is_ready = lacks(server).map_err(|wrong| server.fail(&wrong))?.is_none();
            if has_loaded && is_ready && (server.spoken.subscribed() > 0 || !client.subscribes()) {
                break;
            }
            server.turn(None)?;
        }
        while client.is_called() && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            server.turn(Some(Duration::from_millis(2)))?;
        }
        loop {
            let subscribed = server.spoken.subscribed();
            server.settle("", QUIET, |_| !client.subscribes())?;
            if server.spoken.subscribed() == subscribed {
                return Ok(());
            }
        }
    };
    let Err(stop) = is_there(server) else { return Ok(()) };
    let what = match lacks(server) {
        Ok(Some(subject)) => server.spoken.lacks(Some(subject)),
        Ok(None) if client.subscribes() && server.spoken.subscribed() == 0 => server.spoken.lacks(None),
        Ok(None) => "nothing listens for HTTP at PORT".to_owned(),
        Err(_) => "it is not ready".to_owned(),
    };
    Err(match stop {
        Stop::Failed(failure) => failure.at(&what),
        Stop::Ended => ended(server).at(&what),
    })
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
    client: Client,
    service: String,
    server: Server,
    /// Where it listens for HTTP.
    port: u16,
    // Dropped after the process, which may be writing to it.
    folder: StateFolder,
    tools: StateFolder,
    /// How often it was started again since it was new.
    starts: u32,
    /// The records that it showed last.
    shown: BTreeMap<RecordId, Shown>,
}

impl Instance {
    /// Starts the process again; the server keeps what outlives its clients, or nothing.
    fn start_again(&mut self, starts: u32, keeps: bool) -> Result<(), Failure> {
        self.server.spawned.end();
        self.server.spoken.listen(listen()?, keeps);
        let begun = begin(&self.client, &*self.server.spoken, &self.service, &self.folder, &self.tools, starts)?;
        self.server.renew(begun.spawned, begun.controls);
        (self.port, self.starts) = (begun.port, starts);
        until_ready(&self.client, &mut self.server, self.port, &self.tools)
    }

    /// Tells it an input, and hears what it does until it is quiet; returns its answer.
    fn told(&mut self, input: &Input<'_>) -> Result<Answer, Stop> {
        let (Input::Delivery(Delivered { now, .. }) | Input::Call { now, .. } | Input::Timer { now, .. }) = input;
        let now_ms = now.0 / 1_000;
        let time = format!(",\"now_ms\":{now_ms}");
        if self.server.has_loaded() {
            self.server.round(&time)?;
        }
        if let Some(late) = self.server.heard.first().map(Heard::in_words) {
            let late = format!("after its answer {late}: something was under way that its handler did not wait for");
            return Err(self.server.fail(&late));
        }
        self.server.spoken.at(Duration::from_micros(now.0));
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
        self.server.spoken.deliver(delivered).map_err(|wrong| self.server.fail(&wrong))?;
        match self
            .answered(time, &format!("it does not ask for attempt {} on `{}`", delivered.attempt, delivered.subject))?
        {
            Answer::Failed(what) => Ok(Answer::Failed(format!("{what}{}", self.server.spawned.last_line()))),
            answer => Ok(answer),
        }
    }

    /// What it answers to what was handed over, once it has nothing more to say.
    fn answered(&mut self, time: &str, or_else: &str) -> Result<Answer, Stop> {
        let in_vain = |stop| match stop {
            Stop::Failed(failure) => Stop::Failed(failure.at(or_else)),
            Stop::Ended => Stop::Ended,
        };
        let mut settled = self.settled(time, &|server| server.spoken.answer().is_some());
        loop {
            settled?;
            if let Some(answer) = self.server.spoken.at_rest() {
                if matches!(answer, Answer::Failed(_)) {
                    // The server may have told somebody.
                    self.settled(time, &|_| true)?;
                }
                return Ok(answer);
            }
            self.server.turn(None).map_err(in_vain)?;
            settled = self.settled(time, &|server| server.spoken.answer().is_some()).map_err(in_vain);
        }
    }

    fn called(&mut self, name: &str, record: RecordId, body: &Value, time: &str) -> Result<Answer, Stop> {
        let calling = self.client.calls.get(name).cloned().unwrap_or_else(|| match self.client.server {
            Kind::NatsStreaming => Calling::Http(Request { method: "POST".to_owned(), path: format!("/{name}") }),
            Kind::Nats(_) => Calling::Nats(name.to_owned()),
        });
        let Request { method, path } = match calling {
            Calling::Http(request) => request,
            Calling::Nats(subject) => {
                let subject = subject.replace("{record}", &record.to_string());
                self.server.spoken.call(&subject, body).map_err(|wrong| self.server.fail(&wrong))?;
                return self.answered(time, &format!("it does not answer the request on `{subject}`"));
            }
        };
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

    /// Says what its records are now, as far as they are others than before; whether any is.
    fn show(&mut self, port: &mut dyn Port) -> Result<bool, Stop> {
        let text = match self.client.records.clone() {
            None => return Ok(false),
            Some(Records::Printed(command)) => {
                let mut words = command.into_iter().map(Into::into);
                let (program, arguments) = (words.next().unwrap_or_default(), words.collect());
                let process = Process { program, arguments, ..self.client.process.clone() };
                probe::printed(&process.with_env("PORT", self.port.to_string()), &self.folder)?
            }
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
        let is_new = self.shown != shown;
        self.shown = shown;
        Ok(is_new)
    }

    /// Does what was heard.
    fn act(&mut self, port: &mut dyn Port) -> Result<(), Failure> {
        let timer = |id: u32| RecordId::new('z', id);
        for heard in std::mem::take(&mut self.server.heard) {
            match heard {
                Heard::Published { subject, headers, body } => {
                    port.publish(&subject, headers, body).map_err(|failure| self.server.spawned.wrong(failure))?;
                }
                Heard::Armed { id, after } => port.arm(timer(id), after, TIMEOUT.to_owned(), Value::Null),
                Heard::CalledOff { id } => port.call_off(timer(id), TIMEOUT.to_owned()),
                Heard::Said(said) => port.log(&format!("{}: {said}", self.service)),
            }
        }
        Ok(())
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
                let is_acked = self.server.spoken.answer() == Some(Answer::Done);
                let last = self.server.spawned.last_line();
                let status = self.server.spawned.ended().map_or_else(String::new, |status| format!(" ({status})"));
                self.start_again(self.starts + 1, true)?;
                self.server.begin();
                self.server.heard = heard;
                match input {
                    Input::Delivery(_) if is_acked => Answer::Done,
                    _ => Answer::Failed(format!("the process ended{status}{last}")),
                }
            }
        };
        let did = self.server.heard.iter().any(|heard| !matches!(heard, Heard::Said(_)));
        self.act(port)?;
        match self.show(port) {
            Ok(is_new) => {
                self.server.spoken.over(answer != Answer::Done && !did && !is_new);
                Ok(answer)
            }
            Err(Stop::Failed(failure)) => Err(failure),
            Err(Stop::Ended) => Err(ended(&mut self.server)),
        }
    }

    fn crash(&mut self) -> Result<(), Failure> {
        self.start_again(self.starts + 1, true)
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.server.spawned.end();
        self.folder.clear()?;
        self.shown = BTreeMap::new();
        self.start_again(0, false)
    }
}
