//! Workers that search the same states at once, on one thread each.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
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
    pub(super) shortest: Shortest,
    report: Mutex<ProgressReport<'p>>,
}

/// What the workers look for in one pass through the states.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    /// A run that fails, of any length.
    Any,
    /// The shortest of those that fail within so many steps.
    Shortest(u16),
    /// The first that fails within so many steps.
    First(u16),
}

impl Pass {
    pub(super) fn steps_max(self) -> Option<u16> {
        match self {
            Pass::Any => None,
            Pass::Shortest(steps) | Pass::First(steps) => Some(steps),
        }
    }
}

/// The shortest run so far that fails.
pub(super) struct Shortest {
    /// Only what has fewer steps is looked for.
    shorter_than: AtomicU32,
    found: Mutex<Option<(Vec<Move>, Verdict)>>,
}

impl Shortest {
    fn reset(&self, pass: Pass) {
        self.shorter_than.store(pass.steps_max().map_or(u32::MAX, |steps| u32::from(steps) + 1), Relaxed);
        self.take();
    }

    /// Whether nothing shorter comes after the states at this depth.
    #[inline]
    pub(super) fn is_last(&self, depth: usize) -> bool {
        depth as u32 + 1 >= self.shorter_than.load(Relaxed)
    }

    /// Notes a run that fails, if it is shorter than those before, and says whether it is.
    pub(super) fn note(&self, path: &[Move], verdict: Verdict) -> bool {
        let steps = path.len() as u32;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_shorter = steps < self.shorter_than.load(Relaxed);
        if is_shorter {
            self.shorter_than.store(steps, Relaxed);
            *found = Some((path.to_vec(), verdict));
        }
        is_shorter
    }

    fn take(&self) -> Option<(Vec<Move>, Verdict)> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
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
            shortest: Shortest { shorter_than: AtomicU32::new(u32::MAX), found: Mutex::default() },
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

    fn clear(&self, pass: Pass) {
        self.visited.clear();
        self.shortest.reset(pass);
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
    /// How many steps were tried in the passes before this one.
    transitions_before: u64,
}

impl<'e, 'p, S: System> Workers<'e, 'p, S> {
    pub(super) fn new(
        exhaust: &Exhaust<'e, S>,
        simulation: &Simulation<S>,
        is_marking: bool,
        common: &'p Common<'p>,
    ) -> Workers<'e, 'p, S> {
        let worker = |_| Worker::new(exhaust, simulation, is_marking, common);
        Workers { common, workers: (0..exhaust.threads.max(1)).map(worker).collect(), transitions_before: 0 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.workers.len()
    }

    /// How far they are in this pass; the steps that were tried are those of all passes.
    pub(super) fn stats(&self) -> SearchStats {
        let (states, bytes) = (self.common.visited.states(), self.common.visited.bytes());
        let all = SearchStats { states, bytes, transitions: self.transitions_before, ..SearchStats::default() };
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

    /// All go through the states; why they stopped, if they did before all was done. Of a pass that looks for
    /// the shortest, that is what was found.
    pub(super) fn run(&mut self, pass: Pass) -> Option<Stopped> {
        let count = self.count();
        self.run_with(count, pass)
    }

    /// [`Workers::run`] with one thread: what stops it is the same each time.
    pub(super) fn run_alone(&mut self, pass: Pass) -> Option<Stopped> {
        self.run_with(1, pass)
    }

    fn run_with(&mut self, count: usize, pass: Pass) -> Option<Stopped> {
        self.transitions_before = self.stats().transitions;
        self.common.clear(pass);
        self.workers.iter_mut().for_each(|worker| worker.reset(pass));
        let queue = WorkQueue::new(count);
        let (first, others) = self.workers[..count].split_first_mut()?;
        let stopped = std::thread::scope(|scope| {
            let run =
                |worker: &mut Worker<'e, 'p, S>, begins| caught(worker, |worker| worker.run(&queue, begins), &queue);
            let others: Vec<_> = others.iter_mut().map(|worker| scope.spawn(move || run(worker, false))).collect();
            let stopped = run(first, true);
            others.into_iter().fold(stopped, |stopped, other| {
                let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                stopped.or(other)
            })
        });
        let found = self.common.shortest.take();
        let found = found.map(|(path, verdict)| Stopped { stop: Stop::Failing(Box::new(verdict)), path });
        // What failed is told also where the memory did not suffice for the rest.
        found.or(stopped)
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
    use crate::property::{Moment, Property, View, Violation, Watch};
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
        worker.reset(Pass::Any);
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

    /// What one step or moment at rest of so many breaks, by the state it leads to; or it panics there.
    struct Seldom {
        place: u64,
        panics: bool,
    }

    impl Property<Erratic> for Seldom {
        fn name(&self) -> &'static str {
            "Seldom"
        }

        fn watches(&self) -> Watch {
            Watch::ALL
        }

        fn on_step(&self, view: &View<'_, Erratic>) -> Result<(), Violation> {
            match view.world().broker().digest() % 96 == self.place {
                true if self.panics => panic!("seldom"),
                true => Err(Violation::at(view.service())),
                false => Ok(()),
            }
        }

        fn at_quiescence(&self, moment: &Moment<'_, Erratic>) -> Result<(), Violation> {
            if moment.world().digest() % 8 == self.place % 8 { Err(Violation::at("none")) } else { Ok(()) }
        }
    }

    #[test]
    fn the_run_that_is_shown_is_what_iterative_deepening_finds_first_whatever_the_threads() {
        let one = Most::Of(1);
        let all_bounds = [
            Bounds { lost_acks: one, crashes: one, ..Bounds::of(DeliveryOrder::Any) },
            Bounds { pauses: one, ..Bounds::of(DeliveryOrder::PerSubject) },
            Bounds { lost_acks: one, ..Bounds::of(DeliveryOrder::Lockstep) },
            Bounds { departures: Most::Of(2), ..Bounds::of(DeliveryOrder::Any) },
        ];
        let mut lengths = std::collections::BTreeMap::<usize, u32>::new();
        for (seed, bounds) in (0..24).flat_map(|seed| all_bounds.map(|bounds| (seed, bounds))) {
            let simulation = drawn(Temper::BRIEF, bounds.order.profile(), seed).build().expect("the parts fit");
            let judges = Judges::new(vec![Box::new(Seldom { place: seed * 7 % 96, panics: seed % 3 == 0 })]);
            let exhaust = Exhaust::new(&simulation, &judges).with_bounds(bounds).with_reduction(false);
            let exhaust = exhaust.with_memory_max(1 << 20);
            let first = exhaust.run();
            let Some(shown) = first.failing.filter(|failing| failing.is_shortest) else { continue };
            let mut silent = |_| ();
            let common = Common::new(1 << 26, &mut silent);
            let mut workers = Workers::new(&exhaust, &simulation, false, &common);
            let deepened = (0..=shown.steps.len() as u16).find_map(|steps| workers.run_alone(Pass::First(steps)));
            let path = deepened.expect("it is found").path;
            assert_eq!(shown.steps, path, "seed {seed}: {bounds}");
            let with_three = exhaust.with_memory_max(1 << 26).with_threads(3).run().failing;
            assert_eq!(with_three.as_ref(), Some(&shown), "seed {seed}: {bounds}");
            *lengths.entry(path.len()).or_default() += 1;
        }
        let long = lengths.range(4..).map(|(_, count)| count).sum::<u32>();
        assert!(long > 10, "few runs are long: {lengths:?}");
    }
}
