//! The hold sweep: the calm run, then every run that departs from it once, then pairs.
//!
//! Most bugs of services that live on events need one late, doubled or half-handled message. Drawing
//! schedules meets each of those with some chance; here they are simply all played. Nothing is drawn,
//! so what comes out depends on the simulation alone, and not on the threads.

mod clock;
mod pairs;
mod singles;
mod words;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use serde::{Deserialize, Serialize};

use self::pairs::Plan;
use self::singles::Singles;
use super::buckets;
use super::coverage::Means;
use super::part::{self, Piece, SoFar};
use super::runs::Runs;
use super::source::Source;
use crate::event::System;
use crate::faults::FaultPlan;
use crate::hash;
use crate::run::{Judges, Limits, Report};
use crate::schedule::Departure;
use crate::scheduler::{Departing, Scheduler};
use crate::simulation::{BuildError, Simulation};
use crate::trace::detail;

/// How many steps the pairs take together where nothing else is said, if each takes as many as the calm
/// run: a second or two.
pub const PAIRS_STEPS: u64 = 2_000_000;

/// A sweep over the schedules nearest to the calm run.
///
/// Without options: the usual [`Limits`], the faults of [`FaultPlan::SOME`] (nothing is lost for good), all
/// schedules with one departure and as many pairs as take about [`PAIRS_STEPS`] steps, and one thread.
///
/// ```
/// use pellmell::doc_example::{Change, Changed, Item, Shop};
/// use pellmell::search::HoldSweep;
/// use pellmell::{Judges, Outcome, Profile, RecordId, Simulation, Subject, Version, VersionPolicy, Violation, testing};
///
/// const I1: RecordId = RecordId::new('i', 1);
/// let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
///     ctx.publish(Changed { item: change.item, version: Version(change.price.into()), price: change.price });
///     Ok(())
/// });
/// // What comes last wins, whatever its version.
/// let changed = const { &[Subject::new("item:changed")] };
/// let search = testing::service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
/// let search = search.on_event(changed, |event, ctx| {
///     let held = ctx.store.find::<Item>(event.item).map(|held| held.version);
///     ctx.store.overwrite(event.item, Item { price: event.price }, held);
///     Outcome::Ack
/// });
/// let changes = (1..=2).map(|price| Change { item: I1, price }).collect();
/// let on = Simulation::on(Profile::adversarial()).service(shop).service(search);
/// let simulation = on.client("seller", changes).build()?;
/// let latest = testing::at_quiescence::<Shop>("Latest", |moment| {
///     match moment.store_of("search").find::<Item>(I1) {
///         Some(held) if moment.world().is_finished() && held.price == 1 => Err(Violation::at("search").of(I1)),
///         _ => Ok(()),
///     }
/// });
/// let result = HoldSweep::new(&simulation, &Judges::new(vec![latest])).run();
/// println!("{result}");
/// # let shown = result.to_string();
/// # assert!(shown.contains("violated Latest at search of i: "), "{shown}");
/// # assert!(shown.contains("\n    hold item:changed i1@1 -> search until quiescence\n"), "{shown}");
/// # Ok::<(), pellmell::simulation::BuildError>(())
/// ```
pub struct HoldSweep<'a, S: System> {
    simulation: &'a Simulation<S>,
    judges: &'a Judges<S>,
    limits: Limits,
    faults: FaultPlan,
    most: Most,
    threads: u32,
}

/// How many schedules that depart are played.
#[derive(Clone, Copy)]
enum Most {
    /// All that depart once, and as many pairs as take [`PAIRS_STEPS`].
    Usual,
    /// So many.
    Schedules(u64),
    /// Those that depart at most so often, as many as take so many steps.
    Within { departures: usize, steps_max: u64 },
}

/// Schedules that fail in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DepartedBucket {
    /// The first of them in the order in which they are played: 0 is the calm run.
    pub place: u64,
    /// Its departures.
    #[serde(with = "texts")]
    pub departures: Vec<Departure>,
    /// Its verdict in a word ([`Verdict::word`](crate::run::Verdict::word)).
    pub verdict: String,
    /// Why, in words ([`detail`]).
    pub detail: String,
    /// How many fail so.
    pub count: u64,
}

impl buckets::Counted for DepartedBucket {
    fn place(&self) -> u64 {
        self.place
    }

    fn count(&mut self) -> &mut u64 {
        &mut self.count
    }
}

/// How many schedules of a kind there are and were played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tally {
    /// How many there are.
    pub all: u64,
    /// How many were played.
    pub played: u64,
    /// How many of those held.
    pub held: u64,
}

/// The result of a hold sweep, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HoldSweepResult {
    /// What is delivered in the calm run.
    pub deliveries: u64,
    /// The fingerprint of the calm run.
    #[serde(with = "super::hex_text")]
    pub calm: u64,
    /// How many schedules the whole hold sweep has, the calm run among them.
    pub schedules: u64,
    /// Schedules with one departure.
    pub singles: Tally,
    /// Schedules with two.
    pub pairs: Tally,
    /// The failures by signature, those of the calm run among them.
    pub buckets: BTreeMap<String, DepartedBucket>,
    /// The sum of the runs' fingerprints: equal for equal sweeps, whatever the threads.
    #[serde(with = "super::hex_text")]
    pub fingerprint: u64,
}

/// Schedules of a hold sweep in a row, by their places in the order in which they are played, and what
/// came of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldPart {
    /// The places; 0 is the calm run.
    pub places: Range<u64>,
    /// Their result.
    pub result: HoldSweepResult,
}

/// What a hold sweep is going to play, worked out from the calm run alone, so it is the same for all who
/// divide it among themselves.
pub struct HoldPlan<'a, S: System> {
    sweep: &'a HoldSweep<'a, S>,
    calm: Report,
    plan: Plan,
}

impl<'a, S: System> HoldSweep<'a, S> {
    /// A sweep of this simulation, whose runs must hold as these judges judge them.
    #[must_use]
    pub fn new(simulation: &'a Simulation<S>, judges: &'a Judges<S>) -> HoldSweep<'a, S> {
        let (limits, faults) = (Limits::default(), FaultPlan::SOME);
        HoldSweep { simulation, judges, limits, faults, most: Most::Usual, threads: 1 }
    }

    /// How far a run may go.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> HoldSweep<'a, S> {
        HoldSweep { limits, ..self }
    }

    /// What may go wrong: kinds of faults that never happen are not tried; how often they happen does
    /// not matter. Deliveries, commands and joins are held in any case.
    #[must_use]
    pub fn with_faults(self, faults: FaultPlan) -> HoldSweep<'a, S> {
        HoldSweep { faults, ..self }
    }

    /// The most schedules with departures that are played, those with one first. If `None`: all with
    /// one, and as many pairs as take about [`PAIRS_STEPS`] steps.
    #[must_use]
    pub fn with_schedules_max(self, schedules_max: impl Into<Option<u64>>) -> HoldSweep<'a, S> {
        let most = schedules_max.into().map_or(Most::Usual, Most::Schedules);
        HoldSweep { most, ..self }
    }

    /// Of the schedules that depart at most so often (once or twice; 0: the calm run alone) as many as take about
    /// this many steps, if each takes as many as the calm run.
    #[must_use]
    pub fn within(self, departures: usize, steps_max: u64) -> HoldSweep<'a, S> {
        HoldSweep { most: Most::Within { departures, steps_max }, ..self }
    }

    /// How many threads play; 0 counts as 1. The result does not depend on it.
    #[must_use]
    pub fn with_threads(self, threads: u32) -> HoldSweep<'a, S> {
        HoldSweep { threads, ..self }
    }

    /// Plays the calm run to see what can be departed from.
    #[must_use]
    pub fn plan(&'a self) -> HoldPlan<'a, S> {
        let Singles { calm, departures: singles } =
            Singles::of(self.simulation, self.judges, self.limits, &self.faults);
        let (singles_all, steps) = (singles.len() as u64, calm.steps.max(1));
        let schedules_max = match self.most {
            Most::Usual => singles_all + PAIRS_STEPS / steps,
            Most::Schedules(schedules_max) => schedules_max,
            Most::Within { departures, steps_max } => {
                [0, singles_all, u64::MAX][departures.min(2)].min(steps_max / steps)
            }
        };
        let plan = Plan::of(singles, schedules_max);
        HoldPlan { sweep: self, calm, plan }
    }

    /// Plays the calm run, the single departures and pairs.
    #[must_use]
    pub fn run(&self) -> HoldSweepResult {
        let plan = self.plan();
        plan.go_on(plan.none(0), plan.schedules(), |_| ControlFlow::Continue(())).result
    }

    /// [`HoldSweep::run`] with a callback that sees how far it is. When it breaks, no more runs are begun, and there
    /// is no result: which of them were played depends on the threads.
    #[must_use]
    pub fn run_watched(
        &self,
        progress: impl FnMut(&SoFar<'_, HoldPart>) -> ControlFlow<()> + Send,
    ) -> Option<HoldSweepResult> {
        let plan = self.plan();
        let all = plan.schedules();
        let part = plan.go_on(plan.none(0), all, progress);
        (part.places.end == all).then_some(part.result)
    }
}

/// Every way to depart from the calm run once, with these faults: what a hold sweep begins with.
pub(super) fn singles<S: System>(
    simulation: &Simulation<S>,
    judges: &Judges<S>,
    limits: Limits,
    faults: &FaultPlan,
) -> Vec<Vec<Departure>> {
    Singles::of(simulation, judges, limits, faults).departures
}

impl<S: System> HoldPlan<'_, S> {
    /// How many schedules there are to play, the calm run among them.
    #[must_use]
    pub fn schedules(&self) -> u64 {
        self.plan.len()
    }

    /// No schedules, before the one at this place.
    #[must_use]
    pub fn none(&self, place: u64) -> HoldPart {
        let tally = |all| Tally { all, ..Tally::default() };
        let result = HoldSweepResult {
            deliveries: self.calm.counts.deliveries,
            calm: self.calm.fingerprint,
            schedules: self.schedules(),
            singles: tally(self.plan.singles_all()),
            pairs: tally(self.plan.pairs_all()),
            ..HoldSweepResult::default()
        };
        HoldPart { places: place..place, result }
    }

    /// Plays the schedules up to the place `end` that `begun` has not covered. `watch` sees how far it is
    /// each time a thread has finished some; if it breaks, the runs under way are finished and no others
    /// begin.
    ///
    /// What comes back covers the places from the first of `begun` up to one; `end` if `watch` never
    /// broke. It does not depend on the threads but for how far it got.
    pub fn go_on(
        &self,
        begun: HoldPart,
        end: u64,
        watch: impl FnMut(&SoFar<'_, HoldPart>) -> ControlFlow<()> + Send,
    ) -> HoldPart {
        let HoldSweep { judges, threads, .. } = *self.sweep;
        let player = || {
            let mut runs = Runs::new(self, judges);
            move |places: Range<u64>| {
                let (mut part, mut steps) = (self.none(places.start), 0);
                // The plan is walked once and not looked up at each place, which would begin its row anew.
                for (place, departures) in places.zip(self.plan.from(part.places.start)) {
                    let departing = Departing::new(departures.clone());
                    let report = runs.begin_with(place, |_| Box::new(departing))?.play(&mut ());
                    steps += report.steps;
                    part.add(departures, &report);
                }
                Ok((part, steps))
            }
        };
        let part: Result<HoldPart, BuildError> = part::play(begun, end, threads, watch, player);
        part.unwrap_or_else(|error| unreachable!("it was built: {error}"))
    }
}

/// Schedules by their places.
impl<S: System> Source<S> for HoldPlan<'_, S> {
    fn simulation(&self, _: u64) -> Result<Simulation<S>, BuildError> {
        Ok(self.sweep.simulation.clone())
    }

    fn scheduler(&self, _: &Simulation<S>, place: u64) -> Box<dyn Scheduler> {
        // Past the last one the calm run.
        Box::new(Departing::new(self.plan.from(place).next().unwrap_or_default()))
    }

    fn limits(&self) -> Limits {
        self.sweep.limits
    }

    fn means(&self) -> Means {
        Means::of_plan(&self.sweep.faults)
    }
}

impl HoldPart {
    /// Makes the part of the same hold sweep that begins where this one ends a part of it.
    ///
    /// # Panics
    /// If it begins elsewhere.
    pub fn append(&mut self, next: HoldPart) {
        assert_eq!(self.places.end, next.places.start, "parts are joined side by side");
        self.places.end = next.places.end;
        self.result.merge(next.result);
    }

    /// Adds the next schedule.
    fn add(&mut self, departures: Vec<Departure>, report: &Report) {
        let (place, result) = (self.places.end, &mut self.result);
        self.places.end += 1;
        result.fingerprint = result.fingerprint.wrapping_add(hash::mix(place, report.fingerprint));
        let tally = if place <= result.singles.all { &mut result.singles } else { &mut result.pairs };
        if place > 0 {
            tally.played += 1;
            tally.held += u64::from(report.verdict.is_held());
        }
        if let Some(signature) = report.verdict.signature() {
            let (verdict, detail) = (report.verdict.word().to_owned(), detail(&report.verdict).unwrap_or_default());
            let bucket = DepartedBucket { place, departures, verdict, detail, count: 1 };
            buckets::add(&mut result.buckets, signature, bucket);
        }
    }
}

impl Piece for HoldPart {
    fn range(&self) -> &Range<u64> {
        &self.places
    }

    fn failed(&self) -> u64 {
        self.result.failed()
    }

    fn append(&mut self, next: HoldPart) {
        HoldPart::append(self, next);
    }
}

impl HoldSweepResult {
    /// How many schedules with departures were played.
    #[must_use]
    pub const fn departed(&self) -> u64 {
        self.singles.played + self.pairs.played
    }

    /// The first departures of each way to fail, in the order in which they were played.
    #[must_use]
    pub fn finds(&self) -> Vec<Vec<Departure>> {
        self.buckets_in_order().into_iter().map(|(_, bucket)| bucket.departures.clone()).collect()
    }

    /// Whether every run held.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.buckets.values().map(|bucket| bucket.count).fold(0, u64::saturating_add)
    }

    /// Whether both are of one hold sweep: the same calm run, and the same schedules around it.
    #[must_use]
    pub fn is_of_one_with(&self, other: &HoldSweepResult) -> bool {
        let scope = |result: &HoldSweepResult| {
            let HoldSweepResult { deliveries, calm, schedules, singles, pairs, .. } = result;
            (*deliveries, *calm, *schedules, singles.all, pairs.all)
        };
        scope(self) == scope(other)
    }

    fn merge(&mut self, other: HoldSweepResult) {
        for (mine, others) in [(&mut self.singles, other.singles), (&mut self.pairs, other.pairs)] {
            mine.played += others.played;
            mine.held += others.held;
        }
        self.fingerprint = self.fingerprint.wrapping_add(other.fingerprint);
        for (signature, bucket) in other.buckets {
            buckets::add(&mut self.buckets, signature, bucket);
        }
    }
}

/// Departures as the lines they are shown with.
mod texts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::schedule::Departure;

    pub(super) fn serialize<S: Serializer>(departures: &[Departure], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(departures.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Departure>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(Error::custom)).collect()
    }
}
