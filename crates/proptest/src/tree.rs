//! How proptest shrinks a schedule.

use std::collections::BTreeSet;

use super::schedules::Schedule;
use pellmell_core::event::System;
use pellmell_core::hash;
use pellmell_core::run::Verdict;
use pellmell_core::shrink::{Case, Shrink, same_failure};
use pellmell_core::simulation::CommandIndex;
use proptest::strategy::ValueTree;

/// A schedule and the smaller ones that proptest may try.
///
/// The first is what [`Shrink`] leaves of it. Then come departures, then commands, left out in halves,
/// quarters and so on, and one by one, and then what departures wait for, over and over until none can
/// go. One whose run fails under the judges in another way is never tried: it would be the
/// counterexample of something else.
pub struct ScheduleTree<S: System> {
    /// What proptest is given.
    current: Schedule<S>,
    /// The smallest with which the test failed.
    failing: Schedule<S>,
    /// What the judges say of the schedule that was drawn.
    verdict: Verdict,
    /// The hashes of the cases that were tried.
    tried: BTreeSet<u64>,
    is_shrunk: bool,
    pieces: Pieces,
    came_back: bool,
}

/// What is left out next: `size` things before the place `end`.
#[derive(Debug)]
struct Pieces {
    of: Of,
    size: usize,
    end: usize,
    /// Whether the case became smaller since the departures were begun with.
    found: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Departures,
    Commands,
    /// What departures last until, other than quiescence.
    Ends,
}

impl Of {
    fn count(self, case: &Case) -> usize {
        match self {
            Of::Departures | Of::Ends => case.departures.len(),
            Of::Commands => case.commands.len(),
        }
    }
}

impl Pieces {
    fn all(of: Of, case: &Case, found: bool) -> Pieces {
        let count = of.count(case);
        Pieces { of, size: count, end: count, found }
    }

    /// The next smaller case; `None` if every one was tried.
    fn next(&mut self, case: &Case) -> Option<Case> {
        // The case is another one since something was left out.
        let count = self.of.count(case);
        (self.size, self.end) = (self.size.min(count), self.end.min(count));
        while self.end == 0 {
            *self = match (self.of, self.size) {
                (of, 2..) => Pieces { of, size: self.size / 2, end: of.count(case), found: self.found },
                (Of::Departures, _) => Pieces::all(Of::Commands, case, self.found),
                (Of::Commands, _) => Pieces::all(Of::Ends, case, self.found),
                (Of::Ends, _) if self.found => Pieces::all(Of::Departures, case, false),
                (Of::Ends, _) => return None,
            };
        }
        let begin = self.end.saturating_sub(self.size);
        let end = std::mem::replace(&mut self.end, begin);
        Some(match self.of {
            Of::Departures => case.without_departures(begin..end),
            Of::Commands => case.without_commands(&case.commands[begin..end]),
            Of::Ends => {
                let mut case = case.clone();
                let ended = case.departures[begin..end].iter().map(|departure| departure.clone().ended_by(None));
                let ended: Vec<_> = ended.collect();
                case.departures.splice(begin..end, ended);
                case
            }
        })
    }
}

impl<S: System> ScheduleTree<S> {
    pub(super) fn new(drawn: Schedule<S>) -> ScheduleTree<S> {
        ScheduleTree {
            verdict: drawn.report().verdict.clone(),
            tried: BTreeSet::from([hash::of(drawn.case())]),
            is_shrunk: false,
            came_back: false,
            pieces: Pieces::all(Of::Departures, drawn.case(), false),
            current: drawn.clone(),
            failing: drawn,
        }
    }

    /// What [`Shrink`] leaves of the drawn schedule, if the judges are not content with it.
    fn shrunk(&self) -> Option<Case> {
        let before = self.failing.case();
        let simulation = self.failing.simulation();
        // A schedule's commands are those of the test's simulation.
        let shrink = Shrink::new(&simulation, self.failing.judges()).with_simpler_commands(false);
        let shrunk = shrink.run(before.departures.clone()).ok()?;
        // The positions in the simulation that was shrunk are positions in what was left of the whole one.
        let in_whole = |left: CommandIndex| {
            let mut of_client = before.commands.iter().filter(|index| index.client == left.client);
            *of_client.nth(left.position).expect("only what was there can be left")
        };
        let commands = shrunk.commands.into_iter().map(in_whole).collect();
        Some(Case { commands, departures: shrunk.departures })
    }

    /// Goes on to the next schedule to try, or back to the smallest that failed if there is none.
    fn advance(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.is_shrunk, true);
        let shrunk = if is_first { self.shrunk() } else { None };
        if let Some(case) = shrunk.filter(|case| self.tried.insert(hash::of(case))) {
            self.current = self.failing.with(case);
            return true;
        }
        while let Some(case) = self.pieces.next(self.failing.case()) {
            let case = case.with_setup(self.failing.whole());
            if self.tried.insert(hash::of(&case)) {
                self.current = self.failing.with(case);
                let verdict = &self.current.report().verdict;
                if verdict.is_held() || same_failure(&self.verdict, verdict) {
                    return true;
                }
            }
        }
        self.current = self.failing.clone();
        false
    }
}

impl<S: System> ValueTree for ScheduleTree<S> {
    type Value = Schedule<S>;

    fn current(&self) -> Schedule<S> {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        let before = std::mem::replace(&mut self.failing, self.current.clone());
        self.pieces.found |= hash::of(before.case()) != hash::of(self.failing.case());
        self.advance()
    }

    /// Says once that it came back to what failed, and not that it is at its end: after that proptest
    /// would not shrink the other arguments of the test.
    fn complicate(&mut self) -> bool {
        self.advance() || !std::mem::replace(&mut self.came_back, true)
    }
}
