//! What the clock brings about while something waits for it.
//!
//! In the calm run the clock moves last, so what waits until nothing else can happen is let go before any
//! timer fires. What waits past the timers is found by letting it wait as long as anything else happens at
//! all: the names of what happened last then are ends that departures can have.

use std::cell::Cell;

use crate::event::System;
use crate::run::{Judges, Limits, Observer, Report, run};
use crate::schedule::{Departure, Target};
use crate::scheduler::{Action, Departing};
use crate::simulation::Simulation;
use crate::world::World;

/// How many steps it may take to find out what the clock brings about: a second or two.
const STEPS_MAX: u64 = 2_000_000;

/// Plays what the clock brings about.
pub(super) struct Clock<'a, S: System> {
    simulation: &'a Simulation<S>,
    limits: Limits,
    /// How many steps are left to play.
    steps_left: Cell<u64>,
}

/// What something can wait for behind the clock.
pub(super) struct Ends {
    /// The last timer that fires before it.
    timer: Target,
    /// The last thing that happens before it.
    last: Target,
}

impl<'a, S: System> Clock<'a, S> {
    /// Plays runs of this simulation, whose calm run is that of the report.
    pub(super) fn new(simulation: &'a Simulation<S>, limits: Limits, calm: &Report) -> Clock<'a, S> {
        // Who asks again and again for what waits would do so for ever.
        let steps_max = limits.steps_max.min(2 * calm.steps + 100);
        Clock { simulation, limits: Limits { steps_max, ..limits }, steps_left: Cell::new(STEPS_MAX) }
    }

    /// What the last of these departures can wait for; `None` if no timer fires before what it is about, or the
    /// steps are used up.
    pub(super) fn ends_of(&self, waiting: &[Departure]) -> Option<Ends> {
        let (last, before) = waiting.split_last().filter(|_| self.steps_left.get() > 0)?;
        let what = last.what();
        // What happens not before it has happened never ends its wait.
        let endless = last.clone().ended_by(Some(what.clone()));
        let departures = before.iter().cloned().chain([endless]).collect();
        let mut passing = Passing { what, ends: None, at_what: None };
        let (mut world, judges) = (self.simulation.world(), Judges::new(Vec::new()));
        let report = run(&mut world, &mut Departing::new(departures), &judges, self.limits, &mut passing);
        self.steps_left.set(self.steps_left.get().saturating_sub(report.steps));
        passing.at_what.unwrap_or(passing.ends)
    }
}

impl Ends {
    /// The last timer.
    pub(super) fn timer(&self) -> Option<&Target> {
        Some(&self.timer)
    }

    /// The last thing at all.
    pub(super) fn last(&self) -> Option<&Target> {
        Some(&self.last)
    }

    /// The last thing at all, if it is another one than the timer.
    pub(super) fn behind_timer(&self) -> Option<&Target> {
        self.last().filter(|last| **last != self.timer)
    }
}

/// Observes what goes past something that waits.
struct Passing {
    what: Target,
    /// What has happened so far.
    ends: Option<Ends>,
    /// What had happened when it came, or came last: a paused handler begins and goes on.
    at_what: Option<Option<Ends>>,
}

impl<S: System> Observer<S> for Passing {
    fn before(&mut self, world: &World<S>, action: Action) {
        let is_what = match action {
            Action::Deliver(index) => world.broker().delivery(index).key == self.what.key(),
            Action::Advance => false,
            action => world.target(action).is_some_and(|target| match target {
                // It has paused, and goes on with that.
                Target::Start(what) => *what == self.what,
                target => target == self.what,
            }),
        };
        if is_what {
            self.at_what = Some(self.ends.take());
        } else if self.ends.is_some() || action == Action::Advance {
            match (world.target(action), &mut self.ends) {
                (Some(timer @ Target::Timer(_)), ends) => *ends = Some(Ends { timer: timer.clone(), last: timer }),
                (Some(other), Some(ends)) => ends.last = other,
                _ => {}
            }
        }
    }
}
