//! A delivery's life, from the moment a member is handed it to the moment its answer is taken.
//!
//! The broker is given the member ([`Consumer`]) and asks it for the one thing it cannot know: what handling
//! the message comes to. All else (what is in flight, what a duplicate, a silence or a late ack lead to) is
//! decided here, whatever the rules of the group.

use std::time::Duration;

use super::{Broker, Delivery, DeliveryIndex, Member, NEVER, State};
use crate::event::Event;
use crate::faults::Fate;

/// A member that handles what it is handed.
pub(crate) trait Consumer<E> {
    /// Handles an event.
    fn consume(&mut self, event: &E, attempt: &Attempt) -> Handled;

    /// What it has to say to the world, which the broker takes before it takes the answer.
    fn outbox(&mut self) -> &mut Vec<E>;
}

/// Which attempt to handle a message it is, and who makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) member: Member,
    /// Which one of this message at this group, from 1.
    pub(crate) number: u16,
    /// The command that the message is due to.
    pub(crate) cause: u32,
}

/// What handling a message came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handled {
    /// `None` if the handler has not answered yet.
    pub(crate) reply: Option<Reply>,
    /// Whether its store changed.
    pub(crate) changed: bool,
    /// At which state of its store it changes nothing if it is done again; `None` if that is not known from
    /// this attempt.
    pub(crate) futile_at: Option<FutileAt>,
}

/// What the broker hears of a member's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Ack,
    /// An ack that travels, and arrives in a step of its own.
    LateAck,
    Nak(Option<Duration>),
    /// Nothing, ever.
    Silence,
}

/// At which state of its service's store handling a message changes nothing, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FutileAt(u64);

impl FutileAt {
    pub(crate) const NEVER: FutileAt = FutileAt(NEVER);

    /// At this tick of the store.
    pub(crate) const fn tick(tick: u64) -> FutileAt {
        FutileAt(tick)
    }
}

/// What became of a delivery that was handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandedOut {
    pub(crate) reply: Option<Reply>,
    /// How long the broker waits now before it hands the message out again.
    pub(crate) wait: Option<Duration>,
}

impl<E: Event> Broker<E> {
    /// Hands a ready delivery to a member, and does what its answer asks for. What it publishes is appended
    /// before. `None` if the message is lost on its way.
    #[inline(always)]
    pub(crate) fn hand_out(
        &mut self,
        index: DeliveryIndex,
        fate: Fate,
        consumer: &mut impl Consumer<E>,
    ) -> Option<HandedOut> {
        if fate.lose {
            self.lose_on_the_way(index, fate.duplicate);
            return None;
        }
        let member = self.begin(index);
        if fate.duplicate {
            self.duplicate(index);
        }
        if fate.pause {
            let wait = self.wait_for_answer(index);
            self.consume(index, member, consumer);
            return Some(HandedOut { reply: None, wait });
        }
        let handled = self.consume(index, member, consumer);
        Some(self.take_answer(index, member, handled))
    }

    /// Lets the member that has paused over a delivery go on, and does what its answer asks for.
    pub(crate) fn resume(&mut self, index: DeliveryIndex, consumer: &mut impl Consumer<E>) -> HandedOut {
        let Delivery { group, member, .. } = *self.delivery(index);
        let member = self.groups[group.get()].members[usize::from(member)];
        let handled = self.consume(index, member, consumer);
        self.take_answer(index, member, handled)
    }

    /// Lets a member handle a delivery, and publishes what it says.
    #[inline(always)]
    fn consume(&mut self, index: DeliveryIndex, member: Member, consumer: &mut impl Consumer<E>) -> Handled {
        let Delivery { message, attempt: number, .. } = *self.delivery(index);
        let message = &self.log.messages[message.get()];
        let attempt = Attempt { member, number, cause: message.cause };
        let handled = consumer.consume(&message.event, &attempt);
        if !consumer.outbox().is_empty() {
            self.publish(consumer.outbox(), attempt.cause);
        }
        handled
    }

    #[inline(always)]
    fn take_answer(&mut self, index: DeliveryIndex, member: Member, handled: Handled) -> HandedOut {
        let Handled { reply, changed, futile_at } = handled;
        // A nak of which the broker knows nothing is a silence.
        let reply = reply.map(|reply| match reply {
            Reply::Nak(_) if !self.profile.naks => Reply::Silence,
            reply => reply,
        });
        if changed {
            self.deliveries.note_effect(index);
        }
        if let Some(FutileAt(tick)) = futile_at {
            self.deliveries.change(index).futile_at = tick;
            if self.has_shared && tick != NEVER && self.service_of_delivery(index).is_none() {
                self.futile_for.insert((index, member.service), tick);
            }
        }
        let wait = match reply {
            Some(Reply::Ack) => {
                self.ack(index);
                None
            }
            Some(Reply::LateAck) => {
                self.deliveries.change(index).state = State::Acking;
                self.wait_for_answer(index)
            }
            Some(Reply::Nak(delay)) => {
                self.begin_waiting(index);
                if delay.is_none() {
                    self.release(index);
                }
                delay
            }
            Some(Reply::Silence) => self.unanswered(index),
            None => None,
        };
        HandedOut { reply, wait }
    }

    /// How long the broker waits for the answer to a delivery in flight, from now on; it may be over at once.
    fn wait_for_answer(&mut self, index: DeliveryIndex) -> Option<Duration> {
        let delivery = self.delivery(index);
        if !delivery.is_in_flight() {
            return None;
        }
        let wait = self.profile.wait_for(delivery.tries)?;
        if wait.is_zero() {
            self.release(index);
            return None;
        }
        Some(wait)
    }

    /// No ack will come for a delivery that was handled. Returns how long the broker waits for it
    /// nevertheless; if that is no time at all, the message is pending again.
    #[inline(always)]
    fn unanswered(&mut self, index: DeliveryIndex) -> Option<Duration> {
        if self.at_once && !self.delivery(index).superseded {
            self.queue_again(index);
            return None;
        }
        self.begin_waiting(index);
        self.wait_for_answer(index)
    }

    #[cold]
    fn lose_on_the_way(&mut self, index: DeliveryIndex, duplicate: bool) {
        if duplicate {
            self.duplicate(index);
        }
        self.lose(index);
    }
}
