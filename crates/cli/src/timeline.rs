//! A trace as a timeline: one column per service, the stores side by side, the verdict.

use std::collections::BTreeMap;

use anstyle::Style;
use pellmell_core::escape::for_terminal;
use pellmell_core::trace::{SavedRecord, Trace, TraceRecord, plain};
use pellmell_scenario::scenario::Display;

use super::log::Log;
use super::{BAD, DIM, Failure, GOOD, Out, PLAIN, count};

/// How wide a service's column may become.
const COLUMN_MAX: usize = 52;
/// How wide a row is to be where all that makes it wider is what the calm run would have done.
const LINE_MAX: usize = 160;
/// How much of that is shown in any case.
const CALM_MIN: usize = 24;
/// How many records are listed before only the differing ones are.
const ROWS_MAX: usize = 10;

/// Prints the last `steps` steps of a trace, with what handlers logged in them.
pub(super) fn steps(out: &mut Out, trace: &Trace, log: &Log, steps: usize) -> Result<(), Failure> {
    last_steps(out, &trace.header.services, &trace.records, log, steps)
}

/// Prints the last `steps` of these records.
pub(super) fn last_steps(
    out: &mut Out,
    services: &[String],
    records: &[TraceRecord],
    log: &Log,
    steps: usize,
) -> Result<(), Failure> {
    let skipped = records.len().saturating_sub(steps);
    let shown = &records[skipped..];
    let cells: Vec<Option<Vec<String>>> = shown.iter().map(|record| cells(record, services)).collect();
    let widths = widths(services, cells.iter().flatten());
    let names = pad(services, &widths);
    out.parts(&[(PLAIN, &format!(" step          t │ {} │", names.join(" │ ")))])?;
    if skipped > 0 {
        let note = format!("{} before this not shown: --steps all shows them", count(skipped as u64, "step"));
        out.parts(&[(DIM, &format!("    …            │ {note}"))])?;
    }
    for (record, row) in shown.iter().zip(&cells) {
        let time = pellmell_core::Time(record.time_us).to_string();
        let step = format!("{:>5} {time:>10} │ ", record.step);
        let (style, what) = match row {
            Some(row) => (Style::new(), format!("{} │", pad(row, &widths).join(" │ "))),
            // What no service did goes across.
            None => (DIM, record.action.clone()),
        };
        let marks = marks(record, step.chars().count() + what.chars().count());
        let marks = marks.iter().flat_map(|(style, mark)| [(Style::new(), " "), (*style, mark.as_str())]);
        let parts: Vec<_> = [(Style::new(), step.as_str()), (style, what.as_str())].into_iter().chain(marks).collect();
        out.parts(&parts)?;
        logged(out, log, record.step, &time)?;
    }
    Ok(())
}

/// Prints what handlers logged in a step, with its time.
pub(super) fn logged(out: &mut Out, log: &Log, step: u64, time: &str) -> Result<(), Failure> {
    let lines = log.get(&step).into_iter().flatten();
    lines.into_iter().try_for_each(|line| out.parts(&[(DIM, &format!("{step:>5} {time:>10} │ log {line}"))]))
}

/// How wide each column is for these rows.
pub(super) fn widths<'a>(services: &[String], rows: impl Iterator<Item = &'a Vec<String>> + Clone) -> Vec<usize> {
    let widest = |column: usize| rows.clone().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let columns = services.iter().enumerate();
    columns.map(|(column, name)| widest(column).clamp(name.chars().count(), COLUMN_MAX)).collect()
}

pub(super) fn pad(row: &[String], widths: &[usize]) -> Vec<String> {
    row.iter().zip(widths).map(|(cell, width)| fit(cell, *width)).collect()
}

/// The cells of a step, one per service; `None` if no service's handler ran.
pub(super) fn cells(record: &TraceRecord, services: &[String]) -> Option<Vec<String>> {
    let place = services.iter().position(|name| Some(name) == record.service.as_ref())?;
    let mut cells = vec![String::new(); services.len()];
    cells[place] = record.in_brief();
    Some(cells)
}

/// What departs from the calm run here, behind a row of this width.
fn marks(record: &TraceRecord, width: usize) -> Vec<(Style, String)> {
    let mut marks: Vec<_> = record.faults.iter().map(|fault| (BAD, format!("◀ {fault}"))).collect();
    let used = width + marks.iter().map(|(_, mark)| 1 + mark.chars().count()).sum::<usize>() + 1;
    marks.extend(record.instead_of.iter().map(|calm| {
        let mark = format!("≠ calm: {calm}");
        let room = LINE_MAX.saturating_sub(used).max(CALM_MIN);
        (DIM, if mark.chars().count() > room { fit(&mark, room) } else { mark })
    }));
    marks
}

pub(super) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:width$}");
    }
    let kept: String = text.chars().take(width - 1).collect();
    format!("{kept}…")
}

/// Prints what each service holds, record by record.
pub(super) fn stores(out: &mut Out, display: &Display, trace: &Trace) -> Result<(), Failure> {
    let services = &trace.header.services;
    let mut rows: BTreeMap<(String, u32), Vec<String>> = BTreeMap::new();
    for (place, store) in trace.end.stores.iter().enumerate() {
        for saved in store {
            let row = rows.entry(order_of(&saved.id)).or_insert_with(|| vec![String::new(); services.len()]);
            let separator = if row[place].is_empty() { "" } else { ", " };
            row[place] = format!("{}{separator}{}", row[place], for_terminal(&cell(display, saved)));
        }
    }
    let total = rows.len();
    if total > ROWS_MAX {
        rows.retain(|(kind, number), _| differs(display, trace, &format!("{kind}{number}")));
    }
    let widths = widths(services, rows.values());
    out.line("")?;
    out.parts(&[(PLAIN, &format!("          record │ {} │", pad(services, &widths).join(" │ ")))])?;
    let hidden = rows.len().saturating_sub(ROWS_MAX);
    for ((kind, number), row) in rows.iter().take(ROWS_MAX) {
        let cells = pad(row, &widths);
        let id = format!("{kind}{number}");
        let row = format!("{id:>16} │ {} │", cells.join(" │ "));
        match differs(display, trace, &id) {
            true => out.parts(&[(Style::new(), &format!("{row} ")), (BAD, "◀ differ")])?,
            false => out.line(row)?,
        }
    }
    if total > ROWS_MAX {
        let same = total - rows.len();
        let more = if hidden > 0 { format!(", {} more differ", count(hidden as u64, "record")) } else { String::new() };
        let same = format!("{} the same at every service that has them{more}", count(same as u64, "record"));
        out.parts(&[(DIM, &format!("                 │ {same}"))])?;
    }
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
