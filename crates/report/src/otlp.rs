//! `--to otlp`: spans of OpenTelemetry in OTLP's JSON, by the messaging conventions, so that the viewer that a team
//! has for production shows the counterexample beside it.
//!
//! Each command of a client is a trace of its own, and what came of it are the spans below it: `send` for each
//! message that was published, `process` for each attempt to handle it, below the span that sent it.
//! Times are simulated and begin with the year 2000, because the same run has to give the same bytes.

use serde_json::{Value, json};

use crate::chrome::moments;
use crate::picture::{ColumnKind, Picture, Step};
use crate::step::{Kind, Mark};

/// How the spans begin.
pub const BEGIN: &str = "{\"resourceSpans\":[\n{\"resource\":{\"attributes\":[{\"key\":\"telemetry.sdk.name\",\
    \"value\":{\"stringValue\":\"pellmell\"}}";

/// The beginning of the year 2000, in nanoseconds of Unix time.
const BEGINNING_NS: u64 = 946_684_800_000_000_000;
/// How long spans last, in microseconds.
const LASTS_US: u64 = 8;
/// How long after the beginning of its handler a message is sent.
const SENT_US: u64 = 4;

/// The kinds of spans.
const SERVER: u32 = 2;
const PRODUCER: u32 = 4;
const CONSUMER: u32 = 5;
const INTERNAL: u32 = 1;

/// The picture as spans.
#[must_use]
pub fn otlp(picture: &Picture) -> String {
    let moments = moments(&picture.run);
    let mut spans: Vec<Vec<Value>> = vec![Vec::new(); picture.columns.len()];
    let mut roots: Vec<usize> = Vec::new();
    for (place, step) in picture.run.steps.iter().enumerate() {
        // What follows from nothing else begins a trace.
        let parent = step.from.or_else(|| step.flight.and_then(|_| step.parents.first().copied()));
        roots.push(parent.map_or(place, |parent| roots[parent]));
        let of = Of { picture, place, step, root: roots[place], at: moments[place] };
        spans[step.column].push(of.handled());
        for nth in 0..step.published.len() {
            spans[step.column].push(of.sent(nth));
        }
    }
    let resources = picture
        .columns
        .iter()
        .zip(&spans)
        .filter(|(column, spans)| column.of != ColumnKind::Clients && !spans.is_empty());
    let resources = resources.map(|(column, spans)| {
        let spans = spans.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
        let attributes = [
            text("telemetry.sdk.name", "pellmell"),
            text("service.name", &column.name),
            text("pellmell.scenario", &picture.scenario),
            text("pellmell.verdict", &picture.verdict.heading()),
        ];
        let attributes = json!(attributes);
        format!(
            "{{\"resource\":{{\"attributes\":{attributes}}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"pellmell\"}},\
             \"spans\":[\n{spans}\n]}}]}}"
        )
    });
    format!("{{\"resourceSpans\":[\n{}\n]}}\n", resources.collect::<Vec<_>>().join(",\n"))
}

/// A step, and where it stands.
struct Of<'a> {
    picture: &'a Picture,
    place: usize,
    step: &'a Step,
    root: usize,
    at: u64,
}

impl Of<'_> {
    /// The span of what a handler did, or of what the broker did.
    fn handled(&self) -> Value {
        let step = self.step;
        let mut attributes = vec![number("pellmell.step", step.number), text("pellmell.outcome", &step.outcome)];
        attributes.push(text("pellmell.marks", &step.marks_in_words()));
        attributes.extend(step.necessary.as_deref().map(|names| text("pellmell.necessary", names)));
        let flight = step.flight.map(|flight| &self.picture.run.flights[flight]);
        let is_handed = matches!(step.kind, Kind::Delivery | Kind::Resume);
        let kind = match flight.filter(|_| is_handed) {
            Some(flight) => {
                attributes.extend(about(&flight.message, "process"));
                attributes.push(text("messaging.consumer.group.name", &flight.group));
                attributes.push(number("messaging.message.delivery_attempt", step.attempt.unwrap_or(1).into()));
                CONSUMER
            }
            None if step.kind == Kind::Command => SERVER,
            None => INTERNAL,
        };
        let service = &self.picture.columns[step.column].name;
        attributes.extend(step.member.map(|member| text("messaging.client.id", &format!("{service}-{member}"))));
        let fails = [Mark::Refused, Mark::Crash, Mark::Lost, Mark::Panic];
        let status = match fails.iter().find(|mark| step.is(**mark)) {
            Some(mark) => {
                attributes.push(text("error.type", mark.words()));
                json!({ "code": 2, "message": step.answer.as_deref().unwrap_or(mark.words()) })
            }
            None => json!({ "code": 0 }),
        };
        let parent = match step.from {
            // Below the span that sent it.
            Some(from) => self.sender(from),
            None if self.root == self.place => None,
            None => step.parents.first().map(|parent| span_id(*parent, 0)),
        };
        self.span((span_id(self.place, 0), parent), &step.what, kind, (self.at, self.at + LASTS_US), attributes, status)
    }

    /// The span that sent the message that is handled, of those of the step that published it.
    fn sender(&self, from: usize) -> Option<String> {
        let message = &self.picture.run.flights[self.step.flight?].message;
        let nth = self.picture.run.steps[from].published.iter().position(|name| name == message);
        Some(span_id(from, nth.map_or(0, |nth| nth + 1)))
    }

    /// The span of a message that was published.
    fn sent(&self, nth: usize) -> Value {
        let name = &self.step.published[nth];
        let at = self.at + SENT_US;
        let ids = (span_id(self.place, nth + 1), Some(span_id(self.place, 0)));
        let status = json!({ "code": 0 });
        self.span(ids, &format!("send {name}"), PRODUCER, (at, at), about(name, "send").to_vec(), status)
    }

    fn span(
        &self,
        (id, parent): (String, Option<String>),
        name: &str,
        kind: u32,
        (start, end): (u64, u64),
        attributes: Vec<Value>,
        status: Value,
    ) -> Value {
        let nanos = |us: u64| (BEGINNING_NS + 1_000 * us).to_string();
        let mut span = json!({
            "traceId": format!("{:0>16.16}{:016x}", self.picture.fingerprint, self.root + 1),
            "spanId": id,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": nanos(start),
            "endTimeUnixNano": nanos(end),
            "attributes": attributes,
            "status": status,
        });
        if let Some(parent) = parent {
            span["parentSpanId"] = json!(parent);
        }
        span
    }
}

/// What is said of a message by the conventions.
fn about(message: &str, operation: &str) -> [Value; 5] {
    let subject = message.split(' ').next().unwrap_or(message);
    [
        text("messaging.system", "pellmell"),
        text("messaging.operation.type", operation),
        text("messaging.operation.name", operation),
        text("messaging.destination.name", subject),
        text("messaging.message.id", message),
    ]
}

fn span_id(place: usize, nth: usize) -> String {
    format!("{:012x}{:04x}", place + 1, nth)
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    // Whole numbers of 64 bits are texts in OTLP's JSON.
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}
