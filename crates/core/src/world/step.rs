//! One step: an enabled action happens, with its fate.
//!
//! A handler passes read → save → publish → ack. Nothing can come between them unless the fate
//! says so, and then they are one step. A pause ends the step after the read; a crash cuts it off
//! in one of the windows; the ack may be left to a step of its own or to nobody.

use std::ops::Range;
use std::time::Duration;

use super::execution::Task;
use super::{Begun, COMMAND_TIME_US, Job, Paused, Timer, World};
use crate::broker::{Consumer, DeliveryIndex, GroupIndex, HandedOut, Reply, State, take_out};
use crate::event::System;
use crate::faults::{Fate, Window};
use crate::hash;
use crate::ids::{ServiceIndex, Time};
use crate::schedule;
use crate::scheduler::{Action, ClientIndex, PauseIndex};
use crate::service::{self, Outcome, Rejection};

/// A process of a service.
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
        /// Whether it had answered ack by then (see [`AckTiming`](crate::AckTiming)).
        acked: bool,
    },
    /// The broker lost the message; no handler ran.
    Lost,
}

impl Answer {
    /// Whether a handler did what it was asked.
    #[inline]
    pub(super) fn is_success(self) -> bool {
        matches!(self, Answer::Delivery(Outcome::Ack) | Answer::Command(Ok(())) | Answer::Timer)
    }

    const ACKED: u64 = 1;
    const NAKED: u64 = 2;
    /// The words from [`Answer::ACKED`] to here are of handlers that ran far enough to save.
    const LAST_RAN: u8 = 6;
    const PAUSED: u64 = 7;
    const ACKED_CRASHED: u64 = 10;

    /// The answer as one word, for hashing; 0 is none. The low byte is the kind, a rejection's status is above it.
    #[inline(always)]
    fn word(self) -> u64 {
        match self {
            Answer::Delivery(Outcome::Ack) => Answer::ACKED,
            Answer::Delivery(Outcome::Nak { .. }) => Answer::NAKED,
            Answer::Delivery(Outcome::Silent(_)) => 3,
            Answer::Command(Ok(())) => 4,
            Answer::Command(Err(rejection)) => 5 | u64::from(rejection.status) << 8,
            Answer::Timer => Answer::LAST_RAN.into(),
            Answer::Paused => Answer::PAUSED,
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
    /// The answer as one word; 0 if there is none.
    answer_word: u64,
    pub(super) saved: bool,
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
            answer_word: 0,
            saved: false,
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
        matches!(self.answer_word as u8, 1..=Answer::LAST_RAN)
    }

    #[inline(always)]
    pub(super) fn set_answer(&mut self, answer: Answer) {
        (self.answer, self.answer_word) = (Some(answer), answer.word());
    }

    /// Whether its handler read and paused.
    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        self.answer_word == Answer::PAUSED
    }

    /// The delay that a nak asks for, if a delivery was answered with one.
    #[inline]
    pub(super) fn nak_delay(&self) -> Option<Option<Duration>> {
        match self.answer {
            Some(Answer::Delivery(Outcome::Nak { delay, .. })) if self.answer_word == Answer::NAKED => Some(delay),
            _ => None,
        }
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
        matches!(self.answer_word, Answer::ACKED | Answer::ACKED_CRASHED)
    }
}

impl<S: System> World<S> {
    /// Takes one step: `action` happens with `fate`.
    ///
    /// # Panics
    /// If the action is not enabled, or if a handler panics; the world is unusable then.
    pub fn step(&mut self, action: Action, fate: Fate) -> Step {
        let mut step = Step::new(action, fate);
        self.step_into(action, fate, &mut step);
        step
    }

    /// [`World::step`], written to where another step was.
    #[inline]
    pub(crate) fn step_into(&mut self, action: Action, fate: Fate, step: &mut Step) {
        *step = Step::new(action, fate);
        let first = self.broker.messages().len();
        self.small.steps += 1;
        self.at_work = None;
        match action {
            Action::Deliver(index) => self.deliver(index, step),
            Action::Command(client) => self.send(client, step),
            Action::Resume(index) => self.resume(index, step),
            Action::Ack(index) => self.ack_arrives(index, step),
            Action::Join(group) => self.join(group, step),
            Action::Advance => self.advance(step),
        }
        (step.number, step.time) = (self.small.steps, self.small.now);
        step.published = first..self.broker.messages().len();
        self.drop_dead_timers();
        let may_wake = step.saved || self.effects.remembers;
        if !self.small.waiting.is_empty() && (may_wake || matches!(action, Action::Command(_) | Action::Advance)) {
            self.wake_clients();
        }
        self.fold(step);
    }

    /// The step that a panic has cut off. It saved and published nothing, and nobody knows its answer.
    pub(crate) fn cut_off(&self, action: Action, fate: Fate) -> Step {
        let delivery = match action {
            Action::Deliver(index) => Some(index),
            _ => None,
        };
        let published = self.broker.messages().len();
        Step {
            number: self.small.steps,
            time: self.small.now,
            actor: self.at_work,
            delivery,
            published: published..published,
            ..Step::new(action, fate)
        }
    }

    /// Hands a delivery to a member.
    #[inline(always)]
    fn deliver(&mut self, index: DeliveryIndex, step: &mut Step) {
        let fate = step.fate;
        step.key = self.broker.delivery(index).key;
        step.delivery = Some(index);
        let (broker, mut execution) = self.execution(step, None);
        let Some(handed_out) = broker.hand_out(index, fate, &mut execution) else {
            step.set_answer(Answer::Lost);
            return;
        };
        let begun = execution.begun;
        self.hear(index, handed_out);
        self.after_handler(Job::Delivery(index), begun, step);
    }

    /// A client sends its next command.
    fn send(&mut self, client: ClientIndex, step: &mut Step) {
        let ordinal = self.small.sent[client.get()];
        let command = &self.inner().clients[client.get()].commands[ordinal as usize];
        let (service, key) = (command.service, self.attempt_key(client, command));
        let actor = Actor { service, member: self.inner().services[service.get()].member_for(key) };
        step.key = key;
        take_out(&mut self.small.idle, &client);
        self.small.sent[client.get()] += 1;
        self.small.commands_run += 1;
        self.small.now = Time(self.small.now.0 + COMMAND_TIME_US);
        self.execute(client, ordinal, (actor, None), step);
    }

    /// Runs the handler of a command, and lets its client go on.
    fn execute(&mut self, client: ClientIndex, ordinal: u32, at: (Actor, Option<Begun>), step: &mut Step) {
        let ((actor, begun), cause) = (at, self.small.commands_run);
        let (broker, mut execution) = self.execution(step, begun);
        let command = &execution.inner.clients[client.get()].commands[ordinal as usize].command;
        execution.run(actor, &Task::Command(command), cause);
        broker.publish(execution.outbox(), cause);
        let begun = execution.begun;
        self.after_handler(Job::Command { client, ordinal }, begun, step);
        if !step.is_paused() {
            self.after_command(client, step);
        }
    }

    #[inline(never)]
    fn resume(&mut self, index: PauseIndex, step: &mut Step) {
        let place = self.small.paused.iter().position(|paused| paused.index == index).expect("a paused handler");
        let Paused { job, actor, begun, fate, key, .. } = self.small.paused.remove(place);
        self.small.paused_indices.remove(place);
        (step.key, step.fate) = (key, fate);
        match job {
            Job::Delivery(index) => {
                step.delivery = Some(index);
                let (broker, mut execution) = self.execution(step, Some(begun));
                let handed_out = broker.resume(index, &mut execution);
                self.hear(index, handed_out);
                self.after_handler(job, None, step);
            }
            Job::Command { client, ordinal } => self.execute(client, ordinal, (actor, Some(begun)), step),
            Job::Timer { .. } => {}
        }
    }

    /// Notes what the broker does with a delivery that was handed out and answered, or not yet.
    #[inline(always)]
    fn hear(&mut self, index: DeliveryIndex, HandedOut { reply, wait }: HandedOut) {
        if matches!(reply, Some(Reply::LateAck)) {
            self.small.acks.push(index);
            self.push_offer(Action::Ack(index));
        }
        if let Some(wait) = wait {
            if matches!(reply, Some(Reply::Nak(_))) {
                // The ack wait of a handler that paused is over with its answer.
                self.timers.end_ack_waits(index);
            }
            let tries = self.broker.delivery(index).tries;
            self.timers.insert(self.small.now.after(wait), Timer::AckWait { delivery: index, tries });
        }
        self.park_if_futile(index);
    }

    /// What follows in the world from what a handler did.
    #[inline(always)]
    fn after_handler(&mut self, job: Job, begun: Option<Begun>, step: &Step) {
        if step.saved
            && let Some(actor) = step.actor
        {
            self.broker.unpark(actor.service);
        }
        if step.is_paused() {
            self.note_pause(job, begun, step);
        } else if step.fate.crash.is_some()
            && let Some(actor) = step.actor
        {
            self.crash(actor);
        }
    }

    /// A handler has read and will save later.
    #[inline(never)]
    fn note_pause(&mut self, job: Job, begun: Option<Begun>, step: &Step) {
        let Some((actor, begun)) = step.actor.zip(begun) else { return };
        let index = PauseIndex(self.small.pauses);
        self.small.pauses += 1;
        self.small.paused.push(Paused { index, job, actor, begun, fate: step.fate, key: hash::mix(step.key, 3) });
        self.small.paused_indices.push(index);
        self.push_offer(Action::Resume(index));
    }

    /// The key of the late ack of a delivery: what was offered is what happens.
    pub(super) fn ack_key(&self, index: DeliveryIndex) -> u64 {
        schedule::ack_key(self.broker.delivery(index).key)
    }

    fn ack_arrives(&mut self, index: DeliveryIndex, step: &mut Step) {
        step.key = self.ack_key(index);
        step.delivery = Some(index);
        take_out(&mut self.small.acks, &index);
        self.broker.ack(index);
    }

    fn join(&mut self, group: GroupIndex, step: &mut Step) {
        step.key = hash::of_name(self.broker.group_name(group));
        take_out(&mut self.small.absent, &group);
        self.broker.join(group);
    }

    #[inline(never)]
    fn advance(&mut self, step: &mut Step) {
        let (due, timer, payload) = self.timers.pop_first().expect("the clock moves only towards a timer");
        self.small.now = self.small.now.max(due);
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
                // A durable job is in a queue, of which the first member takes it.
                let actor = Actor { service, member: if volatile { member } else { 0 } };
                let (broker, mut execution) = self.execution(step, None);
                execution.run(actor, &Task::Timer(&fires), cause);
                broker.publish(execution.outbox(), cause);
                self.after_handler(Job::Timer { record, cause }, None, step);
            }
        }
    }

    #[inline(always)]
    fn park_if_futile(&mut self, index: DeliveryIndex) {
        if self.parks_futile && self.broker.delivery(index).state == State::Queued && self.is_futile(index) {
            self.broker.park(index);
        }
    }

    /// A member dies and is back at once, with nothing in memory: what it was handling is cut off
    /// and its in-memory timers are gone.
    #[inline(never)]
    fn crash(&mut self, actor: Actor) {
        let release = self.broker.profile().release_on.crash;
        let (cut_off, kept): (Vec<Paused>, Vec<Paused>) =
            self.small.paused.drain(..).partition(|paused| paused.actor == actor);
        self.small.paused = kept;
        self.small.paused_indices.clear();
        self.small.paused_indices.extend(self.small.paused.iter().map(|paused| paused.index));
        for paused in cut_off {
            match paused.job {
                Job::Delivery(index) => self.broker.begin_waiting(index),
                Job::Command { client, .. } => self.command_cut_off(client),
                Job::Timer { .. } => {}
            }
        }
        if release {
            for index in self.broker.waiting_at(actor.service, actor.member) {
                self.broker.release(index);
                self.park_if_futile(index);
            }
        }
        let is_lost = |timer: &Timer| {
            matches!(timer, Timer::Service { service, volatile: true, member, .. }
                if (*service, *member) == (actor.service, actor.member))
        };
        self.timers.retain(|timer| !is_lost(timer));
        self.small.memories.forget((actor.service, actor.member));
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

    /// Adds a step to the fingerprint.
    #[inline(always)]
    fn fold(&mut self, step: &Step) {
        let what = hash::mix3(step.key, step.fate.word(), step.answer_word);
        let mut hash = hash::mix(self.small.fingerprint, what);
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
        self.small.fingerprint = hash;
    }
}

#[cfg(test)]
mod tests;
