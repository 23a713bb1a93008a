//! Fast path for a delivery that is handled and answered in one step, by far the most common kind.
//!
//! Only a summary of the step is recorded; [`World::expand`] makes the step of it on demand.

use super::{Actor, Answer, Step};
use crate::broker::{Delivery, DeliveryIndex, MessageIndex, futile_at};
use crate::event::System;
use crate::faults::Fate;
use crate::hash;
use crate::scheduler::Action;
use crate::service::{Context, Outcome};
use crate::world::{Job, World};

/// Summary of a step that published nothing, armed no timer, and saved only if it acked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    index: DeliveryIndex,
    actor: Actor,
    key: u64,
    fate_word: u64,
    /// Whether the handler acked, and not only whether the ack arrived.
    pub(crate) acked: bool,
    /// The message that was handed to a member.
    pub(crate) message: MessageIndex,
    /// Whether that delivery had been handed out before, or is a duplicate.
    pub(crate) again: bool,
    /// Whether it saved anything.
    pub(crate) saved: bool,
}

impl Summary {
    #[inline(always)]
    fn answer_word(&self) -> u64 {
        if self.acked { Answer::ACKED } else { Answer::SILENT }
    }
}

impl<S: System> World<S> {
    /// Takes a delivery on the fast path and returns the summary, or on the slow path and writes `step`.
    ///
    /// The fast path is for a group with one member and no rules, a fate that does not interrupt the handler,
    /// and a handler that publishes nothing, arms nothing and saves only if it acks. The broker hears of the
    /// delivery when it is handled, all at once.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        what: (DeliveryIndex, Delivery),
        fate: Fate,
        step: &mut Step,
    ) -> Option<(Summary, Outcome)> {
        let (index, delivery) = what;
        let Delivery { key, message, attempt, .. } = delivery;
        let fate_word = fate.word();
        let direct = delivery.direct().filter(|_| fate_word & Fate::INTERRUPTS == 0);
        let Some(service) = direct else {
            self.take_slow(Action::Deliver(index), fate, step);
            return None;
        };
        // All reads come before all writes, so that nothing is looked up twice.
        let event = &self.broker.message(message).event;
        let handlers = &self.simulation.inner.services[service.get()].service;
        let oldest = self.oldest_read(service);
        let store = &mut self.stores[service.get()];
        let tick = store.tick();
        self.steps += 1;
        store.begin_step(self.now, oldest);
        self.effects.clear();
        let (effects, memories, member) = (&mut self.effects, &mut self.memories, (service, 0));
        let mut ctx = Context { store, effects, memories, member, now: self.now, attempt };
        let outcome = handlers.handle(event, &mut ctx);
        let saved = ctx.store.changed();
        let acts = !self.effects.is_empty();
        let actor = Actor { service, member: 0 };
        let acked = matches!(outcome, Outcome::Ack);
        let is_refusal = matches!(outcome, Outcome::Silent(_)) & !saved;
        if acts || !(acked | is_refusal) {
            self.start(Action::Deliver(index), fate, step);
            self.conclude_slow(index, (&outcome, tick), actor, step);
            return None;
        }
        let settles = acked && fate_word & Fate::LOSES_ACK == 0;
        if saved {
            self.broker.note_effect(index);
        }
        let is_futile = !acked & !self.effects.impure;
        let again = self.broker.answered_directly(index, settles, fate.duplicate, futile_at(is_futile, tick));
        if self.parks_futile {
            self.park_if_futile(index);
        }
        let summary = Summary { index, actor, key, fate_word, acked, message, again, saved };
        self.fingerprint = self.fold_what(key, fate_word, summary.answer_word());
        if saved {
            self.fingerprint = hash::mix(self.fingerprint, self.stores[service.get()].saved());
            self.broker.unpark(service);
            if !self.waiting.is_empty() {
                self.wake_clients();
            }
        }
        Some((summary, outcome))
    }

    /// Expands a summary to the step, given what the handler answered.
    // Inlined to avoid a store-forwarding stall: one wide load of two just-written narrow stores.
    #[inline(always)]
    pub(crate) fn expand(&self, summary: &Summary, outcome: Outcome, fate: Fate, step: &mut Step) {
        let published = self.broker.messages().len();
        *step = Step {
            number: self.steps,
            time: self.now,
            action: Action::Deliver(summary.index),
            fate,
            actor: Some(summary.actor),
            delivery: Some(summary.index),
            answer: Some(Answer::Delivery(outcome)),
            published: published..published,
            key: summary.key,
            fate_word: summary.fate_word,
            answer_word: summary.answer_word(),
            saved: summary.saved,
            message: summary.message,
            again: summary.again,
        };
    }

    /// Continues on the slow path after a handler that did more than the fast path is for.
    #[inline(never)]
    fn conclude_slow(&mut self, index: DeliveryIndex, what: (&Outcome, u64), actor: Actor, step: &mut Step) {
        let (outcome, tick) = what;
        step.key = self.broker.delivery(index).key;
        (step.actor, step.delivery) = (Some(actor), Some(index));
        step.set_answer(Answer::Delivery(*outcome));
        self.begin(index, step);
        self.conclude(Job::Delivery(index), actor, None, tick, step);
        self.finish(step);
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

    /// A delivery that may be lost, whose handler may pause or crash, or whose group has rules.
    pub(super) fn deliver_slow(&mut self, index: DeliveryIndex, step: &mut Step) {
        step.key = self.broker.delivery(index).key;
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
