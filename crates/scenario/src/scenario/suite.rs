//! What scenario files and the command line need to know of a system besides its events and commands.

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error};

use super::coded::Coded;
use super::defect::{Alternative, Defect};
use pellmell_core::broker::Profile;
use pellmell_core::event::{Command, System};
use pellmell_core::ids::RecordId;
use pellmell_core::property::{Property, Sometimes};
use pellmell_core::run::Observer;
use pellmell_core::service::Service;
use pellmell_core::simulation::{Client, Hosting, Simulation, SimulationBuilder};
use pellmell_core::world::World;

/// A system under test with all that scenario files and the command line need to know of it: its services,
/// what must hold, and what varies.
///
/// Commands are read by serde: an enum in its externally tagged form *is* the syntax of a scenario's
/// commands, such as `{ set_price = { item = "i1", price = 5 } }`.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop as Doc};
/// use pellmell::scenario::{NoRecords, NoWorkload, Scenario, Services, Suite};
/// use pellmell::{Property, System, VersionPolicy, testing};
///
/// struct Shop;
///
/// impl System for Shop {
///     type Event = Changed;
///     type Command = Change;
/// }
///
/// impl Suite for Shop {
///     const NAME: &'static str = "shop";
///     type Design = ();
///     type Workload = NoWorkload;
///     type Stored = NoRecords;
///
///     fn services((): &()) -> Services<Shop> {
///         let shop = testing::service("shop").owns::<Item>(VersionPolicy::EVERY_SAVE);
///         Services::new().service(shop.on_command(|_, _| Ok(())))
///     }
///
///     fn properties((): &()) -> Vec<Box<dyn Property<Shop>>> {
///         Vec::new()
///     }
/// }
///
/// let text = r#"
/// version = 1
/// about = "a price changes"
///
/// [[client]]
/// name = "seller"
/// commands = [{ item = "i1", price = 5 }]
/// "#;
/// let scenario: Scenario<Shop> = Scenario::parse("shop.toml", text).unwrap();
/// assert_eq!(scenario.clients[0].commands[0].command.price, 5);
/// ```
pub trait Suite: System<Command: DeserializeOwned> {
    /// The system's name, which help and errors say.
    const NAME: &'static str;

    /// The name of the program that has its command line, which commands to type next begin with; the
    /// system's unless said otherwise.
    fn program() -> &'static str {
        Self::NAME
    }

    /// The scenario file that examples in the help of its command line run, best one that fails; a name that
    /// stands for any unless said otherwise.
    fn example() -> &'static str {
        "scenarios/NAME.toml"
    }

    /// What varies between designs of the same services, as values; `()` if nothing does.
    type Design: Design;

    /// How clients are generated; [`NoWorkload`] if scenarios write all of them out.
    type Workload: Workload<Self::Command>;

    /// What a `[[record]]` of a scenario says; [`NoRecords`] if all stores begin empty.
    type Stored: Stored<Self>;

    /// The designs that can be chosen by name; the first is the usual one. Only the default one unless said
    /// otherwise.
    fn designs() -> Vec<Self::Design> {
        vec![Self::Design::default()]
    }

    /// The services of a design.
    fn services(design: &Self::Design) -> Services<Self>;

    /// Whether the services of a scenario are those that its file names, each of them a process; unless said otherwise
    /// they are those of a design.
    const OF_PROCESSES: bool = false;

    /// A service that is code in a process of its own, because the file says so with `command`, in the place of the
    /// one of that name. Refused unless said otherwise.
    ///
    /// # Errors
    /// Why it cannot be one, or does not start.
    fn coded(_design: &Self::Design, name: &str, _coded: &Coded) -> Result<Box<dyn Service<Self>>, String> {
        Err(format!("the services of `{}` are rules in Rust, and `{name}` cannot be a process", Self::NAME))
    }

    /// What must hold of a design.
    fn properties(design: &Self::Design) -> Vec<Box<dyn Property<Self>>>;

    /// All properties that can be chosen by name: unless said otherwise those of all designs, each once.
    fn all_properties() -> Vec<Box<dyn Property<Self>>> {
        let mut all: Vec<Box<dyn Property<Self>>> = Vec::new();
        for property in Self::designs().iter().flat_map(Self::properties) {
            if all.iter().all(|known| known.name() != property.name()) {
                all.push(property);
            }
        }
        all
    }

    /// What some run should reach where these services take part and clients ask for this. Nothing unless
    /// said otherwise.
    fn sometimes(_design: &Self::Design, _part: &TakingPart) -> Vec<Sometimes<Self>> {
        Vec::new()
    }

    /// The faults that can be planted in a design by name. None unless said otherwise.
    fn defects() -> Vec<Defect<Self::Design>> {
        Vec::new()
    }

    /// A fault nobody could miss: a zoo is only to be trusted as long as it finds this one. None unless said
    /// otherwise.
    fn canary() -> Option<Defect<Self::Design>> {
        None
    }

    /// Other rules that are right as well, in which a zoo must find nothing. None unless said otherwise.
    fn alternatives() -> Vec<Alternative<Self::Design>> {
        Vec::new()
    }

    /// Compares runs with one another, for a zoo, where something must not depend on the schedule. Nothing
    /// is compared unless said otherwise.
    fn comparison() -> Box<dyn Comparison<Self>> {
        Box::new(())
    }

    /// How a timeline shows records.
    fn display() -> Display {
        Display::default()
    }

    /// The usual design.
    fn usual() -> Self::Design {
        Self::designs().into_iter().next().unwrap_or_default()
    }

    /// The defect of that name or number.
    fn defect(name: &str) -> Option<Defect<Self::Design>> {
        Self::defects().into_iter().find(|defect| defect.name == name || defect.id == name)
    }

    /// The design of that name.
    fn design(name: &str) -> Option<Self::Design> {
        Self::designs().into_iter().find(|design| design.name() == name)
    }
}

/// What varies between designs of the same services.
pub trait Design: Clone + Default + fmt::Debug + Send + Sync + 'static {
    /// Its name in scenario files and on the command line.
    fn name(&self) -> &'static str;

    /// What it does and what it lacks, in a sentence.
    fn about(&self) -> &'static str {
        ""
    }
}

/// Of services that have no variants: the only design, named `usual`.
impl Design for () {
    fn name(&self) -> &'static str {
        "usual"
    }
}

/// The services of a design, in the order of a timeline's columns.
pub struct Services<S: System> {
    pub(super) parts: Vec<Part<S>>,
}

pub(super) struct Part<S: System> {
    pub(super) service: Box<dyn Service<S>>,
    pub(super) hosting: Hosting,
    /// Whether it takes part only where a scenario names it.
    pub(super) is_optional: bool,
}

impl<S: System> Default for Services<S> {
    fn default() -> Services<S> {
        Services { parts: Vec::new() }
    }
}

impl<S: System> Services<S> {
    /// No services.
    #[must_use]
    pub fn new() -> Services<S> {
        Services::default()
    }

    /// And this one, which always takes part: with one member, unless the scenario says otherwise.
    #[must_use]
    pub fn service(self, service: impl Service<S> + 'static) -> Services<S> {
        self.hosted(service, Hosting::ALONE)
    }

    /// And this one, which takes part only in scenarios with a table `[services.NAME]`.
    #[must_use]
    pub fn optional(self, service: impl Service<S> + 'static) -> Services<S> {
        self.optional_hosted(service, Hosting::ALONE)
    }

    /// The names of those that take part only where a scenario names them.
    pub(super) fn optional_names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(|part| part.is_optional).map(|part| part.service.name())
    }

    /// [`Services::service`], and how it takes part unless the scenario says otherwise.
    #[must_use]
    pub fn hosted(self, service: impl Service<S> + 'static, hosting: Hosting) -> Services<S> {
        self.and(Part { service: Box::new(service), hosting, is_optional: false })
    }

    /// [`Services::optional`], and how it takes part unless the scenario says otherwise.
    #[must_use]
    pub fn optional_hosted(self, service: impl Service<S> + 'static, hosting: Hosting) -> Services<S> {
        self.and(Part { service: Box::new(service), hosting, is_optional: true })
    }

    /// Begins a simulation of all of them on a broker with these rules, for a test.
    #[must_use]
    pub fn on(self, profile: Profile) -> SimulationBuilder<S> {
        let on = Simulation::on(profile);
        self.parts.into_iter().fold(on, |on, part| on.boxed(part.service, part.hosting))
    }

    /// A service in the place of the one of its name, if there is one.
    pub(super) fn put(&mut self, service: Box<dyn Service<S>>) {
        match self.parts.iter_mut().find(|part| part.service.name() == service.name()) {
            Some(part) => part.service = service,
            None => self.parts.push(Part { service, hosting: Hosting::ALONE, is_optional: false }),
        }
    }

    fn and(mut self, part: Part<S>) -> Services<S> {
        self.parts.push(part);
        self
    }

    /// The names of all of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.service.name())
    }
}

/// Which services take part in a scenario, and what its clients ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakingPart {
    /// The services, by name.
    pub services: Vec<String>,
    /// The verbs of the commands: the first words of their labels.
    pub verbs: Vec<String>,
}

impl TakingPart {
    /// Whether all of these services take part.
    #[must_use]
    pub fn has_services(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.services.iter().any(|known| known == name))
    }

    /// Whether clients ask for all of this, by the first words of their commands' labels.
    #[must_use]
    pub fn has_verbs(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|known| known == verb))
    }
}

/// The verb of a command: the first word of its label.
pub(super) fn verb<C: Command>(command: &C) -> String {
    let label = command.label();
    label.split(|c: char| c.is_whitespace() || "({".contains(c)).next().unwrap_or_default().to_owned()
}

/// How clients are generated: the table `[workload]` of a scenario, read by serde.
pub trait Workload<C: Command>: Clone + fmt::Debug + DeserializeOwned + Send + Sync + 'static {
    /// The clients for a seed. Which there are, by their names, must not depend on the seed.
    fn clients(&self, seed: u64) -> Vec<Client<C>>;

    /// Whether they differ between seeds. Unless said otherwise they do.
    fn varies(&self) -> bool {
        true
    }

    /// Checks what serde cannot check.
    ///
    /// # Errors
    /// The key whose value is wrong, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        Ok(())
    }

    /// Whether one of the clients has this name, under whatever seed.
    fn names(&self, client: &str) -> bool {
        self.clients(0).iter().any(|known| known.name == client)
    }

    /// The first words of the labels of commands that are sent under some seed or other; unless said
    /// otherwise, under the first sixteen.
    fn verbs(&self) -> Vec<String> {
        let clients = (0..16).flat_map(|seed| self.clients(seed));
        let mut verbs: Vec<String> = Vec::new();
        for sending in clients.flat_map(|client| client.commands) {
            let verb = verb(&sending.command);
            if !verbs.contains(&verb) {
                verbs.push(verb);
            }
        }
        verbs
    }

    /// The records that are created under some seed or other; unless said otherwise, under the first sixteen.
    fn creates(&self) -> Vec<RecordId> {
        let clients = (0..16).flat_map(|seed| self.clients(seed));
        clients.flat_map(|client| client.commands).filter_map(|sending| sending.command.creates()).collect()
    }
}

/// The workload of a system that generates no clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWorkload {}

impl<'de> Deserialize<'de> for NoWorkload {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<NoWorkload, D::Error> {
        Err(D::Error::custom("this system generates no clients: write them out as [[client]] tables"))
    }
}

impl<C: Command> Workload<C> for NoWorkload {
    fn clients(&self, _: u64) -> Vec<Client<C>> {
        match *self {}
    }
}

/// A record that is there before a run begins: the table `[[record]]` of a scenario, read by serde.
pub trait Stored<T: Suite>:
    Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Which record it is.
    fn record(&self) -> RecordId;

    /// Lets the services of a design begin with it (see [`SimulationBuilder::seeded`]).
    #[must_use]
    fn seed(&self, design: &T::Design, on: SimulationBuilder<T>) -> SimulationBuilder<T>;
}

/// The records of a system whose stores all begin empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum NoRecords {}

impl<'de> Deserialize<'de> for NoRecords {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<NoRecords, D::Error> {
        Err(D::Error::custom("the stores of this system begin empty: let a client's command create the record"))
    }
}

impl<T: Suite> Stored<T> for NoRecords {
    fn record(&self) -> RecordId {
        match *self {}
    }

    fn seed(&self, _: &T::Design, _: SimulationBuilder<T>) -> SimulationBuilder<T> {
        match *self {}
    }
}

/// Compares runs of one simulation under many schedules.
pub trait Comparison<S: System> {
    /// Begins a run, which `observer` will see.
    fn begin(&mut self) {}

    /// Sees a step of the run that was begun.
    fn step(&mut self, _world: &World<S>, _step: &pellmell_core::world::Step) {}

    /// Ends the run under the number it is known by.
    ///
    /// # Errors
    /// How it differs from an earlier one that it must not differ from.
    fn end(&mut self, _number: u64, _world: &World<S>) -> Result<(), String> {
        Ok(())
    }
}

impl<S: System> Comparison<S> for () {}

/// Lets a comparison see the steps of a run.
pub(crate) struct Comparing<'a, S: System>(pub(crate) &'a mut dyn Comparison<S>);

impl<S: System> Observer<S> for Comparing<'_, S> {
    fn after(&mut self, world: &World<S>, step: &pellmell_core::world::Step) {
        self.0.step(world, step);
    }
}

/// How a timeline shows records. By default all fields are shown, and copies of a record at two services are
/// compared by their versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Display {
    /// Fields that would fill the table of records and tell nothing.
    pub hidden_fields: &'static [&'static str],
    /// Fields whose value is a moment of simulated time in microseconds.
    pub time_fields: &'static [&'static str],
    /// Collections that are shown without a version and not compared.
    pub not_compared: &'static [&'static str],
    /// The kinds of records that two services must hold, and the fields that must be the same besides the
    /// version.
    pub replicated: &'static [(char, &'static [&'static str])],
}

impl Display {
    /// The default, as a constant to change.
    pub const USUAL: Display = Display { hidden_fields: &[], time_fields: &[], not_compared: &[], replicated: &[] };

    /// Hides fields.
    #[must_use]
    pub const fn with_hidden_fields(self, hidden_fields: &'static [&'static str]) -> Display {
        Display { hidden_fields, ..self }
    }

    /// Shows fields as moments.
    #[must_use]
    pub const fn with_time_fields(self, time_fields: &'static [&'static str]) -> Display {
        Display { time_fields, ..self }
    }

    /// Leaves collections out of the comparison.
    #[must_use]
    pub const fn with_not_compared(self, not_compared: &'static [&'static str]) -> Display {
        Display { not_compared, ..self }
    }

    /// Says which kinds of records two services must hold.
    #[must_use]
    pub const fn with_replicated(self, replicated: &'static [(char, &'static [&'static str])]) -> Display {
        Display { replicated, ..self }
    }
}
