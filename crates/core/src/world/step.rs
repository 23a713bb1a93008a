//! One step: an enabled action happens, with its fate.
//!
//! A handler passes read → save → publish → ack. Nothing can come between them unless the fate
//! says so, and then they are one step. A pause ends the step after the read; a crash cuts it off
//! in one of the windows; what is published and the ack may be left to a step of its own, the ack to nobody.

use std::time::Duration;

use super::execution::Task;
use super::taken::{Actor, Answer, Step};
use super::{Begun, COMMAND_TIME_US, Host, Job, Paused, Timer, World};
use crate::broker::{Consumer, DeliveryIndex, GroupIndex, HandedOut, Reply, State, take_out};
use crate::engine::How;
use crate::event::System;
use crate::faults::{Fate, MemberChange, Window};
use crate::hash;
use crate::ids::{ServiceIndex, Time};
use crate::schedule;
use crate::scheduler::{Action, ClientIndex, PauseIndex};
use crate::service::{self, AskedAt, AskedService, Asking, Awaits};

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
    #[inline(never)]
    pub(crate) fn step_into(&mut self, action: Action, fate: Fate, step: &mut Step) {
        (step.action, step.actor, step.saved, step.acted) = (action, None, false, false);
        (step.says_twice, step.republished, step.recognised) = (false, false, false);
        (step.asking, step.cleans, step.goes_on_with, step.awaits) = (Asking::Nothing, false, false, 0);
        step.published.start = self.broker.messages().len();
        self.host.small.steps += 1;
        match action {
            // Somebody handles it and answers, and the compiler leaves out what a calm fate does not come to.
            Action::Deliver(index) if fate.is_calm() && !self.inner().has_workers => {
                self.deliver(index, Fate::CALM, false, step);
            }
            _ => self.take(action, fate, step),
        }
        (step.number, step.time) = (self.host.small.steps, self.host.small.now);
        if step.says_twice {
            self.broker.note_second_half(step.published.start);
        }
        if self.broker.has_dead_letters() {
            self.broker.publish_dead_letters();
        }
        step.published.end = self.broker.messages().len();
        if self.broker.is_driven() {
            self.hear_engines();
        }
        self.drop_dead_timers();
        if !self.host.small.waiting.is_empty()
            && (step.saved
                || self.host.effects.remembers
                || matches!(action, Action::Command(_) | Action::Advance)
                || self.inner().has_workers)
        {
            self.wake_clients();
        }
        self.fold(step);
    }

    /// Makes an action happen.
    #[inline(never)]
    fn take(&mut self, action: Action, fate: Fate, step: &mut Step) {
        (step.delivery, step.answer, step.answer_word) = (None, None, 0);
        step.set_fate(fate);
        match action {
            Action::Deliver(index) => self.deliver(index, fate, self.inner().has_workers, step),
            Action::Command(client) => self.send(client, step),
            Action::Resume(index) => self.resume(index, step),
            Action::Ack(index) => self.ack_arrives(index, step),
            Action::Join(group) => self.join(group, step),
            Action::Advance => self.advance(step),
            Action::Publish(index) => self.publish_late(index, step),
        }
    }

    /// The step in which a panic has cut this one off, if it was under way. It saved and published nothing, and
    /// nobody knows its answer.
    pub(crate) fn cut_off(&self, step: &Step) -> Option<Step> {
        let (number, action) = (self.host.small.steps, step.action);
        if step.number == number {
            return None;
        }
        let (delivery, fate) = match action {
            Action::Deliver(index) => (Some(index), step.fate),
            // What was decided when it began is told there.
            Action::Resume(_) => (None, Fate::CALM),
            _ if step.goes_on_with => (None, Fate::CALM),
            _ => (None, step.fate),
        };
        let published = self.broker.messages().len();
        Some(Step {
            number,
            time: self.host.small.now,
            actor: step.actor,
            delivery,
            published: published..published,
            ..Step::new(action, fate)
        })
    }

    /// Hands a delivery to a member.
    #[inline(always)]
    fn deliver(&mut self, index: DeliveryIndex, fate: Fate, may_work: bool, step: &mut Step) {
        step.set_fate(fate);
        step.key = self.broker.delivery(index).key;
        step.delivery = Some(index);
        let (broker, mut execution) = self.execution(fate, step, None);
        execution.may_work = may_work;
        let Some(handed_out) = broker.hand_out(index, fate, &mut execution) else {
            step.set_answer(Answer::Lost);
            return;
        };
        self.hear(index, handed_out);
        self.after_handler(Job::Delivery(index), fate, step);
        if may_work && step.is_paused() {
            self.begins(Job::Delivery(index), step);
        }
        if let Some(change) = fate.change.filter(|_| fate.crash.is_none()) {
            self.change(index, change, step);
        }
    }

    /// Does what happens to a member right after it was handed a delivery.
    #[inline(never)]
    fn change(&mut self, index: DeliveryIndex, change: MemberChange, step: &mut Step) {
        step.cleans = self.broker.change(index, change);
        if change == MemberChange::Close
            && let Some(actor) = step.actor
        {
            self.forget_memory(actor);
        }
    }

    /// A client sends its next command.
    fn send(&mut self, client: ClientIndex, step: &mut Step) {
        let ordinal = self.host.small.sent[client.get()];
        let command = &self.inner().clients[client.get()].commands[ordinal as usize];
        let (service, key) = (command.service, self.attempt_key(client, command));
        let actor = Actor { service, member: self.inner().services[service.get()].member_for(key) };
        step.key = key;
        take_out(&mut self.host.small.idle, &client);
        self.host.small.sent[client.get()] += 1;
        self.host.small.commands_run += 1;
        self.host.small.now = Time(self.host.small.now.0 + COMMAND_TIME_US);
        self.broker.set_now(self.host.small.now);
        self.execute(client, ordinal, (actor, None), step);
    }

    /// Runs the handler of a command, and lets its client go on.
    #[inline(always)]
    fn execute(&mut self, client: ClientIndex, ordinal: u32, at: (Actor, Option<Begun>), step: &mut Step) {
        let ((actor, begun), cause) = (at, self.host.small.commands_run);
        let (fate, may_work) = (step.fate, begun.is_none() && self.inner().has_workers);
        let (broker, mut execution) = self.execution(fate, step, begun);
        execution.may_work = may_work;
        let command = &execution.inner.clients[client.get()].commands[ordinal as usize].command;
        execution.run(actor, Task::Command(command), cause);
        broker.publish(execution.outbox(), cause);
        self.after_handler(Job::Command { client, ordinal }, fate, step);
        if may_work && step.is_paused() {
            self.begins(Job::Command { client, ordinal }, step);
        }
        if !step.is_paused() && !step.works() && !step.goes_on() {
            self.after_command(client, step);
        }
    }

    /// A handler goes on that has read.
    #[inline(never)]
    pub(super) fn finish(&mut self, index: PauseIndex, step: &mut Step) {
        let place = self.host.small.paused.iter().position(|paused| paused.index == index).expect("a paused handler");
        let paused = self.host.small.paused.remove(place);
        let Paused { job, actor, begun, fate, key, .. } = paused;
        (step.key, step.goes_on_with) = (key, true);
        step.set_fate(fate);
        match job {
            Job::Delivery(index) => {
                step.delivery = Some(index);
                let (broker, mut execution) = self.execution(fate, step, Some(begun));
                let handed_out = broker.resume(index, &mut execution);
                self.hear(index, handed_out);
                self.after_handler(job, fate, step);
                self.note_slowness(index, &paused);
            }
            Job::Command { client, ordinal } => self.execute(client, ordinal, (actor, Some(begun)), step),
            Job::Timer { .. } => {}
        }
        self.host.small.asked_at.retain(|at| at.pause != begun.pause);
        if !paused.takes.is_zero() {
            self.set_free(actor);
        }
    }

    /// Notes what the broker does with a delivery that was handed out and answered, or not yet.
    #[inline(always)]
    pub(super) fn hear(&mut self, index: DeliveryIndex, HandedOut { reply, wait }: HandedOut) {
        if reply == Reply::LateAck {
            self.host.small.acks.push(index);
            self.push_offer(Action::Ack(index));
        }
        if let Some(wait) = wait {
            self.begin_ack_wait(index, reply, wait);
        }
        self.park_if_futile(index);
    }

    /// Sets a timer for each wait that an engine has begun.
    #[inline(never)]
    fn hear_engines(&mut self) {
        for (delivery, due) in self.broker.take_waits() {
            let tries = self.broker.delivery(delivery).tries;
            self.host.timers.insert(due, Timer::AckWait { delivery, tries });
        }
    }

    /// The broker waits for so long before it hands a delivery out again.
    #[inline(never)]
    fn begin_ack_wait(&mut self, index: DeliveryIndex, reply: Reply, wait: Duration) {
        if reply == Reply::Nak {
            // The ack wait of a handler that paused is over with its answer.
            self.host.timers.end_ack_waits(index);
        }
        let tries = self.broker.delivery(index).tries;
        self.host.timers.insert(self.host.small.now.after(wait), Timer::AckWait { delivery: index, tries });
    }

    /// What follows in the world from what a handler did.
    #[inline(always)]
    fn after_handler(&mut self, job: Job, fate: Fate, step: &Step) {
        if step.saved
            && let Some(actor) = step.actor
        {
            self.broker.unpark(actor.service);
            if self.inner().has_askers {
                self.unpark_askers(actor.service);
            }
        }
        if fate.is_cut() {
            self.after_cut(job, step);
        }
    }

    /// Makes ready again what waits for a change of a service that was asked.
    #[inline(never)]
    fn unpark_askers(&mut self, service: ServiceIndex) {
        let asked_by = &self.simulation.inner.services[service.get()].asked_by;
        asked_by.iter().for_each(|asker| self.broker.unpark(*asker));
    }

    /// What follows if its fate was to pause, to crash or to be slow to publish.
    #[inline(never)]
    fn after_cut(&mut self, job: Job, step: &Step) {
        let Some(actor) = step.actor else { return };
        if step.is_paused() {
            return self.note_pause(job, actor, step);
        }
        if step.publishes_late() {
            self.note_late(job, actor, step);
        }
        // A process that has not published yet crashes when it has.
        if !step.goes_on() && step.crashes() {
            self.crash(actor);
        }
    }

    /// A handler has read that may work for some time, whether or not it pauses before.
    #[inline(never)]
    fn begins(&mut self, job: Job, step: &mut Step) {
        let Some(actor) = step.actor else { return };
        if !step.fate.is_cut() {
            self.note_pause(job, actor, step);
        }
        let Some(Paused { index, takes, .. }) = self.host.small.paused.last().copied() else { return };
        if takes.is_zero() {
            return;
        }
        self.occupy(actor);
        if !step.fate.interrupts() {
            self.begin_work(index, step);
        }
    }

    /// A handler has read and will save later.
    fn note_pause(&mut self, job: Job, actor: Actor, step: &Step) {
        let (takes, is_paused) = (self.takes(actor, job), step.fate.interrupts());
        let lease = match job {
            Job::Delivery(index) if !takes.is_zero() => self.broker.lease_of(index),
            _ => None,
        };
        let Host { small, begun, stores, progress, .. } = &mut self.host;
        let index = PauseIndex(small.pauses);
        small.pauses += 1;
        let (begun, handles) = (Begun { pause: index.0, ..*begun }, begun.handles);
        let key = match begun.at {
            None => schedule::resume_key(handles),
            Some(place) => Awaits::key(handles, place),
        };
        if self.simulation.inner.services[actor.service.get()].awaits {
            small.told.push((index.0, progress.take_told()));
        }
        for AskedService { service, .. } in &self.simulation.inner.services[actor.service.get()].asks {
            let tick = stores[service.get()].tick();
            small.asked_at.push(AskedAt { pause: index.0, service: *service, tick });
        }
        let (fate, works) = (step.fate, false);
        small.paused.push(Paused { index, job, actor, begun, fate, key, handles, takes, works, lease });
        if is_paused {
            small.paused_indices.push(index);
            self.push_offer(Action::Resume(index));
        }
    }

    /// The key of the late ack of a delivery: what was offered is what happens.
    pub(super) fn ack_key(&self, index: DeliveryIndex) -> u64 {
        schedule::ack_key(self.broker.delivery(index).key)
    }

    fn ack_arrives(&mut self, index: DeliveryIndex, step: &mut Step) {
        step.key = self.ack_key(index);
        step.delivery = Some(index);
        take_out(&mut self.host.small.acks, &index);
        self.broker.ack(index);
    }

    fn join(&mut self, group: GroupIndex, step: &mut Step) {
        step.key = hash::of_name(self.broker.group_name(group));
        take_out(&mut self.host.small.absent, &group);
        self.broker.join(group);
    }

    #[inline(never)]
    fn advance(&mut self, step: &mut Step) {
        let (due, timer, payload) = self.host.timers.pop_first().expect("the clock moves only towards a timer");
        self.host.small.now = self.host.small.now.max(due);
        self.broker.set_now(self.host.small.now);
        step.key = self.timer_key(&timer);
        match timer {
            Timer::AckWait { delivery, .. } => {
                step.delivery = Some(delivery);
                self.broker.release(delivery);
                self.park_if_futile(delivery);
            }
            Timer::Service { service, record, purpose, nth, volatile, cause, attempt, member } => {
                self.host.timers.note_fired((service, record, purpose), nth);
                // A durable job that nobody finished is run again.
                let again = attempt.saturating_add(1);
                let again = Timer::Service { service, record, purpose, nth, volatile, cause, attempt: again, member };
                if step.fate.crash == Some(Window::BeforeSave) && !volatile {
                    self.host.timers.insert_carrying(due, again, payload.clone());
                }
                let carried = payload.clone().filter(|_| step.fate.crash == Some(Window::BetweenSaves));
                let fires = service::Timer::fired(record, due, purpose, volatile).with_payload(payload);
                // A durable job is in a queue, of which the first member takes it.
                let actor = Actor { service, member: if volatile { member } else { 0 } };
                let fate = step.fate;
                let (broker, mut execution) = self.execution(fate, step, None);
                execution.run(actor, Task::Timer(&fires), cause);
                broker.publish(execution.outbox(), cause);
                if step.crashed_between() && !volatile {
                    self.host.timers.insert_carrying(due, again, carried);
                }
                self.after_handler(Job::Timer { record, cause }, fate, step);
            }
            Timer::Working(index) => self.finish(index, step),
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
    pub(super) fn crash(&mut self, actor: Actor) {
        let release = self.broker.profile().release_on.crash;
        let (cut_off, kept): (Vec<Paused>, Vec<Paused>) =
            self.host.small.paused.drain(..).partition(|paused| paused.actor == actor);
        self.host.small.paused = kept;
        self.host.small.told.retain(|(pause, _)| cut_off.iter().all(|paused| paused.index.0 != *pause));
        self.host.small.asked_at.retain(|at| cut_off.iter().all(|paused| paused.index.0 != at.pause));
        self.host.small.paused_indices.clear();
        let pausing = self.host.small.paused.iter().filter(|paused| !paused.works);
        self.host.small.paused_indices.extend(pausing.map(|paused| paused.index));
        let ends =
            |timer: &Timer| matches!(timer, Timer::Working(index) if cut_off.iter().any(|cut| cut.index == *index));
        self.host.timers.retain(|timer| !ends(timer));
        for paused in cut_off {
            if !paused.takes.is_zero() {
                self.set_free(actor);
            }
            match paused.job {
                Job::Delivery(index) => self.broker.begin_waiting(index),
                Job::Command { client, .. } => self.command_cut_off(client),
                Job::Timer { .. } => {}
            }
        }
        self.cut_off_publishes(actor);
        if self.broker.is_driven() {
            self.broker.member_leaves(actor.service, actor.member, How::Crash);
        } else if release {
            for index in self.broker.waiting_at(actor.service, actor.member) {
                self.broker.release(index);
                self.park_if_futile(index);
            }
        }
        self.forget_memory(actor);
        self.store_after_crash(actor.service);
    }

    /// Takes from the store of a service what dies with a member.
    fn store_after_crash(&mut self, service: ServiceIndex) {
        let store = &mut self.host.stores[service.get()];
        let before = store.tick();
        self.simulation.inner.services[service.get()].service.crashed(store);
        if store.tick() != before {
            self.broker.unpark(service);
        }
    }

    /// Forgets what a member keeps in memory.
    fn forget_memory(&mut self, actor: Actor) {
        let is_lost = |timer: &Timer| {
            matches!(timer, Timer::Service { service, volatile: true, member, .. }
                if (*service, *member) == (actor.service, actor.member))
        };
        self.host.timers.retain(|timer| !is_lost(timer));
        self.host.small.memories.forget((actor.service, actor.member));
    }

    /// Forgets ack waits at the head of the queue whose delivery has been answered meanwhile.
    #[inline]
    fn drop_dead_timers(&mut self) {
        while self.host.timers.first().is_some_and(|(_, timer)| !self.is_live(timer)) {
            self.host.timers.pop_first();
        }
    }

    pub(super) fn is_live(&self, timer: &Timer) -> bool {
        match timer {
            Timer::AckWait { delivery, tries } => {
                let is_unread = self.broker.is_unread(*delivery);
                let delivery = self.broker.delivery(*delivery);
                (delivery.is_in_flight() || is_unread) && delivery.tries == *tries
            }
            Timer::Service { .. } | Timer::Working(_) => true,
        }
    }

    /// Adds a step to the fingerprint.
    #[inline(always)]
    fn fold(&mut self, step: &Step) {
        let what = hash::mix3(step.key, step.fate_word, step.answer_word);
        let mut hash = hash::mix(self.host.small.fingerprint, what);
        // Few steps save, and then it is known who acted.
        if step.saved
            && let Some(actor) = step.actor
        {
            hash = hash::mix(hash, self.host.stores[actor.service.get()].saved());
        }
        if step.published.end > step.published.start {
            let published = &self.broker.messages()[step.published.clone()];
            hash = published.iter().fold(hash, |hash, message| hash::mix(hash, message.hash));
        }
        if step.acted {
            let done = self.host.done_outside.latest();
            hash = done.iter().fold(hash, |hash, done| hash::mix(hash, done.digest()));
        }
        self.host.small.fingerprint = hash;
    }
}

#[cfg(test)]
mod tests;
