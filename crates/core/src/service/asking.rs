//! Asking another service: a synchronous request whose answer is of what that holds, or held before, or none.

use std::fmt;

use super::{AnswerFault, Context};
use crate::event::System;
use crate::ids::{RecordId, ServiceIndex, Version};
use crate::store::{Record, Store, Versioned};

/// A service that another one asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedService {
    pub(crate) name: &'static str,
    pub(crate) service: ServiceIndex,
}

/// How far the store of an asked service was when a handler paused that may ask it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedAt {
    /// Which pause it was.
    pub(crate) pause: u32,
    pub(crate) service: ServiceIndex,
    pub(crate) tick: u64,
}

/// The stores of the services that a handler may ask.
#[derive(Clone, Copy)]
pub(crate) struct Others<'a> {
    /// All stores before that of its own service, and all behind it.
    pub(crate) before: &'a [Store],
    pub(crate) after: &'a [Store],
    pub(crate) asks: &'a [AskedService],
    /// If it has paused: which pause it was, and how far stores were at pauses.
    pub(crate) paused: Option<(u32, &'a [AskedAt])>,
    pub(crate) fault: Option<AnswerFault>,
}

impl<'a> Others<'a> {
    /// The store of the service of that name, and as of which moment it is read.
    fn store_of(&self, name: &str) -> (&'static str, &'a Store, Option<u64>) {
        let Some(AskedService { name, service }) = self.asks.iter().find(|asked| asked.name == name).copied() else {
            not_named(name)
        };
        let place = service.get();
        let store = match place.checked_sub(self.before.len() + 1) {
            Some(place) => &self.after[place],
            None => &self.before[place],
        };
        let at = self.paused.and_then(|(pause, asked_at)| {
            asked_at.iter().find(|at| at.pause == pause && at.service == service).map(|at| at.tick)
        });
        (name, store, at)
    }
}

#[cold]
fn not_named(name: &str) -> ! {
    panic!("a handler asks `{name}`, which its service does not name: add it to `Service::asks`")
}

/// Another service gave no answer: a timeout, or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for NoAnswer {}

/// What came of the questions of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Asking {
    /// It asked nothing.
    #[default]
    Nothing,
    /// It was told what is there.
    Answered,
    /// It was told otherwise once at least, or nothing.
    Misled,
}

/// A question of a handler to another service, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    service: &'static str,
    about: About,
    answer: Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    Record(RecordId),
    All(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The version that it was told of a record, and the one that is there.
    Record(Option<Version>, Option<Version>),
    /// How many records it was told, and whether they are those that are there.
    All(usize, bool),
}

impl Asked {
    fn came(&self) -> Asking {
        let is_so = match self.answer {
            Told::Nothing => false,
            Told::Record(told, there) => told == there,
            Told::All(_, is_so) => is_so,
        };
        if is_so { Asking::Answered } else { Asking::Misled }
    }
}

/// Written `shop: i1@1`, `shop: i1@0 (stale: i1@1)`, `shop: no i1`, `shop: no answer`, `shop: 2 items`.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { service, about, answer } = self;
        write!(f, "{service}: ")?;
        let row = |id: &RecordId, version: Option<Version>| match version {
            Some(version) => format!("{id}@{version}"),
            None => format!("no {id}"),
        };
        match (about, answer) {
            (_, Told::Nothing) => f.write_str("no answer"),
            (About::Record(id), Told::Record(told, there)) => {
                f.write_str(&row(id, *told))?;
                if told == there { Ok(()) } else { write!(f, " (stale: {})", row(id, *there)) }
            }
            (About::All(collection), Told::All(records, is_so)) => {
                write!(f, "{records} {collection}{}", if *is_so { "" } else { " (stale)" })
            }
            _ => Ok(()),
        }
    }
}

impl<'a, S: System> Context<'a, S> {
    /// Asks another service for a record, by a synchronous request such as an HTTP GET: `None` if it has none.
    ///
    /// The answer is what that service holds in this moment; if the handler pauses, in the moment in which it read.
    /// It may be a stale one ([`AnswerFault::Stale`]), as a read replica that lags or a cache gives it: the record as
    /// it was before it was last saved there. The service that asks names those that it asks
    /// ([`Service::asks`](crate::Service::asks)).
    ///
    /// ```
    /// # use pellmell::doc_example::{Changed, Item, Shop};
    /// # use pellmell::{Context, Outcome};
    /// /// An event says that something has changed; what it is now, its owner knows.
    /// fn handle(event: &Changed, ctx: &mut Context<'_, Shop>) -> Outcome {
    ///     match ctx.ask::<Item>("shop", event.item) {
    ///         Ok(Some(item)) => {
    ///             ctx.store.overwrite(event.item, item.value.clone(), None);
    ///             Outcome::Ack
    ///         }
    ///         Ok(None) => Outcome::nak("the shop does not know it"),
    ///         Err(_) => Outcome::Silent("the shop does not answer"),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// If there is no answer ([`AnswerFault::Missing`]).
    ///
    /// # Panics
    /// If the service that asks does not name the other one, if the record type is not declared there, or if the id
    /// has another kind's letter.
    pub fn ask<R: Record>(&mut self, service: &str, id: RecordId) -> Result<Option<&'a Versioned<R>>, NoAnswer> {
        let (name, question) = self.question::<R>(service, About::Record(id));
        let Question { store, at, is_stale } = question?;
        let (told, there) = store.asked::<R>(id, at, is_stale);
        let version = |row: Option<&Versioned<R>>| row.map(|row| row.version);
        self.note(Asked {
            service: name,
            about: About::Record(id),
            answer: Told::Record(version(told), version(there)),
        });
        Ok(told)
    }

    /// Asks another service for all records of a collection, by id: [`Context::ask`] for a list.
    ///
    /// # Errors
    /// If there is no answer.
    ///
    /// # Panics
    /// As [`Context::ask`].
    pub fn ask_all<R: Record>(&mut self, service: &str) -> Result<Vec<(RecordId, &'a Versioned<R>)>, NoAnswer> {
        let about = About::All(R::COLLECTION);
        let (name, question) = self.question::<R>(service, about.clone());
        let Question { store, at, is_stale } = question?;
        let answers = store.ids::<R>().map(|id| (id, store.asked::<R>(id, at, is_stale)));
        let (mut all, mut is_so) = (Vec::new(), true);
        for (id, (told, there)) in answers {
            is_so &= told.map(|row| row.version) == there.map(|row| row.version);
            all.extend(told.map(|row| (id, row)));
        }
        self.note(Asked { service: name, about, answer: Told::All(all.len(), is_so) });
        Ok(all)
    }

    /// Whom it asks, and how that answers.
    fn question<R: Record>(&mut self, service: &str, about: About) -> (&'static str, Result<Question<'a>, NoAnswer>) {
        let Some(others) = self.others else { not_named(service) };
        let (name, store, at) = others.store_of(service);
        assert!(store.has::<R>(), "`{name}` has no collection of {} (`{}`)", R::COLLECTION, std::any::type_name::<R>());
        if others.fault == Some(AnswerFault::Missing) {
            self.note(Asked { service: name, about, answer: Told::Nothing });
            return (name, Err(NoAnswer));
        }
        let is_stale = others.fault == Some(AnswerFault::Stale);
        (name, Ok(Question { store, at, is_stale }))
    }

    fn note(&mut self, asked: Asked) {
        let effects = &mut *self.effects;
        effects.has_any = true;
        effects.asking = effects.asking.max(asked.came());
        effects.asked.push(asked);
    }
}

/// A question that is answered.
struct Question<'a> {
    store: &'a Store,
    /// As of which moment; `None`: now.
    at: Option<u64>,
    is_stale: bool,
}
