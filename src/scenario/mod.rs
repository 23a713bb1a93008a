//! Scenarios: a situation of the ticketing services, told in a TOML file.
//!
//! A scenario says which clients send what, on which broker, under which faults or departures, and
//! what should come of it under which design. The library parses text; it opens no files.

mod counterexample;
mod departures;
mod entry;
mod file;
mod played;
mod read;
mod settings;
mod vacuous;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use crate::broker::Profile;
use crate::faults::FaultPlan;
use crate::property::Sometimes;
use crate::run::{Judges, Limits, Observer, Report, Verdict, run};
use crate::schedule::{Departure, NamedStep};
use crate::scheduler::{Departing, Scheduler};
use crate::simulation::{BuildError, Client, Simulation};
use crate::ticketing::{Defect, Design, Hostings, Request, StoredTicket, Ticketing, Workload, properties};
use crate::vacuity::Allow;
use crate::world::World;

pub use self::counterexample::{Counterexample, ShrinkError};
pub use self::settings::{Gone, Settings};
pub use crate::file_error::FileError;
pub use crate::portfolio::SchedulerKind;

/// A situation of the ticketing services.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name: the file's, without folder and ending.
    pub name: String,
    /// What it is about, in a sentence.
    pub about: String,
    /// The seed it is run with unless another one is asked for.
    pub seed: u64,
    /// The rules of the services.
    pub design: Design,
    /// The rules of the broker.
    pub profile: Profile,
    /// Who picks what happens next; `None` if the file leaves it to those who play it: one seed is
    /// played by [`SchedulerKind::Random`], many by [`SchedulerKind::Portfolio`].
    pub scheduler: Option<SchedulerKind>,
    /// How the run departs from the calm one; if there are any, they replace the scheduler.
    pub schedule: Vec<Departure>,
    /// What may go wrong.
    pub faults: FaultPlan,
    /// What is wrong with the services besides.
    pub defects: Vec<Defect>,
    /// How each service is hosted.
    pub hostings: Hostings,
    /// The tickets that are there from the start.
    pub stored: Vec<StoredTicket>,
    /// The clients written out in the file.
    pub clients: Vec<Client<Request>>,
    /// The clients to generate.
    pub workload: Option<Workload>,
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

impl Scenario {
    /// Reads a scenario from a file's text. `file` is the name that errors show.
    ///
    /// # Errors
    /// The first mistake, with its place and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, FileError> {
        read::scenario(file, text)
    }

    /// The simulation under `seed`, which decides a generated workload.
    ///
    /// # Errors
    /// If the broker's rules are not simulated yet.
    pub fn simulation(&self, seed: u64) -> Result<Simulation<Ticketing>, BuildError> {
        let design = self.design.with(&self.defects);
        let mut builder = design.host(Simulation::on(self.profile.clone()), &self.hostings);
        builder = self.stored.iter().fold(builder, |builder, stored| design.with_stored(builder, stored));
        let generated = self.workload.iter().flat_map(|workload| workload.clients(seed));
        for client in self.clients.iter().cloned().chain(generated) {
            builder = builder.client(client.name, client.commands);
        }
        builder.build()
    }

    /// Whether the workload is another one for each seed.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.workload.as_ref().is_some_and(|workload| workload.edits > 0 || workload.buyers > 0)
    }

    /// What a run is judged by.
    #[must_use]
    pub fn judges(&self) -> Judges<Ticketing> {
        if self.properties.is_empty() {
            return Judges::new(properties::promised_by(&self.design));
        }
        let wanted = |name: &str| self.properties.iter().any(|wanted| wanted == name);
        Judges::new(properties::all().into_iter().filter(|property| wanted(property.name())).collect())
    }

    /// What is to be reached in some run, if it is to say much about the services that take part and
    /// what clients ask of them.
    #[must_use]
    pub fn sometimes(&self) -> Vec<Sometimes<Ticketing>> {
        let generated = self.workload.iter().flat_map(Workload::verbs);
        let written = self.clients.iter().flat_map(|client| &client.commands).map(|request| request.what.verb());
        let services = self.hostings.named().into_iter().map(|(name, _)| name);
        properties::sometimes(&self.design, services, written.chain(generated))
    }

    /// The same for a single seed: with the scheduler that plays it.
    ///
    /// A scenario of which many seeds are played has [`SchedulerKind::Portfolio`], and this is what says
    /// who of it plays one of them.
    #[must_use]
    pub fn for_seed(&self, seed: u64) -> Scenario {
        Scenario { scheduler: self.scheduler.map(|kind| kind.for_seed(seed)), ..self.clone() }
    }

    /// The same for many seeds: with the portfolio, unless it names a scheduler or has a schedule.
    #[must_use]
    pub fn for_seeds(&self) -> Scenario {
        let scheduler = self.scheduler.or(self.schedule.is_empty().then_some(SchedulerKind::Portfolio));
        Scenario { scheduler, ..self.clone() }
    }

    /// Which scheduler plays `seed`, if there is no schedule.
    #[must_use]
    pub fn scheduler_kind(&self, seed: u64) -> SchedulerKind {
        self.scheduler.unwrap_or(SchedulerKind::Random).for_seed(seed)
    }

    /// Who picks, for `seed`, of which this is the simulation.
    #[must_use]
    pub fn scheduler(&self, simulation: &Simulation<Ticketing>, seed: u64) -> Box<dyn Scheduler> {
        match self.schedule.is_empty() {
            true => self.scheduler_kind(seed).scheduler(simulation, seed, self.faults),
            false => Box::new(Departing::new(self.schedule.clone())),
        }
    }

    /// Runs a world of this scenario to its verdict.
    pub fn run(
        &self,
        world: &mut World<Ticketing>,
        judges: &Judges<Ticketing>,
        seed: u64,
        observer: &mut impl Observer<Ticketing>,
    ) -> Report {
        let mut scheduler = self.scheduler(world.simulation(), seed);
        run(world, &mut scheduler, judges, self.limits, observer)
    }
}

/// The names of the subjects a scenario can speak of.
fn subjects() -> Vec<&'static str> {
    use crate::ticketing as t;
    let of_tickets = [t::TICKET_CREATED, t::TICKET_UPDATED];
    let of_orders = [t::ORDER_CREATED, t::ORDER_CANCELLED, t::ORDER_RESERVED, t::ORDER_COMPLETED];
    let of_others = [t::EXPIRATION_COMPLETE, t::PAYMENT_CREATED, t::REFUND_REQUESTED];
    let all = of_tickets.into_iter().chain(of_orders).chain(of_others);
    all.map(|subject| subject.name()).collect()
}

/// The nearest of `known` to what was written, if one is near.
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = known.into_iter().map(|name| (distance(written, name), name)).min();
    close.filter(|(distance, name)| *distance * 3 <= name.chars().count().max(3)).map(|(_, name)| name)
}

/// How many characters must be put in, taken out or replaced to turn one word into the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, d) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let known = ["orders", "tickets"];
        assert_eq!(nearest("order", known), Some("orders"));
        assert_eq!(nearest("tikets", known), Some("tickets"));
        assert_eq!(nearest("payments", known), None);
    }
}
