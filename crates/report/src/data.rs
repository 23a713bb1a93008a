//! What the page's script is told: the picture by columns, each text once.
//!
//! A text is the number of its place in `texts`, and `-1` stands for none; a column of which all values are the
//! same is that value.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::picture::{Change, Picture, Run};
use crate::step::{Kind, Mark};
use crate::style::{badges, glyph};

/// What stands beside shapes; the place is the bit.
const BADGES: [&str; 3] = ["outside", "rebalance", "duplicate"];
/// The kinds of steps, by place.
const KINDS: [Kind; 8] =
    [Kind::Command, Kind::Delivery, Kind::Resume, Kind::Publish, Kind::Timer, Kind::AckWait, Kind::Ack, Kind::Join];
/// The place before a change of a record that was not there, and of one of which that is not known.
const NEW: i64 = -1;
const UNKNOWN: i64 = -2;

/// The picture as the page's script reads it.
pub(crate) fn data(picture: &Picture) -> Value {
    let mut texts = Texts::default();
    let mut glyphs = Vec::new();
    let run = run(&picture.run, &mut texts, &mut glyphs);
    let calm = picture.calm.as_ref().map(|calm| self::run(calm, &mut texts, &mut glyphs));
    let verdict = &picture.verdict;
    let differs = picture.calm.as_ref().and_then(|calm| {
        let same = |(one, other): &(&_, &_)| same_step(one, other);
        let both = picture.run.steps.iter().zip(&calm.steps);
        let first = both.take_while(same).count();
        (first < calm.steps.len()).then_some(first)
    });
    let words = Mark::ALL.iter().map(|mark| (name_of(*mark), Value::from(mark.words())));
    json!({
        "texts": texts.all,
        "columns": picture.columns,
        "marks": Mark::ALL,
        "words": words.collect::<Map<_, _>>(),
        "kinds": KINDS.iter().map(|kind| kind.word()).collect::<Vec<_>>(),
        "badges": BADGES,
        "glyphs": glyphs,
        "verdict": {
            "word": verdict.word,
            "heading": verdict.heading(),
            "detail": verdict.detail.as_deref().unwrap_or("every property holds"),
            "time": verdict.time_us,
            "parents": verdict.parents,
        },
        "differs": differs,
        "waiting": picture.waiting(),
        "run": run,
        "calm": calm,
    })
}

fn same_step(one: &crate::picture::Step, other: &crate::picture::Step) -> bool {
    (one.kind, &one.what, &one.faults) == (other.kind, &other.what, &other.faults)
}

fn name_of(mark: Mark) -> String {
    serde_json::to_value(mark).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Each text once.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.all.len();
        self.all.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }

    fn optional(&mut self, text: Option<&str>) -> i64 {
        text.filter(|text| !text.is_empty()).map_or(-1, |text| self.place(text) as i64)
    }

    /// A list of texts, or 0 if there are none.
    fn list(&mut self, texts: &[String]) -> Value {
        if texts.is_empty() { json!(0) } else { texts.iter().map(|text| self.place(text)).collect() }
    }
}

fn place_or_none(place: Option<usize>) -> i64 {
    place.map_or(-1, |place| place as i64)
}

fn run(run: &Run, texts: &mut Texts, glyphs: &mut Vec<(&'static str, &'static str)>) -> Value {
    let steps = &run.steps;
    let mut of_step = Vec::new();
    for step in steps {
        let shape = glyph(step);
        let place = glyphs.iter().position(|known| *known == shape).unwrap_or_else(|| {
            glyphs.push(shape);
            glyphs.len() - 1
        });
        let bits = Mark::ALL.iter().enumerate().filter(|(_, mark)| step.is(**mark)).map(|(bit, _)| 1 << bit);
        let beside = badges(step).filter_map(|badge| BADGES.iter().position(|known| *known == badge));
        let beside: u32 = beside.map(|bit| 1 << bit).sum();
        of_step.push((place, bits.sum::<u32>(), beside));
    }
    let column = |of: &dyn Fn(usize) -> Value| shortened((0..steps.len()).map(of).collect());
    let kind = |place: usize| KINDS.iter().position(|kind| *kind == steps[place].kind).unwrap_or(0);
    let mut text = |of: &dyn Fn(usize) -> Option<String>| -> Value {
        shortened((0..steps.len()).map(|place| json!(texts.optional(of(place).as_deref()))).collect())
    };
    // What is about a delivery is named by its message, its group and its attempt.
    let named = |at: usize| Some(steps[at].what.clone()).filter(|_| steps[at].flight.is_none());
    let (what, outcome) = (text(&named), text(&|at| Some(steps[at].outcome.clone())));
    let (answer, instead) = (text(&|at| steps[at].answer.clone()), text(&|at| steps[at].instead_of.clone()));
    let (necessary, rate) = (text(&|at| steps[at].necessary.clone()), text(&|at| steps[at].rate.clone()));
    let mut list = |of: &dyn Fn(usize) -> Vec<String>| -> Value {
        shortened((0..steps.len()).map(|place| texts.list(&of(place))).collect())
    };
    let (faults, published) = (list(&|at| steps[at].faults.clone()), list(&|at| steps[at].published.clone()));
    let outside = list(&|at| steps[at].outside.clone());
    json!({
        "steps": steps.len(),
        "time": column(&|at| json!(steps[at].time_us)),
        "kind": column(&|at| json!(kind(at))),
        "what": what,
        "outcome": outcome,
        "column": column(&|at| json!(steps[at].column)),
        "member": column(&|at| json!(steps[at].member.map_or(-1, i32::from))),
        "attempt": column(&|at| json!(steps[at].attempt.unwrap_or(0))),
        "flight": column(&|at| json!(place_or_none(steps[at].flight))),
        "from": column(&|at| json!(place_or_none(steps[at].from))),
        "marks": column(&|at| json!(of_step[at].1)),
        "glyph": column(&|at| json!(of_step[at].0)),
        "badges": column(&|at| json!(of_step[at].2)),
        "answer": answer,
        "instead": instead,
        "necessary": necessary,
        "rate": rate,
        "faults": faults,
        "published": published,
        "outside": outside,
        "parents": column(&|at| json!(steps[at].parents)),
        "changes": changes(run, texts),
        "flights": flights(run, texts),
    })
}

/// A column as it is, or its only value if all are the same.
fn shortened(values: Vec<Value>) -> Value {
    match values.split_first() {
        Some((first, rest)) if first.is_number() && rest.iter().all(|other| other == first) => first.clone(),
        _ => Value::Array(values),
    }
}

/// All changes in order, each with the place of the one before of the same record at the same service.
fn changes(run: &Run, texts: &mut Texts) -> Value {
    let at_first = run.beginning.iter().flatten().map(|change| (-1, change));
    let later = run.steps.iter().enumerate();
    let later = later.flat_map(|(place, step)| step.changes.iter().map(move |change| (place as i64, change)));
    let all: Vec<(i64, &Change)> = at_first.chain(later).collect();
    let mut last: BTreeMap<(usize, &str, &str), i64> = BTreeMap::new();
    let none = if run.beginning.is_some() { NEW } else { UNKNOWN };
    let before: Vec<i64> = all
        .iter()
        .enumerate()
        .map(|(place, (_, change))| {
            last.insert((change.column, &change.collection, &change.id), place as i64).unwrap_or(none)
        })
        .collect();
    json!({
        "step": all.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        "collection": all.iter().map(|(_, change)| texts.place(&change.collection)).collect::<Vec<_>>(),
        "id": all.iter().map(|(_, change)| texts.place(&change.id)).collect::<Vec<_>>(),
        "version": all.iter().map(|(_, change)| change.version).collect::<Vec<_>>(),
        "fields": all.iter().map(|(_, change)| texts.place(&change.fields.to_string())).collect::<Vec<_>>(),
        "before": before,
    })
}

fn flights(run: &Run, texts: &mut Texts) -> Value {
    let flights = &run.flights;
    json!({
        "message": flights.iter().map(|flight| texts.place(&flight.message)).collect::<Vec<_>>(),
        "group": flights.iter().map(|flight| texts.place(&flight.group)).collect::<Vec<_>>(),
        "column": flights.iter().map(|flight| place_or_none(flight.column)).collect::<Vec<_>>(),
        "from": flights.iter().map(|flight| place_or_none(flight.from)).collect::<Vec<_>>(),
        "done": flights.iter().map(|flight| place_or_none(flight.done)).collect::<Vec<_>>(),
    })
}
