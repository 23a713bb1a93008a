//! Instances that are running, by the state in which each of them is.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::Failure;
use crate::port::{Code, Running};

/// How many instances of a service are kept running at most; a thread needs one at a time.
const INSTANCES_MAX: usize = 8;

/// The instances of one service that nobody uses at the moment, those used last at the end.
pub(crate) struct Pool {
    code: Box<dyn Code>,
    service: String,
    idle: Mutex<VecDeque<(u64, Box<dyn Running>)>>,
}

/// The state of an instance that was just started.
pub(crate) const FRESH: u64 = 0;

impl Pool {
    pub(crate) fn new(code: Box<dyn Code>, service: String) -> Pool {
        Pool { code, service, idle: Mutex::new(VecDeque::new()) }
    }

    /// An instance in this state, if there is one.
    pub(crate) fn take(&self, state: u64) -> Option<Box<dyn Running>> {
        let in_state = self.with(|idle| {
            let place = idle.iter().rposition(|(known, _)| *known == state)?;
            idle.remove(place)
        });
        in_state.map(|(_, instance)| instance)
    }

    /// An instance in whatever state.
    pub(crate) fn any(&self) -> Result<Box<dyn Running>, Failure> {
        match self.with(VecDeque::pop_back) {
            Some((_, instance)) => Ok(instance),
            None => self.code.start(&self.service),
        }
    }

    /// An instance with nothing in its state: a new one, or one that was not used for long.
    pub(crate) fn fresh(&self) -> Result<Box<dyn Running>, Failure> {
        let oldest = self.with(|idle| if idle.len() < INSTANCES_MAX { None } else { idle.pop_front() });
        match oldest {
            Some((_, mut instance)) => instance.reset().map(|()| instance),
            None => self.code.start(&self.service),
        }
    }

    /// Gives an instance back, in this state.
    pub(crate) fn give(&self, state: u64, instance: Box<dyn Running>) {
        self.with(|idle| idle.push_back((state, instance)));
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<(u64, Box<dyn Running>)>) -> T) -> T {
        work(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
