//! The corpus: regression cases, and whether each still has its expected outcome.
//!
//! An entry is a scenario file with an `[entry]` table. It is all text and all names, so it survives
//! changes of the services; where a change takes away what it names, it says so instead of passing.
//! Beside its departures it may hold the steps of its run. Where those departures do not lead to its
//! failure any more, what is near them is played, the steps among it, before it is said to be fixed.

mod prune;
mod renames;
mod renew;

pub use prune::{Duplicate, Shape, duplicates};
pub use renames::Renames;
pub use renew::{Renewal, entry_of, renew, renew_in};

use std::fmt;

use crate::scenario::{Build, Entry, Expectation, FileError, Scenario, Suite, Unknown};
use pellmell_core::run::{Judges, Verdict, run};
use pellmell_core::schedule::{Departure, Target};
use pellmell_core::scheduler::{Departing, DepartureOutcome};
use pellmell_core::search::Nearby;
use pellmell_core::simulation::{BuildError, Simulation};
use pellmell_core::trace::{Naming, in_words};
use pellmell_core::vacuity::{Kind, Vacuous};

/// What came of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It should hold and does.
    Held,
    /// It should violate a property and does.
    Violated,
    /// It should violate a property and does not any more, but a run near it does.
    Moved(Moved),
    /// It should violate a property and holds now, and so does what is near it.
    Fixed(Near),
    /// It violates a property it should not, or ends in another way; how.
    Broken(String),
    /// It names what does not exist any more; what, and the nearest that does.
    Stale(String),
}

/// The runs near an entry that were played, none of which fails as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Near {
    /// How many.
    pub runs: u32,
    /// Whether these are all there are.
    pub is_all: bool,
}

/// An entry whose departures do not lead to its failure any more, and what does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// What became of its own departures, in words.
    pub was: String,
    /// The departures that lead there.
    pub departures: Vec<Departure>,
    /// The failure they lead to, in words.
    pub failure: String,
}

impl Status {
    /// The status in one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Status::Held => "held",
            Status::Violated => "violated",
            Status::Moved(_) => "moved",
            Status::Fixed(_) => "fixed",
            Status::Broken(_) => "broken",
            Status::Stale(_) => "stale",
        }
    }

    /// Whether it is as the entry expects.
    #[must_use]
    pub const fn is_expected(&self) -> bool {
        matches!(self, Status::Held | Status::Violated)
    }
}

/// An entry that was played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What came of it.
    pub status: Status,
    /// The entry.
    pub entry: Entry,
    /// How many deliveries were handled; none if it is stale already as a text.
    pub deliveries: u64,
    /// What it has in common with other failures of the same cause; `None` if it held or is stale.
    pub bucket: Option<EntryBucket>,
    /// The departures of its schedule.
    pub departures: usize,
    /// The commands its clients send.
    pub commands: usize,
    /// How it fails.
    pub shape: Shape,
}

/// What failures with the same cause have in common. Prints as `course: NoPoison at orders of t`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryBucket {
    /// The rules of the services: the design and the defects planted in it.
    pub rules: String,
    /// The signature of the verdict.
    pub signature: String,
}

impl fmt::Display for EntryBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rules, self.signature)
    }
}

impl EntryBucket {
    /// The bucket of a verdict under these rules (see [`Scenario::rules`]); `None` if it held.
    #[must_use]
    pub fn of(rules: &str, verdict: &Verdict) -> Option<EntryBucket> {
        verdict.signature().map(|signature| EntryBucket { rules: rules.to_owned(), signature })
    }
}

/// Reads an entry and plays it. If it should violate a property and its departures do not lead there, what
/// is near them is played as well (see [`Nearby`]), its recorded steps among it. `file` is the name that
/// errors show.
///
/// # Errors
/// If the text is no entry: damaged, of another version, or a scenario without an `[entry]` table. A
/// text that only names what does not exist any more is no error but [`Status::Stale`] or [`Status::Moved`].
pub fn check<T: Suite>(file: &str, text: &str) -> Result<Checked, FileError> {
    check_in(file, text, &|scenario: &Scenario<T>| scenario.simulation(scenario.seed))
}

/// The same in other services than the entry's own, such as will take their place.
///
/// # Errors
/// As [`check`].
pub fn check_in<T: Suite>(file: &str, text: &str, build: &Build<'_, T>) -> Result<Checked, FileError> {
    let (scenario, entry, unknown) = read(file, text, build)?;
    Ok(checked(&scenario, entry, &unknown, build(&scenario)))
}

/// Reads an entry, with the names beside it that mean nothing any more.
fn read<T: Suite>(file: &str, text: &str, build: &Build<'_, T>) -> Result<(Scenario<T>, Entry, Unknown), FileError> {
    let (scenario, mut unknown) = Scenario::<T>::parse_leniently(file, text, build)?;
    match scenario.entry.clone() {
        Some(entry) => Ok((scenario, entry, unknown)),
        // A scenario that names what does not exist is no entry either, and one that was cut off names
        // nothing for long.
        None if !unknown.errors.is_empty() => Err(unknown.errors.swap_remove(0)),
        None => {
            let error = FileError::new(file, text, 0..0, "the scenario is no entry of a corpus");
            Err(error.help("add an [entry] table with `expect` and `reason`"))
        }
    }
}

/// Plays an entry of a scenario in these services: its own, or others that came of them since.
#[must_use]
pub fn play<T: Suite>(scenario: &Scenario<T>, entry: Entry, simulation: &Simulation<T>) -> Checked {
    checked(scenario, entry, &Unknown::default(), Ok(simulation.clone()))
}

fn checked<T: Suite>(
    scenario: &Scenario<T>,
    entry: Entry,
    unknown: &Unknown,
    simulation: Result<Simulation<T>, BuildError>,
) -> Checked {
    let gone = names_in_words(unknown);
    let EntryRun { status, deliveries, bucket } = match simulation {
        _ if unknown.is_decisive => EntryRun::stale(gone.unwrap_or_default()),
        Err(error) => EntryRun::stale(gone.into_iter().chain([error.to_string()]).collect::<Vec<_>>().join("; ")),
        Ok(simulation) => match departs(scenario, &entry, &simulation) {
            played if played.status.is_expected() && gone.is_none() => played,
            played => nearby(scenario, &entry, gone, played, &simulation),
        },
    };
    Checked {
        status,
        deliveries,
        bucket,
        departures: scenario.schedule.len(),
        commands: scenario.clients_of(scenario.seed).iter().map(|client| client.commands.len()).sum(),
        shape: Shape::of(scenario),
        entry,
    }
}

/// Outcome of playing an entry.
struct EntryRun {
    status: Status,
    deliveries: u64,
    bucket: Option<EntryBucket>,
}

impl EntryRun {
    /// Of an entry that cannot be played.
    fn stale(why: String) -> EntryRun {
        EntryRun { status: Status::Stale(why), deliveries: 0, bucket: None }
    }
}

/// The names in a text that mean nothing any more, each with its lines; `None` if there are none.
fn names_in_words(unknown: &Unknown) -> Option<String> {
    let mut told: Vec<(String, Vec<String>)> = Vec::new();
    for error in &unknown.errors {
        let (what, line) = (error.in_a_line(), error.line.to_string());
        match told.iter_mut().find(|(other, _)| *other == what) {
            Some((_, lines)) if lines.last() != Some(&line) => lines.push(line),
            Some(_) => {}
            None => told.push((what, vec![line])),
        }
    }
    let in_words = |(what, lines): &(String, Vec<String>)| match &lines[..] {
        [line] => format!("line {line}: {what}"),
        lines => format!("lines {}: {what}", lines.join(", ")),
    };
    (!told.is_empty()).then(|| told.iter().map(in_words).collect::<Vec<_>>().join("; "))
}

/// Looks around an entry that is not as expected, or that names what is gone: what still fails as it should
/// has moved. If nothing does, the entry is what its departures came to.
fn nearby<T: Suite>(
    scenario: &Scenario<T>,
    entry: &Entry,
    gone: Option<String>,
    played: EntryRun,
    simulation: &Simulation<T>,
) -> EntryRun {
    let judges = scenario.judges();
    let fails = |verdict: &Verdict| entry.expect.meets(verdict);
    let nearby = Nearby::new(simulation, &judges).with_limits(scenario.limits);
    let nearby = nearby.with_steps(&entry.trace).with_failure(&fails);
    let looked = (entry.expect != Expectation::Held).then(|| nearby.run(&scenario.schedule));
    let near = looked.as_ref().map(|looked| Near { runs: looked.executions, is_all: looked.is_complete });
    if let Some(found) = looked.and_then(|looked| looked.failing) {
        let was = match (gone, played.status) {
            (Some(gone), Status::Stale(why)) => format!("{gone}; {why}"),
            (Some(gone), _) => gone,
            (None, Status::Stale(why) | Status::Broken(why)) => why,
            (None, _) => "every property holds".to_owned(),
        };
        let (verdict, deliveries) = (&found.report.verdict, found.report.counts.deliveries);
        let bucket = EntryBucket::of(&scenario.rules(), verdict);
        let moved = Moved { was, failure: in_words(verdict), departures: found.departures };
        return EntryRun { status: Status::Moved(moved), deliveries, bucket };
    }
    // Where a group is gone that the steps name, nobody can say that the fault is.
    let unheard = unheard(entry, simulation);
    let why = match &played.status {
        Status::Stale(why) => Some(why.clone()),
        _ => None,
    };
    let why: Vec<String> = gone.into_iter().chain(why).chain(unheard).collect();
    let status = match (played.status, near) {
        _ if !why.is_empty() => Status::Stale(why.join("; ")),
        (Status::Fixed(_), Some(near)) => Status::Fixed(near),
        (status, _) => status,
    };
    EntryRun { status, ..played }
}

/// Plays the departures of an entry.
fn departs<T: Suite>(scenario: &Scenario<T>, entry: &Entry, simulation: &Simulation<T>) -> EntryRun {
    let mut departing = Departing::new(scenario.schedule.clone());
    let report = run(&mut simulation.world(), &mut departing, &scenario.judges(), scenario.limits, &mut ());
    let is_met = entry.expect.meets(&report.verdict);
    // What violates as it should has shown that it is there; what holds may hold because nothing of
    // what it is about happened.
    let gone: Vec<&Departure> = departing.unused().filter(|_| !is_met || report.verdict.is_held()).collect();
    let cut_short = cut_short(scenario, &departing).filter(|_| is_met && report.verdict.is_held());
    let status = match cut_short {
        _ if !gone.is_empty() => Status::Stale(gone_in_words(scenario, entry, &departing, &gone, simulation)),
        Some(departure) => Status::Stale(format!("`{departure}` is not done to its end any more")),
        None => status_of(entry, &report.verdict),
    };
    EntryRun {
        status,
        deliveries: report.counts.deliveries,
        bucket: EntryBucket::of(&scenario.rules(), &report.verdict),
    }
}

/// The first departure that was not done as it says, unless that is allowed.
fn cut_short<'a, T: Suite>(scenario: &Scenario<T>, departing: &'a Departing) -> Option<&'a Departure> {
    let is_allowed = |departure: &Departure| {
        let kinds = [Kind::EndedEarly, Kind::UnusedDeparture];
        let not_done = kinds.map(|kind| Vacuous::new(kind, departure.to_string(), ""));
        scenario.allow.iter().any(|allow| not_done.iter().any(|vacuous| allow.allows(vacuous)))
    };
    let (departure, _) =
        departing.outcomes().find(|(departure, came)| *came != DepartureOutcome::InFull && !is_allowed(departure))?;
    Some(departure)
}

fn status_of(entry: &Entry, verdict: &Verdict) -> Status {
    match (entry.expect.meets(verdict), verdict) {
        (true, Verdict::Held) => Status::Held,
        (true, _) => Status::Violated,
        (false, Verdict::Held) => Status::Fixed(Near::default()),
        (false, verdict) => Status::Broken(in_words(verdict)),
    }
}

/// Says which departures name what never comes, and what comes that is nearest to each.
fn gone_in_words<T: Suite>(
    scenario: &Scenario<T>,
    entry: &Entry,
    departing: &Departing,
    gone: &[&Departure],
    simulation: &Simulation<T>,
) -> String {
    let came = what_comes(scenario, simulation);
    let mut before: Vec<Target> = entry.trace.iter().map(|step| step.what.clone()).collect();
    for departure in &scenario.schedule {
        before.extend([Some(departure.what()), departure.until().cloned()].into_iter().flatten());
    }
    let told = gone.iter().map(|departure| match departure.what().nearest(&came, &before) {
        _ if departing.cannot_pause(departure) => {
            format!("what `{departure}` names comes, and its handler cannot pause any more")
        }
        Some(near) => format!("nothing comes that `{departure}` names; the nearest is `{near}`"),
        None => format!("nothing comes that `{departure}` names"),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// The names of everything that happens in the run without judges.
fn what_comes<T: Suite>(scenario: &Scenario<T>, simulation: &Simulation<T>) -> Vec<Target> {
    let mut naming = Naming::default();
    let mut departing = Departing::new(scenario.schedule.clone());
    let nobody = Judges::new(Vec::new());
    run(&mut simulation.world(), &mut departing, &nobody, scenario.limits, &mut naming);
    naming.into_steps().into_iter().map(|step| step.what).collect()
}

/// The first recorded delivery to a group that does not listen to its subject any more, in words.
fn unheard<T: Suite>(entry: &Entry, simulation: &Simulation<T>) -> Option<String> {
    let deliveries = entry.trace.iter().filter_map(|step| match &step.what {
        Target::Delivery(delivery) => Some(delivery),
        _ => None,
    });
    let gone = deliveries.into_iter().find(|delivery| !simulation.listens(&delivery.group, &delivery.subject))?;
    let listening = simulation.groups_on(&gone.subject).collect::<Vec<_>>();
    let others = match listening.is_empty() {
        true => "no group does".to_owned(),
        false => format!("those that do are {}", listening.join(", ")),
    };
    Some(format!(
        "its step `{gone}` is gone: `{}` does not listen to `{}` any more; {others}",
        gone.group, gone.subject
    ))
}
