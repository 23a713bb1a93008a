//! What the incidents are told with: facts that services publish, requests that clients send, records.
//!
//! All of them are one [`System`], so that the simulator is compiled once for all incidents.

pub(crate) use std::time::Duration;

use pellmell::Rate;
use pellmell::Ratio;
pub(crate) use pellmell::broker::{Exhausted, Limit, MaxDeliver, RedeliverAt};
use pellmell::engine;
pub(crate) use pellmell::prelude::*;
pub(crate) use pellmell::testing::{Closures, at_quiescence};
pub(crate) use pellmell::{AckTiming, FaultPlan, PublishMode, Time};
pub(crate) use serde_json::json;

pub(crate) use crate::Incident;

/// The events and commands of all incidents.
pub struct Facts;

impl System for Facts {
    type Event = Fact;
    type Command = Request;
}

/// An event: something happened to a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Fact {
    /// What happened, which is also the subject: `order:paid`.
    pub what: &'static str,
    /// The record.
    pub record: RecordId,
    /// The version of the record that it announces, if it has any.
    pub version: Option<Version>,
    /// A number that it carries; 0 if it carries none.
    pub value: u32,
}

impl Fact {
    /// `Fact::of("order:paid", o1)`.
    pub(crate) fn of(what: &'static str, record: RecordId) -> Fact {
        Fact { what, record, version: None, value: 0 }
    }

    pub(crate) fn at(self, version: Version) -> Fact {
        Fact { version: Some(version), ..self }
    }

    pub(crate) fn saying(self, value: u32) -> Fact {
        Fact { value, ..self }
    }

    /// The number of the version that it announces.
    pub(crate) fn number(&self) -> u64 {
        self.version.map_or(0, |version| version.0)
    }
}

impl Event for Fact {
    fn subject(&self) -> Subject {
        Subject::new(self.what)
    }

    fn record(&self) -> RecordId {
        self.record
    }

    fn version(&self) -> Option<Version> {
        self.version
    }
}

/// A command: what a client asks a service for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Request {
    /// The service.
    pub to: &'static str,
    /// What it shall do.
    pub what: &'static str,
    /// The record it is about.
    pub record: RecordId,
    /// A number that it carries, if it carries one.
    pub value: Option<u32>,
}

impl Request {
    /// `Request::of("shop", "pay", o1)`.
    pub(crate) fn of(to: &'static str, what: &'static str, record: RecordId) -> Request {
        Request { to, what, record, value: None }
    }

    pub(crate) fn saying(self, value: u32) -> Request {
        Request { value: Some(value), ..self }
    }
}

impl Command for Request {
    fn service(&self) -> &str {
        self.to
    }

    fn record(&self) -> RecordId {
        self.record
    }

    fn label(&self) -> String {
        let Request { what, record, value, .. } = self;
        value.map_or_else(|| format!("{what} {record}"), |value| format!("{what} {record} {value}"))
    }
}

/// A record of one or more parts: `record!(Item(u32), "items", 'i')`.
macro_rules! record {
    ($name:ident($($part:ty),*), $collection:literal, $kind:literal) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
        struct $name($($part),*);

        impl Record for $name {
            const COLLECTION: &'static str = $collection;
            const KIND: char = $kind;
        }
    };
}
pub(crate) use record;

/// Every save of a record counts as a version.
pub(crate) const EVERY: VersionPolicy = VersionPolicy::EVERY_SAVE;

/// Several handlers of one process may be between their reads and their saves.
pub(crate) const ASYNC: Hosting = Hosting { overlapping: true, ..Hosting::ALONE };

/// Two processes run the service.
pub(crate) const TWO: Hosting = Hosting { members: 2, ..Hosting::ALONE };

const OFTEN: Rate = Rate::of(Ratio::new(1, 3));

/// What is drawn where handlers are slow, and a message comes again only for a reason.
pub(crate) const SLOW: FaultPlan =
    FaultPlan { pause: OFTEN, duplicate: FaultPlan::NONE.duplicate, swarm: false, ..FaultPlan::SOME };

/// What is drawn where besides members leave and lose what they own, with others in their inbox.
pub(crate) const MEMBERS: FaultPlan = FaultPlan { change: OFTEN, fetch: OFTEN, ..SLOW };

/// What is drawn where offsets are committed now and then: most of what was handled is not committed yet.
pub(crate) const OFFSETS: FaultPlan = FaultPlan { lose_ack: OFTEN, ..MEMBERS };

/// What is drawn where processes die often.
pub(crate) const CRASHES: FaultPlan = FaultPlan { crash: OFTEN, ..MEMBERS };

/// What is drawn where nothing goes wrong, and members fetch ahead.
pub(crate) const FETCHES: FaultPlan = FaultPlan { fetch: Rate::of(Ratio::new(1, 2)), ..FaultPlan::NONE };

/// What is drawn where publishers try again.
pub(crate) const RETRIES: FaultPlan = FaultPlan { republish: OFTEN, ..FaultPlan::SOME };

/// Begins a service.
pub(crate) fn service(name: &'static str) -> Closures<Facts> {
    testing::service(name)
}

/// A broker by the name of its profile.
pub(crate) fn broker(name: &str) -> Profile {
    Profile::named(name).expect("a profile that is simulated")
}

/// The engine of a broker, with some of its settings.
pub(crate) fn played<const N: usize>(name: &str, settings: [(&str, serde_json::Value); N]) -> Profile {
    let mut broker = engine::Profile::named(name).expect("a broker that an engine plays");
    for (setting, value) in settings {
        broker = broker.with(setting, value).expect("a setting that it has");
    }
    Profile::driven(&broker)
}

/// Ack waits in seconds.
pub(crate) fn seconds<const N: usize>(waits: [u64; N]) -> Vec<Duration> {
    waits.map(Duration::from_secs).to_vec()
}

/// Subjects by their names.
pub(crate) fn subjects<const N: usize>(names: [&'static str; N]) -> Vec<Subject> {
    names.map(Subject::new).to_vec()
}

/// Saves what a fact says of its record as the version that it announces, whatever is there.
pub(crate) fn keep<R: Record>(ctx: &mut Context<'_, Facts>, fact: &Fact, value: R) {
    let version = fact.version.unwrap_or(Version(0));
    let saved = match ctx.store.find::<R>(fact.record).map(|held| held.version) {
        None => ctx.store.insert_as(fact.record, value, version).is_ok(),
        Some(held) => ctx.store.save_as(fact.record, value, held, version).is_ok(),
    };
    assert!(saved, "one member handles one message at a time");
}

/// How many messages of this name were published about a record.
pub(crate) fn published(moment: &Moment<'_, Facts>, what: &str, record: RecordId) -> usize {
    let messages = moment.world().broker().messages();
    messages.iter().filter(|message| message.event.what == what && message.event.record == record).count()
}

/// Claims that a service says something at most once about each record.
pub(crate) fn at_most_once(name: &'static str, service: &'static str, what: &'static str) -> Box<dyn Property<Facts>> {
    at_quiescence(name, move |moment: &Moment<'_, Facts>| {
        let all = moment.world().broker().messages().iter().map(|message| &message.event);
        let mut of_it = all.filter(|fact| fact.what == what).map(|fact| fact.record);
        match of_it.find(|record| published(moment, what, *record) > 1) {
            Some(record) => {
                let times = published(moment, what, record);
                Err(Violation::at(service).of(record).because(format!("{what} {times} times, expected once")))
            }
            None => Ok(()),
        }
    })
}

/// Claims that a service has a copy of each record that another one owns, with the same value.
pub(crate) fn copied<R: Record>(
    name: &'static str,
    owner: &'static str,
    copy: &'static str,
) -> Box<dyn Property<Facts>> {
    at_quiescence(name, move |moment: &Moment<'_, Facts>| {
        moment.judge_copies(owner, copy, |owned: &Versioned<R>, found: Option<&Versioned<R>>| {
            let found = found.map(|found| &found.value);
            (found != Some(&owned.value)).then(|| {
                let found = found.map_or("nothing".to_owned(), |found| format!("{found:?}"));
                format!("expected {:?}, found {found}", owned.value)
            })
        })
    })
}
