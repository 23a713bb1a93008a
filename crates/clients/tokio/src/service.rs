//! A service of a test: how it starts, what it listens to, and what is seen of what it keeps.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use pellmell_core::ids::{RecordId, Version};
use pellmell_core::store::Store;
use pellmell_processes::documents;

/// A service as it is, with what a test has to know of it.
///
/// `T` is what the service keeps where crashes do not reach: its database. A clone of it must be the same database,
/// as an `Arc` is.
pub struct Service<T = ()> {
    pub(crate) name: String,
    pub(crate) subjects: Vec<String>,
    pub(crate) collections: Vec<(char, bool)>,
    pub(crate) members: u16,
    pub(crate) within: Duration,
    pub(crate) conversation: Option<Conversation>,
    pub(crate) hosts: Hosts<T>,
}

/// What it takes to host a service, once for each instance.
pub(crate) struct Hosts<T> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    run: Box<dyn Fn(String, T) -> Running + Send + Sync>,
    rows: Vec<Looks<T, Row>>,
    outside: Vec<(String, Looks<T, RecordId>)>,
    pub(crate) goes_on_for: Duration,
}

/// What is seen of what a service keeps.
type Looks<T, Of> = Box<dyn Fn(&T) -> Vec<Of> + Send + Sync>;

/// What a service that runs ends with, in words.
pub(crate) type Running = Pin<Box<dyn Future<Output = String> + Send>>;

impl<T> fmt::Debug for Service<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).field("subjects", &self.subjects).finish_non_exhaustive()
    }
}

/// A record that a service keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    record: RecordId,
    version: Version,
    value: Value,
}

impl Row {
    /// A record of a kind in a version, with what is in it.
    ///
    /// An id that reads as one of that kind, such as `i1`, is that; any other text is the text of an id: `i:6f1c-2b`.
    ///
    /// # Panics
    /// If the id is one of no record: it is empty, say.
    #[must_use]
    pub fn new(kind: char, id: impl fmt::Display, version: u64, value: Value) -> Row {
        Row { record: record(kind, id), version: Version(version), value }
    }

    /// Which record it is.
    #[must_use]
    pub fn record(&self) -> RecordId {
        self.record
    }

    /// In which version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// What is in it.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }
}

/// The rows that a service keeps in a simulation, by id.
pub(crate) fn rows_in(store: &Store) -> Vec<Row> {
    documents(store).into_iter().map(|(record, version, value)| Row { record, version, value }).collect()
}

/// The id of a record of a kind, as [`Row::new`] reads it.
///
/// # Panics
/// As [`Row::new`] does.
#[must_use]
pub fn record(kind: char, id: impl fmt::Display) -> RecordId {
    let text = id.to_string();
    match text.parse::<RecordId>() {
        Ok(record) if record.kind() == kind => record,
        _ => {
            let record = format!("{kind}:{text}").parse();
            record.unwrap_or_else(|error| panic!("`{text}` names no record of the kind `{kind}`: {error}"))
        }
    }
}

/// Takes down what clients and server say to one another, a line each, with the names of inboxes by the order in which
/// they were met.
#[derive(Clone, Debug, Default)]
pub struct Conversation(Arc<Mutex<Vec<String>>>);

impl Conversation {
    /// The lines so far, which are taken away.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Service {
    /// A service of that name, which is started with the address of the server. `run` returns when the service ends;
    /// it is to run on.
    ///
    /// What it has in memory is lost in a crash; [`Service::with_state`] is for one that keeps something.
    pub fn new<F, O>(name: impl Into<String>, run: impl Fn(String) -> F + Send + Sync + 'static) -> Service
    where
        F: Future<Output = O> + Send + 'static,
        O: fmt::Debug,
    {
        Service::with_state(name, || (), move |url, ()| run(url))
    }
}

impl<T: Clone + Send + 'static> Service<T> {
    /// The same with what it keeps, which is made anew for each run and survives crashes.
    pub fn with_state<F, O>(
        name: impl Into<String>,
        make: impl Fn() -> T + Send + Sync + 'static,
        run: impl Fn(String, T) -> F + Send + Sync + 'static,
    ) -> Service<T>
    where
        F: Future<Output = O> + Send + 'static,
        O: fmt::Debug,
    {
        let run = move |url: String, state: T| -> Running {
            let running = run(url, state);
            Box::pin(async move { format!("{:?}", running.await) })
        };
        let (rows, outside, goes_on_for) = (Vec::new(), Vec::new(), Duration::ZERO);
        Service {
            name: name.into(),
            subjects: Vec::new(),
            collections: Vec::new(),
            members: 1,
            within: Duration::from_secs(5),
            conversation: None,
            hosts: Hosts { make: Box::new(make), run: Box::new(run), rows, outside, goes_on_for },
        }
    }

    /// The subjects on which the simulation delivers to it: through its consumer, or its subscription.
    #[must_use]
    pub fn listens<S: Into<String>>(mut self, subjects: impl IntoIterator<Item = S>) -> Service<T> {
        self.subjects.extend(subjects.into_iter().map(Into::into));
        self
    }

    /// How copies of records are seen that it keeps. It is looked at after each input.
    #[must_use]
    pub fn keeps(self, kind: char, rows: impl Fn(&T) -> Vec<Row> + Send + Sync + 'static) -> Service<T> {
        self.collection(kind, false, rows)
    }

    /// How records are seen that it alone changes. It is looked at after each input.
    #[must_use]
    pub fn owns(self, kind: char, rows: impl Fn(&T) -> Vec<Row> + Send + Sync + 'static) -> Service<T> {
        self.collection(kind, true, rows)
    }

    fn collection(
        mut self,
        kind: char,
        is_owned: bool,
        rows: impl Fn(&T) -> Vec<Row> + Send + Sync + 'static,
    ) -> Service<T> {
        self.collections.push((kind, is_owned));
        self.hosts.rows.push(Box::new(rows));
        self
    }

    /// How is seen what it has done outside of what it keeps, such as a mail sent: for which records so far, in the
    /// order in which it did it, each as often as it was done. `DoneOnce` judges that. It is done once what it keeps is
    /// saved: that it is done and not saved in a crash is not played.
    #[must_use]
    pub fn does(
        mut self,
        name: impl Into<String>,
        done: impl Fn(&T) -> Vec<RecordId> + Send + Sync + 'static,
    ) -> Service<T> {
        self.hosts.outside.push((name.into(), Box::new(done)));
        self
    }

    /// How many processes run it, which share what comes. One unless said otherwise.
    #[must_use]
    pub fn members(self, members: u16) -> Service<T> {
        Service { members, ..self }
    }

    /// How much simulated time it gets after each answer, for what it does later by itself. None unless said
    /// otherwise.
    #[must_use]
    pub fn going_on_for(mut self, time: Duration) -> Service<T> {
        self.hosts.goes_on_for = time;
        self
    }

    /// How much real time it may take to start, and for each input: five seconds unless said otherwise.
    #[must_use]
    pub fn answering_within(self, within: Duration) -> Service<T> {
        Service { within, ..self }
    }

    /// Takes down what its clients and the server say.
    #[must_use]
    pub fn noted_in(self, conversation: &Conversation) -> Service<T> {
        Service { conversation: Some(conversation.clone()), ..self }
    }
}

/// Something that hosts a service, whatever it keeps.
pub(crate) trait Host: Send + Sync {
    /// With nothing in its state.
    fn fresh(&self) -> Box<dyn Hosted + '_>;

    fn goes_on_for(&self) -> Duration;
}

/// What a service keeps in one instance.
pub(crate) trait Hosted {
    /// Starts the service with it.
    fn run(&self, url: String) -> Running;

    /// What has changed since it was looked at before.
    fn look(&mut self) -> Result<Vec<Seen>, String>;
}

/// What is seen of what a service keeps and has done.
#[derive(Debug)]
pub(crate) enum Seen {
    Saved(RecordId, Version, Value),
    Removed(RecordId),
    Outside(String, RecordId),
}

struct Instance<'h, T> {
    hosts: &'h Hosts<T>,
    state: T,
    rows: BTreeMap<RecordId, (Version, Value)>,
    outside: Vec<usize>,
}

impl<T: Clone + Send + 'static> Host for Hosts<T> {
    fn fresh(&self) -> Box<dyn Hosted + '_> {
        let outside = vec![0; self.outside.len()];
        Box::new(Instance { hosts: self, state: (self.make)(), rows: BTreeMap::new(), outside })
    }

    fn goes_on_for(&self) -> Duration {
        self.goes_on_for
    }
}

impl<T: Clone + Send + 'static> Hosted for Instance<'_, T> {
    fn run(&self, url: String) -> Running {
        (self.hosts.run)(url, self.state.clone())
    }

    fn look(&mut self) -> Result<Vec<Seen>, String> {
        let mut seen = Vec::new();
        let mut now = BTreeMap::new();
        for row in self.hosts.rows.iter().flat_map(|rows| rows(&self.state)) {
            if now.insert(row.record, (row.version, row.value)).is_some() {
                return Err(format!("what is seen of what it keeps has {} twice", row.record));
            }
        }
        for (record, (version, value)) in &now {
            if self.rows.get(record) != Some(&(*version, value.clone())) {
                seen.push(Seen::Saved(*record, *version, value.clone()));
            }
        }
        let gone = self.rows.keys().filter(|record| !now.contains_key(record));
        seen.extend(gone.map(|record| Seen::Removed(*record)));
        self.rows = now;
        for ((name, done), count) in self.hosts.outside.iter().zip(&mut self.outside) {
            let done = done(&self.state);
            let Some(new) = done.get(*count..) else {
                return Err(format!("what is seen of `{name}` is less than before: what was done stays done"));
            };
            seen.extend(new.iter().map(|record| Seen::Outside(name.clone(), *record)));
            *count = done.len();
        }
        Ok(seen)
    }
}
