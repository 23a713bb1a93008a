//! `--to svg`: a space-time diagram without script, for pages that show pictures only.
//!
//! A column for each service, down is time, and arrows slant from where a message was published to where it
//! was handed over, so that overtaking is a crossing. Beside each row is what happened in words. All numbers
//! are whole: the same picture gives the same bytes.

use std::fmt::{self, Write};

use pellmell_core::Time;
use pellmell_core::trace::count;

use crate::picture::{Flight, Picture, Step};
use crate::step::Mark;
use crate::style::{
    DIAGRAM, GLYPHS, WAITING, arrow, badges, clients, glyph, label, legend, legend_of_arrows, written_out,
};
use crate::text::{fit, wrapped, xml};

/// How a drawing begins.
pub const BEGIN: &str = "<!-- Made by pellmell export. -->\n<svg class=\"drawing\" ";

/// The most steps that are drawn.
pub const STEPS_MAX: usize = 400;

const MARGIN: usize = 20;
const ROW: usize = 40;
/// Where the columns begin, behind number and time.
const LEFT: usize = 128;
const COLUMN: usize = 116;
/// How wide a character of twelve points is, in tenths.
const CHARACTER: usize = 73;
const WORDS_MIN: usize = 34;
const WORDS_MAX: usize = 56;
const RATE: usize = 96;

/// A picture with too many steps to be drawn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its steps.
    pub steps: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a run of {} is too long to be drawn: ", count(self.steps as u64, "step"))?;
        write!(f, "expected at most {STEPS_MAX}")
    }
}

impl std::error::Error for TooLong {}

/// The picture as a drawing.
///
/// # Errors
/// If it has more than [`STEPS_MAX`] steps.
pub fn svg(picture: &Picture) -> Result<String, TooLong> {
    let css = written_out(&format!("{}{DIAGRAM}", drawing_css()));
    Ok(format!("<!-- Made by pellmell export. -->\n{}", drawn(picture, Some(&css), STEPS_MAX)?))
}

/// The style of a drawing besides that of what is drawn.
pub(crate) fn drawing_css() -> &'static str {
    include_str!("page/drawing.css")
}

/// The picture as a drawing with a style and shapes of its own, or with those of the page around it.
pub(crate) fn drawn(picture: &Picture, css: Option<&str>, steps_max: usize) -> Result<String, TooLong> {
    let steps = picture.run.steps.len();
    if steps > steps_max {
        return Err(TooLong { steps });
    }
    let mut drawing = Drawing::new(picture);
    drawing.head();
    drawing.names();
    drawing.rows();
    drawing.verdict();
    drawing.foot();
    let (width, height) = (drawing.width, drawing.y + MARGIN);
    let label = format!("{}: {}", picture.scenario, picture.verdict.heading());
    let described = format!(
        "Space-time diagram of {} in {}. {}",
        count(steps as u64, "step"),
        count(picture.columns.len() as u64, "column"),
        picture.verdict.detail.as_deref().unwrap_or_default()
    );
    let own = css.map(|css| format!("<style>\n{css}</style>\n<defs>\n{GLYPHS}</defs>\n")).unwrap_or_default();
    Ok(format!(
        "<svg class=\"drawing\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n<desc>{}</desc>\n{own}\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
        xml(&label),
        xml(&described),
        drawing.body
    ))
}

struct Drawing<'a> {
    picture: &'a Picture,
    body: String,
    width: usize,
    /// Where the words beside the rows begin.
    words: usize,
    /// How many characters of them there may be.
    characters: usize,
    y: usize,
}

impl<'a> Drawing<'a> {
    fn new(picture: &'a Picture) -> Drawing<'a> {
        let longest = picture.run.steps.iter().flat_map(|step| {
            let second: usize = second_line(step).iter().map(|(_, text)| text.chars().count() + 2).sum();
            [step.what.chars().count() + 2, second]
        });
        let characters = longest.max().unwrap_or(0).clamp(WORDS_MIN, WORDS_MAX);
        let words = LEFT + COLUMN * picture.columns.len() + 12;
        let rate = if picture.run.steps.iter().any(|step| step.rate.is_some()) { RATE } else { 0 };
        let width = (words + characters * CHARACTER / 10 + rate + MARGIN).max(640);
        Drawing { picture, body: String::new(), width, words, characters, y: MARGIN }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(text);
        self.body.push('\n');
    }

    fn text(&mut self, class: &str, x: usize, y: usize, text: &str) {
        self.put(format_args!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", xml(text)));
    }

    /// A text in as many lines as it takes across the drawing.
    fn paragraph(&mut self, class: &str, x: usize, text: &str) {
        let width = (self.width - x - MARGIN) * 10 / CHARACTER;
        for line in wrapped(text, width) {
            self.y += 18;
            self.text(class, x, self.y, &line);
        }
    }

    fn shape(&mut self, shape: &str, colour: &str, x: usize, y: usize) {
        let colour = if colour.is_empty() { String::new() } else { format!(" {colour}") };
        let (x, y) = (x.saturating_sub(10), y.saturating_sub(10));
        let place = format!("x=\"{x}\" y=\"{y}\" width=\"20\" height=\"20\"");
        self.put(format_args!("<use class=\"glyph{colour}\" href=\"#g-{shape}\" {place}/>"));
    }

    /// What was run and how it departs.
    fn head(&mut self) {
        let picture = self.picture;
        let word = if picture.verdict.is_held() { "word good" } else { "word" };
        self.y += 16;
        self.text(word, MARGIN, self.y, &picture.verdict.marked_heading());
        self.y += 4;
        let of = format!(
            "{}   design {}, seed {}, broker {}",
            picture.scenario, picture.design, picture.seed, picture.profile
        );
        self.paragraph("quiet", MARGIN, &of);
        for departs in &picture.departures {
            self.paragraph("needed", MARGIN, &format!("◀ {}", departs.text));
        }
        self.y += 34;
    }

    fn names(&mut self) {
        let y = self.y;
        for (place, column) in self.picture.columns.iter().enumerate() {
            self.text("name", x_of(place), y, &fit(&column.name, COLUMN / 8));
        }
        self.text("quiet", self.words, y, "what happens");
        if self.picture.run.steps.iter().any(|step| step.rate.is_some()) {
            self.text("quiet end", self.width - MARGIN, y, "P(violated)");
        }
        self.y += 12;
    }

    fn rows(&mut self) {
        let picture = self.picture;
        let top = self.y;
        let y_of = |place: usize| top + place * ROW + ROW / 2;
        let bottom = top + picture.run.steps.len() * ROW;
        for (place, step) in picture.run.steps.iter().enumerate().filter(|(_, step)| step.is(Mark::Necessary)) {
            let (y, number) = (top + place * ROW, step.number);
            let width = self.width;
            let title = format!("<title>step {number}: a departure that the failure needs shows here</title>");
            let place = format!("y=\"{y}\" width=\"{width}\" height=\"{ROW}\"");
            self.put(format_args!("<rect class=\"band\" {place}>{title}</rect>"));
            self.put(format_args!("<rect class=\"edge\" y=\"{y}\" width=\"6\" height=\"{ROW}\"/>"));
        }
        for place in 0..picture.columns.len() {
            let x = x_of(place);
            self.put(format_args!("<path class=\"life\" d=\"M{x} {top}V{bottom}\"/>"));
        }
        for (place, step) in picture.run.steps.iter().enumerate() {
            self.arrows(step, y_of(place), step.from.map(|from| (from, y_of(from))));
        }
        for (flight, is_held) in picture.waiting() {
            self.waiting(&picture.run.flights[flight], is_held, &y_of, bottom);
        }
        for (place, step) in picture.run.steps.iter().enumerate() {
            self.row(step, y_of(place));
        }
        self.y = bottom;
    }

    /// The arrow of a message that nobody was handed by the end.
    fn waiting(&mut self, flight: &Flight, is_held: bool, y_of: &impl Fn(usize) -> usize, bottom: usize) {
        let (Some(from), Some(column)) = (flight.from, flight.column) else { return };
        let (x_from, y_from, x) = (x_of(self.picture.run.steps[from].column), y_of(from), x_of(column));
        let class = if is_held { "arrow waiting departing" } else { "arrow waiting" };
        let path = match x_from == x {
            true => format!("M{x} {y_from}C{0} {y_from} {0} {bottom} {x} {bottom}", x + 44),
            false => format!("M{x_from} {y_from}L{x} {bottom}"),
        };
        self.put(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
        if let Some((_, name)) = flight.message.split_once(' ') {
            let class = if is_held { "label need end" } else { "label end" };
            self.text(class, x - 26, bottom - 4, &fit(name, 8));
        }
    }

    fn arrows(&mut self, step: &Step, y: usize, from: Option<(usize, usize)>) {
        let x = x_of(step.column);
        let begin = match (from, clients(self.picture)) {
            (Some((from, y)), _) => (x_of(self.picture.run.steps[from].column), y),
            (None, Some(client)) if step.kind == crate::step::Kind::Command => {
                let x_client = x_of(client);
                self.put(format_args!("<path class=\"arrow ask\" d=\"M{x_client} {y}H{x}\"/>"));
                return;
            }
            _ => return,
        };
        let path = match begin {
            // To itself, around the other arrows.
            (x_from, y_from) if x_from == x => format!("M{x} {y_from}C{0} {y_from} {0} {y} {x} {y}", x + 44),
            (x_from, y_from) => format!("M{x_from} {y_from}L{x} {y}"),
        };
        self.put(format_args!("<path class=\"{}\" d=\"{path}\"/>", arrow(step)));
        if step.is(Mark::Duplicate) {
            self.put(format_args!("<path class=\"arrow inner\" d=\"{path}\"/>"));
        }
    }

    fn row(&mut self, step: &Step, y: usize) {
        let x = x_of(step.column);
        self.text("end", 44, y + 4, &step.number.to_string());
        self.text("quiet end", LEFT - 10, y + 4, &Time(step.time_us).to_string());
        if let (crate::step::Kind::Command, Some(client)) = (step.kind, clients(self.picture)) {
            self.shape("client", "", x_of(client), y);
        }
        let (shape, colour) = glyph(step);
        self.shape(shape, colour, x, y);
        let mut beside = x + 18;
        for badge in badges(step) {
            self.shape(badge, "need", beside, y);
            beside += 20;
        }
        if let Some(label) = label(&self.picture.run, step) {
            let class = if step.is(Mark::Departing) { "label need" } else { "label" };
            let attempt = step.attempt.filter(|attempt| *attempt > 1).map(|attempt| format!(" #{attempt}"));
            let text = format!("{}{}", fit(label, 8), attempt.unwrap_or_default());
            // Beside the arrow, not on it.
            let from = step.from.map_or(0, |from| x_of(self.picture.run.steps[from].column));
            match from > x && beside == x + 18 {
                true => self.text(&format!("{class} end"), x - 12, y + 4, &text),
                false => self.text(class, beside - 6, y + 4, &text),
            }
        }
        self.text("what", self.words, y - 3, &fit(&step.what, self.characters));
        let second = second_line(step).into_iter().map(|(class, text)| {
            let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
            format!("<tspan{class}>{}</tspan>", xml(&fit(&text, self.characters)))
        });
        let (words, second) = (self.words, second.collect::<Vec<_>>().join("<tspan>  </tspan>"));
        self.put(format_args!("<text class=\"quiet\" x=\"{words}\" y=\"{}\">{second}</text>", y + 13));
        if let Some(rate) = &step.rate {
            let turn = if step.is(Mark::Turn) { " ▲" } else { "" };
            let class = if turn.is_empty() { "end" } else { "wrong end" };
            self.text(class, self.width - MARGIN, y + 4, &format!("{rate}{turn}"));
        }
    }

    fn verdict(&mut self) {
        let verdict = &self.picture.verdict;
        let (class, shape) = if verdict.is_held() { ("good", "held") } else { ("bad", "verdict") };
        let detail = verdict.detail.clone().unwrap_or_else(|| "every property holds".to_owned());
        let lines = wrapped(&detail, (self.width - self.left_of_words() - MARGIN) * 10 / CHARACTER);
        let (y, height) = (self.y, 34 + 18 * lines.len());
        let width = self.width;
        self.put(format_args!("<rect class=\"band {class}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"));
        self.put(format_args!("<rect class=\"edge {class}\" y=\"{y}\" width=\"6\" height=\"{height}\"/>"));
        self.shape(shape, class, 36, y + 22);
        let x = self.left_of_words();
        let word = if verdict.is_held() { "word good" } else { "word" };
        self.text(word, x, y + 26, &verdict.marked_heading());
        for (place, line) in lines.iter().enumerate() {
            self.text("", x, y + 46 + 18 * place, line);
        }
        self.y += height + 8;
    }

    fn left_of_words(&self) -> usize {
        62
    }

    /// What the shapes mean, and how to have it again.
    fn foot(&mut self) {
        let mut x = MARGIN + 8;
        self.y += 18;
        for (shape, colour, words) in legend(self.picture) {
            x = self.next_in_legend(x, words);
            self.shape(shape, colour, x, self.y);
            self.text("quiet", x + 14, self.y + 4, words);
            x += 34 + width_of(words);
        }
        for (class, words) in legend_of_arrows(self.picture) {
            x = self.next_in_legend(x, words);
            let (y, end) = (self.y, x + 34);
            self.put(format_args!("<path class=\"arrow {class}\" d=\"M{x} {y}H{end}\"/>"));
            if class == "duplicate" {
                self.put(format_args!("<path class=\"arrow inner\" d=\"M{x} {y}H{end}\"/>"));
            }
            self.shape("handled", "", end, y);
            self.text("quiet", end + 12, y + 4, words);
            x += 66 + width_of(words);
        }
        if !self.picture.waiting().is_empty() {
            x = self.next_in_legend(x, WAITING);
            let (y, end) = (self.y, x + 34);
            self.put(format_args!("<path class=\"arrow waiting\" d=\"M{x} {y}H{end}\"/>"));
            self.text("quiet", end + 12, y + 4, WAITING);
        }
        self.y += 12;
        for (word, command) in self.picture.commands.iter().take(1) {
            self.paragraph("", MARGIN, &format!("{word}  {command}"));
        }
    }

    /// Where the next entry of the legend begins: in a new line if it does not fit.
    fn next_in_legend(&mut self, x: usize, words: &str) -> usize {
        if x + 60 + width_of(words) < self.width {
            return x;
        }
        self.y += 24;
        MARGIN + 8
    }
}

/// How wide words are.
fn width_of(words: &str) -> usize {
    words.chars().count() * CHARACTER / 10
}

fn x_of(column: usize) -> usize {
    LEFT + column * COLUMN + COLUMN / 2
}

/// What came of a step, what went wrong with it, and what is to be noticed, each with its class.
fn second_line(step: &Step) -> Vec<(&'static str, String)> {
    let mut parts = Vec::new();
    if !step.outcome.is_empty() {
        parts.push((if step.is(Mark::Refused) || step.is(Mark::Panic) { "wrong" } else { "" }, step.outcome.clone()));
    }
    match &step.necessary {
        Some(names) => parts.push(("needed", format!("◀ {names}"))),
        None if !step.faults.is_empty() => parts.push(("needed", format!("◀ {}", step.faults.join(", ")))),
        None => {}
    }
    parts.extend(step.unlike_others().map(|mark| ("", mark.words().to_owned())));
    parts
}
