//! A simulation: services, broker rules and clients, put together and not yet moving.

mod checks;
mod sending;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::broker::{GroupSetup, Member, Ordering, Profile};
use crate::event::{Command, System};
use crate::hash;
use crate::ids::{self, ServiceIndex, Subject};
use crate::nearest::nearest;
use crate::schedule::{CommandSpec, attempt_label, command_key};
use crate::scheduler::Expected;
use crate::service::{AckTiming, AskedService, PublishMode, Relay, Service, Work};
use crate::store::{Schema, Store};
use checks::{Declared, Named};

pub(crate) use sending::Terms;
pub use sending::{Awaited, Sending};

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
    /// The subject on which the broker puts what the group was sent as often as it may be: a dead letter queue or
    /// topic. Whoever listens to it gets the same event, and [`Context::subject`](crate::Context::subject) tells
    /// where from.
    pub dead_letters: Option<Subject>,
    /// How long its handlers work for each delivery, if not as long as the service says
    /// ([`Service::takes`]).
    pub takes: Option<Duration>,
}

impl Hosting {
    /// One member, its own group, from the start, one handler at a time.
    pub const ALONE: Hosting =
        Hosting { members: 1, group: None, joins_late: false, overlapping: false, dead_letters: None, takes: None };

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
    pub commands: Vec<Sending<C>>,
}

pub(crate) struct Hosted<S: System> {
    // `Box`, not `Arc`: a `dyn` call through `Arc` must compute the payload's offset.
    pub(crate) service: Box<dyn Service<S>>,
    pub(crate) name: &'static str,
    /// Where the text is that the service gives as its name: who asks for a service by its name most often
    /// has that very text.
    pub(crate) name_at: usize,
    /// The hash of its name.
    pub(crate) hash: u64,
    pub(crate) members: u16,
    /// By what the handler runs for, whether it can pause between its reads and its saves.
    pub(crate) pauses: [bool; 3],
    /// By what the handler runs for.
    pub(crate) publish_modes: [PublishMode; 3],
    pub(crate) ack_timing: AckTiming,
    pub(crate) relay: Relay,
    /// By what the handler runs for, whether others can come between its saves and what it publishes.
    pub(crate) publishes_late: [bool; 3],
    /// By what the handler runs for, how long it works.
    pub(crate) takes: [Duration; 3],
    /// Whether its handlers are `async fn`s, which may be interrupted at each await.
    pub(crate) awaits: bool,
    /// Whether a member of it that works gets nothing more until it is done.
    pub(crate) takes_turns: bool,
    /// The services that its handlers ask.
    pub(crate) asks: Vec<AskedService>,
    /// The services that ask it.
    pub(crate) asked_by: Vec<ServiceIndex>,
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
    /// The key of its first attempt.
    pub(crate) key: u64,
    /// How it is sent, if not at once, once and like any other.
    pub(crate) terms: Option<Arc<Terms>>,
}

impl<C: Command> HostedCommand<C> {
    /// The label of an attempt, from 1.
    pub(crate) fn label(&self, attempt: u16) -> String {
        attempt_label(self.command.label(), attempt)
    }

    /// Whether it is always kept and meets no fault.
    #[inline]
    pub(crate) fn is_setup(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.is_setup)
    }

    /// Whether it is sent again until it is accepted.
    #[inline]
    pub(crate) fn is_retried(&self) -> bool {
        self.terms.as_ref().is_some_and(|terms| terms.until_accepted)
    }
}

/// What a service's store begins with.
pub(crate) type Seed = dyn Fn(&mut Store) + Send + Sync;

/// Services, broker rules and clients. Cheap to clone; start it with [`World`](crate::World).
pub struct Simulation<S: System> {
    pub(crate) inner: Arc<Inner<S>>,
}

pub(crate) struct Inner<S: System> {
    pub(crate) services: Arc<[Hosted<S>]>,
    pub(crate) profile: Profile,
    pub(crate) groups: Vec<GroupSetup>,
    pub(crate) clients: Vec<HostedClient<S::Command>>,
    /// Whether any command is sent otherwise than at once, once and like any other.
    pub(crate) has_terms: bool,
    /// Whether any service asks another one.
    pub(crate) has_askers: bool,
    /// Whether handlers of any service work for some time.
    pub(crate) has_workers: bool,
    pub(crate) seeds: Arc<[(ServiceIndex, Box<Seed>)]>,
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
        let (services, clients, seeds) = (Vec::new(), Vec::new(), Vec::new());
        SimulationBuilder { profile, services, clients, seeds, redeliver_futile: false }
    }

    /// The names of the services, in the order they were added.
    #[inline]
    pub fn service_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.inner.services.iter().map(|hosted| hosted.name)
    }

    /// The names of the services whose handlers are `async fn`s ([`Service::awaits`]).
    pub fn awaiting(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.inner.services.iter().filter(|hosted| hosted.awaits).map(|hosted| hosted.name)
    }

    /// The broker's rules.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.inner.profile
    }

    /// The groups, by name.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.inner.groups.iter().map(|group| group.name.as_str())
    }

    /// The subjects that a group listens to, each as often as one does.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> + '_ {
        self.inner.groups.iter().flat_map(|group| group.subjects.iter().copied())
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

    /// Where each command stands, client by client.
    pub(crate) fn command_indices(&self) -> impl Iterator<Item = CommandIndex> {
        let clients = self.inner.clients.iter().enumerate();
        clients.flat_map(|(client, hosted)| {
            (0..hosted.commands.len()).map(move |position| CommandIndex { client, position })
        })
    }

    /// The commands of a client.
    pub(crate) fn hosted(&self, client: usize) -> &HostedClient<S::Command> {
        &self.inner.clients[client]
    }

    /// The name of a command.
    ///
    /// # Panics
    /// If the simulation has no command there.
    #[must_use]
    pub fn command(&self, index: CommandIndex) -> CommandSpec {
        let hosted = self.hosted(index.client);
        let command = &hosted.commands[index.position];
        CommandSpec { client: hosted.name.clone(), label: command.command.label(), nth: command.nth }
    }

    /// Whether a command is always kept.
    pub(crate) fn is_setup(&self, index: CommandIndex) -> bool {
        self.hosted(index.client).commands[index.position].is_setup()
    }

    /// The same simulation in which clients hold back the commands for which `held` is true: each until it
    /// would be accepted or, if nothing else happens any more, until then.
    pub(crate) fn holding_back(&self, held: impl Fn(CommandIndex) -> bool) -> Simulation<S> {
        let mut clients = self.inner.clients.clone();
        for (client, hosted) in clients.iter_mut().enumerate() {
            let commands = hosted.commands.iter_mut().enumerate();
            for (_, command) in commands.filter(|(position, _)| held(CommandIndex { client, position: *position })) {
                let terms = command.terms.as_deref().cloned().unwrap_or_default();
                command.terms = Some(Arc::new(Terms { is_held_back: true, ..terms }));
            }
        }
        self.with_clients(clients)
    }

    /// The same simulation with those commands alone for which `keep` is true. What is left is named as it
    /// was, and the clients stay, some perhaps with nothing to send.
    #[must_use]
    pub fn keeping(&self, keep: impl Fn(CommandIndex) -> bool) -> Simulation<S> {
        let clients = self.inner.clients.iter().enumerate().map(|(client, HostedClient { name, commands })| {
            let is_kept = |position| keep(CommandIndex { client, position });
            let kept = commands.iter().enumerate().filter(|(position, _)| is_kept(*position));
            HostedClient { name: name.clone(), commands: kept.map(|(_, command)| command.clone()).collect() }
        });
        self.with_clients(clients.collect())
    }

    /// The same simulation with another command for the same service in the place of the one at `index`.
    ///
    /// # Panics
    /// If there is no command at `index`.
    #[must_use]
    pub fn replacing(&self, index: CommandIndex, command: S::Command) -> Simulation<S> {
        let CommandIndex { client, position } = index;
        let mut clients = self.inner.clients.clone();
        let HostedClient { name, commands } = &mut clients[client];
        let label = command.label();
        // The first number that no other command of this label has.
        let used = |nth: &u32| {
            let mut others = commands.iter().enumerate().filter(|(other, _)| *other != position);
            others.any(|(_, other)| other.nth == *nth && other.command.label() == label)
        };
        let nth = (1..).find(|nth| !used(nth)).unwrap_or(1);
        let key = command_key(hash::of_name(name), hash::of_name(&label), nth);
        let HostedCommand { service, ref terms, .. } = commands[position];
        commands[position] = HostedCommand { command, service, nth, key, terms: terms.clone() };
        self.with_clients(clients)
    }

    fn with_clients(&self, clients: Vec<HostedClient<S::Command>>) -> Simulation<S> {
        let Inner { services, profile, groups, seeds, redeliver_futile, has_askers, has_workers, .. } = &*self.inner;
        let inner = Inner {
            services: Arc::clone(services),
            profile: profile.clone(),
            groups: groups.clone(),
            has_terms: any_terms(&clients),
            has_askers: *has_askers,
            has_workers: *has_workers,
            clients,
            seeds: Arc::clone(seeds),
            redeliver_futile: *redeliver_futile,
            expected: OnceLock::new(),
        };
        Simulation { inner: Arc::new(inner) }
    }
}

fn any_terms<C>(clients: &[HostedClient<C>]) -> bool {
    clients.iter().flat_map(|client| &client.commands).any(|command| command.terms.is_some())
}

/// Which command of a simulation: its client, and its position among the commands of that client, both
/// counted from 0 in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandIndex {
    /// The client.
    pub client: usize,
    /// The position among its commands.
    pub position: usize,
}

/// Puts a [`Simulation`] together.
pub struct SimulationBuilder<S: System> {
    profile: Profile,
    services: Vec<(Box<dyn Service<S>>, Hosting)>,
    clients: Vec<Client<S::Command>>,
    seeds: Vec<(String, Box<Seed>)>,
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
    pub fn hosted(self, service: impl Service<S> + 'static, hosting: Hosting) -> SimulationBuilder<S> {
        self.boxed(Box::new(service), hosting)
    }

    /// [`SimulationBuilder::hosted`] of a service whose type is not known here.
    #[must_use]
    pub fn boxed(mut self, service: Box<dyn Service<S>>, hosting: Hosting) -> SimulationBuilder<S> {
        self.services.push((service, hosting));
        self
    }

    /// Adds a client, with commands or with [`Sending`]s, which say how each of them is sent.
    ///
    /// A command that comes without a [`Sending`] is sent when the one before it has returned, whether
    /// that was accepted, refused or cut off by a crash, and whether or not the services know yet what it
    /// is about; the client does not send it again.
    #[must_use]
    pub fn client<C>(mut self, name: impl Into<String>, commands: Vec<C>) -> SimulationBuilder<S>
    where
        C: Into<Sending<S::Command>>,
    {
        let commands = commands.into_iter().map(Into::into).collect();
        self.clients.push(Client { name: name.into(), commands });
        self
    }

    /// Lets a service's store begin with what `seed` saves, in every run: an initial state, which no
    /// command has to bring about and shrinking does not touch. It may be called several times for one
    /// service.
    ///
    /// What is saved is there before the first step: nothing is published for it, no property judges it as
    /// a step, and the history of an owner begins with it. A replica is seeded at its own service.
    ///
    /// ```
    /// # use pellmell::doc_example::{Item, Shop};
    /// use pellmell::testing::service;
    /// use pellmell::{Profile, RecordId, Simulation, VersionPolicy};
    ///
    /// let i1 = RecordId::new('i', 1);
    /// let simulation: Simulation<Shop> = Simulation::on(Profile::stan())
    ///     .service(service("shop").owns::<Item>(VersionPolicy::EVERY_SAVE))
    ///     .seeded("shop", move |store| {
    ///         store.insert(i1, Item { price: 5 }).expect("nothing is there yet");
    ///     })
    ///     .build()
    ///     .unwrap();
    /// let world = simulation.world();
    /// assert_eq!(world.store_of("shop").find::<Item>(i1).map(|item| item.price), Some(5));
    /// ```
    ///
    /// # Panics
    /// Not here; but [`Simulation::world`] panics if `seed` does, as it does if it saves to a collection
    /// that the service does not declare.
    #[must_use]
    pub fn seeded(
        mut self,
        service: impl Into<String>,
        seed: impl Fn(&mut Store) + Send + Sync + 'static,
    ) -> SimulationBuilder<S> {
        self.seeds.push((service.into(), Box::new(seed)));
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
    /// line break, `:`, `#` or `->` in it; if a service has no members, a command is addressed to no
    /// service or waits for a record at none, or what is no service is seeded; if two services own the same
    /// records, or collections or subjects cannot be told apart; if one order is to be kept over all that a group
    /// gets, and services that share it listen to different subjects; if a group has dead letters and the broker
    /// never gives a message up, or drops it, or if services that share a group name two subjects for them; if a
    /// service asks itself, or what is no service; if the handlers of a service work for some time over timers, or
    /// over deliveries of a group that others share who take none.
    pub fn build(self) -> Result<Simulation<S>, BuildError> {
        self.profile.supported().map_err(|error| BuildError(error.to_string()))?;
        let mut services: Vec<Hosted<S>> = Vec::new();
        let mut groups: Vec<GroupSetup> = Vec::new();
        let mut declared = Declared::default();
        for (service, hosting) in self.services {
            let name_at = service.name().as_ptr().addr();
            let name = ids::kept_copy(service.name());
            checks::name(&Named::Service, name)?;
            hosting.group.iter().try_for_each(|group| checks::name(&Named::Group, group))?;
            let mut schema = Schema::default();
            service.collections(&mut schema);
            declared.add(name, &schema)?;
            if services.iter().any(|other| other.name == name) {
                return Err(BuildError(format!("service `{name}` is added twice")));
            }
            if hosting.members == 0 {
                return Err(BuildError(format!("service `{name}` has no members: expected at least 1")));
            }
            let index = ServiceIndex(services.len() as u16);
            let may_pause = hosting.may_pause();
            let pauses = Work::ALL.map(|work| match work {
                Work::Command => may_pause,
                // Who handles one message at a time is slow all the same, and an engine waits for it meanwhile.
                Work::Delivery => may_pause || self.profile.engine.is_some() && !service.subjects().is_empty(),
                // The clock moves last.
                Work::Timer => false,
            });
            join_group(&mut groups, index, service.as_ref(), &hosting, pauses[Work::Delivery as usize])?;
            let awaits = service.awaits();
            let publish_modes = Work::ALL.map(|work| match service.publish_mode(work) {
                // What it has saved nothing takes back.
                PublishMode::Outbox if awaits => PublishMode::DualWrite,
                mode => mode,
            });
            let handled = groups.iter_mut().filter(|group| group.services.iter().any(|(other, _)| *other == index));
            handled.for_each(|group| group.awaits |= awaits);
            let relay = service.relay();
            let publishes_late = Work::ALL.map(|work| match publish_modes[work as usize] {
                _ if work == Work::Timer => false,
                PublishMode::Outbox => true,
                PublishMode::DualWrite => may_pause,
                PublishMode::BeforeSave => false,
            });
            let delivered = groups.iter_mut().filter(|group| group.services.iter().any(|(other, _)| *other == index));
            delivered.for_each(|group| group.may_publish_late |= publishes_late[Work::Delivery as usize]);
            let ack_timing = service.ack_timing();
            let takes = checks::takes(service.as_ref(), &hosting, &self.profile)?;
            let takes_turns = !hosting.overlapping && takes.iter().any(|takes| !takes.is_zero());
            checks::one_pace(&mut groups, index, takes, takes_turns, &services)?;
            let (members, hash) = (hosting.members, hash::of_name(name));
            services.push(Hosted {
                service,
                name,
                name_at,
                hash,
                members,
                pauses,
                publish_modes,
                ack_timing,
                relay,
                publishes_late,
                takes,
                awaits,
                takes_turns,
                asks: Vec::new(),
                asked_by: Vec::new(),
            });
        }
        checks::link_askers(&mut services, &mut groups)?;
        if groups.iter().any(|group| group.dead_letters.is_some()) {
            self.profile.dead_letters().map_err(|reason| BuildError(format!("dead letters: {reason}")))?;
        }
        if self.profile.ordering == Ordering::Subscription {
            groups.iter().try_for_each(checks::one_order)?;
        }
        checks::subjects(groups.iter().flat_map(|group| group.subjects.iter().copied()))?;
        for (place, client) in self.clients.iter().enumerate() {
            checks::name(&Named::Client, &client.name)?;
            if self.clients[..place].iter().any(|other| other.name == client.name) {
                return Err(BuildError(format!("client `{}` is added twice", client.name)));
            }
        }
        let clients = self.clients.into_iter().map(|client| host_client(&services, &declared, client));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let seeds = self.seeds.into_iter().map(|(name, seed)| match place_of(&services, &name) {
            Some(service) => Ok((service, seed)),
            None => Err(BuildError(format!("records are seeded at `{name}`, which is no service"))),
        });
        let seeds = seeds.collect::<Result<Vec<_>, _>>()?.into();
        let has_terms = any_terms(&clients);
        let (profile, redeliver_futile, expected) = (self.profile, self.redeliver_futile, OnceLock::new());
        let has_askers = services.iter().any(|hosted| !hosted.asks.is_empty());
        let has_workers = services.iter().flat_map(|hosted| hosted.takes).any(|takes| !takes.is_zero());
        let inner = Inner {
            services: services.into(),
            profile,
            groups,
            clients,
            has_terms,
            has_askers,
            has_workers,
            seeds,
            redeliver_futile,
            expected,
        };
        Ok(Simulation { inner: Arc::new(inner) })
    }
}

fn join_group<S: System>(
    groups: &mut Vec<GroupSetup>,
    index: ServiceIndex,
    service: &dyn Service<S>,
    hosting: &Hosting,
    may_pause: bool,
) -> Result<(), BuildError> {
    let subjects: Vec<Subject> = service.subjects().to_vec();
    if subjects.is_empty() {
        let lost = |subject| format!("dead letters of `{}` on `{subject}`: it listens to nothing", service.name());
        return hosting.dead_letters.map_or(Ok(()), |subject: Subject| Err(BuildError(lost(subject.name()))));
    }
    let name = hosting.group.clone().unwrap_or_else(|| service.name().to_owned());
    let members = (0..hosting.members).map(|ordinal| Member { service: index, ordinal });
    match groups.iter_mut().find(|group| group.name == name) {
        Some(group) => {
            group.members.extend(members);
            group.may_pause |= may_pause;
            group.overlaps |= hosting.overlapping;
            if let (Some(one), Some(other)) = (group.dead_letters, hosting.dead_letters)
                && one != other
            {
                let message = format!("dead letters of the group `{name}` go to `{}`", one.name());
                return Err(BuildError(format!("{message}, or to `{}`: name one subject", other.name())));
            }
            group.dead_letters = group.dead_letters.or(hosting.dead_letters);
            group.services.push((index, subjects.clone()));
            group.subjects.extend(
                subjects.iter().filter(|subject| !group.subjects.contains(subject)).copied().collect::<Vec<_>>(),
            );
        }
        None => {
            let (members, joins_late) = (members.collect(), hosting.joins_late);
            let services = vec![(index, subjects.clone())];
            let (overlaps, may_publish_late, may_ask) = (hosting.overlapping, false, false);
            let (works, takes_turns, awaits) = (false, false, false);
            groups.push(GroupSetup {
                name,
                subjects,
                services,
                members,
                joins_late,
                may_pause,
                overlaps,
                may_publish_late,
                may_ask,
                works,
                takes_turns,
                awaits,
                dead_letters: hosting.dead_letters,
            });
        }
    }
    Ok(())
}

/// The place of the service of that name.
fn place_of<S: System>(services: &[Hosted<S>], name: &str) -> Option<ServiceIndex> {
    services.iter().position(|hosted| hosted.name == name).map(|place| ServiceIndex(place as u16))
}

fn host_client<S: System>(
    services: &[Hosted<S>],
    declared: &Declared,
    client: Client<S::Command>,
) -> Result<HostedClient<S::Command>, BuildError> {
    let name_hash = hash::of_name(&client.name);
    let mut commands: Vec<HostedCommand<S::Command>> = Vec::new();
    let mut seen = std::collections::BTreeMap::<u64, u32>::new();
    for sending in client.commands {
        let terms = terms_of(services, declared, &sending)?.map(Arc::new);
        let command = sending.command;
        let to = command.service();
        let Some(service) = place_of(services, to) else {
            let message = format!("`{}` is addressed to `{to}`, which is no service", command.label());
            let near = nearest(to, services.iter().map(|hosted| hosted.name));
            return Err(BuildError(near.map_or(message.clone(), |near| format!("{message}: did you mean `{near}`?"))));
        };
        // By label, and by count only among equals: dropping another command shifts nothing, and a
        // schedule can name it.
        let label = hash::of_name(&command.label());
        let nth = *seen.entry(label).and_modify(|nth| *nth += 1).or_insert(1);
        let key = command_key(name_hash, label, nth);
        commands.push(HostedCommand { command, service, nth, key, terms });
    }
    Ok(HostedClient { name: client.name, commands })
}

/// How a command is sent, if not at once, once and like any other.
fn terms_of<S: System>(
    services: &[Hosted<S>],
    declared: &Declared,
    sending: &Sending<S::Command>,
) -> Result<Option<Terms>, BuildError> {
    let Sending { command, waits_for, until_accepted, setup } = sending;
    let awaited = waits_for.iter().map(|awaited| match place_of(services, &awaited.service) {
        Some(service) => declared.awaited(&command.label(), awaited).map(|()| (awaited.record, service)),
        None => Err(BuildError(format!("`{}` waits for `{awaited}`, which is no service", command.label()))),
    });
    let terms = Terms {
        waits_for: awaited.collect::<Result<_, _>>()?,
        until_accepted: *until_accepted,
        is_setup: *setup,
        is_held_back: false,
    };
    Ok((terms != Terms::default()).then_some(terms))
}

/// The parts of a simulation do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(String);

impl BuildError {
    /// What does not fit, in words.
    #[must_use]
    pub fn new(what: impl Into<String>) -> BuildError {
        BuildError(what.into())
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}
