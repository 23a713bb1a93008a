//! The loop: offer, judge, pick, step, until nothing can change any more.
//!
//! This is the only loop that plays a run, and the only place where verdicts are made.

use serde::{Deserialize, Serialize};

use crate::event::System;
use crate::faults::{AckFate, AnswerFault, Fate, MemberChange};
use crate::ids::{self, Time};
use crate::property::{End, Moment, Property, Sometimes, Together, View, Violation, Watch};
use crate::scheduler::{Action, Scheduler};
use crate::world::{LookedAt, Revision, Step, World, catching};

/// How far a run may go. Reaching a limit is a verdict, never a hang. The default is 10,000,000 steps,
/// 4,000,000 messages and 4,000,000 open deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The most steps.
    pub steps_max: u64,
    /// The most messages ever published.
    pub messages_max: u32,
    /// The most deliveries that are open at a time.
    pub in_flight_max: u32,
}

impl Limits {
    /// Those of [`testing::check`](crate::testing::check): 1,000,000 steps, 100,000 messages and 100,000
    /// open deliveries. A test has many runs, and one that goes on and on is to end soon.
    pub const OF_A_TEST: Limits = Limits { steps_max: 1_000_000, messages_max: 100_000, in_flight_max: 100_000 };
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps_max: 10_000_000, messages_max: 4_000_000, in_flight_max: 4_000_000 }
    }
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Every property held.
    Held,
    /// A property was violated.
    Violated {
        /// The property.
        property: &'static str,
        /// What is wrong.
        violation: Box<Violation>,
    },
    /// The run went on and on.
    Stuck {
        /// Which limit it reached, and what that says.
        reason: String,
    },
    /// A handler or a property panicked.
    Panicked {
        /// What it said.
        message: String,
    },
}

impl Verdict {
    /// Whether every property held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self == Verdict::Held
    }

    /// The verdict in one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Violated { .. } => "violated",
            Verdict::Stuck { .. } => "stuck",
            Verdict::Panicked { .. } => "panicked",
        }
    }

    /// What failures with the same cause have in common: property, service, kind of record, and
    /// the subject of the message to blame. `None` for a run that held.
    #[must_use]
    pub fn signature(&self) -> Option<String> {
        Some(match self {
            Verdict::Held => return None,
            Verdict::Violated { property, violation } => {
                let kind = violation.record.map(|record| format!(" of {}", record.kind())).unwrap_or_default();
                let subject = violation.message.map(|name| format!(" on {}", name.subject)).unwrap_or_default();
                format!("{property} at {}{kind}{subject}", violation.service)
            }
            Verdict::Stuck { reason } => format!("stuck: {}", reason.split(':').next().unwrap_or_default()),
            Verdict::Panicked { message } => format!("panicked: {message}"),
        })
    }
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The result.
    pub verdict: Verdict,
    /// The number of steps.
    pub steps: u64,
    /// The hash of all steps.
    pub fingerprint: u64,
    /// The simulated time at the end.
    pub time: Time,
    /// What happened how often.
    pub counts: Counts,
    /// The names of the [`Sometimes`] that it reached, in the order of the judges.
    pub reached: Vec<&'static str>,
}

/// What happened how often in a run: distinguishes a green run from an idle one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Counts {
    /// Commands sent.
    pub commands: u64,
    /// Messages published.
    pub messages: u64,
    /// Deliveries handled.
    pub deliveries: u64,
    /// Deliveries after the first of their message at their group.
    pub redeliveries: u64,
    /// Deliveries that came before one that was published earlier.
    pub overtakings: u64,
    /// Messages lost on their way to a group.
    pub messages_lost: u64,
    /// Acks lost.
    pub acks_lost: u64,
    /// Acks late.
    pub acks_late: u64,
    /// Duplicates made.
    pub duplicates: u64,
    /// Members crashed.
    pub crashes: u64,
    /// Handlers paused between read and save.
    pub pauses: u64,
    /// Handlers that worked for some time before they answered.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub worked: u64,
    /// Deliveries with which a member fetched others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fetches: u64,
    /// Rebalances, lost connections and other changes of members.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub member_changes: u64,
    /// Of those, restarts and failovers of the broker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broker_failures: u64,
    /// Of those, failovers that lost the last message of the log.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub truncations: u64,
    /// Of those, failovers that forgot how often messages had been sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub counts_forgotten: u64,
    /// Of those, times that dead letters were put back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrives: u64,
    /// Of those, times that a log was compacted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub compactions: u64,
    /// Of those, times that a log was without what was kept for long enough.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub expirations: u64,
    /// Handlers whose events were published twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub republished: u64,
    /// Times that the broker recognised what was published once more: it has it already, so it is not put in the log.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub recognised: u64,
    /// Handlers that saved, and what they published was out only later.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slow_publishes: u64,
    /// Members crashed between two saves of a handler; they are among the crashes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub crashes_between_saves: u64,
    /// Handlers that asked other services and were told what was there before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stale_answers: u64,
    /// Handlers that asked other services and got no answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub no_answers: u64,
    /// Messages that the broker gave up for a group, because it was sent them too often.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: u64,
    /// Naks that were silences, because the broker knows none.
    pub naks_unheard: u64,
    /// Moments at rest: nothing could change any more until a command was sent or a service's timer fired,
    /// so convergence was judged. A moment at which nothing changed since the one before is not counted
    /// again.
    pub moments_judged: u64,
    /// Moments at which nothing was under way, and convergence was not judged because a message waited
    /// that might still change something when it came again.
    pub moments_before_redelivery: u64,
    /// The same, because a group had not joined yet.
    pub moments_before_join: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Counts) {
        self.commands += other.commands;
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.redeliveries += other.redeliveries;
        self.overtakings += other.overtakings;
        self.messages_lost += other.messages_lost;
        self.acks_lost += other.acks_lost;
        self.acks_late += other.acks_late;
        self.duplicates += other.duplicates;
        self.crashes += other.crashes;
        self.pauses += other.pauses;
        self.worked += other.worked;
        self.fetches += other.fetches;
        self.member_changes += other.member_changes;
        self.broker_failures += other.broker_failures;
        self.truncations += other.truncations;
        self.counts_forgotten += other.counts_forgotten;
        self.redrives += other.redrives;
        self.compactions += other.compactions;
        self.expirations += other.expirations;
        self.republished += other.republished;
        self.recognised += other.recognised;
        self.slow_publishes += other.slow_publishes;
        self.crashes_between_saves += other.crashes_between_saves;
        self.stale_answers += other.stale_answers;
        self.no_answers += other.no_answers;
        self.given_up += other.given_up;
        self.naks_unheard += other.naks_unheard;
        self.moments_judged += other.moments_judged;
        self.moments_before_redelivery += other.moments_before_redelivery;
        self.moments_before_join += other.moments_before_join;
    }
}

/// Watches a run: for traces and timelines.
pub trait Observer<S: System> {
    /// Sees what was picked, before it happens.
    fn before(&mut self, _world: &World<S>, _action: Action) {}

    /// Sees what happened.
    fn after(&mut self, _world: &World<S>, _step: &Step) {}

    /// Sees the step in which a handler panicked, the last one of the run; [`Observer::after`] does not. It
    /// saved and published nothing. The world is as the panic left it, half way through the step.
    fn panicked(&mut self, _world: &World<S>, _step: &Step, _message: &str) {}
}

/// Nobody watches.
impl<S: System> Observer<S> for () {}

/// What a run is judged by.
pub struct Judges<S: System> {
    properties: Vec<Box<dyn Property<S>>>,
    /// What each of them watches, in the same order.
    watches: Vec<Watch>,
    /// What is asked about steps, of these kinds.
    asked: Vec<(Watch, Asked<S>)>,
    /// What all of them watch, taken together.
    watched: Watch,
    sometimes: Vec<Sometimes<S>>,
}

/// Who is asked about a step.
enum Asked<S: System> {
    /// The property at this place.
    Alone(usize),
    /// What judges for several.
    Together(&'static Together<S>),
}

impl<S: System> Judges<S> {
    /// These properties, in this order: of several that a step breaks, the first is reported.
    #[must_use]
    pub fn new(properties: Vec<Box<dyn Property<S>>>) -> Judges<S> {
        let watches: Vec<Watch> = properties.iter().map(|property| property.watches()).collect();
        let mut asked: Vec<(Watch, Asked<S>)> = Vec::new();
        for (place, watch) in watches.iter().copied().enumerate().filter(|(_, watch)| *watch != Watch::NOTHING) {
            let Some(together) = properties[place].together() else {
                asked.push((watch, Asked::Alone(place)));
                continue;
            };
            let is_it = |asked: &Asked<S>| matches!(asked, Asked::Together(known) if std::ptr::eq(*known, together));
            match asked.iter_mut().find(|(_, asked)| is_it(asked)) {
                Some((watched, _)) => *watched = watched.and(watch),
                None => asked.push((watch, Asked::Together(together))),
            }
        }
        let watched = watches.iter().copied().fold(Watch::NOTHING, Watch::and);
        Judges { properties, watches, asked, watched, sometimes: Vec::new() }
    }

    /// The same, and the reports say which of these a run reached. A run that reaches none is no worse.
    #[must_use]
    pub fn with_sometimes(mut self, sometimes: Vec<Sometimes<S>>) -> Judges<S> {
        self.sometimes = sometimes;
        self
    }

    /// What is to be reached in some run.
    pub fn sometimes(&self) -> impl Iterator<Item = &Sometimes<S>> + '_ {
        self.sometimes.iter()
    }

    /// The names of the properties.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.properties.iter().map(|property| ids::kept_copy(property.name()))
    }

    /// The properties, and what each of them watches.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&dyn Property<S>, Watch)> + '_ {
        self.properties.iter().map(|property| &**property).zip(self.watches.iter().copied())
    }

    /// What the property of that name claims (see [`Property::about`]); empty if there is none.
    #[must_use]
    pub fn about(&self, property: &str) -> &'static str {
        self.properties.iter().find(|known| known.name() == property).map_or("", |known| known.about())
    }

    pub(crate) fn on_step(&self, world: &World<S>, step: &Step) -> Result<(), Verdict> {
        let view = View::new(world, step);
        self.on_kinds(Watch::of_view(&view), &view)
    }

    /// [`Judges::on_step`], and what the judgements depend on.
    pub(crate) fn on_step_noting(&self, world: &World<S>, step: &Step) -> Result<LookedAt, Verdict> {
        let view = View::new(world, step);
        self.on_kinds(Watch::of_view(&view), &view)?;
        Ok(view.looked_at())
    }

    /// [`Judges::on_step`] for a step of these kinds.
    #[inline(always)]
    fn on_kinds(&self, kinds: Watch, view: &View<'_, S>) -> Result<(), Verdict> {
        if self.watched.meets(kinds) { self.on_watched(kinds, view) } else { Ok(()) }
    }

    fn on_watched(&self, kinds: Watch, view: &View<'_, S>) -> Result<(), Verdict> {
        let holds = |asked: &Asked<S>| match asked {
            Asked::Alone(place) => self.properties[*place].on_step(view).is_ok(),
            Asked::Together(together) => together.0(view, kinds),
        };
        if self.asked.iter().all(|(watch, asked)| !watch.meets(kinds) || holds(asked)) {
            debug_assert_eq!(self.each_on_kinds(kinds, &view.anew()), Ok(()), "what judges for several overlooks this");
            return Ok(());
        }
        self.each_on_kinds(kinds, view)
    }

    /// The first property that a step breaks.
    #[cold]
    fn each_on_kinds(&self, kinds: Watch, view: &View<'_, S>) -> Result<(), Verdict> {
        let watching = self.properties.iter().zip(&self.watches).filter(|(_, watch)| watch.meets(kinds));
        for (property, _) in watching {
            property.on_step(view).map_err(|violation| violated(&**property, violation))?;
        }
        Ok(())
    }

    /// The `place`-th property's judgement of a step.
    #[inline]
    pub(crate) fn judge_step(&self, place: usize, world: &World<S>, step: &Step) -> Result<(), Violation> {
        let view = View::new(world, step);
        match self.watches[place].meets(Watch::of_view(&view)) {
            true => self.properties[place].on_step(&view),
            false => Ok(()),
        }
    }

    /// The `place`-th property.
    pub(crate) fn property(&self, place: usize) -> &dyn Property<S> {
        &*self.properties[place]
    }

    pub(crate) fn at_quiescence(&self, world: &World<S>) -> Result<(), Verdict> {
        for property in &self.properties {
            property.at_quiescence(&Moment::new(world)).map_err(|violation| violated(&**property, violation))?;
        }
        Ok(())
    }

    pub(crate) fn at_end(&self, end: &End<'_, S>) -> Result<(), Verdict> {
        for property in &self.properties {
            property.at_end(end).map_err(|violation| violated(&**property, violation))?;
        }
        Ok(())
    }
}

fn violated<S: System>(property: &dyn Property<S>, violation: Violation) -> Verdict {
    Verdict::Violated { property: ids::kept_copy(property.name()), violation: Box::new(violation) }
}

/// Runs a world from where it is until nothing can change any more, a property is violated or a
/// limit is reached.
pub fn run<S: System>(
    world: &mut World<S>,
    scheduler: &mut dyn Scheduler,
    judges: &Judges<S>,
    limits: Limits,
    observer: &mut dyn Observer<S>,
) -> Report {
    let reached = vec![false; judges.sometimes.len()];
    let step = Step::last_of(world.steps());
    let mut noted = RunNotes { counts: Counts::default(), still: None, reached, latest: 0, step };
    let verdict = match catching(|| play(world, scheduler, judges, limits, observer, &mut noted)) {
        Ok(Ok(())) => Verdict::Held,
        Ok(Err(verdict)) => verdict,
        Err(message) => {
            if let Some(step) = world.cut_off(&noted.step) {
                observer.panicked(world, &step, &message);
            }
            Verdict::Panicked { message }
        }
    };
    let RunNotes { mut counts, reached, .. } = noted;
    counts.commands = world.commands_run().into();
    counts.messages = world.broker().messages().len() as u64;
    counts.given_up = world.broker().dead().len() as u64;
    let reached =
        judges.sometimes().zip(reached).filter_map(|(sometimes, reached)| reached.then_some(sometimes.name()));
    let reached = reached.collect();
    let (steps, fingerprint, time) = (world.steps(), world.fingerprint(), world.now());
    Report { verdict, steps, fingerprint, time, counts, reached }
}

/// What is noted of a run while it is played.
struct RunNotes {
    counts: Counts,
    /// What there was at the last moment at which nothing was under way.
    still: Option<(Revision, Stillness)>,
    /// By the place of what is to be reached.
    reached: Vec<bool>,
    /// The message published last of those that were delivered.
    latest: u32,
    /// The step that is taken, or was taken last.
    step: Step,
}

fn play<S: System>(
    world: &mut World<S>,
    scheduler: &mut dyn Scheduler,
    judges: &Judges<S>,
    limits: Limits,
    observer: &mut dyn Observer<S>,
    noted: &mut RunNotes,
) -> Result<(), Verdict> {
    loop {
        world.drain_offers(|offer| scheduler.offer(offer));
        if world.is_still() {
            if world.is_finished() {
                if world.release_held_back() {
                    continue;
                }
                break;
            }
            judge_rest(world, judges, noted)?;
        }
        let enabled = world.enabled();
        if enabled.is_empty() {
            break;
        }
        check_limits(world, limits)?;
        let action = scheduler.pick(&enabled);
        let fate = world.chosen(action).map_or(Fate::CALM, |chosen| scheduler.fate(&chosen));
        observer.before(world, action);
        world.step_into(action, fate, &mut noted.step);
        noted.count(world);
        observer.after(world, &noted.step);
        if noted.step.is_quiet() && judges.sometimes.is_empty() {
            // No property watches such steps.
            continue;
        }
        let view = View::new(world, &noted.step);
        let kinds = Watch::of_view(&view);
        for (sometimes, reached) in judges.sometimes.iter().zip(&mut noted.reached) {
            *reached = *reached || sometimes.is_reached_by(kinds, &view);
        }
        judges.on_kinds(kinds, &view)?;
    }
    judges.at_end(&End::new(world, scheduler.in_rounds()))?;
    if noted.still != Some((world.revision(), Stillness::AtRest)) {
        noted.counts.moments_judged += 1;
        judges.at_quiescence(world)?;
    }
    Ok(())
}

/// Judges convergence if this is a moment at rest, and counts it if it is not. Nothing is judged or
/// counted again that did not change.
fn judge_rest<S: System>(world: &mut World<S>, judges: &Judges<S>, noted: &mut RunNotes) -> Result<(), Verdict> {
    let stillness = Stillness::of(world);
    let now = (world.revision(), stillness);
    if noted.still.replace(now) == Some(now) {
        return Ok(());
    }
    match stillness {
        Stillness::BeforeJoin => noted.counts.moments_before_join += 1,
        Stillness::BeforeRedelivery => noted.counts.moments_before_redelivery += 1,
        Stillness::AtRest => {
            noted.counts.moments_judged += 1;
            judges.at_quiescence(world)?;
            world.quiescence_judged();
        }
    }
    Ok(())
}

/// What a moment at which nothing is under way is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stillness {
    /// Nothing can change any more until a command is sent or a service's timer fires.
    AtRest,
    /// A message waits that may still change something when it comes again.
    BeforeRedelivery,
    /// A group has not joined yet.
    BeforeJoin,
}

impl Stillness {
    pub(crate) fn of<S: System>(world: &World<S>) -> Stillness {
        if !world.enabled().absent.is_empty() {
            Stillness::BeforeJoin
        } else if world.is_quiescent() {
            Stillness::AtRest
        } else {
            Stillness::BeforeRedelivery
        }
    }
}

impl Counts {
    /// Counts a step in which no delivery was handed out.
    #[inline(never)]
    fn add_other(&mut self, step: &Step) {
        let begins = matches!(step.action, Action::Command(_) | Action::Advance) && !step.goes_on_with();
        self.crashes += u64::from(step.crashes() && begins);
        self.pauses += u64::from(step.pauses() && matches!(step.action, Action::Command(_)));
        self.worked += u64::from(step.works());
        self.add_handler(step);
    }

    /// Counts what went wrong with a handler, whatever it handled.
    fn add_handler(&mut self, step: &Step) {
        self.crashes_between_saves += u64::from(step.crashed_between());
        self.republished += u64::from(step.is_republished());
        self.recognised += u64::from(step.is_recognised());
        self.slow_publishes += u64::from(step.publishes_late());
        match step.misled() {
            Some(AnswerFault::Stale) => self.stale_answers += 1,
            Some(AnswerFault::Missing) => self.no_answers += 1,
            None => {}
        }
    }
}

impl RunNotes {
    #[inline]
    fn count<S: System>(&mut self, world: &World<S>) {
        let RunNotes { counts, step, .. } = self;
        let (fate, broker) = (step.fate, world.broker());
        let Action::Deliver(index) = step.action else { return counts.add_other(step) };
        if !step.is_calm() {
            counts.duplicates += u64::from(fate.duplicate);
            if fate.lose {
                counts.messages_lost += 1;
                return;
            }
            counts.acks_lost += u64::from(fate.ack == AckFate::Lost);
            counts.acks_late += u64::from(fate.ack == AckFate::Late);
            counts.crashes += u64::from(step.crashes());
            counts.pauses += u64::from(step.pauses());
            counts.fetches += u64::from(fate.fetch > 0);
            counts.member_changes += u64::from(fate.change.is_some());
            let fails = |change| MemberChange::OF_BROKERS.contains(&change);
            counts.broker_failures += u64::from(fate.change.is_some_and(fails));
            let is = |change| u64::from(fate.change == Some(change));
            counts.counts_forgotten += is(MemberChange::ForgetCounts);
            counts.redrives += is(MemberChange::Redrive);
            match fate.change.filter(|_| step.cleans()) {
                Some(MemberChange::Truncate) => counts.truncations += 1,
                Some(MemberChange::Compact) => counts.compactions += 1,
                Some(MemberChange::Expire) => counts.expirations += 1,
                _ => {}
            }
            counts.add_handler(step);
        }
        counts.worked += u64::from(step.works());
        let delivery = broker.delivery(index);
        counts.deliveries += 1;
        counts.redeliveries += u64::from(delivery.is_repeated());
        counts.overtakings += u64::from(delivery.message.0 < self.latest);
        self.latest = self.latest.max(delivery.message.0);
        if step.is_nak() {
            counts.naks_unheard += u64::from(!broker.profile().naks);
        }
    }
}

/// Takes a step of a world that no run plays and no scheduler listens to.
pub(crate) fn step_apart<S: System>(world: &mut World<S>, action: Action, fate: Fate) -> Step {
    let step = world.step(action, fate);
    world.drain_offers(|_| ());
    step
}

#[inline]
fn check_limits<S: System>(world: &World<S>, limits: Limits) -> Result<(), Verdict> {
    if world.steps() >= limits.steps_max {
        return Err(stuck(world, "steps", limits.steps_max, "raise the limit if the workload is that large"));
    }
    if world.broker().messages().len() as u64 > limits.messages_max.into() {
        return Err(too_many_messages(world, limits.messages_max));
    }
    if world.broker().open_count() > limits.in_flight_max.into() {
        return Err(stuck(world, "in-flight", limits.in_flight_max.into(), "more is published than handled"));
    }
    world.too_slow().map_or(Ok(()), |reason| Err(Verdict::Stuck { reason }))
}

#[cold]
fn too_many_messages<S: System>(world: &World<S>, most: u32) -> Verdict {
    let burst = world.broker().burst();
    if burst > most as usize / 2 {
        let hint = format!("one step published {burst} of them: a handler that publishes without end, or a low limit");
        return stuck(world, "messages", most.into(), &hint);
    }
    let hint = "messages still lead to new messages, so this is livelock and not poison";
    stuck(world, "messages", most.into(), hint)
}

#[cold]
fn stuck<S: System>(world: &World<S>, what: &str, most: u64, hint: &str) -> Verdict {
    let (steps, messages) = (world.steps(), world.broker().messages().len());
    let open = world.broker().open_count();
    let reason = format!(
        "{what} limit reached: {most} {what}, {steps} steps, {messages} messages, {open} deliveries open; {hint}"
    );
    Verdict::Stuck { reason }
}

#[cfg(test)]
mod tests;
