//! A service of a simulation whose handlers are code that runs elsewhere.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;
use crate::codec::Codec;
use crate::pool::{FRESH, Pool};
use crate::port::{Answer, Code, Delivered, Found, Input, Port, Put, Removed, Running, Saved, State};
use crate::state::{Inputs, Kept, Snapshot, What};
use pellmell_core::determinism::first_difference;
use pellmell_core::event::{Command, Event, System};
use pellmell_core::hash;
use pellmell_core::ids::{Reason, RecordId, Subject, Version};
use pellmell_core::service::{AckTiming, Context, Outcome, Outside, PublishMode, Rejection, Service, Timer, Work};
use pellmell_core::store::{Record, Schema, Store, VersionPolicy};

/// A service of a simulation whose handlers are [`Code`].
///
/// It saves first and publishes then, without a transaction around both ([`PublishMode::DualWrite`]), unless said
/// otherwise; it has no collections and listens to nothing unless said otherwise.
pub struct CodeService<S: System> {
    name: String,
    codec: Arc<dyn Codec<S>>,
    started: Arc<Started>,
    collections: Vec<Collection>,
    subjects: Vec<Subject>,
    /// How saves and publishes hang together, for commands, deliveries and timers.
    publishing: [PublishMode; 3],
    acking: AckTiming,
    tries_looked_at: u16,
}

impl<S: System> fmt::Debug for CodeService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeService").field("name", &self.name).field("state", &self.state()).finish_non_exhaustive()
    }
}

/// Up to which attempt handlers may look at its number, unless said otherwise.
const TRIES: u16 = 5;

/// Code that is started, of which services of several simulations may share the instances.
pub struct Started {
    state: State,
    /// What it says that it keeps when it starts, if it does say that.
    first: Snapshot,
    pool: Pool,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Started {
    /// Starts an instance of a service.
    ///
    /// # Errors
    /// If the code does not start.
    pub fn new(service: &str, code: impl Code) -> Result<Started, Failure> {
        let mut instance = code.start(service).map_err(|failure| failure.at(service))?;
        let (state, pool) = (instance.state(), Pool::new(Box::new(code), service.to_owned()));
        let first = match state {
            State::Snapshot => Snapshot::of(&instance.snapshot().map_err(|failure| failure.at(service))?),
            State::Records | State::Own => Snapshot::of(&Value::Null),
        };
        pool.give(if state == State::Snapshot { first.hash() } else { FRESH }, instance);
        Ok(Started { state, first, pool })
    }

    /// What it keeps, and where.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }
}

/// What can be done with records of one type.
struct Collection {
    kind: char,
    declare: fn(&mut Schema, VersionPolicy, bool),
    policy: VersionPolicy,
    is_owned: bool,
    find: fn(&Store, RecordId) -> Option<Found>,
    all: fn(&Store) -> Vec<Found>,
    save: Save,
    remove: Remove,
}

type Save = fn(&mut Store, RecordId, Value, Put, Option<Version>) -> Result<Saved, String>;

type Remove = fn(&mut Store, RecordId, Option<Version>) -> Removed;

impl Collection {
    fn of<R: Record + DeserializeOwned>(policy: VersionPolicy, is_owned: bool) -> Collection {
        Collection {
            kind: R::KIND,
            declare: |schema, policy, is_owned| {
                if is_owned {
                    schema.owns::<R>(policy)
                } else {
                    schema.keeps::<R>(policy)
                };
            },
            policy,
            is_owned,
            find: |store, record| {
                let row = store.find::<R>(record)?;
                Some(Found { record, version: row.version, value: shown(&row.value) })
            },
            all: |store| {
                let rows = store.all::<R>();
                rows.map(|(record, row)| Found { record, version: row.version, value: shown(&row.value) }).collect()
            },
            save: |store, record, value, put, version| {
                let text = value.to_string();
                let value: R = serde_json::from_value(value)
                    .map_err(|error| format!("`{record}` is none of `{}`: {error}: {text}", R::COLLECTION))?;
                Ok(save(store, record, value, put, version))
            },
            remove: |store, record, expected| match expected {
                None => Ok(store.remove::<R>(record).map(|row| row.version)),
                Some(expected) => match store.remove_if_current::<R>(record, expected) {
                    Ok(row) => Ok(Some(row.version)),
                    Err(conflict) => Err(conflict.found),
                },
            },
        }
    }
}

fn shown<R: Record>(value: &R) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| error.to_string().into())
}

fn save<R: Record>(store: &mut Store, record: RecordId, value: R, put: Put, version: Option<Version>) -> Saved {
    let found = |store: &Store| store.find::<R>(record).map(|row| row.version);
    match (put, version) {
        (Put::Insert, None) => store.insert(record, value).map_err(|_| found(store)),
        (Put::Insert, Some(version)) => store.insert_as(record, value, version).map_err(|_| found(store)),
        (Put::IfCurrent(expected), None) => {
            store.save_if_current(record, value, expected).map_err(|conflict| conflict.found)
        }
        (Put::IfCurrent(expected), Some(version)) => {
            store.save_as(record, value, expected, version).map_err(|conflict| conflict.found)
        }
        (Put::Overwrite, None) => {
            let read = found(store);
            Ok(store.overwrite(record, value, read))
        }
        (Put::Overwrite, Some(version)) => {
            store.overwrite_as(record, value, version);
            Ok(version)
        }
    }
}

/// What a service keeps besides records, as it is at this very moment, whatever the handler has read before.
fn kept(store: &mut Store) -> Option<Kept> {
    let mut found = None;
    let look = |row: &Kept| {
        found = Some(row.clone());
        false
    };
    store.change_if::<Kept>(Kept::ID, look, |_| ());
    found
}

/// What a service keeps of its state.
impl<S: System> CodeService<S> {
    /// An instance in the state that inputs lead to: one that is in it, or one that is told what it lacks.
    fn instance_after(&self, inputs: &Inputs) -> Result<Box<dyn Running>, Failure> {
        let (mut lacks, mut rest) = (Vec::new(), inputs);
        let mut instance = loop {
            if let Some(instance) = self.started.pool.take(rest.hash()) {
                break instance;
            }
            let Some((last, before)) = rest.last() else { break self.started.pool.fresh()? };
            lacks.push(last);
            rest = before;
        };
        for (place, what) in (rest.count()..).zip(lacks.into_iter().rev()) {
            match what {
                What::Crash => instance.crash()?,
                What::Input { did, input } => tell_again(&mut *instance, did, input, place)?,
            }
        }
        Ok(instance)
    }
}

/// Tells an instance an input that another one was told in the same state.
fn tell_again(instance: &mut dyn Running, did: &str, input: &Input<'_>, place: u32) -> Result<(), Failure> {
    let mut port = Noting { port: None, did: String::new() };
    let answer = instance.tell(input, &mut port)?;
    let now = port.finish(&answer);
    if now == did {
        return Ok(());
    }
    let (first, second) = first_difference(did, &now);
    let told = format!("told the same again, it does something else: after {place} inputs, {}", input.in_words());
    Err(Failure::new(format!("{told}: `{first}` the first time, `{second}` now")))
}

impl<S: System> CodeService<S> {
    /// A service of that name, of which one instance is started at once.
    ///
    /// # Errors
    /// If the code does not start.
    pub fn new(name: impl Into<String>, code: impl Code, codec: impl Codec<S>) -> Result<CodeService<S>, Failure> {
        let name = name.into();
        let started = Started::new(&name, code)?;
        Ok(CodeService::of(name, Arc::new(started), codec))
    }

    /// A service of that name whose code is started already, perhaps for another simulation.
    #[must_use]
    pub fn of(name: impl Into<String>, started: Arc<Started>, codec: impl Codec<S>) -> CodeService<S> {
        let (name, codec, tries_looked_at) = (name.into(), Arc::new(codec), TRIES);
        let (collections, subjects) = (Vec::new(), Vec::new());
        let (publishing, acking) = ([PublishMode::DualWrite; 3], AckTiming::AfterSave);
        CodeService { name, codec, started, collections, subjects, publishing, acking, tries_looked_at }
    }

    /// What it keeps, and where.
    #[must_use]
    pub fn state(&self) -> State {
        self.started.state
    }

    /// Records that this service alone changes; every save raises the version.
    #[must_use]
    pub fn owns<R: Record + DeserializeOwned>(self) -> CodeService<S> {
        self.collection::<R>(VersionPolicy::EVERY_SAVE, true)
    }

    /// Replicas, or private notes; every save raises the version unless the service says which it is.
    #[must_use]
    pub fn keeps<R: Record + DeserializeOwned>(self) -> CodeService<S> {
        self.collection::<R>(VersionPolicy::EVERY_SAVE, false)
    }

    /// Records with versions by a policy, which it owns or keeps.
    #[must_use]
    pub fn collection<R: Record + DeserializeOwned>(mut self, policy: VersionPolicy, is_owned: bool) -> CodeService<S> {
        self.collections.push(Collection::of::<R>(policy, is_owned));
        self
    }

    /// The subjects that it listens to.
    #[must_use]
    pub fn listening<T: AsRef<str>>(mut self, subjects: impl IntoIterator<Item = T>) -> CodeService<S> {
        self.subjects.extend(subjects.into_iter().map(|subject| Subject::named(subject.as_ref())));
        self
    }

    /// How its saves and publishes hang together.
    #[must_use]
    pub fn publishing(self, publishing: PublishMode) -> CodeService<S> {
        CodeService { publishing: [publishing; 3], ..self }
    }

    /// Whether it acks after or before its saves.
    #[must_use]
    pub fn acking(self, acking: AckTiming) -> CodeService<S> {
        CodeService { acking, ..self }
    }

    /// It listens to what another service listens to, and publishes and acks as that one does: it stands in its place.
    /// What it owns and keeps is still to be said.
    #[must_use]
    pub fn like(mut self, other: &impl Service<S>) -> CodeService<S> {
        self.subjects = other.subjects().to_vec();
        self.publishing = [Work::Command, Work::Delivery, Work::Timer].map(|work| other.publish_mode(work));
        self.acking(other.ack_timing())
    }

    /// Up to which attempt its handlers may do something else than at the attempt before although nothing has changed
    /// meanwhile, such as to give up: the fifth unless said otherwise. A message that was refused so often and to no
    /// effect is taken to be refused until something changes; with 0, at once.
    #[must_use]
    pub fn looking_at_tries(self, tries_looked_at: u16) -> CodeService<S> {
        CodeService { tries_looked_at, ..self }
    }

    fn collection_of(&self, record: RecordId) -> Result<&Collection, Failure> {
        self.of_kind(record.kind()).map_err(|failure| failure.at(&record.to_string()))
    }

    fn of_kind(&self, kind: char) -> Result<&Collection, Failure> {
        let known = || {
            let kinds = self.collections.iter().map(|collection| format!("`{}`", collection.kind));
            kinds.collect::<Vec<_>>().join(", ")
        };
        let found = self.collections.iter().find(|collection| collection.kind == kind);
        found.ok_or_else(|| {
            Failure::new(format!("the service has no records of the kind `{kind}`: it has those of {}", known()))
        })
    }

    /// Tells code an input.
    fn tell(&self, input: Input<'static>, ctx: &mut Context<'_, S>) -> Answer {
        let told = match self.state() {
            State::Records => self.tell_with_records(&input, ctx),
            State::Snapshot => self.tell_with_snapshot(&input, ctx),
            State::Own => self.tell_with_inputs(input, ctx),
        };
        told.unwrap_or_else(|failure| panic!("{}", failure.at(&self.name)))
    }

    fn tell_with_records(&self, input: &Input<'_>, ctx: &mut Context<'_, S>) -> Result<Answer, Failure> {
        let mut instance = self.started.pool.any()?;
        let answer = instance.tell(input, &mut StorePort { service: self, ctx })?;
        self.started.pool.give(FRESH, instance);
        Ok(answer)
    }

    fn tell_with_snapshot(&self, input: &Input<'_>, ctx: &mut Context<'_, S>) -> Result<Answer, Failure> {
        let kept = kept(ctx.store);
        let (snapshot, crashed) = match &kept {
            Some(Kept::Snapshot(snapshot)) => (snapshot, false),
            Some(Kept::Crashed(snapshot)) => (snapshot, true),
            Some(Kept::Inputs(_)) | None => (&self.started.first, false),
        };
        let mut instance = match self.started.pool.take(snapshot.hash()).filter(|_| !crashed) {
            Some(instance) => instance,
            None => {
                let mut instance = self.started.pool.any()?;
                if crashed {
                    instance.crash()?;
                }
                instance.restore(&snapshot.value())?;
                instance
            }
        };
        let answer = instance.tell(input, &mut StorePort { service: self, ctx })?;
        let after = Snapshot::of(&instance.snapshot()?);
        self.started.pool.give(after.hash(), instance);
        let after = Kept::Snapshot(after);
        if kept.as_ref() != Some(&after) {
            keep(ctx.store, after);
        }
        Ok(answer)
    }

    fn tell_with_inputs(&self, input: Input<'static>, ctx: &mut Context<'_, S>) -> Result<Answer, Failure> {
        let inputs = inputs_of(ctx.store);
        let mut instance = self.instance_after(&inputs)?;
        let mut store = StorePort { service: self, ctx: &mut *ctx };
        let mut port = Noting { port: Some(&mut store), did: String::new() };
        let answer = instance.tell(&input, &mut port)?;
        let did = port.finish(&answer);
        if answer != Answer::Done && did.lines().count() == 1 {
            // It refused and did nothing that anybody sees: it is as if it had not been told.
            self.started.pool.give(inputs.hash(), instance);
            return Ok(answer);
        }
        let after = inputs.and(What::Input { did: did.into(), input: Arc::new(input) });
        self.started.pool.give(after.hash(), instance);
        keep(ctx.store, Kept::Inputs(after));
        Ok(answer)
    }
}

fn keep(store: &mut Store, kept: Kept) {
    let version = store.find::<Kept>(Kept::ID).map(|row| row.version);
    store.overwrite(Kept::ID, kept, version);
}

fn inputs_of(store: &mut Store) -> Inputs {
    match kept(store) {
        Some(Kept::Inputs(inputs)) => inputs,
        _ => Inputs::NONE,
    }
}

impl<S: System> Service<S> for CodeService<S> {
    fn name(&self) -> &str {
        &self.name
    }

    fn collections(&self, schema: &mut Schema) {
        if self.state() != State::Records {
            schema.keeps::<Kept>(VersionPolicy::EVERY_SAVE);
        }
        for collection in &self.collections {
            (collection.declare)(schema, collection.policy, collection.is_owned);
        }
    }

    fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    fn handle(&self, event: &S::Event, ctx: &mut Context<'_, S>) -> Outcome {
        let (attempt, now) = ctx.passed_on();
        if attempt <= self.tries_looked_at {
            // It may look at that.
            ctx.attempt();
        }
        let subject = ctx.subject().map_or_else(|| event.subject().name(), Subject::name);
        let (body, headers) = (self.codec.body(event), self.codec.headers(event));
        match self.tell(Input::Delivery(Delivered { subject, body, headers, attempt, now }), ctx) {
            Answer::Done => Outcome::Ack,
            Answer::Nak { reason, delay } => Outcome::Nak { reason: Reason::of(reason), delay },
            Answer::Failed(reason) | Answer::Refused { reason, .. } => Outcome::Silent(Reason::of(reason)),
        }
    }

    fn execute(&self, command: &S::Command, ctx: &mut Context<'_, S>) -> Result<(), Rejection> {
        let (record, (name, body)) = (command.record(), self.codec.call(command));
        let (_, now) = ctx.passed_on();
        match self.tell(Input::Call { name, record, body, now }, ctx) {
            Answer::Done => Ok(()),
            Answer::Refused { status, reason } => Err(Rejection::new(status, reason)),
            Answer::Failed(reason) | Answer::Nak { reason, .. } => Err(Rejection::new(500, reason)),
        }
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, S>) {
        let carries = timer.payload::<String>().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let (record, purpose, (_, now)) = (timer.record(), timer.purpose(), ctx.passed_on());
        let _ = self.tell(Input::Timer { record, purpose, carries, now }, ctx);
    }

    fn publish_mode(&self, work: Work) -> PublishMode {
        self.publishing[work as usize]
    }

    fn ack_timing(&self) -> AckTiming {
        self.acking
    }

    fn crashed(&self, store: &mut Store) {
        let before = if self.state() == State::Records { None } else { kept(store) };
        let after = match before {
            Some(Kept::Inputs(inputs)) => Kept::Inputs(inputs.and(What::Crash)),
            Some(Kept::Snapshot(snapshot)) => Kept::Crashed(snapshot),
            _ => return,
        };
        keep(store, after);
    }
}

/// What code does while a handler of a simulation runs.
struct StorePort<'p, 'c, S: System> {
    service: &'p CodeService<S>,
    ctx: &'p mut Context<'c, S>,
}

impl<S: System> StorePort<'_, '_, S> {
    fn only_with_records(&self) -> Result<(), Failure> {
        match self.service.state() {
            State::Records => Ok(()),
            State::Snapshot | State::Own => Err(Failure::new(
                "it said that its state is its own: pellmell keeps no records that it could find or save",
            )),
        }
    }
}

impl<S: System> Port for StorePort<'_, '_, S> {
    fn find(&mut self, record: RecordId) -> Result<Option<Found>, Failure> {
        self.only_with_records()?;
        Ok((self.service.collection_of(record)?.find)(self.ctx.store, record))
    }

    fn all(&mut self, kind: char) -> Result<Vec<Found>, Failure> {
        self.only_with_records()?;
        Ok((self.service.of_kind(kind)?.all)(self.ctx.store))
    }

    fn save(&mut self, record: RecordId, value: Value, put: Put, version: Option<Version>) -> Result<Saved, Failure> {
        self.only_with_records()?;
        (self.service.collection_of(record)?.save)(self.ctx.store, record, value, put, version).map_err(Failure::new)
    }

    fn remove(&mut self, record: RecordId, expected: Option<Version>) -> Result<Removed, Failure> {
        self.only_with_records()?;
        Ok((self.service.collection_of(record)?.remove)(self.ctx.store, record, expected))
    }

    fn removed(&mut self, record: RecordId) -> Result<(), Failure> {
        // What is not there need not be removed.
        let _ = (self.service.collection_of(record)?.remove)(self.ctx.store, record, None);
        Ok(())
    }

    fn saved(&mut self, record: RecordId, version: Version, value: Value) -> Result<(), Failure> {
        let collection = self.service.collection_of(record)?;
        let saved = (collection.save)(self.ctx.store, record, value, Put::Overwrite, Some(version));
        saved.map(|_| ()).map_err(Failure::new)
    }

    fn publish(&mut self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<(), Failure> {
        let event = self.service.codec.event(subject, headers, body);
        let wrong = |error| Failure::new(format!("a message on `{subject}`: {error}"));
        self.ctx.publish(event.map_err(wrong)?);
        Ok(())
    }

    fn arm(&mut self, record: RecordId, after: Duration, purpose: String, carries: Value) {
        let (_, now) = self.ctx.passed_on();
        let timer = Timer::of(record, now.after(after));
        let timer = if purpose.is_empty() { timer } else { timer.with_purpose(purpose) };
        self.ctx.arm_timer(if carries.is_null() { timer } else { timer.carrying(carries.to_string()) });
    }

    fn call_off(&mut self, record: RecordId, purpose: String) {
        self.ctx.call_off(record, purpose);
    }

    fn outside(&mut self, name: String, record: RecordId) {
        self.ctx.outside(Outside::of(name, record));
    }

    fn outside_after_saving(&mut self, name: String, record: RecordId) {
        self.ctx.outside(Outside::of(name, record).after_saving());
    }

    fn commit(&mut self) {
        self.ctx.commit();
    }

    fn log(&mut self, line: &str) {
        tracing::info!(service = %self.service.name, "{line}");
    }
}

/// A port that notes what is done through it, and leaves that to another one, if there is one.
struct Noting<'p> {
    port: Option<&'p mut dyn Port>,
    did: String,
}

impl Noting<'_> {
    fn note(&mut self, line: fmt::Arguments<'_>) {
        // A text takes all that is written to it.
        let _ = writeln!(self.did, "{line}");
    }

    fn finish(mut self, answer: &Answer) -> String {
        match answer {
            Answer::Done => self.note(format_args!("done")),
            Answer::Nak { reason, delay: None } => self.note(format_args!("nak: {reason}")),
            Answer::Nak { reason, delay: Some(delay) } => {
                self.note(format_args!("nak for {} ms: {reason}", delay.as_millis()));
            }
            Answer::Failed(reason) => self.note(format_args!("failed: {reason}")),
            Answer::Refused { status, reason } => self.note(format_args!("refused with {status}: {reason}")),
        }
        self.did
    }
}

impl Port for Noting<'_> {
    fn find(&mut self, record: RecordId) -> Result<Option<Found>, Failure> {
        self.port.as_mut().map_or(Ok(None), |port| port.find(record))
    }

    fn all(&mut self, kind: char) -> Result<Vec<Found>, Failure> {
        self.port.as_mut().map_or(Ok(Vec::new()), |port| port.all(kind))
    }

    fn save(&mut self, record: RecordId, value: Value, put: Put, version: Option<Version>) -> Result<Saved, Failure> {
        self.port.as_mut().map_or(Ok(Err(None)), |port| port.save(record, value, put, version))
    }

    fn remove(&mut self, record: RecordId, expected: Option<Version>) -> Result<Removed, Failure> {
        self.port.as_mut().map_or(Ok(Err(None)), |port| port.remove(record, expected))
    }

    fn removed(&mut self, record: RecordId) -> Result<(), Failure> {
        self.note(format_args!("removed {record}"));
        self.port.as_mut().map_or(Ok(()), |port| port.removed(record))
    }

    fn saved(&mut self, record: RecordId, version: Version, value: Value) -> Result<(), Failure> {
        self.note(format_args!("saved {record}@{version} {value}"));
        self.port.as_mut().map_or(Ok(()), |port| port.saved(record, version, value))
    }

    fn publish(&mut self, subject: &str, headers: BTreeMap<String, String>, body: Value) -> Result<(), Failure> {
        self.note(format_args!("publish on {subject} {headers:?} {body}"));
        self.port.as_mut().map_or(Ok(()), |port| port.publish(subject, headers, body))
    }

    fn arm(&mut self, record: RecordId, after: Duration, purpose: String, carries: Value) {
        self.note(format_args!("arm {record} {purpose} in {} ms {carries}", after.as_millis()));
        if let Some(port) = &mut self.port {
            port.arm(record, after, purpose, carries);
        }
    }

    fn call_off(&mut self, record: RecordId, purpose: String) {
        self.note(format_args!("call off {record} {purpose}"));
        if let Some(port) = &mut self.port {
            port.call_off(record, purpose);
        }
    }

    fn outside(&mut self, name: String, record: RecordId) {
        self.note(format_args!("outside {name} {record}"));
        if let Some(port) = &mut self.port {
            port.outside(name, record);
        }
    }

    fn outside_after_saving(&mut self, name: String, record: RecordId) {
        self.note(format_args!("outside {name} {record} after saving"));
        if let Some(port) = &mut self.port {
            port.outside_after_saving(name, record);
        }
    }

    fn commit(&mut self) {
        if let Some(port) = &mut self.port {
            port.commit();
        }
    }

    fn log(&mut self, line: &str) {
        if let Some(port) = &mut self.port {
            port.log(line);
        }
    }
}

impl Snapshot {
    /// The state of an instance that has it.
    fn hash(&self) -> u64 {
        hash::of_name(&self.0)
    }
}
