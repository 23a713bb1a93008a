//! Traces: what happened in a run, step by step, as text that can be compared and kept.
//!
//! A trace is JSON lines: a header, one record per step, an end. Integers only, simulated
//! microseconds, keys in a fixed order; the same run gives the same bytes everywhere.

mod edges;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::escape::for_terminal;
use crate::event::System;
use crate::faults::Fate;
use crate::file_error::FileError;
use crate::run::{Counts, Judges, Limits, Observer, Report, Verdict, run};
use crate::schedule::{NamedStep, Target};
use crate::scheduler::{Action, Move, Scripted};
use crate::service::{Awaits, Outcome};
use crate::simulation::Simulation;
use crate::store::RowText;
use crate::world::{Answer, Step, World};

pub use edges::Edges;

/// The format's name, the first thing in the file.
const FORMAT: &str = "pellmell-trace";
/// The format's version: raised when a reader would misread.
const VERSION: u32 = 2;

const RECORD_AGAIN: &str = "record the run again: run SCENARIO --trace FILE";

/// What happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What was run.
    pub header: Header,
    /// The steps, in order.
    pub records: Vec<TraceRecord>,
    /// Its outcome.
    pub end: TraceEnd,
}

/// What was run: enough to run it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always `pellmell-trace`.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The version of the tool that wrote it.
    pub tool: String,
    /// The scenario's name.
    pub scenario: String,
    /// The design.
    pub design: String,
    /// The defects planted in it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defects: Vec<String>,
    /// The scheduler.
    pub scheduler: String,
    /// Whether nothing could go wrong but the order, whatever the file's faults are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_faults: bool,
    /// The departures, if they are others than the file's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub departures: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The properties judged; all if empty.
    pub properties: Vec<String>,
    /// How far the run could go.
    pub limits: Limits,
    /// The names of the services, in order.
    pub services: Vec<String>,
    /// The scenario file's text.
    pub source: String,
}

impl Header {
    /// The format's name and version and the tool's, for a header.
    #[must_use]
    pub fn format() -> Format {
        Format { name: FORMAT.to_owned(), version: VERSION, tool: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// The header of a run by no scenario file, of seed 0 and with the usual limits; what else is known of it takes
    /// the place of what is empty here.
    ///
    /// ```
    /// use pellmell::trace::Header;
    /// let header = Header { seed: 7, ..Header::of("two items", vec!["shop".to_owned()]) };
    /// assert_eq!((header.scenario.as_str(), header.seed, header.defects.len()), ("two items", 7, 0));
    /// ```
    #[must_use]
    pub fn of(scenario: &str, services: Vec<String>) -> Header {
        let Format { name: format, version, tool } = Header::format();
        Header {
            format,
            version,
            tool,
            scenario: scenario.to_owned(),
            design: String::new(),
            defects: Vec::new(),
            scheduler: String::new(),
            no_faults: false,
            departures: Vec::new(),
            seed: 0,
            properties: Vec::new(),
            limits: Limits::default(),
            services,
            source: String::new(),
        }
    }
}

/// The format of a trace, and the tool that writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Always `pellmell-trace`.
    pub name: String,
    /// The version of the format.
    pub version: u32,
    /// The version of the tool.
    pub tool: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceRecord {
    /// Its position, from 1.
    pub step: u64,
    /// When, in simulated microseconds.
    pub time_us: u64,
    /// What happened, such as `deliver ticket:created t1@0 -> orders #1`.
    pub action: String,
    /// What went wrong with it: `ack lost`, `crash before save`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// What the calm run would have done here instead, if something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// The service whose handler ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which member of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<u16>,
    /// The answer: `ack`, `silent: duplicate key`, `rejected 400: …`, or `panics: …`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What was saved and what was removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saved: Vec<SavedRecord>,
    /// What was published, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<String>,
    /// What was done outside of the stores that was not done before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<String>,
    /// What its handler asked other services, and was told: `shop: i1@1`, `shop: i1@0 (stale: i1@1)`, `shop: no i1`,
    /// `shop: no answer`, `shop: 2 items`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
    /// The fingerprint of the run up to here.
    pub fingerprint: String,
}

impl TraceRecord {
    /// What the handler of its service worked on, its answer and what it saved, for a line of a timeline that
    /// says at which service: `order:created o1@0 ✓ saves t1@1`.
    #[must_use]
    pub fn in_brief(&self) -> String {
        let action = self.action.strip_prefix("deliver ").unwrap_or(&self.action);
        // The group is at the service.
        let action = match action.split_once(" -> ") {
            Some((message, to)) => {
                let attempt = to.split_once('#').map_or("1", |(_, attempt)| attempt);
                if attempt == "1" { message.to_owned() } else { format!("{message} #{attempt}") }
            }
            None => action.to_owned(),
        };
        let member = self.member.filter(|member| *member > 0).map(|member| format!("[{member}] ")).unwrap_or_default();
        let answer = match self.answer.as_deref() {
            Some("ack" | "accepted" | "done") => " ✓".to_owned(),
            Some("paused" | "works" | "crashed") | None => " …".to_owned(),
            Some(answer) => format!(" ✗ {}", answer.strip_prefix("silent: ").unwrap_or(answer)),
        };
        let saved = saves_in_words(&self.saved, SavedRecord::name).map(|saves| format!(" {saves}")).unwrap_or_default();
        let done = if self.outside.is_empty() { String::new() } else { format!(" does {}", self.outside.join(", ")) };
        let asked = if self.asked.is_empty() { String::new() } else { format!(" asks {}", self.asked.join(", ")) };
        for_terminal(&format!("{member}{action}{answer}{asked}{saved}{done}")).into_owned()
    }
}

/// A record as it was saved or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRecord {
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Its version; the last one that it had, if it was removed.
    pub version: u64,
    /// Its fields; what they were, if it was removed.
    pub fields: serde_json::Value,
    /// Whether it was removed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
}

fn is_false(removed: &bool) -> bool {
    !removed
}

impl From<RowText> for SavedRecord {
    fn from(row: RowText) -> SavedRecord {
        let RowText { collection, id, version, fields, removed } = row;
        SavedRecord { collection: collection.to_owned(), id: id.to_string(), version: version.0, fields, removed }
    }
}

impl SavedRecord {
    /// Its name and version: `t1@1`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }
}

/// What a step saved and removed, with each record in the words of `row`: `saves t1@1, t2@0 and removes t3@4`.
/// `None` if it did neither.
pub fn saves_in_words(saved: &[SavedRecord], row: impl Fn(&SavedRecord) -> String) -> Option<String> {
    let all =
        |removed: bool| saved.iter().filter(|row| row.removed == removed).map(&row).collect::<Vec<_>>().join(", ");
    match (all(false), all(true)) {
        (saved, removed) if saved.is_empty() && removed.is_empty() => None,
        (saved, removed) if removed.is_empty() => Some(format!("saves {saved}")),
        (saved, removed) if saved.is_empty() => Some(format!("removes {removed}")),
        (saved, removed) => Some(format!("saves {saved} and removes {removed}")),
    }
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceEnd {
    /// `held`, `violated`, `stuck` or `panicked`.
    pub verdict: String,
    /// The property, if one was violated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Why, unless it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The number of steps.
    pub steps: u64,
    /// The simulated time at the end, in microseconds.
    pub time_us: u64,
    /// The fingerprint of the whole run.
    pub fingerprint: String,
    /// What each service holds at the end.
    pub stores: Vec<Vec<SavedRecord>>,
    /// What happened how often.
    pub counts: CountsText,
}

/// [`Counts`] as they stand in a trace.
pub type CountsText = std::collections::BTreeMap<String, u64>;

/// A value of a record's field as people read it: without quotes and braces.
#[must_use]
pub fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// A fingerprint as text.
#[must_use]
pub fn hex(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

/// Records a run.
#[derive(Debug, Default)]
pub struct Recorder {
    records: Vec<TraceRecord>,
    action: String,
    instead_of: Option<String>,
}

impl<S: System> Observer<S> for Recorder {
    fn before(&mut self, world: &World<S>, action: Action) {
        self.action = world.describe(action);
        let calm = world.enabled().calm().filter(|calm| *calm != action);
        self.instead_of = calm.map(|calm| world.describe(calm));
    }

    fn after(&mut self, world: &World<S>, step: &Step) {
        let store = step.actor.filter(|_| step.ran()).map(|actor| world.store(actor.service));
        let saved = store.map(|store| store.changed_texts()).unwrap_or_default();
        let published = &world.broker().messages()[step.published.clone()];
        self.records.push(TraceRecord {
            step: step.number,
            time_us: step.time.0,
            action: std::mem::take(&mut self.action),
            faults: faults_in_words(step),
            instead_of: self.instead_of.take(),
            service: step.actor.map(|actor| world.service_name(actor.service).to_owned()),
            member: step.actor.map(|actor| actor.member),
            answer: step.answer.map(answer_in_words),
            saved: saved.into_iter().map(SavedRecord::from).collect(),
            published: published.iter().map(|message| message.name.to_string()).collect(),
            outside: world.outside_in(step).iter().map(ToString::to_string).collect(),
            asked: world.asked_in(step).iter().map(ToString::to_string).collect(),
            fingerprint: hex(world.fingerprint()),
        });
    }

    fn panicked(&mut self, world: &World<S>, step: &Step, message: &str) {
        self.after(world, step);
        if let Some(last) = self.records.last_mut() {
            // The verdict has all of it.
            last.answer = Some(format!("panics: {}", message.lines().next().unwrap_or_default()));
        }
    }
}

fn faults_in_words(step: &Step) -> Vec<String> {
    match step.action {
        _ if step.goes_on_with() && (Fate { pause: false, awaits: Awaits::NONE, ..step.fate }).is_calm() => Vec::new(),
        _ => step.fate.faults(),
    }
}

fn answer_in_words(answer: Answer) -> String {
    match answer {
        Answer::Delivery(Outcome::Ack) => "ack".to_owned(),
        Answer::Delivery(Outcome::Nak { reason, delay: None }) => format!("nak: {reason}"),
        Answer::Delivery(Outcome::Nak { reason, delay: Some(delay) }) => format!("nak for {delay:?}: {reason}"),
        Answer::Delivery(Outcome::Silent(reason)) => format!("silent: {reason}"),
        Answer::Command(Ok(())) => "accepted".to_owned(),
        Answer::Command(Err(rejection)) => format!("rejected {}: {}", rejection.status, rejection.reason),
        Answer::Timer => "done".to_owned(),
        Answer::Paused => "paused".to_owned(),
        Answer::Works => "works".to_owned(),
        Answer::Crashed { acked: false } | Answer::CrashedBetween { acked: false } => "crashed".to_owned(),
        Answer::Crashed { acked: true } | Answer::CrashedBetween { acked: true } => "acked, then crashed".to_owned(),
        Answer::Lost => "lost".to_owned(),
    }
}

/// Notes the steps of a run by name, as [`Replayed`](crate::scheduler::Replayed) plays them again.
#[derive(Debug, Default)]
pub struct Naming {
    steps: Vec<NamedStep>,
    what: Option<Target>,
}

impl Naming {
    /// The steps so far.
    #[must_use]
    pub fn into_steps(self) -> Vec<NamedStep> {
        self.steps
    }
}

impl<S: System> Observer<S> for Naming {
    fn before(&mut self, world: &World<S>, action: Action) {
        self.what = world.target(action);
    }

    fn after(&mut self, _: &World<S>, step: &Step) {
        // A handler that goes on has the fate that was decided when it began.
        let goes_on = step.goes_on_with() || matches!(step.action, Action::Publish(_));
        let fate = if goes_on { Fate::CALM } else { step.fate };
        self.steps.extend(self.what.take().map(|what| {
            let what = step.named(what);
            let pause = matches!(what, Target::Pause(_)) && fate.awaits.is_none();
            NamedStep { what, fate: Fate { pause, ..fate } }
        }));
    }

    fn panicked(&mut self, world: &World<S>, step: &Step, _: &str) {
        self.after(world, step);
    }
}

impl Recorder {
    /// The step recorded last.
    #[must_use]
    pub fn last(&self) -> Option<&TraceRecord> {
        self.records.last()
    }

    /// The steps recorded so far.
    #[must_use]
    pub fn into_records(self) -> Vec<TraceRecord> {
        self.records
    }

    /// The trace of the run that was recorded.
    #[must_use]
    pub fn finish<S: System>(self, header: Header, world: &World<S>, report: &Report) -> Trace {
        let stores = (0..header.services.len()).map(|place| {
            let name = &header.services[place];
            world.store_of(name).texts().into_iter().map(SavedRecord::from).collect()
        });
        let end = TraceEnd {
            verdict: report.verdict.word().to_owned(),
            property: match &report.verdict {
                Verdict::Violated { property, .. } => Some((*property).to_owned()),
                _ => None,
            },
            detail: detail(&report.verdict),
            steps: report.steps,
            time_us: report.time.0,
            fingerprint: hex(report.fingerprint),
            stores: stores.collect(),
            counts: counts_text(&report.counts),
        };
        Trace { header, records: self.records, end }
    }
}

/// A verdict in words, such as `violated NoPoison: at orders, t1: …`.
#[must_use]
pub fn in_words(verdict: &Verdict) -> String {
    let property = match verdict {
        Verdict::Violated { property, .. } => format!(" {property}"),
        _ => String::new(),
    };
    let detail = detail(verdict).map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{property}{detail}", verdict.word())
}

/// Why a verdict is not held, in words.
#[must_use]
pub fn detail(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Held => None,
        Verdict::Violated { violation, .. } => Some(violation.to_string()),
        Verdict::Stuck { reason } => Some(reason.clone()),
        Verdict::Panicked { message } => Some(message.clone()),
    }
}

/// Counts as they stand in a trace.
#[must_use]
pub fn counts_text(counts: &Counts) -> CountsText {
    let value = serde_json::to_value(counts).unwrap_or_default();
    serde_json::from_value(value).unwrap_or_default()
}

impl Trace {
    /// The trace as JSON lines.
    ///
    /// # Errors
    /// If a record's fields cannot be written as JSON.
    pub fn to_jsonl(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&self.header)? + "\n";
        for record in &self.records {
            text += &serde_json::to_string(record)?;
            text.push('\n');
        }
        text += &serde_json::to_string(&self.end)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a trace from a file's text. `file` is the name that errors show.
    ///
    /// # Errors
    /// The first line that is not what it should be; a missing end says that the file is truncated.
    pub fn parse(file: &str, text: &str) -> Result<Trace, FileError> {
        let mut lines = lines_with_spans(text);
        let wrong = |span: std::ops::Range<usize>, message: String| FileError::new(file, text, span, message);
        let Some((span, first)) = lines.next() else {
            return Err(wrong(0..0, "the file is empty: a trace begins with a header".to_owned()));
        };
        let header: Header = read_line(file, text, span.clone(), first, "the header of a trace")?;
        if header.format != FORMAT || header.version != VERSION {
            let message = format!(
                "expected format {FORMAT} version {VERSION}, found {} version {}",
                header.format, header.version
            );
            return Err(wrong(span, message).help("record the run again with this version: run SCENARIO --trace FILE"));
        }
        let mut rest: Vec<_> = lines.collect();
        let Some((span, last)) = rest.pop().filter(|(_, line)| line.starts_with("{\"verdict\"")) else {
            let message = "the last line is no verdict: the file is truncated".to_owned();
            return Err(wrong(text.len()..text.len(), message).help(RECORD_AGAIN));
        };
        let end: TraceEnd = read_line(file, text, span.clone(), last, "the end of a trace")?;
        let mut records: Vec<TraceRecord> = Vec::new();
        for (line_span, line) in rest {
            let record: TraceRecord = read_line(file, text, line_span.clone(), line, "a step of a trace")?;
            let next = records.len() as u64 + 1;
            if record.step != next {
                let message = format!("expected step {next}, found step {}: lines are missing or moved", record.step);
                return Err(wrong(line_span, message).help(RECORD_AGAIN));
            }
            records.push(record);
        }
        if end.steps != records.len() as u64 {
            let message = format!("the end tells of {} steps, and there are {}", end.steps, records.len());
            return Err(wrong(span, message).help(RECORD_AGAIN));
        }
        Ok(Trace { header, records, end })
    }
}

/// The records of a run that takes these steps from the world before the first step.
///
/// # Panics
/// If a step is not possible.
#[must_use]
pub fn records_of<S: System>(simulation: &Simulation<S>, steps: &[Move]) -> Vec<TraceRecord> {
    let mut recorder = Recorder::default();
    // The script ends with the last step; what the clients still want does not matter.
    let limits = Limits { steps_max: steps.len() as u64, ..Limits::default() };
    let mut script = Scripted::new(steps.to_vec());
    run(&mut simulation.world(), &mut script, &Judges::new(Vec::new()), limits, &mut recorder);
    recorder.into_records()
}

/// A number with its digits in groups of three: `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 run`, `2,000 runs`, `3 entries`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    let number_text = grouped(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number_text} {noun}"),
        Some(stem) => format!("{number_text} {stem}ies"),
        None => format!("{number_text} {noun}s"),
    }
}

fn lines_with_spans(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, &str)> {
    let mut at = 0;
    let lines = text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        (start..start + line.len(), line)
    });
    lines.filter(|(_, line)| !line.is_empty())
}

fn read_line<'a, T: Deserialize<'a>>(
    file: &str,
    text: &str,
    span: std::ops::Range<usize>,
    line: &'a str,
    what: &str,
) -> Result<T, FileError> {
    let wrong = |error| FileError::of_json(file, text, &span, &format!("this is not {what}: "), &error);
    serde_json::from_str(line).map_err(wrong)
}

/// The first difference between two traces.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The step, from 1; 0 for the header.
    pub step: u64,
    /// What it was.
    pub expected: String,
    /// What it is.
    pub found: String,
}

/// Compares two runs by what was run, step by step, and by their ends. Which version of the tool
/// wrote them makes no difference.
#[must_use]
pub fn first_difference(expected: &Trace, found: &Trace) -> Option<Difference> {
    if let Some((expected, found)) = difference_of_headers(&expected.header, &found.header) {
        return Some(Difference { step: 0, expected, found });
    }
    let line = |record: Option<&TraceRecord>| match record {
        Some(record) => {
            let answer = record.answer.as_deref().unwrap_or("-");
            format!("{} ({answer}), fingerprint {}", record.action, record.fingerprint)
        }
        None => "no step".to_owned(),
    };
    let steps = expected.records.len().max(found.records.len());
    for place in 0..steps {
        let (one, other) = (expected.records.get(place), found.records.get(place));
        if one != other {
            return Some(Difference { step: place as u64 + 1, expected: line(one), found: line(other) });
        }
    }
    if expected.end == found.end {
        return None;
    }
    let verdict = |end: &TraceEnd| {
        format!("verdict {} {}, fingerprint {}", end.verdict, end.property.as_deref().unwrap_or(""), end.fingerprint)
    };
    Some(Difference { step: steps as u64, expected: verdict(&expected.end), found: verdict(&found.end) })
}

/// The first key of the header that differs, with both values.
fn difference_of_headers(expected: &Header, found: &Header) -> Option<(String, String)> {
    let keys = |header: &Header| serde_json::to_value(header).unwrap_or_default();
    let (expected, found) = (keys(expected), keys(found));
    let all: BTreeSet<&String> =
        [&expected, &found].into_iter().filter_map(|keys| keys.as_object()).flat_map(|keys| keys.keys()).collect();
    let key = all.into_iter().find(|key| *key != "tool" && expected.get(key) != found.get(key))?;
    let value = |keys: &serde_json::Value| format!("{key} {}", keys.get(key).unwrap_or(&serde_json::Value::Null));
    Some((value(&expected), value(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_have_a_plural() {
        assert_eq!(count(1, "run"), "1 run");
        assert_eq!(count(1_234_567, "run"), "1,234,567 runs");
        assert_eq!((count(1, "entry"), count(2, "entry")), ("1 entry".to_owned(), "2 entries".to_owned()));
    }
}
