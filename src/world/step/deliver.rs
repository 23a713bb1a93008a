//! Deliveries: the step that nearly all steps of a run are.

use super::{Actor, Answer, Step};
use crate::broker::{Delivery, DeliveryIndex, Member, MessageIndex};
use crate::event::System;
use crate::faults::Fate;
use crate::ids::ServiceIndex;
use crate::service::{Context, Outcome};
use crate::world::{Job, World};

impl<S: System> World<S> {
    #[inline(always)]
    pub(super) fn deliver(&mut self, index: DeliveryIndex, step: &mut Step) {
        let delivery = self.broker.delivery(index);
        let Delivery { key, message, attempt, .. } = *delivery;
        step.key = key;
        match self.broker.direct(delivery) {
            Some(member) if step.fate_word & Fate::INTERRUPTS == 0 => {
                self.deliver_directly(index, (message, attempt), member, step);
            }
            _ => self.deliver_apart(index, step),
        }
    }

    /// [`World::deliver_apart`] for a handler that runs through, in a group without rules: the broker
    /// hears of it when it is handled, all at once.
    #[inline(always)]
    fn deliver_directly(&mut self, index: DeliveryIndex, what: (MessageIndex, u16), member: Member, step: &mut Step) {
        let actor = Actor { service: member.service, member: member.ordinal };
        step.actor = Some(actor);
        step.delivery = Some(index);
        let (tick, changed, outcome) = self.handle(what, actor.service);
        let acks = matches!(outcome, Outcome::Ack);
        let plain = (acks || (!changed && matches!(outcome, Outcome::Silent(_)))) && !step.fate.duplicate;
        if !plain || !self.effects.is_empty() {
            step.set_answer(Answer::Delivery(outcome));
            self.begin(index, step);
            return self.conclude_apart(Job::Delivery(index), actor, tick, step);
        }
        step.answer = Some(Answer::Delivery(outcome));
        step.answer_word = if acks { Answer::ACKED } else { Answer::SILENT };
        step.saved = changed;
        if changed {
            self.broker.note_effect(index);
        }
        let inert = !acks && !self.effects.impure;
        step.message = what.0;
        step.again = self.broker.answered_directly(index, acks && step.fate_word == 0, inert.then_some(tick));
        if self.parks_futile {
            self.park_if_futile(index);
        }
        if changed {
            self.broker.unpark(actor.service);
        }
    }

    /// Runs the handler of a delivery that reads the present. Says at which moment of its store's life
    /// that was, and whether it changed the store.
    #[inline(always)]
    fn handle(&mut self, what: (MessageIndex, u16), service: ServiceIndex) -> (u64, bool, Outcome) {
        let oldest = self.oldest_read(service);
        let store = &mut self.stores[service.get()];
        store.begin_step(self.now, oldest);
        let tick = store.tick();
        self.effects.clear();
        let (message, attempt) = what;
        let mut ctx = Context { store, effects: &mut self.effects, now: self.now, attempt };
        let service = &self.simulation.inner.services[service.get()].service;
        let outcome = service.handle(&self.broker.message(message).event, &mut ctx);
        (tick, ctx.store.changed(), outcome)
    }

    /// Hands a delivery to a member, and to the broker's queue once more if it is duplicated.
    fn begin(&mut self, index: DeliveryIndex, step: &mut Step) -> Actor {
        let member = self.broker.begin(index);
        step.note_delivery(self.broker.delivery(index));
        if step.fate.duplicate {
            self.broker.duplicate(index);
        }
        Actor { service: member.service, member: member.ordinal }
    }

    /// A delivery that may be lost, or whose handler may pause or crash.
    #[inline(never)]
    fn deliver_apart(&mut self, index: DeliveryIndex, step: &mut Step) {
        if step.fate.lose {
            return self.lose(index, step);
        }
        let actor = self.begin(index, step);
        if step.fate.pause {
            self.arm_ack_wait(index);
            return self.pause(Job::Delivery(index), actor, step);
        }
        self.work(Job::Delivery(index), actor, None, step);
    }

    #[inline(never)]
    fn lose(&mut self, index: DeliveryIndex, step: &mut Step) {
        if step.fate.duplicate {
            self.broker.duplicate(index);
        }
        self.broker.lose(index);
        step.delivery = Some(index);
        step.set_answer(Answer::Lost);
    }
}
