//! The zoo: every known defect planted in the design that is right, and what finds it.
//!
//! Each defect is looked for in small worlds, the scenario files that it names, in two ways. A complete
//! search tells the weakest delivery under which it shows, the property that sees it first and the cheapest
//! way to it; drawn schedules tell how many it takes to meet it. The same is done with the design that is
//! right, in which nothing may be found.

mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::scenario::{Comparing, Defect, Design, FileError, Level, Scenario, Suite, planted};
use pellmell_core::extract::extract;
use pellmell_core::run::{Judges, Limits, Verdict};
use pellmell_core::scheduler::Tie;
use pellmell_core::search::{Cost, Found, Run, Runs, Seeds, Shortest, ShortestResult, Source};
use pellmell_core::shrink::{Shrink, Shrunk};
use pellmell_core::simulation::Simulation;
use pellmell_core::trace::{TraceRecord, detail, records_of};

pub use place::{bounds, faults, profile, scenario, simulation};

/// The most states a search looks at. None of the small worlds has as many.
const STATES_MAX: u64 = 2_000_000;

/// Gives the text of a file by the path that a defect names, or says what is wrong with it.
pub type Read<'a> = dyn Fn(&str) -> Result<String, FileError> + Sync + 'a;

/// How the zoo is played.
pub struct Zoo<'a, T: Suite> {
    /// Reads the text of a scenario file.
    pub read: &'a Read<'a>,
    /// The defects to play.
    pub defects: Vec<Defect<T::Design>>,
    /// The design they are planted in, in which nothing may be found.
    pub design: T::Design,
    /// A scenario file in which they are looked for, instead of those that they name.
    pub scenario: Option<String>,
    /// How often schedules are drawn until one shows the defect, each time with other seeds.
    pub tries: u32,
    /// The most schedules that are drawn in one try.
    pub schedules_max: u32,
    /// Whether every level is searched, also those above the weakest that shows the defect.
    pub all_levels: bool,
    /// How many threads play; at least 1. The result does not depend on it.
    pub threads: usize,
}

impl<'a, T: Suite> Zoo<'a, T> {
    /// All defects that name a scenario file, in this design: 20 tries of at most 4,000 schedules each, with
    /// one thread.
    #[must_use]
    pub fn new(design: T::Design, read: &'a Read<'a>) -> Zoo<'a, T> {
        let defects = T::defects().into_iter().filter(|defect| !defect.scenarios.is_empty()).collect();
        Zoo { read, defects, design, scenario: None, tries: 20, schedules_max: 4_000, all_levels: false, threads: 1 }
    }

    /// Checks that it has defects, and that the scenario files they name can be played.
    ///
    /// # Errors
    /// A defect that names no file, or the first file that is none (see [`scenario`]).
    pub fn check(&self) -> Result<(), FileError> {
        self.scenarios().map(|_| ())
    }

    /// The scenario files in which a defect is looked for.
    fn files_of(&self, defect: &Defect<T::Design>) -> Vec<String> {
        match &self.scenario {
            Some(file) => vec![file.clone()],
            None => defect.scenarios.iter().map(|file| (*file).to_owned()).collect(),
        }
    }

    /// Reads the scenario files of its defects and of the canary.
    fn scenarios(&self) -> Result<BTreeMap<String, Scenario<T>>, FileError> {
        let nowhere = self.defects.iter().find(|defect| self.files_of(defect).is_empty());
        let nowhere = nowhere.map(|defect| format!("{} names no scenario file in which it shows", defect.name));
        let none = self.defects.is_empty().then(|| "no defect names a scenario file in which it shows".to_owned());
        if let Some(message) = nowhere.or(none) {
            let error = FileError::new("Suite::defects", "", 0..0, message);
            return Err(error.help("name one: `Defect::with_scenarios(&[\"scenarios/zoo/one.toml\"])`"));
        }
        let of_canary = T::canary().into_iter().flat_map(|canary| canary.scenarios).map(|file| (*file).to_owned());
        let files: BTreeSet<String> =
            self.defects.iter().flat_map(|defect| self.files_of(defect)).chain(of_canary).collect();
        let read = files.into_iter().map(|file| {
            let scenario = scenario(&file, &(self.read)(&file)?)?;
            let placed = simulation(&self.design, &scenario, profile(Level::AnyOrder), false);
            placed.map_err(|error| FileError::new(&file, "", 0..0, error.to_string()))?;
            Ok((file, scenario))
        });
        read.collect()
    }
}

/// What was found of a defect in a scenario file.
#[derive(Clone, Debug)]
pub struct DefectRow {
    /// The defect; how short its shortest way is, is known of the first file that it names.
    pub defect: Defect<()>,
    /// The scenario file in which it was looked for.
    pub scenario: String,
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
    pub shrunk: Option<Shrunk<String>>,
    /// The shortest way step by step, and the names of the services.
    pub story: Option<(Vec<String>, Vec<TraceRecord>)>,
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

impl DefectRow {
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
        let tries = self.drawn.len() as u64;
        drawn.filter(|_| tries > 0).map(|drawn| u32::try_from(drawn.div_ceil(tries)).unwrap_or(u32::MAX))
    }

    /// Whether the cheapest way is as long as the known one.
    #[must_use]
    pub fn is_as_known(&self) -> bool {
        let Some((deliveries, commands)) = self.defect.known else { return true };
        self.shortest.as_ref().is_some_and(|(_, found)| found.cost == Cost { deliveries, commands })
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
    /// In which scenario file.
    pub scenario: String,
    /// Under which delivery.
    pub level: Level,
    /// What was said.
    pub verdict: String,
}

/// What came of the zoo.
#[derive(Clone, Debug)]
pub struct ZooResult {
    /// The defects, each in each of its scenario files.
    pub rows: Vec<DefectRow>,
    /// Whether the defect nobody could miss was caught; `None` if the system has none.
    pub canary: Option<bool>,
    /// Alarms in designs that are right.
    pub alarms: Vec<Alarm>,
    /// How many searches and schedules of designs that are right raised none.
    pub quiet: u64,
}

impl ZooResult {
    /// The numbers of the defects that were played.
    #[must_use]
    pub fn defects(&self) -> BTreeSet<&'static str> {
        self.rows.iter().map(|row| row.defect.id).collect()
    }

    /// How many defects were caught as they should be in each of their scenario files.
    #[must_use]
    pub fn caught(&self) -> usize {
        self.all_of(|row| row.complaints().is_empty())
    }

    /// How many defects have a way as short as the known one.
    #[must_use]
    pub fn as_known(&self) -> usize {
        self.all_of(|row| row.shortest.is_some() && row.is_as_known())
    }

    /// How many defects have only rows that are so.
    fn all_of(&self, is_so: impl Fn(&DefectRow) -> bool) -> usize {
        let others: BTreeSet<&str> = self.rows.iter().filter(|row| !is_so(row)).map(|row| row.defect.id).collect();
        self.defects().len() - others.len()
    }

    /// Whether every defect was caught by the property that names it, and nothing else was found.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.canary != Some(false) && self.alarms.is_empty() && self.rows.iter().all(|row| row.complaints().is_empty())
    }
}

/// One thing to do.
enum Task<'a, T: Suite> {
    /// A defect, in one of its scenario files.
    Defect(Defect<T::Design>, &'a Scenario<T>, String),
    /// A design that is right, in one small world.
    Right { name: &'static str, file: String, place: Setting<'a, T> },
}

enum Done {
    DefectRow(Box<DefectRow>),
    Right(Option<Alarm>),
}

impl<T: Suite> Zoo<'_, T> {
    /// Plays every defect, the canary, and everything that is right.
    ///
    /// # Errors
    /// As [`Zoo::check`].
    ///
    /// # Panics
    /// If a handler or a property panics.
    pub fn play(&self) -> Result<ZooResult, FileError> {
        let scenarios = self.scenarios()?;
        let tasks = self.tasks(&scenarios);
        let canary = T::canary().map(|canary| canary.id);
        let mut played = ZooResult { rows: Vec::new(), canary: None, alarms: Vec::new(), quiet: 0 };
        for done in in_threads(self.threads, &tasks, |task| self.run(task)) {
            match done {
                Done::DefectRow(row) if Some(row.defect.id) == canary => {
                    played.canary = Some(played.canary != Some(false) && row.complaints().is_empty())
                }
                Done::DefectRow(row) => played.rows.push(*row),
                Done::Right(None) => played.quiet += 1,
                Done::Right(Some(alarm)) => played.alarms.push(alarm),
            }
        }
        Ok(played)
    }

    /// The defects in each of their files, then what is right in each world in which a defect is looked for.
    fn tasks<'a>(&self, scenarios: &'a BTreeMap<String, Scenario<T>>) -> Vec<Task<'a, T>> {
        let of = |(defect, files): (Defect<T::Design>, Vec<String>)| {
            let task = move |file: String| {
                let is_first = defect.scenarios.first() == Some(&file.as_str());
                let known = defect.known.filter(|_| is_first);
                Some(Task::Defect(Defect { known, ..defect }, scenarios.get(&file)?, file))
            };
            files.into_iter().filter_map(task)
        };
        let canary = T::canary().map(|canary| (canary, canary.scenarios.iter().map(ToString::to_string).collect()));
        let defects = self.defects.iter().map(|defect| (*defect, self.files_of(defect)));
        let mut tasks: Vec<Task<'a, T>> = canary.into_iter().chain(defects).flat_map(of).collect();
        // The other rules are played in the first of all files.
        let first = T::defects().first().and_then(|defect| self.files_of(defect).into_iter().next());
        for (file, level, splits) in self.worlds() {
            let Some(scenario) = scenarios.get(&file) else { continue };
            let right = |name, design: T::Design| {
                let place = Setting { design, scenario, level, splits };
                Task::Right { name, file: file.clone(), place }
            };
            tasks.push(right(self.design.name(), self.design.clone()));
            if Some(&file) == first.as_ref() && !splits {
                for alternative in T::alternatives() {
                    let mut design = self.design.clone();
                    (alternative.plant)(&mut design);
                    tasks.push(right(alternative.name, design));
                }
            }
        }
        tasks
    }

    /// The worlds in which the defects are looked for, by scenario file, but none in which the broker loses
    /// messages: there the broker is the fault.
    fn worlds(&self) -> BTreeSet<(String, Level, bool)> {
        let wanted =
            |defect: &Defect<T::Design>, level: Level| self.all_levels || level <= defect.needs.max(Level::AnyOrder);
        let of = |defect: &Defect<T::Design>| {
            let levels = Level::ALL.into_iter().filter(|level| *level != Level::Loss && wanted(defect, *level));
            let levels: Vec<Level> = levels.collect();
            let of_file = |file: String| levels.iter().map(move |level| (file.clone(), *level, defect.splits));
            self.files_of(defect).into_iter().flat_map(of_file).collect::<Vec<_>>()
        };
        self.defects.iter().flat_map(of).collect()
    }

    fn run(&self, task: &Task<'_, T>) -> Done {
        match task {
            Task::Defect(defect, scenario, file) => Done::DefectRow(Box::new(self.row(defect, scenario, file.clone()))),
            Task::Right { name, file, place } => {
                let searched = place.search(&self.judges(), |_| true);
                let unfinished = || (!searched.complete).then(|| "the search did not end".to_owned());
                let verdict = searched.found.first().map(in_words).or_else(unfinished);
                let verdict = verdict.or_else(|| place.draw_all(&self.judges(), self.schedules_max.into()).err());
                Done::Right(verdict.map(|verdict| Alarm {
                    design: name,
                    scenario: file.clone(),
                    level: place.level,
                    verdict,
                }))
            }
        }
    }

    /// A zoo judges by what the usual design promises, whatever is played.
    fn judges(&self) -> Judges<T> {
        Judges::new(T::properties(&T::usual()))
    }

    fn row(&self, defect: &Defect<T::Design>, scenario: &Scenario<T>, file: String) -> DefectRow {
        let (design, splits) = (planted(&self.design, &[*defect]), defect.splits);
        let place = |level| Setting { design: design.clone(), scenario, level, splits };
        let defect = defect.described();
        let mut row = DefectRow {
            defect,
            scenario: file,
            weakest: None,
            by_level: Vec::new(),
            shortest: None,
            drawn: Vec::new(),
            shrunk: None,
            story: None,
            unfinished: Vec::new(),
            states: 0,
        };
        // Where messages are lost even the right design fails, so that tells nothing of other defects.
        let levels = Level::ALL.into_iter().filter(|level| *level != Level::Loss || defect.needs == Level::Loss);
        for level in levels {
            if row.weakest.is_some() && !self.all_levels {
                break;
            }
            let ShortestResult { found, states, complete, .. } = place(level).search(&self.judges(), past_the_first());
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
        let named = judges_of::<T>(defect.property);
        let searched = place(widest).search(&named, |_| true);
        row.states += searched.states;
        row.shortest = searched.found.into_iter().next().map(|found| (widest, found));
        row.story = row.shortest.as_ref().map(|(level, found)| place(*level).story(found));
        let judges = self.judges();
        for start in 0..self.tries {
            let first = u64::from(start) * u64::from(self.schedules_max);
            let seeds = first..first + u64::from(self.schedules_max);
            let drawn = place(widest).draw(&judges, seeds, |property| defect.is_named_by(property));
            row.drawn.push(drawn.map(|seed| (seed - first + 1) as u32));
            if row.shrunk.is_none() {
                row.shrunk = drawn.and_then(|seed| place(widest).shrink(&judges, seed));
            }
        }
        row
    }
}

/// A design in a small world under a delivery.
struct Setting<'a, T: Suite> {
    design: T::Design,
    scenario: &'a Scenario<T>,
    level: Level,
    splits: bool,
}

impl<T: Suite> Setting<'_, T> {
    fn simulation(&self) -> Simulation<T> {
        let simulation = simulation(&self.design, self.scenario, profile(self.level), self.splits);
        simulation.unwrap_or_else(|error| panic!("the scenario {}: {error}", self.scenario.name))
    }

    /// How its runs are played: the scheduler of each seed, and how far they go.
    fn seeds<'b>(&self, simulation: &'b Simulation<T>) -> Seeds<'b, T> {
        Seeds { simulation, plan: faults(self.level, self.splits), limits: Limits::default() }
    }

    fn search(&self, judges: &Judges<T>, enough: impl FnMut(&Found) -> bool) -> ShortestResult {
        let simulation = self.simulation();
        let bounds = bounds(self.level, self.splits);
        let shortest = Shortest::new(&simulation, judges).with_bounds(bounds).with_states_max(STATES_MAX);
        shortest.run_until(enough)
    }

    /// The steps of a way that was found, and the names of the services.
    fn story(&self, found: &Found) -> (Vec<String>, Vec<TraceRecord>) {
        let simulation = self.simulation();
        (simulation.service_names().map(str::to_owned).collect(), records_of(&simulation, &found.path))
    }

    /// The first seed whose schedule breaks one of these properties before any other.
    fn draw(&self, judges: &Judges<T>, mut seeds: Range<u64>, counts: impl Fn(&str) -> bool) -> Option<u64> {
        let simulation = self.simulation();
        let source = self.seeds(&simulation);
        let mut runs = Runs::new(&source, judges);
        seeds.find(|seed| match begun(&mut runs, *seed).play(&mut ()).verdict {
            Verdict::Violated { property, .. } => counts(property),
            _ => false,
        })
    }

    /// What matters of the run of a seed; `None` if it holds or has a name twice.
    fn shrink(&self, judges: &Judges<T>, seed: u64) -> Option<Shrunk<String>> {
        let simulation = self.simulation();
        let source = self.seeds(&simulation);
        let (scheduler, limits) = (source.scheduler(&simulation, seed), source.limits());
        let extracted = extract(&simulation, scheduler, judges, limits, Tie::InOrder).ok()?;
        let shrunk = Shrink::new(&simulation, judges).with_limits(limits).run(extracted.departures).ok()?;
        Some(shrunk.with_labels())
    }

    /// Draws so many schedules and compares what came of them.
    fn draw_all(&self, judges: &Judges<T>, schedules: u64) -> Result<(), String> {
        let simulation = self.simulation();
        let source = self.seeds(&simulation);
        let mut runs = Runs::new(&source, judges);
        let mut comparison = T::comparison();
        for seed in 0..schedules {
            comparison.begin();
            let mut run = begun(&mut runs, seed);
            let verdict = run.play(&mut Comparing(&mut *comparison)).verdict;
            if verdict != Verdict::Held {
                return Err(format!("seed {seed}: {}", detail(&verdict).unwrap_or_default()));
            }
            comparison.end(seed, run.world)?;
        }
        Ok(())
    }
}

/// The run of a seed of a setting, whose parts are known to fit.
fn begun<'a, T: Suite>(runs: &'a mut Runs<'_, T>, seed: u64) -> Run<'a, T> {
    runs.begin(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

/// Goes on until all that costs the least was found.
fn past_the_first() -> impl FnMut(&Found) -> bool {
    let mut least = None;
    move |found: &Found| *least.get_or_insert(found.cost) < found.cost
}

fn judges_of<T: Suite>(name: &str) -> Judges<T> {
    Judges::new(T::all_properties().into_iter().filter(|property| property.name() == name).collect())
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
