//! Writing entries: a scenario becomes one, and one whose departures do not lead there any more gets new ones.

use toml_edit::{Array, DocumentMut, Item, Value};

use super::{Checked, Status, check_in, departs, read, status_of};
use crate::scenario::{Build, Entry, FileError, Scenario, Suite};
use pellmell_core::run::run;
use pellmell_core::schedule::Departure;
use pellmell_core::scheduler::{Departing, Replayed};
use pellmell_core::simulation::Simulation;
use pellmell_core::trace::Naming;

/// What renewing an entry came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// There is nothing to renew.
    Fresh,
    /// The entry as it should be written.
    Text(String),
    /// It cannot be renewed; why.
    Impossible(String),
}

/// The text of a scenario as an entry, without recorded steps, which [`renew`] adds: what it expected
/// of its design is no part of it.
#[must_use]
pub fn entry_of(text: &str, entry: &Entry) -> String {
    let scenario = text.split("\n[expect]\n").next().unwrap_or(text);
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let Entry { expect, reason, seed, tool, commit, trace: _ } = entry;
    let lines = [
        ("expect", Some(quoted(&expect.to_string()))),
        ("reason", Some(quoted(reason))),
        ("seed", seed.map(|seed| seed.to_string())),
        ("tool", tool.as_deref().map(quoted)),
        ("commit", commit.as_deref().map(quoted)),
    ];
    let lines = lines.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}\n", value?)));
    format!("{scenario}\n[entry]\n{}", lines.collect::<String>())
}

/// Checks an entry and says how it should be written: one that comes to the violation it should gets the
/// steps that lead there as its `trace`, and one that has moved the departures that lead there now. Tables
/// of services that do not exist any more go. All else in the text, comments too, stays as it is.
///
/// # Errors
/// As [`check`](super::check).
pub fn renew<T: Suite>(file: &str, text: &str) -> Result<(Checked, Renewal), FileError> {
    renew_in(file, text, &|scenario: &Scenario<T>| scenario.simulation(scenario.seed))
}

/// The same in other services than the entry's own, such as will take their place.
///
/// # Errors
/// As [`check`](super::check).
pub fn renew_in<T: Suite>(file: &str, text: &str, build: &Build<'_, T>) -> Result<(Checked, Renewal), FileError> {
    let checked = check_in(file, text, build)?;
    let (scenario, ..) = read(file, text, build)?;
    let departures = match &checked.status {
        Status::Violated => &scenario.schedule,
        Status::Moved(moved) => &moved.departures,
        _ => return Ok((checked, Renewal::Fresh)),
    };
    let renewed = build(&scenario).map_err(|error| error.to_string());
    let renewed = renewed.and_then(|simulation| written(text, &scenario, departures, &simulation));
    let renewed = renewed.and_then(|renewed| match renewed == text {
        true => Ok(Renewal::Fresh),
        false => leads_there_both_ways(file, &renewed, build).map(|()| Renewal::Text(renewed)),
    });
    Ok((checked, renewed.unwrap_or_else(Renewal::Impossible)))
}

/// The entry's text with these departures and the steps of their run.
fn written<T: Suite>(
    text: &str,
    scenario: &Scenario<T>,
    departures: &[Departure],
    simulation: &Simulation<T>,
) -> Result<String, String> {
    let mut naming = Naming::default();
    let mut departing = Departing::new(departures.to_vec());
    run(&mut simulation.world(), &mut departing, &scenario.judges(), scenario.limits, &mut naming);
    let steps = naming.into_steps();
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    if departures != scenario.schedule {
        if departures.is_empty() {
            document.remove("schedule");
            document["scheduler"] = "calm".into();
        } else {
            document.remove("scheduler");
            put(&mut document["schedule"], departures.iter().map(ToString::to_string));
        }
    }
    if let Some(services) = document.get_mut("services").and_then(Item::as_table_like_mut) {
        let is_gone = |name: &String| scenario.hostings.get(name).is_none();
        let gone: Vec<String> = services.iter().map(|(name, _)| name.to_owned()).filter(is_gone).collect();
        gone.iter().for_each(|name| drop(services.remove(name)));
    }
    if steps != scenario.entry.as_ref().map_or(&[][..], |entry| &entry.trace) {
        put(&mut document["entry"]["trace"], steps.iter().map(ToString::to_string));
    }
    Ok(document.to_string())
}

/// Puts a list in the place of a value, one text on a line, and keeps the comment behind it.
fn put(place: &mut Item, texts: impl Iterator<Item = String>) {
    let mut list = Array::new();
    for text in texts {
        list.push_formatted(Value::from(text).decorated("\n    ", ""));
    }
    list.set_trailing("\n");
    list.set_trailing_comma(true);
    if let Some(old) = place.as_value() {
        *list.decor_mut() = old.decor().clone();
    }
    *place = list.into();
}

/// Reads what was written, as [`check`](super::check) will: both its departures and its steps must lead
/// there.
fn leads_there_both_ways<T: Suite>(file: &str, text: &str, build: &Build<'_, T>) -> Result<(), String> {
    let (scenario, entry, unknown) = read(file, text, build).map_err(|error| error.in_a_line())?;
    if let Some(error) = unknown.errors.first() {
        return Err(format!("line {} of what it would be: {}", error.line, error.in_a_line()));
    }
    let simulation = build(&scenario).map_err(|error| error.to_string())?;
    let mut by_steps = Replayed::new(entry.trace.clone());
    let report = run(&mut simulation.world(), &mut by_steps, &scenario.judges(), scenario.limits, &mut ());
    let departs = departs(&scenario, &entry, &simulation).status;
    for (by, status) in [("departures", departs), ("steps", status_of(&entry, &report.verdict))] {
        if status != Status::Violated {
            return Err(format!("its {by} lead to another end when they are read from a file: {}", status.word()));
        }
    }
    Ok(())
}
