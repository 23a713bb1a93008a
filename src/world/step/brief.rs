//! Deliveries that are handled and answered at once: the step that nearly all steps of a run are.
//!
//! Of such a step little is noted, and the rest is spelled out only for those who ask.

use super::{Actor, Answer, Step};
use crate::broker::{Delivery, DeliveryIndex, MessageIndex, futile_at};
use crate::event::System;
use crate::faults::Fate;
use crate::hash;
use crate::scheduler::Action;
use crate::service::{Context, Outcome};
use crate::world::{Job, World};

/// What such a step did: it published nothing, armed nothing, and saved only what it acked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brief {
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

impl Brief {
    #[inline(always)]
    fn answer_word(&self) -> u64 {
        if self.acked { Answer::ACKED } else { Answer::SILENT }
    }
}

impl<S: System> World<S> {
    /// Takes a delivery, and tells it in brief if that can be done; otherwise it is noted in `step`.
    ///
    /// It can be if its group has one member and no rules, the fate lets the handler run through, and
    /// the handler does what most do. Then the broker hears of it when it is handled, all at once.
    #[inline(always)]
    pub(crate) fn deliver(
        &mut self,
        what: (DeliveryIndex, Delivery),
        fate: Fate,
        step: &mut Step,
    ) -> Option<(Brief, Outcome)> {
        let (index, delivery) = what;
        let Delivery { key, message, attempt, .. } = delivery;
        let fate_word = fate.word();
        let direct = delivery.direct().filter(|_| fate_word & Fate::INTERRUPTS == 0);
        let Some(service) = direct else {
            self.take_at_length(Action::Deliver(index), fate, step);
            return None;
        };
        // All that is looked up comes before all that is written, so that it is looked up once.
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
            self.conclude_at_length(index, (&outcome, tick), actor, step);
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
        let brief = Brief { index, actor, key, fate_word, acked, message, again, saved };
        self.fingerprint = self.fold_what(key, fate_word, brief.answer_word());
        if saved {
            self.fingerprint = hash::mix(self.fingerprint, self.stores[service.get()].saved());
            self.broker.unpark(service);
            if !self.waiting.is_empty() {
                self.wake_clients();
            }
        }
        Some((brief, outcome))
    }

    /// Notes in a step what was told in brief, given what the handler answered.
    // Inlined, because it reads at once what was just written, and a wide read of two narrow writes
    // waits for both.
    #[inline(always)]
    pub(crate) fn spell_out(&self, brief: &Brief, outcome: Outcome, fate: Fate, step: &mut Step) {
        let published = self.broker.messages().len();
        *step = Step {
            number: self.steps,
            time: self.now,
            action: Action::Deliver(brief.index),
            fate,
            actor: Some(brief.actor),
            delivery: Some(brief.index),
            answer: Some(Answer::Delivery(outcome)),
            published: published..published,
            key: brief.key,
            fate_word: brief.fate_word,
            answer_word: brief.answer_word(),
            saved: brief.saved,
            message: brief.message,
            again: brief.again,
        };
    }

    /// Goes on after a handler that did what few handlers do.
    #[inline(never)]
    fn conclude_at_length(&mut self, index: DeliveryIndex, what: (&Outcome, u64), actor: Actor, step: &mut Step) {
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
    pub(super) fn deliver_at_length(&mut self, index: DeliveryIndex, step: &mut Step) {
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
