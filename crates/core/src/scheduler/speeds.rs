//! Relative speeds of services, clients and the clock.
//!
//! Clients that send whatever they can as soon as they can are mostly refused: what they ask about has
//! not arrived yet. Clients that wait until all is settled see no races between a request and an
//! event. And a service that is slow has several events before it at once, where another one never
//! has two. So each seed draws a speed for each service, for all clients and for the clock.
//!
//! With a zero ack timeout a message is redelivered while its handler is paused; the second handler
//! finishes first and masks the race. Real brokers wait, so each seed draws as well how much later a
//! redelivery is than a first delivery.

use super::queue::exponential;
use super::{Action, Offer};
use crate::hash;
use crate::prng::{Purpose, RunKey, below};

const CLIENTS: u64 = hash::of_name("clients");
const AGAIN: u64 = hash::of_name("again");
const CLOCK: u64 = hash::of_name("clock");
/// Speeds differ by powers of two below this one.
const SPEEDS: u32 = 8;

/// The speeds of one seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speeds(pub(super) RunKey);

impl Speeds {
    /// How long what is offered waits, in units of 2^-16 mean waits of the fastest.
    pub(super) fn wait(self, offer: &Offer) -> u64 {
        self.wait_drawn(offer, self.0.draw(Purpose::Order, offer.key))
    }

    /// The same with another word drawn for it.
    pub(super) fn wait_drawn(self, offer: &Offer, word: u64) -> u64 {
        exponential(word) << self.slowness(offer)
    }

    /// How much longer what is offered waits than the fastest, whatever is drawn for it, as a power of two.
    pub(super) fn slowness(self, offer: &Offer) -> u32 {
        match offer.action {
            Action::Command(_) => self.slow(CLIENTS),
            Action::Deliver(_) if offer.again => self.slow(offer.place) + self.slow_again(),
            Action::Deliver(_) => self.slow(offer.place),
            Action::Resume(_) | Action::Ack(_) | Action::Join(_) | Action::Publish(_) | Action::Advance => {
                self.slow(offer.key)
            }
        }
    }

    /// How long the clock waits until it moves to a timer.
    pub(super) fn wait_of_clock(self, timer: u64) -> u64 {
        exponential(self.0.draw(Purpose::Order, timer)) << (self.slow(CLIENTS) + self.slow(CLOCK))
    }

    /// How much slower redeliveries are than what comes for the first time.
    fn slow_again(self) -> u32 {
        below(self.0.draw(Purpose::Speed, AGAIN), 2 * SPEEDS)
    }

    fn slow(self, what: u64) -> u32 {
        below(self.0.draw(Purpose::Speed, what), 2 * SPEEDS).saturating_sub(SPEEDS)
    }
}
