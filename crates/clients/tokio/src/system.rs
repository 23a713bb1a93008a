//! The services of a test, the broker between them, and the one call that judges them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::about::{About, Shared};
use crate::door::{Door, HasStreams};
use crate::instance::{Program, Publisher};
use crate::service::{Conversation, Host, Row, Service, rows_in};
use pellmell_code::{Call, CodeService, Naming, Started};
use pellmell_core::broker::Profile;
use pellmell_core::event::Event;
use pellmell_core::faults::FaultPlan;
use pellmell_core::ids::RecordId;
use pellmell_core::property::{Moment, NoPoison, Property, Violation};
use pellmell_core::run::{Judges, Limits};
use pellmell_core::service::PublishMode;
use pellmell_core::simulation::{Hosting, Sending, Simulation};
use pellmell_core::testing::{Check, Checked, Replay, at_quiescence};
use pellmell_processes::{Processes, declare};

/// What a test is about: services as they are, on one broker, and who makes them do something. `D` is what their
/// clients are connected to.
#[must_use = "nothing runs before `check` is called"]
pub struct System<D> {
    profile: Option<Profile>,
    about: About,
    services: Vec<Hosts>,
    publishers: Vec<(String, Vec<(String, Value)>)>,
    clients: Vec<(String, Vec<Request>)>,
    properties: Vec<Box<dyn Property<Processes>>>,
    seeds: Range<u64>,
    plan: FaultPlan,
    limits: Limits,
    allowed: Vec<String>,
    /// The services of which something is claimed.
    claimed: Vec<String>,
    door: PhantomData<D>,
}

impl<D> fmt::Debug for System<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.services.iter().map(|service| service.name.as_str());
        f.debug_struct("System").field("services", &names.collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// A service whatever it keeps.
struct Hosts {
    name: String,
    subjects: Vec<String>,
    collections: Vec<(char, bool)>,
    members: u16,
    within: std::time::Duration,
    conversation: Option<Conversation>,
    host: Arc<dyn Host>,
}

/// A request that a client sends to a service, which answers it: see [`request`].
#[derive(Clone, Debug)]
pub struct Request {
    service: String,
    subject: String,
    record: RecordId,
    body: Value,
}

/// A request on a subject to which a service listens, about a record, with what it carries.
#[must_use]
pub fn request(service: impl Into<String>, subject: impl Into<String>, record: RecordId, body: Value) -> Request {
    Request { service: service.into(), subject: subject.into(), record, body }
}

impl<D: Door> Default for System<D> {
    fn default() -> System<D> {
        System::new()
    }
}

impl<D: Door> System<D> {
    /// Nothing yet, on the broker that the services' clients speak with, as they ask for it.
    pub fn new() -> System<D> {
        System {
            profile: None,
            about: About::new(D::fits),
            services: Vec::new(),
            publishers: Vec::new(),
            clients: Vec::new(),
            properties: Vec::new(),
            seeds: 0..100,
            plan: FaultPlan::SOME,
            limits: LIMITS,
            allowed: Vec::new(),
            claimed: Vec::new(),
            door: PhantomData,
        }
    }

    /// What messages on a subject are about, or on all that begin so and go on as `>` says: which record, and which
    /// version of it. The first that fits counts.
    pub fn about(mut self, subjects: &str, naming: Naming) -> System<D> {
        self.about.name(subjects, naming);
        self
    }

    /// Messages on these subjects go to nobody in the test, so that nothing need be known of them.
    pub fn ignoring(mut self, subjects: &str) -> System<D> {
        self.about.ignore(subjects);
        self
    }

    /// A service as it is.
    pub fn service<T: Clone + Send + 'static>(mut self, service: Service<T>) -> System<D> {
        let Service { name, subjects, collections, members, within, conversation, hosts } = service;
        let host: Arc<dyn Host> = Arc::new(hosts);
        self.services.push(Hosts { name, subjects, collections, members, within, conversation, host });
        self
    }

    /// A service that is not part of the test: all that is known of it is what it publishes, one after the other. It
    /// owns the records that its messages are about, in the versions that they announce. Where none does, it owns them
    /// if nobody else publishes of such records or owns them, and all of them stay in version 0: what it said last
    /// counts.
    pub fn publisher<S: Into<String>>(
        mut self,
        name: impl Into<String>,
        events: impl IntoIterator<Item = (S, Value)>,
    ) -> System<D> {
        let events = events.into_iter().map(|(subject, body)| (subject.into(), body)).collect();
        self.publishers.push((name.into(), events));
        self
    }

    /// A client that sends requests, one after the other.
    pub fn client(mut self, name: impl Into<String>, requests: impl IntoIterator<Item = Request>) -> System<D> {
        self.clients.push((name.into(), requests.into_iter().collect()));
        self
    }

    /// A claim that is judged, beside that every message is acked in the end.
    pub fn property(self, property: impl Property<Processes> + 'static) -> System<D> {
        self.properties(vec![Box::new(property)])
    }

    /// A claim about all rows that a service keeps, by id, whenever nothing is under way: an error says what was
    /// expected, and what was found.
    ///
    /// ```
    /// # use pellmell_tokio::{Door, Row, System};
    /// # fn claiming<D: Door>(system: System<D>) -> System<D> {
    /// system.claim("NothingIsSoldTwice", "stock", |rows: &[Row]| {
    ///     match rows.iter().find(|row| row.value()["left"].as_i64() < Some(0)) {
    ///         Some(row) => Err(format!("expected no less than nothing of {}, found {}", row.record(), row.value())),
    ///         None => Ok(()),
    ///     }
    /// })
    /// # }
    /// ```
    pub fn claim(
        mut self,
        name: impl Into<String>,
        service: impl Into<String>,
        holds: impl Fn(&[Row]) -> Result<(), String> + Send + Sync + 'static,
    ) -> System<D> {
        let service = service.into();
        self.claimed.push(service.clone());
        let judge = move |moment: &Moment<'_, Processes>| {
            let held = holds(&rows_in(moment.store_of(&service)));
            held.map_err(|why| Violation::at(&service).because(why))
        };
        self.properties.push(at_quiescence(name.into(), judge));
        self
    }

    /// Claims that are judged.
    pub fn properties(mut self, properties: Vec<Box<dyn Property<Processes>>>) -> System<D> {
        self.properties.extend(properties);
        self
    }

    /// Another broker than the one that the services' clients speak with as they ask for it.
    pub fn on(self, profile: Profile) -> System<D> {
        System { profile: Some(profile), ..self }
    }

    /// How many schedules are drawn after those that depart once: 100 unless said otherwise.
    pub fn seeds(self, seeds: Range<u64>) -> System<D> {
        System { seeds, ..self }
    }

    /// What may go wrong in them: some of everything unless said otherwise.
    pub fn faults(self, plan: FaultPlan) -> System<D> {
        System { plan, ..self }
    }

    /// How far a run may go: 2,000 steps unless said otherwise.
    pub fn limits(self, limits: Limits) -> System<D> {
        System { limits, ..self }
    }

    /// Allows what the result would rest on: see `pellmell::testing::Check::allowing`.
    pub fn allowing(mut self, what: &str) -> System<D> {
        self.allowed.push(what.to_owned());
        self
    }

    /// The simulation and what judges it, for whatever else can be done with them: complete searches, explanations.
    ///
    /// # Errors
    /// If a service does not start, or what is said does not fit together.
    pub fn simulation(self) -> Result<(Simulation<Processes>, Judges<Processes>), String> {
        let about = Arc::new(self.about);
        let mut hosted = Vec::new();
        let mut wanted: Vec<D::Wanted> = Vec::new();
        let mut owned = BTreeSet::new();
        for service in self.services {
            let Hosts { name, subjects, collections, members, within, conversation, host } = service;
            if let Some(kind) = collections.iter().map(|(kind, _)| *kind).find(|kind| !('a'..='y').contains(kind)) {
                return Err(format!("{name}: `{kind}` is no kind of records: expected a letter from `a` to `y`"));
            }
            for subject in &subjects {
                D::check_subject(subject).map_err(|expected| format!("{name}: `{subject}`: {expected}"))?;
                if !about.is_known(subject) {
                    let next = "say it with `.about(\"SUBJECT\", Naming::of('x'))`";
                    return Err(format!("{name}: nothing says what messages on `{subject}` are about: {next}"));
                }
            }
            owned.extend(collections.iter().filter(|(_, owns)| *owns).map(|(kind, _)| *kind));
            let asked = Arc::new(Mutex::new(Vec::new()));
            let (shared, listens) = (Arc::clone(&about), subjects.clone());
            let program =
                Program::<D> { host, about: shared, subjects, conversation, within, wanted: Arc::clone(&asked) };
            let started = Started::new(&name, program).map_err(|failure| failure.to_string())?;
            wanted.append(&mut asked.lock().unwrap_or_else(PoisonError::into_inner));
            let service = CodeService::of(name, Arc::new(started), Shared(Arc::clone(&about)));
            // What a service has published is in the stream before its handler ends.
            let service = service.listening(listens).publishing(PublishMode::Outbox);
            let service = collections.into_iter().fold(service, |service, (kind, owned)| declare(service, kind, owned));
            hosted.push((service, Hosting { members, ..Hosting::ALONE }));
        }
        let profile = match self.profile {
            Some(profile) => profile,
            None => D::profile(&wanted)?,
        };
        let mut builder = Simulation::on(profile);
        for (service, hosting) in hosted {
            builder = builder.hosted(service, hosting);
        }
        let mut publishing = Vec::new();
        for (name, events) in self.publishers {
            let (mut calls, mut kinds) = (Vec::new(), BTreeMap::new());
            for (subject, body) in events {
                let message = about.message(&subject, body.clone()).map_err(|error| format!("{name}: {error}"))?;
                let says_versions: &mut bool = kinds.entry(message.record().kind()).or_default();
                *says_versions |= message.version().is_some();
                // It goes on until it has published, whatever crashes.
                let call = Call::new(&name, subject, message.record()).with(&body);
                calls.push(Sending::from(call).until_accepted());
            }
            publishing.push((name, calls, kinds));
        }
        // Who says versions owns what it says them of. Where nobody does, who alone publishes of it does.
        let said: Vec<char> = publishing.iter().flat_map(|(.., kinds)| kinds.keys().copied()).collect();
        for (name, calls, kinds) in publishing {
            let is_alone = |kind| said.iter().filter(|of| **of == kind).count() == 1 && !owned.contains(&kind);
            let kinds = kinds.into_iter().filter(|(kind, says_versions)| *says_versions || is_alone(*kind));
            let kinds: BTreeSet<char> = kinds.map(|(kind, _)| kind).collect();
            let publisher = Publisher { about: Arc::clone(&about), owns: kinds.clone() };
            let started = Started::new(&name, publisher).map_err(|failure| failure.to_string())?;
            let service = CodeService::of(&name, Arc::new(started), Shared(Arc::clone(&about)));
            let service = kinds.into_iter().fold(service, |service, kind| declare(service, kind, true));
            builder = builder.service(service.publishing(PublishMode::Outbox)).client(name, calls);
        }
        for (name, requests) in self.clients {
            let calls = requests
                .into_iter()
                .map(|Request { service, subject, record, body }| Call::new(service, subject, record).with(&body));
            builder = builder.client(name, calls.collect::<Vec<_>>());
        }
        let simulation = builder.build().map_err(|error| error.to_string())?;
        if let Some(unknown) = self.claimed.iter().find(|name| simulation.service_names().all(|known| known != **name))
        {
            let known: Vec<&str> = simulation.service_names().collect();
            return Err(format!("a claim is about `{unknown}`: expected a service of the test: {}", known.join(", ")));
        }
        let mut properties = self.properties;
        properties.push(Box::new(NoPoison));
        Ok((simulation, Judges::new(properties)))
    }

    /// Plays all schedules that depart once from the calm run, and then the seeds, and judges each.
    ///
    /// If the environment has `PELLMELL_SCHEDULE`, lines of a schedule, that one is played instead: a failure prints
    /// the command.
    ///
    /// # Panics
    /// If a service does not start, if a run does not hold, with the shortest counterexample that was found, or if
    /// the result rests on what did not happen: see `pellmell::testing::check`.
    #[track_caller]
    pub fn check(self) -> Checked {
        let (seeds, plan, limits, allowed) = (self.seeds.clone(), self.plan, self.limits, self.allowed.clone());
        let (simulation, judges) = self.simulation().unwrap_or_else(|error| panic!("{error}"));
        #[expect(clippy::disallowed_methods, reason = "how a schedule is named that a failure printed")]
        let asked = std::env::var(SCHEDULE).ok();
        if let Some(text) = asked {
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let replay = Replay::new(&simulation, &lines, &judges).with_limits(limits).with_call(CALL);
            return allowed.iter().fold(replay, |replay, what| replay.allowing(what)).run();
        }
        let check = Check::new(&simulation, &judges).with_seeds(seeds).with_faults(plan).with_limits(limits);
        let check = allowed.iter().fold(check, |check, what| check.allowing(what));
        check.with_command(&command).with_call(CALL).run()
    }
}

impl<D: HasStreams> System<D> {
    /// A stream that is there before any service starts. One that a service makes itself need not be said.
    pub fn stream<S: Into<String>>(mut self, name: &str, subjects: impl IntoIterator<Item = S>) -> System<D> {
        self.about.stream(name.to_owned(), subjects.into_iter().map(Into::into).collect());
        self
    }
}

/// Judges services as they are: [`System::check`].
#[track_caller]
pub fn check<D: Door>(system: System<D>) -> Checked {
    system.check()
}

/// A run that goes on and on is told of in less than ten seconds.
const LIMITS: Limits = Limits { steps_max: 2_000, ..Limits::OF_A_TEST };

/// What a test calls.
const CALL: [&str; 2] = ["system", "check()"];

const SCHEDULE: &str = "PELLMELL_SCHEDULE";

/// The command line that plays a schedule in the test that runs.
fn command(lines: &[String]) -> String {
    let schedule = lines.join("\n").replace('\'', r"'\''");
    #[expect(clippy::disallowed_methods, reason = "the command is for the test that prints it")]
    let (package, thread) = (std::env::var("CARGO_PKG_NAME"), std::thread::current());
    let package = package.map(|package| format!(" -p {package}")).unwrap_or_default();
    let test = thread.name().filter(|name| *name != "main").map(|name| format!(" {name} -- --exact"));
    format!("{SCHEDULE}='{schedule}' cargo test{package}{}", test.unwrap_or_default())
}
