//! The zoo: every known defect planted in the design that is right, and what finds it.
//!
//! Each defect is looked for in a small world in two ways. A complete search tells the weakest
//! delivery under which it shows, the property that sees it first and the cheapest way to it;
//! drawn schedules tell how many it takes to meet it. The same is done with the design that is
//! right, in which nothing may be found.

mod playground;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::extract::extract;
use crate::portfolio::SchedulerKind;
use crate::run::{Judges, Limits, Observer, Verdict, run};
use crate::scheduler::{Scheduler, Tie};
use crate::search::{Cost, Found, Shortest, ShortestResult};
use crate::shrink::{Shrink, Shrunk};
use crate::simulation::Simulation;
use crate::ticketing::properties::{self, Accepted, ScheduleIndependence};
use crate::ticketing::{Alternative, Defect, Design, Level, Request, Stage, Ticketing};
use crate::trace::{TraceRecord, detail, records_of};
use crate::world::World;

pub use playground::{bounds, faults, playground, profile};

/// The most states a search looks at. None of the small worlds has as many.
const STATES_MAX: u64 = 2_000_000;

/// How the zoo is played.
#[derive(Clone, Debug)]
pub struct Zoo {
    /// The defects to play.
    pub defects: Vec<Defect>,
    /// The design they are planted in, in which nothing may be found.
    pub design: Design,
    /// How often schedules are drawn until one shows the defect, each time with other seeds.
    pub tries: u32,
    /// The most schedules that are drawn in one try.
    pub schedules_max: u32,
    /// Whether every level is searched, also those above the weakest that shows the defect.
    pub all_levels: bool,
    /// How many threads play; at least 1. The result does not depend on it.
    pub threads: usize,
}

impl Default for Zoo {
    fn default() -> Zoo {
        let (defects, design) = (Defect::ALL.to_vec(), Design::REFERENCE);
        Zoo { defects, design, tries: 20, schedules_max: 4_000, all_levels: false, threads: 1 }
    }
}

/// What was found of a defect.
#[derive(Clone, Debug)]
pub struct Row {
    /// The defect.
    pub defect: Defect,
    /// The design with it.
    pub design: Design,
    /// The weakest level under which it shows, and the cheapest violations there.
    pub weakest: Option<(Level, Vec<Found>)>,
    /// What the cheapest violation costs at each level; nothing for those that were not searched.
    pub by_level: Vec<(Level, Option<Cost>)>,
    /// The cheapest way to break the property that names the fault, and the level it was looked for
    /// at: in any order at least.
    pub shortest: Option<(Level, Found)>,
    /// How many schedules were drawn, for each try, until one broke a property that names the fault
    /// before any other. A fault has other symptoms too, which count for nothing here.
    pub drawn: Vec<Option<u32>>,
    /// What matters of the first drawn schedule that broke such a property.
    pub shrunk: Option<Shrunk<Request>>,
    /// Levels whose search found nothing and did not end.
    pub unfinished: Vec<Level>,
    /// How many states were looked at.
    pub states: u64,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// No schedule of any level breaks any property.
    Missed,
    /// The first property that breaks is not one that names the fault.
    Misnamed(&'static str),
    /// The property that names the fault is not broken.
    Unnamed,
    /// It shows under another level than is known.
    Level(Level),
    /// Drawn schedules do not find it.
    NotDrawn,
    /// A search found nothing and did not end, so there may be something.
    Unfinished(Level),
}

impl Row {
    /// Where it is looked for at a level.
    fn place(&self, level: Level) -> Place {
        let Defect { stage, splits, .. } = self.defect;
        Place { design: self.design, stage, level, splits }
    }

    /// The property that catches it at the weakest level.
    #[must_use]
    pub fn caught_by(&self) -> Option<&'static str> {
        let (_, found) = self.weakest.as_ref()?;
        // Of those that cost the same the one that names the fault is meant.
        let least = found.first()?.cost;
        let named = found.iter().take_while(|found| found.cost == least).map(|found| found.property);
        named.clone().find(|property| self.defect.is_named_by(property)).or_else(|| named.clone().next())
    }

    /// The mean number of schedules drawn until one breaks a property, rounded up; `None` if a try
    /// found none.
    #[must_use]
    pub fn mean_drawn(&self) -> Option<u32> {
        let drawn: Option<u64> = self.drawn.iter().map(|drawn| drawn.map(u64::from)).sum();
        let tries = self.drawn.len().max(1) as u64;
        drawn.map(|drawn| u32::try_from(drawn.div_ceil(tries)).unwrap_or(u32::MAX))
    }

    /// Whether the cheapest way is as long as the known one.
    #[must_use]
    pub fn is_as_known(&self) -> bool {
        let (deliveries, commands) = self.defect.known;
        self.shortest.as_ref().is_some_and(|(_, found)| found.cost == Cost { deliveries, commands })
    }

    /// The shortest way step by step, and the names of the services.
    ///
    /// # Panics
    /// If a handler panics.
    #[must_use]
    pub fn story(&self) -> Option<(Vec<String>, Vec<TraceRecord>)> {
        let (level, found) = self.shortest.as_ref()?;
        let simulation = self.place(*level).simulation();
        Some((simulation.service_names().map(str::to_owned).collect(), records_of(&simulation, &found.path)))
    }

    /// What is wrong with it: a defect that is not caught as it should be.
    #[must_use]
    pub fn complaints(&self) -> Vec<Complaint> {
        let Some((level, _)) = &self.weakest else { return vec![Complaint::Missed] };
        let mut complaints = Vec::new();
        if let Some(property) = self.caught_by().filter(|property| !self.defect.is_named_by(property)) {
            complaints.push(Complaint::Misnamed(property));
        }
        complaints.extend(self.unfinished.iter().copied().map(Complaint::Unfinished));
        if self.shortest.is_none() {
            complaints.push(Complaint::Unnamed);
        }
        if *level > self.defect.needs {
            complaints.push(Complaint::Level(*level));
        }
        if self.mean_drawn().is_none() {
            complaints.push(Complaint::NotDrawn);
        }
        complaints
    }
}

/// An alarm in a design that is right.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// The design, or the alternative rule.
    pub design: &'static str,
    /// Where.
    pub stage: Stage,
    /// Under which delivery.
    pub level: Level,
    /// What was said.
    pub verdict: String,
}

/// What came of the zoo.
#[derive(Clone, Debug)]
pub struct Played {
    /// The defects.
    pub rows: Vec<Row>,
    /// Whether the defect nobody could miss was caught.
    pub canary: bool,
    /// Alarms in designs that are right.
    pub alarms: Vec<Alarm>,
    /// How many searches and schedules of designs that are right raised none.
    pub quiet: u64,
}

impl Played {
    /// Whether every defect was caught by the property that names it, and nothing else was found.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.canary && self.alarms.is_empty() && self.rows.iter().all(|row| row.complaints().is_empty())
    }
}

/// One thing to do.
enum Task {
    Defect(Defect),
    /// A design that is right, in one small world.
    Right {
        name: &'static str,
        place: Place,
    },
}

enum Done {
    Row(Box<Row>),
    Right(Option<Alarm>),
}

impl Zoo {
    /// Plays every defect, the canary, and everything that is right.
    ///
    /// # Panics
    /// If a handler or a property panics.
    #[must_use]
    pub fn play(&self) -> Played {
        let tasks = self.tasks();
        let mut played = Played { rows: Vec::new(), canary: false, alarms: Vec::new(), quiet: 0 };
        for done in in_threads(self.threads, &tasks, |task| self.run(task)) {
            match done {
                Done::Row(row) if row.defect.id == Defect::CANARY.id => played.canary = row.complaints().is_empty(),
                Done::Row(row) => played.rows.push(*row),
                Done::Right(None) => played.quiet += 1,
                Done::Right(Some(alarm)) => played.alarms.push(alarm),
            }
        }
        played
    }

    /// The defects, then what is right in each world in which a defect is looked for.
    fn tasks(&self) -> Vec<Task> {
        let defects = std::iter::once(Defect::CANARY).chain(self.defects.iter().copied());
        let mut tasks: Vec<Task> = defects.map(Task::Defect).collect();
        for (stage, level, splits) in self.worlds() {
            let right = |name, design| Task::Right { name, place: Place { design, stage, level, splits } };
            tasks.push(right(self.design.name, self.design));
            if stage == Stage::Two && !splits {
                for alternative in Alternative::ALL {
                    let mut design = self.design;
                    (alternative.plant)(&mut design);
                    tasks.push(right(alternative.name, design));
                }
            }
        }
        tasks
    }

    /// The worlds in which the defects are looked for, but none in which the broker loses messages:
    /// there the broker is the fault.
    fn worlds(&self) -> BTreeSet<(Stage, Level, bool)> {
        let wanted = |defect: &Defect, level: Level| self.all_levels || level <= defect.needs.max(Level::AnyOrder);
        let of = |defect: &Defect| {
            let levels = Level::ALL.into_iter().filter(|level| *level != Level::Loss && wanted(defect, *level));
            levels.map(|level| (defect.stage, level, defect.splits)).collect::<Vec<_>>()
        };
        self.defects.iter().flat_map(of).collect()
    }

    fn run(&self, task: &Task) -> Done {
        match task {
            Task::Defect(defect) => Done::Row(Box::new(self.row(*defect))),
            Task::Right { name, place } => {
                let searched = place.search(&judges(), |_| true);
                let unfinished = || (!searched.complete).then(|| "the search did not end".to_owned());
                let verdict = searched.found.first().map(in_words).or_else(unfinished);
                let verdict = verdict.or_else(|| place.draw_all(self.schedules_max.into()).err());
                Done::Right(verdict.map(|verdict| Alarm {
                    design: name,
                    stage: place.stage,
                    level: place.level,
                    verdict,
                }))
            }
        }
    }

    fn row(&self, defect: Defect) -> Row {
        let design = self.design.with(&[defect]);
        let mut row = Row {
            defect,
            design,
            weakest: None,
            by_level: Vec::new(),
            shortest: None,
            drawn: Vec::new(),
            shrunk: None,
            unfinished: Vec::new(),
            states: 0,
        };
        // Where messages are lost even the right design fails, so that tells nothing of other defects.
        let levels = Level::ALL.into_iter().filter(|level| *level != Level::Loss || defect.needs == Level::Loss);
        for level in levels {
            if row.weakest.is_some() && !self.all_levels {
                break;
            }
            let judges = judges();
            let ShortestResult { found, states, complete } = row.place(level).search(&judges, past_the_first());
            row.states += states;
            if found.is_empty() && !complete {
                row.unfinished.push(level);
            }
            row.by_level.push((level, found.first().map(|found| found.cost)));
            if row.weakest.is_none() && !found.is_empty() {
                row.weakest = Some((level, found));
            }
        }
        let Some((weakest, _)) = &row.weakest else { return row };
        // The cheapest way is looked for in any order, where there are most ways.
        let widest = (*weakest).max(defect.needs).max(Level::AnyOrder);
        let named = judges_of(defect.property);
        let searched = row.place(widest).search(&named, |_| true);
        row.states += searched.states;
        row.shortest = searched.found.into_iter().next().map(|found| (widest, found));
        let judges = judges();
        for start in 0..self.tries {
            let first = u64::from(start) * u64::from(self.schedules_max);
            let seeds = first..first + u64::from(self.schedules_max);
            let drawn = row.place(widest).draw(&judges, seeds, |property| defect.is_named_by(property));
            row.drawn.push(drawn.map(|seed| (seed - first + 1) as u32));
            if row.shrunk.is_none() {
                row.shrunk = drawn.and_then(|seed| row.place(widest).shrink(&judges, seed));
            }
        }
        row
    }
}

/// A design in a small world under a delivery.
struct Place {
    design: Design,
    stage: Stage,
    level: Level,
    splits: bool,
}

impl Place {
    fn simulation(&self) -> Simulation<Ticketing> {
        playground(&self.design, self.stage, profile(self.level), self.splits)
    }

    fn scheduler(&self, simulation: &Simulation<Ticketing>, seed: u64) -> Box<dyn Scheduler> {
        SchedulerKind::Portfolio.scheduler(simulation, seed, faults(self.level, self.splits))
    }

    fn search(&self, judges: &Judges<Ticketing>, enough: impl FnMut(&Found) -> bool) -> ShortestResult {
        let simulation = self.simulation();
        let bounds = bounds(self.level, self.splits);
        let shortest = Shortest::new(&simulation, judges).with_bounds(bounds).with_states_max(STATES_MAX);
        shortest.run_until(enough)
    }

    /// The first seed whose schedule breaks one of these properties before any other.
    fn draw(&self, judges: &Judges<Ticketing>, mut seeds: Range<u64>, counts: impl Fn(&str) -> bool) -> Option<u64> {
        let mut world = self.simulation().world();
        seeds.find(|seed| match self.run(&mut world, judges, *seed, &mut ()) {
            Verdict::Violated { property, .. } => counts(property),
            _ => false,
        })
    }

    /// What matters of the run of a seed; `None` if it holds or has a name twice.
    fn shrink(&self, judges: &Judges<Ticketing>, seed: u64) -> Option<Shrunk<Request>> {
        let (simulation, limits) = (self.simulation(), Limits::default());
        let extracted = extract(&simulation, self.scheduler(&simulation, seed), judges, limits, Tie::InOrder).ok()?;
        Shrink::new(&simulation, judges).with_limits(limits).run(extracted.departures).ok()
    }

    /// Draws so many schedules and compares what came of them.
    fn draw_all(&self, schedules: u64) -> Result<(), String> {
        let judges = judges();
        let mut world = self.simulation().world();
        let mut independence = ScheduleIndependence::default();
        for seed in 0..schedules {
            let mut accepted = Accepted::default();
            let verdict = self.run(&mut world, &judges, seed, &mut accepted);
            if verdict != Verdict::Held {
                return Err(format!("seed {seed}: {}", detail(&verdict).unwrap_or_default()));
            }
            let same = independence.add(seed, accepted, &world);
            same.map_err(|difference| format!("{}: {difference}", ScheduleIndependence::NAME))?;
        }
        Ok(())
    }

    fn run(
        &self,
        world: &mut World<Ticketing>,
        judges: &Judges<Ticketing>,
        seed: u64,
        observer: &mut impl Observer<Ticketing>,
    ) -> Verdict {
        world.reset();
        let mut scheduler = self.scheduler(world.simulation(), seed);
        run(world, &mut scheduler, judges, Limits::default(), observer).verdict
    }
}

/// Goes on until all that costs the least was found.
fn past_the_first() -> impl FnMut(&Found) -> bool {
    let mut least = None;
    move |found: &Found| *least.get_or_insert(found.cost) < found.cost
}

fn judges() -> Judges<Ticketing> {
    Judges::new(properties::promised_by(&Design::REFERENCE))
}

fn judges_of(name: &str) -> Judges<Ticketing> {
    Judges::new(properties::all().into_iter().filter(|property| property.name() == name).collect())
}

fn in_words(found: &Found) -> String {
    format!("{} at {}: {}", found.property, found.cost, found.violation)
}

/// Does each task once, in so many threads; the results are in the order of the tasks.
fn in_threads<T: Sync, R: Send>(threads: usize, tasks: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let take = || {
        loop {
            let place = next.fetch_add(1, Relaxed);
            let Some(task) = tasks.get(place) else { return };
            let result = work(task);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(take);
        }
        take();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
