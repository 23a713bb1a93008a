//! What happens in a world, by the names that people and departures have for it.

use super::{Job, Timer, World};
use crate::broker::DeliveryIndex;
use crate::event::System;
use crate::schedule::{DeliverySpec, Target};
use crate::scheduler::Action;

impl<S: System> World<S> {
    /// An action in words, such as `deliver ticket:updated t1@2 -> orders #1`.
    #[must_use]
    pub fn describe(&self, action: Action) -> String {
        match action {
            Action::Command(client) => {
                let ordinal = self.host.small.sent[client.get()];
                self.describe_job(Job::Command { client, ordinal })
            }
            Action::Deliver(index) => format!("deliver {}", self.broker.name(index)),
            Action::Ack(index) => format!("late ack of {}", self.broker.name(index)),
            Action::Join(group) => format!("{} joins", self.broker.group_name(group)),
            Action::Resume(index) => self
                .paused(index)
                .map_or_else(String::new, |paused| format!("resume {}", self.describe_job(paused.job))),
            Action::Publish(index) => {
                self.target_of_publish(index).map_or_else(|| "publish".to_owned(), |what| what.to_string())
            }
            Action::Advance => match self.host.timers.first() {
                Some((_, Timer::Working(index))) => self
                    .paused(*index)
                    .map_or_else(String::new, |done| format!("finish {}", self.describe_job(done.job))),
                Some((_, timer)) => format!("clock: {}", self.describe_timer(timer)),
                None => "clock".to_owned(),
            },
        }
    }

    pub(super) fn describe_job(&self, job: Job) -> String {
        match job {
            Job::Delivery(index) => self.broker.name(index).to_string(),
            Job::Command { client, .. } => match self.target_of_job(job) {
                Some(target) => target.to_string(),
                None => self.inner().clients[client.get()].name.clone(),
            },
            Job::Timer { record, .. } => format!("timer {record}"),
        }
    }

    /// What an enabled action makes happen, by the name that departures have for it: for a paused
    /// handler that goes on, what it handles.
    #[must_use]
    pub fn target(&self, action: Action) -> Option<Target> {
        match action {
            Action::Command(client) => {
                self.target_of_job(Job::Command { client, ordinal: self.host.small.sent[client.get()] })
            }
            Action::Deliver(index) => Some(Target::Delivery(self.delivery_spec(index))),
            Action::Ack(index) => Some(Target::Ack(self.delivery_spec(index))),
            Action::Join(group) => Some(Target::Join(self.broker.group_name(group).to_owned())),
            Action::Resume(index) => {
                let paused = self.paused(index)?;
                let what = self.target_of_job(paused.job)?;
                if let Some(place) = paused.begun.at {
                    return Some(Target::Await { what: Box::new(what), place });
                }
                Some(if self.begins_to_work(action) { Target::Start(Box::new(what)) } else { what })
            }
            Action::Publish(index) => self.target_of_publish(index),
            Action::Advance => match self.host.timers.first()?.1 {
                Timer::AckWait { delivery, .. } => Some(Target::AckWait(self.delivery_spec(delivery))),
                ref timer @ Timer::Service { .. } => self.timer_spec(timer).map(Target::Timer),
                Timer::Working(index) => self.target_of_job(self.paused(index)?.job),
            },
        }
    }

    pub(super) fn target_of_job(&self, job: Job) -> Option<Target> {
        match job {
            Job::Delivery(index) => Some(Target::Delivery(self.delivery_spec(index))),
            Job::Command { .. } => self.command_spec(job).map(Target::Command),
            Job::Timer { .. } => None,
        }
    }

    fn delivery_spec(&self, index: DeliveryIndex) -> DeliverySpec {
        let name = self.broker.name(index);
        DeliverySpec {
            subject: name.message.subject.name().to_owned(),
            record: name.message.record,
            version: name.message.version,
            nth: name.message.nth,
            group: name.group.to_owned(),
            attempt: name.attempt,
        }
    }
}
