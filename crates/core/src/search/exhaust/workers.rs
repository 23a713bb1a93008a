//! Workers that search the same states at once, on one thread each.

use std::sync::{Mutex, PoisonError};

use super::queue::WorkQueue;
use super::visited::Visited;
use super::worker::{Marks, Stop, Worker};
use super::{Exhaust, SearchStats};
use crate::event::System;
use crate::run::Verdict;
use crate::scheduler::Move;
use crate::simulation::Simulation;
use crate::world::catching;

/// What workers have in common.
pub(super) struct Common<'p> {
    pub(super) visited: Visited,
    report: Mutex<ProgressReport<'p>>,
}

/// Who hears how far the search is, and the sums over all workers so far.
struct ProgressReport<'p> {
    progress: &'p mut (dyn FnMut(SearchStats) + Send),
    transitions: u64,
    depth_max: u32,
}

impl<'p> Common<'p> {
    pub(super) fn new(memory_max: u64, progress: &'p mut (dyn FnMut(SearchStats) + Send)) -> Common<'p> {
        Common {
            visited: Visited::new(memory_max),
            report: Mutex::new(ProgressReport { progress, transitions: 0, depth_max: 0 }),
        }
    }

    /// Reports how far all are, given where one is that has tried so many steps more.
    pub(super) fn report(&self, worker: SearchStats, transitions_more: u64) {
        let report = &mut *self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.transitions += transitions_more;
        report.depth_max = report.depth_max.max(worker.depth_max);
        let (states, bytes) = (self.visited.states(), self.visited.bytes());
        let (transitions, depth_max) = (report.transitions, report.depth_max);
        (report.progress)(SearchStats { states, transitions, depth_max, bytes, ..worker });
    }

    fn clear(&self) {
        self.visited.clear();
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        (report.transitions, report.depth_max) = (0, 0);
    }
}

/// Why workers stopped, and on which path.
pub(super) struct Stopped {
    pub(super) stop: Stop,
    pub(super) path: Vec<Move>,
}

/// The workers that search the states of one simulation.
pub(super) struct Workers<'e, 'p, S: System> {
    common: &'p Common<'p>,
    workers: Vec<Worker<'e, 'p, S>>,
}

impl<'e, 'p, S: System> Workers<'e, 'p, S> {
    pub(super) fn new(
        exhaust: &Exhaust<'e, S>,
        simulation: &Simulation<S>,
        is_marking: bool,
        common: &'p Common<'p>,
    ) -> Workers<'e, 'p, S> {
        let worker = |_| Worker::new(exhaust, simulation, is_marking, common);
        Workers { common, workers: (0..exhaust.threads.max(1)).map(worker).collect() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn stats(&self) -> SearchStats {
        let (states, bytes) = (self.common.visited.states(), self.common.visited.bytes());
        let all = SearchStats { states, bytes, ..SearchStats::default() };
        self.workers.iter().map(Worker::stats).fold(all, |all, one| SearchStats {
            transitions: all.transitions + one.transitions,
            depth: all.depth.max(one.depth),
            depth_max: all.depth_max.max(one.depth_max),
            ..all
        })
    }

    /// What they came across in the last run.
    pub(super) fn marks(&mut self) -> Marks {
        self.workers.iter_mut().map(Worker::marks).fold(Marks::default(), Marks::and)
    }

    /// All search all states, or those within so many steps; why they stopped, if they did before all was
    /// done.
    pub(super) fn run(&mut self, steps_max: Option<u16>) -> Option<Stopped> {
        let count = self.count();
        self.run_with(count, steps_max)
    }

    /// [`Workers::run`] with one thread: what stops it is the same each time.
    pub(super) fn run_alone(&mut self, steps_max: Option<u16>) -> Option<Stopped> {
        self.run_with(1, steps_max)
    }

    fn run_with(&mut self, count: usize, steps_max: Option<u16>) -> Option<Stopped> {
        self.common.clear();
        self.workers.iter_mut().for_each(|worker| worker.reset(steps_max));
        let queue = WorkQueue::new(count);
        let (first, others) = self.workers[..count].split_first_mut()?;
        std::thread::scope(|scope| {
            let run =
                |worker: &mut Worker<'e, 'p, S>, begins| caught(worker, |worker| worker.run(&queue, begins), &queue);
            let others: Vec<_> = others.iter_mut().map(|worker| scope.spawn(move || run(worker, false))).collect();
            let stopped = run(first, true);
            others.into_iter().fold(stopped, |stopped, other| {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                stopped.or(other)
            })
        })
    }
}

/// Lets a worker run; if it stops, all others do. What a handler or a property panics with is a verdict.
fn caught<S: System>(
    worker: &mut Worker<'_, '_, S>,
    run: impl FnOnce(&mut Worker<'_, '_, S>) -> Result<(), Stop>,
    queue: &WorkQueue,
) -> Option<Stopped> {
    let ended = catching(|| run(worker));
    let panicked = |message| Err(Stop::Failing(Box::new(Verdict::Panicked { message })));
    let stop = ended.unwrap_or_else(panicked).err()?;
    queue.stop();
    Some(Stopped { stop, path: worker.path() })
}

#[cfg(test)]
mod tests {
    use super::super::bounds::{Bounds, Most};
    use super::*;
    use crate::erratic::{Erratic, Temper, drawn};
    use crate::ids::RecordId;
    use crate::run::Judges;
    use crate::search::DeliveryOrder;

    /// The result of one worker: its states, the verdict, what it touched. `None` if the memory is too small.
    fn result(
        exhaust: &Exhaust<'_, Erratic>,
        queue: &WorkQueue,
        memory_max: u64,
    ) -> Option<(u64, Option<Verdict>, Vec<RecordId>)> {
        let mut silent = |_| ();
        let common = Common::new(memory_max, &mut silent);
        let mut worker = Worker::new(exhaust, exhaust.simulation, true, &common);
        worker.reset(None);
        let verdict = match caught(&mut worker, |worker| worker.run(queue, true), queue).map(|stopped| stopped.stop) {
            None => None,
            Some(Stop::Failing(verdict)) => Some(*verdict),
            Some(Stop::Memory) => return None,
            Some(Stop::Steps) => panic!("no path is so long"),
        };
        let states = if verdict.is_none() { common.visited.states() } else { 0 };
        Some((states, verdict, worker.marks().touched.into_iter().collect()))
    }

    #[test]
    fn a_worker_that_gives_away_every_job_finds_the_states_of_one_that_does_not() {
        let one = Most::Of(1);
        let all_bounds = [
            Bounds { lost_acks: one, crashes: one, duplicates: 1, ..Bounds::of(DeliveryOrder::Any) },
            Bounds { lost_acks: Most::Of(2), pauses: one, ..Bounds::of(DeliveryOrder::Any) },
            Bounds { crashes: one, ..Bounds::of(DeliveryOrder::PerSubject) },
            Bounds { lost_acks: one, ..Bounds::of(DeliveryOrder::Lockstep) },
            Bounds { departures: Most::Of(3), lost_messages: one, ..Bounds::of(DeliveryOrder::Any) },
        ];
        let (mut most, mut touched_most, mut compared) = (0, 0, 0);
        for (seed, bounds) in (0..20).flat_map(|seed| all_bounds.map(|bounds| (seed, bounds))) {
            let simulation = drawn(Temper::BRIEF, bounds.order.profile(), seed).build().expect("the parts fit");
            let judges = Judges::new(Vec::new());
            let exhaust = Exhaust::new(&simulation, &judges).with_bounds(bounds);
            // Some have more states than can be searched twice in a test.
            let Some(plain) = result(&exhaust, &WorkQueue::new(1), 1 << 18) else { continue };
            let given_away = result(&exhaust, &WorkQueue::that_always_wants(), 1 << 26).expect("there is room");
            assert_eq!(plain, given_away, "seed {seed}: {bounds}");
            (most, touched_most) = (most.max(plain.0), touched_most.max(plain.2.len()));
            compared += u32::from(plain.0 > 100);
        }
        assert!(most > 1_000 && touched_most > 1, "the searches are small: {most} states at most");
        assert!(compared > 10, "only {compared} searches have more than a few states");
    }
}
