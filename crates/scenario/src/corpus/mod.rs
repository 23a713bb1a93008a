//! The corpus: regression cases, and whether each still has its expected outcome.
//!
//! An entry is a scenario file with an `[entry]` table. It is all text and all names, so it survives
//! changes of the services; where a change takes away what it names, it says so instead of passing.
//! Beside its departures it may hold the steps of its run, which are replayed where those do not lead to
//! its failure any more.

mod prune;
mod renames;
mod renew;

pub use prune::{Duplicate, Shape, duplicates};
pub use renames::Renames;
pub use renew::{Renewal, entry_of, renew};

use std::fmt;

use crate::scenario::{Entry, FileError, Scenario, Suite, nearest};
use pellmell_core::run::{Judges, Verdict, run};
use pellmell_core::schedule::{Departure, NamedStep, Target};
use pellmell_core::scheduler::{Departing, DepartureOutcome, Replayed};
use pellmell_core::simulation::Simulation;
use pellmell_core::trace::{Naming, in_words};
use pellmell_core::vacuity::{Kind, Vacuous};

/// What came of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It should hold and does.
    Held,
    /// It should violate a property and does.
    Violated,
    /// It should violate a property and holds now.
    Fixed,
    /// It violates a property it should not, or ends in another way; how.
    Broken(String),
    /// It names what does not exist any more; what, and the nearest that does.
    Stale(String),
}

impl Status {
    /// The status in one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Status::Held => "held",
            Status::Violated => "violated",
            Status::Fixed => "fixed",
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
    /// The entry; `None` if it is stale already as a text.
    pub entry: Option<Entry>,
    /// How many deliveries were handled.
    pub deliveries: u64,
    /// What it has in common with other failures of the same cause; `None` if it held or is stale.
    pub bucket: Option<EntryBucket>,
    /// The departures of its schedule; none if it is stale already as a text.
    pub departures: usize,
    /// The commands its clients send; none if it is stale already as a text.
    pub commands: usize,
    /// How it fails; nothing if it is stale already as a text.
    pub shape: Shape,
    /// If it came to that by its recorded steps, because its departures do not lead there any more:
    /// what those lead to.
    pub by_steps: Option<BySteps>,
}

impl Checked {
    /// An entry that could not be played because of what its text names.
    fn stale(why: String, entry: Option<Entry>) -> Checked {
        Checked {
            status: Status::Stale(why),
            entry,
            deliveries: 0,
            bucket: None,
            departures: 0,
            commands: 0,
            shape: Shape::default(),
            by_steps: None,
        }
    }
}

/// An entry whose recorded steps lead where its departures do not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BySteps {
    /// What its departures come to.
    pub departures: Status,
    /// The recorded steps that never came.
    pub missing: Vec<NamedStep>,
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

/// Reads an entry and plays its departures; if it should violate a property and they do not lead there,
/// the steps it holds. If those do not either, it is what its departures come to. `file` is the name
/// that errors show.
///
/// # Errors
/// If the text is no entry: damaged, of another version, or a scenario without an `[entry]` table. A
/// text that only names what does not exist any more is no error but [`Status::Stale`].
pub fn check<T: Suite>(file: &str, text: &str) -> Result<Checked, FileError> {
    let scenario = match Scenario::<T>::parse(file, text) {
        Ok(scenario) => scenario,
        Err(error) if error.is_about_a_name() && is_entry(text) => {
            return Ok(Checked::stale(format!("line {}: {}", error.line, error.in_a_line()), None));
        }
        Err(error) => return Err(error),
    };
    match scenario.entry.clone() {
        Some(entry) => Ok(match scenario.simulation(scenario.seed) {
            Ok(simulation) => play(&scenario, entry, &simulation),
            Err(error) => Checked::stale(error.to_string(), Some(entry)),
        }),
        None => {
            let error = FileError::new(file, text, 0..0, "the scenario is no entry of a corpus");
            Err(error.help("add an [entry] table with `expect` and `reason`"))
        }
    }
}

/// Whether a text has an `[entry]` table; one that was cut off before it names nothing for long.
fn is_entry(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("entry"))
}

/// Plays an entry of a scenario in these services: its own, or others that came of them since.
#[must_use]
pub fn play<T: Suite>(scenario: &Scenario<T>, entry: Entry, simulation: &Simulation<T>) -> Checked {
    let departures = scenario.schedule.len();
    let commands = scenario.clients_of(scenario.seed).iter().map(|client| client.commands.len()).sum();
    let (played, by_steps) = match departs(scenario, &entry, simulation) {
        played if played.status.is_expected() || entry.trace.is_empty() => (played, None),
        mut diverged => match retells(scenario, &entry, simulation) {
            (played, missing) if played.status == Status::Violated => {
                (played, Some(BySteps { departures: diverged.status, missing }))
            }
            _ => {
                // Where a group is gone that the steps name, nobody can say that the fault is.
                if let Some(gone) = unheard(&entry, simulation) {
                    diverged.status = Status::Stale(match diverged.status {
                        Status::Stale(why) => format!("{why}; {gone}"),
                        _ => gone,
                    });
                }
                (diverged, None)
            }
        },
    };
    let EntryRun { status, deliveries, bucket } = played;
    Checked {
        status,
        entry: Some(entry),
        deliveries,
        bucket,
        departures,
        commands,
        shape: Shape::of(scenario),
        by_steps,
    }
}

/// Outcome of playing an entry in one of the two ways.
struct EntryRun {
    status: Status,
    deliveries: u64,
    bucket: Option<EntryBucket>,
}

/// Plays the departures of an entry.
fn departs<T: Suite>(scenario: &Scenario<T>, entry: &Entry, simulation: &Simulation<T>) -> EntryRun {
    let mut departing = Departing::new(scenario.schedule.clone());
    let report = run(&mut simulation.world(), &mut departing, &scenario.judges(), scenario.limits, &mut ());
    let is_met = entry.expect.meets(&report.verdict);
    // What violates as it should has shown that it is there; what holds may hold because nothing of
    // what it is about happened.
    let gone = departing.unused().next().filter(|_| !is_met || report.verdict.is_held());
    let status = match gone {
        Some(departure) if departing.cannot_pause(departure) => {
            Status::Stale(format!("what `{departure}` names comes, and its handler cannot pause any more"))
        }
        Some(departure) => Status::Stale(gone_in_words(scenario, departure, simulation)),
        None => match cut_short(scenario, &departing).filter(|_| is_met && report.verdict.is_held()) {
            Some(departure) => Status::Stale(format!("`{departure}` is not done to its end any more")),
            None => status_of(entry, &report.verdict),
        },
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

/// Plays the recorded steps of an entry; also tells those that never came.
fn retells<T: Suite>(scenario: &Scenario<T>, entry: &Entry, simulation: &Simulation<T>) -> (EntryRun, Vec<NamedStep>) {
    let mut by_steps = Replayed::new(entry.trace.clone());
    let report = run(&mut simulation.world(), &mut by_steps, &scenario.judges(), scenario.limits, &mut ());
    let status = status_of(entry, &report.verdict);
    let bucket = EntryBucket::of(&scenario.rules(), &report.verdict);
    let missing = by_steps.missing().into_iter().cloned().collect();
    (EntryRun { status, deliveries: report.counts.deliveries, bucket }, missing)
}

fn status_of(entry: &Entry, verdict: &Verdict) -> Status {
    match (entry.expect.meets(verdict), verdict) {
        (true, Verdict::Held) => Status::Held,
        (true, _) => Status::Violated,
        (false, Verdict::Held) => Status::Fixed,
        (false, verdict) => Status::Broken(in_words(verdict)),
    }
}

/// Says which departure names what never comes, and what comes that is nearest to it.
fn gone_in_words<T: Suite>(scenario: &Scenario<T>, departure: &Departure, simulation: &Simulation<T>) -> String {
    let came = what_comes(scenario, simulation);
    match nearest(&departure.what().to_string(), came.iter().map(String::as_str)) {
        Some(near) => format!("nothing comes that `{departure}` names; the nearest is `{near}`"),
        None => format!("nothing comes that `{departure}` names"),
    }
}

/// The names of everything that happens in the run without judges.
fn what_comes<T: Suite>(scenario: &Scenario<T>, simulation: &Simulation<T>) -> Vec<String> {
    let mut naming = Naming::default();
    let mut departing = Departing::new(scenario.schedule.clone());
    let nobody = Judges::new(Vec::new());
    run(&mut simulation.world(), &mut departing, &nobody, scenario.limits, &mut naming);
    naming.into_steps().into_iter().map(|step| step.what.to_string()).collect()
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
