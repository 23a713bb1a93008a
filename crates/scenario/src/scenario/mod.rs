//! Scenarios: a situation of a system's services, written as a TOML file.
//!
//! A scenario says which clients send what, on which broker, under which faults or departures, and
//! what should come of it under which design. The library parses text; it opens no files.

mod changes;
mod coded;
mod counterexample;
mod defect;
mod departures;
mod entry;
mod file;
mod own;
mod played;
mod read;
mod rules;
mod source;
mod suite;
mod test;
mod vacuous;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use pellmell_core::broker::Profile;
use pellmell_core::faults::FaultPlan;
use pellmell_core::property::Sometimes;
use pellmell_core::run::{Judges, Limits, Observer, Report, Verdict, run};
use pellmell_core::schedule::{Departure, NamedStep};
use pellmell_core::scheduler::{Departing, Scheduler};
use pellmell_core::search::{Means, Source};
use pellmell_core::simulation::{BuildError, Client, Hosting, Simulation};
use pellmell_core::vacuity::Allow;
use pellmell_core::world::World;

pub use self::changes::{Changes, Gone};
pub use self::coded::{ClientOf, Coded, MessageNames, Place, SeenAt, Speaks};
pub use self::counterexample::{Counterexample, ShrinkError};
pub use self::defect::{Alternative, Defect, Level, planted};
pub use self::source::Unknown;
pub(crate) use self::suite::Comparing;
pub use self::suite::{
    Comparison, Design, Display, NoRecords, NoWorkload, Services, Stored, Suite, TakingPart, Workload,
};
pub use self::test::check_scenario;
pub use pellmell_core::file_error::FileError;
pub use pellmell_core::nearest::nearest;
pub use pellmell_core::portfolio::SchedulerKind;

/// A situation of a system's services. What it says whatever the system is in [`Settings`], to which it
/// dereferences.
pub struct Scenario<T: Suite> {
    /// What it says whatever the system.
    pub settings: Settings,
    /// The design of the services.
    pub design: T::Design,
    /// The records that are there from the start.
    pub stored: Vec<T::Stored>,
    /// The clients written out in the file.
    pub clients: Vec<Client<T::Command>>,
    /// The clients to generate.
    pub workload: Option<T::Workload>,
}

/// What a scenario says whatever the system.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name: the file's, without folder and ending.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// The seed it is run with unless another one is asked for.
    pub seed: u64,
    /// The rules of the broker.
    pub profile: Profile,
    /// The profile that took the place of the file's broker ([`Scenario::on_profile`]).
    pub on_profile: Option<String>,
    /// Who picks what happens next; `None` if the file leaves it to those who play it: one seed is
    /// played by [`SchedulerKind::Random`], many by [`SchedulerKind::Portfolio`].
    pub scheduler: Option<SchedulerKind>,
    /// How the run departs from the calm one; if there are any, they replace the scheduler.
    pub schedule: Vec<Departure>,
    /// What may go wrong.
    pub faults: FaultPlan,
    /// The defects planted in the design, by name.
    pub defects: Vec<String>,
    /// The services that take part, and how.
    pub hostings: Hostings,
    /// The names of the properties to judge; those the design promises if empty.
    pub properties: Vec<String>,
    /// How far a run may go.
    pub limits: Limits,
    /// What may be vacuous.
    pub allow: Vec<Allow>,
    /// The verdict each design should get.
    pub expect: BTreeMap<String, Expectation>,
    /// Why it is kept, if it is an entry of a corpus.
    pub entry: Option<Entry>,
    /// The file's text.
    pub source: String,
}

/// The services that take part in a scenario, and how each does.
#[derive(Clone, Debug, Default)]
pub struct Hostings {
    named: Vec<(String, Hosting)>,
    /// Those that are code in a process of their own, in the order of the file.
    coded: Vec<(String, Arc<Coded>)>,
}

impl Hostings {
    /// The services, in the order of a timeline's columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }

    /// How a service takes part; `None` if it does not.
    #[must_use]
    pub fn get(&self, service: &str) -> Option<&Hosting> {
        self.named.iter().find(|(name, _)| name == service).map(|(_, hosting)| hosting)
    }

    /// Says how a service takes part; one that did not comes last.
    pub fn set(&mut self, service: &str, hosting: Hosting) {
        match self.named.iter_mut().find(|(name, _)| name == service) {
            Some((_, known)) => *known = hosting,
            None => self.push(service, hosting),
        }
    }

    /// What the file says of a service that is code in a process of its own; `None` if it is not.
    #[must_use]
    pub fn coded(&self, service: &str) -> Option<&Coded> {
        self.coded.iter().find(|(name, _)| name == service).map(|(_, coded)| &**coded)
    }

    /// Says that a service does not take part.
    pub fn remove(&mut self, service: &str) {
        self.named.retain(|(name, _)| name != service);
    }

    /// Changes how each service takes part.
    pub fn each_mut(&mut self) -> impl Iterator<Item = (&str, &mut Hosting)> {
        self.named.iter_mut().map(|(name, hosting)| (name.as_str(), hosting))
    }

    fn push(&mut self, service: &str, hosting: Hosting) {
        self.named.push((service.to_owned(), hosting));
    }
}

impl Settings {
    /// Which scheduler plays `seed`, if there is no schedule.
    #[must_use]
    pub fn scheduler_kind(&self, seed: u64) -> SchedulerKind {
        self.scheduler.unwrap_or(SchedulerKind::Random).for_seed(seed)
    }

    /// Who picks what happens under a seed: a scheduler's name, or `departures`.
    #[must_use]
    pub fn scheduler_name(&self, seed: u64) -> &'static str {
        if self.schedule.is_empty() { self.scheduler_kind(seed).name() } else { "departures" }
    }

    /// What the runs may meet.
    #[must_use]
    pub fn means(&self) -> Means {
        match self.scheduler {
            _ if !self.schedule.is_empty() => Means::of_schedule(&self.schedule),
            // It has no faults.
            Some(SchedulerKind::Rounds) => Means::default(),
            _ => Means::of_plan(&self.faults),
        }
    }

    /// Settles that only `seed` is played: a portfolio becomes the scheduler of it that plays that seed.
    pub fn settle_for_seed(&mut self, seed: u64) {
        self.scheduler = self.scheduler.map(|kind| kind.for_seed(seed));
    }

    /// Settles that many seeds are played: by the portfolio, unless there is a scheduler or a schedule.
    pub fn settle_for_seeds(&mut self) {
        self.scheduler = self.scheduler.or(self.schedule.is_empty().then_some(SchedulerKind::Portfolio));
    }
}

impl<T: Suite> Deref for Scenario<T> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl<T: Suite> DerefMut for Scenario<T> {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

impl<T: Suite> Clone for Scenario<T> {
    fn clone(&self) -> Scenario<T> {
        let Scenario { settings, design, stored, clients, workload } = self;
        Scenario {
            settings: settings.clone(),
            design: design.clone(),
            stored: stored.clone(),
            clients: clients.clone(),
            workload: workload.clone(),
        }
    }
}

impl<T: Suite> fmt::Debug for Scenario<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { settings, design, stored, clients, workload } = self;
        let mut shown = f.debug_struct("Scenario");
        shown.field("settings", settings).field("design", design).field("stored", stored);
        shown.field("clients", clients).field("workload", workload).finish()
    }
}

/// The verdict a design should get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Every property holds.
    Held,
    /// This property is violated.
    Violated(String),
}

/// Why a case is kept, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What should come of it.
    pub expect: Expectation,
    /// Why it is kept, in a sentence.
    pub reason: String,
    /// The seed it was found with.
    pub seed: Option<u64>,
    /// The version of the tool that found it.
    pub tool: Option<String>,
    /// The commit of the services it was found in.
    pub commit: Option<String>,
    /// The steps of the run that came to it; none if they were not recorded.
    pub trace: Vec<NamedStep>,
}

impl Expectation {
    /// Whether a verdict is the expected one.
    #[must_use]
    pub fn meets(&self, verdict: &Verdict) -> bool {
        match (self, verdict) {
            (Expectation::Held, Verdict::Held) => true,
            (Expectation::Violated(expected), Verdict::Violated { property, .. }) => expected == property,
            _ => false,
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Held => f.write_str("held"),
            Expectation::Violated(property) => write!(f, "violated {property}"),
        }
    }
}

/// Puts the services together that a scenario is played in: its own, or others that came of them since.
pub type Build<'a, T> = dyn Fn(&Scenario<T>) -> Result<Simulation<T>, BuildError> + 'a;

impl<T: Suite> Scenario<T> {
    /// Reads a scenario from a file's text. `file` is the name that errors show.
    ///
    /// # Errors
    /// The first mistake, with its place and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<Scenario<T>, FileError> {
        read::scenario(file, text)
    }

    /// Reads what a text says although it names things that do not exist any more, and returns those names
    /// beside it; departures and steps stay as they are. `build` puts together the services that say which
    /// names there are: [`Scenario::simulation`], or others that came of the scenario's since.
    ///
    /// # Errors
    /// The first mistake of another kind.
    pub fn parse_leniently(file: &str, text: &str, build: &Build<'_, T>) -> Result<(Scenario<T>, Unknown), FileError> {
        read::leniently(file, text, build)
    }

    /// The design with the defects that are planted in it.
    ///
    /// # Panics
    /// If there is no defect of one of the names, which [`Scenario::parse`] sees to.
    #[must_use]
    pub fn planted(&self) -> T::Design {
        let defects = self.defects.iter().map(|name| T::defect(name).unwrap_or_else(|| panic!("no defect `{name}`")));
        planted(&self.design, &defects.collect::<Vec<_>>())
    }

    /// The name of the design and those of the defects planted in it, such as `reference + LastWriteWins`.
    #[must_use]
    pub fn rules(&self) -> String {
        self.defects.iter().fold(self.design.name().to_owned(), |rules, defect| rules + " + " + defect)
    }

    /// The simulation under `seed`, which decides a generated workload.
    ///
    /// # Errors
    /// If the broker's rules are not simulated yet, or the system's parts do not fit.
    pub fn simulation(&self, seed: u64) -> Result<Simulation<T>, BuildError> {
        let design = self.planted();
        let mut builder = Simulation::on(self.profile.clone());
        let mut services = T::services(&design);
        for (name, coded) in &self.hostings.coded {
            services.put(T::coded(&design, name, coded).map_err(BuildError::new)?);
        }
        for part in services.parts {
            if let Some(hosting) = self.hostings.get(part.service.name()) {
                // A scenario says nothing of groups, and a planted design may.
                let hosting = Hosting { group: part.hosting.group, ..hosting.clone() };
                builder = builder.boxed(part.service, hosting);
            }
        }
        builder = self.stored.iter().fold(builder, |builder, stored| stored.seed(&design, builder));
        for client in self.clients_of(seed) {
            builder = builder.client(client.name, client.commands);
        }
        builder.build()
    }

    /// The clients that take part under `seed`: those of the file, and those of its workload.
    #[must_use]
    pub fn clients_of(&self, seed: u64) -> Vec<Client<T::Command>> {
        self.clients.iter().cloned().chain(self.generated(seed)).collect()
    }

    /// Those of its workload.
    fn generated(&self, seed: u64) -> Vec<Client<T::Command>> {
        self.workload.iter().flat_map(|workload| workload.clients(seed)).collect()
    }

    /// Whether the workload is another one for each seed.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.workload.as_ref().is_some_and(Workload::varies)
    }

    /// What a run is judged by.
    #[must_use]
    pub fn judges(&self) -> Judges<T> {
        if self.properties.is_empty() {
            return Judges::new(T::properties(&self.design));
        }
        let wanted = |name: &str| self.properties.iter().any(|wanted| wanted == name);
        Judges::new(T::all_properties().into_iter().filter(|property| wanted(property.name())).collect())
    }

    /// What is to be reached in some run, if it is to say much about the services that take part and
    /// what clients ask of them.
    #[must_use]
    pub fn sometimes(&self) -> Vec<Sometimes<T>> {
        let written = self.clients.iter().flat_map(|client| &client.commands);
        let generated = self.workload.iter().flat_map(Workload::verbs);
        let verbs = written.map(|sending| suite::verb(&sending.command)).chain(generated).collect();
        let services = self.hostings.names().map(str::to_owned).collect();
        T::sometimes(&self.design, &TakingPart { services, verbs })
    }

    /// [`Scenario::judges`], and [`Scenario::sometimes`] with them.
    #[must_use]
    pub fn judges_with_sometimes(&self) -> Judges<T> {
        self.judges().with_sometimes(self.sometimes())
    }

    /// The same with something else in its settings.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Scenario<T> {
        change(&mut self.settings);
        self
    }

    /// The same for a single seed: with the scheduler that plays it.
    ///
    /// A scenario of which many seeds are played has [`SchedulerKind::Portfolio`], and this is what says
    /// who of it plays one of them.
    #[must_use]
    pub fn for_seed(&self, seed: u64) -> Scenario<T> {
        let mut scenario = self.clone();
        scenario.settle_for_seed(seed);
        scenario
    }

    /// The same for many seeds: with the portfolio, unless it names a scheduler or has a schedule.
    #[must_use]
    pub fn for_seeds(&self) -> Scenario<T> {
        let mut scenario = self.clone();
        scenario.settle_for_seeds();
        scenario
    }

    /// Who picks, for `seed`, of which this is the simulation.
    #[must_use]
    pub fn scheduler(&self, simulation: &Simulation<T>, seed: u64) -> Box<dyn Scheduler> {
        match self.schedule.is_empty() {
            true => self.scheduler_kind(seed).scheduler(simulation, seed, self.faults),
            false => Box::new(Departing::new(self.schedule.clone())),
        }
    }

    /// Runs a world of this scenario to its verdict.
    pub fn run(&self, world: &mut World<T>, judges: &Judges<T>, seed: u64, observer: &mut dyn Observer<T>) -> Report {
        let mut scheduler = self.scheduler(world.simulation(), seed);
        run(world, &mut scheduler, judges, self.limits, observer)
    }
}

impl<T: Suite> Source<T> for Scenario<T> {
    fn simulation(&self, seed: u64) -> Result<Simulation<T>, BuildError> {
        Scenario::simulation(self, seed)
    }

    fn scheduler(&self, simulation: &Simulation<T>, seed: u64) -> Box<dyn Scheduler> {
        Scenario::scheduler(self, simulation, seed)
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    fn means(&self) -> Means {
        self.settings.means()
    }

    fn varies(&self) -> bool {
        Scenario::varies(self)
    }
}
