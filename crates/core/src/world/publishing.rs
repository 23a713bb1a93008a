//! What is published late: it is saved, and out only in a step of its own.
//!
//! Where saves and publishes are two things that a process does one after the other, it is the process that is
//! slow: its answer comes after it has published, and what it would have said dies with it. Where events are
//! saved beside records, it is the relay that lags: the handler is done, and nothing is lost.

use std::time::Duration;

use super::taken::{Actor, Answer, Step};
use super::{Host, Job, World};
use crate::broker::{Attempt, Consumer, Handled, Message, Reply, Silence, take_out};
use crate::event::System;
use crate::faults::{Fate, Window};
use crate::hash;
use crate::ids::{ServiceIndex, Time};
use crate::schedule::{self, Target};
use crate::scheduler::{Action, PublishIndex};
use crate::service::{AckTiming, PublishMode, Relay, Work};
use crate::simulation::Hosted;

/// What a handler said that is not out yet.
#[derive(Clone, Debug)]
pub(super) struct Unpublished<E> {
    pub(super) index: PublishIndex,
    job: Job,
    /// What was handled, by the name it had then.
    what: Target,
    pub(super) key: u64,
    actor: Actor,
    by: By,
    /// What is said, in this order, and the commands that led to it.
    said: Vec<Said<E>>,
}

/// Events of one handler.
#[derive(Clone, Debug)]
pub(super) struct Said<E> {
    events: Vec<E>,
    cause: u32,
    /// Whether the second half is the first once more, because its publisher hears no confirm.
    twice: bool,
    /// When all of it was published before, if it was.
    first: Option<Time>,
}

/// Who publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The relay of the service's outbox.
    Relay(Relay),
    /// The process whose handler it was.
    Process { crash: Option<Window>, answering: Answering },
}

/// What a process still has to answer when it has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// Nothing: it has acked already.
    Done,
    Delivery {
        reply: Reply,
        nak_delay: Option<Duration>,
        /// Why the broker hears none, if it hears none.
        silence: Silence,
    },
    Command {
        is_accepted: bool,
    },
}

/// Who is late with what a handler said, if somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Late {
    #[default]
    Nobody,
    Relay,
    Process,
}

/// What a handler said in the running step that is to be out late.
#[derive(Debug)]
pub(super) struct Kept<E> {
    said: Said<E>,
    /// What the broker hears when it is out.
    pub(super) reply: Option<Reply>,
}

impl<S: System> Host<S> {
    /// Keeps back what a handler has said, if it is slow to publish, or if its relay is that keeps order.
    #[inline(never)]
    pub(super) fn keep_back(&mut self, hosted: &Hosted<S>, actor: Actor, work: Work, cause: u32, step: &mut Step) {
        let is_slow = step.fate.slow_publish && hosted.publishes_late[work as usize];
        let relays = hosted.publish_modes[work as usize] == PublishMode::Outbox;
        let says_again = says_again_later(hosted, &self.unpublished, actor, work, step);
        let (twice, published) = (step.says_twice, &mut self.effects.published);
        let said = |events, first| Said { events, cause, twice, first };
        if is_slow {
            step.late = if relays { Late::Relay } else { Late::Process };
            let said = match says_again {
                true => said(published.clone(), Some(self.small.now)),
                false => said(std::mem::take(published), None),
            };
            self.kept = Some(Kept { said, reply: None });
        } else if relays && let Some(last) = self.unpublished.iter_mut().rfind(|other| other.is_before(actor.service)) {
            last.said.push(said(std::mem::take(published), None));
        }
    }

    /// Says once more what a handler has said, unless that is to be later. A broker that recognises what it has
    /// takes it once.
    #[inline(never)]
    pub(super) fn say_again(
        &mut self,
        hosted: &Hosted<S>,
        (actor, work): (Actor, Work),
        recognises: bool,
        step: &mut Step,
    ) {
        let published = &mut self.effects.published;
        if published.is_empty() || says_again_later(hosted, &self.unpublished, actor, work, step) {
            return;
        }
        (step.says_twice, step.republished, step.recognised) = (!recognises, !recognises, recognises);
        if step.says_twice {
            published.extend_from_within(..);
        }
    }
}

/// Whether what a handler has said goes out at once, and once more later. What waits behind something else in an
/// outbox is late anyway, and its second time comes right behind the first.
fn says_again_later<S: System>(
    hosted: &Hosted<S>,
    unpublished: &[Unpublished<S::Event>],
    actor: Actor,
    work: Work,
    step: &Step,
) -> bool {
    let is_late = step.fate.republish && step.fate.slow_publish && !step.crashed_between();
    let waits = || {
        hosted.publish_modes[work as usize] == PublishMode::Outbox
            && unpublished.iter().any(|other| other.is_before(actor.service))
    };
    is_late && hosted.publishes_late[work as usize] && !waits()
}

impl<E> Unpublished<E> {
    /// Whether later events of this service wait behind it.
    fn is_before(&self, service: ServiceIndex) -> bool {
        self.by == By::Relay(Relay::InOrder) && self.actor.service == service
    }
}

impl<S: System> World<S> {
    /// A handler has saved, and what it said is out later.
    pub(super) fn note_late(&mut self, job: Job, actor: Actor, step: &Step) {
        let Some(Kept { said, reply }) = self.host.kept.take() else { return };
        let Some(what) = self.target_of_job(job) else { return };
        let hosted = &self.inner().services[actor.service.get()];
        let by = match (step.late, reply) {
            (Late::Relay | Late::Nobody, _) => By::Relay(hosted.relay),
            (Late::Process, reply) => {
                let answering = match (job, reply) {
                    (Job::Command { .. }, _) => {
                        Answering::Command { is_accepted: matches!(step.answer, Some(Answer::Command(Ok(())))) }
                    }
                    (_, Some(reply)) => {
                        let silence = Silence::of(step.fate, step.answered_ack());
                        Answering::Delivery { reply, nak_delay: step.nak_delay(), silence }
                    }
                    (_, None) => Answering::Done,
                };
                By::Process { crash: step.fate.crash, answering }
            }
        };
        let waits = by == By::Relay(Relay::InOrder) && self.relay_waits(actor.service);
        let index = PublishIndex(self.host.small.late);
        self.host.small.late += 1;
        let key = schedule::publish_key(what.key());
        self.host.unpublished.push(Unpublished { index, job, what, key, actor, by, said: vec![said] });
        if !waits {
            self.offer_publish(index);
        }
    }

    /// Whether the relay of a service that keeps order has something to publish.
    fn relay_waits(&self, service: ServiceIndex) -> bool {
        self.host.unpublished.iter().any(|other| other.is_before(service))
    }

    fn offer_publish(&mut self, index: PublishIndex) {
        self.host.small.publishes.push(index);
        self.push_offer(Action::Publish(index));
    }

    /// What was said is out. A process goes on from there.
    #[inline(never)]
    pub(super) fn publish_late(&mut self, index: PublishIndex, step: &mut Step) {
        let place = self.host.unpublished.iter().position(|late| late.index == index).expect("it is not out yet");
        let Unpublished { job, key, actor, by, said, .. } = self.host.unpublished.remove(place);
        take_out(&mut self.host.small.publishes, &index);
        step.key = key;
        match by {
            By::Relay(_) => {
                for mut said in said {
                    // A relay that says something again was started again, or has forgotten that it said it.
                    self.recognise(&mut said, false, step);
                    let from = self.broker.messages().len();
                    self.broker.publish(&mut said.events, said.cause);
                    self.note_again(&said, from);
                }
                let next = self.host.unpublished.iter().find(|other| other.is_before(actor.service));
                if let Some(next) = next.map(|next| next.index).filter(|next| !self.host.small.publishes.contains(next))
                {
                    self.offer_publish(next);
                }
            }
            By::Process { crash, answering } => {
                step.set_fate(Fate { crash, ..Fate::CALM });
                for mut said in said {
                    self.recognise(&mut said, true, step);
                    self.go_on(job, &mut said, answering, step);
                    self.note_again(&said, step.published.start);
                }
                if crash.is_some() {
                    self.crash(actor);
                }
            }
        }
    }

    /// Leaves out what is published once more, by the same session of its producer or not, if the broker has it.
    fn recognise(&mut self, said: &mut Said<S::Event>, is_same_session: bool, step: &mut Step) {
        let Some(first) = said.first else { return };
        if self.broker.recognises(first, is_same_session) {
            said.events.clear();
            step.recognised = true;
        } else {
            step.republished = true;
        }
    }

    /// Notes what of that which was published from there on was published before.
    fn note_again(&mut self, said: &Said<S::Event>, from: usize) {
        if said.first.is_some() {
            self.broker.note_retries(from);
        } else if said.twice {
            self.broker.note_second_half(from);
        }
    }

    /// A process has published what its handler said, and answers.
    fn go_on(&mut self, job: Job, said: &mut Said<S::Event>, answering: Answering, step: &mut Step) {
        let Said { events, cause, .. } = said;
        let cause = *cause;
        match (job, answering) {
            (Job::Delivery(index), Answering::Delivery { reply, nak_delay, silence }) => {
                step.delivery = Some(index);
                let mut publisher = Publisher { events, reply, nak_delay, silence };
                let handed_out = self.broker.resume(index, &mut publisher);
                self.hear(index, handed_out);
            }
            (Job::Command { client, .. }, Answering::Command { is_accepted }) => {
                self.broker.publish(events, cause);
                self.after_late_command(client, is_accepted && step.fate.crash != Some(Window::BeforeAck));
            }
            _ => self.broker.publish(events, cause),
        }
    }

    /// What a member was slow to publish dies with it.
    pub(super) fn cut_off_publishes(&mut self, actor: Actor) {
        if self.host.unpublished.is_empty() {
            return;
        }
        let is_cut_off = |late: &Unpublished<S::Event>| late.actor == actor && matches!(late.by, By::Process { .. });
        let (cut_off, kept) = std::mem::take(&mut self.host.unpublished).into_iter().partition(is_cut_off);
        self.host.unpublished = kept;
        let cut_off: Vec<Unpublished<S::Event>> = cut_off;
        for late in cut_off {
            take_out(&mut self.host.small.publishes, &late.index);
            match (late.job, late.by) {
                (_, By::Process { answering: Answering::Done, .. }) => {}
                (Job::Delivery(index), _) => self.broker.begin_waiting(index),
                (Job::Command { client, .. }, _) => self.command_cut_off(client),
                (Job::Timer { .. }, _) => {}
            }
        }
    }

    /// What is to be published late and has this name.
    pub(super) fn unpublished(&self, index: PublishIndex) -> Option<&Unpublished<S::Event>> {
        self.host.unpublished.iter().find(|late| late.index == index)
    }

    /// The events that are to be published late.
    pub(crate) fn said_late(&self) -> impl Iterator<Item = &S::Event> {
        self.host.unpublished.iter().flat_map(|late| &late.said).flat_map(|said| &said.events)
    }

    /// By what name departures know that it is out.
    pub(super) fn target_of_publish(&self, index: PublishIndex) -> Option<Target> {
        Some(Target::Publish(Box::new(self.unpublished(index)?.what.clone())))
    }

    /// The hash of what is to be published late; 0 if nothing is.
    pub(super) fn unpublished_digest(&self) -> u64 {
        self.host.unpublished.iter().fold(0, |hash, late| {
            let job = match late.job {
                Job::Delivery(index) => self.broker.digest_of(index),
                Job::Command { .. } | Job::Timer { .. } => late.key,
            };
            let by = match late.by {
                By::Relay(relay) => 1 + relay as u64,
                By::Process { crash, answering } => {
                    let answering = match answering {
                        Answering::Done => 0,
                        Answering::Delivery { reply, silence, .. } => 1 + reply as u64 + ((silence as u64) << 4),
                        Answering::Command { is_accepted } => 8 + u64::from(is_accepted),
                    };
                    hash::mix3(3, crash.map_or(0, |window| window as u64), answering)
                }
            };
            let said = late.said.iter().fold(late.actor.service.0.into(), |hash, said| {
                let hash = said.first.map_or(hash, |first| hash::mix(hash, first.0));
                said.events.iter().fold(hash, |hash, event| hash::mix(hash, hash::of(event)))
            });
            hash::mix3(hash::mix(hash, job), hash::mix(by, late.actor.member.into()), said)
        })
    }
}

/// A process whose handler is done but for what it has to say.
struct Publisher<'e, E> {
    events: &'e mut Vec<E>,
    reply: Reply,
    nak_delay: Option<Duration>,
    silence: Silence,
}

impl<E> Consumer<E> for Publisher<'_, E> {
    fn consume(&mut self, _: &Message<E>, _: Attempt) -> Handled {
        Handled { reply: self.reply, changed: false, futile_at: None }
    }

    fn nak_delay(&self) -> Option<Duration> {
        self.nak_delay
    }

    fn silence(&self) -> Silence {
        self.silence
    }

    fn publishes_itself(&self) -> bool {
        true
    }

    fn outbox(&mut self) -> &mut Vec<E> {
        self.events
    }
}

/// Whether a delivery's answer waits until a process that is late has published.
pub(super) fn answers_last(ack_timing: AckTiming, late: Late) -> bool {
    late == Late::Process && ack_timing == AckTiming::AfterSave
}
