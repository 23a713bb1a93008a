//! Clusters, the independent components of a search: clients whose records never meet those of other
//! clients.
//!
//! Which clients belong together is guessed from the records that their commands name, corrected by
//! what the search of each cluster saves and publishes, and tested by running pairs of actions of
//! different clusters in both orders (`independence.rs`). If clusters are independent, whatever one
//! of them does in a run it can do in a run in which the others do nothing, with no more faults than
//! the whole run has. So each is searched alone, with all that the bounds allow.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bounds::{Bounds, Most};
use crate::event::{Command, System};
use crate::ids::RecordId;
use crate::search::DeliveryOrder;
use crate::simulation::Simulation;

/// A partition of the clients that send anything: for each, the number of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clusters {
    /// `None` for a client that sends nothing.
    of_client: Vec<Option<usize>>,
}

impl Clusters {
    /// Clients that name a common record in their commands are in one cluster.
    pub(super) fn guess<S: System>(simulation: &Simulation<S>) -> Clusters {
        let named: Vec<BTreeSet<RecordId>> = (0..simulation.clients())
            .map(|client| {
                let commands = &simulation.hosted(client).commands;
                let mut named: BTreeSet<RecordId> = commands.iter().map(|hosted| hosted.command.record()).collect();
                let terms = commands.iter().filter_map(|hosted| hosted.terms.as_deref());
                named.extend(terms.flat_map(|terms| &terms.waits_for).map(|(record, _)| *record));
                let values = commands.iter().map(|hosted| serde_json::to_value(&hosted.command).unwrap_or_default());
                values.into_iter().for_each(|value| name(&value, &mut named));
                named
            })
            .collect();
        let of_client = named.iter().enumerate().map(|(client, named)| (!named.is_empty()).then_some(client));
        let mut clusters = Clusters { of_client: of_client.collect() };
        for (client, records) in named.iter().enumerate() {
            for (other, others) in named.iter().enumerate().take(client) {
                if !records.is_disjoint(others) {
                    clusters.unite(client, other);
                }
            }
        }
        clusters
    }

    fn unite(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of_client[one], self.of_client[other]);
        self.of_client.iter_mut().filter(|cluster| **cluster == one).for_each(|cluster| *cluster = other);
    }

    /// Which cluster a client is in.
    pub(super) fn of(&self, client: usize) -> Option<usize> {
        self.of_client[client]
    }

    /// The numbers of the clusters.
    pub(super) fn numbers(&self) -> Vec<usize> {
        let numbers: BTreeSet<usize> = self.of_client.iter().flatten().copied().collect();
        numbers.into_iter().collect()
    }

    /// Puts two clusters together of which both touched a record, if there are any.
    pub(super) fn merge(&mut self, touched: &[(usize, BTreeSet<RecordId>)]) -> bool {
        for (place, (one, records)) in touched.iter().enumerate() {
            for (other, others) in &touched[..place] {
                if !records.is_disjoint(others) {
                    // A cluster has the number of one of its clients.
                    self.unite(*one, *other);
                    return true;
                }
            }
        }
        false
    }
}

/// Collects every text in a value that names a record.
fn name(value: &Value, named: &mut BTreeSet<RecordId>) {
    match value {
        Value::String(text) => named.extend(text.parse::<RecordId>()),
        Value::Array(values) => values.iter().for_each(|value| name(value, named)),
        Value::Object(fields) => {
            named.extend(fields.keys().filter_map(|key| key.parse::<RecordId>().ok()));
            fields.values().for_each(|value| name(value, named));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Why nothing can be independent of anything else, if the bounds or the broker make it so.
pub(super) fn coupling<S: System>(simulation: &Simulation<S>, bounds: &Bounds) -> Option<&'static str> {
    let groups = &simulation.inner.groups;
    if bounds.order != DeliveryOrder::Any {
        return Some("the order of deliveries is common to all records");
    }
    if bounds.departures != Most::Any {
        return Some("departures are counted over all records");
    }
    if bounds.pauses != Most::NONE {
        return Some("handlers that pause share a member");
    }
    if simulation.inner.has_askers {
        return Some("services ask each other, whatever the record");
    }
    if groups.iter().any(|group| group.members.len() > 1) {
        return Some("members take turns");
    }
    groups.iter().any(|group| group.joins_late).then_some("a group that joins gets all messages")
}
