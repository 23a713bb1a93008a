//! A run as it is drawn: columns, steps, arrows, records before and after, causes, and what is said of it.

use std::collections::BTreeMap;

use pellmell_core::Fate;
use pellmell_core::explain::{ExplainedStep, Explanation};
use pellmell_core::trace::{Edges, SavedRecord, Trace, TraceRecord};
use serde::Serialize;

use crate::cause::Causes;
use crate::step::{Action, Delivery, Kind, Mark, marks, outcome};
use crate::text::{fields, shown};

/// The most messages that are drawn as not delivered: of more one sees nothing.
const WAITING_MAX: usize = 20;

/// What a picture is made of.
pub struct Source<'a> {
    /// The run.
    pub trace: &'a Trace,
    /// The name of its scenario.
    pub scenario: &'a str,
    /// The seed that was asked for; what is left of a run when it is shrunk needs none.
    pub seed: u64,
    /// What the scenario is about; may be empty.
    pub about: &'a str,
    /// The broker's profile.
    pub profile: &'a str,
    /// What is known of the run besides its trace.
    pub edges: &'a Edges,
    /// Why it fails, if that was found out; of this very run.
    pub explanation: Option<&'a Explanation>,
    /// The run without departures, to be shown beside it.
    pub calm: Option<(&'a Trace, &'a Edges)>,
    /// Commands to type, each with the word before it.
    pub commands: &'a [(&'a str, String)],
    /// What else whoever looks must know, such as that the run was not shrunk.
    pub notes: &'a [String],
}

/// A run as it is drawn. All its texts are [`shown`] already.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Picture {
    /// The scenario.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// The design, and the defects planted in it.
    pub design: String,
    /// The broker's profile.
    pub profile: String,
    /// Who picked the steps.
    pub scheduler: String,
    /// The seed.
    pub seed: u64,
    /// The version of the tool that recorded it.
    pub tool: String,
    /// The fingerprint of the run.
    pub fingerprint: String,
    /// Its outcome.
    pub verdict: Outcome,
    /// How it departs from the calm run, and the steps in which that shows, if it was explained.
    pub departures: Vec<Departs>,
    /// Why it fails, a sentence or two in each; empty if it was not explained.
    pub why: Vec<String>,
    /// What else an explanation says, each with the word before it.
    pub remarks: Vec<(String, String)>,
    /// Commands to type, each with the word before it.
    pub commands: Vec<(String, String)>,
    /// What else whoever looks must know.
    pub notes: Vec<String>,
    /// The names of the columns: clients, services, the broker.
    pub columns: Vec<Column>,
    /// What is drawn.
    pub run: Run,
    /// The calm run, to be shown beside it.
    pub calm: Option<Run>,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// `held`, `violated`, `stuck` or `panicked`.
    pub word: String,
    /// The property that was violated.
    pub property: Option<String>,
    /// Why, unless it held.
    pub detail: Option<String>,
    /// When, in simulated microseconds.
    pub time_us: u64,
    /// The column of the service that it is about.
    pub column: Option<usize>,
    /// The steps that it follows from, by place.
    pub parents: Vec<usize>,
}

impl Outcome {
    /// Whether every property was true.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.word == "held"
    }

    /// Its word and the property: `VIOLATED NoPoison`.
    #[must_use]
    pub fn heading(&self) -> String {
        let property = self.property.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{}{property}", self.word.to_uppercase())
    }

    /// The same behind a sign that says whether the run held.
    pub(crate) fn marked_heading(&self) -> String {
        format!("{} {}", if self.is_held() { "✓" } else { "✗" }, self.heading())
    }
}

/// A departure.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Departs {
    /// Its line.
    pub text: String,
    /// The numbers of the steps in which it shows.
    pub steps: Vec<u64>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// What it is of.
    pub of: ColumnKind,
}

/// What a column is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ColumnKind {
    /// All clients.
    Clients,
    /// A service.
    Service,
    /// The broker: ack waits, late acks, groups that join.
    Broker,
}

/// Steps and what is between them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What each message is to each group that gets it, in the order of publishing.
    pub flights: Vec<Flight>,
    /// What was held before the first step; `None` if that is not known.
    pub beginning: Option<Vec<Change>>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// When, in simulated microseconds.
    pub time_us: u64,
    /// What kind of thing happens.
    pub kind: Kind,
    /// What happens.
    pub what: String,
    /// What comes of it, in brief.
    pub outcome: String,
    /// Where.
    pub column: usize,
    /// Which member of the service.
    pub member: Option<u16>,
    /// Which attempt, if it is about a delivery.
    pub attempt: Option<u32>,
    /// The place of the flight it is about.
    pub flight: Option<usize>,
    /// The place of the step in which its message was published.
    pub from: Option<usize>,
    /// What tells it from others, in order.
    pub marks: Vec<Mark>,
    /// What went wrong.
    pub faults: Vec<String>,
    /// The answer.
    pub answer: Option<String>,
    /// What was published, by name.
    pub published: Vec<String>,
    /// What was done outside of the stores.
    pub outside: Vec<String>,
    /// What the calm run would have done here instead.
    pub instead_of: Option<String>,
    /// The places of the steps that it follows from.
    pub parents: Vec<usize>,
    /// What was saved and what was removed.
    pub changes: Vec<Change>,
    /// The departures that show here, in short.
    pub necessary: Option<String>,
    /// The failure rate after this step.
    pub rate: Option<String>,
}

impl Step {
    /// Whether it has a mark.
    #[must_use]
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    /// What is said beside it because its delivery is no usual one.
    pub(crate) fn unlike_others(&self) -> impl Iterator<Item = Mark> + '_ {
        let told = [Mark::Redelivery, Mark::Duplicate, Mark::Overtaken, Mark::DeadLetter];
        told.into_iter().filter(|mark| self.is(*mark))
    }

    /// Its marks, for programs that show steps one by one.
    pub(crate) fn marks_in_words(&self) -> String {
        let marks = self.marks.iter().filter(|mark| **mark != Mark::Past).map(|mark| mark.words());
        marks.collect::<Vec<_>>().join(", ")
    }
}

/// A record that was saved or removed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The column of the service.
    pub column: usize,
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Its version; the last one that it had, if it was removed.
    pub version: u64,
    /// Its fields; null if it was removed.
    pub fields: serde_json::Value,
}

/// A message on its way to a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Flight {
    /// The message.
    pub message: String,
    /// The group.
    pub group: String,
    /// The column of the service that gets it, if any does.
    pub column: Option<usize>,
    /// The place of the step that published it.
    pub from: Option<usize>,
    /// The places of the steps that are about it.
    pub steps: Vec<usize>,
    /// The place of the step with which it is done; `None` if it is not.
    pub done: Option<usize>,
    /// Whether the broker gave it up.
    pub given_up: bool,
}

impl Picture {
    /// The messages on their way that nobody was handed by the end, by place among the flights, and whether a
    /// departure holds each back; none if there are more than can be drawn.
    pub(crate) fn waiting(&self) -> Vec<(usize, bool)> {
        let flights = self.run.flights.iter().enumerate();
        let waiting = flights.filter(|(_, flight)| {
            flight.steps.is_empty() && flight.from.is_some() && flight.column.is_some() && !flight.given_up
        });
        let waiting: Vec<(usize, bool)> = waiting
            .map(|(place, Flight { message, group, .. })| {
                let name = format!("hold {message} -> {group}");
                let is_it =
                    |text: &str| text.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
                (place, self.departures.iter().any(|departs| is_it(&departs.text)))
            })
            .collect();
        if waiting.len() <= WAITING_MAX { waiting } else { Vec::new() }
    }

    /// The picture of a run.
    #[must_use]
    pub fn of(source: &Source<'_>) -> Picture {
        let Source { trace, edges, explanation, .. } = *source;
        let (header, end) = (&trace.header, &trace.end);
        let columns = Columns::of(source);
        let mut run = columns.run(trace, edges);
        let mut verdict = columns.outcome(trace);
        if let Some(explanation) = explanation {
            explain(&mut run, explanation);
        }
        let causes = Causes::of(trace, &run);
        for (step, parents) in run.steps.iter_mut().zip(&causes.parents) {
            step.parents.clone_from(parents);
        }
        verdict.parents = causes.of_the_verdict(trace);
        for place in causes.past(&verdict.parents) {
            run.steps[place].marks.push(Mark::Past);
        }
        Picture {
            scenario: shown(source.scenario),
            about: shown(source.about),
            design: shown(&header.defects.iter().fold(header.design.clone(), |rules, defect| rules + " + " + defect)),
            profile: shown(source.profile),
            scheduler: shown(&header.scheduler),
            seed: source.seed,
            tool: shown(&header.tool),
            fingerprint: shown(&end.fingerprint),
            departures: explanation.map(departures).unwrap_or_else(|| {
                header.departures.iter().map(|text| Departs { text: shown(text), steps: Vec::new() }).collect()
            }),
            why: explanation.map(|found| found.why.iter().map(|text| shown(text)).collect()).unwrap_or_default(),
            remarks: explanation.map(remarks).unwrap_or_default(),
            commands: source.commands.iter().map(|(word, text)| ((*word).to_owned(), shown(text))).collect(),
            notes: source.notes.iter().map(|note| shown(note)).collect(),
            calm: source.calm.map(|(calm, edges)| columns.run(calm, edges)),
            columns: columns.all,
            verdict,
            run,
        }
    }
}

/// What each departure is, and the steps in which it shows.
fn departures(explanation: &Explanation) -> Vec<Departs> {
    let shows = |step: &&ExplainedStep, text: &str| step.necessary.iter().any(|found| found.to_string() == text);
    let of = |text: String| {
        let steps = explanation.steps.iter().filter(|step| shows(step, &text)).map(|step| step.record.step).collect();
        Departs { text: shown(&text), steps }
    };
    explanation.departures.iter().map(ToString::to_string).map(of).collect()
}

/// What an explanation says besides the verdict and why.
fn remarks(explanation: &Explanation) -> Vec<(String, String)> {
    let verdict = explanation.report.verdict.word().to_uppercase();
    let mut word = String::new();
    let mut remarks = Vec::new();
    for paragraph in explanation.paragraphs() {
        if !paragraph.word.is_empty() {
            word.clone_from(&paragraph.word);
        }
        if word != "Why" && word != verdict {
            let word = if word.is_empty() { "Rates" } else { &word };
            remarks.push((word.to_owned(), shown(&paragraph.text)));
        }
    }
    remarks
}

/// Marks in a run what its explanation says of each step.
fn explain(run: &mut Run, explanation: &Explanation) {
    let named: Vec<String> = explanation.departures.iter().map(|departure| departure.what().to_string()).collect();
    for (step, found) in run.steps.iter_mut().zip(&explanation.steps) {
        step.rate = Some(found.failure_rate.to_string());
        if !found.necessary.is_empty() {
            step.necessary = Some(shown(&found.necessary_in_brief()));
            step.marks.push(Mark::Necessary);
        }
        if step.kind != Kind::AckWait && named.contains(&step.what) {
            step.marks.push(Mark::Departing);
        }
        if explanation.turning_point == Some(step.number) {
            step.marks.push(Mark::Turn);
        }
    }
}

/// The columns of a picture, and which is whose.
struct Columns {
    all: Vec<Column>,
    services: BTreeMap<String, usize>,
}

impl Columns {
    fn of(source: &Source<'_>) -> Columns {
        let traces = [Some(source.trace), source.calm.map(|(trace, _)| trace)];
        let records = || traces.iter().flatten().flat_map(|trace| &trace.records);
        let is = |record: &TraceRecord, kinds: &[Kind]| kinds.contains(&Action::of(record).kind);
        let blamed = blamed(source.trace).map(|(service, _)| service);
        // A service that does nothing is left out.
        let busy: std::collections::BTreeSet<&str> =
            records().filter_map(|record| record.service.as_deref()).chain(blamed).collect();
        let mut columns = Columns { all: Vec::new(), services: BTreeMap::new() };
        if records().any(|record| is(record, &[Kind::Command])) {
            columns.all.push(Column { name: "clients".to_owned(), of: ColumnKind::Clients });
        }
        for name in source.trace.header.services.iter().filter(|name| busy.contains(name.as_str())) {
            columns.services.insert(name.clone(), columns.all.len());
            columns.all.push(Column { name: shown(name), of: ColumnKind::Service });
        }
        let of_the_broker = [Kind::AckWait, Kind::Ack, Kind::Join];
        if columns.all.is_empty() || records().any(|record| record.service.is_none() || is(record, &of_the_broker)) {
            columns.all.push(Column { name: "broker".to_owned(), of: ColumnKind::Broker });
        }
        columns
    }

    /// The outcome of a run, without what it follows from.
    fn outcome(&self, trace: &Trace) -> Outcome {
        let end = &trace.end;
        Outcome {
            word: shown(&end.verdict),
            property: end.property.as_deref().map(shown),
            detail: end.detail.as_deref().map(shown),
            time_us: end.time_us,
            column: blamed(trace).and_then(|(service, _)| self.services.get(service)).copied(),
            parents: Vec::new(),
        }
    }

    /// The steps of a run, without what they follow from.
    fn run(&self, trace: &Trace, edges: &Edges) -> Run {
        let mut flights = Flights::default();
        let mut steps: Vec<Step> = Vec::with_capacity(trace.records.len());
        for (place, record) in trace.records.iter().enumerate() {
            let action = Action::of(record);
            let mut marks = marks(record, &action);
            let flight = action.delivery.map(|delivery| flights.seen(place, record, &action, delivery, &mut marks));
            flights.published(place, &record.published);
            let column = record.service.as_ref().and_then(|name| self.services.get(name));
            // Of what is lost on its way to a group no handler runs.
            let group = action.delivery.filter(|_| action.kind == Kind::Delivery).map(|delivery| delivery.group);
            let handed = column.or_else(|| group.and_then(|group| self.services.get(group)));
            let is_handed = matches!(action.kind, Kind::Delivery | Kind::Resume);
            marks.sort_unstable();
            steps.push(Step {
                number: record.step,
                time_us: record.time_us,
                kind: action.kind,
                // The first attempt needs no number.
                what: shown(action.what.strip_suffix(" #1").unwrap_or(action.what)),
                outcome: shown(&outcome(record, action.kind)),
                column: handed.copied().unwrap_or(self.all.len() - 1),
                member: record.member,
                attempt: action.delivery.map(|delivery| delivery.attempt),
                flight,
                from: flight.filter(|_| is_handed).and_then(|flight| flights.all[flight].from),
                marks,
                faults: record.faults.iter().map(|fault| shown(fault)).collect(),
                answer: record.answer.as_deref().map(shown),
                published: record.published.iter().map(|name| shown(name)).collect(),
                outside: record.outside.iter().map(|effect| shown(effect)).collect(),
                instead_of: record.instead_of.as_deref().map(shown),
                parents: Vec::new(),
                changes: column.map(|column| changes(*column, &record.saved)).unwrap_or_default(),
                necessary: None,
                rate: None,
            });
        }
        for given_up in &edges.given_up {
            let Some(flight) = flights.named(given_up) else { continue };
            flight.given_up = true;
            if let Some(last) = flight.steps.last() {
                flight.done = Some(*last);
                steps[*last].marks.push(Mark::DeadLetter);
            }
        }
        for open in &edges.open {
            if let Some(flight) = flights.named(open) {
                flight.done = None;
            }
        }
        for flight in &mut flights.all {
            let mut at = flight.steps.iter().map(|place| steps[*place].column);
            let handed = at.find(|column| self.all[*column].of == ColumnKind::Service);
            flight.column = handed.or_else(|| self.services.get(&flight.group).copied());
            flight.message = shown(&flight.message);
            flight.group = shown(&flight.group);
        }
        let services = trace.header.services.iter().zip(&edges.beginning);
        let beginning = services.filter_map(|(name, saved)| Some(changes(*self.services.get(name)?, saved)));
        let beginning = (!edges.beginning.is_empty()).then(|| beginning.flatten().collect());
        Run { steps, flights: flights.all, beginning }
    }
}

fn changes(column: usize, saved: &[SavedRecord]) -> Vec<Change> {
    let change = |row: &SavedRecord| Change {
        column,
        collection: shown(&row.collection),
        id: shown(&row.id),
        version: row.version,
        fields: if row.removed { serde_json::Value::Null } else { fields(&row.fields) },
    };
    saved.iter().map(change).collect()
}

/// The service that a verdict is about, and what else it names there: `at orders, t1: …`.
pub(crate) fn blamed(trace: &Trace) -> Option<(&str, &str)> {
    let detail = trace.end.detail.as_deref()?.strip_prefix("at ")?;
    let services = trace.header.services.iter().map(String::as_str);
    // Of two names one may begin with the other.
    let fitting = services.filter(|name| detail.strip_prefix(name).is_some_and(|rest| rest.starts_with([',', ':'])));
    let service = fitting.max_by_key(|name| name.len())?;
    let rest = &detail[service.len()..];
    Some((service, rest.split_once(": ").map_or("", |(named, _)| named.trim_start_matches([',', ' ']))))
}

/// Messages on their way, as they are found in the records of a run.
#[derive(Default)]
struct Flights {
    all: Vec<Flight>,
    /// Where a message was published.
    sources: BTreeMap<String, usize>,
    places: BTreeMap<(String, String), usize>,
    /// Flights of which a copy is to come unasked.
    copied: BTreeMap<usize, bool>,
    /// The place of the message published last that each group was handed.
    latest: BTreeMap<String, usize>,
}

impl Flights {
    fn published(&mut self, place: usize, names: &[String]) {
        for name in names {
            self.sources.entry(name.clone()).or_insert(place);
        }
    }

    fn entry(&mut self, message: &str, group: &str) -> usize {
        let all = &mut self.all;
        let from = self.sources.get(message).copied();
        *self.places.entry((message.to_owned(), group.to_owned())).or_insert_with(|| {
            all.push(Flight {
                message: message.to_owned(),
                group: group.to_owned(),
                column: None,
                from,
                steps: Vec::new(),
                done: None,
                given_up: false,
            });
            all.len() - 1
        })
    }

    /// The flight of that name, which is there from now on.
    fn named(&mut self, name: &str) -> Option<&mut Flight> {
        let delivery = Delivery::named(name)?;
        let place = self.entry(delivery.message, delivery.group);
        self.all.get_mut(place)
    }

    /// Notes a step that is about a delivery, and marks it by what came before.
    fn seen(
        &mut self,
        place: usize,
        record: &TraceRecord,
        action: &Action<'_>,
        delivery: Delivery<'_>,
        marks: &mut Vec<Mark>,
    ) -> usize {
        let index = self.entry(delivery.message, delivery.group);
        let flight = &mut self.all[index];
        flight.steps.push(place);
        if action.kind == Kind::Delivery {
            let is_copy = self.copied.insert(index, record.faults.iter().any(|fault| fault == Fate::DUPLICATED));
            match (delivery.attempt, is_copy) {
                (1, _) => {}
                (_, Some(true)) => marks.push(Mark::Duplicate),
                _ => marks.push(Mark::Redelivery),
            }
            if let Some(from) = flight.from {
                let latest = self.latest.entry(delivery.group.to_owned()).or_insert(from);
                if from < *latest && delivery.attempt == 1 {
                    marks.push(Mark::Overtaken);
                }
                *latest = from.max(*latest);
            }
        }
        let is_answered = record.answer.as_deref() == Some("ack") && marks.contains(&Mark::Handled);
        if is_answered || action.kind == Kind::Ack || marks.contains(&Mark::Lost) {
            flight.done = Some(place);
        }
        index
    }
}
