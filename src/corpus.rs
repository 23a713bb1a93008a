//! The corpus: cases that are kept, and whether they still come to what they should.
//!
//! An entry is a scenario file with an `[entry]` table. It is all text and all names, so it survives
//! changes of the services; where a change takes away what it names, it says so instead of passing.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::run::{Judges, Verdict, run};
use crate::scenario::{Entry, Expectation, FileError, Scenario, nearest};
use crate::schedule::Departure;
use crate::scheduler::Departing;
use crate::trace::{Recorder, in_words};

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
    pub bucket: Option<Bucket>,
}

/// What failures with the same cause have in common: the rules of the services, and the signature
/// of the verdict.
pub type Bucket = (String, String);

/// The bucket of a verdict of a scenario.
#[must_use]
pub fn bucket(scenario: &Scenario, verdict: &Verdict) -> Option<Bucket> {
    let defects = scenario.defects.iter().map(|defect| format!(" + {}", defect.name));
    let rules = std::iter::once(scenario.design.name.to_owned()).chain(defects).collect();
    verdict.signature().map(|signature| (rules, signature))
}

/// The text of a scenario as an entry: what it expected of its design is what the entry expects.
#[must_use]
pub fn entry_of(text: &str, expect: &Expectation, reason: &str, seed: u64) -> String {
    let scenario = text.split("\n[expect]\n").next().unwrap_or(text);
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let (expect, reason, tool) = (quoted(&expect.to_string()), quoted(reason), quoted(env!("CARGO_PKG_VERSION")));
    format!("{scenario}\n[entry]\nexpect = {expect}\nreason = {reason}\nseed = {seed}\ntool = {tool}\n")
}

/// Names that were given up, and those that took their place: of subjects, services, designs,
/// defects, properties, clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Renames(BTreeMap<String, String>);

impl Renames {
    /// Reads lines such as `"ticket:changed" = "ticket:updated"`. `file` is the name that errors show.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn parse(file: &str, text: &str) -> Result<Renames, FileError> {
        toml::from_str(text).map_err(|error| {
            let place = FileError::new(file, text, error.span().unwrap_or(0..0), error.message());
            place.help("write a line such as `\"ticket:changed\" = \"ticket:updated\"` for each name")
        })
    }

    /// The text with every old name replaced that stands in it as a whole word.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let is_inside = |c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '-');
        let mut renamed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find(is_inside) {
            let end = rest[begin..].find(|c| !is_inside(c)).map_or(rest.len(), |length| begin + length);
            renamed += &rest[..begin];
            renamed += self.0.get(&rest[begin..end]).map_or(&rest[begin..end], String::as_str);
            rest = &rest[end..];
        }
        renamed + rest
    }
}

/// Reads an entry and plays it. `file` is the name that errors show.
///
/// # Errors
/// If the text is no entry: damaged, of another version, or a scenario without an `[entry]` table. A
/// text that only names what does not exist any more is no error but [`Status::Stale`].
pub fn check(file: &str, text: &str) -> Result<Checked, FileError> {
    let scenario = match Scenario::parse(file, text) {
        Ok(scenario) => scenario,
        Err(error) if error.is_about_a_name() => {
            let status = Status::Stale(error.in_a_line());
            return Ok(Checked { status, entry: None, deliveries: 0, bucket: None });
        }
        Err(error) => return Err(error),
    };
    match scenario.entry.clone() {
        Some(entry) => Ok(play(&scenario, entry)),
        None => {
            let error = FileError::new(file, text, 0..0, "the scenario is no entry of a corpus");
            Err(error.help("add an [entry] table with `expect` and `reason`"))
        }
    }
}

fn play(scenario: &Scenario, entry: Entry) -> Checked {
    let simulation = match scenario.simulation(scenario.seed) {
        Ok(simulation) => simulation,
        Err(error) => {
            let status = Status::Stale(error.to_string());
            return Checked { status, entry: Some(entry), deliveries: 0, bucket: None };
        }
    };
    let mut departing = Departing::new(scenario.schedule.clone());
    let judges = scenario.judges();
    let report = run(&mut simulation.world(), &mut departing, &judges, scenario.limits, &mut ());
    let is_met = entry.expect.meets(&report.verdict);
    // What violates as it should has shown that it is there; what holds may hold because nothing of
    // what it is about happened.
    let gone = departing.unused().next().filter(|_| !is_met || report.verdict.is_held());
    let status = match (gone, &report.verdict) {
        (Some(departure), _) => Status::Stale(gone_in_words(scenario, departure)),
        (None, Verdict::Held) if is_met => Status::Held,
        (None, _) if is_met => Status::Violated,
        (None, Verdict::Held) => Status::Fixed,
        (None, verdict) => Status::Broken(in_words(verdict)),
    };
    let bucket = bucket(scenario, &report.verdict);
    Checked { status, entry: Some(entry), deliveries: report.counts.deliveries, bucket }
}

/// Says which departure names what never comes, and what comes that is nearest to it.
fn gone_in_words(scenario: &Scenario, departure: &Departure) -> String {
    let came = what_comes(scenario);
    match nearest(&departure.what().to_string(), came.iter().map(String::as_str)) {
        Some(near) => format!("nothing comes that `{departure}` names; the nearest is `{near}`"),
        None => format!("nothing comes that `{departure}` names"),
    }
}

/// The names of everything that happens in the scenario's run without judges.
fn what_comes(scenario: &Scenario) -> Vec<String> {
    let Ok(simulation) = scenario.simulation(scenario.seed) else { return Vec::new() };
    let mut recorder = Recorder::default();
    let mut departing = Departing::new(scenario.schedule.clone());
    let nobody = Judges::new(Vec::new());
    run(&mut simulation.world(), &mut departing, &nobody, scenario.limits, &mut recorder);
    let actions = recorder.into_records().into_iter().map(|record| record.action);
    actions.map(|action| action.trim_start_matches("deliver ").trim_end_matches(" #1").to_owned()).collect()
}
