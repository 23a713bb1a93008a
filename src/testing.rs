//! Shortcuts for tests: one call that runs many seeds and panics with what a person needs to know,
//! and short ways to write the services, events and properties of a small system.
//!
//! Nothing here can do what the rest of the interface cannot. A service of some size is better
//! written as a type that implements [`Service`], an event with a meaning of its own as a type that
//! implements [`Event`], a property that judges steps as a type that implements [`Property`].

use std::fmt::Write;
use std::ops::Range;

use serde::Serialize;

use crate::event::{Event, System};
use crate::faults::FaultPlan;
use crate::ids::{RecordId, Subject, Time, Version};
use crate::property::{Property, Violation};
use crate::run::{Judges, Limits, Verdict, run};
use crate::scheduler::Keyed;
use crate::service::{Context, Outcome, Rejection, Service};
use crate::simulation::Simulation;
use crate::store::{Record, Schema, VersionPolicy};
use crate::trace::{Recorder, TraceRecord, in_words};
use crate::world::World;

/// How many of the last steps a failure shows.
const STEPS_SHOWN: usize = 20;

/// Runs a simulation once for each seed, under the [`Keyed`] scheduler, with the faults each seed
/// draws from `plan`, and judges every run.
///
/// See the [crate's documentation](crate) for a whole test.
///
/// # Panics
/// If there are no seeds, and on the first seed whose run does not hold: with the seed, the verdict
/// and the last 20 steps.
#[track_caller]
pub fn check<S: System>(simulation: &Simulation<S>, seeds: Range<u64>, plan: FaultPlan, judges: &Judges<S>) {
    assert!(!seeds.is_empty(), "no seed was run: {seeds:?} is empty");
    let mut world = simulation.world();
    for seed in seeds {
        world.reset();
        let report = run(&mut world, &mut Keyed::new(seed, plan), judges, Limits::default(), &mut ());
        if !report.verdict.is_held() {
            panic!("{}", failure(simulation, seed, plan, judges, &report.verdict));
        }
    }
}

/// What a failing seed did. Steps cost text, so only a failing seed is described, by running it again.
fn failure<S: System>(
    simulation: &Simulation<S>,
    seed: u64,
    plan: FaultPlan,
    judges: &Judges<S>,
    verdict: &Verdict,
) -> String {
    let mut world = simulation.world();
    let mut recorder = Recorder::default();
    let again = run(&mut world, &mut Keyed::new(seed, plan), judges, Limits::default(), &mut recorder);
    if again.verdict != *verdict {
        let (first, second) = (in_words(verdict), in_words(&again.verdict));
        return format!(
            "seed {seed} came to two verdicts in two runs: first {first}, then {second}\n\
             a handler depends on more than its event and its store: find the step with determinism::check"
        );
    }
    let records = recorder.into_records();
    let shown = &records[records.len().saturating_sub(STEPS_SHOWN)..];
    let mut text = format!(
        "seed {seed} {} at step {}, t = {}\nthe last {} of {} steps:\n",
        in_words(verdict),
        again.steps,
        again.time,
        shown.len(),
        again.steps
    );
    shown.iter().for_each(|record| line(&mut text, record));
    text + &format!("to see this seed alone, check the seeds {seed}..{}", seed.saturating_add(1))
}

fn line(text: &mut String, record: &TraceRecord) {
    let answer = record.answer.as_deref().map(|answer| format!("   {answer}")).unwrap_or_default();
    let saved = record.saved.iter().map(|row| format!("   saves {}@{} {}", row.id, row.version, row.fields));
    let faults = record.faults.iter().map(|fault| format!("   ◀ {fault}"));
    let rest: String = saved.chain(faults).collect();
    let time = Time(record.time_us).to_string();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:>5} {time:>10}   {}{answer}{rest}", record.step, record.action);
}

/// An event that carries a whole record: this is what it is from this version on.
///
/// ```
/// # use pellmell::doc_example::Item;
/// use pellmell::testing::Snapshot;
/// use pellmell::{Event, RecordId, Version};
/// let event = Snapshot { id: RecordId::new('i', 1), version: Version(2), value: Item { price: 15 } };
/// assert_eq!(event.subject(), Snapshot::<Item>::SUBJECT);
/// assert_eq!(event.subject().name(), "items");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Snapshot<R> {
    /// The record.
    pub id: RecordId,
    /// Its version.
    pub version: Version,
    /// Its value in this version.
    pub value: R,
}

impl<R: Record> Snapshot<R> {
    /// The feed of these events: it is named like the collection.
    pub const SUBJECT: Subject = Subject::new(R::COLLECTION);
}

impl<R: Record> Event for Snapshot<R> {
    fn subject(&self) -> Subject {
        Snapshot::<R>::SUBJECT
    }

    fn record(&self) -> RecordId {
        self.id
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// Begins a service made of closures.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Outcome, Service, Subject, VersionPolicy, testing};
///
/// const SUBJECTS: &[Subject] = &[Subject::new("item:changed")];
/// let search = testing::service::<Shop>("search")
///     .keeps::<Item>(VersionPolicy::EVERY_SAVE)
///     .on_event(SUBJECTS, |event, ctx| match ctx.store.insert(event.item, Item { price: event.price }) {
///         Ok(_) => Outcome::Ack,
///         Err(_) => Outcome::Silent("duplicate key"),
///     });
/// assert_eq!(search.subjects(), SUBJECTS);
/// ```
#[must_use]
pub fn service<S: System>(name: &'static str) -> Closures<S> {
    Closures {
        name,
        declare: Vec::new(),
        subjects: &[],
        handle: Box::new(|_, _| Outcome::Ack),
        execute: Box::new(|_, _| Err(Rejection { status: 404, reason: "the service takes no commands" })),
    }
}

type Declare = dyn Fn(&mut Schema) + Send + Sync;
type Handle<S> = dyn Fn(&<S as System>::Event, &mut Context<'_, S>) -> Outcome + Send + Sync;
type Execute<S> = dyn Fn(&<S as System>::Command, &mut Context<'_, S>) -> Result<(), Rejection> + Send + Sync;

/// A service made of closures; [`service`] begins one.
pub struct Closures<S: System> {
    name: &'static str,
    declare: Vec<Box<Declare>>,
    subjects: &'static [Subject],
    handle: Box<Handle<S>>,
    execute: Box<Execute<S>>,
}

impl<S: System> Closures<S> {
    /// Declares a collection whose records this service alone changes.
    #[must_use]
    pub fn owns<R: Record>(mut self, policy: VersionPolicy) -> Closures<S> {
        self.declare.push(Box::new(move |schema| {
            schema.owns::<R>(policy);
        }));
        self
    }

    /// Declares a collection of replicas or of private notes.
    #[must_use]
    pub fn keeps<R: Record>(mut self, policy: VersionPolicy) -> Closures<S> {
        self.declare.push(Box::new(move |schema| {
            schema.keeps::<R>(policy);
        }));
        self
    }

    /// Listens to these subjects and handles their events so.
    #[must_use]
    pub fn on_event(
        mut self,
        subjects: &'static [Subject],
        handle: impl Fn(&S::Event, &mut Context<'_, S>) -> Outcome + Send + Sync + 'static,
    ) -> Closures<S> {
        (self.subjects, self.handle) = (subjects, Box::new(handle));
        self
    }

    /// Executes commands so.
    #[must_use]
    pub fn on_command(
        mut self,
        execute: impl Fn(&S::Command, &mut Context<'_, S>) -> Result<(), Rejection> + Send + Sync + 'static,
    ) -> Closures<S> {
        self.execute = Box::new(execute);
        self
    }
}

impl<S: System> Service<S> for Closures<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collections(&self, schema: &mut Schema) {
        self.declare.iter().for_each(|declare| declare(schema));
    }

    fn subjects(&self) -> &[Subject] {
        self.subjects
    }

    fn handle(&self, event: &S::Event, ctx: &mut Context<'_, S>) -> Outcome {
        (self.handle)(event, ctx)
    }

    fn execute(&self, command: &S::Command, ctx: &mut Context<'_, S>) -> Result<(), Rejection> {
        (self.execute)(command, ctx)
    }
}

/// A property that judges every quiescent moment and the end with a closure.
///
/// ```
/// # use pellmell::doc_example::{Item, Shop};
/// use pellmell::{Violation, testing};
/// let cheap = testing::at_quiescence::<Shop>("Cheap", |world| {
///     match world.store_of("shop").all::<Item>().find(|(_, item)| item.price > 100) {
///         Some((id, _)) => Err(Violation::at("shop").of(id).because("expected a price up to 100")),
///         None => Ok(()),
///     }
/// });
/// assert_eq!(cheap.name(), "Cheap");
/// ```
#[must_use]
pub fn at_quiescence<S: System>(
    name: &'static str,
    judge: impl Fn(&World<S>) -> Result<(), Violation> + Send + Sync + 'static,
) -> Box<dyn Property<S>> {
    Box::new(AtQuiescence { name, judge })
}

struct AtQuiescence<F> {
    name: &'static str,
    judge: F,
}

impl<S: System, F: Fn(&World<S>) -> Result<(), Violation> + Send + Sync> Property<S> for AtQuiescence<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn at_quiescence(&self, world: &World<S>) -> Result<(), Violation> {
        (self.judge)(world)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::broker::Profile;
    use crate::doc_example::{Change, Changed, Item, Shop};
    use crate::property::NoPoison;

    const ITEM_CHANGED: &[Subject] = &[Subject::new("item:changed")];

    /// A shop, and a search that saves whatever comes: two events the wrong way round leave it behind.
    fn blind() -> Simulation<Shop> {
        let policy = VersionPolicy::EVERY_SAVE;
        let shop = service::<Shop>("shop").owns::<Item>(policy).on_command(|change, ctx| {
            let held = ctx.store.find::<Item>(change.item).map(|item| item.version);
            let version = ctx.store.overwrite(change.item, Item { price: change.price }, held);
            ctx.publish(Changed { item: change.item, version, price: change.price });
            Ok(())
        });
        let search = service::<Shop>("search").keeps::<Item>(policy).on_event(ITEM_CHANGED, |event, ctx| {
            let held = ctx.store.find::<Item>(event.item).map(|item| item.version);
            ctx.store.overwrite(event.item, Item { price: event.price }, held);
            Outcome::Ack
        });
        let commands = [5, 10, 15].map(|price| Change { item: RecordId::new('i', 1), price });
        let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
        simulation.client("seller", commands.to_vec()).build().expect("the parts fit")
    }

    fn same_price() -> Box<dyn Property<Shop>> {
        at_quiescence("SamePrice", |world: &World<Shop>| {
            for (id, item) in world.store_of("shop").all::<Item>() {
                let found = world.store_of("search").find::<Item>(id).map(|copy| copy.price);
                if found != Some(item.price) {
                    let detail = format!("expected {}, found {found:?}", item.price);
                    return Err(Violation::at("search").of(id).because(detail));
                }
            }
            Ok(())
        })
    }

    fn panic_of(work: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("a panic");
        *panic.downcast::<String>().expect("a panic with a text")
    }

    #[test]
    fn a_failing_property_is_told_with_its_seed_its_verdict_and_the_last_steps() {
        let judges = Judges::new(vec![same_price()]);
        let told = panic_of(|| check(&blind(), 0..1000, FaultPlan::NONE, &judges));
        let first = told.lines().next().expect("a first line");
        let seed: u64 = first.split(' ').nth(1).and_then(|seed| seed.parse().ok()).expect("a seed");
        assert!(first.contains("violated SamePrice: at search, i1: expected 15, found Some("), "{told}");
        assert!(told.contains("   deliver item:changed i1@2 -> search #1   ack   saves i1@"), "{told}");
        assert!(told.ends_with(&format!("check the seeds {seed}..{}", seed + 1)), "{told}");
        let alone = panic_of(|| check(&blind(), seed..seed + 1, FaultPlan::NONE, &judges));
        assert_eq!(alone, told, "the seed alone fails in the same way");
    }

    #[test]
    fn no_more_than_the_last_twenty_steps_are_told() {
        let poisoned = service::<Shop>("search").on_event(ITEM_CHANGED, |event, _| match event.version.0 {
            29 => Outcome::Silent("never"),
            _ => Outcome::Ack,
        });
        let shop = service::<Shop>("shop").on_command(|change, ctx| {
            ctx.publish(Changed { item: change.item, version: Version(change.price.into()), price: change.price });
            Ok(())
        });
        let commands = (0..30).map(|price| Change { item: RecordId::new('i', 1), price });
        let simulation = Simulation::on(Profile::stan()).service(shop).service(poisoned);
        let simulation = simulation.client("seller", commands.collect()).build().expect("the parts fit");
        let judges = Judges::new(vec![Box::new(NoPoison)]);
        let told = panic_of(|| check(&simulation, 0..1, FaultPlan::NONE, &judges));
        assert!(told.contains("seed 0 violated NoPoison: at search, i1, item:changed i1@29: still unacked"), "{told}");
        assert_eq!(told.lines().count(), 2 + STEPS_SHOWN + 1, "{told}");
    }

    #[test]
    fn a_handler_that_remembers_is_told_apart_from_a_property_that_fails() {
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
        let first = AtomicBool::new(true);
        let shop = service::<Shop>("shop").on_command(move |_, _| {
            assert!(!first.swap(false, Relaxed), "only the first time");
            Ok(())
        });
        let commands = vec![Change { item: RecordId::new('i', 1), price: 1 }];
        let simulation = Simulation::on(Profile::stan()).service(shop).client("seller", commands).build();
        let simulation = simulation.expect("the parts fit");
        let told = panic_of(|| check(&simulation, 0..1, FaultPlan::NONE, &Judges::new(Vec::new())));
        assert!(told.contains("two verdicts in two runs: first panicked: only the first time, then held"), "{told}");
    }

    #[test]
    fn no_seeds_are_no_success() {
        let told = panic_of(|| check(&blind(), 5..5, FaultPlan::NONE, &Judges::new(Vec::new())));
        assert_eq!(told, "no seed was run: 5..5 is empty");
    }
}
