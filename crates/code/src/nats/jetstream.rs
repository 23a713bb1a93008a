//! Streams and consumers as clients make and ask for them, and requests for messages that wait.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fits;

/// How long the server recognises the id of a message unless a stream says otherwise.
const DUPLICATES: Duration = Duration::from_secs(120);
const ACK_WAIT: Duration = Duration::from_secs(30);
/// A request that does not wait and finds nothing is answered after this time, and after twice as long each time up to
/// the most: one that asks again at once would never be at rest.
const NO_WAIT: Duration = Duration::from_millis(1);
const NO_WAIT_MOST: Duration = Duration::from_millis(128);
/// When everything was created. There is no other clock than the simulation's.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// What the server has that outlives connections.
#[derive(Debug, Default)]
pub(crate) struct JetStream {
    pub(crate) streams: BTreeMap<String, Stream>,
    pub(crate) consumers: BTreeMap<Key, Consumer>,
    pulls: Vec<Pull>,
    ephemeral: u32,
}

/// A stream, and a consumer of it.
pub(crate) type Key = (String, String);

#[derive(Debug)]
pub(crate) struct Stream {
    config: Value,
    subjects: Vec<String>,
    pub(crate) last: u64,
    window: Duration,
    /// By the ids that publishers gave.
    ids: BTreeMap<String, (u64, Duration)>,
}

/// How a service wants what it consumes.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    config: Value,
    filters: Vec<String>,
    /// Where the server pushes what comes, if it is not asked for it.
    pub(crate) pushes_to: Option<String>,
    pub(crate) acks: bool,
    pub(crate) wait: Vec<Duration>,
    pub(crate) delivered: u64,
    /// How often a message is delivered to it at most.
    pub(crate) max_deliver: Option<u16>,
    heartbeat: Option<Beat>,
    no_wait: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Beat {
    every: Duration,
    next: Duration,
}

impl Beat {
    fn of(every: Duration, now: Duration) -> Option<Beat> {
        (!every.is_zero()).then(|| Beat { every, next: now + every })
    }
}

/// A request for messages that waits.
#[derive(Debug)]
struct Pull {
    of: Key,
    inbox: String,
    left: u64,
    expires: Option<Duration>,
    /// When it is told that there is nothing, if it does not wait.
    nothing: Option<Duration>,
    heartbeat: Option<Beat>,
}

/// What the server says to whoever listens on a subject.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Says {
    pub(crate) to: String,
    pub(crate) status: &'static str,
    pub(crate) headers: String,
}

/// What a publisher is told.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) duplicate: bool,
}

fn nanos(config: &Value, name: &str) -> Option<Duration> {
    config[name].as_u64().filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// A configuration with what a server puts where nothing is said.
fn filled(given: &Value, usual: &Value) -> Value {
    let mut config = object(usual);
    config.extend(object(given).into_iter().filter(|(_, value)| !value.is_null()));
    Value::Object(config)
}

fn error(code: u16, err_code: u32, description: &str) -> Value {
    json!({ "error": { "code": code, "err_code": err_code, "description": description } })
}

fn no_stream() -> Value {
    error(404, 10_059, "stream not found")
}

fn no_consumer() -> Value {
    error(404, 10_014, "consumer not found")
}

impl JetStream {
    /// A stream that is there although no service has made it.
    pub(crate) fn declare(&mut self, name: &str, subjects: &[String]) {
        self.add_stream(name, &json!({ "name": name, "subjects": subjects }));
    }

    fn add_stream(&mut self, name: &str, config: &Value) {
        let usual = json!({
            "retention": "limits", "max_consumers": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0,
            "max_msgs_per_subject": -1, "max_msg_size": -1, "discard": "old", "storage": "file", "num_replicas": 1,
            "duplicate_window": 120_000_000_000u64, "subjects": [name],
        });
        let config = filled(config, &usual);
        let (subjects, window) = (texts(&config["subjects"]), nanos(&config, "duplicate_window").unwrap_or(DUPLICATES));
        let last = self.streams.get(name).map_or(0, |stream| stream.last);
        self.streams.insert(name.to_owned(), Stream { config, subjects, last, window, ids: BTreeMap::new() });
    }

    /// The stream that takes messages on a subject.
    pub(crate) fn stream_of(&self, subject: &str) -> Option<&str> {
        let takes = |stream: &Stream| stream.subjects.iter().any(|pattern| fits(pattern, subject));
        self.streams.iter().find(|(_, stream)| takes(stream)).map(|(name, _)| name.as_str())
    }

    /// The consumers that want messages on a subject.
    pub(crate) fn consumers_of<'a>(&'a self, subject: &'a str) -> impl Iterator<Item = (&'a Key, &'a Consumer)> {
        let stream = self.stream_of(subject);
        let wants = move |consumer: &Consumer| {
            consumer.filters.is_empty() || consumer.filters.iter().any(|pattern| fits(pattern, subject))
        };
        self.consumers.iter().filter(move |((of, _), consumer)| Some(of.as_str()) == stream && wants(consumer))
    }

    /// Stores a message that a service publishes, unless its id is known. `None` if no stream takes it.
    pub(crate) fn store(&mut self, subject: &str, id: Option<&str>, now: Duration) -> Option<Stored> {
        let name = self.stream_of(subject)?.to_owned();
        let stream = self.streams.get_mut(&name)?;
        let window = stream.window;
        stream.ids.retain(|_, (_, at)| *at + window > now);
        if let Some((sequence, _)) = id.and_then(|id| stream.ids.get(id)) {
            return Some(Stored { stream: name, sequence: *sequence, duplicate: true });
        }
        stream.last += 1;
        if let Some(id) = id {
            stream.ids.insert(id.to_owned(), (stream.last, now));
        }
        Some(Stored { stream: name, sequence: stream.last, duplicate: false })
    }

    /// The answer to a request of the interface, whose subject begins with `$JS.API.`; an error if it is one that is
    /// not played.
    pub(crate) fn answer(&mut self, request: &str, payload: &[u8], now: Duration) -> Result<Value, String> {
        let body: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        let tokens: Vec<&str> = request.split('.').collect();
        match tokens.as_slice() {
            ["INFO"] => Ok(json!({
                "type": "io.nats.jetstream.api.v1.account_info_response", "memory": 0, "storage": 0,
                "streams": self.streams.len(), "consumers": self.consumers.len(), "api": { "total": 0, "errors": 0 },
                "limits": { "max_memory": -1, "max_storage": -1, "max_streams": -1, "max_consumers": -1 },
            })),
            ["STREAM", "INFO", name] => Ok(self.stream_info(name)),
            ["STREAM", "CREATE" | "UPDATE", name] => {
                let given = texts(&body["subjects"]);
                let others = self.streams.iter().filter(|(other, _)| other.as_str() != *name);
                let taken = others.flat_map(|(_, stream)| &stream.subjects);
                if taken
                    .into_iter()
                    .any(|other| given.iter().any(|subject| fits(other, subject) || fits(subject, other)))
                {
                    return Ok(error(400, 10_065, "subjects overlap with an existing stream"));
                }
                for unknown in ["mirror", "sources", "republish", "subject_transform"] {
                    if body.get(unknown).is_some_and(|value| !value.is_null()) {
                        return Err(format!("a stream with `{unknown}`"));
                    }
                }
                self.add_stream(name, &body);
                Ok(self.stream_info(name))
            }
            ["STREAM", "NAMES"] => {
                let names: Vec<&str> = match body["subject"].as_str() {
                    Some(subject) => self.stream_of(subject).into_iter().collect(),
                    None => self.streams.keys().map(String::as_str).collect(),
                };
                let total = names.len();
                Ok(json!({ "total": total, "offset": 0, "limit": 1024, "streams": names }))
            }
            ["CONSUMER", "INFO", stream, name] => Ok(self.consumer_info(&(stream.to_string(), name.to_string()))),
            ["CONSUMER", "CREATE", stream, ..] | ["CONSUMER", "DURABLE", "CREATE", stream, _] => {
                self.create_consumer(stream, &body["config"], now)
            }
            ["CONSUMER", "DELETE", stream, name] => {
                let key = (stream.to_string(), name.to_string());
                self.pulls.retain(|pull| pull.of != key);
                let success = self.consumers.remove(&key).is_some();
                Ok(if success { json!({ "success": true }) } else { no_consumer() })
            }
            ["CONSUMER", "NAMES", stream] => {
                let of = |key: &&Key| key.0 == *stream;
                let names: Vec<&str> = self.consumers.keys().filter(of).map(|key| key.1.as_str()).collect();
                Ok(json!({ "total": names.len(), "offset": 0, "limit": 1024, "consumers": names }))
            }
            _ => Err(format!("the request `$JS.API.{request}`")),
        }
    }

    fn stream_info(&self, name: &str) -> Value {
        let Some(stream) = self.streams.get(name) else { return no_stream() };
        let consumers = self.consumers.keys().filter(|(of, _)| of == name).count();
        json!({
            "type": "io.nats.jetstream.api.v1.stream_info_response", "config": stream.config, "created": CREATED,
            "ts": CREATED,
            "state": {
                "messages": stream.last, "bytes": 0, "first_seq": 1, "first_ts": CREATED, "last_seq": stream.last,
                "last_ts": CREATED, "consumer_count": consumers,
            },
        })
    }

    fn consumer_info(&self, key: &Key) -> Value {
        if !self.streams.contains_key(&key.0) {
            return no_stream();
        }
        let Some(consumer) = self.consumers.get(key) else { return no_consumer() };
        let at = json!({ "consumer_seq": consumer.delivered, "stream_seq": consumer.delivered });
        json!({
            "type": "io.nats.jetstream.api.v1.consumer_info_response", "stream_name": key.0, "name": key.1,
            "created": CREATED, "ts": CREATED, "config": consumer.config, "delivered": at, "ack_floor": at,
            "num_ack_pending": 0, "num_redelivered": 0, "num_waiting": 0, "num_pending": 0,
        })
    }

    fn create_consumer(&mut self, stream: &str, config: &Value, now: Duration) -> Result<Value, String> {
        if !self.streams.contains_key(stream) {
            return Ok(no_stream());
        }
        for unknown in ["priority_groups", "pause_until", "headers_only", "rate_limit_bps"] {
            let is_said = |value: &Value| !matches!(value, Value::Null | Value::Bool(false)) && *value != json!([]);
            if config.get(unknown).is_some_and(is_said) {
                return Err(format!("a consumer with `{unknown}`"));
            }
        }
        let name = match config["name"].as_str().or(config["durable_name"].as_str()) {
            Some(name) => name.to_owned(),
            None => {
                self.ephemeral += 1;
                format!("ephemeral-{}", self.ephemeral)
            }
        };
        let usual = json!({
            "name": name, "deliver_policy": "all", "ack_policy": "none", "ack_wait": 30_000_000_000u64,
            "max_deliver": -1, "replay_policy": "instant", "max_ack_pending": 1000, "max_waiting": 512,
            "num_replicas": 0,
        });
        let config = filled(config, &usual);
        let mut filters = texts(&config["filter_subjects"]);
        filters.extend(config["filter_subject"].as_str().filter(|subject| !subject.is_empty()).map(str::to_owned));
        let backoff = config["backoff"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let mut wait: Vec<Duration> = backoff.map(Duration::from_nanos).collect();
        if wait.is_empty() {
            wait.push(nanos(&config, "ack_wait").unwrap_or(ACK_WAIT));
        }
        let key = (stream.to_owned(), name);
        let consumer = Consumer {
            filters,
            pushes_to: config["deliver_subject"].as_str().map(str::to_owned),
            acks: config["ack_policy"] != "none",
            wait,
            delivered: self.consumers.get(&key).map_or(0, |consumer| consumer.delivered),
            max_deliver: config["max_deliver"].as_i64().and_then(|times| u16::try_from(times).ok()).filter(|n| *n > 0),
            heartbeat: nanos(&config, "idle_heartbeat").and_then(|every| Beat::of(every, now)),
            no_wait: NO_WAIT,
            config,
        };
        self.consumers.insert(key.clone(), consumer);
        Ok(self.consumer_info(&key))
    }

    /// Takes a request for messages.
    pub(crate) fn pull(&mut self, key: Key, inbox: &str, payload: &[u8], now: Duration) -> Result<(), String> {
        let Some(consumer) = self.consumers.get_mut(&key) else {
            return Err(format!("a request for messages of the consumer `{}`, which is not there", key.1));
        };
        if consumer.pushes_to.is_some() {
            return Err(format!("a request for messages of the consumer `{}`, to which they are pushed", key.1));
        }
        let body: Value = match payload {
            [] => json!({ "batch": 1 }),
            payload => serde_json::from_slice(payload).map_err(|error| format!("a request for messages: {error}"))?,
        };
        for unknown in ["group", "min_pending", "min_ack_pending"] {
            if body.get(unknown).is_some_and(|value| !value.is_null()) {
                return Err(format!("a request for messages with `{unknown}`"));
            }
        }
        let left = body.as_u64().or(body["batch"].as_u64()).unwrap_or(1).max(1);
        let nothing = (body["no_wait"] == true).then(|| {
            let after = consumer.no_wait;
            consumer.no_wait = (after * 2).min(NO_WAIT_MOST);
            now + after
        });
        let expires = nanos(&body, "expires").map(|after| now + after);
        let heartbeat = nanos(&body, "idle_heartbeat").and_then(|every| Beat::of(every, now));
        self.pulls.push(Pull { of: key, inbox: inbox.to_owned(), left, expires, nothing, heartbeat });
        Ok(())
    }

    /// Whether a request for messages of a consumer waits.
    pub(crate) fn is_asked(&self, key: &Key) -> bool {
        self.pulls.iter().any(|pull| pull.of == *key)
    }

    /// Where the next message of a consumer goes that is asked for, and what else its asker is told.
    pub(crate) fn take(&mut self, key: &Key, now: Duration) -> Option<(String, Option<Says>)> {
        let at = self.pulls.iter().position(|pull| pull.of == *key)?;
        let pull = &mut self.pulls[at];
        pull.left -= 1;
        let inbox = pull.inbox.clone();
        if let Some(beat) = &mut pull.heartbeat {
            beat.next = now + beat.every;
        }
        let says = pull.nothing.filter(|_| pull.left > 0).map(|_| nothing_for(&inbox));
        if pull.left == 0 || pull.nothing.is_some() {
            self.pulls.remove(at);
        }
        if let Some(consumer) = self.consumers.get_mut(key) {
            consumer.no_wait = NO_WAIT;
        }
        Some((inbox, says))
    }

    /// Forgets the consumers that are gone with whoever made them: those that are not durable.
    pub(crate) fn forget_ephemeral(&mut self) {
        self.consumers.retain(|_, consumer| consumer.config["durable_name"].is_string());
    }

    /// Forgets requests whose inboxes nobody listens to, and what is not kept without connections.
    pub(crate) fn keep_pulls(&mut self, is_heard: impl Fn(&str) -> bool) {
        self.pulls.retain(|pull| is_heard(&pull.inbox));
    }

    /// When the server does something by itself next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let of_pull = |pull: &Pull| {
            let beat = pull.heartbeat.map(|beat| beat.next);
            [pull.expires, pull.nothing, beat].into_iter().flatten().min()
        };
        let beats = self.consumers.values().filter(|consumer| consumer.pushes_to.is_some());
        let beats = beats.filter_map(|consumer| consumer.heartbeat.map(|beat| beat.next));
        self.pulls.iter().filter_map(of_pull).chain(beats).min()
    }

    /// What the server says by itself at this time.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Says> {
        let mut says = Vec::new();
        self.pulls.retain_mut(|pull| {
            if pull.nothing.is_some_and(|at| at <= now) {
                says.push(nothing_for(&pull.inbox));
                return false;
            }
            if pull.expires.is_some_and(|at| at <= now) {
                let headers = format!("Nats-Pending-Messages: {}\r\nNats-Pending-Bytes: 0\r\n", pull.left);
                says.push(Says { to: pull.inbox.clone(), status: "408 Request Timeout", headers });
                return false;
            }
            beat(&mut pull.heartbeat, &pull.inbox, now, &mut says);
            true
        });
        for consumer in self.consumers.values_mut() {
            if let Some(to) = &consumer.pushes_to {
                beat(&mut consumer.heartbeat, to, now, &mut says);
            }
        }
        says
    }
}

fn nothing_for(inbox: &str) -> Says {
    Says { to: inbox.to_owned(), status: "404 No Messages", headers: String::new() }
}

fn beat(heartbeat: &mut Option<Beat>, to: &str, now: Duration, says: &mut Vec<Says>) {
    if let Some(beat) = heartbeat.as_mut().filter(|beat| beat.next <= now) {
        beat.next = now + beat.every;
        says.push(Says { to: to.to_owned(), status: "100 Idle Heartbeat", headers: String::new() });
    }
}

/// What a consumer asks of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How long it waits for an ack, by attempt; the last for all that come later.
    pub wait: Vec<Duration>,
    /// How often a message is delivered at most.
    pub max_deliver: Option<u16>,
    /// How many messages are with it at most that are not acked.
    pub max_ack_pending: Option<u64>,
    /// Whether an ack is for all before it as well.
    pub cumulative: bool,
}

impl Wanted {
    pub(crate) fn of((_, name): &Key, consumer: &Consumer) -> Wanted {
        let number = |of: &str| consumer.config[of].as_i64().filter(|number| *number > 0);
        Wanted {
            name: name.clone(),
            wait: consumer.wait.clone(),
            max_deliver: consumer.max_deliver,
            max_ack_pending: number("max_ack_pending").and_then(|number| u64::try_from(number).ok()),
            cumulative: consumer.config["ack_policy"] == "all",
        }
    }
}
