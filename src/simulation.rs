//! A simulation: services, broker rules and clients, put together and not yet moving.

mod checks;

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::broker::{GroupSetup, Member, Profile};
use crate::event::{Command, System};
use crate::hash;
use crate::ids::{ServiceIndex, Subject};
use crate::schedule::{CommandSpec, command_key};
use crate::scheduler::Expected;
use crate::service::{AckTiming, PublishMode, Service, Work};
use crate::store::Schema;
use checks::{Declared, Named};

/// How a service takes part.
#[derive(Clone, Debug)]
pub struct Hosting {
    /// How many processes run it. With more than one, handlers can pause between their reads and
    /// their saves, so that two of them race.
    pub members: u16,
    /// Its group, if it is not named like the service. Services that name the same group share
    /// each message between them; one that only some of them listen to goes to those.
    pub group: Option<String>,
    /// Whether its group joins only after the run began, at a moment the scheduler picks.
    pub joins_late: bool,
    /// Whether handlers can pause even if there is one member, as asynchronous handlers do.
    pub overlapping: bool,
}

impl Hosting {
    /// One member, its own group, from the start, one handler at a time.
    pub const ALONE: Hosting = Hosting { members: 1, group: None, joins_late: false, overlapping: false };

    /// Whether its handlers can pause between their reads and their saves.
    #[must_use]
    pub const fn may_pause(&self) -> bool {
        self.members > 1 || self.overlapping
    }
}

/// A client and the commands it sends, one after the other.
#[derive(Clone, Debug)]
pub struct Client<C> {
    /// Its name.
    pub name: String,
    /// Its commands; it waits for each to return.
    pub commands: Vec<C>,
}

pub(crate) struct Hosted<S: System> {
    // A box and not an `Arc`, in which a call has to work out where the service begins.
    pub(crate) service: Box<dyn Service<S>>,
    pub(crate) name: &'static str,
    /// The hash of its name.
    pub(crate) hash: u64,
    pub(crate) members: u16,
    pub(crate) may_pause: bool,
    /// By what the handler runs for.
    pub(crate) publish_modes: [PublishMode; 3],
    pub(crate) ack_timing: AckTiming,
}

impl<S: System> Hosted<S> {
    /// The member that executes the command with this key.
    #[inline]
    pub(crate) fn member_for(&self, key: u64) -> u16 {
        match self.members {
            1 => 0,
            members => (key % u64::from(members)) as u16,
        }
    }
}

#[derive(Clone)]
pub(crate) struct HostedClient<C> {
    pub(crate) name: String,
    pub(crate) commands: Vec<HostedCommand<C>>,
}

#[derive(Clone)]
pub(crate) struct HostedCommand<C> {
    pub(crate) command: C,
    pub(crate) service: ServiceIndex,
    /// Which command of its label its client sends, from 1.
    pub(crate) nth: u32,
    pub(crate) key: u64,
}

/// Services, broker rules and clients. Cheap to clone; start it with [`World`](crate::World).
pub struct Simulation<S: System> {
    pub(crate) inner: Arc<Inner<S>>,
}

pub(crate) struct Inner<S: System> {
    pub(crate) services: Arc<[Hosted<S>]>,
    pub(crate) profile: Profile,
    pub(crate) groups: Vec<GroupSetup>,
    pub(crate) clients: Vec<HostedClient<S::Command>>,
    pub(crate) redeliver_futile: bool,
    /// What happens in its calm run, once somebody asked.
    pub(crate) expected: OnceLock<Arc<Expected>>,
}

impl<S: System> Clone for Simulation<S> {
    fn clone(&self) -> Simulation<S> {
        Simulation { inner: Arc::clone(&self.inner) }
    }
}

impl<S: System> Simulation<S> {
    /// Begins a simulation on a broker with these rules.
    #[must_use]
    pub fn on(profile: Profile) -> SimulationBuilder<S> {
        SimulationBuilder { profile, services: Vec::new(), clients: Vec::new(), redeliver_futile: false }
    }

    /// The names of the services, in the order they were added.
    #[inline]
    pub fn service_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.inner.services.iter().map(|hosted| hosted.name)
    }

    /// The broker's rules.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.inner.profile
    }

    /// The groups that listen to a subject, by name.
    pub fn groups_on(&self, subject: &str) -> impl Iterator<Item = &str> {
        let groups = self.inner.groups.iter();
        let on = groups.filter(move |group| group.subjects.iter().any(|listened| listened.name() == subject));
        on.map(|group| group.name.as_str())
    }

    /// Whether a group of this name listens to a subject.
    #[must_use]
    pub fn listens(&self, group: &str, subject: &str) -> bool {
        self.groups_on(subject).any(|listening| listening == group)
    }

    /// The number of commands all clients send.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.inner.clients.iter().map(|client| client.commands.len()).sum()
    }

    /// All commands, client by client.
    pub fn each_command(&self) -> impl Iterator<Item = &S::Command> {
        self.inner.clients.iter().flat_map(|client| &client.commands).map(|hosted| &hosted.command)
    }

    /// The number of clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.inner.clients.len()
    }

    /// The commands of a client, by the places they have in its list.
    pub(crate) fn hosted(&self, client: usize) -> &HostedClient<S::Command> {
        &self.inner.clients[client]
    }

    /// The name of a command, given the places of the client and of the command in its list.
    pub(crate) fn command(&self, (client, place): (usize, usize)) -> CommandSpec {
        let hosted = self.hosted(client);
        let command = &hosted.commands[place];
        CommandSpec { client: hosted.name.clone(), label: command.command.label(), nth: command.nth }
    }

    /// The same simulation with those commands alone that `keep` keeps, given the places of the client
    /// and of the command in its list. What is left is named as it was, and the clients stay, some
    /// perhaps with nothing to send.
    #[must_use]
    pub fn keeping(&self, keep: impl Fn(usize, usize) -> bool) -> Simulation<S> {
        let clients = self.inner.clients.iter().enumerate().map(|(client, HostedClient { name, commands })| {
            let kept = commands.iter().enumerate().filter(|(place, _)| keep(client, *place));
            HostedClient { name: name.clone(), commands: kept.map(|(_, command)| command.clone()).collect() }
        });
        self.with_clients(clients.collect())
    }

    /// The same simulation with another command for the same service in the place of one, given the
    /// places of the client and of the command in its list.
    ///
    /// # Panics
    /// If there is no such place.
    #[must_use]
    pub fn replacing(&self, client: usize, place: usize, command: S::Command) -> Simulation<S> {
        let mut clients = self.inner.clients.clone();
        let HostedClient { name, commands } = &mut clients[client];
        let label = command.label();
        // The first number that no other command of this label has.
        let used = |nth: &u32| {
            let mut others = commands.iter().enumerate().filter(|(other, _)| *other != place);
            others.any(|(_, other)| other.nth == *nth && other.command.label() == label)
        };
        let nth = (1..).find(|nth| !used(nth)).unwrap_or(1);
        let key = command_key(hash::of_name(name), hash::of_name(&label), nth);
        let service = commands[place].service;
        commands[place] = HostedCommand { command, service, nth, key };
        self.with_clients(clients)
    }

    fn with_clients(&self, clients: Vec<HostedClient<S::Command>>) -> Simulation<S> {
        let Inner { services, profile, groups, clients: _, redeliver_futile, expected: _ } = &*self.inner;
        let inner = Inner {
            services: Arc::clone(services),
            profile: profile.clone(),
            groups: groups.clone(),
            clients,
            redeliver_futile: *redeliver_futile,
            expected: OnceLock::new(),
        };
        Simulation { inner: Arc::new(inner) }
    }
}

/// Puts a [`Simulation`] together.
pub struct SimulationBuilder<S: System> {
    profile: Profile,
    services: Vec<(Box<dyn Service<S>>, Hosting)>,
    clients: Vec<Client<S::Command>>,
    redeliver_futile: bool,
}

impl<S: System> SimulationBuilder<S> {
    /// Adds a service with one member.
    #[must_use]
    pub fn service(self, service: impl Service<S> + 'static) -> SimulationBuilder<S> {
        self.hosted(service, Hosting::ALONE)
    }

    /// Adds a service.
    #[must_use]
    pub fn hosted(mut self, service: impl Service<S> + 'static, hosting: Hosting) -> SimulationBuilder<S> {
        self.services.push((Box::new(service), hosting));
        self
    }

    /// Adds a client.
    #[must_use]
    pub fn client(mut self, name: impl Into<String>, commands: Vec<S::Command>) -> SimulationBuilder<S> {
        self.clients.push(Client { name: name.into(), commands });
        self
    }

    /// Whether a delivery is handed out again although its service's store is as it was when
    /// handling it changed nothing. Such a delivery cannot end otherwise, so by default it waits
    /// until something changes. Real brokers do redeliver; it costs steps and finds nothing.
    #[must_use]
    pub fn redeliver_futile(mut self, redeliver: bool) -> SimulationBuilder<S> {
        self.redeliver_futile = redeliver;
        self
    }

    /// Checks that the parts fit.
    ///
    /// # Errors
    /// If the broker's rules are not simulated yet; if a name of a service, a group or a client is used
    /// twice or is one that departures and traces could not name it by: it is empty, or has a space, a
    /// line break, `:`, `#` or `->` in it; if a service has no members, or a command is addressed to no
    /// service; if two services own the same records, or collections or subjects cannot be told apart.
    pub fn build(self) -> Result<Simulation<S>, BuildError> {
        self.profile.supported().map_err(|error| BuildError(error.to_string()))?;
        let mut services: Vec<Hosted<S>> = Vec::new();
        let mut groups: Vec<GroupSetup> = Vec::new();
        let mut declared = Declared::default();
        for (service, hosting) in self.services {
            let name = service.name();
            checks::name(&Named::Service, name)?;
            hosting.group.iter().try_for_each(|group| checks::name(&Named::Group, group))?;
            let mut schema = Schema::default();
            service.collections(&mut schema);
            declared.add(name, &schema)?;
            if services.iter().any(|other| other.service.name() == name) {
                return Err(BuildError(format!("service `{name}` is added twice")));
            }
            if hosting.members == 0 {
                return Err(BuildError(format!("service `{name}` has no members: expected at least 1")));
            }
            let index = ServiceIndex(services.len() as u16);
            let may_pause = hosting.may_pause();
            join_group(&mut groups, index, service.as_ref(), &hosting, may_pause);
            let publish_modes = Work::ALL.map(|work| service.publish_mode(work));
            let ack_timing = service.ack_timing();
            let (name, members) = (service.name(), hosting.members);
            let hash = hash::of_name(name);
            services.push(Hosted { service, name, hash, members, may_pause, publish_modes, ack_timing });
        }
        checks::subjects(groups.iter().flat_map(|group| group.subjects.iter().copied()))?;
        for (place, client) in self.clients.iter().enumerate() {
            checks::name(&Named::Client, &client.name)?;
            if self.clients[..place].iter().any(|other| other.name == client.name) {
                return Err(BuildError(format!("client `{}` is added twice", client.name)));
            }
        }
        let clients = self.clients.into_iter().map(|client| host_client(&services, client));
        let clients = clients.collect::<Result<_, _>>()?;
        let (profile, redeliver_futile, expected) = (self.profile, self.redeliver_futile, OnceLock::new());
        let inner = Inner { services: services.into(), profile, groups, clients, redeliver_futile, expected };
        Ok(Simulation { inner: Arc::new(inner) })
    }
}

fn join_group<S: System>(
    groups: &mut Vec<GroupSetup>,
    index: ServiceIndex,
    service: &dyn Service<S>,
    hosting: &Hosting,
    may_pause: bool,
) {
    let subjects: Vec<Subject> = service.subjects().to_vec();
    if subjects.is_empty() {
        return;
    }
    let name = hosting.group.clone().unwrap_or_else(|| service.name().to_owned());
    let members = (0..hosting.members).map(|ordinal| Member { service: index, ordinal });
    match groups.iter_mut().find(|group| group.name == name) {
        Some(group) => {
            group.members.extend(members);
            group.may_pause |= may_pause;
            group.services.push((index, subjects.clone()));
            group.subjects.extend(
                subjects.iter().filter(|subject| !group.subjects.contains(subject)).copied().collect::<Vec<_>>(),
            );
        }
        None => {
            let (members, joins_late) = (members.collect(), hosting.joins_late);
            let services = vec![(index, subjects.clone())];
            groups.push(GroupSetup { name, subjects, services, members, joins_late, may_pause });
        }
    }
}

fn host_client<S: System>(
    services: &[Hosted<S>],
    client: Client<S::Command>,
) -> Result<HostedClient<S::Command>, BuildError> {
    let name_hash = hash::of_name(&client.name);
    let mut commands: Vec<HostedCommand<S::Command>> = Vec::new();
    let mut seen = std::collections::BTreeMap::<u64, u32>::new();
    for command in client.commands {
        let to = command.service();
        let Some(service) = services.iter().position(|hosted| hosted.service.name() == to) else {
            return Err(BuildError(format!("`{}` is addressed to `{to}`, which is no service", command.label())));
        };
        // By label, and by count only among equals: dropping another command shifts nothing, and a
        // schedule can name it.
        let label = hash::of_name(&command.label());
        let nth = *seen.entry(label).and_modify(|nth| *nth += 1).or_insert(1);
        let key = command_key(name_hash, label, nth);
        commands.push(HostedCommand { command, service: ServiceIndex(service as u16), nth, key });
    }
    Ok(HostedClient { name: client.name, commands })
}

/// The parts of a simulation do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(String);

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}
