//! One step: an enabled action happens, with its fate.
//!
//! A handler passes read → save → publish → ack. Nothing can come between them unless the fate
//! says so, and then they are one step. A pause ends the step after the read; a crash cuts it off
//! in one of the windows; the ack may be left to a step of its own or to nobody.
//!
//! Nearly all steps of a run are deliveries that are handled and answered at once. That fast path, in
//! `fast`, is inlined into one function, and the other kinds of step are kept out of it.

mod command;
mod cut_off;
mod fast;

pub(crate) use fast::Summary;

use std::ops::Range;

use super::{Begun, Job, Paused, Timer, World};
use crate::broker::{Delivery, DeliveryIndex, GroupIndex, MessageIndex, State};
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::hash;
use crate::ids::{ServiceIndex, Time};
use crate::schedule;
use crate::scheduler::{Action, PauseIndex};
use crate::service::{self, AckTiming, Arming, Context, Outcome, PublishMode, Rejection, Work};

/// A process of a service.
// Aligned so that it is read as it was written, which avoids a store-forwarding stall.
#[repr(align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The service.
    pub service: ServiceIndex,
    /// Which process of it.
    pub member: u16,
}

/// The result of running a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// A delivery was answered.
    Delivery(Outcome),
    /// A command was executed or refused.
    Command(Result<(), Rejection>),
    /// A timer's handler ran.
    Timer,
    /// The handler read and paused.
    Paused,
    /// The member crashed before it saved.
    Crashed {
        /// Whether it had answered ack by then (see [`AckTiming`]).
        acked: bool,
    },
    /// The broker lost the message; no handler ran.
    Lost,
}

impl Answer {
    const ACKED: u64 = 1;
    const SILENT: u64 = 3;
    /// The words from here to [`Answer::LAST_RAN`] are of handlers that ran far enough to save.
    const FIRST_RAN: u8 = 1;
    const LAST_RAN: u8 = 6;
    const ACKED_CRASHED: u64 = 10;

    /// Whether a handler did what it was asked.
    #[inline]
    fn is_success(self) -> bool {
        matches!(self, Answer::Delivery(Outcome::Ack) | Answer::Command(Ok(())) | Answer::Timer)
    }

    #[inline(always)]
    fn word(self) -> u64 {
        match self {
            Answer::Delivery(Outcome::Ack) => Answer::ACKED,
            Answer::Delivery(Outcome::Nak { .. }) => 2,
            Answer::Delivery(Outcome::Silent(_)) => Answer::SILENT,
            Answer::Command(Ok(())) => 4,
            Answer::Command(Err(rejection)) => 5 | u64::from(rejection.status) << 8,
            Answer::Timer => 6,
            Answer::Paused => 7,
            Answer::Crashed { acked: false } => 8,
            Answer::Crashed { acked: true } => Answer::ACKED_CRASHED,
            Answer::Lost => 9,
        }
    }
}

/// What a step did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// Its position in the trace, from 1.
    pub number: u64,
    /// When it happened.
    pub time: Time,
    /// What was picked.
    pub action: Action,
    /// What was decided with it; for a resumed handler, what was decided when it began.
    pub fate: Fate,
    /// Who worked, if a handler was involved.
    pub actor: Option<Actor>,
    /// The delivery the handler worked on, if it was one.
    pub delivery: Option<DeliveryIndex>,
    /// The answer.
    pub answer: Option<Answer>,
    /// The messages it published, as places in the log.
    pub published: Range<usize>,
    /// The hash of what happened to whom.
    key: u64,
    /// The fate as one word.
    fate_word: u64,
    /// The answer as one word; 0 if there is none.
    answer_word: u64,
    saved: bool,
    /// The message of the delivery that a member was handed.
    message: MessageIndex,
    /// Whether that delivery had been handed out before, or is a duplicate.
    again: bool,
}

impl Step {
    /// A step that has not been taken.
    #[inline(always)]
    pub(crate) fn new(action: Action, fate: Fate) -> Step {
        Step {
            number: 0,
            time: Time(0),
            action,
            fate,
            actor: None,
            delivery: None,
            answer: None,
            published: 0..0,
            key: 0,
            fate_word: fate.word(),
            answer_word: 0,
            saved: false,
            message: MessageIndex(0),
            again: false,
        }
    }

    /// The hash of what happened to whom: of the command's, the delivery's or the timer's identity.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Whether a handler ran far enough to save.
    #[must_use]
    #[inline]
    pub fn ran(&self) -> bool {
        // The low byte is the kind; a rejection's status is above it.
        matches!(self.answer_word as u8, Answer::FIRST_RAN..=Answer::LAST_RAN)
    }

    /// Whether it changed the store of the service whose handler ran.
    #[must_use]
    #[inline]
    pub(crate) fn saved(&self) -> bool {
        self.saved
    }

    /// The delivery whose handler answered ack in this step, whether or not the ack arrived, and
    /// whether or not the handler came to save what it acked.
    #[must_use]
    #[inline]
    pub fn acked(&self) -> Option<DeliveryIndex> {
        self.delivery.filter(|_| self.answered_ack())
    }

    /// Whether a handler answered ack to a delivery.
    #[inline]
    pub(crate) fn answered_ack(&self) -> bool {
        self.answer_word == Answer::ACKED || self.answer_word == Answer::ACKED_CRASHED
    }

    /// The message of the delivery that a member was handed, and whether it had been handed out
    /// before or is a duplicate.
    #[inline]
    pub(crate) fn handed(&self) -> (MessageIndex, bool) {
        (self.message, self.again)
    }

    fn note_delivery(&mut self, delivery: &Delivery) {
        (self.message, self.again) = (delivery.message, delivery.is_repeated());
    }

    #[inline(always)]
    fn set_answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
        self.answer_word = answer.word();
    }
}

impl<S: System> World<S> {
    /// Takes one step: `action` happens with `fate`.
    ///
    /// # Panics
    /// If the action is not enabled, or if a handler panics; the world is unusable then.
    pub fn step(&mut self, action: Action, fate: Fate) -> Step {
        let mut step = Step::new(action, fate);
        match action {
            Action::Deliver(index) => {
                let delivery = *self.broker.delivery(index);
                if let Some((summary, outcome)) = self.deliver((index, delivery), fate, &mut step) {
                    self.expand(&summary, outcome, fate, &mut step);
                }
            }
            Action::Command(client) if fate.is_calm() => self.send_fast(client, &mut step),
            _ => self.take_slow(action, fate, &mut step),
        }
        step
    }

    /// Takes a step on the slow path.
    #[inline(never)]
    fn take_slow(&mut self, action: Action, fate: Fate, step: &mut Step) {
        self.steps += 1;
        self.start(action, fate, step);
        match action {
            Action::Deliver(index) => self.deliver_slow(index, step),
            Action::Command(client) => self.send(client, step),
            Action::Resume(index) => self.resume(index, step),
            Action::Ack(index) => self.ack_arrives(index, step),
            Action::Join(group) => self.join(group, step),
            Action::Advance => self.advance(step),
        }
        self.finish(step);
    }

    /// Notes the beginning of a step on the slow path.
    #[inline(always)]
    fn start(&self, action: Action, fate: Fate, step: &mut Step) {
        *step = Step::new(action, fate);
        step.published.start = self.broker.messages().len();
    }

    /// Notes its end.
    #[inline(always)]
    fn finish(&mut self, step: &mut Step) {
        (step.number, step.time) = (self.steps, self.now);
        step.published.end = self.broker.messages().len();
        self.drop_dead_timers();
        let may_wake = step.saved || self.effects.remembers;
        if !self.waiting.is_empty() && (may_wake || matches!(step.action, Action::Command(_) | Action::Advance)) {
            self.wake_clients();
        }
        self.fold(step);
    }

    fn pause(&mut self, job: Job, actor: Actor, step: &mut Step) {
        let index = PauseIndex(self.pauses);
        self.pauses += 1;
        let publishes = self.publish_mode(job, actor.service) == PublishMode::BeforeSave;
        let published = publishes && self.publish_first(job, actor);
        let store = &self.stores[actor.service.get()];
        let begun = Begun { read_at: store.tick(), read: store.rows_digest(), published };
        let key = hash::mix(step.key, 3);
        self.paused.push(Paused { index, job, actor, begun, fate: step.fate, key });
        self.paused_indices.push(index);
        self.push_offer(Action::Resume(index));
        step.actor = Some(actor);
        step.delivery = delivery_of(job);
        step.set_answer(Answer::Paused);
    }

    /// Publishes what a handler that has not saved yet is going to say, unless it refuses; what else
    /// it does is left to its resume.
    #[inline(never)]
    fn publish_first(&mut self, job: Job, actor: Actor) -> bool {
        let oldest = self.oldest_read(actor.service);
        self.stores[actor.service.get()].begin_step(self.now, oldest);
        self.effects.clear();
        // What it does to its memory it does when it goes on.
        let memories = self.memories.clone();
        let committed = self.call(job, actor, None).is_success();
        self.memories = memories;
        self.stores[actor.service.get()].roll_back();
        if committed {
            self.publish(job, actor.service, None);
        }
        committed
    }

    #[inline(never)]
    fn resume(&mut self, index: PauseIndex, step: &mut Step) {
        let place = self.paused.iter().position(|paused| paused.index == index).expect("a paused handler");
        let paused = self.paused.remove(place);
        self.paused_indices.remove(place);
        (step.key, step.fate, step.fate_word) = (paused.key, paused.fate, paused.fate.word());
        // Its reads need what was replaced since, so it counts as a reader until the step began.
        self.work(paused.job, paused.actor, Some(paused.begun), step);
        if let Job::Command { client, .. } = paused.job {
            self.after_command(client, step);
        }
    }

    /// The key of the late ack of a delivery: what was offered is what happens.
    pub(super) fn ack_key(&self, index: DeliveryIndex) -> u64 {
        schedule::ack_key(self.broker.delivery(index).key)
    }

    fn ack_arrives(&mut self, index: DeliveryIndex, step: &mut Step) {
        step.key = self.ack_key(index);
        step.delivery = Some(index);
        self.acks.retain(|ack| *ack != index);
        self.broker.ack(index);
    }

    fn join(&mut self, group: GroupIndex, step: &mut Step) {
        step.key = hash::of_name(self.broker.group_name(group));
        self.absent.retain(|absent| *absent != group);
        self.broker.join(group);
    }

    #[inline(never)]
    fn advance(&mut self, step: &mut Step) {
        let (due, timer, payload) = self.timers.pop_first().expect("the clock moves only towards a timer");
        self.now = self.now.max(due);
        step.key = self.timer_key(&timer);
        match timer {
            Timer::AckWait { delivery, .. } => {
                step.delivery = Some(delivery);
                self.broker.release(delivery);
                self.park_if_futile(delivery);
            }
            Timer::Service { service, record, purpose, nth, volatile, cause, attempt, member } => {
                self.timers.note_fired((service, record, purpose), nth);
                if step.fate.crash == Some(Window::BeforeSave) && !volatile {
                    // A durable job that nobody finished is run again.
                    let attempt = attempt.saturating_add(1);
                    let again = Timer::Service { service, record, purpose, nth, volatile, cause, attempt, member };
                    self.timers.insert_carrying(due, again, payload.clone());
                }
                let fires = service::Timer::fired(record, due, purpose, volatile).with_payload(payload);
                self.firing = Some(fires);
                // A durable job is in a queue, of which the first member takes it.
                let member = if volatile { member } else { 0 };
                self.work(Job::Timer { record, cause }, Actor { service, member }, None, step);
                self.firing = None;
            }
        }
    }

    /// Runs a handler from its save on: save, publish, ack, as far as the fate's crash lets it.
    #[inline(never)]
    fn work(&mut self, job: Job, actor: Actor, begun: Option<Begun>, step: &mut Step) {
        let read_at = begun.map(|begun| begun.read_at);
        step.actor = Some(actor);
        step.delivery = delivery_of(job);
        let oldest = self.oldest_read(actor.service).into_iter().chain(read_at).min();
        let store = &mut self.stores[actor.service.get()];
        store.begin_step(self.now, oldest);
        let tick = store.tick();
        if step.fate.crash == Some(Window::BeforeSave) {
            return self.crash_before_save(job, actor, read_at, step);
        }
        self.effects.clear();
        step.set_answer(self.call(job, actor, read_at));
        self.conclude(job, actor, begun, tick, step);
    }

    /// What follows from what a handler did and answered. Its store stood at `tick` before.
    #[inline(always)]
    fn conclude(&mut self, job: Job, actor: Actor, begun: Option<Begun>, tick: u64, step: &mut Step) {
        let (Some(answer), crash) = (step.answer, step.fate.crash) else { return };
        // Most deliveries of a hard run come too early or again, and do nothing.
        let acts = self.stores[actor.service.get()].changed() || !self.effects.is_empty();
        let carried = acts || crash.is_some();
        let (changed, armed) = if carried { self.carry_out(job, actor, begun, crash, answer) } else { (false, false) };
        step.saved = changed;
        if let (Job::Delivery(index), Answer::Delivery(outcome)) = (job, answer) {
            if changed {
                self.broker.note_effect(index);
            }
            let silent = !acts || !armed && self.broker.messages().len() == step.published.start;
            // What was acked will be acked again: redelivery ends it even if it changes nothing. And
            // what a crash took back can still be done.
            let refused = outcome != Outcome::Ack && crash.is_none();
            let inert = refused && !changed && silent && !self.effects.impure && begun.is_none();
            self.broker.note_futile(index, inert, tick);
            if inert && self.broker.has_shared() && self.broker.service_of_delivery(index).is_none() {
                self.broker.note_futile_for(index, actor.service, tick);
            }
            self.answer(index, actor.service, outcome, step.fate);
        }
        if changed {
            self.broker.unpark(actor.service);
        }
        if crash.is_some() {
            self.crash(actor);
        }
    }

    /// Saves, publishes and arms what a handler asked for, and says whether the store changed and a timer was armed.
    #[inline(always)]
    fn carry_out(
        &mut self,
        job: Job,
        actor: Actor,
        begun: Option<Begun>,
        crash: Option<Window>,
        answer: Answer,
    ) -> (bool, bool) {
        self.abort_if_refused(job, actor.service, answer);
        if begun.is_some_and(|begun| begun.published) {
            self.effects.published.clear();
        }
        if !self.effects.published.is_empty() || crash == Some(Window::BeforePublish) {
            self.publish(job, actor.service, crash);
        }
        let armed = !self.effects.armed.is_empty();
        if armed {
            self.arm(job, actor);
        }
        (self.stores[actor.service.get()].changed(), armed)
    }

    /// The member crashes before its handler saved; what it would have answered counts only if the
    /// ack goes first.
    #[inline(never)]
    fn crash_before_save(&mut self, job: Job, actor: Actor, read_at: Option<u64>, step: &mut Step) {
        let mut acked = false;
        if let Job::Delivery(index) = job {
            if self.acks_first(actor.service) {
                let answer = self.call(job, actor, read_at);
                acked = answer == Answer::Delivery(Outcome::Ack);
                self.stores[actor.service.get()].roll_back();
            }
            if acked {
                self.answer(index, actor.service, Outcome::Ack, step.fate);
            } else {
                self.unanswered(index);
            }
        }
        step.set_answer(Answer::Crashed { acked });
        self.crash(actor);
    }

    #[inline]
    fn publish_mode(&self, job: Job, service: ServiceIndex) -> PublishMode {
        let work = match job {
            Job::Command { .. } => Work::Command,
            Job::Delivery(_) => Work::Delivery,
            Job::Timer { .. } => Work::Timer,
        };
        self.simulation.inner.services[service.get()].publish_modes[work as usize]
    }

    fn acks_first(&self, service: ServiceIndex) -> bool {
        self.simulation.inner.services[service.get()].ack_timing == AckTiming::BeforeSave
    }

    /// With an outbox the handler runs in one transaction, which only success commits.
    #[inline]
    fn abort_if_refused(&mut self, job: Job, service: ServiceIndex, answer: Answer) {
        if !answer.is_success() && self.publish_mode(job, service) == PublishMode::Outbox {
            self.stores[service.get()].roll_back();
            self.effects.published.clear();
            self.effects.armed.clear();
        }
    }

    #[inline(always)]
    fn call(&mut self, job: Job, actor: Actor, read_at: Option<u64>) -> Answer {
        let inner = &*self.simulation.inner;
        let service = &inner.services[actor.service.get()].service;
        let store = &mut self.stores[actor.service.get()];
        if let Some(tick) = read_at {
            store.open_at(tick);
        }
        let (effects, memories, member) = (&mut self.effects, &mut self.memories, (actor.service, actor.member));
        let mut ctx = Context { store, effects, memories, member, now: self.now, attempt: 0 };
        let answer = match job {
            Job::Delivery(index) => {
                let delivery = self.broker.delivery(index);
                ctx.attempt = delivery.attempt;
                Answer::Delivery(service.handle(&self.broker.message(delivery.message).event, &mut ctx))
            }
            Job::Command { client, ordinal } => {
                let hosted = &inner.clients[client.get()].commands[ordinal as usize];
                Answer::Command(service.execute(&hosted.command, &mut ctx))
            }
            Job::Timer { .. } => {
                if let Some(timer) = &self.firing {
                    service.on_timer(timer, &mut ctx);
                }
                Answer::Timer
            }
        };
        ctx.store.close();
        answer
    }

    fn publish(&mut self, job: Job, service: ServiceIndex, crash: Option<Window>) {
        if crash == Some(Window::BeforePublish) {
            match self.publish_mode(job, service) {
                PublishMode::Outbox => {}
                PublishMode::DualWrite => self.effects.published.clear(),
                PublishMode::BeforeSave => self.stores[service.get()].roll_back(),
            }
        }
        let cause = self.cause_of(job);
        self.broker.publish(&mut self.effects.published, cause);
    }

    fn arm(&mut self, job: Job, Actor { service, member }: Actor) {
        let cause = self.cause_of(job);
        for arming in self.effects.armed.drain(..) {
            match arming {
                Arming::Arm(mut timer) => {
                    let (record, purpose, volatile) = (timer.record(), timer.purpose(), timer.is_in_memory());
                    let nth = self.timers.next_number((service, record, purpose));
                    let armed = Timer::Service { service, record, purpose, nth, volatile, cause, attempt: 1, member };
                    self.timers.insert_carrying(timer.due(), armed, timer.take_payload());
                }
                Arming::CallOff { record, purpose } => self.timers.call_off((service, record, purpose), member),
            }
        }
    }

    fn cause_of(&self, job: Job) -> u32 {
        match job {
            Job::Delivery(index) => self.broker.message(self.broker.delivery(index).message).cause,
            Job::Command { .. } => self.commands_run,
            Job::Timer { cause, .. } => cause,
        }
    }

    /// The answer reaches the broker, or does not.
    #[inline(always)]
    fn answer(&mut self, index: DeliveryIndex, service: ServiceIndex, outcome: Outcome, fate: Fate) {
        let cut_off = matches!(fate.crash, Some(Window::BeforePublish | Window::BeforeAck));
        let acked = !cut_off || self.acks_first(service);
        match outcome {
            Outcome::Ack if fate.ack == AckFate::Prompt && acked => self.broker.ack(index),
            Outcome::Ack if fate.ack == AckFate::Late && acked => self.ack_travels(index),
            Outcome::Nak { delay, .. } if fate.ack != AckFate::Lost && !cut_off && self.broker.profile().naks => {
                self.nak(index, delay);
            }
            // What is lost is a silence, and so is a nak of which the broker knows nothing.
            Outcome::Ack | Outcome::Nak { .. } | Outcome::Silent(_) => self.unanswered(index),
        }
    }

    fn ack_travels(&mut self, index: DeliveryIndex) {
        self.broker.begin_acking(index);
        self.acks.push(index);
        self.push_offer(Action::Ack(index));
        self.arm_ack_wait(index);
    }

    fn nak(&mut self, index: DeliveryIndex, delay: Option<std::time::Duration>) {
        self.broker.begin_waiting(index);
        match delay {
            None => self.release_now(index),
            Some(delay) => {
                // The ack wait of a handler that paused is over with its answer.
                self.timers.end_ack_waits(index);
                let tries = self.broker.delivery(index).tries;
                self.timers.insert(self.now.after(delay), Timer::AckWait { delivery: index, tries });
            }
        }
    }

    #[inline(always)]
    fn unanswered(&mut self, index: DeliveryIndex) {
        if let Some(wait) = self.broker.unanswered(index) {
            let tries = self.broker.delivery(index).tries;
            self.timers.insert(self.now.after(wait), Timer::AckWait { delivery: index, tries });
        }
        self.park_if_futile(index);
    }

    /// Starts the ack wait of a delivery in flight, which may be over at once.
    fn arm_ack_wait(&mut self, index: DeliveryIndex) {
        let delivery = self.broker.delivery(index);
        if !delivery.is_in_flight() {
            return;
        }
        let tries = delivery.tries;
        match self.broker.profile().wait_for(tries) {
            None => {}
            Some(wait) if wait.is_zero() => self.release_now(index),
            Some(wait) => {
                self.timers.insert(self.now.after(wait), Timer::AckWait { delivery: index, tries });
            }
        }
    }

    #[inline]
    fn release_now(&mut self, index: DeliveryIndex) {
        self.broker.release(index);
        self.park_if_futile(index);
    }

    #[inline(always)]
    fn park_if_futile(&mut self, index: DeliveryIndex) {
        if self.parks_futile && self.broker.delivery(index).state == State::Queued && self.is_futile(index) {
            self.broker.park(index);
        }
    }

    /// A member dies and is back at once, with nothing in memory: what it was handling is cut off
    /// and its in-memory timers are gone.
    fn crash(&mut self, actor: Actor) {
        let release = self.broker.profile().release_on.crash;
        let (cut_off, kept): (Vec<Paused>, Vec<Paused>) =
            self.paused.drain(..).partition(|paused| paused.actor == actor);
        self.paused = kept;
        self.paused_indices.clear();
        self.paused_indices.extend(self.paused.iter().map(|paused| paused.index));
        for paused in cut_off {
            match paused.job {
                Job::Delivery(index) => self.broker.begin_waiting(index),
                Job::Command { client, .. } => self.command_cut_off(client),
                Job::Timer { .. } => {}
            }
        }
        if release {
            let held = self.broker.waiting_at(actor.service, actor.member);
            held.into_iter().for_each(|index| self.release_now(index));
        }
        let is_lost = |timer: &Timer| {
            matches!(timer, Timer::Service { service, volatile: true, member, .. }
                if (*service, *member) == (actor.service, actor.member))
        };
        self.timers.retain(|timer| !is_lost(timer));
        self.memories.forget((actor.service, actor.member));
    }

    /// The oldest read of a paused handler of a service.
    #[inline]
    fn oldest_read(&self, service: ServiceIndex) -> Option<u64> {
        if self.paused.is_empty() { None } else { self.oldest_read_paused(service) }
    }

    #[cold]
    fn oldest_read_paused(&self, service: ServiceIndex) -> Option<u64> {
        self.paused.iter().filter(|paused| paused.actor.service == service).map(|paused| paused.begun.read_at).min()
    }

    /// Forgets ack waits at the head of the queue whose delivery has been answered meanwhile.
    #[inline]
    fn drop_dead_timers(&mut self) {
        while self.timers.first().is_some_and(|(_, timer)| !self.is_live(timer)) {
            self.timers.pop_first();
        }
    }

    pub(super) fn is_live(&self, timer: &Timer) -> bool {
        match timer {
            Timer::AckWait { delivery, tries } => {
                let delivery = self.broker.delivery(*delivery);
                delivery.is_in_flight() && delivery.tries == *tries
            }
            Timer::Service { .. } => true,
        }
    }

    /// The fingerprint with what a step was, but not yet with what it saved and published.
    #[inline(always)]
    fn fold_what(&self, key: u64, fate_word: u64, answer_word: u64) -> u64 {
        hash::mix(self.fingerprint, hash::mix3(key, fate_word, answer_word))
    }

    #[inline(always)]
    fn fold(&mut self, step: &Step) {
        let mut hash = self.fold_what(step.key, step.fate_word, step.answer_word);
        // Few steps save, and then it is known who acted.
        if step.saved
            && let Some(actor) = step.actor
        {
            hash = hash::mix(hash, self.stores[actor.service.get()].saved());
        }
        if step.published.end > step.published.start {
            let published = &self.broker.messages()[step.published.clone()];
            hash = published.iter().fold(hash, |hash, message| hash::mix(hash, message.hash));
        }
        self.fingerprint = hash;
    }
}

fn delivery_of(job: Job) -> Option<DeliveryIndex> {
    match job {
        Job::Delivery(index) => Some(index),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
