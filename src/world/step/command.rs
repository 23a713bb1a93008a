//! Commands: the steps in which clients send what they send.

use super::{Actor, Answer, Step};
use crate::event::System;
use crate::ids::Time;
use crate::scheduler::{Action, ClientIndex, Offer};
use crate::service::Context;
use crate::simulation::HostedCommand;
use crate::world::{COMMAND_TIME_US, Job, World};

impl<S: System> World<S> {
    /// The command that a client sends next.
    #[inline]
    pub(in crate::world) fn hosted_next(&self, client: ClientIndex) -> Option<&HostedCommand<S::Command>> {
        let commands = &self.simulation.inner.clients[client.get()].commands;
        commands.get(self.sent[client.get()] as usize)
    }

    #[inline(always)]
    pub(super) fn send(&mut self, client: ClientIndex, step: &mut Step) {
        let ordinal = self.sent[client.get()];
        let inner = &self.simulation.inner;
        let hosted = &inner.clients[client.get()].commands[ordinal as usize];
        let (service, key) = (hosted.service, hosted.key);
        let member = match inner.services[service.get()].members {
            1 => 0,
            members => (key % u64::from(members)) as u16,
        };
        step.key = key;
        self.sent[client.get()] += 1;
        if self.idle.last() == Some(&client) {
            self.idle.pop();
        } else {
            self.idle.retain(|idle| *idle != client);
        }
        self.commands_run += 1;
        self.now = Time(self.now.0 + COMMAND_TIME_US);
        let actor = Actor { service, member };
        let job = Job::Command { client, ordinal };
        if step.fate.pause {
            return self.pause(job, actor, step);
        }
        match step.fate_word {
            0 => self.execute(client, ordinal, actor, step),
            _ => self.work(job, actor, None, step),
        }
        self.offer_next_command(client);
    }

    /// [`World::work`] for a command whose handler nothing cuts off.
    #[inline(always)]
    fn execute(&mut self, client: ClientIndex, ordinal: u32, actor: Actor, step: &mut Step) {
        let Actor { service, .. } = actor;
        let inner = &*self.simulation.inner;
        let command = &inner.clients[client.get()].commands[ordinal as usize].command;
        let oldest = self.oldest_read(service);
        let store = &mut self.stores[service.get()];
        store.begin_step(self.now, oldest);
        self.effects.clear();
        let mut ctx = Context { store, effects: &mut self.effects, now: self.now, attempt: 0 };
        let result = inner.services[service.get()].service.execute(command, &mut ctx);
        step.actor = Some(actor);
        step.set_answer(Answer::Command(result));
        let job = Job::Command { client, ordinal };
        if result.is_err() {
            self.abort_if_refused(job, service, Answer::Command(result));
        }
        self.broker.publish(&mut self.effects.published, self.commands_run);
        if !self.effects.armed.is_empty() {
            self.arm(job, service);
        }
        step.saved = self.stores[service.get()].changed();
        if step.saved {
            self.broker.unpark(service);
        }
    }

    #[inline]
    pub(in crate::world) fn offer_next_command(&mut self, client: ClientIndex) {
        if let Some(offer) = self.offer_of_command(client) {
            self.idle.push(client);
            self.offers.push(offer);
        }
    }

    #[inline]
    pub(in crate::world) fn offer_of_command(&self, client: ClientIndex) -> Option<Offer> {
        let next = self.hosted_next(client)?;
        let place = self.simulation.inner.services[next.service.get()].hash;
        Some(Offer { action: Action::Command(client), key: next.key, lane: client.0.into(), place, again: false })
    }
}
