//! Fast path of a delivery: handed out and answered at once.

use super::delivery::NOWHERE;
use super::{Broker, Delivery, DeliveryIndex};
use crate::event::Event;
use crate::ids::ServiceIndex;

impl Delivery {
    /// The service whose only member gets this, if it is ready and the fast path is allowed (see
    /// [`Broker::answered_directly`]).
    #[inline(always)]
    pub(crate) fn direct(&self) -> Option<ServiceIndex> {
        self.direct.filter(|_| self.is_ready())
    }
}

impl<E: Event> Broker<E> {
    /// Equivalent to [`Broker::begin`] (and [`Broker::duplicate`]) followed immediately by [`Broker::ack`] or
    /// [`Broker::unanswered`], for a group with one member and no ordering or flow-control rules: the
    /// delivery is done or pending again, and was never seen in flight. Notes what [`Broker::note_futile`]
    /// would, and returns whether the delivery was a repeated one.
    #[inline(always)]
    pub(crate) fn answered_directly(
        &mut self,
        index: DeliveryIndex,
        settles: bool,
        duplicates: bool,
        futile_at: u64,
    ) -> bool {
        let (delivery, entry) = self.deliveries.change_both(index);
        delivery.tries = delivery.tries.saturating_add(1);
        delivery.futile_at = futile_at;
        let repeated = delivery.is_repeated();
        if settles {
            entry.close(delivery);
            let place = std::mem::replace(&mut delivery.ready_at, NOWHERE);
            self.open -= 1;
            self.take_from_ready(place);
            if duplicates {
                self.duplicate(index);
            }
            return repeated;
        }
        if duplicates {
            self.leave_ready(index);
            self.duplicate(index);
            let (delivery, entry) = self.deliveries.change_both(index);
            delivery.rename(entry.next_attempt());
            self.enter_ready(index);
            return repeated;
        }
        // The common case of a message that comes too early: it moves to the end of the list, in place.
        delivery.rename(entry.next_attempt());
        let last = self.ready.len() as u32 - 1;
        let place = std::mem::replace(&mut delivery.ready_at, last);
        if let Some(at_end) = self.ready.last_mut() {
            let moved = std::mem::replace(at_end, index);
            self.ready[place as usize] = moved;
            self.deliveries.move_in_ready(moved, place);
        }
        self.fresh.push(index);
        repeated
    }
}
