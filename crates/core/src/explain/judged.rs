//! What the violated property looks at, found out by asking it about other worlds: the records whose
//! saves make a difference to what it finds, and the moment from which on it was wrong.

use std::collections::BTreeMap;

use super::observed::ObservedRun;
use crate::event::System;
use crate::ids::RecordId;
use crate::property::{End, Moment, Violation};
use crate::run::{Judges, Verdict};
use crate::shrink::same_failure;
use crate::trace::SavedRecord;
use crate::world::{World, catching};

/// When a property is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedAt {
    Step,
    Rest,
    End,
}

/// A record at a service: the service, the collection and the id.
type Row = (String, String, String);

/// What is known of a violation besides its text.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// The records that were saved, and whether the property would find something else if one of the saves of
    /// it and those after that had not been.
    looks_at: BTreeMap<Row, bool>,
    /// Whether a step is what broke it.
    pub(super) is_of_a_step: bool,
    /// The place of the first step after which it was wrong at each moment; `None` if it is judged by steps or
    /// at the end alone.
    wrong_from: Option<usize>,
}

impl Judged {
    /// Asks the property that was violated about worlds that differ from the last one.
    pub(super) fn of<S: System>(observed: &ObservedRun<S>, judges: &Judges<S>) -> Judged {
        let Verdict::Violated { property, violation } = &observed.report.verdict else { return Judged::default() };
        let (Some((world, step)), Some(place)) = (&observed.end, judges.names().position(|name| name == *property))
        else {
            return Judged::default();
        };
        let found = |world: &World<S>, moment: AskedAt| {
            let judged = catching(|| match moment {
                AskedAt::Step => judges.judge_step(place, world, step),
                AskedAt::Rest => judges.property(place).at_quiescence(&Moment::new(world)),
                AskedAt::End => judges.property(place).at_end(&End::new(world, false)),
            });
            // What it cannot be asked about differs from what was.
            judged.ok().and_then(Result::err)
        };
        let is_it = |found: Option<Violation>| found.as_ref() == Some(&**violation);
        let moments = [AskedAt::Step, AskedAt::Rest, AskedAt::End];
        let Some(moment) = moments.into_iter().find(|moment| is_it(found(world, *moment))) else {
            return Judged::default();
        };
        let mut saved_in: BTreeMap<Row, Vec<usize>> = BTreeMap::new();
        for (place, step) in observed.steps.iter().enumerate() {
            for row in &step.record.saved {
                let service = step.record.service.clone().unwrap_or_default();
                saved_in.entry((service, row.collection.clone(), row.id.clone())).or_default().push(place);
            }
        }
        // Nothing if something is wrong elsewhere then, and is found first.
        let without = |place: usize, rows: &[(&str, &str)]| {
            let index = world.service(observed.steps[place].record.service.as_deref()?)?;
            let mut without = world.clone();
            for (collection, id) in rows {
                without.put_back(index, collection, id.parse::<RecordId>().ok()?, &observed.worlds[place]);
            }
            let found = found(&without, moment);
            let is_here = |other: &Violation| (&other.service, other.record) == (&violation.service, violation.record);
            found.as_ref().is_none_or(is_here).then(|| !is_it(found))
        };
        // Records that belong together may only be taken back together.
        let matters = |(_, collection, id): &Row, place: usize| {
            let saved = observed.steps[place].record.saved.iter();
            let together: Vec<(&str, &str)> = saved.map(|row| (row.collection.as_str(), row.id.as_str())).collect();
            without(place, &[(collection, id)]).or_else(|| without(place, &together)).unwrap_or_default()
        };
        let looks_at = saved_in.into_iter().map(|(row, places)| {
            let matters = places.into_iter().any(|place| matters(&row, place));
            (row, matters)
        });
        let is_wrong = |place: &usize| {
            let found = observed.after(*place).and_then(|world| found(world, AskedAt::Rest));
            found.is_some_and(|found| same_failure(&observed.report.verdict, &violated(property, found)))
        };
        let places = (0..observed.steps.len()).rev().filter(|_| moment == AskedAt::Rest);
        let wrong_from = places.take_while(is_wrong).last();
        Judged { looks_at: looks_at.collect(), is_of_a_step: moment == AskedAt::Step, wrong_from }
    }

    /// Whether it is known which records the property looks at; if not, it judges something else.
    pub(super) fn is_known(&self) -> bool {
        self.looks_at.values().any(|matters| *matters)
    }

    /// Whether the property looks at a record that a service saved.
    pub(super) fn looks_at(&self, service: &str, row: &SavedRecord) -> bool {
        let name = (service.to_owned(), row.collection.clone(), row.id.clone());
        self.looks_at.get(&name).copied().unwrap_or_default()
    }

    /// The records that the property looks at.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.looks_at.iter().filter(|(_, matters)| **matters).map(|((_, _, id), _)| id.as_str())
    }

    /// Whether the property does not care what a service holds of a record, though it holds something.
    pub(super) fn ignores(&self, service: &str, id: &str) -> bool {
        let mut held = self.looks_at.iter().filter(|((at, _, held), _)| at == service && held == id).peekable();
        held.peek().is_some() && held.all(|(_, matters)| !matters)
    }

    /// Whether it was wrong already before a step.
    pub(super) fn was_wrong_before(&self, place: usize) -> bool {
        self.wrong_from.is_some_and(|from| place > from)
    }
}

fn violated(property: &'static str, violation: Violation) -> Verdict {
    Verdict::Violated { property, violation: Box::new(violation) }
}
