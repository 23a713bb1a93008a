//! Spans as OTLP writes them in JSON: one object, or one in each line.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json_error;
use super::mapping::filled;
use crate::scenario::FileError;

/// A span by its trace and itself.
pub(super) type Context = (String, String);

/// A span, with the attributes of its resource among its own.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// Where it is in the file.
    pub(super) place: Range<usize>,
    pub(super) context: Context,
    pub(super) parent: Option<Context>,
    pub(super) links: Vec<(Context, BTreeMap<String, String>)>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) is_error: bool,
    attributes: BTreeMap<String, String>,
}

impl Span {
    /// What an attribute says.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// What the first of these attributes says that it has, or the first text whose attributes it has.
    pub(super) fn first(&self, names: &[String]) -> Option<String> {
        first(names, &self.attributes)
    }
}

/// What the first of these attributes says that is there.
pub(super) fn first(names: &[String], attributes: &BTreeMap<String, String>) -> Option<String> {
    let attribute = |name: &str| attributes.get(name).map(String::as_str);
    names.iter().find_map(|name| filled(name, &attribute)).filter(|text| !text.is_empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    #[serde(borrow)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(default)]
    resource: Resource,
    #[serde(borrow, default, alias = "instrumentationLibrarySpans")]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Default, Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    spans: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    start_time_unix_nano: Number,
    end_time_unix_nano: Number,
    #[serde(default)]
    attributes: Vec<KeyValue>,
    #[serde(default)]
    links: Vec<Link>,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: Code,
}

/// A status by its number or its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Number(u8),
    Name(String),
}

impl Default for Code {
    fn default() -> Code {
        Code::Number(0)
    }
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: Value,
}

/// A value of an attribute; of lists and maps nothing is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Number>,
}

/// A whole number, which JSON of protocol buffers has in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

impl Number {
    fn text(self) -> String {
        match self {
            Number::Number(number) => number.to_string(),
            Number::Text(text) => text,
        }
    }
}

fn texts(attributes: Vec<KeyValue>) -> impl Iterator<Item = (String, String)> {
    attributes.into_iter().filter_map(|KeyValue { key, value }| {
        let Value { string_value, bool_value, int_value } = value;
        let text = string_value.or(bool_value.map(|is| is.to_string())).or(int_value.map(Number::text));
        text.map(|text| (key, text))
    })
}

/// Where a piece of a text is in it.
fn place_of(text: &str, piece: &str) -> Range<usize> {
    let start = (piece.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + piece.len()
}

/// All spans of a file, in its order.
pub(super) fn spans(file: &str, text: &str) -> Result<Vec<Span>, FileError> {
    let help = "expected OTLP in JSON: {\"resourceSpans\":[...]}, one object or one in each line";
    let mut all = Vec::new();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    for value in values.by_ref() {
        let value = json_error(file, text, &(0..text.len()), value).map_err(|error| error.help(help))?;
        let place = place_of(text, value.get());
        let export: Export<'_> =
            json_error(file, text, &place, serde_json::from_str(value.get())).map_err(|error| error.help(help))?;
        for ResourceSpans { resource, scope_spans } in export.resource_spans {
            let resource: BTreeMap<String, String> = texts(resource.attributes).collect();
            for raw in scope_spans.into_iter().flat_map(|scope| scope.spans) {
                all.push(span(file, text, &resource, raw)?);
            }
        }
    }
    Ok(all)
}

fn span(file: &str, text: &str, resource: &BTreeMap<String, String>, raw: &RawValue) -> Result<Span, FileError> {
    let place = place_of(text, raw.get());
    let written: Written = json_error(file, text, &place, serde_json::from_str(raw.get())).map_err(|error| {
        error.help("expected a span of OTLP: traceId, spanId, startTimeUnixNano, endTimeUnixNano, ...")
    })?;
    let time = |key: &str, number: Number| {
        let number = number.text();
        number.parse::<u64>().map_err(|_| {
            let error = FileError::about_word(file, text, &place, key, format!("`{number}` is no moment"));
            error.help("expected nanoseconds since 1970, such as \"1796028225729166825\"")
        })
    };
    let start = time("startTimeUnixNano", written.start_time_unix_nano)?;
    let end = time("endTimeUnixNano", written.end_time_unix_nano)?;
    if end < start {
        let error = FileError::about_word(file, text, &place, "endTimeUnixNano", "this span ends before it begins");
        return Err(error.help("is the file damaged? both times are of one clock"));
    }
    let mut attributes = resource.clone();
    attributes.extend(texts(written.attributes));
    let parent = Some(written.parent_span_id).filter(|id| !id.is_empty());
    let links = written.links.into_iter().map(|link| ((link.trace_id, link.span_id), texts(link.attributes).collect()));
    let is_error = match &written.status.code {
        Code::Number(code) => *code == 2,
        Code::Name(name) => name == "STATUS_CODE_ERROR",
    };
    Ok(Span {
        parent: parent.map(|id| (written.trace_id.clone(), id)),
        links: links.collect(),
        context: (written.trace_id, written.span_id),
        place,
        start,
        end,
        is_error,
        attributes,
    })
}
