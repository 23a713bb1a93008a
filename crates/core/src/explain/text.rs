//! An explanation as text, in one wording for a test that prints it and for the command line, which adds
//! colour, what is logged and a column for each service.

use std::fmt;

use super::{EarlierEnds, ExplainedStep, Explanation, FirstDifference, Without};
use crate::escape::for_terminal;
use crate::ids::Time;
use crate::run::Verdict;
use crate::schedule::{Departure, Target};
use crate::shrink::in_other_orders;
use crate::trace::count;

/// How many steps are shown: so many that all of it fits a screen.
pub const STEPS_SHOWN: usize = 20;
/// How wide a line of text becomes, unless a word is longer.
pub const LINE_MAX: usize = 160;
/// How wide the words before paragraphs are with the space behind them.
const WORD_WIDTH: usize = 13;

/// A paragraph of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paragraph {
    /// What stands before its first line, such as `Why`; empty if it goes on.
    pub word: String,
    /// What it says.
    pub text: String,
}

impl Paragraph {
    fn new(word: impl Into<String>, text: impl Into<String>) -> Paragraph {
        Paragraph { word: word.into(), text: text.into() }
    }

    /// Its text in lines that fit behind the words.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        wrapped(&self.text, LINE_MAX - WORD_WIDTH).into_iter()
    }
}

impl ExplainedStep {
    /// The departures that show in it, in short, because the step says what it is about; empty if none does.
    #[must_use]
    pub fn necessary_in_brief(&self) -> String {
        let names = self.necessary.iter().map(|departure| match departure {
            Departure::Hold { what: Target::Delivery(delivery), .. } => {
                let name = delivery.to_string();
                format!("hold {}", name.split(" -> ").next().unwrap_or(&name))
            }
            Departure::Hold { what, .. } => format!("hold {what}"),
            _ => self.record.faults.join(", "),
        });
        let mut names: Vec<String> = names.collect();
        // What went wrong stands once, however many lines it has.
        names.dedup();
        names.join(", ")
    }
}

impl Explanation {
    /// How large the run is: `8 steps, 1 departure, 3 commands`.
    #[must_use]
    pub fn size_in_words(&self) -> String {
        let (departures, commands) = (self.departures.len() as u64, self.commands as u64);
        let steps = count(self.report.steps, "step");
        format!("{steps}, {}, {}", count(departures, "departure"), count(commands, "command"))
    }

    /// What it says besides the steps: what the failure rates are, where they rise, which steps may stand
    /// anywhere, the calm run, the verdict and why, and what comes of changes.
    #[must_use]
    pub fn paragraphs(&self) -> Vec<Paragraph> {
        let mut paragraphs = vec![Paragraph::new("", self.rates())];
        let mut say = |word: &str, text: String| paragraphs.push(Paragraph::new(word, text));
        if self.turning_point.is_none() && self.before.failing == self.before.of {
            let nowhere =
                "at no step: all continuations fail from the start, so the commands suffice, in whatever order";
            say("Turns", nowhere.to_owned());
        }
        // Where nothing has to go wrong, some request does it.
        if let Some(settled) = self.settled.filter(|_| self.calm.differs.is_none()) {
            say("Settled", format!("with step {settled}: after it the run fails though no client sends anything more"));
        }
        if let Some(turn) = self.turning_point {
            say("Turns", self.turns(turn));
        }
        if !self.anywhere.is_empty() {
            say("Any order", anywhere(&self.anywhere));
        }
        say("Calm run", self.calm_run());
        let report = &self.report;
        let what = match &report.verdict {
            Verdict::Violated { property, violation } => format!("{property} at {}   ", violation.service),
            _ => String::new(),
        };
        let when = format!("step {}, t = {}", report.steps, report.time);
        say(&report.verdict.word().to_uppercase(), format!("{what}{when}"));
        for (place, sentence) in self.why.iter().enumerate() {
            say(if place == 0 { "Why" } else { "" }, sentence.clone());
        }
        let mut changes: Vec<String> = self.without.iter().filter_map(without).collect();
        changes.extend(self.endings.iter().map(ending));
        if !report.verdict.is_held() {
            changes.push(in_other_orders(self.anchors.as_deref()));
        }
        for (place, change) in changes.into_iter().enumerate() {
            say(if place == 0 { "Changes" } else { "" }, change);
        }
        paragraphs
    }

    /// What the failure rates say.
    fn rates(&self) -> String {
        let only_order = self.departures.iter().all(|departure| matches!(departure, Departure::Hold { .. }));
        let faults = if only_order { "" } else { ", faults like this run's with 1/10 each" };
        let of = count(self.before.of.into(), "continuation");
        format!("P(violated): how many of {of} fail as this run does if all after the step is drawn anew{faults}")
    }

    fn turns(&self, turn: u64) -> String {
        let rates = std::iter::once(self.before).chain(self.steps.iter().map(|step| step.failure_rate));
        let rose = rates.zip(&self.steps).filter(|(_, step)| step.record.step == turn);
        rose.map(|(before, step)| format!("at step {turn} ▲, from {before} to {}", step.failure_rate)).collect()
    }

    fn calm_run(&self) -> String {
        let Some(FirstDifference { step, calm: there, .. }) = &self.calm.differs else {
            return "is this run: no departure is needed for the failure".to_owned();
        };
        let here = self.steps.iter().find(|row| row.record.step == *step);
        let there = match (there, here) {
            (Some(there), Some(here)) if there.action == here.record.action => {
                "the same happens and nothing goes wrong".to_owned()
            }
            (Some(there), _) => format!("it does `{}`", there.action),
            (None, _) => "it has ended".to_owned(),
        };
        format!("differs first at step {step}, where {there}; in it {}", outcome(&self.calm.verdict))
    }
}

fn anywhere(steps: &[u64]) -> String {
    let numbers: Vec<String> = steps.iter().map(u64::to_string).collect();
    match &numbers[..] {
        [one] => format!("step {one}: wherever else it can stand, the run fails all the same"),
        numbers => {
            format!("steps {}: wherever else one of them can stand, the run fails all the same", numbers.join(", "))
        }
    }
}

fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held => "every property holds".to_owned(),
        Verdict::Violated { property, violation } => format!("{property} is violated at {}", violation.service),
        verdict => verdict.signature().unwrap_or_default(),
    }
}

/// What comes of it without these things; nothing to say of those that the rest names.
fn without(without: &Without) -> Option<String> {
    let verdict = without.verdict.as_ref()?;
    let names: Vec<String> = without.items.iter().map(|item| format!("`{item}`")).collect();
    let (last, others) = names.split_last()?;
    let names = if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) };
    Some(format!("without {names}: {}", outcome(verdict)))
}

/// What comes of ending earlier what waits.
fn ending(ending: &EarlierEnds) -> String {
    let departure = ending.departure.to_string();
    let what = departure.rsplit_once(" until ").map_or(departure.as_str(), |(what, _)| what);
    let until = |step: u64, target: &Target| format!("until step {step} (`{target}`)");
    let enough = ending.enough.as_ref().map(|end| format!("{} is enough", until(end.step, &end.what)));
    let too_early = ending.too_early.as_ref();
    let too_early = too_early.map(|end| format!("{} only: {}", until(end.step, &end.what), outcome(&end.verdict)));
    let told: Vec<String> = enough.into_iter().chain(too_early).collect();
    format!("`{what}` {}", told.join("; "))
}

/// A text in lines of so many characters; a word that is longer has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The steps with the services whose handlers ran and the failure rates, at most the last
/// [`STEPS_SHOWN`] of them, and all paragraphs.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>12} a failure, shrunk to {}", "Explaining", self.size_in_words())?;
        for departure in &self.departures {
            writeln!(f, "{:>12} {}", "Departs", for_terminal(&departure.to_string()))?;
        }
        let skipped = self.steps.len().saturating_sub(STEPS_SHOWN);
        let shown = &self.steps[skipped..];
        let service = |step: &ExplainedStep| step.record.service.clone().unwrap_or_default();
        let what = |step: &ExplainedStep| match step.record.service {
            Some(_) => step.record.in_brief(),
            None => for_terminal(&step.record.action).into_owned(),
        };
        let widest = |of: &dyn Fn(&ExplainedStep) -> String, heading: &str| {
            let widths = shown.iter().map(|step| of(step).chars().count());
            widths.chain([heading.chars().count()]).max().unwrap_or_default()
        };
        let before = match skipped as u64 {
            0 => "before the first step".to_owned(),
            hidden => format!("{} up to here not shown", count(hidden, "step")),
        };
        let (at, does) = (widest(&service, "service"), widest(&what, &before));
        writeln!(f, "\n step          t │ {:at$} │ {:does$} │ P(violated)", "service", "what happens")?;
        let rate = skipped.checked_sub(1).map_or(self.before, |place| self.steps[place].failure_rate);
        writeln!(f, "{skipped:>5} {:>10} │ {:at$} │ {before:does$} │ {rate:>5}", "", "")?;
        for step in shown {
            let time = Time(step.record.time_us).to_string();
            let turn = if self.turning_point == Some(step.record.step) { " ▲" } else { "" };
            let necessary = match step.necessary_in_brief() {
                names if names.is_empty() => names,
                names => format!("{}  ◀ necessary: {}", if turn.is_empty() { "  " } else { "" }, for_terminal(&names)),
            };
            let (number, rate) = (step.record.step, step.failure_rate);
            let row = format!(
                "{number:>5} {time:>10} │ {:at$} │ {:does$} │ {rate:>5}{turn}{necessary}",
                service(step),
                what(step)
            );
            writeln!(f, "{}", row.trim_end())?;
        }
        writeln!(f)?;
        for paragraph in self.paragraphs() {
            for (place, line) in paragraph.lines().enumerate() {
                let word = if place == 0 { paragraph.word.as_str() } else { "" };
                writeln!(f, "{word:>12} {}", for_terminal(&line))?;
            }
        }
        if !self.minimal {
            writeln!(f, "{:>12} the runs did not suffice to leave out all that can go", "Note")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_they_may_be_and_no_word_is_lost() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a longerthanthat b", 7), ["a", "longerthanthat", "b"]);
        assert_eq!(wrapped("", 7), [""]);
    }
}
