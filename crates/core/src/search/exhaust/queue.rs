//! The work queue: how workers share one search (work stealing).
//!
//! A worker that has nothing left to do waits for work, and one that has several frames left gives away
//! the one nearest to the beginning, because most of the work comes after it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::worker::Frame;
use crate::scheduler::Move;

/// A state that another worker expands than the one that found it, with what was tried there already.
pub(super) struct WorkItem {
    /// The steps that lead there.
    pub(super) path: Vec<Move>,
    /// What was tried there already.
    pub(super) frame: Frame,
}

/// The queue of work items.
pub(super) struct WorkQueue {
    state: Mutex<QueueState>,
    arrived: Condvar,
    /// Whether a worker waits for which there is no work yet.
    is_wanted: AtomicBool,
    is_over: AtomicBool,
}

struct QueueState {
    items: Vec<WorkItem>,
    workers: usize,
    waiting: usize,
}

impl WorkQueue {
    /// A queue for so many workers, of which one begins with the first state.
    pub(super) fn new(workers: usize) -> WorkQueue {
        WorkQueue {
            state: Mutex::new(QueueState { items: Vec::new(), workers, waiting: 0 }),
            arrived: Condvar::new(),
            is_wanted: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// Whether there is one worker alone.
    pub(super) fn is_for_one(&self) -> bool {
        self.state().workers == 1
    }

    /// Whether somebody waits for work.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }

    /// Whether all was done, or one worker stopped them all.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Gives a work item to whoever waits first.
    pub(super) fn push(&self, item: WorkItem) {
        let mut state = self.state();
        state.items.push(item);
        self.is_wanted.store(state.waiting > state.items.len(), Relaxed);
        self.arrived.notify_one();
    }

    /// Waits for work. There is none if all workers wait, or if one stopped them.
    pub(super) fn pop(&self) -> Option<WorkItem> {
        let mut state = self.state();
        state.waiting += 1;
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(item) = state.items.pop() {
                state.waiting -= 1;
                return Some(item);
            }
            if state.waiting == state.workers {
                drop(state);
                self.stop();
                return None;
            }
            self.is_wanted.store(true, Relaxed);
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stops all workers.
    pub(super) fn stop(&self) {
        // Whoever is about to wait holds the lock, and would not hear.
        let _state = self.state();
        self.is_over.store(true, Relaxed);
        self.arrived.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl WorkQueue {
    /// For one worker, which is asked for work all the time and gets them back itself.
    pub(super) fn that_always_wants() -> WorkQueue {
        let queue = WorkQueue::new(1);
        queue.is_wanted.store(true, Relaxed);
        queue.state().waiting = usize::MAX / 2;
        queue.state().workers = usize::MAX / 2 + 1;
        queue
    }
}
