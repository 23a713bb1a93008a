//! Explanations: what made a run fail, step by step and in words.
//!
//! [`Explain`] takes a failure, by its departures or by its seed, and shrinks it. What is left it plays many
//! times over: from each of its steps on with everything later drawn again, with each step moved to
//! where else it can stand, with what waits released earlier, and without any departure; and it asks the
//! property about worlds that differ a little from the last one. An [`Explanation`] summarises these runs;
//! nothing in it is known beforehand about the services. Printed, it is a text as the command line shows it.
//!
//! ```
//! use pellmell::doc_example::{Change, Changed, Item, Shop};
//! use pellmell::explain::Explain;
//! use pellmell::property::NoPoison;
//! use pellmell::testing::service;
//! use pellmell::{Judges, Outcome, Profile, RecordId, Simulation, Subject, Version, VersionPolicy};
//!
//! let shop = service::<Shop>("shop").on_command(|change, ctx| {
//!     ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
//!     Ok(())
//! });
//! // It refuses what it has already, again and again.
//! let listens = const { &[Subject::new("item:changed")] };
//! let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
//! let search = search.on_event(listens, |event, ctx| {
//!     match ctx.store.insert(event.item, Item { price: event.price }) {
//!         Ok(_) => Outcome::Ack,
//!         Err(_) => Outcome::Silent("duplicate key"),
//!     }
//! });
//! let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
//! let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
//! let simulation = simulation.client("seller", commands).build().unwrap();
//! let judges = Judges::new(vec![Box::new(NoPoison)]);
//! let schedule = vec!["lose ack of item:changed i1@0 -> search".parse().unwrap()];
//!
//! let explanation = Explain::new(&simulation, &judges).departures(schedule).unwrap();
//! assert_eq!(explanation.turning_point, Some(2), "the step whose ack is lost");
//! assert!(explanation.calm.verdict.is_held());
//! assert!(explanation.to_string().contains("The ack of `item:changed i1@0 -> search` is lost (step 2)"));
//! ```

mod ends;
mod failure_rate;
mod held_up;
mod judged;
mod observed;
mod order;
mod story;
mod text;
mod words;

use std::fmt;

use crate::event::System;
use crate::extract::ExtractError;
use crate::faults::FaultPlan;
use crate::run::{Judges, Limits, Report, Verdict};
use crate::schedule::Departure;
use crate::shrink::{Item, Needed, NotShrunk, NothingToShrink, Shrink, Shrunk};
use crate::simulation::Simulation;
use crate::trace::TraceRecord;

pub use ends::{EarlierEnd, EarlierEnds};
pub use failure_rate::FailureRate;
use observed::ObservedRun;
pub use text::{LINE_MAX, Paragraph, STEPS_SHOWN};

/// How many continuations are played from each step, unless said otherwise.
const CONTINUATIONS: u32 = 200;

/// The most steps of a run that is explained.
pub const STEPS_MAX: u64 = 100;
/// The most departures of a run that is explained.
pub const DEPARTURES_MAX: usize = 12;

/// A counterexample that is too large to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Its steps.
    pub steps: u64,
    /// Its departures.
    pub departures: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLarge { steps, departures } = self;
        write!(f, "a run of {steps} steps and {departures} departures is too large to explain: ")?;
        write!(f, "expected at most {STEPS_MAX} and {DEPARTURES_MAX}")
    }
}

impl std::error::Error for TooLarge {}

/// Why a run is not explained.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotExplained {
    /// It holds.
    Holds,
    /// It cannot be told as departures.
    Extract(ExtractError),
    /// What is left of it is too large.
    TooLarge(TooLarge),
}

impl fmt::Display for NotExplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotExplained::Holds => f.write_str("the run holds: there is nothing to explain"),
            NotExplained::Extract(error) => error.fmt(f),
            NotExplained::TooLarge(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotExplained {}

impl From<NothingToShrink> for NotExplained {
    fn from(_: NothingToShrink) -> NotExplained {
        NotExplained::Holds
    }
}

impl From<NotShrunk> for NotExplained {
    fn from(error: NotShrunk) -> NotExplained {
        match error {
            NotShrunk::Held(_) => NotExplained::Holds,
            NotShrunk::Extract(error) => NotExplained::Extract(error),
        }
    }
}

/// Explains failing runs of a simulation.
///
/// Without options: the usual [`Limits`], as many runs as [`Shrink`] takes, 200 continuations from each step,
/// and no fields that say a time.
pub struct Explain<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    limits: Limits,
    executions_max: Option<u32>,
    continuations: u32,
    time_fields: &'a [&'a str],
}

/// What made a run fail.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The services that take part, in the order in which they were added.
    pub services: Vec<String>,
    /// The failure rate before the first step.
    pub before: FailureRate,
    /// The steps.
    pub steps: Vec<ExplainedStep>,
    /// The number of the step in which the failure rate rises most; the first of several.
    pub turning_point: Option<u64>,
    /// The number of the first step after which all continuations fail although no client sends anything
    /// more; `None` if that is so before the first step.
    pub settled: Option<u64>,
    /// The numbers of the steps that may stand anywhere (see [`ExplainedStep::anywhere`]).
    pub anywhere: Vec<u64>,
    /// The run of the same commands without departures.
    pub calm: CalmRun,
    /// What happened and why that is wrong: one sentence or two in each.
    pub why: Vec<String>,
    /// The outcome without one of the things that are left: those with one outcome together.
    pub without: Vec<Without>,
    /// The outcome of ending earlier what waits.
    pub endings: Vec<EarlierEnds>,
    /// The departures it takes beside those of the run to fail in the same way in whichever order the calm run
    /// serves the groups (see [`Shrunk::anchors`]).
    pub anchors: Option<Vec<Departure>>,
    /// The departures of the run.
    pub departures: Vec<Departure>,
    /// How many commands are left.
    pub commands: usize,
    /// Whether each thing that is left was left out once (see [`Shrunk::minimal`]).
    pub minimal: bool,
    /// The report of the run.
    pub report: Report,
}

/// A step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExplainedStep {
    /// What happened.
    pub record: TraceRecord,
    /// The failure rate after this step.
    pub failure_rate: FailureRate,
    /// The departures that show in this step, each of which is needed: what begins to wait here, and
    /// what goes wrong.
    pub necessary: Vec<Departure>,
    /// Whether it may stand anywhere: wherever else it can stand, the other steps in their order, the
    /// run fails in the same way. It can stand before an earlier step if it can happen there, and after
    /// a later one if that can happen without it; what it leads to comes later with it. Never true of a
    /// step of the clock, nor of one with no other place to stand at.
    pub anywhere: bool,
}

/// The calm run of the commands that are left.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CalmRun {
    /// Its verdict.
    pub verdict: Verdict,
    /// Where the runs differ first; `None` if no step differs, so that no departure is needed.
    pub differs: Option<FirstDifference>,
}

/// Where the calm run and the run that is explained differ first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FirstDifference {
    /// The number of the step.
    pub step: u64,
    /// What the calm run does there; `None` if it has ended.
    pub calm: Option<TraceRecord>,
}

/// Things that are needed, and the outcome without any one of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Without {
    /// The things.
    pub items: Vec<Item>,
    /// The verdict without each of them; `None` if what is left names it, so that it cannot
    /// be left out alone.
    pub verdict: Option<Verdict>,
}

impl<'a, S: System> Explain<'a, S> {
    /// Explains runs of the simulation that was shrunk, with all its commands, as these judges judge them.
    #[must_use]
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Explain<'a, S> {
        let (limits, continuations) = (Limits::default(), CONTINUATIONS);
        Explain { simulation, judges, limits, executions_max: None, continuations, time_fields: &[] }
    }

    /// How far a run may go.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Explain<'a, S> {
        Explain { limits, ..self }
    }

    /// How many runs shrinking may play (see [`Shrink::with_executions_max`]).
    #[must_use]
    pub fn with_executions_max(self, executions_max: u32) -> Explain<'a, S> {
        Explain { executions_max: Some(executions_max), ..self }
    }

    /// How many continuations are played from each step; 0 counts as 1.
    #[must_use]
    pub fn with_continuations(self, continuations: u32) -> Explain<'a, S> {
        Explain { continuations, ..self }
    }

    /// Names of fields of records that say a time: they differ whenever something comes later, so the
    /// sentences leave them out.
    #[must_use]
    pub fn with_time_fields(self, time_fields: &'a [&'a str]) -> Explain<'a, S> {
        Explain { time_fields, ..self }
    }

    /// Explains the run that departs so from the calm one; the calm run if there are no departures.
    ///
    /// # Errors
    /// If it holds, or is too large (see [`Explain::run`]).
    pub fn departures(&self, departures: Vec<Departure>) -> Result<Explanation, NotExplained> {
        self.run(&self.shrink().run(departures)?).map_err(NotExplained::TooLarge)
    }

    /// Explains the run of a seed, as [`testing::check`](crate::testing::check) plays it.
    ///
    /// # Errors
    /// If it holds, cannot be told as departures, or is too large (see [`Explain::run`]).
    pub fn seed(&self, seed: u64, faults: FaultPlan) -> Result<Explanation, NotExplained> {
        self.run(&self.shrink().run_seed(seed, faults)?).map_err(NotExplained::TooLarge)
    }

    fn shrink(&self) -> Shrink<'a, S> {
        let shrink = Shrink::new(self.simulation, self.judges).with_limits(self.limits);
        match self.executions_max {
            Some(executions_max) => shrink.with_executions_max(executions_max),
            None => shrink,
        }
    }

    /// Explains a counterexample that was shrunk before.
    ///
    /// # Errors
    /// If more than [`STEPS_MAX`] steps or [`DEPARTURES_MAX`] departures are left of the run: who wants
    /// to understand it has to shrink it further.
    pub fn run(&self, shrunk: &Shrunk<S::Command>) -> Result<Explanation, TooLarge> {
        let size = TooLarge { steps: shrunk.report.steps, departures: shrunk.departures.len() };
        if size.steps > STEPS_MAX || size.departures > DEPARTURES_MAX {
            return Err(size);
        }
        let (simulation, judges) = (shrunk.simulation(self.simulation), self.judges);
        let departures = &shrunk.departures;
        let observed = ObservedRun::departing(&simulation, departures, judges, self.limits);
        let calm = ObservedRun::departing(&simulation, &[], judges, self.limits);
        let limits = self.limits_of(&observed.report);
        let plan = FaultPlan::of_schedule(departures, failure_rate::FAULT);
        let rates =
            failure_rate::failure_rates(&simulation, &observed, plan, judges, limits, self.continuations.max(1));
        let settled = failure_rate::settled(&observed, plan, judges, limits, self.continuations.max(1));
        let anywhere = order::anywhere(&observed, judges, limits);
        let steps = observed.steps.iter().enumerate().map(|(place, step)| ExplainedStep {
            record: step.record.clone(),
            failure_rate: rates[place + 1],
            necessary: departures.iter().filter(|one| observed.shows_in(one) == Some(place)).cloned().collect(),
            anywhere: anywhere.contains(&place),
        });
        Ok(Explanation {
            services: services(&simulation, &observed),
            before: rates[0],
            steps: steps.collect(),
            turning_point: turning_point(&rates).map(|place| observed.steps[place].record.step),
            settled: settled.map(|place| observed.steps[place].record.step),
            anywhere: anywhere.iter().map(|place| observed.steps[*place].record.step).collect(),
            calm: CalmRun { verdict: calm.report.verdict.clone(), differs: differs(&observed, &calm) },
            why: story::sentences(&observed, &calm, departures, judges, self.time_fields),
            without: without(shrunk),
            endings: ends::endings(&simulation, departures, &observed, judges, limits),
            anchors: shrunk.anchors.clone(),
            departures: departures.clone(),
            commands: shrunk.commands.len(),
            minimal: shrunk.minimal,
            report: observed.report,
        })
    }

    /// A run that goes on and on is not the failure that is looked for, unless it is.
    fn limits_of(&self, report: &Report) -> Limits {
        let mut limits = self.limits;
        if !matches!(report.verdict, Verdict::Stuck { .. }) {
            limits.steps_max = limits.steps_max.min(20 * report.steps + 1_000);
        }
        limits
    }
}

/// The place of the step in which the failure rate rises most.
fn turning_point(rates: &[FailureRate]) -> Option<usize> {
    let rises = rates.windows(2).map(|pair| pair[1].failing.saturating_sub(pair[0].failing)).enumerate();
    let most = rises.max_by_key(|(place, rise)| (*rise, std::cmp::Reverse(*place)));
    most.filter(|(_, rise)| *rise > 0).map(|(place, _)| place)
}

/// The services whose handlers run, and the one where it fails.
fn services<S: System>(simulation: &Simulation<S>, observed: &ObservedRun<S>) -> Vec<String> {
    let fails_at = match &observed.report.verdict {
        Verdict::Violated { violation, .. } => Some(violation.service.as_str()),
        _ => None,
    };
    let runs = |name: &str| observed.steps.iter().any(|step| step.record.service.as_deref() == Some(name));
    let names = simulation.service_names().filter(|name| runs(name) || fails_at == Some(*name));
    names.map(str::to_owned).collect()
}

fn differs<S: System>(observed: &ObservedRun<S>, calm: &ObservedRun<S>) -> Option<FirstDifference> {
    let same = observed.steps.iter().zip(&calm.steps).take_while(|(one, other)| {
        // Of a late attempt the calm run knows nothing, so that the names suffice.
        (one.name, one.fate) == (other.name, other.fate)
    });
    let place = same.count();
    let both_end = place == observed.steps.len() && place == calm.steps.len();
    (!both_end).then(|| FirstDifference {
        step: place as u64 + 1,
        calm: calm.steps.get(place).map(|step| step.record.clone()),
    })
}

/// What is needed, by the outcome without it.
fn without<C>(shrunk: &Shrunk<C>) -> Vec<Without> {
    let mut grouped: Vec<Without> = Vec::new();
    for Needed { item, without: verdict } in &shrunk.needed {
        // Where it goes wrong in another way the details differ from item to item.
        let signature = |verdict: &Option<Verdict>| verdict.as_ref().map(Verdict::signature);
        let same = |group: &&mut Without| {
            let kind = |item: &Item| matches!(item, Item::Departure(_));
            signature(&group.verdict) == signature(verdict) && kind(&group.items[0]) == kind(item)
        };
        match grouped.iter_mut().find(same) {
            Some(group) => group.items.push(item.clone()),
            None => grouped.push(Without { items: vec![item.clone()], verdict: verdict.clone() }),
        }
    }
    grouped
}
