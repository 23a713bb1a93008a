//! Handlers that work for some time ([`Service::takes`](crate::Service::takes)): until when, and who waits for them.
//!
//! Such a handler is one that pauses, and goes on when its timer fires instead of when a scheduler picks it. One that
//! is to pause as well pauses first, and works when it goes on.

use std::time::Duration;

use super::taken::{Actor, Answer, Step};
use super::{Job, Paused, Timer, World};
use crate::broker::{DeliveryIndex, Member, take_out};
use crate::event::System;
use crate::scheduler::{Action, ClientIndex, PauseIndex};
use crate::service::Work;
use crate::simulation::HostedCommand;

/// After how many attempts at a message it is clear that each of them takes too long.
const TOO_SLOW_AFTER: u16 = 20;

/// A delivery whose handler takes as long as its ack wait, or longer, each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    delivery: DeliveryIndex,
    actor: Actor,
    takes: Duration,
    lease: Duration,
}

impl Job {
    pub(super) const fn work(self) -> Work {
        match self {
            Job::Delivery(_) => Work::Delivery,
            Job::Command { .. } => Work::Command,
            Job::Timer { .. } => Work::Timer,
        }
    }
}

impl<S: System> World<S> {
    /// How long a handler works.
    pub(super) fn takes(&self, actor: Actor, job: Job) -> Duration {
        self.inner().services[actor.service.get()].takes[job.work() as usize]
    }

    fn place_of(&self, index: PauseIndex) -> Option<usize> {
        self.host.small.paused.iter().position(|paused| paused.index == index)
    }

    /// A handler that has not answered yet, by its name.
    pub(super) fn paused(&self, index: PauseIndex) -> Option<&Paused> {
        self.host.small.paused.get(self.place_of(index)?)
    }

    /// A handler goes on that has paused, or begins to work if it takes time.
    #[inline(never)]
    pub(super) fn resume(&mut self, index: PauseIndex, step: &mut Step) {
        let place = self.place_of(index).expect("a paused handler");
        let Paused { actor, takes, key, .. } = self.host.small.paused[place];
        take_out(&mut self.host.small.paused_indices, &index);
        if takes.is_zero() {
            return self.finish(index, step);
        }
        (step.key, step.actor, step.goes_on_with) = (key, Some(actor), true);
        self.begin_work(index, step);
    }

    /// Lets a handler work from now on.
    pub(super) fn begin_work(&mut self, index: PauseIndex, step: &mut Step) {
        let Some(place) = self.place_of(index) else { return };
        let due = self.host.small.now.after(self.host.small.paused[place].takes);
        self.host.small.paused[place].works = true;
        self.host.timers.insert(due, Timer::Working(index));
        step.set_answer(Answer::Works);
    }

    /// A member handles something that takes time: nothing else comes to it meanwhile, unless its handlers overlap.
    pub(super) fn occupy(&mut self, actor: Actor) {
        if !self.inner().services[actor.service.get()].takes_turns {
            return;
        }
        self.broker.set_at_work(member_of(actor), true);
        let waits =
            |client: &ClientIndex| self.hosted_next(*client).is_some_and(|next| self.executes(*client, next) == actor);
        let (waiting, idle): (Vec<ClientIndex>, Vec<ClientIndex>) =
            self.host.small.idle.iter().copied().partition(waits);
        if !waiting.is_empty() {
            self.host.small.idle = idle;
            self.host.small.waiting.extend(waiting);
        }
    }

    /// A member is done with what took it time. Clients that wait for it are let go on at the end of the step.
    pub(super) fn set_free(&mut self, actor: Actor) {
        if self.inner().services[actor.service.get()].takes_turns {
            self.broker.set_at_work(member_of(actor), false);
        }
    }

    /// The member that executes a client's next command.
    fn executes(&self, client: ClientIndex, next: &HostedCommand<S::Command>) -> Actor {
        let member = self.inner().services[next.service.get()].member_for(self.attempt_key(client, next));
        Actor { service: next.service, member }
    }

    /// Whether a client's next command has to wait, because the member that executes it works on something else.
    #[cold]
    pub(super) fn waits_for_member(&self, client: ClientIndex, next: &HostedCommand<S::Command>) -> bool {
        let actor = self.executes(client, next);
        let is_it = |paused: &Paused| paused.actor == actor && !paused.takes.is_zero();
        self.inner().services[next.service.get()].takes_turns && self.host.small.paused.iter().any(is_it)
    }

    /// Notes whether a handler took as long as its ack wait each time.
    pub(super) fn note_slowness(&mut self, delivery: DeliveryIndex, paused: &Paused) {
        let Paused { actor, takes, lease, .. } = *paused;
        let Some(lease) = lease.filter(|lease| !lease.is_zero() && *lease <= takes) else { return };
        let is_endless = !self.broker.gives_up() && self.broker.comes_again(delivery);
        if is_endless && self.broker.delivery(delivery).attempt >= TOO_SLOW_AFTER {
            self.host.small.too_slow = Some(TooSlow { delivery, actor, takes, lease });
        }
    }

    /// Why a run would go on and on: a handler that takes longer than its ack wait each time, in words.
    #[inline]
    pub(crate) fn too_slow(&self) -> Option<String> {
        self.host.small.too_slow.map(|too_slow| self.describe_too_slow(too_slow))
    }

    #[cold]
    fn describe_too_slow(&self, TooSlow { delivery, actor, takes, lease }: TooSlow) -> String {
        let (service, name) = (self.service_name(actor.service), self.broker.name(delivery));
        let times = name.attempt;
        format!(
            "{service} takes {takes:?}, its ack wait is {lease:?}: {} was handled {times} times, and comes again \
             because each answer is too late; it takes a longer ack wait, a limit to how often a message comes, or a \
             handler that is faster",
            name.message
        )
    }

    /// What is handled by a handler whose work ends if the clock moves: the key of its name.
    #[inline]
    pub(super) fn works_until_next(&self, timer: Option<&Timer>) -> Option<u64> {
        match timer {
            Some(Timer::Working(index)) => self.paused(*index).map(|paused| paused.handles),
            _ => None,
        }
    }

    /// Whether an action lets something go on that began in another step: a handler, an ack, a publish.
    pub(crate) fn goes_on(&self, action: Action) -> bool {
        match action {
            Action::Resume(_) | Action::Ack(_) | Action::Publish(_) => true,
            Action::Advance => matches!(self.host.timers.first(), Some((_, Timer::Working(_)))),
            Action::Command(_) | Action::Deliver(_) | Action::Join(_) => false,
        }
    }

    /// Whether what goes on is a handler that has paused and works only then.
    pub(super) fn begins_to_work(&self, action: Action) -> bool {
        let Action::Resume(index) = action else { return false };
        self.paused(index).is_some_and(|paused| !paused.takes.is_zero())
    }
}

fn member_of(Actor { service, member: ordinal }: Actor) -> Member {
    Member { service, ordinal }
}
