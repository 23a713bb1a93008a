//! A system behind a trait object: what the command line does with a system and its scenarios, so that it is
//! compiled once and not once for each system.

mod plans;

use std::marker::PhantomData;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use crate::corpus::{self, Checked, Renewal};
use crate::results::Swept;
use crate::scenario::{
    Changes, Counterexample, Defect, Design, Display, FileError, Gone, Scenario, Settings, ShrinkError, Suite,
};
use crate::zoo::{Read, Zoo, ZooResult};
use pellmell_core::determinism::{Divergence, Sample};
use pellmell_core::explain::{Explain, Explanation};
use pellmell_core::faults::FaultPlan;
use pellmell_core::run::{Judges, Limits, Observer, Verdict, run};
use pellmell_core::schedule::{Departure, NamedStep};
use pellmell_core::scheduler::Action;
use pellmell_core::search::{
    Bounds, Exhaust, FailingRun, HoldPart, HoldSweep, Part, SearchStats, SoFar, Sweep, SweepResult, steps_named,
};
use pellmell_core::simulation::BuildError;
use pellmell_core::trace::{Edges, Format, Header, Naming, Recorder, records_of};
use pellmell_core::vacuity::{Findings, Kind, Occurred, Vacuous};
use pellmell_core::world::{Step, World};

pub use plans::{ExhaustPlan, NotExplained, NotSearched, Recorded, Searched, Smallest, ZooPlan};

/// A system under test, whatever its types.
pub trait AnySystem: Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// The name of its program.
    fn program(&self) -> &'static str;

    /// A scenario file, for examples of its command line.
    fn example(&self) -> &'static str;

    /// The names of its designs, the usual one first, and what each does.
    fn designs(&self) -> Vec<(&'static str, &'static str)>;

    /// Its defects.
    fn defects(&self) -> Vec<Defect<()>>;

    /// The names of its properties.
    fn properties(&self) -> Vec<String>;

    /// The names of those that its usual design promises.
    fn promises(&self) -> Vec<String>;

    /// How a timeline shows its records.
    fn display(&self) -> Display;

    /// Reads a scenario from a file's text (see [`Scenario::parse`]).
    ///
    /// # Errors
    /// The first mistake, with its place and what was expected.
    fn scenario(&self, file: &str, text: &str) -> Result<Box<dyn AnyScenario>, FileError>;

    /// The scenario that a result is of.
    ///
    /// # Errors
    /// If it names what does not exist.
    fn scenario_of(&self, swept: &Swept) -> Result<Box<dyn AnyScenario>, FileError>;

    /// Checks an entry of a corpus (see [`corpus::check`]).
    ///
    /// # Errors
    /// If the text is no entry.
    fn check_entry(&self, file: &str, text: &str) -> Result<Checked, FileError>;

    /// Renews an entry of a corpus (see [`corpus::renew`]).
    ///
    /// # Errors
    /// If the text is no entry.
    fn renew_entry(&self, file: &str, text: &str) -> Result<(Checked, Renewal), FileError>;

    /// Plays the zoo of these defects, by name; of all that name a scenario file if there are none. `begins`
    /// hears how many that are before any is played.
    ///
    /// # Errors
    /// If a scenario file is none (see [`Zoo::check`]).
    ///
    /// # Panics
    /// If a handler or a property panics.
    fn zoo(&self, how: &ZooPlan, read: &Read<'_>, begins: &mut dyn FnMut(usize)) -> Result<ZooResult, FileError>;
}

/// A scenario of a system, whatever its types.
pub trait AnyScenario: Send + Sync {
    /// What it says whatever the system.
    fn settings(&self) -> &Settings;

    /// The same to be changed.
    fn settings_mut(&mut self) -> &mut Settings;

    /// A copy.
    fn copy(&self) -> Box<dyn AnyScenario>;

    /// The name of the design.
    fn design(&self) -> &'static str;

    /// Chooses a design by name; says whether there is one.
    fn choose(&mut self, design: &str) -> bool;

    /// The name of the design and those of the defects planted in it (see [`Scenario::rules`]).
    fn rules(&self) -> String;

    /// Whether the simulation is another one for each seed.
    fn varies(&self) -> bool;

    /// Gives it the changes that a trace or a result has beside the file's text.
    ///
    /// # Errors
    /// The first name that means nothing any more.
    fn change(&mut self, changes: &Changes<'_>) -> Result<(), Gone>;

    /// The departures that are others than the file's, and whether its faults were taken away (see
    /// [`Scenario::departs_otherwise`]).
    fn departs_otherwise(&self) -> (Vec<String>, bool);

    /// The command that does `verb` with it (see [`Scenario::command`]).
    fn command(&self, verb: &str, path: &Path) -> String;

    /// Checks that departures speak of what there is (see [`Scenario::check_departures`]).
    ///
    /// # Errors
    /// The first that does not.
    fn check_departures(&self, from: &str, departures: &[Departure]) -> Result<(), FileError>;

    /// What some run should reach: the names, and what each is.
    fn sometimes(&self) -> Vec<(String, String)>;

    /// How many clients and commands there are.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn size(&self) -> Result<(usize, usize), BuildError>;

    /// What is known to be vacuous before anything runs.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn foreseen(&self) -> Result<Findings, BuildError>;

    /// What did not happen in any run of a sweep.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn vacuous_in_sweep(&self, swept: &SweepResult) -> Result<Findings, BuildError>;

    /// Plays one seed and records it. `after` hears the number of each step when it is taken.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn record(&self, seed: u64, after: &mut dyn FnMut(u64)) -> Result<Recorded, BuildError>;

    /// Shrinks the run of a seed in at most so many runs; `None` if it holds.
    ///
    /// # Errors
    /// If the run cannot be told as departures, or what is left of it not as a scenario file.
    fn shrink(&self, seed: u64, executions_max: u32) -> Result<Option<Smallest>, ShrinkError>;

    /// The same, and what made the run fail, from so many continuations of each step.
    ///
    /// # Errors
    /// As [`AnyScenario::shrink`], or if the shrunk run is too long to be explained.
    fn explain(
        &self,
        seed: u64,
        executions_max: u32,
        continuations: u32,
    ) -> Result<Option<(Smallest, Explanation)>, NotExplained>;

    /// The same services and clients on this broker, or on the scenario's own (see [`Scenario::on_broker`]).
    ///
    /// # Errors
    /// If the keys are no table of a broker.
    fn on_broker(&self, keys: Option<&str>) -> Result<Box<dyn AnyScenario>, FileError>;

    /// The same scenario on the broker of a profile (see [`Scenario::on_profile`]).
    ///
    /// # Errors
    /// If there is no such profile, or it asks for what that broker does not do.
    fn on_profile(&self, file: &str, profile: &str) -> Result<Box<dyn AnyScenario>, FileError>;

    /// The first steps of a seed's run, by name.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn first_steps(&self, seed: u64, steps: u64) -> Result<Vec<NamedStep>, BuildError>;

    /// Searches all schedules within bounds.
    ///
    /// # Errors
    /// If its parts do not fit, or a step before the search cannot happen.
    fn exhaust(
        &self,
        how: &ExhaustPlan<'_>,
        progress: &mut (dyn FnMut(SearchStats) + Send),
    ) -> Result<Searched, NotSearched>;

    /// What of bounds can have no effect.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn idle_in(&self, seed: u64, bounds: &Bounds) -> Result<Vec<Vacuous>, BuildError>;

    /// Plays the few seeds that [`AnyScenario::compare`] plays a second time; before all others.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn sample(&self, seeds: &Range<u64>) -> Result<Sample, BuildError>;

    /// Plays the seeds of a sample a second time.
    ///
    /// # Errors
    /// A seed that does something else then, and in which step.
    fn compare(&self, seeds: &Range<u64>, sample: &Sample) -> Result<(), (u64, Divergence)>;

    /// What the sweep of these seeds runs (see [`Swept::new`]).
    ///
    /// # Errors
    /// If its parts do not fit.
    fn swept(&self, file: &str, seeds: &Range<u64>) -> Result<Swept, BuildError>;

    /// The fingerprint of the first seed's run.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn witness(&self, seeds: &Range<u64>) -> Result<u64, BuildError>;

    /// Runs the seeds that `begun` has not covered (see [`Sweep::go_on`]).
    ///
    /// # Errors
    /// If its parts do not fit.
    fn sweep(
        &self,
        seeds: &Range<u64>,
        threads: u32,
        begun: Part,
        watch: &mut (dyn FnMut(&SoFar<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Part, BuildError>;

    /// Makes the plan of a hold sweep of at most so many schedules, and does `then` with it.
    ///
    /// # Errors
    /// If its parts do not fit.
    fn with_hold_plan(
        &self,
        schedules_max: Option<u64>,
        threads: u32,
        then: &mut dyn FnMut(&dyn AnyHoldPlan),
    ) -> Result<(), BuildError>;
}

/// The plan of a hold sweep, whatever the system (see [`HoldPlan`](pellmell_core::search::HoldPlan)).
pub trait AnyHoldPlan {
    /// How many schedules there are to play, the calm run among them.
    fn schedules(&self) -> u64;

    /// No schedules, before the one at this place.
    fn none(&self, place: u64) -> HoldPart;

    /// Plays the schedules up to a place that `begun` has not covered.
    fn go_on(
        &self,
        begun: HoldPart,
        end: u64,
        watch: &mut (dyn FnMut(&SoFar<'_, HoldPart>) -> ControlFlow<()> + Send),
    ) -> HoldPart;
}

impl<T: Suite> AnyHoldPlan for pellmell_core::search::HoldPlan<'_, T> {
    fn schedules(&self) -> u64 {
        pellmell_core::search::HoldPlan::schedules(self)
    }

    fn none(&self, place: u64) -> HoldPart {
        pellmell_core::search::HoldPlan::none(self, place)
    }

    fn go_on(
        &self,
        begun: HoldPart,
        end: u64,
        watch: &mut (dyn FnMut(&SoFar<'_, HoldPart>) -> ControlFlow<()> + Send),
    ) -> HoldPart {
        pellmell_core::search::HoldPlan::go_on(self, begun, end, watch)
    }
}

/// A system as a trait object.
pub struct Erased<T>(PhantomData<fn() -> T>);

impl<T> Default for Erased<T> {
    fn default() -> Erased<T> {
        Erased(PhantomData)
    }
}

impl<T: Suite> AnySystem for Erased<T> {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn program(&self) -> &'static str {
        T::program()
    }

    fn example(&self) -> &'static str {
        T::example()
    }

    fn designs(&self) -> Vec<(&'static str, &'static str)> {
        T::designs().iter().map(|design| (design.name(), design.about())).collect()
    }

    fn defects(&self) -> Vec<Defect<()>> {
        T::defects().iter().map(|defect| defect.described()).collect()
    }

    fn properties(&self) -> Vec<String> {
        T::all_properties().iter().map(|property| property.name().to_owned()).collect()
    }

    fn promises(&self) -> Vec<String> {
        T::properties(&T::usual()).iter().map(|property| property.name().to_owned()).collect()
    }

    fn display(&self) -> Display {
        T::display()
    }

    fn scenario(&self, file: &str, text: &str) -> Result<Box<dyn AnyScenario>, FileError> {
        Ok(Box::new(Scenario::<T>::parse(file, text)?))
    }

    fn scenario_of(&self, swept: &Swept) -> Result<Box<dyn AnyScenario>, FileError> {
        Ok(Box::new(swept.scenario::<T>()?))
    }

    fn check_entry(&self, file: &str, text: &str) -> Result<Checked, FileError> {
        corpus::check::<T>(file, text)
    }

    fn renew_entry(&self, file: &str, text: &str) -> Result<(Checked, Renewal), FileError> {
        corpus::renew::<T>(file, text)
    }

    fn zoo(&self, how: &ZooPlan, read: &Read<'_>, begins: &mut dyn FnMut(usize)) -> Result<ZooResult, FileError> {
        let mut zoo = Zoo::<T>::new(T::usual(), read);
        (zoo.tries, zoo.all_levels, zoo.threads) = (how.tries, how.all_levels, how.threads);
        zoo.scenario.clone_from(&how.scenario);
        if !how.defects.is_empty() {
            zoo.defects = how.defects.iter().filter_map(|name| T::defect(name)).collect();
        }
        zoo.check()?;
        begins(zoo.defects.len());
        zoo.play()
    }
}

/// Tells the number of each step.
struct Telling<'a> {
    recorder: Recorder,
    after: &'a mut dyn FnMut(u64),
}

impl<T: Suite> Observer<T> for Telling<'_> {
    fn before(&mut self, world: &World<T>, action: Action) {
        Observer::<T>::before(&mut self.recorder, world, action);
    }

    fn after(&mut self, world: &World<T>, step: &Step) {
        self.recorder.after(world, step);
        (self.after)(step.number);
    }

    fn panicked(&mut self, world: &World<T>, step: &Step, message: &str) {
        self.recorder.panicked(world, step, message);
        (self.after)(step.number);
    }
}

impl<T: Suite> AnyScenario for Scenario<T> {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn copy(&self) -> Box<dyn AnyScenario> {
        Box::new(self.clone())
    }

    fn design(&self) -> &'static str {
        self.design.name()
    }

    fn choose(&mut self, design: &str) -> bool {
        let chosen = T::design(design);
        let is_there = chosen.is_some();
        self.design = chosen.unwrap_or_else(|| self.design.clone());
        is_there
    }

    fn rules(&self) -> String {
        Scenario::rules(self)
    }

    fn varies(&self) -> bool {
        Scenario::varies(self)
    }

    fn change(&mut self, changes: &Changes<'_>) -> Result<(), Gone> {
        changes.apply(self)
    }

    fn departs_otherwise(&self) -> (Vec<String>, bool) {
        Scenario::departs_otherwise(self)
    }

    fn command(&self, verb: &str, path: &Path) -> String {
        Scenario::command(self, verb, path)
    }

    fn check_departures(&self, from: &str, departures: &[Departure]) -> Result<(), FileError> {
        Scenario::check_departures(self, from, departures)
    }

    fn sometimes(&self) -> Vec<(String, String)> {
        let goals = Scenario::sometimes(self);
        goals.iter().map(|goal| (goal.name().to_owned(), goal.about().to_owned())).collect()
    }

    fn size(&self) -> Result<(usize, usize), BuildError> {
        let simulation = self.simulation(self.seed)?;
        Ok((simulation.clients(), simulation.commands()))
    }

    fn foreseen(&self) -> Result<Findings, BuildError> {
        Scenario::foreseen(self)
    }

    fn vacuous_in_sweep(&self, swept: &SweepResult) -> Result<Findings, BuildError> {
        Scenario::vacuous_in_sweep(self, swept)
    }

    fn record(&self, seed: u64, after: &mut dyn FnMut(u64)) -> Result<Recorded, BuildError> {
        let simulation = self.simulation(seed)?;
        let services = simulation.service_names().map(str::to_owned).collect();
        let Format { name: format, version, tool } = Header::format();
        // What the command line changes is in the header, beside the file's text.
        let (departures, no_faults) = self.departs_otherwise();
        let header = Header {
            format,
            version,
            tool,
            scenario: self.name.clone(),
            design: self.design.name().to_owned(),
            defects: self.defects.clone(),
            scheduler: self.scheduler_name(seed).to_owned(),
            no_faults,
            departures,
            seed,
            properties: self.properties.clone(),
            limits: self.limits,
            services,
            source: self.source.clone(),
        };
        let mut telling = Telling { recorder: Recorder::default(), after };
        let mut world = simulation.world();
        let before = Edges::before(&world);
        let mut occurred = Occurred::default();
        let report = self.look(&mut world, &self.judges(), seed, &mut telling, &mut occurred);
        let mut findings = self.vacuous(&occurred)?;
        if !report.verdict.is_held() {
            // What the run did not come to may have come later.
            findings.void.retain(|vacuous| vacuous.kind == Kind::UnusedDeparture);
            findings.notes.clear();
        }
        let trace = telling.recorder.finish(header, &world, &report);
        Ok(Recorded { trace, findings, edges: before.after(&world) })
    }

    fn shrink(&self, seed: u64, executions_max: u32) -> Result<Option<Smallest>, ShrinkError> {
        Ok(Scenario::shrink(self, seed, executions_max)?.map(smallest))
    }

    fn explain(
        &self,
        seed: u64,
        executions_max: u32,
        continuations: u32,
    ) -> Result<Option<(Smallest, Explanation)>, NotExplained> {
        let Some(found) = Scenario::shrink(self, seed, executions_max).map_err(NotExplained::Shrink)? else {
            return Ok(None);
        };
        let simulation = self.simulation(seed).map_err(|error| NotExplained::Shrink(ShrinkError::Build(error)))?;
        let judges = self.judges();
        let explain = Explain::new(&simulation, &judges).with_limits(self.limits);
        let explain = explain.with_continuations(continuations).with_time_fields(T::display().time_fields);
        let explanation = explain.run(&found.shrunk).map_err(NotExplained::TooLarge)?;
        Ok(Some((smallest(found), explanation)))
    }

    fn on_broker(&self, keys: Option<&str>) -> Result<Box<dyn AnyScenario>, FileError> {
        Ok(Box::new(Scenario::on_broker(self, keys)?))
    }

    fn on_profile(&self, file: &str, profile: &str) -> Result<Box<dyn AnyScenario>, FileError> {
        Ok(Box::new(Scenario::on_profile(self, file, profile)?))
    }

    fn first_steps(&self, seed: u64, steps: u64) -> Result<Vec<NamedStep>, BuildError> {
        let mut world = self.simulation(seed)?.world();
        let mut naming = Naming::default();
        let limits = Limits { steps_max: steps, ..Limits::default() };
        let mut scheduler = self.scheduler(world.simulation(), seed);
        run(&mut world, &mut scheduler, &Judges::new(Vec::new()), limits, &mut naming);
        Ok(naming.into_steps())
    }

    fn exhaust(
        &self,
        how: &ExhaustPlan<'_>,
        progress: &mut (dyn FnMut(SearchStats) + Send),
    ) -> Result<Searched, NotSearched> {
        let simulation = self.simulation(how.seed).map_err(NotSearched::Build)?;
        let prefix = steps_named(&simulation, how.bounds.order, how.after).map_err(NotSearched::Step)?;
        let judges = self.judges();
        let exhaust = Exhaust::new(&simulation, &judges)
            .with_bounds(how.bounds)
            .with_prefix(&prefix)
            .with_memory_max(how.memory_max)
            .with_reduction(how.reduce)
            .with_first_failing(how.first_failing)
            .with_threads(how.threads);
        let exhausted = exhaust.run_watched(progress);
        let story = exhausted.failing.as_ref().map(|failing| records_of(&simulation, &failing.steps));
        let shrunk = |FailingRun { steps, verdict, .. }: &FailingRun| {
            let departing = self.departing_as(how.seed, steps, verdict)?;
            Scenario::shrink(&departing, how.seed, how.executions_max).ok().flatten().map(smallest)
        };
        let smallest = exhausted.failing.as_ref().and_then(shrunk);
        let services = simulation.service_names().map(str::to_owned).collect();
        Ok(Searched { exhausted, services, story: story.unwrap_or_default(), smallest })
    }

    fn idle_in(&self, seed: u64, bounds: &Bounds) -> Result<Vec<Vacuous>, BuildError> {
        Ok(bounds.idle_in(&self.simulation(seed)?))
    }

    fn sample(&self, seeds: &Range<u64>) -> Result<Sample, BuildError> {
        Sweep { source: self, judges: &self.judges_with_sometimes(), seeds: seeds.clone(), threads: 1 }.sample()
    }

    fn compare(&self, seeds: &Range<u64>, sample: &Sample) -> Result<(), (u64, Divergence)> {
        Sweep { source: self, judges: &self.judges_with_sometimes(), seeds: seeds.clone(), threads: 1 }.compare(sample)
    }

    fn swept(&self, file: &str, seeds: &Range<u64>) -> Result<Swept, BuildError> {
        Swept::new(file, self, seeds)
    }

    fn witness(&self, seeds: &Range<u64>) -> Result<u64, BuildError> {
        Sweep { source: self, judges: &self.judges_with_sometimes(), seeds: seeds.clone(), threads: 1 }.witness()
    }

    fn sweep(
        &self,
        seeds: &Range<u64>,
        threads: u32,
        begun: Part,
        watch: &mut (dyn FnMut(&SoFar<'_>) -> ControlFlow<()> + Send),
    ) -> Result<Part, BuildError> {
        Sweep { source: self, judges: &self.judges_with_sometimes(), seeds: seeds.clone(), threads }.go_on(begun, watch)
    }

    fn with_hold_plan(
        &self,
        schedules_max: Option<u64>,
        threads: u32,
        then: &mut dyn FnMut(&dyn AnyHoldPlan),
    ) -> Result<(), BuildError> {
        let simulation = self.simulation(self.seed)?;
        let judges = self.judges();
        let sweep = HoldSweep::new(&simulation, &judges).with_limits(self.limits).with_faults(self.faults);
        let sweep = sweep.with_schedules_max(schedules_max).with_threads(threads);
        then(&sweep.plan());
        Ok(())
    }
}

fn smallest<T: Suite>(found: Counterexample<T>) -> Smallest {
    let Counterexample { before, shrunk, scenario, text } = found;
    Smallest { before, shrunk: shrunk.with_labels(), scenario: Box::new(scenario), text }
}

/// The scenario with departures in the place of its own, or the calm run if there are none.
#[must_use]
pub fn departed(scenario: &dyn AnyScenario, departures: &[Departure]) -> Box<dyn AnyScenario> {
    let mut copy = scenario.copy();
    let settings = copy.settings_mut();
    settings.schedule = departures.to_vec();
    if departures.is_empty() {
        (settings.scheduler, settings.faults) = (Some(pellmell_core::SchedulerKind::Calm), FaultPlan::NONE);
    }
    copy
}

/// Whether a verdict is a violation, and of which property.
#[must_use]
pub fn violated(verdict: &Verdict) -> Option<&str> {
    if let Verdict::Violated { property, .. } = verdict { Some(property) } else { None }
}
