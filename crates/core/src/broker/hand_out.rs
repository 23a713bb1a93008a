//! A delivery's life, from the moment a member is handed it to the moment its answer is taken.
//!
//! The broker is given the member ([`Consumer`]) and asks it for the one thing it cannot know: what handling
//! the message comes to. All else (what is in flight, what a duplicate, a silence or a late ack lead to) is
//! decided here, whatever the rules of the group.

use std::time::Duration;

use super::{Broker, Delivery, DeliveryIndex, Member, Message, MessageIndex, NEVER, State};
use crate::event::Event;
use crate::faults::{Fate, MemberChange};

/// A member that handles what it is handed.
pub(crate) trait Consumer<E> {
    /// Handles a message.
    fn consume(&mut self, message: &Message<E>, attempt: Attempt) -> Handled;

    /// How long the broker is to wait before it hands out again what it answered with a nak.
    fn nak_delay(&self) -> Option<Duration>;

    /// Why it gave no answer, if it gave none.
    fn silence(&self) -> Silence;

    /// Whether it may answer some other time although it does not pause, because it works for some time.
    #[inline(always)]
    fn may_work(&self) -> bool {
        false
    }

    /// Whether it publishes what it says by itself, and not a relay.
    fn publishes_itself(&self) -> bool;

    /// What it has to say to the world, which the broker takes before it takes the answer.
    fn outbox(&mut self) -> &mut Vec<E>;
}

/// Which attempt to handle a message it is, and who makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) member: Member,
    /// Which one of this message at this group, from 1.
    pub(crate) number: u16,
}

/// What handling a message came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handled {
    pub(crate) reply: Reply,
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
    Nak,
    /// Nothing, ever.
    Silence,
    /// Nothing: the handler has not answered yet.
    NotYet,
}

/// Why the broker hears no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// The member could not handle it.
    Failed,
    /// The member said ack, and that was lost.
    AckLost,
    /// The member crashed.
    Crashed,
}

impl Silence {
    /// Why nobody hears an answer, if nobody does: given what happens to the delivery, and whether its handler answered
    /// ack.
    pub(crate) const fn of(fate: Fate, answered_ack: bool) -> Silence {
        match (fate.crash, answered_ack) {
            (Some(_), _) => Silence::Crashed,
            (None, true) => Silence::AckLost,
            (None, false) => Silence::Failed,
        }
    }
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
    pub(crate) reply: Reply,
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
        let (message, attempt) = self.begin(index);
        if fate.duplicate {
            self.duplicate(index);
        }
        if fate.fetch > 0 {
            self.fill_inbox(index, fate.fetch);
        }
        if fate.change == Some(MemberChange::CommitAhead) {
            self.commit_handed(index);
        }
        if fate.interrupts() || fate.slow_publish || consumer.may_work() {
            let handed_out = self.let_handle_apart(index, message, attempt, consumer);
            // Who pauses, works or has not published yet answers some other time, and the broker waits from now on.
            let wait = if handed_out.reply == Reply::NotYet { self.wait_for_answer(index) } else { handed_out.wait };
            return Some(HandedOut { wait, ..handed_out });
        }
        Some(self.let_handle(index, message, attempt, consumer))
    }

    /// Lets the member that has paused over a delivery go on, and does what its answer asks for.
    pub(crate) fn resume(&mut self, index: DeliveryIndex, consumer: &mut impl Consumer<E>) -> HandedOut {
        let Delivery { message, group, member, .. } = *self.delivery(index);
        let number = self.seen_attempt(index);
        let member = self.groups[group.get()].members[usize::from(member)];
        self.let_handle_apart(index, message, Attempt { member, number }, consumer)
    }

    /// [`Broker::let_handle`] for the few that pause or have paused.
    #[inline(never)]
    fn let_handle_apart(
        &mut self,
        index: DeliveryIndex,
        message: MessageIndex,
        attempt: Attempt,
        consumer: &mut impl Consumer<E>,
    ) -> HandedOut {
        self.let_handle(index, message, attempt, consumer)
    }

    /// Lets a member handle a delivery, publishes what it says, and does what its answer asks for.
    #[inline(always)]
    fn let_handle(
        &mut self,
        index: DeliveryIndex,
        message: MessageIndex,
        attempt: Attempt,
        consumer: &mut impl Consumer<E>,
    ) -> HandedOut {
        let message = &self.log.messages[message.get()];
        let cause = message.cause;
        let handled = consumer.consume(message, attempt);
        if !consumer.outbox().is_empty() {
            self.keep_in_transaction(index, handled.reply, consumer);
            self.publish(consumer.outbox(), cause);
        }
        self.take_answer(index, attempt.member, handled, consumer)
    }

    #[inline(always)]
    fn take_answer(
        &mut self,
        index: DeliveryIndex,
        member: Member,
        handled: Handled,
        consumer: &impl Consumer<E>,
    ) -> HandedOut {
        let Handled { mut reply, changed, futile_at } = handled;
        if changed {
            self.deliveries.note_effect(index);
        }
        if reply == Reply::Nak && !self.profile.naks {
            // Of which the broker knows nothing.
            reply = Reply::Silence;
        }
        if self.has_shared
            && let Some(FutileAt(tick)) = futile_at
        {
            self.note_futile_for(index, member, tick);
        }
        let (delivery, entry) = self.deliveries.change_both(index);
        if let Some(FutileAt(tick)) = futile_at {
            delivery.futile_at = tick;
        }
        // Most often nothing else depends on it: nothing replaced it, and nothing is counted that could make room.
        if !(delivery.superseded | delivery.counts) {
            match reply {
                Reply::Ack => {
                    entry.close(delivery);
                    self.open -= 1;
                    return HandedOut { reply, wait: None };
                }
                Reply::Silence if self.at_once => {
                    delivery.come_again(entry.next_attempt());
                    (delivery.loose, delivery.ready_at) = (true, self.ready.len() as u32);
                    self.list_ready(index);
                    return HandedOut { reply, wait: None };
                }
                _ => {}
            }
        }
        if self.is_driven {
            return self.take_answer_for_engine(index, reply, consumer);
        }
        let wait = match reply {
            Reply::Ack => {
                self.ack(index);
                None
            }
            Reply::LateAck => {
                self.deliveries.change(index).state = State::Acking;
                self.wait_for_answer(index)
            }
            Reply::Nak => {
                let delay = consumer.nak_delay();
                self.begin_waiting(index);
                if delay.is_none() {
                    self.release(index);
                }
                delay
            }
            Reply::Silence => self.unanswered(index),
            Reply::NotYet => None,
        };
        HandedOut { reply, wait }
    }

    /// [`Broker::take_answer`] where an engine is told of it.
    #[inline(never)]
    fn take_answer_for_engine(&mut self, index: DeliveryIndex, reply: Reply, consumer: &impl Consumer<E>) -> HandedOut {
        self.hear(index, reply, consumer.nak_delay(), consumer.silence());
        HandedOut { reply, wait: None }
    }

    /// How long the broker waits for the answer to a delivery in flight, from now on; it may be over at once.
    fn wait_for_answer(&mut self, index: DeliveryIndex) -> Option<Duration> {
        let delivery = self.delivery(index);
        if self.is_driven || !delivery.is_in_flight() {
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
    #[inline(never)]
    fn unanswered(&mut self, index: DeliveryIndex) -> Option<Duration> {
        if self.at_once && !self.delivery(index).superseded {
            self.queue_again(index);
            return None;
        }
        self.begin_waiting(index);
        self.wait_for_answer(index)
    }

    /// Notes the same if services share the delivery's group, of which each may do something else.
    #[inline(never)]
    fn note_futile_for(&mut self, index: DeliveryIndex, member: Member, tick: u64) {
        if tick != NEVER && self.service_of_delivery(index).is_none() {
            self.futile_for.insert((index, member.service), tick);
        }
    }

    #[cold]
    fn lose_on_the_way(&mut self, index: DeliveryIndex, duplicate: bool) {
        if duplicate {
            self.duplicate(index);
        }
        self.lose(index);
    }
}
