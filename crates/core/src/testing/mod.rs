//! For tests: one call that runs many seeds and, if one fails, panics with how to play it again and
//! the least that makes it fail; and short ways to write the services, events and properties of a
//! small system.
//!
//! - [`check`] plays what departs once from the calm run, and seeds; [`Check`] is [`check`] with all that can be
//!   chosen.
//! - [`replay`] and [`Replay`] play a schedule: what a failure left when it was shrunk, pasted into a test.
//! - `schedules` is a strategy for [proptest](https://docs.rs/proptest), which shrinks in the same way,
//!   and `kept_in` keeps what failed, in words (feature `proptest`, which is on by default).
//! - [`service`], [`Snapshot`], [`converges`] and [`at_quiescence`] are for small systems.
//!
//! Nothing here can do what the rest of the interface cannot. A service of some size is better
//! written as a type that implements [`Service`](crate::Service), an event with a meaning of its own
//! as a type that implements [`Event`](crate::Event), a property that judges steps as a type that
//! implements [`Property`](crate::Property).

mod check;
mod failures;
pub mod lines;
mod seeds;
mod small;
pub mod story;

use std::ops::Range;

use crate::event::System;
use crate::faults::FaultPlan;
use crate::run::Judges;
use crate::simulation::Simulation;

pub use self::check::{Check, Checked, Replay};
pub use self::small::{Closures, Snapshot, at_most_once_outside, at_quiescence, converges, service};

/// Judges runs of a simulation: those that depart from the calm run once, each of them, with the kinds of faults
/// that `plan` has ([`HoldSweep`](crate::search::HoldSweep)); and then one for each seed, under the schedulers of
/// the [portfolio](crate::SchedulerKind::PORTFOLIO) in turns, with the faults each seed draws from `plan`.
///
/// See the [crate's documentation](crate) for a whole test. [`Check`] takes limits as well, and allows by
/// name what may be vacuous. What decides the verdict if nothing else is said: [`FaultPlan::SOME`] has the
/// numbers of its doc, the limits are [`Limits::OF_A_TEST`](crate::Limits::OF_A_TEST), and a service publishes by
/// [`PublishMode::Outbox`](crate::PublishMode::Outbox), which forgives a crash between save and publish.
///
/// # Panics
/// If there are no seeds; if all runs hold and something was asked for that never happened
/// ([`vacuity`](crate::vacuity)); if a seed that is played a second time does something else; and if a run does
/// not hold. Of the first way to fail it says how to play it again, what is wrong, the departures and commands it
/// takes (see [`shrink`](crate::shrink)) with the outcome without each, and the steps; then how often it was met,
/// and which other ways to fail. A run that cannot be expressed as departures is shown by its last 20 steps.
#[track_caller]
pub fn check<S: System>(simulation: &Simulation<S>, seeds: Range<u64>, plan: FaultPlan, judges: &Judges<S>) -> Checked {
    Check::new(simulation, judges).with_seeds(seeds).with_faults(plan).run()
}

/// Plays a schedule, written in lines: departures from the calm run, and after them, if not all commands
/// are sent, those that are: `send` and the client and label of each. [`check`] prints this call for
/// a seed that fails, and so it outlives changes after which that seed is another run.
///
/// ```
/// # use pellmell::doc_example::{Change, Changed, Item, Shop};
/// # use pellmell::{Judges, Outcome, Profile, RecordId, Simulation, Subject, testing};
/// # let shop = testing::service::<Shop>("shop").on_command(|change, ctx| {
/// #     let (item, price) = (change.item, change.price);
/// #     ctx.publish(Changed { item, version: pellmell::Version(0), price });
/// #     Ok(())
/// # });
/// # let listens = const { &[Subject::new("item:changed")] };
/// # let search = testing::service::<Shop>("search").on_event(listens, |_, _| Outcome::Ack);
/// # let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
/// # let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
/// # let simulation = simulation.client("seller", commands).build().unwrap();
/// # let judges = Judges::new(vec![testing::at_quiescence::<Shop>("Anything", |_| Ok(()))]);
/// let schedule = [
///     "hold item:changed i1@0 -> search until quiescence",
///     "send seller: change i1 to 5",
/// ];
/// testing::replay(&simulation, &schedule, &judges);
/// ```
///
/// A schedule outlives the defect it shows. A line whose message does not come any more is a note, in
/// [`Checked::notes`] and on standard error; one that names what cannot exist, such as a group that does not
/// listen to the subject, is an error.
///
/// # Panics
/// If the run does not hold, as [`check`] does; if a line is none of these or names a command that no
/// client sends; and if it holds and a line names what cannot exist or what the broker's rules rule out, or
/// nothing is judged: it says why, and how [`Replay`] allows it.
#[track_caller]
pub fn replay<S: System>(simulation: &Simulation<S>, schedule: &[&str], judges: &Judges<S>) -> Checked {
    Replay::new(simulation, schedule, judges).run()
}
