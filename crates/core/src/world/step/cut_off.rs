//! The step that a panic cuts off.

use super::{Actor, Step};
use crate::event::System;
use crate::faults::Fate;
use crate::scheduler::Action;
use crate::world::{Timer, World};

impl<S: System> World<S> {
    /// Who will work in a step; `None` if that is nobody, or whoever the broker hands a delivery to.
    pub(crate) fn worker_of(&self, action: Action) -> Option<Actor> {
        match action {
            Action::Command(client) => {
                let command = self.hosted_next(client)?;
                let hosted = &self.inner().services[command.service.get()];
                let member = hosted.member_for(self.attempt_key(client, command));
                Some(Actor { service: command.service, member })
            }
            Action::Resume(index) => self.paused.iter().find(|paused| paused.index == index).map(|paused| paused.actor),
            Action::Advance => match self.timers.first()?.1 {
                Timer::AckWait { .. } => None,
                Timer::Service { service, volatile, member, .. } => {
                    Some(Actor { service, member: if volatile { member } else { 0 } })
                }
            },
            Action::Deliver(_) | Action::Ack(_) | Action::Join(_) => None,
        }
    }

    /// The step that a panic has cut off. It saved and published nothing, and nobody knows its answer.
    pub(crate) fn cut_off(&self, action: Action, fate: Fate, worker: Option<Actor>) -> Step {
        let (delivery, handed_to) = match action {
            Action::Deliver(index) => (Some(index), self.broker.handed_to(index)),
            _ => (None, None),
        };
        let handed_to = handed_to.map(|member| Actor { service: member.service, member: member.ordinal });
        let published = self.broker.messages().len();
        Step {
            number: self.steps,
            time: self.now,
            actor: worker.or(handed_to),
            delivery,
            published: published..published,
            ..Step::new(action, fate)
        }
    }
}
