//! The explanation in sentences made from the run: what each departure brings about, what the handlers
//! then do that they do not do in the calm run, and which claim is broken by it.

use std::collections::BTreeSet;

use super::held_up;
use super::judged::Judged;
use super::observed::{ObservedRun, ObservedStep};
use super::words::{self, became, does, duration, enumerated, in_words, message, missing, row_in_words, short, ticked};
use crate::event::{Command, System};
use crate::faults::{AnswerFault, MemberChange, Window};
use crate::ids::RecordId;
use crate::run::{Judges, Verdict};
use crate::schedule::{DeliverySpec, Departure, Target};
use crate::scheduler::Action;
use crate::trace::{SavedRecord, TraceRecord};

/// How many steps are described in which handlers do something else than in the calm run.
const DESCRIBED_MAX: usize = 3;
/// How many steps are described in which something was acked in vain.
const IN_VAIN_MAX: usize = 2;
/// How many sentences there are before the last one, unless there are more departures.
const SENTENCES: usize = 5;
/// Of what comes between two steps, so much is named.
const NAMED_MAX: usize = 2;

/// The sentences about a run, compared to the calm one.
pub(super) fn sentences<S: System>(
    observed: &ObservedRun<S>,
    calm: &ObservedRun<S>,
    departures: &[Departure],
    judges: &Judges<S>,
    times: &[&str],
) -> Vec<String> {
    let story = Story { observed, calm, times, judged: Judged::of(observed, judges) };
    let mut sentences: Vec<String> = departures.iter().filter_map(|departure| story.departs(departure)).collect();
    // A pause that several things end has a line for each.
    sentences.dedup();
    if departures.is_empty() {
        sentences.push("Nothing has to go wrong for it: the calm run of these commands fails.".to_owned());
    }
    let never_came = story.never_came();
    let most = SENTENCES.saturating_sub(sentences.len() + usize::from(never_came.is_some())).clamp(1, DESCRIBED_MAX);
    let described = story.described(departures, most);
    // A message that never came says it already.
    let nothing_there = story.nothing_there().filter(|_| departures.is_empty() && never_came.is_none());
    sentences.extend(nothing_there);
    sentences.extend(described.into_iter().map(|place| story.does(place)));
    sentences.extend(never_came);
    sentences.push(fails(&observed.report.verdict, judges));
    sentences
}

/// What is wrong in the end.
fn fails<S: System>(verdict: &Verdict, judges: &Judges<S>) -> String {
    match verdict {
        Verdict::Held => "Every property holds.".to_owned(),
        Verdict::Stuck { reason } => format!("So the run gets stuck: {reason}."),
        Verdict::Panicked { message } => format!("So it panics: {message}."),
        Verdict::Violated { property, violation } => {
            let record = violation.record.map(|record| format!(" for {record}")).unwrap_or_default();
            let says = match judges.about(property) {
                "" => String::new(),
                about => format!(" It says that {about}."),
            };
            let detail = violation.detail.trim_end_matches('.');
            format!("So {property} is violated{record} at {}: {detail}.{says}", violation.service)
        }
    }
}

struct Story<'a, S: System> {
    observed: &'a ObservedRun<S>,
    calm: &'a ObservedRun<S>,
    /// Fields that say a time.
    times: &'a [&'a str],
    judged: Judged,
}

impl<S: System> Story<'_, S> {
    fn steps(&self) -> &[ObservedStep] {
        &self.observed.steps
    }

    /// What a departure brings about; nothing if it has no effect.
    fn departs(&self, departure: &Departure) -> Option<String> {
        let place = self.observed.place_of(&departure.what());
        match departure {
            Departure::Hold { what, .. } => self.waits(what, place),
            Departure::Pause { what, .. } => self.pauses(what, place?),
            Departure::SlowPublish { what, .. } => self.publishes_late(what),
            Departure::Duplicate(what) => {
                let begin = format!("The broker delivers `{what}` once more");
                Some(match self.again(what, place?) {
                    Some(again) => format!("{begin} (steps {} and {}).", self.number(place?), self.number(again)),
                    None => format!("{begin} (step {}).", self.number(place?)),
                })
            }
            Departure::Lose(what) => Some(format!(
                "The broker loses `{what}` (step {}): no handler runs for it, and nobody is told.",
                self.number(place?)
            )),
            Departure::LoseAck(what) => {
                let (ack, again) = self.unheard(what, place?);
                Some(format!("The {ack} of `{what}` is lost (step {}){again}.", self.number(place?)))
            }
            Departure::DelayAck { what, .. } | Departure::RunPast(what) => {
                let ack = Target::Ack(what.clone());
                let arrives = match self.steps().iter().find(|step| step.is(&ack)) {
                    Some(step) => format!("arrives only at step {}", step.record.step),
                    None => "has not arrived yet".to_owned(),
                };
                let (ack, again) = self.unheard(what, place?);
                Some(format!("The {ack} of `{what}` (step {}) {arrives}{again}.", self.number(place?)))
            }
            Departure::Crash { service, window, what } => Some(self.crashes(service, *window, what, place?)),
            Departure::Fetch { inbox, what } => {
                let messages = if *inbox == 1 { "1 message" } else { &format!("{inbox} messages") };
                let step = self.number(place?);
                Some(format!(
                    "The member that is handed `{what}` (step {step}) has fetched {messages} more, which wait in its \
                     inbox."
                ))
            }
            Departure::MemberChange { change, what } => Some(self.changes(*change, what, place?)),
            Departure::Answer { fault, what } => self.asks(*fault, what),
            Departure::Republish(what) => self.publishes_twice(what, place?),
        }
    }

    /// Says so if no handler at the service of the violation worked on the record that is wrong.
    fn nothing_there(&self) -> Option<String> {
        let Verdict::Violated { violation, .. } = &self.observed.report.verdict else { return None };
        let record = violation.record?;
        // Which record a command is about, nothing says.
        let may_be = |place: usize| match &self.steps()[place].target {
            Some(Target::Command(_)) => true,
            Some(Target::Timer(timer)) => timer.record == record,
            _ => self.is_about(place, record),
        };
        let about = |place: usize| self.is_at_fault(place) && may_be(place);
        let none = !(0..self.steps().len()).any(about);
        none.then(|| format!("{} never works on {record}.", violation.service))
    }

    /// Says what holds up a message to the service of the violation that would have made a difference.
    fn never_came(&self) -> Option<String> {
        let Verdict::Violated { violation, .. } = &self.observed.report.verdict else { return None };
        held_up::sentence(self.observed, &violation.service, |record| self.makes_a_difference(record))
    }

    fn number(&self, place: usize) -> u64 {
        self.steps()[place].record.step
    }

    /// The place of the next attempt at a delivery after a step.
    fn again(&self, what: &DeliverySpec, after: usize) -> Option<usize> {
        let is_again = |step: &ObservedStep| match &step.target {
            Some(Target::Delivery(other)) => DeliverySpec { attempt: what.attempt, ..other.clone() } == *what,
            _ => false,
        };
        let later = self.steps().iter().enumerate().skip(after + 1);
        later.filter(|(_, step)| step.begins() && is_again(step)).map(|(place, _)| place).next()
    }

    fn comes_again(&self, what: &DeliverySpec, place: usize) -> String {
        let Some(again) = self.again(what, place) else { return String::new() };
        let ended = self.steps()[place..again].iter().find(|step| step.is(&Target::AckWait(what.clone())));
        let wait = ended.map(|step| step.record.time_us.saturating_sub(self.steps()[place].record.time_us));
        let after = wait.map(|wait| format!("after the ack wait of {} ", duration(wait))).unwrap_or_default();
        format!(", so {after}the broker delivers it again (step {})", self.number(again))
    }

    /// What an ack is called, and what comes of it that it is not there. Nothing waits for a commit: it is whoever goes
    /// on from the last one that arrived, who meets the message again.
    fn unheard(&self, what: &DeliverySpec, place: usize) -> (&'static str, String) {
        if !self.observed.keeps_offsets() {
            return ("ack", self.comes_again(what, place));
        }
        let owner = match self.observed.has_transactions() {
            true => "its transaction is aborted, so what it published is gone",
            false => "whoever has the partition next begins behind the last commit that arrived",
        };
        let again = self.again(what, place).map(|again| self.number(again));
        ("commit", again.map(|step| format!(", and {owner}: it comes again (step {step})")).unwrap_or_default())
    }

    /// What waited, and what came before it meanwhile.
    fn waits(&self, what: &Target, place: Option<usize>) -> Option<String> {
        let key = what.key();
        let from = self.steps().iter().position(|step| step.passed.contains(&key))?;
        let to = place.unwrap_or(self.steps().len());
        let service = match what {
            Target::Delivery(delivery) => Some(delivery.group.clone()),
            _ => place.and_then(|place| self.steps()[place].record.service.clone()),
        };
        let before = self.named_between(from, to, service.as_deref());
        Some(match (what, place) {
            (Target::Delivery(delivery), Some(place)) => {
                let reaches = format!("`{}` reaches {}", message(delivery), delivery.group);
                format!("{reaches} only at step {}, after {before}.", self.steps()[place].record.step)
            }
            (Target::Delivery(delivery), None) => {
                format!("`{}` has not reached {} before {before}.", message(delivery), delivery.group)
            }
            (Target::Join(group), Some(place)) => {
                format!("{group} joins only at step {}, after {before}.", self.number(place))
            }
            (Target::Join(group), None) => {
                format!("{group} has not joined before {before}, so nothing has reached it.")
            }
            (what, Some(place)) => format!("`{what}` is sent only at step {}, after {before}.", self.number(place)),
            (what, None) => format!("`{what}` has not happened before {before}."),
        })
    }

    fn pauses(&self, what: &Target, place: usize) -> Option<String> {
        let resumes = self.steps().iter().position(|step| step.is(what) && !step.begins());
        let service = self.steps()[place].record.service.clone();
        let to = resumes.unwrap_or(self.steps().len());
        let said = match self.steps()[place].record.published.as_slice() {
            [] => String::new(),
            published => format!(", publishes {}", ticked(published)),
        };
        let reads = format!("The handler of `{}` reads at step {}{said}", short(what), self.number(place));
        let between = (to > place + 1).then(|| self.named_between(place + 1, to, service.as_deref()));
        Some(match (resumes.map(|resumes| self.number(resumes)), between) {
            (Some(saves), Some(between)) => format!("{reads} and saves only at step {saves}, after {between}."),
            (Some(saves), None) => format!("{reads} and saves only at step {saves}."),
            (None, Some(between)) => format!("{reads} and has not saved before {between}."),
            (None, None) => format!("{reads} and has not saved yet."),
        })
    }

    /// What a change of members comes to.
    fn changes(&self, change: MemberChange, what: &DeliverySpec, place: usize) -> String {
        let at = format!("`{what}` (step {})", self.number(place));
        let changed = words::changed(change, &at, &what.group);
        if change == MemberChange::Redrive {
            return format!("{changed}.");
        }
        format!("{changed}{}.", self.comes_again(what, place))
    }

    /// What a handler asked other services, and was told otherwise.
    fn asks(&self, fault: AnswerFault, what: &Target) -> Option<String> {
        let asks = |step: &&ObservedStep| step.is(what) && !step.record.asked.is_empty();
        let record = &self.steps().iter().find(asks)?.record;
        let gets = match fault {
            AnswerFault::Stale => "a stale answer",
            AnswerFault::Missing => "no answer",
        };
        let asked = ticked(&record.asked);
        Some(format!("The handler of `{}` (step {}) asks and gets {gets}: {asked}.", short(what), record.step))
    }

    /// What is said once more.
    fn publishes_twice(&self, what: &Target, place: usize) -> Option<String> {
        let again = Target::Publish(Box::new(what.clone()));
        let again = self.steps().iter().position(|step| step.is(&again));
        let said = format!("What `{}` (step {}) publishes", short(what), self.number(place));
        let why = "the publisher hears no confirm of the first time";
        Some(match again {
            None => format!("{said} is published twice: {why}."),
            Some(again) if self.steps()[again].record.published.is_empty() => {
                format!("{said} is published once more at step {}, {why}, and the broker has it.", self.number(again))
            }
            Some(again) => format!("{said} is published once more at step {}: {why}.", self.number(again)),
        })
    }

    /// What was saved, and out only later.
    fn publishes_late(&self, what: &Target) -> Option<String> {
        let saves = self.steps().iter().position(|step| step.is(what) && !step.pauses())?;
        let publish = Target::Publish(Box::new(what.clone()));
        let publishes = self.steps().iter().position(|step| step.is(&publish));
        // It is the second time that is late, which is told with the first.
        if !self.steps()[saves].record.published.is_empty() {
            return None;
        }
        let to = publishes.unwrap_or(self.steps().len());
        let service = match &self.observed.report.verdict {
            Verdict::Violated { violation, .. } => Some(violation.service.as_str()),
            _ => None,
        };
        let between = (to > saves + 1).then(|| self.named_between(saves + 1, to, service));
        let saved = format!("The handler of `{}` is done at step {}", short(what), self.number(saves));
        let said = publishes.map(|place| ticked(&self.steps()[place].record.published));
        Some(match (publishes, said, between) {
            (Some(place), Some(said), Some(between)) => {
                format!("{saved}, and {said} is published only at step {}, after {between}.", self.number(place))
            }
            (Some(place), Some(said), None) => {
                format!("{saved}, and {said} is published at step {}.", self.number(place))
            }
            (.., Some(between)) => format!("{saved}, and what it says is not published before {between}."),
            (.., None) => format!("{saved}, and what it says is not published yet."),
        })
    }

    fn crashes(&self, service: &str, window: Window, what: &Target, place: usize) -> String {
        let record = &self.steps()[place].record;
        let crashes = format!("{service} crashes {} of `{}` (step {})", window.name(), short(what), record.step);
        let mut lost = Vec::new();
        let calm = self.in_calm(place);
        let published = calm.map(|calm| missing(&calm.published, &record.published)).unwrap_or_default();
        let saved = calm.map(|calm| calm.saved.len()).unwrap_or_default();
        if record.saved.is_empty() && saved > 0 {
            let acked = record.answer.as_deref() == Some("acked, then crashed");
            lost.push(if acked { "what it has acked is not saved" } else { "nothing of it is saved" }.to_owned());
        }
        let of_calm = calm.map(|calm| calm.saved.as_slice()).unwrap_or_default();
        let unsaved: Vec<SavedRecord> =
            of_calm.iter().filter(|row| !record.saved.iter().any(|saved| saved.id == row.id)).cloned().collect();
        if window == Window::BetweenSaves && !unsaved.is_empty() {
            lost.push(format!("{} and {}", became(&record.saved, true), became(&unsaved, false)));
        }
        if !published.is_empty() && !record.saved.is_empty() {
            lost.push(format!("{} and {} is never published", became(&record.saved, true), ticked(&published)));
        }
        if !record.outside.is_empty() {
            lost.push(format!("{} is done", ticked(&record.outside)));
        }
        for timer in self.timers_lost(service) {
            lost.push(format!("the {timer} that it kept in memory never fires"));
        }
        let again = match what {
            Target::Delivery(delivery) => self.comes_again(delivery, place),
            _ => String::new(),
        };
        let lost = if lost.is_empty() { String::new() } else { format!(": {}", lost.join(", and ")) };
        format!("{crashes}{lost}{again}.")
    }

    /// The timers of a service that fire in the calm run and not in this one.
    fn timers_lost(&self, service: &str) -> Vec<String> {
        let fired = |steps: &[ObservedStep]| -> BTreeSet<String> {
            let timers = steps.iter().filter_map(|step| match &step.target {
                Some(Target::Timer(timer)) if timer.service == service => Some(format!("timer {}", timer.record)),
                _ => None,
            });
            timers.collect()
        };
        fired(&self.calm.steps).difference(&fired(self.steps())).cloned().collect()
    }

    /// Names the steps of a service from one place to another, those alone that differ from the calm run
    /// if some do; if it took none, the last of the others.
    fn named_between(&self, from: usize, to: usize, service: Option<&str>) -> String {
        let between = || (from..to).filter(|place| self.steps()[*place].record.service.is_some());
        let of_service = between().filter(|place| self.steps()[*place].record.service.as_deref() == service);
        let mut named: Vec<usize> = of_service.collect();
        if named.iter().any(|place| self.is_other(*place)) {
            named.retain(|place| self.is_other(*place));
        }
        if named.is_empty() {
            named.extend(between().next_back().or((from..to).next_back()));
        }
        let more = named.len().saturating_sub(NAMED_MAX);
        let names: Vec<String> = named[more..].iter().map(|place| in_words(&self.steps()[*place])).collect();
        enumerated(&names)
    }

    /// What the calm run has in place of a step: the same handler for the same thing.
    fn in_calm(&self, place: usize) -> Option<&TraceRecord> {
        self.place_in_calm(place).map(|place| &self.calm.steps[place].record)
    }

    fn place_in_calm(&self, place: usize) -> Option<usize> {
        let target = self.steps()[place].target.as_ref()?;
        self.calm.steps.iter().position(|step| step.is(target) && !step.pauses())
    }

    /// The places of the steps to tell of: those that concern what is wrong, or lead there, in which a handler
    /// did something else than in the calm run; if there are none, those that lead there, after the departures
    /// if there are any.
    fn described(&self, departures: &[Departure], most: usize) -> Vec<usize> {
        let chain = self.chain();
        let at_fault = |place: &usize| chain.contains(place) || self.concerns(*place);
        let others = (0..self.steps().len()).filter(|place| self.handles(*place) && !self.is_again(*place));
        let mut described: Vec<usize> = others.filter(|place| self.is_other(*place)).filter(at_fault).collect();
        self.add_causes(&mut described, most);
        if described.is_empty() {
            let begins = departures.iter().filter_map(|departure| self.observed.shows_in(departure)).min().unwrap_or(0);
            described = chain.into_iter().filter(|place| *place >= begins).take(most).collect();
            described.sort_unstable();
        }
        // The first begins it, the last ones end it.
        while described.len() > most {
            described.remove(usize::from(most > 1));
        }
        described
    }

    /// Adds those that published what the described steps handled, if they did something else than in the calm
    /// run; the nearest first, as long as there are not more than so many.
    fn add_causes(&self, described: &mut Vec<usize>, most: usize) {
        let mut place_in = 0;
        while let Some(place) = described.get(place_in).copied().filter(|_| described.len() < most) {
            let cause = self.published_by(place).filter(|cause| self.is_other(*cause));
            described.extend(cause.filter(|cause| !described.contains(cause)));
            place_in += 1;
        }
        described.sort_unstable();
    }

    /// The place of the step that published the message that a step handles.
    fn published_by(&self, place: usize) -> Option<usize> {
        let Some(Target::Delivery(delivery)) = &self.steps()[place].target else { return None };
        let name = message(&DeliverySpec { attempt: 1, ..delivery.clone() });
        let handled = (0..place).filter(|place| self.handles(*place));
        handled.rev().find(|place| self.steps()[*place].record.published.contains(&name))
    }

    /// Whether a handler worked in a step to its end.
    fn handles(&self, place: usize) -> bool {
        let step = &self.steps()[place];
        let cut_off = step.pauses() || step.works || step.fate.crash.is_some() || step.fate.lose;
        step.record.service.is_some() && step.record.answer.is_some() && !cut_off
    }

    /// Whether a handler did something else than in the calm run; a paused one did so later.
    fn is_other(&self, place: usize) -> bool {
        if !self.steps()[place].begins() && self.steps()[place].fate.pause {
            return true;
        }
        let record = &self.steps()[place].record;
        let came = |record: &TraceRecord| {
            let mut saved = record.saved.clone();
            for fields in saved.iter_mut().filter_map(|row| row.fields.as_object_mut()) {
                fields.retain(|name, _| !self.times.contains(&name.as_str()));
            }
            (record.answer.clone(), saved, record.outside.clone(), record.asked.clone())
        };
        self.place_in_calm(place).is_none_or(|calm| {
            let (again, again_there) = (self.observed.makes_again(place), self.calm.makes_again(calm));
            came(&self.calm.steps[calm].record) != came(record) || again != again_there
        })
    }

    /// Whether a step is at the service of the violation.
    fn is_at_fault(&self, place: usize) -> bool {
        match &self.observed.report.verdict {
            Verdict::Violated { violation, .. } => {
                self.steps()[place].record.service.as_ref() == Some(&violation.service)
            }
            _ => true,
        }
    }

    /// The record that is wrong, if the violation names one.
    fn record(&self) -> Option<RecordId> {
        match &self.observed.report.verdict {
            Verdict::Violated { violation, .. } => violation.record,
            _ => None,
        }
    }

    /// Whether what the service of the violation holds of a record makes a difference, as far as is known.
    fn makes_a_difference(&self, record: RecordId) -> bool {
        let Verdict::Violated { violation, .. } = &self.observed.report.verdict else { return true };
        let id = record.to_string();
        let is_named = violation.record.is_none() && !self.judged.is_known()
            || violation.record == Some(record)
            || self.judged.ids().any(|known| known == id);
        is_named && !(self.judged.is_known() && self.judged.ignores(&violation.service, &id))
    }

    /// Whether a step concerns what is wrong: it saved what the property looks at, here or in the calm run, or
    /// is about such a record at the service of the violation. What other services did when it was wrong already
    /// does not.
    fn concerns(&self, place: usize) -> bool {
        let handled = || match &self.steps()[place].target {
            Some(Target::Delivery(delivery)) => Some(delivery.record),
            Some(Target::Timer(timer)) => Some(timer.record),
            _ => None,
        };
        if self.is_at_fault(place) && handled().is_some_and(|record| self.makes_a_difference(record)) {
            return true;
        }
        if !self.judged.is_known() {
            return self.is_at_fault(place) && self.record().is_none_or(|record| self.is_about(place, record));
        }
        let service = self.steps()[place].record.service.as_deref().unwrap_or_default();
        let mut saved = self.saved_or_instead(place);
        !self.judged.was_wrong_before(place) && saved.any(|row| self.judged.looks_at(service, row))
    }

    /// What a step saved, here and in the calm run.
    fn saved_or_instead(&self, place: usize) -> impl Iterator<Item = &SavedRecord> {
        let instead = self.in_calm(place).into_iter().flat_map(|calm| &calm.saved);
        self.steps()[place].record.saved.iter().chain(instead)
    }

    fn saves(&self, place: usize, record: RecordId) -> bool {
        let id = record.to_string();
        self.steps()[place].record.saved.iter().any(|row| row.id == id)
    }

    /// Whether a handler saves a record, or handles a message about it.
    fn is_about(&self, place: usize, record: RecordId) -> bool {
        let handles = match &self.steps()[place].target {
            Some(Target::Delivery(delivery)) => delivery.record == record,
            _ => false,
        };
        handles || self.saves(place, record)
    }

    /// The places of the steps that lead to the violation, the most telling first: the one that broke
    /// the property or panicked; what was acked and saved nothing; the last saves of what the property looks
    /// at; the last step at the service of the violation about it; and where it is not known what the property
    /// looks at, the one that published what that handles and the one before that saved what it finds.
    fn chain(&self) -> Vec<usize> {
        let handled = || (0..self.steps().len()).filter(|place| self.handles(*place));
        let concerned = || handled().filter(|place| self.concerns(*place));
        let mut chain = Vec::new();
        if self.judged.is_of_a_step || !matches!(self.observed.report.verdict, Verdict::Violated { .. }) {
            chain.extend(handled().next_back());
        }
        chain.extend(concerned().filter(|place| self.is_acked_in_vain(*place)).take(IN_VAIN_MAX));
        chain.extend(self.last_saves());
        let last = concerned().rfind(|place| self.is_at_fault(*place));
        chain.extend(last);
        if let Some(last) = last.filter(|_| !self.judged.is_known()) {
            chain.extend(self.published_by(last));
            let (ids, service) = (self.ids(last), &self.steps()[last].record.service);
            let mut earlier =
                handled().filter(|place| *place < last && self.steps()[*place].record.service == *service);
            let finds = |place: &usize| self.steps()[*place].record.saved.iter().any(|row| ids.contains(&row.id));
            chain.extend(earlier.rfind(finds));
        }
        let mut seen = BTreeSet::new();
        chain.retain(|place| seen.insert(*place));
        chain
    }

    /// The places of the last saves of each record that the property looks at, or else of the one that is
    /// wrong; the last one first.
    fn last_saves(&self) -> Vec<usize> {
        let (mut seen, mut places) = (BTreeSet::new(), Vec::new());
        let record = self.record().map(|record| record.to_string());
        for place in (0..self.steps().len()).rev().filter(|place| self.handles(*place)) {
            let service = self.steps()[place].record.service.as_deref().unwrap_or_default();
            let is_wanted = |row: &&SavedRecord| match self.judged.is_known() {
                true => self.judged.looks_at(service, row) && self.concerns(place),
                false => Some(&row.id) == record.as_ref() && self.is_at_fault(place),
            };
            let wanted = self.steps()[place].record.saved.iter().filter(is_wanted);
            // Not `any`: all of them are seen then.
            if wanted.filter(|row| seen.insert((service, &row.collection, &row.id))).count() > 0 {
                places.push(place);
            }
        }
        places
    }

    /// The steps of the attempts at a delivery before that of a step.
    fn earlier_attempts(&self, place: usize) -> impl Iterator<Item = &ObservedStep> {
        let earlier = self.steps()[..place].iter().rev();
        earlier.filter(move |step| match (&step.target, &self.steps()[place].target) {
            (Some(Target::Delivery(one)), Some(Target::Delivery(other))) => {
                DeliverySpec { attempt: other.attempt, ..one.clone() } == *other
            }
            _ => false,
        })
    }

    /// Whether a message was acked and nothing came of it, not even when it came before.
    fn is_acked_in_vain(&self, place: usize) -> bool {
        let step = &self.steps()[place];
        let did = |step: &ObservedStep| !step.record.saved.is_empty() || !step.record.published.is_empty();
        let is_message = matches!(step.target, Some(Target::Delivery(_)));
        let is_acked = step.record.answer.as_deref() == Some("ack");
        is_message && is_acked && !did(step) && !self.earlier_attempts(place).any(did)
    }

    /// Whether a step saved nothing, as the attempt before did that got the same answer.
    fn is_again(&self, place: usize) -> bool {
        let record = &self.steps()[place].record;
        let before = self.earlier_attempts(place).map(|step| &step.record).next();
        record.saved.is_empty()
            && before.is_some_and(|before| before.saved.is_empty() && before.answer == record.answer)
    }

    /// What a handler finds and does, and what it does in the calm run.
    fn does(&self, place: usize) -> String {
        let step = &self.steps()[place];
        let record = &step.record;
        let service = record.service.as_deref().unwrap_or_default();
        let calm = self.in_calm(place);
        let ids = self.ids(place);
        let held = self.held(place, &ids);
        let fields = match record.answer.as_deref() {
            // What it meant to save nobody knows, so all that it found may tell.
            Some(answer) if answer.starts_with("panics: ") => self.all_fields(&held),
            _ => self.telling(&held, &record.saved, calm.map(|calm| calm.saved.as_slice())),
        };
        let found = |id: &String| {
            let rows = held.iter().filter(|row| row.id == *id).map(|row| row_in_words(row, &fields));
            let rows: Vec<String> = rows.collect();
            // What was not there and is saved needs no words, unless it was there before.
            let is_new = record.saved.iter().any(|row| row.id == *id);
            match (rows.is_empty(), self.observed.removed_before(place, id)) {
                (false, _) => Some(rows.join(", ")),
                (true, Some(step)) => Some(format!("no {id} (removed at step {step})")),
                (true, None) => (!is_new).then(|| format!("no {id}")),
            }
        };
        let holds: Vec<String> = ids.iter().filter_map(found).collect();
        let mut holding: Vec<String> = self.read(place, &ids, &fields).into_iter().collect();
        if !holds.is_empty() {
            holding.push(format!("holds {}", holds.join(" and ")));
        }
        let holding = if holding.is_empty() { String::new() } else { format!(", which {},", holding.join(" and ")) };
        let handles = if step.begins() { "handles" } else { "goes on with" };
        let handled = step.target.as_ref().map(short).unwrap_or_default();
        let did = does(record, &fields);
        let instead = calm.map(|calm| does(calm, &fields)).filter(|instead| *instead != did);
        let instead = instead.map(|instead| format!("; in the calm run it {instead}")).unwrap_or_default();
        // `handles it, acks it and saves nothing`.
        let and = if did.starts_with("acks it") { "," } else { " and" };
        format!("At step {} {service}{holding} {handles} `{handled}`{and} {did}{instead}.", record.step)
    }

    /// What a resumed handler read before it paused, if it is not what is there now.
    fn read(&self, place: usize, ids: &[String], fields: &BTreeSet<String>) -> Option<String> {
        let step = &self.steps()[place];
        let target = step.target.as_ref().filter(|_| !step.begins())?;
        let begun = self.steps()[..place].iter().rposition(|step| step.is(target) && step.pauses())?;
        let (read, now) = (self.held(begun, ids), self.held(place, ids));
        let rows = read.iter().filter(|row| !now.contains(row)).map(|row| row_in_words(row, fields));
        let rows: Vec<String> = rows.collect();
        (!rows.is_empty()).then(|| format!("read {} at step {}", rows.join(", "), self.number(begun)))
    }

    /// The records that a step is about: what it handles and what it saves, here or in the calm run.
    fn ids(&self, place: usize) -> Vec<String> {
        let step = &self.steps()[place];
        let handled = match (&step.target, step.action) {
            (Some(Target::Delivery(delivery)), _) => Some(delivery.record),
            (Some(Target::Timer(timer)), _) => Some(timer.record),
            (_, Action::Command(client)) => self.observed.worlds[place].next_command(client).map(Command::record),
            _ => None,
        };
        let handled = handled.map(|record| record.to_string());
        let saved = step.record.saved.iter().chain(self.in_calm(place).into_iter().flat_map(|calm| &calm.saved));
        let mut ids: Vec<String> = Vec::new();
        for id in saved.map(|row| row.id.clone()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.is_empty() { handled.into_iter().collect() } else { ids }
    }

    /// The fields in which what is held and what is saved differ.
    fn telling(&self, held: &[SavedRecord], saved: &[SavedRecord], calm: Option<&[SavedRecord]>) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        let all = [held, saved, calm.unwrap_or_default()];
        let rows = || all.iter().flat_map(|rows| rows.iter());
        for row in rows() {
            for other in rows().filter(|other| (&other.collection, &other.id) == (&row.collection, &row.id)) {
                let named = row.fields.as_object().into_iter().flatten();
                let differ = named.filter(|(name, value)| other.fields.get(name) != Some(value));
                fields.extend(differ.map(|(name, _)| name.clone()));
            }
        }
        fields.retain(|name| !self.times.contains(&name.as_str()));
        fields
    }

    /// The fields of rows, but for times.
    fn all_fields(&self, rows: &[SavedRecord]) -> BTreeSet<String> {
        let fields = rows.iter().filter_map(|row| row.fields.as_object()).flatten().map(|(name, _)| name.clone());
        fields.filter(|name| !self.times.contains(&name.as_str())).collect()
    }

    /// What a service holds of these records before a step.
    fn held(&self, place: usize, ids: &[String]) -> Vec<SavedRecord> {
        let service = self.steps()[place].record.service.as_deref();
        let world = &self.observed.worlds[place];
        let Some(service) = service.and_then(|service| world.service(service)) else { return Vec::new() };
        let rows = world.store(service).texts().into_iter().map(SavedRecord::from);
        rows.filter(|row| ids.contains(&row.id)).collect()
    }
}
