//! How walks through the same states share the work.
//!
//! A walk that has nothing left to do asks for a place, and one that has several hands over the one
//! nearest to the beginning, because most comes after it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::walk::Place;
use crate::scheduler::Move;

/// A place that a walk goes on from instead of the one that came there.
pub(super) struct Handed {
    /// The steps that lead there.
    pub(super) way: Vec<Move>,
    /// What was tried there already.
    pub(super) place: Place,
}

/// Where walks ask for places and hand them over.
pub(super) struct Exchange {
    counter: Mutex<Counter>,
    arrived: Condvar,
    /// Whether a walk waits for which no place is there yet.
    is_wanted: AtomicBool,
    is_over: AtomicBool,
}

struct Counter {
    handed: Vec<Handed>,
    walks: usize,
    waiting: usize,
}

impl Exchange {
    /// An exchange for so many walks, of which one has the first place.
    pub(super) fn new(walks: usize) -> Exchange {
        Exchange {
            counter: Mutex::new(Counter { handed: Vec::new(), walks, waiting: 0 }),
            arrived: Condvar::new(),
            is_wanted: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// Whether there is one walk alone.
    pub(super) fn is_for_one(&self) -> bool {
        self.counter().walks == 1
    }

    /// Whether somebody waits for a place.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    /// Whether all was done, or one walk stopped them all.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Hands a place to whoever waits first.
    pub(super) fn hand(&self, handed: Handed) {
        let mut counter = self.counter();
        counter.handed.push(handed);
        self.is_wanted.store(counter.waiting > counter.handed.len(), Relaxed);
        self.arrived.notify_one();
    }

    /// Waits for a place. There is none if all walks wait, or if one stopped them.
    pub(super) fn take(&self) -> Option<Handed> {
        let mut counter = self.counter();
        counter.waiting += 1;
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(handed) = counter.handed.pop() {
                counter.waiting -= 1;
                return Some(handed);
            }
            if counter.waiting == counter.walks {
                drop(counter);
                self.stop();
                return None;
            }
            self.is_wanted.store(true, Relaxed);
            counter = self.arrived.wait(counter).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends all walks.
    pub(super) fn stop(&self) {
        // Whoever is about to wait has the counter, and would not hear.
        let _counter = self.counter();
        self.is_over.store(true, Relaxed);
        self.arrived.notify_all();
    }

    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl Exchange {
    /// One walk that is asked for places all the time, and gets them itself.
    pub(super) fn of_one_that_hands_over_all() -> Exchange {
        let exchange = Exchange::new(1);
        exchange.is_wanted.store(true, Relaxed);
        exchange.counter().waiting = usize::MAX / 2;
        exchange.counter().walks = usize::MAX / 2 + 1;
        exchange
    }
}
