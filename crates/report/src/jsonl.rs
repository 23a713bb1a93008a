//! `--to jsonl`: the picture as JSON lines, for programs of one's own: a header, the steps, the messages on their
//! way, the verdict.
//!
//! A trace, which `run --trace` writes, says what happened and can be played again; this says what can be
//! seen in it: which step follows from which, what was necessary, what a message went through.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::picture::Picture;

/// How the lines begin.
pub const BEGIN: &str = "{\"line\":\"picture\",\"version\":1";

/// The picture as JSON lines. The first key of each is `line`, which says what it is.
#[must_use]
pub fn jsonl(picture: &Picture) -> String {
    let mut lines = String::new();
    let mut put = |kind: &str, version: &str, value: Value| {
        let text = value.to_string();
        // What is behind the brace of an object that has a key.
        lines += &format!("{{\"line\":\"{kind}\"{version},{}\n", &text[1..]);
    };
    let mut header = object(picture);
    for of_a_line_of_its_own in ["run", "calm", "verdict"] {
        header.remove(of_a_line_of_its_own);
    }
    put("picture", ",\"version\":1", Value::Object(header));
    for row in picture.run.beginning.iter().flatten() {
        put("beginning", "", json!(row));
    }
    for step in &picture.run.steps {
        put("step", "", json!(step));
    }
    for flight in &picture.run.flights {
        put("flight", "", json!(flight));
    }
    for step in picture.calm.iter().flat_map(|calm| &calm.steps) {
        put("calm", "", json!(step));
    }
    put("verdict", "", json!(picture.verdict));
    lines
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
