//! The execution of one handler: what it may touch, and what is done with what it asks for.
//!
//! One text for deliveries, commands and timers. A handler passes read → save → publish → ack; a pause
//! ends it after the read, and a crash cuts it off in one of the windows.

use super::small::Small;
use super::step::{Actor, Answer, Step};
use super::timers::Timers;
use super::{Begun, Paused, Timer, World};
use crate::broker::{Attempt, Broker, Consumer, FutileAt, Handled, Reply};
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::ids::{ServiceIndex, Time};
use crate::service::{self, AckTiming, Arming, Context, Effects, Memories, Outcome, PublishMode, Work};
use crate::simulation::Inner;
use crate::store::Store;

/// What a handler is to handle.
pub(super) enum Task<'t, S: System> {
    Delivery { event: &'t S::Event, attempt: u16 },
    Command(&'t S::Command),
    Timer(&'t service::Timer),
}

impl<S: System> Task<'_, S> {
    fn work(&self) -> Work {
        match self {
            Task::Delivery { .. } => Work::Delivery,
            Task::Command(_) => Work::Command,
            Task::Timer(_) => Work::Timer,
        }
    }
}

/// A handler that runs: all of the world but the broker, which a handler does not see.
pub(super) struct Execution<'w, S: System> {
    pub(super) inner: &'w Inner<S>,
    stores: &'w mut [Store],
    effects: &'w mut Effects<S::Event>,
    memories: &'w mut Memories,
    timers: &'w mut Timers,
    paused: &'w [Paused],
    at_work: &'w mut Option<Actor>,
    now: Time,
    step: &'w mut Step,
    /// What it did before it paused, if it goes on; what it has done, once it has paused.
    pub(super) begun: Option<Begun>,
}

impl<S: System> World<S> {
    /// The broker, and a handler to be run, which goes on if it has begun.
    #[inline(always)]
    pub(super) fn execution<'w>(
        &'w mut self,
        step: &'w mut Step,
        begun: Option<Begun>,
    ) -> (&'w mut Broker<S::Event>, Execution<'w, S>) {
        let World { simulation, broker, stores, effects, timers, small, at_work, .. } = self;
        let Small { memories, paused, now, .. } = small;
        let (inner, now) = (&*simulation.inner, *now);
        (broker, Execution { inner, stores, effects, memories, timers, paused, at_work, now, step, begun })
    }
}

impl<S: System> Execution<'_, S> {
    /// Runs a handler as far as its fate lets it. Returns at which state of its store it changes nothing if it
    /// is done again, if it came to its answer.
    #[inline(always)]
    pub(super) fn run(&mut self, actor: Actor, task: &Task<'_, S>, cause: u32) -> Option<FutileAt> {
        self.step.actor = Some(actor);
        *self.at_work = Some(actor);
        self.effects.clear();
        if self.step.fate.pause && self.begun.is_none() {
            self.pause(actor, task);
            return None;
        }
        let tick = self.begin(actor.service);
        if self.step.fate.crash == Some(Window::BeforeSave) {
            self.crash_before_save(actor, task);
            return None;
        }
        let answer = self.call(actor, task);
        self.step.set_answer(answer);
        let store = &self.stores[actor.service.get()];
        // Most deliveries of a hard run come too early or again, and do nothing.
        let mut armed = false;
        if store.changed() || !self.effects.is_empty() || self.step.fate.crash.is_some() {
            armed = self.carry_out(actor, task.work(), answer, cause);
        }
        self.step.saved = self.stores[actor.service.get()].changed();
        // What was acked will be acked again: redelivery ends it even if it changes nothing. And what a crash
        // took back can still be done.
        let refused = !self.step.answered_ack() && self.step.fate.crash.is_none();
        let silent = !armed && self.effects.published.is_empty();
        let inert = refused && !self.step.saved && silent && !self.effects.impure && self.begun.is_none();
        Some(if inert { FutileAt::tick(tick) } else { FutileAt::NEVER })
    }

    /// Begins a step of a service's store; returns at which tick.
    #[inline(always)]
    fn begin(&mut self, service: ServiceIndex) -> u64 {
        let mut oldest = self.begun.map(|begun| begun.read_at);
        if !self.paused.is_empty() {
            let of_service = self.paused.iter().filter(|paused| paused.actor.service == service);
            oldest = of_service.map(|paused| paused.begun.read_at).chain(oldest).min();
        }
        let store = &mut self.stores[service.get()];
        store.begin_step(self.now, oldest);
        store.tick()
    }

    #[inline(always)]
    fn call(&mut self, actor: Actor, task: &Task<'_, S>) -> Answer {
        let service = &self.inner.services[actor.service.get()].service;
        let store = &mut self.stores[actor.service.get()];
        if let Some(begun) = self.begun {
            store.open_at(begun.read_at);
        }
        let (effects, memories, member) = (&mut *self.effects, &mut *self.memories, (actor.service, actor.member));
        let mut ctx = Context { store, effects, memories, member, now: self.now, attempt: 0 };
        let answer = match task {
            Task::Delivery { event, attempt } => {
                ctx.attempt = *attempt;
                Answer::Delivery(service.handle(event, &mut ctx))
            }
            Task::Command(command) => Answer::Command(service.execute(command, &mut ctx)),
            Task::Timer(timer) => {
                service.on_timer(timer, &mut ctx);
                Answer::Timer
            }
        };
        if self.begun.is_some() {
            ctx.store.close();
        }
        answer
    }

    /// The handler has read and goes on some other time. If its service publishes before it saves, it says what
    /// it is going to say, unless it refuses; what else it does is left to its resume.
    #[inline(never)]
    fn pause(&mut self, actor: Actor, task: &Task<'_, S>) {
        let mut published = false;
        if self.publish_mode(actor.service, task.work()) == PublishMode::BeforeSave {
            self.begin(actor.service);
            // What it does to its memory it does when it goes on.
            let memories = self.memories.clone();
            published = self.call(actor, task).is_success();
            *self.memories = memories;
            self.stores[actor.service.get()].roll_back();
            self.effects.armed.clear();
            if !published {
                self.effects.published.clear();
            }
        }
        let store = &self.stores[actor.service.get()];
        self.begun = Some(Begun { read_at: store.tick(), read: store.rows_digest(), published });
        self.step.set_answer(Answer::Paused);
    }

    /// The member crashes before its handler saved; what it would have answered counts only if the
    /// ack goes first.
    #[inline(never)]
    fn crash_before_save(&mut self, actor: Actor, task: &Task<'_, S>) {
        let mut acked = false;
        if matches!(task, Task::Delivery { .. }) && self.acks_first(actor.service) {
            acked = matches!(self.call(actor, task), Answer::Delivery(Outcome::Ack));
            self.stores[actor.service.get()].roll_back();
            self.effects.clear();
        }
        self.step.set_answer(Answer::Crashed { acked });
    }

    /// Takes back, publishes and arms what a handler asked for, as far as its answer and its crash let it; says
    /// whether a timer was armed.
    #[inline(never)]
    fn carry_out(&mut self, actor: Actor, work: Work, answer: Answer, cause: u32) -> bool {
        let mode = self.publish_mode(actor.service, work);
        let store = &mut self.stores[actor.service.get()];
        if !answer.is_success() && mode == PublishMode::Outbox {
            // With an outbox the handler runs in one transaction, which only success commits.
            store.roll_back();
            self.effects.published.clear();
            self.effects.armed.clear();
        }
        if self.begun.is_some_and(|begun| begun.published) {
            self.effects.published.clear();
        }
        if self.step.fate.crash == Some(Window::BeforePublish) {
            match mode {
                PublishMode::Outbox => {}
                PublishMode::DualWrite => self.effects.published.clear(),
                PublishMode::BeforeSave => store.roll_back(),
            }
        }
        let arms = !self.effects.armed.is_empty();
        if arms {
            self.arm(actor, cause);
        }
        arms
    }

    fn arm(&mut self, Actor { service, member }: Actor, cause: u32) {
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

    fn publish_mode(&self, service: ServiceIndex, work: Work) -> PublishMode {
        self.inner.services[service.get()].publish_modes[work as usize]
    }

    fn acks_first(&self, service: ServiceIndex) -> bool {
        self.inner.services[service.get()].ack_timing == AckTiming::BeforeSave
    }

    /// What the broker hears of the answer.
    #[inline(always)]
    fn reply(&self, service: ServiceIndex) -> Option<Reply> {
        let Fate { ack, crash, .. } = self.step.fate;
        let cut_off = || matches!(crash, Some(Window::BeforePublish | Window::BeforeAck));
        if self.step.is_paused() {
            return None;
        }
        if let Some(delay) = self.step.nak_delay().filter(|_| ack != AckFate::Lost && !cut_off()) {
            return Some(Reply::Nak(delay));
        }
        let acks = self.step.answered_ack() && (!cut_off() || self.acks_first(service));
        Some(match ack {
            AckFate::Prompt if acks => Reply::Ack,
            AckFate::Late if acks => Reply::LateAck,
            _ => Reply::Silence,
        })
    }
}

impl<S: System> Consumer<S::Event> for Execution<'_, S> {
    #[inline(always)]
    fn consume(&mut self, event: &S::Event, attempt: &Attempt) -> Handled {
        let Attempt { member, number, cause } = *attempt;
        let actor = Actor { service: member.service, member: member.ordinal };
        let futile_at = self.run(actor, &Task::Delivery { event, attempt: number }, cause);
        Handled { reply: self.reply(actor.service), changed: self.step.saved, futile_at }
    }

    fn outbox(&mut self) -> &mut Vec<S::Event> {
        &mut self.effects.published
    }
}
