//! The execution of one handler: what it may touch, and what is done with what it asks for.
//!
//! One text for deliveries, commands and timers. A handler passes read → save → publish → ack; a pause
//! ends it after the read, and a crash cuts it off in one of the windows.

use std::time::Duration;

use super::publishing::{Late, answers_last};
use super::small::Small;
use super::taken::{Actor, Answer, Step};
use super::{Begun, Host, Timer, World};
use crate::broker::{Attempt, Broker, Consumer, Dedup, FutileAt, Handled, Message, Reply, Silence};
use crate::event::System;
use crate::faults::{AckFate, Fate, Window};
use crate::hash;
use crate::ids::{ServiceIndex, Subject};
use crate::service::{
    self, AckTiming, Arming, AskedService, Asking, Commit, Context, Effects, Left, Others, PublishMode, Work,
};
use crate::simulation::{Hosted, Inner};
use crate::store::Store;

/// What a handler is to handle.
pub(super) enum Task<'t, S: System> {
    Delivery { event: &'t S::Event, subject: Subject, attempt: u16 },
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

/// A handler that runs, in a step.
pub(super) struct Execution<'w, S: System> {
    pub(super) inner: &'w Inner<S>,
    host: &'w mut Host<S>,
    fate: Fate,
    step: &'w mut Step,
    /// What it did before it paused, if it goes on.
    begun: Option<Begun>,
    /// Whether it may work for some time before it answers.
    pub(super) may_work: bool,
}

impl<S: System> World<S> {
    /// The broker, and a handler to be run, which goes on if it has begun.
    #[inline(always)]
    pub(super) fn execution<'w>(
        &'w mut self,
        fate: Fate,
        step: &'w mut Step,
        begun: Option<Begun>,
    ) -> (&'w mut Broker<S::Event>, Execution<'w, S>) {
        let World { simulation, broker, host, .. } = self;
        (broker, Execution { inner: &simulation.inner, host, fate, step, begun, may_work: false })
    }
}

impl<S: System> Execution<'_, S> {
    /// Runs a handler as far as its fate lets it. Returns at which state of its store it changes nothing if it
    /// is done again, if it came to its answer.
    #[inline(always)]
    pub(super) fn run(&mut self, actor: Actor, task: Task<'_, S>, cause: u32) -> Option<FutileAt> {
        let Execution { inner, host, fate, step, begun, may_work } = self;
        let hosted = &inner.services[actor.service.get()];
        let is_cut = fate.is_cut();
        step.actor = Some(actor);
        host.effects.clear();
        if hosted.awaits {
            host.begin_progress(*begun, *fate);
        } else if begun.is_none() && (fate.pause || *may_work && !hosted.takes[task.work() as usize].is_zero()) {
            step.late = Late::Nobody;
            host.pause(hosted, actor, task, step);
            return None;
        }
        if is_cut {
            step.late = Late::Nobody;
            if fate.crash == Some(Window::BeforeSave) {
                host.crash_before_save(hosted, actor, task, *begun, step);
                return None;
            }
        }
        let work = task.work();
        let (store, effects) = host.call(hosted, actor, task, *begun, step);
        // What was acked will be acked again: redelivery ends it even if it changes nothing. And what a crash
        // took back can still be done.
        let mut is_inert = !is_cut && !step.answered_ack();
        let mut tick = store.tick();
        // Most deliveries of a hard run come too early or again, and do nothing.
        if store.changed() || effects.has_any {
            if (is_cut || !step.is_success()) && !step.is_paused() {
                let has_published = begun.is_some_and(|begun| begun.published);
                if !cuts_between(store, effects, hosted, work, step) {
                    take_back(store, effects, hosted.publish_modes[work as usize], step);
                }
                if has_published {
                    effects.published.clear();
                }
            }
            (step.saved, step.asking) = (store.changed(), effects.asking);
            tick = store.tick();
            if fate.answer.is_some() {
                is_inert &= step.misled().is_none();
            }
            is_inert &= !step.saved && !effects.impure && effects.is_empty();
            if effects.acts_outside {
                step.acted = host.act();
                is_inert &= !step.acted;
            }
            if fate.republish {
                host.say_again(hosted, (actor, work), inner.profile.dedup_window != Dedup::None, step);
            }
            let effects = &host.effects;
            let (arms, says) = (!effects.armed.is_empty(), !effects.published.is_empty());
            let is_late = fate.slow_publish && !step.crashed_between() && !step.is_paused();
            if says && (is_late || !host.unpublished.is_empty()) {
                host.keep_back(hosted, actor, work, cause, step);
            }
            if arms {
                host.arm(actor, cause);
            }
        }
        if hosted.awaits {
            is_inert &= begun.is_none() && !step.is_paused();
            step.awaits = host.progress.passed();
            host.note_left(hosted, actor, *begun, step);
        }
        if is_inert && inner.has_askers {
            tick = host.read_tick(hosted, tick);
        }
        Some(if is_inert { FutileAt::tick(tick) } else { FutileAt::NEVER })
    }

    /// What the broker hears of the answer for now, if the process may be late with what it has to say.
    #[inline(never)]
    fn reply_by_now(&mut self, service: ServiceIndex, reply: Reply) -> Reply {
        let ack_timing = self.inner.services[service.get()].ack_timing;
        if let Some(kept) = self.host.kept.as_mut().filter(|_| answers_last(ack_timing, self.step.late)) {
            kept.reply = Some(reply);
            return Reply::NotYet;
        }
        reply
    }

    /// What the broker hears of the answer.
    #[inline(always)]
    fn reply(&self, service: ServiceIndex) -> Reply {
        let (fate, step) = (self.fate, &*self.step);
        if (fate.interrupts() || self.may_work) && step.is_paused() {
            return Reply::NotYet;
        }
        let cut_off = matches!(fate.crash, Some(Window::BeforePublish | Window::BeforeAck))
            || fate.crash == Some(Window::BetweenSaves) && step.crashed_between();
        let acks_first = || self.inner.services[service.get()].ack_timing == AckTiming::BeforeSave;
        let acks = if fate.is_cut() { step.answered_ack() && (!cut_off || acks_first()) } else { step.is_ack() };
        match fate.ack {
            AckFate::Prompt if acks => Reply::Ack,
            AckFate::Late if acks => Reply::LateAck,
            AckFate::Prompt | AckFate::Late if step.is_nak() && !cut_off => Reply::Nak,
            _ => Reply::Silence,
        }
    }
}

impl<S: System> Host<S> {
    /// Lets the handler of a service answer in a step of its store, from what it read then if it has read before;
    /// returns that store, and what it did besides.
    #[inline(always)]
    fn call<'h>(
        &'h mut self,
        hosted: &'h Hosted<S>,
        actor: Actor,
        task: Task<'_, S>,
        begun: Option<Begun>,
        step: &mut Step,
    ) -> (&'h mut Store, &'h mut Effects<S::Event>) {
        if !hosted.asks.is_empty() {
            return self.call_asking(hosted, actor, task, begun, step);
        }
        let Host { stores, effects, small, progress, .. } = self;
        let read_at = begun.filter(|_| !hosted.awaits).map(|begun| begun.read_at);
        let progress = hosted.awaits.then_some(progress);
        let store = begin(stores, small, actor.service, read_at);
        let (memories, member, now) = (&mut small.memories, (actor.service, actor.member), small.now);
        let ctx = Context { store, others: None, effects, memories, progress, member, now, attempt: 0, subject: None };
        answer(hosted, task, ctx, read_at, step)
    }

    /// [`Host::call`] of a handler that may ask other services.
    #[inline(never)]
    fn call_asking<'h>(
        &'h mut self,
        hosted: &'h Hosted<S>,
        actor: Actor,
        task: Task<'_, S>,
        begun: Option<Begun>,
        step: &mut Step,
    ) -> (&'h mut Store, &'h mut Effects<S::Event>) {
        let Host { stores, effects, small, progress, .. } = self;
        // An `async fn` asks when it comes to that.
        let begun = begun.filter(|_| !hosted.awaits);
        let read_at = begun.map(|begun| begun.read_at);
        let progress = hosted.awaits.then_some(progress);
        begin(stores, small, actor.service, read_at);
        let (before, rest) = stores.split_at_mut(actor.service.get());
        let (store, after) = rest.split_first_mut().expect("each service has a store");
        let (paused, fault) = (begun.map(|begun| (begun.pause, &*small.asked_at)), step.fate.answer);
        let others = Some(Others { before, after, asks: &hosted.asks, paused, fault });
        let (memories, member, now) = (&mut small.memories, (actor.service, actor.member), small.now);
        let ctx = Context { store, others, effects, memories, progress, member, now, attempt: 0, subject: None };
        answer(hosted, task, ctx, read_at, step)
    }

    /// The handler has read and goes on some other time. If its service publishes before it saves, it says what
    /// it is going to say, unless it refuses; what else it does is left to its resume.
    #[inline(never)]
    fn pause(&mut self, hosted: &Hosted<S>, actor: Actor, task: Task<'_, S>, step: &mut Step) {
        let mut published = false;
        if hosted.publish_modes[task.work() as usize] == PublishMode::BeforeSave {
            // What it does to its memory it does when it goes on.
            let memories = self.small.memories.clone();
            let (store, effects) = self.call(hosted, actor, task, None, step);
            published = step.is_success();
            store.roll_back();
            effects.armed.clear();
            effects.outside.clear();
            // It asks when it goes on, and is told what it was told now.
            (effects.asking, step.asking) = (Asking::Nothing, Asking::Nothing);
            if !published {
                effects.published.clear();
            }
            self.small.memories = memories;
        }
        step.set_answer(Answer::Paused);
        let (read, store) = (self.read_by(hosted, actor), &self.stores[actor.service.get()]);
        self.begun = Begun { read_at: store.tick(), read, published, pause: 0, at: None, handles: step.key };
    }

    /// How far an `async fn` comes, which begins or goes on.
    #[inline(never)]
    fn begin_progress(&mut self, begun: Option<Begun>, fate: Fate) {
        let Some(begun) = begun else { return self.progress.begins(fate.pause, fate.awaits) };
        let place = self.small.told.iter().position(|(pause, _)| *pause == begun.pause);
        let told = place.map(|place| self.small.told.swap_remove(place).1).unwrap_or_default();
        self.progress.goes_on(told, fate.awaits);
    }

    /// Notes where an `async fn` was interrupted, if it was.
    #[inline(never)]
    fn note_left(&mut self, hosted: &Hosted<S>, actor: Actor, begun: Option<Begun>, step: &Step) {
        let Some(left) = self.progress.left().filter(|_| step.is_paused()) else { return };
        let at = match left {
            Left::BeforeChange => None,
            Left::At(place) => Some(place),
        };
        let read = self.read_by(hosted, actor);
        let read = hash::mix3(begun.map_or(0, |begun| begun.read), read, self.small.memories.digest_of(actor.service));
        let read_at = self.stores[actor.service.get()].tick();
        let handles = begun.map_or(step.key, |begun| begun.handles);
        self.begun = Begun { read_at, read, published: false, pause: 0, at, handles };
    }

    /// The hash of what a handler of a service may read.
    fn read_by(&self, hosted: &Hosted<S>, actor: Actor) -> u64 {
        let rows = self.stores[actor.service.get()].rows_digest();
        hosted.asks.iter().fold(rows, |read, asked| hash::mix(read, self.stores[asked.service.get()].digest()))
    }

    /// The member crashes before its handler saved. What that did outside by then is done; what it would have
    /// answered counts only if the ack goes first.
    #[inline(never)]
    fn crash_before_save(
        &mut self,
        hosted: &Hosted<S>,
        actor: Actor,
        task: Task<'_, S>,
        begun: Option<Begun>,
        step: &mut Step,
    ) {
        let acks_first = matches!(task, Task::Delivery { .. }) && hosted.ack_timing == AckTiming::BeforeSave;
        let (store, effects) = self.call(hosted, actor, task, begun, step);
        if step.is_paused() {
            // It crashes when it has gone on.
            return;
        }
        let acked = acks_first && step.answered_ack();
        store.roll_back();
        if let Some((first, _)) = effects.commits {
            effects.end_at(first);
        }
        effects.leave_out_after_saves(None);
        if !effects.outside.is_empty() {
            step.acted = self.act();
        }
        let acts_outside = self.effects.acts_outside;
        let (asking, asked) = (self.effects.asking, std::mem::take(&mut self.effects.asked));
        step.asking = asking;
        self.effects.clear();
        // Whether it looked at the time makes no difference.
        self.effects.acts_outside = acts_outside;
        (self.effects.asking, self.effects.asked) = (asking, asked);
        self.effects.has_any |= acts_outside || asking != Asking::Nothing;
        step.set_answer(Answer::Crashed { acked });
    }

    /// The stores that a handler of a service may ask as they are, if it may.
    pub(super) fn others<'w>(&'w self, service: ServiceIndex, asks: &'w [AskedService]) -> Option<Others<'w>> {
        let (before, rest) = self.stores.split_at(service.get());
        let after = rest.get(1..).filter(|_| !asks.is_empty())?;
        Some(Others { before, after, asks, paused: None, fault: None })
    }

    /// A number that grows with each save to the store of a service, which is at this tick, or to that of one that
    /// it asks.
    #[inline(never)]
    pub(super) fn read_tick(&self, Hosted { asks, .. }: &Hosted<S>, tick: u64) -> u64 {
        asks.iter().fold(tick, |sum, asked| sum.wrapping_add(self.stores[asked.service.get()].tick()))
    }

    /// What a handler did outside is done; says whether any of it is new.
    #[inline(never)]
    fn act(&mut self) -> bool {
        self.done_outside.add(self.effects.outside.drain(..))
    }

    #[inline(never)]
    fn arm(&mut self, Actor { service, member }: Actor, cause: u32) {
        let Host { timers, effects, .. } = self;
        for arming in effects.armed.drain(..) {
            match arming {
                Arming::Arm(mut timer) => {
                    let (record, purpose, volatile) = (timer.record(), timer.purpose(), timer.is_in_memory());
                    let nth = timers.next_number((service, record, purpose));
                    let armed = Timer::Service { service, record, purpose, nth, volatile, cause, attempt: 1, member };
                    timers.insert_carrying(timer.due(), armed, timer.take_payload());
                }
                Arming::CallOff { record, purpose } => timers.call_off((service, record, purpose), member),
            }
        }
    }
}

/// Lets the handler of a service answer, from what it read then if it has read before; returns its store, and what it
/// did besides.
#[inline(always)]
fn answer<'h, S: System>(
    Hosted { service, .. }: &Hosted<S>,
    task: Task<'_, S>,
    mut ctx: Context<'h, S>,
    read_at: Option<u64>,
    step: &mut Step,
) -> (&'h mut Store, &'h mut Effects<S::Event>) {
    if let Some(tick) = read_at {
        ctx.store.open_at(tick);
    }
    match task {
        Task::Delivery { event, subject, attempt } => {
            (ctx.attempt, ctx.subject) = (attempt, Some(subject));
            step.set_outcome(service.handle(event, &mut ctx));
        }
        Task::Command(command) => step.set_answer(Answer::Command(service.execute(command, &mut ctx))),
        Task::Timer(timer) => {
            service.on_timer(timer, &mut ctx);
            step.set_answer(Answer::Timer);
        }
    }
    let Context { store, effects, progress, .. } = ctx;
    if progress.is_some_and(|progress| progress.left().is_some()) {
        step.set_answer(Answer::Paused);
        effects.has_any = true;
    }
    if read_at.is_some() {
        store.close();
    }
    (store, effects)
}

/// Begins a step of a service's store, for a handler that perhaps has read before.
#[inline(always)]
fn begin<'s>(stores: &'s mut [Store], small: &Small, service: ServiceIndex, read_at: Option<u64>) -> &'s mut Store {
    let store = &mut stores[service.get()];
    let mut oldest = read_at;
    if !small.paused.is_empty() {
        let of_service = small.paused.iter().filter(|paused| paused.actor.service == service);
        let asked_at = small.asked_at.iter().filter(|at| at.service == service).map(|at| at.tick);
        oldest = of_service.map(|paused| paused.begun.read_at).chain(oldest).chain(asked_at).min();
    }
    store.begin_step(small.now, oldest);
    store
}

/// Takes back what a handler did that refused or that a crash cut off, as far as that leaves nothing of it.
#[inline(never)]
fn take_back<E>(store: &mut Store, effects: &mut Effects<E>, mode: PublishMode, step: &Step) {
    let commit = effects.commits.map(|(_, last)| last);
    if !step.is_success() && mode == PublishMode::Outbox {
        // With an outbox the handler runs in one transaction, which only success commits, from its last commit on.
        roll_back(store, commit);
        effects.unpublish(commit);
        effects.disarm(commit);
        effects.leave_out_after_saves(commit);
    }
    if step.fate.crash == Some(Window::BeforePublish) {
        effects.leave_out_after_saves(commit);
        match mode {
            PublishMode::Outbox => {}
            PublishMode::DualWrite => effects.unpublish(commit),
            PublishMode::BeforeSave => roll_back(store, commit),
        }
    }
}

/// Takes back what a handler has saved since a commit, or at all.
fn roll_back(store: &mut Store, commit: Option<Commit>) {
    match commit {
        Some(commit) => store.roll_back_to(commit.saves),
        None => store.roll_back(),
    }
}

/// Ends a handler at its first commit if its member is to crash there; says whether it did.
#[inline(never)]
fn cuts_between<S: System>(
    store: &mut Store,
    effects: &mut Effects<S::Event>,
    hosted: &Hosted<S>,
    work: Work,
    step: &mut Step,
) -> bool {
    let Some((first, _)) = effects.commits.filter(|_| step.fate.crash == Some(Window::BetweenSaves)) else {
        return false;
    };
    store.roll_back_to(first.saves);
    effects.end_at(first);
    let acks_first = work == Work::Delivery && hosted.ack_timing == AckTiming::BeforeSave;
    step.set_answer(Answer::CrashedBetween { acked: acks_first && step.answered_ack() });
    true
}

impl<S: System> Consumer<S::Event> for Execution<'_, S> {
    #[inline(always)]
    fn consume(&mut self, message: &Message<S::Event>, attempt: Attempt) -> Handled {
        let Attempt { member, number } = attempt;
        let (event, subject, cause) = (&message.event, message.name.subject, message.cause);
        let actor = Actor { service: member.service, member: member.ordinal };
        let futile_at = self.run(actor, Task::Delivery { event, subject, attempt: number }, cause);
        let mut reply = self.reply(actor.service);
        if self.fate.slow_publish {
            reply = self.reply_by_now(actor.service, reply);
        }
        Handled { reply, changed: self.step.saved, futile_at }
    }

    fn nak_delay(&self) -> Option<Duration> {
        self.step.nak_delay()
    }

    fn silence(&self) -> Silence {
        Silence::of(self.fate, self.step.answered_ack())
    }

    #[inline(always)]
    fn may_work(&self) -> bool {
        self.may_work
    }

    fn publishes_itself(&self) -> bool {
        let mode = |actor: Actor| self.inner.services[actor.service.get()].publish_modes[Work::Delivery as usize];
        self.step.actor.is_none_or(|actor| mode(actor) != PublishMode::Outbox)
    }

    fn outbox(&mut self) -> &mut Vec<S::Event> {
        &mut self.host.effects.published
    }
}
