//! Commands: the steps in which clients send what they send.

use super::{Actor, Answer, Step};
use crate::event::System;
use crate::faults::Fate;
use crate::ids::Time;
use crate::scheduler::{Action, ClientIndex, Offer};
use crate::service::Context;
use crate::simulation::{HostedCommand, Inner};
use crate::world::{COMMAND_TIME_US, Job, World};

impl<S: System> World<S> {
    /// A command whose handler may be cut off.
    pub(super) fn send(&mut self, client: ClientIndex, step: &mut Step) {
        let ordinal = self.sent[client.get()];
        let command = &self.inner().clients[client.get()].commands[ordinal as usize];
        let (service, key) = (command.service, self.attempt_key(client, command));
        let actor = Actor { service, member: self.inner().services[service.get()].member_for(key) };
        step.key = key;
        self.idle.retain(|idle| *idle != client);
        self.count_command(client);
        let job = Job::Command { client, ordinal };
        if step.fate.pause {
            return self.pause(job, actor, step);
        }
        self.work(job, actor, None, step);
        self.after_command(client, step);
    }

    /// Notes that a client sends a command.
    #[inline(always)]
    fn count_command(&mut self, client: ClientIndex) {
        self.sent[client.get()] += 1;
        self.commands_run += 1;
        self.now = Time(self.now.0 + COMMAND_TIME_US);
    }

    /// Fast path for a command with which nothing goes wrong: nothing is looked up twice, and the step is
    /// written at its end.
    #[inline(never)]
    pub(crate) fn send_fast(&mut self, client: ClientIndex, step: &mut Step) {
        if self.simulation.inner.has_terms {
            return self.take_slow(Action::Command(client), Fate::CALM, step);
        }
        let (ordinal, first) = (self.sent[client.get()], self.broker.messages().len());
        self.steps += 1;
        self.count_command(client);
        let inner = &*self.simulation.inner;
        let commands = &inner.clients[client.get()].commands[ordinal as usize..];
        let HostedCommand { ref command, service, key, .. } = commands[0];
        let hosted = &inner.services[service.get()];
        let oldest = self.oldest_read(service);
        let store = &mut self.stores[service.get()];
        store.begin_step(self.now, oldest);
        self.effects.clear();
        let actor = Actor { service, member: hosted.member_for(key) };
        let (effects, memories, member) = (&mut self.effects, &mut self.memories, (service, actor.member));
        let mut ctx = Context { store, effects, memories, member, now: self.now, attempt: 0 };
        let result = hosted.service.execute(command, &mut ctx);
        let next = commands.get(1).map(|next| offer_of(inner, client, next));
        self.offer_following(client, next);
        let answer = Answer::Command(result);
        let job = Job::Command { client, ordinal };
        if result.is_err() {
            self.abort_if_refused(job, service, answer);
        }
        self.broker.publish(&mut self.effects.published, self.commands_run);
        if !self.effects.armed.is_empty() {
            self.arm(job, actor);
        }
        let saved = self.stores[service.get()].changed();
        if saved {
            self.broker.unpark(service);
        }
        *step = Step {
            number: self.steps,
            time: self.now,
            actor: Some(actor),
            published: first..self.broker.messages().len(),
            key,
            saved,
            answer: Some(answer),
            answer_word: answer.word(),
            ..Step::new(Action::Command(client), Fate::CALM)
        };
        // It answers no delivery, so it ends no ack wait either, and no timer is dead after it.
        self.fold(step);
    }

    /// Lets an idle client that has sent a command send this one, if there is one.
    #[inline(always)]
    fn offer_following(&mut self, client: ClientIndex, next: Option<Offer>) {
        // One that is alone keeps its place.
        if self.idle.last() != Some(&client) || next.is_none() {
            self.idle.retain(|idle| *idle != client);
            self.idle.extend(next.map(|_| client));
        }
        if let Some(offer) = next {
            self.offers.push(offer);
        }
    }
}

/// What schedulers hear of the command that a client sends next.
#[inline(always)]
fn offer_of<S: System>(inner: &Inner<S>, client: ClientIndex, next: &HostedCommand<S::Command>) -> Offer {
    let place = inner.services[next.service.get()].hash;
    Offer { action: Action::Command(client), key: next.key, lane: client.0.into(), place, again: false }
}
