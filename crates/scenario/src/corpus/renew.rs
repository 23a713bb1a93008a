//! Writing entries: a scenario becomes one, and one whose departures do not lead there any more gets new ones.

use toml_edit::{Array, DocumentMut, Item, Value};

use super::{Checked, EntryRun, Status, check, departs, retells};
use crate::scenario::{Entry, FileError, Scenario, Suite};
use pellmell_core::extract::extract;
use pellmell_core::run::run;
use pellmell_core::schedule::{Departure, NamedStep};
use pellmell_core::scheduler::{Departing, Replayed, Tie};
use pellmell_core::shrink::Shrink;
use pellmell_core::simulation::CommandIndex;
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

/// Checks an entry and renews it: one that comes to the violation it should gets the steps that lead
/// there as its `trace`, and if its departures do not lead there any more but its steps do, departures
/// that do. All else in the text, comments too, stays as it is.
///
/// # Errors
/// As [`check`].
pub fn renew<T: Suite>(file: &str, text: &str) -> Result<(Checked, Renewal), FileError> {
    let checked = check::<T>(file, text)?;
    if checked.status != Status::Violated {
        return Ok((checked, Renewal::Fresh));
    }
    let scenario = Scenario::<T>::parse(file, text)?;
    let departures = match (&checked.by_steps, &checked.entry) {
        (Some(_), Some(entry)) => match departures_of(&scenario, &entry.trace) {
            Ok(departures) => departures,
            Err(why) => return Ok((checked, Renewal::Impossible(why))),
        },
        _ => scenario.schedule.clone(),
    };
    let renewed = written(text, &scenario, &departures).and_then(|renewed| match renewed == text {
        true => Ok(Renewal::Fresh),
        false => leads_there_both_ways::<T>(file, &renewed).map(|()| Renewal::Text(renewed)),
    });
    Ok((checked, renewed.unwrap_or_else(Renewal::Impossible)))
}

/// The fewest departures that give the failure that these steps lead to.
fn departures_of<T: Suite>(scenario: &Scenario<T>, steps: &[NamedStep]) -> Result<Vec<Departure>, String> {
    let simulation = scenario.simulation(scenario.seed).map_err(|error| error.to_string())?;
    let judges = scenario.judges();
    let extracted = extract(&simulation, Replayed::new(steps.to_vec()), &judges, scenario.limits, Tie::InOrder);
    let extracted = extracted.map_err(|error| error.to_string())?;
    // The commands are what the entry is about.
    let all = simulation.commands();
    let keeps_commands = |commands: &[CommandIndex], _: &[Departure]| commands.len() == all;
    let shrink = Shrink::new(&simulation, &judges).with_limits(scenario.limits).with_simpler_commands(false);
    let shrink = shrink.with_allowed(&keeps_commands);
    let shrunk = shrink.run(extracted.departures).map_err(|error| error.to_string())?;
    Ok(shrunk.departures)
}

/// The entry's text with these departures and the steps of their run.
fn written<T: Suite>(text: &str, scenario: &Scenario<T>, departures: &[Departure]) -> Result<String, String> {
    let simulation = scenario.simulation(scenario.seed).map_err(|error| error.to_string())?;
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

/// Reads what was written, as [`check`] will: both its departures and its steps must lead there.
fn leads_there_both_ways<T: Suite>(file: &str, text: &str) -> Result<(), String> {
    let scenario = Scenario::<T>::parse(file, text).map_err(|error| error.in_a_line())?;
    let Some(entry) = &scenario.entry else { return Err("the text is no entry".to_owned()) };
    let says = |by: &str, played: EntryRun| match played.status {
        Status::Violated => Ok(()),
        other => Err(format!("{by} lead to another end when they are read from a file: {}", other.word())),
    };
    let simulation = scenario.simulation(scenario.seed).map_err(|error| error.to_string())?;
    says("its departures", departs(&scenario, entry, &simulation))?;
    says("its steps", retells(&scenario, entry, &simulation).0)
}
