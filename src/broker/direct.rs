//! The short way of a delivery: handed out and answered in one go.

use super::delivery::{NEVER, NOWHERE};
use super::{Broker, Delivery, DeliveryIndex, Member, State};
use crate::event::Event;

impl<E: Event> Broker<E> {
    /// The member that is handed a ready delivery, if that and the answer can be one thing (see
    /// [`Broker::answered_directly`]).
    #[inline(always)]
    pub(crate) fn direct(&self, delivery: &Delivery) -> Option<Member> {
        self.groups[delivery.group.get()].direct.filter(|_| delivery.is_ready())
    }

    /// What [`Broker::begin`] and then [`Broker::ack`] or [`Broker::unanswered`] come to where the
    /// group has one member and no rules, and nothing came between: the delivery is done or pending
    /// again, and was never seen in flight. Notes what [`Broker::note_futile`] would, and says whether
    /// the delivery was a repeated one.
    #[inline(always)]
    pub(crate) fn answered_directly(&mut self, index: DeliveryIndex, acked: bool, futile_at: Option<u64>) -> bool {
        let (delivery, entry) = self.deliveries.change_both(index);
        delivery.tries = delivery.tries.saturating_add(1);
        delivery.futile_at = futile_at.unwrap_or(NEVER);
        let repeated = delivery.is_repeated();
        let place = delivery.ready_at;
        let last = self.ready.len() as u32 - 1;
        if acked {
            delivery.ready_at = NOWHERE;
            delivery.state = State::Settled;
            entry.close();
            self.open -= 1;
            self.ready.swap_remove(place as usize);
        } else {
            delivery.ready_at = last;
            delivery.rename(entry.next_attempt());
            self.ready.swap(place as usize, last as usize);
            self.fresh.push(index);
        }
        if place != last {
            let moved = self.ready[place as usize];
            self.deliveries.move_in_ready(moved, place);
        }
        repeated
    }
}
