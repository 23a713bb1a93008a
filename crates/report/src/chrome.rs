//! `--to chrome`: the trace event format, which Perfetto and `chrome://tracing` open.
//!
//! A service is a process, each of its members a thread, a step a slice, and a message a flow from the step that
//! published it to each that handled it.

use serde_json::{Value, json};

use crate::picture::{Picture, Run, Step};
use crate::step::Kind;
use crate::style::clients;

/// How a trace begins.
pub const BEGIN: &str = "{\"displayTimeUnit\":\"ms\",\"madeBy\":\"pellmell export\"";

/// How long a step lasts where it is shown as something that lasts, and how far two are apart at least, in
/// microseconds: simulated time stands still while many steps are taken.
const STEP_US: u64 = 10;
const LASTS_US: u64 = 8;

/// When each step begins, in microseconds: at its simulated time, or behind the one before if that is later.
pub(crate) fn moments(run: &Run) -> Vec<u64> {
    let mut next = 0;
    let moment = |step: &Step| {
        let at = step.time_us.max(next);
        next = at + STEP_US;
        at
    };
    run.steps.iter().map(moment).collect()
}

/// The picture as a trace of events.
#[must_use]
pub fn chrome(picture: &Picture) -> String {
    let moments = moments(&picture.run);
    let mut events = Vec::new();
    for (place, column) in picture.columns.iter().enumerate() {
        let named = |name: &str, args: Value| json!({ "ph": "M", "pid": place + 1, "name": name, "args": args });
        events.push(named("process_name", json!({ "name": column.name })));
        events.push(named("process_sort_index", json!({ "sort_index": place })));
    }
    for (place, step) in picture.run.steps.iter().enumerate() {
        events.push(slice(step, moments[place]));
        if let Some(from) = step.from {
            events.push(flow("s", step.number, &picture.run.steps[from], moments[from] + LASTS_US - 1));
            events.push(flow("f", step.number, step, moments[place]));
        }
        if let (Kind::Command, Some(client)) = (step.kind, clients(picture)) {
            events.push(json!({
                "ph": "i", "s": "t", "name": step.what, "cat": "client", "pid": client + 1, "tid": 0,
                "ts": moments[place],
            }));
        }
    }
    let verdict = &picture.verdict;
    let end = moments.last().map_or(0, |last| last + STEP_US);
    events.push(json!({
        "ph": "i", "s": "g", "name": verdict.heading(), "cat": "verdict",
        "pid": verdict.column.map_or(1, |column| column + 1), "tid": 0, "ts": end,
        "args": { "detail": verdict.detail, "why": picture.why },
    }));
    let about = json!({
        "scenario": picture.scenario,
        "design": picture.design,
        "seed": picture.seed,
        "fingerprint": picture.fingerprint,
        "verdict": verdict.heading(),
    });
    let all = events.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n");
    format!("{BEGIN},\"otherData\":{about},\"traceEvents\":[\n{all}\n]}}\n")
}

fn slice(step: &Step, at: u64) -> Value {
    json!({
        "ph": "X",
        "name": step.what,
        "cat": step.kind.word(),
        "pid": step.column + 1,
        "tid": step.member.unwrap_or(0),
        "ts": at,
        "dur": LASTS_US,
        "args": {
            "step": step.number,
            "simulated_us": step.time_us,
            "outcome": step.outcome,
            "marks": step.marks_in_words(),
            "needed": step.necessary,
            "calm_run": step.instead_of,
        },
    })
}

/// One end of the flow of a message: where it begins, or where it ends in the slice that encloses it.
fn flow(end: &str, id: u64, step: &Step, at: u64) -> Value {
    let (pid, tid) = (step.column + 1, step.member.unwrap_or(0));
    let mut event =
        json!({ "ph": end, "name": "message", "cat": "message", "id": id, "pid": pid, "tid": tid, "ts": at });
    if end == "f" {
        event["bp"] = json!("e");
    }
    event
}
