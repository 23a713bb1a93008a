//! A trace as a timeline: one column per service, the stores side by side, the verdict.

use std::collections::{BTreeMap, BTreeSet};

use pellmell_core::trace::{SavedRecord, Trace, TraceRecord, plain};
use pellmell_scenario::scenario::Display;

use super::grid::{Cells, Grid, Row};
use super::log::Log;
use super::{BAD, DIM, Failure, GOOD, Out, PLAIN, count};

/// How many records are listed before only the differing ones are.
const ROWS_MAX: usize = 10;
/// How many of the last steps of a run are shown in any case.
const LAST: usize = 3;

/// Prints at most so many steps of a trace, with what handlers logged in them: of a run that failed those that
/// are about the records which the verdict names, else the last ones.
pub(super) fn steps(out: &mut Out, trace: &Trace, log: &Log, most: usize) -> Result<(), Failure> {
    let (all, named) = (trace.records.len(), named(trace));
    let last = if named.is_empty() { most } else { most.min(LAST) };
    let last = all.saturating_sub(last)..all;
    let about = (0..last.start).rev().filter(|at| all <= most || is_about(&trace.records[*at], &named));
    let shown: BTreeSet<usize> = about.take(most - last.len().min(most)).chain(last.clone()).collect();
    let (mut rows, mut next) = (Vec::new(), 0);
    for at in shown {
        if at > next {
            let how = if next == 0 { ": --steps all shows them" } else { "" };
            let left_out = format!("{} not shown{how}", count((at - next) as u64, "step"));
            let front = vec!["…".to_owned(), String::new()];
            rows.push(Row { front, cells: Cells::Across(left_out), is_gap: true, ..Row::default() });
        }
        rows.push(row(&trace.records[at], &trace.header.services, log));
        next = at + 1;
    }
    timeline(&trace.header.services, rows).show(out)?;
    if all <= most || named.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = named.into_iter().collect();
    let last = count(last.len() as u64, "step");
    out.status(
        DIM,
        "Shown",
        format_args!("steps about {}, which the verdict names, and the last {last}", named.join(", ")),
    )
}

/// Prints all of these records.
pub(super) fn all_steps(out: &mut Out, services: &[String], records: &[TraceRecord]) -> Result<(), Failure> {
    let rows = records.iter().map(|record| row(record, services, &Log::new()));
    timeline(services, rows.collect()).show(out)
}

/// A timeline of these rows.
pub(super) fn timeline(services: &[String], rows: Vec<Row>) -> Grid<'_> {
    Grid { front: vec![("step", 4), ("t", 7)], services, what: "what happens", last: None, rows }
}

/// A step as a row of a timeline.
pub(super) fn row(record: &TraceRecord, services: &[String], log: &Log) -> Row {
    let place = services.iter().position(|name| Some(name) == record.service.as_ref());
    Row {
        front: vec![record.step.to_string(), pellmell_core::Time(record.time_us).to_string()],
        cells: match place {
            Some(place) => Cells::At(vec![(place, record.in_brief())]),
            None => Cells::Across(record.action.clone()),
        },
        marks: record.faults.iter().map(|fault| (BAD, format!("◀ {fault}"))).collect(),
        instead: record.instead_of.clone(),
        below: log.get(&record.step).into_iter().flatten().map(|line| format!("log {line}")).collect(),
        ..Row::default()
    }
}

/// The records that the verdict of a run names.
fn named(trace: &Trace) -> BTreeSet<&str> {
    let detail = trace.end.detail.as_deref().unwrap_or_default();
    let ids = trace.records.iter().flat_map(|record| &record.saved).map(|saved| saved.id.as_str());
    let known: BTreeSet<&str> = ids.collect();
    names_in(detail).filter_map(|name| known.get(name).copied()).collect()
}

/// Whether a step is about one of these records.
fn is_about(record: &TraceRecord, named: &BTreeSet<&str>) -> bool {
    let published = record.published.iter().map(String::as_str);
    let texts = published.chain([record.action.as_str()]);
    let saved = record.saved.iter().map(|saved| saved.id.as_str());
    texts.flat_map(names_in).chain(saved).any(|name| named.contains(name))
}

/// What may be the names of records in a text: its words without their versions.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split([' ', ',', '`', '(', ')', ';']);
    words.map(|word| word.trim_end_matches(':')).map(|word| word.split_once('@').map_or(word, |(name, _)| name))
}

/// Prints what each service holds, record by record.
pub(super) fn stores(out: &mut Out, display: &Display, trace: &Trace) -> Result<(), Failure> {
    let services = &trace.header.services;
    let mut records: BTreeMap<(String, u32), BTreeMap<usize, String>> = BTreeMap::new();
    for (place, store) in trace.end.stores.iter().enumerate() {
        for saved in store {
            let held = records.entry(order_of(&saved.id)).or_default().entry(place).or_default();
            let separator = if held.is_empty() { "" } else { ", " };
            *held += &format!("{separator}{}", cell(display, saved));
        }
    }
    let named = named(trace);
    let total = records.len();
    let id_of = |(kind, number): &(String, u32)| format!("{kind}{number}");
    let differing = records.keys().filter(|id| differs(display, trace, &id_of(id))).count();
    let is_short = total > ROWS_MAX;
    // Of many records those that matter.
    let matters = |id: &str| if named.is_empty() { differs(display, trace, id) } else { named.contains(id) };
    let shown = records.into_iter().filter(|(id, _)| !is_short || matters(&id_of(id))).take(ROWS_MAX);
    let mut hidden = differing;
    let mut rows = Vec::new();
    for (id, held) in shown {
        let id = id_of(&id);
        let is_marked = differs(display, trace, &id);
        hidden -= usize::from(is_marked);
        let marks = is_marked.then(|| (BAD, "◀ differ".to_owned())).into_iter().collect();
        rows.push(Row { front: vec![id], cells: Cells::At(held.into_iter().collect()), marks, ..Row::default() });
    }
    if is_short {
        let same = count((total - differing) as u64, "record");
        let more = if hidden > 0 { format!(", {} more differ", count(hidden as u64, "record")) } else { String::new() };
        let rest = format!("{same} the same at every service that has them{more}");
        rows.push(Row { front: vec![String::new()], cells: Cells::Across(rest), is_gap: true, ..Row::default() });
    }
    out.line("")?;
    Grid { front: vec![("record", 12)], services, what: "holds", last: None, rows }.show(out)?;
    out.line("")
}

fn order_of(id: &str) -> (String, u32) {
    let digits = id.find(|c: char| c.is_ascii_digit()).unwrap_or(id.len());
    (id[..digits].to_owned(), id[digits..].parse().unwrap_or(0))
}

fn cell(display: &Display, saved: &SavedRecord) -> String {
    let fields = match &saved.fields {
        serde_json::Value::Object(fields) => {
            let parts = fields.iter().filter(|(name, _)| !display.hidden_fields.contains(&name.as_str()));
            parts.map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => plain(other),
    };
    if display.not_compared.contains(&saved.collection.as_str()) {
        format!("{} {fields}", saved.collection)
    } else {
        format!("v{} {fields}", saved.version)
    }
}

/// Whether two services hold a record in different versions; of a kind that two must hold also if they have
/// other values, or only one of them holds it.
fn differs(display: &Display, trace: &Trace, id: &str) -> bool {
    let replicated = display.replicated.iter().find(|(kind, _)| id.starts_with(*kind));
    let compared: &[&str] = replicated.map_or(&[], |(_, fields)| fields);
    let held = |store: &Vec<SavedRecord>| {
        let compared_row =
            |row: &&SavedRecord| row.id == id && !display.not_compared.contains(&row.collection.as_str());
        let row = store.iter().find(compared_row)?;
        let fields: Vec<_> = compared.iter().map(|field| row.fields.get(field).cloned()).collect();
        Some((row.collection.clone(), row.version, fields))
    };
    let present: Vec<_> = trace.end.stores.iter().filter_map(held).collect();
    let (is_compared, is_alone) = (display.replicated.is_empty() || replicated.is_some(), present.len() < 2);
    is_compared && (is_alone && replicated.is_some() || present.windows(2).any(|pair| pair[0] != pair[1]))
}

/// Prints the verdict of a run.
pub(super) fn verdict(out: &mut Out, trace: &Trace) -> Result<(), Failure> {
    let end = &trace.end;
    let when = format!("step {}, t = {}", end.steps, pellmell_core::Time(end.time_us));
    match (end.verdict.as_str(), &end.property) {
        ("held", _) => out.status(GOOD, "HELD", format_args!("every property, {when}")),
        (word, property) => {
            let word = word.to_uppercase();
            let property = property.as_deref().map(|name| format!("{name}   ")).unwrap_or_default();
            out.status(BAD, &word, format_args!("{property}{when}"))?;
            out.status(PLAIN, "", end.detail.as_deref().unwrap_or_default())
        }
    }
}
