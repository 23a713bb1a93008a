//! What caused what: the steps that each step follows from, and the causal past of the verdict.
//!
//! A step follows from the step that published its message, from earlier attempts of the same delivery, from
//! the client's command before it, and from the last step of its service about each record that it is about.
//! Which records that are is told by names: those in its action, those it saved, and those that fields of
//! what it saved name. A handler that looks at other records leaves no trace of that, so this is what can
//! be seen and no proof that the rest does not matter.

use std::collections::{BTreeMap, BTreeSet};

use pellmell_core::trace::{Trace, TraceRecord};
use serde_json::Value;

use crate::picture::{Run, blamed};
use crate::step::{Action, Kind};

/// What each step of a run follows from.
pub(crate) struct Causes {
    /// By place, the places of earlier steps.
    pub(crate) parents: Vec<Vec<usize>>,
    /// The steps of each service about each record, in order.
    about: BTreeMap<(String, String), Vec<usize>>,
    /// The last step that saved each record, at any service, and at which.
    saved: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Causes {
    pub(crate) fn of(trace: &Trace, run: &Run) -> Causes {
        let known: BTreeSet<&str> =
            trace.records.iter().flat_map(|record| &record.saved).map(|row| row.id.as_str()).collect();
        let mut causes = Causes { parents: Vec::new(), about: BTreeMap::new(), saved: BTreeMap::new() };
        let mut clients: BTreeMap<&str, usize> = BTreeMap::new();
        let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
        let mut flights: BTreeMap<usize, usize> = BTreeMap::new();
        for (place, (record, step)) in trace.records.iter().zip(&run.steps).enumerate() {
            let action = Action::of(record);
            let mut parents: BTreeSet<usize> = step.from.into_iter().collect();
            parents.extend(step.flight.and_then(|flight| flights.insert(flight, place)));
            parents.extend(action.client().and_then(|client| clients.insert(client, place)));
            match action.kind {
                // What goes on, or is published now, began as something else.
                Kind::Resume | Kind::Publish => parents.extend(begun.get(action.what)),
                _ => parents.extend(begun.insert(action.what, place).filter(|_| action.kind != Kind::Timer)),
            }
            if let Some(service) = &record.service {
                for id in ids_of(record, &action, &known) {
                    let before = causes.about.entry((service.clone(), id.to_owned())).or_default();
                    parents.extend(before.last());
                    before.push(place);
                }
                for row in &record.saved {
                    causes.saved.entry(row.id.clone()).or_default().insert(service.clone(), place);
                }
            }
            causes.parents.push(parents.into_iter().filter(|parent| *parent < place).collect());
        }
        causes
    }

    /// The places of the steps that the verdict follows from; empty if nothing is wrong.
    pub(crate) fn of_the_verdict(&self, trace: &Trace) -> Vec<usize> {
        let Some(last) = self.parents.len().checked_sub(1).filter(|_| trace.end.verdict != "held") else {
            return Vec::new();
        };
        let Some((service, named)) = blamed(trace) else { return vec![last] };
        let mut found = BTreeSet::new();
        for id in named.split([' ', ',', '@']) {
            let at = (service.to_owned(), id.to_owned());
            found.extend(self.about.get(&at).and_then(|steps| steps.last()));
            found.extend(self.saved.get(id).into_iter().flat_map(BTreeMap::values));
        }
        if found.is_empty() {
            found.insert(last);
        }
        found.into_iter().collect()
    }

    /// The places of these steps and of all that they follow from.
    pub(crate) fn past(&self, of: &[usize]) -> BTreeSet<usize> {
        let mut past = BTreeSet::new();
        let mut open = of.to_vec();
        while let Some(place) = open.pop() {
            if past.insert(place) {
                open.extend(&self.parents[place]);
            }
        }
        past
    }
}

/// The records that a step is about, of those that are known.
fn ids_of<'a>(record: &'a TraceRecord, action: &Action<'a>, known: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let words = action.what.split([' ', '@', ',']);
    let mut found: BTreeSet<&str> = words.filter(|word| known.contains(word)).collect();
    for row in &record.saved {
        found.insert(&row.id);
        named_in(&row.fields, known, &mut found);
    }
    found
}

fn named_in<'a>(value: &'a Value, known: &BTreeSet<&'a str>, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => found.extend(known.get(text.as_str())),
        Value::Array(values) => values.iter().for_each(|value| named_in(value, known, found)),
        Value::Object(values) => values.values().for_each(|value| named_in(value, known, found)),
        _ => {}
    }
}
