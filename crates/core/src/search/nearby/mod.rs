//! The neighbourhood of a schedule: whether a run near it fails, where the run itself does not any more.
//!
//! A schedule that failed once names a few things of the services as they were. When they change, a hold may
//! end one hop too early, or name what is called otherwise now, and the run holds although the fault is
//! there. So what is near is played as well, what is nearest first: the schedule with the names that took the
//! place of those it names, the recorded steps of its run, the other orders of the calm run, the schedule
//! with its ends or what it is about moved along the chain of causes, and every single departure alone, in
//! the place of one of its own, and beside them.

mod names;
mod seen;

use std::collections::BTreeSet;

use self::names::Renaming;
use self::seen::Seen;
use super::hold_sweep::singles;
use crate::event::System;
use crate::extract::extract;
use crate::faults::{FaultPlan, Rate};
use crate::hash;
use crate::prng::Ratio;
use crate::run::{Judges, Limits, Report, Verdict, run};
use crate::schedule::{DeliverySpec, Departure, NamedStep, Target};
use crate::scheduler::{Departing, Replayed, Scheduler, Tie};
use crate::shrink::Shrink;
use crate::simulation::{CommandIndex, Simulation};

/// How many runs are played around a schedule, unless said otherwise.
const EXECUTIONS_MAX: u32 = 1_000;
/// How many of them move one of its departures, and how many two.
const MOVES_MAX: u32 = 400;
const PAIRS_MAX: u32 = 150;
/// How many ways of putting other names in are tried.
const RENAMINGS_MAX: usize = 40;

/// A search of the runs near a schedule for one that fails.
///
/// Without options: the usual [`Limits`], no recorded steps, at most 1,000 runs, and any failure is the
/// one that is looked for.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop};
/// # use pellmell::{Judges, Outcome, Profile, RecordId, Simulation, Subject, Version, testing};
/// # let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
/// #     ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
/// #     Ok(())
/// # });
/// # let listens = const { &[Subject::new("item:changed")] };
/// # let search = testing::service::<Shop>("search").on_event(listens, |_, _| Outcome::Ack);
/// # let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
/// # let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
/// # let simulation = simulation.client("seller", commands).build().unwrap();
/// # let judges = Judges::new(Vec::new());
/// use pellmell::search::Nearby;
///
/// let kept = ["hold item:altered i1@0 -> search until quiescence".parse().unwrap()];
/// // Nothing near it fails: the services are right.
/// let looked = Nearby::new(&simulation, &judges).run(&kept);
/// assert!(looked.failing.is_none() && looked.is_complete);
/// ```
pub struct Nearby<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    limits: Limits,
    executions_max: u32,
    steps: &'a [NamedStep],
    fails: &'a dyn Fn(&Verdict) -> bool,
}

/// A run near a schedule that fails.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Neighbour {
    /// Its departures, as few as shrinking leaves with all commands.
    pub departures: Vec<Departure>,
    /// The report of its run.
    pub report: Report,
}

/// The result of a search near a schedule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearbyResult {
    /// The first run that fails, if one does.
    pub failing: Option<Neighbour>,
    /// How many runs were played, without those of shrinking.
    pub executions: u32,
    /// Whether all that is near was played up to that one.
    pub is_complete: bool,
}

impl<'a, S: System> Nearby<'a, S> {
    /// A search of runs of this simulation, as these judges judge them.
    #[must_use]
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> Nearby<'a, S> {
        let (limits, fails) = (Limits::default(), &|verdict: &Verdict| !verdict.is_held());
        Nearby { simulation, judges, limits, executions_max: EXECUTIONS_MAX, steps: &[], fails }
    }

    /// How far a run may go. No run goes much further than the schedule's own.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Nearby<'a, S> {
        Nearby { limits, ..self }
    }

    /// How many runs may be played.
    #[must_use]
    pub fn with_executions_max(self, executions_max: u32) -> Nearby<'a, S> {
        Nearby { executions_max, ..self }
    }

    /// The steps of the run that failed, as they were recorded.
    #[must_use]
    pub fn with_steps(self, steps: &'a [NamedStep]) -> Nearby<'a, S> {
        Nearby { steps, ..self }
    }

    /// Which verdict is the failure that is looked for.
    #[must_use]
    pub fn with_failure(self, fails: &'a dyn Fn(&Verdict) -> bool) -> Nearby<'a, S> {
        Nearby { fails, ..self }
    }

    /// Plays what is near a schedule until a run fails, and shrinks that. The departures may name what does not
    /// exist any more.
    #[must_use]
    pub fn run(&self, departures: &[Departure]) -> NearbyResult {
        let (tried, is_complete) = (BTreeSet::new(), true);
        let mut search = Search { nearby: self, limits: self.limits, executions: 0, tried, is_complete };
        let failing = search.find(departures).map(|found| self.shrunk(found, search.limits));
        NearbyResult { failing, executions: search.executions, is_complete: search.is_complete }
    }

    /// As few departures as do, with all commands: they are what the case is about.
    fn shrunk(&self, (departures, report): Failing, limits: Limits) -> Neighbour {
        let all = self.simulation.commands();
        let keeps_commands = |commands: &[CommandIndex], _: &[Departure]| commands.len() == all;
        let shrink = Shrink::new(self.simulation, self.judges).with_limits(limits).with_simpler_commands(false);
        match shrink.with_allowed(&keeps_commands).run(departures.clone()) {
            Ok(shrunk) if (self.fails)(&shrunk.report.verdict) => {
                Neighbour { departures: shrunk.departures, report: shrunk.report }
            }
            _ => Neighbour { departures, report },
        }
    }
}

/// What was found: departures, and the report of their run.
type Failing = (Vec<Departure>, Report);

struct Search<'a, 'b, S: System> {
    nearby: &'b Nearby<'a, S>,
    limits: Limits,
    executions: u32,
    /// The hashes of the schedules that were tried.
    tried: BTreeSet<u64>,
    /// Whether nothing was left out because there were too many runs.
    is_complete: bool,
}

impl<S: System> Search<'_, '_, S> {
    fn find(&mut self, departures: &[Departure]) -> Option<Failing> {
        let steps = self.nearby.steps.to_vec();
        let mut seen = Seen::default();
        self.look(&mut Departing::new(departures.to_vec()), &mut seen);
        // A run that goes on and on is not the failure that is looked for.
        self.limits.steps_max = self.limits.steps_max.min(20 * seen.len() as u64 + 1_000);
        for tie in Tie::ALL {
            self.look(&mut Departing::with_tie(Vec::new(), tie), &mut seen);
        }
        self.look(&mut Replayed::new(steps.clone()), &mut seen);
        let renamings = Renaming::all(departures, &steps, &seen);
        let mut bases: Vec<Vec<Departure>> = vec![departures.to_vec()];
        self.is_complete &= renamings.len() <= RENAMINGS_MAX;
        bases.extend(renamings.iter().take(RENAMINGS_MAX).map(|renaming| renaming.departures(departures, &seen)));
        bases.dedup();
        let (own, nearest) = (&bases[..1], &bases[..bases.len().min(3)]);
        self.any(u32::MAX, bases.iter().cloned())
            .or_else(|| self.told_again(&steps, &renamings))
            .or_else(|| self.in_other_orders(nearest))
            .or_else(|| self.any(MOVES_MAX, nearest.iter().flat_map(|base| one_moved(base, &seen))))
            .or_else(|| self.any(PAIRS_MAX, nearest.iter().flat_map(|base| two_moved(base, &seen))))
            .or_else(|| self.beside_singles(&own[0]))
    }

    /// Plays a run for what happens in it: nobody judges it.
    fn look(&mut self, scheduler: &mut impl Scheduler, seen: &mut Seen) {
        self.executions += 1;
        let nobody = Judges::new(Vec::new());
        seen.begin();
        run(&mut self.nearby.simulation.world(), scheduler, &nobody, self.limits, seen);
    }

    /// Whether there are no runs left, so that something is not played.
    fn is_spent(&mut self) -> bool {
        let is_spent = self.executions >= self.nearby.executions_max;
        self.is_complete &= !is_spent;
        is_spent
    }

    fn play(&mut self, scheduler: &mut impl Scheduler) -> Option<Report> {
        self.executions += 1;
        let Nearby { simulation, judges, fails, .. } = self.nearby;
        let report = run(&mut simulation.world(), scheduler, judges, self.limits, &mut ());
        fails(&report.verdict).then_some(report)
    }

    /// The first of these schedules that fails, of at most so many.
    fn any(&mut self, most: u32, schedules: impl Iterator<Item = Vec<Departure>>) -> Option<Failing> {
        let end = self.executions.saturating_add(most);
        for departures in schedules {
            if self.tried.contains(&hash::of(&departures)) {
                continue;
            }
            if self.is_spent() || self.executions >= end {
                self.is_complete = false;
                return None;
            }
            self.tried.insert(hash::of(&departures));
            if let Some(report) = self.play(&mut Departing::new(departures.clone())) {
                return Some((departures, report));
            }
        }
        None
    }

    /// The recorded steps, as they are and with the names there are now.
    fn told_again(&mut self, steps: &[NamedStep], renamings: &[Renaming]) -> Option<Failing> {
        let mut told: Vec<Vec<NamedStep>> = vec![steps.to_vec()];
        told.extend(renamings.iter().map(|renaming| renaming.steps(steps)));
        told.retain(|steps| !steps.is_empty());
        told.dedup();
        for steps in told.into_iter().take(RENAMINGS_MAX) {
            let fails = !self.is_spent() && self.play(&mut Replayed::new(steps.clone())).is_some();
            if let Some(found) = fails.then(|| self.as_departures(Replayed::new(steps))).flatten() {
                return Some(found);
            }
        }
        None
    }

    /// These schedules in the other orders of the calm run.
    fn in_other_orders(&mut self, schedules: &[Vec<Departure>]) -> Option<Failing> {
        for departures in schedules {
            for tie in Tie::ALL {
                let departing = || Departing::with_tie(departures.clone(), tie);
                let fails = !self.is_spent() && self.play(&mut departing()).is_some();
                if let Some(found) = fails.then(|| self.as_departures(departing())).flatten() {
                    return Some(found);
                }
            }
        }
        None
    }

    /// A failing run, whoever picks its steps, as departures that fail as well.
    fn as_departures(&mut self, scheduler: impl Scheduler) -> Option<Failing> {
        let Nearby { simulation, judges, .. } = self.nearby;
        self.executions += 2;
        let extracted = extract(simulation, scheduler, judges, self.limits, Tie::InOrder).ok()?;
        let report = self.play(&mut Departing::new(extracted.departures.clone()))?;
        Some((extracted.departures, report))
    }

    /// Every single departure with faults that the schedule has: alone, in the place of one of its own, and
    /// beside them; last nothing but the calm run.
    fn beside_singles(&mut self, departures: &[Departure]) -> Option<Failing> {
        let nobody = Judges::new(Vec::new());
        // Where no fault of a kind was assumed, none is: a broker that loses messages breaks services that are right.
        let faults = FaultPlan::of_schedule(departures, Rate::of(Ratio::new(1, 2)));
        let singles = singles(self.nearby.simulation, &nobody, self.limits, &faults);
        let of = |single: &Vec<Departure>, left: &[Departure]| [single, left].concat();
        let others = (0..departures.len()).map(|place| {
            let (before, after) = (&departures[..place], &departures[place + 1..]);
            [before, after].concat()
        });
        let rests: Vec<Vec<Departure>> =
            std::iter::once(Vec::new()).chain(others).chain([departures.to_vec()]).collect();
        let joined = rests.iter().flat_map(|rest| singles.iter().map(move |single| of(single, rest)));
        self.any(u32::MAX, joined.chain([Vec::new()]))
    }
}

/// A schedule with another departure at a place.
fn with(departures: &[Departure], place: usize, departure: Departure) -> Vec<Departure> {
    let mut changed = departures.to_vec();
    changed[place] = departure;
    changed
}

/// A schedule with one departure moved: its end to each step of the run and to quiescence, what it is about
/// along the chain of causes, or both.
fn one_moved<'a>(departures: &'a [Departure], seen: &'a Seen) -> impl Iterator<Item = Vec<Departure>> + 'a {
    departures.iter().enumerate().flat_map(move |(place, departure)| {
        let about: Vec<Departure> = about_others(departure, seen);
        let both = std::iter::once(departure.clone()).chain(about.clone());
        let ended = both.flat_map(move |departure| ended_by_others(&departure, seen));
        let moved = about.into_iter().chain(ended);
        moved.flat_map(move |moved| {
            let beside =
                undisturbed(departure, &moved).map(|hold| [with(departures, place, moved.clone()), vec![hold]]);
            std::iter::once(with(departures, place, moved)).chain(beside.map(|both| both.concat()))
        })
    })
}

/// What a slow command needs beside it to be the same as a slow delivery: nobody sends a command a second
/// time while its handler is slow.
fn undisturbed(departure: &Departure, moved: &Departure) -> Option<Departure> {
    match (departure, moved) {
        (
            Departure::Pause { what: Target::Command(_), .. },
            Departure::Pause { what: Target::Delivery(what), until },
        )
        | (
            Departure::SlowPublish { what: Target::Command(_), .. },
            Departure::SlowPublish { what: Target::Delivery(what), until },
        ) => Some(Departure::Hold { what: Target::Delivery(what.clone().again()), until: until.clone() }),
        _ => None,
    }
}

/// A schedule with two departures moved, each along the chain of causes only.
fn two_moved<'a>(departures: &'a [Departure], seen: &'a Seen) -> impl Iterator<Item = Vec<Departure>> + 'a {
    let moved = |place: usize| along_the_chain(&departures[place], seen);
    let pairs = (0..departures.len()).flat_map(|second| (0..second).map(move |first| (first, second)));
    pairs.flat_map(move |(first, second)| {
        let seconds = moved(second);
        moved(first).into_iter().flat_map(move |one| {
            let changed = with(departures, first, one);
            seconds.clone().into_iter().map(move |other| with(&changed, second, other))
        })
    })
}

/// A departure about the next hop, the one before, or another attempt.
fn about_others(departure: &Departure, seen: &Seen) -> Vec<Departure> {
    let what = departure.what();
    let attempts = match &what {
        Target::Delivery(delivery) => {
            let before = DeliverySpec { attempt: delivery.attempt - 1, ..delivery.clone() };
            vec![Target::Delivery(delivery.clone().again()), Target::Delivery(before)]
        }
        _ => Vec::new(),
    };
    let attempts = attempts.into_iter().filter(|what| what.delivery().is_some_and(|delivery| delivery.attempt > 0));
    let others = seen.hops(&what).into_iter().chain(attempts);
    others.filter_map(|other| departure.clone().about(&other, &seen.service_of(&other)?)).collect()
}

/// A departure that lasts, with another end: the next hop of its own, each step of the run, quiescence.
fn ended_by_others(departure: &Departure, seen: &Seen) -> Vec<Departure> {
    if !departure.lasts() {
        return Vec::new();
    }
    let what = departure.what();
    let hops = departure.until().map(|until| seen.hops(until)).unwrap_or_default();
    let pauses = seen.may_pause().map(|what| Target::Pause(Box::new(what.clone())));
    let ends = hops.into_iter().chain(seen.targets().cloned()).filter(|end| *end != what).map(Some);
    let ends = ends.chain([None]).chain(pauses.map(Some));
    ends.map(|end| departure.clone().ended_by(end)).collect()
}

/// A departure moved by a hop: as it is, what it is about, its end, or both.
fn along_the_chain(departure: &Departure, seen: &Seen) -> Vec<Departure> {
    let about = std::iter::once(departure.clone()).chain(about_others(departure, seen));
    let ended = about.flat_map(|departure| {
        let hops = departure.until().map(|until| seen.hops(until)).unwrap_or_default();
        let ends: Vec<Departure> = hops.into_iter().map(|hop| departure.clone().ended_by(Some(hop))).collect();
        std::iter::once(departure).chain(ends)
    });
    ended.collect()
}

#[cfg(test)]
mod tests;
