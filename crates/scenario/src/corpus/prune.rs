//! Which entries say the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checked, Status};
use crate::scenario::{Scenario, Suite};
use pellmell_core::event::Command;
use pellmell_core::schedule::{Departure, Target};

/// An entry that says nothing that a smaller one does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Its place in the list.
    pub place: usize,
    /// The place of the one that says the same.
    pub of: usize,
}

/// The entries of a list, each with its name, that fail for the same cause as a smaller one and in the
/// same shape: with the same bucket, of fewer departures, then of fewer commands, then by name. Only
/// entries that come to the violation they should are compared; one that needs attention is nobody's
/// duplicate.
#[must_use]
pub fn duplicates(entries: &[(String, Checked)]) -> Vec<Duplicate> {
    let violated = entries.iter().enumerate().filter(|(_, (_, checked))| checked.status == Status::Violated);
    let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (place, (name, checked)) in violated {
        let Some(bucket) = &checked.bucket else { continue };
        alike.entry((bucket, &checked.shape)).or_default().push((checked.departures, checked.commands, name, place));
    }
    let mut duplicates = Vec::new();
    for mut same in alike.into_values() {
        same.sort_unstable();
        let of = same[0].3;
        duplicates.extend(same[1..].iter().map(|(_, _, _, place)| Duplicate { place: *place, of }));
    }
    duplicates.sort_unstable_by_key(|duplicate| duplicate.place);
    duplicates
}

/// How an entry fails: how it departs and which commands it sends, both without the names
/// of records and clients. A lost ack and a crash can have the same bucket and are two ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    departures: Vec<String>,
    commands: BTreeSet<String>,
}

impl Shape {
    pub(super) fn of<T: Suite>(scenario: &Scenario<T>) -> Shape {
        let mut departures: Vec<String> = scenario.schedule.iter().map(kind_of_departure).collect();
        departures.sort_unstable();
        let clients = scenario.clients_of(scenario.seed);
        let commands = clients.iter().flat_map(|client| &client.commands);
        Shape { departures, commands: commands.map(|command| without_numbers(&command.label())).collect() }
    }
}

/// A departure without the names of records, and without what ends it.
fn kind_of_departure(departure: &Departure) -> String {
    let what = departure.what();
    departure.clone().ended_by(None).to_string().replacen(&what.to_string(), &kind_of_target(&what), 1)
}

fn kind_of_target(target: &Target) -> String {
    match target {
        Target::Delivery(delivery) => format!("{} -> {}", delivery.subject, delivery.group),
        Target::Ack(delivery) => format!("ack of {} -> {}", delivery.subject, delivery.group),
        Target::AckWait(delivery) => format!("ack wait of {} -> {}", delivery.subject, delivery.group),
        Target::Command(command) => without_numbers(&command.label),
        Target::Timer(timer) => format!("timer {} of {}", timer.record.kind(), timer.service),
        Target::Pause(what) => format!("pause of {}", kind_of_target(what)),
        Target::Await { what, place } => format!("await {place} of {}", kind_of_target(what)),
        Target::Start(what) => format!("start of {}", kind_of_target(what)),
        Target::Publish(what) => format!("publish of {}", kind_of_target(what)),
        Target::Join(group) => format!("join of {group}"),
    }
}

/// `edit t1 to 6` as `edit t to `.
fn without_numbers(label: &str) -> String {
    label.chars().filter(|c| !c.is_ascii_digit()).collect()
}
