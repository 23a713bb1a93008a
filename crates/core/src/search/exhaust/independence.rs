//! Whether actions of different clusters are independent, by running pairs of them in both orders.

use super::Exhaust;
use super::bounds::{Choices, FateKind};
use super::clusters::Clusters;
use crate::event::System;
use crate::faults::Fate;
use crate::hash;
use crate::prng::{Prng, Stream};
use crate::run::step_apart;
use crate::scheduler::{Action, Move};
use crate::world::World;

/// How many pairs are run in both orders.
const PAIRS: u64 = 10_000;
/// How many moments are looked at for them, most of which may have no pair to run.
const MOMENTS_MAX: u64 = 100_000;
/// After how many steps a random walk restarts.
const WALK_STEPS: u32 = 100;

/// A pair of actions whose order matters although it should not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependence {
    /// One action.
    pub one: String,
    /// The other one, of another cluster.
    pub other: String,
    /// What depends on their order.
    pub what: &'static str,
}

/// The result of the test.
pub(super) struct Tested {
    /// How many pairs were run in both orders.
    pub(super) pairs: u64,
    /// The first that differs.
    pub(super) dependence: Option<Dependence>,
    /// Whether a property was broken on the way.
    pub(super) violated: bool,
}

/// Runs pairs of actions of different clusters in both orders, on states along random walks.
pub(super) fn test<S: System>(exhaust: &Exhaust<'_, S>, clusters: &Clusters) -> Tested {
    let mut walker = Walker {
        exhaust,
        clusters,
        choices: Choices::of(&exhaust.bounds, exhaust.simulation),
        prng: Prng::new(0, Stream::Workload),
        senders: Vec::new(),
    };
    let mut tested = Tested { pairs: 0, dependence: None, violated: false };
    let mut world = exhaust.simulation.world();
    for moment in 0..MOMENTS_MAX {
        if tested.pairs == PAIRS {
            break;
        }
        let taken = walker.pick(&world);
        let Some(taken) = taken.filter(|_| !moment.is_multiple_of(WALK_STEPS.into())) else {
            walker.begin(&mut world);
            continue;
        };
        if let Some(other) = walker.pick(&world).filter(|other| walker.are_apart(&world, taken.action, other.action)) {
            tested.pairs += 1;
            if let Some(what) = walker.difference(&mut world, taken, other) {
                let (one, other) = (world.describe(taken.action), world.describe(other.action));
                tested.dependence = Some(Dependence { one, other, what });
                return tested;
            }
        }
        tested.violated |= walker.step(&mut world, taken);
    }
    tested
}

struct Walker<'a, S: System> {
    exhaust: &'a Exhaust<'a, S>,
    clusters: &'a Clusters,
    choices: Choices,
    prng: Prng,
    /// By the number of a command in the order they ran, the client that sent it.
    senders: Vec<usize>,
}

impl<S: System> Walker<'_, S> {
    fn begin(&mut self, world: &mut World<S>) {
        self.senders.clear();
        world.reset();
        world.hand_out_futile();
    }

    /// An enabled action and a fate that the bounds know, at random.
    fn pick(&mut self, world: &World<S>) -> Option<Move> {
        let enabled = world.enabled();
        let actions = u32::try_from(enabled.len()).ok().filter(|actions| *actions > 0)?;
        let action = enabled.get(self.prng.below(actions) as usize);
        let fate = match world.chosen(action) {
            None => Fate::CALM,
            Some(chosen) => {
                let choices = self.choices.of_kind(FateKind::of(Some(&chosen)));
                choices[self.prng.below(choices.len() as u32) as usize].fate
            }
        };
        Some(Move { action, fate })
    }

    /// Whether two actions are claimed to be independent.
    fn are_apart(&self, world: &World<S>, one: Action, other: Action) -> bool {
        let (one, other) = (self.cluster(world, one), self.cluster(world, other));
        one.is_some() && other.is_some() && one != other
    }

    fn cluster(&self, world: &World<S>, action: Action) -> Option<usize> {
        match action {
            Action::Command(client) => self.clusters.of(client.get()),
            Action::Deliver(index) => {
                let broker = world.broker();
                let cause = broker.message(broker.delivery(index).message).cause as usize;
                self.clusters.of(*self.senders.get(cause.checked_sub(1)?)?)
            }
            _ => None,
        }
    }

    /// Goes on; says whether a property is broken by that.
    fn step(&mut self, world: &mut World<S>, step: Move) -> bool {
        if let Action::Command(client) = step.action {
            self.senders.push(client.get());
        }
        let broken = taken(self.exhaust, world, step).is_some();
        let is_drained = world.broker().open_count() == 0;
        broken || is_drained && self.exhaust.judges.at_quiescence(world).is_err()
    }

    /// What depends on the order of two steps.
    fn difference(&self, world: &mut World<S>, one: Move, other: Move) -> Option<&'static str> {
        let mark = world.mark();
        let [one_first, other_first] = [[one, other], [other, one]].map(|[first, second]| {
            let judged = taken(self.exhaust, world, first);
            let then = world.enabled().has(second.action).then(|| taken(self.exhaust, world, second));
            let outcome = (then.map(|then| (judged, then)), world.digest(), offers(world));
            world.rewind(mark);
            outcome
        });
        world.unmark();
        let (Some(one_then), Some((judged_other, judged_one))) = (one_first.0, other_first.0) else {
            return Some("whether both can happen");
        };
        if one_then != (judged_one, judged_other) {
            return Some("what is judged");
        }
        if one_first.1 != other_first.1 {
            return Some("the state they lead to");
        }
        (one_first.2 != other_first.2).then_some("what may happen after them")
    }
}

/// Takes a step; the property it breaks, and how.
fn taken<S: System>(exhaust: &Exhaust<'_, S>, world: &mut World<S>, step: Move) -> Option<String> {
    let step = step_apart(world, step.action, step.fate);
    exhaust.judges.on_step(world, &step).err().map(|verdict| format!("{verdict:?}"))
}

/// The hash of what may happen next, by name and in whatever order.
fn offers<S: System>(world: &World<S>) -> u64 {
    let keys = world.enabled().iter().filter_map(|action| Some(world.offer(action)?.key));
    keys.fold(0, |sum, key| sum.wrapping_add(hash::mix(key, 1)))
}
